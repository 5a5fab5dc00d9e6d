"""Checks of chapter 06, distances between two sets: Fréchet on a line and in features, the kernel distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run
from gan_course.metrics import frechet_distance

# ------------------------------------------------------------------------------------------ Fréchet on a line


def _numbers(count: int, mean: float, std: float, seed: int) -> Tensor:
    """``count`` numbers with exactly this mean and standard deviation (that of ``Tensor.std``)."""
    x = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    return mean + std * (x - x.mean()) / x.std()


def _compare_numbers(attempt: Attempt, a: tuple[int, float, float], b: tuple[int, float, float]) -> None:
    (_, mean_a, std_a), (_, mean_b, std_b) = a, b
    means, stds = (mean_a - mean_b) ** 2, (std_a - std_b) ** 2
    mistakes = [
        (means, "Only the means count here. A generator that draws one and the same number would do well."),
        (stds, "Only the spreads count here. Where do the two sets lie?"),
        (abs(mean_a - mean_b) + abs(std_a - std_b), "The differences must be squared."),
        ((means + stds) ** 0.5, "That is its square root. The field leaves the distance squared."),
        (abs(mean_a - mean_b) + stds, "The difference of the means must be squared, too."),
        (
            means + (std_a**2 - std_b**2) ** 2,
            "Variances were compared. On a line the second term compares standard deviations.",
        ),
        (means + abs(std_a**2 - std_b**2), "Variances were compared. What do they become in (root of a - root of b)²?"),
        (means + std_a**2 + std_b**2, "The mixed term is missing: 0 must come out for equal sets."),
        (means - stds, "Both terms make the distance larger."),
    ]
    hint = "Each set becomes a Gaussian with two numbers. Compare these two with the other set's two."
    result = attempt(_numbers(*a, seed=1), _numbers(*b, seed=2))
    attempt.close(result, means + stds, hint, mistakes, what="the distance", tolerance=2e-3)


def _numbers_means(attempt: Attempt) -> None:
    for a, b in (((1000, 0.0, 1.0), (1000, 3.0, 1.0)), ((800, -1.0, 2.0), (2000, -1.5, 2.0))):
        _compare_numbers(attempt, a, b)


def _numbers_spreads(attempt: Attempt) -> None:
    for a, b in (
        ((2000, 1.0, 2.0), (2000, 1.0, 0.5)),
        ((3000, 2.0, 3.0), (2000, 0.5, 1.0)),
        ((2000, 7.0, 0.5), (4000, 5.0, 0.25)),
    ):
        _compare_numbers(attempt, a, b)


def check_frechet_of_numbers(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(a [N], b [M]) -> number``. Parts: ``means``, ``spreads``."""
    run("frechet_of_numbers", function, "a b", {"means": _numbers_means, "spreads": _numbers_spreads}, part)


# ------------------------------------------------------------------------------------------ Fréchet in features


def _cloud(count: int, mix: Tensor, centre: Tensor, seed: int) -> Tensor:
    """``[count, F]``: Gaussian points with the covariance ``mix mixᵀ`` around ``centre``."""
    noise = torch.randn(count, len(mix), generator=torch.Generator().manual_seed(seed))
    return noise @ mix.T + centre


def _elementwise(a: Tensor, b: Tensor) -> float:
    """Trace of ``A + B - 2 √(A B)`` with the root of each entry."""
    return (a.trace() + b.trace() - 2 * (a @ b).clamp_min(0).sqrt().trace()).item()


def _compare_features(attempt: Attempt, a: Tensor, b: Tensor, hint: str) -> None:
    right = frechet_distance(a, b)
    x, y = a.double(), b.double()
    apart = (x.mean(0) - y.mean(0)).square().sum().item()
    covariances = x.T.cov(), y.T.cov()
    total = (covariances[0].trace() + covariances[1].trace()).item()
    shape = right - apart
    mixed = (total - shape) / 2  # the trace of the square root
    diagonal = (x.std(0) - y.std(0)).square().sum().item()
    mistakes = [
        (apart, "Only the means count here. What do the covariances add?"),
        (shape, "Only the covariances count here. Where do the two clouds lie?"),
        (apart**0.5 + shape, "The length of the difference of the means must be squared."),
        (apart / x.shape[1] + shape, "The squares of the means' differences are added, not averaged."),
        (max(right, 0.0) ** 0.5, "That is its square root. The field leaves the distance squared."),
        (
            apart + diagonal,
            "Each feature was compared by itself. Two clouds with equal widths may lie at different slants: take the "
            "whole covariance.",
        ),
        (
            apart + _elementwise(*covariances),
            "The root of a matrix is not the root of its entries: R with R R = C is meant.",
        ),
        (apart + total - mixed, "The mixed term counts twice, as in (r - s)² = r² + s² - 2 r s."),
        (apart + total + 2 * mixed, "The sign of the mixed term: 0 must come out for equal sets."),
        (apart + total, "The mixed term is missing: 0 must come out for equal sets."),
        (
            apart + (covariances[0] - covariances[1]).square().sum().item(),
            "The covariances were subtracted and squared. In the Fréchet distance their roots meet.",
        ),
    ]
    result = attempt(a.clone(), b.clone())
    attempt.close(result, right, hint, mistakes, what="the distance", tolerance=1e-2)


def _mixes() -> tuple[Tensor, Tensor, Tensor]:
    """A straight cloud, one slanted to the right and one slanted to the left, all as wide in each feature."""
    slant = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    return torch.eye(2), slant, slant * torch.tensor([[1.0], [-1.0]])


