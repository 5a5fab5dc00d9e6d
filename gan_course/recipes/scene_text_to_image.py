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
from gan_course.data.scene_captions import THING_NAMES
from gan_course.data.scene_record import DIRECTIONS
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


POINTERS = 2 + 1 + len(THING_NAMES)


def point(scene: Scene, angles: Tensor) -> Tensor:
    """How much each of ``angles [W]``, radians east of north, points to what ``scene`` names: ``[POINTERS, W]``.

    Row by row: to the north, to the east, to the sun or moon, and to each thing that there may be, in the order of
    ``THING_NAMES``. Cosines of the angle between, times the root of 2; 0 all around for what is not there.
    """
    quarter = torch.pi / 2
    light = DIRECTIONS.index(scene.light) * quarter
    rows = [angles.cos(), angles.sin(), (angles - light).cos()]
    for name in THING_NAMES:
        there = scene.place is not None and scene.thing == name
        rows.append((angles - DIRECTIONS.index(scene.place) * quarter).cos() if there else torch.zeros_like(angles))
    return 2**0.5 * torch.stack(rows)


@dataclass(frozen=True)
class ScenesTextToImageSettings(TextToImageSettings):
    pictures: int = 24_000
    coarse_noise: float = 0.75
    learning_rate: float = 1.5e-3
    widths: tuple[int, ...] = (48, 64, 96)
    reading_learning_rate: float = 1e-3
    reading_steps: int = 400  # in which the text encoder learns to read,
    pointing_steps: int = 300  # and these, of the main training, in which the U-Net hardly paints but points:
    painting_at_first: float = 0.03  # the weight of its error then, beside that of pointing,
    pointing_later: float = 0.5  # and the weight of pointing after that, beside painting


class ScenesTextToImageRun(TextToImageRun):
    """As for glyphs, but each panorama is turned by quarters, and its caption is worded anew at every step.

    In training, the U-Net has ``POINTERS`` more channels of output, which must *point* to what the caption names. A
    word such as "west" says nothing about a place in the picture by itself, nor does the place: only both together do.
    With all directions equally frequent, neither has a gradient before the other is known: without pointers they were
    at chance after 1,500 steps, while land, time and sky were known. Pointing is nothing else than directions, so it is
    learned in 150 steps, and painting then finds them. Afterwards those channels are cut off.
    """

    name, steps = "scenes_text_to_image", 8000
    settings = ScenesTextToImageSettings()
    source = SCENES
    model, autoencoder_recipe = MODEL, "scenes_decoder"
    precision = torch.float16

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
            ids = self.tokenize(captions)
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
        unet = make_unet(self.settings.width, self.settings.widths, channels, (rows, columns), groups=8)
        unet.conv_out = nn.Conv2d(self.settings.widths[0], channels + POINTERS, 3, padding=1)
        return unet

    def finish_unet(self, unet: Any) -> Any:
        """``unet`` without its pointers: what the library builds from its configuration."""
        painting = nn.Conv2d(self.settings.widths[0], unet.config.out_channels, 3, padding=1)
        for part, whole in zip(painting.parameters(), unet.conv_out.parameters(), strict=True):
            part.data.copy_(whole[: len(part)])
        unet.conv_out = painting.requires_grad_(False)
        return unet

    def compare(self, found: Tensor, wanted: Tensor, records: list[Scene]) -> tuple[Tensor, dict[str, Tensor]]:
        s, columns = self.settings, wanted.shape[-1]
        east_of_north = torch.pi * (2 * (torch.arange(columns) + 0.5) / columns - 1)
        toward = self.shard(torch.stack([point(record, east_of_north) for record in records]))
        painted, pointed = found.split([wanted.shape[1], POINTERS], dim=1)
        loss, missed = F.mse_loss(painted, wanted), F.mse_loss(pointed, toward[:, :, None].expand_as(pointed))
        shown = {"loss": loss, "missed": missed}
        if self.done < s.pointing_steps:
            return s.painting_at_first * loss + missed, shown
        return loss + s.pointing_later * missed, shown

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
