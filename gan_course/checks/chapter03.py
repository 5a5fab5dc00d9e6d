"""Checks of chapter 03: pictures as training tensors, the two networks, a step of each, the moving average."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_course.checks.draws import anew, hidden, seeded
from gan_course.checks.players import RATE, Descent, Game, check_moved, gradient, load_optimizers, new_game
from gan_course.checks.report import RETURNS_NOTHING, Attempt, Difference, Parts, cases, check, error_text
from gan_course.checks.sandbox import OutOfTime
from gan_course.checks.values import describe, flat, near, normal, plain

# ------------------------------------------------------------------------------------------ pictures to tensors


def _pictures(count: int, brightest: int = 255, darkest: int = 0) -> Tensor:
    """Grey pictures ``[count, 28, 28]`` in uint8 whose grey values run from ``darkest`` to ``brightest``."""
    return torch.linspace(darkest, brightest, count * 28 * 28).round().to(torch.uint8).reshape(count, 28, 28)


def _shuffled(pictures: Tensor) -> Tensor:
    return pictures.flatten()[torch.randperm(pictures.numel(), generator=seeded(0))].reshape(pictures.shape)


def _compare_pictures(attempt: Attempt, pictures: Tensor) -> None:
    grey = pictures.float()
    right = grey.unsqueeze(1) / 127.5 - 1
    shape_hint = "The networks want [N, C, H, W]. Grey pictures have one channel: where does its axis stand?"
    result = attempt.tensor(attempt(pictures.clone()), right.shape, hint=shape_hint)
    hint = "The networks' weights are float32, and their input must be of the same kind."
    attempt.dtype(result, torch.float32, "a tensor", hint)
    mistakes = [
        (
            grey.unsqueeze(1) / 255,
            "That is the range [0, 1]. The generator ends in tanh: what are its smallest and largest value?",
        ),
        (grey.unsqueeze(1), "Still 0 to 255. Shift and scale, so that black becomes -1 and white becomes 1."),
        (grey.unsqueeze(1) / 127.5, "That is the range [0, 2]: the scale is right, the shift is missing."),
        (grey.unsqueeze(1) / 255 - 1, "That is the range [-1, 0]: the shift is right, the scale is not."),
        (1 - grey.unsqueeze(1) / 127.5, "Black and white are swapped."),
        (
            ((pictures * 2).float() / 255 - 1).unsqueeze(1),
            "The arithmetic ran in uint8, where 200 + 200 is 144. Change the type first.",
        ),
        (
            2 * (grey / grey.max()).unsqueeze(1) - 1,
            "You divided by the brightest pixel of the batch. The same grey must always become the same number.",
        ),
        (
            2 * ((grey - grey.min()) / (grey.max() - grey.min())).unsqueeze(1) - 1,
            "You stretched from the darkest to the brightest pixel of the batch. The same grey must always become the "
            "same number.",
        ),
        (grey.unsqueeze(1) / 128 - 1, "White becomes 0.992 and not 1: how many steps lie between 0 and 255?"),
    ]
    attempt.close(result, right, "0 must become -1 and 255 must become 1, with a straight line between.", mistakes)


@check("to_training_tensors(pictures uint8 [N, 28, 28]) -> float32 [N, 1, 28, 28] in [-1, 1]")
def check_to_training_tensors() -> Parts:
    return {
        "greys": cases(
            _compare_pictures,
            *([_pictures(4)], [_pictures(1)]),
            *hidden(lambda r: [_shuffled(_pictures(r.randint(1, 4)))]),
        ),
        "dark": cases(
            _compare_pictures,
            *([_pictures(2, brightest=100)], [_pictures(3, 200, 60)], [_pictures(1, 90, 90)]),
            *hidden(lambda r: [_shuffled(_pictures(2, r.randint(120, 230), r.randint(20, 90)))]),
        ),
    }


# ------------------------------------------------------------------------------------------ the two networks


@contextlib.contextmanager
def _network(attempt: Attempt) -> Iterator[nn.Module]:
    """What the student's function builds. It may give the same network each time: afterwards that is as it was."""
    network = attempt()
    if not isinstance(network, nn.Module):
        hint = RETURNS_NOTHING if network is None else "Return the network, ready to be called."
        if isinstance(network, type):
            hint = "You returned the class. The brackets after its name make a network of it."
        attempt.fail(describe(network), "a network (an nn.Module)", hint)
    tensors = [t for t in (*network.parameters(), *network.buffers()) if not nn.parameter.is_lazy(t)]
    values = [t.detach().clone() for t in tensors]
    modes = [(module, module.training) for module in network.modules()]
    try:
        yield network
    except (Difference, KeyboardInterrupt, OutOfTime):
        raise
    except BaseException as error:  # the network's own, when it is asked for more than its first result
        hint = "Follow the shape from layer to layer: what does each one get, and what does it give?"
        attempt.fail(f"the error {error_text(error)}", "a network that can be looked at layer by layer", hint)
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)
        for module, training in modes:
            module.training = training


