"""``gan-course timings``: what the chapters took in runs made here, as a page of the docs."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from gan_course.commands import notebooks, processes
from gan_course.commands.errors import CourseError
from gan_course.commands.pages import duration
from gan_course.files import write_whole

PAGE = Path("docs") / "timings.md"
TEXT = """# Timings

What the chapters took in {runs} of `gan-course run`, {machine}. {note}Time is that of the whole chapter with the start of its kernel, the median where there are several runs; memory is the most that the kernel held. After a run of your own, `gan-course timings` writes this page anew.

| chapter | time | memory |
|---|---|---|
{rows}
| all of them | {total} | {most:.2f} GB at the most |

A laptop needs this memory for the chapter that is open, and about 1 GB for the browser and JupyterLab. How much a hub needs for a class is on [its own page](hub.md).
"""  # noqa: E501


def timings(root: str | Path = ".", out: Sequence[str] = ("build",), note: str = "") -> int:
    """Write ``docs/timings.md`` from the ``summary.json`` of the runs in the folders ``out``; return 0.

    note: a sentence on how they ran. Raises ``CourseError`` where a summary is missing or one of its chapters failed.
    """
    folder = notebooks.course_folder(root)
    seconds: dict[str, list[float]] = {}
    memory: dict[str, float] = {}
    for place in out:
        for row in read(folder / place / "summary.json"):
            seconds.setdefault(row["chapter"], []).append(float(row["seconds"]))
            memory[row["chapter"]] = max(memory.get(row["chapter"], 0.0), row["peak_mb"] / 1000)
    middle = {name: median(values) for name, values in sorted(seconds.items())}
    rows = [f"| {name} | {duration(value)} | {memory[name]:.2f} GB |" for name, value in middle.items()]
    text = TEXT.format(
        runs="one run" if len(out) == 1 else f"{len(out)} runs",
        machine=machine(),
        note=f"{note.strip().rstrip('.')}. " if note.strip() else "",
        rows="\n".join(rows),
        total=duration(sum(middle.values())),
        most=max(memory.values()),
    )
    write_whole(folder / PAGE, text.encode())
    print(f"{PAGE.as_posix()}: {len(rows)} chapters, {duration(sum(middle.values()))} in all.")
    return 0


def machine() -> str:
    """What the runs were made with, in words."""
    cores = processes.processors()
    torch = importlib.metadata.version("torch").split("+")[0]
    kind = f"{platform.system()}, Python {platform.python_version()}, PyTorch {torch}"
    return f"on {cores} processor core{'s' * (cores != 1)} ({kind})"


def read(path: Path) -> list[dict]:
    """The rows of a summary, each of a chapter that ran to its end."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["chapters"]
        unfinished = [row["chapter"] for row in rows if row["status"] != "ok"]
    except FileNotFoundError as error:
        raise CourseError(
            f"There is no {path}: make one with gan-course run, or name its folder with --out."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{path} is no summary of a run: make a new one with gan-course run.") from error
    if unfinished or not rows:
        which = f"{', '.join(unfinished)} did not run to the end" if unfinished else "no chapter ran"
        raise CourseError(f"{path} says that {which}: run the course again, then write its timings.")
    return rows
