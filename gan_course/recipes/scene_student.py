"""How the one-step student of panoramas was trained: by pairs from its teacher, and by a discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_course import losses
from gan_course import stable_diffusion as sd
from gan_course.data.scene_sets import SCENES
from gan_course.recipes.run import random_numbers
from gan_course.recipes.scene_autoencoder import MODEL
from gan_course.recipes.scene_text_to_image import encode_panoramas
from gan_course.recipes.student import StudentRun, StudentSettings
from gan_course.stable_diffusion.distill import (
    distillation_loss,
    features,
    from_the_end,
    guided_view,
    one_step,
    read_words,
)
from gan_course.stable_diffusion.panoramas import text_to_latents, text_to_panorama


@dataclass(frozen=True)
class ScenesStudentSettings(StudentSettings):
    pictures: int = 8000
    batch: int = 64
    learning_rate: float = 5e-4
    regression: float = 1.0  # the weight of the squared distance from where the teacher's own way ends,
    distillation: float = 0.0  # of what the teacher sees in the student's pictures,
    adversarial: float = 1.0  # and of the discriminator; 0 leaves each out
    pairs: int = 4096  # of noise and the end of the teacher's way from there
    pair_steps: int = 16  # in which the teacher goes it


class ScenesStudentRun(StudentRun):
    """One step: half of each batch starts from noise from which the teacher has gone all the way, half from fresh.

    The pairs are known for the first half alone; discriminator and distillation see both. The pairs are meant to
    keep the student from making one picture of all noises, the discriminator from making the mean of several; this has
    not been measured yet.
    """

    name, steps = "scenes_student", 1000
    settings: Any = ScenesStudentSettings()
    source = SCENES
    model, student_model, teacher_recipe = MODEL, "mini_student_2", "scenes_text_to_image"

    def __init__(self, seed: int, steps: int, teacher: sd.Pipeline, accelerator: Any = None, settings: Any = None):
        super().__init__(seed, steps, teacher, accelerator, settings)
        s = self.settings
        if not 0 < s.pairs <= s.pictures:
            raise ValueError(f"pairs must be from 1 to {s.pictures}, the number of pictures, but is {s.pairs}")
        self.pair_captions = [self.source.phrase(record) for record in self.records[: s.pairs]]
        self.pair_noise = torch.randn(s.pairs, *self.means.shape[1:], generator=random_numbers(seed, 0, purpose=1))
        self.ends = self.go_all_the_way()

    @classmethod
    def load_teacher(cls, folder: Path) -> sd.Pipeline:
        return sd.load_pipeline(folder / cls.model)

    def encode(self, autoencoder: Any, seed: int) -> tuple[Tensor, Tensor]:
        return encode_panoramas(autoencoder, self.records, seed)

    def go_all_the_way(self, at_once: int = 256) -> Tensor:
        """The clean latents that the teacher reaches from the noise of each pair."""
        s, walker = self.settings, from_the_end(self.teacher)
        ends = []
        for i in range(0, s.pairs, at_once):
            captions, noise = self.pair_captions[i : i + at_once], self.pair_noise[i : i + at_once]
            noise = noise.to(self.accelerator.device)
            ends.append(text_to_latents(walker, captions, noise, s.pair_steps, s.guidance).cpu())
        return torch.cat(ends)

    def learn(self) -> dict[str, Tensor]:
        s, scheduler = self.settings, self.scheduler
        draw = random_numbers(self.seed, self.done)
        half = s.batch // 2
        pairs = torch.randint(s.pairs, (half,), generator=draw)
        rows = torch.cat([pairs, torch.randint(s.pictures, (s.batch - half,), generator=draw)])
        shape = s.batch, *self.means.shape[1:]
        noise, real_noise, fake_noise, taught_noise, spread = torch.randn(5, *shape, generator=draw)
        noise[:half] = self.pair_noise[pairs]
        captions = [self.pair_captions[i] for i in pairs.tolist()]
        captions += self.write([self.records[row] for row in rows[half:].tolist()], draw)
        judged, taught = self.times(s.judged_up_to, draw), self.times(s.taught_up_to, draw)
        real = self.shard(self.means[rows] + self.spreads[rows] * spread)
        noise, real_noise, fake_noise, taught_noise = map(self.shard, (noise, real_noise, fake_noise, taught_noise))
        judged, taught, words = map(self.shard, (judged, taught, read_words(self.teacher, captions)))
        has_pair = self.shard(torch.arange(s.batch) < half)
        ends = self.shard(torch.cat([self.ends[pairs], torch.zeros(s.batch - half, *shape[1:])]))

        made = one_step(self.student.wrapped, scheduler, noise, words)
        shown = {}
        loss = torch.zeros((), device=made.device)
        if s.regression:
            shown["regression"] = (made - ends)[has_pair].square().mean()
            loss = loss + s.regression * shown["regression"]
        if s.distillation:
            with torch.no_grad():
                noisy = scheduler.add_noise(made, taught_noise, taught)
                empty = self.empty.expand(len(words), -1, -1)
                seen = guided_view(self.teacher.unet, scheduler, noisy, taught, words, empty, s.guidance)
            shown["apart"] = distillation_loss(made, seen, scheduler.alphas_cumprod[taught.cpu()].to(made))
            loss = loss + s.distillation * shown["apart"]
        if not s.adversarial:
            self.update(self.student, loss)
            return shown
        fake_maps = features(self.teacher.unet, scheduler.add_noise(made, fake_noise, judged), judged, words)
        heads = self.heads.network.requires_grad_(False)  # bare: this step must not touch its gradients
        shown["fooled"] = losses.hinge_generator_loss(None, heads(fake_maps))
        heads.requires_grad_(True)
        self.update(self.student, loss + s.adversarial * shown["fooled"])
        with torch.no_grad():
            real_maps = features(self.teacher.unet, scheduler.add_noise(real, real_noise, judged), judged, words)
        both = [torch.cat([a, b.detach()]) for a, b in zip(real_maps, fake_maps, strict=True)]
        shown["found"] = losses.hinge_discriminator_loss(*self.heads.wrapped(both).chunk(2))
        self.update(self.heads, shown["found"])
        return shown

    def ask(self, model: sd.Pipeline, prompts: list[str], steps: int, guidance: float) -> Tensor:
        return text_to_panorama(model, prompts, steps=steps, guidance_scale=guidance)
