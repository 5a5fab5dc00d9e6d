"""The drawing board: a square of buttons, each a place in the plane that can be marked by mouse or keyboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from gan_course.language import tr
from gan_course.widgets import controls
from gan_course.widgets.lab import DRAWING

SIDE = 9  # places in each direction
PITCH = 0.3  # between two of them, in the plane


class Board:
    """``root`` is what is shown; ``cells`` holds a button for each place ``(x, y)``, made when first opened.

    ``changed`` is called with all marked places after each click.
    """

    def __init__(self, changed: Callable[[tuple[tuple[float, float], ...]], None]):
        self.changed = changed
        self.cells: dict[tuple[float, float], Any] = {}
        self.root = widgets.VBox([], layout=widgets.Layout(display="none", max_width="340px"))

    def open(self, visible: bool) -> None:
        """Show the board, or hide it."""
        if visible and not self.cells:
            self._make()
        self.root.layout.display = None if visible else "none"

    def _make(self) -> None:
        half = SIDE // 2
        layout = widgets.Layout(width="auto", height="30px", min_width="0", margin="1px", padding="0")
        for y in range(half, -half - 1, -1):
            for x in range(-half, half + 1):
                place = round(PITCH * x, 2), round(PITCH * y, 2)
                on = place in DRAWING
                cell = widgets.ToggleButton(
                    value=on,
                    tooltip=tr("heap at {x:g}, {y:g}").format(x=place[0], y=place[1]),
                    layout=layout,
                    button_style="info" * on,
                )
                cell.observe(self._mark, "value")
                self.cells[place] = controls.forgiving(cell)
        grid = widgets.GridBox(
            list(self.cells.values()), layout=widgets.Layout(grid_template_columns=f"repeat({SIDE}, 1fr)")
        )
        hint = widgets.HTML(controls.paragraph(tr("Mark where real points should lie: click, or Tab and Space.")))
        self.root.children = [hint, grid]

    def _mark(self, change: Mapping[str, Any]) -> None:
        change["owner"].button_style = "info" if change["new"] else ""
        self.changed(tuple(place for place, cell in self.cells.items() if cell.value))
