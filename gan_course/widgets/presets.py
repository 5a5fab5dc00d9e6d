"""Games that end in a known way: GAN Lab's presets and the clinic's patients. Tests hold each to its promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median, stdev
from typing import Any

from gan_course.language import tr_later
from gan_course.widgets.lab import Knobs, Lab

RECENT = 20  # measures, one every 10 steps: what "in the end" looks at, for a single moment is chance


def heaps_reached(lab: Lab) -> float:
    """Heaps reached in the end: the median of the last measures."""
    assert lab.centres is not None
    return median(lab.measures["coverage"][-RECENT:]) * len(lab.centres)


def lead(lab: Lab) -> list[float]:
    """How far real logits lay above generated ones, over the last 800 steps."""
    return [real - fake for real, fake in zip(lab.log["real_logit"], lab.log["fake_logit"], strict=True)][-80:]


def changes_of_lead(lab: Lab) -> int:
    """How often one player overtook the other in the last 800 steps."""
    values = lead(lab)
    return sum((a > 0) != (b > 0) for a, b in pairwise(values))


def converged(lab: Lab) -> bool:
    return heaps_reached(lab) >= 7


def collapsed(lab: Lab) -> bool:
    return heaps_reached(lab) <= 3


def oscillated(lab: Lab) -> bool:
    return stdev(lead(lab)) > 0.2 and changes_of_lead(lab) >= 10 and heaps_reached(lab) <= 4


def saturated(lab: Lab) -> bool:
    return median(list(lab.log["g_gradient"])[-10:]) < 0.05 and median(list(lab.log["fake_logit"])[-10:]) < -5


@dataclass(frozen=True)
class Preset:
    """A game, the question to answer before it starts, and what it ends in after ``steps`` steps."""

    knobs: Knobs
    steps: int
    question: str
    answer: str
    promise: str
    kept: Callable[[Lab], bool]


PRESETS: Mapping[str, Preset] = {
    tr_later("converges"): Preset(
        Knobs(r1_weight=0.1, prior="uniform"),
        800,
        tr_later(
            "Two equal players, gentle slopes. All orange points start in one spot. Will they find "
            "all eight heaps? What "
            "happens to the purple grid on the way?"
        ),
        tr_later(
            "They burst out of the spot, spread over the ring and settle on all heaps. The grid is "
            "stretched over the ring "
            "like a net. It is never torn: threads of orange points remain between the heaps."
        ),
        tr_later("at least 7 of 8 heaps"),
        converged,
    ),
    tr_later("collapses"): Preset(
        Knobs(discriminator_lr=1e-4, prior="uniform"),
        800,
        tr_later(
            "The discriminator's learning rate is a twentieth of the generator's. Where will the points be after 800 "
            "steps, and how will the losses look?"
        ),
        tr_later(
            "All in one clump, which wanders or hops from heap to heap: the discriminator objects too late. The losses "
            "look almost healthy. Only the green curve gives it away. Now raise the discriminator's rate to 0.002."
        ),
        tr_later("at most 3 of 8 heaps"),
        collapsed,
    ),
    tr_later("oscillates"): Preset(
        Knobs(beta1=0.9, generator_lr=5e-3, discriminator_lr=5e-3),
        800,
        tr_later(
            "Both players carry momentum (β₁ = 0.9) and take large steps. Will the lead of the real logits settle, or "
            "change sides?"
        ),
        tr_later(
            "It changes sides again and again: both players overshoot, and the whole cloud swings "
            "through the plane. Set "
            "β₁ to 0 while it plays."
        ),
        tr_later("the lead changes sides at least 10 times in 800 steps, and at most 4 heaps are reached"),
        oscillated,
    ),
    tr_later("saturates"): Preset(
        Knobs(loss="saturating", optimizer="plain", discriminator_lr=5e-3, discriminator_steps=10, prior="uniform"),
        120,
        tr_later(
            "The saturating loss, plain gradient descent, and a discriminator with ten turns to one. "
            "What becomes of the "
            "arrows?"
        ),
        tr_later(
            "They shrink to nothing: a fake that is recognised for sure gets no push from log(1 − D). The points stay "
            "where they are, for ever. Now choose the non-saturating loss while it plays: the arrows are back at once. "
            "With one turn a step and Adam, the points find the ring, too."
        ),
        tr_later("the generator's gradient is below 0.05, and the generated logits are below −5"),
        saturated,
    ),
}


@dataclass(frozen=True)
class Patient:
    """A sick game for the clinic: ``cause`` is the right diagnosis, ``cure`` the knobs that heal it while it runs."""

    knobs: Knobs
    steps: int  # until the symptom is plain
    complaint: str
    cause: str
    evidence: str
    cure: Mapping[str, Any] = field(default_factory=dict)
    healing: int = 800  # steps until the cure shows


CAUSES: Sequence[str] = (
    "D learns too slowly",
    "D is too small",
    "G's steps are too large",
    "momentum: both overshoot",
    "G's loss is saturated",
)  # short enough for a phone; G and D as on the knobs

PATIENTS: Mapping[str, Patient] = {
    "A": Patient(
        PRESETS["collapses"].knobs,
        800,
        "“My losses look healthy, and all my pictures look the same.”",
        CAUSES[0],
        "One clump, somewhere else every few steps. Losses near 1.39 and 0.69, logits of both kinds close together, "
        "and a belief that is pale everywhere: it objects too late and too little.",
        {"discriminator_lr": 2e-3},
    ),
    "B": Patient(
        PRESETS["oscillates"].knobs,
        800,
        "“It was almost good an hour ago. Then it got worse, then better, and now it is nonsense.”",
        CAUSES[3],
        "The whole cloud swings together, both losses swing with it, and the two logit curves cross all the time.",
        {"beta1": 0.0},
    ),
    "C": Patient(
        PRESETS["saturates"].knobs,
        250,
        "“The discriminator's loss went to 0 within a minute. Since then, nothing changes any more.”",
        CAUSES[4],
        "No arrows. The logits run apart, the discriminator's loss is 0, and the points stand still.",
        {"loss": "non_saturating", "discriminator_steps": 1, "optimizer": "adam"},
        healing=1500,
    ),
    "D": Patient(
        Knobs(generator_lr=0.05, prior="uniform"),
        400,
        "“I raised one learning rate to save time. Whenever I look, the samples are somewhere else.”",
        CAUSES[2],
        "Press Step a few times: in a single step the points leap half a unit, where a healthy game moves them a "
        "seventh of one.",
        {"generator_lr": 2e-3},
    ),
    "E": Patient(
        Knobs(discriminator_width=4, discriminator_lr=5e-3, discriminator_steps=5, prior="uniform"),
        400,
        "“No collapse, no oscillation. The samples lie about where they should, and none of them looks right.”",
        CAUSES[1],
        "A sheet is spread over the ring, and no heap is drawn. The belief has a few straight edges: that is all it "
        "can draw, so the generator never hears of eight heaps.",
        {"discriminator_width": 64},
    ),
}


def healthy(lab: Lab) -> bool:
    """Whether a patient may go home: nearly all of the target is reached, and stays so."""
    return len(lab.measures) > RECENT and converged(lab)
