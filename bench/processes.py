"""What a second process brings: steps of a recipe under torchrun, where two share each batch, against those of one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

RECIPE = "digits_gan"
STEPS = 100  # enough to stand out from the start, which takes some seconds


def seconds(processes: int, steps: int) -> float:
    """What ``gan-course train`` takes for so many steps, with one thread a process. Raises where it fails."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    with tempfile.TemporaryDirectory() as place:
        command = [*launcher, "-m", "gan_course.cli", "train", RECIPE, "--steps", str(steps)]
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *command, "--root", place, "--out", place],
            env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True,
        )  # fmt: skip
        return time.perf_counter() - start


def speed_up(steps: int = STEPS) -> float:
    """How many times as many steps a second two processes take as one. Start and measuring at the end are left out."""
    one, two = (seconds(n, 2 * steps) - seconds(n, steps) for n in (1, 2))
    return one / two
