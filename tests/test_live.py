"""What a training cell shows: nothing in a log file, one line and one picture in a notebook, at a bounded cost."""

import base64
import io
import sys
from types import SimpleNamespace

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from gan_course import live, plots


def test_silent_where_there_is_neither_terminal_nor_notebook(capsys):
    def draw():
        raise AssertionError("nobody would see this figure")

    with live.LiveView(10, draw, alt="A figure that nobody sees.") as view:
        for step in range(10):
            view.update(step + 1, "D 1.38")
    assert capsys.readouterr() == ("", "")


def test_a_bar_in_a_terminal(monkeypatch, capsys):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with live.LiveView(40) as view:
        view.bar.mininterval = 0
        view.update(10, "D 1.38 G 0.69")
        view.update(30, "D 1.20 G 0.80")
        assert view.bar.n == 30
    shown = terminal.getvalue()
    assert "30/40" in shown and "D 1.20 G 0.80" in shown
    assert shown.split("\r")[-1].strip() == "" and shown.split("\r")[-2].strip() == ""  # it is wiped away at the end
    assert capsys.readouterr().out == ""


class Notebook:
    """A pretended notebook whose clock only moves when something costs time."""

    def __init__(self, monkeypatch, cost):
        self.now, self.cost, self.drawn, self.shown = 0.0, cost, [], []
        monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(plots, "in_notebook", lambda: True)
        monkeypatch.setattr(plots, "mime_bundle", lambda figure, alt: ({"image/png": b""}, {"image/png": {"alt": alt}}))
        monkeypatch.setattr("IPython.display.display", self.display)

    def draw(self):
        self.drawn.append(self.now)
        self.now += self.cost

    def display(self, data, metadata, raw, display_id):
        self.shown.append(data)
        return SimpleNamespace(update=lambda data, metadata, raw: self.shown.append(data))

    def train(self, seconds, tick=0.05):
        steps = round(seconds / tick)
        with live.LiveView(steps, self.draw, alt="A figure of no account.") as view:
            for step in range(steps):
                self.now += tick
                view.update(step + 1)


def test_costly_pictures_take_a_bounded_share_of_the_time(monkeypatch):
    notebook = Notebook(monkeypatch, cost=0.5)
    notebook.train(200)
    during = notebook.drawn[1:-1]  # one picture at the start and one at the end are due whatever they cost
    assert len(during) * notebook.cost <= 1.02 * live.SHARE * 200
    assert len(during) * notebook.cost >= 0.9 * live.SHARE * 200  # and that share is used
    gaps = [later - earlier for earlier, later in zip(notebook.drawn, during, strict=False)]
    assert min(gaps) >= notebook.cost / live.SHARE


def test_cheap_pictures_and_lines_come_no_faster_than_the_eye(monkeypatch):
    notebook = Notebook(monkeypatch, cost=0.0)
    notebook.train(20)
    assert 20 / live.PAUSE * 0.7 < len(notebook.drawn) <= 20 / live.PAUSE + 2
    lines = [data["text/plain"] for data in notebook.shown if "text/plain" in data]
    assert len(lines) <= 20 / live.PAUSE + 2
    assert lines[0].startswith("  0%") and lines[-1].startswith("100%") and "400/400" in lines[-1]


def test_the_last_picture_is_drawn_whatever_ended_the_run(monkeypatch):
    notebook = Notebook(monkeypatch, cost=0.1)
    view = live.LiveView(100, notebook.draw, alt="A figure of no account.")
    with pytest.raises(RuntimeError, match="boom"), view:
        notebook.now = 10.0
        view.update(7)
        notebook.now = 10.2
        raise RuntimeError("boom")
    assert notebook.drawn == [0.0, 10.0, 10.2]


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
    notebook = new_notebook(cells=[new_code_cell(source) for source in (TRAIN, INTERRUPT, SHOW)])
    notebook.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    train, interrupt, show = map(outputs, notebook.cells)
    assert "widgets" not in notebook.metadata
    assert "widget" not in str([cell.outputs for cell in notebook.cells])

    (line,), (picture,), text = train
    assert line.startswith("100%") and "60/60" in line and "D " in line and "\n" not in line
    assert base64.b64decode(picture.data["image/png"]).startswith(b"\x89PNG")
    assert picture.metadata["image/png"] == {"alt": "Blue real points and orange generated ones."}
    assert text == ""
    assert list((tmp_path / "events").glob("events.out.tfevents.*"))

    (line,), (picture,), text = interrupt
    assert "/1000" in line
    assert text.startswith("Stopped by hand after step 90.") and text.count("\n") == 1

    lines, (picture,), text = show
    assert lines == [] and text == "90\n"
    assert picture.metadata["image/png"] == {"alt": "An empty pair of axes, drawn by hand."}
