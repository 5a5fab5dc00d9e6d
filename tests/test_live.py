"""What a training cell shows: nothing in a log file, one line and one picture in a notebook, at a bounded cost.

And how it stops: by an interrupt, whenever it comes.
"""

import base64
import io
import itertools
import signal
import sys
import threading
from types import SimpleNamespace

import pytest
from notebooks import executed

from gan_course import live, plots

ALT = "A figure of no account."
HANDLER = signal.getsignal(signal.SIGINT)


@pytest.fixture(autouse=True)
def interrupts_as_before():
    yield
    assert signal.getsignal(signal.SIGINT) is HANDLER


def interrupt(*_):
    signal.raise_signal(signal.SIGINT)  # what Ctrl-C and the notebook's own stop button send


# ------------------------------------------------------------------------------------------ scripts and terminals


def test_a_script_sees_nothing_and_keeps_the_final_figure(capsys):
    drawn = []

    def draw():
        drawn.append(view.done)
        return f"figure {view.done}"

    with live.LiveView(10, draw, ALT) as view:
        for step in range(10):
            view.update(step + 1, "D 1.38")
    assert drawn == [10] and view.figure == "figure 10"
    assert capsys.readouterr() == ("", "")


def test_a_bar_in_a_terminal(monkeypatch, capsys):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with live.LiveView(40) as view:
        assert view.bar.mininterval == live.PAUSE
        view.bar.mininterval = 0
        view.update(10, "D 1.38 G 0.69")
        view.update(30, "D 1.20 G 0.80")
        assert view.bar.n == 30
    shown = terminal.getvalue()
    assert "30/40" in shown and "D 1.20 G 0.80" in shown
    assert shown.split("\r")[-1].strip() == "" and shown.split("\r")[-2].strip() == ""  # it is wiped away at the end
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------------------------ a notebook, pretended


class Notebook:
    """A pretended notebook whose clock only moves when something costs time."""

    def __init__(self, monkeypatch, cost=0.0, line=0.0):  # seconds: of a drawing, of whatever is displayed
        self.now, self.cost, self.line = 0.0, cost, line
        self.drawn, self.shown = [], []  # when pictures were drawn; (when, what) was displayed
        monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(plots, "in_notebook", lambda: True)
        monkeypatch.setattr(plots, "mime_bundle", self.bundle)
        monkeypatch.setattr("IPython.display.display", self.display)

    def draw(self):
        self.drawn.append(self.now)
        self.now += self.cost
        return "a figure"

    def bundle(self, figure, alt, quick):
        return {"image/png": b"quick" if quick else b"good"}, {"image/png": {"alt": alt}}

    def display(self, data, metadata, raw, display_id):
        def update(data, metadata, raw):
            self.shown.append((self.now, data))
            self.now += self.line

        update(data, metadata, raw)
        return SimpleNamespace(update=update)

    def view(self, steps=100):
        return live.LiveView(steps, self.draw, ALT)

    def train(self, seconds, tick=0.05):
        """Train for that many ``seconds``, all that is shown not counted."""
        steps = round(seconds / tick)
        with self.view(steps) as view:
            for step in range(steps):
                self.now += tick
                view.update(step + 1)
        return view

    def lines(self):
        return [data["text/plain"] for _, data in self.shown if "text/plain" in data]

    def pictures(self):
        return [data["image/png"] for _, data in self.shown if "image/png" in data]


@pytest.mark.parametrize("seconds", [12, 40, 200])
@pytest.mark.parametrize("line", [0.0005, 0.002])
@pytest.mark.parametrize("cost", [0.02, 0.05, live.GUESS])
def test_all_that_is_shown_takes_a_bounded_share_of_the_training(monkeypatch, cost, line, seconds):
    """The same steps with and without the view: the first and the final picture and all lines count."""
    notebook = Notebook(monkeypatch, cost, line)
    notebook.train(seconds)
    lines, pictures = len(notebook.lines()) * line, len(notebook.drawn) * (cost + line)
    assert notebook.now - seconds == pytest.approx(lines + pictures)
    assert live.SHARE + live.LINES < 0.03
    assert pictures <= live.SHARE * seconds + 1e-9
    late = 0.05 * live.SHARE / (cost + line)  # a picture waits for the end of a step
    assert pictures >= live.SHARE * seconds / (1 + late) - 3 * (cost + line)  # and that share is used
    assert notebook.drawn[0] < 0.6  # a student need not wait for the first one
    assert lines - 2 * line <= 1.05 * live.LINES * seconds


