"""Tiny notebooks and course folders for tests."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ALT = "A small square that is one half black and one half white."


def code(source: str, *tags: str, id: str | None = None, **metadata) -> NotebookNode:
    cell = new_code_cell(source, metadata=metadata | ({"tags": list(tags)} if tags else {}))
    return cell | {"id": id} if id else cell


def text(source: str, *tags: str, id: str | None = None, **metadata) -> NotebookNode:
    cell = new_markdown_cell(source, metadata=metadata | ({"tags": list(tags)} if tags else {}))
    return cell | {"id": id} if id else cell


def notebook(*cells: NotebookNode) -> NotebookNode:
    """A notebook with predictable cell ids where a cell has none of its own choice."""
    made = new_notebook(cells=[nbformat.from_dict(cell) for cell in cells])
    made.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    made.metadata.language_info = {"name": "python"}
    return made


def executed(folder: Path, *cells: NotebookNode | str, **options) -> NotebookNode:
    """The notebook of these cells, run by a real kernel in ``folder``. ``options``: see nbclient's NotebookClient."""
    made = notebook(*(code(cell) if isinstance(cell, str) else cell for cell in cells))
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(made, timeout=180, resources=resources, **options).execute()
    return made


def save(path: Path, *cells: NotebookNode) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(notebook(*cells)) + "\n", encoding="utf-8", newline="\n")
    return path


def png() -> str:
    """The smallest useful PNG, in base64: 2 × 1 pixels, black and white."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 2, 1, 8, 0, 0, 0, 0)
    raw = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0\xff")) + chunk(b"IEND", b"")
    )
    return base64.b64encode(raw).decode()


def show_picture(alt: str = ALT) -> str:
    """Code that shows the PNG with its alternative text, the way the course's ``plots.show`` does."""
    return (
        "from IPython.display import display\n"
        f"display({{'image/png': {png()!r}, 'text/plain': 'a figure'}}, raw=True,\n"
        f"        metadata={{'image/png': {{'alt': {alt!r}}}}})"
    )


def picture(alt: str | None = ALT) -> NotebookNode:
    """The output that ``show_picture`` leaves."""
    metadata = {"image/png": {"alt": alt}} if alt is not None else {}
    return new_output("display_data", data={"image/png": png(), "text/plain": "a figure"}, metadata=metadata)


def stream(content: str, name: str = "stdout") -> NotebookNode:
    return new_output("stream", name=name, text=content)
