"""Interactive figures for Jupyter and Colab: call one in a cell of its own.

Each shows itself and returns nothing. A page without a kernel shows a still picture instead.
"""

from __future__ import annotations


def gan_lab(preset: str = "converges", seed: int = 0) -> None:
    """The game of chapter 01 to play with: watch, change and pause it.

    ``preset``: "converges", "collapses", "oscillates" or "saturates". Raises ``ValueError`` for another name.
    """
    from gan_course.widgets.lab_view import LabView

    LabView(preset, seed).show()


def loss_explorer(d_real: float = 0.9, d_fake: float = 0.1) -> None:
    """Both losses and their gradients, for two beliefs between 0 and 1 and the losses of chapter 02.

    Raises ``ValueError`` for a belief outside of that.
    """
    from gan_course.widgets.loss_view import LossView

    LossView(d_real, d_fake).show()


def clinic(patient: str = "A", seed: int = 0) -> None:
    """Five sick games, "A" to "E": find the cause and the cure. Raises ``ValueError`` for another name."""
    from gan_course.widgets.clinic_view import ClinicView

    ClinicView(patient, seed).show()
