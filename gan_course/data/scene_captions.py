"""Scenes in English: one plain form, many varied ones, and back from a sentence to what it names.

Every caption is made of clauses from the tables below, so that ``words()`` lists all there are for a tokenizer in which
each word is one token.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import chain

import numpy as np

from gan_course.arguments import guard
from gan_course.data.scene_record import DIRECTIONS, FIELDS, Scene, check_word

LONGEST = 32  # tokens of the longest caption: a word or comma each, and the marks of start and end

# The first of each is the plain form.
LAND_WORDS = {
    "sea": ("a sea", "a calm sea", "the open sea", "the ocean", "waves"),
    "mountains": ("mountains", "snowy mountains", "high mountains", "mountain peaks"),
    "desert": ("a desert", "a wide desert", "desert dunes", "sand dunes"),
    "forest": ("a forest", "a quiet forest", "a clearing in a forest", "woods"),
    "meadow": ("a meadow", "a green meadow", "a meadow with flowers", "a field of flowers"),
}
TIME_WORDS = {
    "dawn": ("at dawn", "at sunrise", "in the early morning"),
    "noon": ("at noon", "at midday", "in full daylight"),
    "dusk": ("at dusk", "at sunset", "in the evening"),
    "night": ("at night", "in the dark", "at midnight"),
}
SKY_WORDS = {
    "clear": ("under a clear sky", "under a cloudless sky", "in clear weather"),
    "clouds": ("under clouds", "under a cloudy sky", "with clouds above"),
    "fog": ("in fog", "in thick fog", "in the mist"),
    "rain": ("in rain", "in the rain", "on a rainy day"),
    "snow": ("in snow", "with falling snow", "while it snows"),
}
# {} is "sun", or "moon" at night, and then the direction
LIGHT_WORDS = ("the {} in the {}", "the {} stands in the {}", "with the {} in the {}")
# the thing, then the direction
THING_WORDS = ("{} to the {}", "{} in the {}", "{} on the {} side", "to the {1} {0}", "in the {1} {0}")
THING_NAMES = {
    "lighthouse": ("a lighthouse", "a striped lighthouse"),
    "tree": ("a tree", "a lone tree"),
    "tent": ("a tent", "a camping tent"),
    "balloon": ("a balloon", "a hot air balloon"),
}
NOTHING = ("nothing else", "an empty view")
# Words that give a value away; looked for as whole words, in this order.
CLUES: dict[str, dict[str, tuple[str, ...]]] = {
    "land": {
        "sea": ("sea", "ocean", "waves"),
        "mountains": ("mountains", "mountain", "peaks"),
        "desert": ("desert", "dunes", "sand"),
        "forest": ("forest", "woods"),
        "meadow": ("meadow", "field"),
    },
    "time": {
        "dawn": ("dawn", "sunrise", "morning"),
        "noon": ("noon", "midday", "daylight"),
        "dusk": ("dusk", "sunset", "evening"),
        "night": ("night", "dark", "midnight", "moon"),
    },
    "sky": {
        "clear": ("clear", "cloudless"),
        "clouds": ("clouds", "cloudy"),
        "fog": ("fog", "mist"),
        "rain": ("rain", "rainy"),
        "snow": ("snow", "snows"),
    },
    "thing": {name: (name,) for name in THING_NAMES} | {"none": ("nothing", "empty")},
}


def _light(scene: Scene, form: str) -> str:
    return form.format("moon" if scene.time == "night" else "sun", scene.light)


def _check_fields(leave_out: Collection[str]) -> None:
    for name in leave_out:
        check_word("attribute", name, tuple(FIELDS))


def phrase(scene: Scene, leave_out: Collection[str] = ()) -> str:
    """The plain caption: "a sea at dusk under clouds, the sun in the west, a lighthouse to the east".

    Without a thing the last part is missing. ``leave_out`` names attributes that are not told: without "land" it begins
    with "a view", and with "thing" or "place" nothing is said about either. Raises ``ValueError`` for other names.
    """
    _check_fields(leave_out)
    first = [
        "a view" if "land" in leave_out else LAND_WORDS[scene.land][0],
        *([] if "time" in leave_out else [TIME_WORDS[scene.time][0]]),
        *([] if "sky" in leave_out else [SKY_WORDS[scene.sky][0]]),
    ]
    parts = [" ".join(first)]
    if "light" not in leave_out:
        parts.append(_light(scene, LIGHT_WORDS[0]))
    if scene.thing != "none" and not {"thing", "place"} & set(leave_out):
        parts.append(THING_WORDS[0].format(THING_NAMES[scene.thing][0], scene.place))
    return ", ".join(parts)


def describe(scene: Scene, rng: np.random.Generator, leave_out: Collection[str] = ()) -> str:
    """A caption in words and an order that ``rng`` picks; all of ``scene`` is told but what ``leave_out`` names.

    One in four is the plain form. An absent thing is told in half of the sentences.
    """
    _check_fields(leave_out)
    if rng.random() < 0.25:
        return phrase(scene, leave_out)

    def pick(forms: tuple[str, ...]) -> str:
        return forms[int(rng.integers(len(forms)))]

    land = "a view" if "land" in leave_out else pick(LAND_WORDS[scene.land])
    around = [
        *([] if "time" in leave_out else [pick(TIME_WORDS[scene.time])]),
        *([] if "sky" in leave_out else [pick(SKY_WORDS[scene.sky])]),
    ]
    if rng.random() < 0.5:
        around.reverse()
    parts = [" ".join([land, *around])]
    if "light" not in leave_out:
        parts.append(_light(scene, pick(LIGHT_WORDS)))
    if not {"thing", "place"} & set(leave_out):
        if scene.thing == "none":
            if rng.random() < 0.5:
                parts.append(pick(NOTHING))
        else:
            parts.append(pick(THING_WORDS).format(pick(THING_NAMES[scene.thing]), scene.place))
    if len(parts) == 3 and rng.random() < 0.5:
        parts[1:] = reversed(parts[1:])
    return ", ".join(parts)


def parse(caption: str) -> dict[str, str]:
    """The attributes that ``caption`` names, such as ``{"land": "sea", "time": "night", "light": "west"}``.

    What it doesn't name is missing from the answer; a clause with a direction speaks of the thing where it holds one,
    of the sun or moon otherwise. Raises ``ValueError`` where two values of one attribute are named.
    """
    found: dict[str, str] = {}

    def note(field: str, value: str) -> None:
        if found.setdefault(field, value) != value:
            raise ValueError(f"the caption names two values for {field}, {found[field]!r} and {value!r}: {caption!r}")

    for clause in caption.lower().split(","):
        words = re.findall(r"[a-z]+", clause)
        for field, values in CLUES.items():
            for value, clues in values.items():
                if set(clues) & set(words):
                    note(field, value)
        headings = [word for word in words if word in DIRECTIONS]
        is_thing = bool(set(words) & set(THING_NAMES))
        for heading in headings:
            note("place" if is_thing else "light", heading)
    if found.get("thing") == "none":
        found["place"] = "none"
    return found


def words() -> tuple[str, ...]:
    """Every word of every caption, sorted: the vocabulary of a tokenizer. The comma comes in addition."""
    tables = (LAND_WORDS, TIME_WORDS, SKY_WORDS, THING_NAMES)
    forms = chain.from_iterable(chain.from_iterable(table.values()) for table in tables)
    return tuple(
        sorted(
            {
                word
                for form in (*forms, *LIGHT_WORDS, *THING_WORDS, *NOTHING, *DIRECTIONS, "a view", "sun moon")
                for word in re.findall(r"[a-z]+", form)
            }
        )
    )


guard(__name__)
