"""Chapter 08's own functions, taken from the notebook and run on a tiny, untrained pipeline."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
import torch

pytest.importorskip("diffusers")

from gan_course import diffusion
from gan_course import stable_diffusion as sd
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
