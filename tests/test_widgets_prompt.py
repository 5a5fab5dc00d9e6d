"""The prompt bench: what its menus say, what it paints, what the reader finds, and what it refuses. No browser.

Most of it is the same for both models, and is tested with digits; below stands what panoramas have of their own.
"""

import html
import io
import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from widget_page import assert_a_still_is_left, assert_drops

from gan_course import stable_diffusion as sd
from gan_course import widgets, zoo
from gan_course.data.attributes import FIELDS, Attributes, contrast, phrase
from gan_course.data.glyphs import colour_glyphs
from gan_course.data.scene_captions import parse
from gan_course.data.scene_captions import phrase as scene_phrase
from gan_course.data.scenes import DIRECTIONS, Scene, is_held_out
from gan_course.stable_diffusion.panoramas import text_to_panorama
from gan_course.widgets import canvas, prompt_view
from gan_course.widgets.prompt_view import HISTORY, PromptView
from gan_course.widgets.prompt_worlds import GLYPH_WORLD, NOT_SAID, PANORAMA_WORLD, world_of

FIRST, compose = GLYPH_WORLD.first, GLYPH_WORLD.compose
OPEN_FIELDS = [field for field, words in GLYPH_WORLD.menus.items() if NOT_SAID in words]


@pytest.fixture(scope="module")
def pipeline():
    return sd.load_pipeline()


class Painter:
    """In the place of the model: renders what it is told to, whatever the prompt."""

    def __init__(self):
        self.paints = Attributes(**FIRST)
        self.asked = []

    def __call__(self, pipeline, prompts, *settings):
        self.asked.append((*prompts, *settings))
        return colour_glyphs([self.paints], seed=len(self.asked)).images


@pytest.fixture
def painter(monkeypatch):
    made = Painter()
    monkeypatch.setattr(prompt_view, "world_of", lambda pipeline: world_of(pipeline)._replace(paint=made))
    return made


@pytest.fixture
def view(pipeline, painter):
    made = PromptView(pipeline)
    yield made
    made.close()


def plain(text):
    return html.unescape(re.sub("<.*?>", " ", text))


def said(view):
    return plain(view.message.value).strip()


def shown(view):
    """How many pictures of the history are to be seen."""
    return sum(place.layout.display is None for place in view.places)


# ------------------------------------------------------------------------------------------ the prompt


def test_the_menus_make_the_sentence_that_the_model_was_trained_on():
    assert compose(FIRST) == "a large yellow seven in bold on a purple background in the middle"
    assert compose(FIRST) == phrase(Attributes(**FIRST))
    assert compose(FIRST | dict.fromkeys(OPEN_FIELDS, "") | {"style": "regular"}) == "a seven"
    assert compose(FIRST | {"colour": "", "size": ""}) == "a seven in bold on a purple background in the middle"
    assert compose(FIRST | {"background": ""}) == "a large yellow seven in bold in the middle"


def test_whatever_the_menus_say_fits_into_the_text_encoder_or_is_refused_for_its_contrast(pipeline):
    colours = ["", *FIELDS["colour"]]
    for colour, background in itertools.product(colours, colours):
        words = FIRST | {"colour": colour, "background": background, "style": "bold italic", "character": "3",
                         "position": "at the bottom right"}  # fmt: skip
        if colour and background and contrast(colour, background) < 2.4:
            with pytest.raises(ValueError, match=f"^{colour} on {background} can hardly be seen: choose one of "):
                compose(words)
            continue
        prompt = compose(words)
        sd.check_request(pipeline, sd.Request(prompt))
        assert (f"large {colour} three" in prompt) == bool(colour)
        assert (f"{background} background" in prompt) == bool(background)


# ------------------------------------------------------------------------------------------ painting


