"""Does a picture show what was asked for? An independent reader says, for each attribute and for all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gan_course import zoo
from gan_course.arguments import Pictures, Reader, guard
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


def _share(hits: Tensor) -> Measured:
    value = hits.float().mean().item()
    return Measured(value, *share_interval(value, len(hits)))


guard(__name__)
