"""What the site's pages have beside what MyST-NB makes of a notebook: a small Sphinx extension.

- A formula is MathML, which browsers draw without a script and without a network.
- Under each task of an exercise stands its solution, folded.
- Cells have the anchors that they have in JupyterLab, pictures their width, and nothing is fetched from elsewhere.
- A word that a chapter sets in italics leads to the glossary, and says its meaning under the mouse.
- The page that paints in the browser gets its networks, made of the zoo's weights.
"""

import html
import json
import re
from pathlib import Path

from docutils import nodes
from export_generator import export

from gan_course.commands.formulas import mathml
from gan_course.commands.notebooks import PICTURES

GLOSSARY = "gan_course/ledger/glossary"
BADGE = re.compile(r"\[!\[([^\]]*)\]\(https?:[^)]*\)\]\(([^)]*)\)")  # a picture from elsewhere that is a link


def prepare(app, docname, source):
    """Change a page's text before it is read."""
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".ipynb":
        source[0] = BADGE.sub(r"[\1](\2)", source[0])
        if docname == "docs/progress":
            source[0] = source[0].replace("TASKS", tasks(app, path.parents[1] / "exercises"))
        return
    notebook = json.loads(source[0])
    if path.parent.name == "exercises":
        solution = path.parents[1] / "solutions" / path.name
        app.env.note_dependency(solution)
        notebook["cells"] = with_solutions(notebook["cells"], json.loads(solution.read_text(encoding="utf-8"))["cells"])
    for cell in notebook["cells"]:
        tags = cell["metadata"].setdefault("tags", [])
        if "setup" in tags:
            tags.append("hide-input")
        if cell["cell_type"] == "markdown":
            cell["source"] = BADGE.sub(r"[\1](\2)", "".join(cell["source"]))
    app.env.temp_data["cells"] = notebook["cells"]
    source[0] = json.dumps(notebook)


def with_solutions(cells: list[dict], solved: list[dict]) -> list[dict]:
    """The cells of an exercise; after the hints of each task its solution, as a cell that is folded."""
    answers = {cell["id"]: cell for cell in solved if cell["metadata"].get("nbgrader", {}).get("solution")}
    made, waiting = [], []
    for cell in cells:
        made.append(cell)
        if cell["id"] in answers and cell["cell_type"] == "code":
            answer = answers[cell["id"]]
            text = "".join(line for line in answer["source"] if not re.match(r"\s*### (BEGIN|END) SOLUTION", line))
            waiting.append(
                {"cell_type": "code", "execution_count": None, "id": f"{cell['id']}-solution", "outputs": []}
                | {"metadata": {"tags": ["hide-input"], "mystnb": FOLDED}, "source": text}
            )
        if cell["cell_type"] == "markdown" and "".join(cell["source"]).startswith("<details>"):
            made, waiting = made + waiting, []
    return made + waiting


