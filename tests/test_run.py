"""``gan-course run``: real kernels on tiny notebooks."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from notebooks import ALT, code, notebook, png, save, show_picture, text
from states import FullFile

from gan_course import cli
from gan_course.commands import execute, formulas, notebooks, pages, processes, run
from gan_course.commands.errors import CourseError
from gan_course.commands.progress import Progress

ON_WINDOWS = sys.platform == "win32"


def command(*options: str | Path) -> list[str]:
    return [sys.executable, "-W", "default", "-m", "gan_course.cli", "run", *map(str, options)]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}


def executed(build: Path, name: str) -> nbformat.NotebookNode:
    return nbformat.read(build / "notebooks" / f"{name}.ipynb", 4)


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(o.text for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "stream")


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Three chapters, the second of which fails, run side by side with overrides; (process, build folder)."""
    root = tmp_path_factory.mktemp("course")
    save(
        root / "chapters" / "00_start_here.ipynb",
        text("# 00 · Start *here*\n\nThen [concepts](01_concepts.ipynb#game) and [more](02_loss_math.ipynb)."),
        code('SEED: int = 0\nDATASET = "digits"  # or mnist', "parameters"),
        code("print(SEED, DATASET)\nprint('second')"),
        code("handle = display('first', display_id=True)\nhandle.update('last')"),
        code(show_picture(ALT + ' "Quoted" & <odd>.')),
    )
    save(
        root / "chapters" / "01_concepts.ipynb",
        text("# 01 Concepts"),
        code("good = 1"),
        code("# What follows can't work\nraise ValueError('a first line\\nimages reach 255')"),
        code("print('never')"),
    )
    save(
        root / "chapters" / "02_loss_math.ipynb",
        text("Just text, no heading."),
        code("import os, sys\nprint(sys.executable)\nprint(os.getcwd())\nprint(os.environ['OMP_NUM_THREADS'])"),
    )
    before = {p.name: p.read_bytes() for p in (root / "chapters").iterdir()}
    done = subprocess.run(
        command("--root", root, "--jobs", 2, "--dataset", "mnist", "--seed", 7),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
    )
    assert before == {p.name: p.read_bytes() for p in (root / "chapters").iterdir()}, "chapters/ must stay as it is"
    return done, root / "build"


def test_a_failing_chapter_is_reported_and_the_others_run(ran):
    done, build = ran
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert sorted(re.sub(r"^\[./3\] (\w+) \.+ (\w+) \d+ s$", r"\1 \2", line) for line in lines[:3]) == [
        "00_start_here ok",
        "01_concepts failed",
        "02_loss_math ok",
    ]
    assert [line[:5] for line in lines[:3]] == ["[1/3]", "[2/3]", "[3/3]"]
    failure = lines.index(
        "01_concepts failed at cell 2 (raise ValueError('a first line\\nimages reach 255')): "
        "ValueError: images reach 255"
    )
    assert lines[failure + 1] == f"  open {build / '01_concepts.html'}"
    page = (build / "01_concepts.html").read_text(encoding="utf-8")
    assert "images reach 255" in page and 'href="#the-error"' in page and 'id="the-error"' in page
    assert "using papermill" not in page


def test_summary(ran):
    _, build = ran
    summary = json.loads((build / "summary.json").read_text(encoding="utf-8"))
    assert list(summary) == ["chapters", "seconds"]
    assert [list(row) for row in summary["chapters"]] == [["chapter", "status", "seconds", "peak_mb", "error"]] * 3
    rows = {row["chapter"]: row for row in summary["chapters"]}
    assert list(rows) == ["00_start_here", "01_concepts", "02_loss_math"]
    assert [row["status"] for row in rows.values()] == ["ok", "failed", "ok"]
    assert rows["00_start_here"]["error"] is None
    assert rows["01_concepts"]["error"].startswith("cell 2 (")
    assert all(isinstance(row["peak_mb"], int) and 15 < row["peak_mb"] < 2000 for row in rows.values())
    assert all(0 < row["seconds"] <= summary["seconds"] for row in rows.values())


