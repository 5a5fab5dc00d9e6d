"""Checks of chapter 02, what lies behind the losses: gradients, the best discriminator, Jensen-Shannon."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run

GRADIENTS = ("saturating", "non_saturating")


# ------------------------------------------------------------------------------------------ the generator's gradients


def _compare_gradients(attempt: Attempt, logits: Tensor, hint: str) -> None:
    p = logits.sigmoid()
    right, by_probability = (-p, p - 1), (-1 / (1 - p), -1 / p)
    for i, value in enumerate(attempt.pair(attempt(logits.clone()), GRADIENTS)):
        mistakes = [
            (right[1 - i], "This is the other loss's gradient. Which of the two fades where D is sure of the fake?"),
            (-right[i], "Only the sign is wrong. Both losses fall when the logit rises."),
            (
                by_probability[i],
                "That is the derivative with respect to the probability. The chain rule has one more factor: how the "
                "probability changes with the logit.",
            ),
            (
                p * (1 - p),
                "That is the derivative of the sigmoid alone. It is one factor of the chain rule; the logarithm gives "
                "the other.",
            ),
            (right[i] / len(logits), "Divided by the batch size: the task asks for one derivative a logit, no mean."),
        ]
        attempt.close(value, right[i], hint, mistakes, what=GRADIENTS[i])


def _gradient_values(attempt: Attempt) -> None:
    hint = (
        "Differentiate log(1 - sigmoid(a)) and -log(sigmoid(a)) by the chain rule. Much cancels: each result is short."
    )
    _compare_gradients(attempt, torch.tensor([-3.0, -1.0, 0.5, 2.0]), hint)
    _compare_gradients(attempt, torch.tensor([-6.0, 1.5]), hint)


def _gradient_extremes(attempt: Attempt) -> None:
    hint = (
        "In float32 exp(200) is infinite, and infinity divided by infinity is NaN. PyTorch's sigmoid has no such "
        "trouble: can you write the result with nothing else?"
    )
    _compare_gradients(attempt, torch.tensor([-200.0, -100.0, 100.0, 200.0]), hint)


def check_generator_gradients(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(fake_logits [N]) -> (saturating [N], non_saturating [N])``. Parts: ``values``, ``extremes``."""
    parts = {"values": _gradient_values, "extremes": _gradient_extremes}
    run("generator_gradients", function, "fake_logits", parts, part)


# ------------------------------------------------------------------------------------------ the optimal discriminator


def _optimal(attempt: Attempt, p: Tensor, q: Tensor, hint: str) -> None:
    total = p + q
    right = torch.where(total > 0, p / total.where(total > 0, torch.ones_like(p)), torch.full_like(p, 0.5))
    mistakes = [
        (1 - right, "This is the belief that a point is fake. D answers how likely it is that the point is real."),
        (
            p / q,
            "This is the ratio of the densities. A belief lies between 0 and 1: which share of all points there is "
            "real?",
        ),
        ((p / q).log(), "This is the best logit. The task asks for the probability that belongs to it."),
        (total, "This is how many points lie there in all. Which share of them is real?"),
        (p, "A density is no belief: it does not say how many fakes lie at the same place."),
        (
            p / (total + 1e-8),
            "Something is added to the denominator. It drowns small densities, and where nothing lies it answers 0 and "
            "not one half.",
        ),
        (
            p.where(total > 0, total) / total.where(total > 0, total + 1),
            "Where nothing lies this answers 0: certainly fake.",
        ),
    ]
    attempt.close(attempt(p.clone(), q.clone()), right, hint, mistakes)


def _optimal_values(attempt: Attempt) -> None:
    hint = "Of all the points that fall at x, which share comes from the data?"
    _optimal(attempt, torch.tensor([0.3, 0.1, 0.5]), torch.tensor([0.1, 0.3, 0.5]), hint)
    _optimal(attempt, torch.tensor([0.0, 0.8, 2.0]), torch.tensor([0.4, 0.2, 0.6]), hint)
    _optimal(attempt, torch.tensor([[0.2, 0.4], [0.9, 1.5]]), torch.tensor([[0.6, 0.1], [0.3, 0.5]]), hint)


