"""How the networks in the zoo were trained: one recipe each, which ``gan-course train NAME`` follows."""

from gan_course.recipes.classifiers import train

__all__ = ["train"]
