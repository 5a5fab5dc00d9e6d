"""The pages of a run: one HTML page a chapter, and an index with a picture of each."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nbformat.v4 import new_markdown_cell

from gan_course.commands import excerpt, formulas, notebooks
from gan_course.commands.errors import CourseError
from gan_course.files import write_whole

# nbconvert's lab page, with these changes: pictures carry the alternative text of their output; on a phone a printed
# table scrolls instead of breaking its lines; and nothing is fetched from the network: neither require.js and mermaid,
# which only live widgets and diagrams need, nor MathJax, because formulas are MathML here.
PICTURE = """
{%- block data_KIND scoped -%}
<div class="jp-RenderedImage jp-OutputArea-output {{ extra_class }}">
{%- set width = output | get_metadata('width', 'MIME') %}
<img alt="{{ (output | get_metadata('alt', 'MIME') or 'Output of the cell above') | string | escape_html }}"
{%- if width is integer %} width="{{ width }}"{% endif %}
src="data:MIME;base64,{{ output.data['MIME'] | escape_html }}">
</div>
{%- endblock -%}
"""
PICTURES = "".join(
    PICTURE.replace("KIND", kind).replace("MIME", mime) for kind, mime in (("png", "image/png"), ("jpg", "image/jpeg"))
)
TEMPLATE = (
    """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block body_header -%}{{ super() }}BEGIN{%- endblock -%}
{%- block body_footer -%}END{{ super() }}{%- endblock -%}
{%- block html_head_css -%}
{{ super() }}
<style>@media (max-width: 640px) {
  .jp-RenderedText.jp-OutputArea-output pre { white-space: pre; overflow-x: auto; }
}</style>
{%- endblock -%}
"""
    + PICTURES
)

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #666; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --soft: #aaa; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { margin: 0; } header p, .note { color: var(--soft); margin: .25rem 0 0; }
ol { list-style: none; margin: 1.5rem 0 0; padding: 0; display: grid; gap: 1rem;
     grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); }
li { border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; display: flex; flex-direction: column; }
li img, .blank { width: 100%; height: 11rem; object-fit: contain; background: #fff; }
.blank { background: var(--line); }
li div.text { padding: .75rem 1rem 1rem; }
h2 { font-size: 1.1rem; line-height: 1.3; margin: 0; overflow-wrap: anywhere; }
.failed, .stopped { color: var(--bad); overflow-wrap: anywhere; }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Card:
    """What the index says about one chapter."""

    name: str
    status: str  # "ok", "failed", "stopped", "not run" or "earlier run"
    seconds: float = 0.0
    error: str | None = None


def write_page(notebook: Path, page: Path, folder: Path, error: str | None = None, at: int | None = None) -> None:
    """Write ``notebook`` as one HTML file that is safe to open, whoever wrote the notebook: see ``safe_html``.

    folder: pictures that the notebook names are looked for there, and become part of the page. error: what stopped the
    chapter; at: the index of the cell that did.
    """
    from nbconvert import HTMLExporter

    from gan_course.commands import safe_html

    content, pieces = notebooks.read(notebook), safe_html.Pieces()
    content.metadata.pop("widgets", None)  # a page without a kernel can't move them; their text stays
    content.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    notebooks.join_streams(content)
    for cell in content.cells:
        excerpt.shorten(cell, f"notebooks/{notebook.name}")
        if cell.cell_type == "markdown":
            cell.source = formulas.replace(cell.source, pieces.keep)
        for output in cell.get("outputs", []):
            for kind in notebooks.PICTURES:
                if kind in output.get("data", {}):
                    output.data[kind] = "".join(output.data[kind].split())
    mark_error(content, error, at)
    name = notebooks.title(content, notebook.stem)
    # nbconvert's own ``embed_images`` would close each <details> before its text, so pictures are embedded here.
    begin, end = pieces.keep(""), pieces.keep("")  # where the body begins and ends: nothing in it can say so itself
    exporter = HTMLExporter(raw_template=TEMPLATE.replace("BEGIN", begin).replace("END", end))
    made, _ = exporter.from_notebook_node(content, resources={"metadata": {"path": str(folder), "name": name}})
    head, rest = made.split(begin)
    body, policy = safe_html.sanitize(rest.split(end)[0], pieces, folder)
    before, after = head.split("<head>", maxsplit=1)
    text = f"""{before}<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">{after}{body}
</main>
</body>
</html>
"""
    write_whole(page, text.encode(errors="replace"))


def mark_error(content: notebooks.NotebookNode, error: str | None, at: int | None) -> None:
    """Say at the top of a page that the chapter stopped, and lead to the cell that did it."""
    if error is None:
        return
    said = "**This chapter stopped with an error.**"
    if at is not None and at < len(content.cells):
        content.cells.insert(at, new_markdown_cell('<span id="the-error"></span>'))
        said = "**This chapter stopped with an error: [go to the cell](#the-error).**"
    content.cells.insert(0, new_markdown_cell(f"{said}\n\n<pre>{html.escape(error)}</pre>"))


def write_index(out: Path, cards: Iterable[Card], total: float, pictures: bool = True) -> Path:
    """Write ``index.html`` for the chapters of this run and return its path. pictures: with one of each chapter."""
    cards = list(cards)
    ok = sum(card.status == "ok" for card in cards)
    ran = sum(card.status != "earlier run" for card in cards)
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GAN course</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>GAN course</h1>
<p>{ok} of {ran} chapters ran without an error, in {duration(total)}.</p>
</header>
<main>
<ol>
{"".join(card_html(out, card, pictures) for card in cards)}</ol>
</main>
</body>
</html>
"""
    index = out / "index.html"
    write_whole(index, text.encode(errors="replace"))
    return index


def card_html(out: Path, card: Card, pictures: bool = True) -> str:
    """One chapter: its picture with alternative text, title, status and time, and the link to its page."""
    page = out / f"{card.name}.html"
    content = executed(out / "notebooks" / f"{card.name}.ipynb")
    heading = html.escape(notebooks.title(content, card.name) if content else card.name)
    picture = notebooks.cover_picture(content) if content and pictures else None
    image = '<div class="blank"></div>'
    if picture:
        alt = html.escape(picture[1] or f"A picture from {card.name}")
        image = f'<img src="{picture[0]}" alt="{alt}">'
    if page.exists():
        heading = f'<a href="{html.escape(quote(page.name, safe=""))}">{heading}</a>'
    note = {"ok": duration(card.seconds), "not run": "not run", "earlier run": "from an earlier run"}.get(
        card.status, f"{card.status} after {duration(card.seconds)}"
    )
    error = f'<p class="failed">{html.escape(card.error)}</p>' if card.error else ""
    return f"""<li>
{image}
<div class="text">
<h2>{heading}</h2>
<p class="note {card.status.replace(" ", "-")}">{note}</p>{error}
</div>
</li>
"""


def executed(path: Path) -> notebooks.NotebookNode | None:
    """The notebook that a run left, or None where there is none, or half of one."""
    try:
        return notebooks.read(path)
    except CourseError:
        return None


def duration(seconds: float) -> str:
    """Seconds in words that fit on a line: "31 s", "2 min 5 s"."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
