"""Diffusion, piece by piece: schedules, the forward process, what a network may predict, one step back, guidance, flow.

Pure functions on tensors. Chapter 07 writes most of them out; the tests compare them with the schedulers of
``diffusers``. Throughout, ``alphas_cumprod [T]`` holds ᾱ, the share of the picture's *power* that is left, for each
timestep: a noisy picture is ``√ᾱ x + √(1 - ᾱ) noise``. Timesteps count from 0 (hardly any noise) to ``T - 1``; -1 is
the clean picture, where ᾱ is 1. A timestep ``t`` is one number for the whole batch, or int64 ``[N]`` with one for each
picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import (
    Batch,
    Betas,
    Count,
    CountOrNone,
    Floats,
    Scale,
    Schedule,
    Share,
    Time,
    Timestep,
    Timesteps,
    checked,
    guard,
    refuse,
)

PREDICTIONS = ("epsilon", "v_prediction", "sample")  # what a network's output may mean, in the words of diffusers
SPACINGS = ("leading", "trailing", "linspace")

Formula = TypeVar("Formula", bound=Callable[..., Tensor])

# ------------------------------------------------------------------------------------------ the guard


def check_arguments(formula: Formula) -> Formula:
    """``formula``, but nonsense is refused with a sentence first, so that its lines can read like the paper's.

    Each argument goes through the converter that its type hint names (:mod:`gan_course.arguments`). Then, by their
    names, ``t``, ``previous``, ``prediction``, ``guidance_scale``, ``eta`` and ``noise`` are looked at together. What
    lies on a GPU is trusted: to look at it would make the program wait for the GPU at every step.
    """
    return checked(formula, also=_refuse)


def _refuse(
    *,
    x: Any = None,
    t: Any = None,
    previous: Any = None,
    alphas_cumprod: Any = (),
    prediction: str | None = None,
    guidance_scale: Any = None,
    eta: float | None = None,
    noise: Tensor | None = None,
    **_: Any,
) -> None:
    """Raise ``ValueError`` for arguments that a formula can't take."""
    end = len(alphas_cumprod)
    if previous is not None:
        _check_step(t, previous, end)
    elif isinstance(t, Tensor):
        if t.numel() not in (1, len(x)):
            raise ValueError(f"t holds {t.numel()} timesteps for {len(x)} pictures: pass one, or one for each")
        if t.device.type == "cpu":
            low, high = (x.item() for x in t.aminmax())
            if not 0 <= low <= high < end:
                raise ValueError(
                    f"timesteps must lie between 0 and {end - 1} but one is {low if low < 0 else high}: correct it"
                )
    elif t is not None and not 0 <= t < end:
        raise ValueError(f"timesteps must lie between 0 and {end - 1} but one is {t}: correct it")
    if prediction is not None and prediction not in PREDICTIONS:
        raise ValueError(f"a network can't predict {prediction!r}: choose one of {', '.join(PREDICTIONS)}")
    if isinstance(guidance_scale, Tensor):
        if guidance_scale.ndim and guidance_scale.numel() not in (1, guidance_scale.shape[0]):
            refuse(
                "guidance_scale",
                "one number, or [N, 1, ...]",
                guidance_scale,
                "give it one axis for each of the picture's",
            )
    elif guidance_scale is not None and guidance_scale < 0:
        raise ValueError(f"the guidance_scale must be 0 or more but is {guidance_scale}: 1 is no guidance, try 2")
    if eta is not None and not 0 <= eta <= 1:
        raise ValueError(f"eta must lie between 0 (no fresh noise) and 1 (as much as DDPM) but is {eta}")
    if eta and noise is None:
        raise ValueError(f"eta is {eta}, so this step adds noise: pass noise=torch.randn_like(x), or set eta=0")


def _check_step(t: Any, previous: Any, end: int) -> None:
    for name, time in (("t", t), ("previous", previous)):
        if isinstance(time, Tensor):
            if time.numel() != 1:
                raise ValueError(f"{name} must be one timestep for all pictures but holds {time.numel()}: pass one")
            if time.device.type != "cpu":
                return
    if not -1 <= previous < t < end:
        raise ValueError(f"can't step from timestep {t} to {previous}: go from at most {end - 1} down, to -1 at last")


# ------------------------------------------------------------------------------------------ schedules


def linear_betas(steps: Count = 1000, start: Share = 1e-4, end: Share = 0.02) -> Tensor:
    """How much noise each of ``steps`` adds, growing in a straight line: ``[steps]`` (DDPM, arXiv 2006.11239)."""
    return torch.linspace(start, end, steps)


def scaled_linear_betas(steps: Count = 1000, start: Share = 0.00085, end: Share = 0.012) -> Tensor:
    """The schedule of Stable Diffusion 1, 2 and XL: the *roots* grow in a straight line. ``[steps]``"""
    return torch.linspace(start**0.5, end**0.5, steps) ** 2