@pytest.mark.parametrize("when", [0, 20], ids=["the first of a kernel", "another program was in the way"])
def test_a_dear_picture_is_paid_off_before_the_next(monkeypatch, when):
    notebook = Notebook(monkeypatch)
    with notebook.view(4000) as view:
        for step in range(4000):
            notebook.cost = 0.5 if when <= notebook.now < when + 1 else 0.02
            notebook.now += 0.05
            view.update(step + 1)
    dear = next(i for i, drawn in enumerate(notebook.drawn) if drawn >= when)
    assert notebook.drawn[dear + 1] - notebook.drawn[dear] >= 0.5 / live.SHARE
    assert notebook.now - 200 <= live.SHARE * 200


def test_a_run_of_seconds_draws_the_final_figure_alone(monkeypatch):
    notebook = Notebook(monkeypatch, cost=0.1)
    notebook.train(2)
    assert notebook.drawn == pytest.approx([2.0]) and notebook.pictures() == [b"good"]


def test_cheap_pictures_and_lines_come_no_faster_than_the_eye(monkeypatch):
    notebook = Notebook(monkeypatch)
    notebook.train(20)
    moments = sorted({round(when, 6) for when, _ in notebook.shown})
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments[:-1])]  # the last is the end
    assert min(gaps) >= 0.2 - 1e-6 and len(moments) > 70
    assert len(notebook.lines()) <= 5 * 20 + 2 and len(notebook.pictures()) <= 5 * 20 + 2
    lines = notebook.lines()
    assert lines[0].startswith("  0%") and lines[-1].startswith("100%") and "400/400" in lines[-1]
    assert "[00:05<00:1" in lines[len(lines) // 4], "the time that remains"
    assert set(notebook.pictures()[:-1]) == {b"quick"} and notebook.pictures()[-1] == b"good"


def test_the_text_stays_until_there_is_another(monkeypatch):
    notebook = Notebook(monkeypatch)
    with notebook.view(10) as view:
        for step in range(10):
            notebook.now += 1.0
            view.update(step + 1, "D 1.38" if step == 4 else None)
    assert ["D 1.38" in line for line in notebook.lines()] == [False] * 5 + [True] * 7


def test_the_last_picture_is_drawn_whatever_ended_the_run(monkeypatch):
    notebook = Notebook(monkeypatch, cost=0.1)
    view = notebook.view()
    with pytest.raises(RuntimeError, match="boom"), view:
        notebook.now = 10.0
        view.update(7)
        notebook.now = 10.2
        raise RuntimeError("boom")
    assert notebook.drawn == [10.0, 10.2]


def test_an_error_of_the_drawing_is_told_once(monkeypatch):
    notebook = Notebook(monkeypatch)
    view = live.LiveView(10, lambda: 1 / 0, ALT)
    with pytest.raises(ZeroDivisionError) as caught, view:
        for step in range(10):
            notebook.now += 10.0
            view.update(step + 1)
    assert caught.value.__context__ is None and view.done == 1
    with pytest.raises(ZeroDivisionError), live.LiveView(10, lambda: 1 / 0, ALT):
        pass  # it is told where nothing else went wrong


# ------------------------------------------------------------------------------------------ stopping


def train(notebook, view, steps=10, tick=1.0):
    done = []
    with view:
        for step in range(1, steps + 1):
            notebook.now += tick
            done.append(step)
            view.update(step, f"loss {step}")
    return done


STOPPED = "Stopped by hand after step {}. What was learned is kept.\n"


def test_a_stop_ends_the_block_at_the_next_update_and_no_more(monkeypatch, capsys):
    notebook = Notebook(monkeypatch)
    view = notebook.view(10)
    view.draw = lambda: interrupt() if view.done == 3 else notebook.draw()
    assert train(notebook, view, tick=2.0) == [1, 2, 3, 4]
    assert capsys.readouterr().out == STOPPED.format(4)
    assert notebook.drawn[-1] == 8.0 and notebook.pictures()[-1] == b"good" and "4/10" in notebook.lines()[-1]


def test_an_interrupt_waits_for_the_step_under_way(monkeypatch, capsys):
    notebook = Notebook(monkeypatch)
    finished = []
    with notebook.view(10) as view:
        for step in range(1, 11):
            notebook.now += 1.0
            if step == 3:
                interrupt()
                interrupt()  # an impatient student
            finished.append(step)
            view.update(step)
    assert finished == [1, 2, 3] and notebook.drawn[-1] == 3.0
    assert capsys.readouterr().out == STOPPED.format(3)


def test_an_interrupt_in_the_midst_of_a_drawing(monkeypatch, capsys):
    notebook = Notebook(monkeypatch)
    view = notebook.view(10)
    view.draw = lambda: (interrupt() if view.done == 3 else None, notebook.draw())[1]
    assert train(notebook, view, tick=2.0) == [1, 2, 3, 4]
    assert notebook.drawn == [2.0, 4.0, 6.0, 8.0]  # the one that was under way, and the final one
    assert capsys.readouterr().out == STOPPED.format(4)


def test_an_interrupt_in_the_midst_of_the_final_drawing(monkeypatch, capsys):
    notebook = Notebook(monkeypatch)
    view = notebook.view(10)
    view.draw = lambda: (interrupt() if view.done == 10 else None, notebook.draw())[1]
    assert train(notebook, view) == list(range(1, 11))
    assert notebook.pictures()[-1] == b"good" and "10/10" in notebook.lines()[-1]
    assert capsys.readouterr().out == ""  # the run was over


def test_a_second_interrupt_comes_through_where_the_first_one_waits_too_long(monkeypatch, capsys):
    notebook = Notebook(monkeypatch)
    with notebook.view(10) as view:
        interrupt()
        notebook.now += live.STUCK + 1  # a step that never ends
        interrupt()
        raise AssertionError("the second one should have come through")
    assert view.done == 0 and capsys.readouterr().out == STOPPED.format(0)
    assert notebook.pictures() == [b"good"]


def test_an_ignored_interrupt_stays_ignored(monkeypatch):
    monkeypatch.setattr(live.signal, "getsignal", lambda number: signal.SIG_IGN)
    with live.LiveView(10) as view:
        assert view.handler is None


def test_a_view_within_a_view_gives_the_interrupt_back(monkeypatch, capsys):
    with live.LiveView(10) as outer:
        with live.LiveView(10) as inner:
            interrupt()
            inner.update(1)
        assert outer.interrupted is None
        interrupt()
        assert outer.interrupted is not None


def test_a_view_in_another_thread_leaves_interrupts_alone():
    seen = []

    def work():
        with live.LiveView(10) as view:
            seen.append(view.handler)
            view.update(1)
            raise KeyboardInterrupt
        seen.append("went on")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None, "went on"]


