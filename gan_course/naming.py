"""What is said about a name that nobody knows, be it of a data set, a loss, a network or a chapter."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MANY = 16  # names are listed in one sentence, no more


def nearest(name: object, known: Iterable[str]) -> str:
    """How to go on after "there is no loss 'hinges': ": the nearest of the ``known`` names, if one is near, and all.

    Of very many, only the first ``MANY`` are listed.

    >>> nearest("hinges", ["hinge", "wasserstein"])
    "did you mean 'hinge'? Known: hinge, wasserstein"
    """
    spelled = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(str(name).casefold(), spelled, n=1, cutoff=0.4)
    hint = f"did you mean {spelled[near[0]]!r}? " if near else ""
    names = list(spelled.values())
    if len(names) > MANY:  # a sentence is to be read
        names = [*names[:MANY], f"and {len(names) - MANY} more"]
    return f"{hint}Known: {', '.join(names) or 'none'}"
