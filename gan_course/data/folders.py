"""A folder of a student's own pictures as a data set: what can be read is made square, the rest is listed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gan_course.data import Dataset, pictures
from gan_course.naming import nearest

LEAST = 50  # pictures: with fewer, a discriminator learns them by heart before a generator has learned anything
FITS = ("crop", "pad")
LITTER = ("Thumbs.db", "desktop.ini", "__MACOSX")  # what systems leave in folders, besides names that begin with a dot
ALIKE = 0.03  # of the range of values, root mean square of 16x16 thumbnails: saved twice, made smaller, next film frame


@dataclass(frozen=True)
class FolderSet(Dataset):
    """The pictures of a folder. Each has a class: without sub-folders there is one, named like the folder.

    ``skipped``: a line for each file that could not be used, with the reason.
    ``near_duplicates``: how many pictures have a twin among the others before them.
    """

    skipped: tuple[str, ...] = ()
    near_duplicates: int = 0


def read_folder(path: Path, size: int, grey: bool, fit: str) -> FolderSet:
    """See ``gan_course.data.from_folder``."""
    if fit not in FITS:
        raise ValueError(f"there is no fit {fit!r}: {nearest(fit, FITS)}")
    root = Path(path).expanduser()
    if not root.is_dir():
        why = "is a file, not a folder: unpack it, or name the folder around it"
        raise FileNotFoundError(
            f"{root} {why}"
            if root.exists()
            else f"there is no folder {root} (looked from {Path.cwd()}): correct the path"
        )
    files, skipped = _find(root)
    kept, found, shapes = [], [], []
    for file in files:
        try:
            picture = pictures.read(file, least=2 * size)
        except (OSError, ValueError) as error:  # both are sentences; a single bad file stops nothing
            skipped.append(str(error).replace(str(root) + os.sep, ""))
            continue
        found.append(_squared(picture, size, grey, fit))
        shapes.append(picture.colours.shape[:2])
        kept.append(file)
    if len(kept) < LEAST:
        raise ValueError(
            f"{root} holds {len(kept)} pictures that can be read and {len(skipped)} other files"
            f"{_first(skipped)}, but a GAN needs {LEAST} pictures at the least, and better a thousand: "
            "add pictures, or cut large ones into tiles as chapter 04 does"
        )
    labels, names = _classes(root, kept)
    order = torch.randperm(len(kept), generator=torch.Generator().manual_seed(0))  # so that a part holds all classes
    images = torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)[order].contiguous()
    made = FolderSet(
        f"folder:{path}", images, labels[order], names, skipped=tuple(skipped), near_duplicates=count_twins(images)
    )
    print(_report(made, root, shapes, fit))
    return made


def _find(root: Path) -> tuple[list[Path], list[str]]:
    """All files below ``root`` in the order of their names, and a line for each folder that can't be looked into."""
    files: list[Path] = []
    closed: list[str] = []

    def note(error: OSError) -> None:
        closed.append(f"{error.filename} can't be opened ({error.strerror})".replace(str(root) + os.sep, ""))

    for folder, inner, names in os.walk(root, onerror=note):
        inner[:] = sorted(name for name in inner if not _is_litter(name))
        linked = [name for name in inner if os.path.islink(os.path.join(folder, name))]
        closed += [f"{name} is a link to a folder elsewhere: copy that folder here" for name in linked]
        files += [Path(folder, name) for name in names if not _is_litter(name)]
    return sorted(files), closed


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name in LITTER


def _squared(picture: pictures.Picture, size: int, grey: bool, fit: str) -> np.ndarray:
    """uint8 ``[size, size, 1 or 3]``: the middle square scaled, or all of it between bars in its rim's colour."""
    image = Image.fromarray(pictures.on_white(picture))
    image = image.convert("L") if grey else image
    width, height = image.size
    side = min(width, height) if fit == "crop" else max(width, height)
    if fit == "pad" and width != height:
        solid = np.asarray(image)
        rim = np.concatenate([solid[0], solid[-1], solid[:, 0], solid[:, -1]])
        colour = np.median(rim, axis=0).astype(np.uint8).tolist()
        square = Image.new(image.mode, (side, side), colour if grey else tuple(colour))
        square.paste(image, ((side - width) // 2, (side - height) // 2))
        image, width, height = square, side, side
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    small = image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    return np.asarray(small).reshape(size, size, -1)


def _classes(root: Path, files: Sequence[Path]) -> tuple[Tensor, tuple[str, ...]]:
    """Labels and names: the sub-folders of the innermost folder that holds all pictures, unless some lie outside."""
    common = Path(os.path.commonpath([file.parent for file in files]))
    below = [file.relative_to(common).parts for file in files]
    if any(len(parts) == 1 for parts in below):
        return torch.zeros(len(files), dtype=torch.int64), (common.resolve().name or "pictures",)
    names = tuple(sorted({parts[0] for parts in below}))
    return torch.tensor([names.index(parts[0]) for parts in below]), names


def count_twins(images: Tensor) -> int:
    """How many of ``images`` ``[N, C, H, W]`` in [-1, 1] look like one before them, within ``ALIKE`` of the range."""
    small = F.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), 16).flatten(1)
    limit = 2 * ALIKE * small.shape[1] ** 0.5
    twins = 0
    for start in range(0, len(small), 1000):
        rows = small[start : start + 1000]
        near = torch.cdist(rows, small[: start + len(rows)]) < limit
        twins += int(near.tril(diagonal=start - 1).any(dim=1).sum())
    return twins


def _first(lines: Sequence[str], most: int = 3) -> str:
    if not lines:
        return ""
    return f" ({'; '.join(lines[:most])}{'; …' if len(lines) > most else ''})"


def _report(made: FolderSet, root: Path, shapes: Sequence[tuple[int, int]], fit: str) -> str:
    """What happened to the files, in sentences."""
    size = made.images.shape[-1]
    counts = Counter(made.class_names[label] for label in made.labels.tolist()) if made.labels is not None else {}
    of_each = ", ".join(f"{name} {counts[name]:,}" for name in made.class_names[:8])
    classes = f" in {len(counts)} classes ({of_each}{', …' if len(counts) > 8 else ''})" if len(counts) > 1 else ""
    colours = "grey" if made.images.shape[1] == 1 else "in colour"
    lines = [f"{root.name or root}: {len(made):,} pictures, now {size}×{size} pixels and {colours}{classes}."]
    if oblong := sum(height != width for height, width in shapes):
        what = {"crop": "only their middle square is kept", "pad": "bars in the colour of their rim make them square"}
        lines.append(f"{oblong:,} were not square: {what[fit]} (fit={fit!r}).")
    if small := sum(min(shape) < size for shape in shapes):
        lines.append(f"{small:,} were smaller than {size} pixels and are enlarged.")
    if made.near_duplicates:
        lines.append(f"{made.near_duplicates:,} look nearly like another one: what is seen often is learned by heart.")
    if made.skipped:
        lines.append(f"{len(made.skipped):,} were skipped{_first(made.skipped)}.")
    return "\n".join(lines)
