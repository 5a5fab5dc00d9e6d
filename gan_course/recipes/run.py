"""What all trainings of the zoo have in common: steps, moving averages, checkpoints, on one process or several.

A recipe is a subclass of :class:`Run` that says what one step does and what to write in the end. Each step depends on
the seed and on what the checkpoint holds, and on nothing else. So a run that was killed goes on as if nothing had
happened, and several processes (``torchrun --nproc-per-node 2``) that share a batch do together what one would do.
"""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from gan_course import checkpoints
from gan_course.checkpoints import under
from gan_course.networks import channels_last

CHECKPOINT_EVERY = 100  # steps: from some seconds to some minutes
UNSEEN = 999_001  # the seed of pictures that no run has seen

# ------------------------------------------------------------------------------------------ functions of the step


def random_numbers(seed: int, step: int, purpose: int = 0) -> torch.Generator:
    """A generator that depends on these numbers and on nothing that happened before."""
    return torch.Generator().manual_seed(1_000_003 * (seed + 1_009 * purpose) + step)


def spread_evenly(count: int, random: torch.Generator) -> Tensor:
    """``count`` numbers in [0, 1), in random order, one in each of as many equal parts: ``[count]``.

    As times they have the same mean loss as independent ones, with less chance in it.
    """
    return (torch.randperm(count, generator=random) + torch.rand(count, generator=random)) / count


def warmup_then_linear(step: int, steps: int) -> float:
    """The share of the full rate at ``step`` of ``steps``: up in a straight line for a tenth, then down to nothing."""
    return min((step + 1) / (0.1 * steps), (steps - step) / (0.9 * steps), 1.0)


def warmup_then_cosine(step: int, steps: int, warmup: float = 0.03) -> float:
    """The share of the full rate: up in a straight line, level for a while, then down along a cosine."""
    done = (step + 0.5) / steps
    return min(done / warmup, 0.5 + 0.5 * math.cos(math.pi * max(0.0, (done - 0.3) / 0.7)))


# ------------------------------------------------------------------------------------------ processes


class OneProcess:
    """The part of accelerate's ``Accelerator`` that a run needs, for one process on the CPU without that library."""

    device = torch.device("cpu")
    num_processes, process_index, is_main_process = 1, 0, True

    def prepare_model(self, network: nn.Module) -> nn.Module:
        return network

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def reduce(self, tensor: Tensor, reduction: str) -> Tensor:
        return tensor

    def wait_for_everyone(self) -> None:
        pass


def find_processes() -> Any:
    """An ``Accelerator``, which knows of other processes and of a GPU; without accelerate :class:`OneProcess`."""
    try:
        from accelerate import Accelerator
    except ImportError:
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:  # torchrun has started several: they must know of each other
            raise
        return OneProcess()
    return Accelerator(cpu=not torch.cuda.is_available())  # Apple's GPU calculates differently


# ------------------------------------------------------------------------------------------ a run


@dataclass
class Part:
    """A network that is trained, with all that its training has to remember."""

    network: Any  # the bare module
    wrapped: Any  # what to call in a step: with several processes, it averages the gradients
    optimizer: torch.optim.Optimizer
    learning_rate: float
    average: Any = None
    decay: float = 0.0

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"network": self.network} | ({} if self.average is None else {"average": self.average})

    def finished(self) -> Any:
        """What ships: the average, if there is one, on the CPU and in the layout that safetensors can hold."""
        network = self.network if self.average is None else self.average
        return network.eval().to("cpu", memory_format=torch.contiguous_format)


