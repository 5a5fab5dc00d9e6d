"""Measures of success: first looks at samples, and the field's distances between two sets, with their error bars.

:func:`evaluate` gives all of chapter 06's figures in one call.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_course import data, zoo
from gan_course.arguments import (
    Count,
    Drawable,
    Floats,
    Labels,
    Line,
    Pictures,
    Points,
    Positive,
    Prompts,
    Rows,
    Samples,
    Seed,
    Share,
    check_alike,
    check_finite,
    guard,
    refuse,
)
from gan_course.classifiers import Classifier
from gan_course.networks import check_precision

CHUNK = 500  # rows at a time: it keeps tables of distances and the maps inside a network small
T_VALUE = 2.1  # of Student's t: standard errors on either side of a 95 % interval, 16 to 20 degrees of freedom

Features = Callable[[Tensor], Tensor]  # images [N, C, H, W] to features [N, F]


class Nearest(NamedTuple):
    """For each sample its nearest real picture."""

    distance: Tensor  # [N], Euclidean, in pixel units of [-1, 1]
    index: Tensor  # type: ignore[assignment]  # [N], int64, into the real pictures; hides tuple.index


def nearest_real(samples: Samples, real: Samples) -> Nearest:
    """For each of ``samples [N, ...]`` the nearest of ``real [M, ...]``, both flattened.

    Raises ``ValueError`` where the two differ in shape.
    """
    if samples.shape[1:] != real.shape[1:]:
        shapes = f"{list(samples.shape[1:])} but real pictures {list(real.shape[1:])}"
        raise ValueError(f"samples have shape {shapes}: compare like with like")
    real = real.to(samples.dtype) if samples.dtype == torch.float64 else real
    samples = samples.to(real.dtype)
    best = [table.min(dim=1) for table in _distances(samples.flatten(1), real.flatten(1))]
    return Nearest(torch.cat([b.values for b in best]), torch.cat([b.indices for b in best]))


def _distances(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """The table of distances ``[N, M]`` between the rows of ``a [N, F]`` and ``b [M, F]``, a few rows at a time."""
    for chunk in a.split(CHUNK):
        yield torch.cdist(chunk, b)


def realism_gap(samples: Samples, real: Samples) -> float:
    """How much farther from real pictures the samples lie than other real pictures do: 1 means "as near as real ones".

    The first quarter of ``real`` (at most 1,000) is held back; the median distance from a sample to its nearest
    neighbour among the others is divided by the same median for those held back. It says nothing about variety: a
    generator that repeats one real picture scores 0.
    """
    held_back = min(1000, len(real) // 4)
    others = real[held_back:]
    median = nearest_real(samples, others).distance.median()
    return (median / nearest_real(real[:held_back], others).distance.median()).item()


def psnr(rebuilt: Drawable, images: Pictures) -> Tensor:
    """Peak signal-to-noise ratio in dB, the mean over pictures ``[N, C, H, W]`` in ``[-1, 1]`` (a range of 2)."""
    check_finite("rebuilt", rebuilt)
    check_alike(rebuilt=rebuilt, images=images)
    error = (rebuilt.clamp(-1, 1) - images).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(4 / error.clamp(min=1e-10)).mean()


def edge_energy(images: Drawable) -> float:
    """How much neighbouring pixels of ``images [N, C, H, W]`` differ, squared: less for a blur than for a render."""
    check_finite("images", images)
    across, down = images[..., 1:] - images[..., :-1], images[..., 1:, :] - images[..., :-1, :]
    return (across.square().mean() + down.square().mean()).item()


def spread_within(features: Floats, asked: Prompts) -> float:
    """How far pictures of one prompt lie apart: the root of the mean variance of ``features [N, F]`` within prompts.

    ``asked``: the prompt of each picture, in any order. Each prompt counts the same; one with a single
    picture says nothing and is left out. Raises ``ValueError`` unless there is a prompt for each picture, and one that
    was asked twice.
    """
    features, _ = _checked(features, features)
    if len(asked) != len(features):
        raise ValueError(f"asked holds {len(asked)} prompts but there are {len(features)} pictures: pass one for each")
    rows: dict[str, list[int]] = {}
    for row, prompt in enumerate(asked):
        rows.setdefault(prompt, []).append(row)
    variances = [features[same].var(dim=0).mean() for same in rows.values() if len(same) > 1]
    if not variances:
        raise ValueError(f"no two of {len(asked)} pictures were asked for by the same prompt: repeat each prompt")
    return torch.stack(variances).mean().sqrt().item()


def class_shares(samples: Samples, real: Samples, labels: Labels, classes: Count = 10) -> Tensor:
    """The share of ``samples`` whose nearest real picture has each label: ``[classes]``, summing to 1."""
    if len(labels) != len(real) or not 0 <= labels.min() <= labels.max() < classes:
        refuse(
            "labels",
            f"numbers from 0 to {classes - 1}, one for each of {len(real)} real pictures,",
            labels,
            "check them",
        )
    counts = torch.bincount(labels[nearest_real(samples, real).index], minlength=classes)
    return counts / len(samples)


def modes_covered(points: Points, centres: Points, radius: Positive = 0.2, share: Share = 0.02) -> int:
    """How many of ``centres [K, 2]`` have at least ``share`` of ``points [N, 2]`` within ``radius``.

    Mode collapse in one number.
    """
    check_finite("points", points)
    check_finite("centres", centres)
    near = torch.cdist(points.double(), centres.double()) < radius
    return int((near.float().mean(dim=0) >= share).sum())


# ------------------------------------------------------------------------------------------ two sets of features


def frechet_distance(a: Floats, b: Floats) -> float:
    """The squared Fréchet distance between ``a [N, F]`` and ``b [M, F]``, each taken as one Gaussian: 0 or more.

    ``|mean_a - mean_b|² + trace(C_a + C_b - 2 (C_a C_b)^½)``, ``C`` being the covariances (Heusel et al. 2017,
    arXiv 1706.08500; in features of the Inception network it is called FID). Computed in 64 bits. It is biased: fewer
    rows give a larger distance, between two sets of real pictures too, so compare at equal sizes only. With
    ``N <= F`` rows the covariance lacks full rank: the distance is finite, but far too large. Raises ``ValueError``
    for fewer than 2 rows, NaN or different ``F``.
    """
    a, b = _checked(a, b)
    root_a, root_b = _square_root(torch.cov(a.T)), _square_root(torch.cov(b.T))
    # trace (C_a C_b)^½ is the sum of the singular values of C_a^½ C_b^½, and these are exact even without full rank
    shared = torch.linalg.svdvals(root_a @ root_b).sum()
    apart = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    return max(0.0, (apart + root_a.square().sum() + root_b.square().sum() - 2 * shared).item())


def _square_root(covariance: Tensor) -> Tensor:
    """The symmetric square root. Eigenvalues that rounding made negative count as 0."""
    values, vectors = torch.linalg.eigh(torch.atleast_2d(covariance))
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def kernel_distance(a: Floats, b: Floats, subsets: Count = 100, size: Count = 1000, seed: Seed = 0) -> float:
    """The kernel distance (KID) between ``a [N, F]`` and ``b [M, F]``: about 0 for alike sets, at times negative.

    The squared maximum mean discrepancy for the kernel ``(x·y / F + 1)³``, without bias, averaged over ``subsets``
    random subsets of ``size`` rows each, or of all rows where there are fewer (Bińkowski et al. 2018,
    arXiv 1801.01401). Its mean does not depend on how many samples there are. Computed in 64 bits; ``seed`` fixes the
    subsets. Raises ``ValueError`` for fewer than 2 rows, NaN or different ``F``.
    """
    a, b = _checked(a, b)
    random = torch.Generator().manual_seed(seed)

    def subset(x: Tensor) -> Tensor:
        return x[torch.randperm(len(x), generator=random)[:size]]

    return sum(_squared_discrepancy(subset(a), subset(b)) for _ in range(subsets)) / subsets


def _squared_discrepancy(a: Tensor, b: Tensor) -> float:
    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def mean_of_others(x: Tensor) -> Tensor:  # a row's kernel with itself would be the bias
        table = kernel(x, x)
        return (table.sum() - table.trace()) / (len(x) * (len(x) - 1))

    return (mean_of_others(a) + mean_of_others(b) - 2 * kernel(a, b).mean()).item()


class PrecisionRecall(NamedTuple):
    """Two shares between 0 and 1."""

    precision: float
    recall: float


def precision_recall(real: Floats, fake: Floats, k: Count = 3) -> PrecisionRecall:
    """How much of ``fake [M, F]`` looks real, and how much of ``real [N, F]`` could have been generated.

    A set fills the balls around its rows that reach to the ``k``-th nearest other row. Precision is the share of fake
    rows inside the real set's balls, recall the share of real rows inside the fake set's (Kynkäänniemi et al. 2019,
    arXiv 1904.06991). Both depend on the sizes: compare at equal ones. Raises ``ValueError`` for ``k`` rows or fewer,
    NaN or different ``F``.
    """
    real, fake = _checked(real, fake)
    if not 1 <= k < min(len(real), len(fake)):
        fewest = min(len(real), len(fake))
        raise ValueError(f"k is {k} but the smaller set has {fewest} rows: choose k from 1 to {fewest - 1}")
    centre = real.mean(dim=0)  # near the origin, 32 bits are enough for distances
    real, fake = (real - centre).float(), (fake - centre).float()
    reach_real, reach_fake = _reach(real, k), _reach(fake, k)
    inside, covered = 0, torch.zeros(len(real), dtype=torch.bool)
    for table, reach in zip(_distances(fake, real), reach_fake.split(CHUNK), strict=True):
        inside += int((table <= reach_real).any(dim=1).sum())
        covered |= (table <= reach[:, None]).any(dim=0)
    return PrecisionRecall(inside / len(fake), covered.float().mean().item())


def _reach(x: Tensor, k: int) -> Tensor:
    """The distance from each row of ``x [N, F]`` to its ``k``-th nearest other row: ``[N]``."""
    return torch.cat([table.topk(k + 1, largest=False).values[:, k] for table in _distances(x, x)])


def _checked(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both in 64 bits on the CPU, or a ``ValueError``."""
    for x in (a, b):
        if x.ndim != 2:
            raise ValueError(
                f"features must have shape [N, F] but have {list(x.shape)}: make them of pictures with extract_features"
            )
        if len(x) < 2:
            raise ValueError(f"a spread can't be measured on {len(x)} sample(s): take at least 2, better thousands")
        if not x.isfinite().all():
            raise ValueError("features hold NaN or infinite values: look for them in the samples with isfinite()")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"one set has {a.shape[1]} features and the other {b.shape[1]}: use the same network for both")
    return a.detach().cpu().double(), b.detach().cpu().double()


