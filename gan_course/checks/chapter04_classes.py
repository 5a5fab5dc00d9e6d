"""Checks of chapter 04, asking for a class: the label beside the noise, and the discriminator that judges by class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run

# ------------------------------------------------------------------------------------------ generator's input


def _join(attempt: Attempt, z: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The student's answer, its values compared."""
    count, latent = z.shape
    marks = torch.zeros(count, classes, dtype=z.dtype)
    marks[torch.arange(count), labels] = 1
    right = torch.cat([z, marks], dim=1)
    shape_hint = f"{latent} columns of noise, then {classes} for the label: one for each class."
    if classes > labels.max() + 1:
        shape_hint += " There is one for a class that does not occur in this batch, too."
    given = z.clone()
    joined = attempt.tensor(attempt(given, labels.clone(), classes), list(right.shape), hint=shape_hint)
    if not torch.equal(given, z):
        hint = "The result is a new tensor. Other parts of the program may still need the noise."
        attempt.fail("the given noise was changed", "the noise as it came in", hint)
    number = labels[:, None].to(z).expand(count, classes)
    mistakes = [
        (
            torch.cat([marks, z], dim=1),
            "The noise comes first, then the label. A trained network knows no other order.",
        ),
        (
            torch.cat([z, number], dim=1),
            "The class number stands in every column. Is class 8 twice as much as class 4? Give each class a column.",
        ),
        (torch.cat([z, 1 - marks], dim=1), "Zeros and ones are exchanged: a single 1 marks the class."),
        (
            torch.cat([z, marks.roll(1, 1)], dim=1),
            "The mark stands one column too far to the right. Classes begin at 0.",
        ),
        (torch.cat([z, marks.roll(-1, 1)], dim=1), "The mark stands one column too far to the left."),
        (torch.cat([z, marks * number], dim=1), "The mark is 1 for every class, also for class 0 and class 2."),
    ]
    hint = "In each row: the noise as it was, then zeros with a single 1, in the column of that row's class."
    attempt.close(joined, right, hint, mistakes)
    return joined


def _label_values(attempt: Attempt) -> None:
    z = torch.linspace(-2, 2, 12).reshape(4, 3)
    _join(attempt, z, torch.tensor([2, 0, 1, 2]), 3)
    _join(attempt, z[:1], torch.tensor([1]), 2)


def _label_kinds(attempt: Attempt) -> None:
    """Not every class occurs in every batch, and the network wants one kind of number."""
    z = torch.linspace(-2, 2, 10).reshape(2, 5)
    for kind in (torch.float32, torch.float64):
        joined = _join(attempt, z.to(kind), torch.tensor([3, 0]), 10)
        if joined.dtype != kind:
            attempt.fail(
                f"a result of dtype {str(joined.dtype).removeprefix('torch.')}",
                f"the noise's own dtype, {str(kind).removeprefix('torch.')}",
                "A network's weights and its input must be of the same kind. Which kind has the noise?",
            )


def check_noise_with_label(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(z [N, L], labels [N], classes) -> [N, L + classes]``. Parts: ``values``, ``kinds``."""
    run("noise_with_label", function, "z labels classes", {"values": _label_values, "kinds": _label_kinds}, part)


# ------------------------------------------------------------------------------------------ projection


def _project(attempt: Attempt, features: Tensor, labels: Tensor, weight: Tensor, bias: float, vectors: Tensor) -> None:
    plain = features @ weight + bias
    by_class = features @ vectors.T  # [N, classes]
    own = by_class.gather(1, labels[:, None]).squeeze(1)
    first = by_class[:, 0]
    mistakes = [
        (plain, "The label has no effect: every class gets the same logit."),
        (own, "Only the class counts. Whether the picture looks real at all is the other half."),
        (own + bias, "Only the class counts. Whether the picture looks real at all is the other half."),
        (plain - bias + own, "The bias is missing."),
        (
            plain + own / features.shape[1],
            "The product is divided by the number of features. The inner product is their sum, not their mean.",
        ),
        (plain + by_class.sum(1), "All class vectors were added. Only the one that was asked for counts."),
        (plain + by_class.mean(1), "All class vectors were averaged. Only the one that was asked for counts."),
        (plain + by_class.max(1).values, "The best class was taken. The question is whether it is the asked one."),
        (plain + first, "Every picture was compared with class 0. Each has a label of its own."),
        (plain + vectors[labels].sum(1), "The class vector was added up by itself. It must meet the features."),
        (plain + own * weight.sum(), "Head and class vector were multiplied. Their two verdicts are added."),
        (plain - own, "The sign: features that fit the class should raise the logit."),
        ((plain + own).sigmoid(), "There is a sigmoid too many: logits are wanted."),
    ]
    hint = (
        "Two verdicts are added for each picture: the head's, which knows no class, and the inner product of the "
        "features with the vector of the class that was asked for."
    )
    if len(labels) == len(vectors):
        mistakes.append((plain + by_class.diagonal(), "The labels were not used to choose the vectors."))
    result = attempt(features.clone(), labels.clone(), weight.clone(), torch.tensor(bias), vectors.clone())
    if isinstance(result, Tensor) and result.shape == (len(labels), 1):
        result = result.squeeze(1)
    attempt.close(result, plain + own, hint, mistakes, what="the logits")


def _inputs(count: int, width: int, classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(5)
    draw = (torch.randn(shape, generator=g) for shape in ((count, width), (width,), (classes, width)))
    features, weight, vectors = draw
    return features, torch.arange(count).flip(0) % classes, weight, vectors


def _projection_plain(attempt: Attempt) -> None:
    """With class vectors of zero nothing is left but the head."""
    features, labels, weight, vectors = _inputs(4, 3, 3)
    _project(attempt, features, labels, weight, 0.5, torch.zeros_like(vectors))
    _project(attempt, features[:1], labels[:1], weight, -2.0, torch.zeros_like(vectors))


def _projection_classes(attempt: Attempt) -> None:
    for count, width, classes in ((3, 2, 3), (6, 4, 10), (1, 5, 2)):
        features, labels, weight, vectors = _inputs(count, width, classes)
        _project(attempt, features, labels, weight, 0.7, vectors)


def check_projection_logits(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(features [N, F], labels [N], weight [F], bias [], vectors [classes, F]) -> logits [N]``.

    Parts: ``plain``, ``classes``.
    """
    parts = {"plain": _projection_plain, "classes": _projection_classes}
    run("projection_logits", function, "features labels weight bias vectors", parts, part)
