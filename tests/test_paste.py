"""A task asks for something that its chapter does not hold: no function and no cell, pasted as it is, is an answer."""

from __future__ import annotations

import ast
import builtins
import contextlib
import inspect
import json
import re
from functools import partial
from pathlib import Path

import pytest
import torch

from gan_course import checks, diffusion, losses, metrics, networks
from gan_course.checks import report, sandbox
from gan_course.checks.players import load_optimizers

ROOT = Path(__file__).parents[1]
NAMES = [path.stem for path in sorted((ROOT / "solutions").glob("*.ipynb")) if path.stem[:2] != "16"]
load_optimizers()  # or a check that runs out of time may stop PyTorch in the middle of loading itself
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def cells(folder: str, name: str) -> list[dict]:
    found = json.loads((ROOT / folder / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in found]


def tasks(name: str) -> dict[str, list[str]]:
    """Task → the names of its parameters."""
    found = {}
    for cell in cells("solutions", name):
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            task = cell["metadata"]["nbgrader"]["grade_id"]
            (node,) = [n for n in ast.parse(cell["source"]).body if getattr(n, "name", "") == task]
            found[task] = [a.arg for a in node.args.args]
    return found


def trees(name: str) -> list[ast.Module]:
    code = [
        c for c in cells("chapters", name) if c["cell_type"] == "code" and "setup" not in c["metadata"].get("tags", [])
    ]
    return [ast.parse(re.sub(r"^%.*$", "", c["source"], flags=re.MULTILINE)) for c in code]


def definitions(name: str) -> dict:
    """What the chapter defines without running: imports, functions, classes, plain numbers."""
    space: dict = {}
    for tree in trees(name):
        for node in tree.body:
            plain = False
            if isinstance(node, ast.Assign):
                with contextlib.suppress(ValueError):
                    ast.literal_eval(node.value)
                    plain = True
            if plain or isinstance(node, DEFINITIONS):
                with contextlib.suppress(Exception):  # what it needs is made by a cell that runs
                    exec(compile(ast.Module([node], []), name, "exec"), space)
    return space


def as_bodies(name: str, parameters: list[str], space: dict) -> list:
    """Each short cell that needs nothing but the task's own arguments, as the body of an answer."""
    made = []
    for tree in trees(name):
        stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        stored |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        stored |= {a.arg for n in ast.walk(tree) if isinstance(n, ast.arguments) for a in n.args}
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - stored
        assigned = [n.targets[0] for n in tree.body if isinstance(n, ast.Assign)]
        if not assigned or used - set(parameters) - space.keys() - set(dir(builtins)) or not used & set(parameters):
            continue
        last = [ast.unparse(target) for target in assigned[-2:]]
        for result in (last[-1], ", ".join(last)):
            source = f"def pasted({', '.join(parameters)}):\n"
            source += "\n".join("    " + line for line in f"{ast.unparse(tree)}\nreturn {result}".splitlines())
            own = dict(space)
            exec(source, own)
            made.append(own["pasted"])
    return made


def rejected(task: str, answer) -> bool:
    with contextlib.suppress(checks.CheckFailed):
        getattr(checks, f"check_{task}")(answer)
        return False
    return True


def with_fewer(function, count: int):
    """``function`` called with the first and with the last of ``count`` arguments, where it needs fewer."""
    needed = sum(p.default is p.empty for p in inspect.signature(function).parameters.values())
    if needed < count:
        yield lambda *given: function(*given[:needed])
        yield lambda *given: function(*given[len(given) - needed :])


@pytest.mark.parametrize("name", NAMES)
def test_no_function_and_no_cell_of_a_chapter_is_an_answer(name, capfd, monkeypatch):
    monkeypatch.setattr(report, "time_limit", partial(sandbox.time_limit, 3.0))  # right answers take 0.2 s
    space = definitions(name)
    own = [f for f in space.values() if (inspect.isfunction(f) and f.__globals__ is space) or isinstance(f, type)]
    own = [f for f in own if getattr(f, "__module__", "builtins") in ("builtins", None)]
    accepted = []
    for task, parameters in tasks(name).items():
        answers = [*own, *as_bodies(name, parameters, space)]
        answers += [less for f in own if inspect.isfunction(f) for less in with_fewer(f, len(parameters))]
        accepted += [(task, answer) for answer in answers if not rejected(task, answer)]
    assert not accepted


def walk(field, points, count):
    for t, previous in torch.linspace(1, 0, count + 1).unfold(0, 2, 1).tolist():
        points = diffusion.euler_step(points, field(points, t), t, previous)
    return points


def evenly(anchors, count):
    t, found = (torch.arange(count) / count)[:, None], []
    for a, b in zip(anchors, anchors.roll(-1, 0), strict=True):
        angle = torch.acos((a @ b) / (a.norm() * b.norm()))
        found.append((torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle))
    return torch.cat(found)


def rows_over_time(maps, count):
    """Chapter 12's own line, whatever is taken for the number of frames."""
    return maps.unflatten(0, (-1, count)).permute(0, 3, 4, 1, 2).flatten(0, 2)


FORMER = {  # what was right before the tasks were varied, with the further arguments left aside
    "losses_from_logits": lambda real, fake, *_: (
        losses.non_saturating_discriminator_loss(real, fake),
        losses.non_saturating_generator_loss(None, fake),
    ),
    "generator_gradients": lambda logits: (-logits.sigmoid(), logits.sigmoid() - 1),
    "hinge_losses": lambda real, fake, *_: (
        losses.hinge_discriminator_loss(real, fake),
        losses.hinge_generator_loss(None, fake),
    ),
    "r1_penalty": lambda discriminator, real, *_: losses.r1_penalty(discriminator, real),
    "make_generator": networks.MLPGenerator,
    "make_discriminator": networks.MLPDiscriminator,
    "frechet_of_features": lambda a, b, *_: metrics.frechet_distance(a, b),
    "kernel_distance": lambda a, b, *_: metrics.kernel_distance(a, b, subsets=1),
    "jump_to": lambda x, noise, start, t, betas: diffusion.add_noise(x, noise, t, diffusion.cumulative_alphas(betas)),
    "flow_walk": lambda field, noise, count, *_: walk(field, noise, count),
    "guided": lambda both, scales: diffusion.guide(*both.chunk(2), scales[0].item()),
    "attend": lambda query, key, value, *_: torch.nn.functional.scaled_dot_product_attention(query, key, value),
    "closed_walk": lambda anchors, *_: evenly(anchors, 4),
    "tokens_over_time": lambda maps, count, *_: rows_over_time(maps, count),
}


@pytest.mark.parametrize("task", FORMER)
def test_the_chapters_own_formula_is_no_longer_an_answer(task, capfd):
    assert rejected(task, FORMER[task])


def test_a_window_is_no_clip(capfd):
    assert rejected("tokens_over_time", lambda maps, count, window: rows_over_time(maps, window))


@pytest.mark.parametrize("name", NAMES)
def test_a_finished_task_paints_or_trains_or_counts_something(name):
    found = cells("solutions", name)
    ids = [cell["metadata"].get("nbgrader", {}).get("grade_id", "") for cell in found]
    for task in tasks(name):
        last = max(i for i, grade_id in enumerate(ids) if grade_id.startswith(f"{task}_test"))
        use = found[last + 1]
        assert use["metadata"].get("tags") == ["use"] and f"{task}(" in use["source"], task
        assert use["source"].startswith("# What your function is good for: ")


@pytest.mark.parametrize("name", NAMES)
def test_each_set_ends_in_an_open_experiment(name):
    *_, text, runs = cells("exercises", name)
    assert text["source"].startswith("## Open experiment · ") and runs["source"].startswith("# Your runs.")
    for part in (
        "1. **Predict**",
        "2. **Run**",
        "3. **Note**",
        "4. **Conclude**",
        "*My prediction:*",
        "*My conclusion:*",
    ):
        assert part in text["source"]
    assert re.search(r"^\|[ |]+\|$", text["source"], re.MULTILINE), "room for the runs"
