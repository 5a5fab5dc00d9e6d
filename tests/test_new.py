"""A contributor's path: the steps that CONTRIBUTING.md gives, carried out to the letter in a copy of the course."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gan_course import cli

ROOT = Path(__file__).parents[1]


def steps() -> list[list[str]]:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = re.search(r"^## Add a chapter\n.*?^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for line in block[1].splitlines()]


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    for name in ("chapters", "exercises", "solutions"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    for words in (["init", "--quiet"], ["add", "."]):  # a copy as a contributor has it: badges look at git's files
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_documented_steps_make_a_chapter_that_passes_the_checks(copy, capsys):
    lines = steps()
    assert [words[1] for words in lines] == ["new", "exercises", "run", "badges", "check"]
    for program, *words in lines:
        assert program == "gan-course" and cli.main(words) == 0, capsys.readouterr()
    name = lines[0][2]
    made = json.loads((copy / f"chapters/{name}.ipynb").read_text(encoding="utf-8"))
    assert any("image/png" in output.get("data", {}) for cell in made["cells"] for output in cell.get("outputs", []))
    assert "My chapter" in "".join(made["cells"][0]["source"])
    student = (copy / f"exercises/{name}.ipynb").read_text(encoding="utf-8")
    assert "NotImplementedError" in student and "return x / 2" not in student
    for part in ("chapters", "exercises", "solutions"):
        assert f"/{part}/{name}.ipynb" in (copy / f"{part}/{name}.ipynb").read_text(encoding="utf-8")
    (copy / f"chapters/{name}.ipynb").write_text(json.dumps(made).replace('"setup"', '"step"'), encoding="utf-8")
    assert cli.main(["check"]) == 1, "and the check would have found what is wrong"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("My Chapter", "The name must look like 16_my_chapter, in small letters, but is 'My Chapter'."),
        ("03_again", "03_training.ipynb has that number: choose another."),
    ],
)
def test_names_that_can_t_be(copy, capsys, name, sentence):
    before = sorted(copy.rglob("*.ipynb"))
    assert cli.main(["new", name, "A title"]) == 2
    assert capsys.readouterr().err.strip() == sentence
    assert sorted(copy.rglob("*.ipynb")) == before
