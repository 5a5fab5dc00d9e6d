"""Pairs of a noise and the end of the teacher's way from it: what a one-step student of panoramas learns from.

From one noise and one prompt, a sampler without chance (DDIM, arXiv 2010.02502) always comes to the same end. So
whoever is asked for that end has one right answer, and not many.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gan_course import zoo
from gan_course.arguments import Count, Seed, guard
from gan_course.checkpoints import load_checkpoint
from gan_course.data.scene_sets import SCENES
from gan_course.data.scenes import Scene

PAIRS = "scene_pairs"
FILE = "pairs.safetensors"


class Pairs(NamedTuple):
    """``noise`` and ``ends``, both ``[N, 4, 8, 16]``, and the ``records`` of what the teacher was asked for."""

    records: list[Scene]
    noise: Tensor
    ends: Tensor


def begin_pairs(count: Count, seed: Seed) -> Pairs:
    """``count`` pairs whose ends nobody has gone to yet: they are NaN."""
    noise = torch.randn(count, 4, 8, 16, generator=torch.Generator().manual_seed(seed))
    return Pairs(SCENES.draw(count, seed), noise, torch.full_like(noise, torch.nan))


def load_pairs(folder: Path = zoo.FOLDER) -> Pairs:
    """The pairs in the zoo: their teacher is Mini Stable Diffusion II, with guidance.

    Raises ``ValueError`` and ``FileNotFoundError`` as :func:`gan_course.zoo.check_files`.
    """
    zoo.check_files(PAIRS, folder)
    tensors, notes = load_checkpoint(folder / PAIRS / FILE)
    ends = tensors["ends"].float()
    return begin_pairs(len(ends), notes["seed"])._replace(ends=ends)


guard(__name__)
