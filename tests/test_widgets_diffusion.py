"""The diffusion explorer: its paths against a network that knows the answer, its controls, its page. No browser."""

import time
from statistics import median

import pytest
import torch
from torch import nn
from widget_page import assert_a_still_is_left, assert_drops, said

from gan_course import data, diffusion, widgets
from gan_course.unet import DiffusionUNet
from gan_course.widgets import canvas, controls, diffusion_view, panel
from gan_course.widgets.diffusion_view import SCALES, WIDTH, DiffusionView, Explorer

SCHEDULES = {
    "linear": diffusion.linear_betas,
    "scaled linear": diffusion.scaled_linear_betas,
    "cosine": diffusion.cosine_betas,
}
ALPHAS_CUMPROD = {name: diffusion.cumulative_alphas(schedule()) for name, schedule in SCHEDULES.items()}


def dataset(side=8, classes=3):
    pictures = torch.rand(12, 1, side, side, generator=torch.Generator().manual_seed(5)) * 1.6 - 0.8
    return data.Dataset("tiles", pictures, torch.arange(12) % classes, tuple("abcdefghij"[:classes]))


class Knowing(nn.Module):
    """The velocity towards one known picture for each class, and towards mid-grey without a class (as if trained with
    the cosine schedule)."""

    def __init__(self, pictures):
        super().__init__()
        self.pictures = nn.Parameter(pictures, requires_grad=False)
        self.calls = []

    def forward(self, x, t, labels=None):
        self.calls.append(t)
        known = torch.zeros_like(x) if labels is None else self.pictures[labels]
        alpha_bar = ALPHAS_CUMPROD["cosine"][t]
        noise = (x - alpha_bar.sqrt() * known) / (1 - alpha_bar).sqrt()
        return alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * known


def explorer():
    tiles = dataset()
    return Explorer(Knowing(tiles.images[:3].clone()), tiles, SCHEDULES, "cosine", "v_prediction")


@pytest.fixture
def view():
    made = DiffusionView(explorer(), "cosine")
    yield made
    made.close()


def shown(view):
    return view.into.value, view.out.value, view.figures.value


# ------------------------------------------------------------------------------------------ the computing


def test_a_knowing_network_leads_from_noise_to_its_picture():
    found = explorer()
    picture = found.network.pictures[1]
    path = found.path(1, "cosine", 8, (0.0, 0.5, 1.0), seed=3)
    assert path.timesteps == [999, 874, 749, 624, 499, 374, 249, 124, -1]
    assert path.x.shape == path.guesses.shape == (9, 3, 1, 8, 8)
    noise = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    for column in range(3):
        assert torch.equal(path.x[0, column], noise[0])  # the same noise under each guidance
    for state in range(1, 9):
        alpha_bar = ALPHAS_CUMPROD["cosine"][max(path.timesteps[state], 0)]
        for column, share in enumerate((0.0, 0.5, 1.0)):
            expected = alpha_bar.sqrt() * share * picture + (1 - alpha_bar).sqrt() * noise[0]
            if state == 8:
                expected = share * picture
            torch.testing.assert_close(path.x[state, column], expected, rtol=0, atol=2e-4)
            torch.testing.assert_close(path.guesses[state, column], share * picture, rtol=0, atol=2e-4)


@pytest.mark.parametrize("schedule", ["linear", "scaled linear"])
def test_under_another_schedule_the_network_is_told_the_timestep_of_the_same_ratio(schedule):
    found = explorer()
    for t in (0, 100, 333, 666, 999):
        ratio = diffusion.signal_to_noise(ALPHAS_CUMPROD[schedule])[t].log()
        gaps = (diffusion.signal_to_noise(ALPHAS_CUMPROD["cosine"]).log() - ratio).abs()
        assert gaps[found.own[schedule][t]] == gaps.min()
    found.network.calls.clear()
    path = found.path(2, schedule, 4, (1.0,), seed=0)
    assert found.network.calls == [int(found.own[schedule][t]) for t in path.timesteps[:-1] for _ in range(2)]
    torch.testing.assert_close(path.x[-1, 0], found.network.pictures[2], rtol=0, atol=0.05)  # timesteps are whole
    assert torch.equal(found.own["cosine"], torch.arange(1000))


def test_noise_is_mixed_in_as_chapter_07_says():
    found = explorer()
    for t in (0, 500, 999):
        noisy, guess = found.noised(1, "linear", t, seed=4)
        noise = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(4))
        left = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), dim=0)[t]
        torch.testing.assert_close(noisy, (left.sqrt() * found.pictures[1] + (1 - left).sqrt() * noise)[0])
        torch.testing.assert_close(guess, found.network.pictures[1], rtol=0, atol=0.05)


