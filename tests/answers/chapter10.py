"""Right and wrong answers to the tasks of chapter 10."""

from __future__ import annotations

import math

import numpy
import torch

LUMA = torch.tensor([0.299, 0.587, 0.114])


def fit(share=lambda w, h, longest: min(1.0, longest / max(w, h)), rounded=round, least=1):
    def fit_inside(width, height, longest):
        s = share(width, height, longest)
        return max(least, rounded(width * s)), max(least, rounded(height * s))

    return fit_inside


def fit_by_numpy(width, height, longest):
    sides = numpy.array([width, height], dtype=float)
    if sides.max() > longest:
        sides *= longest / sides.max()
    return tuple(numpy.maximum(numpy.rint(sides), 1).astype(int))


def bright(picture, weights=LUMA):
    return (weights[:, None, None] * picture).sum(dim=0, keepdim=True)


def colours(made, photograph):
    return (photograph + bright(made) - bright(photograph)).clamp(-1, 1)


def colours_by_einsum(made, photograph):
    change = torch.einsum("c,chw->hw", LUMA, made - photograph)
    return torch.stack([channel + change for channel in photograph]).clip(-1.0, 1.0)


def colours_in_place(made, photograph):
    photograph += bright(made) - bright(photograph)
    return photograph.clamp_(-1, 1)


def statistics(
    correction=0,
    means=1,
    stds=1,
    power=1,
    places=(2, 3),
    collect=torch.mean,
    keep_mean=lambda x: x,
    keep_std=lambda x: x,
):
    def statistics_loss(found, wanted):
        mean = keep_mean(found.mean(places)) - wanted.mean(places)
        std = keep_std(found.std(places, correction=correction)) ** power
        std = std - wanted.std(places, correction=correction) ** power
        return collect(means * mean**2 + stds * std**2)

    return statistics_loss


def statistics_by_moments(found, wanted):
    def moments(x):
        x = x.flatten(2)
        mean = x.sum(2) / x.shape[2]
        return mean, ((x**2).sum(2) / x.shape[2] - mean**2).clamp_min(0).sqrt()

    (a, b), (c, d) = moments(found), moments(wanted)
    return ((a - c).square() + (b - d).square()).mean()


def spans(length, tile, margin):
    found = []
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        found.append((start, stop, max(0, start - margin), min(length, stop + margin)))
    return found


def spans_by_numpy(length, tile, margin):
    starts = numpy.arange(0, length, tile)
    stops = numpy.minimum(starts + tile, length)
    return numpy.stack([starts, stops, (starts - margin).clip(0), (stops + margin).clip(max=length)], axis=1)


def spans_uncut(length, tile, margin):
    return [(a, b, a - margin, b + margin) for a, b, _, _ in spans(length, tile, margin)]


def spans_beyond(length, tile, margin):
    return [(a, a + tile, max(0, a - margin), a + tile + margin) for a, *_ in spans(length, tile, margin)]


