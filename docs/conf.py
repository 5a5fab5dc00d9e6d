"""The site: ``sphinx-build -c docs . build/site`` in the course folder. Notebooks show the outputs stored in them."""

import sys
from pathlib import Path

from gan_course import arguments

sys.path.insert(0, str(Path(__file__).parent))  # for site_pages and what it imports

project = "gan_course"
author = "The gan_course authors"
project_copyright = "The gan_course authors. Text and figures: CC BY 4.0, code: Apache-2.0"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.githubpages", "site_pages"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "gan_course/ledger/glossary.md",
    "chapters/*.ipynb",
    "exercises/*.ipynb",
    "*.md",
]
# The Chinese pages, where `make chinese` has made them.
if (Path(__file__).parents[1] / "build/zh_CN/chapters").is_dir():
    include_patterns += [f"build/zh_CN/{part}" for part in ("chapters/*.ipynb", "exercises/*.ipynb", "glossary.md")]
else:
    exclude_patterns = ["docs/zh_CN/**"]

nb_execution_mode = "off"
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# The rows of chapter 15's ledger are anchors in its outputs, which MyST doesn't read; docs/check_site.py follows them.
# And the Chinese pages stand in the navigation whether they have been made or not.
suppress_warnings = ["myst.xref_missing", "toc.excluded"]

# The reference shows types by the names that the library gives them: `Floats`, not what stands behind.
autodoc_type_aliases = {name: name for name in vars(arguments) if name[:1].isupper()}
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # of PyTorch: what forward does, the class says
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}

html_theme = "furo"
html_title = "GAN course"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "redirect.html"}
templates_path = ["templates"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
