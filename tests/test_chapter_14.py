"""Chapter 14: no amount of money that no cell prints, the law of training costs, the sliders without a browser."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from gan_course import checks, costs
from gan_course.costs import Business
from gan_course.widgets.economics_view import KNOBS, EconomicsView, money, month, parts, short

CHAPTER = Path(__file__).parents[1] / "chapters/14_cost_and_market.ipynb"
NUMBER = r"\d[\d,]*(?:\.\d+)?"
AMOUNT = re.compile(
    rf"(?:USD|US\$|\$|€|£|EUR|RMB)\s?({NUMBER})"
    rf"|({NUMBER})\s?(?:million |billion |thousand )?(?:USD|dollars?|cents?|euros?)\b"
)


def amounts(prose: str) -> set[str]:
    """The numbers of all amounts of money in Markdown, without its formulas and code: "1,000"."""
    plain = re.sub(r"\$\$.*?\$\$|`[^`]*`|\$[^$\n]*[\\{_^][^$\n]*\$|\$[a-zA-Z]\$", "", prose, flags=re.DOTALL)
    return {next(filter(None, match)).rstrip(",") for match in AMOUNT.findall(plain)}


def printed(notebook) -> set[str]:
    """All numbers in printed outputs that speak of money."""
    texts = ["".join(out.text for out in cell.outputs if "text" in out) for cell in notebook.cells if "outputs" in cell]
    return {number for text in texts if re.search(r"USD|cents", text) for number in re.findall(NUMBER, text)}


def unprinted(notebook) -> set[str]:
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return amounts(prose) - printed(notebook)


@pytest.fixture(scope="module")
def chapter():
    return nbformat.read(CHAPTER, as_version=4)


def test_prose_holds_no_amount_of_money_that_no_cell_prints(chapter):
    prose = "\n".join(cell.source for cell in chapter.cells if cell.cell_type == "markdown")
    assert len(amounts(prose)) > 15
    assert not unprinted(chapter)


@pytest.mark.parametrize(
    "sentence, number",
    [
        ("It raised USD 123 million.", "123"),
        ("It raised 123 million USD.", "123"),
        ("A picture costs 0.777 dollars.", "0.777"),
        ("A picture costs 77 cents.", "77"),
        ("A picture costs $77 and more.", "77"),
        ("It owes €9,999,999.", "9,999,999"),
    ],
)
def test_an_invented_amount_is_found(chapter, sentence, number):
    changed = nbformat.from_dict(chapter)
    changed.cells = [*chapter.cells, nbformat.v4.new_markdown_cell(sentence)]
    assert unprinted(changed) == {number}


def test_formulas_and_code_are_no_money():
    assert (
        amounts("Let $f$ be 3, $n_0 = \\frac{1}{2}$ and `USD 5`; $$5 \\cdot 2$$ it has $k \\times k$ places.") == set()
    )


def test_every_box_names_its_ledger_rows(chapter):
    boxes = [
        part for c in chapter.cells for part in re.findall(r"> \*\*The document says\*\*.*?(?:\n\n|$)", c.source, re.S)
    ]
    told = re.findall(r"\*\(Ledger: (.+?)\)\*", "\n".join(c.source for c in chapter.cells if c.cell_type == "markdown"))
    ids = {name for row in told for name in re.findall(r"\[(S[^\]]+)\]", row)}
    assert len(told) >= len(boxes) / 2 >= 5
    assert {"S0-a", "S0-b", "S0-c", "S2.3-c", "S2.3-d", "S2.3-e", "S2.3-g", "S8-a"} <= ids
    assert all(re.fullmatch(r"S\d+(\.\d+)?-[a-z]", name) for name in ids)


def test_every_fact_that_the_chapter_shows_keeps_its_status(chapter):
    text = "".join(out.get("text", "") for cell in chapter.cells for out in cell.get("outputs", []))
    for word in costs.STATUS:
        assert word in text
    for fact in costs.load("gpu_prices"):
        assert re.search(rf"{re.escape(fact.date)} +{re.escape(fact.entity)} .*{fact.status}", text)
    for name in costs.TABLES:
        for address in costs.sources(costs.load(name)).values():
            assert address in text


def test_no_function_of_the_chapter_solves_a_task(chapter):
    """Pasted in place of an answer, each of them fails each check."""
    cells = [
        cell for cell in chapter.cells if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", [])
    ]
    source = "\n".join(cell.source for cell in cells)
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    space: dict = {"costs": costs, "np": np, "torch": torch, "nn": torch.nn}
    for node in found:
        exec(compile(ast.Module([node], []), "chapter", "exec"), space)
    assert {"count_operations", "training_operations", "needed_price"} <= {node.name for node in found}
    tasks = ("price_with_margin", "break_even_subscribers", "training_gpu_hours", "combine_reports", "sensitivities")
    for task, node in itertools.product(tasks, found):
        with pytest.raises(checks.CheckFailed):
            getattr(checks, f"check_{task}")(space[node.name])


# ------------------------------------------------------------------------------------------ the sliders

START = Business(0.01, 60e6, 0.5, 50, 1 / 21.66, 0.207, 2.03, 0.3, 200_000, 304_500, 12)


@pytest.fixture
def view():
    made = EconomicsView(
        START, {"four steps": {"steps": 4, "training_usd": 330_000}, "dear": {"price_usd_per_image": 2}}
    )
    yield made
    made.close()


def test_the_sliders_start_where_the_business_is(view):
    for name in KNOBS:
        assert getattr(view.business, name) == pytest.approx(getattr(START, name))
    assert view.answer() == "829 million pictures a month"
    assert "-209 thousand USD" in view.numbers.value


@pytest.mark.parametrize("name", KNOBS)
def test_each_slider_moves_numbers_and_pictures(view, name):
    slider, before = view.sliders[name], (view.numbers.value, view.left.value, view.right.value)
    slider.index -= 1
    assert getattr(view.business, name) == slider.value < getattr(START, name)
    after = view.numbers.value, view.left.value, view.right.value
    assert all(a != b for a, b in zip(after, before, strict=True))
    assert view.message.value == ""


def test_the_ends_of_the_sliders_are_no_trouble(view):
    for slider in view.sliders.values():
        values = [value for _, value in slider.options]
        assert values == sorted(values) and len(values) >= 15
        for end in (values[0], values[-1]):
            slider.value = end
            assert view.message.value == "" and view.numbers.value


def test_values_are_written_short():
    assert [short(x) for x in (0.01, 60e6, 304_500, 1e9, 0.3)] == ["0.01", "60M", "304.5k", "1G", "0.3"]


def test_a_case_sets_all_sliders_and_start_brings_them_back(view):
    view.sliders["utilisation"].value = 0.9
    view.cases["four steps"].click()
    assert (view.business.steps, view.business.utilisation) == (4, 0.3)
    assert view.business.training_usd == pytest.approx(330_000)
    assert "changes steps = 4" in view.message.value
    view.cases["dear"].click()
    assert view.business.price_usd_per_image == pytest.approx(2), "the slider's end must give way"
    view.cases["start"].click()
    assert view.business.profit_usd_per_month == pytest.approx(START.profit_usd_per_month)


def test_no_volume_is_a_sentence(view):
    view.sliders["price_usd_per_image"].value = 0.001
    assert "at no volume" in view.numbers.value


def test_a_case_that_no_business_can_be_is_refused():
    with pytest.raises(ValueError, match="free_share is 1, so that nobody pays"):
        EconomicsView(START, {"all free": {"free_share": 1}})


def test_the_parts_of_a_picture_sum_to_its_cost():
    assert sum(parts(START).values()) == pytest.approx(START.total_usd_per_paid_image())
    chart = month(START)
    (_, revenue, _), (_, costs_now, _) = chart.marks
    assert (revenue - costs_now) * 1e3 == pytest.approx(START.profit_usd_per_month)


def test_money_in_words():
    assert money(-1_250_000) == "-1.25 million USD"
    assert money(999) == "999 USD"
    assert money(45_600) == "45.6 thousand USD"


def test_the_economics_widget_outside_a_notebook_says_so(capsys):
    from gan_course import widgets

    widgets.economics(START)
    assert capsys.readouterr().out == "The economics widget needs a notebook: open it in JupyterLab or on Colab.\n"
