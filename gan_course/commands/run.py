"""``gan-course run``: execute the chapters and leave notebooks, pages, an index and a summary."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_event_loop
from nbformat import NotebookNode

from gan_course.commands import execute, notebooks, pages, processes
from gan_course.commands.errors import CourseError
from gan_course.commands.execute import Chapter
from gan_course.commands.progress import Progress
from gan_course.files import only_writer, write_whole

MIN_FREE_MB = 200  # pages and notebooks of the whole course take about 100
RESERVE_BYTES = 2_000_000  # kept free for summary and index
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
    cell_timeout: int = execute.CELL_SECONDS,
) -> int:
    """Run the chapters of the course in ``root`` and return the exit code.

    It is 0, or 1 where a chapter failed, or 128 and the signal's number where one stopped it: 130 for Ctrl-C.

    only: numbers or names of the chapters to run, all where empty. dataset, profile, seed: override DATASET, PROFILE
    and SEED where a chapter's ``parameters`` cell has them. jobs: chapters side by side. out: folder for the results,
    relative to ``root``. update: write the fresh outputs back into ``chapters/``. cell_timeout: seconds that one cell
    may take.

    Raises ``CourseError`` before anything runs where the request can't be met, and after ``update`` where the fresh
    outputs could not be written.
    """
    os.environ.setdefault("GAN_COURSE_LANGUAGE", "en")  # whatever the system speaks: a translated notebook says its own
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
    if cell_timeout < 1:
        raise CourseError(f"--cell-timeout must be 1 or more but is {cell_timeout}: it is in seconds, for one cell.")
    everything = notebooks.list_notebooks(folder / "chapters")
    if not everything:
        raise CourseError(f"{folder / 'chapters'} holds no notebooks: restore them with git checkout chapters.")
    chapters = plan(notebooks.choose(everything, list(only)) if only else everything, overrides, cell_timeout)
    execute.kernel_manager()  # raises where there is no kernel
    target = prepare_out(folder / out, folder / "chapters")
    if update:
        check_update([chapter.path for chapter in chapters])
    with alone(target), processes.Stop() as stop:
        return run_into(target, folder, everything, chapters, jobs, update, stop)


def run_into(
    target: Path,
    folder: Path,
    everything: list[Path],
    chapters: list[Chapter],
    jobs: int,
    update: bool,
    stop: processes.Stop,
) -> int:
    """What ``run`` does once all has been checked, and until the last file is written."""
    started = time.monotonic()
    reserve = target / ".reserve"  # so that a disk that fills in the meantime has room for the summary and the index
    try:
        try:
            write_whole(reserve, bytes(RESERVE_BYTES))
            write_summary(target, chapters, 0.0)
        except OSError as error:
            raise CourseError(f"{error}.") from error
        progress = Progress(chapters, sys.stdout)
        try:
            execute_all(chapters, target, jobs, progress, stop)
        finally:
            progress.close()
    finally:
        reserve.unlink(missing_ok=True)
    seconds = time.monotonic() - started
    written = write_results(target, everything, chapters, seconds, progress.say)
    report(chapters, target, stop, progress.say)
    failed = not written or any(c.status != "ok" for c in chapters)
    if update and failed:
        progress.say("chapters/ was left as it was: --update writes only after a run without an error.")
    elif update:
        update_chapters(target, chapters)
        progress.say(f"Fresh outputs are in {folder / 'chapters'}.")
    return 128 + stop.signal if stop.signal else int(failed)


def plan(paths: list[Path], overrides: dict[str, Any], cell_seconds: int = execute.CELL_SECONDS) -> list[Chapter]:
    """The chapters to run, each with those overrides that its parameters cell knows. What can't run has failed."""
    chapters, known = [], set()
    for path in paths:
        try:
            if path.stem.casefold() == "index":
                raise CourseError(f"{path.name} would have the page index.html, which is the run's own: rename it.")
            notebook = notebooks.read(path)
        except CourseError as error:
            chapters.append(Chapter(path, {}, 0, status="failed", error=str(error).removesuffix(".")))
            continue
        names = execute.parameters_of(notebook) & overrides.keys()
        known |= names
        cells = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
        chapters.append(Chapter(path, {n: overrides[n] for n in names}, cells + bool(names), cell_seconds))
    unknown = sorted(overrides.keys() - known)
    if unknown and any(chapter.status != "failed" for chapter in chapters):
        options = " and ".join(f"--{name.lower()}" for name in unknown)
        raise CourseError(
            f"{options} would change nothing: no chapter that was asked for has a parameter {unknown[0]}."
        )
    return chapters


