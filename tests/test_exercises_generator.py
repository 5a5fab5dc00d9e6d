"""``gan-course exercises``: what a student receives, against nbgrader's own release."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from notebooks import code, save, stream, text

from gan_course import cli
from gan_course.commands import exercises
from gan_course.commands.errors import CourseError

NAME = "01_concepts.ipynb"
BADGE = (
    "[![Open in Colab](https://x/colab-badge.svg)](https://colab.research.google.com/github/a/b/blob/main/solutions/"
)

SOLUTION = '''def half(x: float, *, twice: bool = False) -> float:
    """Half of x."""
    ### BEGIN SOLUTION
    def secret(y):
        """A helper inside."""
        return y / 2
    return secret(x)
    ### END SOLUTION


def unchanged(x):
    return x
'''
STUB = '''def half(x: float, *, twice: bool = False) -> float:
    """Half of x."""
    # YOUR CODE HERE
    raise NotImplementedError()


def unchanged(x):
    return x
'''
TESTS = """assert half(2) == 1
### BEGIN HIDDEN TESTS
assert half(-3) == -1.5
### END HIDDEN TESTS
print("half works")"""


def graded(grade_id: str, grade=False, solution=False, locked=False, task=False, points=None) -> dict:
    meta = {"schema_version": 3, "grade_id": grade_id, "grade": grade, "solution": solution, "locked": locked}
    return {"nbgrader": meta | {"task": task} | ({"points": points} if points is not None else {})}


def cells() -> list:
    return [
        text(f"# 01 Exercises\n\n{BADGE}{NAME}) and the [solution](../solutions/{NAME})", id="badge"),
        text("**Task.** Halve a number.", id="task", **graded("task-half", locked=True)),
        code(SOLUTION, id="answer", **graded("half", solution=True)),
        code(TESTS, "keep", id="tests", **graded("test-half", grade=True, locked=True, points=2)),
        text("Because one half is 0.5.", id="essay", **graded("essay", grade=True, solution=True, points=1)),
        code("print('free')", id="free"),
    ]


@pytest.fixture
def course(tmp_path):
    (tmp_path / "chapters").mkdir()
    save(tmp_path / "solutions" / NAME, *cells())
    return tmp_path


def main(course: Path, *options: str) -> int:
    return cli.main(["exercises", "--root", str(course), *options])


def test_stub_keeps_signature_and_docstring_and_raises(course, capsys):
    before = (course / "solutions" / NAME).read_bytes()
    assert main(course) == 0
    assert (course / "solutions" / NAME).read_bytes() == before
    released = nbformat.read(course / "exercises" / NAME, 4).cells
    assert [c.id for c in released] == ["badge", "task", "answer", "tests", "essay", "free"]
    assert released[2].source == STUB
    assert released[3].source == 'assert half(2) == 1\nprint("half works")'
    assert released[4].source == "YOUR ANSWER HERE"
    assert released[5].source == "print('free')"
    assert released[3].metadata.tags == ["keep"] and released[3].metadata.nbgrader.points == 2
    assert released[3].metadata.editable is False and "editable" not in released[2].metadata
    assert "checksum" not in (course / "exercises" / NAME).read_text()
    scope: dict = {}
    exec(released[2].source, scope)
    with pytest.raises(NotImplementedError):
        scope["half"](1.0)
    out, err = capsys.readouterr()
    assert err == "" and "1 notebooks in exercises/, 1 of them changed." in out


def test_badge_opens_the_exercise_and_the_link_to_the_solution_stays(course):
    main(course)
    source = nbformat.read(course / "exercises" / NAME, 4).cells[0].source
    assert f"/blob/main/exercises/{NAME})" in source
    assert f"[solution](../solutions/{NAME})" in source


def test_check_compares_bytes(course, capsys):
    assert main(course, "--check") == 1
    assert f"exercises/{NAME} is out of date: run gan-course exercises." in capsys.readouterr().out
    assert not (course / "exercises").exists()
    main(course)
    first = (course / "exercises" / NAME).read_bytes()
    assert first.endswith(b"}\n")
    assert main(course, "--check") == 0
    assert main(course) == 0 and (course / "exercises" / NAME).read_bytes() == first
    (course / "exercises" / NAME).write_bytes(first + b"\n")
    assert main(course, "--check") == 1
    main(course)
    assert (course / "exercises" / NAME).read_bytes() == first
    save(course / "exercises" / "02_orphan.ipynb", text("by hand"))
    capsys.readouterr()
    assert main(course, "--check") == 1
    assert "02_orphan.ipynb has no source in solutions/" in capsys.readouterr().out


def test_same_cells_as_nbgrader_generate_assignment(course, tmp_path):
    main(course)
    nbgrader = tmp_path / "nbgrader"
    save(nbgrader / "source" / "ps" / NAME, *cells())
    (nbgrader / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'gan'\n")
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_assignment", "ps"],
        cwd=nbgrader,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": beside},  # nbgrader calls alembic by its bare name
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads((nbgrader / "release" / "ps" / NAME).read_text(encoding="utf-8"))["cells"]
    ours = json.loads((course / "exercises" / NAME).read_text(encoding="utf-8"))["cells"]
    assert len(ours) == len(theirs) == 6
    for mine, other in zip(ours[1:], theirs[1:], strict=True):  # the first has its own badge
        for key in ("checksum", "cell_type"):
            other["metadata"].get("nbgrader", {}).pop(key, None)
        assert mine == other


def change(cell: int, **changes):
    """The cells with one of them changed: its source, or a key of its nbgrader metadata."""
    made = copy.deepcopy(cells())
    for key, value in changes.items():
        if key in ("source", "outputs", "execution_count"):
            made[cell][key] = value
        elif value is None:
            del made[cell]["metadata"]["nbgrader"][key]
        else:
            made[cell]["metadata"]["nbgrader"][key] = value
    return made


def bare():
    made = copy.deepcopy(cells())
    for cell in made:
        cell["metadata"].pop("nbgrader", None)
    made[2]["source"] = "pass"
    made[3]["source"] = "pass"
    return made


WRONG = {
    "old schema": (change(2, schema_version=2), "cell 3: Outdated schema version"),
    "unknown key": (change(2, hint="x"), "cell 3: Additional properties are not allowed"),
    "missing key": (change(2, locked=None), "cell 3: 'locked' is a required property"),
    "bad grade_id": (change(2, grade_id="half it"), "cell 3: 'half it' does not match"),
    "empty grade_id": (change(2, grade_id=""), "cell 3: grade_id is empty"),
    "same grade_id": (change(3, grade_id="half"), "cell 4: grade_id half is also that of cell 3: rename one."),
    "no points": (change(3, points=None), "cell 4: nbgrader cell 'test-half' does not have points"),
    "zero points": (change(3, points=0), "cell 4: a graded cell is worth no points: give it points."),
    "negative points": (change(3, points=-1), "cell 4: -1 is less than the minimum of 0"),
    "checksum": (change(2, checksum="0" * 32), "cell 3: its metadata holds a checksum"),
    "no end": (change(2, source="### BEGIN SOLUTION\nx = 1"), "cell 3: BEGIN SOLUTION has no partner"),
    "no begin": (change(2, source="x = 1\n### END SOLUTION"), "cell 3: '### END SOLUTION' has no partner"),
    "nested": (
        change(2, source="### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION"),
        "cell 3: '### BEGIN SOLUTION' has no partner",
    ),
    "hidden without end": (change(3, source="### BEGIN HIDDEN TESTS"), "cell 4: BEGIN HIDDEN TESTS has no partner"),
    "unmarked": (change(2, source="x = 1"), "cell 3: without ### BEGIN SOLUTION nbgrader blanks the whole cell"),
    "solution elsewhere": (
        change(5, source="### BEGIN SOLUTION\n### END SOLUTION"),
        "cell 6: it holds a solution but is no solution cell",
    ),
    "hidden elsewhere": (
        change(5, source="### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS"),
        "cell 6: it hides tests but is no graded cell",
    ),
    "autotest": (change(3, source="### AUTOTEST half(1)"), "cell 4: autotests need nbgrader's own kernel run"),
    "output": (change(5, outputs=[stream("1")]), "cell 6: it holds outputs or an execution count: clear all outputs"),
    "count": (change(5, execution_count=1), "cell 6: it holds outputs or an execution count"),
    "lost docstring": (
        change(2, source='def half(x):\n    ### BEGIN SOLUTION\n    """Half."""\n    ### END SOLUTION'),
        "cell 3: the stub loses a function's signature or docstring",
    ),
    "lost function": (
        change(2, source='### BEGIN SOLUTION\ndef half(x):\n    """Half."""\n### END SOLUTION'),
        "cell 3: the stub loses a function's signature or docstring",
    ),
    "no Python": (change(2, source="def (:\n### BEGIN SOLUTION\n### END SOLUTION"), "cell 3: it is no Python"),
    "no metadata": (bare(), "no cell has nbgrader metadata"),
}


@pytest.mark.parametrize("case", WRONG)
def test_unsound_source_is_one_sentence(case, course, capsys):
    made, sentence = WRONG[case]
    save(course / "solutions" / NAME, *made)
    assert main(course) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert err.startswith(f"solutions/{NAME}") and sentence in err
    assert not (course / "exercises").exists()


def test_no_solutions(tmp_path, capsys):
    (tmp_path / "chapters").mkdir()
    assert main(tmp_path) == 2
    assert "holds no notebooks: exercises are made from them" in capsys.readouterr().err


def test_a_second_docstring_is_not_demanded_of_helpers(tmp_path):
    source = SOLUTION.replace("### END SOLUTION", "### END SOLUTION", 1) + (
        "\n\n### BEGIN SOLUTION\ndef helper(x):\n    return x\n### END SOLUTION\n"
    )
    path = save(tmp_path / NAME, *change(2, source=source))
    assert "helper" not in exercises.release(path)
    with pytest.raises(CourseError, match="loses a function's signature"):
        exercises.release(save(path, *change(2, source=source.replace("return x\n###", '"""Help."""\n###'))))
