"""What GAN Lab shows: the plane with its layers, and the curves beside it. Shapes tell as much as colours: real points
are discs, generated ones diamonds.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from gan_course import plots
from gan_course.fonts import label
from gan_course.losses import LOSSES
from gan_course.widgets.canvas import GREEN, LEVELS, LINE, PURPLE, SIDE, WHITE, arrow, blank, font, ink, palette, text
from gan_course.widgets.charts import Chart, Curve, paint
from gan_course.widgets.lab import EXTENT, Lab

LAYERS = ("real", "generated", "belief", "arrows", "grid", "curves")
DRAWN = 400  # points of each kind
ARROWS = 48
BELIEF_SIDE = 36  # the discriminator is asked on a grid of so many points a side

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
        fake = lab.game.generator(lab.watched[:DRAWN])
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
    real = lab.real[:DRAWN].numpy() if "real" in shown else None
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


def curves(lab: Lab) -> Image.Image:
    """Losses, mean logits, and how near the generated points are, as one palette picture."""
    log, measures = lab.curves, lab.measures
    step, far = log["step"], measures["step"]
    covered = label("share of heaps") if lab.now.heaps is not None else label("share of data")
    return paint(
        Chart(
            label("losses"),
            (
                Curve(label("discriminator"), step, log["d_loss"], GREEN),
                Curve(label("generator"), step, log["g_loss"], PURPLE, dashed=True),
            ),
        ),
        Chart(
            label("mean logits"),
            (
                Curve(label("real"), step, log["real_logit"], plots.REAL),
                Curve(label("generated"), step, log["fake_logit"], plots.FAKE, dashed=True),
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