def prepare_out(out: Path, chapters: Path, free_bytes: int | None = None) -> Path:
    """Make the output folder; ``CourseError`` where it can't be written or the disk is nearly full."""
    try:
        (out / "notebooks").mkdir(parents=True, exist_ok=True)
        for place in (out, out / "notebooks"):
            with tempfile.TemporaryFile(dir=place):
                pass
        for name in ("index.html", "summary.json"):
            if (out / name).is_dir():
                raise OSError(errno.EISDIR, f"its {name} is a folder")
    except OSError as error:
        raise CourseError(
            f"The output folder {out} cannot be written ({error.strerror}): name another one with --out FOLDER."
        ) from error
    if (out / "notebooks").samefile(chapters):
        raise CourseError(f"{out / 'notebooks'} is the folder of the chapters: name another one with --out FOLDER.")
    check_space(out, MIN_FREE_MB, "a run", ", or name a folder on another disk with --out FOLDER", free_bytes)
    return out.resolve()


def check_update(paths: list[Path]) -> None:
    """``CourseError`` where fresh outputs could not be written into chapters/ after the run."""
    folder = paths[0].parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        for path in paths:
            if path.is_file() and not os.access(path, os.W_OK):
                raise OSError(errno.EACCES, f"{path.name} is read-only")
    except OSError as error:
        raise CourseError(
            f"{folder} cannot be written ({error.strerror}), and --update writes there: "
            "leave out --update, or make the folder and its files writable."
        ) from error
    sizes = sum(path.stat().st_size for path in paths if path.is_file())
    check_space(folder, 10 + round(2 * sizes / 1e6), "--update")


