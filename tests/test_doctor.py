"""``gan-course doctor``: every check with the thing in order and with the thing broken."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gan_course import cli
from gan_course.commands import doctor
from gan_course.data import downloads, fetching

HERE = os.path.join("envs", "course", "bin", "python")
ELSEWHERE = os.path.join("envs", "other", "bin", "python")

GOOD = {
    "Python": doctor.check_python((3, 11, 0)),
    "torch": doctor.check_torch("2.13.0", "cpu", None),
    "memory": doctor.check_memory(2.0),
    "memory unknown": doctor.check_memory(None),
    "disk": doctor.check_disk({"a": 1.0, "b": 50.0}),
    "bare kernel": doctor.check_kernel("python", HERE),
    "own kernel": doctor.check_kernel(os.path.join("envs", "course", "bin", "python3.12"), HERE),
    "widgets 8": doctor.check_widgets("8.1.9", "4.6.6", "3.0.17"),
    "widgets 7": doctor.check_widgets("7.7.1", "3.6.0", "1.1.1"),
    "widgets without lab": doctor.check_widgets("8.1.9", None, None),
    "no local data": doctor.check_data(None, False),
    "local data": doctor.check_data("shared", True),
    "cache": doctor.check_cache("place", True),
    "network": doctor.check_network(True),
    "offline": doctor.check_network(False),
    "Colab": doctor.check_colab(True),
    "no Colab": doctor.check_colab(False),
}
BROKEN = {
    "Python": (doctor.check_python((3, 10, 9)), "3.10.9", "Install Python 3.11 or newer"),
    "torch": (doctor.check_torch(None, "cpu", "No module named 'torch'"), "cannot be imported (No module", "torch."),
    "memory": (doctor.check_memory(1.94), "1.9 GB free", "Close other programs"),
    "disk": (doctor.check_disk({"a": 50.0, "b": 0.94}), "0.9 GB free at b", "Delete something"),
    "no kernel": (doctor.check_kernel(None, HERE), "there is none", "python -m pip install ipykernel"),
    "other kernel": (
        doctor.check_kernel(ELSEWHERE, HERE),
        f"python3 starts {ELSEWHERE}, which is another environment",
        "python -m ipykernel install --sys-prefix",
    ),
    "no ipywidgets": (doctor.check_widgets(None, "4.6", None), "not installed", "python -m pip install ipywidgets"),
    "no extension": (doctor.check_widgets("8.1", "4.6", None), "jupyterlab_widgets missing", "--upgrade ipywidgets"),
    "old extension": (doctor.check_widgets("8.1", "4.6", "1.1.1"), "jupyterlab_widgets 1.1.1", "--upgrade ipywidgets"),
    "new extension": (doctor.check_widgets("7.7.1", "4.6", "3.0.1"), "jupyterlab_widgets 3.0.1", "--upgrade"),
    "local data": (doctor.check_data("gone", False), "GAN_COURSE_DATA names gone, which is no folder", "unset it"),
    "cache": (doctor.check_cache("place", False), "place cannot be written", "GAN_COURSE_CACHE"),
}


@pytest.mark.parametrize("case", GOOD)
def test_in_order(case):
    assert GOOD[case].ok and GOOD[case].remedy == "" and GOOD[case].says


@pytest.mark.parametrize("case", BROKEN)
def test_broken_has_a_remedy_in_one_sentence(case):
    finding, says, remedy = BROKEN[case]
    assert not finding.ok
    assert says in finding.says
    assert remedy in finding.remedy and finding.remedy.endswith(".") and "\n" not in finding.remedy


def test_offline_says_what_works_without_network():
    assert "only mnist and fashion_mnist need them" in GOOD["offline"].says and "digits, glyphs" in GOOD["offline"].says


@pytest.fixture
def offline(monkeypatch):
    """No test asks a host on the internet."""
    asked: list[str] = []
    monkeypatch.setattr(doctor, "answers", lambda host: bool(asked.append(host)))
    return asked


@pytest.fixture
def plenty(monkeypatch, offline, tmp_path):
    """A computer in order, whatever the one is like that runs the tests."""
    monkeypatch.delenv("GAN_COURSE_DATA", raising=False)
    monkeypatch.setenv("GAN_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(doctor, "free_memory_gb", lambda: 8.0)
    monkeypatch.setattr(doctor, "free_disk_gb", lambda folder: 80.0)
    monkeypatch.setattr(doctor, "kernel_facts", lambda: ("python", sys.executable))
    monkeypatch.setattr(doctor, "version", {"ipywidgets": "8.1.9", "jupyterlab_widgets": "3.0.1"}.get)
    return monkeypatch


def run(capsys) -> tuple[int, list[str]]:
    code = cli.main(["doctor"])
    return code, capsys.readouterr().out.splitlines()


def test_all_in_order(plenty, capsys, offline):
    code, lines = run(capsys)
    assert code == 0
    assert [line[:6] for line in lines] == ["[ok]  "] * 10
    assert offline == list(doctor.DATA_HOSTS)
    assert lines[0] == f"[ok]  Python: {'.'.join(map(str, sys.version_info[:3]))}"


def fixes(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("[fix] ")]


def test_each_fact_reaches_its_check(plenty, capsys, tmp_path):
    (tmp_path / "file").write_text("in the folder's place")
    plenty.setenv("GAN_COURSE_DATA", str(tmp_path / "gone"))
    plenty.setenv("GAN_COURSE_CACHE", str(tmp_path / "file"))
    plenty.setattr(doctor, "free_memory_gb", lambda: 0.5)
    plenty.setattr(doctor, "free_disk_gb", lambda folder: 0.1)
    plenty.setattr(doctor, "kernel_facts", lambda: (None, sys.executable))
    plenty.setattr(doctor, "version", lambda name: None)
    plenty.setitem(sys.modules, "torch", None)
    plenty.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    code, lines = run(capsys)
    assert code == 1
    names = ["Python", "torch", "memory", "disk", "Jupyter kernel", "ipywidgets", "local data", "cache"]
    assert [line.split(": ")[0] for line in fixes(lines)] == [f"[fix] {name}" for name in names]
    assert all(line.endswith(".") for line in fixes(lines))


def test_one_broken_thing_is_one_fix(plenty, capsys, tmp_path):
    plenty.setenv("GAN_COURSE_DATA", str(tmp_path / "gone"))
    code, lines = run(capsys)
    assert code == 1
    assert fixes(lines) == [
        f"[fix] local data: GAN_COURSE_DATA names {tmp_path / 'gone'}, which is no folder. "
        "Set GAN_COURSE_DATA to a folder that exists, or unset it to download the data once."
    ]


def test_json(plenty, capsys):
    plenty.setattr(doctor, "free_memory_gb", lambda: 0.5)
    assert cli.main(["doctor", "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert len(findings) == 10 and all(set(f) == {"name", "ok", "says", "remedy"} for f in findings)
    assert [f["name"] for f in findings if not f["ok"]] == ["memory"]


def test_torch_that_breaks_on_import(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise OSError('libgomp.so.1 is missing\\nmore')")
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.syspath_prepend(tmp_path)
    assert doctor.torch_facts() == (None, "cpu", "libgomp.so.1 is missing")


def test_torch_that_works():
    installed, device, error = doctor.torch_facts()
    assert installed and installed[0].isdigit() and device and error is None


def test_kernel_of_another_environment(tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": [ELSEWHERE], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert doctor.kernel_facts() == (ELSEWHERE, sys.executable)
    (spec / "kernel.json").write_text("{broken")
    assert doctor.kernel_facts() == (None, sys.executable)
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    assert doctor.kernel_facts() == (None, sys.executable)


def test_writable(tmp_path):
    assert doctor.is_writable(tmp_path / "not" / "yet")
    assert not (tmp_path / "not").exists()
    (tmp_path / "file").write_text("")
    assert not doctor.is_writable(tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    assert not doctor.is_writable(tmp_path / "locked")


def test_disk_and_memory_are_read():
    assert 0 < doctor.free_disk_gb(Path("surely") / "not" / "there") < 1e6
    free = doctor.free_memory_gb()
    assert free is None or 0 < free < 1e5


def test_same_cache_and_hosts_as_the_downloads(monkeypatch):
    for value in ("", "somewhere"):
        monkeypatch.setenv("GAN_COURSE_CACHE", value)
        assert doctor.cache_folder(os.environ) == fetching.cache_folder()
    mirrors = downloads.MNIST.mirrors + downloads.FASHION_MNIST.mirrors
    assert all(any(mirror.startswith(host) for mirror in mirrors) for host in doctor.DATA_HOSTS)


def test_answers(monkeypatch):
    class Refuses(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(403)

        def log_message(self, *args) -> None:
            pass

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(doctor, "TIMEOUT", 0.5)
    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert doctor.answers(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    with socket.socket() as silent:  # takes the connection and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert not doctor.answers(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        closed = silent.getsockname()[1]
    assert not doctor.answers(f"http://127.0.0.1:{closed}/")
    assert not doctor.answers("no address")
