"""A notebook in JupyterLab, as a person at mouse and keyboard sees it."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_course.commands import notebooks

try:
    from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Route
except ImportError:
    if os.environ.get("GAN_COURSE_REQUIRE"):  # CI must not skip these tests
        raise
    pytest.skip("playwright is missing: install it with make browser", allow_module_level=True)

START = 90_000  # milliseconds until JupyterLab and a kernel are there, on a busy machine
ANSWER = 15_000  # milliseconds until a control's effect must be seen

STATE = """() => {
  const panel = window.jupyterapp.shell.currentWidget, model = panel.content.model;
  const cells = [...model.cells].filter(cell => cell.type === 'code' && cell.sharedModel.source.trim());
  const outputs = cells.flatMap(cell => cell.outputs.toJSON());
  return {
    status: panel.sessionContext.session?.kernel?.status, waiting: panel.content.widgets.filter(
      cell => cell.node.querySelector('.jp-InputPrompt')?.textContent === '[*]:').length,
    counts: cells.map(cell => cell.executionCount),
    errors: outputs.filter(o => o.output_type === 'error').map(o => o.ename + ': ' + o.evalue),
    stderr: outputs.filter(o => o.name === 'stderr').map(o => o.text),
  };
}"""
# The picture as the browser decoded it, not as the kernel sent it.
PIXELS = """async img => {
  for (let left = 20; ; left--) {  // a newer picture may arrive while this one is being decoded
    try { await img.decode(); break; } catch (error) { if (!left) throw error; }
    await new Promise(later => setTimeout(later, 50));
  }
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
  canvas.getContext('2d').drawImage(img, 0, 0);
  return canvas.toDataURL('image/png');
}"""
# Scroll there and wait until the page rests: cells that come into view push others about.
CENTRE = """async node => {
  for (let last = NaN, left = 30, at; left && at !== last; left--) {
    last = at;
    node.scrollIntoView({block: 'center'});
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
    at = node.getBoundingClientRect().top;
  }
}"""
CLIPPED = """widget => {
  const found = [], inside = '.widget-label, .widget-html-content, button, select, label, summary';
  for (const node of widget.querySelectorAll(inside.split(', ').map(name => '.jp-OutputArea-output ' + name).join())) {
    if (node.clientWidth && node.scrollWidth > node.clientWidth + 1) found.push(node.textContent.trim().slice(0, 40));
  }
  for (const area of widget.querySelectorAll('.jp-OutputArea-output'))
    if (area.scrollWidth > area.clientWidth + 1) found.push(`the widget: ${area.scrollWidth} > ${area.clientWidth}`);
  return found;
}"""
# A frame counts when the browser paints it, which is one animation frame after it has been decoded.
WATCH = """img => {
  const paper = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  paper.canvas.width = paper.canvas.height = 40;
  const seen = window.seen = {frames: [], clicks: []};
  img.addEventListener('load', () => {
    paper.drawImage(img, 0, 0, 40, 40);
    const data = paper.getImageData(0, 0, 40, 40).data;
    let white = 0;
    for (let i = 0; i < data.length; i += 4) white += data[i] + data[i + 1] + data[i + 2] > 760;
    requestAnimationFrame(now => seen.frames.push([now, white / 1600]));
  });
  document.addEventListener('click', event => seen.clicks.push(event.timeStamp), true);
}"""
EXECUTE = """async code => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  let said = '';
  const future = kernel.requestExecute({code, store_history: false});
  future.onIOPub = ({content}) => { said += content.text ?? content.evalue ?? ''; };
  await future.done;
  return said;
}"""


class Notebook:
    """A notebook's page. ``complaints``: what it wrote to its console as an error, and what it wanted from outside."""

    def __init__(self, browser: Browser, address: str, path: Path, size: dict[str, int]) -> None:
        self.path = path
        self.sources = [cell.source for cell in notebooks.read(path).cells]
        self.complaints: list[str] = []
        self.page: Page = browser.new_page(viewport=size)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.route(re.compile(r"^https?://(?!127\.0\.0\.1[:/])"), self._outside)
        self.address = address.format(workspace=path.stem, name=path.name)

    def open(self) -> None:
        """Wait until the notebook is there and its kernel idle."""
        self.page.goto(self.address)
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=START)
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=START,
        )

    def photograph(self, file: Path) -> None:
        """Keep what the page looks like now, if it can still be seen."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Error):
            self.page.screenshot(path=file)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":  # JupyterLab itself writes none
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def _outside(self, route: Route) -> None:
        """Nothing comes from outside; only the badge at the top of a chapter is asked for there."""
        if route.request.url.endswith("/colab-badge.svg"):
            route.fulfill(content_type="image/svg+xml", body='<svg xmlns="http://www.w3.org/2000/svg"/>')
        else:
            self.complaints.append(f"asked for {route.request.url}")
            route.abort()

    def close(self) -> None:
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.close()

    # ------------------------------------------------------------------------------------------ running cells

    def menu(self, *names: str) -> None:
        """Choose an entry of JupyterLab's menu."""
        bar = self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(rf"^{names[0]}$"))
        bar.click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(rf"^{names[1]}")).first.click()

    def run_all(self, minutes: float) -> float:
        """Run all cells by the menu, wait for the last one and return the seconds. Fails on the first error."""
        began = time.monotonic()
        self.menu("Run", "Run All Cells")
        self.finish(minutes)
        return time.monotonic() - began

    def restart_and_run_all(self, minutes: float) -> None:
        """The same after a restart of the kernel, which JupyterLab wants confirmed."""
        self.menu("Kernel", "Restart Kernel and Run All Cells")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.wait_for_selector(".jp-Dialog", state="detached")
        self.finish(minutes)

    def state(self) -> dict:
        return self.page.evaluate(STATE)

    def finish(self, minutes: float) -> None:
        """Wait until all cells have run."""
        self.page.wait_for_function(f"() => ({STATE})().waiting > 0", timeout=ANSWER)
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until:
            state = self.state()
            assert not state["errors"], state["errors"]
            if not state["waiting"] and state["status"] == "idle":
                assert all(state["counts"]), "a cell has not run"
                return
            self.page.wait_for_timeout(200)
        raise AssertionError(f"{self.path.name} still runs after {minutes} minutes")

    def run(self, cell: Locator) -> None:
        """Run a cell by the keyboard; do not wait for its end."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def ask(self, code: str) -> str:
        """What the kernel prints when ``code`` runs beside the notebook."""
        return self.page.evaluate(EXECUTE, code).strip()

    def cell(self, text: str) -> Locator:
        """The code cell whose source holds ``text``, scrolled into view."""
        (index,) = [i for i, source in enumerate(self.sources) if text in source and not source.startswith("#")] or [-1]
        assert index >= 0, f"{self.path.name} has no cell with {text!r}"
        found = self.page.locator(".jp-Notebook .jp-Cell").nth(index)
        found.evaluate(CENTRE)
        return found

    def resize(self, width: int) -> None:
        """Make the page ``width`` pixels wide; a narrow one goes without the file browser, as on a phone."""
        if width < 600:
            self.page.keyboard.press("Control+b")
        self.page.set_viewport_size({"width": width, "height": 1000})
        self.page.wait_for_function(f"() => window.innerWidth === {width}")

    def clipped(self, widget: Locator) -> list[str]:
        """What of the widget's text does not fit its box, and whether the widget is wider than its cell."""
        return widget.evaluate(CLIPPED)

    def memory(self) -> dict[str, int]:
        """Megabytes that the page's objects and the kernel hold, after tidying up.

        The browser's processes are left out: playwright has them keep up to 200 MB of what the page has loaded.
        """
        link = self.page.context.new_cdp_session(self.page)
        link.send("HeapProfiler.collectGarbage")
        link.send("Performance.enable")
        heap = {metric["name"]: metric["value"] for metric in link.send("Performance.getMetrics")["metrics"]}
        link.detach()
        kernel = self.ask("import gc, psutil; gc.collect(); print(psutil.Process().memory_info().rss)")
        return {"page": round(heap["JSHeapUsedSize"] / 1e6), "kernel": round(int(kernel) / 1e6)}


