"""Checkpoints: bit-exact after a kill, never half written, and a sentence for every file that won't do."""

import errno
import os
import random
import re
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import save_file
from states import bound_by_permissions, sentence
from torch import nn

from gan_course import networks
from gan_course.checkpoints import load_checkpoint, save_checkpoint
from gan_course.training import LOG_EVERY, Settings, Trainer

# Also run in the process that is killed. Dropout draws from PyTorch's global generator, batch norm keeps buffers.
BUILD = """
import torch
from torch import nn
from gan_course.networks import MLPGenerator
from gan_course.training import Settings, Trainer

def build(seed=0):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    images = torch.rand(50, 1, 4, 4, generator=torch.Generator().manual_seed(9)) * 2 - 1
    discriminator = nn.Sequential(
        nn.Flatten(), nn.Linear(16, 12), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(12, 1), nn.Flatten(0)
    )
    settings = Settings(batch_size=8, discriminator_steps=2, r1_every=3, beta1=0.5)
    return Trainer(MLPGenerator(5, 16, (1, 4, 4)), discriminator, images, settings, seed)
"""
space: dict = {}
exec(BUILD, space)
build = space["build"]


def everything(trainer):
    """All that a run depends on or has produced, by name, copied."""
    state = {f"random {i}": r for i, r in enumerate((trainer.random.get_state(), torch.get_rng_state()))}
    for part in ("generator", "discriminator", "average"):
        state |= {f"{part}.{name}": value.clone() for name, value in getattr(trainer, part).state_dict().items()}
        optimizer = getattr(trainer, f"{part}_optimizer", None)
        for i, moments in (optimizer.state_dict()["state"] if optimizer else {}).items():
            state |= {f"{part}_optimizer.{i}.{name}": value.clone() for name, value in moments.items()}
    return state, {name: list(column) for name, column in trainer.log.items()}, trainer.steps


def assert_equal(first, second):
    assert first[1:] == second[1:]
    assert first[0].keys() == second[0].keys()
    assert [name for name, value in first[0].items() if not torch.equal(value, second[0][name])] == []


# ---------------------------------------------------------------------------------------------- resuming


def test_everything_that_matters_is_compared():
    """Guards the tests below: the comparison sees batch norm, the averages, both Adams' moments and both generators."""
    state, log, steps = everything(trained(3))
    assert steps == 3 and log["step"] == [3]
    for part in ("generator.layers.1.running_var", "average.layers.0.weight", "average.layers.1.running_mean"):
        assert part in state
    assert sum(name.startswith("generator_optimizer.") for name in state) == 6 * 3  # step and two moments each
    assert sum(name.startswith("discriminator_optimizer.") for name in state) == 4 * 3
    with pytest.raises(AssertionError):
        assert_equal(everything(trained(3)), everything(trained(4)))


def trained(steps, seed=0):
    trainer = build(seed)
    trainer.run(steps)
    return trainer


@pytest.mark.parametrize("first", [0, 7, 16])
def test_resuming_is_bit_exact(tmp_path, first):
    path = tmp_path / "run.ckpt"
    trained(first).save(path)
    trainer = trained(5, seed=3)  # what it has learned and drawn so far must be gone
    trainer.resume(path)
    trainer.run(40 - first)
    got, whole = everything(trainer), trained(first)
    whole.run(40 - first)
    assert_equal(got, everything(whole))


