"""The widgets behind their controls: what a press, a turn, a wrong value and a closed page do. No browser is needed."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from notebooks import executed
from widget_page import receive, said

from gan_course import widgets
from gan_course.commands import notebooks
from gan_course.widgets import controls, lab_view, loss_view, presets
from gan_course.widgets.clinic_view import ClinicView
from gan_course.widgets.lab_view import LabView
from gan_course.widgets.loss_view import LossView


@pytest.fixture
def view():
    made = LabView()
    yield made
    made.close()


def play(view, seconds=1.0):
    async def press():
        view.play_button.click()
        await asyncio.sleep(seconds)
        done = view.lab.steps, view.playing
        view.pause()
        await asyncio.sleep(0.3)
        return done

    return asyncio.run(press())


# ------------------------------------------------------------------------------------------ GAN Lab


def test_playing_steps_paints_and_leaves_the_loop_free(view):
    async def both():
        view.play_button.click()
        assert view.play_button.description == "Pause"
        ticks, pictures = 0, set()
        for _ in range(60):
            await asyncio.sleep(0.02)
            ticks += 1
            pictures.add(view.plane.value)
        view.play_button.click()
        steps = view.lab.steps
        await asyncio.sleep(0.3)
        return ticks, pictures, steps, view.lab.steps

    ticks, pictures, steps, later = asyncio.run(both())
    assert ticks == 60 and len(pictures) >= 4
    assert steps == later > 20 and view.play_button.description == "Play"
    assert f"Step {steps:,}" in view.figures.value


def test_slow_motion_shows_one_turn_at_a_time(view):
    view.speed.value = "half"
    view.step_button.click()
    assert view.title() == "step 1"
    view.half_button.click()
    assert view.title() == "step 1: the discriminator has moved" and view.before is None
    before = view.plane.value
    view.half_button.click()
    assert view.title() == "step 2: the generator has moved" and view.before is not None
    assert view.plane.value != before
    assert play(view, 0.5)[0] == 2  # one half-step in half a second: the discriminator's


def test_a_knob_turns_the_running_game_and_a_preset_sets_all_knobs(view):
    view.lab.step(5)
    view.knobs["discriminator_lr"].value = 1e-4
    assert view.lab.knobs.discriminator_lr == 1e-4 and view.lab.steps == 5
    view.knobs["prior"].value = ("normal", 1)
    assert (view.lab.knobs.prior_dim, view.lab.steps) == (1, 0) and "fresh start" in said(view)
    view.presets.value = "saturates"
    assert view.lab.knobs == presets.PRESETS["saturates"].knobs
    assert view.knobs["loss"].value == "saturating" and view.knobs["discriminator_steps"].value == 10
    assert "arrows" in view.question.value and not view.playing


def test_a_preset_keeps_the_seed_and_reset_starts_anew(view):
    view.knobs["seed"].value = "7"
    view.presets.value = "collapses"
    assert view.lab.knobs.seed == 7 and view.knobs["seed"].value == "7"
    first = view.plane.value
    view.step_button.click()
    assert view.plane.value != first
    view.reset_button.click()
    assert view.lab.steps == 0 and view.plane.value == first


@pytest.mark.parametrize("wrong", ["abc", "", "1.5", "-3", "99999999999999999999"])
def test_a_malformed_seed_becomes_a_sentence(view, wrong, capsys):
    view.knobs["seed"].value = wrong
    assert "whole number" in said(view)
    assert view.knobs["seed"].value == "0" and view.lab.knobs.seed == 0
    assert capsys.readouterr() == ("", "")


MALFORMED = ({"index": 999}, {"index": "x"}, {"index": None}, {"value": {"no": "value"}}, {"value": None},
             {"value": "x"})  # fmt: skip


def test_a_malformed_message_from_the_page_is_dropped(view, capsys):
    view.knobs["target"].value = "drawn"
    clinic, explorer = ClinicView(), LossView()
    everything = [
        *view.knobs.values(), *view.layers.values(), view.speed, view.presets, *list(view.board.cells.values())[:2],
        clinic.cause, clinic.presets, explorer.real, explorer.fake, explorer.loss,
    ]  # fmt: skip
    for widget in everything:
        value = widget.value
        for state in MALFORMED:
            if state == {"value": "x"} and widget is view.knobs["seed"]:
                continue  # a text may be any text: what becomes of it stands in the test above
            receive(widget, state)
        assert widget.value == value
    receive(explorer.real, {"value": 5})
    receive(explorer.fake, {"value": -1})
    assert (explorer.real.value, explorer.fake.value) == (0.999, 0.001)  # as near as it gets
    receive(explorer.fake, {"value": float("nan")})
    assert "a belief lies between 0 and 1" in said(explorer)
    receive(explorer.fake, {"value": 0.25})
    assert said(explorer) == "" and "(-1.10)" in explorer.numbers.value
    clinic.close()
    assert capsys.readouterr() == ("", "")


def test_layers_hide_and_show(view):
    full = view.plane.value
    view.layers["belief"].value = False
    assert view.plane.value != full
    view.layers["belief"].value = True
    assert view.plane.value == full
    view.layers["curves"].value = False
    assert view.curves.layout.display == "none"
    curves = view.curves.value
    view.step_button.click()
    assert view.curves.value == curves  # what is hidden is not painted


def test_drawing_marks_heaps_by_buttons(view):
    assert not view.board.cells and view.board.root.layout.display == "none"
    view.knobs["target"].value = "drawn"
    assert len(view.board.cells) == 81 and view.board.root.layout.display is None
    marked = [place for place, cell in view.board.cells.items() if cell.value]
    assert len(marked) == len(view.lab.centres) == 7
    view.board.cells[0.0, 0.0].value = True
    assert [0.0, 0.0] in view.lab.centres.tolist() and len(view.lab.centres) == 8
    for cell in view.board.cells.values():
        cell.value = False
    assert "mark a cell" in said(view) and len(view.lab.centres) == 1  # the last heap stays
    assert all(cell.tooltip.startswith("heap at ") for cell in view.board.cells.values())
    view.knobs["target"].value = "ring"
    assert view.board.root.layout.display == "none"


def test_a_diverged_game_stops_with_a_sentence(view):
    with torch.no_grad():
        next(view.lab.game.generator.parameters()).fill_(float("nan"))
    assert play(view, 0.5)[1] is False
    assert "beyond all bounds" in said(view)


def test_an_error_while_playing_is_a_sentence(view, monkeypatch, capsys):
    monkeypatch.setattr(view, "paint", lambda: 1 / 0)
    assert play(view, 0.3)[1] is False
    assert said(view) == "Playing stopped: division by zero"
    assert capsys.readouterr() == ("", "")


def test_a_closed_widget_stops_by_itself(view, capsys):
    async def close():
        view.play_button.click()
        await asyncio.sleep(0.3)
        view.root.close()
        await asyncio.sleep(0.3)
        steps = view.lab.steps
        await asyncio.sleep(0.3)
        return steps

    assert asyncio.run(close()) == view.lab.steps
    view.paint()
    for press in (view.step_button, view.half_button, view.reset_button, view.play_button):
        press.click()
    view.presets.value = "saturates"
    view.knobs["target"].value = "drawn"
    assert capsys.readouterr() == ("", "")


def test_a_new_lab_pauses_the_others_and_two_can_play():
    async def two():
        first = LabView()
        first.play_button.click()
        await asyncio.sleep(0.2)
        second = LabView("oscillates")
        assert not first.playing
        first.play_button.click()
        second.play_button.click()
        await asyncio.sleep(0.8)
        steps = first.lab.steps, second.lab.steps
        first.close(), second.close()
        return steps

    assert min(asyncio.run(two())) > 5


def test_a_cell_that_is_run_again_replaces_its_widget(monkeypatch):
    monkeypatch.setattr(controls, "cell", lambda: "cell-1")
    first, other = LabView(), LabView()
    first.show(steps=1)
    other.cell = "cell-2"
    second = LabView()
    second.show(steps=1)
    assert first.closed and not second.closed and not other.closed
    parts = [*first.knobs.values(), *first.layers.values(), first.plane, first.question]
    assert all(widget.comm is None for widget in parts)  # nothing of it is kept
    second.close(), other.close()


def test_two_explorers_do_not_disturb_each_other():
    first, second = LossView(), LossView(0.5, 0.5)
    numbers = first.numbers.value
    second.fake.value = 0.2
    assert first.numbers.value == numbers != second.numbers.value
    controls.close(second.root)
    second.cases["fooled"].click()  # its page is gone
    assert first.numbers.value == numbers


def test_play_left_alone_pauses(view, monkeypatch):
    monkeypatch.setattr(lab_view, "IDLE", 0.2)
    assert play(view, 1.0)[1] is False
    assert "without a touch" in said(view)


def test_reaching_the_presets_end_is_announced_and_play_goes_on(view):
    view.presets.value = "saturates"
    view.lab.step(presets.PRESETS["saturates"].steps - 1)
    steps, playing = play(view, 0.6)
    assert playing and steps > presets.PRESETS["saturates"].steps and "compare with your prediction" in said(view)


@pytest.mark.parametrize("make, sentence", [(LabView, "there is no preset 'x': choose one of converges"),
                                            (ClinicView, "there is no patient 'x': choose one of A, B")])  # fmt: skip
def test_unknown_names(make, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        make("x")


# ------------------------------------------------------------------------------------------ the clinic


def test_the_clinic_hides_the_knobs_until_the_cause_is_named():
    clinic = ClinicView("A")
    assert clinic.knob_row.layout.display == "none"
    clinic.name_button.click()
    assert said(clinic) == "Choose a diagnosis first."
    clinic.cause.value = presets.CAUSES[2]
    clinic.name_button.click()
    assert said(clinic).startswith("No. Look again") and clinic.knob_row.layout.display == "none"
    clinic.cause.value = presets.PATIENTS["A"].cause
    clinic.name_button.click()
    assert said(clinic).startswith("Yes: D learns too slowly.")
    assert clinic.knob_row.layout.display == "flex"
    clinic.presets.value = "B"
    assert clinic.knob_row.layout.display == "none" and clinic.cause.value == ""
    for _ in range(2):
        clinic.cause.value = presets.CAUSES[0]
        clinic.name_button.click()
    assert "settings are open now" in said(clinic) and clinic.knob_row.layout.display == "flex"
    clinic.close()


def test_examining_before_and_after_the_cure():
    clinic = ClinicView("E")
    clinic.examine_button.click()
    assert said(clinic) == "Not healthy, or not yet: 0 of 8 heaps over the last 200 steps."
    clinic.lab.step(5)  # fewer than the log needs for its first entry
    clinic.examine_button.click()
    assert said(clinic) == "Not healthy, or not yet: 0 of 8 heaps over the last 200 steps."
    clinic.lab.step(300)
    clinic.examine_button.click()
    assert said(clinic).startswith("Not healthy") and "`diagnose` reads from the log" in said(clinic)
    clinic.knobs["discriminator_width"].value = 64
    clinic.lab.step(600)
    clinic.examine_button.click()
    assert said(clinic).startswith("Healthy: 8 of 8 heaps")
    clinic.knobs["target"].value = "spiral"
    clinic.examine_button.click()
    assert "choose a target that has some" in said(clinic)
    clinic.close()


# ------------------------------------------------------------------------------------------ the loss explorer


def test_the_documents_example():
    """Ledger S4.3: L_D is 0.2107 and L_G is 2.3026, not 2.45."""
    found = loss_view.push("non_saturating", loss_view.logit(0.9), loss_view.logit(0.1))
    assert [round(x, 4) for x in found] == [0.2107, 2.3026, -0.1, 0.1, -0.9]
    explorer = LossView(0.5, 0.5)
    assert "1.3863" in explorer.table()
    explorer.cases["the document's example"].click()
    assert (explorer.real.value, explorer.fake.value) == (0.9, 0.1)
    assert "0.2107" in explorer.numbers.value and "2.3026" in explorer.numbers.value and "2.45" in said(explorer)


@pytest.mark.parametrize("loss", loss_view.LOSSES)
def test_gradients_by_finite_differences(loss):
    real, fake, h = 0.7, -1.9, 1e-6
    found = loss_view.push(loss, real, fake)

    def slope(entry, d_real, d_fake):
        up, down = (loss_view.push(loss, real + s * d_real, fake + s * d_fake)[entry] for s in (h, -h))
        return (up - down) / (2 * h)

    assert found.d_real == pytest.approx(slope(0, 1, 0), abs=1e-6)
    assert found.d_fake == pytest.approx(slope(0, 0, 1), abs=1e-6)
    assert found.g_fake == pytest.approx(slope(1, 0, 1), abs=1e-6)
    curves = loss_view.curves(loss, real)
    i = 30
    there = loss_view.push(loss, real, loss_view.LOGITS[i].item())
    assert [curves[name][i].item() for name in ("d", "g", "d_slope", "g_slope")] == pytest.approx(
        [there.d_loss, there.g_loss, there.d_fake, there.g_fake], abs=1e-5
    )


def test_dragging_changes_numbers_and_pictures():
    explorer = LossView()
    before = explorer.numbers.value, explorer.left.value, explorer.right.value
    explorer.fake.value = 0.001
    after = explorer.numbers.value, explorer.left.value, explorer.right.value
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert "-0.9990" in after[0]  # the non-saturating push where the fake is spotted
    explorer.loss.value = "saturating"
    assert "-0.0010" in explorer.numbers.value
    for name in loss_view.LOSSES:
        explorer.loss.value = name
        assert said(explorer) == ""


@pytest.mark.parametrize("belief", [0, 1, -0.2, 7])
def test_what_is_no_belief_is_refused(belief):
    with pytest.raises(ValueError, match=f"^a belief lies between 0 and 1 but is {belief}: try 0.9$"):
        widgets.loss_explorer(d_fake=belief)


# ------------------------------------------------------------------------------------------ showing


def test_outside_a_notebook_it_is_one_line(capsys):
    assert widgets.gan_lab() is None and widgets.clinic() is None and widgets.loss_explorer() is None
    assert capsys.readouterr().out == (
        "GAN Lab needs a notebook: open it in JupyterLab or on Colab.\n"
        "The failure clinic needs a notebook: open it in JupyterLab or on Colab.\n"
        "The loss explorer needs a notebook: open it in JupyterLab or on Colab.\n"
    )


def test_importing_the_widgets_loads_nothing_heavy():
    code = "import sys, json; from gan_course import widgets; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(subprocess.check_output([sys.executable, "-c", code], text=True)))
    assert not loaded & {"ipywidgets", "matplotlib", "torch", "PIL"}


KERNEL = [
    "from gan_course import widgets\nwidgets.gan_lab('collapses')",
    "widgets.loss_explorer()\nwidgets.clinic('B')",
    "from gan_course.widgets.lab_view import LabView\nview = LabView()\nview.show(steps=1)\nview.play_button.click()",
    "import asyncio\nawait asyncio.sleep(1)\nprint(view.playing, view.lab.steps > 10)",
    "widgets.gan_lab()  # pauses the one that plays\nprint(view.playing)\nview.close()\nview.paint()",
]


def test_in_a_real_kernel_without_a_page(tmp_path):
    """Each cell leaves one still picture with alternative text, and no traceback and no warning anywhere."""
    notebook = executed(tmp_path, *KERNEL)
    assert "widgets" in notebook.metadata
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    assert {o.output_type for o in outputs} == {"display_data", "stream"}
    assert [o.text for o in outputs if o.output_type == "stream"] == ["True True\n", "False\n"]
    shown = [o for o in outputs if o.output_type == "display_data"]
    assert len(shown) == 5
    for output in shown:
        assert set(output.data) == {"image/png", "text/plain", controls.VIEW}
        assert (
            len(output.metadata["image/png"]["alt"]) > 60
            and output.data["text/plain"] == output.metadata["image/png"]["alt"]
        )
        assert len(output.data["image/png"]) < 90_000

    notebooks.keep_stills(notebook)
    assert "widgets" not in notebook.metadata and "widget" not in nbformat.writes(notebook).split('"source"')[0]
    assert all(set(o.data) == {"image/png", "text/plain"} for o in shown)


def test_no_widget_needs_more_than_core_ipywidgets():
    """Only what ipywidgets 7.7 has, too: no TagsInput, no Stack, no custom widget."""
    used = set()
    for path in Path(widgets.__file__).parent.glob("*.py"):
        used |= set(re.findall(r"\bwidgets\.([A-Z]\w+)", path.read_text(encoding="utf-8")))
    core = {"Box", "Button", "Checkbox", "Dropdown", "FloatSlider", "GridBox", "HTML", "Image", "IntSlider", "Layout",
            "SelectionSlider", "Text", "ToggleButton", "VBox"}  # fmt: skip
    assert used and used <= core