# ------------------------------------------------------------------------------------------ everything in one call


class Measured(NamedTuple):
    """A measured value with its 95 % interval from ``low`` to ``high``."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    """What :func:`evaluate` found. Printing it gives a table."""

    frechet: Measured  # 0 or more; less is better
    kernel: Measured  # about 0 at best
    precision: Measured  # 0 to 1
    recall: Measured  # 0 to 1
    samples: int  # how many were measured
    real: int
    features: str  # what the pictures were measured in
    note: str = ""  # what to know before believing the figures

    def __str__(self) -> str:
        rows = {"Fréchet distance": self.frechet, "kernel distance": self.kernel}
        rows |= {"precision": self.precision, "recall": self.recall}
        lines = [f"{self.samples:,} samples against {self.real:,} real ones, in {self.features}"]
        lines += [f"{'':18}{'value':>9}   95 % interval"]
        for name, (value, low, high) in rows.items():
            places = 4 if name == "kernel distance" else 3
            lines += [f"{name:18}{value:>9.{places}f}   {low:.{places}f} to {high:.{places}f}"]
        return "\n".join(lines + ([f"Note: {self.note}"] if self.note else []))


def evaluate(samples: Rows, real: Rows, features: Features | None = None, k: Count = 3, seed: Seed = 0) -> Report:
    """Fréchet distance, kernel distance, precision and recall of ``samples`` against ``real``, with 95 % intervals.

    Both are pictures ``[N, C, H, W]`` in ``[-1, 1]``, or features ``[N, F]`` extracted before. ``features`` maps
    pictures to features; by default it is the classifier of the zoo that takes such pictures and is surest of the real
    ones. Compare with :func:`floor`: that is how far from each other real pictures are.

    The intervals come from parts of the data. Both sets are split at random into disjoint parts; the variance among
    the parts' figures, divided by their number, is about that of the whole. The Fréchet distance is measured on
    halves, 20 times, the rest on fifths, 4 times; the kernel distance is the mean over the fifths, of which at most
    1,000 rows are used. (Drawing with replacement would not do: it repeats rows, and the Fréchet distance takes that
    for a difference.) An interval is to hold the mean over fresh sets *of these sizes*: the bias that comes with the
    sizes is not in it. On fresh Gaussian features and fresh glyphs, 90 to 100 % of the intervals held that mean, with
    two exceptions: where the sets are alike, those of the two distances are up to twice too wide, and where precision
    or recall hangs on a few outliers, its interval is up to a third too narrow (and held the mean in 83 %).

    Raises ``ValueError`` for fewer than 20 pictures, different shapes, NaN, values outside ``[-1, 1]``, and where the
    zoo has no classifier for such pictures.
    """
    fewest = max(20, 5 * (k + 1))
    if min(len(samples), len(real)) < fewest:
        raise ValueError(
            f"there are {len(samples)} samples and {len(real)} real ones: take at least {fewest} of each, and "
            "thousands for narrow intervals"
        )
    samples, real, name = _described(samples, real, features)
    random = torch.Generator().manual_seed(seed)

    def kernel_of_part(a: Tensor, b: Tensor) -> tuple[float]:
        return (_squared_discrepancy(a[:1000], b[:1000]),)

    halves = _on_parts(lambda a, b: (frechet_distance(a, b),), samples, real, 2, 20, random)
    kernels = _on_parts(kernel_of_part, samples, real, 5, 4, random)
    shares = precision_recall(real, samples, k)
    errors = _standard_error(_on_parts(lambda a, b: precision_recall(b, a, k), samples, real, 5, 4, random))
    width = samples.shape[1]
    few = f"covariances lack full rank: for the Fréchet distance take at least {width + 1} of each, better many more"
    return Report(
        _around(frechet_distance(samples, real), _standard_error(halves)[0], low=0.0),
        _around(kernels.mean().item(), _standard_error(kernels)[0]),
        _share(shares.precision, errors[0], len(samples)),
        _share(shares.recall, errors[1], len(real)),
        len(samples),
        len(real),
        name,
        few if min(len(samples), len(real)) <= width else "",
    )


def floor(real: Rows, count: Count, features: Features | None = None, k: Count = 3, seed: Seed = 0) -> Report:
    """Real against real, the best that a generator can reach: ``count`` of ``real``, at random, as the samples.

    The others play the real pictures. ``evaluate(samples, real[count:])`` with ``count`` samples has the same sizes.
    Everything else as in :func:`evaluate`. Raises ``ValueError`` unless both parts have at least 20 pictures.
    """
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed)).to(real.device)
    return evaluate(real[order[:count]], real[order[count:]], features, k, seed)


def _described(samples: Tensor, real: Tensor, features: Features | None) -> tuple[Tensor, Tensor, str]:
    """Both sets as checked features, and what to call these."""
    if samples.shape[1:] != real.shape[1:]:
        shapes = f"{list(samples.shape[1:])} but real ones {list(real.shape[1:])}"
        raise ValueError(f"samples have shape {shapes}: compare like with like")
    if samples.ndim == 2 and features is None:
        return *_checked(samples, real), "features extracted before"
    for name, images in (("samples", samples), ("real pictures", real)):
        try:
            data.check_images(images)
        except ValueError as error:
            raise ValueError(f"the {name} won't do: {error}") from error
    name = "features of your own"
    if features is None:
        name, features = default_features(real)
    return *_checked(extract_features(samples, features), extract_features(real, features)), name


def default_features(real: Pictures) -> tuple[str, Features]:
    """The zoo's classifier that takes such pictures and is surest of the first 500 ``real`` ones."""
    if real.dtype != torch.float32:
        refuse("real", "a 32-bit float tensor", real, "convert with .float()")
    shape, sure = tuple(real.shape[1:]), {}
    for name in zoo.names():
        network = zoo.load(name)
        if isinstance(network, Classifier) and network.image_shape == shape:
            logits = extract_features(real[:CHUNK], network)
            sure[name] = logits.softmax(dim=1).amax(dim=1).mean().item(), network
    if not sure:
        raise ValueError(
            f"the zoo has no classifier for pictures of shape {list(shape)}: pass features=, a function that maps "
            "pictures to features [N, F]"
        )
    best = max(sure, key=lambda name: sure[name][0])
    return f"features of {best}", sure[best][1].features


