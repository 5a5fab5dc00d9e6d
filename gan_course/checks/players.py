"""What several chapters' checks play with: discriminators whose gradient is known, and a tiny game of two players."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_course.checks.draws import anew
from gan_course.checks.report import Attempt, Mistakes
from gan_course.checks.values import flat, near, normal
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
    real: Tensor  # [count, 2]
    noise: Tensor  # [count, 2]


def new_game(seed: int = 3, count: int = 6) -> Game:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(anew(seed))
        generator, discriminator = PointGenerator(hidden=4), PointDiscriminator(hidden=4)
        for parameter in (*generator.parameters(), *discriminator.parameters()):
            parameter.data *= 1.8  # or else all logits of a batch are about alike, and so are many losses
    real, noise = normal(2, count, 2, seed=seed)
    for network, name in ((generator, "generator"), (discriminator, "discriminator")):
        network.description = name  # type: ignore[assignment]
    return Game(generator, discriminator, real + 1, noise)


class Descent(torch.optim.SGD):
    """Plain gradient descent that remembers what happened: whether gradients arrived, and what a step found."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network.parameters(), lr=RATE)
        self.description = f"SGD(lr={RATE})"
        self.arrived, self.steps, self.found = False, 0, False
        self._listen()

    def _listen(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.register_post_accumulate_grad_hook(self._arrive)

    def __getstate__(self) -> dict[str, Any]:
        """Its own memory, too, which PyTorch would leave out: ``gan-course grade`` sends it to another process."""
        own = {name: getattr(self, name) for name in ("description", "arrived", "steps", "found")}
        return super().__getstate__() | own

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._listen()

    def _arrive(self, parameter: Tensor) -> None:
        self.arrived = True

    def step(self, closure=None):  # type: ignore[no-untyped-def, override]
        self.steps += 1
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        self.found = self.found or any(bool(g.any()) for g in gradients)
        return super().step(closure)

    def why_nothing_moved(self) -> str:
        """What is known about a player that stands where it stood."""
        if not self.steps and not self.arrived:
            return (
                "No gradient reached its parameters, and its optimizer made no step. A loss alone changes nothing: "
                "compute the gradients, then let the optimizer make its step."
            )
        if not self.steps:
            return "Gradients reached its parameters, but its optimizer made no step."
        if self.arrived:
            return "Gradients reached its parameters, but they were gone, or 0, when the optimizer made its step."
        return (
            "Its optimizer made a step, but no gradient had reached its parameters: backward() was not called, or "
            "something between the loss and these parameters cut the thread, as detach(), no_grad and .item() do."
        )


def load_optimizers() -> None:
    """PyTorch loads a large part of itself with the first optimizer: before the clock of a check runs."""
    torch.optim.SGD([nn.Parameter(torch.zeros(1))])


def gradient(network: nn.Module, loss: Tensor) -> Tensor:
    """d(loss)/d(parameters of ``network``), in one row."""
    gradients = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    return torch.cat([g.flatten() for g in gradients])


def check_moved(
    attempt: Attempt,
    network: nn.Module,
    optimizer: Descent,
    before: Tensor,
    right: Tensor,
    mistakes: Mistakes,
    hint: str,
) -> None:
    """Report ``network`` unless its parameters moved from ``before`` to ``right``."""
    after = flat(network)
    if near(after, before, 1e-6):
        got = f"the {network.description}'s parameters are the same as before"
        attempt.fail(got, "parameters moved by one step down the loss", optimizer.why_nothing_moved())
    if optimizer.steps != 1:
        hint = (
            f"In this call the {network.description}'s optimizer made {optimizer.steps} steps; the task asks for one."
        )
    attempt.close(after, right, hint, mistakes, what=f"afterwards, the {network.description}'s parameter")


def check_trainable(attempt: Attempt, *networks: nn.Module) -> None:
    """Report a player that was frozen and not thawed."""
    for network in networks:
        if not all(p.requires_grad for p in network.parameters()):
            attempt.fail(
                f"the {network.description}'s parameters have requires_grad=False afterwards",
                "parameters that the other step can still train",
                "Freezing a player is fine while its opponent moves, but it must be thawed again.",
            )
