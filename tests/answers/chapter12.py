"""Right and wrong answers to the tasks of chapter 12."""

from __future__ import annotations

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


# ------------------------------------------------------------------------------------------ a closed walk


def arc(a, b, t):
    angle = torch.acos((a @ b) / (a.norm() * b.norm()))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def walk(way=arc, shares=lambda n: torch.arange(n) / n, legs=lambda x: zip(x, x.roll(-1, 0), strict=True)):
    def closed_walk(anchors, per_leg):
        t = shares(per_leg)[:, None]
        return torch.cat([way(a, b, t) for a, b in legs(anchors)])

    return closed_walk


def walk_by_rotation(anchors, per_leg):
    found, x = [], anchors.double().numpy()
    for i in range(len(x)):
        a, b = x[i], x[(i + 1) % len(x)]
        length = numpy.linalg.norm(a)
        side = b - (b @ a) / (a @ a) * a  # at right angles to a
        side *= length / numpy.linalg.norm(side)
        angle = numpy.arctan2(b @ side / length, b @ a / length)
        for k in range(per_leg):
            found.append(numpy.cos(k / per_leg * angle) * a + numpy.sin(k / per_leg * angle) * side)
    return torch.from_numpy(numpy.stack(found))


def line(a, b, t):
    return (1 - t) * a + t * b


def line_on_the_sphere(a, b, t):
    way = line(a, b, t)
    return a.norm() * way / way.norm(dim=1, keepdim=True)


# ------------------------------------------------------------------------------------------ tokens over time


def tokens_by_permute(maps, count):
    n, c, h, w = maps.shape
    return maps.view(n // count, count, c, h, w).permute(0, 3, 4, 1, 2).reshape(-1, count, c)


def tokens_one_by_one(maps, count):
    n, _, h, w = maps.shape
    rows = []
    for first in range(0, n, count):
        for y in range(h):
            for x in range(w):
                rows.append(maps[first : first + count, :, y, x])
    return torch.stack(rows)


def tokens(order, reverse=False, wrong_split=False):
    def tokens_over_time(maps, count):
        sizes = (count, -1) if wrong_split else (-1, count)
        apart = maps.unflatten(0, sizes)
        if wrong_split:
            apart = apart.transpose(0, 1)
        apart = apart.flip(1) if reverse else apart
        return apart.permute(*order).flatten(0, 2)

    return tokens_over_time


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


RIGHT = {
    "bounce_path": [bounce_by_folding, bounce_step_by_step],
    "closed_walk": [walk(), walk_by_rotation],
    "tokens_over_time": [tokens_by_permute, tokens_one_by_one],
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
    ],
    "closed_walk": [
        (walk(line), "straight lines"),
        (walk(line_on_the_sphere), "Divide the angle"),
        (walk(shares=lambda n: torch.linspace(0, 1, n)), "Anchors appear twice"),
        (walk(legs=pairwise), "K legs in all"),
        (lambda x, n: walk()(x, n) / x.norm(dim=1)[0], "have length 1"),
        (walk(lambda a, b, t: arc(b, a, t)), "walked backwards"),
    ],
    "tokens_over_time": [
        (lambda maps, n: maps.reshape(-1, n, maps.shape[1]), "shuffled"),
        (lambda maps, n: maps.flatten(2).transpose(1, 2), "an axis each"),
        (tokens((0, 4, 3, 1, 2)), "column by column"),
        (tokens((0, 3, 4, 1, 2), reverse=True), "Time runs backwards"),
        (tokens((0, 3, 4, 2, 1)), "an axis each"),
    ],
    "fill_gaps": [
        (lambda places, seen: places, "Nothing was filled"),
        (lambda places, seen: places * seen[:, None], "the middle of the picture"),
        (lambda places, seen: torch.where(seen[:, None], places, places[seen].mean(dim=0)), "its own neighbours"),
        (gaps(lambda x, i, a, b: x[min(a, i) if a <= i else a]), "is held until the next"),
        (gaps(lambda x, i, a, b: x[a] if i - a <= b - i else x[b]), "jumps halfway"),
        (gaps(lambda x, i, a, b: (x[a] + x[b]) / 2), "halfway: weigh by the time"),
        (lambda places, seen: places[seen], "which seen frames come before and after"),
    ],
}

# The part that passes and the one that fails.
HALF_RIGHT = {
    "bounce_path": [(mirrored_once, "once", "often")],
    "tokens_over_time": [
        (tokens((0, 3, 4, 1, 2), wrong_split=True), "one", "several"),
        (tokens((3, 4, 0, 1, 2)), "one", "several"),
    ],
    "fill_gaps": [(go_on_outside, "inside", "ends")],
}