def test_it_paints_what_the_library_paints(pipeline):
    before = torch.get_rng_state(), pipeline.scheduler.timesteps
    view = PromptView(pipeline, seed=3, steps=4, guidance_scale=2.0)
    prompt = "a large yellow seven in bold on a purple background in the middle"
    expected = sd.text_to_image(pipeline, prompt, 3, 4, 2.0)[0]
    assert torch.equal(view.history[0].image, expected)
    view.knobs["negative_prompt"].value = "a large seven"
    view.knobs["steps"].value = 8
    view.button.click()
    assert torch.equal(view.history[0].image, sd.text_to_image(pipeline, prompt, 3, 8, 2.0, "a large seven")[0])
    view.knobs["steps"].value = 2
    steps = pipeline.scheduler.timesteps
    view.button.click()
    assert torch.equal(pipeline.scheduler.timesteps, steps) and len(steps) == 8  # the cell's own pipeline is left alone
    assert torch.equal(torch.get_rng_state(), before[0])
    view.close()


def test_paint_orders_what_the_controls_say(view, painter):
    prompt = "a large yellow seven in bold on a purple background in the middle"
    assert painter.asked == [(prompt, 0, 25, 3.0, None)]
    view.menus["character"].value = "4"
    view.menus["position"].value = ""
    assert plain(view.prompt.value).strip() == "Prompt: a large yellow four in bold on a purple background"
    view.knobs["seed"].value, view.knobs["steps"].value, view.knobs["guidance_scale"].value = "12", 8, 6.0
    view.knobs["negative_prompt"].value = "  a small four "
    assert len(painter.asked) == 1  # nothing is painted before the button is pressed
    view.button.click()
    assert painter.asked[1:] == [("a large yellow four in bold on a purple background", 12, 8, 6.0, "a small four")]
    assert re.fullmatch(
        r"Painted in \d+\.\d s: seed 12, 8 steps, guidance 6, not: a small four; 4 of 5 right\.", said(view)
    )


def test_the_reader_says_what_came(view, painter):
    assert view.history[0].right() == "6 of 6 right" and "✗" not in view.table.value
    assert view.table.value.count("✓") == 6
    painter.paints = Attributes("3", "blue", "white", "large", "in the middle", "bold")
    view.button.click()
    assert view.history[0].right() == "3 of 6 right" and "3 of 6 right" in said(view)
    rows = re.findall(r"<tr><td.*?>(\w+)</td><td.*?>(.*?)</td><td.*?>(.*?)</td></tr>", view.table.value)
    assert rows == [("character", "7", "3 ✗"), ("colour", "yellow", "blue ✗"), ("background", "purple", "white ✗"),
                    ("size", "large", "large ✓"), ("position", "in the middle", "in the middle ✓"),
                    ("style", "bold", "bold ✓")]  # fmt: skip
    view.menus["colour"].value = view.menus["background"].value = ""
    view.button.click()
    assert view.history[0].right() == "3 of 4 right"
    assert (
        "<td style='padding-right:1.5em'>(not said)</td><td style='padding-right:1.5em'>blue</td>" in view.table.value
    )


def test_the_history_shows_the_last_pictures_with_their_settings(view, painter):
    assert shown(view) == 1
    for i, character in enumerate("0123456"):
        painter.paints = Attributes(character, "black", "white", "large")
        view.knobs["seed"].value = str(100 + i)
        view.button.click()
        assert shown(view) == min(i + 2, HISTORY)
    assert [painted.request.seed for painted in view.history] == [106, 105, 104, 103, 102, 101]
    for painted, slot, caption in zip(view.history, view.slots, view.captions, strict=True):
        picture = np.asarray(Image.open(io.BytesIO(slot.value)).convert("RGB"), dtype=float)[2::4, 2::4]
        expected = (painted.image.permute(1, 2, 0).numpy() + 1) * 127.5  # each pixel is a square of four by four
        assert np.abs(picture - expected).max() <= 1
        assert f"seed {painted.request.seed}, 25 steps, guidance 3" in caption.value
        assert painted.prompt in caption.value
    assert Image.open(io.BytesIO(view.picture.value)).width == 256


