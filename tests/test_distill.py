"""Adversarial distillation: the parts against independent ones, and a run that resumes and leaves its teacher alone."""

import copy

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("diffusers")
pytest.importorskip("accelerate")


from states import same, tensors_of, weights

from gan_course import stable_diffusion as sd
from gan_course.data.attributes import draw_attributes, is_held_out, phrase
from gan_course.recipes import find, student
from gan_course.recipes import run as runs
from gan_course.stable_diffusion import distill

TINY = student.StudentSettings(pictures=24, batch=8, width=8)
PROMPTS = ["a small red seven on a blue background", "a pink two", ""]


@pytest.fixture
def pipeline(make_pipeline):
    return make_pipeline(widths=(32, 32))


def noise_for(pipeline, count=3, seed=1):
    config = pipeline.unet.config
    shape = (count, config.in_channels, config.sample_size, config.sample_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------------ one step


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_one_step_is_the_pipelines_own(make_pipeline, prediction):
    pipeline = make_pipeline(prediction, widths=(32, 32))
    noise = noise_for(pipeline)
    with torch.no_grad():
        ours = distill.one_step(pipeline.unet, pipeline.scheduler, noise, distill.read_words(pipeline, PROMPTS))
    theirs = distill.from_the_end(pipeline)(
        PROMPTS, num_inference_steps=1, guidance_scale=1.0, latents=noise, output_type="latent"
    ).images
    assert torch.allclose(ours, theirs, atol=1e-4 * theirs.abs().max().item())


def test_the_guided_view_is_the_pipelines_own(pipeline):
    noise = noise_for(pipeline)
    words, empty = distill.read_words(pipeline, PROMPTS), distill.read_words(pipeline, [""] * 3)
    last = torch.full((3,), 999)
    with torch.no_grad():
        ours = distill.guided_view(pipeline.unet, pipeline.scheduler, noise, last, words, empty, 3.0)
        plain = distill.guided_view(pipeline.unet, pipeline.scheduler, noise, last, words, empty, 1.0)
        told = distill.clean_view(pipeline.unet, pipeline.scheduler, noise, last, words)
    theirs = distill.from_the_end(pipeline)(
        PROMPTS, num_inference_steps=1, guidance_scale=3.0, latents=noise, output_type="latent"
    ).images
    assert torch.allclose(ours, theirs, atol=1e-4) and torch.allclose(plain, told, atol=1e-5)


def test_steps_from_the_end_start_there_and_leave_the_pipeline_alone(pipeline):
    before = dict(pipeline.scheduler.config)
    changed = distill.from_the_end(pipeline)
    changed.scheduler.set_timesteps(4)
    assert changed.scheduler.timesteps.tolist() == [999, 749, 499, 249]
    assert dict(pipeline.scheduler.config) == before and changed.unet is pipeline.unet
    other = copy.deepcopy(pipeline.unet)
    assert distill.from_the_end(pipeline, other).unet is other


def test_words_are_the_text_encoders(pipeline):
    theirs, _ = pipeline.encode_prompt(PROMPTS, "cpu", 1, False)
    assert torch.equal(distill.read_words(pipeline, PROMPTS), theirs)


# ------------------------------------------------------------------------------------------ the discriminator


def test_features_are_what_a_whole_call_computes(pipeline):
    unet, seen = pipeline.unet, []
    places = [unet.conv_in, unet.mid_block]
    for block in unet.down_blocks:
        places += [*block.attentions, *(block.downsamplers or [])]
    hooks = [
        place.register_forward_hook(
            lambda module, _, out: seen.append((module, out if isinstance(out, torch.Tensor) else out[0]))
        )
        for place in places
    ]
    noisy, words = noise_for(pipeline), distill.read_words(pipeline, PROMPTS)
    times = torch.tensor([3, 500, 999])
    with torch.no_grad():
        unet(noisy, times, encoder_hidden_states=words)
        for hook in hooks:
            hook.remove()
        ours = distill.features(unet, noisy, times, words)
    assert len(ours) == len(seen) and all(torch.equal(a, b) for a, (_, b) in zip(ours, seen, strict=True))
    assert [x.shape[1] for x in ours] == distill.feature_widths(unet)


def test_the_discriminator_hears_the_words_and_the_time(pipeline):
    noisy, words = noise_for(pipeline), distill.read_words(pipeline, PROMPTS)
    heads = distill.Heads(distill.feature_widths(pipeline.unet), 8)

    def judge(times, words):
        with torch.no_grad():
            return heads(distill.features(pipeline.unet, noisy, torch.full((3,), times), words))

    plain = judge(100, words)
    assert plain.shape == (3, sum(x.shape[2] * x.shape[3] for x in distill.features(pipeline.unet, noisy, 1, words)))
    assert not torch.allclose(plain, judge(100, words.flip(0)), atol=1e-4)
    assert not torch.allclose(plain, judge(700, words), atol=1e-4)


# ------------------------------------------------------------------------------------------ the losses


def test_the_distillation_loss_against_a_plain_sum():
    made, seen = torch.randn(2, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    alpha_bar = torch.tensor([1.0, 0.49, 0.25, 0.0])
    by_hand = sum(root * F.mse_loss(m, s) for root, m, s in zip([1, 0.7, 0.5, 0], made, seen, strict=True)) / 4
    assert torch.isclose(distill.distillation_loss(made, seen, alpha_bar), by_hand)


def test_only_the_students_pictures_are_a_path_for_gradients():
    made, seen = (torch.randn(2, 3, 8, 8, requires_grad=True) for _ in range(2))
    distill.distillation_loss(made, seen, torch.ones(2)).backward()
    assert made.grad.abs().sum() > 0 and seen.grad is None


# ------------------------------------------------------------------------------------------ the run


def test_the_student_starts_as_a_copy_and_the_teacher_never_learns(pipeline):
    networks = pipeline.unet, pipeline.text_encoder, pipeline.vae
    before = [tensors_of(network) for network in networks]
    run = student.StudentRun(0, 6, pipeline, settings=TINY)
    assert same(tensors_of(run.student.network), before[0])
    first = weights(run)
    shown = run.step()
    assert {"found", "fooled", "apart"} == shown.keys() and all(value.isfinite() for value in shown.values())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in run.student.network.parameters() if p.ndim > 1)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in run.heads.network.parameters())
    moved = weights(run)
    assert any(not torch.equal(first[key], moved[key]) for key in first if key.startswith("student/network/"))
    assert any(not torch.equal(first[key], moved[key]) for key in first if key.startswith("heads/network/"))
    assert all(p.grad is None for network in networks for p in network.parameters())
    assert all(same(tensors_of(network), old) for network, old in zip(networks, before, strict=True))


