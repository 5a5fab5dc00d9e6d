"""One thread a process: the tests run in parallel processes. No test needs a screen."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
for name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):  # a make that a test starts is not a child of `make test`
    os.environ.pop(name, None)

import torch  # noqa: E402  it reads OMP_NUM_THREADS when it is imported

torch.set_num_threads(1)
