"""Checks of chapter 04: sides and paint of layers, asking for a class, the average with warm-up, the walk on an arc."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_course.checks.draws import hidden, nudged, seeded
from gan_course.checks.report import Attempt, Parts, cases, check
from gan_course.checks.values import near, normal

SIDES = ("convolution", "transposed")
PAINT = ("least", "most")
MEAN = "That is a mean over pixels. Which of them get less than it, and which get more?"
CORNER = "That is a corner of the picture, where only one stamp reaches. Look at its middle."
GAPS = "With a stride longer than the window there are pixels between the windows. How much do they get?"


# ------------------------------------------------------------------------------------------ sides


def _true_sides(side: int, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """What PyTorch's own layers make of such a map."""
    image, weight = torch.zeros(1, 1, side, side), torch.zeros(1, 1, kernel, kernel)
    smaller = F.conv2d(image, weight, stride=stride, padding=padding)
    larger = F.conv_transpose2d(image, weight, stride=stride, padding=padding)
    return smaller.shape[-1], larger.shape[-1]


def _compare_sides(attempt: Attempt, side: int, kernel: int, stride: int, padding: int, which: int) -> None:
    right = _true_sides(side, kernel, stride, padding)
    last = (side + 2 * padding - kernel) / stride  # the place of the last window, counted in strides
    apart = stride * (side - 1)  # from the first stamp to the last one
    if which == 0:
        hint = "Write the places of all windows along one line of a small map, and count."
        mistakes = [
            (last + 1, "There is no half window: what happens to the part of a stride that is left over?"),
            (math.ceil(last) + 1, "You rounded up. A window that would reach over the edge is left out."),
            (math.floor(last), "One too few: the first window stands at 0, before any stride was made."),
            (
                (side + padding - kernel) // stride + 1,
                "The padding was counted once. A map has two edges, and each gets it.",
            ),
            ((side - kernel) // stride + 1, "The padding has no effect in your formula."),
            ((side + 2 * padding - kernel) + 1, "The stride has no effect in your formula."),
            (side // stride, "True for many usual layers, but not for all: where do kernel and padding count?"),
        ]
    else:
        hint = "Each number stamps a window. Where does the first stamp begin, and where does the last one end?"
        mistakes = [
            (apart + kernel, "The padding has no effect. Here it cuts off what was painted beyond the edges."),
            (
                apart + kernel + 2 * padding,
                "The sign of the padding: it makes the picture larger for a convolution. And here?",
            ),
            (apart + kernel - padding, "The padding was counted once. A picture has two edges."),
            (
                side * stride + kernel - 2 * padding,
                "Too large by one stride: between n stamps there are only n - 1 strides.",
            ),
            (apart + 1 - 2 * padding, "The last stamp paints a whole window and not one pixel."),
            (side * stride, "True for many usual layers, but not for all: where do kernel and padding count?"),
        ]
    other = (right[1 - which], f"This is the side after the other layer. The order is {SIDES[0]}, {SIDES[1]}.")
    value = attempt.results(attempt(side, kernel, stride, padding), SIDES)[which]
    what = f"the side after the {SIDES[which]} layer"
    attempt.close(value, float(right[which]), hint, [other, *mistakes], what=what)


@check("output_sides(side, kernel, stride, padding) -> (convolution, transposed)")
def check_output_sides() -> Parts:
    convolution = ((9, 5, 1, 2), (7, 3, 1, 0), (28, 4, 2, 1), (9, 4, 2, 1), (32, 5, 3, 2), (11, 3, 4, 0), (13, 6, 4, 2))
    transposed = ((7, 4, 2, 1), (14, 3, 2, 1), (8, 5, 3, 2), (4, 4, 1, 0), (5, 2, 4, 0), (7, 9, 4, 2))

    def layer(r: random.Random) -> tuple[int, int, int, int]:
        kernel, stride = r.randint(1, 9), r.randint(1, 4)
        return r.randint(10, 60), kernel, stride, r.randint(0, (kernel - 1) // 2)

    return {
        "convolution": cases(_compare_sides, *convolution, *hidden(layer, 5), which=0),
        "transposed": cases(_compare_sides, *transposed, *hidden(layer, 5), which=1),
    }


# ------------------------------------------------------------------------------------------ paint


def _true_paint(kernel: int, stride: int) -> tuple[int, int]:
    """Stamp windows of ones and look at the middle of the picture."""
    side = 2 * kernel + 4
    paint = F.conv_transpose2d(torch.ones(1, 1, side, side), torch.ones(1, 1, kernel, kernel), stride=stride)
    inside = paint[..., kernel:-kernel, kernel:-kernel]
    return int(inside.min()), int(inside.max())


def _compare_paint(attempt: Attempt, kernel: int, stride: int) -> None:
    values = attempt.results(attempt(kernel, stride), PAINT)
    right = _true_paint(kernel, stride)
    line = kernel // stride, math.ceil(kernel / stride)
    for i, value in enumerate(values):
        mistakes = [
            (line[i], "This is right along one line. A picture has rows and columns, and windows are square."),
            (2 * line[i], "Rows and columns combine: for every hit along the row, how many along the column?"),
            ((kernel / stride) ** 2, MEAN),
            (kernel / stride, MEAN),
            (right[1 - i], f"The order is {PAINT[0]}, {PAINT[1]}."),
            (kernel**2, "That is the number of weights in a window. How many windows reach one pixel?"),
            ((kernel - stride) ** 2, "That is how far two neighbouring windows overlap, not how many do."),
        ]
        if i == 0:
            mistakes.insert(0, (1, CORNER if right[0] else GAPS))
        hint = (
            "Draw the windows of a kernel along one line, each a stride further than the one before. How many lie "
            "over each pixel? Then go from the line to the plane."
        )
        attempt.close(value, float(right[i]), hint, mistakes, what=f"the {PAINT[i]} paint of a pixel")


@check("paint_range(kernel, stride) -> (least, most)")
def check_paint_range() -> Parts:
    def even(r: random.Random) -> tuple[int, int]:
        stride = r.randint(2, 5)
        return stride * r.randint(3, 5), stride

    def uneven(r: random.Random) -> tuple[int, int]:
        stride = r.randint(3, 6)
        return stride * r.randint(3, 5) + r.randint(1, stride - 1), stride

    def holes(r: random.Random) -> tuple[int, int]:
        kernel = r.randint(4, 9)
        return kernel, kernel + r.randint(1, 5)

    return {
        "even": cases(_compare_paint, (4, 2), (2, 2), (6, 3), (3, 1), (8, 2), *hidden(even)),
        "uneven": cases(_compare_paint, (3, 2), (5, 2), (7, 3), (8, 5), (10, 4), *hidden(uneven)),
        "holes": cases(_compare_paint, (2, 3), (1, 2), (3, 5), (1, 4), *hidden(holes)),
    }


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
    joined = attempt.tensor(attempt(z.clone(), labels.clone(), classes), list(right.shape), hint=shape_hint)
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


def _compare_kinds(attempt: Attempt, z: Tensor, labels: Tensor, classes: int) -> None:
    hint = "A network's weights and its input must be of the same kind. Which kind has the noise?"
    attempt.dtype(_join(attempt, z, labels, classes), z.dtype, "a result", hint)


@check("noise_with_label(z [N, L], labels [N], classes) -> [N, L + classes]")
def check_noise_with_label() -> Parts:
    z, few = torch.linspace(-2, 2, 12).reshape(4, 3), torch.linspace(-2, 2, 10).reshape(2, 5)
    some = torch.tensor([3, 0])  # not every class occurs in every batch
    return {
        "values": cases(
            _join,
            (z, torch.tensor([2, 0, 1, 2]), 3),
            (z[:1], torch.tensor([1]), 2),
            (normal(5, 4, seed=1), torch.tensor([0, 3, 1, 2, 3]), 4),
            nudge=True,
        ),
        "kinds": cases(
            _compare_kinds, (few, some, 10), (few.double(), some, 10), (z.double(), some.repeat(2), 7), nudge=True
        ),
    }


# ------------------------------------------------------------------------------------------ projection


def _project(attempt: Attempt, features: Tensor, labels: Tensor, weight: Tensor, vectors: Tensor, bias: float) -> None:
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
    attempt.close(result, plain + own, hint, mistakes, what="the logits")


def _inputs(count: int, width: int, classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = seeded(5)
    features, weight, vectors = (torch.randn(s, generator=g) for s in ((count, width), (width,), (classes, width)))
    return features, torch.arange(count).flip(0) % classes, weight, vectors


@check("projection_logits(features [N, F], labels [N], weight [F], bias [], vectors [classes, F]) -> logits [N]")
def check_projection_logits() -> Parts:
    features, labels, weight, vectors = _inputs(4, 3, 3)
    no_class = torch.zeros_like(vectors)  # nothing is left but the head
    return {
        "plain": cases(
            _project,
            (features, labels, weight, no_class, 0.5),
            (features[:1], labels[:1], weight, no_class, -2.0),
        ),
        "classes": cases(_project, _inputs(3, 2, 3), _inputs(6, 4, 10), _inputs(1, 5, 2), _inputs(9, 3, 4), bias=0.7),
    }


# ------------------------------------------------------------------------------------------ average


def _follow(values: Tensor, keep: Callable[[int], float], start: Tensor | float | None = None) -> Tensor:
    """The moving average of ``values`` that keeps the share ``keep(t)`` of itself at step t."""
    averages = [values[0] if start is None else torch.as_tensor(start)]
    for t in range(1, len(values)):
        averages.append(keep(t) * averages[-1] + (1 - keep(t)) * values[t])
    return torch.stack(averages)


def _compare_averages(attempt: Attempt, values: Tensor, decay: float, share: float) -> None:
    def warm(t: float) -> float:
        return t / (t + 1 / share)

    right = _follow(values, lambda t: min(decay, warm(t)))
    mistakes = [
        (
            _follow(values, lambda t: decay),
            "No warm-up: with a decay near 1, the first, random value stays in the average for ages.",
        ),
        (_follow(values, warm), "The decay sets no limit: an average over an ever longer past never gets up to date."),
        (_follow(values, lambda t: max(decay, warm(t))), "Of the two, the one that remembers less must win."),
        (_follow(values, lambda t: min(decay, warm(t - 1))), "The step count is off by one: the first step has t = 1."),
        (_follow(values, lambda t: min(decay, warm(t + 1))), "The step count is off by one: the first step has t = 1."),
        (_follow(values, lambda t: 1 - min(decay, warm(t))), "The weights are swapped: what keeps the share d_t?"),
        (_follow(values, lambda t: min(decay, t / (t + share))), "The share was taken as it is. What does 1/s mean?"),
        (
            _follow(values, lambda t: min(decay, warm(t)), start=0.0),
            "The average starts at the first value and not at 0: both networks begin as copies of each other.",
        ),
        (values, "Nothing is averaged."),
    ]
    hint = "Follow the average by hand for two steps: how much of it is kept, and how much of the new value comes in?"
    attempt.close(attempt(values.clone(), decay, share), right, hint, mistakes, what="the averages")


def _path(count: int) -> Tensor:
    """A generator's weight: random at first, then drifting and shaking."""
    steps = torch.arange(float(count))
    return nudged(5 - 4 * (1 - torch.exp(-steps / 4)) + 0.8 * torch.sin(3 * steps))


@check("warm_average(values [T + 1], decay, share) -> averages [T + 1]", changes="values")
def check_warm_average() -> Parts:
    by_hand = nudged(torch.tensor([4.0, 0.0, 2.0]))
    return {
        "plain": cases(_compare_averages, (by_hand, 0.5, 1.0), (_path(20), 0.2, 0.5)),  # the warm-up never has a say
        "warm": cases(_compare_averages, (by_hand, 0.999, 1.0), (_path(20), 0.999, 0.25)),  # it alone has one
        "both": cases(_compare_averages, (_path(40), 0.8, 0.5), (_path(60), 0.9, 0.25)),
    }


# ------------------------------------------------------------------------------------------ walk


def _rotate(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Chapter 04's arc between ``a`` and ``b`` (not parallel) at each time ``t [K]``: ``[K, D]``."""
    angle = torch.arccos(torch.cosine_similarity(a, b, dim=0).clamp(-1, 1))
    t = t[:, None]
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def _compare_walk(attempt: Attempt, start: Tensor, end: Tensor, count: int, hint: str) -> None:
    start, end = start.double(), end.double()
    t = torch.linspace(0, 1, count, dtype=torch.float64)
    lengths = torch.lerp(start.norm(), end.norm(), t)[:, None]
    one, other = start / start.norm(), end / end.norm()
    inner = torch.linspace(0, 1, count + 2, dtype=torch.float64)[1:-1]
    straight, alike = torch.lerp(start, end, t[:, None]), near(one, other, 1e-6)

    def directions(times: Tensor) -> Tensor:
        return one.expand(len(times), -1) if alike else _rotate(one, other, times)

    right = lengths * directions(t)
    mistakes = [
        (start.expand(count, -1), "The walk stands still at the start."),
        (straight, "This is the straight line. Its middle falls inside the sphere."),
        (
            lengths * straight / straight.norm(dim=1, keepdim=True),
            "Right lengths, but the angles are uneven: the walk is fast in the middle and slow at the ends.",
        ),
        (directions(t), "All points have length 1. The directions are right; where did the lengths go?"),
        (start.norm() * directions(t), "All points are as long as the start. The end has a length of its own."),
        (right.flip(0), "The walk goes backwards."),
        (
            torch.lerp(start.norm(), end.norm(), inner)[:, None] * directions(inner),
            "The first point is the start itself, and the last one is the end.",
        ),
    ]
    if not alike:
        text = "The chapter's formula wants two vectors of the same length. Turn the direction, and change the length."
        mistakes.append((_rotate(start, end, t), text))
    result = attempt(start.float(), end.float(), count)
    attempt.close(result, right, hint, mistakes, what="the walk", tolerance=1e-3)


@check("arc_walk(start [D], end [D], count) -> [count, D]")
def check_arc_walk() -> Parts:
    x, y = torch.eye(2)
    (a, b), (c, d) = normal(2, 16, seed=2), normal(2, 16, seed=3)
    one, other = torch.tensor([1.0, 2.0, 2.0]), torch.tensor([0.3, -0.7, 0.1, 0.9])
    alike = (
        "Start and end point the same way: the angle between them is 0, and nothing can be divided by its sine. Which "
        "way does the walk go then?"
    )
    return {
        "equal": cases(
            _compare_walk,
            (2 * x, 2 * y, 3),
            (4 * a / a.norm(), 4 * b / b.norm(), 7),
            (torch.tensor([0.0, 3.0, 0.0]), torch.tensor([-2.0, -1.0, 2.0]), 2),
            *[(2 * x, 2 * (math.cos(angle) * x + math.sin(angle) * y), 5) for angle in (0.5, 0.3)],
            hint="Equal angles between neighbours, and every point as far from the origin as both ends are.",
        ),
        "lengths": cases(
            _compare_walk,
            (x, 3 * y, 3),
            (3 * c, 7 * d, 9),
            hint="Two things change evenly along the walk: the angle, and the length from the origin.",
        ),
        "alike": cases(
            _compare_walk,
            *[case for v in (one, other) for case in ((v, v, 4), (v, 3 * v, 5))],
            *hidden(lambda r: (c, r.choice([0.5, 2, 4]) * c, r.randint(3, 8))),
            hint=alike,
        ),
    }
