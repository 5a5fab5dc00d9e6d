"""Where each pixel of an equirectangular panorama looks, and random texture to put there.

The panorama's middle column looks north, and east is to the right of it, so that the left and right edges meet in the
south. ``x`` points east, ``y`` up and ``z`` north. Whatever is computed from these directions, or from the place where
they meet a plane, has no seam and no pole; only what is drawn in columns has to be made periodic, as ``noise`` is.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # float32 throughout: NumPy's own types can't follow it through arithmetic

EYE = 2.5  # metres above the ground
FAR = 300.0  # metres: the depth of the sky, and the farthest that anything may be
ROWS = 256  # of the noise lattice


@dataclass(frozen=True)
class Rays:
    """The geometry of a panorama of ``height`` × ``2 height`` pixels; angles in radians, lengths in metres.

    ``azimuth`` ``[W]`` from -π to π, 0 is north; ``elevation`` ``[H, 1]`` from π/2 down to -π/2; ``x`` and ``z``
    ``[H, W]`` and ``y`` ``[H, 1]`` the unit direction. Of the lower half only: ``reach`` ``[H/2, 1]`` the
    distance along the ground, ``slant`` ``[H/2, 1]`` from the eye, ``ground_x`` and ``ground_z`` ``[H/2, W]`` the
    place on the ground, ``footprint`` ``[H/2, 1]`` the mean of a pixel's two sides there.
    """

    height: int
    pixel: float
    azimuth: Array
    elevation: Array
    x: Array
    y: Array
    z: Array
    reach: Array
    slant: Array
    ground_x: Array
    ground_z: Array
    footprint: Array

    @property
    def width(self) -> int:
        return 2 * self.height

    @property
    def finer(self) -> int:
        """Octaves of texture that a picture larger than 64 rows can show in addition."""
        return max(0, round(math.log2(self.height / 64)))

    def share(self, small: int, large: int) -> int:
        """How many spots to draw: ``small`` at 64 rows, more in a larger picture, ``large`` at the most."""
        return min(large, round(small * self.height / 64))

    def rows(self, low: float, high: float) -> slice:
        """The rows whose pixels touch elevations from ``low`` to ``high``."""
        first = math.floor((math.pi / 2 - high) / self.pixel - 0.5)
        last = math.ceil((math.pi / 2 - low) / self.pixel + 0.5)
        return slice(max(first, 0), min(max(last, 1), self.height))


@functools.lru_cache(maxsize=4)
def rays(height: int) -> Rays:
    """The rays of a panorama with ``height`` rows; kept, since every picture of a set asks for the same."""
    pixel = math.pi / height
    azimuth = ((np.arange(2 * height) + 0.5) * pixel - math.pi).astype(np.float32)
    elevation = (math.pi / 2 - (np.arange(height) + 0.5) * pixel).astype(np.float32)[:, None]
    below = -elevation[height // 2 :]
    reach = EYE / np.tan(below)
    slant = EYE / np.sin(below)
    return Rays(
        height=height,
        pixel=pixel,
        azimuth=azimuth,
        elevation=elevation,
        x=np.cos(elevation) * np.sin(azimuth),
        y=np.sin(elevation),
        z=np.cos(elevation) * np.cos(azimuth),
        reach=reach,
        slant=slant,
        ground_x=reach * np.sin(azimuth),
        ground_z=reach * np.cos(azimuth),
        # along the ray a pixel covers slant / sin(below), across it only slant: the geometric mean
        footprint=pixel * slant / np.sqrt(np.sin(below)),
    )


@functools.lru_cache(maxsize=64)
def _lattice(period: int) -> tuple[Array, ...]:
    """Random values in [-1, 1] on ``ROWS`` × ``period`` knots, as the coefficients of each cell's bilinear form."""
    a = np.random.default_rng(period).uniform(-1, 1, (ROWS, period)).astype(np.float32)
    b, c = np.roll(a, -1, 1), np.roll(a, -1, 0)
    d = np.roll(c, -1, 1)
    return tuple(np.ascontiguousarray(t).reshape(-1) for t in (a, b - a, c - a, a - b - c + d))


def noise(x: Array, y: Array | float, period: int = 256) -> Array:
    """Smooth random values in [-1, 1] of wavelength about 2, the same after ``period`` steps of ``x``.

    Perlin's lattice with values in place of gradients ("value noise").
    """
    x, y = np.broadcast_arrays(x, np.asarray(y, dtype=np.float32))
    left, top = np.floor(x), np.floor(y)
    u, v = x - left, y - top
    u *= u * (3 - 2 * u)
    v *= v * (3 - 2 * v)
    cell = (top.astype(np.int32) & (ROWS - 1)) * period + left.astype(np.int32) % period
    a, b, c, d = (table.take(cell) for table in _lattice(period))
    d *= u
    d += c
    d *= v
    b *= u
    b += a
    b += d
    return b


