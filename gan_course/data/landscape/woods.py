"""Woods: rings of trees at several distances, each tree with its own place, height, width, shape and shade."""

from __future__ import annotations

import math

import numpy as np

from gan_course.data.landscape.ground import SNOW
from gan_course.data.landscape.light import Light, colour
from gan_course.data.landscape.rays import EYE, Array, Rays, blend, edge, noise, stand

# For each land, from far to near: (distance in metres, metres from tree to tree, mean height, share of places taken)
RINGS: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "forest": (
        (130, 4.0, 30, 1.0), (88, 4.4, 25, 1.0), (58, 4.8, 22, 0.9), (38, 5.2, 19, 0.70), (25, 5.6, 17, 0.50),
        (16, 6.5, 14, 0.36),
    ),
    "mountains": ((88, 5.0, 8, 0.42), (46, 6.0, 6.5, 0.16)),
    "meadow": ((105, 7.0, 7, 0.45), (60, 8.0, 6.5, 0.10)),
    "desert": (),
    "sea": (),
}  # fmt: skip


def draw_ring(
    image: Array,
    depth: Array,
    view: Rays,
    light: Light,
    land: str,
    order: int,
    horizon: Array,
    g: np.random.Generator,
    clearing: tuple[float, float] | None,
) -> None:
    """Draw ring ``order`` of ``RINGS[land]``; ``clearing`` is the azimuth and half angle where no tree may stand."""
    distance, spacing, mean, share = RINGS[land][order]
    count = max(8, round(2 * math.pi * distance / spacing))
    spacing = 2 * math.pi * distance / count
    u = g.random((6, count)).astype(np.float32)
    place = np.arange(count) + 0.5 + 0.7 * (u[0] - 0.5)
    height = mean * (0.65 + 0.7 * u[1])
    pointed = u[2] < (0.8 if land != "meadow" else 0.1)
    width = height * np.where(pointed, 0.17 + 0.08 * u[3], 0.26 + 0.12 * u[3])
    # groves: where the noise is low, places stay empty
    grove = noise(np.arange(count) / count * 16, float(g.integers(256)) + 0.5, 16)
    stands = u[4] < share * np.clip(1 + 1.3 * grove, 0.15, 2.0)
    if clearing is not None:
        off = np.abs((place / count * 2 * math.pi - math.pi - clearing[0] + math.pi) % (2 * math.pi) - math.pi)
        stands &= off > clearing[1]
    height = np.where(stands, height, 0).astype(np.float32)
    if not stands.any():
        return

    foot = -math.atan(EYE / distance)
    rows = view.rows(foot, math.atan((float(height.max()) - EYE) / distance))
    above = EYE + distance * np.tan(view.elevation[rows])  # metres over the ground, [h, 1]
    cell = (view.azimuth / (2 * math.pi) + 0.5) * count
    side = view.pixel * distance  # of a pixel, in metres
    rough = (
        noise(
            cell * (max(1, round(count * spacing / 1.1)) / count),
            above / 0.9 + 40 * order,
            max(1, round(count * spacing / 1.1)),
        )
        if side < 1.5
        else 0.0
    )
    best = np.full((above.shape[0], view.width), -9.0, dtype=np.float32)
    shade, owner_tone = np.zeros_like(best), np.zeros_like(best)
    trunk = np.zeros_like(best)
    for neighbour in (-1, 0, 1):
        i = np.floor(cell).astype(np.int32) + neighbour
        k = i % count
        across = (cell - (place[k] + (i - k))) * spacing
        h = np.maximum(height[k], 1e-3)
        part = above / h
        needles = (1.0 - part) * (0.72 + 0.28 * (1 - (part * (6 + 3 * u[3, k])) % 1)) * (part > 0.1)
        leaves = np.sqrt(np.clip(1 - ((part - 0.62) / 0.38) ** 2, 0, 1)) - (np.abs(part - 0.62) > 0.38)
        crown = width[k] * np.where(pointed[k], needles, leaves) * (1 + 0.3 * rough)
        stem = np.where(part < 0.7, 0.020 * h + 0.05, -9.0)
        half = np.where((height[k] > 0) & (part < 1), np.maximum(crown, stem), -9.0)
        inside = half - np.abs(across)
        wins = inside > best
        best = np.where(wins, inside, best)
        shade = np.where(wins, across / np.maximum(half, 0.1), shade)
        owner_tone = np.where(wins, u[5, k], owner_tone)
        trunk = np.where(wins, crown < stem, trunk)
    cover = edge(best, side) * edge(view.elevation[rows] - foot, view.pixel)

    away = view.azimuth - light.azimuth
    leaf = noise(cell * 9, above / 0.45 + 7 * order, 9 * count)
    if view.finer:
        leaf = 0.65 * leaf + 0.5 * noise(cell * 23, above / 0.18 + 3 * order, 23 * count)
    facing = 0.48 - 0.25 * np.cos(away) - 0.40 * shade * np.sin(away) + 0.35 * leaf
    green = colour((0.10, 0.24, 0.11)) + owner_tone * colour((0.14, 0.13, 0.02))
    albedo = green * (1 + 0.35 * leaf)
    albedo = np.where(trunk > 0.5, colour((0.24, 0.18, 0.13)) * (1 - 0.3 * shade), albedo)
    if light.sky == "snow":
        albedo = albedo + np.clip(0.42 + 0.9 * leaf, 0, 0.9) * (1 - trunk) * (SNOW - albedo)
    surface = light.lit(albedo, np.clip(facing, 0.03, 1.2))
    blend(image[:, rows], light.veil(surface, distance, horizon), cover)
    stand(depth, view, rows, distance, cover)
