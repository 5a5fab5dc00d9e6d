"""Ways from one latent to another: what a generator makes of the points on them is a clip."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_course.arguments import Batch, Line, guard


def linear(a: Batch, b: Batch, t: Line) -> Tensor:
    """The points at ``t [K]`` on the straight line from ``a`` (0) to ``b`` (1): ``[K, *a.shape]``."""
    t = t.view(-1, *[1] * a.ndim)
    return (1 - t) * a + t * b


def spherical(a: Batch, b: Batch, t: Line) -> Tensor:
    """The points at ``t [K]`` on the arc from ``a`` (0) to ``b`` (1) around the origin: ``[K, *a.shape]``.

    Between two vectors of one length all points have that length (Shoemake 1985). Where they point the same way, or
    opposite ways, there is no one arc, and the line stands in for it.
    """
    cosine = (a * b).sum() / (a.norm() * b.norm())
    angle = cosine.clamp(-1, 1).acos()
    if angle.sin() < 1e-4:
        return linear(a, b, t)
    t = t.view(-1, *[1] * a.ndim)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / angle.sin()


guard(__name__)
