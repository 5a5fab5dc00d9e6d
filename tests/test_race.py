"""The benchmark's race: marks, seeds, verdicts, the page; and that the peers are what they are said to be."""

from __future__ import annotations

import copy
import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench import peers, race, speed, table
from bench.__main__ import main
from gan_course import data, networks
from gan_course.classifiers import Classifier
from gan_course.commands.errors import CourseError

ROOT = Path(__file__).parents[1]
FLOOR = (0.2, 0.1)


def mark(contender=race.OURS, seed=0, seconds=60, frechet=1.0, rate=100.0, steps=10) -> race.Mark:
    return race.Mark(contender, seed, seconds, steps, rate, frechet)


def pictures(count: int, seed: int = 0, size: int = 28) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# ------------------------------------------------------------------------------------------------- a race without GANs


class Time:
    """A clock that only moves when it is told to, in place of the module ``time``."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Time:
    clock = Time()
    monkeypatch.setattr(race, "time", clock)
    return clock


class Walker:
    """A contender whose steps take a given time; all its pictures are as bright as it has taken steps."""

    latent_dim = 2

    def __init__(self, clock: Time, step_seconds: float, stop_at: int | None = None):
        self.clock, self.step_seconds, self.stop_at, self.steps = clock, step_seconds, stop_at, 0

    def step(self):
        self.clock.now += self.step_seconds
        self.steps += 1
        if self.steps == self.stop_at:
            raise KeyboardInterrupt

    def sample(self, noise):
        self.clock.now += 1000.0  # must not count
        return torch.full((len(noise), 1, 2, 2), self.steps / 127.5 - 1)


@pytest.fixture
def walkers(monkeypatch, clock) -> SimpleNamespace:
    """The race between three walkers: ``built``, (name, seed) of each in order, and the ``marks`` that they reached."""
    seen = SimpleNamespace(built=[], marks=[])

    def entry(name: str, step_seconds: float) -> race.Entry:
        def build(images, seed):
            seen.built.append((name, seed))
            assert len(images) == 8000
            return Walker(clock, step_seconds)

        return race.Entry(build, pictures=7)

    def watched(*arguments):
        for found in run_race(*arguments):
            seen.marks.append(found)
            yield found

    entries = {race.OURS: entry("ours", 0.25), "quick": entry("quick", 0.5), "slow": entry("slow", 2.0)}
    run_race = race.race
    monkeypatch.setattr(race, "race", watched)
    monkeypatch.setattr(race, "entries", lambda: entries)
    monkeypatch.setattr(race, "digits", lambda: pictures(10_000, size=2))
    monkeypatch.setattr(race.metrics, "frechet_distance", lambda a, b: abs((a.mean() - b.mean()).item()) + 0.01)
    monkeypatch.setattr(race, "judge", lambda real: race.Judge(real, lambda x: x.flatten(1)))
    monkeypatch.setattr(speed, "measure", lambda: iter([table.Row("a thing", 1.0)]))
    return seen


@pytest.fixture
def course(tmp_path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/bench.md").write_text((ROOT / "docs/bench.md").read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_marks_are_reached_in_training_time(clock):
    walker = Walker(clock, 0.75)
    found = []
    for result in race.train(walker, [3, 1]):
        found.append(result)
        clock.now += 500.0  # sampling and judging
    assert found == [(1, 1.5, 2), (3, 3.0, 4)]
    assert walker.steps == 4


def test_a_race_measures_every_seed_and_mark_and_counts_pictures(walkers, capsys):
    assert main(["--seconds", "4", "10", "200", "--seeds", "0", "3", "--peer-seeds", "3"]) == 0
    assert walkers.built == [("ours", 0), ("ours", 3), ("quick", 3), ("slow", 3)]
    found = {(m.contender, m.seed, m.seconds): (m.steps, m.rate) for m in walkers.marks}
    ours = {(race.OURS, seed, at): (4 * at, 28.0) for seed in (0, 3) for at in (4, 10, 200)}
    assert found == ours | {
        ("quick", 3, 4): (8, 14.0), ("quick", 3, 10): (20, 14.0), ("slow", 3, 4): (2, 3.5), ("slow", 3, 10): (5, 3.5),
    }  # fmt: skip
    out = capsys.readouterr().out
    assert "4 runs, 7 minutes" in out
    assert re.search(r"^this course +[\d.]+ \([\d.]+, [\d.]+\) +.* 28$", out, flags=re.MULTILINE)
    assert "ours / best peer" in out and "real half against all" in out


def test_stopping_shows_what_was_measured(walkers, clock, capsys):
    race.entries()["quick"] = race.Entry(lambda images, seed: Walker(clock, 0.5, stop_at=7), pictures=7)
    assert main(["--seconds", "2", "4", "--seeds", "0"]) == 130
    out = capsys.readouterr().out
    assert [(m.contender, m.seconds) for m in walkers.marks] == [(race.OURS, 2), (race.OURS, 4), ("quick", 2)]
    assert re.search(r"^quick +[\d.]+ +14$", out, flags=re.MULTILINE), "the table shows the mark that was reached"


def test_samples_are_what_was_judged(walkers, tmp_path):
    folder = tmp_path / "out" / "samples"
    main(["--seconds", "1", "3", "--seeds", "0", "--samples", str(folder)])
    names = [f"{who}_seed0_{at}s.npz" for who in ("quick", "slow", "this_course") for at in (1, 3)]
    assert sorted(path.name for path in folder.iterdir()) == names
    with np.load(folder / "this_course_seed0_3s.npz") as arrays:
        images = arrays["images"]
    assert images.dtype == np.uint8 and images.shape == (5000, 2, 2)
    assert (images == 12).all(), "after 12 steps"


def test_a_race_without_its_digits_ends_before_anything_is_measured(walkers, monkeypatch, capsys):
    def missing():
        raise CourseError("The race needs MNIST: there is no network")

    monkeypatch.setattr(race, "digits", missing)
    monkeypatch.setattr(speed, "measure", lambda: pytest.fail("minutes of work, for nothing"))
    assert main(["--seconds", "4"]) == 2
    assert capsys.readouterr().err == "The race needs MNIST: there is no network\n" and walkers.built == []


def test_requests_that_can_t_be_met(walkers, course, capsys):
    assert main(["--seconds", "0"]) == 2
    assert main(["--speed-only", "--write"]) == 2
    (course / "docs/bench.md").write_text("no markers", encoding="utf-8")
    assert main(["--write"], course) == 2
    errors = capsys.readouterr().err
    assert "A race of 0 seconds" in errors and "leave out --write" in errors and "restore the file from git" in errors
    assert walkers.built == [], "all of it is said before the race"


def test_without_mnist_the_race_says_so(monkeypatch):
    def offline(name, **options):
        raise ConnectionError("mnist could not be downloaded from anywhere")

    monkeypatch.setattr(data, "load", offline)
    with pytest.raises(CourseError, match=r"needs MNIST: mnist could not be downloaded.*--speed-only"):
        race.digits()
    monkeypatch.setattr(data, "load", lambda name, split: data.Dataset(name, pictures(30)))
    with pytest.raises(CourseError, match="needs 10,000 digits but the local copy has 30"):
        race.digits()


@pytest.mark.parametrize("total", [10_000, 10_500])
def test_the_digits_are_the_first_ten_thousand(monkeypatch, total):
    images = torch.arange(float(total)).reshape(-1, 1, 1, 1)
    monkeypatch.setattr(data, "load", lambda name, split: {"all": data.Dataset(name, images)}[split])
    assert torch.equal(race.digits(), images[:10_000])


# ------------------------------------------------------------------------------------------------- parts of the race


def test_peers_run_with_their_own_seeds_and_stop_early():
    runs = race.plan(["ours", "a", "b"], [600, 60, 180, 60], seeds=[0, 1], peer_seeds=[0])
    everything, early = (60, 180, 600), (60, 180)
    assert runs == [("ours", 0, everything), ("a", 0, early), ("b", 0, early), ("ours", 1, everything)]
    assert race.plan(["ours", "a"], [600], seeds=[0], peer_seeds=[0]) == [("ours", 0, (600,))]
    assert race.plan(["ours", "a"], [60], seeds=[2], peer_seeds=[5]) == [("ours", 2, (60,)), ("a", 5, (60,))]


def test_threads_are_set_back_after_an_error():
    with pytest.raises(KeyError), race.threads(2):
        assert torch.get_num_threads() == 2
        raise KeyError
    assert torch.get_num_threads() == 1


def test_pictures_survive_the_way_through_bytes():
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert (race.as_bytes(race.from_bytes(every)) == every).all()
    assert race.from_bytes(every).shape == (1, 1, 16, 16)
    assert race.as_bytes(torch.tensor([[[[-1.0, 1.0, 0.0, 1.001]]]])).tolist() == [[[0, 255, 128, 255]]]


def test_the_floor_compares_halves_without_overlap(monkeypatch):
    """Each real picture has a feature of its own, so that overlaps can be seen."""
    seen = []

    def distance(a, b):
        seen.append((set(a.flatten().tolist()), set(b.flatten().tolist())))
        return float(len(seen[-1][0] & seen[-1][1]))

    monkeypatch.setattr(race.metrics, "frechet_distance", distance)
    judge = race.Judge(pictures(20, size=1), lambda images: images.flatten(1))
    assert judge.floor(splits=3) == (0.0, 10.0)
    assert len(seen) == 6 and len({frozenset(a) for a, _ in seen}) == 3, "three different splits"
    assert all(len(a) == 10 for a, _ in seen)


def test_the_judge_sees_eight_bits(monkeypatch):
    monkeypatch.setattr(race.metrics, "frechet_distance", lambda a, b: (a - b).abs().max().item())
    real = race.from_bytes(race.as_bytes(pictures(1100, size=2)))
    judge = race.Judge(real, lambda images: images.flatten(1) * 2)
    assert judge.distance(race.as_bytes(real)) == 0
    shifted = race.as_bytes(real).astype(int).clip(0, 254) + 1
    assert judge.distance(shifted.astype(np.uint8)) == pytest.approx(2 / 127.5, rel=1e-3)


def test_the_race_is_judged_by_the_zoo_s_mnist_classifier(monkeypatch):
    torch.manual_seed(0)
    classifier = Classifier(image_shape=(1, 28, 28)).eval().requires_grad_(False)
    monkeypatch.setattr(race.zoo, "load", {"mnist_classifier": classifier}.__getitem__)
    real = pictures(520)
    judge = race.judge(real)
    torch.testing.assert_close(judge.real, classifier.features(real), rtol=1e-3, atol=1e-4)
    assert judge.distance(race.as_bytes(real)) < 1e-3 < judge.distance(race.as_bytes(pictures(520, seed=1) * 0.5))


# ------------------------------------------------------------------------------------------------- what it says


def test_verdicts_of_made_up_numbers():
    marks = [mark(seed=s, seconds=60, frechet=f) for s, f in enumerate([1.0, 5.0, 1.2])]  # median 1.2
    marks += [mark(seed=s, seconds=180, frechet=0.9) for s in range(3)]
    marks += [mark(seed=s, seconds=600, frechet=f) for s, f in enumerate([0.7, 0.8, 0.9])]
    marks += [mark("a", 0, 60, 12.0), mark("a", 0, 180, 8.9), mark("b", 0, 60, 30.0), mark("b", 0, 180, 40.0)]
    rows = {row.what.removeprefix("Fréchet distance at "): row for row in table.verdicts(marks, FLOOR)}
    assert {what: (row.value, row.most, row.holds) for what, row in rows.items()} == {
        "60 s: ours / best peer": (pytest.approx(0.1), 0.1, True),
        "60 s: ours / real halves": (pytest.approx(6.0), None, True),
        "180 s: ours / best peer": (pytest.approx(0.9 / 8.9), 0.1, False),
        "180 s: ours / real halves": (pytest.approx(4.5), None, True),
        "600 s: ours / real halves": (pytest.approx(4.0), 4, True),
    }
    worse = [mark(seconds=600, frechet=0.81)]
    assert [row.holds for row in table.verdicts(worse, FLOOR)] == [False]
    assert not any(row.most for row in table.verdicts([mark(seconds=5), mark("a", 0, 5, 2.0)], FLOOR)), "only a trial"
    assert list(table.verdicts([mark("a")], FLOOR)) == []


def test_the_exit_code_is_that_of_the_race(walkers, monkeypatch):
    monkeypatch.setattr(table, "verdicts", lambda marks, floor: iter([table.Row("a distance", 0.2, most=0.1)]))
    assert main(["--seconds", "1", "--seeds", "0"]) == 1


MARKS = [
    *(mark(seed=s, seconds=60, frechet=f, rate=2000.4) for s, f in enumerate([1.0, 5.0, 1.25])),
    *(mark(seed=s, seconds=600, frechet=0.5, rate=1999.0) for s in range(3)),
    mark("a | b", 0, 60, 12.3456, 51.0),
]


def test_the_table_of_the_race():
    found = table.race_table(MARKS, FLOOR)
    assert found == [
        ["Fréchet distance", "60 s", "600 s", "images / s"],
        ["this course", "1.25 (1, 5, 1.25)", "0.5 (0.5, 0.5, 0.5)", "2,000"],
        ["a | b", "12.3", "", "51"],
        ["real half against real half", "0.2", "", ""],
        ["real half against all", "0.1", "", ""],
    ]
    lines = table.plain(found).splitlines()
    assert [line.find("12.3") for line in lines if "12.3" in line] == [lines[0].find("60 s")]
    assert table.markdown(found[:2]).splitlines() == [
        "| Fréchet distance | 60 s | 600 s | images / s |",
        "|---|---|---|---|",
        "| this course | 1.25 (1, 5, 1.25) | 0.5 (0.5, 0.5, 0.5) | 2,000 |",
    ]


def test_the_plot():
    figure = table.draw(MARKS, FLOOR)
    (ax,) = figure.axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    lines = {line.get_label(): line for line in ax.lines}
    assert lines["this course"].get_xydata().tolist() == [[60, 1.25], [600, 0.5]]
    assert lines["a | b"].get_xydata().tolist() == [[60, 12.3456]]
    assert set(lines["real against real: the floor"].get_ydata()) == {0.2}
    assert sum(len(dots.get_offsets()) for dots in ax.collections) == len(MARKS)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["60", "600"]


def test_writing_the_page(walkers, course):
    page = course / "docs/bench.md"
    before = page.read_text(encoding="utf-8")
    options = ["--seconds", "2", "4", "--seeds", "0", "--threads", "1", "--write"]
    assert main(options, course) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(before[: before.index(table.START)]) and text.endswith(before[before.index(table.END) :])
    (name,) = re.findall(r"!\[.{40,}?\]\((.*?)\)", text)
    assert (page.parent / name).read_bytes().startswith(b"\x89PNG")
    measured = text[text.index(table.START) : text.index(table.END)].splitlines()
    assert all(line.startswith("| ") for line in measured[1:] if line and not line.startswith("|--"))
    rows = [line.split(" | ")[0] for line in measured if line.startswith("| ")]
    assert rows[:4] == ["| Fréchet distance", "| this course", "| quick", "| slow"]
    assert {"| a thing", "| threads of the race"} <= set(rows) and any("ours / best peer" in row for row in rows)
    main(options, course)
    assert page.read_text(encoding="utf-8") == text, "written again, it is the same page"


def test_the_page_has_a_place_for_the_results():
    before, behind = table.page(ROOT)
    assert "# Benchmark" in before
    assert f"({Path(table.PICTURE).relative_to(Path(table.PAGE).parent).as_posix()})" in behind


# ------------------------------------------------------------------------------------------------- the contenders


def test_sizes_of_the_peers():
    """Counted by hand: weights, biases and two numbers for each channel of a batch norm."""
    images = pictures(10)
    dcgan, wgan = peers.PlainDCGAN(images), peers.WassersteinMLP(images)
    generator = 100 * 128 * 49 + 2 * 128 + 128 * 64 * 16 + 2 * 64 + 64 * 16
    discriminator = 64 * 16 + 64 * 128 * 16 + 2 * 128 + 128 * 49 + 1
    assert networks.count_parameters(dcgan.generator) == generator
    assert networks.count_parameters(dcgan.discriminator) == discriminator
    sizes = [100, 128, 256, 512, 1024, 784]
    linear = sum(a * b + b for a, b in itertools.pairwise(sizes))
    assert networks.count_parameters(wgan.generator) == linear + 2 * (256 + 512 + 1024) == 1_510_032
    assert networks.count_parameters(wgan.discriminator) == 784 * 512 + 512 + 512 * 256 + 256 + 256 + 1
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in wgan.discriminator)
    assert [sum(isinstance(m, nn.BatchNorm2d) for m in n) for n in (dcgan.generator, dcgan.discriminator)] == [2, 1]
    slopes = [m.negative_slope for p in (dcgan, wgan) for n in (p.generator, p.discriminator) for m in n
              if isinstance(m, nn.LeakyReLU)]  # fmt: skip
    assert slopes == [0.2] * (2 + 4 + 2)
    assert all(sum(isinstance(m, nn.Tanh) for m in p.generator) == 1 for p in (dcgan, wgan))


def test_dcgan_weights_are_drawn_as_the_paper_says():
    torch.manual_seed(0)
    dcgan = peers.PlainDCGAN(pictures(10))
    for network in (dcgan.generator, dcgan.discriminator):
        for layer in network:
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
                assert abs(layer.weight.mean().item()) < 0.003


@pytest.mark.parametrize("build", [peers.PlainDCGAN, peers.WassersteinMLP])
def test_the_peers_optimiser(build):
    peer = build(pictures(10))
    for optimizer, network in (
        (peer.generator_optimizer, peer.generator),
        (peer.discriminator_optimizer, peer.discriminator),
    ):
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 0)
        assert list(map(id, group["params"])) == list(map(id, network.parameters()))


@pytest.mark.parametrize("name", list(race.entries()))
def test_every_contender_trains_both_networks_and_counts_its_pictures(name, monkeypatch):
    entry, images = race.entries()[name], pictures(70)
    drawn = []
    randint = torch.randint

    def counted(high, size, **options):
        drawn.append((high, *size))
        return randint(high, size, **options)

    torch.manual_seed(3)
    contender = entry.build(images, 3)
    before = copy.deepcopy((contender.generator.state_dict(), contender.discriminator.state_dict()))
    monkeypatch.setattr(torch, "randint", counted)
    contender.step()
    monkeypatch.undo()
    assert all(high == 70 for high, _ in drawn)
    assert sum(count for _, count in drawn) == entry.pictures
    for network, old in zip((contender.generator, contender.discriminator), before, strict=True):
        for key, value in network.named_parameters():
            if key.endswith("weight"):  # a bias before a batch norm has no gradient
                assert not torch.equal(value, old[key]), f"{key} did not move"
    state = torch.get_rng_state()
    own = contender.random.get_state()
    first, again = race.draw_samples(contender, 6), race.draw_samples(contender, 6)
    assert first.shape == (6, 28, 28) and first.dtype == np.uint8 and (first == again).all()
    assert (first[0] != first[1]).any()
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(contender.random.get_state(), own)
    assert contender.generator.training, "sampling leaves the generator as it was"


def test_the_seed_decides_the_weights(clock):
    class Judge:
        def distance(self, images):
            clock.now = 0.0
            return 0.0

    firsts = {}

    def build(images, seed):
        walker = Walker(clock, 1.0)
        firsts.setdefault(seed, []).append(torch.rand(1).item())
        return walker

    for _ in range(2):
        runs = [race.Turn("w", seed, (1,)) for seed in (0, 1)]
        list(race.race(runs, {"w": race.Entry(build, 1)}, pictures(10), Judge()))
    assert firsts[0][0] == firsts[0][1] != firsts[1][0] == firsts[1][1]


def gradients(loss: torch.Tensor, network: nn.Module) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters()), retain_graph=True))


def adam_step(network: nn.Module, gradients: list[torch.Tensor], state: dict, count: int) -> None:
    """Adam as its paper writes it (arXiv 1412.6980, algorithm 1)."""
    for i, (p, g) in enumerate(zip(network.parameters(), gradients, strict=True)):
        m, v = state.get(i, (torch.zeros_like(p), torch.zeros_like(p)))
        m, v = 0.5 * m + 0.5 * g, 0.999 * v + 0.001 * g**2
        state[i] = m, v
        with torch.no_grad():
            p -= 2e-4 * (m / (1 - 0.5**count)) / ((v / (1 - 0.999**count)).sqrt() + 1e-8)


def assert_learned_from(network: nn.Module, expected: list[torch.Tensor]) -> None:
    """That the last step of ``network`` followed these gradients. (Adam would blow rounding up to whole steps.)"""
    size = max(g.abs().max().item() for g in expected)
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=2e-3 * size)


def test_a_step_of_the_dcgan_by_hand():
    torch.manual_seed(0)
    images = pictures(70)
    dcgan = peers.PlainDCGAN(images, seed=4)
    generator, discriminator = copy.deepcopy((dcgan.generator, dcgan.discriminator))
    dcgan.step()
    random = torch.Generator().manual_seed(4)
    real = images[torch.randint(70, (64,), generator=random)]
    fake = generator(torch.randn(64, 100, generator=random))
    ones, zeros, cross_entropy = torch.ones(64), torch.zeros(64), F.binary_cross_entropy_with_logits
    loss = cross_entropy(discriminator(real), ones) + cross_entropy(discriminator(fake.detach()), zeros)
    assert_learned_from(dcgan.discriminator, found := gradients(loss, discriminator))
    adam_step(discriminator, found, {}, 1)
    assert_learned_from(dcgan.generator, gradients(cross_entropy(discriminator(fake), ones), generator))


def test_a_step_of_the_wgan_by_hand():
    """Five critic steps with the penalty of weight 10 as the paper's algorithm 1 has it, then one of the generator."""
    torch.manual_seed(0)
    images = pictures(70)
    wgan = peers.WassersteinMLP(images, seed=4)
    generator, critic = copy.deepcopy((wgan.generator, wgan.discriminator))
    wgan.step()
    random, state = torch.Generator().manual_seed(4), {}
    for count in range(1, 6):
        real = images[torch.randint(70, (64,), generator=random)]
        fake = generator(torch.randn(64, 100, generator=random)).detach()
        share = torch.rand(64, 1, 1, 1, generator=random)
        mixed = (share * fake + (1 - share) * real).requires_grad_()
        (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        penalty = ((slope.square().sum(dim=(1, 2, 3)).sqrt() - 1) ** 2).mean()
        # the last bias has no part in the loss: it shifts real and fake scores alike, up to rounding
        found = gradients(critic(fake).mean() - critic(real).mean() + 10 * penalty, critic)
        if count < 5:
            adam_step(critic, found, state, count)
    assert_learned_from(wgan.discriminator, found)
    adam_step(critic, found, state, 5)
    noise = torch.randn(64, 100, generator=random)
    assert_learned_from(wgan.generator, gradients(-critic(generator(noise)).mean(), generator))


def test_the_gradient_penalty_is_in_use(monkeypatch):
    calls = []

    def penalty(critic, real, fake, random):
        calls.append((tuple(real.shape), tuple(fake.shape), fake.requires_grad))
        return 0 * critic(real).sum()

    monkeypatch.setattr(peers, "gradient_penalty", penalty)
    peers.WassersteinMLP(pictures(70)).step()
    assert calls == [((64, 1, 28, 28), (64, 1, 28, 28), False)] * 5
