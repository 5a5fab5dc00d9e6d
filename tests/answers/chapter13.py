"""Right and wrong answers to the tasks of chapter 13."""

from __future__ import annotations

import math

import numpy
import torch


def turn(sign=-1, axis=-1, rounded=round, full=360, wide=2):
    def turn_place(panorama, degrees):
        return panorama.roll(sign * rounded(degrees / full * wide * panorama.shape[1]), axis)

    return turn_place


def turn_by_index(panorama, degrees):
    width = panorama.shape[-1]
    columns = numpy.arange(width) + int(numpy.rint(degrees / 360 * width))
    return panorama[..., columns % width]


def turn_cut(panorama, degrees):
    width = panorama.shape[2]
    made, columns = torch.zeros_like(panorama), round(degrees / 360 * width)
    for column in range(width):
        if 0 <= column + columns < width:
            made[:, :, column] = panorama[:, :, column + columns]
    return made


def turn_in_place(panorama, degrees):
    panorama.copy_(turn()(panorama, degrees))
    return panorama


def place(azimuth, elevation, height):
    row = min(int((90 - elevation) / 180 * height), height - 1)
    return row, int((azimuth + 180) / 360 * 2 * height) % (2 * height)


def place_by_numpy(azimuth, elevation, height):
    edges = numpy.linspace(-180, 180, 2 * height + 1)
    column = (numpy.searchsorted(edges, azimuth, side="right") - 1) % (2 * height)
    row = numpy.clip(math.floor((90 - elevation) * height / 180), 0, height - 1)
    return numpy.int64(row), column


def place_on_the_rim(azimuth, elevation, height):
    return int((90 - elevation) / 180 * height), int((azimuth + 180) / 360 * 2 * height)


def sphere(weigh=torch.cos, power=1, middle=0.5, total=True):
    def sphere_mean(panorama):
        height = panorama.shape[1]
        elevation = math.pi / 2 - (torch.arange(height) + middle) / height * math.pi
        weight = weigh(elevation).abs()[:, None].expand(panorama.shape[1:]) ** power
        found = (panorama * weight).sum(dim=(1, 2))
        return found / weight.sum() if total else found / weight.numel()

    return sphere_mean


def sphere_by_average(panorama):
    height = panorama.shape[-2]
    elevation = numpy.radians(90 - (numpy.arange(height) + 0.5) * 180 / height)
    rows = numpy.average(panorama.numpy(), axis=1, weights=numpy.cos(elevation))
    return torch.from_numpy(rows.mean(axis=-1))


def shift(sign=1, nearest=True, fill="far"):
    def shift_row(colours, moves):
        width, moves = len(moves), moves.tolist()
        made, front = torch.zeros_like(colours), [-1] * width
        for i in range(width):
            to = (i + sign * moves[i]) % width
            if not nearest or moves[i] > front[to]:
                made[:, to], front[to] = colours[:, i], moves[i]
        result = made.clone()
        for x in [x for x in range(width) if front[x] < 0]:
            left, right = x, x
            while front[left] < 0:
                left = (left - 1) % width
            while front[right] < 0:
                right = (right + 1) % width
            far, near = (left, right) if front[left] <= front[right] else (right, left)
            if fill == "still":
                result[:, x] = colours[:, x]
            elif fill:
                result[:, x] = made[:, {"far": far, "near": near, "left": left}[fill]]
        return result

    return shift_row


def shift_in_order(colours, moves):
    """From far to near: who comes later hides who came before."""
    width = colours.shape[1]
    source = numpy.full(width, -1)
    for i in numpy.argsort(moves.numpy(), kind="stable"):
        source[(i + int(moves[i])) % width] = i
    depth = numpy.where(source < 0, -1, moves.numpy()[source])
    for x in numpy.flatnonzero(depth < 0):
        beside = [
            next((x + way * k) % width for k in range(1, width) if depth[(x + way * k) % width] >= 0) for way in (-1, 1)
        ]
        source[x] = source[min(beside, key=lambda place: depth[place])]
    return colours[:, torch.from_numpy(source)]


RIGHT = {
    "turn_place": [turn(), turn_by_index],
    "map_place": [place, place_by_numpy],
    "sphere_mean": [sphere(), sphere_by_average],
    "shift_row": [shift(), shift_in_order],
}

WRONG = {
    "turn_place": [
        (turn(sign=1), "move to the left"),
        (turn(axis=-2), "a turn moves columns"),
        (turn_cut, "comes in again on the other"),
        (turn(wide=1), "not as high"),
        (turn(full=180), "360 degrees, not 180"),
        (turn(rounded=int), "*nearest* whole number"),
        (lambda panorama, degrees: panorama.clone(), "Nothing has moved"),
        (turn_in_place, "make a new one"),
    ],
    "map_place": [
        (lambda a, e, h: place(a, -e, h), "Row 0 is at the top"),
        (lambda a, e, h: (place(a, e, h)[0], int(a / 360 * 2 * h) % (2 * h)), "north is in the middle"),
        (lambda a, e, h: place(a, e, h)[::-1], "First the row"),
        (lambda a, e, h: tuple(map(float, place(a, e, h))), "Rows and columns are counted"),
        (place_on_the_rim, "a pixel that the picture doesn't have"),
        (
            lambda a, e, h: (place(a, e, h)[0], min(int((a + 180) / 360 * 2 * h), 2 * h - 1)),
            "180 degrees and -180 are one direction",
        ),
        (
            lambda a, e, h: (min(round((90 - e) / 180 * h), h - 1), round((a + 180) / 360 * 2 * h) % (2 * h)),
            "round down",
        ),
        (
            lambda a, e, h: (round((90 - e) / 180 * (h - 1)), round((a + 180) / 360 * (2 * h - 1))),
            "not their middles",
        ),
    ],
    "sphere_mean": [
        (lambda panorama: panorama.mean(dim=(1, 2)), "Each *pixel* counts alike"),
        (sphere(weigh=torch.sin), "weighs the poles most"),
        (sphere(power=2), "cosine once"),
        (sphere(total=False), "divide by their sum"),
        (lambda panorama: sphere()(panorama).mean(), "means with shape"),
        (sphere(weigh=lambda elevation: torch.cos(elevation.rad2deg()), power=1), "circle whose length"),
    ],
    "shift_row": [
        (shift(sign=-1), "moves to the left"),
        (shift(fill=None), "holes left"),
        (shift(fill="still"), "keep its old colour"),
        (shift(nearest=False), "the one that moved more"),
        (shift(fill="near"), "what lies *behind*"),
        (shift(fill="left"), "what lies *behind*"),
        (lambda colours, moves: colours.clone(), "Nothing has moved"),
    ],
}

# The part that passes and the one that fails.
HALF_RIGHT = {
    "map_place": [(place_on_the_rim, "inside", "rim")],
    "shift_row": [(shift(fill=None), "alike", "holes")],
}
