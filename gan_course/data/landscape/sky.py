"""What is in the sky: stars, clouds on a plane above, rain and snow before the eye."""

from __future__ import annotations

import math

import numpy as np

from gan_course.data.landscape.light import Light, colour
from gan_course.data.landscape.rays import Array, Rays, blend, discs, fractal, noise

CLOUDS = {  # colour in the light and in the shade
    "dawn": ((1.00, 0.86, 0.76), (0.66, 0.60, 0.74)),
    "noon": ((1.00, 1.00, 1.00), (0.62, 0.69, 0.80)),
    "dusk": ((1.00, 0.50, 0.30), (0.26, 0.17, 0.32)),
    "night": ((0.30, 0.35, 0.47), (0.055, 0.075, 0.14)),
}


def draw_stars(image: Array, view: Rays, light: Light, g: np.random.Generator) -> None:
    """A few hundred stars of different brightness, and the band of the Milky Way."""
    axis = g.normal(size=3)
    a, b, c = (axis / np.linalg.norm(axis)).tolist()
    half = slice(0, view.height // 2)
    x, y, z = view.x[half], view.y[half], view.z[half]
    shift = float(g.integers(200))
    cloudy = fractal(5 * x + shift, 5 * z + 5 * y, 3) * 0.5 + 0.6
    band = np.exp(-12 * (a * x + b * y + c * z) ** 2) * np.clip(cloudy, 0, 1.2) * np.clip(3 * y, 0, 1)
    image[:, half] += band * colour((0.11, 0.11, 0.16))

    count = view.share(170, 1_000)
    u = g.random((1_000, 5)).astype(np.float32)[:count].T
    elevation = np.arcsin(u[0] * 0.93)
    azimuth = (2 * u[1] - 1) * math.pi
    bright = 0.12 + 0.88 * u[2] ** 3
    if light.sky == "clouds":
        bright = bright * 0.8
    bright = bright * np.clip(elevation * 9, 0, 1)
    tint = np.stack([0.8 + 0.2 * u[3], 0.88 + 0.08 * u[4], 1.0 - 0.2 * u[3]])
    discs(image, view, azimuth, elevation, 0.002 + 0.005 * bright, tint, np.minimum(1, 1.3 * bright + 0.1))


def draw_clouds(image: Array, view: Rays, light: Light, cosine: Array, g: np.random.Generator) -> Array:
    """Clouds on a plane, so that they shrink toward the horizon; returns how much they cover, ``[H/2, W]``."""
    half = slice(0, view.height // 2)
    above = 1 / (view.y[half] + 0.11)
    scale = 1.5 + 0.7 * float(g.random())
    x = view.x[half] * above * scale + float(g.integers(256)) + float(g.random())
    z = view.z[half] * above * scale + float(g.integers(256)) + float(g.random())
    mist = scale * view.pixel * above**2 * 0.5
    thick = fractal(x, z, 5 + view.finer, 0.55, mist)
    a, _, c = light.towards
    behind = fractal(x + 0.35 * a, z + 0.35 * c, 3, 0.55, mist)  # what stands between here and the sun
    overcast = light.sky in ("rain", "snow")
    low = -0.9 if overcast else -0.12 - 0.25 * float(g.random())
    cover = np.clip((thick - low) / (1.1 if overcast else 0.5), 0, 1)
    bright = np.clip(0.55 + 0.75 * (thick - behind) - 0.25 * np.clip(thick - 0.3, 0, 1), 0, 1)
    lit, shade = (colour(values) for values in CLOUDS[light.time])
    if overcast:
        base = light.middle * (0.72 if light.sky == "rain" else 0.9)
        tone = base + bright * (light.middle * 1.18 - base)
        cover = cover * 0.75
    else:
        side = (0.5 + 0.5 * cosine[half]) ** 2
        lit = lit + (1 - side) * (0.55 if light.time in ("dawn", "dusk") else 0.2) * (light.away - lit)
        tone = shade + bright * (lit - shade)
    tone = tone + 0.9 * light.halo(cosine[half]) * (light.glow - tone)
    fade = np.clip(9 * view.y[half] - 0.15, 0, 1)  # the farthest ones drown in haze
    cover = cover * fade
    blend(image[:, half], tone, 0.94 * cover)
    return cover


def draw_fog(image: Array, view: Rays, light: Light, g: np.random.Generator) -> None:
    """Banks of fog that drift along the horizon."""
    rows = view.rows(-0.25, 0.6)
    turn = view.azimuth / (2 * math.pi) + 0.5
    y = view.elevation[rows] * 9 + float(g.integers(256))
    bank = noise(turn * 8, y, 8) + 0.6 * noise(turn * 20, 2.3 * y, 20) + 0.35 * noise(turn * 44, 5 * y, 44)
    lying = np.exp(-((view.elevation[rows] - 0.04) ** 2) / 0.035)
    cover = np.clip(0.28 + 0.3 * bank, 0, 0.75) * lying
    blend(image[:, rows], light.horizon(view) * 1.03, cover)


def draw_rain(image: Array, view: Rays, light: Light, g: np.random.Generator) -> None:
    """Slanting streaks, near and far, a pixel wide."""
    count = view.share(420, 2_400)
    u = g.random((2_400, 4)).astype(np.float32)[:count].T
    lean = 0.32 * (float(g.random()) - 0.5)
    pale = (0.5 * light.middle + 0.5 * light.away + (0.14 if light.time == "night" else 0.22))[:, :, 0]
    elevation = np.arcsin(1.8 * u[0] - 0.9)
    length = (0.06 + 0.16 * u[2] ** 2) * np.cos(elevation)
    rows = math.ceil(float(length.max()) / view.pixel) + 1
    step = np.arange(rows, dtype=np.float32)[None]
    i = np.floor((math.pi / 2 - elevation) / view.pixel)[:, None] + step
    j = (u[1] * view.width)[:, None] + lean * step / np.cos(elevation)[:, None]
    left = np.floor(j)
    strength = (0.16 + 0.34 * u[3])[:, None] * np.clip(length[:, None] / view.pixel - step, 0, 1) * (i < view.height)
    line = np.minimum(i, view.height - 1).astype(np.int32) * view.width
    flat = image.reshape(3, -1)
    for column, share in ((left, 1 - (j - left)), (left + 1, j - left)):
        place = (line + column.astype(np.int32) % view.width).reshape(-1)
        under = flat[:, place]
        flat[:, place] = under + (strength * share).reshape(-1) * (pale - under)


def draw_snow(image: Array, view: Rays, light: Light, g: np.random.Generator) -> None:
    """Flakes at many distances: many small ones, a few large ones."""
    count = view.share(220, 1_000)
    u = g.random((1_000, 4)).astype(np.float32)[:count].T
    elevation = np.arcsin(1.64 * u[0] - 0.82)
    size = 0.004 + 0.016 * u[2] ** 3
    white = {"dawn": (1, 0.96, 0.95), "noon": (1, 1, 1), "dusk": (0.93, 0.80, 0.84), "night": (0.62, 0.68, 0.80)}
    tone = np.broadcast_to(np.array(white[light.time], dtype=np.float32)[:, None], (3, count))
    discs(image, view, (2 * u[1] - 1) * math.pi, elevation, size, tone, 0.35 + 0.55 * u[3])
