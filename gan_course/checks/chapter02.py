"""Checks of chapter 02: losses from probabilities and from logits, what lies behind them, hinge, the R1 penalty."""

from __future__ import annotations

import math
import random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from gan_course.checks.draws import hidden, nudged
from gan_course.checks.players import Bowl, Plane, new_game
from gan_course.checks.report import Attempt, Mistakes, Parts, cases, check
from gan_course.checks.values import describe, near, normal, per_picture
from gan_course.language import tr, tr_later

LOSSES = ("L_D", "L_G")
HINTS = (
    tr_later(
        "Two questions, one term each: how surprised is D by the real batch, and how surprised is it by the fake one? "
        "Average each over its batch and add the two."
    ),
    tr_later("The generator wants D to believe in its fakes. What number is small when it succeeds?"),
)
SUM = tr_later("That is the sum over the batch. A mean keeps its size when the batch grows.")
HALF = tr_later("That is half of it. The two terms are added, not averaged.")
EARLY = tr_later("The mean comes too early. First the logarithm of each, then the mean.")


def _compare(attempt: Attempt, result: Any, expected: tuple[Tensor, ...], hints: tuple[str, ...], *mistakes: Mistakes):
    for i, value in enumerate(attempt.results(result, LOSSES)):
        swapped = (expected[1 - i], tr("The order is {names}.").format(names=", ".join(LOSSES)))
        known = [swapped, *mistakes[i]] if mistakes else []
        attempt.close(value, expected[i], hints[i], known, what=LOSSES[i])


def _common_mistakes(loss: Tensor, count: int) -> list[tuple[Tensor, str]]:
    """Mistakes that any loss of logarithms can suffer from."""
    sign = tr(
        "Only the sign is wrong. The logarithm of a probability is negative; when is the surprise a positive number?"
    )
    base = tr("The size is off by a factor of {}: that is the logarithm to base {}. The losses use the natural one.")
    return [
        (-loss, sign),
        (loss / math.log(2), base.format("1.44", 2)),
        (loss / math.log(10), base.format("0.43", 10)),
        (loss * count, SUM),
    ]


def _discriminator_mistakes(real: Tensor, fake: Tensor) -> list[tuple[Tensor, str]]:
    """What goes wrong with L_D; ``real`` and ``fake`` are probabilities."""
    right = -real.log().mean() - (1 - fake).log().mean()
    return [
        (
            -real.log().mean() - fake.log().mean(),
            tr(
                "The argument of the second logarithm is swapped: it rewards D for believing in fakes. With what "
                "probability does D say that a fake is a fake?"
            ),
        ),
        (real.log().mean() + fake.log().mean(), tr("Two faults: the signs, and the argument of the second logarithm.")),
        (-real.log().mean(), tr("The fake batch is missing: such a D learns to call everything real.")),
        (-(1 - fake).log().mean(), tr("The real batch is missing: such a D learns to call everything fake.")),
        (right / 2, HALF),
        (-real.mean().log() - (1 - fake).mean().log(), EARLY),
        *_common_mistakes(right, len(real)),
    ]


def _generator_mistakes(fake: Tensor) -> list[tuple[Tensor, str]]:
    """What goes wrong with L_G; ``fake`` are probabilities."""
    return [
        (
            (1 - fake).log().mean(),
            tr(
                "That is the saturating loss of the original game. It has the same aim, but its "
                "gradient fades where the "
                "generator is losing. The task asks for the non-saturating one."
            ),
        ),
        (
            -(1 - fake).log().mean(),
            tr("This is small when D recognises the fakes, which is what D wants. What does the generator want?"),
        ),
        (-fake.mean().log(), EARLY),
        *_common_mistakes(-fake.log().mean(), len(fake)),
    ]


# ------------------------------------------------------------------------------------------ from probabilities


def _probabilities(attempt: Attempt, real: list[float], fake: list[float]) -> None:
    p, q = torch.tensor(real), torch.tensor(fake)
    expected = (-p.log().mean() - (1 - q).log().mean(), -q.log().mean())
    _compare(
        attempt, attempt(p.clone(), q.clone()), expected, HINTS, _discriminator_mistakes(p, q), _generator_mistakes(q)
    )