def test_overrides_reach_only_the_chapters_that_have_them(ran):
    _, build = ran
    first = executed(build, "00_start_here")
    assert printed(first) == "7 mnist\nsecond\n"
    injected = [c for c in first.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert len(injected) == 1 and "PROFILE" not in injected[0].source
    assert not any("injected-parameters" in c.metadata.get("tags", []) for c in executed(build, "02_loss_math").cells)


def test_kernel_is_this_interpreter_in_the_chapters_folder_with_its_share_of_threads(ran):
    _, build = ran
    python, folder, threads = printed(executed(build, "02_loss_math")).splitlines()
    assert os.path.normcase(python) == os.path.normcase(sys.executable)
    assert Path(folder).resolve() == (build.parent / "chapters").resolve()
    assert int(threads) == max(1, processes.processors() // 2)


def test_outputs_are_those_of_jupyter(ran):
    _, build = ran
    cells = executed(build, "00_start_here").cells
    assert [len(c.outputs) for c in cells if c.cell_type == "code"] == [0, 0, 1, 1, 1], "neighbouring prints are one"
    updated = cells[4].outputs[0]
    assert updated.output_type == "display_data" and updated.data["text/plain"] == "'last'"


def test_index_has_a_card_for_each_chapter(ran):
    _, build = ran
    tags = Tags(build / "index.html")
    assert [a["href"] for a in tags.all("a")] == ["00_start_here.html", "01_concepts.html", "02_loss_math.html"]
    assert all((build / str(a["href"])).exists() for a in tags.all("a"))
    assert tags.all("img") == [
        {
            "src": f"data:image/png;base64,{png()}",
            "alt": 'A small square that is one half black and one half white. "Quoted" & <odd>.',
        }
    ]
    content = (build / "index.html").read_text(encoding="utf-8")
    assert "00 · Start here</a>" in content and "2 of 3 chapters ran without an error" in content
    assert re.search(r'class="note failed">failed after \d+ s<', content) and "ValueError: images reach 255" in content
    assert not re.search(r"(src|href)=.https?:", content), "the index needs no network"


def test_pages_stand_alone(ran):
    _, build = ran
    tags = Tags(build / "00_start_here.html")
    (image,) = tags.all("img")
    assert image["alt"] == ALT + ' "Quoted" & <odd>.' and str(image["src"]).startswith("data:image/png;base64,")
    links = [a["href"] for a in tags.all("a")]
    assert "01_concepts.html#game" in links and "02_loss_math.html" in links
    fetched = [s for s in tags.all("script") if s.get("src")]
    assert not fetched, "a page needs no network"
    assert not [link for link in tags.all("link") if str(link.get("href", "")).startswith("http")]


def test_page_keeps_details_closed_around_their_text_and_holds_its_pictures(tmp_path):
    folder = tmp_path / "chapters"
    source = save(
        folder / "00_start_here.ipynb",
        text("[![Open in Colab](https://example.org/badge.svg)](https://example.org/colab)"),
        text("<details><summary>Answer</summary>\n\nGrey *fog*.\n\n</details>\n\nAfter."),
        text("![Two pixels](my%20map.png) ![](gone.png) <img alt='x' src=\"my map.png\">"),
    )
    (folder / "my map.png").write_bytes(base64.b64decode(png()))
    page = tmp_path / "page.html"
    pages.write_page(source, page, folder)
    body = page.read_text(encoding="utf-8")
    assert re.search(r"<details>\s*<summary>Answer</summary>\s*<p>Grey <em>fog</em>.</p>\s*</details>", body)
    assert '<a href="https://example.org/colab">Open in Colab</a>' in body
    sources = [image["src"] for image in Tags(page).all("img")]
    assert sources == [f"data:image/png;base64,{png()}"] * 2 and "[there is no picture gone.png]" in body


@pytest.mark.skipif(ON_WINDOWS, reason="there is no SIGINT to send to one process on Windows")
def test_ctrl_c_keeps_finished_pages(tmp_path):
    save(tmp_path / "chapters" / "00_start_here.ipynb", code("print('done')"))
    waits = "import os, time\nfrom pathlib import Path\nPath('../pid').write_text(str(os.getpid()))\ntime.sleep(300)"
    save(tmp_path / "chapters" / "01_concepts.ipynb", code(waits))
    save(tmp_path / "chapters" / "02_loss_math.ipynb", code("print('never')"))
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "01_concepts.html").write_text("a page of an earlier run", encoding="utf-8")
    process = subprocess.Popen(
        command("--root", tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test run in the background ignores it
    )
    kernel = tmp_path / "pid"
    give_up = time.monotonic() + 60
    while not (kernel.exists() and kernel.read_text()) and time.monotonic() < give_up:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == ""
    assert "1 of 3 chapters ran before the stop." in out
    build = tmp_path / "build"
    summary = json.loads((build / "summary.json").read_text(encoding="utf-8"))
    assert [row["status"] for row in summary["chapters"]] == ["ok", "stopped", "not run"]
    assert (build / "00_start_here.html").exists()
    assert not (build / "01_concepts.html").exists(), "the page of an earlier run must not pass for this one's"
    assert "stopped after" in (build / "index.html").read_text(encoding="utf-8")
    with pytest.raises(ProcessLookupError):
        os.kill(int(kernel.read_text()), 0)


def test_a_worker_that_fails_in_an_unforeseen_way_is_one_failed_chapter(tmp_path, capsys, monkeypatch):
    def work(chapter, out, threads):
        if chapter.name == "00_a":
            raise MemoryError("no room")
        chapter.status = "ok"

    for name in ("00_a", "01_b"):
        save(tmp_path / "chapters" / f"{name}.ipynb", code("1"))
    monkeypatch.setattr(execute, "run_chapter", work)
    assert cli.main(["run", "--root", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "00_a failed: MemoryError: no room" in out and "1 of 2 chapters ran without an error." in out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_update_on_a_full_disk_leaves_the_chapter_whole(tmp_path, capsys, monkeypatch):
    source = save(tmp_path / "chapters" / "00_good.ipynb", code("print(1)"))
    before, plain = source.read_bytes(), open

    def full(file, mode="r", *arguments, **options):
        chapter = isinstance(file, str | Path) and Path(file).parent.name == "chapters"
        return FullFile(file, mode) if chapter and "x" in mode else plain(file, mode, *arguments, **options)

    monkeypatch.setattr("builtins.open", full)
    assert cli.main(["run", "--root", str(tmp_path), "--update"]) == 2
    assert "the disk is full" in capsys.readouterr().err
    assert source.read_bytes() == before and os.listdir(source.parent) == ["00_good.ipynb"]
    assert Path("/dev/full").is_char_device()


def test_dead_kernel_is_a_sentence(tmp_path, capsys):
    save(tmp_path / "chapters" / "04_dead.ipynb", code("a = 1"), code("import os\nos._exit(9)"))
    assert cli.main(["run", "--root", str(tmp_path)]) == 1
    assert "04_dead failed at cell 2 (import os): the kernel died" in capsys.readouterr().out
    assert (tmp_path / "build" / "04_dead.html").exists()


def test_update_writes_outputs_back_and_is_stable(tmp_path, capsys):
    path = save(
        tmp_path / "chapters" / "00_start_here.ipynb",
        text("# Title", id="first"),
        code("SEED = 3", "parameters", id="second", execution={"iopub.status.busy": "now"}),
        code("", id="empty"),
        code("print('é')\nSEED * 2", id="third"),
    )
    stale = nbformat.read(path, 4)
    stale.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    stale.metadata.language_info = {"name": "python", "version": "3.9.1"}
    nbformat.write(stale, path)
    assert cli.main(["run", "--root", str(tmp_path), "--update"]) == 0
    once = path.read_bytes()
    fresh = json.loads(once)
    assert [c["id"] for c in fresh["cells"]] == ["first", "second", "empty", "third"]
    assert [c.get("execution_count") for c in fresh["cells"]] == [None, 1, None, 2]
    assert fresh["cells"][1]["metadata"] == {"tags": ["parameters"]}
    assert [o["output_type"] for o in fresh["cells"][3]["outputs"]] == ["stream", "execute_result"]
    assert fresh["cells"][3]["outputs"][1]["execution_count"] == 2
    assert set(fresh["metadata"]) == {"kernelspec", "language_info"}
    assert fresh["metadata"]["language_info"] == {"name": "python"}
    assert once.decode().endswith("}\n") and "é" in once.decode() and '\n "cells"' in once.decode()
    assert cli.main(["run", "--root", str(tmp_path), "--update"]) == 0
    assert path.read_bytes() == once


def test_update_after_a_failure_changes_nothing(tmp_path, capsys):
    good = save(tmp_path / "chapters" / "00_good.ipynb", code("print(1)"))
    save(tmp_path / "chapters" / "01_bad.ipynb", code("1 / 0"))
    before = good.read_bytes()
    assert cli.main(["run", "--root", str(tmp_path), "--update", "--jobs", "2"]) == 1
    assert good.read_bytes() == before
    assert "chapters/ was left as it was" in capsys.readouterr().out


@pytest.fixture
def course(tmp_path):
    """Two chapters that no test runs."""
    for name in ("00_start_here", "03_training"):
        save(tmp_path / "chapters" / f"{name}.ipynb", code("SEED = 0", "parameters"))
    return tmp_path


def refused(capsys, *options: str | Path) -> str:
    """The one sentence that the command prints before it exits with 2."""
    assert cli.main(["run", *map(str, options)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    return err


def test_unknown_chapter_names_the_nearest(course, capsys):
    assert "'trainig': did you mean '03_training'? " in refused(capsys, "--root", course, "--only", "00", "trainig")
    assert "'7': Known: 00_start_here, 03_training." in refused(capsys, "--root", course, "--only", "7")
    assert not (course / "build").exists()


def test_no_course_folder(tmp_path, capsys):
    assert "holds no folder chapters/" in refused(capsys, "--root", tmp_path)
    (tmp_path / "chapters").mkdir()
    assert "holds no notebooks" in refused(capsys, "--root", tmp_path)


def test_output_folder_that_cannot_be_written(course, capsys, tmp_path):
    (course / "taken").write_text("a file in the folder's place")
    assert f"{course / 'taken'} cannot be written (" in refused(capsys, "--root", course, "--out", "taken")


@pytest.mark.skipif(ON_WINDOWS or (hasattr(os, "geteuid") and os.geteuid() == 0), reason="root may write everywhere")
def test_read_only_output_folder(course, capsys):
    (course / "build").mkdir(mode=0o555)
    assert "cannot be written (Permission denied)" in refused(capsys, "--root", course)


def test_full_disk(tmp_path):
    with pytest.raises(CourseError, match=r"Only 150 MB are free at .* and a run needs 200: .* --out FOLDER"):
        run.prepare_out(tmp_path / "build", tmp_path, free_bytes=150_000_000)
    assert run.prepare_out(tmp_path / "build", tmp_path, free_bytes=200_000_000).is_dir()


def test_missing_kernel(course, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel.kernelspec", None)
    assert "has no Jupyter kernel" in refused(capsys, "--root", course)


def test_a_foreign_kernelspec_is_not_used(tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps(
            {"argv": ["/elsewhere/python", "-f", "{connection_file}"], "display_name": "x", "language": "python"}
        )
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert execute.kernel_manager().kernel_spec.argv[0] == sys.executable


def test_other_refusals(course, capsys):
    assert "--jobs must be 1 or more but is 0" in refused(capsys, "--root", course, "--jobs", "0")
    assert "leave out --dataset" in refused(capsys, "--root", course, "--update", "--seed", "1")
    assert "--dataset would change nothing" in refused(capsys, "--root", course, "--dataset", "mnist", "--seed", "1")
    assert "--cell-timeout must be 1 or more but is 0" in refused(capsys, "--root", course, "--cell-timeout", "0")


def test_choose_keeps_course_order_and_takes_numbers_and_names():
    paths = [Path(f"{n}.ipynb") for n in ("00_start_here", "03_training", "10_style_transfer")]
    chosen = notebooks.choose(paths, ["10", "3", "03_training", "chapters/00_start_here.ipynb"])
    assert [p.stem for p in chosen] == ["00_start_here", "03_training", "10_style_transfer"]
    assert [p.stem for p in notebooks.choose(paths, ["0"])] == ["00_start_here"]


def test_parameters_of_a_notebook():
    cells = code("# SEED = 1\nSEED: int = 0\nDATASET = 'a'\nif True:\n    inner = 1", "parameters")
    assert execute.parameters_of(notebook(code("PROFILE = 1"), cells)) == {"SEED", "DATASET"}
    assert execute.parameters_of(notebook(code("SEED = 1"))) == set()
    assert execute.parameters_of(notebook(code("SEED = = 1", "parameters"))) == set()


class Terminal(io.StringIO):
    encoding = "ascii"

    def isatty(self) -> bool:
        return True


def test_progress_moves_on_a_terminal_only():
    one = execute.Chapter(Path("00_a.ipynb"), {}, cells=4, status="running", done=2)
    two = execute.Chapter(Path("01_b.ipynb"), {}, cells=10)
    terminal, log = Terminal(), io.StringIO()
    moving, still = Progress([one, two], terminal), Progress([one, two], log)
    moving.show(), still.show()
    assert terminal.getvalue().split("\r")[-1].startswith("#####                0/2 chapters, 0 s  00_a cell 3/4")
    assert "\n" not in terminal.getvalue() and log.getvalue() == ""
    one.status, one.seconds = "ok", 65.2
    still.finished(one), moving.finished(one)
    assert log.getvalue() == "[1/2] 00_a .................... ok 1 min 5 s\n"
    assert log.getvalue() in terminal.getvalue()
    moving.show()
    assert terminal.getvalue().split("\r")[-1].startswith("##########           1/2 chapters")
    moving.close(), still.close()
    assert terminal.getvalue().split("\r")[-1] == "" and log.getvalue().count("\n") == 1


def test_memory_counts_children():
    before = processes.memory_mb(os.getpid())
    child = subprocess.Popen(
        [sys.executable, "-c", "x = bytearray(b'1') * 80_000_000; print('ready', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout.readline().strip() == b"ready"
        assert 80 < processes.memory_mb(os.getpid()) - before < 160
    finally:
        child.communicate(b"\n")
    assert processes.memory_mb(child.pid) == 0.0


def test_cards_of_earlier_runs_stay_on_the_index(course):
    build = course / "build"
    build.mkdir()
    (build / "00_start_here.html").write_text("earlier")
    everything = notebooks.list_notebooks(course / "chapters")
    now = execute.Chapter(everything[1], {}, 1, status="ok", seconds=2.0)
    cards = run.cards(build, everything, [now])
    assert [(card.name, card.status) for card in cards] == [("00_start_here", "earlier run"), ("03_training", "ok")]
    index = pages.write_index(build, cards, 2.0).read_text(encoding="utf-8")
    assert "from an earlier run" in index and "1 of 1 chapters" in index


def test_help_is_fast_because_nothing_heavy_is_imported():
    heavy = ("torch", "nbformat", "papermill")
    code = f"import sys, gan_course.cli as c; c.parser(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_formulas_become_mathml_and_code_and_prices_stay():
    source = r"The loss $L_D$ and" "\n\n" r"$$\frac{p}{p+q}$$" "\n\nbut `$x$`, $5 and 6$7."
    made = formulas.replace(source, lambda made, latex: made)
    assert made.count("<math") == 2 and made.count('display="block"') == 1
    assert "<mfrac>" in made and "<msub><mi>L</mi><mi>D</mi></msub>" in made and "`$x$`, $5 and 6$7." in made


def test_the_cover_is_the_tagged_picture_else_the_first():
    def cell(alt, tags=(), kind="image/png"):
        output = nbformat.v4.new_output("display_data", {kind: alt[0]}, metadata={kind: {"alt": alt}})
        return nbformat.v4.new_code_cell("", outputs=[output], metadata={"tags": list(tags)})

    def found(*cells):
        return notebooks.cover_picture(nbformat.v4.new_notebook(cells=list(cells)))

    first, second = cell("a first picture"), cell("b second picture", ["cover"], "image/jpeg")
    assert found(first, second) == ("data:image/jpeg;base64,b", "b second picture")
    assert found(first) == ("data:image/png;base64,a", "a first picture")
    assert found() is None
