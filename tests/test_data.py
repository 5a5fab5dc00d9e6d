"""Every offline data set by its name, the checks on images, and the small things that data sets can do."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from gan_course import data
from gan_course.data import photos, toy

PICTURES = {"digits": (1, 8, 8), "glyphs": (1, 28, 28), "photos": (3, 32, 32)}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name):
    options = {} if name == "digits" else {"count": 60}
    ds = data.load(name, **options)
    assert ds.name == name
    assert ds.images.dtype == torch.float32 and ds.images.shape[1:] == PICTURES[name]
    assert ds.images.min() >= -1 and ds.images.max() <= 1 and ds.images.std() > 0.2
    assert ds.labels.dtype == torch.int64 and ds.labels.shape == (len(ds),)
    assert 0 <= ds.labels.min() and ds.labels.max() < len(ds.class_names)
    data.check_images(ds.images)
    again = data.load(name, **options)
    assert torch.equal(again.images, ds.images) and torch.equal(again.labels, ds.labels)
    if name != "digits":
        assert len(ds) == 60
        assert not torch.equal(data.load(name, count=60, seed=1).images, ds.images)


@pytest.mark.parametrize("name", toy.NAMES)
def test_points(name):
    ds = data.load(name, count=500)
    assert ds.name == name and ds.images.shape == (500, 2) and ds.images.dtype == torch.float32
    assert 0.3 < ds.images.std() < 1.5 and ds.images.mean().abs() < 0.3
    data.check_images(ds.images)
    assert torch.equal(data.load(name, count=500).images, ds.images)
    assert not torch.equal(data.load(name, count=500, seed=1).images, ds.images)


def test_ring_points_lie_at_their_own_centre():
    ds = data.load("ring", count=400)
    distance = torch.cdist(ds.images, toy.ring_centres())
    assert torch.equal(distance.argmin(1), ds.labels) and distance.amin(1).max() < 0.3


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    ds = data.load("digits")
    bunch = load_digits()
    assert len(ds) == 1797
    np.testing.assert_allclose(((ds.images[:, 0] + 1) * 8).numpy(), bunch.images)
    assert ds.labels.tolist() == bunch.target.tolist()


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("glyph", "glyphs"), ("MNIST", "mnist"), ("zzz", None), ("fashion-mnist", "fashion_mnist"), ("digit", "digits")],
)
def test_unknown_name(wrong, near):
    with pytest.raises(ValueError, match=f"there is no data set '{wrong}'") as caught:
        data.load(wrong)
    assert "Known: ring, grid" in str(caught.value)
    assert ("did you mean" in str(caught.value)) == bool(near)
    if near:
        assert f"did you mean '{near}'?" in str(caught.value)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.full((2, 1, 4, 4), 255.0), r"must lie in \[-1, 1\] but reach 255: divide by 127.5 and subtract 1"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), "float tensor but is a uint8 tensor"),
        (np.zeros((2, 1, 4, 4)), "float tensor but is a float64 tensor"),
        (torch.full((2, 1, 4, 4), -1.5), "from -1.5 to -1.5"),
        (torch.full((2, 1, 4, 4), torch.nan), "NaN"),
        (torch.full((2, 1, 4, 4), torch.inf), "infinite"),
        (torch.zeros(0, 1, 4, 4), "empty"),
        (torch.zeros(2, 4, 4), r"\[2, 4, 4\]: add the missing axis with unsqueeze\(1\)"),
        (torch.full((3, 2), torch.nan), "NaN"),
    ],
)
def test_check_images_explains(images, words):
    with pytest.raises(ValueError, match=words) as caught:
        data.check_images(images)
    assert "\n" not in str(caught.value)


def test_check_images_accepts_the_whole_range_and_points_anywhere():
    data.check_images(torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1))
    data.check_images(torch.full((3, 2), 40.0))


def small(**changes):
    options = {"labels": torch.tensor([0, 1, 2, 1]), "class_names": tuple("abc"), "captions": tuple("wxyz"), **changes}
    return data.Dataset("small", torch.arange(4.0).reshape(4, 1, 1, 1) / 4, **options)


def test_only_keeps_pictures_labels_and_captions_together():
    ds = small().only(1)
    assert ds.images.flatten().tolist() == [0.25, 0.75] and ds.labels.tolist() == [1, 1] and ds.captions == ("x", "z")
    assert ds.class_names == tuple("abc")
    assert small().only(0, 2).captions == ("w", "y")


def test_only_explains():
    with pytest.raises(ValueError, match="has no labels"):
        small(labels=None).only(1)
    with pytest.raises(ValueError, match=r"no class 7: its classes are \[0, 1, 2\]"):
        small().only(1, 7)


def test_split():
    first, rest = small().split(3)
    assert (len(first), len(rest)) == (3, 1) and rest.captions == ("z",) and rest.labels.tolist() == [1]
    for wrong in (0, 4, -1):
        with pytest.raises(ValueError, match=f"after {wrong}: choose a number from 1 to 3"):
            small().split(wrong)


def test_draw_is_repeatable_and_with_replacement():
    images = torch.arange(5.0).reshape(5, 1)
    batch = data.draw(images, 200, torch.Generator().manual_seed(3))
    assert batch.shape == (200, 1) and set(batch.flatten().tolist()) == {0, 1, 2, 3, 4}
    assert torch.equal(batch, data.draw(images, 200, torch.Generator().manual_seed(3)))
    assert not torch.equal(batch, data.draw(images, 200, torch.Generator().manual_seed(4)))


@pytest.mark.parametrize("name", photos.names())
def test_photograph(name):
    whole = photos.photograph(name)
    assert whole.shape[0] == 3 and min(whole.shape[1:]) >= 300 and whole.dtype == torch.float32
    assert -1 <= whole.min() < -0.8 and 0.8 < whole.max() <= 1


def test_photographs_are_those_of_the_packages():
    """Through the packages' own readers: same pixels, the right way up."""
    import skimage.data
    from sklearn.datasets import load_sample_image

    for name, oracle in (("astronaut", skimage.data.astronaut()), ("flower", load_sample_image("flower.jpg"))):
        mine = ((photos.photograph(name) + 1) * 127.5).permute(1, 2, 0).numpy()
        np.testing.assert_allclose(mine, oracle, atol=0.01)


