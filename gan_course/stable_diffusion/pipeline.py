"""Text to image with the classes of the real Stable Diffusion: load a pipeline and ask it.

The mini model ships with the course; any Stable Diffusion of the Hugging Face hub goes through the same functions.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course import data, zoo

MINI = "mini_stable_diffusion"
STEPS, GUIDANCE = 25, 3.0  # with which the mini model's card was measured
AT_ONCE = 64  # pictures made in one call

# ------------------------------------------------------------------------------------------ loading


def load_pipeline(model_id: str | Path | None = None, device: str = "cpu", folder: Path = zoo.FOLDER) -> Any:
    """A ``StableDiffusionPipeline`` in evaluation mode: the mini model, or the one that ``model_id`` names.

    ``model_id``: a folder in diffusers' format, or a name on the hub, such as "stabilityai/sd-turbo". On a GPU, those
    come with 16-bit weights. Nothing but safetensors is read. The mini model's files must be those of its card.
    Raises ``FileNotFoundError`` or ``ValueError`` for missing and for foreign files, ``OSError`` where the hub can't be
    reached or doesn't have the model.
    """
    with quietly():
        from diffusers import StableDiffusionPipeline

    options: dict[str, Any] = {"use_safetensors": True}
    if model_id is None:
        zoo.check_files(MINI, folder)
        path: str | Path = folder / MINI
        options["local_files_only"] = True
    else:
        path = model_id
        if Path(path).is_dir() and not (Path(path) / "model_index.json").is_file():
            raise ValueError(
                f"the folder {path} holds no model_index.json: it is no pipeline in diffusers' format; choose another "
                "folder, or leave model_id out for the mini model"
            )
        if torch.device(device).type == "cuda":
            options["torch_dtype"] = torch.float16
    try:
        with quietly():
            pipeline = StableDiffusionPipeline.from_pretrained(path, **options)
    except Exception as error:  # whatever goes wrong in there, a student needs one sentence
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise OSError(
            f"can't load {path} ({reason}): check name and connection, or leave model_id out for the mini model"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without progress bars for files that are here, and without what transformers says of a torchvision it can spare.

    Errors still come through. Import diffusers' pipelines inside this block.
    """
    from diffusers.utils import logging as ours
    from transformers.utils import logging as theirs

    before = [(library, library.get_verbosity(), library.is_progress_bar_enabled()) for library in (ours, theirs)]
    for library, _, _ in before:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, verbosity, bars in before:
            library.set_verbosity(verbosity)
            if bars:
                library.enable_progress_bar()


# ------------------------------------------------------------------------------------------ asking


def text_to_image(
    pipeline: Any,
    prompts: str | Sequence[str],
    seed: int = 0,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    negative: str | None = None,
) -> Tensor:
    """A picture for each prompt: ``[N, 3, H, W]`` in ``[-1, 1]``.

    Picture ``i`` starts from the noise of ``seed + i``: its neighbours don't matter. ``guidance`` up to 1 follows the
    prompt as it is, more exaggerates it; ``negative`` says what to move away from. An empty prompt asks for anything.
    Raises ``TypeError`` or ``ValueError`` for what can't be asked, such as a prompt that is too long.
    """
    prompts = check_request(pipeline, prompts, steps, guidance, negative)
    return _in_parts(pipeline, prompts, seed, steps, guidance, negative)


def image_to_image(
    pipeline: Any,
    images: Tensor,
    prompts: str | Sequence[str],
    strength: float = 0.6,
    seed: int = 0,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    negative: str | None = None,
) -> Tensor:
    """``images [N, 3, H, W]`` in ``[-1, 1]`` changed towards the prompts, one for each: ``[N, 3, H, W]``.

    Noise is added up to the share ``strength`` (above 0, at most 1) of the way and taken out again. Raises as
    :func:`text_to_image`, and ``ValueError`` for unfit images and another strength.
    """
    with quietly():
        from diffusers import StableDiffusionImg2ImgPipeline

    prompts = check_request(pipeline, prompts, steps, guidance, negative)
    _check_change(pipeline, images, prompts, strength, steps)
    changer = _sibling(StableDiffusionImg2ImgPipeline, pipeline)
    return _in_parts(changer, prompts, seed, steps, guidance, negative, image=(images + 1) / 2, strength=strength)


def inpaint(
    pipeline: Any,
    images: Tensor,
    masks: Tensor,
    prompts: str | Sequence[str],
    strength: float = 1.0,
    seed: int = 0,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    negative: str | None = None,
) -> Tensor:
    """``images [N, 3, H, W]`` in ``[-1, 1]``, painted anew where ``masks [N, 1, H, W]`` are 1 and kept where 0.

    Below a ``strength`` of 1, some of what was there shines through. Raises as :func:`image_to_image`, and
    ``ValueError`` for unfit masks.
    """
    prompts = check_request(pipeline, prompts, steps, guidance, negative)
    _check_change(pipeline, images, prompts, strength, steps)
    wanted = (len(images), 1, *images.shape[2:])
    if not isinstance(masks, Tensor) or tuple(masks.shape) != wanted:
        found = list(masks.shape) if isinstance(masks, Tensor) else type(masks).__name__
        raise ValueError(f"masks must be a tensor of shape {list(wanted)}, like the images, but are {found}")
    if not ((masks == 0) | (masks == 1)).all():
        raise ValueError("masks must hold 0 (keep) and 1 (paint anew) alone: compare with > 0.5 and convert to float")
    painted = [
        _repaint(pipeline, x, mask, prompts[start : start + AT_ONCE], strength, seed + start, steps, guidance, negative)
        for start, x, mask in zip(
            range(0, len(images), AT_ONCE), images.split(AT_ONCE), masks.split(AT_ONCE), strict=True
        )
    ]
    return torch.where(masks.bool(), torch.cat(painted), images)  # the autoencoder would change the rest a little


