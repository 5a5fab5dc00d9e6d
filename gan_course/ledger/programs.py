"""Claims on the document's three programs, settled by running what they describe.

None of the document's code is copied. Each fault is rebuilt in the fewest lines that show it, in PyTorch.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from gan_course import losses, networks
from gan_course.ledger.arithmetic import slope
from gan_course.ledger.findings import Finding, settles


def error_of(action: Callable[[], object]) -> str:
    """The name of the error that ``action`` ends in, or "none"."""
    try:
        action()
    except Exception as error:
        return type(error).__name__
    return "none"


def run(code: str, **names: object) -> Callable[[], None]:
    """An action that runs ``code`` where nothing is defined but ``names``."""
    return lambda: exec(compile(code, "the program", "exec"), dict(names))


@settles("S1.2-a")
def programs_that_run() -> Finding:
    errors = {
        "section 3.3": error_of(lambda: ast.parse("function train(networks):")),
        "section 5.2": stops()["bracket"],
        "section 6": style_import().found,
    }
    found = ", ".join(f"{name} {error}" for name, error in errors.items())
    return Finding("programs for practitioners", found, "none" in errors.values())


# ------------------------------------------------------------------------------------------ section 3.3

SKETCH = """
def train(generator, discriminator, pictures):
    for epoch in range(epochs):
        for picture in pictures:
            g_loss = loss(discriminator(generator(z)))
            d_loss = loss(discriminator(picture))
"""


def undefined(code: str) -> list[str]:
    """The names that ``code`` reads and never sets, Python's own aside."""
    nodes = list(ast.walk(ast.parse(code)))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    known = {node.arg for node in nodes if isinstance(node, ast.arg)} | set(dir(builtins))
    known |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return sorted({name.id for name in names} - known)


@settles("S3.3-b")
def nothing_is_defined() -> Finding:
    names = undefined(SKETCH)
    return Finding("noise is drawn", f"used and never defined: {', '.join(names)}", "z" not in names)


@settles("S3.3-c")
def nothing_is_updated() -> Finding:
    generator, discriminator = networks.MLPGenerator().eval(), networks.MLPDiscriminator()
    before = nn.utils.parameters_to_vector([*generator.parameters(), *discriminator.parameters()]).detach().clone()
    names = {"epochs": 2, "z": torch.randn(1, 100), "loss": lambda logit: F.softplus(-logit)}
    run(SKETCH + "\ntrain(G, D, data)", G=generator, D=discriminator, data=torch.rand(5, 1, 1, 28, 28), **names)()
    after = nn.utils.parameters_to_vector([*generator.parameters(), *discriminator.parameters()])
    change = (after - before).abs().max().item()
    return Finding("both networks are updated", f"the largest change of a weight is {change}", change > 0)


@settles("S3.3-d")
def either_order() -> Finding:
    rate, brake = 0.2, 0.3  # chapter 05's smallest GAN near its solution, with R1
    d_turn = torch.tensor([[1.0, 0.0], [-rate / 2, 1 - rate * brake]])
    g_turn = torch.tensor([[1.0, rate / 2], [0.0, 1.0]])
    growth = [torch.linalg.eigvals(step).abs().max().item() for step in (g_turn @ d_turn, d_turn @ g_turn)]
    orders = {"3.3": "G, D", "5.3": "D, G"}
    found = f"section 3.3 has {orders['3.3']}, section 5.3 {orders['5.3']}; distance a step, either way: × "
    found += " and × ".join(f"{factor:.4f}" for factor in growth)
    return Finding("one order of turns", found, len(set(orders.values())) == 1)


@settles("S3.3-e")
def real_alone() -> Finding:
    logit = torch.tensor(20.0)  # a discriminator that gives this to everything
    loss, belief = F.softplus(-logit).item(), logit.sigmoid().item()
    return Finding(
        "it learns to judge", f"'always real': loss {loss:.0e}, belief in any fake {belief:.3f}", belief < 0.5
    )


@settles("S3.3-f")
def one_aim() -> Finding:
    g_push = slope(lambda logit: F.softplus(-logit), 0.0)
    shared, right = g_push, slope(F.softplus, 0.0)
    found = f"slope at a fake: generator {g_push:+.1f}, discriminator {shared:+.1f} (should be {right:+.1f})"
    return Finding("a game", found, g_push * shared < 0)


