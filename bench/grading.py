"""``python -m bench.grading``: a class of 100 and more, hostile ones among them, graded by ``gan-course grade``.

Prints whether the honest got what they are due and the hostile nothing, and what one core and two manage.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import submissions
from gan_course.commands.grade import grade_folder


def main(argv: Sequence[str] | None = None) -> int:
    """Grade one class with each number of workers, and return 1 where a score is wrong."""
    top = argparse.ArgumentParser(prog="python -m bench.grading", description="Grade a class with hostile students.")
    top.add_argument("--honest", type=int, default=80, metavar="N", help="honest submissions (default: 80)")
    top.add_argument("--attacks", nargs="*", default=list(submissions.ATTACKS), metavar="NAME", help="default: all")
    top.add_argument("--jobs", nargs="+", type=int, default=[1, 2], metavar="N", help="workers (default: 1, then 2)")
    top.add_argument("--seconds", type=float, default=10, metavar="S", help="for one check (default: 10)")
    options = top.parse_args(argv)
    wrong, took = 0, {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "in"
        folder.mkdir()
        due, hostile = submissions.make_class(folder, options.honest, options.attacks)
        for jobs in options.jobs:
            out = Path(place) / f"out{jobs}"
            started = time.monotonic()
            grade_folder(folder, submissions.ROOT, out, jobs=jobs, seconds=options.seconds)
            took[jobs] = time.monotonic() - started
            wrong += judge(out, due, hostile)
    everything = len(due) + len(hostile)
    for jobs, seconds in took.items():
        each = seconds * jobs / everything
        print(f"{jobs} workers: {seconds:.0f} s for {everything} submissions, {each:.1f} s of a worker for each")
    if len(took) > 1:
        first, *_, last = took
        print(f"from {first} to {last} workers: {took[first] / took[last]:.2f} times as fast")
    return int(wrong > 0)


def judge(out: Path, due: dict[str, float], hostile: list[str]) -> int:
    """Compare the totals with what is due; print and count the differences."""
    rows = {row["student"]: row for row in read(out / "totals.csv")}
    said = {row["student"] for row in read(out / "tasks.csv") if row["message"]}
    faults = [
        f"{name}: {rows[name]['points']} and not {due[name]:g}" for name in due if scored(rows[name]) != due[name]
    ]
    faults += [f"{name}: remarks on an honest one: {rows[name]['remarks']}" for name in due if rows[name]["remarks"]]
    faults += [f"{name}: {rows[name]['points']} and not 0" for name in hostile if scored(rows[name])]
    faults += [f"{name}: not named" for name in hostile if not rows[name]["remarks"] and name not in said]
    print(*faults, f"{len(due)} honest, {len(hostile)} hostile, {len(faults)} wrong.", sep="\n")
    return len(faults)


def scored(row: dict[str, str]) -> float:
    return float(row["points"])


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


if __name__ == "__main__":
    sys.exit(main())
