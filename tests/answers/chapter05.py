"""Right and wrong answers to the tasks of chapter 05."""

from __future__ import annotations

import math
import random

import numpy as np
import torch
import torch.nn.functional as F

# ------------------------------------------------------------------------------------------ the smallest game


def play(simultaneous, alternating=lambda a, b, h: (a + h * (b - h * a), b - h * a)):
    """A right answer for the game in turns, with a rule for simultaneous steps."""

    def play_dirac(theta, psi, rate, steps, alternating_):
        rule = alternating if alternating_ else simultaneous
        path = [(theta, psi)]
        for _ in range(steps):
            path.append(rule(*path[-1], rate))
        return torch.tensor(path)

    return play_dirac


def together(a, b, h):
    return a + h * b, b - h * a


def generator_first(a, b, h):
    a = a + h * b
    return a, b - h * a


def play_by_autograd(theta, psi, rate, steps, alternating):
    theta, psi = (torch.tensor(x, requires_grad=True) for x in (theta, psi))
    path = [[theta.item(), psi.item()]]
    for _ in range(steps):
        (d_gradient,) = torch.autograd.grad(psi * theta - psi * 0.0, psi)
        (g_gradient,) = torch.autograd.grad(-psi * theta, theta)
        with torch.no_grad():
            psi -= rate * d_gradient
        if alternating:
            (g_gradient,) = torch.autograd.grad(-psi * theta, theta)
        with torch.no_grad():
            theta -= rate * g_gradient
        path.append([theta.item(), psi.item()])
    return torch.tensor(path)


def play_by_powers(theta, psi, rate, steps, alternating):
    matrix = torch.tensor([[1 - rate**2 if alternating else 1.0, rate], [-rate, 1.0]], dtype=torch.float64)
    start = torch.tensor([theta, psi], dtype=torch.float64)
    return torch.stack([torch.linalg.matrix_power(matrix, n) @ start for n in range(steps + 1)])


def growth(number, entry=lambda h, w: 1 - h * w):
    """``number(eigenvalues)`` of the step's matrix."""
    return lambda h, w: number(torch.linalg.eigvals(torch.tensor([[1.0, h], [-h, entry(h, w)]])))


def play_the_chapter(theta, psi, rate, steps, alternating):
    path = [torch.tensor([theta, psi])]
    for _ in range(steps):
        a, b = path[-1]
        new = b - rate * torch.sigmoid(a * b) * a
        seen = new if alternating else b
        path.append(torch.stack([a + rate * torch.sigmoid(a * seen) * seen, new]))
    return torch.stack(path)


def growth_of_the_chapter(h, w):
    return torch.linalg.eigvals(torch.tensor([[1.0, h / 2], [-h / 2, 1 - h * w]])).abs().max()


def growth_by_formula(h, w):
    half, determinant = (2 - h * w) / 2, 1 - h * w + h * h
    if half**2 < determinant:
        return math.sqrt(determinant)
    root = math.sqrt(half**2 - determinant)
    return max(abs(half + root), abs(half - root))


def calm_by_search(h):
    weights = torch.linspace(0, 6, 6001, dtype=torch.float64)
    calm = torch.tensor([growth_by_formula(h, w.item()) < 1 for w in weights])
    return weights[calm].min(), weights[calm].max()


def calm_by_bisection(h):
    def edge(calm, wild):
        for _ in range(60):
            middle = (calm + wild) / 2
            calm, wild = (middle, wild) if growth_by_formula(h, middle) < 1 else (calm, middle)
        return calm

    rests = h + 0.01
    wild = rests
    while growth_by_formula(h, wild) < 1:
        wild *= 2
    return np.float32(edge(rests, 0.0)), np.float64(edge(rests, wild))


def calm(low=lambda h: h, high=lambda h: (4 + h * h) / (2 * h)):
    return lambda h: (low(h), high(h))


# ------------------------------------------------------------------------------------------ the cured round


