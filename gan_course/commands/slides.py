"""``gan-course slides``: each chapter's notebook as slides, one HTML file that needs no network.

nbconvert draws them. What is a slide is said by a rule, and written into a copy's metadata: a heading begins a slide to
the right, everything else stands below it, one thought each. Setup and parameters are left out.
"""

from __future__ import annotations

import copy
import html
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from gan_course.commands import formulas, notebooks, pages
from gan_course.files import write_whole

FOLDER = Path(__file__).parent / "reveal"
WIDTH, HEIGHT = 1280, 720
LONGEST = 900  # characters of a text on one slide: ten lines
LINES = 30  # of a cell's printed text: more is in the notebook
SKIPPED = {"setup", "parameters"}
BADGES = re.compile(r"^\[!\[.*\n?|^\[source\].*\n?", flags=re.MULTILINE)
# A fence, a fold, a paragraph of a quotation, a table or a list, another paragraph.
BLOCK = re.compile(
    r"```.*?```|<details.*?</details>|(?:^> [^\n]+\n?)+|(?:^(?:\||[-*] |\d+\. )[^\n]*\n?)+|(?:^(?!\s*$|>)[^\n]+\n?)+",
    flags=re.DOTALL | re.MULTILINE,
)

TEMPLATE = """
{%- extends 'reveal/index.html.j2' -%}
{%- block header -%}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ resources['metadata']['name'] | escape_html_keep_quotes }}</title>
{{ resources.include_css("static/index.css") }}
{{ resources.include_css("static/theme-light.css") }}
REVEAL_CSS
<style>THEME</style>
</head>
{%- endblock -%}
{%- block footer_js -%}
REVEAL_JS
<script>FIT</script>
{%- endblock -%}
"""
THEME = """
:root { --jp-content-font-size1: 25px; --jp-code-font-size: 15px; --jp-ui-font-size1: 22px; --jp-cell-prompt-width: 0; }
html, body, main { height: 100%; margin: 0; }
body { background: #fff; }
.reveal { font-family: system-ui, sans-serif; color: #1a1a1a; }
.reveal .slides { text-align: left; }
.reveal .slides section { height: 100%; padding: 0; box-sizing: border-box; }
.fit { position: absolute; top: 24px; left: 40px; width: 1200px; transform-origin: top left; }
.fit h1 { font-size: 46px; border-bottom: 4px solid #1f77b4; padding-bottom: 10px; margin: .2em 0; }
.fit h2 { font-size: 38px; border-bottom: 2px solid #1f77b4; padding-bottom: 6px; margin: .2em 0; }
.fit h3 { font-size: 30px; }
.fit .jp-RenderedHTMLCommon { line-height: 1.45; padding-right: 0; }
.fit .jp-InputPrompt, .fit .jp-OutputPrompt, .fit .jp-Collapser, .fit .anchor-link { display: none; }
.fit .jp-Cell { padding: 0; }
.fit .jp-InputArea-editor { border: 0; background: #f6f7f9; }
.fit .jp-OutputArea-output pre { font-size: 16px; white-space: pre-wrap; overflow-wrap: anywhere; }
.fit .highlight pre { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.3; }
.fit img { max-width: 100%; max-height: 640px; width: auto; height: auto; margin: 0; }
.fit .jp-CodeCell:has(img) { display: flex; gap: 24px; align-items: flex-start; }
.fit .jp-CodeCell:has(img) > .jp-Cell-inputWrapper { flex: 0 1 42%; min-width: 0; }
.fit .jp-CodeCell:has(img) > .jp-Cell-outputWrapper { flex: 1 1 58%; min-width: 0; }
.fit .jp-OutputArea-child, .fit .jp-OutputArea-output { display: block; }
.fit .jp-OutputArea-output:not(.jp-RenderedImage) { max-height: 560px; overflow: auto; }
.fit table { font-size: 18px; }
.fit blockquote { border-left: 6px solid #1f77b4; margin: 0; padding-left: 16px; }
"""
# A slide that is too full is drawn smaller, down to half; what is still too large then, the test finds.
FIT = """
const deck = new Reveal({ width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4, center: false,
  controls: true, progress: true, hash: true, slideNumber: "c/t", transition: "none", viewDistance: 1000 });
function leaves() {
  return [...document.querySelectorAll(".slides section")].filter(slide => !slide.querySelector("section"));
}
for (const slide of leaves()) {
  const box = document.createElement("div");
  box.className = "fit";
  box.append(...slide.childNodes);
  slide.append(box);
}
function fit(slide) {
  const box = slide.querySelector(".fit");
  const factor = Math.min(1, 680 / box.scrollHeight, 1200 / box.scrollWidth);
  box.style.transform = `scale(${Math.max(0.5, factor)})`;
}
deck.initialize().then(() => {
  deck.on("slidechanged", event => fit(event.currentSlide));
  document.addEventListener("toggle", () => fit(deck.getCurrentSlide()), true);
  fit(deck.getCurrentSlide());
});
"""


