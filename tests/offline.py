"""Run a program where there is no network at all: in a network namespace of its own, which holds nothing but itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

# Within the namespace: switch on the loopback, over which Jupyter talks to its kernels, and become the program. 0x8914
# is SIOCSIFFLAGS, and its flags are IFF_UP | IFF_RUNNING. Then see that nobody outside can be reached.
ENTER = """
import errno, fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x41))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
    if outside.connect_ex(("192.0.2.1", 9)) != errno.ENETUNREACH:
        sys.exit("there is a route out of here")
os.execvp(sys.argv[1], sys.argv[1:])
"""


def command(*words: str) -> list[str]:
    return ["unshare", "--map-root-user", "--net", sys.executable, "-c", ENTER, *words]


def why_not() -> str | None:
    """A sentence where this system has no such namespaces for us, None where it has."""
    if shutil.which("unshare") is None:
        return "no network namespaces here: unshare (Linux, package util-linux) is missing"
    done = subprocess.run(command("true"), capture_output=True, encoding="utf-8", check=False)
    if done.returncode == 0:
        return None
    return f"no network namespaces here: {(done.stderr.strip().splitlines() or ['unshare failed'])[-1]}"


def run(*words: str | Path, cwd: Path, timeout: float, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What the program printed, stdout and stderr together, and how it ended."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "check": False}
    return subprocess.run(command(*map(str, words)), cwd=cwd, env=env, timeout=timeout, **options)
