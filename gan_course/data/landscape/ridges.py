"""Ridges around the horizon: mountains, hills and dunes, each at its own distance, one before the other."""

from __future__ import annotations

import math

import numpy as np

from gan_course.data.landscape.ground import SNOW
from gan_course.data.landscape.light import Light, colour
from gan_course.data.landscape.rays import EYE, Array, Rays, around, blend, edge, noise, stand

# For each land, from far to near: (distance in metres, mean height, variation, knots around, crested?)
RIDGES: dict[str, tuple[tuple[float, float, float, int, bool], ...]] = {
    "mountains": ((262, 98, 58, 8, True), (215, 52, 36, 11, True), (150, 17, 14, 9, True), (95, 5, 4, 7, False)),
    "meadow": ((270, 29, 19, 5, False), (190, 13, 11, 6, False), (110, 4.5, 3.5, 7, False)),
    "desert": ((250, 34, 24, 6, False), (170, 17, 15, 7, False), (95, 6.5, 7, 6, False), (50, 1.6, 3.2, 5, False)),
    "forest": ((270, 29, 14, 6, False),),
    "sea": ((270, 4, 12, 7, False),),
}


def draw_ridge(
    image: Array, depth: Array, view: Rays, light: Light, land: str, order: int, horizon: Array, g: np.random.Generator
) -> None:
    """Draw ridge number ``order`` of ``RIDGES[land]`` into ``image`` ``[3, H, W]`` and ``depth`` ``[H, W]``."""
    distance, mean, vary, knots, crested = RIDGES[land][order]
    row = int(g.integers(256))
    line = mean + vary * around(view.azimuth, knots, 6 if crested else 3, row, 0.48 if crested else 0.35, crested)
    if land == "desert":  # dunes: the wind leaves sharp crests
        line += 0.9 * vary * (0.55 - np.abs(around(view.azimuth, 2 * knots, 2, row + 90, 0.3)))
    top = np.arctan((line - EYE) / distance)
    foot = -math.atan(EYE / distance)
    rows = view.rows(foot, float(top.max()))
    elevation = view.elevation[rows]
    cover = edge(top - elevation, view.pixel) * edge(elevation - foot, view.pixel)
    height = EYE + distance * np.tan(elevation)  # metres above the ground, [h, 1]
    share = height / np.maximum(line, 1e-3)
    albedo, relief = _SURFACES[land](view, light, order, height, share, row)
    away = view.azimuth - light.azimuth
    # a slope faces the light from the side it leans to; a ridge below the sun shows its shaded face
    facing = 0.42 - 0.28 * np.cos(away) + 0.9 * relief[0] * np.sin(away) + 0.35 * relief[1]
    surface = light.lit(albedo, np.clip(facing, 0.02, 1.3))
    through = distance * (0.36 if light.sky == "fog" and land == "mountains" else 0.75)  # high up the air is clearer
    blend(image[:, rows], light.veil(surface, through, horizon), cover)
    stand(depth, view, rows, distance, cover)


def _folds(view: Rays, height: Array, knots: int, size: float, row: int) -> tuple[Array, Array]:
    """Relief of a slope as (lean to the right, lean upward), each ``[h, W]`` in about [-1, 1]."""
    turn = view.azimuth / (2 * math.pi) + 0.5
    lean: Array = np.zeros((1, 1), dtype=np.float32)
    up: Array = lean
    strength = 1.0
    for octave in range(3 + min(view.finer, 2)):
        x, y = turn * knots, height / size + 0.37 * row + 11 * octave
        slanted = x + 0.35 * y  # gullies run down aslant
        part = noise(slanted, y, knots)
        beside = noise(slanted + 0.3, y + 0.1, knots)
        lean = lean + strength * (beside - part) * 2.2
        up = up + strength * part
        strength, knots, size = 0.62 * strength, 2 * knots, size / 2
    return lean, up


def _rock(
    view: Rays, light: Light, order: int, height: Array, share: Array, row: int
) -> tuple[Array, tuple[Array, Array]]:
    if order == 3:
        return _hill(view, light, order, height, share, row)
    lean, up = _folds(view, height, 52, 22.0, row)
    albedo = colour((0.42, 0.40, 0.41)) * (1 + 0.22 * up)
    green = np.clip(1.5 - height / 11 + 0.6 * up, 0, 1)
    albedo = albedo + green * (colour((0.20, 0.29, 0.15)) - albedo)
    line = 20.0 if light.sky == "snow" else 68.0
    white = np.clip((height - line + 14 * up - 6 * lean) / 7, 0, 1)
    albedo = albedo + white * (colour((0.97, 0.98, 1.0)) - albedo)
    return albedo, (lean, up)


def _hill(
    view: Rays, light: Light, order: int, height: Array, share: Array, row: int
) -> tuple[Array, tuple[Array, Array]]:
    lean, up = _folds(view, height, 64, 6.0, row)
    albedo = colour((0.25, 0.40, 0.14)) * (1 + 0.3 * up) + colour((0.05, 0.02, 0.0)) * lean
    woods = np.clip(2.5 * up - 0.2, 0, 1)  # dark patches of trees and hedges
    albedo = albedo + 0.75 * woods * (colour((0.10, 0.22, 0.10)) - albedo)
    if light.sky == "snow":
        albedo = albedo + np.clip(0.62 - 0.7 * up, 0, 0.9) * (SNOW - albedo)
    return albedo, (0.5 * lean, 0.6 * up)


def _dune(
    view: Rays, light: Light, order: int, height: Array, share: Array, row: int
) -> tuple[Array, tuple[Array, Array]]:
    turn = view.azimuth / (2 * math.pi) + 0.5
    # the crest wanders down the slope and parts the lit side from the shaded one
    knots = 10 + 4 * order
    crest = noise(turn * knots + 1.5 * share, 1.2 * share + 0.7 * row, knots)
    lean = np.clip(4 * crest, -0.55, 0.55)
    fine = noise(turn * 128, height * 1.3, 128)
    albedo = colour((0.86, 0.61, 0.36)) * (1 + 0.06 * fine)
    if light.sky == "snow":
        albedo = albedo + np.clip(0.35 + 0.7 * crest + 0.2 * fine, 0, 0.85) * (SNOW - albedo)
    return albedo, (lean, 0.25 * fine)


def _coast(
    view: Rays, light: Light, order: int, height: Array, share: Array, row: int
) -> tuple[Array, tuple[Array, Array]]:
    lean, up = _folds(view, height, 48, 6.0, row)
    albedo = colour((0.30, 0.36, 0.26)) * (1 + 0.3 * up)
    if light.sky == "snow":
        albedo = albedo + np.clip(0.4 - 0.7 * up, 0, 0.9) * (SNOW - albedo)
    return albedo, (lean, up)


_SURFACES = {"mountains": _rock, "meadow": _hill, "forest": _hill, "desert": _dune, "sea": _coast}