def test_where_on_the_path_a_timestep_is():
    path = explorer().path(0, "cosine", 4, (1.0,), seed=0)
    assert path.timesteps == [999, 749, 499, 249, -1]
    assert [path.step_at(t) for t in (999, 750, 749, 500, 499, 250, 249, 9, 0)] == [0, 0, 1, 1, 2, 2, 3, 3, 4]


def test_guidance_0_ignores_the_class():
    found = explorer()
    one, two = (found.path(label, "cosine", 4, (0.0, 1.0), seed=0).x[-1] for label in (1, 2))
    assert torch.equal(one[0], two[0]) and not torch.allclose(one[1], two[1], atol=0.1)


def test_training_on_and_the_other_cells_randomness_are_left_alone():
    tiles = dataset()
    network = Knowing(tiles.images[:3].clone())
    torch.manual_seed(1)
    before = torch.get_rng_state()
    found = Explorer(network, tiles, SCHEDULES, "cosine", "v_prediction")
    first = found.path(0, "cosine", 4, (1.0,), seed=0).x[-1]
    network.pictures.zero_()
    found.paths.clear()
    assert torch.equal(found.path(0, "cosine", 4, (1.0,), seed=0).x[-1], first)
    assert torch.equal(torch.get_rng_state(), before)


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(diffusion_view, "KEPT", 3)
    found = explorer()
    for seed in range(8):
        found.path(0, "cosine", 1, (1.0,), seed)
        for t in range(30):
            found.noised(0, "cosine", t, seed)
    assert len(found.paths) == 3 and len(found.looks) <= 121


