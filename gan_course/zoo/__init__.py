"""Small trained networks that ship with the course: safetensors weights, and a card each that says how they were made.

``gan-course train NAME`` makes them again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import nn

from gan_course.arguments import guard
from gan_course.classifiers import AttributeClassifier, Classifier, DepthEstimator
from gan_course.files import read_whole, write_whole
from gan_course.naming import nearest
from gan_course.networks import ConvGenerator
from gan_course.panorama.enlarge import Enlarger
from gan_course.translators import PhotoFeatures, Translator
from gan_course.unet import DiffusionUNet
from gan_course.video.network import SpaceTimeUNet

FOLDER = Path(__file__).parent
#: What a card's "network" may name.
NETWORKS = {
    kind.__name__: kind
    for kind in (
        AttributeClassifier,
        Classifier,
        ConvGenerator,
        DepthEstimator,
        DiffusionUNet,
        Enlarger,
        PhotoFeatures,
        SpaceTimeUNet,
        Translator,
    )
}


def names(folder: Path = FOLDER) -> list[str]:
    """The names of all trained networks in ``folder``: what :func:`load` takes."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: correct the path")
    return [name for name in _cards(folder) if "network" in card(name, folder)]


def _cards(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.json"))


def card(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """What is known about the network ``name``: what it is, recipe, data, seed, steps, time, measured quality, SHA-256.

    Raises ``ValueError`` for a damaged card, and for a name that ``folder`` lacks, with the nearest that it holds;
    ``OSError`` for a card that may not be read.
    """
    if name not in (known := _cards(folder)):
        raise ValueError(f"there is no trained network {name!r}: {nearest(name, known)}")
    path = folder / f"{name}.json"
    content = read_whole(path)
    try:
        return json.loads(content)
    except ValueError as error:
        raise ValueError(f"the card {path} can't be read ({error}): install the course again") from error


def load(name: str, folder: Path = FOLDER) -> nn.Module:
    """The network ``name``, in evaluation mode and without gradients, with weights of 32 bits (a file may have 16).

    Raises ``ValueError`` for an unknown name and for weights other than those of the card, ``FileNotFoundError`` where
    the weights are missing, ``OSError`` where they may not be read.
    """
    about = card(name, folder)
    if "network" not in about:
        known = ", ".join(names(folder)) or "none"
        raise ValueError(f"{name} is not a single network: load one of {known}, or use stable_diffusion.load_pipeline")
    path = folder / about["file"]
    remedy = f"install the course again, or make the file anew: {about.get('recipe', f'gan-course train {name}')}"
    try:
        content = read_whole(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"the weights {path} are missing: {remedy}") from error
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
    file = f"{name}.safetensors"
    facts = {"file": file, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    write_whole(folder / file, content)
    write_whole(folder / f"{name}.json", _text(about | facts))  # last: until it is new, loading says that it differs
    return about | facts


def _text(about: dict[str, Any]) -> bytes:
    return (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode()


# ------------------------------------------------------------------------------------------ folders of several networks


def check_files(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Raise unless all files in ``folder / name`` are those of their card, which is returned.

    Raises ``ValueError`` for an unknown name and for files that are not the card's, ``FileNotFoundError`` for missing
    ones. Text files may have other line ends: Git on Windows changes them.
    """
    about = card(name, folder)
    remedy = "install the course again, or train it anew with gan-course train"
    found = _facts(folder / name)
    for file, facts in about.get("files", {}).items():
        path = folder / name / file
        if file not in found:
            raise FileNotFoundError(f"the file {path} is missing: {remedy}")
        if found[file]["sha256"] != facts["sha256"]:
            raise ValueError(
                f"the file {path} is not that of its card (SHA-256 {found[file]['sha256'][:12]}… instead of "
                f"{facts['sha256'][:12]}…): {remedy}"
            )
    if foreign := sorted(set(found) - set(about.get("files", {}))):
        raise ValueError(f"the file {folder / name / foreign[0]} is not named in its card: remove it, or {remedy}")
    return about


def store_files(name: str, source: Path, about: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Copy all files under ``source`` to ``folder / name``, beside those that are there, and write their common card.

    The card is the old one with ``about`` merged in. Returns it. Raises ``OSError`` where the folder can't be written.
    """
    old = card(name, folder) if name in _cards(folder) else {}
    contents = {p.relative_to(source).as_posix(): _placeless(p) for p in sorted(source.rglob("*")) if p.is_file()}
    for file, content in contents.items():
        write_whole(folder / name / file, content)
    files = _facts(folder / name)
    together = old | about | {"bytes": sum(facts["bytes"] for facts in files.values()), "files": files}
    write_whole(folder / f"{name}.json", _text(together))  # last, as in store
    return together


def _placeless(path: Path) -> bytes:
    """The file's content; in a configuration without the folder that its network was once loaded from."""
    content = read_whole(path)
    if path.name != "config.json":
        return content
    config = json.loads(content)
    return content if config.pop("_name_or_path", None) is None else _text(config)


def _facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file under ``folder``, text files with the line ends of Unix."""
    facts = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = read_whole(path)
            if path.suffix != ".safetensors":
                content = content.replace(b"\r\n", b"\n")
            file = path.relative_to(folder).as_posix()
            facts[file] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return facts


guard(__name__)
