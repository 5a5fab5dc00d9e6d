"""The prompt bench: say what to paint, turn the knobs, and compare with the last pictures.

It paints with a copy of the pipeline, so that a cell that runs at the same time is not disturbed. What depends on the
model stands in :mod:`gan_course.widgets.prompt_worlds`.
"""

from __future__ import annotations

import copy
import html
import textwrap
import time
from typing import Any, NamedTuple

import ipywidgets as widgets
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from gan_course import stable_diffusion as sd
from gan_course import zoo
from gan_course.arguments import checked
from gan_course.classifiers import AttributeClassifier
from gan_course.widgets import canvas, controls, panel
from gan_course.widgets.controls import guarded
from gan_course.widgets.prompt_worlds import NOT_SAID, world_of

STEPS = (1, 2, 4, 8, 16, 25, 50)
SCALES = (1.0, 2.0, 3.0, 4.5, 6.0, 9.0, 12.0, 24.0)
HISTORY = 6  # pictures
LARGE, SMALL = 256, 128  # rows of pixels: what is painted now, and what was
STILL, MARGIN = 384, 18  # rows of the still's picture, and pixels around it
LETTER = 12.6  # pixels that a letter of 24 pixels takes on average, at most


class Painted(NamedTuple):
    """A picture ``[3, H, W]``, its request, and what the menus asked for and the reader read, by field."""

    image: Tensor
    request: sd.Request
    asked: dict[str, str]  # an empty word: left open
    read: dict[str, str]

    @property
    def prompt(self) -> str:
        return self.request.prompts[0]

    def settings(self) -> str:
        r = self.request
        without = f", not: {r.negative_prompt}" if r.negative_prompt else ""
        return f"seed {r.seed}, {r.steps} step{'s' * (r.steps > 1)}, guidance {r.guidance_scale:g}{without}"

    def right(self) -> str:
        wanted = {field: word for field, word in self.asked.items() if word}
        return f"{sum(self.read[field] == word for field, word in wanted.items())} of {len(wanted)} right"


