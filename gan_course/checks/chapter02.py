"""Checks of chapter 02, the losses as numbers: from probabilities, from logits, hinge."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from gan_course.checks.report import Attempt, Mistakes, run

LOSSES = ("L_D", "L_G")
HINTS = (
    "Two questions, one term each: how surprised is D by the real batch, and how surprised is it by the fake one? "
    "Average each over its batch and add the two.",
    "The generator wants D to believe in its fakes. What number is small when it succeeds?",
)
SUM = "That is the sum over the batch. A mean keeps its size when the batch grows."
HALF = "That is half of it. The two terms are added, not averaged."


def _compare(attempt: Attempt, result: Any, expected: tuple[Tensor, ...], hints: tuple[str, ...], *mistakes: Mistakes):
    for i, value in enumerate(attempt.pair(result, LOSSES)):
        attempt.close(value, expected[i], hints[i], mistakes[i] if mistakes else (), what=LOSSES[i])


def _common_mistakes(loss: Tensor, count: int) -> list[tuple[Tensor, str]]:
    """Mistakes that any loss of logarithms can suffer from."""
    sign = "Only the sign is wrong. The logarithm of a probability is negative; when is the surprise a positive number?"
    base = "The size is off by a factor of {}: that is the logarithm to base {}. The losses use the natural one."
    return [
        (-loss, sign),
        (loss / math.log(2), base.format("1.44", 2)),
        (loss / math.log(10), base.format("0.43", 10)),
        (loss * count, SUM),
    ]


def _discriminator_mistakes(real: Tensor, fake: Tensor) -> list[tuple[Tensor, str]]:
    """What goes wrong with L_D; ``real`` and ``fake`` are probabilities."""
    right = -real.log().mean() - (1 - fake).log().mean()
    return [
        (
            -real.log().mean() - fake.log().mean(),
            "The argument of the second logarithm is swapped: it rewards D for believing in fakes. With what "
            "probability does D say that a fake is a fake?",
        ),
        (real.log().mean() + fake.log().mean(), "Two faults: the signs, and the argument of the second logarithm."),
        (-real.log().mean(), "The fake batch is missing: such a D learns to call everything real."),
        (-(1 - fake).log().mean(), "The real batch is missing: such a D learns to call everything fake."),
        (right / 2, HALF),
        *_common_mistakes(right, len(real)),
    ]


def _generator_mistakes(fake: Tensor) -> list[tuple[Tensor, str]]:
    """What goes wrong with L_G; ``fake`` are probabilities."""
    return [
        (
            (1 - fake).log().mean(),
            "That is the saturating loss of the original game. It has the same aim, but its gradient fades where the "
            "generator is losing. The task asks for the non-saturating one.",
        ),
        (
            -(1 - fake).log().mean(),
            "This is small when D recognises the fakes, which is what D wants. What does the generator want?",
        ),
        *_common_mistakes(-fake.log().mean(), len(fake)),
    ]


# ------------------------------------------------------------------------------------------ from probabilities


def _probabilities(attempt: Attempt, real: list[float], fake: list[float]) -> None:
    p, q = torch.tensor(real), torch.tensor(fake)
    expected = (-p.log().mean() - (1 - q).log().mean(), -q.log().mean())
    _compare(
        attempt, attempt(p.clone(), q.clone()), expected, HINTS, _discriminator_mistakes(p, q), _generator_mistakes(q)
    )


def _single_pairs(attempt: Attempt) -> None:
    _probabilities(attempt, [0.7], [0.2])  # unequal doubts first: here every mistake gives a number of its own
    _probabilities(attempt, [0.9], [0.1])  # the worked example
    _probabilities(attempt, [0.5], [0.5])  # a clueless discriminator


def _batches(attempt: Attempt) -> None:
    _probabilities(attempt, [0.9, 0.6, 0.8], [0.1, 0.3, 0.2])
    _probabilities(attempt, [0.99, 0.2], [0.01, 0.7])


def check_losses_from_probabilities(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(p_real [N], p_fake [N]) -> (L_D, L_G)``. Parts: ``pairs``, ``batches``."""
    parts = {"pairs": _single_pairs, "batches": _batches}
    run("losses_from_probabilities", function, "p_real p_fake", parts, part)


# ------------------------------------------------------------------------------------------ from logits


