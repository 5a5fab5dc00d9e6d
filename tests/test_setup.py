"""Profiles, seeds and the line that a chapter starts with."""

import importlib.util
import random
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_course import setup
from gan_course.commands import notebooks

SETUP_CELL = next(
    cell.source
    for cell in notebooks.read(Path(__file__).parents[1] / "chapters/00_start_here.ipynb").cells
    if "setup" in notebooks.tags(cell)
).replace("    %pip install", "    installed = True  # %pip install")


def pretend(monkeypatch, cuda=False, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    "name, cuda, mps, chosen, device",
    [
        ("auto", False, False, "cpu", "cpu"),
        ("auto", True, False, "gpu", "cuda"),
        ("auto", False, True, "cpu", "cpu"),  # Apple's GPU only when asked for
        ("cpu", True, True, "cpu", "cpu"),
        ("gpu", True, False, "gpu", "cuda"),
        ("mps", False, True, "mps", "mps"),
    ],
)
def test_profiles(monkeypatch, name, cuda, mps, chosen, device):
    pretend(monkeypatch, cuda, mps)
    profile = setup.choose_profile(name)
    assert (profile.name, profile.device) == (chosen, device)


def test_a_gpu_makes_it_bigger_and_nothing_else(monkeypatch):
    pretend(monkeypatch, cuda=True, mps=True)
    small, big = setup.choose_profile("cpu"), setup.choose_profile("gpu")
    assert small.width == small.steps == 1 and big.width > 1 and big.steps >= 1
    with pytest.raises(AttributeError):
        small.width = 2


@pytest.mark.parametrize("name, device", [("gpu", "cuda"), ("mps", "mps")])
def test_an_absent_device_is_explained(monkeypatch, name, device):
    pretend(monkeypatch)
    with pytest.raises(ValueError, match=f"^profile '{name}' needs the device '{device}'.*PROFILE = \"auto\"$"):
        setup.start(name)


@pytest.mark.parametrize("name", ["tpu", "CPU", ""])
def test_unknown_profile(name):
    with pytest.raises(ValueError, match=f"^there is no profile '{name}': choose auto, cpu, gpu, mps$"):
        setup.choose_profile(name)


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002


def test_one_seed_makes_all_draws_equal(capsys):
    setup.start("cpu", seed=7)
    first = draws()
    setup.start("cpu", seed=7)
    assert draws() == first
    setup.start("cpu", seed=8)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


def test_start_says_one_line(monkeypatch, capsys):
    pretend(monkeypatch)
    assert setup.start(seed=3, minutes=2).name == "cpu"
    out, err = capsys.readouterr()
    assert err == "" and out.count("\n") == 1
    for part in ("cpu", f"PyTorch {torch.__version__.split('+')[0]}", "seed 3", "about 2 min"):
        assert part in out
    setup.start(minutes=0.2)
    assert "about 1 min" in capsys.readouterr().out
    setup.start()
    assert "min" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("allowed", "asked", "used"), [("1", 2, 1), ("4", 2, 2), ("", 2, 2), ("0", 2, 2), ("two", 2, 2)]
)
def test_threads_are_as_many_as_the_chapter_asks_for_or_as_are_allowed(allowed, asked, used, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    before = torch.get_num_threads()
    try:
        setup.start("cpu", threads=asked)
        assert torch.get_num_threads() == used
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("spec", [None, ModuleSpec("gan_course", None)])  # absent; a folder that holds a clone
def test_the_setup_cell_offers_the_line_that_installs(monkeypatch, spec):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(ModuleNotFoundError, match=r"Kaggle.* Binder.*: %pip install \"gan_course.* @ git\+https://"):
        exec(SETUP_CELL, {})
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    told: dict[str, object] = {}
    exec(SETUP_CELL, told)
    assert told["installed"]


def test_the_setup_cell_does_nothing_where_the_course_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    told: dict[str, object] = {}
    exec(SETUP_CELL, told)
    assert "installed" not in told
