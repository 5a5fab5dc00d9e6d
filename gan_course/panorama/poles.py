"""The poles of a panorama: a whole row of pixels that shows a single point of the sky, or of the ground."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from gan_course.arguments import Floats, Maps, guard, number
from gan_course.data.views import check_panorama

Degrees = Annotated[float, number(0, 90, above=True)]


def spread_by_row(panoramas: Maps) -> Tensor:
    """How much each row of ``panoramas [N, C, H, W]`` varies along itself: ``[N, H]``, a standard deviation.

    Of each channel, and their mean.
    """
    return panoramas.std(dim=3, correction=0).mean(dim=1)


def calm_poles(panorama: Floats, reach: Degrees = 8.0) -> Tensor:
    """``panorama [..., C, H, 2 H]`` with rows that draw near to their mean as they draw near to a pole.

    Around a pole, a smooth picture varies in proportion to the distance: at half the distance by half as much. So
    a row at an angle of less than ``reach`` degrees from its pole keeps that share of its own variation; rendered
    panoramas do so within some 8 degrees. Raises ``ValueError`` for a picture that isn't twice as wide as high.
    """
    check_panorama(panorama)
    height = panorama.shape[-2]
    angle = (torch.arange(height, dtype=torch.float64) + 0.5) / height * math.pi  # of each row's middle, from above
    kept = (angle.sin() / math.sin(math.radians(reach))).clamp(max=1).to(panorama)[:, None]
    mean = panorama.mean(dim=-1, keepdim=True)
    return torch.lerp(mean, panorama, kept)


guard(__name__)
