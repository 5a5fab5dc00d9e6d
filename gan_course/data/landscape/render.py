"""One landscape panorama, drawn from far to near."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from gan_course.data.landscape import ridges, sky, things, woods
from gan_course.data.landscape.ground import draw_ground
from gan_course.data.landscape.light import draw_disc, draw_sky, make_light
from gan_course.data.landscape.rays import FAR, Array, rays


class Scene(Protocol):
    """What there is to draw; ``data.scenes.Scene`` checks the words."""

    @property
    def land(self) -> str: ...
    @property
    def time(self) -> str: ...
    @property
    def sky(self) -> str: ...
    @property
    def light(self) -> str: ...
    @property
    def thing(self) -> str: ...
    @property
    def place(self) -> str | None: ...


def render(scene: Scene, seed: int | tuple[int, ...], height: int = 64) -> tuple[Array, Array]:
    """The panorama ``[3, height, 2 height]`` in [0, 1] and its depth ``[height, 2 height]`` in metres, 0 < depth ≤ FAR.

    The ground hangs on ``seed`` and ``land`` alone, the thing on ``seed``, ``thing`` and ``place``: other times, skies
    and lights change no depth. Land, woods, ground texture, weather and thing each draw from their own generator.
    """
    view = rays(height)
    words = [seed] if isinstance(seed, int) else list(seed)
    solid, wood, earth, weather, own = (np.random.default_rng([*words, part]) for part in range(5))
    light = make_light(scene.time, scene.sky, scene.light, weather)
    thing = None if scene.place is None else things.make_thing(scene.thing, scene.place, own)

    image, cosine = draw_sky(view, light)
    if scene.time == "night" and scene.sky in ("clear", "clouds"):
        sky.draw_stars(image, view, light, weather)
    cover = sky.draw_clouds(image, view, light, cosine, weather) if scene.sky in ("clouds", "rain", "snow") else 0.0
    draw_disc(image, view, light, cosine, cover)
    horizon = light.horizon(view)
    depth = np.full((height, view.width), FAR, dtype=np.float32)
    draw_ground(image, view, light, scene.land, horizon, earth, weather)
    depth[height // 2 :] = np.minimum(view.slant, FAR)

    layers = [(ridge[0], ridges.draw_ridge, order, solid) for order, ridge in enumerate(ridges.RIDGES[scene.land])]
    trees = [(ring[0], order) for order, ring in enumerate(woods.RINGS[scene.land])]
    drawn = thing is None
    queue = sorted([(d, 0, o) for d, _, o, _ in layers] + [(d, 1, o) for d, o in trees], reverse=True)
    for distance, kind, order in queue:
        if thing is not None and not drawn and thing.distance > distance:
            things.draw_thing(image, depth, view, light, scene.land, thing, horizon)
            drawn = True
        if kind == 0:
            ridges.draw_ridge(image, depth, view, light, scene.land, order, horizon, solid)
        else:
            gap = thing.clearing if thing is not None and thing.distance > distance else None
            woods.draw_ring(image, depth, view, light, scene.land, order, horizon, wood, gap)
    if thing is not None and not drawn:
        things.draw_thing(image, depth, view, light, scene.land, thing, horizon)

    if scene.sky == "fog":
        sky.draw_fog(image, view, light, weather)
    elif scene.sky == "rain":
        sky.draw_rain(image, view, light, weather)
    elif scene.sky == "snow":
        sky.draw_snow(image, view, light, weather)
    return np.clip(image, 0, 1), depth
