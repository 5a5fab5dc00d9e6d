"""Checks of chapter 03, the steps: one for the discriminator, one for the generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_course.checks.report import Attempt, flat, near, run
from gan_course.networks import PointDiscriminator, PointGenerator

RATE = 0.5  # plain gradient descent: the step is exactly minus RATE times the gradient
ARGUMENTS = {"d": "discriminator generator optimizer real noise", "g": "generator discriminator optimizer noise"}
STALE = "The old gradients were still there and were added to the new ones. When must they go?"
NOT_MOVED = (
    "A loss alone changes nothing. Old gradients out, new gradients in, one step of the optimizer: in this order."
)


class _Game(NamedTuple):
    """Two tiny players in the plane and a batch for them."""

    generator: nn.Module
    discriminator: nn.Module
    real: Tensor  # [6, 2]
    noise: Tensor  # [6, 2]

    def losses(self) -> tuple[Tensor, Tensor]:
        """Logits of the real and of the fake batch, ``[6]`` each."""
        return self.discriminator(self.real), self.discriminator(self.generator(self.noise))


def _new_game() -> _Game:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        generator, discriminator = PointGenerator(hidden=4), PointDiscriminator(hidden=4)
        real, noise = torch.randn(6, 2) + 1, torch.randn(6, 2)
    for network, name in ((generator, "generator"), (discriminator, "discriminator")):
        network.description = name  # type: ignore[assignment]
    return _Game(generator, discriminator, real, noise)


def _optimizer(network: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    optimizer.description = f"SGD(lr={RATE})"  # type: ignore[attr-defined]
    return optimizer


def _after(network: nn.Module, loss: Tensor, stale: float = 0.0) -> Tensor:
    """The parameters after one step down ``loss``; ``stale`` is added to each gradient."""
    gradients = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    return flat(network) - RATE * (torch.cat([g.flatten() for g in gradients]) + stale)


def _make_stale(network: nn.Module) -> None:
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)


def _check_trainable(attempt: Attempt, network: nn.Module, name: str) -> None:
    if not all(p.requires_grad for p in network.parameters()):
        attempt.fail(
            f"the {name}'s parameters have requires_grad=False afterwards",
            "parameters that the other step can still train",
            "Freezing a player is fine while its opponent moves, but it must be thawed again.",
        )


def _check_untouched(attempt: Attempt, network: nn.Module, before: Tensor, name: str) -> None:
    after = flat(network)
    if not near(after, before, 1e-6):
        worst = (after - before).abs().max().item()
        hint = "Each step trains one player. Which parameters does the optimizer hold that you were given?"
        attempt.fail(f"the {name}'s parameters changed by up to {worst:.4g}", f"the {name} exactly as before", hint)
    _check_trainable(attempt, network, name)


def _check_moved(
    attempt: Attempt, network: nn.Module, before: Tensor, right: Tensor, mistakes: list, name: str
) -> None:
    after = flat(network)
    if near(after, before, 1e-6):
        got = f"the {name}'s parameters are the same as before"
        attempt.fail(got, "parameters moved by one step down the loss", NOT_MOVED)
    hint = "The step goes down another loss than the one asked for. Print your loss and compute it by hand."
    attempt.close(after, right, hint, mistakes, what=f"after the step, the {name}'s parameter")


# ------------------------------------------------------------------------------------------ discriminator


def _discriminator_mistakes(game: _Game) -> list[tuple[Tensor, str]]:
    real, fake = game.losses()
    d = game.discriminator
    right = softplus(-real).mean() + softplus(fake).mean()
    twice = softplus(-real.sigmoid()).mean() + softplus(fake.sigmoid()).mean()
    return [
        (_after(d, softplus(-real).mean()), "Only the real half was used: such a D learns to call everything real."),
        (_after(d, softplus(fake).mean()), "Only the fake half was used: such a D learns to call everything fake."),
        (_after(d, softplus(real).mean() + softplus(-fake).mean()), "The targets are swapped: D learns the opposite."),
        (
            _after(d, softplus(-real).mean() + softplus(-fake).mean()),
            "Both batches have the target 1: D learns to believe in the fakes as well.",
        ),
        (_after(d, -right), "The step goes up the loss. Check the sign."),
        (_after(d, right / 2), "The step is half as long: the two means are added, not averaged."),
        (_after(d, right * len(real)), "The step is too long by the batch size: a sum where the mean is meant."),
        (_after(d, twice), "There is a sigmoid too many: the discriminator gives logits, and the loss knows that."),
        (_after(d, right, stale=1.0), STALE),
    ]


def _play_discriminator(attempt: Attempt, stale: bool = False) -> None:
    game = _new_game()
    if stale:
        _make_stale(game.discriminator)
    real, fake = game.losses()
    loss = softplus(-real).mean() + softplus(fake).mean()
    before, right, mistakes = (
        flat(game.discriminator),
        _after(game.discriminator, loss),
        _discriminator_mistakes(game),
    )
    result = attempt(game.discriminator, game.generator, _optimizer(game.discriminator), game.real, game.noise)
    _check_moved(attempt, game.discriminator, before, right, mistakes, "discriminator")
    attempt.close(result, loss, "Return the loss of this step, as it was before the step.", what="the returned loss")


def _discriminator_generator(attempt: Attempt) -> None:
    game = _new_game()
    before = flat(game.generator)
    attempt(game.discriminator, game.generator, _optimizer(game.discriminator), game.real, game.noise)
    _check_untouched(attempt, game.generator, before, "generator")
    _check_trainable(attempt, game.discriminator, "discriminator")
    if any(p.grad is not None and p.grad.abs().max() > 0 for p in game.generator.parameters()):
        attempt.fail(
            "the generator's parameters received gradients",
            "no gradient for the generator from the discriminator's loss",
            "The loss flowed back through the fakes into the network that made them. For this step the fakes are plain "
            "data: cut the thread between them and the generator.",
        )


def check_discriminator_step(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(discriminator, generator, optimizer, real, noise) -> loss``. Parts: ``update``, ``generator``,
    ``stale``."""
    parts = {
        "update": _play_discriminator,
        "generator": _discriminator_generator,
        "stale": lambda attempt: _play_discriminator(attempt, stale=True),
    }
    run("discriminator_step", function, ARGUMENTS["d"], parts, part)


