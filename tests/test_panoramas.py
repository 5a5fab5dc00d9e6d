"""Panoramas without a seam, asked of a tiny untrained pipeline: what is promised holds for any weights."""

import copy

import pytest
import torch

pytest.importorskip("diffusers")

from gan_course import data
from gan_course.data import scene_captions, scenes
from gan_course.stable_diffusion.distill import read_words
from gan_course.stable_diffusion.panoramas import (
    decode_wrapped,
    encode_wrapped,
    seam,
    text_to_latents,
    text_to_panorama,
    turn_around,
    wrap,
)

PROMPT = "a sea at dusk under clouds, the sun in the west, a lighthouse to the east"


# ------------------------------------------------------------------------------------------ words and edges


def test_turning_around_twice_changes_nothing():
    for record in scenes.random_scenes(100, seed=1, held_out=None):
        prompt = scene_captions.phrase(record)
        assert turn_around(turn_around(prompt)) == prompt
        assert turn_around(prompt) == scene_captions.phrase(scenes.turn(record, 2))
    assert turn_around(PROMPT) == PROMPT.replace("west", "X").replace("east", "west").replace("X", "east")
    assert turn_around("a northern beast") == "a northern beast", "parts of words stay"


def test_a_wrapped_map_goes_on_at_the_other_edge():
    maps = torch.arange(12.0).view(1, 1, 2, 6)
    assert wrap(maps, 2)[0, 0, 0].tolist() == [4, 5, 0, 1, 2, 3, 4, 5, 0, 1]
    with pytest.raises(ValueError, match="can't wrap 6 columns by 7 on either side: take a wider panorama"):
        wrap(maps, 7)


def test_renders_have_no_seam_and_cut_ones_do():
    images = data.load("scenes", count=120, held_out=None).images
    found = seam(images)
    assert found.shape == (120,) and 0.8 < found.median() < 1.2 and found.mean() < 1.3
    assert seam(images[..., 20:]).mean() > 2
    assert seam(torch.zeros(1, 3, 4, 8)).item() == 0, "of one colour: no step anywhere"
    assert torch.allclose(seam(images[:2].double()).float(), found[:2], atol=1e-4)
    with pytest.raises(ValueError, match="panoramas must lie"):
        seam(127.5 * (images[:2] + 1))


# ------------------------------------------------------------------------------------------ the autoencoder


def test_decoding_rolled_latents_gives_rolled_panoramas(panorama_pipeline):
    """Nearly, for the normalisations count what lies beyond the borders; without these it changes far more."""
    latents = torch.randn(4, 4, 8, 16, generator=torch.Generator().manual_seed(0))
    scaled = latents / panorama_pipeline.vae.config.scaling_factor
    with torch.no_grad():
        plain = [panorama_pipeline.vae.decode(x).sample.clamp(-1, 1) for x in (scaled, scaled.roll(5, -1))]
    wrapped = [decode_wrapped(panorama_pipeline.vae, x) for x in (latents, latents.roll(5, -1))]
    assert wrapped[0].shape == (4, 3, 64, 128) and wrapped[0].abs().max() <= 1

    def differ(pair):
        return (pair[0].roll(40, -1) - pair[1]).abs().mean() / pair[0].std()

    assert differ(wrapped) < 0.35 * differ(plain)


def without_normalisation(vae):
    """A copy that has none: what is left sees the neighbourhood alone."""
    local = copy.deepcopy(vae)
    for name, module in list(local.named_modules()):
        if isinstance(module, torch.nn.GroupNorm):
            parent, _, last = name.rpartition(".")
            setattr(local.get_submodule(parent), last, torch.nn.Identity())
    return local