def _repaint(
    pipeline: Any,
    images: Tensor,
    masks: Tensor,
    prompts: list[str],
    strength: float,
    seed: int,
    steps: int,
    guidance: float,
    negative: str | None,
) -> Tensor:
    """Inpainting on top of the other pipelines: diffusers' own one takes no U-Net but those of 4 or 9 channels."""
    with quietly():
        from diffusers import StableDiffusionImg2ImgPipeline

    vae = pipeline.vae
    with torch.no_grad():
        original = vae.encode(images.to(vae.device, vae.dtype)).latent_dist.mean * vae.config.scaling_factor
    seeds = [torch.Generator().manual_seed(seed + i) for i in range(len(images))]
    noise = torch.stack([torch.randn(original.shape[1:], generator=g, dtype=vae.dtype) for g in seeds]).to(original)
    inside = F.adaptive_max_pool2d(masks.to(original), original.shape[2:])  # a place with any pixel to paint is painted

    def keep_outside(runner: Any, step: int, timestep: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
        following = runner.scheduler.timesteps[-runner.num_timesteps :][step + 1 : step + 2]
        known = runner.scheduler.add_noise(original, noise, following) if len(following) else original
        return {"latents": inside * given["latents"] + (1 - inside) * known}

    runner, source = pipeline, dict[str, Any](height=images.shape[2], width=images.shape[3])  # from noise alone
    if strength < 1:
        runner = _sibling(StableDiffusionImg2ImgPipeline, pipeline)
        source = {"image": (images + 1) / 2, "strength": strength}
    return _in_parts(runner, prompts, seed, steps, guidance, negative, callback_on_step_end=keep_outside, **source)


def _sibling(kind: Any, pipeline: Any) -> Any:
    """Another pipeline of the same networks."""
    other = kind(**pipeline.components, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    return other


def _in_parts(
    pipeline: Any, prompts: list[str], seed: int, steps: int, guidance: float, negative: str | None, **options: Any
) -> Tensor:
    """Call ``pipeline`` on a few prompts at a time."""
    made = []
    for start in range(0, len(prompts), AT_ONCE):
        part = prompts[start : start + AT_ONCE]
        made.append(
            pipeline(
                part,
                num_inference_steps=steps,
                guidance_scale=guidance,
                negative_prompt=None if negative is None else [negative] * len(part),
                generator=[torch.Generator().manual_seed(seed + start + i) for i in range(len(part))],
                output_type="pt",
                **{
                    key: value[start : start + AT_ONCE] if isinstance(value, Tensor) else value
                    for key, value in options.items()
                },
            ).images
        )
    return (2 * torch.cat(made).float().cpu() - 1).clamp(-1, 1)


def check_request(
    pipeline: Any, prompts: str | Sequence[str], steps: int, guidance: float, negative: str | None = None
) -> list[str]:
    """The prompts as a list. Raises ``TypeError`` or ``ValueError``, in one sentence, for what can't be asked."""
    asked = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(asked, Sequence) or not all(isinstance(prompt, str) for prompt in asked):
        wrong = prompts if not isinstance(asked, Sequence) else next(p for p in asked if not isinstance(p, str))
        raise TypeError(f"a prompt must be a string but one is {type(wrong).__name__}: write it in quotes")
    if not asked:
        raise ValueError("there is no prompt: pass a string, or a list with one string for each picture")
    if negative is not None and not isinstance(negative, str):
        raise TypeError(f"negative must be a string or None but is {type(negative).__name__}: write it in quotes")
    longest = pipeline.tokenizer.model_max_length
    for prompt in [*asked, negative or ""]:
        tokens = len(pipeline.tokenizer(prompt, verbose=False).input_ids)
        if tokens > longest:
            raise ValueError(
                f"the prompt {prompt[:40]!r}… has {tokens} tokens with its two marks, but the text encoder takes "
                f"{longest}: shorten it"
            )
    schedule = pipeline.scheduler.config.num_train_timesteps
    if not isinstance(steps, int) or isinstance(steps, bool) or not 1 <= steps <= schedule:
        raise ValueError(f"steps must be a whole number from 1 to {schedule}, the schedule's length, but is {steps}")
    if not isinstance(guidance, int | float) or not math.isfinite(guidance) or guidance < 0:
        raise ValueError(f"guidance must be a number from 0 up but is {guidance}: 1 is none, try {GUIDANCE:g}")
    return list(asked)


def _check_change(pipeline: Any, images: Tensor, prompts: list[str], strength: float, steps: int) -> None:
    """Raise ``ValueError`` unless ``images`` can be changed at this strength."""
    data.check_images(images)
    side = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    if images.shape[1] != 3:
        raise ValueError(f"images must have 3 colours but have {images.shape[1]}: convert them to RGB")
    if images.shape[2] % 8 or images.shape[3] % 8:
        height, width = images.shape[2:]
        raise ValueError(f"images are {height}x{width} but both must be multiples of 8: resize them to {side}x{side}")
    if len(images) != len(prompts):
        raise ValueError(f"there are {len(images)} images but {len(prompts)} prompts: pass one for each")
    if not isinstance(strength, int | float) or not 0 < strength <= 1:
        raise ValueError(f"strength must be above 0 and at most 1 but is {strength}: try 0.6")
    if int(steps * strength) < 1:
        raise ValueError(f"strength {strength} of {steps} steps leaves none: take at least {math.ceil(1 / strength)}")
