"""Logs of real short runs, sick and healthy, and logs written by hand on both sides of a threshold."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_course import data, losses, networks
from gan_course.diagnosis import NEEDED, SHORTEST, Diagnosis, diagnose
from gan_course.training import Settings, Trainer

NOT_SUSPICIOUS = "nothing suspicious"


@pytest.fixture(scope="module")
def ring():
    return data.load("ring").images


@pytest.fixture(scope="module")
def digits():
    return data.load("digits").images


class WrittenOutSigmoid(networks.MLPDiscriminator):
    def forward(self, images):
        return 1 / (1 + torch.exp(-super().forward(images)))


class NormalisedDiscriminator(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Linear(2, 64), nn.BatchNorm1d(64), nn.LeakyReLU(0.2)]
        layers += [nn.Linear(64, 64), nn.BatchNorm1d(64), nn.LeakyReLU(0.2), nn.Linear(64, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, points):
        return self.layers(points).squeeze(1)


def train(images, steps, seed=0, discriminator=None, loss=None, advance=0, plain=False, held_out=None, **knobs):
    """A short run's log: a few hundred steps at most."""
    torch.manual_seed(seed)
    if images.ndim == 2:
        generator, standard = networks.PointGenerator(), networks.PointDiscriminator
    else:
        shape = tuple(images.shape[1:])
        generator = networks.MLPGenerator(32, 128, shape)
        standard = lambda: networks.MLPDiscriminator(shape)  # noqa: E731
    pair = generator, discriminator() if discriminator else standard()
    trainer = Trainer(*pair, images, Settings(**knobs), seed=seed, held_out=held_out)
    trainer.loss = loss or trainer.loss
    if plain:
        trainer.generator_optimizer = torch.optim.SGD(generator.parameters(), lr=0.05)
    for _ in range(advance):
        trainer.discriminator_step()
    return trainer.run(steps)


def swapped_discriminator_loss(real_logits, fake_logits):
    return losses.non_saturating_discriminator_loss(fake_logits, real_logits)


def swapped_generator_loss(real_logits, fake_logits):
    return F.softplus(fake_logits).mean()


SWAPPED = losses.Loss(swapped_discriminator_loss, losses.non_saturating_generator_loss)
GENERATOR_SWAPPED = losses.Loss(losses.non_saturating_discriminator_loss, swapped_generator_loss)


# ------------------------------------------------------------------------------------------ real runs


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("steps", [200, 500])
def test_healthy_points(ring, steps, seed):
    log = train(ring, steps, seed)
    assert diagnose(log).verdict == NOT_SUSPICIOUS, diagnose(log)


@pytest.mark.parametrize("steps", [200, 400])
def test_healthy_pictures(digits, steps):
    log = train(digits, steps)
    assert diagnose(log).verdict == NOT_SUSPICIOUS, diagnose(log)


@pytest.mark.parametrize("loss", sorted(losses.LOSSES))
def test_healthy_with_every_loss(ring, loss):
    log = train(ring, 300, loss=losses.LOSSES[loss])
    assert diagnose(log).verdict == NOT_SUSPICIOUS, diagnose(log)


def troubles(log):
    return [finding.trouble for finding in diagnose(log).findings]


def test_slow_discriminator_is_named(ring):
    assert "mode collapse" in troubles(train(ring, 400, r1_weight=0.0, discriminator_lr=1e-4))


def test_slow_generator_is_named(digits):
    log = train(digits, 300, r1_weight=0.0, generator_lr=2e-5)
    assert diagnose(log).verdict == "discriminator too strong"


def test_vanished_gradient_is_named(digits):
    log = train(digits, 250, r1_weight=0.0, loss=losses.LOSSES["saturating"], advance=300, plain=True)
    assert diagnose(log).verdict == "generator's gradient vanished"
    saved = train(digits, 400, r1_weight=0.0, advance=300, plain=True)
    assert diagnose(saved).verdict == NOT_SUSPICIOUS, diagnose(saved)


def test_momentum_is_named(ring):
    log = train(ring, 700, r1_weight=0.0, generator_lr=5e-3, discriminator_lr=5e-3, beta1=0.9)
    assert diagnose(log).verdict == "oscillation"


@pytest.mark.parametrize("r1_weight", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["ring", "digits"])
def test_swapped_labels_are_named(kind, r1_weight, request):
    images = request.getfixturevalue(kind)
    assert diagnose(train(images, 200, loss=SWAPPED, r1_weight=r1_weight)).verdict == "labels swapped"
    log = train(images, 200, loss=GENERATOR_SWAPPED, r1_weight=r1_weight)
    assert diagnose(log).verdict == "generator's label swapped"


def test_second_sigmoid_is_named(digits):
    log = train(digits, 250, discriminator=lambda: WrittenOutSigmoid((1, 8, 8)))
    assert diagnose(log).verdict == "double sigmoid"


def test_batch_norm_in_the_discriminator_is_named(ring):
    log = train(ring, 700, discriminator=NormalisedDiscriminator, r1_weight=0.0)
    assert diagnose(log).verdict == "samples of the wrong spread"


