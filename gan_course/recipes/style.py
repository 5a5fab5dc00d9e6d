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
from torch import Tensor, nn

from gan_course import diffusion, losses, zoo
from gan_course.data import photos
from gan_course.recipes.run import UNSEEN, Run, random_numbers, spread_evenly
from gan_course.style import gatys, looks, measures
from gan_course.translators import PatchDiscriminator, PhotoFeatures, Translator
from gan_course.unet import DiffusionUNet


def noise_for(images: Tensor, channels: int, random: torch.Generator) -> Tensor:
    """The random numbers that a ``Translator`` of so many noise channels takes with ``images``."""
    height, width = (side // Translator.multiple for side in images.shape[2:])
    return torch.randn(len(images), channels, height, width, generator=random)


# ------------------------------------------------------------------------------------------ one style, without pairs


@dataclass(frozen=True)
class StyleSettings:
    batch: int = 4
    size: int = 96
    learning_rate: float = 2e-3
    style_weight: float = 20.0
    copying: int = 40  # first steps, in which it learns to copy: it then starts from the photograph, as Gatys did
    noise: int = 4  # channels: without them a flat sky has nothing to break it into strokes
    smoothness: float = 0.3
    pictures: int = 400


class StyleRun(Run):
    """A network that repaints photographs in one style: Gatys' losses, paid once (Johnson and others, 2016)."""

    settings = StyleSettings()
    style: ClassVar[Callable[[], Tensor]]
    steps = 400

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: StyleSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        self.images = photos.photos(self.settings.size, self.settings.pictures, seed, photos.TO_LEARN_FROM).images
        make = partial(Translator, noise=self.settings.noise)
        self.painter = self.add("painter", make, self.settings.learning_rate, weight_decay=0.0)
        features = zoo.load("photo_features")
        assert isinstance(features, PhotoFeatures)
        for layer in [name for name in features.layers if name > "conv3_1"]:  # what lies deeper costs as much again
            del features.layers[layer]
        self.features = features.to(self.accelerator.device, torch.bfloat16)  # half the time, and the same pictures
        self.targets = gatys.style_targets(self.see, type(self).style().to(self.accelerator.device))

    def see(self, images: Tensor) -> dict[str, Tensor]:
        """The features of ``images [N, 3, H, W]``, in 32 bits again."""
        return {name: maps.float() for name, maps in self.features(images.bfloat16()).items()}

    def judge(self, made: Tensor, photographs: Tensor) -> tuple[Tensor, Tensor]:
        """The style loss and the content loss of pictures made of ``photographs``."""
        with torch.no_grad():
            wanted = self.see(photographs)[gatys.CONTENT_LAYER]
        found = self.see(made)
        return gatys.style_loss(found, self.targets), gatys.content_loss(found[gatys.CONTENT_LAYER], wanted)

    def learn(self) -> dict[str, Tensor]:
        draw = random_numbers(self.seed, self.done)
        rows = torch.randint(len(self.images), (self.settings.batch,), generator=draw)
        photographs = self.shard(self.images[rows])
        made = self.painter.wrapped(photographs, self.shard(noise_for(self.images[rows], self.settings.noise, draw)))
        if self.done < self.settings.copying:
            loss = (made - photographs).abs().mean()
            self.update(self.painter, loss)
            return {"copy": loss}
        style, content = self.judge(made, photographs)
        calm = gatys.total_variation(made)
        self.update(self.painter, self.settings.style_weight * style + content + self.settings.smoothness * calm)
        return {"style": style, "content": content}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        network = self.painter.finished().half().float()
        where, unseen = self.accelerator.device, photos.squares(photos.HELD_OUT, 128)
        noise = noise_for(unseen, self.settings.noise, random_numbers(UNSEEN, 0)).to(where)
        unseen = unseen.to(where)
        with torch.no_grad():
            style, content = self.judge(network.to(where)(unseen, noise), unseen)
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
    name, style, steps = "style_mosaic", staticmethod(looks.mosaic), 1200  # stones with joints come last


class SwirlsRun(StyleRun):
    name, style = "style_swirls", staticmethod(looks.swirls)


class EngravingRun(StyleRun):
    name, style = "style_engraving", staticmethod(looks.engraving)


# ------------------------------------------------------------------------------------------ pairs


@dataclass(frozen=True)
class PairedSettings:
    batch: int = 8
    size: int = 64
    learning_rate: float = 2e-3
    discriminator_rate: float = 1e-3
    distance_weight: float = 1.0  # of the absolute error to the one right answer
    adversarial_weight: float = 0.0
    tone_weight: float = 0.0  # of the same error between blurred pictures, which no shift of the lines changes
    r1_weight: float = 1.0
    noise: int = 0
    width: int = 32
    blocks: int = 5
    pictures: int = 1000


class PairedRun(Run):
    """A network that learns a filter from pairs of photograph and result, as pix2pix does (Isola and others, 2016)."""

    settings = PairedSettings()
    what: ClassVar[str]

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: PairedSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        s = self.settings
        self.images = photos.photos(s.size, s.pictures, seed, photos.TO_LEARN_FROM).images
        make = partial(Translator, s.width, s.blocks, s.noise)
        self.painter = self.add("painter", make, s.learning_rate, 0.995, weight_decay=0.0)
        if s.adversarial_weight:
            judge = partial(PatchDiscriminator, 6)
            self.judge = self.add("judge", judge, s.discriminator_rate, betas=(0.0, 0.99), weight_decay=0.0)

    def look(self, photographs: Tensor, random: torch.Generator) -> Tensor:
        """What the filter makes of ``photographs``."""
        raise NotImplementedError

    def learn(self) -> dict[str, Tensor]:
        s, draw = self.settings, random_numbers(self.seed, self.done)
        some = self.images[torch.randint(len(self.images), (s.batch,), generator=draw)]
        wanted, noise = self.shard(self.look(some, draw)), self.shard(noise_for(some, s.noise, draw))
        photographs = self.shard(some)
        made = self.painter.wrapped(photographs, noise)
        shown = {}
        loss = s.distance_weight * (made - wanted).abs().mean()
        if s.tone_weight:
            loss = loss + s.tone_weight * (looks.blur(made, 4.0) - looks.blur(wanted, 4.0)).abs().mean()
        shown["distance"] = (made - wanted).abs().mean()
        if s.adversarial_weight:
            fake = torch.cat([photographs, made], dim=1)
            logits = self.judge.wrapped(fake)
            loss = loss + s.adversarial_weight * losses.non_saturating_generator_loss(None, logits)
            shown["fooled"] = logits.sigmoid().mean()
        self.update(self.painter, loss)
        if s.adversarial_weight:
            real = torch.cat([photographs, wanted], dim=1)
            loss = losses.non_saturating_discriminator_loss(self.judge.wrapped(real), self.judge.wrapped(fake.detach()))
            if self.done % 8 == 0:
                places = logits[0].numel()  # one logit for each: their sum has so many times the gradient
                loss = loss + 8 * s.r1_weight * losses.r1_penalty(self.judge.wrapped, real) / places
            self.update(self.judge, loss, clip=None)
        return shown

    def measure(self, made: Tensor, wanted: Tensor, again: Tensor) -> dict[str, Any]:
        """The card's figures; ``again`` is what the filter makes of the same photographs another time."""
        raise NotImplementedError

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        s, network = self.settings, self.painter.finished().half().float()
        unseen, draw = photos.squares(photos.HELD_OUT, 256), random_numbers(UNSEEN, 0)
        with torch.no_grad():
            made = network(unseen, noise_for(unseen, s.noise, draw))
        about = {
            "what": self.what,
            "network": {"class": "Translator", "arguments": {"width": s.width, "blocks": s.blocks, "noise": s.noise}},
            "data": f"{s.pictures:,} crops of four photographs to train on, three other photographs held out",
            "metrics": self.measure(made, self.look(unseen, draw), self.look(unseen, draw)),
        }
        return zoo.store(self.name, network.half(), about | facts, folder)


class PencilRun(PairedRun):
    """One right answer for each photograph: the absolute error is all that it takes."""

    name, steps, settings = "style_pencil", 800, PairedSettings(blocks=3)
    what = "Draws a photograph in pencil: learned from pairs with the absolute error alone."

    def look(self, photographs: Tensor, random: torch.Generator) -> Tensor:
        return looks.pencil(photographs)

    def measure(self, made: Tensor, wanted: Tensor, again: Tensor) -> dict[str, Any]:
        each = dict(zip(photos.HELD_OUT, measures.similarity(made, wanted), strict=True))
        return {"similarity": round(sum(each.values()) / len(each), 4)} | {n: round(x, 4) for n, x in each.items()}


class HatchingRun(PairedRun):
    """Many right answers: a discriminator says whether these are lines, and only the tone is compared."""

    name, steps = "style_hatching", 600
    settings = PairedSettings(distance_weight=0.0, adversarial_weight=1.0, tone_weight=5.0, noise=4, blocks=4)
    what = "Hatches a photograph: learned from pairs with a discriminator, as there is no one right answer."

    def look(self, photographs: Tensor, random: torch.Generator) -> Tensor:
        return looks.hatching(photographs, random)

    def measure(self, made: Tensor, wanted: Tensor, again: Tensor) -> dict[str, Any]:
        return {
            "patch_frechet": round(measures.patch_distance(made, wanted), 3),
            "patch_frechet_floor": round(measures.patch_distance(again, wanted), 3),
        }


# ------------------------------------------------------------------------------------------ heaps instead of pairs


@dataclass(frozen=True)
class NightSettings:
    batch: int = 2
    size: int = 48
    learning_rate: float = 2e-3
    discriminator_rate: float = 1e-3
    cycle_weight: float = 10.0
    width: int = 32
    blocks: int = 2
    pictures: int = 500  # by day, and as many by night


class _ThereAndBack(nn.Module):
    """Two networks that know nothing of each other: by day to by night, and the way back."""

    def __init__(self, make: Callable[[], nn.Module]):
        super().__init__()
        self.night, self.day = make(), make()

    def forward(self, day: Tensor, night: Tensor) -> tuple[Tensor, Tensor]:
        """Of pictures by day those by night, and the other way round. A judge gives logits instead."""
        return self.night(day), self.day(night)


class NightRun(Run):
    """A network from day to night that never sees a pair (Zhu and others' CycleGAN, 2017): the way back must lead home.

    The pictures by night are other crops than those by day: none has its partner there. Nothing passes beside
    the middle of the networks, or they would keep the place without being told to.
    """

    name, steps, settings, manner = "night_with_cycle", 2500, NightSettings(), "with"

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: NightSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        s = self.settings
        crops = [photos.photos(s.size, s.pictures, seed + more, photos.TO_LEARN_FROM).images for more in (0, 100)]
        self.days, self.nights = crops[0], looks.night(crops[1])
        painters = partial(_ThereAndBack, partial(Translator, **self.arguments))
        self.painters = self.add("painters", painters, s.learning_rate, 0.98, betas=(0.5, 0.99), weight_decay=0.0)
        judges = partial(_ThereAndBack, partial(PatchDiscriminator, width=16))
        self.judges = self.add("judges", judges, s.discriminator_rate, betas=(0.5, 0.99), weight_decay=0.0)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"width": self.settings.width, "blocks": self.settings.blocks, "bridges": False}

    def learn(self) -> dict[str, Tensor]:
        s, draw = self.settings, random_numbers(self.seed, self.done)
        heaps = (heap[torch.randint(len(heap), (s.batch,), generator=draw)] for heap in (self.days, self.nights))
        day, night = (self.shard(some) for some in heaps)
        made_night, made_day = self.painters.wrapped(day, night)
        fool, judge = losses.least_squares_generator_loss, losses.least_squares_discriminator_loss
        as_night, as_day = self.judges.wrapped(made_night, made_day)
        loss = fool(None, as_night) + fool(None, as_day)
        shown = {}
        if s.cycle_weight:
            again_night, again_day = self.painters.wrapped(made_day, made_night)
            shown["cycle"] = (again_day - day).abs().mean() + (again_night - night).abs().mean()
            loss = loss + s.cycle_weight * shown["cycle"]
        self.update(self.painters, loss)
        real, fake = self.judges.wrapped(night, day), self.judges.wrapped(made_night.detach(), made_day.detach())
        loss = judge(real[0], fake[0]) + judge(real[1], fake[1])
        self.update(self.judges, loss, clip=None)
        return shown | {"judges": loss}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        network = self.painters.finished().night.half().float()
        unseen = photos.squares(photos.HELD_OUT, 128)
        with torch.no_grad():
            made = network(unseen).clamp(-1, 1)
        found = {
            "edges_kept": measures.edge_similarity(made, unseen),
            "similarity_with_the_truth": measures.similarity(made, looks.night(unseen)),
        }
        about = {
            "what": f"Turns day to night: learned without pairs, {self.manner} the cycle.",
            "network": {"class": "Translator", "arguments": self.arguments},
            "data": f"{self.settings.pictures} crops of four photographs by day and as many others by night, "
            "three other photographs held out",
            "metrics": {name: round(sum(each) / len(each), 4) for name, each in found.items()},
        }
        return zoo.store(f"{self.name}_{self.seed}", network.half(), about | facts, folder)


