"""``gan-course run``: execute the chapters and leave notebooks, pages, an index and a summary."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_event_loop
from nbformat import NotebookNode

from gan_course.commands import execute, notebooks, pages, processes
from gan_course.commands.errors import CourseError
from gan_course.commands.execute import Chapter
from gan_course.commands.progress import Progress
from gan_course.files import write_whole

MIN_FREE_MB = 200  # pages and notebooks of the whole course take about 100
SAMPLE_SECONDS = 0.25  # between two looks at the kernels' memory and two moves of the bar


def run(
    root: str | Path = ".",
    only: Sequence[str] = (),
    dataset: str | None = None,
    profile: str | None = None,
    seed: int | None = None,
    jobs: int = 1,
    out: str | Path = "build",
    update: bool = False,
) -> int:
    """Run the chapters of the course in ``root`` and return the exit code: 0, 1 (a chapter failed), 130 (Ctrl-C).

    only: numbers or names of the chapters to run, all where empty. dataset, profile, seed: override DATASET, PROFILE
    and SEED where a chapter's ``parameters`` cell has them. jobs: chapters side by side. out: folder for the results,
    relative to ``root``. update: write the fresh outputs back into ``chapters/``.

    Raises ``CourseError`` before anything runs where the request can't be met.
    """
    folder = notebooks.course_folder(root)
    overrides = {"DATASET": dataset, "PROFILE": profile, "SEED": seed}
    overrides = {name: value for name, value in overrides.items() if value is not None}
    if update and overrides:
        raise CourseError(
            "--update writes outputs into chapters/, where they must be those of the defaults: "
            "leave out --dataset, --profile and --seed."
        )
    if jobs < 1:
        raise CourseError(
            f"--jobs must be 1 or more but is {jobs}: it is the number of chapters that run side by side."
        )
    everything = notebooks.list_notebooks(folder / "chapters")
    if not everything:
        raise CourseError(f"{folder / 'chapters'} holds no notebooks: restore them with git checkout chapters.")
    chapters = plan(notebooks.choose(everything, list(only)) if only else everything, overrides)
    execute.kernel_manager()  # raises where there is no kernel
    target = prepare_out(folder / out)

    started = time.monotonic()
    progress = Progress(chapters, sys.stdout)
    interrupted = execute_all(chapters, target, jobs, progress)
    seconds = time.monotonic() - started
    write_summary(target, chapters, seconds)
    index = pages.write_index(target, cards(target, everything, chapters), seconds)
    report(chapters, index, interrupted)
    failed = interrupted or any(c.status != "ok" for c in chapters)
    if update and failed:
        print("chapters/ was left as it was: --update writes only after a run without an error.")
    elif update:
        fresh = {c.path: with_outputs(c.path, target / "notebooks" / c.path.name) for c in chapters}
        for path, notebook in fresh.items():
            notebooks.write(path, notebook)
        print(f"Fresh outputs are in {folder / 'chapters'}.")
    return 130 if interrupted else int(failed)


def plan(paths: list[Path], overrides: dict[str, Any]) -> list[Chapter]:
    """The chapters to run, each with those overrides that its parameters cell knows."""
    chapters, known = [], set()
    for path in paths:
        notebook = notebooks.read(path)
        names = execute.parameters_of(notebook) & overrides.keys()
        known |= names
        cells = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
        chapters.append(Chapter(path, {n: overrides[n] for n in names}, cells + bool(names)))
    unknown = sorted(overrides.keys() - known)
    if unknown:
        options = " and ".join(f"--{name.lower()}" for name in unknown)
        raise CourseError(
            f"{options} would change nothing: no chapter that was asked for has a parameter {unknown[0]}."
        )
    return chapters


def prepare_out(out: Path, free_bytes: int | None = None) -> Path:
    """Make the output folder; ``CourseError`` where it can't be written or the disk is nearly full."""
    try:
        (out / "notebooks").mkdir(parents=True, exist_ok=True)
        for place in (out, out / "notebooks"):
            with tempfile.TemporaryFile(dir=place):
                pass
    except OSError as error:
        raise CourseError(
            f"The output folder {out} cannot be written ({error.strerror}): name another one with --out FOLDER."
        ) from error
    free = shutil.disk_usage(out).free if free_bytes is None else free_bytes
    if free < MIN_FREE_MB * 1e6:
        raise CourseError(
            f"Only {free / 1e6:.0f} MB are free at {out} and a run needs {MIN_FREE_MB}: "
            "delete something, or name a folder on another disk with --out FOLDER."
        )
    return out.resolve()