def _forward(attempt: Attempt, network: nn.Module, batch: Tensor, call: str) -> Any:
    attempt.call = call
    try:
        with torch.no_grad():
            return plain(network(batch))
    except (KeyboardInterrupt, OutOfTime):
        raise
    except BaseException as error:
        hint = (
            "Read the error's text. If two sizes don't fit, follow the shape from layer to layer: what does each one "
            "get, and what does it want?"
        )
        attempt.fail(f"the error {error_text(error)}", "a result", hint)


def _chain(sizes: list[tuple[int, int]]) -> str:
    return ", then ".join(f"{a} to {b}" for a, b in sizes) or "none"


def _linear_layers(network: nn.Module) -> list[nn.Linear]:
    return [m for m in network.modules() if isinstance(m, nn.Linear)]


def _check_sizes(attempt: Attempt, network: nn.Module, sizes: list[tuple[int, int]]) -> None:
    """In any order, as a class may define its layers in any; or matrices that the student multiplies by hand."""
    found = [(m.in_features, m.out_features) for m in _linear_layers(network)]
    if not found:
        matrices = [list(p.shape) for p in network.parameters() if p.ndim == 2]
        found = [next((size for size in sizes if sorted(size) == sorted(m)), (m[1], m[0])) for m in matrices]
    if sorted(found) != sorted(sizes):
        hint = "Each linear layer takes over what the one before it gives. Count the layers and their sizes."
        attempt.fail(f"linear layers: {_chain(found)}", f"linear layers: {_chain(sizes)}", hint)


def _seen(layer: nn.Module, network: nn.Module, batch: Tensor) -> tuple[Tensor, Tensor]:
    """(what goes into ``layer``, what comes out of it) when ``network`` looks at ``batch``."""
    seen: list[tuple[Tensor, Tensor]] = []
    handle = layer.register_forward_hook(lambda _, given, made: seen.append((given[0].flatten(1), made.flatten(1))))
    with torch.no_grad():
        network(batch)
    handle.remove()
    return seen[0]


def _is_straight(before: Tensor, after: Tensor) -> bool:
    """Whether ``after [N, B]`` is a linear function, plus a constant, of ``before [N, A]``; N is larger than A."""
    before, after = before.double(), after.double()
    table = torch.cat([before, torch.ones(len(before), 1).double()], dim=1)
    fitted = table @ torch.linalg.lstsq(table, after, driver="gelsd").solution
    return bool((fitted - after).abs().max() < 1e-4 * after.abs().max())