def test_overfitting_is_named_with_few_pictures_only(digits):
    wide = lambda: networks.MLPDiscriminator((1, 8, 8), hidden=512)  # noqa: E731
    few = train(digits[:30], 700, discriminator=wide, r1_weight=0.0, held_out=digits[30:], batch_size=30)
    assert diagnose(few).verdict == "discriminator overfitting", diagnose(few)
    many = train(digits[:1500], 300, held_out=digits[1500:])
    assert diagnose(many).verdict == NOT_SUSPICIOUS, diagnose(many)


# ------------------------------------------------------------------------------------------ logs by hand


def written(entries=60, **columns):
    """A log of a balanced game, with the given columns replaced by constants or lists."""
    random = np.random.default_rng(0)
    noise = lambda size: size * random.standard_normal(entries)  # noqa: E731
    log = {
        "step": 10.0 * np.arange(1, entries + 1),
        "d_loss": 1.38 + noise(0.01),
        "g_loss": 0.7 + noise(0.01),
        "real_logit": 0.05 + noise(0.02),
        "fake_logit": -0.05 + noise(0.02),
        "spread": 0.98 + noise(0.02),
        "g_gradient": 0.2 + 0.1 * random.random(entries),
    }
    log |= {name: np.broadcast_to(np.asarray(value, dtype=float), entries) for name, value in columns.items()}
    return {name: values.tolist() for name, values in log.items()}


def test_balanced_game():
    found = diagnose(written())
    assert found.findings == () and found.verdict == NOT_SUSPICIOUS
    assert found.not_looked_at == ("held_out_logit",)
    text = str(found)
    assert text.startswith("Verdict: nothing suspicious\nLooked at: medians of the last third: d_loss 1.38")
    assert "Could not look at: held_out_logit" in text and "No log shows" in text


CASES = [
    # just beyond a threshold, just within it, what it is called
    ({"real_logit": -0.6, "fake_logit": 0.6}, {"real_logit": -0.4, "fake_logit": 0.4}, "labels swapped"),
    ({"real_logit": 1.6, "fake_logit": -1.6}, {"real_logit": 1.4, "fake_logit": -1.4}, "discriminator too strong"),
    (
        {"real_logit": 2, "fake_logit": -2, "g_gradient": 0.04},
        {"real_logit": 2, "fake_logit": -2, "g_gradient": 0.06},
        "generator's gradient vanished",
    ),
    (
        {"real_logit": 3, "fake_logit": -3, "g_loss": 0.05},
        {"real_logit": 3, "fake_logit": -3, "g_loss": 3.05},
        "generator's label swapped",
    ),
    (
        {"real_logit": 0.6, "held_out_logit": -0.5, "fake_logit": -0.7},
        {"real_logit": 0.6, "held_out_logit": 0.1, "fake_logit": -0.7},
        "discriminator overfitting",
    ),
    (
        {"real_logit": 0.6, "held_out_logit": -0.5, "fake_logit": -0.5},
        {"real_logit": 0.5, "held_out_logit": -0.3, "fake_logit": -0.3},  # all of the lead is memory, but a small one
        "discriminator overfitting",
    ),
    ({"spread": 0.25}, {"spread": 0.95}, "mode collapse"),
    ({"spread": 0.65}, {"spread": 0.75}, "samples of the wrong spread"),
    ({"spread": 1.5}, {"spread": 1.3}, "samples of the wrong spread"),
    ({"fake_logit": 0.2}, {"fake_logit": -0.2}, "discriminator too weak"),
]


@pytest.mark.parametrize(("beyond", "within", "name"), CASES)
def test_both_sides_of_a_threshold(beyond, within, name):
    assert diagnose(written(**beyond)).verdict == name
    assert name not in troubles(written(**within))


def test_collapse_is_restless_and_another_narrow_spread_is_not():
    hopping = np.tile([0.3, 0.9, 0.5, 0.8], 15)
    assert diagnose(written(spread=hopping)).verdict == "mode collapse"
    assert diagnose(written(spread=np.full(60, 0.5))).verdict == "samples of the wrong spread"


def test_a_young_run_may_have_a_narrow_spread():
    assert diagnose(written(59, spread=0.5)).verdict == NOT_SUSPICIOUS
    assert diagnose(written(60, spread=0.5)).verdict == "samples of the wrong spread"
    assert diagnose(written(60, spread=np.linspace(0.4, 0.95, 60))).verdict == NOT_SUSPICIOUS
    assert diagnose(written(20, spread=0.2)).verdict == "mode collapse"


def test_oscillation_needs_both_width_and_changes_of_the_lead():
    wave = np.sin(np.arange(60))
    assert diagnose(written(real_logit=wave, fake_logit=0)).verdict == "oscillation"
    assert diagnose(written(real_logit=0.2 * wave, fake_logit=-0.02)).verdict == NOT_SUSPICIOUS  # narrow
    assert diagnose(written(real_logit=wave, fake_logit=-1.2)).verdict == NOT_SUSPICIOUS  # one player always leads
    assert diagnose(written(real_logit=wave, fake_logit=wave - 0.1)).verdict == NOT_SUSPICIOUS  # both move together


