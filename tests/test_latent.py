"""Asking a Stable Diffusion: the loading, the functions, and what they refuse. The pipeline is tiny and untrained."""

import json
import math
import shutil
import subprocess
import sys

import pytest
import torch

pytest.importorskip("diffusers")


from gan_course import diffusion, plots, zoo
from gan_course import stable_diffusion as sd
from gan_course.data.attributes import Attributes, as_indices, draw_attributes, random_attributes
from gan_course.data.glyphs import colour_glyphs


@pytest.fixture(scope="module")
def folder(pipeline, store_pipeline):
    return store_pipeline(pipeline)


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "zoo")


def images(count=2, side=32):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


# ------------------------------------------------------------------------------------------ loading


def test_the_mini_model_loads_as_it_was_stored(pipeline, folder, recwarn, capfd):
    loaded = sd.load_pipeline(folder=folder)
    asked = {"prompts": ["a red seven", "a small blue two"], "steps": 3}
    assert torch.equal(sd.text_to_image(loaded, **asked), sd.text_to_image(pipeline, **asked))
    assert not loaded.unet.training and not loaded.vae.training and not loaded.text_encoder.training
    assert not recwarn.list and capfd.readouterr() == ("", "")


def test_a_fresh_process_loads_and_asks_without_a_word(folder):
    script = (
        "import pathlib, torch\n"
        "from gan_course import stable_diffusion as sd\n"
        f"p = sd.load_pipeline(folder=pathlib.Path({str(folder)!r}))\n"
        "x = sd.text_to_image(p, ['a red seven'], steps=2)\n"
        "x = sd.image_to_image(p, x, ['a blue two'], steps=2)\n"
        "x = sd.inpaint(p, x, torch.ones(1, 1, 32, 32), ['a blue two'], steps=2)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "file", ["unet/diffusion_pytorch_model.safetensors", "vae/config.json", "tokenizer/merges.txt"]
)
def test_a_changed_file_is_refused(copied, file):
    path = copied / sd.MINI / file
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        sd.load_pipeline(folder=copied)
    said = str(caught.value)
    assert said.startswith(f"the file {path} is not that of its card (SHA-256 ") and "\n" not in said
    assert "install the course again" in said


def test_a_missing_and_a_foreign_file_are_refused(copied):
    shutil.copy(copied / sd.MINI / "vae/config.json", copied / sd.MINI / "vae/more.bin")
    with pytest.raises(ValueError, match=r"^the file .*more.bin is not named in its card: remove it"):
        sd.load_pipeline(folder=copied)
    (copied / sd.MINI / "vae/config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"^the file .*config.json is missing: install the course again"):
        sd.load_pipeline(folder=copied)


def test_line_ends_of_windows_are_no_damage(copied):
    for path in (copied / sd.MINI).rglob("*.json"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    zoo.check_files(sd.MINI, copied)


def test_nothing_but_safetensors_is_stored_and_the_card_knows_all(folder):
    card = zoo.card(sd.MINI, folder)
    assert card["what"] == "A trial." and card["bytes"] == sum(facts["bytes"] for facts in card["files"].values())
    assert {file.rsplit(".")[-1] for file in card["files"]} <= {"json", "txt", "safetensors"}
    assert zoo.names(folder) == [], "a pipeline is not a single network"
    with pytest.raises(ValueError, match=r"^mini_stable_diffusion is not a single network: load one of none, or"):
        zoo.load(sd.MINI, folder)


def test_cards_keep_what_other_recipes_wrote(folder, tmp_path):
    (tmp_path / "source/vae").mkdir(parents=True)
    (tmp_path / "source/vae/config.json").write_text("{}", encoding="utf-8")
    zoo.store_files("x", tmp_path / "source", {"autoencoder": {"seed": 1}}, tmp_path / "zoo")
    (tmp_path / "source/vae/config.json").rename(tmp_path / "source/model_index.json")
    card = zoo.store_files("x", tmp_path / "source", {"text_to_image": {"seed": 2}}, tmp_path / "zoo")
    assert set(card["files"]) == {"vae/config.json", "model_index.json"}
    assert card["autoencoder"] == {"seed": 1} and card["text_to_image"] == {"seed": 2}


def test_a_folder_of_ones_own_loads(pipeline, folder):
    loaded = sd.load_pipeline(folder / sd.MINI)
    ours, theirs = (sd.text_to_image(p, "a red seven", steps=2) for p in (loaded, pipeline))
    assert torch.equal(ours, theirs)


def test_folders_that_hold_no_pipeline_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no model_index.json: it is no pipeline in diffusers' format"):
        sd.load_pipeline(tmp_path)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}), encoding="utf-8")
    with pytest.raises(OSError, match=r"^can't load .*: check name and connection, or leave model_id out"):
        sd.load_pipeline(tmp_path)


