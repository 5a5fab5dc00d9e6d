"""The recipes of the model of panoramas: repeatable, resumable, true to what they claim. All on tiny settings."""

import copy
import dataclasses
import json

import pytest
import torch

pytest.importorskip("diffusers")

from gan_course import data, metrics, recipes, zoo
from gan_course import stable_diffusion as sd
from gan_course.classifiers import AttributeClassifier
from gan_course.data import scene_captions, scenes
from gan_course.data.scene_sets import SCENES, as_images
from gan_course.recipes import run as runs
from gan_course.recipes import scene_autoencoder, scene_student, scene_text_to_image, student_comparison
from gan_course.recipes.scene_autoencoder import MODEL
from gan_course.recipes.text_to_image import load_autoencoder
from gan_course.stable_diffusion.distill import from_the_end
from gan_course.stable_diffusion.latents import rebuild
from gan_course.stable_diffusion.pairs import begin_pairs, load_pairs
from gan_course.stable_diffusion.panoramas import text_to_latents

NAMES = [
    "scenes_autoencoder",
    "scenes_decoder",
    "scenes_text_to_image",
    "scene_pairs",
    "scenes_student",
]
WIDTHS = (8, 8, 8, 16)
READER = AttributeClassifier(8, [len(values) for values in scenes.FIELDS.values()], (3, 64, 128)).requires_grad_(False)
STUDENT = {"pictures": 6, "batch": 4, "paired": 2, "width": 8}


@pytest.fixture
def start(panorama_pipeline):
    """Begins a small run of each recipe."""

    def begin(name, steps=4, seed=0, **options):
        pipeline = copy.deepcopy(panorama_pipeline)
        if name == "scenes_autoencoder":
            settings = scene_autoencoder.ScenesAutoencoderSettings(batch=2, widths=WIDTHS, pictures=4)
            return scene_autoencoder.ScenesAutoencoderRun(seed, steps, READER, settings=settings)
        if name == "scenes_decoder":
            settings = scene_autoencoder.DecoderSettings(batch=2, pictures=4, discriminator_first=1)
            return scene_autoencoder.ScenesDecoderRun(seed, steps, pipeline.vae, READER, settings=settings)
        if name == "scenes_text_to_image":
            settings = scene_text_to_image.ScenesTextToImageSettings(
                pictures=6, batch=4, width=32, widths=(16, 16), reading_steps=3
            )
            return scene_text_to_image.ScenesTextToImageRun(
                seed, steps, pipeline.vae, pipeline.tokenizer, settings=settings
            )
        if name == "scene_pairs":
            settings = scene_student.ScenePairsSettings(at_once=2, ways=3)
            return scene_student.ScenePairsRun(seed, steps, pipeline, settings=settings)
        pairs = begin_pairs(4, seed)
        ends = torch.randn(pairs.noise.shape, generator=torch.Generator().manual_seed(seed + 1))
        if name == "student_comparison":
            settings = student_comparison.StudentComparisonSettings(
                pictures=6, batch=4, prompts=4, repeated=2, seeds=1, steps=0.01
            )
            return student_comparison.StudentComparisonRun(
                seed, steps, pipeline, pairs._replace(ends=ends), settings=settings
            )
        settings = scene_student.ScenesStudentSettings(**STUDENT | options)
        return scene_student.ScenesStudentRun(seed, steps, pipeline, pairs._replace(ends=ends), settings=settings)

    return begin


def state(run):
    found = {name: value.clone() for name, value in run.results.items()}
    for name, part in run.parts.items():
        for kind, network in part.networks.items():
            found |= {f"{name}/{kind}/{key}": value.clone() for key, value in network.state_dict().items()}
    return found


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key].nan_to_num(), b[key].nan_to_num()) for key in a)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_on_bit_for_bit(name, start, tmp_path):
    before = torch.get_rng_state()
    whole = start(name)
    first = state(whole)
    for _ in range(4):
        assert all(value.isfinite() for value in whole.step().values())
    assert not same(first, state(whole))
    cut = start(name)
    cut.step()
    cut.step()
    cut.save(tmp_path / "run.safetensors")
    again = start(name)
    again.resume(tmp_path / "run.safetensors")
    again.step()
    again.step()
    assert again.done == 4 and same(state(again), state(whole))
    assert torch.equal(torch.get_rng_state(), before), "training must not disturb the caller's random numbers"


