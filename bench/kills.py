"""``python -m bench.kills``: kill trainings at random moments, go on, and compare with one that nobody disturbed.

Every recipe, at tiny settings, through ``gan-course train``, and a :class:`Trainer`. Then single bits of checkpoints
are flipped. For Linux; ten minutes or so.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gan_course import cli, data, recipes, zoo
from gan_course.checkpoints import fingerprint, load_checkpoint
from gan_course.networks import MLPGenerator
from gan_course.stable_diffusion.pairs import begin_pairs
from gan_course.training import Settings, Trainer

STEPS, EVERY = 8, 1  # of a tiny training, and between two of its checkpoints
Work = Callable[[Path], None]
ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT

# ------------------------------------------------------------------------------------------ tiny trainings


def tiny_recipes() -> dict[str, Any]:
    """All recipes with tiny settings, each with an end that takes no measuring."""
    glyphs, panoramas = pipelines()
    small = {"batch": 4, "pictures": 6}
    settings: dict[str, dict[str, Any]] = {
        "autoencoder": {"batch": 4, "widths": (8, 8, 16), "discriminator_start": 0.5},
        "autoencoder_without_discriminator": {"batch": 4, "widths": (8, 8, 16)},
        "text_to_image": small | {"width": 32, "widths": (16, 16)},
        "student": small | {"width": 8},
        "scenes_classifier": small,
        "scenes_depth": small,
        "scenes_autoencoder": small | {"widths": (8, 8, 8, 16)},
        "scenes_decoder": small | {"discriminator_first": 2},
        "scenes_text_to_image": small | {"width": 32, "widths": (16, 16)},
        "scene_pairs": {"at_once": 2, "ways": 2},
        "scenes_student": small | {"width": 8, "paired": 2},
        "student_comparison": small | {"prompts": 4, "repeated": 2, "seeds": 2, "steps": 0.01},
    }
    made = {}
    for name in recipes.RECIPES:
        recipe: Any = recipes.find(name)
        pipeline = panoramas if name.startswith("scene") else glyphs
        given: tuple[Any, ...] = ()
        if name in ("text_to_image", "scenes_text_to_image"):
            given = pipeline.vae, pipeline.tokenizer
        elif name == "scenes_decoder":
            given = (pipeline.vae,)
        elif name in ("student", "scene_pairs"):
            given = (pipeline,)
        elif name in ("scenes_student", "student_comparison"):
            pairs = begin_pairs(4, 0)
            given = (panoramas, pairs._replace(ends=pairs.noise))
        body: dict[str, Any] = {
            "steps": STEPS,
            "settings": replace(recipe.settings, **settings.get(name, {"batch": 4})),
            "start": classmethod(partial(start, given=given)),
            "finish": finish,
            "load": lambda run: (data.load("glyphs", count=60, seed=5), data.load("glyphs", count=20, seed=6)),
        }
        made[name] = type(recipe.__name__, (recipe,), body)
    return made


def start(recipe: Any, seed: int, steps: int, accelerator: Any, folder: Path, given: tuple[Any, ...]) -> Any:
    return recipe(seed, steps, *copy.deepcopy(given), accelerator=accelerator)


def finish(run: Any, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    parts = nn.ModuleDict({name: part.finished() for name, part in run.parts.items()})
    return zoo.store(run.name, parts, facts | {"metrics": {"held_out_accuracy": 0.0}}, folder)


def pipelines() -> list[Any]:
    """Two tiny, untrained Stable Diffusions: of glyphs, of panoramas."""
    from diffusers import StableDiffusionPipeline

    from gan_course.data import scene_captions
    from gan_course.stable_diffusion import networks

    words: dict[str, Any] = {"words": scene_captions.words(), "longest": scene_captions.LONGEST}
    autoencoders = (
        partial(networks.make_autoencoder, (8, 8, 16)),
        partial(networks.make_autoencoder, (8, 8, 8, 16), 4, side=64, attention=False),
    )
    unets = partial(networks.make_unet, 32, (16, 16)), partial(networks.make_unet, 32, (16, 16), 4, (8, 16), groups=8)
    made: list[Any] = []
    for options, autoencoder, unet in zip(({}, words), autoencoders, unets, strict=True):
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as place:
            tokenizer = networks.make_tokenizer(Path(place), **options)
        pipeline: Any = StableDiffusionPipeline(
            vae=autoencoder().eval(),
            text_encoder=networks.make_text_encoder(tokenizer, width=32).eval(),
            tokenizer=tokenizer,
            unet=unet().eval(),
            scheduler=networks.make_scheduler("v_prediction"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        made.append(pipeline)
    return made


def trainer() -> Trainer:
    """With all that can get lost: dropout draws from PyTorch's own random numbers, batch norm keeps buffers."""
    torch.manual_seed(0)
    images = torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(9)) * 2 - 1
    judge = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(256, 1))
    settings = Settings(batch_size=8, discriminator_steps=2, r1_every=3, beta1=0.5)
    return Trainer(MLPGenerator(5, 256, (1, 8, 8)), nn.Sequential(judge, nn.Flatten(0)), images, settings)


def train_pair(folder: Path, steps: int = 120) -> None:
    """A run of the Trainer: from its checkpoint, where there is one, to its end."""
    made, path = trainer(), folder / "run.ckpt"
    if path.exists():
        made.resume(path)
    made.run(steps - made.steps, checkpoint=path, checkpoint_every=5)


def train_recipe(folder: Path, name: str) -> None:
    code = cli.main(["train", name, "--root", str(folder), "--out", str(folder / "zoo")])
    if code:
        sys.exit(code)


# ------------------------------------------------------------------------------------------ kills


