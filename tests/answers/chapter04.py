"""Right and wrong answers to the tasks of chapter 04."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from gan_course import networks

# ------------------------------------------------------------------------------------------ layers


def sides(
    convolution=lambda n, k, s, p: (n + 2 * p - k) // s + 1, transposed=lambda n, k, s, p: s * (n - 1) + k - 2 * p
):
    """A right answer with one of its formulas replaced."""
    return lambda n, k, s, p: (convolution(n, k, s, p), transposed(n, k, s, p))


def sides_by_layers(side, kernel, stride, padding):
    picture = torch.zeros(1, 1, side, side)
    layers = (kind(1, 1, kernel, stride, padding) for kind in (nn.Conv2d, nn.ConvTranspose2d))
    return tuple(layer(picture).shape[-1] for layer in layers)


def sides_by_counting(side, kernel, stride, padding):
    starts = [i for i in range(-padding, side + padding, stride) if i + kernel <= side + padding]
    reached = {i * stride + j for i in range(side) for j in range(kernel)}
    return [len(starts), max(reached) + 1 - 2 * padding]


def paint_by_stamping(kernel, stride):
    ones = torch.ones(1, 1, 20, 20)
    paint = F.conv_transpose2d(ones, torch.ones(1, 1, kernel, kernel), stride=stride)[0, 0]
    middle = paint[20:-20, 20:-20] if stride > 2 else paint[kernel:-kernel, kernel:-kernel]
    return middle.min(), middle.max()


def paint_by_counting(kernel, stride):
    line = [len(range(place, kernel, stride)) for place in range(stride)]
    return min(line) ** 2, max(line) ** 2


def paint_with_corners(kernel, stride):
    paint = F.conv_transpose2d(torch.ones(1, 1, 20, 20), torch.ones(1, 1, kernel, kernel), stride=stride)
    return paint.min(), paint.max()


# ------------------------------------------------------------------------------------------ classes


def joined(z, labels, classes):
    return torch.cat([z, F.one_hot(labels, classes).to(z)], dim=1)


def joined_by_eye(z, labels, classes):
    return torch.hstack([z, torch.eye(classes, dtype=z.dtype)[labels]])


def joined_by_comparison(z, labels, classes):
    result = z.new_zeros(len(z), z.shape[1] + classes)
    result[:, : z.shape[1]] = z
    result[:, z.shape[1] :] = labels[:, None] == torch.arange(classes)
    return result


def joined_in_place(z, labels, classes):
    result = joined(z, labels, classes)
    z.zero_()
    return result


def project(verdict):
    """The head's logit plus ``verdict(features, labels, vectors, weight)``."""
    return lambda features, labels, weight, bias, vectors: (
        features @ weight + bias + verdict(features, labels, vectors, weight)
    )


def project_by_network(features, labels, weight, bias, vectors):
    """The course's own network."""
    network = networks.ConvDiscriminator(classes=len(vectors))
    network.features = nn.Sequential()
    network.features.forward = lambda pictures: features
    network.head = nn.Linear(len(weight), 1)
    network.of_class = nn.Linear(len(weight), len(vectors), bias=False)
    network.of_class.weight.data = vectors
    network.head.weight.data, network.head.bias.data = weight[None], bias[None]
    return network(torch.zeros(len(labels), 1, 28, 28), labels).detach()


def own(features, labels, vectors, weight):
    return (features * vectors[labels]).sum(1)


# ------------------------------------------------------------------------------------------ average and walk


def average(
    keep=lambda decay, share, t: min(decay, t / (t + 1 / share)), mix=lambda d, old, new: d * old + (1 - d) * new
):
    def warm_average(values, decay, share):
        result = [values[0]]
        for t in range(1, len(values)):
            result.append(mix(keep(decay, share, t), result[-1], values[t]))
        return torch.stack(result)

    return warm_average


