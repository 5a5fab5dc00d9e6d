"""Procedural landscapes around one eye: a sky, a ground plane seen in perspective, ridges, woods and one thing.

==========  ==================================================================
file        holds
==========  ==================================================================
rays        the direction of every pixel, noise, small discs
light       colours of the hour and the weather, sky, sun and moon, haze
sky         stars, clouds, rain and snow
ground      sea, meadow, desert, forest floor, alpine pasture
ridges      mountains, hills and dunes on the horizon
woods       rows of trees at many distances
things      lighthouse, tree, tent, balloon
render      all of them, from far to near
==========  ==================================================================
"""

from gan_course.data.landscape.render import render

__all__ = ["render"]
