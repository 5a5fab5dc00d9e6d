"""Check of chapter 02, the R1 penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_course.checks.report import Attempt, describe, near, run

SUM = "That is the sum over the batch. A mean keeps its size when the batch grows."


class _Slope(nn.Module):
    """``D(x) = slope . x``: its gradient is the slope, everywhere."""

    description = "D(x) = 3 x1 - 4 x2"

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([3.0, -4.0]))

    def forward(self, points: Tensor) -> Tensor:
        return points @ self.slope


class _Bowl(nn.Module):
    """``D(x) = weight * |x|^2`` with one logit a row, ``[N, 1]``: its gradient is ``2 weight x``."""

    description = "D(x) = weight |x|^2"

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, images: Tensor) -> Tensor:
        return self.weight * images.flatten(1).square().sum(1, keepdim=True)


def _compare_r1(attempt: Attempt, discriminator: nn.Module, real: Tensor, gradient: Tensor) -> None:
    """``gradient``: the discriminator's gradient at each sample."""
    rows = gradient.flatten(1)
    squares = rows.square().sum(1)
    right = squares.mean() / 2
    p = discriminator(real).detach().sigmoid().flatten()
    of_belief = squares * (p * (1 - p)).square()
    mistakes = [
        (2 * right, "The half is missing."),
        (squares.sum() / 2, SUM),
        (squares.sum(), "Two faults: a sum over the batch in place of the mean, and no half."),
        (
            rows.square().mean() / 2,
            "Averaged over the coordinates too. The squared length of a gradient is the sum over its coordinates.",
        ),
        (squares.sqrt().mean() / 2, "The length is not squared."),
        (squares.sqrt().mean(), "The length is not squared, and the half is missing."),
        ((squares.sqrt() - 1).square().mean(), "That pulls the length to 1, as WGAN-GP does. R1 pulls it to 0."),
        (
            right / len(rows) ** 2,
            "Each gradient is too small by the batch size. Of what did you take it: the mean of the logits, or their "
            "sum?",
        ),
        (of_belief.mean() / 2, "That is the slope of the probability. R1 looks at the logit."),
    ]
    hint = (
        "How steep is the discriminator at each real sample? Take half the squared length of its gradient there, then "
        "the mean over the batch."
    )
    attempt.close(attempt(discriminator, real.clone()), right, hint, mistakes)


def _r1_values(attempt: Attempt) -> None:
    slope = _Slope()
    points = torch.tensor([[0.1, 0.2], [-0.3, 0.1], [0.4, -0.1]])
    _compare_r1(attempt, slope, points, slope.slope.detach().expand(3, 2))
    images = torch.linspace(-1, 1, 32).reshape(2, 1, 4, 4) * torch.tensor([1.0, 0.5])[:, None, None, None]
    _compare_r1(attempt, _Bowl(), images, images)  # a weight of one half makes the gradient x itself


def _r1_trains(attempt: Attempt) -> None:
    images = torch.linspace(-1, 1, 32).reshape(2, 1, 4, 4)
    bowl = _Bowl()
    result = attempt(bowl, images.clone())
    if isinstance(result, Tensor) and not result.requires_grad:
        attempt.fail(
            "a penalty that does not depend on the discriminator's weights",
            "a penalty that trains the discriminator",
            "The penalty is itself a loss: it is differentiated once more, by the weights. Autograd must keep the "
            "graph of the first gradient for that.",
        )
    gradient = attempt.gradient(result, bowl.weight, "the penalty")
    hint = "Its gradient by the weights is off. Is everything between weights and penalty in autograd's graph?"
    # The penalty is 2 weight^2 mean|x|^2.
    wanted = 4 * bowl.weight.item() * images.flatten(1).square().sum(1).mean()
    attempt.close(gradient, wanted, hint, what="d penalty / d weight")


def _r1_clean(attempt: Attempt) -> None:
    bowl = _Bowl()
    bowl.weight.grad = torch.tensor(7.0)
    attempt(bowl, torch.ones(2, 1, 2, 2))
    if bowl.weight.grad is None or not near(bowl.weight.grad, torch.tensor(7.0)):
        attempt.fail(
            f"the weight's .grad went from 7 to {describe(bowl.weight.grad)}",
            "a .grad as before the call",
            "backward() adds to the .grad of every weight on its way, and the next training step would use that. There "
            "is a way to ask autograd for one gradient only.",
        )


def check_r1_penalty(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(discriminator, real [N, ...]) -> scalar``. Parts: ``values``, ``trains``, ``clean``."""
    parts = {"values": _r1_values, "trains": _r1_trains, "clean": _r1_clean}
    run("r1_penalty", function, "discriminator real", parts, part)