def _features_means(attempt: Attempt) -> None:
    hint = "Equal covariances: only the squared distance between the two means is left."
    straight, slant, _ = _mixes()
    for mix, move in ((straight, [3.0, 0.0]), (slant, [1.0, -2.0])):
        a = _cloud(1500, mix, torch.zeros(2), 1)
        _compare_features(attempt, a, a + torch.tensor(move), hint)


def _features_shapes(attempt: Attempt) -> None:
    hint = "Take the trace of both covariances, minus twice the trace of the square root of their product."
    straight, right, left = _mixes()
    centre = torch.tensor([1.0, 0.5])
    for mix_a, mix_b in ((straight, 2 * straight), (right, left), (right, straight)):
        _compare_features(attempt, _cloud(1500, mix_a, centre, 1), _cloud(1500, mix_b, -centre, 2), hint)
    mix = torch.randn(8, 8, generator=torch.Generator().manual_seed(3))
    _compare_features(attempt, _cloud(900, mix, mix[0], 4), _cloud(700, mix.T, mix[1], 5), hint)


def _features_few(attempt: Attempt) -> None:
    hint = (
        "With fewer samples than features the covariance has directions without any spread, and rounding makes their "
        "eigenvalues slightly negative. What is the root of such a number to be?"
    )
    centre = torch.zeros(64)
    sets = [_cloud(count, torch.eye(64), centre, seed) for count, seed in ((50, 1), (50, 2), (2000, 3))]
    _compare_features(attempt, sets[0], sets[1], hint)
    _compare_features(attempt, sets[0], sets[2], hint)


def check_frechet_of_features(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(a [N, F], b [M, F]) -> number``. Parts: ``means``, ``shapes``, ``few``."""
    parts = {"means": _features_means, "shapes": _features_shapes, "few": _features_few}
    run("frechet_of_features", function, "a b", parts, part)


# ------------------------------------------------------------------------------------------ kernel distance


def _mmd(a: Tensor, b: Tensor, power: int = 3, shift: float = 1.0, scale: float | None = None, self_too=False) -> float:
    """The squared maximum mean discrepancy, with a kernel and a bias of one's choice."""
    a, b = a.double(), b.double()
    scale = a.shape[1] if scale is None else scale

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / scale + shift) ** power

    def within(x: Tensor) -> Tensor:
        table = kernel(x, x)
        return table.mean() if self_too else (table.sum() - table.trace()) / (len(x) * (len(x) - 1))

    return (within(a) + within(b) - 2 * kernel(a, b).mean()).item()


def _compare_kernel(attempt: Attempt, a: Tensor, b: Tensor) -> None:
    right = _mmd(a, b)
    x, y = a.double(), b.double()
    across = ((x @ y.T / x.shape[1] + 1) ** 3).mean().item()
    diagonal = [((s.square().sum(1) / s.shape[1] + 1) ** 3).sum().item() / len(s) / (len(s) - 1) for s in (x, y)]
    zeroed = [((s @ s.T / s.shape[1] + 1) ** 3).fill_diagonal_(0).mean().item() for s in (x, y)]
    mistakes = [
        (
            _mmd(a, b, self_too=True),
            "Each sample was compared with itself, too. That makes two equal sets look different, the more so the "
            "fewer samples there are.",
        ),
        (right + sum(diagonal), "The diagonal is still in the sums, although you divided by N (N - 1)."),
        (sum(zeroed) - 2 * across, "The diagonal is left out of the sums, but the means still count it."),
        (right + across, "The product term counts twice, as in (r - s)² = r² + s² - 2 r s."),
        (right + 4 * across, "The sign of the mixed term: alike sets must give about 0."),
        (_mmd(a, b, scale=1), "The product was not divided by the number of features."),
        (_mmd(a, b, scale=x.shape[1] ** 0.5), "Divide by the number of features, not by its root."),
        (_mmd(a, b, shift=0), "The kernel adds 1 before the power."),
        (_mmd(a, b, power=2), "The power is 3: it makes the third moments count."),
        (_mmd(a, b, power=1), "The power is missing: without it, only the means are compared."),
        (-right, "Only the sign is wrong: far apart means large."),
        (abs(right), "A result below 0 is right: an unbiased estimate of 0 falls on both sides of it."),
        (max(right, 0), "A result below 0 is right: an unbiased estimate of 0 falls on both sides of it."),
        (abs(right) ** 0.5, "That is its square root. The task asks for the square."),
    ]
    hint = (
        "Three means of the kernel: pairs within the first set, pairs within the second, and pairs across. Which of "
        "them have a plus?"
    )
    attempt.close(attempt(a.clone(), b.clone()), right, hint, mistakes, what="the kernel distance", tolerance=1e-3)


def _kernel_values(attempt: Attempt) -> None:
    """Points without length: on its own, each one's kernel is 1, so that leaving out the diagonal needs care."""
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(30, 4, generator=g), 0.5 * torch.randn(30, 4, generator=g) + 1
    _compare_kernel(attempt, a, b)
    _compare_kernel(attempt, torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]), torch.zeros(3, 2))


def _kernel_sizes(attempt: Attempt) -> None:
    g = torch.Generator().manual_seed(6)
    _compare_kernel(attempt, torch.randn(20, 16, generator=g), torch.randn(45, 16, generator=g))
    a = torch.randn(60, 3, generator=g)
    _compare_kernel(attempt, a[:20], a[20:])


def check_kernel_distance(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(a [N, F], b [M, F]) -> number``. Parts: ``values``, ``sizes``."""
    run("kernel_distance", function, "a b", {"values": _kernel_values, "sizes": _kernel_sizes}, part)
