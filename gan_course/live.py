"""What a training cell shows while it runs: a line, now and then a picture, and a way to stop without losing anything.

A stop, by whichever button or by Ctrl-C, never cuts a step, a drawing or a checkpoint in half: it waits for the next
:meth:`LiveView.update`, which ends the run. Only an interrupt after ``PATIENCE`` seconds of waiting comes through.
"""

from __future__ import annotations

import html
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from matplotlib.figure import Figure
from tqdm import tqdm

from gan_course import plots

SHARE = 0.02  # of the training time may go into showing it; some more is lost where it can't be seen from here (bench)
LINES = 0.005  # of it into the line of progress, which takes a millisecond or two
PAUSE = 0.2  # seconds at least between two updates
GUESS = 0.08  # seconds that a picture takes, as long as none has been drawn
PATIENCE = 3.0  # seconds after which a second interrupt no longer waits
SOON = 1.0  # seconds before a way to stop is offered: shorter runs need none
WAIT = 2.0  # seconds in which a page that takes presses while a cell runs will have said so
HINT = "To stop: interrupt the cell. What was learned is kept."
TIP = "Ends this run and keeps what was learned. The notebook's own stop button does the same."
VIEW = "application/vnd.jupyter.widget-view+json"


class LiveView:
    """Progress of ``total`` steps; in a notebook also ``draw()``, a figure, redrawn as often as ``SHARE`` allows.

    In a terminal it is a bar, elsewhere (a log file, a test) it is silent. Use it as a context manager::

        with LiveView(steps, draw, "What the figure shows.") as view:
            for step in range(1, steps + 1):
                ...
                view.update(step, f"loss {loss:.3f}")

    A stop raises ``KeyboardInterrupt`` in :meth:`update`; it ends the ``with`` block and no more. On leaving, whatever
    ended the run, the final figure is drawn; it stays as ``figure``, for those who see no notebook.

    ``spent``: seconds that went into all of this. The final figure is paid for in advance: in a run that takes more
    than a few seconds, ``spent`` stays below ``SHARE`` of the rest. In a shorter one the final figure is the only one.
    """

    def __init__(self, total: int, draw: Callable[[], Figure] | None = None, alt: str = ""):
        self.total, self.draw, self.alt = total, draw, alt
        self.notebook = plots.in_notebook()
        terminal = not self.notebook and sys.stderr.isatty()
        self.bar = tqdm(total=total, unit="step", leave=False, mininterval=PAUSE) if terminal else None
        self.figure: Figure | None = None
        self.done, self.text = 0, ""
        self.stopped = False
        self.asked: float | None = None  # when it was told to stop
        self.spent, self.cost, self.next = 0.0, GUESS, 0.0  # cost: of the next picture; next: when to update again
        self.first: float | None = None  # what the first picture took
        self.displays: dict[str, Any] = {}
        self.button: StopButton | None = None
        self.pressable = self.notebook and StopButton.possible()
        if self.pressable:
            import ipywidgets  # noqa: F401  slow, once in a kernel: before the training starts
        self.handler: Any = None
        self.started = time.monotonic()

    def __enter__(self) -> LiveView:
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self.handler = before
            signal.signal(signal.SIGINT, self._interrupted)
        try:
            self._refresh()
        except BaseException:
            self._release()
            raise
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
        if self.stopped:
            raise KeyboardInterrupt
        if time.monotonic() >= self.next:
            self._refresh()

    def stop(self, *_: object) -> None:
        """End the run at its next update."""
        if self.asked is None:
            self.asked = time.monotonic()
        self.stopped = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        """Draw the final figure. An interrupt ends here; any other exception goes on."""
        self.asked = time.monotonic()  # from now on, an interrupt waits for the final figure
        try:
            if self.bar is not None:
                self.bar.close()
            self._line(final=True)
            self._picture(final=True)
        except Exception:
            if kind is None or kind is KeyboardInterrupt:
                raise  # otherwise the first error is the one to tell
        finally:
            self._release()
        if kind is KeyboardInterrupt:
            print(f"Stopped by hand after step {self.done}. What was learned is kept.")
        return kind is KeyboardInterrupt

    def _release(self) -> None:
        """Let interrupts do again what they did before."""
        if self.handler is not None:
            signal.signal(signal.SIGINT, self.handler)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None and time.monotonic() - self.asked > PATIENCE:
            raise KeyboardInterrupt
        self.stop()

    # ------------------------------------------------------------------------------------------ what is shown

    def _refresh(self) -> None:
        began = time.monotonic()
        self._line()
        line = time.monotonic() - began
        if self._can_afford(time.monotonic()):
            self._picture()
        self.next = time.monotonic() + max(PAUSE, line / LINES)

    def _can_afford(self, now: float) -> bool:
        """Whether one more picture, and the final one, keep within ``SHARE`` of the training time.

        The first one comes early, on credit, if the run will be long enough; it is paid off over the whole run, because
        the first figure of a kernel is several times as dear as the next.
        """
        if not self.done:
            return False
        trained, share_done = now - self.started - self.spent, self.done / self.total
        if self.first is None:
            return self.spent + 2 * self.cost <= (SHARE - LINES) * trained / share_done
        credit = self.first * (1 - share_done)
        return self.spent - credit + 2 * self.cost <= SHARE * trained

    def _line(self, final: bool = False) -> None:
        if not self.notebook:
            return
        began = time.monotonic()
        elapsed = began - self.started
        meter = tqdm.format_meter(self.done, self.total, elapsed, ncols=90, unit="step", postfix=self.text)
        if self.pressable and self.button is None and elapsed >= SOON and not final:
            self.button = StopButton(self.stop)
        if final:
            self._show("line", {"text/plain": meter}, {})  # the button goes: a dead one would be left in the page
            if self.button is not None:
                self.button.close()
        elif self.button is not None and self.button.works():
            self.button.say(meter)
            if not self.button.shown:
                self.button.shown = True
                self._show("line", {"text/plain": meter} | self.button.view(), {})
        else:
            told = attended() and elapsed >= SOON + (WAIT if self.pressable else 0)
            self._show("line", {"text/plain": f"{meter}\n{HINT}" if told else meter}, {})
        self.spent += time.monotonic() - began

    def _picture(self, final: bool = False) -> None:
        if self.draw is None or not (final or self.notebook):
            return
        began = time.monotonic()
        self.figure = self.draw()
        if self.notebook:
            self._show("picture", *plots.mime_bundle(self.figure, self.alt, quick=not final))
        taken = time.monotonic() - began
        self.spent += taken
        if self.first is None:
            self.first, self.cost = taken, min(taken, GUESS)
        else:
            self.cost = taken

    def _show(self, name: str, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Display ``data`` at its place below the cell, in place of what stood there."""
        from IPython.display import display

        if name in self.displays:
            self.displays[name].update(data, metadata=metadata, raw=True)
        else:
            self.displays[name] = display(data, metadata=metadata, raw=True, display_id=True)


# ------------------------------------------------------------------------------------------ the stop button


def request() -> dict[str, Any]:
    """The message that runs the present cell; empty outside of a kernel."""
    try:
        return sys.modules["IPython"].get_ipython().kernel.get_parent("shell")
    except (AttributeError, KeyError):
        return {}


def attended() -> bool:
    """Whether somebody sits before the page: papermill, nbclient and nbval take no input."""
    return bool(request().get("content", {}).get("allow_stdin"))


class StopButton:
    """A button that can be pressed while a cell runs, with the line of progress beside it.

    That takes a second shell in the kernel (ipykernel from 7) and a page that sends presses there (JupyterLab from
    4.4). The page opens that shell as soon as it hears of a widget: so the button is made first, and shown when it
    :meth:`works`.
    """

    def __init__(self, pressed: Callable[[], None]):
        import ipywidgets as widgets

        layout = widgets.Layout(width="auto", min_width="84px")
        self.button = widgets.Button(description="Stop", tooltip=TIP, layout=layout)
        self.line = widgets.HTML(layout=widgets.Layout(flex="1 1 280px", min_width="0"))
        wrap = widgets.Layout(display="flex", flex_flow="row wrap", align_items="center", width="100%")
        self.root = widgets.Box([self.button, self.line], layout=wrap)
        self.shown = False
        self.pressed = pressed
        self.button.on_click(self._press)
        # ipykernel 7.4 sends a press to the shell that made the button, which is busy: let it go where the page says.
        self.button.comm._reply_subshell_for = None

    @staticmethod
    def possible() -> bool:
        """Whether there are somebody to press it and a kernel that might notice."""
        return attended() and getattr(_kernel(), "shell_channel_thread", None) is not None

    def works(self) -> bool:
        """Whether the page has opened the second shell."""
        try:
            return bool(_kernel().shell_channel_thread.manager.list_subshell())
        except AttributeError:
            return False

    def view(self) -> dict[str, Any]:
        """What displays it."""
        return {VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.root.model_id}}

    def say(self, line: str) -> None:
        style = "margin:0;line-height:1.4;white-space:pre-wrap;word-break:break-all"
        self.line.value = f'<pre style="{style}">{html.escape(line)}</pre>'

    def _press(self, _: Any) -> None:
        self.pressed()
        self.button.disabled, self.button.description = True, "Stopping"

    def close(self) -> None:
        for widget in (self.root, self.line, self.button):
            for part in (widget, widget.layout, getattr(widget, "style", None)):
                if part is not None:
                    part.close()


def _kernel() -> Any:
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython() if ipython else None, "kernel", None)
