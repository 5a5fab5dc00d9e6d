"""Two pictures for two eyes, from one picture and how far everything in it is."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from gan_course.arguments import Floats, guard, number, refuse, shaped
from gan_course.data.views import check_panorama

Depth = Annotated[
    Tensor,
    shaped("[..., H, 2 H]", lambda x: x.ndim > 1 and x.shape[-1] == 2 * x.shape[-2], "give it all of a panorama"),
]
Metres = Annotated[float, number(0, 1, above=True)]


def parallax(depth: Depth, eyes: Metres = 0.063) -> Tensor:
    """By how many columns the left eye sees a thing farther to the right than a single eye in the middle would.

    ``depth``: metres from the eye, above 0, all rows and columns of a panorama, ``[..., H, 2 H]``; the result has its
    shape, 0 to ``W / 4``. The eyes are ``eyes`` metres apart, as most people's are, and stand on either side of
    whatever direction is looked at: so all directions along the horizon are right at once ("omnidirectional stereo",
    Ishiguro and others, 1992). The eyes keep level, so that the distance along the ground counts, which is the depth
    times the cosine of a row's elevation. What is nearer so than half of ``eyes`` is moved by a quarter of a turn, the
    most that there is.

    Around a pole no move of columns can show two views: it only turns the picture. So from 60 to 75 degrees above and
    below the horizon the eyes draw together, and nearer to the poles they are one (Blender's "pole merging", with its
    usual angles). Raises ``ValueError`` for a depth of 0 or below, and for NaN.
    """
    if not (depth > 0).all():
        raise ValueError("depth must be metres above 0 everywhere: clamp it, and look where it was made")
    height, width = depth.shape[-2:]
    elevation = (90 - (torch.arange(height, dtype=torch.float64) + 0.5) / height * 180)[:, None].abs()  # of each row
    apart = eyes * torch.cos(torch.deg2rad((elevation - 60).clamp(0, 15) * 6))  # all of it up to 60 degrees, 0 from 75
    ratio = apart / 2 / torch.cos(torch.deg2rad(elevation))
    return torch.asin((ratio.to(depth) / depth).clamp(0, 1)) * (width / (2 * math.pi))


def stereo_pair(panorama: Floats, depth: Floats, eyes: Metres = 0.063) -> tuple[Tensor, Tensor]:
    """What the left and the right eye see: two panoramas of the form of ``panorama``, ``[..., C, H, 2 H]``.

    ``depth``: metres from the eye, above 0, one number a pixel, ``[..., 1, H, 2 H]``. ``eyes``: the distance between
    them in metres; enlarge it, and the place becomes a model on a table. Each pixel moves by its :func:`parallax`, none
    within 15 degrees of a pole; the nearer hides the farther, and what becomes visible behind an edge is filled with
    what lies beside it, farther away.
    The left and right edge of the panorama belong together. Raises ``ValueError`` for a picture that isn't twice as
    wide as high, a depth of another shape, and one of 0 or below.
    """
    check_panorama(panorama)
    wanted = [*panorama.shape[:-3], 1, *panorama.shape[-2:]]
    if list(depth.shape) != wanted:
        refuse(
            "depth", f"a tensor of shape {wanted}, one number for each pixel,", depth, "enlarge it like the panorama"
        )
    pictures, far = (x if x.ndim == 4 else x[None] for x in (panorama, depth.to(panorama)))
    moves = parallax(far, eyes)
    left = _move(pictures, moves)
    right = _move(pictures.flip(-1), moves.flip(-1)).flip(-1)
    return (left, right) if panorama.ndim == 4 else (left[0], right[0])


def _move(pictures: Tensor, moves: Tensor) -> Tensor:
    """``pictures [N, C, H, W]`` with each pixel moved to the right by its number in ``moves [N, 1, H, W]``, ≥ 0.

    Neighbouring pixels end at two places, and what lies between them is a stretch of a new row. All stretches together
    go around without a gap. Where several lie above each other, that of the nearest, which has moved the most, is seen.
    """
    seen, nearest = torch.zeros_like(pictures), torch.full_like(moves, -1.0)
    for steps in range(math.ceil(moves.max().item() + 0.5) + 1):
        # of every new pixel: the stretch that began with the old one so many steps to the left of it
        start, end = moves.roll(steps, -1), moves.roll(steps - 1, -1)  # how far its two ends have moved
        covers = (start <= steps) & (steps - 1 < end)
        share = ((steps - start) / (1 + end - start).clamp(min=1e-6)).clamp(0, 1)
        move = torch.lerp(start, end, share)
        # no surface but an edge: half a pixel belongs to the nearer end, the rest to what lies behind it
        torn, rising = (end - start).abs() > 0.5, end > start
        half = torch.where(rising, (end + 0.5 <= steps) & (steps - 1 <= end), (start <= steps) & (steps <= start + 0.5))
        share = torch.where(torn, (rising == half).to(share), share)
        move = torch.where(torn, torch.where(half, torch.maximum(start, end), torch.minimum(start, end)), move)
        front = (covers | (torn & half)) & (move > nearest)
        nearest = torch.where(front, move, nearest)
        seen = torch.where(front, torch.lerp(pictures.roll(steps, -1), pictures.roll(steps - 1, -1), share), seen)
    return seen


guard(__name__)
