"""Nobody in the library writes a file by another way than :func:`gan_course.files.write_whole`."""

import ast
from pathlib import Path

import gan_course

ROOT = Path(gan_course.__file__).parent
MODULES = {"shutil", "np", "numpy", "torch", "nbformat", "json", "pickle", "safetensors", "os", "safetensors.torch"}
WRITERS = {"write_text", "write_bytes", "copy", "copy2", "copyfile", "copytree", "move", "rename", "replace", "symlink"}
SAVERS = {"save", "savez", "savez_compressed", "savetxt", "save_file", "savefig", "write", "dump", "to_csv", "retrieve"}
IN_SCRATCH = {"save_pretrained"}  # of other libraries: into a folder of scratch_folder()


def writes(tree):
    """Line → what is done there, for every call in ``tree`` that writes a file by another way than ours."""
    scratch = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.With) and "scratch_folder()" in ast.unparse(node.items[0])
    ]
    allowed = {inner for block in scratch for inner in ast.walk(block)}
    buffers = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and "BytesIO(" in ast.unparse(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        texts = [a.value for a in (*node.args, *(k.value for k in node.keywords)) if isinstance(a, ast.Constant)]
        modes = [text for text in texts if isinstance(text, str) and 0 < len(text) < 4 and set(text) <= set("rwxab+t")]
        into_buffer = bool(node.args) and isinstance(node.args[0], ast.Name) and node.args[0].id in buffers
        if (
            (name in ("open", "fdopen") and any(set(mode) & set("wxa+") for mode in modes))
            or name in ("write_text", "write_bytes", "savefig", "imsave", "mkstemp", "NamedTemporaryFile", "to_csv")
            or (name in WRITERS and owner in ("shutil", "os"))
            or (name in SAVERS and owner in MODULES)
            or (name in SAVERS and not owner and name.startswith("save_"))
            or (name == "save" and "image" in owner.lower())
            or (name in IN_SCRATCH and node not in allowed)
        ) and not into_buffer:
            found[node.lineno] = ast.unparse(node)
    return found


def test_the_scan_sees_writers():
    for code in (
        "open(p, 'w')", "p.open('ab')", "open(p, mode='r+')", "p.write_text('x')", "p.write_bytes(b'x')",
        "shutil.copy(a, b)", "shutil.move(a, b)", "os.replace(a, b)", "os.rename(a, b)", "torch.save(x, p)",
        "np.savez(p, x)", "nbformat.write(n, p)", "save_file(t, p)", "figure.savefig(p)", "json.dump(x, f)",
        "x.save_pretrained(p)", "tempfile.mkstemp()", "image.save(p)",
    ):  # fmt: skip
        assert writes(ast.parse(code)), code
    for code in (
        "open(p)", "open(p, 'rb')", "text.replace('a', 'b')", "print('w')", "dataclasses.replace(x, y=1)", "x.copy()",
        "with scratch_folder() as p: x.save_pretrained(p)", "b = io.BytesIO()\nfigure.savefig(b)",
    ):  # fmt: skip
        assert not writes(ast.parse(code)), code


#: Who else may, and why.
EXCEPTIONS = {
    "files.py": {"open", "os.replace", "os.write"},  # it is the one
    "commands/grading/player.py": {"os.write"},  # into a pipe
    "commands/grading/sandbox.py": {"os.write"},  # into the pipe's other end
    "stable_diffusion/networks.py": {"tokenizer.save_pretrained"},  # makes a folder of transformers' own
}


def test_every_file_of_the_library_is_written_by_write_whole():
    others = []
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for line, call in writes(ast.parse(path.read_text(encoding="utf-8"))).items():
            if call.partition("(")[0] not in EXCEPTIONS.get(name, ()):
                others.append(f"{name}:{line} {call}")
    assert others == []
