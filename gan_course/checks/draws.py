"""Where the inputs of checks come from, on which they call a student's function.

In a student's own run they are the same every time, so that a message can be tried again at leisure. Whoever grades
draws them anew, by a secret number that is not known yet when the notebooks are handed in: right results that were
stored for the public inputs are of no use then.

The secret is a context variable. One of these can't be pickled: should a class that travels into a sandbox ever refer
to it, grading stops with an error, and nothing gets out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor

MOST = 4_000_000  # secrets: times 1000, all of them are different seeds for PyTorch, which takes 32 bits

_secret: ContextVar[int] = ContextVar("secret", default=0)  # 0: a student's own run

T = TypeVar("T")


@contextmanager
def drawn_by(secret: int) -> Iterator[None]:
    """Draw the inputs of all checks in this block anew. ``secret``: 1 to ``MOST``; one number, one set of inputs."""
    token = _secret.set(secret)
    try:
        yield
    finally:
        _secret.reset(token)


def anew(seed: int) -> int:
    """``seed``, below 1000, as it is in a student's own run; another one for each secret."""
    return seed + 1000 * _secret.get()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(anew(seed))


def nudged(value: T, seed: int = 0) -> T:
    """For a grader every number with a point in ``value`` is 3 to 15 % nearer to 0, each by a share of its own.

    So signs stay, zeros, and the ranges [-1, 1] and [0, 1]; but equal numbers differ afterwards. Tensors, lists, tuples
    and dictionaries are looked into. In a student's own run nothing changes.
    """
    if not _secret.get():
        return value
    generator = seeded(seed)

    def share(like: Tensor) -> Tensor:
        return 0.97 - 0.12 * torch.rand(like.shape, generator=generator, dtype=like.dtype)

    def nudge(value: Any) -> Any:
        if isinstance(value, float):
            return value * share(torch.tensor(0.0, dtype=torch.float64)).item()
        if type(value) is Tensor and value.is_floating_point():
            return value * share(value)
        if isinstance(value, dict):
            return {name: nudge(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(nudge, value))
        return value

    return nudge(value)  # type: ignore[no-any-return]


def hidden(make: Callable[[random.Random], T], count: int = 2) -> list[T]:
    """``count`` cases that only a grader tries, each made by ``make``; none in a student's own run."""
    numbers = random.Random(_secret.get())
    return [make(numbers) for _ in range(count)] if _secret.get() else []
