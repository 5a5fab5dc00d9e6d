"""What the widgets share: a line of messages, a place in the page, seeds, pictures."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakSet

import ipywidgets as widgets
from PIL import Image
from torch import Tensor

from gan_course import plots
from gan_course.language import tr, tr_later
from gan_course.widgets import controls
from gan_course.widgets.canvas import png
from gan_course.widgets.controls import guarded

LOSS_NAMES = [
    (words, words.replace("-", "_"))
    for words in (
        tr_later("non-saturating"), tr_later("saturating"), tr_later("least-squares"), tr_later("hinge"),
        tr_later("wasserstein"), tr_later("relativistic"),
    )
]  # fmt: skip
SEEDS = 2**32  # seeds lie below
OPEN: WeakSet[Panel] = WeakSet()  # a new panel replaces the one that an earlier run of its cell left


class Panel:
    """A widget below a cell. ``root`` is what is shown, ``message`` the line for sentences."""

    name = "This widget"
    root: Any
    cell: str | None = None

    def __init__(self) -> None:
        self.message = controls.words()

    def say(self, sentence: str) -> None:
        """Show ``sentence``, and have it read aloud."""
        self.message.value = controls.paragraph(sentence, role="status") if sentence else ""

    @property
    def closed(self) -> bool:
        return self.root.comm is None

    def display(self, still: Image.Image, alt: str) -> None:
        """Show the widget, and ``still`` where no kernel runs; ``alt`` describes it."""
        here = controls.cell()
        for other in [panel for panel in OPEN if here is not None and panel.cell == here]:
            other.close()
        self.cell = here
        OPEN.add(self)
        controls.show(self.root, still, alt, self.name)

    def close(self) -> None:
        OPEN.discard(self)
        controls.close(self.root)


class CasePanel(Panel, ABC):
    """Controls, a button for each case, numbers, two pictures: all of it follows when a control moves.

    A case sets several controls at once, and says a sentence.
    """

    def arrange(self, knobs: Sequence[Any], cases: Mapping[str, str]) -> None:
        """Build the page of these controls; ``cases``: the tip of each case's button, by name."""
        self.cases = {
            name: controls.button(name, tip, functools.partial(self._take, name)) for name, tip in cases.items()
        }
        self.numbers = controls.words()
        self.left, self.right = controls.screen(), controls.screen()
        self.quiet = False  # while a case moves the controls
        for knob in knobs:
            knob.observe(self._changed, "value")
        self.root = column(
            controls.row(*knobs),
            controls.row(*self.cases.values()),
            self.message,
            self.numbers,
            controls.row(self.left, self.right),
        )
        self._paint()

    @abstractmethod
    def set_case(self, name: str) -> str:
        """Set the controls as case ``name`` has them, and return its sentence."""

    @abstractmethod
    def pictures(self) -> tuple[Image.Image, Image.Image]:
        """The left and the right picture."""

    @abstractmethod
    def table(self) -> str:
        """The numbers, as an HTML table that fits on a phone."""

    @guarded
    def _changed(self, change: Mapping[str, Any]) -> None:
        if not self.quiet:
            self.say("")
            self._paint()

    @guarded
    def _take(self, name: str, _: Any = None) -> None:
        self.quiet = True
        try:
            sentence = self.set_case(name)
        finally:
            self.quiet = False
        self._paint()
        self.say(tr(sentence))

    def _paint(self) -> None:
        left, right = self.pictures()
        self.left.value, self.right.value = png(left), png(right)
        self.numbers.value = self.table()


def column(*children: Any) -> Any:
    """Children one below the other, as wide as a page."""
    return widgets.VBox(children, layout=widgets.Layout(width="100%", max_width="960px"))


def seed_field(seed: int) -> Any:
    """Where a seed is typed; read it with :func:`whole_seed`."""
    return controls.control(widgets.Text, "seed", value=str(whole_seed(seed)), continuous_update=False)


def whole_seed(text: Any) -> int:
    """The seed that somebody typed. Raises ``ValueError`` with a sentence."""
    try:
        seed = int(str(text).strip())
    except ValueError:
        seed = -1
    if not 0 <= seed < SEEDS:
        sentence = tr("The seed must be a whole number from 0 to {most:,}, but is {text!r}: try 3.")
        raise ValueError(sentence.format(most=SEEDS - 1, text=str(text)[:20]))
    return seed


def enlarged(image: Tensor, side: int) -> Image.Image:
    """A picture ``[C, H, W]`` in ``[-1, 1]``, ``side`` pixels wide, every pixel a square."""
    pixels = (plots.tile(image[None], 1) * 255).round().astype("uint8")
    made = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).convert("RGB")
    return made.resize((side, round(side * made.height / made.width)), Image.Resampling.NEAREST)
