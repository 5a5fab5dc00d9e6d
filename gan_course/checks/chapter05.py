"""Checks of chapter 05, the smallest game: one number against one number, its steps, its eigenvalues, its cure.

The generator owns the point ``theta``, the discriminator ``psi``, the slope of its logit ``psi x``. Real: the point 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run

Rule = Callable[[float, float, float], tuple[float, float]]  # (theta, psi, rate) -> the next position


# ------------------------------------------------------------------------------------------ steps


def _simultaneous(theta: float, psi: float, rate: float) -> tuple[float, float]:
    return theta + rate * psi, psi - rate * theta


def _alternating(theta: float, psi: float, rate: float) -> tuple[float, float]:
    psi = psi - rate * theta
    return theta + rate * psi, psi


def _generator_first(theta: float, psi: float, rate: float) -> tuple[float, float]:
    theta = theta + rate * psi
    return theta, psi - rate * theta


def _follow(rule: Rule, theta: float, psi: float, rate: float, steps: int) -> Tensor:
    path = [(theta, psi)]
    for _ in range(steps):
        path.append(rule(*path[-1], rate))
    return torch.tensor(path, dtype=torch.float64)


def _other_way(theta: float, psi: float, rate: float) -> tuple[float, float]:
    return theta - rate * psi, psi + rate * theta


def _friends(theta: float, psi: float, rate: float) -> tuple[float, float]:
    return theta - rate * psi, psi - rate * theta


def _up_together(theta: float, psi: float, rate: float) -> tuple[float, float]:
    return theta + rate * psi, psi + rate * theta


def _compare_path(attempt: Attempt, alternating: bool) -> None:
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
        (_other_way, "Both go up their own loss. Each player goes down."),
        (_friends, "The generator goes the wrong way: it wants its point to be judged higher."),
        (_up_together, "The discriminator goes the wrong way: it wants the generated point to be judged lower."),
        (
            lambda theta, psi, rate: (theta + rate * theta, psi - rate * psi),
            "The slope of a player's loss by its own number is not that number. Differentiate the product.",
        ),
    ]
    hint = "Compute one step on paper. For each player: its loss, the derivative by its own number, one step down."
    for theta, psi, rate, steps in ((1.0, 0.0, 0.5, 1), (2.0, 1.0, 0.1, 3), (-1.0, 0.5, 0.3, 20)):
        path = _follow(right, theta, psi, rate, steps)
        mistakes = [(_follow(rule, theta, psi, rate, steps), text) for rule, text in wrong]
        mistakes.append((path.flip(1), "The two columns are swapped: theta comes first."))
        result = attempt(theta, psi, rate, steps, alternating)
        shape_hint = "One row for the start and one for the position after each step; two numbers a row."
        result = attempt.tensor(result, [steps + 1, 2], hint=shape_hint, what="the path")
        attempt.close(result, path, hint, mistakes, what="the path")


def check_play_dirac(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(theta, psi, rate, steps, alternating) -> path [steps + 1, 2]``. Parts: ``simultaneous``,
    ``alternating``."""
    parts: dict[str, Callable[[Attempt], None]] = {
        "simultaneous": lambda attempt: _compare_path(attempt, alternating=False),
        "alternating": lambda attempt: _compare_path(attempt, alternating=True),
    }
    run("play_dirac", function, "theta psi rate steps alternating", parts, part)


# ------------------------------------------------------------------------------------------ eigenvalues


def _step_matrix(rate: float, weight: float) -> Tensor:
    """What one simultaneous step with R1 multiplies ``(theta, psi)`` by."""
    return torch.tensor([[1.0, rate], [-rate, 1 - rate * weight]], dtype=torch.float64)


