"""Find, read and write the course's notebooks, the same bytes on every machine."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from gan_course.commands.errors import CourseError
from gan_course.files import write_whole
from gan_course.naming import nearest

FOLDERS = ("chapters", "exercises", "solutions")
PICTURES = ("image/png", "image/jpeg")  # as `plots.show` stores them
LARGEST = 100_000_000  # bytes of a notebook: GitHub refuses more, and a laptop's memory may
KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}


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
    """Read a notebook as format 4; ``CourseError`` with file and fault where it can't be done."""
    try:
        data = read_json(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # missing cell ids are ``gan-course check``'s business
            if data.get("nbformat") == 4:
                nbformat.validate(data, relax_add_props=True)  # before what reads it can stumble over it
            return validated(nbformat.reads(json.dumps(data), as_version=4))
    except CourseError:
        raise
    except nbformat.ValidationError as error:
        raise unreadable(path, fault_of(error)) from error
    except Exception as error:  # nbformat stumbles over a damaged file in many ways
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise unreadable(path, lines[0]) from error


def read_json(path: Path) -> dict[str, Any]:
    """The object that the file holds; ``CourseError`` where it holds anything else."""
    try:
        if not path.is_file():
            if path.is_symlink() and not path.exists():
                raise unreadable(path, "it is a link to a file that is not there")
            raise unreadable(path, "it is a folder" if path.is_dir() else "there is no ordinary file of that name")
        if (size := path.stat().st_size) > LARGEST:
            raise unreadable(path, f"it has {size / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}")
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CourseError(f"{path.name} cannot be read ({reason}): see who may read it, and try again.") from error
    if content.startswith(b"\xef\xbb\xbf"):
        raise unreadable(path, "it begins with a byte-order mark, which Jupyter refuses: save it as UTF-8 without one")
    try:
        data = json.loads(content.decode())
    except UnicodeDecodeError as error:
        raise unreadable(path, f"byte {error.start + 1} is not UTF-8") from error
    except RecursionError as error:
        raise unreadable(path, "its brackets are nested too deep") from error
    except ValueError as error:
        raise unreadable(path, f"it is no JSON: {error}" if content.strip() else "it is empty") from error
    if not isinstance(data, dict):
        raise unreadable(path, f"a notebook is a JSON object, and this is {KINDS.get(type(data), 'another value')}")
    if not (isinstance(data.get("nbformat"), int) and isinstance(data.get("nbformat_minor", 0), int)):
        raise unreadable(path, "it names no nbformat, the version of its format")
    if data["nbformat"] >= 4:  # of older formats, what converts them says what is missing
        cells = data.get("cells")
        if not isinstance(cells, list):
            raise unreadable(path, "it has no list of cells")
        for number, cell in enumerate(cells, start=1):
            if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
                raise unreadable(path, f"cell {number} is none: it has no cell_type")
    return data


def unreadable(path: Path, fault: str) -> CourseError:
    fault = fault if len(fault) <= 200 else fault[:197] + "..."
    return CourseError(f"{path.name} cannot be read as a notebook ({fault}): restore it from git, or move it away.")


def validated(notebook: NotebookNode) -> NotebookNode:
    """``notebook`` itself; ``ValidationError`` or ``ValueError`` where its parts are not what they should be."""
    nbformat.validate(notebook, relax_add_props=True)
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            for kind, content in output.get("data", {}).items():
                if not isinstance(content, str) and not kind.endswith("json"):
                    raise ValueError(f"cell {number}: its output {kind} is no text")
    return notebook


def fault_of(error: Any) -> str:
    """nbformat's finding in words: which cell, which part of it, what is there."""
    path = list(getattr(error, "relative_path", None) or getattr(error, "path", None) or [])
    if path[:1] == ["cells"] and len(path) > 1:
        path[:2] = [f"cell {path[1] + 1}"]
    message = error.message.splitlines()[0].replace("is not valid under any of the given schemas", "can't stand there")
    return f"{'/'.join(map(str, path))}: {message}" if path else message


def to_text(notebook: NotebookNode) -> str:
    """The file's text: one space of indent, Unicode as it is, a newline at the end."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def write(path: Path, notebook: NotebookNode) -> None:
    """Write the file whole; ``CourseError`` where that can't be done, and then it is as it was."""
    try:
        write_whole(path, to_text(notebook).encode(errors="replace"))  # half of a surrogate pair is no UTF-8
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
    """(``data:`` address, alternative text) of the picture below the cell tagged ``cover``, else of the first."""
    for cell in sorted(notebook.cells, key=lambda cell: "cover" not in tags(cell)):
        for output in cell.get("outputs", []):
            for kind in PICTURES:
                data = "".join(output.get("data", {}).get(kind, "").split())
                if re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", data):
                    described = output.metadata.get(kind, {})
                    alt = str(described.get("alt", "")) if isinstance(described, dict) else ""
                    return f"data:{kind};base64,{data}", alt
    return None


def join_streams(notebook: NotebookNode) -> None:
    """Join neighbouring pieces of the same stream: how many pieces arrive is a matter of timing."""
    for cell in notebook.cells:
        joined: list[NotebookNode] = []
        pieces: list[str] = []
        for output in cell.get("outputs", []):
            last = joined[-1] if joined else None
            if last and output.output_type == last.output_type == "stream" and output.name == last.name:
                pieces.append(output.text)
                continue
            end_stream(joined, pieces)
            joined.append(output)
            pieces = [output.text] if output.output_type == "stream" else []
        end_stream(joined, pieces)
        if cell.cell_type == "code":
            cell.outputs = joined


def end_stream(joined: list[NotebookNode], pieces: list[str]) -> None:
    """Put the pieces of a stream together at once: one by one takes minutes where there are many."""
    if pieces:
        joined[-1].text = "".join(pieces)


def keep_stills(notebook: NotebookNode) -> None:
    """Remove what only a running kernel could show: of a widget, its still picture remains."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