def test_the_students_step_leaves_the_heads_gradients_alone(pipeline):
    run = student.StudentRun(0, 6, pipeline, settings=TINY)
    seen, update = [], run.update

    def watch(part, loss):
        seen.append([p.grad for p in run.heads.network.parameters()])
        update(part, loss)

    run.update = watch
    run.step()
    assert all(gradient is None for gradient in seen[0]) and len(seen) == 2


def test_an_interrupted_run_goes_on_bit_for_bit(pipeline, tmp_path, capsys):
    before = torch.get_rng_state()
    whole = student.StudentRun(0, 5, pipeline, settings=TINY)
    runs.follow(whole, tmp_path / "whole.safetensors")
    cut = student.StudentRun(0, 5, pipeline, settings=TINY)
    cut.save = lambda path, save=cut.save: (save(path), exec("raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        runs.follow(cut, tmp_path / "cut.safetensors", every=3)
    again = student.StudentRun(0, 5, pipeline, settings=TINY)
    runs.follow(again, tmp_path / "cut.safetensors", every=3)
    assert again.done == 5 and same(weights(again), weights(whole))
    assert torch.equal(torch.get_rng_state(), before), "training must not disturb the caller's random numbers"
    assert "5/5" in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_does_the_work_and_hands_it_back(pipeline):
    run = student.StudentRun(0, 6, pipeline, settings=TINY)
    assert all(value.is_cuda and value.isfinite() for value in run.step().values())
    assert all(value.device.type == "cpu" for value in run.student.finished().state_dict().values())


def test_no_held_out_pair_is_ever_trained_on_and_captions_stay_true(pipeline):
    run = student.StudentRun(0, 5, pipeline, settings=TINY)
    assert len(run.records) == 24 and not any(map(is_held_out, run.records))
    records = draw_attributes(3000, seed=7)
    written = run.write(records, runs.random_numbers(0, 0))
    full = sum(text == phrase(r) for text, r in zip(written, records, strict=True)) / 3000
    assert abs(full - (0.8 + 0.2 * 0.6**4)) < 0.03
    assert all(text for text in written) and any("background" not in text for text in written)
    times = run.times(0.5, runs.random_numbers(0, 1))
    assert times.shape == (8,) and 0 <= times.min() < 70 and 420 < times.max() < 500


# ------------------------------------------------------------------------------------------ the recipe and the zoo


@pytest.fixture(scope="module")
def trained(make_pipeline, store_pipeline):
    """A zoo with a tiny teacher and its student, made by the recipe."""
    place = store_pipeline(make_pipeline(widths=(32, 32)))
    run = student.StudentRun(0, 2, sd.load_pipeline(folder=place), settings=TINY)
    run.step()
    measure = run.measure
    run.measure = lambda *networks: measure(*networks, count=8, steps=(1, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sd, "STEPS", 2)
        card = run.finish(place, {"seed": 0})
    return place, run, card


def test_the_student_comes_back_from_16_bits_as_32(trained):
    place, run, card = trained
    student = distill.load_student(folder=place)
    kept = tensors_of(run.student.average)
    assert all(value.dtype == torch.float32 for value in student.state_dict().values()) and not student.training
    assert all(torch.equal(value, kept[key].half().float()) for key, value in student.state_dict().items())
    half = sum(value.numel() for value in kept.values()) * 2
    assert half < card["files"]["diffusion_pytorch_model.safetensors"]["bytes"] < half * 1.2
    images = sd.text_to_image(
        distill.from_the_end(sd.load_pipeline(folder=place), student), PROMPTS[:2], steps=1, guidance_scale=1.0
    )
    assert images.shape == (2, 3, 32, 32)


def test_the_card_says_how_student_and_teacher_do(trained):
    _, _, card = trained
    found = card["metrics"]
    assert [(row["steps"], row["guidance"]) for row in found["teacher"]] == [(1, 3.0), (2, 3.0), (1, 1.0)]
    for row in [*found["teacher"], found["student"]]:
        assert row["frechet"] > 0 and row["seconds"] > 0 and 0 <= row["recall"] <= 1 and row["edge_energy"] > 0
        assert row["spread"] > 0
        assert set(row["right"]) == {"all", "character", "colour", "background", "size", "position", "style"}
    assert set(found["held_out"]) == {"teacher", "student"} and card["seed"] == 0


def test_a_students_changed_file_is_refused(trained, tmp_path):
    import shutil

    place = shutil.copytree(trained[0], tmp_path / "zoo")
    path = place / distill.STUDENT / "diffusion_pytorch_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not that of its card"):
        distill.load_student(folder=place)
    with pytest.raises(ValueError, match="there is no trained network 'mini_student'"):
        distill.load_student(folder=tmp_path)


def test_without_a_teacher_the_recipe_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no teacher in .*: run gan-course train text_to_image first"):
        find("student").start(0, 1, None, tmp_path)
