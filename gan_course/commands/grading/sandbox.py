"""One student's code in its sandbox: started, asked, watched, ended."""

from __future__ import annotations

import itertools
import os
import selectors
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from typing import Any

import psutil

from gan_course.checks.sandbox import OutOfTime
from gan_course.commands.grading import usage, wire
from gan_course.commands.grading.isolation import Limits, place

LOOK_SECONDS = 0.05  # between two looks at what the sandbox uses
GARBLED = "its answer was too large, or it wrote into the channel on which it is asked"
PYTORCH_MB = 600  # that Python and PyTorch hold beside what the answer asks for
START_SECONDS = 60.0  # that Python and PyTorch may take to load


class Ended(Exception):
    """The sandbox is gone; the text says why, for the table."""


class Sandbox:
    """Runs ``cells`` and then answers calls, until it ends itself or uses more than ``limits`` allow.

    ``remarks``: what a teacher should know about these cells. ``defined``: which of ``names`` they define.
    """

    def __init__(self, cells: list[str], names: list[str], kind: str, limits: Limits, until: float) -> None:
        self.cells, self.names, self.kind, self.limits, self.until = cells, names, kind, limits, until
        self.remarks: list[str] = []
        self.faults: dict[int, str] = {}  # by cell
        self.defined: dict[str, str] = {}
        self.skipped: set[int] = set()  # cells that ended a process
        self.running: int | None = None  # the cell that runs
        self.why: str | None = "it has not started"  # nothing while it lives
        self.numbers = itertools.count(1)
        self.printed, self.stack = 0, ExitStack()

    # -------------------------------------------------------------------------------------- start and end

    def start(self) -> None:
        """Start a process and run the cells in it; a cell that ends it is left out at the next try."""
        for _ in range(4):
            try:
                self._start()
                return
            except (Ended, OutOfTime, wire.Garbled) as error:
                self.end()
                why = GARBLED if isinstance(error, wire.Garbled) else str(error) or self.why or "it ended"
                if self.running is None or self.running in self.skipped or time.monotonic() > self.until:
                    self.why = why
                    return
                self.skipped.add(self.running)
                self.faults[self.running] = why
                self.remarks.append(f"cell {self.running + 1} was stopped: {why}")
        self.why = "one cell after another had to be stopped"

    def _start(self) -> None:
        self.stack = ExitStack()
        self.__dict__.pop("networks", None)  # what came back belongs to the process that is gone
        where = self.stack.enter_context(place(self.kind, self.limits))
        ask_read, ask_write = os.pipe()
        tell_read, tell_write = os.pipe()
        command = [*where.command, str(ask_read), str(tell_write), where.user]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(ask_read, tell_write),
                cwd=where.folder,
                env=where.environment,
                start_new_session=True,
            )
        finally:
            os.close(ask_read)
            os.close(tell_write)
        self.sink, self.source = ask_write, tell_read
        os.set_blocking(self.sink, False)
        self.why, self.running, self.ready = None, None, False
        self.worked, self.idle, self.looked = 0.0, 0.0, time.monotonic()
        self.busy_since: float | None = 0.0  # seconds of processor when the request began; None between requests
        self.allowed = START_SECONDS
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()
        megabytes = 1_000_000
        limits = {
            "memory": self.limits.memory_mb * megabytes,
            "processes": self.limits.processes if self.kind == "bubblewrap" else 0,  # else all of this user's count
            "file": self.limits.disk_mb * megabytes,
            "seconds": int(self.limits.total) + 1,
        }
        head = {"limits": limits, "cells": self.cells, "names": self.names, "skip": sorted(self.skipped)}
        self._write(wire.pack(head, []))
        while True:
            step, _ = self._receive()
            if step.get("step") == "read" and self.allowed == START_SECONDS:  # before any of the student's code
                for remark in step.get("remarks", []):
                    if (text := str(remark)[:200]) not in self.remarks:
                        self.remarks.append(text)
                self._begin(self.limits.seconds)
            elif step.get("step") == "cell" and isinstance(step.get("cell"), int):
                self.running = step["cell"]
                self._begin(self.limits.seconds)
            elif step.get("step") == "ready" and isinstance(step.get("defined"), dict):
                for fault in step.get("faults", []):
                    self.faults.setdefault(int(fault[0]), str(fault[1])[:300])
                self.defined = {str(k): str(v) for k, v in step["defined"].items()}
                break
            else:
                raise wire.Garbled
        self.running, self.busy_since = None, None

    def end(self) -> None:
        """Kill all that runs in the sandbox."""
        self.why = self.why or "it was ended"
        process = getattr(self, "process", None)
        if process is not None:
            if self.kind == "none":
                _kill_tree(process.pid)
            with suppress(OSError):
                os.killpg(process.pid, 9)
            process.wait()
            self.watcher.join()
            process.stdout.close()
            for descriptor in (self.sink, self.source):
                os.close(descriptor)
            self.process = None  # type: ignore[assignment]
        self.stack.close()

    # -------------------------------------------------------------------------------------- requests

    def ask(self, do: str, head: dict[str, Any], buffers: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """The answer to one request. Raises :class:`Ended`, ``OutOfTime`` and ``wire.Garbled``; then it is over."""
        if self.why is not None:
            raise Ended(self.why)
        call = next(self.numbers)
        try:
            self._begin(self.limits.seconds)
            self._write(wire.pack({**head, "do": do, "call": call}, buffers))
            reply, made = self._receive()
            if reply.get("call") != call:
                raise wire.Garbled
        except wire.Garbled:
            self.why = GARBLED
            raise Ended(self.why) from None
        except BaseException:  # the answer to this request may still come: it must not pass for that to the next
            self.why = self.why or "a request was given up"
            raise
        finally:
            self.busy_since = None
        return {**reply, "call": call}, made

    def _begin(self, seconds: float) -> None:
        self.allowed, self.idle, self.busy_since = seconds, 0.0, self.worked

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._check()
            try:
                view = view[os.write(self.sink, view) :]
            except BlockingIOError:
                time.sleep(0.002)
            except OSError:
                self._gone()

    def _receive(self) -> tuple[dict[str, Any], list[bytes]]:
        return wire.unpack(self._read)

    def _read(self, count: int) -> bytes:
        pieces, left = [], count
        with selectors.DefaultSelector() as selector:
            selector.register(self.source, selectors.EVENT_READ)
            while left:
                self._check()
                if selector.select(LOOK_SECONDS):
                    piece = os.read(self.source, min(left, 1 << 20))
                    if not piece:
                        self._gone()
                    pieces.append(piece)
                    left -= len(piece)
        return b"".join(pieces)

    def _check(self) -> None:
        if self.why == "time":
            self.why = f"it ran longer than {self.limits.seconds:g} s"
            raise OutOfTime
        if self.why is not None:
            raise Ended(self.why)

    def _gone(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        self._check()
        self.why = "it ended its own process"
        raise Ended(self.why)

    # -------------------------------------------------------------------------------------- watching

    def _watch(self) -> None:
        """Until it has ended: throw away what it prints, and end it when it takes more than it may."""
        output = self.process.stdout
        assert output
        os.set_blocking(output.fileno(), False)
        while self.process.poll() is None:
            with suppress(BlockingIOError):
                while piece := os.read(output.fileno(), 1 << 16):
                    self.printed += len(piece)
                    if self.printed % (64 << 16) < len(piece):
                        break
            over = self._over()
            if over:
                self.why = self.why or over
                if self.kind == "none":
                    _kill_tree(self.process.pid)
                with suppress(OSError):
                    os.killpg(self.process.pid, 9)
                return
            time.sleep(LOOK_SECONDS)

    def _over(self) -> str | None:
        """Which limit is passed."""
        now, used = time.monotonic(), usage.of_tree(self.process.pid)
        self.worked = max(self.worked, used.seconds)
        if used.memory > (self.limits.memory_mb + PYTORCH_MB) * 1_000_000:
            return f"it took more than {self.limits.memory_mb} MB of memory"
        if used.processes > self.limits.processes + 5:
            return f"it started more than {self.limits.processes} processes"
        if now > self.until or self.worked > self.limits.total:
            return f"it used up its {self.limits.total:g} s"
        since = self.busy_since
        # Capped: where this very process gets no turn for seconds, it may be the one that is waited for.
        passed = min(now - self.looked, 4 * LOOK_SECONDS)
        self.idle = self.idle + passed if since is not None and not used.works else 0.0
        self.looked = now
        # On a crowded machine all takes longer, which is no fault of the answer. What counts is its own work, or that
        # it only waits.
        if since is not None and (self.worked - since > self.allowed or self.idle > self.allowed):
            return "time"
        return None


def _kill_tree(pid: int) -> None:
    with suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in [*top.children(recursive=True), top]:
            with suppress(psutil.Error):
                process.kill()
