"""Checks of chapter 05: the smallest game, the sick round, pictures moved, measures of trouble.

In the smallest game the generator owns the point ``theta``, the discriminator ``psi``, the slope of its logit
``psi x``. Real is the point 0.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_course.checks.draws import hidden, nudged
from gan_course.checks.players import RATE, Descent, Game, check_moved, gradient, load_optimizers, new_game
from gan_course.checks.report import Attempt, Mistakes, Parts, cases, check
from gan_course.checks.sandbox import no_trace
from gan_course.checks.values import describe, flat

Rule = Callable[[float, float, float], tuple[float, float]]  # (theta, psi, rate) -> the next position
CHAPTERS_GAME = "That is the chapter's game, whose losses have a logarithm. This one has none: no sigmoid, no one half."


# ------------------------------------------------------------------------------------------ the smallest game: steps


def _simultaneous(theta: float, psi: float, rate: float) -> tuple[float, float]:
    return theta + rate * psi, psi - rate * theta


def _alternating(theta: float, psi: float, rate: float) -> tuple[float, float]:
    psi = psi - rate * theta
    return theta + rate * psi, psi


def _generator_first(theta: float, psi: float, rate: float) -> tuple[float, float]:
    theta = theta + rate * psi
    return theta, psi - rate * theta


def _with_logarithm(alternating: bool) -> Rule:
    """A step of the chapter's own game, whose losses have a logarithm: the slopes get a sigmoid."""

    def rule(theta: float, psi: float, rate: float) -> tuple[float, float]:
        new = psi - rate * _sigmoid(psi * theta) * theta
        seen = new if alternating else psi
        return theta + rate * _sigmoid(seen * theta) * seen, new

    return rule


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _follow(rule: Rule, theta: float, psi: float, rate: float, steps: int) -> Tensor:
    path = [(theta, psi)]
    for _ in range(steps):
        path.append(rule(*path[-1], rate))
    return torch.tensor(path, dtype=torch.float64)


def _compare_path(attempt: Attempt, theta: float, psi: float, rate: float, steps: int, alternating: bool) -> None:
    right, other = (_alternating, _simultaneous) if alternating else (_simultaneous, _alternating)
    wrong: list[tuple[Rule, str]] = [
        (
            other,
            "Both players must look at the position before the step. Here one of them already saw the other's move."
            if not alternating
            else "Here both players look at the old position. In turns, the generator sees the new slope.",
        ),
        (
            _generator_first,
            "Here the generator moves first and the discriminator answers. "
            + ("Who moves first?" if alternating else "Both look at the position before the step."),
        ),
        (
            lambda theta, psi, rate: (theta - rate * psi, psi + rate * theta),
            "Both go up their own loss. Each player goes down.",
        ),
        (
            lambda theta, psi, rate: (theta - rate * psi, psi - rate * theta),
            "The generator goes the wrong way: it wants its point to be judged higher.",
        ),
        (
            lambda theta, psi, rate: (theta + rate * psi, psi + rate * theta),
            "The discriminator goes the wrong way: it wants the generated point to be judged lower.",
        ),
        (
            lambda theta, psi, rate: (theta + rate * theta, psi - rate * psi),
            "The slope of a player's loss by its own number is not that number. Differentiate the product.",
        ),
        (_with_logarithm(alternating), CHAPTERS_GAME),
    ]
    hint = "Compute one step on paper. For each player: its loss, the derivative by its own number, one step down."
    path = _follow(right, theta, psi, rate, steps)
    mistakes = [(_follow(rule, theta, psi, rate, steps), text) for rule, text in wrong]
    mistakes.append((path.flip(1), "The two columns are swapped: theta comes first."))
    shape_hint = "One row for the start and one for the position after each step; two numbers a row."
    result = attempt(theta, psi, rate, steps, alternating)
    result = attempt.tensor(result, [steps + 1, 2], hint=shape_hint, what="the path")
    attempt.close(result, path, hint, mistakes, what="the path", about=f"path, alternating={alternating}")


