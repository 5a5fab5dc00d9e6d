"""Checkpoints: named tensors and a few notes in one safetensors file, which is written whole or not at all.

An optimiser's moments are named after the weights that they belong to: whoever resumes with the layers in another order
gets them right, and whoever resumes with other layers hears of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from gan_course.files import read_whole, write_whole


def save_checkpoint(path: str | Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write ``tensors`` and ``notes`` (anything JSON can hold) to ``path``, with a SHA-256 over both.

    Raises as :func:`gan_course.files.write_whole`.
    """
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(notes)
    write_whole(path, save(plain, metadata={"notes": text, "sha256": _digest(plain, text)}))


def load_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], Any]:
    """The tensors and the notes of the checkpoint at ``path``.

    Raises ``FileNotFoundError`` where there is none, ``OSError`` where it may not be read or is no file, and
    ``ValueError`` where a single bit of it has changed.
    """
    try:
        content = read_whole(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"there is no checkpoint at {path}: train with checkpoint={str(path)!r} first, or correct the path"
        ) from error
    except OSError as error:  # says nothing about what is in it
        raise type(error)(f"the checkpoint {error}") from error
    try:
        noted = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        # a copy each: what is loaded are views, which need not lie where a processor likes its numbers to lie
        tensors = {name: tensor.clone() for name, tensor in load(content).items()}
        if _digest(tensors, noted["notes"]) != noted["sha256"]:
            raise ValueError("its SHA-256 differs")
        return tensors, json.loads(noted["notes"])
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"the checkpoint {path} can't be read ({type(error).__name__}): it is damaged or no checkpoint of this "
            "course; move it away and train again, or correct the path"
        ) from error


def _digest(tensors: Mapping[str, Tensor], notes: str) -> str:
    """The SHA-256 of everything that a checkpoint says."""
    digest = hashlib.sha256(notes.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Twelve hexadecimal digits that others than these ``tensors`` would not have."""
    return _digest({name: tensor.detach().cpu() for name, tensor in tensors.items()}, "")[:12]


# ------------------------------------------------------------------------------------------ what fits


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the ``tensors`` whose names begin with ``prefix``, under the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def check_same_form(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise ``ValueError`` unless both hold the same names, with tensors of the same shapes and dtypes."""

    def form(tensor: Tensor | None) -> str:
        return "is absent" if tensor is None else f"has shape {list(tensor.shape)}"

    for name in {**wanted, **found}:
        there, here = found.get(name), wanted.get(name)
        if there is None or here is None or there.shape != here.shape:
            raise ValueError(f"{name} {form(there)} there and {form(here)} here")
        if there.dtype != here.dtype:
            raise ValueError(f"{name} is {there.dtype} there and {here.dtype} here")


def check_settings(found: Any, wanted: Mapping[str, Any]) -> None:
    """Raise ``ValueError``, which names each of the settings that differ with both its values, unless none does."""
    if not isinstance(found, dict):
        raise ValueError(f"its settings are no table of names and values but {found!r}")
    differ = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    if differ:
        there, here = (", ".join(f"{name} {s.get(name)!r}" for name in differ) for s in (found, wanted))
        raise ValueError(f"it was made with {there}, not with {here}")


def check_count(value: Any, name: str) -> None:
    """Raise ``ValueError`` unless ``value`` is a whole number from 0 up."""
    if type(value) is not int or value < 0:
        raise ValueError(f"its {name} must be a whole number from 0 up but is {value!r}")


def check_random_state(state: Tensor | None, name: str) -> None:
    """Raise ``ValueError`` unless ``state`` is one that a random generator of the CPU can take."""
    if state is None:
        raise ValueError(f"its {name}, the state of a random generator, is missing")
    try:
        torch.Generator().set_state(state)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"its {name} is no state of a random generator but {state.dtype} of shape {list(state.shape)}"
        ) from error


# ------------------------------------------------------------------------------------------ optimisers

STEP = "step"  # how PyTorch's optimisers call their count of steps, the one entry that is a single number
ADAM = {STEP, "exp_avg", "exp_avg_sq"}  # what Adam and AdamW keep for each weight


def optimizer_tensors(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """What ``optimizer`` remembers of the weights of ``network``: ``{"layers.0.weight/exp_avg": ...}``.

    Empty before its first step. The settings (rates, betas) are no part of it.
    """
    keys = sorted({key for state in optimizer.state.values() for key in state})
    tensors = {}
    for name, weight in network.named_parameters():
        state = optimizer.state.get(weight, {})
        for key in keys if weight.requires_grad or state else ():
            nothing = (
                torch.zeros(()) if key == STEP else torch.zeros_like(weight)
            )  # as before a weight's first gradient
            tensors[f"{name}/{key}"] = torch.as_tensor(state.get(key, nothing))
    return tensors


def check_optimizer_tensors(tensors: dict[str, Tensor], network: nn.Module) -> None:
    """Raise ``ValueError`` unless ``tensors`` hold all entries of all weights of ``network``, in its shapes and dtypes.

    Nothing at all is right, too: of an optimiser that has not made a step.
    """
    weights = dict(network.named_parameters())
    keys = {entry.rpartition("/")[2] for entry in tensors}
    if keys & ADAM:
        keys |= ADAM
    remedy = "build the network that the run was made with"
    for entry in sorted(f"{name}/{key}" for name, weight in weights.items() if weight.requires_grad for key in keys):
        if entry not in tensors:
            raise ValueError(f"the optimiser's entry {entry} is missing: {remedy}")
    for entry, value in tensors.items():
        name, _, key = entry.rpartition("/")
        if name not in weights:
            raise ValueError(f"the optimiser's entry {entry} belongs to no weight of this network: {remedy}")
        shape = [] if key == STEP else list(weights[name].shape)
        if list(value.shape) != shape:
            raise ValueError(
                f"the optimiser's entry {entry} has shape {list(value.shape)} instead of {shape}: {remedy}"
            )
        dtype = torch.float32 if key == STEP else weights[name].dtype  # fused kernels read what they find as this
        if value.dtype != dtype:
            raise ValueError(f"the optimiser's entry {entry} is {value.dtype} instead of {dtype}: {remedy}")


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], network: nn.Module) -> None:
    """Give ``optimizer`` back what :func:`optimizer_tensors` took from it; ``network`` holds the weights it moves.

    Raises as :func:`check_optimizer_tensors`, and then changes nothing.
    """
    check_optimizer_tensors(tensors, network)
    weights = dict(network.named_parameters())
    optimizer.state.clear()
    for entry, value in tensors.items():
        name, _, key = entry.rpartition("/")
        weight = weights[name]
        if key != STEP:  # the fused Adam pairs numbers by their place in memory, which must be the weights' own
            value = torch.empty_like(weight, requires_grad=False).copy_(value)
        else:
            value = value.to(weight.device)
        optimizer.state[weight][key] = value