def _check_bent(attempt: Attempt, network: nn.Module, batch: Tensor, sizes: tuple[int, int]) -> None:
    """What goes into the second linear layer must not be a linear function of what comes out of the first."""
    layers = {(m.in_features, m.out_features): m for m in _linear_layers(network)}
    first, second = (
        next((m for size, m in layers.items() if size[end] == width), None)
        for end, width in ((0, sizes[0]), (1, sizes[1]))
    )
    if first is not None and second is not None:
        straight = _is_straight(_seen(first, network, batch)[1], _seen(second, network, batch)[0])
    else:  # no layers to look at: f(a + b) - f(a) - f(b) + f(0) vanishes where f is straight
        a, b = batch[:1], batch[1:2]
        with torch.no_grad():
            results = [network(x).flatten() for x in (a + b, a, b, torch.zeros_like(a))]
        bend = [r.atanh() for r in results] if results[0].numel() > 1 else results
        straight = bool((bend[0] - bend[1] - bend[2] + bend[3]).abs().max() < 1e-4)
    if straight:
        attempt.fail(
            "a network that is one straight line: two linear layers with nothing between act as one",
            "an activation between the two linear layers",
            "What did the hidden layer of the chapter's networks have that bends the line?",
        )


def _check_trains(attempt: Attempt, network: nn.Module, batch: Tensor) -> None:
    """Each result must depend on its own sample and on nothing else, and every weight must receive a gradient."""
    network.eval()  # no dropout, and batch norm with fixed numbers
    with torch.no_grad():
        results, again = network(batch), network(batch)
        alone = [network(batch[i : i + 1]) for i in range(len(batch))]
    if not isinstance(results, Tensor):
        attempt.fail(describe(results), "a tensor", "What comes out of the last layer?")
    rows, repeated = (plain(r).flatten() for r in (results, again))
    each = torch.cat([plain(r).flatten() for r in alone])
    if not near(rows, repeated):
        attempt.fail(
            "in evaluation mode, other results for the same input at a second call",
            "the same results",
            "What comes out must follow from what goes in. Does the network draw random numbers of its own?",
        )
    if not near(rows[: len(each)], each):
        attempt.fail(
            "in evaluation mode, another result for a sample alone than for the same sample in a batch",
            "the same result",
            "The samples of a batch must not influence each other then. Is something computed over the whole batch?",
        )
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        network.train()
        made = network(batch)
        weights = list(network.parameters())
        if not made.requires_grad or not all(p.requires_grad for p in weights):
            attempt.fail(
                "a network that can't be trained: no gradient reaches "
                + ("some of" if made.requires_grad else "")
                + " its parameters",
                "a result with a gradient for every parameter",
                "Training changes every parameter. detach(), no_grad and requires_grad_(False) prevent it.",
            )
        gradients = torch.autograd.grad(made.square().sum(), weights, allow_unused=True)
    if any(g is None and w.ndim > 1 for g, w in zip(gradients, weights, strict=True)):
        attempt.fail(
            "layers on whose weights the result does not depend",
            "a gradient for the weights of every layer",
            "Which layer's output is never used, or is cut off from the rest?",
        )


def _check_new(attempt: Attempt, network: nn.Module) -> None:
    """Whether another call gives another network."""
    other = attempt()
    theirs = {id(p) for p in other.parameters()}
    if other is network or any(id(p) in theirs for p in network.parameters()):
        attempt.fail(
            "the same network, or the same parameters, from two calls",
            "a new network at each call",
            "Two players of one kind must not share their parameters: make the layers inside of the function.",
        )


def _noise(count: int, size: int, scale: float = 1.0) -> Tensor:
    return scale * normal(count, size, seed=0)


def _asked(count: int, scale: float = 1.0) -> Tensor:
    """100 numbers of noise and 10 that name a class: ``[count, 110]``."""
    return torch.cat([_noise(count, 100, scale), torch.eye(10)[torch.arange(count) % 10]], dim=1)


def _generator_shape(attempt: Attempt) -> None:
    with _network(attempt) as network:
        call = "network = make_generator(); network(asked) with asked [5, 110]"
        images = _forward(attempt, network, _asked(5), call)
        _check_sizes(attempt, network, [(110, 256), (256, 784)])
        hint = "The last layer makes 784 numbers a picture. The discriminator and the plots expect [N, 1, 28, 28]."
        attempt.tensor(images, [5, 1, 28, 28], hint=hint, what="the pictures")
        network.eval()
        one = _forward(attempt, network, _asked(1), "network = make_generator().eval(); network(asked [1, 110])")
        attempt.tensor(one, [1, 1, 28, 28], hint=hint, what="the pictures")
        _check_trains(attempt, network, _asked(5))
        _check_new(attempt, network)


