"""Style as the correlations of features: the losses of Gatys and others.

arXiv 1508.06576. The features are those of :class:`gan_course.translators.PhotoFeatures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

#: The layers whose correlations make the style, and the one whose values make the content.
STYLE_LAYERS, CONTENT_LAYER = ("conv1_1", "conv2_1", "conv3_1", "conv4_1"), "conv3_1"

Maps = Mapping[str, Tensor]


def gram(features: Tensor) -> Tensor:
    """How strongly each two channels of ``features [N, C, H, W]`` are on together: ``[N, C, C]``.

    The mean over all places: *where* something is drops out, and so does the size of the picture.
    """
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_loss(found: Maps, wanted: Maps) -> Tensor:
    """How far the correlations of ``found`` are from the Gram matrices ``wanted {layer: [1, C, C]}``, averaged.

    Each layer counts in units of the wanted matrix's own size, so that none drowns the others.
    """
    losses = [
        (gram(found[layer]) - target).square().sum(dim=(1, 2)).mean() / target.square().sum()
        for layer, target in wanted.items()
    ]
    return torch.stack(losses).mean()


def content_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """How far the features ``[N, C, H, W]`` are from those of the photograph, in units of these."""
    return (found - wanted).square().mean() / wanted.square().mean()


def total_variation(images: Tensor) -> Tensor:
    """The mean square of the differences between neighbouring pixels of ``[N, C, H, W]``: small for calm pictures."""
    return (images.diff(dim=2) ** 2).mean() + (images.diff(dim=3) ** 2).mean()


def style_targets(features: Callable[[Tensor], Maps], style: Tensor, layers: tuple[str, ...] = STYLE_LAYERS) -> Maps:
    """The Gram matrices of a style picture ``[3, H, W]``, for those of ``layers`` that ``features`` gives."""
    with torch.no_grad():
        found = features(style[None])
    return {layer: gram(found[layer]) for layer in layers if layer in found}
