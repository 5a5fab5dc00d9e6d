"""``gan-course badges``: stamp the course's public address into every link to itself.

The address stands in pyproject.toml: ``Repository`` in ``[project.urls]``, and a branch other than main in
``[tool.gan-course]``. Files are edited as text, so that everything but the links stays as it is, byte for byte.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import notebooks
from .errors import CourseError

NAME = r"[\w-]+(?:\.(?!git\b)[\w-]+)*"  # of an owner, repository or branch, without a full stop that ends a sentence
LINK = re.compile(
    rf"(?P<host>colab\.research\.google\.com/github/|mybinder\.org/v2/gh/|raw\.githubusercontent\.com/|github\.com/)"
    rf"(?P<owner>{NAME})/(?P<name>{NAME})(?P<git>\.git)?"
    rf"(?P<branch>(?:/blob/|/tree/|/raw/|/edit/|@|/){NAME})?"
    rf"(?P<file>/(?:chapters|exercises|solutions)/\d\d_\w+\.ipynb)?"
)
BRANCHED = ("/blob/", "/tree/", "/raw/", "/edit/", "@")  # what stands before the branch in a link
PLACEHOLDER = "OWNER"  # the owner before the course has an address


@dataclass(frozen=True)
class Address:
    owner: str
    name: str
    branch: str = "main"


@dataclass(frozen=True)
class Mismatch:
    """A link to the course that does not show the address in pyproject.toml."""

    file: str
    line: int
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.found} should be {self.expected}"


def badges(root: str | Path = ".", repo: str | None = None, branch: str | None = None, check: bool = False) -> int:
    """Stamp the address, a new one where ``repo`` or ``branch`` is given; ``check``: only list the links that differ.

    Returns the exit code. Raises ``CourseError`` for an address that can't be one.
    """
    folder = notebooks.course_folder(root)
    old = read_address(folder)
    new = parse_address(repo or f"{old.owner}/{old.name}", branch or old.branch)
    if check:
        mismatches = find_mismatches(folder, new)
        for mismatch in mismatches:
            print(mismatch)
        print(f"{len(mismatches) or 'No'} links differ from {new.owner}/{new.name}, branch {new.branch}.")
        return int(bool(mismatches))
    known = known_addresses(folder) | {(old.owner, old.name)}
    project = folder / "pyproject.toml"
    changed = [project] if write_text(project, stamp_project(read_text(project), new)) else []
    for path in stamped_files(folder):
        if write_text(path, stamp(read_text(path), new, known)) and path not in changed:
            changed.append(path)
    for path in changed:
        print(path.relative_to(folder).as_posix())
    print(f"{len(changed) or 'No'} files changed; the course is at {new.owner}/{new.name}, branch {new.branch}.")
    return 0


def find_mismatches(root: str | Path, address: Address | None = None) -> list[Mismatch]:
    """Every link to the course under ``root`` that differs from ``address``, by default the one in pyproject.toml."""
    folder = Path(root)
    wanted = address or read_address(folder)
    known = known_addresses(folder) | {(wanted.owner, wanted.name)}
    found = []
    for path in stamped_files(folder):
        text = read_text(path)
        for match in LINK.finditer(text):
            expected = restamp(match, wanted, known)
            if expected != match.group():
                line = text.count("\n", 0, match.start()) + 1
                found.append(Mismatch(path.relative_to(folder).as_posix(), line, match.group(), expected))
    return found


def parse_address(repo: str, branch: str) -> Address:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+", repo):
        raise CourseError(f"--repo must be OWNER/NAME, such as ada/gan_course, but is '{repo}'.")
    if not re.fullmatch(NAME, branch):
        raise CourseError(f"--branch must be one word of letters, digits, '.', '_' or '-', but is '{branch}'.")
    owner, name = repo.split("/")
    return Address(owner, name.removesuffix(".git"), branch)


def read_address(folder: Path) -> Address:
    """The address in pyproject.toml; ``CourseError`` where there is none."""
    path = folder / "pyproject.toml"
    try:
        project = tomllib.loads(read_text(path))
        url = project["project"]["urls"]["Repository"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise CourseError(
            f'{path} has no address: give it [project.urls] with Repository = "https://github.com/OWNER/gan_course".'
        ) from error
    match = re.fullmatch(rf"https://github\.com/({NAME})/({NAME})(?:\.git)?/?", url)
    if not match:
        raise CourseError(f"Repository in {path} must look like https://github.com/OWNER/NAME but is '{url}'.")
    branch = project.get("tool", {}).get("gan-course", {}).get("branch", "main")
    return Address(match.group(1), match.group(2), branch)


def stamp_project(text: str, new: Address) -> str:
    """pyproject.toml with the new address; the table for the branch is added only where the branch is not main."""
    url = f'Repository = "https://github.com/{new.owner}/{new.name}"'
    text = re.sub(r'^Repository\s*=\s*"[^"]*"', url, text, count=1, flags=re.MULTILINE)
    table = re.compile(r'(^\[tool\.gan-course\]\s*^branch\s*=\s*")[^"]*(")', flags=re.MULTILINE)
    if table.search(text):
        return table.sub(rf"\g<1>{new.branch}\2", text)
    if new.branch != "main":
        text = text.rstrip("\n") + f'\n\n[tool.gan-course]\nbranch = "{new.branch}"\n'
    return text


def stamped_files(folder: Path) -> Iterator[Path]:
    """The files that hold links to the course."""
    yield from sorted(folder.glob("*.md"))
    yield from (path for path in (folder / "CITATION.cff", folder / "pyproject.toml") if path.exists())
    for part in ("docs", ".github"):
        for path in sorted((folder / part).rglob("*")):
            if path.suffix in {".md", ".rst", ".py", ".yml", ".yaml", ".html"} and "_build" not in path.parts:
                yield path
    for part in notebooks.FOLDERS:
        yield from notebooks.list_notebooks(folder / part)


def known_addresses(folder: Path) -> set[tuple[str, str]]:
    """(owner, name) of every link that can only be the course's own, so that a half-stamped course is found out, too.

    These are the links to a notebook that exists here, and what the notebooks' setup cells install. All other links to
    those same addresses are the course's own as well; links to any other repository are left alone.
    """
    known = set()
    for path in stamped_files(folder):
        text = read_text(path)
        for match in LINK.finditer(text):
            if match["file"] and (folder / match["file"].lstrip("/")).exists():
                known.add((match["owner"], match["name"]))
        if path.suffix == ".ipynb":
            for cell in json.loads(text)["cells"]:
                if "setup" in cell["metadata"].get("tags", []):
                    installs = re.findall(rf"git\+https://github\.com/({NAME})/({NAME})", "".join(cell["source"]))
                    known.update(installs)
    return known


def stamp(text: str, new: Address, known: set[tuple[str, str]]) -> str:
    return LINK.sub(lambda match: restamp(match, new, known), text)


def restamp(match: re.Match[str], new: Address, known: set[tuple[str, str]]) -> str:
    """The link with the new address, or as it is where it leads to somebody else's repository."""
    if (match["owner"], match["name"]) not in known and match["owner"] != PLACEHOLDER:
        return match.group()
    branch = match["branch"] or ""
    before = next((mark for mark in BRANCHED if branch.startswith(mark)), "")
    if not before and match["host"].startswith(("raw.", "mybinder.")) and branch:
        before = "/"  # these two put the branch right behind the repository
    if before:
        branch = before + new.branch
    return f"{match['host']}{new.owner}/{new.name}{match['git'] or ''}{branch}{match['file'] or ''}"


def read_text(path: Path) -> str:
    return path.read_bytes().decode("utf-8")  # not read_text: line ends must stay what they are


def write_text(path: Path, text: str) -> bool:
    """Write where it changes something, and say whether it did."""
    data = text.encode("utf-8")
    if path.read_bytes() == data:
        return False
    path.write_bytes(data)
    return True
