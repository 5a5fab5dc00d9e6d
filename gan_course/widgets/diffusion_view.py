"""The diffusion explorer: one slider of time, a picture on its way into the noise, and noise on its way out.

What was computed is kept, so that the slider answers at once. Networks trained elsewhere are copied: training on, or
another cell, changes nothing here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import ipywidgets as widgets
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from gan_course import diffusion
from gan_course.arguments import checked
from gan_course.data import Dataset
from gan_course.widgets import canvas, charts, controls, panel
from gan_course.widgets.controls import guarded

STEPS = (1, 2, 4, 8, 16, 24, 50)
SCALES = (0.0, 1.0, 2.0)  # of guidance, always shown
CHOICES = (0.5, 1.5, 3.0, 4.0, 6.0, 8.0, 12.0)  # for the fourth column
KEPT = 24  # paths in memory: about half a megabyte each
TICK = 9  # timesteps between two stops of the slider: 112 of them
WIDTH, HEIGHT = canvas.SIDE, 560  # of each of the two pictures
COLOURS = (canvas.INK, canvas.PURPLE, canvas.GREEN, canvas.LINE)  # of schedules: neither real nor generated


class Path(NamedTuple):
    """From noise to pictures, one for each scale of guidance.

    ``timesteps``: ``n`` of them, downwards, then -1. ``x [n + 1, scales, C, H, W]``: what the sampler has there;
    ``guesses``: which clean pictures the network sees in it.
    """

    timesteps: list[int]
    x: Tensor
    guesses: Tensor

    def step_at(self, t: int) -> int:
        """Where on the path the sampler is at timestep ``t``; 0 is the end."""
        return len(self.timesteps) - 1 if t == 0 else max(i for i, now in enumerate(self.timesteps) if now >= t)


class Explorer:
    """The computing: ``pictures [classes, C, H, W]``, one of each class, ``alphas_cumprod`` by schedule.

    The network was trained with one schedule. Under another one, it is told the timestep at which its own has the same
    signal-to-noise ratio. Raises ``ValueError`` where dataset, schedules and network don't fit together.
    """

    @checked
    def __init__(
        self,
        network: Callable[..., Tensor],
        dataset: Dataset,
        schedules: Mapping[str, Callable[[], Tensor]],
        trained: str,
        prediction: str,
    ):
        if dataset.labels is None or not dataset.class_names:
            raise ValueError(f"the explorer asks for classes, but {dataset.name} has no labels: take another data set")
        if trained not in schedules:
            raise ValueError(
                f"there is no schedule {trained!r} among {', '.join(schedules) or 'none'}: name the one that the "
                "network was trained with"
            )
        if prediction not in diffusion.PREDICTIONS:
            raise ValueError(
                f"a network can't predict {prediction!r}: choose one of {', '.join(diffusion.PREDICTIONS)}"
            )
        self.alphas_cumprod = {name: checked_alphas(name, schedule()) for name, schedule in schedules.items()}
        if len({len(values) for values in self.alphas_cumprod.values()}) > 1:
            lengths = ", ".join(f"{name} {len(values)}" for name, values in self.alphas_cumprod.items())
            raise ValueError(f"the schedules must have equally many timesteps, but have: {lengths}")
        ratios = {name: torch.logit(values.double()) for name, values in self.alphas_cumprod.items()}  # signal to noise
        self.own = {name: (ratio[:, None] - ratios[trained]).abs().argmin(1) for name, ratio in ratios.items()}
        self.network, self.prediction, self.names = copy.deepcopy(network), prediction, dataset.class_names
        if missing := [name for i, name in enumerate(self.names) if not (dataset.labels == i).any()]:
            raise ValueError(f"the data set has no picture of class {missing[0]}: pass the whole data set")
        first = [(dataset.labels == label).nonzero()[0, 0] for label in range(len(self.names))]
        self.pictures = dataset.images[torch.stack(first)].clone()
        self.device = next((p.device for p in getattr(network, "parameters", lambda: iter(()))()), torch.device("cpu"))
        self.paths: dict[Any, Path] = {}
        self.looks: dict[Any, tuple[Tensor, Tensor]] = {}

    @property
    def last(self) -> int:
        """The noisiest timestep."""
        return len(next(iter(self.alphas_cumprod.values()))) - 1

    def noise(self, seed: int) -> Tensor:
        return torch.randn(1, *self.pictures.shape[1:], generator=torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def guess(self, x: Tensor, t: int, label: int, schedule: str, scales: Tensor) -> Tensor:
        """Which clean pictures the network sees in ``x [N, ...]``, under ``N`` scales of guidance."""
        asked, own = torch.full((len(x),), label, device=self.device), int(self.own[schedule][t])
        there = x.to(self.device)
        unconditional, conditional = (self.network(there, own, *labels).cpu() for labels in ((), (asked,)))
        output = diffusion.guide(unconditional, conditional, scales.reshape(-1, 1, 1, 1))
        return diffusion.predicted_x0(x, output, t, self.alphas_cumprod[schedule], self.prediction).clamp(-1, 1)

    def noised(self, label: int, schedule: str, t: int, seed: int) -> tuple[Tensor, Tensor]:
        """The real picture at timestep ``t``, and what the network sees in it: each ``[C, H, W]``."""
        key = label, schedule, t, seed
        if key not in self.looks:
            if len(self.looks) > 40 * KEPT:
                self.looks.clear()
            alphas_cumprod = self.alphas_cumprod[schedule]
            x = diffusion.add_noise(self.pictures[label : label + 1], self.noise(seed), t, alphas_cumprod)
            self.looks[key] = x[0], self.guess(x, t, label, schedule, torch.ones(1))[0]
        return self.looks[key]

    def path(self, label: int, schedule: str, steps: int, scales: tuple[float, ...], seed: int) -> Path:
        """All of sampling with DDIM from the noise of ``seed``, under several ``scales`` of guidance."""
        key = label, schedule, steps, scales, seed
        if key not in self.paths:
            if len(self.paths) >= KEPT:
                del self.paths[next(iter(self.paths))]
            self.paths[key] = self._sample(label, schedule, steps, scales, seed)
        return self.paths[key]

    def _sample(self, label: int, schedule: str, steps: int, scales: tuple[float, ...], seed: int) -> Path:
        alphas_cumprod = self.alphas_cumprod[schedule]
        times = [*diffusion.spaced_timesteps(steps, len(alphas_cumprod)).tolist(), -1]
        x = self.noise(seed).expand(len(scales), -1, -1, -1)
        states, guesses = [x], []
        for t, previous in pairwise(times):
            guesses.append(self.guess(x, t, label, schedule, torch.tensor(scales)))
            x = diffusion.ddim_step(x, guesses[-1], t, previous, alphas_cumprod)
            states.append(x)
        return Path(times, torch.stack(states), torch.stack([*guesses, x.clamp(-1, 1)]))


def checked_alphas(name: str, betas: Tensor) -> Tensor:
    """ᾱ of a schedule. Raises ``ValueError`` for what is no list of betas."""
    if not isinstance(betas, Tensor) or betas.ndim != 1 or not ((betas > 0) & (betas < 1)).all() or len(betas) < 2:
        found = f"a tensor of shape {list(betas.shape)}" if isinstance(betas, Tensor) else type(betas).__name__
        if isinstance(betas, Tensor) and betas.ndim == 1 and len(betas) > 1:
            found = f"numbers from {betas.min():g} to {betas.max():g}"
        raise ValueError(
            f"the schedule {name!r} must return one beta for each timestep, all between 0 and 1, but returns {found}"
        )
    return diffusion.cumulative_alphas(betas)


class DiffusionView(panel.Panel):
    """The widget: ``time`` is the slider, ``knobs`` are the other controls by name."""

    name = "The diffusion explorer"

    @checked
    def __init__(self, explorer: Explorer, trained: str, seed: int = 0):
        super().__init__()
        self.explorer = explorer
        self.time = controls.control(
            widgets.IntSlider, "timestep", value=explorer.last // 2 // TICK * TICK, max=explorer.last, step=TICK
        )
        self.time.layout.width, self.time.style = "560px", {"description_width": "72px"}
        choices = sorted({*CHOICES, *SCALES})
        self.knobs = {
            "label": controls.menu(
                "picture", [(name, i) for i, name in enumerate(explorer.names)], min(3, len(explorer.names) - 1)
            ),
            "schedule": controls.menu("schedule", [(name, name) for name in explorer.alphas_cumprod], trained),
            "steps": controls.slider("steps", [s for s in STEPS if s <= explorer.last + 1], 24),
            "scale": controls.slider("guidance", choices, 8.0),
            "seed": panel.seed_field(seed),
        }
        self.seed = panel.whole_seed(seed)
        for control in (self.time, *self.knobs.values()):
            control.observe(self._turned, "value")
        self.into, self.out, self.figures = controls.screen(), controls.screen(), controls.words()
        self.root = panel.column(
            self.time,
            self.message,
            controls.row(self.into, self.out),
            self.figures,
            controls.row(*self.knobs.values()),
        )
        self.paint()

    @guarded
    def _turned(self, change: Mapping[str, Any]) -> None:
        if self.closed:
            return
        if change["owner"] is self.knobs["seed"]:
            try:
                self.seed = panel.whole_seed(change["new"])
            except ValueError:
                self.knobs["seed"].value = str(self.seed)  # paints, and clears the message
                raise
        self.say("")
        self.paint()

    # ------------------------------------------------------------------------------------------ painting

    def state(self) -> tuple[int, int, str, Path]:
        """The timestep, the class, the schedule and the path that is shown."""
        label, schedule = self.knobs["label"].value, self.knobs["schedule"].value
        scales = (*SCALES, float(self.knobs["scale"].value))
        path = self.explorer.path(label, schedule, self.knobs["steps"].value, scales, self.seed)
        return self.time.value, label, schedule, path

    def paint(self) -> None:
        """Bring pictures and words up to date."""
        into, out = self.pictures()
        self.into.value, self.out.value = canvas.png(into), canvas.png(out)
        self.figures.value = controls.paragraph(self.summary())

    def pictures(self) -> tuple[Image.Image, Image.Image]:
        """On the left a real picture on its way into the noise, on the right the same noise on its way out."""
        t, label, schedule, path = self.state()
        return self._paint_into(t, label, schedule), self._paint_out(t, path)

    def _paint_into(self, t: int, label: int, schedule: str) -> Image.Image:
        alphas_cumprod = self.explorer.alphas_cumprod
        curves = [
            charts.Curve(name, list(range(len(values))), values.sqrt().tolist(), colour, dashed=name != schedule)
            for (name, values), colour in zip(alphas_cumprod.items(), COLOURS, strict=False)
        ]
        marks = [(t, alphas_cumprod[schedule][t].sqrt().item(), canvas.INK)]
        page = canvas.blank(WIDTH, HEIGHT)
        draw = ImageDraw.Draw(page)
        canvas.text(draw, 10, 24, "into the noise", size=28)
        chart = charts.Chart("strength left", curves, y_range=(0.0, 1.0), x_name="timestep", marks=marks)
        charts.draw_chart(draw, chart, (0, 316, WIDTH, HEIGHT))
        noisy, guess = self.explorer.noised(label, schedule, t, self.seed)
        tiles = {"real": self.explorer.pictures[label], f"timestep {t}": noisy, "network's guess": guess}
        for i, name in enumerate(tiles):
            canvas.text(draw, 10 + 238 * i + 112, 64, name, size=25, anchor="mm")
        page = page.convert("RGB")
        for i, image in enumerate(tiles.values()):
            page.paste(panel.enlarged(image, 224), (10 + 238 * i, 84))
        return page

    def _paint_out(self, t: int, path: Path) -> Image.Image:
        here, steps = path.step_at(t), len(path.timesteps) - 1
        page = canvas.blank(WIDTH, HEIGHT)
        draw = ImageDraw.Draw(page)
        canvas.text(draw, 10, 24, f"out of the same noise: {here} of {steps} step{'s' * (steps > 1)} taken", size=28)
        for i, scale in enumerate((*SCALES, self.knobs["scale"].value)):
            canvas.text(draw, 10 + 178 * i + 83, 64, f"guidance {scale:g}", size=25, anchor="mm")
        canvas.text(draw, 10, 84 + 166 + 30, "what the sampler has")
        canvas.text(draw, 10, 84 + 166 + 60 + 166 + 30, "which picture the network sees in it")
        page = page.convert("RGB")
        for row, images in enumerate((path.x[here], path.guesses[here])):
            for i, image in enumerate(images):
                page.paste(panel.enlarged(image, 166), (10 + 178 * i, 84 + row * 226))
        return page

    def summary(self) -> str:
        """The state in words: what the pictures show, for those who can't see them."""
        t, label, schedule, path = self.state()
        alpha_bar, steps = self.explorer.alphas_cumprod[schedule][t], len(path.timesteps) - 1
        ratio = diffusion.signal_to_noise(alpha_bar)
        return (
            f"Timestep {t} of {self.explorer.last}, schedule {schedule}: {alpha_bar:.1%} of the picture's power is "
            f"left, signal-to-noise {ratio:.2g}. The sampler paints class {self.explorer.names[label]}: step "
            f"{path.step_at(t)} of {steps}, two calls of the network each (at guidance 0 and 1, one would do)."
        )

    def show(self) -> None:
        """Display the widget; the still shows it as it is now."""
        into, out = self.pictures()
        still = Image.new("RGB", (2 * WIDTH, HEIGHT))
        still.paste(into, (0, 0))
        still.paste(out, (WIDTH, 0))
        t, label, _, path = self.state()
        alt = (
            f"Diffusion explorer at timestep {t}. Left: a real {self.explorer.names[label]}, the same with noise, and "
            f"the network's guess. Right: after {path.step_at(t)} of {len(path.timesteps) - 1} steps, noise and "
            "guesses under four guidances."
        )
        self.display(still, alt)