def _generator_range(attempt: Attempt) -> None:
    call = "network = make_generator(); network(asked) with large noise, [16, 110]"
    with _network(attempt) as network:
        images = _forward(attempt, network, _asked(16, scale=100), call)
    images = attempt.tensor(
        images, [16, 1, 28, 28], [16, 784], hint="The pictures must be numbers.", what="the pictures"
    )
    low, high = images.min().item(), images.max().item()
    hint = "The last activation decides the range. Which one goes from -1 to 1 and is never stuck at a constant?"
    if low >= 0:
        hint = "No pixel is ever dark: the real pictures have -1 for black. Which activation reaches below 0?"
    if high > 1.0001 or low < -1.0001 or low >= 0:
        attempt.fail(f"values from {low:.4g} to {high:.4g}", "values from -1 to 1", hint)
    if high < 0.5 or low > -0.5:
        attempt.fail(f"values from {low:.4g} to {high:.4g}", "values that come near -1 and near 1", hint)


def _generator_bends(attempt: Attempt) -> None:
    with _network(attempt) as network:
        network.eval()
        batch = _asked(600)
        _forward(attempt, network, batch, "network = make_generator(); network(asked) with asked [600, 110]")
        _check_bent(attempt, network, batch, (110, 784))


@check("make_generator() -> network")
def check_make_generator() -> Parts:
    return {"shape": _generator_shape, "range": _generator_range, "hidden": _generator_bends}


def _images(count: int) -> Tensor:
    return _noise(count, 3072).clamp(-1, 1).reshape(count, 3, 32, 32)


def _discriminator_shape(attempt: Attempt) -> None:
    hint = "One number a picture: the batch axis must stay, even for a single picture."
    with _network(attempt) as network:
        for count in (5, 1):
            if count == 1:
                network.eval()  # a single picture has no batch statistics
            call = f"network = make_discriminator(); network(images) with images [{count}, 3, 32, 32]"
            logits = _forward(attempt, network, _images(count), call)
            attempt.tensor(logits, [count], [count, 1], hint=hint, what="the logits")
        _check_sizes(attempt, network, [(3072, 128), (128, 1)])
        _check_trains(attempt, network, _images(5))
        _check_new(attempt, network)


def _discriminator_logits(attempt: Attempt) -> None:
    """Behind the last linear layer nothing may bend, also where it says very large numbers."""
    with _network(attempt) as network:
        call = "network = make_discriminator(); network(images) with images [16, 3, 32, 32]"
        before = _forward(attempt, network, _images(16), call)
        if type(before) is not Tensor or len(before) != 16 or before.numel() != 16:
            hint = "What is the last layer of your network?"
            attempt.fail(describe(before), "one logit for each of 16 pictures", hint)
        network.eval()
        images = _images(16) * 1000
        with torch.no_grad():
            after = network(images).reshape(-1, 1)
        last = [m for m in _linear_layers(network) if m.out_features == 1]
        made = _seen(last[-1], network, images)[1] if last else after
        bends = not _is_straight(made, after) or near(after, after[:1].expand(16, 1))
        bounded = not last and bool(after.abs().max() < 2 * before.abs().max())
    if bends or bounded:
        low, high = after.min().item(), after.max().item()
        attempt.fail(
            f"values from {low:.4g} to {high:.4g} that bend what the last linear layer says",
            "logits: the last layer's output as it is, any number from minus to plus infinity",
            "Something follows the last linear layer and bends its output. The losses of the course take logits and "
            "apply the sigmoid themselves: what would two sigmoids do to the gradient?",
        )


