"""Checks of chapter 07, learning: what a velocity stands for, and the loss of one training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_course import diffusion
from gan_course.checks.report import Attempt, run

# ------------------------------------------------------------------------------------------ velocity


def _take_apart(attempt: Attempt, t: int, alphas_cumprod: Tensor) -> None:
    x, noise = torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(t))
    left = alphas_cumprod.double()
    kept, other = left[t].sqrt(), (1 - left[t]).sqrt()
    noisy = diffusion.add_noise(x.double(), noise.double(), t, left)
    v = diffusion.velocity(x.double(), noise.double(), t, left)
    result = attempt(noisy.float(), v.float(), t, alphas_cumprod.clone())
    pictures, found = attempt.pair(result, ("the clean pictures", "the noise"))
    from_noise = [
        (kept * noisy + other * v, "The sign: the velocity points from the picture to the noise."),
        (other * noisy - kept * v, "The two shares are exchanged. Try t = 0: what must come out?"),
        ((noisy - other * v) / kept, "This is the formula for predicted noise. Here the network gives a velocity."),
        (left[t] * noisy - (1 - left[t]) * v, "Shares of the power have to pass through a root."),
        (noisy - v, "Both count with their shares at timestep t."),
        (noise, "The order is clean pictures, noise."),
    ]
    from_picture = [
        (other * noisy - kept * v, "The sign of the velocity: more of it means more noise."),
        (kept * noisy + other * v, "The two shares are exchanged. Try t = 0: the picture is clean, so what is v?"),
        (v, "The velocity is not the noise. Which part of it is?"),
        ((1 - left[t]) * noisy + left[t] * v, "Shares of the power have to pass through a root."),
        (noisy + v, "Both count with their shares at timestep t."),
        (x, "The order is clean pictures, noise."),
    ]
    hint = (
        "Write both equations below each other: noisy = ..., v = ... Two equations, two unknowns. Or turn the circle."
    )
    attempt.close(pictures, x, hint, from_noise, what="the clean pictures")
    attempt.close(found, noise, hint, from_picture, what="the noise")


def _apart_middle(attempt: Attempt) -> None:
    left = diffusion.cumulative_alphas(diffusion.cosine_betas())
    for t in (300, 500, 800):
        _take_apart(attempt, t, left)


def _apart_ends(attempt: Attempt) -> None:
    """At the very end of the cosine schedule a division by √ᾱ loses all digits."""
    left = diffusion.cumulative_alphas(diffusion.cosine_betas())
    for t in (999, 0):
        _take_apart(attempt, t, left)


def check_take_apart(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(noisy [N, ...], v [N, ...], t, alphas_cumprod [T]) -> (x, noise)``. Parts: ``middle``, ``ends``."""
    run("take_apart", function, "noisy v t alphas_cumprod", {"middle": _apart_middle, "ends": _apart_ends}, part)


# ------------------------------------------------------------------------------------------ loss


class _Recorder(nn.Module):
    """A tiny network of the chapter's kind, that remembers what it was asked."""

    description = "network"

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.of_class = nn.Parameter(torch.tensor(0.3)), nn.Parameter(torch.arange(5.0) / 4)
        self.asked: list[tuple[Tensor, Tensor, Tensor]] = []

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        self.asked.append((x.detach().clone(), torch.as_tensor(t).clone(), torch.as_tensor(labels).clone()))
        extra = self.of_class[labels] + 0.01 * t
        return self.scale * x + extra.reshape(-1, *[1] * (x.ndim - 1))


def _loss_of(attempt: Attempt, dropped: Tensor, labels: Tensor, part_of_shape: tuple[int, ...]) -> None:
    left = diffusion.cumulative_alphas(diffusion.cosine_betas(10))
    x, noise = torch.randn(2, len(labels), *part_of_shape, generator=torch.Generator().manual_seed(3))
    t = torch.arange(len(labels)) * 3 % 10
    network, none = _Recorder(), 4
    loss = attempt(network, x.clone(), labels.clone(), t.clone(), noise.clone(), dropped.clone(), none, left.clone())
    right_labels = torch.where(dropped, none, labels)
    noisy = diffusion.add_noise(x, noise, t, left)
    target = diffusion.velocity(x, noise, t, left)
    if not network.asked:
        hint = "The loss compares the network's output with what it should be. Call network(noisy, t, labels)."
        attempt.fail("a network that was never called", "one call of the network", hint)
    seen, when, which = network.asked[0]
    attempt.close(
        seen,
        noisy,
        "The network sees the noisy pictures: diffusion.add_noise makes them.",
        [
            (x, "The network was shown the clean pictures. It is to learn from noisy ones."),
            (noise, "The network was shown the noise alone."),
            (target, "The network was shown its own target."),
            (x + noise, "Picture and noise come in with their shares at timestep t."),
        ],
        what="the pictures that the network sees",
    )
    attempt.close(when.expand(len(labels)), t, "Each picture has its own timestep.", what="the network's timesteps")
    attempt.close(
        which,
        right_labels,
        "Where dropped is true, the network is to see the number that stands for no class, else the label.",
        [
            (labels, "No label was dropped: the network would never learn to do without."),
            (torch.where(dropped, labels, none), "The wrong ones were dropped: dropped marks those to hide."),
            (torch.full_like(labels, none), "All labels were dropped."),
            (torch.where(dropped, 0, labels), "0 is a class like any other. A number of its own stands for no class."),
        ],
        what="the labels that the network sees",
    )
    output = network(noisy, t, right_labels)
    error = output - target
    attempt.close(
        loss,
        error.square().mean(),
        "The mean of the squared differences between the network's output and the velocity.",
        [
            ((output - noise).square().mean(), "The target is the noise. This network predicts the velocity."),
            ((output - x).square().mean(), "The target is the clean picture. This network predicts the velocity."),
            ((output + target).square().mean(), "The sign of the velocity: √ᾱ noise - √(1 - ᾱ) x."),
            (error.square().sum(), "The sum grows with the batch. Take the mean."),
            (error.square().sum() / len(labels), "The mean runs over all pixels, too, not only over pictures."),
            (error.abs().mean(), "The differences are squared."),
            (error.square().mean().sqrt(), "No root: the mean of the squares."),
            (error.square().mean() / 2, "Without the half."),
        ],
        what="the loss",
    )
    gradient = attempt.gradient(loss, network.scale, "the loss")
    wanted = torch.autograd.grad(error.square().mean(), network.scale)[0]
    hint = "The gradient must flow through the network's output and through nothing else."
    attempt.close(gradient, wanted, hint, what="the gradient")


def _loss_plain(attempt: Attempt) -> None:
    _loss_of(attempt, torch.zeros(3, dtype=torch.bool), torch.tensor([2, 0, 3]), (1, 2, 2))


def _loss_dropped(attempt: Attempt) -> None:
    _loss_of(attempt, torch.tensor([False, True, False, True]), torch.tensor([3, 1, 0, 2]), (3, 2, 2))
    _loss_of(attempt, torch.ones(2, dtype=torch.bool), torch.tensor([0, 1]), (1, 2, 2))


def check_diffusion_loss(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(network, x, labels, t, noise, dropped, no_class, alphas_cumprod) -> loss``.

    Parts: ``plain``, ``dropped``.
    """
    names = "network x labels t noise dropped no_class alphas_cumprod"
    run("diffusion_loss", function, names, {"plain": _loss_plain, "dropped": _loss_dropped}, part)
