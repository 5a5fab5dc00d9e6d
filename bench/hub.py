"""A JupyterHub on this computer with a class at once: who fails, how much memory and time a student takes.

``python -m bench.hub --write`` puts the figures where ``gan-course plan`` reads them. The hub is a real one, with
configurable-http-proxy, anybody may log in with one password, and its servers are processes of this user.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import requests

from gan_course.commands.timings import PAGE
from gan_course.files import write_whole

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "gan_course/costs/hub/measured.json"
NOTEBOOK = "exercises/01_concepts.ipynb"
PASSWORD = "one for the whole class"
PATIENCE = 300  # seconds: until a server has started, and until a cell has run
CONFIG = """
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.DummyAuthenticator.password = {password!r}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.args = {arguments!r}
c.Spawner.environment = {{"OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1"}}
c.Spawner.start_timeout = c.Spawner.http_timeout = {patience}
c.JupyterHub.bind_url = "http://127.0.0.1:{ports[0]}"
c.JupyterHub.hub_port = {ports[1]}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{ports[2]}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.services = [{{"name": "teacher", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [{{"name": "teacher", "services": ["teacher"], "scopes": ["admin:users"]}}]
"""


@dataclass(frozen=True)
class Student:
    """What one student saw. Seconds are counted from the log-in."""

    name: str
    ready: float  # the server answers and has handed out the exercise
    done: float  # setup and check have run
    said: str  # by the check
    error: str = ""


@dataclass(frozen=True)
class Class:
    """A class at once. MB are 10^6 bytes."""

    students: list[Student]
    rss_mb: list[float]  # of each student's server and kernel: what a container of its own would be charged
    shared_mb: list[float]  # the same, with memory that several processes share divided among them
    server_mb: list[float]  # of each student's server without its kernel
    cpu_seconds: list[float]  # of each student's server and kernel, until the check has run
    home_mb: list[float]
    hub_mb: float  # of the hub and its proxy

    @property
    def failed(self) -> list[Student]:
        return [student for student in self.students if student.error]


def proxy_command() -> str | None:
    """Where configurable-http-proxy is: on the path, or where ``make hub`` installs it."""
    places = [os.environ.get("PATH", ""), str(ROOT / "build/node/node_modules/.bin")]
    return shutil.which("configurable-http-proxy", path=os.pathsep.join(places))


def free_ports(count: int) -> list[int]:
    with closing(socket.socket()) as first:
        first.bind(("127.0.0.1", 0))
        ports = [first.getsockname()[1]]
        return ports + (free_ports(count - 1) if count > 1 else [])


@contextmanager
def hub(folder: Path, proxy: str) -> Iterator[tuple[str, str, psutil.Process]]:
    """(address, teacher's token, process) of a hub whose files lie in ``folder``. All its processes end with it."""
    token, ports = secrets.token_hex(16), free_ports(3)
    arguments = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    config = CONFIG.format(
        password=PASSWORD, homes=str(folder / "homes/{username}"), python=sys.executable, arguments=arguments,
        patience=PATIENCE, ports=ports, proxy=proxy, token=token,
    )  # fmt: skip
    write_whole(folder / "jupyterhub_config.py", config.encode())
    with (folder / "hub.log").open("wb") as log:
        command = [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py"]
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    process, address = psutil.Process(server.pid), f"http://127.0.0.1:{ports[0]}"
    try:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                if requests.get(f"{address}/hub/api", timeout=5).ok:
                    break
            except requests.ConnectionError:
                pass
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the hub did not start: {(folder / 'hub.log').read_text()[-1000:]}")
            time.sleep(0.2)
        yield address, token, process
    finally:
        family = [*process.children(recursive=True), process]
        for one in family:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(family, timeout=10)
        server.wait()


def cells(root: Path) -> list[str]:
    """What a student runs: the setup, the imports, a right answer to the first task, its check."""
    notebook = json.loads((root / "solutions" / Path(NOTEBOOK).name).read_text(encoding="utf-8"))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return code[:4]


def attend(name: str, address: str, code: Sequence[str]) -> Student:
    """Log in, open the exercise, run the cells. A failure is reported, never raised."""
    started = time.monotonic()
    ready = 0.0
    try:
        api = f"{address}/hub/api/users/{name}"
        body = {"auth": {"username": name, "password": PASSWORD}}
        answer = requests.post(f"{api}/tokens", json=body, timeout=PATIENCE)
        answer.raise_for_status()
        as_student = {"Authorization": f"token {answer.json()['token']}"}
        requests.post(f"{api}/server", headers=as_student, timeout=PATIENCE).raise_for_status()
        while not requests.get(api, headers=as_student, timeout=PATIENCE).json()["servers"].get("", {}).get("ready"):
            if time.monotonic() > started + PATIENCE:
                raise TimeoutError("the server did not start in time")
            time.sleep(0.5)
        own = f"{address}/user/{name}/api"
        opened = requests.get(f"{own}/contents/{NOTEBOOK}", headers=as_student, timeout=PATIENCE)
        opened.raise_for_status()
        assert opened.json()["content"]["cells"], "the exercise is empty"
        ready = time.monotonic() - started
        session: Any = {"path": NOTEBOOK, "name": "", "type": "notebook", "kernel": {"name": "python3"}}
        made = requests.post(f"{own}/sessions", headers=as_student, json=session, timeout=PATIENCE)
        made.raise_for_status()
        channel = f"{own.replace('http', 'ws', 1)}/kernels/{made.json()['kernel']['id']}/channels"
        said = run_cells(channel, as_student, code)
        return Student(name, ready, time.monotonic() - started, said)
    except Exception as error:
        return Student(name, ready, time.monotonic() - started, "", f"{type(error).__name__}: {error}"[:300])


def run_cells(channel: str, headers: dict[str, str], code: Sequence[str]) -> str:
    """What the cells print, run one after the other in the kernel behind ``channel``, as JupyterLab would."""
    import websocket

    printed: list[str] = []
    with closing(websocket.create_connection(channel, header=headers, timeout=PATIENCE)) as kernel:
        for source in code:
            number = uuid.uuid4().hex
            header = {"msg_id": number, "msg_type": "execute_request", "username": "", "session": "", "version": "5.3"}
            content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False}
            request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
            kernel.send(json.dumps(request))
            while True:
                message: dict[str, Any] = json.loads(kernel.recv())
                if message["parent_header"].get("msg_id") != number:
                    continue
                kind, content = message["header"]["msg_type"], message["content"]
                if kind == "stream":
                    printed.append(content["text"])
                elif kind == "error":
                    raise RuntimeError(f"{content['ename']}: {content['evalue']}")
                elif kind == "status" and content["execution_state"] == "idle":
                    break
    return "".join(printed)


def measure(count: int, proxy: str, root: Path = ROOT) -> Class:
    """A class of ``count`` students, who all log in at the same moment."""
    with TemporaryDirectory() as place, hub(Path(place), proxy) as (address, teacher, process):
        names = [f"student-{number:02d}" for number in range(1, count + 1)]
        for name in names:
            for part in ("chapters", "exercises"):  # as nbgitpuller would bring them
                shutil.copytree(root / part, Path(place, "homes", name, part))
        answer = requests.post(
            f"{address}/hub/api/users",
            json={"usernames": names},
            headers={"Authorization": f"token {teacher}"},
            timeout=60,
        )
        answer.raise_for_status()
        code = cells(root)
        with ThreadPoolExecutor(count) as pool:
            students = list(pool.map(lambda name: attend(name, address, code), names))
        servers = {p.environ().get("JUPYTERHUB_USER", ""): p for p in process.children() if is_server(p)}
        found = [weigh(servers[name]) for name in names if name in servers]
        others = [process, *(p for p in process.children() if not is_server(p))]
        return Class(
            students=students,
            rss_mb=[weight[0] for weight in found],
            shared_mb=[weight[1] for weight in found],
            server_mb=[weight[2] for weight in found],
            cpu_seconds=[weight[3] for weight in found],
            home_mb=[size_mb(Path(place, "homes", name)) for name in names],
            hub_mb=sum(p.memory_info().rss for p in others) / 1e6,
        )


def is_server(process: psutil.Process) -> bool:
    return "jupyterhub.singleuser" in process.cmdline()


def weigh(server: psutil.Process) -> tuple[float, float, float, float]:
    """Of a student's server and its kernel: resident MB, MB with shared memory divided, the server's own, CPU s."""
    family = [server, *server.children(recursive=True)]
    resident = sum(p.memory_info().rss for p in family) / 1e6
    shared = sum(getattr(p.memory_full_info(), "pss", p.memory_info().rss) for p in family) / 1e6
    return (
        resident,
        shared,
        server.memory_info().rss / 1e6,
        sum(p.cpu_times().user + p.cpu_times().system for p in family),
    )


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def figures(measured: Class, load: float, root: Path = ROOT) -> dict[str, Any]:
    """What ``gan-course plan`` computes with. load: of other programs before the class came, 0 on an idle computer."""
    chapters = re.findall(
        r"^\| \d\d_\w+ \| (?:(\d+) min )?(\d+) s \| ([\d.]+) GB \|$", (root / PAGE).read_text("utf-8"), re.M
    )
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "students": len(measured.students),
        "failed": len(measured.failed),
        "ready_seconds_median": round(median(s.ready for s in measured.students), 1),
        "done_seconds_median": round(median(s.done for s in measured.students), 1),
        "done_seconds_most": round(max(s.done for s in measured.students), 1),
        "cpu_seconds_per_student": round(max(measured.cpu_seconds), 1),
        "memory_mb_per_student": round(max(measured.rss_mb)),
        "shared_memory_mb_per_student": round(max(measured.shared_mb)),
        "hub_memory_mb": round(measured.hub_mb),
        "home_mb_per_student": round(max(measured.home_mb), 1),
        "environment_mb": round(size_mb(Path(psutil.__file__).parents[1])),
        "server_memory_mb": round(max(measured.server_mb)),
        "largest_chapter_mb": round(max(1000 * float(memory) for *_, memory in chapters)),
        "longest_chapter_seconds": max(60 * int(minutes or 0) + int(seconds) for minutes, seconds, _ in chapters),
        "load_of_others": round(load),
    }


def main(argv: Sequence[str] | None = None) -> int:
    top = argparse.ArgumentParser(prog="python -m bench.hub", description=__doc__.splitlines()[0])
    top.add_argument("--students", type=int, default=10, metavar="N", help="who log in at once (default: 10)")
    top.add_argument("--write", action="store_true", help=f"write the figures into {FIGURES.relative_to(ROOT)}")
    options = top.parse_args(argv)
    proxy = proxy_command()
    if proxy is None:
        print("configurable-http-proxy is missing: install it with make hub", file=sys.stderr)
        return 2
    load = psutil.getloadavg()[0]
    measured = measure(options.students, proxy)
    for student in measured.students:
        said = student.said.strip() or student.error
        print(f"{student.name}: ready {student.ready:.1f} s, done {student.done:.1f} s  {said}")
    found = figures(measured, load)
    print(json.dumps(found, indent=1))
    if options.write and not measured.failed:
        write_whole(FIGURES, f"{json.dumps(found, indent=1)}\n".encode())
    return int(bool(measured.failed))


if __name__ == "__main__":
    sys.exit(main())
