"""Fréchet, kernel distance, precision and recall against SciPy, torchmetrics, brute force and closed forms."""

import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from gan_course import data, metrics, zoo
from gan_course.classifiers import Classifier


def gaussian(count, width, seed, shift=0.0, scale=1.0):
    """Correlated features whose covariances have eigenvalues over two orders of magnitude."""
    random = torch.Generator().manual_seed(seed)
    mix = torch.randn(width, width, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    mix = mix @ torch.logspace(-1, 0, width, dtype=torch.float64).diag()
    return scale * torch.randn(count, width, generator=random, dtype=torch.float64) @ mix + shift


def whitened(count, width, seed):
    """Features with mean exactly 0 and covariance exactly the identity."""
    x = gaussian(count, width, seed)
    q = torch.linalg.qr(x - x.mean(0)).Q
    return q * (count - 1) ** 0.5


@pytest.fixture(scope="module")
def glyphs():
    """Two fresh sets of 1,500 digits."""
    both = data.load("glyphs", count=3000, seed=31)
    return both.split(1500)


# ---------------------------------------------------------------------------------------------- Fréchet distance

PAIRS = {
    "shifted": (gaussian(500, 64, 1, 0.3), gaussian(700, 64, 2)),
    "alike": (gaussian(500, 64, 3), gaussian(500, 64, 4)),
    "scaled": (gaussian(2000, 16, 5, scale=0.5), gaussian(300, 16, 6, -1)),
    "one feature": (gaussian(50, 1, 7), gaussian(60, 1, 8, 0.2)),
    "far from the origin": (gaussian(300, 8, 9, 1000.0), gaussian(300, 8, 10, 1000.5)),
}


def scipy_frechet(a, b):
    a, b = a.numpy(), b.numpy()
    c, d = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    root = scipy.linalg.sqrtm(c @ d)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c + d - 2 * root.real))


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_frechet_against_scipy(pair):
    assert metrics.frechet_distance(*pair) == pytest.approx(scipy_frechet(*pair), rel=1e-6)
    assert metrics.frechet_distance(*pair[::-1]) == pytest.approx(metrics.frechet_distance(*pair), rel=1e-9)


class Pixels(nn.Module):
    """What torchmetrics calls a feature extractor: here it takes features for pictures and hands them on."""

    num_features = 24

    def forward(self, images):
        return images.flatten(1)


@pytest.fixture(scope="module")
def pixels():
    return gaussian(400, 24, 11, 0.1), gaussian(900, 24, 12, scale=1.2)


def test_frechet_against_torchmetrics(pixels):
    from torchmetrics.image.fid import FrechetInceptionDistance

    oracle = FrechetInceptionDistance(feature=Pixels(), input_img_size=(1, 4, 6)).set_dtype(torch.float64)
    for features, real in zip(pixels, (False, True), strict=True):
        oracle.update(features.reshape(-1, 1, 4, 6), real=real)
    assert metrics.frechet_distance(*pixels) == pytest.approx(oracle.compute().item(), rel=1e-4)


def test_frechet_of_known_gaussians():
    """Independent features: the squared distance of the means plus that of the standard deviations."""
    spread_a, spread_b = torch.linspace(0.5, 3, 12).double(), torch.linspace(2, 0.1, 12).double()
    a, b = whitened(100, 12, 13) * spread_a + 2.0, whitened(160, 12, 14) * spread_b - 1.0
    wanted = 12 * 3.0**2 + (spread_a - spread_b).square().sum().item()
    assert metrics.frechet_distance(a, b) == pytest.approx(wanted, rel=1e-10)
    assert metrics.frechet_distance(a, a + 0.5) == pytest.approx(12 * 0.25, rel=1e-6)
    assert metrics.frechet_distance(a, a) < 1e-9


def test_frechet_takes_32_bits_and_works_in_64():
    a, b = (x.float() for x in PAIRS["far from the origin"])
    assert metrics.frechet_distance(a, b) == pytest.approx(scipy_frechet(a.double(), b.double()), rel=1e-6)


