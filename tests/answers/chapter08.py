"""Right and wrong answers to the tasks of chapter 08."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from gan_course import diffusion
from gan_course.stable_diffusion import attention

# ------------------------------------------------------------------------------------------ guidance, scale, steps


def guided(away_first=True, weigh=lambda away, towards, scale: away + scale * (towards - away)):
    def answer(both, scales):
        away, towards = both.chunk(2) if away_first else both.chunk(2)[::-1]
        return weigh(away, towards, scales.view(-1, *[1] * (away.ndim - 1)))

    return answer


def guided_for_pictures_alone(both, scales):
    away, towards = both.chunk(2)
    return away + scales.view(-1, 1, 1, 1) * (towards - away)


def guided_as_a_mixture(both, scales):
    n = len(both) // 2
    weights = torch.stack([1 - scales, scales]).view(2, n, *[1] * (both.ndim - 1))
    return (weights * both.view(2, n, *both.shape[1:])).sum(dim=0)


def guided_alternating(both, scales):
    return both[0::2] + scales.view(-1, *[1] * (both.ndim - 1)) * (both[1::2] - both[0::2])


def guided_all_alike(both, scales):
    return diffusion.guide(*both.chunk(2), scales.mean().item())


def scale_by_numpy(latents):
    return 1 / float(latents.numpy().std())


def scale_by_hand(latents):
    x = latents.flatten() - latents.mean()
    return torch.sqrt(x.numel() / (x**2).sum())


def walked(count=lambda n, s: int(n * s), pick=lambda t, n: t[len(t) - n :]):
    return lambda timesteps, strength: pick(timesteps, count(len(timesteps), strength))


def walked_by_diffusers(timesteps, strength):
    from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline

    class Pipeline:
        scheduler = DDIMScheduler(steps_offset=1)

    Pipeline.scheduler.set_timesteps(len(timesteps))
    Pipeline.scheduler.timesteps = timesteps
    return StableDiffusionImg2ImgPipeline.get_timesteps(Pipeline, len(timesteps), strength, "cpu")[0]


def walked_as_a_list(timesteps, strength):
    first = math.ceil(round(len(timesteps) * (1 - strength), 9))
    return timesteps.tolist()[first:]


# ------------------------------------------------------------------------------------------ inpainting


def outside(
    known=lambda o, n, alpha_bar: alpha_bar**0.5 * o + (1 - alpha_bar) ** 0.5 * n,
    choose=lambda m, x, o: m * x + (1 - m) * o,
):
    return lambda x, original, noise, mask, alpha_bar: choose(mask, x, known(original, noise, alpha_bar))


def outside_by_where(x, original, noise, mask, alpha_bar):
    table = torch.tensor([alpha_bar])
    return torch.where(mask.bool(), x, diffusion.add_noise(original, noise, 0, table))


def outside_by_index(x, original, noise, mask, alpha_bar):
    result, hidden = x.clone(), mask.expand_as(x) < 0.5
    result[hidden] = (math.sqrt(alpha_bar) * original + math.sqrt(1 - alpha_bar) * noise)[hidden]
    return result


def outside_in_place(x, original, noise, mask, alpha_bar):
    x.copy_(outside()(x, original, noise, mask, alpha_bar))
    return x


# ------------------------------------------------------------------------------------------ attention


def left_out(scores, counts):
    return scores.masked_fill(~counts.unsqueeze(-2), -math.inf)


def attend(
    scale=lambda q, k: q.shape[-1] ** -0.5, share=lambda s: s.softmax(dim=-1), swap=False, mask=left_out, after=None
):
    def answer(query, key, value, counts):
        if swap:
            key, value = value, key
        shares = share(mask(scale(query, key) * query @ key.transpose(-1, -2), counts))
        return (after(shares, counts) if after else shares) @ value

    return answer


def left_out_evenly(shares, counts):
    shares = shares * counts.unsqueeze(-2)
    return shares / shares.sum(dim=-1, keepdim=True)


def attend_by_torch(query, key, value, counts):
    return F.scaled_dot_product_attention(query, key, value, attn_mask=counts.unsqueeze(-2))


def attend_by_einsum(query, key, value, counts):
    scores = torch.einsum("...pd,...wd->...pw", query, key) / math.sqrt(query.shape[-1])
    scores = torch.where(counts[..., None, :], scores, torch.finfo(scores.dtype).min)
    weights = (scores - scores.amax(dim=-1, keepdim=True)).exp() * counts[..., None, :]
    return torch.einsum("...pw,...we->...pe", weights / weights.sum(dim=-1, keepdim=True), value)


def attend_without_care(query, key, value, counts):
    weights = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).exp() * counts.unsqueeze(-2)
    return weights / weights.sum(dim=-1, keepdim=True) @ value


def left_out_afterwards(query, key, value, counts):
    """Right, unless all of the share goes to words that don't count."""
    shares = attend(mask=lambda scores, counts: scores)(query, key, torch.eye(key.shape[-2]), counts)
    shares = shares * counts.unsqueeze(-2)
    return shares / shares.sum(dim=-1, keepdim=True) @ value


