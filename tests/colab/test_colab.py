"""The course on what Colab ships: installing it changes nothing there, and the chapters run.

The kernel is that of a second environment with Colab's versions and a stand-in for the module ``google.colab``; this
environment only talks to it. The notebooks' setup cell runs as it stands: git is told to fetch the course from a copy
of this checkout, where the cell names its public address.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import environment
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager, KernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from gan_course.commands import compare, execute, notebooks, processes
from gan_course.commands.run import run

ROOT = Path(__file__).parents[2]
FREEZE = Path(os.environ.get("GAN_COURSE_COLAB", ROOT.parent / "shared/colab")) / "pip-freeze.gpu.txt"
NUMBERS = ["00", "01", "02", "08"]
CHAPTERS = [path for path in notebooks.list_notebooks(ROOT / "chapters") if path.name[:2] in NUMBERS]
NAMED = {
    "ipywidgets": "7.7.1", "ipython": "7.34.0", "ipykernel": "6.17.1", "matplotlib": "3.10.0", "numpy": "2.1.3",
    "diffusers": "0.39.0", "transformers": "5.15.0", "scikit-learn": "1.6.1",
}  # fmt: skip
LIMIT = 300  # seconds for a cell of the tests' own notebooks: installing takes a while

pytestmark = pytest.mark.skipif(
    not FREEZE.exists() and not os.environ.get("GAN_COURSE_REQUIRE"),
    reason=f"{FREEZE} is missing: name the folder with Colab's list of packages in GAN_COURSE_COLAB",
)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, encoding="utf-8", check=True).stdout


def setup_cell() -> NotebookNode:
    """The one that all notebooks start with."""
    (cell,) = [cell for cell in notebooks.read(CHAPTERS[0]).cells if "setup" in notebooks.tags(cell)]
    return cell


def publish(folder: Path) -> None:
    """This checkout, with what is not committed yet, as the branch ``main`` of a repository in ``folder``."""
    names = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=ci", "-c", "user.email=ci@localhost", "commit", "--quiet", "-m", "As it is now")


def stand_in(folder: Path) -> None:
    """A module ``google.colab``, and IPython's way to import it before the first cell, as on Colab."""
    module, startup = folder / "google/colab/__init__.py", folder / "ipython/profile_default/startup/colab.py"
    for path, text in ((module, '"""A stand-in."""\n'), (startup, "import google.colab\n")):
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")


