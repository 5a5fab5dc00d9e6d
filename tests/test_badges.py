"""``gan-course badges``: a new address, a fork, and links that are none of the course's business."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from notebooks import code, save, text

from gan_course import cli
from gan_course.commands import badges

REAL = Path(__file__).parents[1]
NEW = "OWNER/gan_course"  # before the course has an address
BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{a}/blob/{b}/{path}) · [source](https://github.com/{a}/blob/{b}/{path})"
)
THIRD_PARTY = """\
[paper](https://github.com/NVlabs/edm), [file](https://github.com/NVlabs/edm/blob/main/training/loss.py#L3),
[course](https://colab.research.google.com/github/udlbook/udlbook/blob/main/Notebooks/Chap15/15_1_GAN.ipynb),
[same folder](https://github.com/other/course/blob/master/chapters/07_unknown_here.ipynb),
`pip install git+https://github.com/huggingface/diffusers@main`, https://github.com/openai.
https://raw.githubusercontent.com/other/gan_course/main/x.png https://mybinder.org/v2/gh/other/repo/HEAD"""
README = """\
# Course é
[![CI](https://github.com/{a}/actions/workflows/ci.yml/badge.svg)](https://github.com/{a}/actions)
[01](https://colab.research.google.com/github/{a}/blob/{b}/chapters/01_concepts.ipynb)
[04, not written yet](https://colab.research.google.com/github/{a}/blob/{b}/chapters/04_convolutional_gans.ipynb)
git clone https://github.com/{a}.git or pip install "gan-course @ git+https://github.com/{a}@{b}"
![](https://raw.githubusercontent.com/{a}/{b}/docs/x.png) https://mybinder.org/v2/gh/{a}/{b}?urlpath=lab
See https://github.com/{a}. And https://github.com/{a}/issues, https://github.com/{a}/tree/{b}/chapters/
"""
PROJECT = """\
[project]
name = "gan-course"

# The one place.
[project.urls]
Repository = "https://github.com/{a}"

[tool.gan-course]
branch = "{b}"

[tool.ruff]
line-length = 120
"""


def write(root: Path, a: str = "OWNER/gan_course", b: str = "main") -> Path:
    """A course that is stamped with the address ``a`` and the branch ``b``."""
    (root / "docs").mkdir(parents=True, exist_ok=True)
    (root / "docs/x.png").write_bytes(b"\x89PNG github.com/" + NEW.encode())
    (root / ".gitignore").write_text("build/\n", encoding="utf-8")
    (root / "build").mkdir(exist_ok=True)
    (root / "build/page.md").write_text(f"https://github.com/{NEW}", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    (root / "pyproject.toml").write_bytes(PROJECT.format(a=a, b=b).encode())
    (root / "README.md").write_bytes((README.format(a=a, b=b) + THIRD_PARTY).replace("\n", "\r\n").encode())
    (root / "CITATION.cff").write_bytes(f'repository-code: "https://github.com/{a}"\n'.encode())
    (root / "docs" / "conf.py").write_bytes(f'repository_url = "https://github.com/{a}"\n'.encode())
    for part in ("chapters", "exercises", "solutions"):
        path = f"{part}/01_concepts.ipynb"
        save(
            root / path,
            text(BADGE.format(a=a, b=b, path=path), id="badge"),
            code(f"import sys\n%pip install git+https://github.com/{a}@{b}", "setup", id="setup"),
            text(THIRD_PARTY + "\nsmall é, 'quotes' and \\ strokes", id="other"),
        )
    return root


def snapshot(root: Path) -> dict[str, bytes]:
    return {
        p.relative_to(root).as_posix(): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and ".git" not in p.parts
    }


def main(root: Path, *options: str) -> int:
    return cli.main(["badges", "--root", str(root), *options])


def test_first_stamp_gives_exactly_a_course_written_with_that_address(tmp_path, capsys):
    course, wanted = write(tmp_path / "a"), write(tmp_path / "b", "ada/my-gans.course")
    assert main(course, "--repo", "ada/my-gans.course") == 0
    assert snapshot(course) == snapshot(wanted)
    assert "7 files changed; the course is at ada/my-gans.course, branch main." in capsys.readouterr().out


def test_twice_changes_nothing(tmp_path, capsys):
    course = write(tmp_path)
    main(course, "--repo", "ada/gan_course", "--branch", "winter")
    once = snapshot(course)
    main(course, "--repo", "ada/gan_course", "--branch", "winter")
    main(course)
    assert snapshot(course) == once
    assert capsys.readouterr().out.count("No files changed") == 2


def test_fork_restamps_and_back(tmp_path):
    course = write(tmp_path / "a", "ada/gan_course")
    original = snapshot(course)
    main(course, "--repo", "bob-2/gans", "--branch", "v1.0")
    assert snapshot(course) == snapshot(write(tmp_path / "b", "bob-2/gans", "v1.0"))
    main(course, "--repo", "ada/gan_course", "--branch", "main")
    assert snapshot(course) == original


def test_third_party_links_stay(tmp_path):
    course = write(tmp_path)
    main(course, "--repo", "ada/gan_course", "--branch", "dev")
    assert (course / "README.md").read_bytes().decode().replace("\r\n", "\n").endswith(THIRD_PARTY)
    cells = json.loads((course / "chapters" / "01_concepts.ipynb").read_text(encoding="utf-8"))["cells"]
    assert "".join(cells[2]["source"]).startswith(THIRD_PARTY)


def test_address_edited_by_hand_is_stamped_everywhere(tmp_path):
    course = write(tmp_path / "a", "ada/gan_course")
    project = course / "pyproject.toml"
    project.write_bytes(PROJECT.format(a="bob/gans", b="main").encode())
    assert main(course) == 0
    assert snapshot(course) == snapshot(write(tmp_path / "b", "bob/gans"))


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff", "docs/conf.py", "exercises/01_concepts.ipynb"])
@pytest.mark.parametrize("stamped", ["OWNER/gan_course", "eve/gan_course"])
def test_check_finds_each_link_that_was_stamped_differently(tmp_path, capsys, name, stamped):
    course = write(tmp_path / "a", "ada/gan_course")
    if stamped.startswith("eve"):  # so that eve's links are known to be the course's own
        other = (write(tmp_path / "b", stamped) / "solutions" / "01_concepts.ipynb").read_bytes()
        (course / "solutions" / "01_concepts.ipynb").write_bytes(other)
    assert (main(course, "--check") == 1) == stamped.startswith("eve")
    before = set(capsys.readouterr().out.splitlines())
    content = (course / name).read_bytes()
    (course / name).write_bytes(content.replace(b"ada/gan_course", stamped.encode()))
    assert main(course, "--check") == 1
    new = [line for line in capsys.readouterr().out.splitlines()[:-1] if line not in before]
    assert len(new) == content.count(b"ada/gan_course")
    assert all(line.startswith(f"{name}:") and " should be " in line and stamped in line for line in new)
    assert (course / name).read_bytes() != content, "--check changes nothing"


def test_check_finds_another_branch_and_names_the_line(tmp_path, capsys):
    course = write(tmp_path, "ada/gan_course")
    readme = course / "README.md"
    readme.write_bytes(readme.read_bytes().replace(b"/blob/main/chapters/04", b"/blob/old/chapters/04"))
    assert main(course, "--check") == 1
    assert capsys.readouterr().out.splitlines() == [
        "README.md:4: colab.research.google.com/github/ada/gan_course/blob/old "
        "should be colab.research.google.com/github/ada/gan_course/blob/main",
        "1 links differ from ada/gan_course, branch main.",
    ]


@pytest.mark.parametrize(
    "repo", ["gan_course", "ada/gan course", "https://github.com/ada/gan_course", "/x", "a/b/c", ""]
)
def test_bad_repo(tmp_path, capsys, repo):
    course = write(tmp_path)
    before = snapshot(course)
    if repo == "":
        assert main(course, "--repo", repo, "--branch", "a b") == 2
        assert capsys.readouterr().err.startswith("--branch must be one word")
    else:
        assert main(course, "--repo", repo) == 2
        assert capsys.readouterr().err == f"--repo must be OWNER/NAME, such as ada/gan_course, but is '{repo}'.\n"
    assert snapshot(course) == before


def test_no_address_in_pyproject(tmp_path, capsys):
    course = write(tmp_path)
    (course / "pyproject.toml").write_text("[project]\n")
    assert main(course) == 2
    assert "pyproject.toml has no address: give it [project.urls]" in capsys.readouterr().err
    (course / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://example.org/x"\n[tool.gan-course]\nbranch = "main"\n'
    )
    assert main(course) == 2
    assert "must look like https://github.com/ada/gan_course but is 'https://example.org/x'" in capsys.readouterr().err


def test_notebooks_stay_valid_and_keep_their_format(tmp_path):
    course = write(tmp_path)
    path = course / "chapters" / "01_concepts.ipynb"
    path.write_bytes(path.read_bytes().replace(b"small \xc3\xa9", b"small \\u00e9"))  # a format of its own
    before = path.read_text(encoding="utf-8")
    main(course, "--repo", "ada/gan_course")
    assert path.read_text(encoding="utf-8") == before.replace("OWNER/", "ada/")
    json.loads(path.read_text(encoding="utf-8"))


def test_a_folder_that_git_does_not_know(tmp_path, capsys):
    course = write(tmp_path)
    shutil.rmtree(course / ".git")
    (course / ".git").write_text("damaged", encoding="utf-8")
    assert main(course) == 2
    assert re.search(r"git can't list the files in .+: clone the course with git\.$", capsys.readouterr().err)


def test_this_repository_is_stamped_alike_everywhere():
    address, texts = badges.read_address(REAL), badges.read_texts(REAL)
    known = badges.known_repos(REAL, texts)
    assert known == {address.repo}
    assert [line for name in texts for line in badges.differences(name, texts[name], address, known)] == []
    other = badges.Address("ada/gans", "winter")
    changed = [name for name, text in texts.items() if badges.stamp(name, text, other, known) != text]
    assert {"README.md", "LICENSE-TEXT", "CITATION.cff", "pyproject.toml", "docs/index.md"} <= set(changed)
    assert not [name for name in changed if name.endswith(".py")], "examples in the code are no links to the course"