@check("losses_from_probabilities(p_real [N], p_fake [N]) -> (L_D, L_G)")
def check_losses_from_probabilities() -> Parts:
    return {
        "pairs": cases(
            _probabilities,
            ([0.7], [0.2]),  # unequal doubts first: here every mistake gives a number of its own
            ([0.9], [0.1]),  # the worked example
            ([0.5], [0.5]),  # a clueless discriminator
            nudge=True,
        ),
        "batches": cases(
            _probabilities,
            ([0.9, 0.6, 0.8], [0.1, 0.3, 0.2]),
            ([0.99, 0.2], [0.01, 0.7]),
            ([0.3, 0.45, 0.7, 0.9, 0.04], [0.5, 0.85, 0.15, 0.6, 0.35]),
            ([0.0003, 0.9996], [0.9992, 0.0001]),  # beliefs that a limit would change
            ([0.002], [0.997]),
            nudge=True,
        ),
    }


# ------------------------------------------------------------------------------------------ from logits


def _losses_of_logits(real: Tensor, fake: Tensor, smooth: float = 0.0) -> tuple[Tensor, Tensor]:
    """(1 - s) softplus(-l) + s softplus(l) is softplus(-l) + s l."""
    return softplus(-real).mean() + smooth * real.mean() + softplus(fake).mean(), softplus(-fake).mean()


def _compare_logits(attempt: Attempt, real: Tensor, fake: Tensor, smooth: float) -> None:
    twice = tr("These are the losses after two sigmoids. A loss 'with logits' applies one itself.")
    p, q = real.sigmoid(), fake.sigmoid()
    double, right = _losses_of_logits(p, q), _losses_of_logits(real, fake, smooth)
    more = smooth * real.mean()
    generator = [(double[1], twice), *_generator_mistakes(q)]
    both = (1 - smooth) * (softplus(-real) + softplus(real)).mean() + softplus(fake).mean()
    twice_the_same = tr("Both logarithms of a real sample have the share 1 - s. The second one's is s.")
    exchanged = tr("The two shares are exchanged: with a small s, D is still asked to believe in real samples.")
    turned = softplus(real).mean() - smooth * real.mean() + softplus(fake).mean()
    if not smooth:
        discriminator = [(double[0], twice), (turned, exchanged), (both, twice_the_same)]
        discriminator += _discriminator_mistakes(p, q)
    else:
        smoothed_too = tr("The generator's loss is smoothed, too. It stays as it was.")
        generator.insert(0, (right[1] + smooth * fake.mean(), smoothed_too))
        discriminator = [
            (turned, exchanged),
            (both, twice_the_same),
            (
                (1 - smooth) * (softplus(-real).mean() + softplus(fake).mean()),
                tr("The factor 1 - s belongs to the real samples alone. Beside it stands a term with the share s."),
            ),
            (
                (1 - smooth) * softplus(-real).mean() + softplus(fake).mean(),
                tr("A part of a real sample's term is missing: the one with the share s."),
            ),
            (right[0] - more, tr("Nothing is smoothed: D is still asked to be sure of the real samples.")),
            (right[0] - smooth * fake.mean(), tr("Both sides are smoothed. Of the fakes, D may be sure.")),
            (right[0] - more - smooth * fake.mean(), tr("The fakes are smoothed, and the real samples are not.")),
            (right[0] + smooth * softplus(real).mean() - more, tr("The two shares must add up to 1.")),
            *[(value + more, hint) for value, hint in [(double[0], twice), *_discriminator_mistakes(p, q)]],
        ]
    _compare(attempt, attempt(real.clone(), fake.clone(), smooth), right, HINTS, discriminator, generator)


def _compare_extremes(attempt: Attempt, logit: float) -> None:
    hint = tr(
        "In float32 the sigmoid of 200 is exactly 1, that of -200 exactly 0, and exp(200) is infinite. Then a "
        "logarithm has nothing left to work with, and a limit on it hides how wrong D is. Which way leads from the "
        "logit to the loss without a stop at any of these?"
    )
    real, fake = torch.tensor([logit, 1.0]), torch.tensor([-logit, -1.0])
    right = _losses_of_logits(real, fake, 0.1)
    _compare(attempt, attempt(real.clone(), fake.clone(), 0.1), right, (hint, hint))


