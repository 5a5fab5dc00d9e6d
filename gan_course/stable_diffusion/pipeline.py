"""Text to image with the classes of the real Stable Diffusion: load a pipeline and ask it.

The mini model ships with the course; any Stable Diffusion of the Hugging Face hub goes through the same functions.
"""

from __future__ import annotations

import contextlib
import copy
import difflib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course import zoo
from gan_course.arguments import Count, Device, Maps, Prompts, Seed, check_in_range, guard, refuse
from gan_course.data.attributes import DIGITS

MINI = "mini_stable_diffusion"
STEPS, GUIDANCE = 25, 3.0  # with which the mini model's card was measured
AT_ONCE = 64  # pictures made in one call
SMALL_VOCABULARY = 2_000  # whole words: the course's own tokenizers know some hundreds, Stable Diffusion's 30,000


class Pipeline(Protocol):
    """What the course uses of a text-to-image pipeline: diffusers' ``StableDiffusionPipeline`` has all of it."""

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any
    vae_scale_factor: int

    @property
    def components(self) -> dict[str, Any]: ...

    def __call__(self, *args: Any, **options: Any) -> Any: ...


@dataclass(frozen=True)
class Request:
    """What a pipeline is asked for: a picture for each of ``prompts``. Picture ``i`` starts from the noise of seed + i.

    ``guidance_scale`` up to 1 follows the prompt as it is, more exaggerates it; ``negative_prompt`` says what to move
    away from, and needs a guidance above 1. An empty prompt asks for anything.
    """

    prompts: Prompts  # kept as a tuple
    seed: Seed = 0
    steps: Count = STEPS
    guidance_scale: float = GUIDANCE
    negative_prompt: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.prompts, Sequence):
            object.__setattr__(self, "prompts", (self.prompts,) if isinstance(self.prompts, str) else (*self.prompts,))

    def parts(self) -> Iterator[Request]:
        """The same in requests of ``AT_ONCE`` pictures, the last of what remains."""
        for start in range(0, len(self.prompts), AT_ONCE):
            yield replace(self, prompts=self.prompts[start : start + AT_ONCE], seed=self.seed + start)

    def generators(self) -> list[torch.Generator]:
        """A source of noise for each picture, so that its neighbours don't matter."""
        return [torch.Generator().manual_seed(self.seed + i) for i in range(len(self.prompts))]


# ------------------------------------------------------------------------------------------ loading


def load_pipeline(model_id: str | Path | None = None, device: Device = "cpu", folder: Path = zoo.FOLDER) -> Pipeline:
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
    try:
        with quietly():
            pipeline = StableDiffusionPipeline.from_pretrained(path, **options)
    except Exception as error:  # whatever goes wrong in there, a student needs one sentence
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise OSError(
            f"can't load {path} ({reason}): check name and connection, or leave model_id out for the mini model"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    halved = model_id is not None and torch.device(device).type == "cuda"
    return pipeline.to(device, torch.float16) if halved else pipeline.to(device)


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
    pipeline: Pipeline,
    prompts: Prompts,
    seed: int = 0,
    steps: int = STEPS,
    guidance_scale: float = GUIDANCE,
    negative_prompt: str | None = None,
) -> Tensor:
    """A picture for each prompt: ``[N, 3, H, W]`` in ``[-1, 1]``. What can be asked, :class:`Request` says.

    Raises ``TypeError`` or ``ValueError`` for what can't be asked, such as a prompt that is too long.
    """
    return paint(pipeline, Request(prompts, seed, steps, guidance_scale, negative_prompt))


def paint(pipeline: Pipeline, request: Request) -> Tensor:
    """As :func:`text_to_image`, from a :class:`Request`."""
    check_request(pipeline, request)
    return _in_parts(pipeline, request)


def image_to_image(
    pipeline: Pipeline,
    images: Maps,
    prompts: Prompts,
    strength: float = 0.6,
    seed: int = 0,
    steps: int = STEPS,
    guidance_scale: float = GUIDANCE,
    negative_prompt: str | None = None,
) -> Tensor:
    """``images [N, 3, H, W]`` in ``[-1, 1]`` changed towards the prompts, one for each: ``[N, 3, H, W]``.

    Noise is added up to the share ``strength`` (above 0, at most 1) of the way and taken out again. Raises as
    :func:`text_to_image`, and ``ValueError`` for unfit images and another strength.
    """
    with quietly():
        from diffusers import StableDiffusionImg2ImgPipeline

    request = Request(prompts, seed, steps, guidance_scale, negative_prompt)
    check_request(pipeline, request)
    _check_change(pipeline, images, request, strength)
    changer = rebuilt(pipeline, StableDiffusionImg2ImgPipeline)
    return _in_parts(changer, request, image=(images + 1) / 2, strength=strength)