def _compare_growth(attempt: Attempt, rate: float, weight: float, hint: str) -> None:
    values = torch.linalg.eigvals(_step_matrix(rate, weight))
    sizes = values.abs()
    flow = torch.linalg.eigvals(_step_matrix(rate, weight) - torch.eye(2, dtype=torch.float64))
    doubled = torch.linalg.eigvals(_step_matrix(rate, 2 * weight)).abs().max()
    product = torch.linalg.eigvals(_step_matrix(rate, weight / rate)).abs().max()
    mistakes = [
        (values.real.max(), "That is the largest real part. How long is a complex or a negative number?"),
        (sizes.min(), "The other eigenvalue is larger, and in the long run the larger one wins."),
        (flow.abs().max(), "These are the eigenvalues of the change alone. The position before the step stays, too."),
        (sizes.prod(), "That is the determinant: how an area grows. The distance is a length."),
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
    ]
    attempt.close(attempt(rate, weight), sizes.max(), hint, mistakes, what="the growth factor", tolerance=1e-3)


def _growth_plain(attempt: Attempt) -> None:
    hint = "One step multiplies (theta, psi) by a matrix of 2 × 2. How long are its eigenvalues?"
    for rate in (0.5, 0.1, 2.0):
        _compare_growth(attempt, rate, 0.0, hint)


def _growth_calmed(attempt: Attempt) -> None:
    hint = "R1 is (weight / 2) psi² here. It adds one term to psi's step, so it changes one entry of the matrix. Which?"
    for rate, weight in ((0.5, 1.2), (0.2, 0.1), (0.1, 1.5)):
        _compare_growth(attempt, rate, weight, hint)


def _growth_strong(attempt: Attempt) -> None:
    hint = "With a large weight the eigenvalues are real: no more rotation. One may be negative, and long all the same."
    for rate, weight in ((0.5, 6.0), (0.5, 4.1), (1.0, 2.8)):
        _compare_growth(attempt, rate, weight, hint)


def check_growth_factor(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(rate, weight) -> factor``. Parts: ``plain``, ``calmed``, ``strong``."""
    parts = {"plain": _growth_plain, "calmed": _growth_calmed, "strong": _growth_strong}
    run("growth_factor", function, "rate weight", parts, part)


# ------------------------------------------------------------------------------------------ the cure

ENDS = ("low", "high")


def _compare_weight(attempt: Attempt, which: int) -> None:
    for rate in (0.5, 1.0, 0.8):
        bounds = rate, (4 + rate**2) / (2 * rate)
        special: list[tuple[float, str]] = [
            (bounds[1 - which], f"The order is {ENDS[0]}, {ENDS[1]}."),
            (
                2.0,
                "From a weight of 2 on, the path no longer turns: the eigenvalues become real. The question is when "
                "they are shorter than 1.",
            ),
        ]
        if which == 0:
            special += [
                (0.0, "For tiny steps any weight calms the game. These steps have a length, and each one overshoots."),
                (rate / 2, "Half of it: what is the derivative of (weight / 2) times psi squared?"),
                (2 * rate, "Twice too much: what is the derivative of (weight / 2) times psi squared?"),
                (rate**2, "One factor of the rate too many: R1's slope is multiplied by the rate, as all slopes are."),
            ]
        else:
            special += [
                (
                    2 / rate,
                    "That is right for a discriminator alone: psi shrinks by 1 - rate · weight each step. Here theta "
                    "takes part.",
                ),
                (1 / rate, "There psi would jump to 0 in one step. It may even jump beyond, as long as it comes back."),
                (math.inf, "With a huge weight, each step of psi overshoots 0, and farther each time."),
            ]
        right = bounds[which]
        hint = (
            "For a small weight the eigenvalues are a complex pair; their length squared is the determinant."
            if which == 0
            else "For a large weight the eigenvalues are real. One of them goes through -1: there the cure turns into "
            "a new illness. What is the determinant of the matrix plus the identity then?"
        )
        value = attempt.pair(attempt(rate), ENDS)[which]
        attempt.close(value, right, hint, special, what=f"the {ENDS[which]} end", tolerance=1e-2)


def check_calm_weights(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(rate) -> (low, high)``. Parts: ``low``, ``high``."""
    parts: dict[str, Callable[[Attempt], None]] = {
        "low": lambda attempt: _compare_weight(attempt, 0),
        "high": lambda attempt: _compare_weight(attempt, 1),
    }
    run("calm_weights", function, "rate", parts, part)