def _logit_gradients(attempt: Attempt) -> None:
    # None of them is 0: there the slope of clamp(x, 0) + log(1 + exp(-|x|)), a right answer, is a matter of convention.
    real = nudged(torch.tensor([-200.0, 0.4, 3.0, 200.0, -1.5])).requires_grad_()
    fake = nudged(torch.tensor([-200.0, -2.0, -0.3, 200.0, 1.0])).requires_grad_()
    results = attempt.results(attempt(real, fake, 0.1), LOSSES)
    expected = _losses_of_logits(real, fake, 0.1)
    hint = tr(
        "The gradient must stay alive where D is completely wrong: there it is needed most. A limit on the probability "
        "or on the logarithm kills it, and an exponential that overflows, be it in a branch that torch.where does not "
        "take, makes it NaN."
    )
    for which, inputs, name in ((0, real, "real"), (0, fake, "fake"), (1, fake, "fake")):
        (wanted,) = torch.autograd.grad(expected[which], inputs, retain_graph=True)
        gradient = attempt.gradient(results[which], inputs, LOSSES[which])
        attempt.close(gradient, wanted, hint, what=f"d {LOSSES[which]} / d {name}_logits")


@check("losses_from_logits(real_logits [N], fake_logits [N], smooth) -> (L_D, L_G)")
def check_losses_from_logits() -> Parts:
    column = torch.tensor([[-1.0], [4.0]]), torch.tensor([[0.3], [2.0]])  # is as good as a row
    return {
        "values": cases(
            _compare_logits,
            (torch.tensor([2.0, 0.5]), torch.tensor([-1.0, -3.0]), 0.1),
            (*column, 0.0),
            (normal(7, seed=1) + 1, normal(7, seed=2) - 0.5, 0.2),
            (torch.tensor([-0.7]), torch.tensor([1.2]), 0.0),
            (torch.tensor([-5.1, -5.4]), torch.tensor([5.2, 5.3]), 0.1),  # not yet a straight line
            (torch.tensor([5.3]), torch.tensor([-5.2]), 0.3),
            nudge=True,
        ),
        "extremes": cases(_compare_extremes, [-200.0], [200.0], [-30.0], [-110.0], nudge=True),
        "gradients": _logit_gradients,
    }


# ------------------------------------------------------------------------------------------ hinge


def _hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return relu(1 - real).mean() + relu(1 + fake).mean()


def _compare_hinge(attempt: Attempt, real_logits: list[float], fake_logits: list[float], margin: float) -> None:
    """Margins of any size are margins of 1 for logits in that unit, times it: so are all mistakes."""
    given = torch.tensor(real_logits), torch.tensor(fake_logits)
    real, fake = (logits / margin for logits in given)
    right = _hinge_discriminator(real, fake), -fake.mean()
    d_mistakes = [
        (
            _hinge_discriminator(-real, -fake),
            tr("The signs are swapped: real logits shall lie above the margin and fake ones below minus the margin."),
        ),
        (
            relu(1 - real.mean()) + relu(1 + fake.mean()),
            tr("The mean comes too early: one good sample must not excuse a bad one. What comes first, hinge or mean?"),
        ),
        (
            (1 - real).mean() + (1 + fake).mean(),
            tr("There is no hinge: a logit beyond the margin must not lower the loss any further."),
        ),
        (
            relu(-real).mean() + relu(fake).mean(),
            tr("The margin is missing: the right side of 0 is not enough. How far on that side should a logit be?"),
        ),
        (relu(1 - real).mean(), tr("The fake batch is missing.")),
        (relu(1 + fake).mean(), tr("The real batch is missing.")),
        (right[0] / 2, HALF),
        (right[0] * len(real), SUM),
        (-right[0], tr("Only the sign is wrong.")),
    ]
    g_mistakes = [
        (relu(1 - fake).mean(), tr("The generator's loss has no hinge: it raises the fake logits and never stops.")),
        (relu(1 + fake).mean(), tr("That is the discriminator's fake term. The generator wants the opposite.")),
        (fake.mean(), tr("Only the sign is wrong: minimising this lowers the fake logits.")),
        (-fake.sum(), SUM),
        (softplus(-fake).mean(), tr("That is the non-saturating loss. The hinge pair uses the plain score.")),
    ]
    hints = (
        tr(
            "Each real logit below the margin pays by how much it falls short, each fake logit above minus it likewise."
        ),
        tr("The generator simply wants the fake logits high."),
    )
    expected = margin * right[0], margin * right[1]
    scaled = [[(margin * value, hint) for value, hint in rows] for rows in (d_mistakes, g_mistakes)]
    inputs = [x.clone().requires_grad_() for x in given]
    if margin != 1:
        fixed = _hinge_discriminator(*given)
        scaled[0] += [
            (fixed, tr("The margin is that of the chapter: here it is given.")),
            (right[0], tr("The margin was made 1 by a division: the cost is the distance to it, in logits.")),
        ]
    result = attempt(*inputs, margin)
    _compare(attempt, result, expected, hints, *scaled)
    _compare_hinge_slopes(attempt, result, inputs, margin)