@check("play_dirac(theta, psi, rate, steps, alternating) -> path [steps + 1, 2]")
def check_play_dirac() -> Parts:
    games = ((1.0, 0.0, 0.5, 1), (2.0, 1.0, 0.1, 3), (-1.0, 0.5, 0.3, 20), (0.3, -2.0, 0.7, 6))
    return {
        "simultaneous": cases(_compare_path, *games, alternating=False, nudge=True),
        "alternating": cases(_compare_path, *games, alternating=True, nudge=True),
    }


# ------------------------------------------------------------------------------------------ its eigenvalues


def _step_matrix(rate: float, weight: float) -> Tensor:
    """What one simultaneous step with R1 multiplies ``(theta, psi)`` by."""
    return torch.tensor([[1.0, rate], [-rate, 1 - rate * weight]], dtype=torch.float64)


def _halved(rate: float, weight: float) -> Tensor:
    """The matrix of the chapter's own game: one half of the players' pull, all of R1."""
    return torch.tensor([[1.0, rate / 2], [-rate / 2, 1 - rate * weight]], dtype=torch.float64)


def _compare_growth(attempt: Attempt, rate: float, weight: float, hint: str) -> None:
    values = torch.linalg.eigvals(_step_matrix(rate, weight))
    sizes, area = values.abs(), values.prod().real
    flow = torch.linalg.eigvals(_step_matrix(rate, weight) - torch.eye(2, dtype=torch.float64))
    doubled = torch.linalg.eigvals(_step_matrix(rate, 2 * weight)).abs().max()
    product = torch.linalg.eigvals(_step_matrix(rate, weight / rate)).abs().max()
    mistakes = [
        (
            values.real.max(),
            "That is the largest real part. What is the absolute value of a complex or a negative number?",
        ),
        (sizes.min(), "The other eigenvalue is larger, and in the long run the larger one wins."),
        (flow.abs().max(), "These are the eigenvalues of the change alone. The position before the step stays, too."),
        *[(d, "That is the determinant: how an area grows. The distance is a length.") for d in (area, area.abs())],
        (sizes.max() ** 2, "That is the growth of the squared distance."),
        (sizes.max() - 1, "That is the growth minus 1. The task asks for the factor."),
        (
            torch.linalg.svdvals(_step_matrix(rate, weight)).max(),
            "That is the largest singular value: the longest single step, from the worst position. Repeated many "
            "times, another number decides.",
        ),
        (doubled, "R1 counts twice in your matrix. What is the derivative of (weight / 2) times psi squared?"),
        (product, "R1 is part of the loss: its slope, too, is multiplied by the rate."),
        (math.sqrt(1 + rate**2), "R1 has no effect in your answer."),
        (torch.linalg.eigvals(_halved(rate, weight)).abs().max(), CHAPTERS_GAME),
    ]
    attempt.close(attempt(rate, weight), sizes.max(), hint, mistakes, what="the growth factor", tolerance=1e-3)


@check("growth_factor(rate, weight) -> factor")
def check_growth_factor() -> Parts:
    matrix = "One step multiplies (theta, psi) by a matrix of 2 × 2. How large are its eigenvalues?"
    entry = (
        "R1 is (weight / 2) psi² here. It adds one term to psi's step, so it changes one entry of the matrix. Which?"
    )
    real = "With a large weight the eigenvalues are real: no rotation. One may be negative and still decide."
    return {
        "plain": cases(_compare_growth, (0.5, 0.0), (0.1, 0.0), (2.0, 0.0), hint=matrix, nudge=True),
        "calmed": cases(_compare_growth, (0.5, 1.2), (0.2, 0.1), (0.1, 1.5), (1.5, 0.4), hint=entry, nudge=True),
        "strong": cases(_compare_growth, (0.5, 6.0), (0.5, 4.1), (1.0, 2.8), (0.3, 3.0), hint=real, nudge=True),
    }


# ------------------------------------------------------------------------------------------ its cure

ENDS = ("low", "high")


