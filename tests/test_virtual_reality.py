"""Chapter 13's parts: two eyes, poles, an enlarger without a seam, and a page in one file."""

from __future__ import annotations

import base64
import io
import json
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

from gan_course import panorama, recipes, zoo
from gan_course.data.scenes import Scene, draw_scenes
from gan_course.panorama import Enlarger, calm_poles, enlarged, export_webxr, parallax, spread_by_row, stereo_pair
from gan_course.panorama.page import LARGEST, VIEWER
from gan_course.recipes import enlargers


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


TWO_VIEWS = slice(1, 7)  # of 8 rows: the outermost lie within 15 degrees of a pole, where the eyes are one


def depth_for(columns: float, eyes: float = 0.063) -> torch.Tensor:
    """``[8, 1]``: how far something is in each of 8 rows of 16 pixels whose parallax is so many columns.

    The triangle, the other way round: along the ground, and from there along the ray.
    """
    elevation = torch.deg2rad(torch.tensor([78.75, 56.25, 33.75, 11.25, -11.25, -33.75, -56.25, -78.75]))[:, None]
    return eyes / 2 / math.sin(2 * math.pi * columns / 16) / elevation.cos()


# ------------------------------------------------------------------------------------------ two eyes


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_at_one_depth_everything_moves_by_the_triangle_s_angle(columns):
    picture = noise(2, 3, 8, 16)
    depth = (depth_for(columns) if columns < 4 else torch.tensor(0.001)).expand(2, 1, 8, 16)
    moved = min(columns, 4)  # a quarter of a turn is the most
    for eye, wanted in zip(
        stereo_pair(picture, depth), (picture.roll(moved, -1), picture.roll(-moved, -1)), strict=True
    ):
        torch.testing.assert_close(eye[..., TWO_VIEWS, :], wanted[..., TWO_VIEWS, :], atol=1e-4, rtol=0)
        torch.testing.assert_close(eye[..., [0, 7], :], picture[..., [0, 7], :], atol=1e-4, rtol=0)


@pytest.mark.parametrize("eyes", [0.063, 1.0])
def test_a_ray_from_the_moved_eye_meets_the_thing(eyes):
    """In space: the eye that looks to azimuth ``a`` stands half of ``eyes`` to its left, and what it sees is ahead."""
    g = torch.Generator().manual_seed(0)
    depth = 2 + 20 * torch.rand(64, 128, generator=g, dtype=torch.float64)
    a = parallax(depth, eyes) * (2 * math.pi / 128)
    elevation = torch.deg2rad(90 - (torch.arange(64, dtype=torch.float64)[:, None] + 0.5) * 180 / 64)
    east, north = torch.zeros_like(depth), depth * elevation.cos()  # the thing, seen from the middle: due north
    eye_east, eye_north = -eyes / 2 * a.cos(), eyes / 2 * a.sin()
    sideways = (east - eye_east) * a.cos() - (north - eye_north) * a.sin()
    ahead = (east - eye_east) * a.sin() + (north - eye_north) * a.cos()
    level = elevation.abs().rad2deg()[:, 0] <= 60  # farther up and down the eyes draw together
    assert sideways[level].abs().max() < 1e-9 and (ahead[level] > 0).all()
    assert (sideways[~level] > 0).all(), "nearer to a pole the eyes are less far apart"


def test_around_the_poles_the_eyes_draw_together():
    moves = parallax(torch.full((512, 1024), 3.0))[:, 0]
    torch.testing.assert_close(moves, moves.flip(0))
    elevation = (90 - (torch.arange(512) + 0.5) / 512 * 180).abs()
    along = 3.0 * torch.deg2rad(elevation).cos()
    share = torch.sin(moves * (2 * math.pi / 1024)) * along / (0.063 / 2)  # of the way between the eyes that is left
    torch.testing.assert_close(share[elevation <= 60], torch.ones(int((elevation <= 60).sum())), atol=1e-4, rtol=0)
    falls = share[(elevation > 60) & (elevation < 75)][:40]  # from above: toward the horizon
    assert (falls.diff() > 0).all() and falls[0] < 0.1 and falls[-1] > 0.95
    assert moves[elevation >= 75].abs().max() < 1e-6


