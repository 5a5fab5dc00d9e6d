"""Training the networks of the zoo: repeatable, resumable, and honest about what it was given."""

import copy
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import states
import torch
import torch.nn.functional as F
from states import same

from gan_course import cli, data, recipes, zoo
from gan_course.checkpoints import load_checkpoint, save_checkpoint
from gan_course.recipes import classifiers
from gan_course.recipes import run as runs

# Also run in the process that is killed.
TINY = """
import torch
from gan_course import data, recipes
from gan_course.recipes import classifiers
torch.set_num_threads(1)

class TinyRun(classifiers.MnistClassifierRun):
    name, steps, what, pictures = "tiny", 9, "A trial.", "glyphs"

    def load(self):
        return data.load("glyphs", count=90, seed=5), data.load("glyphs", count=40, seed=6)

classifiers.TinyRun = TinyRun
recipes.RECIPES["tiny"] = "gan_course.recipes.classifiers:TinyRun"
"""
exec(TINY, {})  # once, before all tests: they go by its name
TinyRun = classifiers.TinyRun
del recipes.RECIPES["tiny"]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "tiny", "gan_course.recipes.classifiers:TinyRun")


def train(folder, **options):
    return recipes.train("tiny", folder, folder / "runs" / "tiny.safetensors", **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The card of a run that nobody disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.RECIPES, "tiny", "gan_course.recipes.classifiers:TinyRun")
        return train(tmp_path_factory.mktemp("whole"))


def told(card):
    return {key: value for key, value in card.items() if key != "cpu_seconds"}


def test_a_run_writes_weights_that_fit_their_card_and_leaves_nothing_else(tmp_path, whole):
    before = torch.get_rng_state()
    card = train(tmp_path, every=2)
    assert torch.equal(torch.get_rng_state(), before), "training must not disturb the caller's random numbers"
    assert told(card) == told(whole) == told(zoo.card("tiny", tmp_path))
    assert card["steps"] == 9 and card["recipe"] == "gan-course train tiny --seed 0"
    assert card["data"] == "glyphs: 90 pictures to train on, 40 others held out"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["runs", "tiny.json", "tiny.safetensors"]
    held_out = data.load("glyphs", count=40, seed=6)
    with torch.no_grad():
        right = zoo.load("tiny", tmp_path)(held_out.images).argmax(1) == held_out.labels
    assert card["metrics"]["held_out_accuracy"] == right.float().mean().item()


def test_seed_and_steps_matter(tmp_path, whole):
    other, short = train(tmp_path, seed=1), train(tmp_path, steps=4)
    assert len({whole["sha256"], other["sha256"], short["sha256"]}) == 3
    assert short["recipe"] == "gan-course train tiny --seed 0 --steps 4"


