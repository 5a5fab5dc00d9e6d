"""What a page does with a widget and what is left of one, without a browser."""

from __future__ import annotations

import re

import notebooks

from gan_course.commands.notebooks import keep_stills
from gan_course.widgets import controls


def said(view) -> str:
    """The widget's message without its markup."""
    return re.sub("<.*?>", "", view.message.value)


def receive(widget, state: dict) -> None:
    """What the kernel does with a message from the page."""
    widget._handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})


def assert_drops(widgets, *states: dict) -> None:
    """Messages that no page sends leave the widgets' values as they are."""
    for widget in widgets:
        value = widget.value
        for state in states:
            receive(widget, state)
        assert widget.value == value


def assert_a_still_is_left(folder, source: str, alt: str, most: int) -> None:
    """Without a page the cell ``source`` leaves a picture, shorter than ``most``, whose text begins with ``alt``."""
    notebook = notebooks.executed(folder, source)
    (output,) = notebook.cells[0].outputs
    assert set(output.data) == {"image/png", "text/plain", controls.VIEW}
    assert output.metadata["image/png"]["alt"].startswith(alt)
    assert len(output.data["image/png"]) < most
    keep_stills(notebook)
    assert set(output.data) == {"image/png", "text/plain"} and "widgets" not in notebook.metadata
