"""What the course promises about speed, as ratios of one run wherever that is possible.

A ratio of two things that are timed in turn holds on a slow machine as on a fast one, and a busy neighbour slows both.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import processes, race
from bench.table import Row
from gan_course import data, metrics, networks, plots
from gan_course.training import Settings, Trainer

ROOT = Path(__file__).parents[1]  # where a process of its own finds this package
BLOCK = 16  # steps timed at a stretch: a multiple of r1_every, so that every block pays for as many penalties
PICTURE_STEPS = 7000  # chapter 00 trains no longer


def measure() -> Iterator[Row]:
    """All that is measured but the race, row by row."""
    # The processes of their own come first: this one is not yet warm, and they have the machine to themselves.
    yield Row("import torch and gan_course / import torch", import_ratio(), most=1.05)
    found = first_picture_of_fresh_process()
    text = f"seconds to the first recognisable picture (step {found['steps']})"
    yield Row(text, found["seconds"], digits=1, most=30)
    yield Row("training step: ours / written by hand", step_ratio(), most=1.05)
    yield Row("Trainer.run / the same steps by Trainer.step", run_ratio())
    yield Row("training in a notebook: with the live view / without", live_ratio(), most=1.03)
    yield Row("glyphs a second on one thread", glyph_rate(), digits=0, least=5000)
    yield Row("steps of a recipe a second: two processes (torchrun) / one", processes.speed_up(), digits=2)
    yield from recipe_rows(os.cpu_count() or 1)


def recipe_rows(threads: int) -> Iterator[Row]:
    """Where a step of the recipe goes, on so many threads, and how fast it samples."""
    with race.threads(threads):
        found = step_parts()
    whole = sum(found.values())
    for part, seconds in found.items():
        yield Row(f"recipe, ms a step: {part} ({seconds / whole:.0%})", 1000 * seconds, digits=2)
    yield Row("recipe, ms a step: all", 1000 * whole, digits=2)
    for count in sorted({1, threads}):
        rate = sampling_rate(count)
        yield Row(f"recipe, samples a second, {count} thread{'s' * (count > 1)}", rate, digits=0)


# ------------------------------------------------------------------------------------------------- the training step


def pair(seed: int = 0) -> tuple[networks.MLPGenerator, networks.MLPDiscriminator]:
    """The networks of chapter 03 for 28x28 pictures, with the same weights for the same seed."""
    torch.manual_seed(seed)
    return networks.MLPGenerator(), networks.MLPDiscriminator()


def step_by_hand(
    generator: networks.MLPGenerator, discriminator: nn.Module, images: Tensor, settings: Settings, seed: int = 0
) -> tuple[Callable[[], None], nn.Module]:
    """What ``Trainer.step`` does by default, as a script would write it: (one step, the averaged generator).

    It draws the same batches and noise as a ``Trainer`` with this seed, so that both train the same weights.
    """
    s = settings
    average = pair()[0]
    average.load_state_dict(generator.state_dict())
    g_weights, d_weights = list(generator.parameters()), list(discriminator.parameters())
    a_weights = [p.detach() for p in average.parameters()]
    buffers = list(zip(average.buffers(), generator.buffers(), strict=True))
    g_optimizer = torch.optim.Adam(g_weights, s.generator_lr, (s.beta1, s.beta2), fused=True)
    d_optimizer = torch.optim.Adam(d_weights, s.discriminator_lr, (s.beta1, s.beta2), fused=True)
    random = torch.Generator().manual_seed(seed)
    done = 0

    def step() -> None:
        nonlocal done
        real = images[torch.randint(len(images), (s.batch_size,), generator=random)]
        with torch.no_grad():
            fake = generator(torch.randn(s.batch_size, generator.latent_dim, generator=random))
        d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()
        if done % s.r1_every == 0:
            x = real.requires_grad_()
            (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
            d_loss = d_loss + s.r1_weight * s.r1_every * gradient.flatten(1).square().sum(1).mean() / 2
        d_optimizer.zero_grad()
        d_loss.backward(inputs=d_weights)
        d_optimizer.step()

        fake = generator(torch.randn(s.batch_size, generator.latent_dim, generator=random))
        g_loss = F.softplus(-discriminator(fake)).mean()
        g_optimizer.zero_grad()
        g_loss.backward(inputs=g_weights)
        g_optimizer.step()

        with torch.no_grad():
            weights = [p.detach() for p in g_weights]
            torch._foreach_lerp_(a_weights, weights, 1 - min(s.average_decay, (1 + done) / (10 + done)))
            for ours, current in buffers:  # the batch norm's running statistics
                ours.copy_(current)
        done += 1

    return step, average


def timed(steps: int, step: Callable[[], object]) -> float:
    """Seconds that ``steps`` calls of ``step`` take."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - start


