"""A photograph in, a restyled one of the same size out: ``stylize``."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from gan_course import zoo
from gan_course.arguments import Pixels, Seed, guard
from gan_course.data import pictures
from gan_course.naming import nearest
from gan_course.translators import Translator

TILE = 512  # pixels: some 100 MB for the maps of a tile, whatever the size of the picture


def styles() -> list[str]:
    """The names of the styles that come with the course."""
    return [name.removeprefix("style_") for name in zoo.names() if name.startswith("style_")]


def load_style(name: str) -> Translator:
    """The network of the style ``name``. Raises ``ValueError`` for an unknown one, with the nearest that is known."""
    _check_style(name)
    network = zoo.load(f"style_{name}")
    assert isinstance(network, Translator)
    return network


def _check_style(name: str) -> None:
    if name not in (known := styles()):
        raise ValueError(f"there is no style {name!r}: {nearest(name, known)}")


def stylize(
    source: str | Path,
    target: str | Path,
    style: str | Translator = "pencil",
    seed: Seed = 0,
    progress: bool = True,
) -> None:
    """Repaint the photograph in the file ``source`` and write it to ``target``, as JPEG, PNG or WebP.

    ``style``: one of :func:`styles`, or a network of your own. The result has the size of the photograph (the right way
    up) and its transparency. Large photographs are made in tiles that fit without a seam, so that memory stays bounded.
    ``seed`` decides what a style leaves to chance. Raises ``ValueError`` or ``FileNotFoundError`` where the input is no
    picture, or the output can't be one; nothing is written then.
    """
    if isinstance(style, str):
        _check_style(style)
    pictures.check_target(target)
    photograph = pictures.read(source)
    height, width = photograph.colours.shape[:2]
    pictures.check_target(target, height, width)
    network = load_style(style) if isinstance(style, str) else style
    made = repaint(network, photograph.colours, seed, progress=progress)
    pictures.write(target, pictures.Picture(made, photograph.alpha, photograph.profile))


@torch.no_grad()
def repaint(
    network: Translator, colours: Pixels, seed: Seed = 0, tile: int = TILE, progress: bool = False
) -> np.ndarray:
    """The picture that ``network`` makes of ``colours``: uint8 ``[H, W, 3]`` to uint8 ``[H, W, 3]``.

    It is made in tiles of ``tile`` pixels, each seen with the network's ``reach`` around it: the same picture as in one
    piece. Raises ``ValueError`` for an array of another kind and for a ``tile`` that is no multiple of the network's,
    and where the network gives NaN.
    """
    step = network.multiple
    if tile < step or tile % step:
        raise ValueError(f"a tile must be a multiple of {step} pixels but has {tile}: try {TILE}")
    height, width = colours.shape[:2]
    whole = np.pad(colours, ((0, -height % step), (0, -width % step), (0, 0)), mode="edge")
    rows, columns = whole.shape[0], whole.shape[1]
    chance = _noise(network, rows, columns, seed)
    made, weight = np.empty_like(whole), next(network.parameters())
    margin = math.ceil(network.reach / step) * step
    spots = [(top, left) for top in range(0, rows, tile) for left in range(0, columns, tile)]
    for top, left in tqdm(spots, unit="tile", desc="repainting", disable=not progress):
        bottom, right = min(top + tile, rows), min(left + tile, columns)
        seen = slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin)
        part = (torch.from_numpy(whole[seen]).permute(2, 0, 1)[None].float() / 127.5 - 1).to(weight)
        noise = None if chance is None else chance[:, :, _coarse(seen[0], step), _coarse(seen[1], step)].to(weight)
        found = (network(part) if noise is None else network(part, noise))[0].permute(1, 2, 0).float().cpu()
        if not found.isfinite().all():
            raise ValueError("the network gives NaN or infinite values: train it anew with a smaller learning rate")
        inside = found[top - seen[0].start :, left - seen[1].start :][: bottom - top, : right - left]
        made[top:bottom, left:right] = ((inside + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    return made[:height, :width]


def _noise(network: Translator, rows: int, columns: int, seed: int) -> Tensor | None:
    """The random numbers for a whole picture, so that neighbouring tiles see the same ones."""
    if not network.noise:
        return None
    shape = 1, network.noise, rows // network.multiple, columns // network.multiple
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _coarse(span: slice, step: int) -> slice:
    return slice(span.start // step, span.stop // step)


guard(__name__)
