"""Right and wrong answers to the tasks of chapter 12."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy
import torch

# ------------------------------------------------------------------------------------------ bounces


def bounce_by_folding(start, velocity, frames, reach):
    free = start + velocity * torch.arange(frames)[:, None]
    return reach - ((free + reach).remainder(4 * reach) - 2 * reach).abs()


def bounce_step_by_step(start, velocity, frames, reach):
    place, step, found = start.double().numpy().copy(), velocity.double().numpy().copy(), []
    for _ in range(frames):
        found.append(place.copy())
        place += step
        while (abs(place) > reach).any():
            for axis in range(2):
                if abs(place[axis]) > reach:
                    place[axis] = numpy.sign(place[axis]) * 2 * reach - place[axis]
                    step[axis] *= -1
    return torch.from_numpy(numpy.array(found))


def mirrored_once(start, velocity, frames, reach):
    free = start + velocity * torch.arange(frames)[:, None]
    return torch.where(free.abs() > reach, 2 * reach * free.sign() - free, free)


def free_path(change):
    return lambda start, velocity, frames, reach: change(start + velocity * torch.arange(frames)[:, None], reach)


def turned_late(clamp):
    def bounce_path(start, velocity, frames, reach):
        place, step, found = start.clone(), velocity.clone(), []
        for _ in range(frames):
            found.append(place)
            place = place + step
            step = torch.where(place.abs() > reach, -step, step)
            if clamp:
                place = place.clamp(-reach, reach)
        return torch.stack(found)

    return bounce_path


def bounce_mirrored(turn, often=True):
    """Step by step, the place mirrored; ``turn(step, beyond)`` is the step after a bounce."""

    def bounce_path(start, velocity, frames, reach):
        place, step, found = start.clone(), velocity.clone(), []
        for _ in range(frames):
            found.append(place)
            place = place + step
            while (beyond := place.abs() > reach).any():
                place = torch.where(beyond, 2 * reach * place.sign() - place, place)
                step = turn(step, beyond)
                if not often:
                    break
        return torch.stack(found)

    return bounce_path


# ------------------------------------------------------------------------------------------ a closed walk


def angle_of(a, b):
    return torch.acos((a @ b) / (a.norm() * b.norm()))


def arc(a, b, t, angle):
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def walk(
    way=arc,
    shares=lambda n: torch.arange(n) / n,
    legs=lambda x: zip(x, x.roll(-1, 0), strict=True),
    points=math.ceil,
    measure=angle_of,
):
    def closed_walk(anchors, step):
        found = []
        for a, b in legs(anchors):
            angle = measure(a, b)
            count = max(1, points(angle.item() / step)) if angle.isfinite() else 1
            found.append(way(a, b, shares(count)[:, None], angle))
        return torch.cat(found)

    return closed_walk


def walk_by_rotation(anchors, step):
    found, x = [], anchors.double().numpy()
    for i in range(len(x)):
        a, b = x[i], x[(i + 1) % len(x)]
        length = numpy.linalg.norm(a)
        side = b - (b @ a) / (a @ a) * a  # at right angles to a
        side *= length / numpy.linalg.norm(side)
        angle = numpy.arctan2(b @ side / length, b @ a / length)
        n = int(numpy.ceil(angle / step))
        for k in range(n):
            found.append(numpy.cos(k / n * angle) * a + numpy.sin(k / n * angle) * side)
    return torch.from_numpy(numpy.stack(found))


def line(a, b, t, angle):
    return (1 - t) * a + t * b


def line_on_the_sphere(a, b, t, angle):
    way = line(a, b, t, angle)
    return a.norm() * way / way.norm(dim=1, keepdim=True)


# ------------------------------------------------------------------------------------------ tokens over time


def tokens_by_permute(maps, count, window):
    n, c, h, w = maps.shape
    return maps.view(n // count, count, c, h, w).permute(0, 3, 4, 1, 2).reshape(-1, window, c)


def tokens_one_by_one(maps, count, window):
    n, _, h, w = maps.shape
    rows = []
    for first in range(0, n, count):
        for y in range(h):
            for x in range(w):
                for begin in range(first, first + count, window):
                    rows.append(maps[begin : begin + window, :, y, x])
    return torch.stack(rows)


def tokens(order=(0, 4, 5, 1, 2, 3), cut=lambda x, window: x.unflatten(1, (-1, window)), last=lambda x: x):
    """``order``: of the axes clips, windows, frames, channels, rows and columns."""

    def tokens_over_time(maps, count, window):
        apart = cut(maps.unflatten(0, (-1, count)), window)
        return last(apart.permute(*order).flatten(0, 3))

    return tokens_over_time


def tokens_of_mixed_clips(maps, count, window):
    return tokens()(maps.unflatten(0, (count, -1)).transpose(0, 1).flatten(0, 1), count, window)


# ------------------------------------------------------------------------------------------ gaps


def gaps_by_numpy(places, seen):
    there = numpy.flatnonzero(seen.numpy())
    time = numpy.arange(len(seen))
    columns = [numpy.interp(time, there, places.numpy()[there, k]) for k in range(2)]
    return torch.from_numpy(numpy.stack(columns, axis=1))


def gaps_by_loop(places, seen):
    made, there = places.clone(), seen.nonzero().flatten().tolist()
    for i in range(len(seen)):
        before, after = [k for k in there if k <= i], [k for k in there if k >= i]
        if not before or not after:
            made[i] = places[after[0] if after else before[-1]]
        elif before[-1] != after[0]:
            share = (i - before[-1]) / (after[0] - before[-1])
            made[i] = torch.lerp(places[before[-1]], places[after[0]], share)
    return made


def gaps(between):
    def fill_gaps(places, seen):
        made, there = places.clone(), seen.nonzero().flatten().tolist()
        for i in range(len(seen)):
            before = max((k for k in there if k <= i), default=there[0])
            after = min((k for k in there if k >= i), default=there[-1])
            made[i] = between(places, i, before, after)
        return made

    return fill_gaps


def go_on_outside(places, seen):
    made, there = gaps_by_loop(places, seen), seen.nonzero().flatten().tolist()
    if len(there) > 1:
        for i in range(len(seen)):
            if i < there[0] or i > there[-1]:
                one, two = there[:2] if i < there[0] else there[-2:]
                made[i] = places[one] + (i - one) / (two - one) * (places[two] - places[one])
    return made


def ends_as_they_are(places, seen):
    made, there = gaps_by_loop(places, seen), seen.nonzero().flatten()
    made[: there[0]], made[there[-1] + 1 :] = places[: there[0]], places[there[-1] + 1 :]
    return made


def gaps_by_weights(places, seen):
    """Right, but for what stands where nothing was seen."""
    return gaps_by_loop(torch.eye(len(seen)), seen) * seen @ places


RIGHT = {
    "bounce_path": [
        bounce_by_folding,
        bounce_step_by_step,
        bounce_mirrored(lambda step, beyond: torch.where(beyond, -step, step)),
    ],
    "closed_walk": [walk(), walk_by_rotation],
    "tokens_over_time": [tokens_by_permute, tokens_one_by_one, tokens()],
    "fill_gaps": [gaps_by_numpy, gaps_by_loop],
}

WRONG = {
    "bounce_path": [
        (free_path(lambda x, r: x), "It leaves the picture"),
        (free_path(lambda x, r: x.clamp(-r, r)), "stays at the border"),
        (free_path(lambda x, r: (x + r).remainder(2 * r) - r), "comes in again on the other side"),
        (lambda s, v, n, r: bounce_by_folding(s + v, v, n, r), "In frame 0 it is at the start"),
        (turned_late(clamp=False), "mirror it"),
        (turned_late(clamp=True), "still has its whole length"),
        (lambda s, v, n, r: bounce_by_folding(s, v, n, 1.0), "not at -1 and 1"),
        (lambda s, v, n, r: bounce_by_folding(s, v, n, r).flip(1), "Right and down are exchanged"),
        *[
            (bounce_mirrored(turn, often), words)
            for turn, words in (
                (lambda step, beyond: step, "After a bounce the step points the other way"),
                (lambda step, beyond: -step, "Only the direction that met its wall turns"),
            )
            for often in (True, False)
        ],
        (
            lambda s, v, n, r: bounce_by_folding(s, v, n + 1, r),
            "Axis 0, counted from 0, has length 7 and should have 6",
        ),
        (lambda s, v, n, r: bounce_by_folding(s, v, n, r).T, "Axes 0 and 1, counted from 0, are exchanged"),
    ],
    "closed_walk": [
        (walk(line), "straight lines"),
        (walk(line_on_the_sphere), "Divide the angle"),
        (walk(shares=lambda n: torch.linspace(0, 1, n)), "Anchors appear twice"),
        (walk(shares=lambda n: torch.linspace(0, 1, n + 1)), "Anchors appear twice"),
        (walk(shares=lambda n: torch.arange(1, n + 1) / n), "the first share is 0"),
        (walk(shares=lambda n: torch.arange(1, n + 1) / (n + 1)), "the first share is 0"),
        (walk(shares=lambda n: (1 - torch.cos(math.pi * torch.arange(n) / n)) / 2), "slows down near the anchors"),
        (walk(points=math.floor), "a step is longer than `step`"),
        (walk(points=round), "a step may be longer than `step`"),
        (walk(points=lambda _: 5), "a number of points of its own"),
        (walk(measure=lambda a, b: torch.acos(a @ b)), "divided by both lengths"),
        (walk(measure=lambda a, b: torch.acos((a @ b).clamp(-1, 1))), "divided by both lengths"),
        (walk(legs=pairwise), "The way home is missing"),
        (lambda x, step: torch.cat([walk()(x, step), x[:1]]), "comes before the first anchor"),
        (lambda x, step: walk()(x, step)[::2], "has length"),
        (lambda x, n: walk()(x, n) / x.norm(dim=1)[0], "have length 1"),
        (walk(lambda a, b, t, angle: arc(b, a, t, angle)), "walked backwards"),
    ],
    "tokens_over_time": [
        (lambda maps, n, window: maps.reshape(-1, window, maps.shape[1]), "shuffled"),
        (lambda maps, n, window: maps.flatten(2).transpose(1, 2), "an axis each"),
        (tokens((0, 5, 4, 1, 2, 3)), "column by column"),
        (tokens(last=lambda x: x.flip(1)), "Time runs backwards"),
        (tokens((0, 4, 5, 1, 3, 2)), "an axis each"),
        (tokens((0, 1, 4, 5, 2, 3)), "All places of one window come together"),
        (tokens((0, 4, 5, 2, 1, 3), cut=lambda x, window: x.unflatten(1, (window, -1))), "frames apart"),
        (lambda maps, n, window: tokens()(maps, n, n), "cut it into windows"),
    ],
    "fill_gaps": [
        (lambda places, seen: places, "Nothing was filled"),
        (lambda places, seen: places * seen[:, None], "the middle of the picture"),
        (lambda places, seen: torch.where(seen[:, None], places, places[seen].mean(dim=0)), "its own neighbours"),
        (gaps(lambda x, i, a, b: x[min(a, i) if a <= i else a]), "is held until the next"),
        (gaps(lambda x, i, a, b: x[a] if i - a <= b - i else x[b]), "jumps halfway"),
        (gaps(lambda x, i, a, b: (x[a] + x[b]) / 2), "halfway: weigh by the time"),
        (ends_as_they_are, "Before the first and after the last seen frame nothing was filled"),
        (gaps_by_weights, "0 times infinity is NaN"),
        (lambda places, seen: places[seen], "which seen frames come before and after"),
    ],
}

# The part that passes and the one that fails.
HALF_RIGHT = {
    "bounce_path": [(mirrored_once, "once", "often")],
    "tokens_over_time": [
        (tokens_of_mixed_clips, "one", "several"),
        (tokens((4, 5, 0, 1, 2, 3)), "one", "several"),
    ],
    "fill_gaps": [(go_on_outside, "inside", "ends"), (ends_as_they_are, "inside", "ends")],
}
