"""Large sets of scenes, for training: drawn on all cores, kept as bytes, turned to any side.

A panorama has no beginning: rolled sideways it is a panorama again, of somebody who looks another way.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from torch import Tensor

from gan_course.arguments import Count, Labels, Seed, guard, refuse
from gan_course.data import scene_captions
from gan_course.data.scenes import FIELDS, HELD_OUT_PAIRS, Scene, as_indices, draw_scenes, random_scenes

AT_ONCE = 64  # panoramas that a process draws before it hands them over
FEWEST = 4 * AT_ONCE  # for which starting processes pays


def draw_set(
    records: Sequence[Scene], seed: Seed, depth: bool = False, processes: Count | None = None
) -> tuple[Tensor, Tensor | None]:
    """A panorama of each record as bytes, uint8 ``[N, 3, 64, 128]``; with ``depth`` the logarithm of metres as well.

    The logarithm has 16 bits, ``[N, 1, 64, 128]``. Picture ``i`` is that of ``draw_scenes`` for the seed ``(seed, i)``,
    however many ``processes`` share the work: all cores unless said otherwise, and this one alone for a few pictures.
    The others import the main script anew, so that one has to begin below ``if __name__ == "__main__":``.
    Raises ``ValueError`` without any record.
    """
    if not records:
        raise ValueError("there are no scenes to draw: make some with random_scenes(count)")
    starts = range(0, len(records), AT_ONCE)
    tasks = [(records[i : i + AT_ONCE], [(seed, n) for n in range(i, i + AT_ONCE)], depth) for i in starts]
    workers = (os.cpu_count() or 1) if processes is None else processes
    if workers == 1 or len(records) < FEWEST:
        parts = [_draw(*task) for task in tasks]
    else:
        # spawned, as on every system; one thread each: they would fight for the cores
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(tasks)), context, torch.set_num_threads, (1,)) as pool:
            parts = list(pool.map(_draw, *zip(*tasks, strict=True)))
    logs = [log for _, log in parts if log is not None]
    return torch.cat([images for images, _ in parts]), torch.cat(logs) if depth else None


def _draw(records: Sequence[Scene], seeds: Sequence[tuple[int, int]], depth: bool) -> tuple[Tensor, Tensor | None]:
    drawn = draw_scenes(records, seeds[: len(records)], depth=depth)
    images = ((drawn.images + 1) * 127.5).round().to(torch.uint8)
    return images, None if drawn.depth is None else drawn.depth.log().half()


def as_images(whole: Tensor) -> Tensor:
    """Bytes ``[N, C, H, W]`` as float32 in ``[-1, 1]``."""
    if whole.dtype != torch.uint8:
        refuse("whole", "a tensor of bytes (uint8)", whole, "pictures of floats are what this makes")
    return whole.float() / 127.5 - 1


def roll_each(maps: Tensor, columns: Labels) -> Tensor:
    """Each of ``maps [N, C, H, W]`` rolled to the right by its own number of ``columns``, int64 ``[N]``."""
    if maps.ndim != 4 or maps.is_complex() or len(columns) != len(maps):
        wanted = f"a tensor of shape [N, C, H, W], like {len(columns)} columns"
        refuse("maps", wanted, maps, "pass one number of columns for each map")
    width = maps.shape[-1]
    source = (torch.arange(width, device=maps.device) - columns.to(maps.device)[:, None]) % width
    return maps.gather(3, source[:, None, None].expand(maps.shape))


class Panoramas:
    """Landscape panoramas of 64 x 128; the records are :class:`~gan_course.data.scenes.Scene`."""

    name, reader = "landscape panoramas", "scenes_classifier"
    fields: Sequence[str] = tuple(FIELDS)
    optional: Sequence[str] = tuple(FIELDS)
    held_out_pairs: Sequence[Any] = HELD_OUT_PAIRS
    draw = staticmethod(random_scenes)
    phrase = staticmethod(scene_captions.phrase)
    as_indices = staticmethod(as_indices)

    def render(self, records: Sequence[Scene], seed: Seed) -> Tensor:
        """A panorama of each record, ``[N, 3, 64, 128]`` in ``[-1, 1]``, drawn on all cores."""
        return as_images(draw_set(records, seed)[0])


SCENES = Panoramas()


guard(__name__)
