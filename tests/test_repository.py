"""The repository as a whole: what is promised in one file and kept in another."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from setuptools import find_packages

from gan_course import cli

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CI_EXTRAS = ("run", "dev", "diffusion", "video", "browser", "hub", "docs")  # what constraints.txt pins
COLAB = {
    "torch": "2.11.0",
    "numpy": "2.1.3",
    "matplotlib": "3.10.0",
    "ipywidgets": "7.7.1",
    "tqdm": "4.67.3",
    "scikit-learn": "1.6.1",
    "scikit-image": "0.25.2",
    "pooch": "1.9.0",
    "safetensors": "0.8.0",
    "pydantic": "2.13.4",
}
CONDA_NAMES = {"torch": "pytorch", "bleach": "bleach-with-css"}  # where they differ
# In pieces, so that this file does not name what it looks for.
HOSTS = re.compile(
    "|".join(
        ["py" + r"pi\.org", "python" + r"hosted\.org", "download" + r"\.pytorch\.org", "npm" + r"js\.(?:com|org)"]
        + ["conda" + r"\.anaconda\.org", "deb" + r"\.debian\.org"]
        + ["/wor" + "k/", '"_name_or_' + 'path": "/']
        + [re.escape(str(ROOT))] * (len(ROOT.parts) > 2)
    )
)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def ours() -> list[Path]:
    """Every file of the repository: all but what .gitignore names, as in a fresh clone."""
    ignored = [line.rstrip("/") for line in read(".gitignore").split()] + [".git"]
    found = []
    for folder, names, files in os.walk(ROOT):
        names[:] = [name for name in names if not any(fnmatch(name, pattern) for pattern in ignored)]
        found += [Path(folder, name) for name in files if not any(fnmatch(name, p) for p in ignored)]
    return found


def requirements(lines: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def pins() -> dict[str, str]:
    lines = [line for line in read("constraints.txt").splitlines() if line and not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    assert len(pinned) == len(lines), "constraints.txt names something twice"
    return pinned


def shell_lines(text: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [line for line in "".join(blocks).splitlines() if line.strip() and not line.startswith("#")]


# ------------------------------------------------------------------------------------------------- dependencies


def test_environment_yml_is_in_step_with_pyproject():
    environment = yaml.safe_load(read("environment.yml"))
    assert environment["channels"] == ["conda-forge"]
    *listed, pip = environment["dependencies"]
    assert pip == {"pip": ["-e ."]}
    wanted = {"python=3.12", "pip"}  # one version: see test_binder
    for requirement in requirements(PROJECT["dependencies"] + EXTRAS["run"] + EXTRAS["diffusion"]).values():
        wanted.add(f"{CONDA_NAMES.get(requirement.name, requirement.name)}{requirement.specifier}")
    assert set(listed) == wanted
    assert len(listed) == len(set(listed))


def test_constraints_pin_every_direct_dependency_within_its_bounds():
    pinned = pins()
    direct = requirements(PROJECT["dependencies"] + [line for extra in CI_EXTRAS for line in EXTRAS[extra]])
    for name, requirement in direct.items():
        assert name in pinned, f"constraints.txt lacks {name}"
        assert requirement.specifier.contains(pinned[name]), f"{name}=={pinned[name]} does not satisfy {requirement}"


def test_constraints_are_plain_public_versions():
    for name, version in pins().items():
        assert name == canonicalize_name(name)
        assert Version(version).local is None, f"{name}=={version} exists on one index only"
        assert str(Version(version)) == version


def test_dependencies_have_lower_bounds_only():
    for line in PROJECT["dependencies"] + [line for extra in EXTRAS.values() for line in extra]:
        assert [s.operator for s in Requirement(line).specifier] == [">="], line


def test_installing_on_colab_changes_nothing_there():
    base = requirements(PROJECT["dependencies"])
    assert base.keys() == COLAB.keys()
    for name, requirement in base.items():
        assert requirement.specifier.contains(COLAB[name]), f"{requirement} would replace Colab's {COLAB[name]}"


def test_the_package_holds_the_library_alone():
    found = tomllib.loads(read("pyproject.toml"))["tool"]["setuptools"]["packages"]["find"]
    packages = find_packages(str(ROOT), include=found["include"])
    assert {name.split(".")[0] for name in packages} == {"gan_course"}
    assert (ROOT / "bench/__main__.py").exists() and "bench" in find_packages(str(ROOT)), "which would be found, too"


# ------------------------------------------------------------------------------------------------- commands


def install_lines() -> list[tuple[str, str]]:
    files = ["README.md", "CONTRIBUTING.md", "Makefile", ".github/workflows/ci.yml"]
    return [(name, line.strip()) for name in files for line in read(name).splitlines() if "pip install" in line]


def test_pip_lines_name_extras_and_files_that_exist():
    lines = install_lines()
    assert {name for name, _ in lines} == {"README.md", "CONTRIBUTING.md", "Makefile", ".github/workflows/ci.yml"}
    for name, line in lines:
        words = shlex.split(line.split("pip install", 1)[1])
        target = words[words.index("-e") + 1]
        extras = re.fullmatch(r"\.\[([\w,]+)\]", target)
        assert extras, f"{name}: {line}"
        assert set(extras.group(1).split(",")) <= EXTRAS.keys(), f"{name}: {line}"
        assert words[words.index("-c") + 1] == "constraints.txt"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/instructors.md"])
def test_documented_commands_exist(name):
    commands = [shlex.split(line, comments=True) for line in shell_lines(read(name))]
    commands += [shlex.split(code) for code in re.findall(r"`((?:gan-course|make) [^`]+)`", read(name))]
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), flags=re.MULTILINE))
    checked = 0
    for words in commands:
        if words[0] == "gan-course":
            cli.parser().parse_args(words[1:])  # exits for an unknown command or option
        elif words[0] == "make":
            assert words[1] in targets, words
        else:
            continue
        checked += 1
    assert checked


def test_makefile_lists_its_targets():
    text = read("Makefile")
    targets = re.findall(r"^([a-z]+):.*## ", text, flags=re.MULTILINE)
    assert set(targets) == set(re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE).group(1).split())
    assert {"course", "lab", "test", "check", "site", "bench", "exercises", "clean", "help"} <= set(targets)
    assert targets[0] == "help", "make alone must print the targets"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no make")
def test_make_installs_once(tmp_path):
    """In a copy of the three files that matter, with a stamp newer than what it depends on, nothing is installed."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(read(name), encoding="utf-8")

    def plan(target: str) -> str:
        make = ["make", "--dry-run", target]
        return subprocess.run(make, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True).stdout

    assert "pip install" in plan("course")
    stamp = tmp_path / ".venv/.installed"
    stamp.parent.mkdir()
    stamp.touch()
    later = stamp.stat().st_mtime + 10
    os.utime(stamp, (later, later))
    assert "pip install" not in plan("course")
    assert "gan-course run --jobs 1\n" in plan("course")
    os.utime(tmp_path / "constraints.txt", (later + 10, later + 10))
    assert "pip install" in plan("test")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no make")
