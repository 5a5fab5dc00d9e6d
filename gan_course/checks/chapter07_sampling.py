"""Checks of chapter 07, sampling: one DDIM step, guidance that keeps its contrast, a walk along a flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course import diffusion
from gan_course.checks.report import Attempt, Mistakes, run

# ------------------------------------------------------------------------------------------ DDIM


def _back(attempt: Attempt, seen: Tensor, noise: Tensor, t: int, previous: int, betas: Tensor) -> None:
    """A step for the pictures that show ``seen`` under ``noise``; where ``seen`` leaves [-1, 1] it must be clamped."""
    left = diffusion.cumulative_alphas(betas).double()
    ones = torch.cat([left, torch.ones(1).double()])  # index -1 is the clean picture
    kept, before = left[t], ones[previous]
    noisy = kept.sqrt() * seen.double() + (1 - kept).sqrt() * noise.double()

    def earlier(x0: Tensor, fresh: Tensor) -> Tensor:
        return before.sqrt() * x0 + (1 - before).sqrt() * fresh

    x0 = seen.double().clamp(-1, 1)
    again = (noisy - kept.sqrt() * x0) / (1 - kept).sqrt()
    wrong_last = left[previous]  # what index -1 gives by accident
    mistakes: Mistakes = [
        (
            earlier(seen.double(), noise.double()),
            "The clean pictures leave [-1, 1]. No real picture does: clamp them before you mix them anew.",
        ),
        (
            earlier(x0, noise.double()),
            "Once x0 is clamped, the predicted noise no longer fits it. Compute the noise anew from noisy and x0.",
        ),
        (
            wrong_last.sqrt() * x0 + (1 - wrong_last).sqrt() * again,
            "alphas_cumprod[-1] is the noisiest timestep in Python. Here, -1 means the clean picture.",
        ),
        (noisy, "Nothing happened. Mix the two parts anew with the shares of the earlier timestep."),
        (x0, "This jumps to the clean picture at once. The step ends at the earlier timestep."),
        (before * x0 + (1 - before) * again, "Shares of the power have to pass through a root."),
        (earlier(again, x0), "Picture and noise are exchanged."),
        (
            kept.sqrt() * x0 + (1 - kept).sqrt() * again,
            "This mixes with the old timestep's shares and leads back to where you were.",
        ),
    ]
    hint = "First x0 and the noise as the network sees them, then mix both with the shares of the earlier timestep."
    result = attempt(noisy.float(), noise.clone(), t, previous, left.float())
    attempt.close(result, earlier(x0, again), hint, mistakes, what="the earlier pictures", tolerance=1e-3)


def _inputs(seed: int, reach: float) -> tuple[Tensor, Tensor]:
    seen, noise = torch.randn(2, 2, 1, 2, 2, generator=torch.Generator().manual_seed(seed))
    return (seen * 9).tanh() * reach, noise


def _back_middle(attempt: Attempt) -> None:
    for t, previous in ((7, 6), (9, 2)):
        _back(attempt, *_inputs(t, 0.9), t, previous, diffusion.linear_betas(10, 0.01, 0.3))


def _back_last(attempt: Attempt) -> None:
    _back(attempt, *_inputs(3, 0.9), 4, -1, diffusion.linear_betas(10, 0.01, 0.3))


def _back_clamped(attempt: Attempt) -> None:
    for t, previous in ((8, 3), (5, 0)):
        _back(attempt, *_inputs(t, 1.8), t, previous, diffusion.linear_betas(10, 0.01, 0.3))


def check_step_back(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(noisy, predicted_noise, t, previous, alphas_cumprod [T]) -> earlier pictures``.

    Parts: ``middle``, ``last``, ``clamped``.
    """
    parts = {"middle": _back_middle, "last": _back_last, "clamped": _back_clamped}
    run("step_back", function, "noisy predicted_noise t previous alphas_cumprod", parts, part)


# ------------------------------------------------------------------------------------------ guidance


def _spread(x: Tensor) -> Tensor:
    """The standard deviation of each picture, shaped to divide it."""
    return x.flatten(1).std(dim=1).reshape(-1, *[1] * (x.ndim - 1))


def _rescale(attempt: Attempt, scale: float, share: float, count: int = 3) -> None:
    random = torch.Generator().manual_seed(count)
    without, given = torch.randn(2, count, 1, 4, 4, generator=random) * torch.arange(1, count + 1).reshape(-1, 1, 1, 1)
    guided = without + scale * (given - without)
    calmed = guided * _spread(given) / _spread(guided)
    right = share * calmed + (1 - share) * guided
    everything = guided * given.std() / guided.std()
    shifted = given + scale * (given - without)
    mistakes: Mistakes = [
        (guided, "Guided, but not calmed: the spread is still too large."),
        (calmed, "Calmed all the way. The share says how much of it to take."),
        ((1 - share) * calmed + share * guided, "The share is the other way round: 1 is fully calmed."),
        (
            share * everything + (1 - share) * guided,
            "One spread for the whole batch was taken. Each picture has a spread of its own.",
        ),
        (
            share * guided * _spread(guided) / _spread(given) + (1 - share) * guided,
            "The fraction is upside down: the spread grew.",
        ),
        (
            share * guided * _spread(without) / _spread(guided) + (1 - share) * guided,
            "The spread to come back to is that of the output *with* the class.",
        ),
        (
            share * shifted * _spread(given) / _spread(shifted) + (1 - share) * shifted,
            "A scale of 1 is no guidance: start at the output without the class, not at the one with it.",
        ),
        (
            share * guided / _spread(guided) + (1 - share) * guided,
            "The spread became 1. It should become that of the output with the class.",
        ),
    ]
    hint = (
        "Guide first. Then scale each guided picture to the spread of its unguided one, and mix the two by the share."
    )
    result = attempt(without.clone(), given.clone(), scale, share)
    attempt.close(result, right, hint, mistakes, what="the calmed output", tolerance=1e-3)


