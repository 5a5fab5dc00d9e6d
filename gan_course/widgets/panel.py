"""What the widgets share: a line of messages, a place in the page, seeds, pictures."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import ipywidgets as widgets
from PIL import Image
from torch import Tensor

from gan_course import plots
from gan_course.widgets import controls

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
        raise ValueError(f"The seed must be a whole number from 0 to {SEEDS - 1:,}, but is {str(text)[:20]!r}: try 3.")
    return seed


def enlarged(image: Tensor, side: int) -> Image.Image:
    """A picture ``[C, H, W]`` in ``[-1, 1]``, ``side`` pixels wide, every pixel a square."""
    pixels = (plots.tile(image[None], 1) * 255).round().astype("uint8")
    made = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).convert("RGB")
    return made.resize((side, round(side * made.height / made.width)), Image.Resampling.NEAREST)
