"""What came in, read with care; and what it is to be judged by: the course's own solutions."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from gan_course.commands import notebooks
from gan_course.commands.errors import CourseError
from gan_course.commands.grading.cells import look, without_magics

LARGEST = 20_000_000  # bytes of a submission
MOST_CELLS = 1000
LONGEST = 1_000_000  # characters of its code; pictures and other outputs don't count


def fingerprint(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Graded:
    """One graded cell of a solution."""

    task: str
    grade_id: str
    points: float
    source: str


@dataclass(frozen=True)
class Exercise:
    """``names``: the functions that a student writes. ``preamble``: the imports that graded cells may rely on.

    ``usual``: what would be remarked on (:func:`cells.look`) but stands in the notebook of solutions.
    """

    name: str
    names: tuple[str, ...]
    preamble: str
    cells: tuple[Graded, ...]
    usual: tuple[str, ...] = ()

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(cell.task for cell in self.cells))

    @property
    def fingerprint(self) -> str:
        return fingerprint(self)


@dataclass(frozen=True)
class Submission:
    """``cells``: the sources of its code cells. ``fault``: why it can't be graded, or nothing."""

    student: str
    file: str
    exercise: str = ""
    cells: tuple[str, ...] = ()
    fault: str = ""

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.exercise, self.cells, self.fault)


# ------------------------------------------------------------------------------------------ the course's side


def read_exercises(folder: Path) -> dict[str, Exercise]:
    """The exercises of a folder of solutions, by name. Raises ``CourseError`` where there are none."""
    found = {path.stem: exercise(path) for path in notebooks.list_notebooks(folder)}
    if not found:
        raise CourseError(f"{folder} holds no notebooks, and submissions are graded by the course's own solutions.")
    return found


def exercise(path: Path) -> Exercise:
    """What a notebook of solutions asks for, and its graded cells with their hidden tests."""
    names: list[str] = []
    imports: list[str] = []
    cells: list[Graded] = []
    answers: list[str] = []
    usual: set[str] = set()
    for cell in notebooks.read(path).cells:
        meta = cell.metadata.get("nbgrader", {})
        if cell.cell_type != "code":
            continue
        usual |= {remark.split(" ", 2)[2] for remark in look(ast.parse(without_magics(cell.source)), 0)}
        if meta.get("solution"):
            answers.append(meta["grade_id"])
            names += [n.name for n in ast.parse(cell.source).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        elif meta.get("grade"):
            task = next((a for a in sorted(answers, key=len, reverse=True) if meta["grade_id"].startswith(a)), "")
            cells.append(Graded(task or meta["grade_id"], meta["grade_id"], float(meta["points"]), cell.source))
        elif "setup" not in notebooks.tags(cell) and "%" not in cell.source[:1]:
            nodes = [n for n in ast.parse(cell.source).body if isinstance(n, ast.Import | ast.ImportFrom)]
            imports += map(ast.unparse, nodes)
    if not cells:
        raise CourseError(f"{path} has no graded cells: there is nothing to grade by.")
    needed = {n.id for c in cells for n in ast.walk(ast.parse(c.source)) if isinstance(n, ast.Name)}
    kept = [line for line in dict.fromkeys(imports) if needed & set(re.findall(r"\w+", line))]
    return Exercise(path.stem, tuple(dict.fromkeys(names)), "\n".join(kept), tuple(cells), tuple(sorted(usual)))


# ------------------------------------------------------------------------------------------ the students' side


def find(folder: Path) -> list[tuple[str, Path]]:
    """(student, path) of all notebooks in ``folder``, in the order of their names; links are not followed.

    In a folder of its own, the first folder's name is the student's; else the file's.
    """
    found = []
    for place, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(files):
            if name.endswith(".ipynb") and not name.startswith("."):
                path = Path(place, name)
                parts = path.relative_to(folder).parts
                found.append((parts[0] if len(parts) > 1 else path.stem, path))
        for name in folders:
            if os.path.islink(os.path.join(place, name)):
                found.append((name, Path(place, name)))
    return sorted(found, key=lambda row: (row[0], str(row[1])))


def read(student: str, path: Path, folder: Path, exercises: dict[str, Exercise]) -> Submission:
    """One submission. Whatever is wrong with the file becomes its ``fault``."""
    name = str(path.relative_to(folder))
    named = next((e for e in sorted(exercises, key=len, reverse=True) if e in path.stem or e in name), "")
    try:
        cells = code_cells(content(path))
    except CourseError as error:
        return Submission(student, name, named, (), str(error))
    everything = "\n".join(cells)
    score = {e: sum(f"def {n}(" in everything for n in x.names) / len(x.names) for e, x in exercises.items()}
    best = named or max(score, key=lambda e: score[e])
    if not named and not score[best]:
        return Submission(student, name, "", (), "it holds no answer to any exercise: is it the right notebook?")
    if student.endswith(best) and student != best:
        student = student.removesuffix(best).rstrip("_- .")
    return Submission(student, name, best, tuple(cells))


def content(path: Path) -> bytes:
    """The bytes of an ordinary file that is not too large. Raises ``CourseError``."""
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            raise CourseError("it is a link to another file, and links are not followed: ask for the file itself")
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise CourseError("it is no ordinary file")
            if status.st_size > LARGEST:
                raise CourseError(f"it has {status.st_size / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}")
            return file.read(LARGEST)
    except OSError as error:
        raise CourseError(f"it can't be read ({error.strerror or error})") from error


def code_cells(raw: bytes) -> list[str]:
    """The sources of the code cells, whatever else the notebook says about itself. Raises ``CourseError``."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CourseError("it is no notebook: it is not valid JSON") from error
    cells = data.get("cells") if isinstance(data, dict) else None
    if not isinstance(cells, list):
        raise CourseError("it is no notebook of today's format: it has no list of cells")
    if len(cells) > MOST_CELLS:
        raise CourseError(f"it has {len(cells)} cells, more than {MOST_CELLS}")
    found = []
    for cell in cells:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", "")
            text = "".join(map(str, source)) if isinstance(source, list) else str(source)
            found.append(text.encode(errors="replace").decode())  # half of a surrogate pair is no text
    if (length := sum(map(len, found))) > LONGEST:
        raise CourseError(f"its code has {length:,} characters, more than {LONGEST:,}")
    return found