@settles("S3.3-j", "S5.2-c.15")
def last_or_mean() -> Finding:
    logits = torch.randn(200, generator=torch.Generator().manual_seed(0))
    each = F.softplus(-logits)  # the losses of an epoch's pictures
    found = f"the last picture has {each[-1]:.2f}, the epoch {each.mean():.2f}, its pictures up to {each.max():.2f}"
    return Finding("the epoch's loss", found, bool(torch.isclose(each[-1], each.mean(), atol=0.01)))


# ------------------------------------------------------------------------------------------ section 5.2

SIZES = (100, 256), (784, 128, 1)  # of the program's networks


def program_pair() -> tuple[nn.Sequential, nn.Sequential]:
    """Networks of the program's form: generator [N, 100] to [N, 256], discriminator [N, 784] to a belief [N, 1]."""
    (noise, made), (pixels, hidden, _) = SIZES
    generator = nn.Sequential(nn.Linear(noise, made), nn.ReLU(), nn.Flatten(), nn.Flatten())
    discriminator = nn.Sequential(
        nn.Linear(pixels, hidden), nn.ReLU(), nn.Flatten(), nn.Linear(hidden, 1), nn.Sigmoid()
    )
    return generator, discriminator


def stops() -> dict[str, str]:
    """The program's five stops, each behind the one before: what is wrong, and the error that it ends in."""
    generator, discriminator = program_pair()
    return {
        "bracket": error_of(lambda: ast.parse("loss = mean(real + mean(fake)")),
        "data": error_of(run("for picture in pictures: pass")),
        "noise": error_of(run("generator(z)", generator=generator)),
        "sizes": error_of(lambda: discriminator(generator(torch.randn(8, 100)))),
        "picture": error_of(lambda: discriminator(torch.randn(1, 28, 28))),
    }


def _stop(number: int, name: str, says: str) -> None:
    @settles(f"S5.2-b.{number}")
    def one_stop() -> Finding:
        error = stops()[name]
        return Finding(says, error, error == "none")


for _number, (_name, _says) in enumerate(
    {
        "bracket": "a complete line", "data": "data to go over", "noise": "noise to start from",
        "sizes": "G's output fits D", "picture": "28 × 28 fits D",
    }.items(),
    start=1,
):  # fmt: skip
    _stop(_number, _name, _says)


@settles("S5.2-b")
def it_runs() -> Finding:
    return Finding("it runs", ", ".join(stops().values()), set(stops().values()) == {"none"})


def range_with_two_sigmoids() -> tuple[float, float, float, float]:
    """(lowest L_G, highest L_G, lowest L_D, highest L_D) where D's output has been through a sigmoid already."""
    zero, one = torch.tensor(0.0), torch.tensor(1.0)  # all that is left of the logits
    g = [losses.non_saturating_generator_loss(one, x).item() for x in (one, zero)]
    d = [losses.non_saturating_discriminator_loss(*pair).item() for pair in ((one, zero), (zero, one))]
    return g[0], g[1], d[0], d[1]


@settles("S5.2-c")
def sound_program() -> Finding:
    *_, lowest, _ = range_with_two_sigmoids()
    return Finding("a sound program", f"a perfect discriminator has a loss of {lowest:.4f}, and not 0", lowest < 0.01)


@settles("S5.2-c.6")
def no_output_layer() -> Finding:
    made = program_pair()[0](torch.randn(1, 100)).numel()
    return Finding("a picture of 784", f"{made} numbers", made == 784)


@settles("S5.2-c.7")
def flatten_does_nothing() -> Finding:
    x = torch.randn(8, 256)
    return Finding("Flatten prepares", f"equal with and without: {torch.equal(nn.Flatten()(x), x)}", x.ndim > 2)


@settles("S5.2-c.8")
def relu_at_the_end() -> Finding:
    torch.manual_seed(0)
    with torch.no_grad():
        made = program_pair()[0](torch.randn(1000, 100))
    found = f"lowest {made.min():.2f}, highest {made.max():.2f}, exactly 0: {(made == 0).float().mean():.0%}"
    return Finding("pixels in −1 to 1", found, bool(made.min() < 0 and made.max() <= 1))


@settles("S5.2-c.9")
def two_sigmoids() -> Finding:
    g_low, g_high, d_low, d_high = range_with_two_sigmoids()
    one, two = (slope(f, -6.0) for f in (lambda x: F.softplus(-x), lambda x: F.softplus(-x.sigmoid())))
    found = (
        f"L_G {g_low:.4f} to {g_high:.4f}, L_D {d_low:.4f} to {d_high:.4f}; at logit −6 {one / two:.0f} times weaker"
    )
    return Finding("a loss on logits", found, d_low < 0.01)


