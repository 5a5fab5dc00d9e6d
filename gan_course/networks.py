"""Generators and discriminators. A generator maps noise ``[N, latent_dim]`` to samples; a discriminator maps samples to
logits ``[N]``, one number each: large means "looks real"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import (
    Count,
    CountOrNone,
    Floats,
    Labels,
    Maps,
    PictureShape,
    Points,
    Shape,
    checked,
    guard,
    refuse,
)


class MLPGenerator(nn.Module):
    """Noise through one hidden layer to a picture: 100 → 256 → 784, the source document's sizes, repaired.

    ``z [N, latent_dim]`` → ``[N, *image_shape]`` in ``[-1, 1]``. The document's version lacks the second layer and the
    tanh: it returns 256 numbers that are never negative.
    """

    def __init__(self, latent_dim: Count = 100, hidden: Count = 256, image_shape: Shape = (1, 28, 28)):
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, math.prod(image_shape)),
            nn.Tanh(),
        )

    def forward(self, z: Floats) -> Tensor:
        return self.layers(z).unflatten(1, self.image_shape)


class MLPDiscriminator(nn.Module):
    """A picture through one hidden layer to a logit: 784 → 128 → 1, the source document's sizes, repaired.

    ``[N, *image_shape]`` → ``[N]``. It flattens first, where the document flattens last, and it has no sigmoid: the
    losses take logits.
    """

    def __init__(self, image_shape: Shape = (1, 28, 28), hidden: Count = 128):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(image_shape), hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def forward(self, images: Floats) -> Tensor:
        return self.layers(images).squeeze(1)


def _mlp(sizes: list[int]) -> nn.Sequential:
    """Linear layers of the given sizes with a ReLU-like activation between them, none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


class PointGenerator(nn.Module):
    """Noise to points in the plane: ``z [N, latent_dim]`` → ``[N, 2]``, unbounded."""

    def __init__(self, latent_dim: Count = 2, hidden: Count = 64):
        super().__init__()
        self.latent_dim = latent_dim
        self.layers = _mlp([latent_dim, hidden, hidden, 2])

    def forward(self, z: Floats) -> Tensor:
        return self.layers(z)


class PointDiscriminator(nn.Module):
    """Points in the plane to logits: ``[N, 2]`` → ``[N]``."""

    def __init__(self, hidden: Count = 64):
        super().__init__()
        self.layers = _mlp([2, hidden, hidden, 1])

    def forward(self, points: Points) -> Tensor:
        return self.layers(points).squeeze(1)


