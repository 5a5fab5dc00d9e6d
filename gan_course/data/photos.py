"""Real photographs that come with scikit-image and scikit-learn: colour pictures without a download.

Only files inside the installed packages are used. Newer releases of scikit-image keep more pictures on the network;
none of those is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from torch import Tensor

from gan_course.arguments import Count, Seed, guard, whole
from gan_course.data import Dataset

if TYPE_CHECKING:
    from PIL import Image

# name: package and file inside it
FILES = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "temple": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}
HELD_OUT = ("cat", "astronaut", "temple")  # which no network of chapter 10 has seen
TO_LEARN_FROM = tuple(name for name in FILES if name not in HELD_OUT)
SMALLEST = 0.35  # of a photograph's shorter side: the smallest crop
BICUBIC = 3  # as Pillow numbers its filters; it averages over all pixels that become one, so nothing aliases


def _path(name: str) -> Path:
    """The file of photograph ``name``; the package itself is not imported."""
    if name not in FILES:
        raise ValueError(f"there is no photograph {name!r}: choose from {', '.join(FILES)}")
    package, file = FILES[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"photograph {name!r} comes with {package}, which is not installed: install it with pip"
        )
    return Path(spec.origin).parent / file


def names() -> tuple[str, ...]:
    """The photographs that the installed packages hold."""
    return tuple(name for name in FILES if _path(name).is_file())


def _open(name: str) -> Image.Image:
    from PIL import Image

    path = _path(name)
    if not path.is_file():
        known = ", ".join(names())
        raise FileNotFoundError(f"the installed packages lack the photograph {name!r} ({path.name}): use {known}")
    with Image.open(path) as picture:
        return picture.convert("RGB")


def _tensor(picture: Image.Image) -> Tensor:
    data = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return data.reshape(picture.height, picture.width, 3).permute(2, 0, 1).float() / 127.5 - 1


def photograph(name: str) -> Tensor:
    """The whole photograph ``name``: float32 ``[3, H, W]`` in [-1, 1].

    Raises ``ValueError`` for an unknown name and ``FileNotFoundError`` where the installed package lacks the file.
    """
    return _tensor(_open(name))


def squares(of: Sequence[str], size: Annotated[int, whole(1, 2048)]) -> Tensor:
    """The largest square in the middle of each of the photographs ``of``, scaled: ``[len(of), 3, size, size]``.

    Raises ``ValueError`` for an unknown name, for no name at all and for a ``size`` outside 1 to 2,048.
    """
    if not of:
        raise ValueError(f"no photograph is named: choose from {', '.join(names())}")
    found = []
    for name in of:
        whole = _open(name)
        side = min(whole.size)
        left, top = (whole.width - side) // 2, (whole.height - side) // 2
        found.append(_tensor(whole.resize((size, size), BICUBIC, box=(left, top, left + side, top + side))))
    return torch.stack(found)


def photos(size: Count = 32, count: Count = 2_000, seed: Seed = 0, of: Sequence[str] = ()) -> Dataset:
    """``count`` random square crops of the photographs, ``[count, 3, size, size]``, the same for the same seed.

    ``of``: the names of the photographs to crop, all of them if there is none.

    A crop's side lies between ``SMALLEST`` and all of the shorter side of its photograph (never under ``size``); it is
    scaled down with antialiasing, and half of the crops are mirrored. Labels say which photograph.
    Raises ``ValueError`` for ``count < 1``, for a ``size`` outside 8 to 256 and for an unknown name.
    """
    if not 8 <= size <= 256:
        raise ValueError(f"size must lie between 8 and 256 pixels but is {size}: the photographs have no more to give")
    known = tuple(of) or names()
    u = torch.rand(count, 5, generator=torch.Generator().manual_seed(seed))
    labels = (u[:, 0] * len(known)).long()
    images = torch.empty(count, 3, size, size)
    for label, name in enumerate(known):
        whole = _open(name)
        shorter = min(whole.size)
        for i in (labels == label).nonzero().flatten().tolist():
            scale, right, down, mirror = u[i, 1:].tolist()
            side = max(size, round(shorter * (SMALLEST + (1 - SMALLEST) * scale)))
            left, top = int(right * (whole.width - side + 1)), int(down * (whole.height - side + 1))
            crop = whole.resize((size, size), BICUBIC, box=(left, top, left + side, top + side))
            images[i] = _tensor(crop).flip(2) if mirror < 0.5 else _tensor(crop)
    return Dataset("photos", images, labels, known)


guard(__name__)
