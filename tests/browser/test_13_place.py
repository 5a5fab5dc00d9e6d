"""The page that ``export_webxr`` writes, opened from disk with no network: by hand, and in an emulated headset."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from gan_course.data.scenes import Scene, draw_scenes
from gan_course.panorama import export_webxr

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
EMULATOR = ROOT / "build/node/node_modules/iwer/build/iwer.min.js"  # `make browser` fetches it from npm
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZE = {"width": 640, "height": 400}
HEADSET = """
  window.device = new IWER.XRDevice(IWER.metaQuest3);
  device.installRuntime({ forceInstall: true });
  device.stereoEnabled = true;
"""
TURNED = "device.quaternion.set(0, Math.sin(Math.PI / 6), 0, Math.cos(Math.PI / 6))"  # by 60 degrees to the left


@pytest.fixture(scope="module")
def browser(chromium_of: Callable[[list[str]], Browser]) -> Iterator[Browser]:
    """A Chromium that draws in three dimensions without a graphics card."""
    opened = chromium_of(FLAGS)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A page whose right eye sees all colours turned around: each eye can be told from the other."""
    scenes = [Scene("sea", "noon", "clear", "west", "lighthouse", "north"), Scene("desert", "dusk", "clear", "east")]
    images = draw_scenes(scenes, 1, 128).images
    path = tmp_path_factory.mktemp("place") / "place.html"
    export_webxr(images, path, right=-images, names=["the sea", "the desert"])
    return path


class Visit:
    """A page that was opened with the network off, and all that it complained about or asked for."""

    def __init__(self, browser: Browser, path: Path, script: str = ""):
        self.context = browser.new_context(viewport=SIZE, offline=True)
        self.page: Page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda asked: self._note(asked.url, path))
        if script:
            self.page.add_init_script(script)
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("canvas")
        self.settle()

    def _note(self, address: str, path: Path) -> None:
        if address != path.as_uri() and not address.startswith(("data:", "blob:")):
            self.faults.append(address)

    def settle(self) -> None:
        """Two more frames, and the picture is the newest."""
        self.page.wait_for_timeout(400)

    def look(self) -> np.ndarray:
        """The canvas as it is seen: [H, W, 3] in [0, 255]."""
        self.settle()
        picture = Image.open(io.BytesIO(self.page.locator("canvas").screenshot()))
        return np.asarray(picture.convert("RGB"), dtype=float)


@pytest.fixture
def visit(browser, place) -> Iterator[Visit]:
    made = Visit(browser, place)
    yield made
    assert made.faults == []
    made.context.close()


def apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).mean())


def test_there_is_a_place_and_it_turns(visit):
    first = visit.look()
    assert first.std() > 15, "not blank"
    assert apart(first, visit.look()) < 1, "nothing moves by itself"
    visit.page.mouse.move(400, 250)
    visit.page.mouse.down()
    visit.page.mouse.move(200, 250, steps=5)
    visit.page.mouse.up()
    dragged = visit.look()
    assert apart(first, dragged) > 4, "a drag turns it"
    visit.page.keyboard.press("ArrowDown")
    visit.page.keyboard.press("ArrowDown")
    lower = visit.look()
    assert apart(dragged, lower) > 4, "a key turns it"
    visit.page.keyboard.press("+")
    assert apart(lower, visit.look()) > 1, "a key zooms"


def test_ahead_lies_the_north_and_to_the_right_the_east(visit):
    """The lighthouse stands in the north: in the middle at first, on the left after a turn to the right."""

    def red_columns(picture: np.ndarray) -> float:
        red = (picture[..., 0] > picture[..., 2] + 40) & (picture[..., 0] > picture[..., 1] + 40)
        assert red.any()
        return float(np.nonzero(red)[1].mean())

    before = red_columns(visit.look())
    assert abs(before - SIZE["width"] / 2) < 100
    for _ in range(4):
        visit.page.keyboard.press("ArrowRight")
    assert red_columns(visit.look()) < before - 60


def test_another_place_is_a_button_away(visit):
    sea = visit.look()
    visit.page.get_by_role("button", name="the desert").click()
    assert apart(sea, visit.look()) > 15
    assert "the desert" in (visit.page.locator("canvas").get_attribute("aria-label") or "")


@pytest.fixture
def headset(browser, place) -> Iterator[Visit]:
    if not EMULATOR.exists():
        say = pytest.fail if os.environ.get("GAN_COURSE_REQUIRE") else pytest.skip
        say("the emulator of headsets is missing: make browser fetches it with npm")
    made = Visit(browser, place, EMULATOR.read_text(encoding="utf-8") + HEADSET)
    made.page.get_by_role("button", name="ENTER VR").click()
    made.page.wait_for_function("() => device.activeSession")
    yield made
    assert made.faults == []
    made.context.close()


def test_in_a_headset_each_eye_has_its_picture_and_the_head_turns_both(headset):
    seen = headset.look()
    half = seen.shape[1] // 2
    left, right = seen[:, :half], seen[:, half : 2 * half]
    assert left.std() > 10 and right.std() > 10, "not blank"
    assert apart(left, right) > 30, "two eyes"
    assert apart(left, 255 - right) < 25, "the right eye sees the colours turned around, and nothing else differs"
    headset.page.evaluate(TURNED)
    turned = headset.look()
    assert apart(left, turned[:, :half]) > 4 and apart(right, turned[:, half : 2 * half]) > 4
