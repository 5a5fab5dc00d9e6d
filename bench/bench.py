"""`gan-course bench`: what the course promises about speed, as ratios of one run wherever that is possible.

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from gan_course.commands.table import Row
from torch import Tensor, nn

from bench import race, table
from gan_course import data, metrics, networks
from gan_course.commands.errors import CourseError
from gan_course.training import Settings, Trainer

BLOCK = 16  # steps timed at a stretch: a multiple of r1_every, so that every block pays for as many penalties
PICTURE_STEPS = 7000  # chapter 00 trains no longer


def bench(
    root: str | Path,
    speed_only: bool,
    seconds: Sequence[int],
    seeds: Sequence[int],
    peer_seeds: Sequence[int],
    samples: str | Path | None,
    write: bool,
    threads: int = 0,
) -> int:
    """Measure everything, print the tables, and return 1 where a requirement does not hold.

    The race is part of it unless `speed_only`: ours with each of `seeds`, the peers with `peer_seeds`, judged after
    `seconds`, on as many `threads` (0: one for each core); `samples` is a folder for the pictures. `write` renews
    docs/bench.md. `CourseError` for a request that can't be met.
    """
    if min(seconds) < 1:
        raise CourseError(f"A race of {min(seconds)} seconds shows nothing: --seconds takes whole numbers from 1 up.")
    if speed_only and write:
        raise CourseError("The page holds the race: leave out --write or --speed-only.")
    from gan_course.commands.notebooks import course_folder

    folder = course_folder(root)
    if write:
        table.page(folder)  # now, not after forty minutes
    heading = f"{'what':56}{'measured':>10}   {'required':16}holds"
    print(heading)
    rows = []
    for row in measure():
        print(row, flush=True)
        rows.append(row)
    if not speed_only:
        with race.threads(threads or os.cpu_count() or 1):
            marks, floor = run_race(folder, seconds, seeds, peer_seeds, Path(samples) if samples else None)
            count = torch.get_num_threads()
        found = list(table.verdicts(marks, floor))
        print(heading, *found, sep="\n")
        rows += found
        if write:
            how = f"Measured with PyTorch {torch.__version__.split('+')[0]} on {count} thread{'s' * (count > 1)}."
            table.write_page(folder, how, marks, floor, rows)
    return int(not all(row.holds for row in rows))


def run_race(
    folder: Path, seconds: Sequence[int], seeds: Sequence[int], peer_seeds: Sequence[int], samples: Path | None
) -> tuple[list[race.Mark], table.Floor]:
    """Run what build/bench.json does not hold already, and print it: the marks and the floor."""
    real = race.digits()
    judge = race.judge(real)
    floor = judge.floor()
    results = race.Results(folder / "build" / "bench.json", judge.fingerprint)
    contenders = race.entries()
    runs = race.plan(list(contenders), seconds, seeds, peer_seeds)
    todo = [run for run in runs if not race.finished(run, results, samples)]
    minutes = sum(max(run.seconds) for run in todo) / 60
    known = f"{len(runs) - len(todo)} of them in build/bench.json (remove it to measure anew)"
    print(f"\nThe race: {len(runs)} runs, {known}.")
    print(f"{minutes:.0f} minutes of training to go. Ctrl-C stops it and keeps what is finished.", flush=True)
    marks: list[race.Mark] = []
    try:
        for mark in race.race(runs, contenders, real[: race.TRAINED_ON], judge, results, samples):
            marks.append(mark)
            name = f"{mark.contender}, seed {mark.seed}, {mark.seconds} s"
            print(f"{name:40}{mark.frechet:8.3f} after {mark.steps:,} steps", flush=True)
    finally:
        if marks:
            print(f"\n{table.plain(table.race_table(marks, floor))}\n")
    return marks, floor


def measure() -> Iterator[Row]:
    from bench import speed as parts

    # The processes of their own come first: this one is not yet warm, and they have the machine to themselves.
    yield Row("import torch and gan_course / import torch", import_ratio(), most=1.05)
    found = first_picture_of_fresh_process()
    text = f"seconds to the first recognisable picture (step {found['steps']})"
    yield Row(text, found["seconds"], digits=1, most=30)
    yield Row("training step: ours / written by hand", step_ratio(), most=1.05)
    yield Row("Trainer.run / the same steps by Trainer.step", run_ratio())
    yield Row("training in a notebook: with the live view / without", parts.live_ratio(), most=1.03)
    yield Row("glyphs a second on one thread", glyph_rate(), digits=0, least=5000)
    yield from recipe_rows(os.cpu_count() or 1)


def recipe_rows(threads: int) -> Iterator[Row]:
    from bench import speed as parts

    with race.threads(threads):
        found = parts.step_parts()
    whole = sum(found.values())
    for part, seconds in found.items():
        yield Row(f"recipe, ms a step: {part} ({seconds / whole:.0%})", 1000 * seconds, digits=2)
    yield Row("recipe, ms a step: all", 1000 * whole, digits=2)
    for count in sorted({1, threads}):
        rate = parts.sampling_rate(count)
        yield Row(f"recipe, samples a second, {count} thread{'s' * (count > 1)}", rate, digits=0)


# ------------------------------------------------------------------------------------------------- the training step


def pair(seed: int = 0) -> tuple[networks.MLPGenerator, networks.MLPDiscriminator]:
    """The networks of chapter 03 for 28x28 pictures, with the same weights for the same seed."""
    torch.manual_seed(seed)
    return networks.MLPGenerator(), networks.MLPDiscriminator()


def step_by_hand(
    generator: networks.MLPGenerator, discriminator: nn.Module, images: Tensor, settings: Settings, seed: int = 0
) -> tuple[Callable[[], None], nn.Module]:
    """What `Trainer.step` does by default, as a script would write it: (one step, the averaged generator).

    It draws the same batches and noise as a `Trainer` with this seed, so that both train the same weights.
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
            for mine, current in buffers:  # the batch norm's running statistics
                mine.copy_(current)
        done += 1

    return step, average


