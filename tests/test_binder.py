"""The files from which Binder, repo2docker and a devcontainer start, in step with the rest."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def supported() -> list[str]:
    classifiers = tomllib.loads(read("pyproject.toml"))["project"]["classifiers"]
    return [c.rsplit(" ", 1)[1] for c in classifiers if "Python :: 3." in c]


def test_binder_gets_a_python_that_the_course_supports():
    """repo2docker reads ``python=3.12`` and nothing else: for ``python>=3.11`` it takes an older one of its own."""
    pinned = [
        line for line in yaml.safe_load(read("environment.yml"))["dependencies"] if str(line).startswith("python=")
    ]
    assert len(pinned) == 1 and pinned[0].removeprefix("python=") in supported()


def test_nothing_hides_environment_yml():
    """A folder binder/ or .binder/, or one of these files, would be read in its place."""
    others = ("binder", ".binder", "Dockerfile", "requirements.txt", "setup.py", "Pipfile", "runtime.txt", "apt.txt")
    assert not [name for name in others if (ROOT / name).exists()]


@pytest.mark.skipif(sys.platform == "win32", reason="no executable bit there")
def test_post_build_runs_here(tmp_path):
    assert os.access(ROOT / "postBuild", os.X_OK)
    assert read("postBuild").startswith("#!/bin/bash\n")
    (line,) = re.findall(r'^python -c "(.*)"$', read("postBuild"), flags=re.MULTILINE)
    for statement in ast.parse(line).body:
        names = [alias.name for alias in statement.names]
        if isinstance(statement, ast.ImportFrom):
            names = [f"{statement.module}.{name}" for name in names]
        assert all(importlib.util.find_spec(name) for name in names)


def test_the_devcontainer_installs_what_make_installs():
    made = json.loads(read(".devcontainer/devcontainer.json"))
    (install,) = re.findall(
        r"pip install --quiet --disable-pip-version-check (-c .*run,dev,diffusion.*)", read("Makefile")
    )
    assert made["postCreateCommand"] == f"python -m pip install {install}"
    assert made["image"].rsplit(":", 1)[1] in supported()


def test_repo2docker_chooses_them():
    if importlib.util.find_spec("repo2docker") is None:
        pytest.skip("jupyter-repo2docker is not installed: python -m pip install jupyter-repo2docker")
    command = [
        sys.executable,
        "-m",
        "repo2docker",
        "--no-build",
        "--debug",
        "--user-id=1000",
        "--user-name=j",
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=120)
    said = done.stdout + done.stderr
    python = re.search(r"python=(3\.\d+)", read("environment.yml"))[1]
    assert f"Building conda environment for python={python}" in said
    assert '--file "environment.yml"' in said and "RUN ./postBuild" in said
