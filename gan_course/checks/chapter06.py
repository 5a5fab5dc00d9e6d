"""Checks of chapter 06: distances between sets, nearest neighbours, and how far to believe a figure."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_course.checks.draws import hidden, nudged, seeded
from gan_course.checks.report import Attempt, Parts, cases, check
from gan_course.checks.values import normal
from gan_course.metrics import frechet_distance

# ------------------------------------------------------------------------------------------ Fréchet on a line


def _numbers(count: int, mean: float, std: float, seed: int) -> Tensor:
    """``count`` numbers with exactly this mean and standard deviation (that of ``Tensor.std``)."""
    x = normal(count, seed=seed)
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


@check("frechet_of_numbers(a [N], b [M]) -> number")
def check_frechet_of_numbers() -> Parts:
    return {
        "means": cases(
            _compare_numbers,
            ((1000, 0.0, 1.0), (1000, 3.0, 1.0)),
            ((1200, -1.0, 2.0), (2000, -1.5, 2.0)),
            ((2000, 4.0, 0.3), (1500, 1.6, 0.3)),
            *hidden(lambda r: ((1000, r.uniform(1, 4), 0.5), (1200, r.uniform(-4, 0), 0.5))),
        ),
        "spreads": cases(
            _compare_numbers,
            ((2000, 1.0, 2.0), (2000, 1.0, 0.5)),
            ((3000, 2.0, 3.0), (2000, 0.5, 1.0)),
            ((2000, 7.0, 0.5), (4000, 5.0, 0.25)),
            *hidden(lambda r: ((2000, r.uniform(1, 4), r.uniform(2, 3)), (2000, r.uniform(-4, 0), r.uniform(0.5, 1)))),
        ),
    }


# ------------------------------------------------------------------------------------------ Fréchet in features


def _cloud(count: int, mix: Tensor, centre: Tensor, seed: int) -> Tensor:
    """``[count, F]``: Gaussian points with the covariance ``mix mixᵀ`` around ``centre``."""
    return normal(count, len(mix), seed=seed) @ mix.T + centre


def _elementwise(a: Tensor, b: Tensor) -> float:
    """Trace of ``A + B - 2 √(A B)`` with the root of each entry."""
    return (a.trace() + b.trace() - 2 * (a @ b).clamp_min(0).sqrt().trace()).item()


def _compare_features(attempt: Attempt, a: Tensor, b: Tensor, hint: str) -> None:
    result = attempt(a.clone(), b.double().mean(0), b.double().T.cov())
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
    attempt.close(result, right, hint, mistakes, what="the distance", tolerance=1e-2)


@check("frechet_of_features(a [N, F], mean [F], covariance [F, F]) -> number")
def check_frechet_of_features() -> Parts:
    straight = torch.eye(2)  # and two clouds that are as wide in each feature, but slanted
    right = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    left = right * torch.tensor([[1.0], [-1.0]])
    origin, centre, mix = torch.zeros(2), torch.tensor([1.0, 0.5]), normal(8, 8, seed=3)
    starts = _cloud(400, straight, origin, 1), _cloud(400, right, origin, 1)
    pairs = ((straight, 2 * straight), (right, left), (right, straight))
    few, others, many = (
        _cloud(n, nudged(1.0) * torch.eye(256), torch.zeros(256), seed) for n, seed in ((200, 1), (200, 2), (400, 3))
    )
    negative = (
        "With fewer samples than features the covariance has directions without any spread, and rounding makes their "
        "eigenvalues slightly negative. What is the root of such a number to be?"
    )
    return {
        "means": cases(
            _compare_features,
            *[(a, a + nudged(torch.tensor(move))) for a, move in zip(starts, ([3.0, 0.0], [1.0, -2.0]), strict=True)],
            hint="Equal covariances: only the squared distance between the two means is left.",
        ),
        "shapes": cases(
            _compare_features,
            *[(_cloud(400, a, centre, 1), _cloud(400, b, -centre, 2)) for a, b in pairs],
            (_cloud(500, mix, mix[0], 4), _cloud(300, mix.T, mix[1], 5)),
            hint="Take the trace of both covariances, minus twice the trace of the square root of their product.",
        ),
        "few": cases(_compare_features, (few, others), (few, many), hint=negative),
    }


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


def _compare_kernel(attempt: Attempt, a: Tensor, b: Tensor, power: int) -> None:
    right = _mmd(a, b, power)
    x, y = a.double(), b.double()
    across = ((x @ y.T / x.shape[1] + 1) ** power).mean().item()
    diagonal = [((s.square().sum(1) / s.shape[1] + 1) ** power).sum().item() / len(s) / (len(s) - 1) for s in (x, y)]
    zeroed = [((s @ s.T / s.shape[1] + 1) ** power).fill_diagonal_(0).mean().item() for s in (x, y)]
    mistakes = [
        (
            _mmd(a, b, power, self_too=True),
            "Each sample was compared with itself, too. That makes two equal sets look different, the more so the "
            "fewer samples there are.",
        ),
        (right + sum(diagonal), "The diagonal is still in the sums, although you divided by N (N - 1)."),
        (sum(zeroed) - 2 * across, "The diagonal is left out of the sums, but the means still count it."),
        (right + across, "The product term counts twice, as in (r - s)² = r² + s² - 2 r s."),
        (right + 4 * across, "The sign of the mixed term: alike sets must give about 0."),
        (_mmd(a, b, power, scale=1), "The product was not divided by the number of features."),
        (_mmd(a, b, power, scale=x.shape[1] ** 0.5), "Divide by the number of features, not by its root."),
        (_mmd(a, b, power, shift=0), "The kernel adds 1 before the power."),
        *([] if power == 3 else [(_mmd(a, b, 3), "The power is that of the chapter: here it is given.")]),
        *([] if power == 1 else [(_mmd(a, b, 1), "The power is missing: without it, only the means are compared.")]),
        (-right, "Only the sign is wrong: far apart means large."),
        (abs(right), "A result below 0 is right: an unbiased estimate of 0 falls on both sides of it."),
        (max(right, 0), "A result below 0 is right: an unbiased estimate of 0 falls on both sides of it."),
        (abs(right) ** 0.5, "That is its square root. The task asks for the square."),
    ]
    hint = (
        "Three means of the kernel: pairs within the first set, pairs within the second, and pairs across. Which of "
        "them have a plus?"
    )
    attempt.close(
        attempt(a.clone(), b.clone(), power), right, hint, mistakes, what="the kernel distance", tolerance=1e-3
    )


@check("kernel_distance(a [N, F], b [M, F], power) -> number")
def check_kernel_distance() -> Parts:
    g = seeded(0)
    a, b = torch.randn(30, 4, generator=g), torch.randn(30, 4, generator=g)
    # Points without length: on its own, each one's kernel is 1, so that leaving out the diagonal needs care.
    three, zeros = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]), torch.zeros(3, 2)
    g = seeded(6)
    wide = torch.randn(20, 16, generator=g), torch.randn(45, 16, generator=g)
    return {
        "values": cases(_compare_kernel, (a, 0.5 * b + 1, 3), (three, zeros, 2)),
        "sizes": cases(
            _compare_kernel,
            (*wide, 3),
            (*torch.randn(60, 3, generator=g).split([20, 40]), 2),
            (*torch.randn(90, 6, generator=g).split([50, 40]), 3),
            (torch.randn(7, 5, generator=g), 0.3 + torch.randn(4, 5, generator=g), 4),
        ),
    }


# ------------------------------------------------------------------------------------------ density and coverage

PAIR = ("density", "coverage")


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
    table = _inside(fake, real, k)
    turned = _inside(real, fake, k) if len(fake) > k else table.T
    without_rim = (torch.cdist(fake, real) < _reach(real, k)).double()
    rights = _density(table, k), _coverage(table)
    small, large = _inside(fake, real, k, skip=0), _inside(fake, real, k, skip=2)
    sizes = [
        "The balls are too small: each point was counted as its own first neighbour, at distance 0.",
        "The balls are too large: that is one neighbour too many. Counting starts at 0.",
    ]
    swapped = (rights[1 - which], f"The order is {PAIR[0]}, {PAIR[1]}.")
    rim = "A point exactly on the rim of a ball lies in it."
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
            (_density(without_rim, k), rim),
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
            (_coverage(without_rim), rim),
            (1 - rights[1], "That is the share of real points that nothing generated comes near."),
        ]
    value = attempt.results(attempt(real.clone(), fake.clone(), k), PAIR)[which]
    attempt.close(value, rights[which], hint, mistakes, what=PAIR[which])


def _sets() -> list[tuple[Tensor, Tensor, int]]:
    """(real, fake, k): small enough to draw, and clouds where every mistake shows."""
    line = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [7.0, 0.0]])
    g = seeded(1)
    wide, narrow = 2 * torch.randn(60, 3, generator=g), 0.7 * torch.randn(40, 3, generator=g) + 1
    lattice = torch.cartesian_prod(torch.arange(4.0), torch.arange(3.0))
    lumps = torch.cat([torch.randn(30, 2, generator=g), 0.3 * torch.randn(30, 2, generator=g) + 6])
    return [
        (wide, narrow, 3),
        (line, torch.tensor([[0.4, 0.0], [2.2, 0.5], [9.0, 0.0]]), 1),
        (lumps, lumps[:25] + 0.5 * torch.randn(25, 2, generator=g), 2),
        (narrow, wide, 5),
        # Whole coordinates: many points lie exactly on a rim.
        (line, torch.tensor([[2.0, 0.0], [-1.0, 0.0], [11.0, 0.0], [1.0, 2.0]]), 1),
        (lattice, torch.tensor([[4.0, 1.0], [1.0, -1.0], [2.0, 5.0]]), 2),
        (3 * line + 1, torch.tensor([[7.0, 0.0], [-2.0, 0.0], [22.0, 4.0]]), 1),
        (wide[:9], narrow[:5], 4),
    ]


@check("density_and_coverage(real [N, F], fake [M, F], k) -> (density, coverage)")
def check_density_and_coverage() -> Parts:
    return {PAIR[i]: cases(_compare_balls, *_sets(), which=i) for i in (0, 1)}


# ------------------------------------------------------------------------------------------ a memorised training set


def _nearest(samples: Tensor, real: Tensor, norm: float = 2.0) -> Tensor:
    return torch.cdist(samples.flatten(1), real.flatten(1), p=norm).amin(dim=1)


def _compare_memory(attempt: Attempt, samples: Tensor, train: Tensor, held_out: Tensor, hint: str) -> None:
    fewest = min(len(train), len(held_out))
    to_train, to_held = _nearest(samples, train[:fewest]), _nearest(samples, held_out[:fewest])
    right = (to_train < to_held).double().mean().item()

    def nearer_by(norm: float) -> float:
        distances = [_nearest(samples, s[:fewest], norm) for s in (train, held_out)]
        return (distances[0] < distances[1]).double().mean().item()

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
        *[
            (share, "That is the share that lies nearer to pictures never seen.")
            for share in (1 - right, (to_train > to_held).double().mean().item())
        ],
        (right * len(samples), "That is a number of samples. The task asks for a share."),
        (
            (means[0] < means[1]).double().mean().item(),
            "The mean distance to all pictures was compared. A copy gives itself away by its nearest neighbour alone.",
        ),
        (
            (to_train == 0).double().mean().item(),
            "Only exact copies were counted. A memorised picture may differ by a few pixels.",
        ),
        (
            (to_train <= to_held).double().mean().item(),
            "A sample that is equally far from both sets is not *nearer* to the training pictures.",
        ),
        *[(nearer_by(norm), "Other distances were used. The task asks for Euclidean ones.") for norm in (1, math.inf)],
        (float(to_train.mean() < to_held.mean()), "One verdict for all. The task asks for the share of the samples."),
        ((to_train.mean() / to_held.mean()).item(), "That is a ratio of distances. Count samples."),
    ]
    attempt.close(attempt(samples.clone(), train.clone(), held_out.clone()), right, hint, mistakes)


def _ties(seed: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Both sets hold the same first two pictures, next to some samples. Whole numbers: no rounding breaks the ties."""
    g = seeded(seed)
    pictures = torch.randint(-9, 10, (18, *shape), generator=g).float()
    train, held_out = pictures[:10], torch.cat([pictures[:2], pictures[10:]])
    step = torch.randint(0, 2, (4, *shape), generator=g).float()
    return (
        torch.cat([pictures[:2].repeat(2, *[1] * len(shape)) + step, pictures[4:7], pictures[11:14]]),
        train,
        held_out,
    )