def average_in_place(values, decay, share):
    for t in range(1, len(values)):
        rate = max(1 - decay, 1 / (t * share + 1))
        values[t] = values[t - 1] + rate * (values[t] - values[t - 1])
    return values


def average_from_zero(values, decay, share):
    return average()(torch.cat([torch.zeros(1), values[1:]]), decay, share)


def walk(start, end, count):
    """The usual answer, in a loop."""
    a, b = start / start.norm(), end / end.norm()
    angle = torch.acos((a @ b).clamp(-1, 1))
    points = []
    for t in torch.linspace(0, 1, count):
        direction = a
        if angle > 1e-3:
            direction = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
        points.append(torch.lerp(start.norm(), end.norm(), t) * direction)
    return torch.stack(points)


def walk_by_turning(start, end, count):
    """Turn in the plane of both, from the start towards what of the end is at a right angle to it."""
    t = torch.linspace(0, 1, count, dtype=torch.float64)[:, None]
    start, end = start.double(), end.double()
    one = start / start.norm()
    aside = end - (end @ one) * one
    angle = torch.atan2(aside.norm(), end @ one)
    aside = aside / aside.norm().clamp_min(1e-12)
    return (start.norm() + t * (end.norm() - start.norm())) * (
        torch.cos(t * angle) * one + torch.sin(t * angle) * aside
    )


def formula(a, b, t):
    angle = torch.acos(torch.cosine_similarity(a, b, dim=0))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def walk_with(point):
    """Each point is ``point(start, end, t)``."""
    return lambda start, end, count: torch.stack([point(start, end, t) for t in torch.linspace(0, 1, count)])


def unit(x):
    return x / x.norm()


def evenly_long(start, end, t):
    return (1 - t) * start.norm() + t * end.norm()


