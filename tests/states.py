"""What several tests look at in a network, a training run and an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

OPEN = open  # before a test puts something else in its place


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers, copied."""
    return {name: value.clone() for name, value in network.state_dict().items()}


def weights(run) -> dict[str, Tensor]:
    """Those of all networks that a recipe's run trains, and of their averages, copied."""
    networks = {f"{name}/{kind}": n for name, part in run.parts.items() for kind, n in part.networks.items()}
    return {
        f"{place}/{key}": value for place, network in networks.items() for key, value in tensors_of(network).items()
    }


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def sentence(caught) -> str:
    """The message of a caught error, which must be one line."""
    text = str(caught.value)
    assert text and "\n" not in text
    return text


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Within the block, permissions bind whoever runs the tests: root becomes nobody. Skips where there are none."""
    if os.name != "posix":
        pytest.skip("permissions as POSIX has them")
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


class FullFile:
    """The file ``path``, on a disk that is full. It keeps its own name, so that whoever cleans up deletes no device."""

    def __init__(self, path, mode="xb"):
        OPEN(path, mode).close()
        self.name, self.full = str(path), OPEN("/dev/full", "wb", buffering=0)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __getattr__(self, name):  # write, flush, fileno, close
        return getattr(self.full, name)