@check("memorised_share(samples [N, ...], train [A, ...], held_out [B, ...]) -> share")
def check_memorised_share() -> Parts:
    g = seeded(4)
    real = torch.randn(60, 5, generator=g)
    copies = real[:12] + 0.05 * torch.randn(12, 5, generator=g)
    fresh = torch.randn(13, 5, generator=g)
    g = seeded(5)
    pictures = torch.randn(230, 1, 2, 2, generator=g)
    few, many, drawn = pictures[:30], pictures[:200], torch.randn(40, 1, 2, 2, generator=g)
    wide = torch.randn(150, 2, 3, 5, generator=g)
    return {
        "values": cases(
            _compare_memory,
            *[(samples, real[:30], real[30:]) for samples in (copies, fresh, torch.cat([copies, fresh]))],
            *hidden(lambda r: (normal(r.randint(20, 60), 5, seed=7), real[:30], real[30:])),
            hint="For each sample, two distances: to its nearest training picture, and to its nearest held-out one.",
        ),
        "fair": cases(
            _compare_memory,
            *[(drawn, few, pictures[30:60]), (drawn, many, pictures[200:]), (drawn, pictures[200:], many)],
            (wide[:90], wide[90:120], wide[120:]),
            (wide[60:], wide[:25], wide[25:60]),
            _ties(8, (6,)),
            _ties(9, (1, 2, 4)),
            hint="Pictures are rows of pixels once they are flattened. And are both sets equally large when you "
            "compare?",
        ),
    }


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
        (right.clamp_min(0), "Don't cut it off: for two equal sources the line ends on both sides of 0."),
    ]
    result = attempt(torch.tensor(counts), torch.tensor(distances))
    attempt.close(result, right, hint, mistakes, what="the distance without bias", tolerance=2e-3)


