"""``gan-course run`` when things go wrong: odd files, dead kernels, slow cells, full disks, signals, two at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from notebooks import code, save, show_picture, stream, text

from gan_course import cli
from gan_course.commands import execute, notebooks, pages, processes, run
from gan_course.commands.errors import CourseError

POSIX = pytest.mark.skipif(os.name != "posix", reason="there are no such signals and files on Windows")
GOOD = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
CELL = {"cell_type": "code", "id": "a", "metadata": {}, "source": "1", "outputs": [], "execution_count": None}


def with_cell(**changes: object) -> str:
    return json.dumps(GOOD | {"cells": [CELL | changes]})


ODD = {
    "{}": "{}",
    "[]": "[]",
    "a number": "5",
    "null": "null",
    "nothing": "",
    "no JSON": "<html>",
    "no cells": json.dumps({k: v for k, v in GOOD.items() if k != "cells"}),
    "cells: null": json.dumps(GOOD | {"cells": None}),
    "cells: {}": json.dumps(GOOD | {"cells": {}}),
    "a cell that is null": json.dumps(GOOD | {"cells": [None]}),
    "a cell that is a number": json.dumps(GOOD | {"cells": [5]}),
    "a cell of no kind": with_cell(cell_type=7),
    "a cell of an unknown kind": with_cell(cell_type="poem"),
    "a number for a source": with_cell(source=5),
    "numbers in a source": with_cell(source=["a", 5]),
    "no outputs": with_cell(outputs=None),
    "a number for an output": with_cell(outputs=[3]),
    "a number for a text": with_cell(outputs=[{"output_type": "stream", "name": "stdout", "text": 5}]),
    "a number for a picture": with_cell(
        outputs=[{"output_type": "display_data", "data": {"image/png": 5}, "metadata": {}}]
    ),
    "a number for tags": with_cell(metadata={"tags": 3}),
    "HTML for a count": with_cell(execution_count="<b>"),
    "metadata: null": json.dumps(GOOD | {"metadata": None}),
    "a version to come": json.dumps(GOOD | {"nbformat": 99}),
    "a version in words": json.dumps(GOOD | {"nbformat": "four"}),
    "a minor version in words": json.dumps(GOOD | {"nbformat_minor": "five"}),
    "format 3 without sheets": json.dumps(GOOD | {"nbformat": 3}),
    "deep nesting": "[" * 100_000,
    "a byte-order mark": "\ufeff" + json.dumps(GOOD),
}


def refusal(path: Path) -> str:
    with pytest.raises(CourseError) as error:
        notebooks.read(path)
    said = str(error.value)
    assert path.name in said and "\n" not in said and len(said) < 400 and said.endswith(".")
    return said


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_is_a_sentence(tmp_path, kind):
    path = tmp_path / "03_odd.ipynb"
    path.write_text(ODD[kind], encoding="utf-8")
    assert "cannot be read as a notebook (" in refusal(path)


@POSIX
def test_so_is_what_is_no_ordinary_file(tmp_path, monkeypatch):
    (tmp_path / "folder.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "link.ipynb").symlink_to("gone")
    (tmp_path / "device.ipynb").symlink_to("/dev/zero")
    (tmp_path / "bytes.ipynb").write_bytes(b'{"a": "\xff"}')
    with open(tmp_path / "huge.ipynb", "wb") as file:
        file.truncate(notebooks.LARGEST + 1)
    assert "it is a folder" in refusal(tmp_path / "folder.ipynb")
    assert "no ordinary file" in refusal(tmp_path / "pipe.ipynb")
    assert "a link to a file that is not there" in refusal(tmp_path / "link.ipynb")
    assert "no ordinary file" in refusal(tmp_path / "device.ipynb")
    assert "byte 8 is not UTF-8" in refusal(tmp_path / "bytes.ipynb")
    assert "more than 100" in refusal(tmp_path / "huge.ipynb")
    monkeypatch.setattr(
        Path, "read_bytes", lambda self: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    said = refusal(save(tmp_path / "mine.ipynb", text("x")))
    assert "cannot be read (Permission denied): see who may read it" in said, "a good file must not be thrown away"


def test_a_good_notebook_of_any_version_is_read(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / f"{name}.ipynb", code("1", "parameters", extra={"any": ["thing"]}), text("x"))
    raw = json.loads((tmp_path / "a.ipynb").read_text())
    del raw["cells"][0]["id"]
    raw["new"] = 1
    (tmp_path / "a.ipynb").write_text(json.dumps(raw))
    assert len(notebooks.read(tmp_path / "a.ipynb").cells) == 2
    old = nbformat.convert(nbformat.read(tmp_path / "b.ipynb", 4), 3)
    (tmp_path / "b.ipynb").write_text(json.dumps(old))
    assert len(notebooks.read(tmp_path / "b.ipynb").cells) == 2


# ------------------------------------------------------------------------------------------------- one run of faults

CRASH = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\nimport time; time.sleep(9)"


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """What the command printed, and its folder: one chapter for each fault, some good ones between them."""
    root = tmp_path_factory.mktemp("course")
    chapters = root / "chapters"
    save(chapters / "00_good #1? {x} 50%.ipynb", code("print('ok')"))
    (chapters / "01_empty.ipynb").write_text("{}")
    (chapters / "02_folder.ipynb").mkdir()
    save(
        chapters / "03_crash.ipynb",
        code("print('before')"),
        code(CRASH if os.name == "posix" else "import os\nos._exit(9)"),
    )
    save(chapters / "04_slow.ipynb", code("print('before')"), code("import time\ntime.sleep(600)"))
    save(chapters / "05_exit.ipynb", code("import os\nos._exit(9)"))
    save(chapters / "index.ipynb", code("1"))
    notebooks_ = root / "build" / "notebooks"
    save(notebooks_ / "06_later.ipynb", text("# Later")).write_text('{"cells": [')
    save(chapters / "06_later.ipynb", text("x"))
    for name in ("01_empty", "06_later"):
        (root / "build" / f"{name}.html").write_text("a page of an earlier run")
    options = ["--root", root, "--jobs", 3, "--cell-timeout", 5, "--only", "0", "1", "2", "3", "4", "5", "index"]
    command = [sys.executable, "-m", "gan_course.cli", "run", *map(str, options)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=240)
    return done, root / "build"


def test_every_fault_is_named_and_the_others_run(faults):
    done, build = faults
    assert (done.returncode, done.stderr) == (1, "")
    rows = {row["chapter"]: row for row in json.loads((build / "summary.json").read_text(encoding="utf-8"))["chapters"]}
    assert rows.pop("00_good #1? {x} 50%")["status"] == "ok"
    assert {row["status"] for row in rows.values()} == {"failed"}
    errors = {name: row["error"] for name, row in rows.items()}
    assert "01_empty.ipynb cannot be read as a notebook (it names no nbformat" in errors["01_empty"]
    assert "02_folder.ipynb cannot be read as a notebook (it is a folder)" in errors["02_folder"]
    assert "rename it" in errors["index"]
    assert errors["04_slow"] == (
        "cell 2 (import time): it took longer than the 5 s that a cell may take; allow more with --cell-timeout SECONDS"
    )
    assert "by exit code 9: the program in it ended it" in errors["05_exit"]
    if os.name == "posix":
        assert "by signal 11 (SIGSEGV): a library's compiled code" in errors["03_crash"]
        assert "memory ran out" not in errors["03_crash"]
    for name, error in errors.items():
        assert error in done.stdout and name in done.stdout


def test_pages_of_faults_say_what_stopped_them(faults):
    _, build = faults
    slow = (build / "04_slow.html").read_text(encoding="utf-8")
    assert "it took longer than the 5 s" in slow and 'href="#the-error"' in slow and 'id="the-error"' in slow
    assert "before" in slow.split("<main>")[1]
    assert not (build / "01_empty.html").exists(), "the page of an earlier run must not pass for this one's"
    index = (build / "index.html").read_text(encoding="utf-8")
    assert "06_later" in index and "from an earlier run" in index, "half a notebook there is no reason to stop"
    assert not list(build.rglob("*.part")) and not (build / ".reserve").exists()


def test_compare_goes_on_after_a_damaged_file(faults, capsys):
    _, build = faults
    assert cli.main(["compare", "--root", str(build.parent)]) == 1
    out = capsys.readouterr().out
    assert "01_empty.ipynb: it has not run here" in out and "06_later.ipynb cannot be read as a notebook" in out


# ------------------------------------------------------------------------------------------------- how it ended


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        (-11, "signal 11 (SIGSEGV): a library's compiled code"),
        (-9, "signal 9 (SIGKILL): most often the system did that because the memory ran out"),
        (-40, "signal 40 (no name)"),
        (3, "exit code 3: the program"),
        (0xC0000005, "exit code 0xC0000005 (access violation)"),
        (0xC0000005 - 2**32, "signal"),
        (None, "not known"),
    ],
)
def test_how_a_process_ended(exit_code, said):
    assert processes.how_it_ended(exit_code).startswith(said) or said in processes.how_it_ended(exit_code)


def test_the_limit_for_a_cell_is_the_one_that_the_help_names():
    assert cli.parser().parse_args(["run"]).cell_timeout == execute.CELL_SECONDS >= 900


def test_an_endless_output_is_cut(monkeypatch):
    client = object.__new__(execute.Client)
    client.kept = (-1, 0)
    outs: list = []
    kept = lambda self, outs, msg, display_id, cell_index: outs.append(msg["content"]["text"])  # noqa: E731
    monkeypatch.setattr(execute.PapermillNotebookClient, "output", kept)
    monkeypatch.setattr(execute, "OUTPUT_MB", 0.001)
    for _ in range(5):
        client.output(outs, {"msg_type": "stream", "content": {"text": "x" * 400}}, None, 3)
    assert outs[:2] == ["x" * 400] * 2 and "[Cut: more than" in outs[2].text and len(outs) == 3
    client.output(outs, {"msg_type": "stream", "content": {"text": "next"}}, None, 4)
    assert outs[3] == "next"


# ------------------------------------------------------------------------------------------------- signals

WAIT = "import os, time\nfrom pathlib import Path\nPath('../pid').write_text(str(os.getpid()))\ntime.sleep(300)"


@POSIX
@pytest.mark.parametrize("sent", [["SIGHUP"], ["SIGTERM", "SIGINT", "SIGINT"]])
def test_a_signal_keeps_what_is_finished(tmp_path, sent):
    save(tmp_path / "chapters" / "00_done.ipynb", code(show_picture()))
    save(tmp_path / "chapters" / "01_waits.ipynb", code(WAIT))
    save(tmp_path / "chapters" / "02_never.ipynb", code("1"))
    process = subprocess.Popen(
        [sys.executable, "-m", "gan_course.cli", "run", "--root", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test run in the background ignores it
    )
    kernel, give_up = tmp_path / "pid", time.monotonic() + 120
    while not (kernel.exists() and kernel.read_text()) and time.monotonic() < give_up:
        time.sleep(0.05)
    for name in sent:
        process.send_signal(getattr(signal, name))
        time.sleep(0.1)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (128 + getattr(signal, sent[0]), "")
    assert f"01_waits was stopped by {sent[0]}" in out and "1 of 3 chapters ran before the stop." in out
    build = tmp_path / "build"
    rows = json.loads((build / "summary.json").read_text(encoding="utf-8"))["chapters"]
    assert [row["status"] for row in rows] == ["ok", "stopped", "not run"]
    assert (build / "00_done.html").exists() and (build / "index.html").read_text(encoding="utf-8").count("<li>") == 3
    with pytest.raises(ProcessLookupError):
        os.kill(int(kernel.read_text()), 0)


@POSIX
def test_a_closed_pipe_does_not_stop_a_run(tmp_path):
    save(tmp_path / "chapters" / "00_a.ipynb", text("x"))
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gan_course.cli", "run", "--root", str(tmp_path)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, encoding="utf-8", timeout=120)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "build" / "index.html").exists() and (tmp_path / "build" / "00_a.html").exists()


def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with processes.Stop() as stop:
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
            stop.hear(signal.SIGINT, None)
            stop.hear(signal.SIGTERM, None)
            assert (stop.signal, stop.name) == (signal.SIGINT, "SIGINT")
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


# ------------------------------------------------------------------------------------------------- two at once


def test_a_second_run_is_told_and_the_lock_dies_with_its_process(tmp_path, capsys):
    save(tmp_path / "chapters" / "00_a.ipynb", text("x"))
    (tmp_path / "build").mkdir()
    hold = (
        "import sys\nfrom pathlib import Path\nfrom gan_course.commands import run\nwith run.alone(Path(sys.argv[1])):"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{hold}\n print('held', flush=True)\n input()", str(tmp_path / "build")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline().strip() == b"held"
    assert cli.main(["run", "--root", str(tmp_path)]) == 2
    assert "another process" in capsys.readouterr().err
    assert not (tmp_path / "build" / "summary.json").exists()
    holder.kill()
    holder.communicate()
    with run.alone(tmp_path / "build"):
        pass


# ------------------------------------------------------------------------------------------------- disks


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a small disk; skipped where that is not allowed."""
    mounted = []

    def mount(folder: Path, size: str) -> Path:
        folder.mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip("no disk may be mounted here")
        mounted.append(folder)
        return folder

    if os.name != "posix" or os.geteuid():
        pytest.skip("no disk may be mounted here")
    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


