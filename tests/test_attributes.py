"""What a coloured glyph shows, as numbers; and which combinations training never sees."""

import pytest
import torch

from gan_course.classifiers import AttributeClassifier
from gan_course.data import attributes
from gan_course.data.attributes import FIELDS, HELD_OUT_PAIRS, Attributes, as_indices, draw_attributes, inks, phrase


def test_every_held_out_pair_can_be_drawn_and_each_half_is_seen_with_others():
    for (a, x), (b, y) in HELD_OUT_PAIRS:
        assert x in FIELDS[a] and y in FIELDS[b] and a != b
        if (a, b) == ("colour", "background"):
            assert x in inks(y)
    seen = draw_attributes(6000, seed=1)
    for (a, x), (b, y) in HELD_OUT_PAIRS:
        assert not any(getattr(r, a) == x and getattr(r, b) == y for r in seen)
        assert sum(getattr(r, a) == x for r in seen) > 100 and sum(getattr(r, b) == y for r in seen) > 100
    for field, values in FIELDS.items():
        assert {getattr(r, field) for r in seen} == set(values)


def test_drawing_keeps_to_what_was_asked_and_repeats():
    seen, unseen = draw_attributes(300, seed=2), draw_attributes(300, seed=2, held_out=True)
    assert len(seen) == len(unseen) == 300
    assert not any(map(attributes.is_held_out, seen)) and all(map(attributes.is_held_out, unseen))
    assert seen == draw_attributes(300, seed=2) != draw_attributes(300, seed=3)
    share = sum(map(attributes.is_held_out, draw_attributes(3000, seed=2, held_out=None))) / 3000
    assert 0.2 < share < 0.5
    used = [pair for pair in HELD_OUT_PAIRS if any(all(getattr(r, f) == v for f, v in pair) for r in unseen)]
    assert len(used) == len(HELD_OUT_PAIRS)


def test_a_phrase_is_the_caption_less_what_is_left_out():
    for record in draw_attributes(200, seed=4, held_out=None):
        assert phrase(record) == f"{phrase(record, ['position'])} {record.position}"
    record = Attributes("8", "orange", "black", "small", "at the top left", "bold italic")
    assert phrase(record, ["size"]) == "an orange eight in bold italic on a black background at the top left"
    assert phrase(record, ["size", "colour"]).startswith("an eight in bold italic on a black")
    assert phrase(record, ["size", "background", "position"]) == "an orange eight in bold italic"
    with pytest.raises(ValueError, match="can't leave out 'style': choose from size, colour"):
        phrase(record, ["style"])


def test_indices_name_the_values():
    records = draw_attributes(50, seed=5)
    table = as_indices(records)
    assert table.shape == (50, 6) and table.dtype == torch.int64
    for record, row in zip(records, table.tolist(), strict=True):
        assert {field: values[i] for (field, values), i in zip(FIELDS.items(), row, strict=True)} == vars(record)


def test_the_reader_reads_each_picture_by_itself():
    torch.manual_seed(0)
    network = AttributeClassifier()
    images = torch.rand(5, 3, 32, 32) * 2 - 1
    logits = network(images)
    assert logits.shape == (5, 42) and network.features(images).shape == (5, 128)
    assert [part.shape[1] for part in network.split(logits)] == [10, 10, 10, 3, 5, 4]
    assert torch.allclose(network(images[2:3]), logits[2:3], atol=1e-5)
    read = network.read(images)
    assert read.shape == (5, 6)
    assert all((read[:, i] < len(values)).all() for i, values in enumerate(FIELDS.values()))
