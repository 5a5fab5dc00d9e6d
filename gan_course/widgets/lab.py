"""GAN Lab's engine: a game in the plane that can be stepped, half-stepped, changed while it runs, and measured.

It knows nothing of widgets and pictures. The idea of a GAN that one can touch is that of M. Kahng and others, GAN Lab
(arXiv 1809.01587).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_course import data, metrics, networks
from gan_course.arguments import checked, whole
from gan_course.data import toy
from gan_course.language import tr
from gan_course.losses import LOSSES
from gan_course.training import COLUMNS, LOG_EVERY, Settings, Trainer

TARGETS = ("ring", "line", "spiral", "moons", "drawn")
PRIORS = ("normal", "uniform")
OPTIMIZERS = ("adam", "plain")
EXTENT = 1.6  # the part of the plane that is shown and measured: from -1.6 to 1.6
BINS = 24  # of the grid on which the Jensen-Shannon divergence is estimated, in each direction
WATCHED = 1000  # generated points that are measured, always from the same noise
NEAR = 0.15  # a real point counts as covered when a generated one is that close
POINTS = 6000  # real points
LIVE = ("loss", "generator_lr", "discriminator_lr", "discriminator_steps", "beta1", "r1_weight", "optimizer")
DRAWING = tuple(
    (round(0.3 * x, 1), round(0.3 * y, 1)) for x, y in ((-2, 3), (2, 3), (-3, -1), (-2, -2), (0, -3), (2, -2), (3, -1))
)  # a face

Width = Annotated[int, whole(1, 512)]


@dataclass(frozen=True)
class Knobs:
    """All that a student may turn. Raises ``ValueError`` with a sentence for what can't be played."""

    target: str = "ring"
    loss: str = "non_saturating"
    generator_lr: float = 2e-3
    discriminator_lr: float = 2e-3
    discriminator_steps: int = 1  # turns of the discriminator for one of the generator
    width: Width = 64  # hidden units a layer of the generator
    discriminator_width: Width = 64
    prior: str = "normal"
    prior_dim: int = 2  # numbers in the noise: a plane or a line is bent
    beta1: float = 0.0  # Adam's momentum
    r1_weight: float = 0.0
    optimizer: str = "adam"  # the generator's; "plain": steps proportional to the gradient
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {"target": TARGETS, "loss": tuple(LOSSES), "prior": PRIORS, "optimizer": OPTIMIZERS}
        for name, allowed in choices.items():
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"{name} can't be {value!r}: choose one of {', '.join(allowed)}")
        limits = (("prior_dim", 1, 2), ("width", 1, 512), ("discriminator_width", 1, 512), ("seed", 0, 2**32 - 1))
        for name, low, high in limits:
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} must be a whole number from {low} to {high} but is {value!r}")
        self.settings()  # checks the rest

    def settings(self) -> Settings:
        """What the trainer needs to know. The moving average is off: the lab shows the generator of the moment."""
        names = ("loss", "generator_lr", "discriminator_lr", "discriminator_steps", "beta1", "r1_weight")
        return Settings(**{name: getattr(self, name) for name in names})


Knobs.__init__ = checked(Knobs.__init__)  # type: ignore[method-assign]


def heaps(centres: Tensor, spread: float = 0.05) -> Tensor:
    """Points around ``centres [K, 2]`` in equal shares: ``[POINTS, 2]``, always the same ones."""
    random = torch.Generator().manual_seed(0)
    rows = torch.arange(POINTS) % len(centres)
    return centres[rows] + spread * torch.randn(POINTS, 2, generator=random)


def line() -> Tensor:
    """A thin line from lower left to upper right: ``[POINTS, 2]``."""
    random = torch.Generator().manual_seed(0)
    along = 2.4 * torch.rand(POINTS, 1, generator=random) - 1.2
    return along * torch.tensor([1.0, 0.6]) + 0.04 * torch.randn(POINTS, 2, generator=random)


def build(make: Callable[[], nn.Module], random: torch.Generator) -> nn.Module:
    """A network of linear layers with PyTorch's usual first weights, drawn from ``random``.

    The global random numbers stay as they are: a widget may run beside a student's own cells.
    """
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu")
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            bound = layer.in_features**-0.5
            for weights in (layer.weight, layer.bias):
                nn.init.uniform_(weights, -bound, bound, generator=random)
    return network


class Game(Trainer):
    """A trainer whose noise may be uniform."""

    prior = "normal"

    def noise(self, count: int | None = None) -> Tensor:
        shape = (count or self.settings.batch_size, self.latent_dim)
        if self.prior == "uniform":
            return 2 * torch.rand(shape, generator=self.random) - 1
        return torch.randn(shape, generator=self.random)


