"""Eight times as many pixels on each side: the network that makes a panorama large enough for a headset."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import Colours, Count, Maps, guard
from gan_course.networks import channels_last, check_sides
from gan_course.unet import zero_init


class Enlarger(nn.Module):
    """Panoramas ``[N, 3, H, W]`` in ``[-1, 1]`` → ``[N, 3, 8 H, 8 W]`` in or near ``[-1, 1]``.

    ``chance`` is where random numbers come from, which decide what the small picture leaves open; without it zeros are
    taken. What comes out is the picture, enlarged by straight lines between its pixels, and what the network adds to
    it. ``blocks`` residual blocks look at the small picture. Then three times, pixels are repeated, which leaves no
    checkerboard, a channel of random numbers joins them, and a convolution follows. Every convolution goes on beyond
    the left edge at the right one, so that a panorama has no seam; beyond the poles the last row goes on.
    Raises ``ValueError`` for pictures of other shapes.
    """

    factor = 8

    def __init__(self, width: Count = 64, blocks: Count = 4):
        super().__init__()
        self.first = _Wrapped(3, width)
        self.blocks = nn.ModuleList(_Residual(width) for _ in range(blocks))
        widths = (width, 32, 16, 8)
        self.up = nn.ModuleList(_Wrapped(a + 1, b) for a, b in pairwise(widths))
        self.last = _Wrapped(widths[-1], 3)
        with torch.no_grad():
            self.last.weight.mul_(0.1)  # it starts near the picture itself
        channels_last(self)

    def forward(self, images: Colours, chance: torch.Generator | None = None) -> Tensor:
        check_sides("images", images, self, 3)
        x = self.first(images)
        for block in self.blocks:
            x = block(x)
        for up in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            noise = torch.zeros(len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype)
            if chance is not None:
                noise = torch.randn(noise.shape, generator=chance, device=chance.device).to(noise)
            x = F.leaky_relu(up(torch.cat([x, noise], dim=1)), 0.2)
        return enlarged(images, self.factor) + self.last(x)


class _Wrapped(nn.Conv2d):
    """A convolution of 3 x 3 for panoramas: the left edge has the right one beside it, the poles have themselves."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3)
        nn.init.kaiming_normal_(self.weight, 0.2)  # signals keep their size through all layers, and it learns faster
        assert self.bias is not None
        nn.init.zeros_(self.bias)

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


def enlarged(images: Maps, factor: Count = 8) -> Tensor:
    """``images [N, C, H, W]`` with ``factor`` times as many pixels on each side, in straight lines between them.

    The lines go on across the left and right edge.
    """
    wide = F.interpolate(_beyond(images), scale_factor=float(factor), mode="bilinear", align_corners=False)
    return wide[..., factor:-factor, factor:-factor]


guard(__name__)
