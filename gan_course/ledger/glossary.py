"""The glossary, from ``glossary.md``."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Term(NamedTuple):
    english: str
    chinese: str
    meaning: str  # one sentence of Markdown, perhaps with a formula
    chapter: str  # where it first matters, such as "07"


@cache
def terms() -> tuple[Term, ...]:
    """All terms in alphabetical order of the English ones."""
    text = (Path(__file__).parent / "glossary.md").read_text(encoding="utf-8")
    return tuple(Term(*row) for row in re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (\d\d) \|$", text, re.MULTILINE))