def test_a_hub_out_of_reach_takes_one_sentence(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OSError) as caught:
        sd.load_pipeline("nobody/no-such-model")
    assert str(caught.value).startswith("can't load nobody/no-such-model (") and "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------ asking


def test_pictures_depend_on_their_own_seed_alone(pipeline):
    three = sd.text_to_image(pipeline, ["a red seven", "a blue two", "a pink one"], seed=5, steps=3)
    assert three.shape == (3, 3, 32, 32) and three.min() >= -1 and three.max() <= 1
    alone = sd.text_to_image(pipeline, "a blue two", seed=6, steps=3)
    assert torch.allclose(alone[0], three[1], atol=1e-4)
    assert not torch.allclose(sd.text_to_image(pipeline, "a blue two", seed=7, steps=3), alone, atol=1e-2)


def test_many_prompts_go_in_parts(pipeline, monkeypatch):
    prompts = ["a red seven", "a blue two", "a pink one"]
    together = sd.text_to_image(pipeline, prompts, steps=2)
    monkeypatch.setattr("gan_course.stable_diffusion.pipeline.AT_ONCE", 2)
    assert torch.allclose(sd.text_to_image(pipeline, prompts, steps=2), together, atol=1e-4)


def test_prompt_guidance_and_negative_matter_and_an_empty_prompt_works(pipeline):
    plain = sd.text_to_image(pipeline, "a red seven", steps=3, guidance_scale=1.0)
    found = [
        sd.text_to_image(pipeline, "", steps=3),
        sd.text_to_image(pipeline, "a red seven", steps=3, guidance_scale=9.0),
        sd.text_to_image(pipeline, "a red seven", steps=3, guidance_scale=9.0, negative_prompt="a blue two"),
    ]
    assert all(x.isfinite().all() for x in found)
    assert len({x.sum().item() for x in [plain, *found]}) == 4


