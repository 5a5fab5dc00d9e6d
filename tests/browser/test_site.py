"""The site as a reader meets it: by day and by night, on a phone, by keyboard, read aloud, and with no network.

`make site` builds it, and npm brings axe: `make browser` does both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build/site"
AXE = ROOT / "build/node/node_modules/axe-core/axe.min.js"
SHOTS = ROOT / "build/browser"
PAGES = [
    "docs/index.html",
    "chapters/03_training.html",
    "docs/generator.html",
    "docs/progress.html",
    "chapters/15_document_review.html",  # the ledger
    "exercises/02_loss_math.html",
    "gan_course/ledger/glossary.html",
    "docs/reference/parts.html",
    "docs/wrong_answers.html",
]
LOOKS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "night": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}},
}
# What axe finds that keeps somebody from reading: its two gravest kinds.
GRAVE = """axe.run(document, {resultTypes: ['violations']}).then(result => result.violations
  .filter(found => ['serious', 'critical'].includes(found.impact))
  .map(found => `${found.id}: ${found.nodes.length} times, first ${found.nodes[0].html.slice(0, 150)}`))"""


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    for needed, command in ((SITE / "docs/index.html", "make site"), (AXE, "make browser")):
        if not needed.exists():
            say = pytest.fail if os.environ.get("GAN_COURSE_REQUIRE") else pytest.skip
            say(f"{needed.relative_to(ROOT)} is missing: {command} makes it")


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page of the site in a look; in the end, nothing may have been asked of another computer."""
    opened, asked = [], []

    def visit(name: str, **look) -> Page:
        opened.append(chromium.new_context(**look))
        page = opened[-1].new_page()
        page.on("request", lambda request: asked.append(request.url) if request.url.startswith("http") else None)
        page.goto((SITE / name).as_uri())
        return page

    yield visit
    for context in opened:
        context.close()
    assert asked == []


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read(visit, name, look):
    page = visit(name, **LOOKS[look], reduced_motion="reduce")
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    grave = page.evaluate(GRAVE)
    if grave or wide > 0:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"site_{Path(name).stem}_{look}.png")
    assert grave == []
    assert wide <= 0, f"{wide} pixels lie beyond the right edge"


def test_axe_would_see_a_fault(visit):
    page = visit("docs/index.html")
    page.evaluate("() => document.querySelectorAll('img').forEach(image => image.removeAttribute('alt'))")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert any(found.startswith("image-alt") for found in page.evaluate(GRAVE))


def test_the_first_address_leads_to_the_opening_page(visit):
    page = visit("index.html")
    page.wait_for_url("**/docs/index.html")
    assert "Learn GANs" in page.locator("h1").inner_text()


@pytest.mark.parametrize(("motion", "shown"), [("reduce", "digits_still.webp"), ("no-preference", "digits.webp")])
def test_the_film_stands_still_for_who_wants_that(visit, motion, shown):
    page = visit("docs/index.html", reduced_motion=motion)
    source = page.evaluate("() => document.querySelector('picture img').currentSrc")
    assert source.endswith(f"/{shown}")
    page.wait_for_function("() => document.querySelector('picture img').naturalWidth === 640", timeout=10_000)


def test_the_search_works_without_a_server(visit):
    page = visit("docs/index.html", **LOOKS["desktop"])
    page.locator("input[name=q]").first.fill("hinge")
    page.locator("input[name=q]").first.press("Enter")
    page.wait_for_selector("#search-results li a", timeout=20_000)
    found = page.locator("#search-results li a").all_inner_texts()
    assert any("02 · The loss" in title for title in found), found


def test_a_solution_is_folded_and_opens_by_a_key(visit):
    page = visit("exercises/02_loss_math.html")
    solution = page.locator("[id='cell-id=losses-from-probabilities-solution'] details")
    code = solution.locator("pre")
    assert not code.is_visible()
    solution.locator("summary").focus()
    page.keyboard.press("Enter")
    code.wait_for(state="visible", timeout=5000)
    assert "p_real.log()" in code.inner_text() and "SOLUTION" not in code.inner_text()
    assert "YOUR CODE HERE" in page.locator("[id='cell-id=losses-from-probabilities'] pre").inner_text()


def test_progress_is_shown_kept_here_and_forgotten(visit, tmp_path):
    from gan_course import checks
    from gan_course.checks.passed import Progress

    names = [name.removeprefix("check_") for name in checks.__all__ if name.startswith("check_")]
    rows = [("chapter 01", name, "2026-11-27 10:00" if name == "ring" else "") for name in names]
    rows[1] = (*rows[1][:2], "1 of 3 parts")
    Progress(rows, None).export(tmp_path / "progress.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    page = visit("docs/progress.html")
    assert {row.get_attribute("data-task") for row in page.locator("#tasks tbody tr").all()} == set(names)
    says, last = page.locator("#progress-says"), page.locator("tr[data-task=ring] td").last
    page.locator("#progress-file").set_input_files(tmp_path / "other.csv")
    page.wait_for_function("() => document.getElementById('progress-says').textContent.includes('first line')")
    page.locator("#progress-file").set_input_files(tmp_path / "progress.csv")
    page.wait_for_function("() => document.getElementById('progress-delete').disabled === false")
    for _ in ("at once", "after a reload"):
        assert last.inner_text() == "2026-11-27 10:00"
        assert says.inner_text().startswith(f"1 of {len(names)} tasks passed")
        page.reload()
    page.get_by_role("button", name="forget it").click()
    assert last.inner_text() == "–" and page.evaluate("() => localStorage.length") == 0


def test_a_word_says_its_meaning_and_leads_to_the_glossary(visit):
    page = visit("chapters/01_concepts.html")
    word = page.locator("a.word").first
    said = word.get_attribute("title")
    assert said and said.endswith(".")
    word.click()
    page.wait_for_url("**/glossary.html#word-*")
    row = page.locator(":target")
    assert row.count() == 1 and said in row.inner_text()


def test_formulas_are_drawn_by_the_browser_itself(visit):
    page = visit("chapters/02_loss_math.html")
    assert page.locator("math").count() > 20
    box = page.locator("div.math math").first.bounding_box()
    assert box and box["width"] > 50 and box["height"] > 10
