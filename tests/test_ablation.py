"""The recipe's variants: each trains, and each differs from the recipe in what its name says."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from gan_course import cli, data
from gan_course.recipes import ablation
from gan_course.training import CONVOLUTIONAL

IMAGES = data.load("glyphs", count=200).images


def layers(trainer, kind) -> int:
    return sum(isinstance(module, kind) for module in trainer.generator.modules())


@pytest.mark.parametrize("name", ablation.VARIANTS)
def test_every_variant_trains_and_samples(name):
    trainer = ablation.variant(name, IMAGES)
    before = [p.clone() for p in trainer.generator.parameters()]
    for _ in range(2):
        record = trainer.step()
    assert all(value.isfinite() for value in record.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.generator.parameters(), strict=True))
    samples = trainer.sample(4)
    assert samples.shape == (4, 1, 28, 28) and samples.dtype == torch.float32 and samples.abs().max() <= 1


def test_what_is_taken_away_is_gone():
    full = ablation.variant("the recipe", IMAGES)
    assert full.settings == CONVOLUTIONAL
    assert (
        layers(full, nn.BatchNorm2d) == 4
        and layers(ablation.variant("without batch norm", IMAGES), nn.BatchNorm2d) == 0
    )
    without = ablation.variant("without extra convolutions", IMAGES)
    assert (layers(full, nn.Conv2d), layers(without, nn.Conv2d)) == (2, 0)
    assert layers(without, nn.ConvTranspose2d) == layers(full, nn.ConvTranspose2d) == 2
    nearest = ablation.variant("with nearest upsampling", IMAGES)
    assert (layers(nearest, nn.ConvTranspose2d), layers(nearest, nn.Upsample)) == (0, 2)
    assert layers(ablation.variant("with residual layers", IMAGES), ablation.Residual) == 2
    shallow = ablation.variant("without the third halving", IMAGES)
    assert sum(isinstance(m, nn.Conv2d) for m in shallow.discriminator.modules()) == 2
    average = ablation.variant("without the average", IMAGES)
    average.step()
    for mean, weight in zip(average.average.parameters(), average.generator.parameters(), strict=True):
        assert torch.equal(mean, weight)


def test_spectral_norm_bounds_every_layer_of_the_discriminator():
    trainer = ablation.variant("with spectral norm for R1", IMAGES)
    for _ in range(30):  # the power iteration needs some steps
        trainer.discriminator(IMAGES[:4])
    weights = [m.weight for m in trainer.discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weights) == 4
    for weight in weights:
        assert torch.linalg.matrix_norm(weight.flatten(1), ord=2).item() == pytest.approx(1, abs=0.05)


def test_an_unknown_variant():
    with pytest.raises(ValueError, match=r"no variant 'without luck': did you mean .* Known: the recipe, without"):
        ablation.variant("without luck", IMAGES)


def test_measuring_one_variant(monkeypatch):
    glyphs = data.load("glyphs", count=500)
    monkeypatch.setattr(data, "load", lambda name, **options: glyphs)  # MNIST may not be here
    run = ablation.measure(("without convolutions", 0, (0.2, 0.4)))
    first, second = run["distances"]
    assert 1 < first != second > 1 and run["rate"] > 10
    assert run["pictures"].shape == (20, 1, 28, 28)


def test_results_come_back_as_they_were_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "RESULTS", tmp_path / "results.safetensors")
    pictures = {"the recipe": torch.rand(3, 1, 28, 28) * 2 - 1}
    rows = [{"variant": "the recipe", "median": 1.5}]
    ablation.save_results(rows, pictures, seconds=1)
    back, images = ablation.load_results()
    assert back == rows
    torch.testing.assert_close(images["the recipe"], pictures["the recipe"], atol=0.004, rtol=0)


def test_the_shipped_table_knows_every_variant():
    rows, pictures = ablation.load_results()
    assert [row["variant"] for row in rows] == list(pictures) == list(ablation.VARIANTS)
    assert all(len(row["distances"]) == 3 for row in rows)
    assert [row["variant"] for row in rows if "later" in row] == list(ablation.LONGER)


def test_the_floor_lies_below_every_run():
    rows, _ = ablation.load_results()
    every = [d for row in rows for d in row["distances"] + row.get("later", [])]
    assert 0.1 < ablation.load_floor() < min(every)


def test_measuring_the_floor(monkeypatch):
    glyphs = data.load("glyphs", count=2000)
    monkeypatch.setattr(data, "load", lambda name, **options: glyphs)  # MNIST may not be here
    monkeypatch.setattr(ablation, "SAMPLES", 1000)
    few = ablation.measure_floor()
    monkeypatch.setattr(ablation, "SAMPLES", 500)
    assert 0 < few < ablation.measure_floor(), "fewer pictures are farther apart"


def test_labels_help_on_every_seed():
    """Chapter 04 says: the worst run with labels is four times as close as the best one without."""
    told, untold = (ablation.load_labels()[name] for name in ("with labels", "without"))
    assert len(told) == len(untold) == len(ablation.SEEDS) and 4 * max(told) < min(untold)


def test_measuring_what_labels_do(monkeypatch):
    monkeypatch.setattr(ablation, "LABEL_STEPS", 20)
    found = [ablation.measure_labels((told, 0)) for told in (True, False)]
    assert all(distance > 10 for distance in found), "after so few steps nothing looks real"
    assert found[0] != found[1]


def test_r2_acts_on_generated_pictures(monkeypatch):
    trainer = ablation.variant("with R2 beside R1", IMAGES)
    seen = []
    monkeypatch.setattr(ablation, "r1_penalty", lambda judge, images: seen.append(images) or judge(images).sum() * 0)
    for _ in range(9):
        trainer.step()
    assert len(seen) == 2  # steps 0 and 8
    assert torch.equal(seen[1], trainer.last_batch[1]) and not torch.equal(seen[1], trainer.last_batch[0])


def test_measuring_a_variant_anew_keeps_the_other_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "RESULTS", tmp_path / "results.safetensors")
    names = ("the recipe", "without R1", "with momentum 0.5")
    rows = [{"variant": name, "median": 1.5} for name in names]
    kept = {"with labels": [0.5] * 3, "without": [2.0] * 3}
    ablation.save_results(rows, {name: torch.zeros(2, 1, 28, 28) for name in names}, seconds=1, labels=kept, floor=0.5)
    fresh = {"distances": [3.0, 2.0], "rate": 7.0, "pictures": torch.ones(2, 1, 28, 28)}
    monkeypatch.setattr(ablation, "measure", lambda task: fresh)
    monkeypatch.setattr(ablation, "ProcessPoolExecutor", ThreadPoolExecutor)
    assert cli.main(["ablation", "--only", "without R1"]) == 0
    back, pictures = ablation.load_results()
    assert [row["variant"] for row in back] == list(names)
    assert [row["median"] for row in back] == [1.5, 3.0, 1.5] and back[1]["later"] == [2.0] * 3
    assert pictures["without R1"].min() == 1 and pictures["the recipe"].max() < 0.01
    assert ablation.load_labels() == kept and ablation.load_floor() == 0.5
    monkeypatch.setattr(ablation, "measure_labels", lambda task: task[1] + 10.0 * task[0])
    assert cli.main(["ablation", "--only", "labels"]) == 0
    assert ablation.load_labels() == {"with labels": [10.0, 11.0, 12.0], "without": [0.0, 1.0, 2.0]}
    assert ablation.load_results()[0] == back


def test_an_unknown_name_is_refused(capsys):
    assert cli.main(["ablation", "--only", "without R1", "without luck"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("there is no variant 'without luck': did you mean 'without") and said.count("\n") == 1
