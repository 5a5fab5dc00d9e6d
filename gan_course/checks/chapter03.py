"""Checks of chapter 03: pictures as training tensors, the two networks, a step of each, the moving average."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_course.checks.players import RATE, Game, Descent, check_moved, gradient, new_game
from gan_course.checks.report import RETURNS_NOTHING, Attempt, Parts, cases, check
from gan_course.checks.values import describe, flat, near, normal

# ------------------------------------------------------------------------------------------ pictures to tensors


def _pictures(count: int, brightest: int = 255) -> Tensor:
    """Grey pictures ``[count, 28, 28]`` in uint8 whose grey values run from 0 to ``brightest``."""
    return torch.linspace(0, brightest, count * 28 * 28).round().to(torch.uint8).reshape(count, 28, 28)


def _compare_pictures(attempt: Attempt, pictures: Tensor) -> None:
    grey = pictures.float()
    right = grey.unsqueeze(1) / 127.5 - 1
    given = pictures.clone()
    shape_hint = "The networks want [N, C, H, W]. Grey pictures have one channel: which axis is missing, and where?"
    result = attempt.tensor(attempt(given), right.shape, hint=shape_hint)
    hint = "Whole numbers can't hold values between -1 and 1, and the networks' weights are float32."
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
    ]
    attempt.close(result, right, "0 must become -1 and 255 must become 1, with a straight line between.", mistakes)
    attempt.unchanged(given, pictures, "your function's input was")


@check("to_training_tensors(pictures uint8 [N, 28, 28]) -> float32 [N, 1, 28, 28] in [-1, 1]")
def check_to_training_tensors() -> Parts:
    return {
        "greys": cases(_compare_pictures, [_pictures(4)], [_pictures(1)]),
        "dark": cases(_compare_pictures, [_pictures(2, brightest=100)]),
    }


# ------------------------------------------------------------------------------------------ the two networks


def _network(attempt: Attempt) -> nn.Module:
    """A copy of what the student's function builds, with every random number the same in each run."""
    network = attempt()
    if isinstance(network, nn.Module):
        return copy.deepcopy(network)
    hint = RETURNS_NOTHING if network is None else "Return the network, ready to be called."
    if isinstance(network, type):
        hint = "You returned the class. The brackets after its name make a network of it."
    attempt.fail(describe(network), "a network (an nn.Module)", hint)


def _forward(attempt: Attempt, network: nn.Module, batch: Tensor, call: str) -> Any:
    attempt.call = call
    try:
        with torch.no_grad():
            return network(batch)
    except Exception as error:
        text = str(error).strip().split("\n")[0]
        hint = (
            "The numbers in the message are the two sizes that don't fit. Follow the shape from layer to layer: what "
            "does each one get, and what does it want?"
        )
        attempt.fail(f"the error {type(error).__name__}: {text}", "a result", hint)


def _chain(sizes: list[tuple[int, int]]) -> str:
    return ", then ".join(f"{a} to {b}" for a, b in sizes) or "none"


def _check_sizes(attempt: Attempt, network: nn.Module, sizes: list[tuple[int, int]]) -> None:
    found = [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]
    if found != sizes:
        hint = "Each linear layer takes over what the one before it gives. Count the layers and their sizes."
        attempt.fail(f"linear layers: {_chain(found)}", f"linear layers: {_chain(sizes)}", hint)


def _check_bent(attempt: Attempt, function: Callable[[Tensor], Tensor], a: Tensor, b: Tensor) -> None:
    """``function(a + b) - function(a) - function(b) + function(0)`` vanishes where ``function`` is a straight line."""
    with torch.no_grad():
        bend = function(a + b) - function(a) - function(b) + function(torch.zeros_like(a))
    if bend.abs().max() < 1e-6:
        attempt.fail(
            "a network that is one straight line: two linear layers with nothing between act as one",
            "an activation between the two linear layers",
            "What did the hidden layer of the chapter's networks have that bends the line?",
        )


def _noise(count: int, size: int, scale: float = 1.0) -> Tensor:
    return scale * normal(count, size, seed=0)


def _generator_shape(attempt: Attempt) -> None:
    network = _network(attempt)
    images = _forward(
        attempt, network, _noise(5, 100), "network = make_generator(); network(noise) with noise [5, 100]"
    )
    _check_sizes(attempt, network, [(100, 256), (256, 784)])
    hint = "The last layer makes 784 numbers a picture. The discriminator and the plots expect [N, 1, 28, 28]."
    attempt.tensor(images, [5, 1, 28, 28], hint=hint, what="the pictures")


