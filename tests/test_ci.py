"""What CI runs: the workflow on GitHub, the hook before a commit, and ``.ci/run``, with stand-ins for its tools."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from gan_course import cli

ROOT = Path(__file__).parents[1]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="no bash and no executable bit there")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(job: str) -> list[str]:
    """The commands of a job of the workflow, in order."""
    steps = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"][job]["steps"]
    return [step["run"] for step in steps if "run" in step]


def recipe(target: str) -> list[str]:
    """The commands that ``make target`` runs, as a person in the environment would type them."""
    lines = re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n)+)", read("Makefile"), flags=re.MULTILINE)
    quiet = " --quiet --disable-pip-version-check"
    return [line.strip().removeprefix("@").replace("$(BIN)/", "").replace(quiet, "") for line in lines[1].splitlines()]


# ------------------------------------------------------------------------------------------------- on GitHub


def test_the_workflow_covers_three_systems_and_every_python():
    matrix = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    project = tomllib.loads(read("pyproject.toml"))["project"]
    supported = [c.rsplit(" ", 1)[1] for c in project["classifiers"] if "Python :: 3." in c]
    assert matrix["python"] == supported
    assert supported[0] == project["requires-python"].removeprefix(">=")


@pytest.mark.parametrize("job", ["test", "check"])
def test_the_workflow_installs_what_make_installs(job):
    (install,) = [line for line in recipe("$(STAMP)") if "pip install" in line]
    assert commands(job)[0] == install
    assert "[run,dev,diffusion,video]" in install, "chapters 08, 09 and 12 need diffusers, 12 ffmpeg"


def test_contributing_installs_and_runs_what_make_does():
    text = read("CONTRIBUTING.md")
    (install,) = [line for line in recipe("$(STAMP)") if "pip install" in line]
    assert f"\n{install}\n" in text
    for line in recipe("test") + recipe("site"):
        assert f"\n{line.removeprefix('OMP_NUM_THREADS=1 ')}\n" in text


def test_the_workflow_checks_what_make_checks():
    assert commands("check")[1:] == recipe("check") + recipe("site")
    ran = commands("test")
    unit_tests, comparison = (line.removeprefix("OMP_NUM_THREADS=1 ") for line in recipe("test"))
    assert ran.index(unit_tests) < ran.index("gan-course run") < ran.index(comparison)
    for line in ran + commands("check"):
        assert not line.startswith("make"), "Windows has no make"
        if line.startswith("gan-course"):
            cli.parser().parse_args(shlex.split(line)[1:])  # exits for an unknown command or option


def test_the_hook_before_a_commit_has_the_ruff_of_ci():
    (hooks,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert f"\nruff=={hooks['rev'].removeprefix('v')}\n" in read("constraints.txt")
    assert [hook["id"] for hook in hooks["hooks"]] == ["ruff-check", "ruff-format"]


# ------------------------------------------------------------------------------------------------- .ci/run

MAKE = """#!/bin/sh
echo "make $*" >> calls
case "$*" in
  *$FAIL) echo "it went wrong"; exit 3 ;;
  course*) mkdir -p build chapters; cp all.json build/summary.json; echo page > build/index.html ;;
  test) echo "===== 7 passed, 1 skipped in 5.02s =====" ;;
  browser) echo "20 passed in 9.00s" ;;
  hub) echo "2 passed in 40.00s" ;;
  colab) sleep 0.2; echo "10 passed in 0.2s" ;;
