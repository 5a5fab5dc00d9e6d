"""Figures. Every figure reaches a notebook through :func:`show`, which stores its alternative text with it.

Blue is real and orange is generated throughout the course; both stay apart for colour-blind readers
(Okabe and Ito's palette).
"""

from __future__ import annotations

import io
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from gan_course import fonts
from gan_course.arguments import Column, Count, Drawable, Points, Positive, guard

REAL, FAKE, NEUTRAL = "#0072B2", "#D55E00", "#555555"
PIXELS = 2  # stored for each pixel of the page, in either direction: sharp on today's screens
PAD = 0.042  # inches that the layout leaves on each side of a picture
LETTERS = 12  # of a title that go on an inch, about
GREEN, PURPLE = "#009E73", "#CC79A7"
COLUMNS = {"real_logit": REAL, "fake_logit": FAKE, "held_out_logit": "#56B4E9", "d_loss": GREEN, "g_loss": PURPLE}
OTHERS = (NEUTRAL, GREEN, PURPLE, "black")  # of what is neither real nor generated
BELIEF = LinearSegmentedColormap.from_list("belief", ["#F2A46F", "#FFFFFF", "#7FB8DE"])  # 0 is fake, 1 is real


def new_figure(
    rows: Count = 1, columns: Count = 1, size: tuple[Positive, Positive] = (4.0, 3.0), **options: Any
) -> tuple[Figure, Any]:
    """A figure with ``rows * columns`` axes of ``size`` inches each, and those axes as ``Figure.subplots`` gives them.

    It knows nothing of pyplot: there is no figure to close, and none that shows up twice.
    """
    fonts.use()
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, **options)


