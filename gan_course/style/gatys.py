"""Style as the correlations of features: the losses of Gatys and others.

arXiv 1508.06576. The features are those of :class:`gan_course.translators.PhotoFeatures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import torch
from torch import Tensor

from gan_course.arguments import Batch, Colour, Maps, guard, refuse, shaped

#: The layers whose correlations make the style, and the one whose values make the content.
STYLE_LAYERS, CONTENT_LAYER = ("conv1_1", "conv2_1", "conv3_1", "conv4_1"), "conv3_1"

Layers = Mapping[str, Maps]
Square = Annotated[
    Tensor,
    shaped("[N, C, C]", lambda x: x.ndim == 3 and x.shape[1] == x.shape[2], "make it with gram() or style_targets()"),
]


def gram(features: Maps) -> Tensor:
    """How strongly each two channels of ``features [N, C, H, W]`` are on together: ``[N, C, C]``.

    The mean over all places: *where* something is drops out, and so does the size of the picture.
    """
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_loss(found: Layers, wanted: Mapping[str, Square]) -> Tensor:
    """How far the correlations of ``found`` are from the Gram matrices ``wanted {layer: [1, C, C]}``, averaged.

    Each layer counts in units of the wanted matrix's own size, so that none drowns the others. Raises ``ValueError``
    where ``wanted`` is empty, or names a layer that ``found`` lacks or has with another number of channels.
    """
    if not wanted:
        raise ValueError("wanted holds no layer: make it with style_targets()")
    for layer, target in wanted.items():
        if layer not in found:
            raise ValueError(f"found lacks the layer {layer!r} that wanted has: it holds {', '.join(found) or 'none'}")
        channels = found[layer].shape[1]
        if target.shape[1] != channels or len(target) not in (1, len(found[layer])):
            refuse(
                f"wanted[{layer!r}]", f"a tensor of shape [1, {channels}, {channels}]", target, "use the same network"
            )
    losses = [
        (gram(found[layer]) - target).square().sum(dim=(1, 2)).mean() / target.square().sum()
        for layer, target in wanted.items()
    ]
    return torch.stack(losses).mean()


def content_loss(found: Batch, wanted: Batch) -> Tensor:
    """How far the features ``[N, C, H, W]`` are from those of the photograph, in units of these."""
    return (found - wanted).square().mean() / wanted.square().mean()


def total_variation(images: Maps) -> Tensor:
    """The mean square of the differences between neighbouring pixels of ``[N, C, H, W]``: small for calm pictures.

    Raises ``ValueError`` for pictures of a single row or column, which have no neighbours there.
    """
    if min(images.shape[2:]) < 2:
        refuse("images", "pictures of at least 2 x 2 pixels", images, "take larger ones")
    return (images.diff(dim=2) ** 2).mean() + (images.diff(dim=3) ** 2).mean()


def style_targets(
    features: Callable[[Tensor], Layers], style: Colour, layers: tuple[str, ...] = STYLE_LAYERS
) -> dict[str, Tensor]:
    """The Gram matrices of a style picture ``[3, H, W]``, for those of ``layers`` that ``features`` gives.

    Raises ``ValueError`` where it gives none of them.
    """
    with torch.no_grad():
        found = features(style[None])
    if not isinstance(found, Mapping):
        refuse("features", "a function that returns {layer: maps}", found, "use zoo.load('photo_features')")
    if not any(layer in found for layer in layers):
        raise ValueError(f"features gives none of the layers {', '.join(layers)}: choose from {', '.join(found)}")
    return {layer: gram(found[layer]) for layer in layers if layer in found}


guard(__name__)
