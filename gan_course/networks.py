"""Generators and discriminators. A generator maps noise ``[N, latent_dim]`` to samples; a discriminator maps samples to
logits ``[N]``, one number each: large means "looks real"."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn


class MLPGenerator(nn.Module):
    """Noise through one hidden layer to a picture: 100 → 256 → 784, the source document's sizes, repaired.

    ``z [N, latent_dim]`` → ``[N, *image_shape]`` in ``[-1, 1]``. The document's version lacks the second layer and the
    tanh: it returns 256 numbers that are never negative.
    """

    def __init__(self, latent_dim: int = 100, hidden: int = 256, image_shape: tuple[int, ...] = (1, 28, 28)):
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

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z).unflatten(1, self.image_shape)


class MLPDiscriminator(nn.Module):
    """A picture through one hidden layer to a logit: 784 → 128 → 1, the source document's sizes, repaired.

    ``[N, *image_shape]`` → ``[N]``. It flattens first, where the document flattens last, and it has no sigmoid: the
    losses take logits.
    """

    def __init__(self, image_shape: tuple[int, ...] = (1, 28, 28), hidden: int = 128):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(image_shape), hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).squeeze(1)


def _mlp(sizes: list[int]) -> nn.Sequential:
    """Linear layers of the given sizes with a ReLU-like activation between them, none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


class PointGenerator(nn.Module):
    """Noise to points in the plane: ``z [N, latent_dim]`` → ``[N, 2]``, unbounded."""

    def __init__(self, latent_dim: int = 2, hidden: int = 64):
        super().__init__()
        self.latent_dim = latent_dim
        self.layers = _mlp([latent_dim, hidden, hidden, 2])

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class PointDiscriminator(nn.Module):
    """Points in the plane to logits: ``[N, 2]`` → ``[N]``."""

    def __init__(self, hidden: int = 64):
        super().__init__()
        self.layers = _mlp([2, hidden, hidden, 1])

    def forward(self, points: Tensor) -> Tensor:
        return self.layers(points).squeeze(1)


def count_parameters(network: nn.Module) -> int:
    """How many numbers training may change in ``network``."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