def _compare_weight(attempt: Attempt, rate: float, which: int) -> None:
    bounds = rate, (4 + rate**2) / (2 * rate)
    mistakes = [
        (bounds[1 - which], f"The order is {ENDS[0]}, {ENDS[1]}."),
        ((rate / 4, 2 / rate + rate / 8)[which], CHAPTERS_GAME),
        (
            2.0,
            "From a weight of 2 on, the path no longer turns: the eigenvalues become real. The question is when "
            "their absolute values are below 1.",
        ),
    ]
    if which == 0:
        hint = "For a small weight the eigenvalues are a complex pair: the determinant is their absolute value squared."
        mistakes += [
            (0.0, "For tiny steps any weight calms the game. These steps have a length, and each one overshoots."),
            (rate / 2, "Half of it: what is the derivative of (weight / 2) times psi squared?"),
            (2 * rate, "Twice too much: what is the derivative of (weight / 2) times psi squared?"),
            (rate**2, "One factor of the rate too many: R1's slope is multiplied by the rate, as all slopes are."),
        ]
    else:
        hint = (
            "For a large weight the eigenvalues are real. One of them goes through -1: there the cure turns into "
            "a new illness. What is the determinant of the matrix plus the identity then?"
        )
        mistakes += [
            (
                2 / rate,
                "That is right for a discriminator alone: psi shrinks by 1 - rate · weight each step. Here theta "
                "takes part.",
            ),
            (1 / rate, "There psi would jump to 0 in one step. It may even jump beyond, as long as it comes back."),
            (math.inf, "With a huge weight, each step of psi overshoots 0, and farther each time."),
        ]
    value = attempt.results(attempt(rate), ENDS)[which]
    attempt.close(value, bounds[which], hint, mistakes, what=f"the {ENDS[which]} end", tolerance=1e-2)


@check("calm_weights(rate) -> (low, high)")
def check_calm_weights() -> Parts:
    return {ENDS[i]: cases(_compare_weight, [0.5], [1.0], [0.8], [0.1], [1.7], which=i, nudge=True) for i in (0, 1)}


# ------------------------------------------------------------------------------------------ the sick round, cured


LOSSES = ("d_loss", "g_loss")
GAMES = ((3, 6), (8, 9), (11, 3))  # seed and batch size
MOVED = (
    "The parameters moved, but not by one step down the loss that is asked for. Compare with the sick round line by "
    "line."
)


def _copy(game: Game) -> Game:
    """A deep copy that keeps the gradients, too."""
    twin = copy.deepcopy(game)
    for old, new in zip(game[:2], twin[:2], strict=True):
        for p, q in zip(old.parameters(), new.parameters(), strict=True):
            q.grad = None if p.grad is None else p.grad.clone()
    return twin


def _stale(network: nn.Module) -> Tensor:
    """The gradients that lie about in ``network``, in one row."""
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in network.parameters()])


def _discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).mean() + softplus(fake).mean()


def _sick_loss(real: Tensor, fake: Tensor) -> Tensor:
    return _discriminator_loss(-real.sigmoid(), -fake.sigmoid())


def _compare_step(
    attempt: Attempt,
    network: nn.Module,
    optimizer: Descent,
    before: Tensor,
    loss: Tensor,
    right: Tensor,
    mistakes: Mistakes,
    result: Any,
) -> None:
    """One player's half of the round. ``right`` and ``mistakes``: gradients, all from the state ``before``."""
    which = network.description == "generator"
    value = attempt.results(result, LOSSES)[which]
    wrong = [(before - RATE * gradient, hint) for gradient, hint in mistakes]
    check_moved(attempt, network, optimizer, before, before - RATE * right, wrong, MOVED)
    hint = f"Return the {network.description}'s loss as it was before its step."
    attempt.close(value, loss, hint, what=f"the returned {LOSSES[which]}")


OTHER_NOISE = "These fakes were made from another noise. Both steps use the noise that is given."


def _other_fakes(attempt: Attempt, game: Game) -> Tensor:
    """What the generator makes of the noise that ``torch.randn`` gives first in the student's function."""
    with no_trace(attempt.seed):
        return game.generator(torch.randn_like(game.noise))