def _optimal_empty(attempt: Attempt) -> None:
    hint = (
        "Where no point ever falls, nothing speaks for real or for fake: the task asks for one half. Densities far "
        "out in the tail are tiny but not zero, and their ratio still counts."
    )
    _optimal(attempt, torch.tensor([0.0, 0.2, 0.0]), torch.tensor([0.0, 0.6, 0.3]), hint)
    _optimal(attempt, torch.tensor([3e-12, 2e-30]), torch.tensor([1e-12, 8e-30]), hint)


def check_optimal_discriminator(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(p [...], q [...]) -> D* [...]``. Parts: ``values``, ``empty``."""
    run("optimal_discriminator", function, "p q", {"values": _optimal_values, "empty": _optimal_empty}, part)


# ------------------------------------------------------------------------------------------ Jensen-Shannon


def _kl(p: Tensor, q: Tensor, dx: float) -> Tensor:
    """Kullback-Leibler divergence on a grid; a place where p is 0 contributes nothing."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum() * dx


def _jensen_shannon(attempt: Attempt, p: Tensor, q: Tensor, dx: float, hint: str) -> None:
    m = (p + q) / 2
    right = (_kl(p, m, dx) + _kl(q, m, dx)) / 2
    middle = "Jensen-Shannon compares both densities with the one half way between them."
    mistakes = [
        (right / math.log(2), "This is in bits. The task asks for nats: the natural logarithm."),
        (2 * right, "Twice too much: each of the two divergences counts one half."),
        (right / dx, "The sum needs the width of a grid cell: a density times a width is a probability."),
        (right - math.log(2), "Off by log 2: the density in the middle is the mean of p and q, it integrates to 1."),
        (right.clamp_min(0).sqrt(), "This is the Jensen-Shannon distance, a square root. The divergence has no root."),
        (_kl(p, q, dx), f"This is Kullback-Leibler from p to q. {middle}"),
        (_kl(q, p, dx), f"This is Kullback-Leibler from q to p. {middle}"),
        ((_kl(p, q, dx) + _kl(q, p, dx)) / 2, f"Here p and q are compared with each other. {middle}"),
        (_kl(p, m, dx), "Only p is compared with the middle. The divergence treats p and q alike."),
        (-right, "Only the sign is wrong: a divergence is never negative."),
    ]
    attempt.close(attempt(p.clone(), q.clone(), dx), right, hint, mistakes, tolerance=1e-3)


def _bell(x: Tensor, centre: float, width: float) -> Tensor:
    return torch.exp(-((x - centre) ** 2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi))


def _js_values(attempt: Attempt) -> None:
    hint = "Put a density half way between p and q. How far, on average, are p and q from it?"
    x = torch.linspace(-8, 8, 321)
    _jensen_shannon(attempt, _bell(x, -1, 1), _bell(x, 1, 1.2), 0.05, hint)
    _jensen_shannon(attempt, _bell(x, 0, 0.9), _bell(x, 0.5, 1.5), 0.05, hint)
    _jensen_shannon(attempt, _bell(x, 0, 1), _bell(x, 0, 1), 0.05, "Two equal densities have the divergence 0.")


def _js_zeros(attempt: Attempt) -> None:
    hint = (
        "Where a density is 0, its term in the sum is 0, although log 0 is minus infinity. Two densities that never "
        "meet have the divergence log 2 = 0.6931."
    )
    left, middle, right = torch.zeros(3, 40)
    left[:10], middle[5:15], right[20:30] = 1.0, 1.0, 1.0
    _jensen_shannon(attempt, left, right, 0.1, hint)
    _jensen_shannon(attempt, left, middle, 0.1, hint)


def check_jensen_shannon(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(p [M], q [M], dx) -> scalar`` in nats. Parts: ``values``, ``zeros``."""
    run("jensen_shannon", function, "p q dx", {"values": _js_values, "zeros": _js_zeros}, part)
