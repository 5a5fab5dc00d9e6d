"""Right and wrong reports of the capstone."""

from __future__ import annotations

import numpy
import torch

GOOD = {
    "question": "Does R1 of weight 1 lower the Fréchet distance of a GAN on the ring after 600 steps?",
    "data": "The ring of eight heaps, made here: 4,000 points to train on, 2,000 and 2,000 held back.",
    "samples": 2000,
    "floor": 0.001,
    "seeds": [0, 1, 2],
    "results": {"without": [0.05, 0.09, 0.07], "with": [0.02, 0.03, 0.025]},
    "interval": (0.0212, 0.0688),
    "verdict": "higher",
    "failure": "With seed 1 one of the eight heaps stayed empty for the first 300 steps, as the map showed.",
}


def changed(**entries):
    """A good report with other entries; ``None`` takes an entry out."""
    report = {name: value for name, value in (GOOD | entries).items() if value is not None}
    return lambda: dict(report)


UNDECIDED = {
    "results": {"a": [1.0, 2.0, 3.0], "b": [1.5, 2.5, 2.3]},
    "interval": [-1.4064, 1.2064],
    "verdict": "undecided",
}

RIGHT = {
    "capstone_report": [
        changed(),
        changed(**UNDECIDED),
        changed(
            samples=numpy.int64(2000), floor=numpy.float32(0.001), interval=torch.tensor([0.0212, 0.0688]).tolist()
        ),
        changed(
            seeds=(3, 7, 11, 4),
            results={"b": [3.0, 4.0, 3.5, 3.7], "a": [6.0, 7, 6.5, 8.0]},
            interval=[-4.2768, -2.3732],
            verdict="lower",
        ),
    ]
}
WRONG = {
    "capstone_report": [
        (lambda: None, "return"),
        (lambda: "done", "Return the dict"),
        (changed(question=None), "a number can answer"),
        (changed(question="Find out whether R1 helps a GAN on the ring of eight heaps."), "ends in a question mark"),
        (changed(failure="none"), "less well than hoped"),
        (changed(samples=50), "can't be compared"),
        (changed(samples=[1000, 300]), "can't be compared"),
        (changed(floor=None), "real pictures against other real ones"),
        (changed(seeds=[0]), "One run says nothing"),
        (changed(seeds=[0, 0, 1]), "The same seed"),
        (changed(results={"without": 0.07, "with": 0.025}), "A mean hides"),
        (changed(results={"without": [0.05, 0.09, 0.07], "with": [0.02, 0.03]}), "the bad ones too"),
        (changed(results={"without": [0.05, 0.05, 0.05], "with": [0.02, 0.03, 0.025]}), "never end alike"),
        (changed(results={"with": [0.02, 0.03, 0.025]}), "One list of figures for each"),
        (changed(interval=(0.0038, 0.0862)), "the spread of single runs"),
        (changed(interval=(0.0162, 0.0738)), "add as squares"),
        (changed(interval=(0.0331, 0.0569)), "One standard error"),
        (changed(interval=(-0.0688, -0.0212), verdict="lower"), "minus the first"),
        (changed(interval=0.045), "Low and high"),
        (changed(verdict="better"), "only where the interval leaves out 0"),
        (changed(**(UNDECIDED | {"verdict": "lower"})), "only where the interval leaves out 0"),
    ]
}
HALF_RIGHT = {
    "capstone_report": [
        (changed(failure=None), "figures", "words"),
        (changed(seeds=None), "words", "figures"),
        (changed(interval=None), "figures", "interval"),
    ]
}
