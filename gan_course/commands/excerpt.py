"""What of a cell a page shows: all of it, or as much as a browser and a reader can take, with a note."""

from __future__ import annotations

import re

from nbformat import NotebookNode
from nbformat.v4 import new_output

TEXT = 100_000  # characters that a page shows of a cell's text
MARKUP = 2_000_000  # characters of HTML or of SVG, of which a part is of no use
PICTURE = 30_000_000  # characters of a picture or a film
MOST = 500  # outputs of one cell
DEEPEST = 2000  # tags within each other: for more of them the sanitizer takes minutes
SHOWN = ("text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml", "image/png", "image/jpeg")
# Kinds of data that a page never shows; without them it takes the next best, often the plain text.
LIVE = (
    "application/javascript",
    "application/vnd.jupyter.widget-view+json",
    "text/vnd.mermaid",
)


def shorten(cell: NotebookNode, where: str) -> None:
    """Cut what is too much of a cell, and say so. where: the file that still holds everything."""
    if len(cell.source) > TEXT:
        cell.source = f"{cell.source[:TEXT]}\n\n[{cut(len(cell.source), where)}]"
    if cell.cell_type != "code":
        if depth(cell.source) > DEEPEST:
            cell.source = f"[{too_deep(where)}]"
        return
    cell.metadata.pop("magics_language", None)  # it would choose the colours
    left, outputs = TEXT, []
    for number, output in enumerate(cell.outputs):
        if number == MOST or left <= 0:
            rest = len(cell.outputs) - number
            outputs.append(note(f"{rest} more output{'s are' if rest > 1 else ' is'} in {where}, not on this page."))
            break
        left -= fit(output, left, where)
        outputs.append(output)
    cell.outputs = outputs


def fit(output: NotebookNode, left: int, where: str) -> int:
    """Cut one output so that no more than ``left`` characters of text remain; return how many there are."""
    if output.output_type == "stream":
        output.text, count = fit_text(output.text, left, where)
        return count
    if output.output_type == "error":
        text, count = fit_text("\n".join(output.traceback), left, where)
        output.traceback = text.split("\n")
        return count
    count = 0
    if not any(kind in SHOWN for kind in output.data):
        kinds = ", ".join(output.data) or "no kind"
        output.data["text/plain"] = f"[An output of {kinds[:200]}, which a page does not show.]"
    for kind, content in list(output.data.items()):
        if kind in LIVE:
            del output.data[kind]
        elif not isinstance(content, str):  # JSON, which a page does not show
            continue
        elif kind in ("text/html", "text/markdown") and depth(content) > DEEPEST:
            del output.data[kind]
            output.data["text/plain"] = f"[{too_deep(where)}]"
        elif kind in ("text/plain", "text/markdown", "text/latex"):
            output.data[kind], length = fit_text(content, left, where)
            count = max(count, length)  # one of them is shown
        else:
            most = MARKUP if kind in ("text/html", "image/svg+xml") else PICTURE
            count = max(count, TEXT * len(content) // most)
            if len(content) > most:
                del output.data[kind]
                output.data["text/plain"] = f"[{cut(len(content), where, shown=0)}]"
    return count


def fit_text(text: str, left: int, where: str) -> tuple[str, int]:
    if len(text) <= left:
        return text, len(text)
    return f"{text[:left]}\n[{cut(len(text), where, left)}]", left


def depth(markup: str) -> int:
    """How many tags are open at once, at the most; those that hold nothing don't count."""
    level = most = 0
    for match in re.finditer(
        r"<(/?)(?!area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)[a-z]", markup, re.I
    ):
        level = max(0, level - 1 if match[1] else level + 1)
        most = max(most, level)
    return most


def too_deep(where: str) -> str:
    return f"HTML of more than {DEEPEST:,} tags within each other is in {where}, not on this page."


def cut(length: int, where: str, shown: int = TEXT) -> str:
    what = f"shows the first {shown:,}" if shown else "shows none"
    return f"Cut here: of {length:,} characters this page {what}. All of it is in {where}."


def note(text: str) -> NotebookNode:
    return new_output("stream", name="stdout", text=f"[{text}]\n")
