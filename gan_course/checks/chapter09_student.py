"""Checks of chapter 09, the student: the best answer to noise, and the loss that asks the teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run

# ------------------------------------------------------------------------------------------ the best single answer


def _points(rows: int, seed: int, width: int = 6) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def _view_with(
    noisy: Tensor, pictures: Tensor, alpha_bar: float, root: float = 0.5, half: float = 2.0, dim: int = 1
) -> Tensor:
    """The mean of ``pictures``, weighted by how well each explains ``noisy``; in 64 bits."""
    x, y = noisy.double(), pictures.double()
    squares = (x[:, None] - alpha_bar**root * y[None]).square().sum(dim=2)
    return (-squares / (half * (1 - alpha_bar))).softmax(dim=dim) @ y


def _compare_view(attempt: Attempt, cases: tuple[tuple[int, int, float], ...]) -> None:
    for n, m, alpha_bar in cases:
        pictures = _points(m, seed=m)
        chosen = pictures[torch.arange(n) % m]
        if alpha_bar > 0.99:  # between two pictures, far from both beside so little noise
            chosen = 0.6 * chosen + 0.4 * pictures[torch.arange(1, n + 1) % m]
        noisy = alpha_bar**0.5 * chosen + (1 - alpha_bar) ** 0.5 * _points(n, seed=100 + n)
        right = _view_with(noisy, pictures, alpha_bar)
        x, y = noisy.double(), pictures.double()
        squares = (x[:, None] - alpha_bar**0.5 * y[None]).square().sum(dim=2)
        mistakes = [
            (
                y.mean(dim=0).expand(n, -1),
                "That is the plain mean. It is right where nothing is left of the picture; what does noisy tell here?",
            ),
            (
                y[squares.argmin(dim=1)],
                "That is the nearest picture alone. The best answer at the squared error is a weighted mean of all.",
            ),
            (
                _view_with(noisy, pictures, alpha_bar, root=1.0),
                "A noisy picture holds √alpha_bar of the clean one, not alpha_bar.",
            ),
            (
                _view_with(noisy, pictures, alpha_bar, root=0.0),
                "The clean picture was made smaller by √alpha_bar before noise.",
            ),
            (
                _view_with(noisy, pictures, alpha_bar, half=1.0),
                "Look at the exponent: squared distance by 2 · (1 - alpha_bar).",
            ),
            (
                (-squares / (2 * (1 - alpha_bar) ** 0.5)).softmax(dim=1) @ y,
                "1 - alpha_bar is the variance of the noise already: no further root.",
            ),
            (
                (-squares.sqrt() / (2 * (1 - alpha_bar))).softmax(dim=1) @ y,
                "The exponent holds the squared distance, summed over the coordinates.",
            ),
            (
                (-squares / y.shape[1] / (2 * (1 - alpha_bar))).softmax(dim=1) @ y,
                "Sum over the coordinates, don't average.",
            ),
            (
                (squares / (2 * (1 - alpha_bar))).softmax(dim=1) @ y,
                "The farther a picture, the smaller its weight: check a sign.",
            ),
            (
                _view_with(noisy, pictures, alpha_bar, dim=0),
                "The weights of all pictures must sum to 1 for each noisy one: along which axis?",
            ),
        ]
        hint = (
            "How likely is the noisy point if a certain picture is behind it? Use that as the picture's weight, let "
            "the weights sum to 1, and average."
        )
        if alpha_bar > 0.99:
            hint = "With little noise the exponents are huge, and exp() of them is 0 for every picture: 0 / 0. " + (
                "softmax subtracts the largest exponent first."
            )
        fitting = [wrong for wrong in mistakes if not torch.allclose(wrong[0], right, atol=1e-3)]
        attempt.close(attempt(noisy, pictures, alpha_bar), right, hint, fitting, what="the view", tolerance=1e-3)


def check_ideal_view(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(noisy, pictures, alpha_bar) -> [N, D]``. Parts: ``noise``, ``between``, ``sharp``."""
    parts: dict[str, Callable[[Attempt], None]] = {
        "noise": lambda attempt: _compare_view(attempt, ((5, 4, 0.0), (2, 7, 0.0))),
        "between": lambda attempt: _compare_view(attempt, ((5, 4, 0.4), (3, 6, 0.7), (4, 4, 0.1))),
        "sharp": lambda attempt: _compare_view(attempt, ((4, 5, 0.99999),)),
    }
    run("ideal_view", function, "noisy pictures alpha_bar", parts, part)


# ------------------------------------------------------------------------------------------ asking the teacher


