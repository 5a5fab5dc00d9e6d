"""The kernels as processes: how much memory they hold, how to end one, how one has ended; and being told to stop."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

# What a process that ended by a signal most often died of.
CAUSES = {
    "SIGKILL": "most often the system did that because the memory ran out: "
    "close other programs or choose a smaller batch",
    "SIGSEGV": "a library's compiled code touched memory that is not its own",
    "SIGBUS": "a library's compiled code touched memory that is not there, which a full disk can cause, too",
    "SIGILL": "a library was built for another processor",
    "SIGFPE": "a library's compiled code divided by zero",
    "SIGABRT": "a library gave up",
    "SIGTERM": "another program or person ended it",
    "SIGINT": "another program or person interrupted it",
    "SIGHUP": "its terminal was closed",
    "SIGXCPU": "it used up the processor time that it may have",
    "SIGXFSZ": "it wrote a file larger than it may",
}
WINDOWS = {  # exit codes with which Windows says why it ended a process
    0xC0000005: ("access violation", CAUSES["SIGSEGV"]),
    0xC0000017: ("no memory", "close other programs or choose a smaller batch"),
    0xC000001D: ("illegal instruction", CAUSES["SIGILL"]),
    0xC00000FD: ("stack overflow", "a function may call itself without an end"),
    0xC0000409: ("fast fail", CAUSES["SIGABRT"]),
}


def processors() -> int:
    """Processors that this process may use, which in a container is fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its children in MB; on Linux the process's own highest so far. 0 if gone."""
    try:
        process = psutil.Process(pid)
        own = process.memory_info().rss
        status = Path(f"/proc/{pid}/status")
        if status.exists():  # the kernel keeps the peak, so that a short one between two looks counts as well
            peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
            own = max(own, int(peak.group(1)) * 1024 if peak else 0)
        return (own + sum(child.memory_info().rss for child in process.children(recursive=True))) / 1e6
    except (psutil.Error, OSError):
        return 0.0


def kill(pid: int | None) -> None:
    """End a kernel and its children at once: it is busy computing and would not hear a polite request."""
    if pid is None:
        return
    try:
        process = psutil.Process(pid)
        for one in [*process.children(recursive=True), process]:
            one.kill()
    except psutil.Error:
        pass


def how_it_ended(code: int | None) -> str:
    """What a process's exit code tells, in words: "signal 11 (SIGSEGV): a library's compiled code ..."."""
    if code is None:
        return "how is not known"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:  # a real-time signal
            name = "no name"
        cause = f": {CAUSES[name]}" if name in CAUSES else ""
        return f"signal {-code} ({name}){cause}"
    if code % 2**32 in WINDOWS:
        name, cause = WINDOWS[code % 2**32]
        return f"exit code 0x{code % 2**32:X} ({name}): {cause}"
    return f"exit code {code}: the program in it ended it"


class Stop:
    """Within ``with Stop() as stop``, Ctrl-C, SIGTERM and SIGHUP only set ``stop.signal``, and none of them again.

    So nothing is ever interrupted half-way: who can stop looks at ``stop.signal`` now and then. What was ignored before
    stays ignored, as ``nohup`` wants it. Outside of the main thread, where Python hears no signals, it does nothing.
    """

    NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last one is Windows' Ctrl-Break

    def __init__(self) -> None:
        self.signal: int | None = None
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for number in (getattr(signal, name) for name in self.NAMES if hasattr(signal, name)):
            before = signal.getsignal(number)
            if before in (signal.SIG_IGN, None):
                continue
            try:
                signal.signal(number, self.hear)
            except ValueError:  # not the main thread
                break
            self.before[number] = before
        return self

    def hear(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number

    def __exit__(self, *error: object) -> None:
        for number, before in self.before.items():
            signal.signal(number, before)

    @property
    def name(self) -> str:
        return signal.Signals(self.signal).name if self.signal else ""
