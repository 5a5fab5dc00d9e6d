"""Checks of chapter 09, speed: what a picture costs, and which models lie on the frontier of time and quality."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run

# ------------------------------------------------------------------------------------------ how many times faster


def _true_speed_up(text: float, call: float, decoder: float, steps: int, guided: bool) -> float:
    """Counted call by call."""
    teacher = decoder
    for _ in range(2 if guided else 1):
        teacher += text
        for _ in range(steps):
            teacher += call
    return teacher / (text + call + decoder)


def _compare_speed_up(attempt: Attempt, guided: bool) -> None:
    for text, call, decoder, steps in ((0.25, 2.0, 0.5, 25), (1.0, 3.0, 4.0, 10), (0.5, 0.75, 2.0, 1)):
        right, own = _true_speed_up(text, call, decoder, steps, guided), text + call + decoder
        times = 2 if guided else 1
        mistakes = [
            (1 / right, "This is the share of the time. How many times faster is asked for: slow time by fast time."),
            (times * steps, "Calls of the U-Net are not all: both also read the prompt and decode once."),
            (
                (times * (text + steps * call + decoder)) / own,
                "The decoder sees only the final latents, with guidance too: how often is it called?",
            ),
            ((times * steps * own) / own, "Text encoder and decoder are not called in every step."),
            (
                (text + times * steps * call + decoder) / own,
                "Guidance compares two prompts, yours and the empty one: how many must be read?",
            ),
            ((text + steps * call + decoder) / own, "Guidance has no effect here. How many calls does each step take?"),
            (
                _true_speed_up(text, call, decoder, steps, not guided),
                "This is right with guidance the other way round. When does a step take two calls?",
            ),
            (
                right * own / (times * text + times * call + decoder),
                "The student has no guidance: it reads one prompt and calls its U-Net once.",
            ),
        ]
        hint = "Write down what is called for one picture, and how often: by the teacher, then by the student."
        answer = attempt(text, call, decoder, steps, guided)
        attempt.close(answer, right, hint, [m for m in mistakes if abs(m[0] - right) > 1e-6], what="the speed-up")


def check_speed_up(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(text, call, decoder, steps, guided) -> float``. Parts: ``plain``, ``guided``."""
    parts: dict[str, Callable[[Attempt], None]] = {
        "plain": lambda attempt: _compare_speed_up(attempt, False),
        "guided": lambda attempt: _compare_speed_up(attempt, True),
    }
    run("speed_up", function, "text call decoder steps guided", parts, part)


# ------------------------------------------------------------------------------------------ the frontier


def _true_frontier(seconds: Tensor, errors: Tensor) -> Tensor:
    """Each model against each other one."""
    kept = []
    for s, e in zip(seconds.tolist(), errors.tolist(), strict=True):
        others = zip(seconds.tolist(), errors.tolist(), strict=True)
        kept.append(not any(a <= s and b <= e and (a < s or b < e) for a, b in others))
    return torch.tensor(kept)


def _compare_frontier(attempt: Attempt, cases: tuple[tuple[list[float], list[float]], ...]) -> None:
    for first, second in cases:
        seconds, errors = torch.tensor(first), torch.tensor(second)
        no_slower, no_worse = seconds[None] <= seconds[:, None], errors[None] <= errors[:, None]
        faster, better = seconds[None] < seconds[:, None], errors[None] < errors[:, None]
        right = _true_frontier(seconds, errors)
        mistakes = [
            (~right, "The other way round: True stands for a model that nobody beats."),
            (
                ~(faster & better).any(dim=1),
                "A model can also be beaten by one that is equally fast and better, or equally good and faster.",
            ),
            (
                ~(no_slower & no_worse & ~torch.eye(len(seconds), dtype=torch.bool)).any(dim=1),
                "Two models with equal figures don't beat each other: something must be really better.",
            ),
            (torch.zeros(len(seconds), dtype=torch.bool), "Every model is beaten here. By itself?"),
            (
                ~(faster | better).any(dim=1),
                "To beat a model, one must be at least as good in both figures, not better in just one.",
            ),
            (
                ~(~faster & no_worse & (~no_slower | better)).any(dim=1),
                "Fewer seconds are better, and so are fewer errors.",
            ),
        ]
        hint = (
            "Take one model. Is there another that is no slower and no worse, and really better in at least one of "
            "the two? Then it is beaten."
        )
        value = attempt(seconds, errors)
        if isinstance(value, list | tuple):
            value = torch.tensor([bool(v) for v in value])
        attempt.close(value, right, hint, [m for m in mistakes if not torch.equal(m[0], right)], what="the frontier")


def _frontier_plain(attempt: Attempt) -> None:
    _compare_frontier(
        attempt,
        (
            ([1.0, 2.0, 4.0, 8.0, 0.5], [60.0, 30.0, 35.0, 10.0, 20.0]),
            ([3.0, 1.0, 2.0], [1.0, 3.0, 2.0]),
            ([3.0, 1.0, 2.0, 5.0], [1.0, 0.5, 2.0, 4.0]),
        ),
    )


def _frontier_ties(attempt: Attempt) -> None:
    _compare_frontier(
        attempt,
        (
            ([1.0, 1.0, 2.0, 3.0], [5.0, 4.0, 3.0, 3.0]),
            ([1.0, 1.0, 2.0], [5.0, 5.0, 6.0]),
            ([2.0], [7.0]),
        ),
    )


def check_on_frontier(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(seconds, errors) -> [N] of bool``. Parts: ``plain``, ``ties``."""
    parts = {"plain": _frontier_plain, "ties": _frontier_ties}
    run("on_frontier", function, "seconds errors", parts, part)
