"""``gan-course translate``: the course in another language, made from the original and a catalogue of translations.

``extract`` brings the catalogues in step with the course, ``build`` writes the translated notebooks, which nobody edits
or commits, and ``check`` says what is missing, out of date or broken. Catalogues are PO files, which Babel reads and
writes: one for each notebook in ``translations/LANGUAGE/``, with the cell's id as context, and one for what checks and
widgets say in ``gan_course/locale/``, with the MO file beside it that gettext reads.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import PoFileError, read_po, write_po
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from gan_course.commands import notebooks, units
from gan_course.commands.errors import CourseError
from gan_course.commands.exercises import release
from gan_course.files import write_whole
from gan_course.fonts import INSTALL, chinese, needed
from gan_course.language import tr_later

GLOSSARY = "gan_course/ledger/glossary.md"
#: Functions that look a message up → which of their arguments it is.
SPOKEN = {
    "tr": (1,), "tr_later": (1,), "label": (1,),
    "button": (1, 2), "menu": (1,), "slider": (1,), "control": (2,),
}  # fmt: skip
# A translated notebook lies on no server that Colab could open it from, for nobody commits it.
BADGES = re.compile(r"^\[!\[Open in Colab\]\([^)]*\)\]\(([^)]*)\) · \[source\]\(([^)]*)\)$", re.MULTILINE)
ORIGINALS = tr_later("Open the English original in Colab"), tr_later("English original")
LANGUAGE_CELL = """\
import os

os.environ["GAN_COURSE_LANGUAGE"] = "{language}"\
"""
HEADER = """\
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def translate(root: str | Path, action: str, language: str, only: list[str], out: str) -> int:
    """Do one of ``extract``, ``build`` and ``check``; return the exit code, 1 where something is broken."""
    folder = notebooks.course_folder(root)
    if action == "extract":
        return extract(folder, language, only)
    if language not in languages(folder):
        raise CourseError(f"there is no translation to {language}: begin one with gan-course translate extract.")
    if action == "build":
        return build(folder, language, folder / out / language)
    for line in reports(folder, language):
        print(line)
    broken = problems(folder, language)
    for line in broken:
        print(line)
    return int(bool(broken))


# ------------------------------------------------------------------------------------------ catalogues


def languages(root: Path) -> list[str]:
    """The languages that the course is translated to."""
    return sorted(path.name for path in (root / "translations").glob("*") if path.is_dir())


def sources(root: Path, language: str, only: list[str] | None = None) -> dict[Path, Path]:
    """Source → catalogue, of each notebook that has one or is wanted, and of the glossary."""
    place = root / "translations" / language
    everything = [path for part in ("chapters", "solutions") for path in notebooks.list_notebooks(root / part)]
    pairs = {path: place / path.parent.name / f"{path.stem}.po" for path in everything}
    wanted = notebooks.choose(everything, only or [])
    found = {path: catalogue for path, catalogue in pairs.items() if catalogue.exists() or path in wanted}
    return found | {root / GLOSSARY: place / "glossary.po"} if (root / GLOSSARY).exists() else found


def units_of(source: Path) -> list[tuple[str, str]]:
    """(words, context) of all that is to be translated, in order, each once."""
    found: dict[tuple[str, str], None] = {}

    def note(words: str, context: str = "") -> str:
        found[words, context] = None
        return words

    if source.suffix == ".md":
        units.translate_markdown(source.read_text(encoding="utf-8"), note)
    else:
        units.translate_notebook(notebooks.read(source), note, prose=source.parent.name == "solutions")
    return list(found)


def messages(root: Path) -> list[tuple[str, str]]:
    """What checks and widgets say: the strings given to the functions in ``SPOKEN``."""
    found: dict[tuple[str, str], None] = {}
    for _, _, words, *_ in sorted(extract_from_dir(root / "gan_course", [("**.py", "python")], keywords=SPOKEN)):
        for one in words if isinstance(words, tuple) else (words,):
            if one and units.has_words(one):
                found[one, ""] = None
    return list(found)


