"""Chapter 14 in the browser: the economics sliders by mouse and by keyboard, and how soon they answer."""

from __future__ import annotations

from statistics import median

import pytest
from lab_page import changed, differ, drag, frames, mask, settled, share, slider, visible, watch

from gan_course.widgets import canvas

CHAPTER = "14"
WIDGET = "widgets.economics("  # calls it
MINUTES = 6  # on a busy machine; half a minute is the rule
ANSWER_MS = 150  # a slider's answer, in the middle
PRESSES = 15
# When a key went down, in the clock of the painted frames.
KEYS = "() => { window.keys = []; document.addEventListener('keydown', e => window.keys.push(e.timeStamp), true); }"


@pytest.fixture(scope="module")
def lines(widget):
    return widget.locator("img.widget-image").nth(0)


@pytest.fixture(scope="module")
def stairs(widget):
    return widget.locator("img.widget-image").nth(1)


def press(widget, name):
    return widget.get_by_role("button", name=name, exact=True)


def test_a_still_stands_there_before_any_cell_has_run(widget):
    assert visible(widget.locator(".jp-OutputArea img").first)


def test_all_cells_run(chapter, lines, stairs):
    print(f"all cells ran in {chapter.run_all(MINUTES):.0f} s")
    assert visible(lines) and visible(stairs)


def test_dragging_the_free_share_to_nothing_earns_money(widget, lines, stairs):
    press(widget, "start").click()
    before, drawn = settled(lines), settled(stairs)
    widget.get_by_text("-209 thousand USD", exact=True).wait_for()
    drag(slider(widget, "free share"), 0.0)
    changed(lines, before)
    after = settled(stairs)
    widget.get_by_text("90.9 thousand USD", exact=True).wait_for()
    assert share(after, canvas.PURPLE) != share(drawn, canvas.PURPLE)


def test_the_keyboard_moves_the_price_until_no_volume_breaks_even(chapter, widget, lines):
    press(widget, "start").click()
    before = settled(lines)
    slider(widget, "USD a picture").focus()
    chapter.page.keyboard.press("ArrowLeft")
    after = changed(lines, before)
    assert differ(mask(after, canvas.GREEN), mask(before, canvas.GREEN))
    widget.get_by_text("at no volume", exact=False).wait_for()


def test_a_case_sets_the_sliders_and_start_brings_them_back(widget, lines):
    press(widget, "start").click()
    first = settled(lines)
    press(widget, "four steps").click()
    second = changed(lines, first)
    widget.get_by_text("changes steps = 4", exact=False).wait_for()
    press(widget, "start").click()
    assert not differ(changed(lines, second), first)


def test_sliders_answer_at_once(chapter, widget, lines):
    press(widget, "start").click()
    settled(lines)
    page = chapter.page
    page.evaluate(KEYS)
    watch(lines)
    slider(widget, "pictures/month").focus()
    waits = []
    for _ in range(PRESSES):
        page.keyboard.press("ArrowLeft")
        page.wait_for_function("() => window.seen.frames.some(frame => frame[0] > window.keys.at(-1))", timeout=15_000)
        pressed = page.evaluate("() => window.keys.at(-1)")
        waits.append(next(when for when, _ in frames(page) if when > pressed) - pressed)
    print(f"sliders answer after {median(waits):.0f} ms (the slowest of {PRESSES}: {max(waits):.0f} ms)")
    assert median(waits) <= ANSWER_MS


@pytest.mark.parametrize("width", [1024, 390])
def test_no_label_is_clipped(chapter, widget, width):
    chapter.resize(width)
    assert chapter.clipped(widget) == []


def test_the_console_is_clean(chapter):
    assert chapter.complaints == []
