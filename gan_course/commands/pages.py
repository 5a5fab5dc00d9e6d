"""The pages of a run: one HTML page a chapter, and an index with a picture of each."""

from __future__ import annotations

import base64
import html
import mimetypes
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from gan_course.commands import notebooks
from gan_course.files import write_whole

# nbconvert's lab page, with three changes: pictures carry the alternative text of their output; on a phone a printed
# table scrolls instead of breaking its lines; and nothing is fetched from the network: neither require.js, which only
# live widgets need, nor MathJax, because formulas are MathML here.
TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_css -%}
{{ super() }}
<style>@media (max-width: 640px) {
  .jp-RenderedText.jp-OutputArea-output pre { white-space: pre; overflow-x: auto; }
}</style>
{%- endblock -%}
{%- block data_png scoped -%}
<div class="jp-RenderedImage jp-OutputArea-output {{ extra_class }}">
<img alt="{{ (output | get_metadata('alt', 'image/png') or 'Output of the cell above') | escape_html }}"
src="data:image/png;base64,{{ output.data['image/png'] | escape_html }}">
</div>
{%- endblock -%}
"""

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


@dataclass(frozen=True)
class Card:
    """What the index says about one chapter."""

    name: str
    status: str  # "ok", "failed", "stopped", "not run" or "earlier run"
    seconds: float = 0.0
    error: str | None = None


def write_page(notebook: Path, page: Path, folder: Path) -> None:
    """Write ``notebook`` as one HTML file; pictures that it names are looked for in ``folder`` and embedded."""
    from nbconvert import HTMLExporter

    content = notebooks.read(notebook)
    content.metadata.pop("widgets", None)  # a page without a kernel can't move them; their text stays
    mark_error(content)
    for cell in content.cells:
        if cell.cell_type == "markdown":
            cell.source = mathml(cell.source)
    name = notebooks.title(content, notebook.stem)
    # nbconvert's own ``embed_images`` would close each <details> before its text, so pictures are embedded here.
    exporter = HTMLExporter(raw_template=TEMPLATE)
    body, _ = exporter.from_notebook_node(content, resources={"metadata": {"path": str(folder), "name": name}})
    body = re.sub(r"<img\b[^>]*>", lambda match: offline_image(match.group(), folder), body)
    # Chapters link to each other as notebooks; here they are pages, side by side.
    body = re.sub(r'href="(?:\./)?(\d\d_\w+)\.ipynb(#[^"]*)?"', r'href="\1.html\2"', body)
    write_whole(page, body.encode())


def mathml(text: str) -> str:
    """The formulas of a Markdown text, ``$...$`` and ``$$...$$``, as MathML, which browsers draw by themselves."""
    from latex2mathml.converter import convert

    def formula(match: re.Match) -> str:
        code, block, inline = match.groups()
        if code:
            return code
        made = convert(block or inline, display="block" if block else "inline")
        made = re.sub(r"<mi>(log|max|min)</mi>(?!<mo)", r'<mi>\1</mi><mspace width="0.17em"/>', made)
        # A minus after an opening bracket or a relation is a sign, not a difference: no space on its right.
        return re.sub(r"(<mo[^>]*>&#x000(?:28|3D);</mo>)<mo>&#x02212;", r'\1<mo form="prefix">&#x02212;', made)

    # Code is left alone; an inline formula touches its dollar signs, so that a price does not count as one.
    pattern = r"(```.*?```|`[^`\n]*`)|\$\$(.+?)\$\$|\$(?=\S)([^$\n]+?)(?<=\S)\$(?!\d)"
    return re.sub(pattern, formula, text, flags=re.DOTALL)


def offline_image(tag: str, folder: Path) -> str:
    """An <img> that needs nothing but the page: a file becomes part of it, a badge from the network its text."""
    source, alt = (re.search(rf'\b{name}="([^"]*)"', tag) for name in ("src", "alt"))
    if source is None or source[1].startswith("data:"):
        return tag
    if re.match(r"(?:https?:)?//", source[1]):
        return alt[1] if alt else ""
    file = folder / unquote(html.unescape(source[1]))
    if not file.is_file():
        return tag
    kind = mimetypes.guess_type(file.name)[0] or "image/png"
    data = base64.b64encode(file.read_bytes()).decode()
    return tag.replace(source.group(), f'src="data:{kind};base64,{data}"')


def mark_error(content: notebooks.NotebookNode) -> None:
    """Put papermill's two notes on the failed cell into the course's own words."""
    marks = [c for c in content.cells if "papermill-error-cell-tag" in notebooks.tags(c)]
    for cell, text in zip(
        marks,
        ["**This chapter stopped with an error: [go to the cell](#the-error).**", '<span id="the-error"></span>'],
        strict=False,
    ):
        cell.source = text


def write_index(out: Path, cards: Iterable[Card], total: float) -> Path:
    """Write ``index.html`` for the chapters of this run and return its path."""
    cards = list(cards)
    ok = sum(card.status == "ok" for card in cards)
    ran = sum(card.status != "earlier run" for card in cards)
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
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
{"".join(card_html(out, card) for card in cards)}</ol>
</main>
</body>
</html>
"""
    index = out / "index.html"
    write_whole(index, text.encode())
    return index


def card_html(out: Path, card: Card) -> str:
    """One chapter: its picture with alternative text, title, status and time, and the link to its page."""
    executed, page = out / "notebooks" / f"{card.name}.ipynb", out / f"{card.name}.html"
    content = notebooks.read(executed) if executed.exists() else None
    heading = html.escape(notebooks.title(content, card.name) if content else card.name)
    picture = notebooks.cover_picture(content) if content else None
    image = '<div class="blank"></div>'
    if picture:
        alt = html.escape(picture[1] or f"A picture from {card.name}")
        image = f'<img src="data:image/png;base64,{picture[0]}" alt="{alt}">'
    if page.exists():
        heading = f'<a href="{page.name}">{heading}</a>'
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


def duration(seconds: float) -> str:
    """Seconds in words that fit on a line: "31 s", "2 min 5 s"."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
