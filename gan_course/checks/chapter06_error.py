"""Checks of chapter 06, how far to believe a figure: the bias of few samples, the error of a difference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run

# ------------------------------------------------------------------------------------------ bias


def _line(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(intercept, slope) of the least-squares line."""
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return y.mean() - slope * x.mean(), slope


def _compare_limit(attempt: Attempt, counts: list[int], distances: list[float], hint: str) -> None:
    n, y = torch.tensor(counts, dtype=torch.float64), torch.tensor(distances, dtype=torch.float64)
    (right, slope), last, largest = _line(1 / n, y), y[n.argmax()], n.max()
    first, second = n.argsort(descending=True)[:2].tolist()
    mistakes = [
        (
            _line(n, y)[0],
            "The line was drawn against N, and that is its value at no samples at all. Against what is it straight, "
            "and where on that axis are infinitely many?",
        ),
        (
            _line(1 / n.sqrt(), y)[0],
            "The bias falls with 1/N. It is the random error that falls with one over the root of N.",
        ),
        (slope, "That is the line's slope. The task asks for its height where 1/N is 0."),
        (last, "That is the distance with the most samples, bias and all."),
        (y.mean(), "That is a mean over all sizes. All of them are too large."),
        (y.min(), "That is the smallest distance. All of them are too large."),
        (right + slope, "That is the line's value at N = 1. Where on the axis of 1/N are infinitely many samples?"),
        (right + slope / largest, "That is the line's value at the largest N. Go on to infinitely many."),
        (
            y[first] - (y[second] - y[first]) / (1 / n[second] - 1 / n[first]) / n[first],
            "Only two of the sizes were used. Each distance has an error: let the line pass near all of them.",
        ),
        (_line(n.log(), y)[0], "The line was drawn against log N. Against what is the bias straight?"),
    ]
    result = attempt(torch.tensor(counts), torch.tensor(distances))
    attempt.close(result, right, hint, mistakes, what="the distance without bias", tolerance=2e-3)


def _limit_line(attempt: Attempt) -> None:
    hint = "Distance = limit + slope / N. Two unknowns, and all sizes lie on this line: which N makes the bias vanish?"
    for limit, slope, counts in (
        (1.5, 300.0, [100, 200, 400]),
        (0.0, 80.0, [50, 1000]),
        (12.0, 5000.0, [900, 300, 600]),
    ):
        _compare_limit(attempt, counts, [limit + slope / n for n in counts], hint)


def _limit_noisy(attempt: Attempt) -> None:
    hint = "Measured points don't lie on a line exactly. Take the line with the least sum of squared deviations."
    _compare_limit(attempt, [50, 100, 200, 400, 800], [9.1, 5.6, 3.4, 2.6, 1.9], hint)
    _compare_limit(attempt, [2000, 500, 1000, 250], [3.02, 3.45, 3.14, 4.10], hint)


def check_frechet_without_bias(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(counts [K], distances [K]) -> number``. Parts: ``line``, ``noisy``."""
    parts = {"line": _limit_line, "noisy": _limit_noisy}
    run("frechet_without_bias", function, "counts distances", parts, part)


# ------------------------------------------------------------------------------------------ difference of two methods

ENDS = ("low", "high")


def _compare_interval(attempt: Attempt, a: list[float], b: list[float], hint: str) -> None:
    x, y = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    middle = (x.mean() - y.mean()).item()
    variances = [(s.var() / len(s)).item() for s in (x, y)]
    error = math.sqrt(sum(variances))
    errors = {
        "The spread of single runs was used. The error of a mean shrinks with the root of their number.": math.sqrt(
            (x.var() + y.var()).item()
        ),
        "Two errors in different directions partly cancel: their squares add up, not the errors.": sum(
            v**0.5 for v in variances
        ),
        "Divided by the number of runs. The error of a mean shrinks with the root of that number.": math.sqrt(
            (x.var() / len(x) ** 2 + y.var() / len(y) ** 2).item()
        ),
        "The spread was taken around the mean of the same few runs, which makes it too small: divide by N - 1.": (
            math.sqrt(sum((s.var(correction=0) / len(s)).item() for s in (x, y)))
        ),
        "These are variances. What must be done to them before they are added to a mean?": error**2,
        "Only the error of the first method counts here.": variances[0] ** 0.5,
        "Only the error of the second method counts here.": variances[1] ** 0.5,
        "The interval has one standard error to either side. The task asks for two.": error / 2,
        "Both sets were thrown together. Each has a spread around a mean of its own.": math.sqrt(
            torch.cat([x, y]).var().item() * (1 / len(x) + 1 / len(y))
        ),
    }
    values = attempt.pair(attempt(torch.tensor(a), torch.tensor(b)), ENDS)
    for i, (value, sign) in enumerate(zip(values, (-2, 2), strict=True)):
        mistakes = [(middle + sign * wrong, text) for text, wrong in errors.items()]
        mistakes += [
            (middle - sign * error, f"The order is {ENDS[0]}, {ENDS[1]}." if i == 0 else "This is the low end again."),
            (-middle + sign * error, "That is b minus a. The task asks for a minus b."),
            (middle + sign * error * 0.98, "1.96 is more exact for many runs. The task asks for 2."),
            (sign * error, "That is the interval's width. Put it around the difference."),
            (x.mean() + sign * variances[0] ** 0.5, "That is the interval of the first method, not of the difference."),
        ]
        attempt.close(value, middle + sign * error, hint, mistakes, what=f"the {ENDS[i]} end")


def _interval_values(attempt: Attempt) -> None:
    hint = "First the error of each mean, then that of their difference, then two of those to either side."
    _compare_interval(attempt, [12.0, 14.0, 13.0], [9.0, 8.0, 11.5], hint)
    _compare_interval(attempt, [3.1, 2.9, 3.4, 3.0, 3.3], [3.2, 3.0, 2.7, 3.5, 2.9], hint)


def _interval_sizes(attempt: Attempt) -> None:
    hint = "Each method has its own number of runs, and its own spread."
    _compare_interval(attempt, [5.0, 7.0], [4.0, 4.5, 3.0, 5.5, 4.2, 3.9, 4.4, 4.1], hint)
    _compare_interval(attempt, [1.0, 1.2, 0.9, 1.1, 1.3], [2.0, 8.0, 5.0], hint)


def check_difference_interval(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(a [R], b [S]) -> (low, high)``. Parts: ``values``, ``sizes``."""
    parts = {"values": _interval_values, "sizes": _interval_sizes}
    run("difference_interval", function, "a b", parts, part)
