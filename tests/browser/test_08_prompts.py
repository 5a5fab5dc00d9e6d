"""Chapter 08 in the browser: the prompt bench paints what its menus say."""

from __future__ import annotations

import numpy as np
import pytest
from lab_page import changed, choose_next, differ, pixels, settled, slider, visible

from gan_course.data.attributes import COLOURS

CHAPTER = "08"
WIDGET = "prompt_bench(pipeline"  # calls it for digits
MINUTES = 15  # on a busy machine; 2 are the rule
PAINTING = 60  # seconds for a picture


@pytest.fixture(scope="module")
def picture(widget):
    return widget.locator("img.widget-image").nth(0)


@pytest.fixture(scope="module")
def paint(widget):
    return widget.get_by_role("button", name="Paint", exact=True)


def small(image: np.ndarray) -> np.ndarray:
    """The 32 × 32 pixels that were painted."""
    step = len(image) // 32
    return image[step // 2 :: step, step // 2 :: step][:32, :32].astype(int)


def background(image: np.ndarray) -> str:
    """The name of the colour at the picture's edge."""
    edge = np.concatenate([image[:2].reshape(-1, 3), image[-2:].reshape(-1, 3)])
    middle = np.median(edge, axis=0) / 255
    return min(COLOURS, key=lambda name: float(np.abs(np.array(COLOURS[name]) - middle).sum()))


def test_a_still_stands_there_before_any_cell_has_run(widget):
    assert visible(widget.locator(".jp-OutputArea img").first)


def test_all_cells_run(chapter, picture):
    print(f"all cells ran in {chapter.run_all(MINUTES):.0f} s")
    assert visible(picture)


def test_another_background_by_mouse(widget, picture, paint):
    first = pixels(picture)
    assert background(small(first)) == "purple"
    widget.get_by_label("background").select_option(label="black")
    widget.get_by_text("on a black background").first.wait_for()
    assert not differ(pixels(picture), first), "it paints when told to, not before"
    paint.click()
    second = changed(picture, first, PAINTING)
    assert background(small(second)) == "black"
    older = widget.locator("img.widget-image").nth(2)  # behind the large one and the newest of the history
    assert not differ(small(settled(older)), small(first))


def test_another_seed_by_keyboard_and_back_again(chapter, widget, picture, paint):
    first, seed = pixels(picture), widget.get_by_label("seed")
    old = seed.input_value()
    for text in ("123", old):
        before = pixels(picture)
        seed.focus()
        chapter.page.keyboard.press("Control+a")
        chapter.page.keyboard.type(text)
        chapter.page.keyboard.press("Tab")
        paint.focus()
        chapter.page.keyboard.press("Enter")
        last = changed(picture, before, PAINTING)
    assert not differ(last, first), "the same seed must paint the same picture"
    assert widget.locator("img.widget-image:visible").count() == 5


def test_another_character_by_keyboard_and_what_one_step_makes_of_it(chapter, widget, picture, paint):
    choose_next(widget.get_by_label("character"))
    widget.get_by_text("Prompt: a large yellow eight").wait_for()
    before = pixels(picture)
    paint.click()
    eight = changed(picture, before, PAINTING)
    slider(widget, "steps").focus()
    chapter.page.keyboard.press("Home")
    paint.click()
    rough = changed(picture, eight, PAINTING)
    widget.get_by_text("1 step,").first.wait_for()
    colours = [len(np.unique(small(image).reshape(-1, 3) // 32, axis=0)) for image in (eight, rough)]
    assert colours[1] > 2 * colours[0], f"one step from the noise looks as clean as 25: {colours}"


def test_a_senseless_seed_is_answered_by_a_sentence(widget, picture, paint):
    before, field = pixels(picture), widget.get_by_label("seed")
    field.fill("abc")
    field.press("Tab")
    paint.click()
    widget.get_by_text("Not painted: The seed must be a whole number").wait_for()
    assert not differ(pixels(picture), before)


@pytest.mark.parametrize("width", [1024, 390])
def test_no_label_is_clipped(chapter, widget, width):
    chapter.resize(width)
    assert chapter.clipped(widget) == []


def test_the_console_is_clean(chapter):
    assert chapter.complaints == []