def mime_bundle(
    figure: Figure, alt: str, dpi: Count = 90, quick: bool = False, photograph: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """``figure`` as Jupyter displays it: a PNG, and metadata that hold its alternative text ``alt`` and its width.

    ``dpi``: pixels of the page for each inch; the PNG has ``PIXELS`` times as many. ``quick``: no more than the page's,
    in less time and more bytes, for a picture that another one will soon replace. ``photograph``: a JPEG where that
    keeps more colours in fewer bytes. Raises ``ValueError`` where ``alt`` is too short to help a reader who can't see
    the figure.
    """
    if len(alt) < 20:
        raise ValueError(f"alt={alt!r} is too short: say in a sentence what the figure shows")
    fonts.leave_out_what_has_no_letters(figure)
    buffer = io.BytesIO()
    fast = {"compress_level": 1}  # "compact" compresses anew
    figure.savefig(buffer, format="png", dpi=dpi if quick else PIXELS * dpi, pil_kwargs=fast)
    kind, picture = "image/png", buffer.getvalue() if quick else compact(buffer.getvalue())
    jpeg = in_all_colours(buffer.getvalue()) if photograph else None
    if jpeg and len(jpeg) < len(picture):
        kind, picture = "image/jpeg", jpeg
    width = round(figure.get_figwidth() * dpi)
    return {kind: picture, "text/plain": alt}, {kind: {"alt": alt, "width": width}}


def compact(png: bytes) -> bytes:
    """The same picture in 256 colours: less than half the bytes, and in a drawing nothing that an eye would miss."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def in_all_colours(png: bytes) -> bytes | None:
    """A picture of more than 256 colours as a JPEG, or None: a sky in 256 colours has rings."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    if picture.getcolors(256):  # that many or fewer
        return None
    picture.save(buffer, "JPEG", quality=88, subsampling=0, optimize=True)
    return buffer.getvalue()


def kernel() -> Any:
    """The Jupyter kernel in which this code runs, else ``None``."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None)


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel, so that something can be displayed."""
    return kernel() is not None


def show(figure: Figure, alt: str) -> None:
    """Display ``figure`` in the notebook with the alternative text ``alt``. Outside a notebook it only checks them."""
    data, metadata = mime_bundle(figure, alt, photograph=True)
    if "matplotlib.pyplot" in sys.modules:  # a student's own plt.subplots(): otherwise Jupyter would show it again
        sys.modules["matplotlib.pyplot"].close(figure)
    if in_notebook():
        from IPython.display import display

        display(data, metadata=metadata, raw=True)


def tile(images: Drawable, columns: Count) -> np.ndarray:
    """Pictures ``[N, C, H, W]`` in ``[-1, 1]`` as one, white gaps of one pixel: ``[..., ..., C]`` in ``[0, 1]``."""
    images = ((images.detach().float().cpu() + 1) / 2).clamp(0, 1)
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    canvas = torch.ones(channels, rows * (height + 1) - 1, columns * (width + 1) - 1)
    for i, image in enumerate(images):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        canvas[:, top : top + height, left : left + width] = image
    return canvas.permute(1, 2, 0).numpy()


def draw_images(ax: Axes, images: Drawable, columns: Count = 8, title: str = "") -> None:
    """Draw pictures ``[N, C, H, W]`` in ``[-1, 1]`` as a grid on ``ax``."""
    picture = tile(images, columns)
    ax.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.axis("off")


def image_grid(images: Drawable, columns: Count = 8, title: str = "", width: Positive = 6.0) -> Figure:
    """Pictures ``[N, C, H, W]`` in ``[-1, 1]`` as a figure ``width`` inches wide."""
    picture = tile(images, columns)
    figure, ax = new_figure(size=(width, width * picture.shape[0] / picture.shape[1] + (0.3 if title else 0)))
    draw_images(ax, images, columns, title)
    return figure


def filmstrip(frames: Mapping[str, Drawable], columns: Count = 4, size: Positive = 1.9, title: str = "") -> Figure:
    """Several grids of pictures side by side, each under its name: ``{"step 0": [N, C, H, W], ...}``.

    Each grid is ``size`` inches wide, and the figure as high as the highest of them needs. A name wider than its grid
    goes on in a second line; where a single word is wider, all names are a little smaller.
    """
    shapes = [tile(images, columns).shape for images in frames.values()]
    height = max(rows / wide for rows, wide, _ in shapes)
    letters = max(int(LETTERS * size), 1)
    names = ["\n".join(textwrap.fill(x, letters, break_long_words=False) for x in name.split("\n")) for name in frames]
    longest = max(len(line) for name in names for line in name.split("\n"))
    above = 0.2 + 0.17 * max(name.count("\n") + 1 for name in names) + (0.25 if title else 0)
    figure, axes = new_figure(1, len(frames), size=(size, (size - 2 * PAD) * height + above), squeeze=False)
    for ax, name, images in zip(axes[0], names, frames.values(), strict=True):
        draw_images(ax, images, columns, name)
        ax.title.set_fontsize(max(7, min(10, 10 * letters / max(longest, 1))))
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def smooth(values: Column, window: Count = 25) -> np.ndarray:
    """A centred moving average, shorter at the two ends: same length as ``values``."""
    if not len(values):  # the log before the first step
        return np.zeros(0)
    total = np.convolve(values, np.ones(min(window, len(values))), mode="same")
    return total / np.convolve(np.ones(len(values)), np.ones(min(window, len(values))), mode="same")


def draw_curves(ax: Axes, log: Mapping[str, Column], names: Mapping[str, str], window: Count = 25) -> None:
    """Columns of a training log against its ``"step"``: ``names`` maps each column to its legend.

    What is read off real samples is blue, off generated ones orange, and everything else neither.
    """
    for i, (column, label) in enumerate(names.items()):
        colour = COLUMNS.get(column, OTHERS[i % len(OTHERS)])
        ax.plot(log["step"], log[column], color=colour, alpha=0.2, linewidth=0.7)
        ax.plot(log["step"], smooth(log[column], window), color=colour, label=label)
    ax.set_xlabel(fonts.label("step"))
    ax.grid(alpha=0.3)
    ax.legend(framealpha=0.8, edgecolor="none", fontsize=9)  # where no corner is free, curves shine through


def draw_losses(ax: Axes, log: Mapping[str, Column]) -> None:
    """The two losses of a training log, with the clueless discriminator's 2 log 2 as a dotted line."""
    draw_curves(ax, log, {"d_loss": fonts.label("discriminator"), "g_loss": fonts.label("generator")})
    ax.axhline(2 * np.log(2), color=NEUTRAL, linestyle=":", linewidth=1)
    ax.set_ylabel(fonts.label("loss"))


def plane(extent: Positive = 1.6, side: Count = 60) -> Tensor:
    """A square grid of points in the plane, ``[side * side, 2]``, row by row from the lower left."""
    line = torch.linspace(-extent, extent, side)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


@torch.no_grad()
def draw_belief(ax: Axes, discriminator: Callable[[Tensor], Tensor], extent: Positive = 1.6, side: Count = 60) -> Any:
    """The discriminator's belief D(x) = sigmoid(logit) in the plane, blue for "real". Returns it for a colour bar."""
    belief = discriminator(plane(extent, side)).sigmoid().reshape(side, side).numpy()
    return ax.imshow(
        belief,
        cmap=BELIEF,
        vmin=0,
        vmax=1,
        origin="lower",
        extent=(-extent, extent, -extent, extent),
        interpolation="bilinear",
    )


def draw_points(ax: Axes, real: Points | None = None, fake: Points | None = None, extent: Positive = 1.6) -> None:
    """Real points blue, generated ones orange: each ``[N, 2]``."""
    for points, colour, name in ((real, REAL, "real"), (fake, FAKE, "generated")):
        if points is not None:
            x, y = points.detach().cpu().T
            ax.scatter(x, y, s=5, color=colour, alpha=0.6, linewidths=0, label=fonts.label(name))
    ax.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal", xticks=[], yticks=[])


def draw_arrows(ax: Axes, starts: Points, directions: Points, length: Positive = 0.3) -> None:
    """An arrow at each of ``starts [N, 2]`` along ``directions [N, 2]``; the longest is ``length`` long."""
    directions = directions.detach().cpu()
    scale = length / directions.norm(dim=1).max().clamp_min(1e-12)
    x, y = starts.detach().cpu().T
    u, v = (directions * scale).T
    ax.quiver(x, y, u, v, angles="xy", scale_units="xy", scale=1, color="black", width=0.004, zorder=3)


def flowchart(
    boxes: Mapping[str, tuple[float, float, str]],
    arrows: Sequence[tuple[str, str, str]],
    size: tuple[Positive, Positive] = (6.4, 2.6),
    title: str = "",
) -> Figure:
    """Boxes joined by arrows. ``boxes``: name → (x, y, text), in units of one box; ``arrows``: (from, to, label).

    A name that starts with "real", "fake" or "loss" gives the box its colour.
    """
    colours = {"real": "#CFE4F3", "fake": "#FBDCC8", "loss": "#FFF3C4"}
    figure, ax = new_figure(size=size)
    figure.set_layout_engine("none")
    ax.set_position((0, 0, 1, 0.88 if title else 1))
    xs, ys = zip(*[(x, y) for x, y, _ in boxes.values()], strict=True)
    ax.set(xlim=(min(xs) - 0.7, max(xs) + 0.7), ylim=(min(ys) - 0.6, max(ys) + 0.6))
    ax.set_title(title, fontsize=10)
    ax.axis("off")
    drawn = {}
    for name, (x, y, text) in boxes.items():
        style = {"boxstyle": "round,pad=0.45", "facecolor": colours.get(name[:4], "#EEEEEE"), "edgecolor": "#777777"}
        drawn[name] = ax.text(x, y, text, ha="center", va="center", fontsize=9, bbox=style, zorder=3)
    for start, end, label in arrows:
        # What flows back while learning is dashed and bends aside.
        learning = label.startswith(("gradient", fonts.label("gradient")))
        bend, colour = (0.3, NEUTRAL) if learning else (0.0, "black")
        line = {
            "arrowstyle": "-|>", "color": colour, "linestyle": "--" if learning else "-", "shrinkA": 2, "shrinkB": 2,
            "patchA": drawn[start].get_bbox_patch(), "patchB": drawn[end].get_bbox_patch(),
            "connectionstyle": f"arc3,rad={bend}",
        }  # fmt: skip
        ax.annotate("", boxes[end][:2], boxes[start][:2], arrowprops=line)
        if label:  # at the middle of the arc, which is bent in pixels
            (x0, y0), (x1, y1) = ax.transData.transform([boxes[start][:2], boxes[end][:2]])
            middle = (x0 + x1 + bend * (y1 - y0)) / 2, (y0 + y1 - bend * (x1 - x0)) / 2
            x, y = ax.transData.inverted().transform(middle)
            ax.text(x, y, label, ha="center", va="center", fontsize=8, color=colour,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip
    return figure


guard(__name__)
