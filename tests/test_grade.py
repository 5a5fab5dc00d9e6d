"""``gan-course grade``: honest submissions get what they are due, hostile ones nothing, and nobody disturbs another."""

from __future__ import annotations

import csv
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from answers import chapter01, chapter02, chapter03, chapter05, chapter07, chapter09, chapter14

from bench import submissions as classes
from gan_course import checks, cli
from gan_course.checks import draws
from gan_course.commands import grade
from gan_course.commands.errors import CourseError
from gan_course.commands.grading import cells, isolation, judge, remote, sandbox, submissions, tables, wire

ROOT = Path(__file__).parents[1]
sandboxed = pytest.mark.skipif(isolation.bubblewrap() is None, reason="needs bubblewrap, and user namespaces")
# One of each kind; `python -m bench.grading` runs them all.
ATTACKS = [
    "endless_loop", "fork_bomb", "eight_gigabytes", "reads_others", "network", "patches_checks", "forges_output",
    "answers_for_its_process", "kills_its_parent", "deletes_its_folder", "fills_the_disk", "leaves_its_process",
]  # fmt: skip


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A small class, graded once: (folder, out, what the honest are due, the hostile)."""
    base = tmp_path_factory.mktemp("class")
    folder, out = base / "in", base / "out"
    folder.mkdir()
    due, hostile = classes.make_class(folder, 8, ATTACKS)
    assert run(folder, out) == 0
    return folder, out, due, hostile


def run(folder, out, *more):
    options = ["--root", str(ROOT), "--out", str(out), "--jobs", "2", "--seconds", "2", *more]
    return cli.main(["grade", str(folder), *options])


@sandboxed
def test_honest_submissions_get_their_points_and_hostile_ones_none(graded):
    _folder, out, due, hostile = graded
    rows = {row["student"]: row for row in table(out / "totals.csv")}
    assert {name: float(rows[name]["points"]) for name in due} == due
    assert rows.keys() == due.keys() | set(hostile)
    assert {name: rows[name]["points"] for name in hostile} == dict.fromkeys(hostile, "0")
    messages = {name: "" for name in hostile}
    for row in table(out / "tasks.csv"):
        messages[row["student"]] = messages.get(row["student"], "") + row["message"]
    assert all(rows[name]["remarks"] or messages[name] for name in hostile)
    assert not any(rows[name]["remarks"] for name in due)


@sandboxed
def test_what_an_attack_found_is_nothing(graded):
    folder, out, due, hostile = graded
    rows = {row["student"]: row for row in table(out / "totals.csv")}
    text = (out / "tasks.csv").read_text(encoding="utf-8-sig")
    assert "root:x:0" not in text and "'reached []'" in text
    assert "imports socket" in rows["attack_network"]["remarks"]
    assert "MemoryError" in text
    assert {"link": "link", "no_json": "JSON", "too_large": "MB", "pipe": "no ordinary file"}.items() <= {
        name: word
        for name, word in {"link": "link", "no_json": "JSON", "too_large": "MB", "pipe": "no ordinary file"}.items()
        if word in rows[name]["remarks"]
    }.items()
    assert sorted(path.name for path in folder.iterdir()) == sorted([*due, *hostile])


@sandboxed
def test_a_second_run_changes_nothing_and_grades_only_what_is_new(graded):
    folder, out, _due, _hostile = graded
    before = {name: (out / name).read_bytes() for name in ("totals.csv", "tasks.csv", "mistakes.csv")}
    kept = {path: path.stat().st_mtime_ns for path in (out / "results").iterdir()}
    (next(iter(kept))).unlink()  # as if it had been stopped before the last one
    gone = next(iter(kept))
    started = time.monotonic()
    assert run(folder, out) == 0
    assert time.monotonic() - started < 300
    assert gone.exists()
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items() if path != gone)
    timeless = lambda text: [{k: v for k, v in row.items() if k != "seconds"} for row in text]  # noqa: E731
    secret = int((out / "secret.txt").read_text(encoding="utf-8"))
    assert 1 <= secret <= draws.MOST and f"secret: {secret}." in (out / "index.html").read_text(encoding="utf-8")
    for name in before:
        now = (out / name).read_bytes()
        reader = (list(csv.DictReader(c.decode("utf-8-sig").splitlines())) for c in (before[name], now))
        assert timeless(next(reader)) == timeless(next(reader))


@sandboxed
def test_the_teachers_table_has_the_most_common_mistake_first(graded):
    rows = table(graded[1] / "mistakes.csv")
    assert rows and all(row["hint they got"] for row in rows)
    of_ring = [int(row["students"]) for row in rows if row["task"] == "ring"]
    assert of_ring == sorted(of_ring, reverse=True)


# ------------------------------------------------------------------------------------------ without isolation


def test_without_isolation_it_runs_nothing_and_says_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(isolation, "bubblewrap", lambda: None)
    classes.write(tmp_path / "in" / "me" / "01_concepts.ipynb", classes.empty("01_concepts")[0])
    assert run(tmp_path / "in", tmp_path / "out") == 2
    assert "--trust" in capsys.readouterr().err
    assert not (tmp_path / "out" / "totals.csv").exists()
    assert isolation.isolation(trust=True) == "none"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--jobs", "0"], "--jobs must be 1 or more"),
        (["--seconds", "0"], "--seconds must be above 0"),
        (["--memory", "5"], "--memory must be 100 or more"),
        (["--secret", "0"], "--secret must be a number from 1 to 4,000,000 but is 0"),
    ],
)
def test_requests_that_make_no_sense_are_refused(options, words, tmp_path, capsys):
    assert run(tmp_path, tmp_path.parent / "out", *options) == 2
    assert words in capsys.readouterr().err


def test_a_folder_keeps_its_secret_until_another_is_given(tmp_path):
    first, other = tmp_path / "secret.txt", tmp_path / "other.txt"
    secret = grade.recorded(first, None)
    assert grade.recorded(first, None) == secret == int(first.read_text(encoding="utf-8"))
    assert grade.recorded(first, 7) == 7 == grade.recorded(first, None)
    assert secret != grade.recorded(other, None)  # once in four million tests
    other.write_text("damaged", encoding="utf-8")
    assert 1 <= grade.recorded(other, None) <= draws.MOST


# ------------------------------------------------------------------------------------------ the stand-ins


CHAPTERS = [chapter01, chapter02, chapter03, chapter05, chapter07, chapter09, chapter14]
# Tasks whose arguments or results are more than tensors: networks, optimizers, fields, gradients, functions.
CROSSING = ["ring", "arrows", "losses_from_logits", "r1_penalty", "make_generator", "discriminator_step"]
CROSSING += [
    "update_average",
    "cured_round",
    "memory_share",
    "diffusion_loss",
    "flow_walk",
    "ask_teacher",
    "sensitivities",
]


@pytest.fixture(scope="module")
def elsewhere():
    """(task, answer) for right and wrong answers, and a sandbox that holds them all."""
    source, found = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n", []
    for chapter in CHAPTERS:
        module = chapter.__name__.rpartition(".")[2]
        source += f"from answers import {module}\n"
        for kind in ("RIGHT", "WRONG"):
            for task in CROSSING:
                for number, row in list(enumerate(getattr(chapter, kind).get(task, [])))[:2]:
                    name = f"{kind}_{task}_{number}"
                    take = "[0]" * isinstance(row, tuple)
                    source += f"{name} = {module}.{kind}[{task!r}][{number}]{take}\n"
                    found.append((task, name, row[0] if isinstance(row, tuple) else row))
    remote.by_value()
    names = [name for _, name, _ in found]
    box = sandbox.Sandbox([source], names, "none", isolation.Limits(total=1000), time.monotonic() + 1000)
    box.start()
    assert box.why is None and set(names) == box.defined.keys(), (box.why, box.faults)
    yield found, box
    box.end()


@pytest.mark.parametrize("task", CROSSING)
def test_a_check_says_the_same_of_an_answer_in_another_process(task, elsewhere, capsys):
    def said(answer):
        try:
            getattr(checks, f"check_{task}")(answer)
        except checks.CheckFailed as failure:
            return str(failure)
        return "passed"

    found, box = elsewhere
    with ThreadPoolExecutor(1) as pool:  # in the main thread, the check's own clock would ring on a crowded machine
        for _, name, answer in (row for row in found if row[0] == task):
            here = pool.submit(said, answer).result()
            there = pool.submit(said, remote.stand_in(box, name)).result()
            if task.startswith("make_"):  # their weights are drawn when the answers are imported, here and there
                here, there = (re.sub(r"got: .*", "", text) for text in (here, there))
            assert there == here
            assert (here == "passed") == name.startswith("RIGHT")


# ------------------------------------------------------------------------------------------ values on the wire


def test_values_come_back_as_they_went():
    values = [
        None, True, 3, -(1 << 200), 0.1, float("inf"), "text", (1, [2.0, {"a": (None,)}]), 2 + 1j, torch.float16,
        torch.tensor(3), torch.arange(6.0).reshape(2, 3), torch.zeros(0, 4), torch.tensor([True, False]),
        torch.tensor([1.5], dtype=torch.bfloat16), torch.arange(8).reshape(2, 4).T,
    ]  # fmt: skip
    encoder = wire.Encoder()
    node = encoder.node(values)
    data = wire.pack({"result": node}, encoder.buffers)
    head, buffers = wire.unpack(reader(data))
    back = wire.Decoder(buffers).value(head["result"])
    for was, now in zip(values, back, strict=True):
        if isinstance(was, torch.Tensor):
            assert was.dtype == now.dtype and was.shape == now.shape and torch.equal(was, now)
        else:
            assert type(was) is type(now) and was == now


def reader(data: bytes):
    left = memoryview(data)

    def read(count: int) -> bytes:
        nonlocal left
        piece, left = bytes(left[:count]), left[count:]
        return piece + bytes(count - len(piece))

    return read


@pytest.mark.parametrize(
    "node",
    [
        {"kind": "pickle", "value": "cos"},
        {"kind": "tensor", "dtype": "object", "shape": [1], "buffer": 0},
        {"kind": "tensor", "dtype": "float32", "shape": [1 << 40], "buffer": 0},
        {"kind": "tensor", "dtype": "float32", "shape": [-1], "buffer": 0},
        {"kind": "tensor", "dtype": "float32", "shape": [1], "buffer": 7},
        {"kind": "dtype", "value": "nn"},
        {"kind": "whole", "value": "one"},
        {"kind": "dict", "value": [[{"kind": "list", "value": []}, {"kind": "plain", "value": None}]]},
        {"kind": "plain", "value": {"a": 1}},
        "text",
        None,
    ],
)
def test_what_is_no_value_is_refused(node):
    with pytest.raises(wire.Garbled):
        wire.Decoder([b"\0" * 4]).value(node)


def test_a_message_that_promises_too_much_is_not_waited_for():
    with pytest.raises(wire.Garbled):
        wire.unpack(reader(b"\xff" * 64))
    with pytest.raises(wire.Garbled):
        wire.unpack(reader(wire.pack({"a": 1}, [b"x" * 100])), largest=99)
    with pytest.raises(wire.Garbled):
        wire.unpack(reader(wire.pack([1], [])))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------ what of a notebook runs


def chosen(*sources: str, wanted: str = "f") -> list[str]:
    import ast

    trees = {number: ast.parse(cells.without_magics(source)) for number, source in enumerate(sources)}
    return [ast.unparse(s) for body in cells.choose(trees, {wanted}).values() for s in body]


def test_only_what_the_answers_need_runs():
    assert chosen("import torch\nx = train()", "K = 2", "def f():\n    return K * torch.x", "plot(f())") == [
        "import torch",
        "K = 2",
        "def f():\n    return K * torch.x",
    ]
    assert chosen("x = train()", "def f(x):\n    y = x\n    return y") == ["def f(x):\n    y = x\n    return y"]
    assert chosen("%pip install x\n!ls\nfrom a import *", "def f():\n    pass")[0] == "from a import *"


def test_remarks_name_what_a_teacher_should_look_at():
    import ast

    source = "import os, math\nfrom gan_course import checks\nchecks.check_ring = print\nexec('1')"
    remarks = cells.look(ast.parse(source), 3)
    assert cells.shells("!curl example.org\n%pip install x", 0) == {"cell 1 wants to run !curl example.org"}
    assert remarks == {"cell 4 imports os", "cell 4 assigns to checks.check_ring", "cell 4 uses exec"}


@sandboxed
def test_what_was_handed_out_is_not_remarked_on(tmp_path):
    """Each exercise, solved: among their setup cells some import what no answer needs."""
    folder, out = tmp_path / "in", tmp_path / "out"
    for path in (ROOT / "solutions").glob("*.ipynb"):
        made, _ = classes.empty(path.stem)
        classes.write(folder / path.stem / path.name, made)
    assert run(folder, out) == 0
    assert [row["remarks"] for row in table(out / "totals.csv")] == [""] * len(list(folder.iterdir()))


# ------------------------------------------------------------------------------------------ reading and writing


def test_exercises_are_recognised_by_name_or_by_their_functions(tmp_path):
    exercises = submissions.read_exercises(ROOT / "solutions")
    content = classes.empty("02_loss_math")[0]
    for name in ("anna_02_loss_math.ipynb", "untitled.ipynb"):
        classes.write(tmp_path / name, content)
    found = [submissions.read(*row, tmp_path, exercises) for row in submissions.find(tmp_path)]
    assert [(s.student, s.exercise, s.fault) for s in found] == [
        ("anna", "02_loss_math", ""),
        ("untitled", "02_loss_math", ""),
    ]


def test_points_of_the_exercises_are_those_in_the_metadata():
    for name, exercise in submissions.read_exercises(ROOT / "solutions").items():
        assert sum(cell.points for cell in exercise.cells) == classes.points(name)
        assert set(exercise.tasks) == set(classes.tasks(name))


def test_tables_run_nothing_in_a_spreadsheet_or_a_browser():
    verdict = judge.Verdict("ring", "ring_test1", 0, 1, "=1+1", "<script>", "@SUM(A1)")
    reports = [judge.Report("=cmd|'/c calc'!A0", "<img src=x onerror=alert(1)>.ipynb", "01", verdicts=[verdict])]
    text = tables.as_csv(tables.TOTALS, tables.totals(reports)).decode("utf-8-sig")
    assert text.splitlines()[1].startswith("'=cmd")
    page = tables.page(reports, "note").decode()
    assert "<img" not in page and "<script" not in page


def test_a_report_survives_its_file():
    report = judge.Report("a", "b", "c", "", [judge.Verdict("t", "t_test1", 1, 2, "m")], ["r"], 1.5)
    assert judge.Report.of(json.loads(json.dumps(report.plain()))) == report


def test_submissions_that_can_not_be_read_say_why(tmp_path):
    target = tmp_path / "target.ipynb"
    classes.write(target, classes.empty("01_concepts")[0])
    folder = tmp_path / "in"
    folder.mkdir()
    for name in classes.not_notebooks(folder, target):
        if name != "kernel_elsewhere":
            with pytest.raises(CourseError):
                submissions.code_cells(submissions.content(folder / name / "01_concepts.ipynb"))
