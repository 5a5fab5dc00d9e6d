"""GAN Lab without a browser: the engine, its measures, and what the presets and patients promise."""

import math
from dataclasses import replace
from itertools import pairwise
from statistics import median, stdev
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from gan_course import training
from gan_course.diagnosis import diagnose
from gan_course.widgets import lab, presets
from gan_course.widgets.lab import Knobs, Lab
from gan_course.widgets.presets import CAUSES, PATIENTS, PRESETS


def weights(game):
    return torch.cat([p.detach().flatten() for p in game.parameters()])


# ------------------------------------------------------------------------------------------ promises


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_ends_in_what_it_promises(name, seed):
    preset = PRESETS[name]
    played = Lab(replace(preset.knobs, seed=seed))
    played.step(preset.steps)
    assert preset.kept(played), (
        f"{presets.heaps_reached(played)} heaps, log { ({k: v[-1] for k, v in played.log.items()}) }"
    )
    others = [other.kept(played) for key, other in PRESETS.items() if key != name]
    if name == "converges":
        assert not any(others)  # the promises of failures are not kept by a healthy game
    else:
        assert not presets.converged(played)


class Signs(NamedTuple):
    """What a student can see of a game."""

    heaps: float
    width: float  # of the cloud of generated points
    swing: float  # of the lead of the real logits, over the last 400 steps
    leap: float  # how far a generated point goes in one step: the median over ten steps

    @classmethod
    def of(cls, lab):
        heaps, width = presets.heaps_reached(lab), lab.points().std(dim=0).mean().item()
        swing, leaps = stdev(presets.lead(lab)[-40:]), []
        for _ in range(10):
            before = lab.points()
            lab.step()
            leaps.append((lab.points() - before).norm(dim=1).mean().item())
        return cls(heaps, width, swing, median(leaps))


SYMPTOMS = {  # limits halfway between what five seeds of each patient showed
    "A": lambda s: s.heaps <= 3 and s.width < 0.3 and s.swing < 0.35 and 0.02 < s.leap < 0.4,  # a clump that hops
    "B": lambda s: s.heaps <= 4 and 0.35 < s.swing < 4 and s.leap < 0.4,  # all swings
    "C": lambda s: s.heaps == 0 and s.leap < 0.001,  # nothing moves
    "D": lambda s: s.heaps <= 4 and s.leap > 0.4,  # leaps
    "E": lambda s: s.heaps <= 5 and s.width > 0.3 and s.swing < 0.35 and s.leap < 0.4,  # a calm sheet
}


@pytest.mark.parametrize("name", PATIENTS)
def test_every_patient_is_sick_in_its_own_way_and_its_cure_heals_while_the_game_goes_on(name):
    patient = PATIENTS[name]
    played = Lab(patient.knobs)
    played.step(patient.steps)
    assert not presets.healthy(played) and patient.cause in CAUSES
    signs = Signs.of(played)
    assert [other for other, has in SYMPTOMS.items() if has(signs)] == [name], signs
    played.change(**patient.cure)
    played.step(patient.healing)
    assert presets.healthy(played)
    assert diagnose({key: list(column) for key, column in played.log.items()}).verdict  # the log is one it can read


def test_presets_and_patients_only_use_values_that_the_controls_offer():
    from gan_course.widgets.lab_view import LabView

    offered = {
        name: [option[-1] if isinstance(option, tuple) else option for option in widget.options]
        for name, widget in LabView().knobs.items()
        if hasattr(widget, "options")
    }
    for knobs in [case.knobs for case in (*PRESETS.values(), *PATIENTS.values())]:
        for name, values in offered.items():
            value = (knobs.prior, knobs.prior_dim) if name == "prior" else getattr(knobs, name)
            assert value in values, (name, value)


# ------------------------------------------------------------------------------------------ play


def test_half_steps_move_one_player_at_a_time():
    game = Lab(Knobs(discriminator_steps=2)).game
    played = Lab(Knobs(discriminator_steps=2))
    moved = []
    for _ in range(6):
        before = weights(played.game.discriminator), weights(played.game.generator)
        turn = played.turn
        assert played.half_step() == turn
        after = weights(played.game.discriminator), weights(played.game.generator)
        moved.append((turn, *(not torch.equal(a, b) for a, b in zip(before, after, strict=True))))
    discriminator, generator = ("discriminator", True, False), ("generator", False, True)
    assert moved == [discriminator, discriminator, generator] * 2
    assert played.steps == 2
    for _ in range(2):
        game.step()
    assert torch.equal(weights(game.generator), weights(played.game.generator))  # a step is its half-steps


