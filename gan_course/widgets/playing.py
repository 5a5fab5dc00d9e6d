"""Plays without blocking the kernel: an asyncio task that works for some milliseconds and then sleeps, and while it
sleeps the kernel answers whoever asks. No thread is needed for that, and Colab's kernel runs such a loop, too.

The task lives in whichever loop handles the button: JupyterLab may give widgets a thread of their own. It is stopped by
a number, which works across threads, where a task's own ``cancel`` would not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SLICE = 0.1  # seconds: the longest sleep, so that a stop counts at once


class Player:
    """Calls ``frame`` again and again until stopped; ``frame`` returns the seconds from its own beginning to the next.

    ``frame`` may call ``stop`` itself. It must not raise.
    """

    def __init__(self, frame: Callable[[], float]):
        self.frame = frame
        self.playing = False
        self.run = 0  # the number of the task that may play

    def start(self) -> None:
        """Raises ``RuntimeError`` with a sentence where no loop runs, as in a plain script."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError("This page can't play by itself: press Step.") from None
        self.run += 1
        self.playing = True
        self.task = loop.create_task(self._play(self.run))  # kept, or the loop may drop it

    def stop(self) -> None:
        self.run += 1
        self.playing = False

    async def _play(self, run: int) -> None:
        while run == self.run:
            began = time.monotonic()
            wait = self.frame()
            await asyncio.sleep(0.01)  # the kernel's turn, however long the frame took
            while run == self.run and (left := wait - (time.monotonic() - began)) > 0:
                await asyncio.sleep(min(left, SLICE))