def check_space(folder: Path, need_mb: int, what: str, else_: str = "", free_bytes: int | None = None) -> None:
    """``CourseError`` where the folder's disk has less than ``need_mb`` left."""
    free = shutil.disk_usage(folder).free if free_bytes is None else free_bytes
    if free < need_mb * 1e6:
        raise CourseError(
            f"Only {free / 1e6:.0f} MB are free at {folder} and {what} needs {need_mb}: delete something{else_}."
        )


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold the output folder; ``CourseError`` where another run does. The system lets go when this process ends."""
    with ExitStack() as stack:
        try:
            stack.enter_context(only_writer(out / "summary.json"))
        except OSError as error:
            raise CourseError(f"This run can't begin: {error}, with --out FOLDER.") from error
        yield


def execute_all(chapters: list[Chapter], out: Path, jobs: int, progress: Progress, stop: processes.Stop) -> None:
    """Run the chapters in ``jobs`` threads, until all have ended or ``stop`` has heard a signal.

    Threads are enough: the work is in the kernels, which are processes. The main thread only watches.
    """
    share = max(1, processes.processors() // jobs) if jobs > 1 else None
    for chapter in chapters:
        if chapter.status == "failed":  # it could not even be read
            if chapter.name.casefold() != "index":
                execute.forget(chapter, out)
            progress.finished(chapter)
    waiting = [chapter for chapter in chapters if chapter.status == "not run"]
    running: dict[Future[None], Chapter] = {}
    with ThreadPoolExecutor(jobs) as pool:
        for chapter in waiting:
            running[pool.submit(work, chapter, out, share)] = chapter
        while running and not stop.signal:
            progress.show()
            watch_memory(chapters)
            if take_finished(running, progress):
                with suppress(OSError):  # a full disk: it is written again in the end
                    write_summary(out, chapters, time.monotonic() - progress.started)
        if running:
            progress.say(f"Stopping ({stop.name}); finished pages are kept.")
            for chapter in chapters:
                chapter.stop = True
            running = {future: chapter for future, chapter in running.items() if not future.cancel()}
            while running:  # a kernel may be starting just now
                for chapter in chapters:
                    processes.kill(chapter.pid() if chapter.status == "running" else None)
                take_finished(running, progress)


def work(chapter: Chapter, out: Path, share: int | None) -> None:
    """What a thread of the pool does with one chapter."""
    try:
        execute.run_chapter(chapter, out, share)
    finally:
        ensure_event_loop().close()  # the one that jupyter_client opened in this thread


def take_finished(running: dict[Future[None], Chapter], progress: Progress) -> bool:
    """Wait a moment, take those that have ended out of ``running``, and return whether there were any."""
    done = wait(running, timeout=SAMPLE_SECONDS, return_when=FIRST_COMPLETED).done
    for future in done:
        chapter = running.pop(future)
        if error := future.exception():  # not foreseen, and no reason to give up the others
            chapter.status, chapter.error = "failed", execute.last_line(error)
        progress.finished(chapter)
    return bool(done)


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
    write_whole(out / "summary.json", f"{text}\n".encode(errors="replace"))


def cards(out: Path, everything: list[Path], chapters: list[Chapter]) -> list[pages.Card]:
    """A card for each chapter of this run, and for the others whose page an earlier run left in ``out``."""
    ran = {c.name: pages.Card(c.name, c.status, c.seconds, c.error) for c in chapters}
    left = {p.stem: pages.Card(p.stem, "earlier run") for p in everything if (out / f"{p.stem}.html").exists()}
    both = left | ran
    return [both[p.stem] for p in everything if p.stem in both]


def write_results(
    out: Path, everything: list[Path], chapters: list[Chapter], seconds: float, say: Callable[[str], None]
) -> bool:
    """Write summary and index with what is known; return False, and say why, where one of them can't be written."""
    written = True
    try:
        write_summary(out, chapters, seconds)
    except OSError as error:
        written = False
        say(f"{error}.")
    listed = cards(out, everything, chapters)
    for pictures in (True, False):  # without pictures the index is a hundred times smaller: where the disk is full
        try:
            pages.write_index(out, listed, seconds, pictures)
            return written
        except OSError as error:
            problem = error
    say(f"{problem}.")
    return False


def report(chapters: list[Chapter], out: Path, stop: processes.Stop, say: Callable[[str], None]) -> None:
    """Say what failed, where, and which page to open."""
    for chapter in chapters:
        if chapter.status == "failed":
            at = " at" if (chapter.error or "").startswith("cell ") else ":"
            say(f"{chapter.name} failed{at} {chapter.error}")
            page = out / f"{chapter.name}.html"
            say(f"  open {page}" if page.exists() and chapter.started else "  it has no page")
        elif chapter.status == "stopped":
            say(f"{chapter.name} was stopped by {stop.name} after {pages.duration(chapter.seconds)}")
    ok = sum(c.status == "ok" for c in chapters)
    say(f"{ok} of {len(chapters)} chapters {'ran before the stop' if stop.signal else 'ran without an error'}.")
    if (out / "index.html").exists():
        say(f"Open {out / 'index.html'}")


def update_chapters(out: Path, chapters: list[Chapter]) -> None:
    """Write the fresh outputs into the chapters, each whole or not at all; ``CourseError`` where one can't be."""
    fresh = {c.path: with_outputs(c.path, out / "notebooks" / c.path.name) for c in chapters}
    for count, (path, notebook) in enumerate(fresh.items()):
        try:
            notebooks.write(path, notebook)
        except CourseError as error:
            raise CourseError(
                f"{error} {count} of {len(fresh)} chapters are fresh, the others as they were."
            ) from error


def with_outputs(source: Path, executed: Path) -> NotebookNode:
    """``source`` with the outputs of ``executed``, without anything that differs from one machine to the next."""
    old, new = notebooks.read(source), notebooks.read(executed)
    if [cell.source for cell in old.cells] != [cell.source for cell in new.cells]:
        raise CourseError(
            f"{source.name} has changed while it ran, so nothing was written into chapters/: run it again."
        )
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
