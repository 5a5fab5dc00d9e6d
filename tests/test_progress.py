"""``checks.progress()``: what was passed is kept on this computer; a check neither waits for that nor fails by it."""

from __future__ import annotations

import csv
import json
import time

import pytest
import torch
from states import bound_by_permissions

from gan_course import checks
from gan_course.checks import passed


def batch(real, fake):
    return torch.cat([real, fake]), torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "kept" / "progress.json"
    monkeypatch.setenv("GAN_COURSE_PROGRESS", str(path))
    monkeypatch.setattr(passed, "known", {})
    return path


def row(task):
    return next(when for _, name, when in checks.progress().rows if name == task)


def test_a_passed_task_is_kept_with_its_time(file):
    assert row("discriminator_batch") == ""
    checks.check_discriminator_batch(batch, part="points")
    assert row("discriminator_batch") == "1 of 2 parts"
    checks.check_discriminator_batch(batch)
    assert row("discriminator_batch").startswith(time.strftime("%Y-"))
    first = file.read_bytes()
    checks.check_discriminator_batch(batch)
    passed.finish()
    assert file.read_bytes() == first  # the first time counts, and nothing is written twice
    assert "1 of " in repr(checks.progress()) and "<table>" in checks.progress()._repr_html_()


def test_a_wrong_answer_is_not(file):
    with pytest.raises(checks.CheckFailed):
        checks.check_discriminator_batch(lambda real, fake: None)
    passed.finish()
    assert not file.exists()


def test_it_is_exported_and_deleted(file, tmp_path):
    checks.check_discriminator_batch(batch)
    shown = checks.progress()
    shown.export(tmp_path / "mine.csv")
    rows = list(csv.DictReader((tmp_path / "mine.csv").read_text(encoding="utf-8").splitlines()))
    assert [r["task"] for r in rows if r["passed"]] == ["discriminator_batch"]
    shown.delete()
    assert not file.exists() and not any(when for *_, when in checks.progress().rows)
    checks.check_discriminator_batch(batch)
    assert row("discriminator_batch")


@pytest.mark.parametrize(
    "content", ["no JSON", "[1]", '{"discriminator_batch": 3}', '{"arrows": {"number of parts": "x", "a": ""}}']
)
def test_a_damaged_file_costs_nothing_but_itself(file, content):
    file.parent.mkdir()
    file.write_text(content, encoding="utf-8")
    assert row("discriminator_batch") == ""
    checks.check_discriminator_batch(batch)
    assert row("discriminator_batch")


def test_a_file_that_can_not_be_written_breaks_no_check(file, capsys):
    file.parent.mkdir()
    file.parent.chmod(0o500)
    with bound_by_permissions():
        checks.check_discriminator_batch(batch)
        passed.finish()
    file.parent.chmod(0o700)
    assert capsys.readouterr() == ("check_discriminator_batch: all 6 tests passed\n", "")
    assert not file.exists()


def test_a_check_does_not_wait_for_the_file(file, monkeypatch):
    monkeypatch.setattr(passed, "_keep", lambda *values: time.sleep(2))
    started = time.monotonic()
    passed.note("arrows", ["values"], 3)
    assert time.monotonic() - started < 1


def test_nothing_is_kept_when_it_is_off_or_somebody_grades(file, monkeypatch):
    with passed.paused():
        checks.check_discriminator_batch(batch)
    monkeypatch.setenv("GAN_COURSE_PROGRESS", "off")
    checks.check_discriminator_batch(batch)
    passed.finish()
    assert not file.exists()
    assert "off" in repr(checks.progress())


def test_two_notebooks_lose_nothing_of_each_other(file):
    for task in ("arrows", "ring"):
        passed.known.clear()  # as in another process
        passed.note(task, ["a"], 1)
    passed.finish()
    assert json.loads(file.read_text(encoding="utf-8")).keys() == {"arrows", "ring"}