@pytest.mark.parametrize("reached", [0, 1, 5, 8])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, monkeypatch, whole, reached):
    step = runs.Run.step

    def interrupted(run):
        if run.done == reached:
            raise KeyboardInterrupt
        return step(run)

    with monkeypatch.context() as patch:
        patch.setattr(runs.Run, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, every=2)
    assert (tmp_path / "runs/tiny.safetensors").exists() == (reached >= 2)
    counted = []
    monkeypatch.setattr(runs.Run, "step", lambda run: (counted.append(run.done), step(run))[1])
    assert told(train(tmp_path, every=2)) == told(whole)
    assert counted == list(range(reached // 2 * 2, 9)), "it must not start anew"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, whole):
    checkpoint = tmp_path / "runs/tiny.safetensors"
    slow = "step = TinyRun.step\nTinyRun.step = lambda run: (time.sleep(0.3), step(run))[1]"
    run = f"recipes.train('tiny', pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(checkpoint)!r}), every=3)"
    script = f"import pathlib, time\n{TINY}\n{slow}\n{run}"
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not checkpoint.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -9
    assert not (tmp_path / "tiny.json").exists()
    assert told(train(tmp_path)) == told(whole)


# ---------------------------------------------------------------------------------------------- going on


def everything(run):
    """All that the next step of ``run`` depends on."""
    found = {"random": run.random.get_state()} | {"done": torch.tensor(run.done), "seconds": torch.tensor(run.seconds)}
    found |= states.weights(run)
    for name, part in run.parts.items():
        weights = dict(part.network.named_parameters())
        for key, weight in weights.items():
            moments = part.optimizer.state.get(weight, {})
            found |= {f"{name}/{key}/{what}": value.clone() for what, value in moments.items()}
    return found


class AveragedRun(TinyRun):
    """With a moving average, and a second part that has not been updated."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.second = self.add("second", lambda: torch.nn.Linear(3, 2), 1e-3, decay=0.9)


def checkpoint_of(run, steps, path):
    for _ in range(steps):
        run.step()
    run.save(path)
    return load_checkpoint(path)


WEIGHT = "classifier/network/head.2.weight"
MOMENT = "classifier/optimizer/head.2.weight/exp_avg"


def lose(tensors, notes, key):
    del tensors[key]


def replace_with(tensors, notes, key, value):
    tensors[key] = value


def note(tensors, notes, key, value):
    notes[key] = value


def claim(tensors, notes, key, value):
    notes["run"][key] = value


def forget_optimizer(tensors, notes):
    for key in [key for key in tensors if key.startswith("classifier/optimizer/")]:
        del tensors[key]


def forget_second_moments(tensors, notes):
    for key in [key for key in tensors if key.endswith("exp_avg_sq")]:
        del tensors[key]


REFUSED = {
    "another recipe": (
        claim,
        ("recipe", "mnist_classifier"),
        "it was made with recipe 'mnist_classifier', not with ",
    ),
    "another seed": (
        claim,
        ("seed", 3),
        "it was made with seed 3, not with seed 0; finish the run that",
    ),
    "other steps": (claim, ("steps", 8), "it was made with steps 8, not with steps 9"),
    "other settings": (claim, ("batch", 32), "it was made with batch 32, not with batch 64"),
    "an unknown setting": (claim, ("dropout", 0.5), "it was made with dropout 0.5, not with dropout None"),
    "no origin": (lambda tensors, notes: notes.pop("run"), (), "its settings are no table of names and values"),
    "done beyond the end": (note, ("done", 10), "it says that 10 of 9 steps are done"),
    "done below zero": (note, ("done", -1), "its done must be a whole number from 0 up but is -1"),
    "half a step": (note, ("done", 2.5), "its done must be a whole number from 0 up but is 2.5"),
    "not a number": (note, ("done", True), "its done must be a whole number from 0 up but is True"),
    "no number": (note, ("done", None), "its done must be a whole number from 0 up but is None"),
    "no seconds": (note, ("seconds", None), "it says that its steps took None seconds"),
    "endless seconds": (note, ("seconds", float("nan")), "it says that its steps took nan seconds"),
    "a missing weight": (lose, (WEIGHT,), f"{WEIGHT} is absent there and has shape [10, 64] here"),
    "a missing average": (lose, ("second/average/bias",), "second/average/bias is absent there"),
    "a foreign weight": (
        replace_with,
        ("x/network/y", torch.zeros(1)),
        "x/network/y has shape [1] there and is",
    ),
    "a foreign moment": (
        replace_with,
        ("x/optimizer/y", torch.zeros(1)),
        "x/optimizer/y has shape [1] there",
    ),
    "another shape": (replace_with, (WEIGHT, torch.zeros(9, 64)), f"{WEIGHT} has shape [9, 64] there and has shape [1"),
    "another kind": (replace_with, (WEIGHT, torch.zeros(10, 64).int()), f"{WEIGHT} is torch.int32 there and torch.fl"),
    "no random state": (lose, ("random",), "random is absent there"),
    "a random state cut": (replace_with, ("random", torch.zeros(9, dtype=torch.uint8)), "random has shape [9] there"),
    "a random state that is none": (
        replace_with,
        ("random", torch.full_like(torch.Generator().get_state(), 255)),
        "its random is no state of a random generator",
    ),
    "a missing moment": (lose, (MOMENT,), "the optimiser's entry head.2.weight/exp_avg is missing"),
    "a moment's shape": (replace_with, (MOMENT, torch.zeros(9, 64)), "the optimiser's entry head.2.weight/exp_avg has"),
    "no moments": (forget_optimizer, (), "it holds the memory of the optimisers of [] instead of ['classifier']"),
    "no second moments": (forget_second_moments, (), "exp_avg_sq is missing: build the network that the run was"),
    "moments of a part never updated": (
        replace_with,
        ("second/optimizer/bias/exp_avg", torch.zeros(2)),
        "it holds the memory of the optimisers of ['classifier', 'second'] instead of ['classifier']",
    ),
    "no notes": (lambda tensors, notes: notes.clear(), (), "its settings are no table of names and values but None"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refused_checkpoint_changes_nothing(tmp_path, reason):
    path = tmp_path / "run.safetensors"
    tensors, notes = checkpoint_of(AveragedRun(0, 9), 4, path)
    change, arguments, says = REFUSED[reason]
    run = AveragedRun(0, 9)
    run.step()
    before = everything(run)
    change(tensors, notes, *arguments)
    save_checkpoint(path, tensors, notes)
    with pytest.raises(ValueError) as caught:
        run.resume(path)
    said = str(caught.value)
    assert (
        said.startswith(f"can't go on from {path}: ")
        and says in said
        and said.endswith("; finish the run that it is of, or move it away")
    )
    assert "\n" not in said and same(everything(run), before)


def test_a_checkpoint_brings_all_back(tmp_path):
    path = tmp_path / "run.safetensors"
    first = AveragedRun(0, 9)
    checkpoint_of(first, 4, path)
    again = AveragedRun(0, 9)
    assert not same(everything(again), everything(first))
    again.resume(path)
    assert same(everything(again), everything(first)) and again.done == 4
    checkpoint_of(AveragedRun(0, 9), 0, path)
    again.resume(path)
    assert same(everything(again), everything(AveragedRun(0, 9)))


def test_a_checkpoint_names_recipe_seed_and_steps(tmp_path):
    assert recipes.checkpoint_path(tmp_path, "tiny").name == "tiny-seed0-steps9.safetensors"
    assert recipes.checkpoint_path(tmp_path, "tiny", 3, 4) == tmp_path / "tiny-seed3-steps4.safetensors"
    with pytest.raises(ValueError, match="there is no recipe 'tinny': did you mean 'tiny'"):
        recipes.checkpoint_path(tmp_path, "tinny")


def test_the_command_goes_on_from_its_own_checkpoint_alone(tmp_path, capsys, monkeypatch, whole):
    """Runs with other seeds and steps have files of their own, and stay."""
    arguments = ["train", "tiny", "--root", str(tmp_path), "--out", str(tmp_path)]
    others = [checkpoint_of(TinyRun(s, n), 1, tmp_path / f"runs/tiny-seed{s}-steps{n}.safetensors") for s, n in OTHERS]
    checkpoint_of(TinyRun(0, 9), 4, tmp_path / "runs/tiny-seed0-steps9.safetensors")
    counted, step = [], runs.Run.step
    monkeypatch.setattr(runs.Run, "step", lambda run: (counted.append(run.done), step(run))[1])
    assert cli.main(arguments) == 0 and counted == [4, 5, 6, 7, 8]
    assert zoo.card("tiny", tmp_path)["sha256"] == whole["sha256"]
    assert len(list((tmp_path / "runs").iterdir())) == len(others)


OTHERS = [(3, 9), (0, 8)]


def test_two_trainings_on_one_checkpoint(tmp_path, capsys, monkeypatch, whole):
    arguments = ["train", "tiny", "--root", str(tmp_path), "--out", str(tmp_path)]
    step, said = runs.Run.step, []

    def meanwhile(run):
        if run.done == 3 and not said:
            said.append(cli.main(arguments))
        return step(run)

    monkeypatch.setattr(runs.Run, "step", meanwhile)
    assert cli.main(arguments) == 0 and said == [2]
    words = rf"another process \(number {os.getpid()}\) is writing .*tiny-seed0-steps9.safetensors: wait until it has "
    assert len(re.findall(words, capsys.readouterr().err)) == 1
    assert zoo.card("tiny", tmp_path)["sha256"] == whole["sha256"] and os.listdir(tmp_path / "runs") == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_run_that_is_asked_to_stop_saves_its_step(tmp_path, capsys, monkeypatch, whole, name):
    arguments = ["train", "tiny", "--root", str(tmp_path), "--out", str(tmp_path)]
    step, number, before = runs.Run.step, getattr(signal, name), signal.getsignal(getattr(signal, name))

    def asked(run):
        if run.done == 3:
            os.kill(os.getpid(), number)
        return step(run)

    with monkeypatch.context() as patch:
        patch.setattr(runs.Run, "step", asked)
        assert cli.main(arguments) == 128 + number
    path = tmp_path / "runs" / "tiny-seed0-steps9.safetensors"
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"Stopped after step 4 of 9, which {path} holds: the same command goes on from there."
    assert load_checkpoint(path)[1]["done"] == 4 and signal.getsignal(number) == before
    assert os.listdir(path.parent) == [path.name]
    assert cli.main(arguments) == 0 and zoo.card("tiny", tmp_path)["sha256"] == whole["sha256"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_a_second_request_to_stop_is_not_waited_with():
    with pytest.raises(KeyboardInterrupt), runs.requests_to_stop() as heard:
        os.kill(os.getpid(), signal.SIGINT)
        assert heard == [signal.SIGINT]
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    with runs.requests_to_stop() as heard:
        os.kill(os.getpid(), signal.SIGHUP)
    signal.signal(signal.SIGHUP, ignored)
    assert not heard


def test_a_checkpoint_of_a_run_on_another_network_is_refused(tmp_path):
    """Its steps would not be those of either."""
    path, made = tmp_path / "x", []
    for seed in (0, 1):
        torch.manual_seed(seed)
        made.append(TinyRun(0, 9))
        made[-1].depend_on(teacher=torch.nn.Linear(3, 2))
    checkpoint_of(made[0], 2, path)
    here, there = made[1].given["teacher"], made[0].given["teacher"]
    before = everything(made[1])
    with pytest.raises(ValueError, match=f"it was made with teacher '{there}', not with teacher '{here}'; finish the"):
        made[1].resume(path)
    assert same(everything(made[1]), before)


def test_the_command_refuses_a_checkpoint_of_another_run(tmp_path, capsys):
    checkpoint_of(TinyRun(3, 9), 1, tmp_path / "runs/tiny-seed0-steps9.safetensors")
    assert cli.main(["train", "tiny", "--root", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert (
        "it was made with seed 3, not with seed 0; finish the run that it is of, or move it away"
        in capsys.readouterr().err
    )


# ---------------------------------------------------------------------------------------------- one step


def test_training_learns():
    both = data.load("glyphs", count=1200, seed=8, characters="017")
    known, unseen = both.split(1000)

    class ThreeDigits(classifiers.GlyphsClassifierRun):
        def load(self):
            return known, unseen

    run = ThreeDigits(0, 50, settings=classifiers.ClassifierSettings(learning_rate=0.01))
    losses = torch.stack([run.step()["loss"] for _ in range(50)])
    assert losses[-10:].mean() < 0.3 < losses[:3].mean()
    network = run.classifier.network.eval()
    with torch.no_grad():
        assert (network(unseen.images).argmax(1) == unseen.labels).float().mean() > 0.85


def test_a_step_is_adamw_on_the_batch_it_draws():
    """As written out by hand. Weight decay acts on biases and scales, too."""
    run = TinyRun(0, 9)
    network, draw = copy.deepcopy(run.classifier.network), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    for step in range(3):
        optimizer.param_groups[0]["lr"] = 3e-3 * runs.warmup_then_linear(step, 9)
        rows = torch.randint(90, (64,), generator=draw)
        images = classifiers.warp(run.known.images[rows], draw)
        optimizer.zero_grad()
        F.cross_entropy(network(images), run.known.labels[rows]).backward()
        optimizer.step()
        run.step()
    assert same(dict(run.classifier.network.state_dict()), dict(network.state_dict()))


def test_the_learning_rates_rise_and_fall():
    rates = [runs.warmup_then_linear(step, 100) for step in range(100)]
    assert max(rates) == rates[9] == 1
    assert rates[:10] == sorted(rates[:10]) and rates[9:] == sorted(rates[9:], reverse=True)
    assert 0 < rates[0] <= 0.1 and 0 < rates[-1] < 0.02
    rates = [runs.warmup_then_cosine(step, 1000) for step in range(1000)]
    assert 0 < rates[0] < 0.05 and rates[40] == rates[290] == 1 and 0 < rates[-1] < 1e-4
    assert rates[300:] == sorted(rates[300:], reverse=True)


def test_numbers_spread_evenly_are_one_in_each_part():
    spread = runs.spread_evenly(50, torch.Generator().manual_seed(0))
    assert (spread * 50).long().sort().values.tolist() == list(range(50))
    assert (spread * 50).long().tolist() != list(range(50))


def test_a_warp_bends_pictures_a_little():
    images = data.load("glyphs", count=200, seed=9).images
    warped = classifiers.warp(images, torch.Generator().manual_seed(0))
    assert warped.shape == images.shape and warped.min() >= -1 and warped.max() <= 1
    assert torch.equal(warped, classifiers.warp(images, torch.Generator().manual_seed(0)))
    assert not torch.equal(warped, classifiers.warp(images, torch.Generator().manual_seed(1)))
    ink, before = (warped + 1) / 2, (images + 1) / 2
    assert (ink.sum((1, 2, 3)) / before.sum((1, 2, 3)) - 1).abs().mean() < 0.2
    line = torch.arange(28.0)
    for weights in (line[:, None], line):
        centre, old = ((x * weights).sum((1, 2, 3)) / x.sum((1, 2, 3)) for x in (ink, before))
        assert 0.5 < (centre - old).abs().mean() and (centre - old).abs().max() < 5
    assert (ink - before).abs().mean() > 0.02


# ---------------------------------------------------------------------------------------------- the command


def test_the_command(tmp_path, capsys, whole):
    assert cli.main(["train", "tiny", "--root", str(tmp_path), "--out", str(tmp_path / "here")]) == 0
    assert zoo.card("tiny", tmp_path / "here")["sha256"] == whole["sha256"]
    said = capsys.readouterr().out
    assert said.startswith(str(tmp_path / "here" / "tiny.safetensors")) and "% right on held-out data" in said
    assert not list((tmp_path / "runs").glob("*")), "what is finished needs no checkpoint"


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["tinny", "--out", "x"], "there is no recipe 'tinny': did you mean 'tiny'? Known: glyphs_classifier"),
        (["tiny"], "there is no folder"),
        (["tiny", "--steps", "0", "--out", "x"], "can't train for 0 steps: take at least 1"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, capsys, arguments, says):
    assert cli.main(["train", *arguments, "--root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(says) and said.count("\n") == 1


# ---------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_knows_its_own_name(name):
    if name not in ("glyphs_classifier", "mnist_classifier", "attributes_classifier"):
        pytest.importorskip("diffusers")
    recipe = recipes.find(name)
    least = 300 if name.startswith(("style_", "enlarger_")) else 1000  # small networks that see each place alone
    least = {"scene_pairs": 1, "scenes_student": 800, "student_comparison": 1}.get(name, least)  # its steps are large
    assert issubclass(recipe, runs.Run) and recipe.name == name and recipe.steps >= least
    assert not recipe.__abstractmethods__, "a recipe must say what a step does and how it ends"


def in_a_fresh_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)


def test_importing_the_recipes_loads_neither_diffusers_nor_accelerate():
    """Chapter 04 imports the ablation from here."""
    code = "import sys\nfrom gan_course import recipes\nfrom gan_course.recipes import ablation\n"
    done = in_a_fresh_process(code + "print(sorted({'accelerate', 'diffusers', 'transformers'} & set(sys.modules)))")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


def test_the_classifiers_train_alike_without_diffusers_and_accelerate(tmp_path, whole):
    absent = "import sys\nfor name in ('accelerate', 'diffusers', 'transformers'):\n    sys.modules[name] = None\n"
    place = f"pathlib.Path({str(tmp_path)!r})"
    done = in_a_fresh_process(f"{absent}import pathlib\n{TINY}\nrecipes.train('tiny', {place}, {place} / 'runs' / 'x')")
    assert done.returncode == 0, done.stderr
    assert zoo.card("tiny", tmp_path)["sha256"] == whole["sha256"]


def test_several_processes_without_accelerate_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main(["train", "tiny", "--root", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("the recipe tiny needs accelerate: install it with python -m pip install")


def test_without_diffusers_the_command_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    (tmp_path / "mini_stable_diffusion" / "vae").mkdir(parents=True)
    for name in ("gan_course.recipes.text_to_image", "gan_course.recipes.student"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert cli.main(["train", "autoencoder", "--root", str(tmp_path), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said == 'the recipe autoencoder needs diffusers: install it with python -m pip install -e ".[diffusion]"\n'