def test_without_normalisations_rolling_is_exact(panorama_pipeline):
    vae = without_normalisation(panorama_pipeline.vae)
    latents = torch.randn(2, 4, 8, 16, generator=torch.Generator().manual_seed(0))
    here, there = decode_wrapped(vae, latents), decode_wrapped(vae, latents.roll(5, -1))
    assert here.std() > 1e-3 and torch.allclose(here.roll(40, -1), there, atol=1e-4 * here.std().item())
    images = data.load("scenes", count=2).images
    for a, b in zip(encode_wrapped(vae, images), encode_wrapped(vae, images.roll(40, -1)), strict=True):
        assert torch.allclose(a.roll(5, -1), b, atol=1e-4 * a.std().item())


@pytest.mark.parametrize("count", [1, 16, 17])
def test_many_panoramas_go_through_the_autoencoder_in_parts(panorama_pipeline, count):
    vae, images = panorama_pipeline.vae, data.load("scenes", count=count).images
    seen = []
    hook = vae.encoder.register_forward_hook(lambda module, given, made: seen.append(len(given[0])))
    means, spreads = encode_wrapped(vae, images)
    hook.remove()
    assert sum(seen) == count and max(seen) <= 16
    made = decode_wrapped(vae, means)
    for i in {0, count - 1}:
        one, spread = encode_wrapped(vae, images[i : i + 1])
        assert torch.allclose(one[0], means[i], atol=1e-4) and torch.allclose(spread[0], spreads[i], atol=1e-4)
        assert torch.allclose(decode_wrapped(vae, means[i : i + 1])[0], made[i], atol=1e-3)


def test_encoding_rolled_panoramas_gives_rolled_latents(panorama_pipeline):
    images = data.load("scenes", count=4).images
    pairs = [encode_wrapped(panorama_pipeline.vae, x) for x in (images, images.roll(40, -1))]
    for here, there in zip(*pairs, strict=True):
        assert here.shape == there.shape == (4, 4, 8, 16)
    assert (pairs[0][1] > 0).all()
    with torch.no_grad():
        plain = panorama_pipeline.vae.encode(images).latent_dist.mean * panorama_pipeline.vae.config.scaling_factor
        rolled = (
            panorama_pipeline.vae.encode(images.roll(40, -1)).latent_dist.mean
            * panorama_pipeline.vae.config.scaling_factor
        )
    wrapped, naive = ((a.roll(5, -1) - b).abs().mean() for a, b in ((pairs[0][0], pairs[1][0]), (plain, rolled)))
    assert wrapped < 0.6 * naive
    with pytest.raises(ValueError, match="panoramas are 60x120 but both must be multiples of 8: resize them"):
        encode_wrapped(panorama_pipeline.vae, torch.zeros(1, 3, 60, 120))


# ------------------------------------------------------------------------------------------ asking


def test_a_panorama_depends_on_its_prompt_and_its_noise_alone(panorama_pipeline):
    other = "a desert at noon under a clear sky, the sun in the north"
    made = text_to_panorama(panorama_pipeline, [PROMPT, other], seed=3, steps=3)
    assert made.shape == (2, 3, 64, 128) and made.dtype == torch.float32 and made.abs().max() <= 1
    alone = text_to_panorama(panorama_pipeline, other, seed=4, steps=3)
    assert torch.allclose(alone[0], made[1], atol=1e-4)
    assert not torch.allclose(text_to_panorama(panorama_pipeline, PROMPT, seed=4, steps=3)[0], made[0], atol=1e-2)
    away = text_to_panorama(
        panorama_pipeline, PROMPT, seed=3, steps=3, negative_prompt="a forest in fog, the sun in the east"
    )
    assert not torch.equal(away[0], made[0])