def _rescale_off(attempt: Attempt) -> None:
    """Without a share it is plain guidance."""
    _rescale(attempt, 3.0, 0.0)
    _rescale(attempt, 1.0, 0.0, count=1)


def _rescale_on(attempt: Attempt) -> None:
    _rescale(attempt, 4.0, 1.0, count=1)
    _rescale(attempt, 4.0, 1.0)


def _rescale_share(attempt: Attempt) -> None:
    _rescale(attempt, 4.0, 0.7)
    _rescale(attempt, 0.0, 0.3, count=2)


def check_calm_guidance(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(unconditional [N, C, H, W], conditional, scale, share) -> [N, C, H, W]``.

    Parts: ``off``, ``on``, ``share``.
    """
    parts = {"off": _rescale_off, "on": _rescale_on, "share": _rescale_share}
    run("calm_guidance", function, "unconditional conditional scale share", parts, part)


# ------------------------------------------------------------------------------------------ flow


class _Field:
    """A velocity field that remembers when it was asked. ``curved`` ones change with time and place."""

    def __init__(self, curved: bool):
        self.curved, self.times = curved, []  # type: ignore[var-annotated]
        self.description = "a field that curves" if curved else "the same velocity everywhere"

    def value(self, x: Tensor, t: float) -> Tensor:
        return x * (1 + t) - t if self.curved else torch.full_like(x, 0.5)

    def __call__(self, x: Tensor, t: Any) -> Tensor:
        self.times.append(float(torch.as_tensor(t).flatten()[0]))
        return self.value(x, self.times[-1])


def _euler(field: _Field, x: Tensor, times: Tensor, sign: float = 1.0, at_end: bool = False) -> Tensor:
    for t, previous in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        x = x + sign * (previous - t) * field.value(x, previous if at_end else t)
    return x


def _walk(attempt: Attempt, curved: bool, count: int) -> None:
    field, noise = _Field(curved), torch.linspace(-1.5, 2, 6).reshape(3, 2)
    times = torch.linspace(1, 0, count + 1, dtype=torch.float64)
    short = torch.linspace(1, 0, max(count, 2), dtype=torch.float64)
    start, right = noise.double(), _euler(field, noise.double(), times)
    result = attempt(field, noise.clone(), count)
    mistakes: Mistakes = [
        (_euler(field, start, times, sign=-1.0), "The walk goes the wrong way: time falls from 1 to 0."),
        (_euler(field, start, times.flip(0)), "The walk starts at time 0. That is the picture; noise is at time 1."),
        (_euler(field, start, times.flip(0), sign=-1.0), "Time runs from 0 to 1 while the points walk from 1 to 0."),
        (_euler(field, start, times, at_end=True), "The velocity is taken at the end of each step: ask where you are."),
        (_euler(field, start, short), "One step is missing: count steps have count + 1 times."),
        (start, "Nothing moved."),
        (start - field.value(start, 1.0), "One big step was made, whatever the count says."),
        (_sum_of_steps(field, start, times), "Each step is as long as the whole way. How long is one of count steps?"),
    ]
    hint = "From time 1 to 0 in equal steps: ask the field where you are, then go straight on for one step."
    attempt.close(result, right, hint, mistakes, what="the points", tolerance=1e-3)
    if len(field.times) != count:
        asked = f"{len(field.times)} call{'' if len(field.times) == 1 else 's'} of the field"
        few = "Fewer steps were made than asked for: count steps have count + 1 times. A curved field would show it."
        hint = few if len(field.times) < count else "Each call of a large network costs. Ask once a step."
        attempt.fail(asked, f"{count}, one for each step", hint)


def _sum_of_steps(field: _Field, x: Tensor, times: Tensor) -> Tensor:
    for t in times[:-1].tolist():
        x = x - field.value(x, t)
    return x


def _walk_straight(attempt: Attempt) -> None:
    """Where the velocity is the same everywhere, one step is as good as ten."""
    for count in (1, 4):
        _walk(attempt, False, count)


def _walk_curved(attempt: Attempt) -> None:
    for count in (1, 2, 5):
        _walk(attempt, True, count)


def check_flow_walk(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(field, noise [N, ...], count) -> [N, ...]``, ``field(x, t)``. Parts: ``straight``, ``curved``."""
    run("flow_walk", function, "field noise count", {"straight": _walk_straight, "curved": _walk_curved}, part)
