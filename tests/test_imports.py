"""What importing costs, and which module may import which."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gan_course

ROOT = Path(gan_course.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))


def loaded_by(statement):
    """The modules that a fresh Python holds after ``statement``."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stderr == ""
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_nothing_else():
    """So it costs nothing over `import torch`: the package's own modules are all that it adds to a bare Python."""
    code = "import sys; before = set(sys.modules); import gan_course; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    assert ast.literal_eval(done.stdout) == ["gan_course"]
    assert done.stderr == ""


def test_the_parts_load_no_drawing_and_no_downloading():
    loaded = loaded_by("from gan_course import data, losses, metrics, networks, setup, checkpoints")
    assert "torch" in loaded  # the list is not empty by mistake
    assert not loaded & {"matplotlib", "sklearn", "skimage", "scipy", "pooch", "PIL", "IPython", "tensorboard"}


def test_training_loads_neither_pyplot_nor_scikit_learn_nor_tensorboard():
    loaded = loaded_by("import gan_course.training")
    assert not loaded & {"matplotlib.pyplot", "sklearn", "skimage", "pooch", "tensorboard", "IPython"}


def imports_of(notebook):
    """The import lines of a notebook's code cells, wherever in a cell they stand."""
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    code = ["".join(line for line in cell["source"] if not line.lstrip().startswith(("%", "!"))) for cell in cells]
    nodes = [node for source in code for node in ast.walk(ast.parse(source))]
    return [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def test_chapters_00_to_07_load_neither_diffusers_nor_accelerate():
    lines = [line for path in sorted(ROOT.parent.glob("chapters/0[0-7]_*.ipynb")) for line in imports_of(path)]
    assert "from gan_course.training import Settings, Trainer" in lines
    loaded = loaded_by("\n".join(line for line in dict.fromkeys(lines) if "google.colab" not in line))
    assert "gan_course.diffusion" in loaded and not loaded & {"accelerate", "diffusers", "transformers"}


# ---------------------------------------------------------------------------------------------- floors


def floors():
    """Module → floor, from the table in the package's docstring."""
    table = {}
    for line in gan_course.__doc__.splitlines():
        if row := re.match(r"(\d) +(``.*?``)(?=  )", line):
            table |= dict.fromkeys(re.findall(r"``(\w+)``", row[2]), int(row[1]))
    return table


def imported(path):
    """The parts of the package that the source at ``path`` imports, anywhere in it: ``{"data", "plots"}``."""
    package = ("gan_course", *path.relative_to(ROOT).parts[:-1])
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("gan_course.")}


def part(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def test_the_readers_of_floors_and_imports_work():
    table = floors()
    assert (table["data"], table["losses"], table["training"], table["checks"], table["cli"]) == (1, 1, 3, 5, 7)
    assert table["commands"] == 7
    assert {"settings", "live", "losses", "checkpoints"} <= imported(ROOT / "training.py")
    assert "plots" in imported(ROOT / "live.py")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_module_imports_from_a_floor_above(path):
    if path == ROOT / "__init__.py":
        assert imported(path) == set()
        return
    table = floors()
    assert part(path) in table, "add the module to the table of floors in gan_course/__init__.py"
    above = {name for name in imported(path) if table.get(name, -1) > table[part(path)]}
    assert not above


def test_modules_of_one_floor_do_not_import_each_other_in_a_circle():
    uses = {}
    for path in SOURCES:
        uses.setdefault(part(path), set()).update(imported(path) - {part(path)})

    def reaches(start, goal, seen=()):
        return any(n == goal or (n not in seen and reaches(n, goal, (*seen, n))) for n in uses.get(start, ()))

    assert not [name for name in uses if reaches(name, name)]


# ---------------------------------------------------------------------------------------------- underscores


def private(tree):
    """Name → line of each member with a leading underscore that ``tree`` takes from an object other than its own."""
    used = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id in OWN):
            used[node.attr] = node.lineno
        elif isinstance(node, ast.ImportFrom):
            used |= {alias.name: node.lineno for alias in node.names}
    return {name: line for name, line in used.items() if re.fullmatch(r"_[^_]\w*", name)}


def defined(tree):
    """What ``tree`` defines or assigns, at any depth."""
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    stored = [node for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store)]
    return names | {getattr(node, "attr", None) or getattr(node, "id", None) for node in stored}


OWN = ("self", "cls")


def test_members_with_a_leading_underscore_stay_in_their_module():
    """Those of other libraries are their business; ours are looked for in tests and bench/, too."""
    repository = ROOT.parent
    paths = [path for folder in ("gan_course", "bench", "tests") for path in (repository / folder).rglob("*.py")]
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    ours = set().union(*(defined(tree) for path, tree in trees.items() if ROOT in path.parents))
    assert "_check" in ours and private(ast.parse("from a import _b\nself._c; d._e; f.__g__; h.i")) == {
        "_b": 1,
        "_e": 2,
    }
    taken = [
        f"{path.relative_to(repository)}:{line} {name}"
        for path, tree in trees.items()
        for name, line in private(tree).items()
        if name in ours - defined(tree) and not name.endswith("_")  # IPython asks errors for _render_traceback_
    ]
    assert not taken
