"""The ledger, the reading list, the glossary and the quiz as a notebook shows them: HTML that needs no kernel.

Where a page runs no scripts, such as GitHub's, the tables are plain ones and lack only the search. Where it keeps no
HTML at all, the text stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape

from gan_course import plots
from gan_course.ledger import CHAPTERS, FOLDER, Claim, counts, load, of_sections, quiz, reading
from gan_course.ledger.findings import SETTLED, Finding
from gan_course.ledger.glossary import terms

HERE = "15"  # this chapter, to which a link needs no file
STYLE = """<style>
.gc-review { font-size: .95em; line-height: 1.45; }
.gc-review article { border-left: 3px solid #8888; margin: 0 0 1.1em; padding: .1em 0 .1em .9em; }
.gc-review article.gc-item { margin-left: 1.5em; }
.gc-review h4, .gc-review h5 { margin: 0 0 .2em !important; font-size: 1em; font-weight: bold; }
.gc-review p { margin: 0 0 .25em; overflow-wrap: anywhere; }
.gc-review .gc-verdict { border: 1px solid; border-radius: .3em; padding: 0 .4em; white-space: nowrap; }
.gc-review .gc-small { font-size: .87em; opacity: .8; }
.gc-review table { border-collapse: collapse; width: 100%; table-layout: auto; }
.gc-review th, .gc-review td { text-align: left !important; vertical-align: top; padding: .35em .5em;
  white-space: normal; overflow-wrap: break-word; }
.gc-review td { border-top: 1px solid #8885; }
.gc-review .gc-key { white-space: nowrap; }
.gc-review .gc-bar, .gc-review .dt-layout-row { display: flex; flex-wrap: wrap; gap: .4em 1em; padding: .4em 0;
  justify-content: space-between; }
.gc-review input, .gc-review select { font: inherit; max-width: 100%; padding: .15em .3em; margin: 0 .3em 0 0; }
.gc-review .dt-search input { margin: 0 0 0 .4em; }
.gc-review .dt-layout-table { display: block; }
.gc-review .dt-paging-button { font: inherit; background: none; color: inherit; border: 1px solid #8885;
  cursor: pointer; padding: .1em .55em; margin: 0 .1em; border-radius: .25em; }
.gc-review .dt-paging-button.current { font-weight: bold; border-color: currentColor; }
.gc-review .dt-paging-button.disabled { opacity: .4; cursor: default; }
.gc-review th.dt-orderable-asc, .gc-review th.dt-orderable-desc { cursor: pointer; white-space: nowrap; }
.gc-review .dt-column-header { display: inline-flex; gap: .3em; }
.gc-review .dt-column-order::after { content: "↕"; opacity: .4; }
.gc-review .dt-ordering-asc .dt-column-order::after { content: "↑"; opacity: 1; }
.gc-review .dt-ordering-desc .dt-column-order::after { content: "↓"; opacity: 1; }
.gc-review details { margin: .15em 0 .15em 1em; }
.gc-review summary { cursor: pointer; }
@media (max-width: 640px) {
  .gc-review table, .gc-review tbody, .gc-review tr, .gc-review td { display: block; width: auto !important; }
  .gc-review thead { display: none; }
  .gc-review tr { border-top: 2px solid #8888; padding: .3em 0; }
  .gc-review td { border: 0; padding: .1em 0; }
  .gc-review .gc-key { font-weight: bold; }
}
</style>"""

#: What turns a plain table into one to sort and search. `TABLE` is its id, `CHOOSE` a column to choose from, or -1.
START = """<script>(function () {
  const table = document.getElementById("TABLE"), column = CHOOSE;
  if (!table || !window.DataTable || DataTable.isDataTable(table)) return;
  const made = new DataTable(table, {pageLength: 10, lengthMenu: [10, 25, 50, -1], order: [], autoWidth: false,
    language: {lengthMenu: "_MENU_ rows a page", search: "Search", info: "_START_ to _END_ of _TOTAL_",
      infoFiltered: "(of _MAX_ in all)", infoEmpty: "no row", zeroRecords: "No row has all these words."}});
  if (column < 0) return;
  const choice = document.createElement("select");
  choice.setAttribute("aria-label", "Show one verdict only");
  choice.add(new Option("all verdicts", ""));
  const words = made.column(column).nodes().toArray().map(function (cell) { return cell.textContent.trim(); });
  [...new Set(words)].sort().forEach(function (word) { choice.add(new Option(word, word)); });
  choice.addEventListener("change", function () {
    made.column(column).search(choice.value ? "^" + choice.value + "$" : "", true, false).draw();
  });
  const bar = document.createElement("div");
  bar.className = "gc-bar";
  bar.append(choice);
  table.closest(".gc-review").prepend(bar);
})();</script>"""


def display(html: str, text: str) -> None:
    """Show ``html`` in the notebook, or ``text`` where there is no HTML. Outside of a notebook it does nothing."""
    if plots.in_notebook():
        from IPython.display import display as show_

        page = f'{STYLE}<div class="gc-review">{html}</div>'
        show_({"text/html": page, "text/plain": text}, raw=True)


@cache
def library() -> str:
    """DataTables, as a script that leaves nothing but its one name on the page."""
    code = (FOLDER / "datatables.min.js").read_text(encoding="utf-8")
    notice = "DataTables 3.1.5, MIT licence, copyright SpryMedia Limited and other contributors, datatables.net"
    # Its loader looks for a module system first; this hides any that the page may have.
    return f"<script>/* {notice} */\n(function (define, exports, module) {{{code}\n}})();</script>"


def key(text: str) -> str:
    """A cell's text that is never broken into lines."""
    return f'<span class="gc-key">{text}</span>'


def table(name: str, heading: Sequence[str], rows: Iterable[Sequence[str]], choose: int = -1) -> str:
    """A table of HTML cells with the id ``name``, to sort and search where :func:`library` is on the page.

    choose: number of a column whose values can be chosen from a list, or -1.
    """
    head = "".join(f"<th>{cell}</th>" for cell in heading)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    start = START.replace("TABLE", name).replace("CHOOSE", str(choose))
    return f'<table id="{name}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{start}'


# ------------------------------------------------------------------------------------------ the ledger


def link(evidence: str, text: str) -> str:
    """The link from a row to a cell that shows it."""
    chapter, _, cell = evidence.partition("#")
    file = "" if chapter == HERE else f"{CHAPTERS[int(chapter)]}.ipynb"
    return f'<a href="{file}#cell-id={cell}">{text}</a>'


def shown_in(claim: Claim) -> str:
    """Where a claim is shown, as HTML: "02, 03 (1, 2)"; a chapter to come is open, and has no link."""
    found: dict[str, list[str]] = {}
    for evidence in claim.evidence:
        found.setdefault(evidence[:2], []).append(evidence)
    parts = []
    for chapter, links in found.items():
        if "#" not in links[0]:
            parts.append(f"{chapter} (open)")
        elif len(links) == 1:
            parts.append(link(links[0], chapter))
        else:
            parts.append(f"{chapter} ({', '.join(link(each, str(n)) for n, each in enumerate(links, start=1))})")
    return ", ".join(parts) or "no cell"


def settle(claim: Claim) -> Finding | None:
    """The claim computed anew, where a computation can settle it."""
    from gan_course.ledger import arithmetic, programs  # noqa: F401  they put their functions on the list

    function = SETTLED.get(claim.id)
    return function() if function else None


def article(claim: Claim) -> str:
    """One row of the ledger in full, with its anchor, for a web page and for JupyterLab."""
    level, kind = ("h5", ' class="gc-item"') if claim.item else ("h4", "")
    finding = settle(claim)
    computed = (
        f"<p><b>Computed here.</b> It says: {escape(finding.says)}. Found: {escape(finding.found)}.</p>"
        if finding
        else ""
    )
    sources = "; ".join(reading.citation(key) for key in claim.sources)
    return (
        f"<article{kind}>"
        f'<{level} id="{claim.id}" data-jupyter-id="{claim.id}" class="jp-toc-ignore">{claim.id} '
        f'<span class="gc-verdict">{claim.verdict}</span></{level}>'
        f"<p>Section {claim.section if claim.section != '0' else '0, title and abstract'}. {escape(claim.claim)}</p>"
        f"<p><b>What holds.</b> {escape(claim.correct)}</p>{computed}"
        f'<p class="gc-small">Shown in: {shown_in(claim)}. Sources: {sources}.</p></article>'
    )


def show(*sections: str) -> None:
    """Show all rows of these sections of the document, and compute anew what can be computed.

    Raises ``ValueError`` where the ledger has no such section.
    """
    claims = of_sections(*sections)
    if not claims:
        raise ValueError(f"the ledger has no section {', '.join(sections)}: they are '0' (title and abstract) to '10'")
    text = [f"{claim.id} {claim.verdict}: {claim.correct}" for claim in claims]
    display("".join(map(article, claims)), "\n".join(text))


def ledger_table() -> None:
    """Show the whole ledger as one table to search and to sort, with the library for all tables of the page."""
    rows = [
        (key(f'<a href="#{c.id}">{c.id}</a>'), escape(c.claim), key(c.verdict), escape(c.correct), shown_in(c))
        for c in load()
    ]
    heading = ("row", "the document says", "verdict", "what holds", "shown in")
    text = ", ".join(f"{count} {verdict}" for verdict, count in counts().items())
    display(library() + table("gc-ledger", heading, rows, choose=2), f"{len(rows)} rows: {text}")


# ------------------------------------------------------------------------------------------ reading, words, quiz


def show_reading() -> None:
    """Show the reading list in the order in which to read."""
    keys = reading.reading_list()
    html = "".join(f"<li>{reading.citation(key)}</li>" for key in keys)
    text = [f"{n}. {re.sub('<.*?>', '', reading.citation(key))}" for n, key in enumerate(keys, start=1)]
    display(f"<ol>{html}</ol>", "\n".join(text))


def plain(markdown: str) -> str:
    """Markdown with a little LaTeX as HTML: ``$-\\log D$`` as "−log D" in italics."""

    def formula(match: re.Match) -> str:
        return f"<i>{match[1].replace('-', '−').replace(chr(92) + 'log', 'log')}</i>"

    return re.sub(r"\$(.+?)\$", formula, escape(markdown))


def show_glossary() -> None:
    """Show the glossary as a table to search and to sort."""
    rows = [(escape(t.english), escape(t.chinese), plain(t.meaning), t.chapter) for t in terms()]
    html = table("gc-glossary", ("English", "中文", "in one sentence", "chapter"), rows)
    display(html, "\n".join(f"{t.english} {t.chinese}: {t.meaning}" for t in terms()))


def show_quiz() -> None:
    """Show the quiz: each choice unfolds to its reply."""
    html, text = [], []
    for number, question in enumerate(quiz.questions(), start=1):
        html.append(f"<article><h4 class='jp-toc-ignore'>{number}. {escape(question.ask)}</h4>")
        text.append(f"{number}. {question.ask}")
        for letter, choice in zip(quiz.LETTERS, question.choices, strict=False):
            mark = "Right." if choice.right else "Not quite."
            html.append(f"<details><summary>{letter}. {escape(choice.text)}</summary>")
            html.append(f"<p>{mark} {escape(choice.reply)} (Chapter {question.chapter})</p></details>")
            text.append(f"   {letter}. {choice.text}")
        html.append("</article>")
    display("".join(html), "\n".join(text))
