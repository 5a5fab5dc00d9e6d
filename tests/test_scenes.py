"""Scenes: the same by seed, without seam or pole, with true depth, twins that share it, captions that parse back."""

import hashlib
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_course import data
from gan_course.data import scene_captions, scenes, views
from gan_course.data.landscape import rays


@pytest.fixture(scope="module")
def some():
    return data.load("scenes", count=100, seed=0, held_out=None, depth=True)


def digest(images):
    return hashlib.sha256((images * 127.5).round().to(torch.int8).numpy().tobytes()).hexdigest()


def test_form(some):
    assert some.images.shape == (100, 3, 64, 128) and some.depth.shape == (100, 1, 64, 128)
    assert some.images.dtype == some.depth.dtype == torch.float32
    data.check_images(some.images)
    assert some.images.amin() < -0.9 and some.images.amax() > 0.95
    assert some.class_names == scenes.LANDS and len(some.captions) == len(some.records) == len(some.seeds) == 100
    assert [some.class_names[i] for i in some.labels] == [record.land for record in some.records]
    assert some.depth.min() > 2 and some.depth.max() == rays.FAR == 300
    assert data.load("scenes", count=1).depth is None


def test_a_selection_keeps_what_belongs_to_its_pictures(some):
    few = some[torch.tensor([7, 3])]
    assert few.records == (some.records[7], some.records[3]) and few.seeds == ((0, 7), (0, 3))
    assert torch.equal(few.depth, some.depth[[7, 3]]) and few.captions == (some.captions[7], some.captions[3])
    assert isinstance(some.split(10)[1], scenes.Scenes) and len(some.split(10)[1].records) == 90


