"""What a computation says of a claim, and the list of all computations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One claim settled: what it says, what comes out, and whether it holds as it is said."""

    says: str
    found: str
    holds: bool

    def __str__(self) -> str:
        return f"{self.says}; found: {self.found}: {'holds' if self.holds else 'does not hold'}"


SETTLED: dict[str, Callable[[], Finding]] = {}  # id of a claim → the function that settles it


def settles(*names: str) -> Callable[[Callable[[], Finding]], Callable[[], Finding]]:
    """Put a function without arguments on the list, for the claims with these ids."""

    def keep(function: Callable[[], Finding]) -> Callable[[], Finding]:
        for name in names:
            SETTLED[name] = function
        return function

    return keep