FILL = """with open({file!r}, "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(10_000))
    except OSError as error:
        print(error.strerror)"""


def test_a_disk_that_fills_keeps_finished_pages_and_names_the_rest(small_disk, tmp_path, capsys, monkeypatch):
    build = small_disk(tmp_path / "build", "8m")
    monkeypatch.setattr(run, "MIN_FREE_MB", 5)
    save(tmp_path / "chapters" / "00_a.ipynb", code(show_picture()))
    save(tmp_path / "chapters" / "01_b.ipynb", code(FILL.format(file="../build/filler")))
    assert cli.main(["run", "--root", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "01_b failed: its page could not be written: can't write" in out and "the disk is full" in out
    rows = json.loads((build / "summary.json").read_text(encoding="utf-8"))["chapters"]
    assert [row["status"] for row in rows] == ["ok", "failed"] and "the disk is full" in rows[1]["error"]
    assert (build / "00_a.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert (build / "index.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert not (build / "01_b.html").exists() and not list(build.rglob("*.part"))


def test_update_on_a_disk_that_fills_leaves_the_sources(small_disk, tmp_path, capsys):
    chapters = small_disk(tmp_path / "chapters", "12m")
    save(chapters / "00_a.ipynb", code("print('x' * 5000)"))
    save(chapters / "01_b.ipynb", code(FILL.format(file="filler")))
    before = {path.name: path.read_bytes() for path in chapters.glob("*.ipynb")}
    assert cli.main(["run", "--root", str(tmp_path), "--update"]) == 2
    said = capsys.readouterr().err
    assert "the disk is full" in said and "0 of 2 chapters are fresh, the others as they were." in said
    assert {path.name: path.read_bytes() for path in chapters.glob("*.ipynb")} == before


def test_update_is_refused_before_the_run_where_it_could_not_write(small_disk, tmp_path, capsys):
    chapters = small_disk(tmp_path / "chapters", "4m")
    save(chapters / "00_a.ipynb", code("1"))
    assert cli.main(["run", "--root", str(tmp_path), "--update"]) == 2
    assert "and --update needs 10: delete something." in capsys.readouterr().err
    subprocess.run(["mount", "-o", "remount,ro", str(chapters)], check=True)
    assert cli.main(["run", "--root", str(tmp_path), "--update"]) == 2
    assert "cannot be written (Read-only file system), and --update writes there" in capsys.readouterr().err


def test_a_full_disk_still_gets_an_index_without_pictures(tmp_path, monkeypatch):
    def write(path, content):
        if len(content) > 3000:
            raise OSError("can't write index.html: the disk is full")
        Path(path).write_bytes(content)

    output = nbformat.v4.new_output("display_data", {"image/png": "A" * 4000})
    save(tmp_path / "notebooks" / "00_a.ipynb", code("1") | {"outputs": [stream("x"), output]})
    monkeypatch.setattr(pages, "write_whole", write)
    said: list[str] = []
    chapters = [execute.Chapter(tmp_path / "00_a.ipynb", {}, 1, status="ok")]
    assert run.write_results(tmp_path, [tmp_path / "00_a.ipynb"], chapters, 1.0, said.append)
    assert "<img" not in (tmp_path / "index.html").read_text(encoding="utf-8") and said == []
    monkeypatch.setattr(pages, "write_whole", lambda path, content: write(path, content * 9))
    assert not run.write_results(tmp_path, [tmp_path / "00_a.ipynb"], chapters, 1.0, said.append)
    assert said == ["can't write index.html: the disk is full."]


def test_places_that_cannot_be_written_are_found_before_the_run(tmp_path, capsys):
    save(tmp_path / "chapters" / "00_a.ipynb", code("1"))
    (tmp_path / "one" / "index.html").mkdir(parents=True)
    assert cli.main(["run", "--root", str(tmp_path), "--out", "one"]) == 2
    assert "cannot be written (its index.html is a folder)" in capsys.readouterr().err
    if os.name == "posix":
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "notebooks").symlink_to("../chapters")
        assert cli.main(["run", "--root", str(tmp_path), "--out", "two"]) == 2
        assert "is the folder of the chapters" in capsys.readouterr().err


def test_outputs_of_other_code_are_never_written_back(tmp_path):
    source = save(tmp_path / "00_a.ipynb", code("print(1)"))
    executed = save(tmp_path / "b" / "00_a.ipynb", code("print(2)"))
    with pytest.raises(CourseError, match=r"00_a.ipynb has changed while it ran"):
        run.with_outputs(source, executed)
