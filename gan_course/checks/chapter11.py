"""Checks of chapter 11: paired comparison, how many runs it takes, an augmentation, what a chain of models keeps."""

from __future__ import annotations

import math
import random
import statistics

import torch

from gan_course.checks.draws import hidden
from gan_course.checks.report import Attempt, Parts, cases, check
from gan_course.checks.values import normal

# ------------------------------------------------------------------------------------------ pairs

ENDS = ("low", "high")


def _compare_pairs(attempt: Attempt, changed: list[float], base: list[float], t: float, hint: str) -> None:
    a, b = torch.tensor(changed), torch.tensor(base)
    x, y = a.double(), b.double()
    d, root = x - y, math.sqrt(len(x))
    middle, error = d.mean(), d.std() / root
    wrong = [
        (torch.hypot(x.std(), y.std()) / root, "The two methods' spreads were taken apart. What cancels in a pair?"),
        (d.std(), "That is the spread of single differences. How far does their mean scatter?"),
        (d.std() / len(d), "Divided by the number of runs: the error of a mean shrinks with its root."),
        (d.std(correction=0) / root, "The spread around the mean of the same runs is too small: divide by R - 1."),
        (error**2, "That is a variance. The interval needs its root."),
        (error / t, "The value of t is missing."),
    ]
    values = attempt.results(attempt(a, b, t), ENDS)
    for i, (value, sign) in enumerate(zip(values, (-1, 1), strict=True)):
        mistakes = [
            *[(middle + sign * t * size, text) for size, text in wrong],
            (middle - sign * t * error, f"The order is {ENDS[0]}, {ENDS[1]}." if i == 0 else "This is the low end."),
            (-middle + sign * t * error, "That is without minus with. A gain has to come out positive."),
            (sign * t * error, "That is the interval's width. Put it around the mean difference."),
        ]
        attempt.close(value, middle + sign * t * error, hint, mistakes, what=f"the {ENDS[i]} end")


@check("paired_gain(changed [R], base [R], t) -> (low, high)")
def check_paired_gain() -> Parts:
    hint = "First one difference for each run, then their mean, their spread, and the error of their mean."
    return {
        "values": cases(
            _compare_pairs,
            ([0.87, 0.85, 0.90], [0.84, 0.86, 0.85], 4.303),
            ([0.5, 0.75, 0.25, 0.5], [0.625, 0.5, 0.5, 0.375], 3.182),
            hint=hint,
            nudge=True,
        ),
        "pairs": cases(
            _compare_pairs,
            ([0.61, 0.72, 0.83, 0.94, 0.52], [0.60, 0.70, 0.82, 0.91, 0.50], 2.776),
            ([0.9, 0.1, 0.5], [0.8, 0.05, 0.42], 4.303),
            hint=hint,
            nudge=True,
        ),
    }


# ------------------------------------------------------------------------------------------ how many runs


def _compare_runs(attempt: Attempt, differences: list[float], effect: float) -> None:
    d = torch.tensor(differences)
    std = d.double().std().item()
    right = max(2, math.ceil((2 * std / effect) ** 2 - 1e-6))
    exact = (2 * std / effect) ** 2

    def least_two(number: float) -> int:
        return max(2, math.ceil(number - 1e-6))

    mistakes = [
        (math.ceil(exact - 1e-6), "One run has no spread: at least two are needed."),
        (max(2, math.floor(exact + 1e-6) + 1), "One run less would do, where the interval is exactly the effect."),
        (max(2, math.floor(exact + 1e-6)), "With so many runs the interval is still too wide: round up."),
        (max(2, round(exact)), "Round up always, not only from one half on: else the interval is too wide."),
        (exact, "A number of runs is whole: round up."),
        (least_two((std / effect) ** 2), "The interval reaches two standard errors to either side."),
        (least_two(2 * std / effect), "The error shrinks with the root of the number of runs."),
        (least_two((4 * std / effect) ** 2), "Half of the interval has to fit into the effect, not the whole."),
        (least_two((2 * std**2 / effect) ** 2), "A variance was used. The error starts from the standard deviation."),
        (
            least_two((2 * d.double().std(correction=0).item() / effect) ** 2),
            "The pilot's spread was taken around its own mean, which makes it too small: divide by R - 1.",
        ),
    ]
    hint = "For how many runs is twice the standard deviation, divided by the root of that number, at most the effect?"
    attempt.close(attempt(d, effect), float(right), hint, mistakes, what="the number of runs", tolerance=1e-6)