def test_same_seed_same_pictures_in_any_process(some):
    code = (
        "import hashlib, torch; from gan_course import data; "
        "x = data.load('scenes', count=6, held_out=None).images; "
        "print(hashlib.sha256((x * 127.5).round().to(torch.int8).numpy().tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == digest(some.images[:6])
    other = data.load("scenes", count=6, seed=1, held_out=None)
    assert digest(other.images) != digest(some.images[:6])
    same_words = scenes.draw_scenes(some.records[:6], 1)
    assert (same_words.images - some.images[:6]).abs().mean((1, 2, 3)).min() > 0.02


def test_does_not_touch_the_global_random_states():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    data.load("scenes", count=1)
    first = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert first == (torch.rand(1), np.random.rand())  # noqa: NPY002


def test_no_seam(some):
    """The step across the edge against the mean step between neighbouring columns, over 100 pictures.

    Sun and thing make steps of their own, so that each picture comes in four turns and no heading counts for more.
    """
    turned = [scenes.turn(record, i) for record in some.records[:25] for i in range(4)]
    pictures = scenes.draw_scenes(turned, [(0, i // 4) for i in range(100)], depth=True)

    def seam(images):
        steps = (images - images.roll(1, dims=3)).abs().mean((0, 1, 2))  # column 0: across the edge
        return float(steps[0] / steps[1:].mean())

    assert seam(pictures.images) <= 1.1
    assert seam(pictures.depth.log()) <= 1.3  # a few pixels at the rims of trees decide it
    assert seam(pictures.images[..., 20:]) > 2  # it does find a seam


def test_poles_are_of_one_colour(some):
    """The spread along the top and the bottom row, of a colour range of 2."""
    spread = some.images.std(dim=3).mean((0, 1))
    assert spread[0] < 0.03 and spread[-1] < 0.05
    assert spread[20] > 2 * spread[0]


def test_twins_share_the_ground(some):
    few = some[:12]
    for changes in ({"time": "night"}, {"sky": "snow"}, {"time": "dusk", "sky": "fog", "light": "east"}):
        twin = few.twin(**changes)
        assert torch.equal(twin.depth, few.depth)
        assert twin.records == tuple(replace(record, **changes) for record in few.records)
    assert few[:3].twin().images.equal(few[:3].images)
    assert (few.twin(time="noon").images.mean() - few.twin(time="night").images.mean()) > 0.5
    with pytest.raises(ValueError, match=r"there is no sky 'rainy': did you mean 'rain'\?"):
        few.twin(sky="rainy")


def test_a_larger_picture_shows_the_same():
    small = data.load("scenes", count=12, seed=4)
    large = data.load("scenes", count=12, seed=4, height=128)
    assert large.images.shape == (12, 3, 128, 256)
    a = small.images.flatten(1)
    b = torch.nn.functional.avg_pool2d(large.images, 2).flatten(1)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    assert ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).min() > 0.8


def test_texture_on_every_scale(some):
    """Fine steps between neighbouring pixels in every land, by day, in the lower half."""
    noon = some.twin(time="noon", sky="clear").images[:, :, 34:56]
    steps = (noon[..., 1:] - noon[..., :-1]).abs().mean((1, 2, 3))
    for land in range(len(scenes.LANDS)):
        assert steps[some.labels == land].mean() > 0.03


def test_depth_is_that_of_a_plane_below_the_horizon_and_the_thing_stands_in_it():
    bare = scenes.draw_scenes([scenes.Scene("sea", "noon", "clear", "north")], 3, depth=True)
    below = (torch.arange(64)[40:] + 0.5) * math.pi / 64 - math.pi / 2
    plane = (rays.EYE / below.sin())[:, None].expand(-1, 128)
    assert torch.allclose(bare.depth[0, 0, 40:], plane, rtol=1e-4)
    assert (bare.depth[0, 0, :24] == 300).all()
    for thing in scenes.THINGS[:-1]:
        record = scenes.Scene("sea", "noon", "clear", "north", thing, "east")
        differs = scenes.draw_scenes([record], 3, depth=True).depth[0, 0] != bare.depth[0, 0]
        columns = differs.any(0).nonzero().flatten()
        assert differs.sum() >= 8, thing
        assert 80 <= columns.min() and columns.max() <= 111, thing  # around column 96


@pytest.mark.parametrize("heading", scenes.DIRECTIONS)
def test_sun_and_moon_stand_where_they_should(heading):
    """The brightest columns of the upper half lie within an eighth of the panorama's width.

    Not under clouds: white ones are as bright as the glow, though not as warm.
    """
    column = {"north": 64, "east": 96, "south": 0, "west": 32}[heading]
    for time in scenes.TIMES:
        for sky in ("clear", "fog", "rain", "snow"):
            record = scenes.Scene("sea", time, sky, heading)
            upper = scenes.draw_scenes([record] * 3, 5).images[:, :, :32].mean((0, 1, 2))
            glow = torch.stack([upper.roll(i) for i in range(-6, 7)]).mean(0)
            off = (int(glow.argmax()) - column + 64) % 128 - 64
            assert abs(off) <= 16, (time, sky, off)


# ------------------------------------------------------------------------------------------------- records


def test_unknown_words_name_the_nearest():
    with pytest.raises(ValueError, match=r"there is no land 'dessert': did you mean 'desert'\?"):
        scenes.Scene("dessert", "noon", "clear", "north")
    with pytest.raises(ValueError, match="there is no time 'x': Known: dawn"):
        scenes.Scene("sea", "x", "clear", "north")
    with pytest.raises(ValueError, match=r"where is the tent\? Set place"):
        scenes.Scene("sea", "noon", "clear", "north", "tent")
    with pytest.raises(ValueError, match="no thing to stand in the east"):
        scenes.Scene("sea", "noon", "clear", "north", place="east")
    with pytest.raises(ValueError, match=r"did you mean 'scenes'"):
        data.load("scene")


@pytest.mark.parametrize("height", [60, 68, 0, -8, 4096])
def test_bad_sizes(height):
    with pytest.raises(ValueError, match="multiple of 8 from 64 to 2048 rows"):
        data.load("scenes", count=1, height=height)


def test_bad_counts():
    with pytest.raises(ValueError, match="count must be a whole number from 1 up"):
        data.load("scenes", count=0)
    with pytest.raises(ValueError, match="no scenes to draw"):
        scenes.draw_scenes([])
    with pytest.raises(ValueError, match="1 records need as many seeds, not 2"):
        scenes.draw_scenes(scenes.random_scenes(1), [(0, 0), (0, 1)])


def test_held_out_pairs_are_kept_apart_and_every_word_is_seen():
    seen, kept = scenes.random_scenes(3_000, seed=0), scenes.random_scenes(300, seed=0, held_out=True)
    assert not any(map(scenes.is_held_out, seen)) and all(map(scenes.is_held_out, kept))
    assert seen[:50] == scenes.random_scenes(50, seed=0)
    for field, values in scenes.FIELDS.items():
        counts = scenes.as_indices(seen)[:, list(scenes.FIELDS).index(field)].bincount(minlength=len(values))
        assert counts.min() > 200, field
    assert scenes.from_indices(scenes.as_indices(kept)) == kept
    share = sum(map(scenes.is_held_out, scenes.random_scenes(3_000, held_out=None))) / 3_000
    assert 0.2 < share < 0.5


def test_a_turned_record_is_that_of_the_rolled_panorama():
    record = scenes.Scene("sea", "noon", "clear", "north", "tent", "west")
    assert scenes.turn(record, 1) == scenes.Scene("sea", "noon", "clear", "east", "tent", "north")
    assert scenes.turn(record, -4) == record
    here = scenes.draw_scenes([record], 2).images.roll(32, dims=3)
    there = scenes.draw_scenes([scenes.turn(record, 1)], 2).images
    assert torch.corrcoef(torch.stack([here.flatten(), there.flatten()]))[0, 1] > 0.8


# ------------------------------------------------------------------------------------------------ captions


def test_plain_captions():
    record = scenes.Scene("sea", "dusk", "clouds", "west", "lighthouse", "east")
    plain = "a sea at dusk under clouds, the sun in the west, a lighthouse to the east"
    assert scene_captions.phrase(record) == plain
    assert scene_captions.phrase(record, {"time", "light"}) == "a sea under clouds, a lighthouse to the east"
    assert scene_captions.phrase(record, {"land", "sky", "place"}) == "a view at dusk, the sun in the west"
    assert "moon" in scene_captions.phrase(replace(record, time="night"))
    with pytest.raises(ValueError, match=r"there is no attribute 'ligth': did you mean 'light'\?"):
        scene_captions.phrase(record, {"ligth"})


@pytest.mark.parametrize("leave_out", [(), ("time",), ("land", "light"), ("sky", "place")])
def test_varied_captions_parse_back(leave_out):
    rng = np.random.default_rng(0)
    vocabulary = set(scene_captions.words())
    assert len(vocabulary) < 100
    sentences = set()
    for record in scenes.random_scenes(600, seed=1, held_out=None):
        sentence = scene_captions.describe(record, rng, leave_out)
        found = scene_captions.parse(sentence)
        told = dict(zip(scenes.FIELDS, (getattr(record, f) or "none" for f in scenes.FIELDS), strict=True))
        for field, value in told.items():
            if field in found:
                assert found[field] == value, sentence
            else:
                assert field in leave_out or value == "none" or (field in ("thing", "place") and "place" in leave_out)
        for field in leave_out:
            assert field not in found or (field, found[field]) == ("time", "night"), sentence  # the moon tells
        words = sentence.replace(",", " ,").split()
        assert set(words) <= vocabulary | {","} and len(words) + 2 <= scene_captions.LONGEST, sentence
        sentences.add(sentence)
    assert len(sentences) > 300


def test_a_contradiction_is_refused():
    with pytest.raises(ValueError, match="two values for land, 'sea' and 'desert'"):
        scene_captions.parse("a sea in a desert")


# --------------------------------------------------------------------------------------------------- views


def analytic(height):
    """A smooth panorama, the direction itself as colour, and that direction for each pixel."""
    view = rays.rays(height)
    y = np.broadcast_to(view.y, view.x.shape)
    return torch.from_numpy(np.stack([view.x, y, view.z]))[None]


@pytest.mark.parametrize(
    ("yaw", "pitch", "angle"), [(0, 0, 90), (180, 0, 60), (-90, 20, 90), (33, 90, 100), (5, -80, 40)]
)
def test_a_view_shows_its_directions(yaw, pitch, angle):
    seen = views.perspective(analytic(256), yaw, pitch, angle, size=33)[0]
    assert torch.allclose(seen.norm(dim=0), torch.ones(33, 33), atol=2e-3)
    a, b = math.radians(yaw), math.radians(pitch)
    ahead = torch.tensor([math.sin(a) * math.cos(b), math.sin(b), math.cos(a) * math.cos(b)])
    assert torch.allclose(seen[:, 16, 16], ahead, atol=2e-3)
    left, right, top = seen[:, 16, 0], seen[:, 16, -1], seen[:, 0, 16]
    half = math.radians(angle) / 2
    rim = math.atan(math.tan(half) * 32 / 33)  # the middle of the outermost pixel
    for side in (left, right, top):
        assert math.acos(float(side @ ahead)) == pytest.approx(rim, abs=4e-3)
    assert (right - left) @ torch.tensor([math.cos(a), 0, -math.sin(a)]) > 0  # the right of the view is to the right
    assert top[1] > seen[1, -1, 16] or abs(pitch) == 90


def test_a_view_has_the_shape_of_its_panorama():
    one = torch.rand(3, 64, 128)
    assert views.perspective(one, size=20).shape == (3, 20, 20)
    assert views.perspective(one[None].repeat(2, 1, 1, 1), size=20).shape == (2, 3, 20, 20)
    assert torch.allclose(views.perspective(one, yaw=360), views.perspective(one, yaw=-360))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"yaw": 361}, "yaw must lie between -360 and 360 degrees but is 361"),
        ({"pitch": -91}, "pitch must lie between -90 and 90"),
        ({"pitch": math.nan}, "pitch must be a finite number but is nan"),
        ({"field_of_view": 180}, "field_of_view must lie between 10 and 150"),
        ({"field_of_view": 0}, "field_of_view must lie between 10 and 150"),
        ({"size": 0}, "size must lie between 1 and 4096"),
    ],
)
def test_bad_views(options, words):
    with pytest.raises(ValueError, match=words):
        views.perspective(torch.zeros(3, 64, 128), **options)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 32, 100), (64, 128)])
def test_not_a_panorama(shape):
    with pytest.raises(ValueError, match="panorama"):
        views.perspective(torch.zeros(shape))