def test_every_second_step_sees_the_other_side(panorama_pipeline, monkeypatch):
    seen = []
    forward = panorama_pipeline.unet.forward

    def spy(sample, timestep, encoder_hidden_states):
        seen.append((sample.clone(), encoder_hidden_states.clone()))
        return forward(sample, timestep, encoder_hidden_states=encoder_hidden_states)

    monkeypatch.setattr(panorama_pipeline.unet, "forward", spy)
    noise = torch.randn(1, 4, 8, 16, generator=torch.Generator().manual_seed(0))
    first = text_to_latents(panorama_pipeline, [PROMPT], noise, steps=2, guidance_scale=1)
    words = [read_words(panorama_pipeline, [prompt]) for prompt in (PROMPT, turn_around(PROMPT))]
    assert len(seen) == 2 and torch.equal(seen[0][0], noise)
    assert all(torch.equal(found, wanted) for (_, found), wanted in zip(seen, words, strict=True))
    plain = text_to_latents(panorama_pipeline, [PROMPT], noise, steps=2, guidance_scale=1, seamless=False)
    assert torch.equal(seen[3][1], words[0]) and torch.equal(seen[1][0], seen[3][0].roll(8, -1))
    assert not torch.equal(first, plain)


def test_seamless_latents_turn_with_the_noise_and_the_words(panorama_pipeline):
    """Starting from the other side, with the prompt turned around, an even number of steps sees the same twice."""
    noise = torch.randn(2, 4, 8, 16, generator=torch.Generator().manual_seed(0))
    prompts = [PROMPT, "a forest at night in fog"]
    made = text_to_latents(panorama_pipeline, prompts, noise, steps=4)
    guided = text_to_latents(panorama_pipeline, prompts, noise, steps=4, negative_prompt="a sea, the sun in the east")
    assert made.isfinite().all() and not torch.equal(made, guided)
    one = text_to_latents(panorama_pipeline, prompts[:1], noise[:1], steps=1)
    assert torch.allclose(
        one, text_to_latents(panorama_pipeline, prompts[:1], noise[:1], steps=1, seamless=False), atol=1e-5
    )


def test_without_the_measures_it_is_the_pipeline_itself(panorama_pipeline):
    from gan_course.stable_diffusion import text_to_image

    for scale in (1.0, 3.0):
        ours = text_to_panorama(panorama_pipeline, [PROMPT], seed=2, steps=3, guidance_scale=scale, seamless=False)
        options = {"seed": 2, "steps": 3, "guidance_scale": scale}
        assert torch.allclose(ours, text_to_image(panorama_pipeline, [PROMPT], **options), atol=1e-4)


def test_what_cannot_be_asked(panorama_pipeline, pipeline):
    with pytest.raises(ValueError, match="steps must be a whole number from 1"):
        text_to_panorama(panorama_pipeline, PROMPT, steps=0)
    with pytest.raises(TypeError, match="a prompt must be a string"):
        text_to_panorama(panorama_pipeline, [3])
    with pytest.raises(ValueError, match="shorten it"):
        text_to_panorama(panorama_pipeline, ", ".join([PROMPT] * 3))
    with pytest.raises(ValueError, match=r"latents are 8, no panorama's, .*: use text_to_image instead"):
        text_to_panorama(pipeline, "a red seven")
    with pytest.raises(ValueError, match="there are 1 prompts but noise for 2: pass one for each"):
        text_to_latents(panorama_pipeline, [PROMPT], torch.zeros(2, 4, 8, 16))


def test_panoramas_are_changed_and_mended_like_other_pictures(panorama_pipeline):
    """By diffusers' classes that know squares alone: rows and columns of a U-Net's maps are two numbers here."""
    from gan_course import stable_diffusion as sd

    images = torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1
    masks = torch.zeros(2, 1, 64, 128)
    masks[:, :, :, 64:] = 1
    prompts = [PROMPT, "a forest at night in fog"]
    changed = sd.image_to_image(panorama_pipeline, images, prompts, 0.6, steps=4)
    for made in (changed, sd.inpaint(panorama_pipeline, images, masks, prompts, 0.6, steps=4)):
        assert made.shape == images.shape and not torch.equal(made[..., 64:], images[..., 64:])
    other = sd.image_to_image(panorama_pipeline, images, prompts[::-1], 0.6, steps=4)
    assert not torch.equal(changed, other), "the prompt counts"
    assert list(panorama_pipeline.unet.config.sample_size) == [8, 16], "and nothing was changed for it"
