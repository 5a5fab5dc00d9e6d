"""Chapter 07 in the browser: the diffusion explorer, and a training that is stopped by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from lab_page import changed, choose_next, differ, drag, pixels, settled, slider, visible

CHAPTER = "07"
WIDGET = "diffusion_explorer("  # calls it
MINUTES = 15  # on a busy machine; 2 are the rule
TIME = "timestep"


@pytest.fixture(scope="module")
def into(widget):
    return widget.locator("img.widget-image").nth(0)


@pytest.fixture(scope="module")
def out(widget):
    return widget.locator("img.widget-image").nth(1)


def tiles(picture: np.ndarray, side: int, pitch: int, count: int, top: int = 84) -> list[np.ndarray]:
    """The small pictures in one row of a large one."""
    found = [picture[top : top + side, 10 + pitch * i : 10 + pitch * i + side] for i in range(count)]
    return [tile.astype(float) for tile in found]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """How much two small pictures differ: the mean over their pixels, 0 to 255."""
    return float(np.abs(a - b).mean())


def move(widget, image, to: float) -> np.ndarray:
    """Drag the slider of time and return the new picture."""
    before = pixels(image)
    drag(slider(widget, TIME), to)
    changed(image, before)
    return settled(image)


def test_a_still_stands_there_before_any_cell_has_run(widget):
    assert visible(widget.locator(".jp-OutputArea img").first)


def test_all_cells_run(chapter, into, out):
    print(f"all cells ran in {chapter.run_all(MINUTES):.0f} s")
    assert visible(into) and visible(out)


def test_a_picture_goes_into_the_noise(widget, into):
    real, noisy, _ = tiles(move(widget, into, 1.0), 224, 238, 3)
    assert distance(real, noisy) > 50
    real, noisy, guess = tiles(move(widget, into, 0.0), 224, 238, 3)
    assert distance(real, noisy) < 10 and distance(real, guess) < 20
    noisy = [tiles(move(widget, into, to), 224, 238, 3)[1] for to in (0.25, 0.5, 0.75)]
    far = [distance(real, tile) for tile in noisy]
    assert far == sorted(far), f"more time, more noise: {far}"


def test_noise_comes_out_differently_under_each_guidance(chapter, widget, into, out):
    before = pixels(out)
    slider(widget, TIME).focus()
    chapter.page.keyboard.press("End")
    changed(out, before)
    noise = tiles(settled(out), 166, 178, 4)
    assert all(distance(noise[0], tile) == 0 for tile in noise), "all four start in the same noise"
    before = pixels(out)
    chapter.page.keyboard.press("Home")
    changed(out, before)
    painted = tiles(settled(out), 166, 178, 4)
    assert all(distance(noise[0], tile) > 30 for tile in painted)
    assert all(distance(a, b) > 5 for a, b in pairwise(painted)), "guidance changes the picture"


def test_the_keyboard_moves_time_by_one_stop(chapter, widget, into):
    slider(widget, TIME).focus()
    chapter.page.keyboard.press("Home")
    before = settled(into)
    chapter.page.keyboard.press("ArrowRight")
    changed(into, before)
    shown = settled(into)
    widget.get_by_text("Timestep 9 of").wait_for()
    chapter.page.keyboard.press("ArrowLeft")
    changed(into, shown)
    assert not differ(settled(into), before)


def test_schedule_steps_picture_and_seed(chapter, widget, into, out):
    move(widget, into, 0.5)
    before, drawn = settled(into), settled(out)
    choose_next(widget.get_by_label("picture"))
    after = changed(into, before)
    assert distance(tiles(before, 224, 238, 1)[0], tiles(after, 224, 238, 1)[0]) > 5, "another class"
    drawn, before = changed(out, drawn), settled(into)
    menu = widget.get_by_label("schedule")
    names = menu.locator("option").all_inner_texts()
    menu.select_option(label=next(name for name in names if name != menu.input_value()))
    real, noisy, _ = tiles(changed(into, before), 224, 238, 3)
    assert distance(real, tiles(before, 224, 238, 1)[0]) == 0 and distance(noisy, tiles(before, 224, 238, 2)[1]) > 1
    changed(out, drawn)
    drawn = settled(out)
    slider(widget, "steps").focus()
    chapter.page.keyboard.press("ArrowLeft")
    changed(out, drawn)
    drawn = settled(out)
    seed = widget.get_by_label("seed")
    seed.fill("a")
    seed.press("Enter")
    widget.get_by_text("The seed must be a whole number").wait_for()
    seed.fill("5")
    seed.press("Enter")
    changed(out, drawn)


def test_an_interrupt_keeps_what_was_learned(chapter):
    cell = chapter.cell("with LiveView(STEPS")
    print_state = (
        "print(view.done, sum(float(p.detach().double().sum()) for p in network.parameters()),"
        " all(bool(p.isfinite().all()) for p in network.parameters()))"
    )
    _, before, _ = chapter.ask(print_state).split()
    chapter.run(cell)
    chapter.page.wait_for_function(
        "cell => /\\b([5-9]|\\d\\d+)\\/\\d+ /.test(cell.innerText)", arg=cell.element_handle()
    )
    for key in ("Escape", "i", "i"):
        chapter.page.keyboard.press(key)
    cell.get_by_text("Stopped by hand after step").wait_for(timeout=15_000)
    done, after, finite = chapter.ask(print_state).split()
    steps = int(chapter.ask("print(STEPS)"))
    assert 0 < int(done) < steps / 2 and after != before and finite == "True"
    assert f"after step {done}." in cell.locator(".jp-OutputArea").inner_text()
    assert visible(cell.locator(".jp-OutputArea img").last), "the last picture is gone"


@pytest.mark.parametrize("width", [1024, 390])
def test_no_label_is_clipped(chapter, widget, width):
    chapter.resize(width)
    assert chapter.clipped(widget) == []


def test_the_console_is_clean(chapter):
    assert chapter.complaints == []
