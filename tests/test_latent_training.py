"""The long trainings: repeatable, resumable, the same on one process and on two, and true to what they claim."""

import copy
import json
import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("accelerate")

from safetensors.torch import load_file
from states import same, weights

from gan_course import stable_diffusion as sd
from gan_course import zoo
from gan_course.checkpoints import load_checkpoint
from gan_course.data.attributes import COLOURS, draw_attributes, is_held_out, phrase
from gan_course.data.glyphs import colour_glyphs
from gan_course.data.render import GLYPHS, Glyphs, draw_fresh, render
from gan_course.recipes import classifiers, find, run, text_to_image
from gan_course.stable_diffusion import latents
from gan_course.stable_diffusion.networks import make_autoencoder, make_tokenizer, merge

TINY = text_to_image.TextToImageSettings(pictures=24, batch=8, width=32, widths=(16, 16))


@pytest.fixture(scope="module")
def autoencoder():
    torch.manual_seed(0)
    return make_autoencoder((8, 8, 16)).eval().requires_grad_(False)


def start(name, tokenizer, autoencoder, steps=6, seed=0):
    """A small run of each kind."""
    if name == "attributes":
        return classifiers.AttributesRun(seed, steps, settings=classifiers.AttributesSettings(batch=8))
    if name == "autoencoder":
        settings = text_to_image.AutoencoderSettings(batch=4, widths=(8, 8, 16))
        return text_to_image.AutoencoderRun(seed, steps, settings=settings)
    return text_to_image.TextToImageRun(seed, steps, autoencoder, tokenizer, settings=TINY)