def _compare_hinge_slopes(attempt: Attempt, result: Any, inputs: list[Tensor], margin: float) -> None:
    """Training goes down both losses. At the bend itself the slope is a matter of convention."""
    real, fake = inputs
    hint = tr("The value is right, but its slope is not, and training goes down the slope. Was a part of it cut off?")
    slopes = (
        (0, real, -(real < margin).double() / len(real), "real"),
        (0, fake, (fake > -margin).double() / len(fake), "fake"),
        (1, fake, torch.full_like(fake, -1 / len(fake)), "fake"),
    )
    values = attempt.results(result, LOSSES)
    for which, logits, right, name in slopes:
        bend = (logits.detach().abs() - margin).abs() < 1e-6
        slope = attempt.gradient(values[which], logits, LOSSES[which])
        known = [(-right.masked_fill(bend, 0.0), tr("The value is right, and its slope has the wrong sign."))]
        what = f"d {LOSSES[which]} / d {name}_logits"
        attempt.close(slope.masked_fill(bend, 0.0), right.masked_fill(bend, 0.0), hint, known, what=what)


@check("hinge_losses(real_logits [N], fake_logits [N], margin) -> (L_D, L_G)")
def check_hinge_losses() -> Parts:
    return {
        "values": cases(
            _compare_hinge,
            ([0.5, -0.3], [-0.2, 0.7], 1.0),
            ([0.25], [0.5], 2.0),
            ([0.3, -0.1], [0.2, -0.4], 0.5),
            nudge=True,
        ),
        "margin": cases(
            _compare_hinge,
            ([2.0, 5.0, -4.0], [-3.0, -1.5, 6.0], 1.0),
            ([1.0, 3.0], [-1.0, -9.0], 1.0),
            ([0.2, 4.0, -1.0, 2.5], [-2.0, 1.5, -0.3, -7.0], 3.0),
            ([7.0], [-0.6], 0.5),
            nudge=True,
        ),
    }


GRADIENTS = ("saturating", "non_saturating", "squared")


# ------------------------------------------------------------------------------------------ the generator's gradients


def _compare_gradients(attempt: Attempt, fake_logits: list[float], hint: str) -> None:
    logits = torch.tensor(fake_logits)
    results = attempt.results(attempt(logits.clone()), GRADIENTS)
    p, rest = logits.sigmoid(), (-logits).sigmoid()
    right = (-p, -rest, -2 * p * rest.square())
    by_probability = (-1 / (1 - p), -1 / p, -2 * (1 - p))
    swapped = (right[1], right[0], right[2])
    others = (
        tr("That is the non-saturating loss's derivative. The saturating one's fades where D is sure of the fake."),
        tr("That is the saturating loss's derivative. The non-saturating one's is -1 where D is sure of the fake."),
    )
    sign = tr("Only the sign is wrong. All three losses fall when the logit rises.")
    chain = tr(
        "That is the derivative with respect to the probability. The chain rule has one more factor: how the "
        "probability changes with the logit."
    )
    alone = tr(
        "That is the derivative of the sigmoid alone. It is one factor of the chain rule; the loss as a function of "
        "the belief gives the other."
    )
    mean = tr("Divided by the batch size: the task asks for one derivative a logit, no mean.")
    score = tr("That squares the logit's distance to 1. The belief's distance counts: a sigmoid is inside.")
    half = tr("Half of it: the square brings a factor 2 down.")
    target = tr("That pulls the belief to 0, where the discriminator wants it. The generator wants 1.")
    for i, value in enumerate(results):
        mistakes = [
            (-right[i], sign),
            (by_probability[i], chain),
            (p * rest, alone),
            (right[i] / len(logits), mean),
        ]
        if i < 2:
            mistakes.insert(0, (swapped[i], others[i]))
        else:
            mistakes += [(2 * (logits - 1), score), (right[2] / 2, half), (2 * p.square() * rest, target)]
        attempt.close(value, right[i], hint, mistakes, what=GRADIENTS[i])