def inpaint(
    pipeline: Pipeline,
    images: Maps,
    masks: Tensor,
    prompts: Prompts,
    strength: float = 1.0,
    seed: int = 0,
    steps: int = STEPS,
    guidance_scale: float = GUIDANCE,
    negative_prompt: str | None = None,
) -> Tensor:
    """``images [N, 3, H, W]`` in ``[-1, 1]``, painted anew where ``masks [N, 1, H, W]`` are 1 and kept where 0.

    Below a ``strength`` of 1, some of what was there shines through. Raises as :func:`image_to_image`, and
    ``ValueError`` for unfit masks.
    """
    request = Request(prompts, seed, steps, guidance_scale, negative_prompt)
    check_request(pipeline, request)
    _check_change(pipeline, images, request, strength)
    wanted = (len(images), 1, *images.shape[2:])
    if tuple(masks.shape) != wanted or masks.is_complex():
        raise ValueError(
            f"masks must be a tensor of shape {list(wanted)}, like the images, but are {list(masks.shape)}"
        )
    if not ((masks == 0) | (masks == 1)).all():
        raise ValueError("masks must hold 0 (keep) and 1 (paint anew) alone: compare with > 0.5 and convert to float")
    parts = zip(images.split(AT_ONCE), masks.split(AT_ONCE), request.parts(), strict=True)
    painted = [_repaint(pipeline, *part, strength) for part in parts]
    return torch.where(masks.bool(), torch.cat(painted), images)  # the autoencoder would change the rest a little


def _repaint(pipeline: Pipeline, images: Tensor, masks: Tensor, request: Request, strength: float) -> Tensor:
    """Inpainting on top of the other pipelines: diffusers' own one takes no U-Net but those of 4 or 9 channels."""
    with quietly():
        from diffusers import StableDiffusionImg2ImgPipeline

    vae = pipeline.vae
    with torch.no_grad():
        original = vae.encode(images.to(vae.device, vae.dtype)).latent_dist.mean * vae.config.scaling_factor
    noises = [torch.randn(original.shape[1:], generator=g, dtype=vae.dtype) for g in request.generators()]
    noise = torch.stack(noises).to(original)
    inside = F.adaptive_max_pool2d(masks.to(original), original.shape[2:])  # a place with any pixel to paint is painted

    def keep_outside(runner: Any, step: int, timestep: Any, given: dict[str, Tensor]) -> dict[str, Tensor]:
        following = runner.scheduler.timesteps[-runner.num_timesteps :][step + 1 : step + 2]
        known = runner.scheduler.add_noise(original, noise, following) if len(following) else original
        return {"latents": inside * given["latents"] + (1 - inside) * known}

    painter, source = pipeline, dict[str, Any](height=images.shape[2], width=images.shape[3])  # from noise alone
    if strength < 1:
        painter = rebuilt(pipeline, StableDiffusionImg2ImgPipeline)
        source = {"image": (images + 1) / 2, "strength": strength}
    return _in_parts(painter, request, callback_on_step_end=keep_outside, **source)


