"""What a check lets pass, the cell that uses it can use: of whatever kind a right answer's numbers are."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import Tensor

from gan_course import checks, plots

ROOT = Path(__file__).parents[1]
# Tasks whose last cell takes less than a second and needs no other task's. The others were tried by hand.
QUICK = {
    "01_concepts": "ring gaussian_model modes_covered",
    "02_loss_math": "losses_from_probabilities generator_gradients jensen_shannon",
    "04_convolutional_gans": "output_sides paint_range",
    "05_failure_modes": "effective_modes growth_factor calm_weights",
    "06_evaluation": "frechet_of_numbers density_and_coverage frechet_without_bias",
    "07_diffusion": "first_drowned",
    "08_stable_diffusion": "fitting_rank",
    "09_back_to_gans": "on_frontier",
    "10_style_transfer": "fit_inside tile_spans keep_colours",
    "11_data_augmentation": "runs_needed generations_left",
    "13_virtual_reality": "map_place sphere_mean",
    "14_cost_and_market": "price_with_margin break_even_subscribers combine_reports sensitivities",
}


def is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def double(value):
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def with_a_point(value):
    return float(value) if is_number(value) else value


def of_numpy(value):
    return np.asarray(value)[()] if is_number(value) or (isinstance(value, Tensor) and not value.ndim) else value


def of_one_entry(value):
    if isinstance(value, Tensor) and not value.ndim:
        return value[None]
    return torch.tensor([value]) if is_number(value) else value


def listed(value):
    return value.tolist() if isinstance(value, Tensor) else value


def everywhere(change, value):
    """``value``, all numbers and tensors in it changed."""
    if isinstance(value, tuple | list):
        return type(value)(everywhere(change, each) for each in value)
    if isinstance(value, dict):
        return {name: everywhere(change, each) for name, each in value.items()}
    return change(value)


def cells(name: str, task: str) -> tuple[str, str, str]:
    """(the imports, the solution, the cell that uses it)."""
    found = json.loads((ROOT / "solutions" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    ids = [cell["metadata"].get("nbgrader", {}).get("grade_id", "") for cell in found]
    sources = ["".join(cell["source"]) for cell in found]
    last = max(i for i, grade_id in enumerate(ids) if grade_id.startswith(f"{task}_test"))
    return sources[2], sources[ids.index(task)], sources[last + 1]


@pytest.mark.parametrize("change", [double, with_a_point, of_numpy, of_one_entry, listed], ids=lambda f: f.__name__)
@pytest.mark.parametrize(("name", "task"), [(name, task) for name, tasks in QUICK.items() for task in tasks.split()])
def test_an_answer_of_another_kind_is_refused_or_can_be_used(name, task, change, monkeypatch, capfd):
    monkeypatch.setattr(plots, "show", lambda figure, **_: plt.close(figure))
    imports, solution, use = cells(name, task)
    space: dict = {}
    exec(compile(f"{imports}\n{solution}", name, "exec"), space)
    right, changed = space[task], []

    def answer(*given, **named):
        result = right(*given, **named)
        other = everywhere(change, result)
        changed.append(repr(other) != repr(result))
        return other

    try:
        getattr(checks, f"check_{task}")(answer)
    except checks.CheckFailed as failure:
        assert any(changed), f"the solution itself is refused: {failure}"
        return
    if any(changed):
        space[task] = answer
        exec(compile(use, name, "exec"), space)
