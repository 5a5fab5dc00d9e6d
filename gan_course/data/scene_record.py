"""What a landscape panorama shows: one record, and the words that it may hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gan_course.arguments import guard
from gan_course.naming import nearest

LANDS = ("sea", "mountains", "desert", "forest", "meadow")
TIMES = ("dawn", "noon", "dusk", "night")
SKIES = ("clear", "clouds", "fog", "rain", "snow")
DIRECTIONS = ("north", "east", "south", "west")
THINGS = ("lighthouse", "tree", "tent", "balloon", "none")

#: Every attribute with its values, as the readers count them; ``place`` is "none" where there is no thing.
FIELDS: dict[str, tuple[str, ...]] = {
    "land": LANDS,
    "time": TIMES,
    "sky": SKIES,
    "light": DIRECTIONS,
    "thing": THINGS,
    "place": (*DIRECTIONS, "none"),
}


def check_word(field: str, value: object, known: Sequence[str]) -> None:
    """Raise a ``ValueError`` that names the nearest known value unless ``value`` is one."""
    if value not in known:
        raise ValueError(f"there is no {field} {value!r}: {nearest(value, known)}")


@dataclass(frozen=True)
class Scene:
    """What a panorama shows: each field is one of the words in ``FIELDS``.

    ``light`` is where the sun stands, or at night the moon; ``place`` is where the thing stands, ``None`` without one.
    Raises ``ValueError`` for an unknown word, for a thing without a place and for a place without a thing.
    """

    land: str
    time: str
    sky: str
    light: str
    thing: str = "none"
    place: str | None = None

    def __post_init__(self) -> None:
        for field in ("land", "time", "sky", "light", "thing"):
            check_word(field, getattr(self, field), FIELDS[field])
        if self.thing == "none":
            if self.place is not None:
                raise ValueError(f"there is no thing to stand in the {self.place}: name one or set place=None")
        elif self.place is None:
            raise ValueError(f"where is the {self.thing}? Set place to one of {', '.join(DIRECTIONS)}")
        else:
            check_word("place", self.place, DIRECTIONS)


guard(__name__)
