"""Check of chapter 05, the round of a sick program, cured: one step of each player."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_course.checks.report import Attempt, flat, near, run
from gan_course.networks import PointDiscriminator, PointGenerator

RATE = 0.5  # plain gradient descent: the step is exactly minus RATE times the gradient
LOSSES = ("d_loss", "g_loss")


class _Game(NamedTuple):
    """Two tiny players in the plane, and a batch for them."""

    generator: nn.Module
    discriminator: nn.Module
    real: Tensor  # [6, 2]
    noise: Tensor  # [6, 2]


def _new_game() -> _Game:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        generator, discriminator = PointGenerator(hidden=4), PointDiscriminator(hidden=4)
        real, noise = torch.randn(6, 2) + 1, torch.randn(6, 2)
    for network, name in ((generator, "generator"), (discriminator, "discriminator")):
        network.description = name  # type: ignore[assignment]
    return _Game(generator, discriminator, real, noise)


def _copy(game: _Game) -> _Game:
    """A deep copy that keeps the gradients, too."""
    twin = copy.deepcopy(game)
    for old, new in zip(game[:2], twin[:2], strict=True):
        for p, q in zip(old.parameters(), new.parameters(), strict=True):
            q.grad = None if p.grad is None else p.grad.clone()
    return twin


def _gradient(network: nn.Module, loss: Tensor) -> Tensor:
    gradients = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    return torch.cat([g.flatten() for g in gradients])


def _stale(network: nn.Module) -> Tensor:
    """The gradients that lie about in ``network``, in one row."""
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in network.parameters()])


def _optimizer(network: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    optimizer.description = f"SGD(lr={RATE})"  # type: ignore[attr-defined]
    return optimizer


def _discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).mean() + softplus(fake).mean()


def _sick_loss(real: Tensor, fake: Tensor) -> Tensor:
    return _discriminator_loss(-real.sigmoid(), -fake.sigmoid())


def _compare(attempt: Attempt, name: str, network: nn.Module, steps: list, loss: Tensor, result: Any) -> None:
    """``steps``: the right gradient, then (wrong gradient, hint); all from the state ``network`` had before."""
    before, right, mistakes = steps[0], steps[1], steps[2:]
    after = flat(network)
    if near(after, before, 1e-6):
        hint = "Each player makes one step in a round: old gradients out, new ones in, one step of its optimizer."
        attempt.fail(f"the {name}'s parameters are the same as before", "parameters moved by one step", hint)
    wrong = [(before - RATE * gradient, hint) for gradient, hint in mistakes]
    hint = "The step goes down another loss than the one of the task. Compare with the sick round line by line."
    attempt.close(after, before - RATE * right, hint, wrong, what=f"after the round, the {name}'s parameter")
    which = LOSSES[name == "generator"]
    attempt.close(result, loss, f"Return the {name}'s loss as it was before its step.", what=f"the returned {which}")


def _judge(attempt: Attempt, game: _Game, old: _Game, result: Any) -> None:
    """The discriminator's half of the round. ``old``: copies of the players from before it."""
    d = old.discriminator
    fakes = old.generator(old.noise).detach()
    real, fake = d(old.real), d(fakes)
    loss = _discriminator_loss(real, fake)
    right = _gradient(d, loss)
    steps = [
        flat(d),
        right,
        (
            _gradient(d, _sick_loss(real, fake)),
            "Here the discriminator is as sick as before. What does its loss expect?",
        ),
        (
            _gradient(d, _discriminator_loss(-real, -fake)),
            "The targets are swapped: this discriminator learns to call real pictures fake. What is the target of a "
            "real one?",
        ),
        (
            _gradient(d, _discriminator_loss(real.sigmoid(), fake.sigmoid())),
            "There is a sigmoid too many: the loss for logits applies its own.",
        ),
        (right / 2, "The step is half as long: the two means are added, not averaged."),
        (right * len(real), "The step is too long by the batch size: a sum where the mean is meant."),
        (-right, "The step goes up the loss."),
        (
            right + _stale(d),
            "The gradients that the generator's step left in the discriminator were added. When must they go?",
        ),
    ]
    value = attempt.pair(result, LOSSES)[0]
    _compare(attempt, "discriminator", game.discriminator, steps, loss, value)


def _imitate(attempt: Attempt, game: _Game, old: _Game, result: Any) -> None:
    """The generator's half: it is judged by the discriminator as the student's own step has left it."""
    g = old.generator
    fakes = g(old.noise)
    fake, old_fake = game.discriminator(fakes), old.discriminator(fakes)
    loss = softplus(-fake).mean()
    right, stale = _gradient(g, loss), _stale(g)
    doubled = _gradient(g, softplus(-fake.sigmoid()).mean())
    both = old.discriminator(old.real), old_fake
    leaks = [
        _gradient(g, leak)
        for leak in (_discriminator_loss(*both), _discriminator_loss(*(-logits for logits in both)), _sick_loss(*both))
    ]
    leak_hint = (
        "The discriminator's loss has left gradients in the generator, and they were added: the thread was not cut. "
        "The generator is to learn from its own loss only."
    )
    stale_hint = "Gradients of the round before were still in the generator and were added. When must they go?"
    steps = [
        flat(g),
        right,
        *[(own + leak + old_ones, leak_hint) for own in (right, doubled) for leak in leaks for old_ones in (0, stale)],
        (right + stale, stale_hint),
        (doubled, "There is a sigmoid too many in the generator's half, too."),
        (doubled + stale, f"There is a sigmoid too many in the generator's half. {stale_hint}"),
        (
            _gradient(g, softplus(fake).mean()),
            "The generator learns to be recognised. Which target does it want its pictures to have?",
        ),
        (-_gradient(g, softplus(fake).mean()), "That is the saturating loss. The sick round's target was right here."),
        (right * len(fake), "The step is too long by the batch size: a sum where the mean is meant."),
        (
            _gradient(g, softplus(-old_fake).mean()),
            "The generator listened to the discriminator from before its step. Let the new one judge.",
        ),
    ]
    value = attempt.pair(result, LOSSES)[1]
    _compare(attempt, "generator", game.generator, steps, loss, value)


def _play(attempt: Attempt, look: Callable[[Attempt, _Game, _Game, Any], None]) -> None:
    """Two rounds, because the first leaves gradients for the second to stumble over."""
    game = _new_game()
    optimizers = _optimizer(game.generator), _optimizer(game.discriminator)
    for _ in range(2):
        old = _copy(game)
        result = attempt(game.generator, game.discriminator, *optimizers, game.real, game.noise)
        if not all(p.requires_grad for network in game[:2] for p in network.parameters()):
            hint = "Freezing a player is fine while its opponent moves, but it must be thawed again."
            attempt.fail("parameters that can't be trained any more", "players ready for the next round", hint)
        look(attempt, game, old, result)


def check_cured_round(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(generator, discriminator, generator_optimizer, discriminator_optimizer, real, noise)
    -> (d_loss, g_loss)``. Parts: ``discriminator``, ``generator``."""
    parts: dict[str, Callable[[Attempt], None]] = {
        "discriminator": lambda attempt: _play(attempt, _judge),
        "generator": lambda attempt: _play(attempt, _imitate),
    }
    arguments = "generator discriminator generator_optimizer discriminator_optimizer real noise"
    run("cured_round", function, arguments, parts, part)