class Measures(NamedTuple):
    """How near the generated points are to the real ones."""

    divergence: float  # Jensen-Shannon, estimated on a grid: 0 to log 2
    coverage: float  # share of heaps reached, or of real points with a generated one near: 0 to 1
    heaps: int | None  # heaps reached, where the target has heaps


class History:
    """Columns of numbers against the step, never more than ``size`` entries: when full, every second one goes."""

    def __init__(self, *names: str, size: int = 512):
        self.size, self.every, self.count = size, 1, 0
        self.columns: dict[str, list[float]] = {name: [] for name in ("step", *names)}

    def add(self, **values: float) -> None:
        if self.count % self.every == 0:
            for name, column in self.columns.items():
                column.append(values[name])
            if len(self) == self.size:
                for column in self.columns.values():
                    del column[1::2]
                self.every *= 2
        self.count += 1

    def __getitem__(self, name: str) -> list[float]:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.columns["step"])


OUT_OF_SIGHT = 1e6  # where points that are no numbers are said to lie


def grid_shares(points: Tensor) -> Tensor:
    """The share of ``points [N, 2]`` in each cell of the grid; the last entry is the share outside of it."""
    cells = ((points + EXTENT) * (BINS / (2 * EXTENT))).nan_to_num(-1.0).floor()
    inside = ((cells >= 0) & (cells < BINS)).all(dim=1)
    index = torch.where(inside, cells[:, 1].clamp(0, BINS) * BINS + cells[:, 0].clamp(0, BINS), float(BINS**2)).long()
    return torch.bincount(index, minlength=BINS**2 + 1).double() / max(1, len(points))


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """The Jensen-Shannon divergence of two lists of probabilities, to base e: 0 where they agree, at most log 2."""
    m = (p + q) / 2
    halves = [torch.special.xlogy(a, a / m.clamp_min(1e-300)).sum() for a in (p, q)]
    return max(0.0, (halves[0] + halves[1]).item() / 2)


