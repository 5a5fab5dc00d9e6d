"""Chapter 04's recipe, and the same with one part taken away or exchanged, to find out what each part is worth.

``gan-course ablation`` trains every variant for the same seconds and writes the table and a strip of pictures that the
chapter shows; :func:`variant` builds one of them, so that a reader can train it and look. As in the benchmark, they
train on 8,000 digits of MNIST and are compared with 10,000.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_course import data, metrics, zoo
from gan_course.checkpoints import load_checkpoint, save_checkpoint
from gan_course.losses import r1_penalty
from gan_course.naming import nearest
from gan_course.networks import ConvDiscriminator, ConvGenerator, MLPDiscriminator, MLPGenerator
from gan_course.training import CONVOLUTIONAL, Settings, Trainer, TrainingDiverged

RESULTS = zoo.FOLDER / "ablation.safetensors"
SHOWN = 20  # pictures of each variant that are kept
SAMPLES = 5000
SEEDS = (0, 1, 2)

Pair = tuple[Any, Any]  # generator and discriminator, whose layers are exchanged below


def recipe() -> Pair:
    return ConvGenerator(), ConvDiscriminator()


def linear_layers() -> Pair:
    """Chapter 03's pair."""
    return MLPGenerator(), MLPDiscriminator()


def no_batch_norm() -> Pair:
    generator, discriminator = recipe()
    return exchange(generator, nn.BatchNorm2d, lambda layer: nn.Identity()), discriminator


def no_extra_convolutions() -> Pair:
    """A generator without the two layers that keep the size of the map."""
    generator, discriminator = recipe()
    kept, skip = [], 0
    for layer in generator.layers:
        if type(layer) is nn.Conv2d:
            skip = 3  # it, its batch norm and its ReLU
        if not skip:
            kept.append(layer)
        skip = max(0, skip - 1)
    generator.layers = nn.Sequential(*kept)
    return generator, discriminator


def nearest_upsampling() -> Pair:
    def nearest(layer: nn.ConvTranspose2d) -> nn.Module:
        bias = layer.bias is not None
        convolution = nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1, bias=bias)
        return nn.Sequential(nn.Upsample(scale_factor=2), convolution)

    generator, discriminator = recipe()
    return exchange(generator, nn.ConvTranspose2d, nearest), discriminator


def shallow_discriminator() -> Pair:
    """Two halvings of the side instead of three, with as many maps at each."""
    generator, discriminator = recipe()
    discriminator.features = nn.Sequential(*list(discriminator.features)[:4], nn.Flatten())
    count = discriminator.features(torch.zeros(1, 1, 28, 28)).numel()
    discriminator.head = nn.Linear(count, 1)
    return generator, discriminator


def spectral() -> Pair:
    """Every weight of the discriminator divided by its largest singular value (arXiv 1802.05957)."""
    generator, discriminator = recipe()
    for layer in (*discriminator.features, discriminator.head):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spectral_norm(layer)
    return generator, discriminator


class Residual(nn.Module):
    """Adds what ``layers`` make to what they were given (arXiv 1512.03385)."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def residual() -> Pair:
    """Each of the two layers that keep the size of the map, with its norm and its ReLU, becomes an addition."""
    generator, discriminator = recipe()
    layers = list(generator.layers)
    for start in [i for i, layer in enumerate(layers) if type(layer) is nn.Conv2d][::-1]:
        layers[start : start + 3] = [Residual(*layers[start : start + 3])]
    generator.layers = nn.Sequential(*layers)
    return generator, discriminator


def exchange(network: Any, kind: type[nn.Module], new: Callable[[Any], nn.Module]) -> Any:
    """Replace each layer of ``kind`` in ``network`` by ``new(layer)``."""
    for name, child in network.named_children():
        if isinstance(child, kind):
            setattr(network, name, new(child))
        else:
            exchange(child, kind, new)
    return network


class WithR2(Trainer):
    """R1's penalty on generated pictures, too (arXiv 1801.04406), in a step of its own."""

    def discriminator_step(self) -> dict[str, Tensor]:
        record = super().discriminator_step()
        if self.steps % self.settings.r1_every == 0:
            weight = self.settings.r1_weight * self.settings.r1_every
            self.discriminator_optimizer.zero_grad()
            (weight * r1_penalty(self.judge, self.last_batch[1])).backward()
            self.discriminator_optimizer.step()
        return record


#: What is done to the recipe: the networks, and the settings that differ.
VARIANTS: dict[str, tuple[Callable[[], Pair], dict[str, Any]]] = {
    "the recipe": (recipe, {}),
    "without convolutions": (linear_layers, {}),
    "without extra convolutions": (no_extra_convolutions, {}),
    "without the third halving": (shallow_discriminator, {}),
    "without batch norm": (no_batch_norm, {}),
    "without R1": (recipe, {"r1_weight": 0.0}),
    "without the average": (recipe, {"average_decay": 0.0}),
    "with DCGAN's learning rate": (recipe, {"generator_lr": 2e-4, "discriminator_lr": 2e-4}),
    "with a faster discriminator": (recipe, {"generator_lr": 1.5e-3, "discriminator_lr": 6e-3}),
    "with momentum 0.5": (recipe, {"beta1": 0.5}),
    "with batches of 32": (recipe, {"batch_size": 32}),
    "with batches of 128": (recipe, {"batch_size": 128}),
    "with nearest upsampling": (nearest_upsampling, {}),
    "with the hinge loss": (recipe, {"loss": "hinge"}),
    "with the relativistic loss": (recipe, {"loss": "relativistic"}),
    "with R2 beside R1": (recipe, {}),
    "with spectral norm for R1": (spectral, {"r1_weight": 0.0}),
    "with residual layers": (residual, {}),
    "without 16-bit numbers": (recipe, {"bfloat16": False}),
}
#: Those that are trained longer, too: what half a minute says about them is not the last word.
LONGER = ("the recipe", "without R1", "with nearest upsampling", "with the hinge loss")
#: The chapter's other question, what labels do, under the name that ``only`` knows it by; and the steps it is given.
LABELS, LABEL_STEPS = "labels", 600
FLOOR = "floor"  # the name of :func:`measure_floor`'s result in the file


