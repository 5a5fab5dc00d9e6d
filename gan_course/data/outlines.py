"""The shapes that ``glyphs`` bends: characters of matplotlib's own fonts as distance fields in one atlas.

A signed distance field stores, for each point, how far the nearest edge of the shape is (positive inside). Unlike a
picture of the shape it can be scaled, bent and made thicker after the fact (Green, "Improved Alpha-Tested
Magnification for Vector Textures and Special Effects", SIGGRAPH 2007 courses). The fonts ship inside matplotlib, so
every machine has the same ones.
"""

from __future__ import annotations

import functools
import string
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase

# Every face here was looked at: digits and both cases of letters are right. Left out are the symbol fonts (cmsy10,
# cmex10, STIXSiz*, STIXNonUni*: other signs stand in these places), cmmi10 (old-style digits, Greek-looking v),
# DejaVuSansMono (its zero carries a mark inside, which fills up at this size) and cmti10 (matplotlib before 3.11,
# such as Colab's, does not ship it).
STYLES = {
    "regular": ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmr10", "cmss10", "cmtt10"),
    "bold": ("DejaVuSans-Bold", "DejaVuSerif-Bold", "STIXGeneralBol", "cmb10"),
    "italic": ("DejaVuSans-Oblique", "DejaVuSerif-Italic", "STIXGeneralItalic"),
    "bold italic": ("DejaVuSans-BoldOblique", "DejaVuSerif-BoldItalic", "STIXGeneralBolIta"),
}
FONTS = tuple(font for fonts in STYLES.values() for font in fonts)

TILE = 64  # pixels a side of one character in the atlas
FINE = 2  # outlines are rasterised this many times finer than the atlas
BOX = 36  # the larger side of a capital, in atlas pixels: leaves room for bending
DIRECTIONS = 16  # in how many directions the reach of a shape is known


@dataclass(frozen=True)
class Outlines:
    """Distance fields of ``F`` fonts times ``C`` characters. Lengths are in atlas pixels.

    ``atlas``: ``[1, 2, F * TILE, C * TILE]``, one tile a character with its centre of mass in the middle; channel 0
    is the signed distance to the outline (positive inside), channel 1 the distance to the skeleton.
    ``reach``: ``[F, C, DIRECTIONS, 2]``, the ink's farthest points (x, y) around the centre of mass, y downwards.
    ``stroke``: ``[F, C]``, half the mean stroke width.
    ``relative``: ``[F, C]``, the larger side over that of a capital, at most 1, so that "c" stays smaller than "C".
    """

    atlas: Tensor
    reach: Tensor
    stroke: Tensor
    relative: Tensor


def check_characters(characters: str) -> None:
    """Raise ``ValueError`` unless ``characters`` are distinct digits and unaccented Latin letters, at least one."""
    if not characters:
        raise ValueError(f"no characters were given: choose some of {CHARACTERS}")
    if unknown := [c for c in characters if c not in CHARACTERS]:
        raise ValueError(f"character {unknown[0]!r} is not supported: choose from {CHARACTERS}")
    if len(set(characters)) < len(characters):
        twice = next(c for c in characters if characters.count(c) > 1)
        raise ValueError(f"character {twice!r} is listed more than once in {characters!r}: list each class once")


def _masks(font: str, characters: str) -> tuple[np.ndarray, np.ndarray]:
    """The ink of each character as bool ``[C, TILE * FINE, TILE * FINE]``, and ``relative`` ``[C]``.

    The path is filled without hinting, so the result depends neither on a screen's resolution nor on matplotlib's
    settings.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    face = FontProperties(fname=f"{matplotlib.get_data_path()}/fonts/ttf/{font}.ttf")
    capital = TextPath((0, 0), "H", size=100, prop=face).get_extents().height
    side = TILE * FINE
    figure = Figure(figsize=(len(characters), 1), dpi=side, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    relative = np.empty(len(characters), dtype=np.float32)
    for i, character in enumerate(characters):
        path: Any = TextPath((0, 0), character, size=100, prop=face)
        box = path.get_extents()
        longest = max(box.width, box.height)
        relative[i] = min(1.0, longest / capital)
        to_tile = Affine2D().translate(-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2)
        to_tile.scale(BOX * FINE / longest).translate((i + 0.5) * side, side / 2)
        patch = PathPatch(path, transform=to_tile, facecolor="black", linewidth=0, snap=False, antialiased=True)
        patch.set_sketch_params(None)  # plt.xkcd() may be on
        patch.set_path_effects([])
        figure.add_artist(patch)
    canvas.draw()
    grey = np.asarray(canvas.buffer_rgba())[:, :, 0]
    return np.stack(np.split(grey < 128, len(characters), axis=1)), relative


def _measure(ink: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """``ink`` (bool, fine pixels) as one tile ``[2, TILE, TILE]``, its reach ``[DIRECTIONS, 2]`` and its stroke."""
    from scipy.ndimage import distance_transform_edt
    from skimage.morphology import skeletonize

    middle = (np.array(ink.shape) - 1) / 2
    rows_columns = np.argwhere(ink)
    move = np.round(middle - rows_columns.mean(axis=0)).astype(int)
    ink = np.roll(ink, tuple(move), axis=(0, 1))  # the border is wide and empty, so nothing wraps round
    points = (rows_columns + move - middle)[:, ::-1] / FINE  # (x, y) in atlas pixels

    skeleton = skeletonize(ink)
    inside = distance_transform_edt(ink)
    signed = inside - distance_transform_edt(~ink)
    fields = np.stack([signed, distance_transform_edt(~skeleton)]) / FINE
    tile = fields.reshape(2, TILE, FINE, TILE, FINE).mean(axis=(2, 4))

    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    farthest = (points @ np.stack([np.cos(angle), np.sin(angle)])).argmax(axis=0)
    return tile, points[farthest], float(inside[skeleton].mean() / FINE)


@functools.lru_cache(maxsize=4)
def outlines(characters: str) -> Outlines:
    """The distance fields of ``characters`` in every face of ``FONTS``; built once, about 5 ms a character and face.

    Raises ``ValueError`` for a character that is not in ``CHARACTERS``, for one listed twice and for an empty string.
    """
    check_characters(characters)
    tiles, reach, stroke, relative = [], [], [], []
    for font in FONTS:
        masks, sizes = _masks(font, characters)
        relative.append(sizes)
        for mask in masks:
            tile, points, width = _measure(mask)
            tiles.append(tile)
            reach.append(points)
            stroke.append(width)
    shape = (len(FONTS), len(characters))
    atlas = np.array(tiles).reshape(*shape, 2, TILE, TILE).transpose(2, 0, 3, 1, 4)
    return Outlines(
        atlas=torch.tensor(atlas.reshape(1, 2, shape[0] * TILE, shape[1] * TILE), dtype=torch.float32),
        reach=torch.tensor(np.array(reach).reshape(*shape, DIRECTIONS, 2), dtype=torch.float32),
        stroke=torch.tensor(stroke, dtype=torch.float32).reshape(shape),
        relative=torch.tensor(np.array(relative)),
    )
