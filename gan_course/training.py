"""The training loop: one discriminator step, one generator step, one step of the generator's moving average.

Read :meth:`Trainer.step` first; all the rest is what keeps a long run safe.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import data
from gan_course.checkpoints import load_checkpoint, save_checkpoint
from gan_course.live import LiveView
from gan_course.losses import LOSSES, check_logits, r1_penalty
from gan_course.naming import nearest

LOG_EVERY = 10  # steps between two entries of the log
COLUMNS = ("step", "d_loss", "g_loss", "real_logit", "fake_logit", "spread", "g_gradient")
HELD_OUT = 128  # held-out images whose logits are logged: enough for a mean, too few to cost time
EXPLODED = 1e4  # a loss beyond this never comes back
PARTS = ("generator", "discriminator", "average")  # what a checkpoint's tensors are named after


@dataclass(frozen=True)
class Settings:
    """All that shapes a run, apart from the networks and the data. Raises ``ValueError`` for impossible values."""

    loss: str = "non_saturating"  # strong gradient for the generator exactly where it is losing
    generator_lr: float = 2e-3  # small networks, small batches: ten times DCGAN's rate still converges, and sooner
    discriminator_lr: float = 2e-3  # equal rates; chapter 05 shows what unequal ones do
    decay_after: int = 0  # from this step on, both rates fall as 1 / √step; 0 keeps them (long runs gain from falling)
    beta1: float = 0.0  # no momentum: the opponent moves, so old gradients point the wrong way
    beta2: float = 0.99  # forgets within 100 steps, because gradients change their size as the game goes on
    batch_size: int = 64  # on two cores, many small steps beat few large ones
    discriminator_steps: int = 1  # per generator step
    r1_weight: float = 0.3  # flattens the discriminator around real pictures: a calmer teacher (chapters 02 and 05)
    r1_every: int = 8  # the penalty costs a second backward pass: pay it rarely, at a weight as many times larger
    average_decay: float = 0.998  # the moving average looks back about 1 / (1 - 0.998) = 500 steps at most,
    average_share: float = 1 / 9  # and over this share of the run so far while that is less

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"there is no loss {self.loss!r}: {nearest(self.loss, LOSSES)}")
        for name in ("generator_lr", "discriminator_lr"):
            if not (math.isfinite(value := getattr(self, name)) and value > 0):
                raise ValueError(f"{name} must be a positive number but is {value}: try 0.002")
        for name in ("batch_size", "discriminator_steps", "r1_every"):
            if not isinstance(value := getattr(self, name), int) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up but is {value}")
        if not 0 < self.average_share <= 1:
            raise ValueError(f"average_share must be more than 0 and at most 1 but is {self.average_share}: try 0.1")
        if not isinstance(self.decay_after, int) or self.decay_after < 0:
            raise ValueError(f"decay_after must be a whole number of steps, or 0 for never, but is {self.decay_after}")
        for name in ("beta1", "beta2", "average_decay"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 0 and less than 1 but is {value}")
        if not (math.isfinite(self.r1_weight) and self.r1_weight >= 0):
            raise ValueError(f"r1_weight must be 0 (off) or a positive number but is {self.r1_weight}")


#: Chapter 04's recipe for convolutional networks, each line chosen by ``gan-course ablation``.
CONVOLUTIONAL = Settings(
    generator_lr=3e-3,
    discriminator_lr=3e-3,
    decay_after=1000,
    batch_size=32,
    r1_weight=2.0,
    average_decay=0.999,
    average_share=0.05,
)


class TrainingDiverged(RuntimeError):
    """A loss became NaN, infinite or absurdly large: training can't recover from here."""


