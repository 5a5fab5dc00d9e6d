"""`diagnose` on real short runs, healthy and sick, on made-up logs of each trouble, and on what is no log."""

import math

import pytest
import torch

from gan_course import data, losses, networks
from gan_course.diagnosis import NEEDED, SHORTEST, diagnose
from gan_course.training import CONVOLUTIONAL, Settings, Trainer

RING = data.load("ring").images
DIGITS = data.load("digits").images


def points(seed=0, **knobs) -> Trainer:
    torch.manual_seed(seed)
    return Trainer(networks.PointGenerator(), networks.PointDiscriminator(), RING, Settings(**knobs), seed=seed)


def pictures(seed=0, discriminator=None, **knobs) -> Trainer:
    torch.manual_seed(seed)
    generator = networks.MLPGenerator(32, 128, (1, 8, 8))
    discriminator = discriminator or networks.MLPDiscriminator((1, 8, 8))
    return Trainer(generator, discriminator, DIGITS, Settings(**knobs), seed=seed)


@pytest.mark.parametrize("seed", range(10))
def test_no_false_alarm_on_healthy_points(seed):
    found = diagnose(points(seed).run(1000))
    assert found.verdict == "nothing suspicious", str(found)


@pytest.mark.parametrize("seed", range(10))
def test_no_false_alarm_on_healthy_pictures(seed):
    found = diagnose(pictures(seed).run(600))
    assert found.verdict == "nothing suspicious", str(found)


@pytest.mark.parametrize("seed", range(2))
def test_no_false_alarm_on_the_convolutional_recipe(seed):
    torch.manual_seed(seed)
    pair = networks.ConvGenerator(), networks.ConvDiscriminator()
    found = diagnose(Trainer(*pair, data.load("glyphs", count=4000).images, CONVOLUTIONAL, seed=seed).run(200))
    assert found.verdict == "nothing suspicious", str(found)


@pytest.mark.parametrize("seed", range(3))
def test_a_slow_discriminator_lets_the_game_collapse(seed):
    found = diagnose(points(seed, discriminator_lr=4e-5, r1_weight=0.0).run(800))
    assert "mode collapse" in [finding.trouble for finding in found.findings], str(found)


@pytest.mark.parametrize("seed", range(3))
def test_swapped_labels(seed):
    trainer = points(seed, r1_weight=0.0)
    right = losses.non_saturating_discriminator_loss
    trainer.loss = losses.Loss(lambda real, fake: right(fake, real), losses.non_saturating_generator_loss)
    assert diagnose(trainer.run(400)).verdict == "labels swapped"


@pytest.mark.parametrize("seed", range(3))
def test_a_vanished_gradient(seed):
    trainer = pictures(seed, loss="saturating", r1_weight=0.0)
    trainer.generator_optimizer = torch.optim.SGD(trainer.generator.parameters(), lr=0.05)
    for _ in range(300):
        trainer.discriminator_step()
    assert diagnose(trainer.run(400)).verdict == "generator's gradient vanished"


@pytest.mark.parametrize("seed", range(3))
def test_a_double_sigmoid(seed):
    class WrittenOut(networks.MLPDiscriminator):
        def forward(self, images):
            return 1 / (1 + torch.exp(-super().forward(images)))

    torch.manual_seed(seed)
    assert diagnose(pictures(seed, WrittenOut((1, 8, 8))).run(500)).verdict == "double sigmoid"


@pytest.mark.parametrize("seed", range(3))
def test_momentum_makes_the_game_oscillate(seed):
    log = points(seed, generator_lr=5e-3, discriminator_lr=5e-3, beta1=0.9, r1_weight=0.0).run(800)
    assert diagnose(log).verdict in ("oscillation", "discriminator too weak"), str(diagnose(log))


# ---------------------------------------------------------------------------------------------- made-up logs