def slides(root: str | Path = ".", out: str = "build/slides", only: list[str] | None = None) -> int:
    """Write ``OUT/NAME.html`` for each chapter, or for those of ``only``, with its committed outputs; return 0."""
    folder = notebooks.course_folder(root)
    chapters = notebooks.list_notebooks(folder / "chapters")
    chosen = notebooks.choose(chapters, only) if only else chapters
    for path in chosen:
        text, count = deck(path)
        write_whole(folder / out / f"{path.stem}.html", text.encode(errors="replace"))
        print(f"{out}/{path.stem}.html: {count} slides")
    return 0


def deck(path: Path) -> tuple[str, int]:
    """(the HTML of a notebook's slides, how many there are)."""
    from nbconvert import SlidesExporter

    from gan_course.commands.safe_html import Pieces

    content, pieces = arrange(notebooks.read(path)), Pieces()
    for cell in content.cells:
        if cell.cell_type == "markdown":
            cell.source = formulas.replace(cell.source, pieces.keep)
    name = notebooks.title(content, path.stem)
    exporter = SlidesExporter(raw_template=template())
    text, _ = exporter.from_notebook_node(content, {"metadata": {"path": str(path.parent), "name": name}})
    return pieces.restore(text), len(content.cells)


@cache
def template() -> str:
    """The template with reveal.js, its style sheet and ours in it. Jinja must not read what stands in them."""
    css = (FOLDER / "reveal.css").read_text(encoding="utf-8")
    script = (FOLDER / "reveal.js").read_text(encoding="utf-8")
    raw = {
        "REVEAL_CSS": f"<style>{css}</style>",
        "REVEAL_JS": f"<script>{script.replace('</script', '<' + chr(92) + '/script')}</script>",
        "THEME": THEME,
        "FIT": FIT,
    }
    return re.sub("|".join(raw), lambda found: "{% raw %}" + raw[found[0]] + "{% endraw %}", TEMPLATE) + pages.PICTURES


def arrange(notebook: NotebookNode) -> NotebookNode:
    """A copy whose cells are the slides, each with its ``slide_type``."""
    made = copy.deepcopy(notebook)
    made.metadata.pop("widgets", None)
    notebooks.join_streams(made)
    notebooks.keep_stills(made)
    made.cells = [piece for cell in made.cells for piece in pieces_of(cell)]
    for cell in made.cells:
        heading = cell.cell_type == "markdown" and re.match(r"##? ", cell.source)
        cell.metadata["slideshow"] = {"slide_type": "slide" if heading else "subslide"}
    if made.cells:
        made.cells[0].metadata["slideshow"]["slide_type"] = "slide"
    return made


def pieces_of(cell: NotebookNode) -> Iterator[NotebookNode]:
    """The slides that one cell becomes: none for plumbing, several for a long text."""
    if cell.cell_type != "markdown":
        if not SKIPPED & set(notebooks.tags(cell)):
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if output.output_type == "stream":
                    output.text = first_lines(output.text)
            yield cell
        return
    for text in parts_of(BADGES.sub("", cell.source)):
        yield new_markdown_cell(text)


def first_lines(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    more = len(lines) - LINES
    return text if more <= 0 else "\n".join([*lines[:LINES], f"... and {more} lines more, in the notebook"])


def parts_of(text: str) -> Iterator[str]:
    """A text in parts of ``LONGEST`` characters or fewer where that can be done between two blocks.

    A heading begins a part and stays with what follows it. Folded answers stand alone, closed.
    """
    part = ""
    for block in (match[0].strip("\n") for match in BLOCK.finditer(text)):
        folded, heading = block.startswith("<details"), re.match(r"#+ ", block)
        full = len(part) + visible(block) > LONGEST and not re.fullmatch(r"#+ .*", part)
        if part and (folded or heading or full):
            yield part
            part = ""
        part = f"{part}\n\n{block}" if part else block
    if part:
        yield part


def visible(block: str) -> int:
    """How many characters of a block a reader sees: not the addresses of its links."""
    return len(html.unescape(re.sub(r"\]\([^)]*\)|<[^>]+>", "", block)))
