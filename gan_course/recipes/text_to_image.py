"""How the two halves of the mini Stable Diffusion were trained: the autoencoder, then text encoder and U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course import losses, metrics, zoo
from gan_course import stable_diffusion as sd
from gan_course.checkpoints import save_checkpoint
from gan_course.data.render import GLYPHS, Source, draw_fresh, shorten
from gan_course.files import scratch_folder
from gan_course.recipes.run import UNSEEN, Part, Run, random_numbers, spread_evenly
from gan_course.stable_diffusion.latents import encode, normalise, rebuild
from gan_course.stable_diffusion.networks import (
    make_autoencoder,
    make_patch_discriminator,
    make_scheduler,
    make_text_encoder,
    make_tokenizer,
    make_unet,
)

# ------------------------------------------------------------------------------------------ the autoencoder


class RoundTrip(nn.Module):
    """An ``AutoencoderKL`` there and back in one call, as one process among several needs it."""

    autoencoder: Any

    def __init__(self, autoencoder: nn.Module):
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures rebuilt, and mean and log-variance of their latents ``[N, C, H/f, W/f]``; ``noise`` as these."""
        latents = self.autoencoder.encode(images).latent_dist
        rebuilt = self.autoencoder.decode(latents.mean + latents.std * noise).sample
        return rebuilt, latents.mean, latents.logvar


@dataclass(frozen=True)
class AutoencoderSettings:
    batch: int = 16
    learning_rate: float = 1e-3
    squared_weight: float = 2.0  # of the squared error beside the absolute one, which thin strokes hardly move
    kl_weight: float = 1e-6  # of the KL divergence, summed over a latent, beside the mean error of a value
    discriminator_weight: float = 0.5  # beside the error; 0 leaves the discriminator out
    discriminator_start: float = 0.75  # the share of the steps after which it joins
    widths: tuple[int, ...] = (16, 32, 64)


