"""The capstone's check: the form of a report, not its content. Whether the question is a good one, people decide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from gan_course.checks.report import RETURNS_NOTHING, Attempt, Parts, check
from gan_course.checks.values import describe, near

TEXTS = {
    "question": "One sentence that ends in a question mark, and that a number can answer.",
    "data": "Where do the pictures come from, how many are trained on, and how many are held back?",
    "failure": "Something went wrong, or less well than hoped. What was it, and how did you see it?",
}
FIGURES = {
    "samples": "How many generated pictures is each figure measured on?",
    "floor": "What does the same measure say of real pictures against other real ones, at the same number?",
    "seeds": "Which seeds were run?",
    "results": "One list of figures for each of the two methods, a figure for each seed.",
}
LEAST_SAMPLES, LEAST_SEEDS, LEAST_LETTERS = 100, 3, 40
VERDICTS = ("lower", "higher", "undecided")


def _report(attempt: Attempt, entries: Sequence[str]) -> Mapping[str, Any]:
    report = attempt()
    if not isinstance(report, Mapping):
        hint = RETURNS_NOTHING if report is None else "Return the dict whose entries the task lists."
        attempt.fail(describe(report), "a dict", hint)
    for name in entries:
        if report.get(name) is None:
            hint = {**TEXTS, **FIGURES}.get(name, "The task lists all entries of a report.")
            attempt.fail(f"a report without {name!r}: it has {', '.join(map(str, report)) or 'nothing'}", name, hint)
    return report


def _is_number(value: Any) -> bool:
    """Also NumPy's numbers and tensors without axes."""
    axes: Any = getattr(value, "ndim", None)
    if isinstance(value, bool | str) or axes:
        return False
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _words(attempt: Attempt) -> None:
    report = _report(attempt, list(TEXTS))
    for name, hint in TEXTS.items():
        text = report[name]
        if not isinstance(text, str) or len(text.strip()) < LEAST_LETTERS:
            attempt.fail(f"{name}: {describe(text)}", f"a sentence of at least {LEAST_LETTERS} letters", hint)
    if not report["question"].strip().endswith("?"):
        attempt.fail(f"question: {describe(report['question'])}", "a question", TEXTS["question"])


def _measured(attempt: Attempt) -> Mapping[str, Any]:
    """The report, whose figures are complete."""
    report = _report(attempt, list(FIGURES))
    samples, floor, seeds, results = (report[name] for name in FIGURES)
    if not _is_number(samples) or float(samples) != int(samples) or samples < LEAST_SAMPLES:
        hint = "One number for all: figures measured on different numbers of samples can't be compared (chapter 06)."
        attempt.fail(f"samples: {describe(samples)}", f"one whole number, at least {LEAST_SAMPLES}", hint)
    if not _is_number(floor):
        attempt.fail(f"floor: {describe(floor)}", "one number", FIGURES["floor"])
    if not isinstance(seeds, Sequence) or isinstance(seeds, str) or len(seeds) < LEAST_SEEDS:
        hint = "One run says nothing about a method: its neighbour with another seed may be better or worse by as much."
        attempt.fail(f"seeds: {describe(seeds)}", f"a list of at least {LEAST_SEEDS}", hint)
    if len(set(seeds)) < len(seeds):
        attempt.fail(f"seeds: {describe(seeds)}", "different seeds", "The same seed gives the same run once more.")
    if not isinstance(results, Mapping) or len(results) != 2:
        attempt.fail(f"results: {describe(results)}", "a dict of two methods", FIGURES["results"])
    for method, figures in results.items():
        if not isinstance(figures, Sequence) or len(figures) != len(seeds) or not all(map(_is_number, figures)):
            expected = f"{len(seeds)} numbers, one for each seed"
            hint = "Every run counts, the bad ones too. A mean hides how far the runs lie apart."
            attempt.fail(f"results[{method!r}]: {describe(figures)}", expected, hint)
        if len({float(x) for x in figures}) == 1:
            hint = "Runs with different seeds never end alike. Was the seed passed on, and were all runs made anew?"
            attempt.fail(f"results[{method!r}]: {describe(figures)}", "figures that differ", hint)
    return report


def _figures(attempt: Attempt) -> None:
    _measured(attempt)


def _interval(attempt: Attempt) -> None:
    report = _measured(attempt)
    first, second = (torch.tensor([float(x) for x in figures]).double() for figures in report["results"].values())
    middle = (first.mean() - second.mean()).item()
    single = [(x.var() / len(x)).item() for x in (first, second)]
    error = 2 * math.sqrt(sum(single))
    given = report.get("interval")
    ends = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    if len(ends) != 2 or not all(map(_is_number, ends)):
        hint = "Low and high: the mean difference, two standard errors to either side (exercise 06, task 7)."
        attempt.fail(f"interval: {describe(given)}", "two numbers", hint)
    ends = [float(end) for end in ends]
    shown = [f"{end:.4g}" for end in (middle - error, middle + error)]

    def is_it(at: float, half: float) -> bool:
        """In units of the error, however small the figures are."""
        return near(torch.tensor(ends) / error, torch.tensor([at - half, at + half]) / error, 1e-2)

    if not is_it(middle, error):
        mistakes = (
            (
                middle,
                error * math.sqrt(len(first)),
                "That is the spread of single runs. The error of a mean is smaller.",
            ),
            (middle, 2 * sum(map(math.sqrt, single)), "Errors of independent means add as squares: √(a² + b²)."),
            (middle, error / 2, "One standard error. The interval reaches two to either side."),
            (-middle, error, "That is the second method minus the first."),
        )
        fits = [hint for at, half, hint in mistakes if is_it(at, half)]
        usual = "The mean of the first method minus that of the second, two standard errors to either side."
        attempt.fail(f"interval: {describe(given)}", f"from {' to '.join(shown)}", fits[0] if fits else usual)
    verdict = "higher" if ends[0] > 0 else "lower" if ends[1] < 0 else "undecided"
    if report.get("verdict") != verdict:
        hint = "The first method's figure is higher or lower than the second's only where the interval leaves out 0."
        attempt.fail(f"verdict: {describe(report.get('verdict'))}", f"one of {VERDICTS}: here {verdict!r}", hint)


@check("capstone_report() -> report")
def check_capstone_report() -> Parts:
    return {"words": _words, "figures": _figures, "interval": _interval}