@torch.no_grad()
def extract_features(images: Samples, features: Features) -> Tensor:
    """``features(images)`` for ``images [N, ...]``, a few at a time and without gradients: ``[N, F]`` on the CPU.

    A network (or one of its methods) works in evaluation mode here, and is afterwards as it was: what is measured must
    not change by being looked at.
    """
    check_precision("images", images, network_of(features))
    with evaluating(features):
        return torch.cat([features(chunk).cpu() for chunk in images.split(CHUNK)])


def network_of(function: Any) -> Any:
    """The network that ``function`` is, or whose method it is."""
    return function if isinstance(function, nn.Module) else getattr(function, "__self__", None)


@contextlib.contextmanager
def evaluating(function: Any) -> Iterator[None]:
    """Within this block, the network that ``function`` is or belongs to is in evaluation mode."""
    network = network_of(function)
    learning = [part for part in network.modules() if part.training] if isinstance(network, nn.Module) else []
    for part in learning:
        part.training = False
    try:
        yield
    finally:
        for part in learning:
            part.training = True


def _on_parts(
    figures: Callable[[Tensor, Tensor], tuple[float, ...]], a: Tensor, b: Tensor, parts: int, rounds: int,
    random: torch.Generator,
) -> Tensor:  # fmt: skip
    """``figures`` of disjoint random parts of both sets: ``[rounds, parts, figures]``."""

    def split(x: Tensor) -> tuple[Tensor, ...]:
        return x[torch.randperm(len(x), generator=random)].tensor_split(parts)

    found = [[figures(*pair) for pair in zip(split(a), split(b), strict=True)] for _ in range(rounds)]
    return torch.tensor(found, dtype=torch.float64)


