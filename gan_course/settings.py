"""What shapes a training, and whether networks, pictures and settings fit together: all before the first step."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_course import data
from gan_course.arguments import Count, CountOrNone, Device, Floats, Labels, guard, refuse
from gan_course.losses import LOSSES, check_logits
from gan_course.naming import nearest


@dataclass(frozen=True)
class Settings:
    """All that shapes a run, apart from the networks and the data. Raises ``ValueError`` for impossible values."""

    loss: str = "non_saturating"  # strong gradient for the generator exactly where it is losing
    generator_lr: float = 2e-3  # small networks, small batches: ten times DCGAN's rate still converges, and sooner
    discriminator_lr: float = 2e-3  # equal rates; chapter 05 shows what unequal ones do
    decay_after: CountOrNone = 0  # from then on, both rates fall as 1 / √step (long runs gain from it); 0 keeps them
    beta1: float = 0.0  # no momentum: the opponent moves, so old gradients point the wrong way
    beta2: float = 0.99  # forgets within 100 steps, because gradients change their size as the game goes on
    batch_size: Count = 64  # on two cores, many small steps beat few large ones
    discriminator_steps: Count = 1  # per generator step
    r1_weight: float = 0.3  # flattens the discriminator around real pictures: a calmer teacher (chapters 02 and 05)
    r1_every: Count = 8  # the penalty costs a second backward pass: pay it rarely, at a weight as many times larger
    average_decay: float = 0.998  # the moving average looks back about 1 / (1 - 0.998) = 500 steps at most,
    average_share: float = 1 / 9  # and over this share of the run so far while that is less
    bfloat16: bool = False  # products in 16 bits where the processor has instructions for them; weights stay in 32

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"there is no loss {self.loss!r}: {nearest(self.loss, LOSSES)}")
        for name in ("generator_lr", "discriminator_lr"):
            if (value := getattr(self, name)) <= 0:
                raise ValueError(f"{name} must be a positive number but is {value}: try 0.002")
        if not 0 < self.average_share <= 1:
            raise ValueError(f"average_share must be more than 0 and at most 1 but is {self.average_share}: try 0.1")
        for name in ("beta1", "beta2", "average_decay"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 0 and less than 1 but is {value}")
        if not isinstance(self.bfloat16, bool):
            raise ValueError(f"bfloat16 must be True or False but is {self.bfloat16!r}")
        if self.r1_weight < 0:
            raise ValueError(f"r1_weight must be 0 (off) or a positive number but is {self.r1_weight}")


#: Chapter 04's recipe for convolutional networks; ``gan-course ablation`` tells what its parts are worth.
CONVOLUTIONAL = Settings(
    generator_lr=4.5e-3,
    discriminator_lr=4.5e-3,
    decay_after=400,
    batch_size=64,
    r1_weight=2.0,
    average_decay=0.999,
    average_share=0.1,
    bfloat16=True,
)


def has_bfloat16(device: Device = "cpu") -> bool:
    """Whether ``device`` is a processor that multiplies 16-bit numbers by instructions of its own (bfloat16).

    Intel's Xeons since 2023 have them (AMX), and AMD's processors since 2022 (AVX-512). False for GPUs: there, nobody
    has measured whether it pays.
    """
    known = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
    return torch.device(device).type == "cpu" and any(ask is not None and ask() for ask in known)


def check_fit(
    generator: nn.Module,
    discriminator: nn.Module,
    images: Floats,
    settings: Settings,
    device: Device = "cpu",
    labels: Labels | None = None,
    held_out: Floats | None = None,
) -> None:
    """Raise ``ValueError`` with a remedy unless the pair can be trained on ``images [N, C, H, W]`` or ``[N, 2]``.

    Both networks, which are on ``device`` already, get one tiny batch to try, so that a mismatch is explained here and
    not deep inside a matrix product. They are as before afterwards.
    """
    data.check_images(images)
    if settings.batch_size > len(images):
        raise ValueError(
            f"batch_size is {settings.batch_size} but the data set holds {len(images)} pictures: choose a smaller "
            "batch or more pictures"
        )
    if held_out is not None and held_out.shape[1:] != images.shape[1:]:
        refuse(
            "held_out", f"images of shape [N, {', '.join(map(str, images.shape[1:]))}]", held_out, "as those trained on"
        )
    if held_out is not None:
        data.check_images(held_out, "held_out")
    latent_dim = getattr(generator, "latent_dim", 0)
    if not latent_dim:
        kind = type(generator).__name__
        raise ValueError(f"the generator ({kind}) has no latent_dim: set it to how many noise numbers a sample takes")
    if labels is not None:
        _check_labels(labels, images, held_out)
    generator, discriminator = copy.deepcopy((generator, discriminator))  # a trial must leave no trace in batch norms
    given = () if labels is None else (labels[:2].to(device),)
    shape = list(images.shape[1:])
    remedy = f"set its image_shape to {tuple(shape)}"
    try:
        made = list(generator(torch.zeros(2, latent_dim, device=device), *given).shape[1:])
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"the generator can't take noise of shape [2, {latent_dim}], as its latent_dim says: correct the "
            f"latent_dim or its first layer ({_first_line(error)})"
        ) from error
    if made != shape:
        raise ValueError(f"the generator makes samples of shape {made} but the data set's have {shape}: {remedy}")
    real = images[:2].to(device)
    try:
        logits = discriminator(real, *given)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = _first_line(error)
        raise ValueError(f"the discriminator can't take samples of shape {shape}: {remedy} ({reason})") from error
    if logits.numel() != len(real):
        raise ValueError(
            f"the discriminator must return one logit a sample but returns shape {list(logits.shape)} for "
            f"{len(real)} samples: end it in one output"
        )
    check_logits(logits)


def _check_labels(labels: Tensor, images: Tensor, held_out: Tensor | None) -> None:
    if labels.shape != images.shape[:1]:
        refuse("labels", f"int64 of shape [{len(images)}], one for each image,", labels, "pass dataset.labels")
    if held_out is not None:
        raise ValueError("held_out images are for runs without labels: leave one of the two out")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


guard(__name__)