@check("runs_needed(differences [R], effect) -> number")
def check_runs_needed() -> Parts:
    pilot = [0.03, -0.01, 0.02, 0.05, 0.01]

    def enough(runs: float, r: random.Random) -> tuple[list[float], float]:
        """A pilot, and the effect for which ``runs`` of them are exactly enough."""
        numbers = [r.gauss(0.02, 0.03) for _ in range(r.randint(4, 8))]
        return numbers, 2 * statistics.stdev(numbers) / math.sqrt(runs)

    return {
        "values": cases(
            _compare_runs,
            (pilot, 0.011),
            (pilot, 0.0043),
            ([1.0, 3.0, 2.5], 0.7),
            ([-1.0, 0.0, 1.0], 1.0),  # exactly 4, and below exactly 16
            ([1.0, 2.0, 3.0], 0.5),
            *hidden(lambda r: enough(r.randint(5, 90) + r.uniform(0.2, 0.8), r), 3),
        ),
        "few": cases(_compare_runs, (pilot, 0.5), ([0.1, 0.2], 3.0), *hidden(lambda r: enough(r.uniform(0.1, 0.7), r))),
    }


# ------------------------------------------------------------------------------------------ a hole in the picture


def _compare_hole(attempt: Attempt, shape: tuple[int, ...], rows: list[int], columns: list[int], side: int) -> None:
    before = normal(*shape, seed=1).clamp(-0.9, 1)

    def holes(tops: list[int], lefts: list[int], side: int = side, value: float = -1.0, from_row: int = 0):
        made = before.clone()
        for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
            made[i, :, max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = value
        return made

    up, left = ([place - side // 2 for place in places] for places in (rows, columns))
    mistakes = [
        (holes(columns, rows), "Rows and columns are exchanged: the first counts downwards."),
        (holes(rows, columns, value=0.0), "0 is grey. Which number is black?"),
        (holes(rows, columns, side + 1), "The hole is one pixel too large: it ends before row + side."),
        (holes([rows[0]] * len(rows), [columns[0]] * len(rows)), "Every picture has a place of its own."),
        (holes(up, left), "The place is the hole's upper left corner, not its middle."),
        (before, "Nothing was changed in the result."),
    ]
    result = attempt(before.clone(), torch.tensor(rows), torch.tensor(columns), side)
    hint = "In picture i the rows from rows[i] to rows[i] + side - 1 turn black, and the columns likewise."
    attempt.close(result, holes(rows, columns), hint, mistakes, what="the pictures")


@check("cut_out(pictures [N, C, H, W], rows [N], columns [N], side) -> pictures [N, C, H, W]")
def check_cut_out() -> Parts:
    return {
        "inside": cases(
            _compare_hole,
            ((3, 1, 8, 8), [0, 2, 5], [3, 1, 4], 3),
            ((2, 3, 6, 9), [1, 2], [6, 0], 2),
            ((1, 1, 4, 7), [3], [5], 1),
        ),
        "rim": cases(_compare_hole, ((3, 1, 8, 8), [7, 6, 0], [2, 7, 5], 4), ((2, 2, 5, 5), [3, 4], [4, 1], 3)),
    }


# ------------------------------------------------------------------------------------------ collapse


def _compare_generations(attempt: Attempt, count: int, share: float) -> None:
    exact = math.log(share) / math.log(1 - 1 / count)
    right = math.ceil(exact - 1e-9)
    mistakes = [
        (math.floor(exact), "One generation earlier more than the share is left: round up."),
        (exact, "Generations are whole numbers: which is the first with at most this share?"),
        (math.ceil((1 - share) * count), "The loss was added up. Each generation loses a part of what is *left*."),
        (math.ceil(2 * exact), "That is right for the standard deviation. The task asks for the variance."),
        (math.ceil(math.log(1 - share) / math.log(1 - 1 / count)), "That much is *lost*. Which share is left?"),
        (math.floor(exact + 1e-9) + 1, "One too many: where exactly the share is left, that is at most the share."),
        (right + 1, "One too many: generation 0 still has all of it."),
        (right - 1, "One too few: after it more than the share is left."),
    ]
    hint = "After g generations (1 - 1/N) to the power g is left. Try small g by hand."
    attempt.close(attempt(count, share), float(right), hint, mistakes, what="the generation", tolerance=1e-6)


@check("generations_left(count, share) -> number")
def check_generations_left() -> Parts:
    return {
        "half": cases(
            _compare_generations, (20, 0.5), (5, 0.5), (100, 0.5), *hidden(lambda r: (r.randint(101, 900), 0.5), 3)
        ),
        "shares": cases(
            _compare_generations,
            *((20, 0.1), (2, 0.25), (50, 0.9), (1000, 0.3), (2, 0.125), (4, 0.75)),
            *hidden(lambda r: (r.randint(30, 900), r.uniform(0.05, 0.8)), 3),
        ),
    }
