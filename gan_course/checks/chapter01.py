"""Checks of chapter 01: the ring, a first model, covered modes; the arrows of the game, the discriminator's batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gan_course.checks.draws import hidden, seeded
from gan_course.checks.players import Bowl, Plane, new_game
from gan_course.checks.report import Attempt, Parts, cases, check
from gan_course.checks.values import describe, normal
from gan_course.language import tr

# ------------------------------------------------------------------------------------------ ring


def _circle(angles: Tensor, radius: float) -> Tensor:
    return radius * torch.stack([angles.cos(), angles.sin()], dim=1)


def _centres(modes: int, radius: float) -> Tensor:
    return _circle(2 * math.pi * torch.arange(modes) / modes, radius)


def _draw_ring(attempt: Attempt, count: int, modes: int, radius: float, spread: float) -> Tensor:
    points = attempt(count, modes, radius, spread)
    hint = tr("One row a point, two coordinates a row. How many rows did the caller ask for?")
    return attempt.tensor(points, [count, 2], hint=hint, what=tr("the points")).detach().float()


def _all_on(points: Tensor, centres: Tensor) -> bool:
    gaps = (points[:, None] - centres[None]).norm(dim=2)  # cdist would lose digits
    return bool((gaps.amin(dim=1) < 1e-3).all())


def _compare_centres(attempt: Attempt, modes: int, radius: float) -> None:
    """Without spread every point lies exactly on a centre."""
    points = _draw_ring(attempt, 250 * modes, modes, radius, 0.0)
    centres, about = _centres(modes, radius), "centres"
    mistakes = [
        (_centres(modes, 1.0), tr("The radius has no effect: the points lie on a circle of radius 1.")),
        (
            _circle(torch.linspace(0, 2 * math.pi, modes), radius),
            tr("The last centre falls on the first: angle 2π is angle 0 again."),
        ),
        (
            _circle(360 * torch.arange(modes) / modes, radius),
            tr("These are angles in degrees. Sine and cosine want radians."),
        ),
        (centres.flip(1), tr("The two coordinates are swapped: the first centre lies on the x axis.")),
    ]
    on = _all_on(points, centres)
    attempt.observe(about, mistakes, lambda wrong: _all_on(points, wrong), on)
    if not on:
        attempt.fail(
            tr("the first point {first}, {away:.4g} from the origin").format(
                first=describe(points[0]), away=points[0].norm()
            ),
            tr(
                "every point on one of {modes} centres: angles 0, 2π/{modes}, 2 * 2π/{modes}, ..., radius {radius:g}"
            ).format(modes=modes, radius=radius),
            tr("With spread 0 nothing is random but the choice of the centre."),
            about,
        )
    visits = torch.cdist(points, centres).argmin(dim=1).bincount(minlength=modes)
    if visits.min() < 0.7 * len(points) / modes or visits.max() > 1.35 * len(points) / modes:
        attempt.fail(
            tr("{counts} points in the modes").format(counts=", ".join(map(str, visits.tolist()))),
            tr("about {count} points in each of the {modes} modes").format(count=len(points) // modes, modes=modes),
            tr("Each point picks its mode, all with the same probability."),
        )
    if modes > 1:
        attempt.check_random(lambda: _draw_ring(attempt, 900, modes, radius, 0.0), rows=lambda points: points)


def _kurtosis(noise: Tensor) -> float:
    """The mean fourth power of the length of ``noise [N, D]`` of variance 1: D (D + 2) for a Gaussian, whichever way
    the axes lie."""
    return noise.square().sum(dim=1).square().mean().item()


def _compare_spread(attempt: Attempt, modes: int, radius: float, spread: float) -> None:
    points = _draw_ring(attempt, 3500, modes, radius, spread)
    centres, about = _centres(modes, radius), "spread"
    offsets = points - centres[torch.cdist(points, centres).argmin(dim=1)]
    std = offsets.std(dim=0)
    correlation = (offsets.prod(dim=1).mean() / std.prod().clamp_min(1e-12)).item()
    got = tr("standard deviation {x:.3g} in x and {y:.3g} in y around the centre").format(x=std[0], y=std[1])
    mistakes = [
        (spread**0.5, tr("You took the spread as a variance. It is the standard deviation.")),
        (
            spread**2,
            tr("You multiplied the noise by the square of the spread. What does a factor do to the deviation?"),
        ),
        (spread * 3**-0.5, tr("This is as wide as uniform noise from -spread to spread. The modes are Gaussians.")),
    ]
    wide = bool((std - spread).abs().max() <= 0.07 * spread)
    attempt.observe(about, mistakes, lambda wrong: bool((std - wrong).abs().max() < 0.07 * wrong), wide)
    if not wide:
        hint = tr("Each point gets its own Gaussian noise, and so does each of its two coordinates.")
        attempt.fail(got, tr("a standard deviation of {spread:g} in x and in y").format(spread=spread), hint, about)
    if abs(correlation) > 0.1:
        hint = tr("x and y move together. Each coordinate needs its own random number.")
        attempt.fail(
            tr("{got}, correlation {correlation:.2f}").format(got=got, correlation=correlation),
            tr("no correlation between x and y"),
            hint,
        )
    centre = offsets.mean(dim=0)
    if centre.abs().max() > 0.1 * spread:
        hint = tr("Noise around a centre is as often on one side as on the other.")
        attempt.fail(
            tr("points that lie {centre} off their centre on average").format(centre=describe(centre)),
            tr("about 0"),
            hint,
        )
    fourth = _kurtosis((offsets - centre) / std)
    if not 7.0 < fourth < 9.1:
        hint = tr("The width is right but the shape is not. Which distribution has the bell shape?")
        attempt.fail(
            tr("a mean fourth power of {fourth:.2f}, in deviations").format(fourth=fourth),
            tr("about 8, as for a Gaussian in the plane"),
            hint,
        )
    attempt.check_random(lambda: _draw_ring(attempt, 900, 1, radius, spread), rows=lambda points: points)


@check("ring(count, modes, radius, spread) -> [count, 2]")
def check_ring() -> Parts:
    return {
        "shape": cases(
            _draw_ring,
            *((10, 8, 1.0, 0.1), (1, 1, 1.0, 0.1), (5, 12, 1.0, 0.1)),
            *hidden(lambda r: (r.randint(13, 99), r.randint(1, 12), 1.0, 0.1)),
        ),
        "centres": cases(
            _compare_centres,
            *((8, 2.0), (5, 0.5), (3, 4.0), (1, 3.0)),
            *hidden(lambda r: (r.choice([2, 4, 6, 7]), r.uniform(0.6, 3))),
        ),
        # With a single mode the noise may be as wide as it likes.
        "spread": cases(_compare_spread, (2, 3.0, 0.2), (2, 5.0, 0.4), (1, 0.5, 2.0), (1, 1.0, 0.7), nudge=True),
    }


# ------------------------------------------------------------------------------------------ a first generative model


def _data(dimension: int) -> Tensor:
    """500 correlated points off the origin. Their variance is not 1 even where they are not mixed."""
    mix = torch.tensor([[2.0, 0.0, 0.0], [1.5, 0.5, 0.0], [-0.7, 0.3, 1.5]])[:dimension, :dimension]
    return normal(500, dimension, seed=0) @ mix.T + torch.tensor([3.0, -1.0, 2.0])[:dimension]


def _draw_model(attempt: Attempt, points: Tensor, count: int) -> Tensor:
    hint = tr("As many new points as were asked for, each with as many coordinates as the given ones.")
    samples = attempt(points.clone(), count)
    return attempt.tensor(samples, [count, points.shape[1]], hint=hint, what=tr("the samples")).detach().float()


def _compare_moments(attempt: Attempt, points: Tensor) -> None:
    samples = _draw_model(attempt, points, 10_000)
    about = "covariance"
    if (samples.std(dim=0) < 1e-4).any():
        attempt.fail(
            tr("samples that are all alike"), tr("10000 different samples"), tr("Each sample needs noise of its own.")
        )
    mean, covariance = points.mean(dim=0), points.T.cov()
    scale = covariance.diag().sqrt()
    found = samples.T.cov()

    def about_equal(one: Tensor, other: Tensor) -> bool:
        return bool(((one - other).abs() <= 0.08 * other.diag().outer(other.diag()).sqrt()).all())

    root = torch.linalg.cholesky(covariance)
    mistakes = [
        (torch.eye(len(mean)), tr("This is plain noise of variance 1. The data's cloud is stretched and tilted.")),
        (root.T @ root, tr("Right factor, wrong side: is each row of noise multiplied by L or by its transpose?")),
        (
            covariance @ covariance,
            tr("The noise was multiplied by the covariance itself, which squares it. What is its 'square root'?"),
        ),
        (
            covariance.diag().diag(),
            tr("Each coordinate has the right width but they vary independently. The data's don't."),
        ),
        (
            points.T @ points / len(points),
            tr(
                "The cloud is too wide: the covariance is about deviations from the mean. Was the "
                "mean taken away first?"
            ),
        ),
    ]
    is_right = about_equal(found, covariance)
    attempt.observe(about, mistakes, lambda wrong: about_equal(found, wrong), is_right)
    if ((samples.mean(dim=0) - mean).abs() > 0.07 * scale).any():
        hint = tr("The cloud has the wrong centre. What must be added to noise that is centred at the origin?")
        attempt.fail(
            tr("mean {mean}").format(mean=describe(samples.mean(dim=0))),
            tr("about the data's mean {mean}").format(mean=describe(mean)),
            hint,
        )
    if not is_right:
        hint = tr("Noise z has covariance I. What covariance has A z, for a matrix A?")
        attempt.fail(
            tr("covariance {covariance}").format(covariance=_rows(found)),
            tr("about the data's covariance {covariance}").format(covariance=_rows(covariance)),
            hint,
            about,
        )


def _rows(matrix: Tensor) -> str:
    return "[" + ", ".join("[" + ", ".join(f"{v:.3g}" for v in row) + "]" for row in matrix.tolist()) + "]"


def _model_new_points(attempt: Attempt, points: Tensor) -> None:
    samples = _draw_model(attempt, points, 4000)
    if (torch.cdist(samples, points).min(dim=1).values < 1e-6).float().mean() > 0.01:
        attempt.fail(
            tr("points of the data set"),
            tr("new points"),
            tr("A generative model makes points that nobody has seen. Repeating the data is memory."),
        )
    if len(samples.unique(dim=0)) < len(samples):
        attempt.fail(
            tr("the same sample more than once"),
            tr("4000 different samples"),
            tr("Each sample needs noise of its own."),
        )
    mean, root = samples.mean(dim=0), torch.linalg.cholesky(samples.T.cov())
    rounded = torch.linalg.solve_triangular(root, (samples - mean).T, upper=False).T
    fourth, gaussian = _kurtosis(rounded), len(mean) * (len(mean) + 2)
    if abs(fourth - gaussian) > 0.09 * gaussian:
        hint = tr("The widths don't tell all: a Gaussian has the shape of a bell. From which noise do you start?")
        got = tr("a mean fourth power of {fourth:.2f}, in standard deviations").format(fourth=fourth)
        attempt.fail(got, tr("about {gaussian}, as for a Gaussian").format(gaussian=gaussian), hint)
    attempt.check_random(lambda: _draw_model(attempt, points, 1500), rows=lambda samples: samples)


@check("gaussian_model(points [N, D], count) -> samples [count, D]")
def check_gaussian_model() -> Parts:
    data = [_data(2)], [_data(3)], *hidden(lambda r: [r.uniform(2, 4) * _data(2) - r.uniform(1, 3)], 1)
    return {
        "shape": cases(
            _draw_model,
            *((_data(2), 7), (_data(3), 1), (normal(40, 5, seed=1), 3)),
            *hidden(lambda r: (_data(2), r.randint(8, 99))),
        ),
        "moments": cases(_compare_moments, *data),
        "new_points": cases(_model_new_points, *data),
    }


# ------------------------------------------------------------------------------------------ covered modes


def _compare_modes(attempt: Attempt, points: Tensor, centres: Tensor, radius: float, share: float, hint: str) -> None:
    distance = torch.cdist(points, centres)
    near_by = distance < radius
    shares = near_by.float().mean(dim=0)
    right = int((shares >= share).sum())
    nearest = distance.argmin(dim=1).bincount(minlength=len(centres)) / len(points)
    of_those_near = near_by.sum(dim=0) / near_by.any(dim=1).sum().clamp(min=1)
    sides = (points[:, None] - centres[None]).abs()

    def count(close: Tensor) -> int:
        return int((close.float().mean(dim=0) >= share).sum())

    mistakes = [
        (len(centres) - right, tr("That is the number of modes that are missing.")),
        (int((near_by.sum(0) > 0).sum()), tr("One stray point does not cover a mode: it takes a share of all points.")),
        (int(near_by.any(dim=1).sum()), tr("That is a number of points. The task asks for a number of modes.")),
        (int((nearest >= share).sum()), tr("Points far from every centre were counted for the nearest one.")),
        (
            int((of_those_near >= share).sum()),
            tr(
                "The share was taken of the points near a centre. It is meant of all points, those "
                "far from all included."
            ),
        ),
        (count(distance**2 < radius), tr("The squared distance was compared with the radius.")),
        (count(distance < radius**2), tr("The distance was compared with the squared radius.")),
        (
            count(sides.sum(dim=2) < radius),
            tr("That is the distance along the axes: |x| + |y|. Take the straight one."),
        ),
        (count(sides.amax(dim=2) < radius), tr("That is a square around each centre. Take the straight distance.")),
        (int((shares > share).sum()), tr("'At least' a share includes that very share.")),
        (right / len(centres), tr("That is a fraction. The task asks for a count.")),
    ]
    result = attempt(points.clone(), centres.clone(), radius, share)
    attempt.close(result, right, hint, mistakes, what=tr("the number of covered modes"))


def _heaps(count: int, modes: int, width: float, seed: int) -> tuple[Tensor, Tensor]:
    """(points, centres): heaps of very different sizes around centres on a grid of side 2, and some points anywhere."""
    centres = 2.0 * torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0))[:modes]
    sizes = torch.arange(1.0, modes + 1) ** 2
    chosen = torch.multinomial(sizes, count, replacement=True, generator=seeded(seed))
    points = centres[chosen] + width * normal(count, 2, seed=seed)
    points[: count // 3] = 6 * normal(count // 3, 2, seed=seed + 1)
    return points, centres


@check("modes_covered(points [N, 2], centres [K, 2], radius, share) -> int")
def check_modes_covered() -> Parts:
    c = _centres(4, 1.0)
    far = torch.tensor([[5.0, 5.0]])
    slanting = torch.tensor([0.15, 0.15])  # 0.212 away: beyond a radius of 0.2 along no single axis
    return {
        "values": cases(
            _compare_modes,
            (torch.cat([c[[0, 0, 0, 1, 1]], far]), c, 0.2, 0.1),
            (c + 0.05, c, 0.2, 0.1),
            (torch.zeros(6, 2), c, 0.2, 0.1),
            (*_heaps(400, 9, 0.4, 1), 0.6, 0.0211),
            (*_heaps(700, 16, 0.5, 2), 0.7, 0.013),
            (*_heaps(300, 5, 0.3, 3), 0.45, 0.0617),
            (*_heaps(90, 1, 0.5, 4), 0.9, 0.31),
            *hidden(
                lambda r: (
                    *_heaps(r.randint(100, 900), r.randint(4, 16), 0.4, 5),
                    r.uniform(0.4, 0.8),
                    r.uniform(0, 0.05),
                ),
                4,
            ),
            hint=tr(
                "For each centre: which share of all points lies within the radius? Then count the centres with enough."
            ),
        ),
        "edges": cases(
            _compare_modes,
            (c[[0] * 19 + [1]], c, 0.2, 0.1),  # one stray point
            (torch.cat([1.4 * c[[0] * 3], c[[1] * 3], 2 * c[[2] * 3]]), c, 0.3, 0.1),  # the first lie 0.4 away
            (torch.cat([1.4 * c[[0] * 3], c[[1, 3] * 3], 2 * c[[2] * 3]]), c, 0.3, 0.1),
            (c[[0, 0, 1, 2]], c, 0.2, 0.5),  # exactly the share
            (c[[0, 0, 1, 2, 3, 3, 3, 3]], c, 0.2, 0.25),
            (torch.cat([c[[0, 1, 1, 1, 1]], far.repeat(5, 1)]), c, 0.2, 0.15),  # a fifth of those near, a tenth of all
            (torch.cat([c[[0, 1, 2, 2, 2]], far.repeat(15, 1)]), c, 0.2, 0.1),
            (torch.cat([c[:2] + slanting, c[2:]]), c, 0.2, 0.2),
            (torch.cat([c[:1] + slanting, c[1:] - 0.87 * slanting]), c, 0.2, 0.2),
            *hidden(lambda r: (c[r.choices(range(4), k=16)], c, r.uniform(0.1, 0.3), r.randint(2, 6) / 16), 6),
            hint=tr(
                "Two limits: how near counts as near, and how many of all points count as enough. Which one is off?"
            ),
        ),
    }


# ------------------------------------------------------------------------------------------ arrows


def _compare_arrows(
    attempt: Attempt, discriminator: nn.Module, points: Tensor, given: Tensor | None = None, calls: int = 1
) -> None:
    """``given``: the points in the form in which the function gets them. All of its ``calls`` must give the same."""
    moving = points.detach().clone().requires_grad_()
    logits = discriminator(moving)
    (right,) = torch.autograd.grad(logits.sum(), moving)
    p = logits.detach().sigmoid().reshape(-1, 1)
    mistakes = [
        (-right, tr("The arrows point downhill. The generator wants its points where the logit is higher.")),
        (
            right / len(points),
            tr("The arrows shrink with the number of points: you took the slope of the mean of the logits."),
        ),
        (right * p * (1 - p), tr("That is the slope of the probability. Where D is sure it is flat: use the logit's.")),
        (-right * (1 - p), tr("That is the slope of the loss -log D(x). The task asks for that of the logit, uphill.")),
        (right * (1 - p), tr("That is the slope of log D(x). The task asks for that of the logit.")),
        (
            right / right.norm(dim=1, keepdim=True),
            tr("The lengths were made equal. They say how strong the pull is: keep them."),
        ),
        (points.detach() + right, tr("These are the arrow's tips. The task asks for the arrow alone, from its start.")),
        (points.detach(), tr("These are the points themselves.")),
    ]
    again = [(2 * right, tr("Twice as long: was a gradient of an earlier call still there and added?"))]
    hint = tr("The slope of the logit as each point moves a little in x and a little in y. Autograd knows it.")
    given = points.clone() if given is None else given
    for call in range(calls):
        result = attempt(discriminator, given)
        attempt.close(result, right, hint, mistakes + again if call else mistakes, what="arrows")


def _hill() -> Bowl:
    """Highest at the origin: its gradient is ``-x``."""
    return Bowl(-0.5, 3.0, "D(x) = 3 - |x|^2 / 2")


def _arrows_of_generated(attempt: Attempt, points: Tensor) -> None:
    """Points that come out of a network carry a graph of their own."""
    _compare_arrows(attempt, _hill(), points, points * nn.Parameter(torch.ones(1)))


@check("arrows(discriminator, points [N, 2]) -> [N, 2]")
def check_arrows() -> Parts:
    points, others = torch.tensor([[1.0, 1.0], [-2.0, 0.3]]), normal(5, 2, seed=1)
    return {
        "values": cases(
            _compare_arrows,
            (Plane([2.0, -1.0], "D(x) = 2 x1 - x2"), torch.tensor([[0.0, 0.5], [1.0, 1.0], [-2.0, 0.3]])),
            (_hill(), points),
            (new_game().discriminator, others),
            (new_game(5).discriminator, others[:1]),
            nudge=True,
        ),
        "twice": cases(_compare_arrows, (_hill(), points), (_hill(), others), calls=2, nudge=True),
        "generated": cases(_arrows_of_generated, [points], [others], nudge=True),
    }


# ------------------------------------------------------------------------------------------ the discriminator's batch


def _compare_batch(attempt: Attempt, real: Tensor, fake: Tensor) -> None:
    samples, targets = attempt.results(attempt(real.clone(), fake.clone()), ("samples", "targets"))
    total = len(real) + len(fake)
    hint = tr("The two batches follow each other in one longer batch; a sample keeps its shape.")
    samples = attempt.tensor(samples, [total, *real.shape[1:]], hint=hint, what="samples")
    hint = tr("First all real samples, then all fake ones, each as it came.")
    attempt.close(samples, torch.cat([real, fake]), hint, what="samples")
    hint = tr("One target a sample, no more and no fewer.")
    targets = attempt.tensor(targets, [total], hint=hint, what="targets")
    if not targets.is_floating_point():
        hint = tr("Cross-entropy compares the targets with probabilities: they must be floats.")
        attempt.dtype(targets, torch.float32, "targets", hint)
    right = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])
    mistakes = [
        (1 - right, tr("The targets are swapped: D is the probability of being real.")),
        (torch.ones(total), tr("D would learn to call everything real.")),
        (torch.zeros(total), tr("D would learn to call everything fake.")),
        (2 * right - 1, tr("The targets are probabilities: a fake has probability 0, not -1, of being real.")),
    ]
    attempt.close(targets, right, tr("Real samples have the target 1, fake ones 0."), mistakes, what="targets")


@check("discriminator_batch(real [N, ...], fake [M, ...]) -> (samples [N + M, ...], targets [N + M])")
def check_discriminator_batch() -> Parts:
    return {
        "points": cases(
            _compare_batch,
            (torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]])),
            (normal(5, 2, seed=1), normal(5, 2, seed=2)),
            nudge=True,
        ),
        "shapes": cases(
            _compare_batch,
            (torch.full((3, 2), 0.5), torch.full((1, 2), -0.5)),
            (torch.full((1, 2), 0.5), torch.full((4, 2), -0.5)),
            (torch.full((2, 1, 8, 8), 0.3), torch.full((4, 1, 8, 8), -0.7)),
            (normal(3, 3, 4, 6, seed=3), normal(2, 3, 4, 6, seed=4)),
            nudge=True,
        ),
    }
