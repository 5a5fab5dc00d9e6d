"""Right and wrong answers to the tasks of chapter 06."""

from __future__ import annotations

import math

import numpy
import scipy.linalg
import torch

from gan_course import metrics

# ------------------------------------------------------------------------------------------ Fréchet


def on_a_line(combine, spread=torch.std):
    """``combine(difference of the means, spread of a, spread of b)``."""
    return lambda a, b: combine(a.mean() - b.mean(), spread(a), spread(b))


def in_features(combine, root=lambda a, b: torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()):
    """``combine(squared distance of the means, trace of a, trace of b, trace of the root of their product)``."""

    def frechet_of_features(a, b):
        a, b = a.double(), b.double()
        cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
        apart = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
        return combine(apart, cov_a.trace(), cov_b.trace(), root(cov_a, cov_b)).item()

    return frechet_of_features


def by_scipy(a, b):
    a, b = a.double().numpy(), b.double().numpy()
    covariances = numpy.cov(a, rowvar=False), numpy.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    apart = numpy.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return float(apart + numpy.trace(covariances[0] + covariances[1] - 2 * root))


def in_32_bits_without_a_clamp(a, b):
    eigenvalues = torch.linalg.eigvalsh(torch.cov(a.T) @ torch.cov(b.T))
    return (a.mean(0) - b.mean(0)).square().sum() + a.var(0).sum() + b.var(0).sum() - 2 * eigenvalues.sqrt().sum()


def feature_by_feature(a, b):
    return (a.mean(0) - b.mean(0)).square().sum() + (a.std(0) - b.std(0)).square().sum()


def entrywise(a, b):
    return (a @ b).clamp(min=0).sqrt().trace()


# ------------------------------------------------------------------------------------------ kernel


def kernel(power=None, shift=1.0, scale=None, within=None, across=2.0, after=lambda value: value):
    def kernel_distance(a, b, asked):
        a, b = a.double(), b.double()

        def table(x, y):
            return (x @ y.T / (scale(x) if scale else x.shape[1]) + shift) ** (power or asked)

        def mean_of_others(x):
            values = table(x, x)
            return (values.sum() - values.trace()) / (len(x) * (len(x) - 1))

        inside = within or (lambda x, table: mean_of_others(x))
        return after(inside(a, table) + inside(b, table) - across * table(a, b).mean())

    return kernel_distance


def kernel_in_loops(a, b, power):
    def k(x, y):
        return (sum(float(p) * float(q) for p, q in zip(x, y, strict=True)) / len(x) + 1) ** power

    def mean(values):
        return sum(values) / len(values)

    inside = [mean([k(x[i], x[j]) for i in range(len(x)) for j in range(i)]) for x in (a.tolist(), b.tolist())]
    return sum(inside) - 2 * mean([k(x, y) for x in a.tolist() for y in b.tolist()])


# ------------------------------------------------------------------------------------------ neighbours


def balls(
    density=lambda table, k: table.sum(1).mean() / k,
    coverage=lambda table: table.amax(0).mean(),
    column=lambda k: k,
    turned=False,
):
    """A right answer from the table ``[fake, real]`` of which point lies in which ball, with a piece replaced."""

    def density_and_coverage(real, fake, k):
        centres, points = (fake, real) if turned else (real, fake)
        reach = torch.cdist(centres, centres).sort(dim=1).values[:, column(k)]
        table = (torch.cdist(points, centres) <= reach).double()
        return density(table, k), coverage(table)

    return density_and_coverage


def balls_by_brute_force(real, fake, k):
    def distance(x, y):
        return math.dist(x.tolist(), y.tolist())

    hits, met = 0, 0
    for i, centre in enumerate(real):
        reach = sorted(distance(centre, other) for j, other in enumerate(real) if j != i)[k - 1]
        inside = sum(distance(centre, point) <= reach for point in fake)
        hits += inside
        met += inside > 0
    return hits / (k * len(fake)), met / len(real)


