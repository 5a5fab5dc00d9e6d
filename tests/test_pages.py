"""The pages of a run: nothing in them can act, everything in them is escaped. tests/browser opens them for real."""

from __future__ import annotations

import base64
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from hostile import MARKUP, RUN, hostile, others, shown
from notebooks import code, notebook, png, save, stream, text

from gan_course.commands import excerpt, formulas, notebooks, pages, safe_html
from gan_course.ledger import pages as ledger


class Parts(HTMLParser):
    """The tags of some HTML with their attributes, and the texts of its scripts."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts.append(data)


OWN = {safe_html.inside(ledger.library()), safe_html.inside(ledger.START).replace("TABLE", "gc-ledger")}


def dangers(content: str) -> list[str]:
    """Whatever in this HTML could act or ask for something."""
    parts, found = Parts(content), []
    for tag, attributes in parts.tags:
        if tag not in safe_html.TAGS | formulas.TAGS | {"script", "style"}:
            found.append(f"<{tag}>")
        for name, value in attributes.items():
            value = (value or "").strip().lower()
            if name.startswith(("on", "data-ajax", "srcset", "xlink", "form")):
                found.append(f"{name}={value}")
            if name == "src" and not value.startswith("data:"):
                found.append(f"{name}={value}")
            if name == "href" and re.match(r"(?!https?:|mailto:)[^/?#]*:|[/\\]{2}", value):
                found.append(f"{name}={value}")
            if name == "style" and "url" in value:
                found.append(f"{name}={value}")
    known = {script.replace("CHOOSE", "0") for script in OWN}
    found += [script[:60] for script in parts.scripts if script not in known]
    if content.count("<style>") != content.count(ledger.STYLE):
        found.append("a style")
    return found


@pytest.mark.parametrize("name", MARKUP)
def test_the_sanitizer_holds_alone(name, tmp_path):
    safe, policy = safe_html.sanitize(MARKUP[name], safe_html.Pieces(), tmp_path)
    assert dangers(safe) == []
    assert policy.startswith("default-src 'none';") and "unsafe-inline'; script-src '" in policy


def test_the_set_is_hostile_and_large():
    assert len(hostile()) >= 100
    assert sum(bool(dangers(content)) for content in MARKUP.values()) >= 0.9 * len(MARKUP)


def body(page: Path) -> str:
    content = page.read_text(encoding="utf-8")
    assert content.count('<meta http-equiv="Content-Security-Policy"') == 1
    return content.split("<main>", 1)[1]


def test_no_other_place_of_a_notebook_gets_past_it(tmp_path):
    cells = [cell for made in others().values() for cell in made.cells]
    source = tmp_path / "a.ipynb"
    made = notebook()
    made.cells, made.metadata = cells, others()["widgets' state"].metadata
    made.metadata.title = f"</title><script>{RUN}</script>"
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
    source.write_text(nbformat.writes(made), encoding="utf-8")
    pages.write_page(source, tmp_path / "a.html", tmp_path)
    assert dangers(body(tmp_path / "a.html")) == []
    head = (tmp_path / "a.html").read_text(encoding="utf-8").split("<main>")[0]
    assert "<script" not in head and "&lt;script" in head


def test_the_course_s_own_blocks_stay_and_are_known_by_their_text(tmp_path):
    start = ledger.START.replace("TABLE", "gc-ledger").replace("CHOOSE", "2")
    own = f"{ledger.library()}{ledger.STYLE}<p>x</p>{start}"
    safe, policy = safe_html.sanitize(own, safe_html.Pieces(), tmp_path)
    assert safe == own and policy.count("sha256-") == 2
    for changed in (start.replace("made", "Made", 1), start.replace("(function", "alert(1);(function", 1)):
        safe, policy = safe_html.sanitize(changed, safe_html.Pieces(), tmp_path)
        assert "script" not in safe and "script-src 'none'" in policy


def test_what_a_chapter_is_made_of_stays(tmp_path):
    kept = (
        '<details open><summary>Answer</summary><p class="a" style="text-align: right;">x <b>y</b></p></details>'
        '<table><thead><tr><th scope="col">a</th></tr></thead><tbody><tr><td colspan="2">1 &lt; 2 &amp; 3</td></tr>'
        '</tbody></table><ol start="3"><li>x</li></ol><a href="https://example.org/?a=1&amp;b=2">l</a>'
        '<a href="#cell-id=x">m</a><a href="mailto:a@example.org">n</a><sub>2</sub><kbd>Esc</kbd>'
    )
    assert safe_html.sanitize(kept, safe_html.Pieces(), tmp_path)[0] == kept


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ("01_concepts.ipynb#game", "01_concepts.html#game"),
        ("./a%20%23b.ipynb", "a%20%23b.html"),
        ("../exercises/01.ipynb", "../exercises/01.ipynb"),
        ("https://example.org/a.ipynb", "https://example.org/a.ipynb"),
    ],
)
def test_links_between_chapters_lead_to_pages(link, page, tmp_path):
    assert f'<a href="{page}">' in safe_html.sanitize(f'<a href="{link}">x</a>', safe_html.Pieces(), tmp_path)[0]


# ------------------------------------------------------------------------------------------------- pictures


@pytest.fixture
def folder(tmp_path):
    """A folder of chapters with a picture, beside one that is nobody's business."""
    folder = tmp_path / "chapters"
    (folder / "images").mkdir(parents=True)
    for place in (tmp_path, folder, folder / "images"):
        (place / "a.png").write_bytes(base64.b64decode(png()))
    (folder / "what? #1.png").write_bytes(base64.b64decode(png()))
    (folder / "notes.txt").write_text("secret")
    return folder


