"""The chapters' cells: what can be seen without running them, and the script that runs them as students do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bench import cells
from gan_course.commands import notebooks
from tests.notebooks import code, notebook

ROOT = Path(__file__).parents[1]
CHAPTERS = [path for path in notebooks.list_notebooks(ROOT / "chapters") if path.stem[:2] < "08"]


def trained(body: list[ast.stmt]) -> set[str]:
    """The names on which statements outside of functions call ``run``, ``step`` or ``discriminator_step``."""
    found = set()
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                while isinstance(owner, ast.Subscript | ast.Attribute):
                    owner = owner.value
                if node.func.attr in ("run", "step", "discriminator_step") and isinstance(owner, ast.Name):
                    found.add(owner.id)
    return found


def built(body: list[ast.stmt]) -> set[str]:
    """The names that statements assign, as targets of loops, too; and those whose run goes back to a checkpoint."""
    names = {node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name) and is_target(node)}
    for part in body:
        for node in ast.walk(part):
            if isinstance(node, ast.Attribute) and node.attr == "resume" and isinstance(node.value, ast.Name):
                names.add(node.value.id)
    return names


def is_target(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem[:2])
def test_a_training_cell_builds_what_it_trains(path):
    """So run twice it does the same again, and no optimizer is left with the weights of another network."""
    for cell in notebooks.read(path).cells:
        if cell.cell_type == "code" and "%pip" not in cell.source:
            body = ast.parse(cell.source).body
            left = trained(body) - built(body)
            assert not left, f"{cell.id} trains {', '.join(left)} and does not build it"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem[:2])
def test_the_parameters_comment_names_the_default(path):
    chapter = notebooks.read(path)
    named = list(cells.documented(chapter))
    (parameters,) = [cell for cell in chapter.cells if "parameters" in notebooks.tags(cell)]
    told: dict[str, object] = {}
    exec(parameters.source, told)
    assert {name for name, _ in named} <= told.keys()
    assert not cells.SMALLEST.get(path.stem[:2], {}).keys() - told.keys()
    for name in {name for name, _ in named} - {"TARGET"}:
        assert (name, told[name]) in named


def test_a_cell_that_fails_the_second_time_is_found():
    chapter = notebook(
        code("COUNT = 5", "parameters", id="p"),
        code("left = {'a': COUNT}", id="good"),
        code("print(left.pop('a'))", id="bad"),
        code("assert COUNT > 5, 'train longer'", id="short"),
    )
    assert list(cells.run(chapter, {"COUNT": 9}, twice=False, small=False)) == []
    (fault,) = cells.run(chapter, {"COUNT": 9}, twice=True, small=False)
    assert fault == "bad, turn 2: KeyError: 'a'"
    assert list(cells.run(chapter, {}, twice=False, small=True)) == [], "the sentence is an answer"
    (fault,) = cells.run(chapter, {}, twice=False, small=False)
    assert fault.startswith("short, turn 1: AssertionError: train longer")


def test_documented_values():
    chapter = notebook(code('DATASET = "glyphs"  # "glyphs" or "mnist"\nSTEPS = 3  # "many"', "parameters"))
    assert list(cells.documented(chapter)) == [("DATASET", "glyphs"), ("DATASET", "mnist")]
