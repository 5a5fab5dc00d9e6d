"""The look-around: what the sliders and buttons show, what is refused, and the still. No browser."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from widget_page import assert_a_still_is_left, assert_drops, receive, said

from gan_course import widgets
from gan_course.data.views import perspective
from gan_course.widgets.place_view import SHOWN, PlaceView, heading


def panorama() -> torch.Tensor:
    """Every direction has a colour of its own."""
    x = torch.linspace(-1, 1, 64)[None, :].expand(32, 64)
    y = torch.linspace(1, -1, 32)[:, None].expand(32, 64)
    return torch.stack([x, y, -x])


@pytest.fixture
def view():
    made = PlaceView({"a sea": panorama(), "a desert": -panorama()})
    yield made
    made.close()


def shown(view) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(view.picture.value)).convert("RGB"), dtype=float) / 127.5 - 1


def expected(place, **angles) -> np.ndarray:
    return perspective(place, **angles, size=SHOWN).permute(1, 2, 0).numpy()


def test_the_sliders_turn_the_camera(view):
    np.testing.assert_allclose(shown(view), expected(panorama()), atol=0.01)
    view.views["yaw"].value, view.views["pitch"].value, view.views["field_of_view"].value = 45, -30, 60
    np.testing.assert_allclose(shown(view), expected(panorama(), yaw=45, pitch=-30, field_of_view=60), atol=0.01)
    view.place.value = "a desert"
    np.testing.assert_allclose(shown(view), expected(-panorama(), yaw=45, pitch=-30, field_of_view=60), atol=0.01)


def test_the_buttons_go_all_the_way_around_and_up_to_the_pole(view):
    press = {child.description: child for child in view.root.children[1].children}
    for _ in range(24):
        press["Right"].click()
    assert view.angles()["yaw"] == 0
    press["Left"].click()
    assert view.angles()["yaw"] == -15
    for _ in range(9):
        press["Up"].click()
    assert view.angles()["pitch"] == 90
    assert said(view) == "Looking north."


@pytest.mark.parametrize(
    ("yaw", "name"), [(0, "north"), (50, "east"), (90, "east"), (180, "south"), (-180, "south"), (-90, "west")]
)
def test_headings(yaw, name):
    assert heading(yaw) == name


def test_a_message_that_no_page_sends_changes_nothing(view):
    assert_drops(view.views.values(), {"index": 999}, {"index": "x"}, {"index": None})
    receive(view.views["yaw"], {"index": 0})
    assert view.angles()["yaw"] == -180


def test_what_is_no_place():
    with pytest.raises(ValueError, match="there is no place to look around in"):
        widgets.look_around({})
    with pytest.raises(ValueError, match="twice as wide as high"):
        widgets.look_around({"a square": torch.zeros(3, 8, 8)})


def test_a_still_is_left(tmp_path):
    source = (
        "import torch\nfrom gan_course import widgets\n"
        "widgets.look_around({'a sea': torch.linspace(-1, 1, 64).expand(3, 32, 64)})"
    )
    assert_a_still_is_left(tmp_path, source, "Look-around in “a sea”: looking north", 200_000)
