"""Points in the plane: targets so small that a whole GAN can be watched at once.

Every set has standard deviation of order 1, so that the same networks and learning rates serve them all. The ring of
eight Gaussians is the classic test for mode collapse (Metz et al., Unrolled GANs, arXiv 1611.02163, section 3.1).
"""

from __future__ import annotations

import math

import torch

from gan_course.arguments import Count, NotNegative, Positive, Seed, guard
from gan_course.data import Dataset

NAMES = ("ring", "grid", "spiral", "moons")


def _around(name: str, centres: torch.Tensor, count: Count, spread: NotNegative, generator: torch.Generator) -> Dataset:
    """``count`` points, each near a randomly chosen row of ``centres`` ``[K, 2]``; the row's number is its label."""
    labels = torch.randint(len(centres), (count,), generator=generator)
    points = centres[labels] + spread * torch.randn(count, 2, generator=generator)
    return Dataset(name, points, labels, tuple(str(i) for i in range(len(centres))))


def ring_centres(modes: Count = 8, radius: Positive = 1.0) -> torch.Tensor:
    """The centres of the ring's Gaussians: ``[modes, 2]``, the first one at angle 0."""
    angle = torch.arange(modes) * (2 * math.pi / modes)
    return radius * torch.stack([angle.cos(), angle.sin()], dim=1)


def ring(count: Count = 10_000, modes: Count = 8, spread: NotNegative = 0.05, seed: Seed = 0) -> Dataset:
    """``modes`` Gaussians of standard deviation ``spread`` on a circle of radius 1: ``[count, 2]``."""
    return _around("ring", ring_centres(modes), count, spread, torch.Generator().manual_seed(seed))


def grid(count: Count = 10_000, side: Count = 5, spread: NotNegative = 0.05, seed: Seed = 0) -> Dataset:
    """``side * side`` Gaussians on a square grid from -1.5 to 1.5: ``[count, 2]``."""
    line = torch.linspace(-1.5, 1.5, side)
    return _around("grid", torch.cartesian_prod(line, line), count, spread, torch.Generator().manual_seed(seed))


def spiral(count: Count = 10_000, turns: float = 1.5, spread: NotNegative = 0.03, seed: Seed = 0) -> Dataset:
    """One arm that winds ``turns`` times from the centre to radius 1.5: ``[count, 2]``, no labels."""
    g = torch.Generator().manual_seed(seed)
    along = torch.rand(count, generator=g).sqrt()  # the square root spreads the points evenly along the arm
    angle = 2 * math.pi * turns * along
    points = 1.5 * along[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return Dataset("spiral", points + spread * torch.randn(count, 2, generator=g))


def moons(count: Count = 10_000, spread: NotNegative = 0.05, seed: Seed = 0) -> Dataset:
    """Two half circles that reach into each other, centred: ``[count, 2]``; the label tells which."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=g)
    angle = math.pi * torch.rand(count, generator=g)
    sign = 1 - 2 * labels.float()  # the second moon is the first one turned by half a circle
    x = sign * (angle.cos() - 0.5)
    y = sign * (angle.sin() - 0.25)
    points = torch.stack([x, y], dim=1) + spread * torch.randn(count, 2, generator=g)
    return Dataset("moons", points, labels, ("upper", "lower"))


guard(__name__)
