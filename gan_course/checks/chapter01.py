"""Checks of chapter 01: the ring, a first generative model, the arrows, the discriminator's batch, the covered "
"modes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, describe, run

# ------------------------------------------------------------------------------------------ ring


def _circle(angles: Tensor, radius: float) -> Tensor:
    return radius * torch.stack([angles.cos(), angles.sin()], dim=1)


def _centres(modes: int, radius: float) -> Tensor:
    return _circle(2 * math.pi * torch.arange(modes) / modes, radius)


def _draw_ring(attempt: Attempt, count: int, modes: int, radius: float, spread: float) -> Tensor:
    points = attempt(count, modes, radius, spread)
    hint = "One row a point, two coordinates a row. How many rows did the caller ask for?"
    return attempt.tensor(points, [count, 2], hint=hint, what="the points").detach().float()


def _all_on(points: Tensor, centres: Tensor) -> bool:
    return bool((torch.cdist(points, centres).min(dim=1).values < 1e-3).all())


def _ring_shape(attempt: Attempt) -> None:
    for count, modes in ((10, 8), (1, 1), (5, 12)):
        _draw_ring(attempt, count, modes, 1.0, 0.1)


def _ring_centres(attempt: Attempt) -> None:
    """Without spread every point lies exactly on a centre."""
    for modes, radius in ((8, 2.0), (5, 0.5)):
        points = _draw_ring(attempt, 1000, modes, radius, 0.0)
        centres = _centres(modes, radius)
        first = describe(points[0])
        wanted = f"every point on one of {modes} centres: angles 0, 2π/{modes}, 2 * 2π/{modes}, ..., radius {radius:g}"
        if not _all_on(points, centres):
            ends_meet = torch.linspace(0, 2 * math.pi, modes)
            degrees = 360 * torch.arange(modes) / modes
            mistakes = [
                (_centres(modes, 1.0), "The radius has no effect: the points lie on a circle of radius 1."),
                (_circle(ends_meet, radius), "The last centre falls on the first: angle 2π is angle 0 again."),
                (_circle(degrees, radius), "These are angles in degrees. Sine and cosine want radians."),
                (centres.flip(1), "The two coordinates are swapped: the first centre lies on the x axis."),
            ]
            fitting = [h for wrong, h in mistakes if _all_on(points, wrong)]
            hint = fitting[0] if fitting else "With spread 0 nothing is random but the choice of the centre."
            attempt.fail(f"the first point {first}, {points[0].norm():.4g} from the origin", wanted, hint)
        visits = torch.cdist(points, centres).argmin(dim=1).bincount(minlength=modes)
        if visits.min() < 0.5 * len(points) / modes or visits.max() > 1.6 * len(points) / modes:
            attempt.fail(
                f"{', '.join(map(str, visits.tolist()))} points in the modes",
                f"about {len(points) // modes} points in each of the {modes} modes",
                "Each point first picks its mode, all with the same probability, and independently of the others.",
            )


def _ring_spread(attempt: Attempt) -> None:
    for radius, spread in ((3.0, 0.2), (5.0, 0.4)):
        points = _draw_ring(attempt, 12_000, 4, radius, spread)
        centres = _centres(4, radius)
        offsets = (points - centres[0])[torch.cdist(points, centres).argmin(dim=1) == 0]  # all points of the first mode
        if len(offsets) < 1000:
            hint = "Each point picks its mode with the same probability."
            attempt.fail(f"{len(offsets)} of 12000 points in the first of 4 modes", "about 3000", hint)
        std = offsets.std(dim=0)
        correlation = (offsets.prod(dim=1).mean() / std.prod().clamp_min(1e-12)).item()
        far = (offsets.norm(dim=1) > 2 * spread).float().mean().item()  # exp(-2) = 13.5 % of a Gaussian in the plane
        wanted = f"a standard deviation of {spread:g} in x and in y"
        got = f"standard deviation {std[0]:.3g} in x and {std[1]:.3g} in y around the first centre"
        if (std - spread).abs().max() > 0.1 * spread:
            hint = "Each point gets its own Gaussian noise, and so does each of its two coordinates."
            if (std - spread**0.5).abs().max() < 0.1 * spread**0.5:
                hint = (
                    "You took the spread as a variance. It is the standard deviation. What is the noise multiplied by?"
                )
            elif (std - spread**2).abs().max() < 0.1 * spread**2:
                hint = "You multiplied the noise by the square of the spread. What does a factor do to the deviation?"
            elif (std - spread * 3**-0.5).abs().max() < 0.05 * spread:
                hint = "This looks like uniform noise. The modes are Gaussians."
            attempt.fail(got, wanted, hint)
        if abs(correlation) > 0.15:
            hint = "x and y move together: they share one random number. Each coordinate needs its own."
            attempt.fail(f"{got}, correlation {correlation:.2f}", "no correlation between x and y", hint)
        if not 0.10 < far < 0.17:
            hint = "The width is right but the shape is not. Which distribution has the bell shape?"
            attempt.fail(f"{far:.1%} of the points farther than 2 spreads", "about 13.5%, as for a Gaussian", hint)


def check_ring(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(count, modes, radius, spread) -> [count, 2]``. Parts: ``shape``, ``centres``, ``spread``."""
    parts = {"shape": _ring_shape, "centres": _ring_centres, "spread": _ring_spread}
    run("ring", function, "count modes radius spread", parts, part)


