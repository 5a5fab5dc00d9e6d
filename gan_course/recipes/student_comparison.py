"""What each loss of the one-step student is good for: students of equal seconds, with several seeds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_course import stable_diffusion as sd
from gan_course import zoo
from gan_course.data.scene_sets import SCENES
from gan_course.files import scratch_folder
from gan_course.recipes.run import UNSEEN, OneProcess, Run
from gan_course.recipes.scene_student import ScenesStudentRun, ScenesStudentSettings, load_teacher
from gan_course.recipes.student import distance, look_at
from gan_course.stable_diffusion.distill import from_the_end
from gan_course.stable_diffusion.pairs import Pairs, load_pairs
from gan_course.stable_diffusion.panoramas import text_to_panorama

FIGURES = ("right", "edge_energy", "spread", "frechet", "cpu_seconds")
#: The weights of each kind's losses, and its steps: 75 to 109 seconds of one core, as the card says of each.
KINDS: Mapping[str, tuple[dict[str, float], int]] = {
    "pairs": ({"regression": 1.0, "adversarial": 0.0}, 230),
    "distillation": ({"regression": 0.0, "distillation": 1.0, "adversarial": 0.0}, 158),
    "distillation, discriminator": ({"regression": 0.0, "distillation": 1.0, "adversarial": 0.3}, 106),
    "pairs, discriminator": ({"regression": 1.0, "adversarial": 0.3}, 134),
}


@dataclass(frozen=True)
class StudentComparisonSettings:
    pictures: int = 1500
    batch: int = 32
    steps: float = 1.0  # the share of its steps that each student takes
    prompts: int = 200
    repeated: int = 20  # prompts that are asked ten times
    seeds: int = 3


class StudentComparisonRun(Run):
    """One step: one student is trained, for about as long as every other, and measured."""

    name, steps = "student_comparison", 12
    settings: Any = StudentComparisonSettings()

    def __init__(
        self, seed: int, steps: int, teacher: sd.Pipeline, pairs: Pairs, accelerator: Any = None, settings: Any = None
    ):
        super().__init__(seed, steps, accelerator, settings)
        s = self.settings
        if steps != len(KINDS) * s.seeds:
            raise ValueError(f"this takes {len(KINDS) * s.seeds} steps, one for each student, but steps is {steps}")
        self.teacher, self.pairs = teacher, pairs
        self.depend_on(unet=teacher.unet)
        self.table = self.results["table"] = torch.full((len(KINDS), s.seeds, len(FIGURES)), torch.nan)
        self.records = SCENES.draw(s.prompts, UNSEEN)
        self.reader: Any = zoo.load(SCENES.reader)
        self.renders = SCENES.render(self.records, UNSEEN)

    @classmethod
    def start(cls, seed: int, steps: int, accelerator: Any, folder: Path) -> StudentComparisonRun:
        return cls(seed, steps, load_teacher(folder), load_pairs(folder), accelerator)

    def learn(self) -> dict[str, Tensor]:
        s = self.settings
        kind, number = divmod(self.done, s.seeds)
        weights, steps = list(KINDS.values())[kind]
        paired = s.batch if weights["regression"] else 0
        settings = ScenesStudentSettings(pictures=s.pictures, batch=s.batch, paired=paired, **weights)
        steps = max(1, round(s.steps * steps))
        run = ScenesStudentRun(self.seed + number, steps, self.teacher, self.pairs, OneProcess(), settings)
        start = time.process_time()
        while run.done < run.steps:
            run.step()
        spent = time.process_time() - start
        found = self.measure(run.student.finished()) | {"cpu_seconds": spent}
        self.table[kind, number] = torch.tensor([found[name] for name in FIGURES])
        return dict(zip(FIGURES, self.table[kind, number], strict=True))

    def measure(self, unet: Any, steps: int = 1, guidance: float = 1.0) -> dict[str, float]:
        """All figures but the seconds: of a student, or with more steps of the teacher."""
        model, s = from_the_end(self.teacher, unet), self.settings
        prompts = [SCENES.phrase(record) for record in self.records]
        images = text_to_panorama(model, prompts, steps=steps, guidance_scale=guidance)
        repeated = [prompt for prompt in prompts[: s.repeated] for _ in range(10)]
        again = text_to_panorama(model, repeated, steps=steps, guidance_scale=guidance)
        right = sd.measure_adherence(images, self.records, self.reader, SCENES).everything.value
        return {"right": right} | look_at(images, self.renders, again, repeated, self.reader)

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        s = self.settings
        others = SCENES.render(self.records, UNSEEN + 1)
        teacher = self.measure(self.teacher.unet, sd.STEPS, sd.GUIDANCE)
        about = {
            "what": f"Students of about equal seconds of one core, {s.seeds} seeds of each kind.",
            "prompts": s.prompts,
            "frechet_floor": round(distance(others, self.renders, self.reader), 4),
            "teacher": {name: teacher[name] for name in FIGURES if name in teacher},
            "students": {
                kind: [dict(zip(FIGURES, (round(value, 4) for value in row), strict=True)) for row in rows]
                for kind, rows in zip(KINDS, self.table.tolist(), strict=True)
            },
        }
        with scratch_folder() as place:
            return zoo.store_files(ScenesStudentRun.student_model, place, {"comparison": about | facts}, folder)
