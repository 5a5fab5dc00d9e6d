"""How the one-step student of panoramas was trained: by pairs from its teacher, and by a discriminator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_course import losses, zoo
from gan_course import stable_diffusion as sd
from gan_course.checkpoints import save_checkpoint
from gan_course.data.scene_sets import SCENES, roll_each
from gan_course.data.scenes import is_held_out, turn
from gan_course.files import scratch_folder
from gan_course.recipes.run import Run, random_numbers
from gan_course.recipes.scene_autoencoder import MODEL
from gan_course.recipes.scene_text_to_image import encode_panoramas
from gan_course.recipes.student import StudentRun, StudentSettings
from gan_course.stable_diffusion.distill import (
    PANORAMA_STUDENT,
    distillation_loss,
    features,
    from_the_end,
    guided_view,
    one_step,
    read_words,
)
from gan_course.stable_diffusion.pairs import FILE, PAIRS, Pairs, begin_pairs, load_pairs
from gan_course.stable_diffusion.panoramas import text_to_latents, text_to_panorama


def load_teacher(folder: Path) -> sd.Pipeline:
    """Mini Stable Diffusion II in ``folder``. Raises ``FileNotFoundError`` where it is missing."""
    if not (folder / MODEL / "model_index.json").is_file():
        raise FileNotFoundError(f"there is no teacher in {folder}: run gan-course train scenes_text_to_image first")
    return sd.load_pipeline(folder / MODEL)


# ------------------------------------------------------------------------------------------ the pairs


@dataclass(frozen=True)
class ScenePairsSettings:
    at_once: int = 64  # pairs in a step
    ways: int = 16  # steps of the teacher from a noise to its end
    guidance: float = sd.GUIDANCE


class ScenePairsRun(Run):
    """One step: the teacher goes all the way from the noise of the next pairs. Nothing is trained."""

    name, steps = "scene_pairs", 32
    settings: Any = ScenePairsSettings()

    def __init__(self, seed: int, steps: int, teacher: sd.Pipeline, accelerator: Any = None, settings: Any = None):
        super().__init__(seed, steps, accelerator, settings)
        self.walker = from_the_end(teacher)
        self.depend_on(unet=teacher.unet, text_encoder=teacher.text_encoder)
        for network in (teacher.unet, teacher.text_encoder):
            network.requires_grad_(False).eval().to(self.accelerator.device)
        self.pairs = begin_pairs(steps * self.settings.at_once, seed)
        self.results["ends"] = self.pairs.ends  # NaN where a way was not gone yet

    @classmethod
    def start(cls, seed: int, steps: int, accelerator: Any, folder: Path) -> ScenePairsRun:
        return cls(seed, steps, load_teacher(folder), accelerator)

    def learn(self) -> dict[str, Tensor]:
        s = self.settings
        rows = slice(self.done * s.at_once, (self.done + 1) * s.at_once)
        captions = [SCENES.phrase(record) for record in self.pairs.records[rows]]
        noise = self.pairs.noise[rows].to(self.accelerator.device)
        self.pairs.ends[rows] = text_to_latents(self.walker, captions, noise, s.ways, s.guidance).cpu()
        return {"spread": self.pairs.ends[rows].std()}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        ends = self.pairs.ends.half()  # half the file; what is rounded away is a thousandth of their spread
        about = {
            "what": "Where the teacher's ways from many noises end, for a student that is to go there in one step.",
            "data": f"{len(ends):,} captions of {SCENES.name} without any of the held-out pairs",
            "settings": asdict(self.settings),
        }
        with scratch_folder() as place:
            save_checkpoint(place / FILE, {"ends": ends}, {"seed": self.seed})
            return zoo.store_files(PAIRS, place, about | facts, folder)


# ------------------------------------------------------------------------------------------ the student


@dataclass(frozen=True)
class ScenesStudentSettings(StudentSettings):
    pictures: int = 4000
    batch: int = 64
    paired: int = 32  # of a batch start from the noise of a pair, the others from fresh noise
    learning_rate: float = 5e-4
    heads_learning_rate: float = 1.5e-3
    judged_up_to: float = 0.5
    regression: float = 1.0  # the weight of the squared distance from where the teacher's own way ends,
    distillation: float = 0.0  # of what the teacher sees in the student's pictures,
    adversarial: float = 0.3  # and of the discriminator; 0 leaves each out


class ScenesStudentRun(StudentRun):
    """One step: a part of each batch starts from the noise of pairs, the rest from fresh noise.

    Pairs are turned by quarters, unless that would make a combination that is held out. The regression sees that part
    alone, discriminator and distillation see all.
    """

    name, steps = "scenes_student", 800
    settings: Any = ScenesStudentSettings()
    source = SCENES
    model, student_model, teacher_recipe = MODEL, PANORAMA_STUDENT, "scenes_text_to_image"

    def __init__(
        self,
        seed: int,
        steps: int,
        teacher: sd.Pipeline,
        pairs: Pairs,
        accelerator: Any = None,
        settings: Any = None,
    ):
        super().__init__(seed, steps, teacher, accelerator, settings)
        self.pairs = pairs
        self.depend_on(pairs=pairs.ends)

    @classmethod
    def start(cls, seed: int, steps: int, accelerator: Any, folder: Path) -> ScenesStudentRun:
        teacher = load_teacher(folder)
        if not (folder / PAIRS / FILE).is_file():
            raise FileNotFoundError(f"there are no pairs in {folder}: run gan-course train scene_pairs first")
        return cls(seed, steps, teacher, load_pairs(folder), accelerator)

    @classmethod
    def load_teacher(cls, folder: Path) -> sd.Pipeline:
        return load_teacher(folder)

    def encode(self, autoencoder: Any, seed: int) -> tuple[Tensor, Tensor]:
        if not self.settings.adversarial:  # nobody looks at real latents, which are what takes time
            nothing = torch.zeros(len(self.records), *begin_pairs(1, 0).noise.shape[1:])
            return nothing, nothing
        return encode_panoramas(autoencoder, self.records, seed)

    def take_pairs(self, count: int, draw: torch.Generator) -> Pairs:
        """Some of the pairs, turned."""
        rows = torch.randint(len(self.pairs.records), (count,), generator=draw)
        quarters = torch.randint(4, (count,), generator=draw).tolist()
        records = [self.pairs.records[row] for row in rows.tolist()]
        quarters = [0 if is_held_out(turn(a, n)) else n for a, n in zip(records, quarters, strict=True)]
        columns = torch.tensor(quarters, dtype=torch.int64) * (self.pairs.noise.shape[-1] // 4)
        return Pairs(
            [turn(record, count) for record, count in zip(records, quarters, strict=True)],
            roll_each(self.pairs.noise[rows], columns),
            roll_each(self.pairs.ends[rows], columns),
        )

    def learn(self) -> dict[str, Tensor]:
        s, scheduler = self.settings, self.scheduler
        draw = random_numbers(self.seed, self.done)
        rows = torch.randint(s.pictures, (s.batch,), generator=draw)
        shape = s.batch, *self.means.shape[1:]
        noise, real_noise, fake_noise, taught_noise, spread = torch.randn(5, *shape, generator=draw)
        real_captions = self.write([self.records[row] for row in rows.tolist()], draw)
        captions, ends = list(real_captions), torch.zeros(shape)
        if s.paired:
            pairs = self.take_pairs(s.paired, draw)
            captions[: s.paired] = [self.source.phrase(record) for record in pairs.records]
            noise[: s.paired], ends[: s.paired] = pairs.noise, pairs.ends
        judged, taught = self.times(s.judged_up_to, draw), self.times(s.taught_up_to, draw)
        real = self.shard(self.means[rows] + self.spreads[rows] * spread)
        noise, real_noise, fake_noise, taught_noise = map(self.shard, (noise, real_noise, fake_noise, taught_noise))
        judged, taught, words = map(self.shard, (judged, taught, read_words(self.teacher, captions)))
        has_pair, ends = self.shard(torch.arange(s.batch) < s.paired), self.shard(ends)

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
            real_words = self.shard(read_words(self.teacher, real_captions))
            noisy = scheduler.add_noise(real, real_noise, judged)
            real_maps = features(self.teacher.unet, noisy, judged, real_words)
        both = [torch.cat([a, b.detach()]) for a, b in zip(real_maps, fake_maps, strict=True)]
        shown["found"] = losses.hinge_discriminator_loss(*self.heads.wrapped(both).chunk(2))
        self.update(self.heads, shown["found"])
        return shown

    def ask(self, model: sd.Pipeline, prompts: list[str], steps: int, guidance: float) -> Tensor:
        return text_to_panorama(model, prompts, steps=steps, guidance_scale=guidance)
