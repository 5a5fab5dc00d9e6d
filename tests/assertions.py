"""What tests of several files assert."""

from __future__ import annotations

import torch


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two states of a network or a run are equal bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def sentence(caught) -> str:
    """The message of a caught error, which must be one line."""
    text = str(caught.value)
    assert text and "\n" not in text
    return text