# ------------------------------------------------------------------------------------------ generator


def _play_generator(attempt: Attempt, stale: bool = False) -> None:
    game = _new_game()
    if stale:
        _make_stale(game.generator)
        _make_stale(game.discriminator)
    g = game.generator
    _, fake = game.losses()
    loss = softplus(-fake).mean()
    mistakes = [
        (
            _after(g, softplus(fake).mean()),
            "The step goes down the discriminator's loss: the generator learns to be recognised. What does it want D "
            "to say?",
        ),
        (
            _after(g, -softplus(fake).mean()),
            "That is the saturating loss log(1 - D(G(z))). The direction is right; the task asks for the other length.",
        ),
        (_after(g, loss * len(fake)), "The step is too long by the batch size: a sum where the mean is meant."),
        (_after(g, softplus(-fake.sigmoid()).mean()), "There is a sigmoid too many: the discriminator gives logits."),
        (_after(g, loss, stale=1.0), STALE),
    ]
    before, right = flat(g), _after(g, loss)
    result = attempt(g, game.discriminator, _optimizer(g), game.noise)
    _check_moved(attempt, g, before, right, mistakes, "generator")
    attempt.close(result, loss, "Return the loss of this step, as it was before the step.", what="the returned loss")


def _generator_discriminator(attempt: Attempt) -> None:
    game = _new_game()
    before = flat(game.discriminator)
    attempt(game.generator, game.discriminator, _optimizer(game.generator), game.noise)
    _check_untouched(attempt, game.discriminator, before, "discriminator")
    _check_trainable(attempt, game.generator, "generator")


def check_generator_step(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(generator, discriminator, optimizer, noise) -> loss``. Parts: ``update``, ``discriminator``,
    ``stale``."""
    parts = {
        "update": _play_generator,
        "discriminator": _generator_discriminator,
        "stale": lambda attempt: _play_generator(attempt, stale=True),
    }
    run("generator_step", function, ARGUMENTS["g"], parts, part)
