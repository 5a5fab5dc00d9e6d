"""``gan-course doctor --report`` and ``--explain``: what is read out arrives, and a slip of the tongue is noticed."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from gan_course import cli
from gan_course.commands import doctor, report_code
from gan_course.commands.errors import CourseError

FINE = doctor.Facts(
    python=(3, 12, 4),
    system="linux",
    torch=("2.13.0", "cpu", None),
    memory_gb=5.3,
    disk_gb={"here": 60.0, "cache": 7.2},
    kernel=("python", "envs/course/bin/python"),
    widgets=("8.1.9", "4.6.6", "3.0.17"),
    data=(None, False),
    cache=("cache", True),
    network=True,
    colab=False,
)
CHANGES = {
    "old Python": {"python": (3, 9, 1)},
    "Windows": {"system": "win32"},
    "a rare system": {"system": "freebsd14"},
    "no torch": {"torch": (None, "cpu", "No module named 'torch'")},
    "mps": {"torch": ("2.13.0", "cpu (mps is there, and used only when asked for)", None)},
    "cuda": {"torch": ("2.13.0", "NVIDIA T4", None)},
    "memory just too little": {"memory_gb": 1.99},
    "memory just enough": {"memory_gb": 2.0},
    "much memory": {"memory_gb": 64.0},
    "memory unknown": {"memory_gb": None},
    "disk just too little": {"disk_gb": {"here": 80.0, "cache": 0.99}},
    "disk just enough": {"disk_gb": {"here": 1.0}},
    "no kernel": {"kernel": (None, "envs/course/bin/python")},
    "another kernel": {"kernel": ("envs/other/bin/python", "envs/course/bin/python")},
    "no ipywidgets": {"widgets": (None, "4.6", None)},
    "no lab": {"widgets": ("8.1.9", None, None)},
    "old widgets": {"widgets": ("7.7.1", "3.6.0", "1.1.1")},
    "no front end": {"widgets": ("8.1.9", "4.6", None)},
    "old front end": {"widgets": ("8.1.9", "4.6", "1.1.1")},
    "new front end": {"widgets": ("7.7.1", "4.6", "3.0.17")},
    "local data": {"data": ("shared", True)},
    "data gone": {"data": ("gone", False)},
    "cache locked": {"cache": ("cache", False)},
    "offline": {"network": False},
    "Colab": {"colab": True},
}


def essence(facts: doctor.Facts) -> list[tuple[str, bool, str]]:
    """What must arrive of each finding: name, whether it is well, and what to do."""
    return [(f.name, f.ok, f.remedy) for f in doctor.judge(facts)]


@pytest.mark.parametrize("case", CHANGES)
def test_the_findings_arrive(case):
    facts = replace(FINE, **CHANGES[case])
    arrived = report_code.decode(report_code.encode(facts))
    assert essence(arrived) == essence(facts)
    assert report_code.encode(arrived) == report_code.encode(facts)
    assert report_code.encode(facts) != report_code.encode(FINE)


def test_what_a_helper_needs_to_know_beyond_the_remedies():
    arrived = report_code.decode(report_code.encode(FINE))
    assert (arrived.python, arrived.system, arrived.memory_gb, min(arrived.disk_gb.values())) == (
        (3, 12),
        "linux",
        5,
        5,
    )
    says = {finding.name: finding.says for finding in doctor.judge(report_code.decode(report_code.encode(FINE)))}
    assert says["memory"] == "5.0 GB free" and says["ipywidgets"] == "8 with its front end for JupyterLab"
    offline = report_code.decode(report_code.encode(replace(FINE, network=False)))
    assert "do not answer" in doctor.judge(offline)[8].says


def test_it_is_short_and_can_be_read_out():
    code = report_code.encode(FINE)
    assert len(code) == 9 and code[4] == "-" and not set(code) & set("ILOU")
    for said in (code.lower(), code.replace("-", " "), code.replace("0", "o").replace("1", "l"), f" {' '.join(code)} "):
        assert report_code.decode(said) == report_code.decode(code)


def test_every_slip_is_noticed():
    generator = random.Random(0)
    for case in generator.sample(sorted(CHANGES), 6):
        code = report_code.encode(replace(FINE, **CHANGES[case])).replace("-", "")
        slips = [code[:i] + c + code[i + 1 :] for i in range(8) for c in report_code.ALPHABET if c != code[i]]
        slips += [code[:i] + code[i + 1] + code[i] + code[i + 2 :] for i in range(5) if code[i] != code[i + 1]]
        for slip in slips:
            with pytest.raises(CourseError, match="wrong character"):
                report_code.decode(slip)


@pytest.mark.parametrize("text", ["", "4R5K", "4R5K-0JT77", "4R5K-0JTU", "héé-llo!!", "1/2-3456"])
def test_what_is_no_code(text):
    with pytest.raises(CourseError, match="is no code of the doctor's"):
        report_code.decode(text)


def test_another_version_is_said(monkeypatch):
    code = report_code.encode(FINE)
    monkeypatch.setattr(report_code, "FORMAT", 2)
    with pytest.raises(CourseError, match="another version of the course"):
        report_code.decode(code)


def test_the_fields_fill_thirty_bits_and_hold_their_values():
    assert sum(report_code.FIELDS.values()) == 30
    codes = {report_code.encode(replace(FINE, **a | b)) for a, b in itertools.combinations(CHANGES.values(), 2)}
    assert all(len(code) == 9 for code in codes) and len(codes) > 200


def test_the_commands(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "gather", lambda root: replace(FINE, memory_gb=0.7))
    assert cli.main(["doctor", "--report"]) == 1
    *_, last = capsys.readouterr().out.splitlines()
    code = last.split(" ")[1].rstrip(".")
    assert last.endswith(f"gan-course doctor --explain {code}")
    assert cli.main(["doctor", "--explain", code]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("A computer with linux.") and len(lines) == 11
    assert [line for line in lines if line.startswith("[fix]")] == [
        "[fix] memory: 0.5 GB free. Close other programs, the browser first, until 2 GB are free."
    ]
    assert cli.main(["doctor", "--explain", "no code"]) == 2
    assert "is no code" in capsys.readouterr().err