def _losses_of_logits(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return softplus(-real).mean() + softplus(fake).mean(), softplus(-fake).mean()


def _logit_values(attempt: Attempt) -> None:
    twice = "These are the losses after two sigmoids. A loss 'with logits' applies one itself."
    for real, fake in (
        (torch.tensor([2.0, 0.5]), torch.tensor([-1.0, -3.0])),
        (torch.tensor([[-1.0], [4.0]]), torch.tensor([[0.3], [2.0]])),  # a column of logits is as good as a row
    ):
        p, q = real.sigmoid(), fake.sigmoid()
        double = _losses_of_logits(p, q)
        mistakes = (
            [(double[0], twice), *_discriminator_mistakes(p, q)],
            [(double[1], twice), *_generator_mistakes(q)],
        )
        _compare(attempt, attempt(real.clone(), fake.clone()), _losses_of_logits(real, fake), HINTS, *mistakes)


def _extreme_logits(attempt: Attempt) -> None:
    hint = (
        "In float32 the sigmoid of 200 is exactly 1 and that of -200 exactly 0, so the logarithm has nothing left to "
        "work with, and a limit on it hides how wrong D is. Go from the logit to the loss without the stop at a "
        "probability."
    )
    for logit in (-200.0, 200.0, -30.0):
        real, fake = torch.tensor([logit, 1.0]), torch.tensor([-logit, -1.0])
        _compare(attempt, attempt(real.clone(), fake.clone()), _losses_of_logits(real, fake), (hint, hint))


def _logit_gradients(attempt: Attempt) -> None:
    real = torch.tensor([-200.0, 0.0, 3.0, 200.0], requires_grad=True)
    fake = torch.tensor([-200.0, -2.0, 0.0, 200.0], requires_grad=True)
    results = attempt.pair(attempt(real, fake), LOSSES)
    expected = _losses_of_logits(real, fake)
    hint = (
        "The gradient must stay alive where D is completely wrong: there it is needed most. A limit on the probability "
        "or on the logarithm kills it."
    )
    for which, inputs, name in ((0, real, "real"), (0, fake, "fake"), (1, fake, "fake")):
        (wanted,) = torch.autograd.grad(expected[which], inputs, retain_graph=True)
        gradient = attempt.gradient(results[which], inputs, LOSSES[which])
        attempt.close(gradient, wanted, hint, what=f"d {LOSSES[which]} / d {name}_logits")


def check_losses_from_logits(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(real_logits [N], fake_logits [N]) -> (L_D, L_G)``. Parts: ``values``, ``extremes``, ``gradients``."""
    parts = {"values": _logit_values, "extremes": _extreme_logits, "gradients": _logit_gradients}
    run("losses_from_logits", function, "real_logits fake_logits", parts, part)


# ------------------------------------------------------------------------------------------ hinge


def _hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return relu(1 - real).mean() + relu(1 + fake).mean()


def _compare_hinge(attempt: Attempt, real: Tensor, fake: Tensor) -> None:
    right = _hinge_discriminator(real, fake), -fake.mean()
    d_mistakes = [
        (
            _hinge_discriminator(-real, -fake),
            "The signs are swapped: real logits shall lie above +1 and fake ones below -1.",
        ),
        (
            relu(1 - real.mean()) + relu(1 + fake.mean()),
            "The mean comes too early: one good sample must not excuse a bad one. What comes first, hinge or mean?",
        ),
        (
            (1 - real).mean() + (1 + fake).mean(),
            "There is no hinge: a logit beyond the margin must not lower the loss any further.",
        ),
        (
            relu(-real).mean() + relu(fake).mean(),
            "The margin is missing: the right side of 0 is not enough. How far on that side should a logit be?",
        ),
        (relu(1 - real).mean(), "The fake batch is missing."),
        (relu(1 + fake).mean(), "The real batch is missing."),
        (right[0] / 2, HALF),
        (right[0] * len(real), SUM),
        (-right[0], "Only the sign is wrong."),
    ]
    g_mistakes = [
        (relu(1 - fake).mean(), "The generator's loss has no hinge: it raises the fake logits and never stops."),
        (relu(1 + fake).mean(), "That is the discriminator's fake term. The generator wants the opposite."),
        (fake.mean(), "Only the sign is wrong: minimising this lowers the fake logits."),
        (-fake.sum(), SUM),
        (softplus(-fake).mean(), "That is the non-saturating loss. The hinge pair uses the plain score."),
    ]
    hints = (
        "Each real logit below +1 pays by how much it falls short. Each fake logit above -1 pays likewise.",
        "The generator simply wants the fake logits high.",
    )
    _compare(attempt, attempt(real.clone(), fake.clone()), right, hints, d_mistakes, g_mistakes)


def _hinge_values(attempt: Attempt) -> None:
    _compare_hinge(attempt, torch.tensor([0.5, -0.3]), torch.tensor([-0.2, 0.7]))
    _compare_hinge(attempt, torch.tensor([0.25]), torch.tensor([0.5]))


def _hinge_margin(attempt: Attempt) -> None:
    _compare_hinge(attempt, torch.tensor([2.0, 5.0, -4.0]), torch.tensor([-3.0, -1.5, 6.0]))
    _compare_hinge(attempt, torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -9.0]))


def check_hinge_losses(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(real_logits [N], fake_logits [N]) -> (L_D, L_G)``. Parts: ``values``, ``margin``."""
    run("hinge_losses", function, "real_logits fake_logits", {"values": _hinge_values, "margin": _hinge_margin}, part)
