"""Chapter 10: restyle a photograph. ``stylize`` for files, the losses of Gatys, looks to learn."""

from gan_course.style.restyle import load_style, repaint, styles, stylize

__all__ = ["load_style", "repaint", "styles", "stylize"]
