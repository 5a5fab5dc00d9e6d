"""Run one notebook through papermill, in a kernel of this very interpreter."""

from __future__ import annotations

import ast
import logging
import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.execute import remove_error_markers

from gan_course.commands import notebooks, pages, processes
from gan_course.commands.errors import CourseError

CELL_SECONDS = 1800  # of one cell; all cells of a chapter together take two minutes on two cores
OUTPUT_MB = 100  # of one cell's output that is kept: a loop that prints without end must not fill the memory


@dataclass
class Chapter:
    """One chapter's run: what the worker does and what the display and the report read."""

    path: Path
    parameters: dict[str, Any]
    cells: int  # code cells to execute
    cell_seconds: int = CELL_SECONDS  # that one cell may take
    status: str = "not run"  # then "running", and "ok", "failed" or "stopped" in the end
    done: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    error: str | None = None
    started: float = 0.0
    manager: Any = field(default=None, repr=False)  # the kernel's manager, once there is one
    process: Any = field(default=None, repr=False)  # the kernel's process, once it runs a cell
    notebook: NotebookNode | None = field(default=None, repr=False)  # with the outputs so far, while it runs
    at: int | None = None  # index of the last cell that was begun, among those of ``notebook``
    stop: bool = False  # set by the main thread when it is told to stop

    @property
    def name(self) -> str:
        return self.path.stem

    def pid(self) -> int | None:
        """The kernel's process id, or None before it has started."""
        provisioner = getattr(self.manager, "provisioner", None)
        return getattr(provisioner, "pid", None)


def kernel_manager() -> Any:
    """A manager that starts the kernel with ``sys.executable``.

    A kernelspec named python3 may lie in the user's folder and point at another Python. Searching no folder at all
    makes jupyter_client build the spec from the ipykernel that is installed beside this interpreter.
    """
    try:
        import ipykernel.kernelspec  # noqa: F401  (jupyter_client finds it by itself; here it is asked whether it can)
        from jupyter_client.kernelspec import KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
    except ImportError as error:
        raise CourseError(
            f"This Python has no Jupyter kernel ({error}): install it with "
            f"{Path(sys.executable).name} -m pip install ipykernel, or run make course."
        ) from error
    return AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))


def parameters_of(notebook: NotebookNode) -> set[str]:
    """The names that the notebook's ``parameters`` cell assigns: the ones that can be overridden."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "parameters" in notebooks.tags(cell):
            try:
                body = ast.parse(cell.source).body
            except SyntaxError:  # the run itself will report it, with its cell
                return set()
            targets = [t for node in body if isinstance(node, ast.Assign) for t in node.targets]
            targets += [node.target for node in body if isinstance(node, ast.AnnAssign)]
            return {t.id for t in targets if isinstance(t, ast.Name)}
    return set()


class Client(PapermillNotebookClient):
    """papermill's client, which of an endless output keeps the first ``OUTPUT_MB``."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.kept = (-1, 0)  # index of a cell, characters of its output

    def output(self, outs: list, msg: dict, display_id: str | None, cell_index: int) -> NotebookNode | None:
        content = msg["content"]
        size = len(content.get("text") or "") + sum(len(str(part)) for part in content.get("data", {}).values())
        before = self.kept[1] if self.kept[0] == cell_index else 0
        self.kept = (cell_index, before + size)
        if before + size <= OUTPUT_MB * 1e6 or msg["msg_type"] == "error":
            return super().output(outs, msg, display_id, cell_index)
        if before <= OUTPUT_MB * 1e6:
            outs.append(new_output("stream", name="stdout", text=f"\n[Cut: more than {OUTPUT_MB} MB of output.]\n"))
        return None

    def clear_output(self, outs: list, msg: dict, cell_index: int) -> None:
        super().clear_output(outs, msg, cell_index)
        self.kept = (cell_index, 0)


class CourseEngine(NBClientEngine):
    """papermill's engine with the three things it cannot be told: the kernel's manager, environment and folder."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, chapter=None, env=None, **kwargs):
        def before(cell: NotebookNode, cell_index: int) -> None:
            if chapter.stop:
                raise InterruptedError("stopped")
            chapter.at, chapter.process = cell_index, chapter.manager.provisioner.process

        def after(cell: NotebookNode, cell_index: int, execute_reply: Any) -> None:
            chapter.done += 1

        chapter.manager, chapter.notebook = kernel_manager(), nb_man.nb
        client = Client(
            nb_man,
            km=chapter.manager,
            kernel_name="python3",
            startup_timeout=kwargs["start_timeout"],
            timeout=chapter.cell_seconds,
            store_widget_state=False,
            extra_arguments=["--log-level=CRITICAL"],  # the kernel's own notes would break the progress line
            log=logging.getLogger("papermill"),
            on_cell_start=before,
            on_cell_executed=after,
        )
        client.execute(env=env, cwd=str(chapter.path.parent), cleanup_kc=True)


def run_chapter(chapter: Chapter, out: Path, threads: int | None) -> None:
    """Execute one chapter and write its notebook and page; the outcome is left in ``chapter``, nothing is raised.

    threads: processor threads that the kernel may use where chapters run side by side, None for no limit.
    """
    chapter.started, chapter.status = time.monotonic(), "running"
    try:
        forget(chapter, out)
        run_cells(chapter, threads)
    except papermill.PapermillExecutionError as error:
        chapter.error, chapter.at = describe(error), error.cell_index
    except Exception as error:  # whatever it is, the other chapters still run
        chapter.error = describe_other(chapter, error)
    chapter.seconds = time.monotonic() - chapter.started
    if chapter.stop and chapter.error:
        chapter.error, chapter.status = None, "stopped"
    else:
        chapter.error = joined(chapter.error, keep(chapter, *results(chapter, out)))
        chapter.status = "failed" if chapter.error else "ok"
    chapter.notebook = None  # megabytes


def results(chapter: Chapter, out: Path) -> tuple[Path, Path]:
    """Where a chapter's executed notebook and its page lie."""
    return out / "notebooks" / f"{chapter.name}.ipynb", out / f"{chapter.name}.html"


