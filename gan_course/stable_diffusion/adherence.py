"""Does a picture show what was asked for? An independent reader says, for each attribute and for all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course import zoo
from gan_course.arguments import Count, Pictures, Reader, guard
from gan_course.data.attributes import COLOURS, Attributes
from gan_course.data.render import GLYPHS, Source
from gan_course.metrics import Measured, evaluating, share_interval
from gan_course.networks import check_precision


@dataclass(frozen=True)
class Adherence:
    """The share of pictures that show what was asked for, with 95 % intervals: all at once, and each attribute."""

    everything: Measured
    each: dict[str, Measured]
    count: int

    def rounded(self) -> dict[str, list[float]]:
        """Share, lower and upper end by name, "all" first, for a card."""
        return {name: [round(x, 4) for x in share] for name, share in {"all": self.everything, **self.each}.items()}

    def __str__(self) -> str:
        lines = [f"{self.count:,} pictures{'right':>15}   95 % interval"]
        for name, share in {"all six": self.everything, **self.each}.items():
            lines.append(f"{name:12}{share.value:>15.1%}   {share.low:.1%} to {share.high:.1%}")
        return "\n".join(lines)


def measure_adherence(
    images: Pictures, records: Sequence[Any], reader: Reader | None = None, source: Source = GLYPHS
) -> Adherence:
    """How many of ``images [N, 3, H, W]`` show all that ``records``, one for each, ask for, by an independent reader.

    ``source`` says what the records are of: coloured glyphs, or scenes. The reader, the zoo's for that source unless
    given, saw rendered pictures alone. Raises ``ValueError`` where the numbers differ.
    """
    if len(images) != len(records):
        raise ValueError(f"there are {len(images)} images but {len(records)} records: pass one for each")
    network: Any = reader or zoo.load(source.reader)
    check_precision("images", images, network)
    with torch.no_grad(), evaluating(network):
        found = torch.cat([network.read(part) for part in images.split(500)])
    right = found.cpu() == source.as_indices(records)
    shares = {name: right[:, i] for i, name in enumerate(source.fields)}
    return Adherence(_share(right.all(dim=1)), {name: _share(hit) for name, hit in shares.items()}, len(images))


def cut_out(images: Pictures, records: Sequence[Attributes], side: Count = 12) -> Tensor:
    """The sign in each of ``images [N, 3, H, W]``, cut out and brought to one size: ``[N, side, side]`` in ``[0, 1]``.

    How far each pixel lies on the way from the background's colour to the ink's, of which ``records`` tell, is how much
    of it is ink. What is more than half ink is framed by a square. So size, place and colours no longer count, and
    signs can be compared by their shape alone. All zeros where next to nothing has the ink's colour.
    Raises ``ValueError`` where the numbers differ.
    """
    if len(images) != len(records):
        raise ValueError(f"there are {len(images)} images but {len(records)} records: pass one for each")
    back, ink = (
        2 * torch.tensor([COLOURS[getattr(r, field)] for r in records])[:, :, None, None] - 1
        for field in ("background", "colour")
    )
    way = ink - back
    share = ((images - back) * way).sum(dim=1) / way.square().sum(dim=1)
    return torch.stack([_framed(cover, side) for cover in share.clamp(0, 1)])


def _framed(cover: Tensor, side: int) -> Tensor:
    """``cover [H, W]``, cropped to its ink, in the middle of a square that is brought to ``side`` pixels."""
    rows, columns = torch.where(cover > 0.5)
    if len(rows) < 4:  # a speck is no sign
        return torch.zeros(side, side)
    sign = cover[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = sign.shape
    larger = max(height, width)
    left, top = (larger - width) // 2, (larger - height) // 2
    square = F.pad(sign, (left, larger - width - left, top, larger - height - top))
    return F.interpolate(square[None, None], size=(side, side), mode="area")[0, 0]


def _share(hits: Tensor) -> Measured:
    value = hits.float().mean().item()
    return Measured(value, *share_interval(value, len(hits)))


guard(__name__)
