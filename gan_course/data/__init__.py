"""Data sets, all in memory: tensors ``[N, C, H, W]`` in ``[-1, 1]`` with labels and, where there are any, captions.

==================  ===========================================================  ==================
name                what                                                         network
==================  ===========================================================  ==================
``ring`` …          points in the plane: ring, grid, spiral, moons               none
``digits``          real handwriting, 8x8 grey, 1,797 pictures (scikit-learn)    none
``glyphs``          rendered digits and letters, 28x28 grey or 32x32 colour      none
``scenes``          landscape panoramas, 64x128 and larger, with depth           none
``photos``          crops of real photographs (scikit-image, scikit-learn)       none
``folder:PATH``     your own pictures, sub-folders as labels: ``from_folder``    none
``mnist``           the real 28x28 digits, 70,000 pictures                       once, checksummed
``fashion_mnist``   28x28 pieces of clothing, 70,000 pictures                    once, checksummed
==================  ===========================================================  ==================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from gan_course.arguments import (
    Count,
    Floats,
    Labels,
    Rows,
    check_finite,
    check_in_range,
    check_not_from_0,
    guard,
    refuse,
    whole,
)
from gan_course.naming import nearest

Side = Annotated[int, whole(8, 512)]


@dataclass(frozen=True)
class Dataset:
    """A data set that fits in memory.

    ``images``: float32 ``[N, C, H, W]`` in ``[-1, 1]``, or points ``[N, 2]`` for the sets in the plane.
    ``labels``: int64 ``[N]``, an index into ``class_names``, or ``None`` where there are no classes.
    ``captions``: one sentence a picture, or ``None``.
    """

    name: str
    images: Floats
    labels: Labels | None = None
    class_names: tuple[str, ...] = ()
    captions: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        count = len(self.images) if self.images.ndim in (2, 4) else -1
        if count < 0:
            refuse("images", "a tensor of shape [N, C, H, W] or [N, 2]", self.images, "add the missing axis")
        for name, column in (("labels", self.labels), ("captions", self.captions)):
            if column is not None and len(column) != count:
                raise ValueError(f"there are {count} images but {len(column)} {name}: pass one for each image")
        if self.labels is None:
            return
        low, high = self.labels.min().item(), self.labels.max().item()
        if low < 0 or (self.class_names and high >= len(self.class_names)):
            raise ValueError(
                f"labels go from {low} to {high} but there are {len(self.class_names)} class names, counted from 0: "
                "correct one of them"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Tensor | slice) -> Dataset:
        """The pictures at ``index`` (a slice, or an int64 or bool tensor) as a data set of their own."""
        rows = torch.arange(len(self))[index]
        return replace(
            self,
            images=self.images[rows],
            labels=None if self.labels is None else self.labels[rows],
            captions=None if self.captions is None else tuple(self.captions[i] for i in rows.tolist()),
        )

    def split(self, first: int) -> tuple[Dataset, Dataset]:
        """The first ``first`` pictures and the rest. Raises ``ValueError`` unless ``0 < first < len(self)``."""
        if not 0 < first < len(self):
            raise ValueError(
                f"can't split {len(self)} pictures after {first}: choose a number from 1 to {len(self) - 1}"
            )
        return self[:first], self[first:]

    def only(self, *classes: int) -> Dataset:
        """Pictures labelled one of ``classes``. Raises ``ValueError`` without labels and for an absent class."""
        if self.labels is None:
            raise ValueError(
                f"data set {self.name!r} has no labels, so no class can be picked: use one that has, such as 'digits'"
            )
        present = set(self.labels.unique().tolist())
        if missing := [c for c in classes if c not in present]:
            raise ValueError(f"data set {self.name!r} has no class {missing[0]}: its classes are {sorted(present)}")
        return self[torch.isin(self.labels, torch.tensor(classes))]


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1) / 8 - 1  # 0..16 becomes -1..1
    labels = torch.tensor(bunch.target, dtype=torch.int64)
    return Dataset("digits", images, labels, tuple("0123456789"))


def _loaders() -> dict[str, Callable[..., Dataset]]:
    from gan_course.data import downloads, glyphs, photos, scenes, toy

    return {
        **{name: getattr(toy, name) for name in toy.NAMES},
        "digits": _digits,
        "glyphs": glyphs.glyphs,
        "scenes": scenes.scenes,
        "photos": photos.photos,
        "mnist": downloads.mnist,
        "fashion_mnist": downloads.fashion_mnist,
    }


def load(name: str, **options: Any) -> Dataset:
    """The data set called ``name``; ``options`` go to its own function, such as ``load("glyphs", count=5000, seed=1)``.

    ``"folder:PATH"`` reads your own pictures, see :func:`from_folder`.
    Raises ``ValueError`` for an unknown name, with the nearest known one.
    """
    if name.startswith("folder:"):
        return from_folder(name.removeprefix("folder:"), **options)
    loaders = _loaders()
    if name not in loaders:
        raise ValueError(f"there is no data set {name!r}: {nearest(name, loaders)}")
    return loaders[name](**options)


def from_folder(path: str | Path, size: Side = 28, grey: bool = True, fit: str = "crop") -> Dataset:
    """Your own pictures, ``[N, 1, size, size]``, or ``[N, 3, size, size]`` unless ``grey``; about 300 files a second.

    All files below ``path`` are tried: any format and mode that Pillow reads, turned as their EXIF data says, with
    white behind what is transparent. ``fit``: ``"crop"`` keeps the middle square of an oblong picture, ``"pad"`` all of
    it, between bars in the colour of its rim. Sub-folders are classes, in the order of their names; without any, or
    with pictures beside them, all is one class. The order of the pictures is mixed, the same every time.
    What happened is printed: how many were cut, enlarged, nearly alike, and skipped because they can't be read; the
    data set's ``skipped`` lists these, ``near_duplicates`` counts those.
    Raises ``FileNotFoundError`` where there is no folder and ``ValueError`` for fewer than 50 pictures.
    """
    from gan_course.data import folders

    return folders.read_folder(Path(path), size, grey, fit)


def check_images(images: Tensor, name: str = "images") -> None:
    """Raise a ``ValueError`` that says what to do unless ``images`` can be trained on.

    They must be a float32 tensor ``[N, C, H, W]`` (or points ``[N, 2]``), not empty, finite; pictures in ``[-1, 1]``.
    """
    if images.ndim != 4 and images.shape[1:] != (2,):
        refuse(name, "a tensor of shape [N, C, H, W]", images, "add the missing axis with unsqueeze(1)")
    if images.dtype != torch.float32:  # NumPy's default is float64
        refuse(name, "a 32-bit float tensor", images, "convert with torch.as_tensor(x).float()")
    if len(images) == 0:
        raise ValueError(f"{name} are empty (shape {list(images.shape)}): load or select at least one picture")
    check_finite(name, images)
    if images.ndim == 4:
        check_not_from_0(name, images)
        check_in_range(name, images)


def draw(images: Rows, batch_size: Count, generator: torch.Generator | None = None) -> Tensor:
    """``batch_size`` rows of ``images`` at random, with replacement: ``[batch_size, ...]``.

    All is in memory and drawn here, in the main process: worker processes hang in notebooks on Windows and macOS.
    """
    rows = torch.randint(len(images), (batch_size,), generator=generator)
    return images[rows.to(images.device)]


guard(__name__)