class Trainer:
    """Trains ``generator`` against ``discriminator`` on ``images [N, C, H, W]`` in ``[-1, 1]``, or points ``[N, 2]``.

    The generator maps noise ``[N, generator.latent_dim]`` to samples shaped like the images; the discriminator maps
    samples to logits. ``seed`` fixes the batches and the noise. With ``labels [N]`` (int64, one for each image) the
    pair is class-conditional: both are called with labels as their second argument. ``augment`` maps a batch to a
    batch and must be differentiable: the discriminator then sees nothing, real or generated, that has not been through
    it. ``held_out`` are images not trained on, for the log alone (in runs without labels). Raises ``ValueError`` with
    a remedy where the images, the labels, the networks and the settings don't fit together.

    ``log`` maps these to lists, one entry every ``LOG_EVERY`` steps; ``gan_course.diagnosis`` reads it:

    ``step``, ``d_loss``, ``g_loss``; ``real_logit``, ``fake_logit``: batch means; ``spread``: how much the generated
    samples of a batch differ from each other, real ones being 1; ``g_gradient``: the length of the gradient that the
    generator learned from; and, where there are ``held_out`` images, ``held_out_logit``: their mean.

    ``average`` is the moving average of the generator: use it to sample. ``figure`` is the last live figure of a run
    (:meth:`run`), for those who see no notebook.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        images: Tensor,
        settings: Settings | None = None,
        seed: int = 0,
        device: str = "cpu",
        *,
        labels: Tensor | None = None,
        augment: Callable[[Tensor], Tensor] | None = None,
        held_out: Tensor | None = None,
    ):
        self.settings = settings or Settings()
        self.generator, self.discriminator = generator.to(device), discriminator.to(device)
        self.images, self.labels, self.device = images, labels, device
        self.augment, self.held_out = augment, held_out
        self.latent_dim: int = getattr(generator, "latent_dim", 0)
        self._check_fit()
        self.images = images.to(device)
        self.labels = None if labels is None else labels.to(device)
        self.held_out = None if held_out is None else held_out[:HELD_OUT].to(device)
        self.loss = LOSSES[self.settings.loss]
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self._weights = list(zip(self.average.parameters(), self.generator.parameters(), strict=True))
        self._buffers = list(zip(self.average.buffers(), self.generator.buffers(), strict=True))
        self._trainable = [p for p in self.generator.parameters() if p.requires_grad]
        s = self.settings
        adam = partial(torch.optim.Adam, betas=(s.beta1, s.beta2), fused=True)
        self.generator_optimizer = adam(self.generator.parameters(), lr=s.generator_lr)
        self.discriminator_optimizer = adam(self.discriminator.parameters(), lr=s.discriminator_lr)
        self.random = torch.Generator().manual_seed(seed)
        self.steps = 0
        columns = COLUMNS if held_out is None else (*COLUMNS, "held_out_logit")
        self.log: dict[str, list[float]] = {name: [] for name in columns}
        self.figure: Any = None

    # ------------------------------------------------------------------------------------------ one step

    def step(self) -> dict[str, Tensor]:
        """One step of the game. Returns the two losses and the mean logits of this step, detached."""
        if self.settings.decay_after:
            self._slow_down()
        for _ in range(self.settings.discriminator_steps):
            record = self.discriminator_step()
        record["g_loss"] = self.generator_step()
        self.move_average()
        self.steps += 1
        return record

    def _slow_down(self) -> None:
        """Let both learning rates fall as 1 / √step, once ``decay_after`` steps are done."""
        s = self.settings
        factor = min(1.0, math.sqrt(s.decay_after / (1 + self.steps)))
        self.generator_optimizer.param_groups[0]["lr"] = factor * s.generator_lr
        self.discriminator_optimizer.param_groups[0]["lr"] = factor * s.discriminator_lr

    def discriminator_step(self) -> dict[str, Tensor]:
        """Teach the discriminator to tell a real batch from a generated one."""
        real, given = self.real_batch()
        with torch.no_grad():  # the generator is not to learn from this loss
            fake = self.generator(self.noise(), *given)
        real_logits, fake_logits = self.judge(real, *given), self.judge(fake, *given)
        loss = total = self.loss.discriminator(real_logits, fake_logits)
        if self.settings.r1_weight and self.steps % self.settings.r1_every == 0:
            weight = self.settings.r1_weight * self.settings.r1_every
            total = loss + weight * r1_penalty(lambda x: self.judge(x, *given), real)
        self.discriminator_optimizer.zero_grad()
        total.backward()
        self.discriminator_optimizer.step()
        self._seen = real, fake
        return {
            "d_loss": loss.detach(),
            "real_logit": real_logits.detach().mean(),
            "fake_logit": fake_logits.detach().mean(),
        }

    def generator_step(self) -> Tensor:
        """Teach the generator to raise the discriminator's logits of what it makes."""
        given: tuple[Tensor, ...] = ()
        relative, real_logits = self.loss.generator_sees_real, None
        if relative or self.labels is not None:
            real, given = self.real_batch()
            real_logits = self.judge(real, *given) if relative else None
        fake = self.generator(self.noise(), *given)
        loss = self.loss.generator(real_logits, self.judge(fake, *given))
        self.generator_optimizer.zero_grad()
        loss.backward(inputs=self._trainable)  # the discriminator's own gradients are not needed
        self.generator_optimizer.step()
        return loss.detach()

    def judge(self, images: Tensor, *given: Tensor) -> Tensor:
        """The discriminator's logits ``[N]`` of ``images``, augmented first where the run has an augmentation.

        ``given``: the labels ``[N]`` in a class-conditional run, else nothing.
        """
        return self.discriminator(self.augment(images) if self.augment else images, *given)

    @torch.no_grad()
    def move_average(self) -> None:
        """Move the average a little towards the generator's weights.

        While the run is young it looks back over a short past only, so that the first, random weights are soon
        forgotten.
        """
        young = 1 + self.steps
        decay = min(self.settings.average_decay, young / (young + 1 / self.settings.average_share))
        for average, weight in self._weights:
            average.lerp_(weight, 1 - decay)
        for kept, buffer in self._buffers:  # batch statistics are averages already
            kept.copy_(buffer)

    def real_batch(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """``[batch_size, ...]`` real samples at random, and what the networks get with them: the labels, if any."""
        rows = torch.randint(len(self.images), (self.settings.batch_size,), generator=self.random).to(self.device)
        return self.images[rows], () if self.labels is None else (self.labels[rows],)

    def noise(self, count: int | None = None) -> Tensor:
        """``[count, latent_dim]`` standard normal noise; ``count`` defaults to the batch size."""
        shape = (count or self.settings.batch_size, self.latent_dim)
        return torch.randn(shape, generator=self.random).to(self.device)

    # ------------------------------------------------------------------------------------------ a run

    def run(
        self,
        steps: int,
        draw: Callable[[], Any] | None = None,
        alt: str = "",
        watch: Callable[[], str | None] | None = None,
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 500,
        tensorboard: str | Path | None = None,
    ) -> dict[str, list[float]]:
        """Train for ``steps`` more steps and return the log.

        ``draw()`` makes the live figure and ``alt`` is its alternative text; ``watch()`` is called after every
        ``LOG_EVERY`` steps, to keep or measure what it likes: a text that it returns, such as "Fréchet 3.2", stands
        behind the losses. With ``checkpoint``, the whole state goes to that file every ``checkpoint_every`` steps and
        at the end. With ``tensorboard``, the log also goes to event files in that folder. A stop (either stop button,
        Ctrl-C) ends the run after the step under way and keeps everything learned. Raises :class:`TrainingDiverged`
        when a loss explodes.
        """
        first, last = self.steps, self.steps + steps
        writer, metric = _event_writer(tensorboard), ""
        with LiveView(steps, draw, alt) as view:
            try:
                while self.steps < last:
                    text = None
                    record = self.step()
                    logging = self.steps % LOG_EVERY == 0 or self.steps == last
                    saving = checkpoint is not None and (self.steps % checkpoint_every == 0 or self.steps == last)
                    if logging or saving:  # a diverged state must never replace a good checkpoint
                        self._check_losses(record, checkpoint)
                    if logging:
                        entry = self._record(record, writer)
                        found = watch() if watch is not None else None
                        metric = f" {found}" if isinstance(found, str) and found else metric
                        text = f"D {entry['d_loss']:.2f} G {entry['g_loss']:.2f}{metric}"
                    if checkpoint is not None and saving:
                        self.save(checkpoint)
                    view.update(self.steps - first, text)
            except KeyboardInterrupt:
                print(
                    f"Stopped by hand after step {self.steps}. Everything learned so far is kept: run again to go on."
                )
                if checkpoint is not None:
                    self.save(checkpoint)
            finally:
                if writer is not None:
                    writer.close()
        self.figure = view.figure
        return self.log

    def _check_losses(self, record: dict[str, Tensor], checkpoint: str | Path | None) -> None:
        """Raise :class:`TrainingDiverged` if a loss has exploded."""
        for name, player in (("d_loss", "discriminator"), ("g_loss", "generator")):
            loss = record[name].item()
            if not abs(loss) < EXPLODED:  # NaN fails every comparison
                back = f" trainer.resume({str(checkpoint)!r}) goes back to the last checkpoint." if checkpoint else ""
                s = self.settings
                raise TrainingDiverged(
                    f"training diverged: at step {self.steps} the {player}'s loss is {loss:.3g}. Divide the learning "
                    f"rates (now {s.generator_lr:g} and {s.discriminator_lr:g}) by ten, or raise r1_weight (now "
                    f"{s.r1_weight:g}), build the networks anew and run again.{back}"
                )

    def _record(self, record: dict[str, Tensor], writer: Any) -> dict[str, float]:
        """Add ``record`` to the log."""
        record |= self._look_closer()
        entry = {"step": self.steps, **{name: value.item() for name, value in record.items()}}
        for name, values in self.log.items():
            values.append(entry[name])
            if writer is not None and name != "step":
                writer.add_scalar(name, entry[name], self.steps)
        return entry

    @torch.no_grad()
    def _look_closer(self) -> dict[str, Tensor]:
        """What the log holds beside the losses and logits of the last step: see the class."""
        real, fake = self._seen
        gradients = [p.grad for p in self._trainable if p.grad is not None]
        more = {
            "spread": fake.std(dim=0).mean() / real.std(dim=0).mean(),
            "g_gradient": torch.stack([gradient.norm() for gradient in gradients]).norm(),
        }
        if self.held_out is not None:
            more["held_out_logit"] = self.judge(self.held_out).mean()
        return more

    @torch.no_grad()
    def sample(self, noise: int | Tensor = 64, labels: Tensor | None = None) -> Tensor:
        """Samples of the averaged generator for ``noise [N, latent_dim]``, or for that many fresh noise vectors.

        ``labels [N]``: the class asked for, in a class-conditional run. Raises ``ValueError`` where labels are missing
        or not asked for.
        """
        if isinstance(noise, int):
            noise = torch.randn(noise, self.latent_dim, device=self.device)
        if (labels is None) != (self.labels is None):
            raise ValueError(
                "this generator makes the class it is asked for: pass labels, one for each sample"
                if labels is None
                else "this generator was trained without labels and can't be asked for a class: leave labels out"
            )
        given = () if labels is None else (torch.as_tensor(labels).to(self.device),)
        return self.average(noise.to(self.device), *given)

    # ------------------------------------------------------------------------------------------ checkpoints

    def save(self, path: str | Path) -> None:
        """Write the whole state of the run to ``path`` (safetensors). Raises ``OSError`` where that is impossible."""
        save_checkpoint(path, self._state(), {"steps": self.steps, "settings": asdict(self.settings)})

    def resume(self, path: str | Path) -> None:
        """Go back to the state in ``path``: from there the run continues bit for bit as it would have (on a CPU).

        Raises ``FileNotFoundError`` for a missing file and ``ValueError`` for an unreadable one or one that belongs to
        other networks; the trainer is then unchanged.
        """
        tensors, notes = load_checkpoint(path)
        wanted = {name: list(value.shape) for name, value in self._networks().items()}
        found = {name: list(value.shape) for name, value in tensors.items() if name.split(".")[0] in PARTS}
        for name in wanted | found:
            if found.get(name) != wanted.get(name):
                there, here = (f"has shape {s[name]}" if name in s else "is absent" for s in (found, wanted))
                raise ValueError(
                    f"the checkpoint {path} is of another network: {name} {there} there and {here} here; build the "
                    "networks that it was made with"
                )
        for name, value in self._networks().items():
            with torch.no_grad():
                value.copy_(tensors[name])
        for which, optimizer in self._optimizers().items():
            state = optimizer.state_dict()
            prefix = f"{which}_optimizer."
            state["state"] = {}
            for name, value in tensors.items():
                if name.startswith(prefix):
                    index, key = name.removeprefix(prefix).split(".")
                    like = optimizer.param_groups[0]["params"][int(index)]
                    if value.shape == like.shape:  # in the same order in memory: the fused Adam relies on that
                        value = torch.empty_like(like).copy_(value)
                    state["state"].setdefault(int(index), {})[key] = value
            optimizer.load_state_dict(state)
        self.random.set_state(tensors["random"])
        torch.set_rng_state(tensors["torch_random"])  # what dropout draws from
        self.log = {name: tensors[f"log.{name}"].tolist() for name in self.log}
        self.steps = notes["steps"]

    def _networks(self) -> dict[str, Tensor]:
        parts = zip(PARTS, (self.generator, self.discriminator, self.average), strict=True)
        return {f"{part}.{name}": value for part, network in parts for name, value in network.state_dict().items()}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"generator": self.generator_optimizer, "discriminator": self.discriminator_optimizer}

    def _state(self) -> dict[str, Tensor]:
        state = dict(self._networks())
        for which, optimizer in self._optimizers().items():
            for index, values in optimizer.state_dict()["state"].items():
                state |= {f"{which}_optimizer.{index}.{key}": torch.as_tensor(value) for key, value in values.items()}
        state |= {f"log.{name}": torch.tensor(values, dtype=torch.float64) for name, values in self.log.items()}
        return state | {"random": self.random.get_state(), "torch_random": torch.get_rng_state()}

    # ------------------------------------------------------------------------------------------ checks

    def _check_fit(self) -> None:
        """Try one tiny batch, so that a mismatch is explained here and not deep inside a matrix product."""
        data.check_images(self.images)
        if not self.latent_dim:
            kind = type(self.generator).__name__
            raise ValueError(
                f"the generator ({kind}) has no latent_dim: set it to how many noise numbers a sample takes"
            )
        if self.settings.batch_size > len(self.images):
            raise ValueError(
                f"batch_size is {self.settings.batch_size} but the data set holds {len(self.images)} pictures: choose "
                "a smaller batch or more pictures"
            )
        self._check_labels()
        shape = list(self.images.shape[1:])
        remedy = f"set its image_shape to {tuple(shape)}"
        given = () if self.labels is None else (self.labels[:2].to(self.device),)
        networks = copy.deepcopy((self.generator, self.discriminator))  # a trial must leave no trace in batch norms
        try:
            made = list(networks[0](torch.zeros(2, self.latent_dim, device=self.device), *given).shape[1:])
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                f"the generator can't take noise of shape [2, {self.latent_dim}], as its latent_dim says: correct the "
                f"latent_dim or its first layer ({_first_line(error)})"
            ) from error
        if made != shape:
            raise ValueError(f"the generator makes samples of shape {made} but the data set's have {shape}: {remedy}")
        try:
            logits = networks[1](self.images[:2].to(self.device), *given)
        except (RuntimeError, TypeError) as error:
            reason = _first_line(error)
            raise ValueError(f"the discriminator can't take samples of shape {shape}: {remedy} ({reason})") from error
        if logits.numel() != len(self.images[:2]):
            raise ValueError(
                f"the discriminator must return one logit a sample but returns shape {list(logits.shape)} for "
                f"{len(self.images[:2])} samples: end it in one output"
            )
        check_logits(logits)

    def _check_labels(self) -> None:
        if self.labels is None:
            return
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must be int64 of shape [{len(self.images)}], one for each image, but are {self.labels.dtype} "
                f"of shape {list(self.labels.shape)}: pass dataset.labels"
            )
        if self.held_out is not None:
            raise ValueError("held_out images are for runs without labels: leave one of the two out")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _event_writer(folder: str | Path | None) -> Any:
    if folder is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "logging for TensorBoard needs the package tensorboard: pip install tensorboard, or leave tensorboard=None"
        ) from error
    try:
        return SummaryWriter(str(folder))
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"can't write a log to {folder} ({reason}): choose a folder that you may write to") from error
