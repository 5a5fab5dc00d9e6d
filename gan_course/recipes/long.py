"""The recipes of the mini Stable Diffusion: for how long to train, and what to write into the card.

``gan-course train NAME`` follows one; under ``torchrun --nproc-per-node 2`` two processes share the work.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from gan_course import metrics, zoo
from gan_course import stable_diffusion as sd
from gan_course.checkpoints import save_checkpoint
from gan_course.data.attributes import HELD_OUT_PAIRS, draw_attributes, phrase
from gan_course.recipes.run import CHECKPOINT_EVERY, follow
from gan_course.recipes.student import StudentRun
from gan_course.recipes.text_to_image import (
    AttributesRun,
    AutoencoderRun,
    AutoencoderSettings,
    TextToImageRun,
    normalise,
    psnr,
    rebuild,
    render,
)
from gan_course.stable_diffusion import distill
from gan_course.stable_diffusion.networks import make_tokenizer

HELD_OUT_SEED = 999_001  # of pictures that no run has seen


@dataclass(frozen=True)
class LongRecipe:
    """``start(seed, steps, accelerator, folder)`` makes the run; ``finish(run, facts, folder)`` writes what it made.

    ``facts`` are what every card says; the card comes back.
    """

    steps: int
    start: Callable[[int, int, Accelerator, Path], Any]
    finish: Callable[[Any, dict[str, Any], Path], dict[str, Any]]


def train(
    name: str, folder: Path, checkpoint: Path, seed: int = 0, steps: int | None = None, every: int = CHECKPOINT_EVERY
) -> dict[str, Any]:
    """As :func:`gan_course.recipes.train`, for the recipes here. The card comes back in the first process alone."""
    recipe = RECIPES[name]
    accelerator = Accelerator()
    run = recipe.start(seed, steps or recipe.steps, accelerator, folder)
    follow(run, name, checkpoint, every)
    short = "" if run.steps == recipe.steps else f" --steps {run.steps}"
    facts = {
        "recipe": f"gan-course train {name} --seed {seed}{short}",
        "seed": seed,
        "steps": run.steps,
        "cpu_seconds": round(run.seconds),
        "hardware": f"{accelerator.num_processes} process(es) of {torch.get_num_threads()} thread(s), "
        f"{platform.machine()} {accelerator.device.type}, PyTorch {torch.__version__}",
        "licence": "Apache-2.0",
    }
    card = recipe.finish(run, facts, folder) if accelerator.is_main_process else {}
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        checkpoint.unlink(missing_ok=True)
    return card


# ------------------------------------------------------------------------------------------ the reader


def _finish_reader(run: AttributesRun, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    network = run.reader.network.eval()
    records = draw_attributes(10_000, HELD_OUT_SEED, held_out=None)
    found = sd.measure_adherence(render(records, HELD_OUT_SEED), records, network)
    about = {
        "what": "Reads all attributes off a coloured glyph; chapters 08 and 09 measure with it.",
        "network": {"class": "AttributeClassifier", "arguments": {}},
        "data": "colour glyphs, rendered anew at every step and roughened; 10,000 others held out",
        "metrics": {"held_out_accuracy": round(found.everything.value, 4), "each": _shares(found)},
    }
    return zoo.store("attributes_classifier", network, about | facts, folder)


def _shares(found: sd.Adherence) -> dict[str, Any]:
    everything = {"all": found.everything, **found.each}
    return {name: [round(value, 4) for value in share] for name, share in everything.items()}


# ------------------------------------------------------------------------------------------ the autoencoder


def _finish_autoencoder(run: AutoencoderRun, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    autoencoder = run.trip.network.autoencoder.eval().to(memory_format=torch.contiguous_format)
    normalise(autoencoder)
    about = facts | {"settings": asdict(run.settings), "metrics": _measure(autoencoder)}
    with tempfile.TemporaryDirectory() as place:
        autoencoder.save_pretrained(Path(place, "vae"))
        return zoo.store_files(sd.MINI, Path(place), {"autoencoder": about}, folder)


def _finish_plain(run: AutoencoderRun, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Of the autoencoder without a discriminator only its pictures are kept, beside the other's."""
    from diffusers import AutoencoderKL

    plain = run.trip.network.autoencoder.eval()
    judged = AutoencoderKL.from_pretrained(folder / sd.MINI / "vae", use_safetensors=True)
    records = draw_attributes(64, HELD_OUT_SEED, held_out=None)
    images = render(records, HELD_OUT_SEED)
    sets = {"images": images, "with": rebuild(judged, images), "without": rebuild(plain, images)}
    metrics_of = {"with": _measure(judged), "without": _measure(plain)}
    about = {
        "what": "64 pictures no autoencoder was trained on, rebuilt by two: one trained with a discriminator, one not.",
        "metrics": metrics_of,
    }
    tensors = {name: ((x + 1) * 127.5).round().to(torch.uint8) for name, x in sets.items()}
    with tempfile.TemporaryDirectory() as place:
        save_checkpoint(Path(place, "pictures.safetensors"), tensors, {})
        return zoo.store_files("autoencoder_comparison", Path(place), about | facts, folder)