def _judge(attempt: Attempt, game: Game, old: Game, optimizers: tuple[Descent, Descent], result: Any) -> None:
    """The discriminator's half of the round. ``old``: copies of the players from before it."""
    d = old.discriminator
    fakes = old.generator(old.noise).detach()
    real, fake = d(old.real), d(fakes)
    loss = _discriminator_loss(real, fake)
    right = gradient(d, loss)
    mistakes = [
        (
            gradient(d, _sick_loss(real, fake)),
            "Here the discriminator is as sick as before. What does its loss expect?",
        ),
        (
            gradient(d, _discriminator_loss(-real, -fake)),
            "The targets are swapped: this discriminator learns to call real pictures fake. What is the target of a "
            "real one?",
        ),
        (
            gradient(d, _discriminator_loss(real.sigmoid(), fake.sigmoid())),
            "There is a sigmoid too many: the loss for logits applies its own.",
        ),
        (right / 2, "The step is half as long: the two means are added, not averaged."),
        (right * len(real), "The step is too long by the batch size: a sum where the mean is meant."),
        (-right, "The step goes up the loss."),
        (gradient(d, _discriminator_loss(real, d(_other_fakes(attempt, old)))), OTHER_NOISE),
        (
            right + _stale(d),
            "The gradients that the generator's step left in the discriminator were added. When must they go?",
        ),
    ]
    _compare_step(attempt, game.discriminator, optimizers[1], flat(d), loss, right, mistakes, result)


def _imitate(attempt: Attempt, game: Game, old: Game, optimizers: tuple[Descent, Descent], result: Any) -> None:
    """The generator's half: it is judged by the discriminator as the student's own step has left it."""
    g = old.generator
    fakes = g(old.noise)
    fake, old_fake = game.discriminator(fakes), old.discriminator(fakes)
    loss = softplus(-fake).mean()
    right, stale = gradient(g, loss), _stale(g)
    doubled = gradient(g, softplus(-fake.sigmoid()).mean())
    both = old.discriminator(old.real), old_fake
    leaks = [
        gradient(g, leak)
        for leak in (_discriminator_loss(*both), _discriminator_loss(*(-logits for logits in both)), _sick_loss(*both))
    ]
    leak_hint = (
        "The discriminator's loss has left gradients in the generator, and they were added: the thread was not cut. "
        "The generator is to learn from its own loss only."
    )
    stale_hint = "Gradients of the round before were still in the generator and were added. When must they go?"
    mistakes = [
        *[(own + leak + old_ones, leak_hint) for own in (right, doubled) for leak in leaks for old_ones in (0, stale)],
        (right + stale, stale_hint),
        (doubled, "There is a sigmoid too many in the generator's half, too."),
        (doubled + stale, f"There is a sigmoid too many in the generator's half. {stale_hint}"),
        (
            gradient(g, softplus(fake).mean()),
            "The generator learns to be recognised. Which target does it want its pictures to have?",
        ),
        (-gradient(g, softplus(fake).mean()), "That is the saturating loss. The sick round's target was right here."),
        (right * len(fake), "The step is too long by the batch size: a sum where the mean is meant."),
        (gradient(g, softplus(-game.discriminator(_other_fakes(attempt, old))).mean()), OTHER_NOISE),
        (
            gradient(g, softplus(-old_fake).mean()),
            "The generator listened to the discriminator from before its step. Let the new one judge.",
        ),
    ]
    _compare_step(attempt, game.generator, optimizers[0], flat(g), loss, right, mistakes, result)


def _play(attempt: Attempt, seed: int, count: int, look: Callable[..., None]) -> None:
    """Two rounds, because the first leaves gradients for the second to stumble over."""
    game = new_game(seed, count)
    for _ in range(2):
        old = _copy(game)
        optimizers = Descent(game.generator), Descent(game.discriminator)
        result = attempt(*game[:2], *optimizers, game.real, game.noise)
        look(attempt, game, old, optimizers, result)