def find(name: str) -> tuple[Callable[[], Pair], dict[str, Any]]:
    """The entry of :data:`VARIANTS`. Raises ``ValueError`` for a name that is not in it."""
    if name not in VARIANTS:
        raise ValueError(f"there is no variant {name!r}: {nearest(name, VARIANTS)}")
    return VARIANTS[name]


def variant(name: str, images: Tensor, seed: int = 0) -> Trainer:
    """A trainer for the recipe changed as ``name`` says, on ``images [N, 1, 28, 28]`` in ``[-1, 1]``.

    Raises ``ValueError`` as :func:`find`.
    """
    make, changes = find(name)
    torch.manual_seed(seed)
    settings: Settings = replace(CONVOLUTIONAL, **changes)
    kind = WithR2 if name == "with R2 beside R1" else Trainer
    return kind(*make(), images, settings, seed=seed)


def load_results() -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """The table that the course measured, a dict a row, and pictures ``[n, 1, 28, 28]`` in ``[-1, 1]`` by variant.

    Each row: ``variant``; ``distances``, one a seed, after half a minute of one core; their ``median``;
    ``images_per_second``; for those in :data:`LONGER`, ``later``: the distances after three minutes.
    """
    pictures, notes = load_checkpoint(RESULTS)
    names = [row["variant"] for row in notes["rows"]]  # the file keeps them in another order
    return notes["rows"], {name: pictures[name].float() / 127.5 - 1 for name in names}


def load_labels() -> dict[str, list[float]]:
    """Fréchet distances of the recipe ``"with labels"`` and ``"without"``, one a seed, after :data:`LABEL_STEPS`.

    On glyphs, as chapter 04 measures them: 2,000 samples against 5,000 pictures.
    """
    return load_checkpoint(RESULTS)[1][LABELS]


def load_floor() -> float:
    """Fréchet distance of real digits to other real ones, as :func:`measure_floor` found it."""
    return load_checkpoint(RESULTS)[1][FLOOR]


def save_results(rows: list[dict[str, Any]], pictures: dict[str, Tensor], **notes: Any) -> None:
    """Write what :func:`load_results`, :func:`load_labels` and :func:`load_floor` read."""
    whole = {name: ((images + 1) * 127.5).round().clamp(0, 255).byte() for name, images in pictures.items()}
    save_checkpoint(RESULTS, whole, {"rows": rows, **notes})


# ------------------------------------------------------------------------------------------ measuring


def measure_all(seconds: float = 30, later: float = 180, jobs: int = 2, only: Sequence[str] = ()) -> None:
    """Train every variant for ``seconds`` of one processor core, for each seed, and write table and pictures.

    Those in ``LONGER`` go on until ``later``. With names in ``only``, the others' rows stay as they are; among them
    may be :data:`LABELS`. Raises ``ValueError`` as :func:`find`.
    """
    for name in set(only) - {LABELS}:
        find(name)
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
        if not only or LABELS in only:
            found = list(pool.map(measure_labels, [(told, seed) for told in (True, False) for seed in SEEDS]))
            labels = {"with labels": found[: len(SEEDS)], "without": found[len(SEEDS) :]}
            print(labels, flush=True)
        else:
            labels = load_labels()
    floor = load_floor() if only else measure_floor()
    command = f"gan-course ablation --seconds {seconds:g} --later {later:g}"
    ordered = [name for name in VARIANTS if name in table]
    save_results(
        [table[name] for name in ordered],
        {name: pictures[name] for name in ordered},
        seconds=seconds,
        later=later,
        dataset="mnist",
        command=command,
        **{LABELS: labels, FLOOR: floor},
    )


def measure_floor() -> float:
    """Fréchet distance between 5,000 real digits of MNIST and 5,000 others: about what a perfect generator would get.

    The variants' 5,000 samples are compared with all 10,000, and the more the nearer: their floor lies a little lower.
    """
    judge: Any = zoo.load("mnist_classifier")
    real = metrics.extract_features(data.load("mnist", split="all").images[: 2 * SAMPLES], judge.features)
    return round(metrics.frechet_distance(real[:SAMPLES], real[SAMPLES:]), 2)


def measure_labels(task: tuple[bool, int]) -> float:
    """Train the recipe on glyphs, ``told`` their labels or not, and return its Fréchet distance."""
    told, seed = task
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    dataset, judge = data.load("glyphs"), cast(Any, zoo.load("glyphs_classifier"))
    classes = len(dataset.class_names) if told else 0
    pair = ConvGenerator(classes=classes), ConvDiscriminator(classes=classes)
    settings = replace(CONVOLUTIONAL, decay_after=300)  # as in the chapter's run with labels
    trainer = Trainer(*pair, dataset.images, settings, seed=seed, labels=dataset.labels if told else None)
    for _ in range(LABEL_STEPS):
        record = trainer.step()
    trainer.check_losses(record)
    asked = (torch.arange(2000) % classes,) if told else ()
    fake, real = (
        metrics.extract_features(x, judge.features) for x in (trainer.sample(2000, *asked), dataset.images[:5000])
    )
    return round(metrics.frechet_distance(fake, real), 2)


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