esac
"""
RUN = """#!/bin/sh
echo "gan-course $*" >> calls
[ "$FAIL" != mnist ] || exit 4
mkdir -p build/mnist; cp mnist.json build/mnist/summary.json; echo page > build/mnist/index.html
"""


def rows(*names: str, megabytes: int = 900, status: str = "ok") -> str:
    row = {"status": status, "seconds": 1.0, "peak_mb": megabytes, "error": None}
    return json.dumps({"chapters": [row | {"chapter": name} for name in names]})


@pytest.fixture
def clone(tmp_path) -> Path:
    """A folder in which ``.ci/run`` finds stand-ins for make, programs and the course, and shared data beside it."""
    clone = tmp_path / "clone"
    (tmp_path / "shared/data").mkdir(parents=True)
    for name in (".ci", "chapters", "bin", ".venv/bin"):
        (clone / name).mkdir(parents=True)
    shutil.copy(ROOT / ".ci/run", clone / ".ci/run")
    (clone / "chapters/03_training.ipynb").touch()
    scripts = {"bin/make": MAKE, ".venv/bin/gan-course": RUN}
    scripts |= {f"bin/{name}": "#!/bin/sh\n" for name in ("chromium", "npm", "bwrap")}
    scripts["bin/fc-list"] = "#!/bin/sh\necho a font with Chinese letters\n"
    for name, text in scripts.items():
        (clone / name).write_text(text, encoding="utf-8")
        (clone / name).chmod(0o755)
    (clone / ".venv/bin/python").symlink_to(sys.executable)
    (clone / "all.json").write_text(rows("03_training"), encoding="utf-8")
    (clone / "mnist.json").write_text(rows("04_convolutional_gans", "06_evaluation"), encoding="utf-8")
    return clone


def ci(clone: Path, fail: str = "nothing") -> tuple[int, list[str]]:
    """The exit code of ``.ci/run`` and its lines."""
    env = os.environ | {"PATH": f"{clone / 'bin'}:{os.environ['PATH']}", "FAIL": fail}
    done = subprocess.run([clone / ".ci/run"], env=env, capture_output=True, encoding="utf-8", check=False, timeout=60)
    return done.returncode, done.stdout.splitlines()


@POSIX
def test_ci_runs_every_stage_and_adds_up_the_tests(clone):
    code, lines = ci(clone)
    assert (code, lines[-1]) == (0, "39 passed, 0 failed")
    called = (clone / "calls").read_text(encoding="utf-8").splitlines()
    makes = [line for line in called if line.startswith("make")]
    assert makes[:2] == ["make .venv/.installed", "make --question .venv/.installed"]
    assert sorted(makes[2:4]) == ["make check", "make chinese"], "side by side"
    assert makes[4:] == ["make course JOBS=2", "make test", "make browser", "make hub", "make colab"]
    assert "gan-course run --only 04 06 --dataset mnist --out build/mnist" in called
    ended = [line for line in lines if re.fullmatch(r"== .*: \d+ s", line)]
    assert len(ended) == 12, "each stage says how long it took"


@POSIX
@pytest.mark.parametrize(
    ("fail", "stage", "exit_code"),
    [
        (".venv/.installed", "install", 3),
        ("check", "make check", 3),
        ("chinese", "make chinese", 3),
        ("course JOBS=2", "make course, without data and network", 3),
        ("test", "make test, with the shared data", 3),
        ("browser", "make browser", 3),
        ("hub", "make hub", 3),
        ("colab", "make colab", 3),
        ("mnist", "chapters 04 and 06 on MNIST", 4),
    ],
)
def test_ci_names_the_stage_that_failed(clone, fail, stage, exit_code):
    assert ci(clone, fail)[1][-1] == f"CI failed in stage: {stage} (exit code {exit_code})"


@POSIX
@pytest.mark.parametrize(
    "summary",
    [
        rows("03_training", status="failed"),
        rows("03_training", megabytes=1201),
        rows("10_style_transfer", megabytes=1801),
        rows("14_cost_and_market", megabytes=1201),
        rows("03_training", "04_convolutional_gans"),
        rows(),
    ],
)
def test_ci_wants_every_chapter_whole_and_small(clone, summary):
    (clone / "all.json").write_text(summary, encoding="utf-8")
    code, lines = ci(clone)
    assert code == 1 and lines[-1] == "CI failed in stage: its summary (exit code 1)"


@POSIX
@pytest.mark.parametrize("chapter", ["07_diffusion", "10_style_transfer", "13_virtual_reality"])
def test_ci_gives_the_chapters_of_larger_networks_more_memory(clone, chapter):
    (clone / "all.json").write_text(rows(chapter, megabytes=1799), encoding="utf-8")
    assert ci(clone)[0] == 0


@POSIX
def test_ci_without_shared_data(clone):
    shutil.rmtree(clone.parent / "shared")
    code, lines = ci(clone)
    assert (code, lines[-1]) == (0, "29 passed, 0 failed")
    assert "== make test, without shared data" in lines and not any("MNIST" in line for line in lines)


@POSIX
def test_ci_can_be_started_and_requires_what_others_may_skip():
    assert os.access(ROOT / ".ci/run", os.X_OK)
    for command in (
        "GAN_COURSE_REQUIRE=1 make browser",
        "GAN_COURSE_REQUIRE=1 make hub",
        "GAN_COURSE_REQUIRE=1 make colab",
    ):
        assert command in read(".ci/run")
