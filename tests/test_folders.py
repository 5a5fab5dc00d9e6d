"""A student's own pictures: forty odd folders, every one of which gives a clean data set or a sentence."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_course import data
from gan_course.data import folders

ODD = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK", "YCbCr", "turned", "bmp", "webp", "gif", "huge", "thin")
BROKEN = ("text", "cut", "empty", "noise", "film", "float", "dangling", "pipe", "locked", "named")


def scene(random, height=40, width=40):
    """A smooth random picture, uint8 ``[H, W, 3]``: no two are alike."""
    rough = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(rough.resize((width, height), Image.Resampling.BICUBIC))


def write_odd(path: Path, kind: str, random) -> None:
    """A picture as people have them."""
    height, width = (int(n) for n in random.integers(5, 90, 2))
    image = Image.fromarray(scene(random, height, width))
    options: dict = {}
    if kind == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    elif kind in ("CMYK", "YCbCr"):
        path, image = path.with_suffix(".jpg" if kind == "CMYK" else ".tif"), image.convert(kind)
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = int(random.integers(1, 9))
        path, options = path.with_suffix(".jpg"), {"exif": exif}
    elif kind in ("bmp", "webp", "gif"):
        path = path.with_suffix(f".{kind}")
    elif kind == "huge":
        path, image = path.with_suffix(".JPG"), image.resize((900, 700))
    elif kind == "thin":
        image = image.resize((1, 60))
    else:
        image = image.convert(kind)
    image.save(path, **options)


def write_broken(path: Path, kind: str, random) -> None:
    """A file that holds no picture that could be used."""
    good = Image.fromarray(scene(random))
    if kind == "text":
        path.with_suffix(".txt").write_text("holidays 2019", encoding="utf-8")
    elif kind == "cut":
        good.save(path)
        path.write_bytes(path.read_bytes()[:150])
    elif kind == "empty":
        path.touch()
    elif kind == "noise":
        path.with_suffix(".jpg").write_bytes(b"\xff\xd8\xff\xe0" + random.bytes(500))
    elif kind == "film":
        others = [Image.fromarray(scene(random)) for _ in range(2)]
        good.save(path.with_suffix(".gif"), save_all=True, append_images=others)
    elif kind == "float":
        Image.fromarray(random.normal(size=(30, 30)).astype(np.float32)).save(path.with_suffix(".tiff"))
    elif kind == "dangling":
        path.symlink_to(path.parent / "gone.png")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "locked":
        (path.parent / path.stem).symlink_to(path.parent, target_is_directory=True)  # and round in circles
    else:
        path.with_name("ünï cödé 日本.png").write_bytes(b"GIF89a")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", range(40))
def test_forty_odd_folders_give_clean_data_and_a_list_of_the_rest(tmp_path, capsys, case):
    random = np.random.default_rng(case)
    root = tmp_path / ("my pictures" if case % 2 else "größe")
    classes = [(), ("b", "a"), ("one",), ("x/deep/er", "y")][case % 4]
    places = [root / name for name in classes] or [root]
    for place in places:
        place.mkdir(parents=True)
    kinds = [ODD[int(i)] for i in random.integers(0, len(ODD), 55)]
    for i, kind in enumerate(kinds):
        write_odd(places[i % len(places)] / f"{i:02}.png", kind, random)
    bad = [BROKEN[int(i)] for i in random.choice(len(BROKEN), case % len(BROKEN), replace=False)]
    for i, kind in enumerate(bad):
        write_broken(places[i % len(places)] / f"bad{i}.png", kind, random)
    (root / ".DS_Store").write_bytes(b"litter")
    size, grey, fit = int(random.choice([8, 28, 33])), bool(case % 3), ("crop", "pad")[case // 2 % 2]

    made = data.load(f"folder:{root}", size=size, grey=grey, fit=fit)
    said = capsys.readouterr().out
    assert made.images.shape == (55, 1 if grey else 3, size, size)
    data.check_images(made.images)
    assert made.images.is_contiguous() and made.images.amax((1, 2, 3)).median() > 0
    names = {(): (root.name,), ("b", "a"): ("a", "b"), ("one",): ("one",), ("x/deep/er", "y"): ("x", "y")}[classes]
    assert made.class_names == names and set(made.labels.tolist()) == set(range(len(names)))
    assert len(made.skipped) == len(bad), (bad, made.skipped)
    assert (f"{len(bad)} were skipped" in said) == bool(bad) and "55 pictures" in said
    assert all(str(tmp_path) not in line and len(line) > 20 for line in made.skipped), made.skipped
    assert torch.equal(made.images, data.from_folder(root, size, grey, fit).images)  # the same every time


def plain(folder: Path, count: int = 50, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for i in range(count):
        Image.fromarray(scene(random, 40, 60)).save(folder / f"{i:03}.png")
    return folder


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_photograph_stands_upright(tmp_path, orientation):
    plain(tmp_path)
    corner = np.zeros((40, 40, 3), np.uint8)
    corner[:20, :20] = 255
    image, exif = Image.fromarray(corner), Image.Exif()
    exif[0x0112] = orientation
    stored = {1: 0, 3: 180, 6: 90, 8: 270}[orientation]
    image.rotate(stored).save(tmp_path / "camera.jpg", exif=exif, quality=100)
    made = data.from_folder(tmp_path, 8)
    wanted = -torch.ones(8, 8)
    wanted[:4, :4] = 1
    assert (made.images[:, 0] - wanted).abs().mean((1, 2)).min() < 0.15


def test_crop_keeps_the_middle_and_pad_keeps_all(tmp_path, capsys):
    plain(tmp_path)
    flag = np.full((30, 90), 128, np.uint8)
    flag[:, 30:60] = 255  # white in the middle
    flag[:, :3] = flag[:, -3:] = 128
    for path in tmp_path.iterdir():
        Image.fromarray(flag).save(path)
    cropped = data.from_folder(tmp_path, 30)
    assert cropped.images.min() == 1 and "only their middle square is kept" in capsys.readouterr().out
    padded = data.from_folder(tmp_path, 30, fit="pad").images[0, 0]
    assert padded[15, 15] == 1 and padded[15, 2] == pytest.approx(0, abs=0.01)
    assert padded[:8].sub(padded[0, 0]).abs().max() < 0.02 and padded[0, 0] == pytest.approx(0, abs=0.01)  # the rim
    assert "bars in the colour of their rim" in capsys.readouterr().out


def test_what_is_transparent_is_white_and_16_bits_keep_their_range(tmp_path):
    plain(tmp_path)
    for path in list(tmp_path.iterdir())[:25]:
        Image.new("RGBA", (30, 30), (200, 0, 0, 0)).save(path)
    for path in list(tmp_path.iterdir())[25:]:
        Image.fromarray(np.full((30, 30), 0 if int(path.stem) % 2 else 65_535, np.uint16)).save(path)
    assert set(data.from_folder(tmp_path, 8).images.unique().tolist()) == {-1.0, 1.0}
    assert (data.from_folder(tmp_path, 8, grey=False).images.amax((1, 2, 3)) == 1).sum() >= 25


def test_too_few_pictures_are_refused_with_what_was_found(tmp_path):
    plain(tmp_path, 49)
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"49 pictures that can be read and 1 other files \(notes.txt holds no"
    ) as error:
        data.load(f"folder:{tmp_path}")
    assert "needs 50 pictures at the least" in str(error.value)
    plain(tmp_path, 50)
    assert len(data.load(f"folder:{tmp_path}")) == 50


def test_a_wrong_folder_gets_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder holidays \(looked from .+\): correct the path"):
        data.load("folder:holidays")
    Path("holidays.zip").touch()
    with pytest.raises(FileNotFoundError, match=r"holidays\.zip is a file, not a folder: unpack it"):
        data.load("folder:holidays.zip")
    with pytest.raises(ValueError, match="no fit 'crup': did you mean 'crop'"):
        data.from_folder(plain(tmp_path / "good"), fit="crup")
    with pytest.raises(ValueError, match="path must be the path of a file or folder"):
        data.load("folder:")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert len(data.load("folder:~/good")) == 50


def test_near_duplicates_are_counted(tmp_path, capsys):
    """Saved twice, saved smaller, saved badly, a little lighter; and none among pictures that only belong together."""
    plain(tmp_path)
    assert data.from_folder(tmp_path).near_duplicates == 0
    original = Image.open(tmp_path / "007.png")
    original.save(tmp_path / "copy.png")
    original.resize((45, 30)).save(tmp_path / "smaller.png")
    original.save(tmp_path / "bad.jpg", quality=30)
    original.point(lambda value: value + 3).save(tmp_path / "lighter.png")
    assert data.from_folder(tmp_path).near_duplicates == 4
    assert "4 look nearly like another one" in capsys.readouterr().out


def test_handwriting_holds_few_near_duplicates_and_a_blank_page_many():
    digits = data.load("digits").images
    assert folders.count_twins(digits) < 0.01 * len(digits)
    assert folders.count_twins(torch.zeros(2100, 1, 8, 8)) == 2099  # over the border of a part


def test_classes_of_a_part_are_mixed(tmp_path):
    plain(tmp_path / "a", 60), plain(tmp_path / "b", 60, seed=1)
    labels = data.from_folder(tmp_path).labels
    assert 15 < labels[:60].sum() < 45


def test_pictures_beside_the_sub_folders_make_one_class(tmp_path):
    plain(tmp_path / "mine"), plain(tmp_path / "mine" / "old", seed=1)
    made = data.from_folder(tmp_path)
    assert made.class_names == ("mine",) and len(made) == 100


def test_a_part_of_the_set_remembers_where_it_came_from(tmp_path):
    part = data.from_folder(plain(tmp_path))[:10]
    assert isinstance(part, folders.FolderSet) and len(part) == 10 and part.name == f"folder:{tmp_path}"


def test_ten_thousand_pictures_take_less_than_a_minute_of_the_processor(tmp_path):
    """Measured on a thousand: photographs of 1 megapixel, as a phone sends them, and small pictures."""
    random = np.random.default_rng(0)
    Image.fromarray(scene(random, 800, 1200)).save(tmp_path / "0.jpg", quality=90)
    Image.fromarray(scene(random, 128, 128)).save(tmp_path / "0.png")
    large, small = (tmp_path / "0.jpg").read_bytes(), (tmp_path / "0.png").read_bytes()
    for i in range(1, 500):
        (tmp_path / f"{i}.jpg").write_bytes(large)
        (tmp_path / f"{i}.png").write_bytes(small)
    start = time.process_time()
    assert len(data.from_folder(tmp_path)) == 1000
    assert time.process_time() - start < 6
