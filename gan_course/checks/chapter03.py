"""Checks of chapter 03, the parts: pictures as training tensors, the repaired generator and discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gan_course.checks.report import RETURNS_NOTHING, Attempt, describe, near, run

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
    if result.dtype != torch.float32:
        attempt.fail(
            f"a tensor of dtype {str(result.dtype).removeprefix('torch.')}",
            "dtype float32",
            "Whole numbers can't hold values between -1 and 1, and the networks' weights are float32.",
        )
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
    if not near(given, pictures):
        attempt.fail("your function changed its input", "an untouched input", "Make a new tensor.")


def _pictures_all_greys(attempt: Attempt) -> None:
    _compare_pictures(attempt, _pictures(4))
    _compare_pictures(attempt, _pictures(1))


def _pictures_dark(attempt: Attempt) -> None:
    _compare_pictures(attempt, _pictures(2, brightest=100))


def check_to_training_tensors(function: Callable[..., Any], part: str | None = None) -> None:
    """``function(pictures uint8 [N, 28, 28]) -> float32 [N, 1, 28, 28] in [-1, 1]``. Parts: ``greys``, ``dark``."""
    run("to_training_tensors", function, "pictures", {"greys": _pictures_all_greys, "dark": _pictures_dark}, part)


# ------------------------------------------------------------------------------------------ the two networks


def _network(attempt: Attempt) -> nn.Module:
    """What the student's function builds, with every random number the same in each run."""
    network = attempt()
    if isinstance(network, nn.Module):
        return network
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
    return scale * torch.randn(count, size, generator=torch.Generator().manual_seed(0))


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


def check_make_generator(function: Callable[..., Any], part: str | None = None) -> None:
    """``function() -> network``: noise ``[N, 100]`` to ``[N, 1, 28, 28]``. Parts: ``shape``, ``range``, ``hidden``."""
    parts = {"shape": _generator_shape, "range": _generator_range, "hidden": _generator_bends}
    run("make_generator", function, "", parts, part)


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


def check_make_discriminator(function: Callable[..., Any], part: str | None = None) -> None:
    """``function() -> network``: ``[N, 1, 28, 28]`` to logits ``[N]``. Parts: ``shape``, ``logits``, ``hidden``."""
    parts = {"shape": _discriminator_shape, "logits": _discriminator_logits, "hidden": _discriminator_bends}
    run("make_discriminator", function, "", parts, part)
