"""Training the networks of the zoo: repeatable, resumable, and honest about what it was given."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from gan_course import cli, data, zoo
from gan_course.recipes import classifiers as recipes

# Also run in the process that is killed.
TINY = """
from gan_course import data
from gan_course.recipes import classifiers as recipes
import torch
torch.set_num_threads(1)

def few():
    return data.load("glyphs", count=90, seed=5), data.load("glyphs", count=40, seed=6)

recipes.RECIPES["tiny"] = recipes.Recipe("A trial.", few, "glyphs", steps=9, augment=recipes.warp)
"""


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(recipes, "RECIPES", dict(recipes.RECIPES))
    exec(TINY, {})


def train(folder, **options):
    return recipes.train("tiny", folder, folder / "runs" / "tiny.safetensors", **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The card of a run that nobody disturbed."""
    known = dict(recipes.RECIPES)
    exec(TINY, {})
    try:
        return train(tmp_path_factory.mktemp("whole"))
    finally:
        recipes.RECIPES = known


def told(card):
    return {key: value for key, value in card.items() if key != "cpu_seconds"}


def test_a_run_writes_weights_that_fit_their_card_and_leaves_nothing_else(tmp_path, whole):
    before = torch.get_rng_state()
    card = train(tmp_path, every=2)
    assert torch.equal(torch.get_rng_state(), before), "training must not disturb the caller's random numbers"
    assert told(card) == told(whole) == told(zoo.card("tiny", tmp_path))
    assert card["steps"] == 9 and card["recipe"] == "gan-course train tiny --seed 0"
    assert card["data"] == "glyphs: 90 pictures to train on, 40 others held out"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["runs", "tiny.json", "tiny.safetensors"]
    held_out = data.load("glyphs", count=40, seed=6)
    with torch.no_grad():
        right = zoo.load("tiny", tmp_path)(held_out.images).argmax(1) == held_out.labels
    assert card["metrics"]["held_out_accuracy"] == right.float().mean().item()


def test_seed_and_steps_matter(tmp_path, whole):
    other, short = train(tmp_path, seed=1), train(tmp_path, steps=4)
    assert len({whole["sha256"], other["sha256"], short["sha256"]}) == 3
    assert short["recipe"] == "gan-course train tiny --seed 0 --steps 4"


@pytest.mark.parametrize("reached", [0, 1, 5, 8])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, monkeypatch, whole, reached):
    step = recipes.Run.step

    def interrupted(run):
        if run.done == reached:
            raise KeyboardInterrupt
        return step(run)

    with monkeypatch.context() as patch:
        patch.setattr(recipes.Run, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, every=2)
    assert (tmp_path / "runs/tiny.safetensors").exists() == (reached >= 2)
    counted = []
    monkeypatch.setattr(recipes.Run, "step", lambda run: (counted.append(run.done), step(run))[1])
    assert told(train(tmp_path, every=2)) == told(whole)
    assert counted == list(range(reached // 2 * 2, 9)), "it must not start anew"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, whole):
    checkpoint = tmp_path / "runs/tiny.safetensors"
    slow = "step = recipes.Run.step\nrecipes.Run.step = lambda run: (time.sleep(0.3), step(run))[1]"
    run = f"recipes.train('tiny', pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(checkpoint)!r}), every=3)"
    script = f"import pathlib, time\n{TINY}\n{slow}\n{run}"
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not checkpoint.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -9
    assert not (tmp_path / "tiny.json").exists()
    assert told(train(tmp_path)) == told(whole)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    recipe = recipes.RECIPES["tiny"]
    run = recipes.Run(recipe, recipe.load()[0], seed=3, steps=9)
    run.step()
    run.save(tmp_path / "runs/tiny.safetensors")
    with pytest.raises(ValueError, match=r"is of an interrupted run with seed 3 and 9 steps, not seed 0 and 9 steps"):
        train(tmp_path)
    assert train(tmp_path, seed=3)["seed"] == 3


def test_training_learns():
    recipe = replace(recipes.RECIPES["glyphs_classifier"], learning_rate=0.01)
    both = data.load("glyphs", count=1200, seed=8, characters="017")
    known, unseen = both.split(1000)
    run = recipes.Run(recipe, known, seed=0, steps=50)
    losses = torch.stack([run.step() for _ in range(50)])
    assert losses[-10:].mean() < 0.3 < losses[:3].mean()
    run.network.eval()
    with torch.no_grad():
        assert (run.network(unseen.images).argmax(1) == unseen.labels).float().mean() > 0.85


def test_the_learning_rate_rises_and_falls():
    rates = [recipes.schedule(step, 100) for step in range(100)]
    assert max(rates) == rates[9] == 1
    assert rates[:10] == sorted(rates[:10]) and rates[9:] == sorted(rates[9:], reverse=True)
    assert 0 < rates[0] <= 0.1 and 0 < rates[-1] < 0.02


def test_a_warp_bends_pictures_a_little():
    images = data.load("glyphs", count=200, seed=9).images
    warped = recipes.warp(images, torch.Generator().manual_seed(0))
    assert warped.shape == images.shape and warped.min() >= -1 and warped.max() <= 1
    assert torch.equal(warped, recipes.warp(images, torch.Generator().manual_seed(0)))
    assert not torch.equal(warped, recipes.warp(images, torch.Generator().manual_seed(1)))
    ink, before = (warped + 1) / 2, (images + 1) / 2
    assert (ink.sum((1, 2, 3)) / before.sum((1, 2, 3)) - 1).abs().mean() < 0.2
    line = torch.arange(28.0)
    for weights in (line[:, None], line):
        centre, old = ((x * weights).sum((1, 2, 3)) / x.sum((1, 2, 3)) for x in (ink, before))
        assert 0.5 < (centre - old).abs().mean() and (centre - old).abs().max() < 5
    assert (ink - before).abs().mean() > 0.02


# ---------------------------------------------------------------------------------------------- the command


def test_the_command(tmp_path, capsys, whole):
    assert cli.main(["train", "tiny", "--root", str(tmp_path), "--out", str(tmp_path / "here")]) == 0
    assert zoo.card("tiny", tmp_path / "here")["sha256"] == whole["sha256"]
    said = capsys.readouterr().out
    assert said.startswith(str(tmp_path / "here" / "tiny.safetensors")) and "% right on held-out data" in said
    assert not (tmp_path / "runs").exists(), "so short a run needs no checkpoint"


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["tinny", "--out", "x"], "there is no recipe 'tinny': did you mean 'tiny'? Known: glyphs_classifier"),
        (["tiny"], "there is no folder"),
        (["tiny", "--steps", "0", "--out", "x"], "can't train for 0 steps: take at least 1"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, capsys, arguments, says):
    assert cli.main(["train", *arguments, "--root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(says) and said.count("\n") == 1
