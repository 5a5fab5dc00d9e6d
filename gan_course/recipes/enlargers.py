"""How chapter 13's enlargers were trained: 64 x 128 to 512 x 1024, by the absolute error alone, and judged.

The renderer draws one place at any size, so there are exact pairs. What a small picture leaves open (each blade of
grass, each glint on a wave) has many right answers, and the absolute error takes the median of them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course import losses, zoo
from gan_course.data.scene_sets import as_images
from gan_course.data.scenes import draw_scenes, random_scenes
from gan_course.panorama import Enlarger, enlarged
from gan_course.recipes.classifiers import roughen
from gan_course.recipes.run import UNSEEN, Run, random_numbers
from gan_course.recipes.scene_autoencoder import PatchDiscriminator, level_then_linear
from gan_course.recipes.text_to_image import balance
from gan_course.style import measures

MARGIN = 4  # columns of a crop that count for nothing on either side: there the network saw the crop's other edge


def draw_pairs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """``count`` random panoramas as bytes, small and large: ``[count, 3, 64, 128]`` and ``[count, 3, 512, 1024]``."""
    records = random_scenes(count, seed, held_out=None)
    small, large = torch.empty(count, 3, 64, 128).byte(), torch.empty(count, 3, 512, 1024).byte()
    for i, record in enumerate(records):
        for drawn in (small, large):
            images = draw_scenes([record], [(seed, i)], drawn.shape[2]).images
            drawn[i] = ((images[0] + 1) * 127.5).round().byte()
    return small, large


def inner(crops: Tensor) -> Tensor:
    """Large crops ``[N, 3, H, W]`` without their margins."""
    return crops[..., 8 * MARGIN : -8 * MARGIN]


@dataclass(frozen=True)
class EnlargerSettings:
    batch: int = 8
    rows: int = 16
    columns: int = 24
    learning_rate: float = 2e-3
    width: int = 64
    blocks: int = 4
    pictures: int = 150


class EnlargerRun(Run):
    """Crops of small panoramas to crops of large ones, by the absolute error."""

    name, steps = "enlarger_l1", 300
    settings: Any = EnlargerSettings()
    with_noise = False  # of many right answers, the absolute error wants one and the same
    what: ClassVar[str] = "Enlarges a landscape panorama eight times, learned with the absolute error alone: smooth."

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: EnlargerSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        self.small, self.large = draw_pairs(self.settings.pictures, seed + 8)
        self.enlarger = self.add(
            "enlarger", partial(Enlarger, **self.arguments), self.settings.learning_rate, weight_decay=0.0
        )

    @property
    def arguments(self) -> dict[str, Any]:
        return {"width": self.settings.width, "blocks": self.settings.blocks}

    def batch(self, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Crops of small panoramas, roughened as a decoder might, and of large ones without their margins."""
        s, (rows, columns) = self.settings, self.small.shape[2:]
        which = torch.randint(len(self.small), (s.batch,), generator=draw).tolist()
        tops = torch.randint(rows - s.rows + 1, (s.batch,), generator=draw).tolist()
        lefts = torch.randint(columns, (s.batch,), generator=draw).tolist()
        pairs = []
        for pictures, factor, margin in ((self.small, 1, 0), (self.large, 8, 8 * MARGIN)):
            across = torch.arange(factor * s.columns)[margin : factor * s.columns - margin]
            crops = []
            for i, top, left in zip(which, tops, lefts, strict=True):
                strip = pictures[i, :, factor * top : factor * (top + s.rows)]
                crops.append(strip[:, :, (factor * left + across) % strip.shape[2]])
            pairs.append(as_images(torch.stack(crops)))
        return roughen(pairs[0], draw), pairs[1]

    def make(self, small: Tensor, draw: torch.Generator) -> Tensor:
        """What the network makes of crops, without margins."""
        return inner(self.enlarger.wrapped(small, draw if self.with_noise else None))

    def step(self) -> dict[str, Tensor]:
        with torch.autocast(self.accelerator.device.type, torch.bfloat16):  # six tenths of the time
            return super().step()

    def learn(self) -> dict[str, Tensor]:
        draw = random_numbers(self.seed, self.done)
        small, large = (self.shard(part) for part in self.batch(draw))
        error = (self.make(small, draw) - large).abs().mean()
        self.update(self.enlarger, error)
        return {"error": error}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        network = self.enlarger.finished().half().float()
        about = {
            "what": self.what,
            "network": {"class": "Enlarger", "arguments": self.arguments},
            "data": f"crops of {self.settings.pictures} landscape panoramas, drawn at 64 x 128 and at 512 x 1024; "
            "60 others held out",
            "metrics": measure(network, self.with_noise),
        }
        return zoo.store(self.name, network.half(), about | facts, folder)


