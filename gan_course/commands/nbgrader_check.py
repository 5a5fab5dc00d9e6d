"""``gan-course nbgrader-check``: what nbgrader would grade as nothing, without a word, found before it is graded."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gan_course.commands import notebooks
from gan_course.commands.errors import CourseError
from gan_course.commands.grading import submissions
from gan_course.commands.grading.cells import bound, look, without_magics
from gan_course.commands.progress import printable

KEPT = ("grade", "solution", "locked", "points")  # what must stay as it was handed out
ENDS = ("exit", "quit", "sys.exit", "os._exit", "os.abort", "os.kill", "get_ipython().kernel.do_shutdown")


def check(directory: str | Path = ".", assignment: str | None = None) -> int:
    """Look at ``submitted/`` in an nbgrader course, print a sentence for each fault, and return 1 where there is one.

    Raises ``CourseError`` where the folder holds no course or no such assignment.
    """
    course = Path(directory).resolve()
    sources = {path.parent.name: path for path in sorted((course / "source").glob("*/*.ipynb"))}
    if not sources:
        raise CourseError(f"{course / 'source'} holds no assignments: name the folder of an nbgrader course.")
    if assignment is not None and assignment not in sources:
        raise CourseError(f"there is no assignment {assignment}: this course has {', '.join(sources)}.")
    looked, found = 0, []
    for place in sorted((course / "submitted").glob("*/*/")):
        student, name = place.parent.name, place.name
        if name in sources and assignment in (None, name):
            looked += 1
            found += [f"{student}, {name}: {fault}." for fault in faults(place, sources[name])]
    print(*map(printable, found), sep="\n", end="\n" if found else "")
    print(f"{looked} submissions, {len(found) or 'no'} faults.")
    return int(bool(found))


def faults(place: Path, source: Path) -> Iterator[str]:
    """A sentence for each fault of one submission. ``place``: its folder."""
    for path in sorted(place.iterdir()):
        if path.is_symlink():
            yield f"{path.name} is a link to another place: ask for the file itself"
        elif path.stem in ("gan_course", "torch", "numpy", "nbgrader", "sitecustomize", "usercustomize"):
            yield f"{path.name} would be imported in place of the real {path.stem}: remove it"
    path = place / source.name
    if not path.exists():
        others = ", ".join(other.name for other in sorted(place.glob("*.ipynb"))) or "no notebook at all"
        yield f"nbgrader looks for {source.name} and finds {others}: rename it"
        return
    try:
        raw = submissions.content(path)
        submissions.code_cells(raw)
        handed_in = notebooks.read(path)
    except CourseError as error:
        yield str(error).rstrip(".")
        return
    yield from metadata_faults(handed_in.cells, notebooks.read(source).cells)
    yield from code_faults(handed_in.cells)


def metadata_faults(cells: list[Any], given: list[Any]) -> Iterator[str]:
    """Cells that were copied, deleted, or whose metadata were changed or lost."""
    wanted = {c.metadata.nbgrader.grade_id: c for c in given if "nbgrader" in c.metadata}
    marked = [c for c in cells if isinstance(c.metadata.get("nbgrader"), dict)]
    ids = [str(c.metadata.nbgrader.get("grade_id")) for c in marked]
    if not marked:
        yield (
            "no cell has kept its nbgrader metadata, so every answer would score 0: copy the answers into a fresh copy "
            "of the release, or grade it with gan-course grade"
        )
        return
    for name, count in Counter(ids).items():
        if count > 1:
            yield f"the cell {name} is there {count} times, as when it was copied: remove the copies' metadata"
    if gone := [name for name in wanted if name not in ids]:
        yield f"the cells {', '.join(gone)} are missing: put them back from the release, or they score 0"
    if strange := sorted(set(ids) - wanted.keys()):
        yield f"the cells {', '.join(strange)} are not of this assignment: remove their metadata"
    for cell, name in zip(marked, ids, strict=True):
        if name in wanted:
            before, now = wanted[name].metadata.nbgrader, cell.metadata.nbgrader
            for key in KEPT:
                if now.get(key) != before.get(key):
                    yield f"the metadata of {name} were changed ({key}: {before.get(key)} became {now.get(key)})"
            if cell.cell_type != wanted[name].cell_type:
                yield f"the cell {name} became a {cell.cell_type} cell: make it a {wanted[name].cell_type} cell again"


def code_faults(cells: list[Any]) -> Iterator[str]:
    """Code that would end the kernel or replace its judge. Graded cells are left out: nbgrader puts them back."""
    for number, cell in enumerate(cells):
        meta = cell.metadata.get("nbgrader") or {}
        if cell.cell_type != "code" or (isinstance(meta, dict) and meta.get("locked") and meta.get("grade")):
            continue
        try:
            tree = ast.parse(without_magics(cell.source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # it is an answer that does not run, and it will score so
        calls = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        for name in sorted(calls & set(ENDS)):
            yield f"cell {number + 1} calls {name}(), which ends the kernel, and all cells below it score 0: remove it"
        for statement in tree.body:
            names = bound(statement)
            ours = isinstance(statement, ast.ImportFrom) and statement.module == "gan_course"
            for name in sorted(n for n in names if (n == "checks" and not ours) or n.startswith("check_")):
                yield f"cell {number + 1} gives {name} another meaning, and the checks are called by it: remove that"
        for remark in sorted(look(tree, number)):
            if " assigns to " in remark:
                yield f"{remark}, which the checks may rely on: remove that"