def test_markup_in_the_negative_prompt_stays_text(view):
    view.knobs["negative_prompt"].value = "<b>x</b>"
    view.button.click()
    assert "&lt;b&gt;x" in view.captions[0].value and "<b>" not in view.captions[0].value + view.message.value


# ------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("wrong", ["abc", "", "1.5", "-3", "99999999999999999999"])
def test_a_malformed_seed_becomes_a_sentence(view, painter, wrong, capsys):
    view.knobs["seed"].value = wrong
    view.button.click()
    assert said(view).startswith("Not painted: The seed must be a whole number from 0 to 4,294,967,295, but is ")
    assert len(painter.asked) == 1 and shown(view) == 1 and capsys.readouterr() == ("", "")


def test_a_negative_prompt_without_guidance_becomes_a_sentence(view, painter, capsys):
    view.knobs["negative_prompt"].value, view.knobs["guidance_scale"].value = "a large seven", 1.0
    view.button.click()
    assert said(view).startswith("Not painted: a negative prompt acts through guidance, and at a guidance_scale of 1")
    assert len(painter.asked) == 1 and capsys.readouterr() == ("", "")
    view.knobs["guidance_scale"].value = 3.0
    view.button.click()
    assert painter.asked[1:] == [(*painter.asked[0][:-1], "a large seven")]


def test_a_negative_prompt_that_is_too_long_becomes_a_sentence(view, painter, capsys):
    view.knobs["negative_prompt"].value = "turquoise " * 9
    view.button.click()
    assert re.match(
        r"Not painted: the prompt 'turquoise .*… has \d+ tokens with its two marks, .* shorten it", said(view)
    )
    assert len(painter.asked) == 1 and capsys.readouterr() == ("", "")


def test_ink_that_cannot_be_seen_becomes_a_sentence_at_once(view, painter):
    view.menus["background"].value = "white"
    assert said(view).startswith("yellow on white can hardly be seen: choose one of ") and view.prompt.value == ""
    view.button.click()
    assert said(view).startswith("Not painted: yellow on white") and len(painter.asked) == 1
    view.menus["colour"].value = "black"
    assert said(view) == "" and "black seven in bold on a white background" in view.prompt.value


def test_a_malformed_message_from_the_page_is_dropped(view, capsys):
    states = ({"index": 999}, {"index": "x"}, {"value": {"no": "value"}}, {"value": None})
    assert_drops((*view.menus.values(), *view.knobs.values()), *states)
    assert capsys.readouterr() == ("", "")


def test_a_model_that_fails_becomes_a_sentence(view, capsys):
    view.world = view.world._replace(paint=lambda *_: 1 / 0)
    view.button.click()
    assert said(view) == "division by zero" and capsys.readouterr() == ("", "")


def test_settings_that_no_slider_has_are_added_and_wrong_ones_refused(pipeline, painter):
    view = PromptView(pipeline, seed=1, steps=30, guidance_scale=2.5)
    assert painter.asked[-1][1:4] == (1, 30, 2.5)
    view.close()
    for wrong, sentence in (
        ({"steps": 0}, "steps must be a whole number from 1 up"),
        ({"guidance_scale": -1.0}, "guidance_scale must be a number from 0 up but is -1.0"),
        ({"seed": -1}, "seed must be a whole number from 0 "),
    ):
        with pytest.raises(ValueError, match=f"^{sentence}"):
            widgets.prompt_bench(pipeline, **wrong)


def test_a_large_model_is_refused():
    parts = dict.fromkeys(("vae", "text_encoder", "tokenizer", "scheduler"))
    large = SimpleNamespace(unet=SimpleNamespace(config=SimpleNamespace(sample_size=64)), vae_scale_factor=8, **parts)
    with pytest.raises(ValueError, match=r"this model paints 512x512: pass the mini model, sd\.load_pipeline\(\)"):
        widgets.prompt_bench(large)