def made_up(entries=90, **columns) -> dict[str, list[float]]:
    """A quiet, healthy log; ``columns`` replace some of it, by a number or by a list."""
    log = {"step": 0.0, "d_loss": 1.38, "g_loss": 0.7, "real_logit": 0.05, "fake_logit": -0.05, "spread": 1.0}
    log |= {"g_gradient": 0.3} | columns
    made = {name: value if isinstance(value, list) else [value] * entries for name, value in log.items()}
    return made | {"step": [10.0 * (i + 1) for i in range(entries)]}


def test_a_quiet_log_is_healthy_and_says_what_was_looked_at():
    found = diagnose(made_up())
    assert (found.verdict, found.findings, found.not_looked_at) == ("nothing suspicious", (), ("held_out_logit",))
    text = str(found)
    assert "d_loss 1.38" in text and "spread 1" in text and "Could not look at: held_out_logit" in text
    assert "learned by heart" in text  # what no log shows


@pytest.mark.parametrize(
    "columns, verdict",
    [
        ({"real_logit": -1.0, "fake_logit": 1.0}, "labels swapped"),
        ({"real_logit": 5.0, "fake_logit": -5.0, "g_loss": 0.01}, "generator's label swapped"),
        ({"real_logit": 5.0, "fake_logit": -5.0, "g_loss": 5.0}, "discriminator too strong"),
        ({"real_logit": 5.0, "fake_logit": -5.0, "g_loss": 5.0, "g_gradient": 1e-4}, "generator's gradient vanished"),
        ({"real_logit": 2.0, "fake_logit": -0.5, "held_out_logit": -0.2}, "discriminator overfitting"),
        ({"spread": 0.1}, "mode collapse"),
        ({"spread": 0.8}, "samples of the wrong spread"),
        ({"real_logit": -0.1, "fake_logit": 0.1}, "discriminator too weak"),
        ({"d_loss": 1e3}, "diverged"),
        ({"g_loss": [0.7] * 50 + [math.nan] * 40}, "diverged"),
        ({"d_loss": [1.4] * 89 + [math.inf]}, "diverged"),
    ],
)
def test_each_trouble_by_its_symptom(columns, verdict):
    found = diagnose(made_up(**columns))
    assert found.verdict == verdict, str(found)
    assert found.findings[0].evidence and found.findings[0].advice


def test_swinging_logits_are_an_oscillation():
    swing = [math.sin(i / 3) for i in range(90)]
    found = diagnose(made_up(real_logit=swing, fake_logit=[-x for x in swing]))
    assert found.verdict == "oscillation"


def test_a_held_out_logit_that_stays_with_the_others_is_no_overfitting():
    found = diagnose(made_up(real_logit=2.0, fake_logit=-0.5, held_out_logit=1.8))
    assert found.verdict == "nothing suspicious"


def test_without_the_optional_columns():
    found = diagnose({name: values for name, values in made_up().items() if name in NEEDED})
    assert found.verdict == "nothing suspicious"
    assert found.not_looked_at == ("spread", "g_gradient", "held_out_logit")


def test_a_short_log():
    assert diagnose(made_up(SHORTEST - 1)).verdict == "too short to tell"
    assert diagnose(made_up(SHORTEST)).verdict == "nothing suspicious"
    assert diagnose(made_up(3, d_loss=math.nan)).verdict == "diverged"  # that can be told from three entries


@pytest.mark.parametrize(
    "log, error, says",
    [
        ([1, 2, 3], TypeError, "this is a list"),
        (None, TypeError, "this is a NoneType"),
        ({}, ValueError, "no column 'step' \\(it has none\\)"),
        ({"epoch": [1], "loss": [2.0]}, ValueError, "it has epoch, loss.*: rename"),
        (made_up(0), ValueError, "the log is empty"),
        (made_up() | {"g_loss": [0.7] * 80}, ValueError, "'g_loss' has 80 entries but 'step' has 90"),
        (made_up() | {"g_loss": "0.7"}, ValueError, "must be a list of numbers"),
        (made_up() | {"g_loss": ["0.7"] * 90}, ValueError, "must hold numbers but holds '0.7'"),
        (made_up() | {"g_loss": [None] * 90}, ValueError, "holds None"),
    ],
)
def test_what_is_no_log(log, error, says):
    with pytest.raises(error, match=says):
        diagnose(log)
