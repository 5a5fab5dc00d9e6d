"""Reads a training log and names the likely trouble, with the values it looked at.

Each check below is one symptom with its thresholds. They were chosen by measurement: on chapter 05's failures and on
healthy runs of chapters 01 to 04, ten seeds each. Most look at the last third of a log, because a young run looks odd
in many ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_course.arguments import guard

NEEDED = ("step", "d_loss", "g_loss", "real_logit", "fake_logit")
OPTIONAL = ("spread", "g_gradient", "held_out_logit")
SHORTEST = 20  # entries: with fewer, a healthy young run can't be told from a sick one
GROWN = (
    60  # entries: by then the samples of every healthy run that we measured had spread to at least 0.75 of real ones
)
HUGE = 100.0  # a loss beyond this is on its way to infinity
NOT_IN_A_LOG = (
    "pictures learned by heart, a class that is never drawn, a forgotten detach: look at samples, count classes, "
    "measure distances"
)


class Finding(NamedTuple):
    """One trouble: its name, what it was read from, and what to do."""

    trouble: str
    evidence: str
    advice: str


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` found. ``print`` it."""

    findings: tuple[Finding, ...]  # the likeliest first
    looked_at: str  # the values behind the verdict, in one line
    not_looked_at: tuple[str, ...] = ()  # columns that the log lacks

    @property
    def verdict(self) -> str:
        """The likeliest trouble, or "nothing suspicious"."""
        return self.findings[0].trouble if self.findings else "nothing suspicious"

    def __str__(self) -> str:
        lines = [f"Verdict: {self.verdict}"]
        for finding in self.findings:
            lines += [f"- {finding.trouble}: {finding.evidence}", f"  Do: {finding.advice}"]
        lines.append(f"Looked at: {self.looked_at}")
        if self.not_looked_at:
            lines.append(f"Could not look at: {', '.join(self.not_looked_at)} (not in this log)")
        lines.append(f"No log shows: {NOT_IN_A_LOG}")
        return "\n".join(lines)


def diagnose(log: Mapping[str, Any]) -> Diagnosis:
    """Name the likely trouble from a training ``log``: ``Trainer.log``, or a dict of equally long columns of numbers.

    Needed columns: ``step``, ``d_loss``, ``g_loss``, ``real_logit``, ``fake_logit`` (batch means, before any sigmoid).
    Better with ``spread``, ``g_gradient`` and ``held_out_logit``: see :class:`gan_course.training.Trainer`. Made for
    losses on logits such as cross-entropy and hinge. NaN is a finding, not an error. Raises ``TypeError`` for what is
    no log, ``ValueError`` for an empty log, missing columns, columns of different length and entries that are no
    numbers.
    """
    columns = _checked(log)
    entries = len(columns["step"])
    missing = tuple(name for name in OPTIONAL if name not in columns)
    broken = _diverged(columns)
    if broken:
        return Diagnosis((broken,), f"all {entries} entries of {', '.join(columns)}", missing)
    curves = Curves(columns)
    if entries < SHORTEST:
        short = Finding(
            "too short to tell",
            f"the log has {entries} entries, and a healthy young run looks sick",
            f"train until it has at least {SHORTEST}",
        )
        return Diagnosis((short,), curves.summary(), missing)
    found = [_first(checks, curves) for checks in (OF_THE_GAME, OF_THE_SAMPLES)]
    return Diagnosis(tuple(finding for finding in found if finding), curves.summary(), missing)