def balls_by_topk(real, fake, k):
    reach = torch.cdist(real, real).fill_diagonal_(math.inf).topk(k, largest=False).values[:, -1]
    gaps = torch.cdist(real, fake) - reach[:, None]
    return (gaps <= 0).sum() / (k * len(fake)), (gaps.min(dim=1).values <= 0).float().mean()


def recall_for_coverage(real, fake, k):
    return balls()(real, fake, k)[0], metrics.precision_recall(real, fake, k).recall


def nearer(compare=lambda a, b: a < b, cut=lambda train, held_out: min(len(train), len(held_out)), mean=torch.mean):
    def memorised_share(samples, train, held_out):
        count = cut(train, held_out)
        tables = [torch.cdist(samples.flatten(1), s[:count].flatten(1)) for s in (train, held_out)]
        return mean(compare(*(table.min(dim=1).values for table in tables)).double())

    return memorised_share


def nearer_by_brute_force(samples, train, held_out):
    pairs = list(zip(train, held_out, strict=False))  # the shorter of the two decides
    count = 0
    for sample in samples:
        nearest = [min((sample - pair[i]).square().sum().item() for pair in pairs) for i in (0, 1)]
        count += nearest[0] < nearest[1]
    return count / len(samples)


def nearer_in_one_table(samples, train, held_out):
    count = min(len(train), len(held_out))
    table = torch.cdist(samples.flatten(1), torch.cat([held_out[:count], train[:count]]).flatten(1))
    return (table.argmin(dim=1) >= count).double().mean()  # of equal ones, the first is taken


def nearer_on_average(samples, train, held_out):
    count = min(len(train), len(held_out))
    means = [torch.cdist(samples.flatten(1), s[:count].flatten(1)).mean(dim=1) for s in (train, held_out)]
    return (means[0] < means[1]).double().mean()


def nearer_to_the_last(samples, train, held_out):
    count = min(len(train), len(held_out))
    return nearer()(samples, train[-count:], held_out[-count:])


# ------------------------------------------------------------------------------------------ bias and error


def limit(axis=lambda n: 1 / n, take=lambda slope, height, axis, y: height):
    """``take(slope, height, places, distances)`` of the least-squares line."""

    def frechet_without_bias(counts, distances):
        x = axis(counts.double())
        columns = torch.stack([x, torch.ones_like(x)], dim=1)
        solution = torch.linalg.lstsq(columns, distances.double()[:, None]).solution
        return take(*solution[:, 0], x, distances)

    return frechet_without_bias


def limit_by_numpy(counts, distances):
    return float(numpy.polyfit(1 / counts.double().numpy(), distances.double().numpy(), 1)[1])


def limit_of_two(counts, distances):
    order = counts.argsort(descending=True)
    (m, n), (d, e) = counts[order[:2]].double(), distances[order[:2]]
    return (m * d - n * e) / (m - n)


def interval(error, middle=lambda a, b: a.mean() - b.mean(), factor=2.0):
    def difference_interval(a, b):
        return middle(a, b) - factor * error(a, b), middle(a, b) + factor * error(a, b)

    return difference_interval


def standard_error(a, b):
    return (a.var() / len(a) + b.var() / len(b)).sqrt()


def interval_by_numpy(a, b):
    a, b = a.numpy().astype(float), b.numpy().astype(float)
    error = math.hypot(*(x.std(ddof=1) / math.sqrt(x.size) for x in (a, b)))
    return [float(a.mean() - b.mean()) + sign * error for sign in (-2, 2)]