# ------------------------------------------------------------------------------------------ a first generative model


def _data(dimension: int) -> Tensor:
    """500 correlated points off the origin."""
    g = torch.Generator().manual_seed(0)
    mix = torch.tensor([[2.0, 0.0, 0.0], [1.5, 0.5, 0.0], [-0.7, 0.3, 1.0]])[:dimension, :dimension]
    return torch.randn(500, dimension, generator=g) @ mix.T + torch.tensor([3.0, -1.0, 2.0])[:dimension]


def _draw_model(attempt: Attempt, points: Tensor, count: int) -> Tensor:
    hint = "As many new points as were asked for, each with as many coordinates as the given ones."
    samples = attempt(points.clone(), count)
    return attempt.tensor(samples, [count, points.shape[1]], hint=hint, what="the samples").detach().float()


def _model_shape(attempt: Attempt) -> None:
    _draw_model(attempt, _data(2), 7)
    _draw_model(attempt, _data(3), 1)


def _model_moments(attempt: Attempt) -> None:
    for dimension in (2, 3):
        points = _data(dimension)
        samples = _draw_model(attempt, points, 20_000)
        if (samples.std(dim=0) < 1e-4).any():
            attempt.fail("samples that are all alike", "20000 different samples", "Each sample needs noise of its own.")
        mean, covariance = points.mean(dim=0), points.T.cov()
        scale = covariance.diag().sqrt()
        if ((samples.mean(dim=0) - mean).abs() > 0.07 * scale).any():
            hint = "The cloud has the wrong centre. What must be added to noise that is centred at the origin?"
            attempt.fail(f"mean {describe(samples.mean(dim=0))}", f"about the data's mean {describe(mean)}", hint)
        tolerance = 0.07 * scale.outer(scale)
        found = samples.T.cov()
        if ((found - covariance).abs() <= tolerance).all():
            continue
        root = torch.linalg.cholesky(covariance)
        mistakes = [
            (
                torch.eye(dimension),
                "This is plain noise around the right mean. The data's cloud is stretched and tilted.",
            ),
            (root.T @ root, "Right factor, wrong side: is each row of noise multiplied by L or by its transpose?"),
            (
                covariance @ covariance,
                "The noise was multiplied by the covariance itself, which squares it. What is its 'square root'?",
            ),
            (
                covariance.diag().diag(),
                "Each coordinate has the right width but they vary independently. The data's don't.",
            ),
            (
                points.T @ points / len(points),
                "The cloud is too wide: the covariance is about deviations from the mean. Was the mean taken away "
                "first?",
            ),
        ]
        fitting = [
            hint
            for wrong, hint in mistakes
            if ((found - wrong).abs() <= 0.07 * wrong.diag().outer(wrong.diag()).sqrt()).all()
        ]
        hint = fitting[0] if fitting else "Noise z has covariance I. What covariance has A z, for a matrix A?"
        attempt.fail(f"covariance {_rows(found)}", f"about the data's covariance {_rows(covariance)}", hint)