DEGENERATE = {
    "fewer rows than features": (gaussian(10, 64, 1), gaussian(500, 64, 2)),
    "both": (gaussian(10, 64, 1), gaussian(20, 64, 2)),
    "two rows": (gaussian(2, 5, 1), gaussian(2, 5, 2)),
    "constant": (torch.full((30, 7), 0.3), gaussian(40, 7, 2).float()),
    "both constant": (torch.full((30, 7), 0.3), torch.full((30, 7), 0.3)),
    "a constant feature": (gaussian(50, 4, 1) * torch.tensor([1, 1, 0, 1]), gaussian(50, 4, 2)),
    "the same feature twice": (gaussian(50, 4, 1)[:, [0, 1, 1, 3]], gaussian(50, 4, 2)),
    "tiny": (gaussian(50, 4, 1) * 1e-12, gaussian(50, 4, 2) * 1e-12),
}


@pytest.mark.parametrize("pair", DEGENERATE.values(), ids=DEGENERATE)
def test_frechet_without_full_rank_is_finite_and_not_negative(pair):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.frechet_distance(*pair)
    assert np.isfinite(found) and found >= 0
    a, b = (x.double().numpy() for x in pair)
    c, d = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # trace (CD)^½ is the nuclear norm of the product of the centred rows: an oracle that takes no root
    rows = [(x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (a, b)]
    wanted = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c + d) - 2 * np.linalg.norm(rows[0] @ rows[1].T, "nuc")
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6 * np.trace(c + d))


# ---------------------------------------------------------------------------------------------- kernel distance


