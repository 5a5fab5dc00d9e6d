"""The course as an nbgrader course: exported, five students graded by nbgrader itself, and what it would not say."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import submissions as classes
from gan_course import cli

NAME = "01_concepts"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """An exported course with one assignment, without the cells that only play with the answers: they take long."""
    base = tmp_path_factory.mktemp("nbgrader")
    content = classes.notebook("solutions", NAME)
    content["cells"] = [
        c for c in content["cells"] if c["cell_type"] != "code" or classes.meta(c) or c["id"] == "imports"
    ]
    (base / "course" / "chapters").mkdir(parents=True)
    classes.write(base / "course" / "solutions" / f"{NAME}.ipynb", content)
    target = base / "class"
    assert cli.main(["nbgrader-export", str(target), "--root", str(base / "course")]) == 0
    return target


def released(course: Path) -> dict:
    return json.loads((course / "release" / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8"))


def hand_in(course: Path, student: str, content: dict, name: str = f"{NAME}.ipynb") -> Path:
    path = course / "submitted" / student / NAME / name
    classes.write(path, content)
    return path


def answered(course: Path, leave: tuple[str, ...] = (), changed: dict[str, tuple[str, str]] | None = None) -> dict:
    """The release with the solutions in it, but for the tasks in ``leave``, and with a line ``changed`` in some."""
    solved = {
        classes.meta(c).get("grade_id"): "".join(c["source"]) for c in classes.notebook("solutions", NAME)["cells"]
    }
    content = released(course)
    for cell in content["cells"]:
        meta = classes.meta(cell)
        if meta.get("solution") and meta["grade_id"] not in leave:
            old, new = (changed or {}).get(meta["grade_id"], ("", ""))
            assert old in solved[meta["grade_id"]]
            cell["source"] = solved[meta["grade_id"]].replace(old, new) if old else solved[meta["grade_id"]]
    return content


def nbgrader(course: Path, *arguments: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls alembic by name
    return subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_the_exported_course_holds_what_nbgrader_needs_and_no_answers(course):
    names = {"nbgrader_config.py", "source", "release", "gradebook.db"}
    assert names <= {path.name for path in course.iterdir()}
    text = json.dumps(released(course))
    assert "BEGIN SOLUTION" not in text and "raise NotImplementedError()" in text and "checksum" in text


def test_five_students_get_from_nbgrader_what_they_are_due(course, capsys):
    partial = {"ring": ("spread * torch.randn(count, 2)", "spread * torch.randn(count, 1) * torch.ones(1, 2)")}
    half = answered(course, leave=("arrows",), changed=partial)
    wrong = released(course)
    for cell in wrong["cells"]:
        if classes.meta(cell).get("solution"):
            cell["source"] = f"def {classes.meta(cell)['grade_id']}(*values):\n    return None"
    deleted, lost = answered(course), answered(course)
    deleted["cells"] = [
        c for c in deleted["cells"] if not classes.meta(c).get("grade_id", "").startswith("modes_covered")
    ]
    for cell in lost["cells"]:
        cell["metadata"].pop("nbgrader", None)
    for student, content in {"right": answered(course), "wrong": wrong, "half": half}.items():
        hand_in(course, student, content)
    for student, content in {"deleted": deleted, "lost": lost}.items():
        hand_in(course, student, content)

    assert cli.main(["nbgrader-check", str(course)]) == 1
    said = capsys.readouterr().out
    assert "deleted, 01_concepts: the cells modes_covered, " in said and "are missing" in said
    assert "lost, 01_concepts: no cell has kept its nbgrader metadata" in said
    assert not any(line.startswith(("right", "wrong", "half")) for line in said.splitlines())

    done = nbgrader(course, "autograde", NAME)
    assert done.returncode == 0, done.stderr
    done = nbgrader(course, "generate_feedback", NAME)
    assert done.returncode == 0, done.stderr
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "gan_course") as book:
        scores = {s: book.find_submission(NAME, s).score for s in ("right", "wrong", "half", "deleted", "lost")}
    everything = classes.points(NAME)
    assert scores == {
        "right": everything,
        "wrong": 0,
        "half": everything - 3 - 1,  # the arrows, and of the ring the noise
        "deleted": everything - 2,
        "lost": 0,
    }
    for student in scores:
        assert (course / "feedback" / student / NAME / f"{NAME}.html").exists()


def with_cell(content: dict, source: str) -> dict:
    content["cells"].append(classes.code(source))
    return content


def first(content: dict, grade_id: str) -> dict:
    return next(c for c in content["cells"] if classes.meta(c).get("grade_id") == grade_id)


def copied(content: dict) -> dict:
    content["cells"].append(copy.deepcopy(first(content, "ring_test1")))
    return content


def richer(content: dict) -> dict:
    classes.meta(first(content, "ring_test1"))["points"] = 100
    return content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (copied, "the cell ring_test1 is there 2 times"),
        (richer, "the metadata of ring_test1 were changed (points: 1 became 100)"),
        (lambda c: with_cell(c, "exit()"), "calls exit(), which ends the kernel"),
        (lambda c: with_cell(c, "import os\nos._exit(0)"), "calls os._exit()"),
        (lambda c: with_cell(c, "checks.check_ring = lambda *a, **k: None"), "assigns to checks.check_ring"),
        (lambda c: with_cell(c, "class checks:\n    check_ring = print"), "gives checks another meaning"),
        (lambda c: with_cell(c, "torch.allclose = lambda *a: True"), "assigns to torch.allclose"),
    ],
)
def test_what_stops_a_class_is_said_before_it_is_graded(change, words, course, capsys):
    path = hand_in(course, "kim", change(answered(course)))
    try:
        assert cli.main(["nbgrader-check", str(course), "--assignment", NAME]) == 1
        assert any("kim" in line and words in line for line in capsys.readouterr().out.splitlines())
    finally:
        path.unlink()
        path.parent.rmdir()
        path.parent.parent.rmdir()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("homework.ipynb", "{}", "finds homework.ipynb: rename it"),
        (f"{NAME}.ipynb", "points = 13", "not valid JSON"),
        ("torch.py", "allclose = print", "would be imported in place of the real torch"),
    ],
)
def test_files_that_nbgrader_would_trip_over_are_named(name, text, words, course, capsys):
    path = course / "submitted" / "lee" / NAME / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    try:
        assert cli.main(["nbgrader-check", str(course)]) == 1
        assert any("lee" in line and words in line for line in capsys.readouterr().out.splitlines())
    finally:
        path.unlink()
        path.parent.rmdir()
        path.parent.parent.rmdir()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("x", encoding="utf-8")
    assert cli.main(["nbgrader-export", str(tmp_path)]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert cli.main(["nbgrader-check", str(tmp_path)]) == 2