@check("frechet_without_bias(counts [K], distances [K]) -> number")
def check_frechet_without_bias() -> Parts:
    lines = ((1.5, 300.0, [100, 200, 400]), (0.0, 80.0, [50, 1000]), (12.0, 5000.0, [900, 300, 600]))
    unknowns = (
        "Distance = limit + slope / N. Two unknowns, and all sizes lie on this line: which N makes the bias vanish?"
    )
    return {
        "line": cases(
            _compare_limit, *[(n, [limit + slope / i for i in n]) for limit, slope, n in nudged(lines)], hint=unknowns
        ),
        "noisy": cases(
            _compare_limit,
            ([50, 100, 200, 400, 800], [9.1, 5.6, 3.4, 2.6, 1.9]),
            ([2000, 500, 1000, 250], [3.02, 3.45, 3.14, 4.10]),
            ([100, 400, 200], [6.1, 1.2, 2.9]),  # two equal sets: the line may end below 0
            ([1000, 250], [0.4, 2.2]),
            nudge=True,
            hint="Measured points don't lie on a line exactly. Take the line with the least sum of squared deviations.",
        ),
    }


# ------------------------------------------------------------------------------------------ difference of two methods

ENDS = ("low", "high")


def _compare_interval(attempt: Attempt, first: list[float], second: list[float], hint: str) -> None:
    a, b = torch.tensor(first), torch.tensor(second)
    x, y = a.double(), b.double()
    middle = x.mean() - y.mean()
    errors = [(s.var() / len(s)).sqrt() for s in (x, y)]
    error = torch.hypot(*errors)
    wrong = [
        (
            (x.var() + y.var()).sqrt(),
            "The spread of single runs was used. The error of a mean shrinks with the root of their number.",
        ),
        (sum(errors), "Two errors in different directions partly cancel: their squares add up, not the errors."),
        (
            torch.hypot(x.std() / len(x), y.std() / len(y)),
            "Divided by the number of runs. The error of a mean shrinks with the root of that number.",
        ),
        (
            (x.var(correction=0) / len(x) + y.var(correction=0) / len(y)).sqrt(),
            "The spread was taken around the mean of the same few runs, which makes it too small: divide by N - 1.",
        ),
        (error**2, "These are variances. What must be done to them before they are added to a mean?"),
        (errors[0], "Only the error of the first method counts here."),
        (errors[1], "Only the error of the second method counts here."),
        (error / 2, "The interval has one standard error to either side. The task asks for two."),
        (
            (torch.cat([x, y]).var() * (1 / len(x) + 1 / len(y))).sqrt(),
            "Both sets were thrown together. Each has a spread around a mean of its own.",
        ),
    ]
    values = attempt.results(attempt(a, b), ENDS)
    for i, (value, sign) in enumerate(zip(values, (-2, 2), strict=True)):
        mistakes = [
            *[(middle + sign * size, text) for size, text in wrong],
            (middle - sign * error, f"The order is {ENDS[0]}, {ENDS[1]}." if i == 0 else "This is the low end again."),
            (-middle + sign * error, "That is b minus a. The task asks for a minus b."),
            (middle + sign * error * 0.98, "1.96 is more exact for many runs. The task asks for 2."),
            (sign * error, "That is the interval's width. Put it around the difference."),
            (x.mean() + sign * errors[0], "That is the interval of the first method, not of the difference."),
        ]
        attempt.close(value, middle + sign * error, hint, mistakes, what=f"the {ENDS[i]} end")


@check("difference_interval(a [R], b [S]) -> (low, high)")
def check_difference_interval() -> Parts:
    return {
        "values": cases(
            _compare_interval,
            ([12.0, 14.0, 13.0], [9.0, 8.0, 11.5]),
            ([3.1, 2.9, 3.4, 3.0, 3.3], [3.2, 3.0, 2.7, 3.5, 2.9]),
            hint="First the error of each mean, then that of their difference, then two of those to either side.",
            nudge=True,
        ),
        "sizes": cases(
            _compare_interval,
            ([5.0, 7.0], [4.0, 4.5, 3.0, 5.5, 4.2, 3.9, 4.4, 4.1]),
            ([1.0, 1.2, 0.9, 1.1, 1.3], [2.0, 8.0, 5.0]),
            ([-2.0, 0.5, 3.0, 1.0], [0.4, 0.1]),
            hint="Each method has its own number of runs, and its own spread.",
            nudge=True,
        ),
    }
