"""Many small runs side by side: each must be what it would be alone."""

import pytest
import torch
import torch.nn.functional as F

from gan_course import augment, data


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_the_sets_have_the_asked_sizes_and_never_meet_their_test(digits):
    train, test = augment.draw_sets(digits, (2, 5), runs=3, test=400, seed=1)
    assert train.counts.tolist() == [20] * 3 + [50] * 3 and len(train) == len(test) == 6
    for k in range(6):
        rows = train.images[k, : train.counts[k]]
        assert torch.bincount(train.labels[k, : train.counts[k]]).tolist() == [int(train.counts[k]) // 10] * 10
        copies = {tuple(row) for row in rows.tolist()} & {tuple(row) for row in test.images[k].tolist()}
        assert not copies
    small, large = ({tuple(row) for row in train.images[k, : train.counts[k]].tolist()} for k in (0, 3))
    assert small < large and torch.equal(test.images[0], test.images[3])
    assert not torch.equal(test.images[0], test.images[1])


def test_a_batch_never_draws_the_padding(digits):
    train, _ = augment.draw_sets(digits, (1, 5), runs=2, test=100)
    pictures, labels = train.batch(500)
    assert pictures.shape == (4, 500, 64) and labels.shape == (4, 500)
    known = {tuple(row) for row in train.images[0, :10].tolist()}
    assert {tuple(row) for row in pictures[0].tolist()} == known  # all ten, and nothing else


def test_too_many_pictures_are_refused(digits):
    with pytest.raises(ValueError, match="take fewer"):
        augment.draw_sets(digits, (100,), runs=2)
    with pytest.raises(ValueError, match="load 'digits'"):
        augment.draw_sets(data.load("glyphs", count=20), (1,), runs=2)
    with pytest.raises(ValueError, match="multiple of 4"):
        augment.parallel_mlp(6, (3, 2), runs=4, seed=0)


def test_networks_side_by_side_are_plain_ones_and_equal_runs_start_alike():
    networks = augment.parallel_mlp(6, (5, 7, 3), runs=3, seed=0)
    x = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0))
    for k in range(6):
        hidden = F.linear(x[k], networks[0].weight[k].T, networks[0].bias[k, 0]).relu()
        alone = F.linear(hidden, networks[2].weight[k].T, networks[2].bias[k, 0])
        assert torch.allclose(networks(x)[k], alone, atol=1e-6)
    assert torch.equal(networks[0].weight[1], networks[0].weight[4])
    assert not torch.equal(networks[0].weight[1], networks[0].weight[2])


def test_no_network_learns_from_another_one():
    networks = augment.parallel_mlp(4, (5, 7, 3), runs=4, seed=0)
    networks(torch.randn(4, 6, 5))[2].sum().backward()
    touched = networks[0].weight.grad.flatten(1).abs().sum(dim=1) > 0
    assert touched.tolist() == [False, False, True, False]


@pytest.mark.parametrize("sample", [augment.gan_samples, augment.flow_samples])
def test_samples_have_the_asked_classes_and_repeat_with_the_seed(sample, digits):
    train, _ = augment.draw_sets(digits, (5,), runs=2, test=100)
    made = sample(train, 2, per_class=3, steps=3, seed=4)
    assert made.images.shape == (2, 30, 64) and made.counts.tolist() == [30, 30]
    assert made.images.abs().max() <= 1 and torch.bincount(made.labels[0]).tolist() == [3] * 10
    assert torch.equal(made.images, sample(train, 2, per_class=3, steps=3, seed=4).images)


def test_the_flow_learns_its_classes(digits):
    """Samples lie nearer to the mean of the class asked for than to others'."""
    train, _ = augment.draw_sets(digits, (20,), runs=2, test=100)
    made = augment.flow_samples(train, 2, per_class=10)
    means = torch.stack([train.images[0][train.labels[0] == c].mean(dim=0) for c in range(10)])
    assert (torch.cdist(made.images[0], means).argmin(dim=1) == made.labels[0]).float().mean() > 0.7


def test_rendered_digits_fill_the_frame():
    made = augment.rendered(data.load("glyphs", count=30), 2)
    assert made.images.shape == (2, 30, 64) and made.images.min() >= -1
    assert torch.allclose(made.images.amax(dim=2), torch.ones(2, 30))
    rows = made.images[0].view(30, 8, 8).amax(dim=2)
    assert (rows[:, [0, 7]] > -1).all()  # ink in the first and the last row


def test_jitter_of_nothing_changes_nothing_and_black_stays_around(digits):
    pictures = digits.images[:6].flatten(1).view(2, 3, 64)
    assert torch.allclose(augment.jitter(pictures, 0, 0, 0), pictures, atol=1e-5)
    changed = augment.jitter(pictures)
    assert changed.shape == pictures.shape and changed.abs().max() <= 1 + 1e-5
    assert not torch.allclose(changed, pictures, atol=0.1)
