"""Checks of chapter 07, the way forward: a picture at any timestep in one go, and when nothing of it is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course import diffusion
from gan_course.checks.report import Attempt, Mistakes, run

# ------------------------------------------------------------------------------------------ many steps in one


def _jump(attempt: Attempt, x: Tensor, noise: Tensor, t: Tensor, betas: Tensor) -> None:
    left = diffusion.cumulative_alphas(betas)

    def mixed(kept: Tensor, other: Tensor | None = None) -> Tensor:
        """√kept x + √other noise, each picture with its own timestep."""
        shape = (-1, *[1] * (x.ndim - 1))
        other = 1 - kept if other is None else other
        return kept[t].sqrt().reshape(shape) * x + other[t].sqrt().reshape(shape) * noise

    earlier, later = torch.cat([torch.ones(1), left[:-1]]), torch.cat([left[1:], left[-1:] * (1 - betas[-1])])
    mistakes: Mistakes = [
        (mixed(1 - betas), "This is one step, from a clean picture. How much has been kept by all steps up to t?"),
        (mixed(betas), "Betas say how much noise comes in. What is kept of the picture's power is 1 - beta."),
        (mixed(torch.cumprod(betas, 0)), "Betas say how much noise comes in. What is kept is 1 - beta."),
        (mixed((1 - betas.cumsum(0)).clamp(min=0)), "Shares that are kept one after the other multiply."),
        (mixed(earlier), "One step is missing: at t = 0, beta_0 has acted already."),
        (mixed(later), "One step too many: at t = 0, only beta_0 has acted."),
        (mixed(1 - left), "Picture and noise are exchanged."),
        (mixed(left.square(), (1 - left).square()), "Shares of the power have to pass through a root."),
        (mixed(left, torch.ones_like(left)), "The noise comes in at full strength. What share of the power is its?"),
        (
            mixed(left, (1 - left.sqrt()).square()),
            "Not the strengths but the powers add up to 1: the noise's share is 1 - ᾱ, then take the root.",
        ),
    ]
    hint = "Which share of the picture's power is kept by all steps up to t? The noise has the rest of the power."
    given = x.clone(), noise.clone(), t.clone(), betas.clone()
    result = attempt(*given)
    if not all(torch.equal(a, b) for a, b in zip(given, (x, noise, t, betas), strict=True)):
        attempt.fail("the given tensors were changed", "the tensors as they came in", "Make a new tensor.")
    shape_hint = "The pictures keep their shape. A share for each picture must be shaped so that it can multiply it."
    attempt.tensor(result, list(x.shape), hint=shape_hint, what="the noisy pictures")
    attempt.close(result, mixed(left), hint, mistakes, what="the noisy pictures")


def _batch(*shape: int) -> tuple[Tensor, Tensor]:
    x, noise = torch.randn(2, *shape, generator=torch.Generator().manual_seed(shape[0]))
    return x.clamp(-1, 1), noise


def _jump_same(attempt: Attempt) -> None:
    """One timestep for all."""
    betas = torch.tensor([0.1, 0.2, 0.4])
    _jump(attempt, *_batch(1, 1, 1, 2), torch.tensor([1]), betas)
    _jump(attempt, *_batch(2, 1, 2, 2), torch.tensor([2, 2]), betas)


def _jump_own(attempt: Attempt) -> None:
    """A timestep for each picture, and colour."""
    _jump(attempt, *_batch(3, 3, 4, 4), torch.tensor([0, 40, 99]), diffusion.linear_betas(100))
    _jump(attempt, *_batch(4, 1, 4, 4), torch.tensor([7, 0, 3, 9]), diffusion.cosine_betas(10))


def check_jump_to(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(x [N, C, H, W], noise, t [N], betas [T]) -> [N, C, H, W]``. Parts: ``same``, ``own``."""
    run("jump_to", function, "x noise t betas", {"same": _jump_same, "own": _jump_own}, part)


# ------------------------------------------------------------------------------------------ drowned


def _drown(attempt: Attempt, betas: Tensor, ratio: float) -> None:
    left = diffusion.cumulative_alphas(betas).double()

    def first(values: Tensor) -> int:
        below = (values < ratio).nonzero()
        return int(below[0]) if len(below) else len(betas)

    power = left / (1 - left)
    right = first(power)
    mistakes: Mistakes = [
        (right + 1, "Off by one: timesteps count from 0."),
        (right - 1, "Off by one: here the picture is still the louder one."),
        (first(left), "This compares the picture's share with the ratio. By what must it be divided?"),
        (first(power.sqrt()), "Ratios of powers are asked for: no roots."),
        (first((1 - betas.double()) / betas.double()), "A single step was looked at. All steps up to t act together."),
        (first(1 / power), "The ratio is upside down: picture over noise."),
        (len(betas) - right, "Count from the clean end."),
    ]
    if right == len(betas):
        mistakes = [
            (-1, "Where the ratio is never reached, the answer is the number of steps."),
            (len(betas) - 1, "At the last timestep the picture is still louder than asked. Then the answer is T."),
            (0, "Nothing is below the ratio here. What does argmax return for a row of False?"),
            *mistakes,
        ]
    hint = "Compute picture power / noise power at each timestep. Which is the first timestep where it is too small?"
    result = attempt(betas.clone(), ratio)
    if isinstance(result, bool):
        attempt.fail(str(result), "a timestep, one whole number", hint)
    attempt.close(result, float(right), hint, mistakes, what="the timestep")


def _drown_found(attempt: Attempt) -> None:
    _drown(attempt, torch.tensor([0.1, 0.2, 0.4, 0.6, 0.8]), 1.0)
    for betas in (diffusion.linear_betas(), diffusion.cosine_betas()):
        for ratio in (10.0, 0.1):
            _drown(attempt, betas, ratio)


def _drown_never(attempt: Attempt) -> None:
    """Stable Diffusion's schedule never gets to 1 part in 1,000; the linear one does."""
    _drown(attempt, diffusion.scaled_linear_betas(), 0.001)
    _drown(attempt, diffusion.linear_betas(), 0.001)
    _drown(attempt, torch.tensor([0.9, 0.9]), 0.5)


def check_first_drowned(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(betas [T], ratio) -> timestep, or T``. Parts: ``found``, ``never``."""
    run("first_drowned", function, "betas ratio", {"found": _drown_found, "never": _drown_never}, part)
