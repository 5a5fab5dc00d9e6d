"""What every notebook starts with: one seed, one device, one profile of sizes."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import numpy as np
import torch

from gan_course.arguments import Count, NotNegative, SmallSeed, guard


@dataclass(frozen=True)
class Profile:
    """Where a chapter runs and how large its experiments are. The GPU makes them bigger, never different."""

    name: str
    device: str  # a torch device
    width: int  # factor on hidden units
    steps: int  # factor on training steps


PROFILES = {
    "cpu": Profile("cpu", "cpu", width=1, steps=1),  # two laptop cores: what CI runs
    "gpu": Profile("gpu", "cuda", width=4, steps=4),  # an idle GPU takes four times the work in about the same time
    "mps": Profile("mps", "mps", width=1, steps=1),  # Apple's GPU, only when asked for: its numbers differ
}


def choose_profile(name: str = "auto") -> Profile:
    """The profile called ``name``: ``"cpu"``, ``"gpu"``, ``"mps"``, or ``"auto"``: the GPU where CUDA is present.

    Raises ``ValueError`` for another name, or where this machine lacks the device.
    """
    if name == "auto":
        name = "gpu" if torch.cuda.is_available() else "cpu"
    if name not in PROFILES:
        raise ValueError(f"there is no profile {name!r}: choose auto, {', '.join(PROFILES)}")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    profile = PROFILES[name]
    if not present[profile.device]:
        raise ValueError(
            f'profile {name!r} needs the device {profile.device!r}, which is absent here: set PROFILE = "auto"'
        )
    return profile


def seed_everything(seed: SmallSeed) -> None:
    """Seed Python's, NumPy's and PyTorch's generators with ``seed`` (0 or more)."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  scikit-learn reads the old global state
    torch.manual_seed(seed)


def start(
    profile: str = "auto", seed: SmallSeed = 0, minutes: NotNegative | None = None, threads: Count | None = None
) -> Profile:
    """Seed everything, choose the profile and say in one line what the chapter runs on.

    ``minutes``: how long the whole chapter takes on two CPU cores. ``threads``: how many CPU threads PyTorch may use,
    where its own choice (one per core) is not the best: networks as small as those of the first chapters gain little
    from a second thread, and become many times slower as soon as another program wants that core. Where
    ``OMP_NUM_THREADS`` allows fewer, as for chapters that run side by side, it is obeyed.
    Raises ``ValueError`` as :func:`choose_profile`.
    """
    chosen = choose_profile(profile)
    seed_everything(seed)
    if threads is not None:
        allowed = os.environ.get("OMP_NUM_THREADS", "")
        torch.set_num_threads(min(threads, int(allowed)) if allowed.isdecimal() and int(allowed) else threads)
    where = torch.cuda.get_device_name() if chosen.device == "cuda" else chosen.device
    cores = f", {os.cpu_count()} cores" if chosen.device == "cpu" else ""
    duration = "" if minutes is None else f" Allow about {max(1, round(minutes))} min to run all cells."
    print(f"Running on {where}{cores} with PyTorch {torch.__version__.split('+')[0]}, seed {seed}.{duration}")
    return chosen


guard(__name__)
