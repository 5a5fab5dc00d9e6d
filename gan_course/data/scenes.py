"""Landscape panoramas whose every truth is known: what they show, how far everything is, and how it looks at night.

Each picture is equirectangular (360° × 180°): the middle column looks north, east is to the right of it, and the left
and right edges meet in the south. ``landscape`` draws them; this file holds what can be asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_course.arguments import Count, Seed, guard, refuse
from gan_course.data import Dataset
from gan_course.data.attributes import Pairs, choose, has_pair
from gan_course.data.landscape import render
from gan_course.data.scene_captions import describe
from gan_course.data.scene_record import DIRECTIONS, FIELDS, LANDS, SKIES, THINGS, TIMES, Scene

#: Pairs that the models never see together in training, though they see each half with others: do they compose them?
HELD_OUT_PAIRS: Pairs = (
    (("land", "sea"), ("thing", "tent")),
    (("land", "mountains"), ("thing", "lighthouse")),
    (("land", "desert"), ("thing", "tree")),
    (("land", "meadow"), ("thing", "balloon")),
    (("land", "desert"), ("sky", "rain")),
    (("land", "forest"), ("sky", "fog")),
    (("land", "sea"), ("sky", "snow")),
    (("land", "mountains"), ("time", "dusk")),
    (("land", "meadow"), ("time", "night")),
    (("time", "dawn"), ("thing", "lighthouse")),
    (("thing", "tree"), ("place", "west")),
    (("thing", "balloon"), ("place", "east")),
)

LARGEST = 2_048  # rows
SAME_FOR_ALL = 64  # rows of the pictures that the course's models are trained on


def is_held_out(scene: Scene) -> bool:
    """Whether ``scene`` holds one of the pairs in ``HELD_OUT_PAIRS``."""
    return has_pair(scene, HELD_OUT_PAIRS)


def random_scenes(count: Count, seed: Seed = 0, held_out: bool | None = False) -> list[Scene]:
    """``count`` records drawn at random, the same for the same seed; a longer list begins with the shorter.

    None has a held-out pair, or with ``held_out=True`` each, or with ``None`` they come as they fall.
    Raises ``ValueError`` for ``count < 1``.
    """
    g = torch.Generator().manual_seed(seed)

    def stream() -> Iterator[Scene]:
        while True:
            for row in torch.rand(256, 6, generator=g).tolist():
                land, time, sky, light, thing, place = (
                    values[int(u * len(values))]
                    for u, values in zip(row, (LANDS, TIMES, SKIES, DIRECTIONS, THINGS, DIRECTIONS), strict=True)
                )
                yield Scene(land, time, sky, light, thing, None if thing == "none" else place)

    return choose(stream(), count, HELD_OUT_PAIRS, held_out)


def as_indices(scenes: Sequence[Scene]) -> Tensor:
    """Each record's place in ``FIELDS``: int64 ``[N, 6]``."""
    return torch.tensor([[v.index(getattr(s, field) or "none") for field, v in FIELDS.items()] for s in scenes])


def from_indices(indices: Tensor) -> list[Scene]:
    """The records of ``indices`` ``[N, 6]``. Raises ``ValueError`` where thing and place contradict each other."""
    sizes = torch.tensor([len(values) for values in FIELDS.values()])
    right = indices.dtype == torch.int64 and indices.ndim == 2 and indices.shape[1] == len(sizes) and len(indices)
    if not right or (indices < 0).any() or (indices >= sizes).any():
        refuse("indices", f"int64 of shape [N, {len(sizes)}], each below {sizes.tolist()}", indices, "see as_indices()")
    rows: list[dict[str, Any]] = [
        {f: values[i] for i, (f, values) in zip(row, FIELDS.items(), strict=True)} for row in indices.tolist()
    ]
    return [Scene(**row | {"place": None if row["place"] == "none" else row["place"]}) for row in rows]


def turn(scene: Scene, quarters: int) -> Scene:
    """The record of ``scene``'s panorama rolled to the right by ``quarters`` of its width: north becomes east."""

    def turned(heading: str) -> str:
        return DIRECTIONS[(DIRECTIONS.index(heading) + quarters) % 4]

    return replace(scene, light=turned(scene.light), place=None if scene.place is None else turned(scene.place))