class AutoencoderRun(Run):
    """Rombach et al. 2022 (arXiv 2112.10752), appendix G: absolute error, a little KL, a patch discriminator later.

    The discriminator's share is weighed anew at every step, so that its gradient at the decoder's last layer is
    ``discriminator_weight`` times as long as that of the error. It comes late, when the rates have fallen, so that its
    own is four times as high. All pairs of attributes occur: an autoencoder knows no words, and must render them all.
    """

    name, steps = "autoencoder", 12_000
    settings = AutoencoderSettings()
    source: Source = GLYPHS
    model = sd.MINI  # where in the zoo it goes
    precision = torch.float32  # to which weights are rounded in the end, and in which they are stored

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: AutoencoderSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        s = self.settings
        self.trip = self.add("trip", lambda: RoundTrip(self.make_autoencoder()), s.learning_rate)
        config = self.trip.network.autoencoder.config
        self.channels, self.factor = config.latent_channels, 2 ** (len(config.block_out_channels) - 1)
        with torch.no_grad():  # little noise in the latents to begin with: there is something to learn from at once
            self.trip.network.autoencoder.quant_conv.bias[self.channels :] = -5.0
        self.critic: Part | None = None
        if s.discriminator_weight:
            self.critic = self.add("critic", self.make_discriminator, 4 * s.learning_rate, betas=(0.5, 0.99))

    def make_autoencoder(self) -> nn.Module:
        return make_autoencoder(self.settings.widths)

    def make_discriminator(self) -> nn.Module:
        return make_patch_discriminator()

    def batch(self, draw: torch.Generator) -> Tensor:
        """The pictures of one step."""
        return draw_fresh(self.source, self.settings.batch, draw)[1]

    def learn(self) -> dict[str, Tensor]:
        s = self.settings
        draw = random_numbers(self.seed, self.done)
        images = self.batch(draw)
        shape = s.batch, self.channels, *(side // self.factor for side in images.shape[2:])
        images, noise = self.shard(images), self.shard(torch.randn(shape, generator=draw))
        rebuilt, mean, logvar = self.trip.wrapped(images, noise)
        error = (rebuilt - images).abs().mean() + s.squared_weight * (rebuilt - images).square().mean()
        divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(dim=(1, 2, 3)).mean()
        loss = error + s.kl_weight * divergence + self.perceive(rebuilt, images)
        shown = {"error": error, "psnr": metrics.psnr(rebuilt.detach(), images), "spread": mean.std()}
        if self.critic is None or self.done < s.discriminator_start * self.steps:
            self.update(self.trip, loss)
            return shown
        judge = self.critic.network  # bare: this step must not touch its gradients
        judge.requires_grad_(False)
        fooled = losses.hinge_generator_loss(judge(images), judge(rebuilt))
        judge.requires_grad_(True)
        last = self.trip.network.autoencoder.decoder.conv_out.weight
        weight = s.discriminator_weight * balance(last, error, fooled, self.accelerator)
        self.update(self.trip, loss + weight * fooled)
        real, fake = self.critic.wrapped(torch.cat([images, rebuilt.detach()])).chunk(2)
        judged = losses.hinge_discriminator_loss(real, fake)
        self.update(self.critic, judged)
        return shown | {"weight": weight, "judged": judged, "fooled": fooled}

    def perceive(self, rebuilt: Tensor, images: Tensor) -> Tensor | float:
        """What is added to the loss for how different the pictures look: for glyphs nothing."""
        return 0.0

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        autoencoder = self.trip.finished().autoencoder.to(self.precision).float()
        normalise(autoencoder, self.source.render(self.source.draw(4000, 5), 5))
        about = facts | {"settings": asdict(self.settings), "metrics": self.measure(autoencoder)}
        with scratch_folder() as place:
            autoencoder.to(self.precision).save_pretrained(place / "vae")
            return zoo.store_files(self.model, place, {"autoencoder": about}, folder)

    def measure(self, autoencoder: Any) -> dict[str, float]:
        """What :func:`compare` says of fresh renders and what the autoencoder makes of them."""
        records = self.source.draw(2000, UNSEEN, held_out=None)
        images = self.source.render(records, UNSEEN)
        return compare(rebuild(autoencoder, images), images, records, self.source)


def balance(last: Tensor, error: Tensor, fooled: Tensor, accelerator: Any) -> Tensor:
    """How many times longer the gradient of ``error`` is than that of ``fooled``, over all processes' batches.

    ``last``: the weights where it is measured, the decoder's last layer.
    """
    lengths = []
    for loss in (error, fooled):
        (gradient,) = torch.autograd.grad(loss, last, retain_graph=True)
        lengths.append(accelerator.reduce(gradient, reduction="mean").norm())
    return (lengths[0] / (lengths[1] + 1e-8)).clamp(max=1e4)


def compare(rebuilt: Tensor, images: Tensor, records: Sequence[Any], source: Source) -> dict[str, float]:
    """PSNR in dB, Fréchet distance in the reader's features, edges beside those of ``images``, pictures read right."""
    reader: Any = zoo.load(source.reader)
    a, b = (metrics.extract_features(x, reader.features) for x in (images, rebuilt))
    return {
        "psnr_db": round(metrics.psnr(rebuilt, images).item(), 2),
        "frechet": round(metrics.frechet_distance(a, b), 3),
        "edge_energy": round(metrics.edge_energy(rebuilt) / metrics.edge_energy(images), 4),
        "read_right": round(sd.measure_adherence(rebuilt, records, reader, source).everything.value, 4),
    }


class PlainAutoencoderRun(AutoencoderRun):
    """The same without a discriminator. Only its pictures are kept, beside those of the other."""

    name = "autoencoder_without_discriminator"
    settings = AutoencoderSettings(discriminator_weight=0.0)

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        both = {"with": load_autoencoder(folder / self.model), "without": self.trip.network.autoencoder.eval().cpu()}
        images = self.source.render(self.source.draw(64, UNSEEN, held_out=None), UNSEEN)
        sets = {"images": images} | {name: rebuild(autoencoder, images) for name, autoencoder in both.items()}
        about = {
            "what": f"{len(images)} pictures no autoencoder was trained on, rebuilt by two: one trained with a "
            "discriminator, one not.",
            "metrics": {name: self.measure(autoencoder) for name, autoencoder in both.items()},
        }
        tensors = {name: ((x + 1) * 127.5).round().to(torch.uint8) for name, x in sets.items()}
        with scratch_folder() as place:
            save_checkpoint(place / "pictures.safetensors", tensors, {})
            return zoo.store_files("autoencoder_comparison", place, about | facts, folder)


def load_autoencoder(model: Path, recipe: str = "autoencoder") -> Any:
    """The autoencoder of the pipeline in the folder ``model``.

    Raises ``FileNotFoundError`` where there is none; it says which ``recipe`` makes one.
    """
    from diffusers import AutoencoderKL

    if not (model / "vae").is_dir():
        raise FileNotFoundError(f"there is no autoencoder in {model / 'vae'}: run gan-course train {recipe} first")
    return AutoencoderKL.from_pretrained(model / "vae", use_safetensors=True).eval().requires_grad_(False)


# ------------------------------------------------------------------------------------------ text to image


class Conditional(nn.Module):
    """Text encoder and U-Net in one call, as they are trained together."""

    def __init__(self, text_encoder: nn.Module, unet: nn.Module):
        super().__init__()
        self.text_encoder, self.unet = text_encoder, unet

    def forward(self, noisy: Tensor, timesteps: Tensor, ids: Tensor) -> Tensor:
        words = self.text_encoder(ids)[0]
        return self.unet(noisy, timesteps, encoder_hidden_states=words).sample


@dataclass(frozen=True)
class TextToImageSettings:
    pictures: int = 60_000
    batch: int = 64
    coarse_steps: float = 0.1  # the first share of the steps sees only the noisy end of the schedule, above
    coarse_noise: float = 0.6  # this: what stands where is decided there. Without, the position was never learned
    learning_rate: float = 1e-3
    decay: float = 0.9995  # of the moving average, which is what ships
    prediction: str = "v_prediction"
    without_caption: float = 0.1  # how often the caption is empty: what guidance compares with
    shortened: float = 0.3  # how often a caption may lose size, colour, background or position,
    left_out: float = 0.4  # and how often it then loses each
    width: int = 96  # of a word's vector
    widths: tuple[int, ...] = (48, 64)


class TextToImageRun(Run):
    """Learns to take noise out of the latents of pictures, knowing their captions (Rombach et al. 2022).

    ``autoencoder``: an ``AutoencoderKL`` with its ``scaling_factor`` measured. The pictures are encoded once, in the
    beginning; ``tokenizer`` is a ``CLIPTokenizer``.
    """

    name, steps = "text_to_image", 8000
    settings = TextToImageSettings()
    source: Source = GLYPHS
    model = sd.MINI  # where in the zoo it finds its autoencoder, made by
    autoencoder_recipe = "autoencoder"  # this, and goes itself
    precision = torch.float32  # to which weights are rounded in the end, and in which they are stored

    def __init__(
        self,
        seed: int,
        steps: int,
        autoencoder: Any,
        tokenizer: Any,
        accelerator: Any = None,
        settings: TextToImageSettings | None = None,
    ):
        super().__init__(seed, steps, accelerator, settings)
        s, device = self.settings, self.accelerator.device
        self.tokenizer, self.scheduler = tokenizer, make_scheduler(s.prediction)
        self.records = self.source.draw(s.pictures, seed + 1)
        self.depend_on(encoder=autoencoder.encoder, last_layer=autoencoder.quant_conv)  # no decoder
        self.means, self.spreads = self.encode(autoencoder.to(device), seed + 1)
        self.conditional = self.add(
            "model", lambda: Conditional(self.make_text_encoder(), self.make_unet()), s.learning_rate, decay=s.decay
        )

    @classmethod
    def start(cls, seed: int, steps: int, accelerator: Any, folder: Path) -> TextToImageRun:
        with scratch_folder() as place:
            tokenizer = cls.make_tokenizer(place)
        autoencoder = load_autoencoder(folder / cls.model, cls.autoencoder_recipe)
        return cls(seed, steps, autoencoder, tokenizer, accelerator)

    @staticmethod
    def make_tokenizer(folder: Path) -> Any:
        return make_tokenizer(folder)

    def encode(self, autoencoder: Any, seed: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the scaled latents of all records' pictures."""
        return encode(autoencoder, self.records, seed, self.source)

    def make_text_encoder(self) -> nn.Module:
        return make_text_encoder(self.tokenizer, self.settings.width)

    def make_unet(self) -> nn.Module:
        return make_unet(self.settings.width, self.settings.widths)

    def finish_unet(self, unet: Any) -> Any:
        """What of the trained U-Net ships: for glyphs all of it."""
        return unet

    def learn(self) -> dict[str, Tensor]:
        s = self.settings
        draw = random_numbers(self.seed, self.done)
        rows = torch.randint(s.pictures, (s.batch,), generator=draw)
        shape = s.batch, *self.means.shape[1:]
        latents = self.means[rows] + self.spreads[rows] * torch.randn(shape, generator=draw)
        latents, records = self.vary(latents, [self.records[row] for row in rows.tolist()], draw)
        noise = torch.randn(shape, generator=draw)
        part = spread_evenly(s.batch, draw)
        if self.done < s.coarse_steps * self.steps:
            part = s.coarse_noise + (1 - s.coarse_noise) * part
        length = self.scheduler.config.num_train_timesteps
        timesteps = (part * length).long().clamp(max=length - 1)  # rounding may bring a part up to 1
        captions = self.write(records, draw)
        ids = self.tokenize(captions)
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        wanted = noise
        if s.prediction == "v_prediction":
            wanted = self.scheduler.get_velocity(latents, noise, timesteps)
        found = self.conditional.wrapped(self.shard(noisy), self.shard(timesteps), self.shard(ids))
        loss, shown = self.compare(found, self.shard(wanted), records)
        self.update(self.conditional, loss)
        return shown

    def compare(self, found: Tensor, wanted: Tensor, records: list[Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a step, and what of it is shown. ``records`` are those of the whole batch, all processes'."""
        loss = F.mse_loss(found, wanted)
        return loss, {"loss": loss}

    def tokenize(self, captions: list[str]) -> Tensor:
        """Token ids ``[N, longest]``, filled up with the mark of the end."""
        return self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids

    def vary(self, latents: Tensor, records: list[Any], draw: torch.Generator) -> tuple[Tensor, list[Any]]:
        """Latents and records changed together by chance, where the pictures allow it: glyphs don't."""
        return latents, records

    def write(self, records: list[Any], draw: torch.Generator) -> list[str]:
        """A caption each: in full, shortened, or empty."""
        s = self.settings
        chances = torch.rand(len(records), 2 + len(self.source.optional), generator=draw)
        captions = shorten(self.source, records, chances[:, 1:], s.shortened, s.left_out)
        empty = chances[:, 0].tolist()
        return ["" if c < s.without_caption else text for c, text in zip(empty, captions, strict=True)]

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        from diffusers import StableDiffusionPipeline

        finished = self.conditional.finished().to(self.precision).float()
        pipeline: Any = StableDiffusionPipeline(
            vae=load_autoencoder(folder / self.model),
            text_encoder=finished.text_encoder,
            tokenizer=self.tokenizer,
            unet=self.finish_unet(finished.unet),
            scheduler=self.scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        height, width = (side * pipeline.vae_scale_factor for side in self.means.shape[2:])
        about = {
            "what": f"A text-to-image model of Stable Diffusion's own classes, for captioned {self.source.name} of "
            f"{width}x{height}.",
            "data": f"{self.source.name}: {self.settings.pictures:,} pictures without any of the held-out pairs",
            "held_out_pairs": [[list(a), list(b)] for a, b in self.source.held_out_pairs],
            "text_to_image": facts | {"settings": asdict(self.settings), "metrics": self.measure(pipeline)},
            "licence": "Apache-2.0",
        }
        with scratch_folder() as place:
            for part in (pipeline.vae, pipeline.unet):  # a text encoder would be loaded again in what it is stored in
                part.to(self.precision)
            pipeline.save_pretrained(place)
            self.make_tokenizer(place / "tokenizer")
            return zoo.store_files(self.model, place, about, folder)

    def measure(self, pipeline: sd.Pipeline, count: int = 500, steps: int = sd.STEPS) -> dict[str, Any]:
        """What share of pictures shows what was asked for, with guidance and without, with intervals."""
        found = {}
        for name, held_out in (("seen", False), ("held_out", True)):
            records = self.source.draw(count, UNSEEN, held_out)
            prompts = [self.source.phrase(record) for record in records]
            for guidance in (sd.GUIDANCE, 1.0):
                images = sd.text_to_image(pipeline, prompts, steps=steps, guidance_scale=guidance)
                right = sd.measure_adherence(images, records, source=self.source).rounded()
                found[f"{name}, guidance {guidance:g}"] = right
        return {"prompts": count, "steps": steps, "right": found}
