"""Which known mistakes explain what an answer gave.

Two mistakes may give the same number for one input, and a wrong answer that nobody thought of may give the number of a
known mistake by chance. So a mistake is named only when it explains every wrong result of a check, contradicts none of
the right ones, and was seen on two different inputs at least.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gan_course.language import tr

# (what the mistake would give for these inputs, or None where that is no number; the hint that fits the mistake).
# One hint may stand beside several values: any of them will do.
Mistakes = Sequence[tuple[Any, str]]


class Evidence:
    """What all answers of one check have shown. ``about``: which of the results, where there are several."""

    def __init__(self) -> None:
        self.wrong: dict[str, int] = {}  # how many results were wrong
        self.seen: dict[tuple[str, str], list[tuple[bool, bytes | None]]] = {}  # (fits, the input if it was wrong)

    def observe(
        self, about: str, mistakes: Mistakes, made: Callable[[Any], bool], is_right: bool, given: bytes
    ) -> None:
        """``made``: whether the result is what a mistake would give. ``given``: the input."""
        if not mistakes:
            return
        self.wrong[about] = self.wrong.get(about, 0) + (not is_right)
        values: dict[str, list[Any]] = {}
        for wrong, hint in mistakes:
            values.setdefault(hint, []).extend([] if wrong is None else [wrong])
        for hint, numbers in values.items():
            fits = not numbers or any(made(wrong) for wrong in numbers)
            told_by = None if is_right or not fits else given if numbers else b""
            self.seen.setdefault((about, hint), []).append((fits, told_by))

    def hint(self, about: str, otherwise: str) -> str:
        """The one mistake that explains everything about ``about``; both of two; else ``otherwise``."""
        named = [
            hint
            for (key, hint), rows in self.seen.items()
            if key == about
            and all(fits for fits, _ in rows)
            and sum(told_by is not None for _, told_by in rows) == self.wrong[about]
            and len({told_by for _, told_by in rows if told_by}) > 1
        ]
        return tr(" Or: ").join(map(tr, named)) if 0 < len(named) < 3 else tr(otherwise)
