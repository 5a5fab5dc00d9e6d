"""Right and wrong answers to the tasks of chapter 02."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial.distance import jensenshannon

# ------------------------------------------------------------------------------------------ answers


def from_probabilities(loss_d, loss_g):
    """An answer made of two formulas in (p_real, p_fake)."""
    return lambda p, q: (loss_d(p, q), loss_g(q))


def right_d(p, q):
    return -p.log().mean() - (1 - q).log().mean()


def right_g(q):
    return -q.log().mean()


def from_logits(loss_d, loss_g):
    return lambda r, f: (loss_d(r, f), loss_g(f))


def soft_d(r, f):
    return F.softplus(-r).mean() + F.softplus(f).mean()


def soft_g(f):
    return F.softplus(-f).mean()


def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def bce_of_probability(logits, target):
    return F.binary_cross_entropy(logits.sigmoid(), torch.full_like(logits, target))


def clamped(p):
    return p.clamp(1e-7, 1 - 1e-7)


def naive(r, f):
    return right_d(r.sigmoid(), f.sigmoid()), right_g(f.sigmoid())


def with_clamp(r, f):
    return right_d(clamped(r.sigmoid()), clamped(f.sigmoid())), right_g(clamped(f.sigmoid()))


def by_autograd(logits):
    def slope(loss):
        a = logits.clone().requires_grad_()
        return torch.autograd.grad(loss(a).sum(), a)[0]

    return tuple(map(slope, (lambda a: F.logsigmoid(-a), lambda a: -F.logsigmoid(a), lambda a: (-a).sigmoid() ** 2)))


def squared(logits):
    p = torch.sigmoid(logits)
    return -2 * p * (1 - p) ** 2


def optimal(p, q):
    return torch.where(p + q > 0, p / (p + q), 0.5)


def optimal_by_masking(p, q):
    answer = torch.full_like(p, 0.5)
    seen = (p > 0) | (q > 0)
    answer[seen] = 1 / (1 + q[seen] / p[seen])
    return answer


def js_by_xlogy(p, q, dx):
    m = (p + q) / 2
    return 0.5 * dx * (torch.xlogy(p, p) - torch.xlogy(p, m) + torch.xlogy(q, q) - torch.xlogy(q, m)).sum()


def js_by_quotient(p, q, dx):
    """0/0 where both are 0: there xlogy is no help."""
    m = (p + q) / 2
    return 0.5 * dx * (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).sum()


def js_by_best_discriminator(p, q, dx):
    """log 2 minus half the loss of the optimal discriminator."""
    d = optimal(p, q).double()
    return math.log(2) + 0.5 * dx * (torch.xlogy(p.double(), d) + torch.xlogy(q.double(), 1 - d)).sum()


def js_by_scipy(p, q, dx):
    return float(jensenshannon(np.asarray(p), np.asarray(q)) ** 2)


def kl(p, q, dx):
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum() * dx


def js_naive(p, q, dx):
    m = (p + q) / 2
    return 0.5 * dx * (p * (p / m).log() + q * (q / m).log()).sum()


def hinge_d(r, f):
    return F.relu(1 - r).mean() + F.relu(1 + f).mean()


def hinge_by_minimum(r, f):
    return -torch.minimum(r - 1, torch.zeros_like(r)).mean() - (-f - 1).clamp(max=0).mean(), -f.sum() / len(f)


def gradient_of(discriminator, real, reduce=torch.sum, create_graph=True):
    real = real.clone().requires_grad_()
    return torch.autograd.grad(reduce(discriminator(real)), real, create_graph=create_graph)[0].flatten(1)


def r1(discriminator, real):
    return gradient_of(discriminator, real).square().sum(1).mean() / 2


def r1_by_norm(discriminator, real):
    real.requires_grad_(True)
    logits = discriminator(real)
    (g,) = torch.autograd.grad(logits, real, torch.ones_like(logits), create_graph=True)
    return 0.5 * (g.reshape(len(real), -1).norm(2, dim=1) ** 2).mean()


def r1_by_backward(discriminator, real):
    real = real.clone().requires_grad_()
    discriminator(real).sum().backward(create_graph=True)
    return real.grad.flatten(1).square().sum(1).mean() / 2


RIGHT = {
    "losses_from_probabilities": [
        from_probabilities(right_d, right_g),
        lambda p, q: [float(right_d(p.double(), q.double())), float(right_g(q))],
        lambda p, q: (
            F.binary_cross_entropy(p, torch.ones_like(p)) + F.binary_cross_entropy(q, torch.zeros_like(q)),
            F.binary_cross_entropy(q, torch.ones_like(q)),
        ),
    ],
    "losses_from_logits": [
        from_logits(soft_d, soft_g),
        lambda r, f: (bce(r, 1.0) + bce(f, 0.0), bce(f, 1.0)),
        lambda r, f: (-(F.logsigmoid(r) + F.logsigmoid(-f)).mean(), -F.logsigmoid(f).mean()),
    ],
    "generator_gradients": [
        lambda a: (-torch.sigmoid(a), -torch.sigmoid(-a), -2 * torch.sigmoid(a) * torch.sigmoid(-a) ** 2),
        lambda a: (-1 / (1 + torch.exp(-a)), torch.sigmoid(a) - 1, squared(a)),
        by_autograd,
    ],
    "optimal_discriminator": [optimal, optimal_by_masking, lambda p, q: (p / (p + q)).nan_to_num(0.5)],
    "jensen_shannon": [js_by_xlogy, js_by_best_discriminator, js_by_scipy],
    "hinge_losses": [from_logits(hinge_d, lambda f: -f.mean()), hinge_by_minimum],
    "r1_penalty": [r1, r1_by_norm],
}

WRONG = {
    "losses_from_probabilities": [
        # The document's own faults first.
        (from_probabilities(lambda p, q: -(p.log() + q.log()).mean(), right_g), "swapped"),
        (from_probabilities(lambda p, q: (p.log() + q.log()).mean(), right_g), "Two faults"),
        (from_probabilities(lambda p, q: -right_d(p, q), right_g), "sign is wrong"),
        (from_probabilities(right_d, lambda q: q.log().mean()), "sign is wrong"),
        (from_probabilities(lambda p, q: -p.log2().mean() - (1 - q).log2().mean(), right_g), "base 2"),
        (from_probabilities(right_d, lambda q: -q.log10().mean()), "base 10"),
        (from_probabilities(lambda p, q: -p.log().sum() - (1 - q).log().sum(), right_g), "sum"),
        (from_probabilities(right_d, lambda q: -q.log().sum()), "sum over the batch"),
        (from_probabilities(lambda p, q: right_d(p, q) / 2, right_g), "half of it"),
        (from_probabilities(lambda p, q: -p.log().mean(), right_g), "fake batch is missing"),
        (from_probabilities(lambda p, q: right_d(q, q), right_g), "how surprised"),
        (from_probabilities(right_d, lambda q: (1 - q).log().mean()), "saturating"),
        (from_probabilities(right_d, lambda q: -(1 - q).log().mean()), "which is what D wants"),
        (from_probabilities(lambda p, q: -p.log() - (1 - q).log(), right_g), "shape [3]"),
        (lambda p, q: right_d(p, q), "two results"),
        (lambda p, q: None, "two results"),
    ],
    "losses_from_logits": [
        (naive, "float32"),
        (with_clamp, "a limit on it hides"),
        (
            lambda r, f: (bce_of_probability(r, 1.0) + bce_of_probability(f, 0.0), bce_of_probability(f, 1.0)),
            "a limit on it hides",
        ),
        (lambda r, f: (soft_d(r.sigmoid(), f.sigmoid()), soft_g(f.sigmoid())), "two sigmoids"),
        (from_logits(lambda r, f: F.softplus(-r).mean() + F.softplus(-f).mean(), soft_g), "swapped"),
        (from_logits(soft_d, lambda f: -F.softplus(f).mean()), "saturating"),
        (from_logits(soft_d, lambda f: F.softplus(f).mean()), "which is what D wants"),
        (lambda r, f: (soft_d(r, f).item(), soft_g(f).item()), "needs the gradient"),
        (lambda r, f: (soft_d(r, f) / 2, soft_g(f)), "half of it"),
        (lambda r, f: (torch.log1p(torch.exp(-r)).mean() + torch.log1p(torch.exp(f)).mean(), soft_g(f)), "float32"),
        (lambda r, f: (r.log() + f.log(), f.log()), "L_D"),
    ],
    "generator_gradients": [
        (lambda a: (-torch.sigmoid(-a), -torch.sigmoid(a), squared(a)), "That is the non-saturating loss's"),
        (lambda a: (-torch.sigmoid(a), -torch.sigmoid(a), squared(a)), "That is the saturating loss's"),
        (lambda a: (torch.sigmoid(a), torch.sigmoid(-a), squared(a)), "sign is wrong"),
        (lambda a: (-torch.sigmoid(a), 1 - torch.sigmoid(a), squared(a)), "sign is wrong"),
        (lambda a: (-torch.sigmoid(a), -torch.sigmoid(-a), -squared(a)), "sign is wrong"),
        (lambda a: (-1 / (1 - a.sigmoid()), -1 / a.sigmoid(), squared(a)), "with respect to the probability"),
        (lambda a: (-a.sigmoid(), -(-a).sigmoid(), -2 * (-a).sigmoid()), "with respect to the probability"),
        (lambda a: (a.sigmoid() * (1 - a.sigmoid()),) * 3, "derivative of the sigmoid alone"),
        (lambda a: (-a.sigmoid() / len(a), -(-a).sigmoid() / len(a), squared(a) / len(a)), "batch size"),
        (lambda a: (-torch.exp(a) / (1 + torch.exp(a)), a.sigmoid() - 1, squared(a)), "is infinite"),
        (lambda a: (-a.sigmoid().mean(), (a.sigmoid() - 1).mean(), squared(a).mean()), "An axis is missing"),
        (lambda a: (-a.sigmoid(), -(-a).sigmoid()), "three results"),
        (lambda a: (-a.sigmoid(), -(-a).sigmoid(), squared(a) / 2), "a factor 2"),
        (lambda a: (-a.sigmoid(), -(-a).sigmoid(), 2 * (a - 1)), "a sigmoid is inside"),
        (lambda a: (-a.sigmoid(), -(-a).sigmoid(), 2 * a.sigmoid() ** 2 * (-a).sigmoid()), "The generator wants 1"),
    ],
    "optimal_discriminator": [
        (lambda p, q: torch.where(p + q > 0, q / (p + q), 0.5), "is fake"),
        (lambda p, q: p / q.clamp_min(1e-30), "ratio of the densities"),
        (lambda p, q: (p / q).log(), "best logit"),
        (lambda p, q: p, "no belief"),
        (lambda p, q: p / (p + q), "one half"),
        (lambda p, q: p / (p + q + 1e-8), "denominator"),
        (lambda p, q: torch.where(p + q > 0, p / (p + q), 0.0), "certainly fake"),
        (lambda p, q: torch.where(p + q > 1e-6, p / (p + q), 0.5), "tail"),
        (lambda p, q: (p / (p + q)).mean(), "shape [3]"),
    ],
    "jensen_shannon": [
        (lambda p, q, dx: js_by_xlogy(p, q, dx) / math.log(2), "bits"),
        (lambda p, q, dx: js_by_xlogy(p, q, dx) * 2, "one half"),
        (lambda p, q, dx: js_by_xlogy(p, q, 1.0), "width of a grid cell"),
        (lambda p, q, dx: js_by_xlogy(p, q, dx) - math.log(2), "log 2"),
        (lambda p, q, dx: js_by_xlogy(p, q, dx).clamp_min(0).sqrt(), "distance"),
        (kl, "Kullback-Leibler from p to q"),
        (lambda p, q, dx: kl(q, p, dx), "Kullback-Leibler from q to p"),
        (lambda p, q, dx: (kl(p, q, dx) + kl(q, p, dx)) / 2, "compared with each other"),
        (lambda p, q, dx: kl(p, (p + q) / 2, dx), "Only p"),
        (js_naive, "minus infinity"),
        (js_by_quotient, "don't divide by it"),
        (lambda p, q, dx: -js_by_xlogy(p, q, dx), "sign"),
    ],
    "hinge_losses": [
        (from_logits(lambda r, f: F.relu(1 + r).mean() + F.relu(1 - f).mean(), lambda f: -f.mean()), "swapped"),
        (lambda r, f: (F.relu(1 - r.mean()) + F.relu(1 + f.mean()), -f.mean()), "mean comes too early"),
        (lambda r, f: ((1 - r).mean() + (1 + f).mean(), -f.mean()), "no hinge"),
        (lambda r, f: (F.relu(-r).mean() + F.relu(f).mean(), -f.mean()), "margin is missing"),
        (lambda r, f: (F.relu(1 - r).mean(), -f.mean()), "fake batch is missing"),
        (lambda r, f: (hinge_d(r, f) / 2, -f.mean()), "half of it"),
        (lambda r, f: (hinge_d(r, f) * len(r), -f.mean()), "sum over the batch"),
        (lambda r, f: (hinge_d(r, f), F.relu(1 - f).mean()), "no hinge"),
        (lambda r, f: (hinge_d(r, f), F.relu(1 + f).mean()), "opposite"),
        (lambda r, f: (hinge_d(r, f), f.mean()), "sign is wrong"),
        (lambda r, f: (hinge_d(r, f), F.softplus(-f).mean()), "non-saturating"),
    ],
    "r1_penalty": [
        (lambda d, x: 2 * r1(d, x), "The half is missing"),
        (lambda d, x: len(x) * r1(d, x), "sum over the batch"),
        (lambda d, x: gradient_of(d, x).square().mean() / 2, "coordinates"),
        (lambda d, x: gradient_of(d, x).norm(dim=1).mean() / 2, "not squared"),
        (lambda d, x: (gradient_of(d, x).norm(dim=1) - 1).square().mean(), "WGAN-GP"),
        (lambda d, x: gradient_of(d, x, torch.mean).square().sum(1).mean() / 2, "mean of the logits"),
        (lambda d, x: r1(lambda y: d(y).sigmoid(), x), "probability"),
        (lambda d, x: gradient_of(d, x, create_graph=False).square().sum(1).mean() / 2, "differentiated once more"),
        (lambda d, x: r1(d, x).detach(), "differentiated once more"),
        (lambda d, x: r1(d, x).item(), "needs the gradient"),
        (r1_by_backward, "backward()"),
        (lambda d, x: torch.autograd.grad(d(x).sum(), x)[0].square().sum() / 2, "does not require grad"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses


def stable(logits):
    """The softplus by hand, with no exponential of a large number."""
    return (logits.clamp(min=0) + torch.log1p(torch.exp(-logits.abs()))).mean()


def with_maximum(logits):
    return (torch.maximum(logits, torch.zeros_like(logits)) + torch.log1p(torch.exp(-logits.abs()))).mean()


def branching(logits):
    """Right, but the branch that is not taken makes the gradient NaN."""
    large = logits + torch.log1p(torch.exp(-logits))
    return torch.where(logits > 0, large, torch.log1p(torch.exp(logits))).mean()


RIGHT["losses_from_probabilities"] += [
    lambda p, q: (np.float32(right_d(p, q)), np.float64(right_g(q))),
    lambda p, q: torch.stack([right_d(p, q), right_g(q)]),
]
RIGHT["losses_from_logits"] += [
    from_logits(lambda r, f: stable(-r) + stable(f), lambda f: stable(-f)),
    from_logits(lambda r, f: with_maximum(-r) + with_maximum(f), lambda f: with_maximum(-f)),
]
RIGHT["jensen_shannon"] += [lambda p, q, dx: np.float32(js_by_xlogy(p, q, dx))]
RIGHT["r1_penalty"] += [lambda d, x: torch.stack([r1(d, x[i : i + 1]) for i in range(len(x))]).mean()]
WRONG["losses_from_probabilities"] += [
    (lambda p, q: (right_d(p.clamp(0.01, 0.99), q.clamp(0.01, 0.99)), right_g(q.clamp(0.01, 0.99))), "expected: L_D"),
    (from_probabilities(lambda p, q: -p.mean().log() - (1 - q).mean().log(), right_g), "logarithm of each"),
    (from_probabilities(right_d, lambda q: -q.mean().log()), "First the logarithm of each, then the mean"),
    (lambda p, q: (right_g(q), right_d(p, q)), "expected: L_D"),
]
WRONG["losses_from_logits"] += [
    (
        from_logits(
            lambda r, f: F.softplus(-r, threshold=5) + F.softplus(f, threshold=5), lambda f: F.softplus(-f, threshold=5)
        ),
        "expected: L_D",
    ),
    (from_logits(lambda r, f: branching(-r) + branching(f), soft_g), "makes it NaN"),
    (lambda r, f: from_logits(soft_d, soft_g)(r.clamp(-50, 50), f.clamp(-50, 50)), "a limit on it hides"),
    (lambda r, f: (soft_d(r, f), soft_g(f).detach()), "L_G without a gradient"),
]
WRONG["optimal_discriminator"] += [
    (lambda p, q: (p + 1e-8) / (p + q + 2e-8), "tail"),
    (lambda p, q: (p / (p + q)).nan_to_num(0.0), "certainly fake"),
]
WRONG["r1_penalty"] += [
    (lambda d, x: r1(d.eval(), x), "it.training was True"),
    (lambda d, x: gradient_of(d, x).abs().sum(1).square().mean() / 2, "Take half the squared length"),
]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "losses_from_probabilities": [(from_probabilities(right_d, lambda q: -q.log().sum()), "pairs", "batches")],
    "losses_from_logits": [
        (naive, "values", "extremes"),
        (lambda r, f: (soft_d(r, f).item(), soft_g(f).item()), "extremes", "gradients"),
    ],
    "generator_gradients": [(lambda a: (-a.exp() / (1 + a.exp()), a.sigmoid() - 1, squared(a)), "values", "extremes")],
    "optimal_discriminator": [(lambda p, q: p / (p + q), "values", "empty")],
    "jensen_shannon": [(js_naive, "values", "zeros")],
    "hinge_losses": [(lambda r, f: ((1 - r).mean() + (1 + f).mean(), -f.mean()), "values", "margin")],
    "r1_penalty": [(lambda d, x: r1(d, x).detach(), "values", "trains"), (r1_by_backward, "trains", "clean")],
}

# ------------------------------------------------------------------------------------------ more than the chapter's own
# Three tasks ask for a variation of what the chapter computes. The answers above are for the chapter's formula; here
# each is made to fit the variation.


def smoothed(answer):
    def losses_from_logits(r, f, smooth):
        loss_d, loss_g = answer(r, f)
        more = smooth * r.mean()
        return loss_d + (more.item() if isinstance(loss_d, float) else more), loss_g

    return losses_from_logits


def with_margin(answer):
    return lambda r, f, margin: tuple(margin * loss for loss in answer(r / margin, f / margin))


def between(answer, turned=False):
    def r1_penalty(discriminator, real, fake, share):
        share = share.view(-1, *[1] * (real.ndim - 1))
        return answer(discriminator, torch.lerp(real, fake, 1 - share if turned else share))

    return r1_penalty


def hinge_with(margin, r, f):
    return F.relu(margin - r).mean() + F.relu(f + margin).mean(), -f.mean()


def js_by_trapezoids(p, q, dx):
    m = (p + q) / 2
    terms = torch.xlogy(p, p) - torch.xlogy(p, m) + torch.xlogy(q, q) - torch.xlogy(q, m)
    return torch.trapezoid(terms, dx=dx) / 2


def r1_over_one_axis(discriminator, places, axis=1):
    places = places.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(places).sum(), places, create_graph=True)
    return gradient.square().sum(axis).mean() / 2


def shares_for_pictures_alone(discriminator, real, fake, share):
    return r1(discriminator, torch.lerp(real, fake, share.view(-1, 1, 1, 1)))


def fit(task, change):
    for table in (RIGHT, WRONG, HALF_RIGHT):
        table[task] = [(change(row[0]), *row[1:]) if isinstance(row, tuple) else change(row) for row in table[task]]


def halved_to_one(discriminator, places):
    places = places.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(places).sum(), places, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean() / 2


fit("losses_from_logits", smoothed)
fit("hinge_losses", with_margin)
fit("r1_penalty", between)
RIGHT["losses_from_logits"] += [
    lambda r, f, s: ((1 - s) * bce(r, 1.0) + s * bce(r, 0.0) + bce(f, 0.0), bce(f, 1.0)),
    lambda r, f, s: (bce(r, 1 - s) + bce(f, 0.0), bce(f, 1.0)),
]
WRONG["losses_from_logits"] += [
    (lambda r, f, s: from_logits(soft_d, soft_g)(r, f), "Nothing is smoothed"),
    (lambda r, f, s: (bce(r, 1 - s) + bce(f, s), bce(f, 1.0)), "Both sides are smoothed"),
    (lambda r, f, s: (bce(r, 1.0) + bce(f, s), bce(f, 1.0)), "The fakes are smoothed"),
    (lambda r, f, s: (bce(r, 1.0) + s * bce(r, 0.0) + bce(f, 0.0), bce(f, 1.0)), "must add up to 1"),
]
RIGHT["hinge_losses"] += [lambda r, f, m: hinge_with(m, r, f)]
WRONG["losses_from_logits"] += [
    (lambda r, f, s: (s * bce(r, 1.0) + (1 - s) * bce(r, 0.0) + bce(f, 0.0), bce(f, 1.0)), "shares are exchanged"),
    (lambda r, f, s: ((1 - s) * (bce(r, 1.0) + bce(r, 0.0)) + bce(f, 0.0), bce(f, 1.0)), "The second one's is s"),
    (lambda r, f, s: ((1 - s) * (bce(r, 1.0) + bce(f, 0.0)), bce(f, 1.0)), "the real samples alone"),
    (lambda r, f, s: ((1 - s) * bce(r, 1.0) + bce(f, 0.0), bce(f, 1.0)), "the one with the share s"),
    (lambda r, f, s: (bce(r, 1 - s) + bce(f, 0.0), bce(f, 1 - s)), "The generator's loss is smoothed, too"),
]
WRONG["hinge_losses"] += [
    (lambda r, f, m: tuple(loss.item() for loss in hinge_with(m, r, f)), "L_D without a gradient"),
    (lambda r, f, m: (hinge_with(m, r, f)[0], -f.mean().detach()), "L_G without a gradient"),
    (lambda r, f, m: (hinge_with(m, r, f.detach())[0], -f.mean()), "Was a part of it cut off?"),
    (lambda r, f, m: tuple(2 * loss.detach() - loss for loss in hinge_with(m, r, f)), "slope has the wrong sign"),
    (lambda r, f, m: (hinge_d(r, f), -f.mean()), "The margin is that of the chapter"),
    (lambda r, f, m: (hinge_d(r / m, f / m), -f.mean()), "made 1 by a division"),
]
WRONG["r1_penalty"] += [
    (between(halved_to_one), "as WGAN-GP does"),
    (lambda d, real, fake, share: r1(d, real), "That is R1"),
    (lambda d, real, fake, share: r1(d, fake), "That is R2"),
    (between(r1, turned=True), "the other way round"),
    (lambda d, real, fake, share: between(r1)(d, real, fake, share.mean().expand(len(real))), "a share of its own"),
    (lambda d, real, fake, share: between(r1)(d, real.mul_(1.1), fake, share), "real was changed"),
]
WRONG["jensen_shannon"] += [(js_by_trapezoids, "Trapezoids count the first and the last place half")]
WRONG["r1_penalty"] += [
    (between(r1_over_one_axis), "flatten them first"),
    (between(lambda d, places: r1_over_one_axis(d, places, -1)), "flatten them first"),
    (shares_for_pictures_alone, "fit pictures"),
]