def catalogues(
    root: Path, language: str, only: list[str] | None = None
) -> Iterator[tuple[Path, list[tuple[str, str]]]]:
    """Each catalogue of a language with what should be in it."""
    for source, path in sources(root, language, only).items():
        yield path, units_of(source)
    if (root / "gan_course" / "language.py").exists():
        yield spoken(root, language), messages(root)


def spoken(root: Path, language: str) -> Path:
    return root / "gan_course" / "locale" / language / "LC_MESSAGES" / "gan_course.po"


def read(path: Path, language: str) -> Catalog:
    """The catalogue at ``path``, an empty one where there is none; ``CourseError`` where it can't be read."""
    if not path.exists():
        return Catalog(language)
    try:
        with path.open("rb") as file:
            return read_po(file, language, charset="utf-8", abort_invalid=True)
    except (PoFileError, UnicodeDecodeError) as error:
        raise CourseError(
            f"{path.name} cannot be read as a catalogue ({error}): correct it, or restore it from git."
        ) from error


def extract(root: Path, language: str, only: list[str]) -> int:
    """Bring the catalogues in step: what is new is empty, what has changed keeps its old translation, marked fuzzy."""
    for path, wanted in catalogues(root, language, only):
        template = Catalog()
        for words, context in wanted:
            template.add(words, context=context or None)
        catalogue = read(path, language)
        catalogue.update(template, update_header_comment=False)
        text = io.BytesIO()
        write_po(text, catalogue, width=0, omit_header=True, ignore_obsolete=True, include_previous=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, HEADER.format(language=language).encode() + text.getvalue().lstrip())
        done = len(finished(catalogue))
        print(f"{path.relative_to(root)}: {done} of {len(wanted)} translated")
    compile_messages(root, language)
    return 0


def finished(catalogue: Catalog) -> dict[tuple[str, str], str]:
    """(words, context) → translation, of those that are neither missing nor fuzzy."""
    return {
        (str(message.id), message.context or ""): str(message.string)
        for message in catalogue
        if message.id and message.string and not message.fuzzy
    }


def compile_messages(root: Path, language: str) -> None:
    path = spoken(root, language)
    if path.exists():
        binary = io.BytesIO()
        write_mo(binary, read(path, language))
        write_whole(path.with_suffix(".mo"), binary.getvalue())


# ------------------------------------------------------------------------------------------ check


def reports(root: Path, language: str) -> list[str]:
    """What is missing or out of date: a sentence for each catalogue, with the cells."""
    lines = []
    for path, wanted in catalogues(root, language):
        done = finished(read(path, language))
        open_ = [key for key in wanted if key not in done]
        if open_:
            cells = [context for context in dict.fromkeys(context for _, context in open_) if context]
            where = f", in {'cells' if len(cells) > 1 else 'cell'} {', '.join(cells)}" if cells else ""
            count = f"{len(open_)} of {len(wanted)}"
            lines.append(
                f"{path.relative_to(root)}: {count} missing or out of date{where}: see CONTRIBUTING, Translate"
            )
    return lines


def problems(root: Path, language: str) -> list[str]:
    """What is broken: a sentence for each translation that lost or changed what must stay, or changes the program."""
    lines = []
    for path, _ in catalogues(root, language):
        for (words, context), text in finished(read(path, language)).items():
            if lost := difference(words, text):
                where = f"cell {context}: " if context else ""
                lines.append(
                    f"{path.relative_to(root)}: {where}{lost} in the translation of {words[:50]!r}: correct it"
                )
    for source, path in sources(root, language).items():
        if source.suffix == ".ipynb":
            try:
                translated(source, read(path, language))
            except ValueError as error:
                lines.append(f"{path.relative_to(root)}: {error}")
    path = spoken(root, language)
    if path.exists() and not compiled(path, language):
        lines.append(f"{path.with_suffix('.mo').relative_to(root)} is out of date: run gan-course translate extract")
    return lines


def compiled(path: Path, language: str) -> bool:
    """Whether the MO file beside ``path`` says the same."""
    if not path.with_suffix(".mo").exists():
        return False
    with path.with_suffix(".mo").open("rb") as file:
        binary = read_mo(file)
    return finished(binary) == finished(read(path, language))


