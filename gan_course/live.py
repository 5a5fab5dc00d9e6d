"""What a training cell shows while it runs: a progress line and, now and then, a picture."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure
from tqdm import tqdm

from gan_course import plots

SHARE = 0.05  # of the training time may go into drawing pictures
PAUSE = 0.2  # seconds at least between two updates


class LiveView:
    """Progress of ``total`` steps; in a notebook also ``draw()``, a figure, redrawn as often as ``SHARE`` allows.

    In a terminal it is a bar, elsewhere (a log file, a test) it is silent. Use it as a context manager: on leaving,
    whatever ended the run, the final figure is drawn.
    """

    def __init__(self, total: int, draw: Callable[[], Figure] | None = None, alt: str = ""):
        self.total, self.draw, self.alt = total, draw, alt
        self.notebook = plots.in_notebook()
        self.bar = tqdm(total=total, unit="step", leave=False) if not self.notebook and sys.stderr.isatty() else None
        self.done, self.text = 0, ""
        self.started = time.monotonic()
        self.next_line = self.next_picture = 0.0
        self.displays: dict[str, Any] = {}

    def __enter__(self) -> LiveView:
        self._line()
        self._picture()
        return self

    def update(self, done: int, text: str = "") -> None:
        """Say that ``done`` steps are over; ``text`` stands behind the bar."""
        self.done, self.text = done, text
        if self.bar is not None:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(done - self.bar.n)
        now = time.monotonic()
        if now >= self.next_line:
            self._line()
        if now >= self.next_picture:
            self._picture()

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.close()
        self._line()
        self._picture()

    def _show(self, name: str, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Display ``data`` at its place below the cell, in place of what stood there."""
        from IPython.display import display

        if name in self.displays:
            self.displays[name].update(data, metadata=metadata, raw=True)
        else:
            self.displays[name] = display(data, metadata=metadata, raw=True, display_id=True)

    def _line(self) -> None:
        self.next_line = time.monotonic() + PAUSE
        if self.notebook:
            elapsed = time.monotonic() - self.started
            meter = tqdm.format_meter(self.done, self.total, elapsed, ncols=90, unit="step", postfix=self.text)
            self._show("line", {"text/plain": meter}, {})

    def _picture(self) -> None:
        if not self.notebook or self.draw is None:
            return
        began = time.monotonic()
        self._show("picture", *plots.mime_bundle(self.draw(), self.alt))
        cost = time.monotonic() - began
        self.next_picture = time.monotonic() + max(PAUSE, cost / SHARE)
