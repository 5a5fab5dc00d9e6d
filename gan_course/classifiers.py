"""Networks that read pictures: ten kinds of grey ones, all that a glyph or a landscape shows, or how far everything is.

Chapter 06 measures distances between pictures in the features of the first; chapters 08 and 09 ask the second what a
picture shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import Count, Maps, PictureShape, Rows, guard, refuse
from gan_course.data.attributes import FIELDS
from gan_course.networks import channels_last, check_input

GLYPH_COUNTS = tuple(map(len, FIELDS.values()))  # how many values each attribute of a coloured glyph has


class Classifier(nn.Module):
    """A small convolutional classifier; chapter 06 measures distances between pictures in its features.

    ``images [N, *image_shape]`` in ``[-1, 1]`` → logits ``[N, classes]``. ``features(images)`` → ``[N, 64]``: the
    means of the last 64 maps, each scaled to mean 0 and variance 1 over the pictures trained on. Two layers lie between
    them and the logits: features right below the logits would know little more than the class.
    """

    def __init__(self, classes: Count = 10, image_shape: PictureShape = (1, 28, 28), width: Count = 32):
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.body = nn.Sequential(
            *_convolution(image_shape[0], width, size=5, stride=2),
            *_convolution(width, width),
            nn.MaxPool2d(2),
            *_convolution(width, 64),
            *_convolution(64, 64),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.BatchNorm1d(64, affine=False),
        )
        self.head = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, classes))
        channels_last(self)

    def features(self, images: Maps) -> Tensor:
        """What the last hidden layer says of each picture, ``[N, features]``: chapter 06 measures distances there."""
        check_input(self, images=images)
        return self.body(images)

    def forward(self, images: Maps) -> Tensor:
        return self.head(self.features(images))


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the side (or halves it, with stride 2), batch normalisation and ReLU."""
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


class AttributeClassifier(nn.Module):
    """Reads several attributes off pictures ``[N, *image_shape]`` in ``[-1, 1]``: by default the six of a glyph.

    ``counts``: how many values each attribute has. ``forward`` returns one block of logits for each, side by side:
    ``[N, sum(counts)]``; :meth:`read` the most likely values ``[N, len(counts)]``, as indices; ``features``
    ``[N, 128]``, for distances between sets of pictures. Raises ``ValueError`` for sides that 32 does not divide.
    """

    def __init__(
        self,
        width: Count = 24,
        counts: Sequence[Count] = GLYPH_COUNTS,
        image_shape: PictureShape = (3, 32, 32),
    ):
        super().__init__()
        self.counts, self.image_shape = tuple(counts), tuple(image_shape)
        w, (colours, rows, columns) = width, image_shape
        if rows % 32 or columns % 32 or not rows or not columns:
            raise ValueError(f"the sides of pictures must be multiples of 32 but are {rows}x{columns}: resize them")
        larger = rows // 32  # than a glyph: so many times coarser from the first layer on
        self.body = nn.Sequential(
            *_layer(colours, w, stride=larger),
            *_layer(w, 2 * w, stride=2),
            *_layer(2 * w, 2 * w),
            *_layer(2 * w, 3 * w, stride=2),
            *_layer(3 * w, 3 * w),
            *_layer(3 * w, 3 * w, stride=2),
            nn.Flatten(),
            nn.Linear(3 * w * (rows // larger // 8) * (columns // larger // 8), 128),
        )
        self.head = nn.Sequential(nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, sum(self.counts)))
        channels_last(self)

    def features(self, images: Maps) -> Tensor:
        """What the last hidden layer says of each picture, ``[N, features]``."""
        check_input(self, images=images)
        return self.body(images)

    def maps(self, images: Maps) -> list[Tensor]:
        """What the third and the last convolution find, ``[N, channels, rows, columns]`` each: for perceptual losses.

        Two pictures that look alike have similar maps, even where their pixels differ (Johnson et al. 2016,
        arXiv 1603.08155).
        """
        check_input(self, images=images)
        halfway = self.body[:9](images)
        return [halfway, self.body[9:18](halfway)]

    def forward(self, images: Maps) -> Tensor:
        return self.head(self.features(images))

    def read(self, images: Maps) -> Tensor:
        """The most probable value of each attribute, int64 ``[N, attributes]``."""
        return torch.stack([part.argmax(dim=1) for part in self.split(self(images))], dim=1)

    def split(self, logits: Rows) -> tuple[Tensor, ...]:
        """Logits ``[N, sum(counts)]`` as one tensor for each attribute."""
        if logits.ndim != 2 or logits.shape[1] != sum(self.counts):
            refuse("logits", f"a tensor of shape [N, {sum(self.counts)}]", logits, "pass what this network returns")
        return logits.split(self.counts, dim=1)


def _layer(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, normalisation within each picture (so that no picture's reading depends on its batch), ReLU."""
    return [nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.GroupNorm(8, outputs), nn.ReLU()]


class DepthEstimator(nn.Module):
    """Panoramas ``[N, 3, H, W]`` in ``[-1, 1]`` to the depth of every pixel: ``[N, 1, H, W]``, metres, above 0.

    Three times halved and doubled again, with the finer maps added on the way back. Inside, depth is a logarithm: an
    error of a tenth counts alike, near and far. Raises ``ValueError`` for sides that 8 does not divide.
    """

    def __init__(self, width: Count = 24):
        super().__init__()
        widths = [width, width + 8, 2 * width, 2 * width]
        self.first = nn.Sequential(*_layer(3, width))
        self.down = nn.ModuleList(nn.Sequential(*_layer(a, b, stride=2), *_layer(b, b)) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.Sequential(*_layer(b, a)) for a, b in pairwise(widths))
        self.again = nn.ModuleList(nn.Sequential(*_layer(a, a)) for a in widths[:-1])
        self.last = nn.Conv2d(width, 1, 3, padding=1)
        channels_last(self)

    def forward(self, images: Maps) -> Tensor:
        check_input(self, images=images)
        colours, rows, columns = images.shape[1:]
        if colours != 3:
            refuse("images", "a tensor of shape [N, 3, H, W]", images, "convert them to RGB")
        if rows % 8 or columns % 8:
            raise ValueError(f"the sides of pictures must be multiples of 8 but are {rows}x{columns}: resize them")
        maps = [self.first(images)]
        for down in self.down:
            maps.append(down(maps[-1]))
        x = maps.pop()
        for up, again in zip(reversed(self.up), reversed(self.again), strict=True):
            finer = maps.pop()
            x = again(finer + F.interpolate(up(x), size=finer.shape[2:], mode="nearest"))
        return (3 + self.last(x)).clamp(-3, 6).exp()


guard(__name__)