def test_the_ground_moves_by_its_distance_along_it():
    """2.5 m below the eye and half way down, it is 2.5 m away, whatever is measured along the ray."""
    row = 384  # its middle lies half a pixel below 45 degrees
    angle = math.radians(45 + 90 / 512)
    depth = torch.full((512, 1024), 2.5 / math.sin(angle))
    wanted = math.asin(0.0315 / (2.5 / math.tan(angle))) * 1024 / (2 * math.pi)
    moved = parallax(depth)[row, 0].item()
    assert moved == pytest.approx(wanted, rel=1e-5) and moved == pytest.approx(2.065, abs=0.005)


def test_half_a_column_lies_between_its_neighbours():
    picture, depth = noise(3, 8, 16), depth_for(0.5).expand(1, 8, 16)
    for eye, move in zip(stereo_pair(picture, depth), (1, -1), strict=True):
        wanted = (picture + picture.roll(move, -1)) / 2
        torch.testing.assert_close(eye[:, TWO_VIEWS], wanted[:, TWO_VIEWS], atol=1e-4, rtol=0)


def test_the_sky_stays_and_wider_eyes_see_more():
    far = torch.full((1, 32, 64), 300.0)
    picture = noise(3, 32, 64)
    for eye in stereo_pair(picture, far):
        torch.testing.assert_close(eye, picture, atol=0.01, rtol=0)
    assert (parallax(far, 0.5) > parallax(far))[:, 3:-3].all(), "but for the poles, where both are 0"


def test_the_near_hides_the_far_and_the_hole_is_filled_with_the_far():
    """A red post before a sky in greys, at the seam of the panorama, too."""
    for place in (8, 15):
        sky = torch.linspace(-0.5, 0.5, 16).expand(3, 8, 16).clone()
        picture, depth = sky.clone(), torch.full((1, 8, 16), 1e6)
        picture[:, :, place] = torch.tensor([1.0, -1.0, -1.0])[:, None]
        depth[:, :, place] = depth_for(2)[:, 0]
        left, right = (eye[:, TWO_VIEWS] for eye in stereo_pair(picture, depth))
        for eye, move in ((left, 2), (right, -2)):
            red = (eye[0] > 0.9) & (eye[1] < -0.9)
            assert red[:, (place + move) % 16].all() and red.sum() == 6, "one post, moved by two"
            rest = eye[:, :, [c for c in range(16) if c != (place + move) % 16]]
            assert (rest[0] - rest[1]).abs().max() < 1e-3, "no red anywhere else: holes show the sky"


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_a_search_through_all_pixels(seed):
    """Brute force: a new pixel shows the nearest of all that came there, and of all gaps' farther ends."""
    g = torch.Generator().manual_seed(seed)
    steps = torch.randint(0, 4, (16,), generator=g).tolist()
    picture = noise(3, 8, 16)
    depth = torch.cat([depth_for(s) if s else torch.full((8, 1), 1e9) for s in steps], dim=1)[None] * (1 + 1e-5)
    left = stereo_pair(picture, depth)[0][:, TWO_VIEWS]
    picture = picture[:, TWO_VIEWS]
    for column in range(16):
        found = [(steps[i], i) for i in range(16) if (i + steps[i] - column) % 16 == 0]
        for i in range(16):
            a, b = steps[i], steps[(i + 1) % 16]
            if any(i + a <= column + turn < i + 1 + b for turn in (-16, 0, 16)):
                found.append((a, i) if a <= b else (b, (i + 1) % 16))
        best = max(move for move, _ in found)
        errors = [(left[:, :, column] - picture[:, :, i]).abs().max() for move, i in found if move == best]
        assert min(errors) < 1e-2


