"""Checks of chapter 10: a size that keeps the shape, colours that stay, style in means and spreads, tiles."""

from __future__ import annotations

from typing import Any

import torch

from gan_course.checks.report import Attempt, Parts, cases, check, normal

# ------------------------------------------------------------------------------------------ size


def _fitted(width: int, height: int, longest: int) -> tuple[int, int]:
    share = min(1.0, longest / max(width, height))
    return max(1, round(width * share)), max(1, round(height * share))


def _compare_size(attempt: Attempt, width: int, height: int, longest: int) -> None:
    share = longest / max(width, height)
    wrong: list[tuple[Any, str]] = [
        ((longest, longest), "That is what the document's program does: it squeezes every picture into a square."),
        ((round(width * min(1, share)), round(height * min(1, share))), "A side of 0 pixels is no picture."),
        ((round(width * share), round(height * share)), "A picture that fits already stays as it is."),
        (
            (round(width * longest / width), round(height * longest / width)),
            "You made the *width* fit. Which side has to, if the picture is higher than wide?",
        ),
        ((int(width * min(1, share)), int(height * min(1, share))), "Rounded down: take the nearest whole number."),
        (
            (round(width * min(1, longest / min(width, height))), round(height * min(1, longest / min(width, height)))),
            "Then the longer side is still too long.",
        ),
    ]
    found = attempt.pair(attempt(width, height, longest), ("width", "height"))
    right = _fitted(width, height, longest)
    for i, what in enumerate(("the width", "the height")):
        mistakes = [(float(pair[i]), text) for pair, text in wrong]
        mistakes.append((float(right[1 - i]), "Width and height are exchanged."))
        hint = "One factor for both sides, from the longer one; at most 1."
        side = found[i] if isinstance(found[i], torch.Tensor) or not hasattr(found[i], "__float__") else float(found[i])
        attempt.close(side, float(right[i]), hint, mistakes, what=what, tolerance=1e-6)


@check("fit_inside(width, height, longest) -> (width, height)")
def check_fit_inside() -> Parts:
    return {
        "shrink": cases(_compare_size, (600, 300, 256), (451, 300, 100), (300, 451, 100), (1999, 1000, 512)),
        "rim": cases(_compare_size, (100, 60, 256), (256, 256, 256), (5000, 3, 256), (2, 4000, 128)),
    }


# ------------------------------------------------------------------------------------------ colours

WEIGHTS = (0.299, 0.587, 0.114)


def _compare_colours(attempt: Attempt, shape: tuple[int, ...], scale: float) -> None:
    made = (scale * normal(*shape, seed=1)).clamp(-1, 1)
    photograph = (scale * normal(*shape, seed=2)).clamp(-1, 1)
    before = made.clone(), photograph.clone()
    weights = torch.tensor(WEIGHTS)[:, None, None]

    def bright(picture: torch.Tensor) -> torch.Tensor:
        return (weights * picture).sum(dim=-3, keepdim=True)

    full = photograph + bright(made) - bright(photograph)
    flat = made.mean(dim=-3, keepdim=True) - photograph.mean(dim=-3, keepdim=True)
    other = made + bright(photograph) - bright(made)
    whole = photograph + (bright(made) - bright(photograph)).mean()
    mistakes = [
        (full, "Values left [-1, 1]: limit them at the end."),
        ((photograph + flat).clamp(-1, 1), "The three channels don't count alike: use the weights."),
        (other.clamp(-1, 1), "That keeps the colours of the restyled picture and the brightness of the photograph."),
        ((photograph + bright(made)).clamp(-1, 1), "The photograph's own brightness is still in there: take it out."),
        (whole.clamp(-1, 1), "Brightness is a number for each *pixel*, not one for the picture."),
        (bright(made).expand(shape), "That picture is grey. Where are the photograph's colours?"),
    ]
    result = attempt(made, photograph)
    for given, old, what in zip((made, photograph), before, ("the restyled picture", "the photograph"), strict=True):
        attempt.unchanged(given, old, what, "Both are used again: make a new picture.")
    hint = "Add the same number to all three channels of a pixel, so that its brightness becomes the restyled one's."
    attempt.close(result, full.clamp(-1, 1), hint, mistakes, what="the picture")


@check("keep_colours(made [3, H, W], photograph [3, H, W]) -> picture [3, H, W]")
def check_keep_colours() -> Parts:
    return {
        "calm": cases(_compare_colours, ((3, 4, 5), 0.15), ((3, 1, 1), 0.1), ((3, 6, 2), 0.2)),
        "strong": cases(_compare_colours, ((3, 7, 5), 1.0), ((3, 2, 9), 2.0)),
    }


# ------------------------------------------------------------------------------------------ statistics