def _standard_error(found: Tensor) -> list[float]:
    """Of each figure on all of the data, from ``found [rounds, parts, figures]``."""
    return (found.var(dim=1).mean(dim=0) / found.shape[1]).sqrt().tolist()


def _around(value: float, error: float, low: float = -math.inf) -> Measured:
    return Measured(value, max(low, value - T_VALUE * error), value + T_VALUE * error)


def _share(value: float, error: float, count: int) -> Measured:
    """Never narrower than the share's own interval: parts that all say 100 % don't make it certain."""
    low, high = share_interval(value, count)
    around = _around(value, error)
    return Measured(value, max(0.0, min(low, around.low)), min(1.0, max(high, around.high)))


def difference(a: Report, b: Report) -> Measured:
    """By how much the Fréchet distance of ``a`` lies above that of ``b``, with its own 95 % interval.

    Independent errors add like the sides of a right angle, so the gap is real where 0 lies outside. Raises
    ``ValueError`` where the two were not measured alike: at unequal numbers of pictures the bias alone makes a gap.
    """
    for what, ours, theirs in (
        ("samples", a.samples, b.samples),
        ("real pictures", a.real, b.real),
        ("features", a.features, b.features),
    ):
        if ours != theirs:
            raise ValueError(
                f"one figure was measured with {ours} as its {what} and the other with {theirs}: measure both alike, "
                "because the Fréchet distance falls as the number of pictures grows and changes with the features"
            )
    gap = a.frechet.value - b.frechet.value
    half = math.hypot(a.frechet.high - a.frechet.value, b.frechet.high - b.frechet.value)
    return Measured(gap, gap - half, gap + half)