@check("generator_gradients(fake_logits [N]) -> (saturating [N], non_saturating [N], squared [N])")
def check_generator_gradients() -> Parts:
    chain_rule = tr(
        "Differentiate log(1 - sigmoid(a)), -log(sigmoid(a)) and (1 - sigmoid(a))² by the chain rule. Much cancels in "
        "the first two; the third has the sigmoid's own slope as a factor."
    )
    overflow = tr(
        "Here the logits are so large that exp() of them is infinite, and so sure that a limit would show. PyTorch's "
        "sigmoid stays exact: can you write the result with nothing else?"
    )
    return {
        "values": cases(
            _compare_gradients, [[-3.0, -1.0, 0.5, 2.0]], [[-6.0, 1.5]], [[0.3]], hint=chain_rule, nudge=True
        ),
        "extremes": cases(
            _compare_gradients, [[-200.0, -100.0, 100.0, 200.0]], [[95.0, -1.0, 0.0]], hint=overflow, nudge=True
        ),
    }


# ------------------------------------------------------------------------------------------ the optimal discriminator


def _optimal(attempt: Attempt, real: list, fake: list, hint: str) -> None:
    p, q = torch.tensor(real), torch.tensor(fake)
    total = p + q
    right = torch.where(total > 0, p / total.where(total > 0, torch.ones_like(p)), torch.full_like(p, 0.5))
    mistakes = [
        (1 - right, tr("This is the belief that a point is fake. D answers how likely it is that the point is real.")),
        *[
            (
                ratio,
                tr(
                    "This is the ratio of the densities. A belief lies between 0 and 1: which share "
                    "of all points there is "
                    "real?"
                ),
            )
            for ratio in (p / q, p / q.clamp_min(1e-30))
        ],
        ((p / q).log(), tr("This is the best logit. The task asks for the probability that belongs to it.")),
        (total, tr("This is how many points lie there in all. Which share of them is real?")),
        (p, tr("A density is no belief: it does not say how many fakes lie at the same place.")),
        (
            p / (total + 1e-8),
            tr(
                "Something is added to the denominator. It drowns small densities, and where nothing "
                "lies it answers 0 and "
                "not one half."
            ),
        ),
        (
            p.where(total > 0, total) / total.where(total > 0, total + 1),
            tr("Where nothing lies this answers 0: certainly fake."),
        ),
    ]
    attempt.close(attempt(p.clone(), q.clone()), right, hint, mistakes)


@check("optimal_discriminator(p [...], q [...]) -> D* [...]")
def check_optimal_discriminator() -> Parts:
    nothing_there = tr(
        "Where no point ever falls, nothing speaks for real or for fake: the task asks for one half. Densities far "
        "out in the tail are tiny but not zero, and their ratio still counts."
    )
    return {
        "values": cases(
            _optimal,
            ([0.3, 0.1, 0.5], [0.1, 0.3, 0.5]),
            ([0.0, 0.8, 2.0], [0.4, 0.2, 0.6]),
            ([[0.2, 0.4], [0.9, 1.5]], [[0.6, 0.1], [0.3, 0.5]]),
            ([[[0.7, 3.0, 0.25]]], [[[0.2, 1.0, 4.0]]]),
            hint=tr("Of all the points that fall at x, which share comes from the data?"),
            nudge=True,
        ),
        "empty": cases(
            _optimal,
            ([0.0, 0.2, 0.0], [0.0, 0.6, 0.3]),
            ([0.0, 0.5], [0.0, 0.1]),
            ([[0.0, 0.0, 0.7], [1.2, 0.0, 0.0]], [[0.0, 0.2, 0.0], [0.4, 0.0, 0.0]]),
            ([3e-12, 2e-30], [1e-12, 8e-30]),
            ([5e-9, 4e-7, 6e-20], [2e-9, 8e-7, 1e-20]),
            hint=nothing_there,
            nudge=True,
        ),
    }