def _discriminator_bends(attempt: Attempt) -> None:
    with _network(attempt) as network:
        network.eval()
        images = _images(400)
        call = "network = make_discriminator(); network(images) with images [400, 3, 32, 32]"
        _forward(attempt, network, images, call)
        _check_bent(attempt, network, images, (3072, 1))


@check("make_discriminator() -> network")
def check_make_discriminator() -> Parts:
    return {"shape": _discriminator_shape, "logits": _discriminator_logits, "hidden": _discriminator_bends}


# ------------------------------------------------------------------------------------------ one step of a player


STALE = "The old gradients were still there and were added to the new ones. When must they go?"
MOVED = (
    "The parameters moved, but not by one step of the given optimizer down the loss that is asked for. Print your loss "
    "and compute it by hand."
)
RETURNED = "Return the loss of this step, as it was before the step."


def _logits(game: Game) -> tuple[Tensor, Tensor]:
    """Logits of the real and of the fake batch, ``[N]`` each."""
    return game.discriminator(game.real), game.discriminator(game.generator(game.noise))


def _after(network: nn.Module, loss: Tensor, stale: float = 0.0) -> Tensor:
    """The parameters after one step down ``loss``; ``stale`` is added to each gradient."""
    return flat(network) - RATE * (gradient(network, loss) + stale)


def _make_stale(network: nn.Module) -> None:
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)


def _check_untouched(attempt: Attempt, network: nn.Module, before: Tensor) -> None:
    after, name = flat(network), network.description
    if not near(after, before, 1e-6):
        worst = (after - before).abs().max().item()
        hint = "Each step trains one player. Which parameters does the optimizer hold that you were given?"
        attempt.fail(f"the {name}'s parameters changed by up to {worst:.4g}", f"the {name} exactly as before", hint)


def _check_learned(attempt: Attempt, network: nn.Module, before: Tensor) -> None:
    """To leave the other player alone counts only for a step that is one."""
    if torch.equal(flat(network), before):
        name = network.description
        hint = "To leave the other player alone is easy for a step that does nothing: let this one learn first."
        attempt.fail(f"the {name}'s parameters as before", f"a {name} that has taken a step", hint)


# ------------------------------------------------------------------------------------------ discriminator


def _play_discriminator(attempt: Attempt, seed: int, count: int, stale: bool) -> None:
    game = new_game(seed, count)
    d = game.discriminator
    if stale:
        _make_stale(d)
    real, fake = _logits(game)
    loss = softplus(-real).mean() + softplus(fake).mean()
    twice = softplus(-real.sigmoid()).mean() + softplus(fake.sigmoid()).mean()
    mistakes = [
        (_after(d, softplus(-real).mean()), "Only the real half was used: such a D learns to call everything real."),
        (_after(d, softplus(fake).mean()), "Only the fake half was used: such a D learns to call everything fake."),
        (_after(d, softplus(real).mean() + softplus(-fake).mean()), "The targets are swapped: D learns the opposite."),
        (
            _after(d, softplus(-real).mean() + softplus(-fake).mean()),
            "Both batches have the target 1: D learns to believe in the fakes as well.",
        ),
        (_after(d, -loss), "The step goes up the loss. Check the sign."),
        (_after(d, loss / 2), "The step is half as long: the two means are added, not averaged."),
        (_after(d, loss * count), "The step is too long by the batch size: a sum where the mean is meant."),
        (_after(d, twice), "There is a sigmoid too many: the discriminator gives logits, and the loss knows that."),
        *([(_after(d, loss, stale=1.0), STALE)] if stale else []),
    ]
    before, right, optimizer = flat(d), _after(d, loss), Descent(d)
    result = attempt(d, game.generator, optimizer, game.real, game.noise)
    check_moved(attempt, d, optimizer, before, right, mistakes, MOVED)
    attempt.close(result, loss, RETURNED, what="the returned loss")


