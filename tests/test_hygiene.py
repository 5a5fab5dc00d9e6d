"""``gan-course check``: one clean course, then one thing broken at a time."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_output
from notebooks import ALT, code, picture, save, stream, text

from gan_course import cli
from gan_course.commands import hygiene, mirrors

CHAPTER = "chapters/01_concepts.ipynb"
SOLUTION = "solutions/01_concepts.ipynb"
SETUP = "import gan_course"


def write(course: Path) -> None:
    for part in ("exercises", "solutions"):
        save(course / part / "01_concepts.ipynb", text("# Exercises"), code(SETUP, "setup"), code("x = 1"))
    run = [
        code(SETUP, "setup"),
        code("SEED = 0", "parameters"),
        code("print(SEED)"),
        code("figure"),
        code(""),
    ]
    for number, cell in enumerate(run[:-1], start=1):
        cell.execution_count = number
    run[2].outputs = [stream("0\n"), stream("a ratio of 3/4, /s and https://example.org/home/x\n")]
    run[3].outputs = [picture()]
    save(course / CHAPTER, text("# 01\n\n![Open in Colab](https://x/badge.svg) <img src='a.png' alt='a cat'>"), *run)


@pytest.fixture
def course(tmp_path):
    write(tmp_path)
    return tmp_path


def edit(path: Path, change) -> None:
    """Apply ``change`` to the notebook's plain JSON."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")


def test_clean_course(course, capsys):
    assert hygiene.find_problems(course) == []
    assert cli.main(["check", "--root", str(course)]) == 0
    assert capsys.readouterr().out == "3 notebooks, no problems.\n"