def cosine_betas(steps: Count = 1000) -> Tensor:
    """Betas under which √ᾱ falls about like a cosine: ``[steps]``, at most 0.999 (arXiv 2102.09672, equation 17)."""
    time = torch.arange(steps + 1, dtype=torch.float64) / steps
    alpha_bar = torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999).float()


def cumulative_alphas(betas: Betas) -> Tensor:
    """ᾱ, the share of the picture's power that is left: the running product of ``1 - beta``, ``[T]``."""
    return torch.cumprod(1 - betas, dim=0)


def signal_to_noise(alphas_cumprod: Floats) -> Tensor:
    """The power of the picture divided by the power of the noise, ``ᾱ / (1 - ᾱ)``: ``[T]``."""
    return alphas_cumprod / (1 - alphas_cumprod)


def spaced_timesteps(count: int, steps: Count = 1000, spacing: str = "trailing", offset: CountOrNone = 0) -> Tensor:
    """``count`` of the ``steps`` timesteps, from noisy to clean: int64 ``[count]``.

    ``"trailing"`` starts at the very last timestep, as it should; ``"leading"`` ends at timestep 0 and starts short of
    the last one, as Stable Diffusion's old default does, with an ``offset`` of 1; ``"linspace"`` takes in both ends
    (arXiv 2305.08891, table 2). Raises ``ValueError`` for a count that is not between 1 and ``steps``, for another
    spacing, and for an offset that leads out of the schedule.
    """
    if not 1 <= count <= steps:
        raise ValueError(f"can't take {count} of {steps} timesteps: choose from 1 to {steps}")
    if spacing not in SPACINGS:
        raise ValueError(f"there is no spacing {spacing!r}: choose one of {', '.join(SPACINGS)}")
    if spacing == "leading":
        first = (count - 1) * (steps // count) + offset
        if not 0 <= first < steps:
            raise ValueError(
                f"an offset of {offset} leads to timestep {first}, but there are {steps}: take another one"
            )
        return torch.arange(count).flip(0) * (steps // count) + offset
    if spacing == "linspace":
        return torch.linspace(0, steps - 1, count, dtype=torch.float64).round().long().flip(0)
    return (steps - torch.arange(count, dtype=torch.float64) * (steps / count)).round().long() - 1


# ------------------------------------------------------------------------------------------ forward


def extract(alphas_cumprod: Schedule, t: Timesteps, x: Floats) -> Tensor:
    """ᾱ at timestep ``t``, shaped so that it multiplies the pictures ``x [N, ...]``: one number, or ``[N, 1, ...]``.

    At ``t = -1``, the clean picture, it is 1. Numbers go to where ``x`` is; none has to come back from there.
    """
    padded = F.pad(alphas_cumprod, (1, 0), value=1.0).to(x.device, non_blocking=x.is_cuda)
    low = t if isinstance(t, int) else t.min().item() if t.device.type == "cpu" else -1
    try:
        if low < -1:  # would count from the end
            raise IndexError
        return _look_up(padded, t, x)
    except IndexError:
        refuse("t", f"timesteps from -1 to {len(alphas_cumprod) - 1}", t, "take those of this schedule")


def _look_up(padded: Tensor, t: Tensor | int, x: Tensor) -> Tensor:
    if isinstance(t, int):
        return padded[t + 1]
    t = torch.as_tensor(t).to(x.device, non_blocking=x.is_cuda)
    return padded[t.flatten() + 1].to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))


@check_arguments
def add_noise(x: Batch, noise: Batch, t: Timesteps, alphas_cumprod: Schedule) -> Tensor:
    """The pictures ``x [N, ...]`` at timestep ``t``, in one go: ``√ᾱ x + √(1 - ᾱ) noise`` (DDPM, equation 4)."""
    alpha_bar = extract(alphas_cumprod, t, x)
    return alpha_bar.sqrt() * x + (1 - alpha_bar).sqrt() * noise


@check_arguments
def velocity(x: Batch, noise: Batch, t: Timesteps, alphas_cumprod: Schedule) -> Tensor:
    """The target of v-prediction, ``√ᾱ noise - √(1 - ᾱ) x`` (arXiv 2202.00512, appendix D)."""
    alpha_bar = extract(alphas_cumprod, t, x)
    return alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x


# ------------------------------------------------------------------------------------------ what a network predicts


@check_arguments
def predicted_x0(
    x: Batch, output: Batch, t: Timesteps, alphas_cumprod: Schedule, prediction: str = "epsilon"
) -> Tensor:
    """The clean pictures that a network's ``output`` for the noisy ``x [N, ...]`` stands for.

    ``prediction`` says what the output is: the noise (``"epsilon"``), the velocity (``"v_prediction"``) or the clean
    pictures (``"sample"``). Raises ``ValueError`` for another word.
    """
    alpha_bar = extract(alphas_cumprod, t, x)
    if prediction == "epsilon":
        return (x - (1 - alpha_bar).sqrt() * output) / alpha_bar.sqrt()
    if prediction == "v_prediction":
        return alpha_bar.sqrt() * x - (1 - alpha_bar).sqrt() * output
    return output


