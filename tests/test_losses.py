"""Losses against torch.nn.functional, NumPy in double precision, and finite differences."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gan_course import losses

REAL = torch.tensor([3.0, -1.5, 0.2, 8.0, -8.0], dtype=torch.float64)
FAKE = torch.tensor([-2.0, 0.7, -8.0, 1.1, 4.0], dtype=torch.float64)


def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


# (discriminator, generator), each written a second time by other means
ORACLES = {
    "non_saturating": (lambda r, f: bce(r, 1) + bce(f, 0), lambda r, f: bce(f, 1)),
    "saturating": (lambda r, f: bce(r, 1) + bce(f, 0), lambda r, f: -bce(f, 0)),
    "least_squares": (
        lambda r, f: (F.mse_loss(r, torch.ones_like(r)) + F.mse_loss(f, torch.zeros_like(f))) / 2,
        lambda r, f: F.mse_loss(f, torch.ones_like(f)) / 2,
    ),
    "hinge": (
        lambda r, f: np.maximum(0, 1 - r.numpy()).mean() + np.maximum(0, 1 + f.numpy()).mean(),
        lambda r, f: -f.numpy().mean(),
    ),
    "wasserstein": (lambda r, f: f.numpy().mean() - r.numpy().mean(), lambda r, f: -f.numpy().mean()),
    "relativistic": (lambda r, f: bce(r - f, 1), lambda r, f: bce(f - r, 1)),
}


def test_the_table_holds_exactly_the_losses_with_an_oracle():
    assert losses.LOSSES.keys() == ORACLES.keys()
    assert [name for name, loss in losses.LOSSES.items() if loss.generator_sees_real] == ["relativistic"]


@pytest.mark.parametrize("name", ORACLES)
def test_values(name):
    for got, wanted in zip(losses.LOSSES[name][:2], ORACLES[name], strict=True):
        value = got(REAL, FAKE)
        assert value.shape == ()
        assert value.item() == pytest.approx(float(wanted(REAL, FAKE)), rel=1e-12)


@pytest.mark.parametrize("name", ORACLES)
def test_batches_of_any_shape_mean_the_same(name):
    for loss in losses.LOSSES[name][:2]:
        assert loss(REAL[:, None], FAKE[:, None]).item() == pytest.approx(loss(REAL, FAKE).item(), rel=1e-12)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("real, fake", [(200.0, -200.0), (-200.0, 200.0), (200.0, 200.0), (-200.0, -200.0)])
def test_extreme_logits_stay_finite(name, real, fake):
    r, f = (torch.full((4,), v, requires_grad=True) for v in (real, fake))
    for loss in losses.LOSSES[name][:2]:
        value = loss(r, f)
        gradients = torch.autograd.grad(value, [r, f], allow_unused=True)
        assert math.isfinite(value.item())
        assert all(g.isfinite().all() for g in gradients if g is not None)


def test_extreme_logits_keep_their_value():
    """A probability would have rounded to 0 or 1 here, and its logarithm to infinity."""
    wrong, right = torch.tensor([-200.0]), torch.tensor([200.0])
    assert losses.non_saturating_discriminator_loss(wrong, right).item() == pytest.approx(400)
    assert losses.non_saturating_generator_loss(None, wrong).item() == pytest.approx(200)
    assert losses.saturating_generator_loss(None, right).item() == pytest.approx(-200)


@pytest.mark.parametrize(
    "loss, closed_form, at_minus_8",
    [
        (losses.non_saturating_generator_loss, lambda a: -1 / (1 + math.exp(a)), -0.9997),
        (losses.saturating_generator_loss, lambda a: -1 / (1 + math.exp(-a)), -0.0003),
    ],
)
def test_generator_gradients(loss, closed_form, at_minus_8):
    def slope(a):
        logit = torch.tensor([a], dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(loss(None, logit), logit)[0].item()

    def value(a):
        return loss(None, torch.tensor([a], dtype=torch.float64)).item()

    for a in (-8.0, -3.0, 0.0, 2.0, 8.0):
        assert slope(a) == pytest.approx(closed_form(a), rel=1e-12)
        assert slope(a) == pytest.approx((value(a + 1e-5) - value(a - 1e-5)) / 2e-5, rel=1e-5)
    assert round(slope(-8.0), 4) == at_minus_8


def test_the_two_generator_losses_share_their_optimum_and_direction():
    logits = torch.linspace(-6, 6, 50, dtype=torch.float64).requires_grad_()
    for loss in (losses.non_saturating_generator_loss, losses.saturating_generator_loss):
        assert (torch.autograd.grad(loss(None, logits), logits)[0] < 0).all()


def test_a_clueless_discriminator_scores_two_log_two():
    clueless = torch.zeros(7)
    loss = losses.non_saturating_discriminator_loss(clueless, clueless)
    assert loss.item() == pytest.approx(2 * math.log(2), abs=1e-6)
    assert losses.relativistic_discriminator_loss(clueless, clueless).item() == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize("name", [n for n, loss in losses.LOSSES.items() if not loss.generator_sees_real])
def test_other_generator_losses_need_no_real_logits(name):
    loss = losses.LOSSES[name].generator
    assert loss(None, FAKE).item() == loss(REAL, FAKE).item()


def test_relativistic_generator_needs_real_logits():
    with pytest.raises(ValueError, match=r"^the relativistic generator loss .* not None$"):
        losses.relativistic_generator_loss(None, FAKE)


# ---------------------------------------------------------------------------------------------- gradient penalties


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)).double()


def numeric_gradients(discriminator, points, step=1e-5):
    """Central differences of the logit by each coordinate of each point, ``[N, D]``."""
    columns = []
    with torch.no_grad():
        for i in range(points.shape[1]):
            shift = torch.zeros_like(points)
            shift[:, i] = step
            columns.append((discriminator(points + shift) - discriminator(points - shift)) / (2 * step))
    return torch.stack(columns, dim=1).numpy()


def by_weights(penalty, discriminator, step=1e-6):
    """Central differences of ``penalty()`` by every weight, and autograd's answer: two flat arrays."""
    weights = list(discriminator.parameters())
    exact = torch.autograd.grad(penalty(), weights, allow_unused=True)
    exact = [torch.zeros_like(w) if g is None else g for g, w in zip(exact, weights, strict=True)]
    numeric = []
    for weight in weights:
        flat = weight.data.view(-1)
        for i in range(len(flat)):
            kept = flat[i].item()
            values = []
            for sign in (1, -1):
                flat[i] = kept + sign * step
                values.append(penalty().item())
            flat[i] = kept
            numeric.append((values[0] - values[1]) / (2 * step))
    return np.array(numeric), torch.cat([g.flatten() for g in exact]).numpy()


