"""``gan-course check``: what must not be in a committed notebook, and what must.

Each rule is a generator of (cell number, sentence); cell number 0 means the whole file. Cells are counted from 1, text
cells included.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from gan_course.commands import notebooks, translate
from gan_course.commands.mirrors import mirror_problems

MAX_BYTES = 1_500_000  # beyond it GitHub stops drawing a notebook reliably
MAX_LINES = 25  # of one code cell in a chapter: what a reader sees at once
MIN_ALT = 20  # characters; "a plot" describes nothing

Problem = tuple[int, str]


def check(root: str | Path = ".") -> int:
    """Print one line for each problem in the course's notebooks; return 1 where there is any."""
    folder = notebooks.course_folder(root)
    problems = find_problems(folder)
    for language in translate.languages(folder):
        problems += translate.problems(folder, language)
        for line in translate.reports(folder, language):  # a translation that lags behind is no fault of the original
            print(line)
    for line in problems:
        print(line)
    count = sum(len(notebooks.list_notebooks(folder / part)) for part in notebooks.FOLDERS)
    print(f"{count} notebooks, {len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}.")
    return int(bool(problems))


def find_problems(root: Path) -> list[str]:
    """Every problem as "file: cell N: what and remedy", in course order."""
    found = []
    setups: dict[str, str] = {}  # file → source of its setup cell
    for part in notebooks.FOLDERS:
        for path in notebooks.list_notebooks(root / part):
            name = f"{part}/{path.name}"
            notebook = notebooks.read(path)
            for number, sentence in problems_of(path, notebook, part == "chapters", root):
                found.append(f"{name}: cell {number}: {sentence}" if number else f"{name}: {sentence}")
            cells = [c.source for c in notebook.cells if "setup" in notebooks.tags(c)]
            if len(cells) == 1:
                setups[name] = cells[0]
    if setups:
        first, wanted = next(iter(setups.items()))
        found += [
            f"{name}: the setup cell differs from that of {first}: copy it from there"
            for name, source in setups.items()
            if source != wanted
        ]
    return found


def problems_of(path: Path, notebook: NotebookNode, chapter: bool, root: Path) -> Iterator[Problem]:
    yield from file_problems(path)
    yield from cell_id_problems(json.loads(path.read_text(encoding="utf-8")))
    yield from tag_problems(notebook, chapter)
    yield from output_problems(notebook, root)
    yield from picture_problems(notebook)
    yield from execution_problems(notebook) if chapter else cleared_problems(notebook)
    if chapter:
        yield from length_problems(notebook)
    yield from mirror_problems(notebook)


def file_problems(path: Path) -> Iterator[Problem]:
    if not re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", path.name):
        yield 0, "its name is not of the form 03_training.ipynb: rename it"
    size = path.stat().st_size
    if size > MAX_BYTES:
        yield 0, f"it holds {size / 1e6:.1f} MB: draw smaller or fewer pictures, {MAX_BYTES / 1e6} MB is the limit"


def cell_id_problems(raw: dict[str, Any]) -> Iterator[Problem]:
    """raw: the notebook as plain JSON, because nbformat quietly invents ids where they are missing or doubled."""
    seen: dict[str, int] = {}
    for number, cell in enumerate(raw["cells"], start=1):
        name = cell.get("id")
        if not name:
            yield number, "it has no id: save the notebook once with a current JupyterLab"
        elif name in seen:
            yield number, f"its id {name} is also that of cell {seen[name]}: give it another"
        else:
            seen[name] = number


def tag_problems(notebook: NotebookNode, chapter: bool) -> Iterator[Problem]:
    if "widgets" in notebook.metadata:
        yield 0, "it holds metadata.widgets, which GitHub refuses to draw: run gan-course run --update"
    for tag in ("setup", "parameters") if chapter else ("setup",):
        count = sum(tag in notebooks.tags(cell) for cell in notebook.cells)
        if count != 1:
            yield 0, f"{count or 'no'} cells have the tag {tag}: exactly one must"


