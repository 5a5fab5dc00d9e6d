"""Checks of chapter 09: what speed costs, the best single answer, the loss that asks a teacher, how varied it is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gan_course.checks.draws import hidden
from gan_course.checks.report import Attempt, Parts, cases, check
from gan_course.checks.values import normal, per_picture

# ------------------------------------------------------------------------------------------ how many times faster


def _true_speed_up(text: float, call: float, decoder: float, steps: int, guided: bool) -> float:
    """Counted call by call."""
    teacher = decoder
    for _ in range(2 if guided else 1):
        teacher += text
        for _ in range(steps):
            teacher += call
    return teacher / (text + call + decoder)


def _compare_speed_up(attempt: Attempt, text: float, call: float, decoder: float, steps: int, guided: bool) -> None:
    result = attempt(text, call, decoder, steps, guided)
    right, own = _true_speed_up(text, call, decoder, steps, guided), text + call + decoder
    times = 2 if guided else 1
    mistakes = [
        (1 / right, "This is the share of the time. How many times faster is asked for: slow time by fast time."),
        (times * steps, "Calls of the U-Net are not all: both also read the prompt and decode once."),
        (
            (times * (text + steps * call + decoder)) / own,
            "The decoder sees only the final latents, with guidance too: how often is it called?",
        ),
        ((times * steps * own) / own, "Text encoder and decoder are not called in every step."),
        (
            (text + times * steps * call + decoder) / own,
            "Guidance compares two prompts, yours and the empty one: how many must be read?",
        ),
        ((text + steps * call + decoder) / own, "Guidance has no effect here. How many calls does each step take?"),
        (
            _true_speed_up(text, call, decoder, steps, not guided),
            "This is right with guidance the other way round. When does a step take two calls?",
        ),
        (
            right * own / (times * text + times * call + decoder),
            "The student has no guidance: it reads one prompt and calls its U-Net once.",
        ),
    ]
    hint = "Write down what is called for one picture, and how often: by the teacher, then by the student."
    attempt.close(result, right, hint, mistakes, what="the speed-up")


@check("speed_up(text, call, decoder, steps, guided) -> float")
def check_speed_up() -> Parts:
    models = ((0.25, 2.0, 0.5, 25), (1.0, 3.0, 4.0, 10), (0.5, 0.75, 2.0, 1), (3.0, 0.2, 0.7, 50))
    return {
        "plain": cases(_compare_speed_up, *models, guided=False, nudge=True),
        "guided": cases(_compare_speed_up, *models, guided=True, nudge=True),
    }


# ------------------------------------------------------------------------------------------ the frontier


def _true_frontier(seconds: Tensor, errors: Tensor) -> Tensor:
    """Each model against each other one."""
    best = []
    for s, e in zip(seconds.tolist(), errors.tolist(), strict=True):
        others = zip(seconds.tolist(), errors.tolist(), strict=True)
        best.append(not any(a <= s and b <= e and (a < s or b < e) for a, b in others))
    return torch.tensor(best)


def _compare_frontier(attempt: Attempt, first: list[float], second: list[float]) -> None:
    seconds, errors = torch.tensor(first), torch.tensor(second)
    no_slower, no_worse = seconds[None] <= seconds[:, None], errors[None] <= errors[:, None]
    faster, better = seconds[None] < seconds[:, None], errors[None] < errors[:, None]
    right = _true_frontier(seconds, errors)
    mistakes = [
        (~right, "The other way round: True stands for a model that nobody beats."),
        (
            ~(faster & better).any(dim=1),
            "A model can also be beaten by one that is equally fast and better, or equally good and faster.",
        ),
        (
            ~(no_slower & no_worse & ~torch.eye(len(seconds), dtype=torch.bool)).any(dim=1),
            "Two models with equal figures don't beat each other: something must be really better.",
        ),
        (torch.zeros(len(seconds), dtype=torch.bool), "Every model is beaten here. By itself?"),
        (
            ~(faster | better).any(dim=1),
            "To beat a model, one must be at least as good in both figures, not better in just one.",
        ),
        (
            ~(~faster & no_worse & (~no_slower | better)).any(dim=1),
            "Fewer seconds are better, and so are fewer errors.",
        ),
    ]
    hint = (
        "Take one model. Is there another that is no slower and no worse, and really better in at least one of "
        "the two? Then it is beaten."
    )
    value = attempt(seconds, errors)
    if isinstance(value, bool) and len(seconds) == 1:
        value = [value]
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple) and value and all(isinstance(v, bool) for v in value):
        value = torch.tensor(value)
    if type(value) is Tensor and value.shape == right.shape:
        attempt.dtype(
            value, torch.bool, "the frontier", "Return truth values: whoever picks models[frontier] needs them."
        )
    attempt.close(value, right, hint, mistakes, what="the frontier")


@check("on_frontier(seconds, errors) -> [N] of bool")
def check_on_frontier() -> Parts:
    return {
        "plain": cases(
            _compare_frontier,
            ([1.0, 2.0, 4.0, 8.0, 0.5], [60.0, 30.0, 35.0, 10.0, 20.0]),
            ([3.0, 1.0, 2.0], [1.0, 3.0, 2.0]),
            ([1.0, 2.0, 3.0, 4.0], [9.0, 8.0, 7.0, 1.0]),  # two lie above the straight line from end to end
            ([2.0, 9.0, 1.0, 6.0], [19.0, 2.0, 20.0, 18.0]),
            ([3.0, 1.0, 2.0, 5.0], [1.0, 0.5, 2.0, 4.0]),
            (normal(12, seed=1).exp().tolist(), normal(12, seed=2).exp().tolist()),
        ),
        "ties": cases(
            _compare_frontier,
            ([1.0, 1.0, 2.0, 3.0], [5.0, 4.0, 3.0, 3.0]),
            ([1.0, 1.0, 2.0], [5.0, 5.0, 6.0]),
            ([2.0], [7.0]),
            ([3.0, 2.0, 2.0, 3.0, 1.0, 2.0, 4.0, 1.0], [1.0, 2.0, 3.0, 1.0, 4.0, 2.0, 1.0, 4.0]),
            ([5.0, 5.0, 5.0], [1.0, 2.0, 1.0]),
            *hidden(
                lambda r: ([float(r.randint(1, 5)) for _ in range(12)], [float(r.randint(1, 5)) for _ in range(12)])
            ),
        ),
    }


# ------------------------------------------------------------------------------------------ the best single answer


def _compare_view(attempt: Attempt, n: int, m: int, alpha_bar: float, width: int = 6) -> None:
    """``n`` noisy points before ``m`` pictures of ``width`` numbers."""
    pictures = normal(m, width, seed=m)
    chosen = pictures[torch.arange(n) % m]
    hint = (
        "How likely is the noisy point if a certain picture is behind it? Use that as the picture's weight, let the "
        "weights sum to 1, and average."
    )
    if alpha_bar > 0.99:  # between two pictures, far from both beside so little noise
        chosen = 0.6 * chosen + 0.4 * pictures[torch.arange(1, n + 1) % m]
        hint = (
            "With little noise the exponents are huge, and exp() of them is 0 for every picture: 0 / 0. softmax "
            "subtracts the largest exponent first."
        )
    noisy = alpha_bar**0.5 * chosen + (1 - alpha_bar) ** 0.5 * normal(n, width, seed=100 + n)
    x, y = noisy.double(), pictures.double()
    squares = (x[:, None] - alpha_bar**0.5 * y[None]).square().sum(dim=2)
    twice = 2 * (1 - alpha_bar)

    def view(exponents: Tensor, dim: int = 1) -> Tensor:
        return exponents.softmax(dim=dim) @ y

    mistakes = [
        (
            y.mean(dim=0).expand(n, -1),
            "That is the plain mean. It is right where nothing is left of the picture; what does noisy tell here?",
        ),
        (
            y[squares.argmin(dim=1)],
            "That is the nearest picture alone. The best answer at the squared error is a weighted mean of all.",
        ),
        (
            view(-(x[:, None] - alpha_bar * y[None]).square().sum(dim=2) / twice),
            "A noisy picture holds √alpha_bar of the clean one, not alpha_bar.",
        ),
        (
            view(-(x[:, None] - y[None]).square().sum(dim=2) / twice),
            "The clean picture was made smaller by √alpha_bar before noise.",
        ),
        (view(-2 * squares / twice), "Look at the exponent: squared distance by 2 · (1 - alpha_bar)."),
        (
            view(-squares / (2 * (1 - alpha_bar) ** 0.5)),
            "1 - alpha_bar is the variance of the noise already: no further root.",
        ),
        (view(-squares.sqrt() / twice), "The exponent holds the squared distance, summed over the coordinates."),
        (
            view(-((x[:, None] - alpha_bar**0.5 * y[None]).abs().sum(dim=2) ** 2) / twice),
            "The distance is the straight one: square each coordinate's difference first, then sum.",
        ),
        (view(-squares / y.shape[1] / twice), "Sum over the coordinates, don't average."),
        (view(squares / twice), "The farther a picture, the smaller its weight: check a sign."),
        (
            view(-squares / twice, dim=0),
            "The weights of all pictures must sum to 1 for each noisy one: along which axis?",
        ),
    ]
    result = attempt(noisy.clone(), pictures.clone(), alpha_bar)
    attempt.close(result, view(-squares / twice), hint, mistakes, what="the view", tolerance=1e-3)


@check("ideal_view(noisy, pictures, alpha_bar) -> [N, D]")
def check_ideal_view() -> Parts:
    return {
        "noise": cases(_compare_view, (5, 4, 0.0), (2, 7, 0.0)),
        "between": cases(_compare_view, (5, 4, 0.4), (3, 6, 0.7), (4, 4, 0.1), (1, 9, 0.5, 3), (4, 3, 0.8, 10)),
        "sharp": cases(_compare_view, (4, 5, 0.99999), (3, 6, 0.99999)),
    }


# ------------------------------------------------------------------------------------------ asking the teacher


class _Teacher:
    """A teacher with one weight, whose gradient tells whether it would learn."""

    description = "a function (noisy, alpha_bar) -> clean"

    def __init__(self) -> None:
        self.weight = torch.tensor(0.8, requires_grad=True)

    def __call__(self, noisy: Tensor, alpha_bar: Tensor) -> Tensor:
        return torch.tanh(self.weight * noisy) + per_picture(alpha_bar, noisy)


def _case(seed: int, n: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    made, noise = normal(2, n, seed, 4, 3, seed=seed)
    return made, noise, torch.tensor([0.81, 0.36, 0.09, 0.5, 0.04][:n])


def _ask_with(made: Tensor, noise: Tensor, alpha_bar: Tensor, power: float = 0.5, asked: str = "noisy") -> Tensor:
    share = per_picture(alpha_bar, made)
    noisy = {
        "noisy": share.sqrt() * made + (1 - share).sqrt() * noise,
        "clean": made,
        "plain": share * made + (1 - share) * noise,
        "noise": noise,
    }[asked]
    seen = _Teacher()(noisy, alpha_bar).detach()
    return alpha_bar**power * (made - seen).square().mean(dim=(1, 2, 3))


def _loss_value(attempt: Attempt, seed: int, n: int) -> None:
    made, noise, alpha_bar = _case(seed, n)
    each = _ask_with(made, noise, alpha_bar)
    plain = _ask_with(made, noise, alpha_bar, power=0.0)
    mistakes = [
        (plain.mean(), "Every picture counts the same here. Where there is more noise, it is to count less."),
        (_ask_with(made, noise, alpha_bar, power=1.0).mean(), "The weight is √alpha_bar, not alpha_bar."),
        (each.sum(), "Return the mean over the batch, not the sum."),
        (each.mean() * made[0].numel(), "Take the mean over a picture's numbers, not their sum."),
        (
            alpha_bar.sqrt().mean() * plain.mean(),
            "The mean of the weights times the mean of the distances is not the mean of the products: weigh each "
            "picture's own distance.",
        ),
        (
            _ask_with(made, noise, alpha_bar, asked="clean").mean(),
            "The teacher is to see noise on the student's picture.",
        ),
        (
            _ask_with(made, noise, alpha_bar, asked="plain").mean(),
            "alpha_bar is a share of power. The picture is multiplied by its root, the noise by √(1 - alpha_bar).",
        ),
        (_ask_with(made, noise, alpha_bar, asked="noise").mean(), "The teacher saw the noise alone, not the picture."),
    ]
    hint = "Three lines: add noise, ask the teacher, weigh each picture's squared distance."
    result = attempt(made.clone(), noise.clone(), alpha_bar.clone(), _Teacher())
    attempt.close(result, each.mean(), hint, mistakes, what="the loss")


def _loss_gradient(attempt: Attempt, seed: int, n: int) -> None:
    made, noise, alpha_bar = _case(seed, n)
    made.requires_grad_()
    teacher = _Teacher()
    value = attempt(made, noise, alpha_bar, teacher)
    gradient = attempt.gradient(value, made, "the loss")
    share = per_picture(alpha_bar, made)
    seen = _Teacher()(share.sqrt() * made + (1 - share).sqrt() * noise, alpha_bar)
    right = 2 * share.sqrt() * (made - seen).detach() / made.numel()
    (through,) = torch.autograd.grad((share.sqrt() * (made - seen).square()).mean(), made)
    hint = "The student is to move to what the teacher sees, which must stand still meanwhile: see .detach()."
    mistakes = [
        (
            through,
            "A gradient runs through the teacher: the student would learn to make the teacher agree, not to move.",
        ),
        (
            torch.zeros_like(right),
            "No gradient reaches the student: what did you detach, made or what the teacher saw?",
        ),
        (-right, "The sign: the loss falls as made moves to what the teacher sees."),
    ]
    attempt.close(gradient, right, hint, mistakes, what="d loss / d made")
    leaked = attempt.gradient(value, teacher.weight, "the loss")
    attempt.close(leaked, 0.0, "The teacher itself would learn: it must stay as it is.", what="the teacher's gradient")


@check("ask_teacher(made, noise, alpha_bar, teacher) -> scalar")
def check_ask_teacher() -> Parts:
    return {"value": cases(_loss_value, (1, 3), (2, 5), (3, 1)), "gradient": cases(_loss_gradient, (4, 3), (2, 4))}


# ------------------------------------------------------------------------------------------ how varied


def _groups(features: Tensor, prompts: list[str]) -> list[Tensor]:
    """The features of each prompt's pictures."""
    return [features[[i for i, other in enumerate(prompts) if other == prompt]] for prompt in dict.fromkeys(prompts)]


