"""Right and wrong answers to the tasks of chapter 07."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F

from gan_course import diffusion

# ------------------------------------------------------------------------------------------ forward


def over(values, x):
    return values.reshape(-1, *[1] * (x.ndim - 1))


def jump(keep=lambda betas: torch.cumprod(1 - betas, 0), mix=lambda a, x, e: a.sqrt() * x + (1 - a).sqrt() * e):
    """A right answer with one of its formulas replaced."""
    return lambda x, noise, t, betas: mix(over(keep(betas)[t], x), x, noise)


def jump_by_library(x, noise, t, betas):
    return diffusion.add_noise(x, noise, t, diffusion.cumulative_alphas(betas))


def jump_in_steps(x, noise, t, betas):
    """Step by step, each time adding that part of the given noise which makes up the whole."""
    result = x.clone()
    for i, last in enumerate(t.tolist()):
        picture, share = x[i], torch.tensor(0.0)
        for beta in betas[: last + 1]:
            picture, share = (1 - beta).sqrt() * picture, (1 - beta) * share + beta
        result[i] = picture + share.sqrt() * noise[i]
    return result


def jump_in_place(x, noise, t, betas):
    left = over(torch.cumprod(1 - betas, 0)[t], x)
    return x.mul_(left.sqrt()).add_(noise * (1 - left).sqrt())


def drowned(values=lambda left: left / (1 - left), shift=0, missing=len):
    def first_drowned(betas, ratio):
        left = torch.cumprod(1 - betas.double(), 0)
        below = (values(left) < ratio).nonzero()
        return below[0].item() + shift if len(below) else missing(betas)

    return first_drowned


def drowned_by_counting(betas, ratio):
    return int((diffusion.signal_to_noise(diffusion.cumulative_alphas(betas)) >= ratio).sum())


def drowned_in_a_loop(betas, ratio):
    kept = 1.0
    for t, beta in enumerate(betas.tolist()):
        kept *= 1 - beta
        if kept < ratio * (1 - kept):
            return torch.tensor(t)
    return len(betas)


def drowned_by_argmax(betas, ratio):
    left = torch.cumprod(1 - betas, 0)
    return (left / (1 - left) < ratio).int().argmax()


# ------------------------------------------------------------------------------------------ learning


def apart(picture=lambda a, b, z, v: a * z - b * v, noise=lambda a, b, z, v: b * z + a * v):
    """``a`` and ``b`` are the shares of picture and noise in the noisy ``z``."""

    def take_apart(noisy, v, t, alphas_cumprod):
        left = alphas_cumprod[t]
        a, b = left.sqrt(), (1 - left).sqrt()
        return picture(a, b, noisy, v), noise(a, b, noisy, v)

    return take_apart


def apart_by_library(noisy, v, t, alphas_cumprod):
    functions = diffusion.predicted_x0, diffusion.predicted_noise
    return [f(noisy, v, t, alphas_cumprod, "v_prediction") for f in functions]


def apart_by_solving(noisy, v, t, alphas_cumprod):
    left = alphas_cumprod[t].double()
    table = torch.stack([torch.stack([left.sqrt(), (1 - left).sqrt()]), torch.stack([-(1 - left).sqrt(), left.sqrt()])])
    both = torch.linalg.solve(table, torch.stack([noisy.flatten(), v.flatten()]).double())
    return both[0].view_as(noisy), both[1].view_as(noisy)


def apart_by_division(noisy, v, t, alphas_cumprod):
    """Right on paper, but at the noisy end it divides by almost nothing."""
    left = alphas_cumprod[t]
    noise = (1 - left).sqrt() * noisy + left.sqrt() * v
    return (noisy - (1 - left).sqrt() * noise) / left.sqrt(), noise


def loss(
    seen=lambda noisy, x, noise, v: noisy,
    target=lambda noise, x, v: v,
    labels=lambda labels, dropped, none: torch.where(dropped, none, labels),
    measure=F.mse_loss,
):
    def diffusion_loss(network, x, given, t, noise, dropped, no_class, alphas_cumprod):
        noisy = diffusion.add_noise(x, noise, t, alphas_cumprod)
        v = diffusion.velocity(x, noise, t, alphas_cumprod)
        output = network(seen(noisy, x, noise, v), t, labels(given, dropped, no_class))
        return measure(output, target(noise, x, v))

    return diffusion_loss


def loss_by_hand(network, x, labels, t, noise, dropped, no_class, alphas_cumprod):
    left = over(alphas_cumprod[t], x)
    labels = labels.clone()
    labels[dropped] = no_class
    output = network(left.sqrt() * x + (1 - left).sqrt() * noise, t, labels)
    return ((output - left.sqrt() * noise + (1 - left).sqrt() * x) ** 2).mean()


def loss_in_the_callers_labels(network, x, labels, t, noise, dropped, no_class, alphas_cumprod):
    labels[dropped] = no_class
    return loss()(network, x, labels, t, noise, dropped, no_class, alphas_cumprod)


def loss_without_gradient(*values):
    return loss()(*values).detach()


# ------------------------------------------------------------------------------------------ sampling


def back(x0=lambda x: x.clamp(-1, 1), mix=lambda b, x0, e: b.sqrt() * x0 + (1 - b).sqrt() * e, anew=True, last=1.0):
    def step_back(noisy, noise, t, previous, alphas_cumprod):
        left = alphas_cumprod[t]
        clean = x0((noisy - (1 - left).sqrt() * noise) / left.sqrt())
        again = (noisy - left.sqrt() * clean) / (1 - left).sqrt() if anew else noise
        before = alphas_cumprod[previous] if previous >= 0 or last is None else torch.tensor(last)
        return mix(before, clean, again)

    return step_back


def back_by_library(noisy, noise, t, previous, alphas_cumprod):
    x0 = diffusion.predicted_x0(noisy, noise, t, alphas_cumprod).clamp(-1, 1)
    return diffusion.ddim_step(noisy, x0, t, previous, alphas_cumprod)


def back_by_ratio(noisy, noise, t, previous, alphas_cumprod):
    """Another way to write it: what stays of the noisy picture, and what is added of the clean one."""
    left = alphas_cumprod[t].double()
    before = alphas_cumprod[previous].double() if previous != -1 else torch.ones(()).double()
    x0 = ((noisy - (1 - left).sqrt() * noise) / left.sqrt()).clip(-1, 1)
    stays = ((1 - before) / (1 - left)).sqrt()
    return (stays * noisy + (before.sqrt() - stays * left.sqrt()) * x0).float()


def spread(x):
    return x.std(dim=(1, 2, 3), keepdim=True)


def calm(calmed=lambda g, u, c: g * spread(c) / spread(g), guided=lambda u, c, s: u + s * (c - u), mix=torch.lerp):
    def calm_guidance(unconditional, conditional, scale, share):
        g = guided(unconditional, conditional, scale)
        return mix(g, calmed(g, unconditional, conditional), share)

    return calm_guidance


def calm_in_a_loop(unconditional, conditional, scale, share):
    result = []
    for u, c in zip(unconditional, conditional, strict=True):
        g = scale * c - (scale - 1) * u
        result.append(share * (c.std() / g.std()) * g + (1 - share) * g)
    return torch.stack(result)


def walk(times=lambda n: [1 - i / n for i in range(n + 1)], step=lambda t, p: p - t, when=lambda t, p: t):
    def flow_walk(field, noise, count, shift):
        x, moments = noise, [shift * t / (1 + (shift - 1) * t) for t in times(count)]
        for t, previous in pairwise(moments):
            x = x + step(t, previous) * field(x, when(t, previous))
        return x

    return flow_walk


def upwards(count):
    return [i / count for i in range(count + 1)]


def walk_by_library(field, noise, count, shift):
    times = torch.linspace(1, 0, count + 1)
    times = 1 / (1 + (1 / times - 1) / shift)  # where the odds are what is multiplied
    for t, previous in pairwise(times):
        noise = diffusion.euler_step(noise, field(noise, t), t.item(), previous.item())
    return noise


def walk_in_place(field, noise, count, shift):
    for i in range(count, 0, -1):
        t, previous = (shift * j / (count + (shift - 1) * j) for j in (i, i - 1))
        noise -= field(noise.clone(), t) * (t - previous)
    return noise


def walk_asking_twice(field, noise, count, shift):
    def asked(x, t):
        field(x, t)
        return field(x, t)

    return walk()(asked, noise, count, shift)


def walk_of_the_chapter(field, noise, count, shift):
    return walk()(field, noise, count, 1.0)


def walk_shifted_back(field, noise, count, shift):
    return walk()(field, noise, count, 1 / shift)


RIGHT = {
    "jump_to": [jump(), jump_by_library, jump_in_steps],
    "first_drowned": [drowned(), drowned_by_counting, drowned_in_a_loop],
    "take_apart": [apart(), apart_by_library, apart_by_solving],
    "diffusion_loss": [loss(), loss_by_hand],
    "step_back": [back(), back_by_library, back_by_ratio],
    "calm_guidance": [calm(), calm_in_a_loop],
    "flow_walk": [walk(), walk_by_library, walk_in_place],
}

WRONG = {
    "jump_to": [
        (jump(keep=lambda b: 1 - b), "This is one step"),
        (jump(keep=lambda b: torch.cumprod(b, 0)), "Betas say how much noise comes in"),
        (jump(keep=lambda b: (1 - b.cumsum(0)).clamp(min=0)), "one after the other multiply"),
        (jump(keep=lambda b: F.pad(torch.cumprod(1 - b, 0)[:-1], (1, 0), value=1.0)), "One step is missing"),
        (jump(mix=lambda a, x, e: (1 - a).sqrt() * x + a.sqrt() * e), "Picture and noise are exchanged"),
        (jump(mix=lambda a, x, e: a * x + (1 - a) * e), "through a root"),
        (jump(mix=lambda a, x, e: a.sqrt() * x + e), "full strength"),
        (jump(mix=lambda a, x, e: a.sqrt() * x + (1 - a.sqrt()) * e), "the powers add up to 1"),
        (lambda x, e, t, b: torch.cumprod(1 - b, 0)[t] * x, "got:"),
        (lambda x, e, t, b: jump()(x, e, t, b).flatten(1), "The pictures keep their shape"),
    ],
    "first_drowned": [
        (drowned(shift=1), "Off by one"),
        (drowned(shift=-1), "still the louder one"),
        (drowned(values=lambda a: a), "By what must it be divided?"),
        (drowned(values=lambda a: (a / (1 - a)).sqrt()), "no roots"),
        (drowned(values=lambda a: (1 - a) / a), "upside down"),
        (drowned(missing=lambda b: -1), "the number of steps"),
        (drowned(missing=lambda b: len(b) - 1), "still louder than asked"),
        (drowned(missing=lambda b: None), "return statement"),
        (drowned_by_argmax, "a row of False"),
        (lambda b, r: (torch.cumprod(1 - b, 0) < r).any().item(), "Return one number"),
    ],
    "take_apart": [
        (apart(picture=lambda a, b, z, v: a * z + b * v), "from the picture to the noise"),
        (apart(picture=lambda a, b, z, v: b * z - a * v), "shares are exchanged"),
        (apart(picture=lambda a, b, z, v: (z - b * v) / a), "formula for predicted noise"),
        (apart(picture=lambda a, b, z, v: a**2 * z - b**2 * v), "through a root"),
        (apart(picture=lambda a, b, z, v: z - v), "with their shares"),
        (apart(noise=lambda a, b, z, v: b * z - a * v), "more of it means more noise"),
        (apart(noise=lambda a, b, z, v: a * z + b * v), "so what is v?"),
        (apart(noise=lambda a, b, z, v: v), "The velocity is not the noise"),
        (lambda *all_: apart()(*all_)[::-1], "The order is clean pictures, noise"),
        (lambda *all_: apart()(*all_)[0], "two results"),
        (apart_by_division, "Two equations, two unknowns"),
    ],
    "diffusion_loss": [
        (loss(seen=lambda noisy, x, e, v: x), "shown the clean pictures"),
        (loss(seen=lambda noisy, x, e, v: x + e), "with their shares at timestep t"),
        (loss(seen=lambda noisy, x, e, v: v), "its own target"),
        (loss(target=lambda e, x, v: e), "The target is the noise"),
        (loss(target=lambda e, x, v: x), "The target is the clean picture"),
        (loss(target=lambda e, x, v: -v), "The sign of the velocity"),
        (loss(labels=lambda y, d, n: y), "No label was dropped"),
        (loss(labels=lambda y, d, n: torch.where(d, y, n)), "The wrong ones were dropped"),
        (loss(labels=lambda y, d, n: torch.where(d, 0, y)), "0 is a class like any other"),
        (loss(measure=F.l1_loss), "The differences are squared"),
        (loss(measure=lambda a, b: (a - b).square().sum()), "Take the mean"),
        (loss(measure=lambda a, b: F.mse_loss(a, b, reduction="none")), "one number"),
        (loss_without_gradient, "without a gradient"),
        (loss_in_the_callers_labels, "labels was changed"),
        (lambda *all_: torch.tensor(0.5), "never called"),
    ],
    "step_back": [
        (back(x0=lambda x: x), "leave [-1, 1]"),
        (back(anew=False), "no longer fits"),
        (back(last=None), "means the clean picture"),
        (lambda z, e, t, p, a: z, "Nothing happened"),
        (back(mix=lambda b, x0, e: x0), "jumps to the clean picture"),
        (back(mix=lambda b, x0, e: b * x0 + (1 - b) * e), "through a root"),
        (back(mix=lambda b, x0, e: b.sqrt() * e + (1 - b).sqrt() * x0), "exchanged"),
    ],
    "calm_guidance": [
        (calm(calmed=lambda g, u, c: g), "the spread is still too large"),
        (calm(mix=lambda g, c, share: c), "The share says"),
        (calm(mix=lambda g, c, share: torch.lerp(c, g, share)), "the other way round"),
        (calm(calmed=lambda g, u, c: g * c.std() / g.std()), "One spread for the whole batch"),
        (calm(calmed=lambda g, u, c: g * spread(g) / spread(c)), "upside down"),
        (calm(calmed=lambda g, u, c: g * spread(u) / spread(g)), "*with* the class"),
        (calm(calmed=lambda g, u, c: g / spread(g)), "The spread became 1"),
        (calm(guided=lambda u, c, s: c + s * (c - u)), "A scale of 1 is no guidance"),
    ],
    "flow_walk": [
        (walk(step=lambda t, p: t - p), "the wrong way"),
        (walk(times=upwards), "starts at time 0"),
        (walk(times=lambda n: [i / n for i in range(n + 1)], step=lambda t, p: t - p), "Time runs from 0 to 1"),
        (walk(when=lambda t, p: p), "at the end of each step"),
        (walk(times=lambda n: torch.linspace(1, 0, max(n, 2)).tolist()), "Fewer steps were made"),
        (walk(step=lambda t, p: -1), "as long as the whole way"),
        (lambda field, x, n, shift: x - field(x, 1.0), "Fewer steps were made"),
        (lambda field, x, n, shift: x, "Nothing moved"),
        (walk_asking_twice, "As many calls as steps"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses


def loss_one_by_one(network, x, labels, t, noise, dropped, no_class, alphas_cumprod):
    rows = [
        loss()(network, *(v[i : i + 1] for v in (x, labels, t, noise, dropped)), no_class, alphas_cumprod)
        for i in range(len(x))
    ]
    return torch.stack(rows).mean()


def loss_in_eval(network, *others):
    return loss()(network.eval(), *others)


def by_channel(x):
    return x.std(dim=(2, 3), keepdim=True)


def size(x):
    return x.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)


RIGHT["jump_to"] += [jump(keep=lambda b: torch.exp(torch.cumsum(torch.log1p(-b), 0)))]
RIGHT["diffusion_loss"] += [loss_one_by_one]
RIGHT["calm_guidance"] += [
    calm(
        calmed=lambda g, u, c: (
            g * (c.var((1, 2, 3), False, keepdim=True) / g.var((1, 2, 3), False, keepdim=True)) ** 0.5
        )
    )
]
WRONG["first_drowned"] += [
    (lambda b, r: int((diffusion.signal_to_noise(diffusion.cumulative_alphas(b)) > r).sum()), "Exactly at the ratio"),
    (lambda b, r: int((diffusion.signal_to_noise(diffusion.cumulative_alphas(b)) < r).sum()), "Count from the clean"),
]
WRONG["take_apart"] += [(lambda z, v, t, a: apart()(z, v.neg_(), t, a), "v was changed")]
WRONG["diffusion_loss"] += [(loss_in_eval, "it.training was True, afterwards False")]
WRONG["calm_guidance"] += [
    (calm(calmed=lambda g, u, c: g * by_channel(c) / by_channel(g)), "one spread, over all of its channels"),
    (calm(calmed=lambda g, u, c: g * size(c) / size(g)), "around the picture's mean"),
]
WRONG["flow_walk"] += [
    (lambda f, x, n, s: walk()(lambda y, t: f(y, torch.full((len(y),), t)), x, n, s), "the time as one number"),
    (lambda field, x, n, shift: walk()(field, x, n + 1, shift), "As many calls as steps"),
    (walk(when=lambda t, p: (t + p) / 2), "ask the field where you are"),
]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "jump_to": [(lambda x, e, t, b: jump()(x, e, t[-1:].expand(len(t)), b), "same", "own")],
    "first_drowned": [(drowned_by_argmax, "found", "never")],
    "take_apart": [(apart_by_division, "middle", "ends")],
    "diffusion_loss": [(loss(labels=lambda y, d, n: y), "plain", "dropped")],
    "step_back": [(back(last=None), "middle", "last"), (back(x0=lambda x: x), "last", "clamped")],
    "calm_guidance": [(calm(calmed=lambda g, u, c: g), "off", "on"), (calm(mix=lambda g, c, share: c), "on", "share")],
    "flow_walk": [(walk(when=lambda t, p: p), "straight", "curved")],
}

# ------------------------------------------------------------------------------------------ more than the chapter's own
# Some tasks ask for a variation of what the chapter computes. The answers above are for the chapter's formula; here
# each is made to fit the variation.


def fit(task, change):
    for table in (RIGHT, WRONG, HALF_RIGHT):
        rows = table.get(task, [])
        table[task] = [(change(row[0]), *row[1:]) if isinstance(row, tuple) else change(row) for row in rows]


def since(answer):
    """From the start on: as if the steps up to it did nothing."""
    return lambda x, noise, start, t, betas: answer(
        x, noise, t, torch.where(torch.arange(len(betas)) <= start, 0.0, betas)
    )


def jump_by_ratio(x, noise, start, t, betas):
    left = torch.cat([torch.cumprod(1 - betas, 0), torch.ones(1)])  # index -1 is the clean picture
    share = over(left[t] / left[start], x)
    return share.sqrt() * x + (1 - share).sqrt() * noise


def jump_by_wrong_index(x, noise, start, t, betas):
    left = torch.cumprod(1 - betas, 0)
    share = over(left[t] / left[start], x)
    return share.sqrt() * x + (1 - share).clamp(min=0).sqrt() * noise


def jump_by_index(x, noise, start, t, betas):
    """NaN where the picture's share would be more than 1."""
    left = torch.cumprod(1 - betas, 0)
    share = over(left[t] / left[start], x)
    return share.sqrt() * x + (1 - share).sqrt() * noise


fit("jump_to", since)
RIGHT["jump_to"] += [jump_by_ratio]
WRONG["jump_to"] += [
    (lambda x, e, start, t, b: jump()(x, e, t, b), "starts at the clean picture"),
    (lambda x, e, start, t, b: since(jump())(x, e, start - 1, t, b), "it must not act again"),
    (lambda x, e, start, t, b: since(jump_in_place)(x, e, start, t, b), "x was changed"),
    (jump_by_wrong_index, "index -1 is the last entry"),
    (jump_by_index, "index -1 is the last entry"),
]
WRONG["flow_walk"] += [
    (walk_of_the_chapter, "These steps are equal"),
    (walk_shifted_back, "the wrong side"),
]