def test_how_to_stop_is_told_while_it_runs_and_not_afterwards(monkeypatch):
    notebook = Notebook(monkeypatch)
    notebook.train(10)
    *during, last = notebook.lines()
    assert all(line.endswith(f"\n{live.HINT}") for line in during) and live.HINT not in last and "\n" not in last


# ------------------------------------------------------------------------------------------ real kernels


TRAIN = """
import signal
from gan_course import data, networks, plots
from gan_course.training import Trainer

real = data.load("ring").images
trainer = Trainer(networks.PointGenerator(hidden=8), networks.PointDiscriminator(hidden=8), real)

def draw():
    figure, ax = plots.new_figure(size=(2, 2))
    plots.draw_points(ax, real=real[:50], fake=trainer.sample(50))
    return figure

log = trainer.run(60, draw, alt="Blue real points and orange generated ones.", tensorboard="events")
"""
INTERRUPT = """
def stop():
    if trainer.steps == 90:
        signal.raise_signal(signal.SIGINT)  # what the notebook's stop button sends

log = trainer.run(1000, draw, alt="Blue real points and orange generated ones.", watch=stop)
"""
SHOW = """
import matplotlib.pyplot as plt
figure, ax = plt.subplots(figsize=(2, 2))
plots.show(figure, alt="An empty pair of axes, drawn by hand.")
print(log["step"][-1])
"""


def outputs(cell):
    for output in cell.outputs:
        assert output.output_type in {"display_data", "stream"}, output
        assert output.get("name") != "stderr", output
    line = [o.data["text/plain"] for o in cell.outputs if o.output_type == "display_data" and "image/png" not in o.data]
    pictures = [o for o in cell.outputs if o.output_type == "display_data" and "image/png" in o.data]
    assert all(set(o.data) == {"image/png", "text/plain"} for o in pictures)
    text = "".join(o.text for o in cell.outputs if o.output_type == "stream")
    return line, pictures, text


def test_in_a_real_kernel(tmp_path):
    notebook = executed(tmp_path, TRAIN, INTERRUPT, SHOW)
    train, interrupt, show = map(outputs, notebook.cells)
    assert "widgets" not in notebook.metadata
    assert "widget" not in str([cell.outputs for cell in notebook.cells])

    (line,), (picture,), text = train
    assert line.startswith("100%") and "60/60" in line and "D " in line and "\n" not in line
    assert base64.b64decode(picture.data["image/png"]).startswith(b"\x89PNG")
    assert picture.metadata["image/png"]["alt"] == "Blue real points and orange generated ones."
    assert text == ""
    assert list((tmp_path / "events").glob("events.out.tfevents.*"))

    (line,), (picture,), text = interrupt
    assert "/1000" in line and live.HINT not in line
    assert text.startswith("Stopped by hand after step 90.") and text.count("\n") == 1

    lines, (picture,), text = show
    assert lines == [] and text == "90\n"
    assert picture.metadata["image/png"]["alt"] == "An empty pair of axes, drawn by hand."
