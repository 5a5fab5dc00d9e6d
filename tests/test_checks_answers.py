"""Every check against the right and the wrong answers in `answers/`."""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from answers import chapter01, chapter04, chapter05, chapter06
from torch import nn

from gan_course import checks, metrics, networks
from gan_course.training import Settings, Trainer

CHAPTERS = [
    importlib.import_module(f"answers.{path.stem}") for path in sorted((Path(__file__).parent / "answers").glob("*.py"))
]
TASKS = [name.removeprefix("check_") for name in checks.__all__ if name.startswith("check_")]
SOLUTIONS = Path(__file__).parents[1] / "solutions"
PARTS = sorted(
    {
        call
        for path in SOLUTIONS.glob("*.ipynb")
        for call in re.findall(r'checks\.(check_\w+)\(\w+, part=\\"(\w+)\\"\)', path.read_text(encoding="utf-8"))
    }
)


def rows(table: str):
    """The rows of all chapters' tables of this name, each behind the check that it is for."""
    found = [(task, row) for chapter in CHAPTERS for task, rows in getattr(chapter, table).items() for row in rows]
    return [
        pytest.param(getattr(checks, f"check_{task}"), *(row if isinstance(row, tuple) else [row]), id=f"{task}-{i}")
        for i, (task, row) in enumerate(found)
    ]


@pytest.mark.parametrize(("check", "answer"), rows("RIGHT"))
def test_right_answers_pass(check, answer, capfd):
    """With one line on stdout and nothing on stderr."""
    assert check(answer) is None
    out, err = capfd.readouterr()
    assert out.startswith(f"{check.__name__}: all ") and out.count("\n") == 1
    assert err == ""


@pytest.mark.parametrize(("check", "answer", "hint"), rows("WRONG"))
def test_wrong_answers_fail_with_the_hint_that_fits(check, answer, hint, capfd):
    with pytest.raises(checks.CheckFailed) as failure:
        check(answer)
    message = " ".join(str(failure.value).split())
    assert hint in message
    assert "tried: " in message and "expected: " in message and "hint: " in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("check", "answer", "passes", "fails"), rows("HALF_RIGHT"))
def test_a_half_right_answer_passes_one_part_and_fails_the_other(check, answer, passes, fails, capfd):
    check(answer, part=passes)
    with pytest.raises(checks.CheckFailed):
        check(answer, part=fails)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("task", TASKS)
def test_every_check_is_tried_with_five_wrong_and_two_right_answers(task):
    assert sum(len(chapter.WRONG.get(task, [])) for chapter in CHAPTERS) >= 5
    assert sum(len(chapter.RIGHT.get(task, [])) for chapter in CHAPTERS) >= 2


@pytest.mark.parametrize(("check", "part"), PARTS)
def test_no_part_passes_for_a_function_that_does_nothing(check, part):
    with pytest.raises(checks.CheckFailed):
        getattr(checks, check)(lambda *given: None, part=part)


# ------------------------------------------------------------------------------------------ what single tasks claim


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("task", "answer"), [("ring", chapter01.numpy_ring), ("gaussian_model", "numpy")])
def test_answers_with_random_numbers_of_their_own_pass_every_time(task, answer, seed):
    random = np.random.default_rng(seed)

    def numpy_gaussian(points, count):
        mean, covariance = points.mean(0).numpy(), points.T.cov().numpy()
        return torch.as_tensor(random.multivariate_normal(mean, covariance, size=count))

    getattr(checks, f"check_{task}")(numpy_gaussian if answer == "numpy" else answer)


def test_r1_does_not_confuse_the_discriminators_weights_with_its_input():
    def weights_penalty(discriminator: nn.Module, real, fake, share):
        loss = discriminator(real).sum()
        gradients = torch.autograd.grad(loss, list(discriminator.parameters()), create_graph=True)
        return sum(g.square().sum() for g in gradients) / 2

    with pytest.raises(checks.CheckFailed, match="How steep"):
        checks.check_r1_penalty(weights_penalty)


def test_the_average_is_that_of_the_course():
    """The solution's rule is the one that the trainer follows."""
    generator = nn.Linear(1, 2, bias=False)
    generator.latent_dim = 1
    trainer = Trainer(
        generator, networks.PointDiscriminator(), torch.rand(64, 2), Settings(average_decay=0.7, average_share=0.4)
    )
    values = torch.linspace(3, -2, 12)
    trainer.average.weight.data.fill_(values[0])
    for t, value in enumerate(values[1:], start=1):
        generator.weight.data.fill_(value)
        trainer.move_average()
        trainer.steps += 1
        expected = chapter04.average()(values, 0.7, 0.4)[t]
        assert torch.allclose(trainer.average.weight, expected.expand(2, 1), atol=1e-5)


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.0])
def test_between_the_two_weights_the_played_game_comes_to_rest_and_outside_it_does_not(rate):
    low, high = chapter05.calm()(rate)
    for weight, rests in ((low / 1.05, False), (low * 1.05, True), (high / 1.05, True), (high * 1.05, False)):
        theta, psi = 1.0, 0.5
        for _ in range(400):
            theta, psi = theta + rate * psi, psi - rate * (theta + weight * psi)
        assert (math.hypot(theta, psi) < 1.0) == rests


def test_the_line_finds_the_true_distance_where_all_sizes_are_too_large():
    """What the task claims: between Gaussians the bias falls with 1/N, and the line's height is nearly free of it."""
    g = torch.Generator().manual_seed(0)
    counts, true = torch.tensor([250, 500, 1000]), 4.0  # means 2 apart in one of 16 features
    move = torch.zeros(16)
    move[0] = 2
    found = []
    for n in counts.tolist():
        pairs = [torch.randn(2, n, 16, generator=g, dtype=torch.float64) for _ in range(20)]
        found.append(sum(metrics.frechet_distance(a, b + move) for a, b in pairs) / 20)
    measured = torch.tensor(found)
    assert (measured > true + 0.1).all()
    assert abs(chapter06.limit()(counts, measured) - true) < 0.3 * (measured.min() - true)


def test_fresh_samples_lie_nearer_to_training_pictures_half_of_the_time_and_copies_nearly_always():
    g = torch.Generator().manual_seed(0)
    train, held_out, fresh = torch.randn(3, 400, 6, generator=g)
    assert abs(chapter06.nearer()(fresh, train, held_out) - 0.5) < 0.1
    assert chapter06.nearer()(train + 0.1 * torch.randn(400, 6, generator=g), train, held_out) > 0.98
