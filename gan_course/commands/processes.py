"""The kernels as processes: how much memory they hold, and how to end one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil


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
