"""GAN losses, all on logits and all with one signature: ``(real_logits, fake_logits) -> scalar``.

A *logit* is the discriminator's score before the sigmoid: ``D(x) = sigmoid(logit)`` is its belief that ``x`` is real.
Every loss is the mean over the batch and is to be minimised. Generator losses take ``real_logits`` too, because the
relativistic one compares with them; the others accept ``None`` there.

``softplus(a) = log(1 + exp(a))`` is what makes this exact: ``-log D(x) = softplus(-logit)`` and
``-log(1 - D(x)) = softplus(logit)``, without ever computing a probability that could round to 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.arguments import Batch, Floats, Rows, guard


def non_saturating_discriminator_loss(real_logits: Floats, fake_logits: Floats) -> Tensor:
    """``-log D(x) - log(1 - D(G(z)))``: cross-entropy, real as 1, fake as 0 (Goodfellow 2014, arXiv 1406.2661)."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def non_saturating_generator_loss(real_logits: Floats | None, fake_logits: Floats) -> Tensor:
    """``-log D(G(z))``: strong gradient where the discriminator is sure of the fake (arXiv 1406.2661, section 3)."""
    return F.softplus(-fake_logits).mean()


def saturating_generator_loss(real_logits: Floats | None, fake_logits: Floats) -> Tensor:
    """``log(1 - D(G(z)))``: the minimax game; its gradient fades where the fake is recognised (arXiv 1406.2661)."""
    return -F.softplus(fake_logits).mean()


def least_squares_discriminator_loss(real_logits: Floats, fake_logits: Floats) -> Tensor:
    """Half the squared distance of real logits from 1 and of fake ones from 0 (LSGAN, arXiv 1611.04076)."""
    return 0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()


def least_squares_generator_loss(real_logits: Floats | None, fake_logits: Floats) -> Tensor:
    """Half the squared distance of fake logits from 1 (LSGAN, arXiv 1611.04076)."""
    return 0.5 * (fake_logits - 1).square().mean()


def hinge_discriminator_loss(real_logits: Floats, fake_logits: Floats) -> Tensor:
    """Push real logits above 1 and fake ones below -1, and no further (Geometric GAN, arXiv 1705.02894)."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def hinge_generator_loss(real_logits: Floats | None, fake_logits: Floats) -> Tensor:
    """Raise the fake logits (Geometric GAN, arXiv 1705.02894)."""
    return -fake_logits.mean()


def wasserstein_discriminator_loss(real_logits: Floats, fake_logits: Floats) -> Tensor:
    """Minus the gap of mean scores; needs a bounded slope, see :func:`gradient_penalty` (WGAN, arXiv 1701.07875)."""
    return fake_logits.mean() - real_logits.mean()


def wasserstein_generator_loss(real_logits: Floats | None, fake_logits: Floats) -> Tensor:
    """Raise the fake scores (WGAN, arXiv 1701.07875)."""
    return -fake_logits.mean()


def relativistic_discriminator_loss(real_logits: Batch, fake_logits: Batch) -> Tensor:
    """Each real logit should exceed that of the fake beside it (relativistic pairing, arXiv 1807.00734, 2501.05441)."""
    return F.softplus(fake_logits - real_logits).mean()


def relativistic_generator_loss(real_logits: Batch | None, fake_logits: Batch) -> Tensor:
    """Each fake logit should exceed the real one beside it. Raises ``ValueError`` without ``real_logits``."""
    if real_logits is None:
        raise ValueError("the relativistic generator loss compares with real pictures: pass their logits, not None")
    return F.softplus(real_logits - fake_logits).mean()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Rows) -> Tensor:
    """Half the mean squared length of the discriminator's gradient at real pictures (arXiv 1801.04406, equation 9).

    ``real``: ``[N, ...]``. The result can be differentiated again, which is how it trains the discriminator.
    """
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean() / 2


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Batch, fake: Batch, generator: torch.Generator | None = None
) -> Tensor:
    """Mean of ``(length of the gradient - 1)^2`` at random mixtures of real and fake (WGAN-GP, arXiv 1704.00028).

    ``real`` and ``fake``: ``[N, ...]`` of one shape; ``generator`` draws the mixing weights.
    """
    weight = torch.rand(len(real), *[1] * (real.ndim - 1), generator=generator).to(real)
    mixed = torch.lerp(real.detach(), fake.detach().to(real), weight).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(mixed).sum(), mixed, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


RESHAPING = frozenset("View UnsafeView Reshape Squeeze Unsqueeze Select Slice T Transpose Permute Clone".split())


def check_logits(output: Floats) -> None:
    """Raise ``ValueError`` where a discriminator's ``output`` has been through a sigmoid: the losses want logits.

    It is read off the autograd graph, so ``output`` must come from a forward pass with gradients on.
    """
    node = output.grad_fn
    while node is not None and node.name().split("Backward")[0] in RESHAPING:
        node = node.next_functions[0][0]
    if node is not None and node.name().startswith("Sigmoid"):
        raise ValueError(
            f"the discriminator returns probabilities ({output.min():.2f} to {output.max():.2f} here) but the losses "
            "want logits: remove its last sigmoid"
        )


guard(__name__)


class Loss(NamedTuple):
    """A pair of losses that belong together."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor | None, Tensor], Tensor]
    generator_sees_real: bool = False


LOSSES = {
    "non_saturating": Loss(non_saturating_discriminator_loss, non_saturating_generator_loss),
    "saturating": Loss(non_saturating_discriminator_loss, saturating_generator_loss),
    "least_squares": Loss(least_squares_discriminator_loss, least_squares_generator_loss),
    "hinge": Loss(hinge_discriminator_loss, hinge_generator_loss),
    "wasserstein": Loss(wasserstein_discriminator_loss, wasserstein_generator_loss),
    "relativistic": Loss(relativistic_discriminator_loss, relativistic_generator_loss, generator_sees_real=True),
}