def test_what_no_pair_can_be_made_of():
    picture = noise(3, 8, 16)
    with pytest.raises(ValueError, match="twice as wide as high but this has 15 columns and 8 rows"):
        stereo_pair(picture[:, :, :15], torch.ones(1, 8, 15))
    with pytest.raises(ValueError, match=r"depth must be a tensor of shape \[1, 8, 16\].*enlarge it"):
        stereo_pair(picture, torch.ones(1, 4, 8))
    for bad in (torch.zeros(1, 8, 16), torch.full((1, 8, 16), -1.0), torch.full((1, 8, 16), math.nan)):
        with pytest.raises(ValueError, match="metres above 0"):
            stereo_pair(picture, bad)
    with pytest.raises(ValueError, match=r"depth must be a tensor of shape \[\.\.\., H, 2 H\].*all of a panorama"):
        parallax(torch.ones(16))
    with pytest.raises(ValueError, match="eyes must be a finite number above 0"):
        stereo_pair(picture, torch.ones(1, 8, 16), eyes=0)


# ------------------------------------------------------------------------------------------ poles


def test_a_row_near_a_pole_keeps_its_share_and_its_mean():
    picture = noise(2, 3, 64, 128)
    calm = calm_poles(picture, reach=10)
    torch.testing.assert_close(calm.mean(-1), picture.mean(-1), atol=1e-5, rtol=0)
    kept = (spread_by_row(calm) / spread_by_row(picture)).mean(0)
    angles = (np.arange(64) + 0.5) / 64 * math.pi
    wanted = np.minimum(1, np.sin(angles) / math.sin(math.radians(10)))
    np.testing.assert_allclose(kept.numpy(), wanted, atol=1e-4)
    assert torch.equal(calm_poles(picture[0], reach=10), calm[0])


def test_spread_is_a_standard_deviation():
    picture = noise(2, 3, 4, 8)
    np.testing.assert_allclose(spread_by_row(picture).numpy(), picture.numpy().std(axis=3).mean(axis=1), rtol=1e-5)
    assert (spread_by_row(torch.full((1, 3, 4, 8), 0.3)) < 1e-6).all()


def test_poles_of_what():
    with pytest.raises(ValueError, match="twice as wide as high"):
        calm_poles(noise(3, 64, 64))
    for reach in (0, 91, math.nan):
        with pytest.raises(ValueError, match="reach must be a finite number above 0 and at most 90"):
            calm_poles(noise(3, 8, 16), reach)


# ------------------------------------------------------------------------------------------ the enlarger


