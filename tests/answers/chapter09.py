"""Right and wrong answers to the tasks of chapter 09."""

from __future__ import annotations

import itertools

import numpy as np
import torch

# ------------------------------------------------------------------------------------------ speed


def speed(teacher=lambda t, c, d, n, g: (1 + g) * (t + n * c) + d, student=lambda t, c, d, n, g: t + c + d):
    """A right answer with one of its sums replaced."""
    return lambda *case: teacher(*case) / student(*case)


def speed_by_listing(text, call, decoder, steps, guided):
    prompts = ["mine", "empty"][: 2 if guided else 1]
    calls = [call for _ in range(steps) for _ in prompts]
    return torch.tensor((len(prompts) * text + sum(calls) + decoder) / (text + call + decoder))


# ------------------------------------------------------------------------------------------ the best answer


def view(exponent=lambda squares, alpha_bar: -squares / (2 * (1 - alpha_bar)), root=0.5, dim=1):
    """A right answer with a part replaced."""

    def answer(noisy, pictures, alpha_bar):
        squares = (noisy[:, None] - alpha_bar**root * pictures[None]).square().sum(dim=2)
        return exponent(squares, alpha_bar).softmax(dim=dim) @ pictures

    return answer


def view_by_loop(noisy, pictures, alpha_bar):
    rows = []
    for x in noisy.double():
        logs = torch.stack([-((x - alpha_bar**0.5 * y) ** 2).sum() / 2 / (1 - alpha_bar) for y in pictures.double()])
        weights = torch.exp(logs - logs.logsumexp(0))
        rows.append(sum(w * y for w, y in zip(weights, pictures.double(), strict=True)))
    return torch.stack(rows)


def view_by_distances(noisy, pictures, alpha_bar):
    squares = torch.cdist(noisy, alpha_bar**0.5 * pictures, compute_mode="donot_use_mm_for_euclid_dist") ** 2
    return torch.einsum("nm,md->nd", torch.softmax(squares / (-2 * (1 - alpha_bar)), dim=1), pictures)


def view_by_hand(noisy, pictures, alpha_bar):
    squares = (noisy[:, None] - alpha_bar**0.5 * pictures[None]).square().sum(dim=2)
    weights = torch.exp(-squares / (2 * (1 - alpha_bar)))
    return weights @ pictures / weights.sum(dim=1, keepdim=True)


def nearest(noisy, pictures, alpha_bar):
    return pictures[torch.cdist(noisy, alpha_bar**0.5 * pictures).argmin(dim=1)]


# ------------------------------------------------------------------------------------------ the teacher


def ask(noisy=lambda x, e, k: k.sqrt() * x + (1 - k).sqrt() * e, weight=torch.sqrt, of=lambda d, w: (w * d).mean()):
    """A right answer with a part replaced."""

    def answer(made, noise, alpha_bar, teacher):
        seen = teacher(noisy(made, noise, alpha_bar[:, None, None, None]), alpha_bar).detach()
        return of((made - seen).square().mean(dim=(1, 2, 3)), weight(alpha_bar))

    return answer


def ask_one_by_one(made, noise, alpha_bar, teacher):
    total = 0.0
    for i in range(len(made)):
        with torch.no_grad():
            seen = teacher(
                (alpha_bar[i] ** 0.5 * made[i] + (1 - alpha_bar[i]) ** 0.5 * noise[i])[None], alpha_bar[i : i + 1]
            )[0]
        total = total + alpha_bar[i] ** 0.5 * torch.nn.functional.mse_loss(made[i], seen)
    return total / len(made)


def ask_through(made, noise, alpha_bar, teacher):
    share = alpha_bar[:, None, None, None]
    seen = teacher(share.sqrt() * made + (1 - share).sqrt() * noise, alpha_bar)
    return (alpha_bar.sqrt() * (made - seen).square().mean(dim=(1, 2, 3))).mean()


def ask_made_still(made, noise, alpha_bar, teacher):
    share = alpha_bar[:, None, None, None]
    seen = teacher((share.sqrt() * made + (1 - share).sqrt() * noise).detach(), alpha_bar)
    return (alpha_bar.sqrt() * (made.detach() - seen).square().mean(dim=(1, 2, 3))).mean()


def ask_teacher_learns(made, noise, alpha_bar, teacher):
    share = alpha_bar[:, None, None, None]
    seen = teacher((share.sqrt() * made + (1 - share).sqrt() * noise).detach(), alpha_bar)
    return (alpha_bar.sqrt() * (made - seen).square().mean(dim=(1, 2, 3))).mean()


def ask_without_gradient(made, noise, alpha_bar, teacher):
    return ask()(made, noise, alpha_bar, teacher).item()


# ------------------------------------------------------------------------------------------ the frontier


def beaten(rule):
    """On the frontier unless ``rule(seconds, errors, other seconds, other errors)`` holds for another model."""

    def answer(seconds, errors):
        models = list(zip(seconds.tolist(), errors.tolist(), strict=True))
        return torch.tensor(
            [not any(rule(*a, *b) for j, b in enumerate(models) if j != i) for i, a in enumerate(models)]
        )

    return answer


