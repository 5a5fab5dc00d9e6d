"""The looks of chapter 10: pictures that show a style, and filters whose result a network is to learn.

Style pictures are drawn here, so that nobody's painting is needed. Filters take and give ``[N, 3, H, W]`` in [-1, 1].
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import Colours, Count, Maps, Photographs, Seed, guard, number, whole

Side = Annotated[int, whole(8, 4096)]  # pixels
Sigma = Annotated[float, number(0.1, 100)]  # pixels
Period = Annotated[float, number(2, 1000)]  # pixels: lines that are closer can't be told apart

# ------------------------------------------------------------------------------------------ pictures of a style

GLASS = ("c8102e", "f2a900", "1d6f42", "0b4f8a", "f3ead3", "d9531e", "5b2a5b", "7fb7be")


def mosaic(size: Side = 256, seed: Seed = 0, tile: Count = 14) -> Tensor:
    """Coloured stones of about ``tile`` pixels with dark joints between them: ``[3, size, size]`` in [-1, 1]."""
    from scipy.spatial import KDTree

    random = np.random.default_rng(seed)
    corners = np.arange(-tile, size + 2 * tile, tile)
    regular = np.stack(np.meshgrid(corners, corners, indexing="ij"), axis=-1).reshape(-1, 2)
    stones = regular + random.uniform(-0.45 * tile, 0.45 * tile, regular.shape)
    line = np.arange(size) + 0.5
    places = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    distance, which = KDTree(stones).query(places, k=2)
    inside = np.clip((distance[:, 1] - distance[:, 0] - 1.5) / 1.5, 0, 1)[:, None]  # 0 in a joint, 1 in a stone
    colours = _colours(GLASS)[random.integers(len(GLASS), size=len(stones))]
    colours = np.clip(colours + random.normal(0, 0.05, (len(stones), 1)), 0, 1)
    picture = 0.06 + inside * (colours[which[:, 0]] - 0.06)
    return _as_picture(picture.reshape(size, size, 3))


def swirls(size: Side = 256, seed: Seed = 0) -> Tensor:
    """Thick blue and yellow brush strokes along whirls: ``[3, size, size]`` in [-1, 1]."""
    strokes = _along_flow(size, seed, length=14, grain=1.6, whirls=9)
    anchors = _colours(("0a1a4a", "1f4fa3", "5b9bd1", "b9d3c8", "f6d24a"))
    return _as_picture(_ramp(strokes, anchors))


def engraving(size: Side = 256, seed: Seed = 0) -> Tensor:
    """Black lines on warm paper, close together and bent: ``[3, size, size]`` in [-1, 1]."""
    lines = _along_flow(size, seed, length=22, grain=1.3, whirls=4)
    ink = 1 / (1 + np.exp(-(lines - 0.5) * 24))  # almost only ink and paper, with soft edges
    return _as_picture(_ramp(ink, _colours(("14110f", "f1e6cf"))))


#: The styles that come with the course, and the pictures that define them.
STYLES = {"mosaic": mosaic, "swirls": swirls, "engraving": engraving}


def _colours(codes: tuple[str, ...]) -> np.ndarray:
    return np.array([[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in codes]) / 255


def _ramp(values: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as colours, in straight lines from one to the next: ``[H, W, 3]``."""
    at = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(values, at, colours[:, c]) for c in range(3)], axis=-1)


