"""Rendered digits and letters: an endless data set that needs no download and looks handled by many pens.

Each picture takes one character of one font (``outlines``), pushes it through a random affine map and a small smooth
random displacement, and inks it with a pen of random width. All of it is arithmetic on batches of distance fields, so
that one core draws thousands of pictures a second. The grey form keeps MNIST's frame (a 20-pixel character in a
28-pixel picture, centred by mass; LeCun et al. 1998), so that the same networks train on both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import Count, Points, Seed, guard
from gan_course.data import Dataset
from gan_course.data.attributes import (
    COLOURS,
    POSITIONS,
    SIZES,
    Attributes,
    phrase,
    random_attributes,
)
from gan_course.data.outlines import FONTS, STYLES, TILE, Outlines, outlines

__all__ = ["Attributes", "colour_glyphs", "glyphs", "phrase", "random_attributes"]

CHUNK = 256  # pictures drawn at once: small enough for the processor's cache
KNOTS = 5  # the displacement is a smooth surface over KNOTS x KNOTS random values
NOISE = 20 + 2 * KNOTS * KNOTS  # random numbers a picture; the first 20 are the pose's, not all of them used


@dataclass(frozen=True)
class _Pose:
    """How ``n`` characters are drawn. Each field is ``[n]``, but ``place`` ``[n, 2]``, ``wobble`` ``[n, 2, KNOTS²]``.

    Lengths are in picture pixels: ``box`` the larger side of a capital, ``place`` the ink's centre (x, y) from the
    picture's, ``pen`` half the wanted stroke width, ``hairline`` half the least one, ``soft`` the width of a
    stroke's edge, ``wobble`` the displacement. ``weight`` says how far the font's own stroke width gives way to the
    pen's: 0 keeps it, 1 replaces it; where ``even``, the pen follows the skeleton and the outline doesn't count.
    ``slant`` is a tangent, ``turn`` an angle in radians, ``aspect`` a factor on the width.
    """

    box: Tensor
    place: Tensor
    aspect: Tensor
    slant: Tensor
    turn: Tensor
    pen: Tensor
    weight: Tensor
    hairline: Tensor
    even: Tensor
    soft: Tensor
    wobble: Tensor


def _bumps(side: int) -> Tensor:
    """Cubic B-spline weights ``[KNOTS², side²]`` that turn random values at knots into a smooth surface."""
    pixel = torch.linspace(0, KNOTS - 1, side)
    away = (pixel[None] - torch.arange(KNOTS)[:, None]).abs()
    near = 2 / 3 - away**2 + away**3 / 2
    line = torch.where(away < 1, near, (2 - away).clamp(min=0) ** 3 / 6)
    return torch.einsum("ay,bx->abyx", line, line).reshape(KNOTS * KNOTS, side * side)


def _ink(
    bank: Outlines, font: Tensor, character: Tensor, pose: _Pose, side: int, margin: float, by_box: bool = False
) -> Tensor:
    """How much of each pixel is covered with ink: ``[n, side, side]`` in [0, 1].

    ``margin``: pixels that stay empty at the picture's border before the displacement. ``by_box``: the pose's place
    is that of the middle between the ink's ends, not of its centre of mass.
    """
    n = len(font)
    # The map from an upright glyph to the picture, up to its scale: stretch, slant, turn.
    cos, sin = pose.turn.cos(), pose.turn.sin()
    bent = torch.stack([pose.aspect, -pose.slant, torch.zeros(n), torch.ones(n)], 1).reshape(n, 2, 2)
    linear = torch.stack([cos, -sin, sin, cos], 1).reshape(n, 2, 2) @ bent
    # The scale brings the ink's larger side to the wanted length; the place is moved until all ink is inside.
    reach = bank.reach[font, character] @ linear.transpose(1, 2)
    low, high = reach.amin(dim=1), reach.amax(dim=1)
    scale = pose.box * bank.relative[font, character] / (high - low).amax(dim=1)
    room = side / 2 - margin
    low, high = low * scale[:, None], high * scale[:, None]
    wanted = pose.place - (low + high) / 2 if by_box else pose.place
    place = torch.minimum(torch.maximum(wanted, -room - low), room - high)

    # Each picture's pixel is looked up in the atlas at the place it came from.
    line = torch.arange(side) - (side - 1) / 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    pixels = torch.stack([x, y]).reshape(1, 2, side * side)
    pixels = pixels - place[:, :, None] + pose.wobble @ _bumps(side)
    inverse = torch.linalg.inv(linear * scale[:, None, None])
    middle = (TILE - 1) / 2
    source = (inverse @ pixels).clamp(-middle, middle) + middle
    corner = torch.stack([character, font], 1) * TILE
    size = torch.tensor([bank.atlas.shape[3], bank.atlas.shape[2]])
    grid = (2 * (source + corner[:, :, None]) + 1) / size[:, None] - 1
    grid = grid.transpose(1, 2).reshape(1, n * side, side, 2)
    fields = F.grid_sample(bank.atlas, grid, align_corners=False).reshape(2, n, side, side)

    # Distances grow with the picture; a stretched glyph grows by the mean of both directions.
    grow = (scale * pose.aspect.sqrt())[:, None, None]
    outline, skeleton = fields * grow
    own = bank.stroke[font, character][:, None, None] * grow
    pen = pose.pen[:, None, None]
    thicker = (pose.weight[:, None, None] * (pen - own)).clamp(max=0.3)  # more would fill the counters
    printed = torch.maximum(outline + thicker, pose.hairline[:, None, None] - skeleton)
    shape = torch.where(pose.even[:, None, None], pen - skeleton, printed)
    return (0.5 + shape / pose.soft[:, None, None]).clamp(0, 1)


def _between(noise: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * noise


def _bell(noise: Tensor) -> Tensor:
    """Values near 0, within [-1, 1], from uniform ``noise`` ``[n, 2]``: the tent distribution."""
    return noise[:, 0] - noise[:, 1]


def _grey_pose(u: Tensor) -> _Pose:
    """Poses like those of handwritten digits from uniform noise ``[n, NOISE]``."""
    return _Pose(
        box=_between(u[:, 2], 17.5, 19.5),
        place=_between(u[:, 3:5], -1.0, 1.0),
        aspect=_between(u[:, 5], 0.75, 1.3),
        slant=0.4 * _bell(u[:, 6:8]),
        turn=math.radians(20) * _bell(u[:, 8:10]),
        pen=_between(u[:, 0], 0.8, 1.6),
        weight=_between(u[:, 10], 0.3, 1.0),
        hairline=_between(u[:, 11], 0.6, 0.9),
        even=u[:, 1] < 0.5,  # half of them are drawn with an even pen, as by hand
        soft=_between(u[:, 12], 1.0, 1.4),
        wobble=_between(u[:, 16], 1.0, 3.5)[:, None, None] * _between(u[:, 20:], -1, 1).reshape(-1, 2, KNOTS * KNOTS),
    )


def glyphs(count: Count = 20_000, seed: Seed = 0, characters: str = "0123456789", colour: bool = False) -> Dataset:
    """``count`` pictures of random ``characters``, the same for the same seed: white on black ``[count, 1, 28, 28]``.

    With ``colour``, ``[count, 3, 32, 32]`` of random attributes, with captions (see ``colour_glyphs``). Labels index
    ``characters``. The first pictures of a larger set are those of a smaller one with the same seed.
    Raises ``ValueError`` for ``count < 1`` and for a character that is not a digit or an unaccented Latin letter.
    """
    if colour:
        return colour_glyphs(random_attributes(count, seed, characters), seed, characters)
    bank = outlines(characters)
    g = torch.Generator().manual_seed(seed)
    images = torch.empty(count, 1, 28, 28)
    labels = torch.empty(count, dtype=torch.int64)
    for start in range(0, count, CHUNK):
        rows = slice(start, min(start + CHUNK, count))
        u = torch.rand(CHUNK, NOISE, generator=g)[: rows.stop - start]
        labels[rows] = (u[:, 13] * len(characters)).long()
        font = (u[:, 14] * len(FONTS)).long()
        strength = _between(u[:, 15], 0.9, 1.0)[:, None, None]
        images[rows, 0] = 2 * strength * _ink(bank, font, labels[rows], _grey_pose(u), side=28, margin=3.5) - 1
    return Dataset("glyphs", images, labels, tuple(characters))


def _printed_pose(u: Tensor, attributes: Sequence[Attributes]) -> _Pose:
    """Poses that show each record's size, position and style, from uniform noise ``[n, NOISE]``."""
    n = len(u)
    lean = torch.tensor([POSITIONS[a.position] for a in attributes], dtype=torch.float32)
    italic = torch.tensor(["italic" in a.style for a in attributes])
    return _Pose(
        box=torch.tensor([SIZES[a.size] for a in attributes]) * _between(u[:, 2], 0.95, 1.05),
        place=lean * _between(u[:, 3:5], 6.5, 10) + (lean == 0) * _between(u[:, 3:5], -1, 1),
        aspect=_between(u[:, 5], 0.9, 1.1),
        slant=italic * _between(u[:, 6], 0.0, 0.1),  # a little more than the font's own, so that it shows when small
        turn=math.radians(3) * _bell(u[:, 8:10]),
        pen=torch.ones(n),
        weight=torch.zeros(n),
        hairline=torch.full((n,), 0.45),
        even=torch.zeros(n, dtype=torch.bool),
        soft=_between(u[:, 12], 1.0, 1.2),
        wobble=_between(u[:, 20:], -0.5, 0.5).reshape(n, 2, KNOTS * KNOTS),
    )


