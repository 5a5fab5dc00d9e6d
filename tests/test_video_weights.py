"""The video model that ships: what its card says of it, and that a fresh sample agrees.

It was to be permanent in 98 % of clips, with at most a tenth of frame by frame's acceleration and half of its flicker,
and to show the asked digit in 90 % of frames. Permanence is missed (82 %). These tests hold what was reached, with a
margin, and that the chapter says so.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gan_course import zoo
from gan_course.video import measures
from gan_course.video.network import SHARED, draw_noise, sample

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model():
    return zoo.load("moving_glyphs")


@pytest.fixture(scope="module")
def found():
    return zoo.card("moving_glyphs")["metrics"]


def test_the_targets_that_are_met(found):
    clips = found["clips_shared_noise"]
    for alone in (found["frame_by_frame_fresh_noise"], found["frame_by_frame_shared_noise"]):
        assert clips["flicker"] <= 0.5 * alone["flicker"]
        assert clips["acceleration"] <= 0.1 * alone["acceleration"]
    assert clips["asked"] >= 0.9
    assert clips["speed"] > 0.5 * found["real"]["speed"], "a frozen picture would win all of the above"
    assert zoo.card("moving_glyphs")["bytes"] < 3_000_000


def test_the_target_that_is_missed_is_said_to_be_missed(found):
    assert 0.75 <= found["clips_shared_noise"]["permanent"] < 0.98, "if it is better now, section 7 has to say so"
    cells = json.loads((ROOT / "chapters/12_video.ipynb").read_text(encoding="utf-8"))["cells"]
    prose = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert "The aim was permanence in 98 % of clips" in prose and "permanence is not reached" in prose


def test_shared_noise_helps_the_layers_over_time_and_not_the_single_pictures(found):
    video, shared = found["clips_fresh_noise"], found["clips_shared_noise"]
    assert shared["permanent"] > video["permanent"] + 0.1 and shared["flicker"] < 0.8 * video["flicker"]
    alone = found["frame_by_frame_fresh_noise"], found["frame_by_frame_shared_noise"]
    assert alone[1]["acceleration"] > 0.7 * alone[0]["acceleration"]


def test_a_fresh_sample_agrees_with_the_card(model, found):
    labels, reader = torch.arange(20) % 10, zoo.load("attributes_classifier")
    fresh = measures.measure(sample(model, draw_noise(model, 20, 77, SHARED), labels), labels, reader)
    card = found["clips_shared_noise"]
    assert fresh.permanent.float().mean() >= card["permanent"] - 0.25 and fresh.asked.mean() > card["asked"] - 0.1
    assert fresh.acceleration.mean() < 1.4 * card["acceleration"] and fresh.flicker.mean() < 1.5 * card["flicker"]
    assert fresh.speed.mean() > 0.7 * card["speed"]


def test_the_digit_is_that_which_is_asked_for(model):
    """The same noise, another digit: what is read changes with it."""
    noise = draw_noise(model, 1, 5, SHARED).expand(10, -1, -1, -1, -1)
    read = measures.readings(sample(model, noise, torch.arange(10)), zoo.load("attributes_classifier"))
    assert (read[:, :, 0].mode(dim=1).values == torch.arange(10)).sum() >= 8
