"""A canvas of palette indices: one byte a pixel, a quarter of the work and of the PNG. Painting takes milliseconds
where a plotting library takes a hundred, so that a widget can play.

It has twice the size at which it is shown, so that the browser smooths its edges. Colours are those of ``plots``.
"""

from __future__ import annotations

import functools
import io
import math

import numpy as np
from matplotlib import font_manager
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw, ImageFont

from gan_course import fonts, plots

SIDE = 720  # pixels of a picture's side
LEVELS = 64  # shades of belief
INK, PALE, LINE, WHITE, GREEN, PURPLE = "#222222", "#D5D5D5", "#555555", "#FFFFFF", "#009E73", "#7A3A8C"
NAMED = (WHITE, INK, PALE, LINE, plots.REAL, plots.FAKE, GREEN, PURPLE)


@functools.cache
def palette() -> bytes:
    """``LEVELS`` shades of belief, then the named colours."""
    shades = plots.BELIEF(np.linspace(0, 1, LEVELS))[:, :3]
    colours = np.vstack([shades, [to_rgb(name) for name in NAMED]])
    return (colours * 255).round().astype(np.uint8).tobytes()


def ink(colour: str) -> int:
    """A named colour's place in the palette."""
    return LEVELS + NAMED.index(colour)


def font(size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's own font, or one with the letters of the language that is wanted."""
    return _font(size, (fonts.needed() and fonts.chinese()) or "DejaVu Sans")


@functools.cache
def _font(size: int, family: str) -> ImageFont.FreeTypeFont:
    path = font_manager.findfont(family)
    return ImageFont.truetype(path, size, index=getattr(path, "face_index", 0))  # one file may hold many fonts


def png(canvas: Image.Image) -> bytes:
    """A palette picture as a PNG file."""
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def blank(width: int = SIDE, height: int = SIDE) -> Image.Image:
    canvas = Image.new("P", (width, height), ink(WHITE))
    canvas.putpalette(palette())
    return canvas


def text(draw: ImageDraw.ImageDraw, x: float, y: float, words: str, colour: str = INK, size: int = 24, anchor="lm"):
    draw.text((x, y), words, fill=ink(colour), font=font(size), anchor=anchor)


def beside(*canvases: Image.Image) -> Image.Image:
    """Pictures of one height side by side."""
    whole = blank(sum(c.width for c in canvases), canvases[0].height)
    x = 0
    for canvas in canvases:
        whole.paste(canvas, (x, 0))
        x += canvas.width
    return whole


def arrow(draw: ImageDraw.ImageDraw, x0: float, y0: float, x1: float, y1: float) -> None:
    length = math.hypot(x1 - x0, y1 - y0)
    if length < 3:  # no push to speak of
        return
    draw.line((x0, y0, x1, y1), fill=ink(INK), width=3)
    head = min(14.0, 0.5 * length) / length
    dx, dy = (x1 - x0) * head, (y1 - y0) * head
    left, right = (x1 - dx - dy / 2, y1 - dy + dx / 2), (x1 - dx + dy / 2, y1 - dy - dx / 2)
    draw.polygon([(x1, y1), left, right], fill=ink(INK))


def dashes(draw: ImageDraw.ImageDraw, x: np.ndarray, y: np.ndarray, colour: str, width: int, pattern: tuple[int, int]):
    """A broken line through the points: ``pattern`` pixels of line and of gap."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    starts = np.arange(0.0, along[-1], sum(pattern))
    ends = np.minimum(starts + pattern[0], along[-1])
    for x0, y0, x1, y1 in zip(
        np.interp(starts, along, x), np.interp(starts, along, y),
        np.interp(ends, along, x), np.interp(ends, along, y), strict=True,
    ):  # fmt: skip
        draw.line((x0, y0, x1, y1), fill=ink(colour), width=width)
