"""The GAN of digits that the site's page runs: its recipe learns and goes on from a checkpoint, its card is true."""

from __future__ import annotations

import pytest
import torch
from states import same, weights

from gan_course import zoo
from gan_course.recipes import digits_gan as recipe
from gan_course.recipes.run import OneProcess


@pytest.fixture
def short_run():
    return lambda: recipe.DigitsGanRun(0, 60, OneProcess(), recipe.DigitsGanSettings(batch=16, pictures=200))


def test_it_goes_on_from_its_checkpoint_bit_for_bit(tmp_path, short_run):
    whole, first, second = short_run(), short_run(), short_run()
    for run, steps in ((whole, 3), (first, 1)):
        for _ in range(steps):
            run.step()
    first.save(tmp_path / "checkpoint")
    second.resume(tmp_path / "checkpoint")
    for _ in range(2):
        second.step()
    assert second.done == 3 and same(weights(whole), weights(second))


def test_both_sides_learn(short_run):
    run = short_run()
    before = weights(run)
    shown = [run.step() for _ in range(60)]
    still = [name for name, value in weights(run).items() if torch.equal(value, before[name])]
    assert all(name.startswith("generator/average/") and ("running" in name or "tracked" in name) for name in still), (
        "all but the average's batch norms, which are measured in the end"
    )
    assert all(set(row) == {"judged", "fooled"} and all(v.isfinite() for v in row.values()) for row in shown)
    early, late = (sum(row["judged"] for row in rows) for rows in (shown[:10], shown[-10:]))
    assert late < 0.9 * early, "the discriminator learns to tell the two apart"


def test_the_card_says_what_the_weights_do():
    told, found = zoo.card("digits_gan")["metrics"], recipe.measure(zoo.load("digits_gan"), 1000)
    assert found["read_as_asked"] == pytest.approx(told["read_as_asked"], abs=0.02)
    excess = [x["frechet"] - x["frechet_floor"] for x in (told, found)]
    assert excess[1] == pytest.approx(excess[0], abs=0.25), "smaller samples lift both alike, nearly"
    assert told["read_as_asked"] > 0.95 and told["frechet"] < 4 * told["frechet_floor"]