def _as_picture(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(2 * picture - 1).float().permute(2, 0, 1).contiguous()


def _along_flow(size: int, seed: int, length: int, grain: float, whirls: int) -> np.ndarray:
    """Noise smeared along the lines of a flow of ``whirls`` vortices: values in [0, 1], ``[size, size]``.

    This is line integral convolution (Cabral and Leedom, 1993).
    """
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 1, size, size, generator=draw)
    y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    across, down = torch.full_like(x, 0.4), torch.zeros_like(x)
    for right, below, turn, reach in torch.rand(whirls, 4, generator=draw).tolist():
        dx, dy = x - size * right, y - size * below
        strength = torch.exp(-(dx**2 + dy**2) / (2 * (size * (0.06 + 0.1 * reach)) ** 2)) * (1 if turn < 0.5 else -1)
        across, down = across - strength * dy * 8 / size, down + strength * dx * 8 / size
    speed = torch.hypot(across, down).clamp_min(1e-6)
    across, down = across / speed, down / speed
    total = torch.zeros_like(noise)
    for sign in (1, -1):
        at_x, at_y = x.clone(), y.clone()
        for _ in range(length):
            grid = torch.stack([2 * at_x / size - 1, 2 * at_y / size - 1], dim=-1)[None]
            step = F.grid_sample(torch.stack([across, down])[None], grid, padding_mode="border", align_corners=False)
            at_x, at_y = at_x + sign * step[0, 0], at_y + sign * step[0, 1]
            total += F.grid_sample(noise, grid, padding_mode="reflection", align_corners=False)
    total = blur(total, grain)
    order = total.flatten().argsort().argsort().view(size, size)  # ranks: every value equally often
    return (order / (size * size - 1)).numpy()


# ------------------------------------------------------------------------------------------ filters to learn


def blur(images: Maps, sigma: Sigma) -> Tensor:
    """``images [N, C, H, W]`` under a Gaussian of ``sigma`` pixels; beyond the edge the last row goes on."""
    radius = math.ceil(3 * sigma)
    line = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    weights = torch.exp(-(line**2) / (2 * sigma**2))
    weights = (weights / weights.sum()).expand(images.shape[1], 1, -1)
    wide = F.pad(images, (radius, radius, radius, radius), mode="replicate")
    rows = F.conv2d(wide, weights[:, :, None, :], groups=images.shape[1])
    return F.conv2d(rows, weights[:, :, :, None], groups=images.shape[1])


def grey(images: Colours) -> Tensor:
    """How bright each pixel of ``images [N, 3, H, W]`` is: ``[N, 1, H, W]``, the range of the pictures."""
    return (images * images.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)


def pencil(images: Photographs, sigma: Sigma = 3.0) -> Tensor:
    """A pencil drawing: white where a place is as bright as its surroundings, dark where it is darker.

    The same photograph always gives the same drawing.
    """
    bright = (grey(images) + 1) / 2
    drawn = ((bright + 0.05) / (blur(bright, sigma) + 0.05)).clamp(max=1) ** 2
    return (2 * drawn - 1).expand_as(images)


def hatching(images: Photographs, random: torch.Generator, period: Period = 6.0) -> Tensor:
    """Two layers of black lines, the thicker the darker the place; where they start is drawn anew each time.

    So one photograph has many right answers: lines that are shifted are another one.
    """
    dark = 1 - (blur(grey(images), 1.5) + 1) / 2
    sides = (torch.arange(side, device=images.device) for side in images.shape[2:])
    y, x = torch.meshgrid(*sides, indexing="ij")
    phases = 2 * math.pi * torch.rand(len(images), 2, 1, 1, generator=random, device=random.device).to(images)
    paper = torch.ones_like(dark)
    for layer, (sign, least) in enumerate(((1, 0.15), (-1, 0.55))):
        along = 2 * math.pi * (x + sign * y) / (period * math.sqrt(2))
        wave = 0.5 - 0.5 * torch.cos(along + phases[:, layer : layer + 1])
        cover = ((dark - least) / (1 - least)).clamp(0, 1) * 0.8
        paper = paper * torch.sigmoid((wave - cover) * 14).where(cover > 0, torch.ones_like(wave))
    return (2 * paper - 1).expand_as(images)


def night(images: Photographs) -> Tensor:
    """The same place by night: dark, blue, and the darker parts hardly lighter than black."""
    light = ((images + 1) / 2) ** 1.5 * images.new_tensor([0.30, 0.36, 0.55])[:, None, None]
    return 2 * (light + images.new_tensor([0.02, 0.03, 0.08])[:, None, None]) - 1


guard(__name__)