def test_make_refuses_an_old_python_in_one_sentence(tmp_path):
    old = tmp_path / "old-python"
    guard = "import sys; sys.version_info = (3, 9, 1, 'final', 0); exec(sys.argv.pop())"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{guard}" "$2"\n', encoding="utf-8")
    old.chmod(0o755)
    (tmp_path / "Makefile").write_text(read("Makefile"), encoding="utf-8")
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "constraints.txt").touch()
    make = ["make", "course", f"PYTHON={old}"]
    done = subprocess.run(make, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode != 0
    first = done.stderr.splitlines()[0]
    assert first.startswith("The course needs Python 3.11 or newer") and "is 3.9" in first
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no make")
@pytest.mark.parametrize("there", [True, False])
def test_make_hands_local_data_on_as_an_absolute_path(tmp_path, there):
    """A kernel's working folder is chapters/, where a relative path would lead elsewhere."""
    data = tmp_path / "local data"
    if there:
        data.mkdir()
    course = tmp_path / "course"
    course.mkdir()
    (course / "more.mk").write_text('show:\n\t@echo "$$GAN_COURSE_DATA"\n', encoding="utf-8")
    make = ["make", "-f", str(ROOT / "Makefile"), "-f", "more.mk", "show"]
    environment = os.environ | {"GAN_COURSE_DATA": "../local data"}
    done = subprocess.run(make, cwd=course, env=environment, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == (str(data.resolve()) if there else "../local data")


# ------------------------------------------------------------------------------------------------- what is in the files


def prose() -> list[tuple[Path, str]]:
    """(file, Markdown text) of every page and notebook."""
    found = []
    for path in ours():
        if path.suffix == ".md":
            found.append((path, path.read_text(encoding="utf-8")))
        elif path.suffix == ".ipynb":
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            found.append((path, "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")))
    return found


def test_relative_links_resolve():
    broken, checked = [], 0
    for path, text in prose():
        for link in re.findall(r"\]\(([^()\s]+)\)", re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)):
            if re.match(r"[a-z]+:|#", link):
                continue
            checked += 1
            if not (path.parent / unquote(link.split("#")[0])).exists():
                broken.append(f"{path.relative_to(ROOT)}: {link}")
    assert not broken
    assert checked > 20


