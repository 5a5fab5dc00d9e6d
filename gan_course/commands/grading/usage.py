"""What a process and all that it has started use up, now."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

CHILDREN = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists()


@dataclass
class Usage:
    """``seconds`` of processor so far, ``memory`` in bytes without what is shared, and whether anything computes."""

    processes: int = 0
    seconds: float = 0.0
    memory: int = 0
    works: bool = False


def of_tree(pid: int) -> Usage:
    return _from_proc(pid) if CHILDREN else _from_psutil(pid)


def _from_proc(pid: int) -> Usage:
    """Linux tells the children of a process: no need to look at all processes of the machine, twenty times a second."""
    used, waiting = Usage(), [pid]
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    while waiting and used.processes < 10_000:
        process = Path(f"/proc/{waiting.pop()}")
        with suppress(OSError, ValueError, IndexError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            size = (process / "statm").read_text().split()
            used.processes += 1
            used.seconds += sum(map(int, fields[11:15])) / ticks
            used.memory += (int(size[1]) - int(size[2])) * page
            used.works = used.works or fields[0] == "R"
            for task in (process / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
                if not used.works and task.name != process.name:
                    used.works = (task / "stat").read_text().rpartition(")")[2].split()[0] == "R"
    return used


def _from_psutil(pid: int) -> Usage:
    used = Usage()
    with suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                used.processes += 1
                used.seconds += times.user + times.system
                used.memory += process.memory_info().rss
                used.works = used.works or process.status() == psutil.STATUS_RUNNING
    return used