def frontier_by_sorting(seconds, errors):
    best, chosen = float("inf"), [False] * len(seconds)
    order = sorted(range(len(seconds)), key=lambda i: (seconds[i].item(), errors[i].item()))
    previous = None
    for i in order:
        pair = seconds[i].item(), errors[i].item()
        if pair[1] < best or pair == previous:
            chosen[i], best, previous = True, pair[1], pair
    return chosen


# ------------------------------------------------------------------------------------------ how varied


def spread(
    variance=lambda rows: rows.var(dim=0).mean(),
    together=lambda found: found.mean().sqrt(),
    several=lambda rows: len(rows) > 1,
):
    """A right answer with a part replaced."""

    def answer(features, prompts):
        groups = {}
        for row, prompt in zip(features, prompts, strict=True):
            groups.setdefault(prompt, []).append(row)
        rows = [torch.stack(group) for group in groups.values()]
        return together(torch.stack([variance(group) for group in rows if several(group)]))

    return answer


def spread_by_numpy(features, prompts):
    x, names = features.numpy().astype(np.float64), np.array(prompts)
    found = [x[names == name].var(axis=0, ddof=1) for name in set(prompts) if (names == name).sum() > 1]
    return float(np.sqrt(np.mean(found)))


def spread_by_pairs(features, prompts):
    """The variance is half the mean squared difference of two."""
    found = []
    for name in set(prompts):
        x = features[torch.tensor([prompt == name for prompt in prompts])].double()
        if len(x) > 1:
            found.append(torch.pdist(x).square().mean() / 2 / x.shape[1])
    return torch.stack(found).mean().sqrt()


