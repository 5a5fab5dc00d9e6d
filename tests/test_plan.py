"""``gan-course plan``: the arithmetic that it shows is right, and rests on the committed figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gan_course import cli
from gan_course.commands import plan

MEASURED = {
    "date": "2026-11-27", "cores": 2, "students": 10, "failed": 0, "cpu_seconds_per_student": 10.0,
    "memory_mb_per_student": 400, "hub_memory_mb": 200, "home_mb_per_student": 5.0, "environment_mb": 1500,
    "server_memory_mb": 100, "largest_chapter_mb": 900, "longest_chapter_seconds": 120,
}  # fmt: skip


def price(unit: str, value: float) -> plan.ServerPrice:
    return plan.ServerPrice(
        entity="X", date="2026-06", quantity="price", value=value, low=None, high=None, unit=unit, source_title="Y",
        source_address="https://example.org/", status="reported",
    )  # fmt: skip


PRICES = price("USD per server-hour", 0.1), price("USD per GB-month", 0.073)


def test_by_hand():
    made = plan.compute(30, 20, 10, 8, MEASURED, *PRICES)
    assert made.memory_gb == pytest.approx(24.2)  # 20 × 1000 MB × 1.2 + 200 MB
    assert made.cores == 4  # 20 × 120 s in 600 s
    assert made.disk_gb == pytest.approx(14.65)  # 30 × 105 MB + 1.5 GB + 10 GB
    assert made.servers == 3  # 24.2 GB in servers of 8.59; two would do for the cores
    assert made.usd == pytest.approx(3 * 0.1 * 8 + 14.65 * 0.073 * 8 / 730)


def test_a_hurry_costs_cores_and_a_small_class_needs_two():
    assert plan.compute(30, 30, 1, 8, MEASURED, *PRICES).cores == 60
    assert plan.compute(1, 1, 10, 8, MEASURED, *PRICES).cores == 2


def test_what_is_shown_is_what_is_computed():
    text = "\n".join(plan.compute(30, 20, 10, 8, MEASURED, *PRICES).lines)
    shown = re.findall(r"^(?:memory|disk|cost) +(.*?) = (?:.* = )?([\d.]+) (?:GB|USD)$", text, flags=re.MULTILINE)
    assert len(shown) == 3
    for left, right in shown:
        terms = re.sub(r"([\d.]+) MB", r"\1 * 0.001", left).replace("×", "*")
        assert eval(re.sub("[a-zA-Z]+", "", terms)) == pytest.approx(float(right), abs=0.06), left


@pytest.mark.parametrize("students", [30, 500])
def test_the_real_plan(students, capsys):
    assert cli.main(["plan", "--students", str(students)]) == 0
    out = capsys.readouterr().out
    assert (
        out.startswith(f"A hub for {students} students, {students} of them at once.") and ", of whom 0 failed." in out
    )
    made = plan.compute(students, students, 10, 8, plan.figures(), *plan.prices())
    assert out.splitlines() == list(made.lines)
    assert made.servers * plan.SERVER_CORES >= made.cores and made.servers * plan.SERVER_GB >= made.memory_gb


def test_the_page_shows_these_figures_and_plans(capsys):
    page = (Path(__file__).parents[1] / "docs/hub.md").read_text(encoding="utf-8")
    for students in (30, 500):
        assert cli.main(["plan", "--students", str(students)]) == 0
        assert capsys.readouterr().out in page
    for name, value in plan.figures().items():
        assert name in ("date", "longest_chapter_seconds", "largest_chapter_mb") or f" {value:g} " in page, name


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--students", "0"], "--students must be 1 or more but is 0."),
        (["--students", "5", "--at-once", "6"], "--at-once must lie between 1 and --students, which is 5, but is 6."),
        (["--students", "5", "--wait", "0"], "--wait and --hours must be above 0 but are 0 and 8."),
        (["--students", "5", "--hours", "nan"], "--wait and --hours must be above 0 but are 10 and nan."),
    ],
)
def test_no_class(options, sentence, capsys):
    assert cli.main(["plan", *options]) == 2
    assert capsys.readouterr().err.strip() == sentence