def timed(steps: int, step: Callable[[], object]) -> float:
    """Seconds that `steps` calls of `step` take."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - start


def median_ratio(ours: Callable[[], float], other: Callable[[], float], rounds: int) -> float:
    """The median of the seconds of `ours` over those of `other`, taken in turn, each first in every second round."""
    ratios = []
    for round_ in range(rounds + 1):
        if round_ % 2:
            a, b = ours(), other()
        else:
            b, a = other(), ours()
        ratios.append(a / b)
    return statistics.median(ratios[1:])  # the first round warms up


def step_ratio(rounds: int = 200, block: int = BLOCK) -> float:
    """Seconds of `Trainer.step` over those of the step by hand: 28x28 pictures, batch 64, default settings."""
    images, settings = data.load("glyphs", count=2000).images, Settings()
    generator, discriminator = pair()
    trainer = Trainer(generator, discriminator, images, settings)
    # Both train the same networks: two copies would differ by some per cent in speed, by where they lie in memory.
    by_hand, _ = step_by_hand(generator, discriminator, images, settings)
    return median_ratio(lambda: timed(block, trainer.step), lambda: timed(block, by_hand), rounds)


def run_ratio(rounds: int = 20, block: int = 10 * BLOCK) -> float:
    """Seconds of `Trainer.run`, which logs, shows progress and watches for divergence, over those of its steps."""
    trainer = Trainer(*pair(), data.load("glyphs", count=2000).images)

    def run() -> float:
        with contextlib.redirect_stderr(io.StringIO()):  # no progress bar between the lines of the table
            return timed(1, lambda: trainer.run(block))

    return median_ratio(run, lambda: timed(block, trainer.step), rounds)


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
    """Train chapter 00's networks until their digits are recognisable: seconds since `start`, and steps.

    `start` is a reading of `time.perf_counter`. Raises `RuntimeError` where `limit` steps are not enough.
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
    """What `code` prints in a fresh Python."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"the measuring process failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return done.stdout


def first_picture_of_fresh_process(limit: int = PICTURE_STEPS) -> dict[str, float]:
    """`first_picture` from the first line of a process that has imported nothing yet."""
    code = "import time; start = time.perf_counter(); import json; from bench import bench; "
    return json.loads(fresh(code + f"print(json.dumps(bench.first_picture(start, {limit})))").splitlines()[-1])


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