class Curves:
    """A log as tensors, and the numbers that several checks ask for."""

    def __init__(self, columns: Mapping[str, Tensor]):
        self.columns = columns
        entries = len(columns["step"])
        self.late = slice(entries - max(1, entries // 3), None)
        self.gap = columns["real_logit"] - columns["fake_logit"]

    def typical(self, name: str) -> float:
        """The median of a column's last third; of nothing, NaN, which fails every comparison."""
        return self.columns[name][self.late].median().item() if name in self.columns else math.nan

    @property
    def lead(self) -> float:
        """How far real logits lie above generated ones, typically."""
        return self.gap[self.late].median().item()

    def summary(self) -> str:
        """The typical values, in one line."""
        known = (name for name in (*NEEDED, *OPTIONAL) if name != "step" and name in self.columns)
        return "medians of the last third: " + ", ".join(f"{name} {self.typical(name):.3g}" for name in known)


# ------------------------------------------------------------------------------------------ of the numbers


def _diverged(columns: Mapping[str, Tensor]) -> Finding | None:
    advice = "go back to a checkpoint, divide the learning rates by ten, raise r1_weight"
    for name, values in columns.items():
        if not values.isfinite().all():
            first = int((~values.isfinite()).nonzero()[0])
            where = f"entry {first + 1} of {len(values)}"
            return Finding("diverged", f"{name} is {values[first].item()} from {where} on", advice)
    for name in ("d_loss", "g_loss"):
        if (worst := columns[name].abs().max().item()) > HUGE:
            return Finding("diverged", f"{name} reaches {worst:.3g}", advice)
    return None


# ------------------------------------------------------------------------------------------ of the game


def _double_sigmoid(curves: Curves) -> Finding | None:
    """Every mean logit is a probability, and the loss is what cross-entropy makes of such logits."""
    logits = torch.stack([curves.columns["real_logit"], curves.columns["fake_logit"]])
    expected = torch.nn.functional.softplus(-logits[0]) + torch.nn.functional.softplus(logits[1])
    bounded = logits.min() >= 0 and logits.max() <= 1
    clumped = curves.typical("spread") < 0.5  # a feeble discriminator may stay near 0 by chance, and lets samples clump
    if not (bounded and (curves.columns["d_loss"] - expected).abs().max() < 0.05) or clumped:
        return None
    return Finding(
        "double sigmoid",
        f"all mean logits lie between {logits.min():.3f} and {logits.max():.3f}, and d_loss never falls below "
        f"{curves.columns['d_loss'].min():.3f} (with two sigmoids, 1.006 is the limit)",
        "print discriminator(x).min() and .max(): logits take any sign; remove the last sigmoid",
    )


def _labels_swapped(curves: Curves) -> Finding | None:
    if curves.lead > -1:
        return None
    return Finding(
        "labels swapped",
        f"generated logits lie above real ones by {-curves.lead:.2f}",
        "in the discriminator's loss, real logits must rise and generated ones fall: check the order of its arguments",
    )


def _generator_label_swapped(curves: Curves) -> Finding | None:
    """Both losses near 0: the generator is content with being recognised. (A saturating loss is never above 0.)"""
    if not (curves.lead > 3 and 0 <= curves.typical("g_loss") < 0.3 and curves.typical("fake_logit") < -1.5):
        return None
    return Finding(
        "generator's label swapped",
        f"both losses are near 0 (g_loss {curves.typical('g_loss'):.2g}) although its logits are "
        f"{curves.typical('fake_logit'):.1f}: nobody is fighting",
        "the generator's loss must fall when its logits rise: its label for generated samples is 'real'",
    )


def _overfitting(curves: Curves) -> Finding | None:
    held_out, real, fake = (curves.typical(name) for name in ("held_out_logit", "real_logit", "fake_logit"))
    memory = real - held_out  # what a picture gains by having been trained on
    # On chapter 05's digits it stays near 0 with 1,500 pictures, below 0.3 with 500, and with 100, augmented, near 0.8.
    # Not augmented, it grows on, and the distance to held-out pictures turns upwards where it is 1.1 to 1.6.
    if not (memory > 1 and memory > 0.5 * (real - fake)):
        return None
    return Finding(
        "discriminator overfitting",
        f"pictures trained on have logit {real:.2f}, held-out ones {held_out:.2f}, nearer to generated ones "
        f"({fake:.2f})",
        "more pictures, or augment all that the discriminator sees; stop when samples get no nearer to held-out ones",
    )


def _vanished(curves: Curves) -> Finding | None:
    if not (curves.lead > 3 and curves.typical("g_gradient") < 0.05):
        return None
    return Finding(
        "generator's gradient vanished",
        f"its length is {curves.typical('g_gradient'):.1g}, and real logits lead by {curves.lead:.1f}",
        "use the non-saturating loss; raise r1_weight; build the networks anew",
    )


def _too_strong(curves: Curves) -> Finding | None:
    if curves.lead <= 3:
        return None
    gradient = f", the gradient is {curves.typical('g_gradient'):.2g}" if "g_gradient" in curves.columns else ""
    return Finding(
        "discriminator too strong",
        f"real logits lead by {curves.lead:.1f} and d_loss is {curves.typical('d_loss'):.2g}{gradient}",
        "raise r1_weight, or the generator's learning rate towards the discriminator's; with few data, augment",
    )


def _oscillation(curves: Curves) -> Finding | None:
    """The lead swings widely, by more than itself or across 0: now one player is ahead, now the other."""
    late = curves.gap[curves.late]
    behind = (late < 0).double().mean().item()
    if not (late.std() > 0.25 and (behind > 0.1 or late.std() > abs(curves.lead))):
        return None
    return Finding(
        "oscillation",
        f"the lead of real logits, {curves.lead:.2f}, swings by ±{late.std():.2f} and is negative in {behind:.0%} of "
        "the entries",
        "beta1 = 0, smaller learning rates, a larger r1_weight",
    )


def _too_weak(curves: Curves) -> Finding | None:
    behind = (curves.gap[curves.late] < 0).double().mean().item()
    if behind < 0.6:
        return None
    return Finding(
        "discriminator too weak",
        f"generated logits lie above real ones in {behind:.0%} of the entries",
        "raise the discriminator's learning rate towards the generator's, or give it more turns; check its labels",
    )


# ------------------------------------------------------------------------------------------ of the samples


def _collapse(curves: Curves) -> Finding | None:
    """The spread is far too low, or often low and restless: the samples sit in few places, and hop."""
    late = curves.columns["spread"][curves.late]
    narrow = (late < 0.6).double().mean().item()
    restless = (late.diff().abs().median() / late.median()).item()
    if not (late.median() < 0.3 or (narrow > 0.15 and restless > 0.15)):
        return None
    return Finding(
        "mode collapse",
        f"the spread is {late.median():.2f}, below 0.6 in {narrow:.0%} of the entries, and changes by {restless:.0%} "
        "from one to the next",
        "look at the samples; let the discriminator keep pace (its learning rate, its turns); beta1 = 0",
    )


def _wrong_spread(curves: Curves) -> Finding | None:
    typical = curves.typical("spread")
    if len(curves.gap) < GROWN or 0.7 < typical < 1.4:
        return None
    return Finding(
        "samples of the wrong spread",
        f"it is {typical:.2f} and should be 1 by now",
        "if it still grows, train on; look for strays and for missing kinds among the samples; batch normalisation in "
        "the discriminator can't see shift and scale",
    )


Check = Callable[[Curves], Finding | None]
OF_THE_GAME: tuple[Check, ...] = (
    _double_sigmoid, _labels_swapped, _generator_label_swapped, _overfitting, _vanished, _too_strong, _oscillation,
    _too_weak,
)  # fmt: skip
OF_THE_SAMPLES: tuple[Check, ...] = (_collapse, _wrong_spread)


def _first(checks: Sequence[Check], curves: Curves) -> Finding | None:
    """What the first check with an answer says."""
    if checks is OF_THE_SAMPLES and "spread" not in curves.columns:
        return None
    return next((finding for check in checks if (finding := check(curves))), None)


# ------------------------------------------------------------------------------------------ the log


def _checked(log: Any) -> dict[str, Tensor]:
    """The known columns as tensors."""
    if not isinstance(log, Mapping):
        raise TypeError(f"a log is a dict of lists, such as trainer.log, but this is a {type(log).__name__}")
    if missing := [name for name in NEEDED if name not in log]:
        has = ", ".join(map(str, log)) or "none"
        raise ValueError(
            f"the log has no column {missing[0]!r} (it has {has}): rename its columns to {', '.join(NEEDED)}"
        )
    columns = {name: _numbers(name, log[name]) for name in (*NEEDED, *OPTIONAL) if name in log}
    for name, values in columns.items():
        if len(values) != len(columns["step"]):
            raise ValueError(
                f"column {name!r} has {len(values)} entries but 'step' has {len(columns['step'])}: the log was cut; "
                "shorten all columns to the same length"
            )
    if not len(columns["step"]):
        raise ValueError("the log is empty: train first, at least 200 steps")
    return columns


def _numbers(name: str, values: Any) -> Tensor:
    """A column as a tensor ``[entries]``; its entries may be numbers, or tensors that hold one number each."""
    if isinstance(values, str) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise ValueError(f"column {name!r} must be a list of numbers but is {values!r:.40}: keep one number an entry")
    numbers = []
    for value in values:
        plain = value.detach() if isinstance(value, Tensor) else value
        try:
            numbers.append(float(plain))
            readable = not isinstance(plain, str)  # "1.3" is a number for float(), and a sign of a foreign log
        except (TypeError, ValueError, RuntimeError):  # the last: a tensor of several numbers
            readable = False
        if not readable:
            raise ValueError(f"column {name!r} must hold numbers but holds {plain!r:.40}: convert it with float()")
    return torch.tensor(numbers, dtype=torch.float64)


guard(__name__)
