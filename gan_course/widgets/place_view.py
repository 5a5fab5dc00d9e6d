"""The look-around: stand in the middle of a panorama and turn, by sliders or buttons, with the mouse or the keys."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageDraw
from torch import Tensor

from gan_course.arguments import checked
from gan_course.data.scene_record import DIRECTIONS
from gan_course.data.views import check_panorama, perspective
from gan_course.widgets import canvas, controls, panel
from gan_course.widgets.controls import guarded

SHOWN = 384  # pixels of the view's side
YAWS, PITCHES, ANGLES = range(-180, 181, 15), range(-90, 91, 15), range(30, 121, 10)
TURNS = {"Left": ("yaw", -15), "Right": ("yaw", 15), "Up": ("pitch", 15), "Down": ("pitch", -15)}


class PlaceView(panel.Panel):
    """``views`` holds the three sliders, in degrees; ``picture`` is what the camera sees.

    ``places``: panoramas ``[3, H, 2 H]`` in ``[-1, 1]`` by name. Raises ``ValueError`` for none, and for pictures that
    aren't twice as wide as high.
    """

    name = "The look-around"

    @checked
    def __init__(self, places: Mapping[str, Tensor]):
        super().__init__()
        if not places:
            raise ValueError('there is no place to look around in: pass some, such as {"a sea at noon": panorama}')
        for panorama in places.values():
            check_panorama(panorama)
        self.places = dict(places)
        names = list(self.places)
        self.place = controls.menu("place", [(name, name) for name in names], names[0])
        self.views = {
            "yaw": controls.slider("yaw in degrees", YAWS, 0),
            "pitch": controls.slider("pitch", PITCHES, 0),
            "field_of_view": controls.slider("field of view", ANGLES, 90),
        }
        for knob in (self.place, *self.views.values()):
            knob.observe(self._changed, "value")
        for knob in self.views.values():
            knob.continuous_update = True  # the picture follows the hand
        buttons = [
            controls.button(name, f"Turn by {abs(step)} degrees: {axis}", functools.partial(self._turn, axis, step))
            for name, (axis, step) in TURNS.items()
        ]
        self.picture = controls.screen(f"{SHOWN}px")
        self.root = panel.column(
            controls.row(self.place, *self.views.values()), controls.row(*buttons), self.message, self.picture
        )
        self.paint()

    def angles(self) -> dict[str, float]:
        """What the sliders say: yaw, pitch and field of view in degrees."""
        return {name: float(knob.value) for name, knob in self.views.items()}

    def look(self) -> Tensor:
        """What the camera sees, ``[3, SHOWN, SHOWN]`` in ``[-1, 1]``."""
        return perspective(self.places[self.place.value], **self.angles(), size=SHOWN)

    def paint(self) -> None:
        self.picture.value = canvas.png(panel.enlarged(self.look(), SHOWN))
        self.say(f"Looking {heading(self.angles()['yaw'])}.")

    @guarded
    def _changed(self, _: Mapping[str, Any]) -> None:
        self.paint()

    @guarded
    def _turn(self, axis: str, step: int, _: Any) -> None:
        knob = self.views[axis]
        wanted = knob.value + step
        if axis == "yaw":
            wanted = (wanted + 180) % 360 - 180
        knob.value = max(-90, min(90, wanted)) if axis == "pitch" else wanted

    def show(self) -> None:
        """Display the widget; the still shows the view and, beside it, the panorama that it is cut from."""
        name = self.place.value
        page = canvas.blank(2 * canvas.SIDE, SHOWN + 40)
        draw = ImageDraw.Draw(page)
        canvas.text(draw, 440, 40, name, size=26)
        facts = self.angles()
        words = f"looking {heading(facts['yaw'])}, pitch {facts['pitch']:g}°, field of view {facts['field_of_view']:g}°"
        canvas.text(draw, 440, 84, words, canvas.LINE, 24)
        still = page.convert("RGB")
        still.paste(panel.enlarged(self.look(), SHOWN), (20, 20))
        whole = panel.enlarged(self.places[name], 560)
        still.paste(whole.resize((560, 280), Image.Resampling.BILINEAR), (440, 120))
        self.display(still, f"Look-around in “{name}”: {words}, and the whole panorama.")


def heading(yaw: float) -> str:
    """The quarter of the compass that is nearest to ``yaw``, in degrees to the right of north."""
    return DIRECTIONS[round(yaw / 90) % 4]
