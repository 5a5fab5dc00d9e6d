"""Ordinary pictures out of a panorama: what a camera at its centre would see."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import Floats, guard


def check_panorama(panorama: Floats) -> None:
    """Raise ``ValueError`` unless ``panorama`` is ``[N, C, H, 2 H]`` or ``[C, H, 2 H]``."""
    if panorama.ndim not in (3, 4):
        raise ValueError(f"a panorama has shape [C, H, W] or [N, C, H, W] but this has {list(panorama.shape)}")
    height, width = panorama.shape[-2:]
    if width != 2 * height:
        raise ValueError(
            f"an equirectangular panorama is twice as wide as high but this has {width} columns and {height} rows: "
            f"resize it to {2 * height} × {height}"
        )


def perspective(
    panorama: Floats, yaw: float = 0.0, pitch: float = 0.0, field_of_view: float = 90.0, size: int = 128
) -> Tensor:
    """The square view ``[..., C, size, size]`` of a camera in the middle of ``panorama`` ``[..., C, H, 2 H]``.

    ``yaw`` in degrees from -360 to 360 turns right: 0 looks north, at the middle column, 90 east. ``pitch`` from -90
    (down) to 90 (up). ``field_of_view`` is the angle from edge to edge, 10 to 150 degrees. Pixels are interpolated
    bilinearly, across the left and right edge and over the poles too.
    Raises ``ValueError`` for a picture that isn't twice as wide as high and for an angle or size out of range.
    """
    check_panorama(panorama)
    for name, value, low, high in (
        ("yaw", yaw, -360, 360),
        ("pitch", pitch, -90, 90),
        ("field_of_view", field_of_view, 10, 150),
    ):
        if not low <= value <= high:  # also refuses NaN
            raise ValueError(f"{name} must lie between {low} and {high} degrees but is {value:g}")
    if not 1 <= size <= 4096:
        raise ValueError(f"size must lie between 1 and 4096 pixels but is {size}")

    # the directions of the camera's pixels: right, up, ahead
    edge = math.tan(math.radians(field_of_view) / 2)
    line = ((torch.arange(size, dtype=torch.float64) + 0.5) / size * 2 - 1) * edge
    right, up = line[None, :].expand(size, size), -line[:, None].expand(size, size)
    tilt, turn = math.radians(pitch), math.radians(yaw)
    ahead = math.cos(tilt) - up * math.sin(tilt)
    up = math.sin(tilt) + up * math.cos(tilt)
    east = right * math.cos(turn) + ahead * math.sin(turn)
    north = ahead * math.cos(turn) - right * math.sin(turn)
    azimuth = torch.atan2(east, north)
    elevation = torch.atan2(up, torch.hypot(east, north))

    pictures = panorama if panorama.ndim == 4 else panorama[None]
    height, width = pictures.shape[-2:]
    # One column more on either side from across the edge, and one row over each pole from the other side of it.
    over = pictures.roll(width // 2, dims=-1)
    padded = torch.cat([over[..., :1, :], pictures, over[..., -1:, :]], dim=-2)
    padded = torch.cat([padded[..., -1:], padded, padded[..., :1]], dim=-1)
    x = azimuth / math.pi * (width / (width + 2))
    y = -elevation / (math.pi / 2) * (height / (height + 2))
    grid = torch.stack([x, y], dim=-1).to(pictures)[None].expand(len(pictures), -1, -1, -1)
    view = F.grid_sample(padded, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return view if panorama.ndim == 4 else view[0]


guard(__name__)
