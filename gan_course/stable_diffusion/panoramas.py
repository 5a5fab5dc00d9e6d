"""Text to a panorama without a seam: the same classes, asked so that left and right edge belong together.

Two measures, neither of which changes a network. At every second step the latents are rolled by half a turn, so that
the edges meet in the middle, where the U-Net sees both of them; the directions in the prompt turn with them. In the
end the decoder gets latents with wrapped borders, which are cut off again. The borders are half a panorama wide on
either side: then every column stands there twice, and the normalisations count none of them more than another.
Latents are ``[N, C, H/f, W/f]``.
"""

from __future__ import annotations

import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import Count, CountOrNone, Maps, NotNegative, Pictures, Prompts, Seed, guard
from gan_course.diffusion import guide
from gan_course.stable_diffusion.distill import read_words
from gan_course.stable_diffusion.pipeline import GUIDANCE, STEPS, Pipeline, Request, check_request

AT_A_TIME = 16  # panoramas that autoencoders see in one call: they see each twice as wide, which takes memory
OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}


def turn_around(prompt: str) -> str:
    """``prompt`` as it reads for somebody who has turned around: north and south, east and west change places."""
    words = "|".join(OPPOSITE)
    return re.sub(rf"\b({words})\b", lambda found: OPPOSITE[found[0]], prompt)


def wrap(maps: Maps, border: CountOrNone) -> Tensor:
    """``maps [N, C, H, W]`` with ``border`` columns of the other edge on either side: ``[N, C, H, W + 2 border]``.

    Raises ``ValueError`` for a border that is wider than the maps.
    """
    if border > maps.shape[-1]:
        raise ValueError(f"can't wrap {maps.shape[-1]} columns by {border} on either side: take a wider panorama")
    return F.pad(maps, (border, border, 0, 0), mode="circular")


def _factor(vae: Any) -> int:
    """How many columns of a picture are one of its latents."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


@torch.no_grad()
def decode_wrapped(vae: Any, latents: Maps) -> Tensor:
    """The panoramas ``[N, 3, H, W]`` in ``[-1, 1]`` of scaled ``latents``, decoded with wrapped borders."""
    border = latents.shape[-1] // 2
    cut = border * _factor(vae)
    parts = (wrap(latents, border) / vae.config.scaling_factor).split(AT_A_TIME)
    return torch.cat([vae.decode(part).sample[..., cut:-cut].clamp(-1, 1) for part in parts])


@torch.no_grad()
def encode_wrapped(vae: Any, images: Maps) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the scaled latents of panoramas ``[N, 3, H, W]``, encoded with wrapped borders.

    Raises ``ValueError`` for sides that the autoencoder's factor does not divide.
    """
    factor = _factor(vae)
    rows, columns = images.shape[2:]
    if rows % factor or columns % factor:
        raise ValueError(f"panoramas are {rows}x{columns} but both must be multiples of {factor}: resize them")
    border = columns // factor // 2
    found = [vae.encode(wrap(part, border * factor)).latent_dist for part in images.split(AT_A_TIME)]
    means, spreads = torch.cat([part.mean for part in found]), torch.cat([part.std for part in found])
    scale = vae.config.scaling_factor
    return means[..., border:-border] * scale, spreads[..., border:-border] * scale


@torch.no_grad()
def text_to_latents(
    pipeline: Pipeline,
    prompts: Prompts,
    noise: Maps,
    steps: Count = STEPS,
    guidance_scale: NotNegative = GUIDANCE,
    negative_prompt: str | None = None,
    seamless: bool = True,
) -> Tensor:
    """Clean scaled latents for each of ``prompts``, from ``noise [N, C, H/f, W/f]``; as :func:`text_to_panorama`.

    Raises ``ValueError`` unless there is noise for each prompt.
    """
    if len(noise) != len(prompts):
        raise ValueError(f"there are {len(prompts)} prompts but noise for {len(noise)}: pass one for each")
    scheduler, unet = pipeline.scheduler, pipeline.unet
    scheduler.set_timesteps(steps)
    half, guided = noise.shape[-1] // 2, guidance_scale > 1  # as in diffusers' own pipelines
    words = [read_words(pipeline, list(prompts)), read_words(pipeline, [turn_around(prompt) for prompt in prompts])]
    if guided:
        away = negative_prompt or ""
        empty = [read_words(pipeline, [text]).expand_as(words[0]) for text in (away, turn_around(away))]
        words = [torch.cat(both) for both in zip(empty, words, strict=True)]
    latents = noise
    for i, timestep in enumerate(scheduler.timesteps):
        turned = i % 2 if seamless else 0
        seen = latents.roll(half * turned, -1)
        twice = torch.cat([seen, seen]) if guided else seen
        output = unet(twice, timestep, encoder_hidden_states=words[turned]).sample
        if guided:
            unconditional, conditional = output.chunk(2)
            output = guide(unconditional, conditional, guidance_scale)
        latents = scheduler.step(output, timestep, seen).prev_sample.roll(-half * turned, -1)
    return latents


def text_to_panorama(
    pipeline: Pipeline,
    prompts: Prompts,
    seed: Seed = 0,
    steps: Count = STEPS,
    guidance_scale: NotNegative = GUIDANCE,
    negative_prompt: str | None = None,
    seamless: bool = True,
) -> Tensor:
    """A panorama for each prompt: ``[N, 3, H, W]`` in ``[-1, 1]``. What can be asked, :class:`Request` says.

    ``seamless=False`` leaves both measures out, for comparison. Raises ``TypeError`` or ``ValueError`` for what can't
    be asked, and ``ValueError`` for a pipeline whose pictures are square.
    """
    request = Request(prompts, seed, steps, guidance_scale, negative_prompt)
    check_request(pipeline, request)
    size = pipeline.unet.config.sample_size
    if isinstance(size, int) or size[1] != 2 * size[0]:
        raise ValueError(
            f"this pipeline's latents are {size}, no panorama's, twice as wide as high: use text_to_image instead"
        )
    vae, shape = pipeline.vae, (pipeline.unet.config.in_channels, *size)
    made = []
    for part in request.parts():
        noise = torch.stack([torch.randn(shape, generator=g) for g in part.generators()]).to(pipeline.unet.device)
        latents = text_to_latents(pipeline, part.prompts, noise, steps, guidance_scale, negative_prompt, seamless)
        made.append((decode_wrapped(vae, latents) if seamless else _decode(vae, latents)).cpu())
    return torch.cat(made)


@torch.no_grad()
def _decode(vae: Any, latents: Maps) -> Tensor:
    return vae.decode(latents / vae.config.scaling_factor).sample.clamp(-1, 1)


def seam(panoramas: Pictures) -> Tensor:
    """The step across the edge of each of ``panoramas [N, C, H, W]``, beside the mean step between columns: ``[N]``.

    About 1 where nobody can find the edge. Raises ``ValueError`` for what is no set of images.
    """
    steps = (panoramas.roll(-1, -1) - panoramas).abs().mean(dim=(1, 2))
    return steps[:, -1] / steps[:, :-1].mean(dim=1).clamp(min=1e-8)


guard(__name__)