class Lab:
    """One game. ``knobs`` as of now; ``steps`` done; ``turn`` whose half-step comes next; ``curves`` and ``measures``
    are bounded histories, and ``log`` the last 300 entries of a trainer's log, as ``diagnose`` wants them.
    """

    knobs: Knobs
    real: Tensor

    def __init__(self, knobs: Knobs | None = None, drawing: tuple[tuple[float, float], ...] = DRAWING):
        self.drawing = drawing
        self.reset(knobs or Knobs())

    # ------------------------------------------------------------------------------------------ set up, change

    def reset(self, knobs: Knobs | None = None) -> None:
        """Start anew, with new networks from the seed."""
        self.knobs = k = knobs or self.knobs
        random = torch.Generator().manual_seed(k.seed)
        generator = build(partial(networks.PointGenerator, k.prior_dim, k.width), random)
        discriminator = build(partial(networks.PointDiscriminator, k.discriminator_width), random)
        self._aim()
        self.game = Game(generator, discriminator, self.real, k.settings(), seed=k.seed)
        self.game.prior = k.prior
        self._choose_optimizer()
        self.watched = self.game.noise(WATCHED)
        self.turns_left = k.discriminator_steps
        self.curves = History("d_loss", "g_loss", "real_logit", "fake_logit")
        self.measures = History("divergence", "coverage")
        self.log: dict[str, deque[float]] = {name: deque(maxlen=300) for name in COLUMNS}
        self._record: dict[str, Tensor] = {}
        self._measure()

    def change(self, **changes: Any) -> bool:
        """Turn knobs. What the networks are made of needs a fresh start; all the rest changes as the game goes on.

        Returns whether it started anew. Raises ``ValueError`` for an impossible value; all then stays as it was.
        """
        knobs = replace(self.knobs, **changes)
        if any(name not in LIVE and getattr(self.knobs, name) != value for name, value in changes.items()):
            self.reset(knobs)
            return True
        momentum = (knobs.optimizer, knobs.beta1) != (self.knobs.optimizer, self.knobs.beta1)
        self.knobs = knobs
        self.game.settings, self.game.loss = knobs.settings(), LOSSES[knobs.loss]
        if momentum:
            self._choose_optimizer()
        self.game.generator_optimizer.param_groups[0]["lr"] = knobs.generator_lr
        self.game.discriminator_optimizer.param_groups[0]["lr"] = knobs.discriminator_lr
        self.turns_left = min(self.turns_left, knobs.discriminator_steps)
        return False

    def draw(self, centres: tuple[tuple[float, float], ...]) -> None:
        """Let the drawn target be heaps at ``centres``; the players stay. Raises ``ValueError`` for an empty one."""
        if not centres:
            raise ValueError(tr("a target needs at least one heap: mark a cell"))
        self.drawing = centres
        if self.knobs.target == "drawn":
            self._aim()
            self.game.images = self.real
            self._measure()

    def _aim(self) -> None:
        """Real points, the heaps' centres if any, and the grid's shares of them."""
        target = self.knobs.target
        centres = {"ring": toy.ring_centres(), "drawn": torch.tensor(self.drawing)}
        self.centres = centres.get(target)
        if self.centres is not None:
            self.real = heaps(self.centres)
        else:
            self.real = line() if target == "line" else data.load(target, count=POINTS).images
        order = torch.randperm(POINTS, generator=torch.Generator().manual_seed(1))
        self.real = self.real[order]
        self._shares = grid_shares(self.real)
        self.floor = jensen_shannon(self._shares, grid_shares(self.real[:WATCHED]))  # as good as WATCHED points can be

    def _choose_optimizer(self) -> None:
        """Optimizers without a past: a change of momentum or rule starts them afresh."""
        k, game = self.knobs, self.game
        betas = (k.beta1, game.settings.beta2)
        game.discriminator_optimizer = torch.optim.Adam(
            game.discriminator.parameters(), lr=k.discriminator_lr, betas=betas, fused=True
        )
        plain = torch.optim.SGD(game.generator.parameters(), lr=k.generator_lr, momentum=k.beta1)
        adam = torch.optim.Adam(game.generator.parameters(), lr=k.generator_lr, betas=betas, fused=True)
        game.generator_optimizer = adam if k.optimizer == "adam" else plain  # type: ignore[assignment]

    # ------------------------------------------------------------------------------------------ play

    @property
    def steps(self) -> int:
        return self.game.steps

    @property
    def turn(self) -> str:
        """Whose half-step comes next: ``"discriminator"`` or ``"generator"``."""
        return "discriminator" if self.turns_left else "generator"

    def half_step(self) -> str:
        """One turn of one player. Returns who it was."""
        player = self.turn
        if player == "discriminator":
            self._record |= self.game.discriminator_step()
            self.turns_left -= 1
        else:
            self._record["g_loss"] = self.game.generator_step()
            self.game.steps += 1
            self.turns_left = self.knobs.discriminator_steps
            self._note()
        return player

    def step(self, count: int = 1) -> None:
        """Play on until the generator has had ``count`` more turns."""
        last = self.steps + count
        while self.steps < last:
            self.half_step()

    @property
    def finite(self) -> bool:
        """Whether all losses so far are numbers."""
        return all(math.isfinite(value) for name in ("d_loss", "g_loss") for value in self.curves[name][-3:])

    def _note(self) -> None:
        """Write the step just done into the histories."""
        values = {name: value.item() for name, value in self._record.items()}
        self.curves.add(step=self.steps, **values)
        if self.steps % LOG_EVERY == 0:
            values |= {name: value.item() for name, value in self.game.closer_look().items()}
            for name, column in self.log.items():
                column.append(self.steps if name == "step" else values[name])
            self._measure()

    # ------------------------------------------------------------------------------------------ measure

    @torch.no_grad()
    def points(self) -> Tensor:
        """Generated points ``[WATCHED, 2]``, always from the same noise."""
        return self.game.generator(self.watched)

    def _measure(self) -> None:
        self.now = self.measure(self.points())
        self.measures.add(step=self.steps, divergence=self.now.divergence, coverage=self.now.coverage)

    def reached(self) -> str:
        """How much of the target the generated points reach, in words."""
        if self.centres is None:
            return tr("{share:.0%} of the data").format(share=self.now.coverage)
        return tr("{reached} of {all} heaps").format(reached=self.now.heaps, all=len(self.centres))

    def measure(self, points: Tensor) -> Measures:
        """Compare ``points [N, 2]`` with the target."""
        divergence = jensen_shannon(self._shares, grid_shares(points))
        if self.centres is not None:
            seen = points.nan_to_num(nan=OUT_OF_SIGHT, posinf=OUT_OF_SIGHT, neginf=-OUT_OF_SIGHT)
            reached = metrics.modes_covered(seen, self.centres)
            return Measures(divergence, reached / len(self.centres), reached)
        near = torch.cdist(self.real[:300], points).amin(dim=1) < NEAR
        return Measures(divergence, near.double().mean().item(), None)
