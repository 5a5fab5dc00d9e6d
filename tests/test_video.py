"""Chapter 12's clips, network and measures: the truth is known, frames mix only where they should."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from gan_course import zoo
from gan_course.data.glyphs import colour_glyphs
from gan_course.recipes import video as recipe
from gan_course.recipes.run import OneProcess
from gan_course.video import clips, measures, network, walks


@pytest.fixture(scope="module")
def real():
    return clips.moving_glyphs(40, seed=3)


@pytest.fixture(scope="module")
def unet():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = network.SpaceTimeUNet(width=8, deep=16, frames=6).eval()
        for parameter in found.parameters():  # the last layers of its blocks begin at 0 and would hide what comes in
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    return found.requires_grad_(False)


# ------------------------------------------------------------------------------------------ clips


def test_clips_are_the_same_for_the_same_seed_and_fill_the_range(real):
    again = clips.moving_glyphs(40, seed=3)
    assert torch.equal(real.frames, again.frames) and torch.equal(real.places, again.places)
    assert real.frames.shape == (40, 16, 3, 32, 32) and real.frames.min() == -1 and real.frames.max() <= 1
    assert not torch.equal(real.frames, clips.moving_glyphs(40, seed=4).frames)


def test_the_first_frames_are_those_of_a_longer_clip():
    short, long = clips.moving_glyphs(3, seed=1, frames=4), clips.moving_glyphs(3, seed=1, frames=9)
    assert torch.equal(short.frames, long.frames[:, :4])


def test_bounces_agree_with_a_walk_step_by_step():
    place, step, expected = -2.0, 1.7, []
    for _ in range(60):
        expected.append(place)
        place += step
        if abs(place) > 5.0:
            place, step = np.sign(place) * 10.0 - place, -step
    free = 3.0 + 1.7 * torch.arange(60)  # from the left border on
    torch.testing.assert_close(clips.bounce(free, reach=5.0), torch.tensor(expected).float(), atol=1e-4, rtol=0)


def test_glyphs_move_at_constant_speed_and_stay_inside(real):
    steps = real.places.diff(dim=1).abs()
    usual = steps.median(dim=1, keepdim=True).values
    straight = ((steps - usual).abs() < 1e-3).all(dim=2)  # all but the frames in which one bounces
    assert straight.float().mean() > 0.8
    speed = usual.squeeze(1).norm(dim=1)
    assert clips.SPEEDS[0] - 0.01 < speed.min() and speed.max() < clips.SPEEDS[1] + 0.01
    assert real.places.abs().max() <= clips.REACH
    edge = torch.cat([real.frames[..., :1, :].flatten(), real.frames[..., -1:].flatten()])
    assert edge.max() < -0.9, "a glyph touches the border"


def test_the_true_places_are_where_the_ink_is(real):
    found = measures.centres(real.frames)
    offset = (found - real.places).median(dim=1, keepdim=True).values  # the middle of the ink's ends is not its centre
    assert offset.norm(dim=2).max() < 3
    assert (found - real.places - offset).norm(dim=2).max() < 0.7


def test_a_glyph_elsewhere_is_the_same_glyph():
    record = clips.moving_glyphs(1, seed=2).records
    left, right = (colour_glyphs(record, 0, "0123456789", torch.tensor([[x, 0.0]])).images for x in (-4.0, 3.0))
    torch.testing.assert_close(left, right.roll(-7, dims=3), atol=2e-3, rtol=0)


def test_places_must_be_as_many_as_records():
    records = clips.moving_glyphs(2).records
    with pytest.raises(ValueError, match="2 records but 3 places: pass one for each"):
        colour_glyphs(records, 0, places=torch.zeros(3, 2))


# ------------------------------------------------------------------------------------------ measures


def test_real_clips_are_permanent_read_as_they_are_and_hardly_flicker(real):
    found = measures.measure(real.frames, real.labels, zoo.load("attributes_classifier"))
    assert found.permanent.all()
    assert found.asked.mean() > 0.95 and found.held.mean() > 0.97
    assert found.flicker.mean() < 0.15 and found.acceleration.mean() < 0.6
    torch.testing.assert_close(found.speed, real.places.diff(dim=1).norm(dim=2).mean(dim=1), atol=0.35, rtol=0)


def test_shuffled_frames_keep_their_look_and_lose_their_path(real):
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    shuffled, reader = real.frames[:, order], zoo.load("attributes_classifier")
    a, b = (measures.measure(x, real.labels, reader) for x in (real.frames, shuffled))
    assert torch.equal(a.permanent, b.permanent) and torch.allclose(a.held, b.held)
    assert b.acceleration.mean() > 8 * a.acceleration.mean()


def test_a_still_picture_has_neither_acceleration_nor_flicker_nor_speed(real):
    still = real.frames[:, :1].expand(-1, 16, -1, -1, -1)
    for measured in (measures.acceleration, measures.flicker, measures.speed):
        assert measured(still).abs().max() < 1e-4


def test_other_colours_flicker_and_motion_does_not(real):
    changed = real.frames.clone()
    changed[:, 1::2] = changed[:, 1::2].flip(2)  # red for blue in every other frame
    moves = measures.flicker(real.frames)
    tinted = (real.frames[:, 0, 0] - real.frames[:, 0, 2]).abs().amax(dim=(1, 2)) > 0.8
    assert tinted.any() and (measures.flicker(changed)[tinted] > 3 * moves[tinted]).all()


@pytest.mark.parametrize("gone", [0, 7, 15])
def test_a_glyph_that_vanishes_in_one_frame_is_not_permanent(real, gone):
    holes = real.frames.clone()
    holes[:, gone] = -1
    assert not measures.permanent(holes).any()
    assert not measures.permanent(torch.full((2, 5, 3, 32, 32), -1.0)).any(), "an empty clip shows nothing permanent"


def test_a_second_glyph_that_comes_and_goes_is_not_permanent(real):
    doubled = real.frames.clone()
    doubled[:, 5:8] = torch.maximum(doubled[:, 5:8], doubled[:, 5:8].flip(3, 4).roll(9, dims=4))
    doubled[:, 5:8] = torch.maximum(doubled[:, 5:8], doubled[:, 5:8].roll((11, 13), dims=(3, 4)))
    assert measures.permanent(doubled).float().mean() < 0.5


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (torch.zeros(2, 2, 3, 32, 32), "at least three frames"),
        (torch.zeros(2, 5, 1, 32, 32), "in colour"),
        (torch.zeros(5, 3, 32, 32), "at least three frames"),
        (torch.full((1, 3, 3, 8, 8), torch.nan), "NaN"),
        (torch.rand(1, 3, 3, 8, 8) * 255, "divide by 127.5"),
    ],
)
def test_other_clips_are_refused(bad, says):
    with pytest.raises(ValueError, match=says):
        measures.acceleration(bad)


def test_labels_must_be_as_many_as_clips(real):
    with pytest.raises(ValueError, match=r"labels must be int64 of shape \[40\]"):
        measures.measure(real.frames, real.labels[:3], zoo.load("attributes_classifier"))


# ------------------------------------------------------------------------------------------ walks


def test_the_arc_agrees_with_a_rotation_in_its_plane():
    a, b = torch.tensor([3.0, 0.0, 0.0]), torch.tensor([0.0, 3.0, 0.0])
    t = torch.linspace(0, 1, 7)
    angle = t * torch.pi / 2
    expected = 3 * torch.stack([angle.cos(), angle.sin(), 0 * angle], dim=1)
    torch.testing.assert_close(walks.spherical(a, b, t), expected, atol=1e-5, rtol=0)
    assert walks.linear(a, b, t)[3].norm() < 2.2


def test_the_arc_keeps_shapes_and_equal_ends():
    a = torch.randn(2, 3, 4)
    assert walks.spherical(a, a, torch.tensor([0.0, 0.5, 1.0])).shape == (3, 2, 3, 4)
    assert torch.allclose(walks.spherical(a, 2 * a, torch.tensor([0.5]))[0], 1.5 * a)


# ------------------------------------------------------------------------------------------ network


def noisy(unet, count=2, frames=6):
    return torch.randn(count, frames, 3, 32, 32, generator=torch.Generator().manual_seed(5))


def test_frames_see_each_other_only_over_time(unet):
    x, t, labels = noisy(unet), torch.tensor([0.3, 0.8]), torch.tensor([1, 4])
    other = x.clone()
    other[:, 0] += 1.0
    for over_time in (False, True):
        change = (unet(x, t, labels, over_time) - unet(other, t, labels, over_time)).abs().amax(dim=(2, 3, 4))
        assert (change[:, 0] > 1e-3).all()
        assert (change[:, 1:] > 1e-5).all() if over_time else (change[:, 1:] == 0).all()


def test_clips_of_a_batch_do_not_see_each_other(unet):
    x, t, labels = noisy(unet), torch.tensor([0.3, 0.8]), torch.tensor([1, 4])
    torch.testing.assert_close(unet(x, t, labels)[1:], unet(x[1:], t[1:], labels[1:]), atol=1e-4, rtol=1e-4)


def test_without_its_layers_over_time_it_takes_pictures_one_by_one(unet):
    x = noisy(unet)
    whole = unet(x, 0.5, torch.tensor([3, 3]), over_time=False)
    single = unet(x.flatten(0, 1)[:, None], 0.5, torch.full((12,), 3), over_time=False)
    torch.testing.assert_close(whole.flatten(0, 1), single[:, 0], atol=1e-4, rtol=1e-4)


def test_attention_over_time_agrees_with_pytorchs_own():
    torch.manual_seed(0)
    layer = network.Attention(16, 5)
    torch.nn.init.normal_(layer.out.weight)
    x = torch.randn(10, 16, 3, 2)
    theirs = torch.nn.MultiheadAttention(16, layer.heads, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(layer.into.weight)
        theirs.in_proj_bias.copy_(layer.into.bias)
        theirs.out_proj.weight.copy_(layer.out.weight)
        theirs.out_proj.bias.copy_(layer.out.bias)
        tokens = layer.norm(x).view(2, 5, 16, 6).permute(0, 3, 1, 2).reshape(12, 5, 16) + layer.position
        expected = theirs(tokens, tokens, tokens)[0].view(2, 6, 5, 16).permute(0, 2, 3, 1).reshape(x.shape)
        torch.testing.assert_close(layer(x, 5) - x, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("x", "t", "labels", "says"),
    [
        (torch.zeros(1, 7, 3, 32, 32), 0.5, None, "1 to 6"),
        (torch.zeros(1, 4, 1, 32, 32), 0.5, None, "1 to 6"),
        (torch.zeros(4, 3, 32, 32), 0.5, None, "N, T, C, H, W"),
        (torch.zeros(2, 4, 3, 32, 32), torch.rand(3), None, "one for each of 2 clips"),
        (torch.zeros(2, 4, 3, 32, 32), 0.5, torch.tensor([3, 11]), "labels"),
    ],
)
def test_other_inputs_are_refused(unet, x, t, labels, says):
    with pytest.raises(ValueError, match=says):
        unet(x, t, labels)


def test_sampling_follows_a_field_that_is_known():
    """Towards one clip the velocity is (x - clip) / t at all times: such steps arrive there exactly."""

    class Known:
        frames, picture_shape = 4, (3, 32, 32)

        def __init__(self):
            self.target = torch.rand(2, 4, 3, 32, 32) * 2 - 1

        def __call__(self, x, t, labels=None, over_time=True):
            return (x - self.target) / t

    known = Known()
    noise = torch.randn(2, 4, 3, 32, 32)
    for steps, guidance in ((1, 1.0), (5, 1.0), (5, 3.0)):
        made = network.sample.__wrapped__(known, noise, torch.tensor([0, 1]), steps, guidance)
        torch.testing.assert_close(made, known.target, atol=1e-4, rtol=0)


def test_sampling_is_of_second_order():
    """dx/dt = t x has the solution x(0) = x(1) exp(-1/2): twice the steps make a quarter of the error."""

    def field(x, t, labels=None, over_time=True):
        return t * x

    noise = torch.full((1, 1, 3, 4, 4), 0.8)
    exact = 0.8 * math.exp(-0.5)
    errors = [abs(network.sample.__wrapped__(field, noise, None, n, 1.0).mean().item() - exact) for n in (8, 16, 32)]
    assert 3 < errors[0] / errors[1] < 5 and 3 < errors[1] / errors[2] < 5, errors


def test_shared_noise_has_the_variance_and_the_correlation_that_it_should(unet):
    own = network.draw_noise(unet, 40, seed=3)
    for shared in (0.0, 0.4, 1.0):
        noise = network.draw_noise(unet, 40, seed=3, shared=shared)
        assert noise.var() == pytest.approx(1, abs=0.02)
        assert (noise[:, 0] * noise[:, 2]).mean() == pytest.approx(shared, abs=0.02), "between frames of a clip"
        assert (noise[0::2, 0] * noise[1::2, 0]).mean() == pytest.approx(0, abs=0.03), "between clips"
        assert (noise * own).mean() == pytest.approx((1 - shared) ** 0.5, abs=0.02)
    with pytest.raises(ValueError, match="shared must be"):
        network.draw_noise(unet, 1, shared=1.5)


def test_shifted_times_keep_the_ends_and_lean_to_the_noise():
    t = network.shifted(torch.linspace(0, 1, 5))
    assert t[0] == 0 and t[-1] == 1 and (t.diff() > 0).all() and t[2] == pytest.approx(0.75)


# ------------------------------------------------------------------------------------------ its training


@pytest.fixture
def short_run(monkeypatch):
    """A recipe of a small network, eight steps long."""
    monkeypatch.setattr(recipe, "MEASURED", 4)
    monkeypatch.setattr(recipe, "SpaceTimeUNet", partial(network.SpaceTimeUNet, width=8, deep=16))
    return lambda: recipe.MovingGlyphsRun(0, 8, OneProcess(), recipe.MovingGlyphsSettings(clips=2, pictures=3))


def test_the_recipe_repeats_itself_and_says_what_it_measured(tmp_path, short_run):
    cards = []
    for _ in range(2):
        run = short_run()
        shown = [run.step() for _ in range(3)]
        assert all(set(row) == {"clips", "pictures"} and all(v.isfinite() for v in row.values()) for row in shown)
        cards.append(run.finish(tmp_path, {"recipe": "a trial"}))
    assert cards[0] == cards[1]
    found = cards[0]["metrics"]
    assert found["clips_of_each"] == 4 and found["real"]["permanent"] == 1.0
    kinds = [f"{kind}_{noise}_noise" for kind in ("clips", "frame_by_frame") for noise in ("fresh", "shared")]
    assert all(found[kind].keys() == found["real"].keys() for kind in kinds)


def test_the_recipe_goes_on_from_its_checkpoint_bit_for_bit(tmp_path, short_run):
    whole, first, second = short_run(), short_run(), short_run()
    for run, steps in ((whole, 3), (first, 1)):
        for _ in range(steps):
            run.step()
    first.save(tmp_path / "checkpoint")
    second.resume(tmp_path / "checkpoint")
    for _ in range(2):
        second.step()
    pairs = zip(whole.unet.network.parameters(), second.unet.network.parameters(), strict=True)
    assert second.done == 3 and all(torch.equal(a, b) for a, b in pairs)


def test_both_kinds_of_layers_learn(short_run):
    run = short_run()
    before = {name: p.clone() for name, p in run.unet.network.named_parameters()}
    for _ in range(4):  # behind layers that begin at 0, the first steps change nothing
        run.step()
    still = [name for name, p in run.unet.network.named_parameters() if torch.equal(p, before[name])]
    assert not still