@check(
    "cured_round(generator, discriminator, generator_optimizer, discriminator_optimizer, real, noise) "
    "-> (d_loss, g_loss)"
)
def check_cured_round() -> Parts:
    load_optimizers()
    return {"discriminator": cases(_play, *GAMES, look=_judge), "generator": cases(_play, *GAMES, look=_imitate)}


# ------------------------------------------------------------------------------------------ moved pictures


DARK = -1.0


def _pictures(count: int) -> Tensor:
    """``[count, 2, 5, 6]``: two colours, not square, every pixel a number of its own, none of them dark."""
    return nudged(torch.linspace(-0.9, 1, count * 60)).reshape(count, 2, 5, 6)


def _moved(images: Tensor, reach: int, fill: float | None = DARK) -> Tensor:
    """``images [N, C, H, W]`` moved by every shift up to ``reach``: ``[shifts, N, C, H, W]``. ``fill`` None wraps."""
    height, width = images.shape[-2:]
    places = range(2 * reach + 1)
    if fill is None:
        return torch.stack([images.roll((y - reach, x - reach), (2, 3)) for y in places for x in places])
    padded = F.pad(images, (reach,) * 4, value=fill)
    return torch.stack([padded[..., y : y + height, x : x + width] for y in places for x in places])


def _fits(result: Tensor, candidates: Tensor) -> Tensor:
    """Which of ``candidates [shifts, N, ...]`` each row of ``result [N, ...]`` equals: ``[N, shifts]``, bool."""
    return (candidates - result).abs().flatten(2).amax(2).T < 1e-4