def _runs(features: Tensor, prompts: list[str]) -> list[Tensor]:
    """The same for who looks at neighbours alone: a prompt that comes back later begins anew."""
    ends = [i for i in range(1, len(prompts)) if prompts[i] != prompts[i - 1]]
    return list(features.tensor_split(ends))


def _compare_spread(attempt: Attempt, sizes: list[int], mixed: bool, seed: int, width: int = 5) -> None:
    """``sizes``: of the prompts' groups, one after the other or, when ``mixed``, shuffled."""
    prompts = [f"prompt {number}" for number, size in enumerate(sizes) for _ in range(size)]
    features = normal(len(prompts), width, seed=seed) * (1 + torch.arange(width))
    features = features + torch.tensor([3.0 * int(prompt.split()[1]) for prompt in prompts])[:, None]
    if mixed:
        order = torch.randperm(len(prompts), generator=torch.Generator().manual_seed(seed)).tolist()
        features, prompts = features[order], [prompts[i] for i in order]
    groups = [group.double() for group in _groups(features, prompts)]
    several = [group for group in groups if len(group) > 1]
    variances = torch.stack([group.var(dim=0).mean() for group in several])
    sizes_of = torch.tensor([float(len(group)) for group in several])
    side_by_side = [group for group in _runs(features.double(), prompts) if len(group) > 1]
    alike = "Every prompt is to count the same, however many pictures it has."
    all_groups = torch.cat([variances, torch.zeros(len(groups) - len(several))])
    right = variances.mean().sqrt()
    mistakes = [
        (
            features.double().var(dim=0).mean().sqrt(),
            "That is the spread of all pictures together. Different prompts make different pictures in any case.",
        ),
        (
            torch.stack([group.var(dim=0, correction=0).mean() for group in several]).mean().sqrt(),
            "A variance over n pictures is divided by n - 1: with few noises that makes a difference.",
        ),
        (
            torch.stack([group.std(dim=0).mean() for group in several]).mean(),
            "Average the variances, over features and prompts, and take one root of that in the end.",
        ),
        (variances.sqrt().mean(), "Average the variances of all prompts first, and take one root in the end."),
        (variances.mean(), "This is the mean variance. The spread is its root."),
        (
            (torch.stack([group.var(dim=0).sum() for group in several])).mean().sqrt(),
            "Take the mean over the features, not their sum.",
        ),
        (((sizes_of * variances).sum() / sizes_of.sum()).sqrt(), alike),
        ((((sizes_of - 1) * variances).sum() / (sizes_of - 1).sum()).sqrt(), alike),
        (
            torch.stack([group.var(dim=0).mean() for group in side_by_side]).mean().sqrt() if side_by_side else 0.0,
            "Pictures of one prompt need not stand side by side: collect them from the whole list.",
        ),
        (
            all_groups.mean().sqrt(),
            "A prompt with one picture says nothing about a spread. It is not 0: leave the prompt out.",
        ),
    ]
    hint = "For each prompt: its rows, their variance. Then the mean of all that, then the root."
    result = attempt(features.clone(), list(prompts))
    attempt.close(result, right, hint, mistakes, what="the spread")


@check("spread_within(features, prompts) -> float")
def check_spread_within() -> Parts:
    return {
        "equal": cases(
            _compare_spread,
            ([4, 4, 4], False, 1),
            ([2, 2], False, 2, 3),
            *hidden(lambda r: ([3, 3, 3, 3], False, r.randint(10, 10**6))),
        ),
        "mixed": cases(
            _compare_spread,
            ([5, 2, 3], True, 3),
            ([4, 1, 2, 1], True, 4),
            ([1, 3, 6, 1, 1], True, 5),
            *hidden(lambda r: ([r.randint(2, 6), 1, r.randint(2, 6), 2], True, r.randint(10, 10**6))),
        ),
    }