# ---------------------------------------------------------------------------------------------- what is to be seen


def pixels(image: Locator) -> np.ndarray:
    """A picture's pixels ``[height, width, 3]``, 0 to 255, as the browser decoded them."""
    address = image.evaluate(PIXELS)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB"))


def mask(picture: np.ndarray, colour: str) -> np.ndarray:
    """Where ``picture`` has exactly ``colour`` ("#RRGGBB"): ``[height, width]``."""
    return (picture == np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])).all(axis=2)


def share(picture: np.ndarray, colour: str) -> float:
    """The share of the picture that has exactly ``colour``."""
    return float(mask(picture, colour).mean())


def differ(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape != b.shape or bool((a != b).any())


def changed(image: Locator, before: np.ndarray, seconds: float = 15) -> np.ndarray:
    """Wait until ``image`` shows something else than ``before`` and return it."""
    return until(lambda: pixels(image), lambda picture: differ(picture, before), "the picture did not change", seconds)


def until(look: Callable[[], np.ndarray], enough: Callable[[np.ndarray], bool], otherwise: str, seconds: float = 15):
    """Look again and again until what is seen is ``enough``, and return it."""
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        seen = look()
        if enough(seen):
            return seen
        time.sleep(0.05)
    raise AssertionError(otherwise)


def settled(image: Locator) -> np.ndarray:
    """Wait until ``image`` stays as it is for half a second, and return it."""
    seen = [pixels(image)]

    def still(picture: np.ndarray) -> bool:
        seen.append(picture)
        return not differ(*seen[-2:])

    def later() -> np.ndarray:
        image.page.wait_for_timeout(500)
        return pixels(image)

    return until(later, still, "the picture does not come to rest")


def visible(image: Locator) -> bool:
    """Whether the picture has loaded and takes up room."""
    box = image.bounding_box()
    loaded = image.evaluate("img => img.complete && img.naturalWidth > 0")
    return bool(loaded and box and min(box["width"], box["height"]) > 100)


def slider(widget: Locator, label: str) -> Locator:
    """The handle of the slider called ``label``."""
    row = widget.locator(".widget-slider, .widget-selection-slider, .jupyter-widget-slider")
    named = widget.page.locator(".widget-label", has_text=re.compile(rf"^{re.escape(label)}$"))
    return row.filter(has=named).locator(".noUi-handle")


def choose_next(menu: Locator) -> None:
    """Choose a menu's next entry by the keyboard. (An arrow on a closed menu would be JupyterLab's: the next cell.)"""
    menu.focus()
    for key in ("Space", "ArrowDown", "Enter"):
        menu.page.keyboard.press(key)


def drag(handle: Locator, to: float) -> None:
    """Drag a slider's handle by the mouse to the share ``to`` of its track."""
    handle.evaluate(CENTRE)
    mouse, track = handle.page.mouse, handle.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()
    box = handle.bounding_box()
    assert track and box
    middle = box["y"] + box["height"] / 2
    mouse.move(box["x"] + box["width"] / 2, middle)
    mouse.down()
    mouse.move(track["x"] + to * track["width"], middle, steps=8)
    mouse.up()


# ---------------------------------------------------------------------------------------------- how fast


def watch(image: Locator) -> None:
    """From now on note when a new picture is painted, how white it is, and when something is clicked."""
    image.evaluate(WATCH)


def frames(page: Page) -> list[tuple[float, float]]:
    """(millisecond, share of white) of each picture painted since ``watch``."""
    return [tuple(frame) for frame in page.evaluate("() => window.seen.frames")]


def answers(page: Page, after: Callable[[float, float], bool]) -> float:
    """Milliseconds from the last click to the first picture for which ``after`` its whiteness before and now holds."""
    clicked = page.evaluate("() => window.seen.clicks.at(-1)")
    white = [share for when, share in frames(page) if when < clicked][-1:]
    stop = time.monotonic() + ANSWER / 1000
    while time.monotonic() < stop:
        for when, share in frames(page):
            if when > clicked and (not white or after(white[0], share)):
                return when - clicked
        page.wait_for_timeout(20)
    raise AssertionError("a click got no answer")
