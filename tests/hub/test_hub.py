"""A JupyterHub on this computer and a class of ten that logs in at once: nobody fails. ``make hub``."""

from __future__ import annotations

import importlib.util
import json
import os

import pytest

from bench import hub

STUDENTS = 10


@pytest.fixture(scope="module")
def proxy() -> str:
    found = hub.proxy_command()
    missing = [name for name in ("jupyterhub", "websocket") if importlib.util.find_spec(name) is None]
    if found is None:
        missing.append("configurable-http-proxy")
    if found is None or missing:
        say = pytest.fail if os.environ.get("GAN_COURSE_REQUIRE") else pytest.skip
        say(f"{', '.join(missing)} is missing: make hub installs it, the proxy with npm")
    return found


def test_ten_students_at_once(proxy, capsys):
    measured = hub.measure(STUDENTS, proxy)
    assert [student.error for student in measured.students] == [""] * STUDENTS
    assert {student.said for student in measured.students} == {"check_ring: all 25 tests passed\n"}
    assert all(0 < student.ready < student.done for student in measured.students)
    now = hub.figures(measured, load=0)
    with capsys.disabled():
        print(f"\n{json.dumps(now)}")
    committed = json.loads(hub.FIGURES.read_text(encoding="utf-8"))
    assert now.keys() == committed.keys() and committed["failed"] == 0 and committed["students"] >= STUDENTS
    for name in ("memory_mb_per_student", "home_mb_per_student", "server_memory_mb"):  # what a plan rests on
        assert now[name] < 1.3 * committed[name], "measure anew: python -m bench.hub --write"


def test_a_student_whom_no_hub_answers_has_failed():
    student = hub.attend("student-01", "http://127.0.0.1:9", [])
    assert student.error.startswith("ConnectionError: ") and student.said == ""
