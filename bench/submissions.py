"""A class's submissions, made from the solutions: honest ones whose points are known, and hostile ones.

Each hostile one tries one thing, in the cells of exercise 01. None may get a point for it.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
Notebook = dict[str, Any]


def notebook(kind: str, name: str) -> Notebook:
    return json.loads((ROOT / kind / f"{name}.ipynb").read_text(encoding="utf-8"))


def meta(cell: dict[str, Any]) -> dict[str, Any]:
    return cell["metadata"].get("nbgrader", {})


def code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "id": "mine", "metadata": {}, "execution_count": None, "outputs": [], "source": text}


def points(name: str, tasks: set[str] | None = None) -> float:
    """The points of an exercise, or of some of its tasks."""
    graded = [meta(c) for c in notebook("solutions", name)["cells"] if meta(c).get("grade")]
    return sum(m["points"] for m in graded if tasks is None or re.sub(r"_test\d+$", "", m["grade_id"]) in tasks)


def answered(name: str, answers: Callable[[int, str], str | None]) -> Notebook:
    """The exercise with ``answers(number, solution)`` in the cells to be written; ``None`` leaves the stub."""
    made, solved = notebook("exercises", name), notebook("solutions", name)
    number = 0
    for cell, full in zip(made["cells"], solved["cells"], strict=True):
        if meta(cell).get("solution"):
            source = re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", "".join(full["source"]), flags=re.MULTILINE)
            cell["source"] = answers(number, source) or cell["source"]
            number += 1
    return made


def tasks(name: str) -> list[str]:
    return [meta(c)["grade_id"] for c in notebook("solutions", name)["cells"] if meta(c).get("solution")]


# ------------------------------------------------------------------------------------------ honest


def right(name: str) -> tuple[Notebook, float]:
    return answered(name, lambda number, source: source), points(name)


def empty(name: str) -> tuple[Notebook, float]:
    return answered(name, lambda number, source: None), 0.0


def every_other(name: str) -> tuple[Notebook, float]:
    made = answered(name, lambda number, source: source if number % 2 else None)
    return made, points(name, set(tasks(name)[1::2]))


def wrong(name: str) -> tuple[Notebook, float]:
    """Each function is there, takes anything, and returns nothing."""

    def nothing(number: int, source: str) -> str:
        return re.sub(r"def (\w+)\(.*", r"def \1(*values):\n    return None", source, flags=re.DOTALL)

    return answered(name, nothing), 0.0


def careless(name: str) -> tuple[Notebook, float]:
    """All right; but the metadata are lost, an answer was copied, a helper lies in a cell of its own, and a line that
    only notebooks know stands among them."""
    made, full = right(name)
    extra: list[dict[str, Any]] = []
    for cell in made["cells"]:
        cell["metadata"] = {}
        if "checks" in "".join(cell["source"]) and cell["cell_type"] == "code" and not extra:
            extra.append(copy.deepcopy(cell))
    made["cells"][2:2] = [code("%matplotlib inline\nimport math\nHALF = 0.5")]
    made["cells"] += [copy.deepcopy(c) for c in made["cells"] if "".join(c["source"]).startswith("def ")][:1]
    made["metadata"] = {}
    return made, full


def half_right_01(name: str) -> tuple[Notebook, float]:
    """Partial credit: noise in x alone, and batches that must be of one length."""
    wrong_lines = {
        0: ("spread * torch.randn(count, 2)", "spread * torch.randn(count, 1) * torch.tensor([1.0, 0.0])"),
        2: ("torch.zeros(len(fake))", "torch.zeros(len(real))"),
    }

    def answer(number: int, source: str) -> str:
        old, new = wrong_lines.get(number, ("", ""))
        assert old in source
        return source.replace(old, new) if old else source

    return answered("01_concepts", answer), points("01_concepts") - 2


# ------------------------------------------------------------------------------------------ hostile


def read_attacks() -> dict[str, str]:
    """What stands in the cell of the first task, by name; all other answers are stubs."""
    parts = re.split(r"^=== (\w+)\n", Path(__file__).with_name("attacks.txt").read_text(encoding="utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


ATTACKS = read_attacks()


def attack(text: str) -> Notebook:
    return answered("01_concepts", lambda number, source: text if number == 0 else None)


def not_notebooks(folder: Path, target: Path) -> list[str]:
    """Files that are no notebooks, in their own folders; ``target`` is what links point at. Their names."""
    made: dict[str, Callable[[Path], object]] = {
        "no_json": lambda p: p.write_text("points = 13", encoding="utf-8"),
        "deep_json": lambda p: p.write_text("[" * 100_000, encoding="utf-8"),
        "other_shape": lambda p: p.write_text('{"cells": {"a": 1}, "nbformat": 4}', encoding="utf-8"),
        "link": lambda p: p.symlink_to(target),
        "link_to_etc": lambda p: p.symlink_to("/etc/passwd"),
        "too_large": lambda p: p.write_bytes(b" " * 30_000_000),
        "kernel_elsewhere": _kernel_elsewhere,
    }
    if hasattr(os, "mkfifo"):
        made["pipe"] = os.mkfifo
    for name, make in made.items():
        place = folder / name
        place.mkdir()
        make(place / "01_concepts.ipynb")
    return list(made)


def _kernel_elsewhere(path: Path) -> None:
    content = empty("01_concepts")[0]
    spec = {"name": "evil", "display_name": "evil", "language": "python", "argv": ["/bin/sh", "-c", "kill -9 -1"]}
    content["metadata"] = {"kernelspec": spec, "papermill": {"points": 13}, "grades": {"ring_test1": 1}}
    write(path, content)


def write(path: Path, content: Notebook) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


HONEST = (right, every_other, careless, wrong, empty)


def make_class(folder: Path, honest: int, attacks: list[str], files: bool = True) -> tuple[dict[str, float], list[str]]:
    """Write a class's submissions into ``folder``. Returns the points that each honest one is due, and the hostile."""
    names = sorted(path.stem for path in (ROOT / "solutions").glob("*.ipynb"))
    due = {}
    for number in range(honest):
        make = HONEST[number % len(HONEST)] if number % 10 != 7 else half_right_01
        name = names[number // len(HONEST) % len(names)] if make is not half_right_01 else "01_concepts"
        content, due[f"honest_{number:03d}"] = make(name)
        write(folder / f"honest_{number:03d}" / f"{name}.ipynb", content)
    for key in attacks:
        write(folder / f"attack_{key}" / "01_concepts.ipynb", attack(ATTACKS[key]))
    hostile = [f"attack_{key}" for key in attacks]
    if files:
        hostile += not_notebooks(folder, folder / "honest_000" / f"{names[0]}.ipynb")
    return due, hostile
