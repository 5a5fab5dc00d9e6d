"""Checks of chapter 08: inside the sampling loop, where words meet the picture, outside of the mask."""

from __future__ import annotations

import math
import random
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.draws import hidden, nudged, seeded
from gan_course.checks.report import RETURNS_NOTHING, Attempt, Parts, cases, check
from gan_course.checks.values import describe, near, normal, per_picture

# ------------------------------------------------------------------------------------------ guidance


def _compare_guidance(attempt: Attempt, both: Tensor, scales: list[float]) -> None:
    away, towards = both.chunk(2)
    given = torch.tensor(scales)
    weight = per_picture(given, away)
    right = away + weight * (towards - away)
    mistakes = [
        (
            towards + weight * (away - towards),
            "The two answers have changed places: the one for the negative prompt comes first, and 1 is the other.",
        ),
        (away - weight * (towards - away), "The sign is wrong: this moves away from the prompt."),
        (
            towards + weight * (towards - away),
            "A guidance of 1 must give the prompt's own answer, and 0 the other one.",
        ),
        (weight * (towards - away), "This is the way alone. From where does it start?"),
        (weight * towards, "Where is the answer for the negative prompt?"),
        (towards, "The guidance has no effect."),
        (away + given.mean() * (towards - away), "Each picture has a guidance of its own."),
    ]
    hint = "Start at the answer for the negative prompt and walk towards the prompt's: 1 arrives there, 2 twice as far."
    attempt.close(attempt(both.clone(), given.clone()), right, hint, mistakes, what="the guided answer")


@check("guided(both [2N, ...], scales [N]) -> [N, ...]")
def check_guided() -> Parts:
    by_hand = nudged(torch.tensor([[1.0, 0.0], [3.0, -2.0]]))
    one, other = normal(2, 2, 3, 3, seed=1), normal(2, 2, 3, 3, seed=2)
    each = [3.0, 1.0, 0.5, 7.5, 0.0]
    many = [(normal(2 * n, 2, 3, 3, seed=n), each[:n]) for n in (2, 3, 5)]
    many += [(normal(8, 5, seed=8), [1.5, 2.0, 0.0, 4.0]), (normal(6, 3, 2, 4, seed=9), [7.5, 7.5, 2.0])]
    return {
        "one": cases(_compare_guidance, (by_hand, [1.0]), (by_hand, [3.0]), (one, [0.0]), (other, [7.5])),
        "many": cases(_compare_guidance, *many),
    }


# ------------------------------------------------------------------------------------------ scale


def _compare_scale(attempt: Attempt, latents: Tensor) -> None:
    x = latents.double()
    right, root = 1 / x.std(), 1 / x.square().mean().sqrt()
    hint = "Which number must the latents be multiplied with, so that their standard deviation becomes 1?"
    mistakes = [
        (x.std(), "This is the spread itself. The scale has to undo it."),
        (1 / x.var(), "The variance grows with the square of the scale."),
        (1 / x.abs().max(), "One far-off value must not decide. What is wanted is a spread of 1."),
        (1 / x.abs().mean(), "The spread is the standard deviation, not the mean size."),
        (
            (1 / x.std(dim=(0, 2, 3))).mean(),
            "One spread over all channels together, not the mean of each channel's.",
        ),
        (1 / x.std(dim=(0, 2, 3)).mean(), "One spread over all channels together, not the mean of each channel's."),
        (
            1 / x.var(dim=(0, 2, 3)).mean().sqrt(),
            "The channels' variances were averaged. That forgets that the channels lie at different heights.",
        ),
        (1 / x.std(dim=(1, 2, 3)).mean(), "One spread over all pictures, not the mean of each one's."),
        (1 / (x.max() - x.min()), "The range hangs on two far-off values. What is wanted is a spread of 1."),
    ]
    if not near(root, right, 1e-2):
        mistakes.append((root, "The mean of these latents is not 0: the spread is measured around it."))
    attempt.close(attempt(latents.clone()), right, hint, mistakes, what="the scale", tolerance=2e-3)


def _latents(spreads: list[float], seed: int, centres: list[float] | float = 0.0, shape=(20, 8, 8)) -> Tensor:
    """Latents with a spread, and a centre, for each channel; ``shape`` is (N, H, W)."""
    noise = normal(shape[0], len(spreads), *shape[1:], seed=seed)
    return nudged(1.0) * (torch.as_tensor(centres).reshape(-1, 1, 1) + torch.tensor(spreads)[:, None, None] * noise)


