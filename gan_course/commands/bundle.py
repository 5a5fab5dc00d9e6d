"""``gan-course bundle``: everything that a room without a network needs, in one folder for a USB stick.

The folder holds ``wheels/`` (the course, with the weights in it, and all that it depends on), ``course/`` (the
notebooks), ``data/`` (pictures that a chapter would download), and ``install.py`` and ``start.py``, which need nothing
but Python.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from email.parser import Parser
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from gan_course.commands import notebooks
from gan_course.commands.errors import CourseError
from gan_course.files import read_whole, scratch_folder, write_whole
from gan_course.naming import nearest

COURSE = "gan-course[run,diffusion]"  # what install.py installs
NOTEBOOKS = ("chapters", "exercises", "solutions")
PAPERS = ("README.md", "LICENSE", "LICENSE-TEXT", "pyproject.toml")
SCRIPTS = Path(__file__).parent / "bundled"
# What pip calls the systems, newest first, and what a requirement's marker finds there. Older Macs' tags follow from
# the newest; of Linux' C library, every release has a tag of its own, and PyTorch needs 2.28.
GLIBC = [f"manylinux_2_{minor}" for minor in range(28, 4, -1)] + ["manylinux2014", "manylinux2010", "manylinux1"]
PLATFORMS: dict[str, tuple[list[str], dict[str, str]]] = {
    "linux": (
        [f"{release}_x86_64" for release in GLIBC],
        {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    ),
    "linux-arm": (
        [f"{release}_aarch64" for release in GLIBC[:12]],
        {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "aarch64"},
    ),
    "mac": (
        ["macosx_14_0_arm64"],
        {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    ),
    "windows": (
        ["win_amd64"],
        {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
    ),
}


def bundle(
    target: str,
    root: str | Path = ".",
    platform: str | None = None,
    python: str | None = None,
    data: Sequence[str] = (),
) -> int:
    """Fill the folder ``target`` and return 0.

    platform: a key of ``PLATFORMS``, this computer's own system where None; python: its version, such as "3.12", this
    interpreter's where None. data: names of data sets that are otherwise downloaded. Raises ``CourseError`` where
    ``target`` holds something already, a name is not known, and where a wheel or a data set can't be had.
    """
    folder, place, started = notebooks.course_folder(root), Path(target), time.monotonic()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise CourseError(f"{place} exists and is not an empty folder: name another one, or empty it first.")
    options, markers = aim(platform, python)
    sets = data_files(data)
    print(f"Collecting wheels for {platform or 'this system'}, Python {markers['python_version']}: some minutes.")
    (place / "wheels").mkdir(parents=True, exist_ok=True)
    collect(folder, place / "wheels", options, markers)
    copy(folder, place, sets, markers)
    files = [path for path in place.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    wheels = len(list((place / "wheels").glob("*.whl")))
    print(f"{place}: {wheels} wheels, {len(files)} files, {megabytes:.0f} MB in {time.monotonic() - started:.0f} s.")
    print("Copy the folder to a stick. Its README.md says what to do there: python install.py, python start.py")
    return 0


def aim(platform: str | None, python: str | None) -> tuple[list[str], dict[str, str]]:
    """(options for pip download, the marker environment of the computer that the wheels are for)."""
    version = python or f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not re.fullmatch(r"3\.\d\d?", version) or int(version[2:]) < 11:
        raise CourseError(f"--python must be a version such as 3.12, 3.11 at the least, but is {version}.")
    markers = {name: str(value) for name, value in default_environment().items()}
    if platform is None and python is None:
        return [], markers
    markers |= {"python_version": version, "python_full_version": f"{version}.0", "platform_release": ""}
    options = ["--python-version", version, "--implementation", "cp"]
    if platform is None:
        platform = this_platform()
    if platform not in PLATFORMS:
        raise CourseError(f"There is no platform {platform!r}: {nearest(platform, PLATFORMS)}.")
    tags, system = PLATFORMS[platform]
    return options + [word for tag in tags for word in ("--platform", tag)], markers | system


def this_platform() -> str:
    """The key of ``PLATFORMS`` that stands for this computer."""
    found: Mapping[str, object] = default_environment()
    for name, (_, system) in PLATFORMS.items():
        if all(found[key] == value for key, value in system.items()):
            return name
    raise CourseError("For this kind of computer there is no name: leave out --python, or name a --platform.")


def collect(folder: Path, wheels: Path, options: list[str], markers: Mapping[str, str]) -> None:
    """Put the course's own wheel into ``wheels``, and then whatever those in there still need, until nothing is."""
    constraint = folder / "constraints.txt"
    constraints = ["-c", str(constraint)] if constraint.is_file() else []
    with scratch_folder() as scratch:  # pip builds in a copy's place, so that the course's folder stays as it is
        pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(stage(folder, scratch)))
    while needed := lacking(wheels, [COURSE], markers):
        before = set(wheels.iterdir())
        download = ["download", "--no-deps", "--only-binary=:all:", "--dest", str(wheels)]
        pip(*download, *options, *constraints, *needed)
        if set(wheels.iterdir()) == before:
            raise CourseError(f"pip brought nothing for {', '.join(needed)}: see what it says above.")


