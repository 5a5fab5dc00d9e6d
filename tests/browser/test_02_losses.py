"""Chapter 02 in the browser: the loss explorer's sliders by mouse and by keyboard, and a restart of the kernel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from lab_page import changed, choose_next, differ, drag, mask, pixels, settled, slider, visible

from gan_course import plots
from gan_course.widgets import canvas

CHAPTER = "02"
WIDGET = "loss_explorer("  # calls it
MINUTES = 2
REAL, FAKE = "D(x), real", "D(G(z)), fake"


@pytest.fixture(scope="module")
def line(widget):
    return widget.locator("img.widget-image").nth(0)


@pytest.fixture(scope="module")
def curves(widget):
    return widget.locator("img.widget-image").nth(1)


def at(picture: np.ndarray, colour: str) -> float:
    """The column around which the picture's ``colour`` lies."""
    return float(np.nonzero(mask(picture, colour))[1].mean())


def logit(belief: float) -> float:
    return math.log(belief / (1 - belief))


def value(widget, label: str) -> float:
    row = widget.locator(".widget-slider").filter(has=widget.page.get_by_text(label, exact=True))
    return float(row.locator(".widget-readout").inner_text())


def take(widget, line, case: str) -> np.ndarray:
    """Press the button of ``case`` and return the new picture."""
    before = pixels(line)
    widget.get_by_role("button", name=case, exact=True).click()
    return changed(line, before)


def test_a_still_stands_there_before_any_cell_has_run(widget):
    assert visible(widget.locator(".jp-OutputArea img").first)


def test_all_cells_run(chapter, line, curves):
    print(f"all cells ran in {chapter.run_all(MINUTES):.0f} s")
    assert visible(line) and visible(curves)


def test_dragging_a_belief_moves_its_mark(widget, line, curves):
    take(widget, line, "fooled")
    clueless, example = take(widget, line, "clueless"), take(widget, line, "the document's example")
    assert at(clueless, plots.REAL) == pytest.approx(at(clueless, plots.FAKE), abs=2), "both beliefs are 1/2"
    unit = (at(example, plots.REAL) - at(example, plots.FAKE)) / (logit(0.9) - logit(0.1))
    before, drawn = pixels(line), pixels(curves)
    start = value(widget, REAL)
    drag(slider(widget, REAL), 0.25)
    changed(line, before)
    after = settled(line)
    moved = logit(value(widget, REAL)) - logit(start)
    assert moved < -2
    assert at(after, plots.REAL) - at(before, plots.REAL) == pytest.approx(unit * moved, abs=3)
    assert at(after, plots.FAKE) == at(before, plots.FAKE)
    changed(curves, drawn)


def test_the_keyboard_moves_a_belief_and_chooses_a_loss(chapter, widget, line, curves):
    before, drawn, start = pixels(line), pixels(curves), value(widget, FAKE)
    slider(widget, FAKE).focus()
    for _ in range(5):
        chapter.page.keyboard.press("PageUp")
    changed(line, before)
    after = settled(line)
    assert value(widget, FAKE) > start
    assert at(after, plots.FAKE) > at(before, plots.FAKE) and at(after, plots.REAL) == at(before, plots.REAL)
    changed(curves, drawn)
    before = settled(curves)
    choose_next(widget.get_by_label("loss"))
    after = changed(curves, before)
    assert differ(mask(after, canvas.PURPLE), mask(before, canvas.PURPLE))


def test_the_numbers_are_those_of_the_document(widget, line):
    take(widget, line, "fooled")
    take(widget, line, "the document's example")
    widget.get_by_label("loss").select_option(label="non-saturating")
    widget.get_by_text("0.2107", exact=True).wait_for()  # -2 log 0.9
    widget.get_by_text("2.3026", exact=True).wait_for()  # -log 0.1


@pytest.mark.parametrize("width", [1024, 390])
def test_no_label_is_clipped(chapter, widget, width):
    chapter.resize(width)
    assert chapter.clipped(widget) == []


def test_a_restart_of_the_kernel_recovers(chapter, widget, line):
    chapter.resize(1280)
    pid = chapter.ask("import os; print(os.getpid())")
    chapter.restart_and_run_all(MINUTES)
    assert chapter.ask("import os; print(os.getpid())") != pid
    assert visible(line)
    take(widget, line, "fooled")


def test_the_console_is_clean(chapter):
    assert chapter.complaints == []
