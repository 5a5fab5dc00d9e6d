"""Networks that read pictures: ten kinds of grey ones, or every attribute of a coloured glyph.

Chapter 06 measures distances between pictures in the features of the first; chapters 08 and 09 ask the second what a
picture shows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_course.data.attributes import FIELDS
from gan_course.networks import channels_last


class Classifier(nn.Module):
    """A small convolutional classifier; chapter 06 measures distances between pictures in its features.

    ``images [N, *image_shape]`` in ``[-1, 1]`` → logits ``[N, classes]``. ``features(images)`` → ``[N, 64]``: the
    means of the last 64 maps, each scaled to mean 0 and variance 1 over the pictures trained on. Two layers lie between
    them and the logits: features right below the logits would know little more than the class.
    """

    def __init__(self, classes: int = 10, image_shape: tuple[int, ...] = (1, 28, 28), width: int = 32):
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

    def features(self, images: Tensor) -> Tensor:
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps the side (or halves it, with stride 2), batch normalisation and ReLU."""
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


class AttributeClassifier(nn.Module):
    """Reads all six attributes off pictures ``[N, 3, 32, 32]`` in ``[-1, 1]``.

    ``forward`` returns one block of logits for each field, side by side: ``[N, 42]``; :meth:`read` the most likely
    values ``[N, 6]``, in the order of ``FIELDS``; ``features`` ``[N, 128]``, for distances between sets of pictures.
    """

    def __init__(self, width: int = 24):
        super().__init__()
        w = width
        self.body = nn.Sequential(
            *_layer(3, w),
            *_layer(w, 2 * w, stride=2),
            *_layer(2 * w, 2 * w),
            *_layer(2 * w, 3 * w, stride=2),
            *_layer(3 * w, 3 * w),
            *_layer(3 * w, 3 * w, stride=2),
            nn.Flatten(),
            nn.Linear(3 * w * 16, 128),
        )
        self.head = nn.Sequential(nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, sum(map(len, FIELDS.values()))))
        channels_last(self)

    def features(self, images: Tensor) -> Tensor:
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    def read(self, images: Tensor) -> Tensor:
        return torch.stack([part.argmax(dim=1) for part in self.split(self(images))], dim=1)

    @staticmethod
    def split(logits: Tensor) -> tuple[Tensor, ...]:
        """Logits ``[N, 42]`` as one tensor for each field."""
        return logits.split([len(values) for values in FIELDS.values()], dim=1)


def _layer(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, normalisation within each picture (so that no picture's reading depends on its batch), ReLU."""
    return [nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.GroupNorm(8, outputs), nn.ReLU()]