@pytest.mark.parametrize(
    "name, needed",
    [
        ("scenes_autoencoder", "scenes_features"),
        ("scenes_decoder", "scenes_autoencoder"),
        ("scenes_text_to_image", "scenes_decoder"),
        ("scene_pairs", "scenes_text_to_image"),
        ("scenes_student", "scenes_text_to_image"),
    ],
)
def test_without_what_a_recipe_needs_it_says_what_to_do(name, needed, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"run gan-course train {needed} first"):
        recipes.find(name).start(0, 1, None, tmp_path)


# ------------------------------------------------------------------------------------------ the autoencoder


def test_the_autoencoder_compresses_48_times_and_has_no_discriminator():
    recipe = scene_autoencoder.ScenesAutoencoderRun
    settings = recipe.settings
    assert settings.discriminator_weight == 0 and settings.squared_weight == 0
    made = scene_autoencoder.make_autoencoder(settings.widths, settings.channels, side=64, attention=False)
    with torch.no_grad():
        latents = made.encode(torch.zeros(1, 3, 64, 128)).latent_dist.mean
    assert latents.shape == (1, 4, 8, 16) and 3 * 64 * 128 == 48 * latents.numel()
    rates = [recipe.schedule(step, 3700) for step in range(3700)]
    assert max(rates) == 1 and 0.6 < rates[2999] < 0.62 and 0 < rates[-1] < 0.001
    assert rates[2000:] == sorted(rates[2000:], reverse=True)


def test_the_autoencoder_learns(start):
    run = start("scenes_autoencoder", steps=30)
    errors = torch.stack([run.step()["error"] for _ in range(30)])
    assert errors[-5:].mean() < 0.8 * errors[:3].mean()


def test_the_perceptual_loss_joins_late_and_is_of_another_reader_than_the_judge(start):
    run = start("scenes_autoencoder", steps=37)
    images = as_images(run.images[:2])
    assert run.perceive(images.flip(2), images) == 0
    run.done = 30
    assert run.perceive(images, images) == 0 < run.perceive(images.flip(2), images)
    find = recipes.find
    assert find("scenes_features").source is SCENES and SCENES.reader == "scenes_classifier"