@pytest.mark.parametrize("name", ["attributes", "autoencoder", "text to image"])
def test_an_interrupted_run_goes_on_bit_for_bit(name, tmp_path, tokenizer, autoencoder, capsys):
    before = torch.get_rng_state()
    whole = start(name, tokenizer, autoencoder)
    first = weights(whole)
    run.follow(whole, tmp_path / "whole.safetensors")
    assert not same(first, weights(whole)) and whole.done == 6 and whole.seconds > 0

    cut = start(name, tokenizer, autoencoder)
    cut.save = lambda path, save=cut.save: (save(path), exec("raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        run.follow(cut, tmp_path / "cut.safetensors", every=4)
    again = start(name, tokenizer, autoencoder)
    counted, step = [], again.step
    again.step = lambda: (counted.append(again.done), step())[1]
    run.follow(again, tmp_path / "cut.safetensors", every=4)
    assert counted == [4, 5] and same(weights(again), weights(whole))
    assert torch.equal(torch.get_rng_state(), before), "training must not disturb the caller's random numbers"
    assert "6/6" in capsys.readouterr().err


def test_a_checkpoint_of_another_run_is_refused(tmp_path, tokenizer, autoencoder):
    start("attributes", tokenizer, autoencoder, seed=3).save(tmp_path / "x")
    with pytest.raises(ValueError, match=r"it was made with seed 3, not with seed 0; finish the run that it is of"):
        start("attributes", tokenizer, autoencoder).resume(tmp_path / "x")
    start("autoencoder", tokenizer, autoencoder).save(tmp_path / "x")
    with pytest.raises(ValueError, match=r"it was made with recipe 'autoencoder', .* not with recipe 'text_to_image'"):
        start("text to image", tokenizer, autoencoder).resume(tmp_path / "x")


# Each process follows one step of each kind and writes the gradients it then has.
SHARED = """
import sys, torch
from pathlib import Path
from safetensors.torch import save_file
from gan_course.recipes import classifiers, text_to_image
from gan_course.stable_diffusion.networks import make_autoencoder, make_tokenizer

torch.set_num_threads(1)
place = Path(sys.argv[1])
torch.manual_seed(0)
autoencoder = make_autoencoder((8, 8, 16)).eval().requires_grad_(False)
tokenizer = make_tokenizer(place / f"tokenizer{sys.argv[2]}")
settings = {
    "reader": classifiers.AttributesSettings(batch=8),
    "autoencoder": text_to_image.AutoencoderSettings(batch=4, widths=(8, 8, 16), discriminator_start=0.0),
    "text": text_to_image.TextToImageSettings(pictures=24, batch=8, width=32, widths=(16, 16)),
}
runs = {
    "reader": classifiers.AttributesRun(0, 9, settings=settings["reader"]),
    "autoencoder": text_to_image.AutoencoderRun(0, 9, settings=settings["autoencoder"]),
    "text": text_to_image.TextToImageRun(0, 9, autoencoder, tokenizer, settings=settings["text"]),
}
found = {}
for name, run in runs.items():
    run.step()
    for part in run.parts.values():
        for key, weight in part.network.named_parameters():
            if weight.grad is not None:
                found[f"{name}.{key}"] = weight.grad.clone().contiguous()
if runs["text"].accelerator.is_main_process:
    found["processes"] = torch.tensor(runs["text"].accelerator.num_processes)
    save_file(found, place / f"gradients{sys.argv[2]}.safetensors")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="torch's processes find each other through libuv there")
def test_two_processes_have_the_gradients_of_one(tmp_path):
    (tmp_path / "shared.py").write_text(SHARED, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    for processes in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"] if processes == 2 else []
        command = [sys.executable, *launcher, str(tmp_path / "shared.py"), str(tmp_path), str(processes)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (load_file(tmp_path / f"gradients{n}.safetensors") for n in (1, 2))
    assert (one.pop("processes").item(), two.pop("processes").item()) == (1, 2)
    assert one.keys() == two.keys() and {key.split(".")[0] for key in one} == {"reader", "autoencoder", "text"}
    for key in one:
        assert torch.allclose(one[key], two[key], rtol=1e-3, atol=1e-5 * max(1.0, one[key].abs().max().item())), key
    assert sum(gradient.abs().max() > 1e-4 for gradient in one.values()) > 100, "gradients must not all be zero"


def test_a_batch_that_processes_cannot_share_is_refused(tokenizer, autoencoder):
    training = start("attributes", tokenizer, autoencoder)
    training.accelerator = type("Three", (), {"num_processes": 3, "process_index": 0, "device": "cpu"})()
    with pytest.raises(ValueError, match="3 processes can't share a batch of 8: start a number that divides it"):
        training.learn()


# ------------------------------------------------------------------------------------------ words


def test_each_word_of_a_caption_is_one_token(tokenizer):
    for record in draw_attributes(400, seed=6, held_out=None):
        assert len(tokenizer(phrase(record)).input_ids) == len(phrase(record).split()) + 2 <= 24
    for word in COLOURS:
        (token,) = tokenizer.tokenize(word)
        assert token == f"{word}</w>"


def test_other_words_fall_apart(tokenizer):
    assert tokenizer.tokenize("dog") == ["d", "o", "g</w>"]
    assert tokenizer.tokenize("zebra") == ["ze", "b", "r", "a</w>"]  # pieces of zero
    assert len(tokenizer.tokenize("reddish eleven")) > 4
    assert tokenizer.tokenize("RED") == tokenizer.tokenize("red")
    ids = tokenizer("", padding="max_length").input_ids
    assert ids[0] == tokenizer.bos_token_id and set(ids[1:]) == {tokenizer.eos_token_id} and len(ids) == 24


def test_the_older_files_say_the_same_as_the_newer_one(tmp_path):
    """transformers 4 reads vocab.json and merges.txt, transformers 5 tokenizer.json."""
    made = make_tokenizer(tmp_path)
    vocabulary = json.loads((tmp_path / "vocab.json").read_text(encoding="utf-8"))
    lines = (tmp_path / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    merges = [tuple(line.split()) for line in lines]
    for text in ("a small red seven", "white italic pink nine", "zebra middle"):
        pieces = [piece for word in text.split() for piece in merge([*word[:-1], word[-1] + "</w>"], merges)]
        assert [vocabulary[piece] for piece in pieces] == made(text).input_ids[1:-1]
    again = type(made).from_pretrained(tmp_path)
    assert again("a small red seven").input_ids == made("a small red seven").input_ids
    assert again.model_max_length == 24


# ------------------------------------------------------------------------------------------ what a step sees


def test_no_held_out_pair_is_ever_trained_on(tokenizer, autoencoder):
    training = start("text to image", tokenizer, autoencoder)
    assert len(training.records) == 24 and not any(map(is_held_out, training.records))


def test_captions_are_dropped_and_shortened_as_often_as_said(tokenizer, autoencoder):
    training = start("text to image", tokenizer, autoencoder)
    records = draw_attributes(4000, seed=7)
    written = training.write(records, run.random_numbers(0, 0))
    empty = sum(text == "" for text in written) / 4000
    full = sum(text == phrase(r) for text, r in zip(written, records, strict=True)) / 4000
    assert abs(empty - 0.1) < 0.02
    assert abs(full - 0.9 * (0.7 + 0.3 * 0.6**4)) < 0.03
    assert any(text and "background" not in text for text in written)


def test_latents_are_scaled_to_variance_one_and_pictures_stay(autoencoder):
    moved = copy.deepcopy(autoencoder)
    latents.normalise(moved, render(draw_attributes(500, seed=5), seed=5))
    images = colour_glyphs(draw_attributes(100, seed=8), 8).images
    assert torch.allclose(latents.rebuild(moved, images), latents.rebuild(autoencoder, images), atol=1e-4)
    means, spreads = latents.encode(moved, draw_attributes(500, seed=9), seed=9)
    assert means.mean(dim=(0, 2, 3)).abs().max() < 0.1 and 0.9 < means.std() < 1.1
    assert (spreads > 0).all()


def test_the_discriminator_pulls_half_as_hard_as_the_error(tokenizer, autoencoder):
    training = start("autoencoder", tokenizer, autoencoder)
    training.done = 5
    shown = training.learn()
    assert {"weight", "judged", "fooled"} <= shown.keys() and shown["weight"] > 0
    last = training.trip.network.autoencoder.decoder.conv_out.weight
    trip, judge = training.trip.network, training.critic.network
    images = colour_glyphs(draw_attributes(4, seed=1), 1).images
    rebuilt, _, _ = trip(images, torch.zeros(4, 8, 8, 8))
    error, fooled = (rebuilt - images).abs().mean(), -judge(rebuilt).mean()
    weight = text_to_image.balance(last, error, fooled, training.accelerator)
    (a,) = torch.autograd.grad(error, last, retain_graph=True)
    (b,) = torch.autograd.grad(weight * fooled, last)
    assert torch.allclose(a.norm(), b.norm(), rtol=1e-3)


def test_training_learns():
    reader = classifiers.AttributesRun(0, 120, settings=classifiers.AttributesSettings(batch=32))
    losses = torch.stack([reader.step()["loss"] for _ in range(120)])
    assert losses[-10:].mean() < 0.75 * losses[:3].mean()
    settings = text_to_image.AutoencoderSettings(batch=8, widths=(8, 8, 16), discriminator_weight=0)
    plain = text_to_image.AutoencoderRun(0, 40, settings=settings)
    errors = torch.stack([plain.step()["error"] for _ in range(40)])
    assert plain.critic is None and errors[-5:].mean() < 0.9 * errors[:3].mean()


def test_roughening_changes_some_pictures_a_little():
    images = colour_glyphs(draw_attributes(200, seed=1), 1).images
    rough = classifiers.roughen(images, run.random_numbers(0, 0))
    change = (rough - images).abs().mean(dim=(1, 2, 3))
    assert rough.abs().max() <= 1 and change.max() < 0.1
    assert 0.1 < (change == 0).float().mean() < 0.45


# ------------------------------------------------------------------------------------------ other pictures


class Wide(Glyphs):
    """Another source of pictures, twice as wide as high, with one field less to leave out."""

    name, optional = "wide glyphs", ("size", "colour", "background")

    def render(self, records, seed):
        return torch.cat([render(records, seed), render(records, seed + 1)], dim=3)


def test_the_same_recipes_learn_from_another_source(tokenizer, autoencoder):
    class WideAutoencoderRun(text_to_image.AutoencoderRun):
        name, source = "wide_autoencoder", Wide()
        settings = text_to_image.AutoencoderSettings(batch=4, widths=(8, 8, 16), discriminator_start=0.0)

        def make_autoencoder(self):
            made = make_autoencoder(self.settings.widths)
            made.register_to_config(sample_size=[32, 64])
            return made

    class WideTextToImageRun(text_to_image.TextToImageRun):
        name, source, settings = "wide_text_to_image", Wide(), TINY

    for training in (WideAutoencoderRun(0, 2), WideTextToImageRun(0, 2, autoencoder, tokenizer)):
        first = weights(training)
        assert all(value.isfinite() for value in training.step().values()) and not same(first, weights(training))
    assert training.means.shape == (24, 8, 8, 16)
    written = training.write(draw_attributes(300, seed=7), run.random_numbers(0, 0))
    assert any(text and "background" not in text for text in written)
    places = ("at the top", "at the bottom", "in the middle")
    assert all(any(place in text for place in places) for text in written if text), "a place is always named"


def test_fresh_pictures_follow_from_the_generator_alone():
    draws = [draw_fresh(GLYPHS, 6, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert draws[0][0] == draws[1][0] != draws[2][0] and torch.equal(draws[0][1], draws[1][1])
    assert torch.equal(draws[0][1], render(draws[0][0], int(torch.randint(2**31, (1,), generator=seeded(0)))))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# ------------------------------------------------------------------------------------------ what ships


def test_what_ships_is_the_average_and_can_be_stored(tokenizer, autoencoder):
    training = start("text to image", tokenizer, autoencoder)
    training.step()
    part = training.conditional
    average = {key: value.clone() for key, value in part.average.state_dict().items()}
    assert not same(average, dict(part.network.state_dict()))
    finished = part.finished()
    assert not finished.training and same(dict(finished.state_dict()), average)
    assert all(value.is_contiguous() for value in finished.state_dict().values())


def test_the_card_of_a_text_to_image_run(tokenizer, autoencoder, tmp_path):
    """The files are those of a pipeline, the figures its own: short of steps and of prompts here."""
    autoencoder.save_pretrained(tmp_path / sd.MINI / "vae")
    training = start("text to image", tokenizer, autoencoder, steps=1)
    training.step()
    measure = training.measure
    training.measure = lambda pipeline: measure(pipeline, count=6, steps=2)
    returned, card = training.finish(tmp_path, {"seed": 0}), zoo.card(sd.MINI, tmp_path)
    assert card == json.loads(json.dumps(returned)) and card["what"].endswith("for captioned colour glyphs of 32x32.")
    told = card["text_to_image"]
    assert told["seed"] == 0 and told["settings"]["pictures"] == 24 and told["metrics"]["prompts"] == 6
    assert set(told["metrics"]["right"]) == {f"{a}, guidance {b}" for a in ("seen", "held_out") for b in (3, 1)}
    assert [[["character", "0"], ["colour", "green"]]] == card["held_out_pairs"][:1]
    pipeline = sd.load_pipeline(folder=tmp_path)
    average = training.conditional.average
    assert same(dict(pipeline.unet.state_dict()), dict(average.unet.state_dict()))
    assert same(dict(pipeline.text_encoder.state_dict()), dict(average.text_encoder.state_dict()))
    assert pipeline.tokenizer("a red seven").input_ids == tokenizer("a red seven").input_ids


@pytest.mark.parametrize("kind", [text_to_image.AutoencoderRun, text_to_image.PlainAutoencoderRun])
def test_the_card_of_an_autoencoder(kind, autoencoder, tmp_path, monkeypatch):
    monkeypatch.setattr(kind, "measure", lambda run, autoencoder: {"scale": autoencoder.config.scaling_factor})
    autoencoder.save_pretrained(tmp_path / sd.MINI / "vae")
    weight = kind.settings.discriminator_weight
    settings = text_to_image.AutoencoderSettings(batch=4, widths=(8, 8, 16), discriminator_weight=weight)
    card = kind(0, 1, settings=settings).finish(tmp_path, {"seed": 0})
    if kind is text_to_image.AutoencoderRun:
        assert card["autoencoder"]["seed"] == 0 and card["autoencoder"]["settings"]["batch"] == 4
        assert card["autoencoder"]["metrics"]["scale"] != autoencoder.config.scaling_factor, "it was measured"
    else:
        pictures, _ = load_checkpoint(tmp_path / "autoencoder_comparison" / "pictures.safetensors")
        assert {key: tuple(value.shape) for key, value in pictures.items()} == dict.fromkeys(
            ("images", "with", "without"), (64, 3, 32, 32)
        )
        assert set(card["metrics"]) == {"with", "without"} and card["what"].startswith("64 pictures no autoencoder was")


def test_without_an_autoencoder_the_recipe_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no autoencoder in .*: run gan-course train autoencoder fi"):
        find("text_to_image").start(0, 1, None, tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", ["attributes", "autoencoder", "text to image"])
def test_a_gpu_does_the_work_and_hands_it_back(name, tokenizer, autoencoder, tmp_path):
    training = start(name, tokenizer, autoencoder)
    run.follow(training, tmp_path / "x")
    again = start(name, tokenizer, autoencoder)
    again.resume(tmp_path / "x")
    for part in training.parts.values():
        assert all(weight.is_cuda for weight in part.network.parameters())
        assert all(value.device.type == "cpu" for value in part.finished().state_dict().values())
    both = [{key: value.cpu() for key, value in weights(one).items()} for one in (again, training)]
    assert same(*both)