def _shift(attempt: Attempt, images: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """(the result, for each picture the number of its shift). Reports anything that is no shift."""
    source = images.detach().clone()
    hint = "As many pictures as came in, each with the same channels, height and width."
    result = attempt.tensor(attempt(images, reach), list(images.shape), hint=hint, what="the moved pictures")
    plain = result.detach().float()
    fitting = _fits(plain, _moved(source, reach))
    if not fitting.any(dim=1).all():
        far = "1 pixel" if reach == 1 else f"{reach} pixels"
        wanted = f"each picture moved by at most {far} down or up and right or left, the rest filled with -1"
        got = f"a picture {describe(plain[0])} that is no such move of its original"
        attempt.fail(got, wanted, _why_no_shift(plain, source, reach))
    return result, fitting.int().argmax(dim=1)


def _why_no_shift(plain: Tensor, images: Tensor, reach: int) -> str:
    def all_fit(candidates: Tensor, result: Tensor = plain) -> bool:
        return bool(_fits(result, candidates).any(dim=1).all())

    if all_fit(_moved(images, reach, fill=None)):
        return "What leaves on one side comes back on the other: a 7 whose foot stands on its head. Fill with dark."
    if all_fit(_moved(images, reach, fill=0.0)):
        return "The new pixels are 0, which is grey. In this course pictures go from -1 to 1."
    if all_fit(torch.cat([_moved(images, reach, fill=f) for f in (images.min().item(), 1.0)])):
        return "The new pixels have the wrong colour: the background of our pictures is -1."
    if all_fit(_moved(images, reach + 1)) or all_fit(_moved(images, 2 * reach)):
        return "Some pictures move too far. How large may a shift be, in each direction?"
    channels = [(images[:, c : c + 1], plain[:, c : c + 1]) for c in range(images.shape[1])]
    if all(all_fit(_moved(own, reach), result) for own, result in channels):
        return "The channels of one picture move apart. All colours of a picture move together."
    return "Think of a larger dark sheet with the picture in its middle, and of a window of the old size cut from it."


def _shift_random(attempt: Attempt) -> None:
    count, reach = 900, 1
    images = _pictures(12).repeat(count // 12, 1, 1, 1)
    _, number = _shift(attempt, images, reach)
    visits = number.bincount(minlength=(2 * reach + 1) ** 2)
    got = f"{', '.join(map(str, visits.tolist()))} of {count} pictures moved by each of the 9 shifts"
    wanted = f"about {count // 9} pictures for each shift from (-1, -1) to (1, 1)"
    if (visits > 0).sum() == 1:
        hint = "The whole batch moves by one shift. In this task each picture gets its own shift: more variety a batch."
        attempt.fail(got, wanted, hint)
    if visits.min() < 0.5 * count / 9 or visits.max() > 1.6 * count / 9:
        grid = visits.reshape(3, 3)
        hint = "All shifts are equally likely, and those down and those right are drawn independently."
        if (grid.sum(0) == 0).any() or (grid.sum(1) == 0).any():
            hint = "Some shifts never happen. Is every whole number from -reach to reach drawn, 0 and both ends?"
        elif (visits == 0).any():
            hint = "Some shifts never happen. Are down and right drawn independently of each other?"
        attempt.fail(got, wanted, hint)
    attempt.check_random(
        lambda: _shift(attempt, images, reach)[1],
        rows=lambda number: torch.stack([number // 3, number % 3], dim=1),
    )


def _shift_gradient(attempt: Attempt) -> None:
    images = _pictures(30).requires_grad_()
    result, number = _shift(attempt, images, 1)
    gradient = attempt.gradient(result, images, "the moved pictures")
    ones = torch.ones(1, 1, 5, 6)  # a pixel that is still in view has gradient 1: move a white sheet back
    back = _moved(ones, 1, fill=0.0).flip(0)[number, 0]
    hint = (
        "The generator learns through the augmentation: each pixel that is still in view must pass its gradient on, "
        "unchanged, to the pixel that it came from."
    )
    attempt.close(gradient, back.expand_as(gradient), hint, what="d (sum of the result) / d (pixel)")


@check("random_shift(images [N, C, H, W], reach) -> [N, C, H, W]")
def check_random_shift() -> Parts:
    return {
        "moves": cases(
            _shift, (_pictures(1), 1), (_pictures(40), 2), (_pictures(3), 0), (_pictures(20)[:, :1].mT.contiguous(), 3)
        ),
        "random": _shift_random,
        "gradient": _shift_gradient,
    }


# ------------------------------------------------------------------------------------------ effective modes


def _compare_modes(attempt: Attempt, counts: list[int], hint: str) -> None:
    tensor = torch.tensor(counts)
    share = tensor.double() / tensor.sum()
    entropy = -torch.xlogy(share, share).sum()
    used = share[share > 0]
    mistakes = [
        (entropy, "That is the entropy. How many equally full modes have this entropy?"),
        (entropy / math.log(2), "That is the entropy in bits. How many equally full modes have this entropy?"),
        (2**entropy, "Entropy with the natural logarithm, but a power of 2: the two must have the same base."),
        ((entropy / math.log(2)).exp(), "Entropy in bits, but a power of e: the two must have the same base."),
        (float(len(used)), "That is how many modes have any point. A mode with one stray point counts fully there."),
        (1 / share.square().sum(), "That is another such number (one over the sum of squares). Use the entropy."),
        (1 / share.max(), "Only the fullest mode counts here. Use all shares, through the entropy."),
        ((-entropy).exp(), "The sign of the entropy: a logarithm of a share is negative."),
        (entropy.exp() / len(counts), "That is a share of all modes. The task asks for a number of modes."),
    ]
    attempt.close(attempt(tensor.clone()), entropy.exp(), hint, mistakes, what="the effective number of modes")


@check("effective_modes(counts [K]) -> number")
def check_effective_modes() -> Parts:
    chain = "Counts to shares, shares to entropy, entropy to a number of modes. Equal counts in 8 modes must give 8."
    empty = "A mode without points adds nothing, although log 0 is minus infinity: u log u goes to 0 with u."
    return {
        "values": cases(
            _compare_modes,
            [[5, 5, 5, 5]],
            [[30, 10]],
            [[1, 2, 3, 4, 90]],
            [[125] * 8],
            [[3, 1000, 40, 7, 7]],
            *hidden(lambda r: [[r.randint(1, 90) for _ in range(r.randint(3, 9))]], 3),
            hint=chain,
        ),
        "empty": cases(
            _compare_modes,
            *([[7, 0, 7, 0]], [[100, 0, 0]], [[0, 1, 3, 0, 4]], [[0, 0, 9]]),
            *hidden(lambda r: [[0, *(r.randint(0, 9) for _ in range(r.randint(3, 9))), r.randint(1, 9)]], 3),
            hint=empty,
        ),
    }


# ------------------------------------------------------------------------------------------ memory in a log


class _Log(dict):
    """A training log as ``trainer.log`` holds it, with three columns."""

    @property
    def description(self) -> str:
        return f"a log with {len(self['step'])} entries"


def _log(real: Tensor, held_out: Tensor, fake: Tensor) -> _Log:
    columns: Mapping[str, Tensor] = {"real_logit": real, "held_out_logit": held_out, "fake_logit": fake}
    steps = [10.0 * (i + 1) for i in range(len(real))]
    return _Log(step=steps, **{name: column.tolist() for name, column in columns.items()})


def _share(real: Tensor, held_out: Tensor, fake: Tensor) -> Tensor:
    return (real - held_out) / (real - fake)


def _compare_memory(attempt: Attempt, columns: tuple[Tensor, ...], last: int) -> None:
    real, held_out, fake = columns
    ends = [c[-last:].mean() for c in columns]
    at_first = [c[:last].mean() for c in columns]
    mistakes = [
        (
            _share(*(c.mean() for c in columns)),
            "That is the mean of the whole run. What matters is how it ends: the last entries only.",
        ),
        (_share(*at_first), "These are the first entries. The trouble comes at the end."),
        (_share(*(c[-1] for c in columns)), "That is the last entry alone, and batches are noisy: average some."),
        (_share(*(c[-last:].median() for c in columns)), "These are medians. The task asks for means."),
        (
            _share(*(c[-last:] for c in columns)).mean(),
            "The mean of quotients is not the quotient of means. One entry with a small denominator spoils it.",
        ),
        ((ends[1] - ends[2]) / (ends[0] - ends[2]), "That is what is knowledge. The rest of it is memory."),
        (ends[0] - ends[1], "That is the gap in logits. Which share is it of the gap to generated pictures?"),
        ((ends[0] - ends[1]) / (ends[1] - ends[2]), "The whole gap is that between real and generated pictures."),
        (-_share(*(torch.stack(ends))), "The sign: pictures that were learned by heart get higher logits than others."),
        (ends[1] / ends[0], "Logits have no zero that means anything: only differences count."),
    ]
    hint = (
        "How much higher are the logits of pictures trained on than those of pictures never seen? Compare that with "
        "how much higher they are than those of generated ones."
    )
    log = _log(real, held_out, fake)
    attempt.close(attempt(log, last), _share(*ends), hint, mistakes, what="the share of memory")


def _constant(*values: float) -> tuple[Tensor, ...]:
    """A log that does not change, so that any window gives the same."""
    return tuple(torch.full((6,), value) for value in values)


@check("memory_share(log, last) -> share")
def check_memory_share() -> Parts:
    logits = (
        (3.0, 1.0, -1.0),
        (2.0, 2.0, -2.0),
        (5.0, -3.0, -3.0),
        (1.0, 1.4, -3.0),
        (4.0, 3.0, 1.0),
        (-1.0, -2.0, -4.0),
    )
    time = torch.arange(30.0)
    changing = (
        0.5 + time / 10 + 0.4 * torch.sin(5 * time),
        0.5 + 0.3 * torch.cos(3 * time),
        -0.4 - time / 20 + 0.3 * torch.sin(2 * time),
    )
    return {
        "values": cases(_compare_memory, *[(_constant(*nudged(three, i)), 3) for i, three in enumerate(logits)]),
        "window": cases(
            _compare_memory,
            *((changing, 10), (changing, 4), (tuple(c.flip(0) for c in changing), 7), (changing, 1)),
            nudge=True,
        ),
    }
