"""There and back through an autoencoder: latents of rendered pictures, pictures rebuilt, latents brought to unit scale.

Pictures and latents stay in main memory; the autoencoder may be on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gan_course.arguments import Autoencoder, Pictures, Seed, guard
from gan_course.data.render import GLYPHS, Source
from gan_course.networks import check_precision


@torch.no_grad()
def encode(
    autoencoder: Autoencoder, records: Sequence[Any], seed: Seed, source: Source = GLYPHS
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the scaled latents of each record's picture: twice ``[N, C, H/f, W/f]``."""
    scale, device = autoencoder.config.scaling_factor, autoencoder.device
    means, spreads = [], []
    for part in source.render(records, seed).split(500):
        latents = autoencoder.encode(part.to(device)).latent_dist
        means.append(latents.mean.cpu())
        spreads.append(latents.std.cpu())
    return torch.cat(means) * scale, torch.cat(spreads) * scale


@torch.no_grad()
def rebuild(autoencoder: Autoencoder, images: Pictures) -> Tensor:
    """``images [N, 3, H, W]`` through the autoencoder and back, without chance: ``[N, 3, H, W]`` in ``[-1, 1]``."""
    check_precision("images", images, autoencoder)
    means = (autoencoder.encode(part.to(autoencoder.device)).latent_dist.mean for part in images.split(250))
    return torch.cat([autoencoder.decode(mean).sample.cpu() for mean in means]).clamp(-1, 1)


@torch.no_grad()
def normalise(autoencoder: Autoencoder, images: Pictures) -> None:
    """Shift each latent channel to mean 0 and note the scale that brings all together to variance 1, on ``images``.

    The shift goes into the 1x1 convolutions on both sides of the latents: what the autoencoder rebuilds stays the same.
    """
    device = autoencoder.device
    means = torch.cat([autoencoder.encode(part.to(device)).latent_dist.mean for part in images.split(250)])
    centre = means.mean(dim=(0, 2, 3))
    into, out = autoencoder.quant_conv, autoencoder.post_quant_conv
    into.bias[: len(centre)] -= centre
    out.bias += out.weight[:, :, 0, 0] @ centre
    autoencoder.register_to_config(scaling_factor=round(1 / (means - centre[:, None, None]).std().item(), 5))


guard(__name__)
