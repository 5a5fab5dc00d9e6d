"""The cells of a student's notebook as text: which statements its answers need, and what a teacher should look at.

This file is also read inside of the sandbox, where there is no course: it imports nothing of it.
"""

from __future__ import annotations

import ast
import symtable

# Modules that an answer may well need. Others are worth a look.
USUAL = set(
    "__future__ abc bisect collections contextlib copy dataclasses decimal enum fractions functools itertools math "
    "numbers operator random statistics string time typing warnings torch numpy scipy sklearn skimage matplotlib PIL "
    "pandas tqdm IPython ipywidgets gan_course importlib.util google.colab importlib".split()
)
SHARP = {"exec", "eval", "compile", "__import__", "__builtins__", "setattr", "open"}
DEEP = {"_getframe", "f_back", "f_locals", "__globals__", "__subclasses__"}
OFTEN_PATCHED = {"builtins", "__builtins__", "checks", "torch", "nn", "F", "np", "numpy", "math", "random"}


def without_magics(source: str) -> str:
    """The cell's Python: lines that only a notebook understands are left empty."""
    lines = source.split("\n")
    return "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines)


def shells(source: str, number: int) -> set[str]:
    """A remark for a cell that wants to run programs, which only a notebook could: here they do not run."""
    starts = ("!", "%%bash", "%%sh", "%%script", "%%system", "%%cmd", "%system", "%sx", "%run")
    lines = [line.strip() for line in source.split("\n") if line.strip().startswith(starts)]
    return {f"cell {number + 1} wants to run {line}"[:200] for line in lines[:3]}


def choose(trees: dict[int, ast.Module], wanted: set[str]) -> dict[int, list[ast.stmt]]:
    """The statements to run, by cell."""
    answers = {n for n, tree in trees.items() if any(bound(s) & wanted for s in tree.body)}
    chosen = {n: set(range(len(trees[n].body))) if n in answers else set() for n in trees}
    needed = set().union(*(used(trees[n].body) for n in answers)) if answers else set()
    grown = True
    while grown:
        grown = False
        for number, tree in trees.items():
            for place, statement in enumerate(tree.body):
                if place not in chosen[number] and (bound(statement) & needed or bound(statement) == {"*"}):
                    chosen[number].add(place)
                    needed |= used([statement])
                    grown = True
    return {n: [trees[n].body[i] for i in sorted(places)] for n, places in chosen.items() if places}


def bound(statement: ast.stmt) -> set[str]:
    """The names that a statement gives a value, at the top."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(a.asname or a.name).split(".")[0] for a in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def used(statements: list[ast.stmt]) -> set[str]:
    """The names that statements take from outside of their functions."""
    try:
        table = symtable.symtable(ast.unparse(ast.Module(statements, [])), "cell", "exec")
    except (SyntaxError, RecursionError):
        return set()
    found = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    inner = table.get_children()
    while inner:
        scope = inner.pop()
        found |= {s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced()}
        inner += scope.get_children()
    return found


def look(tree: ast.Module, number: int) -> set[str]:
    """What in a cell a teacher should look at: modules that no answer needs, and assignments into modules."""
    found, modules = set(), set(OFTEN_PATCHED)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names if not {a.name, a.name.split(".")[0]} & USUAL}
            modules |= {(a.asname or a.name).split(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            name = node.module or "."
            found |= {name} if not {name, name.split(".")[0]} & USUAL else set()
            modules |= {a.asname or a.name for a in node.names if name == "gan_course"}
    what = {f"imports {name}" for name in found - {"sys"}}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            root: ast.expr = node
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            place = ast.unparse(node)
            if isinstance(root, ast.Name) and root.id in modules and ".backends." not in place:
                what.add(f"assigns to {place}")
        elif isinstance(node, ast.Name) and node.id in SHARP:
            what.add(f"uses {node.id}")
        elif isinstance(node, ast.Attribute) and node.attr in DEEP:
            what.add(f"uses {node.attr}")
    return {f"cell {number + 1} {each}"[:200] for each in what}