def test_r1_against_finite_differences():
    discriminator, real = net(), torch.randn(6, 3, dtype=torch.float64)
    wanted = (numeric_gradients(discriminator, real) ** 2).sum(1).mean() / 2
    assert losses.r1_penalty(discriminator, real).item() == pytest.approx(wanted, rel=1e-7)
    numeric, exact = by_weights(lambda: losses.r1_penalty(discriminator, real), discriminator)
    assert np.abs(exact).max() > 1e-3
    np.testing.assert_allclose(exact, numeric, atol=1e-8)


def test_gradient_penalty_against_finite_differences():
    discriminator = net(1)
    real, fake = torch.randn(2, 6, 3, dtype=torch.float64)

    def penalty():
        return losses.gradient_penalty(discriminator, real, fake, torch.Generator().manual_seed(3))

    weight = torch.rand(6, 1, generator=torch.Generator().manual_seed(3)).double()
    length = np.sqrt((numeric_gradients(discriminator, real + weight * (fake - real)) ** 2).sum(1))
    assert penalty().item() == pytest.approx(((length - 1) ** 2).mean(), rel=1e-6)
    numeric, exact = by_weights(penalty, discriminator)
    assert np.abs(exact).max() > 1e-3
    np.testing.assert_allclose(exact, numeric, atol=1e-7)