def machine_paths(root: Path) -> re.Pattern[str]:
    """Paths that tell on which machine a notebook ran: the usual homes, and this very machine's folders."""
    places = [str(root.resolve()), str(Path.home()), str(Path(sys.prefix))]
    own = "|".join(re.escape(place) for place in places if len(Path(place).parts) > 2)
    usual = (
        r"(?<![\w.:/])/(?:home|root|tmp|Users|private|var|content|mnt|opt|usr)/[\w.]|[A-Za-z]:\\+Users|site-packages"
    )
    return re.compile(f"{usual}|(?:{own})" if own else usual)


def texts(output: NotebookNode) -> str:
    """All readable text of an output, without pictures that are embedded in HTML."""
    parts = [output.get("text", ""), *output.get("traceback", [])]
    parts += [v for k, v in output.get("data", {}).items() if k.startswith("text/") and isinstance(v, str)]
    return re.sub(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+", "", "\n".join(parts))


def output_problems(notebook: NotebookNode, root: Path) -> Iterator[Problem]:
    path = machine_paths(root)
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                yield number, f"it ends in {output.ename}: correct it and run the chapter again"
                continue
            text = texts(output)
            warning = re.search(r"\b\w*Warning\b[^\n]*", text)
            if warning:
                yield number, f"it shows a warning ({shorten(warning.group())}): remove the cause"
            elif output.get("name") == "stderr":
                yield number, f"it writes to stderr ({shorten(text)}): print to stdout, or remove the cause"
            if output.output_type == "execute_result" and set(output.data) == {"text/plain"}:
                yield number, f"it shows its last line's value ({shorten(text)}): name it, or print what is to be seen"
            where = path.search(text)
            if where:
                line = next(part for part in text.splitlines() if path.search(part))
                yield number, f"it shows a path of this machine ({shorten(line)}): print a relative one"


def shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def picture_problems(notebook: NotebookNode) -> Iterator[Problem]:
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            for kind in [k for k in output.get("data", {}) if k.startswith("image/")]:
                alt = output.metadata.get(kind, {}).get("alt", "").strip()
                if len(alt) < MIN_ALT:
                    said = f"only {alt!r} as" if alt else "no"
                    yield number, f"a picture has {said} alternative text: show it with plots.show(figure, alt=...)"
        if cell.cell_type == "markdown":
            for alt, address in re.findall(r"!\[(.*?)\]\(\s*(\S+?)[\s)]", cell.source, flags=re.DOTALL):
                if not alt.strip():
                    yield number, f"the picture {shorten(address)} has no alternative text: write ![what it shows](...)"
        html = cell.source if cell.cell_type == "markdown" else "\n".join(map(texts, cell.get("outputs", [])))
        for tag in re.findall(r"<img\b[^>]*>", html, flags=re.IGNORECASE):
            if not re.search(r"""\balt\s*=\s*(?:"[^"]*\S[^"]*"|'[^']*\S[^']*')""", tag):
                yield number, f"{shorten(tag)} has no alternative text: add alt="


def execution_problems(notebook: NotebookNode) -> Iterator[Problem]:
    """A chapter is committed as it ran, from top to bottom, once."""
    code: list[tuple[int, Any]] = [
        (n, c) for n, c in enumerate(notebook.cells, start=1) if c.cell_type == "code" and c.source.strip()
    ]
    for wanted, (number, cell) in enumerate(code, start=1):
        if cell.execution_count != wanted:
            yield number, f"its execution count is {cell.execution_count} and not {wanted}: run gan-course run --update"
            break
    if code and not any(cell.outputs for _, cell in code):
        yield 0, "no cell has an output: run gan-course run --update"


def cleared_problems(notebook: NotebookNode) -> Iterator[Problem]:
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None):
            yield number, "it holds outputs or an execution count: clear all outputs"


def length_problems(notebook: NotebookNode) -> Iterator[Problem]:
    for number, cell in enumerate(notebook.cells, start=1):
        lines = len(cell.source.splitlines())
        if cell.cell_type == "code" and lines > MAX_LINES:
            yield number, f"it has {lines} lines of code: split it, {MAX_LINES} are the limit"
