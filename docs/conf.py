"""The site: `sphinx-build -c docs . build/site` in the course folder. Notebooks show the outputs stored in them."""

project = "gan_course"
author = "The gan_course authors"
project_copyright = "The gan_course authors. Text and figures: CC BY 4.0, code: Apache-2.0"

extensions = ["myst_nb"]
root_doc = "docs/index"
include_patterns = ["docs/**", "gan_course/ledger/glossary.md", "chapters/*.ipynb", "exercises/*.ipynb", "solutions/*.ipynb", "*.md"]

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_static_path: list[str] = []
