"""``gan-course exercises``: write exercises/ from solutions/ with nbgrader's own preprocessors.

The folders are flat: ``solutions/03_training.ipynb`` becomes ``exercises/03_training.ipynb``. The result has the
cells that ``nbgrader generate_assignment`` would release, without the checksums that nbgrader adds for its own
database.
"""

from __future__ import annotations

import ast
import copy
import logging
import re
from pathlib import Path

from nbformat import NotebookNode

from gan_course.commands import notebooks
from gan_course.commands.errors import CourseError
from gan_course.files import write_whole

MARKS = ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME")  # each between a line with BEGIN … and one with END …


def exercises(root: str | Path = ".", check: bool = False) -> int:
    """Write exercises/, or with ``check`` only compare; return the exit code, 1 where exercises/ is out of date.

    Raises ``CourseError`` for the first source that is not sound.
    """
    folder = notebooks.course_folder(root)
    sources = notebooks.list_notebooks(folder / "solutions")
    if not sources:
        raise CourseError(f"{folder / 'solutions'} holds no notebooks: exercises are made from them.")
    released = {source.name: release(source) for source in sources}
    target = folder / "exercises"
    differing = [name for name, text in released.items() if not same(target / name, text)]
    orphans = [path.name for path in notebooks.list_notebooks(target) if path.name not in released]
    if check:
        for name in differing:
            print(f"exercises/{name} is out of date: run gan-course exercises.")
        for name in orphans:
            print(f"exercises/{name} has no source in solutions/: delete it, or write solutions/{name}.")
        return int(bool(differing or orphans))
    target.mkdir(exist_ok=True)
    for name in differing:
        write_whole(target / name, released[name].encode())
        print(f"exercises/{name} written")
    for name in orphans:
        print(f"exercises/{name} has no source in solutions/; it was left alone.")
    print(f"{len(released)} notebooks in exercises/, {len(differing)} of them changed.")
    return 0


def same(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() == text.encode("utf-8")


def release(source: Path) -> str:
    """The text of the student's notebook for one notebook of solutions."""
    content = notebooks.read(source)
    validate(content, source.name)
    wanted = copy.deepcopy(content.cells)
    content = preprocess(content)
    for number, (full, stub) in enumerate(zip(wanted, content.cells, strict=True), start=1):
        try:
            kept = signatures(full) == signatures(stub)
        except SyntaxError as error:
            raise problem(source.name, number, f"it is no Python ({error.msg})", "correct it or its marks") from error
        if not kept:
            what = "the stub loses a function's signature or docstring"
            raise problem(source.name, number, what, "put ### BEGIN SOLUTION below the docstring")
        relink(stub, source.name)
    return notebooks.to_text(content)


def preprocess(content: NotebookNode) -> NotebookNode:
    """Run the preprocessors of ``nbgrader generate_assignment`` in its order, but for those that serve its database."""
    from nbgrader import preprocessors as steps

    quiet = logging.getLogger("gan_course.exercises")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    order = [
        steps.LockCells,
        steps.ClearSolutions,
        steps.ClearOutput,
        steps.CheckCellMetadata,
        steps.ClearHiddenTests,
        steps.ClearMarkScheme,
        steps.CheckCellMetadata,
    ]
    resources: dict = {}
    for step in order:
        content, resources = step(log=quiet).preprocess(content, resources)
    return content


def relink(cell: NotebookNode, name: str) -> None:
    """The cell with the Colab badge must open the exercise itself and not its solution."""
    if cell.cell_type == "markdown" and "colab.research.google.com" in cell.source:
        cell.source = re.sub(rf"(/blob/[^/\s]+)/solutions/{re.escape(name)}", rf"\1/exercises/{name}", cell.source)


def is_solution(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def signatures(cell: NotebookNode) -> list[tuple[str, str, str]]:
    """(name, signature, docstring) of each function that has a docstring, at the top of a solution cell or in a class.

    A function without one may be a helper that belongs to the solution. Raises ``SyntaxError``.
    """
    if cell.cell_type != "code" or not is_solution(cell):
        return []
    top = ast.parse(cell.source).body
    nodes = top + [node for parent in top if isinstance(parent, ast.ClassDef) for node in parent.body]
    found = []
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            returns = ast.unparse(node.returns) if node.returns else ""
            found.append((node.name, f"({ast.unparse(node.args)}) -> {returns}", ast.get_docstring(node) or ""))
    return found


def problem(name: str, number: int, what: str, remedy: str) -> CourseError:
    return CourseError(f"solutions/{name}, cell {number}: {what}: {remedy}.")


def validate(content: NotebookNode, name: str) -> None:
    """Raise ``CourseError`` with cell and remedy for what nbgrader would refuse or silently grade as nothing."""
    from jsonschema import ValidationError as SchemaError
    from nbgrader.nbgraderformat import MetadataValidator, ValidationError
    from nbgrader.nbgraderformat.common import SchemaMismatchError

    seen: dict[str, int] = {}
    for number, cell in enumerate(content.cells, start=1):
        meta = cell.metadata.get("nbgrader")
        if meta is not None:
            try:
                MetadataValidator().validate_cell(cell)
            except (ValidationError, SchemaError, SchemaMismatchError, KeyError) as error:
                what = getattr(error, "message", str(error)).strip().splitlines()[0]
                raise problem(name, number, what, "correct its nbgrader metadata") from error
            if "checksum" in meta:
                raise problem(name, number, "its metadata holds a checksum", "delete it, nbgrader computes its own")
            if meta["grade"] and not meta.get("points"):
                raise problem(name, number, "a graded cell is worth no points", "give it points")
            grade_id = meta.get("grade_id", "")
            if grade_id in seen:
                raise problem(name, number, f"grade_id {grade_id} is also that of cell {seen[grade_id]}", "rename one")
            seen[grade_id] = number
        validate_marks(cell, name, number)
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
            raise problem(name, number, "it holds outputs or an execution count", "clear all outputs and save again")
    if not seen:
        raise CourseError(f"solutions/{name}: no cell has nbgrader metadata: without them every answer scores 0.")


def validate_marks(cell: NotebookNode, name: str, number: int) -> None:
    """Solution and test marks come in pairs, in the cells that they are for, and each code solution has some."""
    lines = cell.source.splitlines()
    for mark in MARKS:
        opened = False
        for line in lines:
            if f"BEGIN {mark}" in line or f"END {mark}" in line:
                if opened == (f"BEGIN {mark}" in line):
                    raise problem(name, number, f"{line.strip()!r} has no partner", f"pair BEGIN {mark} and END {mark}")
                opened = not opened
        if opened:
            raise problem(name, number, f"BEGIN {mark} has no partner", f"close it with ### END {mark}")
    marked = "BEGIN SOLUTION" in cell.source
    if marked and not is_solution(cell):
        raise problem(name, number, "it holds a solution but is no solution cell", 'set "solution": true')
    if is_solution(cell) and cell.cell_type == "code" and not marked:
        raise problem(
            name,
            number,
            "without ### BEGIN SOLUTION nbgrader blanks the whole cell, signature too",
            "mark the solution",
        )
    if "BEGIN HIDDEN TESTS" in cell.source and not cell.metadata.get("nbgrader", {}).get("grade"):
        raise problem(name, number, "it hides tests but is no graded cell", 'set "grade": true')
    if "### AUTOTEST" in cell.source or "### HASHED AUTOTEST" in cell.source:
        raise problem(name, number, "autotests need nbgrader's own kernel run", "write the assertion out")
