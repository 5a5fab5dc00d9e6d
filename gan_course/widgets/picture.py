"""Paints the lab fast enough to play: a few milliseconds a picture, where a plotting library takes a hundred.

A picture is an array of palette indices: one byte a pixel, a quarter of the work and of the PNG. It is painted at
twice the size at which it is shown, so that the browser smooths its edges. Colours are those of ``plots``; shapes
differ, too: real points are discs, generated ones diamonds.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import font_manager
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from gan_course import plots
from gan_course.losses import LOSSES
from gan_course.widgets.lab import EXTENT, Lab

SIDE = 720  # pixels of a picture's side
LEVELS = 64  # shades of belief
LAYERS = ("real", "generated", "belief", "arrows", "grid", "curves")
DREW = {"real": 400, "generated": 400}  # how many points are drawn
ARROWS = 48
BELIEF_SIDE = 36  # the discriminator is asked on a grid of so many points a side
NAME, TICK = 26, 25  # sizes of letters, which a narrow page shows at a third
INK, PALE, LINE, WHITE = "#222222", "#D5D5D5", "#555555", "#FFFFFF"
NAMED = (WHITE, INK, PALE, LINE, plots.REAL, plots.FAKE, "#009E73", "#7A3A8C")
GREEN, PURPLE = NAMED[6:]


@functools.cache
def palette() -> bytes:
    """``LEVELS`` shades of belief, then the named colours."""
    shades = plots.BELIEF(np.linspace(0, 1, LEVELS))[:, :3]
    colours = np.vstack([shades, [to_rgb(name) for name in NAMED]])
    return (colours * 255).round().astype(np.uint8).tobytes()


def ink(colour: str) -> int:
    """A named colour's place in the palette."""
    return LEVELS + NAMED.index(colour)


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


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


# ------------------------------------------------------------------------------------------ what is to be seen


class View(NamedTuple):
    """All that the plane's picture shows, in the plane's own units. A layer that is off is ``None``."""

    belief: np.ndarray | None = None  # [BELIEF_SIDE, BELIEF_SIDE], 0 to 1, top row first
    grid: np.ndarray | None = None  # [lines, points, 2]
    real: np.ndarray | None = None  # [N, 2]
    fake: np.ndarray | None = None  # [N, 2]
    arrows: np.ndarray | None = None  # [N, 2, 2]: tails and tips
    before: np.ndarray | None = None  # [N, 2]: where the generated points were, in slow motion
    title: str = ""


