"""Right and wrong answers to the tasks of chapter 01."""

from __future__ import annotations

import math
import random

import numpy as np
import torch

from gan_course import metrics
from gan_course.data import toy

# ------------------------------------------------------------------------------------------ answers


def make_ring(angles=None, noise=None, radius_factor=None, pick=None):
    """A right answer with one of its pieces replaced."""

    def ring(count, modes, radius, spread):
        k = pick(count, modes) if pick else torch.randint(modes, (count,))
        angle = angles(modes)[k] if angles else 2 * math.pi * k / modes
        centres = (radius if radius_factor is None else radius_factor) * torch.stack([angle.cos(), angle.sin()], dim=1)
        return centres + (noise(count, spread) if noise else spread * torch.randn(count, 2))

    return ring


def numpy_ring(count, modes, radius, spread):
    random = np.random.default_rng()
    angle = 2 * np.pi * random.integers(modes, size=count) / modes
    centres = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    return torch.as_tensor(centres + random.normal(0, spread, size=(count, 2)))


def loop_ring(count, modes, radius, spread):
    points = []
    for _ in range(count):
        angle = torch.tensor(2 * math.pi * random.randrange(modes) / modes)
        points.append(torch.stack([radius * angle.cos(), radius * angle.sin()]) + spread * torch.randn(2))
    return torch.stack(points)


def make_gaussian(sample, centre=True):
    """A right answer with the way from noise to samples replaced: ``sample(z, covariance, L)``."""

    def gaussian_model(points, count):
        mean, covariance = points.mean(0), points.T.cov()
        shaped = sample(torch.randn(count, points.shape[1]), covariance, torch.linalg.cholesky(covariance))
        return shaped + mean if centre else shaped

    return gaussian_model


def gaussian_by_hand(points, count):
    deviations = points - points.mean(dim=0, keepdim=True)
    root = torch.linalg.cholesky(deviations.T @ deviations / len(points))
    return torch.stack([points.mean(dim=0) + root @ torch.randn(points.shape[1]) for _ in range(count)])


def gaussian_by_torch(points, count):
    return torch.distributions.MultivariateNormal(points.mean(0), points.T.cov()).sample((count,))


def gaussian_by_eigenvectors(points, count):
    values, vectors = torch.linalg.eigh(points.T.cov())
    return points.mean(0) + torch.randn(count, len(values)) * values.sqrt() @ vectors.T


def gaussian_uncentred(points, count):
    root = torch.linalg.cholesky(points.T @ points / len(points))
    return points.mean(0) + torch.randn(count, points.shape[1]) @ root.T


def arrows(discriminator, points):
    points = points.detach().requires_grad_()
    return torch.autograd.grad(discriminator(points).sum(), points)[0]


def arrows_by_backward(discriminator, points):
    points = points.detach().clone().requires_grad_()
    logits = discriminator(points)
    logits.backward(torch.ones_like(logits))
    return points.grad


def arrows_in_place(discriminator, points):
    points.requires_grad_()
    discriminator(points).sum().backward()
    return points.grad


def arrows_by_jacobian(discriminator, points):
    return torch.stack([torch.func.grad(lambda x: discriminator(x[None]).sum())(p) for p in points.detach()])


def scaled_arrows(change):
    def answer(discriminator, points):
        points = points.detach().requires_grad_()
        return torch.autograd.grad(change(discriminator(points)), points)[0]

    return answer


def batch(samples, targets):
    return lambda real, fake: (samples(real, fake), targets(real, fake))


def joined(real, fake):
    return torch.cat([real, fake])


def ones_and_zeros(real, fake):
    return torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])


def covered(points, centres, radius, share):
    return metrics.modes_covered(points, centres, radius, share)


def covered_by_loop(points, centres, radius, share):
    count = 0
    for centre in centres:
        count += bool(((points - centre).norm(dim=1) <= radius).float().mean() >= share)
    return torch.tensor(count)