def test_a_step_finishes_a_half_played_one():
    played = Lab()
    played.half_step()
    played.step()
    assert (played.steps, played.turn) == (1, "discriminator")


def test_it_is_the_courses_trainer_that_plays():
    """The same steps by hand through `training.Trainer` give the same weights."""
    played = Lab(Knobs(r1_weight=0.3, seed=3))
    twin = Lab(Knobs(r1_weight=0.3, seed=3)).game
    trainer = training.Trainer(
        twin.generator, twin.discriminator, played.real, training.Settings(r1_weight=0.3), seed=3
    )
    trainer.noise(lab.WATCHED)  # the lab draws the noise that it watches first
    played.step(20)
    for _ in range(20):
        trainer.step()
    assert torch.equal(weights(played.game.generator), weights(trainer.generator))


def test_the_same_seed_plays_the_same_game_and_another_seed_another():
    ends = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(ends))  # the global seed has no say
        played = Lab(Knobs(seed=seed))
        played.step(5)
        ends.append(played.points())
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_it_leaves_the_global_random_numbers_alone():
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    Lab(Knobs(target="spiral")).step(3)
    assert torch.equal(torch.rand(3), wanted)


def test_first_weights_are_spread_as_pytorch_spreads_them():
    from gan_course import networks

    made = lab.build(lambda: networks.PointGenerator(2, 512), torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    for ours, theirs in zip(made.parameters(), networks.PointGenerator(2, 512).parameters(), strict=True):
        assert ours.shape == theirs.shape and ours.device.type == "cpu"
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.15) or ours.numel() < 50


@pytest.mark.parametrize("target", lab.TARGETS)
@pytest.mark.parametrize("prior, dim", [("normal", 1), ("uniform", 2)])
def test_every_target_and_prior_plays(target, prior, dim):
    played = Lab(Knobs(target=target, prior=prior, prior_dim=dim))
    played.step(12)
    assert played.steps == 12 and played.finite
    assert played.watched.shape == (lab.WATCHED, dim)
    if prior == "uniform":
        assert played.watched.abs().max() <= 1 and played.watched.std() == pytest.approx(3**-0.5, abs=0.03)
    assert played.real.shape == (lab.POINTS, 2) and played.real.abs().max() < 2
    assert 0 <= played.now.coverage <= 1


@pytest.mark.parametrize("loss", lab.LOSSES)
def test_every_loss_plays(loss):
    played = Lab(Knobs(loss=loss))
    played.step(3)
    assert played.finite


# ------------------------------------------------------------------------------------------ change


def test_live_knobs_change_the_running_game_and_structural_ones_start_anew():
    played = Lab()
    played.step(10)
    assert not played.change(
        loss="hinge", generator_lr=1e-3, discriminator_lr=5e-4, discriminator_steps=3, beta1=0.5, r1_weight=0.3
    )
    assert played.steps == 10
    game = played.game
    assert game.loss is lab.LOSSES["hinge"] and game.settings.discriminator_steps == 3
    assert game.generator_optimizer.param_groups[0]["lr"] == 1e-3
    assert game.discriminator_optimizer.param_groups[0]["lr"] == 5e-4
    assert game.discriminator_optimizer.param_groups[0]["betas"] == (0.5, 0.99)
    played.change(optimizer="plain")
    assert isinstance(game.generator_optimizer, torch.optim.SGD) and played.steps == 10
    for name, value in {"width": 16, "discriminator_width": 8, "seed": 4, "prior_dim": 1, "target": "moons"}.items():
        played.step()
        assert played.change(**{name: value}) and played.steps == 0


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"target": "cube"}, "target can't be 'cube': choose one of ring, line, spiral, moons, drawn"),
        ({"loss": "best"}, "loss can't be 'best': choose one of non_saturating"),
        ({"seed": -1}, "seed must be a whole number from 0 to 4294967295 but is -1"),
        ({"width": 1.5}, "width must be a whole number from 1 to 512 but is 1.5"),
        ({"generator_lr": math.nan}, "generator_lr must be a finite number but is nan"),
    ],
)
def test_an_impossible_knob_is_refused_and_nothing_changes(wrong, sentence):
    played = Lab()
    played.step(2)
    knobs = played.knobs
    with pytest.raises(ValueError, match=f"^{sentence}"):
        played.change(**wrong)
    assert played.knobs == knobs and played.steps == 2
    played.step()


