"""The benchmark's race: the course's recipe and its peers, from nothing, for the same seconds on the same digits.

After 60, 180 and 600 seconds of training (sampling and judging are not counted), 5,000 samples of each are compared
with 10,000 real digits, of which the first 8,000 were trained on: Fréchet distance in the features of the MNIST
classifier in the zoo.
"""

from __future__ import annotations

import contextlib
import io
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from bench import peers
from gan_course import data, metrics, networks, training, zoo
from gan_course.classifiers import Classifier
from gan_course.commands.errors import CourseError
from gan_course.files import write_whole

OURS = "this course"
TRAINED_ON, COMPARED_WITH = 8_000, 10_000
SAMPLES, SAMPLE_SEED = 5_000, 1234
CHUNK = 500  # pictures made at once
PEER_SECONDS = 180  # peers need not show what they reach later


class Contender(Protocol):
    latent_dim: int

    def step(self) -> object: ...

    def sample(self, noise: Tensor, /) -> Tensor: ...


class Entry(NamedTuple):
    """How a contender for ``images`` and a seed is built, and how many real pictures one of its steps uses."""

    build: Callable[[Tensor, int], Contender]
    pictures: int


@dataclass(frozen=True)
class Mark:
    """What one contender with one seed had reached after some seconds of training."""

    contender: str
    seed: int
    seconds: int
    steps: int
    rate: float  # real pictures a second
    frechet: float


def recipe(images: Tensor, seed: int) -> training.Trainer:
    """The course's convolutional pair, trained by the recipe of chapter 04."""
    pair = networks.ConvGenerator(), networks.ConvDiscriminator()
    return training.Trainer(*pair, images, training.CONVOLUTIONAL, seed)


def entries() -> dict[str, Entry]:
    """All contenders by name, ours first."""
    settings = training.CONVOLUTIONAL
    return {
        OURS: Entry(recipe, settings.batch_size * settings.discriminator_steps),
        "WGAN-GP (MLP)": Entry(peers.WassersteinMLP, peers.WassersteinMLP.pictures),
        "plain DCGAN": Entry(peers.PlainDCGAN, peers.PlainDCGAN.pictures),
    }


def digits() -> Tensor:
    """The 10,000 real digits ``[10000, 1, 28, 28]``; the first 8,000 are to train on. ``CourseError`` without them."""
    without = "python -m bench --speed-only does without."
    try:
        images = data.load("mnist", split="all").images[:COMPARED_WITH]
    except (ConnectionError, ValueError) as error:
        raise CourseError(f"The race needs MNIST: {error}; {without}") from error
    if len(images) < COMPARED_WITH:
        raise CourseError(f"The race needs {COMPARED_WITH:,} digits but the local copy has {len(images):,}; {without}")
    return images


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch use ``count`` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ------------------------------------------------------------------------------------------------- judging


def as_bytes(images: Tensor) -> np.ndarray:
    """Grey pictures ``[N, 1, H, W]`` in ``[-1, 1]`` as a file would hold them: uint8 ``[N, H, W]``."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte().squeeze(1).numpy()


def from_bytes(images: np.ndarray) -> Tensor:
    """The reverse of ``as_bytes``, as far as there is one."""
    return torch.from_numpy(images).unsqueeze(1).float() / 127.5 - 1


class Judge:
    """Fréchet distance to ``real [N, 1, H, W]``, in the features ``[N, F]`` that ``features(images)`` gives."""

    def __init__(self, real: Tensor, features: Callable[[Tensor], Tensor]):
        self.features = features
        self.real = metrics.extract_features(real, features)

    def distance(self, images: np.ndarray) -> float:
        """For uint8 pictures ``[N, H, W]``: what anyone else would measure on the files of ``--samples``."""
        made = metrics.extract_features(from_bytes(images), self.features)
        return metrics.frechet_distance(made, self.real)

    def floor(self, splits: int = 10) -> tuple[float, float]:
        """What real pictures score, as means over random splits: (half against the other half, half against all).

        The second is the easier one to reach: the half is part of what it is compared with.
        """
        random = torch.Generator().manual_seed(SAMPLE_SEED)
        half, found = len(self.real) // 2, []
        for _ in range(splits):
            order = torch.randperm(len(self.real), generator=random)
            a, b = self.real[order[:half]], self.real[order[half:]]
            found.append([metrics.frechet_distance(a, b), metrics.frechet_distance(a, self.real)])
        halves, part = np.mean(found, axis=0).tolist()
        return halves, part


def judge(real: Tensor) -> Judge:
    """The judge of the race: the features of the zoo's MNIST classifier."""
    classifier = zoo.load("mnist_classifier")
    assert isinstance(classifier, Classifier)
    return Judge(real, classifier.features)


# ------------------------------------------------------------------------------------------------- running


def train(contender: Contender, marks: Iterable[int]) -> Iterator[tuple[int, float, int]]:
    """Train, and at each of ``marks``, in seconds, yield it with the true seconds and the steps so far.

    What the caller does between two of them is not counted.
    """
    spent, steps = 0.0, 0
    for mark in sorted(marks):
        began = time.perf_counter() - spent
        while spent < mark:
            contender.step()
            steps += 1
            spent = time.perf_counter() - began
        yield mark, spent, steps


def draw_samples(contender: Contender, count: int = SAMPLES) -> np.ndarray:
    """``count`` samples, uint8 ``[count, H, W]``, always from the same noise; training does not notice."""
    noise = torch.randn(count, contender.latent_dim, generator=torch.Generator().manual_seed(SAMPLE_SEED))
    return as_bytes(torch.cat([contender.sample(chunk) for chunk in noise.split(CHUNK)]))


class Turn(NamedTuple):
    contender: str
    seed: int
    seconds: tuple[int, ...]


def plan(names: Sequence[str], seconds: Iterable[int], seeds: Sequence[int], peer_seeds: Sequence[int]) -> list[Turn]:
    """Who runs, with which seeds, up to which marks: seed by seed, so that those to be compared run side by side."""
    ours, *others = names
    marks = tuple(sorted(set(seconds)))
    early = tuple(mark for mark in marks if mark <= PEER_SECONDS)
    turns = []
    for seed in dict.fromkeys([*seeds, *peer_seeds]):
        turns += [Turn(ours, seed, marks)] if seed in seeds else []
        turns += [Turn(name, seed, early) for name in others if seed in peer_seeds and early]
    return turns


def sample_file(folder: Path, turn: Turn, mark: int) -> Path:
    name = re.sub(r"\W+", "_", turn.contender).strip("_")
    return folder / f"{name}_seed{turn.seed}_{mark}s.npz"


def race(
    turns: Iterable[Turn], contenders: dict[str, Entry], images: Tensor, judge: Judge, samples: Path | None = None
) -> Iterator[Mark]:
    """Train each of ``turns`` on ``images`` and yield its marks; write the pictures into ``samples``, if given."""
    for turn in turns:
        entry = contenders[turn.contender]
        torch.manual_seed(turn.seed)  # the weights' first values
        contender = entry.build(images, turn.seed)
        for mark, seconds, steps in train(contender, turn.seconds):
            pictures = draw_samples(contender)
            if samples is not None:
                archive = io.BytesIO()
                np.savez_compressed(archive, images=pictures)
                write_whole(sample_file(samples, turn, mark), archive.getvalue())
            rate = steps * entry.pictures / seconds
            yield Mark(turn.contender, turn.seed, mark, steps, rate, judge.distance(pictures))