WRONG = {
    "no labels": ({"dataset": data.Dataset("points", torch.zeros(4, 1, 8, 8), None)}, "points has no labels"),
    "a class without a picture": (
        {"dataset": data.Dataset("some", torch.zeros(2, 1, 8, 8), torch.tensor([0, 0]), ("a", "b"))},
        "the data set has no picture of class b",
    ),
    "another schedule": ({"trained": "quadratic"}, "there is no schedule 'quadratic' among linear, scaled linear, "),
    "no schedule": ({"schedules": {}}, "there is no schedule 'cosine' among none"),
    "another prediction": ({"prediction": "colour"}, "a network can't predict 'colour'"),
    "betas out of range": (
        {"schedules": {"cosine": lambda: torch.linspace(0.5, 1.5, 10)}},
        "the schedule 'cosine' must return one beta for each timestep, all between 0 and 1, but returns numbers from "
        "0.5 to 1.5",
    ),
    "shares instead of betas, one by one": (
        {"schedules": {"cosine": lambda: torch.ones(2, 2)}}, "but returns a tensor of shape \\[2, 2\\]",
    ),
    "a list": ({"schedules": {"cosine": lambda: [0.1, 0.2]}}, "but returns list"),
    "unequal lengths": (
        {"schedules": {"cosine": diffusion.cosine_betas, "linear": lambda: diffusion.linear_betas(10)}},
        "the schedules must have equally many timesteps, but have: cosine 1000, linear 10",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_together_is_refused_in_a_sentence(case):
    good = {"network": Knowing(torch.zeros(3, 1, 8, 8)), "dataset": dataset(), "schedules": SCHEDULES,
            "trained": "cosine", "prediction": "v_prediction"}  # fmt: skip
    change, sentence = WRONG[case]
    with pytest.raises(ValueError, match=sentence) as caught:
        widgets.diffusion_explorer(**good | change)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------ the controls


def test_the_slider_shows_what_was_computed_and_computes_no_path_again(view):
    calls = view.explorer.network.calls
    calls.clear()
    for t in (900, 450, 99, 0):
        before = shown(view)
        view.time.value = t
        assert all(a != b for a, b in zip(before, shown(view), strict=True))
        assert f"Timestep {t} of 999" in view.figures.value
    assert calls == [900, 900, 450, 450, 99, 99, 0, 0]  # the network's look at the picture on the left, and no more
    again = shown(view)
    view.time.value = 900
    view.time.value = 0
    assert len(calls) == 8 and shown(view) == again


def test_a_turn_of_the_slider_takes_less_than_150_ms():
    glyphs = data.load("glyphs", count=200)
    network = DiffusionUNet(classes=len(glyphs.class_names))
    view = DiffusionView(Explorer(network, glyphs, SCHEDULES, "cosine", "v_prediction"), "cosine")
    taken = []
    for t in range(9, 999, 108):
        start = time.process_time()
        view.time.value = t
        taken.append(time.process_time() - start)
    assert median(taken) < 0.15
    view.close()


def test_each_knob_changes_its_picture(view):
    view.time.value = 450
    assert view.knobs["schedule"].value == "cosine" and view.knobs["steps"].value == 24

    def changed(name, value):
        before = shown(view)
        view.knobs[name].value = value
        assert said(view) == ""
        return [a != b for a, b in zip(before, shown(view), strict=True)]

    assert changed("label", 0) == [True, True, True]
    assert changed("schedule", "linear") == [True, True, True]
    assert changed("steps", 4) == [False, True, True]
    assert changed("scale", 3.0) == [False, True, False]
    assert changed("seed", "7") == [True, True, False]


def columns(view):
    """The four tiles of the upper row on the right, as bytes."""
    _, out = view.pictures()
    return [out.crop((10 + 178 * i, 84, 10 + 178 * i + 166, 250)).tobytes() for i in range(4)]


def test_the_same_noise_under_different_guidance_side_by_side(view):
    view.time.value = view.time.max
    assert len(set(columns(view))) == 1
    view.time.value = 0
    assert len(set(columns(view))) == 4
    view.knobs["scale"].value = SCALES[1]
    assert columns(view)[1] == columns(view)[3]


@pytest.mark.parametrize("wrong", ["abc", "", "1.5", "-3", "99999999999999999999"])
def test_a_malformed_seed_becomes_a_sentence(view, wrong, capsys):
    view.knobs["seed"].value = "5"
    before = shown(view)
    view.knobs["seed"].value = wrong
    assert said(view).startswith("The seed must be a whole number from 0 to 4,294,967,295, but is ")
    assert view.knobs["seed"].value == "5" and shown(view) == before
    assert capsys.readouterr() == ("", "")


def test_a_malformed_message_from_the_page_is_dropped(view, capsys):
    states = ({"index": 999}, {"index": "x"}, {"value": {"no": "value"}}, {"value": None}, {"value": [1]})
    assert_drops((view.time, *view.knobs.values()), *states)
    assert capsys.readouterr() == ("", "")


def test_a_network_that_fails_becomes_a_sentence(view, capsys):
    view.explorer.network.forward = lambda *_: 1 / 0
    view.knobs["steps"].value = 8
    assert said(view) == "division by zero" and capsys.readouterr() == ("", "")


def test_a_closed_widget_is_harmless(view, capsys):
    view.root.close()
    before = shown(view)
    view.time.value = 9
    view.knobs["steps"].value = 1
    assert shown(view) == before and capsys.readouterr() == ("", "")


def test_two_at_once(view):
    other = DiffusionView(explorer(), "linear", seed=9)
    before = shown(view)
    other.time.value = 9
    other.knobs["steps"].value = 2
    assert shown(view) == before and view.knobs["steps"].value == 24
    other.close()
    view.time.value = 9
    assert shown(view) != before


# ------------------------------------------------------------------------------------------ the page


def test_no_label_is_clipped(view, monkeypatch):
    """Each text lies within its picture, whatever the controls say."""
    plain, seen = canvas.text, []

    def measured(draw, x, y, words, colour=canvas.INK, size=24, anchor="lm"):
        length = draw.textlength(words, font=canvas.font(size))
        left = x - {"l": 0, "m": length / 2, "r": length}[anchor[0]]
        seen.append(words)
        assert left >= 0 and left + length <= WIDTH, words
        plain(draw, x, y, words, colour, size, anchor)

    monkeypatch.setattr(canvas, "text", measured)
    for steps, scale in ((50, 12.0), (1, 0.5)):
        view.knobs["steps"].value, view.knobs["scale"].value = steps, scale
        for t in (view.time.max, 0):
            view.time.value = t
    assert said(view) == "" and {"timestep 999", "guidance 0.5", "network's guess"} <= set(seen)


def test_all_controls_have_a_label_and_messages_are_read_aloud(view):
    assert all(widget.description for widget in (view.time, *view.knobs.values()))
    view.say("A sentence.")
    assert 'role="status"' in view.message.value


def test_a_cell_that_runs_again_replaces_its_widget(monkeypatch):
    monkeypatch.setattr(controls, "cell", lambda: "the cell's id")
    first, second = DiffusionView(explorer(), "cosine"), DiffusionView(explorer(), "cosine")
    first.show()
    assert not first.closed
    second.show()
    assert first.closed and not second.closed and first not in panel.OPEN
    second.close()


KERNEL = """
from gan_course import data, diffusion, unet, widgets
glyphs = data.load("glyphs", count=200)
network = unet.DiffusionUNet(classes=len(glyphs.class_names))
widgets.diffusion_explorer(network, glyphs, {"cosine": diffusion.cosine_betas}, "cosine")
"""


def test_in_a_real_kernel_without_a_page_a_still_is_left(tmp_path):
    assert_a_still_is_left(tmp_path, KERNEL, "Diffusion explorer at timestep 495.", 400_000)


def test_outside_a_notebook_it_is_one_line(capsys):
    widgets.diffusion_explorer(Knowing(torch.zeros(3, 1, 8, 8)), dataset(), SCHEDULES, "cosine")
    assert capsys.readouterr().out == "The diffusion explorer needs a notebook: open it in JupyterLab or on Colab.\n"
