"""The training loop: one discriminator step, one generator step, one step of the generator's moving average.

Read :meth:`Trainer.step` first; all the rest is what keeps a long run safe.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import checkpoints, networks
from gan_course.arguments import Count, CountOrNone, Device, Floats, Labels, Seed, guard, refuse
from gan_course.checkpoints import under
from gan_course.files import only_writer
from gan_course.live import LiveView, event_files
from gan_course.losses import LOSSES, r1_penalty
from gan_course.settings import CONVOLUTIONAL as CONVOLUTIONAL  # here, too, for those who train by it
from gan_course.settings import Settings, check_fit, has_bfloat16

LOG_EVERY = 10  # steps between two entries of the log
COLUMNS = ("step", "d_loss", "g_loss", "real_logit", "fake_logit", "spread", "g_gradient")
HELD_OUT_IMAGES = 128  # held-out images whose logits are logged: enough for a mean, too few to cost time
COMPARED_IMAGES = 64  # spread over the data set; whether they are the same is looked at before a run is resumed
SETTLING_BATCHES, SETTLING_SAMPLES = 4, 500  # by which the average's batch norms are measured
EXPLODED = 1e4  # a loss beyond this never comes back
#: What a checkpoint holds beside the networks.
BESIDE = ("generator_optimizer", "discriminator_optimizer", "log", "random", "torch_random")


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
    generator learned from; and, where there are ``held_out`` images, ``held_out_logit``: their mean. All three logits
    are read off in the discriminator's last turn, before it learns from it, so they can be compared.

    ``average`` is the moving average of the generator: use it to sample. Its batch norms know what its own layers give
    (:func:`gan_course.networks.measure_batch_norms`): the generator's know weights that have moved on since.
    ``generator_weights``: those that learn.
    ``last_batch``: the real and the generated samples of the discriminator's last step. ``figure`` is the last live
    figure of a run (:meth:`run`), for those who see no notebook.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        images: Floats,
        settings: Settings | None = None,
        seed: Seed = 0,
        device: Device = "cpu",
        *,
        labels: Labels | None = None,
        augment: Callable[[Tensor], Tensor] | None = None,
        held_out: Floats | None = None,
    ):
        self.settings = settings or Settings()
        self.generator, self.discriminator = generator.to(device), discriminator.to(device)
        check_fit(generator, discriminator, images, self.settings, device, labels, held_out)
        self.images, self.device = images.to(device), device
        self.labels = None if labels is None else labels.to(device)
        self.held_out = None if held_out is None else held_out[:HELD_OUT_IMAGES].to(device)
        self.augment = augment
        self.latent_dim: int = generator.latent_dim  # type: ignore[assignment]  # check_fit has seen that it is there
        self.loss = LOSSES[self.settings.loss]
        self._average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self._settled = False  # whether the average's batch norms know what its own layers give
        self._weights = list(zip(self._average.parameters(), self.generator.parameters(), strict=True))
        self._buffers = list(zip(self._average.buffers(), self.generator.buffers(), strict=True))
        self._in_16_bits = self.settings.bfloat16 and has_bfloat16(device)
        self.generator_weights = [p for p in self.generator.parameters() if p.requires_grad]
        s = self.settings
        adam = partial(torch.optim.Adam, betas=(s.beta1, s.beta2), fused=True)
        self.generator_optimizer = adam(self.generator.parameters(), lr=s.generator_lr)
        self.discriminator_optimizer = adam(self.discriminator.parameters(), lr=s.discriminator_lr)
        self.random = torch.Generator().manual_seed(seed)
        self.steps = 0
        self._logging = True  # whether the step under way goes to the log; :meth:`run` knows
        columns = COLUMNS if held_out is None else (*COLUMNS, "held_out_logit")
        self.log: dict[str, list[float]] = {name: [] for name in columns}
        self.figure: Any = None

    # ------------------------------------------------------------------------------------------ one step

    def step(self) -> dict[str, Tensor]:
        """One step of the game. Returns the two losses and the mean logits of this step, detached."""
        if self.settings.decay_after:
            self._slow_down()
        for _ in range(self.settings.discriminator_steps):
            unseen = self._judge_held_out()  # first: an update shifts all logits, and the three are to be compared
            record = self.discriminator_step() | unseen
        record["g_loss"] = self.generator_step()
        self.move_average()
        self.steps += 1
        return record

    @torch.no_grad()
    def _judge_held_out(self) -> dict[str, Tensor]:
        """The mean logit of the held-out images, where there are any and the log wants it."""
        if self.held_out is None or not self._logging:
            return {}
        return {"held_out_logit": self.judge(self.held_out).mean()}

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
            fake = self._call(self.generator, self.noise(), *given)
        real_logits, fake_logits = self.judge(real, *given), self.judge(fake, *given)
        loss = total = self.loss.discriminator(real_logits, fake_logits)
        if self.settings.r1_weight and self.steps % self.settings.r1_every == 0:
            weight = self.settings.r1_weight * self.settings.r1_every
            total = loss + weight * r1_penalty(lambda x: self.judge(x, *given), real)
        self.discriminator_optimizer.zero_grad()
        total.backward()
        self.discriminator_optimizer.step()
        self.last_batch = real, fake
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
        fake = self._call(self.generator, self.noise(), *given)
        loss = self.loss.generator(real_logits, self.judge(fake, *given))
        self.generator_optimizer.zero_grad()
        loss.backward(inputs=self.generator_weights)  # the discriminator's own gradients are not needed
        self.generator_optimizer.step()
        return loss.detach()

    def judge(self, images: Tensor, *given: Tensor) -> Tensor:
        """The discriminator's logits ``[N]`` of ``images``, augmented first where the run has an augmentation.

        ``given``: the labels ``[N]`` in a class-conditional run, else nothing.
        """
        return self._call(self.discriminator, self.augment(images) if self.augment else images, *given)

    def _call(self, network: nn.Module, *inputs: Tensor) -> Tensor:
        """``network(*inputs)``; its layers multiply in 16 bits where settings and processor say so."""
        if not self._in_16_bits:
            return network(*inputs)
        with torch.autocast("cpu", torch.bfloat16):
            return network(*inputs).float()

    @property
    def average(self) -> Any:
        """The moving average of the generator, in evaluation mode, as of the last step."""
        if not self._settled:
            random = torch.Generator().manual_seed(0)  # of its own: whoever looks does not change the run
            batches: list[tuple[Tensor, ...]] = []
            for _ in range(SETTLING_BATCHES):
                noise = torch.randn(SETTLING_SAMPLES, self.latent_dim, generator=random).to(self.device)
                rows = torch.randint(len(self.images), (SETTLING_SAMPLES,), generator=random).to(self.device)
                batches.append((noise,) if self.labels is None else (noise, self.labels[rows]))
            networks.measure_batch_norms(self._average, batches)
            self._settled = True
        return self._average

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
        for ours, current in self._buffers:  # such as the vectors of a spectral norm; batch norms are measured anew
            ours.copy_(current)
        self._settled = False

    def real_batch(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """``[batch_size, ...]`` real samples at random, and what the networks get with them: the labels, if any."""
        rows = torch.randint(len(self.images), (self.settings.batch_size,), generator=self.random).to(self.device)
        return self.images[rows], () if self.labels is None else (self.labels[rows],)

    def noise(self, count: Count | None = None) -> Tensor:
        """``[count, latent_dim]`` standard normal noise; ``count`` defaults to the batch size."""
        shape = (count or self.settings.batch_size, self.latent_dim)
        return torch.randn(shape, generator=self.random).to(self.device)

    # ------------------------------------------------------------------------------------------ a run

    def run(
        self,
        steps: CountOrNone,
        draw: Callable[[], Any] | None = None,
        alt: str = "",
        watch: Callable[[], str | None] | None = None,
        checkpoint: str | Path | None = None,
        checkpoint_every: Count = 500,
        tensorboard: str | Path | None = None,
    ) -> dict[str, list[float]]:
        """Train for ``steps`` more steps and return the log.

        ``draw()`` makes the live figure and ``alt`` is its alternative text; ``watch()`` is called after every
        ``LOG_EVERY`` steps, to keep or measure what it likes: a text that it returns, such as "Fréchet 3.2", stands
        behind the losses. With ``checkpoint``, the whole state goes to that file every ``checkpoint_every`` steps and
        at the end. With ``tensorboard``, the log also goes to event files in that folder. An interrupt (the notebook's
        stop button, Ctrl-C) ends the run after the step under way and keeps everything learned. Raises
        :class:`TrainingDiverged` when a loss explodes, and ``OSError`` where ``checkpoint`` can't be written, or
        another run writes to it at the same time.
        """
        first, last = self.steps, self.steps + steps
        metric = ""
        alone = nullcontext() if checkpoint is None else only_writer(checkpoint)
        with alone, event_files(tensorboard) as write, LiveView(steps, draw, alt) as view:
            try:
                while self.steps < last:
                    text = None
                    coming = self.steps + 1
                    self._logging = logging = coming % LOG_EVERY == 0 or coming == last
                    record = self.step()
                    saving = checkpoint is not None and (self.steps % checkpoint_every == 0 or self.steps == last)
                    if logging or saving:  # a diverged state must never replace a good checkpoint
                        self.check_losses(record, checkpoint)
                    if logging:
                        entry = self._add_to_log(record)
                        write(entry)
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
        self.figure = view.figure
        return self.log

    def check_losses(self, record: dict[str, Tensor], checkpoint: str | Path | None = None) -> None:
        """Raise :class:`TrainingDiverged` if a loss in a step's ``record`` has exploded; ``checkpoint``: a way back."""
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

    def _add_to_log(self, record: dict[str, Tensor]) -> dict[str, float]:
        """Add one entry to the log, and return it."""
        record = record | self.closer_look()
        entry = {name: self.steps if name == "step" else record[name].item() for name in self.log}
        for name, values in self.log.items():
            values.append(entry[name])
        return entry

    @torch.no_grad()
    def closer_look(self) -> dict[str, Tensor]:
        """What the log holds beside the losses and logits of the last step: see the class."""
        real, fake = self.last_batch
        gradients = [p.grad for p in self.generator_weights if p.grad is not None]
        return {
            "spread": fake.std(dim=0).mean() / real.std(dim=0).mean(),
            "g_gradient": torch.stack([gradient.norm() for gradient in gradients]).norm(),
        }

    @torch.no_grad()
    def sample(self, noise: Floats | Count = 64, labels: Labels | None = None) -> Tensor:
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
        if noise.ndim != 2 or noise.shape[1] != self.latent_dim:
            refuse("noise", f"a number of samples, or a tensor of shape [N, {self.latent_dim}]", noise, "draw it anew")
        given = () if labels is None else (labels.to(self.device),)
        return self.average(noise.to(self.device), *given)

    # ------------------------------------------------------------------------------------------ checkpoints

    def save(self, path: str | Path) -> None:
        """Write the whole state of the run to ``path`` (safetensors). Raises ``OSError`` where that is impossible."""
        state = self._networks()
        for player, (optimizer, network) in self._players().items():
            memory = checkpoints.optimizer_tensors(optimizer, network)
            state |= {f"{player}_optimizer.{name}": value for name, value in memory.items()}
        state |= {f"log.{name}": torch.tensor(values, dtype=torch.float64) for name, values in self.log.items()}
        state |= {"random": self.random.get_state(), "torch_random": torch.get_rng_state()}  # the latter for dropout
        checkpoints.save_checkpoint(path, state, {"steps": self.steps, "settings": self._origin()})

    def _origin(self) -> dict[str, Any]:
        """What two runs must share for one to go on from the other."""
        some = slice(None, None, max(1, len(self.images) // COMPARED_IMAGES))
        sets = {"images": self.images} | ({} if self.labels is None else {"labels": self.labels})
        told = {name: f"{list(x.shape)} {checkpoints.fingerprint({name: x[some]})}" for name, x in sets.items()}
        return asdict(self.settings) | told | {"augment": self.augment is not None}

    def resume(self, path: str | Path, new_settings: bool = False) -> None:
        """Go back to the state in ``path``: from there the run continues bit for bit as it would have (on a CPU).

        A run that was made with other settings or pictures is refused, unless ``new_settings`` says that it shall go on
        with this trainer's. Raises ``FileNotFoundError`` for a missing file, ``OSError`` for one that may not be read,
        and ``ValueError`` for a damaged one or one that does not fit; the trainer is then unchanged.
        """
        tensors, notes = checkpoints.load_checkpoint(path)
        try:
            self._check(tensors, notes, new_settings)
        except ValueError as error:
            raise ValueError(f"the checkpoint {path} can't be resumed: {error}") from error
        # All has been checked: nothing below can fail, so no trainer is ever left half changed.
        with torch.no_grad():
            for name, value in self._networks().items():
                value.copy_(tensors[name])
        self._settled = True  # it was when it was saved
        for player, (optimizer, network) in self._players().items():
            checkpoints.load_optimizer(optimizer, under(f"{player}_optimizer.", tensors), network)
        self.random.set_state(tensors["random"])
        torch.set_rng_state(tensors["torch_random"])
        self.log = {name: tensors[f"log.{name}"].tolist() for name in self.log}
        self.steps = notes["steps"]

    def _check(self, tensors: dict[str, Tensor], notes: Any, new_settings: bool) -> None:
        """Raise ``ValueError`` unless this trainer can go on from there. Changes nothing."""
        if not isinstance(notes, dict):
            raise ValueError(f"its notes are no table of names and values but {notes!r}")
        checkpoints.check_count(notes.get("steps"), "steps")
        parts = {name: value for name, value in tensors.items() if name.partition(".")[0] not in BESIDE}
        try:
            checkpoints.check_same_form(parts, self._networks())
        except ValueError as error:
            raise ValueError(f"it is of another network: {error}; build the networks that it was made with") from error
        if not new_settings:
            try:
                checkpoints.check_settings(notes.get("settings"), self._origin())
            except ValueError as error:
                raise ValueError(f"{error}; go back to those, or pass new_settings=True to resume()") from error
        for player, (optimizer, network) in self._players().items():
            memory = under(f"{player}_optimizer.", tensors)
            checkpoints.check_optimizer_tensors(memory, network)
            if notes["steps"] and not memory and isinstance(optimizer, torch.optim.Adam):
                raise ValueError(f"the memory of the {player}'s optimiser is missing")
        columns = under("log.", tensors)
        if columns.keys() != self.log.keys():
            there, here = (", ".join(sorted(log)) for log in (columns, self.log))
            raise ValueError(f"its log holds {there}, this trainer's {here}: pass held_out images to both, or to none")
        forms = {name: f"{value.dtype} {list(value.shape)}" for name, value in columns.items()}
        if set(forms.values()) != {f"torch.float64 [{columns['step'].numel()}]"}:
            raise ValueError(f"its log's columns must be equally long lists of numbers but are {forms}")
        for name in ("random", "torch_random"):
            checkpoints.check_random_state(tensors.get(name), name)

    def _networks(self) -> dict[str, Tensor]:
        parts = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        return {
            f"{part}.{name}": value for part, network in parts.items() for name, value in network.state_dict().items()
        }

    def _players(self) -> dict[str, tuple[torch.optim.Optimizer, nn.Module]]:
        return {
            "generator": (self.generator_optimizer, self.generator),
            "discriminator": (self.discriminator_optimizer, self.discriminator),
        }


guard(__name__)
