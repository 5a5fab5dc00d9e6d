"""What ``gan-course run`` prints while it works: a moving bar on a terminal, everywhere a line a chapter."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

from gan_course.commands.execute import Chapter
from gan_course.commands.pages import duration


class Progress:
    """The chapters' progress on ``stream``: ``show`` a few times a second, ``finished`` once a chapter."""

    def __init__(self, chapters: list[Chapter], stream: TextIO) -> None:
        self.chapters, self.stream, self.started = chapters, stream, time.monotonic()
        self.over = 0
        # disable=None: only where the stream is no terminal
        self.bar = tqdm(
            total=len(chapters),
            file=stream,
            disable=None,
            leave=False,
            dynamic_ncols=True,
            bar_format="{bar:20} {desc}",
        )

    def show(self) -> None:
        """Move the bar: over the whole course, with the chapters that run now and their cells."""
        running = [chapter for chapter in self.chapters if chapter.status == "running"]
        cells = ", ".join(f"{c.name} cell {min(c.done + 1, c.cells)}/{c.cells}" for c in running)
        self.bar.n = self.over + sum(min(chapter.done / max(chapter.cells, 1), 1.0) for chapter in running)
        clock = duration(time.monotonic() - self.started)
        with self.audible():
            self.bar.set_description_str(printable(f"{self.over}/{len(self.chapters)} chapters, {clock}  {cells}"))

    def finished(self, chapter: Chapter) -> None:
        """Print the line of a chapter that has ended."""
        self.over += 1
        dots = "." * max(3, 24 - len(chapter.name))
        count = f"[{self.over}/{len(self.chapters)}]"
        self.say(f"{count} {chapter.name} {dots} {chapter.status} {duration(chapter.seconds)}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        with self.audible():
            tqdm.write(printable(text), file=self.stream)
            self.stream.flush()

    @contextmanager
    def audible(self) -> Iterator[None]:
        """Where the terminal is closed or the pipe broken, from then on say nothing: the pages are what counts."""
        try:
            yield
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)

    def close(self) -> None:
        with self.audible():
            self.bar.close()


def printable(text: str) -> str:
    """``text`` without control characters: a notebook's error must not steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)
