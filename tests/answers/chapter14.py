"""Right and wrong answers to the tasks of chapter 14."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch

# ------------------------------------------------------------------------------------------ price with a margin


def priced(of=lambda c, u, f, m: c / u / (1 - f) / (1 - m)):
    """A right answer with its last line replaced."""
    return lambda seconds, size, hour, u, f, m: of(seconds / size / 3600 * hour, u, f, m)


def priced_by_the_hour(seconds, size, hour, utilisation, free, margin):
    paid = 3600 * utilisation / seconds * size * (1 - free)  # paid pictures an hour
    return np.float32(hour / paid / (1 - margin))


def priced_exactly(*case):
    seconds, size, hour, busy, free, margin = map(Fraction, case)
    return torch.tensor(float(hour * seconds / (3600 * size * busy * (1 - free) * (1 - margin))))


# ------------------------------------------------------------------------------------------ break-even


def subscribers(rounding=math.ceil, left=lambda fee, own, users, theirs, image: fee - image * (own + users * theirs)):
    """A right answer with a part replaced."""

    def answer(fee, own, users, theirs, image, fixed):
        rest = left(fee, own, users, theirs, image)
        return None if rest <= 0 else rounding(fixed / rest)

    return answer


def subscribers_by_counting(fee, own, users, theirs, image, fixed):
    """Jump in large strides first, then one by one."""
    if fee - image * own - image * users * theirs <= 0:
        return None
    count = 0
    for stride in (1000, 10, 1):
        while (count + stride) * (fee - image * own - image * users * theirs) < fixed:
            count += stride
    return np.int64(count + 1)


def subscribers_by_negative_floor(fee, own, users, theirs, image, fixed):
    rest = fee - image * (own + users * theirs)
    if rest > 0:
        return -(-fixed // rest)


# ------------------------------------------------------------------------------------------ training estimate


def hours(trained=lambda again: 4 if again else 3, frozen=1, busy=lambda u: u, of=lambda seconds: seconds / 3600):
    """A right answer with a part replaced."""

    def answer(phases, peak, utilisation, again):
        work = sum(n * (trained(again) * a + frozen * b) for n, a, b in phases)
        return of(work / (peak * busy(utilisation)))

    return answer


def hours_in_arrays(phases, peak, utilisation, again):
    pictures, trained, frozen = np.array(phases).T
    passes = np.where(again, 2, 1) + 2
    return np.sum(pictures * (passes * trained + frozen)) / peak / utilisation / 3600


def hours_phase_by_phase(phases, peak, utilisation, again):
    total = torch.zeros((), dtype=torch.float64)
    for n, a, b in phases:
        forward, backward = n * a, 2 * n * a
        total += (forward * (1 + int(again)) + backward + n * b) / 3600
    return total / (peak * utilisation)


def last_phase(phases, *others):
    return hours()(phases[-1:], *others)


# ------------------------------------------------------------------------------------------ conflicting sources


def combine(shared=lambda low, high: low <= high, leave_out=("UNVERIFIED",), nothing=math.inf, otherwise=None):
    """A right answer with a part replaced; open ends become ``nothing`` meanwhile."""

    def answer(reports):
        kept = [(a, b) for a, b, word in reports if word not in leave_out]
        lows = [-nothing if a is None else a for a, _ in kept]
        highs = [nothing if b is None else b for _, b in kept]
        low, high = max(lows), min(highs)
        agree = shared(low, high)
        if not agree:
            low, high = otherwise(lows, highs) if otherwise else (min(lows), max(highs))
        return (None if low == -nothing else low), (None if high == nothing else high), agree

    return answer


def combine_step_by_step(reports):
    low = high = None
    known = [r for r in reports if r[2] != "UNVERIFIED"]
    for a, b, _ in known:
        low = a if low is None or (a is not None and a > low) else low
        high = b if high is None or (b is not None and b < high) else high
    if low is None or high is None or not low > high:
        return [low, high, np.bool_(True)]
    lowest = None if any(a is None for a, _, _ in known) else np.float64(min(a for a, _, _ in known))
    highest = None if any(b is None for _, b, _ in known) else torch.tensor(max(b for _, b, _ in known))
    return [lowest, highest, np.bool_(False)]


def combine_with_zeros(reports):
    return combine()([(a or 0.0, b or 0.0, word) for a, b, word in reports])


def combine_to_means(reports):
    middles = [sum(x for x in (a, b) if x is not None) / sum(x is not None for x in (a, b)) for a, b, _ in reports]
    return min(middles), max(middles), len(set(middles)) == 1


# ------------------------------------------------------------------------------------------ sensitivity


def sensitive(up=1.01, down=0.99, of=lambda change, width, x, f: change / (width * abs(f))):
    """A right answer with a part replaced."""

    def answer(result, values):
        middle = result(**values)
        ends = {n: [result(**{**values, n: k * x}) for k in (up, down)] for n, x in values.items()}
        return {n: of(a - b, up - down, values[n], middle) for n, (a, b) in ends.items()}

    return answer


def sensitive_in_place_and_back(result, values):
    middle, found = result(**values), {}
    for name in list(values):
        x = values[name]
        values[name] = 1.01 * x
        high = result(**values)
        values[name] = 0.99 * x
        low = result(**values)
        values[name] = x
        found[name] = np.float64(high - low) / (0.02 * np.abs(middle))
    return found


def sensitive_in_place(result, values):
    middle, found = result(**values), {}
    for name in list(values):
        x = values[name]
        values[name] = 1.01 * x
        high = result(**values)
        values[name] = 0.99 * x
        found[name] = (high - result(**values)) / (0.02 * abs(middle))
    return found


def sensitive_drifting(result, values):
    return sensitive_in_place(result, dict(values))


RIGHT = {
    "price_with_margin": [
        priced(),
        priced_by_the_hour,
        priced_exactly,
    ],
    "break_even_subscribers": [
        subscribers(),
        subscribers_by_counting,
        subscribers_by_negative_floor,
    ],
    "training_gpu_hours": [
        hours(),
        hours_in_arrays,
        hours_phase_by_phase,
    ],
    "combine_reports": [
        combine(),
        combine_step_by_step,
    ],
    "sensitivities": [
        sensitive(),
        sensitive_in_place_and_back,
    ],
}

WRONG = {
    "price_with_margin": [
        (priced(lambda c, u, f, m: c * u / (1 - f) / (1 - m)), "Idle time makes a picture dearer"),
        (priced(lambda c, u, f, m: c / (1 - f) / (1 - m)), "paid for around the clock"),
        (priced(lambda c, u, f, m: c / u / (1 - f) * (1 + m)), "The margin is a share of the price"),
        (priced(lambda c, u, f, m: c / u / (1 - f)), "A margin is to be left"),
        (priced(lambda c, u, f, m: c / u / (1 - m)), "The free pictures need GPU time, too"),
        (priced(lambda c, u, f, m: c / u * (1 + f) / (1 - m)), "each paid one carries one more"),
        (priced(lambda c, u, f, m: c / u / max(f, 1e-9) / (1 - m)), "Which ones pay?"),
        (priced(lambda c, u, f, m: 100 * c / u / (1 - f) / (1 - m)), "in cents"),
        (lambda s, n, h, u, f, m: s / 3600 * h / u / (1 - f) / (1 - m), "price of a whole batch"),
        (lambda s, n, h, u, f, m: s / n * h / u / (1 - f) / (1 - m), "by the hour"),
        (lambda *case: None, "return statement"),
    ],
    "break_even_subscribers": [
        (subscribers(math.floor), "In which direction must you round?"),
        (subscribers(lambda x: x), "the number must be whole"),
        (subscribers(round), "small or large: round up"),
        (subscribers(lambda x: math.floor(x) + 1), "the division comes out even"),
        (subscribers(left=lambda f, a, n, b, c: f - c * a), "The free users' pictures"),
        (subscribers(left=lambda f, a, n, b, c: f - c * (1 + n)), "How many pictures does each"),
        (subscribers(left=lambda f, a, n, b, c: f - c * (a + b)), "How many free users come"),
        (subscribers(left=lambda f, a, n, b, c: f * (1 + n) - c * (a + n * b)), "Only subscribers"),
        (subscribers(left=lambda f, a, n, b, c: f), "as well as bringing a fee"),
        (
            lambda f, a, n, b, c, k: math.ceil(k / (f - c * (a + n * b))) if f - c * (a + n * b) else math.inf,
            "what one subscriber leaves",
        ),
        (lambda f, a, n, b, c, k: math.ceil(k / (f - c * (a + n * b))), "before you divide by it"),
    ],
    "training_gpu_hours": [
        (hours(of=lambda s: s), "That is in seconds"),
        (hours(of=lambda s: s / 86400), "That is in days"),
        (hours(busy=lambda u: 1 / u), "Which way does utilisation work?"),
        (hours(busy=lambda u: 1), "No training reaches it"),
        (hours(lambda again: 1), "the forward pass alone"),
        (hours(lambda again: 2), "takes two gradients"),
        (hours(frozen=3), "Nothing is learned in the frozen networks"),
        (hours(frozen=0), "have to be run, too"),
        (hours(lambda again: 3), "is the forward pass done once or twice?"),
        (hours(lambda again: 6 if again else 3), "not the backward one"),
        (last_phase, "the last phase alone"),
    ],
    "combine_reports": [
        (combine(shared=lambda low, high: low < high), "Touching in a single one is sharing it"),
        (combine(otherwise=lambda lows, highs: (max(lows), min(highs))), "These ends have crossed"),
        (combine(shared=lambda low, high: True), "These ends have crossed"),
        (combine(leave_out=()), "marked UNVERIFIED must have no say"),
        (combine_with_zeros, "None is an open end, not a 0"),
        (lambda r: combine(shared=lambda low, high: False)(r), "They share some numbers"),
        (lambda r: (*combine(shared=lambda low, high: False)(r)[:2], True), "keep what all of them allow"),
        (lambda r: (combine()(r)[1], combine()(r)[0], combine()(r)[2]), "The order is low, high, agree"),
        (lambda r: combine()(r)[:2], "Return all three"),
        (lambda r: (*combine()(r)[:2], not combine()(r)[2]), "The range is right"),
        (combine_to_means, "above every low and below every high"),
    ],
    "sensitivities": [
        (sensitive(of=lambda d, w, x, f: d / (w * x)), "for one unit more"),
        (sensitive(of=lambda d, w, x, f: d / w), "Divide by the result itself, too"),
        (sensitive(of=lambda d, w, x, f: d / (w * f)), "Divide by its size, without sign"),
        (sensitive(down=1.0), "One step up only"),
        (sensitive(up=1.0), "One step down only"),
        (sensitive(of=lambda d, w, x, f: d / (0.01 * abs(f))), "it is 2 %"),
        (sensitive(of=lambda d, w, x, f: d / abs(f)), "the whole change"),
        (sensitive(of=lambda d, w, x, f: -d / (w * abs(f))), "up minus down"),
        (sensitive_in_place, "work on a copy"),
        (sensitive_drifting, "An earlier value stayed changed"),
        (lambda result, values: list(sensitive()(result, values).values()), "a dictionary with the names"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses

WRONG["break_even_subscribers"] += [(subscribers(lambda x: round(x + 0.5)), "What does one subscriber leave")]
WRONG["combine_reports"] += [
    (lambda reports: combine()([(a or None, b or None, word) for a, b, word in reports]), "0 is a number"),
    (lambda r: (*combine()(r)[:2], int(combine()(r)[2])), "a truth value"),
]
WRONG["sensitivities"] += [(sensitive(up=1.1, down=0.9), "Move one value by 1 %")]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "price_with_margin": [
        (priced(lambda c, u, f, m: c / u / (1 - f)), "cost", "margin"),
        (priced(lambda c, u, f, m: c / u / (1 - m)), "margin", "free"),
    ],
    "break_even_subscribers": [
        (subscribers(left=lambda f, a, n, b, c: f - c * a), "paying", "free"),
        (lambda *case: subscribers()(*case) or 0, "free", "never"),
    ],
    "training_gpu_hours": [
        (last_phase, "one", "phases"),
        (hours(lambda again: 3), "phases", "again"),
    ],
    "combine_reports": [
        (combine(otherwise=lambda lows, highs: (max(lows), min(highs))), "agree", "conflict"),
        (combine_with_zeros, "conflict", "open"),
    ],
    "sensitivities": [
        (sensitive(of=lambda d, w, x, f: d / (w * f)), "powers", "losses"),
        (sensitive(of=lambda d, w, x, f: d / (w * f)), "sums", "losses"),
    ],
}
