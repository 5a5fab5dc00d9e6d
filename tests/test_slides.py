"""``gan-course slides``: what becomes a slide, and that a deck is whole. Overflow is looked for in the browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nbformat.v4 import new_output
from notebooks import ALT, code, notebook, png, save, text

from gan_course import cli
from gan_course.commands import slides

PARAGRAPH = "A sentence of some length that says one thing and no more. " * 9


def kinds(*cells) -> list[tuple[str, str]]:
    made = slides.arrange(notebook(*cells)).cells
    return [(cell.metadata["slideshow"]["slide_type"], cell.source.split("\n")[0][:20]) for cell in made]


def test_headings_begin_slides_and_plumbing_is_left_out():
    cells = [
        text("# 01 · Title\n[![Open in Colab](a.svg)](b) · [source](c)\n\nA question?"),
        code("import sys", "setup"),
        code("SEED = 0", "parameters"),
        text("## A section\n\nWhy."),
        code("x = 1"),
        text("It is one."),
    ]
    assert kinds(*cells) == [
        ("slide", "# 01 · Title"), ("slide", "## A section"), ("subslide", "x = 1"), ("subslide", "It is one."),
    ]  # fmt: skip
    assert "Colab" not in slides.arrange(notebook(*cells)).cells[0].source
    assert len(cells[3].metadata) == 0, "the notebook itself is left as it was"


def test_a_long_text_is_split_between_its_paragraphs():
    parts = list(slides.parts_of(f"## Head\n\n{PARAGRAPH}\n\n{PARAGRAPH}\n\n### Next\n\nShort.\n\nShort, too."))
    assert [part.split("\n")[0] for part in parts] == ["## Head", PARAGRAPH, "### Next"]
    assert parts[0] == f"## Head\n\n{PARAGRAPH}" and parts[2].endswith("Short, too.")


def test_what_belongs_together_stays_together():
    table = "| a | b |\n|---|---|\n" + "| some words | more words |\n" * 30
    fold = f"<details><summary>Answer</summary>\n\n{PARAGRAPH}\n\n{PARAGRAPH}\n\n</details>"
    fence = "```\n" + "one line\n\n" * 80 + "```"
    quote = f"> {PARAGRAPH}\n> {PARAGRAPH}\n"
    parts = list(slides.parts_of(f"{table}\n{fold}\n\n{fence}\n\n{quote}"))
    assert [part.strip() for part in parts] == [table.strip(), fold, fence, quote.strip()]


def test_of_a_long_print_the_beginning_is_shown():
    assert slides.first_lines("a\n" * 30) == "a\n" * 30
    assert slides.first_lines("a\n" * 32) == "a\n" * 30 + "... and 2 lines more, in the notebook"


def test_nothing_of_a_text_is_lost():
    for path in (Path(__file__).parents[1] / "chapters").glob("0[0-3]*.ipynb"):
        for cell in slides.notebooks.read(path).cells:
            if cell.cell_type == "markdown":
                source = slides.BADGES.sub("", cell.source)
                rest = re.sub(r"^>\s*$", "", source, flags=re.MULTILINE)  # between the paragraphs of a quotation
                assert re.sub(r"\s", "", "".join(slides.parts_of(source))) == re.sub(r"\s", "", rest)


@pytest.fixture
def course(tmp_path) -> Path:
    picture = new_output("display_data", data={"image/png": png()}, metadata={"image/png": {"alt": ALT}})
    warning = new_output("stream", name="stderr", text="a warning")
    cell = code("show()")
    cell.outputs, cell.execution_count = [picture, warning], 1
    save(tmp_path / "chapters/01_concepts.ipynb", text("# One\n\nAn angle $a_1 < b$ and `$5`."), cell)
    save(tmp_path / "chapters/02_loss.ipynb", text("# Two"))
    return tmp_path


def test_a_deck_is_one_file_that_asks_for_nothing(course, capsys):
    assert cli.main(["slides", "--root", str(course), "--only", "1"]) == 0
    assert capsys.readouterr().out == "build/slides/01_concepts.html: 2 slides\n"
    (made,) = (course / "build/slides").iterdir()
    page = made.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", page)
    assert "<math" in page and "<code>$5</code>" in page and "a warning" not in page
    assert f'alt="{ALT}"' in page and "Hakim El Hattab" in page
    body = page.split('<div class="slides">')[1].split("<script")[0]
    assert body.count("<section") == 3, "one column of two slides"


def test_every_chapter_without_only(course, capsys):
    assert cli.main(["slides", "--root", str(course), "--out", "decks"]) == 0
    assert sorted(path.name for path in (course / "decks").iterdir()) == ["01_concepts.html", "02_loss.html"]
    assert cli.main(["slides", "--root", str(course), "--only", "7"]) == 2
    assert "There is no chapter '7'" in capsys.readouterr().err


def test_reveal_comes_with_its_licence():
    assert "MIT" in (slides.FOLDER / "reveal.js").read_text(encoding="utf-8")[:200]
    assert "Permission is hereby granted" in (slides.FOLDER / "LICENSE").read_text(encoding="utf-8")
