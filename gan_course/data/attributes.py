"""What a coloured glyph shows, as a record and as an English sentence.

Every word of a caption can be checked in its picture: that is what makes these captions fit to teach a text-to-image
model with, and to measure whether it listens.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from gan_course.arguments import Count, Seed, guard
from gan_course.data.outlines import STYLES, check_characters

Pairs = tuple[tuple[tuple[str, str], tuple[str, str]], ...]  # of (field, value) that no record may hold together
Record = TypeVar("Record")

# sRGB in 0..1. Chosen far apart, so that the nearest name of a slightly changed colour is still its own.
COLOURS = {
    "white": (1.00, 1.00, 1.00),
    "black": (0.00, 0.00, 0.00),
    "grey": (0.50, 0.50, 0.50),
    "red": (0.88, 0.08, 0.08),
    "orange": (1.00, 0.55, 0.00),
    "yellow": (1.00, 0.92, 0.10),
    "green": (0.05, 0.55, 0.12),
    "blue": (0.12, 0.25, 0.92),
    "purple": (0.52, 0.10, 0.62),
    "pink": (1.00, 0.60, 0.78),
}
SIZES = {"small": 10.5, "medium": 14.5, "large": 19.5}  # the larger side of a capital in pixels of 32
POSITIONS = {  # where the glyph leans to: -1 is left or top, 1 is right or bottom
    "in the middle": (0, 0),
    "at the top left": (-1, -1),
    "at the top right": (1, -1),
    "at the bottom left": (-1, 1),
    "at the bottom right": (1, 1),
}
CONTRAST = 2.4  # between stroke and background, as WCAG 2 defines it: 1 is none, 21 is black on white
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Attributes:
    """What a coloured glyph shows. Raises ``ValueError`` for an unknown value and for colours that hardly differ."""

    character: str
    colour: str
    background: str
    size: str = "medium"
    position: str = "in the middle"
    style: str = "regular"

    def __post_init__(self) -> None:
        known: dict[str, Collection[str]] = {
            "colour": COLOURS,
            "background": COLOURS,
            "size": SIZES,
            "position": POSITIONS,
            "style": STYLES,
        }
        for field, values in known.items():
            if (value := getattr(self, field)) not in values:
                raise ValueError(f"{field} {value!r} is not known: choose from {', '.join(values)}")
        check_characters(self.character)
        if len(self.character) != 1:
            raise ValueError(f"character must be a single one but is {self.character!r}: draw one glyph a picture")
        if contrast(self.colour, self.background) < CONTRAST:
            better = ", ".join(inks(self.background))
            raise ValueError(f"{self.colour} on {self.background} can hardly be seen: choose one of {better}")


def _luminance(name: str) -> float:
    """Relative luminance of an sRGB colour, from 0 to 1 (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in COLOURS[name]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@functools.cache
def contrast(one: str, other: str) -> float:
    """The contrast ratio of two named colours, from 1 to 21 (WCAG 2)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def inks(background: str) -> list[str]:
    """The colours that stand out from ``background``. Raises ``ValueError`` for an unknown one."""
    if background not in COLOURS:
        raise ValueError(f"background {background!r} is not known: choose from {', '.join(COLOURS)}")
    return [name for name in COLOURS if contrast(name, background) >= CONTRAST]


def random_attributes(count: Count, seed: Seed = 0, characters: str = "0123456789") -> list[Attributes]:
    """``count`` records drawn at random, the same for the same seed; the ink always stands out from its background.

    Raises ``ValueError`` for ``count < 1`` and for characters that are not in ``outlines.CHARACTERS``.
    """
    check_characters(characters)
    choices = {background: inks(background) for background in COLOURS}
    u = torch.rand(count, 6, generator=torch.Generator().manual_seed(seed)).tolist()

    def pick(values: Collection[str], at: float) -> str:
        return list(values)[int(at * len(values))]

    records = []
    for row in u:
        background = pick(COLOURS, row[0])
        records.append(
            Attributes(
                character=pick(characters, row[1]),
                colour=pick(choices[background], row[2]),
                background=background,
                size=pick(SIZES, row[3]),
                position=pick(POSITIONS, row[4]),
                style=pick(STYLES, row[5]),
            )
        )
    return records


FIELDS: dict[str, tuple[str, ...]] = {
    "character": tuple("0123456789"),
    "colour": tuple(COLOURS),
    "background": tuple(COLOURS),
    "size": tuple(SIZES),
    "position": tuple(POSITIONS),
    "style": tuple(STYLES),
}

#: Pairs that the mini model never saw together, though it saw each half with others: does it compose them?
HELD_OUT_PAIRS: Pairs = (
    (("character", "0"), ("colour", "green")),
    (("character", "1"), ("colour", "pink")),
    (("character", "2"), ("colour", "white")),
    (("character", "3"), ("colour", "red")),
    (("character", "4"), ("colour", "orange")),
    (("character", "5"), ("colour", "black")),
    (("character", "6"), ("colour", "yellow")),
    (("character", "7"), ("colour", "purple")),
    (("character", "8"), ("colour", "blue")),
    (("character", "9"), ("colour", "grey")),
    (("colour", "yellow"), ("background", "blue")),
    (("colour", "red"), ("background", "white")),
    (("colour", "white"), ("background", "green")),
    (("colour", "blue"), ("background", "pink")),
    (("colour", "black"), ("background", "orange")),
    (("colour", "purple"), ("background", "yellow")),
    (("character", "0"), ("style", "bold")),
    (("character", "2"), ("style", "italic")),
    (("character", "4"), ("style", "bold")),
    (("character", "5"), ("style", "italic")),
    (("character", "8"), ("style", "bold italic")),
    (("character", "9"), ("style", "bold italic")),
)


def is_held_out(attributes: Attributes) -> bool:
    """Whether ``attributes`` hold one of the pairs in ``HELD_OUT_PAIRS``."""
    return has_pair(attributes, HELD_OUT_PAIRS)


def has_pair(record: object, pairs: Pairs) -> bool:
    """Whether ``record`` holds both halves of one of the ``pairs``."""
    return any(getattr(record, a) == x and getattr(record, b) == y for (a, x), (b, y) in pairs)


def choose(records: Iterator[Record], count: Count, pairs: Pairs, held_out: bool | None) -> list[Record]:
    """The first ``count`` of ``records`` without any of the ``pairs``; with one if ``held_out``; with ``None``, all."""
    return list(islice((r for r in records if held_out is None or has_pair(r, pairs) == held_out), count))


def draw_attributes(count: Count, seed: Seed = 0, held_out: bool | None = False) -> list[Attributes]:
    """``count`` random records of digits, the same for the same seed.

    None has a held-out pair, or with ``held_out=True`` each, or with ``None`` they come as they fall.
    """

    def stream() -> Iterator[Attributes]:
        part = 0
        while True:
            yield from random_attributes(count, seed=seed + 7_919 * part)
            part += 1

    return choose(stream(), count, HELD_OUT_PAIRS, held_out)


#: What a caption may leave out. An unnamed style always means regular.
OPTIONAL = ("size", "colour", "background", "position")


def phrase(attributes: Attributes, leave_out: Collection[str] = ()) -> str:
    """The caption of ``attributes``, without those of the fields in ``OPTIONAL`` that ``leave_out`` names.

    Such as "a red seven in bold" without size, background and position.
    Raises ``ValueError`` for other names.
    """
    if unknown := [name for name in leave_out if name not in OPTIONAL]:
        raise ValueError(f"a caption can't leave out {unknown[0]!r}: choose from {', '.join(OPTIONAL)}")
    words = [getattr(attributes, name) for name in ("size", "colour") if name not in leave_out]
    words.append(name_of(attributes.character))
    if attributes.style != "regular":
        words.append(f"in {attributes.style}")
    if "background" not in leave_out:
        words.append(f"on {_article(attributes.background)} background")
    if "position" not in leave_out:
        words.append(attributes.position)
    return " ".join([_article(words[0]), *words[1:]])


def name_of(character: str) -> str:
    """A character in words: "seven", "capital Q", "lowercase a"."""
    check_characters(character)
    if len(character) != 1:
        raise ValueError(f"character must be a single one but is {character!r}: ask for one at a time")
    if character.isdigit():
        return DIGITS[int(character)]
    return f"capital {character}" if character.isupper() else f"lowercase {character}"


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def as_indices(records: Sequence[Attributes]) -> Tensor:
    """Each record's place in ``FIELDS``: int64 ``[N, 6]``."""
    return torch.tensor([[values.index(getattr(r, field)) for field, values in FIELDS.items()] for r in records])


guard(__name__)
