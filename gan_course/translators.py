"""Chapter 10's networks: pictures to pictures of the same size, their judge, and features of a network that knows
photographs."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import Colours, Count, CountOrNone, Maps, guard, refuse, whole
from gan_course.networks import channels_last, check_sides
from gan_course.unet import zero_init

Width = Annotated[int, whole(2)]  # half of it must be a channel, too


class Translator(nn.Module):
    """A picture to another one of the same size: ``[N, 3, H, W]`` in [-1, 1] to ``[N, 3, H, W]`` in or near [-1, 1].

    ``H`` and ``W`` are multiples of ``multiple``. With ``noise``, so many channels of random numbers come along:
    ``noise [N, noise, H / 4, W / 4]``, which decide what the picture leaves open; without them zeros are taken.

    A small relative of Johnson and others' network (arXiv 1603.08155): down to a quarter of the side, ``blocks``
    residual blocks, up again by repeating pixels, which leaves no checkerboard. With ``bridges``, what was seen on the
    way down is added on the way up, as in a U-Net: fine detail need not pass through the middle. No layer looks at the
    whole picture, as the instance normalisation does that soon replaced their batch normalisation (Ulyanov and others,
    arXiv 1607.08022): what comes out at a place depends on the ``reach`` pixels around it alone, and a large picture
    can be made in tiles. Raises ``ValueError`` for pictures and noise of other shapes.
    """

    multiple = 4

    def __init__(self, width: Width = 32, blocks: Count = 5, noise: CountOrNone = 0, bridges: bool = True):
        super().__init__()
        self.noise, self.bridges = noise, bridges
        self.reach = 8 * blocks + 20  # two convolutions a block, four pixels each; the layers before and after
        half = width // 2
        self.first = _same(3, half, 3)
        self.down1 = nn.Conv2d(4 * half, width, 1)
        self.down2 = nn.Conv2d(4 * width + noise, width, 1)
        self.blocks = nn.ModuleList(_Residual(width) for _ in range(blocks))
        self.up1 = _same(width, width, 3)
        self.up2 = _same(width, half, 3)
        self.last = _same(half, 3, 3)
        with torch.no_grad():
            self.last.weight.mul_(0.3)  # it starts in grey
        channels_last(self)

    def forward(self, images: Colours, noise: Tensor | None = None) -> Tensor:
        check_sides("images", images, self, 3, self.multiple)
        if noise is not None:
            self._check_noise(noise, images)
        full = F.leaky_relu(self.first(images), 0.2)
        half = F.leaky_relu(self.down1(F.pixel_unshuffle(full, 2)), 0.2)
        x = F.pixel_unshuffle(half, 2)
        if self.noise:
            shape = len(x), self.noise, *x.shape[2:]
            x = torch.cat([x, x.new_zeros(shape) if noise is None else noise.to(x.dtype)], dim=1)
        x = self.down2(x)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(self.up1(_twice(x)), 0.2)
        x = F.leaky_relu(self.up2(_twice(x + half if self.bridges else x)), 0.2)
        return self.last(x + full if self.bridges else x)  # no tanh: it hardly learns any more where all is white

    def _check_noise(self, noise: Tensor, images: Tensor) -> None:
        wanted = [len(images), self.noise, *(side // self.multiple for side in images.shape[2:])]
        if list(noise.shape) != wanted or not noise.is_floating_point():
            refuse(
                "noise", f"a tensor of floating-point numbers of shape {wanted}", noise, "draw it with torch.randn()"
            )


class _Residual(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.conv2 = _same(width, width, 3), zero_init(_same(width, width, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(x, 0.2)), 0.2))


def _same(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="replicate")


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class PatchDiscriminator(nn.Module):
    """Pictures to a map of logits, one for each patch: ``[N, channels, H, W]`` → ``[N, 1, H / 8, W / 8]``.

    With ``channels=6`` it judges a pair: the photograph and the picture made of it, one behind the other (pix2pix,
    arXiv 1611.07004). No batch norm, for the reason of chapter 05. Raises ``ValueError`` for other channels and for
    sides of under 8 pixels.
    """

    def __init__(self, channels: Count = 3, width: Count = 32):
        super().__init__()
        self.channels = channels
        layers: list[nn.Module] = []
        for inputs, outputs in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 3, padding=1))
        channels_last(self)

    def forward(self, images: Maps) -> Tensor:
        check_sides("images", images, self, self.channels, least=8)
        return self.layers(images)


# ------------------------------------------------------------------------------------------ features

#: VGG-16's convolutions by their names in the paper (arXiv 1409.1556), with a pooling layer before each new block.
CONVOLUTIONS = {
    "conv1_1": (3, 64), "conv1_2": (64, 64),
    "conv2_1": (64, 128), "conv2_2": (128, 128),
    "conv3_1": (128, 256), "conv3_2": (256, 256), "conv3_3": (256, 256),
    "conv4_1": (256, 512),
}  # fmt: skip
MEAN = (123.68, 116.779, 103.939)  # of ImageNet's red, green and blue, out of 255: the network has learned without it


class PhotoFeatures(nn.Module):
    """What the first layers of VGG-16 see in pictures: ``[N, 3, H, W]`` in [-1, 1] → ``{layer: [N, C, H', W']}``.

    ``last``: the layer at which it ends, such as "conv3_1"; each block of layers has half the side of the one before.
    Values are at least 0 and, for photographs, of the order of 1 (in the original of the order of 100).
    Raises ``ValueError`` for an unknown layer, and for pictures too small to be halved so many times.
    """

    def __init__(self, last: str = "conv3_1"):
        super().__init__()
        if last not in CONVOLUTIONS:
            raise ValueError(f"there is no layer {last!r}: choose from {', '.join(CONVOLUTIONS)}")
        names = list(CONVOLUTIONS)
        self.layers = nn.ModuleDict(
            {name: nn.Conv2d(*CONVOLUTIONS[name], 3, padding=1) for name in names[: names.index(last) + 1]}
        )
        channels_last(self)

    def forward(self, images: Colours) -> dict[str, Tensor]:
        blocks = sum(name.endswith("_1") for name in self.layers)
        check_sides("images", images, self, 3, least=2 ** (blocks - 1))
        mean = images.new_tensor(MEAN)[:, None, None]
        x = ((images + 1) * 127.5 - mean) / 100  # the scale passes through: every layer but its bias is linear
        found: dict[str, Tensor] = {}
        for name, layer in self.layers.items():
            if found and name.endswith("_1"):
                x = F.max_pool2d(x, 2)
            x = layer(x).relu()
            found[name] = x
        return found


guard(__name__)
