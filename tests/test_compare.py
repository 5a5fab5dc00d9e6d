"""``gan-course compare``: it finds whatever a marked cell says otherwise, and nothing else."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from notebooks import code, picture, save, stream, text

from gan_course import cli
from gan_course.commands import compare, notebooks

REAL = Path(__file__).parents[1]
MARKED = "# NBVAL_CHECK_OUTPUT\nprint(1)"


def said(*outputs, source: str = MARKED):
    return code(source) | {"outputs": list(outputs)}


def result(kind: str = "text/plain", content: str = "3"):
    return nbformat.v4.new_output("execute_result", {kind: content}, execution_count=1)


STORED = [text("# One"), code("SEED = 0", "parameters"), said(stream("a\nb\n")), said(stream("x"), source="print('x')")]


@pytest.fixture
def course(tmp_path):
    save(tmp_path / "chapters/01_concepts.ipynb", *STORED)
    save(tmp_path / "build/notebooks/01_concepts.ipynb", *STORED)
    return tmp_path


def printed(capsys, course: Path, *options: str) -> tuple[int, str]:
    code = cli.main(["compare", "--root", str(course), *options])
    return code, capsys.readouterr().out


def test_the_same_is_the_same(course, capsys):
    assert printed(capsys, course) == (0, "1 marked cells in 1 chapters, no differences.\n")


def test_a_difference_names_chapter_cell_and_line(course, capsys):
    executed = [*STORED[:2], said(stream("a\nc\n")), *STORED[3:]]
    save(course / "build/notebooks/01_concepts.ipynb", *executed)
    exit_code, out = printed(capsys, course)
    assert exit_code == 1
    lines = out.splitlines()
    assert lines[0] == "01_concepts.ipynb: cell 3 says something else than the committed one:"
    assert "  -stdout: b" in lines and "  +stdout: c" in lines and "  -stdout: a" not in lines
    assert lines[-1] == "1 marked cells in 1 chapters, 1 differences."


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([stream("1\n")], []),
        ([], [stream("1\n")]),
        ([stream("1\n")], [stream("1\n"), stream("careful", "stderr")]),
        ([result()], [result(content="4")]),
        ([result()], [stream("3")]),
        ([result("text/html", "<b>3</b>")], [result("text/html", "<b>4</b>")]),
        ([stream("1\n")], [stream("1\n"), picture()]),  # its plain text is a difference
        ([stream("1\n")], [nbformat.v4.new_output("error", ename="E", evalue="no", traceback=[])]),
    ],
)
def test_whatever_a_cell_says_counts(old, new):
    a, b = (nbformat.v4.new_notebook(cells=[nbformat.from_dict(said(*outputs))]) for outputs in (old, new))
    (sentence,) = compare.differences(a, b)
    assert sentence.startswith("cell 1 says something else")
    assert list(compare.differences(a, a)) == []


def test_pictures_and_the_pieces_of_a_stream_do_not_count():
    other = picture()
    other.data["image/png"] = "AAAA"
    a = nbformat.v4.new_notebook(cells=[nbformat.from_dict(said(stream("1\n2\n"), picture()))])
    b = nbformat.v4.new_notebook(cells=[nbformat.from_dict(said(stream("1\n"), stream("2\n"), other))])
    assert list(compare.differences(a, b)) == []


def test_overrides_in_a_cell_of_their_own_are_not_in_the_way(course, capsys):
    save(
        course / "build/notebooks/01_concepts.ipynb", *STORED[:2], code("SEED = 1", "injected-parameters"), *STORED[2:]
    )
    assert printed(capsys, course)[0] == 0


def test_what_has_not_run_or_has_changed_since_is_no_success(course, capsys):
    save(course / "chapters/01_concepts.ipynb", *STORED, code("print('new')"))
    save(course / "chapters/02_loss_math.ipynb", *STORED)
    exit_code, out = printed(capsys, course)
    assert exit_code == 1
    assert "01_concepts.ipynb: it has changed since it ran" in out and "02_loss_math.ipynb: it has not run here" in out
    assert printed(capsys, course, "--out", "elsewhere")[1].count("it has not run here") == 2


def test_the_course_has_marked_cells_and_each_says_something():
    marked = [
        cell
        for path in notebooks.list_notebooks(REAL / "chapters")
        for cell in notebooks.read(path).cells
        if compare.is_marked(cell)
    ]
    assert len(marked) >= 25
    assert all(compare.said(cell) for cell in marked)