def median_ratio(ours: Callable[[], float], other: Callable[[], float], rounds: int) -> float:
    """The median of the seconds of ``ours`` over those of ``other``, in turn, each first in every second round."""
    ratios = []
    for round_ in range(rounds + 1):
        if round_ % 2:
            a, b = ours(), other()
        else:
            b, a = other(), ours()
        ratios.append(a / b)
    return statistics.median(ratios[1:])  # the first round warms up


def step_ratio(rounds: int = 200, block: int = BLOCK) -> float:
    """Seconds of ``Trainer.step`` over those of the step by hand: 28x28 pictures, batch 64, default settings."""
    images, settings = data.load("glyphs", count=2000).images, Settings()
    generator, discriminator = pair()
    trainer = Trainer(generator, discriminator, images, settings)
    # Both train the same networks: two copies would differ by some per cent in speed, by where they lie in memory.
    by_hand, _ = step_by_hand(generator, discriminator, images, settings)
    return median_ratio(lambda: timed(block, trainer.step), lambda: timed(block, by_hand), rounds)


def run_ratio(rounds: int = 20, block: int = 10 * BLOCK) -> float:
    """Seconds of ``Trainer.run``, which logs, shows progress and watches for divergence, over those of its steps."""
    trainer = Trainer(*pair(), data.load("glyphs", count=2000).images)

    def run() -> float:
        with contextlib.redirect_stderr(io.StringIO()):  # no progress bar between the lines of the table
            return timed(1, lambda: trainer.run(block))

    return median_ratio(run, lambda: timed(block, trainer.step), rounds)


# ----------------------------------------------------------------------------------------- the recipe and the live view


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
        """From now on, book what ``owner.method`` takes on ``part``."""
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
    """Seconds a step that each part of the recipe takes in ``Trainer.run`` with a live figure, as in a notebook."""
    trainer, clock = race.recipe(data.load("glyphs", count=2000).images, seed=0), Clock()
    noise = torch.randn(32, trainer.latent_dim)

    def run(count: int) -> None:
        trainer.run(count, draw=lambda: plots.image_grid(trainer.sample(noise)), alt="32 samples of the generator")

    # What a notebook would draw is drawn, but sent nowhere.
    with mock.patch.object(plots, "in_notebook", return_value=True), mock.patch("IPython.display.display"):
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
from bench import speed
from gan_course.training import Trainer

torch.set_num_threads(1)
trainer = Trainer(*speed.pair(), data.load("glyphs", count=2000).images)
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
    # Here, because the process that times the first picture imports this module and must not wait for Jupyter.
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    from gan_course.commands.execute import kernel_manager

    notebook = new_notebook(cells=[new_code_cell(f"STEPS = {steps}\n{LIVE}")])
    here = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=1200, km=kernel_manager(), resources=here).execute()
    return float(next(o.text for o in notebook.cells[0].outputs if o.output_type == "stream"))