def test_drawing_moves_the_target_and_keeps_the_players():
    played = Lab(Knobs(target="drawn"), drawing=((0.0, 0.0), (1.2, 0.0)))
    played.step(5)
    before = weights(played.game.generator)
    played.draw(((1.0, 1.0),))
    assert played.steps == 5 and torch.equal(before, weights(played.game.generator))
    assert torch.allclose(played.game.images.mean(0), torch.ones(2), atol=0.01)
    with pytest.raises(ValueError, match=r"^a target needs at least one heap: mark a cell$"):
        played.draw(())
    assert len(played.centres) == 1


# ------------------------------------------------------------------------------------------ measures


def test_jensen_shannon_against_scipy():
    random = np.random.default_rng(0)
    p, q = random.dirichlet(np.full(50, 0.2), 2)
    ours = lab.jensen_shannon(torch.tensor(p), torch.tensor(q))
    assert ours == pytest.approx(jensenshannon(p, q) ** 2, rel=1e-9)
    assert lab.jensen_shannon(torch.tensor(p), torch.tensor(p)) == 0
    apart = torch.eye(2, dtype=torch.float64)
    assert lab.jensen_shannon(*apart) == pytest.approx(math.log(2))


def test_grid_shares_count_every_point_once_and_know_up_from_right():
    points = torch.tensor([[1.59, -1.59], [-1.59, 1.59], [5.0, 0.0], [math.nan, 0.0], [0.0, -math.inf]])
    shares = lab.grid_shares(points)
    assert shares.sum() == pytest.approx(1)
    assert shares[-1] == pytest.approx(3 / 5)  # beyond the grid, or no number
    assert shares[lab.BINS - 1] == pytest.approx(1 / 5)  # the last column of the lowest row
    assert shares[(lab.BINS - 1) * lab.BINS] == pytest.approx(1 / 5)


def test_measures_of_perfect_of_collapsed_and_of_flown_points():
    played = Lab()
    perfect = played.measure(lab.heaps(played.centres)[: lab.WATCHED])
    assert perfect.heaps == 8 and perfect.coverage == 1 and perfect.divergence < 0.05
    collapsed = played.measure(played.centres[:1] + 0.05 * torch.randn(1000, 2))
    assert collapsed.heaps == 1 and collapsed.coverage == 1 / 8 and 0.4 < collapsed.divergence < math.log(2)
    flown = played.measure(torch.full((1000, 2), 50.0))
    assert flown.heaps == 0 and flown.divergence == pytest.approx(math.log(2))
    curve = Lab(Knobs(target="moons"))
    assert curve.measure(curve.real[:1000]).coverage > 0.99
    half = curve.real[curve.real[:, 0] > 0][:1000]
    assert 0.4 < curve.measure(half).coverage < 0.7 and curve.measure(half).heaps is None


def test_histories_stay_bounded_and_keep_the_whole_past():
    history = lab.History("value", size=64)
    for step in range(10_000):
        history.add(step=step, value=2.0 * step)
    assert 32 <= len(history) < 64
    steps = history["step"]
    assert steps[0] == 0 and steps[-1] > 9_000 and len({b - a for a, b in pairwise(steps)}) == 1
    assert history["value"] == [2.0 * step for step in steps]


def test_a_long_game_keeps_its_memory():
    played = Lab(Knobs(width=4, discriminator_width=4))
    played.step(1200)
    assert len(played.curves) < 512 and len(played.measures) < 512
    assert {len(column) for column in played.log.values()} == {120}
    assert all(column.maxlen == 300 for column in played.log.values())


def test_numbers_beyond_bounds_are_noticed():
    played = Lab(Knobs(loss="wasserstein", generator_lr=0.05, discriminator_lr=0.05))
    assert played.finite
    with torch.no_grad():
        next(played.game.generator.parameters()).fill_(math.nan)
    played.step(12)
    assert not played.finite and played.now.divergence == pytest.approx(math.log(2))
