"""How the mini Stable Diffusion and the network that judges it were trained: what a step of each recipe does.

``gan-course train NAME`` follows them, ``gan_course.recipes.long`` says for how long and writes the cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from gan_course import losses
from gan_course.classifiers import AttributeClassifier
from gan_course.data.attributes import FIELDS, Attributes, as_indices, draw_attributes, phrase
from gan_course.data.glyphs import colour_glyphs
from gan_course.recipes.run import Part, Run, random_numbers
from gan_course.stable_diffusion.networks import (
    CHANNELS,
    make_autoencoder,
    make_patch_discriminator,
    make_scheduler,
    make_text_encoder,
    make_unet,
)


def render(records: Sequence[Attributes], seed: int) -> Tensor:
    """A picture of each record: ``[N, 3, 32, 32]``."""
    digits = "".join(FIELDS["character"])  # always all of them: their outlines are prepared once for each set
    return colour_glyphs(records, seed, digits).images


# ------------------------------------------------------------------------------------------ reading pictures


class AttributesRun(Run):
    """The independent reader: fresh pictures every step, roughened as a generator might, one loss for each field."""

    def __init__(self, seed: int, steps: int, accelerator: Accelerator | None = None, batch: int = 64):
        super().__init__(seed, steps, accelerator)
        self.batch = batch
        self.reader = self.add("reader", AttributeClassifier, learning_rate=3e-3)

    def learn(self) -> dict[str, Tensor]:
        draw = random_numbers(self.seed, self.done)
        number = int(torch.randint(2**31, (1,), generator=draw))
        records = draw_attributes(self.batch, number, held_out=None)
        images = roughen(render(records, number), draw)
        images, wanted = self.mine(images), self.mine(as_indices(records))
        logits = AttributeClassifier.split(self.reader.wrapped(images))
        loss = torch.stack([F.cross_entropy(part, wanted[:, i]) for i, part in enumerate(logits)]).sum()
        self.update(self.reader, loss)
        return {"loss": loss}


def roughen(images: Tensor, draw: torch.Generator) -> Tensor:
    """``images [N, C, H, W]``, half of them with a little noise, half a little blurred: as a decoder might blur."""
    n = len(images)
    noise = 0.08 * torch.rand(n, 1, 1, 1, generator=draw) * (torch.rand(n, 1, 1, 1, generator=draw) < 0.5)
    images = images + noise * torch.randn(images.shape, generator=draw)
    share = 0.5 * torch.rand(n, 1, 1, 1, generator=draw) * (torch.rand(n, 1, 1, 1, generator=draw) < 0.5)
    soft = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return (images + share * (soft - images)).clamp(-1, 1)


# ------------------------------------------------------------------------------------------ the autoencoder


class RoundTrip(nn.Module):
    """An ``AutoencoderKL`` there and back in one call, as one process among several needs it."""

    autoencoder: Any

    def __init__(self, autoencoder: nn.Module):
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures rebuilt, and mean and log-variance of their latents ``[N, 8, 8, 8]``; ``noise`` as the latents."""
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

    def __init__(
        self,
        seed: int,
        steps: int,
        accelerator: Accelerator | None = None,
        settings: AutoencoderSettings = AutoencoderSettings(),
    ):
        super().__init__(seed, steps, accelerator)
        self.settings = settings
        self.trip = self.add("trip", lambda: RoundTrip(make_autoencoder(settings.widths)), settings.learning_rate)
        with torch.no_grad():  # little noise in the latents to begin with: there is something to learn from at once
            self.trip.network.autoencoder.quant_conv.bias[CHANNELS:] = -5.0
        self.critic: Part | None = None
        if settings.discriminator_weight:
            self.critic = self.add("critic", make_patch_discriminator, 4 * settings.learning_rate, betas=(0.5, 0.99))

    def learn(self) -> dict[str, Tensor]:
        s = self.settings
        draw = random_numbers(self.seed, self.done)
        number = int(torch.randint(2**31, (1,), generator=draw))
        images = self.mine(render(draw_attributes(s.batch, number, held_out=None), number))
        noise = self.mine(torch.randn(s.batch, CHANNELS, 8, 8, generator=draw))
        rebuilt, mean, logvar = self.trip.wrapped(images, noise)
        error = (rebuilt - images).abs().mean() + s.squared_weight * (rebuilt - images).square().mean()
        divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(dim=(1, 2, 3)).mean()
        loss = error + s.kl_weight * divergence
        shown = {"error": error, "psnr": psnr(rebuilt.detach(), images), "spread": mean.std()}
        if self.critic is None or self.done < s.discriminator_start * self.steps:
            self.update(self.trip, loss)
            return shown
        judge = self.critic.network  # bare: this step must not touch its gradients
        judge.requires_grad_(False)
        fooled = losses.hinge_generator_loss(judge(images), judge(rebuilt))
        judge.requires_grad_(True)
        weight = s.discriminator_weight * self.balance(error, fooled)
        self.update(self.trip, loss + weight * fooled)
        real, fake = self.critic.wrapped(torch.cat([images, rebuilt.detach()])).chunk(2)
        judged = losses.hinge_discriminator_loss(real, fake)
        self.update(self.critic, judged)
        return shown | {"weight": weight, "judged": judged, "fooled": fooled}

    def balance(self, error: Tensor, fooled: Tensor) -> Tensor:
        """How many times longer the error's gradient at the decoder's last layer is, over all processes' batches."""
        last = self.trip.network.autoencoder.decoder.conv_out.weight
        lengths = []
        for loss in (error, fooled):
            (gradient,) = torch.autograd.grad(loss, last, retain_graph=True)
            lengths.append(self.accelerator.reduce(gradient, reduction="mean").norm())
        return (lengths[0] / (lengths[1] + 1e-8)).clamp(max=1e4)


