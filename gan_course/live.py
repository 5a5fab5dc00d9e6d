"""What a training says of itself while it runs: a line and now and then a picture, and event files for TensorBoard.

An interrupt (the notebook's stop button, Ctrl-C) loses nothing. It never cuts a step, a drawing or a checkpoint in
half, but waits for the next :meth:`LiveView.update`, which ends the run.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from matplotlib.figure import Figure
from tqdm import tqdm

from gan_course import plots
from gan_course.arguments import CountOrNone, guard

SHARE = 0.015  # of the training time may go into pictures; some more is lost where it can't be seen from here (bench)
LINES = 0.005  # of it into the line of progress, which takes a millisecond or two
PAUSE = 0.2  # seconds at least between two lines, and between two pictures
GUESS = 0.08  # seconds that a picture takes, as long as none has been drawn
STUCK = 3.0  # seconds after an interrupt: a step that still runs, a second interrupt cuts in half
HINT = "To stop: interrupt the cell. What was learned is kept."


class LiveView:
    """Progress of ``total`` steps; in a notebook also ``draw()``, a figure, redrawn as often as ``SHARE`` allows.

    In a terminal it is a bar, elsewhere (a log file, a test) it is silent. Use it as a context manager::

        with LiveView(steps, draw, "What the figure shows.") as view:
            for step in range(1, steps + 1):
                ...
                view.update(step, f"loss {loss:.3f}")

    An interrupt raises ``KeyboardInterrupt`` in :meth:`update`; it ends the ``with`` block and no more. On leaving,
    whatever ended the run, the final figure is drawn; it stays as ``figure``, for those who see no notebook.
    """

    def __init__(self, total: CountOrNone, draw: Callable[[], Figure] | None = None, alt: str = ""):
        self.total, self.draw, self.alt = total, draw, alt
        self.notebook = plots.in_notebook()
        terminal = not self.notebook and sys.stderr.isatty()
        self.bar = tqdm(total=total, unit="step", leave=False, mininterval=PAUSE) if terminal else None
        self.figure: Figure | None = None
        self.done, self.text = 0, ""
        self.interrupted: float | None = None  # when it was
        self.handler: Any = None  # what an interrupt did before
        self.displays: dict[str, Any] = {}
        self.started = time.monotonic()
        self.next_line = self.next_picture = self.started + PAUSE  # when they are due
        self.pause = GUESS / SHARE  # seconds of training that pay for a picture

    def __enter__(self) -> LiveView:
        if self.notebook:
            self._line()
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self.handler = before
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def update(self, done: int, text: str | None = None) -> None:
        """Say that ``done`` steps are over; ``text`` stands behind the bar until there is another.

        Raises ``KeyboardInterrupt`` where somebody wants the run to stop.
        """
        self.done, self.text = done, self.text if text is None else text
        if self.bar is not None:
            if text is not None:
                self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(done - self.bar.n)
        if self.interrupted is not None:
            raise KeyboardInterrupt
        if not self.notebook:
            return
        now = time.monotonic()
        if now >= self.next_line:
            self._line()
        # A picture is due when the last one has been paid for, unless the rest of the run is too short to pay for it
        # and for the final one.
        rest = (now - self.started) * (self.total / max(done, 1) - 1)
        if self.draw is not None and now >= self.next_picture and rest >= 2 * self.pause:
            self._picture()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        """Draw the final figure. An interrupt ends here; any other exception goes on."""
        self.interrupted = time.monotonic()  # from now on, an interrupt waits for the final figure
        try:
            if self.bar is not None:
                self.bar.close()
            if self.notebook:
                self._line(final=True)
            if self.draw is not None:
                self._picture(final=True)
        except Exception:
            if kind is None or kind is KeyboardInterrupt:
                raise  # otherwise the first error is the one to tell
        finally:
            if self.handler is not None:
                signal.signal(signal.SIGINT, self.handler)
        if kind is KeyboardInterrupt:
            print(f"Stopped by hand after step {self.done}. What was learned is kept.")
        return kind is KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.interrupted is None:
            self.interrupted = now
        elif now - self.interrupted > STUCK:  # a step that never ends
            raise KeyboardInterrupt

    # ------------------------------------------------------------------------------------------ what is shown

    def _line(self, final: bool = False) -> None:
        began = time.monotonic()
        elapsed = began - self.started
        meter = tqdm.format_meter(self.done, self.total, elapsed, ncols=90, unit="step", postfix=self.text)
        self.show("line", {"text/plain": meter if final else f"{meter}\n{HINT}"}, {})
        now = time.monotonic()
        self.next_line = now + max(PAUSE, (now - began) / LINES)

    def _picture(self, final: bool = False) -> None:
        assert self.draw is not None
        began = time.monotonic()
        self.figure = self.draw()
        if self.notebook:
            self.show("picture", *plots.mime_bundle(self.figure, self.alt, quick=not final))
        now = time.monotonic()
        self.pause = max(PAUSE, (now - began) / SHARE)
        self.next_picture = now + self.pause

    def show(self, name: str, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Display ``data`` at its place below the cell, in place of what stood there."""
        from IPython.display import display

        if name in self.displays:
            self.displays[name].update(data, metadata=metadata, raw=True)
        else:
            self.displays[name] = display(data, metadata=metadata, raw=True, display_id=True)


@contextmanager
def event_files(folder: str | Path | None) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """A function that writes an entry of the log, ``{"step": 10, "d_loss": 1.2, ...}``, to TensorBoard's event files.

    They lie in ``folder``; where that is ``None``, the function does nothing. Raises ``ImportError`` without the
    package tensorboard, ``OSError`` where the folder can't be written.
    """
    if folder is None:
        yield lambda entry: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "logging for TensorBoard needs the package tensorboard: pip install tensorboard, or leave tensorboard=None"
        ) from error
    try:
        writer = SummaryWriter(str(folder))
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"can't write a log to {folder} ({reason}): choose a folder that you may write to") from error

    def write(entry: Mapping[str, float]) -> None:
        for name, value in entry.items():
            if name != "step":
                writer.add_scalar(name, value, entry["step"])

    with writer:
        yield write


guard(__name__)
