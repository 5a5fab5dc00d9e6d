"""Signs as stencils: cut out of pictures of two colours, compared by their shape, and painted anew elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import Count, Pictures, Seed, guard
from gan_course.data.attributes import COLOURS, POSITIONS, SIZES, Attributes

MARGIN = 2  # pixels that stay empty at a picture's border


def cut_out(images: Pictures, records: Sequence[Attributes], side: Count = 12) -> Tensor:
    """The sign in each of ``images [N, 3, H, W]``, cut out and brought to one size: ``[N, side, side]`` in ``[0, 1]``.

    So size, place and colours no longer count, and signs can be compared by their shape alone. All zeros where next to
    nothing has the ink's colour, of which ``records`` tell. Raises ``ValueError`` where the numbers differ.
    """
    framed = []
    for cover in _covers(images, records):
        height, width = cover.shape
        larger = max(height, width, 1)
        left, top = (larger - width) // 2, (larger - height) // 2
        square = F.pad(cover, (left, larger - width - left, top, larger - height - top))
        framed.append(F.interpolate(square[None, None], size=(side, side), mode="area")[0, 0])
    return torch.stack(framed)


def paint_anew(images: Pictures, records: Sequence[Attributes], wanted: Sequence[Attributes], seed: Seed = 0) -> Tensor:
    """A picture ``[3, H, W]`` for each of the ``wanted`` records, with a sign cut out of one of ``images``.

    Size, place and colours are as wanted; which of the signs is used, and where exactly it lies, is drawn by ``seed``.
    Signs are made smaller but never larger, which would blur them. ``records`` say what ``images`` show.
    Raises ``ValueError`` where their numbers differ, where an image shows no sign, and where none is large enough.
    """
    g = torch.Generator().manual_seed(seed)
    covers, sizes = _covers(images, records), list(SIZES)
    if empty := [i for i, cover in enumerate(covers) if not cover.any()]:
        raise ValueError(f"image {empty[0]} shows no {records[empty[0]].colour} sign: do the records fit the images?")
    picture, made = images.shape[2:], []
    for record in wanted:
        large = [i for i, r in enumerate(records) if sizes.index(r.size) >= sizes.index(record.size)]
        if not large:
            raise ValueError(f"none of the signs is {record.size} or larger: show at least one that is")
        i = large[int(torch.randint(len(large), (1,), generator=g))]
        shrink = SIZES[record.size] / SIZES[records[i].size]
        height, width = (max(1, round(n * shrink)) for n in covers[i].shape)
        sign = F.interpolate(covers[i][None, None], size=(height, width), mode="bilinear", antialias=True)[0, 0]
        lean = torch.tensor(POSITIONS[record.position])
        away = torch.where(
            lean == 0, 2 * torch.rand(2, generator=g) - 1, lean * (6.5 + 3.5 * torch.rand(2, generator=g))
        )
        x, y = (
            int((whole / 2 + at - part / 2).round().clamp(MARGIN, whole - MARGIN - part))
            for whole, at, part in zip(reversed(picture), away, (width, height), strict=True)
        )
        cover = F.pad(sign, (x, picture[1] - x - width, y, picture[0] - y - height))
        back, ink = (2 * torch.tensor(COLOURS[c])[:, None, None] - 1 for c in (record.background, record.colour))
        made.append(back + cover * (ink - back))
    return ((torch.stack(made) + 1) * 127.5).round() / 127.5 - 1  # of bytes, which are never exactly 0


def _covers(images: Tensor, records: Sequence[Attributes]) -> list[Tensor]:
    """How much of each pixel is ink, ``[H, W]`` in ``[0, 1]``, cropped to the sign; a single 0 where there is none.

    It is how far the pixel lies on the way from the background's colour to the ink's.
    """
    if len(images) != len(records):
        raise ValueError(f"there are {len(images)} images but {len(records)} records: pass one for each")
    back, ink = (
        2 * torch.tensor([COLOURS[getattr(r, field)] for r in records])[:, :, None, None] - 1
        for field in ("background", "colour")
    )
    way = ink - back
    share = ((images - back) * way).sum(dim=1) / way.square().sum(dim=1)
    found = []
    for cover in share.clamp(0, 1):
        rows, columns = torch.where(cover > 0.5)
        if len(rows) < 4:  # a speck is no sign
            found.append(torch.zeros(1, 1))
        else:
            found.append(cover[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    return found


guard(__name__)