@dataclass(frozen=True)
class JudgedSettings(EnlargerSettings):
    learning_rate: float = 6e-4
    discriminator_learning_rate: float = 6e-4
    discriminator_weight: float = 1.0  # its gradient at the last layer beside that of the error
    discriminator_first: int = 50  # steps that the discriminator has to find its feet
    decay: float = 0.97  # of the moving average that ships


class JudgedEnlargerRun(EnlargerRun):
    """The same network goes on from what the absolute error taught it, now before a discriminator of patches.

    The discriminator sees what was asked for beside what was made of it, as in pix2pix. The absolute error compares
    means of 4 x 4 pixels alone: it says where everything is, and leaves the texture to the discriminator.
    """

    name, steps, settings = "enlarger_adversarial", 700, JudgedSettings()
    schedule = staticmethod(level_then_linear)
    with_noise = True
    what = "Enlarges a landscape panorama eight times, learned before a discriminator: invents what was lost."

    def __init__(
        self, seed: int, steps: int, first: Enlarger, accelerator: Any = None, settings: JudgedSettings | None = None
    ):
        super().__init__(seed, steps, accelerator, settings)
        s, betas = self.settings, (0.5, 0.99)  # little momentum: the other side has moved by then
        self.depend_on(first=first)
        start = {name: value.clone() for name, value in first.state_dict().items()}

        def go_on() -> Enlarger:
            network = Enlarger(**self.arguments)
            network.load_state_dict(start)
            return network

        self.enlarger = self.add("enlarger", go_on, s.learning_rate, s.decay, betas, weight_decay=0.0)
        judge = partial(PatchDiscriminator, channels=6, normalised=True)
        self.critic = self.add("critic", judge, s.discriminator_learning_rate, betas=betas, weight_decay=0.0)

    @classmethod
    def start(cls, seed: int, steps: int, accelerator: Any, folder: Path) -> JudgedEnlargerRun:
        if not (folder / f"{EnlargerRun.name}.safetensors").exists():
            raise FileNotFoundError(
                f"there is no {EnlargerRun.name} in {folder}: run gan-course train {EnlargerRun.name} first"
            )
        first = zoo.load(EnlargerRun.name, folder)
        assert isinstance(first, Enlarger)
        return cls(seed, steps, first, accelerator)

    def learn(self) -> dict[str, Tensor]:
        s, draw = self.settings, random_numbers(self.seed, self.done)
        small, large = (self.shard(part) for part in self.batch(draw))
        asked, made = inner(enlarged(small)), self.make(small, draw)
        error = (F.avg_pool2d(made, 4) - F.avg_pool2d(large, 4)).abs().mean()
        judge = self.critic.network.requires_grad_(False)  # bare: this step must not touch its gradients
        fooled = losses.hinge_generator_loss(None, judge(torch.cat([asked, made], dim=1)).float())
        judge.requires_grad_(True)
        weight = torch.zeros(())
        if self.done >= s.discriminator_first:
            weight = s.discriminator_weight * balance(
                self.enlarger.network.last.weight, error, fooled, self.accelerator
            )
        self.update(self.enlarger, error + weight * fooled)
        pairs = torch.cat([torch.cat([asked, pictures], dim=1) for pictures in (large, made.detach())])
        real, fake = self.critic.wrapped(pairs).float().chunk(2)
        judged = losses.hinge_discriminator_loss(real, fake)
        self.update(self.critic, judged, clip=None)
        return {"error": error, "weight": weight, "judged": judged, "fooled": fooled}


@torch.no_grad()
def measure(network: Enlarger, with_noise: bool, count: int = 60) -> dict[str, float]:
    """How far what ``network`` makes of fresh panoramas is from the truth, pixel by pixel and in its patches."""
    small, large = draw_pairs(count, UNSEEN)
    wanted = as_images(large)
    draw = random_numbers(UNSEEN, 0) if with_noise else None
    made = torch.cat([network(part, draw).clamp(-1, 1) for part in as_images(small).split(4)])
    return {
        "error": round((made - wanted).abs().mean().item(), 4),
        "patch_distance": round(measures.patch_distance(made, wanted, 20_000), 4),
        "patch_distance_floor": round(measures.patch_distance(wanted, wanted, 20_000), 4),
    }
