"""Check of chapter 05, an augmentation that gradients can pass: each picture moved by a few pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.checks.report import Attempt, describe, run

DARK = -1.0


def _pictures(count: int) -> Tensor:
    """``[count, 2, 5, 6]``: two colours, not square, every pixel a number of its own, none of them dark."""
    return torch.linspace(-0.9, 1, count * 60).reshape(count, 2, 5, 6)


def _moved(images: Tensor, reach: int, fill: float | None = DARK) -> Tensor:
    """``images [N, C, H, W]`` moved by every shift up to ``reach``: ``[shifts, N, C, H, W]``. ``fill`` None wraps."""
    height, width = images.shape[-2:]
    places = range(2 * reach + 1)
    if fill is None:
        return torch.stack([images.roll((y - reach, x - reach), (2, 3)) for y in places for x in places])
    padded = F.pad(images, (reach,) * 4, value=fill)
    return torch.stack([padded[..., y : y + height, x : x + width] for y in places for x in places])


def _fits(result: Tensor, candidates: Tensor) -> Tensor:
    """Which of ``candidates [shifts, N, ...]`` each row of ``result [N, ...]`` equals: ``[N, shifts]``, bool."""
    return (candidates - result).abs().flatten(2).amax(2).T < 1e-4


def _shift(attempt: Attempt, images: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """(the result, for each picture the number of its shift). Reports anything that is no shift."""
    source = images.detach().clone()
    hint = "As many pictures as came in, each with the same channels, height and width."
    result = attempt.tensor(attempt(images, reach), list(images.shape), hint=hint, what="the moved pictures")
    if not torch.equal(images.detach(), source):
        hint = "The training pictures themselves must not move: the next batch needs them as they were."
        attempt.fail("the given pictures were changed", "new pictures", hint)
    plain = result.detach().float()
    fitting = _fits(plain, _moved(source, reach))
    if not fitting.any(dim=1).all():
        wanted = f"each picture moved by at most {reach} pixels down or up and right or left, the rest filled with -1"
        got = f"a picture {describe(plain[0])} that is no such move of its original"
        attempt.fail(got, wanted, _why_no_shift(plain, source, reach))
    return result, fitting.int().argmax(dim=1)


def _why_no_shift(plain: Tensor, images: Tensor, reach: int) -> str:
    def all_fit(candidates: Tensor, result: Tensor = plain) -> bool:
        return bool(_fits(result, candidates).any(dim=1).all())

    if all_fit(_moved(images, reach, fill=None)):
        return "What leaves on one side comes back on the other: a 7 whose foot stands on its head. Fill with dark."
    if all_fit(_moved(images, reach, fill=0.0)):
        return "The new pixels are 0, which is grey. In this course pictures go from -1 to 1."
    if all_fit(torch.cat([_moved(images, reach, fill=f) for f in (images.min().item(), 1.0)])):
        return "The new pixels have the wrong colour: the background of our pictures is -1."
    if all_fit(_moved(images, reach + 1)) or all_fit(_moved(images, 2 * reach)):
        return "Some pictures move too far. How large may a shift be, in each direction?"
    channels = [(images[:, c : c + 1], plain[:, c : c + 1]) for c in range(images.shape[1])]
    if all(all_fit(_moved(own, reach), result) for own, result in channels):
        return "The channels of one picture move apart. All colours of a picture move together."
    return "Think of a larger dark sheet with the picture in its middle, and of a window of the old size cut from it."


def _shift_moves(attempt: Attempt) -> None:
    for count, reach in ((1, 1), (40, 2), (3, 0)):
        _shift(attempt, _pictures(count), reach)


def _shift_random(attempt: Attempt) -> None:
    count, reach = 900, 1
    images = _pictures(12).repeat(count // 12, 1, 1, 1)
    _, number = _shift(attempt, images, reach)
    visits = number.bincount(minlength=(2 * reach + 1) ** 2)
    got = f"{', '.join(map(str, visits.tolist()))} of {count} pictures moved by each of the 9 shifts"
    wanted = f"about {count // 9} pictures for each shift from (-1, -1) to (1, 1)"
    if (visits > 0).sum() == 1:
        hint = "The whole batch moves by one shift. In this task each picture gets its own shift: more variety a batch."
        attempt.fail(got, wanted, hint)
    if visits.min() < 0.5 * count / 9 or visits.max() > 1.6 * count / 9:
        grid = visits.reshape(3, 3)
        hint = "All shifts are equally likely, and those down and those right are drawn independently."
        if (grid.sum(0) == 0).any() or (grid.sum(1) == 0).any():
            hint = "In one direction the pictures never move, or never to one side. Does your range include its end?"
        elif (visits == 0).any():
            hint = "Some shifts never happen. Are down and right drawn independently of each other?"
        attempt.fail(got, wanted, hint)


def _shift_gradient(attempt: Attempt) -> None:
    images = _pictures(30).requires_grad_()
    result, number = _shift(attempt, images, 1)
    gradient = attempt.gradient(result, images, "the moved pictures")
    ones = torch.ones(1, 1, 5, 6)  # a pixel that is still in view has gradient 1: move a white sheet back
    back = _moved(ones, 1, fill=0.0).flip(0)[number, 0]
    hint = (
        "The generator learns through the augmentation: each pixel that is still in view must pass its gradient on, "
        "unchanged, to the pixel that it came from."
    )
    attempt.close(gradient, back.expand_as(gradient), hint, what="d (sum of the result) / d (pixel)")


def check_random_shift(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(images [N, C, H, W], reach) -> [N, C, H, W]``. Parts: ``moves``, ``random``, ``gradient``."""
    parts = {"moves": _shift_moves, "random": _shift_random, "gradient": _shift_gradient}
    run("random_shift", function, "images reach", parts, part)