@dataclass(frozen=True)
class Scenes(Dataset):
    """Panoramas ``images`` ``[N, 3, H, 2 H]`` with what they show.

    ``records``: one ``Scene`` a picture. ``seeds``: ``(seed, number)`` of each, from which ``draw_scenes`` draws it
    again. ``depth``: float32 ``[N, 1, H, 2 H]``, metres from the eye in (0, 300], where 300 is the sky; ``None`` unless
    asked for. Labels index ``LANDS``.
    """

    records: tuple[Scene, ...] = ()
    seeds: tuple[tuple[int, int], ...] = ()
    depth: Tensor | None = None

    def __getitem__(self, index: Tensor | slice) -> Scenes:
        rows = torch.arange(len(self))[index]
        chosen = super().__getitem__(index)
        assert isinstance(chosen, Scenes)
        return replace(
            chosen,
            records=tuple(self.records[i] for i in rows.tolist()),
            seeds=tuple(self.seeds[i] for i in rows.tolist()),
            depth=None if self.depth is None else self.depth[rows],
        )

    def twin(self, time: str | None = None, sky: str | None = None, light: str | None = None) -> Scenes:
        """The same places at another ``time``, under another ``sky`` or with the ``light`` elsewhere; same depth.

        What is ``None`` stays as it is. Raises ``ValueError`` for an unknown word.
        """
        changes = {key: value for key, value in (("time", time), ("sky", sky), ("light", light)) if value is not None}
        records = [replace(record, **changes) for record in self.records]
        return draw_scenes(records, self.seeds, self.images.shape[2], depth=self.depth is not None)


def check_height(height: int) -> None:
    """Raise ``ValueError`` unless ``height`` can be the rows of a panorama."""
    if height % 8 or not SAME_FOR_ALL <= height <= LARGEST:
        near = min(LARGEST, max(SAME_FOR_ALL, 8 * round(height / 8)))
        raise ValueError(
            f"height must be a multiple of 8 from {SAME_FOR_ALL} to {LARGEST} rows but is {height}: try {near}"
        )


def draw_scenes(
    records: Sequence[Scene],
    seeds: Sequence[tuple[int, int]] | Seed = 0,
    height: int = SAME_FOR_ALL,
    depth: bool = False,
) -> Scenes:
    """One panorama of each record, ``[len(records), 3, height, 2 height]``, with captions in varied wording.

    ``seeds`` decide what a record leaves open; one number stands for ``(number, 0)``, ``(number, 1)``, …. The ground
    and all that stands on it hang on the seed, the land, the thing and its place alone, never on time, sky or light.
    Raises ``ValueError`` without any record, for another number of seeds than of records, and for a bad ``height``.
    """
    if not records:
        raise ValueError("there are no scenes to draw: make some with random_scenes(count)")
    check_height(height)
    numbers = [(seeds, i) for i in range(len(records))] if isinstance(seeds, int) else list(seeds)
    if len(numbers) != len(records):
        raise ValueError(f"{len(records)} records need as many seeds, not {len(numbers)}")
    images = torch.empty(len(records), 3, height, 2 * height)
    far = torch.empty(len(records), 1, height, 2 * height) if depth else None
    captions = []
    for i, (record, number) in enumerate(zip(records, numbers, strict=True)):
        picture, metres = render(record, number, height)
        images[i] = torch.from_numpy(picture).mul_(2).sub_(1)
        if far is not None:
            far[i, 0] = torch.from_numpy(metres)
        captions.append(describe(record, np.random.default_rng([*number, 99])))
    labels = torch.tensor([LANDS.index(record.land) for record in records])
    return Scenes("scenes", images, labels, LANDS, tuple(captions), tuple(records), tuple(numbers), far)


def scenes(
    count: Count = 2_000,
    seed: Seed = 0,
    height: int = SAME_FOR_ALL,
    held_out: bool | None = False,
    depth: bool = False,
) -> Scenes:
    """``count`` panoramas of random scenes, ``[count, 3, height, 2 height]``, the same for the same seed.

    The first pictures of a larger set are those of a smaller one. ``held_out`` as in ``random_scenes``; with ``depth``
    the depth of every pixel is kept too. Raises ``ValueError`` for ``count < 1`` and for a ``height`` that is no
    multiple of 8 from 64 to 2048.
    """
    check_height(height)
    return draw_scenes(random_scenes(count, seed, held_out), seed, height, depth)


guard(__name__)
