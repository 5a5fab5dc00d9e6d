"""``stylize``: any picture that people have, the same size out, and sentences for what is no picture."""

import io
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from gan_course import cli, style
from gan_course.data import pictures
from gan_course.style import restyle
from gan_course.translators import Translator


@pytest.fixture(scope="module")
def network():
    """Untrained, but with no layer that adds nothing."""
    torch.manual_seed(0)
    made = Translator(width=8, blocks=1, noise=2).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.requires_grad_(False)


class Copy(Translator):
    """Gives back what it gets."""

    def forward(self, images, noise=None):
        return images


@pytest.fixture(scope="module")
def copy():
    return Copy(width=8, blocks=1)


def random_picture(mode, width, height, random):
    """A picture of a mode in which people have files, and the name of a format that can hold it."""
    bytes_ = random.integers(0, 256, (height, width, 4), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65_536, (height, width), dtype=np.uint16)), "PNG"
    if mode == "CMYK":
        return Image.fromarray(bytes_[:, :, :3].copy()).convert("CMYK"), "TIFF"
    if mode == "P+":
        palette = Image.fromarray(bytes_[:, :, :3]).quantize(16)
        palette.info["transparency"] = 3
        return palette, "PNG"
    colours = Image.fromarray(bytes_) if mode in ("RGBA", "LA") else Image.fromarray(bytes_[:, :, :3].copy())
    return colours.convert(mode), "TIFF" if mode == "YCbCr" else "PNG"