@pytest.mark.parametrize("pair", [PAIRS["shifted"], PAIRS["alike"], PAIRS["scaled"]])
def test_kernel_distance_of_all_rows_against_torchmetrics(pair):
    from torchmetrics.image.kid import poly_mmd

    size = min(map(len, pair))  # torchmetrics takes sets of one size
    a, b = (x[:size] for x in pair)
    assert metrics.kernel_distance(a, b, subsets=3, size=5000) == pytest.approx(poly_mmd(a, b).item(), rel=1e-4)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance`")
def test_kernel_distance_against_torchmetrics_on_subsets(pixels):
    """The subsets differ, so the two agree as well as means over 100 subsets do."""
    from torchmetrics.image.kid import KernelInceptionDistance

    oracle = KernelInceptionDistance(feature=Pixels(), subsets=100, subset_size=200).set_dtype(torch.float64)
    for features, real in zip(pixels, (False, True), strict=True):
        oracle.update(features.reshape(-1, 1, 4, 6), real=real)
    torch.manual_seed(0)
    mean, spread = (x.item() for x in oracle.compute())
    assert metrics.kernel_distance(*pixels, size=200) == pytest.approx(mean, abs=4 * spread / 10)


def test_kernel_distance_by_hand():
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [0.0]])
    # kernel (xy + 1)³: among a's others 1, among b's others 1; across: 1, 1, 27, 1, mean 7.5
    assert metrics.kernel_distance(a, b, subsets=1) == pytest.approx(1 + 1 - 2 * 7.5)


def test_kernel_distance_has_no_bias():
    few = [metrics.kernel_distance(gaussian(25, 4, s), gaussian(30, 4, 500 + s), subsets=1) for s in range(300)]
    assert abs(np.mean(few)) < 3 * np.std(few) / np.sqrt(300)
    assert min(few) < 0 < max(few)


def test_kernel_distance_depends_on_its_seed_alone(pixels):
    first, again, other = (metrics.kernel_distance(*pixels, subsets=2, size=50, seed=s) for s in (0, 0, 1))
    assert first == again != other


# ---------------------------------------------------------------------------------------------- precision and recall


def naive_precision_recall(real, fake, k):
    def inside(points, centres):
        hits = 0
        for p in points:
            for i, c in enumerate(centres):
                others = sorted(np.linalg.norm(c - o) for j, o in enumerate(centres) if j != i)
                if np.linalg.norm(p - c) <= others[k - 1]:
                    hits += 1
                    break
        return hits / len(points)

    real, fake = real.numpy(), fake.numpy()
    return inside(fake, real), inside(real, fake)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_precision_and_recall_against_brute_force(k, shift):
    real, fake = gaussian(40, 5, 20), gaussian(55, 5, 21, shift, 0.8)
    assert metrics.precision_recall(real, fake, k) == pytest.approx(naive_precision_recall(real, fake, k), abs=1e-6)


@pytest.mark.parametrize("sizes", [(499, 501), (1000, 1203)])
def test_precision_and_recall_in_pieces(sizes):
    """The chunks against one big table."""
    real, fake = gaussian(sizes[0], 3, 22), gaussian(sizes[1], 3, 23, 0.3)
    table = torch.cdist(fake, real)
    reach_real = torch.cdist(real, real).sort(dim=1).values[:, 3]
    reach_fake = torch.cdist(fake, fake).sort(dim=1).values[:, 3]
    found = metrics.precision_recall(real, fake)
    assert found.precision == pytest.approx((table <= reach_real).any(1).double().mean().item(), abs=1e-3)
    assert found.recall == pytest.approx((table <= reach_fake[:, None]).any(0).double().mean().item(), abs=1e-3)


def test_precision_and_recall_tell_quality_from_variety():
    left, right = gaussian(300, 2, 24), gaussian(300, 2, 25, 100.0)
    both = torch.cat([left, right])
    assert metrics.precision_recall(both, gaussian(300, 2, 26)) == pytest.approx((1, 0.5), abs=0.05)
    assert metrics.precision_recall(left, both) == pytest.approx((0.5, 1), abs=0.05)
    assert metrics.precision_recall(left, right) == (0, 0)
    assert metrics.precision_recall(left, left) == (1, 1)
    assert metrics.precision_recall(torch.ones(9, 4), torch.ones(8, 4)) == (1, 1)


# ---------------------------------------------------------------------------------------------- everything in one call


def test_evaluate_gives_the_single_measures():
    samples, real = gaussian(300, 6, 40, 0.2), gaussian(500, 6, 41)
    report = metrics.evaluate(samples, real)
    assert report.frechet.value == metrics.frechet_distance(samples, real)
    assert (report.precision.value, report.recall.value) == metrics.precision_recall(real, samples)
    whole = metrics.kernel_distance(samples, real, subsets=1)
    assert report.kernel.low < whole < report.kernel.high
    assert (report.samples, report.real, report.note) == (300, 500, "")
    assert report == metrics.evaluate(samples, real)
    for figure in (report.frechet, report.kernel, report.precision, report.recall):
        assert figure.low < figure.value < figure.high


@pytest.mark.parametrize("shift, least, most", [(0.0, 0.8, 2.2), (0.5, 0.6, 1.4)], ids=["alike", "apart"])
def test_intervals_hold_the_mean_over_fresh_samples(shift, least, most):
    """80 fresh pairs: most intervals hold the mean, and they are about as wide as the spread over the pairs asks."""
    runs = [metrics.evaluate(gaussian(200, 6, 1000 + i, shift), gaussian(300, 6, 2000 + i), seed=i) for i in range(80)]
    for name in ("frechet", "kernel", "precision", "recall"):
        found = np.array([getattr(run, name) for run in runs])
        mean = found[:, 0].mean()
        covered = ((found[:, 1] <= mean) & (mean <= found[:, 2])).mean()
        width = (found[:, 2] - found[:, 1]).mean() / (2 * 1.96 * found[:, 0].std(ddof=1))
        assert covered >= 0.78, (name, covered)  # half as wide, they would hold it in 67 %
        assert least < width < most, (name, width)


def test_floor_is_real_against_real(glyphs):
    real = torch.cat([half.images for half in glyphs])
    floor = metrics.floor(real, 1000)
    assert (floor.samples, floor.real) == (1000, 2000)
    assert floor.kernel.low < 0 < floor.kernel.high
    assert floor.features == "features of glyphs_classifier"
    fresh = metrics.evaluate(data.load("glyphs", count=1000, seed=32).images, real[1000:])
    for name in ("frechet", "kernel", "precision", "recall"):
        (_, low, high), (_, others_low, others_high) = getattr(floor, name), getattr(fresh, name)
        assert low < others_high and others_low < high


def test_what_each_figure_sees(glyphs):
    """Samples damaged on purpose, against 1,500 real ones."""
    samples, real = glyphs
    network = zoo.load("glyphs_classifier")
    known = metrics.extract_features(real.images, network.features)

    def report(images):
        return metrics.evaluate(metrics.extract_features(images, network.features), known)

    good = report(samples.images)
    blurred = report(nn.functional.avg_pool2d(samples.images, 3, 1, 1))
    noisy = report((samples.images + 0.4 * torch.randn(samples.images.shape)).clamp(-1, 1))
    narrow = report(samples.only(0, 1, 2, 3, 4).images)
    for damaged in (blurred, noisy, narrow):
        assert damaged.frechet.low > good.frechet.high
        assert damaged.kernel.low > good.kernel.high
    assert noisy.precision.high < good.precision.low
    assert narrow.recall.high < good.recall.low and narrow.precision.value > good.precision.value - 0.05
    memorised = report(real.images.flip(0))
    assert memorised.frechet.value < 1e-6 and memorised.precision.value == memorised.recall.value == 1


def test_the_classifier_that_knows_such_pictures_is_chosen(glyphs):
    assert metrics.default_features(glyphs[0].images)[0] == "features of glyphs_classifier"


def test_a_report_prints_as_a_table():
    figures = [(12.3456, 11, 13), (0.01234, 0.011, 0.0135), (0.5, 0.4, 0.6), (1.0, 0.99, 1.0)]
    report = metrics.Report(*(metrics.Measured(*f) for f in figures), 5000, 10000, "features of X", "mind this")
    assert str(report).splitlines() == [
        "5,000 samples against 10,000 real ones, in features of X",
        "                      value   95 % interval",
        "Fréchet distance     12.346   11.000 to 13.000",
        "kernel distance      0.0123   0.0110 to 0.0135",
        "precision             0.500   0.400 to 0.600",
        "recall                1.000   0.990 to 1.000",
        "Note: mind this",
    ]


def test_features_of_your_own():
    samples, real = torch.rand(60, 3, 8, 8) * 2 - 1, torch.rand(70, 3, 8, 8) * 2 - 1
    report = metrics.evaluate(samples, real, features=lambda x: x.mean(dim=(2, 3)))
    assert report.features == "features of your own"
    assert report.frechet.value == metrics.frechet_distance(samples.mean(dim=(2, 3)), real.mean(dim=(2, 3)))


def test_extracting_in_pieces_changes_nothing():
    network = Classifier().eval()
    images = torch.rand(1003, 1, 28, 28) * 2 - 1
    with torch.no_grad():
        whole = network.features(images)
    found = metrics.extract_features(images, network.features)
    torch.testing.assert_close(found, whole)
    assert found.shape == (1003, 64) and not found.requires_grad


def test_share_interval_against_the_textbook():
    """Newcombe (1998), table I, score method without continuity correction: 81/263, 15/148, 0/20, 1/29."""
    for hits, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)):
        assert metrics.share_interval(hits / count, count) == pytest.approx((low, high), abs=1e-4)
    assert metrics.share_interval(1.0, 50)[1] == 1


def test_class_agreement():
    images = torch.rand(1100, 1, 8, 8) * 2 - 1
    labels = (images.mean(dim=(1, 2, 3)) > 0).long()

    def classifier(x):
        mean = x.mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], 1)

    assert metrics.class_agreement(images, labels, classifier) == 1
    labels[:110] = 1 - labels[:110]
    assert metrics.class_agreement(images, labels, classifier) == 0.9


# ---------------------------------------------------------------------------------------------- what students do


def pictures(count=40, shape=(1, 28, 28)):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(count)) * 2 - 1


def spoiled(value):
    images = pictures()
    images[3, 0, 5, 5] = value
    return images


WRONG = {
    "few": (pictures(19), pictures(), "there are 19 samples and 40 real ones: take at least 20 of each, and thousands"),
    "few real": (pictures(), pictures(7), "there are 40 samples and 7 real ones: take at least 20 of each"),
    "other size": (pictures(), pictures(shape=(1, 32, 32)), "samples have shape [1, 28, 28] but real ones [1, 32, 32]"),
    "colour": (pictures(shape=(3, 28, 28)), pictures(), "samples have shape [3, 28, 28] but real ones [1, 28, 28]"),
    "no classifier": (
        pictures(shape=(3, 64, 64)),
        pictures(shape=(3, 64, 64)),
        "the zoo has no classifier for pictures of shape [3, 64, 64]: pass features=",
    ),
    "NaN": (spoiled(float("nan")), pictures(), "the samples won't do: images hold NaN or infinite values"),
    "NaN among the real": (pictures(), spoiled(float("nan")), "the real pictures won't do: images hold NaN"),
    "0 to 255": (
        127.5 * (pictures() + 1),
        pictures(),
        "the samples won't do: images must lie in [-1, 1] but reach 25",
    ),
    "a bit too bright": (spoiled(1.4), pictures(), "the samples won't do: images must lie in [-1, 1] but go from"),
    "no channel": (pictures()[:, 0], pictures()[:, 0], "the samples won't do: images must be a tensor of shape"),
    "64 bits": (pictures().double(), pictures(), "the samples won't do: images must be a 32-bit float tensor"),
    "none": (pictures(0), pictures(), "samples must be a tensor with something in it but is a float32"),
    "NaN features": (torch.full((30, 4), float("nan")), torch.zeros(30, 4), "features hold NaN or infinite values"),
}


@pytest.mark.parametrize("samples, real, says", WRONG.values(), ids=WRONG)
def test_evaluate_says_what_is_wrong(samples, real, says):
    with pytest.raises(ValueError) as caught:
        metrics.evaluate(samples, real)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value) and ": " in str(caught.value)


@pytest.mark.parametrize("measure", [metrics.frechet_distance, metrics.kernel_distance, metrics.precision_recall])
@pytest.mark.parametrize(
    "a, b, says",
    [
        (torch.zeros(1, 3), torch.zeros(5, 3), "a spread can't be measured on 1 sample"),
        (torch.zeros(5, 3), torch.zeros(5, 4), "one set has 3 features and the other 4"),
        (torch.zeros(5, 1, 3, 3), torch.zeros(5, 1, 3, 3), "features must have shape [N, F] but have [5, 1, 3, 3]"),
        (torch.zeros(5), torch.zeros(5), "features must have shape [N, F] but have [5]"),
        (torch.zeros(5, 3), torch.full((5, 3), float("inf")), "features hold NaN or infinite values"),
    ],
)
def test_single_measures_say_what_is_wrong(measure, a, b, says):
    with pytest.raises(ValueError) as caught:
        measure(a, b)
    assert str(caught.value).startswith(says) and "\n" not in str(caught.value)


@pytest.mark.parametrize("k", [8, 20])
def test_precision_and_recall_with_too_many_neighbours(k):
    with pytest.raises(ValueError, match=rf"^k is {k} but the smaller set has 8 rows: choose k from 1 to 7$"):
        metrics.precision_recall(torch.rand(8, 2), torch.rand(9, 2), k)


def test_fewer_samples_than_features_are_measured_with_a_note():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = metrics.evaluate(gaussian(40, 64, 1), gaussian(400, 64, 2))
    assert report.note.startswith("covariances lack full rank: for the Fréchet distance take at least 65 of each")
    assert "\nNote: covariances" in str(report)
    assert report.frechet.value > 2 * metrics.evaluate(gaussian(400, 64, 3), gaussian(400, 64, 2)).frechet.value


@pytest.mark.parametrize("same", [False, True], ids=["constant samples", "all constant"])
def test_constant_pictures_give_finite_figures(same, glyphs):
    samples = torch.zeros(60, 1, 28, 28)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = metrics.evaluate(samples, samples if same else glyphs[0].images[:200])
    figures = [report.frechet, report.kernel, report.precision, report.recall]
    assert np.isfinite(np.array(figures)).all()
    assert (report.frechet.value < 1e-6) == same
    assert report.precision.value == report.recall.value == same


@pytest.mark.parametrize(
    "labels, says",
    [
        (torch.zeros(3, dtype=torch.int64), r"labels must be integers of shape \[40\].*of shape \[3\]"),
        (torch.zeros(40), r"labels must be int64 of shape \[N\].*float32 tensor of shape \[40\]"),
        (torch.zeros(40, 10, dtype=torch.int64), r"int64 tensor of shape \[40, 10\]"),
    ],
)
def test_class_agreement_without_the_right_labels(labels, says):
    with pytest.raises(ValueError, match=says):
        metrics.class_agreement(pictures(), labels, Classifier().eval())
