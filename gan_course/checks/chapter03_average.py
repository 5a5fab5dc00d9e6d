"""Check of chapter 03, the moving average of the generator's parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gan_course.checks.report import Attempt, flat, near, run


def _pair() -> tuple[nn.Module, nn.Module]:
    """(average, generator): two networks with batch norm whose parameters and running statistics differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        generator = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        average = copy.deepcopy(generator)
        for network, shift in ((average, 0.0), (generator, 1.0)):
            for tensor in network.state_dict().values():
                if tensor.is_floating_point():  # batch norm also counts its batches
                    tensor.copy_(torch.rand(tensor.shape) + shift)
    for network, name in ((generator, "generator"), (average, "average")):
        network.description = name  # type: ignore[assignment]
    return average, generator


def _compare_average(attempt: Attempt, decay: float) -> tuple[nn.Module, nn.Module]:
    average, generator = _pair()
    old, new = flat(average), flat(generator)
    right = decay * old + (1 - decay) * new
    mistakes = [
        (
            old,
            "The average did not change. Did you make a new tensor and let it go? The tensors inside the network "
            "itself must change.",
        ),
        (
            decay * new + (1 - decay) * old,
            "The weights are swapped: a decay near 1 means a long memory, so what keeps most?",
        ),
        (new, "The average is a plain copy of the generator: it has no memory."),
        (decay * old + new, "The two weights must add up to 1, or the average grows with every step."),
        (decay * (old + new), "The two weights must add up to 1, or the average grows with every step."),
        ((old + new) / 2, "Both count one half: where does the decay come in?"),
    ]
    attempt(average, generator, decay)
    hint = "Each parameter of the average keeps the share decay of its old value and takes the rest from the generator."
    attempt.close(flat(average), right, hint, mistakes, what="the average's parameter")
    if not near(flat(generator), new, 1e-6):
        attempt.fail("the generator's parameters changed", "the generator exactly as before", "Only the average moves.")
    return average, generator


def _average_values(attempt: Attempt) -> None:
    for decay in (0.9, 0.25):
        _compare_average(attempt, decay)


def _average_apart(attempt: Attempt) -> None:
    average, generator = _compare_average(attempt, 0.0)
    before = flat(average)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(1)
    if not near(flat(average), before, 1e-6):
        attempt.fail(
            "the average changed when the generator was trained afterwards",
            "an average with numbers of its own",
            "The two networks share their tensors now. Copy numbers from one to the other, not the tensors themselves.",
        )
    if any(p.grad_fn is not None or not p.is_leaf for p in average.parameters()):
        attempt.fail(
            "the average's parameters hang in autograd's graph",
            "plain parameters",
            "The average is not trained. Do the arithmetic where autograd does not watch.",
        )


def _average_buffers(attempt: Attempt) -> None:
    average, generator = _pair()
    decay = 0.9
    attempt(average, generator, decay)
    old, new = (dict(network.named_buffers()) for network in (_pair()[0], generator))
    for name, value in average.named_buffers():
        mixed = decay * old[name] + (1 - decay) * new[name]
        if value.is_floating_point() and not (near(value, new[name]) or near(value, mixed)):
            attempt.close(
                value,
                new[name],
                "Batch norm also keeps running statistics, and they are buffers, not parameters. With stale ones the "
                "averaged generator draws rubbish in evaluation mode.",
                what=f"the average's buffer {name}",
            )


def check_update_average(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(average, generator, decay) -> None``, in place. Parts: ``values``, ``apart``, ``buffers``."""
    parts = {"values": _average_values, "apart": _average_apart, "buffers": _average_buffers}
    run("update_average", function, "average generator decay", parts, part)