def _discriminator_generator(attempt: Attempt) -> None:
    game = new_game()
    before, own = flat(game.generator), flat(game.discriminator)
    attempt(game.discriminator, game.generator, Descent(game.discriminator), game.real, game.noise)
    _check_learned(attempt, game.discriminator, own)
    _check_untouched(attempt, game.generator, before)
    if any(p.grad is not None and p.grad.abs().max() > 0 for p in game.generator.parameters()):
        attempt.fail(
            "the generator's parameters received gradients",
            "no gradient for the generator from the discriminator's loss",
            "The loss flowed back through the fakes into the network that made them. For this step the fakes are plain "
            "data: cut the thread between them and the generator.",
        )


GAMES = ((3, 6), (8, 9), (9, 1))  # seed and batch size


@check("discriminator_step(discriminator, generator, optimizer, real, noise) -> loss")
def check_discriminator_step() -> Parts:
    load_optimizers()
    return {
        "update": cases(_play_discriminator, *GAMES, stale=False),
        "generator": _discriminator_generator,
        "stale": cases(_play_discriminator, *GAMES, stale=True),
    }


# ------------------------------------------------------------------------------------------ generator


def _play_generator(attempt: Attempt, seed: int, count: int, stale: bool) -> None:
    game = new_game(seed, count)
    g = game.generator
    if stale:
        _make_stale(g)
        _make_stale(game.discriminator)
    _, fake = _logits(game)
    loss = softplus(-fake).mean()
    mistakes = [
        (
            _after(g, softplus(fake).mean()),
            "The step goes down the discriminator's loss: the generator learns to be recognised. What does it want D "
            "to say?",
        ),
        (
            _after(g, -softplus(fake).mean()),
            "That is the saturating loss log(1 - D(G(z))). The direction is right; the task asks for the other length.",
        ),
        (_after(g, -loss), "The step goes up the loss. Check the sign."),
        (_after(g, loss * count), "The step is too long by the batch size: a sum where the mean is meant."),
        (_after(g, softplus(-fake.sigmoid()).mean()), "There is a sigmoid too many: the discriminator gives logits."),
        *([(_after(g, loss, stale=1.0), STALE)] if stale else []),
    ]
    before, right, optimizer = flat(g), _after(g, loss), Descent(g)
    result = attempt(g, game.discriminator, optimizer, game.noise)
    check_moved(attempt, g, optimizer, before, right, mistakes, MOVED)
    attempt.close(result, loss, RETURNED, what="the returned loss")


def _generator_discriminator(attempt: Attempt) -> None:
    game = new_game()
    before, own = flat(game.discriminator), flat(game.generator)
    attempt(game.generator, game.discriminator, Descent(game.generator), game.noise)
    _check_learned(attempt, game.generator, own)
    _check_untouched(attempt, game.discriminator, before)


@check("generator_step(generator, discriminator, optimizer, noise) -> loss")
def check_generator_step() -> Parts:
    load_optimizers()
    return {
        "update": cases(_play_generator, *GAMES, stale=False),
        "discriminator": _generator_discriminator,
        "stale": cases(_play_generator, *GAMES, stale=True),
    }


# ------------------------------------------------------------------------------------------ the moving average


class _Steady(nn.Module):
    """Batch norm between two layers, and a buffer of its own that is no statistic."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(2, width), nn.BatchNorm1d(width), nn.Linear(width, 2)


def _pair(seed: int = 4, width: int = 2, trained: bool = True) -> tuple[nn.Module, nn.Module]:
    """(average, generator): two networks with batch norm whose parameters and running statistics differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(anew(seed))
        generator = _Steady(width)
        average = copy.deepcopy(generator)
        for network, shift in ((average, 0.0), (generator, 1.0)):
            for tensor in network.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand(tensor.shape) + shift)
                else:  # batch norm also counts its batches
                    tensor.fill_(int(7 + 90 * shift))
    for network, name in ((generator, "generator"), (average, "average")):
        network.description = name  # type: ignore[assignment]
    average.requires_grad_(trained).eval()
    return average, generator