class Run(ABC):
    """A training run: its parts, and the number of the step it has reached. ``settings``: a dataclass of numbers."""

    name: ClassVar[str]  # of the recipe: ``gan-course train NAME``
    steps: int  # as the class says, unless the run is told another number
    settings: Any  # likewise
    schedule: Callable[[int, int], float] = staticmethod(warmup_then_cosine)

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: Any = None):
        self.seed, self.steps, self.done, self.seconds = seed, steps, 0, 0.0
        self.settings = type(self).settings if settings is None else settings
        self.accelerator = find_processes() if accelerator is None else accelerator
        self.parts: dict[str, Part] = {}
        self.results: dict[str, Tensor] = {}  # what a recipe finds out step by step, beside the weights it trains
        self.random: torch.Generator | None = None  # for a recipe with one stream of chance from beginning to end
        self.given: dict[str, str] = {}  # what is finished and its steps depend on: names and fingerprints

    @classmethod
    def start(cls, seed: int, steps: int, accelerator: Any, folder: Path) -> Run:
        """The run in its beginning, with what it needs of the networks that are in ``folder`` already."""
        return cls(seed, steps, accelerator)

    @abstractmethod
    def learn(self) -> dict[str, Tensor]:
        """One step's gradients and updates. Returns the losses to show."""

    @abstractmethod
    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        """Measure what was made and write it into ``folder``, with a card that holds ``facts``. Returns the card."""

    def add(
        self,
        name: str,
        make: Callable[[], nn.Module],
        learning_rate: float,
        decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
        vector_decay: float = 0.0,
    ) -> Part:
        """Build a network whose first weights depend on the seed alone. With ``decay``, keep its moving average.

        ``vector_decay`` is the weight decay of biases and scales.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = make().to(self.accelerator.device)
        channels_last(network)
        matrices = [p for p in network.parameters() if p.ndim > 1]
        vectors = [p for p in network.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": vector_decay}]
        optimizer = torch.optim.AdamW(groups, learning_rate, betas, weight_decay=weight_decay, fused=True)
        average = copy.deepcopy(network).eval().requires_grad_(False) if decay else None
        wrapped = self.accelerator.prepare_model(network)
        self.parts[name] = Part(network, wrapped, optimizer, learning_rate, average, decay)
        return self.parts[name]

    def depend_on(self, **given: nn.Module | Tensor) -> None:
        """Say which finished networks and numbers the steps depend on: a checkpoint of a run on others is refused."""
        for name, value in given.items():
            tensors = {"": value} if isinstance(value, Tensor) else value.state_dict()
            self.given[name] = checkpoints.fingerprint(tensors)

    def shard(self, batch: Tensor) -> Tensor:
        """This process's share of a batch that every process has drawn alike."""
        world = self.accelerator.num_processes
        if len(batch) % world:
            raise ValueError(f"{world} processes can't share a batch of {len(batch)}: start a number that divides it")
        return batch[self.accelerator.process_index :: world].to(self.accelerator.device)

    def update(self, part: Part, loss: Tensor, clip: float | None = 1.0) -> None:
        """Follow the gradient of ``loss`` once, at the rate of this step. ``clip``: the gradient's greatest length."""
        for group in part.optimizer.param_groups:  # a function of the step alone: a checkpoint need not hold it
            group["lr"] = part.learning_rate * self.schedule(self.done, self.steps)
        part.optimizer.zero_grad()
        self.accelerator.backward(loss)
        if clip is not None:
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
        state = self._weights()
        for name, part in self.parts.items():
            moments = checkpoints.optimizer_tensors(part.optimizer, part.network)
            state |= {f"{name}/optimizer/{key}": value for key, value in moments.items()}
        updated = [name for name, part in self.parts.items() if part.optimizer.state]
        notes = {"run": self._origin(), "done": self.done, "seconds": self.seconds, "updated": updated}
        checkpoints.save_checkpoint(path, state, notes)

    def resume(self, path: Path) -> None:
        """Go back to the state in ``path``: from there the run goes on bit for bit as it would have.

        Raises ``ValueError`` where the file is not of this run or not whole; the run then stays as it is.
        """
        tensors, notes = checkpoints.load_checkpoint(path)
        try:
            self._check(tensors, notes)
        except ValueError as error:
            raise ValueError(
                f"can't go on from {path}: {error}; finish the run that it is of, or move it away"
            ) from error
        for name, part in self.parts.items():
            for kind, network in part.networks.items():
                network.load_state_dict(under(f"{name}/{kind}/", tensors))
            checkpoints.load_optimizer(part.optimizer, under(f"{name}/optimizer/", tensors), part.network)
        for name, found in self.results.items():
            found.copy_(tensors[f"results/{name}"])
        if self.random is not None:
            self.random.set_state(tensors["random"])
        self.done, self.seconds = notes["done"], notes["seconds"]

    def _weights(self) -> dict[str, Tensor]:
        """All that a checkpoint holds but the optimisers' moments."""
        found = {} if self.random is None else {"random": self.random.get_state()}
        found |= {f"results/{name}": value for name, value in self.results.items()}
        for name, part in self.parts.items():
            for kind, network in part.networks.items():
                found |= {f"{name}/{kind}/{key}": value for key, value in network.state_dict().items()}
        return found

    def _origin(self) -> dict[str, Any]:
        """What two runs must share for one to go on from the other, as JSON gives it back."""
        settings = json.loads(json.dumps(asdict(self.settings)))
        return {"recipe": self.name, "seed": self.seed, "steps": self.steps, **self.given, **settings}

    def _check(self, tensors: dict[str, Tensor], notes: Any) -> None:
        """Raise ``ValueError`` unless a checkpoint of ``tensors`` and ``notes`` is one of this run. Changes nothing."""
        if not isinstance(notes, dict):
            raise ValueError(f"its notes are no table of names and values but {notes!r}")
        checkpoints.check_settings(notes.get("run"), self._origin())
        checkpoints.check_count(notes.get("done"), "done")
        if notes["done"] > self.steps:
            raise ValueError(f"it says that {notes['done']} of {self.steps} steps are done")
        seconds = notes.get("seconds")
        if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise ValueError(f"it says that its steps took {seconds} seconds")
        moments = {name: under(f"{name}/optimizer/", tensors) for name in self.parts}
        ours = tuple(f"{name}/optimizer/" for name in self.parts)
        weights = {key: value for key, value in tensors.items() if not key.startswith(ours)}
        checkpoints.check_same_form(weights, self._weights())
        if self.random is not None:
            checkpoints.check_random_state(tensors["random"], "random")
        if (found := [name for name in self.parts if moments[name]]) != (updated := notes.get("updated")):
            raise ValueError(f"it holds the memory of the optimisers of {found} instead of {updated}")
        for name, part in self.parts.items():
            checkpoints.check_optimizer_tensors(moments[name], part.network)


