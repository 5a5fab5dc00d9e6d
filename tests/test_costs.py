"""The tables of facts and what is computed with them: schema, closed forms, properties, operations."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import itertools
import math
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gan_course import costs, networks, unet
from gan_course.costs import facts

# ------------------------------------------------------------------------------------------ the tables


@pytest.mark.parametrize("name", costs.TABLES)
def test_every_table_loads_and_names_its_sources(name):
    rows = costs.load(name)
    assert len(rows) >= 15
    for fact in rows:
        assert fact.amountless or (fact.source_title and fact.source_address)
        assert fact.status in costs.STATUS
        assert not re.search(r"stored|example\.com", f"{fact.note} {fact.source_address}")
    assert len(costs.sources(rows)) >= 5
    addresses = {(fact.source_title, fact.source_address) for fact in rows if fact.source_address}
    assert len(addresses) == len(costs.sources(rows)), "one title for two pages: the list of sources would drop one"


def test_no_table_holds_a_fact_that_its_status_does_not_allow():
    every = [fact for name in costs.TABLES for fact in costs.load(name)]
    assert {fact.status for fact in every} == set(costs.STATUS)
    silent = [fact for fact in every if fact.amountless]
    assert silent and {fact.status for fact in silent} == {"UNVERIFIED", "UNDISCLOSED"}
    with pytest.raises(ValueError, match="there is no amount, it is UNVERIFIED"):
        _ = next(f for f in silent if f.status == "UNVERIFIED").middle


def test_the_benchmark_rows_are_their_raw_means_times_the_factor():
    for fact in costs.load("mlperf"):
        raw, factor = map(float, re.findall(r"[\d.]+", fact.note))
        assert fact.value == pytest.approx(raw * factor, abs=0.006)  # both are rounded


def test_the_card_of_stable_diffusion_agrees_with_itself():
    training = costs.load("training")
    hours, co2, power, carbon = (
        costs.pick(training, "SD v1.x", quantity).value
        for quantity in ("GPU-hours", "CO2 emitted", "power of one GPU", "carbon of electricity")
    )
    assert hours * power * carbon == pytest.approx(co2)


GOOD = {
    "entity": "A", "date": "2024-06", "quantity": "price per GPU-hour", "gpu": "H100", "terms": "list", "value": "2.5",
    "low": "", "high": "", "unit": "USD per GPU-hour", "source_title": "a page", "source_address": "https://x.org/p",
    "status": "reported", "note": "",
}  # fmt: skip


def write(folder, *rows, fields=tuple(GOOD)):
    with (folder / "gpu_prices.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_a_sound_table_loads(tmp_path):
    (fact,) = costs.load("gpu_prices", write(tmp_path, GOOD))
    assert (fact.value, fact.amount, fact.year) == (2.5, "2.5", pytest.approx(2024.45, abs=0.02))
    assert costs.listing([fact]) == "2024-06  A  price per GPU-hour  2.5  USD per GPU-hour  reported"


@pytest.mark.parametrize(
    "changes, field, says",
    [
        ({"value": "a lot"}, "value", "valid number"),
        ({"value": "-1"}, "value", "greater than"),
        ({"value": "0"}, "value", "greater than 0"),
        ({"value": "nan"}, "value", "finite"),
        ({"value": "", "low": "5", "high": "4"}, "amount or source", "low 5 is above high 4"),
        ({"low": "1"}, "amount or source", "keep one of them"),
        ({"value": ""}, "amount or source", "no amount"),
        ({"value": "", "low": "-3"}, "low", "greater than 0"),
        ({"date": "June 2024"}, "date", "is no date: write 2024"),
        ({"date": "2024-13"}, "date", "month must be in 1..12"),
        ({"date": "2024-06-31"}, "date", "day"),
        ({"date": "2031"}, "date", "lies outside of 2014"),
        ({"date": "1999"}, "date", "lies outside of 2014"),
        ({"unit": "EUR"}, "unit", "USD per GPU-hour"),
        ({"terms": "gift"}, "terms", "'list', 'market'"),
        ({"status": "sure"}, "status", "'verified', 'reported'"),
        ({"source_address": "x.org"}, "source_address", "valid URL"),
        ({"source_address": ""}, "amount or source", "names no source"),
        ({"source_title": " "}, "amount or source", "names no source"),
        ({"entity": ""}, "entity", "at least 1 character"),
    ],
)
def test_a_fault_is_named_by_file_row_and_field(tmp_path, changes, field, says):
    with pytest.raises(ValueError) as error:
        costs.load("gpu_prices", write(tmp_path, GOOD, GOOD | {"entity": "B"} | changes))
    assert str(error.value).startswith(f"gpu_prices.csv, row 3, {field}: ")
    assert says in str(error.value)


def test_all_faults_are_told_at_once(tmp_path):
    with pytest.raises(ValueError) as error:
        costs.load("gpu_prices", write(tmp_path, GOOD | {"unit": "EUR", "gpu": "B9"}, GOOD | {"value": "x"}))
    told = {line.split(":")[0] for line in str(error.value).splitlines()}
    assert told == {f"gpu_prices.csv, row {where}" for where in ("2, gpu", "2, unit", "3, value")}


def test_a_fact_told_twice_is_refused_unless_two_sources_disagree(tmp_path):
    with pytest.raises(ValueError, match=r"gpu_prices\.csv, row 3, quantity: row 2 has the same entity"):
        costs.load("gpu_prices", write(tmp_path, GOOD, GOOD | {"value": "3"}))
    other = GOOD | {"value": "3", "source_title": "another page"}
    with pytest.raises(ValueError, match="mark both as CONFLICT"):
        costs.load("gpu_prices", write(tmp_path, GOOD, other))
    marked = [row | {"status": "CONFLICT"} for row in (GOOD, other)]
    assert len(costs.load("gpu_prices", write(tmp_path, *marked))) == 2


def test_missing_and_unknown_fields_are_named(tmp_path):
    row = {name: text for name, text in GOOD.items() if name != "unit"} | {"colour": "red"}
    with pytest.raises(ValueError, match=r"missing: unit, unknown: colour"):
        costs.load("gpu_prices", write(tmp_path, row, fields=tuple(row)))
    with pytest.raises(ValueError, match="there is no table 'rents': choose one of market"):
        costs.load("rents")


@pytest.mark.parametrize(
    "date, first, last",
    [
        ("2024", (2024, 1, 1), (2024, 12, 31)),
        ("2024-H1", (2024, 1, 1), (2024, 6, 30)),
        ("2023-H2", (2023, 7, 1), (2023, 12, 31)),
        ("2024-Q1", (2024, 1, 1), (2024, 3, 31)),
        ("2024-Q4", (2024, 10, 1), (2024, 12, 31)),
        ("2024-02", (2024, 2, 1), (2024, 2, 29)),
        ("2024-12", (2024, 12, 1), (2024, 12, 31)),
        ("2026-05-20", (2026, 5, 20), (2026, 5, 20)),
    ],
)
def test_dates_of_every_precision(date, first, last):
    assert costs.period(date) == (datetime.date(*first), datetime.date(*last))


@pytest.mark.parametrize("date", ["24", "2024-Q5", "2024-H3", "2024-6", "", "2024-00"])
def test_no_dates(date):
    with pytest.raises(ValueError):
        costs.period(date)


def test_amounts_in_words():
    base = {name: text for name, text in GOOD.items() if name not in ("gpu", "terms")} | {"unit": "USD"}

    def amount(**ends):
        return facts.Fact.model_validate(base | {"value": ""} | ends).amount

    assert amount(low="8", high="12") == "8 to 12"
    assert amount(low="7") == "at least 7"
    assert amount(high="50000") == "at most 50,000"
    assert amount(value="0.0006") == "0.0006"
    assert amount(status="UNVERIFIED") == "unknown"


def test_pick_wants_exactly_one():
    training = costs.load("training")
    assert costs.pick(training, "SD v1.x", "GPU-hours").value == 150_000
    with pytest.raises(ValueError, match="there are 0 facts about 'SD v9', 'GPU-hours'"):
        costs.pick(training, "SD v9", "GPU-hours")


def test_seconds_per_image_of_every_kind_of_row():
    found = {fact.entity: fact.seconds_per_image for fact in costs.load("latency")}
    assert found["SD v1.5 fp16 A100 batch 1, torch 2.0 no compile"] == pytest.approx(50 / 21.66)
    assert found["DDPM 32x32"] == pytest.approx(20 * 3600 / 50_000)
    assert found["GAN 32x32"] == pytest.approx(60 / 50_000)
    assert all(0 < seconds < 100 for seconds in found.values())


# ------------------------------------------------------------------------------------------ the business

PLAIN = costs.Business(
    price_usd_per_image=0.04,
    images_per_month=1e6,
    free_share=0.5,
    steps=50,
    seconds_per_step=0.04,
    other_seconds_per_image=0.25,
    gpu_usd_per_hour=3.2,
    utilisation=0.4,
    fixed_usd_per_month=8000,
    training_usd=24000,
    amortised_months=12,
)


def test_closed_forms():
    assert PLAIN.seconds_per_image == pytest.approx(2.25)
    assert PLAIN.gpu_usd_per_image == pytest.approx(0.005)
    assert PLAIN.gpu_usd_per_paid_image == pytest.approx(0.01)
    assert PLAIN.fixed_total_usd_per_month == pytest.approx(10_000)
    assert PLAIN.margin_usd_per_image == pytest.approx(0.015)
    assert PLAIN.profit_usd_per_month == pytest.approx(5000)
    assert PLAIN.total_usd_per_paid_image() == pytest.approx(0.03)
    assert PLAIN.break_even_images_per_month() == pytest.approx(10_000 / 0.015)
    assert PLAIN.gpus == pytest.approx(1e6 * 2.25 / 2_592_000 / 0.4)


def businesses(count=200, seed=0):
    """Random businesses over several powers of ten."""
    random = np.random.default_rng(seed)

    def log(low, high):
        return float(np.exp(random.uniform(np.log(low), np.log(high))))

    for _ in range(count):
        yield costs.Business(
            log(1e-3, 1), log(1e3, 1e9), random.uniform(0, 0.99), int(log(1, 100)), log(1e-3, 1), random.uniform(0, 1),
            log(0.1, 15), random.uniform(0.01, 1), log(1, 1e7), log(1, 1e8), log(1, 60),
        )  # fmt: skip


def test_at_the_break_even_volume_the_profit_is_nothing():
    reached = 0
    for business in businesses():
        try:
            volume = business.break_even_images_per_month()
        except costs.NeverBreaksEven:
            assert business.margin_usd_per_image <= 0
            continue
        reached += 1
        there = business.but(images_per_month=volume)
        assert there.profit_usd_per_month == pytest.approx(0, abs=1e-6 * there.revenue_usd_per_month)
        assert there.total_usd_per_paid_image() == pytest.approx(business.price_usd_per_image)
    assert 20 < reached < 200, "both cases should be tried"


def volume(business):
    """The break-even volume, endless where no volume is enough."""
    try:
        return business.break_even_images_per_month()
    except costs.NeverBreaksEven:
        return math.inf


@pytest.mark.parametrize(
    "name, factor, direction",
    [
        ("price_usd_per_image", 0.9, 1),  # a lower price: more pictures are needed
        ("utilisation", 0.9, 1),
        ("gpu_usd_per_hour", 1.1, 1),
        ("steps", 2, 1),
        ("seconds_per_step", 1.1, 1),
        ("fixed_usd_per_month", 1.1, 1),
        ("training_usd", 1.1, 1),
        ("amortised_months", 1.1, -1),
        ("images_per_month", 2, 0),
    ],
)
def test_the_break_even_volume_moves_the_right_way(name, factor, direction):
    for business in businesses():
        before, after = volume(business), volume(business.but(**{name: getattr(business, name) * factor}))
        if math.isfinite(before) and math.isfinite(after):
            change = (after - before) / max(before, 1e-300)
            assert direction * change > 0 if direction else change == 0, (business, change)
        else:  # a change for the worse may make it endless, one for the better finite
            assert after == before or (after == math.inf) == (direction > 0)


def test_cost_falls_with_utilisation_and_rises_with_the_free_tier():
    shares = np.linspace(0.05, 1, 20)
    per_image = [PLAIN.but(utilisation=float(share)).gpu_usd_per_image for share in shares]
    assert all(a > b for a, b in itertools.pairwise(per_image))
    per_paid = [PLAIN.but(free_share=float(share)).gpu_usd_per_paid_image for share in np.linspace(0, 0.95, 20)]
    assert all(a < b for a, b in itertools.pairwise(per_paid))


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"utilisation": 0}, "utilisation is 0: GPUs that are never busy make no picture"),
        ({"utilisation": 1.01}, "none is busy more than always"),
        ({"free_share": 1}, "free_share is 1, so that nobody pays"),
        ({"price_usd_per_image": -0.01}, "price_usd_per_image can't be negative but is -0.01"),
        ({"gpu_usd_per_hour": -1}, "gpu_usd_per_hour can't be negative"),
        ({"amortised_months": 0}, "at least one month"),
        ({"steps": math.inf}, "steps must be a finite number but is inf"),
        ({"training_usd": math.nan}, "training_usd must be a finite number but is nan"),
        ({"fixed_usd_per_month": "8000"}, "must be a finite number but is '8000'"),
    ],
)
def test_what_can_not_be_gets_a_sentence(changes, sentence):
    with pytest.raises(ValueError) as error:
        PLAIN.but(**changes)
    assert sentence in str(error.value)


def test_zero_volume_loses_the_fixed_costs_and_has_no_cost_a_picture():
    idle = PLAIN.but(images_per_month=0)
    assert idle.profit_usd_per_month == -10_000
    with pytest.raises(ValueError, match="images_per_month is 0"):
        idle.total_usd_per_paid_image()


def test_a_business_that_loses_with_each_picture_says_so():
    with pytest.raises(costs.NeverBreaksEven, match=r"brings in 0\.0025 USD and costs 0\.0050 USD of GPU time"):
        PLAIN.but(price_usd_per_image=0.005).break_even_images_per_month()
    exactly = PLAIN.but(price_usd_per_image=0.01)
    assert exactly.margin_usd_per_image == pytest.approx(0)
    with pytest.raises(costs.NeverBreaksEven):
        PLAIN.but(price_usd_per_image=0).break_even_images_per_month()


def test_without_fixed_costs_every_margin_that_is_no_loss_breaks_even_at_once():
    assert PLAIN.but(fixed_usd_per_month=0, training_usd=0).break_even_images_per_month() == 0


def test_tornado_is_sorted_and_leaves_the_others_alone():
    ranges = {"steps": (1, 50), "price_usd_per_image": (0.03, 0.05), "training_usd": (24_000, 24_000)}
    swings = costs.tornado(PLAIN, ranges, lambda b: b.profit_usd_per_month)
    assert [swing.name for swing in swings] == ["price_usd_per_image", "steps", "training_usd"]
    assert swings[0].at_low == pytest.approx(0) and swings[0].at_high == pytest.approx(10_000)
    assert swings[2].width == 0
    with pytest.raises(ValueError, match="no parameter 'luck'"):
        costs.tornado(PLAIN, {"luck": (0, 1)}, lambda b: 0)
    with pytest.raises(ValueError, match="from 9 down to 1"):
        costs.tornado(PLAIN, {"steps": (9, 1)}, lambda b: 0)


def test_every_parameter_and_property_carries_its_unit_or_is_a_plain_number():
    units = ("_usd_", "_usd", "usd_", "seconds", "_month", "months")
    plain = {"free_share", "utilisation", "steps", "gpus"}
    names = [field.name for field in dataclasses.fields(costs.Business)]
    names += [name for name, member in vars(costs.Business).items() if isinstance(member, property)]
    assert all(name in plain or any(unit in name for unit in units) for name in names)


# ------------------------------------------------------------------------------------------ operations


def by_torch(network, *inputs, **options):
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(*inputs, **options)
    return counter.get_total_flops()


def mini_networks():
    from gan_course import stable_diffusion as sd

    pipeline = sd.load_pipeline()
    x, words = torch.randn(2, 8, 8, 8), torch.randn(2, 24, 96)
    yield "unet", pipeline.unet, (x, 500), {"encoder_hidden_states": words}
    yield "encoder", pipeline.vae.encoder, (torch.randn(2, 3, 32, 32),), {}
    yield "decoder", pipeline.vae.decoder, (x,), {}
    yield "text encoder", pipeline.text_encoder, (torch.zeros(2, 24, dtype=torch.long),), {}
    yield "generator", networks.ConvGenerator(), (torch.randn(3, 64),), {}
    yield "discriminator", networks.ConvDiscriminator(), (torch.randn(3, 1, 28, 28),), {}
    yield "chapter 07", unet.DiffusionUNet(classes=10), (torch.randn(3, 1, 28, 28), 500), {}


def test_operations_agree_with_pytorchs_own_counter():
    for name, network, inputs, options in mini_networks():
        ours, theirs = costs.count_operations(network, *inputs, **options), by_torch(network, *inputs, **options)
        assert ours == pytest.approx(theirs, rel=0.02), name


def test_operations_by_hand():
    layer = nn.Conv2d(3, 5, 4, stride=2, groups=1)
    assert costs.count_operations(layer, torch.zeros(2, 3, 10, 10)) == 2 * (2 * 5 * 4 * 4) * (3 * 4 * 4)
    assert costs.count_operations(nn.Conv2d(4, 6, 3, groups=2), torch.zeros(1, 4, 5, 5)) == 2 * (6 * 9) * (2 * 9)
    assert costs.count_operations(nn.Linear(7, 3), torch.zeros(2, 5, 7)) == 2 * 2 * 5 * 7 * 3
    assert costs.count_operations(nn.ConvTranspose2d(3, 5, 2, stride=2), torch.zeros(1, 3, 4, 4)) == 2 * 48 * 5 * 4
    assert costs.count_operations(nn.Sequential(nn.ReLU(), nn.GroupNorm(1, 2)), torch.zeros(1, 2, 3, 3)) == 0


def test_counting_leaves_no_hooks_behind_even_after_an_error():
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    with pytest.raises(RuntimeError):
        costs.count_operations(network, torch.zeros(1, 3))
    assert not any(layer._forward_hooks for layer in network.modules())


def test_stable_diffusion_itself_is_counted_without_its_weights():
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        inputs, words = (torch.zeros(1, 4, 64, 64), 500), torch.zeros(1, 77, 768)
        assert networks.count_parameters(unet) == 859_520_964  # what its own README rounds to 860 million
        ours = costs.count_operations(unet, *inputs, encoder_hidden_states=words)
        assert ours == pytest.approx(by_torch(unet, *inputs, encoder_hidden_states=words), rel=0.02)
    assert 0.7e12 < ours < 0.9e12


def test_every_input_of_a_counted_network_is_looked_at():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, *parts):
            return sum(self.linear(part) for part in parts)

    part = torch.zeros(1, 3)
    assert costs.count_operations(Sum(), part, part, part) == 3 * 12
    for place in range(3):
        parts = [part.double() if i == place else part for i in range(3)]
        with pytest.raises(ValueError, match=rf"^inputs\[{place}\] must be a float32 tensor"):
            costs.count_operations(Sum(), *parts)