def stage(folder: Path, scratch: Path) -> Path:
    """A copy of what the course's wheel is built from."""
    for name in (*PAPERS, "gan_course"):
        source = folder / name
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                write_whole(scratch / path.relative_to(folder), read_whole(path))
    return scratch


def pip(*arguments: str) -> None:
    """Run pip of this interpreter; ``CourseError`` with its own last words where it fails."""
    command = [sys.executable, "-m", "pip", arguments[0], "--quiet", "--disable-pip-version-check", *arguments[1:]]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise CourseError(
            f"pip {arguments[0]} failed ({said[-1].removeprefix('ERROR: ') if said else 'it says nothing'}): "
            "see whether this computer has a network, and whether that package has a wheel for the platform."
        )


def lacking(wheels: Path, wanted: Sequence[str], markers: Mapping[str, str]) -> list[str]:
    """The requirements of ``wanted``, and of what they need in turn, for which ``wheels`` holds no wheel yet.

    pip itself reads markers such as ``sys_platform == "win32"`` as this computer sees them, whatever ``--platform``
    says, and would leave out what only the other system needs. Versions are those of ``constraints.txt``.
    """
    here = {parse_wheel_filename(path.name)[0]: path for path in wheels.glob("*.whl")}
    todo = [Requirement(text) for text in wanted]
    seen: set[tuple[str, str]] = set()
    missing: set[str] = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name not in here:
            missing.add(f"{name}{requirement.specifier}")
            continue
        for extra in {"", *requirement.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            for line in requirements(here[name]):
                if line.marker is None or line.marker.evaluate({**markers, "extra": extra}):
                    todo.append(line)
    return sorted(missing)


def requirements(wheel: Path) -> list[Requirement]:
    """What a wheel says that it needs."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
        head = Parser().parsestr(archive.read(name).decode(), headersonly=True)
    return [Requirement(line) for line in head.get_all("Requires-Dist", [])]


def data_files(names: Sequence[str]) -> dict[str, Path]:
    """Path below data/ → file, for the sets of these names; they are downloaded first where no local copy is."""
    from gan_course.data import downloads

    sources = {source.name: source for source in (downloads.MNIST, downloads.FASHION_MNIST)}
    found: dict[str, Path] = {}
    for name in names:
        if name not in sources:
            raise CourseError(f"There is no data set {name!r} to be downloaded: {nearest(name, sources)}.")
        try:
            paths = downloads.files_of(sources[name])
        except (ConnectionError, ValueError) as error:
            raise CourseError(f"{error}. Or leave it out of the bundle: --data with no name behind it.") from error
        inside = f"{name}/" if len(paths) > 1 else ""
        found |= {f"{inside}{path.name}": path for path in paths}
    return found


def copy(folder: Path, place: Path, data: Mapping[str, Path], markers: Mapping[str, str]) -> None:
    """Copy notebooks, data, the two scripts and their README."""
    for name in (*NOTEBOOKS, *PAPERS):
        source = folder / name
        for path in [source] if source.is_file() else sorted(source.glob("*")):
            if path.is_file():
                write_whole(place / "course" / path.relative_to(folder), read_whole(path))
    for name, path in data.items():
        write_whole(place / "data" / name, read_whole(path))
    words = {
        "PYTHON": markers["python_version"],
        "SYSTEM": f"{markers['platform_system']} ({markers['platform_machine']})",
        "PLATFORM": markers["sys_platform"],
        "COURSE": COURSE,
        "VERSION": importlib.metadata.version("gan-course"),
        "DATA": ", ".join(sorted({name.split("/")[0] for name in data})) or "none",
    }
    for path in sorted(SCRIPTS.glob("*")):
        if path.suffix in (".py", ".md"):
            text = path.read_text(encoding="utf-8")
            text = re.sub(r"\bFILL_([A-Z]+)\b", lambda found: words[found[1]], text)
            write_whole(place / path.name, text.encode())
