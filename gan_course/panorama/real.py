"""Three real panoramas, to hold beside those that were made."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gan_course.arguments import guard
from gan_course.naming import nearest

FOLDER = Path(__file__).parent / "real"
#: What each shows, in the words of ``data.scenes``: land, time, sky.
REAL = {
    "park": ("meadow", "noon", "clear"),
    "dawn": ("desert", "dawn", "clear"),
    "venice": ("sea", "dusk", "clouds"),
}


def real_panorama(name: str) -> Tensor:
    """The photograph ``name``, one of ``REAL``: ``[3, 256, 512]`` in ``[-1, 1]``. From Poly Haven, CC0.

    Raises ``ValueError`` for an unknown name, with the nearest that is known.
    """
    from gan_course.data import pictures

    if name not in REAL:
        raise ValueError(f"there is no real panorama {name!r}: {nearest(name, REAL)}")
    colours = torch.from_numpy(pictures.read(FOLDER / f"{name}.jpg").colours)
    return colours.permute(2, 0, 1) / 127.5 - 1


guard(__name__)