def spans_of_whole_tiles(length, tile, margin):
    return spans(length, tile, margin)[: length // tile]


RIGHT = {
    "fit_inside": [fit(), fit_by_numpy, lambda *given: torch.tensor(fit()(*given))],
    "keep_colours": [colours, colours_by_einsum],
    "statistics_loss": [statistics(), statistics_by_moments],
    "tile_spans": [spans, spans_by_numpy, lambda *given: torch.tensor(spans(*given))],
}

WRONG = {
    "fit_inside": [
        (lambda w, h, longest: (longest, longest), "squeezes every picture"),
        (fit(lambda w, h, longest: longest / max(w, h)), "stays as it is"),
        (fit(lambda w, h, longest: min(1, longest / w)), "made the *width* fit"),
        (fit(rounded=int), "Rounded down"),
        (fit(rounded=math.ceil), "Rounded up"),
        (fit(least=0), "0 pixels is no picture"),
        (fit(lambda w, h, longest: min(1, longest / min(w, h))), "still too long"),
        (lambda w, h, longest: fit()(w, h, longest)[::-1], "exchanged"),
        (lambda w, h, longest: tuple(map(float, fit()(w, h, longest))), "Pixels are whole numbers"),
        (lambda w, h, longest: torch.tensor(fit()(w, h, longest)).float(), "of the kind float32"),
        (lambda w, h, longest: numpy.array(fit()(w, h, longest), dtype=float), "Pixels are whole numbers"),
    ],
    "keep_colours": [
        (lambda m, p: p + bright(m) - bright(p), "limit them at the end"),
        (lambda m, p: (p + (m - p).mean(0)).clamp(-1, 1), "use the weights"),
        (lambda m, p: colours(p, m), "the brightness of the photograph"),
        (lambda m, p: (p + bright(m)).clamp(-1, 1), "take it out"),
        (lambda m, p: (p + (bright(m) - bright(p)).mean()).clamp(-1, 1), "a brightness of its own"),
        (lambda m, p: bright(m).expand_as(m), "That picture is grey"),
        (lambda m, p: m.clone(), "with its own colours"),
        (colours_in_place, "make a new one"),
        (lambda m, p: p + (bright(m) - bright(p)).clamp(-1, 1), "The result is limited, not the change"),
        (lambda m, p: (p + (bright(m) - bright(p)).clamp(-1, 1)).clamp(-1, 1), "The result is limited, not the change"),
        (lambda m, p: (p - bright(m) + bright(p)).clamp(-1, 1), "The change has the wrong sign"),
    ],
    "statistics_loss": [
        (statistics(stds=0), "spreads belong to it"),
        (statistics(means=0), "means belong to it"),
        (statistics(correction=1), "correction=0"),
        (statistics(power=2), "Those are variances"),
        (statistics(collect=torch.sum), "sum over the channels"),
        (statistics(collect=lambda x: x.sum(1).mean()), "sum over the channels"),
        (statistics(places=(1, 2, 3)), "a mean and a spread of its own"),
        (lambda found, wanted: statistics()(found, wanted) / 2, "added, not averaged"),
        (statistics(power=1, collect=lambda x: x.mean() * 2), "mean and the standard deviation over all places"),
        (lambda found, wanted: statistics()(found.detach(), wanted), "without a gradient"),
        (lambda f, wanted: 2 * statistics()(f, wanted).detach() - statistics()(f, wanted), "has the wrong sign"),
        (lambda f, wanted: statistics()(f, wanted) * 2 - statistics()(f, wanted).detach(), "Was a part cut off?"),
        (lambda f, wanted: statistics()(f, wanted).detach() + 0 * f.sum(), "No gradient reaches the features"),
        (statistics(keep_std=lambda x: x.detach()), "Only the means carry the gradient"),
        (statistics(keep_mean=lambda x: x.detach()), "Only the spreads carry the gradient"),
    ],
    "tile_spans": [
        (lambda *given: [(a, a + given[1], c, d) for a, b, c, d in spans(*given)], "ends with the picture, too"),
        (spans_of_whole_tiles, "missing where it is smaller"),
        (spans_uncut, "nothing beyond the picture"),
        (spans_beyond, "ends where the picture ends"),
        (lambda *given: [row[2:] + row[:2] for row in spans(*given)], "First what is kept"),
        (lambda *given: [row[:2] * 2 for row in spans(*given)], "margin is missing"),
        (lambda length, *given: [(a, b, 0, length) for a, b, _, _ in spans(length, *given)], "nothing is saved"),
        (lambda *given: spans(*given)[:-1], "The last tile is missing."),
        (lambda *given: [(a, b, c, d - 1) for a, b, c, d in spans(*given)], "as in a slice"),
        (lambda *given: [(a, b - 1, c, d - 1) for a, b, c, d in spans(*given)], "as in a slice"),
        (lambda *given: [tuple(map(float, row)) for row in spans(*given)], "Pixels are whole numbers"),
        (lambda *given: torch.tensor(spans(*given)).float(), "Pixels are whole numbers"),
    ],
}

# The part that passes and the one that fails.
HALF_RIGHT = {
    "fit_inside": [(fit(lambda w, h, longest: longest / max(w, h)), "shrink", "rim")],
    "keep_colours": [
        (lambda m, p: p + bright(m) - bright(p), "calm", "strong"),
        (lambda m, p: p + (bright(m) - bright(p)).clamp(-1, 1), "calm", "strong"),
    ],
    "tile_spans": [(spans_of_whole_tiles, "even", "uneven")],
}