def test_saving_changes_nothing(tmp_path):
    trainer = build()
    trainer.run(30, checkpoint=tmp_path / "run.ckpt", checkpoint_every=4)
    got = everything(trainer)
    assert_equal(got, everything(trained(30)))
    assert os.listdir(tmp_path) == ["run.ckpt"]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_resuming_after_kill_9_is_bit_exact(tmp_path):
    path = tmp_path / "folder" / "run.ckpt"
    run = "run(10**6, watch=lambda: time.sleep(0.02), checkpoint=sys.argv[1], checkpoint_every=7)"
    script = f"import sys, time\n{BUILD}\nbuild().{run}"
    process = subprocess.Popen([sys.executable, "-c", script, str(path)])
    try:
        deadline = time.monotonic() + 120
        while not path.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.2)  # somewhere in the middle of a step, or of writing a later checkpoint
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -9

    trainer = build(seed=3)
    trainer.resume(path)
    reached = trainer.steps
    assert reached >= 7 and reached % 7 == 0
    end = (reached // 10 + 3) * 10
    trainer.run(end - reached, checkpoint=path)
    got = everything(trainer)
    assert_equal(got, everything(trained(end)))


def test_a_resumed_trainer_does_not_hold_the_file(tmp_path):
    """Windows can't replace a file that is mapped into memory; on Linux the mapping can be seen."""
    path = tmp_path / "run.ckpt"
    trained(3).save(path)
    trainer = build()
    trainer.resume(path)
    if os.path.exists("/proc/self/maps"):
        with open("/proc/self/maps", encoding="utf-8") as maps:
            assert str(path) not in maps.read()
    before = everything(trainer)
    path.write_bytes(b"\0" * path.stat().st_size)
    assert_equal(everything(trainer), before)
    trainer.run(2, checkpoint=path)


def test_round_trip_of_tensors_and_notes(tmp_path):
    grid = torch.arange(6.0).reshape(2, 3)
    tensors = {"a": grid.T, "b": torch.tensor(3), "c": grid[0].requires_grad_(), "d": grid, "e": torch.zeros(0)}
    save_checkpoint(tmp_path / "x.ckpt", tensors, {"steps": 3, "text": "ü"})
    found, notes = load_checkpoint(str(tmp_path / "x.ckpt"))
    assert notes == {"steps": 3, "text": "ü"}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) and found[name].dtype == tensors[name].dtype for name in found)


# ---------------------------------------------------------------------------------------------- failing to write

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [FULL, KeyboardInterrupt()], ids=["disk full", "interrupt"])
def test_a_failed_save_leaves_the_old_checkpoint(tmp_path, monkeypatch, step, failure):
    path = tmp_path / "run.ckpt"
    trainer = trained(4)
    trainer.save(path)
    kept = path.read_bytes()
    trainer.run(3)

    def fail(*arguments):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(type(failure)) as caught:
            trainer.save(path)
    if failure is FULL:
        assert sentence(caught) == f"can't write {path}: the disk is full; free some space and try again"
    assert path.read_bytes() == kept
    assert os.listdir(tmp_path) == ["run.ckpt"]  # no .part is left behind
    trainer.save(path)
    assert load_checkpoint(path)[1]["steps"] == 7


def test_the_new_bytes_are_whole_before_they_get_the_name(tmp_path, monkeypatch):
    path, replace, sizes = tmp_path / "run.ckpt", os.replace, []

    def spy(source, target):
        sizes.append(os.path.getsize(source))
        assert load_checkpoint(source)[1]["steps"] == 4
        assert not path.exists()
        replace(source, target)

    monkeypatch.setattr(os, "replace", spy)
    trained(4).save(path)
    assert sizes == [path.stat().st_size]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    trainer = build()
    with pytest.raises(OSError, match=r"^can't write .*run.ckpt .*: choose another folder, one that you may write to$"):
        trainer.run(10, checkpoint=tmp_path / "file" / "run.ckpt")
    assert trainer.steps == 0  # not after an hour
    with pytest.raises(OSError, match=r"^can't write .*run.ckpt .*: choose another folder, one that you may write to$"):
        trainer.save(tmp_path / "file" / "run.ckpt")
    trainer.save(tmp_path / "run.ckpt")

    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"^can't write .*folder .*: choose another place: this one is a folder$"):
        trainer.save(tmp_path / "folder")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "run.ckpt"]


def test_a_read_only_folder(open_folder):
    trainer = build()
    with bound_by_permissions(), pytest.raises(OSError, match=r"^can't write .*choose another folder, one that"):
        trainer.run(10, checkpoint=open_folder / "run.ckpt")
    assert trainer.steps == 0, "before the first step, not after an hour"


def test_two_runs_on_one_checkpoint(tmp_path):
    """The second is told, before its first step; afterwards the file is free, and nothing is left beside it."""
    path, second = tmp_path / "run.ckpt", build(seed=3)

    def meanwhile():
        with pytest.raises(OSError) as caught:
            second.run(10, checkpoint=path)
        assert sentence(caught).startswith(f"another process (number {os.getpid()}) is writing {path}: wait until")
        second.run(0, checkpoint=tmp_path / "other.ckpt")

    first = build()
    first.run(LOG_EVERY, watch=meanwhile, checkpoint=path)
    assert second.steps == 0 and load_checkpoint(path)[1]["steps"] == LOG_EVERY
    second.resume(path)
    second.run(1, checkpoint=path)
    assert second.steps == LOG_EVERY + 1 and os.listdir(tmp_path) == ["run.ckpt"]