def _generator_range(attempt: Attempt) -> None:
    network = _network(attempt)
    call = "network = make_generator(); network(noise) with large noise [16, 100]"
    images = _forward(attempt, network, _noise(16, 100, scale=100), call)
    images = attempt.tensor(
        images, [16, 1, 28, 28], [16, 784], hint="The pictures must be numbers.", what="the pictures"
    )
    low, high = images.min().item(), images.max().item()
    hint = "The last activation decides the range. Which one goes from -1 to 1 and is never stuck at a constant?"
    if low >= 0:
        hint = "No pixel is ever dark: the real pictures have -1 for black. Which activation reaches below 0?"
    if high > 1.0001 or low >= 0:
        attempt.fail(f"values from {low:.4g} to {high:.4g}", "values from -1 to 1", hint)
    if high < 0.5 or low > -0.5:
        attempt.fail(f"values from {low:.4g} to {high:.4g}", "values that come near -1 and near 1", hint)


def _generator_bends(attempt: Attempt) -> None:
    network = _network(attempt).double().eval()
    batch = _noise(2, 100, scale=0.3).double()
    _forward(attempt, network, batch, "network = make_generator(); network(noise) with noise [2, 100]")
    _check_bent(attempt, lambda z: network(z).atanh(), batch[:1], batch[1:])


@check("make_generator() -> network")
def check_make_generator() -> Parts:
    return {"shape": _generator_shape, "range": _generator_range, "hidden": _generator_bends}


def _images(count: int) -> Tensor:
    return _noise(count, 784).clamp(-1, 1).reshape(count, 1, 28, 28)


def _discriminator_shape(attempt: Attempt) -> None:
    network = _network(attempt)
    hint = "One number a picture: the batch axis must stay, even for a single picture."
    for count in (5, 1):
        call = f"network = make_discriminator(); network(images) with images [{count}, 1, 28, 28]"
        logits = _forward(attempt, network, _images(count), call)
        attempt.tensor(logits, [count], [count, 1], hint=hint, what="the logits")
    _check_sizes(attempt, network, [(784, 128), (128, 1)])


def _discriminator_logits(attempt: Attempt) -> None:
    """Behind the last linear layer nothing may bend: its weights times -1000 must give the logits times -1000."""
    network = _network(attempt)
    call = "network = make_discriminator(); network(images) with images [16, 1, 28, 28]"
    before = _forward(attempt, network, _images(16), call)
    last = [m for m in network.modules() if isinstance(m, nn.Linear)][-1:]
    if not isinstance(before, Tensor) or not last:
        attempt.fail(
            describe(before), "logits that come from a linear layer", "What is the last layer of your network?"
        )
    network.eval()
    with torch.no_grad():
        before = network(_images(16))
        for parameter in last[0].parameters():
            parameter.mul_(-1000)
        after = network(_images(16))
    if near(after, -1000 * before, 1e-3):
        return
    low, high = before.min().item(), before.max().item()
    attempt.fail(
        f"values from {low:.4g} to {high:.4g} that do not grow with the last layer's weights",
        "logits: the last layer's output as it is, any number from minus to plus infinity",
        "Something follows the last linear layer and bends its output. The losses of the course take logits and apply "
        "the sigmoid themselves: what would two sigmoids do to the gradient?",
    )


def _discriminator_bends(attempt: Attempt) -> None:
    network = _network(attempt).double().eval()
    images = _images(2).double()
    _forward(attempt, network, images, "network = make_discriminator(); network(images) with images [2, 1, 28, 28]")
    _check_bent(attempt, lambda x: network(x).flatten(), images[:1], images[1:])


@check("make_discriminator() -> network")
def check_make_discriminator() -> Parts:
    return {"shape": _discriminator_shape, "logits": _discriminator_logits, "hidden": _discriminator_bends}


# ------------------------------------------------------------------------------------------ one step of a player


STALE = "The old gradients were still there and were added to the new ones. When must they go?"
MOVED = (
    "A loss alone changes nothing. Old gradients out, new gradients in, one step of the optimizer: in this order.",
    "The step goes down another loss than the one asked for. Print your loss and compute it by hand.",
)
RETURNED = "Return the loss of this step, as it was before the step."


def _logits(game: Game) -> tuple[Tensor, Tensor]:
    """Logits of the real and of the fake batch, ``[6]`` each."""
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
    check_trainable(attempt, network)


# ------------------------------------------------------------------------------------------ discriminator


