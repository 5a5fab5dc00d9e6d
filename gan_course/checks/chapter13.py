"""Checks of chapter 13: a place turned, a direction on the map, a fair mean over the sphere, a row for one eye."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_course.checks.draws import hidden
from gan_course.checks.report import Attempt, Parts, cases, check
from gan_course.checks.values import as_double, normal

# ------------------------------------------------------------------------------------------ turn


def _compare_turn(attempt: Attempt, height: int, degrees: float) -> None:
    picture = normal(3, height, 2 * height, seed=1)
    result = attempt(picture.clone(), degrees)
    width = 2 * height
    columns = round(degrees / 360 * width)
    cut = picture.clone()
    inside = [c for c in range(width) if 0 <= c + columns < width]
    cut[:, :, inside] = picture[:, :, [c + columns for c in inside]]
    zeros = torch.zeros_like(picture)
    zeros[:, :, inside] = picture[:, :, [c + columns for c in inside]]
    no_wrap = "What leaves the picture on one side comes in again on the other: it is a full circle."
    mistakes = [
        (picture.roll(columns, -1), "Who turns to the right sees things move to the left."),
        (picture.roll(-columns, -2), "That moves the rows: a turn moves columns."),
        (cut, no_wrap),
        (zeros, no_wrap),
        (picture.roll(-round(degrees / 360 * height), -1), "A full turn is as wide as the picture, not as high."),
        (picture.roll(-round(degrees / 180 * width), -1), "The picture's width is 360 degrees, not 180."),
        (picture.roll(-int(degrees / 360 * width), -1), "Take the *nearest* whole number of columns."),
        (picture.roll(-math.floor(degrees / 360 * width), -1), "Take the *nearest* whole number of columns."),
        (picture, "Nothing has moved."),
    ]
    hint = "How many columns are 360 degrees? And which column has to be in the middle afterwards?"
    attempt.close(result, picture.roll(-columns, -1), hint, mistakes, what="the panorama")


@check("turn_place(panorama [3, H, 2 H], degrees) -> panorama [3, H, 2 H]")
def check_turn_place() -> Parts:
    return {
        "right": cases(_compare_turn, (8, 90.0), (12, 45.0), (10, 33.0), (16, 131.0)),
        "around": cases(_compare_turn, (8, -90.0), (10, -62.0), (12, 405.0), (9, -730.0)),
    }


# ------------------------------------------------------------------------------------------ the map


def _compare_place(attempt: Attempt, azimuth: float, elevation: float, height: int) -> None:
    width = 2 * height
    pair = attempt.results(attempt(azimuth, elevation, height), ("row", "column"))
    hint = "Two straight lines: from 90 degrees at the top to -90 at the bottom, from -180 at the left to 180."
    found = [attempt.tensor(x, (), hint=hint, what=name) for x, name in zip(pair, ("row", "column"), strict=True)]
    down, across = (90 - elevation) / 180 * height, (azimuth + 180) / 360 * width

    def pixel(row: float, column: float) -> Tensor:
        return torch.tensor([float(row), float(column)])

    row, column = min(int(down), height - 1), int(across) % width
    upside = min(int((90 + elevation) / 180 * height), height - 1)
    from_north = int(azimuth / 360 * width) % width
    nearest = (min(round(down), height - 1), round(across) % width)
    corners = (
        min(round((90 - elevation) / 180 * (height - 1)), height - 1),
        round((azimuth + 180) / 360 * (width - 1)),
    )
    halved = (min(int(down), height - 1), int((azimuth + 180) / 360 * height) % width)
    mistakes = [
        (pixel(upside, column), "Row 0 is at the top: what lies high has a small number."),
        (pixel(row, from_north), "Column 0 is not north: north is in the middle."),
        (pixel(column, row), "First the row, then the column."),
        (pixel(int(down), int(across)), "At the rim this names a pixel that the picture doesn't have."),
        (pixel(int(down), column), "At the rim this names a pixel that the picture doesn't have."),
        (pixel(row, int(across)), "At the rim this names a pixel that the picture doesn't have."),
        (pixel(row, min(int(across), width - 1)), "180 degrees and -180 are one direction, and have one column."),
        (pixel(*nearest), "That is the nearest *edge* of a pixel. Pixel 0 reaches from 0 to 1: round down."),
        (pixel(*corners), "The outermost directions are the outer *edges* of the outermost pixels, not their middles."),
        (pixel(*halved), "The panorama has twice as many columns as rows."),
    ]
    attempt.close(
        torch.stack([as_double(x) for x in found]), pixel(row, column), hint, mistakes, what="row and column",
        tolerance=1e-6,
    )  # fmt: skip
    for number, name in zip(pair, ("the row", "the column"), strict=True):
        attempt.whole(number, "Rows and columns are counted: 3.0 is no index of a tensor. Make an int of it.", name)


@check("map_place(azimuth, elevation, height) -> (row, column)")
def check_map_place() -> Parts:
    return {
        "inside": cases(
            _compare_place,
            (10.0, 20.0, 64),
            (-100.0, -30.0, 64),
            (91.0, 5.0, 32),
            (-3.0, 47.0, 512),
            (133.0, -80.0, 90),
            *hidden(lambda r: (r.uniform(-170, 170), r.uniform(-80, 80), r.randint(20, 600)), 3),
        ),
        "rim": cases(
            _compare_place,
            *((180.0, -90.0, 64), (-180.0, 90.0, 64), (0.0, -90.0, 32), (180.0, 10.0, 16)),
            *hidden(lambda r: (180.0, r.uniform(-80, 80), r.randint(20, 600))),
            *hidden(lambda r: (r.uniform(-170, 170), -90.0, r.randint(20, 600))),
        ),
    }


# ------------------------------------------------------------------------------------------ a fair mean


def _compare_mean(attempt: Attempt, channels: int, height: int, slope: float) -> None:
    down = torch.linspace(1, -1, height)[:, None]
    picture = 0.3 * normal(channels, height, 2 * height, seed=2) + slope * down**2
    result = attempt(picture.clone())
    angle = (torch.arange(height) + 0.5) / height * math.pi
    rows = picture.mean(dim=-1)  # [C, H]

    def mean(weight: Tensor) -> Tensor:
        return (rows * weight).sum(dim=-1) / weight.sum()

    weight = angle.sin()
    mistakes = [
        (rows.mean(dim=-1), "Each *pixel* counts alike there. But rows near a pole are short circles."),
        (mean(angle.cos().abs()), "That weighs the poles most. How long is the circle that a row stands for?"),
        (mean(weight**2), "Pixels get narrower toward the poles, but no lower: weigh by the cosine once."),
        ((rows * weight).mean(dim=-1), "The weights don't add up to 1: divide by their sum."),
        ((rows * weight).sum(dim=-1), "The weights don't add up to 1: divide by their sum."),
        (mean(weight).mean(), "Each channel has a mean of its own."),
        (mean(torch.linspace(0, math.pi, height).sin()), "Take the elevation of each row's *middle*."),
        (mean((90 - angle.rad2deg()).cos()), "torch.cos takes radians, not degrees."),
    ]
    hint = "A row at elevation e stands for a circle whose length is in proportion to cos(e). Weigh by it."
    attempt.close(result, mean(weight), hint, mistakes, what="the means")


@check("sphere_mean(panorama [C, H, 2 H]) -> means [C]")
def check_sphere_mean() -> Parts:
    return {
        "values": cases(_compare_mean, (3, 16, 1.0), (3, 32, -1.0)),
        "sizes": cases(_compare_mean, (1, 7, 1.0), (4, 2, 0.5), (2, 64, 2.0)),
    }


# ------------------------------------------------------------------------------------------ one eye's row

NEAREST = "Where two pixels meet, the one that moved more is nearer, and hides the other."
FARTHER = "A hole shows what lies *behind*: of its two neighbours, the one that moved less."


def _shift(colours: Tensor, moves: list[int], sign: int = 1, nearer: bool = True, fill: str = "far") -> Tensor:
    """The right answer, and with other arguments the wrong ones."""
    width = len(moves)
    made, taken = torch.zeros_like(colours), [-1] * width
    for i, move in enumerate(moves):
        to = (i + sign * move) % width
        if not nearer or move > taken[to]:
            made[:, to], taken[to] = colours[:, i], move
    full = made.clone()
    for x in range(width):
        if taken[x] >= 0 or fill == "none":
            continue
        left = next((x - k) % width for k in range(1, width + 1) if taken[(x - k) % width] >= 0)
        right = next((x + k) % width for k in range(1, width + 1) if taken[(x + k) % width] >= 0)
        best = left if taken[left] <= taken[right] else right
        if fill == "still":
            full[:, x] = colours[:, x]
        else:
            full[:, x] = made[:, {"far": best, "near": left + right - best, "left": left, "right": right}[fill]]
    return full


def _least(colours: Tensor, moves: list[int]) -> Tensor:
    """The farther hides the nearer: the row of an inside-out place."""
    top = max(moves)
    mirrored = _shift(colours, [top - move for move in moves], sign=-1)
    return mirrored.roll(top, -1)


def _cut(colours: Tensor, moves: list[int]) -> Tensor:
    """Without the way around."""
    width = len(moves)
    kept = [(i, move) for i, move in enumerate(moves) if i + move < width]
    made, taken = torch.zeros_like(colours), [-1] * width
    for i, move in kept:
        if move > taken[i + move]:
            made[:, i + move], taken[i + move] = colours[:, i], move
    return made


def _compare_row(attempt: Attempt, channels: int, moves: list[int]) -> None:
    colours = normal(channels, len(moves), seed=3)
    result = attempt(colours.clone(), torch.tensor(moves))
    mistakes = [
        (_shift(colours, moves, sign=-1), "That moves to the left: the left eye sees near things farther right."),
        (_cut(colours, moves), "The row is a full circle: what leaves it on the right comes in on the left."),
        (_shift(colours, moves, fill="none"), "There are holes left: places to which nothing moved."),
        (_shift(colours, moves, fill="still"), "A hole can't keep its old colour: what was there has moved away."),
        (_shift(colours, moves, nearer=False), NEAREST),
        (_shift(colours, moves, nearer=False, fill="none"), NEAREST),
        (_least(colours, moves), NEAREST),
        (_shift(colours, moves, fill="near"), FARTHER),
        (_shift(colours, moves, fill="left"), FARTHER),
        (_shift(colours, moves, fill="right"), FARTHER),
        (colours, "Nothing has moved."),
    ]
    hint = "First move every pixel, the nearest winning; then go through the places that stayed empty."
    attempt.close(result, _shift(colours, moves), hint, mistakes, what="the row")


@check("shift_row(colours [C, W], moves [W]) -> row [C, W]")
def check_shift_row() -> Parts:
    return {
        "alike": cases(_compare_row, (3, [2] * 8), (1, [0] * 5), (3, [5] * 6)),
        "overlap": cases(_compare_row, (3, [1, 1, 0, 0, 0, 1, 1, 1]), (3, [0, 2, 1, 0, 0, 0, 0])),
        "holes": cases(
            _compare_row,
            (3, [0, 0, 0, 3, 3, 0, 0, 0, 0, 0]),
            (2, [3, 0, 0, 0, 2, 0, 0, 0]),
            (1, [0, 3, 0, 0, 0, 2, 0, 0, 0]),
            (3, [1, 1, 3, 3, 1, 0]),
        ),
    }
