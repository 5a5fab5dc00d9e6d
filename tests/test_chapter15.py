"""Chapter 15 as it is stored: its anchors, its links, its tables, and the sentences that count something."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from gan_course import ledger
from gan_course.ledger import glossary, pages, quiz, reading

ROOT = Path(__file__).parents[1]


@cache
def cells() -> tuple[dict, ...]:
    return tuple(json.loads((ROOT / "chapters/15_document_review.ipynb").read_text(encoding="utf-8"))["cells"])


@cache
def html() -> str:
    """All HTML that its cells show."""
    found = (out["data"].get("text/html", "") for cell in cells() for out in cell.get("outputs", []) if "data" in out)
    return "\n".join("".join(part) for part in found)


@cache
def prose() -> str:
    return "\n".join("".join(cell["source"]) for cell in cells() if cell["cell_type"] == "markdown")


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    """The HTML that is displayed meanwhile."""
    found: list[str] = []
    monkeypatch.setattr(pages, "display", lambda html, text: found.append(html))
    return found


def test_every_row_has_one_anchor():
    anchors = Counter(re.findall(r'<h[45] id="(S[^"]+)"', html()))
    assert anchors == Counter(row.id for row in ledger.load())


def test_what_is_stored_is_what_the_ledger_says(shown):
    pages.show(*map(str, range(11)))
    fresh = re.sub(r"<b>Computed here\.</b>.*?</p>", "", "".join(shown))
    stored = re.sub(r"<b>Computed here\.</b>.*?</p>", "", html())
    for article in re.findall(r"<article.*?</article>", fresh, flags=re.DOTALL):
        assert article in stored, f"run gan-course run --only 15 --update: {article[:120]}"


def test_links_within_the_page_resolve():
    there = set(re.findall(r'\bid="([^"]+)"', html())) | {f"cell-id={cell['id']}" for cell in cells()}
    links = set(re.findall(r'href="#([^"]+)"', html())) | set(re.findall(r"\]\(#([^)]+)\)", prose()))
    assert links and links <= there


def test_links_to_other_chapters_resolve():
    links = set(re.findall(r'href="(\d\d_\w+)\.ipynb#cell-id=([^"]+)"', html()))
    assert len(links) > 40
    for stem, name in links:
        notebook = json.loads((ROOT / f"chapters/{stem}.ipynb").read_text(encoding="utf-8"))
        assert name in {cell["id"] for cell in notebook["cells"]}, f"{stem} has no cell {name}"


def test_the_page_needs_no_network():
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", html())
    assert html().count("DataTables 3.1.5, MIT licence") == 1, "the library is embedded once"
    licence = (ROOT / "gan_course/ledger/datatables.LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("The MIT License") and "SpryMedia" in licence
    assert "/*! DataTables 3.1.5" in (ROOT / "gan_course/ledger/datatables.min.js").read_text(encoding="utf-8")


def test_tables_are_plain_tables_without_scripts():
    plain = re.sub(r"<(script|style)>.*?</\1>", "", html(), flags=re.DOTALL)
    tables = dict(re.findall(r'<table id="([\w-]+)">(.*?)</table>', plain, flags=re.DOTALL))
    assert tables["gc-ledger"].count("<tr>") == len(ledger.load()) + 1
    assert tables["gc-glossary"].count("<tr>") == len(glossary.terms()) + 1
    assert plain.count("<details>") == sum(len(question.choices) for question in quiz.questions())
    assert plain.count("<li>") == len(reading.reading_list())


def test_text_is_escaped(shown):
    pages.show("4.3")
    assert "<b>" in shown[0] and "D(G(z)) = 0.1" in shown[0]
    row = ledger.get("S4.3-a").model_copy(update={"claim": "a < b & c"})
    assert "a &lt; b &amp; c" in pages.article(row)


def test_an_unknown_section_is_refused():
    with pytest.raises(ValueError, match="no section 11"):
        pages.show("11")


def test_where_a_row_is_shown():
    row = ledger.get("S2.1-a").model_copy(update={"evidence": ["07#a", "12", "07#b", "15#c"]})
    assert re.sub(r"<.*?>", "", pages.shown_in(row)) == "07 (1, 2), 12 (open), 15"
    assert 'href="07_diffusion.ipynb#cell-id=a"' in pages.shown_in(row) and 'href="#cell-id=c"' in pages.shown_in(row)
    assert pages.shown_in(row.model_copy(update={"evidence": []})) == "no cell"


def test_sentences_that_count_are_right():
    rows = ledger.load()
    claims = [row for row in rows if not row.item]
    true = [row.id for row in claims if row.verdict == "true"]
    assert "A sixth holds" in prose() and abs(len(true) / len(claims) - 1 / 6) < 0.02
    order = [verdict for verdict, _ in Counter(row.verdict for row in claims).most_common(3)]
    assert order == ["false", "misleading", "true"]
    assert "Six of the fourteen" in prose() and len(true) == 14
    assert [name for name in true if name.startswith(("S3.1", "S4", "S5.3"))] == [
        "S3.1-c", "S4.1-b", "S4.1-c", "S4.1-d", "S4.3-a", "S5.3-b",
    ]  # fmt: skip
    of_seven = [row for row in ledger.of_sections("7.1", "7.3") if row.id != "S7.1-e"]
    assert "Of ten books, courses and papers" in prose() and len(of_seven) == 10
    assert [row.id for row in of_seven if row.verdict == "true"] == ["S7.1-a"]
    assert "remaining fifteen" in prose() and sum(row.id.startswith("S5.2-c.") for row in rows) == 15
    answers = next("".join(cell["source"]) for cell in cells() if cell["id"] == "15-quiz-check")
    given = re.search(r'ANSWERS = "(\w+)"', answers)[1]
    assert "The three letters here are a start; one of them is wrong" in prose()
    assert len(given) == 3 and quiz.check(given).endswith("2 of 3 right")
