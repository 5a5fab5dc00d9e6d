"""``gan-course badges``: stamp the course's public address into every link to itself.

The address stands in pyproject.toml: ``Repository`` in ``[project.urls]`` and ``branch`` in ``[tool.gan-course]``.
Files are edited as text, so that everything but the links stays as it is, byte for byte.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gan_course.commands import notebooks
from gan_course.commands.errors import CourseError
from gan_course.files import write_whole

NAME = r"[\w-]+(?:\.(?!git\b)[\w-]+)*"  # of an owner, repository or branch, without a full stop that ends a sentence
# A link to a repository, with the branch where it has one: two hosts put it right behind the repository.
LINK = re.compile(
    rf"(?P<host>(?P<plain>raw\.githubusercontent\.com/|mybinder\.org/v2/gh/)"
    rf"|(?:colab\.research\.google\.com/github/|github\.com/))(?P<repo>{NAME}/{NAME})(?P<git>(?:\.git)?)"
    rf"(?:(?P<mark>(?(plain)/|(?:/(?:blob|tree|raw|edit)/|@)))(?P<branch>{NAME}))?"
)
NOTEBOOK = re.compile(rf"github(?:\.com)?/({NAME}/{NAME})/blob/{NAME}/(\w+/\d\d_\w+\.ipynb)")
TABLE = re.compile(r'(^\[tool\.gan-course\]\s*^branch\s*=\s*")[^"]*', flags=re.MULTILINE)
PLACEHOLDER = "OWNER/"  # before the course has an address


@dataclass(frozen=True)
class Address:
    repo: str  # "owner/name"
    branch: str = "main"


def badges(root: str | Path = ".", repo: str | None = None, branch: str | None = None, check: bool = False) -> int:
    """Stamp the address, a new one where ``repo`` or ``branch`` is given; ``check``: only list the links that differ.

    Returns the exit code. Raises ``CourseError`` for an address that can't be one.
    """
    folder = notebooks.course_folder(root)
    old = read_address(folder)
    new = parse_address(repo or old.repo, branch or old.branch)
    texts = read_texts(folder)
    known = known_repos(folder, texts) | {old.repo}
    if check:
        found = [line for name, text in texts.items() for line in differences(name, text, new, known)]
        print(*found, f"{len(found) or 'No'} links differ from {new.repo}, branch {new.branch}.", sep="\n")
        return int(bool(found))
    stamped = {name: stamp(name, text, new, known) for name, text in texts.items()}
    changed = [name for name in texts if stamped[name] != texts[name]]
    for name in changed:
        write_whole(folder / name, stamped[name].encode())
        print(name)
    print(f"{len(changed) or 'No'} files changed; the course is at {new.repo}, branch {new.branch}.")
    return 0


def parse_address(repo: str, branch: str) -> Address:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+", repo):
        raise CourseError(f"--repo must be OWNER/NAME, such as ada/gan_course, but is '{repo}'.")
    if not re.fullmatch(NAME, branch):
        raise CourseError(f"--branch must be one word of letters, digits, '.', '_' or '-', but is '{branch}'.")
    return Address(repo.removesuffix(".git"), branch)


def read_address(folder: Path) -> Address:
    """The address in pyproject.toml; ``CourseError`` where there is none."""
    path = folder / "pyproject.toml"
    example = "https://github.com/ada/gan_course"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))
        url = project["project"]["urls"]["Repository"]
        branch = project["tool"]["gan-course"]["branch"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise CourseError(
            f'{path} has no address: give it [project.urls] with Repository = "{example}", '
            'and [tool.gan-course] with branch = "main".'
        ) from error
    match = re.fullmatch(rf"https://github\.com/({NAME}/{NAME})(?:\.git)?/?", url)
    if not match:
        raise CourseError(f"Repository in {path} must look like {example} but is '{url}'.")
    return Address(match[1], branch)


def read_texts(folder: Path) -> dict[str, str]:
    """Name → text of the files that git knows, or would know; line ends as they are. ``CourseError`` without git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[0]
        raise CourseError(f"git can't list the files in {folder} ({said}): clone the course with git.") from error
    texts = {}
    for name in filter(None, sorted(set(listed.split("\0")))):
        if (folder / name).is_file():
            try:
                texts[name] = (folder / name).read_bytes().decode("utf-8")
            except UnicodeDecodeError:  # a picture, or weights
                pass
    return texts


def known_repos(folder: Path, texts: dict[str, str]) -> set[str]:
    """``owner/name`` in the links to a notebook that exists here, so that a half-stamped course is found out, too.

    All other links to these are the course's own as well; links to any other repository are left alone.
    """
    links = [match for text in texts.values() for match in NOTEBOOK.finditer(text)]
    return {repo for repo, file in (match.groups() for match in links) if (folder / file).exists()}


def stamp(name: str, text: str, new: Address, known: set[str]) -> str:
    text = LINK.sub(lambda match: restamp(match, new, known), text)
    return TABLE.sub(rf"\g<1>{new.branch}", text) if name == "pyproject.toml" else text


def restamp(match: re.Match[str], new: Address, known: set[str]) -> str:
    """The link with the new address, or as it is where it leads to somebody else's repository."""
    if match["repo"] not in known and not match["repo"].startswith(PLACEHOLDER):
        return match.group()
    branch = match["mark"] + new.branch if match["branch"] else ""
    return match["host"] + new.repo + match["git"] + branch


def differences(name: str, text: str, new: Address, known: set[str]) -> Iterator[str]:
    """A line for each link to the course that does not show the address ``new``."""
    for number, line in enumerate(text.split("\n"), start=1):
        for match in LINK.finditer(line):
            expected = restamp(match, new, known)
            if expected != match.group():
                yield f"{name}:{number}: {match.group()} should be {expected}"
