"""`gan-course ablation`: measures what each part of chapter 04's recipe is worth, and writes what the chapter shows.

As in the benchmark, it trains on 8,000 digits of MNIST and compares with 10,000.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from torch import Tensor

from gan_course import data, metrics, zoo
from gan_course.recipes.ablation import LONGER, VARIANTS, load_results, save_results, variant
from gan_course.training import Trainer, TrainingDiverged

SHOWN = 20  # pictures of each variant that are kept
SAMPLES = 5000
SEEDS = (0, 1, 2)


def ablation(seconds: float = 30, later: float = 180, jobs: int = 2, only: Sequence[str] = ()) -> int:
    """Train every variant for ``seconds`` of one processor core, for each seed, and write table and pictures.

    Those in ``LONGER`` go on until ``later``. With names in ``only``, the others' rows stay as they are.
    """
    if unknown := set(only) - set(VARIANTS):
        print(f"there is no variant {min(unknown)!r}: choose from {', '.join(VARIANTS)}", file=sys.stderr)
        return 2
    names = [name for name in VARIANTS if name in (only or VARIANTS)]
    rows, pictures = load_results() if only else ([], {})
    table = {row["variant"]: row for row in rows}
    tasks = [(name, seed, (seconds, later) if name in LONGER else (seconds,)) for name in names for seed in SEEDS]
    with ProcessPoolExecutor(jobs) as pool:
        results = pool.map(measure, tasks)
        for name in names:
            runs = [next(results) for _ in SEEDS]
            row: dict[str, Any] = {
                "variant": name,
                "distances": [run["distances"][0] for run in runs],
                "median": statistics.median(run["distances"][0] for run in runs),
                "images_per_second": round(statistics.median(run["rate"] for run in runs)),
            }
            if name in LONGER:
                row["later"] = [run["distances"][1] for run in runs]
            print(row, flush=True)
            table[name] = row
            pictures[name] = sorted(runs, key=lambda run: run["distances"][0])[len(runs) // 2]["pictures"]
    command = f"gan-course ablation --seconds {seconds:g} --later {later:g}"
    ordered = [name for name in VARIANTS if name in table]
    save_results(
        [table[name] for name in ordered],
        {name: pictures[name] for name in ordered},
        seconds=seconds,
        later=later,
        dataset="mnist",
        command=command,
    )
    return 0


def measure(task: tuple[str, int, Sequence[float]]) -> dict[str, Any]:
    """Train one variant; at each of some seconds, the Fréchet distance of its samples to real digits.

    The ``pictures`` are those of the first mark; ``rate``: real pictures a second.
    """
    name, seed, marks = task
    torch.set_num_threads(1)
    judge: Any = zoo.load("mnist_classifier")
    real = metrics.extract_features(data.load("mnist", split="all").images[:10_000], judge.features)
    trainer = variant(name, data.load("mnist").images[:8000], seed)
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(SAMPLES, trainer.latent_dim, generator=random)
    distances: list[float] = []
    pictures, spent = torch.zeros(SHOWN, 1, 28, 28), 0.0
    for mark in marks:
        start = time.process_time() - spent  # a core's own time: a busy neighbour costs nothing
        while spent < mark:
            for _ in range(10):
                record = trainer.step()
            spent = time.process_time() - start
        try:
            trainer.check_losses(record)
        except TrainingDiverged as error:
            print(f"{name}, seed {seed}: {error}", file=sys.stderr)
            distances.append(float("inf"))
            continue
        samples = sample(trainer, noise)
        pictures = samples[:SHOWN] if not distances else pictures
        distances.append(round(metrics.frechet_distance(metrics.extract_features(samples, judge.features), real), 2))
    return {"distances": distances, "rate": trainer.steps * trainer.settings.batch_size / spent, "pictures": pictures}


def sample(trainer: Trainer, noise: Tensor) -> Tensor:
    """Pictures from ``noise``, made in parts: all at once would take a gigabyte."""
    return torch.cat([trainer.sample(part) for part in noise.split(500)])
