"""One submission's points: the course's graded cells, run here, with stand-ins for the student's functions."""

from __future__ import annotations

import contextlib
import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from gan_course.checks import CheckFailed, passed
from gan_course.checks.draws import drawn_by
from gan_course.checks.sandbox import OutOfTime
from gan_course.commands.grading import remote, wire
from gan_course.commands.grading.isolation import Limits
from gan_course.commands.grading.sandbox import Ended, Sandbox
from gan_course.commands.grading.submissions import Exercise, Graded, Submission

FACTS = ("tried", "got", "expected", "hint")


@dataclass
class Verdict:
    """One graded cell. ``got`` and ``hint``: what a wrong answer gave, and what its writer was told."""

    task: str
    grade_id: str
    points: float
    of: float
    message: str = ""
    got: str = ""
    hint: str = ""
    seconds: float = 0.0


@dataclass
class Report:
    """One submission. ``remarks``: what is strange about it, each a sentence for the teacher."""

    student: str
    file: str
    exercise: str
    fault: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Report:
        return cls(**{**data, "verdicts": [Verdict(**verdict) for verdict in data["verdicts"]]})


def grade(submission: Submission, exercise: Exercise | None, kind: str, limits: Limits, secret: int) -> Report:
    """Grade one submission in a sandbox of its own; nothing that it does raises an exception here.

    ``secret``: by which the inputs of the checks are drawn. Neither it nor the code that draws enters the sandbox.

    In a thread of its own: elsewhere a check has an alarm clock that rings after ten seconds on the clock, and how long
    a call takes there is the machine's affair, too. Here the sandbox counts.
    """

    def grade_it() -> Report:
        with passed.paused(), drawn_by(secret):
            return _grade(submission, exercise, kind, limits)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(grade_it).result()


def _grade(submission: Submission, exercise: Exercise | None, kind: str, limits: Limits) -> Report:
    started = time.monotonic()
    report = Report(submission.student, submission.file, submission.exercise, submission.fault)
    if exercise is None:
        return report
    if submission.fault:
        report.verdicts = [nothing(cell, "there is nothing to grade") for cell in exercise.cells]
        return report
    remote.by_value()
    sandbox = Sandbox(list(submission.cells), list(exercise.names), kind, limits, started + 10 * limits.total)
    try:
        sandbox.start()
        for cell in exercise.cells:
            report.verdicts.append(judge(cell, exercise, sandbox))
    finally:
        sandbox.end()
    report.remarks = [r for r in dict.fromkeys(sandbox.remarks) if r.split(" ", 2)[-1] not in exercise.usual]
    report.remarks += [f"cell {n + 1} failed: {why}" for n, why in sorted(sandbox.faults.items()) if n >= 0][:10]
    if sandbox.printed > limits.output_mb * 1_000_000:
        report.remarks.append(f"it printed {sandbox.printed / 1e6:.0f} MB; what is over {limits.output_mb} was dropped")
    report.seconds = round(time.monotonic() - started, 1)
    return report


def nothing(cell: Graded, why: str) -> Verdict:
    return Verdict(cell.task, cell.grade_id, 0.0, cell.points, message=why)


def judge(cell: Graded, exercise: Exercise, sandbox: Sandbox) -> Verdict:
    """Run one graded cell. The points are given when it ends without an exception."""
    if sandbox.why is not None and time.monotonic() < sandbox.until and not hopeless(sandbox):
        sandbox.end()  # an earlier cell has ended the process; the other tasks are none the worse for it
        sandbox.start()
    if sandbox.why is not None:
        return nothing(cell, f"not run: {sandbox.why}")
    names: dict[str, Any] = {}
    exec(exercise.preamble, names)
    for name in exercise.names:
        if sandbox.defined.get(name) == "function":
            names[name] = remote.stand_in(sandbox, name)
        elif name in sandbox.defined:
            names[name] = f"the value that {name} has"
    began = time.monotonic()
    verdict = Verdict(cell.task, cell.grade_id, 0.0, cell.points)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(cell.source, f"<{cell.grade_id}>", "exec"), names)
    except CheckFailed as failure:
        verdict.message = str(failure)
        facts = getattr(failure, "facts", {})
        verdict.got, verdict.hint = facts.get("got", ""), facts.get("hint", "")
    except NotImplementedError as error:
        verdict.message = str(error) or f"{cell.task} is not written yet"
    except NameError as error:
        verdict.message = missing(error, sandbox)
    except (Ended, OutOfTime, wire.Garbled) as error:
        verdict.message = str(error) or sandbox.why or "it sent no answer that can be read"
    except Exception as error:
        verdict.message = f"{type(error).__name__}: {str(error)[:500]}"
    else:
        verdict.points = cell.points
    if sandbox.why is not None:
        verdict.points = 0.0
        remark = f"{cell.grade_id} ended its process: {sandbox.why}"
        if len(sandbox.remarks) < 100:
            sandbox.remarks.append(remark)
    verdict.seconds = round(time.monotonic() - began, 2)
    return verdict


def missing(error: NameError, sandbox: Sandbox) -> str:
    """Why a function is not there."""
    faults = [f"cell {n + 1}: {why}" for n, why in sorted(sandbox.faults.items())]
    return f"{error.name} is not defined" + (f" ({'; '.join(faults)[:500]})" if faults else "")


def hopeless(sandbox: Sandbox) -> bool:
    """Whether its process ended so often that starting it again is a waste."""
    return len(sandbox.remarks) > 40 or sum("ended its process" in r for r in sandbox.remarks) >= 8