def _rows(matrix: Tensor) -> str:
    return "[" + ", ".join("[" + ", ".join(f"{v:.3g}" for v in row) + "]" for row in matrix.tolist()) + "]"


def _model_new_points(attempt: Attempt) -> None:
    points = _data(2)
    samples = _draw_model(attempt, points, 2000)
    if (torch.cdist(samples, points).min(dim=1).values < 1e-6).float().mean() > 0.01:
        attempt.fail(
            "points of the data set",
            "new points",
            "A generative model makes points that nobody has seen. Repeating the data is memory.",
        )
    if len(samples.unique(dim=0)) < len(samples):
        attempt.fail("the same sample more than once", "2000 different samples", "Each sample needs noise of its own.")


def check_gaussian_model(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(points [N, D], count) -> samples [count, D]``. Parts: ``shape``, ``moments``, ``new_points``."""
    parts = {"shape": _model_shape, "moments": _model_moments, "new_points": _model_new_points}
    run("gaussian_model", function, "points count", parts, part)


# ------------------------------------------------------------------------------------------ covered modes


def _compare_modes(
    attempt: Attempt, points: Tensor, centres: Tensor, radius: float, share: float, right: int, hint: str
) -> None:
    distance = torch.cdist(points, centres)
    near_by = distance < radius
    nearest = distance.argmin(dim=1).bincount(minlength=len(centres)) / len(points)
    mistakes = [
        (len(centres) - right, "That is the number of modes that are missing."),
        (int((near_by.sum(0) > 0).sum()), "One stray point does not cover a mode: it takes a share of all points."),
        (int(near_by.any(dim=1).sum()), "That is a number of points. The task asks for a number of modes."),
        (int((nearest >= share).sum()), "Points far from every centre were counted for the nearest one."),
        (
            int(((distance**2 < radius).float().mean(0) >= share).sum()),
            "The squared distance was compared with the radius.",
        ),
        (int((near_by.float().mean(0) > share).sum()), "'At least' a share includes that very share."),
        (right / len(centres), "That is a fraction. The task asks for a count."),
    ]
    result = attempt(points.clone(), centres.clone(), radius, share)
    attempt.close(result, right, hint, mistakes, what="the number of covered modes")


def _modes_values(attempt: Attempt) -> None:
    centres = _centres(4, 1.0)
    points = torch.cat([centres[[0, 0, 0, 1, 1]], torch.tensor([[5.0, 5.0]])])
    hint = "For each centre: which share of all points lies within the radius? Then count the centres with enough."
    _compare_modes(attempt, points, centres, 0.2, 0.1, 2, hint)
    _compare_modes(attempt, centres + 0.05, centres, 0.2, 0.1, 4, hint)
    _compare_modes(attempt, torch.zeros(6, 2), centres, 0.2, 0.1, 0, hint)


def _modes_edges(attempt: Attempt) -> None:
    centres = _centres(4, 1.0)
    hint = "Two limits: how near counts as near, and how many points count as enough. Which one is off?"
    stray = torch.cat([centres[[0] * 19], centres[[1]]])
    _compare_modes(attempt, stray, centres, 0.2, 0.1, 1, hint)
    outside = torch.cat([1.4 * centres[[0] * 3], centres[[1] * 3], 2 * centres[[2] * 3]])  # 0.4 from the first centre
    _compare_modes(attempt, outside, centres, 0.3, 0.1, 1, hint)
    _compare_modes(attempt, centres[[0, 0, 1, 2]], centres, 0.2, 0.5, 1, hint)  # exactly the share


def check_modes_covered(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(points [N, 2], centres [K, 2], radius, share) -> int``. Parts: ``values``, ``edges``."""
    parts = {"values": _modes_values, "edges": _modes_edges}
    run("modes_covered", function, "points centres radius share", parts, part)