RIGHT = {
    "frechet_of_numbers": [
        on_a_line(lambda d, s, t: d**2 + (s - t) ** 2),
        lambda a, b: metrics.frechet_distance(a[:, None], b[:, None]),
        on_a_line(lambda d, v, w: d * d + v + w - 2 * (v * w) ** 0.5, spread=torch.var),
    ],
    "frechet_of_features": [in_features(lambda d, v, w, r: d + v + w - 2 * r), metrics.frechet_distance, by_scipy],
    "kernel_distance": [kernel(), kernel_in_loops],
    "density_and_coverage": [balls(), balls_by_brute_force, balls_by_topk],
    "memorised_share": [nearer(), nearer_by_brute_force],
    "frechet_without_bias": [limit(), limit_by_numpy, limit(axis=lambda n: 1000 / n)],
    "difference_interval": [interval(standard_error), interval_by_numpy],
}

WRONG = {
    "frechet_of_numbers": [
        (on_a_line(lambda d, s, t: d**2), "Only the means count"),
        (on_a_line(lambda d, s, t: (s - t) ** 2), "Only the spreads count"),
        (on_a_line(lambda d, s, t: abs(d) + abs(s - t)), "must be squared"),
        (on_a_line(lambda d, s, t: (d**2 + (s - t) ** 2) ** 0.5), "leaves the distance squared"),
        (on_a_line(lambda d, v, w: d**2 + (v - w) ** 2, spread=torch.var), "standard deviations"),
        (on_a_line(lambda d, v, w: d**2 + (v - w).abs(), spread=torch.var), "Variances"),
        (on_a_line(lambda d, v, w: d**2 + v + w, spread=torch.var), "0 must come out"),
        (lambda a, b: (a[:500] - b[:500]).square().mean(), "Compare these two with the other set's"),
    ],
    "frechet_of_features": [
        (in_features(lambda d, v, w, r: d), "What do the covariances add"),
        (in_features(lambda d, v, w, r: v + w - 2 * r), "Where do the two clouds lie"),
        (in_features(lambda d, v, w, r: d.sqrt() + v + w - 2 * r), "must be squared"),
        (in_features(lambda d, v, w, r: (d + v + w - 2 * r).abs().sqrt()), "its square root"),
        (in_features(lambda d, v, w, r: d + v + w - r), "counts twice"),
        (in_features(lambda d, v, w, r: d + v + w + 2 * r), "The sign of the mixed term"),
        (in_features(lambda d, v, w, r: d + v + w), "The mixed term is missing"),
        (in_features(lambda d, v, w, r: d + v + w - 2 * r, root=entrywise), "root of its entries"),
        (feature_by_feature, "at different slants"),
        (in_32_bits_without_a_clamp, "without NaN"),
        (lambda a, b: torch.cov(a), "the distance as one number"),
    ],
    "kernel_distance": [
        (kernel(within=lambda x, table: table(x, x).mean()), "compared with itself"),
        (
            kernel(within=lambda x, table: table(x, x).sum() / (len(x) * (len(x) - 1))),
            "The diagonal is still in the sums",
        ),
        (kernel(within=lambda x, table: table(x, x).fill_diagonal_(0).mean()), "the means still count it"),
        (kernel(across=1.0), "counts twice"),
        (kernel(across=-2.0), "The sign of the mixed term"),
        (kernel(scale=lambda x: 1), "not divided by the number of features"),
        (kernel(scale=lambda x: x.shape[1] ** 0.5), "not by its root"),
        (kernel(shift=0.0), "adds 1"),
        (kernel(power=3), "that of the chapter"),
        (kernel(power=1), "The power is missing"),
        (kernel(after=lambda value: value.clamp(min=0)), "falls on both sides"),
        (kernel(after=lambda value: value.abs().sqrt()), "its square root"),
        (kernel(after=lambda value: -value), "Only the sign is wrong"),
    ],
    "density_and_coverage": [
        (balls(density=lambda table, k: table.amax(1).mean()), "That is precision"),
        (balls(density=lambda table, k: table.sum(1).mean()), "how many to expect"),
        (balls(density=lambda table, k: table.mean()), "a share of all pairs"),
        (balls(density=lambda table, k: table.sum(0).mean() / k), "one by one"),
        (balls(turned=True), "Around which set do they belong"),
        (balls(column=lambda k: k - 1), "its own first neighbour"),
        (balls(column=lambda k: k + 1), "one neighbour too many"),
        (recall_for_coverage, "That is recall"),
        (balls(coverage=lambda table: table.amax(1).mean()), "a share of the generated points"),
        (balls(coverage=lambda table: table.amax(0).sum()), "a number of points"),
        (balls(coverage=lambda table: 1 - table.amax(0).mean()), "nothing generated comes near"),
        (lambda *inputs: balls()(*inputs)[::-1], "The order is density, coverage"),
    ],
    "memorised_share": [
        (nearer(cut=lambda a, b: None), "The larger set has an advantage"),
        (nearer_to_the_last, "the first ones"),
        (nearer(compare=lambda a, b: a > b), "never seen"),
        (nearer(mean=torch.sum), "a number of samples"),
        (nearer_on_average, "by its nearest neighbour alone"),
        (nearer(compare=lambda a, b: a == 0), "Only exact copies"),
        (nearer(compare=lambda a, b: a.mean() < b.mean()), "One verdict for all"),
        (nearer(compare=lambda a, b: a.mean() / b.mean()), "a ratio of distances"),
    ],
    "frechet_without_bias": [
        (limit(axis=lambda n: n), "drawn against N"),
        (limit(axis=lambda n: n**-0.5), "the random error"),
        (limit(axis=lambda n: n.log()), "against log N"),
        (limit(take=lambda slope, height, x, y: slope), "the line's slope"),
        (limit(take=lambda slope, height, x, y: height + slope), "value at N = 1"),
        (limit(take=lambda s, h, x, y: h + s * x.min()), "Go on to infinitely many"),
        (lambda counts, distances: distances[counts.argmax()], "bias and all"),
        (lambda counts, distances: distances.mean(), "a mean over all sizes"),
        (limit_of_two, "Only two of the sizes"),
    ],
    "difference_interval": [
        (interval(lambda a, b: (a.var() + b.var()).sqrt()), "spread of single runs"),
        (interval(lambda a, b: a.std() / len(a) ** 0.5 + b.std() / len(b) ** 0.5), "partly cancel"),
        (
            interval(lambda a, b: (a.var(correction=0) / len(a) + b.var(correction=0) / len(b)).sqrt()),
            "divide by N - 1",
        ),
        (
            interval(lambda a, b: ((a.std() / len(a)) ** 2 + (b.std() / len(b)) ** 2).sqrt()),
            "shrinks with the root of that number",
        ),
        (interval(lambda a, b: standard_error(a, b) ** 2), "These are variances"),
        (interval(standard_error, factor=1.0), "one standard error"),
        (interval(standard_error, factor=1.96), "1.96"),
        (interval(standard_error, factor=-2.0), "The order is low, high"),
        (interval(standard_error, middle=lambda a, b: b.mean() - a.mean()), "b minus a"),
        (interval(standard_error, middle=lambda a, b: 0.0), "the interval's width"),
        (interval(lambda a, b: a.std() / len(a) ** 0.5), "error of the first method"),
        (lambda a, b: a.mean() - b.mean(), "two results"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses


def balls_without_rim(real, fake, k):
    reach = torch.cdist(real, real).sort(dim=1).values[:, k]
    table = (torch.cdist(fake, real) < reach).double()
    return table.sum(1).mean() / k, table.amax(0).mean()


def nearer_by(norm):
    def memorised_share(samples, train, held_out):
        count = min(len(train), len(held_out))
        nearest = [torch.cdist(samples.flatten(1), s[:count].flatten(1), p=norm).amin(dim=1) for s in (train, held_out)]
        return (nearest[0] < nearest[1]).double().mean()

    return memorised_share


def by_nuclear_norm(a, b):
    """The trace of the root is the sum of the singular values of the product of the two tables."""
    x, y = ((s.double() - s.double().mean(0)) / len(s) ** 0.5 for s in (a, b))
    apart = (a.double().mean(0) - b.double().mean(0)).square().sum()
    return apart + x.square().sum() + y.square().sum() - 2 * torch.linalg.matrix_norm(x @ y.T, "nuc")


RIGHT["frechet_of_numbers"] += [on_a_line(lambda d, s, t: d**2 + (s - t) ** 2, spread=lambda x: x.std(correction=0))]
RIGHT["frechet_of_features"] += [by_nuclear_norm]
RIGHT["kernel_distance"] += [lambda a, b, power: numpy.float32(kernel()(a, b, power))]
RIGHT["density_and_coverage"] += [lambda *all_: torch.stack(balls()(*all_))]
WRONG["density_and_coverage"] += [(balls_without_rim, "exactly on the rim")]
WRONG["frechet_without_bias"] += [
    (lambda n, d: max(limit()(n, d), 0.0), "Don't cut it off"),
    (lambda n, d: abs(limit()(n, d)), "least sum of squared deviations"),
]
RIGHT["memorised_share"] += [nearer_in_one_table]
WRONG["memorised_share"] += [
    (nearer_by(1.0), "asks for Euclidean"),
    (nearer(compare=lambda a, b: a <= b), "equally far from both sets is not *nearer*"),
    (lambda *all_: bool(nearer()(*all_) > 0.5), "Return one number"),
]
WRONG["kernel_distance"] += [
    (lambda a, b, power: kernel()(a, b[: len(a)], power), "Three means of the kernel"),
]
WRONG["difference_interval"] += [
    (interval(lambda a, b: (a.var() / len(b) + b.var() / len(a)).sqrt()), "its own number of runs"),
]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "frechet_of_numbers": [(on_a_line(lambda d, s, t: d**2), "means", "spreads")],
    "frechet_of_features": [(feature_by_feature, "means", "shapes"), (in_32_bits_without_a_clamp, "means", "few")],
    "kernel_distance": [(kernel(after=lambda value: value.clamp(min=0)), "values", "sizes")],
    "density_and_coverage": [
        (recall_for_coverage, "density", "coverage"),
        (balls(density=lambda table, k: table.amax(1).mean()), "coverage", "density"),
    ],
    "memorised_share": [(nearer(cut=lambda a, b: None), "values", "fair")],
    "frechet_without_bias": [(limit_of_two, "line", "noisy")],
    "difference_interval": [(interval(lambda a, b: ((a.var() + b.var()) / len(a)).sqrt()), "values", "sizes")],
}

# ------------------------------------------------------------------------------------------ more than the chapter's own
# Some tasks ask for a variation of what the chapter computes. The answers above are for the chapter's formula; here
# each is made to fit the variation.


def fit(task, change):
    for table in (RIGHT, WRONG, HALF_RIGHT):
        rows = table.get(task, [])
        table[task] = [(change(row[0]), *row[1:]) if isinstance(row, tuple) else change(row) for row in rows]


def from_statistics(answer):
    """What takes features takes statistics: of points that have them exactly."""

    def frechet_of_features(a, mean, covariance):
        values, vectors = torch.linalg.eigh(covariance.double())
        root = vectors * values.clamp(min=0).sqrt()  # root rootᵀ is the covariance
        times = max(1, 1000 // (2 * len(mean)))  # so many that N and N - 1 make no difference
        ways = root.T * ((2 * len(mean) - 1 / times) / 2) ** 0.5
        return answer(a, (mean + torch.cat([ways, -ways] * times)).float())

    return frechet_of_features


def by_the_formula(a, mean, covariance):
    a = a.double()
    eigenvalues = torch.linalg.eigvals(torch.cov(a.T) @ covariance.double()).real.clamp(min=0)
    apart = (a.mean(0) - mean).square().sum()
    return apart + a.var(0).sum() + covariance.trace() - 2 * eigenvalues.sqrt().sum()


fit("frechet_of_features", from_statistics)
RIGHT["frechet_of_features"] += [by_the_formula]
