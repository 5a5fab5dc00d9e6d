"""The convolutional pair: shapes, classes, what is refused; training with labels, augmentation, held-out pictures."""

import pytest
import torch

from gan_course import data, networks
from gan_course.training import COLUMNS, HELD_OUT_IMAGES, Settings, Trainer

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 32, 32)]
SMALL = Settings(batch_size=8)


@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_ranges(shape, classes):
    torch.manual_seed(0)
    generator = networks.ConvGenerator(classes=classes, image_shape=shape)
    discriminator = networks.ConvDiscriminator(classes=classes, image_shape=shape)
    given = (torch.tensor([0, 9, 3, 3]),) if classes else ()
    images = generator(torch.randn(4, generator.latent_dim), *given)
    assert images.shape == (4, *shape)
    assert images.abs().max() <= 1 and images.std() > 0.01
    logits = discriminator(images, *given)
    assert logits.shape == (4,) and logits.isfinite().all()
    assert discriminator(images[:1], *(g[:1] for g in given)).shape == (1,)


def test_the_label_changes_the_picture_and_the_verdict():
    torch.manual_seed(0)
    generator, discriminator = networks.ConvGenerator(classes=3).eval(), networks.ConvDiscriminator(classes=3)
    z, image = torch.randn(1, generator.latent_dim), torch.randn(1, 1, 28, 28)
    pictures = [generator(z, torch.tensor([label])) for label in range(3)]
    assert (pictures[0] - pictures[1]).abs().max() > 1e-3 and (pictures[1] - pictures[2]).abs().max() > 1e-3
    logits = [discriminator(image, torch.tensor([label])).item() for label in range(3)]
    assert len(set(logits)) == 3


def test_a_verdict_does_not_depend_on_the_other_pictures_of_the_batch():
    torch.manual_seed(0)
    discriminator, images = networks.ConvDiscriminator(), torch.randn(6, 1, 28, 28)
    torch.testing.assert_close(discriminator(images)[:2], discriminator(images[:2]), atol=1e-5, rtol=1e-5)


