"""The networks that ship: as good as their cards say, and refused where the file is not the card's."""

import hashlib
import json
import os
import re

import pytest
import torch

from gan_course import data, metrics, recipes, zoo

NAMES = ["glyphs_classifier", "mnist_classifier"]


def test_names():
    others = ["moving_glyphs", "photo_features", "scenes_classifier", "scenes_depth", "scenes_features"]
    named = [name for name in zoo.names() if not name.startswith(("style_", "hatched_", "night_", "enlarger_"))]
    assert named == ["attributes_classifier", "digits_gan", *NAMES, *others]
    trained = {re.sub(r"_\d$", "", name) for name in zoo.names()}  # a recipe, and where several seeds ship, the seed
    assert trained - {"photo_features"} <= set(recipes.RECIPES), "all but one were trained here"


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_ready_to_use(name):
    network = zoo.load(name)
    assert not network.training and not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    images = torch.rand(3, 1, 28, 28) * 2 - 1
    assert network(images).shape == (3, 10)
    assert network.features(images).shape == (3, 64)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), zoo.load(name).parameters(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_card_holds_all_that_design_asks_for(name):
    card = zoo.card(name)
    content = (zoo.FOLDER / card["file"]).read_bytes()
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert card["bytes"] == len(content)
    assert card["recipe"] == f"gan-course train {name} --seed {card['seed']}"
    assert card["steps"] == recipes.find(name).steps
    assert card["cpu_seconds"] < 600
    assert "PyTorch" in card["hardware"] and card["licence"] == "Apache-2.0"
    low, high = card["metrics"]["held_out_accuracy_95_interval"]
    assert low < card["metrics"]["held_out_accuracy"] <= high
    assert re.search(r"[\d,]+ pictures to train on, [\d,]+ others held out$", card["data"]) and card["what"]


def test_all_classifiers_weigh_less_than_2_mb_and_nothing_is_a_pickle():
    files = [path for path in zoo.FOLDER.iterdir() if path.suffix not in {".py", ".json"} and path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".LICENSE"}
    assert sum((zoo.FOLDER / zoo.card(name)["file"]).stat().st_size for name in NAMES) < 2e6


def test_glyphs_never_seen_are_recognised():
    fresh = data.load("glyphs", count=4000, seed=777)
    found = metrics.class_agreement(fresh.images, fresh.labels, zoo.load("glyphs_classifier"))
    assert found >= 0.99
    low, high = zoo.card("glyphs_classifier")["metrics"]["held_out_accuracy_95_interval"]
    assert low - 0.005 < found < high + 0.005


@pytest.mark.skipif("GAN_COURSE_DATA" not in os.environ, reason="no local copy of MNIST")
def test_digits_held_out_are_recognised():
    held_out = data.load("mnist", split="test")
    found = metrics.class_agreement(held_out.images, held_out.labels, zoo.load("mnist_classifier"))
    assert found >= 0.99
    assert metrics.default_features(held_out.images)[0] == "features of mnist_classifier"


def test_features_are_scaled_and_none_is_dead():
    fresh = data.load("glyphs", count=2000, seed=778)
    features = metrics.extract_features(fresh.images, zoo.load("glyphs_classifier").features)
    assert features.mean(0).abs().max() < 0.3
    assert 0.5 < features.std(0).min() and features.std(0).max() < 1.5


# ---------------------------------------------------------------------------------------------- refused


@pytest.fixture
def folder(tmp_path):
    """A copy of one network and its card."""
    for name in ("glyphs_classifier.json", "glyphs_classifier.safetensors"):
        (tmp_path / name).write_bytes((zoo.FOLDER / name).read_bytes())
    return tmp_path


def test_from_another_folder(folder):
    assert zoo.names(folder) == ["glyphs_classifier"]
    ours, theirs = zoo.load("glyphs_classifier", folder), zoo.load("glyphs_classifier")
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize("change", ["one bit", "cut", "empty", "another network"])
def test_wrong_weights_are_refused(folder, change):
    path = folder / "glyphs_classifier.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    changed = {
        "one bit": bytes(content),
        "cut": path.read_bytes()[:-1000],
        "empty": b"",
        "another network": (zoo.FOLDER / "mnist_classifier.safetensors").read_bytes(),
    }
    path.write_bytes(changed[change])
    with pytest.raises(ValueError) as caught:
        zoo.load("glyphs_classifier", folder)
    said = str(caught.value)
    assert said.startswith(f"the weights {path} are not those of their card (SHA-256 ") and "\n" not in said
    assert said.endswith("or make the file anew: gan-course train glyphs_classifier --seed 0")


def test_missing_weights(folder):
    (folder / "glyphs_classifier.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"^the weights .*glyphs_classifier.safetensors are missing: install"):
        zoo.load("glyphs_classifier", folder)


@pytest.mark.parametrize("ask", [zoo.card, zoo.load])
def test_an_unknown_name(ask, tmp_path):
    names = sorted(path.stem for path in zoo.FOLDER.glob("*.json"))
    known = f"Known: {', '.join(names[:16])}, and {len(names) - 16} more"
    assert "glyphs_classifier, hatched_drawings, mini_stable_diffusion, mini_stable_diffusion_2, mini_student" in known
    with pytest.raises(ValueError, match=rf"^there is no trained network 'mnist_clasifier': did you mean .*{known}$"):
        ask("mnist_clasifier")
    with pytest.raises(ValueError, match=rf"^there is no trained network '../secret': {known}$"):
        ask("../secret")
    with pytest.raises(ValueError, match=r"^there is no trained network 'x': Known: none$"):
        ask("x", tmp_path)


def test_a_damaged_card(folder):
    path = folder / "glyphs_classifier.json"
    path.write_text(path.read_text(encoding="utf-8")[:50], encoding="utf-8")
    with pytest.raises(ValueError, match=r"^the card .*_classifier.json can't be read .*: install the course again$"):
        zoo.load("glyphs_classifier", folder)


def test_storing_and_loading_again(tmp_path):
    network = zoo.load("glyphs_classifier")
    about = {"network": zoo.card("glyphs_classifier")["network"], "text": "ü"}
    card = zoo.store("copy", network, about, tmp_path / "new")
    assert card == zoo.card("copy", tmp_path / "new") == json.loads((tmp_path / "new/copy.json").read_text("utf-8"))
    assert card["sha256"] == zoo.card("glyphs_classifier")["sha256"]  # the same weights give the same file
    again = zoo.load("copy", tmp_path / "new")
    assert all(torch.equal(again.state_dict()[name], value) for name, value in network.state_dict().items())
    assert sorted(os.listdir(tmp_path / "new")) == ["copy.json", "copy.safetensors"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"^can't write .*copy.safetensors .*: choose another folder, one that"):
        zoo.store("copy", zoo.load("glyphs_classifier"), {}, tmp_path / "file")