def test_logits_within_0_and_1_are_no_sigmoid_if_the_loss_is_another():
    """Least squares puts healthy logits near 0.5; cross-entropy of such logits is above 1.006."""
    cross_entropy = math.log1p(math.exp(-0.5)) + math.log1p(math.exp(0.48))
    sigmoid = {"real_logit": 0.5, "fake_logit": 0.48}
    assert diagnose(written(**sigmoid, d_loss=cross_entropy)).verdict == "double sigmoid"
    assert diagnose(written(**sigmoid, d_loss=0.25)).verdict == NOT_SUSPICIOUS


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", [*NEEDED[1:], "spread", "held_out_logit"])
def test_not_a_number_is_a_finding(name, value):
    column = np.zeros(60)
    column[41:] = value
    found = diagnose(written(**{name: column}))
    assert found.verdict == "diverged"
    assert f"{name} is {value} from entry 42 of 60 on" in found.findings[0].evidence


def test_a_huge_loss_is_a_finding_and_a_short_log_does_not_hide_it():
    assert diagnose(written(d_loss=-101.0)).verdict == "diverged"
    assert diagnose(written(5, g_loss=101.0)).verdict == "diverged"
    assert diagnose(written(g_loss=99.0)).verdict != "diverged"


def test_too_short_to_tell():
    found = diagnose(written(SHORTEST - 1, real_logit=-5.0))
    assert found.verdict == "too short to tell"
    assert f"the log has {SHORTEST - 1} entries" in str(found)
    assert diagnose(written(SHORTEST, real_logit=-5.0)).verdict == "labels swapped"


def test_needed_columns_are_enough_and_others_are_ignored():
    log = {name: written()[name] for name in NEEDED} | {"epoch": ["one"] * 60, "time": []}
    found = diagnose(log)
    assert found.verdict == NOT_SUSPICIOUS
    assert found.not_looked_at == ("spread", "g_gradient", "held_out_logit")
    strong = diagnose(log | {"real_logit": [9.0] * 60})
    assert strong.verdict == "discriminator too strong"


def test_columns_may_be_tensors_arrays_and_lists_of_scalars():
    log = written(real_logit=-5.0)
    assert diagnose({name: torch.tensor(values) for name, values in log.items()}).verdict == "labels swapped"
    assert diagnose({name: np.array(values) for name, values in log.items()}).verdict == "labels swapped"
    scalars = {name: tuple(torch.tensor(v, requires_grad=True) for v in values) for name, values in log.items()}
    assert diagnose(scalars).verdict == "labels swapped"


def test_the_log_is_left_as_it_is():
    log = written()
    before = {name: list(values) for name, values in log.items()}
    assert isinstance(diagnose(log), Diagnosis) and log == before


# ------------------------------------------------------------------------------------------ what is no log


@pytest.mark.parametrize("log", [None, [1.0, 2.0], "log", 3])
def test_not_a_dict(log):
    with pytest.raises(ValueError, match=r"^log must be a dict but is .+: give each entry a name"):
        diagnose(log)


def test_empty_log():
    with pytest.raises(ValueError, match=r"^the log is empty: train first, at least 200 steps$"):
        diagnose({name: [] for name in NEEDED})
    with pytest.raises(ValueError, match=r"no column 'step' \(it has none\): rename"):
        diagnose({})


def test_cut_log():
    log = written()
    log["g_loss"] = log["g_loss"][:17]
    with pytest.raises(
        ValueError, match=r"^column 'g_loss' has 17 entries but 'step' has 60: the log was cut; .*length$"
    ):
        diagnose(log)


def test_foreign_log():
    with pytest.raises(
        ValueError, match=r"no column 'd_loss' \(it has step, D, G\): rename its columns to step, d_loss"
    ):
        diagnose({"step": [1], "D": [1.0], "G": [2.0]})


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["1.3"] * 60, r"^column 'd_loss' must hold numbers but holds '1\.3': convert it with float\(\)$"),
        ([None] * 60, r"must hold numbers but holds None"),
        ([[1.0, 2.0]] * 60, r"must hold numbers but holds \[1\.0, 2\.0\]"),
        (torch.zeros(60, 2), r"must hold numbers but holds"),
        ("abc", r"^column 'd_loss' must be a list of numbers but is 'abc'"),
        (1.3, r"must be a list of numbers but is 1\.3"),
        (torch.tensor(1.3), r"must be a list of numbers"),
    ],
)
def test_columns_that_hold_no_numbers(column, message):
    with pytest.raises(ValueError, match=message):
        diagnose(written() | {"d_loss": column})


def test_an_untrained_trainer(digits):
    pair = networks.MLPGenerator(32, 16, (1, 8, 8)), networks.MLPDiscriminator((1, 8, 8), 16)
    with pytest.raises(ValueError, match="the log is empty"):
        diagnose(Trainer(*pair, digits).log)