CODE_OR_FORMULA = r"`[^`]+`|(?<!\\)\$[^$]+\$"
#: What a translation must have as often as the original, the last three outside of code and formulas.
KEPT = {
    "code spans": r"`[^`]+`",
    "formulas": r"(?<!\\)\$[^$]+\$",
    "links": r"\]\(([^)]+)\)",
    "tags": r"</?[a-z]+[^>]*>",
    "placeholders": r"\{[^{}]*\}",
    "columns": r"\|",
}


def difference(words: str, text: str) -> str:
    """Which kind of thing the translation has other ones of than the original, or ""."""
    bare = [re.sub(CODE_OR_FORMULA, "", side) for side in (words, text)]
    for kind, pattern in KEPT.items():
        if kind == "columns" and not words.startswith("|"):
            continue
        sides = bare if kind in ("tags", "placeholders", "columns") else (words, text)
        before, after = (Counter(re.findall(pattern, side)) for side in sides)
        if before != after:
            return f"{kind} differ ({', '.join((before - after) | (after - before))})"
    return ""


# ------------------------------------------------------------------------------------------ build


def translated(source: Path, catalogue: Catalog, labels: bool = True) -> NotebookNode:
    """The notebook in the catalogue's language, where it knows it; figures keep their English words without ``labels``.

    Raises ``ValueError`` where a translation would change the program.
    """
    done = finished(catalogue)
    notebook = notebooks.read(source)
    units.translate_notebook(
        notebook, lambda words, cell: done.get((words, cell), words), source.parent.name == "solutions", labels
    )
    return notebook


def build(root: Path, language: str, target: Path) -> int:
    """Write the translated notebooks and glossary into ``target``: a course folder, which ``gan-course run`` runs."""
    if broken := problems(root, language):
        raise CourseError("\n".join([*broken, "Nothing was built."]))
    labels = chinese() is not None or not needed(language)
    if not labels:
        print(INSTALL)
    pairs = sources(root, language)
    made = {source: target / source.relative_to(root) for source in pairs if source.suffix == ".ipynb"}
    made |= {
        root / "exercises" / source.name: target / "exercises" / source.name
        for source in list(made)
        if source.parent.name == "solutions"
    }
    said = finished(read(spoken(root, language), language))
    originals = " · ".join(f"[{said.get((words, ''), words)}](\\{n})" for n, words in enumerate(ORIGINALS, start=1))
    for part in ("chapters", "exercises", "solutions"):
        shutil.rmtree(target / part, ignore_errors=True)
        (target / part).mkdir(parents=True)
    for source, path in made.items():
        if source.parent.name == "exercises":  # last: made from the translated solutions, as the originals are
            write_whole(path, release(target / "solutions" / source.name).encode())
            continue
        notebook = translated(source, read(pairs[source], language), labels)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = BADGES.sub(originals, relink(cell.source, source, path, made))
            else:
                cell.outputs, cell.execution_count = [], None
        after = next((i for i, cell in enumerate(notebook.cells, 1) if "setup" in notebooks.tags(cell)), 0)
        speak = new_code_cell(LANGUAGE_CELL.format(language=language), id="language", metadata={"tags": ["language"]})
        notebook.cells.insert(after, speak)
        notebooks.write(path, notebook)
    if (root / GLOSSARY) in pairs:
        done = finished(read(pairs[root / GLOSSARY], language))
        text = (root / GLOSSARY).read_text(encoding="utf-8")
        text = units.translate_markdown(text, lambda words: done.get((words, ""), words))
        write_whole(target / "glossary.md", text.encode())
    print(f"{len(made)} notebooks in {target}")
    return 0


def relink(text: str, source: Path, path: Path, made: dict[Path, Path]) -> str:
    """Links to what is not translated lead to the original."""

    def link(match: re.Match[str]) -> str:
        file, anchor = match[1], match[2]
        original = Path(os.path.normpath(source.parent / file))
        if original in made or not original.exists():
            return match[0]
        return f"]({Path(os.path.relpath(original, path.parent)).as_posix()}{anchor or ''})"

    return re.sub(r"\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)", link, text)