# ------------------------------------------------------------------------------------------ from beginning to end


class Stopped(KeyboardInterrupt):
    """Somebody has asked a run to stop, by the signal of this ``number``; all it has done is in its checkpoint."""

    def __init__(self, said: str, number: int):
        super().__init__(said)
        self.number = number


@contextmanager
def requests_to_stop(listen: bool = True) -> Iterator[list[int]]:
    """Within the block, the first signal that asks to stop is but noted, in the list; a second one acts as ever.

    Without ``listen``, as in threads, which hear none, the list stays empty.
    """
    heard: list[int] = []
    before: dict[int, Any] = {}

    def hear(number: int, frame: Any) -> None:
        heard.append(number)
        restore()

    def restore() -> None:
        while before:
            signal.signal(*before.popitem())

    if listen and threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows lacks the last
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):  # nohup ignores it
                before[number] = signal.signal(number, hear)
    try:
        yield heard
    finally:
        restore()


def follow(run: Run, checkpoint: Path, every: int = CHECKPOINT_EVERY) -> None:
    """Train ``run`` to its end, from ``checkpoint`` where that exists; all its state goes there every few steps.

    The first process alone writes and shows how far it is. ``run.seconds`` counts processor time, all processes'.
    Raises :class:`Stopped` after Ctrl-C, SIGTERM or SIGHUP, once the step under way is over and saved. Several
    processes can't be stopped after the same step: there, the last regular checkpoint has to do.
    """
    first, world = run.accelerator.is_main_process, run.accelerator.num_processes
    if checkpoint.exists():
        run.resume(checkpoint)
    run.accelerator.wait_for_everyone()  # nobody may write before all have read
    before, start = run.seconds, time.process_time()
    bar = tqdm(total=run.steps, initial=run.done, unit="step", desc=run.name, disable=not first, mininterval=1)
    with bar, requests_to_stop(listen=world == 1) as heard:
        stop = False
        while run.done < run.steps and not stop:
            shown = run.step()
            bar.update()
            stop = bool(heard)
            if run.done % every == 0 or run.done == run.steps or stop:
                bar.set_postfix_str(", ".join(f"{key} {value:.4f}" for key, value in shown.items()))
                run.seconds = before + (time.process_time() - start) * world
                if first:
                    run.save(checkpoint)
    if heard:
        raise Stopped(
            f"Stopped after step {run.done} of {run.steps}, which {checkpoint} holds: the same command goes on from "
            "there.",
            heard[0],
        )
