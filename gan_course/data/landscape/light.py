"""The colours of the hour and the weather: sky gradient, sun or moon with its glow, haze, and light on surfaces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gan_course.data.landscape.rays import Array, Rays, edge

HEADINGS = {"north": 0.0, "east": math.pi / 2, "south": math.pi, "west": -math.pi / 2}  # azimuth in radians
WANDER = math.radians(19)  # how far sun, moon and things stray from the named direction

# sRGB in 0..1: the sky overhead, half way, at the horizon below the sun and opposite to it; direct and scattered light.
PALETTES = {
    "dawn": {
        "zenith": (0.42, 0.57, 0.86),
        "middle": (0.86, 0.74, 0.86),
        "toward": (1.00, 0.86, 0.58),
        "away": (0.95, 0.74, 0.78),
        "disc": (1.00, 0.97, 0.84),
        "glow": (1.00, 0.86, 0.62),
        "direct": (0.62, 0.46, 0.32),
        "scattered": (0.47, 0.44, 0.50),
    },
    "noon": {
        "zenith": (0.10, 0.33, 0.76),
        "middle": (0.30, 0.58, 0.92),
        "toward": (0.80, 0.90, 0.96),
        "away": (0.70, 0.85, 0.96),
        "disc": (1.00, 1.00, 0.94),
        "glow": (1.00, 0.97, 0.86),
        "direct": (0.62, 0.58, 0.50),
        "scattered": (0.46, 0.50, 0.54),
    },
    "dusk": {
        "zenith": (0.10, 0.11, 0.32),
        "middle": (0.44, 0.20, 0.44),
        "toward": (1.00, 0.48, 0.16),
        "away": (0.46, 0.26, 0.44),
        "disc": (1.00, 0.84, 0.46),
        "glow": (1.00, 0.40, 0.12),
        "direct": (0.66, 0.32, 0.13),
        "scattered": (0.26, 0.22, 0.33),
    },
    "night": {
        "zenith": (0.018, 0.032, 0.100),
        "middle": (0.040, 0.075, 0.190),
        "toward": (0.13, 0.18, 0.31),
        "away": (0.065, 0.095, 0.20),
        "disc": (0.97, 0.97, 0.90),
        "glow": (0.42, 0.50, 0.70),
        "direct": (0.24, 0.30, 0.40),
        "scattered": (0.13, 0.17, 0.27),
    },
}
HEIGHTS = {"dawn": (9, 16), "noon": (42, 54), "dusk": (5, 10), "night": (32, 44)}  # of sun or moon, in degrees
# What a sky does: (how far one sees in metres, how grey it makes the sky, how bright that grey is, how much direct
# light comes through, how much of the disc can be seen)
WEATHER = {
    "clear": (520.0, 0.00, 1.00, 1.00, 1.00),
    "clouds": (420.0, 0.00, 1.00, 0.85, 1.00),
    "fog": (62.0, 0.72, 0.98, 0.35, 0.95),
    "rain": (170.0, 0.80, 0.66, 0.25, 0.35),
    "snow": (190.0, 0.80, 1.02, 0.45, 0.55),
}


def colour(values: tuple[float, ...]) -> Array:
    return np.array(values, dtype=np.float32)[:, None, None]


@dataclass(frozen=True)
class Light:
    """One hour and weather. Colours are ``[3, 1, 1]``, ``towards`` is the unit vector to the sun or moon."""

    time: str
    sky: str
    azimuth: float
    elevation: float
    towards: tuple[float, float, float]
    zenith: Array
    middle: Array
    toward: Array
    away: Array
    disc: Array
    glow: Array
    direct: Array
    scattered: Array
    sight: float
    shine: float
    radius: float

    def cosine(self, x: Array, y: Array, z: Array) -> Array:
        """The cosine of the angle between a direction and the sun or moon."""
        a, b, c = self.towards
        return a * x + b * y + c * z

    def gradient(self, y: Array, cosine: Array) -> Array:
        """The sky without disc, glow and clouds, ``[3, ...]``, in directions of height ``y``."""
        rise = np.clip(y, 0, 1)
        flat = self.time in ("dawn", "dusk")
        low = np.exp(-(4.0 if flat else 7.0) * rise)  # the band above the horizon
        high = np.clip(1.2 * rise, 0, 1) ** (1.2 if flat else 0.8)
        side = (0.5 + 0.5 * cosine) ** 2
        base = self.middle + high * (self.zenith - self.middle)
        horizon = self.away + side * (self.toward - self.away)
        return base + low * (horizon - base)

    def halo(self, cosine: Array) -> Array:
        """How strongly the glow around sun or moon shines, in [0, 1]."""
        wide, near = {"dawn": (5, 40), "noon": (9, 70), "dusk": (4, 32), "night": (14, 70)}[self.time]
        strength = 0.42 if self.sky in ("clear", "clouds") else 0.62
        return strength * np.exp(wide * (cosine - 1)) + 0.4 * np.exp(near * (cosine - 1))

    def horizon(self, view: Rays) -> Array:
        """The colour that distance fades into, ``[3, 1, W]``."""
        y = np.full((1, 1), 0.05, dtype=np.float32)
        cosine = self.cosine(np.sin(view.azimuth)[None], y, np.cos(view.azimuth)[None])
        sky = self.gradient(y, cosine)
        return sky + 0.7 * self.halo(cosine) * (self.glow - sky)

    def veil(self, surface: Array, distance: Array | float, horizon: Array) -> Array:
        """``surface`` ``[3, h, w]`` seen through ``distance`` metres of air."""
        clear = np.exp(np.asarray(-distance / self.sight, dtype=np.float32))
        return horizon + clear * (surface - horizon)

    def lit(self, albedo: Array, facing: Array | float = 0.6) -> Array:
        """The colour of a surface that ``facing`` (0: turned away, 1: straight on) meets the direct light."""
        return albedo * (self.scattered + facing * self.direct)


def make_light(time: str, sky: str, heading: str, g: np.random.Generator) -> Light:
    """The light of a time, a sky and a direction of the sun or moon; small differences come from ``g``."""
    sight, grey, bright, through, disc = WEATHER[sky]
    low, high = HEIGHTS[time]
    u = g.random(8).tolist()
    elevation = math.radians(low + (high - low) * u[0])
    azimuth = HEADINGS[heading] + WANDER * (2 * u[1] - 1)
    flat = math.cos(elevation)
    tones = {name: colour(values) for name, values in PALETTES[time].items()}
    tint = 1 + 0.05 * (np.array(u[2:5], dtype=np.float32)[:, None, None] - 0.5)
    mean = (tones["middle"] + tones["toward"] + 2 * tones["away"]) / 4
    plain = mean.mean() * np.ones_like(mean)
    bright *= {"dawn": 0.9, "noon": 1.0, "dusk": 1.0, "night": 1.7 if sky == "fog" else 1.35}[
        time
    ]  # so that the glow shows against it
    veil = bright * (0.45 * mean + 0.55 * plain)  # what cloud and fog make of the light: paler than the sky
    for name in ("zenith", "middle", "toward", "away"):
        keep = grey * (0.8 if name == "toward" else 1)
        tones[name] = (tones[name] + keep * (veil - tones[name])) * tint
    tones["direct"] = tones["direct"] * through
    tones["scattered"] = tones["scattered"] * (0.86 if sky == "rain" else 1.0 + 0.25 * (1 - through))
    return Light(
        time=time,
        sky=sky,
        azimuth=azimuth,
        elevation=elevation,
        towards=(flat * math.sin(azimuth), math.sin(elevation), flat * math.cos(azimuth)),
        sight=sight * (0.85 + 0.3 * u[5]),
        shine=disc,
        radius=0.062 if time == "night" else 0.052,
        **tones,
    )


def draw_sky(view: Rays, light: Light) -> tuple[Array, Array]:
    """The empty sky with its sun or moon, ``[3, H, W]``, and the cosine to that ``[H, W]``.

    Below the horizon it goes on as haze, which shows where the ground is far away.
    """
    cosine = light.cosine(view.x, view.y, view.z)
    sky = light.gradient(view.y, cosine)
    halo = light.halo(cosine)
    sky += halo * (light.glow - sky)
    return sky, cosine


def draw_disc(image: Array, view: Rays, light: Light, cosine: Array, cover: Array | float = 0.0) -> None:
    """The sun or the moon itself, behind clouds that hide ``cover`` of it."""
    rows = view.rows(light.elevation - 2 * light.radius, light.elevation + 2 * light.radius)
    rows = slice(rows.start, min(rows.stop, view.height // 2))
    angle = np.arccos(np.clip(cosine[rows], -1, 1))
    disc = edge(light.radius - angle, view.pixel) * light.shine
    if not isinstance(cover, float):
        disc *= 1 - 0.45 * cover[rows]
    if light.time == "night":  # a few dark seas on the moon
        disc *= 0.9 + 0.1 * np.sin(60 * view.x[rows] + 1.0) * np.sin(55 * view.y[rows])
    image[:, rows] += disc * (light.disc - image[:, rows])
