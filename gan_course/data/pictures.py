"""Pictures in files, as people have them: any mode, turned by EXIF, with or without transparency."""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gan_course.arguments import Count, Pixels, guard, refuse, test
from gan_course.files import read_whole, write_whole

LARGEST = 100_000_000  # pixels: a panorama of a good camera; beyond it memory is no longer bounded
#: Endings of output files, the format each stands for, and the longest side that the format can hold.
FORMATS = {".jpg": ("JPEG", 65_500), ".jpeg": ("JPEG", 65_500), ".png": ("PNG", 2**31 - 1), ".webp": ("WEBP", 16_383)}
SAVED_AS = {
    "JPEG": {"quality": 93, "subsampling": 0},  # colours at full resolution: strokes have coloured edges
    "PNG": {"compress_level": 6},
    "WEBP": {"quality": 92, "method": 4},
}
Profile = Annotated[
    bytes, test(lambda x: isinstance(x, bytes), "the bytes of an ICC profile", "leave it out if there is none")
]


@dataclass(frozen=True)
class Picture:
    """``colours``: uint8 ``[H, W, 3]``, the right way up. ``alpha``: uint8 ``[H, W]``, 0 where it is transparent.

    Raises ``ValueError`` for arrays of another kind.
    """

    colours: Pixels
    alpha: np.ndarray | None = None
    profile: Profile | None = None  # what the colours mean, as the file says (ICC)

    def __post_init__(self) -> None:
        size = self.colours.shape[:2]
        if self.alpha is not None and (self.alpha.dtype != np.uint8 or self.alpha.shape != size):
            refuse(
                "alpha",
                f"uint8 of shape {list(size)}, as the colours have,",
                self.alpha,
                "leave it out if all is solid",
            )


def read(path: str | Path, least: Count | None = None) -> Picture:
    """The picture in the file ``path``: RGB, grey, palette, CMYK, 8 or 16 bits, turned as its EXIF data says.

    ``least``: pixels that the shorter side needs; a large JPEG may then be read smaller, which is many times faster.
    Raises ``FileNotFoundError`` where there is no file, and ``ValueError`` for a file that holds no picture, a damaged
    one, one without pixels or with more than ``LARGEST``, several frames, or numbers that are not whole; ``OSError``
    for one that may not be read.
    """
    path = Path(path)
    if os.path.isdir(path) or not os.path.exists(path):
        what = "is a folder" if os.path.isdir(path) else "does not exist"
        raise FileNotFoundError(f"can't read {path}: it {what}; name the file of a picture")
    content = read_whole(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd EXIF data and palettes; the limit of size below is ours
            with Image.open(io.BytesIO(content)) as image:
                _check(path, image)
                if least is not None:
                    image.draft(None, (least, least))
                image.load()
                return _upright(path, image)
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} holds no picture that can be read: take a JPEG, PNG, WebP, TIFF or BMP") from error
    except Image.DecompressionBombError as error:
        raise ValueError(_too_large(path, "far")) from error
    except Exception as error:  # what is cut or damaged may raise anything in Pillow's readers
        if str(error).startswith(str(path)):  # a sentence from below
            raise
        raise ValueError(f"{path} is damaged ({error}): copy or download it again") from error


def _check(path: Path, image: Image.Image) -> None:
    """Raise ``ValueError`` for a picture that should not even be decoded."""
    width, height = image.size
    if width * height == 0:
        raise ValueError(f"{path} has no pixels ({width} × {height}): take another picture")
    if width * height > LARGEST:
        raise ValueError(_too_large(path, f"{width} × {height}:"))
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # some cameras put a preview behind the photograph
        raise ValueError(f"{path} holds {frames} pictures: save one of them as a file of its own")
    if image.mode == "F":
        raise ValueError(f"{path} holds numbers that are not whole: save it with 8 or 16 bits")


def _too_large(path: Path, how: str) -> str:
    return f"{path} is too large ({how} more than {LARGEST // 1_000_000} million pixels): make it smaller first"


def _upright(path: Path, image: Image.Image) -> Picture:
    turned = ImageOps.exif_transpose(image)
    profile = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA", "P") else None  # else of other colours
    if turned.mode.startswith("I"):  # 16 bits of grey
        high = np.asarray(turned).astype(np.int64)
        if high.min() < 0 or high.max() > 65_535:
            raise ValueError(f"{path} has values from {high.min()} to {high.max()}: save it with 8 or 16 bits")
        bytes_ = ((high + 128) // 257).astype(np.uint8)
        return Picture(np.repeat(bytes_[:, :, None], 3, axis=2))
    if turned.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in turned.info:
        whole = np.asarray(turned.convert("RGBA"))
        return Picture(np.ascontiguousarray(whole[:, :, :3]), np.ascontiguousarray(whole[:, :, 3]), profile)
    return Picture(np.array(turned.convert("RGB")), None, profile)


def check_target(path: str | Path, height: Count = 1, width: Count = 1) -> tuple[Path, str]:
    """The path and the format of an output file. Raises ``ValueError`` before any work is done.

    Refused are an unknown ending, a folder, a folder that can't be made, and a side that the format can't hold.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise ValueError(f"can't write {path}: it is a folder; name a file in it, such as {path / 'restyled.png'}")
    if path.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise ValueError(f"can't write a picture as {path.name!r}: end the name in one of {known}")
    format_, longest = FORMATS[path.suffix.lower()]
    if max(height, width) > longest:
        raise ValueError(f"{format_} holds sides of at most {longest:,} pixels, not {max(height, width):,}: take PNG")
    parent = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    if not parent.is_dir():
        raise ValueError(f"can't write {path}: {parent} is a file, not a folder; choose another place")
    return path, format_


def on_white(picture: Picture) -> Pixels:
    """The colours of ``picture``, uint8 ``[H, W, 3]``, with white behind what is transparent."""
    if picture.alpha is None:
        return picture.colours
    share = picture.alpha[:, :, None].astype(np.uint16)
    return ((picture.colours * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)


def write(path: str | Path, picture: Picture) -> None:
    """Write ``picture`` as JPEG, PNG or WebP, by the ending of ``path``; JPEG lays what is transparent on white.

    Raises ``ValueError`` as :func:`check_target` does, and ``OSError`` where the file can't be written.
    """
    height, width = picture.colours.shape[:2]
    path, format_ = check_target(path, height, width)
    colours = picture.colours
    if format_ == "JPEG":
        colours = on_white(picture)
    elif picture.alpha is not None:
        colours = np.concatenate([colours, picture.alpha[:, :, None]], axis=2)
    buffer = io.BytesIO()
    options = SAVED_AS[format_] | ({} if picture.profile is None else {"icc_profile": picture.profile})
    Image.fromarray(colours).save(buffer, format_, **options)
    write_whole(path, buffer.getvalue())


guard(__name__)
