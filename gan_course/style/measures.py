"""How well a picture was restyled: structure, edges, and whether its texture is one of the style."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.metrics import frechet_distance
from gan_course.style.looks import grey


def similarity(a: Tensor, b: Tensor) -> list[float]:
    """Structural similarity of the greys of each two pictures, ``[N, 3, H, W]`` in [-1, 1]; 1 for equal ones.

    Wang and others, 2004, as scikit-image computes it. Sides of at least 7 pixels.
    """
    from skimage.metrics import structural_similarity

    pairs = zip(grey(a)[:, 0].numpy(), grey(b)[:, 0].numpy(), strict=True)
    return [float(structural_similarity(x, y, data_range=2.0)) for x, y in pairs]


def edges(images: Tensor) -> Tensor:
    """How steep the greys of ``images [N, 3, H, W]`` are at each place, the steepest tenth as 1: ``[N, 3, H, W]``.

    In units of the picture itself: a dark picture of a place has the same edges as a bright one.
    """
    level = F.pad(grey(images), (1, 1, 1, 1), mode="replicate")
    steep = torch.hypot(level[:, :, 1:-1, 2:] - level[:, :, 1:-1, :-2], level[:, :, 2:, 1:-1] - level[:, :, :-2, 1:-1])
    unit = steep.flatten(1).quantile(0.9, dim=1).clamp_min(1e-3)[:, None, None, None]
    return (2 * (steep / unit).clamp(max=1) - 1).expand(-1, 3, -1, -1)


def edge_similarity(a: Tensor, b: Tensor) -> list[float]:
    """Structural similarity of the edges of each two pictures: is everything still where it was?"""
    return similarity(edges(a), edges(b))


def patches(images: Tensor, count: int = 4000, side: int = 8, seed: int = 0) -> Tensor:
    """``count`` random squares out of the greys of ``images [N, 3, H, W]``: ``[count, side * side]``."""
    draw = torch.Generator().manual_seed(seed)
    whole = F.unfold(grey(images), side).transpose(1, 2)  # [N, places, side * side]
    which = torch.randint(len(images), (count,), generator=draw)
    return whole[which, torch.randint(whole.shape[1], (count,), generator=draw)]


def patch_distance(a: Tensor, b: Tensor, count: int = 4000) -> float:
    """Fréchet distance between random patches of two sets of pictures, ``[N, 3, H, W]`` each; 0 for equal textures.

    Where a line lies does not matter to it, whether there are lines does.
    """
    return frechet_distance(patches(a, count, seed=0), patches(b, count, seed=1))
