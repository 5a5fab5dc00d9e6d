"""The mini Stable Diffusion, made of the real one's classes: ask it, measure it, look inside, distil it.

Importing this loads neither diffusers nor transformers: the functions do, when they are called.
"""

from gan_course.stable_diffusion.adherence import Adherence, measure_adherence
from gan_course.stable_diffusion.pipeline import (
    AT_ONCE,
    GUIDANCE,
    MINI,
    STEPS,
    Pipeline,
    Request,
    check_request,
    image_to_image,
    inpaint,
    load_pipeline,
    paint,
    quietly,
    text_to_image,
)
from gan_course.stable_diffusion.stencils import cut_out, paint_anew

__all__ = [
    "AT_ONCE",
    "GUIDANCE",
    "MINI",
    "STEPS",
    "Adherence",
    "Pipeline",
    "Request",
    "check_request",
    "cut_out",
    "image_to_image",
    "inpaint",
    "load_pipeline",
    "measure_adherence",
    "paint",
    "paint_anew",
    "quietly",
    "text_to_image",
]
