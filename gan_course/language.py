"""In which language checks and widgets speak: one catalogue of messages for each, gettext's, in ``locale/``.

The environment variable ``GAN_COURSE_LANGUAGE`` names the language, such as ``zh_CN`` or ``en``; else the system's own
variables do, ``LANG`` the last of them. A message that the catalogue lacks stays as it is, in English.
"""

from __future__ import annotations

import functools
import gettext
import os
from pathlib import Path

FOLDER = Path(__file__).parent / "locale"
VARIABLES = ("GAN_COURSE_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


def language() -> str:
    """The language that is wanted and that there is a catalogue of, such as ``"zh_CN"``, else ``"en"``."""
    wanted = next((os.environ[name] for name in VARIABLES if os.environ.get(name)), "")
    return _offered(wanted.partition(".")[0].replace("-", "_"))


@functools.cache
def _offered(wanted: str) -> str:
    """``wanted`` itself where it is offered, else the first language that is its next of kin: "zh" is "zh_CN"."""
    offered = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())
    kin = [name for name in offered if name.partition("_")[0] == wanted.partition("_")[0]]
    return wanted if wanted in offered else kin[0] if kin else "en"


@functools.cache
def _catalogue(name: str) -> gettext.NullTranslations:
    return gettext.translation("gan_course", FOLDER, [name], fallback=True)


def tr(message: str) -> str:
    """``message`` in the language that is wanted. What changes in it stands in braces: ``tr("{n} steps").format(n=9)``.

    ``gan-course translate extract`` finds the messages by the name of this function, and by that of :func:`tr_later`.
    """
    return _catalogue(language()).gettext(message) if message else ""


def tr_later(message: str) -> str:
    """``message`` itself: marks one that is defined here and looked up where it is used."""
    return message
