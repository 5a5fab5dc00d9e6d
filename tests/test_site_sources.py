"""What the site is made of: the reference leaves no module out, the guide no task."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = re.findall(
    r"automodule:: (gan_course[\w.]*)",
    "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs/reference").glob("*.md"))),
)


def public(module) -> list[tuple[str, object]]:
    """What a page of the reference shows of a module: its own functions and classes, and the methods of these."""
    names = getattr(module, "__all__", None)
    items = [(n, getattr(module, n)) for n in names] if names else list(vars(module).items())
    shown = []
    for name, item in items:
        own = names or (getattr(item, "__module__", None) == module.__name__ and not name.startswith("_"))
        if own and (inspect.isfunction(item) or inspect.isclass(item)):
            shown.append((name, item))
            if inspect.isclass(item) and item.__module__.startswith("gan_course"):
                shown += [(f"{name}.{n}", m) for n, m in vars(item).items() if n[0] != "_" and inspect.isfunction(m)]
    return shown


def test_no_public_function_lacks_a_docstring():
    missing, found = [], 0
    for module in map(importlib.import_module, MODULES):
        assert module.__doc__, module.__name__
        for name, item in public(module):
            found += 1
            # What forward does, the class says: shapes in and out.
            if not item.__doc__ and not name.endswith(".forward"):
                missing.append(f"{module.__name__}.{name}")
    assert not missing
    assert found > 200


def test_every_module_for_students_is_in_the_reference():
    """Those that chapters and exercises import."""
    used = set()
    for path in [*(ROOT / "chapters").glob("*.ipynb"), *(ROOT / "solutions").glob("*.ipynb")]:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        for line in re.findall(r"^from gan_course import (.*)$", text, flags=re.MULTILINE):
            used |= {f"gan_course.{name.split(' as ')[0].strip()}" for name in line.strip("()").split(",")}
        used |= {f"gan_course.{name}" for name in re.findall(r"^from gan_course\.([\w.]+) import", text, flags=re.M)}
    assert len(used) > 15
    behind = ("gan_course.recipes", "gan_course.ledger.", "gan_course.widgets.")  # what one notebook alone needs
    assert {name for name in used if not name.startswith(behind)} <= set(MODULES)
    assert len(MODULES) == len(set(MODULES))


ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", flags=re.MULTILINE)


CHAPTERS = sorted((ROOT / "tests/answers").glob("chapter*.py"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_guide_has_three_wrong_answers_and_a_question_for_each_task(path):
    number, tasks = path.stem[-2:], importlib.import_module(f"answers.{path.stem}").WRONG.keys()
    text = (ROOT / "docs/wrong_answers.md").read_text(encoding="utf-8")
    sections = {part[:2]: part for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]}
    assert number in sections, f"docs/wrong_answers.md has no section ## {number}"
    rows = {found[0]: found[1:] for found in ROW.findall(sections[number])}
    assert rows.keys() == set(tasks), f"the rows of ## {number} in docs/wrong_answers.md are not the chapter's tasks"
    for *wrong, question in rows.values():
        assert len(set(wrong)) == 3
        assert "?" in question


def test_the_minutes_of_the_sections_sum_to_what_the_table_says():
    table = (ROOT / "docs/instructors.md").read_text(encoding="utf-8")
    plans = (ROOT / "docs/teaching.md").read_text(encoding="utf-8")
    sections = {part[:2]: part for part in re.split(r"^## ", plans, flags=re.MULTILINE)[1:]}
    rows = re.findall(r"^\| (\d\d) [^|]*\|[^|]*\| (\d+) min \|", table, flags=re.MULTILINE)
    assert len(rows) >= 13
    for number, minutes in rows:
        (chapter,) = (ROOT / "chapters").glob(f"{number}_*.ipynb")
        cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        there = re.findall(r"^## (\d+) · ", text, flags=re.MULTILINE)
        (line,) = re.findall(r"^\*\*Minutes\*\*: (.*)$", sections[number], flags=re.MULTILINE)
        given = re.findall(r"(§\d+|open|close) (\d+)", line)
        named = [name[1:] for name, _ in given if name[0] == "§"]
        assert named == there, f"chapter {number}: {named}"
        assert sum(int(m) for _, m in given) == int(minutes), f"chapter {number}: not {minutes} minutes"
