"""How the one-step student was trained: what one step of its recipe does, and how it is measured."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import losses, metrics, zoo
from gan_course import stable_diffusion as sd
from gan_course.data.render import GLYPHS, Source, shorten
from gan_course.files import scratch_folder
from gan_course.networks import channels_last
from gan_course.recipes.run import UNSEEN, Run, random_numbers, spread_evenly
from gan_course.stable_diffusion.distill import (
    STUDENT,
    Heads,
    distillation_loss,
    feature_widths,
    features,
    from_the_end,
    guided_view,
    one_step,
    read_words,
)
from gan_course.stable_diffusion.latents import encode


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

    name, steps = "student", 1000
    settings = StudentSettings()
    source: Source = GLYPHS
    model, student_model = sd.MINI, STUDENT  # where in the zoo the teacher is, and where the student goes
    teacher_recipe = "text_to_image"

    def __init__(
        self,
        seed: int,
        steps: int,
        teacher: sd.Pipeline,
        accelerator: Any = None,
        settings: StudentSettings | None = None,
    ):
        super().__init__(seed, steps, accelerator, settings)
        s, device = self.settings, self.accelerator.device
        self.teacher, self.scheduler = teacher, teacher.scheduler
        self.depend_on(unet=teacher.unet, text_encoder=teacher.text_encoder, autoencoder=teacher.vae)
        for network in (teacher.unet, teacher.text_encoder, teacher.vae):
            network.requires_grad_(False).eval().to(device)
        channels_last(teacher.unet)
        self.records = self.source.draw(s.pictures, seed + 2)
        self.means, self.spreads = self.encode(teacher.vae, seed + 2)
        self.empty = read_words(teacher, [""])
        betas = (0.0, 0.99)  # no momentum: the other side has moved by then

        def copied() -> nn.Module:
            return copy.deepcopy(teacher.unet).requires_grad_(True).train()

        def heads() -> nn.Module:
            return Heads(feature_widths(teacher.unet), s.width)

        self.student = self.add("student", copied, s.learning_rate, s.decay, betas, weight_decay=0.0)
        self.heads = self.add("heads", heads, s.heads_learning_rate, betas=betas, weight_decay=0.0)

    def encode(self, autoencoder: Any, seed: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the scaled latents of all records' pictures."""
        return encode(autoencoder, self.records, seed, self.source)

    @classmethod
    def start(cls, seed: int, steps: int, accelerator: Any, folder: Path) -> StudentRun:
        if not (folder / cls.model / "model_index.json").is_file():
            raise FileNotFoundError(f"there is no teacher in {folder}: run gan-course train {cls.teacher_recipe} first")
        return cls(seed, steps, cls.load_teacher(folder), accelerator)

    @classmethod
    def load_teacher(cls, folder: Path) -> sd.Pipeline:
        return sd.load_pipeline(folder=folder)

    def learn(self) -> dict[str, Tensor]:
        s, unet, scheduler = self.settings, self.teacher.unet, self.scheduler
        draw = random_numbers(self.seed, self.done)
        rows = torch.randint(s.pictures, (s.batch,), generator=draw)
        shape = (s.batch, *self.means.shape[1:])
        real = self.means[rows] + self.spreads[rows] * torch.randn(shape, generator=draw)
        noise, real_noise, fake_noise, taught_noise = torch.randn(4, *shape, generator=draw)
        captions = self.write([self.records[row] for row in rows.tolist()], draw)
        real, noise, real_noise, fake_noise, taught_noise = map(
            self.shard, (real, noise, real_noise, fake_noise, taught_noise)
        )
        judged, taught = self.shard(self.times(s.judged_up_to, draw)), self.shard(self.times(s.taught_up_to, draw))
        words = self.shard(read_words(self.teacher, captions))

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
        part = spread_evenly(self.settings.batch, draw)
        return (up_to * part * self.scheduler.config.num_train_timesteps).long()

    def write(self, records: Sequence[Any], draw: torch.Generator) -> list[str]:
        """A caption each, in full or shortened."""
        chances = torch.rand(len(records), 1 + len(self.source.optional), generator=draw)
        return shorten(self.source, records, chances, self.settings.shortened, self.settings.left_out)

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        student = self.student.finished()
        with scratch_folder() as place:
            student.half().save_pretrained(place)  # 16 bits: half the file; what is measured has been rounded, too
            about = {
                "what": "The mini Stable Diffusion's U-Net, distilled into one step.",
                "data": f"{self.source.name}: {self.settings.pictures:,} pictures without any of the held-out pairs",
                "settings": asdict(self.settings),
                "metrics": self.measure(self.load_teacher(folder), student.float()),
            }
            return zoo.store_files(self.student_model, place, about | facts, folder)

    def ask(self, model: Any, prompts: list[str], steps: int, guidance: float) -> Tensor:
        """The pictures of ``model`` that are measured."""
        return sd.text_to_image(model, prompts, steps=steps, guidance_scale=guidance)

    def measure(
        self, pipeline: sd.Pipeline, student: Any, count: int = 500, steps: Sequence[int] = (1, 2, 4, 8, 16, 25, 50)
    ) -> dict[str, Any]:
        """Teacher with ``steps`` guided steps and student side by side: readings, distances, sharpness, spread, time.

        ``count`` prompts, the same for all; seconds of one processor core for a picture. The distances are to renders
        of what the prompts say, in the reader's features, beside that of other such renders, the floor. ``spread``:
        that of the features of pictures of one prompt, over ten noises.
        """
        source = self.source
        reader: Any = zoo.load(source.reader)
        shown = source.draw(count, UNSEEN)
        renders, others = (source.render(shown, UNSEEN + i) for i in range(2))
        repeated = [source.phrase(record) for record in source.draw(20, UNSEEN) for _ in range(10)]
        teacher, one = from_the_end(pipeline), from_the_end(pipeline, student)

        def look(model: sd.Pipeline, n: int, guidance: float, held_out: bool = False) -> dict[str, Any]:
            records = source.draw(count, UNSEEN, held_out)
            prompts = [source.phrase(record) for record in records]
            start = time.process_time()
            images = self.ask(model, prompts, n, guidance)
            seconds = (time.process_time() - start) / count
            right = sd.measure_adherence(images, records, reader, source).rounded()
            found = {"steps": n, "guidance": guidance, "right": right}
            if held_out:
                return found
            again = self.ask(model, repeated, n, guidance)
            return found | look_at(images, renders, again, repeated, reader) | {"seconds": round(seconds, 5)}

        last = sd.STEPS
        return {
            "prompts": count,
            "frechet_floor": round(distance(others, renders, reader), 4),
            "teacher": [look(teacher, n, sd.GUIDANCE) for n in steps] + [look(teacher, 1, 1.0)],
            "student": look(one, 1, 1.0),
            "held_out": {"teacher": look(teacher, last, sd.GUIDANCE, True), "student": look(one, 1, 1.0, True)},
        }


def distance(images: Tensor, renders: Tensor, reader: Any) -> float:
    """The Fréchet distance of ``images`` from ``renders`` in the features of ``reader``."""
    made, real = (metrics.extract_features(x, reader.features) for x in (images, renders))
    return metrics.frechet_distance(made, real)


def look_at(images: Tensor, renders: Tensor, again: Tensor, prompts: list[str], reader: Any) -> dict[str, float]:
    """How near ``images`` are to ``renders`` of the same prompts, how sharp beside them, and how varied.

    ``again``: pictures of ``prompts``, each of which stands there several times.
    """
    made, real, repeated = (metrics.extract_features(x, reader.features) for x in (images, renders, again))
    shares = metrics.precision_recall(real, made)
    found = {
        "frechet": metrics.frechet_distance(made, real),
        "precision": shares.precision,
        "recall": shares.recall,
        "edge_energy": metrics.edge_energy(images) / metrics.edge_energy(renders),
        "spread": metrics.spread_within(repeated, prompts),
    }
    return {name: round(value, 4) for name, value in found.items()}
