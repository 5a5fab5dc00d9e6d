"""What a captioned colour glyph shows, as numbers: prompts, combinations kept from training, and a network that reads.

Chapters 08 and 09 ask a text-to-image model for pictures whose every attribute was named, and let an independent
network read what came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor, nn

from gan_course.data.captions import COLOURS, DIGITS, POSITIONS, SIZES, Attributes, random_attributes
from gan_course.data.outlines import STYLES

FIELDS: dict[str, tuple[str, ...]] = {
    "character": tuple("0123456789"),
    "colour": tuple(COLOURS),
    "background": tuple(COLOURS),
    "size": tuple(SIZES),
    "position": tuple(POSITIONS),
    "style": tuple(STYLES),
}

#: Pairs that the mini model never saw together, though it saw each half with others: does it compose them?
HELD_OUT: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = (
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
    """Whether ``attributes`` hold one of the pairs in ``HELD_OUT``."""
    return any(getattr(attributes, a) == x and getattr(attributes, b) == y for (a, x), (b, y) in HELD_OUT)


def draw_attributes(count: int, seed: int = 0, held_out: bool | None = False) -> list[Attributes]:
    """``count`` random records of digits, the same for the same seed.

    None has a held-out pair, or with ``held_out=True`` each, or with ``None`` they come as they fall.
    """

    def stream() -> Iterator[Attributes]:
        part = 0
        while True:
            yield from random_attributes(count, seed=seed + 7_919 * part)
            part += 1

    kept: list[Attributes] = []
    for record in stream():
        if held_out is None or is_held_out(record) == held_out:
            kept.append(record)
            if len(kept) == count:
                return kept
    raise AssertionError("unreachable: the stream never ends")


def phrase(attributes: Attributes, leave_out: Collection[str] = ()) -> str:
    """The caption of ``attributes``, without what ``leave_out`` names of size, colour, background and position.

    Such as "a red seven in bold" without size, background and position. An unnamed style always means regular.
    Raises ``ValueError`` for other names.
    """
    known = ("size", "colour", "background", "position")
    if unknown := [name for name in leave_out if name not in known]:
        raise ValueError(f"a caption can't leave out {unknown[0]!r}: choose from {', '.join(known)}")
    words = [getattr(attributes, name) for name in ("size", "colour") if name not in leave_out]
    words.append(DIGITS[int(attributes.character)])
    if attributes.style != "regular":
        words.append(f"in {attributes.style}")
    if "background" not in leave_out:
        words.append(f"on {_article(attributes.background)} background")
    if "position" not in leave_out:
        words.append(attributes.position)
    return " ".join([_article(words[0]), *words[1:]])


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def as_indices(records: Sequence[Attributes]) -> Tensor:
    """Each record's place in ``FIELDS``: int64 ``[N, 6]``."""
    return torch.tensor([[values.index(getattr(r, field)) for field, values in FIELDS.items()] for r in records])


class AttributeClassifier(nn.Module):
    """Reads all six attributes off pictures ``[N, 3, 32, 32]`` in ``[-1, 1]``.

    ``forward`` returns one block of logits for each field, side by side: ``[N, 42]``; :meth:`read` the most likely
    values ``[N, 6]``, in the order of ``FIELDS``; ``features`` ``[N, 128]``, for distances between sets of pictures.
    """

    def __init__(self, width: int = 24):
        super().__init__()
        w = width
        self.body = nn.Sequential(
            *_layer(3, w),
            *_layer(w, 2 * w, stride=2),
            *_layer(2 * w, 2 * w),
            *_layer(2 * w, 3 * w, stride=2),
            *_layer(3 * w, 3 * w),
            *_layer(3 * w, 3 * w, stride=2),
            nn.Flatten(),
            nn.Linear(3 * w * 16, 128),
        )
        self.head = nn.Sequential(nn.LayerNorm(128), nn.ReLU(), nn.Linear(128, sum(map(len, FIELDS.values()))))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU

    def features(self, images: Tensor) -> Tensor:
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    def read(self, images: Tensor) -> Tensor:
        return torch.stack([part.argmax(dim=1) for part in self.split(self(images))], dim=1)

    @staticmethod
    def split(logits: Tensor) -> tuple[Tensor, ...]:
        """Logits ``[N, 42]`` as one tensor for each field."""
        return logits.split([len(values) for values in FIELDS.values()], dim=1)


def _layer(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, normalisation within each picture (so that no picture's reading depends on its batch), ReLU."""
    return [nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.GroupNorm(8, outputs), nn.ReLU()]
