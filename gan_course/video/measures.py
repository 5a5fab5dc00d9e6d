"""What is measured on clips ``[N, T, 3, H, W]`` of one coloured thing on black, ``T`` at least 3: a number for each.

None of it says much alone. A clip that stands still has no acceleration and no flicker; noise that never changes is
permanent. :func:`measure` therefore puts them side by side, with how far the thing went.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import Labels, Reader, guard
from gan_course.arguments.kinds import check_finite, check_not_from_0, shaped
from gan_course.networks import check_labels

LEAST_INK = 15.0  # pixels: a real glyph has at least twice as many


def _clips(name: str, value: Any) -> Tensor:
    right = "[N, T, 3, H, W], clips of at least three frames,"
    x = shaped(right, lambda x: x.ndim == 5 and x.shape[1] >= 3 and x.shape[2] == 3, "take longer ones, in colour")(
        name, value
    )
    check_finite(name, x)
    check_not_from_0(name, x)
    return x


Coloured = Annotated[Tensor, _clips]


def ink(clips: Coloured) -> Tensor:
    """How bright each pixel is, by its brightest colour, without the faint rest: ``[N, T, H, W]`` in ``[0, 1]``."""
    bright = ((clips.detach().float() + 1) / 2).clamp(0, 1).amax(dim=2)
    return ((bright - 0.25) / 0.75).clamp(min=0)


def _area(mass: Tensor) -> Tensor:
    """On how many pixels of each frame the ink is more than 0.4 of the clip's brightest: ``[N, T]``."""
    peak = mass.amax(dim=(1, 2, 3), keepdim=True).clamp_min(0.1)
    return (mass > 0.4 * peak).sum(dim=(2, 3)).float()


def centres(clips: Coloured) -> Tensor:
    """Where the ink's centre of mass lies: ``[N, T, 2]``, pixels to the right of the picture's middle and below it.

    A frame without ink has it in the middle.
    """
    mass = ink(clips)
    y, x = (torch.arange(side) - (side - 1) / 2 for side in mass.shape[2:])
    total = mass.sum(dim=(2, 3)).clamp_min(1e-6)
    return torch.stack([(mass.sum(dim=2) * x).sum(dim=2), (mass.sum(dim=3) * y).sum(dim=2)], dim=2) / total[:, :, None]


def speed(clips: Coloured) -> Tensor:
    """How far the centre goes from one frame to the next, in pixels, on average: ``[N]``."""
    return centres(clips).diff(dim=1).norm(dim=2).mean(dim=1)


def acceleration(clips: Coloured) -> Tensor:
    """By how much that step changes from frame to frame, in pixels, on average: ``[N]``.

    The length of ``p[t + 1] - 2 p[t] + p[t - 1]``; 0 for a straight line at constant speed, whatever the speed.
    """
    return centres(clips).diff(n=2, dim=1).norm(dim=2).mean(dim=1)


def centred(clips: Coloured) -> Tensor:
    """Each frame shifted, by parts of pixels, so that its ink's centre is in the middle: motion is compensated."""
    frames, places = clips.detach().float().flatten(0, 1), centres(clips).flatten(0, 1)
    height, width = frames.shape[2:]
    shift = 2 * places / torch.tensor([width, height])  # in the coordinates of a sampling grid, from -1 to 1
    moves = torch.cat([torch.eye(2).expand(len(frames), 2, 2), shift[:, :, None]], dim=2)
    grid = F.affine_grid(moves, list(frames.shape), align_corners=False)
    return F.grid_sample(frames, grid, padding_mode="border", align_corners=False).view(clips.shape)


def flicker(clips: Coloured) -> Tensor:
    """How much the thing itself changes from one frame to the next: ``[N]``, 0 for not at all, about 1 for all of it.

    The mean difference of the colours after :func:`centred`, per pixel of ink and of the range of colours.
    """
    steady = centred(clips)
    change = steady.diff(dim=1).abs().mean(dim=2).sum(dim=(2, 3)) / 2
    area = _area(ink(steady))
    return (change / ((area[:, 1:] + area[:, :-1]) / 2).clamp_min(LEAST_INK)).mean(dim=1)


def permanent(clips: Coloured) -> Tensor:
    """Whether the thing is there in each frame: bool ``[N]``.

    It is where its ink never falls below half of the clip's median, never rises above twice that, and the median is
    that of something at all.
    """
    area = _area(ink(clips))
    usual = area.median(dim=1, keepdim=True).values
    return ((area >= usual / 2) & (area <= 2 * usual)).all(dim=1) & (usual[:, 0] >= LEAST_INK)


def readings(clips: Coloured, reader: Reader) -> Tensor:
    """The digit and the colour that a network reads in each frame after :func:`centred`: int64 ``[N, T, 2]``.

    The course's reader has learned from glyphs in the middle and near the corners, not between.
    """
    with torch.no_grad():
        return reader.read(centred(clips).flatten(0, 1))[:, :2].view(*clips.shape[:2], 2)


@dataclass(frozen=True)
class Measures:
    """One row of figures for each clip, ``[N]``; ``asked`` and ``held`` are shares of the clip's frames."""

    permanent: Tensor
    speed: Tensor
    acceleration: Tensor
    flicker: Tensor
    asked: Tensor  # in which the digit is read that was asked for
    held: Tensor  # in which digit and colour are those that are read most often in this clip

    def means(self) -> dict[str, float]:
        """The mean of each over the clips, rounded to four places."""
        return {name: round(values.double().mean().item(), 4) for name, values in vars(self).items()}


def measure(clips: Coloured, labels: Labels, reader: Reader) -> Measures:
    """All of it. ``labels [N]``: the digits that were asked for; ``reader``: ``zoo.load("attributes_classifier")``.

    Raises ``ValueError`` for another number of labels than of clips, and for labels that are no digits.
    """
    check_labels(labels, len(clips), classes=10)
    read = readings(clips, reader)
    looks = read[:, :, 0] * 100 + read[:, :, 1]
    return Measures(
        permanent(clips),
        speed(clips),
        acceleration(clips),
        flicker(clips),
        (read[:, :, 0] == labels[:, None]).float().mean(dim=1),
        (looks == looks.mode(dim=1, keepdim=True).values).float().mean(dim=1),
    )


guard(__name__)
