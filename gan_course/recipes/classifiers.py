"""How the networks in the zoo were trained: one recipe each, which ``gan-course train NAME`` follows."""

from __future__ import annotations

import difflib
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from gan_course import data, metrics, zoo
from gan_course.checkpoints import load_checkpoint, save_checkpoint
from gan_course.classifiers import Classifier
from gan_course.data import Dataset

BATCH = 64
CHECKPOINT_EVERY = 200  # steps: a few seconds
Augmentation = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Recipe:
    """A classifier of ten kinds of 28x28 grey pictures: what to train it on, and how.

    Steps, learning rate and augmentation were chosen on a quarter of MNIST's training part, kept aside for that. The
    pictures held out are looked at once, when training is over.
    """

    what: str
    load: Callable[[], tuple[Dataset, Dataset]]  # pictures to train on, pictures held out
    source: str  # of the pictures, in words
    steps: int
    augment: Augmentation | None = None
    learning_rate: float = 3e-3
    weight_decay: float = 0.01


def warp(images: Tensor, random: torch.Generator) -> Tensor:
    """``images [N, C, H, W]``, each turned, stretched, slanted, shifted and smoothly bent a little, as by many hands.

    Up to 15 degrees, 12 %, a slant of 0.2, 2 pixels; the bend moves points of a coarse grid by up to 1.5 pixels.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(len(images), *shape, generator=random) * 2 - 1

    turn, slant = math.radians(15) * uniform(), 0.2 * uniform()
    wide, high = 1 + 0.12 * uniform(), 1 + 0.12 * uniform()
    shift = 2 * uniform(2)  # in pixels
    side = images.shape[-1]
    pixel = 2 / side  # in the coordinates of a sampling grid, which go from -1 to 1
    cos, sin = turn.cos(), turn.sin()
    rows = [cos * wide, slant - sin * high, pixel * shift[:, 0], sin * wide, cos * high, pixel * shift[:, 1]]
    grid = F.affine_grid(torch.stack(rows, 1).reshape(-1, 2, 3), list(images.shape), align_corners=False)
    bend = F.interpolate(1.5 * pixel * uniform(2, 5, 5), size=images.shape[-2:], mode="bicubic", align_corners=True)
    return F.grid_sample(images, grid + bend.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def _glyphs() -> tuple[Dataset, Dataset]:
    return data.load("glyphs", count=20_000, seed=1001), data.load("glyphs", count=10_000, seed=2002)


def _mnist() -> tuple[Dataset, Dataset]:
    return data.load("mnist", split="train"), data.load("mnist", split="test")


RECIPES = {
    "glyphs_classifier": Recipe(
        what="A classifier of rendered digits; chapter 06 measures in its features.",
        load=_glyphs,
        source="glyphs, the course's own rendered digits",
        steps=2000,
    ),
    "mnist_classifier": Recipe(
        what="A classifier of handwritten digits; chapter 06 measures in its features.",
        load=_mnist,
        source="MNIST (Y. LeCun and C. Cortes, CC BY-SA 3.0)",
        steps=5000,
        augment=warp,
    ),
}


#: Recipes in :mod:`gan_course.recipes.long`, in the order in which one needs the other.
LONG = ("attributes_classifier", "autoencoder", "autoencoder_without_discriminator", "text_to_image", "student")


def schedule(step: int, steps: int) -> float:
    """The share of the full rate at ``step`` of ``steps``: up in a straight line for a tenth, then down to nothing."""
    return min((step + 1) / (0.1 * steps), (steps - step) / (0.9 * steps), 1.0)


class Run:
    """A recipe being followed: the network and all else that the next step depends on."""

    def __init__(self, recipe: Recipe, train: Dataset, seed: int, steps: int):
        self.recipe, self.seed, self.steps = recipe, seed, steps
        self.images, self.labels = train.images, torch.as_tensor(train.labels)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = Classifier(image_shape=tuple(train.images.shape[1:]))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True
        )
        self.random = torch.Generator().manual_seed(seed)
        self.done, self.seconds = 0, 0.0

    def step(self) -> Tensor:
        """One step of gradient descent on one random batch. Returns its loss."""
        for group in self.optimizer.param_groups:  # a function of the step alone: a checkpoint need not hold it
            group["lr"] = self.recipe.learning_rate * schedule(self.done, self.steps)
        rows = torch.randint(len(self.images), (BATCH,), generator=self.random)
        images = self.images[rows]
        if self.recipe.augment is not None:
            images = self.recipe.augment(images, self.random)
        loss = F.cross_entropy(self.network(images), self.labels[rows])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.done += 1
        return loss.detach()

    def save(self, path: Path) -> None:
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in values.items()}
        state["random"] = self.random.get_state()
        notes = {"seed": self.seed, "steps": self.steps, "done": self.done, "seconds": self.seconds}
        save_checkpoint(path, state, notes)

    def resume(self, path: Path) -> None:
        """Go back to the state in ``path``: from there the run goes on bit for bit as it would have.

        Raises ``ValueError`` where it is of a run with another seed or other steps.
        """
        tensors, notes = load_checkpoint(path)
        found = notes.get("seed"), notes.get("steps")
        if found != (self.seed, self.steps):
            raise ValueError(
                f"{path} is of an interrupted run with seed {found[0]} and {found[1]} steps, not seed "
                f"{self.seed} and {self.steps} steps: finish that one first, or delete the file"
            )
        prefix = "network."
        self.network.load_state_dict({n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)})
        state = self.optimizer.state_dict()
        state["state"] = {}
        weights = list(self.network.parameters())
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                if value.ndim:  # the fused Adam pairs numbers by their place in memory, which must be the weights' own
                    value = torch.empty_like(weights[int(index)]).copy_(value)
                state["state"].setdefault(int(index), {})[key] = value.detach()
        self.optimizer.load_state_dict(state)
        self.random.set_state(tensors["random"])
        self.done, self.seconds = notes["done"], notes["seconds"]


def train(
    name: str, folder: Path, checkpoint: Path, seed: int = 0, steps: int | None = None, every: int = CHECKPOINT_EVERY
) -> dict[str, Any]:
    """Train the network ``name``, write its weights and card into ``folder`` and return the card.

    Every ``every`` steps all of the run's state goes to the file ``checkpoint``. Where that exists, from a run that was
    killed, training goes on from there; it is removed in the end. ``steps`` defaults to the recipe's. Raises
    ``ValueError`` for an unknown name, steps under 1 and a checkpoint of another run, ``OSError`` where something can't
    be written.
    """
    if steps is not None and steps < 1:
        raise ValueError(f"can't train for {steps} steps: take at least 1, or leave the number to the recipe")
    if name in LONG:
        from gan_course.recipes import long as long_recipes  # needs diffusers and accelerate

        return long_recipes.train(name, folder, checkpoint, seed, steps)
    recipe = _find(name)
    train_set, held_out = recipe.load()
    run = Run(recipe, train_set, seed, recipe.steps if steps is None else steps)
    if checkpoint.exists():
        run.resume(checkpoint)
    before = run.seconds - time.process_time()
    with tqdm(total=run.steps, initial=run.done, unit="step", desc=name) as bar:
        while run.done < run.steps:
            loss = run.step()
            bar.update()
            if run.done % every == 0:
                bar.set_postfix_str(f"loss {loss:.3f}")
                run.seconds = before + time.process_time()
                run.save(checkpoint)
    run.seconds = before + time.process_time()
    card = zoo.store(name, run.network, _describe(name, run, held_out), folder)
    checkpoint.unlink(missing_ok=True)
    return card


def _find(name: str) -> Recipe:
    if name not in RECIPES:
        near = difflib.get_close_matches(name, [*RECIPES, *LONG], n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"there is no recipe {name!r}: {hint}Known: {', '.join([*RECIPES, *LONG])}")
    return RECIPES[name]


def _describe(name: str, run: Run, held_out: Dataset) -> dict[str, Any]:
    """The card, all but what the file of weights itself says."""
    network = run.network.eval()
    accuracy = metrics.class_agreement(held_out.images, torch.as_tensor(held_out.labels), network)
    low, high = metrics.share_interval(accuracy, len(held_out))
    short = "" if run.steps == run.recipe.steps else f" --steps {run.steps}"
    return {
        "what": run.recipe.what,
        "network": {"class": "Classifier", "arguments": {"classes": 10, "image_shape": list(network.image_shape)}},
        "recipe": f"gan-course train {name} --seed {run.seed}{short}",
        "data": f"{run.recipe.source}: {len(run.images):,} pictures to train on, {len(held_out):,} others held out",
        "seed": run.seed,
        "steps": run.steps,
        "cpu_seconds": round(run.seconds),
        "hardware": f"{torch.get_num_threads()} thread(s) of a CPU ({platform.machine()}), PyTorch {torch.__version__}",
        "metrics": {
            "held_out_accuracy": round(accuracy, 4),
            "held_out_accuracy_95_interval": [round(low, 4), round(high, 4)],
        },
        "licence": "Apache-2.0",
    }
