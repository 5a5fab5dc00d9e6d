"""The readers of landscapes: as good as their cards say, trained alike after a break, on pictures that any number of
processes draws alike."""

import copy
import hashlib

import pytest
import torch

from gan_course import cli, data, recipes, zoo
from gan_course.classifiers import AttributeClassifier, DepthEstimator
from gan_course.data import scene_sets, scenes
from gan_course.data.scene_sets import SCENES, as_images, draw_set, roll_each
from gan_course.recipes import scene_readers
from gan_course.stable_diffusion.adherence import measure_adherence

NAMES = ["scenes_classifier", "scenes_depth"]


@pytest.fixture(scope="module")
def fresh():
    """Panoramas that nobody was trained on, with depth."""
    return data.load("scenes", count=300, seed=777, held_out=None, depth=True)


# ------------------------------------------------------------------------------------------ sets


def test_a_set_is_the_same_however_many_processes_draw_it():
    records = scenes.random_scenes(scene_sets.FEWEST + 7, seed=3, held_out=None)
    one, one_depth = draw_set(records, 3, depth=True, processes=1)
    two, two_depth = draw_set(records, 3, depth=True, processes=2)
    assert one.shape == (len(records), 3, 64, 128) and one.dtype == torch.uint8
    assert torch.equal(one, two) and torch.equal(one_depth, two_depth)
    plain, none = draw_set(records[:3], 3)
    assert torch.equal(plain, one[:3]) and none is None


def test_a_set_holds_what_draw_scenes_draws():
    records = scenes.random_scenes(5, seed=4)
    drawn = scenes.draw_scenes(records, 9, depth=True)
    whole, logs = draw_set(records, 9, depth=True)
    assert (as_images(whole) - drawn.images).abs().max() <= 0.5 / 127.5 + 1e-6
    assert (logs.float().exp() / drawn.depth - 1).abs().max() < 0.003
    assert torch.equal(SCENES.render(records, 9), as_images(whole))
    with pytest.raises(ValueError, match="there are no scenes to draw"):
        draw_set([], 0)


def test_each_picture_is_rolled_by_its_own_number():
    maps, columns = torch.rand(4, 3, 8, 16), torch.tensor([0, 5, -3, 21])
    rolled = roll_each(maps, columns)
    for before, after, count in zip(maps, rolled, columns.tolist(), strict=True):
        assert torch.equal(after, before.roll(count, -1))


# ------------------------------------------------------------------------------------------ networks


def test_the_attribute_classifier_takes_other_pictures():
    network = AttributeClassifier(counts=(5, 2), image_shape=(3, 64, 128)).eval()
    images = torch.rand(3, 3, 64, 128) * 2 - 1
    assert network(images).shape == (3, 7) and network.features(images).shape == (3, 128)
    assert [part.shape[1] for part in network.split(network(images))] == [5, 2]
    assert network.read(images).shape == (3, 2)
    with pytest.raises(ValueError, match="must be multiples of 32 but are 64x100: resize them"):
        AttributeClassifier(image_shape=(3, 64, 100))


def test_depth_has_the_size_of_the_picture():
    network = DepthEstimator(width=8)
    depth = network(torch.zeros(2, 3, 64, 128))
    assert depth.shape == (2, 1, 64, 128) and (depth > 0).all() and (depth < 404).all()
    assert network(torch.zeros(1, 3, 128, 256)).shape == (1, 1, 128, 256)
    with pytest.raises(ValueError, match="must be multiples of 8 but are 60x120: resize them"):
        network(torch.zeros(1, 3, 60, 120))


# ------------------------------------------------------------------------------------------ what ships


def test_every_attribute_of_fresh_scenes_is_read(fresh):
    found = measure_adherence(fresh.images, fresh.records, source=SCENES)
    assert list(found.each) == list(scenes.FIELDS) and found.count == 300
    assert min(share.value for share in found.each.values()) >= 0.98
    shuffled = measure_adherence(fresh.images.roll(1, 0), fresh.records, source=SCENES)
    assert shuffled.everything.value < 0.05, "a reader that always agrees would be worthless"


def test_rolled_panoramas_are_read_as_turned_ones(fresh):
    few = fresh[:40]
    turned = [scenes.turn(record, 1) for record in few.records]
    assert measure_adherence(few.images.roll(32, -1), turned, source=SCENES).everything.value >= 0.95
    assert measure_adherence(few.images.roll(32, -1), few.records, source=SCENES).each["light"].value < 0.1


def test_the_depth_of_fresh_scenes_is_found(fresh):
    network = zoo.load("scenes_depth")
    few = fresh[:100]
    with torch.no_grad():
        error = (torch.cat([network(part) for part in few.images.split(50)]) / few.depth - 1).abs()
    assert error.mean() <= 0.06
    guess = few.depth.log().mean(0).exp()  # always the mean picture's
    assert error.mean() < 0.3 * (guess / few.depth - 1).abs().mean()


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_complete_and_the_weights_have_32_bits(name):
    card = zoo.card(name)
    content = (zoo.FOLDER / card["file"]).read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest() and card["bytes"] == len(content)
    assert card["recipe"] == f"gan-course train {name} --seed {card['seed']}"
    assert card["steps"] == recipes.find(name).steps and card["seconds"] > 0 and card["licence"] == "Apache-2.0"
    assert "H100" in card["hardware"] and "PyTorch" in card["hardware"] and "one x86_64 core" in card["cpu_estimate"]
    assert "others held out" in card["data"] and card["what"]
    network = zoo.load(name)
    assert not network.training and {value.dtype for value in network.state_dict().values()} == {torch.float32}


