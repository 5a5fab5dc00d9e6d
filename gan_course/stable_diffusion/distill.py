"""Adversarial distillation: a text-to-image model of many steps teaches a copy of itself to do it in one.

The student starts as a copy of the teacher's U-Net. Two losses teach it: a discriminator that looks through the frozen
teacher's eyes (LADD, arXiv 2403.12015), and the teacher's own opinion of its pictures (ADD, arXiv 2311.17042). How much
each contributes, chapter 09 measures: on flat glyphs nearly all comes from the second; on panoramas, which have
texture, the first keeps the student from painting one picture of all noises.
Latents are ``[N, C, H, W]``, words the text encoder's ``[N, tokens, width]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import zoo
from gan_course.arguments import (
    Batch,
    Count,
    Device,
    Line,
    Maps,
    NotNegative,
    Prompts,
    Scheduler,
    Timesteps,
    Unet,
    Words,
    checked,
    guard,
    refuse,
)
from gan_course.diffusion import guide, predicted_x0
from gan_course.networks import check_precision
from gan_course.stable_diffusion.pipeline import Pipeline, check_letters, quietly, rebuilt

STUDENT = "mini_student"  # of glyphs,
PANORAMA_STUDENT = "mini_student_2"  # and of panoramas: what load_student takes

# ------------------------------------------------------------------------------------------ one step


def clean_view(
    unet: Callable[..., Any], scheduler: Scheduler, noisy: Maps, timesteps: Timesteps, words: Words
) -> Tensor:
    """The clean latents that ``unet`` sees behind the ``noisy`` ones at ``timesteps [N]``: its guess of x0."""
    output = unet(noisy, timesteps, encoder_hidden_states=words).sample
    return predicted_x0(noisy, output, timesteps, scheduler.alphas_cumprod, scheduler.config.prediction_type)


def one_step(unet: Callable[..., Any], scheduler: Scheduler, noise: Maps, words: Words) -> Tensor:
    """From pure ``noise [N, C, H, W]`` to clean latents with one call of ``unet``, at the last timestep."""
    last = torch.full((len(noise),), scheduler.config.num_train_timesteps - 1, device=noise.device)
    return clean_view(unet, scheduler, noise, last, words)


def guided_view(
    unet: Callable[..., Any],
    scheduler: Scheduler,
    noisy: Maps,
    timesteps: Timesteps,
    words: Words,
    empty: Words,
    guidance_scale: NotNegative,
) -> Tensor:
    """As :func:`clean_view`, with classifier-free guidance: ``empty`` holds the words of the empty prompt."""
    timesteps = torch.as_tensor(timesteps, device=noisy.device).expand(len(noisy))
    twice = torch.cat([noisy, noisy]), torch.cat([timesteps, timesteps]), torch.cat([empty, words])
    unconditional, conditional = clean_view(unet, scheduler, *twice).chunk(2)
    return guide(unconditional, conditional, guidance_scale)


def from_the_end(pipeline: Pipeline, unet: Any = None) -> Pipeline:
    """``pipeline`` with steps that begin at the schedule's very last timestep and end at clean latents.

    Diffusers' usual spacing starts short of the end: of 25 steps that costs little, but a single one would start at
    timestep 1. ``unet``, such as a student, takes the place of the pipeline's own. Networks are shared, not copied.
    """
    scheduler = pipeline.scheduler
    changed = scheduler.from_config(scheduler.config, timestep_spacing="trailing", set_alpha_to_one=True)
    return rebuilt(pipeline, scheduler=changed, unet=pipeline.unet if unet is None else unet)


@torch.no_grad()
def read_words(pipeline: Pipeline, prompts: Prompts) -> Tensor:
    """What the text encoder makes of ``prompts``: ``[N, tokens, width]``."""
    for prompt in prompts:
        check_letters(pipeline.tokenizer, prompt)
    ids = pipeline.tokenizer(list(prompts), padding="max_length", truncation=True, return_tensors="pt").input_ids
    return pipeline.text_encoder(ids.to(pipeline.text_encoder.device))[0]


# ------------------------------------------------------------------------------------------ the discriminator


def features(unet: Unet, noisy: Maps, timesteps: Timesteps, words: Words) -> list[Tensor]:
    """What the first half of ``unet`` computes on its way: a map ``[N, F, H, W]`` from each of its levels.

    Those of the first convolution, of each down block's layers and of the middle block. The ``words`` have their say
    through the U-Net's own cross-attention.
    """
    time = unet.time_embedding(unet.get_time_embed(sample=noisy, timestep=timesteps))
    x = unet.conv_in(noisy)
    maps = [x]
    for block in unet.down_blocks:
        if getattr(block, "has_cross_attention", False):
            x, found = block(hidden_states=x, temb=time, encoder_hidden_states=words)
        else:
            x, found = block(hidden_states=x, temb=time)
        maps.extend(found)
    return [*maps, unet.mid_block(x, time, encoder_hidden_states=words)]


def feature_widths(unet: Unet) -> list[int]:
    """The number of channels of each map in :func:`features`."""
    config = unet.config
    size = config.sample_size
    rows, columns = (size, size) if isinstance(size, int) else size
    noisy = torch.zeros(1, config.in_channels, rows, columns, device=unet.device)
    words = torch.zeros(1, 1, config.cross_attention_dim, device=unet.device)
    with torch.no_grad():
        return [x.shape[1] for x in features(unet, noisy, torch.zeros(1, dtype=torch.int64, device=unet.device), words)]


class Heads(nn.Module):
    """A small network on each map of features, to be trained: is this place of a real picture's latents?

    ``forward(maps)`` returns all logits side by side: ``[N, places]``.
    """

    def __init__(self, widths: Sequence[Count], width: Count = 48):
        super().__init__()
        self.each = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, inputs),
                *(nn.Conv2d(inputs, width, 3, padding=1), nn.LeakyReLU(0.2)),
                nn.Conv2d(width, 1, 1),
            )
            for inputs in widths
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        # contiguous: PyTorch 2.13 crashes in the gradient of this GroupNorm where the channels come last
        return torch.cat([head(x.contiguous()).flatten(1) for head, x in zip(self.each, maps, strict=True)], dim=1)


# ------------------------------------------------------------------------------------------ the losses


def distillation_loss(made: Batch, seen: Batch, alpha_bar: Line) -> Tensor:
    """The squared distance of ``made`` from what the teacher sees in it, weighted by ``√ᾱ`` (ADD, equation 4).

    ``made [N, C, H, W]``: the student's clean latents; ``seen``: the teacher's, after noise was added, which are no
    path for gradients; ``alpha_bar [N]``: ᾱ, the share of power that the noise has left.
    """
    return (alpha_bar.sqrt() * (made - seen.detach()).square().mean(dim=(1, 2, 3))).mean()


# ------------------------------------------------------------------------------------------ the trained student


def load_student(name: str = STUDENT, device: Device = "cpu", folder: Path = zoo.FOLDER) -> Any:
    """The student ``name`` of the zoo, a ``UNet2DConditionModel`` with weights of 32 bits (on the disk they have 16).

    Put it into a pipeline with :func:`from_the_end`, and ask that for ``steps=1, guidance_scale=1``. Raises
    ``ValueError`` and ``FileNotFoundError`` as :func:`gan_course.zoo.check_files`.
    """
    zoo.check_files(name, folder)
    with quietly():
        from diffusers import UNet2DConditionModel

        student = UNet2DConditionModel.from_pretrained(folder / name, use_safetensors=True, local_files_only=True)
    return student.float().eval().requires_grad_(False).to(device)


def _check_inputs(
    *, unet: Any, words: Tensor, timesteps: Any = None, empty: Tensor | None = None, **latents: Any
) -> None:
    """Raise ``ValueError`` unless there are words and a timestep for each of the latents, in the U-Net's precision."""
    name = "noise" if "noise" in latents else "noisy"
    count = len(latents[name])
    for key, x in ((name, latents[name]), ("words", words), ("empty", empty)):
        if x is not None:
            check_precision(key, x, unet)
            if len(x) != count:
                raise ValueError(f"there are {count} latents but {key} for {len(x)}: pass one for each")
    if timesteps is not None and tuple(getattr(timesteps, "shape", ())) not in ((count,), ()):
        refuse("timesteps", f"one timestep, or int64 of shape [{count}]", timesteps, "pass one for each of the latents")


clean_view, one_step = checked(clean_view, also=_check_inputs), checked(one_step, also=_check_inputs)
guided_view, features = checked(guided_view, also=_check_inputs), checked(features, also=_check_inputs)
guard(__name__)
