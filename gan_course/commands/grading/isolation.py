"""Where a student's code runs: what the sandbox shows of this machine, and what it may use up.

With bubblewrap (Linux): no network, no other process, no file of this machine but the system's programs, Python's
packages and the course without its checks, all of them to read only; one folder of its own in memory, of limited size;
an empty environment. Elsewhere there is no such thing, and ``--trust`` runs the code as an ordinary process.
"""

from __future__ import annotations

import functools
import os
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import gan_course
from gan_course.commands.errors import CourseError
from gan_course.files import write_whole

FIRST_USER = 1_000_000_000  # numbers that no account of a machine has
PLAYER, WIRE, CELLS = (Path(__file__).with_name(name) for name in ("player.py", "wire.py", "cells.py"))
HIDDEN = ("checks", "commands", "recipes", "__pycache__")  # parts of the course that the sandbox does not show
# In place of the checks: an answer's notebook may call them, and they find everything right.
STUB = """
class CheckFailed(AssertionError):
    pass


def __getattr__(name):
    if name.startswith("check_"):
        return lambda *values, **named: None
    raise AttributeError(name)
"""


@dataclass(frozen=True)
class Limits:
    """What one submission may use. ``seconds``: of work or of waiting, for one call; ``total``: of work, for all."""

    seconds: float = 10.0
    total: float = 120.0
    memory_mb: int = 2000  # beside what PyTorch takes
    processes: int = 64  # and threads
    disk_mb: int = 64
    output_mb: int = 1  # of what it prints; more is thrown away


@dataclass(frozen=True)
class Place:
    """A command that starts the player. ``user``: whom it becomes, or ``"-"`` where it stays who it is."""

    command: list[str]
    folder: str
    environment: dict[str, str]
    user: str = "-"


