"""The networks of the mini Stable Diffusion: the real one's classes, made small."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import nn

from gan_course.arguments import Count, Tokenizer, guard
from gan_course.data.attributes import COLOURS, DIGITS, POSITIONS, SIZES
from gan_course.data.outlines import STYLES
from gan_course.diffusion import PREDICTIONS
from gan_course.files import write_whole

LONGEST = 24  # tokens of a prompt, with the marks of its start and end
CHANNELS = 8  # of the latents: with the 4 of Stable Diffusion 1, the small autoencoder mistakes grey strokes for purple


def make_autoencoder(
    widths: tuple[Count, ...] = (16, 32, 64), channels: Count = CHANNELS, side: Count = 32, attention: bool = True
) -> Any:
    """Stable Diffusion's ``AutoencoderKL``, small: pictures ``[N, 3, H, W]`` to latents ``[N, channels, H/f, W/f]``.

    Each of ``widths`` but the first halves the map: f is 4 for three of them. ``side``: of the pictures, for its
    configuration. ``attention``: in the middle, over the whole map; without it a detail is seen alike in maps of any
    width.
    """
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=8,
        sample_size=side,
        mid_block_add_attention=attention,
    )


def make_patch_discriminator(width: Count = 32) -> nn.Module:
    """Pictures ``[N, 3, 32, 32]`` to logits ``[N, 1, 8, 8]``: is this patch a real picture's? (Isola et al. 2017)"""
    w = width
    return nn.Sequential(
        *(nn.Conv2d(3, w, 4, stride=2, padding=1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(w, 2 * w, 4, stride=2, padding=1), nn.GroupNorm(8, 2 * w), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(2 * w, 2 * w, 3, padding=1), nn.GroupNorm(8, 2 * w), nn.LeakyReLU(0.2)),
        nn.Conv2d(2 * w, 1, 3, padding=1),
    )


def glyph_words() -> list[str]:
    """Every word in the captions of coloured glyphs, sorted."""
    phrases = [*SIZES, *COLOURS, *DIGITS, *STYLES, *POSITIONS, "a an in on background"]
    return sorted({word for words in phrases for word in words.split()} - {"regular"})


def make_tokenizer(folder: Path, words: Sequence[str] = (), longest: Count = LONGEST) -> Any:
    """A ``CLIPTokenizer`` to which each of ``words`` is one token; written into ``folder``.

    By default they are :func:`glyph_words`. Its merges build these words letter by letter, so that other words fall
    apart into letters and pieces. ``longest``: how many tokens a prompt may have, with the marks of start and end.
    """
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    merges: list[Any] = []
    for word in words or glyph_words():
        pieces = merge([*word[:-1], f"{word[-1]}</w>"], merges)
        while len(pieces) > 1:  # a merge added later never comes before an older one: finished words stay whole
            merges.append((pieces[0], pieces[1]))
            pieces = [pieces[0] + pieces[1], *pieces[2:]]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *dict.fromkeys(a + b for a, b in merges)]
    vocabulary = {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    write_whole(folder / "merges.txt", ("\n".join(lines) + "\n").encode())
    write_whole(folder / "vocab.json", (json.dumps(vocabulary) + "\n").encode())
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=longest)
    tokenizer.save_pretrained(folder)
    return tokenizer


def merge(pieces: list[str], merges: Sequence[tuple[str, str]]) -> list[str]:
    """``pieces`` of a word after byte-pair encoding: the oldest merge that fits comes first, as often as it fits."""
    ranks = {pair: i for i, pair in enumerate(merges)}
    while fitting := [pair for pair in pairwise(pieces) if pair in ranks]:
        a, b = min(fitting, key=ranks.__getitem__)
        i = next(i for i, pair in enumerate(pairwise(pieces)) if pair == (a, b))
        pieces = [*pieces[:i], a + b, *pieces[i + 2 :]]
    return pieces


def make_text_encoder(tokenizer: Tokenizer, width: Count = 96, layers: Count = 2) -> nn.Module:
    """Stable Diffusion's ``CLIPTextModel``, small: token ids ``[N, longest]`` to vectors ``[N, longest, width]``."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=4 * width,
            projection_dim=width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def make_unet(
    width: Count = 96,
    widths: tuple[Count, ...] = (48, 64),
    channels: Count = CHANNELS,
    size: Count | tuple[Count, Count] = 8,
    groups: Count = 16,
) -> Any:
    """Stable Diffusion's ``UNet2DConditionModel``, small: it attends to the words at every size of its maps.

    ``size``: of the latents, a side or (rows, columns). ``groups``: of the normalisations, a divisor of all ``widths``.
    """
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=size,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=widths,
        down_block_types=("CrossAttnDownBlock2D",) * len(widths),
        up_block_types=("CrossAttnUpBlock2D",) * len(widths),
        layers_per_block=1,
        cross_attention_dim=width,
        attention_head_dim=4,  # diffusers' name for the number of heads
        norm_num_groups=groups,
    )


def make_scheduler(prediction: str) -> Any:
    """Stable Diffusion's noise schedule, with DDIM's way through it."""
    from diffusers import DDIMScheduler

    if prediction not in PREDICTIONS:
        raise ValueError(f"prediction {prediction!r} is not known: choose one of {', '.join(PREDICTIONS)}")

    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )


guard(__name__)
