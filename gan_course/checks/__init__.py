"""Instant answers to exercises: ``checks.check_NAME(NAME)`` right after the cell in which the student writes NAME.

A right answer prints one line. A wrong one raises :class:`CheckFailed`, whose message says what was tried, what came
back, what was expected, and what to think about. ``part="..."`` runs one part of a check: the graded cells use it.
"""

from gan_course.checks.chapter01_data import check_gaussian_model, check_modes_covered, check_ring
from gan_course.checks.chapter01_game import check_arrows, check_discriminator_batch
from gan_course.checks.chapter02_losses import (
    check_hinge_losses,
    check_losses_from_logits,
    check_losses_from_probabilities,
)
from gan_course.checks.chapter02_penalty import check_r1_penalty
from gan_course.checks.chapter02_theory import (
    check_generator_gradients,
    check_jensen_shannon,
    check_optimal_discriminator,
)
from gan_course.checks.chapter03_average import check_update_average
from gan_course.checks.chapter03_parts import check_make_discriminator, check_make_generator, check_to_training_tensors
from gan_course.checks.chapter03_steps import check_discriminator_step, check_generator_step
from gan_course.checks.report import CheckFailed

__all__ = [
    "CheckFailed",
    "check_arrows",
    "check_discriminator_batch",
    "check_discriminator_step",
    "check_gaussian_model",
    "check_generator_gradients",
    "check_generator_step",
    "check_hinge_losses",
    "check_jensen_shannon",
    "check_losses_from_logits",
    "check_losses_from_probabilities",
    "check_make_discriminator",
    "check_make_generator",
    "check_modes_covered",
    "check_optimal_discriminator",
    "check_r1_penalty",
    "check_ring",
    "check_to_training_tensors",
    "check_update_average",
]
