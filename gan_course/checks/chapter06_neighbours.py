"""Checks of chapter 06, nearest neighbours: density and coverage, and whether the training set was memorised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run

PAIR = ("density", "coverage")

# ------------------------------------------------------------------------------------------ density and coverage


def _reach(x: Tensor, k: int, skip: int = 1) -> Tensor:
    """The distance to the k-th neighbour; ``skip`` 0 counts the row itself as the first."""
    return torch.cdist(x, x).sort(dim=1).values[:, k - 1 + skip]


def _inside(points: Tensor, centres: Tensor, k: int, skip: int = 1) -> Tensor:
    """``[points, centres]``: which points lie in which ball."""
    return (torch.cdist(points, centres) <= _reach(centres, k, skip)).double()


def _density(fake_in_real: Tensor, k: int) -> Tensor:
    return fake_in_real.sum(dim=1).mean() / k


def _coverage(fake_in_real: Tensor) -> Tensor:
    return fake_in_real.amax(dim=0).mean()


def _compare_balls(attempt: Attempt, real: Tensor, fake: Tensor, k: int, which: int) -> None:
    table, turned = _inside(fake, real, k), _inside(real, fake, k)
    rights = _density(table, k), _coverage(table)
    small, large = _inside(fake, real, k, skip=0), _inside(fake, real, k, skip=2)
    sizes = [
        "The balls are too small: each point was counted as its own first neighbour, at distance 0.",
        "The balls are too large: that is one neighbour too many. Counting starts at 0.",
    ]
    swapped = (rights[1 - which], f"The order is {PAIR[0]}, {PAIR[1]}.")
    mistakes: list[tuple[Tensor, str]]
    if which == 0:
        hint = "For each generated point: in how many balls does it lie? Take the mean, in units of k."
        mistakes = [
            swapped,
            (table.amax(dim=1).mean(), "That is precision: it asks for one ball. Density counts all of them."),
            (
                table.sum(dim=1).mean(),
                "That is how many balls a generated point lies in. Divide by how many to expect.",
            ),
            (table.mean(), "That is a share of all pairs. How many balls does one generated point lie in?"),
            (table.sum() / k / len(real), "The mean is over the generated points, one by one, not over the real ones."),
            (_density(turned, k), "The balls lie around the generated points. Around which set do they belong?"),
            (_density(small, k), sizes[0]),
            (_density(large, k), sizes[1]),
        ]
    else:
        hint = "For each real point: does at least one generated point lie in its ball? Take the share of those."
        mistakes = [
            swapped,
            (
                turned.amax(dim=1).mean(),
                "That is recall, with balls around the generated points. Here all are around real ones.",
            ),
            (table.amax(dim=1).mean(), "That is precision: a share of the generated points. Which real ones were met?"),
            (table.amax(dim=0).sum(), "That is a number of points. The task asks for a share."),
            (_coverage(small), sizes[0]),
            (_coverage(large), sizes[1]),
            (1 - rights[1], "That is the share of real points that nothing generated comes near."),
        ]
    value = attempt.pair(attempt(real.clone(), fake.clone(), k), PAIR)[which]
    attempt.close(value, rights[which], hint, mistakes, what=PAIR[which])


def _sets() -> list[tuple[Tensor, Tensor, int]]:
    """(real, fake, k): small enough to draw, and clouds where every mistake shows."""
    line = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [7.0, 0.0]])
    g = torch.Generator().manual_seed(1)
    wide, narrow = 2 * torch.randn(60, 3, generator=g), 0.7 * torch.randn(40, 3, generator=g) + 1
    lumps = torch.cat([torch.randn(30, 2, generator=g), 0.3 * torch.randn(30, 2, generator=g) + 6])
    return [
        (wide, narrow, 3),
        (line, torch.tensor([[0.4, 0.0], [2.2, 0.5], [9.0, 0.0]]), 1),
        (lumps, lumps[:25] + 0.5 * torch.randn(25, 2, generator=g), 2),
        (narrow, wide, 5),
    ]


def _balls(which: int) -> Callable[[Attempt], None]:
    def part(attempt: Attempt) -> None:
        for real, fake, k in _sets():
            _compare_balls(attempt, real, fake, k, which)

    return part


def check_density_and_coverage(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(real [N, F], fake [M, F], k) -> (density, coverage)``. Parts: ``density``, ``coverage``."""
    parts = {"density": _balls(0), "coverage": _balls(1)}
    run("density_and_coverage", function, "real fake k", parts, part)