def colour_glyphs(
    attributes: Sequence[Attributes], seed: Seed = 0, characters: str | None = None, places: Points | None = None
) -> Dataset:
    """One picture of each record, with its caption: ``[len(attributes), 3, 32, 32]``.

    ``seed`` decides what the records leave open: the font within the style, the exact tones and the exact place.
    Labels index ``characters``, by default those that occur, in order. ``places [len(attributes), 2]``: put the middle
    of each glyph so many pixels to the right of the picture's, and below it, whatever the records say; two calls that
    differ in nothing else draw the same glyphs elsewhere. Raises ``ValueError`` without any record, and for a number of
    places that is not theirs.
    """
    if not attributes:
        raise ValueError("there are no attributes to draw: make some with random_attributes(count)")
    if characters is None:
        characters = "".join(sorted({a.character for a in attributes}))
    bank = outlines(characters)
    if missing := [a.character for a in attributes if a.character not in characters]:
        raise ValueError(f"character {missing[0]!r} is not among {characters!r}: add it there or leave characters out")
    if places is not None and len(places) != len(attributes):
        raise ValueError(f"there are {len(attributes)} records but {len(places)} places: pass one for each")
    g = torch.Generator().manual_seed(seed)
    images = torch.empty(len(attributes), 3, 32, 32)
    labels = torch.tensor([characters.index(a.character) for a in attributes])
    for start in range(0, len(attributes), CHUNK):
        some = attributes[start : start + CHUNK]
        rows = slice(start, start + len(some))
        u = torch.rand(CHUNK, NOISE, generator=g)[: len(some)]
        choice = [STYLES[a.style] for a in some]
        font = torch.tensor([FONTS.index(c[int(v * len(c))]) for c, v in zip(choice, u[:, 14].tolist(), strict=True)])
        pose = _printed_pose(u, some)
        if places is not None:  # the same shape everywhere: what bends it is tied to the picture, not to the glyph
            pose = replace(pose, place=places[rows], wobble=torch.zeros_like(pose.wobble))
        ink = _ink(bank, font, labels[rows], pose, side=32, margin=1.5, by_box=True)[:, None]
        tone = torch.tensor([(COLOURS[a.background], COLOURS[a.colour]) for a in some])[..., None, None]
        tone = tone + 0.04 * (u[:, 15:17, None, None, None] - 0.5)  # a little lighter or darker
        images[rows] = 2 * (tone[:, 0] + ink * (tone[:, 1] - tone[:, 0])).clamp(0, 1) - 1
    return Dataset("glyphs", images, labels, tuple(characters), tuple(phrase(a) for a in attributes))


guard(__name__)