@check("latent_scale(latents [N, C, H, W]) -> float")
def check_latent_scale() -> Parts:
    return {
        "even": cases(_compare_scale, [_latents([5.5] * 4, 1)], [_latents([0.2] * 4, 2)]),
        "uneven": cases(
            _compare_scale,
            [_latents([1.0, 8.0, 3.0, 0.5], 3)],
            [_latents([2.0, 4.0, 1.0, 6.0], 4, 2.5)],
            [_latents([2.0, 0.5, 3.0], 5, [4.0, -2.0, 0.5], (30, 6, 10))],
            [torch.arange(1.0, 9.0)[:, None, None, None] * _latents([1.0, 1.4], 6, [1.0, -3.0], (8, 12, 9))],
        ),
    }


# ------------------------------------------------------------------------------------------ image to image


def _compare_start(attempt: Attempt, steps: int, strength: float, bent: float = 0.0) -> None:
    """``bent``: 0 for timesteps at equal distances; else those near the clean end lie closer together."""
    every = [
        round(1 + 998 * (i / (steps - 1)) ** bent) if bent else i * (1000 // steps) + 1 for i in reversed(range(steps))
    ]
    taken = int(steps * strength + 1e-9)
    right, about = every[steps - taken :], "timesteps"
    given = attempt(torch.tensor(every), strength)
    if given is None:
        attempt.fail("None", "the timesteps that are walked", RETURNS_NOTHING)
    if type(given) is not Tensor or given.ndim != 1:
        hint = "Return the part of the given tensor that is walked, as one tensor."
        attempt.fail(describe(given), "a row of timesteps, as a tensor", hint)
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        hint = "Timesteps are whole numbers: schedules are looked up with them."
        attempt.fail(f"timesteps of dtype {describe(given.dtype)}", "timesteps of dtype int64", hint)
    found = given.tolist()
    mistakes = [
        (every[:taken], "These are the noisiest ones: the walk must end at the clean end, where noise is gone."),
        (every[: steps - taken], "These are the steps that are left out."),
        (every[taken:], "A strength of 1 must walk all the steps, and a small one only the last few."),
        (every[steps - math.ceil(steps * strength - 1e-9) :], "A part of a step is not walked: round down."),
        *[
            (every[steps - n :], "A part of a step is not walked, be it more than half: round down.")
            for n in (round(steps * strength), math.floor(steps * strength + 0.5))
        ],
        *[(every[start:], "One step too many.") for start in (max(0, steps - taken - 1), steps - taken - 1)],
        *[(every[steps - n :], "One step too few.") for n in (taken - 1, max(1, taken - 1))],
        ([t for t in every if t <= strength * 1000], "Count steps, not timesteps: the list need not be even."),
        (list(reversed(right)), "The walk goes from noisy to clean."),
    ]
    attempt.observe(about, mistakes, lambda wrong: wrong == found, found == right)
    if found == right:
        return
    hint = "How many steps is `strength` of all of them, rounded down? Which ones: the first of the list or the last?"
    got, expected = (f"{len(row)} timesteps {describe(tuple(map(int, row)))}" for row in (found, right))
    attempt.fail(got, expected, hint, about)


@check("steps_walked(timesteps [K], strength) -> the timesteps walked")
def check_steps_walked() -> Parts:
    def rounded(r: random.Random) -> tuple[int, float]:
        steps = r.randint(9, 60)
        return steps, (r.randint(2, steps - 1) + r.uniform(0.2, 0.8)) / steps

    whole = hidden(lambda r: (8 * r.randint(2, 8), r.randint(1, 7) / 8))  # eighths: their products have no rounding
    even, uneven = ((10, 0.77), (25, 0.5), (7, 0.99), (30, 0.25), (8, 0.3)), ((20, 0.33, 2.0), (9, 0.5, 1.5))
    return {
        "whole": cases(
            _compare_start, (10, 0.3), (20, 0.5), (4, 1.0), (25, 0.2), (16, 0.5, 2.0), (8, 0.25, 1.5), *whole
        ),
        "rounded": cases(_compare_start, *even, *uneven, *hidden(rounded)),
    }


# ------------------------------------------------------------------------------------------ attention


def _attend(
    query: Tensor, key: Tensor, value: Tensor, counts: Tensor, scale: float | None = None, over: int = -1
) -> Tensor:
    """Scaled dot-product attention: every place's mean of the values of the words that count."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = scale * query @ key.transpose(-1, -2)
    return scores.masked_fill(~counts.unsqueeze(-2), -math.inf).softmax(dim=over) @ value


def _compare_attention(
    attempt: Attempt, query: Tensor, key: Tensor, value: Tensor, counts: Tensor, hint: str, not_finite: str = ""
) -> None:
    q, k, v = query.double(), key.double(), value.double()
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    there, everything = counts.double().unsqueeze(-2), torch.ones_like(counts)
    best = scores.masked_fill(there == 0, -math.inf).argmax(dim=-1)
    mistakes = [
        (_attend(q, k, v, everything), "Words that don't count have a share here."),
        (_attend(q, k, v, ~counts), "The wrong words are left out: `counts` is true for those that count."),
        (
            (scores * there).softmax(dim=-1) @ v,
            "A score of 0 still gives a share, since exp(0) is 1. Which score gives a share of 0?",
        ),
        (
            (scores.softmax(dim=-1) * there) @ v,
            "At each place the shares of the words that *count* are to sum to 1. Here some went to the others.",
        ),
        (_attend(q, k, v, counts, scale=1.0), "The products were not divided by the root of the number of features."),
        (_attend(q, k, v, counts, 1 / q.shape[-1]), "Divide by the root of the number of features, not by the number."),
        (
            _attend(q, k, v, counts, scale=k.shape[-2] ** -0.5),
            "Divide by the root of the number of *features* of a query, not of words.",
        ),
        (
            _attend(q, k, v, counts, scale=v.shape[-1] ** -0.5),
            "Divide by the root of the number of features of a *query*, not of a value.",
        ),
        (
            _attend(q, k, v, counts, over=-2),
            "The softmax runs over the wrong axis: at each place, the *words* share 1.",
        ),
        ((scores * there) @ v, "Scores are no shares yet: at each place they must be positive and sum to 1."),
        (
            (scores * there / (scores * there).sum(dim=-1, keepdim=True)) @ v,
            "Dividing by the sum leaves negative shares. Which function makes all of them positive?",
        ),
        (
            torch.nn.functional.one_hot(best, k.shape[-2]).double() @ v,
            "The best word takes all here. Each word should count by its share.",
        ),
        (
            ((there @ v) / there.sum(dim=-1, keepdim=True)).expand(*scores.shape[:-1], v.shape[-1]),
            "All words count the same: the queries have no effect.",
        ),
    ]
    if k.shape == v.shape:
        mistakes.append((_attend(q, v, k, counts), "Keys and values are swapped: keys decide, values are handed out."))
    result = attempt(query.clone(), key.clone(), value.clone(), counts.clone())
    right = _attend(q, k, v, counts)
    attempt.close(result, right, hint, mistakes, what="what the places learn", tolerance=1e-3, not_finite=not_finite)


def _drawn(
    front: list[int], places: int, words: int, features: int, seed: int, some: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Query, key, value, and which words count: all of them, or ``some``. Pictures and heads stand in ``front``."""
    query, key, value = (normal(*front, n, features, seed=seed + i) for i, n in enumerate((places, words, words)))
    counts = torch.rand(*front, words, generator=seeded(seed)) < (0.6 if some else 2.0)
    counts[..., seed % words] = True  # one at least
    if some:
        counts[..., (seed + 1) % words] = False
    return query, key, value, counts


@check("attend(query [..., P, D], key [..., W, D], value [..., W, E], counts [..., W]) -> [..., P, E]")
def check_attend() -> Parts:
    two_words = torch.tensor([[2.0, 0.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 4.0]])
    queries = torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.tensor([[0.0, 3.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    query, key, value, both = _drawn([1, 2], 6, 5, 4, 7)
    few = _drawn([1, 2], 6, 5, 4, 7, some=True)[-1]
    steps = "Products of each query with all keys, scaled; a softmax over the words; the weighted mean of the values."
    heads = f"{steps} Only the last two axes take part: what stands in front, be it one axis or several, is kept."
    mask = "A word that doesn't count gets a share of 0, and the shares of all others sum to 1. Which score gives that?"
    nothing = "Here every word counts, and none is left out: a softmax of nothing but minus infinity is 0 / 0."
    large = "Here the scores are so large that exp() of them is infinite, or 0. Which function makes shares anyway?"
    return {
        "all": cases(
            _compare_attention,
            *[(one, *two_words, torch.tensor([True, True]), steps, nothing) for one in queries],  # by hand
            (normal(5, 3, seed=1), normal(4, 3, seed=2), normal(4, 6, seed=3), torch.ones(4).bool(), steps, nothing),
            (*_drawn([2, 4], 16, 5, 8, 40), heads, nothing),
            (*_drawn([3, 1], 4, 7, 2, 60), heads, nothing),
            # Scores so large that the exponential of the bare number is infinite.
            (30 * query, 30 * key, value, both, large, large),
        ),
        "some": cases(
            _compare_attention,
            (queries[1], *two_words, torch.tensor([False, True]), mask),
            (normal(5, 3, seed=1), normal(4, 3, seed=2), normal(4, 6, seed=3), torch.arange(4) > 1, mask),
            (*_drawn([1, 2], 9, 9, 12, 50, some=True), mask),
            (*_drawn([3, 4], 4, 7, 2, 61, some=True), mask),
            (*_drawn([3], 6, 4, 5, 70, some=True), mask),
            (30 * query, 30 * key, value, few, mask, large),
            (-30 * query, 40 * key, value, few, mask, large),
        ),
    }


# ------------------------------------------------------------------------------------------ the map of a word


def _compare_map(attempt: Attempt, probabilities: Tensor, word: int) -> None:
    count, _, places, _ = probabilities.shape
    side = int(places**0.5)
    p = probabilities.double()

    def square(of: Tensor) -> Tensor:
        return of.reshape(-1, side, side)

    right = square(p[count // 2 :, :, :, word].mean(dim=1))
    mistakes = [
        (square(p[: count // 2, :, :, word].mean(dim=1)), "This is the half without the prompt: it comes first."),
        (square(p[0::2, :, :, word].mean(dim=1)), "The two halves follow each other, they don't alternate."),
        (square(p[1::2, :, :, word].mean(dim=1)), "The two halves follow each other, they don't alternate."),
        (square(p[count // 2 :, :, :, word].sum(dim=1)), "The mean over the heads is wanted, not the sum."),
        (square(p[count // 2 :, 0, :, word]), "This is the first head alone."),
        (square(p[count // 2 :, :, :, word].amax(dim=1)), "The mean over the heads is wanted, not the largest."),
        (right.transpose(1, 2), "Rows and columns are swapped: places are counted row by row."),
        (square((p[: count // 2] + p[count // 2 :])[..., word].mean(dim=1) / 2), "Both halves are mixed here."),
    ]
    hint = "Take the second half of the pictures, the word's column, and the mean over the heads; then fold the places."
    result = attempt(probabilities.clone(), word)
    attempt.close(result, right, hint, mistakes, what="the map", tolerance=1e-3)


def _probabilities(count: int, heads: int, side: int, words: int, seed: int) -> Tensor:
    return (2 * normal(2 * count, heads, side * side, words, seed=seed)).softmax(dim=-1)


@check("word_map(probabilities [2N, heads, side², words], word) -> [N, side, side]")
def check_word_map() -> Parts:
    return {
        "one": cases(
            _compare_map,
            (_probabilities(1, 1, 2, 3, 1), 1),
            (_probabilities(1, 4, 4, 6, 2), 0),
            (_probabilities(1, 3, 3, 5, 5), 4),
        ),
        "many": cases(_compare_map, (_probabilities(3, 4, 8, 24, 3), 5), (_probabilities(2, 8, 4, 24, 4), 23)),
    }


# ------------------------------------------------------------------------------------------ outside of the mask


def _compare_outside(attempt: Attempt, count: int, side: int, seed: int, alpha_bar: float) -> None:
    made, original, noise = normal(3, count, seed, side, side + 2, seed=seed)
    mask = torch.zeros(count, 1, side, side + 2)
    for i in range(count):
        mask[i, :, i % side :, : side // 2 + i % 2] = 1
    m, o, n = made.double(), original.double(), noise.double()
    inside = mask.double().expand_as(m)
    known = alpha_bar**0.5 * o + (1 - alpha_bar) ** 0.5 * n

    def blend(outside: Tensor, within: Tensor = m) -> Tensor:
        return inside * within + (1 - inside) * outside

    mistakes = [
        (inside * known + (1 - inside) * m, "Inside and outside are swapped: where the mask is 1, paint anew."),
        (blend(o), "The original goes in without noise: then the two parts don't belong to the same timestep."),
        (
            blend(alpha_bar * o + (1 - alpha_bar) * n),
            "alpha_bar is a share of the power: what multiplies the values is its root.",
        ),
        (blend((1 - alpha_bar) ** 0.5 * o + alpha_bar**0.5 * n), "Picture and noise have each other's share."),
        (blend(o + (1 - alpha_bar) ** 0.5 * n), "Picture and noise together: the picture has to fade, too."),
        (blend(torch.zeros_like(o)), "Outside of the mask nothing is left."),
        (blend(n), "Outside there is noise alone."),
        (
            blend(known, alpha_bar**0.5 * m + (1 - alpha_bar) ** 0.5 * n),
            "Inside, the loop's own latents stay as they are.",
        ),
        (m, "Nothing was put back."),
        (known, "The original is everywhere: what was painted inside is lost."),
    ]
    hint = "Add noise to the original, as much as belongs to this timestep; then choose between both with the mask."
    result = attempt(made.clone(), original.clone(), noise.clone(), mask.clone(), alpha_bar)
    attempt.close(result, blend(known), hint, mistakes, what="the latents")


@check("keep_outside(x [N, C, H, W], original, noise, mask [N, 1, H, W], alpha_bar) -> [N, C, H, W]")
def check_keep_outside() -> Parts:
    return {
        "last": cases(_compare_outside, (1, 4, 1, 1.0), (3, 4, 2, 1.0)),  # the clean end: no noise at all
        "on_the_way": cases(_compare_outside, (2, 8, 3, 0.25), (2, 8, 4, 0.7), (2, 8, 5, 0.0)),
    }


# ------------------------------------------------------------------------------------------ an adapter


def _compare_merged(attempt: Attempt, shape: tuple[int, ...], rank: int, scale: float, seed: int) -> None:
    out, *into = shape
    weight, down, up = normal(*shape, seed=seed), normal(rank, *into, seed=seed + 1), normal(out, rank, seed=seed + 2)
    given_up = up.reshape(out, rank, *[1] * (len(into) - 1))
    w, a, b = weight.double(), down.double().flatten(1), up.double()
    change = (b @ a).reshape(shape)
    right = w + scale * change
    mistakes = [
        (w + change, "The scale is forgotten."),
        (w - scale * change, "The sign is wrong: the adapter's answer is added to the layer's."),
        (scale * change, "This is the addition alone. What becomes of the layer's own weight?"),
        (scale * (w + change), "The scale belongs to the addition, not to the weight."),
        ((1 - scale) * w + scale * change, "The weight keeps its full share: nothing is mixed here, it is added."),
        (w + scale / rank * change, "The scale is what peft multiplies with. Don't divide by the rank again."),
        (w + scale**2 * change, "The scale is applied twice."),
        (w, "The adapter has no effect."),
    ]
    if out == into[0] and len(into) == 1:
        transposed = "The order of the factors is wrong: A comes first, so it stands on the right, next to x."
        mistakes.append((w + scale * change.T, transposed))
    if len(into) > 1:
        flat = (b @ a).reshape(out, *into[1:], into[0]).movedim(-1, 1)
        mistakes.append((w + scale * flat, "The axes behind the first are folded in another order than they were cut."))
    hint = "Flatten all axes but the first. What is the product of B and A then, and which shape has it to get back?"
    result = attempt(weight.clone(), down.clone(), given_up.clone(), scale)
    attempt.close(result, right, hint, mistakes, what="the weight")


@check("merged(weight [O, I, ...], down [R, I, ...], up [O, R, ...], scale) -> [O, I, ...]")
def check_merged() -> Parts:
    return {
        "linear": cases(
            _compare_merged, ((2, 3), 1, 1.0, 1), ((6, 4), 2, 0.5, 2), ((5, 5), 3, 2.0, 3), ((8, 3), 4, -0.7, 4)
        ),
        "convolution": cases(
            _compare_merged, ((4, 3, 3, 3), 2, 0.5, 5), ((3, 5, 1, 1), 2, 2.0, 6), ((2, 2, 3, 5), 3, 1.5, 7)
        ),
    }


def _compare_rank(attempt: Attempt, shapes: list[tuple[int, ...]], kilobytes: float, bytes_each: int) -> None:
    def numbers(of: tuple[int, ...]) -> int:  # of rank 1: a row of A and a column of B
        return of[0] + math.prod(of[1:])

    each = sum(numbers(shape) for shape in shapes)
    exact = 1000 * kilobytes / (bytes_each * each)
    right = math.floor(exact + 1e-9)
    mistakes = [
        (exact, "A rank is a whole number."),
        (math.ceil(exact - 1e-9), "Then it no longer fits: round down."),
        (round(exact), "Then it may no longer fit: round down."),
        (math.floor(1024 * kilobytes / (bytes_each * each)), "A kilobyte is 1,000 bytes here."),
        (math.floor(1000 * kilobytes / each), "How many bytes does each number take?"),
        (math.floor(8000 * kilobytes / (bytes_each * each)), "The numbers are given in bytes, not in bits."),
        (math.floor(kilobytes / (bytes_each * each)), "The limit is in kilobytes: how many bytes is that?"),
        (math.floor(1000 * kilobytes / (bytes_each * sum(math.prod(s) for s in shapes))), "That is the whole weight."),
        (
            math.floor(1000 * kilobytes / (bytes_each * sum(s[0] + s[1] for s in shapes))),
            "A convolution's A has all pixels of its kernel: [rank, in, height, width].",
        ),
        (
            math.floor(1000 * kilobytes / (bytes_each * sum(sum(s) for s in shapes))),
            "Channels, height and width of a kernel multiply, they don't add.",
        ),
        (math.floor(1000 * kilobytes / (bytes_each * max(numbers(s) for s in shapes))), "All layers need room."),
        (math.floor(1000 * kilobytes / (bytes_each * numbers(shapes[0]))), "That is the first layer alone."),
        (
            math.floor(1000 * kilobytes / (bytes_each * sum(math.prod(s[1:]) for s in shapes))),
            "This counts A. And B?",
        ),
        (math.floor(1000 * kilobytes / (bytes_each * sum(s[0] for s in shapes))), "This counts B. And A?"),
        (max(1, right), "If not even rank 1 fits, the answer is 0."),
        *[
            (
                min(right, limit),
                "Larger than a side of a layer, such a rank makes little sense. The task asks what fits.",
            )
            for side in (min, max)
            for limit in (
                side(min(shape[0], math.prod(shape[1:])) for shape in shapes),
                side(min(shape[:2]) for shape in shapes),
            )
        ],
    ]
    hint = "How many numbers hold A and B of one layer at rank 1? How many at rank r, and how many bytes in all layers?"
    given = attempt([tuple(shape) for shape in shapes], kilobytes, bytes_each)
    attempt.close(given, float(right), hint, mistakes, what="the rank", tolerance=1e-6)


@check("fitting_rank(shapes, kilobytes, bytes_each) -> number")
def check_fitting_rank() -> Parts:
    attention = [(48, 48), (48, 96), (48, 96), (48, 48)]
    mixed = [*attention, (64, 48, 3, 3), (384, 48), (48, 112, 1, 1), (32, 8, 3, 5)]
    return {
        "linear": cases(
            _compare_rank,
            *(([(10, 15)], 2.0, 4), (attention, 20, 4), (attention, 20, 2), ([(320, 320)] * 8, 51.2, 2)),
            ([(12, 7), (9, 30)], 5.0, 2),
            *hidden(lambda r: (r.choices(attention, k=3), r.randint(10, 90) + 0.137, r.choice([2, 4])), 3),
        ),
        "mixed": cases(
            _compare_rank,
            *((mixed, 100, 2), (mixed[::-1], 50, 4), (mixed[4:], 3, 4), (mixed, 500, 2)),
            *hidden(lambda r: (r.choices(mixed, k=5) + mixed[7:], r.randint(50, 300) + 0.137, r.choice([2, 4])), 3),
        ),
    }


# ------------------------------------------------------------------------------------------ invented detail


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(dim=(1, 2, 3), keepdim=True)


def _compare_likeness(attempt: Attempt, made: Tensor, real: Tensor) -> None:
    a, b = made.double(), real.double()

    def over(x: Tensor) -> Tensor:
        return x.flatten(start_dim=1).sum(dim=1)

    def ratio(above: Tensor, below: Tensor) -> Tensor:
        return torch.where(below > 0, above / below, 0.0)

    product, of_made, of_real = over(a * b), over(a.square()), over(b.square())
    right = ratio(product, (of_made * of_real).sqrt())
    whole = ratio((a * b).sum(), (a.square().sum() * b.square().sum()).sqrt())
    mistakes = [
        (whole.expand_as(right), "That is one number for all pictures together: each has a likeness of its own."),
        (whole, "That is one number for all pictures together: each has a likeness of its own."),
        (ratio(product, of_made * of_real), "The two sums of squares are multiplied here. Where is the root?"),
        (ratio(product, of_real), "Divided by the real detail's energy alone: twice the contrast would count double."),
        (ratio(product, of_made), "Divided by the energy of what was made alone: what of the real detail's?"),
        (ratio(of_made, of_real), "This is the energy. It does not ask where the detail stands."),
        (right.abs(), "The sign is lost: detail that is against the truth is no likeness."),
        (1 - right, "This is what is missing to 1."),
        (
            ratio(over(_centred(a) * _centred(b)), (over(_centred(a).square()) * over(_centred(b).square())).sqrt()),
            "The means were taken off: here they stay.",
        ),
        (product / a[0].numel(), "The products were averaged and not divided by the two sizes."),
        (product, "The products alone: stronger detail would count as more alike."),
        (over(torch.nn.functional.cosine_similarity(a, b)) / a[0, 0].numel(), "Not place by place: sum first."),
        (over(a.sign() * b.sign()) / a[0].numel(), "Signs alone: strong detail must count more than faint detail."),
    ]
    hint = "For each picture: the sum of the products, divided by the root of the product of both sums of squares."
    if not (of_made * of_real).all():
        hint += " One of these has no detail: there this is 0 / 0, and 0 is to be returned."
    elif a.abs().max() < 0.01:
        hint = "This detail is faint, and strength must not count. Was something added to the divisor? It is too large."
    attempt.close(attempt(made.clone(), real.clone()), right, hint, mistakes, what="the likeness")


def _details(count: int, seed: int, alike: float, contrast: float = 1.0, shape: tuple[int, ...] = (3, 6, 8)) -> Any:
    """Details made and real: ``alike`` in the first picture, less so in each further one, stronger by ``contrast``."""
    real, other = normal(2, count, *shape, seed=seed)
    share = torch.linspace(alike, -0.8 * alike, count).reshape(-1, 1, 1, 1)
    size = torch.linspace(contrast, 1.0, count).reshape(-1, 1, 1, 1)
    return size * (share * real + (1 - share.square()).sqrt() * other), real


@check("detail_likeness(made [N, C, H, W], real [N, C, H, W]) -> [N]")
def check_detail_likeness() -> Parts:
    by_hand = nudged(torch.tensor([[[[2.0, 0.0], [0.0, -2.0]]]])), nudged(torch.tensor([[[[1.0, 1.0], [-1.0, -1.0]]]]))
    flat_made, flat_real = _details(3, 16, 0.7), _details(4, 17, 0.9, 0.4, (1, 5, 5))
    flat_made[0][1], flat_real[1][2] = 0.0, 0.0
    return {
        "one": cases(
            _compare_likeness, by_hand, _details(1, 11, 0.6, 3.0), _details(1, 12, -0.5, 0.2), _details(1, 13, 0.9)
        ),
        "many": cases(
            _compare_likeness,
            *(_details(4, 14, 0.8, 2.0), _details(3, 15, 0.6, 0.3, (1, 4, 9)), flat_made, flat_real),
            *[tuple(size * each for each in _details(2, seed, 0.8)) for size, seed in ((1e-3, 18), (1e-5, 19))],
        ),
    }


# ------------------------------------------------------------------------------------------ stars that were never there


def _near(real: Tensor, reach: int, around: bool = True, over: bool = False, round_: bool = False) -> Tensor:
    """Where a point of ``real`` lies within ``reach``; columns go ``around``, and rows only if ``over``."""
    found, (rows, columns) = torch.zeros_like(real), real.shape
    for y, x in real.nonzero().tolist():
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if round_ and dy * dy + dx * dx > reach * reach:
                    continue
                row, column = y + dy, x + dx
                if (over or 0 <= row < rows) and (around or 0 <= column < columns):
                    found[row % rows, column % columns] = True
    return found


def _compare_invented(attempt: Attempt, painted: Tensor, real: Tensor, reach: int) -> None:
    def share(near: Tensor, of: Tensor = painted) -> float:
        return (of & ~near).sum().item() / max(1, of.sum().item())

    near, count = _near(real, reach), painted.sum().item()
    right, alone = share(near), (painted & ~near).sum().item()
    mistakes = [
        (1 - right if count else 0.0, "That is the share of those that are real."),
        (1 - right, "That is the share of those that are real."),
        (
            share(_near(real, reach, around=False)),
            "The left and the right edge are neighbours: it goes around.",
        ),
        (share(_near(real, reach, over=True)), "The uppermost and the lowest row are no neighbours."),
        (share(_near(real, reach, around=False, over=True)), "Columns go around, and rows don't: not the other way."),
        (share(real), "Only stars in the very same place are taken for real here: look `reach` pixels around."),
        (share(_near(real, 1)), "The reach is given, and need not be 1."),
        (share(_near(real, reach + 1)), "This looks a pixel too far."),
        (share(_near(real, max(0, reach - 1))), "This looks a pixel too near."),
        (share(_near(real, reach, round_=True)), "Rows and columns are counted each for itself: a square, no circle."),
        (share(_near(painted, reach), real), "This is the share of the real stars that were missed."),
        (float(alone), "This is their number. What share of the painted stars is it?"),
        (alone / max(1, real.sum().item()), "A share of the painted stars is wanted, not of the real ones."),
        (alone / painted.numel(), "A share of the painted stars is wanted, not of all places."),
        (right if count else 1.0, "Where no star was painted, none was invented: 0."),
        (right if real.any() else 0.0, "There is no real star here at all: what was painted is invented."),
    ]
    hint = "Mark all places within `reach` of a real star, around the edge as well. Which painted stars lie elsewhere?"
    if not count:
        hint = "No star was painted here, so the share would be 0 / 0: return 0."
    elif reach >= len(real):
        hint += " Here `reach` is more than there are rows."
    result = attempt(painted.clone(), real.clone(), reach)
    attempt.close(result, right, hint, mistakes, what="the share", tolerance=1e-5)


def _sky(rows: int, columns: int, seed: int, painted: float, real: float, margin: int = 0) -> tuple[Tensor, Tensor]:
    """Painted and real stars at random, by their shares of all places; none within ``margin`` of an edge."""
    numbers = torch.rand(2, rows, columns, generator=seeded(seed))
    inside = torch.zeros(rows, columns, dtype=torch.bool)
    inside[margin : rows - margin, margin : columns - margin] = True
    return (numbers[0] < painted) & inside, (numbers[1] < real) & inside


def _edges(rows: int, columns: int, seed: int) -> tuple[Tensor, Tensor]:
    """Painted stars along the first column and the lowest row; real ones across the edge, and in the uppermost row."""
    painted, real = _sky(rows, columns, seed, 0.2, 0.0)
    painted[:, 0] = painted[-1] = True
    chosen = torch.randperm(rows - 2, generator=seeded(seed))[:2] + 1
    real[chosen, -1] = True
    real[0, columns // 2] = True
    return painted, real


@check("invented_share(painted [H, W], real [H, W], reach) -> number")
def check_invented_share() -> Parts:
    none = torch.zeros(6, 12, dtype=torch.bool)
    return {
        "inside": cases(
            _compare_invented,
            (*_sky(12, 24, 21, 0.2, 0.1, 3), 1),
            (*_sky(14, 20, 22, 0.3, 0.06, 3), 2),
            (*_sky(10, 16, 23, 0.3, 0.3, 2), 0),
        ),
        "around": cases(
            _compare_invented,
            (*_edges(8, 12, 24), 1),
            (*_edges(9, 14, 25), 2),
            (*_sky(9, 12, 26, 0.5, 0.06), 3),
            (*_edges(12, 18, 30), 3),
            (*_sky(3, 14, 31, 0.5, 0.04), 4),
        ),
        "empty": cases(
            _compare_invented,
            (none, _sky(6, 12, 27, 0.1, 0.2)[1], 1),
            (none, _sky(6, 12, 29, 0.1, 0.1)[1], 2),
            (_sky(6, 12, 28, 0.3, 0.1)[0], none, 1),
            (_sky(6, 12, 32, 0.4, 0.1)[0], none, 2),
        ),
    }
