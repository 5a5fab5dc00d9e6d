"""The ledger: its rows, their evidence in the chapters, the boxes that name them, and the computations behind them."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from gan_course import ledger
from gan_course.ledger import arithmetic, glossary, pages, programs, quiz, reading
from gan_course.ledger.findings import SETTLED

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT.parent / "shared/source/document.md"
AGAINST = {"false", "fault", "missing", "no such work", "outdated"}  # verdicts that a finding that holds would refute


@cache
def cells() -> dict[tuple[str, str], dict]:
    """(chapter number, cell id) → cell, of all chapters."""
    return {
        (path.name[:2], cell["id"]): cell
        for path in (ROOT / "chapters").glob("*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
    }


def tags_of(cell: dict) -> list[str]:
    return [tag.removeprefix("ledger:") for tag in cell["metadata"].get("tags", []) if tag.startswith("ledger:")]


# ------------------------------------------------------------------------------------------ rows


def test_the_ledger_is_complete():
    rows = ledger.load()
    claims = [row for row in rows if not row.item]
    assert len(claims) >= 83
    assert {row.id.split(".")[-1] for row in rows if row.id.startswith("S5.2-") and row.item} == set(
        map(str, range(1, 21))
    )
    assert sum(row.id.startswith("S6-c.") for row in rows) == 9
    assert all(row.sources and row.correct and row.verdict for row in rows)
    assert sum(row.status == "shown" for row in claims) >= 55
    assert sum(ledger.counts().values()) == len(rows)
    assert {section.split(".")[0] for section in (row.section for row in rows)} == set(map(str, range(11)))


def test_rows_stand_in_the_documents_order():
    def key(row):
        return [int(part) for part in row.section.split(".")][:2]

    order = [key(row) for row in ledger.load()]
    moved = [row.id for before, after, row in zip(order, order[1:], ledger.load()[1:], strict=False) if after < before]
    assert not moved


def test_items_follow_the_claim_they_belong_to():
    names = [row.id for row in ledger.load()]
    for row in ledger.load():
        if row.item:
            assert names.index(row.id.rsplit(".", 1)[0]) < names.index(row.id)


def test_a_wrong_row_is_refused():
    row = ledger.get("S4.3-b").model_dump()
    wrong = {
        "verdict": "mostly false", "section": "5.1", "claim": "no full stop", "sources": [], "evidence": ["99#cell"],
        "comment": "no such field",
    }  # fmt: skip
    for field, value in wrong.items():
        with pytest.raises(ValidationError):
            ledger.Claim.model_validate(row | {field: value})
    if ledger.PENDING:
        with pytest.raises(ValidationError, match="still to come"):
            ledger.Claim.model_validate(row | {"evidence": [f"{ledger.PENDING[0]}#cell"]})
    with pytest.raises(ValidationError, match="name the cell"):
        ledger.Claim.model_validate(row | {"evidence": ["02"]})


def test_an_unknown_row_names_its_neighbours():
    with pytest.raises(KeyError, match=r"S4\.3-a"):
        ledger.get("S4.3-x")


def test_sections_hold_what_is_below_them():
    assert {row.section for row in ledger.of_sections("4")} == {"4.1", "4.2", "4.3"}
    assert {row.section for row in ledger.of_sections("1")} == {"1.2", "1.4.1", "1.4.2", "1.4.3"}  # and not 10
    assert not ledger.of_sections("11")


# ------------------------------------------------------------------------------------------ evidence


def test_every_evidence_is_an_executed_cell_with_the_rows_tag():
    for row in ledger.load():
        for link in row.shown:
            cell = cells().get(tuple(link.split("#")))
            assert cell is not None, f"{row.id} names {link}, which is not there"
            assert cell["cell_type"] == "code" and cell["outputs"], f"{row.id}: {link} shows nothing"
            assert row.id in tags_of(cell), f"{link} lacks the tag ledger:{row.id}"


def test_every_tag_has_its_row():
    for (chapter, name), cell in cells().items():
        for tag in tags_of(cell):
            assert f"{chapter}#{name}" in ledger.get(tag).evidence, f"{chapter}#{name} is tagged for {tag}"


def test_pending_chapters_are_those_that_are_not_there():
    there = {path.stem for path in (ROOT / "chapters").glob("*.ipynb")}
    assert there <= set(ledger.CHAPTERS)
    assert ledger.PENDING == tuple(stem[:2] for stem in ledger.CHAPTERS if stem not in there)


# ------------------------------------------------------------------------------------------ boxes

ROW = re.compile(r"\[(S[\d.]+-[a-k](?:\.\d+)?)\]\(15_document_review\.ipynb#([^)]+)\)")


def texts() -> list[tuple[str, str]]:
    """(chapter, text) of all text cells but those of chapter 15."""
    return [
        (chapter, "".join(cell["source"]))
        for (chapter, _), cell in cells().items()
        if chapter != "15" and cell["cell_type"] == "markdown"
    ]


def words_in(text: str) -> set[str]:
    """The verdicts that a text names, whole words only."""
    return {word for word in ledger.VERDICTS if re.search(rf"\b{word}s?\b", text)}


def test_every_box_names_rows_and_its_verdict_is_theirs():
    boxes, verdicts = 0, 0
    for chapter, text in texts():
        boxes += text.count("**The document says**")
        found = re.findall(r"\*\*Verdict(.*?)\*\*.*?\*\(Ledger: (.*?)\)\*", text, flags=re.DOTALL)
        assert len(found) == text.count("**Verdict"), f"chapter {chapter}: a verdict without its row in {text[:80]!r}"
        for said, links in found:
            rows = [ledger.get(name) for name, _ in ROW.findall(links)]
            assert rows, f"chapter {chapter}: {said} names no row"
            wanted = {row.verdict for row in rows}
            assert words_in(said) == wanted, f"chapter {chapter}: 'Verdict{said}' but the ledger has {wanted}"
            verdicts += 1
    assert boxes >= 25 and verdicts >= 25


def test_every_number_in_the_chapters_leads_to_its_row():
    for chapter, text in texts():
        for name, anchor in ROW.findall(text):
            assert name == anchor == ledger.get(name).id
        left = re.findall(r"\bS\d+(?:\.\d)?-[a-k]\b", ROW.sub("", text))
        assert not left, f"chapter {chapter}: {left} without a link"


# ------------------------------------------------------------------------------------------ what is computed


@pytest.mark.parametrize("name", sorted(SETTLED))
def test_a_computation_agrees_with_the_verdict(name):
    finding, verdict = SETTLED[name](), ledger.get(name).verdict
    assert finding.holds or verdict != "true", finding
    assert not finding.holds or verdict not in AGAINST, finding
    assert finding.found and "nan" not in finding.found


def test_what_is_computed_is_named_as_evidence():
    here = {row.id for row in ledger.load() if any(link.startswith("15#ledger") for link in row.evidence)}
    assert here == set(SETTLED)


def test_logarithms():
    assert math.isclose(arithmetic.minus_log(0.9), 0.105360516, rel_tol=1e-8)
    assert math.isclose(arithmetic.minus_log(0.25, 2), 2.0)
    assert math.isclose(arithmetic.slope(torch.sin, 0.3), math.cos(0.3))
    for wrong in (0.0, -0.1, 1.1):
        with pytest.raises(ValueError, match="must lie above 0"):
            arithmetic.minus_log(wrong)


def test_counting_finds_what_is_there():
    text = "OCR 扩散模型, 扩散. 在2022年 raised $5 and 3亿美元 (https://a.org, http://b.org) 20221"
    found = arithmetic.count(text)
    assert (found["扩散"], found["OCR"], found["addresses"], found["years"], found["sums of money"]) == (2, 1, 2, 1, 2)
    assert found.keys() == arithmetic.RECORDED.keys()


@pytest.mark.skipif(not DOCUMENT.is_file(), reason="the document is not part of the course")
def test_recorded_counts_are_those_of_the_document():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert arithmetic.count(text) == arithmetic.RECORDED
    assert re.findall(r"https?://[^\s)]+", text) == ["https://example.com/stable_diffusion_diagram.png"]
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    errors = [programs.error_of(lambda code=code: compile(code, "", "exec")) for code in blocks]
    assert errors == ["SyntaxError", "SyntaxError", "none"]


def test_reserved_addresses():
    assert arithmetic.is_reserved("https://example.com/a.png") and arithmetic.is_reserved("http://www.example.org")
    assert not arithmetic.is_reserved("https://example.com.net/") and not arithmetic.is_reserved("https://arxiv.org")


def test_range_with_two_sigmoids_against_pytorch():
    def loss(real, fake):
        x = torch.tensor([real, fake]).sigmoid()  # what the network returns: the first sigmoid
        return F.binary_cross_entropy_with_logits(x, torch.tensor([1.0, 0.0]), reduction="sum").item()

    _, _, low, high = programs.range_with_two_sigmoids()
    assert math.isclose(low, loss(60.0, -60.0), rel_tol=1e-5)
    assert math.isclose(high, loss(-60.0, 60.0), rel_tol=1e-5)


def test_undefined_names():
    assert programs.undefined("def f(a):\n    b = a + c\n    return print(b)") == ["c"]
    assert programs.undefined("for x in range(3): y = x") == []


def test_operations_are_counted():
    x = torch.ones(2, requires_grad=True)
    assert programs.operations((x * 2).sum()) == programs.operations(x * 2) + 1
    assert programs.operations(torch.ones(2)) == 0


# ------------------------------------------------------------------------------------------ reading list


def test_arxiv_numbers_have_their_form_and_match_their_month():
    numbered = {key: work for key, work in reading.works().items() if "eprint" in work}
    assert len(numbered) >= 40
    for key, work in numbered.items():
        assert reading.month_of(work["eprint"]) == work["date"], key
        assert int(work["date"][:4]) - 1 <= int(work["year"]) <= int(work["date"][:4]) + 2, key
    assert len({work["eprint"] for work in numbered.values()}) == len(numbered)


@pytest.mark.parametrize("wrong", ["1413.0001", "2112.1075", "1406.26611", "cs/0112017", "2100.12345", "2112.10752v2"])
def test_other_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="no arXiv number"):
        reading.month_of(wrong)


def test_chapters_cite_arxiv_numbers_that_are_some():
    for chapter, text in texts():
        for number in re.findall(r"arXiv(?: preprint)?[ :]+(\d{4}\.\d{4,5})(?!\d)", text):
            assert reading.month_of(number), chapter


def test_sources_exist_and_their_addresses_are_well_formed():
    works = reading.works()
    assert len(works) == (ROOT / "gan_course/ledger/references.bib").read_text(encoding="utf-8").count("\n@")
    for row in ledger.load():
        assert set(row.sources) <= works.keys(), row.id
    for key, work in works.items():
        assert {"title", "author", "year"} <= work.keys() or key == "document", key
        address = reading.address(work)
        if key != "document":
            parts = urlsplit(address)
            assert parts.scheme == "https" and "." in parts.netloc and " " not in address, key
        assert "<i>" in reading.citation(key)


def test_the_reading_list_is_numbered_without_gaps():
    numbers = [int(reading.works()[key]["order"]) for key in reading.reading_list()]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 38


def test_every_source_is_used():
    used = set(reading.reading_list()).union(*(row.sources for row in ledger.load()))
    assert set(reading.works()) == used


def test_names_of_authors():
    assert reading.authors({"author": "A, B. and C, D."}) == "A and C"
    assert reading.authors({"author": "A, B. and C, D. and E, F. and G, H."}) == "A, C, E and others"
    assert reading.authors({"author": "A, B. and others"}) == "A and others"
    assert reading.authors(reading.works()["sd1card"]) == "CompVis"


# ------------------------------------------------------------------------------------------ quiz and words


def test_each_question_has_one_right_choice_and_a_reply_to_each():
    questions = quiz.questions()
    assert len(questions) >= 20
    letters = ["ABCD"[[choice.right for choice in q.choices].index(True)] for q in questions]
    assert max(map(letters.count, "ABC")) <= 0.45 * len(letters), "the right letter must not be guessed"
    for q in questions:
        assert sum(choice.right for choice in q.choices) == 1
        assert (
            len({choice.text for choice in q.choices}) == len({choice.reply for choice in q.choices}) == len(q.choices)
        )
        assert all(choice.reply.startswith("Yes") == choice.right for choice in q.choices), q.ask
    assert len({q.chapter for q in questions}) >= 10, "over the whole course"
    assert quiz.check("".join(letters)).endswith(f"{len(letters)} of {len(letters)} right")


def test_checking_answers():
    right = quiz.questions()[0].choices
    wrong = next(letter for letter, choice in zip("ABCD", right, strict=True) if not choice.right)
    said = quiz.check(f"{wrong} -")
    assert right["ABCD".index(wrong)].reply in said and said.endswith("0 of 1 right")
    assert quiz.check("--") == "0 of 0 right"
    with pytest.raises(ValueError, match="choose from A, B"):
        quiz.check("Z")
    with pytest.raises(ValueError, match=f"there are {len(quiz.questions())} questions but 99"):
        quiz.check("A" * 99)


def test_a_question_without_a_right_choice_is_refused():
    row = quiz.questions()[0].model_dump()
    for choice in row["choices"]:
        choice["right"] = False
    with pytest.raises(ValidationError, match="mark exactly one"):
        quiz.Question.model_validate(row)


def test_the_glossary_has_eighty_terms_in_both_languages():
    terms = glossary.terms()
    lines = (ROOT / "gan_course/ledger/glossary.md").read_text(encoding="utf-8").count("\n| ")
    assert len(terms) == lines - 1 >= 80  # but the heading
    assert len({term.english.lower() for term in terms}) == len(terms)
    for term in terms:
        assert re.search(r"[\u4e00-\u9fff]", term.chinese) and term.meaning.endswith(".")


def test_a_formula_becomes_plain():
    assert pages.plain(r"The loss $-\log D(G(z))$ & more.") == "The loss <i>−log D(G(z))</i> &amp; more."
