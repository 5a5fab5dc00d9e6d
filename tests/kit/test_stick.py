"""The real bundle, for minutes: made here, installed and run where there is no network. ``make kit``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import offline
import pytest

from gan_course import cli

ROOT = Path(__file__).parents[2]


def test_chapter_00_runs_from_a_stick_with_no_network(tmp_path, capsys):
    if sentence := offline.why_not():
        pytest.skip(sentence)
    stick, seconds = tmp_path / "stick", {}
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "GAN_", "PYTHON"))}
    env["HOME"] = str(tmp_path / "home")  # no cache and no settings of this user's
    started = time.monotonic()
    assert cli.main(["bundle", str(stick), "--root", str(ROOT), "--data"]) == 0
    seconds["bundle"] = time.monotonic() - started
    megabytes = sum(path.stat().st_size for path in stick.rglob("*") if path.is_file()) / 1e6
    for name, words in {"install": ["install.py"], "run": ["start.py", "gan-course", "run", "--only", "00"]}.items():
        started = time.monotonic()
        done = offline.run(sys.executable, stick / words[0], *words[1:], cwd=tmp_path, timeout=1800, env=env)
        seconds[name] = time.monotonic() - started
        assert done.returncode == 0, done.stdout
    assert "1 of 1 chapters ran without an error." in done.stdout
    assert (stick / "course/build/00_start_here.html").exists()
    with capsys.disabled():
        print(
            f"\nThe bundle holds {megabytes:.0f} MB. Seconds:", {name: round(value) for name, value in seconds.items()}
        )