class Colab:
    """Colab's packages in a folder, before and after the course came, and kernels that know nothing else."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.env = folder, folder / "env"
        began = time.monotonic()
        self.before = environment.build(FREEZE, self.env)
        print(environment.report(FREEZE, self.before))
        print(f"They were installed in {time.monotonic() - began:.0f} s.")
        self.content = folder / "content"  # where Colab runs a notebook: far from the course
        self.content.mkdir()
        stand_in(folder / "stand-in")
        publish(folder / "published")
        argv = [str(environment.python(self.env)), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = folder / "kernels/python3/kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(json.dumps({"argv": argv, "display_name": "Colab", "language": "python"}), encoding="utf-8")

    def specs(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[str(self.folder / "kernels")], ensure_native_kernel=False)

    def manager(self) -> AsyncKernelManager:
        return AsyncKernelManager(kernel_name="python3", kernel_spec_manager=self.specs())

    def variables(self, colab: bool = True, published: bool = True) -> dict[str, str]:
        """The kernel's environment variables: with the stand-in or without, the course to be had by git or not."""
        stand_in = self.folder / "stand-in"
        address = re.search(r"git\+(\S+)@main", setup_cell().source)
        assert address, "the setup cell installs from no address"
        at = (self.folder / "published").as_uri() if published else "file:///nowhere"
        env = {name: value for name, value in os.environ.items() if name not in ("MPLBACKEND", "PYTHONPATH")}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # several kernels start here
        env |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{at}.insteadOf", "GIT_CONFIG_VALUE_0": address[1]}
        env["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # or the old kernel says something about its debugger
        env["IPYTHONDIR"] = str(stand_in / "ipython" if colab else self.folder / "no-profile")
        return env | ({"PYTHONPATH": str(stand_in)} if colab else {})

    def run(self, *sources: str, **kinds: bool) -> str:
        """Run code cells in a fresh kernel and return all they print; an exception's last line is printed, too."""
        notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
        client = NotebookClient(
            notebook, km=self.manager(), kernel_name="python3", timeout=LIMIT, allow_errors=True,
            extra_arguments=["--log-level=CRITICAL"], resources={"metadata": {"path": str(self.content)}},
        )  # fmt: skip
        client.execute(env=self.variables(**kinds), cleanup_kc=True)
        outputs = [output for cell in notebook.cells for output in cell.outputs]
        said = [o.text if o.output_type == "stream" else f"{o.ename}: {o.evalue}\n" for o in outputs]
        return "".join(said)

    def files(self) -> dict[str, tuple[int, int]]:
        """Size and time of every file of the environment but for what Python compiled, and for the course's own."""
        found = {}
        for folder, _, names in os.walk(self.env):
            if "__pycache__" not in folder:
                for path in (Path(folder, name) for name in names):
                    state = path.lstat()
                    found[str(path.relative_to(self.env))] = (state.st_size, state.st_mtime_ns)
        return {name: state for name, state in found.items() if not re.search(r"gan[_-]course", name)}


@pytest.fixture(scope="module")
def colab() -> Colab:
    assert FREEZE.exists(), f"{FREEZE} is missing, and this run requires it"
    return Colab(ROOT / "build/colab")


@pytest.fixture(scope="module")
def elsewhere(colab: Colab) -> str:
    """What the setup cell says in a kernel that lacks the course and is not Colab's."""
    return colab.run(setup_cell().source, colab=False)


@pytest.fixture(scope="module")
def course(colab: Colab, elsewhere: str) -> dict[str, object]:
    """The setup cell has run on Colab: what it printed, and the environment's files before that."""
    files = colab.files()
    return {"files": files, "said": colab.run(setup_cell().source, "import gan_course; print(gan_course.__file__)")}


@pytest.fixture(scope="module")
def chapters(colab: Colab, course: dict[str, object]) -> dict[str, dict[str, object]]:
    """The chapters have run there: for each name its row of the summary."""
    folder = colab.folder / "course/chapters"
    folder.mkdir(parents=True)
    for path in CHAPTERS:
        shutil.copyfile(path, folder / path.name)
    assert any(compare.is_marked(cell) for path in CHAPTERS for cell in notebooks.read(path).cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "kernel_manager", colab.manager)
        for name in os.environ.keys() - colab.variables().keys():
            patch.delenv(name)
        for name, value in colab.variables(published=False).items():
            patch.setenv(name, value)
        run(folder.parent, jobs=min(2, processes.processors()), out=colab.folder / "pages")
    rows = json.loads((colab.folder / "pages/summary.json").read_text(encoding="utf-8"))["chapters"]
    return {row["chapter"]: row for row in rows}


def test_packages_are_those_of_colab(colab):
    assert NAMED.items() <= colab.before.items()
    assert set(environment.differing(FREEZE, colab.before)) == environment.left_out().keys()
    assert "gan-course" not in colab.before


def test_elsewhere_the_setup_cell_says_what_to_do(colab, elsewhere):
    (line,) = elsewhere.splitlines()
    assert line.startswith("ModuleNotFoundError: this kernel has no gan_course: start with `make lab`, or pick")
    assert "%pip install" in line


def test_the_setup_cell_installs_the_course_and_touches_nothing(colab, course):
    *_, where = course["said"].split()
    assert Path(where).is_relative_to(environment.site(colab.env)), course["said"]
    after = environment.installed(colab.env)
    assert after.pop("gan-course")
    assert after == colab.before
    assert colab.files() == course["files"]
    print(f"{len(after)} packages before and after, {len(course['files'])} files untouched.")


def test_it_installs_once(colab, course):
    said = colab.run(setup_cell().source, "import gan_course; print(gan_course.__file__)", published=False)
    assert said == course["said"].splitlines()[-1] + "\n"


@pytest.mark.parametrize("name", [path.stem for path in CHAPTERS])
def test_chapter_runs_on_colab(colab, chapters, name):
    row = chapters[name]
    assert (row["status"], row["error"]) == ("ok", None)
    ran, stored = (notebooks.read(colab.folder / f / f"{name}.ipynb") for f in ("pages/notebooks", "course/chapters"))
    outputs = [output for cell in ran.cells for output in cell.get("outputs", [])]
    assert not [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    first = next(o.text for o in outputs if o.output_type == "stream")
    assert re.match(r"Running on .+ with PyTorch .+ Allow about \d+ min to run all cells\.", first), first
    assert list(compare.differences(stored, ran)) == []
    marked = sum(map(compare.is_marked, stored.cells))
    print(f"{name}: {row['seconds']:.0f} s, {row['peak_mb']} MB, {marked} cells print what is stored.")


def test_gan_lab_plays_in_colabs_kernel(colab, course):
    """A press on its buttons comes as a message of ipywidgets 7; nothing but the page is missing."""
    manager = KernelManager(kernel_name="python3", kernel_spec_manager=colab.specs())
    manager.start_kernel(env=colab.variables(published=False), cwd=str(colab.content))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=LIMIT)

        def ask(code: str) -> str:
            said: list[str] = []
            client.execute_interactive(
                code, timeout=LIMIT, output_hook=lambda message: said.append(message["content"].get("text", ""))
            )
            return "".join(said).strip()

        def press(comm: str) -> None:
            content = {"comm_id": comm, "data": {"method": "custom", "content": {"event": "click"}}}
            client.shell_channel.send(client.session.msg("comm_msg", content))

        assert ask("import ipywidgets; print(ipywidgets.__version__)") == NAMED["ipywidgets"]
        play = ask(
            "from gan_course.widgets.lab_view import LabView; v = LabView(); v.show(); print(v.play_button.model_id)"
        )
        press(play)
        first = ask("import asyncio; await asyncio.sleep(3); print(v.lab.steps, len(v.plane.value))").split()
        assert int(first[0]) > 20 and int(first[1]) > 1000, first
        press(play)
        assert ask("print(v.playing)") == "False"
        steps = ask("print(v.lab.steps)")
        assert ask("await asyncio.sleep(1); print(v.lab.steps)") == steps
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