def has_checkpoint(folder: Path) -> bool:
    return (folder / "run.ckpt").exists() or any((folder / "runs").glob("*.safetensors"))


def in_child(
    work: Work, folder: Path, seconds: float | None = None, how: int = 0, late: bool = False
) -> tuple[int, str]:
    """Do ``work`` in another process: its exit code, below 0 for a signal, and last words.

    After ``seconds`` it gets the signal ``how``; where it is ``late``, after so many with a checkpoint.
    """
    with tempfile.TemporaryFile("w+") as words:
        child = os.fork()
        if not child:
            os.dup2(words.fileno(), 2)
            sys.stderr = words
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = 1
            try:
                work(folder)
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            except (ValueError, OSError) as error:  # what a student would see: its last line
                print(error, file=sys.stderr, flush=True)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        if seconds is not None:
            while late and not has_checkpoint(folder) and not os.waitid(os.P_PID, child, ENDED):
                time.sleep(0.001)
            time.sleep(seconds)
            os.kill(child, how)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        words.seek(0)
        return code, words.read()


def left(folder: Path) -> dict[str, str]:
    """All files under ``folder`` with the SHA-256 of their content; cards without the seconds that they took."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix == ".ckpt":  # whose header comes in any order
            tensors, notes = load_checkpoint(path)
            content = f"{fingerprint(tensors)} {notes}".encode()
        elif path.suffix == ".json":
            card = json.loads(content)
            card.pop("cpu_seconds")
            content = json.dumps(card).encode()
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def try_kills(name: str, work: Work, kills: int, draw: random.Random) -> Counter[str]:
    """What became of ``kills`` killed trainings; each goes on until it has ended, one in three is killed again."""
    count: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        began = time.monotonic()
        code, said = in_child(work, Path(place))
        if code:
            raise RuntimeError(f"{name} fails undisturbed: {said}")
        duration, undisturbed = time.monotonic() - began, left(Path(place))
    while count["kills"] < kills:
        with tempfile.TemporaryDirectory() as place:
            folder, again, before = Path(place), True, count["kills"]
            while again:
                how = signal.SIGTERM if draw.random() < 0.2 else signal.SIGKILL
                late = draw.random() < 2 / 3  # most of a tiny training is its beginning
                code, _ = in_child(work, folder, draw.uniform(0, duration / 3 if late else duration), how, late)
                killed = code in (-how, 128 + how)
                names = [path.name for path in folder.rglob("*")]
                count["kills"] += killed
                count["by SIGTERM"] += killed and how == signal.SIGTERM
                count["while writing"] += killed and any(name.endswith(".part") for name in names)
                count["with a checkpoint"] += killed and has_checkpoint(folder)
                again = killed and draw.random() < 1 / 3 and count["kills"] < kills
            if count["kills"] == before:
                continue  # it was over before
            code, said = in_child(work, folder)
            lines = said.strip().splitlines()
            if code == 0 and left(folder) == undisturbed:
                count["same"] += 1
            elif code and "Traceback" not in said and lines:
                count["reported"] += 1
                print(f"{name}: {lines[-1]}")
            else:
                count["different"] += 1
                print(f"{name}: {code} {said} {left(folder)} instead of {undisturbed}")
    return count


# ------------------------------------------------------------------------------------------ bits


def flip_bits(flips: int, draw: random.Random) -> dict[str, int]:
    """How many of ``flips`` flipped bits of a checkpoint's tensors, and of its header, are resumed without a word."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "run.ckpt")
        made = trainer()
        made.run(20, checkpoint=path)
        whole = path.read_bytes()
        header = 8 + int.from_bytes(whole[:8], "little")
        silent = {}
        for where, first, last in (("tensors", header, len(whole)), ("header and notes", 0, header)):
            silent[where] = 0
            for bit in (draw.randrange(8 * first, 8 * last) for _ in range(flips)):
                hurt = bytearray(whole)
                hurt[bit // 8] ^= 1 << bit % 8
                path.write_bytes(hurt)
                try:
                    made.resume(path)
                except ValueError as error:
                    assert "\n" not in str(error)
                else:
                    silent[where] += 1
    return silent


def main() -> int:
    top = argparse.ArgumentParser(prog="python -m bench.kills", description="Kill trainings, go on, and compare.")
    top.add_argument("--kills", type=int, default=100, metavar="N", help="in all (default: 100)")
    top.add_argument(
        "--flips", type=int, default=150, metavar="N", help="bits of tensors, and of headers (default: 150)"
    )
    top.add_argument("--seed", type=int, default=0, metavar="N")
    options = top.parse_args()
    torch.set_num_threads(1)
    recipes.find_processes()  # imports accelerate, once for all children
    draw = random.Random(options.seed)
    tiny = tiny_recipes()
    recipes.find = tiny.__getitem__  # type: ignore[assignment]
    recipes.train = partial(recipes.train, every=EVERY)
    works: dict[str, Work] = {name: partial(train_recipe, name=name) for name in tiny} | {"Trainer": train_pair}
    each = options.kills // (len(works) + 3)  # four shares for the Trainer
    shares = dict.fromkeys(tiny, each) | {"Trainer": options.kills - each * len(tiny)}
    total: Counter[str] = Counter()
    for name, work in works.items():
        total += (count := try_kills(name, work, shares[name], draw))
        print(f"{name:36}{dict(+count)}", flush=True)
    silent = flip_bits(options.flips, draw)
    print(f"{'all':36}{dict(total)}\nsilent of {options.flips} flipped bits each: {silent}")
    return int(bool(total["different"] or sum(silent.values())))


if __name__ == "__main__":
    sys.exit(main())
