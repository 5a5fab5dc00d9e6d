"""Right and wrong answers to the tasks of chapter 11."""

from __future__ import annotations

import math

import numpy
import torch


def gain(error=lambda a, b: (a - b).std() / len(a) ** 0.5, middle=lambda a, b: (a - b).mean(), factor=lambda t: t):
    def paired_gain(changed, base, t):
        half = factor(t) * error(changed, base)
        return middle(changed, base) - half, middle(changed, base) + half

    return paired_gain


def gain_by_numpy(changed, base, t):
    d = changed.double().numpy() - base.double().numpy()
    half = t * d.std(ddof=1) / numpy.sqrt(d.size)
    return [d.mean() - half, d.mean() + half]


def unpaired(a, b):
    return torch.hypot(a.std(), b.std()) / len(a) ** 0.5


def runs(formula, least=2, rounded=math.ceil):
    return lambda differences, effect: max(least, rounded(formula(differences.double().std().item(), effect)))


def runs_by_counting(differences, effect):
    number, std = 2, numpy.std(differences.double().numpy(), ddof=1)
    while 2 * std / number**0.5 > effect:
        number += 1
    return number


def hole(corner=lambda r, c, side: (r, c), size=lambda side: side, value=-1.0, first=False, inplace=False):
    def cut_out(pictures, rows, columns, side):
        made = pictures if inplace else pictures.clone()
        for i in range(len(made)):
            k = 0 if first else i
            top, left = corner(int(rows[k]), int(columns[k]), side)
            made[i, :, max(0, top) : top + size(side), max(0, left) : left + size(side)] = value
        return made

    return cut_out


def hole_by_mask(pictures, rows, columns, side):
    down, across = torch.arange(pictures.shape[2]), torch.arange(pictures.shape[3])
    in_rows = (down >= rows[:, None]) & (down < rows[:, None] + side)
    in_columns = (across >= columns[:, None]) & (across < columns[:, None] + side)
    return pictures.masked_fill((in_rows[:, :, None] & in_columns[:, None, :])[:, None], -1.0)


def hole_pushed_inside(pictures, rows, columns, side):
    height, width = pictures.shape[2:]
    return hole()(pictures, rows.clamp(max=height - side), columns.clamp(max=width - side), side)


def exact(count, share):
    return math.log(share) / math.log(1 - 1 / count)


def generations_by_counting(count, share):
    left, generation = 1.0, 0
    while left > share + 1e-12:
        left, generation = left * (count - 1) / count, generation + 1
    return generation


RIGHT = {
    "paired_gain": [gain(), gain_by_numpy],
    "runs_needed": [runs(lambda s, e: (2 * s / e) ** 2), runs_by_counting],
    "cut_out": [hole(), hole_by_mask],
    "generations_left": [lambda n, s: math.ceil(exact(n, s)), generations_by_counting],
}

WRONG = {
    "paired_gain": [
        (gain(unpaired), "What cancels in a pair"),
        (gain(lambda a, b: (a - b).std()), "spread of single differences"),
        (gain(lambda a, b: (a - b).std() / len(a)), "shrinks with its root"),
        (gain(lambda a, b: (a - b).std(correction=0) / len(a) ** 0.5), "divide by R - 1"),
        (gain(factor=lambda t: -t), "The order is low, high"),
        (gain(middle=lambda a, b: (b - a).mean()), "without minus with"),
        (gain(middle=lambda a, b: 0.0), "the interval's width"),
        (gain(factor=lambda t: 1.0), "value of t is missing"),
        (lambda a, b, t: (a - b).mean(), "two results"),
    ],
    "runs_needed": [
        (runs(lambda s, e: (2 * s / e) ** 2, rounded=math.floor), "round up"),
        (runs(lambda s, e: (s / e) ** 2), "two standard errors"),
        (runs(lambda s, e: 2 * s / e), "with the root of the number"),
        (runs(lambda s, e: (4 * s / e) ** 2), "not the whole"),
        (runs(lambda s, e: (2 * s / e) ** 2, least=1), "at least two are needed"),
    ],
    "cut_out": [
        (hole(corner=lambda r, c, side: (c, r)), "Rows and columns are exchanged"),
        (hole(value=0.0), "Which number is black"),
        (hole(size=lambda side: side + 1), "one pixel too large"),
        (hole(first=True), "a place of its own"),
        (hole(corner=lambda r, c, side: (r - side // 2, c - side // 2)), "upper left corner"),
        (hole(inplace=True), "work on a copy"),
        (lambda pictures, rows, columns, side: pictures, "Nothing was changed"),
    ],
    "generations_left": [
        (lambda n, s: math.floor(exact(n, s)), "round up"),
        (exact, "Generations are whole numbers"),
        (lambda n, s: math.ceil((1 - s) * n), "what is *left*"),
        (lambda n, s: math.ceil(2 * exact(n, s)), "standard deviation"),
        (lambda n, s: math.ceil(exact(n, s)) + 1, "One too many"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses

RIGHT["runs_needed"] += [
    lambda d, e: numpy.int64(max(2, numpy.ceil((2 * numpy.std(d.double().numpy(), ddof=1) / e) ** 2))),
]
WRONG["paired_gain"] += [(gain(middle=lambda a, b: (a - b).median()), "one difference for each run")]
WRONG["runs_needed"] += [
    (runs(lambda s, e: (2 * s / e) ** 2, rounded=lambda x: math.floor(x) + 1), "exactly the effect"),
    (lambda d, e: max(2, math.ceil((2 * d.std(correction=0).item() / e) ** 2)), "divide by R - 1"),
]
WRONG["generations_left"] += [
    (lambda n, s: math.floor(exact(n, s)) + 1, "at most the share"),
    (lambda n, s: round(exact(n, s)), "After g generations"),
]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "runs_needed": [(runs(lambda s, e: (2 * s / e) ** 2, least=1), "values", "few")],
    "cut_out": [(hole_pushed_inside, "inside", "rim")],
    "generations_left": [(lambda n, s: math.ceil(exact(n, 1 - s)), "half", "shares")],
}
