"""Checks of chapter 12: a path with bounces, a closed walk, tokens over time, places that nobody has seen."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, Parts, cases, check
from gan_course.checks.values import finite, normal

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


def _stepwise(start: Tensor, velocity: Tensor, frames: int, reach: float, turn: str, often: bool) -> Tensor:
    """Frame by frame, the place is mirrored. ``turn``: the step turns in "both" directions at any border, or "never".

    ``often``: it is mirrored until it is inside, else once in each frame.
    """
    place, step, found = start.clone(), velocity.clone(), []
    for _ in range(frames):
        found.append(place)
        place = place + step
        for _ in range(99 if often else 1):
            beyond = place.abs() > reach
            if not beyond.any():
                break
            place = torch.where(beyond, 2 * reach * place.sign() - place, place)
            step = -step if turn == "both" else step
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
        *[
            (_stepwise(x, step, frames, reach, turn, often), text)
            for turn, text in (
                ("never", "After a bounce the step points the other way: turn it, or it meets the same border again."),
                ("both", "Only the direction that met its wall turns, not the other one."),
            )
            for often in (False, True)
        ],
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


def _arc(a: Tensor, b: Tensor, t: Tensor, angle: Tensor) -> Tensor:
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


def _line(a: Tensor, b: Tensor, t: Tensor, angle: Tensor) -> Tensor:
    return (1 - t) * a + t * b


def _compare_walk(attempt: Attempt, count: int, width: int, least: float, length: float) -> None:
    """The step is ``least`` or more, so that no leg is nearly a whole number of steps, or else rounding decides."""
    anchors = normal(count, width, seed=count + width)
    anchors = length * anchors / anchors.norm(dim=1, keepdim=True)
    x = anchors.double()
    legs = list(zip(x, x.roll(-1, 0), strict=True))
    angles = [((a @ b) / length**2).acos().item() for a, b in legs]
    steps = (least * (1 + k / 200) for k in range(400))
    step = next(s for s in steps if all(0.05 < angle / s % 1 < 0.95 for angle in angles))

    def walk(
        way: Callable[..., Tensor] = _arc,
        shares: Callable[[int], Tensor] = lambda n: torch.arange(n) / n,
        points: Callable[[float], int] = math.ceil,
        scale: float = length**2,
    ) -> Tensor:
        found = []
        for a, b in legs:
            angle = ((a @ b) / scale).acos()
            n = max(1, points(angle.item() / step)) if finite(angle) else 1
            found.append(way(a, b, shares(n).double()[:, None], angle))
        return torch.cat(found)

    def always(n: int) -> Tensor:
        return walk(points=lambda _: n)

    straight, right = walk(_line), walk()
    begins = "A leg begins at its own anchor, so the first share is 0."
    mistakes = [
        (straight, "These are straight lines: in the middle of a leg the points lie too near to the origin."),
        (
            length * straight / straight.norm(dim=1, keepdim=True),
            "The points lie on the sphere, but unevenly: the walk is fast in the middle of a leg. Divide the angle.",
        ),
        *[
            (walk(shares=shares), "Anchors appear twice: a leg ends before the next begins.")
            for shares in (lambda n: torch.linspace(0, 1, n), lambda n: torch.linspace(0, 1, n + 1))
        ],
        (walk(shares=lambda n: torch.arange(1, n + 1) / n), begins),
        (walk(shares=lambda n: torch.arange(1, n + 1) / (n + 1)), begins),
        (
            walk(shares=lambda n: (1 - (math.pi * torch.arange(n) / n).cos()) / 2),
            "The walk slows down near the anchors. Its speed is to be even within each leg: equal shares of the angle.",
        ),
        (walk(points=math.floor), "Then a step is longer than `step`: round up."),
        (walk(points=round), "Then a step may be longer than `step`: round up."),
        *[(always(n), "Each leg has a number of points of its own: a longer one has more.") for n in range(1, 25)],
        (torch.cat([right, x[:1]]), "The last point comes before the first anchor, as the clip begins there anew."),
        (right[: len(right) - math.ceil(angles[-1] / step)], "The way home is missing: K legs in all."),
        (walk(scale=1.0), "The product of two vectors is a cosine only after it is divided by both lengths."),
        (right / length, "The points have length 1, the anchors don't."),
        (
            walk(lambda a, b, t, angle: _arc(b, a, t, angle)),
            "Each leg is walked backwards: it begins at its own anchor.",
        ),
    ]
    hint = "One leg first: its angle from the cosine, the number of its steps, then sines of the shares of that angle."
    nan = "acos has no answer beyond 1. Is what you give it a cosine: the product, divided by both lengths?"
    attempt.close(attempt(anchors, step), right, hint, mistakes, what="the walk", not_finite=nan)


@check("closed_walk(anchors [K, D], step) -> walk [points, D]")
def check_closed_walk() -> Parts:
    return {
        "back": cases(_compare_walk, (2, 6, 0.4, 1.0), (2, 9, 0.3, 0.5), (2, 5, 0.35, 3.0)),
        "round": cases(_compare_walk, (3, 5, 0.3, 2.0), (4, 16, 0.4, 0.8), (5, 7, 4.0, 1.5), (4, 5, 0.15, 0.6)),
    }


# ------------------------------------------------------------------------------------------ tokens over time


def _compare_tokens(
    attempt: Attempt, clips: int, count: int, window: int, channels: int, height: int, width: int
) -> None:
    maps = normal(clips * count, channels, height, width, seed=count)
    x = maps.double()
    apart = x.unflatten(0, (clips, count)).unflatten(1, (-1, window))  # [N, windows, window, C, H, W]
    rows = clips * height * width * (count // window)

    def tokens(*order: int) -> Tensor:
        return apart.permute(*order).reshape(rows, window, channels)

    right = tokens(0, 4, 5, 1, 2, 3)
    interleaved = x.unflatten(0, (clips, count)).unflatten(1, (window, -1)).permute(0, 4, 5, 2, 1, 3)
    turned = x.unflatten(0, (count, clips)).transpose(0, 1).unflatten(1, (-1, window)).permute(0, 4, 5, 1, 2, 3)
    whole = x.unflatten(0, (clips, count)).permute(0, 3, 4, 1, 2).flatten(0, 2)
    mistakes = [
        (x.reshape(rows, window, channels), "The shape is right, but the numbers are shuffled: move the axes first."),
        (tokens(0, 5, 4, 1, 2, 3), "The places come column by column: go through each row of the picture first."),
        (
            turned.reshape(rows, window, channels),
            "The frames of different clips are mixed: the first T pictures are the first clip.",
        ),
        (
            tokens(4, 5, 0, 1, 2, 3),
            "All clips of one place come together: all places of the first clip come first.",
        ),
        (
            tokens(0, 1, 4, 5, 2, 3),
            "All places of one window come together. At each place, its windows follow one another.",
        ),
        (
            interleaved.reshape(rows, window, channels),
            "The frames of a window are `T / window` frames apart. Those that follow one another belong together.",
        ),
        (right.flip(1), "Time runs backwards."),
        *([(whole, "All frames stand in one row: cut it into windows.")] if window < count else []),
    ]
    hint = "Give clips, windows and frames an axis each. Which axes have to stand in front, and which two last?"
    attempt.close(attempt(maps, count, window), right, hint, mistakes, what="the tokens")


@check("tokens_over_time(maps [N * T, C, H, W], count, window) -> tokens [N * H * W * T / window, window, C]")
def check_tokens_over_time() -> Parts:
    return {
        "one": cases(_compare_tokens, (1, 4, 2, 3, 2, 5), (1, 6, 3, 5, 3, 2), (1, 6, 2, 2, 2, 3)),
        "several": cases(
            _compare_tokens, (3, 4, 2, 2, 2, 3), (2, 6, 2, 3, 4, 2), (2, 5, 5, 2, 3, 2), (3, 6, 3, 4, 2, 2)
        ),
    }


# ------------------------------------------------------------------------------------------ gaps


def _compare_gaps(attempt: Attempt, places: list[tuple[float, float]], seen: list[bool]) -> None:
    a, known = torch.tensor(places), torch.tensor(seen)
    x = a.double()
    there = [i for i, yes in enumerate(seen) if yes]
    last, nearest, halved, right, outward, inside = (x.clone() for _ in range(6))
    for i in range(len(seen)):
        before, after = max((k for k in there if k <= i), default=None), min((k for k in there if k >= i), default=None)
        first, second = before if before is not None else after, after if after is not None else before
        assert first is not None and second is not None
        share = 0.0 if first == second else (i - first) / (second - first)
        last[i], halved[i] = x[first], (x[first] + x[second]) / 2
        nearest[i] = x[first] if share <= 0.5 else x[second]
        right[i] = outward[i] = (1 - share) * x[first] + share * x[second]
        if before is not None and after is not None:
            inside[i] = right[i]
        elif len(there) > 1:
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
        (inside, "Before the first and after the last seen frame nothing was filled."),
        (outward, "Before the first and after the last seen frame nobody knows the speed: hold the nearest place."),
    ]
    hint = "For a frame that was not seen: which seen frames come before and after it, and how far off are they?"
    unseen = (
        "`places` may hold anything where nothing was seen, here infinity, and 0 times infinity is NaN: leave it out."
    )
    attempt.close(attempt(a, known), right, hint, mistakes, what="the places", not_finite="" if finite(x) else unseen)


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
            ([(1.0, 2.0), (math.inf, 0.0), (3.0, -math.inf), (4.0, 8.0)], [True, False, False, True]),
            nudge=True,
        ),
        "ends": cases(
            _compare_gaps,
            ([(9.0, 9.0), (8.0, 8.0), (1.0, 2.0), (3.0, 3.0), (7.0, 0.0)], [False, False, True, True, False]),
            ([(5.0, 5.0), (2.0, -1.0), (4.0, 4.0), (0.0, 0.0), (6.0, 1.0)], [False, True, False, False, False]),
            ([(5.0, 5.0), (2.0, -1.0), (4.0, 4.0), (-4.0, 1.0), (6.0, 1.0)], [False, True, False, True, False]),
            ([(-math.inf, 5.0), (2.0, -1.0), (4.0, 3.0), (math.inf, 0.0)], [False, True, True, False]),
            nudge=True,
        ),
    }
