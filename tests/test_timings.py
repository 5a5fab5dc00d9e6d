"""``gan-course timings``: the page says what the summaries say, and the committed one has chapters that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gan_course import cli

ROOT = Path(__file__).parents[1]


@pytest.fixture
def course(tmp_path) -> Path:
    (tmp_path / "chapters").mkdir()
    return tmp_path


def summary(course: Path, folder: str, *rows: tuple[str, float, int], status: str = "ok") -> None:
    made = [{"chapter": n, "status": status, "seconds": s, "peak_mb": m, "error": None} for n, s, m in rows]
    (course / folder).mkdir()
    (course / folder / "summary.json").write_text(json.dumps({"chapters": made, "seconds": 1.0}), encoding="utf-8")


def test_a_page_from_three_runs(course, capsys):
    summary(course, "a", ("00_start", 10.0, 500), ("01_next", 70.2, 1100))
    summary(course, "b", ("00_start", 30.0, 700), ("01_next", 71.0, 900))
    summary(course, "c", ("00_start", 12.4, 600))
    assert cli.main(["timings", "--root", str(course), "--out", "a", "b", "c", "--note", "One at a time."]) == 0
    page = (course / "docs/timings.md").read_text(encoding="utf-8")
    assert "in 3 runs of `gan-course run`, on " in page and "). One at a time. Time is" in page
    assert "\n| 00_start | 12 s | 0.70 GB |\n| 01_next | 1 min 11 s | 1.10 GB |\n" in page
    assert "\n| all of them | 1 min 23 s | 1.10 GB at the most |\n" in page
    assert "2 chapters, 1 min 23 s in all." in capsys.readouterr().out


def test_what_is_no_measurement_is_refused(course, capsys):
    def said() -> str:
        assert cli.main(["timings", "--root", str(course)]) == 2
        assert not (course / "docs").exists()
        return capsys.readouterr().err

    assert "make one with gan-course run" in said()
    summary(course, "build", ("00_start", 1.0, 1), status="failed")
    assert "00_start did not run to the end: run the course again" in said()
    (course / "build/summary.json").write_text('{"chapters": []}', encoding="utf-8")
    assert "says that no chapter ran" in said()
    for text in ("{", "[]", '{"chapters": [1]}'):
        (course / "build/summary.json").write_text(text, encoding="utf-8")
        assert "is no summary of a run" in said()


def test_the_committed_page_names_chapters_that_exist():
    rows = re.findall(r"^\| (\d\d_\w+) \| (?:(\d+) min )?(\d+) s \| ([\d.]+) GB \|$", read(), flags=re.MULTILINE)
    names = [row[0] for row in rows]
    assert len(names) > 10 and names == sorted(names)
    assert all((ROOT / "chapters" / f"{name}.ipynb").exists() for name in names)
    assert all(0.3 < float(memory) < 2 and int(minutes or 0) * 60 + int(s) > 5 for _, minutes, s, memory in rows)


def read() -> str:
    return (ROOT / "docs/timings.md").read_text(encoding="utf-8")
