"""``gan-course new``: the skeleton of a chapter and of its exercises, with all parts that every notebook here has."""

from __future__ import annotations

import re
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from gan_course.commands import badges, notebooks
from gan_course.commands.errors import CourseError

HEAD = """# {number} · {title}
[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/{repo}/blob/{branch}/{folder}/{name}.ipynb) · [source](https://github.com/{repo}/blob/{branch}/{folder}/{name}.ipynb)

"""  # noqa: E501
CHAPTER = [
    """**Which question does this chapter answer?**

| runs in | work through | needs | data | document |
|---|---|---|---|---|
| under 1 min on two CPU cores | 30 min | [00](00_start_here.ipynb) | offline, made here | section |

You will be able to

- **say** one thing;
- **compute** another;
- **predict** a third.""",
    "setup",
    "parameters",
    """## 1 · A section

Why should anyone care? Say it here, in a sentence.

**Predict:** what will the figure show? Write it down, then run the cell.""",
    """import torch

from gan_course import plots

torch.manual_seed(SEED)
points = torch.randn(500, 2)
figure, ax = plots.new_figure(size=(4, 4))
ax.scatter(*points.T, s=4, color=plots.REAL)
plots.show(figure, alt="Five hundred points in the plane, dense around the origin and thin outside.")""",
    "Explain what came, and why.",
    """## Recap

- One sentence for each thing that a reader takes home.

**Exercises:** [{number}](../exercises/{name}.ipynb). **Sources.** Whom the idea is from.""",
]
TASK = """## Task 1 · A name

*●○○ easy · about 10 minutes · 1 points*

Ask for something that no cell of the chapter holds."""
SOLUTION = '''def half(x: float) -> float:
    """Half of ``x``."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION'''
HINTS = """<details><summary>Hint 1</summary>

The idea, never the code.

</details>"""
TEST = """# Graded, 1 point.
assert half(3) == 1.5"""


def new(name: str, title: str, root: str | Path = ".") -> int:
    """Write ``chapters/NAME.ipynb`` and ``solutions/NAME.ipynb`` and return 0.

    Raises ``CourseError`` where the name has not the form "16_my_chapter", or its number is taken.
    """
    folder = notebooks.course_folder(root)
    if not re.fullmatch(r"\d\d_[a-z0-9_]+", name):
        raise CourseError(f"The name must look like 16_my_chapter, in small letters, but is {name!r}.")
    existing = notebooks.list_notebooks(folder / "chapters")
    taken = [path.name for path in existing if path.name.startswith(name[:3])]
    if taken or not existing:
        raise CourseError(f"{taken[0]} has that number: choose another." if taken else "chapters/ holds no notebook.")
    setup = [c for c in notebooks.read(existing[0]).cells if "setup" in notebooks.tags(c)]
    address = badges.read_address(folder)
    for part, made in (("chapters", chapter()), ("solutions", solution())):
        words = {"repo": address.repo, "branch": address.branch, "folder": part, "title": title, "name": name}
        words["number"] = name[:2]
        for place, cell in enumerate(made.cells):
            cell.id = f"{name[:2]}-{place:02d}"
            if "setup" in notebooks.tags(cell) and setup:
                cell.source = setup[0].source
            for word, text in words.items() if cell.cell_type == "markdown" else ():
                cell.source = cell.source.replace(f"{{{word}}}", text)
        (folder / part).mkdir(exist_ok=True)
        notebooks.write(folder / part / f"{name}.ipynb", made)
        print(f"{part}/{name}.ipynb written")
    return 0


def chapter() -> NotebookNode:
    cells = []
    for source in CHAPTER:
        if source in ("setup", "parameters"):
            cells.append(new_code_cell("SEED = 0", metadata={"tags": [source]}))
        elif source.startswith("import "):
            cells.append(new_code_cell(source))
        else:
            cells.append(new_markdown_cell((HEAD if not cells else "") + source))
    return complete(cells)


def solution() -> NotebookNode:
    first = "First read the chapter: [{number} · {title}](../chapters/{name}.ipynb)."
    return complete(
        [
            new_markdown_cell(HEAD.replace("{title}", "{title}: exercises") + first),
            new_code_cell("", metadata={"tags": ["setup"]}),
            new_markdown_cell(TASK),
            new_code_cell(SOLUTION, metadata=graded("half", solution=True)),
            new_markdown_cell(HINTS),
            new_code_cell(TEST, metadata=graded("half_test1", grade=True, locked=True, points=1)),
        ]
    )


def graded(grade_id: str, **changes: bool | int) -> dict:
    base = {
        "schema_version": 3,
        "grade_id": grade_id,
        "grade": False,
        "solution": False,
        "locked": False,
        "task": False,
    }
    return {"nbgrader": base | changes}


def complete(cells: list[NotebookNode]) -> NotebookNode:
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return new_notebook(cells=cells, metadata=metadata, nbformat_minor=5)
