"""What of a notebook is translated, piece by piece, and how translated pieces go back to their places.

- Text: each line by itself, for a paragraph is a line in these notebooks, and so are a heading, an item of a list and a
  row of a table. What only marks it up ("## ", "> ", "- ") stays outside.
- Code: strings that a reader sees in a figure. These are what is given to the arguments in ``NAMED``, by name, as the
  first argument of a function in ``FIRST``, as any argument of a notebook's own function called so, and what is
  assigned to a variable of that name; the words of a flow chart; and what is given to the variables that the cell's tag
  ``labels:NAME`` names.
- In exercises comments and docstrings too, line by line.

All other code stays as it is, to the letter.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

from gan_course.commands import notebooks

NAMED = {"alt", "title", "label", "xlabel", "ylabel"}
FIRST = {"set_title", "set_xlabel", "set_ylabel", "suptitle", "supxlabel", "supylabel"}
TAG = "labels:"
MARKUP = re.compile(r"\s*(?:#{1,6} |> |>$|[-*] |\d+\. |<details>|</details>)*")
NOT_WORDS = re.compile(
    r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|<[^>]*>|\]\([^)]*\)|https?://\S+|\{[^{}]*\}"
)  # code, formulas, tags, links
DIRECTIVES = ("###", "# fmt", "# noqa", "# type", "# NBVAL", "# YOUR CODE")  # comments for programs

Translate = Callable[[str], str]


def has_words(text: str) -> bool:
    return bool(re.search(r"[^\W\d_]{2}", NOT_WORDS.sub(" ", text)))


def translate_markdown(source: str, translate: Translate) -> str:
    """``source`` with each line that has words replaced by its translation. A line of badges stays."""
    lines = []
    for line in source.split("\n"):
        words = line[len(MARKUP.match(line)[0]) :].rstrip()  # type: ignore[index]
        if has_words(words) and not words.startswith("[!["):
            line = line.replace(words, translate(words))
        lines.append(line)
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------ code


@dataclass(frozen=True)
class Piece:
    """A string in code. ``text``: its words; those of an f-string hold their expressions in braces. ``drawn``: whether
    it stands in a figure, as alternative texts and docstrings don't."""

    node: ast.Constant | ast.JoinedStr
    text: str
    drawn: bool = True

    @property
    def formatted(self) -> bool:
        return isinstance(self.node, ast.JoinedStr)


def functions(notebook: NotebookNode) -> dict[str, list[str]]:
    """The notebook's own functions → the names of their parameters."""
    found = {}
    for cell in notebook.cells:
        for node in ast.walk(parse(cell.source)) if cell.cell_type == "code" else ():
            if isinstance(node, ast.FunctionDef):
                found[node.name] = [argument.arg for argument in node.args.args]
    return found


def parse(source: str) -> ast.Module:
    """The syntax tree; an empty one where the cell holds magics."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def strings(tree: ast.Module, own: dict[str, list[str]], tags: list[str], docstrings: bool) -> list[Piece]:
    """The strings of a cell that a reader sees, in the order in which they stand there."""
    named = NAMED | {tag.removeprefix(TAG) for tag in tags if tag.startswith(TAG)}
    values: list[tuple[str, ast.AST]] = []  # what a value is called → the value
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            values += called(node, own)
        elif isinstance(node, ast.Assign | ast.For):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            for name in names & named:
                values.append((name, node.value if isinstance(node, ast.Assign) else node.iter))
                values += [(name, target.slice) for target in targets if isinstance(target, ast.Subscript)]
        elif docstrings and isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            values.append(("alt", node.body[0].value))  # type: ignore[attr-defined]
    pieces = {(p.node.lineno, p.node.col_offset): p for name, value in values for p in within(value, name != "alt")}
    return [pieces[place] for place in sorted(pieces)]


def called(call: ast.Call, own: dict[str, list[str]]) -> list[tuple[str, ast.AST]]:
    """What a call is given that a reader sees, with the argument's name."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given: list[tuple[str, ast.AST]] = [(k.arg, k.value) for k in call.keywords if k.arg in NAMED]
    if name in FIRST:
        given += [("title", value) for value in call.args[:1]]
    if name == "text":
        given += [("label", value) for value in call.args[2:3]]
    if name == "flowchart":  # of each box and each arrow the last
        parts = [part for argument in call.args for part in ast.walk(argument)]
        given += [("label", part.elts[-1]) for part in parts if isinstance(part, ast.Tuple)]
    return given + [(p, value) for value, p in zip(call.args, own.get(name, []), strict=False) if p in NAMED]


