"""Charts of a few curves, painted as fast as the plane beside them. Curves differ in colour and in dashes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gan_course.fonts import label
from gan_course.widgets.canvas import LINE, PALE, SIDE, WHITE, blank, dashes, font, ink, text

NAME, TICK = 26, 25  # sizes of letters, which a narrow page shows at a third


class Curve(NamedTuple):
    """One curve of a chart; ``dashed`` tells it apart without its colour."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    dashed: bool = False


class Chart(NamedTuple):
    """A chart: its curves, a dotted level with its meaning, and the range of y (``None``: what the curves need)."""

    title: str
    curves: Sequence[Curve]
    level: tuple[float, str] | None = None
    y_range: tuple[float, float] | None = None
    x_name: str = "step"
    marks: Sequence[tuple[float, float, str]] = ()  # (x, y, colour)


def nice(low: float, high: float) -> tuple[float, float, float]:
    """A range with round ends around ``low`` to ``high``, and the distance of its ticks."""
    span = max(high - low, 1e-3)
    step = 10.0 ** math.floor(math.log10(span))
    step *= next(k for k in (0.25, 0.5, 1, 2, 5) if span / (step * k) <= 4)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


def y_limits(chart: Chart) -> tuple[float, float, float]:
    """The range of y and its tick: without the wildest values, so that one peak does not flatten all."""
    if chart.y_range:
        return nice(*chart.y_range)
    values = np.concatenate([np.asarray(curve.y, dtype=float) for curve in chart.curves] or [np.zeros(0)])
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.01, 0.99]) if len(values) else (0.0, 1.0)
    level = [] if chart.level is None else [chart.level[0]]
    return nice(min(low, *level, 0.0), max(high, *level, low + 0.1))


def number(value: float) -> str:
    return f"{value:.10g}" if abs(value) < 1e4 else f"{value:.0e}"


def draw_chart(draw: ImageDraw.ImageDraw, chart: Chart, box: tuple[int, int, int, int]) -> None:
    """Draw ``chart`` into ``box`` (left, top, right, bottom; pixels)."""
    left, top, right, bottom = box[0] + 92, box[1] + head(draw, chart, box), box[2] - 16, box[3] - 44
    low, high, tick = y_limits(chart)
    xs = [curve.x for curve in chart.curves if len(curve.x)]
    first, last = min((x[0] for x in xs), default=0.0), max((x[-1] for x in xs), default=1.0)
    last = last if last > first else first + 1

    def place(x, y):
        u = (np.asarray(x, dtype=float) - first) / (last - first)
        v = (np.nan_to_num(np.asarray(y, dtype=float), nan=1e9, posinf=1e9, neginf=-1e9) - low) / (high - low)
        return left + u * (right - left), bottom - np.clip(v, -0.02, 1.02) * (bottom - top)

    for k in range(round((high - low) / tick) + 1):
        y = float(place(0, low + k * tick)[1])
        draw.line((left, y, right, y), fill=ink(PALE))
        text(draw, left - 8, y, number(round(low + k * tick, 10)), LINE, TICK, "rm")
    text(draw, left, bottom + 24, number(first), LINE, TICK)
    text(draw, right, bottom + 24, number(last), LINE, TICK, "rm")
    text(draw, (left + right) / 2, bottom + 24, label(chart.x_name), LINE, TICK, "mm")
    if chart.level is not None:
        y = float(place(0, chart.level[0])[1])
        dashes(draw, np.array([left, right]), np.array([y, y]), LINE, 2, (4, 8))
    for curve in chart.curves:
        if len(curve.x):
            x, y = place(curve.x, curve.y)
            if curve.dashed:
                dashes(draw, x, y, curve.colour, 3, (14, 8))
            else:
                draw.line(np.stack([x, y], 1).ravel().tolist(), fill=ink(curve.colour), width=3)
    for x, y, colour in chart.marks:
        px, py = map(float, place(x, y))
        draw.ellipse((px - 9, py - 9, px + 9, py + 9), fill=ink(colour), outline=ink(WHITE), width=2)


def head(draw: ImageDraw.ImageDraw, chart: Chart, box: tuple[int, int, int, int]) -> int:
    """Write the title and, where there is room behind it, else below, the legend. Returns the height of all that."""
    x, y, height = box[0] + 10, box[1] + 22, 60
    after = x + (draw.textlength(chart.title, font=font(NAME)) + 24 if chart.title else 0)
    names = [curve.name for curve in chart.curves] + ([chart.level[1]] if chart.level else [])
    if after + sum(64 + draw.textlength(name, font=font(NAME)) for name in names) > box[2]:
        after, height = x, 100
    text(draw, x, y, chart.title, size=NAME)
    legend(draw, chart, after, box[1] + height - 38)
    return height


def legend(draw: ImageDraw.ImageDraw, chart: Chart, x: float, y: float) -> None:
    """The curves' names in one row."""
    entries = [(c.name, c.colour, 3, (14, 8) if c.dashed else None) for c in chart.curves]
    if chart.level is not None:
        entries.append((chart.level[1], LINE, 2, (4, 8)))
    for name, colour, width, pattern in entries:
        ends = np.array([x, x + 36]), np.array([y, y])
        if pattern:
            dashes(draw, *ends, colour, width, pattern)
        else:
            draw.line((x, y, x + 36, y), fill=ink(colour), width=width)
        text(draw, x + 42, y, name, size=NAME)
        x += 62 + draw.textlength(name, font=font(NAME))


def paint(*several: Chart) -> Image.Image:
    """Charts one below the other as a palette picture."""
    canvas = blank()
    draw = ImageDraw.Draw(canvas)
    part = SIDE // len(several)
    for i, chart in enumerate(several):
        draw_chart(draw, chart, (0, i * part, SIDE, (i + 1) * part))
    return canvas
