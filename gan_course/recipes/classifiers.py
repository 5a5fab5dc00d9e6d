"""How the zoo's classifiers were trained: of grey digits, and of all that a coloured glyph shows."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course import data, metrics, zoo
from gan_course import stable_diffusion as sd
from gan_course.classifiers import AttributeClassifier, Classifier
from gan_course.data import Dataset
from gan_course.data.render import GLYPHS, Source, draw_fresh
from gan_course.recipes.run import UNSEEN, Run, random_numbers, warmup_then_linear


@dataclass(frozen=True)
class ClassifierSettings:
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.01


class ClassifierRun(Run):
    """A classifier of ten kinds of 28x28 grey pictures, and what it learns from.

    Steps, learning rate and augmentation were chosen on a quarter of MNIST's training part, kept aside for that. The
    pictures held out are looked at once, when training is over.
    """

    settings = ClassifierSettings()
    schedule = staticmethod(warmup_then_linear)
    what: str  # for the card: the network,
    pictures: str  # and its pictures

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: ClassifierSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        s = self.settings
        self.known, self.held_out = self.load()
        self.labels = torch.as_tensor(self.known.labels)
        self.random = torch.Generator().manual_seed(seed)
        self.classifier = self.add(
            "classifier",
            lambda: Classifier(image_shape=tuple(self.known.images.shape[1:])),
            s.learning_rate,
            weight_decay=s.weight_decay,
            vector_decay=s.weight_decay,
        )

    @abstractmethod
    def load(self) -> tuple[Dataset, Dataset]:
        """Pictures to train on, pictures held out."""

    def augment(self, images: Tensor) -> Tensor:
        """``images [N, C, H, W]`` changed by chance, by the numbers of ``self.random``."""
        return images

    def learn(self) -> dict[str, Tensor]:
        rows = torch.randint(len(self.known), (self.settings.batch,), generator=self.random)
        images, labels = self.shard(self.augment(self.known.images[rows])), self.shard(self.labels[rows])
        loss = F.cross_entropy(self.classifier.wrapped(images), labels)
        self.update(self.classifier, loss, clip=None)
        return {"loss": loss}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        network = self.classifier.network.eval().cpu()
        held_out = self.held_out
        accuracy = metrics.class_agreement(held_out.images, torch.as_tensor(held_out.labels), network)
        interval = metrics.share_interval(accuracy, len(held_out))
        about = {
            "what": self.what,
            "network": {"class": "Classifier", "arguments": {"classes": 10, "image_shape": list(network.image_shape)}},
            "data": f"{self.pictures}: {len(self.known):,} pictures to train on, {len(held_out):,} others held out",
            "metrics": {
                "held_out_accuracy": round(accuracy, 4),
                "held_out_accuracy_95_interval": [round(end, 4) for end in interval],
            },
        }
        return zoo.store(self.name, network, about | facts, folder)


class GlyphsClassifierRun(ClassifierRun):
    name, steps = "glyphs_classifier", 2000
    what = "A classifier of rendered digits; chapter 06 measures in its features."
    pictures = "glyphs, the course's own rendered digits"

    def load(self) -> tuple[Dataset, Dataset]:
        return data.load("glyphs", count=20_000, seed=1001), data.load("glyphs", count=10_000, seed=2002)


class MnistClassifierRun(ClassifierRun):
    name, steps = "mnist_classifier", 5000
    what = "A classifier of handwritten digits; chapter 06 measures in its features."
    pictures = "MNIST (Y. LeCun and C. Cortes, CC BY-SA 3.0)"

    def load(self) -> tuple[Dataset, Dataset]:
        return data.load("mnist", split="train"), data.load("mnist", split="test")

    def augment(self, images: Tensor) -> Tensor:
        assert self.random is not None
        return warp(images, self.random)


def warp(images: Tensor, random: torch.Generator) -> Tensor:
    """``images [N, C, H, W]``, each turned, stretched, slanted, shifted and smoothly bent a little, as by many hands.

    Up to 15 degrees, 12 %, a slant of 0.2, 2 pixels; the bend moves points of a coarse grid by up to 1.5 pixels.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(len(images), *shape, generator=random) * 2 - 1

    turn, slant = math.radians(15) * uniform(), 0.2 * uniform()
    wide, high = 1 + 0.12 * uniform(), 1 + 0.12 * uniform()
    shift = 2 * uniform(2)  # in pixels
    side = images.shape[-1]
    pixel = 2 / side  # in the coordinates of a sampling grid, which go from -1 to 1
    cos, sin = turn.cos(), turn.sin()
    rows = [cos * wide, slant - sin * high, pixel * shift[:, 0], sin * wide, cos * high, pixel * shift[:, 1]]
    grid = F.affine_grid(torch.stack(rows, 1).reshape(-1, 2, 3), list(images.shape), align_corners=False)
    bend = F.interpolate(1.5 * pixel * uniform(2, 5, 5), size=images.shape[-2:], mode="bicubic", align_corners=True)
    return F.grid_sample(images, grid + bend.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


# ------------------------------------------------------------------------------------------ reading attributes


@dataclass(frozen=True)
class AttributesSettings:
    batch: int = 64
    learning_rate: float = 3e-3


class AttributesRun(Run):
    """The independent reader: fresh pictures every step, roughened as a generator might, one loss for each field."""

    name, steps = "attributes_classifier", 4000
    settings = AttributesSettings()
    source: Source = GLYPHS
    what = "Reads all attributes off a coloured glyph; chapters 08 and 09 measure with it."  # for the card, as
    drawn = "rendered anew at every step and roughened"  # how the pictures were made,
    held_out = 10_000  # and how many others it is measured on
    half = False  # whether the file holds weights of 16 bits

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: AttributesSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        self.reader = self.add("reader", lambda: AttributeClassifier(**self.arguments()), self.settings.learning_rate)

    def arguments(self) -> dict[str, Any]:
        """What the network is built with, for the card too."""
        return {}

    def batch(self, draw: torch.Generator) -> tuple[list[Any], Tensor]:
        """The records and pictures of one step."""
        return draw_fresh(self.source, self.settings.batch, draw)

    def learn(self) -> dict[str, Tensor]:
        draw = random_numbers(self.seed, self.done)
        records, images = self.batch(draw)
        images, wanted = self.shard(roughen(images, draw)), self.shard(self.source.as_indices(records))
        logits = self.reader.network.split(self.reader.wrapped(images))
        loss = torch.stack([F.cross_entropy(part, wanted[:, i]) for i, part in enumerate(logits)]).sum()
        self.update(self.reader, loss)
        return {"loss": loss}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        network = self.reader.network.eval().cpu()
        if self.half:
            network.half().float()  # what is measured has been rounded, too
        records = self.source.draw(self.held_out, UNSEEN, held_out=None)
        found = sd.measure_adherence(self.source.render(records, UNSEEN), records, network, self.source)
        about = {
            "what": self.what,
            "network": {"class": "AttributeClassifier", "arguments": self.arguments()},
            "data": f"{self.source.name}, {self.drawn}; {self.held_out:,} others held out",
            "metrics": {"held_out_accuracy": round(found.everything.value, 4), "each": found.rounded()},
        }
        return zoo.store(self.name, network.half() if self.half else network, about | facts, folder)


def roughen(images: Tensor, draw: torch.Generator) -> Tensor:
    """``images [N, C, H, W]``, half of them with a little noise, half a little blurred: as a decoder might blur."""
    n = len(images)
    noise = 0.08 * torch.rand(n, 1, 1, 1, generator=draw) * (torch.rand(n, 1, 1, 1, generator=draw) < 0.5)
    images = images + noise * torch.randn(images.shape, generator=draw)
    share = 0.5 * torch.rand(n, 1, 1, 1, generator=draw) * (torch.rand(n, 1, 1, 1, generator=draw) < 0.5)
    soft = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return (images + share * (soft - images)).clamp(-1, 1)
