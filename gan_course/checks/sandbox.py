"""What keeps an answer from leaving traces, from running for ever, from printing without end, from patching its judge.

All of it works in the notebook's own process, so it guards against accidents and simple tricks only: the instructor's
guide says what it cannot stop.
"""

from __future__ import annotations

import _thread
import builtins
import contextlib
import io
import math
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor, nn

SECONDS = 10.0  # of work, for a whole check, and 25 in all; nbgrader gives a cell 30
CHARACTERS = 10_000  # of what an answer prints
SEED = 0


class OutOfTime(BaseException):
    """Not an ``Exception``, so that an answer's own ``except Exception`` does not swallow it."""


@contextlib.contextmanager
def no_trace(seed: int = SEED) -> Iterator[None]:
    """Gradients on, float32, warnings off, seeded random numbers; afterwards all of it as it was before."""
    grad, dtype, device = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device()
    threads, of_numpy, of_python = torch.get_num_threads(), np.random.get_state(), random.getstate()  # noqa: NPY002
    cards = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    try:
        with torch.inference_mode(False), torch.random.fork_rng(devices=cards), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.set_grad_enabled(True)
            torch.set_default_dtype(torch.float32)
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            yield
    finally:
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(device)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        np.random.set_state(of_numpy)  # noqa: NPY002
        random.setstate(of_python)


@contextlib.contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Raise :class:`OutOfTime` in the block when it takes longer, again and again until it ends.

    Where there is no alarm clock (Windows), a second thread presses the stop button. Outside of the main thread, where
    Python can't be interrupted, nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
    elif hasattr(signal, "setitimer"):
        start, busy_before = time.monotonic(), time.process_time()

        def ring(number: int, frame: FrameType | None) -> None:
            """A crowded machine, or a large package to load, is no fault of the answer: what counts is its own work."""
            waited, busy = time.monotonic() - start, time.process_time() - busy_before
            if busy >= seconds or busy < 0.1 * seconds or waited >= 2.5 * seconds:
                raise OutOfTime

        old = signal.signal(signal.SIGALRM, ring)
        rest, every = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, rest, every)
            signal.signal(signal.SIGALRM, old)
    else:
        clock = threading.Timer(seconds, _thread.interrupt_main)
        clock.daemon = True
        clock.start()
        try:
            yield
        except KeyboardInterrupt:
            raise (KeyboardInterrupt if clock.is_alive() else OutOfTime) from None
        finally:
            clock.cancel()


class _Capped(io.TextIOBase):
    """Passes text on to ``target`` until there was too much of it."""

    def __init__(self, target: TextIO | None, left: int) -> None:
        self.target, self.left = target, left

    def write(self, text: str) -> int:
        if self.target is not None and self.left > 0:
            self.target.write(text[: self.left])
            if len(text) >= self.left:
                self.target.write("\n[the rest of what your function prints is left out]\n")
        self.left -= len(text)
        return len(text)

    def flush(self) -> None:
        if self.target is not None:
            self.target.flush()


@contextlib.contextmanager
def little_output() -> Iterator[None]:
    """Cap stdout and drop stderr: in a graded cell a single line on stderr costs all points."""
    with contextlib.redirect_stdout(_Capped(sys.stdout, CHARACTERS)), contextlib.redirect_stderr(_Capped(None, 0)):
        yield


class Originals:
    """The functions that a check relies on, to be put back when an answer has replaced one of them."""

    def __init__(self) -> None:
        ours = [module for name, module in sys.modules.items() if name.startswith("gan_course.")]
        classes = [value for module in ours for value in vars(module).values() if isinstance(value, type)]
        own = [c for c in classes if c.__module__.startswith("gan_course.")]
        shared = [builtins, math, random, np, torch, nn.functional, torch.autograd, torch.linalg, Tensor, nn.Module]
        self.before = [(owner, dict(vars(owner))) for owner in dict.fromkeys([*shared, *ours, *own])]

    def put_back(self) -> None:
        for owner, names in self.before:
            now: dict[str, Any] = dict(vars(owner))
            for name, value in names.items():
                if now.get(name) is not value and (callable(value) or isinstance(value, staticmethod | property)):
                    setattr(owner, name, value)
            ours = getattr(owner, "__name__", "").startswith("gan_course.checks")
            if isinstance(owner, type) or ours:  # there, new names hide old ones
                for name in now.keys() - names.keys():
                    if callable(now[name]):
                        delattr(owner, name)
