"""How the one-step student was trained: what one step of its recipe does."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from gan_course import losses
from gan_course.data.attributes import Attributes, draw_attributes, phrase
from gan_course.recipes.run import Run, random_numbers
from gan_course.recipes.text_to_image import encode
from gan_course.stable_diffusion.distill import (
    Heads,
    distillation_loss,
    feature_widths,
    features,
    guided_view,
    one_step,
    read_words,
)


@dataclass(frozen=True)
class StudentSettings:
    pictures: int = 20_000
    batch: int = 32
    learning_rate: float = 3e-4
    heads_learning_rate: float = 1e-3
    decay: float = 0.995  # of the moving average, which is what ships
    distillation: float = 1.0  # its weight beside the adversarial loss; 0 leaves it out
    guidance: float = 3.0  # with which the teacher looks at the student's pictures
    judged_up_to: float = 0.75  # the share of the schedule from which the discriminator's noise is drawn,
    taught_up_to: float = 0.75  # and the teacher's
    shortened: float = 0.2  # how often a caption may lose size, colour, background or position,
    left_out: float = 0.4  # and how often it then loses each
    width: int = 48  # of a head


class StudentRun(Run):
    """Adversarial distillation of a pipeline's U-Net into one step. The pipeline's networks stay as they are."""

    def __init__(
        self,
        seed: int,
        steps: int,
        teacher: Any,
        accelerator: Accelerator | None = None,
        settings: StudentSettings = StudentSettings(),
    ):
        super().__init__(seed, steps, accelerator)
        self.settings, self.teacher, self.scheduler = settings, teacher, teacher.scheduler
        for network in (teacher.unet, teacher.text_encoder, teacher.vae):
            network.requires_grad_(False).eval()
        teacher.unet.to(self.accelerator.device, memory_format=torch.channels_last)
        self.records = draw_attributes(settings.pictures, seed=seed + 2)
        self.means, self.spreads = encode(teacher.vae, self.records, seed=seed + 2)
        teacher.text_encoder.to(self.accelerator.device)
        self.empty = read_words(teacher, [""])
        betas = (0.0, 0.99)  # no momentum: the other side has moved by then

        def copied() -> nn.Module:
            return copy.deepcopy(teacher.unet).requires_grad_(True).train()

        self.student = self.add("student", copied, settings.learning_rate, settings.decay, betas, weight_decay=0.0)
        self.heads = self.add(
            "heads",
            lambda: Heads(feature_widths(teacher.unet), settings.width),
            settings.heads_learning_rate,
            betas=betas,
            weight_decay=0.0,
        )

    def learn(self) -> dict[str, Tensor]:
        s, unet, scheduler = self.settings, self.teacher.unet, self.scheduler
        draw = random_numbers(self.seed, self.done)
        rows = torch.randint(s.pictures, (s.batch,), generator=draw)
        shape = (s.batch, *self.means.shape[1:])
        real = self.means[rows] + self.spreads[rows] * torch.randn(shape, generator=draw)
        noise, real_noise, fake_noise, taught_noise = torch.randn(4, *shape, generator=draw)
        captions = self.write([self.records[row] for row in rows.tolist()], draw)
        real, noise, real_noise, fake_noise, taught_noise = map(
            self.mine, (real, noise, real_noise, fake_noise, taught_noise)
        )
        judged, taught = self.mine(self.times(s.judged_up_to, draw)), self.mine(self.times(s.taught_up_to, draw))
        words = self.mine(read_words(self.teacher, captions))

        made = one_step(self.student.wrapped, scheduler, noise, words)
        heads = self.heads.network.requires_grad_(False)  # bare: this step must not touch its gradients
        fake_maps = features(unet, scheduler.add_noise(made, fake_noise, judged), judged, words)
        fooled = losses.hinge_generator_loss(None, heads(fake_maps))
        heads.requires_grad_(True)
        with torch.no_grad():
            noisy = scheduler.add_noise(made, taught_noise, taught)
            empty = self.empty.expand(len(words), -1, -1)
            seen = guided_view(unet, scheduler, noisy, taught, words, empty, s.guidance)
            real_maps = features(unet, scheduler.add_noise(real, real_noise, judged), judged, words)
        apart = distillation_loss(made, seen, scheduler.alphas_cumprod[taught.cpu()].to(made))
        self.update(self.student, fooled + s.distillation * apart)

        both = [torch.cat([a, b.detach()]) for a, b in zip(real_maps, fake_maps, strict=True)]
        real_logits, fake_logits = self.heads.wrapped(both).chunk(2)
        found = losses.hinge_discriminator_loss(real_logits, fake_logits)
        self.update(self.heads, found)
        return {"found": found, "fooled": fooled, "apart": apart}

    def times(self, up_to: float, draw: torch.Generator) -> Tensor:
        """A timestep for each picture of the batch, below that share of the schedule, evenly spread."""
        n = self.settings.batch
        part = (torch.randperm(n, generator=draw) + torch.rand(n, generator=draw)) / n
        return (up_to * part * self.scheduler.config.num_train_timesteps).long()

    def write(self, records: Sequence[Attributes], draw: torch.Generator) -> list[str]:
        """A caption each, in full or shortened."""
        s, captions = self.settings, []
        for record, chance in zip(records, torch.rand(len(records), 5, generator=draw).tolist(), strict=True):
            optional = ("size", "colour", "background", "position")
            leave_out = [name for name, c in zip(optional, chance[1:], strict=True) if c < s.left_out]
            captions.append(phrase(record, leave_out if chance[0] < s.shortened else ()))
        return captions