def test_photos_are_varied_crops_of_the_photograph_that_their_label_names():
    ds = photos.photos(size=16, count=80, seed=3)
    assert ds.images.shape == (80, 3, 16, 16) and ds.class_names == photos.names()
    assert len(set(ds.labels.tolist())) == len(photos.names()) >= 4
    for label, name in enumerate(ds.class_names):
        whole = photos.photograph(name).flatten(1)
        crops = ds.only(label).images
        assert (crops.amax((0, 2, 3)) <= whole.amax(1) + 0.05).all()
        assert (crops.amin((0, 2, 3)) >= whole.amin(1) - 0.05).all()
        assert torch.pdist(crops.flatten(1)).min() > 1


def test_crops_vary_in_scale_and_place_are_mirrored_and_do_not_alias(tmp_path, monkeypatch):
    """Two made-up photographs: a ramp that tells where a crop comes from, and a chequerboard of single pixels."""
    from PIL import Image

    y, x = np.mgrid[:300, :300]
    ramp = np.stack([x * 0.85, y * 0.85, 0 * x], 2).astype(np.uint8)
    board = np.stack([(x + y) % 2 * 255, 0 * x, 0 * x + 255], 2).astype(np.uint8)
    for name, pixels in (("ramp", ramp), ("board", board)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    monkeypatch.setattr(photos, "FILES", {"ramp": (), "board": ()})
    monkeypatch.setattr(photos, "_path", lambda name: tmp_path / f"{name}.png")
    ds = photos.photos(size=16, count=300)

    red, green, blue = ds.only(0).images.unbind(1)
    assert (blue < -0.9).all()
    across = (red[:, :, -1] - red[:, :, 0]).mean(1) * 150  # in pixels of the photograph
    down = (green[:, -1] - green[:, 0]).mean(1) * 150
    torch.testing.assert_close(across.abs(), down, atol=4, rtol=0)  # square
    assert 0.3 < (across < 0).float().mean() < 0.7  # half of them are mirrored, none stands on its head
    assert 0.3 * 300 < down.min() < 0.45 * 300 and 0.85 * 300 < down.max() < 300
    assert (red.mean((1, 2)) * 150).std() > 20 and (green.mean((1, 2)) * 150).std() > 20

    red, _, blue = ds.only(1).images.unbind(1)
    assert (blue > 0.9).all() and red.abs().max() < 0.2  # black and white average to grey


def test_photos_refuse_bad_input():
    with pytest.raises(ValueError, match="size must lie between 8 and 256 pixels but is 4"):
        photos.photos(size=4)
    with pytest.raises(ValueError, match="count must be a whole number from 1 up but is 0"):
        photos.photos(count=0)
    with pytest.raises(ValueError, match="no photograph 'dog': choose from astronaut"):
        photos.photograph("dog")


def test_photos_never_download(monkeypatch):
    import pooch

    def forbidden(*_, **__):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(pooch, "retrieve", forbidden)
    monkeypatch.setattr(pooch.Pooch, "fetch", forbidden)
    assert len(photos.photos(count=20)) == 20


def test_importing_data_stays_light():
    heavy = "matplotlib sklearn skimage scipy pooch requests PIL"
    code = f"import sys, gan_course.data; print([m for m in '{heavy}'.split() if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=True)
    assert run.stdout.strip() == "[]"