class _Teacher:
    """A teacher with one weight, which notes whether it was asked for a gradient."""

    description = "a function (noisy, alpha_bar) -> clean"

    def __init__(self) -> None:
        self.weight = torch.tensor(0.8, requires_grad=True)

    def __call__(self, noisy: Tensor, alpha_bar: Tensor) -> Tensor:
        return torch.tanh(self.weight * noisy) + alpha_bar.reshape(-1, *[1] * (noisy.ndim - 1))


def _case(seed: int, n: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    made, noise = torch.randn(2, n, 2, 4, 4, generator=torch.Generator().manual_seed(seed))
    return made, noise, torch.tensor([0.81, 0.36, 0.09, 0.5, 0.04][:n])


def _ask_with(made: Tensor, noise: Tensor, alpha_bar: Tensor, power: float = 0.5, asked: str = "noisy") -> Tensor:
    share = alpha_bar[:, None, None, None]
    noisy = {
        "noisy": share.sqrt() * made + (1 - share).sqrt() * noise,
        "clean": made,
        "plain": share * made + (1 - share) * noise,
        "noise": noise,
    }[asked]
    seen = _Teacher()(noisy, alpha_bar).detach()
    return alpha_bar**power * (made - seen).square().mean(dim=(1, 2, 3))


def _loss_value(attempt: Attempt) -> None:
    for seed, n in ((1, 3), (2, 5), (3, 1)):
        made, noise, alpha_bar = _case(seed, n)
        each = _ask_with(made, noise, alpha_bar)
        plain = _ask_with(made, noise, alpha_bar, power=0.0)
        mistakes = [
            (plain.mean(), "Every picture counts the same here. Where there is more noise, it is to count less."),
            (_ask_with(made, noise, alpha_bar, power=1.0).mean(), "The weight is √alpha_bar, not alpha_bar."),
            (each.sum(), "Return the mean over the batch, not the sum."),
            (each.mean() * made[0].numel(), "Take the mean over a picture's numbers, not their sum."),
            (
                alpha_bar.sqrt().mean() * plain.mean(),
                "The mean of the weights times the mean of the distances is not the mean of the products: weigh each "
                "picture's own distance.",
            ),
            (
                _ask_with(made, noise, alpha_bar, asked="clean").mean(),
                "The teacher is to see noise on the student's picture.",
            ),
            (
                _ask_with(made, noise, alpha_bar, asked="plain").mean(),
                "alpha_bar is a share of power. The picture is multiplied by its root, the noise by √(1 - alpha_bar).",
            ),
            (
                _ask_with(made, noise, alpha_bar, asked="noise").mean(),
                "The teacher saw the noise alone, not the picture.",
            ),
        ]
        value = attempt(made, noise, alpha_bar, _Teacher())
        hint = "Three lines: add noise, ask the teacher, weigh each picture's squared distance."
        fitting = [wrong for wrong in mistakes if abs(float(wrong[0] - each.mean())) > 1e-5]
        attempt.close(value, each.mean(), hint, fitting, what="the loss")


def _loss_gradient(attempt: Attempt) -> None:
    made, noise, alpha_bar = _case(4)
    made.requires_grad_()
    teacher = _Teacher()
    value = attempt(made, noise, alpha_bar, teacher)
    gradient = attempt.gradient(value, made, "the loss")
    seen = _Teacher()(
        (alpha_bar[:, None, None, None].sqrt() * made + (1 - alpha_bar[:, None, None, None]).sqrt() * noise), alpha_bar
    )
    right = 2 * alpha_bar.sqrt()[:, None, None, None] * (made - seen).detach() / made.numel()
    through = torch.autograd.grad(
        (alpha_bar.sqrt() * (made - seen).square().mean(dim=(1, 2, 3))).mean(), made, retain_graph=True
    )[0]
    hint = "The student is to move to what the teacher sees, which must stand still meanwhile: see .detach()."
    mistakes = [
        (
            through,
            "A gradient runs through the teacher: the student would learn to make the teacher agree, not to move.",
        ),
        (
            torch.zeros_like(right),
            "No gradient reaches the student: what did you detach, made or what the teacher saw?",
        ),
        (-right, "The sign: the loss falls as made moves to what the teacher sees."),
    ]
    attempt.close(gradient, right, hint, mistakes, what="d loss / d made")
    leaked = attempt.gradient(value, teacher.weight, "the loss")
    attempt.close(leaked, 0.0, "The teacher itself would learn: it must stay as it is.", what="the teacher's gradient")


def check_ask_teacher(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(made, noise, alpha_bar, teacher) -> scalar``. Parts: ``value``, ``gradient``."""
    parts = {"value": _loss_value, "gradient": _loss_gradient}
    run("ask_teacher", function, "made noise alpha_bar teacher", parts, part)