def paired_interval(differences: Line) -> Measured:
    """The mean of ``differences [R]`` between two methods, run by run, with Student's 95 % interval.

    Run i of both methods shares its data and its start, so that what both have in common cancels. The interval holds
    for about normal differences. Raises ``ValueError`` for fewer than 2 runs and for NaN.
    """
    from scipy.special import stdtrit  # here, because SciPy takes a second to load

    values = torch.as_tensor(differences).detach().double().flatten()
    if len(values) < 2:
        raise ValueError(f"{len(values)} difference(s) have no spread: run both methods with at least 2 seeds")
    if not values.isfinite().all():
        raise ValueError("a difference is NaN or infinite: look for the run that failed")
    half = float(stdtrit(len(values) - 1, 0.975)) * (values.std() / math.sqrt(len(values))).item()
    mean = values.mean().item()
    return Measured(mean, mean - half, mean + half)


def verdict(differences: Line) -> str:
    """What paired ``differences [R]`` of an accuracy (0 to 1) say, in a sentence made of the numbers."""
    mean, low, high = (100 * x for x in paired_interval(differences))
    figures = f"{mean:+.1f} points ({low:+.1f} to {high:+.1f}, {len(differences)} runs)"
    if low > 0:
        return f"helps: {figures}"
    if high < 0:
        return f"harms: {figures}"
    if max(-low, high) < 0.5:
        return f"makes no difference worth half a point: {figures}"
    return f"not shown to help or harm: {figures}"


def share_interval(share: Share, count: Count) -> tuple[float, float]:
    """The 95 % interval of a ``share`` (0 to 1) seen in ``count`` independent cases, after Wilson (1927)."""
    z = 1.96
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def class_agreement(samples: Pictures, labels: Labels, classifier: Features) -> float:
    """The share of ``samples [N, C, H, W]`` that ``classifier`` puts into the class asked for, ``labels [N]``: 0 to 1.

    Raises ``ValueError`` unless there is one label for each sample.
    """
    if len(labels) != len(samples):
        wanted = f"integers of shape [{len(samples)}], one for each sample,"
        refuse("labels", wanted, labels, "pass the labels that the samples were asked for with")
    logits = extract_features(samples, classifier)
    if not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        refuse("labels", f"numbers from 0 to {logits.shape[1] - 1}", labels, "the classifier knows no others")
    right = logits.argmax(dim=1) == labels.cpu()
    return int(right.sum()) / len(samples)


guard(__name__)
