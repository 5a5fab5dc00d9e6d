"""Which tasks were passed when: in one file on this computer, which nobody else reads.

The file is ``~/.gan_course/progress.json``. The environment variable ``GAN_COURSE_PROGRESS`` names another one, or says
``off``: then nothing is kept. A check neither waits for the file nor fails by it.
"""

from __future__ import annotations

import contextlib
import csv
import html
import io
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path

from gan_course.files import only_writer, read_whole, write_whole

Times = dict[str, dict[str, str]]  # task → part → when it was first passed; and how many parts it has
OF = "number of parts"
TRIES = 5  # where another notebook is writing

_paused: ContextVar[bool] = ContextVar("paused", default=False)
known: Times = {}  # what this process has kept already
_writers: list[threading.Thread] = []


def place() -> Path | None:
    """Where the file lies, or ``None`` where nothing is to be kept."""
    named = os.environ.get("GAN_COURSE_PROGRESS", "")
    if named.strip().lower() == "off":
        return None
    with contextlib.suppress(RuntimeError):  # a system without home folders
        return Path(named).expanduser() if named else Path.home() / ".gan_course" / "progress.json"
    return None


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Keep nothing in this block: whoever grades has passed nothing."""
    token = _paused.set(True)
    try:
        yield
    finally:
        _paused.reset(token)


def note(task: str, parts: Sequence[str], of: int) -> None:
    """Keep that these parts of a task, which has ``of``, were passed just now. Another thread writes."""
    with contextlib.suppress(Exception):  # whatever goes wrong here is no fault of the answer
        path = place()
        if path is None or _paused.get() or all(part in known.get(task, {}) for part in parts):
            return
        now = time.strftime("%Y-%m-%d %H:%M")
        known.setdefault(task, {}).update({part: now for part in parts if part not in known.get(task, {})})
        kept = dict.fromkeys(parts, now) | {OF: str(of)}
        writer = threading.Thread(target=_keep, args=(path, task, kept), daemon=True)
        _writers[:] = [w for w in _writers if w.is_alive()] + [writer]
        writer.start()


def _keep(path: Path, task: str, kept: dict[str, str]) -> None:
    for _ in range(TRIES):
        with contextlib.suppress(Exception):
            with only_writer(path):
                times = read(path)
                times[task] = kept | times.get(task, {})
                write_whole(path, json.dumps(times, indent=1, ensure_ascii=False).encode())
            return
        time.sleep(0.2)


def read(path: Path | None) -> Times:
    """What the file holds; nothing where it is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(read_whole(path)) if path else {}
        if isinstance(found, dict):
            return {  # what was changed by hand may hold anything
                str(task): {str(part): str(when) for part, when in times.items()}
                for task, times in found.items()
                if isinstance(times, dict)
            }
    return {}


class Progress:
    """Which tasks were passed when. A notebook shows it as a table.

    ``rows``: chapter, task, and when its last part was passed, "2 of 3 parts", or "".
    """

    def __init__(self, rows: list[tuple[str, str, str]], path: Path | None) -> None:
        self.rows, self.path = rows, path

    def __repr__(self) -> str:
        if not self.rows:
            return self._summary()
        widths = [max(len(row[i]) for row in self.rows) for i in range(2)]
        lines = [f"{c:<{widths[0]}}  {t:<{widths[1]}}  {when or '-'}" for c, t, when in self.rows]
        return "\n".join([*lines, self._summary()])

    def _repr_html_(self) -> str:
        cells = ["".join(f"<td>{html.escape(value or '-')}</td>" for value in row) for row in self.rows]
        head = "".join(f'<th scope="col">{name}</th>' for name in ("chapter", "task", "passed"))
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{html.escape(self._summary())}</p>"
        )

    def _summary(self) -> str:
        done = sum(when[:1].isdigit() and " of " not in when for *_, when in self.rows)
        kept = f"kept in {self.path}" if self.path else "nothing is kept: GAN_COURSE_PROGRESS is off"
        return f"{done} of {len(self.rows)} tasks passed; {kept}"

    def export(self, path: str | Path) -> None:
        """Write the table as CSV. Raises ``OSError`` with a sentence where that can't be done."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("chapter", "task", "passed"), *self.rows])
        write_whole(path, text.getvalue().encode())

    def delete(self) -> None:
        """Forget everything: remove the file. Raises ``OSError`` where that can't be done."""
        finish()
        known.clear()
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.rows = [(chapter, task, "") for chapter, task, _ in self.rows]


def finish() -> None:
    """Wait until all that was noted is written."""
    for writer in list(_writers):
        writer.join(timeout=5)


def progress() -> Progress:
    """Which tasks of the exercises were passed on this computer, and when: ``checks.progress()`` in a notebook.

    ``checks.progress().export("progress.csv")`` writes the table into a file, ``checks.progress().delete()`` forgets
    it. It is kept on this computer alone.
    """
    from gan_course.checks.report import CHECKS

    finish()
    path = place()
    times = read(path)
    rows = []
    for name, check in CHECKS.items():
        task = name.removeprefix("check_")
        got = times.get(task, {})
        of = int(number) if (number := got.get(OF, "0")).isdigit() else 0
        when = sorted(value for part, value in got.items() if part != OF)
        said = "" if not when else when[-1] if len(when) >= of else f"{len(when)} of {of} parts"
        rows.append((check.__module__.rpartition(".")[2].replace("chapter", "chapter "), task, said))
    return Progress(rows, path)