def test_penalties_of_a_linear_discriminator_by_hand():
    """Its gradient is its weight (3, 4) everywhere: length 5, so R1 is 25 / 2 and the WGAN penalty (5 - 1)^2."""
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(2, 1))
    discriminator[1].weight.data = torch.tensor([[3.0, 4.0]])
    real, fake = torch.randn(9, 1, 1, 2), torch.randn(9, 1, 1, 2)
    assert losses.r1_penalty(discriminator, real).item() == pytest.approx(12.5)
    assert losses.gradient_penalty(discriminator, real, fake).item() == pytest.approx(16)


def test_gradient_penalty_mixes_each_sample_with_its_own_weight():
    seen = []

    def spy(x):
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    real, fake = torch.zeros(500, 1, 2, 2), torch.ones(500, 1, 2, 2)
    losses.gradient_penalty(spy, real, fake, torch.Generator().manual_seed(0))
    mixed = seen[0].flatten(1)
    assert torch.equal(mixed.amin(1), mixed.amax(1))  # one weight a picture, not a pixel
    assert len(mixed[:, 0].unique()) > 450
    assert mixed.min() >= 0 and mixed.max() <= 1 and abs(mixed.mean().item() - 0.5) < 0.05


def test_a_flat_discriminator_has_penalties_with_finite_gradients():
    discriminator = net()
    nn.init.zeros_(discriminator[2].weight)
    real = torch.randn(4, 3, dtype=torch.float64)
    for penalty, value in (
        (losses.r1_penalty(discriminator, real), 0),
        (losses.gradient_penalty(discriminator, real, -real), 1),
    ):
        assert penalty.item() == value
        gradients = torch.autograd.grad(penalty, discriminator.parameters(), allow_unused=True)
        assert all(g.isfinite().all() for g in gradients if g is not None)


def test_penalties_leave_the_pictures_alone():
    real = torch.randn(4, 3, dtype=torch.float64)
    losses.r1_penalty(net(), real).backward()
    losses.gradient_penalty(net(), real, real.clone()).backward()
    assert not real.requires_grad and real.grad is None


# ---------------------------------------------------------------------------------------------- logits or probabilities

PROBABILITIES = {
    "module": nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()),
    "function": lambda x: torch.sigmoid(LINEAR(x)),
    "method": lambda x: LINEAR(x).sigmoid(),
    "in place": lambda x: LINEAR(x).sigmoid_(),
    "squeeze": lambda x: torch.sigmoid(LINEAR(x)).squeeze(1),
    "bare squeeze": lambda x: torch.sigmoid(LINEAR(x)).squeeze(),
    "view": lambda x: torch.sigmoid(LINEAR(x)).view(-1),
    "reshape": lambda x: torch.sigmoid(LINEAR(x)).reshape(-1),
    "flatten": lambda x: torch.sigmoid(LINEAR(x)).flatten(),
    "column": lambda x: torch.sigmoid(LINEAR(x))[:, 0],
    "unsqueeze": lambda x: torch.sigmoid(LINEAR(x))[:, 0].unsqueeze(1),
    "transposed": lambda x: torch.sigmoid(LINEAR(x)).T,
    "clone": lambda x: torch.sigmoid(LINEAR(x)).clone(),
}
LOGITS = {
    "linear": nn.Linear(3, 1),
    "squeezed": lambda x: LINEAR(x).squeeze(1),
    "sigmoid inside": nn.Sequential(nn.Linear(3, 3), nn.Sigmoid(), nn.Linear(3, 1), nn.Flatten(0)),
    "SiLU": nn.Sequential(nn.Linear(3, 3), nn.SiLU(), nn.Linear(3, 1)),
    "SiLU at the end": lambda x: F.silu(LINEAR(x)),
    "log-sigmoid": lambda x: F.logsigmoid(LINEAR(x)),
    "frozen": nn.Linear(3, 1).requires_grad_(False),
}
LINEAR = nn.Linear(3, 1)


@pytest.mark.parametrize("name", PROBABILITIES)
def test_check_logits_catches_probabilities(name):
    output = PROBABILITIES[name](torch.randn(4, 3))
    with pytest.raises(ValueError, match="remove its last sigmoid") as caught:
        losses.check_logits(output)
    assert f"({output.min():.2f} to {output.max():.2f} here)" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", LOGITS)
def test_check_logits_lets_logits_pass(name):
    losses.check_logits(LOGITS[name](torch.randn(4, 3)))