def tasks(app, folder: Path) -> str:
    """A table of all tasks in the exercises of ``folder``, each with the name of its check."""
    rows = []
    for path in sorted(folder.glob("*.ipynb")):
        app.env.note_dependency(path)
        task: tuple[str, ...] = ()
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            text = "".join(cell["source"])
            if found := re.search(r"^## Task (.*)\n\n\*(.*?) · about (\d+ minutes) · (\d+) points?\*", text):
                task = found.groups()
            elif task and cell["metadata"].get("nbgrader", {}).get("solution"):
                link = f"../exercises/{path.stem}.html#cell-id={cell['id']}"
                title, level, minutes, points = map(html.escape, task)
                rows.append(
                    f'<tr data-task="NAME"><td>{path.stem[:2]}</td><td><a href="{link}">{title}</a></td>'
                    f"<td>{level}</td><td>{minutes}</td><td>{points}</td><td>–</td></tr>"
                )
            elif found := re.match(r"checks\.check_(\w+)\(\w+\)\s*$", text):
                rows[-1], task = rows[-1].replace("NAME", found[1]), ()
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("chapter", "task", "difficulty", "minutes", "points", "passed")
    )
    return (
        f'<div class="table-wrapper"><table id="tasks" class="docutils"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


FOLDED = {"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}


def finish(app, doctree):
    """Anchors of cells, widths of pictures, links to the glossary."""
    docname = app.env.docname
    if docname == GLOSSARY:
        name_rows(doctree)
    if Path(app.env.doc2path(docname)).suffix != ".ipynb":
        return
    cells = app.env.temp_data["cells"]
    for node in doctree.findall(nodes.container):
        if node.get("nb_element") == "cell_code":
            cell = cells[node["cell_index"]]
            node["ids"].append(f"cell-id={cell['id']}")
            described = [output.get("metadata", {}) for output in cell["outputs"]]
            outputs = [next((found[kind] for kind in PICTURES if kind in found), None) for found in described]
            # Pictures hold more pixels than they take up on the page; MyST doesn't read how wide they should be.
            for image, described in zip(node.findall(nodes.image), filter(None, outputs), strict=False):
                if "width" in described:
                    image["width"] = f"{described['width']}px"
    if docname.startswith("chapters/"):
        link_words(app, doctree, meanings(app))


def meanings(app) -> dict[str, str]:
    """Each word of the glossary, in small letters → its meaning."""
    text = Path(app.srcdir, f"{GLOSSARY}.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \| \d\d \|$", text, flags=re.MULTILINE)
    return {re.sub(r" \(.*", "", word).lower(): meaning for word, meaning in rows}


def anchor(word: str) -> str:
    return "word-" + re.sub(r"\W+", "-", re.sub(r" \(.*", "", word).lower())


def name_rows(doctree):
    """Each row of the glossary's table gets an anchor made of its word."""
    for row in doctree.findall(nodes.row):
        row["ids"].append(anchor(row[0].astext()))


def link_words(app, doctree, known: dict[str, str]):
    """The first time that a chapter sets a word of the glossary in italics or bold, it becomes a link."""
    page = app.builder.get_relative_uri(app.env.docname, GLOSSARY)
    for node in list(doctree.findall(lambda node: isinstance(node, nodes.emphasis | nodes.strong))):
        said = node.astext().lower()
        word = said if said in known else said.removesuffix("s")
        if word in known and not isinstance(node.parent, nodes.reference | nodes.title):
            link = nodes.reference(refuri=f"{page}#{anchor(word)}", reftitle=known.pop(word), classes=["word"])
            link["internal"] = True
            node.replace_self(link)
            link += node


# What furo and MyST-NB leave to be done for readers who use a keyboard or have a page read aloud.
ACCESSIBLE = (
    ('role="heading"', 'role="heading" aria-level="2"'),
    (' aria-label="Toggle hidden content"', ""),  # would hide the words of the summary
    ("<pre>", '<pre tabindex="0">'),  # what scrolls sideways must do so by keys, too
    ('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
)
# Links in outputs and folded texts lead to notebooks and Markdown files; here these are pages.
FILE = re.compile(r'href="((?:\.\./)*(?:(?:chapters|exercises|docs|gan_course/ledger)/)?[\w-]+)\.(?:ipynb|md)(["#])')


def write_page(app, pagename, templatename, context, doctree):
    """The last touch to a page's HTML and to the navigation beside it."""
    for name in ("body", "furo_navigation_tree"):
        if name in context:
            text = FILE.sub(r'href="\1.html\2', context[name])
            for found, better in ACCESSIBLE:
                text = text.replace(found, better)
            context[name] = text


def name_types(app, what, name, item, options, signature, returns):
    """The names of kinds of arguments, which Sphinx shows by its own wrapper where they stand in a union."""
    plain = [re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", part) if part else part for part in (signature, returns)]
    return tuple(plain)


def inline_formula(writer, node):
    writer.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def displayed_formula(writer, node):
    writer.body.append(writer.starttag(node, "div", CLASS="math", TABINDEX="0"))  # a wide one scrolls, by keys as well
    writer.body.append(mathml(node.astext(), "block"))
    writer.body.append("</div>")
    raise nodes.SkipNode


def write_networks(app, exception):
    if exception is None:
        export(Path(app.outdir, "_static/generator"))


def setup(app):
    app.add_html_math_renderer("mathml", (inline_formula, None), (displayed_formula, None))
    app.connect("source-read", prepare)
    app.connect("autodoc-process-signature", name_types)
    app.connect("doctree-read", finish)
    app.connect("html-page-context", write_page, priority=900)  # after furo has made its navigation
    app.connect("build-finished", write_networks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
