"""The site: ``sphinx-build -c docs . build/site`` in the course folder. Notebooks show the outputs stored in them."""

import json
import re
from pathlib import Path

from docutils import nodes

project = "gan_course"
author = "The gan_course authors"
project_copyright = "The gan_course authors. Text and figures: CC BY 4.0, code: Apache-2.0"

extensions = ["myst_nb"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "gan_course/ledger/glossary.md",
    "chapters/*.ipynb",
    "exercises/*.ipynb",
    "solutions/*.ipynb",
    "*.md",
]

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# The rows of chapter 15's ledger are anchors in its outputs, which MyST doesn't read; a test follows these links.
suppress_warnings = ["myst.xref_missing"]
html_theme = "alabaster"
html_static_path: list[str] = []


def name_cells(app, doctree):
    """Give each code cell the anchor that it has in JupyterLab, for the ledger, and its pictures their width."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for node in doctree.findall(nodes.container):
            if node.get("nb_element") == "cell_code":
                cell = cells[node["cell_index"]]
                node["ids"].append(f"cell-id={cell['id']}")
                outputs = [output.get("metadata", {}).get("image/png") for output in cell["outputs"]]
                # Pictures hold more pixels than they take up on the page; MyST doesn't read how wide they should be.
                for image, described in zip(node.findall(nodes.image), filter(None, outputs), strict=False):
                    image["width"] = f"{described['width']}px" if "width" in described else "auto"


def link_pages(app, pagename, templatename, context, doctree):
    """Links in outputs lead to notebooks; here these are pages, side by side."""
    if "body" in context:
        context["body"] = re.sub(r'href="(\d\d_\w+)\.ipynb', r'href="\1.html', context["body"])


def setup(app):
    app.connect("doctree-read", name_cells)
    app.connect("html-page-context", link_pages)
