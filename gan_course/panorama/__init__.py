"""Chapter 13: places to look around in. Large enough, calm at the poles, one picture for each eye, on a page."""

from gan_course.panorama.enlarge import Enlarger, enlarged
from gan_course.panorama.page import export_webxr
from gan_course.panorama.poles import calm_poles, spread_by_row
from gan_course.panorama.real import REAL, real_panorama
from gan_course.panorama.stereo import parallax, stereo_pair

__all__ = [
    "REAL",
    "Enlarger",
    "calm_poles",
    "enlarged",
    "export_webxr",
    "parallax",
    "real_panorama",
    "spread_by_row",
    "stereo_pair",
]
