"""``make bench``: that it measures what it says. The figures themselves are the business of ``make bench``."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from bench import processes, speed, table
from bench.__main__ import main
from gan_course import data, plots
from gan_course.training import Settings, Trainer

ROOT = Path(__file__).parents[1]


def test_the_step_by_hand_trains_the_same_weights():
    images = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(3)) * 2 - 1
    settings = Settings(batch_size=8)
    trainer = Trainer(*speed.pair(), images, settings, seed=5)
    generator, discriminator = speed.pair()
    step, average = speed.step_by_hand(generator, discriminator, images, settings, seed=5)
    for _ in range(2 * settings.r1_every + 1):  # three penalties among them
        trainer.step()
        step()
    ours = (trainer.generator, trainer.discriminator, trainer.average)
    for mine, theirs, start in zip(
        ours, (generator, discriminator, average), (*speed.pair(), speed.pair()[0]), strict=True
    ):
        measured = [name for name, _ in mine.named_buffers()] if mine is trainer.average else []  # its batch norms
        for name, value in mine.state_dict().items():
            if name not in measured:
                torch.testing.assert_close(theirs.state_dict()[name], value, rtol=0, atol=1e-6)
        first = next(iter(start.parameters()))
        assert not torch.allclose(next(iter(mine.parameters())), first), "training moved nothing"


def test_chapter_00_defines_the_same_networks():
    cells = json.loads((ROOT / "chapters/00_start_here.ipynb").read_text(encoding="utf-8"))["cells"]
    (source,) = ("".join(c["source"]) for c in cells if "def build_networks" in "".join(c["source"]))
    namespace: dict = {"nn": nn, "torch": torch}
    exec(source, namespace)
    for theirs, ours in zip(namespace["build_networks"](), speed.chapter00_networks(), strict=True):
        assert repr(theirs) == repr(ours)
    assert namespace["build_networks"]()[0].latent_dim == speed.chapter00_networks()[0].latent_dim


def test_the_ratio_is_a_median_and_takes_turns():
    order = []
    slow = itertools.cycle([3.0, 3.0, 300.0])  # now and then another process is in the way

    def ours() -> float:
        order.append("ours")
        return next(slow)

    def other() -> float:
        order.append("other")
        return 2.0

    assert speed.median_ratio(ours, other, rounds=5) == 1.5
    assert order[:4] == ["other", "ours", "ours", "other"]


def test_recognisable_wants_nearness_and_every_digit():
    digits = data.load("digits")
    held_back = digits.images[:400]
    assert speed.recognisable(held_back, digits)
    assert not speed.recognisable(torch.rand(400, 1, 8, 8) * 2 - 1, digits), "noise is no digit"
    assert not speed.recognisable(digits.only(7).images, digits), "one digit is not ten"


def test_training_that_shows_no_digits_is_an_error():
    with pytest.raises(RuntimeError, match="no recognisable digits after 2 steps"):
        speed.first_picture(0.0, limit=2, every=2)


def test_the_pieces_give_positive_numbers():
    threads = torch.get_num_threads()
    assert speed.glyph_rate(count=30, rounds=1) > 0
    assert torch.get_num_threads() == threads
    assert speed.step_ratio(rounds=1, block=1) > 0
    assert speed.run_ratio(rounds=1, block=10) > 0
    seconds = speed.import_seconds("json", "decimal")
    assert len(seconds) == 2 and all(0 <= s < 60 for s in seconds)


def test_a_second_process_is_timed_by_its_steps_alone(monkeypatch):
    monkeypatch.setattr(processes, "seconds", lambda count, steps: 7 * count + steps / (1.5 if count > 1 else 1))
    assert processes.speed_up(steps=30) == pytest.approx(1.5)


def test_importing_the_package_loads_nothing_heavy():
    code = "import gan_course, sys; print([m for m in ('torch', 'numpy', 'matplotlib', 'sklearn') if m in sys.modules])"
    assert speed.fresh(code).strip() == "[]"


def test_a_process_that_fails_says_why():
    with pytest.raises(RuntimeError, match="ValueError: seven"):
        speed.fresh("raise ValueError('seven')")


@pytest.mark.parametrize(
    ("row", "holds"),
    [
        (table.Row("a", 1.05, most=1.05), True),
        (table.Row("a", 1.0501, most=1.05), False),
        (table.Row("a", 5000, least=5000), True),
        (table.Row("a", 4999, least=5000), False),
        (table.Row("a", float("nan"), most=1.05), False),
        (table.Row("a", 7), True),
    ],
)
def test_requirements(row, holds):
    assert row.holds is holds


def test_the_exit_code_and_the_table(monkeypatch, capsys):
    good, bad = table.Row("a thing", 1.0, most=1.05), table.Row("a rate", 12.0, digits=0, least=5000)
    monkeypatch.setattr(speed, "measure", lambda: iter([good, table.Row("for information", 2.0)]))
    assert main(["--speed-only"]) == 0
    monkeypatch.setattr(speed, "measure", lambda: iter([good, bad]))
    assert main(["--speed-only"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split() == ["a", "rate", "12", "at", "least", "5,000", "NO"]


def test_an_inner_part_is_not_counted_for_the_outer_one(monkeypatch):
    now = 0.0

    class Worker:
        def inner(self):
            nonlocal now
            now += 3.0

        def outer(self):
            nonlocal now
            now += 1.0
            self.inner()
            now += 0.5
            self.inner()

    monkeypatch.setattr(speed.time, "perf_counter", lambda: now)
    clock, worker = speed.Clock(), Worker()
    clock.watch(worker, "inner", "in")
    clock.watch(worker, "outer", "out")
    worker.outer()
    now += 100.0  # nobody is running
    worker.outer()
    assert clock.seconds == {"in": 12.0, "out": 3.0}


def test_the_parts_of_a_step_add_up_to_it(monkeypatch):
    drawn = []
    image_grid = plots.image_grid
    monkeypatch.setattr(plots, "image_grid", lambda images: drawn.append(len(images)) or image_grid(images))
    began = speed.time.perf_counter()
    found = speed.step_parts(steps=10)
    assert list(found) == ["data and noise", "discriminator", "generator", "moving average", "log and live view"]
    assert all(seconds > 0 for seconds in found.values())
    assert 10 * sum(found.values()) < speed.time.perf_counter() - began
    assert set(drawn) == {32} and len(drawn) >= 2, "the live view draws, at the end of both runs at the least"
    assert not plots.in_notebook()


def test_the_price_of_the_live_view_is_measured_in_a_kernel():
    ratio = speed.live_ratio(steps=24)  # too short a run to say how much it is
    assert 0.2 < ratio < 20


def test_the_sampling_rate_counts_whole_batches(monkeypatch):
    monkeypatch.setattr(speed, "timed", lambda batches, step: (step(), batches * 0.25)[1])
    threads = torch.get_num_threads()
    assert speed.sampling_rate(1, batches=2, rounds=1) == pytest.approx(500 / 0.25)
    assert torch.get_num_threads() == threads


def test_the_recipe_s_rows_say_shares_that_add_up(monkeypatch):
    monkeypatch.setattr(speed, "step_parts", lambda: {"data": 0.001, "discriminator": 0.003})
    monkeypatch.setattr(speed, "sampling_rate", lambda threads: 1000.0 * threads)
    rows = [(row.what, row.value) for row in speed.recipe_rows(2)]
    assert rows == [
        ("recipe, ms a step: data (25%)", pytest.approx(1.0)),
        ("recipe, ms a step: discriminator (75%)", pytest.approx(3.0)),
        ("recipe, ms a step: all", pytest.approx(4.0)),
        ("recipe, samples a second, 1 thread", 1000.0),
        ("recipe, samples a second, 2 threads", 2000.0),
    ]
    assert len(list(speed.recipe_rows(1))) == 4, "one thread is all threads"
