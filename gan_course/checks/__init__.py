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
from gan_course.checks.chapter07_forward import check_first_drowned, check_jump_to
from gan_course.checks.chapter07_learning import check_diffusion_loss, check_take_apart
from gan_course.checks.chapter07_sampling import check_calm_guidance, check_flow_walk, check_step_back
from gan_course.checks.chapter08_attention import check_attend, check_word_map
from gan_course.checks.chapter08_inpainting import check_keep_outside
from gan_course.checks.chapter08_sampling import check_guided, check_latent_scale, check_steps_walked
from gan_course.checks.chapter09_frontier import check_on_frontier, check_speed_up
from gan_course.checks.chapter09_student import check_ask_teacher, check_ideal_view
from gan_course.checks.chapter14 import (
    check_break_even_subscribers,
    check_combine_reports,
    check_price_with_margin,
    check_sensitivities,
    check_training_gpu_hours,
)
from gan_course.checks.report import CheckFailed

__all__ = [
    "CheckFailed",
    "check_arc_walk",
    "check_arrows",
    "check_ask_teacher",
    "check_attend",
    "check_break_even_subscribers",
    "check_calm_guidance",
    "check_calm_weights",
    "check_combine_reports",
    "check_cured_round",
    "check_density_and_coverage",
    "check_difference_interval",
    "check_diffusion_loss",
    "check_discriminator_batch",
    "check_discriminator_step",
    "check_effective_modes",
    "check_first_drowned",
    "check_flow_walk",
    "check_frechet_of_features",
    "check_frechet_of_numbers",
    "check_frechet_without_bias",
    "check_gaussian_model",
    "check_generator_gradients",
    "check_generator_step",
    "check_growth_factor",
    "check_guided",
    "check_hinge_losses",
    "check_ideal_view",
    "check_jensen_shannon",
    "check_jump_to",
    "check_keep_outside",
    "check_kernel_distance",
    "check_latent_scale",
    "check_losses_from_logits",
    "check_losses_from_probabilities",
    "check_make_discriminator",
    "check_make_generator",
    "check_memorised_share",
    "check_memory_share",
    "check_modes_covered",
    "check_noise_with_label",
    "check_on_frontier",
    "check_optimal_discriminator",
    "check_output_sides",
    "check_paint_range",
    "check_play_dirac",
    "check_price_with_margin",
    "check_projection_logits",
    "check_r1_penalty",
    "check_random_shift",
    "check_ring",
    "check_sensitivities",
    "check_speed_up",
    "check_step_back",
    "check_steps_walked",
    "check_take_apart",
    "check_to_training_tensors",
    "check_training_gpu_hours",
    "check_update_average",
    "check_warm_average",
    "check_word_map",
]
