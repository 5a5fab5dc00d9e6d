"""Checks of chapter 10: a size that keeps the shape, colours that stay, style in means and spreads, tiles."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.draws import hidden
from gan_course.checks.report import RETURNS_NOTHING, Attempt, Parts, cases, check
from gan_course.checks.values import as_double, describe, near, normal, plain

# ------------------------------------------------------------------------------------------ size


def _scaled(width: int, height: int, share: float, least: int = 1, rounded: Callable[[float], int] = round) -> Tensor:
    return torch.tensor([max(least, rounded(width * share)), max(least, rounded(height * share))])


def _compare_size(attempt: Attempt, width: int, height: int, longest: int) -> None:
    hint = "One factor for both sides, from the longer one; at most 1."
    names = "the width", "the height"
    pair = attempt.results(attempt(width, height, longest), ("width", "height"))
    sides = [attempt.tensor(side, (), hint=hint, what=name) for side, name in zip(pair, names, strict=True)]
    by_longer, by_shorter, by_width = (longest / side for side in (max(width, height), min(width, height), width))
    share = min(1.0, by_longer)
    right = _scaled(width, height, share)
    not_by_width = "You made the *width* fit. Which side has to, if the picture is higher than wide?"
    mistakes = [
        (torch.tensor([longest, longest]), "That is what the document's program does: it squeezes every picture."),
        (_scaled(width, height, share, least=0), "A side of 0 pixels is no picture."),
        (_scaled(width, height, by_longer), "A picture that fits already stays as it is."),
        (_scaled(width, height, by_longer, least=0), "A picture that fits already stays as it is."),
        (_scaled(width, height, min(1.0, by_width)), not_by_width),
        (_scaled(width, height, by_width), not_by_width),
        (_scaled(width, height, share, rounded=int), "Rounded down: take the nearest whole number."),
        (_scaled(width, height, share, rounded=math.ceil), "Rounded up: take the nearest whole number."),
        (_scaled(width, height, min(1.0, by_shorter)), "Then the longer side is still too long."),
        (_scaled(width, height, by_shorter), "Then the longer side is still too long."),
        (right.flip(0), "Width and height are exchanged."),
    ]
    found = torch.stack([as_double(side) for side in sides])
    attempt.close(found, right, hint, mistakes, what="width and height", tolerance=1e-6)
    for side, name in zip(pair, names, strict=True):
        attempt.whole(side, "Pixels are whole numbers: 3.0 is no size of a picture. Make an int of it.", name)


@check("fit_inside(width, height, longest) -> (width, height)")
def check_fit_inside() -> Parts:
    def smaller(r: random.Random) -> tuple[int, int, int]:
        """The shorter side ends well away from half a pixel, or else rounding decides."""
        longest, times = r.randint(50, 300), r.randint(3, 9)
        sides = [longest * times, r.randint(9, longest // 2) * times + r.choice([-1, 1])]
        r.shuffle(sides)
        return sides[0], sides[1], longest

    return {
        "shrink": cases(
            _compare_size,
            *((600, 300, 256), (451, 300, 100), (300, 451, 100), (2000, 1001, 500), (601, 1000, 100)),
            *hidden(smaller, 3),
        ),
        "rim": cases(
            _compare_size,
            *((100, 60, 256), (40, 200, 256), (256, 256, 256), (5000, 3, 256), (2, 4000, 128), (3, 1, 2)),
            *hidden(lambda r: (r.randint(1, 3), r.randint(3000, 6000), r.randint(50, 300))),
            *hidden(lambda r: (r.randint(50, 300), r.randint(50, 300), 300)),
        ),
    }


# ------------------------------------------------------------------------------------------ colours

WEIGHTS = (0.299, 0.587, 0.114)


def _bright(picture: Tensor) -> Tensor:
    return (torch.tensor(WEIGHTS)[:, None, None] * picture).sum(dim=-3, keepdim=True)


def _compare_colours(attempt: Attempt, shape: tuple[int, ...], scale: float) -> None:
    made, photograph = ((scale * normal(*shape, seed=seed)).clamp(-1, 1) for seed in (1, 2))
    result = attempt(made.clone(), photograph.clone())
    change = _bright(made) - _bright(photograph)
    full = photograph + change
    limited_early = photograph + change.clamp(-1, 1)
    turned = "The change has the wrong sign: where the restyled picture is brighter, the result has to be, too."
    flat = made.mean(dim=-3, keepdim=True) - photograph.mean(dim=-3, keepdim=True)
    mistakes = [
        (full, "Values left [-1, 1]: limit them at the end."),
        *[(x, "The result is limited, not the change.") for x in (limited_early, limited_early.clamp(-1, 1))],
        *[(x, turned) for x in ((photograph - change).clamp(-1, 1), photograph - change)],
        ((photograph + flat).clamp(-1, 1), "The three channels don't count alike: use the weights."),
        (
            (made - change).clamp(-1, 1),
            "That keeps the colours of the restyled picture and the brightness of the photograph.",
        ),
        ((photograph + _bright(made)).clamp(-1, 1), "The photograph's own brightness is still in there: take it out."),
        (
            (photograph + change.mean()).clamp(-1, 1),
            "Each *pixel* has a brightness of its own.",
        ),
        (_bright(made).expand(shape), "That picture is grey. Where are the photograph's colours?"),
        (made, "That is the restyled picture with its own colours."),
    ]
    hint = "Add the same number to all three channels of a pixel, so that its brightness becomes the restyled one's."
    attempt.close(result, full.clamp(-1, 1), hint, mistakes, what="the picture")


@check("keep_colours(made [3, H, W], photograph [3, H, W]) -> picture [3, H, W]")
def check_keep_colours() -> Parts:
    return {
        "calm": cases(_compare_colours, ((3, 4, 5), 0.15), ((3, 1, 1), 0.1), ((3, 6, 2), 0.2)),
        "strong": cases(_compare_colours, ((3, 7, 5), 1.0), ((3, 2, 9), 2.0)),
    }


# ------------------------------------------------------------------------------------------ statistics


def _compare_statistics(attempt: Attempt, shape: tuple[int, ...], wanted_shape: tuple[int, ...], shift: float) -> None:
    found = (normal(*shape, seed=3) + shift).requires_grad_()
    other = 1.5 * normal(*wanted_shape, seed=4)
    value = attempt(found, other)

    def loss(
        places: tuple[int, ...] = (2, 3), correction: int = 0, means: float = 1, stds: float = 1, power: int = 1
    ) -> Tensor:
        a, b = ((x.mean(dim=places), x.std(dim=places, correction=correction)) for x in (found, other))
        return means * (a[0] - b[0]) ** 2 + stds * (a[1] ** power - b[1] ** power) ** 2

    parts = loss(stds=0), loss(means=0)
    mistakes = [
        (parts[0].mean(), "Only the means were compared: the spreads belong to it."),
        (parts[1].mean(), "Only the spreads were compared: the means belong to it."),
        (loss(correction=1).mean(), "Divide by the number of places, not by one less: correction=0."),
        (loss(power=2).mean(), "Those are variances. The spread is their root."),
        *[(x, "That is the sum over the channels: take their mean.") for x in (loss().sum(), loss().sum(1).mean())],
        (loss(places=(1, 2, 3)).mean(), "Each channel has a mean and a spread of its own."),
        (loss(places=(0, 1, 2, 3)).mean(), "Each channel of each picture has a mean and a spread of its own."),
        (loss().mean() / 2, "The two parts are added, not averaged."),
        ((parts[0].sqrt() + parts[1].sqrt()).mean(), "The differences must be squared."),
    ]
    hint = "For each channel: the mean and the standard deviation over all places. Compare these two, not the places."
    attempt.close(value, loss().mean(), hint, mistakes, what="the loss")
    slope = attempt.gradient(value, found, "the loss")
    right, of_means, of_stds = (
        torch.autograd.grad(part, found)[0] for part in (loss().mean(), loss(stds=0).mean(), loss(means=0).mean())
    )
    mistakes = [
        (torch.zeros_like(right), "No gradient reaches the features: don't detach them."),
        (of_means, "Only the means carry the gradient: the spreads were cut off, and the picture can't change them."),
        (of_stds, "Only the spreads carry the gradient: the means were cut off, and the picture can't change them."),
        (-right, "The value is right, and its gradient has the wrong sign: the picture would lose the style."),
    ]
    hint = "The value is right, but its gradient is not, and the picture follows the gradient. Was a part cut off?"
    attempt.close(slope, right, hint, mistakes, what="d loss / d found")


@check("statistics_loss(found [N, C, H, W], wanted [N, C, h, w]) -> number")
def check_statistics_loss() -> Parts:
    return {
        "values": cases(_compare_statistics, ((1, 4, 5, 6), (1, 4, 5, 6), 0.5), ((2, 3, 4, 4), (2, 3, 4, 4), -1.0)),
        "sizes": cases(_compare_statistics, ((1, 5, 8, 3), (1, 5, 4, 9), 0.3), ((2, 2, 1, 7), (2, 2, 6, 6), 2.0)),
    }


# ------------------------------------------------------------------------------------------ tiles


def _rows(attempt: Attempt, value: Any) -> Tensor:
    """The answer as a tensor ``[tiles, 4]``. Its numbers may be of any kind."""
    hint = "Return a list with (start, stop, first, last) for each tile."
    if value is None:
        attempt.fail("None", "a list of tiles", RETURNS_NOTHING)
    try:
        result = torch.tensor([[float(number) for number in row] for row in value], dtype=torch.float64)
    except (TypeError, ValueError):
        attempt.fail(describe(value), "a list with four numbers a tile", hint)
    if result.ndim != 2 or result.shape[1] != 4:
        attempt.fail(describe(value), "a list with four numbers a tile", hint)
    return result


def _compare_spans(attempt: Attempt, length: int, tile: int, margin: int) -> None:
    rows = attempt(length, tile, margin)
    result = _rows(attempt, rows)
    start = torch.arange(0, length, tile)
    stop, beyond = (start + tile).clamp(max=length), start + tile
    first, last = (start - margin).clamp(min=0), (stop + margin).clamp(max=length)
    all_of_it = torch.zeros_like(start), torch.full_like(start, length)
    right = torch.stack([start, stop, first, last], dim=1)
    mistakes = [
        (torch.stack([start, stop, start - margin, stop + margin], dim=1), "There is nothing beyond the picture."),
        (torch.stack([start, beyond, first, beyond + margin], dim=1), "The last tile ends where the picture ends."),
        (torch.stack([start, beyond, first, last], dim=1), "What is kept of the last tile ends with the picture, too."),
        *[
            (right - torch.tensor(ends), "`stop` and `last` lie behind the range, as in a slice: one more.")
            for ends in ((0, 1, 0, 1), (0, 0, 0, 1), (0, 1, 0, 0))
        ],
        (right[:, [2, 3, 0, 1]], "First what is kept of the tile, then what is seen."),
        (right[:, [0, 1, 0, 1]], "The margin is missing: a tile has to see its surroundings."),
        (torch.stack([start, stop, *all_of_it], dim=1), "Each tile sees the whole picture then, and nothing is saved."),
        (right[:-1], "The last tile is missing."),
        (right[: length // tile], "The last tile is missing where it is smaller than the others."),
    ]
    is_right = near(result, right)
    attempt.observe("the tiles", mistakes, lambda wrong: near(result, wrong), is_right)
    if is_right:
        for number in (number for row in rows for number in row):
            whole = "Pixels are whole numbers: a slice can't begin or end at 3.0. Make an int of each."
            attempt.whole(plain(number), whole, "a number of a tile")
        return
    hint = "Tiles lie edge to edge and cover the length once; each sees `margin` more on both sides."
    if len(result) != len(right):
        attempt.fail(f"{len(result)} tiles", f"{len(right)} tiles", hint, "the tiles")
    i = int((result - right).abs().sum(dim=1).argmax())
    got, expected = (f"tile {i}: ({', '.join(f'{number:g}' for number in x[i].tolist())})" for x in (result, right))
    attempt.fail(got, expected, hint, "the tiles")


@check("tile_spans(length, tile, margin) -> list of (start, stop, first, last)")
def check_tile_spans() -> Parts:
    def even(r: random.Random) -> tuple[int, int, int]:
        tile = r.randint(10, 40)
        return tile * r.randint(2, 6), tile, r.randint(1, 9)

    def uneven(r: random.Random) -> tuple[int, int, int]:
        tile = r.randint(10, 40)
        return tile * r.randint(2, 6) + r.randint(1, tile - 1), tile, r.randint(1, 9)

    def wide(r: random.Random) -> tuple[int, int, int]:
        tile = r.randint(3, 9)
        return tile * r.randint(3, 6), tile, tile + r.randint(1, 9)

    return {
        "even": cases(_compare_spans, (100, 50, 10), (96, 32, 8), (40, 40, 5), *hidden(even)),
        "uneven": cases(_compare_spans, (101, 50, 10), (7, 3, 1), (30, 64, 16), *hidden(uneven)),
        "wide": cases(_compare_spans, (20, 4, 9), (10, 5, 100), (9, 2, 0), *hidden(wide)),
    }
