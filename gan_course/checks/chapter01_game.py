"""Checks of chapter 01, the game: the arrows that push the generator's points, the discriminator's batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_course.checks.report import Attempt, run

# ------------------------------------------------------------------------------------------ arrows


class _Plane(nn.Module):
    """``D(x) = 2 x1 - x2``: the same slope everywhere; logits ``[N]``."""

    description = "D(x) = 2 x1 - x2"

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([2.0, -1.0]))

    def forward(self, points: Tensor) -> Tensor:
        return points @ self.slope


class _Hill(nn.Module):
    """``D(x) = 3 - |x|^2 / 2``, highest at the origin: the gradient is ``-x``; logits ``[N, 1]``."""

    description = "D(x) = 3 - |x|^2 / 2"

    def __init__(self) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.tensor([3.0]))

    def forward(self, points: Tensor) -> Tensor:
        return self.height - points.square().sum(1, keepdim=True) / 2


def _compare_arrows(attempt: Attempt, discriminator: nn.Module, points: Tensor, right: Tensor, given: Tensor) -> None:
    p = discriminator(points.detach()).detach().sigmoid().reshape(-1, 1)
    mistakes = [
        (-right, "The arrows point downhill. The generator wants its points where the logit is higher."),
        (
            right / len(points),
            "The arrows shrink with the number of points: you took the slope of the mean of the logits.",
        ),
        (right * p * (1 - p), "That is the slope of the probability. Where D is sure it is flat: use the logit's."),
        (-right * (1 - p), "That is the slope of the loss -log D(x). The task asks for that of the logit, uphill."),
        (right * (1 - p), "That is the slope of log D(x). The task asks for that of the logit."),
        (
            right / right.norm(dim=1, keepdim=True),
            "The lengths were made equal. They say how strong the pull is: keep them.",
        ),
        (points.detach() + right, "These are the arrow's tips. The task asks for the arrow alone, from its start."),
        (points.detach(), "These are the points themselves."),
        (2 * right, "Twice as long: was a gradient of an earlier call still there and added?"),
    ]
    hint = "The slope of the logit as each point moves a little in x and a little in y. Autograd knows it."
    attempt.close(attempt(discriminator, given), right, hint, mistakes, what="arrows")


def _arrows_values(attempt: Attempt) -> None:
    points = torch.tensor([[0.0, 0.5], [1.0, 1.0], [-2.0, 0.3]])
    plane = _Plane()
    _compare_arrows(attempt, plane, points, plane.slope.detach().repeat(3, 1), points.clone())
    _compare_arrows(attempt, _Hill(), points[1:], -points[1:], points[1:].clone())


def _arrows_twice(attempt: Attempt) -> None:
    points = torch.tensor([[1.0, 1.0], [-2.0, 0.3]])
    given, hill = points.clone(), _Hill()
    for _ in range(2):
        _compare_arrows(attempt, hill, points, -points, given)


def _arrows_of_generated(attempt: Attempt) -> None:
    """Points that come out of a network carry a graph of their own."""
    points = torch.tensor([[1.0, 1.0], [-2.0, 0.3]])
    made = points * nn.Parameter(torch.ones(1))
    _compare_arrows(attempt, _Hill(), points, -points, made)


def check_arrows(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(discriminator, points [N, 2]) -> [N, 2]``. Parts: ``values``, ``twice``, ``generated``."""
    parts = {"values": _arrows_values, "twice": _arrows_twice, "generated": _arrows_of_generated}
    run("arrows", function, "discriminator points", parts, part)


# ------------------------------------------------------------------------------------------ the discriminator's batch


def _compare_batch(attempt: Attempt, real: Tensor, fake: Tensor) -> None:
    samples, targets = attempt.pair(attempt(real.clone(), fake.clone()), ("samples", "targets"))
    total = len(real) + len(fake)
    hint = "The two batches follow each other in one longer batch; a sample keeps its shape."
    samples = attempt.tensor(samples, [total, *real.shape[1:]], hint=hint, what="samples")
    attempt.close(samples, torch.cat([real, fake]), "First all real samples, then all fake ones.", what="samples")
    hint = "One target a sample, no more and no fewer."
    targets = attempt.tensor(targets, [total], [total, 1], hint=hint, what="targets")
    if not targets.is_floating_point():
        kind = str(targets.dtype).removeprefix("torch.")
        hint = "Cross-entropy compares the targets with probabilities: they must be floats."
        attempt.fail(f"targets of dtype {kind}", "targets of dtype float32", hint)
    right = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])
    mistakes = [
        (1 - right, "The targets are swapped: D is the probability of being real."),
        (torch.ones(total), "D would learn to call everything real."),
        (torch.zeros(total), "D would learn to call everything fake."),
        (2 * right - 1, "The targets are probabilities: a fake has probability 0, not -1, of being real."),
    ]
    attempt.close(targets, right, "Real samples have the target 1, fake ones 0.", mistakes, what="targets")


def _batch_points(attempt: Attempt) -> None:
    _compare_batch(attempt, torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]]))


def _batch_shapes(attempt: Attempt) -> None:
    _compare_batch(attempt, torch.full((3, 2), 0.5), torch.full((1, 2), -0.5))
    _compare_batch(attempt, torch.full((2, 1, 8, 8), 0.3), torch.full((4, 1, 8, 8), -0.7))


def check_discriminator_batch(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(real [N, ...], fake [M, ...]) -> (samples [N + M, ...], targets [N + M])``. Parts: ``points``,
    ``shapes``."""
    run("discriminator_batch", function, "real fake", {"points": _batch_points, "shapes": _batch_shapes}, part)