def cured(
    real_loss=lambda logits: F.softplus(-logits).mean(),
    fake_loss=lambda logits: F.softplus(logits).mean(),
    g_loss=lambda logits: F.softplus(-logits).mean(),
    detach=True,
    zero=True,
    zero_d=True,
    joined=False,
    flip=False,
    seen_noise=None,
    own_noise=None,
):
    """A right answer with one of its pieces replaced."""

    def cured_round(g, d, opt_g, opt_d, real, noise):
        fake = g(own_noise(noise) if own_noise else noise)
        seen = g(seen_noise(noise) if seen_noise else noise) if seen_noise or own_noise else fake
        seen = seen.detach() if detach else seen
        real_logits, fake_logits = d(torch.cat([real, seen])).chunk(2) if joined else (d(real), d(seen))
        loss_d = real_loss(real_logits) + fake_loss(fake_logits)
        if zero_d:
            opt_d.zero_grad()
        loss_d.backward(retain_graph=True)
        opt_d.step()
        loss_g = g_loss(d(fake))
        if zero:
            opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()
        return (loss_g, loss_d) if flip else (loss_d, loss_g)

    return cured_round


def cured_differently(g, d, opt_g, opt_d, real, noise):
    """Fakes made twice, gradients cleared at the end, targets written out, floats returned."""
    bce = F.binary_cross_entropy_with_logits
    for p in [*g.parameters(), *d.parameters()]:
        p.grad = None
    with torch.no_grad():
        fake = g(noise)
    loss_d = bce(d(real), torch.ones(len(real))) + bce(d(fake), torch.zeros(len(real)))
    loss_d.backward()
    opt_d.step()
    d.requires_grad_(False)
    loss_g = bce(d(g(noise)), torch.ones(len(real)))
    loss_g.backward()
    opt_g.step()
    d.requires_grad_(True)
    opt_g.zero_grad()
    opt_d.zero_grad()
    return loss_d.item(), loss_g.item()


def sick(g, d, opt_g, opt_d, x, z):
    """The program that the task shows."""
    ones, zeros = torch.ones(len(x)), torch.zeros(len(x))
    loss = F.binary_cross_entropy_with_logits
    fakes = g(z)
    loss_d = loss(torch.sigmoid(d(x)), zeros) + loss(torch.sigmoid(d(fakes)), ones)
    opt_d.zero_grad()
    loss_d.backward(retain_graph=True)
    opt_d.step()
    loss_g = loss(torch.sigmoid(d(fakes)), ones)
    loss_g.backward()
    opt_g.step()
    return loss_d.item(), loss_g.item()


def generator_before_discriminator(g, d, opt_g, opt_d, real, noise):
    """The generator's gradient is that of the discriminator before its step."""
    fake = g(noise)
    opt_g.zero_grad()
    loss_g = F.softplus(-d(fake)).mean()
    loss_g.backward()
    opt_d.zero_grad()
    loss_d = F.softplus(-d(real)).mean() + F.softplus(d(fake.detach())).mean()
    loss_d.backward()
    opt_d.step()
    opt_g.step()
    return loss_d, loss_g


def freezes(g, d, *rest):
    result = cured()(g, d, *rest)
    d.requires_grad_(False)
    return result


# ------------------------------------------------------------------------------------------ shifts


def shift(draw=None, fill=-1.0, gather=None, reach_of=lambda reach: reach):
    """A right answer in a loop over the pictures, with one of its pieces replaced."""

    def random_shift(images, reach):
        reach = reach_of(reach)
        height, width = images.shape[-2:]
        padded = F.pad(images, (reach,) * 4, value=fill)
        made = []
        for picture in padded:
            y, x = draw(reach) if draw else torch.randint(2 * reach + 1, (2,)).tolist()
            made.append(picture[:, y : y + height, x : x + width])
        return torch.stack(made)

    return random_shift


def shift_by_gather(images, reach):
    """All at once, with an index for each pixel."""
    n, c, height, width = images.shape
    y, x = (torch.randint(-reach, reach + 1, (n, 1, 1, 1)) for _ in range(2))
    rows = torch.arange(height)[None, None, :, None] + y
    columns = torch.arange(width)[None, None, None, :] + x
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    index = (rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)).expand(n, c, height, width)
    moved = images.flatten(2).gather(2, index.flatten(2)).view_as(images)
    return torch.where(inside, moved, -1.0)


