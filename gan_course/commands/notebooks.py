"""Find, read and write the course's notebooks, the same bytes on every machine."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from gan_course.commands.errors import CourseError
from gan_course.files import write_whole
from gan_course.naming import nearest

FOLDERS = ("chapters", "exercises", "solutions")


def course_folder(root: str | Path) -> Path:
    """The absolute course folder; ``CourseError`` where it holds no ``chapters/``."""
    folder = Path(root).resolve()
    if not (folder / "chapters").is_dir():
        raise CourseError(
            f"{folder} holds no folder chapters/: go to the course folder first, or name it with --root FOLDER."
        )
    return folder


def list_notebooks(folder: Path) -> list[Path]:
    """The notebooks of a folder in course order, which is the order of their names."""
    return sorted(folder.glob("*.ipynb"))


def choose(paths: list[Path], wanted: list[str]) -> list[Path]:
    """The notebooks meant by ``wanted``, in course order: each a number ("3", "03") or a name ("03_training").

    Raises ``CourseError`` with the nearest match for one that does not exist.
    """
    chosen = []
    for want in wanted:
        name = Path(want).name.removesuffix(".ipynb")
        number = name.zfill(2) + "_" if name.isdigit() else None
        matches = [p for p in paths if p.stem == name or (number and p.stem.startswith(number))]
        if not matches:
            raise CourseError(f"There is no chapter {want!r}: {nearest(name, [p.stem for p in paths])}.")
        chosen += matches
    return [p for p in paths if p in chosen]


def read(path: Path) -> NotebookNode:
    """Read a notebook as format 4; ``CourseError`` where the file is no notebook."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # missing cell ids are ``gan-course check``'s business
            return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (OSError, ValueError) as error:  # nbformat's own errors are ValueErrors
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CourseError(f"{path.name} cannot be read as a notebook ({reason}): restore it from git.") from error


def to_text(notebook: NotebookNode) -> str:
    """The file's text: one space of indent, Unicode as it is, a newline at the end."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def write(path: Path, notebook: NotebookNode) -> None:
    """Write the file whole; ``CourseError`` where that can't be done, and then it is as it was."""
    try:
        write_whole(path, to_text(notebook).encode())
    except OSError as error:
        raise CourseError(f"{error}.") from error


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def title(notebook: NotebookNode, default: str) -> str:
    """The first heading of the notebook as plain text."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = re.search(r"^# +(.+)$", cell.source, flags=re.MULTILINE)
            if found:
                return re.sub(r"[*`]|\[(.+?)\]\(.*?\)", r"\1", found.group(1)).strip()
    return default


def cover_picture(notebook: NotebookNode) -> tuple[str, str] | None:
    """(base64 PNG, alternative text) of the picture below the cell tagged ``cover``, else of the first one, or None."""
    for cell in sorted(notebook.cells, key=lambda cell: "cover" not in tags(cell)):
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt", "")
                return "".join(output.data["image/png"].split()), alt
    return None


def join_streams(notebook: NotebookNode) -> None:
    """Join neighbouring pieces of the same stream: how many pieces arrive is a matter of timing."""
    for cell in notebook.cells:
        joined: list[NotebookNode] = []
        for output in cell.get("outputs", []):
            last = joined[-1] if joined else None
            if last and output.output_type == last.output_type == "stream" and output.name == last.name:
                last.text += output.text
            else:
                joined.append(output)
        if cell.cell_type == "code":
            cell.outputs = joined


def keep_stills(notebook: NotebookNode) -> None:
    """Remove what only a running kernel could show: of a widget, its still picture remains."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