def test_any_other_size_is_told_with_what_fits(make_pipeline):
    other = make_pipeline()
    other.unet.register_to_config(sample_size=[8, 32])
    with pytest.raises(ValueError) as refused:
        widgets.prompt_bench(other)
    assert str(refused.value) == (
        "the prompt bench reads digits of 32x32 and panoramas of 64x128, but this model paints 32x128: pass the mini "
        "model, sd.load_pipeline(), or Mini Stable Diffusion II, "
        'sd.load_pipeline(zoo.FOLDER / "mini_stable_diffusion_2")'
    )


def test_two_at_once_and_a_closed_one(pipeline, view, painter, capsys):
    other = PromptView(pipeline, seed=5)
    assert other.pipeline is not view.pipeline
    other.button.click()
    assert len(other.history) == 2 and len(view.history) == 1
    other.close()
    count = len(painter.asked)
    other.button.click()
    other.menus["character"].value = "1"
    assert len(painter.asked) == count and capsys.readouterr() == ("", "")
    view.button.click()
    assert len(view.history) == 2


# ------------------------------------------------------------------------------------------ the page


def test_all_controls_have_a_label_and_messages_are_read_aloud(view):
    assert all(widget.description for widget in (*view.menus.values(), *view.knobs.values(), view.button))
    view.button.click()
    assert 'role="status"' in view.message.value


def test_no_label_of_the_still_is_clipped(view, monkeypatch):
    plainly, seen = canvas.text, []

    def measured(draw, x, y, words, colour=canvas.INK, size=24, anchor="lm"):
        assert anchor == "lm" and x + draw.textlength(words, font=canvas.font(size)) <= 2 * canvas.SIDE, words
        seen.append(words)
        plainly(draw, x, y, words, colour, size, anchor)

    monkeypatch.setattr(canvas, "text", measured)
    view.menus["style"].value, view.menus["position"].value = "bold italic", "at the bottom right"
    view.menus["background"].value, view.menus["size"].value = "purple", "medium"
    view.button.click()
    view.show()
    assert view.history[0].prompt in seen and len(seen) == 2 + 3 * (1 + len(FIELDS))


# ------------------------------------------------------------------------------------------ panoramas


SEA = "a sea at dusk under clouds, the sun in the west, a lighthouse to the east"


@pytest.fixture
def places(panorama_pipeline):
    made = PromptView(panorama_pipeline, steps=1)
    yield made
    made.close()


def test_the_menus_of_panoramas_make_the_captions_that_the_model_was_trained_on():
    compose, first = PANORAMA_WORLD.compose, PANORAMA_WORLD.first
    assert compose(first) == SEA == scene_phrase(Scene(**first))
    assert compose(first | {"land": "", "light": ""}) == "a view at dusk under clouds, a lighthouse to the east"
    assert compose(first | {"thing": ""}) == "a sea at dusk under clouds, the sun in the west"
    assert compose(first | {"thing": "none"}) == "a sea at dusk under clouds, the sun in the west, nothing else"
    assert compose(dict.fromkeys(first, "")) == "a view"


def test_every_word_of_a_panoramas_menus_is_said_and_all_fits_into_the_text_encoder(panorama_pipeline):
    menus, captions, held_out = PANORAMA_WORLD.menus, set(), 0
    for values in itertools.product(*(words.values() for words in menus.values())):
        words = PANORAMA_WORLD.settle(dict(zip(menus, values, strict=True)))
        caption = PANORAMA_WORLD.compose(words)
        said = {field: word for field, word in words.items() if word}
        assert parse(caption) == said | ({"time": "night"} if "moon" in caption else {})
        captions.add(caption)
        held_out += len(said) == 6 and words["thing"] != "none" and is_held_out(Scene(**words))
    assert held_out > 500, "combinations that were never trained on can be asked for"
    longest = max(captions, key=lambda caption: len(re.findall(r"\w+|,", caption)))
    sd.check_request(panorama_pipeline, sd.Request(longest))


