"""Checks of chapter 07: the way into the noise, learning, sampling."""

from __future__ import annotations

import math
import random
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import diffusion
from gan_course.checks.draws import hidden, nudged
from gan_course.checks.report import Attempt, Parts, cases, check
from gan_course.checks.values import normal, per_picture

# ------------------------------------------------------------------------------------------ many steps in one


def _jump(attempt: Attempt, shape: tuple[int, ...], start: int, steps: list[int], betas: Tensor) -> None:
    """From ``start``, the steps up to it are as good as gone: betas of 0."""
    x, noise = normal(2, *shape, seed=shape[0])
    given, x, t = betas, x.clamp(-1, 1), torch.tensor(steps)
    betas = torch.where(torch.arange(len(given)) <= start, 0.0, given)
    left, from_clean = (diffusion.cumulative_alphas(b) for b in (betas, given))

    def mixed(alpha_bar: Tensor, rest: Tensor | None = None) -> Tensor:
        """√ᾱ x + √rest noise, each picture with its own timestep."""
        rest = 1 - alpha_bar if rest is None else rest
        return per_picture(alpha_bar[t].sqrt(), x) * x + per_picture(rest[t].sqrt(), x) * noise

    earlier, later = torch.cat([torch.ones(1), left[:-1]]), torch.cat([left[1:], left[-1:] * (1 - betas[-1])])
    overlap = left * (1 - given[max(start, 0)])
    since_last = left[t] / left[-1]
    by_index = per_picture(since_last.sqrt(), x) * x + per_picture((1 - since_last).clamp(min=0).sqrt(), x) * noise
    mistakes = [
        *([(by_index, "In Python, index -1 is the last entry. Here it is the clean picture.")] if start < 0 else []),
        *([] if start < 0 else [(mixed(from_clean), "This starts at the clean picture. Some noise is in it already.")]),
        *([] if start < 0 else [(mixed(overlap), "The step of the start itself has acted: it must not act again.")]),
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
    result = attempt(x.clone(), noise.clone(), start, t.clone(), given.clone())
    shape_hint = "The pictures keep their shape. A share for each picture must be shaped so that it can multiply it."
    attempt.tensor(result, list(x.shape), hint=shape_hint, what="the noisy pictures")
    attempt.close(result, mixed(left), hint, mistakes, what="the noisy pictures")


@check("jump_to(x [N, C, H, W], noise, start, t [N], betas [T]) -> [N, C, H, W]")
def check_jump_to() -> Parts:
    betas = torch.tensor([0.1, 0.2, 0.4])
    return {
        "same": cases(
            _jump,
            ((1, 1, 1, 2), 0, [2], betas),
            ((2, 1, 2, 2), -1, [2, 2], betas),
            ((1, 3, 4, 2), 0, [1], betas),
            ((3, 1, 2, 3), -1, [3, 3, 3], torch.tensor([0.3, 0.05, 0.2, 0.5])),
        ),  # one timestep for all
        "own": cases(
            _jump,
            ((3, 3, 4, 4), 10, [11, 40, 99], diffusion.linear_betas(100)),
            ((4, 1, 4, 4), -1, [7, 0, 3, 8], diffusion.cosine_betas(10)),
            ((2, 2, 3, 5), 1, [2, 4], torch.tensor([0.3, 0.05, 0.2, 0.5, 0.1])),
        ),
    }


# ------------------------------------------------------------------------------------------ drowned


def _drown(attempt: Attempt, betas: Tensor, ratio: float) -> None:
    left = diffusion.cumulative_alphas(betas).double()

    def first(values: Tensor) -> int:
        below = (values < ratio).nonzero()
        return int(below[0]) if len(below) else len(betas)

    power = left / (1 - left)
    right = first(power)
    mistakes = [
        (first(left), "This compares the picture's share with the ratio. By what must it be divided?"),
        (first(power.sqrt()), "Ratios of powers are asked for: no roots."),
        (int((power > ratio).sum()), "Exactly at the ratio is not below it."),
        (first((1 - betas.double()) / betas.double()), "A single step was looked at. All steps up to t act together."),
        (first(1 / power), "The ratio is upside down: picture over noise."),
        (len(betas) - right, "Count from the clean end."),
    ]
    if right < len(betas):
        mistakes += [
            (right + 1, "Off by one: timesteps count from 0."),
            (right - 1, "Off by one: here the picture is still the louder one."),
        ]
    else:
        mistakes += [
            (-1, "Where the ratio is never reached, the answer is the number of steps."),
            (len(betas) - 1, "At the last timestep the picture is still louder than asked. Then the answer is T."),
            (0, "Nothing is below the ratio here. What does argmax return for a row of False?"),
        ]
    hint = "Compute picture power / noise power at each timestep. Which is the first timestep where it is too small?"
    result = attempt(betas.clone(), ratio)
    attempt.close(result, float(right), hint, mistakes, what="the timestep", tolerance=1e-6)


@check("first_drowned(betas [T], ratio) -> timestep, or T")
def check_first_drowned() -> Parts:
    schedules = diffusion.linear_betas(), diffusion.cosine_betas()

    def between(r: random.Random) -> tuple[Tensor, float]:
        """A ratio half way between those of two timesteps, or else rounding decides."""
        betas = diffusion.linear_betas(r.randint(100, 900))
        left = diffusion.cumulative_alphas(betas).double()
        at = r.randint(len(betas) // 8, len(betas) // 2)
        return betas, (left / (1 - left))[at : at + 2].log().mean().exp().item()

    return {
        "found": cases(
            _drown,
            (torch.tensor([0.1, 0.2, 0.4, 0.6, 0.8]), 1.0),
            *[(betas, ratio) for betas in schedules for ratio in (10.0, 0.1, 0.8)],
            (torch.tensor([0.02, 0.3, 0.3, 0.5]), 2.0),
            (torch.tensor([0.5, 0.5, 0.5]), 1.0),  # exactly 1 at the first timestep
            (torch.tensor([0.25, 0.5]), 3.0),  # exactly 3
            *hidden(between, 3),
        ),
        # Stable Diffusion's schedule never gets to 1 part in 1,000; the linear one does.
        "never": cases(
            _drown,
            (diffusion.scaled_linear_betas(), 0.001),
            (diffusion.linear_betas(), 0.001),
            (torch.tensor([0.9, 0.9]), 0.5),
            (torch.tensor([0.1, 0.1, 0.1]), 0.5),
            (torch.full((7,), 0.05), 1.0),
            *hidden(lambda r: (torch.full((r.randint(4, 9),), r.uniform(0.01, 0.06)), r.uniform(0.2, 0.6))),
        ),
    }


# ------------------------------------------------------------------------------------------ velocity


def _take_apart(
    attempt: Attempt, t: int, alphas_cumprod: Tensor, hint: str, shape: tuple[int, ...] = (3, 1, 4, 4)
) -> None:
    x, noise = normal(2, *shape, seed=t)
    left = alphas_cumprod.double()
    a, b = left[t].sqrt(), (1 - left[t]).sqrt()  # the strengths of picture and noise
    noisy = diffusion.add_noise(x.double(), noise.double(), t, left)
    v = diffusion.velocity(x.double(), noise.double(), t, left)
    result = attempt(noisy.float(), v.float(), t, alphas_cumprod.clone())
    pictures, found = attempt.results(result, ("the clean pictures", "the noise"))
    from_noise = [
        (a * noisy + b * v, "The sign: the velocity points from the picture to the noise."),
        (b * noisy - a * v, "The two shares are exchanged. Try t = 0: what must come out?"),
        ((noisy - b * v) / a, "This is the formula for predicted noise. Here the network gives a velocity."),
        (left[t] * noisy - (1 - left[t]) * v, "Shares of the power have to pass through a root."),
        (noisy - v, "Both count with their shares at timestep t."),
        (noise, "The order is clean pictures, noise."),
    ]
    from_picture = [
        (b * noisy - a * v, "The sign of the velocity: more of it means more noise."),
        (a * noisy + b * v, "The two shares are exchanged. Try t = 0: the picture is clean, so what is v?"),
        (v, "The velocity is not the noise. Which part of it is?"),
        ((1 - left[t]) * noisy + left[t] * v, "Shares of the power have to pass through a root."),
        (noisy + v, "Both count with their shares at timestep t."),
        (x, "The order is clean pictures, noise."),
    ]
    attempt.close(pictures, x, hint, from_noise, what="the clean pictures")
    attempt.close(found, noise, hint, from_picture, what="the noise")


@check("take_apart(noisy [N, ...], v [N, ...], t, alphas_cumprod [T]) -> (x, noise)")
def check_take_apart() -> Parts:
    left, few = (diffusion.cumulative_alphas(diffusion.cosine_betas(n)) for n in (1000, 20))
    equations = (
        "Write both equations below each other: noisy = ..., v = ... Two equations, two unknowns. Or turn the circle."
    )
    division = (
        "At the ends of the schedule one of the two shares is almost 0, and what is divided by it loses its digits. "
        "Two equations, two unknowns: can both be had from noisy and v without a division?"
    )
    return {
        "middle": cases(_take_apart, (300, left), (500, left), (800, left), (7, few), hint=equations),
        # At the very end of the cosine schedule a division by √ᾱ loses all digits.
        "ends": cases(_take_apart, (999, left), (0, left), (998, left), hint=division),
    }


# ------------------------------------------------------------------------------------------ loss


class _Recorder(nn.Module):
    """A tiny network of the chapter's kind, that remembers what it was asked."""

    description = "network"

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.of_class = nn.Parameter(torch.tensor(0.3)), nn.Parameter(torch.arange(5.0) / 4)
        self.asked: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        places = [torch.as_tensor(v).detach().clone().reshape(-1) for v in (t, labels)]
        when, which = (p.expand(len(x)) if len(p) == 1 else p for p in places)
        self.asked.append((x.detach().clone(), when, which))
        extra = self.of_class[labels] + 0.01 * t
        return self.scale * x + per_picture(extra, x)


def _loss_of(attempt: Attempt, without: list[bool], classes: list[int], shape: tuple[int, ...]) -> None:
    dropped, labels = torch.tensor(without), torch.tensor(classes)
    left = diffusion.cumulative_alphas(diffusion.cosine_betas(10))
    x, noise = normal(2, len(labels), *shape, seed=3)
    t = torch.arange(len(labels)) * 3 % 10
    network, none = _Recorder(), 4
    loss = attempt(network, x.clone(), labels.clone(), t.clone(), noise.clone(), dropped.clone(), none, left.clone())
    right_labels = torch.where(dropped, none, labels)
    noisy = diffusion.add_noise(x, noise, t, left)
    target = diffusion.velocity(x, noise, t, left)
    if not network.asked:
        hint = "The loss compares the network's output with what it should be. Call network(noisy, t, labels)."
        attempt.fail("a network that was never called", "one call of the network", hint)
    seen, when, which = (torch.cat([call[i] for call in network.asked]) for i in range(3))
    attempt.close(
        seen,
        noisy,
        "The network sees the noisy pictures: diffusion.add_noise makes them.",
        [
            (x, "The network was shown the clean pictures. It is to learn from noisy ones."),
            (noise, "The network was shown the noise alone."),
            (target, "The network was shown its own target."),
            (x + noise, "Picture and noise come in with their shares at timestep t."),
        ],
        what="the pictures that the network sees",
    )
    attempt.close(when, t, "Each picture has its own timestep.", what="the network's timesteps")
    attempt.close(
        which,
        right_labels,
        "Where dropped is true, the network is to see the number that stands for no class, else the label.",
        [
            (labels, "No label was dropped: the network would never learn to do without."),
            (torch.where(dropped, labels, none), "The wrong ones were dropped: dropped marks those to hide."),
            (torch.full_like(labels, none), "All labels were dropped."),
            (torch.where(dropped, 0, labels), "0 is a class like any other. A number of its own stands for no class."),
        ],
        what="the labels that the network sees",
    )
    output = network(noisy, t, right_labels)
    error = output - target
    attempt.close(
        loss,
        error.square().mean(),
        "The mean of the squared differences between the network's output and the velocity.",
        [
            ((output - noise).square().mean(), "The target is the noise. This network predicts the velocity."),
            ((output - x).square().mean(), "The target is the clean picture. This network predicts the velocity."),
            ((output + target).square().mean(), "The sign of the velocity: √ᾱ noise - √(1 - ᾱ) x."),
            (error.square().sum(), "The sum grows with the batch. Take the mean."),
            (error.square().sum() / len(labels), "The mean runs over all pixels, too, not only over pictures."),
            (error.abs().mean(), "The differences are squared."),
            (error.square().mean().sqrt(), "No root: the mean of the squares."),
            (error.square().mean() / 2, "Without the half."),
        ],
        what="the loss",
    )
    gradient = attempt.gradient(loss, network.scale, "the loss")
    wanted = torch.autograd.grad(error.square().mean(), network.scale)[0]
    hint = "The gradient must flow through the network's output and through nothing else."
    attempt.close(gradient, wanted, hint, what="the gradient")


@check("diffusion_loss(network, x, labels, t, noise, dropped, no_class, alphas_cumprod) -> loss")
def check_diffusion_loss() -> Parts:
    return {
        "plain": cases(
            _loss_of,
            ([False] * 3, [2, 0, 3], (1, 2, 2)),
            ([False] * 5, [1, 3, 3, 0, 2], (2, 3, 4)),
            ([False], [2], (1, 4, 3)),
        ),
        "dropped": cases(
            _loss_of,
            ([False, True, False, True], [3, 1, 0, 2], (3, 2, 2)),
            ([True] * 2, [0, 1], (1, 2, 2)),
            ([True, False, False], [2, 2, 1], (2, 3, 5)),
        ),
    }


# ------------------------------------------------------------------------------------------ DDIM


def _back(attempt: Attempt, t: int, previous: int, reach: float, shape: tuple[int, ...] = (2, 1, 2, 2)) -> None:
    """A step for pictures that show ``seen`` under ``noise``; where ``seen`` leaves [-1, 1] it must be clamped."""
    drawn, noise = normal(2, *shape, seed=t)
    seen = (drawn * 9).tanh() * reach
    alphas_cumprod = diffusion.cumulative_alphas(diffusion.linear_betas(10, 0.01, 0.3)).double()
    ones = torch.cat([alphas_cumprod, torch.ones(1).double()])  # index -1 is the clean picture
    alpha_bar, earlier_bar = alphas_cumprod[t], ones[previous]
    noisy = alpha_bar.sqrt() * seen.double() + (1 - alpha_bar).sqrt() * noise.double()

    def earlier(x0: Tensor, fresh: Tensor) -> Tensor:
        return earlier_bar.sqrt() * x0 + (1 - earlier_bar).sqrt() * fresh

    x0 = seen.double().clamp(-1, 1)
    again = (noisy - alpha_bar.sqrt() * x0) / (1 - alpha_bar).sqrt()
    wrong_last = alphas_cumprod[previous]  # what index -1 gives by accident
    mistakes = [
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
        (earlier_bar * x0 + (1 - earlier_bar) * again, "Shares of the power have to pass through a root."),
        (earlier(again, x0), "Picture and noise are exchanged."),
        (
            alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * again,
            "This mixes with the old timestep's shares and leads back to where you were.",
        ),
    ]
    hint = "First x0 and the noise as the network sees them, then mix both with the shares of the earlier timestep."
    result = attempt(noisy.float(), noise.clone(), t, previous, alphas_cumprod.float())
    attempt.close(result, earlier(x0, again), hint, mistakes, what="the earlier pictures", tolerance=1e-3)


@check("step_back(noisy, predicted_noise, t, previous, alphas_cumprod [T]) -> earlier pictures")
def check_step_back() -> Parts:
    return {
        "middle": cases(_back, (7, 6, 0.9), (9, 2, 0.9), (6, 1, 0.9, (1, 3, 2, 5))),
        "last": cases(_back, (4, -1, 0.9), (2, -1, 0.9, (3, 2, 4, 3))),
        "clamped": cases(_back, (8, 3, 1.8), (5, 0, 1.8), (9, 4, 1.5, (3, 2, 3, 4)), (6, -1, 1.8)),
    }


# ------------------------------------------------------------------------------------------ guidance


def _spread(x: Tensor) -> Tensor:
    """The standard deviation of each picture, shaped to divide it."""
    return per_picture(x.flatten(1).std(dim=1), x)


def _rescale(
    attempt: Attempt, scale: float, share: float, count: int = 3, channels: int = 1, size: tuple[int, int] = (4, 4)
) -> None:
    """Pictures of different spreads, with channels of different spreads and means."""
    widths = torch.arange(1, count + 1).reshape(-1, 1, 1, 1) * torch.arange(1, channels + 1).reshape(-1, 1, 1)
    without, given = (
        normal(2, count, channels, *size, seed=count) * widths + 0.5 * torch.arange(channels)[:, None, None]
    )
    guided = without + scale * (given - without)
    calmed = guided * _spread(given) / _spread(guided)
    right = share * calmed + (1 - share) * guided
    everything = guided * given.std() / guided.std()
    by_channel = guided * given.std(dim=(2, 3), keepdim=True) / guided.std(dim=(2, 3), keepdim=True)
    sizes = [per_picture(x.flatten(1).norm(dim=1), x) for x in (given, guided)]
    shifted = given + scale * (given - without)
    mistakes = [
        (guided, "Guided, but not calmed: the spread is still too large."),
        (calmed, "Calmed all the way. The share says how much of it to take."),
        ((1 - share) * calmed + share * guided, "The share is the other way round: 1 is fully calmed."),
        (
            share * everything + (1 - share) * guided,
            "One spread for the whole batch was taken. Each picture has a spread of its own.",
        ),
        (
            share * by_channel + (1 - share) * guided,
            "Each channel was brought back by itself. A picture has one spread, over all of its channels.",
        ),
        (
            share * guided * sizes[0] / sizes[1] + (1 - share) * guided,
            "The spread is measured around the picture's mean, not around 0.",
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


@check("calm_guidance(unconditional [N, C, H, W], conditional, scale, share) -> [N, C, H, W]")
def check_calm_guidance() -> Parts:
    return {
        "off": cases(_rescale, (3.0, 0.0), (1.0, 0.0, 1)),  # without a share it is plain guidance
        "on": cases(_rescale, (4.0, 1.0, 1), (4.0, 1.0), (2.5, 1.0, 2, 3, (4, 6))),
        "share": cases(_rescale, (4.0, 0.7), (0.0, 0.3, 2), (3.0, 0.4, 3, 3, (3, 5)), (6.0, 0.25, 1, 4, (5, 2))),
    }


# ------------------------------------------------------------------------------------------ flow


class _Field:
    """A velocity field that remembers when it was asked. ``curved`` ones change with time and place."""

    def __init__(self, curved: bool):
        self.curved, self.times, self.shape = curved, [], []  # type: ignore[var-annotated]
        self.description = "a field that curves" if curved else "the same velocity everywhere"

    def value(self, x: Tensor, t: float) -> Tensor:
        return x * (1 + t) - t if self.curved else torch.full_like(x, 0.5)

    def __call__(self, x: Tensor, t: Any) -> Tensor:
        time = torch.as_tensor(t)
        self.shape = self.shape or (list(time.shape) if time.numel() > 1 else [])
        self.times.append(float(time.flatten()[0]))
        return self.value(x, self.times[-1])


def _euler(field: _Field, x: Tensor, times: Tensor, sign: float = 1.0, at_end: bool = False) -> Tensor:
    for t, previous in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
        x = x + sign * (previous - t) * field.value(x, previous if at_end else t)
    return x


def _shifted(times: Tensor, shift: float) -> Tensor:
    return shift * times / (1 + (shift - 1) * times)


def _walk(attempt: Attempt, count: int, shift: float, curved: bool, shape: tuple[int, ...] = (3, 2)) -> None:
    field, noise = _Field(curved), nudged(torch.linspace(-1.5, 2, math.prod(shape))).reshape(shape)
    even = torch.linspace(1, 0, count + 1, dtype=torch.float64)
    times = _shifted(even, shift)
    short = _shifted(torch.linspace(1, 0, max(count, 2), dtype=torch.float64), shift)
    start, right = noise.double(), _euler(field, noise.double(), times)
    result = attempt(field, noise.clone(), count, shift)
    mistakes = [
        *([] if shift == 1 else [(_euler(field, start, even), "These steps are equal. Here the times are shifted.")]),
        *(
            []
            if shift == 1
            else [
                (_euler(field, start, _shifted(even, 1 / shift)), "Shifted to the wrong side."),
                (_equal_steps(field, start, times), "The times are shifted, but the steps are still equally long."),
            ]
        ),
        (_euler(field, start, times, sign=-1.0), "The walk goes the wrong way: time falls from 1 to 0."),
        (_euler(field, start, times.flip(0)), "The walk starts at time 0. That is the picture; noise is at time 1."),
        (_euler(field, start, times.flip(0), sign=-1.0), "Time runs from 0 to 1 while the points walk from 1 to 0."),
        (_euler(field, start, times, at_end=True), "The velocity is taken at the end of each step: ask where you are."),
        (_euler(field, start, short), "One step is missing: count steps have count + 1 times."),
        (start, "Nothing moved."),
        (start - field.value(start, 1.0), "One big step was made, whatever the count says."),
        (_sum_of_steps(field, start, times), "Each step is as long as the whole way. How long is one of count steps?"),
    ]
    hint = "From time 1 to 0: ask the field where you are, then go straight on until the next of the shifted times."
    attempt.close(result, right, hint, mistakes, what="the points", tolerance=1e-3)
    if field.shape:
        hint = "All points are at the same time: this field wants to be told once."
        attempt.fail(f"a time of shape {field.shape} for the field", "the time as one number", hint)
    if len(field.times) != count:
        asked = f"{len(field.times)} call{'' if len(field.times) == 1 else 's'} of the field"
        few = "Fewer steps were made than asked for: where the field curves, that shows."
        hint = few if len(field.times) < count else "As many calls as steps: each call of a large network costs."
        attempt.fail(asked, f"{count}, one for each step", hint)


def _equal_steps(field: _Field, x: Tensor, times: Tensor) -> Tensor:
    for t in times[:-1].tolist():
        x = x - field.value(x, t) / (len(times) - 1)
    return x


def _sum_of_steps(field: _Field, x: Tensor, times: Tensor) -> Tensor:
    for t in times[:-1].tolist():
        x = x - field.value(x, t)
    return x


@check("flow_walk(field, noise [N, ...], count, shift) -> [N, ...]", changes="noise")
def check_flow_walk() -> Parts:
    return {
        "straight": cases(_walk, (1, 1.0, False), (4, 1.0, False), (3, 3.0, False)),  # one step is as good as ten
        "curved": cases(
            _walk,
            *((1, 1.0, True), (2, 1.0, True), (5, 3.0, True), (4, 0.5, True)),
            *((3, 2.0, True, (2, 3, 2, 4)), (8, 3.0, True, (1, 5))),
        ),
    }
