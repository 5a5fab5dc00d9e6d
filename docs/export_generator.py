"""The networks of the page that paints in the browser, made of the zoo's weights whenever the site is built.

The GAN of digits becomes one ONNX file: noise, steps along six directions and the digit in, a picture out. The one-step
students, of glyphs and of panoramas, become one each with their text encoder and decoder: token ids and noise in, a
picture out. The words of the captions and their token ids go into a file beside it.
"""

import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from gan_course import stable_diffusion as sd
from gan_course import zoo
from gan_course.data import scene_captions
from gan_course.stable_diffusion import distill
from gan_course.stable_diffusion.networks import glyph_words
from gan_course.stable_diffusion.panoramas import decode_wrapped

DIRECTIONS = 6


def decode(vae: Any, latents: Tensor) -> Tensor:
    return vae.decode(latents / vae.config.scaling_factor).sample.clamp(-1, 1)


class Painter(nn.Module):
    """``ids [1, tokens]`` (int32) and ``noise [1, C, H/f, W/f]`` → a picture ``[1, 3, H, W]`` in [-1, 1], in one step.

    ``decode(vae, latents)`` makes the picture.
    """

    def __init__(self, pipeline: sd.Pipeline, student: str, decode: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.unet, self.scheduler = distill.load_student(name=student), pipeline.scheduler
        self.text_encoder, self.vae, self.decode = pipeline.text_encoder, pipeline.vae, decode

    def forward(self, ids: Tensor, noise: Tensor) -> Tensor:
        words = self.text_encoder(ids.long())[0]
        return self.decode(self.vae, distill.one_step(self.unet, self.scheduler, noise, words))


class Sketcher(nn.Module):
    """``noise [1, 64]``, ``steps [1, 6]`` and ``digit [1, 10]`` (a row of zeros with one 1) → ``[1, 1, 28, 28]``.

    The steps go along the directions of the noise that the generator's first layer stretches most (Shen and Zhou 2021,
    arXiv 2007.06600): what changes a picture most.
    """

    def __init__(self) -> None:
        super().__init__()
        generator = zoo.load("digits_gan")
        self.layers = generator.layers
        stretched = generator.layers[0].weight[:, : generator.latent_dim]
        self.register_buffer("directions", torch.linalg.svd(stretched, full_matrices=False).Vh[:DIRECTIONS].clone())

    def forward(self, noise: Tensor, steps: Tensor, digit: Tensor) -> Tensor:
        return self.layers(torch.cat([noise + steps @ self.directions, digit], dim=1))


def token_ids(pipeline: sd.Pipeline, words: Iterable[str]) -> dict[str, int]:
    """Each of ``words``, and the marks of start and end, with its number in the tokenizer."""
    vocabulary = pipeline.tokenizer.get_vocab()
    return {word: vocabulary[f"{word}</w>"] for word in words} | {
        "start": vocabulary["<|startoftext|>"], "end": vocabulary["<|endoftext|>"]
    }  # fmt: skip


def halve(model: onnx.ModelProto) -> None:
    """Store weights in 16 bits where that changes no number: the student's were rounded to them when it was stored."""
    graph, casts = model.graph, []
    for weights in graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size > 64 and (values.astype(np.float16) == values).all():
            name = weights.name
            weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)


def write(network: nn.Module, path: Path, **inputs: Tensor) -> None:
    """Write ``network`` as an ONNX file; ``inputs`` are examples by their names."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the old one; the new one needs one more package
        torch.onnx.export(
            network.eval(), tuple(inputs.values()), str(path), input_names=list(inputs), output_names=["picture"],
            opset_version=17, dynamo=False,
        )  # fmt: skip
    model = onnx.load(path)
    halve(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def export(folder: Path) -> None:
    """Write ``digits.onnx``, and ``glyphs`` and ``places`` as ``.onnx`` and ``.json``, into ``folder``."""
    digit = torch.eye(10)[:1]
    write(Sketcher(), folder / "digits.onnx", noise=torch.randn(1, 64), steps=torch.zeros(1, DIRECTIONS), digit=digit)
    glyphs, places = sd.load_pipeline(), sd.load_pipeline(zoo.FOLDER / "mini_stable_diffusion_2")
    place_words = [*scene_captions.words(), ","]
    for name, pipeline, painter, shape, words in (
        ("glyphs", glyphs, Painter(glyphs, distill.STUDENT, decode), (1, 8, 8, 8), glyph_words()),
        ("places", places, Painter(places, distill.PANORAMA_STUDENT, decode_wrapped), (1, 4, 8, 16), place_words),
    ):
        ids = torch.full((1, pipeline.tokenizer.model_max_length), pipeline.tokenizer.eos_token_id, dtype=torch.int32)
        write(painter, folder / f"{name}.onnx", ids=ids, noise=torch.randn(shape))
        (folder / f"{name}.json").write_text(f"{json.dumps(token_ids(pipeline, words))}\n", encoding="utf-8")
