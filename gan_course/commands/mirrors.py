"""Cells tagged ``mirrors:gan_course.module.name`` teach a function that the library holds too: the two must agree."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode

from gan_course.commands import notebooks

PREFIX = "mirrors:"
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def mirror_problems(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """(cell number, sentence) for each mirrored name that is missing on one side or differs."""
    for number, cell in enumerate(notebook.cells, start=1):
        for tag in notebooks.tags(cell):
            if tag.startswith(PREFIX):
                sentence = compare(cell.source, tag.removeprefix(PREFIX))
                if sentence:
                    yield number, sentence


def compare(source: str, dotted: str) -> str | None:
    """What is wrong between the cell's definition and the library's, or None.

    Comments, docstrings and annotations may differ: the chapter explains around the code, the library inside it.
    """
    try:
        library = definition(textwrap.dedent(inspect.getsource(find(dotted))), dotted.split(".")[-1])
    except (ImportError, AttributeError, OSError, TypeError) as error:
        return f"it mirrors {dotted}, which is not to be found ({error}): correct the tag"
    try:
        here = definition(source, dotted.split(".")[-1])
    except SyntaxError as error:
        return f"it mirrors {dotted} but cannot be parsed ({error.msg}): keep magics out of this cell"
    if here is None or library is None:
        return f"it mirrors {dotted} but defines no {dotted.split('.')[-1]}: correct the tag, or write it out"
    if bare(here) != bare(library):
        return f"its {here.name} differs from {dotted}: make the two equal"
    return None


def find(dotted: str) -> Any:
    """The object with this dotted name, of a module or inside a class; else ``ImportError`` or ``AttributeError``."""
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:cut])
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                raise
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise ImportError(f"no module {parts[0]}")


def definition(source: str, name: str) -> Definition | None:
    """The function or class ``name`` that ``source`` defines, at any depth."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Definition) and node.name == name:
            return node
    return None


def bare(node: Definition) -> str:
    """The syntax tree as text, without docstrings and annotations."""
    tree = ast.parse(ast.unparse(node)).body[0]  # a copy
    for part in ast.walk(tree):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            part.returns = None
        if isinstance(part, ast.arg):
            part.annotation = None
        if isinstance(part, Definition) and ast.get_docstring(part) is not None:
            part.body = part.body[1:] or [ast.Pass()]
    return ast.dump(tree)