def _compare_average(
    attempt: Attempt, decay: float, seed: int = 4, width: int = 2, trained: bool = True
) -> tuple[nn.Module, nn.Module]:
    average, generator = _pair(seed, width, trained)
    old, new = flat(average), flat(generator)
    statistics = [b.clone() for b in generator.buffers()]
    right = decay * old + (1 - decay) * new
    mistakes = [
        (
            old,
            "The average did not change. Did you make a new tensor and let it go? The tensors inside the network "
            "itself must change.",
        ),
        (
            decay * new + (1 - decay) * old,
            "The weights are swapped: a decay near 1 means a long memory, so what keeps most?",
        ),
        (new, "The average is a plain copy of the generator: it has no memory."),
        (decay * old + new, "The two weights must add up to 1, or the average grows with every step."),
        (decay * (old + new), "The two weights must add up to 1, or the average grows with every step."),
        ((old + new) / 2, "Both count one half: where does the decay come in?"),
    ]
    attempt(average, generator, decay)
    hint = "Each parameter of the average keeps the share decay of its old value and takes the rest from the generator."
    attempt.close(flat(average), right, hint, mistakes, what="the average's parameter")
    if not near(flat(generator), new, 1e-6):
        attempt.fail("the generator's parameters changed", "the generator exactly as before", "Only the average moves.")
    if not all(near(b, s) for b, s in zip(generator.buffers(), statistics, strict=True)):
        hint = "Only the average moves. From which network to which one are the running statistics copied?"
        attempt.fail("the generator's buffers changed", "the generator exactly as before", hint)
    if average.training or any(m.training for m in average.modules()):
        attempt.fail("the average in training mode", "the average in evaluation mode, as before", "Put it back.")
    return average, generator


def _average_apart(attempt: Attempt, decay: float) -> None:
    average, generator = _compare_average(attempt, decay)
    before = [t.detach().clone() for t in average.state_dict().values()]
    with torch.no_grad():
        for tensor in generator.state_dict().values():
            tensor.add_(1)
    if not all(near(t, b, 1e-6) for t, b in zip(average.state_dict().values(), before, strict=True)):
        attempt.fail(
            "the average changed when the generator was trained afterwards",
            "an average with numbers of its own",
            "The two networks share their tensors now. Copy numbers from one to the other, not the tensors themselves.",
        )
    if any(p.grad_fn is not None or not p.is_leaf for p in average.parameters()):
        attempt.fail(
            "the average's parameters hang in autograd's graph",
            "plain parameters",
            "The average is not trained. Do the arithmetic where autograd does not watch.",
        )


def _average_buffers(attempt: Attempt, decay: float, seed: int, width: int) -> None:
    average, generator = _pair(seed, width)
    (old, _), new = _pair(seed, width), dict(generator.named_buffers())
    new = {name: value.clone() for name, value in new.items()}
    attempt(average, generator, decay)
    for name, value in average.named_buffers():
        before = dict(old.named_buffers())[name]
        hint = (
            "Batch norm also keeps running statistics, and a count of its batches. They are buffers, not parameters, "
            "and each of them is copied. With wrong ones the averaged generator draws rubbish in evaluation mode."
        )
        mistakes = [
            (
                before,
                "The running statistics are still the average's old ones: they are buffers, and what "
                "you do to parameters() does not reach them.",
            ),
            (
                decay * before + (1 - decay) * new[name],
                "The buffers were averaged, too. The task asks for copies of the generator's.",
            ),
        ]
        attempt.close(value, new[name], hint, mistakes, what=f"the average's buffer {name}", about="buffers")


@check("update_average(average, generator, decay) -> None", changes="average")
def check_update_average() -> Parts:
    return {
        "values": cases(_compare_average, (0.9,), (0.25, 5, 4), (0.999, 6, 3, False)),
        "apart": cases(_average_apart, [0.0], [0.5]),
        "buffers": cases(_average_buffers, (0.9, 4, 2), (0.3, 7, 5)),
    }