MODES = ("RGB", "RGBA", "L", "LA", "P", "P+", "1", "I;16", "CMYK", "YCbCr")


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("case", range(60))
def test_any_size_and_mode_keeps_its_size_and_its_transparency(tmp_path, copy, case):
    random = np.random.default_rng(case)
    mode = MODES[case % len(MODES)]
    width, height = (int(n) for n in random.integers(1, 70, 2))
    image, format_ = random_picture(mode, width, height, random)
    source = tmp_path / "in"
    image.save(source, format_, **({"transparency": 3} if mode == "P+" else {}))
    target = tmp_path / "made" / f"out{('.png', '.webp', '.jpg')[case // len(MODES) % 3]}"
    style.stylize(source, target, copy, progress=False)
    with Image.open(target) as made:
        assert made.size == (width, height)
        transparent = "A" in mode or mode == "P+"
        if target.suffix == ".png":
            assert made.mode == ("RGBA" if transparent else "RGB")
            with Image.open(source) as before:
                if mode != "I;16":
                    wanted = np.asarray(before.convert(made.mode)).astype(int)
                    assert np.abs(np.asarray(made).astype(int) - wanted).max() <= 1
        if target.suffix == ".webp" and transparent:
            with Image.open(source) as before:
                alpha = np.asarray(before.convert("RGBA"))[:, :, 3]
            assert made.mode == "RGBA" or alpha.min() == 255
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_sixteen_bits_of_grey_use_their_whole_range(tmp_path, copy):
    values = np.array([[0, 128, 257, 32_768, 65_535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    style.stylize(tmp_path / "deep.png", tmp_path / "out.png", copy, progress=False)
    assert np.asarray(Image.open(tmp_path / "out.png"))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_rotation_that_a_camera_noted_is_carried_out(tmp_path, copy, orientation):
    corner = Image.new("RGB", (40, 24))
    corner.paste((255, 0, 0), (0, 0, 16, 8))  # red at the stored upper left
    exif = Image.Exif()
    exif[0x0112] = orientation
    corner.save(tmp_path / "camera.png", exif=exif)
    style.stylize(tmp_path / "camera.png", tmp_path / "out.png", copy, progress=False)
    with Image.open(tmp_path / "out.png") as made:
        assert made.size == ((40, 24) if orientation < 5 else (24, 40))
        assert not made.getexif().get(0x0112)  # it would be turned twice
        red = np.argwhere(np.asarray(made)[:, :, 0] > 200).mean(axis=0) / np.array(made.size[::-1])
    place = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    assert ((red > 0.5) == np.array(place)).all()


def test_jpeg_lays_what_is_transparent_on_white_and_a_profile_stays(tmp_path, copy):
    Image.new("RGBA", (32, 32), (10, 200, 30, 0)).save(tmp_path / "clear.png", icc_profile=b"profile")
    style.stylize(tmp_path / "clear.png", tmp_path / "out.jpg", copy, progress=False)
    with Image.open(tmp_path / "out.jpg") as made:
        assert np.asarray(made).min() >= 250 and made.info["icc_profile"] == b"profile"


def test_contrast_and_shape_are_not_stretched(tmp_path, copy):
    """The document's program makes a square of every picture and stretches its greys to 0 and 255."""
    grey = np.linspace(102, 153, 300).round().astype(np.uint8)
    Image.fromarray(np.tile(grey, (150, 1))).save(tmp_path / "grey.png")
    style.stylize(tmp_path / "grey.png", tmp_path / "out.png", copy, progress=False)
    with Image.open(tmp_path / "out.png") as made:
        assert made.size == (300, 150) and made.convert("L").getextrema() == (102, 153)


# ---------------------------------------------------------------------------------------------- tiles


@pytest.mark.parametrize("shape", [(130, 97), (64, 64), (33, 200), (1, 1), (3, 70)])
def test_tiled_equals_whole(network, shape):
    random = np.random.default_rng(1)
    colours = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
    whole = restyle.repaint(network, colours, seed=3, tile=512)
    tiled = restyle.repaint(network, colours, seed=3, tile=32)
    assert whole.shape == colours.shape
    assert np.abs(whole.astype(int) - tiled).max() <= 1  # a rounding
    assert (whole != tiled).mean() < 0.01
    if shape[0] > 60:
        assert whole.std() > 5, "a flat picture would hide seams"
        assert (restyle.repaint(network, colours, seed=4) != whole).mean() > 0.2, "the seed decides something"


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_nothing_beyond_its_reach_changes_a_place(blocks):
    torch.manual_seed(1)
    network = Translator(width=8, blocks=blocks)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    side = 4 * network.reach // 2 + 8
    picture = torch.zeros(1, 3, 8, 2 * side, requires_grad=True)
    network(picture + 0.1)[0, :, 4, side].sum().backward()
    columns = picture.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    seen = max(side - columns.min().item(), columns.max().item() - side)
    assert network.reach - 12 <= seen <= network.reach


def test_the_memory_for_a_large_picture_is_bounded(network):
    colours = np.zeros((3000, 400, 3), dtype=np.uint8)
    tracemalloc.start()
    restyle.repaint(network, colours, tile=128)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * colours.nbytes  # NumPy's share: the padded copy, the result


@pytest.mark.parametrize(
    "colours",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_other_arrays_are_refused(network, colours):
    with pytest.raises(ValueError, match=r"^a picture must be uint8 \[H, W, 3\] but is"):
        restyle.repaint(network, colours)


@pytest.mark.parametrize("tile", [0, 2, 130, -4])
def test_tiles_fit_the_network(network, tile):
    with pytest.raises(ValueError, match=f"a tile must be a multiple of 4 pixels but has {tile}: try 512"):
        restyle.repaint(network, np.zeros((8, 8, 3), np.uint8), tile=tile)


def test_a_network_of_half_precision_paints_as_well(network):
    colours = np.random.default_rng(2).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    half = Translator(width=8, blocks=1, noise=2).bfloat16()
    half.load_state_dict(network.state_dict())
    made = restyle.repaint(half, colours, seed=3).astype(int)
    assert np.abs(made - restyle.repaint(network, colours, seed=3)).mean() < 5


def test_a_network_that_has_diverged_paints_no_black_picture():
    broken = Translator(width=8, blocks=1)
    torch.nn.init.constant_(broken.last.bias, float("nan"))
    with pytest.raises(ValueError, match="the network gives NaN or infinite values: train it anew"):
        restyle.repaint(broken, np.zeros((8, 8, 3), np.uint8))


# ---------------------------------------------------------------------------------------------- what is refused


def jpeg(width=64, height=64):
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 80).save(buffer, "JPEG")
    return buffer.getvalue()


def bomb():
    """A PNG whose head says 60,000 × 60,000."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def moving():
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (90 * i, 0, 0)) for i in range(3)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def floating():
    buffer = io.BytesIO()
    Image.new("F", (8, 8), 0.5).save(buffer, "TIFF")
    return buffer.getvalue()


BAD = {
    "text": (b"this is no picture", "holds no picture that can be read: take a JPEG"),
    "empty": (b"", "holds no picture that can be read"),
    "truncated": (jpeg()[:-700], "is damaged .*: copy or download it again"),
    "head only": (jpeg()[:20], "is damaged|holds no picture"),
    "bomb": (bomb(), "is too large .* more than 100 million pixels"),
    "moving": (moving(), "holds 3 pictures: save one of them"),
    "floating": (floating(), "numbers that are not whole: save it with 8 or 16 bits"),
    "no pixels": (b"P6\n0 4\n255\n", "holds no picture|has no pixels|is damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_gets_a_sentence(tmp_path, copy, name):
    content, said = BAD[name]
    source = tmp_path / "photo.jpg"
    source.write_bytes(content)
    with pytest.raises(ValueError, match=said) as caught:
        style.stylize(source, tmp_path / "out.png", copy, progress=False)
    assert str(source) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out.png").exists()


def test_a_missing_file_and_a_folder(tmp_path, copy):
    for source, said in ((tmp_path / "gone.jpg", "it does not exist"), (tmp_path, "it is a folder")):
        with pytest.raises(FileNotFoundError, match=said):
            style.stylize(source, tmp_path / "out.png", copy, progress=False)


def test_a_photograph_that_may_not_be_read_is_not_called_damaged(tmp_path, copy, monkeypatch):
    (tmp_path / "photo.png").write_bytes(b"")

    def forbidden(path):
        raise PermissionError(f"{path} may not be read")

    monkeypatch.setattr(pictures, "read_whole", forbidden)
    with pytest.raises(PermissionError, match=r"photo\.png may not be read"):
        style.stylize(tmp_path / "photo.png", tmp_path / "out.png", copy, progress=False)


def test_transparency_has_the_size_of_the_colours():
    with pytest.raises(ValueError, match=r"alpha must be uint8 of shape \[4, 5\]"):
        pictures.Picture(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("out.gif", r"end the name in one of \.jpg, \.jpeg, \.png, \.webp"),
        ("out", "end the name in one of"),
        ("folder.png", "it is a folder; name a file in it"),
        ("photo.png/out.png", "photo.png is a file, not a folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_the_work(tmp_path, target, said):
    (tmp_path / "folder.png").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")

    class Never(Copy):
        def forward(self, images, noise=None):
            raise AssertionError("it must not be asked")

    with pytest.raises(ValueError, match=said):
        style.stylize(tmp_path / "photo.png", tmp_path / target, Never(width=8, blocks=1), progress=False)


def test_a_side_that_a_format_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="WEBP holds sides of at most 16,383 pixels, not 16,384: take PNG"):
        pictures.check_target(tmp_path / "wide.webp", 4, 16_384)


def test_an_unknown_style_names_its_neighbour(tmp_path):
    with pytest.raises(ValueError, match="there is no style 'pencill': did you mean 'pencil'"):
        style.stylize("no.jpg", "out.png", "pencill")


# ---------------------------------------------------------------------------------------------- the command


def test_the_command(tmp_path, capsys):
    Image.effect_noise((50, 30), 60).convert("RGB").save(tmp_path / "in.png")
    assert cli.main(["stylize", str(tmp_path / "in.png"), str(tmp_path / "out.jpg"), "--style", "pencil"]) == 0
    with Image.open(tmp_path / "out.jpg") as made:
        assert made.size == (50, 30)
    assert f"{tmp_path / 'out.jpg'}: 50 × 30, in the style pencil" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert cli.main(["stylize", str(tmp_path / "gone.png"), str(tmp_path / "out.jpg")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("can't read ") and said.count("\n") == 1


def test_a_header_that_is_damaged_in_any_way_is_called_damaged(tmp_path):
    """Pillow's readers raise whatever comes: here the ValueError of int()."""
    (tmp_path / "broken.ppm").write_bytes(b"P6\n3\xb2 3\n255\n" + bytes(30))
    with pytest.raises(ValueError, match=r"broken\.ppm is damaged \(.+\): copy or download it again"):
        pictures.read(tmp_path / "broken.ppm")
