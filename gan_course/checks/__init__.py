"""Instant answers to exercises: ``checks.check_NAME(NAME)`` right after the cell in which the student writes NAME.

A right answer prints one line. A wrong one raises :class:`CheckFailed`, whose message says which parts of the check
passed, what was tried, what came back, what was expected, and what to think about. ``part="..."`` runs one part of a
check: the graded cells use it. ``checks.progress()`` shows which tasks were passed on this computer, and when.
"""

from gan_course.checks import (  # noqa: F401  each adds its checks to CHECKS
    chapter01,
    chapter02,
    chapter03,
    chapter04,
    chapter05,
    chapter06,
    chapter07,
    chapter08,
    chapter09,
    chapter10,
    chapter11,
    chapter12,
    chapter13,
    chapter14,
    chapter16,
)
from gan_course.checks.passed import progress
from gan_course.checks.report import CHECKS, CheckFailed

globals().update(CHECKS)
__all__ = ["CheckFailed", "progress", *CHECKS]
