"""Many small training sets of real handwriting, and generators for all of them at once.

Chapter 11 asks whether synthetic data help a classifier, and needs dozens of equal runs for an answer. The networks are
so small that one run would leave the processor idle, so K of them train side by side: every tensor carries K in front,
and each layer is one batched matrix product. No run learns anything from another. Pictures are rows of 64 pixels in
``[-1, 1]``: the 8x8 ``digits``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_course.arguments import Count, CountOrNone, Floats, NotNegative, Positive, Seed, Share, guard, refuse
from gan_course.data import Dataset
from gan_course.diffusion import flow_mix, flow_velocity

CLASSES, PIXELS, NOISE = 10, 64, 16  # NOISE: random numbers that a GAN's sample takes
TIMES = 8  # how many numbers tell a flow model the time


@dataclass(frozen=True)
class Sets:
    """K labelled sets side by side. A set shorter than N is padded; only its first ``counts`` rows are meant."""

    images: Floats  # [K, N, 64] in [-1, 1]
    labels: Tensor  # int64 [K, N]
    counts: Tensor  # int64 [K]

    def __post_init__(self) -> None:
        form = list(self.images.shape[:2])
        if self.images.ndim != 3 or self.images.shape[2] != PIXELS:
            refuse("images", f"a tensor of shape [K, N, {PIXELS}]", self.images, "flatten pictures of 8x8")
        for name, x, shape in (("labels", self.labels, form), ("counts", self.counts, form[:1])):
            if x.dtype != torch.int64 or list(x.shape) != shape:
                refuse(name, f"int64 of shape {shape}", x, "pass one for each picture, and one count for each set")
        if not 1 <= self.counts.min() <= self.counts.max() <= form[1]:
            refuse("counts", f"numbers from 1 to {form[1]}, the rows of a set", self.counts, "count the rows meant")
        if not 0 <= self.labels.min() <= self.labels.max() < CLASSES:
            refuse("labels", f"numbers from 0 to {CLASSES - 1}", self.labels, "correct them")

    def __len__(self) -> int:
        return len(self.counts)

    def batch(self, size: Count) -> tuple[Tensor, Tensor]:
        """``size`` rows of each set at random, with replacement: images ``[K, size, 64]`` and labels ``[K, size]``."""
        rows = (torch.rand(len(self), size) * self.counts[:, None]).long()
        which = torch.arange(len(self))[:, None]
        return self.images[which, rows], self.labels[which, rows]

    def repeated(self, times: Count) -> Sets:
        """All K sets, and then all of them again: ``times * K`` sets."""
        return Sets(*(x.repeat(times, *[1] * (x.ndim - 1)) for x in (self.images, self.labels, self.counts)))


def draw_sets(
    dataset: Dataset, per_class: Sequence[Count], runs: Count, test: Count = 1000, seed: Seed = 0
) -> tuple[Sets, Sets]:
    """Training sets with ``per_class`` pictures of each class, ``runs`` of each size, and ``test`` others for each run.

    The first ``runs`` sets have the first size, and so on. Within a run the smaller sets are parts of the larger ones,
    and the test pictures, which are in none of them, are the same. Raises ``ValueError`` where the pictures don't
    suffice.
    """
    images, labels = dataset.images.flatten(1), dataset.labels
    if labels is None or images.shape[1] != PIXELS:
        raise ValueError(f"these sets are made of labelled 8x8 pictures but {dataset.name!r} is not: load 'digits'")
    random = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(images), generator=random) for _ in range(runs)]
    fewest = int(torch.bincount(labels, minlength=CLASSES).min())
    most = max(per_class)
    if most > fewest or most * CLASSES + test > len(images):
        raise ValueError(
            f"{most} pictures of each class and {test} to test with are more than {len(images)} pictures give "
            f"(the rarest class has {fewest}): take fewer"
        )
    places = [torch.stack([order[labels[order] == c][:most] for c in range(CLASSES)]) for order in orders]
    chosen = [place[:, :n].flatten() for n in per_class for place in places]
    rows = torch.stack([F.pad(r, (0, most * CLASSES - len(r))) for r in chosen])
    others = [order[~torch.isin(order, place.flatten())][:test] for order, place in zip(orders, places, strict=True)]
    left = torch.stack(others).repeat(len(per_class), 1)
    counts = torch.tensor([len(r) for r in chosen])
    return Sets(images[rows], labels[rows], counts), Sets(images[left], labels[left], torch.full_like(counts, test))


# ------------------------------------------------------------------------------------------ networks side by side


class ParallelLinear(nn.Module):
    """K linear layers side by side: ``[K, N, inputs]`` to ``[K, N, outputs]``.

    Layer i starts as layer i modulo ``runs`` does: runs of equal number start alike, so that they can be compared in
    pairs.
    """

    def __init__(self, networks: Count, inputs: Count, outputs: Count, runs: Count, random: torch.Generator):
        super().__init__()
        start = (2 * torch.rand(runs, inputs + 1, outputs, generator=random) - 1) / math.sqrt(inputs)
        start = start.repeat(networks // runs, 1, 1)
        self.weight, self.bias = nn.Parameter(start[:, :-1].clone()), nn.Parameter(start[:, -1:].clone())

    def forward(self, x: Floats) -> Tensor:
        if x.ndim != 3 or (len(x), x.shape[2], x.dtype) != (*self.weight.shape[:2], self.weight.dtype):
            wanted = f"a {str(self.weight.dtype)[6:]} tensor of shape [{len(self.weight)}, N, {self.weight.shape[1]}]"
            refuse("x", wanted, x, "pass a batch for each network")
        return torch.baddbmm(self.bias, x, self.weight)


def parallel_mlp(
    networks: Count, widths: Sequence[Count], runs: Count, seed: Seed, activation: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """``networks`` perceptrons side by side, ``widths[0]`` inputs to ``widths[-1]`` outputs.

    Raises ``ValueError`` unless ``networks`` is a multiple of ``runs``.
    """
    if len(widths) < 2:
        refuse("widths", "at least two numbers, inputs and outputs", widths, "such as (64, 128, 10)")
    if networks % runs:
        raise ValueError(f"{networks} networks can't be shared out among {runs} runs: take a multiple of {runs}")
    random = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [ParallelLinear(networks, inputs, outputs, runs, random), activation()]
    return nn.Sequential(*layers[:-1])


def adam(network: nn.Module, lr: Positive, beta1: Share = 0.9) -> torch.optim.Adam:
    """Adam in one pass over all parameters, which halves its time on many small networks."""
    return torch.optim.Adam(network.parameters(), lr=lr, betas=(beta1, 0.99), fused=True)


def slow_down(optimizer: torch.optim.Optimizer, lr: Positive, step: CountOrNone, steps: Count) -> None:
    """Lower the learning rate in a straight line, from ``lr`` at step 0 to 0 at the end."""
    optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)


def one_hot(labels: Tensor) -> Tensor:
    """int64 ``[...]`` from 0 to 9 as rows with a single 1: ``[..., 10]``."""
    try:
        return F.one_hot(labels, CLASSES).float()
    except RuntimeError:
        refuse("labels", f"int64 from 0 to {CLASSES - 1}", labels, "correct them")


def _asked(sets: Sets, per_class: Count) -> Tensor:
    """The labels of ``per_class`` samples of each class, for each of the sets: ``[K, 10 * per_class]``."""
    return torch.arange(CLASSES).repeat(per_class).expand(len(sets), -1)


def _as_sets(images: Tensor, labels: Tensor) -> Sets:
    return Sets(images, labels, torch.full((len(images),), images.shape[1]))


# ------------------------------------------------------------------------------------------ where pictures come from


def gan_samples(sets: Sets, runs: Count, per_class: Count = 50, steps: Count = 500, seed: Seed = 0) -> Sets:
    """``per_class`` samples of each class from K class-conditional GANs, one trained on each of ``sets``.

    The logistic losses of chapter 02, R1 every fourth step (arXiv 1801.04406), the class as ten more inputs.
    """
    torch.manual_seed(seed)
    lr, batch, r1_weight, r1_every = 3e-3, 32, 3.0, 4
    generator = parallel_mlp(len(sets), (NOISE + CLASSES, 128, 128, PIXELS), runs, seed)
    judges = (PIXELS + CLASSES, 128, 128, 1)
    discriminator = parallel_mlp(len(sets), judges, runs, seed + 1, lambda: nn.LeakyReLU(0.2))
    optimizers = adam(generator, lr, beta1=0.0), adam(discriminator, lr, beta1=0.0)

    def make(labels: Tensor) -> Tensor:
        noise = torch.randn(*labels.shape, NOISE)
        return torch.tanh(generator(torch.cat([noise, one_hot(labels)], dim=2)))

    for step in range(steps):
        for optimizer in optimizers:
            slow_down(optimizer, lr, step, steps)
        real, labels = sets.batch(batch)
        classes = one_hot(labels)
        real.requires_grad_(step % r1_every == 0)
        judged = discriminator(torch.cat([real, classes], dim=2))
        made = make(labels)
        loss = F.softplus(-judged).mean((1, 2)).sum()
        loss = loss + F.softplus(discriminator(torch.cat([made.detach(), classes], dim=2))).mean((1, 2)).sum()
        if real.requires_grad:
            (slope,) = torch.autograd.grad(judged.sum(), real, create_graph=True)
            loss = loss + r1_every * r1_weight / 2 * slope.square().sum(2).mean(1).sum()
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        discriminator.requires_grad_(False)
        loss = F.softplus(-discriminator(torch.cat([made, classes], dim=2))).mean((1, 2)).sum()
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        discriminator.requires_grad_(True)
    labels = _asked(sets, per_class)
    with torch.no_grad():
        return _as_sets(make(labels), labels)


def flow_samples(
    sets: Sets, runs: Count, per_class: Count = 50, steps: Count = 700, width: Count = 128, seed: Seed = 0
) -> Sets:
    """``per_class`` samples of each class from K rectified-flow models, one trained on each of ``sets``.

    Chapter 07's flow (arXiv 2209.03003), sampled in 20 straight steps from noise; the time is told by sines.
    """
    torch.manual_seed(seed)
    lr, batch, strides = 4e-3, 32, 20
    network = parallel_mlp(len(sets), (PIXELS + CLASSES + TIMES, width, width, PIXELS), runs, seed, nn.SiLU)
    optimizer = adam(network, lr)
    rates = math.pi * torch.arange(1, TIMES // 2 + 1)

    def velocity(x: Tensor, labels: Tensor, time: Tensor) -> Tensor:  # time [K, N, 1]
        return network(torch.cat([x, one_hot(labels), (time * rates).sin(), (time * rates).cos()], dim=2))

    for step in range(steps):
        slow_down(optimizer, lr, step, steps)
        real, labels = sets.batch(batch)
        noise, time = torch.randn_like(real), torch.rand(*labels.shape, 1)
        mixed = flow_mix(real.flatten(0, 1), noise.flatten(0, 1), time.flatten()).view_as(real)
        loss = (velocity(mixed, labels, time) - flow_velocity(real, noise)).square().mean((1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    labels = _asked(sets, per_class)
    x = torch.randn(*labels.shape, PIXELS)
    with torch.no_grad():
        for left in range(strides, 0, -1):
            x = x - velocity(x, labels, torch.full((*labels.shape, 1), left / strides)) / strides
    return _as_sets(x.clamp(-1, 1), labels)


def rendered(glyphs: Dataset, sets: Count) -> Sets:
    """Rendered digits ``[N, 1, 28, 28]`` in the frame of the 8x8 handwriting, the same for each of ``sets`` sets.

    Each is cropped to its ink, averaged down to a height of 8 and at most that width, and centred.
    """
    small = []
    for picture in (glyphs.images[:, 0] + 1) / 2:
        ink = picture > 0.3
        rows, columns = ink.any(dim=1).nonzero().flatten(), ink.any(dim=0).nonzero().flatten()
        crop = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        width = max(1, min(8, round(8 * crop.shape[1] / crop.shape[0])))
        left = (8 - width) // 2
        shrunk = F.interpolate(crop[None, None], (8, width), mode="area")[0, 0]
        small.append(F.pad(shrunk / shrunk.max(), (left, 8 - width - left)).flatten())
    images = torch.stack(small) * 2 - 1
    assert glyphs.labels is not None
    return _as_sets(images.expand(sets, -1, -1), glyphs.labels.expand(sets, -1))


# ------------------------------------------------------------------------------------------ changing pictures


def jitter(pictures: Floats, turn: NotNegative = 0.25, scale: Share = 0.15, shift: NotNegative = 0.2) -> Tensor:
    """Rows of 64 pixels, each turned by up to ``turn`` radians, scaled by up to ``scale``, moved by up to ``shift``.

    A ``shift`` of 0.25 is one pixel of eight.
    """
    if not pictures.ndim or pictures.shape[-1] != PIXELS:
        refuse("pictures", f"rows of {PIXELS} pixels, [..., {PIXELS}],", pictures, "flatten pictures of 8x8")
    flat = pictures.reshape(-1, 1, 8, 8)
    angle, size, x, y = (2 * torch.rand(4, len(flat)) - 1) * torch.tensor([[turn], [scale], [shift], [shift]])
    cosine, sine = angle.cos() / (1 + size), angle.sin() / (1 + size)
    maps = torch.stack([cosine, -sine, x, sine, cosine, y], dim=1).view(-1, 2, 3)
    places = F.affine_grid(maps, list(flat.shape), align_corners=False).to(flat)
    return (F.grid_sample(flat + 1, places, align_corners=False) - 1).view_as(pictures)  # beyond the rim lies -1, black


guard(__name__)