def test_a_negative_prompt_is_refused_exactly_where_it_would_do_nothing(pipeline):
    """Diffusers skips the second look at guidance 1, and with it what the negative prompt has to say."""
    asked = {"num_inference_steps": 2, "output_type": "pt"}

    def painted(scale, negative):
        noise = torch.Generator().manual_seed(0)
        return pipeline("a red seven", guidance_scale=scale, negative_prompt=negative, generator=noise, **asked).images

    assert torch.equal(painted(1.0, None), painted(1.0, "a blue two"))
    assert not torch.equal(painted(1.1, None), painted(1.1, "a blue two"))
    assert sd.text_to_image(pipeline, "a red seven", 0, 2, 1.0, "").shape == (1, 3, 32, 32)  # an empty one says nothing
    assert sd.text_to_image(pipeline, "a red seven", 0, 2, 1.1, "a blue two").shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    "change, kind, says",
    [
        ({"prompts": 7}, TypeError, "a prompt must be a string but one is 7 (int): write it in quotes"),
        ({"prompts": ["a", None]}, TypeError, "a prompt must be a string but one is None"),
        ({"prompts": []}, ValueError, "there is no prompt: pass a string"),
        ({"prompts": "red " * 40}, ValueError, "has 42 tokens with its two marks, but the text encoder takes 24"),
        ({"negative_prompt": 3}, ValueError, "negative_prompt must be a string but is 3 (int): write it in quotes"),
        ({"negative_prompt": "red " * 40}, ValueError, "has 42 tokens"),
        ({"steps": 0}, ValueError, "steps must be a whole number from 1 up but is 0"),
        ({"steps": 1001}, ValueError, "but is 1001"),
        ({"steps": 2.5}, ValueError, "but is 2.5"),
        ({"guidance_scale": -1}, ValueError, "guidance_scale must be a number from 0 up but is -1: 1 is none, try 3"),
        ({"guidance_scale": math.nan}, ValueError, "guidance_scale must be a finite number but is nan"),
        ({"guidance_scale": math.inf}, ValueError, "guidance_scale must be a finite number but is inf"),
        (
            {"negative_prompt": "a blue two", "guidance_scale": 1.0},
            ValueError,
            "a negative prompt acts through guidance, and at a guidance_scale of 1 there is none: choose one above 1",
        ),
        ({"guidance_scale": "3"}, ValueError, "must be a finite number but is '3' (str): write a number without"),
    ],
)
def test_what_cannot_be_asked_takes_one_sentence(pipeline, change, kind, says, capfd):
    with pytest.raises(kind) as caught:
        sd.text_to_image(pipeline, **{"prompts": "a red seven", "steps": 2} | change)
    assert says in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_image_to_image_goes_as_far_as_told(pipeline, recwarn):
    given = images()
    asked = ["a red seven"] * 2
    near = sd.image_to_image(pipeline, given, asked, strength=0.2, steps=10)
    far = sd.image_to_image(pipeline, given, asked, strength=1.0, steps=10)
    assert near.shape == far.shape == given.shape and not torch.allclose(near, far, atol=1e-2)
    assert not recwarn.list


def test_inpainting_keeps_what_the_mask_leaves(pipeline, recwarn):
    given, masks = images(), torch.zeros(2, 1, 32, 32)
    masks[:, :, 8:24, 8:24] = 1
    made = sd.inpaint(pipeline, given, masks, ["a red seven"] * 2, steps=4)
    assert torch.equal(made * (1 - masks), given * (1 - masks))
    assert (made - given)[:, :, 8:24, 8:24].abs().mean() > 0.05 and not recwarn.list


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_inpainting_puts_the_original_back_at_every_step(pipeline, strength, monkeypatch):
    """With a mask that covers nothing, the latents that reach the decoder are the original's, whatever was asked."""
    given, reached = images(), []
    monkeypatch.setattr(
        pipeline.vae, "decode", lambda z, decode=pipeline.vae.decode, **o: reached.append(z) or decode(z, **o)
    )
    sd.inpaint(pipeline, given, torch.zeros(2, 1, 32, 32), ["a red seven"] * 2, strength=strength, steps=4)
    with torch.no_grad():
        assert torch.allclose(reached[0], pipeline.vae.encode(given).latent_dist.mean, atol=1e-5)


