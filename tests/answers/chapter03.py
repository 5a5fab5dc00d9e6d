"""Right and wrong answers to the tasks of chapter 03."""

from __future__ import annotations

import copy
import sys

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel

from gan_course import networks

# ------------------------------------------------------------------------------------------ pictures and networks


def to_tensors(pictures):
    return pictures.float().unsqueeze(1) / 127.5 - 1


def generator_with(*layers):
    return lambda: nn.Sequential(*[copy.deepcopy(layer) for layer in layers], nn.Unflatten(1, (1, 28, 28)))


def discriminator_with(*layers):
    return lambda: nn.Sequential(*[copy.deepcopy(layer) for layer in layers])


first, second = nn.Linear(110, 256), nn.Linear(256, 784)
inner, outer = nn.Linear(3072, 128), nn.Linear(128, 1)


class GeneratorClass(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(110, 256), nn.Linear(256, 784)

    def forward(self, z):
        return (2 * torch.sigmoid(self.second(F.leaky_relu(self.first(z), 0.2))) - 1).view(-1, 1, 28, 28)


class DiscriminatorClass(nn.Module):
    def __init__(self, last=lambda logits: logits):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3072, 128), nn.Linear(128, 1), last

    def forward(self, images):
        return self.last(self.second(F.relu(self.first(images.reshape(len(images), -1))))[:, 0])


class Squeezing(DiscriminatorClass):
    def forward(self, images):
        return self.second(F.relu(self.first(images.flatten(1)))).squeeze()


# ------------------------------------------------------------------------------------------ steps


def d_step(
    loss=lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean(),
    make_fake=lambda generator, noise: generator(noise).detach(),
    zero=True,
    step=True,
    after=lambda d, g: None,
):
    """A right answer with one of its pieces replaced."""

    def discriminator_step(discriminator, generator, optimizer, real, noise):
        value = loss(discriminator(real), discriminator(make_fake(generator, noise)))
        if zero:
            optimizer.zero_grad()
        value.backward()
        if step:
            optimizer.step()
        after(discriminator, generator)
        return value.item()

    return discriminator_step


def d_step_joined(discriminator, generator, optimizer, real, noise):
    optimizer.zero_grad(set_to_none=False)
    with torch.no_grad():
        fake = generator(noise)
    logits = discriminator(torch.cat([real, fake]))
    targets = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))])
    loss = 2 * F.binary_cross_entropy_with_logits(logits, targets)
    loss.backward()
    optimizer.step()
    return loss


def d_step_in_two_halves(discriminator, generator, optimizer, real, noise):
    discriminator.zero_grad()
    real_loss = -F.logsigmoid(discriminator(real)).mean()
    real_loss.backward()
    fake_loss = -F.logsigmoid(-discriminator(generator(noise).detach())).mean()
    fake_loss.backward()
    optimizer.step()
    return (real_loss + fake_loss).detach()


def d_step_zero_too_late(discriminator, generator, optimizer, real, noise):
    loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(generator(noise).detach())).mean()
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def new_noise(generator, noise):
    return generator(torch.randn_like(noise)).detach()


def g_step(
    loss=lambda f: F.softplus(-f).mean(),
    make_fake=lambda generator, noise: generator(noise),
    zero=True,
    before=lambda d: None,
    after=lambda d: None,
    step=True,
):
    def generator_step(generator, discriminator, optimizer, noise):
        before(discriminator)
        value = loss(discriminator(make_fake(generator, noise)))
        if zero:
            optimizer.zero_grad()
        value.backward()
        if step:
            optimizer.step()
        after(discriminator)
        return value.item()

    return generator_step


