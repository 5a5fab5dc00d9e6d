"""``gan-course grade``: a folder of exercise notebooks becomes tables of points, whoever wrote the notebooks.

docs/grading.md says what is kept from what, and what remains.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gan_course.checks.draws import MOST
from gan_course.commands import notebooks
from gan_course.commands.errors import CourseError
from gan_course.commands.grading import submissions, tables
from gan_course.commands.grading.isolation import Limits, isolation
from gan_course.commands.grading.judge import Report, grade
from gan_course.commands.grading.submissions import Exercise, Submission
from gan_course.commands.progress import printable
from gan_course.files import only_writer, read_whole, write_whole


def grade_folder(
    folder: str | Path,
    root: str | Path = ".",
    out: str | Path = "grades",
    jobs: int = 1,
    scheduler: str | None = None,
    seconds: float = 10.0,
    memory: int = 2000,
    trust: bool = False,
    secret: int | None = None,
) -> int:
    """Grade every notebook in ``folder`` by the solutions of the course in ``root``; write tables into ``out``.

    Results are kept in ``out/results``: a submission that is there, unchanged, is not run again. ``jobs``: submissions
    side by side here; ``scheduler``: the address of a Dask cluster that runs them instead. ``seconds`` of processor
    for one check, ``memory`` in MB for one submission. ``trust``: go on where there is no isolation. ``secret``: by
    which the checks draw their inputs; else the one that ``out`` was begun with, or a new one. Returns the exit code,
    which is 0 however many points were given. Raises ``CourseError`` before anything runs where the request can't be
    met.
    """
    source, target = Path(folder).resolve(), Path(out).resolve()
    if not source.is_dir():
        raise CourseError(f"there is no folder {folder}: name the one that holds the students' notebooks.")
    if jobs < 1:
        raise CourseError(f"--jobs must be 1 or more but is {jobs}: it is the number of submissions side by side.")
    if not seconds > 0:
        raise CourseError(f"--seconds must be above 0 but is {seconds:g}: it is what one check may take.")
    if memory < 100:
        raise CourseError(f"--memory must be 100 or more but is {memory}: it is in MB, for one submission.")
    if secret is not None and not 1 <= secret <= MOST:
        raise CourseError(f"--secret must be a number from 1 to {MOST:,} but is {secret}.")
    if target == source or target.is_relative_to(source):
        raise CourseError("the results would lie among the submissions: name another folder with --out FOLDER.")
    exercises = submissions.read_exercises(notebooks.course_folder(root) / "solutions")
    kind = isolation(trust) if scheduler is None else "wherever"
    limits = Limits(seconds=seconds, total=12 * seconds, memory_mb=memory)
    found = [submissions.read(student, path, source, exercises) for student, path in submissions.find(source)]
    if not found:
        raise CourseError(f"{folder} holds no notebooks: name the folder with the students' files.")
    with only_writer(target / "totals.csv"):
        secret = recorded(target / "secret.txt", secret)
        reports = list(kept_and_new(found, exercises, kind, limits, target, jobs, scheduler, trust, secret))
        reports.sort(key=lambda r: (r.student, r.file))
        note = f"{len(reports)} submissions; isolation: {kind}; at most {seconds:g} s for a check; secret: {secret}."
        tables.write(target, reports, note)
    points, of = (sum(getattr(v, name) for r in reports for v in r.verdicts) for name in ("points", "of"))
    remarkable = sum(bool(r.fault or r.remarks) for r in reports)
    print(f"{len(reports)} submissions, {points:g} of {of:g} points, {remarkable} with a remark to read.")
    print(f"Open {target / 'index.html'}")
    return 0


def recorded(place: Path, secret: int | None) -> int:
    """``secret``, else the one in the file ``place``, else a new one; it stands in the file afterwards."""
    with suppress(OSError, ValueError):
        kept = int(read_whole(place))
        secret = kept if secret is None and 1 <= kept <= MOST else secret
    secret = secret or 1 + secrets.randbelow(MOST)
    write_whole(place, f"{secret}\n".encode())
    return secret


def kept_and_new(
    found: list[Submission],
    exercises: dict[str, Exercise],
    kind: str,
    limits: Limits,
    target: Path,
    jobs: int,
    scheduler: str | None,
    trust: bool,
    secret: int,
) -> Iterator[Report]:
    """The reports that an earlier run has left, then those that are made now, as they come."""
    waiting: list[tuple[Submission, Exercise | None, Path]] = []
    for submission in found:
        exercise = exercises.get(submission.exercise)
        marks = [submission.fingerprint, exercise.fingerprint if exercise else "none", repr(limits), str(trust)]
        marks += [str(secret)]
        place = target / "results" / f"{submissions.fingerprint(*marks)}.json"
        if (left := read_report(place)) is not None:
            left.student, left.file = submission.student, submission.file
            yield left
        else:
            waiting.append((submission, exercise, place))
    if len(waiting) < len(found):
        print(f"{len(found) - len(waiting)} submissions are as they were; their results are kept.")
    started = time.monotonic()
    with cluster(min(jobs, max(1, len(waiting))), scheduler) as submit:
        for done, (report, place) in enumerate(submit(waiting, kind, limits, trust, secret), start=1):
            write_whole(place, json.dumps(report.plain()).encode())
            got, of = (sum(getattr(v, name) for v in report.verdicts) for name in ("points", "of"))
            clock = f"{time.monotonic() - started:.0f} s"
            remark = f": {'; '.join([report.fault] * bool(report.fault) + report.remarks)[:160]}" * bool(
                report.fault or report.remarks
            )
            print(printable(f"[{done}/{len(waiting)}, {clock}] {report.file} {got:g}/{of:g}{remark}"), flush=True)
            yield report


def read_report(place: Path) -> Report | None:
    """What an earlier run has found, or ``None``."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return Report.of(json.loads(read_whole(place)))
    return None


