"""``gan-course bundle``: what a platform needs is in it, and it installs where there is no network.

The course bundled here is a small one of the same name with one dependency, so that it takes seconds. The real one is
bundled by ``tests/kit`` (``make kit``).
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import offline
import pytest
from notebooks import save, text

from gan_course import cli
from gan_course.commands import bundle

LINUX = bundle.aim("linux", "3.12")[1]
WINDOWS = bundle.aim("windows", "3.12")[1]


def wheel(folder: Path, name: str, *requires: str, tag: str = "py3-none-any", module: str = "") -> Path:
    """A wheel that pip installs: one module, a METADATA and a RECORD."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name.replace('-', '_')}-1.0-{tag}.whl"
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    extras = "".join(f"Requires-Dist: {line}\n" for line in requires)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name.replace('-', '_')}.py", module)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{extras}\nA text.\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


# ------------------------------------------------------------------------------------------------- what is needed


def test_what_is_needed_is_followed_to_the_end(tmp_path):
    wheel(tmp_path, "top", "middle>=1", 'bench; extra == "more"')
    assert bundle.lacking(tmp_path, ["top"], LINUX) == ["middle>=1"]
    wheel(tmp_path, "middle", "Deep.Down<3")
    assert bundle.lacking(tmp_path, ["top"], LINUX) == ["deep-down<3"]
    wheel(tmp_path, "deep_down", "top")  # a circle
    assert bundle.lacking(tmp_path, ["top"], LINUX) == []
    assert bundle.lacking(tmp_path, ["top[more]"], LINUX) == ["bench"]


def test_markers_are_those_of_the_other_system(tmp_path):
    wheel(tmp_path, "top", 'wintools; sys_platform == "win32"', 'cuda; platform_system == "Linux"')
    assert bundle.lacking(tmp_path, ["top"], WINDOWS) == ["wintools"]
    assert bundle.lacking(tmp_path, ["top"], LINUX) == ["cuda"]
    wheel(tmp_path, "old", 'backport; python_version < "3.12"')
    assert bundle.lacking(tmp_path, ["old"], LINUX) == []
    assert bundle.lacking(tmp_path, ["old"], bundle.aim("linux", "3.11")[1]) == ["backport"]


def test_an_extra_asked_for_later_counts_as_well(tmp_path):
    wheel(tmp_path, "top", "tool", "other")
    wheel(tmp_path, "other", "tool[fast]")
    wheel(tmp_path, "tool", 'speed; extra == "fast"')
    assert bundle.lacking(tmp_path, ["top"], LINUX) == ["speed"]


def test_pip_is_told_which_wheels_fit():
    options, markers = bundle.aim("mac", "3.13")
    assert options == ["--python-version", "3.13", "--implementation", "cp", "--platform", "macosx_14_0_arm64"]
    assert (markers["sys_platform"], markers["python_version"]) == ("darwin", "3.13")
    assert "manylinux_2_28_x86_64" in bundle.aim("linux", None)[0]
    assert bundle.aim(None, None)[0] == [], "this very computer: pip knows it better"


# ------------------------------------------------------------------------------------------------- a whole one


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """A course with the real one's name, one chapter and one dependency, which pip finds in a folder."""
    root = tmp_path / "course"
    save(root / "chapters/00_start_here.ipynb", text("# Start"))
    (root / "chapters/sketch.png").write_bytes(b"a picture")
    (root / "gan_course").mkdir()
    main = 'import os, tiny\n\ndef main():\n    print(tiny.SAYS, os.getcwd(), os.environ["GAN_COURSE_DATA"])\n'
    (root / "gan_course/cli.py").write_text(main, encoding="utf-8")
    (root / "gan_course/__init__.py").touch()
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "gan-course"\nversion = "9.9"\n[project.scripts]\ngan-course = "gan_course.cli:main"\n'
        '[project.optional-dependencies]\nrun = ["tiny>=1"]\ndiffusion = []\n'
        '[tool.setuptools]\npackages = ["gan_course"]\n',
        encoding="utf-8",
    )
    wheel(tmp_path / "registry", "tiny", module='SAYS = "it runs in"')
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "registry"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip's way to switch it off
    monkeypatch.setenv("GAN_COURSE_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mnist10k.npz").write_bytes(b"pictures")
    return root


def test_a_bundle_installs_and_runs_with_no_network(course, tmp_path, capsys):
    stick = tmp_path / "a stick"
    before = sorted(course.rglob("*"))
    assert cli.main(["bundle", str(stick), "--root", str(course)]) == 0
    assert "a stick: 2 wheels" in capsys.readouterr().out
    assert sorted(course.rglob("*")) == before, "the course's folder is left as it was"
    assert (stick / "data/mnist10k.npz").read_bytes() == b"pictures"
    assert (stick / "course/chapters/sketch.png").exists() and (stick / "course/pyproject.toml").exists()
    for name in ("README.md", "install.py", "start.py"):
        assert "FILL_" not in (stick / name).read_text(encoding="utf-8")
    if sentence := offline.why_not():
        pytest.skip(sentence)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "GAN_", "PYTHON"))}
    for words in (
        ["install.py"],
        ["install.py"],
        ["start.py", "gan-course", "run"],
    ):  # twice: a second try does no harm
        done = offline.run(sys.executable, stick / words[0], *words[1:], cwd=tmp_path, timeout=300, env=env)
        assert done.returncode == 0, done.stdout
    assert done.stdout.strip() == f"it runs in {stick / 'course'} {stick / 'data'}"


def test_the_installer_refuses_another_python(course, tmp_path):
    stick = tmp_path / "stick"
    assert cli.main(["bundle", str(stick), "--root", str(course), "--data"]) == 0
    assert not (stick / "data").exists()
    script = (stick / "install.py").read_text(encoding="utf-8")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f'MADE_FOR, PLATFORM = "{version}", "{sys.platform}"' in script
    name = {"__name__": "install", "__file__": str(stick / "install.py")}
    exec(script.replace(f'"{version}"', '"3.99"'), name)
    assert name["main"]().startswith("This bundle is for Python 3.99")
    exec((stick / "start.py").read_text(encoding="utf-8"), name)
    assert name["main"]() == "The course is not installed here: run python install.py first."


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--platform", "windoze"], "There is no platform 'windoze': did you mean 'windows'? Known: linux, linux-arm"),
        (["--python", "3.9"], "--python must be a version such as 3.12, 3.11 at the least, but is 3.9."),
        (["--data", "mnst"], "There is no data set 'mnst' to be downloaded: did you mean 'mnist'?"),
    ],
)
def test_what_can_t_be_bundled_is_said(course, tmp_path, capsys, options, sentence):
    assert cli.main(["bundle", str(tmp_path / "stick"), "--root", str(course), *options]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "stick").exists()


def test_a_folder_with_something_in_it_is_left_alone(course, tmp_path, capsys):
    assert cli.main(["bundle", str(tmp_path), "--root", str(course)]) == 2
    assert capsys.readouterr().err.strip().endswith("is not an empty folder: name another one, or empty it first.")


def test_a_package_that_is_not_to_be_had_is_named(course, tmp_path, capsys):
    wheel(tmp_path / "registry", "tiny", "no-such-thing")
    assert cli.main(["bundle", str(tmp_path / "stick"), "--root", str(course)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("pip download failed (") and "no-such-thing" in said