def test_inpainting_is_the_loop_that_the_exercise_describes(pipeline):
    given, masks = images(1), torch.zeros(1, 1, 32, 32)
    masks[..., 9:20, 6:32] = 1
    found = sd.inpaint(pipeline, given, masks, "a red seven", seed=3, steps=5, guidance_scale=2.0)
    alphas_cumprod, scale = pipeline.scheduler.alphas_cumprod, pipeline.vae.config.scaling_factor
    inside = torch.zeros(1, 1, 8, 8)
    inside[..., 2:5, 1:8] = 1  # each place of the latents covers 4x4 pixels
    noise = torch.randn(1, pipeline.unet.config.in_channels, 8, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        original = pipeline.vae.encode(given).latent_dist.mean * scale
        pair = {"padding": "max_length", "max_length": 24, "return_tensors": "pt"}
        words = pipeline.text_encoder(pipeline.tokenizer(["", "a red seven"], **pair).input_ids)[0]
        x, timesteps = noise, [801, 601, 401, 201, 1]
        for t, following in zip(timesteps, [*timesteps[1:], None], strict=True):
            output = pipeline.unet(torch.cat([x, x]), t, encoder_hidden_states=words).sample
            output = diffusion.guide(*output.chunk(2), 2.0)
            clean = diffusion.predicted_x0(x, output, t, alphas_cumprod, "v_prediction")
            left = diffusion.predicted_noise(x, output, t, alphas_cumprod, "v_prediction")
            x = diffusion.add_noise(clean, left, max(t - 200, 0), alphas_cumprod)
            known = original if following is None else diffusion.add_noise(original, noise, following, alphas_cumprod)
            x = torch.where(inside.bool(), x, known)
        wanted = torch.where(masks.bool(), pipeline.vae.decode(x / scale).sample.clamp(-1, 1), given)
    assert torch.allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"images": images(side=30)}, "images are 30x30 but both must be multiples of 8: resize them to 32x32"),
        ({"images": images()[:, :1]}, "images must have 3 colours but have 1: convert them to RGB"),
        ({"images": 127.5 * (images() + 1)}, "images must lie in [-1, 1] but reach"),
        ({"images": images().double()}, "images must be a 32-bit float tensor"),
        ({"images": "a.png"}, "images must be a tensor but is 'a.png' (str)"),
        ({"images": images(3)}, "there are 3 images but 2 prompts: pass one for each"),
        ({"strength": 0.0}, "strength must be above 0 and at most 1 but is 0.0: try 0.6"),
        ({"strength": 1.5}, "at most 1 but is 1.5"),
        ({"strength": math.nan}, "strength must be a finite number but is nan"),
        ({"strength": 0.1, "steps": 5}, "strength 0.1 of 5 steps leaves none: take at least 10"),
        ({"prompts": [1, 2]}, "a prompt must be a string"),
    ],
)
def test_images_that_cannot_be_changed_take_one_sentence(pipeline, change, says):
    asked = {"images": images(), "prompts": ["a red seven"] * 2, "steps": 4} | change
    for function in (sd.image_to_image, lambda *a, **k: sd.inpaint(*a, masks=torch.ones(2, 1, 32, 32), **k)):
        with pytest.raises((ValueError, TypeError)) as caught:
            function(pipeline, **asked)
        assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "masks, says",
    [
        (
            torch.ones(2, 1, 16, 16),
            "masks must be a tensor of shape [2, 1, 32, 32], like the images, but are [2, 1, 16",
        ),
        (torch.ones(2, 3, 32, 32), "but are [2, 3, 32, 32]"),
        ("left", "masks must be a tensor but is 'left'"),
        (torch.full((2, 1, 32, 32), 0.5), "masks must hold 0 (keep) and 1 (paint anew) alone"),
    ],
)
def test_masks_that_do_not_fit_take_one_sentence(pipeline, masks, says):
    with pytest.raises(ValueError) as caught:
        sd.inpaint(pipeline, images(), masks, ["a red seven"] * 2, steps=4)
    assert says in str(caught.value) and "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------ measuring


class Oracle:
    """Reads each picture as told, in order."""

    def __init__(self, table):
        self.table = list(table.split(500))

    def read(self, images):
        return self.table.pop(0)


def test_adherence_counts_what_is_right():
    records = draw_attributes(600, seed=3, held_out=None)
    pictures = colour_glyphs(records, 3).images
    table = as_indices(records)
    table[:30, 0] = (table[:30, 0] + 1) % 10
    table[20:90, 5] = (table[20:90, 5] + 1) % 4
    found = sd.measure_adherence(pictures, records, Oracle(table))
    assert found.count == 600 and found.everything.value == pytest.approx(510 / 600)
    assert found.each["character"].value == pytest.approx(570 / 600)
    assert found.each["style"].value == pytest.approx(530 / 600) and found.each["colour"].value == 1
    assert found.everything.low < 0.85 < found.everything.high
    assert "600 pictures" in str(found) and "all six               85.0%   81.9% to 87.6%" in str(found)
    with pytest.raises(ValueError, match="there are 600 images but 599 records: pass one for each"):
        sd.measure_adherence(pictures, records[:-1])