@settles("S5.2-c.10")
def mean_in_a_mean() -> Finding:
    outer = ast.parse("mean(real + mean(fake))", mode="eval").body
    nested = any(isinstance(node, ast.Call) for node in ast.walk(outer.args[0]))  # type: ignore[attr-defined]
    real, fake = torch.rand(8), torch.rand(8)
    apart = ((real + fake.mean()).mean() - (real.mean() + fake.mean())).abs().item()
    found = (
        f"one mean {'inside' if nested else 'beside'} the other; the number differs by less than {max(apart, 1e-6):.0e}"
    )
    return Finding("mean and mean", found, not nested)


@settles("S5.2-c.11")
def one_noise() -> Finding:
    z = torch.randn(1, 100)
    with torch.no_grad():
        kinds = len(program_pair()[0](z.expand(64, -1)).unique(dim=0))
    return Finding("64 pictures", f"{kinds} different picture", kinds > 1)


@settles("S5.2-c.13")
def sizes_of_the_networks() -> Finding:
    generator, discriminator = program_pair()
    layers = [layer for network in (generator, discriminator) for layer in network.modules()]
    convolutions = sum("Conv" in type(layer).__name__ for layer in layers)
    counts = f"{networks.count_parameters(generator):,} and {networks.count_parameters(discriminator):,} parameters"
    return Finding("made for pictures", f"{counts}, {convolutions} convolutions", convolutions > 0)


def operations(tensor: Tensor) -> int:
    """How many operations are recorded behind ``tensor``."""
    seen, todo = set(), [tensor.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [parent for parent, _ in node.next_functions]
    return len(seen)


@settles("S5.2-c.19")
def no_detach() -> Finding:
    generator, discriminator = networks.MLPGenerator(), networks.MLPDiscriminator()
    fake = generator(torch.randn(8, 100))
    recorded, needed = (operations(discriminator(x)) for x in (fake, fake.detach()))
    return Finding("only what is needed", f"{recorded} operations recorded, {needed} needed", recorded == needed)


# ------------------------------------------------------------------------------------------ section 6


def restyle(picture: Image.Image, generator: Callable[[Tensor], Tensor]) -> Image.Image:
    """What the style program would do if it ran: squeeze, scale, call the generator, scale, stretch, save."""
    squeezed = torch.from_numpy(np.array(picture.convert("L").resize((256, 256), Image.Resampling.NEAREST)))
    made = generator((squeezed / 127.5 - 1).view(1, 1, 256, 256))
    values = (made + 1) / 2
    stretched = (values - values.min()) / (values.max() - values.min())  # what saving does unless it is told not to
    return Image.fromarray((255 * stretched[0, 0]).round().byte().numpy())


def grey_ramp() -> Image.Image:
    """A photograph's stand-in: 600 × 300 pixels, greys from 102 to 153."""
    return Image.fromarray(torch.linspace(102, 153, 600).round().byte().expand(300, -1).contiguous().numpy())


@settles("S6-c")
def style_program_runs() -> Finding:
    errors = [style_import().found, style_generator().found]
    return Finding("it runs", ", then ".join(errors), set(errors) == {"none"})


@settles("S6-c.1")
def style_import() -> Finding:
    error = error_of(run("np.expand_dims(picture, axis=0)", picture=0))
    return Finding("NumPy is there", error, error == "none")


@settles("S6-c.2")
def style_generator() -> Finding:
    error = error_of(run("generator = ...\ngenerator(0)"))
    return Finding("a trained generator", error, error == "none")


@settles("S6-c.4", "S6-c.5")
def style_size() -> Finding:
    before, after = grey_ramp().size, restyle(grey_ramp(), lambda x: x).size
    return Finding("size and shape stay", f"{before[0]} × {before[1]} becomes {after[0]} × {after[1]}", before == after)


@settles("S6-c.6")
def style_range() -> Finding:
    before, after = grey_ramp().getextrema(), restyle(grey_ramp(), lambda x: x).getextrema()
    found = f"greys {before[0]} to {before[1]} become {after[0]} to {after[1]} without any generator"
    return Finding("the range is restored", found, before == after)


@settles("S6-c.8")
def style_input() -> Finding:
    error = error_of(lambda: networks.MLPGenerator()(torch.zeros(1, 1, 256, 256)))
    return Finding("G takes a photograph", f"a generator of noise ends in {error}", error == "none")