def _compare_statistics(attempt: Attempt, shape: tuple[int, ...], wanted_shape: tuple[int, ...], shift: float) -> None:
    found, wanted = normal(*shape, seed=3) + shift, 1.5 * normal(*wanted_shape, seed=4)

    def loss(places=(2, 3), correction=0, means=1.0, stds=1.0, variance=False, total=False) -> torch.Tensor:
        a, b = ((x.mean(dim=places), x.std(dim=places, correction=correction)) for x in (found, wanted))
        power = 2 if variance else 1
        both = means * (a[0] - b[0]) ** 2 + stds * (a[1] ** power - b[1] ** power) ** 2
        return both.sum() if total else both.mean()

    mistakes = [
        (loss(stds=0), "Only the means were compared: the spreads belong to it."),
        (loss(means=0), "Only the spreads were compared: the means belong to it."),
        (loss(correction=1), "Divide by the number of places, not by one less: correction=0."),
        (loss(variance=True), "Those are variances. The spread is their root."),
        (loss(total=True), "That is the sum over the channels: take their mean."),
        (loss(places=(1, 2, 3)), "Each channel has a mean and a spread of its own."),
        (loss(places=(0, 1, 2, 3)), "Each channel of each picture has a mean and a spread of its own."),
        (loss() / 2, "The two parts are added, not averaged."),
    ]
    found.requires_grad_()
    value = attempt(found, wanted)
    hint = "For each channel: the mean and the standard deviation over all places. Compare these two, not the places."
    attempt.close(value, loss().detach(), hint, [(w.detach(), h) for w, h in mistakes], what="the loss")
    gradient = attempt.gradient(value, found, "the loss")
    if not gradient.abs().sum() > 0:
        attempt.fail("a gradient of 0", "a gradient that says how to change the picture", "Don't detach the features.")


@check("statistics_loss(found [N, C, H, W], wanted [N, C, h, w]) -> number")
def check_statistics_loss() -> Parts:
    return {
        "values": cases(_compare_statistics, ((1, 4, 5, 6), (1, 4, 5, 6), 0.5), ((2, 3, 4, 4), (2, 3, 4, 4), -1.0)),
        "sizes": cases(_compare_statistics, ((1, 5, 8, 3), (1, 5, 4, 9), 0.3), ((2, 2, 1, 7), (2, 2, 6, 6), 2.0)),
    }


# ------------------------------------------------------------------------------------------ tiles


def _spans(length: int, tile: int, margin: int, cut: bool = True, forward: bool = True) -> list[tuple[int, ...]]:
    found = []
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        first, last = start - margin, (stop if forward else start + tile) + margin
        found.append((start, stop, max(0, first) if cut else first, min(length, last) if cut else last))
    return found


def _compare_spans(attempt: Attempt, length: int, tile: int, margin: int) -> None:
    right = torch.tensor(_spans(length, tile, margin)).float()
    value = attempt(length, tile, margin)
    if value is None:
        attempt.fail("None", "a list of tiles", "Does your function end in a return statement?")
    try:
        result = torch.tensor([[float(number) for number in row] for row in value])
    except (TypeError, ValueError):
        attempt.fail("something else", "a list with four numbers a tile", "Return (start, stop, first, last) for each.")
    every = torch.tensor([[s, min(s + tile, length), 0, length] for s in range(0, length, tile)]).float()
    whole = torch.tensor([[s, s + tile, max(0, s - margin), s + tile + margin] for s in range(0, length, tile)])
    mistakes = [
        (torch.tensor(_spans(length, tile, margin, cut=False)), "There is nothing beyond the picture: cut it there."),
        (whole, "The last tile ends where the picture ends, and so does what it sees."),
        (right[:, [2, 3, 0, 1]], "First what is kept of the tile, then what is seen."),
        (torch.cat([right[:, :2], right[:, :2]], dim=1), "The margin is missing: a tile has to see its surroundings."),
        (every, "Each tile sees the whole picture then, and nothing is saved."),
        (right[:-1], "The last tile is missing: it may be a smaller one."),
    ]
    hint = "Tiles lie edge to edge and cover the length once; each sees `margin` more on both sides."
    if len(result) != len(right) and not any(w.shape == result.shape for w, _ in mistakes):
        attempt.fail(f"{len(result)} tiles", f"{len(right)} tiles", "Cover the length once, the last tile cut short.")
    for wrong, text in mistakes:
        if result.shape == wrong.shape != right.shape and torch.equal(result, wrong.float()):
            attempt.fail(f"{len(result)} tiles", f"{len(right)} tiles", text)
    attempt.close(result, right, hint, [(w.float(), h) for w, h in mistakes], what="the tiles", tolerance=1e-6)


@check("tile_spans(length, tile, margin) -> list of (start, stop, first, last)")
def check_tile_spans() -> Parts:
    return {
        "even": cases(_compare_spans, (100, 50, 10), (96, 32, 8), (40, 40, 5)),
        "uneven": cases(_compare_spans, (101, 50, 10), (7, 3, 1), (30, 64, 16)),
        "wide": cases(_compare_spans, (20, 4, 9), (10, 5, 100), (9, 2, 0)),
    }