@pytest.mark.parametrize("source", ["a.png", "./images/a.png", "images/../a.png", "what%3F%20%231.png", "a.png?x#y"])
def test_a_picture_of_the_folder_becomes_part_of_the_page(folder, source):
    assert safe_html.embed(source, folder) == f"data:image/png;base64,{png()}"


@pytest.mark.parametrize(
    "source",
    ["../a.png", "%2e%2e/a.png", "images/../../a.png", "..%2fa.png", "/etc/hostname", "notes.txt", "gone.png", "images"]
    + ["file:///etc/hostname", "x\0.png", "a" * 5000, "out.png", "outside/a.png", "circle.png", "pipe.png"],
)
def test_no_other_file_does(folder, source):
    if os.name == "posix":
        (folder / "out.png").symlink_to(folder.parent / "a.png")
        (folder / "outside").symlink_to(folder.parent)
        (folder / "circle.png").symlink_to("circle.png")
        os.mkfifo(folder / "pipe.png")
    with pytest.raises(ValueError):
        safe_html.embed(source, folder)
    safe, _ = safe_html.sanitize(f'<img alt="A map" src="{source}">'.replace("\0", ""), safe_html.Pieces(), folder)
    assert "<img" not in safe and "data:" not in safe


# ------------------------------------------------------------------------------------------------- formulas


def test_bad_formulas_stay_as_they_were_typed():
    assert formulas.replace(r"a $\frac{$ b $\left($ c", lambda made, latex: "x").startswith(r"a $\frac{$ b ")


def test_a_formula_is_text_and_symbols_only():
    made = formulas.mathml(
        r"\text{<img src=x onerror=alert(1)> a\_b} \href{javascript:x}{y} \style{color:red}{z} \|w\|"
    )
    assert "<img" not in made and "&lt;img" in made and "a_b" in made and "‖" in made
    assert "href" not in made and "style=" not in made and "javascript" not in made


def test_a_formula_in_an_attribute_is_its_latex(tmp_path):
    pieces = safe_html.Pieces()
    made = formulas.replace('<p title="see $x < 1$">and $y$</p>', pieces.keep)
    safe, _ = safe_html.sanitize(made, pieces, tmp_path)
    assert 'title="see $x &lt; 1$"' in safe and safe.count("<math") == 1


# ------------------------------------------------------------------------------------------------- too much


def test_a_huge_output_is_cut_with_a_note(tmp_path):
    huge = "0123456789" * 11_000
    cells = [
        code("1") | {"outputs": [stream(huge), stream("never", "stderr")]},
        code("2") | {"outputs": [nbformat.v4.new_output("error", ename="E", evalue="x", traceback=[huge])]},
        shown("text/html", f"<p>{huge * 19}</p>"),
        code("3") | {"outputs": [stream(f"{n}\n", ("stdout", "stderr")[n % 2]) for n in range(600)]},
        text(huge),
    ]
    source = save(tmp_path / "a.ipynb", *cells)
    pages.write_page(source, tmp_path / "a.html", tmp_path)
    content = body(tmp_path / "a.html")
    assert len(content) < 500_000
    assert content.count("of 110,000 characters this page shows the first 100,000. All of it is in notebooks/a") == 3
    assert "of 2,090,007 characters this page shows none" in content
    assert "[1 more output is in notebooks/a.ipynb, not on this page.]" in content
    assert "[100 more outputs are in notebooks/a.ipynb, not on this page.]" in content