def _measure(autoencoder: Any, count: int = 2000) -> dict[str, float]:
    """On fresh renders: PSNR in dB, Fréchet distance in the reader's features, edges beside real ones, what is read."""
    records = draw_attributes(count, HELD_OUT_SEED, held_out=None)
    images = render(records, HELD_OUT_SEED)
    rebuilt = rebuild(autoencoder, images)
    reader = zoo.load("attributes_classifier")
    a, b = (metrics.extract_features(x, reader.features) for x in (images, rebuilt))  # type: ignore[arg-type]
    return {
        "psnr_db": round(psnr(rebuilt, images).item(), 2),
        "frechet": round(metrics.frechet_distance(a, b), 3),
        "edge_energy": round(distill.edge_energy(rebuilt) / distill.edge_energy(images), 4),
        "read_right": round(sd.measure_adherence(rebuilt, records).everything.value, 4),
    }


# ------------------------------------------------------------------------------------------ text to image


def _start_text_to_image(seed: int, steps: int, accelerator: Accelerator, folder: Path) -> TextToImageRun:
    from diffusers import AutoencoderKL

    path = folder / sd.MINI / "vae"
    if not path.is_dir():
        raise FileNotFoundError(f"there is no autoencoder in {path}: run gan-course train autoencoder first")
    autoencoder = AutoencoderKL.from_pretrained(path, use_safetensors=True)
    with tempfile.TemporaryDirectory() as place:
        tokenizer = make_tokenizer(Path(place))
    return TextToImageRun(seed, steps, autoencoder.eval().requires_grad_(False), tokenizer, accelerator)


