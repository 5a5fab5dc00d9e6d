"""Checks of chapter 05, measures of trouble: modes that are effectively covered, memory in a training log."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run

# ------------------------------------------------------------------------------------------ modes


def _compare_modes(attempt: Attempt, counts: list[int], hint: str) -> None:
    tensor = torch.tensor(counts)
    share = tensor.double() / tensor.sum()
    entropy = -torch.xlogy(share, share).sum()
    used = share[share > 0]
    mistakes = [
        (entropy, "That is the entropy. How many equally full modes have this entropy?"),
        (entropy / math.log(2), "That is the entropy in bits. How many equally full modes have this entropy?"),
        (2**entropy, "Entropy with the natural logarithm, but a power of 2: the two must have the same base."),
        ((entropy / math.log(2)).exp(), "Entropy in bits, but a power of e: the two must have the same base."),
        (float(len(used)), "That is how many modes have any point. A mode with one stray point counts fully there."),
        (1 / share.square().sum(), "That is another such number (one over the sum of squares). Use the entropy."),
        (1 / share.max(), "Only the fullest mode counts here. Use all shares, through the entropy."),
        ((-entropy).exp(), "The sign of the entropy: a logarithm of a share is negative."),
        (entropy.exp() / len(counts), "That is a share of all modes. The task asks for a number of modes."),
    ]
    attempt.close(attempt(tensor.clone()), entropy.exp(), hint, mistakes, what="the effective number of modes")


def _modes_values(attempt: Attempt) -> None:
    hint = "Counts to shares, shares to entropy, entropy to a number of modes. Equal counts in 8 modes must give 8."
    for counts in ([5, 5, 5, 5], [30, 10], [1, 2, 3, 4, 90], [125] * 8):
        _compare_modes(attempt, counts, hint)


def _modes_empty(attempt: Attempt) -> None:
    hint = "A mode without points adds nothing, although log 0 is minus infinity: u log u goes to 0 with u."
    for counts in ([7, 0, 7, 0], [100, 0, 0], [0, 1, 3, 0, 4]):
        _compare_modes(attempt, counts, hint)


def check_effective_modes(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(counts [K]) -> number`` from 1 to K. Parts: ``values``, ``empty``."""
    run("effective_modes", function, "counts", {"values": _modes_values, "empty": _modes_empty}, part)


# ------------------------------------------------------------------------------------------ memory


class _Log(dict):
    """A training log as ``trainer.log`` holds it, with three columns."""

    @property
    def description(self) -> str:
        return f"a log with {len(self['step'])} entries"


def _log(real: Tensor, held_out: Tensor, fake: Tensor) -> _Log:
    columns: Mapping[str, Tensor] = {"real_logit": real, "held_out_logit": held_out, "fake_logit": fake}
    steps = [10.0 * (i + 1) for i in range(len(real))]
    return _Log(step=steps, **{name: column.tolist() for name, column in columns.items()})


def _share(real: Tensor, held_out: Tensor, fake: Tensor) -> Tensor:
    return (real - held_out) / (real - fake)


def _compare_memory(attempt: Attempt, columns: tuple[Tensor, Tensor, Tensor], last: int) -> None:
    real, held_out, fake = columns
    ends = [c[-last:].mean() for c in columns]
    at_first = [c[:last].mean() for c in columns]
    mistakes = [
        (
            _share(*(c.mean() for c in columns)),
            "That is the mean of the whole run. What matters is how it ends: the last entries only.",
        ),
        (_share(*at_first), "These are the first entries. The trouble comes at the end."),
        (_share(*(c[-1] for c in columns)), "That is the last entry alone, and batches are noisy: average some."),
        (
            _share(*(c[-last:] for c in columns)).mean(),
            "The mean of quotients is not the quotient of means. One entry with a small denominator spoils it.",
        ),
        ((ends[1] - ends[2]) / (ends[0] - ends[2]), "That is what is knowledge. The rest of it is memory."),
        (ends[0] - ends[1], "That is the gap in logits. Which share is it of the gap to generated pictures?"),
        ((ends[0] - ends[1]) / (ends[1] - ends[2]), "The whole gap is that between real and generated pictures."),
        (-_share(*(torch.stack(ends))), "The sign: pictures that were learned by heart get higher logits than others."),
        (ends[1] / ends[0], "Logits have no zero that means anything: only differences count."),
    ]
    hint = (
        "How much higher are the logits of pictures trained on than those of pictures never seen? Compare that with "
        "how much higher they are than those of generated ones."
    )
    log = _log(real, held_out, fake)
    attempt.close(attempt(log, last), _share(*ends), hint, mistakes, what="the share of memory")


def _memory_values(attempt: Attempt) -> None:
    """The log does not change, so that any window gives the same."""
    for real, held_out, fake in ((3.0, 1.0, -1.0), (2.0, 2.0, -2.0), (5.0, -3.0, -3.0), (1.0, 1.4, -3.0)):
        columns = torch.full((6,), real), torch.full((6,), held_out), torch.full((6,), fake)
        _compare_memory(attempt, columns, 3)


def _memory_window(attempt: Attempt) -> None:
    time = torch.arange(30.0)
    real = 0.5 + time / 10 + 0.4 * torch.sin(5 * time)
    held_out = 0.5 + 0.3 * torch.cos(3 * time)
    fake = -0.4 - time / 20 + 0.3 * torch.sin(2 * time)
    for last in (10, 4):
        _compare_memory(attempt, (real, held_out, fake), last)


def check_memory_share(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(log, last) -> share``. Parts: ``values``, ``window``."""
    run("memory_share", function, "log last", {"values": _memory_values, "window": _memory_window}, part)
