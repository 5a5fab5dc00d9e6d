"""Letters that matplotlib's own font lacks: Chinese ones need a font of the system's, and not every system has one."""

from __future__ import annotations

import contextlib
import functools
import logging

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from gan_course.language import language, tr, tr_later

#: Families with Chinese letters, as Linux, Windows and macOS bring them; those made for Simplified Chinese first.
CHINESE = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "Microsoft YaHei", "PingFang SC",
    "Hiragino Sans GB", "Heiti SC", "STHeiti", "SimHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "Noto Sans CJK JP", "Droid Sans Fallback", "Arial Unicode MS",
)  # fmt: skip
INSTALL = tr_later(
    "This computer has no font with Chinese letters, so figures have English labels or none: install one, such as Noto "
    "Sans CJK (Debian and Ubuntu: apt install fonts-noto-cjk), build the notebooks anew and restart the kernel."
)


def needed(name: str | None = None) -> bool:
    """Whether the language ``name``, else the one that is wanted, has letters that matplotlib's font lacks."""
    return (name or language()).startswith("zh")


@functools.cache
def chinese() -> str | None:
    """The family of a font with Chinese letters on this computer, or ``None``."""
    manager = font_manager.fontManager
    for path in set(font_manager.findSystemFonts()) - {font.fname for font in manager.ttflist}:
        with contextlib.suppress(Exception):  # installed since matplotlib last looked; of any kind, and perhaps damaged
            manager.addfont(path)
    present = {font.name for font in manager.ttflist}
    return next((family for family in CHINESE if family in present), None)


def label(message: str) -> str:
    """``message`` in the language that is wanted, to be drawn: in English where its letters could not be drawn."""
    return tr(message) if not needed() or chinese() else message


def use() -> None:
    """Let matplotlib draw the letters of the language that is wanted, if it can; in English nothing changes."""
    if not needed():
        return
    family = chinese()
    if family is None:
        say_how_to_install()
    elif family not in matplotlib.rcParams["font.family"]:
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # it regrets each weight that is missing
        matplotlib.rcParams["font.family"] = [*matplotlib.rcParams["font.family"], family]


def leave_out_what_has_no_letters(figure: Figure) -> None:
    """Empty the labels of ``figure`` that would come out as boxes, where no font can draw them."""
    if needed() and chinese() is None:
        for text in figure.findobj(Text):
            if any(letter > "\u2e7f" for letter in text.get_text()):  # from there on: Chinese, Japanese, Korean
                text.set_text("")


@functools.cache
def say_how_to_install() -> None:
    """Once."""
    print(tr(INSTALL))
