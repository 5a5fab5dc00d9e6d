"""The ground from the feet to the horizon: a plane seen in perspective, its texture fixed to places in the world."""

from __future__ import annotations

import math

import numpy as np

from gan_course.data.landscape.light import Light, colour
from gan_course.data.landscape.rays import EYE, Array, Rays, discs, fractal, noise

SNOW = colour((0.90, 0.92, 0.96))


def draw_ground(
    image: Array,
    view: Rays,
    light: Light,
    land: str,
    horizon: Array,
    ground: np.random.Generator,
    air: np.random.Generator,
) -> None:
    """Fill the lower half of ``image``. ``ground`` decides what stays under every sky, ``air`` what changes with it."""
    shift = 256 * ground.random(2)
    x, z = view.ground_x + float(shift[0]), view.ground_z + float(shift[1])
    if land == "sea":
        surface = _sea(view, light, x, z, ground)
    else:
        surface = light.lit(
            *{"meadow": _meadow, "desert": _desert, "forest": _litter, "mountains": _pasture}[land](
                view, light, x, z, ground
            )
        )
        if light.sky == "clouds":
            drift = 256 * air.random(2)
            shade = noise(x / 19 + float(drift[0]), z / 19 + float(drift[1]))
            surface *= 1 - (0.14 if light.time == "night" else 0.34) * np.clip(0.5 + 1.4 * shade, 0, 1)
        if light.sky == "rain":
            surface += 0.22 * (0.4 + 0.6 * noise(1.3 * x, 1.3 * z)) * (light.away - surface)  # wet: the sky in puddles
    lower = slice(view.height // 2, view.height)
    image[:, lower] = light.veil(surface, view.slant, horizon)
    if land == "meadow" and light.sky != "snow":
        _flowers(image, view, light, x, z, shift, ground)
    elif land in ("mountains", "forest"):
        _stones(image, view, light, land, ground)


def _backlight(view: Rays, light: Light) -> Array:
    """From 0 to 1, how much the light comes from ahead, ``[1, W]``: it shines through blades and off ripples."""
    return (0.5 + 0.5 * np.cos(view.azimuth - light.azimuth))[None] ** 2


def _cover(light: Light, albedo: Array, pattern: Array, share: float) -> Array:
    """Fallen snow over ``albedo``, in drifts along ``pattern``; about ``share`` of the ground."""
    if light.sky != "snow":
        return albedo
    return albedo + np.clip(share + 0.9 * pattern, 0, 0.96) * (SNOW - albedo)


def _meadow(view: Rays, light: Light, x: Array, z: Array, g: np.random.Generator) -> tuple[Array, Array]:
    wide = fractal(x / 9, z / 9, 3, footprint=view.footprint / 9)
    fine = fractal(x * 1.9, z * 1.9, 4 + view.finer, 0.75, 1.9 * view.footprint)
    # blades: as fine across as the picture allows, longer along the ray
    turn = view.azimuth / (2 * math.pi) + 0.5
    along = 9 * np.log(view.reach + 0.4)
    blades = noise(turn * 256, along + float(g.integers(200)), 256) + noise(turn * 100, along * 0.7, 100)
    dry = np.clip(0.4 + 0.8 * wide, 0, 1)
    albedo = colour((0.20, 0.42, 0.10)) + dry * colour((0.30, 0.16, 0.06))
    near = np.clip(view.reach / 0.6, 0.15, 1)
    value = 1 + near * (0.27 * fine + 0.15 * blades)
    facing = 0.62 + 0.3 * _backlight(view, light) + near * (0.3 * fine + 0.15 * blades)
    return _cover(light, albedo * value, 0.6 * fine + wide * 0.5, 0.50), np.clip(facing, 0.1, 1.4)


def _desert(view: Rays, light: Light, x: Array, z: Array, g: np.random.Generator) -> tuple[Array, Array]:
    bend = fractal(x / 6, z / 6, 3, footprint=view.footprint / 6)
    angle = float(g.random()) * math.pi
    across = x * math.cos(angle) + z * math.sin(angle)
    wobble = noise(x / 1.3, z / 1.3)
    # along the ray a pixel covers more than across it, and ripples as fine as that would make rings of their own
    strength = np.clip(0.8 * EYE / (view.pixel * view.slant**2) - 0.6, 0, 1) * np.clip(view.reach / 0.8, 0.1, 1)
    aside = z * math.cos(angle) - x * math.sin(angle)
    streaks = fractal(0.7 * across, 0.25 * aside, 3, 0.8, 0.7 * view.footprint)  # where the wind swept the sand
    ripples = np.sin(across * 6.5 + 9 * bend + 1.3 * wobble) * np.clip(0.45 + 1.1 * bend + 0.5 * wobble, 0, 1.1)
    swell = noise(x / 14 + 0.5, z / 14)
    grain = fractal(4 * x, 4 * z, 3 + view.finer, 0.9, 4 * view.footprint) * np.clip(view.reach / 1.5, 0.15, 1)
    albedo = colour((0.88, 0.66, 0.40)) + 0.5 * (bend + swell) * colour((0.08, 0.11, 0.12))
    albedo = albedo * (1 + 0.09 * grain)
    sideways = math.sin(light.azimuth) * math.cos(angle) + math.cos(light.azimuth) * math.sin(angle)
    steep = 0.24 if abs(sideways) > 0.3 else 0.2
    facing = (
        0.62
        + 0.2 * swell
        + steep * math.copysign(1, sideways) * strength * ripples
        + 0.06 * grain
        + 0.16 * (1 - 0.6 * strength) * streaks
    )
    return _cover(light, albedo, 0.55 * strength * ripples + bend, 0.38), np.clip(facing, 0.05, 1.3)


def _litter(view: Rays, light: Light, x: Array, z: Array, g: np.random.Generator) -> tuple[Array, Array]:
    """Leaves and moss below trees, with spots of light that fell through."""
    moss = fractal(x / 3, z / 3, 3, footprint=view.footprint / 3)
    leaves = fractal(2.2 * x, 2.2 * z, 4 + view.finer, 0.8, 2.2 * view.footprint) * np.clip(view.reach / 0.6, 0.15, 1)
    green = np.clip(0.5 + 0.9 * moss, 0, 1)
    albedo = colour((0.34, 0.25, 0.15)) + green * colour((-0.16, 0.06, -0.06))
    dapples = np.clip(2.2 * (noise(x / 1.7 + 9, z / 1.7) + 0.25 * leaves), 0, 1)
    facing = 0.34 + dapples * (0.75 if light.shine == 1 else 0.35)
    return _cover(light, albedo * (1 + 0.37 * leaves), 0.8 * leaves + 0.3 * moss, 0.48), facing


def _pasture(view: Rays, light: Light, x: Array, z: Array, g: np.random.Generator) -> tuple[Array, Array]:
    """Short grass with gravel between."""
    wide = fractal(x / 6, z / 6, 4, 0.6, view.footprint / 6)
    fine = fractal(2 * x, 2 * z, 4 + view.finer, 0.8, 2 * view.footprint) * np.clip(view.reach / 0.6, 0.15, 1)
    gravel = np.clip(0.30 + 1.2 * wide + 0.35 * fine, 0, 1)
    albedo = colour((0.33, 0.38, 0.19)) + gravel * colour((0.13, 0.07, 0.23))
    facing = 0.6 + 0.15 * wide + 0.33 * fine
    return _cover(light, albedo * (1 + 0.25 * fine), 0.5 * fine + 0.6 * wide, 0.55), np.clip(facing, 0.05, 1.3)


def _sea(view: Rays, light: Light, x: Array, z: Array, g: np.random.Generator) -> Array:
    """Waves that mirror the sky, and on which the sun or moon glitters; ``[3, H/2, W]``.

    Each pixel has a slope: of four long waves, of noise, and of what is too small to see, which differs from place to
    place. The mirrored ray of that slope meets the sky (Cox and Munk 1954 took the sea's slopes from such glitter).
    """
    lower = slice(view.height // 2, view.height)
    wind = float(g.random()) * 2 * math.pi
    rough = 0.7 + 0.6 * float(g.random())
    east, north = np.zeros_like(x), np.zeros_like(x)
    for length, steep in ((17.0, 0.05), (8.0, 0.06), (3.7, 0.07), (1.9, 0.07)):
        heading = wind + 0.9 * float(g.random() - 0.5)
        a, b = math.sin(heading), math.cos(heading)
        k = 2 * math.pi / length
        phase = k * (a * x + b * z) + 1.6 * noise(x / (2.2 * length), z / (2.2 * length) + length)
        wave = steep * rough * np.cos(phase) * np.clip(1.2 * length / view.footprint - 1, 0.0, 1.0)
        east += a * wave
        north += b * wave
    near = np.clip(view.reach / 1.5, 0.1, 1)
    ripple = near * 0.10 * rough
    east += ripple * fractal(1.7 * x, 1.7 * z, 3 + view.finer, 0.8)
    north += ripple * fractal(1.7 * z + 70, 1.7 * x + 31, 3 + view.finer, 0.8)
    vx, vy, vz = view.x[lower], view.y[lower], view.z[lower]
    facing = np.minimum(vy - east * vx - north * vz, -0.02)  # against the normal (-east, 1, -north)
    rx, ry, rz = vx + 2 * facing * east, vy - 2 * facing, vz + 2 * facing * north
    cosine = light.cosine(rx, ry, rz)
    mirrored = light.gradient(np.maximum(ry, 0.03), cosine)
    depth = colour(
        {
            "dawn": (0.20, 0.36, 0.46),
            "noon": (0.03, 0.24, 0.42),
            "dusk": (0.09, 0.09, 0.20),
            "night": (0.010, 0.022, 0.055),
        }[light.time]
    )
    if light.sky in ("fog", "rain", "snow"):
        depth = 0.6 * depth + 0.25 * light.away
    rest = np.clip(1 + facing, 0, 1)
    fresnel = 0.05 + 0.90 * rest * rest * rest
    water = depth * np.clip(1 + 1.8 * (east + north), 0.5, 1.6) + fresnel * (mirrored - depth)
    water += 0.45 * np.exp(9 * (cosine - 1)) * (light.glow - water) * min(1.0, 0.35 + light.shine)
    sparkle = np.clip(1.25 * np.exp(90 * (cosine - 1)), 0, 1) * (0.25 + 0.75 * light.shine) * near
    water += sparkle * (light.disc - water)
    return water


def _flowers(
    image: Array, view: Rays, light: Light, x: Array, z: Array, shift: np.ndarray, g: np.random.Generator
) -> None:
    count = 620
    u = g.random((5, count)).astype(np.float32)
    reach = np.sort(np.exp(u[0] * math.log(45 / 2.0)) * 2.0)[::-1]  # far ones first; as dense at every distance
    azimuth = (2 * u[1] - 1) * math.pi
    east, north = reach * np.sin(azimuth), reach * np.cos(azimuth)
    patch = noise((east + float(shift[0])) / 5 + 40, (north + float(shift[1])) / 5)
    tones = np.array([(0.98, 0.96, 0.92), (0.99, 0.84, 0.16), (0.90, 0.20, 0.20), (0.66, 0.42, 0.86)], dtype=np.float32)
    favourite = g.integers(4, size=2)
    tone = tones[np.where(u[2] < 0.8, favourite[(patch > 0.1).astype(int)], (u[2] * 97 % 4).astype(int))].T
    height = 0.15 + 0.2 * u[3]
    elevation = -np.arctan((EYE - height) / reach)
    light_on = (light.scattered + 0.75 * light.direct)[:, :, 0]
    strength = np.clip(0.55 + 1.5 * patch, 0, 1) * np.exp(-reach / light.sight)
    discs(image, view, azimuth, elevation, (0.03 + 0.03 * u[4]) / reach + 0.003, tone * light_on, strength)


def _stones(image: Array, view: Rays, light: Light, land: str, g: np.random.Generator) -> None:
    """Boulders on a pasture, ferns in a forest."""
    count = 160 if land == "mountains" else 420
    u = g.random((4, count)).astype(np.float32)
    reach = np.sort(np.exp(u[0] * math.log(10)) * 4.0)[::-1]
    size = (0.03 + 0.12 * u[1] ** 3) if land == "mountains" else (0.03 + 0.06 * u[1])
    azimuth = (2 * u[2] - 1) * math.pi
    tone = colour((0.50, 0.49, 0.48) if land == "mountains" else (0.22, 0.42, 0.12))[:, :, 0]
    if light.sky == "snow":
        tone = 0.4 * tone + 0.6 * SNOW[:, :, 0]
    light_on = (light.scattered + 0.8 * light.direct)[:, :, 0]
    clear = np.exp(-reach / light.sight)
    for lift, shade in ((-0.25, 0.45), (0.25, 1.0)):  # its shaded foot, then its lit top
        elevation = -np.arctan((EYE - size * (0.6 + lift)) / reach)
        colours = tone * light_on * (shade * (0.75 + 0.5 * u[3]))
        discs(image, view, azimuth, elevation, (0.8 if lift > 0 else 1.0) * size / reach, colours, 0.85 * clear)