# ------------------------------------------------------------------------------------------ memory


def _nearest(samples: Tensor, real: Tensor) -> Tensor:
    return torch.cdist(samples.flatten(1), real.flatten(1)).amin(dim=1)


def _compare_memory(attempt: Attempt, samples: Tensor, train: Tensor, held_out: Tensor, hint: str) -> None:
    fewest = min(len(train), len(held_out))
    to_train, to_held = _nearest(samples, train[:fewest]), _nearest(samples, held_out[:fewest])
    right = (to_train < to_held).double().mean().item()
    means = [torch.cdist(samples.flatten(1), s[:fewest].flatten(1)).mean(dim=1) for s in (train, held_out)]
    mistakes = [
        (
            (_nearest(samples, train) < _nearest(samples, held_out)).double().mean().item(),
            "The larger set has an advantage: among more pictures there is a nearer one. Take equally many of each.",
        ),
        (
            (_nearest(samples, train[-fewest:]) < _nearest(samples, held_out[-fewest:])).double().mean().item(),
            "The task says which pictures of the larger set to keep: the first ones.",
        ),
        (1 - right, "That is the share that lies nearer to pictures never seen."),
        (right * len(samples), "That is a number of samples. The task asks for a share."),
        (
            (means[0] < means[1]).double().mean().item(),
            "The mean distance to all pictures was compared. A copy gives itself away by its nearest neighbour alone.",
        ),
        (
            (to_train == 0).double().mean().item(),
            "Only exact copies were counted. A memorised picture may differ by a few pixels.",
        ),
        (float(to_train.mean() < to_held.mean()), "One verdict for all. The task asks for the share of the samples."),
        ((to_train.mean() / to_held.mean()).item(), "That is a ratio of distances. Count samples."),
    ]
    attempt.close(attempt(samples.clone(), train.clone(), held_out.clone()), right, hint, mistakes)


def _memory_values(attempt: Attempt) -> None:
    hint = "For each sample, two distances: to its nearest training picture, and to its nearest held-out one."
    g = torch.Generator().manual_seed(4)
    real = torch.randn(60, 5, generator=g)
    copies = real[:12] + 0.05 * torch.randn(12, 5, generator=g)
    fresh = torch.randn(13, 5, generator=g)
    for samples in (copies, fresh, torch.cat([copies, fresh])):
        _compare_memory(attempt, samples, real[:30], real[30:], hint)


def _memory_fair(attempt: Attempt) -> None:
    """Pictures, and sets of different sizes."""
    hint = "Pictures are rows of pixels once they are flattened. And are both sets equally large when you compare?"
    g = torch.Generator().manual_seed(5)
    real = torch.randn(230, 1, 2, 2, generator=g)
    samples = torch.randn(40, 1, 2, 2, generator=g)
    _compare_memory(attempt, samples, real[:30], real[30:60], hint)
    _compare_memory(attempt, samples, real[:200], real[200:], hint)
    _compare_memory(attempt, samples, real[200:], real[:200], hint)


def check_memorised_share(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(samples [N, ...], train [A, ...], held_out [B, ...]) -> share``. Parts: ``values``, ``fair``."""
    parts = {"values": _memory_values, "fair": _memory_fair}
    run("memorised_share", function, "samples train held_out", parts, part)