def g_step_by_grad(generator, discriminator, optimizer, noise):
    logits = discriminator(generator(noise))
    loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    parameters = list(generator.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    return loss


def g_step_moves_both(generator, discriminator, optimizer, noise):
    loss = g_step()(generator, discriminator, optimizer, noise)
    torch.optim.SGD(discriminator.parameters(), lr=0.1).step()
    return loss


# ------------------------------------------------------------------------------------------ moving average


def average_with(rule, buffers=True, under=torch.no_grad):
    """A right answer with the rule ``(old, new, decay) -> None`` for one tensor replaced."""

    def update_average(average, generator, decay):
        with under():
            for old, new in zip(average.parameters(), generator.parameters(), strict=True):
                rule(old, new, decay)
            if buffers:
                for old, new in zip(average.buffers(), generator.buffers(), strict=True):
                    old.copy_(new)

    return update_average


def average_by_state_dict(average, generator, decay):
    new, moving = generator.state_dict(), dict(average.named_parameters())
    mixed = {n: decay * v + (1 - decay) * new[n] if n in moving else new[n] for n, v in average.state_dict().items()}
    average.load_state_dict(mixed)


def average_by_torch(average, generator, decay):
    model = AveragedModel(average, multi_avg_fn=None, avg_fn=lambda old, new, n: decay * old + (1 - decay) * new)
    model.module = average
    model.n_averaged += 1
    model.update_parameters(generator)


def rebinding(old, new, decay):
    old = decay * old + (1 - decay) * new


def sharing(old, new, decay):
    old.data = decay * old.data + (1 - decay) * new.data if decay else new.data


def in_place(keep, take):
    return lambda old, new, decay: old.copy_(keep(decay) * old + take(decay) * new)


def changes_the_generator(old, new, decay):
    old.copy_(new.mul_(1 - decay).add_(decay * old))


def frozen(player):
    def freeze(*networks_):
        networks_[player].requires_grad_(False)

    return freeze


RIGHT = {
    "to_training_tensors": [
        to_tensors,
        lambda x: 2 * (x[:, None].to(torch.float32) / 255) - 1,
        lambda x: ((x.float() - 127.5) / 127.5).reshape(-1, 1, 28, 28),
        lambda x: torch.from_numpy(x.numpy()[:, None].astype("float32")).sub(127.5).div(127.5),
    ],
    "make_generator": [
        lambda: networks.MLPGenerator(latent_dim=110),
        GeneratorClass,
        generator_with(first, nn.ReLU(), second, nn.Tanh()),
        generator_with(first, nn.LayerNorm(256), nn.GELU(), nn.Dropout(0.1), second, nn.Tanh()),
    ],
    "make_discriminator": [
        lambda: networks.MLPDiscriminator(image_shape=(3, 32, 32)),
        DiscriminatorClass,
        discriminator_with(nn.Flatten(), inner, nn.LeakyReLU(0.2), outer),
        discriminator_with(nn.Flatten(), inner, nn.Dropout(0.3), nn.Tanh(), outer, nn.Flatten(0)),
    ],
    "discriminator_step": [d_step(), d_step_joined, d_step_in_two_halves],
    "generator_step": [
        g_step(),
        g_step_by_grad,
        g_step(before=lambda d: d.requires_grad_(False) and None, after=lambda d: d.requires_grad_(True) and None),
    ],
    "update_average": [
        average_with(in_place(lambda d: d, lambda d: 1 - d)),
        average_with(lambda old, new, decay: old.lerp_(new, 1 - decay)),
        average_with(lambda old, new, decay: old.data.mul_(decay).add_(new.data, alpha=1 - decay)),
        average_by_state_dict,
        average_by_torch,
    ],
}

WRONG = {
    "to_training_tensors": [
        (lambda x: x.float().unsqueeze(1) / 255, "[0, 1]"),
        (lambda x: x.float() / 127.5 - 1, "where does its axis stand"),
        (lambda x: x.float().unsqueeze(-1) / 127.5 - 1, "where does its axis stand"),
        (lambda x: x.float().unsqueeze(0) / 127.5 - 1, "where does its axis stand"),
        (lambda x: (2 * x / 255 - 1).unsqueeze(1), "uint8"),
        (lambda x: 2 * x.float().unsqueeze(1) / x.max() - 1, "brightest pixel"),
        (lambda x: to_tensors(x).double(), "dtype float64"),
        (lambda x: x.unsqueeze(1) // 127 - 1, "dtype uint8"),
        (lambda x: x.float().unsqueeze(1), "0 to 255"),
        (lambda x: x.float().unsqueeze(1) / 255 - 1, "[-1, 0]"),
        (lambda x: -to_tensors(x), "Black and white"),
        (lambda x: (x.float().unsqueeze(1) / 255 - 0.1307) / 0.3081, "straight line"),
        (lambda x: to_tensors(x).squeeze(), "where does its axis stand"),
    ],
    "make_generator": [
        (lambda: nn.Sequential(first, nn.ReLU()), "got: linear layers: 110 to 256 expected"),
        (generator_with(first, nn.ReLU()), "the error RuntimeError"),
        (lambda: nn.Sequential(first, nn.ReLU(), second, nn.Tanh()), "[N, 1, 28, 28]"),
        (generator_with(first, nn.ReLU(), second, nn.ReLU()), "No pixel is ever dark"),
        (generator_with(first, nn.ReLU(), second, nn.Sigmoid()), "No pixel is ever dark"),
        (generator_with(first, nn.ReLU(), second, nn.Softmax(1)), "No pixel is ever dark"),
        (generator_with(first, nn.ReLU(), second), "which one goes from -1 to 1".capitalize()),
        (generator_with(first, second, nn.Tanh()), "one straight line"),
        (generator_with(first, nn.BatchNorm1d(256), second, nn.Tanh()), "one straight line"),
        (generator_with(nn.Linear(110, 128), nn.ReLU(), nn.Linear(128, 784), nn.Tanh()), "110 to 128, then 128 to 784"),
        (lambda: GeneratorClass, "returned the class"),
        (lambda: None, "return statement"),
        (generator_with(first, nn.ReLU(), nn.Linear(128, 784), nn.Tanh()), "two sizes don't fit"),
    ],
    "make_discriminator": [
        (discriminator_with(nn.Flatten(), inner, nn.ReLU(), outer, nn.Sigmoid()), "two sigmoids"),
        (lambda: DiscriminatorClass(torch.sigmoid), "two sigmoids"),
        (lambda: DiscriminatorClass(torch.tanh), "bends its output"),
        (lambda: DiscriminatorClass(torch.relu), "bends its output"),
        (discriminator_with(inner, nn.ReLU(), nn.Flatten(), outer), "two sizes don't fit"),
        (discriminator_with(nn.Flatten(), nn.Linear(3072, 1)), "3072 to 1"),
        (discriminator_with(nn.Flatten(), inner, nn.ReLU(), nn.Linear(128, 2)), "One number a picture"),
        (discriminator_with(nn.Flatten(), inner, outer), "one straight line"),
        (Squeezing, "even for a single picture"),
        (
            discriminator_with(nn.Flatten(), nn.Linear(3072, 64), nn.ReLU(), nn.Linear(64, 1)),
            "3072 to 64, then 64 to 1",
        ),
        (discriminator_with(nn.Flatten(0), nn.Linear(3072, 128)), "two sizes don't fit"),
    ],
    "discriminator_step": [
        (d_step(loss=lambda r, f: F.softplus(-r).mean()), "Only the real half"),
        (d_step(loss=lambda r, f: F.softplus(f).mean()), "Only the fake half"),
        (d_step(loss=lambda r, f: F.softplus(r).mean() + F.softplus(-f).mean()), "targets are swapped"),
        (d_step(loss=lambda r, f: F.softplus(-r).mean() + F.softplus(-f).mean()), "target 1"),
        (d_step(loss=lambda r, f: -F.softplus(-r).mean() - F.softplus(f).mean()), "up the loss"),
        (d_step(loss=lambda r, f: (F.softplus(-r) + F.softplus(f)).mean() / 2), "half as long"),
        (d_step(loss=lambda r, f: (F.softplus(-r) + F.softplus(f)).sum()), "batch size"),
        (d_step(loss=lambda r, f: (F.softplus(-r.sigmoid()) + F.softplus(f.sigmoid())).mean()), "sigmoid too many"),
        (d_step(make_fake=lambda g, z: g(z)), "cut the thread"),
        (d_step(make_fake=new_noise), "not by one step"),
        (d_step(zero=False), "old gradients were still there"),
        (d_step(step=False), "its optimizer made no step"),
        (d_step_zero_too_late, "they were gone, or 0"),
        (d_step(after=frozen(1)), "thawed"),
        (lambda d, g, o, x, z: d_step()(d, g, o, x, z) and None, "return statement"),
        (
            lambda d, g, o, x, z: d_step()(d, torch.optim.SGD(g.parameters(), lr=0.1).step() or g, o, x, z) and 0.0,
            "Return the loss of this step",
        ),
    ],
    "generator_step": [
        (g_step(loss=lambda f: F.softplus(f).mean()), "learns to be recognised"),
        (g_step(loss=lambda f: -F.softplus(-f).mean()), "up the loss"),
        (g_step(loss=lambda f: -F.softplus(f).mean()), "saturating"),
        (g_step(loss=lambda f: F.softplus(-f).sum()), "batch size"),
        (g_step(loss=lambda f: F.softplus(-f.sigmoid()).mean()), "sigmoid too many"),
        (g_step(make_fake=lambda g, z: g(z).detach()), "same as before"),
        (g_step(zero=False), "old gradients were still there"),
        (g_step(step=False), "its optimizer made no step"),
        (g_step(before=frozen(0)), "thawed"),
        (g_step_moves_both, "discriminator's parameters changed"),
        (g_step(make_fake=lambda g, z: torch.no_grad()(g)(z), before=frozen(0)), "does not require grad"),
    ],
    "update_average": [
        (average_with(in_place(lambda d: 1 - d, lambda d: d)), "weights are swapped"),
        (average_with(in_place(lambda d: 0, lambda d: 1)), "plain copy"),
        (average_with(rebinding), "did not change"),
        (average_with(in_place(lambda d: d, lambda d: 1)), "add up to 1"),
        (average_with(in_place(lambda d: d, lambda d: d)), "add up to 1"),
        (average_with(in_place(lambda d: 0.5, lambda d: 0.5)), "where does the decay"),
        (average_with(sharing), "share their tensors"),
        (average_with(in_place(lambda d: d, lambda d: 1 - d), buffers=False), "running statistics"),
        (average_with(in_place(lambda d: d, lambda d: 1 - d), under=torch.enable_grad), "leaf Variable"),
        (average_with(changes_the_generator), "Only the average moves"),
    ],
}

# ------------------------------------------------------------------------------------------ found later: near misses

spectral, weighted = nn.utils.parametrizations.spectral_norm, nn.utils.parametrizations.weight_norm
built_once = generator_with(first, nn.BatchNorm1d(256), nn.ReLU(), second, nn.Tanh())()


class LastFirst(nn.Module):
    """Defines its layers in another order than it uses them."""

    def __init__(self):
        super().__init__()
        self.last, self.first = nn.Linear(256, 784), nn.Linear(110, 256)

    def forward(self, z):
        return torch.tanh(self.last(F.silu(self.first(z)))).reshape(-1, 1, 28, 28)


class Matrices(nn.Module):
    """No layers at all."""

    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Parameter(0.05 * torch.randn(*size)) for size in ((3072, 128), (128, 1)))

    def forward(self, images):
        return F.relu(images.flatten(1) @ self.a) @ self.b


def cutting(generator, discriminator, optimizer, noise):
    """The loss as a number has no way back to the generator."""
    loss = torch.tensor(F.softplus(-discriminator(generator(noise))).mean().item(), requires_grad=True)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def without_backward(generator, discriminator, optimizer, noise):
    loss = F.softplus(-discriminator(generator(noise))).mean()
    optimizer.step()
    return loss.item()


def in_eval(generator, noise):
    generator.eval()
    return generator(noise).detach()


def average_with_buffers_the_wrong_way(average, generator, decay):
    average_with(in_place(lambda d: d, lambda d: 1 - d), buffers=False)(average, generator, decay)
    for old, new in zip(average.buffers(), generator.buffers(), strict=True):
        new.copy_(old)


def average_in_training(average, generator, decay):
    average_with(in_place(lambda d: d, lambda d: 1 - d))(average.train(), generator, decay)


RIGHT["make_generator"] += [
    lambda: copy.deepcopy(built_once),
    LastFirst,
    lambda: generator_with(spectral(copy.deepcopy(first)), nn.ReLU(), weighted(copy.deepcopy(second)), nn.Tanh())(),
    generator_with(nn.LazyLinear(256), nn.ELU(), nn.LazyLinear(784), nn.Hardtanh()),
]
RIGHT["make_discriminator"] += [
    Matrices,
    lambda: nn.Sequential(nn.Flatten(), spectral(nn.Linear(3072, 128)), nn.ReLU(), spectral(nn.Linear(128, 1))),
    lambda: nn.Sequential(nn.Flatten(), weighted(nn.Linear(3072, 128)), nn.ReLU(), weighted(nn.Linear(128, 1))),
]


class Generator(nn.Module):
    """``draw(z)`` before the first layer, ``last`` behind the second one."""

    def __init__(self, draw=lambda z: z, last=torch.tanh, hidden=torch.relu):
        super().__init__()
        self.first, self.second = nn.Linear(110, 256), nn.Linear(256, 784)
        self.draw, self.hidden, self.last = draw, hidden, last

    def forward(self, z):
        return self.last(self.second(self.hidden(self.first(self.draw(z))))).view(-1, 1, 28, 28)


WRONG["make_generator"] += [
    (lambda: built_once, "the same network, or the same parameters"),
    (lambda: nn.Sequential(first, nn.ReLU(), second, nn.Tanh(), nn.Unflatten(1, (1, 28, 28))), "same parameters"),
    (lambda: Generator(draw=torch.randn_like), "random numbers of its own"),
    (lambda: Generator(last=lambda y: y.tanh().detach()), "can't be trained"),
    (lambda: Generator(hidden=lambda h: h.relu().detach()), "on whose weights the result does not depend"),
    (lambda: Generator(last=lambda y: y / y.abs().max()), "over the whole batch"),
    (lambda: Generator().requires_grad_(False), "can't be trained"),
    (generator_with(nn.ReLU(), first, second, nn.Tanh()), "one straight line"),
    (generator_with(first, nn.LeakyReLU(1.0), second, nn.Tanh()), "one straight line"),
    (generator_with(first, nn.Dropout(0.5), second, nn.Tanh()), "one straight line"),
]
WRONG["make_discriminator"] += [
    (lambda: discriminator_with(nn.Flatten(), inner, nn.ReLU(), outer)().requires_grad_(False), "can't be trained"),
    (lambda: nn.Sequential(nn.Flatten(), inner, nn.ReLU(), outer), "same parameters"),
    (lambda: DiscriminatorClass(torch.mean), "the logits with shape []"),
    (lambda: DiscriminatorClass(sys.exit), "the error SystemExit"),
    (discriminator_with(nn.Flatten(), nn.ReLU(), inner, outer), "one straight line"),
    (discriminator_with(nn.Flatten(), inner, nn.ReLU(), outer, nn.Hardtanh(-10, 10)), "bends its output"),
    (discriminator_with(nn.Flatten(), inner, nn.LayerNorm(128), nn.ReLU(), outer, nn.Sigmoid()), "bends its output"),
    (discriminator_with(nn.Flatten(), inner, nn.ReLU(), outer, nn.Softmax(1)), "bends its output"),
]
WRONG["discriminator_step"] += [
    (d_step(loss=lambda r, f: F.softplus(-r.mean()) + F.softplus(f.mean())), "not by one step"),
    (d_step(loss=lambda r, f: -r.sigmoid().mean().log() - (-f).sigmoid().mean().log()), "not by one step"),
    (d_step(make_fake=in_eval), "it.training was True, afterwards False"),
    (lambda d, g, o, x, z: d_step()(d, g, o, x, z) + d_step()(d, g, o, x, z), "optimizer made 2 steps"),
]
WRONG["generator_step"] += [
    (g_step(loss=lambda f: -f.sigmoid().mean().log()), "not by one step"),
    (g_step(loss=lambda f: F.softplus(-f.mean())), "not by one step"),
    (cutting, "no gradient had reached its parameters"),
    (without_backward, "no gradient had reached its parameters"),
    (g_step(step=False), "but its optimizer made no step"),
    (g_step(before=lambda d: d.eval() and None), "it.training was True"),
]


def average_with_buffers(rule):
    def update_average(average, generator, decay):
        average_with(in_place(lambda d: d, lambda d: 1 - d), buffers=False)(average, generator, decay)
        for old, new in zip(average.buffers(), generator.buffers(), strict=True):
            old.copy_(rule(old, new, decay))

    return update_average


WRONG["update_average"] += [
    (average_with_buffers(lambda old, new, decay: decay * old + (1 - decay) * new), "buffers were averaged, too"),
    (average_with_buffers(lambda old, new, decay: new if new.is_floating_point() else old), "a count of its batches"),
    (average_with_buffers_the_wrong_way, "From which network to which one"),
    (average_in_training, "the average in training mode"),
]

# The part that passes and the one that fails.
HALF_RIGHT = {
    "to_training_tensors": [(lambda x: 2 * x.float().unsqueeze(1) / x.max() - 1, "greys", "dark")],
    "make_generator": [
        (generator_with(first, nn.ReLU(), second), "shape", "range"),
        (generator_with(first, second, nn.Tanh()), "range", "hidden"),
    ],
    "make_discriminator": [
        (lambda: DiscriminatorClass(torch.sigmoid), "shape", "logits"),
        (discriminator_with(nn.Flatten(), inner, outer), "logits", "hidden"),
    ],
    "discriminator_step": [
        (d_step(make_fake=lambda g, z: g(z)), "update", "generator"),
        (d_step(zero=False), "update", "stale"),
    ],
    "generator_step": [(g_step(zero=False), "update", "stale"), (g_step_moves_both, "update", "discriminator")],
    "update_average": [
        (average_with(sharing), "values", "apart"),
        (average_with(in_place(lambda d: d, lambda d: 1 - d), buffers=False), "apart", "buffers"),
    ],
}
