"""The slides of every chapter in a browser: none is fuller than its frame, and none asks the network for anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gan_course.commands import slides

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
# Goes through the slides as the keyboard does and returns, for each, its number, its scale, and how many pixels of it
# lie outside of the frame, below and to the right.
WALK = """() => {
  const found = [];
  for (const slide of leaves()) {
    const { h, v } = deck.getIndices(slide);
    deck.slide(h, v);
    const box = slide.querySelector(".fit"), frame = document.querySelector(".slides").getBoundingClientRect();
    const scale = Number(box.style.transform.match(/scale\\((.*)\\)/)[1]);
    const below = 24 + box.scrollHeight * scale - 720, right = 40 + box.scrollWidth * scale - 1280;
    found.push({ h, v, scale, below, right, wide: frame.width, text: box.innerText.slice(0, 60) });
  }
  return found;
}"""


@pytest.fixture(scope="module")
def walk(chromium: Browser, tmp_path_factory):
    """Makes a chapter's deck, opens it and returns (what ``WALK`` found, addresses that it asked for)."""
    folder = tmp_path_factory.mktemp("slides")
    page = chromium.new_page(viewport={"width": slides.WIDTH, "height": slides.HEIGHT})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)

    def walk(source: Path, text: str | None = None) -> tuple[list[dict], list[str]]:
        target = folder / f"{source.stem}.html"
        target.write_text(text or slides.deck(source)[0], encoding="utf-8")
        asked.clear()
        page.goto(target.as_uri())
        page.wait_for_function("() => typeof deck !== 'undefined' && deck.isReady()")
        return page.evaluate(WALK), [url for url in asked if url != target.as_uri()]

    yield walk
    page.close()


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
def test_no_slide_overflows(walk, source, capsys):
    found, asked = walk(source)
    over = [slide for slide in found if slide["below"] > 1 or slide["right"] > 1]
    with capsys.disabled():
        small = min(slide["scale"] for slide in found)
        print(f"\n{source.stem}: {len(found)} slides, {len(over)} overflow, the smallest scale is {small:.2f}")
    assert over == []
    assert min(slide["wide"] for slide in found) > 0.95 * slides.WIDTH, "a slide fills the window"
    assert asked == []
    assert len(found) > 10


def test_it_would_see_an_overflow(walk, tmp_path):
    text, _ = slides.deck(CHAPTERS[0])
    found, _ = walk(CHAPTERS[0], text.replace("</body>", "<style>.fit { min-height: 3000px; }</style></body>"))
    assert all(slide["below"] > 1 for slide in found)
