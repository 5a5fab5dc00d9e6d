"""Captioned pictures made to order: records drawn at random, a picture of each, and a sentence that says what it shows.

The recipes of the zoo learn from a :class:`Source` and know nothing else about what is in its pictures.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from gan_course.arguments import Seed, guard
from gan_course.data.attributes import (
    FIELDS,
    HELD_OUT_PAIRS,
    OPTIONAL,
    Attributes,
    as_indices,
    draw_attributes,
    phrase,
)
from gan_course.data.glyphs import colour_glyphs


def render(records: Sequence[Attributes], seed: Seed) -> Tensor:
    """A coloured glyph of each record: ``[N, 3, 32, 32]`` in ``[-1, 1]``, the same for the same seed."""
    digits = "".join(FIELDS["character"])  # always all of them: their outlines are prepared once for each set
    return colour_glyphs(records, seed, digits).images


class Source(Protocol):
    """What captioned pictures come from. A record is whatever describes one picture; equal seeds give equal results."""

    name: str  # in the words of a card
    reader: str  # the network of the zoo that reads its pictures
    fields: Sequence[str]  # what that reads, in the order of as_indices
    optional: Sequence[str]  # the fields that a caption may leave out
    held_out_pairs: Sequence[Any]  # of (field, value), which draw leaves out unless it is told otherwise

    def draw(self, count: int, seed: int = 0, held_out: bool | None = False) -> list[Any]:
        """Random records: without any combination that is held out, with ``True`` of those alone, ``None``: of all."""

    def render(self, records: Sequence[Any], seed: int) -> Tensor:
        """A picture of each record: ``[N, 3, H, W]`` in ``[-1, 1]``; ``seed`` decides what the record leaves open."""

    def phrase(self, record: Any, leave_out: Collection[str] = ()) -> str:
        """The caption of one record, without the fields that ``leave_out`` names."""

    def as_indices(self, records: Sequence[Any]) -> Tensor:
        """What a classifier should read off the pictures: int64 ``[N, fields]``."""


class Glyphs:
    """Coloured glyphs; the records are :class:`~gan_course.data.attributes.Attributes`."""

    name, reader = "colour glyphs", "attributes_classifier"
    fields: Sequence[str] = tuple(FIELDS)
    optional: Sequence[str] = OPTIONAL
    held_out_pairs: Sequence[Any] = HELD_OUT_PAIRS
    draw = staticmethod(draw_attributes)
    render = staticmethod(render)
    phrase = staticmethod(phrase)
    as_indices = staticmethod(as_indices)


GLYPHS = Glyphs()


def draw_fresh(source: Source, count: int, random: torch.Generator) -> tuple[list[Any], Tensor]:
    """Records as they fall, held-out combinations among them, and their pictures; ``random`` is asked for one seed."""
    seed = int(torch.randint(2**31, (1,), generator=random))
    records = source.draw(count, seed, held_out=None)
    return records, source.render(records, seed)


def shorten(source: Source, records: Sequence[Any], chances: Tensor, shortened: float, left_out: float) -> list[str]:
    """A caption of each record, a share ``shortened`` of them without some fields: each goes with chance ``left_out``.

    ``chances [N, 1 + len(source.optional)]`` are uniform in [0, 1): whether to shorten, then one for each field.
    """
    captions = []
    for record, (first, *others) in zip(records, chances.tolist(), strict=True):
        gone = [name for name, chance in zip(source.optional, others, strict=True) if chance < left_out]
        captions.append(source.phrase(record, gone if first < shortened else ()))
    return captions


guard(__name__)