def test_readme_lists_every_chapter():
    text = read("README.md")
    existing = sorted((ROOT / "chapters").glob("*.ipynb"))
    rows = {row[0]: row for row in (re.findall(r"[^|]+", line) for line in text.splitlines()) if len(row) >= 4}
    numbered = {re.search(r"\d\d", name).group(): row for name, row in rows.items() if re.search(r" \[?\d\d ", name)}
    assert sorted(numbered) == [f"{n:02d}" for n in range(16)]
    for number, row in numbered.items():
        here = [path for path in existing if path.name.startswith(number)]
        if here:
            assert f"(chapters/{here[0].name})" in row[0]
            assert f"/chapters/{here[0].name})" in row[3] and "colab.research.google.com" in row[3]
        elif int(number) > 3:
            assert "(" not in row[0] and row[3].strip() == "planned"


def test_readme_has_a_picture_with_alternative_text():
    ((alt, name),) = [p for p in re.findall(r"!\[(.*?)\]\((.*?)\)", read("README.md")) if ":" not in p[1]]
    assert len(alt) > 40
    content = (ROOT / name).read_bytes()
    assert content.startswith(b"\x89PNG") and len(content) < 200_000


def test_each_chapter_ends_with_a_link_to_the_next():
    chapters = sorted((ROOT / "chapters").glob("*.ipynb"))
    for path, following in pairwise(chapters):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        assert re.findall(r"\*\*Next:\*\* \[[^]]*\]\((.*?)\)", text) == [following.name], path.name


def test_instructors_table_agrees_with_the_exercises():
    text = read("docs/instructors.md")
    for path in (ROOT / "solutions").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        points = sum(c["metadata"].get("nbgrader", {}).get("points", 0) for c in cells)
        minutes = sum(map(int, re.findall(r"about (\d+) minutes ·", "".join("".join(c["source"]) for c in cells))))
        row = re.search(rf"^\| {path.name[:2]} .*$", text, flags=re.MULTILINE)
        assert row and f"| {minutes} min | {points:g} |" in row.group(), (
            f"{path.name}: {minutes} min, {points:g} points"
        )


def test_glossary_words_occur_in_the_chapter_it_names():
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| (\d\d) \|$", read("gan_course/ledger/glossary.md"), flags=re.MULTILINE
    )
    assert len(rows) > 25
    names = [row[0].lower() for row in rows]
    assert names == sorted(names)
    for english, chinese, _, number in rows:
        assert re.search(r"[\u4e00-\u9fff]", chinese)
        for path in (ROOT / "chapters").glob(f"{number}_*.ipynb"):
            words = [word.strip(" )").lower() for word in re.split(r"[(]| of ", english)]
            source = path.read_text(encoding="utf-8").lower().replace("*", "")
            assert any(word in source for word in words), f"{path.name} has no {english!r}"


def test_no_file_names_a_registry_or_a_place_on_a_machine():
    checked = 0
    for path in ours():
        if path.suffix in {".png", ".jpg", ".webp", ".safetensors", ".npz", ".gz", ".mo"}:
            continue
        found = HOSTS.search(path.read_bytes().decode("utf-8"))
        assert not found, f"{path.relative_to(ROOT)} names {found.group()}"
        checked += 1
    assert checked > 50


def test_the_tree_is_small_and_holds_no_pickles():
    files = ours()
    assert sum(path.stat().st_size for path in files) < 80e6
    pickles = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".bin"}
    assert not [path for path in files if path.suffix in pickles]


def test_licences_and_citation():
    assert "Apache License" in read("LICENSE") and "END OF TERMS AND CONDITIONS" in read("LICENSE")
    assert "creativecommons.org/licenses/by/4.0/legalcode" in read("LICENSE-TEXT")
    assert PROJECT["license"] == "Apache-2.0" and set(PROJECT["license-files"]) == {"LICENSE", "LICENSE-TEXT"}
    assert "Apache-2.0" in read("README.md") and "CC BY 4.0" in read("README.md")
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == PROJECT["version"]
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]
    assert re.search(rf"^## {re.escape(PROJECT['version'])}\b", read("CHANGELOG.md"), flags=re.MULTILINE)