def rebuilt(pipeline: Pipeline, kind: Any = None, **parts: Any) -> Pipeline:
    """Another pipeline of the same networks: of another ``kind``, or with these ``parts`` in place of its own."""
    kind = kind or type(pipeline)
    components = {**pipeline.components, **parts}
    side = components["unet"].config.sample_size
    if kind is not type(pipeline) and not isinstance(side, int):
        # of panoramas it is rows and columns, which the other classes would compare with a number
        components["unet"] = view = copy.copy(components["unet"])  # the same weights
        view.register_to_config(sample_size=max(side))
    other = kind(**components, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    return other


def _in_parts(pipeline: Pipeline, request: Request, **options: Any) -> Tensor:
    """Call ``pipeline`` on a few prompts at a time; of options that are tensors, each call gets its own rows."""
    made = []
    for start, part in zip(range(0, len(request.prompts), AT_ONCE), request.parts(), strict=True):
        rows = slice(start, start + AT_ONCE)
        result = pipeline(
            list(part.prompts),
            num_inference_steps=part.steps,
            guidance_scale=part.guidance_scale,
            negative_prompt=None if part.negative_prompt is None else [part.negative_prompt] * len(part.prompts),
            generator=part.generators(),
            output_type="pt",
            **{key: value[rows] if isinstance(value, Tensor) else value for key, value in options.items()},
        )
        made.append(result.images)
    return (2 * torch.cat(made).float().cpu() - 1).clamp(-1, 1)


def check_request(pipeline: Pipeline, request: Request) -> None:
    """Raise ``TypeError`` or ``ValueError``, in one sentence, for what ``pipeline`` can't be asked."""
    asked, scale, longest = request.prompts, request.guidance_scale, pipeline.tokenizer.model_max_length
    for prompt in dict.fromkeys([*asked, request.negative_prompt or ""]):
        check_letters(pipeline.tokenizer, prompt)
        tokens = len(pipeline.tokenizer(prompt, verbose=False).input_ids)
        if tokens > longest:
            raise ValueError(
                f"the prompt {prompt[:40]!r}… has {tokens} tokens with its two marks, but the text encoder takes "
                f"{longest}: shorten it"
            )
    steps, schedule = request.steps, pipeline.scheduler.config.num_train_timesteps
    if not 1 <= steps <= schedule:
        raise ValueError(f"steps must be a whole number from 1 to {schedule}, the schedule's length, but is {steps}")
    if scale < 0:
        raise ValueError(f"guidance_scale must be a number from 0 up but is {scale}: 1 is none, try {GUIDANCE:g}")
    if request.negative_prompt and scale <= 1:
        raise ValueError(
            f"a negative prompt acts through guidance, and at a guidance_scale of {scale:g} there is none: choose one "
            f"above 1, such as {GUIDANCE:g}, or leave the negative prompt out"
        )
    name_unknown_words(pipeline.tokenizer, " ".join([*asked, request.negative_prompt or ""]))  # each of them once


def check_letters(tokenizer: Any, prompt: str) -> None:
    """Raise ``ValueError`` for a ``prompt`` with letters that ``tokenizer`` doesn't know, and would skip."""

    def is_known(text: str) -> bool:
        return text.isascii() or tokenizer.unk_token_id not in tokenizer(text, verbose=False).input_ids[1:-1]

    if not is_known(prompt):
        strange = next((letter for letter in prompt if not is_known(letter)), prompt)
        raise ValueError(
            f"the prompt {prompt[:40]!r} holds {strange!r}, which this model's tokenizer doesn't know: write it in "
            "English letters"
        )


def name_unknown_words(tokenizer: Any, prompt: str) -> None:
    """Print which words ``tokenizer`` doesn't know, and reads letter by letter, with the nearest one that it knows."""
    known = {token.removesuffix("</w>") for token in tokenizer.get_vocab() if token.endswith("</w>")}
    if len(known) > SMALL_VOCABULARY:  # a real tokenizer puts words together of pieces that it has seen
        return
    whole = {word for word in known if len(word) > 1} | {"a"} | set(tokenizer.get_added_vocab())  # words of one's own
    for word in dict.fromkeys(re.findall(r"[a-z]+|[0-9]", prompt.lower())):
        if word not in whole:
            near = [DIGITS[int(word)]] if word.isdigit() else difflib.get_close_matches(word, whole, n=1, cutoff=0.85)
            hint = f": did you mean {near[0]!r}?" if near and near[0] in whole else ""
            print(f"The model has never seen the word {word!r}, and reads it letter by letter{hint}")


def _check_change(pipeline: Pipeline, images: Tensor, request: Request, strength: float) -> None:
    """Raise ``ValueError`` unless ``images`` can be changed at this strength."""
    if images.dtype != torch.float32:
        refuse("images", "a 32-bit float tensor", images, "convert with .float()")
    check_in_range("images", images)  # from 0 to 1 is a mistake, too, but not told from a light picture for sure
    side = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    if images.shape[1] != 3:
        raise ValueError(f"images must have 3 colours but have {images.shape[1]}: convert them to RGB")
    if images.shape[2] % 8 or images.shape[3] % 8:
        height, width = images.shape[2:]
        raise ValueError(f"images are {height}x{width} but both must be multiples of 8: resize them to {side}x{side}")
    if len(images) != len(request.prompts):
        raise ValueError(f"there are {len(images)} images but {len(request.prompts)} prompts: pass one for each")
    if not 0 < strength <= 1:
        raise ValueError(f"strength must be above 0 and at most 1 but is {strength}: try 0.6")
    if int(request.steps * strength) < 1:
        fewest = math.ceil(1 / strength)
        raise ValueError(f"strength {strength} of {request.steps} steps leaves none: take at least {fewest}")


guard(__name__)
