"""The training loop against the same steps written by hand, its settings, its errors and what an interrupt leaves."""

import math
import os
import re
import signal
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from states import sentence
from torch import nn

from gan_course import data, metrics, networks, training
from gan_course.data import toy
from gan_course.losses import LOSSES
from gan_course.training import LOG_EVERY, Settings, Trainer, TrainingDiverged

RING = data.load("ring", count=2000).images
PICTURES = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1


def points(settings=None, seed=0, **options):
    torch.manual_seed(seed)
    return Trainer(networks.PointGenerator(**options), networks.PointDiscriminator(), RING, settings, seed)


def pictures(settings=None, seed=0):
    torch.manual_seed(seed)
    pair = networks.MLPGenerator(5, 16, (1, 4, 4)), networks.MLPDiscriminator((1, 4, 4), 16)
    return Trainer(*pair, PICTURES, settings, seed)


def pictures_without_bias(settings):
    """Batch norm cancels a bias before it: its gradient is rounding noise, which Adam would blow up differently."""
    trainer = pictures(settings)
    trainer.generator.layers[0].bias = None
    return Trainer(trainer.generator, trainer.discriminator, PICTURES, settings)


def values(network):
    return [value.clone() for value in network.parameters()]


def same(network, before):
    return all(torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))


# ---------------------------------------------------------------------------------------------- one step


def by_hand(generator, discriminator, reals, noises, settings, steps):
    """The same game with nothing of the library: binary cross-entropy, two Adams, lazy R1, a warmed-up average."""
    betas = (settings.beta1, settings.beta2)
    g_adam = torch.optim.Adam(generator.parameters(), settings.generator_lr, betas, foreach=False, fused=False)
    d_adam = torch.optim.Adam(discriminator.parameters(), settings.discriminator_lr, betas, foreach=False, fused=False)
    average = values(generator)
    for step in range(steps):
        for _ in range(settings.discriminator_steps):
            real = next(reals).clone().requires_grad_()
            fake = generator(next(noises)).detach()
            on_real, on_fake = discriminator(real), discriminator(fake)
            loss = F.binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real))
            loss = loss + F.binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))
            if step % settings.r1_every == 0:
                slope = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)[0]
                penalty = sum(s.pow(2).sum() for s in slope) / len(real) / 2
                loss = loss + settings.r1_every * settings.r1_weight * penalty
            d_adam.zero_grad()
            loss.backward()
            d_adam.step()
        logits = discriminator(generator(next(noises)))
        g_adam.zero_grad()
        F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits)).backward()
        g_adam.step()
        keep = 0.0 if step == 0 else min(settings.average_decay, (1 + step) / (10 + step))
        average = [keep * a + (1 - keep) * p.detach() for a, p in zip(average, generator.parameters(), strict=True)]
    return average