@functools.cache
def bubblewrap() -> str | None:
    """bubblewrap's program where it works here; ``None`` where it is missing or may not make its namespaces."""
    program = shutil.which("bwrap") if sys.platform == "linux" else None
    if program is None:
        return None
    test = [program, "--unshare-all", "--unshare-user", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc"]
    test += ["--tmpfs", "/tmp", "true"]
    return program if subprocess.run(test, capture_output=True).returncode == 0 else None


def isolation(trust: bool) -> str:
    """``"bubblewrap"`` or ``"none"``. Raises ``CourseError`` where there is no isolation and nobody asked for none."""
    if sys.platform == "win32":
        raise CourseError(
            "submissions can't be graded on Windows itself: install the course in WSL and run this there."
        )
    if bubblewrap():
        return "bubblewrap"
    if trust:
        return "none"
    raise CourseError(
        "Here submissions can't be kept away from your files and your network: that takes Linux with bubblewrap "
        "(apt install bubblewrap, dnf install bubblewrap). If you trust whoever wrote these "
        "notebooks, or work in a machine made for this, add --trust."
    )


@contextmanager
def place(kind: str, limits: Limits) -> Iterator[Place]:
    """Somewhere to run one submission, gone afterwards."""
    with TemporaryDirectory(prefix="gan-course-") as folder:
        root = Path(folder)
        os.chmod(root, 0o755)  # for the other user
        checks = root / "stub"
        checks.mkdir()
        write_whole(checks / "__init__.py", STUB.encode())
        for part in ("course", "work", "empty"):
            (root / part).mkdir()
        make = _in_bubblewrap if kind == "bubblewrap" else _in_the_open
        yield make(root, checks, limits)


def _in_the_open(root: Path, checks: Path, limits: Limits) -> Place:
    package = Path(gan_course.__file__).parent
    (root / "course" / "gan_course").mkdir()
    for part in package.iterdir():
        if part.name not in HIDDEN:
            (root / "course" / "gan_course" / part.name).symlink_to(part)
    checks.rename(root / "course" / "gan_course" / "checks")
    command = [sys.executable, "-I", "-B", str(PLAYER), str(root / "course")]
    return Place(command, str(root / "work"), _environment(str(root / "work")))


def _environment(home: str) -> dict[str, str]:
    named = {"HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    system = {k: v for k, v in os.environ.items() if k in ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")}
    return {
        **system,
        **named,
        "PATH": os.defpath,
        "CUDA_VISIBLE_DEVICES": "",
        "GAN_COURSE_PROGRESS": "off",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _in_bubblewrap(root: Path, checks: Path, limits: Limits) -> Place:
    program = bubblewrap()
    assert program
    package = Path(gan_course.__file__).parent
    known = subprocess.run([program, "--help"], capture_output=True, text=True).stdout
    wrap = [program, "--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"]
    if _becomes_another():
        wrap += BECOMES_ANOTHER
    else:
        wrap += ["--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000"]
        wrap += ["--disable-userns"] if "--disable-userns" in known else []
    wrap += _shown()
    for path in _python():
        if (inside := Path(path, "gan_course")).is_dir():  # the course as it was installed, checks and all
            wrap += ["--ro-bind", str(root / "empty"), str(inside)]
    wrap += [
        "--ro-bind",
        str(package),
        "/sandbox/course/gan_course",
        "--ro-bind",
        str(checks),
        "/sandbox/course/gan_course/checks",
    ]
    for part in HIDDEN[1:]:
        if (package / part).is_dir():
            wrap += ["--ro-bind", str(root / "empty"), f"/sandbox/course/gan_course/{part}"]
    for file in (PLAYER, WIRE, CELLS):
        wrap += ["--ro-bind", str(file), f"/sandbox/grader/{file.name}"]
    if "--size" in known:  # else it gets no folder to write to: nothing would bound it
        wrap += ["--perms", "0777", "--size", str(limits.disk_mb * 1_000_000), "--tmpfs", "/sandbox/work"]
    else:
        wrap += ["--ro-bind", str(root / "work"), "/sandbox/work"]
    for name, value in _environment("/sandbox/work").items():
        wrap += ["--setenv", name, value]
    wrap += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/sandbox/work"]
    wrap += [sys.executable, "-I", "-B", "/sandbox/grader/player.py", "/sandbox/course"]
    user = str(FIRST_USER + int.from_bytes(os.urandom(3))) if _becomes_another() else "-"
    return Place(wrap, "/", {"PATH": os.defpath}, user)


def _system() -> list[str]:
    """The folders of the system's programs and libraries."""
    places = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/nix/store"]
    return [path for path in places if os.path.exists(path)]


def _python() -> list[str]:
    """The folders of this Python and its packages that lie elsewhere, the outer ones first."""
    found = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable))}
    found |= {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    if site.ENABLE_USER_SITE and os.path.isdir(site.getusersitepackages()):
        found.add(site.getusersitepackages())
    inside_usr = {
        path for path in found if path.startswith(("/usr/", "/bin/")) and not Path(path, "gan_course").is_dir()
    }
    return sorted(path for path in found - inside_usr if path not in ("/usr", "/") and os.path.isdir(path))


def _shown() -> list[str]:
    """bubblewrap's options that show the system and Python, to read only, and four harmless devices."""
    options = ["--proc", "/proc", "--tmpfs", "/dev"]
    for name in ("null", "zero", "random", "urandom"):
        options += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    paths = [*_system(), *_python()]
    above = {
        str(parent) for path in [*paths, "/sandbox/course/x", "/sandbox/grader/x"] for parent in Path(path).parents
    }
    for folder in sorted(above - {"/"}):  # else they would be open to root alone
        if not any(folder == path or folder.startswith(f"{path}/") for path in paths):
            options += ["--perms", "0755", "--dir", folder]
    for path in paths:
        options += ["--symlink", os.readlink(path), path] if os.path.islink(path) else ["--ro-bind", path, path]
    return options


# Root is bound by no limit on processes, in a namespace of its own neither. So for root the player turns into a user
# that nobody else is, before it runs anything of a student's.
BECOMES_ANOTHER = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
BECOMES_ANOTHER += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]


@functools.cache
def _becomes_another() -> bool:
    """Whether this is root, and another user could read Python's files."""
    program = bubblewrap()
    if program is None or os.geteuid() != 0:
        return False
    code = f"import os; os.setgid({FIRST_USER}); os.setuid({FIRST_USER}); import json, numpy"
    test = [program, *BECOMES_ANOTHER, *_shown(), sys.executable, "-I", "-B", "-c", code]
    return subprocess.run(test, capture_output=True, cwd="/").returncode == 0
