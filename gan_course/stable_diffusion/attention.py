"""Which word was looked at for which part of a picture: a Stable Diffusion's cross-attention, written down.

Everywhere in the picture the U-Net asks the prompt for advice. How much each word counted there is a probability: over
the words of a prompt, they sum to 1 (Hertz et al. 2022, arXiv 2208.01626; Tang et al. 2022, arXiv 2210.04885).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import Count, Maps, Unet, guard


@contextlib.contextmanager
def watch(unet: Unet) -> Iterator[list[Tensor]]:
    """Within this block, each cross-attention of ``unet`` leaves its probabilities ``[N, heads, places, words]``.

    They gather in the list that the block receives, in the order of the calls. What the U-Net computes stays the same.
    """
    calls: list[Tensor] = []
    before = dict(unet.attn_processors)
    cross = {name for name in before if name.endswith("attn2.processor")}  # attn1 looks at the picture
    unet.set_attn_processor({name: _Watched(p, calls) if name in cross else p for name, p in before.items()})
    try:
        yield calls
    finally:
        unet.set_attn_processor(before)


class _Watched:
    """An attention processor that notes the probabilities and lets another one do the work."""

    def __init__(self, processor: Any, calls: list[Tensor]):
        self.processor, self.calls = processor, calls

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, *args: Any, **options: Any
    ) -> Tensor:
        if encoder_hidden_states is None:
            raise ValueError("there are no words to look at: pass encoder_hidden_states to the U-Net")
        with torch.no_grad():
            query, key = attn.to_q(hidden_states), attn.to_k(encoder_hidden_states)
            query, key = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2).float() for x in (query, key))
            self.calls.append((attn.scale * query @ key.transpose(-1, -2)).softmax(dim=-1).cpu())
        return self.processor(attn, hidden_states, encoder_hidden_states, *args, **options)


def maps(calls: Sequence[Maps], side: Count) -> Tensor:
    """The mean over all calls and heads of what :func:`watch` gathered: ``[N, words, side, side]``.

    Maps of fewer places are made larger first; at each place, the words sum to 1. Raises ``ValueError`` where nothing
    was gathered and where the pictures are not square.
    """
    if not calls:
        raise ValueError("no attention was watched: call the U-Net inside the watch block")
    found = []
    for probabilities in calls:
        count, _, places, words = probabilities.shape
        width = round(places**0.5)
        if width**2 != places:
            raise ValueError(f"{places} places are no square: ask for pictures that are as wide as they are high")
        square = probabilities.mean(dim=1).transpose(1, 2).reshape(count, words, width, width)
        found.append(F.interpolate(square, size=(side, side), mode="bilinear", align_corners=False))
    return torch.stack(found).mean(dim=0)


guard(__name__)