@pytest.mark.parametrize(
    "make, settings",
    [
        (points, Settings()),
        (points, Settings(r1_every=3, average_decay=0.5, beta1=0.5, generator_lr=1e-3)),
        (pictures_without_bias, Settings(discriminator_steps=2, batch_size=8, r1_weight=1.0)),
    ],
    ids=["defaults", "other settings", "pictures, two discriminator steps"],
)
def test_twenty_steps_equal_the_steps_written_by_hand(make, settings):
    trainer, twin = make(settings), make(settings)
    steps, batch = 20, settings.batch_size
    random = torch.Generator().manual_seed(5)
    reals = [twin.images[torch.randperm(len(twin.images), generator=random)[:batch]] for _ in range(steps * 2)]
    noises = [torch.randn(batch, twin.generator.latent_dim, generator=random) for _ in range(steps * 3)]
    trainer.real_batch, trainer.noise = iter([(real, ()) for real in reals]).__next__, iter(noises).__next__

    start = values(trainer.generator)
    for _ in range(steps):
        trainer.step()
    average = by_hand(twin.generator, twin.discriminator, iter(reals), iter(noises), settings, steps)

    assert trainer.steps == steps and not same(trainer.generator, start)
    for ours, theirs in (
        (trainer.generator.state_dict(), twin.generator.state_dict()),
        (trainer.discriminator.state_dict(), twin.discriminator.state_dict()),
        (dict(enumerate(trainer.average.parameters())), dict(enumerate(average))),
    ):
        for name, value in theirs.items():
            torch.testing.assert_close(ours[name], value, atol=1e-6, rtol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("loss", LOSSES)
def test_each_player_learns_alone(loss):
    trainer = pictures(Settings(loss=loss, batch_size=8))
    generator, discriminator = values(trainer.generator), values(trainer.discriminator)
    record = trainer.discriminator_step()
    assert same(trainer.generator, generator) and not same(trainer.discriminator, discriminator)
    assert all(p.grad is None for p in trainer.generator.parameters())
    assert set(record) == {"d_loss", "real_logit", "fake_logit"}

    discriminator, gradients = (
        values(trainer.discriminator),
        [p.grad.clone() for p in trainer.discriminator.parameters()],
    )
    trainer.generator_step()
    assert same(trainer.discriminator, discriminator) and not same(trainer.generator, generator)
    kept = zip(trainer.discriminator.parameters(), gradients, strict=True)
    assert all(torch.equal(p.grad, gradient) for p, gradient in kept)


@pytest.mark.parametrize("count", [1, 3])
def test_discriminator_steps(count):
    trainer = points(Settings(discriminator_steps=count))
    calls = []
    for name in ("discriminator_step", "generator_step"):
        method = getattr(trainer, name)
        setattr(trainer, name, lambda name=name, method=method: (calls.append(name), method())[1])
    trainer.step()
    assert calls == ["discriminator_step"] * count + ["generator_step"]


def test_the_penalty_is_paid_every_so_often(monkeypatch):
    paid = []
    trainer = points(Settings(r1_every=4))
    monkeypatch.setattr("gan_course.training.r1_penalty", lambda net, x: paid.append(trainer.steps) or net(x).sum() * 0)
    trainer.run(10)
    assert paid == [0, 4, 8]
    trainer = points(Settings(r1_weight=0))
    trainer.run(10)
    assert paid == [0, 4, 8]


def test_one_seed_makes_one_run():
    logs = [points(seed=seed).run(20) for seed in (3, 3, 4)]
    assert logs[0] == logs[1] != logs[2]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains(loss):
    trainer = points(Settings(loss=loss))
    start = values(trainer.generator)
    log = trainer.run(30)
    assert all(math.isfinite(value) for column in log.values() for value in column)
    assert not same(trainer.generator, start)


@pytest.mark.parametrize("seed", range(5))
def test_it_learns_the_ring(seed):
    trainer = points(Settings(r1_weight=0.05), seed)
    noise, centres = torch.randn(2000, 2, generator=torch.Generator().manual_seed(99)), toy.ring_centres()

    def hits():  # the share of generated points that lie at one of the eight heaps
        return (metrics.nearest_real(trainer.sample(noise), centres).distance < 0.2).float().mean()

    assert metrics.modes_covered(trainer.sample(noise), centres) <= 2 and hits() < 0.2
    trainer.run(1000)
    assert metrics.modes_covered(trainer.sample(noise), centres) >= 7
    assert hits() > 0.5


# ---------------------------------------------------------------------------------------------- a run


def test_log_watch_and_silence(capsys):
    trainer = points()
    seen, drawn = [], []

    def draw():
        drawn.append(trainer.steps)
        return f"the figure of step {trainer.steps}"

    log = trainer.run(25, draw, "Never seen.", watch=lambda: seen.append(trainer.steps))
    assert drawn == [25] and trainer.figure == "the figure of step 25"  # one, for a script to save
    assert LOG_EVERY == 10
    assert seen == log["step"] == [10, 20, 25]
    assert trainer.run(15) is trainer.log and trainer.steps == 40
    assert trainer.log["step"] == [10, 20, 25, 30, 40]
    assert set(trainer.log) == {"step", "d_loss", "g_loss", "real_logit", "fake_logit", "spread", "g_gradient"}
    assert {len(column) for column in trainer.log.values()} == {5}
    assert capsys.readouterr() == ("", "")


def test_what_watch_measures_stands_behind_the_losses_until_it_measures_again(monkeypatch):
    lines = {}
    plain = training.LiveView.update

    def update(view, done, text=None):
        lines[done] = text
        plain(view, done, text)

    monkeypatch.setattr(training.LiveView, "update", update)
    trainer = points()
    found = iter([None, "Fréchet 7.1", 3, "", "Fréchet 2.0"])
    log = trainer.run(50, watch=lambda: next(found))
    losses = [f"D {d:.2f} G {g:.2f}" for d, g in zip(log["d_loss"], log["g_loss"], strict=True)]
    measured = ["", " Fréchet 7.1", " Fréchet 7.1", " Fréchet 7.1", " Fréchet 2.0"]
    assert [lines[step] for step in (10, 20, 30, 40, 50)] == [a + b for a, b in zip(losses, measured, strict=True)]
    assert list(lines) == list(range(1, 51)) and lines[13] is None  # a stop need not wait for the log


def test_the_log_holds_what_the_step_returned():
    trainer, twin = points(), points()
    trainer.run(20)
    for step in range(1, 21):
        record = twin.step()
        if step % 10 == 0:
            for name, value in record.items():
                assert trainer.log[name][step // 10 - 1] == value.item()
                assert not value.requires_grad


def test_sample_uses_the_average_and_leaves_no_trace():
    trainer = pictures(Settings(batch_size=8))
    trainer.run(10)
    noise = torch.randn(3, 5)
    made = trainer.sample(noise)
    reference = networks.MLPGenerator(5, 16, (1, 4, 4))
    reference.load_state_dict(trainer.average.state_dict())
    torch.testing.assert_close(made, reference.eval()(noise))
    assert not made.requires_grad
    assert trainer.sample(7).shape == (7, 1, 4, 4)
    assert torch.equal(trainer.sample(noise), made)
    assert trainer.generator.training and not trainer.average.training


def test_the_average_knows_what_its_own_layers_give():
    trainer = pictures(Settings(batch_size=8, average_decay=0.99))
    trainer.run(30)
    first, norm = trainer.average.layers[0], trainer.average.layers[1]
    inputs = first(torch.randn(20_000, 5))  # what its batch norm gets
    torch.testing.assert_close(norm.running_mean, inputs.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(norm.running_var, inputs.var(0), atol=0, rtol=0.15)
    learning = trainer.generator.layers[1]
    assert not torch.allclose(norm.running_var, learning.running_var, rtol=1e-3)  # which belongs to other weights


def test_what_else_the_generator_counts_goes_to_the_average():
    generator = networks.MLPGenerator(5, 16, (1, 4, 4))
    nn.utils.parametrizations.spectral_norm(generator.layers[3])
    trainer = Trainer(generator, networks.MLPDiscriminator((1, 4, 4), 16), PICTURES, Settings(batch_size=8))
    before = {name: value.clone() for name, value in trainer.average.named_buffers() if "_u" in name}
    trainer.run(5)
    there, ours = dict(generator.named_buffers()), dict(trainer.average.named_buffers())
    assert before
    for name, value in before.items():
        assert torch.equal(ours[name], there[name]) and not torch.equal(ours[name], value)


def test_looking_at_the_average_changes_no_run():
    alone, watched = (pictures(Settings(batch_size=8)) for _ in range(2))
    torch.manual_seed(1)
    alone.run(20)
    torch.manual_seed(1)
    for _ in range(20):
        watched.run(1)
        assert watched.average.layers[1].running_var.isfinite().all()
    assert same(alone.generator, values(watched.generator)) and same(alone.average, values(watched.average))


def test_batch_norms_are_measured_exactly_and_nothing_else_changes():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.3), nn.ReLU(), nn.BatchNorm1d(4)).eval()
    network[3].train()
    parts = torch.randn(4, 50, 3)
    before = {name: value.clone() for name, value in network.named_parameters()}
    networks.measure_batch_norms(network, [(part,) for part in parts])
    inputs = network[0](parts)
    torch.testing.assert_close(network[1].running_mean, inputs.mean(dim=(0, 1)))
    torch.testing.assert_close(network[1].running_var, inputs.var(dim=1).mean(0))
    assert [part.training for part in network] == [False, False, False, True]
    assert [network[1].momentum, network[3].momentum] == [0.3, 0.1]
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
    with pytest.raises(ValueError, match="batches must be at least one batch"):
        networks.measure_batch_norms(network, [])


@pytest.mark.parametrize("there", [True, False])
def test_products_in_16_bits_where_the_processor_has_them(there, monkeypatch):
    monkeypatch.setattr(training, "has_bfloat16", lambda device: there)
    trainer, plain = pictures(Settings(batch_size=8, bfloat16=True)), pictures(Settings(batch_size=8))
    for one in (trainer, plain):
        one.run(20)
    assert same(trainer.generator, values(plain.generator)) == (not there)
    assert all(p.dtype == torch.float32 for p in trainer.generator.parameters())
    for name, entries in trainer.log.items():
        assert entries == pytest.approx(plain.log[name], rel=0.3, abs=0.3)


def test_building_a_trainer_changes_no_network():
    generator, discriminator = networks.MLPGenerator(5, 16, (1, 4, 4)), networks.MLPDiscriminator((1, 4, 4), 16)
    before = [{k: v.clone() for k, v in net.state_dict().items()} for net in (generator, discriminator)]
    Trainer(generator, discriminator, PICTURES, Settings(batch_size=8))
    for net, state in zip((generator, discriminator), before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


# ---------------------------------------------------------------------------------------------- impossible settings

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "field, value, words",
    [
        *[(f"{player}_lr", v, r"must be a (positive|finite) number") for player in ("generator", "discriminator")
          for v in (-0.002, 0, NAN, INF, -INF)],
        *[(f, v, "must be a whole number from 1 up") for f in ("batch_size", "discriminator_steps", "r1_every")
          for v in (0, -3, 2.5, NAN, INF)],
        *[(f, v, "must be (at least 0 and less than 1|a finite number)") for f in ("beta1", "beta2", "average_decay")
          for v in (-0.1, 1, 1.5, NAN)],
        *[("r1_weight", v, r"must be (0 \(off\) or a positive|a finite) number") for v in (-1, NAN, INF)],
    ],
)  # fmt: skip
def test_impossible_settings(field, value, words):
    with pytest.raises(ValueError) as caught:
        Settings(**{field: value})
    assert re.match(rf"{field} {words} but is {re.escape(str(value))}( \(\w+\))?(:|$)", sentence(caught))


def test_unknown_loss_names_the_known_ones():
    with pytest.raises(ValueError) as caught:
        Settings(loss="nonsaturating")
    assert sentence(caught).startswith("there is no loss 'nonsaturating': did you mean 'non_saturating'? Known: ")
    assert all(name in str(caught.value) for name in LOSSES)


def test_settings_at_the_edge_are_possible():
    Settings(batch_size=1, beta1=0, beta2=0, average_decay=0, r1_weight=0, r1_every=1, generator_lr=1e-9)
    with pytest.raises(AttributeError):
        Settings().loss = "hinge"


# ---------------------------------------------------------------------------------------------- what doesn't fit


def build(images, generator=None, discriminator=None, **settings):
    shape = (1, 4, 4)
    generator = generator or networks.MLPGenerator(5, 16, shape)
    return Trainer(
        generator,
        discriminator or networks.MLPDiscriminator(shape, 16),
        images,
        Settings(**{"batch_size": 8} | settings),
    )


def wrong_latent_dim():
    generator = networks.MLPGenerator(5, 16, (1, 4, 4))
    generator.latent_dim = 6
    return generator


BAD = {
    "0 to 255": (
        lambda: build(torch.arange(256.0).reshape(16, 1, 4, 4)),
        ["[-1, 1]", "reach 255:", "divide by 127.5 and subtract 1"],
    ),
    "a bit outside": (lambda: build(PICTURES * 1.5), ["[-1, 1]", "1.4", "rescale or clamp"]),
    "bytes": (lambda: build(PICTURES.byte()), ["uint8", ".float()"]),
    "double precision": (lambda: build(PICTURES.double()), ["float64", ".float()"]),
    "NaN": (lambda: build(PICTURES.clone().index_fill(0, torch.tensor([3]), NAN)), ["NaN", "isfinite"]),
    "infinite": (lambda: build(PICTURES / 0), ["infinite", "isfinite"]),
    "empty": (lambda: build(PICTURES[:0]), ["something in it", "[0, 1, 4, 4]"]),
    "no channel axis": (lambda: build(PICTURES[:, 0]), ["[60, 4, 4]", "unsqueeze(1)"]),
    "generator's channels": (
        lambda: build(torch.zeros(60, 3, 28, 28), networks.MLPGenerator()),
        ["generator", "[1, 28, 28]", "[3, 28, 28]", "image_shape to (3, 28, 28)"],
    ),
    "discriminator's channels": (
        lambda: build(torch.zeros(60, 3, 4, 4), networks.MLPGenerator(5, 9, (3, 4, 4)), networks.MLPDiscriminator()),
        ["discriminator", "[3, 4, 4]", "image_shape to (3, 4, 4)"],
    ),
    "convolution's channels": (
        lambda: build(PICTURES, None, nn.Sequential(nn.Conv2d(3, 1, 4), nn.Flatten(0))),
        ["discriminator", "[1, 4, 4]", "3 channels"],
    ),
    "two logits a picture": (
        lambda: build(PICTURES, None, nn.Sequential(nn.Flatten(), nn.Linear(16, 2))),
        ["one logit a sample", "[2, 2]", "end it in one output"],
    ),
    "one logit a batch": (
        lambda: build(PICTURES, None, nn.Sequential(nn.Flatten(0), nn.Linear(32, 1))),
        ["one logit a sample", "[1]"],
    ),
    "probabilities": (
        lambda: build(PICTURES, None, nn.Sequential(nn.Flatten(), nn.Linear(16, 1), nn.Sigmoid(), nn.Flatten(0))),
        ["probabilities", "logits", "remove its last sigmoid"],
    ),
    "batch larger than the data": (lambda: build(PICTURES, batch_size=61), ["batch_size is 61", "60 pictures"]),
    "no latent_dim": (lambda: build(PICTURES, nn.Linear(5, 16)), ["Linear", "latent_dim"]),
    "wrong latent_dim": (lambda: build(PICTURES, wrong_latent_dim()), ["generator", "[2, 6]", "latent_dim"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_explained(name):
    make, words = BAD[name]
    with pytest.raises(ValueError) as caught:
        make()
    assert [word for word in words if word not in sentence(caught)] == []


def test_a_discriminator_may_keep_a_last_axis_of_one():
    build(PICTURES, None, nn.Sequential(nn.Flatten(), nn.Linear(16, 1))).run(3)


def test_a_batch_may_be_as_large_as_the_data():
    assert build(PICTURES, batch_size=60).run(2)["step"] == [2]


# ---------------------------------------------------------------------------------------------- divergence


class Broken(networks.PointGenerator):
    def forward(self, z):
        return super().forward(z) * NAN


def test_a_network_that_returns_nan_is_stopped():
    trainer = Trainer(Broken(), networks.PointDiscriminator(), RING)
    with pytest.raises(TrainingDiverged) as caught:
        trainer.run(100)
    text = sentence(caught)
    assert trainer.steps <= 20
    assert f"at step {trainer.steps} the discriminator's loss is nan" in text
    assert "(now 0.002 and 0.002) by ten" in text and "r1_weight (now 0.3)" in text
    assert "resume" not in text
    assert all(math.isfinite(v) for column in trainer.log.values() for v in column)


@pytest.mark.parametrize("loss", ["non_saturating", "least_squares", "wasserstein"])
def test_a_huge_learning_rate_is_stopped(loss):
    trainer = points(Settings(loss=loss, generator_lr=1e3, discriminator_lr=1e3))
    with pytest.raises(TrainingDiverged, match=r"at step \d+ .* \(now 1000 and 1000\) by ten"):
        trainer.run(1000)
    assert trainer.steps <= 20


def test_divergence_spares_the_checkpoint_and_names_it(tmp_path):
    path = tmp_path / "run.ckpt"
    trainer = points()
    trainer.run(12, checkpoint=path)
    good = values(trainer.discriminator)
    with torch.no_grad():
        next(trainer.discriminator.parameters()).fill_(NAN)
    with pytest.raises(TrainingDiverged) as caught:
        trainer.run(100, checkpoint=path, checkpoint_every=3)
    assert f"trainer.resume({str(path)!r}) goes back to the last checkpoint" in sentence(caught)
    trainer.resume(path)
    assert trainer.steps == 12 and same(trainer.discriminator, good)
    trainer.run(10)


# ---------------------------------------------------------------------------------------------- interrupts


def test_interrupted_from_within(tmp_path, capsys):
    path = tmp_path / "run.ckpt"
    trainer = points()

    def stop():
        if trainer.steps == 30:
            raise KeyboardInterrupt

    log = trainer.run(1000, watch=stop, checkpoint=path)
    out, err = capsys.readouterr()
    assert out.startswith("Stopped by hand after step 30.") and out.count("\n") == 1 and err == ""
    assert log["step"] == [10, 20, 30] and trainer.steps == 30

    twin = points(seed=1)
    twin.resume(path)
    assert twin.steps == 30 and same(twin.generator, values(trainer.generator))
    fresh = points()
    fresh.run(50)
    trainer.run(20)
    assert same(trainer.generator, values(fresh.generator))  # nothing was lost and nothing done twice
    assert trainer.log == fresh.log


def test_an_interrupt_while_saving_still_leaves_a_checkpoint(tmp_path, monkeypatch, capsys):
    path, replace, tried = tmp_path / "run.ckpt", os.replace, []

    def interrupted_once(*names):
        tried.append(names)
        if len(tried) == 1:
            raise KeyboardInterrupt
        replace(*names)

    monkeypatch.setattr(os, "replace", interrupted_once)
    trainer = points()
    trainer.run(100, checkpoint=path, checkpoint_every=15)
    assert "after step 15." in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["run.ckpt"]
    twin = points()
    twin.resume(path)
    assert twin.steps == 15


@pytest.mark.parametrize("when", ["writing the checkpoint", "writing the log", "between the players", "watching"])
def test_an_interrupt_waits_for_the_end_of_the_step(when, tmp_path, monkeypatch, capsys):
    """Whatever it falls into is finished: no half step, no half log, no half checkpoint."""
    path, trainer = tmp_path / "run.ckpt", points()
    owner, name = {
        "writing the checkpoint": (os, "replace"),
        "writing the log": (trainer, "closer_look"),
        "between the players": (trainer, "generator_step"),
        "watching": (trainer, "sample"),
    }[when]
    plain = getattr(owner, name)

    def interrupted(*arguments):
        if trainer.steps in (29, 30):
            signal.raise_signal(signal.SIGINT)
        return plain(*arguments)

    monkeypatch.setattr(owner, name, interrupted)
    log = trainer.run(1000, watch=lambda: str(trainer.sample(1).shape), checkpoint=path, checkpoint_every=10)
    assert trainer.steps == 30 and log["step"] == [10, 20, 30] and {len(column) for column in log.values()} == {3}
    assert capsys.readouterr().out.startswith("Stopped by hand after step 30.")
    monkeypatch.undo()
    whole, twin = points(), points(seed=1)
    whole.run(30)
    twin.resume(path)
    assert same(trainer.generator, values(whole.generator)) and same(twin.generator, values(whole.generator))
    assert same(twin.discriminator, values(whole.discriminator)) and twin.log == whole.log


SIGINT = """
import sys, torch
from gan_course import data, networks
from gan_course.training import Trainer

torch.set_num_threads(1)
trainer = Trainer(networks.PointGenerator(), networks.PointDiscriminator(), data.load("ring", count=2000).images)
trainer.run(10**6, watch=lambda: print("at", trainer.steps, flush=True), checkpoint=sys.argv[1], checkpoint_every=10**6)
stopped = trainer.steps
trainer.run(20)
print("went on", trainer.steps - stopped)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows can't send an interrupt to one process")
def test_ctrl_c_in_a_real_process(tmp_path):
    command = [sys.executable, "-c", SIGINT, str(tmp_path / "run.ckpt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (line := process.stdout.readline()).startswith("at 2"):
            assert line.startswith("at "), process.stderr.read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    stopped = int(re.search(r"^Stopped by hand after step (\d+)\.", out, re.MULTILINE)[1])
    assert out.endswith("went on 20\n")
    trainer = Trainer(networks.PointGenerator(), networks.PointDiscriminator(), RING)
    trainer.resume(tmp_path / "run.ckpt")
    assert trainer.steps == stopped


# ---------------------------------------------------------------------------------------------- TensorBoard


def test_tensorboard_files_hold_the_log(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer = points()
    trainer.run(25, tensorboard=tmp_path / "events")
    trainer.run(10, tensorboard=tmp_path / "events")
    events = accumulator.EventAccumulator(str(tmp_path / "events")).Reload()
    assert set(events.Tags()["scalars"]) == set(trainer.log) - {"step"}
    for tag in events.Tags()["scalars"]:
        written = events.Scalars(tag)
        assert [e.step for e in written] == trainer.log["step"] == [10, 20, 25, 30, 35]
        assert [e.value for e in written] == trainer.log[tag]


def test_tensorboard_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    trainer = points()
    with pytest.raises(ImportError) as caught:
        trainer.run(5, tensorboard=tmp_path)
    assert "pip install tensorboard" in sentence(caught) and trainer.steps == 0


def test_tensorboard_folder_that_cannot_be_written(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"can't write a log to .*file.*choose a folder") as caught:
        points().run(5, tensorboard=tmp_path / "file" / "events")
    sentence(caught)