def lively() -> Enlarger:
    """An enlarger whose every layer has something to say."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Enlarger(8, 1)
        for block in network.blocks:
            torch.nn.init.normal_(block.conv2.weight, std=0.1)
    return network.requires_grad_(False)


def test_a_panorama_that_is_turned_comes_out_turned():
    network, picture = lively(), noise(1, 3, 8, 16)
    made = network(picture)
    assert made.shape == (1, 3, 64, 128)
    for columns in (1, 5):
        torch.testing.assert_close(network(picture.roll(columns, -1)), made.roll(8 * columns, -1), atol=1e-5, rtol=0)


def test_chance_decides_what_is_left_open():
    network, picture = lively(), noise(1, 3, 8, 16)
    one, same, other = (network(picture, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other) and not torch.allclose(one, network(picture))


def test_straight_lines_between_the_pixels():
    ramp = torch.arange(8.0)[None, None, :, None].expand(1, 3, 8, 16)
    large = enlarged(ramp)
    torch.testing.assert_close(large[0, 0, :, 0], (torch.arange(64) + 0.5).div(8).sub(0.5).clamp(0, 7))
    picture = noise(1, 3, 8, 16)
    torch.testing.assert_close(enlarged(picture.roll(3, -1)), enlarged(picture).roll(24, -1), atol=1e-6, rtol=0)


def test_what_an_enlarger_can_not_take():
    with pytest.raises(ValueError, match=r"\[N, 3, H, W\]"):
        lively()(noise(1, 1, 8, 16))


# ------------------------------------------------------------------------------------------ the page


@pytest.fixture(scope="module")
def place() -> torch.Tensor:
    return draw_scenes([Scene("sea", "dusk", "clouds", "west", "lighthouse", "north")], 1).images


def parts(path) -> list[dict]:
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script id="places" type="application/json">(.*?)</script>', text, re.S)[1])


def test_the_page_holds_the_pictures_and_asks_for_nothing(place, tmp_path):
    size = export_webxr(place, tmp_path / "a.html", right=-place, names="The <b>lighthouse</b> & more</script>")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert size == len(text.encode()) <= LARGEST
    (found,) = parts(tmp_path / "a.html")
    assert found["name"] == "The <b>lighthouse</b> & more</script>"
    for side, wanted in (("left", place[0]), ("right", -place[0])):
        data = base64.b64decode(found[side].removeprefix("data:image/jpeg;base64,"))
        picture = np.asarray(Image.open(io.BytesIO(data)), dtype=float) / 127.5 - 1
        assert picture.shape == (64, 128, 3)
        assert np.abs(picture - wanted.permute(1, 2, 0).numpy()).mean() < 0.03
    assert text.count("<script") == 2 and "src=" not in text.replace(VIEWER.read_text(encoding="utf-8"), "")
    assert "default-src 'none'" in text


def test_the_viewer_fits_into_a_script_and_its_licence_lies_beside_it():
    viewer = VIEWER.read_text(encoding="utf-8")
    assert len(viewer) < 570_000
    assert "</script" not in viewer.lower() and "<!--" not in viewer
    assert "MIT License" in (VIEWER.parent / "LICENSE").read_text(encoding="utf-8")
    assert "three.js authors" in (VIEWER.parent / "LICENSE").read_text(encoding="utf-8")


def test_several_places_and_one_eye(place, tmp_path):
    export_webxr(torch.cat([place, -place]), tmp_path / "two.htm", names=["here", "there"])
    assert [set(each) for each in parts(tmp_path / "two.htm")] == [{"name", "left"}] * 2
    export_webxr(place[0], tmp_path / "one.html")
    assert len(parts(tmp_path / "one.html")) == 1


def test_a_large_place_is_compressed_until_it_fits(tmp_path):
    grain = noise(1, 3, 512, 1024) * 0.6
    assert export_webxr(grain, tmp_path / "a.html") <= LARGEST
    with pytest.raises(ValueError, match=r"4 places make a page of .* MB, more than 2: take fewer"):
        export_webxr(grain.expand(4, -1, -1, -1), tmp_path / "b.html", names=list("abcd"))
    assert not (tmp_path / "b.html").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"path": "a.png"}, r"can't write a page to a\.png: give it a name that ends in \.html"),
        ({"path": "a"}, r"ends in \.html"),
        ({"panorama": noise(3, 64, 64)}, "twice as wide as high but this has 64 columns and 64 rows"),
        ({"panorama": noise(1, 64, 128)}, "panorama must be pictures of 3 channels"),
        ({"panorama": noise(3, 64, 128) * 127 + 127}, "divide by 127.5"),
        ({"panorama": torch.full((3, 64, 128), math.nan)}, "NaN"),
        ({"panorama": noise(3, 64, 128), "right": noise(3, 32, 64)}, "right must be a tensor of shape"),
        ({"panorama": noise(2, 3, 64, 128)}, "there are 2 places but 1 names"),
        ({"names": [1]}, "a prompt must be a string"),
    ],
)
def test_what_can_not_become_a_page(place, tmp_path, monkeypatch, change, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError), match=sentence):
        export_webxr(**{"panorama": place, "path": "a.html"} | change)
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written(place, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="can't write "):
        export_webxr(place, tmp_path / "file" / "a.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OSError, match="this one is a folder"):
        export_webxr(place, tmp_path / "folder.html")


@pytest.mark.parametrize("name", panorama.REAL)
def test_real_panoramas(name):
    picture = panorama.real_panorama(name)
    assert picture.shape == (3, 256, 512) and -1 <= picture.min() < -0.5 and 0.5 < picture.max() <= 1
    with pytest.raises(ValueError, match="there is no real panorama 'prak': did you mean 'park'"):
        panorama.real_panorama("prak")


def test_the_module_says_what_it_holds():
    assert all(hasattr(panorama, name) for name in panorama.__all__)


# ------------------------------------------------------------------------------------------ the recipes


@pytest.fixture
def tiny(monkeypatch):
    """Settings with which a training is over in a moment."""
    small = {"pictures": 2, "batch": 2, "width": 8, "blocks": 1}
    monkeypatch.setattr(enlargers.EnlargerRun, "settings", enlargers.EnlargerSettings(**small))
    judged = enlargers.JudgedSettings(**small, discriminator_first=1)
    monkeypatch.setattr(enlargers.JudgedEnlargerRun, "settings", judged)
    monkeypatch.setattr(enlargers, "measure", lambda network, with_noise: {"with_noise": with_noise})


def test_both_enlargers_are_made_one_after_the_other(tiny, tmp_path):
    with pytest.raises(FileNotFoundError, match="run gan-course train enlarger_l1 first"):
        recipes.train("enlarger_adversarial", tmp_path, tmp_path / "runs" / "a", steps=2)
    for name in ("enlarger_l1", "enlarger_adversarial"):
        card = recipes.train(name, tmp_path, tmp_path / "runs" / name, steps=3)
        assert card["metrics"] == {"with_noise": name == "enlarger_adversarial"}
        assert isinstance(zoo.load(name, tmp_path), Enlarger)
    one, two = (zoo.load(name, tmp_path).last.weight for name in ("enlarger_l1", "enlarger_adversarial"))
    assert not torch.equal(one, two) and torch.allclose(one, two, atol=0.05), "the second goes on from the first"


def test_a_training_that_was_stopped_goes_on_as_if_nothing_had_happened(tiny, tmp_path):
    first = Enlarger(8, 1)
    whole, half, rest = (enlargers.JudgedEnlargerRun(0, 4, first) for _ in range(3))
    for _ in range(4):
        whole.step()
    for _ in range(2):
        half.step()
    half.save(tmp_path / "half")
    rest.resume(tmp_path / "half")
    for _ in range(2):
        rest.step()
    for a, b in zip(whole.enlarger.network.parameters(), rest.enlarger.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_crops_of_a_pair_show_the_same_place(tiny):
    run = enlargers.EnlargerRun(0, 4)
    small, large = run.batch(torch.Generator().manual_seed(1))
    assert small.shape == (2, 3, 16, 24) and large.shape == (2, 3, 128, 128)
    shrunk = torch.nn.functional.avg_pool2d(large, 8)
    agree = torch.corrcoef(torch.stack([small[..., 4:-4].flatten(), shrunk.flatten()]))[0, 1]
    assert agree > 0.8


def test_the_discriminator_brings_the_texture_back():
    """What the cards of the networks that ship say."""
    smooth, sharp = (zoo.card(f"enlarger_{name}")["metrics"] for name in ("l1", "adversarial"))
    assert sharp["patch_distance"] <= smooth["patch_distance"] / 2
    assert smooth["error"] < sharp["error"], "the absolute error is the smaller where it is all that counts"
    assert sum(zoo.card(f"enlarger_{name}")["bytes"] for name in ("l1", "adversarial")) < 2_500_000
