"""``make bench``: what the course promises about speed and quality, measured. docs/bench.md says what it means."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from bench import race, speed, table
from gan_course.commands.errors import CourseError

ROOT = Path(__file__).parents[1]


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Measure, print the tables, and return 1 where a requirement does not hold, 2 for what can't be measured."""
    options = parser().parse_args(argv)
    try:
        check(options, root)
        rows = show(speed.measure())
        if not options.speed_only:
            with race.threads(options.threads or os.cpu_count() or 1):
                rows.append(table.Row("threads of the race", torch.get_num_threads(), digits=0))
                marks, floor = run_race(options)
            rows += show(table.verdicts(marks, floor))
            if options.write:
                table.write_page(root, marks, floor, rows)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return int(not all(row.holds for row in rows))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m bench", description="Measure what the course promises about speed and quality."
    )
    top.add_argument("--speed-only", action="store_true", help="leave out the race of training recipes")
    top.add_argument(
        "--seconds", nargs="+", type=int, default=[60, 180, 600], metavar="N", help="when the race is judged"
    )
    top.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N", help="our seeds in the race")
    top.add_argument("--peer-seeds", nargs="+", type=int, default=[0], metavar="N", help="the others' (default: 0)")
    top.add_argument("--threads", type=int, default=0, metavar="N", help="of the race (default: one for each core)")
    top.add_argument(
        "--samples", type=Path, metavar="FOLDER", help="write the pictures that were judged there, as .npz files"
    )
    top.add_argument("--write", action="store_true", help="write the results into docs/bench.md")
    return top


def check(options: argparse.Namespace, root: Path) -> None:
    """Raise ``CourseError`` for a request that can't be met: now, not after forty minutes."""
    if min(options.seconds) < 1:
        raise CourseError(
            f"A race of {min(options.seconds)} seconds shows nothing: --seconds takes whole numbers from 1 up."
        )
    if options.speed_only and options.write:
        raise CourseError("The page holds the race: leave out --write or --speed-only.")
    if options.write:
        table.page(root)
    if not options.speed_only:
        race.digits()


def show(rows: Iterable[table.Row]) -> list[table.Row]:
    """Print each row as it is measured, below a heading."""
    print(f"{'what':56}{'measured':>10}   {'required':16}holds")
    found = []
    for row in rows:
        print(row, flush=True)
        found.append(row)
    return found


def run_race(options: argparse.Namespace) -> tuple[list[race.Mark], table.Floor]:
    """Run the race and print it, as far as it came: the marks and the floor."""
    real = race.digits()
    judge = race.judge(real)
    floor = judge.floor()
    contenders = race.entries()
    turns = race.plan(list(contenders), options.seconds, options.seeds, options.peer_seeds)
    minutes = sum(max(turn.seconds) for turn in turns) / 60
    print(f"\nThe race: {len(turns)} runs, {minutes:.0f} minutes of training.", flush=True)
    marks: list[race.Mark] = []
    try:
        for mark in race.race(turns, contenders, real[: race.TRAINED_ON], judge, options.samples):
            marks.append(mark)
            name = f"{mark.contender}, seed {mark.seed}, {mark.seconds} s"
            print(f"{name:40}{mark.frechet:8.3f} after {mark.steps:,} steps", flush=True)
    finally:
        if marks:
            print(f"\n{table.plain(table.race_table(marks, floor))}\n")
    return marks, floor


if __name__ == "__main__":
    sys.exit(main())