class ConvGenerator(nn.Module):
    """Noise to a small map, the map twice doubled in side to a picture: 28x28 or 32x32, grey or colour.

    ``z [N, latent_dim]`` → ``[N, *image_shape]`` in ``[-1, 1]``. With ``classes``, it also takes ``labels [N]`` (int64)
    and makes the class asked for: the label joins the noise as a row of zeros with one 1. A transposed convolution of
    kernel 4 and stride 2 paints every pixel equally often, so that no checkerboard is built in (chapter 04). The plan
    is that of DCGAN (arXiv 1511.06434): narrower, and with two more convolutions, which is what two CPU cores like.
    """

    def __init__(
        self,
        latent_dim: Count = 64,
        classes: CountOrNone = 0,
        image_shape: PictureShape = (1, 28, 28),
        width: Count = 32,
    ):
        super().__init__()
        self.latent_dim, self.classes = latent_dim, classes
        channels, side = square_shape(image_shape)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim + classes, width * (side // 4) ** 2, bias=False),  # the norm adds one of its own
            nn.Unflatten(1, (width, side // 4, side // 4)),
            *(nn.BatchNorm2d(width), nn.ReLU()),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            *(nn.BatchNorm2d(width), nn.ReLU()),
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=False),
            *(nn.BatchNorm2d(width), nn.ReLU()),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            *(nn.BatchNorm2d(width), nn.ReLU()),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        channels_last(self)

    def forward(self, z: Floats, labels: Labels | None = None) -> Tensor:
        check_labels(labels, len(z), self.classes)
        if labels is not None:
            z = torch.cat([z, F.one_hot(labels, self.classes).to(z)], dim=1)
        return self.layers(z)


class ConvDiscriminator(nn.Module):
    """A picture, three times halved in side, to a logit: ``[N, *image_shape]`` → ``[N]``.

    With ``classes``, it also takes ``labels [N]`` (int64) and judges whether the picture is a real one *of that class*:
    the features are compared with a learned vector of the class (projection, arXiv 1802.05637). It has no batch norm,
    which would make a picture's logit depend on its neighbours in the batch (chapter 05).
    """

    def __init__(self, classes: CountOrNone = 0, image_shape: PictureShape = (1, 28, 28), width: Count = 16):
        super().__init__()
        self.classes, self.image_shape = classes, tuple(image_shape)
        channels, side = square_shape(image_shape)
        self.features = nn.Sequential(
            *(nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)),
            nn.Flatten(),
        )
        count = 4 * width * (side // 8) ** 2
        self.head = nn.Linear(count, 1)
        self.of_class = nn.Linear(count, classes, bias=False) if classes else None  # a row of weights for each class
        channels_last(self)

    def forward(self, images: Maps, labels: Labels | None = None) -> Tensor:
        check_labels(labels, len(images), self.classes)
        features = self.features(images)
        logits = self.head(features).squeeze(1)
        if self.of_class is not None and labels is not None:
            logits = logits + self.of_class(features).gather(1, labels[:, None]).squeeze(1)
        return logits


def check_labels(labels: Labels | None, count: CountOrNone, classes: CountOrNone) -> None:
    """Raise ``ValueError`` unless ``labels`` are ``count`` integers from 0 to ``classes - 1``; none for 0 classes."""
    if labels is None:
        if classes:
            raise ValueError(f"this network is conditional on {classes} classes: pass labels, one for each sample")
        return
    if not classes:
        raise ValueError("this network knows no classes: leave labels out, or build it with classes=10")
    if labels.dtype != torch.int64 or labels.shape != (count,):
        found = f"{labels.dtype} of shape {list(labels.shape)}"
        raise ValueError(f"labels must be int64 of shape [{count}], one for each sample, but are {found}")
    if count and not 0 <= labels.min() <= labels.max() < classes:
        wrong = labels[(labels < 0) | (labels >= classes)][0].item()
        raise ValueError(f"labels must lie between 0 and {classes - 1} but one is {wrong}: correct it")


def channels_last(network: nn.Module) -> None:
    """Keep weights and maps with all channels of a pixel side by side: half the time for convolutions on a CPU."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def square_shape(image_shape: PictureShape) -> tuple[int, int]:
    """(channels, side) of a picture whose side these networks can halve twice."""
    channels, height, width = image_shape
    if height != width or height % 4:
        raise ValueError(f"pictures must be square with a side that 4 divides but are {height}x{width}: crop or resize")
    return channels, height


def count_parameters(network: nn.Module) -> int:
    """How many numbers training may change in ``network``."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def measure_batch_norms(network: nn.Module, batches: Sequence[tuple[Tensor, ...]]) -> None:
    """Give the batch norms of ``network`` the statistics of their own inputs: their mean over ``batches``.

    Each of ``batches`` holds the arguments of one call. An average of weights needs this: the statistics that a network
    counted in training belong to weights that it has left (Izmailov and others 2018, arXiv 1803.05407, section 3.2).
    Where it trains or not, and all but those statistics, stay as they are. Raises ``ValueError`` for no batches.
    """
    if not batches:
        refuse("batches", "at least one batch of inputs", batches, "pass as many as make some hundreds of samples")
    norms = [part for part in network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    before = [(part.training, part.momentum) for part in norms]
    for part in norms:
        part.reset_running_stats()
        part.train()
        part.momentum = None  # PyTorch's sign for the mean of all batches
    for batch in batches:
        network(*batch)
    for part, (training, momentum) in zip(norms, before, strict=True):
        part.train(training)
        part.momentum = momentum


def check_input(self: nn.Module, **inputs: Any) -> None:
    """Raise ``ValueError`` unless the first of a network's ``inputs`` has the shape that its constructor was told.

    And for a batch of one in training mode, in which batch normalisation finds no spread.
    """
    name, x = next(iter(inputs.items()))
    wanted = [self.latent_dim] if name == "z" else list(getattr(self, "image_shape", x.shape[1:]))
    found = list(x.shape[1:])
    if isinstance(self, MLPDiscriminator):  # it flattens: so many pixels, in whatever shape
        wanted, found = [self.layers[1].in_features], [math.prod(found)]
    check_precision(name, x, self)
    if wanted != found:
        refuse(name, f"a tensor of shape [N, {', '.join(map(str, wanted))}]", x, "the first axis counts the samples")
    if len(x) == 1 and self.training and any(isinstance(part, nn.BatchNorm1d) for part in self.modules()):
        refuse(name, "a batch of at least 2 in training mode", x, "one sample has no spread: pass more, or call eval()")


def check_sides(name: str, x: Maps, network: nn.Module, channels: int, multiple: int = 1, least: int = 1) -> None:
    """Raise ``ValueError`` unless ``x`` has so many channels and sides that a network of pictures of any size takes."""
    check_precision(name, x, network)
    if x.shape[1] != channels:
        refuse(name, f"a tensor of shape [N, {channels}, H, W]", x, f"give every picture {channels} channels")
    if any(side % multiple for side in x.shape[2:]):
        refuse(name, f"pictures with sides that {multiple} divides", x, "crop or resize them")
    if min(x.shape[2:]) < least:
        refuse(name, f"pictures with sides of at least {least} pixels", x, "take larger ones")


def check_precision(name: str, x: Tensor, network: Any) -> None:
    """Raise ``ValueError`` where 64-bit numbers, NumPy's default, meet a network of fewer bits."""
    weight = next(network.parameters(), None) if isinstance(network, nn.Module) else None
    if weight is not None and x.dtype == torch.float64 != weight.dtype:
        refuse(
            name, f"a {str(weight.dtype).removeprefix('torch.')} tensor like the network's weights", x, "use .float()"
        )


for _kind in (MLPGenerator, MLPDiscriminator, PointGenerator, PointDiscriminator, ConvGenerator, ConvDiscriminator):
    _kind.forward = checked(_kind.forward, also=check_input)  # type: ignore[method-assign]
guard(__name__)