def test_panoramas_are_painted_as_the_library_paints_them(places, panorama_pipeline, capsys):
    assert torch.equal(places.history[0].image, text_to_panorama(panorama_pipeline, [SEA], 0, 1, 3.0)[0])
    places.menus["sky"].value, places.menus["land"].value = "fog", ""
    places.knobs["seed"].value, places.knobs["steps"].value = "7", 2
    places.knobs["guidance_scale"].value, places.knobs["negative_prompt"].value = 2.0, "rain"
    places.button.click()
    prompt = "a view at dusk in fog, the sun in the west, a lighthouse to the east"
    expected = text_to_panorama(panorama_pipeline, [prompt], 7, 2, 2.0, "rain")[0]
    newest = places.history[0]
    assert newest.prompt == prompt and torch.equal(newest.image, expected)
    assert said(places).endswith(f"seed 7, 2 steps, guidance 2, not: rain; {newest.right()}.")
    assert newest.right().endswith(" of 5 right") and capsys.readouterr() == ("", "")
    large, small = (Image.open(io.BytesIO(at.value)) for at in (places.picture, places.slots[0]))
    assert large.size == (512, 256) and small.size == (256, 128) and shown(places) == 2
    rows = re.findall(r"<tr><td.*?>(\w+)</td><td.*?>(.*?)</td><td.*?>(\w+).*?</td></tr>", places.table.value)
    assert [(field, asked) for field, asked, _ in rows] == [("land", "(not said)"), *list(newest.asked.items())[1:]]
    assert [read for *_, read in rows] == list(newest.read.values())


def test_without_a_thing_its_place_has_no_say(places):
    place, thing = places.menus["place"], places.menus["thing"]
    assert not place.disabled and list(PANORAMA_WORLD.menus["place"]) == list(DIRECTIONS)
    for word in ("none", ""):
        thing.value = word
        assert place.disabled and places.words()["place"] == word and said(places) == ""
        assert "lighthouse" not in places.prompt.value and "east" not in places.prompt.value
    thing.value = "balloon"  # over the east it was held out of training
    assert not place.disabled and "a balloon to the east" in places.prompt.value
    assert sum(menu.disabled for menu in places.menus.values()) == 0


def test_no_label_of_a_panoramas_still_is_clipped(places, monkeypatch):
    plainly, seen = canvas.text, []

    def measured(draw, x, y, words, colour=canvas.INK, size=24, anchor="lm"):
        assert x + draw.textlength(words, font=canvas.font(size)) <= 2 * canvas.SIDE, words
        assert y + size / 2 < draw.im.size[1], words
        seen.append(words)
        plainly(draw, x, y, words, colour, size, anchor)

    monkeypatch.setattr(canvas, "text", measured)
    for field, word in (("land", "mountains"), ("time", "night"), ("sky", "clear"), ("light", "north")):
        places.menus[field].value = word
    places.button.click()
    places.show()
    assert " ".join(seen[:2]) == places.history[0].prompt and len(seen) == 3 + 3 * (1 + len(PANORAMA_WORLD.fields))


def test_the_real_model_of_panoramas_paints_what_its_menus_say():
    view = PromptView(sd.load_pipeline(zoo.FOLDER / "mini_stable_diffusion_2"))
    assert view.history[0].image.shape == (3, 64, 128)
    assert view.history[0].right() == "6 of 6 right"
    view.close()


# ------------------------------------------------------------------------------------------ a kernel


KERNEL = """
from gan_course import stable_diffusion as sd
from gan_course import widgets
widgets.prompt_bench(sd.load_pipeline(), steps=4)
"""


def test_in_a_real_kernel_without_a_page_a_still_is_left(tmp_path):
    assert_a_still_is_left(tmp_path, KERNEL, "Prompt bench: “a large yellow seven in bold on a purple", 150_000)


def test_outside_a_notebook_it_is_one_line(pipeline, painter, capsys):
    widgets.prompt_bench(pipeline)
    assert capsys.readouterr().out == "The prompt bench needs a notebook: open it in JupyterLab or on Colab.\n"
    assert zoo.card("attributes_classifier")  # the judge took no part in training the model