# ------------------------------------------------------------------------------------------ Jensen-Shannon


def _kl(p: Tensor, q: Tensor, dx: float, ends: float = 1.0) -> Tensor:
    """Kullback-Leibler divergence on a grid; a place where p is 0 contributes nothing.

    ``ends``: how often the first and the last place count, one half in a sum of trapezoids.
    """
    terms = torch.xlogy(p, p) - torch.xlogy(p, q)
    return (terms.sum() + (ends - 1) * (terms[0] + terms[-1])) * dx


def _jensen_shannon(attempt: Attempt, p: Tensor, q: Tensor, dx: float, hint: str) -> None:
    m = (p + q) / 2
    right = (_kl(p, m, dx) + _kl(q, m, dx)) / 2
    middle = tr("Jensen-Shannon compares both densities with the one half way between them.")
    mistakes = [
        (right / math.log(2), tr("This is in bits. The task asks for nats: the natural logarithm.")),
        (2 * right, tr("Twice too much: each of the two divergences counts one half.")),
        (right / dx, tr("The sum needs the width of a grid cell: a density times a width is a probability.")),
        (
            right - math.log(2),
            tr("Off by log 2: the density in the middle is the mean of p and q, it integrates to 1."),
        ),
        (
            right.clamp_min(0).sqrt(),
            tr("This is the Jensen-Shannon distance, a square root. The divergence has no root."),
        ),
        (_kl(p, q, dx), tr("This is Kullback-Leibler from p to q. {middle}").format(middle=middle)),
        (_kl(q, p, dx), tr("This is Kullback-Leibler from q to p. {middle}").format(middle=middle)),
        (
            (_kl(p, q, dx) + _kl(q, p, dx)) / 2,
            tr("Here p and q are compared with each other. {middle}").format(middle=middle),
        ),
        (_kl(p, m, dx), tr("Only p is compared with the middle. The divergence treats p and q alike.")),
        (-right, tr("Only the sign is wrong: a divergence is never negative.")),
        (
            (_kl(p, m, dx, ends=0.5) + _kl(q, m, dx, ends=0.5)) / 2,
            tr("Trapezoids count the first and the last place half: the task asks for the plain sum."),
        ),
    ]
    attempt.close(attempt(p.clone(), q.clone(), dx), right, hint, mistakes, tolerance=1e-3)


def _bell(x: Tensor, centre: float, width: float) -> Tensor:
    return torch.exp(-((x - centre) ** 2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi))


@check("jensen_shannon(p [M], q [M], dx) -> scalar")
def check_jensen_shannon() -> Parts:
    x = torch.linspace(-8, 8, 321)
    middle = tr("Put a density half way between p and q. How far, on average, are p and q from it?")
    pairs = (
        (-1, 1, 1, 1.2, middle),
        (0, 0.9, 0.5, 1.5, middle),
        (-1.5, 0.8, 1, 1.3, middle),
        (0, 1, 0, 1, tr("Two equal densities have the divergence 0.")),
    )

    def bells(r: random.Random) -> tuple[float, float, float, float, str]:
        """Equally wide: far out, p / (p + q) stays below 1 in 32 bits, or else 1 minus it is 0 and has no logarithm."""
        width = r.uniform(0.9, 1.3)
        return r.uniform(-0.5, 0), width, r.uniform(0.2, 0.8), width, middle

    drawn = hidden(bells, 3)

    def box(begin: int, end: int, dx: float) -> Tensor:
        """A density that is the same from cell ``begin`` on, and 0 from ``end`` on."""
        cells = torch.arange(40)
        return ((begin <= cells) & (cells < end)) / ((end - begin) * dx)

    left, beside, right = box(0, 10, 0.1), box(5, 15, 0.1), box(20, 30, 0.1)
    zeros = tr(
        "Where a density is 0, its term in the sum is 0, although log 0 is minus infinity. Where both are 0, so is "
        "their mean: don't divide by it. Two densities that never meet have the divergence log 2 = 0.6931."
    )
    return {
        "values": cases(
            _jensen_shannon, *[(_bell(x, a, s), _bell(x, b, w), 0.05, hint) for a, s, b, w, hint in (*pairs, *drawn)]
        ),
        "zeros": cases(
            _jensen_shannon,
            (left, right, 0.1),
            (left, beside, 0.1),
            (left[::2] * 2, beside[::2] / 0.5, 0.1),
            (0.25 * right, torch.full((40,), 0.0625), 0.4),
            *hidden(lambda r: (box(r.randint(0, 9), r.randint(12, 20), 0.2), box(r.randint(5, 15), 30, 0.2), 0.2)),
            hint=zeros,
        ),
    }


