"""Chapter 07's network: noisy pictures, their timesteps and classes, to whatever diffusion is to predict."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import Count, CountOrNone, Labels, Maps, PictureShape, Timesteps, guard, refuse
from gan_course.networks import channels_last, check_input, check_labels, check_sides, square_shape


class DiffusionUNet(nn.Module):
    """Noisy pictures, their timesteps and classes to whatever is to be predicted: ``[N, *image_shape]``, unbounded.

    ``x [N, *image_shape]``; ``t``: one timestep for all, or ``[N]``; ``labels``: int64 ``[N]`` from 0 to ``classes``,
    where the last number, ``no_class``, stands for "not told", as does leaving ``labels`` out. Raises ``ValueError``
    for other labels.

    A small relative of Stable Diffusion's U-Net (arXiv 2112.10752), cut for two CPU cores: blocks of 2 x 2 pixels
    become channels, so that the largest maps are half as wide; the picture goes down once and up again, past a bridge
    that carries the fine detail; in the middle, where attention would cost more, a linear layer sees all places at
    once. With ``middle=0`` there is no such layer, and pictures of any sides that 4 divides can go through.
    """

    def __init__(
        self,
        classes: CountOrNone = 0,
        image_shape: PictureShape = (1, 28, 28),
        width: Count = 24,
        middle: CountOrNone = 256,
    ):
        super().__init__()
        self.classes = self.no_class = classes
        self.image_shape = tuple(image_shape)
        channels, side = square_shape(image_shape)
        emb_dim = 128  # numbers that tell every block the timestep and the class: their embedding
        self.time = nn.Sequential(nn.Linear(64, emb_dim), nn.SiLU(), nn.Linear(emb_dim, emb_dim))
        self.label = nn.Embedding(classes + 1, emb_dim)
        self.first = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.high = _Block(width, emb_dim)
        self.down = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.low = _Block(2 * width, emb_dim)
        self.middle = _Everywhere(2 * width, side // 4, middle, emb_dim) if middle else _Block(2 * width, emb_dim)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.high_again = _Block(width, emb_dim)
        self.last = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), zero_init(nn.Conv2d(width, 4 * channels, 3, 1, 1)))
        channels_last(self)

    def forward(self, x: Maps, t: Timesteps, labels: Labels | None = None) -> Tensor:
        if isinstance(self.middle, _Everywhere):
            check_input(self, x=x)
        else:
            check_sides("x", x, self, self.image_shape[0], multiple=4)
        if labels is None:
            labels = torch.full((len(x),), self.no_class, device=x.device)
        check_labels(labels, len(x), self.classes + 1)
        t = torch.as_tensor(t, device=x.device)
        if t.numel() not in (1, len(x)):
            refuse("t", f"one timestep, or one for each of {len(x)} pictures,", t, "draw as many as there are pictures")
        t = t.flatten().expand(len(x))
        emb = F.silu(self.time(timestep_embedding(t, 64)) + self.label(labels))
        high = self.high(self.first(F.pixel_unshuffle(x, 2)), emb)
        low = self.middle(self.low(self.down(high), emb), emb)
        return F.pixel_shuffle(self.last(self.high_again(high + self.up(low), emb)), 2)


def timestep_embedding(t: Tensor, dim: Count) -> Tensor:
    """Timesteps ``[N]`` as sines and cosines of ``dim / 2`` frequencies each, from fast to slow: ``[N, dim]``.

    A network reads them more easily than one large number (arXiv 1706.03762, section 3.5).
    """
    if t.ndim != 1 or t.is_complex() or not t.numel():
        refuse("t", "timesteps of shape [N]", t, "flatten them")
    frequencies = torch.exp(-math.log(10_000) * torch.arange(dim // 2, device=t.device) / (dim // 2))
    angles = t[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class _Block(nn.Module):
    """Two convolutions whose result is added to what came in; the embedding scales and shifts the maps between."""

    def __init__(self, width: int, emb_dim: Count):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, width), nn.GroupNorm(8, width)
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, 1, 1), zero_init(nn.Conv2d(width, width, 3, 1, 1))
        self.emb_proj = nn.Linear(emb_dim, 2 * width)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        scale, shift = self.emb_proj(emb)[:, :, None, None].chunk(2, dim=1)
        inner = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(inner) * (1 + scale) + shift))


class _Everywhere(nn.Module):
    """All places of a small map through one hidden layer and back, added to what came in."""

    def __init__(self, width: int, side: int, hidden: int, emb_dim: Count):
        super().__init__()
        self.norm, self.emb_proj = nn.GroupNorm(8, width), nn.Linear(emb_dim, hidden)
        self.into, self.out = nn.Linear(width * side**2, hidden), zero_init(nn.Linear(hidden, width * side**2))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        hidden = F.silu(self.into(self.norm(x).flatten(1)) + self.emb_proj(emb))
        return x + self.out(hidden).view(x.shape)


def zero_init(layer: nn.Module) -> nn.Module:
    """``layer`` with all weights 0: a block that adds nothing at first does no harm before it has learned."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


guard(__name__)