def fractal(x: Array, y: Array, octaves: int, gain: float = 0.5, footprint: Array | float = 0.0) -> Array:
    """Sum of ``octaves`` of noise over the plane, each half as large, ``gain`` times as strong and turned a little.

    What is finer than ``footprint`` (the side of a pixel, in the unit of ``x``) fades, so that it doesn't flicker.
    """
    total: Array | float = 0.0
    strength, size = 1.0, 1.0
    for _ in range(octaves):
        part = noise(x, y)
        part *= strength * np.clip(1.3 * size / np.maximum(footprint, 1e-6) - 0.2, 0.15, 1.0)
        total = part + total
        x, y = 1.6 * x - 1.2 * y + 17.3, 1.2 * x + 1.6 * y + 5.7  # 2 × a turn by 37 degrees
        strength *= gain
        size /= 2
    return np.asarray(total, dtype=np.float32)


def around(azimuth: Array, cycles: int, octaves: int, row: int, gain: float = 0.5, ridged: bool = False) -> Array:
    """A random line around the horizon, ``[W]``: ``cycles`` knots in the first octave, twice as many in the next.

    Its values lie about in [-1, 1]; where ``ridged``, it has sharp crests near 1.
    """
    turn = azimuth / (2 * math.pi) + 0.5
    total = np.zeros_like(azimuth)
    strength = 1.0
    for octave in range(octaves):
        part = noise(turn * cycles, row + 7 * octave + 0.5, period=cycles)
        total += strength * ((1 - 2.4 * np.abs(part)) if ridged else 1.5 * part)
        strength *= gain
        cycles *= 2
    return total


def blend(image: Array, colour: Array, cover: Array) -> None:
    """Lay ``colour`` (broadcast to ``[3, h, w]``) over ``image`` in place where ``cover`` ``[h, w]`` is above 0."""
    image += cover * (colour - image)


def edge(inside: Array, pixel: float) -> Array:
    """How much of a pixel is covered: from the distance ``inside`` a shape and the side of a ``pixel``, in one unit."""
    return np.clip(inside / pixel + 0.5, 0, 1)


def stand(depth: Array, view: Rays, rows: slice, distance: float, cover: Array) -> None:
    """Note in ``depth`` ``[H, W]`` what stands upright ``distance`` metres away along the ground, where it covers."""
    along = np.minimum(distance / np.cos(view.elevation[rows]), FAR)
    depth[rows] = np.where(cover > 0.5, along, depth[rows])


def discs(
    image: Array, view: Rays, azimuth: Array, elevation: Array, radius: Array, colour: Array, strength: Array
) -> None:
    """Draw ``n`` small round spots into ``image`` ``[3, H, W]``, later ones over earlier ones.

    ``azimuth``, ``elevation`` and ``radius`` ``[n]`` are angles, ``colour`` is ``[3, n]``, ``strength`` ``[n]`` lies in
    [0, 1]. A spot smaller than a pixel still takes about one.
    """
    if len(azimuth) == 0:
        return
    height, width = view.height, view.width
    size = np.maximum(radius / view.pixel, 0.42)
    narrow = np.cos(elevation)  # a spot near a pole spreads over more columns
    row = (math.pi / 2 - elevation) / view.pixel - 0.5
    column = (azimuth + math.pi) / view.pixel - 0.5
    tall = math.ceil(float(size.max()))
    wide = math.ceil(float((size / narrow).max()))
    i = np.rint(row)[:, None, None] + np.arange(-tall, tall + 1, dtype=np.float32)[None, :, None]
    j = np.rint(column)[:, None, None] + np.arange(-wide, wide + 1, dtype=np.float32)[None, None, :]
    away = np.hypot(i - row[:, None, None], (j - column[:, None, None]) * narrow[:, None, None])
    cover = np.clip(size[:, None, None] + 0.5 - away, 0, 1) * strength[:, None, None]
    which, _, _ = hit = np.nonzero((cover > 0.02) & (i >= 0) & (i < height))
    cover = cover[hit]
    place = i.astype(np.int32)[which, hit[1], 0] * width + j.astype(np.int32)[which, 0, hit[2]] % width
    flat = image.reshape(3, -1)
    under = flat[:, place]
    flat[:, place] = under + cover * (colour[:, which] - under)
