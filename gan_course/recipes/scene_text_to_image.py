"""How text encoder and U-Net of panoramas were trained, on latents that are turned together with their captions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course import stable_diffusion as sd
from gan_course.data import scene_captions
from gan_course.data.scene_sets import SCENES, as_images, draw_set, roll_each
from gan_course.data.scenes import FIELDS, Scene, as_indices, is_held_out, turn
from gan_course.recipes.run import UNSEEN, random_numbers, warmup_then_linear
from gan_course.recipes.scene_autoencoder import MODEL
from gan_course.recipes.text_to_image import TextToImageRun, TextToImageSettings
from gan_course.stable_diffusion.networks import make_tokenizer, make_unet
from gan_course.stable_diffusion.panoramas import encode_wrapped, seam, text_to_panorama


def encode_panoramas(autoencoder: Any, records: list[Scene], seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the scaled latents of each record's panorama: twice ``[N, C, 8, 16]``."""
    images, _ = draw_set(records, seed)
    parts = [encode_wrapped(autoencoder, as_images(part).to(autoencoder.device)) for part in images.split(250)]
    return torch.cat([mean.cpu() for mean, _ in parts]), torch.cat([spread.cpu() for _, spread in parts])


@dataclass(frozen=True)
class ScenesTextToImageSettings(TextToImageSettings):
    pictures: int = 24_000
    batch: int = 128
    learning_rate: float = 1.5e-3
    decay: float = 0.999
    widths: tuple[int, ...] = (56, 80)
    reading_learning_rate: float = 1e-3
    reading_steps: int = 400  # in which the text encoder learns to read before the U-Net learns to paint


