"""Chapter 08's own functions, taken from the notebook and run on a tiny, untrained pipeline."""

from __future__ import annotations

import ast
import copy
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("diffusers")
pytest.importorskip("peft")

from gan_course import diffusion
from gan_course import stable_diffusion as sd
from gan_course.data.attributes import DIGITS
from gan_course.stable_diffusion.networks import make_scheduler, make_tokenizer

CHAPTER = Path(__file__).parents[1] / "chapters" / "08_stable_diffusion.ipynb"


@pytest.fixture
def chapter(pipeline):
    """The chapter's functions, by name; nothing else of it is run."""
    space = {
        **{
            "torch": torch,
            "diffusion": diffusion,
            "sd": sd,
            "pipeline": pipeline,
            "STEPS": 25,
            "GUIDANCE": 3.0,
        },
        **{"vae": pipeline.vae, "scale": pipeline.vae.config.scaling_factor},
        **{"tokenizer": pipeline.tokenizer, "text_encoder": pipeline.text_encoder},
    }
    for cell in nbformat.read(CHAPTER, as_version=4).cells:
        if cell.cell_type == "code" and "%pip" not in cell.source:
            functions = [node for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)]
            exec(compile(ast.Module(functions, []), cell.id, "exec"), space)
    return space


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("steps", [1, 4, 30])
def test_the_loop_by_hand_is_the_pipelines_to_the_last_bit(chapter, pipeline, prediction, spacing, steps, monkeypatch):
    scheduler = make_scheduler(prediction)
    scheduler = scheduler.from_config(scheduler.config, timestep_spacing=spacing)
    monkeypatch.setattr(pipeline, "scheduler", scheduler)
    prompts = ["a red seven", "a small blue two"]
    ours = chapter["denoise"](pipeline, chapter["encode"](prompts), chapter["encode"](["", ""]), [4, 5], steps=steps)
    seeds = [torch.Generator().manual_seed(seed) for seed in (4, 5)]
    asked = {"num_inference_steps": steps, "guidance_scale": 3.0, "generator": seeds, "output_type": "latent"}
    assert torch.equal(ours, pipeline(prompts, **asked).images)
    assert torch.equal(chapter["decode"](ours), sd.text_to_image(pipeline, prompts, seed=4, steps=steps))


def test_compressing_and_decoding_undo_the_scale(chapter, pipeline):
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        plain = pipeline.vae.decode(pipeline.vae.encode(pictures).latent_dist.mean).sample.clamp(-1, 1)
    assert torch.allclose(chapter["decode"](chapter["compress"](pictures)), plain, atol=1e-5)
    assert chapter["psnr"](pictures, (pictures + 0.02)).tolist() == pytest.approx([40.0, 40.0], abs=1e-3)


def test_without_a_gpu_or_without_the_hub_the_mini_model_goes_on(chapter, pipeline, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model, sentence = chapter["real_or_mini"]("someone/some-model")
    assert model is pipeline
    assert sentence == "There is no GPU here, so someone/some-model stays on the hub and the mini model goes on."

    def unreachable(model_id, device):
        raise OSError(f"can't load {model_id} on {device}")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(sd, "load_pipeline", unreachable)
    model, sentence = chapter["real_or_mini"]("someone/some-model")
    assert model is pipeline and sentence == "The mini model goes on: can't load someone/some-model on cuda"


def test_with_a_gpu_a_real_folder_is_loaded_by_the_same_function(chapter, pipeline, tmp_path, monkeypatch):
    """On this machine "cuda" becomes the processor; the folder, the files and their loading are real."""
    pipeline.save_pretrained(tmp_path)
    make_tokenizer(tmp_path / "tokenizer")
    load = sd.load_pipeline
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(sd, "load_pipeline", lambda model_id, device: load(model_id))
    model, sentence = chapter["real_or_mini"](str(tmp_path))
    assert model is not pipeline and sentence == f"This is {tmp_path}, in 16 bits."
    made = sd.text_to_image(model, "a red seven", steps=2)
    assert torch.equal(made, sd.text_to_image(pipeline, "a red seven", steps=2))


def test_cross_attention_by_hand_is_the_librarys_and_knows_no_order(chapter, pipeline):
    words = torch.randn(2, 24, pipeline.unet.config.cross_attention_dim, generator=torch.Generator().manual_seed(3))
    layers = [layer for name, layer in pipeline.unet.named_modules() if name.endswith("attn2")]
    assert layers
    for layer in layers:
        places = torch.randn(2, 16, layer.to_q.in_features, generator=torch.Generator().manual_seed(4))
        with torch.no_grad():
            theirs = layer(places, encoder_hidden_states=words)
            assert torch.allclose(chapter["cross_attention"](layer, places, words), theirs, atol=1e-5)
            assert torch.allclose(chapter["cross_attention"](layer, places, words.flip(1)), theirs, atol=1e-5)


def test_teaching_a_word_changes_the_word_and_the_adapters_and_nothing_else(chapter, pipeline, monkeypatch):
    import peft

    monkeypatch.setattr(sd, "load_pipeline", lambda device: copy.deepcopy(pipeline))
    layers = ["to_q", "to_v", "conv1"]
    chapter |= {"WORD": "kay", "RANK": 2, "LAYERS": layers, "DIGITS": DIGITS, "SEED": 0, "NEW": 3, "OLD": 2, "F": F}
    chapter |= {"profile": SimpleNamespace(device="cpu"), "unet": pipeline.unet}
    chapter |= {"LoraConfig": peft.LoraConfig, "TrainableTokensConfig": peft.TrainableTokensConfig}
    learner, known = chapter["make_learner"](), ["a red seven", ""]
    noise = torch.randn(2, 4, pipeline.unet.config.in_channels, 8, 8, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        t, words = torch.tensor([400] * 4), chapter["encode"](known * 2)
        asked = {"timestep": t, "encoder_hidden_states": words}
        assert torch.equal(learner.unet(noise[0], **asked).sample, pipeline.unet(noise[0], **asked).sample)
    before = {name: p.clone() for part in (learner.unet, learner.text_encoder) for name, p in part.named_parameters()}
    lines = []
    view = SimpleNamespace(update=lambda step, text: lines.append((step, text)))
    chapter["teach"](learner, noise[0], ["a large red kay"] * 4, noise[1, :2], chapter["encode"](known), 3, view)
    assert [step for step, _ in lines] == [1, 2, 3] and all("new word" in text for _, text in lines)
    after = {name: p for part in (learner.unet, learner.text_encoder) for name, p in part.named_parameters()}
    changed = {name for name, p in after.items() if not torch.equal(p, before[name])}
    assert changed and all("lora_" in name or "trainable_tokens" in name for name in changed)
    assert any("lora_B" in name for name in changed) and any("trainable_tokens" in name for name in changed)