def test_the_text_encoder_learns_to_read_before_it_paints(start):
    """After 300 steps it tells the lands apart, from captions alone, at the mark that ends them."""
    run = start("scenes_text_to_image")
    run.settings = dataclasses.replace(run.settings, pictures=400, batch=32, reading_steps=300)
    run.records = scenes.random_scenes(400, seed=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = run.make_text_encoder()
    captions = [scene_captions.phrase(record) for record in run.records[:200]]
    ids = run.tokenizer(captions, padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        last = encoder(ids)[0][:, -1]
    lands = scenes.as_indices(run.records[:200])[:, 0]
    centres = torch.stack([last[:100][lands[:100] == land].mean(dim=0) for land in range(5)])
    assert (torch.cdist(last[100:], centres).argmin(dim=1) == lands[100:]).float().mean() > 0.9


def test_scenes_point_to_what_they_name():
    angles = torch.tensor([0.0, torch.pi / 2, torch.pi, -torch.pi / 2])  # north, east, south, west
    scene = scenes.Scene("sea", "noon", "clear", "west", "tent", "south")
    rows = scene_text_to_image.point(scene, angles)
    pointed = {i: scenes.DIRECTIONS[row.argmax()] for i, row in enumerate(rows) if row.any()}
    tent = 3 + list(scene_captions.THING_NAMES).index("tent")
    assert pointed == {0: "north", 1: "east", 2: "west", tent: "south"}
    nothing = scene_text_to_image.point(scenes.Scene("sea", "noon", "clear", "west", "none", None), angles)
    assert torch.equal(nothing[:3], rows[:3]) and not nothing[3:].any()


def test_the_unet_learns_to_point_before_it_paints_and_ships_without_pointers(start):
    """Where north and east are it finds out soon. The rest of its output is what the finished U-Net gives."""
    run = start("scenes_text_to_image", steps=150)
    run.settings = dataclasses.replace(run.settings, batch=16)
    first, last = run.learn(), {}
    while run.done < 80:
        run.done += 1
        last = run.learn()
    assert last["missed"] < 0.75 * first["missed"]
    whole = run.conditional.network.eval()
    noisy, words = torch.randn(2, *run.means.shape[1:]), run.tokenize(["a sea at dusk", ""])
    with torch.no_grad():
        both = whole(noisy, torch.tensor([900, 10]), words)
        channels = noisy.shape[1]
        assert both.shape[1] == channels + scene_text_to_image.POINTERS
        whole.unet = run.finish_unet(whole.unet)
        assert torch.equal(whole(noisy, torch.tensor([900, 10]), words), both[:, :channels])
    assert whole.unet.conv_out.out_channels == whole.unet.config.out_channels == channels


def test_the_decoder_alone_is_trained(start):
    run = start("scenes_decoder")
    frozen = {key: value.clone() for key, value in run.autoencoder.state_dict().items()}
    first = state(run)
    weights = [run.step()["weight"].item() for _ in range(3)]
    assert weights[0] == 0 and min(weights[1:]) > 0, "the discriminator joins after its first steps"
    assert same(frozen, dict(run.autoencoder.state_dict()))
    changed = {key for key, value in state(run).items() if not torch.equal(value, first[key])}
    assert any("decoding/network/decoder" in key for key in changed)
    assert any("decoding/network/post_quant_conv" in key for key in changed)
    assert any("critic/network/heads.0" in key for key in changed)
    assert not [key for key in first if "encoder" in key]


def test_the_discriminator_pulls_as_hard_as_its_weight_says(start):
    run = start("scenes_decoder")
    wanted = type(run).settings.discriminator_weight
    last = run.decoding.network.decoder.conv_out.weight
    rebuilt = run.decoding.network(torch.randn(2, 4, 8, 16, generator=torch.Generator().manual_seed(0)))
    error, fooled = rebuilt.abs().mean(), -run.critic.network(rebuilt).mean()
    weight = wanted * scene_autoencoder.balance(last, error, fooled, run.accelerator)
    lengths = [torch.autograd.grad(x, last, retain_graph=True)[0].norm() for x in (error, weight * fooled)]
    assert torch.allclose(wanted * lengths[0], lengths[1], rtol=1e-3)


def test_a_discriminator_looks_at_both_sizes_of_patches():
    network = scene_autoencoder.PatchDiscriminator(width=8)
    assert network(torch.zeros(2, 3, 64, 128)).shape == (2, 16 * 32 + 8 * 16)


def test_the_second_decoder_leaves_the_first_where_it_is(start, tmp_path, monkeypatch):
    monkeypatch.setattr(scene_autoencoder, "measure", lambda autoencoder: {"psnr_db": 1.0})
    first = start("scenes_autoencoder")
    monkeypatch.setattr(type(first), "source", Few())
    first.step()
    card = first.finish(tmp_path, {"seed": 0})
    assert card["autoencoder"]["settings"]["channels"] == 4
    settings = scene_autoencoder.DecoderSettings(batch=2, pictures=4, discriminator_first=0)
    stored = scene_autoencoder.load_autoencoder(tmp_path / first.name)
    second = scene_autoencoder.ScenesDecoderRun(0, 4, stored, READER, settings=settings)
    second.step()
    card = second.finish(tmp_path, {"seed": 0})
    assert card == json.loads(json.dumps(zoo.card(MODEL, tmp_path)))
    assert card["decoder"]["seed"] == 0 and "psnr_db" in card["decoder"]["metrics"]
    before, again = (scene_autoencoder.load_autoencoder(tmp_path / name) for name in (first.name, MODEL))
    assert same(dict(again.decoder.state_dict()), dict(second.decoding.network.decoder.float().state_dict()))
    assert same(dict(again.encoder.state_dict()), dict(before.encoder.state_dict()))
    assert same(dict(before.decoder.state_dict()), dict(first.trip.network.autoencoder.float().decoder.state_dict()))
    assert not same(dict(before.decoder.state_dict()), dict(again.decoder.state_dict()))
    values = torch.cat([p.flatten() for p in again.parameters()])
    assert torch.equal(values, values.half().float()), "rounded to 16 bits, as they are stored"
    assert again.config.scaling_factor == stored.config.scaling_factor


class Few(type(SCENES)):
    """Panoramas, but never more than a few."""

    def draw(self, count, seed=0, held_out=False):
        return scenes.random_scenes(min(count, 6), seed, held_out)


def test_figures_of_an_autoencoder(panorama_pipeline):
    found = scene_autoencoder.measure(panorama_pipeline.vae, count=12)
    assert set(found) == {"psnr_db", "frechet", "edge_energy", "read_right", "patch_frechet", "patch_frechet_floor"}
    assert found["patch_frechet"] > 5 * found["patch_frechet_floor"] and found["psnr_db"] < 20, "it is untrained"


def test_the_distance_of_patches_finds_a_blur():
    images = data.load("scenes", count=80, held_out=None).images
    soft = torch.nn.functional.avg_pool2d(images, 3, stride=1, padding=1)
    floor, blurred = (scene_autoencoder.patch_frechet(x, images) for x in (images, soft))
    assert blurred > 1.5 * floor > 0 and metrics.edge_energy(soft) < 0.6 * metrics.edge_energy(images)
    patches = scene_autoencoder.patches(images[:2], side=8, each=3)
    assert patches.shape == (6, 3 * 64) and not torch.equal(patches, scene_autoencoder.patches(images[:2], 8, 3, 1))


# ------------------------------------------------------------------------------------------ text to panorama


def test_latents_turn_together_with_what_their_captions_say(start):
    run = start("scenes_text_to_image")
    records = scenes.random_scenes(200, seed=5)
    latents = torch.arange(16.0).expand(200, 4, 8, 16).clone()
    varied, shown = run.vary(latents, records, runs.random_numbers(0, 0))
    counts = varied[:, 0, 0, 0].neg().remainder(16).div(4).long().tolist()
    assert [scenes.turn(record, count) for record, count in zip(records, counts, strict=True)] == shown
    assert set(counts) == {0, 1, 2, 3} and not any(map(scenes.is_held_out, shown))


def test_captions_are_varied_and_left_empty_as_often_as_said(start):
    run = start("scenes_text_to_image")
    records = scenes.random_scenes(1500, seed=6)
    written = run.write(records, runs.random_numbers(0, 0))
    empty = sum(text == "" for text in written) / 1500
    assert abs(empty - 0.1) < 0.03 and len(set(written)) > 1000
    for record, text in zip(records, written, strict=True):
        assert all((getattr(record, field) or "none") == value for field, value in scene_captions.parse(text).items())
    assert 0.1 < sum("land" not in scene_captions.parse(text) for text in written if text) / 1500 < 0.2


def test_no_held_out_pair_is_trained_on_and_every_word_is_one_token(start, panorama_pipeline):
    run = start("scenes_text_to_image")
    assert not any(map(scenes.is_held_out, run.records)) and run.means.shape == (6, 4, 8, 16)
    for word in scene_captions.words():
        assert panorama_pipeline.tokenizer.tokenize(word) == [f"{word}</w>"]
    assert panorama_pipeline.tokenizer.model_max_length == scene_captions.LONGEST


def test_the_card_and_the_files_of_the_model(start, tmp_path, panorama_pipeline):
    from gan_course import stable_diffusion as sd

    panorama_pipeline.vae.save_pretrained(tmp_path / MODEL / "vae")
    run = start("scenes_text_to_image", steps=1)
    run.step()
    measure, seams = run.measure, run.measure_seam
    run.measure_seam = lambda pipeline, steps: seams(pipeline, steps, count=3)
    run.measure = lambda pipeline: measure(pipeline, count=3, steps=2)
    card = run.finish(tmp_path, {"seed": 0})
    told = card["text_to_image"]["metrics"]
    assert card["what"].endswith("for captioned landscape panoramas of 128x64.") and told["prompts"] == 3
    assert set(told["right"]) == {f"{a}, guidance {b}" for a in ("seen", "held_out") for b in (3, 1)}
    assert set(told["right"]["seen, guidance 3"]) == {"all", *scenes.FIELDS}
    assert set(told["seam"]) == {"seamless", "as_usual", "rendered"}
    pipeline = sd.load_pipeline(tmp_path / MODEL)
    assert same(dict(pipeline.unet.state_dict()), dict(run.conditional.average.unet.state_dict()))
    assert pipeline.unet.config.sample_size == [8, 16]
    assert sd.text_to_image(pipeline, "a sea at dusk", steps=2).shape == (1, 3, 64, 128)


# ------------------------------------------------------------------------------------------ the student


@pytest.mark.parametrize(
    "weights, shown",
    [
        ({"adversarial": 0.0}, {"regression"}),
        ({"adversarial": 0.0, "regression": 0.0, "distillation": 1.0}, {"apart"}),
        ({}, {"regression", "fooled", "found"}),
        ({"distillation": 1.0}, {"regression", "apart", "fooled", "found"}),
    ],
)
def test_a_weight_of_nothing_leaves_a_loss_out(weights, shown, start):
    run = start("scenes_student", **weights)
    first = state(run)
    assert set(run.step()) == shown
    moved = {key.split("/")[0] for key, value in state(run).items() if not torch.equal(value, first[key])}
    assert moved == ({"student", "heads"} if "found" in shown else {"student"})


def test_pairs_are_the_ends_of_the_teachers_own_ways(start, tmp_path):
    run = start("scene_pairs")
    while run.done < run.steps:
        run.step()
    card = run.finish(tmp_path, {"seed": 0})
    assert card["data"].startswith("8 captions of landscape panoramas") and card["settings"]["ways"] == 3
    pairs = load_pairs(tmp_path)
    assert pairs.ends.shape == pairs.noise.shape == (8, 4, 8, 16) and pairs.records == SCENES.draw(8, 0)
    captions = [SCENES.phrase(record) for record in pairs.records]
    ends = text_to_latents(from_the_end(run.walker), captions, pairs.noise, 3, sd.GUIDANCE)
    assert torch.allclose(ends, pairs.ends, rtol=2e-3, atol=2e-3) and not torch.allclose(ends, pairs.noise, atol=0.1)


def test_pairs_turn_together_but_not_into_what_is_held_out(start):
    run = start("scenes_student")
    whole, seen = run.pairs, set()
    for draw in range(20):
        taken = run.take_pairs(3, torch.Generator().manual_seed(draw))
        assert not any(scenes.is_held_out(record) for record in taken.records)
        for record, noise, end in zip(*taken, strict=True):
            found = [
                (row, quarters)
                for row in range(4)
                for quarters in range(4)
                if torch.equal(noise, whole.noise[row].roll(4 * quarters, -1))
                and torch.equal(end, whole.ends[row].roll(4 * quarters, -1))
            ]
            assert len(found) == 1 and record == scenes.turn(whole.records[found[0][0]], found[0][1])
            seen |= set(found)
    assert len(seen) > 10


def test_a_student_without_pairs_says_what_to_do(panorama_pipeline, tmp_path):
    panorama_pipeline.save_pretrained(tmp_path / MODEL)
    with pytest.raises(FileNotFoundError, match=r"there are no pairs in .*: run gan-course train scene_pairs first"):
        recipes.find("scenes_student").start(0, 1, None, tmp_path)


def test_regression_alone_comes_nearer_to_the_pairs(start):
    run = start("scenes_student", steps=30, adversarial=0.0, learning_rate=3e-3)
    shown = torch.stack([run.step()["regression"] for _ in range(30)])
    assert shown[-5:].mean() < 0.9 * shown[:3].mean()


def test_a_student_is_asked_for_panoramas_and_stored(start, tmp_path):
    run = start("scenes_student")
    run.step()
    images = run.ask(run.teacher, ["a sea at dusk"], 2, 1.0)
    assert images.shape == (1, 3, 64, 128)
    run.load_teacher = lambda folder: run.teacher
    run.measure = lambda pipeline, student: {"teacher": 0}
    card = run.finish(tmp_path, {"seed": 0})
    assert card["data"].startswith("landscape panoramas: 6") and (tmp_path / "mini_student_2/config.json").is_file()


def test_the_race_puts_all_students_beside_the_teacher(start, tmp_path):
    run = start("student_comparison")
    with pytest.raises(ValueError, match=r"this takes 4 steps, one for each student, but steps is 5"):
        start("student_comparison", steps=5)
    for done in range(run.steps):
        shown = run.step()
        assert 0 <= shown["right"] <= 1 and shown["edge_energy"] > 0 and shown["cpu_seconds"] > 0
        if done == 1:
            run.save(tmp_path / "run.safetensors")
    again = start("student_comparison")
    again.resume(tmp_path / "run.safetensors")
    again.step()
    same_figures = torch.eq(again.table, run.table)[..., :-1]  # all but the seconds
    assert same_figures[:3].all() and again.table[3].isnan().all()
    card = run.finish(tmp_path, {"seed": 0})["comparison"]
    assert list(card["students"]) == list(student_comparison.KINDS) and card["frechet_floor"] > 0
    assert all(set(row) == set(student_comparison.FIGURES) for rows in card["students"].values() for row in rows)
    assert set(card["teacher"]) == set(student_comparison.FIGURES) - {"cpu_seconds"}


def test_bytes_become_pictures():
    whole = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2)
    assert as_images(whole).flatten().tolist() == [-1, 1]


# ------------------------------------------------------------------------------------------ what ships


def test_the_shipped_autoencoder_keeps_what_a_panorama_shows():
    """The judge had no part in training it: of 100 fresh panoramas, it reads most things after the round trip."""
    records = scenes.random_scenes(100, seed=777, held_out=None)
    autoencoder = load_autoencoder(zoo.FOLDER / MODEL)
    found = sd.measure_adherence(rebuild(autoencoder, SCENES.render(records, 777)), records, source=SCENES)
    assert found.each["thing"].value > 0.85 and found.each["land"].value > 0.97
    for name, part in (("scenes_autoencoder", "autoencoder"), (MODEL, "decoder")):
        about = zoo.card(name)[part]
        assert about["steps"] == recipes.find(about["recipe"].split()[2]).steps and about["metrics"]["read_right"] > 0.9