def test_a_cut_out_sign_forgets_size_place_and_colours_but_not_its_shape():
    looks = [("blue", "white", "large", "in the middle"), ("yellow", "black", "medium", "at the top left")]
    records = [Attributes(sign, *look) for sign in "4K" for look in looks]
    four, other_four, k, other_k = sd.cut_out(colour_glyphs(records, 3).images, records).flatten(1)
    assert torch.dist(four, other_four) < torch.dist(four, k) and torch.dist(k, other_k) < torch.dist(k, other_four)

    bar = torch.full((1, 3, 32, 32), -1.0)  # black
    bar[:, :, 6:26, 20:24] = 1  # a white bar of 20 x 4
    asked = [Attributes("1", "white", "black")]
    found = sd.cut_out(bar, asked, side=10)[0]
    assert torch.equal(found, torch.tensor([0.0, 0, 0, 0, 1, 1, 0, 0, 0, 0]).expand(10, 10))
    assert sd.cut_out(-bar, asked, side=10).eq(1).sum() > 50  # the wrong way round, the ground is taken for ink
    assert torch.equal(sd.cut_out(torch.full_like(bar, -1.0), asked), torch.zeros(1, 12, 12))  # no ink at all
    with pytest.raises(ValueError, match="there are 1 images but 2 records: pass one for each"):
        sd.cut_out(bar, asked * 2)


def test_cut_out_signs_can_be_told_apart_by_their_neighbours():
    """The judge of chapter 08's new word: it must read rendered pictures nearly always right."""
    from sklearn.neighbors import KNeighborsClassifier

    def shapes(count, seed):
        records = random_attributes(count, seed, "0123456789K")
        pictures = colour_glyphs(records, seed, "0123456789K").images
        return sd.cut_out(pictures, records).flatten(1), [r.character for r in records]

    judge = KNeighborsClassifier(5).fit(*shapes(3000, 1))
    assert judge.score(*shapes(500, 2)) >= 0.98


def test_signs_painted_anew_show_what_was_wanted_and_keep_their_shape():
    records = [
        Attributes("4", "blue", "white", "large"),
        Attributes("4", "yellow", "black", "small", "at the top left"),
    ]
    pictures = colour_glyphs(records, 3).images
    places = ["in the middle", "at the top left", "at the bottom right"]
    wanted = [Attributes("4", "red", "white", size, place) for size in ("small", "medium", "large") for place in places]
    made = sd.paint_anew(pictures, records, wanted, seed=1)
    assert made.shape == (9, 3, 32, 32) and made.min() >= -1 and made.max() <= 1
    adherence = sd.measure_adherence(made, wanted)
    assert adherence.each["size"].value == adherence.each["position"].value == adherence.each["colour"].value == 1
    signs, rendered = sd.cut_out(made, wanted), sd.cut_out(colour_glyphs(wanted, 4).images, wanted)
    assert (signs - rendered).square().mean() < (signs - sd.cut_out(pictures, records)[:1].flip(2)).square().mean()
    grey = sd.paint_anew(pictures, records, [Attributes("4", "white", "grey", "small")])
    plots.tile(grey, 1)  # white on grey is taken for what it is
    assert torch.equal(sd.paint_anew(pictures, records, wanted, seed=1), made)
    assert not torch.equal(sd.paint_anew(pictures, records, wanted, seed=2), made)
    with pytest.raises(ValueError, match="none of the signs is large or larger: show at least one that is"):
        sd.paint_anew(pictures[1:], records[1:], wanted[-1:])
    empty = torch.stack([pictures[0], torch.full((3, 32, 32), -1.0)])
    with pytest.raises(ValueError, match="image 1 shows no yellow sign: do the records fit the images"):
        sd.paint_anew(empty, records, wanted)
    with pytest.raises(ValueError, match="there are 2 images but 1 records: pass one for each"):
        sd.paint_anew(pictures, records[1:], wanted)