def test_the_cards_say_what_the_issue_asked_for():
    each = zoo.card("scenes_classifier")["metrics"]["each"]
    assert set(each) == {"all", *scenes.FIELDS} and all(low >= 0.98 for _, low, _ in each.values())
    depth = zoo.card("scenes_depth")["metrics"]
    low, high = depth["mean_relative_error_95_interval"]
    assert low < depth["mean_relative_error"] < high < 0.1
    assert sum(zoo.card(name)["bytes"] for name in NAMES) <= 1.5e6


# ------------------------------------------------------------------------------------------ recipes


def start(name, seed=0):
    if name == "scenes_depth":
        return scene_readers.ScenesDepthRun(seed, 4, settings=scene_readers.DepthSettings(batch=2, pictures=6))
    settings = scene_readers.ScenesClassifierSettings(batch=2, pictures=6)
    return scene_readers.ScenesClassifierRun(seed, 4, settings=settings)


def state(run):
    return {
        f"{name}/{key}": value.clone()
        for name, part in run.parts.items()
        for key, value in part.network.state_dict().items()
    }


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_on_bit_for_bit(name, tmp_path):
    whole = start(name)
    first = state(whole)
    shown = [whole.step() for _ in range(4)]
    assert all(one["loss"].isfinite() for one in shown) and not same(first, state(whole))
    cut = start(name)
    cut.step()
    cut.step()
    cut.save(tmp_path / "run.safetensors")
    again = start(name)
    again.resume(tmp_path / "run.safetensors")
    again.step()
    again.step()
    assert same(state(again), state(whole))


def test_a_batch_is_turned_together_with_its_records():
    run = start("scenes_classifier")
    original = {record: as_images(image) for record, image in zip(run.records, run.images, strict=True)}
    headings = set()
    for step in range(12):
        records, images = run.batch(torch.Generator().manual_seed(step))
        for record, image in zip(records, images, strict=True):
            matches = [
                (source, quarters, stray)
                for source in original
                for quarters in range(4)
                for stray in range(-2, 3)
                if torch.equal(original[source].roll(32 * quarters + stray, -1), image)
            ]
            assert any(scenes.turn(source, quarters) == record for source, quarters, _ in matches)
            headings |= {quarters for _, quarters, _ in matches}
    assert headings == {0, 1, 2, 3}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_is_what_was_measured(name, tmp_path, monkeypatch):
    run = start(name)
    run.step()
    monkeypatch.setattr(type(run), "held_out", 8)
    network = copy.deepcopy(next(iter(run.parts.values())).network)
    card = run.finish(tmp_path, {"seed": 0})
    assert card == zoo.card(name, tmp_path) and "8 others held out" in card["data"]
    loaded = zoo.load(name, tmp_path)
    rounded = {key: value.half().float() for key, value in network.state_dict().items()}
    assert same(dict(loaded.state_dict()), rounded)
    images, logs = draw_set(scenes.random_scenes(8, 999_001, held_out=None), 999_001, depth=True)
    if name == "scenes_depth":
        assert card["metrics"] == scene_readers.measure_depth(loaded, images, logs)
    else:
        records = scenes.random_scenes(8, 999_001, held_out=None)
        found = measure_adherence(as_images(images), records, loaded, SCENES)
        assert card["metrics"]["held_out_accuracy"] == round(found.everything.value, 4)


@pytest.mark.parametrize("name, says", [(NAMES[0], "99.83% right"), (NAMES[1], "mean relative error 3.84%")])
def test_the_command_says_how_good_the_reader_is(name, says, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recipes, "train", lambda *arguments: zoo.card(name))
    assert cli.main(["train", name, "--root", str(tmp_path), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith(f"bytes, {says} on held-out data\n")


def test_depth_learns():
    settings = scene_readers.DepthSettings(batch=4, pictures=8)
    run = scene_readers.ScenesDepthRun(0, 30, settings=settings)
    losses = torch.stack([run.step()["loss"] for _ in range(30)])
    assert losses[-5:].mean() < 0.8 * losses[:3].mean()


def test_the_error_of_depth_is_relative_and_its_interval_is_over_pictures():
    images, logs = draw_set(scenes.random_scenes(6, 5), 5, depth=True)
    truth = logs.float().exp()
    off = torch.tensor([1.1, 1.1, 1.2, 1.2, 1.0, 1.0])[:, None, None, None]
    found = scene_readers.measure_depth(lambda part: truth * off, images, logs)
    assert found["mean_relative_error"] == 0.1
    low, high = found["mean_relative_error_95_interval"]
    assert low == pytest.approx(0.1 - 1.96 * 0.0894 / 6**0.5, abs=2e-4) and high == pytest.approx(0.2 - low, abs=2e-4)