class NightWithoutCycleRun(NightRun):
    """The same without the way back: nothing says that the night must show the place of the day."""

    name, settings, manner = "night_without_cycle", NightSettings(cycle_weight=0.0), "without"


# ------------------------------------------------------------------------------------------ a model of one look


@dataclass(frozen=True)
class DrawingsSettings:
    batch: int = 16
    size: int = 48
    learning_rate: float = 2e-3
    pictures: int = 1000


class DrawingsRun(Run):
    """A diffusion model of hatched pictures alone: it has seen no pairs, only what drawings look like (SDEdit)."""

    name, steps, settings = "hatched_drawings", 1000, DrawingsSettings()

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: DrawingsSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        self.images = photos.photos(self.settings.size, self.settings.pictures, seed, photos.TO_LEARN_FROM).images
        make = partial(DiffusionUNet, **self.arguments)
        self.unet = self.add("unet", make, self.settings.learning_rate, 0.995, weight_decay=0.0)
        self.alphas_cumprod = diffusion.cumulative_alphas(diffusion.cosine_betas())

    @property
    def arguments(self) -> dict[str, Any]:
        return {"image_shape": [1, self.settings.size, self.settings.size], "width": 32, "middle": 0}

    def learn(self) -> dict[str, Tensor]:
        draw = random_numbers(self.seed, self.done)
        some = self.images[torch.randint(len(self.images), (self.settings.batch,), generator=draw)]
        clean = looks.hatching(some, draw)[:, :1]
        noise = torch.randn(clean.shape, generator=draw)
        t = (spread_evenly(len(clean), draw) * len(self.alphas_cumprod)).long()
        noisy = diffusion.add_noise(clean, noise, t, self.alphas_cumprod)
        wanted = diffusion.velocity(clean, noise, t, self.alphas_cumprod)
        found = self.unet.wrapped(self.shard(noisy), self.shard(t))
        loss = F.mse_loss(found, self.shard(wanted))
        self.update(self.unet, loss)
        return {"loss": loss}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        network = self.unet.finished().half().float()
        draw = random_numbers(UNSEEN, 0)
        clean = looks.hatching(photos.squares(photos.HELD_OUT, 256), draw)[:, :1]
        noise, error = torch.randn(clean.shape, generator=draw), {}
        for t in (200, 500, 800):
            noisy = diffusion.add_noise(clean, noise, t, self.alphas_cumprod)
            with torch.no_grad():
                guess = diffusion.predicted_x0(noisy, network(noisy, t), t, self.alphas_cumprod, "v_prediction")
            error[f"error_at_{t}"] = round((guess - clean).square().mean().item(), 4)
        about = {
            "what": "A diffusion model of hatched pictures, in grey; it predicts v, of the cosine schedule.",
            "network": {"class": "DiffusionUNet", "arguments": self.arguments},
            "data": f"{self.settings.pictures:,} hatched crops of four photographs, three other photographs held out",
            "metrics": error,
        }
        return zoo.store(self.name, network.half(), about | facts, folder)