def test_problems_are_printed_and_counted(course, capsys):
    edit(course / CHAPTER, outputs(4, stream("oops", "stderr")))
    assert cli.main(["check", "--root", str(course)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{CHAPTER}: cell 4: it writes to stderr (oops): print to stdout, or remove the cause",
        "3 notebooks, 1 problem.",
    ]


def outputs(cell: int, *made):
    """A change that gives the cell (counted from 1) these outputs."""
    return lambda raw: raw["cells"][cell - 1].update(outputs=[dict(o) for o in made])


def display(kind: str, content: str, **metadata):
    return new_output("display_data", data={kind: content}, metadata=metadata)


def source(cell: int, content: str):
    return lambda raw: raw["cells"][cell - 1].update(source=content)


def drop_tags(cell: int):
    return lambda raw: raw["cells"][cell - 1]["metadata"].pop("tags")


def count(cell: int, value: int | None):
    return lambda raw: raw["cells"][cell - 1].update(execution_count=value)


def no_outputs(raw) -> None:
    for cell in raw["cells"][1:]:
        cell["outputs"] = []


ERROR = new_output("error", ename="ValueError", evalue="x", traceback=["at /root/x"])
BROKEN = {
    "error": (CHAPTER, outputs(4, ERROR), "cell 4: it ends in ValueError: correct it"),
    "warning": (CHAPTER, outputs(4, stream("x\nUserWarning: hm\n")), "cell 4: it shows a warning (UserWarning: hm)"),
    "value": (
        CHAPTER,
        outputs(4, new_output("execute_result", {"text/plain": "{'step': [10]}"}, execution_count=2)),
        "cell 4: it shows its last line's value ({'step': [10]}): name it",
    ),
    "html warning": (CHAPTER, outputs(4, display("text/html", "<b>FutureWarning</b>")), "cell 4: it shows a warning"),
    "home": (
        CHAPTER,
        outputs(4, stream("see /home/ann/x.py\n")),
        "cell 4: it shows a path of this machine (see /home/",
    ),
    "root": (CHAPTER, outputs(4, stream("'/root/x'")), "cell 4: it shows a path of this machine ('/root/x')"),
    "tmp": (CHAPTER, outputs(4, display("text/plain", "File(/tmp/a)")), "cell 4: it shows a path of this machine"),
    "macOS": (CHAPTER, outputs(4, stream("/Users/ann")), "cell 4: it shows a path of this machine (/Users/ann)"),
    "Windows": (CHAPTER, outputs(4, stream("C:\\Users\\ann")), "cell 4: it shows a path of this machine"),
    "packages": (CHAPTER, outputs(4, stream("lib/site-packages/x")), "cell 4: it shows a path of this machine"),
    "no alt": (CHAPTER, outputs(5, picture(None)), "cell 5: a picture has no alternative text"),
    "short alt": (CHAPTER, outputs(5, picture("a plot")), "cell 5: a picture has only 'a plot' as alternative text"),
    "svg": (CHAPTER, outputs(5, display("image/svg+xml", "<svg/>")), "cell 5: a picture has no alternative text"),
    "html image": (CHAPTER, outputs(5, display("text/html", "<img src='x'>")), "cell 5: <img src='x'> has no"),
    "text image": (CHAPTER, source(1, "![ ](a.png)"), "cell 1: the picture a.png has no alternative text"),
    "img tag": (CHAPTER, source(1, '<img src="a" alt="">'), 'cell 1: <img src="a" alt=""> has no alternative text'),
    "widgets": (CHAPTER, lambda raw: raw["metadata"].update(widgets={}), "it holds metadata.widgets"),
    "no id": (CHAPTER, lambda raw: raw["cells"][3].pop("id"), "cell 4: it has no id"),
    "same id": (CHAPTER, lambda raw: raw["cells"][3].update(id=raw["cells"][2]["id"]), "is also that of cell 3"),
    "no outputs": (CHAPTER, no_outputs, "no cell has an output: run gan-course run --update"),
    "not run": (CHAPTER, count(4, None), "cell 4: its execution count is None and not 3"),
    "run twice": (CHAPTER, count(5, 9), "cell 5: its execution count is 9 and not 4"),
    "parameters": (CHAPTER, drop_tags(3), "no cells have the tag parameters: exactly one must"),
    "setup": (CHAPTER, drop_tags(2), "no cells have the tag setup: exactly one must"),
    "long": (CHAPTER, source(4, "x = 1\n" * 26), "cell 4: it has 26 lines of code: split it, 25 are the limit"),
    "solution output": (SOLUTION, outputs(3, stream("1")), "cell 3: it holds outputs or an execution count"),
    "solution count": (SOLUTION, count(3, 1), "cell 3: it holds outputs or an execution count"),
    "other setup": (SOLUTION, source(2, "import torch"), f"the setup cell differs from that of {CHAPTER}"),
    "mirror": (
        CHAPTER,
        lambda raw: raw["cells"][2]["metadata"]["tags"].append("mirrors:gan_course.nothing.at_all"),
        "cell 3: it mirrors gan_course.nothing.at_all, which is not to be found",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_rule(case, course):
    name, change, sentence = BROKEN[case]
    edit(course / name, change)
    found = hygiene.find_problems(course)
    assert len(found) == 1, found
    assert found[0].startswith(f"{name}: ") and sentence in found[0]


def test_this_machines_own_folders_are_found(course):
    for place in (course.resolve() / "x.pt", Path(sys.prefix) / "lib"):
        edit(course / CHAPTER, outputs(4, stream(f"saved to {place}")))
        (found,) = hygiene.find_problems(course)
        assert "it shows a path of this machine" in found


def test_pictures_inside_html_are_not_read_as_text(course):
    html = f'<img alt="{ALT}" src="data:image/png;base64,iVBOR/tmp/aaa/home/bbb+/root/Warning==">'
    edit(course / CHAPTER, outputs(5, display("text/html", html)))
    assert hygiene.find_problems(course) == []


def test_exercises_may_be_long_and_need_no_parameters(course):
    for part in ("solutions", "exercises"):
        edit(course / part / "01_concepts.ipynb", source(3, "x = 1\n" * 40))
    assert hygiene.find_problems(course) == []


def test_name_and_size(course):
    os.rename(course / CHAPTER, course / "chapters" / "1-Concepts.ipynb")
    assert hygiene.find_problems(course) == [
        "chapters/1-Concepts.ipynb: its name is not of the form 03_training.ipynb: rename it"
    ]
    os.rename(course / "chapters" / "1-Concepts.ipynb", course / CHAPTER)
    edit(course / CHAPTER, outputs(5, display("image/png", "A" * 1_600_000, **{"image/png": {"alt": ALT}})))
    (found,) = hygiene.find_problems(course)
    assert "it holds 1.6 MB" in found


LIBRARY = '''
from __future__ import annotations
import math


class Part:
    """A class."""

    def area(self, r: float) -> float:
        """Area of a disc."""
        return math.pi * r**2


def twice(x: int, *, offset: int = 0) -> int:
    """Two times x."""
    # why
    return 2 * x + offset


NUMBER = 3
'''


@pytest.fixture
def library(tmp_path, monkeypatch):
    (tmp_path / "mirrored_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    yield "mirrored_library"
    sys.modules.pop("mirrored_library", None)


def test_mirrors_ignore_docstrings_comments_and_annotations(library):
    same = "import math\ndef twice(x, *, offset=0):\n    return 2 * x + offset  # here\n\nprint(twice(3))"
    assert mirrors.compare(same, f"{library}.twice") is None
    assert (
        mirrors.compare("class Part:\n    def area(self, r):\n        return math.pi * r ** 2", f"{library}.Part")
        is None
    )
    assert mirrors.compare("def area(self, r):\n    return (math.pi * r**2)", f"{library}.Part.area") is None


@pytest.mark.parametrize(
    "cell",
    [
        "def twice(x, *, offset=0):\n    return x * 2 + offset",
        "def twice(x, *, offset=1):\n    return 2 * x + offset",
        "def twice(x, offset=0):\n    return 2 * x + offset",
        "@cache\ndef twice(x, *, offset=0):\n    return 2 * x + offset",
        "def twice(x, *, offset=0):\n    print(x)\n    return 2 * x + offset",
    ],
)
def test_mirrors_that_drifted(cell, library):
    assert mirrors.compare(cell, f"{library}.twice") == f"its twice differs from {library}.twice: make the two equal"


def test_mirrors_that_are_not_there(library):
    assert "which is not to be found" in str(mirrors.compare("x = 1", f"{library}.thrice"))
    assert "which is not to be found" in str(mirrors.compare("NUMBER = 3", f"{library}.NUMBER"))
    assert "defines no twice" in str(mirrors.compare("def other(): pass", f"{library}.twice"))
    assert "cannot be parsed" in str(mirrors.compare("%time\ndef twice(x): pass", f"{library}.twice"))


def test_several_mirrors_on_one_cell(course, library):
    both = "def twice(x, *, offset=0):\n    return 2 * x + offset\n\nclass Part:\n    pass"

    def change(raw) -> None:
        raw["cells"][3].update(source=both)
        raw["cells"][3]["metadata"]["tags"] = [f"mirrors:{library}.twice", f"mirrors:{library}.Part"]

    edit(course / CHAPTER, change)
    (found,) = hygiene.find_problems(course)
    assert f"cell 4: its Part differs from {library}.Part" in found


def test_a_notebook_without_ids_is_read_without_a_warning(course, recwarn):
    edit(course / CHAPTER, lambda raw: [cell.pop("id") for cell in raw["cells"]])
    assert len(hygiene.find_problems(course)) == 6
    assert not list(recwarn)
    assert nbformat.read(course / SOLUTION, 4)