RIGHT = {
    "output_sides": [sides(), sides_by_layers, sides_by_counting],
    "paint_range": [lambda k, s: ((k // s) ** 2, math.ceil(k / s) ** 2), paint_by_counting, paint_by_stamping],
    "noise_with_label": [joined, joined_by_eye, joined_by_comparison],
    "projection_logits": [
        project(own),
        project_by_network,
        lambda f, y, w, b, v: torch.einsum("nf,nf->n", f, w + v[y]) + b,
        lambda f, y, w, b, v: (f @ (w + v).T + b).gather(1, y[:, None])[:, 0],
    ],
    "warm_average": [average(), average(mix=lambda d, old, new: old.lerp(new, 1 - d)), average_in_place],
    "arc_walk": [walk, walk_by_turning],
}

WRONG = {
    "output_sides": [
        (sides(convolution=lambda n, k, s, p: (n + 2 * p - k) / s + 1), "half window"),
        (sides(convolution=lambda n, k, s, p: math.ceil((n + 2 * p - k) / s) + 1), "rounded up"),
        (sides(convolution=lambda n, k, s, p: (n + 2 * p - k) // s), "One too few"),
        (sides(convolution=lambda n, k, s, p: (n + p - k) // s + 1), "two edges"),
        (sides(convolution=lambda n, k, s, p: (n - k) // s + 1), "padding has no effect"),
        (sides(convolution=lambda n, k, s, p: n // s), "not for all"),
        (sides(transposed=lambda n, k, s, p: n * s), "not for all"),
        (sides(transposed=lambda n, k, s, p: s * (n - 1) + k), "cuts off"),
        (sides(transposed=lambda n, k, s, p: s * (n - 1) + k + 2 * p), "sign of the padding"),
        (sides(transposed=lambda n, k, s, p: s * (n - 1) + k - p), "two edges"),
        (sides(transposed=lambda n, k, s, p: s * n + k - 2 * p), "n - 1 strides"),
        (lambda n, k, s, p: sides()(n, k, s, p)[::-1], "The order is convolution, transposed"),
        (lambda n, k, s, p: sides()(n, k, s, p)[0], "two results"),
    ],
    "paint_range": [
        (lambda k, s: (k // s, math.ceil(k / s)), "rows and columns"),
        (lambda k, s: ((k / s) ** 2, (k / s) ** 2), "a mean over pixels"),
        (lambda k, s: (math.ceil(k / s) ** 2, (k // s) ** 2), "The order is least, most"),
        (paint_with_corners, "a corner of the picture"),
        (lambda k, s: (max(1, k // s) ** 2, math.ceil(k / s) ** 2), "pixels between the windows"),
        (lambda k, s: ((k // s) ** 2, k**2), "number of weights"),
        (lambda k, s: k % s == 0, "two results"),
        (lambda k, s: (2 * (k // s), 2 * math.ceil(k / s)), "Rows and columns combine"),
        (lambda k, s: (k * s + 5, 0), "Draw the windows"),
    ],
    "noise_with_label": [
        (lambda z, y, n: torch.cat([z, y[:, None]], dim=1), "one for each class"),
        (lambda z, y, n: torch.cat([F.one_hot(y, n), z], dim=1), "The noise comes first"),
        (lambda z, y, n: torch.cat([z, y[:, None].expand(-1, n)], dim=1), "Give each class a column"),
        (lambda z, y, n: torch.cat([z, 1 - F.one_hot(y, n)], dim=1), "a single 1"),
        (lambda z, y, n: torch.cat([z, F.one_hot(y)], dim=1), "does not occur in this batch"),
        (lambda z, y, n: joined(z, y, n).float(), "dtype float32"),
        (lambda z, y, n: joined(z, (y + 1) % n, n), "too far to the right"),
        (joined_in_place, "z was changed"),
        (lambda z, y, n: torch.cat([z, F.one_hot(y, n).to(z)]), "3 columns of noise, then 3"),
        (lambda z, y, n: F.one_hot(y, n).to(z), "columns of noise"),
    ],
    "projection_logits": [
        (project(lambda f, y, v, w: 0.0), "The label has no effect"),
        (lambda f, y, w, b, v: (f * v[y]).sum(1), "looks real at all"),
        (lambda f, y, w, b, v: (f * (w + v[y])).sum(1), "hint: The bias is missing"),
        (project(lambda f, y, v, w: (f * v[y]).mean(1)), "their sum, not their mean"),
        (project(lambda f, y, v, w: f @ v.T), "got: the error RuntimeError"),
        (lambda f, y, w, b, v: (f @ w + b)[:, None] + f @ v.T, "the logits with shape [4, 3]"),
        (lambda f, y, w, b, v: (f @ (w + v).T + b).gather(1, y[:, None]), "the logits with shape [4, 1]"),
        (project(lambda f, y, v, w: (f @ v.T).sum(1)), "All class vectors were added"),
        (project(lambda f, y, v, w: (f @ v.T).max(1).values), "The best class"),
        (project(lambda f, y, v, w: (f @ v.T)[:, 0]), "compared with class 0"),
        (project(lambda f, y, v, w: v[y].sum(1)), "must meet the features"),
        (project(lambda f, y, v, w: -own(f, y, v, w)), "should raise"),
        (lambda *all_: project(own)(*all_).sigmoid(), "a sigmoid too many"),
        (lambda *all_: project(own)(*all_).mean(), "the logits with shape []"),
    ],
    "warm_average": [
        (average(keep=lambda decay, share, t: decay), "No warm-up"),
        (average(keep=lambda decay, share, t: t / (t + 1 / share)), "no limit"),
        (average(keep=lambda decay, share, t: max(decay, t / (t + 1 / share))), "remembers less"),
        (average(keep=lambda decay, share, t: min(decay, (t - 1) / (t - 1 + 1 / share))), "off by one"),
        (average(keep=lambda decay, share, t: min(decay, (t + 1) / (t + 1 + 1 / share))), "off by one"),
        (average(mix=lambda d, old, new: (1 - d) * old + d * new), "weights are swapped"),
        (average(keep=lambda decay, share, t: min(decay, t / (t + share))), "What does 1/s mean"),
        (average_from_zero, "at the first value"),
        (lambda values, decay, share: average()(values, decay, share)[-1], "the averages with shape []"),
        (lambda values, decay, share: values, "Nothing is averaged"),
    ],
    "arc_walk": [
        (walk_with(torch.lerp), "straight line"),
        (walk_with(lambda a, b, t: evenly_long(a, b, t) * unit(torch.lerp(a, b, t))), "angles are uneven"),
        (walk_with(lambda a, b, t: formula(unit(a), unit(b), t)), "where did the lengths go"),
        (walk_with(lambda a, b, t: a.norm() * formula(unit(a), unit(b), t)), "a length of its own"),
        (walk_with(formula), "two vectors of the same length"),
        (walk_with(lambda a, b, t: evenly_long(a, b, t) * formula(unit(a), unit(b), t)), "the angle between"),
        (lambda a, b, n: walk(b, a, n), "goes backwards"),
        (lambda a, b, n: walk(a, b, n + 2)[1:-1], "The first point is the start itself"),
        (lambda a, b, n: walk(a, b, n + 1), "the walk with shape"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses


def walk_straight_where_it_is_short(start, end, count):
    if torch.cosine_similarity(start, end, dim=0) < math.cos(0.52):
        return walk(start, end, count)
    t = torch.linspace(0, 1, count)[:, None]
    line = torch.lerp(start / start.norm(), end / end.norm(), t)
    return torch.lerp(start.norm(), end.norm(), t) * line / line.norm(dim=1, keepdim=True)


RIGHT["output_sides"] += [
    lambda *case: torch.tensor(sides()(*case)),
    lambda *case: [np.int64(side) for side in sides()(*case)],
]
WRONG["output_sides"] += [
    (sides(convolution=lambda n, k, s, p: round((n + 2 * p - k) / s) + 1), "Write the places of all windows"),
]
WRONG["noise_with_label"] += [
    (lambda z, y, n: torch.cat([z, F.one_hot(y, n).double()], dim=1), "dtype float64"),
    (lambda z, y, n: joined(z, y.clamp_(max=0), n), "labels was changed"),
]
WRONG["projection_logits"] += [
    (project(lambda f, y, v, w: own(f, y, v, w) / f.shape[1] ** 0.5), "Two verdicts are added"),
    (project(lambda f, y, v, w: own(f, y.flip(0), v, w)), "Two verdicts are added"),
]
WRONG["arc_walk"] += [(walk_straight_where_it_is_short, "Equal angles")]
WRONG["arc_walk"] += [(lambda a, b, n: walk(a, b.mul_(1.5), n), "end was changed")]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "output_sides": [
        (sides(transposed=lambda n, k, s, p: n * s), "convolution", "transposed"),
        (sides(convolution=lambda n, k, s, p: n // s), "transposed", "convolution"),
    ],
    "paint_range": [
        (lambda k, s: (round((k / s) ** 2), round((k / s) ** 2)), "even", "uneven"),
        (lambda k, s: (max(1, k // s) ** 2, math.ceil(k / s) ** 2), "uneven", "holes"),
    ],
    "noise_with_label": [(lambda z, y, n: torch.cat([z, F.one_hot(y)], dim=1), "values", "kinds")],
    "projection_logits": [(project(lambda f, y, v, w: 0.0), "plain", "classes")],
    "warm_average": [
        (average(keep=lambda decay, share, t: decay), "plain", "warm"),
        (average(keep=lambda decay, share, t: t / (t + 1 / share)), "warm", "both"),
    ],
    "arc_walk": [
        (walk_with(formula), "equal", "lengths"),
        (walk_with(lambda a, b, t: evenly_long(a, b, t) * formula(unit(a), unit(b), t)), "lengths", "alike"),
    ],
}