@contextmanager
def cluster(jobs: int, scheduler: str | None) -> Iterator[Any]:
    """A function that grades submissions on Dask's workers, and yields each report with the place to keep it."""
    import dask
    from distributed import Client, LocalCluster, as_completed

    # A worker whose memory runs low pauses by default. Here the sandboxes have limits of their own.
    # And on a crowded machine a worker takes its time to start.
    dask.config.set(
        {
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.terminate": False,
            "distributed.comm.timeouts.connect": "300s",
            "distributed.comm.timeouts.tcp": "300s",
            "distributed.scheduler.worker-ttl": None,
        }
    )
    local = None
    try:
        if scheduler is None:
            local = LocalCluster(
                n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", memory_limit=0,
                host="127.0.0.1", silence_logs=50,
            )  # fmt: skip
        client = Client(local or scheduler, timeout=30)
    except (OSError, TimeoutError, ValueError) as error:
        if local:
            local.close()
        raise CourseError(
            f"there is no Dask scheduler at {scheduler} ({error}): start one, or leave it out."
        ) from error

    def submit(
        waiting: list[tuple[Submission, Exercise | None, Path]], kind: str, limits: Limits, trust: bool, secret: int
    ) -> Iterator[tuple[Report, Path]]:
        futures = {
            client.submit(work, submission, exercise, kind, limits, trust, secret, pure=False, retries=2): (
                submission,
                place,
            )
            for submission, exercise, place in waiting
        }
        for future in as_completed(futures):
            submission, place = futures[future]
            error = future.exception()
            if error is None:
                yield future.result(), place
            else:  # the worker died, or there is no isolation where it runs
                fault = f"it could not be graded ({str(error)[:200]}): grade it again"
                report = Report(submission.student, submission.file, submission.exercise, fault)
                yield report, place.with_suffix(".failed")
            future.release()

    try:
        yield submit
    finally:
        client.close()
        if local:
            local.close()


def work(
    submission: Submission, exercise: Exercise | None, kind: str, limits: Limits, trust: bool, secret: int
) -> Report:
    """What a worker does with one submission."""
    import torch

    torch.set_num_threads(1)  # as many workers as cores
    return grade(submission, exercise, isolation(trust) if kind == "wherever" else kind, limits, secret)
