"""The pages of ``gan-course run`` in a browser: a stranger's notebook can do nothing there, the course's tables can.

The hostile pages are opened without their Content-Security-Policy, so that the sanitizer has to hold alone. That some
of them act where plain nbconvert made the page shows that the test would see it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hostile import MARKUP, RUN, hostile, shown
from nbformat import writes
from notebooks import notebook, save, text

from gan_course.commands import pages, safe_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

ROOT = Path(__file__).parents[2]
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="[^"]*">')
SAFE = {"http:", "https:", "mailto:", "file:", ":", ""}  # protocols that a link may have
ACTING = ("script", "drawing", "frame", "base", "refresh", "style sheet", "film and sound", "link into a script")

Visit = Callable[..., list[str]]


@pytest.fixture(scope="module")
def visit(chromium: Browser) -> Iterator[Visit]:
    """Opens a file and returns what it did: scripts that ran, addresses that it asked for, links that would run.

    A page that is expected to act is given up to ``patience`` milliseconds to do so: a busy machine may be slow.
    """
    from playwright.sync_api import Error

    page = chromium.new_page()
    did: list[str] = []

    def outside(route: Route) -> None:  # what the policy stops does not come here
        if not route.request.url.startswith("https://cdnjs."):  # plain nbconvert's own scripts
            did.append(route.request.url)
        route.abort()

    page.route(re.compile("^https?:"), outside)
    page.on("request", lambda request: did.append(request.url) if request.url.startswith("file:") else None)
    page.on("dialog", lambda dialog: (did.append("dialog"), dialog.dismiss()))

    def found(file: Path) -> list[str]:
        asked = [each for each in did if each != file.as_uri()]
        ran = ["a script ran"] if page.evaluate("() => window.ran") else []
        links = page.evaluate("() => [...document.querySelectorAll('a')].map(link => link.protocol)")
        return asked + ran + sorted(set(links) - SAFE)

    def visit(file: Path, patience: int = 30) -> list[str]:
        page.goto("about:blank")
        did.clear()
        try:
            page.goto(file.as_uri())
            for _ in range(0, patience, 30):
                page.wait_for_timeout(30)
                if acts := found(file):
                    return acts
        except Error as error:  # it led away while it was loaded or asked
            page.wait_for_timeout(100)  # until it has arrived, or the next visit is led away, too
            return [f"it went away: {error}"]
        return []

    yield visit
    page.close()


def test_no_trick_works_in_a_page(visit, tmp_path):
    """Each in a page of its own: a tag that is never closed must not hide the next trick."""
    pages.write_page(save(tmp_path / "a.ipynb", text("THE TRICK")), tmp_path / "a.html", tmp_path)
    empty = POLICY.sub("", (tmp_path / "a.html").read_text(encoding="utf-8"))
    found = {}
    for name, trick in MARKUP.items():
        safe, _ = safe_html.sanitize(trick, safe_html.Pieces(), tmp_path)
        (tmp_path / "a.html").write_text(empty.replace("THE TRICK", safe), encoding="utf-8")
        if did := visit(tmp_path / "a.html"):
            found[name] = did
    assert found == {}


def test_a_notebook_full_of_tricks_can_do_nothing(visit, tmp_path):
    made = notebook(*(cell for content in hostile().values() for cell in content.cells))
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
    made.metadata.title = f"</title><script>{RUN}</script>"
    (tmp_path / "a.ipynb").write_text(writes(made), encoding="utf-8")
    page = tmp_path / "a.html"
    pages.write_page(tmp_path / "a.ipynb", page, tmp_path)
    written = page.read_text(encoding="utf-8")
    assert len(POLICY.findall(written)) == 1
    page.write_text(POLICY.sub("", written), encoding="utf-8")
    assert visit(page) == []


@pytest.mark.parametrize("name", ACTING)
def test_they_are_hostile(visit, tmp_path, name):
    from nbconvert import HTMLExporter

    page = tmp_path / "a.html"
    page.write_text(HTMLExporter().from_notebook_node(hostile()[f"output: {name}"])[0], encoding="utf-8")
    assert visit(page, patience=5000)


def test_the_policy_is_a_second_wall(visit, tmp_path):
    page = tmp_path / "a.html"
    pages.write_page(save(tmp_path / "a.ipynb", text("x")), page, tmp_path)
    written = page.read_text(encoding="utf-8")
    attack = f"<script>{RUN}</script><img src='http://evil.test/a.png' onerror='{RUN}'><iframe src='http://evil.test'>"
    page.write_text(written.replace("</main>", f"{attack}</main>"), encoding="utf-8")
    assert visit(page) == []
    page.write_text(POLICY.sub("", written).replace("</main>", f"{attack}</main>"), encoding="utf-8")
    assert visit(page, patience=5000)


def test_the_index_is_safe(visit, tmp_path):
    name = "<img src=x: onerror=window.ran=1> #1? %41 \"quoted\" 'a' & ü"
    attack = shown("image/png", f'x"><script>{RUN}</script>')
    save(tmp_path / "notebooks" / f"{name}.ipynb", text(f"# <script>{RUN}</script> <img src=x: onerror={RUN}>"), attack)
    (tmp_path / f"{name}.html").write_text("<p id=arrived>", encoding="utf-8")
    card = pages.Card(name, "failed", error=f"<script>{RUN}</script>")
    index = pages.write_index(tmp_path, [card], 1.0)
    index.write_text(POLICY.sub("", index.read_text(encoding="utf-8")), encoding="utf-8")
    assert visit(index) == []


@pytest.mark.parametrize(
    "name", ["a#b", "what?", "50% %41", "two words", "a\"b'c", "<a>&amp;", "课程 ü", "a;b,c=d+e", "{a}"]
)
def test_a_link_of_the_index_leads_to_the_page(chromium, tmp_path, name):
    (tmp_path / f"{name}.html").write_text("<p id=arrived>", encoding="utf-8")
    page = chromium.new_page()
    page.goto(pages.write_index(tmp_path, [pages.Card(name, "ok")], 1.0).as_uri())
    assert page.locator("h2").text_content() == name
    page.locator("a").click()
    page.wait_for_selector("#arrived", state="attached", timeout=5000)
    page.close()


def test_the_course_s_own_tables_can_be_searched(chromium, tmp_path):
    page = chromium.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    source = ROOT / "chapters" / "15_document_review.ipynb"
    pages.write_page(source, tmp_path / "15.html", source.parent)
    page.goto((tmp_path / "15.html").as_uri())
    rows = page.locator("#gc-ledger tbody tr")
    assert rows.count() == 10, "the first of many pages of the table"
    page.locator("#gc-ledger_wrapper input[type=search]").fill("S1.2-a")
    page.wait_for_function("() => document.querySelectorAll('#gc-ledger tbody tr').length < 10")
    assert "S1.2-a" in rows.first.text_content()
    page.locator("details summary").first.click()
    assert page.locator("details[open]").count() >= 1
    assert complaints == []
    page.close()


def test_a_chapter_s_page_asks_for_nothing(visit, tmp_path):
    source = ROOT / "chapters" / "08_stable_diffusion.ipynb"
    pages.write_page(source, tmp_path / "a.html", source.parent)
    assert visit(tmp_path / "a.html") == []
