"""First measures of success. Chapter 06 builds the serious ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Nearest(NamedTuple):
    """For each sample its nearest real picture."""

    distance: Tensor  # [N], Euclidean, in pixel units of [-1, 1]
    index: Tensor  # type: ignore[assignment]  # [N], int64, into the real pictures; hides tuple.index


def nearest_real(samples: Tensor, real: Tensor) -> Nearest:
    """For each of ``samples [N, ...]`` the nearest of ``real [M, ...]``, both flattened.

    Raises ``ValueError`` where the two differ in shape.
    """
    if samples.shape[1:] != real.shape[1:]:
        shapes = f"{list(samples.shape[1:])} but real pictures {list(real.shape[1:])}"
        raise ValueError(f"samples have shape {shapes}: compare like with like")
    rows = samples.flatten(1).split(500)  # 500 rows at a time keep the table of distances small
    best = [torch.cdist(chunk, real.flatten(1)).min(dim=1) for chunk in rows]
    return Nearest(torch.cat([b.values for b in best]), torch.cat([b.indices for b in best]))


def realism_gap(samples: Tensor, real: Tensor) -> float:
    """How much farther from real pictures the samples lie than other real pictures do: 1 means "as near as real ones".

    The first quarter of ``real`` (at most 1,000) is held back; the median distance from a sample to its nearest
    neighbour among the others is divided by the same median for those held back. It says nothing about variety: a
    generator that repeats one real picture scores 0.
    """
    held_back = min(1000, len(real) // 4)
    others = real[held_back:]
    median = nearest_real(samples, others).distance.median()
    return (median / nearest_real(real[:held_back], others).distance.median()).item()


def class_shares(samples: Tensor, real: Tensor, labels: Tensor, classes: int = 10) -> Tensor:
    """The share of ``samples`` whose nearest real picture has each label: ``[classes]``, summing to 1."""
    counts = torch.bincount(labels[nearest_real(samples, real).index], minlength=classes)
    return counts / len(samples)


def modes_covered(points: Tensor, centres: Tensor, radius: float = 0.2, share: float = 0.02) -> int:
    """How many of ``centres [K, 2]`` have at least ``share`` of ``points [N, 2]`` within ``radius``.

    Mode collapse in one number.
    """
    near = torch.cdist(points, centres) < radius
    return int((near.float().mean(dim=0) >= share).sum())
