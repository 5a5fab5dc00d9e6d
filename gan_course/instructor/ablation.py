"""`gan-course ablation`: measures what each part of chapter 04's recipe is worth, and writes what the chapter shows.

As in the benchmark, it trains on 8,000 digits of MNIST and compares with 10,000.
"""

from __future__ import annotations

import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from torch import Tensor

from gan_course import data, metrics, zoo
from gan_course.ablation import VARIANTS, save_results, variant
from gan_course.training import TrainingDiverged

SHOWN = 20  # pictures of each variant that are kept
SAMPLES = 5000


def ablation(seconds: float = 30, seeds: tuple[int, ...] = (0, 1, 2), jobs: int = 2) -> int:
    """Train every variant for ``seconds`` of one processor core, for each seed, and write table and pictures."""
    tasks = [(name, seed, seconds) for name in VARIANTS for seed in seeds]
    with ProcessPoolExecutor(jobs) as pool:
        rows, pictures = [], {}
        results = pool.map(measure, tasks)
        for name in VARIANTS:
            runs = [next(results) for _ in seeds]
            distances = [run["distance"] for run in runs]
            row: dict[str, Any] = {
                "variant": name,
                "distances": distances,
                "median": statistics.median(distances),
                "images_per_second": round(statistics.median(run["rate"] for run in runs)),
            }
            print(f"{name:28} {row['median']:8.1f} {row['images_per_second']:6d} images/s  {distances}", flush=True)
            rows.append(row)
            pictures[name] = sorted(runs, key=lambda run: run["distance"])[len(runs) // 2]["pictures"]  # the median's
    save_results(rows, pictures, seconds=seconds, dataset="mnist", command=f"gan-course ablation --seconds {seconds:g}")
    return 0


def measure(task: tuple[str, int, float]) -> dict[str, Any]:
    """Train one variant; Fréchet distance of its samples to real digits, real pictures a second, and some pictures."""
    name, seed, seconds = task
    torch.set_num_threads(1)
    judge: Any = zoo.load("mnist_classifier")
    trainer = variant(name, data.load("mnist").images[:8000], seed)
    start = time.process_time()  # a core's own time: a busy neighbour costs nothing
    while (spent := time.process_time() - start) < seconds:
        for _ in range(10):
            record = trainer.step()
    try:
        trainer._check_losses(record, None)
    except TrainingDiverged as error:
        print(f"{name}, seed {seed}: {error}", file=sys.stderr)
        return {"distance": float("inf"), "rate": 0.0, "pictures": torch.zeros(SHOWN, 1, 28, 28)}
    random = torch.Generator().manual_seed(0)
    samples: Tensor = trainer.sample(torch.randn(SAMPLES, trainer.latent_dim, generator=random))
    real = data.load("mnist", split="all").images[:10_000]
    features = [metrics.extract_features(images, judge.features) for images in (samples, real)]
    distance = metrics.frechet_distance(*features)
    rate = trainer.steps * trainer.settings.batch_size / spent
    return {"distance": round(distance, 2), "rate": rate, "pictures": samples[:SHOWN]}
