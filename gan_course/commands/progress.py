"""What ``gan-course run`` prints while it works: one moving line on a terminal, one line a chapter elsewhere."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from .execute import Chapter
from .pages import duration

BAR = 20  # characters


class Progress:
    """Shows the chapters' progress on ``stream``; ``show`` is called a few times a second."""

    def __init__(self, chapters: list[Chapter], stream: TextIO, moving: bool | None = None) -> None:
        self.chapters = chapters
        self.stream = stream
        self.moving = stream.isatty() if moving is None else moving
        self.started = time.monotonic()
        self.finished_count = 0

    def line(self) -> str:
        """The moving line: a bar over the whole course, then the chapters that run now with their cells."""
        total = len(self.chapters)
        running = [c for c in self.chapters if c.status == "running"]
        done = self.finished_count + sum(min(c.done / max(c.cells, 1), 1.0) for c in running)
        filled = round(BAR * done / total)
        now = ", ".join(f"{c.name} cell {min(c.done + 1, c.cells)}/{c.cells}" for c in running)
        clock = duration(time.monotonic() - self.started)
        return f"[{'#' * filled}{'.' * (BAR - filled)}] {self.finished_count}/{total} chapters, {clock}  {now}"

    def show(self) -> None:
        if self.moving:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write("\r" + self.line()[:width].ljust(width))
            self.stream.flush()

    def finished(self, chapter: Chapter) -> None:
        self.finished_count += 1
        if self.moving:
            self.clear()
        dots = "." * max(3, 24 - len(chapter.name))
        text = f"[{self.finished_count}/{len(self.chapters)}] {chapter.name} {dots} {chapter.status}"
        print(f"{text} {duration(chapter.seconds)}", file=self.stream, flush=True)

    def clear(self) -> None:
        """Empty the moving line, so that an ordinary one can be printed there."""
        if self.moving:
            self.stream.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
            self.stream.flush()
