"""Checks of chapter 12: a path with bounces, a closed walk, tokens over time, places that nobody has seen."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, Parts, cases, check
from gan_course.checks.values import normal

# ------------------------------------------------------------------------------------------ bounces


def _folded(free: Tensor, reach: float) -> Tensor:
    """Free positions mirrored at both borders, as often as it takes."""
    return reach - ((free + reach).remainder(4 * reach) - 2 * reach).abs()


def _turned_late(start: Tensor, velocity: Tensor, frames: int, reach: float, clamp: bool) -> Tensor:
    """The direction turns at the border, but what was gone too far is not given back."""
    place, step, found = start.clone(), velocity.clone(), []
    for _ in range(frames):
        found.append(place)
        place = place + step
        step = torch.where(place.abs() > reach, -step, step)
        place = place.clamp(-reach, reach) if clamp else place
    return torch.stack(found)


def _compare_bounces(attempt: Attempt, start: list[float], velocity: list[float], frames: int, reach: float) -> None:
    a, v = torch.tensor(start), torch.tensor(velocity)
    x, step = a.double(), v.double()
    free = x + step * torch.arange(frames).double()[:, None]
    right = _folded(free, reach)
    mistakes = [
        (free, "It leaves the picture: at the border it has to turn round."),
        (free.clamp(-reach, reach), "It stays at the border instead of coming back."),
        ((free + reach).remainder(2 * reach) - reach, "It comes in again on the other side instead of coming back."),
        (_folded(free + step, reach), "In frame 0 it is at the start: the first step follows after it."),
        (_turned_late(x, step, frames, reach, clamp=False), "What was gone beyond the border counts, too: mirror it."),
        (_turned_late(x, step, frames, reach, clamp=True), "A step that meets the border still has its whole length."),
        (_folded(free, 1.0), "The borders lie at -reach and reach, not at -1 and 1."),
        (right.flip(1), "Right and down are exchanged."),
    ]
    hint = "Let it go straight on, then mirror at the border what lies beyond. Does one mirror do?"
    attempt.close(attempt(a, v, frames, reach), right, hint, mistakes, what="the path")


@check("bounce_path(start [2], velocity [2], frames, reach) -> places [frames, 2]")
def check_bounce_path() -> Parts:
    return {
        "once": cases(
            _compare_bounces,
            ([2.0, -1.0], [1.5, 0.5], 6, 5.0),
            ([-3.0, 4.0], [-0.8, 1.1], 7, 6.0),
            ([0.0, 3.0], [1.0, -1.7], 5, 3.5),
            nudge=True,
        ),
        "often": cases(
            _compare_bounces, ([0.5, -1.0], [3.3, -2.6], 12, 2.0), ([1.0, 0.0], [-7.9, 5.2], 9, 1.5), nudge=True
        ),
    }


# ------------------------------------------------------------------------------------------ a closed walk


def _arc(a: Tensor, b: Tensor, t: Tensor, angle: Tensor | None = None) -> Tensor:
    angle = ((a @ b) / (a.norm() * b.norm())).acos() if angle is None else angle
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


def _compare_walk(attempt: Attempt, count: int, width: int, per_leg: int, length: float) -> None:
    anchors = normal(count, width, seed=count + width)
    anchors = length * anchors / anchors.norm(dim=1, keepdim=True)
    x = anchors.double()
    t = (torch.arange(per_leg).double() / per_leg)[:, None]
    shut = torch.linspace(0, 1, per_leg).double()[:, None]
    legs = list(zip(x, x.roll(-1, 0), strict=True))
    straight = torch.cat([(1 - t) * a + t * b for a, b in legs])
    right = torch.cat([_arc(a, b, t) for a, b in legs])
    mistakes = [
        (straight, "These are straight lines: in the middle of a leg the points lie too near to the origin."),
        (
            length * straight / straight.norm(dim=1, keepdim=True),
            "The points lie on the sphere, but unevenly: the walk is fast in the middle of a leg. Divide the angle.",
        ),
        (
            torch.cat([_arc(a, b, shut) for a, b in legs]),
            "Anchors appear twice: a leg ends before the next begins.",
        ),
        (right / length, "The points have length 1, the anchors don't."),
        (torch.cat([_arc(b, a, t) for a, b in legs]), "Each leg is walked backwards: it begins at its own anchor."),
    ]
    hint = "One leg first: its angle from the cosine, then sines of the shares of that angle. K legs in all."
    attempt.close(attempt(anchors, per_leg), right, hint, mistakes, what="the walk", tolerance=1e-4)


@check("closed_walk(anchors [K, D], per_leg) -> walk [K * per_leg, D]")
def check_closed_walk() -> Parts:
    return {
        "back": cases(_compare_walk, (2, 6, 4, 1.0), (2, 9, 5, 3.0)),
        "round": cases(_compare_walk, (3, 5, 4, 2.0), (4, 16, 3, 4.0), (5, 7, 1, 1.5)),
    }


# ------------------------------------------------------------------------------------------ tokens over time


def _compare_tokens(attempt: Attempt, clips: int, count: int, channels: int, height: int, width: int) -> None:
    maps = normal(clips * count, channels, height, width, seed=count)
    x = maps.double()
    apart = x.unflatten(0, (clips, count))  # [N, T, C, H, W]
    places = clips * height * width
    mistakes = [
        (x.reshape(places, count, channels), "The shape is right, but the numbers are shuffled: move the axes first."),
        (
            apart.permute(0, 4, 3, 1, 2).reshape(places, count, channels),
            "The places come column by column: go through each row of the picture first.",
        ),
        (
            x.unflatten(0, (count, clips)).permute(1, 3, 4, 0, 2).reshape(places, count, channels),
            "The frames of different clips are mixed: the first T pictures are the first clip.",
        ),
        (
            apart.permute(3, 4, 0, 1, 2).reshape(places, count, channels),
            "All clips of one place come together: all places of the first clip come first.",
        ),
        (apart.flip(1).permute(0, 3, 4, 1, 2).flatten(0, 2), "Time runs backwards."),
    ]
    right = apart.permute(0, 3, 4, 1, 2).flatten(0, 2)
    hint = "Give clips and frames an axis each. Which axes have to stand in front, and which two last?"
    attempt.close(attempt(maps, count), right, hint, mistakes, what="the tokens")


@check("tokens_over_time(maps [N * T, C, H, W], count) -> tokens [N * H * W, T, C]")
def check_tokens_over_time() -> Parts:
    return {
        "one": cases(_compare_tokens, (1, 4, 3, 2, 5), (1, 2, 5, 3, 2)),
        "several": cases(_compare_tokens, (3, 4, 2, 2, 3), (2, 5, 3, 4, 2), (3, 1, 4, 2, 2)),
    }


# ------------------------------------------------------------------------------------------ gaps


def _compare_gaps(attempt: Attempt, places: list[tuple[float, float]], seen: list[bool]) -> None:
    a, known = torch.tensor(places), torch.tensor(seen)
    x = a.double()
    there = [i for i, yes in enumerate(seen) if yes]
    last, nearest, halved, right, outward = (x.clone() for _ in range(5))
    for i in range(len(seen)):
        before, after = max((k for k in there if k <= i), default=None), min((k for k in there if k >= i), default=None)
        first, second = before if before is not None else after, after if after is not None else before
        assert first is not None and second is not None
        share = 0.0 if first == second else (i - first) / (second - first)
        last[i], halved[i] = x[first], (x[first] + x[second]) / 2
        nearest[i] = x[first] if share <= 0.5 else x[second]
        right[i] = outward[i] = (1 - share) * x[first] + share * x[second]
        if (before is None or after is None) and len(there) > 1:
            one, two = there[:2] if before is None else there[-2:]
            outward[i] = x[one] + (i - one) / (two - one) * (x[two] - x[one])
    hole = ~known[:, None]
    mistakes = [
        (x, "Nothing was filled."),
        (x.masked_fill(hole, 0.0), "0 is a place, too: the middle of the picture."),
        (torch.where(hole, x[known].mean(dim=0), x), "All gaps have one place. Each depends on its own neighbours."),
        (last, "The last place is held until the next is seen: the thing jumps. Share the way out evenly."),
        (nearest, "The nearest seen place is taken: the thing jumps halfway."),
        (halved, "All frames of a gap lie halfway: weigh by the time to either neighbour."),
        (outward, "Before the first and after the last seen frame nobody knows the speed: hold the nearest place."),
    ]
    hint = "For a frame that was not seen: which seen frames come before and after it, and how far off are they?"
    attempt.close(attempt(a, known), right, hint, mistakes, what="the places")


@check("fill_gaps(places [T, 2], seen [T]) -> places [T, 2]")
def check_fill_gaps() -> Parts:
    return {
        "inside": cases(
            _compare_gaps,
            ([(0.0, 1.0), (9.0, 9.0), (9.0, -9.0), (3.0, 4.0), (4.0, 6.0)], [True, False, False, True, True]),
            (
                [(1.0, 2.0), (50.0, 0.0), (3.0, -2.0), (7.0, 7.0), (8.0, 8.0), (-1.0, 0.0), (5.0, 2.5)],
                [True, False, True, False, False, False, True],
            ),
            nudge=True,
        ),
        "ends": cases(
            _compare_gaps,
            ([(9.0, 9.0), (8.0, 8.0), (1.0, 2.0), (3.0, 3.0), (7.0, 0.0)], [False, False, True, True, False]),
            ([(5.0, 5.0), (2.0, -1.0), (4.0, 4.0), (0.0, 0.0), (6.0, 1.0)], [False, True, False, False, False]),
            ([(5.0, 5.0), (2.0, -1.0), (4.0, 4.0), (-4.0, 1.0), (6.0, 1.0)], [False, True, False, True, False]),
            nudge=True,
        ),
    }
