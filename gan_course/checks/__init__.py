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
from gan_course.checks.chapter04_classes import check_noise_with_label, check_projection_logits
from gan_course.checks.chapter04_latent import check_arc_walk, check_warm_average
from gan_course.checks.chapter04_layers import check_output_sides, check_paint_range
from gan_course.checks.chapter05_clinic import check_effective_modes, check_memory_share
from gan_course.checks.chapter05_dirac import check_calm_weights, check_growth_factor, check_play_dirac
from gan_course.checks.chapter05_round import check_cured_round
from gan_course.checks.chapter05_shift import check_random_shift
from gan_course.checks.chapter06_distances import (
    check_frechet_of_features,
    check_frechet_of_numbers,
    check_kernel_distance,
)
from gan_course.checks.chapter06_error import check_difference_interval, check_frechet_without_bias
from gan_course.checks.chapter06_neighbours import check_density_and_coverage, check_memorised_share
from gan_course.checks.report import CheckFailed

__all__ = [
    "CheckFailed",
    "check_arc_walk",
    "check_arrows",
    "check_calm_weights",
    "check_cured_round",
    "check_density_and_coverage",
    "check_difference_interval",
    "check_discriminator_batch",
    "check_discriminator_step",
    "check_effective_modes",
    "check_frechet_of_features",
    "check_frechet_of_numbers",
    "check_frechet_without_bias",
    "check_gaussian_model",
    "check_generator_gradients",
    "check_generator_step",
    "check_growth_factor",
    "check_hinge_losses",
    "check_jensen_shannon",
    "check_kernel_distance",
    "check_losses_from_logits",
    "check_losses_from_probabilities",
    "check_make_discriminator",
    "check_make_generator",
    "check_memorised_share",
    "check_memory_share",
    "check_modes_covered",
    "check_noise_with_label",
    "check_optimal_discriminator",
    "check_output_sides",
    "check_paint_range",
    "check_play_dirac",
    "check_projection_logits",
    "check_r1_penalty",
    "check_random_shift",
    "check_ring",
    "check_to_training_tensors",
    "check_update_average",
    "check_warm_average",
]
