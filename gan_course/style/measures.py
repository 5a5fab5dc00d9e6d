"""How well a picture was restyled: structure, edges, and whether its texture is one of the style."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import Count, Photographs, Seed, check_alike, guard, refuse, whole
from gan_course.metrics import frechet_distance
from gan_course.style.looks import grey

Patches = Annotated[int, whole(65, 1_000_000)]  # more than the 64 numbers of each, or the distance is far too large


def similarity(a: Photographs, b: Photographs) -> list[float]:
    """Structural similarity of the greys of each two pictures, ``[N, 3, H, W]`` in [-1, 1]; 1 for equal ones.

    Wang and others, 2004, as scikit-image computes it. Raises ``ValueError`` for sets of different shapes and for sides
    of under 7 pixels.
    """
    from skimage.metrics import structural_similarity

    check_alike(a=a, b=b)
    if min(a.shape[2:]) < 7:
        refuse("a", "pictures with sides of at least 7 pixels", a, "take larger ones")
    first, second = (grey(x.detach().float().cpu())[:, 0].numpy() for x in (a, b))
    pairs = zip(first, second, strict=True)
    return [float(structural_similarity(x, y, data_range=2.0)) for x, y in pairs]


def edges(images: Photographs) -> Tensor:
    """How steep the greys of ``images [N, 3, H, W]`` are at each place, the steepest tenth as 1: ``[N, 3, H, W]``.

    In units of the picture itself: a dark picture of a place has the same edges as a bright one.
    """
    level = F.pad(grey(images), (1, 1, 1, 1), mode="replicate")
    steep = torch.hypot(level[:, :, 1:-1, 2:] - level[:, :, 1:-1, :-2], level[:, :, 2:, 1:-1] - level[:, :, :-2, 1:-1])
    unit = steep.flatten(1).quantile(0.9, dim=1).clamp_min(1e-3)[:, None, None, None]
    return (2 * (steep / unit).clamp(max=1) - 1).expand(-1, 3, -1, -1)


def edge_similarity(a: Photographs, b: Photographs) -> list[float]:
    """Structural similarity of the edges of each two pictures: is everything still where it was?

    Raises ``ValueError`` as :func:`similarity` does.
    """
    return similarity(edges(a), edges(b))


def patches(
    images: Photographs, count: Annotated[int, whole(1, 1_000_000)] = 4000, side: Count = 8, seed: Seed = 0
) -> Tensor:
    """``count`` random squares out of the greys of ``images [N, 3, H, W]``: ``[count, side * side]``.

    Raises ``ValueError`` for a ``side`` beyond that of the pictures.
    """
    if side > min(images.shape[2:]):
        raise ValueError(f"side is {side} but the pictures have {images.shape[2]}x{images.shape[3]} pixels: lower it")
    draw, across = torch.Generator().manual_seed(seed), images.shape[3] - side + 1
    which = torch.randint(len(images), (count,), generator=draw)
    places = torch.randint((images.shape[2] - side + 1) * across, (count,), generator=draw)
    square = torch.arange(side)
    rows = (places // across)[:, None, None] + square[:, None]
    columns = (places % across)[:, None, None] + square
    return grey(images)[which[:, None, None], 0, rows, columns].flatten(1)


def patch_distance(a: Photographs, b: Photographs, count: Patches = 4000) -> float:
    """Fréchet distance between random patches of two sets of pictures, ``[N, 3, H, W]`` each; 0 for equal textures.

    Where a line lies does not matter to it, whether there are lines does. Raises ``ValueError`` for fewer than 65
    patches and for sides of under 8 pixels.
    """
    for name, x in (("a", a), ("b", b)):
        if min(x.shape[2:]) < 8:
            refuse(name, "pictures with sides of at least 8 pixels", x, "take larger ones")
    return frechet_distance(patches(a, count, seed=0), patches(b, count, seed=1))


guard(__name__)
