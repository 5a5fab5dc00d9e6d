"""What ``gan-course grade`` writes: tables as CSV for a spreadsheet, and one page with all of them."""

from __future__ import annotations

import csv
import html
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from gan_course.commands.grading.judge import Report
from gan_course.files import write_whole

Row = Sequence[object]
TASKS = ("student", "file", "exercise", "task", "points", "of", "message", "seconds")
TOTALS = ("student", "file", "exercise", "points", "of", "seconds", "remarks")
MISTAKES = ("exercise", "task", "students", "hint they got", "what came back, for example")


def by_task(reports: Iterable[Report]) -> list[Row]:
    """A row for each student and task. The message is that of the first graded cell that gave no points."""
    rows: list[Row] = []
    for report in reports:
        for task in dict.fromkeys(v.task for v in report.verdicts):
            own = [v for v in report.verdicts if v.task == task]
            message = next((v.message for v in own if v.points < v.of), "")
            got, of, seconds = (sum(getattr(v, name) for v in own) for name in ("points", "of", "seconds"))
            where = (report.student, report.file, report.exercise, task)
            rows.append((*where, number(got), number(of), message, f"{seconds:.1f}"))
    return rows


def totals(reports: Iterable[Report]) -> list[Row]:
    rows: list[Row] = []
    for r in reports:
        points, of = (sum(getattr(v, name) for v in r.verdicts) for name in ("points", "of"))
        remarks = "; ".join([r.fault] * bool(r.fault) + r.remarks)
        rows.append((r.student, r.file, r.exercise, number(points), number(of), f"{r.seconds:.1f}", remarks))
    return rows


def mistakes(reports: Iterable[Report]) -> list[Row]:
    """Which wrong answers the class gave: by task, those with the same hint together, most common first."""
    students: dict[tuple[str, str, str], set[str]] = {}
    example: dict[tuple[str, str, str], Counter[str]] = {}
    for report in reports:
        for v in report.verdicts:
            if v.hint:
                key = (report.exercise, v.task, v.hint)
                students.setdefault(key, set()).add(f"{report.student}/{report.file}")
                example.setdefault(key, Counter())[v.got] += 1
    ordered = sorted(students, key=lambda key: (key[0], key[1], -len(students[key]), key[2]))
    return [(*key[:2], len(students[key]), key[2], example[key].most_common(1)[0][0]) for key in ordered]


def number(value: float) -> str:
    return f"{value:g}"


def as_csv(header: Row, rows: Iterable[Row]) -> bytes:
    """In UTF-8 with its mark, as spreadsheets want it. No cell begins as a formula does: a student may have made it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for row in rows:
        writer.writerow([harmless(str(cell)) for cell in row])
    return text.getvalue().encode("utf-8-sig", errors="replace")


def harmless(text: str) -> str:
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em }
table { border-collapse: collapse; width: 100%; margin-bottom: 2em } caption { text-align: left; font-weight: 600 }
th, td { border-bottom: 1px solid #ccc; padding: .3em .6em; text-align: left; vertical-align: top }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px }
"""


def page(reports: list[Report], note: str) -> bytes:
    """All tables on one page, without a script."""
    tables = [
        table("Totals", TOTALS, totals(reports)),
        table("Wrong answers, most common first", MISTAKES, mistakes(reports)),
        table("Tasks", TASKS, by_task(reports)),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Grades</title>'
        f'<meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy" '
        f'content="{policy}"><style>{STYLE}</style></head>'
    )
    body = f"<body><main><h1>Grades</h1><p>{html.escape(note)}</p>{''.join(tables)}</main></body></html>\n"
    return (head + body).encode(errors="replace")


def table(caption: str, header: Row, rows: Iterable[Row]) -> str:
    def cell(value: object) -> str:
        text = html.escape(harmless(str(value)).removeprefix("'"))
        return f"<td><pre>{text}</pre></td>" if "\n" in text else f"<td>{text}</td>"

    head = "".join(f'<th scope="col">{html.escape(str(name))}</th>' for name in header)
    lines = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def write(out: Path, reports: list[Report], note: str) -> None:
    """Write tasks.csv, totals.csv, mistakes.csv and index.html. Raises ``OSError`` with a sentence."""
    write_whole(out / "tasks.csv", as_csv(TASKS, by_task(reports)))
    write_whole(out / "totals.csv", as_csv(TOTALS, totals(reports)))
    write_whole(out / "mistakes.csv", as_csv(MISTAKES, mistakes(reports)))
    write_whole(out / "index.html", page(reports, note))
