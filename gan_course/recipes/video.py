"""How chapter 12's network was trained, which makes clips of moving glyphs, and single pictures of them, too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course import diffusion, zoo
from gan_course.recipes.run import UNSEEN, Run, random_numbers, spread_evenly
from gan_course.video.clips import moving_glyphs
from gan_course.video.measures import measure
from gan_course.video.network import SHARED, SpaceTimeUNet, draw_noise, sample, shifted

MEASURED = 60  # clips of each kind, for the card


@dataclass(frozen=True)
class MovingGlyphsSettings:
    clips: int = 2  # of a step,
    pictures: int = 16  # and the single pictures beside them: they show more digits in the same time
    learning_rate: float = 1.5e-3
    untold: float = 0.1  # the share that isn't told its digit, so that guidance is possible


class MovingGlyphsRun(Run):
    """Rectified flow on clips; and on single pictures, with the layers over time left out.

    Both at once, as Ho and others did (2022, arXiv 2204.03458): so the one network is also the model of single pictures
    that the clips are compared with.
    """

    name, steps, settings = "moving_glyphs", 8000, MovingGlyphsSettings()

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: MovingGlyphsSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        self.unet = self.add("unet", SpaceTimeUNet, self.settings.learning_rate, 0.999, weight_decay=0.0)

    def error(self, frames: Tensor, labels: Tensor, over_time: bool, draw: torch.Generator) -> Tensor:
        """The mean squared error of the velocity at random times on ``frames [N, T, C, H, W]``."""
        t = shifted(spread_evenly(len(frames), draw))
        noise = torch.randn(frames.shape, generator=draw)
        labels = labels.masked_fill(torch.rand(len(labels), generator=draw) < self.settings.untold, 10)
        noisy, wanted = diffusion.flow_mix(frames, noise, t), diffusion.flow_velocity(frames, noise)
        found = self.unet.wrapped(self.shard(noisy), self.shard(t), self.shard(labels), over_time)
        return F.mse_loss(found, self.shard(wanted))

    def learn(self) -> dict[str, Tensor]:
        s, draw = self.settings, random_numbers(self.seed, self.done)
        seed = int(torch.randint(2**31, (1,), generator=draw))
        clips, pictures = moving_glyphs(s.clips, seed), moving_glyphs(s.pictures, seed + 1, frames=1)
        over_time = self.error(clips.frames, clips.labels, True, draw)
        alone = self.error(pictures.frames, pictures.labels, False, draw)
        self.update(self.unet, over_time + alone)
        return {"clips": over_time, "pictures": alone}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        network = self.unet.finished().half().float()  # what is measured has been rounded, too
        labels, reader = torch.arange(MEASURED) % 10, zoo.load("attributes_classifier")
        real = moving_glyphs(MEASURED, UNSEEN)
        found = {"real": measure(real.frames, real.labels, reader).means()}
        for noise, shared in (("fresh_noise", 0.0), ("shared_noise", SHARED)):
            start = draw_noise(network, MEASURED, UNSEEN, shared)
            for kind, over_time in (("clips", True), ("frame_by_frame", False)):
                clips = sample(network, start, labels, over_time=over_time)
                found[f"{kind}_{noise}"] = measure(clips, labels, reader).means()
        about = {
            "what": "Makes clips of 16 frames in which a digit moves, by rectified flow; and single pictures of it.",
            "network": {"class": "SpaceTimeUNet", "arguments": {}},
            "data": "moving glyphs, drawn anew at every step: ten digits, four fonts, the colours that show on black",
            "metrics": {
                "asked_digit_accuracy": found["clips_shared_noise"]["asked"],
                "clips_of_each": MEASURED,
                "variance_shared": SHARED,
            }
            | found,
        }
        return zoo.store(self.name, network.half(), about | facts, folder)