def _play_discriminator(attempt: Attempt, stale: bool) -> None:
    game = new_game()
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
        (_after(d, loss * len(real)), "The step is too long by the batch size: a sum where the mean is meant."),
        (_after(d, twice), "There is a sigmoid too many: the discriminator gives logits, and the loss knows that."),
        (_after(d, loss, stale=1.0), STALE),
    ]
    before, right = flat(d), _after(d, loss)
    result = attempt(d, game.generator, Descent(d), game.real, game.noise)
    check_moved(attempt, d, before, right, mistakes, MOVED)
    attempt.close(result, loss, RETURNED, what="the returned loss")


def _discriminator_generator(attempt: Attempt) -> None:
    game = new_game()
    before = flat(game.generator)
    attempt(game.discriminator, game.generator, Descent(game.discriminator), game.real, game.noise)
    _check_untouched(attempt, game.generator, before)
    check_trainable(attempt, game.discriminator)
    if any(p.grad is not None and p.grad.abs().max() > 0 for p in game.generator.parameters()):
        attempt.fail(
            "the generator's parameters received gradients",
            "no gradient for the generator from the discriminator's loss",
            "The loss flowed back through the fakes into the network that made them. For this step the fakes are plain "
            "data: cut the thread between them and the generator.",
        )


@check("discriminator_step(discriminator, generator, optimizer, real, noise) -> loss")
def check_discriminator_step() -> Parts:
    return {
        "update": partial(_play_discriminator, stale=False),
        "generator": _discriminator_generator,
        "stale": partial(_play_discriminator, stale=True),
    }


# ------------------------------------------------------------------------------------------ generator


def _play_generator(attempt: Attempt, stale: bool) -> None:
    game = new_game()
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
        (_after(g, loss * len(fake)), "The step is too long by the batch size: a sum where the mean is meant."),
        (_after(g, softplus(-fake.sigmoid()).mean()), "There is a sigmoid too many: the discriminator gives logits."),
        (_after(g, loss, stale=1.0), STALE),
    ]
    before, right = flat(g), _after(g, loss)
    result = attempt(g, game.discriminator, Descent(g), game.noise)
    check_moved(attempt, g, before, right, mistakes, MOVED)
    attempt.close(result, loss, RETURNED, what="the returned loss")


def _generator_discriminator(attempt: Attempt) -> None:
    game = new_game()
    before = flat(game.discriminator)
    attempt(game.generator, game.discriminator, Descent(game.generator), game.noise)
    _check_untouched(attempt, game.discriminator, before)
    check_trainable(attempt, game.generator)


@check("generator_step(generator, discriminator, optimizer, noise) -> loss")
def check_generator_step() -> Parts:
    return {
        "update": partial(_play_generator, stale=False),
        "discriminator": _generator_discriminator,
        "stale": partial(_play_generator, stale=True),
    }


# ------------------------------------------------------------------------------------------ the moving average


def _pair() -> tuple[nn.Module, nn.Module]:
    """(average, generator): two networks with batch norm whose parameters and running statistics differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        generator = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        average = copy.deepcopy(generator)
        for network, shift in ((average, 0.0), (generator, 1.0)):
            for tensor in network.state_dict().values():
                if tensor.is_floating_point():  # batch norm also counts its batches
                    tensor.copy_(torch.rand(tensor.shape) + shift)
    for network, name in ((generator, "generator"), (average, "average")):
        network.description = name  # type: ignore[assignment]
    return average, generator


def _compare_average(attempt: Attempt, decay: float) -> tuple[nn.Module, nn.Module]:
    average, generator = _pair()
    old, new = flat(average), flat(generator)
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
    return average, generator


def _average_apart(attempt: Attempt) -> None:
    average, generator = _compare_average(attempt, 0.0)
    before = flat(average)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(1)
    if not near(flat(average), before, 1e-6):
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


def _average_buffers(attempt: Attempt) -> None:
    average, generator = _pair()
    decay = 0.9
    attempt(average, generator, decay)
    old, new = (dict(network.named_buffers()) for network in (_pair()[0], generator))
    for name, value in average.named_buffers():
        mixed = decay * old[name] + (1 - decay) * new[name]
        if value.is_floating_point() and not (near(value, new[name]) or near(value, mixed)):
            attempt.close(
                value,
                new[name],
                "Batch norm also keeps running statistics, and they are buffers, not parameters. With stale ones the "
                "averaged generator draws rubbish in evaluation mode.",
                what=f"the average's buffer {name}",
            )


@check("update_average(average, generator, decay) -> None")
def check_update_average() -> Parts:
    return {
        "values": cases(_compare_average, [0.9], [0.25]),
        "apart": _average_apart,
        "buffers": _average_buffers,
    }