def within(node: ast.AST, drawn: bool) -> Iterator[Piece]:
    """The strings of which a value is made: not those that are looked up or compared on the way."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield Piece(node, node.value, drawn)
    elif isinstance(node, ast.JoinedStr):
        yield Piece(node, "".join(map(spelled, node.values)), drawn)
    parts: list[ast.expr | None] = []
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.IfExp):
        parts = [node.body, node.orelse]
    elif isinstance(node, ast.Tuple | ast.List):
        parts = [*node.elts]
    elif isinstance(node, ast.Dict):
        parts = [*node.keys, *node.values]
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("enumerate", "zip"):
        parts = [*node.args]
    for part in filter(None, parts):
        yield from within(part, drawn)


def spelled(part: ast.expr) -> str:
    """A part of an f-string as one would write it."""
    if isinstance(part, ast.Constant):
        return str(part.value).replace("{", "{{").replace("}", "}}")
    assert isinstance(part, ast.FormattedValue)
    spec = ":" + "".join(map(spelled, part.format_spec.values)) if isinstance(part.format_spec, ast.JoinedStr) else ""
    return "{" + ast.unparse(part.value) + ("" if part.conversion < 0 else "!" + chr(part.conversion)) + spec + "}"


def literal(text: str, formatted: bool, docstring: bool) -> str:
    """Python's spelling of a translated string."""
    if docstring:
        return f'"""{text}"""'
    quote = "'" if '"' in text and "'" not in text else '"'
    if not formatted:
        return quote + text.replace("\\", "\\\\").replace("\n", "\\n").replace(quote, "\\" + quote) + quote
    return f"f{quote}" + text.replace("\n", "\\n") + quote


def translate_code(
    source: str, translate: Translate, own: dict[str, list[str]], tags: list[str], prose: bool, labels: bool = True
) -> str:
    """``source`` with its strings translated, and where ``prose`` is true its docstrings and comments.

    Without ``labels`` what is drawn stays as it is.

    Raises ``ValueError`` where the result would not be the same program in other words.
    """
    tree = parse(source)
    changes = []  # (line, byte of its beginning, line, byte of its end, what comes there)
    for piece in strings(tree, own, tags, prose):
        if not has_words(piece.text) or (piece.drawn and not labels):
            continue
        node, docstring = piece.node, is_docstring(piece.node, tree)
        text = translate_lines(piece.text, translate) if docstring else translate(piece.text)
        if text != piece.text:
            assert node.end_lineno and node.end_col_offset
            place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
            changes.append((*place, literal(text, piece.formatted, docstring)))
    if prose and tree.body:
        changes += comments(source, translate)
    lines = [line.encode() for line in source.split("\n")]
    for first, begin, last, end, text in sorted(changes, reverse=True):
        lines[first - 1 : last] = [lines[first - 1][:begin] + text.encode() + lines[last - 1][end:]]
    made = b"\n".join(lines).decode()
    if skeleton(made, own, tags, prose) != skeleton(source, own, tags, prose):
        raise ValueError("the translation changes the program: keep quotes, backslashes and braces as they are")
    return made


def translate_lines(text: str, translate: Translate) -> str:
    lines = (
        line.replace(line.strip(), translate(line.strip())) if has_words(line) else line for line in text.split("\n")
    )
    return "\n".join(lines)


def comments(source: str, translate: Translate) -> Iterator[tuple[int, int, int, int, str]]:
    """Comments for a reader, with their translations, as changes."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        words = token.string.lstrip("# ")
        if token.type == tokenize.COMMENT and has_words(words) and not token.string.startswith(DIRECTIVES):
            row, column = token.start
            begin = len(token.line[:column].encode())
            yield row, begin, row, begin + len(token.string.encode()), "# " + translate(words)


def is_docstring(node: ast.AST, tree: ast.Module) -> bool:
    owners = (owner for owner in ast.walk(tree) if isinstance(owner, ast.FunctionDef | ast.ClassDef))
    firsts = (owner.body[0] for owner in owners)
    return any(isinstance(first, ast.Expr) and first.value is node for first in firsts)


def skeleton(source: str, own: dict[str, list[str]], tags: list[str], prose: bool) -> str:
    """The syntax tree as text, with the strings that are translated blanked: equal for an original and its translation.

    The expressions in f-strings stay, in the order of their spelling: a translation may name them in another order.
    """
    tree = ast.parse(source) if parse(source).body else ast.Module([], [])
    for piece in strings(tree, own, tags, prose):
        if isinstance(piece.node, ast.Constant):
            piece.node.value = "words"
        else:
            values = [part for part in piece.node.values if isinstance(part, ast.FormattedValue)]
            piece.node.values = sorted(values, key=spelled)
    return ast.dump(tree)


# ------------------------------------------------------------------------------------------ a whole notebook


def translate_notebook(
    notebook: NotebookNode, translate: Callable[[str, str], str], prose: bool, labels: bool = True
) -> None:
    """Translate every cell in its place. ``translate(words, cell_id)`` gives the words anew.

    ``prose``: comments and docstrings, too. ``labels``: what is drawn, too. Setup cells stay.
    Raises ``ValueError`` with the cell's id.
    """
    own = functions(notebook)
    for cell in notebook.cells:
        tags = notebooks.tags(cell)

        def here(words: str, name: str = cell.id) -> str:
            return translate(words, name)

        if cell.cell_type == "markdown":
            cell.source = translate_markdown(cell.source, here)
        elif cell.cell_type == "code" and "setup" not in tags:
            try:
                cell.source = translate_code(cell.source, here, own, tags, prose, labels)
            except ValueError as error:
                raise ValueError(f"cell {cell.id}: {error}") from error