def test_markup_that_is_nested_too_deep_is_left_out(tmp_path):
    deep = "<div>" * 20_000
    source = save(
        tmp_path / "a.ipynb", shown("text/html", deep), shown("text/markdown", deep), text(deep), text("*end*")
    )
    pages.write_page(source, tmp_path / "a.html", tmp_path)
    content = body(tmp_path / "a.html")
    assert content.count("more than 2,000 tags within each other") == 3 and "<em>end</em>" in content
    assert excerpt.depth("<p>x<br><b>y</b></p>" * 3000) == 2


def test_the_pictures_of_a_course_are_not_cut():
    cell = nbformat.from_dict(shown("image/png", "A" * 5_000_000))
    excerpt.shorten(cell, "x")
    assert len(cell.outputs[0].data["image/png"]) == 5_000_000


def test_an_output_that_needs_a_kernel_says_so(tmp_path):
    source = save(tmp_path / "a.ipynb", shown("application/javascript", RUN), shown("text/x-other", "y"))
    pages.write_page(source, tmp_path / "a.html", tmp_path)
    assert "An output of application/javascript, which a page does not show." in body(tmp_path / "a.html")
    assert "An output of text/x-other, which" in body(tmp_path / "a.html")


def test_pieces_of_a_stream_are_joined():
    pieces = [stream("a"), stream("b"), stream("c", "stderr"), stream("d"), stream("e")]
    made = nbformat.from_dict(notebook(code("1") | {"outputs": pieces}))
    notebooks.join_streams(made)
    assert [(o.name, o.text) for o in made.cells[0].outputs] == [("stdout", "ab"), ("stderr", "c"), ("stdout", "de")]


# ------------------------------------------------------------------------------------------------- the index


@pytest.mark.parametrize(
    "name", ["a#b", "what?", "50% %41", "two words", "a\"b'c", "<a>&amp;", "课程 ü", "javascript:x"]
)
def test_names_of_files_are_escaped_and_linked(name, tmp_path):
    if os.name != "posix":
        pytest.skip("Windows allows no such names")
    from urllib.parse import unquote

    (tmp_path / f"{name}.html").write_text("x")
    index = pages.write_index(tmp_path, [pages.Card(name, "failed", error="<b>")], 1.0).read_text(encoding="utf-8")
    ((_, link),) = [part for part in Parts(index).tags if part[0] == "a"]
    assert unquote(link["href"]) == f"{name}.html" and not set(link["href"]) & set("#?:<>\"'& ")
    assert "&lt;b&gt;" in index and "<b>" not in index and "Content-Security-Policy" in index


def test_a_picture_and_a_title_cannot_end_their_place(tmp_path):
    attack = shown("image/png", f'x"><script>{RUN}</script>')
    save(tmp_path / "notebooks" / "a.ipynb", text(f"# <script>{RUN}</script>"), attack)
    save(tmp_path / "notebooks" / "b.ipynb", shown("image/png", png(), **{"image/png": {"alt": '"><script>'}}))
    save(tmp_path / "notebooks" / "c.ipynb", shown("image/png", png(), **{"image/png": ["alt"]}))
    cards = [pages.Card(name, "ok") for name in "abc"]
    index = pages.write_index(tmp_path, cards, 1.0).read_text(encoding="utf-8")
    assert "<script" not in index and index.count("<img") == 2 and '"><script>' not in index


def test_half_a_notebook_in_the_output_folder_is_a_card_without_a_picture(tmp_path):
    source = save(tmp_path / "notebooks" / "a.ipynb", text("# Title"))
    source.write_bytes(source.read_bytes()[:80])
    (tmp_path / "a.html").write_text("x")
    assert ">a</a>" in pages.write_index(tmp_path, [pages.Card("a", "earlier run")], 1.0).read_text(encoding="utf-8")
