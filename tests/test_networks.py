"""Shapes, ranges and sizes of the networks."""

import pytest
import torch
from torch import nn

from gan_course import networks


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 4, 6)])
def test_picture_pair(shape):
    generator = networks.MLPGenerator(image_shape=shape)
    discriminator = networks.MLPDiscriminator(image_shape=shape)
    images = generator(5 * torch.randn(4, generator.latent_dim))
    assert images.shape == (4, *shape)
    assert images.abs().max() <= 1
    assert images.min() < -0.1 and images.max() > 0.1  # both signs: real pictures in [-1, 1] can be reached
    assert discriminator(images).shape == (4,)
    assert discriminator(images[:1]).shape == (1,)  # a batch of one keeps its axis


def test_point_pair():
    generator, discriminator = networks.PointGenerator(latent_dim=3), networks.PointDiscriminator()
    points = generator(torch.randn(5, 3))
    assert points.shape == (5, 2)
    assert discriminator(points).shape == (5,)
    assert discriminator(points[:1]).shape == (1,)


def test_points_are_unbounded_and_logits_take_both_signs():
    torch.manual_seed(0)
    generator, discriminator = networks.PointGenerator(), networks.PointDiscriminator()
    assert generator(1000 * torch.randn(50, 2)).abs().max() > 2
    for net, inputs in (
        (discriminator, 10 * torch.randn(500, 2)),
        (networks.MLPDiscriminator(), torch.randn(500, 784)),
    ):
        logits = net(inputs)
        logits = logits - logits.mean()  # the bias may point one way; a sigmoid or a ReLU would bound one side
        assert logits.min() < -0.05 and logits.max() > 0.05


def test_parameter_counts_by_hand():
    """100 → 256 → 784 with 2 x 256 batch-norm parameters; 784 → 128 → 1."""
    assert networks.count_parameters(networks.MLPGenerator()) == 100 * 256 + 256 + 2 * 256 + 256 * 784 + 784 == 227_856
    assert networks.count_parameters(networks.MLPDiscriminator()) == 784 * 128 + 128 + 128 + 1 == 100_609
    assert networks.count_parameters(networks.PointGenerator()) == (2 * 64 + 64) + (64 * 64 + 64) + (64 * 2 + 2) == 4482
    assert networks.count_parameters(networks.PointDiscriminator()) == (2 * 64 + 64) + (64 * 64 + 64) + (64 + 1) == 4417


def test_count_parameters_leaves_out_what_is_frozen_and_buffers():
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    assert networks.count_parameters(net) == 3 * 2 + 2 + 2 + 2
    net[0].requires_grad_(False)
    assert networks.count_parameters(net) == 4


def test_layer_sizes_follow_the_arguments():
    generator = networks.MLPGenerator(latent_dim=7, hidden=11, image_shape=(3, 2, 2))
    assert generator.latent_dim == 7 and generator.image_shape == (3, 2, 2)
    assert networks.count_parameters(generator) == 7 * 11 + 11 + 22 + 11 * 12 + 12
    assert networks.count_parameters(networks.MLPDiscriminator((3, 2, 2), hidden=5)) == 12 * 5 + 5 + 5 + 1
    assert networks.PointGenerator(latent_dim=9).latent_dim == 9


def test_batch_norm_looks_at_the_batch_in_training_and_not_in_evaluation():
    generator = networks.MLPGenerator(latent_dim=4, image_shape=(1, 3, 3))
    z = torch.randn(6, 4)
    assert not torch.allclose(generator(z)[:2], generator(z[:2]), atol=1e-4)
    for _ in range(50):
        generator(torch.randn(256, 4))  # fills the running statistics
    generator.eval()
    torch.testing.assert_close(generator(z)[:2], generator(z[:2]))
    generator(z[:1])  # a single sample is possible now


def test_pictures_are_laid_out_row_by_row_per_channel():
    generator = networks.MLPGenerator(latent_dim=2, image_shape=(2, 3, 4)).eval()
    z = torch.randn(3, 2)
    flat = generator.layers(z)
    image = generator(z)
    assert image[1, 1, 2, 3] == flat[1, 23] and image[2, 0, 1, 2] == flat[2, 6]


def test_every_parameter_gets_a_gradient():
    for generator, discriminator in (
        (networks.MLPGenerator(8, 16, (1, 4, 4)), networks.MLPDiscriminator((1, 4, 4), 16)),
        (networks.PointGenerator(), networks.PointDiscriminator()),
    ):
        discriminator(generator(torch.randn(16, generator.latent_dim))).square().sum().backward()
        for name, parameter in [*generator.named_parameters(), *discriminator.named_parameters()]:
            assert parameter.grad.abs().sum() > 0 or name == "layers.0.bias", (
                name
            )  # batch norm cancels a bias before it
