"""Checks of chapter 08, inside the sampling loop: guidance, the latents' scale, where image to image starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import RETURNS_NOTHING, Attempt, Mistakes, describe, run

# ------------------------------------------------------------------------------------------ guidance


def _compare_guidance(attempt: Attempt, both: Tensor, weight: float) -> None:
    away, towards = both.chunk(2)
    right = away + weight * (towards - away)
    mistakes = [
        (
            towards + weight * (away - towards),
            "The two halves are swapped: the answer for the negative prompt comes first.",
        ),
        (away - weight * (towards - away), "The sign is wrong: this moves away from the prompt."),
        (
            towards + weight * (towards - away),
            "A guidance of 1 must give the prompt's own answer, and 0 the other one.",
        ),
        (weight * (towards - away), "This is the way alone. From where does it start?"),
        (weight * towards, "Where is the answer for the negative prompt?"),
        ((1 - weight) * towards + weight * away, "At a guidance of 1 the prompt counts alone, not the negative one."),
        (towards, "The guidance has no effect."),
    ]
    hint = "Start at the answer for the negative prompt and walk towards the prompt's: 1 arrives there, 2 twice as far."
    attempt.close(attempt(both.clone(), weight), right, hint, mistakes, what="the guided answer")


def _halves(count: int, seed: int) -> Tensor:
    return torch.randn(2 * count, 2, 3, 3, generator=torch.Generator().manual_seed(seed))


def _guidance_one(attempt: Attempt) -> None:
    _compare_guidance(attempt, torch.tensor([[1.0, 0.0], [3.0, -2.0]]), 1.0)
    _compare_guidance(attempt, torch.tensor([[1.0, 0.0], [3.0, -2.0]]), 3.0)
    _compare_guidance(attempt, _halves(1, 1), 0.0)
    _compare_guidance(attempt, _halves(1, 2), 7.5)


def _guidance_many(attempt: Attempt) -> None:
    for count, weight in ((2, 3.0), (3, 1.0), (5, 0.5)):
        _compare_guidance(attempt, _halves(count, count), weight)


def check_guided(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(both [2N, ...], guidance_scale) -> [N, ...]``. Parts: ``one``, ``many``."""
    run("guided", function, "both guidance_scale", {"one": _guidance_one, "many": _guidance_many}, part)


# ------------------------------------------------------------------------------------------ scale


def _compare_scale(attempt: Attempt, latents: Tensor, loose: bool = False) -> None:
    spread = latents.double().square().mean().sqrt() if loose else latents.double().std()
    right = 1 / latents.double().std()
    hint = "Which number must the latents be multiplied with, so that their standard deviation becomes 1?"
    per_channel = 1 / latents.double().std(dim=(0, 2, 3))
    mistakes: Mistakes = [
        (latents.double().std(), "This is the spread itself. The scale has to undo it."),
        (1 / latents.double().var(), "The variance grows with the square of the scale."),
        (1 / latents.double().abs().max(), "One far-off value must not decide. What is wanted is a spread of 1."),
        (1 / latents.double().abs().mean(), "The spread is the standard deviation, not the mean size."),
        (per_channel.mean(), "One spread over all channels together, not the mean of each channel's."),
        (1 / (latents.double().std(dim=(1, 2, 3)).mean()), "One spread over all pictures, not the mean of each one's."),
    ]
    if not loose:
        root = latents.double().square().mean().sqrt()
        if (root - spread).abs() > 0.01 * spread:
            mistakes = [*mistakes, (1 / root, "The mean of these latents is not 0: the spread is measured around it.")]
    attempt.close(attempt(latents.clone()), right, hint, mistakes, what="the scale", tolerance=2e-3)


def _latents(count: int, spreads: tuple[float, ...], centre: float, seed: int) -> Tensor:
    noise = torch.randn(count, len(spreads), 8, 8, generator=torch.Generator().manual_seed(seed))
    return centre + torch.tensor(spreads)[:, None, None] * noise


def _scale_even(attempt: Attempt) -> None:
    for spread, seed in ((5.5, 1), (0.2, 2)):
        _compare_scale(attempt, _latents(20, (spread,) * 4, 0.0, seed), loose=True)


def _scale_uneven(attempt: Attempt) -> None:
    _compare_scale(attempt, _latents(20, (1.0, 8.0, 3.0, 0.5), 0.0, 3))
    _compare_scale(attempt, _latents(20, (2.0, 4.0, 1.0, 6.0), 2.5, 4))


def check_latent_scale(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(latents [N, C, H, W]) -> float``. Parts: ``even``, ``uneven``."""
    run("latent_scale", function, "latents", {"even": _scale_even, "uneven": _scale_uneven}, part)


# ------------------------------------------------------------------------------------------ image to image


def _steps(count: int, schedule: int) -> list[int]:
    stride = schedule // count
    return [i * stride + 1 for i in reversed(range(count))]


def _compare_start(attempt: Attempt, steps: int, strength: float, schedule: int) -> None:
    every = _steps(steps, schedule)
    taken = int(steps * strength)
    right = every[steps - taken :]
    given = attempt(torch.tensor(every), strength)
    if given is None:
        attempt.fail("None", "the timesteps that are walked", RETURNS_NOTHING)
    try:
        found = [int(t) for t in given]
    except (TypeError, ValueError, RuntimeError):  # of complex tensors, for one
        attempt.fail(describe(given), "a row of timesteps", "Return the part of the timesteps that is walked.")
    if found == right:
        return
    wrong = [
        (every[:taken], "These are the noisiest ones: the walk must end at the clean end, where noise is gone."),
        (every[: steps - taken], "These are the steps that are left out."),
        (every[taken:], "A strength of 1 must walk all the steps, and a small one only the last few."),
        (
            every[max(0, steps - taken - 1) :],
            "One step too many." if taken == steps * strength else "A part of a step is not walked: round down.",
        ),
        (every[steps - taken + 1 :], "One step too few."),
        ([t for t in every if t <= strength * schedule], "Count steps, not timesteps: the list need not be even."),
        (list(reversed(right)), "The walk goes from noisy to clean."),
    ]
    hint = "How many steps is `strength` of all of them, rounded down? Which ones: the first of the list or the last?"
    fitting = [h for answer, h in wrong if answer == found]
    shown = (f"{len(found)} timesteps {describe(tuple(found))}", f"{len(right)} timesteps {describe(tuple(right))}")
    attempt.fail(shown[0], shown[1], fitting[0] if fitting else hint)


def _start_plain(attempt: Attempt) -> None:
    for steps, strength in ((10, 0.3), (20, 0.5), (4, 1.0), (25, 0.2)):
        _compare_start(attempt, steps, strength, 1000)


def _start_rounded(attempt: Attempt) -> None:
    for steps, strength in ((10, 0.77), (25, 0.5), (7, 0.99), (30, 0.25)):
        _compare_start(attempt, steps, strength, 1000)


def check_steps_walked(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(timesteps [K], strength) -> the timesteps walked``. Parts: ``whole``, ``rounded``."""
    run("steps_walked", function, "timesteps strength", {"whole": _start_plain, "rounded": _start_rounded}, part)
