"""What the prompt bench can be asked for: one world for each of the course's two models, and all in which they differ.

Words come and go by field, as the menus say them; an empty word leaves its field open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from gan_course import stable_diffusion as sd
from gan_course.data import attributes, scene_captions, scene_record
from gan_course.stable_diffusion.panoramas import text_to_panorama

NOT_SAID = "(not said)"  # by this name a menu offers the empty word
Words = Mapping[str, str]


class World(NamedTuple):
    """What a model paints, what may be said about it, and which network of the zoo reads it."""

    paints: str
    size: tuple[int, int]  # rows and columns of a picture
    load: str  # the call that loads the model
    reader: str
    fields: Mapping[str, Sequence[str]]  # as the reader counts them
    menus: Mapping[str, Words]  # of each field, the words by the names that its menu shows
    first: Words
    unwanted: str  # for example: a negative prompt that fits the first words
    compose: Callable[[Words], str]  # the prompt; raises ValueError for words that go ill together
    paint: Callable[..., Tensor]  # called as sd.text_to_image
    settle: Callable[[Words], dict[str, str]] = dict  # words as they are meant: beside others, one may have no say


def _or_open(words: Iterable[str]) -> Words:
    return {NOT_SAID: ""} | {word: word for word in words}


def _left_open(words: Words) -> list[str]:
    return [field for field, word in words.items() if not word]


# ------------------------------------------------------------------------------------------ digits


def glyph_prompt(words: Words) -> str:
    """The prompt of a coloured digit. Raises ``ValueError`` where colour and background can hardly be told apart."""
    said, fields = dict(words), attributes.FIELDS
    if not said["background"]:
        said["background"] = next(
            name for name in fields["background"] if said["colour"] in ("", *attributes.inks(name))
        )
    said["colour"] = said["colour"] or attributes.inks(said["background"])[0]
    for field in ("size", "position"):
        said[field] = said[field] or fields[field][0]
    return attributes.phrase(attributes.Attributes(**said), _left_open(words))


GLYPH_WORLD = World(
    paints="digits",
    size=(32, 32),
    load="sd.load_pipeline()",
    reader="attributes_classifier",
    fields=attributes.FIELDS,
    menus={
        "character": dict(zip(attributes.DIGITS, attributes.FIELDS["character"], strict=True)),
        "colour": _or_open(attributes.FIELDS["colour"]),
        "background": _or_open(attributes.FIELDS["background"]),
        "style": {word: word for word in attributes.FIELDS["style"]},
        "size": _or_open(attributes.FIELDS["size"]),
        "position": _or_open(attributes.FIELDS["position"]),
    },
    first={
        "character": "7", "colour": "yellow", "background": "purple", "style": "bold", "size": "large",
        "position": "in the middle",
    },
    unwanted="a large seven",
    compose=glyph_prompt,
    paint=sd.text_to_image,
)  # fmt: skip


# ------------------------------------------------------------------------------------------ panoramas


def settle_place(words: Words) -> dict[str, str]:
    """A thing stands at its place; where there is none, or none is named, the same goes for the place."""
    thing = words["thing"]
    return {**words, "place": words["place"] if thing in scene_captions.THING_NAMES else thing}


def scene_prompt(words: Words) -> str:
    """The prompt of a panorama. Combinations that were held out of training are welcome."""
    settled = settle_place(words)
    said: dict[str, Any] = {field: word or scene_record.FIELDS[field][0] for field, word in settled.items()}
    if said["thing"] != "none":
        return scene_captions.phrase(scene_record.Scene(**said), _left_open(settled))
    empty = scene_captions.phrase(scene_record.Scene(**said | {"place": None}), _left_open(settled))
    return f"{empty}, {scene_captions.NOTHING[0]}"  # a plain caption tells no difference between none and not said


PANORAMA_WORLD = World(
    paints="panoramas",
    size=(64, 128),
    load='sd.load_pipeline(zoo.FOLDER / "mini_stable_diffusion_2")',
    reader="scenes_classifier",
    fields=scene_record.FIELDS,
    menus={
        **{field: _or_open(words) for field, words in scene_record.FIELDS.items()},
        "place": {word: word for word in scene_record.DIRECTIONS},  # no caption names a thing without its place
    },
    first={
        "land": "sea", "time": "dusk", "sky": "clouds", "light": "west", "thing": "lighthouse", "place": "east",
    },
    unwanted="fog",
    compose=scene_prompt,
    paint=text_to_panorama,
    settle=settle_place,
)  # fmt: skip


def world_of(pipeline: sd.Pipeline) -> World:
    """The world that ``pipeline`` paints, by the size of its pictures. Raises ``ValueError`` for any other size."""
    side, factor = pipeline.unet.config.sample_size, pipeline.vae_scale_factor
    rows, columns = (side, side) if isinstance(side, int) else side
    size = (rows * factor, columns * factor)
    worlds = (GLYPH_WORLD, PANORAMA_WORLD)
    for world in worlds:
        if world.size == size:
            return world
    known = " and ".join(f"{world.paints} of {_by(world.size)}" for world in worlds)
    raise ValueError(
        f"the prompt bench reads {known}, but this model paints {_by(size)}: pass the mini model, "
        f"{GLYPH_WORLD.load}, or Mini Stable Diffusion II, {PANORAMA_WORLD.load}"
    )


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