def _finish_text_to_image(run: TextToImageRun, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    from diffusers import AutoencoderKL, StableDiffusionPipeline

    average: Any = run.model.average
    average.to(memory_format=torch.contiguous_format)  # what safetensors can hold
    pipeline: Any = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(folder / sd.MINI / "vae", use_safetensors=True),
        text_encoder=average.text_encoder,
        tokenizer=run.tokenizer,
        unet=average.unet,
        scheduler=run.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    about = {
        "what": "A text-to-image model of Stable Diffusion's own classes, for captioned colour glyphs of 32x32.",
        "data": f"colour glyphs: {run.settings.pictures:,} pictures without any of the held-out pairs",
        "held_out_pairs": [[list(a), list(b)] for a, b in HELD_OUT_PAIRS],
        "text_to_image": facts | {"settings": asdict(run.settings), "metrics": measure(pipeline)},
        "licence": "Apache-2.0",
    }
    with tempfile.TemporaryDirectory() as place:
        pipeline.save_pretrained(place)
        make_tokenizer(Path(place, "tokenizer"))
        return zoo.store_files(sd.MINI, Path(place), about, folder)


def measure(pipeline: Any, count: int = 500, steps: int = sd.STEPS) -> dict[str, Any]:
    """What share of pictures shows what was asked for, with guidance and without, with intervals."""
    found = {}
    for name, held_out in (("seen", False), ("held_out", True)):
        records = draw_attributes(count, HELD_OUT_SEED, held_out)
        for guidance in (sd.GUIDANCE, 1.0):
            images = sd.text_to_image(pipeline, [phrase(r) for r in records], steps=steps, guidance_scale=guidance)
            found[f"{name}, guidance {guidance:g}"] = _shares(sd.measure_adherence(images, records))
    return {"prompts": count, "steps": steps, "right": found}


# ------------------------------------------------------------------------------------------ the one-step student


def _start_student(seed: int, steps: int, accelerator: Accelerator, folder: Path) -> StudentRun:
    if not (folder / sd.MINI / "model_index.json").is_file():
        raise FileNotFoundError(f"there is no teacher in {folder}: run gan-course train text_to_image first")
    return StudentRun(seed, steps, sd.load_pipeline(folder=folder), accelerator)


def _finish_student(run: StudentRun, facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    student: Any = run.student.average
    student.to("cpu", memory_format=torch.contiguous_format)  # what safetensors can hold
    with tempfile.TemporaryDirectory() as place:
        student.half().save_pretrained(place)  # 16 bits: half the file; what is measured has been rounded, too
        about = {
            "what": "The mini Stable Diffusion's U-Net, distilled into one step.",
            "data": f"colour glyphs: {run.settings.pictures:,} pictures without any of the held-out pairs",
            "settings": asdict(run.settings),
            "metrics": measure_student(sd.load_pipeline(folder=folder), student.float()),
        }
        return zoo.store_files(distill.STUDENT, Path(place), about | facts, folder)


def measure_student(
    pipeline: Any, student: Any, count: int = 500, steps: Sequence[int] = (1, 2, 4, 8, 16, 25, 50)
) -> dict[str, Any]:
    """Teacher with ``steps`` guided steps and student side by side: what is read, distances, sharpness, time.

    ``count`` prompts, the same for all; seconds of one processor core for a picture. The distances are to 5,000
    renders, in the reader's features, precision and recall to as many as there are prompts.
    """
    reader: Any = zoo.load("attributes_classifier")
    renders = render(draw_attributes(5000, HELD_OUT_SEED + 1), HELD_OUT_SEED + 1)
    real = metrics.extract_features(renders, reader.features)
    teacher, one = distill.from_the_end(pipeline), distill.from_the_end(pipeline, student)
    sharp = distill.edge_energy(render(draw_attributes(count, HELD_OUT_SEED), HELD_OUT_SEED))

    def look(model: Any, n: int, guidance: float, held_out: bool = False) -> dict[str, Any]:
        records = draw_attributes(count, HELD_OUT_SEED, held_out)
        start = time.process_time()
        images = sd.text_to_image(model, [phrase(r) for r in records], steps=n, guidance_scale=guidance)
        seconds = (time.process_time() - start) / count
        found = {"steps": n, "guidance": guidance, "right": _shares(sd.measure_adherence(images, records, reader))}
        if held_out:
            return found
        made = metrics.extract_features(images, reader.features)
        shares = metrics.precision_recall(real[:count], made)
        return found | {
            "frechet": round(metrics.frechet_distance(made, real), 3),
            "precision": round(shares.precision, 4),
            "recall": round(shares.recall, 4),
            "edge_energy": round(distill.edge_energy(images) / sharp, 4),
            "seconds": round(seconds, 5),
        }

    last = sd.STEPS
    return {
        "prompts": count,
        "teacher": [look(teacher, n, sd.GUIDANCE) for n in steps] + [look(teacher, 1, 1.0)],
        "student": look(one, 1, 1.0),
        "held_out": {"teacher": look(teacher, last, sd.GUIDANCE, True), "student": look(one, 1, 1.0, True)},
    }


RECIPES = {
    "attributes_classifier": LongRecipe(
        steps=4000,
        start=lambda seed, steps, accelerator, folder: AttributesRun(seed, steps, accelerator),
        finish=_finish_reader,
    ),
    "autoencoder": LongRecipe(
        steps=12_000,
        start=lambda seed, steps, accelerator, folder: AutoencoderRun(seed, steps, accelerator),
        finish=_finish_autoencoder,
    ),
    "autoencoder_without_discriminator": LongRecipe(
        steps=12_000,
        start=lambda seed, steps, accelerator, folder: AutoencoderRun(
            seed, steps, accelerator, AutoencoderSettings(discriminator_weight=0.0)
        ),
        finish=_finish_plain,
    ),
    "text_to_image": LongRecipe(steps=8000, start=_start_text_to_image, finish=_finish_text_to_image),
    "student": LongRecipe(steps=1000, start=_start_student, finish=_finish_student),
}
