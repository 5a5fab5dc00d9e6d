"""Clips of moving glyphs: an endless set whose every path is known, so that motion can be measured and not only seen.

A clip is 16 pictures of one glyph. It moves in a straight line at a constant speed and bounces off the borders. Its
digit, font and colour stay what they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_course.arguments import Count, Floats, Positive, Seed, guard
from gan_course.data.attributes import FIELDS, Attributes, inks
from gan_course.data.glyphs import colour_glyphs

FRAMES = 16
REACH = 6.8  # pixels: how far the middle of a glyph gets from the picture's
SPEEDS = 0.6, 1.6  # pixels a frame: the least and the greatest
DIGITS = "".join(FIELDS["character"])
STYLES = ("bold",)  # four fonts whose strokes are wide enough for 32 x 32 pixels


@dataclass(frozen=True)
class MovingGlyphs:
    """Clips with all that is true of them.

    ``frames [N, T, 3, 32, 32]`` in ``[-1, 1]``; ``labels`` int64 ``[N]``: the digits; ``records``: what each clip
    shows; ``places [N, T, 2]``: where the middle of the glyph lies in each frame, in pixels to the right of the
    picture's middle and below it.
    """

    frames: Tensor
    labels: Tensor
    records: list[Attributes]
    places: Tensor

    def __len__(self) -> int:
        return len(self.frames)


def bounce(distance: Floats, reach: Positive = REACH) -> Tensor:
    """Where something is that has gone so far from the left border and bounces off both: from ``-reach`` to ``reach``.

    A triangular wave: up, down, and up again after ``4 * reach``.
    """
    return (distance.remainder(4 * reach) - 2 * reach).abs().neg() + reach


def moving_glyphs(count: Count = 64, seed: Seed = 0, frames: Count = FRAMES) -> MovingGlyphs:
    """``count`` clips, the same for the same seed: ten digits, four fonts, the colours that stand out from black."""
    g = torch.Generator().manual_seed(seed)
    u = torch.rand(count, 7, generator=g)
    colours = inks("black")
    choices = (u[:, :3] * torch.tensor([len(DIGITS), len(colours), len(STYLES)])).long().tolist()
    records = [Attributes(DIGITS[d], colours[c], "black", style=STYLES[s]) for d, c, s in choices]
    angle, speed = 2 * math.pi * u[:, 3], SPEEDS[0] + (SPEEDS[1] - SPEEDS[0]) * u[:, 4]
    velocity = speed[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    places = bounce(4 * REACH * u[:, None, 5:] + velocity[:, None] * torch.arange(frames)[:, None])
    drawn = [colour_glyphs(records, seed, DIGITS, places[:, i]) for i in range(frames)]
    return MovingGlyphs(
        torch.stack([one.images for one in drawn], dim=1), torch.tensor([c[0] for c in choices]), records, places
    )


guard(__name__)
