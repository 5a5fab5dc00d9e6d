"""How the networks in the zoo were trained: one recipe each, which ``gan-course train NAME`` follows."""

from __future__ import annotations

import pkgutil
import platform
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from gan_course.files import only_writer
from gan_course.naming import nearest
from gan_course.recipes.run import CHECKPOINT_EVERY, Run, find_processes, follow
from gan_course.recipes.run import Stopped as Stopped  # here, too, for those who train by name

#: Where each recipe's run stands, in an order in which none needs a later one. They are imported when they are asked
#: for: those of the mini Stable Diffusion need diffusers.
RECIPES = {
    "glyphs_classifier": "gan_course.recipes.classifiers:GlyphsClassifierRun",
    "mnist_classifier": "gan_course.recipes.classifiers:MnistClassifierRun",
    "attributes_classifier": "gan_course.recipes.classifiers:AttributesRun",
    "digits_gan": "gan_course.recipes.digits_gan:DigitsGanRun",
    "autoencoder": "gan_course.recipes.text_to_image:AutoencoderRun",
    "autoencoder_without_discriminator": "gan_course.recipes.text_to_image:PlainAutoencoderRun",
    "text_to_image": "gan_course.recipes.text_to_image:TextToImageRun",
    "student": "gan_course.recipes.student:StudentRun",
    "scenes_classifier": "gan_course.recipes.scene_readers:ScenesClassifierRun",
    "scenes_features": "gan_course.recipes.scene_readers:ScenesFeaturesRun",
    "scenes_depth": "gan_course.recipes.scene_readers:ScenesDepthRun",
    "scenes_autoencoder": "gan_course.recipes.scene_autoencoder:ScenesAutoencoderRun",
    "scenes_decoder": "gan_course.recipes.scene_autoencoder:ScenesDecoderRun",
    "scenes_text_to_image": "gan_course.recipes.scene_text_to_image:ScenesTextToImageRun",
    "scene_pairs": "gan_course.recipes.scene_student:ScenePairsRun",
    "scenes_student": "gan_course.recipes.scene_student:ScenesStudentRun",
    "student_comparison": "gan_course.recipes.student_comparison:StudentComparisonRun",
    "style_mosaic": "gan_course.recipes.style:MosaicRun",
    "style_swirls": "gan_course.recipes.style:SwirlsRun",
    "style_engraving": "gan_course.recipes.style:EngravingRun",
    "style_pencil": "gan_course.recipes.style:PencilRun",
    "style_hatching": "gan_course.recipes.style:HatchingRun",
    "night_with_cycle": "gan_course.recipes.style:NightRun",
    "night_without_cycle": "gan_course.recipes.style:NightWithoutCycleRun",
    "hatched_drawings": "gan_course.recipes.style:DrawingsRun",
    "moving_glyphs": "gan_course.recipes.video:MovingGlyphsRun",
    "enlarger_l1": "gan_course.recipes.enlargers:EnlargerRun",
    "enlarger_adversarial": "gan_course.recipes.enlargers:JudgedEnlargerRun",
}


def find(name: str) -> type[Run]:
    """The recipe called ``name``. Raises ``ValueError`` for an unknown one, with the nearest that is known."""
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}: {nearest(name, RECIPES)}")
    return pkgutil.resolve_name(RECIPES[name])


def checkpoint_path(folder: Path, name: str, seed: int = 0, steps: int | None = None) -> Path:
    """Where in ``folder`` the state of this training is kept: no other one's has that name.

    Raises ``ValueError`` for an unknown name.
    """
    return folder / f"{name}-seed{seed}-steps{find(name).steps if steps is None else steps}.safetensors"


def train(
    name: str, folder: Path, checkpoint: Path, seed: int = 0, steps: int | None = None, every: int = CHECKPOINT_EVERY
) -> dict[str, Any]:
    """Train the network ``name``, write its weights and card into ``folder`` and return the card.

    Every ``every`` steps all of the run's state goes to the file ``checkpoint``. Where that exists, from a run that was
    killed, training goes on from there; it is removed in the end. ``steps`` defaults to the recipe's. Of several
    processes the first alone writes and gets the card. Raises ``ValueError`` for an unknown name, steps under 1 and a
    checkpoint of another run, ``FileNotFoundError`` where a network that this one needs is missing, ``OSError`` where
    something can't be written or another process trains with that ``checkpoint`` at the same time, :class:`Stopped`
    where somebody asked it to stop.
    """
    if steps is not None and steps < 1:
        raise ValueError(f"can't train for {steps} steps: take at least 1, or leave the number to the recipe")
    recipe, accelerator = find(name), find_processes()
    with only_writer(checkpoint) if accelerator.is_main_process else nullcontext():
        run = recipe.start(seed, recipe.steps if steps is None else steps, accelerator, folder)
        follow(run, checkpoint, every)
        card = run.finish(folder, _facts(run, accelerator)) if accelerator.is_main_process else {}
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            checkpoint.unlink(missing_ok=True)
    return card


def _facts(run: Run, accelerator: Any) -> dict[str, Any]:
    """What a card says of how its network was trained."""
    short = "" if run.steps == type(run).steps else f" --steps {run.steps}"
    return {
        "recipe": f"gan-course train {run.name} --seed {run.seed}{short}",
        "seed": run.seed,
        "steps": run.steps,
        "cpu_seconds": round(run.seconds),
        "hardware": f"{accelerator.num_processes} process(es) of {torch.get_num_threads()} thread(s), "
        f"{platform.machine()} {accelerator.device.type}, PyTorch {torch.__version__}",
        "licence": "Apache-2.0",
    }