# ------------------------------------------------------------------------------------------ the R1 penalty


def _bowl() -> Bowl:
    """A weight of one half makes the gradient x itself."""
    return Bowl(0.5, 0.0, "D(x) = weight |x|^2")


def _gradients(discriminator: nn.Module, real: Tensor) -> Tensor:
    """The logits' gradient at each sample, a row each; it can be differentiated again."""
    moving = real.clone().requires_grad_()
    return torch.autograd.grad(discriminator(moving).sum(), moving, create_graph=True)[0].flatten(1)


def _between(real: Tensor, seed: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    """Generated samples, a share for each, and the places between."""
    fake, share = normal(*real.shape, seed=seed) + 0.5, torch.linspace(0.2, 0.9, len(real))
    return fake, share, real + per_picture(share, real) * (fake - real)


SHARES = tr_later(
    "Shares of shape [N, 1, 1, 1] fit pictures. Points have one axis behind the first, and then each sample is mixed "
    "with the shares of all: how many axes has `real`?"
)


def _with_each_share(discriminator: nn.Module, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """The penalty of who gives points shares of shape [N, 1, 1, 1], as pictures need them."""
    if real.ndim > 2:
        return _gradients(discriminator, real + per_picture(share, real) * (fake - real)).square().sum(1).mean() / 2
    places = real + share.reshape(-1, 1, 1) * (fake - real)  # [N, N, 2]
    return _gradients(discriminator, places.flatten(0, 1)).square().sum() / len(real) / 2


def _compare_r1(attempt: Attempt, discriminator: nn.Module, given: Tensor) -> None:
    fake, share, real = _between(given)  # what the name "real" means below: the places that are looked at
    elsewhere = {
        tr("That is R1, at the real samples. This one looks between real and generated ones."): given,
        tr("That is R2, at the generated samples. This one looks between real and generated ones."): fake,
        tr("The shares are the other way round: a share of 0 is the real sample."): given + fake - real,
        tr("Each pair has a share of its own."): given + share.mean() * (fake - given),
    }
    rows = _gradients(discriminator, real).detach()
    squares = rows.square().sum(1)
    unflattened = [rows.reshape(real.shape).square().sum(axis).mean() / 2 for axis in range(1, real.ndim)]
    right = squares.mean() / 2
    p = discriminator(real).detach().sigmoid().flatten()
    of_belief = squares * (p * (1 - p)).square()
    mistakes = [
        (2 * right, tr("The half is missing.")),
        (squares.sum() / 2, SUM),
        (squares.sum(), tr("Two faults: a sum over the batch in place of the mean, and no half.")),
        (
            rows.square().mean() / 2,
            tr("Averaged over the coordinates too. The squared length of a gradient is the sum over its coordinates."),
        ),
        *[
            (
                value,
                tr(
                    "The sum runs over one axis of a picture, and the mean over the others. All axes but the first "
                    "belong to one sample: flatten them first."
                ),
            )
            for value in (unflattened if real.ndim > 2 else [right])
        ],
        (_with_each_share(discriminator, given, fake, share), SHARES),
        (squares.sqrt().mean() / 2, tr("The length is not squared.")),
        (squares.sqrt().mean(), tr("The length is not squared, and the half is missing.")),
        *[
            (
                share_of * (squares.sqrt() - 1).square().mean(),
                tr("That pulls the length to 1, as WGAN-GP does. Here it is pulled to 0."),
            )
            for share_of in (1, 0.5)
        ],
        (
            right / len(rows) ** 2,
            tr(
                "Each gradient is too small by the batch size. Of what did you take it: the mean of "
                "the logits, or their "
                "sum?"
            ),
        ),
        (of_belief.mean() / 2, tr("That is the slope of the probability. The penalty looks at the logit.")),
        *[
            (_gradients(discriminator, place).detach().square().sum(1).mean() / 2, hint)
            for hint, place in elsewhere.items()
        ],
    ]
    hint = tr(
        "How steep is the discriminator at each place between? Take half the squared length of its gradient there, "
        "then the mean over the batch."
    )
    attempt.close(attempt(discriminator, given.clone(), fake.clone(), share.clone()), right, hint, mistakes)


def _r1_trains(attempt: Attempt, discriminator: nn.Module, given: Tensor) -> None:
    fake, share, real = _between(given)
    result = attempt(discriminator, given.clone(), fake.clone(), share.clone())
    if isinstance(result, Tensor) and not result.requires_grad:
        attempt.fail(
            tr("a penalty that does not depend on the discriminator's weights"),
            tr("a penalty that trains the discriminator"),
            tr(
                "The penalty is itself a loss: it is differentiated once more, by the weights. Autograd must keep the "
                "graph of the first gradient for that."
            ),
        )
    hint = tr("Its gradient by the weights is off. Is everything between weights and penalty in autograd's graph?")
    weight = next(discriminator.parameters())
    (wanted,) = torch.autograd.grad(_gradients(discriminator, real).square().sum(1).mean() / 2, weight)
    attempt.close(attempt.gradient(result, weight, tr("the penalty")), wanted, hint, what="d penalty / d weight")


def _r1_clean(attempt: Attempt) -> None:
    found = []
    for bowl in (_bowl(), Bowl(1.5, 0.0, "D(x) = weight |x|^2")):
        bowl.weight.grad = torch.tensor(7.0)
        found.append(attempt(bowl, nudged(torch.ones(2, 1, 2, 2)), torch.zeros(2, 1, 2, 2), torch.tensor([0.5, 0.2])))
        if bowl.weight.grad is None or not near(bowl.weight.grad, torch.tensor(7.0)):
            attempt.fail(
                tr("the weight's .grad went from 7 to {grad}").format(grad=describe(bowl.weight.grad)),
                tr("a .grad as before the call"),
                tr(
                    "backward() adds to the .grad of every weight on its way, and the next training step "
                    "would use that. There "
                    "is a way to ask autograd for one gradient only."
                ),
            )
    if describe(found[0]) == describe(found[1]):
        attempt.fail(
            tr("the same for two discriminators, one three times as steep as the other: {value}").format(
                value=describe(found[0])
            ),
            tr("a penalty that leaves no traces"),
            tr("To leave no traces is easy for a function that does nothing: write the penalty first."),
        )


@check("r1_penalty(discriminator, real [N, ...], fake [N, ...], share [N]) -> scalar")
def check_r1_penalty() -> Parts:
    images = torch.linspace(-1, 1, 32).reshape(2, 1, 4, 4) * torch.tensor([1.0, 0.5])[:, None, None, None]
    values = (
        (Plane([3.0, -4.0], "D(x) = 3 x1 - 4 x2"), torch.tensor([[0.1, 0.2], [-0.3, 0.1], [0.4, -0.1]])),
        (_bowl(), images),
        (Bowl(-0.2, 1.0, "D(x) = 1 - |x|^2 / 5"), normal(3, 2, 4, 5, seed=1)),
        (new_game(5).discriminator, normal(5, 2, seed=2)),
        (_bowl(), normal(1, 3, 2, 3, seed=3)),
        (Plane([-1.0, 2.0], "D(x) = 2 x2 - x1"), normal(4, 2, seed=4)),
    )
    trains = (_bowl(), images), (new_game(5).discriminator, normal(5, 2, seed=2))
    return {
        "values": cases(_compare_r1, *values, nudge=True),
        "trains": cases(_r1_trains, *trains, nudge=True),
        "clean": _r1_clean,
    }
