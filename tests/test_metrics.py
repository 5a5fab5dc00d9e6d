"""Measures of success against brute force and on samples whose answer is known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gan_course import data, metrics
from gan_course.data import toy


def brute_force(samples, real):
    a, b = (x.flatten(1).double().numpy() for x in (samples, real))
    table = np.sqrt(((a[:, None] - b[None]) ** 2).sum(2))
    return table.min(1), table.argmin(1)


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (3, 4, 4)])
def test_nearest_real_against_brute_force(shape):
    generator = torch.Generator().manual_seed(0)
    samples, real = torch.randn(23, *shape, generator=generator), torch.randn(41, *shape, generator=generator)
    found = metrics.nearest_real(samples, real)
    distance, index = brute_force(samples, real)
    np.testing.assert_allclose(found.distance.numpy(), distance, rtol=1e-4)
    np.testing.assert_array_equal(found.index.numpy(), index)


@pytest.mark.parametrize("count", [1, 499, 500, 501, 1203])
def test_nearest_real_in_pieces_keeps_the_order(count):
    real = torch.arange(40.0)[:, None] * torch.tensor([1.0, 0.5])
    index = torch.randint(40, (count,), generator=torch.Generator().manual_seed(1))
    found = metrics.nearest_real(real[index] + 0.01, real)
    assert torch.equal(found.index, index)
    assert found.distance.shape == (count,)


@pytest.mark.parametrize("measure", [metrics.nearest_real, metrics.realism_gap])
def test_shapes_must_agree(measure):
    with pytest.raises(ValueError, match=r"\[1, 28, 28\].*\[1, 8, 8\].*compare like with like$"):
        measure(torch.zeros(4, 1, 28, 28), torch.zeros(40, 1, 8, 8))


@pytest.fixture(scope="module")
def digits():
    ds = data.load("digits")
    return ds[torch.randperm(len(ds), generator=torch.Generator().manual_seed(0))]


def test_realism_gap_is_one_for_real_pictures_and_large_for_noise(digits):
    unseen, known = digits.split(400)
    gap = metrics.realism_gap(unseen.images, known.images)
    assert 0.93 < gap < 1.07
    noise = torch.rand(400, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert metrics.realism_gap(noise, known.images) > 2
    blurred = (unseen.images + 0.3 * noise).clamp(-1, 1)
    assert gap < metrics.realism_gap(blurred, known.images) < metrics.realism_gap(noise, known.images)


def test_realism_gap_by_hand():
    """Real points on a line. The first quarter is held back: each lies 1 from the rest; the samples lie 3 from it."""
    others = torch.tensor([[10.0 * i, 0.0] for i in range(6)])
    held_back = torch.tensor([[0.0, 1.0], [20.0, -1.0]])
    samples = torch.tensor([[0.0, 3.0], [30.0, 3.0], [40.0, -3.0]])
    assert metrics.realism_gap(samples, torch.cat([held_back, others])) == pytest.approx(3, rel=1e-6)


def test_realism_gap_of_a_memorised_picture_is_nothing(digits):
    copies = digits.images[-1:].repeat(50, 1, 1, 1)
    assert metrics.realism_gap(copies, digits.images) < 0.01


def test_class_shares(digits):
    pick = torch.cat([torch.where(digits.labels == c)[0][:n] for c, n in ((3, 30), (7, 10))])
    shares = metrics.class_shares(digits.images[pick], digits.images, digits.labels)
    assert shares.shape == (10,)
    assert shares[3] == 0.75 and shares[7] == 0.25
    assert shares.sum() == pytest.approx(1)


def test_modes_covered():
    centres = toy.ring_centres(8)
    on = centres.repeat_interleave(100, 0)
    assert metrics.modes_covered(on, centres) == 8
    assert metrics.modes_covered(on[:300], centres) == 3
    assert metrics.modes_covered(torch.zeros(100, 2), centres) == 0
    assert metrics.modes_covered(1.19 * on, centres) == 8  # 0.19 from each centre, the radius is 0.2
    assert metrics.modes_covered(1.21 * on, centres) == 0
    assert metrics.modes_covered(1.21 * on, centres, radius=0.25) == 8
    few = torch.cat([on[:98], on[-2:]])
    assert metrics.modes_covered(few, centres) == 2  # exactly 2 % is enough
    assert metrics.modes_covered(few, centres, share=0.03) == 1


def test_psnr_against_its_definition():
    images = torch.zeros(2, 3, 4, 4)
    rebuilt = torch.stack([torch.full((3, 4, 4), 0.2), torch.full((3, 4, 4), 0.02)])
    assert torch.isclose(metrics.psnr(rebuilt, images), torch.tensor((20.0 + 40.0) / 2), atol=1e-3)


def test_the_spread_within_prompts_against_numpy():
    features = (
        torch.randn(7, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0, 9, 0, 9, 9, 5, 0])[:, None]
    )
    prompts = ["sea", "tent", "sea", "tent", "tent", "alone", "sea"]
    variances = [features.numpy()[rows].var(axis=0, ddof=1).mean() for rows in ([0, 2, 6], [1, 3, 4])]
    assert metrics.spread_within(features, prompts) == pytest.approx(np.sqrt(np.mean(variances)), rel=1e-5)
    with pytest.raises(ValueError, match="asked holds 6 prompts but there are 7 pictures: pass one for each"):
        metrics.spread_within(features, prompts[1:])
    with pytest.raises(ValueError, match="no two of 7 pictures were asked for by the same prompt: repeat each prompt"):
        metrics.spread_within(features, list("abcdefg"))


def test_a_blur_has_less_edge_energy():
    images = -torch.ones(1, 1, 2, 3)
    images[..., 2] = 0.0
    assert metrics.edge_energy(images) == pytest.approx(0.5)  # two of four neighbours across differ, none of three down
    sharp = 2 * torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 1
    assert metrics.edge_energy(F.avg_pool2d(sharp, 3, 1, 1)) < 0.5 * metrics.edge_energy(sharp)


def test_the_paired_interval_is_that_of_scipys_paired_t_test():
    from scipy.stats import ttest_rel

    a, b = (np.random.default_rng(seed).normal(size=9) for seed in (0, 1))
    interval = ttest_rel(a, b).confidence_interval(0.95)
    found = metrics.paired_interval(torch.tensor(a - b))
    assert found == pytest.approx(((a - b).mean(), interval.low, interval.high))


def test_the_paired_interval_holds_the_truth_in_about_95_of_100_cases():
    draws = 0.3 + torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    held = sum(low < 0.3 < high for _, low, high in map(metrics.paired_interval, draws)) / 2000
    assert 0.935 < held < 0.965


@pytest.mark.parametrize(("values", "message"), [([0.1], "at least 2 seeds"), ([0.1, float("nan")], "run that failed")])
def test_the_paired_interval_refuses(values, message):
    with pytest.raises(ValueError, match=message):
        metrics.paired_interval(torch.tensor(values))


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ([0.02, 0.03, 0.01, 0.02], "helps: +2.0 points"),
        ([-0.02, -0.03, -0.01, -0.02], "harms: -2.0 points"),
        ([0.02, -0.03, 0.01, 0.0], "not shown to help or harm: +0.0 points"),
        ([0.001, -0.001, 0.0005, -0.0005], "makes no difference worth half a point"),
    ],
)
def test_the_verdict_follows_the_numbers(differences, words):
    sentence = metrics.verdict(torch.tensor(differences))
    assert sentence.startswith(words) and "4 runs" in sentence


# ---------------------------------------------------------------------------------------------- two reports


def report(value, half, **alike):
    measured = metrics.Measured(value, value - half, value + half)
    nothing = metrics.Measured(0.0, 0.0, 0.0)
    known = {"samples": 1000, "real": 5000, "features": "those of a test"} | alike
    return metrics.Report(measured, nothing, nothing, nothing, **known)


def test_a_difference_has_an_interval_of_its_own():
    gap = metrics.difference(report(5.0, 0.3), report(3.0, 0.4))
    assert gap == pytest.approx((2.0, 1.5, 2.5))


@pytest.mark.parametrize("alike", [{"samples": 300}, {"real": 4000}, {"features": "others"}])
def test_figures_that_were_not_measured_alike_are_not_compared(alike):
    with pytest.raises(ValueError, match="measure both alike"):
        metrics.difference(report(5.0, 0.3), report(3.0, 0.4, **alike))
