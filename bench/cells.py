"""``python -m bench.cells``: the chapters' cells run as students run them: twice in a row, with odd numbers and seeds.

It needs no kernel: the cells run one after the other in this process, and figures are drawn but not shown. A cell that
fails is reported and the next one runs; so is a figure whose labels cover each other or are cut off. An assertion with
a sentence is an answer ("train longer") where the numbers are the smallest ones, and a fault everywhere else.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any
from unittest import mock

from matplotlib.figure import Figure
from nbformat import NotebookNode

from gan_course import plots
from gan_course.commands import notebooks

ROOT = Path(__file__).parents[1]
# The smallest numbers of each parameters cell that still make sense.
SMALLEST: dict[str, dict[str, Any]] = {
    "00": {"STEPS": 10},
    "03": {"STEPS": 10},
    "04": {"STEPS": 100, "CONDITIONAL_STEPS": 10, "LINEAR_STEPS": 200},
    "06": {"STEPS": 50, "DISTINCT": 4},
    "07": {"STEPS": 10, "COUNT": 100},
}
VALUES = re.compile(r'^([A-Z_]+) = "[^"]*"  # (.*)$', flags=re.MULTILINE)  # a parameter and what its comment says
DOWNLOADED = ("mnist", "fashion_mnist")  # only where GAN_COURSE_DATA names a folder that holds them


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is asked for and return 1 where a cell failed."""
    options = parser().parse_args(argv)
    failed = 0
    chapters = notebooks.list_notebooks(ROOT / "chapters")
    for path in notebooks.choose(chapters, options.only) if options.only else chapters:
        for what, parameters, twice, small in plans(path, options):
            start = time.monotonic()
            faults = list(run(notebooks.read(path), parameters, twice, small))
            print(f"{path.stem[:2]} {what}: {len(faults) or 'no'} faults, {time.monotonic() - start:.0f} s", flush=True)
            for fault in faults:
                print(f"    {fault}", flush=True)
            failed += bool(faults)
    return int(bool(failed))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m bench.cells", description="Run the chapters' cells as students do.")
    top.add_argument("--only", nargs="+", default=[], metavar="N", help="chapters (default: all)")
    top.add_argument("--seeds", nargs="+", type=int, default=[], metavar="N", help="each chapter once with each")
    top.add_argument("--twice", action="store_true", help="each cell twice in a row, with the smallest numbers")
    top.add_argument("--values", action="store_true", help="with every value that the parameters cell names")
    return top


def plans(path: Path, options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any], bool, bool]]:
    """What to run a chapter with: a name, its parameters, whether each cell runs twice, whether numbers are small."""
    small = SMALLEST.get(path.stem[:2], {})
    for seed in options.seeds:
        yield f"seed {seed}", {"SEED": seed}, False, False
    if options.twice:
        yield "each cell twice", small, True, True
    if options.values:
        for name, value in documented(notebooks.read(path)):
            if value not in DOWNLOADED or os.environ.get("GAN_COURSE_DATA"):
                yield f"{name} = {value!r}", {name: value}, False, False


def documented(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """Each parameter with each value that stands in quotes in its comment."""
    for cell in notebook.cells:
        if "parameters" in notebooks.tags(cell):
            for name, comment in VALUES.findall(cell.source):
                yield from ((name, value) for value in re.findall(r'"(\w+)"', comment) if name != "PROFILE")


def collisions(figure: Figure) -> Iterator[str]:
    """What covers each other in ``figure``: titles and names of axes, legend and curve; and what its border cuts."""
    figure.draw_without_rendering()
    texts = list(figure.texts)  # the title of the whole is one of them
    for ax in figure.axes:
        texts += [ax.title, *((ax.xaxis.label, ax.yaxis.label) if ax.axison else ())]
    boxes = {text: text.get_window_extent().padded(-0.5) for text in texts if text.get_text().strip()}
    for one, other in combinations(boxes, 2):
        if boxes[one].overlaps(boxes[other]):
            yield f"{one.get_text()!r} and {other.get_text()!r} cover each other"
    for text, box in boxes.items():
        if not (figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1):
            yield f"{text.get_text()!r} is cut off"
    for ax in figure.axes:
        legend = ax.get_legend()
        for text in legend.get_texts() if legend and not legend.get_frame_on() else ():
            box = text.get_window_extent()
            if any(line.get_path().transformed(line.get_transform()).intersects_bbox(box, False) for line in ax.lines):
                yield f"the legend's {text.get_text()!r} lies on a curve"


def run(notebook: NotebookNode, parameters: dict[str, Any], twice: bool, small: bool) -> Iterator[str]:
    """Run all code cells in one name space and say which fail, and how."""
    told: dict[str, Any] = {"__name__": "__main__"}
    seen: list[str] = []
    show = plots.show

    def look_and_show(figure: Figure, alt: str) -> None:
        seen.extend(collisions(figure))
        show(figure, alt)

    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and "setup" not in notebooks.tags(cell)]
    with mock.patch.object(plots, "show", look_and_show):
        for cell in cells:
            code = compile(cell.source, f"<{cell.id}>", "exec")
            for turn in range(1 + twice):
                where = f"{cell.id}, turn {turn + 1}: "
                try:
                    with contextlib.redirect_stdout(io.StringIO()) as said:
                        exec(code, told)
                except AssertionError as error:
                    if not (small and str(error)):
                        yield f"{where}AssertionError: {error}; it printed: {said.getvalue()[-400:]!r}"
                except Exception as error:
                    yield f"{where}{type(error).__name__}: {error}"
                yield from (where + fault for fault in seen)
                seen.clear()
            if "parameters" in notebooks.tags(cell):
                told |= parameters
    told.clear()
    gc.collect()


if __name__ == "__main__":
    sys.exit(main())
