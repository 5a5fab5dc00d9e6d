"""What is said about a name that nobody knows, be it of a data set, a loss, a network or a chapter."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: object, known: Iterable[str]) -> str:
    """How to go on after "there is no loss 'hinges': ": the nearest of the ``known`` names, if one is near, and all.

    >>> nearest("hinges", ["hinge", "wasserstein"])
    "did you mean 'hinge'? Known: hinge, wasserstein"
    """
    spelled = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(str(name).casefold(), spelled, n=1, cutoff=0.4)
    hint = f"did you mean {spelled[near[0]]!r}? " if near else ""
    return f"{hint}Known: {', '.join(spelled.values()) or 'none'}"
