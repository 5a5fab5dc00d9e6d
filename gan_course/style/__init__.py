"""Chapter 10: restyle a photograph. ``stylize`` for files; Gatys' losses, looks to learn, and measures beside it."""

from gan_course.style import gatys, looks, measures
from gan_course.style.restyle import load_style, repaint, styles, stylize

__all__ = ["gatys", "load_style", "looks", "measures", "repaint", "styles", "stylize"]
