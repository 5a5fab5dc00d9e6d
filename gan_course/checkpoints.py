"""Checkpoints: named tensors and a few notes in one safetensors file, which is written whole or not at all.

An optimiser's moments are named after the weights that they belong to: whoever resumes with the layers in another order
gets them right, and whoever resumes with other layers hears of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gan_course.files import write_whole


def save_checkpoint(path: str | Path, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
    """Write ``tensors`` and ``notes`` (anything JSON can hold) to ``path``. Raises as :func:`write_whole`."""
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    write_whole(path, save(plain, metadata={"notes": json.dumps(notes)}))


def load_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the notes of the checkpoint at ``path``.

    Raises ``FileNotFoundError`` where there is none and ``ValueError`` where it can't be read.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no checkpoint at {path}: train with checkpoint={str(path)!r} first, or correct the path"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            # a copy each: a tensor that is still mapped to the file would keep Windows from replacing it
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
            return tensors, json.loads((file.metadata() or {})["notes"])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"the checkpoint {path} can't be read ({type(error).__name__}): it is damaged or no checkpoint of this "
            "course; delete it and train again"
        ) from error


# ------------------------------------------------------------------------------------------ optimisers


def optimizer_tensors(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """What ``optimizer`` remembers of the weights of ``network``: ``{"layers.0.weight/exp_avg": ...}``.

    Empty before its first step. The settings (rates, betas) are no part of it.
    """
    return {
        f"{name}/{key}": torch.as_tensor(value)
        for name, weight in network.named_parameters()
        for key, value in optimizer.state.get(weight, {}).items()
    }


def check_optimizer_tensors(tensors: dict[str, Tensor], network: nn.Module) -> None:
    """Raise ``ValueError`` unless ``tensors`` hold the same entries for all weights of ``network``, in their shapes.

    Nothing at all is right, too: of an optimiser that has not made a step.
    """
    if not tensors:
        return
    weights = dict(network.named_parameters())
    keys = {entry.rpartition("/")[2] for entry in tensors}
    wanted = {f"{name}/{key}" for name, weight in weights.items() if weight.requires_grad for key in keys}
    if wrong := sorted(wanted ^ set(tensors)):
        there = "is missing" if wrong[0] in wanted else "belongs to no weight of this network"
        raise ValueError(f"the optimiser's entry {wrong[0]} {there}: build the network that the run was made with")
    for entry, value in tensors.items():
        weight = weights[entry.rpartition("/")[0]]
        if value.ndim and value.shape != weight.shape:
            raise ValueError(
                f"the optimiser's entry {entry} has shape {list(value.shape)} but its weight {list(weight.shape)}: "
                "build the network that the run was made with"
            )


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
        if value.ndim:  # the fused Adam pairs numbers by their place in memory, which must be the weights' own
            value = torch.empty_like(weight, requires_grad=False).copy_(value)
        else:
            value = value.to(weight.device)
        optimizer.state[weight][key] = value
