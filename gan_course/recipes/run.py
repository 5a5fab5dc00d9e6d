"""Long trainings on one process or several: steps, moving averages, checkpoints, progress.

Each step's random numbers depend on the seed and the step alone. So a run that was killed goes on as if nothing had
happened, and several processes (``torchrun --nproc-per-node 2``) that share a batch do together what one would do.
"""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm

from gan_course.checkpoints import load_checkpoint, save_checkpoint

CHECKPOINT_EVERY = 100  # steps: a minute or so


def random_numbers(seed: int, step: int, purpose: int = 0) -> torch.Generator:
    """A generator that depends on these numbers and on nothing that happened before."""
    return torch.Generator().manual_seed(1_000_003 * (seed + 1_009 * purpose) + step)


def rate(step: int, steps: int, warmup: float = 0.03) -> float:
    """The share of the full learning rate: up in a straight line, level for a while, then down along a cosine."""
    done = (step + 0.5) / steps
    return min(done / warmup, 0.5 + 0.5 * math.cos(math.pi * max(0.0, (done - 0.3) / 0.7)))


@dataclass
class Part:
    """A network that is trained, with all that its training has to remember."""

    network: Any  # the bare module
    wrapped: Any  # what to call in a step: with several processes, it averages the gradients
    optimizer: torch.optim.Optimizer
    learning_rate: float
    average: Any = None
    decay: float = 0.0


class Run(ABC):
    """A training run: its parts, and the number of the step it has reached."""

    def __init__(self, seed: int, steps: int, accelerator: Accelerator | None = None):
        self.seed, self.steps, self.done, self.seconds = seed, steps, 0, 0.0
        self.accelerator = accelerator or Accelerator()
        self.parts: dict[str, Part] = {}

    @abstractmethod
    def learn(self) -> dict[str, Tensor]:
        """One step's gradients and updates. Returns the losses to show."""

    def add(
        self,
        name: str,
        make: Callable[[], nn.Module],
        learning_rate: float,
        decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
    ) -> Part:
        """Build a network whose first weights depend on the seed alone. With ``decay``, keep its moving average."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = make().to(self.accelerator.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half the time on a CPU
        matrices = [p for p in network.parameters() if p.ndim > 1]
        vectors = [p for p in network.parameters() if p.ndim <= 1]  # biases and scales: nothing to decay
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, learning_rate, betas, weight_decay=weight_decay, fused=True)
        average = copy.deepcopy(network).eval().requires_grad_(False) if decay else None
        wrapped = self.accelerator.prepare_model(network)
        self.parts[name] = Part(network, wrapped, optimizer, learning_rate, average, decay)
        return self.parts[name]

    def mine(self, batch: Tensor) -> Tensor:
        """This process's share of a batch that every process has drawn alike."""
        world = self.accelerator.num_processes
        if len(batch) % world:
            raise ValueError(f"{world} processes can't share a batch of {len(batch)}: start a number that divides it")
        return batch[self.accelerator.process_index :: world].to(self.accelerator.device)

    def update(self, part: Part, loss: Tensor, clip: float = 1.0) -> None:
        """Follow the gradient of ``loss`` once, at the rate of this step."""
        for group in part.optimizer.param_groups:  # a function of the step alone: a checkpoint need not hold it
            group["lr"] = part.learning_rate * rate(self.done, self.steps)
        part.optimizer.zero_grad()
        self.accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(part.network.parameters(), clip)
        part.optimizer.step()
        if part.average is not None:
            weight = 1 - min(part.decay, (1 + self.done) / (10 + self.done))
            pairs = zip(part.average.parameters(), part.network.parameters(), strict=True)
            for average, current in pairs:
                average.lerp_(current.detach(), weight)

    def step(self) -> dict[str, Tensor]:
        shown = self.learn()
        self.done += 1
        return {name: value.detach() for name, value in shown.items()}

    # ------------------------------------------------------------------------------------------ checkpoints

    def save(self, path: Path) -> None:
        state: dict[str, Tensor] = {}
        for name, part in self.parts.items():
            state |= {f"{name}/network/{key}": value for key, value in part.network.state_dict().items()}
            if part.average is not None:
                state |= {f"{name}/average/{key}": value for key, value in part.average.state_dict().items()}
            for index, values in part.optimizer.state_dict()["state"].items():
                state |= {f"{name}/optimizer/{index}/{key}": torch.as_tensor(v) for key, v in values.items()}
        notes = {"seed": self.seed, "steps": self.steps, "done": self.done, "seconds": self.seconds}
        save_checkpoint(path, state, notes)

    def resume(self, path: Path) -> None:
        """Go back to the state in ``path``. Raises ``ValueError`` where it is of a run with another seed or steps."""
        tensors, notes = load_checkpoint(path)
        found = notes.get("seed"), notes.get("steps")
        if found != (self.seed, self.steps):
            raise ValueError(
                f"{path} is of an interrupted run with seed {found[0]} and {found[1]} steps, not seed "
                f"{self.seed} and {self.steps} steps: finish that one first, or delete the file"
            )

        def under(prefix: str) -> dict[str, Tensor]:
            return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

        for name, part in self.parts.items():
            part.network.load_state_dict(under(f"{name}/network/"))
            if part.average is not None:
                part.average.load_state_dict(under(f"{name}/average/"))
            weights = [p for group in part.optimizer.param_groups for p in group["params"]]
            state = part.optimizer.state_dict()
            state["state"] = {}
            for key, value in under(f"{name}/optimizer/").items():
                index, what = key.split("/")
                if value.ndim:  # the fused Adam pairs numbers by their place in memory: it must be the weights' own
                    value = torch.empty_like(weights[int(index)]).copy_(value)
                state["state"].setdefault(int(index), {})[what] = value.detach()
            part.optimizer.load_state_dict(state)
        self.done, self.seconds = notes["done"], notes["seconds"]


def follow(run: Run, name: str, checkpoint: Path, every: int = CHECKPOINT_EVERY) -> None:
    """Train ``run`` to its end, from ``checkpoint`` where that exists; all its state goes there every few steps.

    The first process alone writes and shows how far it is. ``run.seconds`` counts processor time, all processes'.
    """
    first = run.accelerator.is_main_process
    if checkpoint.exists():
        run.resume(checkpoint)
    run.accelerator.wait_for_everyone()  # nobody may write before all have read
    before, start = run.seconds, time.process_time()
    world = run.accelerator.num_processes
    with tqdm(total=run.steps, initial=run.done, unit="step", desc=name, disable=not first, mininterval=1) as bar:
        while run.done < run.steps:
            shown = run.step()
            bar.update()
            if run.done % every == 0 or run.done == run.steps:
                bar.set_postfix_str(", ".join(f"{key} {value:.4f}" for key, value in shown.items()))
                run.seconds = before + (time.process_time() - start) * world
                if first:
                    run.save(checkpoint)