class PromptView(panel.Panel):
    """The widget: ``menus`` by attribute, ``knobs`` by name; ``history`` holds what was painted, the newest first."""

    name = "The prompt bench"

    @checked
    def __init__(
        self, pipeline: sd.Pipeline, seed: int = 0, steps: int = sd.STEPS, guidance_scale: float = sd.GUIDANCE
    ):
        super().__init__()
        self.world = world_of(pipeline)
        sd.check_request(pipeline, sd.Request("", seed, steps, guidance_scale))
        self.pipeline = copy.deepcopy(pipeline)
        with torch.random.fork_rng(devices=[]):  # a network is built: the next cells' random numbers stay the same
            self.reader: AttributeClassifier = zoo.load(self.world.reader)  # type: ignore[assignment]
        self.history: list[Painted] = []
        self._build(seed, steps, float(guidance_scale))
        self.paint()

    def _build(self, seed: int, steps: int, guidance_scale: float) -> None:
        self.menus = {}
        for field, words in self.world.menus.items():
            self.menus[field] = controls.menu(field, list(words.items()), self.world.first[field])
            self.menus[field].observe(self._worded, "value")
        self.knobs = {
            "seed": panel.seed_field(seed),
            "steps": controls.slider("steps", sorted({*STEPS, steps}), steps),
            "guidance_scale": controls.slider("guidance", sorted({*SCALES, guidance_scale}), guidance_scale),
            "negative_prompt": controls.control(widgets.Text, "negative prompt", placeholder=self.world.unwanted),
        }
        self.button = controls.button("Paint", "Paint what the menus say", self._press, "primary")
        self.prompt, self.table = controls.words(), controls.words()
        rows, columns = self.world.size
        self.picture = controls.screen(f"{LARGE * columns // rows}px")
        self.picture.layout.flex = "0 1 auto"
        self.table.layout.width, self.table.layout.flex = "auto", "1 1 300px"
        small = f"{SMALL * columns // rows}px"
        self.slots = [widgets.Image(format="png", layout=widgets.Layout(width=small)) for _ in range(HISTORY)]
        self.captions = [widgets.HTML() for _ in range(HISTORY)]
        layout = {"width": small, "margin": "0 6px 8px 0", "display": "none"}
        self.places = [
            widgets.VBox(pair, layout=widgets.Layout(**layout)) for pair in zip(self.slots, self.captions, strict=True)
        ]
        self.root = panel.column(
            controls.row(*self.menus.values()),
            controls.row(*self.knobs.values()),
            self.prompt,
            controls.row(self.button),
            self.message,
            controls.row(self.picture, self.table),
            widgets.HTML(controls.paragraph(f"The last {HISTORY} pictures, the newest first:")),
            controls.row(*self.places),
        )

    # ------------------------------------------------------------------------------------------ asking

    def words(self) -> dict[str, str]:
        """What the menus ask for, by field; an empty word leaves the field open."""
        return self.world.settle({field: menu.value for field, menu in self.menus.items()})

    def request(self) -> sd.Request:
        """What the controls ask for. Raises ``ValueError`` with a sentence."""
        value = {name: knob.value for name, knob in self.knobs.items()}
        value["seed"] = panel.whole_seed(value["seed"])
        value["negative_prompt"] = value["negative_prompt"].strip() or None
        request = sd.Request(self.world.compose(self.words()), **value)
        sd.check_request(self.pipeline, request)
        return request

    @guarded
    def _worded(self, _: Any) -> None:
        self.say("")
        self._show_prompt("")
        words = self.words()
        for field, menu in self.menus.items():
            menu.disabled = words[field] != menu.value  # beside the others, it has no say
        self._show_prompt(self.world.compose(words))

    @guarded
    def _press(self, _: Any) -> None:
        if self.closed:
            return
        self.say("Painting …")
        began = time.monotonic()
        try:
            self.paint()
        except (ValueError, TypeError) as error:
            raise ValueError(f"Not painted: {error}") from error
        newest = self.history[0]
        self.say(f"Painted in {time.monotonic() - began:.1f} s: {newest.settings()}; {newest.right()}.")

    def paint(self) -> None:
        """Paint what the controls ask for, read it, and move the history on."""
        r, asked = self.request(), self.words()
        image = self.world.paint(self.pipeline, r.prompts, r.seed, r.steps, r.guidance_scale, r.negative_prompt)
        places = self.reader.read(image)[0].tolist()
        read = {field: values[i] for (field, values), i in zip(self.world.fields.items(), places, strict=True)}
        self.history = [Painted(image[0], r, asked, read), *self.history][:HISTORY]
        self._show()

    # ------------------------------------------------------------------------------------------ showing

    def _show_prompt(self, prompt: str) -> None:
        self.prompt.value = controls.paragraph(f"Prompt: {prompt}") if prompt else ""

    def _show(self) -> None:
        newest = self.history[0]
        self._show_prompt(newest.prompt)
        self.picture.value = canvas.png(magnified(newest.image, LARGE))
        self.table.value = reading(newest)
        for painted, slot, caption, place in zip(self.history, self.slots, self.captions, self.places, strict=False):
            slot.value = canvas.png(magnified(painted.image, SMALL))
            caption.value = controls.paragraph(f"{painted.prompt}; {painted.settings()}: {painted.right()}")
            place.layout.display = None

    def show(self) -> None:
        """Display the widget; the still shows the newest picture and what was read in it."""
        newest = self.history[0]
        picture = magnified(newest.image, STILL)
        left, right = picture.width + MARGIN + 28, 2 * canvas.SIDE
        lines = textwrap.wrap(newest.prompt, int((right - left) / LETTER))
        down = 34 * len(lines)
        page = canvas.blank(right, STILL + 2 + down)
        draw = ImageDraw.Draw(page)
        for i, words in enumerate(lines):
            canvas.text(draw, left, 40 + 34 * i, words, size=24)
        canvas.text(draw, left, 50 + down, f"{newest.settings()}: {newest.right()}", canvas.LINE, 24)
        for i, (share, title) in enumerate(((0, ""), (0.2, "asked for"), (0.525, "read"))):
            x = left + share * (right - left)
            canvas.text(draw, x, 110 + down, title, canvas.LINE, 26)
            for line, field in enumerate(newest.read):
                canvas.text(draw, x, 150 + down + 40 * line, cells(newest, field)[i], size=26)
        still = page.convert("RGB")
        still.paste(picture, (MARGIN, MARGIN))
        self.display(still, f"Prompt bench: “{newest.prompt}”, {newest.settings()}; {newest.right()}.")


def magnified(image: Tensor, rows: int) -> Image.Image:
    """A picture ``[3, H, W]`` in ``rows`` of pixels, and as many columns as it takes."""
    return panel.enlarged(image, rows * image.shape[2] // image.shape[1])


def cells(painted: Painted, field: str) -> tuple[str, str, str]:
    """A line of the table: the field, what was asked for, what was read."""
    asked, read = painted.asked[field], painted.read[field]
    mark = "" if not asked else " ✓" if asked == read else " ✗"
    return field, asked or NOT_SAID, read + mark


def reading(painted: Painted) -> str:
    """What was asked for and what the reader read, as an HTML table."""
    head = "".join(f"<th style='text-align:left;padding-right:1.5em'>{name}</th>" for name in ("", "asked for", "read"))
    body = "".join(
        "<tr>" + "".join(f"<td style='padding-right:1.5em'>{html.escape(cell)}</td>" for cell in line) + "</tr>"
        for line in (cells(painted, field) for field in painted.read)
    )
    return f'<table style="line-height:1.5;white-space:normal"><tr>{head}</tr>{body}</table>'