def sampling_rate(threads: int, batches: int = 4, rounds: int = 5) -> float:
    """Pictures a second from the recipe's averaged generator, in batches of 500: the best of several rounds."""
    trainer = race.recipe(data.load("glyphs", count=100).images, seed=0)
    with race.threads(threads):
        taken = [timed(batches, lambda: trainer.sample(race.CHUNK)) for _ in range(rounds + 1)]
    return batches * race.CHUNK / min(taken[1:])  # the first round warms up


# ------------------------------------------------------------------------------------------------- pictures and imports


def glyph_rate(count: int = 5000, rounds: int = 3) -> float:
    """Rendered 28x28 glyphs a second of one thread's own processor time: the best of several rounds."""
    data.load("glyphs", count=10)  # reads the fonts
    rates = []
    with race.threads(1):
        for seed in range(rounds):
            start = time.process_time()
            data.load("glyphs", count=count, seed=seed)
            rates.append(count / max(time.process_time() - start, 1e-9))
    return max(rates)


def chapter00_networks(noise: int = 32) -> tuple[nn.Sequential, nn.Sequential]:
    """The networks that chapter 00 defines in its own cell."""
    generator = nn.Sequential(
        *(nn.Linear(noise, 128), nn.BatchNorm1d(128), nn.ReLU()),
        *(nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU()),
        *(nn.Linear(128, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))),
    )
    generator.latent_dim = noise  # type: ignore[assignment]
    discriminator = nn.Sequential(
        *(nn.Flatten(), nn.Linear(64, 128), nn.LeakyReLU(0.2)),
        *(nn.Linear(128, 128), nn.LeakyReLU(0.2)),
        *(nn.Linear(128, 1), nn.Flatten(0)),
    )
    return generator, discriminator


def recognisable(samples: Tensor, real: data.Dataset) -> bool:
    """Whether generated digits are about as near to real ones as these are to each other, and all ten occur."""
    assert real.labels is not None
    near = metrics.realism_gap(samples, real.images) < 1.3
    return near and metrics.class_shares(samples, real.images, real.labels).min().item() > 0.03


def first_picture(start: float, limit: int = PICTURE_STEPS, every: int = 50) -> dict[str, float]:
    """Train chapter 00's networks until their digits are recognisable: seconds since ``start``, and steps.

    ``start`` is a reading of ``time.perf_counter``. Raises ``RuntimeError`` where ``limit`` steps are not enough.
    """
    torch.manual_seed(0)
    digits = data.load("digits")
    trainer = Trainer(*chapter00_networks(), digits.images)
    while trainer.steps < limit:
        for _ in range(every):
            trainer.step()
        if recognisable(trainer.sample(1000), digits):
            return {"seconds": time.perf_counter() - start, "steps": trainer.steps}
    raise RuntimeError(f"no recognisable digits after {limit} steps: look at what training or the measures lost")


def fresh(code: str) -> str:
    """What ``code`` prints in a fresh Python."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"the measuring process failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return done.stdout


def first_picture_of_fresh_process(limit: int = PICTURE_STEPS) -> dict[str, float]:
    """``first_picture`` from the first line of a process that has imported nothing yet."""
    code = "import time; start = time.perf_counter(); import json; from bench import speed; "
    return json.loads(fresh(code + f"print(json.dumps(speed.first_picture(start, {limit})))").splitlines()[-1])


def import_seconds(*modules: str) -> list[float]:
    """Seconds that each import takes, one after the other in a fresh process."""
    lines = ["import json, time", "seconds = []"]
    for module in modules:
        lines += ["start = time.perf_counter()", f"import {module}", "seconds.append(time.perf_counter() - start)"]
    return json.loads(fresh("\n".join([*lines, "print(json.dumps(seconds))"])))


def import_ratio(rounds: int = 5) -> float:
    """Importing torch and then gan_course over importing torch: the median of several fresh processes."""
    pairs = [import_seconds("torch", "gan_course") for _ in range(rounds)]
    return statistics.median((torch_ + ours) / torch_ for torch_, ours in pairs)
