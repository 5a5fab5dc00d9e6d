"""Where the seconds of the course's recipe go: the parts of a training step, the live view, and sampling."""

from __future__ import annotations

import time
from unittest import mock

import torch
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from bench import bench, race
from gan_course import data, plots
from gan_course.live import LiveView


class Clock:
    """Seconds spent in named parts, which may call each other: what an inner part takes, the outer one did not."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.running: list[str] = []
        self.since = 0.0

    def turn(self) -> None:
        """Book the time since the last turn on the innermost part that runs."""
        now = time.perf_counter()
        if self.running:
            self.seconds[self.running[-1]] += now - self.since
        self.since = now

    def watch(self, owner: object, method: str, part: str) -> None:
        """From now on, book what `owner.method` takes on `part`."""
        inner = getattr(owner, method)
        self.seconds.setdefault(part, 0.0)

        def watched(*arguments, **options):
            self.turn()
            self.running.append(part)
            try:
                return inner(*arguments, **options)
            finally:
                self.turn()
                self.running.pop()

        setattr(owner, method, watched)


def step_parts(steps: int = 1600) -> dict[str, float]:
    """Seconds a step that each part of the recipe takes in `Trainer.run` with a live figure, as in a notebook."""
    trainer, clock = race.recipe(data.load("glyphs", count=2000).images, seed=0), Clock()
    noise = torch.randn(32, trainer.latent_dim)

    def run(count: int) -> None:
        trainer.run(count, draw=lambda: plots.image_grid(trainer.sample(noise)), alt="32 samples of the generator")

    # What a notebook would draw is drawn, but sent nowhere.
    with mock.patch.object(plots, "in_notebook", return_value=True), mock.patch.object(LiveView, "show"):
        run(10)  # warms up
        for method in ("real_batch", "noise"):
            clock.watch(trainer, method, "data and noise")
        clock.watch(trainer, "discriminator_step", "discriminator")
        clock.watch(trainer, "generator_step", "generator")
        clock.watch(trainer, "move_average", "moving average")
        clock.watch(trainer, "run", "log and live view")
        run(steps)
    return {part: seconds / steps for part, seconds in clock.seconds.items()}


LIVE = """
import time
from types import SimpleNamespace
import torch
from gan_course import data, live, plots
from bench import bench
from gan_course.training import Trainer

torch.set_num_threads(1)
trainer = Trainer(*bench.pair(), data.load("glyphs", count=2000).images)
noise = torch.randn(40, trainer.latent_dim)
spent, apart = {"with": 0.0, "without": 0.0}, 0.0
BLOCK = trainer.settings.r1_every  # steps at a stretch: each stretch pays for one penalty
live.time = SimpleNamespace(monotonic=lambda: time.monotonic() - apart)  # its clock stands still in the other run

def draw():
    return plots.image_grid(trainer.sample(noise), columns=10, title=f"step {trainer.steps}")

plots.show(draw(), "Forty samples of the generator.")  # a kernel's first figure is dear: the fonts are read
for _ in range(10 * BLOCK):
    trainer.step()
start = time.process_time()
with live.LiveView(STEPS, draw, "Forty samples of the generator.") as view:
    for done in range(1, STEPS + 1):
        view.update(done, f"step {trainer.steps}")
        trainer.step()
        if done % BLOCK == 0:
            spent["with"] += time.process_time() - start
            start, began = time.process_time(), time.monotonic()
            for _ in range(BLOCK):
                trainer.step()
            spent["without"] += time.process_time() - start
            apart += time.monotonic() - began
            start = time.process_time()
spent["with"] += time.process_time() - start  # the final figure
print(spent["with"] / spent["without"])
"""


def live_ratio(steps: int = 3200) -> float:
    """Processor seconds of a training with the live view over those of the same steps without it, in a notebook.

    It runs in a kernel, which sends what it shows. Both trainings take turns, a few steps each, so that a neighbour
    slows both. All of the view counts, its final figure and its lines included.
    """
    from gan_course.commands.execute import kernel_manager

    notebook = new_notebook(cells=[new_code_cell(f"STEPS = {steps}\n{LIVE}")])
    NotebookClient(notebook, timeout=1200, km=kernel_manager()).execute()
    return float(next(o.text for o in notebook.cells[0].outputs if o.output_type == "stream"))


def sampling_rate(threads: int, batches: int = 4, rounds: int = 5) -> float:
    """Pictures a second from the recipe's averaged generator, in batches of 500: the best of several rounds."""
    trainer = race.recipe(data.load("glyphs", count=100).images, seed=0)
    with race.threads(threads):
        taken = [bench.timed(batches, lambda: trainer.sample(race.CHUNK)) for _ in range(rounds + 1)]
    return batches * race.CHUNK / min(taken[1:])  # the first round warms up