def test_missing_folders_are_made(tmp_path):
    trained(1).save(tmp_path / "a" / "b" / "run.ckpt")
    assert (tmp_path / "a" / "b" / "run.ckpt").is_file()


# ---------------------------------------------------------------------------------------------- failing to read


def spoiled(path, kind):
    """Write a file of this kind to ``path``."""
    trained(2).save(path)
    whole = path.read_bytes()
    match kind:
        case "truncated":
            path.write_bytes(whole[:-100])
        case "truncated in its header":
            path.write_bytes(whole[:50])
        case "empty":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(bytes(range(256)) * 20)
        case "text":
            path.write_text("step,loss\n1,0.69\n", encoding="utf-8")
        case "pickle":
            torch.save({"model": torch.zeros(3)}, path)
        case "without notes":
            save_file({"weight": torch.zeros(3)}, path)
        case "with other notes":
            save_file({"weight": torch.zeros(3)}, path, metadata={"notes": "not JSON"})


def test_no_flipped_bit_is_silent(tmp_path):
    """Wherever it is: in a weight, in a name, in the notes, in the SHA-256 itself."""
    path = tmp_path / "run.ckpt"
    trained(2).save(path)
    whole, trainer = path.read_bytes(), trained(3)
    header = 8 + int.from_bytes(whole[:8], "little")
    draw, before = random.Random(0), everything(trainer)
    bits = [draw.randrange(8 * len(whole)) for _ in range(100)] + [draw.randrange(8 * header) for _ in range(100)]
    for bit in bits:
        hurt = bytearray(whole)
        hurt[bit // 8] ^= 1 << bit % 8
        path.write_bytes(hurt)
        with pytest.raises(ValueError, match="it is damaged or no checkpoint of this course"):
            trainer.resume(path)
    assert_equal(everything(trainer), before)
    path.write_bytes(whole)
    trainer.resume(path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(open_folder):
    path, trainer = open_folder / "run.ckpt", build()
    trained(2).save(path)
    path.chmod(0)
    with bound_by_permissions(), pytest.raises(PermissionError) as caught:
        trainer.resume(path)
    said = sentence(caught)
    assert said.startswith(f"the checkpoint {path} may not be read (Permission denied): give yourself the right")
    assert "delete" not in said and "damaged" not in said
    path.chmod(0o600)
    trainer.resume(path)


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices as POSIX has them")
@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a device"])
def test_what_is_no_file(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)  # nobody waits for what comes out of it
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match=f"^the checkpoint .* is no file but .*{kind[2:]}.*: correct the path$") as caught:
        build().resume(path)
    assert not isinstance(caught.value, FileNotFoundError)


KINDS = [
    "truncated", "truncated in its header", "empty", "garbage", "text", "pickle", "without notes", "with other notes"
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_unreadable_checkpoint(tmp_path, kind):
    path = tmp_path / "run.ckpt"
    spoiled(path, kind)
    trainer = trained(3)
    before = everything(trainer)
    with pytest.raises(ValueError) as caught:
        trainer.resume(path)
    text = sentence(caught)
    assert text.startswith(f"the checkpoint {path} can't be read (") and "; move it away and train again" in text
    assert_equal(everything(trainer), before)


@pytest.mark.parametrize("name", ["missing.ckpt", "no/such/folder.ckpt"])
def test_a_missing_checkpoint(tmp_path, name):
    with pytest.raises(FileNotFoundError) as caught:
        build().resume(tmp_path / name)
    text = sentence(caught)
    assert text.startswith(f"there is no checkpoint at {tmp_path / name}:") and "correct the path" in text


def picture_pair(hidden=16, layers=1, shape=(1, 4, 4)):
    discriminator = networks.MLPDiscriminator(shape, hidden)
    for _ in range(layers - 1):
        discriminator.layers.append(nn.Linear(1, 1))
    images = torch.zeros(20, *shape)
    return Trainer(networks.MLPGenerator(5, hidden, shape), discriminator, images, Settings(batch_size=8))


@pytest.mark.parametrize(
    "there, here, words",
    [
        ({}, {"hidden": 9}, r"generator\.layers\.0\.weight has shape \[16, 5\] there and has shape \[9, 5\] here"),
        (
            {"shape": (1, 3, 3)},
            {},
            r"generator\.layers\.3\.weight has shape \[9, 16\] there and has shape \[16, 16\] here",
        ),
        ({}, {"layers": 2}, r"discriminator\.layers\.4\.weight is absent there and has shape \[1, 1\] here"),
        ({"layers": 2}, {}, r"discriminator\.layers\.4\.(weight|bias) has shape \[1(, 1)?\] there and is absent here"),
    ],
)
def test_the_checkpoint_of_another_network(tmp_path, there, here, words):
    path = tmp_path / "run.ckpt"
    other = picture_pair(**there)
    other.run(2)
    other.save(path)
    trainer = picture_pair(**here)
    trainer.run(3)
    before = everything(trainer)
    with pytest.raises(ValueError) as caught:
        trainer.resume(path)
    text = sentence(caught)
    assert text.startswith(f"the checkpoint {path} can't be resumed: it is of another network: ")
    assert re.search(words, text)
    assert_equal(everything(trainer), before)
    trainer.run(2)


# ---------------------------------------------------------------------------------------------- refusing to resume

W = "generator.layers.0.weight"
M = "generator_optimizer.layers.0.weight/exp_avg"


def without(*names):
    return lambda tensors, notes: [tensors.pop(name) for name in names] and None


def put(name, change):
    return lambda tensors, notes: tensors.update({name: change(tensors.get(name))})


def note(name, value):
    return lambda tensors, notes: notes.update({name: value})


def setting(**values):
    return lambda tensors, notes: notes["settings"].update(values)


def memory_gone(tensors, notes):
    for name in [name for name in tensors if name.startswith("discriminator_optimizer.")]:
        del tensors[name]


REFUSED = {
    "no weight": (without(W), "another network: generator.layers.0.weight is absent there"),
    "no average": (without("average.layers.0.weight"), "average.layers.0.weight is absent there"),
    "no batch norm": (without("generator.layers.1.running_var"), "running_var is absent there"),
    "one weight more": (put("discriminator.more", lambda _: torch.zeros(2)), r"more has shape \[2\] there and is"),
    "a stranger": (put("surprise", lambda _: torch.zeros(2)), "surprise has shape"),
    "a weight's shape": (put(W, lambda w: w.T), r"has shape \[5, 16\] there and has shape \[16, 5\] here"),
    "a weight's dtype": (put(W, lambda w: w.double()), "is torch.float64 there and torch.float32 here"),
    "no moment": (without(M), "optimiser's entry layers.0.weight/exp_avg is missing"),
    "no step of Adam": (without(M.replace("exp_avg", "step")), "optimiser's entry layers.0.weight/step is missing"),
    "a moment's shape": (put(M, lambda m: m.T), r"layers.0.weight/exp_avg has shape \[5, 16\] instead of \[16, 5\]"),
    "a moment's number": (put(M, lambda m: m.sum()), r"layers.0.weight/exp_avg has shape \[\] instead of"),
    "a foreign moment": (put("generator_optimizer.no/exp_avg", lambda _: torch.zeros(2)), "belongs to no weight"),
    "no moments": (memory_gone, "memory of the discriminator's optimiser is missing"),
    "no random state": (without("random"), "its random, the state of a random generator, is missing"),
    "no torch_random": (without("torch_random"), "its torch_random, the state of a random generator, is missing"),
    "half a state": (put("random", lambda r: r[:-1]), r"its random is no state .* of shape \[\d+\]"),
    "a state of floats": (put("torch_random", lambda r: r.float()), "its torch_random is no state .* torch.float32"),
    "a state of zeros": (put("torch_random", torch.zeros_like), "its torch_random is no state"),
    "no column": (without("log.d_loss"), "its log holds .*: pass held_out images to both"),
    "a column more": (put("log.held_out_logit", lambda _: torch.zeros(1)), "its log holds d_loss, .*held_out_logit"),
    "a longer column": (put("log.d_loss", lambda c: c.repeat(2)), r"equally long .*'d_loss': 'torch.float64 \[2\]'"),
    "a column of whole numbers": (put("log.step", lambda c: c.long()), "equally long lists of numbers"),
    "a column in the plane": (put("log.step", lambda c: c[None]), "equally long lists of numbers"),
    "no steps": (lambda tensors, notes: notes.pop("steps") and None, "whole number from 0 up but is None"),
    "steps below 0": (note("steps", -1), "its steps must be a whole number from 0 up but is -1"),
    "half a step": (note("steps", 2.5), "its steps must be a whole number from 0 up but is 2.5"),
    "steps in words": (note("steps", "3"), "its steps must be a whole number from 0 up but is '3'"),
    "true steps": (note("steps", True), "its steps must be a whole number from 0 up but is True"),
    "notes in a list": (lambda tensors, notes: [3, {}], "its notes are no table of names and values but"),
    "no settings": (lambda tensors, notes: notes.pop("settings") and None, "its settings are no table"),
    "another loss": (setting(loss="hinge"), "with loss 'hinge', not with loss 'non_saturating'; .*new_settings=True"),
    "another rate": (setting(generator_lr=0.5), "made with generator_lr 0.5, not with generator_lr 0.002"),
    "two settings": (setting(batch_size=9, beta1=0.1), "beta1 0.1, batch_size 9, not with beta1 0.5, batch_size 8"),
    "an unknown setting": (setting(luck=7), "made with luck 7, not with luck None"),
    "other pictures": (setting(images="[9, 1, 4, 4] 0123"), r"images '\[9, 1, 4, 4\] 0123', not with images '\[50"),
    "an augmentation": (setting(augment=True), "made with augment True, not with augment False"),
    "a moment's dtype": (put(M, lambda m: m.double()), "exp_avg is torch.float64 instead of torch.float32"),
    "whole steps of Adam": (put(M.replace("exp_avg", "step"), lambda s: s.long()), "step is torch.int64 instead of"),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refused_resume_changes_nothing(tmp_path, reason):
    spoil, words = REFUSED[reason]
    path = tmp_path / "run.ckpt"
    trained(4).save(path)
    tensors, notes = load_checkpoint(path)
    changed = spoil(tensors, notes)
    save_checkpoint(path, tensors, notes if changed is None else changed)
    trainer = trained(3, seed=1)
    before = everything(trainer)
    with pytest.raises(ValueError, match=words) as caught:
        trainer.resume(path)
    assert sentence(caught).startswith(f"the checkpoint {path} can't be resumed: ")
    assert_equal(everything(trainer), before)
    trainer.run(2)


@pytest.mark.parametrize(
    "held_out", [(False, True), (True, False)], ids=["by one who logs more", "by one who logs less"]
)
def test_held_out_pictures_in_one_run_alone(tmp_path, held_out):
    def trainer(also):
        pair = networks.MLPGenerator(5, 16, (1, 4, 4)), networks.MLPDiscriminator((1, 4, 4), 16)
        images = torch.zeros(20, 1, 4, 4)
        made = Trainer(*pair, images, Settings(batch_size=8), held_out=images if also else None)
        made.run(3)
        return made

    there, here = map(trainer, held_out)
    there.save(tmp_path / "run.ckpt")
    before = everything(here)
    with pytest.raises(ValueError, match=r"its log holds .*, this trainer's .*: pass held_out images to both"):
        here.resume(tmp_path / "run.ckpt")
    assert_equal(everything(here), before)


def test_new_settings_when_asked_for(tmp_path):
    path = tmp_path / "run.ckpt"
    trained(4).save(path)
    tensors, notes = load_checkpoint(path)
    notes["settings"]["generator_lr"] = 0.5
    save_checkpoint(path, tensors, notes)
    trainer = trained(3, seed=1)
    trainer.resume(path, new_settings=True)
    assert_equal(everything(trainer), everything(trained(4)))
    assert trainer.settings.generator_lr == trainer.generator_optimizer.param_groups[0]["lr"] == 0.002


class Pair(nn.Module):
    """Two layers of one shape, defined in either order, and one that is never used."""

    def __init__(self, names):
        super().__init__()
        for name in names:
            setattr(self, name, nn.Linear(16, 16))
        self.last, self.unused = nn.Linear(16, 1), nn.Linear(3, 3)

    def forward(self, images):
        return self.last(self.second(self.first(images.flatten(1)).relu())).squeeze(1)


def test_layers_in_another_order_get_their_own_moments_back(tmp_path):
    """By their place in the list, the two would be mistaken for each other."""
    images = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def trainer(*names):
        torch.manual_seed(3)
        pair = networks.MLPGenerator(5, 16, (1, 4, 4)), Pair(names)
        return Trainer(*pair, images, Settings(batch_size=8))

    path = tmp_path / "run.ckpt"
    straight, turned = trainer("first", "second"), trainer("second", "first")
    straight.run(3)
    straight.save(path)
    turned.resume(path)
    straight.run(5)
    turned.run(5)
    theirs = turned.discriminator.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in straight.discriminator.state_dict().items())