def attend_one_head(query, key, value, counts):
    return (query @ key.T / math.sqrt(query.shape[-1])).masked_fill(~counts, -math.inf).softmax(dim=-1) @ value


def fold(x):
    return x.unflatten(-1, (round(x.shape[-1] ** 0.5), -1))


def word_map(half=1, heads=lambda x: x.mean(dim=1), last=lambda x: x):
    return lambda probabilities, word: last(fold(heads(probabilities.chunk(2)[half][..., word])))


def word_map_by_the_course(probabilities, word):
    side = round(probabilities.shape[2] ** 0.5)
    return attention.maps([probabilities[len(probabilities) // 2 :]], side)[:, word]


def word_map_by_loops(probabilities, word):
    count, heads, places, _ = probabilities.shape
    side = math.isqrt(places)
    result = torch.zeros(count // 2, side, side)
    for i in range(count // 2):
        for place in range(places):
            result[i, place // side, place % side] = probabilities[count // 2 + i, :, place, word].sum() / heads
    return result


# ------------------------------------------------------------------------------------------ an adapter


def merged(change=lambda a, b: b.flatten(1) @ a.flatten(1), add=lambda w, c, s: w + s * c):
    return lambda weight, down, up, scale: add(weight, change(down, up).reshape(weight.shape), scale)


def merged_by_einsum(weight, down, up, scale):
    if weight.ndim == 2:
        return weight + scale * torch.einsum("or,ri->oi", up, down)
    return weight + scale * torch.einsum("or,rikl->oikl", up[:, :, 0, 0], down)


def merged_by_probing(weight, down, up, scale):
    """A linear layer's adapter is what it answers to each unit vector; a convolution's kernels are mixed by another."""
    if weight.ndim == 2:
        units = torch.eye(weight.shape[1])
        return weight + scale * F.linear(F.linear(units, down), up).T
    return weight + scale * F.conv2d(down.transpose(0, 1), up).transpose(0, 1)


def merged_linear_alone(weight, down, up, scale):
    return weight + scale * up @ down


def merged_in_place(weight, down, up, scale):
    return weight.add_(scale * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape))


def other_order(down, up):
    product = up.flatten(1) @ down.flatten(1)
    return product.reshape(len(up), *down.shape[2:], down.shape[1]).movedim(-1, 1)


def rank(one=lambda s: s[0] + math.prod(s[1:]), whole=int, kilo=1000, every=sum):
    return lambda shapes, kilobytes, bytes_each: whole(
        kilo * kilobytes / (bytes_each * every([one(s) for s in shapes]))
    )


def rank_by_trying(shapes, kilobytes, bytes_each):
    r = 0
    while sum((r + 1) * (torch.Size(s[1:]).numel() + s[0]) for s in shapes) * bytes_each <= 1000 * kilobytes:
        r += 1
    return r


# ------------------------------------------------------------------------------------------ invented detail and stars


def likeness(over=lambda x: x.flatten(1).sum(dim=1), size=lambda a, b: (a * b).sqrt(), last=lambda r: r):
    def answer(made, real):
        below = size(over(made**2), over(real**2))
        return last(torch.where(below > 0, over(made * real) / below, 0.0))

    return answer


def likeness_by_cosine(made, real):
    return F.cosine_similarity(made.flatten(1), real.flatten(1))


def likeness_by_loops(made, real):
    result = []
    for a, b in zip(made.double().numpy(), real.double().numpy(), strict=True):
        below = math.sqrt((a * a).sum() * (b * b).sum())
        result.append((a * b).sum() / below if below else 0.0)
    return torch.tensor(result)


def likeness_with_nan(made, real):
    a, b = made.flatten(1), real.flatten(1)
    return (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1))


def likeness_with_a_floor(made, real, floor=1e-5):  # something added, lest 0 be divided by 0
    a, b = made.flatten(1), real.flatten(1)
    return (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1) + floor)


def likeness_by_corrcoef(made, real):
    rows = zip(made.flatten(1), real.flatten(1), strict=True)
    return torch.stack([torch.corrcoef(torch.stack(pair))[0, 1].nan_to_num() for pair in rows])


def likeness_of_one(made, real):
    return likeness_by_cosine(made.flatten()[None], real.flatten()[None]).expand(len(made))


def invented(columns="circular", rows="constant", window=lambda reach: 2 * reach + 1, last=lambda x: x, empty=0.0):
    def answer(painted, real, reach):
        grown = real[None, None].float()
        grown = F.pad(grown, (reach, reach, 0, 0), mode=columns)
        grown = F.pad(grown, (0, 0, reach, reach), mode=rows)
        near = F.max_pool2d(grown, window(reach), 1)[0, 0, : len(real), : real.shape[1]] > 0
        return last((painted & ~near).sum().item() / painted.sum().item()) if painted.any() else empty

    return answer


def invented_by_distances(painted, real, reach):
    stars, known = painted.nonzero(), real.nonzero()
    if not len(stars):
        return 0.0
    down, across = (stars[:, None] - known[None]).abs().unbind(dim=-1)
    across = torch.minimum(across, real.shape[1] - across)
    return 1 - ((down <= reach) & (across <= reach)).any(dim=1).float().mean().item()


def invented_in_a_circle(painted, real, reach):
    stars, known = painted.nonzero(), real.nonzero()
    if not len(stars):
        return 0.0
    down, across = (stars[:, None] - known[None]).abs().unbind(dim=-1)
    across = torch.minimum(across, real.shape[1] - across)
    return 1 - (down**2 + across**2 <= reach**2).any(dim=1).float().mean().item()


def invented_by_rolls(painted, real, reach):  # rows go around, too
    near = torch.zeros_like(real)
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            near |= real.roll((y, x), (0, 1))
    return ((painted & ~near).sum() / painted.sum().clamp(min=1)).item()


def invented_by_slices(painted, real, reach, within=lambda rows, reach: min(rows - 1, reach)):
    rows, near = len(real), torch.zeros_like(real)
    highest = within(rows, reach)
    for x in range(-reach, reach + 1):
        rolled = real.roll(x, 1)
        for y in range(highest + 1):
            near[y:] |= rolled[: rows - y]
            near[: rows - y] |= rolled[y:]
    return (painted & ~near).sum().item() / max(1, painted.sum().item())


def invented_with_nan(painted, real, reach):
    near = F.pad(real[None, None].float(), (reach, reach, 0, 0), mode="circular")
    near = F.max_pool2d(near, 2 * reach + 1, 1, (reach, 0))[0, 0] > 0
    return (painted & ~near).sum().item() / painted.sum()


RIGHT = {
    "merged": [merged(), merged_by_einsum, merged_by_probing],
    "fitting_rank": [rank(), rank_by_trying, rank(whole=lambda x: np.int64(np.floor(x)))],
    "detail_likeness": [likeness(), likeness_by_cosine, likeness_by_loops],
    "invented_share": [invented(), invented_by_distances, invented_by_slices, invented(last=np.float64)],
    "guided": [guided(), guided_as_a_mixture, guided(weigh=lambda a, t, w: torch.lerp(a, t, w))],
    "latent_scale": [lambda latents: 1 / latents.std(), scale_by_numpy, scale_by_hand],
    "steps_walked": [walked(), walked(count=lambda n, s: math.floor(n * s)), walked_by_diffusers],
    "keep_outside": [outside(), outside_by_where, outside_by_index],
    "attend": [attend(), attend_by_torch, attend_by_einsum],
    "word_map": [word_map(), word_map_by_the_course, word_map_by_loops],
}

WRONG = {
    "detail_likeness": [
        (likeness_of_one, "each has a likeness of its own"),
        (likeness(size=lambda a, b: a * b), "Where is the root?"),
        (likeness(size=lambda a, b: b), "by the real detail's energy alone"),
        (likeness(size=lambda a, b: a), "what of the real detail's?"),
        (likeness(last=abs), "The sign is lost"),
        (likeness(last=lambda r: 1 - r), "missing to 1"),
        (likeness(size=lambda a, b: torch.ones_like(a)), "The products alone"),
        (lambda made, real: made.flatten(1).square().sum(1) / real.flatten(1).square().sum(1), "This is the energy"),
        (lambda made, real: F.cosine_similarity(made, real).flatten(1).mean(1), "Not place by place"),
        (lambda made, real: (made.sign() * real.sign()).flatten(1).mean(1), "Signs alone"),
        (lambda made, real: (made * real).flatten(1).mean(1), "averaged and not divided"),
        (likeness_with_nan, "0 is to be returned"),
        (likeness_with_a_floor, "Was something added to the divisor?"),
        (lambda made, real: F.cosine_similarity(made, real), "the likeness with shape"),
        (lambda made, real: F.cosine_similarity(made.flatten(), real.flatten(), dim=0), "a likeness of its own"),
        (likeness_by_corrcoef, "The means were taken off"),
        (lambda made, real: likeness_with_a_floor(made, real, 1e-8), "Was something added to the divisor?"),
    ],
    "invented_share": [
        (invented(last=lambda x: 1 - x), "the share of those that are real"),
        (invented(columns="constant"), "The left and the right edge are neighbours"),
        (invented_by_rolls, "are no neighbours"),
        (invented(columns="constant", rows="circular"), "not the other way"),
        (lambda painted, real, reach: invented()(painted, real, 0), "look `reach` pixels around"),
        (lambda painted, real, reach: invented()(painted, real, 1), "need not be 1"),
        (lambda painted, real, reach: invented()(painted, real, reach + 1), "a pixel too far"),
        (lambda painted, real, reach: invented()(real, painted, reach), "the real stars that were missed"),
        (invented_in_a_circle, "no circle"),
        (lambda painted, real, reach: invented()(painted, real, reach) * painted.sum().item(), "their number"),
        (lambda painted, real, reach: invented()(painted, real, reach) * painted.float().mean(), "not of all places"),
        (invented(empty=1.0), "Where no star was painted"),
        (invented_with_nan, "the share would be 0 / 0"),
        (lambda p, r, reach: invented_by_slices(p, r, reach, lambda rows, reach: reach), "got: the error"),
        (lambda p, real, reach: invented()(p, real, reach) if real.any() else 0.0, "no real star here at all"),
        (lambda painted, real, reach: None, "a return statement"),
    ],
    "merged": [
        (merged(add=lambda w, c, s: w + c), "The scale is forgotten"),
        (merged(add=lambda w, c, s: w - s * c), "The sign is wrong"),
        (merged(add=lambda w, c, s: s * c), "This is the addition alone"),
        (merged(add=lambda w, c, s: s * (w + c)), "belongs to the addition"),
        (merged(add=lambda w, c, s: torch.lerp(w, c, s)), "keeps its full share"),
        (merged(add=lambda w, c, s: w), "The adapter has no effect"),
        (merged(add=lambda w, c, s: None), "a return statement"),
        (lambda w, a, b, s: w + s / len(a) * merged()(0 * w, a, b, 1.0), "Don't divide by the rank again"),
        (lambda w, a, b, s: merged()(w, a, b, s**2), "applied twice"),
        (lambda w, a, b, s: w + s * (a.flatten(1).T @ b.flatten(1).T).reshape(w.shape), "Flatten all axes"),
        (merged(change=other_order), "folded in another order"),
        (merged_linear_alone, "got: the error"),
        (merged_in_place, "weight was changed"),
    ],
    "fitting_rank": [
        (rank(whole=lambda x: x), "A rank is a whole number"),
        (rank(whole=math.ceil), "round down"),
        (rank(whole=round), "round down"),
        (rank(kilo=1), "how many bytes is that"),
        (rank(kilo=8000), "not in bits"),
        (rank(one=math.prod), "That is the whole weight"),
        (rank(one=lambda s: s[0] + s[1]), "all pixels of its kernel"),
        (rank(one=sum), "they don't add"),
        (rank(one=lambda s: math.prod(s[1:])), "This counts A. And B?"),
        (rank(one=lambda s: s[0]), "This counts B. And A?"),
        (rank(every=max), "All layers need room"),
        *[
            (lambda shapes, k, b, side=side: min(rank()(shapes, k, b), side(shapes)), "The task asks what fits")
            for side in (
                lambda shapes: min(min(s[0], math.prod(s[1:])) for s in shapes),
                lambda shapes: min(min(s[:2]) for s in shapes),
            )
        ],
        (rank(every=lambda n: n[0]), "the first layer alone"),
        (lambda shapes, k, b: rank()(shapes, k, 1), "does each number take"),
        (lambda shapes, k, b: None, "a return statement"),
    ],
    "guided": [
        (guided(away_first=False), "have changed places"),
        (guided(weigh=lambda a, t, w: a - w * (t - a)), "The sign is wrong"),
        (guided(weigh=lambda a, t, w: t + w * (t - a)), "A guidance of 1 must give the prompt's own answer"),
        (guided(weigh=lambda a, t, w: w * (t - a)), "From where does it start?"),
        (guided(weigh=lambda a, t, w: w * t), "Where is the answer for the negative prompt?"),
        (guided(weigh=lambda a, t, w: t), "The guidance has no effect"),
        (guided(weigh=lambda a, t, w: None), "a return statement"),
        (lambda both, w: both[:1] + w[0] * (both[1:] - both[:1]), "the guided answer with shape"),
        (guided_for_pictures_alone, "There are 2 axes too many"),
        (lambda both, w: torch.cat([both[: len(w)], guided()(both, w)]), "has length 2 and should have 1"),
        (guided_all_alike, "a guidance of its own"),
        (guided_alternating, "Start at the answer for the negative prompt"),
    ],
    "latent_scale": [
        (lambda x: x.std(), "This is the spread itself"),
        (lambda x: 1 / x.var(), "The variance grows with the square"),
        (lambda x: 1 / x.abs().max(), "One far-off value must not decide"),
        (lambda x: 1 / x.abs().mean(), "not the mean size"),
        (lambda x: (1 / x.std(dim=(0, 2, 3))).mean(), "not the mean of each channel's"),
        (lambda x: 1 / x.std(dim=(1, 2, 3)).mean(), "over all pictures"),
        (lambda x: 1 / x.square().mean().sqrt(), "the spread is measured around it"),
        (lambda x: 1 / x.std(dim=(0, 2, 3)), "as one number"),
        (lambda x: 0.18215, "so that their standard deviation becomes 1"),
    ],
    "steps_walked": [
        (walked(pick=lambda t, n: t[:n]), "These are the noisiest ones"),
        (walked(pick=lambda t, n: t[: len(t) - n]), "left out"),
        (walked(pick=lambda t, n: t[n:]), "A strength of 1 must walk all the steps"),
        (walked(count=lambda n, s: math.ceil(n * s)), "hint: A part of a step is not walked: round down."),
        (walked(count=lambda n, s: round(n * s + 0.01)), "round down"),
        (walked(count=lambda n, s: int(n * s) + 1), "One step too many"),
        (walked(count=lambda n, s: max(1, int(n * s) - 1)), "One step too few"),
        (walked(pick=lambda t, n: t[len(t) - n :].flip(0)), "from noisy to clean"),
        (walked(pick=lambda t, n: None), "a return statement"),
        (walked(pick=lambda t, n: n), "a row of timesteps"),
        (lambda timesteps, strength: timesteps, "rounded down"),
        (lambda timesteps, strength: timesteps[timesteps <= 1000 * strength], "Count steps, not timesteps"),
        (walked(pick=lambda t, n: t[-n - 2 :]), "rounded down"),
    ],
    "keep_outside": [
        (outside(choose=lambda m, x, o: m * o + (1 - m) * x), "Inside and outside are swapped"),
        (outside(known=lambda o, n, alpha_bar: o), "The original goes in without noise"),
        (outside(known=lambda o, n, alpha_bar: alpha_bar * o + (1 - alpha_bar) * n), "is its root"),
        (outside(known=lambda o, n, alpha_bar: o + (1 - alpha_bar) ** 0.5 * n), "the picture has to fade"),
        (outside(known=lambda o, n, alpha_bar: (1 - alpha_bar) ** 0.5 * o + alpha_bar**0.5 * n), "each other's share"),
        (outside(choose=lambda m, x, o: m * x), "nothing is left"),
        (outside(choose=lambda m, x, o: x), "Nothing was put back"),
        (outside(choose=lambda m, x, o: o), "what was painted inside is lost"),
        (outside_in_place, "x was changed"),
    ],
    "attend": [
        (attend(scale=lambda q, k: 1.0), "not divided by the root"),
        (attend(scale=lambda q, k: 1 / q.shape[-1]), "not by the number"),
        (attend(scale=lambda q, k: k.shape[-2] ** -0.5), "not of words"),
        (attend(share=lambda s: s.softmax(dim=-2)), "runs over the wrong axis"),
        (attend(share=lambda s: s, mask=lambda s, counts: s * counts.unsqueeze(-2)), "Scores are no shares yet"),
        (attend(share=lambda s: s / s.sum(dim=-1, keepdim=True)), "expected: what the places learn"),
        (attend(share=lambda s: F.one_hot(s.argmax(-1), s.shape[-1]).float()), "The best word takes all"),
        (attend(share=lambda s: s.clamp(0, 0).softmax(dim=-1), after=left_out_evenly), "All words count the same"),
        (attend_without_care, "without NaN"),
        (attend_one_head, "got: the error RuntimeError"),
        (lambda q, k, v, counts: (q @ k.transpose(-1, -2)).softmax(-1), "what the places learn"),
        (attend(mask=lambda s, counts: s), "Words that don't count have a share here"),
        (attend(mask=lambda s, counts: left_out(s, ~counts)), "none is left out"),
        (attend(mask=lambda s, counts: s * counts.unsqueeze(-2)), "Which score gives a share of 0?"),
        (attend(mask=lambda s, counts: s, after=lambda s, counts: s * counts.unsqueeze(-2)), "Here some went"),
        (left_out_afterwards, "is infinite, or 0"),
    ],
    "word_map": [
        (word_map(half=0), "the half without the prompt"),
        (word_map(heads=lambda x: x.sum(dim=1)), "not the sum"),
        (word_map(heads=lambda x: x[:, 0]), "the first head alone"),
        (word_map(heads=lambda x: x.amax(dim=1)), "not the largest"),
        (word_map(last=lambda x: x.transpose(1, 2)), "Rows and columns are swapped"),
        (lambda p, word: fold(p[1::2, :, :, word].mean(1)), "they don't alternate"),
        (lambda p, word: fold(p[..., word].mean(1)), "the map with shape [2, 2, 2]"),
        (lambda p, word: p.chunk(2)[1][..., word].mean(1), "the map with shape [1, 4]"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses

RIGHT["latent_scale"] += [lambda latents: np.float32(1 / latents.numpy().std())]
WRONG["steps_walked"] += [
    (walked_as_a_list, "as one tensor"),
    (lambda timesteps, strength: walked()(timesteps, strength).numpy(), "as one tensor"),
    (lambda timesteps, strength: tuple(walked()(timesteps, strength).tolist()), "as one tensor"),
    (lambda timesteps, strength: walked()(timesteps, strength).float(), "whole numbers"),
]
WRONG["latent_scale"] += [
    (lambda x: 1 / x.var(dim=(0, 2, 3)).mean().sqrt(), "variances were averaged"),
    (lambda x: 1 / x.std(dim=(0, 2, 3)).mean(), "not the mean of each channel's"),
    (lambda x: 1 / (x - x.mean((2, 3), keepdim=True)).std(), "becomes 1"),
    (lambda x: 1 / x[0].std(), "becomes 1"),
]
WRONG["attend"] += [
    (attend(share=lambda s: s.sigmoid()), "a softmax over the words"),
    (attend(share=lambda s: s.clamp(-20, 20).softmax(dim=-1)), "exp() of them is infinite"),
]
WRONG["word_map"] += [(lambda p, word: word_map()(p.mul_(2), word) / 2, "probabilities was changed")]
WRONG["keep_outside"] += [(lambda x, o, n, m, a: outside()(x, o, n.mul_(0.5), m, a), "noise was changed")]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "detail_likeness": [(likeness_of_one, "one", "many"), (likeness_with_nan, "one", "many")],
    "invented_share": [
        (invented(columns="constant"), "inside", "around"),
        (invented_by_rolls, "inside", "around"),
        (invented(empty=1.0), "around", "empty"),
    ],
    "merged": [(merged_linear_alone, "linear", "convolution"), (merged(change=other_order), "linear", "convolution")],
    "fitting_rank": [(rank(one=lambda s: s[0] + s[1]), "linear", "mixed"), (rank(one=sum), "linear", "mixed")],
    "guided": [(guided_alternating, "one", "many")],
    "latent_scale": [
        (lambda x: 1 / x.std(dim=(0, 2, 3)).mean(), "even", "uneven"),
        (lambda x: 1 / x.square().mean().sqrt(), "even", "uneven"),
    ],
    "steps_walked": [(walked(count=lambda n, s: round(n * s)), "whole", "rounded")],
    "keep_outside": [
        (outside(known=lambda o, n, alpha_bar: o), "last", "on_the_way"),
        (outside(known=lambda o, n, alpha_bar: alpha_bar * o + (1 - alpha_bar) * n), "last", "on_the_way"),
    ],
    "attend": [(attend(mask=lambda s, counts: s), "all", "some"), (left_out_afterwards, "all", "some")],
    "word_map": [(lambda p, word: fold(p[1::2, :, :, word].mean(1)), "one", "many")],
}
