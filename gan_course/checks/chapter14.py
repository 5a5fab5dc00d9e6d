"""Checks of chapter 14: a price with a margin, a break-even volume, a training estimate, sources, sensitivity."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from gan_course.checks.draws import hidden, nudged
from gan_course.checks.report import Attempt, Part, Parts, cases, check
from gan_course.checks.values import describe

Report = tuple[float | None, float | None, str]


# ------------------------------------------------------------------------------------------ price with a margin


def _compare_price(attempt: Attempt, case: tuple[float, int, float, float, float, float], hint: str) -> None:
    seconds, size, hour, busy, free, margin = case
    one = seconds / size / 3600 * hour
    right = one / busy / (1 - free) / (1 - margin)
    mistakes = [
        (right * size, "That is the price of a whole batch. How many pictures come out of it?"),
        (right * 3600, "The GPU is rented by the hour, and the batch is timed in seconds."),
        (right * 60, "An hour has 3,600 seconds, not 60."),
        (right * busy**2, "Idle time makes a picture dearer, not cheaper. Which way does utilisation work?"),
        (right * busy, "The GPU is paid for around the clock, and works for a part of it only: use utilisation."),
        (right * (1 - margin), "That only covers the cost. A margin is to be left, too."),
        (right * (1 - margin) * (1 + margin), "That adds a share of the cost. The margin is a share of the price."),
        (one / busy / (1 - margin), "The free pictures need GPU time, too. Who pays for it?"),
        (right * (1 - free) * (1 + free), "With half of the pictures free, each paid one carries one more. Test that."),
        (one / busy / (1 - margin) / max(free, 1e-9), "You divided by the share of the free pictures. Which ones pay?"),
        (100 * right, "That is in cents. The task asks for USD."),
    ]
    value = attempt(*case)
    attempt.close(value, right, hint, mistakes, what="the price in USD")


def _price_cost() -> Part:
    hint = "Seconds of one picture, hours of it, USD of it. Then look what the GPU does while nobody asks for pictures."
    rows = ((7.2, 4, 2.0, 1.0, 0.0, 0.0), (3.0, 8, 4.0, 0.25, 0.0, 0.0), (0.9, 1, 1.2, 0.6, 0.0, 0.0))
    return cases(_compare_price, *[[case] for case in rows], hint=hint, nudge=True)


def _price_margin() -> Part:
    hint = "Of the price, a share is to be left after the cost. So which share of the price is the cost?"
    rows = ((7.2, 4, 2.0, 0.5, 0.0, 0.5), (3.0, 8, 4.0, 0.25, 0.0, 0.8), (2.0, 2, 1.0, 0.4, 0.0, 0.1))
    return cases(_compare_price, *[[case] for case in rows], hint=hint, nudge=True)


def _price_free() -> Part:
    hint = "Count the cost of ten pictures, and how many of the ten are paid for."
    rows = ((7.2, 4, 2.0, 0.5, 0.75, 0.5), (3.0, 8, 4.0, 0.3, 0.1, 0.6), (2.0, 2, 1.0, 0.4, 0.9, 0.0))
    return cases(_compare_price, *[[case] for case in rows], hint=hint, nudge=True)


@check("price_with_margin(batch_seconds, batch_size, gpu_usd_per_hour, utilisation, free_share, margin) -> USD")
def check_price_with_margin() -> Parts:
    return {"cost": _price_cost(), "margin": _price_margin(), "free": _price_free()}


# ------------------------------------------------------------------------------------------ break-even


def _subscribers(fee: float, own: float, users: float, theirs: float, image: float, fixed: float) -> float:
    """How many subscribers pay exactly; endless or negative where none do."""
    left = fee - image * (own + users * theirs)
    return fixed / left if left else math.inf


def _compare_subscribers(attempt: Attempt, case: tuple[float, ...], hint: str) -> None:
    fee, own, users, theirs, image, fixed = case
    exact = _subscribers(*case)
    possible = 0 <= exact < math.inf
    right = math.ceil(exact) if possible else None
    value = attempt(*case)
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if right is None:
        if value is not None:
            attempt.fail(
                describe(value),
                "None: here a subscriber costs as much as the fee, or more",
                "Look at what one subscriber leaves, before you divide by it. When it is nothing or less, more of them "
                "don't help.",
            )
        return
    if value is None:
        attempt.fail("None", f"{right} subscribers", f"A subscriber leaves something here. {hint}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        attempt.fail(describe(value), f"{right}, a whole number or None", hint)
    mistakes = [
        (exact, "A part of a subscriber pays nothing: the number must be whole, and large enough."),
        (math.floor(exact), "With so many a little is still missing. In which direction must you round?"),
        (round(exact), "Where a part of one is missing, one more is needed, be that part small or large: round up."),
        (math.floor(exact) + 1, "One less would do, too: here the division comes out even."),
        (math.ceil(_subscribers(fee, own, 0, 0, image, fixed)), "The free users' pictures cost GPU time, too."),
        (math.ceil(_subscribers(fee, 1, users, 1, image, fixed)), "How many pictures does each of them make?"),
        (
            math.ceil(_subscribers(fee, own, users, theirs * own, image, fixed)),
            "A free user makes pictures of their own, not a multiple of the subscriber's.",
        ),
        (math.ceil(_subscribers(fee, own, 1, theirs, image, fixed)), "How many free users come with each subscriber?"),
        (
            math.ceil(_subscribers(fee * (1 + users), own, users, theirs, image, fixed)),
            "Only subscribers pay the fee.",
        ),
        (math.ceil(fixed / fee), "Subscribers cost GPU time as well as bringing a fee."),
        (right * (1 + users), "Those are all users. The task asks for subscribers."),
    ]
    what = "the number of subscribers"
    attempt.close(float(value), float(right), hint, mistakes, what=what, tolerance=1e-9)


def _subscribers_paying() -> Part:
    hint = "What does one subscriber leave in a month? How many of these pay the fixed costs?"
    rows = (
        (10.0, 100, 0, 0, 0.03125, 10_000.0),
        (8.0, 64, 0, 0, 0.0625, 1000.0),  # exactly 250, and below exactly 251
        (8.0, 64, 0, 0, 0.0625, 1004.0),
        (12.0, 50, 0, 0, 0.01, 777.0),
    )
    return cases(_compare_subscribers, *[[case] for case in (*rows, *nudged(rows))], hint=hint)


def _subscribers_free() -> Part:
    hint = "To each subscriber belong some free users, and their pictures."
    rows = (
        (10.0, 100, 4, 10, 0.03125, 10_000.0),
        (20.0, 64, 9, 16, 0.0625, 1800.0),
        (15.0, 40, 2.5, 8, 0.02, 5000.0),
        (12.0, 64, 1, 32, 0.0625, 1200.0),
    )
    return cases(_compare_subscribers, *[[case] for case in (*rows, *nudged(rows))], hint=hint)


def _subscribers_never() -> Part:
    hint = "First what one subscriber leaves, then the division."
    rows = (
        (10.0, 100, 40, 10, 0.03125, 10_000.0),
        (2.0, 64, 0, 0, 0.03125, 100.0),
        (5.0, 100, 1, 20, 0.0625, 900.0),
        (5.0, 60, 1, 10, 0.0625, 900.0),
    )

    def too_much(r: random.Random) -> tuple[float, ...]:
        """A fee below what the pictures of a subscriber, and of the free users with them, cost."""
        own, users, theirs, image = r.randint(20, 90), r.randint(0, 9), r.randint(1, 20), r.uniform(0.02, 0.06)
        return r.uniform(0.3, 0.9) * image * (own + users * theirs), own, users, theirs, image, r.uniform(100, 900)

    return cases(_compare_subscribers, *[[case] for case in (*rows, *hidden(too_much, 3))], hint=hint)


@check(
    "break_even_subscribers(fee_usd_per_month, images_per_subscriber, free_users_per_subscriber, "
    "images_per_free_user, gpu_usd_per_image, fixed_usd_per_month) -> whole number or None"
)
def check_break_even_subscribers() -> Parts:
    return {"paying": _subscribers_paying(), "free": _subscribers_free(), "never": _subscribers_never()}


# ------------------------------------------------------------------------------------------ training estimate

Phase = tuple[float, float, float]


def _hours(phases: Sequence[Phase], peak: float, busy: float, trained: float, frozen: float = 1) -> float:
    work = sum(n * (trained * a + frozen * b) for n, a, b in phases)
    return work / (peak * busy) / 3600


def _compare_hours(attempt: Attempt, phases: list[Phase], peak: float, busy: float, again: bool, hint: str) -> None:
    passes = 4 if again else 3
    right = _hours(phases, peak, busy, passes)
    mistakes = [
        (right * 3600, "That is in seconds. The task asks for hours."),
        (right / 24, "That is in days. The task asks for hours."),
        (right * busy**2, "A GPU that is used at a third takes three times as long. Which way does utilisation work?"),
        (right * busy, "That is the time at the peak. No training reaches it: use utilisation."),
        (_hours(phases, peak, busy, 1), "That is the forward pass alone. Learning needs a backward pass, too."),
        (_hours(phases, peak, busy, 2), "The backward pass takes two gradients: by the inputs and by the weights."),
        *[
            (_hours(phases, peak, busy, passes, frozen), "Nothing is learned in the frozen networks: forwards only.")
            for frozen in (passes, 3)
        ],
        (_hours(phases, peak, busy, passes, 0), "The frozen networks have to be run, too."),
        (_hours(phases[-1:], peak, busy, passes), "That is the last phase alone. Add up all of them."),
        (_hours(phases[:1], peak, busy, passes), "That is the first phase alone. Add up all of them."),
        (_hours(phases, peak, busy, 3), "Where activations are recomputed, is the forward pass done once or twice?"),
        (_hours(phases, peak, busy, 4), "Where activations are kept, is the forward pass done once or twice?"),
        (_hours(phases, peak, busy, 7 - passes), "Recomputing means one forward pass more, not one less."),
        (_hours(phases, peak, busy, 6 if again else 3), "Only the forward pass is done again, not the backward one."),
        (
            _hours(phases, peak, busy, passes, 2 if again else 1),
            "Only the trained network has activations to keep or to do again.",
        ),
    ]
    value = attempt([tuple(phase) for phase in phases], peak, busy, again)
    attempt.close(value, right, hint, mistakes, what="the GPU-hours")


SD1: list[Phase] = [(485e6, 180e9, 286e9), (1913e6, 803e9, 1130e9)]


def _hours_one() -> Part:
    hint = "Operations of one picture, of all pictures; operations a second; seconds; hours. Each is one product."
    rows = ([(1e6, 1e12, 0.0)], 1e14, 0.5, False), ([(2e8, 8e11, 1.1e12)], 3.12e14, 0.11, False)
    return cases(_compare_hours, *rows, hint=hint, nudge=True)


def _hours_phases() -> Part:
    hint = "Each phase has its own number of pictures and its own operations."
    return cases(
        _compare_hours,
        (SD1, 3.12e14, 0.3, False),
        ([(1e5, 5e9, 1e9), (2e5, 7e9, 1e9), (4e5, 9e9, 3e9)], 4e10, 0.2, False),
        hint=hint,
        nudge=True,
    )


def _hours_again() -> Part:
    hint = "Forwards, forwards again, backwards at twice the price: for the trained network only."
    rows = (SD1, 3.12e14, 0.3, True), ([(3e6, 2e11, 5e10)], 1e14, 0.4, True)
    return cases(_compare_hours, *rows, hint=hint, nudge=True)


@check("training_gpu_hours(phases, peak_operations_per_second, utilisation, recomputed) -> hours")
def check_training_gpu_hours() -> Parts:
    return {"one": _hours_one(), "phases": _hours_phases(), "again": _hours_again()}


# ------------------------------------------------------------------------------------------ conflicting sources

Answer = tuple[float | None, float | None, bool]


def _shared(reports: Sequence[Report]) -> tuple[float | None, float | None]:
    lows = [low for low, _, _ in reports if low is not None]
    highs = [high for _, high, _ in reports if high is not None]
    return max(lows, default=None), min(highs, default=None)


def _whole(reports: Sequence[Report]) -> tuple[float | None, float | None]:
    lows, highs = [low for low, _, _ in reports], [high for _, high, _ in reports]
    low = None if None in lows else min(x for x in lows if x is not None)
    high = None if None in highs else max(x for x in highs if x is not None)
    return low, high


def _combined(reports: Sequence[Report]) -> Answer:
    known = [report for report in reports if report[2] != "UNVERIFIED"]
    low, high = _shared(known)
    if low is None or high is None or low <= high:
        return low, high, True
    return *_whole(known), False


def _same(value: Sequence[Any], wanted: Sequence[Any]) -> bool:
    """Whether three results agree; a number and None never do."""
    return all(
        (a is None and b is None)
        if a is None or b is None
        else a is b if isinstance(b, bool) else math.isclose(a, b, rel_tol=1e-6)
        for a, b in zip(value, wanted, strict=True)
    )  # fmt: skip


def _ends_cross(ends: tuple[float | None, float | None]) -> bool:
    return None not in ends and ends[0] > ends[1]  # type: ignore[operator]


def _compare_reports(attempt: Attempt, reports: list[Report], hint: str) -> None:
    right, about = _combined(reports), "combined"
    given = attempt(list(reports))
    if not isinstance(given, list | tuple) or len(given) != 3:
        attempt.fail(describe(given), "three results: low, high, agree", "Return all three, with commas between.")
    value = [x.item() if isinstance(x, Tensor) and x.numel() == 1 else x for x in given]
    for x, name in zip(value, ("low", "high"), strict=False):
        if x is not None and (isinstance(x, bool) or not isinstance(x, int | float) or not math.isfinite(x)):
            attempt.fail(f"{name} = {describe(x)}", f"{name} as a number, or None where it is open", hint)
    if not isinstance(value[2], bool):
        attempt.fail(f"agree = {describe(value[2])}", "agree as True or False", "The third result is a truth value.")

    def combined(some: Sequence[Report]) -> Answer:
        return (*_whole(some), False) if _ends_cross(_shared(some)) else (*_shared(some), True)

    known = [report for report in reports if report[2] != "UNVERIFIED"]
    shared, whole, disagree = _shared(known), _whole(known), not right[2]
    crossed = "These ends have crossed: no number lies between them. What do you report then?"
    touching = (*whole, False) if None not in shared and shared[0] == shared[1] else right
    mistakes: list[tuple[Sequence[Any], str]] = [
        ((*right[:2], not right[2]), "The range is right. Do the sources agree on any number, or don't they?"),
        ((*shared, False) if disagree else right, crossed),
        ((*shared, True) if disagree else right, crossed),
        ((*whole, True), "The sources share a smaller range: keep what all of them allow."),
        (
            right if disagree else (*whole, True),
            "The sources share a smaller range than that: keep what all of them allow.",
        ),
        (touching, "They share a number where they touch. Touching in a single one is sharing it."),
        ((*whole, False), "They share some numbers. Then report these, and that they agree."),
        (combined(reports), "A report marked UNVERIFIED must have no say."),
        (combined([(low or 0.0, high or 0.0, "") for low, high, _ in known]), "None is an open end, not a 0."),
        (combined([(low or None, high or None, "") for low, high, _ in known]), "0 is a number, not an open end."),
        ((right[1], right[0], right[2]), "The order is low, high, agree."),
    ]
    is_right = _same(value, right)
    attempt.observe(about, mistakes, lambda wrong: _same(value, wrong), is_right)
    if not is_right:
        attempt.fail(describe(value), describe(right), hint, about)


def _in_another_unit(reports: list[Report]) -> list[Report]:
    """For a grader: other numbers, of which those that were equal still are."""
    unit = nudged(1.0)

    def times(end: float | None) -> float | None:
        return None if end is None else unit * end

    return [(times(low), times(high), kind) for low, high, kind in reports]


def _reports_agree() -> Part:
    hint = "A number that suits everybody is above every low and below every high."
    rows: tuple[list[Report], ...] = (
        [(2.0, 4.0, "reported"), (3.0, 5.5, "estimate")],
        [(8.0, 12.0, "reported"), (9.0, 9.0, "verified"), (1.0, 20.0, "estimate")],
        [(1.0, 2.0, "reported"), (2.0, 3.0, "reported")],
        [(4.0, 7.5, "estimate"), (7.5, 8.0, "reported"), (6.0, 9.0, "estimate")],
        [(5.0, 6.0, "reported")],
    )
    orders = [list(order) for reports in rows for order in itertools.permutations(_in_another_unit(reports))]
    return cases(_compare_reports, *[[order] for order in orders], hint=hint)


def _reports_conflict() -> Part:
    hint = "When nobody is known to be right, report the whole span and say that they disagree."
    rows: tuple[list[Report], ...] = (
        [(3.0, 3.0, "reported"), (3.3, 3.3, "reported")],
        [(1.0, 2.0, "reported"), (5.0, 6.0, "verified"), (0.5, 9.0, "estimate")],
        [(200.0, 200.0, "estimate"), (300.0, 300.0, "reported"), (900.0, 990.0, "UNVERIFIED")],
    )
    orders = [list(order) for reports in rows for order in itertools.permutations(_in_another_unit(reports))]
    return cases(_compare_reports, *[[order] for order in orders], hint=hint)


def _reports_open() -> Part:
    hint = "An end that is None sets no limit."
    rows: tuple[list[Report], ...] = (
        [(None, 50.0, "reported"), (10.0, None, "reported")],
        [(2.85, 2.85, "CONFLICT"), (7.0, None, "CONFLICT")],
        [(None, 4.0, "reported"), (None, 6.0, "estimate"), (0.0, 1.0, "UNVERIFIED")],
        [(100.0, None, "UNVERIFIED"), (20.0, 30.0, "reported"), (25.0, None, "reported")],
        [(0.0, 5.0, "reported"), (None, 3.0, "estimate")],
        [(-2.0, 0.0, "reported"), (None, 4.0, "estimate")],
        [(0.0, 0.0, "reported"), (2.0, 3.0, "estimate")],
    )
    orders = [list(order) for reports in rows for order in itertools.permutations(_in_another_unit(reports))]
    return cases(_compare_reports, *[[order] for order in orders], hint=hint)


@check("combine_reports(reports) -> (low, high, agree)")
def check_combine_reports() -> Parts:
    return {"agree": _reports_agree(), "conflict": _reports_conflict(), "open": _reports_open()}


# ------------------------------------------------------------------------------------------ sensitivity


class _Result:
    """A result to be examined; it takes its inputs by name and knows how it was called."""

    def __init__(self, description: str, formula: Callable[..., float]):
        self.description, self.formula = description, formula

    def __call__(self, **values: float) -> float:
        return self.formula(**values)


def _elasticity(formula: Callable[..., float], values: Mapping[str, float], name: str, up=1.01, down=0.99, of=abs):
    def at(factor: float) -> float:
        return formula(**{**values, name: factor * values[name]})

    return (at(up) - at(down)) / ((up - down) * of(formula(**values)))


def _compare_sensitivities(attempt: Attempt, result: _Result, values: dict[str, float], hint: str) -> None:
    found = attempt(result, dict(values))
    right = {name: _elasticity(result.formula, values, name) for name in values}
    if not isinstance(found, dict) or set(found) != set(values):
        attempt.fail(describe(found), f"a dictionary with the names {', '.join(values)}", hint)

    moved, drifting, middle = dict(values), {}, abs(result.formula(**values))
    for name in values:  # each change is left in place for the next one
        drifting[name] = _elasticity(result.formula, moved, name, of=lambda _: middle)
        moved[name] *= 0.99
    for name in values:
        value, f, x = found[name], result.formula, values[name]
        slope = (f(**{**values, name: 1.01 * x}) - f(**{**values, name: 0.99 * x})) / (0.02 * x)
        mistakes = [
            (slope, "That is the change for one unit more. The task asks for percent for each percent."),
            (slope * x, "Divide by the result itself, too: a change in percent is wanted."),
            (_elasticity(f, values, name, of=float), "The result is negative here. Divide by its size, without sign."),
            (_elasticity(f, values, name, down=1.0), "One step up only. Take the difference of both sides."),
            (_elasticity(f, values, name, up=1.0), "One step down only. Take the difference of both sides."),
            (2 * right[name], "From 1 % below to 1 % above it is 2 %."),
            (right[name] / 100, "That is the change for a hundredth of a percent."),
            (0.02 * right[name], "That is the whole change. Divide it by the change of the input, in percent."),
            (drifting[name], "An earlier value stayed changed. All others must be back where they were."),
            (-right[name], "The sign: up minus down."),
        ]
        attempt.close(value, right[name], hint, mistakes, what=f"the sensitivity to {name}", about="the sensitivity")


def _sensitivity_powers() -> Part:
    hint = "Move one value by 1 % up and by 1 % down and compare the two results with the one in the middle."
    powers = _Result("volume = width² · height / depth", lambda width, height, depth: width**2 * height / depth)
    root = _Result("speed = fuel ** 0.5", lambda fuel: fuel**0.5)

    def of_power(r: random.Random) -> tuple[_Result, dict[str, float]]:
        power = r.uniform(-2, 3)
        return _Result(f"speed = fuel ** {power:.3g}", lambda fuel: fuel**power), {"fuel": r.uniform(10, 90)}

    rows = (powers, {"width": 3.0, "height": 5.0, "depth": 0.5}), (root, {"fuel": 40.0}), *hidden(of_power)
    return cases(_compare_sensitivities, *rows, hint=hint, nudge=True)


def _sensitivity_sums() -> Part:
    hint = "Only one value at a time moves, and each starts from where it was."
    earned = _Result(
        "profit = images · (price - cost) - fixed",
        lambda images, price, cost, fixed: images * (price - cost) - fixed,
    )
    rows = (
        (earned, {"images": 1e6, "price": 0.02, "cost": 0.005, "fixed": 9000.0}),
        (earned, {"fixed": 100.0, "cost": 0.01, "price": 0.03, "images": 8e3}),
    )
    return cases(_compare_sensitivities, *rows, hint=hint, nudge=True)


def _sensitivity_losses() -> Part:
    hint = "Where the result is negative, a positive sensitivity is still to mean: more of this, more profit."
    lost = _Result("profit = revenue - costs", lambda revenue, costs: revenue - costs)
    worse = _Result("profit = n · (p - 0.5)", lambda n, p: n * (p - 0.5))
    rows = (lost, {"revenue": 11.0, "costs": 153.0}), (worse, {"n": 100.0, "p": 0.3}), (worse, {"p": -2.0, "n": 3.0})
    return cases(_compare_sensitivities, *rows, hint=hint, nudge=True)


@check("sensitivities(result, values) -> {name: number}")
def check_sensitivities() -> Parts:
    return {"powers": _sensitivity_powers(), "sums": _sensitivity_sums(), "losses": _sensitivity_losses()}
