"""How the autoencoder of panoramas was trained: first both halves, then the decoder alone again.

It compresses 48 times, as that of Stable Diffusion 1 does: 64 x 128 x 3 numbers become 8 x 16 x 4. The absolute error
spends them on what has many pixels: after it alone, only half of the lighthouses, tents, trees and balloons were there.
So a perceptual loss joins it, as in Stable Diffusion. What the latents can't hold, texture above all, is left out. A
discriminator makes the decoder invent it anew. The encoder takes no part in that: where it moved too, the latents went
on changing and the rebuilt pictures got worse.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import losses, metrics, zoo
from gan_course.data.scene_sets import SCENES, as_images, draw_set, roll_each
from gan_course.data.scenes import random_scenes
from gan_course.files import scratch_folder
from gan_course.recipes.run import UNSEEN, Run, random_numbers, warmup_then_cosine
from gan_course.recipes.text_to_image import AutoencoderRun, AutoencoderSettings, balance, compare, load_autoencoder
from gan_course.stable_diffusion.latents import rebuild
from gan_course.stable_diffusion.networks import make_autoencoder

MODEL = "mini_stable_diffusion_2"  # where in the zoo all parts of the model of panoramas go


def draw_panoramas(count: int, seed: int) -> Tensor:
    """Bytes of ``count`` random panoramas. All combinations occur: an autoencoder must render them all."""
    return draw_set(random_scenes(count, seed, held_out=None), seed)[0]


def turned_batch(images: Tensor, count: int, draw: torch.Generator) -> Tensor:
    """``count`` of the panoramas ``images``, bytes, each rolled by any number of columns: float32 in ``[-1, 1]``."""
    rows = torch.randint(len(images), (count,), generator=draw)
    columns = torch.randint(images.shape[-1], (count,), generator=draw)
    return as_images(roll_each(images[rows], columns))


# ------------------------------------------------------------------------------------------ both halves


@dataclass(frozen=True)
class ScenesAutoencoderSettings(AutoencoderSettings):
    batch: int = 32
    learning_rate: float = 1.5e-3
    squared_weight: float = 0.0
    discriminator_weight: float = 0.0
    perceptual_weight: float = 0.3  # of the mean difference between the maps of a reader, beside the absolute error
    widths: tuple[int, ...] = (16, 32, 64, 64)
    channels: int = 4
    pictures: int = 20_000


PERCEPTUAL_FROM = 30 / 37  # the share of the steps after which the perceptual loss joins


def part_of_a_cosine_then_linear(step: int, steps: int) -> float:
    """The share of the full rate: along a cosine to 0.61 until the perceptual loss joins, then straight down to 0."""
    first = PERCEPTUAL_FROM * steps
    if step < first:
        return warmup_then_cosine(step, round(5 / 3 * first))
    return warmup_then_cosine(round(first), round(5 / 3 * first)) * (steps - step) / (steps - first)


def perceptual_loss(reader: Any, rebuilt: Tensor, images: Tensor) -> Tensor:
    """The mean absolute difference between the maps that ``reader`` makes of pictures and of what was rebuilt."""
    with torch.no_grad():
        wanted = reader.maps(images)
    return torch.stack([(a - b).abs().mean() for a, b in zip(wanted, reader.maps(rebuilt), strict=True)]).sum()


def load_features(folder: Path) -> Any:
    """The network of the perceptual loss. Raises ``FileNotFoundError`` where it is missing: train it first."""
    if not (folder / "scenes_features.safetensors").exists():
        raise FileNotFoundError(f"there is no scenes_features in {folder}: run gan-course train scenes_features first")
    return zoo.load("scenes_features", folder=folder).requires_grad_(False)


class ScenesAutoencoderRun(AutoencoderRun):
    """Encoder and decoder by the absolute error and a little KL, later by a perceptual loss too; no discriminator."""

    name, steps = "scenes_autoencoder", 3700
    settings: Any = ScenesAutoencoderSettings()
    schedule = staticmethod(part_of_a_cosine_then_linear)
    source = SCENES
    model = "scenes_autoencoder"  # not yet the model's own, which has another decoder
    precision = torch.float16

    def __init__(self, seed: int, steps: int, reader: Any, accelerator: Any = None, settings: Any = None):
        super().__init__(seed, steps, accelerator, settings)
        self.depend_on(reader=reader)
        self.reader = reader.to(self.accelerator.device)
        self.images = draw_panoramas(self.settings.pictures, seed + 5)

    @classmethod
    def start(cls, seed: int, steps: int, accelerator: Any, folder: Path) -> ScenesAutoencoderRun:
        return cls(seed, steps, load_features(folder), accelerator)

    def make_autoencoder(self) -> nn.Module:
        return make_autoencoder(self.settings.widths, self.settings.channels, side=64, attention=False)

    def batch(self, draw: torch.Generator) -> Tensor:
        return turned_batch(self.images, self.settings.batch, draw)

    def perceive(self, rebuilt: Tensor, images: Tensor) -> Tensor | float:
        if self.done < PERCEPTUAL_FROM * self.steps:
            return 0.0
        return self.settings.perceptual_weight * perceptual_loss(self.reader, rebuilt, images)

    def measure(self, autoencoder: Any) -> dict[str, float]:
        return measure(autoencoder)


# ------------------------------------------------------------------------------------------ the decoder again


@dataclass(frozen=True)
class DecoderSettings:
    batch: int = 16
    learning_rate: float = 2e-4
    discriminator_learning_rate: float = 6e-4
    perceptual_weight: float = 0.6
    discriminator_weight: float = 0.6  # its gradient at the decoder's last layer beside that of the error
    discriminator_first: int = 200  # steps that the discriminator has to find its feet
    pictures: int = 20_000


class Decoding(nn.Module):
    """The half of an ``AutoencoderKL`` that is trained here: latents to pictures."""

    def __init__(self, autoencoder: Any):
        super().__init__()
        self.post_quant_conv = copy.deepcopy(autoencoder.post_quant_conv).requires_grad_(True)
        self.decoder = copy.deepcopy(autoencoder.decoder).requires_grad_(True)

    def forward(self, latents: Tensor) -> Tensor:
        return self.decoder(self.post_quant_conv(latents))


class PatchDiscriminator(nn.Module):
    """Are these patches real? Pictures ``[N, channels, H, W]`` to all logits side by side, ``[N, places]``.

    One head sees patches of some 20 pixels, whose texture it judges, the other of twice as many. What is ``normalised``
    does not show how strong a texture is; without, weights begin so that signals keep their size through all layers.
    """

    def __init__(self, width: int = 32, channels: int = 3, normalised: bool = False):
        super().__init__()

        def layer(inputs: int, outputs: int, side: int, stride: int) -> list[nn.Module]:
            norm = [nn.GroupNorm(8, outputs)] if normalised else []
            return [nn.Conv2d(inputs, outputs, side, stride, 1), *norm, nn.LeakyReLU(0.2)]

        w = width
        first = nn.Conv2d(channels, w, 4, 2, 1), nn.LeakyReLU(0.2)
        self.fine = nn.Sequential(*first, *layer(w, 2 * w, 4, 2), *layer(2 * w, 2 * w, 3, 1))
        self.coarse = nn.Sequential(*layer(2 * w, 3 * w, 4, 2), *layer(3 * w, 3 * w, 3, 1))
        self.heads = nn.ModuleList([nn.Conv2d(2 * w, 1, 3, 1, 1), nn.Conv2d(3 * w, 1, 3, 1, 1)])
        for part in (*self.fine, *self.coarse):
            if isinstance(part, nn.Conv2d) and part.bias is not None and not normalised:
                nn.init.kaiming_normal_(part.weight, 0.2)
                nn.init.zeros_(part.bias)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.fine(images)
        maps = fine, self.coarse(fine)
        return torch.cat([head(x).flatten(1) for head, x in zip(self.heads, maps, strict=True)], dim=1)


def level_then_linear(step: int, steps: int) -> float:
    """The share of the full rate: all of it for half the steps, then down to nothing in a straight line."""
    return min(1.0, 2 * (steps - step) / steps)


class ScenesDecoderRun(Run):
    """The decoder of a trained autoencoder, by absolute error, perceptual loss and discriminator; the encoder stays.

    The discriminator's share is weighed anew at every step (Rombach et al. 2022, arXiv 2112.10752). A gradient penalty
    (R1) was tried and left out: at a weight of 0.5 it kept the discriminator from learning anything.
    """

    name, steps = "scenes_decoder", 2000
    settings = DecoderSettings()
    schedule = staticmethod(level_then_linear)
    model = MODEL

    def __init__(
        self,
        seed: int,
        steps: int,
        autoencoder: Any,
        reader: Any,
        accelerator: Any = None,
        settings: DecoderSettings | None = None,
    ):
        super().__init__(seed, steps, accelerator, settings)
        s, betas = self.settings, (0.5, 0.99)  # little momentum: the other side has moved by then
        self.reader = reader.to(self.accelerator.device)
        self.depend_on(reader=reader, encoder=autoencoder.encoder, last_layer=autoencoder.quant_conv)  # no decoder
        self.autoencoder = autoencoder.requires_grad_(False).eval().to(self.accelerator.device)
        self.images = draw_panoramas(s.pictures, seed + 6)
        self.decoding = self.add(
            "decoding", lambda: Decoding(autoencoder), s.learning_rate, betas=betas, weight_decay=0.0
        )
        self.critic = self.add(
            "critic", PatchDiscriminator, s.discriminator_learning_rate, betas=betas, weight_decay=0.0
        )

    @classmethod
    def start(cls, seed: int, steps: int, accelerator: Any, folder: Path) -> ScenesDecoderRun:
        autoencoder = load_autoencoder(folder / ScenesAutoencoderRun.model, ScenesAutoencoderRun.name)
        return cls(seed, steps, autoencoder, load_features(folder), accelerator)

    def learn(self) -> dict[str, Tensor]:
        s = self.settings
        draw = random_numbers(self.seed, self.done)
        images = turned_batch(self.images, s.batch, draw)
        shape = s.batch, *self.latent_shape(images)
        images, noise = self.shard(images), self.shard(torch.randn(shape, generator=draw))
        with torch.no_grad():
            latents = self.autoencoder.encode(images).latent_dist
        rebuilt = self.decoding.wrapped(latents.mean + latents.std * noise)
        error = (rebuilt - images).abs().mean()
        error = error + s.perceptual_weight * perceptual_loss(self.reader, rebuilt, images)
        judge = self.critic.network.requires_grad_(False)  # bare: this step must not touch its gradients
        fooled = losses.hinge_generator_loss(None, judge(rebuilt))
        judge.requires_grad_(True)
        weight = torch.zeros(())
        if self.done >= s.discriminator_first:
            last = self.decoding.network.decoder.conv_out.weight
            weight = s.discriminator_weight * balance(last, error, fooled, self.accelerator)
        self.update(self.decoding, error + weight * fooled)
        real, fake = self.critic.wrapped(torch.cat([images, rebuilt.detach()])).chunk(2)
        judged = losses.hinge_discriminator_loss(real, fake)
        self.update(self.critic, judged, clip=None)
        psnr = metrics.psnr(rebuilt.detach(), images)
        return {"error": error, "psnr": psnr, "weight": weight, "judged": judged, "fooled": fooled}

    def latent_shape(self, images: Tensor) -> tuple[int, ...]:
        """The latents of each of ``images``: channels, rows, columns."""
        config = self.autoencoder.config
        factor = 2 ** (len(config.block_out_channels) - 1)
        return config.latent_channels, images.shape[2] // factor, images.shape[3] // factor

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        finished, autoencoder = self.decoding.finished(), self.autoencoder.cpu()
        autoencoder.post_quant_conv, autoencoder.decoder = finished.post_quant_conv, finished.decoder
        autoencoder.half().float()  # what is measured has been rounded, as in the file
        about = facts | {"settings": asdict(self.settings), "metrics": measure(autoencoder)}
        with scratch_folder() as place:
            autoencoder.half().save_pretrained(place / "vae")
            return zoo.store_files(self.model, place, {"decoder": about}, folder)


# ------------------------------------------------------------------------------------------ what came of it


def measure(autoencoder: Any, count: int = 2000) -> dict[str, float]:
    """What ``compare`` says of fresh panoramas, and the Fréchet distance of patches beside that of other renders."""
    records = SCENES.draw(count, UNSEEN, held_out=None)
    images = SCENES.render(records, UNSEEN)
    others = SCENES.render(SCENES.draw(count, UNSEEN + 1, held_out=None), UNSEEN + 1)
    rebuilt = rebuild(autoencoder, images)
    return compare(rebuilt, images, records, SCENES) | {
        "patch_frechet": round(patch_frechet(rebuilt, images), 3),
        "patch_frechet_floor": round(patch_frechet(others, images), 3),
    }


def patches(images: Tensor, side: int = 8, each: int = 16, seed: int = 0) -> Tensor:
    """Square patches of ``images [N, C, H, W]`` as rows of numbers, ``[N each, C side²]``; ``seed`` says from where."""
    g = torch.Generator().manual_seed(seed)
    n, _, height, width = images.shape
    tops = torch.randint(height - side + 1, (n, each), generator=g).tolist()
    lefts = torch.randint(width - side + 1, (n, each), generator=g).tolist()
    corners = ((i, y, x) for i in range(n) for y, x in zip(tops[i], lefts[i], strict=True))
    return torch.stack([images[i, :, y : y + side, x : x + side].flatten() for i, y, x in corners])


def patch_frechet(made: Tensor, real: Tensor) -> float:
    """The Fréchet distance of 8 x 8 patches, pixel by pixel: no network has a say in it."""
    return metrics.frechet_distance(patches(made), patches(real, seed=1))
