"""The one thing in the scene, at its azimuth and distance, drawn in metres on an upright plane that faces the eye."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gan_course.data.landscape.ground import SNOW
from gan_course.data.landscape.light import HEADINGS, WANDER, Light, colour
from gan_course.data.landscape.rays import EYE, Array, Rays, edge, noise

DISTANCES = {"lighthouse": (36.0, 48.0), "tree": (11.5, 15.5), "tent": (7.5, 10.0), "balloon": (29.0, 39.0)}


@dataclass(frozen=True)
class Thing:
    """``name`` stands at ``azimuth`` (radians) and ``distance`` (metres); ``chance`` ``[16]`` decides its details."""

    name: str
    azimuth: float
    distance: float
    chance: tuple[float, ...]

    @property
    def clearing(self) -> tuple[float, float]:
        """The azimuth and half angle in which nothing may stand before it."""
        return self.azimuth, {"lighthouse": 0.22, "tree": 0.50, "tent": 0.45, "balloon": 0.40}[self.name]


def make_thing(name: str, heading: str, g: np.random.Generator) -> Thing:
    u = g.random(18).tolist()
    low, high = DISTANCES[name]
    azimuth = HEADINGS[heading] + WANDER * (2 * u[0] - 1)
    return Thing(name, azimuth, low + (high - low) * u[1], tuple(u[2:]))


@dataclass(frozen=True)
class Easel:
    """The part of a panorama that a thing may cover: ``across`` ``[1, w]`` and ``above`` ``[h, 1]`` are metres from its
    foot, ``side`` is a pixel's. ``sunward`` is positive where the light comes from the right, ``front`` where it comes
    from behind the eye."""

    across: Array
    above: Array
    side: float
    sunward: float
    front: float
    light: Light

    def cover(self, inside: Array) -> Array:
        return edge(inside, self.side)


Layer = tuple[Array, Array]  # colour and cover


def draw_thing(image: Array, depth: Array, view: Rays, light: Light, land: str, thing: Thing, horizon: Array) -> None:
    """Draw ``thing`` into ``image`` ``[3, H, W]`` and ``depth`` ``[H, W]``."""
    wide, tall = {"lighthouse": (0.45, 40.0), "tree": (0.55, 13.0), "tent": (0.42, 4.0), "balloon": (0.40, 60.0)}[
        thing.name
    ]
    middle = round((thing.azimuth + math.pi) / view.pixel - 0.5)
    reach = math.ceil(wide / view.pixel)
    columns = np.arange(middle - reach, middle + reach + 1)
    across = ((columns + 0.5) * view.pixel - math.pi - thing.azimuth).astype(np.float32)[None] * thing.distance
    columns = columns % view.width
    rows = view.rows(-math.atan(EYE / thing.distance) - 0.03, math.atan((tall - EYE) / thing.distance))
    above = EYE + thing.distance * np.tan(view.elevation[rows])
    away = thing.azimuth - light.azimuth
    easel = Easel(across, above, view.pixel * thing.distance, -math.sin(away), -math.cos(away), light)
    layers: list[Layer] = []
    if land == "sea" and thing.name != "balloon":
        layers += _island(easel, thing)
    layers += {"lighthouse": _lighthouse, "tree": _tree, "tent": _tent, "balloon": _balloon}[thing.name](easel, thing)
    part = image[:, rows][:, :, columns]
    solid = depth[rows][:, columns]
    air = horizon[:, :, columns]
    for tone, cover in layers:
        part += cover * (light.veil(tone, 0.6 * thing.distance, air) - part)
        solid = np.where(cover > 0.5, thing.distance / np.cos(view.elevation[rows]), solid)
    if thing.name == "lighthouse" and light.time in ("night", "dusk"):
        part += _beam(easel, thing) * (colour((1.0, 0.93, 0.70)) - part)
    image[:, rows, columns] = part
    depth[rows, columns] = solid


def _rounded(easel: Easel, tone: Array, inside: Array | float, floor: float = 0.1) -> Array:
    """``tone`` lit as an upright cylinder is, at the place ``inside`` from -1 (left edge) to 1 (right edge)."""
    bulge = np.sqrt(np.clip(1 - np.square(inside), 0, 1))
    facing = 0.35 + 0.55 * easel.sunward * inside + 0.35 * easel.front * bulge
    return easel.light.lit(tone, np.clip(facing, floor, 1.2))


def _snowed(easel: Easel, tone: Array, share: Array | float) -> Array:
    return tone + share * (SNOW - tone) if easel.light.sky == "snow" else tone


def _island(easel: Easel, thing: Thing) -> list[Layer]:
    half, top = {"lighthouse": (13.0, 3.6), "tree": (5.5, 1.3), "tent": (4.2, 0.75)}[thing.name]
    rough = noise(easel.across * 5 / half + 40, easel.above * 4 / top + 90 * thing.chance[3])
    inside = top * np.sqrt(np.clip(1 - (easel.across / half) ** 2, 0, 1)) * (1 + 0.35 * rough) - easel.above
    stone = colour((0.44, 0.40, 0.36)) * (1 + 0.3 * rough)
    grass = np.clip(3 * (easel.above / top - 0.45 + 0.3 * rough), 0, 1)
    if thing.name != "lighthouse":
        stone = stone + grass * (colour((0.27, 0.42, 0.14)) - stone)
    stone = _snowed(easel, stone, grass)
    foot = edge(easel.above + 0.05 * top, easel.side)
    return [(_rounded(easel, stone, np.clip(easel.across / half, -1, 1)), easel.cover(inside) * foot)]


def _lighthouse(easel: Easel, thing: Thing) -> list[Layer]:
    x, y = easel.across, easel.above
    base = 2.5
    tall = 25 + 5 * thing.chance[0]
    share = np.clip((y - base) / tall, 0, 1)
    half = 3.6 - 1.5 * share
    stripes = 4.0 + (thing.chance[1] > 0.5)
    red = np.clip(np.sin(2 * math.pi * (share * stripes / 2 + 0.25 * (thing.chance[2] > 0.5))) * 8 + 0.5, 0, 1)
    tone = colour((0.96, 0.95, 0.92)) + red * (colour((0.82, 0.12, 0.10)) - colour((0.96, 0.95, 0.92)))
    night = easel.light.time in ("night", "dusk") or easel.light.sky in ("fog", "rain")
    tower = np.minimum(half - np.abs(x), np.minimum(y - base + 2.5, base + tall - y))
    gallery = np.minimum(3.1 - np.abs(x), 0.7 - np.abs(y - base - tall))
    room = np.minimum(1.8 - np.abs(x), 1.9 - np.abs(y - base - tall - 2.2))
    dome = np.minimum(
        2.2 - np.abs(x) - 0.9 * (y - base - tall - 4.0), np.minimum(y - base - tall - 3.9, base + tall + 6.6 - y)
    )
    lamp = colour((1.0, 0.94, 0.66)) * (1.0 if night else 0.85)
    dark = colour((0.18, 0.18, 0.20))
    floor = 0.35 if easel.light.time == "night" else 0.12
    return [
        (
            _rounded(easel, tone, np.clip(x / half, -1, 1), floor) * (1.35 if easel.light.time == "night" else 1.08),
            easel.cover(tower),
        ),
        (easel.light.lit(dark), easel.cover(gallery)),
        (lamp, easel.cover(room)),
        (_rounded(easel, _snowed(easel, colour((0.72, 0.12, 0.10)), 0.5), np.clip(x / 2.2, -1, 1)), easel.cover(dome)),
    ]


def _beam(easel: Easel, thing: Thing) -> Array:
    """Two cones of light from the lamp, and its shine."""
    x, y = easel.across, easel.above - (2.5 + 25 + 5 * thing.chance[0] + 2.2)
    tilt = 0.15 * (thing.chance[4] - 0.5)
    spread = 0.5 + 0.075 * np.abs(x)
    reach = np.clip(1 - np.abs(x) / (0.44 * thing.distance), 0, 1)
    cone = np.exp(-(((y - tilt * x) / spread) ** 2)) * reach**1.5
    shine = np.exp(-(x**2 + y**2) / 14)
    return np.clip((0.55 if easel.light.time == "night" else 0.35) * cone + 0.6 * shine, 0, 1)


def _tree(easel: Easel, thing: Thing) -> list[Layer]:
    x, y, u = easel.across, easel.above, thing.chance
    tall = 8.5 + 2.0 * u[0]
    tones = ((0.93, 0.62, 0.72), (0.88, 0.46, 0.12), (0.80, 0.20, 0.13), (0.95, 0.78, 0.22))  # blossom, autumn
    tone = colour(tones[int(u[1] * 4)])
    trunk = 0.42 - 0.02 * y - np.abs(x - 0.25 * np.sin(0.5 * y + 6 * u[2]))
    trunk = np.minimum(trunk, np.minimum(0.7 * tall - y, y + 0.4))
    layers = [(_rounded(easel, colour((0.27, 0.19, 0.14)), np.clip(x / 0.4, -1, 1)), easel.cover(trunk))]
    rough = noise(x * 1.5 + 50, y * 1.5 + 80 * u[3])
    fine = noise(x * 3.4 + 90, y * 3.4 + 60 * u[4])
    if easel.side < 0.2:
        fine = 0.7 * fine + 0.6 * noise(x * 8.3 + 20, y * 8.3 + 60 * u[4])
    crown: Array = np.full((y.shape[0], x.shape[1]), -9.0, dtype=np.float32)
    lean: Array = np.zeros_like(crown)
    for i in range(7):
        angle = 2 * math.pi * i / 6 + u[5] + 0.5 * u[6 + i % 8]
        ring = 0.0 if i == 6 else 1.0
        cx = ring * 1.75 * math.cos(angle)
        cy = 0.66 * tall + ring * 1.45 * math.sin(angle)
        radius = 1.75 + 0.5 * u[6 + (i + 3) % 8] + (0.5 if i == 6 else 0)
        inside = radius - np.hypot(x - cx, y - cy)
        lean = np.where(inside > crown, (x - cx) / radius * easel.sunward + 0.7 * (y - cy) / radius, lean)
        crown = np.maximum(crown, inside)
    crown = crown + 0.45 * rough + 0.3 * fine
    through = 0.2 * abs(easel.front)  # leaves before the light let it shine through
    facing = np.clip(0.55 + 0.35 * lean + through + 0.40 * rough + 0.35 * fine, 0.18, 1.25)
    leaves = _snowed(easel, tone * (1 + 0.25 * fine), np.clip(0.15 + 0.5 * lean + 0.3 * fine, 0, 0.55))
    layers.append((easel.light.lit(leaves, facing), easel.cover(crown)))
    return layers


def _tent(easel: Easel, thing: Thing) -> list[Layer]:
    x, y, u = easel.across, easel.above, thing.chance
    tall, half = 2.7 + 0.3 * u[0], 2.3 + 0.3 * u[1]
    tones = ((0.92, 0.36, 0.10), (0.86, 0.16, 0.16), (0.16, 0.40, 0.82), (0.94, 0.72, 0.12))
    tone = colour(tones[int(u[2] * 4)])
    flip = 1 if u[3] > 0.5 else -1
    x = x * flip
    slope = np.where(y < tall, half * (1 - y / tall), -9.0)
    whole = np.minimum(np.minimum(slope - x, slope + x), y + 0.15)
    # the front takes the left half; a fold parts it from the longer side
    fold = -0.25 * half + 0.22 * (tall - y)
    front = np.minimum(whole, fold - x)
    door = np.minimum(np.minimum(0.34 * (tall * 0.78 - y) - np.abs(x + 0.42 * half - 0.1 * y), y + 0.1), whole)
    sun = easel.sunward * flip
    glow = {"night": 1.0, "dusk": 0.7, "dawn": 0.25, "noon": 0.0}[easel.light.time]
    warm = colour((1.0, 0.62, 0.24))
    stripes = 1 + 0.06 * np.sin(9 * x + 2 * y)
    inner = glow * (0.45 + 0.4 * np.clip(1 - y / tall, 0, 1)) * tone * colour((1.2, 1.0, 0.7))
    side = easel.light.lit(tone * stripes, np.clip(0.5 + 0.5 * sun + 0.2 * easel.front, 0.1, 1.2)) + inner
    lit_front = easel.light.lit(tone * 0.8, np.clip(0.4 - 0.5 * sun + 0.3 * easel.front, 0.1, 1.2)) + inner
    side = np.clip(
        _snowed(easel, side, np.clip(1.5 * y / tall - 0.6, 0, 0.6) * (0.35 + 0.65 * (easel.light.time != "night"))),
        0,
        1,
    )
    inside = easel.light.lit(colour((0.16, 0.12, 0.10))) + glow * (warm - 0.1)
    return [
        (side, easel.cover(whole)),
        (np.clip(lit_front, 0, 1), easel.cover(front)),
        (np.clip(inside, 0, 1), easel.cover(door)),
    ]


def _balloon(easel: Easel, thing: Thing) -> list[Layer]:
    x, u = easel.across, thing.chance
    radius = 7.6 + 1.2 * u[0]
    centre = 19.5 + 5 * u[1]
    y = easel.above - centre
    tones = np.array(
        ((0.90, 0.14, 0.14), (0.98, 0.76, 0.12), (0.12, 0.42, 0.86), (0.97, 0.96, 0.92), (0.93, 0.44, 0.10))
    )
    first = int(u[2] * 5)
    second = (first + 1 + int(u[3] * 4)) % 5
    # round above, drawn in below to the mouth
    lower = np.clip(-y / (1.45 * radius), 0, 1)
    half = np.where(y > 0, np.sqrt(np.clip(radius**2 - y**2, 0, None)), radius * (1 - lower**2.2) * 1.0)
    envelope = np.minimum(half - np.abs(x), np.minimum(y + 1.35 * radius, radius - y))
    round_ = np.clip(x / np.maximum(half, 0.3), -1, 1)
    gore = np.clip(6 * np.sin(7 * np.arcsin(round_) + 6 * u[4]) + 0.5, 0, 1)
    tone = colour(tuple(tones[first])) + gore * (colour(tuple(tones[second])) - colour(tuple(tones[first])))
    glow = {"night": 0.75, "dusk": 0.5, "dawn": 0.12, "noon": 0.0}[easel.light.time]
    burn = glow * np.exp(-((y + 0.9 * radius) ** 2 + x**2) / (1.6 * radius) ** 2)
    lit = _rounded(easel, tone, round_, 0.2) + burn * tone * colour((1.1, 0.85, 0.5)) * 1.2
    if easel.light.time == "night":
        lit = lit + 0.16 * tone
    basket = np.minimum(1.0 - np.abs(x), 0.9 - np.abs(y + 1.35 * radius + 2.6))
    ropes = np.minimum(0.22 - np.abs(np.abs(x) - 0.9), np.minimum(-1.35 * radius - y, y + 1.35 * radius + 2.6))
    return [
        (easel.light.lit(colour((0.30, 0.22, 0.16))), easel.cover(ropes)),
        (easel.light.lit(colour((0.42, 0.28, 0.16))), easel.cover(basket)),
        (np.clip(lit, 0, 1), easel.cover(envelope)),
    ]
