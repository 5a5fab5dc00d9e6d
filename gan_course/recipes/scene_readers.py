"""How the readers of landscape panoramas were trained: two read what they show, one how far everything is.

Scenes take longer to draw than glyphs. So each run draws its pictures once, on all cores, and turns them anew by chance
whenever it uses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_course import zoo
from gan_course.classifiers import DepthEstimator
from gan_course.data.landscape.rays import FAR
from gan_course.data.scene_sets import SCENES, as_images, draw_set, roll_each
from gan_course.data.scenes import FIELDS, Scene, random_scenes, turn
from gan_course.recipes.classifiers import AttributesRun, AttributesSettings, roughen
from gan_course.recipes.run import UNSEEN, Run, random_numbers

# ------------------------------------------------------------------------------------------ what a panorama shows


@dataclass(frozen=True)
class ScenesClassifierSettings(AttributesSettings):
    batch: int = 64
    learning_rate: float = 2e-3
    pictures: int = 20_000


class ScenesClassifierRun(AttributesRun):
    """Reads the six attributes off a panorama. All combinations occur: a reader must know those that are held out."""

    name, steps = "scenes_classifier", 3000
    settings = ScenesClassifierSettings()
    source = SCENES
    what = "Reads all attributes off a landscape panorama of 64 x 128."
    held_out = 4000
    half = True

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: Any = None):
        super().__init__(seed, steps, accelerator, settings)
        self.drawn = f"{self.settings.pictures:,} rendered once, turned anew at every step and roughened"
        self.records = random_scenes(self.settings.pictures, seed + 3, held_out=None)
        self.images, _ = draw_set(self.records, seed + 3)

    def arguments(self) -> dict[str, Any]:
        return {"counts": [len(values) for values in FIELDS.values()], "image_shape": [3, 64, 128]}

    def batch(self, draw: torch.Generator) -> tuple[list[Scene], Tensor]:
        """Each picture is turned by quarters, together with what its record says, and up to two columns more."""
        rows = torch.randint(len(self.images), (self.settings.batch,), generator=draw)
        quarters = torch.randint(4, rows.shape, generator=draw)
        stray = torch.randint(-2, 3, rows.shape, generator=draw)
        pairs = zip(rows.tolist(), quarters.tolist(), strict=True)
        records = [turn(self.records[row], count) for row, count in pairs]
        columns = quarters * (self.images.shape[-1] // 4) + stray
        return records, as_images(roll_each(self.images[rows], columns))


class ScenesFeaturesRun(ScenesClassifierRun):
    """A second, shorter reader from another seed: the autoencoder's loss looks at pictures through its maps.

    The first one judges what came of it. If it had a part in the loss, it would be pleased by things that nobody sees.
    """

    name, steps = "scenes_features", 1200
    what = "Finds what a landscape panorama of 64 x 128 shows: the autoencoder's perceptual loss compares its maps."

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: Any = None):
        super().__init__(seed + 1, steps, accelerator, settings)


# ------------------------------------------------------------------------------------------ how far everything is


@dataclass(frozen=True)
class DepthSettings:
    batch: int = 32
    learning_rate: float = 3e-3
    pictures: int = 10_000


class ScenesDepthRun(Run):
    """Estimates how far everything is, from the panorama alone, by the absolute error of the logarithm."""

    name, steps = "scenes_depth", 3000
    settings = DepthSettings()
    held_out = 1000

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: DepthSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        records = random_scenes(self.settings.pictures, seed + 4, held_out=None)
        self.images, logs = draw_set(records, seed + 4, depth=True)
        assert logs is not None
        self.logs = logs
        self.estimator = self.add("estimator", DepthEstimator, self.settings.learning_rate)

    def learn(self) -> dict[str, Tensor]:
        draw = random_numbers(self.seed, self.done)
        rows = torch.randint(len(self.images), (self.settings.batch,), generator=draw)
        columns = torch.randint(self.images.shape[-1], rows.shape, generator=draw)
        images = self.shard(roughen(as_images(roll_each(self.images[rows], columns)), draw))
        wanted = self.shard(roll_each(self.logs[rows].float(), columns))
        loss = (self.estimator.wrapped(images).log() - wanted).abs().mean()
        self.update(self.estimator, loss)
        return {"loss": loss}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        network = self.estimator.network.eval().cpu()
        network.half().float()  # what is measured has been rounded, as in the file
        images, logs = draw_set(random_scenes(self.held_out, UNSEEN, held_out=None), UNSEEN, depth=True)
        assert logs is not None
        about = {
            "what": "Estimates how far every pixel of a landscape panorama is, in metres.",
            "network": {"class": "DepthEstimator", "arguments": {}},
            "data": f"landscape panoramas: {self.settings.pictures:,} to train on, rolled and roughened; "
            f"{self.held_out:,} others held out",
            "metrics": measure_depth(network, images, logs),
        }
        return zoo.store(self.name, network.half(), about | facts, folder)


@torch.no_grad()
def measure_depth(network: Any, images: Tensor, logs: Tensor) -> dict[str, Any]:
    """The mean relative error over bytes ``images`` with its 95 % interval over pictures, and that of the ground alone.

    ``logs``: the true depth's logarithm, as ``draw_set`` gives it. The ground is all that is not sky.
    """
    depth = logs.float().exp()
    found = torch.cat([network(as_images(part)) for part in images.split(50)])
    error = (found / depth - 1).abs()
    each = error.mean(dim=(1, 2, 3))
    mean, half_width = each.mean().item(), 1.96 * each.std().item() / len(each) ** 0.5
    return {
        "mean_relative_error": round(mean, 4),
        "mean_relative_error_95_interval": [round(mean - half_width, 4), round(mean + half_width, 4)],
        "of_the_ground": round(error[depth < 0.99 * FAR].mean().item(), 4),
    }
