"""How chapter 10's networks were trained, which turn a photograph into another picture of the same size.

All of them learn from crops of four photographs; the three in ``photos.HELD_OUT`` are there to measure with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course import losses, zoo
from gan_course.data import photos
from gan_course.recipes.run import UNSEEN, Run, random_numbers, warmup_then_cosine
from gan_course.style import gatys, looks
from gan_course.translators import PatchDiscriminator, Translator


def training_photos(size: int, count: int, seed: int) -> Tensor:
    """Crops of the photographs that networks may learn from: ``[count, 3, size, size]``."""
    return photos.photos(size, count, seed, [n for n in photos.names() if n not in photos.HELD_OUT]).images


def unseen_photos(size: int = 256) -> Tensor:
    """One large square of each photograph that is held out: ``[3, 3, size, size]``."""
    squares = []
    for name in photos.HELD_OUT:
        whole = photos.photograph(name)
        side = min(whole.shape[1:])
        top, left = (whole.shape[1] - side) // 2, (whole.shape[2] - side) // 2
        square = whole[None, :, top : top + side, left : left + side]
        squares.append(F.interpolate(square, size=size, mode="bicubic", antialias=True).clamp(-1, 1))
    return torch.cat(squares)


def noise_for(images: Tensor, channels: int, random: torch.Generator) -> Tensor:
    """The random numbers that a ``Translator`` of so many noise channels takes with ``images``."""
    height, width = (side // Translator.multiple for side in images.shape[2:])
    return torch.randn(len(images), channels, height, width, generator=random)


# ------------------------------------------------------------------------------------------ one style, without pairs


@dataclass(frozen=True)
class StyleSettings:
    batch: int = 4
    size: int = 128
    learning_rate: float = 2e-3
    style_weight: float = 20.0
    noise: int = 4  # channels: without them a flat sky has nothing to break it into strokes
    smoothness: float = 0.3
    pictures: int = 400


class StyleRun(Run):
    """A network that repaints photographs in one style: Gatys' losses, paid once (Johnson and others, 2016)."""

    settings = StyleSettings()
    style: ClassVar[Callable[[], Tensor]]
    steps = 600

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: StyleSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        self.images = training_photos(self.settings.size, self.settings.pictures, seed)
        make = partial(Translator, noise=self.settings.noise)
        self.painter = self.add("painter", make, self.settings.learning_rate, weight_decay=0.0)
        features = zoo.load("photo_features")
        for layer in [name for name in features.layers if name > "conv3_1"]:  # what lies deeper costs as much again
            del features.layers[layer]
        self.features = features.to(self.accelerator.device, torch.bfloat16)  # half the time, and the same pictures
        self.targets = gatys.style_targets(self.features, type(self).style().to(self.accelerator.device).bfloat16())

    def judge(self, made: Tensor, photographs: Tensor) -> tuple[Tensor, Tensor]:
        """The style loss and the content loss of pictures made of ``photographs``."""
        with torch.no_grad():
            wanted = self.features(photographs.bfloat16())[gatys.CONTENT_LAYER]
        found = {name: maps.float() for name, maps in self.features(made.bfloat16()).items()}
        targets = {name: target.float() for name, target in self.targets.items()}
        return gatys.style_loss(found, targets), gatys.content_loss(found[gatys.CONTENT_LAYER], wanted.float())

    def learn(self) -> dict[str, Tensor]:
        draw = random_numbers(self.seed, self.done)
        rows = torch.randint(len(self.images), (self.settings.batch,), generator=draw)
        photographs = self.shard(self.images[rows])
        made = self.painter.wrapped(photographs, self.shard(noise_for(self.images[rows], self.settings.noise, draw)))
        style, content = self.judge(made, photographs)
        calm = gatys.total_variation(made)
        self.update(self.painter, self.settings.style_weight * style + content + self.settings.smoothness * calm)
        return {"style": style, "content": content}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        network = self.painter.finished().half().float()
        with torch.no_grad():
            unseen = unseen_photos()
            noise = noise_for(unseen, self.settings.noise, random_numbers(UNSEEN, 0))
            style, content = self.judge(network(unseen, noise), unseen)
            before, _ = self.judge(unseen, unseen)
        about = {
            "what": f"Repaints a photograph in the style {self.name.removeprefix('style_')!r}.",
            "network": {"class": "Translator", "arguments": {"noise": self.settings.noise}},
            "data": f"{self.settings.pictures} crops of four photographs to train on, three other photographs held out",
            "metrics": {
                "style_loss_of_what_the_photograph_had": round((style / before).item(), 4),
                "content_loss": round(content.item(), 4),
            },
        }
        return zoo.store(self.name, network.half(), about | facts, folder)


class MosaicRun(StyleRun):
    name, style = "style_mosaic", staticmethod(looks.mosaic)


class SwirlsRun(StyleRun):
    name, style = "style_swirls", staticmethod(looks.swirls)


class EngravingRun(StyleRun):
    name, style = "style_engraving", staticmethod(looks.engraving)
