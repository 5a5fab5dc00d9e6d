"""Chapter 12's network: noisy clips, a time and a class, to the velocity of a rectified flow."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import (
    Clips,
    Count,
    CountOrNone,
    Floats,
    Labels,
    NotNegative,
    PictureShape,
    Positive,
    Seed,
    Share,
    Time,
    checked,
    guard,
    refuse,
)
from gan_course.diffusion import euler_step, guide
from gan_course.networks import channels_last, check_labels, check_precision
from gan_course.unet import timestep_embedding, zero_init

EMB_DIM = 128  # numbers that tell every block the time and the class
STEPS, GUIDANCE = 12, 2.0  # of sampling
SHARED = 0.5  # of the noise of a clip: see draw_noise
SHIFT = 3.0  # frames that show the same thing drown later in noise: their times lie nearer to 1


class SpaceTimeUNet(nn.Module):
    """Noisy clips, their times in the flow and classes to velocities: ``[N, T, *picture_shape]``, unbounded.

    ``x [N, T, C, H, W]`` with at most ``frames`` frames; ``t``: one time for all, or ``[N]``, from 0 (clean) to 1
    (noise); ``labels``: int64 ``[N]`` from 0 to ``classes``, where the last number, ``no_class``, stands for "not
    told", as does leaving them out. With ``over_time=False`` the layers that mix frames are left out: what remains is a
    model of single pictures, to which the frames of a clip have nothing to do with each other. Raises ``ValueError``
    for other shapes and labels.

    Factorised: a layer looks at all places of one frame, or at one place in all frames, never at both together. That
    is how networks for video grew out of those for pictures (Ho and others 2022, arXiv 2204.03458; Blattmann and others
    2023, arXiv 2304.08818).
    """

    def __init__(
        self,
        classes: CountOrNone = 10,
        picture_shape: PictureShape = (3, 32, 32),
        frames: Count = 16,
        width: Count = 32,
        deep: Count = 64,
    ):
        super().__init__()
        self.classes = self.no_class = classes
        self.picture_shape, self.frames = tuple(picture_shape), frames
        if any(side % 4 for side in picture_shape[1:]):
            refuse("picture_shape", "(channels, height, width) with sides that 4 divides", picture_shape, "crop them")
        channels = picture_shape[0]
        self.time = nn.Sequential(nn.Linear(64, EMB_DIM), nn.SiLU(), nn.Linear(EMB_DIM, EMB_DIM))
        self.label = nn.Embedding(classes + 1, EMB_DIM)
        self.first = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.high = _Space(width)
        self.high_time = _NextFrames(width)
        self.down = nn.Conv2d(width, deep, 2, stride=2)
        places = (picture_shape[1] // 4) * (picture_shape[2] // 4)
        self.low = nn.ModuleList(
            nn.ModuleList([_Space(deep), Attention(deep, frames), Attention(deep, places), _NextFrames(deep)])
            for _ in range(2)
        )
        self.last_low = nn.ModuleList([_Space(deep), Attention(deep, frames)])
        self.up = nn.ConvTranspose2d(deep, width, 2, stride=2)
        self.high_again = _Space(width)
        self.high_time_again = _NextFrames(width)
        self.last = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), zero_init(nn.Conv2d(width, 4 * channels, 3, 1, 1)))
        channels_last(self)

    def forward(self, x: Clips, t: Time, labels: Labels | None = None, over_time: bool = True) -> Tensor:
        self._check(x)
        if labels is None:
            labels = torch.full((len(x),), self.no_class, device=x.device)
        check_labels(labels, len(x), self.classes + 1)
        t = torch.as_tensor(t, device=x.device).float().flatten()
        if len(t) not in (1, len(x)):
            refuse("t", f"one time, or one for each of {len(x)} clips,", t, "draw as many as there are clips")
        emb = F.silu(self.time(timestep_embedding(1000 * t.expand(len(x)), 64)) + self.label(labels))
        count = x.shape[1]
        emb = emb.repeat_interleave(count, dim=0)  # all frames of a clip are told the same

        def over(layer: nn.Module, maps: Tensor) -> Tensor:
            return layer(maps, count) if over_time else maps

        high = over(self.high_time, self.high(self.first(F.pixel_unshuffle(x.flatten(0, 1), 2)), emb))
        low = self.down(high)
        blocks: Any = self.low
        for space, look_back, look_around, near in blocks:
            low = look_around.over_space(over(near, over(look_back, space(low, emb))))
        space, look_back = self.last_low
        low = over(look_back, space(low, emb))
        high = over(self.high_time_again, self.high_again(high + self.up(low), emb))
        return F.pixel_shuffle(self.last(high), 2).unflatten(0, (len(x), count))

    def _check(self, x: Tensor) -> None:
        check_precision("x", x, self)
        if tuple(x.shape[2:]) != self.picture_shape or not 1 <= x.shape[1] <= self.frames:
            shape = ", ".join(map(str, self.picture_shape))
            refuse("x", f"clips of shape [N, 1 to {self.frames}, {shape}]", x, "cut or resize them")


class _Space(nn.Module):
    """Two convolutions within each frame, added to what came in; the embedding scales and shifts between them."""

    def __init__(self, width: Count):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, width), nn.GroupNorm(8, width)
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, 1, 1), zero_init(nn.Conv2d(width, width, 3, 1, 1))
        self.emb_proj = nn.Linear(EMB_DIM, 2 * width)

    def forward(self, x: Floats, emb: Floats) -> Tensor:
        scale, shift = self.emb_proj(emb)[:, :, None, None].chunk(2, dim=1)
        inner = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(inner) * (1 + scale) + shift))


class _NextFrames(nn.Module):
    """At each place a convolution over time, three frames wide, added to what came in. ``x [N * T, C, H, W]``"""

    def __init__(self, width: Count):
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(8, width), zero_init(nn.Conv2d(width, width, (3, 1), padding=(1, 0)))

    def forward(self, x: Floats, count: Count) -> Tensor:
        clips = F.silu(self.norm(x)).unflatten(0, (-1, count)).transpose(1, 2).flatten(3)  # [N, C, T, places]
        found = self.conv(clips).unflatten(3, x.shape[2:]).transpose(1, 2)
        return x + found.flatten(0, 1)


class Attention(nn.Module):
    """Attention along one axis of ``length`` places or frames, added to what came in. ``x [N * T, C, H, W]``"""

    def __init__(self, width: Count, length: Count, heads: Count = 4):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, width)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        self.into, self.out = nn.Linear(width, 3 * width), zero_init(nn.Linear(width, width))

    def forward(self, x: Floats, count: Count) -> Tensor:
        """Each place looks at itself in all ``count`` frames of its clip."""
        clips = self.norm(x).unflatten(0, (-1, count)).permute(0, 3, 4, 1, 2)  # [N, H, W, T, C]
        found = self.look(clips.flatten(0, 2)).view(clips.shape).permute(0, 3, 4, 1, 2)
        return x + found.flatten(0, 1)

    def over_space(self, x: Floats) -> Tensor:
        """Each place looks at all places of its frame."""
        found = self.look(self.norm(x).flatten(2).transpose(1, 2))
        return x + found.transpose(1, 2).view(x.shape)

    def look(self, tokens: Floats) -> Tensor:
        """``[M, L, C]``, of which each row of ``L`` tokens looks at itself."""
        tokens = self.into(tokens + self.position[: tokens.shape[1]])
        q, k, v = tokens.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(q, k, v)
        return self.out(found.transpose(1, 2).flatten(2))


# ------------------------------------------------------------------------------------------ sampling


def shifted(t: Time, shift: Positive = SHIFT) -> Tensor:
    """Times ``t`` in [0, 1] moved towards the noise: ``shift t / (1 + (shift - 1) t)`` (arXiv 2403.03206, eq. 23)."""
    t = torch.as_tensor(t)
    return shift * t / (1 + (shift - 1) * t)


def draw_noise(network: SpaceTimeUNet, count: Count, seed: Seed = 0, shared: Share = 0.0) -> Tensor:
    """What :func:`sample` starts from: ``[count, frames, *picture_shape]``, the same for the same seed.

    ``shared`` in ``[0, 1]``: the share of its variance that all frames of a clip have in common (Ge and others 2023,
    arXiv 2305.10474). Its variance is 1 all the same, and what is a frame's own does not depend on ``shared``.
    """
    random = torch.Generator().manual_seed(seed)
    own = torch.randn(count, network.frames, *network.picture_shape, generator=random)
    common = torch.randn(count, 1, *network.picture_shape, generator=random)
    return (1 - shared) ** 0.5 * own + shared**0.5 * common


@torch.no_grad()
def sample(
    network: SpaceTimeUNet,
    noise: Clips,
    labels: Labels,
    steps: Count = STEPS,
    guidance_scale: NotNegative = GUIDANCE,
    over_time: bool = True,
) -> Tensor:
    """From ``noise [N, T, C, H, W]`` to a clip of each of the ``labels [N]``, in ``[-1, 1]``.

    Each step takes the velocity half a step on, if it goes on changing as it did since the last step (the second-order
    method of Adams and Bashforth): the network is called as often as by Euler's steps, which take the velocity at the
    start. With ``over_time=False`` each frame is sampled as a picture of its own.
    """
    x, last, before = noise, None, 1.0
    for t, previous in pairwise(shifted(torch.linspace(1, 0, steps + 1)).tolist()):
        velocity = network(x, t, labels, over_time)
        if guidance_scale != 1:
            velocity = guide(network(x, t, None, over_time), velocity, guidance_scale)
        change = 0.0 if last is None else (velocity - last) / (t - before)
        x, last, before = euler_step(x, velocity + (previous - t) / 2 * change, t, previous), velocity, t
    return x.clamp(-1, 1)


def _check_noise(*, network: Any, noise: Tensor, **rest: Any) -> None:
    check_precision("noise", noise, network)


sample = checked(sample, also=_check_noise)
guard(__name__)