class ScenesTextToImageRun(TextToImageRun):
    """As for glyphs, but each panorama is turned by quarters, and its caption is worded anew at every step."""

    name, steps = "scenes_text_to_image", 6000
    settings = ScenesTextToImageSettings()
    source = SCENES
    model, autoencoder_recipe = MODEL, "scenes_autoencoder"

    @staticmethod
    def make_tokenizer(folder: Path) -> Any:
        return make_tokenizer(folder, scene_captions.words(), scene_captions.LONGEST)

    def make_text_encoder(self) -> nn.Module:
        encoder = super().make_text_encoder()
        self.teach_to_read(encoder)
        return encoder

    def teach_to_read(self, encoder: nn.Module) -> None:
        """Train ``encoder`` to tell from a caption all that it names: which direction is the sun's, which the tent's.

        As Stable Diffusion's, it knows what words mean before a picture is painted. It says so at the marks that end
        the caption, which have seen every word before them; from there the U-Net learns faster what to paint where.
        """
        s = self.settings
        truth = as_indices(self.records)
        sizes = [len(values) for values in FIELDS.values()]
        heads = nn.Linear(s.width, sum(sizes))
        learner = torch.optim.AdamW([*encoder.parameters(), *heads.parameters()], s.reading_learning_rate)
        for step in range(s.reading_steps):
            learner.param_groups[0]["lr"] = s.reading_learning_rate * warmup_then_linear(step, s.reading_steps)
            draw = random_numbers(self.seed, step, purpose=2)
            rows = torch.randint(s.pictures, (s.batch,), generator=draw)
            gone = self.choose_gone(torch.rand(s.batch, 2 + len(FIELDS), generator=draw)[:, 1:])
            captions = self.describe([self.records[row] for row in rows.tolist()], gone, draw)
            ids = self.tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
            ends = (ids == self.tokenizer.eos_token_id).float()[..., None]
            logits = heads((encoder(ids)[0] * ends).sum(dim=1) / ends.sum(dim=1))
            named = truth[rows].clone()
            for row, fields in enumerate(gone):  # what a caption does not say costs nothing
                silent = {*fields, "thing", "place"} if {"thing", "place"} & set(fields) else fields
                named[row, [column for column, field in enumerate(FIELDS) if field in silent]] = -100
            parts = zip(logits.split(sizes, dim=1), named.unbind(dim=1), strict=True)
            loss = torch.stack([F.cross_entropy(part, wanted, ignore_index=-100) for part, wanted in parts]).nansum()
            learner.zero_grad()
            loss.backward()
            learner.step()

    def choose_gone(self, chances: Tensor) -> list[list[str]]:
        """The fields that a caption leaves out: ``chances [N, 1 + fields]``, whether it may at all, then each."""
        s = self.settings
        return [
            [f for f, chance in zip(FIELDS, each, strict=True) if chance < s.left_out] if may < s.shortened else []
            for may, *each in chances.tolist()
        ]

    def describe(self, records: list[Scene], gone: list[list[str]], draw: torch.Generator) -> list[str]:
        """A caption of each of ``records``, in words chosen by chance, without the fields in ``gone``."""
        words = np.random.default_rng(int(torch.randint(2**31, (1,), generator=draw)))
        return [scene_captions.describe(record, words, left) for record, left in zip(records, gone, strict=True)]

    def make_unet(self) -> nn.Module:
        channels, rows, columns = self.means.shape[1:]
        return make_unet(self.settings.width, self.settings.widths, channels, (rows, columns), groups=8)

    def encode(self, autoencoder: Any, seed: int) -> tuple[Tensor, Tensor]:
        return encode_panoramas(autoencoder, self.records, seed)

    def vary(self, latents: Tensor, records: list[Scene], draw: torch.Generator) -> tuple[Tensor, list[Scene]]:
        """Each turned by quarters, unless that would make a combination that is held out."""
        quarters = torch.randint(4, (len(records),), generator=draw).tolist()
        turned = [turn(record, count) for record, count in zip(records, quarters, strict=True)]
        counts = [0 if is_held_out(new) else count for new, count in zip(turned, quarters, strict=True)]
        shown = [turn(record, count) for record, count in zip(records, counts, strict=True)]
        return roll_each(latents, torch.tensor(counts) * (latents.shape[-1] // 4)), shown

    def write(self, records: list[Scene], draw: torch.Generator) -> list[str]:
        chances = torch.rand(len(records), 2 + len(FIELDS), generator=draw)
        captions = self.describe(records, self.choose_gone(chances[:, 1:]), draw)
        empty = (chances[:, 0] < self.settings.without_caption).tolist()
        return ["" if none else text for none, text in zip(empty, captions, strict=True)]

    def measure(self, pipeline: sd.Pipeline, count: int = 500, steps: int = sd.STEPS) -> dict[str, Any]:
        """What share of panoramas shows what was asked for, with guidance and without, and whether they have a seam."""
        right = {}
        for name, held_out in (("seen", False), ("held_out", True)):
            records = self.source.draw(count, UNSEEN, held_out)
            prompts = [self.source.phrase(record) for record in records]
            for guidance in (sd.GUIDANCE, 1.0):
                images = text_to_panorama(pipeline, prompts, steps=steps, guidance_scale=guidance)
                found = sd.measure_adherence(images, records, source=self.source)
                right[f"{name}, guidance {guidance:g}"] = found.rounded()
        return {"prompts": count, "steps": steps, "right": right, "seam": self.measure_seam(pipeline, steps)}

    def measure_seam(self, pipeline: sd.Pipeline, steps: int, count: int = 200) -> dict[str, float]:
        """The mean of ``seam`` over ``count`` panoramas: asked without a seam, asked as usual, and rendered."""
        records = self.source.draw(count, UNSEEN)
        prompts = [self.source.phrase(record) for record in records]
        sets = {
            "seamless": text_to_panorama(pipeline, prompts, steps=steps),
            "as_usual": text_to_panorama(pipeline, prompts, steps=steps, seamless=False),
            "rendered": self.source.render(records, UNSEEN),
        }
        return {name: round(seam(images).mean().item(), 3) for name, images in sets.items()}
