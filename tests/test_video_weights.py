"""The video model that ships: what its card promises, and that a fresh sample keeps it."""

from __future__ import annotations

import pytest
import torch

from gan_course import zoo
from gan_course.video import measures
from gan_course.video.clips import moving_glyphs
from gan_course.video.network import draw_noise, sample


@pytest.fixture(scope="module")
def model():
    return zoo.load("moving_glyphs")


def test_the_card_says_what_was_to_be_reached():
    card = zoo.card("moving_glyphs")
    clips, alone = card["metrics"]["clips"], card["metrics"]["frame_by_frame"]
    assert clips["permanent"] >= 0.98
    assert clips["acceleration"] <= 0.1 * alone["acceleration"]
    assert clips["flicker"] <= 0.5 * alone["flicker"]
    assert clips["asked"] >= 0.9
    assert clips["speed"] > 0.5 * card["metrics"]["real"]["speed"], "a frozen picture would win all of the above"
    assert card["bytes"] < 3_000_000


def test_a_fresh_sample_keeps_the_promise(model):
    labels, reader = torch.arange(20) % 10, zoo.load("attributes_classifier")
    found = measures.measure(sample(model, draw_noise(model, 20, seed=77), labels), labels, reader)
    real = moving_glyphs(20, seed=78)
    floor = measures.measure(real.frames, real.labels, reader)
    assert found.permanent.float().mean() >= 0.9 and found.asked.mean() > 0.8 and found.held.mean() > 0.8
    assert found.acceleration.mean() < 4 * floor.acceleration.mean()
    assert found.speed.mean() > 0.5 * floor.speed.mean()


def test_the_digit_is_that_which_is_asked_for(model):
    """The same noise, another digit: what is read changes with it."""
    noise = draw_noise(model, 1, seed=5).expand(10, -1, -1, -1, -1)
    read = measures.readings(sample(model, noise, torch.arange(10)), zoo.load("attributes_classifier"))
    assert (read[:, :, 0].mode(dim=1).values == torch.arange(10)).sum() >= 8
