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
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from gan_course.commands import notebooks, pages
from gan_course.commands.errors import CourseError


@dataclass
class Chapter:
    """One chapter's run: what the worker does and what the display and the report read."""

    path: Path
    parameters: dict[str, Any]
    cells: int  # code cells to execute
    status: str = "not run"  # then "running", and "ok", "failed" or "stopped" in the end
    done: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    error: str | None = None
    started: float = 0.0
    manager: Any = field(default=None, repr=False)  # the kernel's manager, while there is one
    stop: bool = False  # set by the main thread on Ctrl-C

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


class CourseEngine(NBClientEngine):
    """papermill's engine with the three things it cannot be told: the kernel's manager, environment and folder."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, chapter=None, env=None, target=None, **kwargs):
        def before(cell: NotebookNode, cell_index: int) -> None:
            if chapter.stop:
                raise InterruptedError("stopped")

        def after(cell: NotebookNode, cell_index: int, execute_reply: Any) -> None:
            chapter.done += 1

        chapter.manager = kernel_manager()
        client = PapermillNotebookClient(
            nb_man,
            km=chapter.manager,
            kernel_name="python3",
            startup_timeout=kwargs["start_timeout"],
            store_widget_state=False,
            extra_arguments=["--log-level=CRITICAL"],  # the kernel's own notes would break the progress line
            log=logging.getLogger("papermill"),
            on_cell_start=before,
            on_cell_executed=after,
        )
        try:
            client.execute(env=env, cwd=str(chapter.path.parent), cleanup_kc=True)
        finally:
            # Saving here, and not after every cell as papermill would: a notebook full of pictures is megabytes.
            notebooks.join_streams(nb_man.nb)
            notebooks.keep_stills(nb_man.nb)
            notebooks.write(target, nb_man.nb)


def run_chapter(chapter: Chapter, out: Path, threads: int | None) -> None:
    """Execute one chapter and write its notebook and page; the outcome is left in ``chapter``, nothing is raised.

    threads: processor threads that the kernel may use where chapters run side by side, None for no limit.
    """
    target = out / "notebooks" / f"{chapter.name}.ipynb"
    page = out / f"{chapter.name}.html"
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

    chapter.started, chapter.status = time.monotonic(), "running"
    status: str | None = None
    try:
        for old in (target, page):  # a page of an earlier run must not pass for this one's
            old.unlink(missing_ok=True)
        papermill.execute_notebook(
            chapter.path,
            target,
            parameters=chapter.parameters,
            engine_name="gan_course",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            request_save_on_cell_execute=False,
            chapter=chapter,
            env=env,
            target=target,
        )
        status = "ok"
    except papermill.PapermillExecutionError as error:
        chapter.error = describe(error)
    except Exception as error:  # whatever it is, the other chapters still run
        chapter.error = describe_other(chapter, error)
    chapter.seconds = time.monotonic() - chapter.started
    if chapter.stop and status != "ok":
        target.unlink(missing_ok=True)
        chapter.error, chapter.status = None, "stopped"
        return
    try:
        if target.exists():
            pages.write_page(target, page, chapter.path.parent)
    except Exception as error:  # the disk can fill up here, too
        status, chapter.error = None, f"its page could not be written: {last_line(error)}"
    chapter.status = status or "failed"


def last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
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
    """One line for a run that ended without an error output: a dead kernel, no kernel at all, no space left."""
    if type(error).__name__ == "DeadKernelError":
        source = [c.source for c in notebooks.read(chapter.path).cells if c.cell_type == "code" and c.source.strip()]
        # An injected parameters cell counts as one that was done, and is not among the source's cells.
        at = chapter.done - bool(chapter.parameters)
        line = f" ({first_line(source[at])})" if 0 <= at < len(source) else ""
        return (
            f"cell {chapter.done + 1}{line}: the kernel died at {chapter.peak_mb:.0f} MB of memory; "
            "most often the memory ran out, so close other programs or choose a smaller batch"
        )
    return last_line(error)
