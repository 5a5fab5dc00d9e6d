"""Checks of chapter 04, after the training step: the moving average with warm-up, the walk through latent space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, near, run

# ------------------------------------------------------------------------------------------ average


def _follow(values: Tensor, keep: Callable[[int], float], start: Tensor | float | None = None) -> Tensor:
    """The moving average of ``values`` that keeps the share ``keep(t)`` of itself at step t."""
    averages = [values[0] if start is None else torch.as_tensor(start)]
    for t in range(1, len(values)):
        averages.append(keep(t) * averages[-1] + (1 - keep(t)) * values[t])
    return torch.stack(averages)


def _compare_averages(attempt: Attempt, values: Tensor, decay: float, share: float) -> None:
    def warm(t: float) -> float:
        return t / (t + 1 / share)

    right = _follow(values, lambda t: min(decay, warm(t)))
    mistakes = [
        (
            _follow(values, lambda t: decay),
            "No warm-up: with a decay near 1, the first, random value stays in the average for ages.",
        ),
        (_follow(values, warm), "The decay sets no limit: an average over an ever longer past never gets up to date."),
        (_follow(values, lambda t: max(decay, warm(t))), "Of the two, the one that remembers less must win."),
        (_follow(values, lambda t: min(decay, warm(t - 1))), "The step count is off by one: the first step has t = 1."),
        (_follow(values, lambda t: min(decay, warm(t + 1))), "The step count is off by one: the first step has t = 1."),
        (_follow(values, lambda t: 1 - min(decay, warm(t))), "The weights are swapped: what keeps the share d_t?"),
        (_follow(values, lambda t: min(decay, t / (t + share))), "The share was taken as it is. What does 1/s mean?"),
        (
            _follow(values, lambda t: min(decay, warm(t)), start=0.0),
            "The average starts at the first value and not at 0: both networks begin as copies of each other.",
        ),
        (values, "Nothing is averaged."),
    ]
    hint = "Follow the average by hand for two steps: how much of it is kept, and how much of the new value comes in?"
    attempt.close(attempt(values.clone(), decay, share), right, hint, mistakes, what="the averages")


def _path(count: int) -> Tensor:
    """A generator's weight: random at first, then drifting and shaking."""
    steps = torch.arange(float(count))
    return 5 - 4 * (1 - torch.exp(-steps / 4)) + 0.8 * torch.sin(3 * steps)


def _average_plain(attempt: Attempt) -> None:
    """A decay so small that the warm-up never has a say."""
    _compare_averages(attempt, torch.tensor([4.0, 0.0, 2.0]), 0.5, 1.0)
    _compare_averages(attempt, _path(20), 0.2, 0.5)


def _average_warm(attempt: Attempt) -> None:
    """A decay so large that only the warm-up has a say."""
    _compare_averages(attempt, torch.tensor([4.0, 0.0, 2.0]), 0.999, 1.0)  # a share of 1 is the plain mean
    _compare_averages(attempt, _path(20), 0.999, 0.25)


def _average_both(attempt: Attempt) -> None:
    _compare_averages(attempt, _path(40), 0.8, 0.5)
    _compare_averages(attempt, _path(60), 0.9, 0.25)


def check_warm_average(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(values [T + 1], decay, share) -> averages [T + 1]``. Parts: ``plain``, ``warm``, ``both``."""
    parts = {"plain": _average_plain, "warm": _average_warm, "both": _average_both}
    run("warm_average", function, "values decay share", parts, part)


# ------------------------------------------------------------------------------------------ walk


def _rotate(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Chapter 04's arc between ``a`` and ``b`` (not parallel) at each time ``t [K]``: ``[K, D]``."""
    angle = torch.arccos(torch.cosine_similarity(a, b, dim=0).clamp(-1, 1))
    t = t[:, None]
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def _compare_walk(attempt: Attempt, start: Tensor, end: Tensor, count: int, hint: str) -> None:
    start, end = start.double(), end.double()
    t = torch.linspace(0, 1, count, dtype=torch.float64)
    straight = torch.lerp(start, end, t[:, None])
    lengths = torch.lerp(start.norm(), end.norm(), t)[:, None]
    one, other = start / start.norm(), end / end.norm()
    parallel = near(one, other, 1e-6)
    directions = one.expand(count, -1) if parallel else _rotate(one, other, t)
    right = lengths * directions
    mistakes = [(straight, "This is the straight line. Its middle falls inside the sphere.")] if not parallel else []
    if not parallel:
        inner = torch.linspace(0, 1, count + 2, dtype=torch.float64)[1:-1]
        mistakes += [
            (
                lengths * straight / straight.norm(dim=1, keepdim=True),
                "Right lengths, but the angles are uneven: the walk is fast in the middle and slow at the ends.",
            ),
            (directions, "All points have length 1. The directions are right; where did the lengths go?"),
            (start.norm() * directions, "All points are as long as the start. The end has a length of its own."),
            (
                _rotate(start, end, t),
                "The chapter's formula wants two vectors of the same length. Turn the direction and change the length "
                "separately.",
            ),
            (right.flip(0), "The walk goes backwards."),
            (
                torch.lerp(start.norm(), end.norm(), inner)[:, None] * _rotate(one, other, inner),
                "The first point is the start itself, and the last one is the end.",
            ),
        ]
    mistakes += [(start.expand(count, -1), "The walk stands still at the start.")]
    result = attempt(start.float(), end.float(), count)
    attempt.close(result, right, hint, mistakes, what="the walk", tolerance=1e-3)


def _walk_equal(attempt: Attempt) -> None:
    hint = "Equal angles between neighbours, and every point as far from the origin as both ends are."
    _compare_walk(attempt, torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), 3, hint)
    g = torch.Generator().manual_seed(2)
    a, b = torch.randn(2, 16, generator=g)
    _compare_walk(attempt, 4 * a / a.norm(), 4 * b / b.norm(), 7, hint)


def _walk_lengths(attempt: Attempt) -> None:
    hint = "Two things change evenly along the walk: the angle, and the length from the origin."
    _compare_walk(attempt, torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), 3, hint)
    g = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, 16, generator=g)
    _compare_walk(attempt, 3 * a, 7 * b, 9, hint)


def _walk_alike(attempt: Attempt) -> None:
    hint = (
        "Start and end point the same way: the angle between them is 0, and nothing can be divided by its sine. Which "
        "way does the walk go then?"
    )
    for start in (torch.tensor([1.0, 2.0, 2.0]), torch.tensor([0.3, -0.7, 0.1, 0.9])):
        _compare_walk(attempt, start, start, 4, hint)
        _compare_walk(attempt, start, 3 * start, 5, hint)


def check_arc_walk(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(start [D], end [D], count) -> [count, D]``. Parts: ``equal``, ``lengths``, ``alike``."""
    parts = {"equal": _walk_equal, "lengths": _walk_lengths, "alike": _walk_alike}
    run("arc_walk", function, "start end count", parts, part)
