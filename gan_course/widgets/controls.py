"""What all widgets share: controls, a page that wraps on a narrow screen, one way to show a widget with its still.

Only what ipywidgets 7.7 (Colab) and 8 have in common. Controls are real buttons, menus and sliders, so that the
keyboard reaches them. What goes wrong becomes a sentence beside the controls, never a traceback.
"""

from __future__ import annotations

import functools
import html
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import ipywidgets as widgets
from matplotlib.figure import Figure
from PIL import Image
from traitlets import TraitError

from gan_course import plots
from gan_course.language import tr

VIEW = "application/vnd.jupyter.widget-view+json"
Options = Sequence[tuple[str, Any]]
Handler = TypeVar("Handler", bound=Callable[..., Any])
LABEL = {"description_width": "118px"}
WIDE = "278px"  # of a control: one on a phone, two or three on a laptop
RATES = [float(f"{digit}e-{power}") for power in (5, 4, 3, 2) for digit in (1, 2, 5)]


def guarded(handler: Handler) -> Handler:
    """A method of an object with ``say``: an exception in it becomes a sentence and no traceback."""

    @functools.wraps(handler)
    def careful(self: Any, *arguments: Any) -> Any:
        try:
            return handler(self, *arguments)
        except Exception as error:  # whatever it is, the student should read a sentence
            self.say(str(error) or type(error).__name__)

    return careful  # type: ignore[return-value]


def forgiving(widget: Any) -> Any:
    """The same widget; a value from the page that it can't take is dropped, and the page shown the old one again."""
    plain = widget.set_state

    def set_state(state: dict[str, Any]) -> None:
        try:
            if None in state.values():  # ipywidgets would take it for "nothing chosen"
                raise ValueError
            plain(state)
        except (TraitError, TypeError, ValueError, IndexError, KeyError):
            widget.send_state()

    widget.set_state = set_state
    if hasattr(widget.comm, "_reply_subshell_for"):
        # ipykernel 7.4 lets each control answer in whichever thread wrote to it last: two presses would overtake each
        # other, and Reset work on a game that Play is playing. Let all of them go to the one that the page chooses.
        widget.comm._reply_subshell_for = None
    return widget


def control(kind: Any, label: str, **traits: Any) -> Any:
    """A control of ``kind`` with its label before it."""
    label = tr(label)
    made = kind(description=label, style=LABEL, layout=widgets.Layout(width=WIDE, max_width="98%"), **traits)
    made.set_trait("tooltip" if made.has_trait("tooltip") else "description_tooltip", label)  # 8 would show "null"
    return forgiving(made)


def menu(label: str, options: Options, value: Any) -> Any:
    return control(widgets.Dropdown, label, options=[(tr(name), meant) for name, meant in options], value=value)


def slider(label: str, values: Sequence[float], value: float) -> Any:
    """A slider over ``values``, which need no equal distances."""
    options = [(f"{v:g}" if v >= 1e-3 or not v else f"{v:.0e}".replace("e-0", "e-"), v) for v in values]
    return control(widgets.SelectionSlider, label, options=options, value=value, continuous_update=False)


def button(label: str, tip: str, pressed: Callable[[Any], None], style: str = "") -> Any:
    made = forgiving(
        widgets.Button(
            description=tr(label),
            tooltip=tr(tip),
            button_style=style,
            layout=widgets.Layout(width="auto", min_width="84px"),
        )
    )
    made.on_click(pressed)
    return made


def row(*children: Any, **layout: str) -> Any:
    """Children side by side, as many as fit, the rest below."""
    return widgets.Box(children, layout=widgets.Layout(display="flex", flex_flow="row wrap", width="100%", **layout))


def screen(width: str = "460px") -> Any:
    """Where a picture is shown: as wide as fits, up to ``width``."""
    layout = widgets.Layout(flex="1 1 280px", width="auto", min_width="0", max_width=width, height="auto")
    layout.align_self, layout.object_fit, layout.margin = "flex-start", "contain", "2px"
    return widgets.Image(format="png", layout=layout)


def words() -> Any:
    """A place for text, which wraps."""
    return widgets.HTML(layout=widgets.Layout(width="100%", max_width="960px", margin="2px 0"))


def paragraph(text: str, role: str = "") -> str:
    """``text`` as HTML, in lines that are easy to read; a ``role`` of "status" is read aloud when it changes."""
    spoken = ' role="status" aria-live="polite"' if role == "status" else ""
    return f'<div{spoken} style="line-height:1.4;white-space:normal">{html.escape(text)}</div>'


def details(summary: str, text: str) -> str:
    """Text that opens on a click or on Enter."""
    body = f"<summary>{html.escape(summary)}</summary>{html.escape(text)}"
    return f'<details style="line-height:1.4;white-space:normal">{body}</details>'


def close(widget: Any) -> None:
    """Remove ``widget`` and all in it from the page."""
    for child in getattr(widget, "children", ()):
        close(child)
    widget.close()


def figure(picture: Image.Image, width: float = 9.6) -> Figure:
    """A painted picture as a figure, for ``plots``."""
    made, ax = plots.new_figure(size=(width, width * picture.height / picture.width))
    made.set_layout_engine("none")
    ax.set_position((0, 0, 1, 1))
    ax.imshow(picture.convert("RGB"), interpolation="antialiased", aspect="auto")
    ax.axis("off")
    return made


def show(widget: Any, still: Image.Image, alt: str, name: str) -> None:
    """Display ``widget``, and with it the ``still`` for pages without a kernel: GitHub, the site, a printed notebook.

    Both are one output: a page that runs widgets shows the widget, any other one the picture. Colab gets the widget
    alone, because it is not known which of the two it would choose. Outside a notebook it says so in one line.
    """
    data, metadata = plots.mime_bundle(figure(still), alt, dpi=75)
    if not plots.in_notebook():
        print(tr("{name} needs a notebook: open it in JupyterLab or on Colab.").format(name=name))
        return
    from IPython.display import display

    view = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}
    if "google.colab" in sys.modules:
        data, metadata = {"text/plain": alt}, {}
    display(data | view, metadata=metadata, raw=True)


def cell() -> str | None:
    """The id of the notebook cell that is running, where the page tells it."""
    try:
        return plots.kernel().get_parent("shell")["metadata"]["cellId"]
    except (AttributeError, KeyError, TypeError):
        return None
