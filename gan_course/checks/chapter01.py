"""Checks of chapter 01: the ring, a first model, covered modes; the arrows of the game, the discriminator's batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gan_course.checks.players import Bowl, Plane
from gan_course.checks.report import Attempt, Parts, cases, check, describe, first_hint, normal

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


def _compare_centres(attempt: Attempt, modes: int, radius: float) -> None:
    """Without spread every point lies exactly on a centre."""
    points = _draw_ring(attempt, 1000, modes, radius, 0.0)
    centres = _centres(modes, radius)
    if not _all_on(points, centres):
        mistakes = [
            (_centres(modes, 1.0), "The radius has no effect: the points lie on a circle of radius 1."),
            (
                _circle(torch.linspace(0, 2 * math.pi, modes), radius),
                "The last centre falls on the first: angle 2π is angle 0 again.",
            ),
            (
                _circle(360 * torch.arange(modes) / modes, radius),
                "These are angles in degrees. Sine and cosine want radians.",
            ),
            (centres.flip(1), "The two coordinates are swapped: the first centre lies on the x axis."),
        ]
        attempt.fail(
            f"the first point {describe(points[0])}, {points[0].norm():.4g} from the origin",
            f"every point on one of {modes} centres: angles 0, 2π/{modes}, 2 * 2π/{modes}, ..., radius {radius:g}",
            first_hint(
                mistakes,
                lambda wrong: _all_on(points, wrong),
                "With spread 0 nothing is random but the choice of the centre.",
            ),
        )
    visits = torch.cdist(points, centres).argmin(dim=1).bincount(minlength=modes)
    if visits.min() < 0.5 * len(points) / modes or visits.max() > 1.6 * len(points) / modes:
        attempt.fail(
            f"{', '.join(map(str, visits.tolist()))} points in the modes",
            f"about {len(points) // modes} points in each of the {modes} modes",
            "Each point first picks its mode, all with the same probability, and independently of the others.",
        )


def _compare_spread(attempt: Attempt, radius: float, spread: float) -> None:
    points = _draw_ring(attempt, 12_000, 4, radius, spread)
    centres = _centres(4, radius)
    offsets = (points - centres[0])[torch.cdist(points, centres).argmin(dim=1) == 0]  # all points of the first mode
    if len(offsets) < 1000:
        hint = "Each point picks its mode with the same probability."
        attempt.fail(f"{len(offsets)} of 12000 points in the first of 4 modes", "about 3000", hint)
    std = offsets.std(dim=0)
    correlation = (offsets.prod(dim=1).mean() / std.prod().clamp_min(1e-12)).item()
    far = (offsets.norm(dim=1) > 2 * spread).float().mean().item()  # exp(-2) = 13.5 % of a Gaussian in the plane
    got = f"standard deviation {std[0]:.3g} in x and {std[1]:.3g} in y around the first centre"
    if (std - spread).abs().max() > 0.1 * spread:
        mistakes = [
            (
                spread**0.5,
                "You took the spread as a variance. It is the standard deviation. What is the noise multiplied by?",
            ),
            (
                spread**2,
                "You multiplied the noise by the square of the spread. What does a factor do to the deviation?",
            ),
            (spread * 3**-0.5, "This looks like uniform noise. The modes are Gaussians."),
        ]
        hint = first_hint(
            mistakes,
            lambda wrong: bool((std - wrong).abs().max() < 0.1 * wrong),
            "Each point gets its own Gaussian noise, and so does each of its two coordinates.",
        )
        attempt.fail(got, f"a standard deviation of {spread:g} in x and in y", hint)
    if abs(correlation) > 0.15:
        hint = "x and y move together: they share one random number. Each coordinate needs its own."
        attempt.fail(f"{got}, correlation {correlation:.2f}", "no correlation between x and y", hint)
    if not 0.10 < far < 0.17:
        hint = "The width is right but the shape is not. Which distribution has the bell shape?"
        attempt.fail(f"{far:.1%} of the points farther than 2 spreads", "about 13.5%, as for a Gaussian", hint)


@check("ring(count, modes, radius, spread) -> [count, 2]")
def check_ring() -> Parts:
    return {
        "shape": cases(_draw_ring, (10, 8, 1.0, 0.1), (1, 1, 1.0, 0.1), (5, 12, 1.0, 0.1)),
        "centres": cases(_compare_centres, (8, 2.0), (5, 0.5)),
        "spread": cases(_compare_spread, (3.0, 0.2), (5.0, 0.4)),
    }


# ------------------------------------------------------------------------------------------ a first generative model


def _data(dimension: int) -> Tensor:
    """500 correlated points off the origin."""
    mix = torch.tensor([[2.0, 0.0, 0.0], [1.5, 0.5, 0.0], [-0.7, 0.3, 1.0]])[:dimension, :dimension]
    return normal(500, dimension, seed=0) @ mix.T + torch.tensor([3.0, -1.0, 2.0])[:dimension]


def _draw_model(attempt: Attempt, points: Tensor, count: int) -> Tensor:
    hint = "As many new points as were asked for, each with as many coordinates as the given ones."
    samples = attempt(points.clone(), count)
    return attempt.tensor(samples, [count, points.shape[1]], hint=hint, what="the samples").detach().float()


def _compare_moments(attempt: Attempt, points: Tensor) -> None:
    samples = _draw_model(attempt, points, 20_000)
    if (samples.std(dim=0) < 1e-4).any():
        attempt.fail("samples that are all alike", "20000 different samples", "Each sample needs noise of its own.")
    mean, covariance = points.mean(dim=0), points.T.cov()
    scale = covariance.diag().sqrt()
    if ((samples.mean(dim=0) - mean).abs() > 0.07 * scale).any():
        hint = "The cloud has the wrong centre. What must be added to noise that is centred at the origin?"
        attempt.fail(f"mean {describe(samples.mean(dim=0))}", f"about the data's mean {describe(mean)}", hint)
    found = samples.T.cov()

    def about(matrix: Tensor) -> bool:
        return bool(((found - matrix).abs() <= 0.07 * matrix.diag().outer(matrix.diag()).sqrt()).all())

    if about(covariance):
        return
    root = torch.linalg.cholesky(covariance)
    mistakes = [
        (
            torch.eye(len(mean)),
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
            "The cloud is too wide: the covariance is about deviations from the mean. Was the mean taken away first?",
        ),
    ]
    hint = first_hint(mistakes, about, "Noise z has covariance I. What covariance has A z, for a matrix A?")
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


@check("gaussian_model(points [N, D], count) -> samples [count, D]")
def check_gaussian_model() -> Parts:
    return {
        "shape": cases(_draw_model, (_data(2), 7), (_data(3), 1)),
        "moments": cases(_compare_moments, [_data(2)], [_data(3)]),
        "new_points": _model_new_points,
    }


# ------------------------------------------------------------------------------------------ covered modes


def _compare_modes(
    attempt: Attempt, points: Tensor, radius: float, share: float, right: int, centres: Tensor, hint: str
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


@check("modes_covered(points [N, 2], centres [K, 2], radius, share) -> int")
def check_modes_covered() -> Parts:
    c = _centres(4, 1.0)
    return {
        "values": cases(
            _compare_modes,
            (torch.cat([c[[0, 0, 0, 1, 1]], torch.tensor([[5.0, 5.0]])]), 0.2, 0.1, 2),
            (c + 0.05, 0.2, 0.1, 4),
            (torch.zeros(6, 2), 0.2, 0.1, 0),
            centres=c,
            hint="For each centre: which share of all points lies within the radius? "
            "Then count the centres with enough.",
        ),
        "edges": cases(
            _compare_modes,
            (c[[0] * 19 + [1]], 0.2, 0.1, 1),  # one stray point
            (torch.cat([1.4 * c[[0] * 3], c[[1] * 3], 2 * c[[2] * 3]]), 0.3, 0.1, 1),  # the first lie 0.4 away
            (c[[0, 0, 1, 2]], 0.2, 0.5, 1),  # exactly the share
            centres=c,
            hint="Two limits: how near counts as near, and how many points count as enough. Which one is off?",
        ),
    }


# ------------------------------------------------------------------------------------------ arrows


def _compare_arrows(attempt: Attempt, discriminator: nn.Module, points: Tensor, right: Tensor, given: Tensor) -> None:
    p = discriminator(points.detach()).detach().sigmoid().reshape(-1, 1)
    mistakes = [
        (-right, "The arrows point downhill. The generator wants its points where the logit is higher."),
        (
            right / len(points),
            "The arrows shrink with the number of points: you took the slope of the mean of the logits.",
        ),
        (right * p * (1 - p), "That is the slope of the probability. Where D is sure it is flat: use the logit's."),
        (-right * (1 - p), "That is the slope of the loss -log D(x). The task asks for that of the logit, uphill."),
        (right * (1 - p), "That is the slope of log D(x). The task asks for that of the logit."),
        (
            right / right.norm(dim=1, keepdim=True),
            "The lengths were made equal. They say how strong the pull is: keep them.",
        ),
        (points.detach() + right, "These are the arrow's tips. The task asks for the arrow alone, from its start."),
        (points.detach(), "These are the points themselves."),
        (2 * right, "Twice as long: was a gradient of an earlier call still there and added?"),
    ]
    hint = "The slope of the logit as each point moves a little in x and a little in y. Autograd knows it."
    attempt.close(attempt(discriminator, given), right, hint, mistakes, what="arrows")


def _arrows_values(attempt: Attempt) -> None:
    points = torch.tensor([[0.0, 0.5], [1.0, 1.0], [-2.0, 0.3]])
    plane = Plane([2.0, -1.0], "D(x) = 2 x1 - x2")
    _compare_arrows(attempt, plane, points, plane.slope.detach().repeat(3, 1), points.clone())
    _compare_arrows(attempt, _hill(), points[1:], -points[1:], points[1:].clone())


def _hill() -> Bowl:
    """Highest at the origin: its gradient is ``-x``."""
    return Bowl(-0.5, 3.0, "D(x) = 3 - |x|^2 / 2")


def _arrows_twice(attempt: Attempt) -> None:
    points = torch.tensor([[1.0, 1.0], [-2.0, 0.3]])
    given, hill = points.clone(), _hill()
    for _ in range(2):
        _compare_arrows(attempt, hill, points, -points, given)


def _arrows_of_generated(attempt: Attempt) -> None:
    """Points that come out of a network carry a graph of their own."""
    points = torch.tensor([[1.0, 1.0], [-2.0, 0.3]])
    made = points * nn.Parameter(torch.ones(1))
    _compare_arrows(attempt, _hill(), points, -points, made)


@check("arrows(discriminator, points [N, 2]) -> [N, 2]")
def check_arrows() -> Parts:
    return {"values": _arrows_values, "twice": _arrows_twice, "generated": _arrows_of_generated}


# ------------------------------------------------------------------------------------------ the discriminator's batch


def _compare_batch(attempt: Attempt, real: Tensor, fake: Tensor) -> None:
    samples, targets = attempt.pair(attempt(real.clone(), fake.clone()), ("samples", "targets"))
    total = len(real) + len(fake)
    hint = "The two batches follow each other in one longer batch; a sample keeps its shape."
    samples = attempt.tensor(samples, [total, *real.shape[1:]], hint=hint, what="samples")
    attempt.close(samples, torch.cat([real, fake]), "First all real samples, then all fake ones.", what="samples")
    hint = "One target a sample, no more and no fewer."
    targets = attempt.tensor(targets, [total], [total, 1], hint=hint, what="targets")
    if not targets.is_floating_point():
        hint = "Cross-entropy compares the targets with probabilities: they must be floats."
        attempt.dtype(targets, torch.float32, "targets", hint)
    right = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])
    mistakes = [
        (1 - right, "The targets are swapped: D is the probability of being real."),
        (torch.ones(total), "D would learn to call everything real."),
        (torch.zeros(total), "D would learn to call everything fake."),
        (2 * right - 1, "The targets are probabilities: a fake has probability 0, not -1, of being real."),
    ]
    attempt.close(targets, right, "Real samples have the target 1, fake ones 0.", mistakes, what="targets")


@check("discriminator_batch(real [N, ...], fake [M, ...]) -> (samples [N + M, ...], targets [N + M])")
def check_discriminator_batch() -> Parts:
    return {
        "points": cases(
            _compare_batch, (torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]]))
        ),
        "shapes": cases(
            _compare_batch,
            (torch.full((3, 2), 0.5), torch.full((1, 2), -0.5)),
            (torch.full((2, 1, 8, 8), 0.3), torch.full((4, 1, 8, 8), -0.7)),
        ),
    }
