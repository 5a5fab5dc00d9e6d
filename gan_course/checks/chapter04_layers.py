"""Checks of chapter 04, the layers: the sides that convolutions make, and how evenly a transposed one paints."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from gan_course.checks.report import Attempt, run

SIDES = ("convolution", "transposed")
PAINT = ("least", "most")
MEAN = "That is a mean over pixels. Which of them get less than it, and which get more?"
CORNER = "That is a corner of the picture, where only one stamp reaches. Look at its middle."
GAPS = "With a stride longer than the window there are pixels between the windows. How much do they get?"


# ------------------------------------------------------------------------------------------ sides


def _true_sides(side: int, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """What PyTorch's own layers make of such a map."""
    image, weight = torch.zeros(1, 1, side, side), torch.zeros(1, 1, kernel, kernel)
    smaller = F.conv2d(image, weight, stride=stride, padding=padding)
    larger = F.conv_transpose2d(image, weight, stride=stride, padding=padding)
    return smaller.shape[-1], larger.shape[-1]


def _compare_sides(attempt: Attempt, which: int, cases: tuple[tuple[int, int, int, int], ...]) -> None:
    for side, kernel, stride, padding in cases:
        right = _true_sides(side, kernel, stride, padding)
        last = (side + 2 * padding - kernel) / stride  # the place of the last window, counted in strides
        apart = stride * (side - 1)  # from the first stamp to the last one
        mistakes = [
            (right[1 - which], f"This is the side after the other layer. The order is {SIDES[0]}, {SIDES[1]}."),
            *(
                [
                    (last + 1, "There is no half window: what happens to the part of a stride that is left over?"),
                    (math.ceil(last) + 1, "You rounded up. A window that would reach over the edge is left out."),
                    (math.floor(last), "One too few: the first window stands at 0, before any stride was made."),
                    (
                        (side + padding - kernel) // stride + 1,
                        "The padding was counted once. A map has two edges, and each gets it.",
                    ),
                    ((side - kernel) // stride + 1, "The padding has no effect in your formula."),
                    ((side + 2 * padding - kernel) + 1, "The stride has no effect in your formula."),
                    (side // stride, "True for many usual layers, but not for all: where do kernel and padding count?"),
                ]
                if which == 0
                else [
                    (apart + kernel, "The padding has no effect. Here it cuts off what was painted beyond the edges."),
                    (
                        apart + kernel + 2 * padding,
                        "The sign of the padding: it makes the picture larger for a convolution. And here?",
                    ),
                    (apart + kernel - padding, "The padding was counted once. A picture has two edges."),
                    (
                        side * stride + kernel - 2 * padding,
                        "Too large by one stride: between n stamps there are only n - 1 strides.",
                    ),
                    (apart + 1 - 2 * padding, "The last stamp paints a whole window and not one pixel."),
                    (
                        side * stride,
                        "True for many usual layers, but not for all: where do kernel and padding count?",
                    ),
                ]
            ),
        ]
        hint = "Write the places of all windows along one line of a small map, and count."
        if which == 1:
            hint = "Each number stamps a window. Where does the first stamp begin, and where does the last one end?"
        value = attempt.pair(attempt(side, kernel, stride, padding), SIDES)[which]
        attempt.close(value, float(right[which]), hint, mistakes, what=f"the side after the {SIDES[which]} layer")


def _sides_convolution(attempt: Attempt) -> None:
    _compare_sides(attempt, 0, ((9, 5, 1, 2), (7, 3, 1, 0), (28, 4, 2, 1), (9, 4, 2, 1), (32, 5, 3, 2), (11, 3, 4, 0)))


def _sides_transposed(attempt: Attempt) -> None:
    _compare_sides(attempt, 1, ((7, 4, 2, 1), (14, 3, 2, 1), (8, 5, 3, 2), (4, 4, 1, 0), (5, 2, 4, 0)))


def check_output_sides(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(side, kernel, stride, padding) -> (convolution, transposed)``. Parts: ``convolution``,
    ``transposed``."""
    parts = {"convolution": _sides_convolution, "transposed": _sides_transposed}
    run("output_sides", function, "side kernel stride padding", parts, part)


# ------------------------------------------------------------------------------------------ paint


def _true_paint(kernel: int, stride: int) -> tuple[int, int]:
    """Stamp windows of ones and look at the middle of the picture."""
    side = 2 * kernel + 4
    paint = F.conv_transpose2d(torch.ones(1, 1, side, side), torch.ones(1, 1, kernel, kernel), stride=stride)
    inside = paint[..., kernel:-kernel, kernel:-kernel]
    return int(inside.min()), int(inside.max())


def _compare_paint(attempt: Attempt, cases: tuple[tuple[int, int], ...]) -> None:
    for kernel, stride in cases:
        right = _true_paint(kernel, stride)
        line = kernel // stride, math.ceil(kernel / stride)
        values = attempt.pair(attempt(kernel, stride), PAINT)
        for i, value in enumerate(values):
            mistakes = [
                (line[i], "This is right along one line. A picture has rows and columns, and windows are square."),
                (2 * line[i], "Rows and columns combine: for every hit along the row, how many along the column?"),
                ((kernel / stride) ** 2, MEAN),
                (kernel / stride, MEAN),
                (right[1 - i], f"The order is {PAINT[0]}, {PAINT[1]}."),
                (kernel**2, "That is the number of weights in a window. How many windows reach one pixel?"),
                ((kernel - stride) ** 2, "That is how far two neighbouring windows overlap, not how many do."),
            ]
            if i == 0:
                mistakes.insert(0, (1, CORNER if right[0] else GAPS))
            hint = (
                "Draw the windows of a kernel along one line, each a stride further than the one before. How many lie "
                "over each pixel? Then go from the line to the plane."
            )
            attempt.close(value, float(right[i]), hint, mistakes, what=f"the {PAINT[i]} paint of a pixel")


def _paint_even(attempt: Attempt) -> None:
    _compare_paint(attempt, ((4, 2), (2, 2), (6, 3), (3, 1)))


def _paint_uneven(attempt: Attempt) -> None:
    _compare_paint(attempt, ((3, 2), (5, 2), (7, 3), (8, 5)))


def _paint_holes(attempt: Attempt) -> None:
    _compare_paint(attempt, ((2, 3), (1, 2), (3, 5)))


def check_paint_range(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(kernel, stride) -> (least, most)``. Parts: ``even``, ``uneven``, ``holes``."""
    parts = {"even": _paint_even, "uneven": _paint_uneven, "holes": _paint_holes}
    run("paint_range", function, "kernel stride", parts, part)
