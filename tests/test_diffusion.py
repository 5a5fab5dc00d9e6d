"""Our diffusion against the schedulers of diffusers, and against what the formulas promise."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from gan_course import diffusion
from gan_course.networks import count_parameters
from gan_course.unet import DiffusionUNet

NAMES = {"linear": "linear", "scaled_linear": "scaled_linear", "cosine": "squaredcos_cap_v2"}
BETAS = {
    "linear": diffusion.linear_betas(),
    "scaled_linear": diffusion.scaled_linear_betas(),
    "cosine": diffusion.cosine_betas(),
}
RANGES = {"linear": (1e-4, 0.02), "scaled_linear": (0.00085, 0.012), "cosine": (1e-4, 0.02)}


def theirs(kind, schedule, prediction="epsilon", spacing="trailing", **options):
    """A scheduler of diffusers with our schedule, its own clipping switched off."""
    start, end = RANGES[schedule]
    return kind(
        beta_schedule=NAMES[schedule],
        beta_start=start,
        beta_end=end,
        prediction_type=prediction,
        timestep_spacing=spacing,
        clip_sample=False,
        **options,
    )


def alphas_of(schedule):
    return diffusion.cumulative_alphas(BETAS[schedule])


def pictures(count=2, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(4, count, 1, 6, 6, generator=random)


def close(a, b, tolerance=1e-5):
    return torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------------------------------------------ schedules


@pytest.mark.parametrize("schedule", NAMES)
def test_schedules(schedule):
    oracle = theirs(DDPMScheduler, schedule)
    close(BETAS[schedule], oracle.betas)
    close(alphas_of(schedule), oracle.alphas_cumprod)
    ratio = diffusion.signal_to_noise(alphas_of(schedule))
    assert (ratio[1:] < ratio[:-1]).all() and ratio[0] > 500 and ratio[-1] < 0.005


def test_the_last_step_of_stable_diffusion_still_holds_some_picture():
    """0.00466 of the power is left: sampling starts from noise purer than any seen in training."""
    assert alphas_of("scaled_linear")[-1].item() == pytest.approx(0.00466, abs=5e-6)


@pytest.mark.parametrize("spacing", diffusion.SPACINGS)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 25, 49, 50, 333, 999, 1000])
def test_spacing(spacing, count):
    offset = 1 if spacing == "leading" and count < 1000 else 0
    for kind in (DDPMScheduler, DDIMScheduler):
        oracle = theirs(kind, "linear", spacing=spacing, steps_offset=offset)
        oracle.set_timesteps(count)
        ours = diffusion.spaced_timesteps(count, 1000, spacing, offset)
        assert ours.tolist() == oracle.timesteps.tolist()
        assert len(ours) == count and ours.dtype == torch.int64


@pytest.mark.parametrize("count", [0, 1001, -5])
def test_spacing_refuses_an_impossible_count(count):
    with pytest.raises(ValueError, match=f"can't take {count} of 1000 timesteps: choose from 1 to 1000"):
        diffusion.spaced_timesteps(count)


def test_spacing_refuses_an_unknown_word_and_an_offset_that_leaves_the_schedule():
    with pytest.raises(ValueError, match="there is no spacing 'karras': choose one of leading, trailing, linspace"):
        diffusion.spaced_timesteps(10, spacing="karras")
    with pytest.raises(ValueError, match="an offset of 1 leads to timestep 1000"):
        diffusion.spaced_timesteps(1000, spacing="leading", offset=1)


# ------------------------------------------------------------------------------------------ forward


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("t", [0, 1, 500, 999])
def test_noise_and_velocity(schedule, t):
    x, noise, _, _ = pictures()
    oracle, times = theirs(DDPMScheduler, schedule), torch.full((2,), t)
    for when in (t, times):
        close(diffusion.add_noise(x, noise, when, alphas_of(schedule)), oracle.add_noise(x, noise, times))
        close(diffusion.velocity(x, noise, when, alphas_of(schedule)), oracle.get_velocity(x, noise, times))


def test_each_picture_has_its_own_timestep():
    x, noise, _, _ = pictures(3)
    times = torch.tensor([0, 400, 999])
    together = diffusion.add_noise(x, noise, times, alphas_of("cosine"))
    for i, t in enumerate(times.tolist()):
        close(together[i], diffusion.add_noise(x[i], noise[i], t, alphas_of("cosine")))


def test_one_go_has_the_distribution_of_many_steps():
    betas = BETAS["linear"][::50] * 20
    x, random = torch.full((20_000,), 0.7), torch.Generator().manual_seed(0)
    for beta in betas:
        x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn(20_000, generator=random)
    left = diffusion.cumulative_alphas(betas)[-1]
    assert x.mean().item() == pytest.approx(0.7 * left.sqrt().item(), abs=0.03)
    assert x.var().item() == pytest.approx(1 - left.item(), abs=0.03)


@pytest.mark.parametrize(("t", "wrong"), [(1000, 1000), (-1, -1), (torch.tensor([5, 2000]), 2000)])
def test_a_timestep_outside_of_the_schedule_is_named(t, wrong):
    x, noise, _, _ = pictures()
    with pytest.raises(ValueError, match=f"timesteps must lie between 0 and 999 but one is {wrong}: correct it"):
        diffusion.add_noise(x, noise, t, alphas_of("linear"))


@pytest.mark.parametrize("t", [-1, 0, 999, torch.tensor(7), torch.tensor([-1, 5])])
def test_alpha_bar_at_a_timestep_multiplies_the_pictures(t):
    """Timestep -1 is the clean picture: all of its power is left."""
    table, x = alphas_of("linear"), pictures()[0].double()
    expected = [1.0 if i < 0 else table[i].item() for i in torch.as_tensor(t).flatten().tolist()]
    found = diffusion.extract(table, t, x)
    assert found.flatten().tolist() == expected
    assert (found * x).shape == x.shape and (found * x).dtype == x.dtype


@pytest.fixture(params=["meta", "cuda"])
def far(request):
    """A device where looking at a value is an error: "meta" holds none, and a GPU would make the program wait."""
    if request.param == "meta":
        yield request.param
        return
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    torch.cuda.set_sync_debug_mode("error")
    yield request.param
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_no_step_waits_for_the_device(far, eta):
    x, output, noise, _ = pictures().to(far, non_blocking=True)
    scale, left, t = torch.ones((), device=far), alphas_of("cosine"), torch.tensor([5, 900])
    there = t.to(far, non_blocking=True)
    with pytest.raises(RuntimeError, match=r"meta|synchronizing"):
        x.sum().item()
    for table in (left, left.to(far, non_blocking=True)):
        for when in (3, t, there, there[0]):
            diffusion.add_noise(x, noise, when, table)
            diffusion.velocity(x, noise, when, table)
            for prediction in diffusion.PREDICTIONS:
                diffusion.predicted_x0(x, output, when, table, prediction)
                diffusion.predicted_noise(x, output, when, table, prediction)
        diffusion.ddpm_step(x, output, 9, 4, table, noise)
        diffusion.ddim_step(x, output, 9, -1, table, eta, noise)
    diffusion.guide(x, output, 2.0)
    diffusion.guide(x, output, scale)
    diffusion.flow_mix(x, noise, 0.5)
    diffusion.flow_mix(x, noise, torch.rand(2, device=far))
    diffusion.euler_step(x, diffusion.flow_velocity(x, noise), 1.0, 0.5)


# ------------------------------------------------------------------------------------------ predictions


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("t", [0, 500, 998])
def test_all_predictions_stand_for_the_same_pictures_and_noise(schedule, t):
    x, noise, _, _ = (p.double() for p in pictures())
    left = alphas_of(schedule).double()
    noisy = diffusion.add_noise(x, noise, t, left)
    outputs = {"epsilon": noise, "v_prediction": diffusion.velocity(x, noise, t, left), "sample": x}
    assert set(outputs) == set(diffusion.PREDICTIONS)
    for prediction, output in outputs.items():
        close(diffusion.predicted_x0(noisy, output, t, left, prediction), x)
        close(diffusion.predicted_noise(noisy, output, t, left, prediction), noise)


def test_an_unknown_prediction_is_refused():
    x, output, _, _ = pictures()
    for function in (diffusion.predicted_x0, diffusion.predicted_noise):
        with pytest.raises(ValueError, match="a network can't predict 'v': choose one of epsilon, v_prediction"):
            function(x, output, 5, alphas_of("linear"), "v")


# ------------------------------------------------------------------------------------------ one step back


def steps(count, spacing="trailing"):
    times = diffusion.spaced_timesteps(count, 1000, spacing).tolist()
    pairs = list(zip(times, [*times[1:], -1], strict=True))
    return sorted({pairs[0], pairs[len(pairs) // 2], pairs[-1]})  # the first, one in the middle, the last


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("prediction", diffusion.PREDICTIONS)
@pytest.mark.parametrize("count", [10, 50, 1000])
def test_ddpm_step(schedule, prediction, count, monkeypatch):
    x, output, noise, _ = (p.double() for p in pictures())  # at the last timestep of the cosine, x0 is in the 10,000s
    oracle = theirs(DDPMScheduler, schedule, prediction)
    oracle.set_timesteps(count)
    monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *args, **options: noise)
    for t, previous in steps(count):
        x0 = diffusion.predicted_x0(x, output, t, alphas_of(schedule), prediction)
        ours = diffusion.ddpm_step(x, x0, t, previous, alphas_of(schedule), noise)
        close(ours, oracle.step(output, t, x).prev_sample)


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("prediction", diffusion.PREDICTIONS)
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("count", [10, 50, 1000])
def test_ddim_step(schedule, prediction, eta, count):
    x, output, noise, _ = (p.double() for p in pictures())
    oracle = theirs(DDIMScheduler, schedule, prediction)
    oracle.set_timesteps(count)
    for t, previous in steps(count):
        x0 = diffusion.predicted_x0(x, output, t, alphas_of(schedule), prediction)
        ours = diffusion.ddim_step(x, x0, t, previous, alphas_of(schedule), eta, noise)
        fresh = noise if eta else None
        close(ours, oracle.step(output, t, x, eta=eta, variance_noise=fresh).prev_sample)


@pytest.mark.parametrize("schedule", NAMES)
def test_eta_one_is_ddpm(schedule):
    x, x0, noise, _ = pictures()
    left = alphas_of(schedule).double()
    for t, previous in steps(20):
        ours = diffusion.ddim_step(x.double(), x0.double(), t, previous, left, 1.0, noise.double())
        close(ours, diffusion.ddpm_step(x.double(), x0.double(), t, previous, left, noise.double()))


@pytest.mark.parametrize("schedule", NAMES)
def test_the_last_step_gives_the_clean_pictures(schedule):
    x, x0, noise, _ = pictures()
    close(diffusion.ddpm_step(x, x0, 30, -1, alphas_of(schedule), noise), x0, 1e-4)
    close(diffusion.ddim_step(x, x0, 30, -1, alphas_of(schedule)), x0, 1e-4)


def test_with_a_perfect_network_ddpm_walks_back_to_the_data():
    """Data N(0.5, 0.2²): the best guess at x0 is known in closed form, so the sampler must give that distribution."""
    random = torch.Generator().manual_seed(0)
    left, mean, variance = alphas_of("cosine").double(), 0.5, 0.04
    times = diffusion.spaced_timesteps(200).tolist()
    for stepper in ("ddpm", "ddim"):
        x = torch.randn(20_000, 1, generator=random).double()
        for t, previous in zip(times, [*times[1:], -1], strict=True):
            a = left[t]
            x0 = mean + a.sqrt() * variance / (a * variance + 1 - a) * (x - a.sqrt() * mean)
            noise = torch.randn(20_000, 1, generator=random).double()
            if stepper == "ddpm":
                x = diffusion.ddpm_step(x, x0, t, previous, left, noise)
            else:
                x = diffusion.ddim_step(x, x0, t, previous, left)
        assert x.mean().item() == pytest.approx(mean, abs=0.01)
        assert x.std().item() == pytest.approx(math.sqrt(variance), abs=0.015)


@pytest.mark.parametrize(("t", "previous"), [(5, 5), (5, 6), (1000, 5), (5, -2)])
def test_a_step_that_does_not_go_back_is_refused(t, previous):
    x, x0, noise, _ = pictures()
    for step in (
        lambda: diffusion.ddpm_step(x, x0, t, previous, alphas_of("linear"), noise),
        lambda: diffusion.ddim_step(x, x0, t, previous, alphas_of("linear")),
    ):
        with pytest.raises(ValueError, match=f"can't step from timestep {t} to {previous}: go from at most 999 down"):
            step()


def test_eta_is_checked():
    x, x0, _, _ = pictures()
    with pytest.raises(ValueError, match=r"eta is 0.5, so this step adds noise: pass noise=torch.randn_like\(x\)"):
        diffusion.ddim_step(x, x0, 9, 4, alphas_of("linear"), eta=0.5)
    for eta in (-0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match=r"eta must (lie between 0|be a finite number)"):
            diffusion.ddim_step(x, x0, 9, 4, alphas_of("linear"), eta=eta)


# ------------------------------------------------------------------------------------------ guidance and flow


def test_guidance():
    without, given, _, _ = pictures()
    close(diffusion.guide(without, given, 0.0), without)
    close(diffusion.guide(without, given, 1.0), given)
    close(diffusion.guide(without, given, 3.0), without + 3 * (given - without))
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"guidance_scale must be (0 or more|a finite number) but is"):
            diffusion.guide(without, given, wrong)


def test_flow_goes_straight():
    x, noise, _, _ = pictures()
    close(diffusion.flow_mix(x, noise, 0.0), x)
    close(diffusion.flow_mix(x, noise, 1.0), noise)
    times = torch.tensor([0.25, 0.75])
    mixed = diffusion.flow_mix(x, noise, times)
    close(mixed[1], 0.25 * x[1] + 0.75 * noise[1])
    slope = (diffusion.flow_mix(x, noise, 0.6) - diffusion.flow_mix(x, noise, 0.4)) / 0.2
    close(slope, diffusion.flow_velocity(x, noise))
    close(diffusion.euler_step(noise, diffusion.flow_velocity(x, noise), 1.0, 0.0), x)


def test_an_euler_step_of_flow_is_a_ddim_step():
    """The same two pictures, clean and noise, are mixed anew: only the names of the shares differ."""
    x0, noise, _, _ = (p.double() for p in pictures())
    t, previous = 0.8, 0.3
    left = torch.tensor([(1 - u) ** 2 / ((1 - u) ** 2 + u**2) for u in (previous, t)], dtype=torch.float64)
    flow = diffusion.euler_step(
        diffusion.flow_mix(x0, noise, t), diffusion.flow_velocity(x0, noise), t, previous
    ) / math.hypot(1 - previous, previous)
    ddim = diffusion.ddim_step(diffusion.add_noise(x0, noise, 1, left), x0, 1, 0, left)
    close(flow, ddim)


# ------------------------------------------------------------------------------------------ the network


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("classes", [0, 10])
def test_network_shapes(shape, classes):
    network = DiffusionUNet(classes=classes, image_shape=shape)
    x = torch.randn(3, *shape)
    assert network(x, 5).shape == x.shape
    assert network(x, torch.tensor([0, 500, 999])).shape == x.shape
    assert network(x[:1], 7, torch.tensor([classes])).shape == (1, *shape)
    assert network(x, 5).abs().max() == 0  # the last layer starts at 0: the first loss is the spread of the target


def awake(**options):
    """A network whose silent layers speak."""
    torch.manual_seed(0)
    network = DiffusionUNet(**options)
    for parameter in network.parameters():
        if parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


@torch.no_grad()
def test_network_hears_the_timestep_and_the_class():
    network, x = awake(classes=3), torch.randn(1, 1, 28, 28)
    answers = [network(x, t, torch.tensor([y])) for t in (10, 900) for y in range(4)]
    for i, one in enumerate(answers):
        for other in answers[:i]:
            assert (one - other).abs().max() > 1e-4
    untold = network(x, 10)  # no labels: the number that stands for "not told"
    close(untold, network(x, 10, torch.tensor([network.no_class])))


@torch.no_grad()
def test_network_treats_each_picture_by_itself():
    network, x = awake(classes=3), torch.randn(4, 1, 28, 28)
    t, labels = torch.tensor([3, 50, 400, 999]), torch.tensor([0, 3, 1, 2])
    together = network(x, t, labels)
    alone = torch.cat([network(x[i : i + 1], t[i : i + 1], labels[i : i + 1]) for i in range(4)])
    close(together, alone, 1e-4)


@torch.no_grad()
def test_every_pixel_can_see_every_other():
    network = awake()
    x = torch.randn(1, 1, 28, 28)
    changed = x.clone()
    changed[0, 0, 0, 0] += 1
    difference = (network(changed, 5) - network(x, 5)).abs()[0, 0]
    assert difference[-4:, -4:].max() > 1e-6


def test_network_learns_in_a_few_steps_and_stays_small():
    torch.manual_seed(0)
    assert count_parameters(DiffusionUNet(classes=10)) < 1.5e6
    x, labels = torch.full((16, 1, 8, 8), -1.0), torch.arange(16) % 2
    x[labels == 1] = 1.0
    network, left = DiffusionUNet(classes=2, image_shape=(1, 8, 8), width=8, middle=32), alphas_of("cosine")
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(60):
        t, noise = torch.randint(1000, (16,)), torch.randn_like(x)
        output = network(diffusion.add_noise(x, noise, t, left), t, labels)
        loss = (output - diffusion.velocity(x, noise, t, left)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_network_refuses_what_it_cannot_take():
    network, x = DiffusionUNet(classes=10), torch.randn(2, 1, 28, 28)
    with pytest.raises(ValueError, match="labels must lie between 0 and 10 but one is 11: correct it"):
        network(x, 5, torch.tensor([3, 11]))
    with pytest.raises(ValueError, match=r"labels must be int64 of shape \["):
        network(x, 5, torch.tensor([3]))
    with pytest.raises(ValueError, match="pictures must be square with a side that 4 divides"):
        DiffusionUNet(image_shape=(1, 30, 30))
