"""Style as the correlations of features: the losses of Gatys and others, and a picture optimised under them.

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


def optimise(
    features: Callable[[Tensor], Maps],
    content: Tensor,
    style: Tensor,
    steps: int = 100,
    style_weight: float = 20.0,
    callback: Callable[[int, float], None] | None = None,
) -> tuple[Tensor, list[float]]:
    """Change the photograph ``content [3, H, W]`` until its features show the style of ``style [3, h, w]``.

    Returns the picture, in [-1, 1], and the loss before each of ``steps`` steps. ``callback`` gets both step and loss.
    Raises ``ValueError`` for pictures that are not ``[3, H, W]`` and for fewer steps than 1.
    """
    for name, picture in (("content", content), ("style", style)):
        if picture.ndim != 3 or picture.shape[0] != 3:
            raise ValueError(f"the {name} must be one colour picture [3, H, W] but has shape {list(picture.shape)}")
    if steps < 1:
        raise ValueError(f"can't optimise for {steps} steps: take at least 1, better 100")
    targets = style_targets(features, style)
    with torch.no_grad():
        wanted = features(content[None])[CONTENT_LAYER]
    picture = content[None].clone().requires_grad_()
    optimizer = torch.optim.Adam([picture], lr=0.05, betas=(0.9, 0.99))
    losses = []
    for step in range(steps):
        found = features(picture)
        loss = content_loss(found[CONTENT_LAYER], wanted) + style_weight * style_loss(found, targets)
        loss = loss + 0.3 * total_variation(picture)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            picture.clamp_(-1, 1)
        losses.append(loss.item())
        if callback is not None:
            callback(step, losses[-1])
    return picture.detach()[0], losses
