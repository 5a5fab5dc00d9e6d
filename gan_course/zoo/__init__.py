"""Small trained networks that ship with the course: safetensors weights, and a card each that says how they were made.

``gan-course train NAME`` makes them again.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import nn

from gan_course.networks import Classifier

FOLDER = Path(__file__).parent
NETWORKS = {"Classifier": Classifier}  # what a card's "network" may name


def names(folder: Path = FOLDER) -> list[str]:
    """The names of all trained networks in ``folder``."""
    return sorted(path.stem for path in folder.glob("*.json"))


def card(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """What is known about the network ``name``: what it is, recipe, data, seed, steps, time, measured quality, SHA-256.

    Raises ``ValueError`` for a damaged card, and for a name that ``folder`` lacks, with the nearest that it holds.
    """
    if name not in (known := names(folder)):
        near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"there is no trained network {name!r}: {hint}Known: {', '.join(known) or 'none'}")
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"the card {path} can't be read ({error}): install the course again") from error


def load(name: str, folder: Path = FOLDER) -> nn.Module:
    """The network ``name``, in evaluation mode and without gradients.

    Raises ``ValueError`` for an unknown name and for weights other than those of the card, ``FileNotFoundError`` where
    the weights are missing.
    """
    about = card(name, folder)
    path = folder / about["file"]
    remedy = f"install the course again, or train the network anew with gan-course train {name}"
    if not path.is_file():
        raise FileNotFoundError(f"the weights {path} are missing: {remedy}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != about["sha256"]:
        raise ValueError(
            f"the weights {path} are not those of their card (SHA-256 {found[:12]}… instead of "
            f"{about['sha256'][:12]}…): {remedy}"
        )
    network = NETWORKS[about["network"]["class"]](**about["network"]["arguments"])
    network.load_state_dict(read_tensors(content))
    return network.eval().requires_grad_(False)


def store(name: str, network: nn.Module, about: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the weights of ``network`` and their card into ``folder`` and return the card.

    ``about``: all of the card but what the file itself says (name, size, SHA-256). Raises ``OSError`` where the folder
    can't be written.
    """
    content = write_tensors({key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()})
    path = folder / f"{name}.safetensors"
    facts = {"file": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(about | facts, indent=1, ensure_ascii=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Each file appears whole or not at all. Between the two, the old card doesn't fit, and loading says so.
        for target, written in ((path, content), (folder / f"{name}.json", text.encode())):
            part = target.with_name(target.name + ".part")
            part.write_bytes(written)
            os.replace(part, target)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"can't write {name} to {folder} ({reason}): choose a folder that you may write to") from error
    return about | facts