def spread_of_neighbours(features, prompts):
    each = max(prompts.count(prompt) for prompt in prompts)
    blocks = features[: len(features) // each * each].reshape(-1, each, features.shape[1])
    return blocks.var(dim=1).mean().sqrt()


def spread_by_size(features, prompts):  # a prompt of many pictures counts for more
    found = []
    for name in set(prompts):
        rows = features[torch.tensor([prompt == name for prompt in prompts])]
        found += [rows.var(dim=0).mean()] * len(rows) if len(rows) > 1 else []
    return torch.stack(found).mean().sqrt()


def spread_side_by_side(features, prompts):
    rows = iter(features)
    groups = [torch.stack([next(rows) for _ in same]) for _, same in itertools.groupby(prompts)]
    found = [group.var(dim=0).mean() for group in groups if len(group) > 1]
    return torch.stack(found).mean().sqrt() if found else 0.0


def spread_pooled(features, prompts):
    x = features.clone()
    for name in set(prompts):
        rows = torch.tensor([prompt == name for prompt in prompts])
        x[rows] -= x[rows].mean(dim=0)
    return (x.square().sum() / (len(x) - len(set(prompts))) / x.shape[1]).sqrt()


RIGHT = {
    "spread_within": [spread(), spread_by_numpy, spread_by_pairs],
    "speed_up": [speed(), speed_by_listing],
    "ideal_view": [view(), view_by_loop, view_by_distances],
    "ask_teacher": [ask(), ask_one_by_one],
    "on_frontier": [beaten(lambda s, e, t, f: t <= s and f <= e and (t < s or f < e)), frontier_by_sorting],
}
WRONG = {
    "spread_within": [
        (lambda x, p: x.var(dim=0).mean().sqrt(), "the spread of all pictures together"),
        (spread(lambda rows: rows.var(dim=0, correction=0).mean()), "divided by n - 1"),
        (spread(lambda rows: rows.std(dim=0).mean(), torch.mean), "take one root of that in the end"),
        (spread(together=lambda found: found.sqrt().mean()), "take one root in the end"),
        (spread(together=torch.mean), "The spread is its root"),
        (spread(lambda rows: rows.var(dim=0).sum()), "not their sum"),
        (spread_pooled, "Every prompt is to count the same"),
        (spread_by_size, "Every prompt is to count the same"),
        (spread_side_by_side, "need not stand side by side"),
        (
            spread(lambda rows: rows.var(dim=0, correction=min(1, len(rows) - 1)).mean(), several=lambda rows: True),
            "leave the prompt out",
        ),
        (spread(several=lambda rows: True), "NaN"),
        (lambda x, p: None, "return statement"),
    ],
    "speed_up": [
        (lambda *case: 1 / speed()(*case), "slow time by fast time"),
        (lambda t, c, d, n, g: (1 + g) * n, "Calls of the U-Net are not all"),
        (speed(lambda t, c, d, n, g: (1 + g) * (t + n * c + d)), "how often is it called?"),
        (speed(lambda t, c, d, n, g: (1 + g) * n * c + t + d), "how many must be read?"),
        (speed(lambda t, c, d, n, g: t + n * c + d), "Guidance has no effect here"),
        (speed(student=lambda t, c, d, n, g: (1 + g) * (t + c) + d), "The student has no guidance"),
        (lambda *case: None, "return statement"),
    ],
    "ideal_view": [
        (lambda x, y, k: y.mean(dim=0).expand(len(x), -1), "That is the plain mean"),
        (nearest, "a weighted mean of all"),
        (view(root=1.0), "holds √alpha_bar of the clean one"),
        (view(root=0.0), "made smaller by √alpha_bar"),
        (view(lambda s, k: -s / (1 - k)), "Look at the exponent"),
        (view(lambda s, k: -s / (2 * (1 - k) ** 0.5)), "no further root"),
        (view(lambda s, k: -(s**0.5) / (2 * (1 - k))), "holds the squared distance"),
        (lambda x, y, k: view(lambda s, k: -s / x.shape[1] / (2 * (1 - k)))(x, y, k), "don't average"),
        (view(lambda s, k: s / (2 * (1 - k))), "check a sign"),
        (view_by_hand, "softmax subtracts the largest exponent first"),
        (lambda x, y, k: view()(x, y, k).mean(dim=0), "shape"),
    ],
    "ask_teacher": [
        (ask(weight=torch.ones_like), "it is to count less"),
        (ask(weight=lambda k: k), "The weight is √alpha_bar, not alpha_bar"),
        (ask(of=lambda d, w: (w * d).sum()), "not the sum"),
        (ask(of=lambda d, w: w.mean() * d.mean()), "weigh each picture's own distance"),
        (ask(noisy=lambda x, e, k: x), "see noise on the student's picture"),
        (ask(noisy=lambda x, e, k: k * x + (1 - k) * e), "alpha_bar is a share of power"),
        (ask(noisy=lambda x, e, k: e), "saw the noise alone"),
        (ask_through, "A gradient runs through the teacher"),
        (ask_made_still, "No gradient reaches the student"),
        (ask_teacher_learns, "The teacher itself would learn"),
        (ask_without_gradient, "stay with tensors all the way"),
    ],
    "on_frontier": [
        (beaten(lambda s, e, t, f: t < s and f < e), "equally fast and better"),
        (beaten(lambda s, e, t, f: t <= s and f <= e), "something must be really better"),
        (beaten(lambda s, e, t, f: t < s or f < e), "not better in just one"),
        (beaten(lambda s, e, t, f: t >= s and f <= e and (t > s or f < e)), "Fewer seconds are better"),
        (lambda s, e: ~beaten(lambda a, b, t, f: t <= a and f <= b and (t < a or f < b))(s, e), "other way"),
        (lambda s, e: (s + e).argmin(), "shape"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses

frontier = beaten(lambda s, e, t, f: t <= s and f <= e and (t < s or f < e))

RIGHT["on_frontier"] += [lambda s, e: frontier(s, e).numpy(), lambda s, e: list(frontier(s, e).numpy())]
RIGHT["speed_up"] += [lambda *case: np.float32(speed()(*case))]


def frontier_by_hull(seconds, errors):
    """Among those that nobody beats, only the ones that no straight line between two others passes below."""
    best = [(s, e, i) for i, (s, e) in enumerate(zip(seconds.tolist(), errors.tolist(), strict=True))]
    best = [p for p in best if frontier(seconds, errors)[p[2]]]

    def below(p):
        pairs = [(a, b) for a in best for b in best if a[0] < p[0] < b[0]]
        return any(a[1] + (b[1] - a[1]) * (p[0] - a[0]) / (b[0] - a[0]) < p[1] for a, b in pairs)

    on = {p[2] for p in best if not below(p)}
    return torch.tensor([i in on for i in range(len(seconds))])


WRONG["on_frontier"] += [
    (frontier_by_hull, "Take one model"),
    (lambda s, e: frontier(s, e).int(), "Return truth values"),
    (lambda s, e: frontier(s, e).tolist() and [int(v) for v in frontier(s, e)], "one PyTorch tensor"),
    (lambda s, e: (s == s.min()) | (e == e.min()), "Take one model"),
    (lambda s, e: frontier(s.sort().values, e), "Take one model"),
]
WRONG["ideal_view"] += [(lambda x, y, k: view()(x, y.mul_(1.1), k), "pictures was changed")]
WRONG["ask_teacher"] += [
    (ask(noisy=lambda x, e, k: k.sqrt() * x + (1 - k.sqrt()) * e), "Three lines"),
    (ask(of=lambda d, w: (w * d).sum() / w.sum()), "Three lines"),
]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "spread_within": [(spread_of_neighbours, "equal", "mixed")],
    "speed_up": [(speed(lambda t, c, d, n, g: t + n * c + d), "plain", "guided")],
    "ideal_view": [
        (lambda x, y, k: y.mean(dim=0).expand(len(x), -1), "noise", "between"),
        (view_by_hand, "between", "sharp"),
    ],
    "ask_teacher": [(ask_through, "value", "gradient")],
    "on_frontier": [(beaten(lambda s, e, t, f: t < s and f < e), "plain", "ties")],
}