def execute_all(chapters: list[Chapter], out: Path, jobs: int, progress: Progress) -> bool:
    """Run the chapters in ``jobs`` threads and return whether Ctrl-C stopped them.

    Threads are enough: the work is in the kernels, which are processes. The main thread only watches, so that it is
    the one that hears Ctrl-C.
    """
    share = max(1, processes.processors() // jobs) if jobs > 1 else None
    running: dict[Future[None], Chapter] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for chapter in chapters:
                running[pool.submit(work, chapter, out, share)] = chapter
            while running:
                progress.show()
                watch_memory(chapters)
                take_finished(running, progress)
        except KeyboardInterrupt:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is stopping already
            progress.say("Stopping; finished pages are kept.")
            for chapter in chapters:
                chapter.stop = True
            running = {future: chapter for future, chapter in running.items() if not future.cancel()}
            while running:  # a kernel may be starting just now
                for chapter in chapters:
                    processes.kill(chapter.pid() if chapter.status == "running" else None)
                take_finished(running, progress)
            signal.signal(signal.SIGINT, before)
            return True
        finally:
            progress.close()
    return False


def work(chapter: Chapter, out: Path, share: int | None) -> None:
    """What a thread of the pool does with one chapter."""
    try:
        execute.run_chapter(chapter, out, share)
    finally:
        ensure_event_loop().close()  # the one that jupyter_client opened in this thread


def take_finished(running: dict[Future[None], Chapter], progress: Progress) -> None:
    """Wait a moment, and take those that have ended out of ``running``."""
    for future in wait(running, timeout=SAMPLE_SECONDS, return_when=FIRST_COMPLETED).done:
        chapter = running.pop(future)
        if error := future.exception():  # not foreseen, and no reason to give up the others
            chapter.status, chapter.error = "failed", execute.last_line(error)
        progress.finished(chapter)


def watch_memory(chapters: list[Chapter]) -> None:
    """Raise each running chapter's peak to what its kernel and the kernel's children hold now."""
    for chapter in chapters:
        pid = chapter.pid() if chapter.status == "running" else None
        if pid:
            chapter.peak_mb = max(chapter.peak_mb, processes.memory_mb(pid))


def write_summary(out: Path, chapters: list[Chapter], seconds: float) -> None:
    """Write ``summary.json``: seconds with one decimal, peak memory in MB (10^6 bytes)."""
    rows = [
        {
            "chapter": c.name,
            "status": c.status,
            "seconds": round(c.seconds, 1),
            "peak_mb": round(c.peak_mb),
            "error": c.error,
        }
        for c in chapters
    ]
    text = json.dumps({"chapters": rows, "seconds": round(seconds, 1)}, indent=1, ensure_ascii=False)
    write_whole(out / "summary.json", f"{text}\n".encode())


def cards(out: Path, everything: list[Path], chapters: list[Chapter]) -> list[pages.Card]:
    """A card for each chapter of this run, and for the others whose page an earlier run left in ``out``."""
    ran = {c.name: pages.Card(c.name, c.status, c.seconds, c.error) for c in chapters}
    left = {p.stem: pages.Card(p.stem, "earlier run") for p in everything if (out / f"{p.stem}.html").exists()}
    both = left | ran
    return [both[p.stem] for p in everything if p.stem in both]


def report(chapters: list[Chapter], index: Path, interrupted: bool) -> None:
    """Say what failed, where, and which page to open."""
    for chapter in chapters:
        if chapter.status == "failed":
            page = index.parent / f"{chapter.name}.html"
            print(f"{chapter.name} failed at {chapter.error}")
            print(f"  open {page}" if page.exists() else "  it has no page")
    ok = sum(c.status == "ok" for c in chapters)
    print(f"{ok} of {len(chapters)} chapters {'ran before the stop' if interrupted else 'ran without an error'}.")
    print(f"Open {index}")


def with_outputs(source: Path, executed: Path) -> NotebookNode:
    """``source`` with the outputs of ``executed``, without anything that differs from one machine to the next."""
    old, new = notebooks.read(source), notebooks.read(executed)
    count = 0
    for cell, fresh in zip(old.cells, new.cells, strict=True):
        for key in ("execution", "papermill"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        ran = bool(cell.source.strip())
        count += ran
        cell.execution_count = count if ran else None
        cell.outputs = fresh.outputs
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    old.metadata.pop("papermill", None)
    old.metadata.pop("widgets", None)
    old.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    old.metadata.language_info = {"name": "python"}
    return old