def shift_by_grid(images, reach):
    """PyTorch's own sampler, with Python's random numbers."""
    n, _, height, width = images.shape
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1
    for i in range(n):
        theta[i, 0, 2] = 2 * random.randint(-reach, reach) / width
        theta[i, 1, 2] = 2 * random.randint(-reach, reach) / height
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images + 1, grid, mode="nearest", align_corners=False) - 1


def shift_by_roll(images, reach):
    return torch.stack([i.roll(torch.randint(-reach, reach + 1, (2,)).tolist(), (1, 2)) for i in images])


def shift_all_alike(images, reach):
    y, x = torch.randint(2 * reach + 1, (2,)).tolist()
    padded = F.pad(images, (reach,) * 4, value=-1.0)
    return padded[..., y : y + images.shape[2], x : x + images.shape[3]]


def shift_in_turn(images, reach):
    side = 2 * reach + 1
    turns = iter(range(len(images)))
    return shift(draw=lambda _: ((turn := next(turns)) % side, turn // side % side))(images, reach)


def shift_channels_apart(images, reach):
    return shift()(images.flatten(0, 1)[:, None], reach).view_as(images)


def shift_in_place(images, reach):
    with torch.no_grad():
        images.copy_(shift()(images, reach))
    return images


def diagonal(reach):
    return [torch.randint(2 * reach + 1, ()).item()] * 2


def sideways(reach):
    return reach, torch.randint(2 * reach + 1, ()).item()


def without_last(reach):
    return torch.randint(max(1, 2 * reach), (2,)).tolist()


# ------------------------------------------------------------------------------------------ clinic


def modes(number):
    """``number(shares)``, the shares without those that are 0."""

    def effective_modes(counts):
        share = counts[counts > 0] / counts.sum()
        return number(share)

    return effective_modes


def entropy(share):
    return -(share * share.log()).sum()


def memory(formula, window=lambda column, last: column[-last:], mean=lambda x: sum(x) / len(x)):
    def memory_share(log, last):
        names = ("real_logit", "held_out_logit", "fake_logit")
        return formula(*(mean(window(log[name], last)) for name in names))

    return memory_share


def memory_of_means(log, last):
    real, held_out, fake = (torch.tensor(log[n])[-last:].mean() for n in ("real_logit", "held_out_logit", "fake_logit"))
    return 1 - (held_out - fake) / (real - fake)


def memory_of_quotients(log, last):
    real, held_out, fake = (torch.tensor(log[n])[-last:] for n in ("real_logit", "held_out_logit", "fake_logit"))
    return ((real - held_out) / (real - fake)).mean()


def share(real, held_out, fake):
    return (real - held_out) / (real - fake)


RIGHT = {
    "play_dirac": [play(together), play_by_autograd, play_by_powers],
    "growth_factor": [growth(lambda values: values.abs().max()), growth_by_formula],
    "calm_weights": [calm(), calm_by_bisection],
    "cured_round": [cured(), cured_differently, cured(joined=True), cured(detach=False)],
    "random_shift": [shift(), shift_by_gather, shift_by_grid],
    "effective_modes": [
        modes(lambda share: entropy(share).exp()),
        modes(lambda share: (share ** (-share)).prod()),
        lambda counts: torch.special.entr(counts / counts.sum()).sum().exp(),
    ],
    "memory_share": [memory(share), memory_of_means],
}

WRONG = {
    "play_dirac": [
        (play(lambda a, b, h: (a + h * (b - h * a), b - h * a)), "already saw the other's move"),
        (play(together, together), "the generator sees the new slope"),
        (play(together, generator_first), "Who moves first?"),
        (play(lambda a, b, h: (a - h * b, b + h * a)), "go up their own loss"),
        (play(lambda a, b, h: (a - h * b, b - h * a)), "The generator goes the wrong way"),
        (play(lambda a, b, h: (a + h * b, b + h * a)), "The discriminator goes the wrong way"),
        (play(lambda a, b, h: (a + h * a, b - h * b)), "Differentiate the product"),
        (lambda *inputs: play(together)(*inputs)[1:], "One row for the start"),
        (lambda *inputs: play(together)(*inputs).flip(1), "two columns are swapped"),
    ],
    "growth_factor": [
        (growth(lambda values: values.real.max()), "largest real part"),
        (growth(lambda values: values.abs().min()), "the larger one wins"),
        (growth(lambda values: (values - 1).abs().max()), "of the change alone"),
        (growth(lambda values: values.prod().real), "how an area grows"),
        (growth(lambda values: values.abs().max() - 1), "asks for the factor"),
        (growth(lambda values: values.abs().max(), lambda h, w: 1 - 2 * h * w), "counts twice"),
        (growth(lambda values: values.abs().max(), lambda h, w: 1 - w), "multiplied by the rate"),
        (growth(lambda values: values.abs().max(), lambda h, w: 1.0), "R1 has no effect"),
        (growth(lambda values: values.abs().max(), lambda h, w: 1 + h * w), "adds one term to psi's step"),
        (growth(lambda values: values), "the growth factor as one number"),
        (lambda h, w: math.sqrt(1 - h * w + h * h) if w < 4 else 1.0, "One may be negative"),
    ],
    "calm_weights": [
        (calm(low=lambda h: 0.0), "each one overshoots"),
        (calm(low=lambda h: h / 2), "Half of it"),
        (calm(low=lambda h: 2 * h), "Twice too much"),
        (calm(low=lambda h: h * h), "One factor of the rate too many"),
        (calm(low=lambda h: 2.0), "no longer turns"),
        (calm(high=lambda h: 2 / h), "a discriminator alone"),
        (calm(high=lambda h: 1 / h), "jump to 0"),
        (calm(high=lambda h: math.inf), "without NaN and infinity"),
        (lambda h: calm()(h)[::-1], "The order is low, high"),
        (lambda h: h, "two results"),
        (calm_by_search, "One of them goes through -1"),  # the grid ends too early
    ],
    "cured_round": [
        (sick, "as sick as before"),
        (cured(real_loss=lambda r: F.softplus(r).mean(), fake_loss=lambda f: F.softplus(-f).mean()), "swapp"),
        (
            cured(
                real_loss=lambda r: F.softplus(-r.sigmoid()).mean(), fake_loss=lambda f: F.softplus(f.sigmoid()).mean()
            ),
            "a sigmoid too many: the loss",
        ),
        (cured(g_loss=lambda f: F.softplus(-f.sigmoid()).mean()), "in the generator's half, too"),
        (cured(detach=False, zero=False), "the thread was not cut"),
        (cured(zero=False), "of the round before"),
        (cured(zero_d=False), "that the generator's step left"),
        (cured(g_loss=lambda f: F.softplus(f).mean()), "learns to be recognised"),
        (cured(g_loss=lambda f: -F.softplus(f).mean()), "the saturating loss"),
        (cured(g_loss=lambda f: F.softplus(-f).sum()), "batch size"),
        (cured(real_loss=lambda r: F.softplus(-r).sum(), fake_loss=lambda f: F.softplus(f).sum()), "batch"),
        (cured(flip=True), "Return the discriminator's loss"),
        (generator_before_discriminator, "from before its step"),
        (freezes, "thawed"),
        (lambda *inputs: (0.0, 0.0), "same as before"),
    ],
    "random_shift": [
        (shift_by_roll, "comes back on the other"),
        (shift(fill=0.0), "which is grey"),
        (shift(fill=1.0), "the background of our pictures is -1"),
        (shift_all_alike, "each picture gets its own shift"),
        (shift_channels_apart, "All colours of a picture move together"),
        (shift_in_place, "images was changed"),
        (shift(draw=diagonal), "drawn independently"),
        (shift(draw=sideways), "Some shifts never happen"),
        (shift(draw=without_last), "0 and both ends"),
        (shift(reach_of=lambda reach: reach + 1), "move too far"),
        (lambda images, reach: F.pad(images, (reach,) * 4, value=-1.0), "the same channels"),
        (lambda images, reach: shift()(images.detach(), reach), "without a gradient"),
        (lambda images, reach: shift()(0.5 * (images + images.detach()), reach), "pass its gradient on"),
        (lambda images, reach: images.flip(3), "a window of the old size"),
    ],
    "effective_modes": [
        (modes(entropy), "That is the entropy."),
        (modes(lambda share: entropy(share) / math.log(2)), "entropy in bits"),
        (modes(lambda share: 2 ** entropy(share)), "the same base"),
        (modes(lambda share: (entropy(share) / math.log(2)).exp()), "the same base"),
        (modes(len), "any point"),
        (modes(lambda share: 1 / (share**2).sum()), "Use the entropy"),
        (modes(lambda share: (-entropy(share)).exp()), "sign of the entropy"),
        (lambda counts: entropy(counts / counts.sum()).exp(), "u log u goes to 0"),
        (lambda counts: modes(lambda s: entropy(s).exp())(counts) / len(counts), "a share of all modes"),
    ],
    "memory_share": [
        (memory(share, window=lambda column, last: column), "the whole run"),
        (memory(share, window=lambda column, last: column[:last]), "first entries"),
        (memory(share, window=lambda column, last: column[-1:]), "the last entry alone"),
        (memory_of_quotients, "mean of quotients"),
        (memory(lambda r, h, f: (h - f) / (r - f)), "what is knowledge"),
        (memory(lambda r, h, f: r - h), "gap in logits"),
        (memory(lambda r, h, f: (h - r) / (r - f)), "The sign"),
        (memory(lambda r, h, f: h / r), "no zero"),
        (memory(lambda r, h, f: (r - h) / (h - f) if h != f else 9.0), "The whole gap"),
        (memory(share, window=lambda column, last: column[-last - 1 : -1]), "pictures never seen"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses


def cured_in_eval(g, d, *rest):
    return cured()(g.eval(), d, *rest)


RIGHT["effective_modes"] += [modes(lambda share: np.float32(entropy(share).exp()))]
RIGHT["growth_factor"] += [
    lambda h, w: np.abs(np.linalg.eigvals(np.array([[1, h], [-h, 1 - h * w]]))).max(),
]
RIGHT["memory_share"] += [lambda log, last: np.float64(memory(share)(log, last))]
WRONG["calm_weights"] += [
    (calm(high=lambda h: 4 / h), "the matrix plus the identity"),
    (calm(low=lambda h: h / 4, high=lambda h: 2 / h + h / 8), "the chapter's game"),
]
WRONG["growth_factor"] += [(growth_of_the_chapter, "the chapter's game")]
WRONG["play_dirac"] += [(play_the_chapter, "the chapter's game")]
WRONG["cured_round"] += [
    (cured_in_eval, "it.training was True, afterwards False"),
    (cured(seen_noise=torch.randn_like), "another noise"),
    (cured(own_noise=torch.randn_like), "another noise"),
]
WRONG["memory_share"] += [
    (memory(lambda r, h, f: (r - h) / (abs(r) + abs(f))), "Compare that with"),
    (memory(share, mean=lambda x: sorted(x)[len(x) // 2]), "Compare that with"),
]
WRONG["random_shift"] += [
    (shift(draw=lambda reach: (2 * reach * torch.randint(2, (2,))).tolist()), "0 and both ends"),
    (lambda images, reach: torch.manual_seed(0) and shift()(images, reach), "a seed set inside"),
    (shift_in_turn, "in turn"),
]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "play_dirac": [(play(together, together), "simultaneous", "alternating")],
    "growth_factor": [
        (growth(lambda v: v.abs().max(), lambda h, w: 1.0), "plain", "calmed"),
        (growth(lambda v: v[v.real.argmax()].abs()), "calmed", "strong"),
    ],
    "calm_weights": [(calm(high=lambda h: 2 / h), "low", "high"), (calm(low=lambda h: 0.0), "high", "low")],
    "cured_round": [
        (cured(detach=False, zero=False), "discriminator", "generator"),
        (cured(real_loss=lambda r: F.softplus(-r).sum()), "generator", "discriminator"),
    ],
    "random_shift": [
        (shift_all_alike, "moves", "random"),
        (lambda images, reach: shift()(images.detach(), reach), "random", "gradient"),
    ],
    "effective_modes": [(lambda counts: entropy(counts / counts.sum()).exp(), "values", "empty")],
    "memory_share": [(memory(share, window=lambda column, last: column), "values", "window")],
}