@functools.cache
def belief_points() -> Tensor:
    """Where the discriminator is asked: centres of cells, top row first ``[BELIEF_SIDE ** 2, 2]``."""
    line = (torch.arange(BELIEF_SIDE) + 0.5) * (2 * EXTENT / BELIEF_SIDE) - EXTENT
    y, x = torch.meshgrid(-line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


@functools.cache
def latent_lines(prior: str, dim: int) -> Tensor:
    """A net in the space of the noise, each of its cells equally likely: ``[lines, points, dim]``."""
    along = torch.linspace(0.01, 0.99, 41 if dim == 2 else 161)
    across = torch.linspace(0.01, 0.99, 11)
    if dim == 1:
        shares = along[None, :, None]
    else:
        x, y = torch.meshgrid(across, along, indexing="ij")
        shares = torch.cat([torch.stack([x, y], dim=2), torch.stack([y, x], dim=2)])
    return 2 * shares - 1 if prior == "uniform" else torch.special.ndtri(shares)


def pushes(lab: Lab, points: Tensor) -> Tensor:
    """Where the generator's loss pushes each of ``points [N, 2]``: minus its gradient there, ``[N, 2]``."""
    loss = LOSSES[lab.knobs.loss]
    with torch.enable_grad():
        at = points.detach().requires_grad_()
        real = lab.game.discriminator(lab.real[: len(at)]).detach() if loss.generator_sees_real else None
        total = loss.generator(real, lab.game.discriminator(at)) * len(at)  # each point's own gradient, not a mean's
        (gradient,) = torch.autograd.grad(total, at)
    return -gradient


def look(lab: Lab, layers: Sequence[str], title: str = "") -> View:
    """What ``layers`` show of ``lab`` now."""
    shown = set(layers)
    belief = grid = arrows = None
    with torch.no_grad():
        fake = lab.game.generator(lab.watched[: DREW["generated"]])
        if "belief" in shown:
            belief = lab.game.discriminator(belief_points()).sigmoid().reshape(BELIEF_SIDE, BELIEF_SIDE).numpy()
        if "grid" in shown:
            net = latent_lines(lab.knobs.prior, lab.knobs.prior_dim)
            grid = lab.game.generator(net.flatten(0, 1)).reshape(*net.shape[:2], 2).numpy()
    if "arrows" in shown:
        tails = fake[:ARROWS]
        push = pushes(lab, tails)
        length = push.norm(dim=1, keepdim=True)
        tips = tails + 0.5 * push / (length + 1)  # a long one is cut, a short one stays short
        arrows = torch.stack([tails, tips], dim=1).numpy()
    real = lab.real[: DREW["real"]].numpy() if "real" in shown else None
    shown_fake = fake.numpy() if "generated" in shown else None
    return View(belief, grid, real, shown_fake, arrows, title=title)


# ------------------------------------------------------------------------------------------ the plane


@functools.cache
def stamp(shape: str, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of a disc or a diamond around (0, 0): rows and columns."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = x**2 + y**2 <= (radius + 0.3) ** 2 if shape == "disc" else abs(x) + abs(y) <= radius
    return y[inside], x[inside]


def to_pixels(points: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Coordinates of the plane ``[..., 2]`` as pixels (x, y); what is no number, and what is far off, stays outside."""
    pixels = (np.nan_to_num(points, nan=1e6) * (1, -1) + EXTENT) * (side / (2 * EXTENT))
    return np.clip(pixels, -side, 2 * side)


def put(canvas: np.ndarray, points: np.ndarray, shape: str, radius: int, colour: str) -> None:
    """Stamp all ``points [N, 2]`` (pixels) onto ``canvas`` at once, each with a white rim."""
    at = points.round().astype(int)
    for grow, shade in ((2, WHITE), (0, colour)):
        dy, dx = stamp(shape, radius + grow)
        y, x = (at[:, 1, None] + dy).ravel(), (at[:, 0, None] + dx).ravel()
        inside = (y >= 0) & (y < canvas.shape[0]) & (x >= 0) & (x < canvas.shape[1])
        canvas[y[inside], x[inside]] = ink(shade)


def plane(view: View) -> Image.Image:
    """The plane as a palette picture, ``SIDE`` pixels square, y upward."""
    canvas = blank()
    if view.belief is not None:
        shades = Image.fromarray((np.nan_to_num(view.belief, nan=0.5) * 255).astype(np.uint8))
        shades = shades.resize((SIDE, SIDE), Image.Resampling.BICUBIC).point([i * LEVELS // 256 for i in range(256)])
        canvas.paste(shades)  # palette indices 0 to LEVELS - 1
    draw = ImageDraw.Draw(canvas)
    if view.grid is not None:
        for row in to_pixels(view.grid).round().astype(int):
            draw.line(row.ravel().tolist(), fill=ink(PURPLE), width=2)
    if view.real is not None or view.fake is not None:
        pixels = np.array(canvas)
        if view.real is not None:
            put(pixels, to_pixels(view.real), "disc", 4, plots.REAL)
        if view.fake is not None:
            if view.before is not None:
                put(pixels, to_pixels(view.before), "diamond", 6, LINE)
            put(pixels, to_pixels(view.fake), "diamond", 6, plots.FAKE)
        canvas = Image.fromarray(pixels)
        canvas.putpalette(palette())
        draw = ImageDraw.Draw(canvas)
    if view.arrows is not None:
        for tail, tip in to_pixels(view.arrows):
            arrow(draw, *tail, *tip)
    if view.title:
        width = draw.textlength(view.title, font=font(28))
        draw.rectangle((0, 0, width + 28, 46), fill=ink(WHITE))
        text(draw, 14, 23, view.title, size=28)
    draw.rectangle((0, 0, SIDE - 1, SIDE - 1), outline=ink(LINE), width=2)
    return canvas


def arrow(draw: ImageDraw.ImageDraw, x0: float, y0: float, x1: float, y1: float) -> None:
    length = math.hypot(x1 - x0, y1 - y0)
    if length < 3:  # no push to speak of
        return
    draw.line((x0, y0, x1, y1), fill=ink(INK), width=3)
    head = min(14.0, 0.5 * length) / length
    dx, dy = (x1 - x0) * head, (y1 - y0) * head
    left, right = (x1 - dx - dy / 2, y1 - dy + dx / 2), (x1 - dx + dy / 2, y1 - dy - dx / 2)
    draw.polygon([(x1, y1), left, right], fill=ink(INK))


# ------------------------------------------------------------------------------------------ curves


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
    step *= next(k for k in (0.2, 0.5, 1, 2, 5) if span / (step * k) <= 5)
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
    text(draw, (left + right) / 2, bottom + 24, chart.x_name, LINE, TICK, "mm")
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


def charts(*several: Chart, width: int = SIDE, height: int = SIDE) -> Image.Image:
    """Charts one below the other as a palette picture."""
    canvas = blank(width, height)
    draw = ImageDraw.Draw(canvas)
    part = height // len(several)
    for i, chart in enumerate(several):
        draw_chart(draw, chart, (0, i * part, width, (i + 1) * part))
    return canvas


def lab_charts(lab: Lab) -> tuple[Chart, Chart, Chart]:
    """Losses, mean logits, and how near the generated points are."""
    curves, measures = lab.curves, lab.measures
    step, far = curves["step"], measures["step"]
    covered = "heaps reached" if lab.now.heaps is not None else "data reached"
    return (
        Chart(
            "losses",
            (
                Curve("discriminator", step, curves["d_loss"], plots.REAL),
                Curve("generator", step, curves["g_loss"], plots.FAKE, dashed=True),
            ),
        ),
        Chart(
            "mean logits",
            (
                Curve("real", step, curves["real_logit"], plots.REAL),
                Curve("generated", step, curves["fake_logit"], plots.FAKE, dashed=True),
            ),
        ),
        Chart(
            "",
            (
                Curve(covered, far, measures["coverage"], GREEN),
                Curve("Jensen-Shannon", far, measures["divergence"], PURPLE, dashed=True),
            ),
            level=(math.log(2), "log 2"),
            y_range=(0.0, 1.0),
        ),
    )


def beside(*canvases: Image.Image) -> Image.Image:
    """Pictures of one height side by side."""
    whole = blank(sum(c.width for c in canvases), canvases[0].height)
    x = 0
    for canvas in canvases:
        whole.paste(canvas, (x, 0))
        x += canvas.width
    return whole
