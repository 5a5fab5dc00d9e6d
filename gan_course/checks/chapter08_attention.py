"""Checks of chapter 08, where words meet the picture: attention by hand, and the map of one word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gan_course.checks.report import Attempt, run

# ------------------------------------------------------------------------------------------ attention


def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None, over: int = -1) -> Tensor:
    """Scaled dot-product attention: every place's mean of the words' values."""
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    return (scale * query @ key.transpose(-1, -2)).softmax(dim=over) @ value


def _compare_attention(attempt: Attempt, query: Tensor, key: Tensor, value: Tensor) -> None:
    right = _attend(query.double(), key.double(), value.double())
    q, k, v = query.double(), key.double(), value.double()
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    mistakes = [
        (_attend(q, k, v, scale=1.0), "The products were not divided by the root of the number of features."),
        (_attend(q, k, v, scale=1 / q.shape[-1]), "Divide by the root of the number of features, not by the number."),
        (
            _attend(q, k, v, scale=k.shape[-2] ** -0.5),
            "Divide by the root of the number of *features* of a query, not of words.",
        ),
        (_attend(q, k, v, over=-2), "The softmax runs over the wrong axis: at each place, the *words* share 1."),
        (scores @ v, "Scores are no shares yet: at each place they must be positive and sum to 1."),
        (
            (scores / scores.sum(dim=-1, keepdim=True)) @ v,
            "Dividing by the sum leaves negative shares. Which function makes all of them positive?",
        ),
        (
            torch.nn.functional.one_hot(scores.argmax(dim=-1), k.shape[-2]).double() @ v,
            "The best word takes all here. Each word should count by its share.",
        ),
        (v.mean(dim=-2, keepdim=True).expand_as(right), "All words count the same: the queries have no effect."),
    ]
    if k.shape == v.shape:
        mistakes.append((_attend(q, v, k), "Keys and values are swapped: keys decide, values are handed out."))
    hint = "Products of each query with all keys, scaled; a softmax over the words; the weighted mean of the values."
    result = attempt(query.clone(), key.clone(), value.clone())
    attempt.close(result, right, hint, mistakes, what="what the places learn", tolerance=1e-3)


def _random(shape: tuple[int, ...], seed: int, size: float = 1.0) -> Tensor:
    return size * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _attention_plain(attempt: Attempt) -> None:
    """One query at a time: two words, so that all can be followed by hand."""
    key, value = torch.tensor([[2.0, 0.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 4.0]])
    for query in (torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.tensor([[0.0, 3.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])):
        _compare_attention(attempt, query, key, value)
    _compare_attention(attempt, _random((5, 3), 1), _random((4, 3), 2), _random((4, 6), 3))


def _attention_heads(attempt: Attempt) -> None:
    """With pictures and heads in front, and more places than words."""
    for n, heads, places, words, features, seed in ((2, 4, 16, 5, 8, 4), (1, 2, 9, 9, 12, 5), (3, 1, 4, 7, 2, 6)):
        q, k, v = (
            _random((n, heads, length, features), 10 * seed + i) for i, length in enumerate((places, words, words))
        )
        _compare_attention(attempt, q, k, v)


def _attention_large(attempt: Attempt) -> None:
    """Scores so large that the exponential of the bare number is infinite."""
    _compare_attention(
        attempt, _random((1, 2, 6, 4), 7, 30.0), _random((1, 2, 5, 4), 8, 30.0), _random((1, 2, 5, 4), 9)
    )


def check_attend(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(query [..., P, D], key [..., W, D], value [..., W, E]) -> [..., P, E]``.

    Parts: ``plain``, ``heads``, ``large``.
    """
    parts = {"plain": _attention_plain, "heads": _attention_heads, "large": _attention_large}
    run("attend", function, "query key value", parts, part)


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
    return _random((2 * count, heads, side * side, words), seed, 2.0).softmax(dim=-1)


def _map_one(attempt: Attempt) -> None:
    _compare_map(attempt, _probabilities(1, 1, 2, 3, 1), 1)
    _compare_map(attempt, _probabilities(1, 4, 4, 6, 2), 0)


def _map_many(attempt: Attempt) -> None:
    _compare_map(attempt, _probabilities(3, 4, 8, 24, 3), 5)
    _compare_map(attempt, _probabilities(2, 8, 4, 24, 4), 23)


def check_word_map(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(probabilities [2N, heads, side², words], word) -> [N, side, side]``. Parts: ``one``, ``many``."""
    run("word_map", function, "probabilities word", {"one": _map_one, "many": _map_many}, part)