def psnr(rebuilt: Tensor, images: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, the mean over pictures ``[N, C, H, W]`` in ``[-1, 1]`` (a range of 2)."""
    error = (rebuilt.clamp(-1, 1) - images).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(4 / error.clamp(min=1e-10)).mean()


@torch.no_grad()
def rebuild(autoencoder: Any, images: Tensor) -> Tensor:
    """``images [N, 3, H, W]`` through the autoencoder and back, without chance: ``[N, 3, H, W]`` in ``[-1, 1]``."""
    chunks = [autoencoder.decode(autoencoder.encode(x).latent_dist.mean).sample for x in images.split(250)]
    return torch.cat(chunks).clamp(-1, 1)


@torch.no_grad()
def normalise(autoencoder: Any, count: int = 4000, seed: int = 5) -> None:
    """Shift each latent channel to mean 0 and note the scale that brings all together to variance 1.

    The shift goes into the 1x1 convolutions on both sides of the latents: what the autoencoder rebuilds stays the same.
    """
    images = render(draw_attributes(count, seed), seed)
    means = torch.cat([autoencoder.encode(x).latent_dist.mean for x in images.split(250)])
    centre = means.mean(dim=(0, 2, 3))
    into, out = autoencoder.quant_conv, autoencoder.post_quant_conv
    into.bias[: len(centre)] -= centre
    out.bias += out.weight[:, :, 0, 0] @ centre
    autoencoder.register_to_config(scaling_factor=round(1 / (means - centre[:, None, None]).std().item(), 5))


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

    def __init__(
        self,
        seed: int,
        steps: int,
        autoencoder: Any,
        tokenizer: Any,
        accelerator: Accelerator | None = None,
        settings: TextToImageSettings = TextToImageSettings(),
    ):
        super().__init__(seed, steps, accelerator)
        self.settings, self.tokenizer = settings, tokenizer
        self.scheduler = make_scheduler(settings.prediction)
        self.records = draw_attributes(settings.pictures, seed=seed + 1)
        self.means, self.spreads = encode(autoencoder, self.records, seed=seed + 1)
        self.model = self.add(
            "model",
            lambda: Conditional(
                make_text_encoder(tokenizer, settings.width), make_unet(settings.width, settings.widths)
            ),
            settings.learning_rate,
            decay=settings.decay,
        )

    def learn(self) -> dict[str, Tensor]:
        s = self.settings
        draw = random_numbers(self.seed, self.done)
        rows = torch.randint(s.pictures, (s.batch,), generator=draw)
        latents = self.means[rows] + self.spreads[rows] * torch.randn(s.batch, CHANNELS, 8, 8, generator=draw)
        noise = torch.randn(latents.shape, generator=draw)
        # one time in each of as many equal parts of the schedule: the same mean loss, with less chance in it
        part = (torch.randperm(s.batch, generator=draw) + torch.rand(s.batch, generator=draw)) / s.batch
        if self.done < s.coarse_steps * self.steps:
            part = s.coarse_noise + (1 - s.coarse_noise) * part
        length = self.scheduler.config.num_train_timesteps
        timesteps = (part * length).long().clamp(max=length - 1)  # rounding may bring a part up to 1
        captions = self.write([self.records[row] for row in rows.tolist()], draw)
        ids = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        wanted = noise
        if s.prediction == "v_prediction":
            wanted = self.scheduler.get_velocity(latents, noise, timesteps)
        found = self.model.wrapped(self.mine(noisy), self.mine(timesteps), self.mine(ids))
        loss = F.mse_loss(found, self.mine(wanted))
        self.update(self.model, loss)
        return {"loss": loss}

    def write(self, records: Sequence[Attributes], draw: torch.Generator) -> list[str]:
        """A caption each: in full, shortened, or empty."""
        s, captions = self.settings, []
        for record, chance in zip(records, torch.rand(len(records), 6, generator=draw).tolist(), strict=True):
            optional = ("size", "colour", "background", "position")
            leave_out = [name for name, c in zip(optional, chance[2:], strict=True) if c < s.left_out]
            short = phrase(record, leave_out if chance[1] < s.shortened else ())
            captions.append("" if chance[0] < s.without_caption else short)
        return captions


@torch.no_grad()
def encode(autoencoder: Any, records: Sequence[Attributes], seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each picture's scaled latents: twice ``[N, 8, 8, 8]``."""
    images = render(records, seed)
    found = [autoencoder.encode(chunk).latent_dist for chunk in images.split(500)]
    scale = autoencoder.config.scaling_factor
    return torch.cat([d.mean for d in found]) * scale, torch.cat([d.std for d in found]) * scale
