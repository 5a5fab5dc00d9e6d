"""What several chapters' checks play with: discriminators whose gradient is known, and a tiny game of two players."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_course.checks.report import Attempt, Mistakes, flat, near
from gan_course.networks import PointDiscriminator, PointGenerator

RATE = 0.5  # plain gradient descent: the step is exactly minus RATE times the gradient


class Plane(nn.Module):
    """``D(x) = slope . x``, logits ``[N]``: its gradient is the slope, everywhere."""

    def __init__(self, slope: list[float], description: str) -> None:
        super().__init__()
        self.slope, self.description = nn.Parameter(torch.tensor(slope)), description

    def forward(self, points: Tensor) -> Tensor:
        return points @ self.slope


class Bowl(nn.Module):
    """``D(x) = height + weight |x|^2``, logits ``[N, 1]``: its gradient is ``2 weight x``."""

    def __init__(self, weight: float, height: float, description: str) -> None:
        super().__init__()
        self.weight, self.height = nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.tensor(height))
        self.description = description

    def forward(self, images: Tensor) -> Tensor:
        return self.height + self.weight * images.flatten(1).square().sum(1, keepdim=True)


class Game(NamedTuple):
    """Two tiny players in the plane, and a batch for them."""

    generator: nn.Module
    discriminator: nn.Module
    real: Tensor  # [6, 2]
    noise: Tensor  # [6, 2]


def new_game() -> Game:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        generator, discriminator = PointGenerator(hidden=4), PointDiscriminator(hidden=4)
        real, noise = torch.randn(6, 2) + 1, torch.randn(6, 2)
    for network, name in ((generator, "generator"), (discriminator, "discriminator")):
        network.description = name  # type: ignore[assignment]
    return Game(generator, discriminator, real, noise)


def descent(network: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    optimizer.description = f"SGD(lr={RATE})"  # type: ignore[attr-defined]
    return optimizer


def gradient(network: nn.Module, loss: Tensor) -> Tensor:
    """d(loss)/d(parameters of ``network``), in one row."""
    gradients = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    return torch.cat([g.flatten() for g in gradients])


def check_moved(
    attempt: Attempt, network: nn.Module, before: Tensor, right: Tensor, mistakes: Mistakes, hints: tuple[str, str]
) -> None:
    """Report ``network`` unless its parameters moved from ``before`` to ``right``.

    ``hints``: for a player that stood still, and for one that moved elsewhere than the ``mistakes`` would take it.
    """
    after = flat(network)
    if near(after, before, 1e-6):
        got = f"the {network.description}'s parameters are the same as before"
        attempt.fail(got, "parameters moved by one step down the loss", hints[0])
    attempt.close(after, right, hints[1], mistakes, what=f"afterwards, the {network.description}'s parameter")


def check_trainable(attempt: Attempt, *networks: nn.Module) -> None:
    """Report a player that was frozen and not thawed."""
    for network in networks:
        if not all(p.requires_grad for p in network.parameters()):
            attempt.fail(
                f"the {network.description}'s parameters have requires_grad=False afterwards",
                "parameters that the other step can still train",
                "Freezing a player is fine while its opponent moves, but it must be thawed again.",
            )
