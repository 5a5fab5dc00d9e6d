"""``gan-course compare``: do the chapters print here what is committed? It looks at what ``gan-course run`` left.

Only at cells with the line ``# NBVAL_CHECK_OUTPUT``: their text is the same on every machine. The mark is nbval's, and
so is what counts: everything a cell printed or displayed as text, not its pictures.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from gan_course.commands import notebooks
from gan_course.commands.errors import CourseError

MARK = "# NBVAL_CHECK_OUTPUT"


def compare(root: str | Path = ".", out: str | Path = "build") -> int:
    """Compare each chapter with its executed copy in ``out``, print what differs, and return 1 where anything does."""
    folder = notebooks.course_folder(root)
    count, found = 0, []
    paths = notebooks.list_notebooks(folder / "chapters")
    for path in paths:
        executed = folder / out / "notebooks" / path.name
        if not executed.exists():
            found.append(f"{path.name}: it has not run here: make course, or gan-course run.")
            continue
        try:
            stored = notebooks.read(path)
            count += sum(map(is_marked, stored.cells))
            found += [f"{path.name}: {line}" for line in differences(stored, notebooks.read(executed))]
        except CourseError as error:  # one damaged file must not hide the other chapters' differences
            found.append(str(error))
    print(*found, f"{count} marked cells in {len(paths)} chapters, {len(found) or 'no'} differences.", sep="\n")
    return int(bool(found))


def is_marked(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and MARK in cell.source.splitlines()


def differences(stored: NotebookNode, executed: NotebookNode) -> Iterator[str]:
    """A sentence for each marked cell of ``stored`` that says something else in ``executed``."""
    for notebook in (stored, executed):
        notebooks.join_streams(notebook)
    ran = [cell for cell in executed.cells if "injected-parameters" not in notebooks.tags(cell)]
    if [cell.source for cell in ran] != [cell.source for cell in stored.cells]:
        yield "it has changed since it ran: run it again."
        return
    for number, (old, new) in enumerate(zip(stored.cells, ran, strict=True), start=1):
        if is_marked(old) and said(old) != said(new):
            before, after = (
                [f"{kind}: {line}" for kind, text in said(cell) for line in text.splitlines()] for cell in (old, new)
            )
            lines = difflib.unified_diff(before, after, "committed", "here", n=0, lineterm="")
            yield "\n  ".join([f"cell {number} says something else than the committed one:", *lines])


def said(cell: NotebookNode) -> list[tuple[str, str]]:
    """(stream or kind, text) of all that a cell said."""
    pieces = []
    for output in cell.outputs:
        if output.output_type == "stream":
            pieces.append((output.name, output.text))
        elif output.output_type == "error":
            pieces.append(("error", f"{output.ename}: {output.evalue}"))
        else:
            pieces += [(kind, text) for kind, text in sorted(output.data.items()) if kind.startswith("text/")]
    return pieces
