"""Eight times as many pixels on each side: the network that makes a panorama large enough for a headset."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import Colours, Count, CountOrNone, guard, refuse
from gan_course.networks import channels_last, check_sides
from gan_course.unet import zero_init


class Enlarger(nn.Module):
    """Panoramas ``[N, 3, H, W]`` in ``[-1, 1]`` → ``[N, 3, 8 H, 8 W]`` in or near ``[-1, 1]``.

    With ``noise``, so many channels of random numbers come along, ``noise [N, noise, H, W]``, which decide what the
    small picture leaves open; without them zeros are taken. What comes out is the picture, enlarged by straight lines
    between its pixels, and what the network adds to it. ``blocks`` residual blocks look at the small picture, then
    three convolutions each turn one pixel into two by two (Shi and others, arXiv 1609.05158). Every convolution goes
    on beyond the left edge at the right one, so that a panorama has no seam; beyond the poles the last row goes on.
    Raises ``ValueError`` for pictures and noise of other shapes.
    """

    factor = 8

    def __init__(self, width: Count = 64, blocks: Count = 4, noise: CountOrNone = 8):
        super().__init__()
        self.noise = noise
        self.first = _Wrapped(3 + noise, width)
        self.blocks = nn.ModuleList(_Residual(width) for _ in range(blocks))
        widths = (width, 32, 24, 12)
        self.up = nn.ModuleList(_Wrapped(a, 4 * b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.last = _Wrapped(widths[-1], 3)
        with torch.no_grad():
            self.last.weight.mul_(0.3)  # it starts near the picture itself
        channels_last(self)

    def forward(self, images: Colours, noise: Tensor | None = None) -> Tensor:
        check_sides("images", images, self, 3)
        shape = [len(images), self.noise, *images.shape[2:]]
        if noise is not None and (list(noise.shape) != shape or not noise.is_floating_point()):
            refuse(
                "noise", f"a tensor of floating-point numbers of shape {shape}", noise, "draw it with torch.randn()"
            )
        chance = images.new_zeros(shape) if noise is None else noise.to(images.dtype)
        x = self.first(torch.cat([images, chance], dim=1))
        for block in self.blocks:
            x = block(x)
        for up in self.up:
            x = F.leaky_relu(F.pixel_shuffle(up(x), 2), 0.2)
        return enlarged(images, self.factor) + self.last(x)


class _Wrapped(nn.Conv2d):
    """A convolution of 3 x 3 for panoramas: the left edge has the right one beside it, the poles have themselves."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(_beyond(x))


class _Residual(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.conv2 = _Wrapped(width, width), zero_init(_Wrapped(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(x, 0.2)), 0.2))


def _beyond(maps: Tensor) -> Tensor:
    """``maps [N, C, H, W]`` with a column of the other edge on either side, and each outer row twice."""
    return F.pad(F.pad(maps, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1), mode="replicate")


def enlarged(images: Colours, factor: Count = 8) -> Tensor:
    """``images [N, 3, H, W]`` with ``factor`` times as many pixels on each side, in straight lines between them.

    The lines go on across the left and right edge.
    """
    wide = F.interpolate(_beyond(images), scale_factor=float(factor), mode="bilinear", align_corners=False)
    return wide[..., factor:-factor, factor:-factor]


guard(__name__)
