"""A second environment that holds what Colab ships, to try the course in: ``python environment.py LIST FOLDER``.

``LIST`` is a ``pip freeze`` of Colab. Every package of it that the course needs, directly or through another one, is
installed in just that version. What can't be had is said, with what was taken instead.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
KERNEL = ("ipykernel", "ipython", "pip")  # what runs a notebook and its setup cell
TORCH = ("torch", "torchgen", "functorch")  # its folders


def shipped(freeze: Path) -> dict[str, str]:
    """Package and version of each ``name==version`` line."""
    lines = freeze.read_text(encoding="utf-8").splitlines()
    found = (re.fullmatch(r"([\w.-]+)==(\S+)", line.strip()) for line in lines)
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def left_out() -> dict[str, str]:
    """What of Colab's list can't be had here, and why."""
    reasons = {
        "torch": "here it is the CPU build of this course's own environment",
        "setuptools": "this torch needs a newer one",
    }
    if sys.version_info < (3, 12):
        reasons["tifffile"] = "this one needs Python 3.12"
    return reasons


def wanted() -> list[str]:
    """Names of the packages that the course asks for, and of those that run a notebook."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["diffusion"]
    return sorted({Requirement(line).name for line in lines} | set(KERNEL))


def python(folder: Path) -> Path:
    """The environment's interpreter."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def site(folder: Path) -> Path:
    """Where the environment keeps its packages."""
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))


def installed(folder: Path) -> dict[str, str]:
    """What is installed in ``folder``: version by name."""
    code = (
        "import json; from importlib.metadata import distributions;"
        "print(json.dumps({d.metadata['Name']: d.version for d in distributions()}))"
    )
    done = subprocess.run([python(folder), "-I", "-c", code], capture_output=True, encoding="utf-8", check=True)
    return {canonicalize_name(name): number for name, number in json.loads(done.stdout).items()}


def borrow_torch(folder: Path) -> None:
    """Links to the torch of this interpreter: a second copy would cost a gigabyte and show nothing more."""
    spec = importlib.util.find_spec("torch")
    assert spec and spec.origin, "run this with the course's own interpreter"
    here = Path(spec.origin).parents[1]
    for path in (*map(here.joinpath, TORCH), *here.glob("torch-*.dist-info")):
        if path.exists():
            (site(folder) / path.name).symlink_to(path, target_is_directory=True)


def build(freeze: Path, folder: Path) -> dict[str, str]:
    """Make the environment anew in ``folder`` and return what it holds. Raises ``RuntimeError`` with pip's words."""
    pins = shipped(freeze)
    for name in left_out():
        pins.pop(name, None)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    borrow_torch(folder)
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name}=={number}\n" for name, number in pins.items()), encoding="utf-8")
    command = [python(folder), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--constraint", constraints, *wanted()],
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"Colab's packages could not be installed:\n{done.stderr[-3000:]}")
    return installed(folder)


def differing(freeze: Path, here: dict[str, str]) -> list[str]:
    """Names of packages whose version is not Colab's."""
    pins = shipped(freeze)
    return sorted(name for name, number in here.items() if pins.get(name, number) != number)


def report(freeze: Path, here: dict[str, str]) -> str:
    """In words: how much is as on Colab, and what is not."""
    pins, others = shipped(freeze), differing(freeze, here)
    unlisted = sorted(here.keys() - pins.keys())
    same = len(here) - len(others) - len(unlisted)
    lines = [f"Python {platform.python_version()}; {same} packages in the versions that Colab ships. The others:"]
    for name in others:
        lines.append(f"  {name} {here[name]} in place of {pins[name]}: {left_out().get(name, 'for no known reason')}")
    lines.append(f"  not on Colab's list: {', '.join(f'{name} {here[name]}' for name in unlisted) or 'none'}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(Path(sys.argv[1]), build(Path(sys.argv[1]), Path(sys.argv[2]))))