def test_every_pixel_of_an_upsampled_map_is_painted_equally_often():
    """The even coverage that the generator's docstring claims, away from the border."""
    layers = [m for m in networks.ConvGenerator().modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert len(layers) == 2
    for layer in layers:
        kernel, (stride, _), (padding, _) = layer.kernel_size[0], layer.stride, layer.padding
        painted = torch.nn.functional.conv_transpose2d(
            torch.ones(1, 1, 7, 7), torch.ones(1, 1, kernel, kernel), stride=stride, padding=padding
        )
        assert painted[..., 1:-1, 1:-1].unique().numel() == 1


@pytest.mark.parametrize(
    "labels, says",
    [
        (None, "conditional on 10 classes: pass labels"),
        (torch.tensor([0, 10]), "between 0 and 9 but one is 10"),
        (torch.tensor([-1, 3]), "between 0 and 9 but one is -1"),
        (torch.tensor([0.0, 1.0]), "must be int64"),
        (torch.tensor([1]), r"shape \[2\]"),
        (torch.eye(10, dtype=torch.int64)[:2], r"shape \[2, 10\]"),
    ],
)
def test_missing_or_wrong_labels(labels, says):
    with pytest.raises(ValueError, match=says):
        networks.ConvGenerator(classes=10)(torch.randn(2, 64), labels)
    with pytest.raises(ValueError, match=says):
        networks.ConvDiscriminator(classes=10)(torch.randn(2, 1, 28, 28), labels)


def test_labels_for_a_network_without_classes():
    with pytest.raises(ValueError, match="knows no classes"):
        networks.ConvGenerator()(torch.randn(2, 64), torch.tensor([0, 1]))


@pytest.mark.parametrize("shape", [(1, 28, 32), (1, 30, 30)])
def test_impossible_pictures(shape):
    with pytest.raises(ValueError, match="square with a side that 4 divides"):
        networks.ConvGenerator(image_shape=shape)
    with pytest.raises(ValueError, match="crop or resize"):
        networks.ConvDiscriminator(image_shape=shape)


# ---------------------------------------------------------------------------------------------- training


def glyphs(count: int = 64) -> data.Dataset:
    return data.load("glyphs", count=count)


def test_a_conditional_run_learns_resumes_and_samples_the_class_asked_for(tmp_path):
    def trainer() -> Trainer:
        torch.manual_seed(0)
        pair = networks.ConvGenerator(classes=10, width=8), networks.ConvDiscriminator(classes=10, width=4)
        return Trainer(*pair, digits.images, SMALL, seed=3, labels=digits.labels)

    digits = glyphs()
    whole, half = trainer(), trainer()
    whole.run(6)
    half.run(3, checkpoint=tmp_path / "half.ckpt")
    other = trainer()
    other.resume(tmp_path / "half.ckpt")
    other.run(3)
    for name, value in whole.generator.state_dict().items():
        assert torch.equal(value, other.generator.state_dict()[name]), name
    z = torch.randn(10, 64)
    samples = whole.sample(z, torch.arange(10))
    assert samples.shape == (10, 1, 28, 28)
    torch.testing.assert_close(samples, whole.average(z, torch.arange(10)))
    with pytest.raises(ValueError, match="pass labels"):
        whole.sample(10)


def test_each_picture_keeps_its_label():
    """Pictures that show their label as their brightness: a batch must never mix them up."""
    labels = torch.arange(10).repeat(5)
    images = (labels / 5 - 1)[:, None, None, None].expand(-1, 1, 28, 28).contiguous()
    pair = networks.ConvGenerator(classes=10, width=8), networks.ConvDiscriminator(classes=10, width=4)
    trainer = Trainer(*pair, images, SMALL, labels=labels)
    for _ in range(20):
        batch, (given,) = trainer.real_batch()
        assert torch.equal((5 * (batch[:, 0, 0, 0] + 1)).round().long(), given)


@pytest.mark.parametrize(
    "labels, says",
    [
        (torch.zeros(63, dtype=torch.int64), r"shape \[64\]"),
        (torch.zeros(64), "int64"),
        (torch.full((64,), 10), "between 0 and 9"),
        (None, "conditional on 10 classes"),
    ],
)
def test_a_conditional_pair_needs_labels_that_fit(labels, says):
    pair = networks.ConvGenerator(classes=10, width=8), networks.ConvDiscriminator(classes=10, width=4)
    with pytest.raises(ValueError, match=says):
        Trainer(*pair, glyphs().images, SMALL, labels=labels)


def test_labels_for_an_unconditional_pair():
    digits = glyphs()
    with pytest.raises(ValueError, match="knows no classes"):
        Trainer(
            networks.ConvGenerator(width=8), networks.ConvDiscriminator(width=4), digits.images, labels=digits.labels
        )
    with pytest.raises(ValueError, match="latent_dim"):  # a generator that takes noise alone
        Trainer(networks.MLPGenerator(), networks.MLPDiscriminator(), digits.images, labels=digits.labels)


def test_a_generator_without_labels_can_not_be_asked_for_a_class():
    trainer = Trainer(networks.ConvGenerator(width=8), networks.ConvDiscriminator(width=4), glyphs().images, SMALL)
    with pytest.raises(ValueError, match="leave labels out"):
        trainer.sample(4, torch.arange(4))


def test_augmentation_is_applied_to_everything_that_is_judged():
    seen = []

    def augment(images):
        seen.append(images.requires_grad)
        return images.flip(-1)

    trainer = Trainer(
        networks.ConvGenerator(width=8), networks.ConvDiscriminator(width=4), glyphs().images, SMALL, augment=augment
    )
    judged = []
    forward = trainer.discriminator.forward
    trainer.discriminator.forward = lambda images: judged.append(images) or forward(images)
    trainer.steps = 1  # a step without R1
    trainer.step()
    assert seen == [False, False, True]  # real, generated; and generated once more, for the generator to learn from
    assert len(judged) == 3
    real = judged[0].flip(-1)
    assert all(any(torch.equal(one, image) for image in trainer.images) for one in real)


def test_held_out_pictures_are_logged():
    images = glyphs(300).images
    trainer = Trainer(
        networks.ConvGenerator(width=8), networks.ConvDiscriminator(width=4), images[:64], SMALL, held_out=images[64:]
    )
    trainer.run(9)
    with torch.no_grad():
        expected = trainer.discriminator(images[64 : 64 + HELD_OUT_IMAGES]).mean().item()
    log = trainer.run(1)
    assert set(log) == {*COLUMNS, "held_out_logit"} and log["step"] == [9, 10]
    assert log["held_out_logit"][1] == pytest.approx(expected, abs=1e-5)
    digits = glyphs()
    pair = networks.ConvGenerator(classes=10, width=8), networks.ConvDiscriminator(classes=10, width=4)
    with pytest.raises(ValueError, match="held_out"):
        Trainer(*pair, digits.images, SMALL, labels=digits.labels, held_out=images)


@pytest.mark.parametrize("turns", [1, 3])
def test_the_logits_of_the_log_are_of_the_same_weights(turns):
    """Where a single picture is trained on and held out, its two logits are equal in every entry."""
    images = glyphs(1).images.expand(16, -1, -1, -1)
    settings = Settings(batch_size=8, discriminator_steps=turns)
    pair = networks.ConvGenerator(width=8), networks.ConvDiscriminator(width=4)
    log = Trainer(*pair, images, settings, held_out=images).run(23)
    assert log["step"] == [10, 20, 23] and len(set(log["real_logit"])) == 3
    assert log["held_out_logit"] == pytest.approx(log["real_logit"], abs=1e-5)


def test_held_out_pictures_are_judged_for_the_log_alone():
    images, seen = glyphs(64).images, []
    pair = networks.ConvGenerator(width=8), networks.ConvDiscriminator(width=4)
    trainer = Trainer(*pair, images[:32], SMALL, held_out=images[32:])
    judge = trainer.judge

    def counting(images, *given):
        if len(images) == 32:
            seen.append(trainer.steps)
        return judge(images, *given)

    trainer.judge = counting
    trainer.run(12)
    assert seen == [9, 11]  # the steps that become the 10th and the 12th


def test_spread_and_gradient_of_the_log():
    """Equal samples have no spread; the gradient is the one that moved the generator."""
    trainer = Trainer(networks.ConvGenerator(width=8), networks.ConvDiscriminator(width=4), glyphs().images, SMALL)
    log = trainer.run(10)
    squares = sum(p.grad.square().sum().item() for p in trainer.generator.parameters())
    assert log["g_gradient"][-1] == pytest.approx(squares**0.5, rel=1e-4)
    assert 0 < log["spread"][-1] < 10
    trainer.generator.forward = lambda z: trainer.images[:1].expand(len(z), -1, -1, -1) + 0 * z.sum()
    trainer.last_batch = trainer.last_batch[0], trainer.generator(torch.randn(8, 64))
    assert trainer.closer_look()["spread"].item() == 0


def test_learning_rates_fall_as_one_over_the_root_of_the_step():
    settings = Settings(batch_size=8, decay_after=3, generator_lr=0.01, discriminator_lr=0.02)
    trainer = Trainer(networks.ConvGenerator(width=8), networks.ConvDiscriminator(width=4), glyphs().images, settings)
    rates = []
    for _ in range(12):
        trainer.step()
        optimizers = trainer.generator_optimizer, trainer.discriminator_optimizer
        rates.append([optimizer.param_groups[0]["lr"] for optimizer in optimizers])
    assert rates[0] == rates[2] == [0.01, 0.02]
    assert rates[11] == pytest.approx([0.005, 0.01])  # step 12 is four times step 3


@pytest.mark.parametrize("wrong", [-1, 2.5])
def test_impossible_decay(wrong):
    with pytest.raises(ValueError, match="decay_after must be"):
        Settings(decay_after=wrong)


@pytest.mark.parametrize("wrong", [0, 1.5, float("nan")])
def test_impossible_share(wrong):
    with pytest.raises(ValueError, match="average_share must be"):
        Settings(average_share=wrong)
