"""Check of chapter 08: what a step of inpainting puts back outside of the mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run


def _compare(attempt: Attempt, made: Tensor, original: Tensor, noise: Tensor, mask: Tensor, alpha_bar: float) -> None:
    m, o, n = made.double(), original.double(), noise.double()
    inside = mask.double().expand_as(m)
    known = alpha_bar**0.5 * o + (1 - alpha_bar) ** 0.5 * n

    def blend(outside: Tensor, within: Tensor = m) -> Tensor:
        return inside * within + (1 - inside) * outside

    right = blend(known)
    mistakes = [
        (inside * known + (1 - inside) * m, "Inside and outside are swapped: where the mask is 1, paint anew."),
        (blend(o), "The original goes in without noise: then the two parts don't belong to the same timestep."),
        (
            blend(alpha_bar * o + (1 - alpha_bar) * n),
            "alpha_bar is a share of the power: what multiplies the values is its root.",
        ),
        (blend((1 - alpha_bar) ** 0.5 * o + alpha_bar**0.5 * n), "Picture and noise have each other's share."),
        (blend(o + (1 - alpha_bar) ** 0.5 * n), "Picture and noise together: the picture has to fade, too."),
        (blend(torch.zeros_like(o)), "Outside of the mask nothing is left."),
        (blend(n), "Outside there is noise alone."),
        (
            blend(known, alpha_bar**0.5 * m + (1 - alpha_bar) ** 0.5 * n),
            "Inside, the loop's own latents stay as they are.",
        ),
        (m, "Nothing was put back."),
        (known, "The original is everywhere: what was painted inside is lost."),
    ]
    hint = "Add noise to the original, as much as belongs to this timestep; then choose between both with the mask."
    given = made.clone()
    result = attempt(given, original.clone(), noise.clone(), mask.clone(), alpha_bar)
    attempt.close(result, right, hint, mistakes, what="the latents")
    if not torch.equal(given, made):
        attempt.fail(
            "latents that were changed", "latents left as they are", "Return a new tensor, don't write into x."
        )


def _case(count: int, channels: int, side: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    made, original, noise = torch.randn(3, count, channels, side, side, generator=g)
    mask = torch.zeros(count, 1, side, side)
    for i in range(count):
        mask[i, :, i % side :, : side // 2 + i % 2] = 1
    return made, original, noise, mask


def _last(attempt: Attempt) -> None:
    """The clean end: no noise at all."""
    for count, seed in ((1, 1), (3, 2)):
        _compare(attempt, *_case(count, 4, 4, seed), alpha_bar=1.0)


def _on_the_way(attempt: Attempt) -> None:
    for alpha_bar, seed in ((0.25, 3), (0.7, 4), (0.0, 5)):
        _compare(attempt, *_case(2, 8, 8, seed), alpha_bar=alpha_bar)


def check_keep_outside(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(x [N, C, H, W], original, noise, mask [N, 1, H, W], alpha_bar) -> [N, C, H, W]``.

    Parts: ``last``, ``on_the_way``.
    """
    parts = {"last": _last, "on_the_way": _on_the_way}
    run("keep_outside", function, "x original noise mask alpha_bar", parts, part)
