"""GAN Lab in the notebook: the engine of ``lab`` behind buttons, menus and sliders."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

import ipywidgets as widgets

from gan_course.arguments import checked
from gan_course.fonts import label
from gan_course.language import tr, tr_later
from gan_course.widgets import canvas, controls, picture
from gan_course.widgets.board import Board
from gan_course.widgets.controls import guarded
from gan_course.widgets.lab import Knobs, Lab
from gan_course.widgets.panel import LOSS_NAMES, Panel, column, seed_field, whole_seed
from gan_course.widgets.playing import Player
from gan_course.widgets.presets import PRESETS, Patient, Preset

FRAME = 0.1  # seconds between two pictures: ten a second, as a page can take them
BUSY = 0.05  # of these for the game, where it plays as fast as it goes: a control must not wait long
SLOW = 0.8  # seconds between two half-steps in slow motion
IDLE = 900  # seconds without a touch after which playing stops: the page may be closed
SPEEDS = (
    (tr_later("slow motion: half-steps"), "half"),
    (tr_later("1 step a picture"), 1),
    (tr_later("5 steps a picture"), 5),
    (tr_later("as fast as it goes"), "fast"),
)
TARGET_NAMES = (
    (tr_later("ring of 8 heaps"), "ring"),
    (tr_later("line"), "line"),
    (tr_later("spiral"), "spiral"),
    (tr_later("two moons"), "moons"),
    (tr_later("draw your own"), "drawn"),
)
PRIOR_NAMES = (
    (tr_later("normal, 2 numbers"), ("normal", 2)),
    (tr_later("normal, 1 number"), ("normal", 1)),
    (tr_later("uniform, 2 numbers"), ("uniform", 2)),
    (tr_later("uniform, 1 number"), ("uniform", 1)),
)
LAYER_NAMES = {
    "real": tr_later("real points"),
    "generated": tr_later("generated points"),
    "belief": tr_later("D's belief"),
    "arrows": tr_later("arrows: G's push"),
    "grid": tr_later("G's grid"),
    "curves": tr_later("curves"),
}
LABS: WeakSet[LabView] = WeakSet()  # a new lab pauses the others


class LabView(Panel):
    """The widget: ``root`` is what is shown, ``lab`` the game, ``knobs`` the controls by the name of what they turn."""

    name = "GAN Lab"
    kind = tr_later("preset")
    catalogue: Mapping[str, Any] = PRESETS

    @checked
    def __init__(self, preset: str | None = None, seed: int = 0):
        """``preset``: a name in the catalogue, the first one where there is none. Raises ``ValueError`` for another."""
        preset = next(iter(self.catalogue)) if preset is None else preset
        if preset not in self.catalogue:
            raise ValueError(f"there is no {self.kind} {preset!r}: choose one of {', '.join(self.catalogue)}")
        super().__init__()
        self.preset: Preset | Patient | None = None
        self.lab = Lab(self.catalogue[preset].knobs)
        self.player = Player(self._frame)
        self.last = ""  # who moved last, in a half-step
        self.before: Any = None  # where the generated points were before it
        self.touched = time.monotonic()
        self.settling = False  # while the program, not the student, sets controls
        self._build(preset, seed)
        for other in list(LABS):
            other.pause()
        LABS.add(self)
        self.choose(preset, seed)

    # ------------------------------------------------------------------------------------------ the page

    def _build(self, preset: str, seed: int) -> None:
        button, menu = controls.button, controls.menu
        self.play_button = button("Play", "Play, or pause", self._press_play, "primary")
        self.step_button = button("Step", "One turn of each player", self._press_step)
        self.half_button = button("Half-step", "One turn of one player", self._press_half)
        self.reset_button = button("Reset", "Start anew from the same seed", self._press_reset)
        self.speed = menu("speed", SPEEDS, "fast")
        self.presets = menu(self.kind, [(name, name) for name in self.catalogue], preset)
        self.presets.observe(self._turn_preset, "value")
        self.question, self.figures = controls.words(), controls.words()
        self.plane, self.curves = controls.screen(), controls.screen()
        self.layers = {
            name: controls.forgiving(
                widgets.Checkbox(
                    value=True,
                    description=tr(words),
                    indent=False,
                    layout=widgets.Layout(width="auto", margin="0 12px 0 0"),
                )
            )
            for name, words in LAYER_NAMES.items()
        }
        for box in self.layers.values():
            box.observe(self._turn_layer, "value")
        self.knobs = self._knobs(seed)
        for name, widget in self.knobs.items():
            widget.observe(lambda change, name=name: self._turn(name, change["new"]), "value")
        self.knob_row = controls.row(*self.knobs.values())
        self.board = Board(self._draw)
        self.root = column(
            controls.row(self.presets, self.speed),
            self.question,
            controls.row(self.play_button, self.step_button, self.half_button, self.reset_button),
            self.message,
            controls.row(self.plane, self.curves),
            self.figures,
            controls.row(*self.layers.values()),
            *self.extras(),
            self.board.root,
            self.knob_row,
        )

    def _knobs(self, seed: int) -> dict[str, Any]:
        menu, slider, k = controls.menu, controls.slider, Knobs()
        return {
            "target": menu("target", TARGET_NAMES, k.target),
            "loss": menu("loss", LOSS_NAMES, k.loss),
            "generator_lr": slider("G's learning rate", controls.RATES, k.generator_lr),
            "discriminator_lr": slider("D's learning rate", controls.RATES, k.discriminator_lr),
            "discriminator_steps": slider("D's turns a step", (1, 2, 3, 5, 10), k.discriminator_steps),
            "width": slider("G's width", (4, 8, 16, 32, 64, 128), k.width),
            "discriminator_width": slider("D's width", (4, 8, 16, 32, 64, 128), k.discriminator_width),
            "prior": menu("noise (prior)", PRIOR_NAMES, (k.prior, k.prior_dim)),
            "beta1": slider("momentum β₁", (0.0, 0.5, 0.9), k.beta1),
            "r1_weight": slider("R1 penalty", (0.0, 0.1, 0.3, 1.0, 3.0), k.r1_weight),
            "optimizer": menu("G moves by", (("Adam", "adam"), (tr_later("plain gradient"), "plain")), k.optimizer),
            "seed": seed_field(seed),
        }

    def extras(self) -> list[Any]:
        """What stands above the knobs: the clinic has something there."""
        return []

    # ------------------------------------------------------------------------------------------ painting

    def title(self) -> str:
        if not self.last:
            return label("step {step}").format(step=self.lab.steps)
        turns = self.lab.knobs.discriminator_steps
        count = f" ({turns - self.lab.turns_left} of {turns})" if self.last == "discriminator" and turns > 1 else ""
        moved = label("step {step}: the {player} has moved{count}")
        return moved.format(step=self.lab.steps, player=label(self.last), count=count)

    def paint(self) -> None:
        """Bring pictures and numbers up to date."""
        if self.closed:
            return
        shown = [name for name, box in self.layers.items() if box.value]
        view = picture.look(self.lab, shown, self.title())._replace(before=self.before)
        self.plane.value = canvas.png(picture.plane(view))
        if "curves" in shown:
            self.curves.value = canvas.png(picture.curves(self.lab))
        self.figures.value = controls.paragraph(self.summary())

    def summary(self) -> str:
        """The state in words: what the pictures show, for those who can't see them."""
        losses = [self.lab.curves[name][-1:] for name in ("d_loss", "g_loss")]
        lost = tr("; loss of D {d:.2f}, of G {g:.2f}").format(d=losses[0][0], g=losses[1][0]) if losses[0] else ""
        now = {"steps": self.lab.steps, "reached": self.lab.reached(), "js": self.lab.now.divergence, "lost": lost}
        return tr(
            "Step {steps:,}: {reached} reached; Jensen-Shannon {js:.2f} (between 0 and 0.69; {floor:.2f} is as good as "
            "1,000 points can be){lost}."
        ).format(**now, floor=self.lab.floor)

    # ------------------------------------------------------------------------------------------ playing

    @property
    def playing(self) -> bool:
        return self.player.playing

    @guarded
    def _press_play(self, _: Any = None) -> None:
        if self.playing:
            self.pause()
            return
        self.touched = time.monotonic()
        self.player.start()
        self.play_button.description = tr("Pause")

    def pause(self) -> None:
        """Stop playing."""
        self.player.stop()
        if not self.closed:
            self.play_button.description = tr("Play")

    def _frame(self) -> float:
        """Play on by one picture. Returns the seconds to the next one."""
        if self.closed:
            self.player.stop()
            return 0.0
        began = time.monotonic()
        try:
            self._advance()
            self.paint()
        except Exception as error:
            self.pause()
            self.say(tr("Playing stopped: {error}").format(error=error))
        if not self.lab.finite:
            self.pause()
            self.say(tr("The numbers have grown beyond all bounds: lower a learning rate and press Reset."))
        elif began - self.touched > IDLE:
            self.pause()
            self.say(tr("Paused after {n} minutes without a touch: press Play to go on.").format(n=IDLE // 60))
        return SLOW if self.speed.value == "half" else FRAME

    def _advance(self) -> None:
        """Play on by as much as one picture shows."""
        speed, done = self.speed.value, self.lab.steps
        self.last, self.before = "", None
        if speed == "half":
            self._half_step()
        elif speed == "fast":
            deadline = time.monotonic() + BUSY
            while time.monotonic() < deadline:
                self.lab.step()
        else:
            self.lab.step(speed)
        if self.preset is not None and done < self.preset.steps <= self.lab.steps:
            self.arrived()

    def arrived(self) -> None:
        """The preset's steps are over."""
        assert self.preset is not None
        sentence = tr("Step {steps:,}: compare with your prediction, then open the answer.")
        self.say(sentence.format(steps=self.preset.steps))

    def _half_step(self) -> None:
        before = self.lab.points()[: picture.DRAWN]
        self.last = self.lab.half_step()
        self.before = before.numpy() if self.last == "generator" else None

    @guarded
    def _press_step(self, _: Any = None) -> None:
        self._by_hand()
        self.lab.step()
        self.paint()

    @guarded
    def _press_half(self, _: Any = None) -> None:
        self._by_hand()
        self._half_step()
        self.paint()

    def _by_hand(self) -> None:
        self.pause()
        self.say("")
        self.last, self.before = "", None

    @guarded
    def _press_reset(self, _: Any = None) -> None:
        self._by_hand()
        self.lab.reset()
        self.paint()

    # ------------------------------------------------------------------------------------------ turning knobs

    def choose(self, name: str, seed: int | None = None) -> None:
        """Set all knobs as preset ``name`` has them, and start anew, paused."""
        preset = PRESETS[name]
        self.preset = preset
        self.question.value = controls.paragraph(tr("Predict.") + " " + tr(preset.question)) + controls.details(
            tr("After {steps:,} steps, compare").format(steps=preset.steps),
            tr("{answer} (Promised: {promise}.)").format(answer=tr(preset.answer), promise=tr(preset.promise)),
        )
        self.start(preset.knobs, seed)

    def start(self, knobs: Knobs, seed: int | None = None) -> None:
        """A new game with ``knobs``, paused; the seed stays unless there is a new one."""
        self._by_hand()
        keep = {"seed": self.lab.knobs.seed if seed is None else seed}
        self.lab.reset(Knobs(**{**vars(knobs), **keep}))
        self._show_knobs()
        self.paint()

    def _show_knobs(self) -> None:
        """Let the controls show the knobs as they are."""
        self.settling = True
        try:
            for name, widget in self.knobs.items():
                value = getattr(self.lab.knobs, name)
                value = {"prior": (value, self.lab.knobs.prior_dim), "seed": str(value)}.get(name, value)
                if widget.value != value:
                    widget.value = value
            self.board.open(self.lab.knobs.target == "drawn")
        finally:
            self.settling = False

    @guarded
    def _turn_preset(self, change: Mapping[str, Any]) -> None:
        self.touched = time.monotonic()
        self.choose(change["new"])

    @guarded
    def _turn_layer(self, change: Mapping[str, Any]) -> None:
        self.touched = time.monotonic()
        self.curves.layout.display = None if self.layers["curves"].value else "none"
        self.paint()

    def _turn(self, name: str, value: Any) -> None:
        """A knob was turned by hand."""
        if self.settling:
            return
        self.touched = time.monotonic()
        try:
            changes = {"prior": value[0], "prior_dim": value[1]} if name == "prior" else {name: value}
            if name == "seed":
                changes = {"seed": whole_seed(value)}
            anew = self.lab.change(**changes)
            self.preset = None
            self.last, self.before = "", None
            self.say(tr("New networks: this knob takes a fresh start.") if anew else "")
            self.board.open(self.lab.knobs.target == "drawn")
            if anew or not self.playing:
                self.paint()
        except Exception as error:
            self.say(str(error))
            self._show_knobs()

    @guarded
    def _draw(self, places: tuple[tuple[float, float], ...]) -> None:
        """The drawing board was marked."""
        self.touched = time.monotonic()
        self.lab.draw(places)
        self.say("")
        if not self.playing:
            self.paint()

    # ------------------------------------------------------------------------------------------ showing

    def show(self, steps: int = 300) -> None:
        """Display the widget; the still is the game after ``steps`` steps, or the preset's if that is fewer."""
        later = Lab(self.lab.knobs)
        later.step(min(steps, self.preset.steps) if self.preset else steps)
        chosen = {"kind": label(self.kind), "name": label(self.presets.value), "step": later.steps}
        title = self.name + label(", {kind} {name}, step {step}").format(**chosen)
        still = canvas.beside(
            picture.plane(picture.look(later, picture.LAYERS, title)),
            picture.curves(later),
        )
        alt = tr(
            "{title}: {reached} reached by the generated points. In the plane the belief, the arrows and the "
            "generator's grid; beside it the losses, the logits and the distance, step by step."
        ).format(title=title, reached=later.reached())
        self.display(still, alt)

    def close(self) -> None:
        """Stop, and remove the widget from the page."""
        self.pause()
        super().close()
