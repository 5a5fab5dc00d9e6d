"""Interactive figures for Jupyter and Colab: call one in a cell of its own.

Each shows itself and returns nothing. A page without a kernel shows a still picture instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from gan_course.costs import Business
    from gan_course.data import Dataset
    from gan_course.stable_diffusion import Pipeline


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


def diffusion_explorer(
    network: Callable[..., Tensor],
    dataset: Dataset,
    schedules: Mapping[str, Callable[[], Tensor]],
    trained: str,
    prediction: str = "v_prediction",
    seed: int = 0,
) -> None:
    """Chapter 07's diffusion, moved by hand: a picture into the noise, and noise out of it under four guidances.

    ``network(x, t)`` and ``network(x, t, labels)`` is a class-conditional diffusion model of ``dataset``'s pictures,
    trained with the schedule called ``trained``. ``schedules``: functions without arguments that return betas ``[T]``.
    ``prediction`` says what the network predicts, as in ``diffusion.predicted_x0``. Raises ``ValueError`` where these
    don't fit together.
    """
    from gan_course.widgets.diffusion_view import DiffusionView, Explorer

    DiffusionView(Explorer(network, dataset, schedules, trained, prediction), trained, seed).show()


def prompt_bench(pipeline: Pipeline, seed: int = 0, steps: int = 25, guidance_scale: float = 3.0) -> None:
    """Chapter 08's models with menus for what to paint, and a reader that says what came.

    ``pipeline``: ``stable_diffusion.load_pipeline()`` for digits, or for panoramas Mini Stable Diffusion II,
    ``load_pipeline(zoo.FOLDER / "mini_stable_diffusion_2")``; ``seed``, ``steps`` and ``guidance_scale``: of the first
    picture. Raises ``ValueError`` for another model and for settings that it can't take.
    """
    from gan_course.widgets.prompt_view import PromptView

    PromptView(pipeline, seed, steps, guidance_scale).show()


def economics(business: Business, cases: Mapping[str, Mapping[str, float]] | None = None) -> None:
    """A picture service moved by hand: price, volume, free share, utilisation, steps, GPU price, fixed costs, training.

    ``business``: where the sliders start. ``cases``: a button each, by name, with the parameters that it changes.
    Raises ``ValueError`` for a case that no business can be.
    """
    from gan_course.widgets.economics_view import EconomicsView

    EconomicsView(business, cases).show()


def look_around(places: Mapping[str, Tensor]) -> None:
    """Chapter 13's panoramas from within: yaw, pitch and field of view by slider, button or key.

    ``places``: panoramas ``[3, H, 2 H]`` in ``[-1, 1]`` by name. Raises ``ValueError`` for none, and for pictures that
    aren't twice as wide as high.
    """
    from gan_course.widgets.place_view import PlaceView

    PlaceView(places).show()