@check_arguments
def predicted_noise(
    x: Batch, output: Batch, t: Timesteps, alphas_cumprod: Schedule, prediction: str = "epsilon"
) -> Tensor:
    """The noise that a network's ``output`` for the noisy ``x [N, ...]`` stands for; else as :func:`predicted_x0`."""
    alpha_bar = extract(alphas_cumprod, t, x)
    if prediction == "epsilon":
        return output
    if prediction == "v_prediction":
        return alpha_bar.sqrt() * output + (1 - alpha_bar).sqrt() * x
    return (x - alpha_bar.sqrt() * output) / (1 - alpha_bar).sqrt()


@check_arguments
def guide(unconditional: Batch, conditional: Batch, guidance_scale: Scale) -> Tensor:
    """Classifier-free guidance: from the unconditional output through the conditional one, and on.

    0 ignores the condition, 1 obeys it, more exaggerates it. (The scale of arXiv 2207.12598 is smaller by 1.) Raises
    ``ValueError`` for a scale that is negative or no finite number.
    """
    return unconditional + guidance_scale * (conditional - unconditional)


# ------------------------------------------------------------------------------------------ one step back


@check_arguments
def ddpm_step(x: Batch, x0: Batch, t: Timestep, previous: Timestep, alphas_cumprod: Schedule, noise: Batch) -> Tensor:
    """From the noisy ``x [N, ...]`` at timestep ``t`` to ``previous``, an earlier one, with fresh ``noise [N, ...]``.

    ``x0``: the clean pictures as the network sees them from here (:func:`predicted_x0`), clamped if you like. This is
    a draw from the distribution of the earlier pictures, if ``x0`` were right (DDPM, equations 6 and 7). The last step
    goes to ``previous = -1``; it adds no noise. Raises ``ValueError`` unless ``-1 <= previous < t < T``.
    """
    alpha_bar, alpha_bar_prev = extract(alphas_cumprod, t, x), extract(alphas_cumprod, previous, x)
    alpha = alpha_bar / alpha_bar_prev  # of all the steps from previous to t together
    mean = (alpha_bar_prev.sqrt() * (1 - alpha) * x0 + alpha.sqrt() * (1 - alpha_bar_prev) * x) / (1 - alpha_bar)
    variance = (1 - alpha) * (1 - alpha_bar_prev) / (1 - alpha_bar)
    return mean + variance.sqrt() * noise


@check_arguments
def ddim_step(
    x: Batch,
    x0: Batch,
    t: Timestep,
    previous: Timestep,
    alphas_cumprod: Schedule,
    eta: float = 0.0,
    noise: Batch | None = None,
) -> Tensor:
    """Like :func:`ddpm_step`, but with less fresh noise: ``eta`` times as much, by default none (arXiv 2010.02502).

    The noise that is already there is seen as ``(x - √ᾱ x0) / √(1 - ᾱ)`` and scaled to the earlier timestep (equation
    12). ``eta = 1`` is :func:`ddpm_step`. Raises ``ValueError`` unless ``-1 <= previous < t < T``, for an ``eta`` that
    is not between 0 and 1, and where it is above 0 and ``noise [N, ...]`` is missing.
    """
    alpha_bar, alpha_bar_prev = extract(alphas_cumprod, t, x), extract(alphas_cumprod, previous, x)
    seen = (x - alpha_bar.sqrt() * x0) / (1 - alpha_bar).sqrt()
    variance = eta**2 * (1 - alpha_bar / alpha_bar_prev) * (1 - alpha_bar_prev) / (1 - alpha_bar)
    earlier = alpha_bar_prev.sqrt() * x0 + (1 - alpha_bar_prev - variance).sqrt() * seen
    return earlier if noise is None else earlier + variance.sqrt() * noise


# ------------------------------------------------------------------------------------------ rectified flow


def flow_mix(x: Batch, noise: Batch, t: Time) -> Tensor:
    """The point at time ``t`` on the straight line from the pictures ``x [N, ...]`` (0) to the ``noise`` (1).

    ``t``: one number, or ``[N]`` (rectified flow, arXiv 2209.03003; the direction is that of Stable Diffusion 3).
    """
    t = torch.as_tensor(t)
    t = t.to(x).reshape(-1, *[1] * (x.ndim - 1)) if t.ndim else t
    return (1 - t) * x + t * noise


def _check_time(x: Tensor, noise: Tensor, t: Any) -> None:
    if isinstance(t, Tensor) and t.numel() not in (1, len(x)):
        raise ValueError(f"t holds {t.numel()} times for {len(x)} pictures: pass one, or one for each")


def flow_velocity(x: Batch, noise: Batch) -> Tensor:
    """The velocity on that line, which the network learns: ``noise - x``, the same at all times."""
    return noise - x


def euler_step(x: Batch, velocity: Batch, t: float, previous: float) -> Tensor:
    """From time ``t`` to an earlier one, straight on with the ``velocity [N, ...]`` that the network sees at ``t``."""
    return x + (previous - t) * velocity


flow_mix = checked(flow_mix, also=_check_time)
guard(__name__)