def forget(chapter: Chapter, out: Path) -> None:
    """Remove what an earlier run left: it must not pass for this one's."""
    for old in results(chapter, out):
        old.unlink(missing_ok=True)


def run_cells(chapter: Chapter, threads: int | None) -> None:
    """Run all cells in a new kernel; the outputs are left in ``chapter.notebook``."""
    env = dict(os.environ)
    if folder := env.get("GAN_COURSE_DATA"):  # kernels run in chapters/, where a relative path leads elsewhere
        env["GAN_COURSE_DATA"] = os.path.abspath(folder)
    env.setdefault("GOMP_SPINCOUNT", "3000")  # waiting threads soon sleep: beside busy programs up to ten times faster
    if threads:
        env.setdefault("OMP_NUM_THREADS", str(threads))
        env.setdefault("MKL_NUM_THREADS", str(threads))
    # papermill would say what it does in its log; the caller shows progress and the report instead.
    for noisy in ("papermill", "papermill.translators", "traitlets", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    papermill_engines.register("gan_course", CourseEngine)
    # Without an output path: papermill would write the file in place, and a full disk would leave half of it. And from
    # a notebook, not a path: in a path papermill replaces names in braces.
    papermill.execute_notebook(
        notebooks.read(chapter.path),
        None,
        parameters=chapter.parameters,
        engine_name="gan_course",
        kernel_name="python3",
        language="python",
        progress_bar=False,
        request_save_on_cell_execute=False,
        chapter=chapter,
        env=env,
    )


def keep(chapter: Chapter, target: Path, page: Path) -> str | None:
    """Write the executed notebook and its page; return why that failed, if it did."""
    if chapter.notebook is None:
        return None
    try:
        remove_error_markers(chapter.notebook)  # papermill's; the page has the course's own words
        notebooks.join_streams(chapter.notebook)
        notebooks.keep_stills(chapter.notebook)
        notebooks.write(target, chapter.notebook)
        pages.write_page(target, page, chapter.path.parent, chapter.error, chapter.at)
    except Exception as error:  # the disk can fill up here, too
        return f"its page could not be written: {last_line(error)}"
    return None


def joined(*errors: str | None) -> str | None:
    return "; and ".join(filter(None, errors)) or None


def last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    if isinstance(error, CourseError):  # a sentence already
        return str(error).strip().removesuffix(".")
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__


def describe(error: Any) -> str:
    """One line for a cell that raised: its number, its first line and the last line of the error."""
    lines = [line.strip() for line in error.evalue.splitlines() if line.strip()]
    said = f"{error.ename}: {lines[-1]}" if lines else error.ename
    return f"cell {error.exec_count} ({first_line(error.source)}): {said}"


def first_line(source: str) -> str:
    """The first line of code, past comments and magics; the first line of all where there is no other."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    code = [line for line in lines if not re.match(r"[#%]", line)]
    line = (code or lines or [""])[0]
    return line if len(line) <= 60 else line[:57] + "..."


def describe_other(chapter: Chapter, error: Exception) -> str:
    """One line for a run that ended without an error output: a slow cell, a dead kernel, no kernel, no space left."""
    if isinstance(error, CellTimeoutError):
        return (
            f"{place(chapter)}: it took longer than the {chapter.cell_seconds} s that a cell may take; "
            "allow more with --cell-timeout SECONDS"
        )
    if isinstance(error, DeadKernelError):
        ended = processes.how_it_ended(chapter.process.poll() if chapter.process else None)
        return f"{place(chapter)}: the kernel died at {chapter.peak_mb:.0f} MB of memory, by {ended}"
    return last_line(error)


def place(chapter: Chapter) -> str:
    """The cell that was running: its number among the code cells, and its first line."""
    source = chapter.notebook.cells[chapter.at].source if chapter.notebook and chapter.at is not None else ""
    line = f" ({first_line(source)})" if source else ""
    return f"cell {chapter.done + 1}{line}"