def near_by(points, centres, radius):
    return torch.cdist(points, centres) < radius


RIGHT = {
    "ring": [
        make_ring(),
        numpy_ring,
        loop_ring,
        lambda count, modes, radius, spread: toy_ring(count, modes, radius, spread),
    ],
    "gaussian_model": [
        make_gaussian(lambda z, c, root: z @ root.T),
        gaussian_by_hand,
        gaussian_by_torch,
        gaussian_by_eigenvectors,
    ],
    "discriminator_batch": [
        batch(joined, ones_and_zeros),
        lambda r, f: [torch.vstack([r, f]), (torch.arange(len(r) + len(f)) < len(r)).double()],
    ],
    "arrows": [arrows, arrows_by_backward, arrows_by_jacobian],
    "modes_covered": [covered, covered_by_loop],
}


def toy_ring(count, modes, radius, spread):
    labels = torch.randint(modes, (count,))
    return toy.ring_centres(modes, radius)[labels] + torch.normal(0.0, torch.full((count, 2), spread))


def linspaced(modes):
    return torch.linspace(0, 2 * math.pi, modes)


WRONG = {
    "ring": [
        (make_ring(angles=linspaced), "2π is angle 0 again"),
        (make_ring(angles=lambda modes: 360 * torch.arange(modes) / modes), "radians"),
        (make_ring(radius_factor=1.0), "radius has no effect"),
        (make_ring(angles=lambda modes: 2 * math.pi * (torch.arange(modes) + 0.5) / modes), "choice of the centre"),
        (make_ring(pick=lambda count, modes: torch.randint(max(modes - 1, 1), (count,))), "same probability"),
        (make_ring(pick=lambda count, modes: torch.randint(modes, (1,)).expand(count)), "same probability"),
        (make_ring(noise=lambda n, s: s**0.5 * torch.randn(n, 2)), "as a variance"),
        (make_ring(noise=lambda n, s: s**2 * torch.randn(n, 2)), "square of the spread"),
        (make_ring(noise=lambda n, s: s * torch.randn(n, 1)), "needs its own random number"),
        (make_ring(noise=lambda n, s: s * torch.randn(1, 2)), "own Gaussian noise"),
        (make_ring(noise=lambda n, s: s * (2 * torch.rand(n, 2) - 1)), "uniform noise"),
        (make_ring(noise=lambda n, s: s * 3**0.5 * (2 * torch.rand(n, 2) - 1)), "bell shape"),
        (lambda n, k, r, s: make_ring()(n, k, r, s).flip(1), "swapped"),
        (lambda n, k, r, s: make_ring()(n, k, r, s).T, "shape [2, 10]"),
        (lambda n, k, r, s: make_ring()(n * k, k, r, s), "How many rows"),
        (lambda n, k, r, s: make_ring()(n, k, r, s).tolist(), "one PyTorch tensor"),
        (lambda n, k, r, s: make_ring()(n, k, r, s) / 0, "without NaN and infinity"),
    ],
    "gaussian_model": [
        (make_gaussian(lambda z, c, root: z @ root), "wrong side"),
        (make_gaussian(lambda z, c, root: z @ c), "squares it"),
        (make_gaussian(lambda z, c, root: z * c.diag().sqrt()), "vary independently"),
        (make_gaussian(lambda z, c, root: z), "plain noise"),
        (make_gaussian(lambda z, c, root: z @ root.T, centre=False), "wrong centre"),
        (gaussian_uncentred, "taken away first"),
        (lambda points, count: points[torch.randint(len(points), (count,))], "memory"),
        (lambda points, count: points[:count], "new points"),
        (make_gaussian(lambda z, c, root: z[:1] @ root.T + 0 * z), "all alike"),
        (lambda points, count: (points.mean(0), points.T.cov()), "one PyTorch tensor"),
        (lambda points, count: gaussian_by_hand(points, -(-count // 2)).repeat(2, 1)[:count], "noise of its own"),
    ],
    "discriminator_batch": [
        (batch(joined, lambda r, f: 1 - ones_and_zeros(r, f)), "swapped"),
        (batch(lambda r, f: torch.stack([r, f]), ones_and_zeros), "follow each other"),
        (batch(lambda r, f: torch.cat([r, f], dim=1), ones_and_zeros), "follow each other"),
        (batch(lambda r, f: torch.cat([f, r]), ones_and_zeros), "First all real"),
        (batch(joined, lambda r, f: ones_and_zeros(r, f).long()), "must be floats"),
        (batch(joined, lambda r, f: torch.ones(len(r) + len(f))), "everything real"),
        (batch(joined, lambda r, f: torch.zeros(len(r) + len(f))), "everything fake"),
        (batch(joined, lambda r, f: 2 * ones_and_zeros(r, f) - 1), "not -1"),
        (batch(joined, lambda r, f: torch.ones(len(r))), "One target a sample"),
        (batch(joined, lambda r, f: ones_and_zeros(r, r)), "One target a sample"),
        (batch(lambda r, f: joined(r, f).flatten(1), ones_and_zeros), "keeps its shape"),
        (joined, "two results"),
    ],
    "arrows": [
        (scaled_arrows(torch.mean), "mean of the logits"),
        (lambda d, x: -arrows(d, x), "downhill"),
        (scaled_arrows(lambda a: a.sigmoid().sum()), "slope of the probability"),
        (scaled_arrows(lambda a: torch.nn.functional.softplus(-a).sum()), "slope of the loss"),
        (lambda d, x: torch.nn.functional.normalize(arrows(d, x)), "lengths were made equal"),
        (lambda d, x: x.detach() + arrows(d, x), "tips"),
        (arrows_in_place, "earlier call"),
        (lambda d, x: arrows(d, x).sum(0), "shape [2]"),
        (lambda d, x: d(x), "slope of the logit"),
        (lambda d, x: torch.autograd.grad(d(x).sum(), x)[0], "does not require grad"),
        (lambda d, x: torch.autograd.grad(d(x), x.requires_grad_())[0], "scalar outputs"),
    ],
    "modes_covered": [
        (lambda x, c, r, s: len(c) - covered(x, c, r, s), "missing"),
        (lambda x, c, r, s: near_by(x, c, r).any(0).sum(), "stray"),
        (lambda x, c, r, s: int(near_by(x, c, r).sum()), "number of points"),
        (
            lambda x, c, r, s: int((torch.cdist(x, c).argmin(1).bincount(minlength=len(c)) / len(x) >= s).sum()),
            "far from every centre",
        ),
        (lambda x, c, r, s: covered(x, c, r**0.5, s), "squared distance"),
        (lambda x, c, r, s: int((near_by(x, c, r).float().mean(0) > s).sum()), "'At least'"),
        (lambda x, c, r, s: covered(x, c, r, s) / len(c), "fraction"),
        (lambda x, c, r, s: int((near_by(x, c, r).sum(0) >= s).sum()), "stray"),
        (lambda x, c, r, s: near_by(x, c, r).float().mean(0) >= s, "one number"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses


def ring_in_polar_coordinates(count, modes, radius, spread):
    """Noise along and across the circle: right only where the spread is small."""
    angle = 2 * math.pi * torch.randint(modes, (count,)) / modes + spread / radius * torch.randn(count)
    length = radius + spread * torch.randn(count)
    return torch.stack([length * angle.cos(), length * angle.sin()], dim=1)


def covered_with(close, of=lambda close: close.float().mean(0)):
    """A right answer with the table ``close(points, centres, radius)`` or the share replaced."""
    return lambda x, c, r, s: int((of(close(x, c, r)) >= s).sum())


def share_of_those_near(close):
    return close.sum(0) / close.any(1).sum().clamp(min=1)


def gaussian_by_singular_values(points, count):
    deviations = points - points.mean(0)
    _, values, rows = torch.linalg.svd(deviations, full_matrices=False)
    return points.mean(0) + torch.randn(count, len(values)) * values / (len(points) - 1) ** 0.5 @ rows


def arrows_in_eval(discriminator, points):
    return arrows(discriminator.eval(), points)


RIGHT["gaussian_model"] += [gaussian_by_singular_values]
RIGHT["modes_covered"] += [lambda *all_: np.int64(covered(*all_)), lambda *all_: np.float32(covered(*all_))]
WRONG["ring"] += [
    (ring_in_polar_coordinates, "own Gaussian noise"),
    (make_ring(noise=lambda n, s: s / 2**0.5 * torch.distributions.Laplace(0.0, 1.0).sample((n, 2))), "bell shape"),
    (make_ring(noise=lambda n, s: s * torch.randn(n, 2).abs()), "own Gaussian noise"),
    (make_ring(pick=lambda count, modes: torch.randint(modes + 1, (count,))), "same probability"),
    (make_ring(pick=lambda count, modes: (torch.rand(count) * (modes - 1)).round()), "same probability"),
]


def mirrored(count, width=2):
    half = torch.randn((count + 1) // 2, width)
    return torch.cat([half, -half])[:count]


WRONG["ring"] += [
    (make_ring(pick=lambda count, modes: torch.arange(count) % modes), "in turn"),
    (make_ring(pick=lambda count, modes: torch.arange(count) * modes // count), "in order"),
    (lambda *given: torch.manual_seed(0) and make_ring()(*given), "a seed set inside"),
    (make_ring(noise=lambda n, s: s * mirrored(n)), "mirrored pairs"),
]
WRONG["gaussian_model"] += [
    (lambda *given: torch.manual_seed(0) and gaussian_by_hand(*given), "a seed set inside"),
    (make_gaussian(lambda z, c, root: mirrored(*z.shape) @ root.T), "mirrored pairs"),
    (make_gaussian(lambda z, c, root: z[z[:, 0].argsort()] @ root.T), "in order"),
    (make_gaussian(lambda z, c, root: 12**0.5 * (torch.rand_like(z) - 0.5) @ root.T), "shape of a bell"),
]
WRONG["discriminator_batch"] += [
    (batch(joined, lambda r, f: ones_and_zeros(r, f)[:, None]), "One target a sample"),
    (batch(joined, lambda r, f: ones_and_zeros(r, f).bool()), "must be floats"),
    (batch(lambda r, f: joined(r.mul_(2), f), ones_and_zeros), "real was changed"),
]
WRONG["arrows"] += [(arrows_in_eval, "it.training was True, afterwards False")]
WRONG["modes_covered"] += [
    (covered_with(near_by, share_of_those_near), "those far from all included"),
    (covered_with(lambda x, c, r: (x[:, None] - c).abs().sum(2) < r), "along the axes"),
    (covered_with(lambda x, c, r: (x[:, None] - c).abs().amax(2) < r), "a square around each centre"),
    (lambda x, c, r, s: bool(covered(x, c, r, s)), "Return one number"),
]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "ring": [
        (make_ring(angles=linspaced), "shape", "centres"),
        (make_ring(noise=lambda n, s: s**2 * torch.randn(n, 2)), "centres", "spread"),
    ],
    "gaussian_model": [
        (make_gaussian(lambda z, c, root: z), "new_points", "moments"),
        (lambda points, count: points[torch.randint(len(points), (count,))], "moments", "new_points"),
    ],
    "discriminator_batch": [(batch(joined, lambda r, f: ones_and_zeros(r, r)), "points", "shapes")],
    "arrows": [(arrows_in_place, "values", "twice")],
    "modes_covered": [(lambda x, c, r, s: int((near_by(x, c, r).float().mean(0) > s).sum()), "values", "edges")],
}
