"""The page that paints in the browser: the pictures are PyTorch's, in under a second, from the site's files alone."""

from __future__ import annotations

import itertools
import os
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from gan_course import stable_diffusion as sd
from gan_course import zoo
from gan_course.data.views import perspective
from gan_course.stable_diffusion import distill, panoramas
from gan_course.widgets import prompt_worlds

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SITE = Path(__file__).parents[2] / "build/site"
AXE = SITE.parent / "node/node_modules/axe-core/axe.min.js"  # `make browser` fetches it from npm
SECTIONS = ("digits", "glyphs", "places")
PROMPTS = [
    "a large red seven on a white background in the middle",
    "a small yellow zero in bold on a purple background at the bottom left",
    "an orange nine",
    "a medium white four in italic on a black background at the top right",
]
PLACES = [
    "a sea at noon under a clear sky, the sun in the west, a lighthouse to the north",  # the page's first
    "mountains at night under a clear sky, the moon in the south, a tent to the south",
    "a desert at noon in rain, nothing else",
    "a view in fog",
]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a server for the site: browsers run WebAssembly on no page that is a file."""
    if not (SITE / "docs/generator.html").exists():
        say = pytest.fail if os.environ.get("GAN_COURSE_REQUIRE") else pytest.skip
        say("build/site/docs/generator.html is missing: make site makes it")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def painter(chromium: Browser, address: str) -> Iterator[Page]:
    """The page, once its networks have been loaded, each by its own button and not before."""
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/docs/generator.html")
    for started in range(len(SECTIONS) + 1):
        large = {url.rpartition("/")[2] for url in asked if url.endswith((".onnx", ".gz"))}
        program = {"ort-wasm-simd-threaded.wasm.gz"} if started else set()
        assert large == {f"{name}.onnx" for name in SECTIONS[:started]} | program
        for name in SECTIONS[started : started + 1]:
            page.locator(f"[data-section={name}]").click()
            page.wait_for_function(f"() => document.getElementById('{name}-says').textContent.startsWith('Painted')")
    yield page
    page.close()
    assert sum(url.endswith(".gz") for url in asked) == 1, "the program is loaded once"
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []


@pytest.fixture(scope="module")
def call(painter: Page) -> Callable:
    """Calls a function of a section's module; pictures go there and come back as lists of numbers."""
    script = """async ([module, name, given]) => {
      const section = await import(`/_static/generator/${module}.js`);
      const found = await section[name](...given.map((one) => Array.isArray(one) ? Float32Array.from(one) : one));
      return ArrayBuffer.isView(found) ? Array.from(found) : found;
    }"""
    return lambda module, name, *given: painter.evaluate(script, [module, name, given])


def test_a_button_says_what_it_loads(painter):
    for name in SECTIONS:
        said = re.search(r"loads ([\d.]+) MB", painter.locator(f"[data-section={name}]").text_content() or "")
        assert said and float(said[1]) == round((SITE / f"_static/generator/{name}.onnx").stat().st_size / 1e6, 1)


def test_it_paints_what_pytorch_paints(call):
    noise = torch.randn(len(PROMPTS), 8, 8, 8, generator=torch.Generator().manual_seed(0))
    pipeline, student = sd.load_pipeline(), distill.load_student()
    with torch.no_grad():
        latents = distill.one_step(student, pipeline.scheduler, noise, distill.read_words(pipeline, PROMPTS))
        expected = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample.clamp(-1, 1)
    for text, row, right in zip(PROMPTS, noise, expected, strict=True):
        made = torch.tensor(call("glyphs", "paint", text, row.flatten().tolist())).reshape(3, 32, 32)
        assert (made - right).abs().max() < 1e-3, text
    assert (expected[0] - expected[1]).abs().max() > 0.5, "they are different pictures"


def test_the_gan_makes_what_pytorch_makes(call):
    """Also away from the noise: its six directions are those that the first layer stretches most, of either sign."""
    generator = zoo.load("digits_gan")
    _, _, directions = np.linalg.svd(generator.layers[0].weight[:, : generator.latent_dim].numpy())

    def made(noise, steps, digit):
        return torch.tensor(call("digits", "sketch", noise.tolist(), steps, digit)).reshape(1, 1, 28, 28)

    def right(noise, digit):
        with torch.no_grad():
            return generator(noise[None], torch.tensor([digit]))

    noises = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    for slider, (noise, direction, digit) in enumerate(zip(noises, directions, (0, 3, 8, 9, 1, 4), strict=False)):
        still = made(noise, [0] * 6, digit)
        assert (still - right(noise, digit)).abs().max() < 1e-3
        moved = made(noise, [2.5 * (place == slider) for place in range(6)], digit)
        ways = (right(noise + 2.5 * sign * torch.from_numpy(direction), digit) for sign in (1, -1))
        assert min((moved - way).abs().max() for way in ways) < 1e-3
        assert (moved - still).abs().max() > 0.1, "the slider does something"


def painted(call, text, noise):  # [4, 8, 16] -> [3, 64, 128]
    return torch.tensor(call("places", "paint", text, noise.flatten().tolist())).reshape(3, 64, 128)


@pytest.fixture(scope="module")
def places() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noise for ``PLACES``, the panoramas that chapter 09 paints of it in one step, and the same with plain borders."""
    noise = torch.randn(len(PLACES), 4, 8, 16, generator=torch.Generator().manual_seed(0))
    pipeline = sd.load_pipeline(zoo.FOLDER / "mini_stable_diffusion_2")
    fast = distill.from_the_end(pipeline, distill.load_student(name=distill.PANORAMA_STUDENT))
    with torch.no_grad():
        latents = panoramas.text_to_latents(fast, PLACES, noise, steps=1, guidance_scale=1.0)
        plain = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample.clamp(-1, 1)
    return noise, panoramas.decode_wrapped(pipeline.vae, latents), plain


def test_it_paints_places_as_pytorch_does_up_to_the_edges(call, places, capsys):
    noise, expected, plain = places
    made = torch.stack([painted(call, text, row) for text, row in zip(PLACES, noise, strict=True)])
    apart = (made - expected).abs()
    with capsys.disabled():
        print(f"\npanoramas differ from PyTorch's by at most {apart.max():.6f}")
    assert apart.max() < 1e-3
    edges = [0, -1]
    assert (plain - expected)[..., edges].abs().max() > 0.1, "plain borders would be seen at the edges"
    assert panoramas.seam(made).mean() < 1.5, "nobody finds the edge"
    assert (panoramas.seam(plain) > 1.5 * panoramas.seam(made)).all()
    assert (expected[0] - expected[1]).abs().max() > 0.5, "they are different pictures"


@pytest.mark.parametrize(
    ("yaw", "pitch", "field"), [(0, 0, 90), (90, 0, 60), (180, 0, 30), (-180, -90, 120), (37, 81, 90), (-171, -64, 105)]
)
def test_the_view_is_that_of_the_course(call, places, yaw, pitch, field):
    """Also where the edges meet, in the south, and over the poles."""
    panorama, size = places[1][0], 48
    angles = {"yaw": yaw, "pitch": pitch, "field": field}
    made = torch.tensor(call("look", "perspective", panorama.flatten().tolist(), angles, size)).reshape(3, size, size)
    right = perspective(panorama, yaw, pitch, field, size)
    assert (made - right).abs().max() < 1e-3
    assert (made - perspective(panorama, yaw, pitch, field + 20, size)).abs().max() > 0.02


def test_the_line_on_the_map_is_the_edge_of_the_view(call):
    """Straight ahead and level: the middles of its sides lie 45 degrees off, and the sides bend on the map."""
    line = np.array(call("look", "outline", {"yaw": 0, "pitch": 0, "field": 90}, 4)) * [180, 90]
    for point in ((0, -45), (45, 0), (0, 45), (-45, 0), (45, 35.264)):
        assert np.abs(line - point).sum(axis=1).min() < 0.01, point
    turned = np.array(call("look", "outline", {"yaw": 90, "pitch": 0, "field": 90}, 4)) * [180, 90]
    assert np.allclose(turned, line + [90, 0])


def test_each_prompt_of_a_place_is_the_prompt_bench_s(painter):
    """And the text encoder reads it by the tokenizer's numbers."""
    menus = prompt_worlds.PANORAMA_WORLD.menus
    every = [
        dict(zip(menus, words, strict=True)) for words in itertools.product(*(menu.values() for menu in menus.values()))
    ]
    expected = [prompt_worlds.scene_prompt(words) for words in every]
    assert len(expected) > 20_000
    compose = """async (every) => {
      const { compose } = await import("/_static/generator/places.js");
      return every.map(compose);
    }"""
    assert painter.evaluate(compose, every) == expected
    some = sorted(set(expected))[::30]
    read = """async (some) => {
      const { loadWords, tokens } = await import("/_static/generator/painting.js");
      const ids = await loadWords("places.json");
      return some.map((text) => Array.from(tokens(text, ids, 32)));
    }"""
    tokenizer = sd.load_pipeline(zoo.FOLDER / "mini_stable_diffusion_2").tokenizer
    assert painter.evaluate(read, some) == tokenizer(some, padding="max_length").input_ids


def picture_of(canvas: str) -> str:
    return f"document.getElementById('{canvas}').toDataURL()"


def test_sliders_and_digits_change_the_picture(painter):
    shown = picture_of("digits-painting")
    before = painter.evaluate(shown)
    form = painter.locator("#digits")
    form.get_by_label("digit").select_option("3")
    painter.wait_for_function(f"() => {shown} !== {before!r}")
    three = painter.evaluate(shown)
    form.get_by_label("direction 1").focus()
    for _ in range(10):
        painter.keyboard.press("ArrowRight")
    painter.wait_for_function(f"() => {shown} !== {three!r}")
    form.get_by_role("button", name="sliders back to 0").click()
    painter.wait_for_function(f"() => {shown} === {three!r}")


@pytest.mark.parametrize(("section", "text"), [("glyphs", PROMPTS[0]), ("places", PLACES[0])])
def test_a_picture_takes_less_than_a_second(painter, capsys, section, text):
    timed = """async ([section, text]) => {
      const { paint } = await import(`/_static/generator/${section}.js`);
      const noise = new Float32Array(512).fill(0.5), times = [];
      for (let i = 0; i < 9; i++) {
        const from = performance.now();
        await paint(text, noise);
        times.push(performance.now() - from);
      }
      return times.sort((a, b) => a - b)[4];
    }"""
    milliseconds = painter.evaluate(timed, [section, text])
    with capsys.disabled():
        print(f"\na picture in the browser, {section}: {milliseconds:.0f} ms")
    assert milliseconds < 1000


def test_choices_change_the_picture_and_what_is_said_of_it(painter):
    shown, form = picture_of("glyphs-painting"), painter.locator("#glyphs")
    before = painter.evaluate(shown)
    form.get_by_label("digit").select_option("three")
    painter.wait_for_function(
        "() => document.getElementById('glyphs-painting').getAttribute('aria-label').includes('three')"
    )
    after = painter.evaluate(shown)
    assert after != before
    prompt = "async () => (await import('/_static/generator/glyphs.js')).prompt()"
    assert painter.locator("#glyphs-prompt").inner_text() == painter.evaluate(prompt)
    form.get_by_label("from noise A to noise B").focus()
    for _ in range(5):
        painter.keyboard.press("ArrowRight")
    painter.wait_for_function(f"() => {shown} !== {after!r}")


def choices(page: Page, section: str) -> dict[str, list[str]]:
    return page.evaluate(
        "(section) => Object.fromEntries([...document.querySelectorAll(`#${section} select`)]"
        ".map(select => [select.name, [...select.options].map(option => option.value)]))",
        section,
    )


def test_every_prompt_that_can_be_chosen_is_one_of_the_course(painter):
    """Each in the words of its captions, all of which the tokenizer knows."""
    from gan_course.data.attributes import COLOURS, DIGITS, POSITIONS, SIZES
    from gan_course.data.outlines import STYLES

    wanted = {"size": SIZES, "colour": COLOURS, "digit": DIGITS, "style": STYLES, "background": COLOURS}
    assert {name: set(values) for name, values in choices(painter, "glyphs").items()} == {
        name: set(values) for name, values in (wanted | {"position": POSITIONS}).items()
    }
    world = prompt_worlds.PANORAMA_WORLD
    assert choices(painter, "places") == {name: list(words.values()) for name, words in world.menus.items()}


def test_a_place_changes_with_its_words_and_its_noise(painter):
    shown, form, view = picture_of("places-map"), painter.locator("#places"), painter.locator("#places-view")
    assert PLACES[0] in (view.get_attribute("aria-label") or "")
    before = painter.evaluate(shown)
    form.locator("[name=thing]").select_option("none")
    painter.wait_for_function(f"() => {shown} !== {before!r}")
    assert form.locator("[name=place]").is_disabled(), "what isn't there stands nowhere"
    after = painter.evaluate(shown)
    assert painter.locator("#places-prompt").inner_text().endswith("nothing else")
    for canvas in (view, painter.locator("#places-map")):
        assert "nothing else" in (canvas.get_attribute("aria-label") or "")
    form.locator("[name=thing]").select_option("tent")
    painter.wait_for_function(f"() => {shown} !== {after!r}")
    assert form.locator("[name=place]").is_enabled()
    tent = painter.evaluate(shown)
    form.get_by_role("button", name="two other noises").click()
    painter.wait_for_function(f"() => {shown} !== {tent!r}")


def test_a_reader_looks_around_by_drag_by_keys_and_by_sliders(painter):
    shown, form, view = picture_of("places-view"), painter.locator("#places"), painter.locator("#places-view")
    looking = painter.locator("#places-looking")

    def yaw() -> float:
        return float(form.locator("[name=yaw]").input_value())

    def turned(act: Callable[[], None]) -> str:
        before, whole = painter.evaluate(shown), painter.evaluate(picture_of("places-map"))
        act()
        assert painter.evaluate(shown) != before, "the view turns at once"
        assert painter.evaluate(picture_of("places-map")) != whole, "and the line on the map with it"
        assert looking.inner_text() in (view.get_attribute("aria-label") or "")
        return looking.inner_text()

    def drag() -> None:
        view.scroll_into_view_if_needed()
        box = view.bounding_box()
        assert box
        x, y = box["x"] + box["width"] - 20, box["y"] + box["height"] / 2
        painter.mouse.move(x, y)
        painter.mouse.down()
        painter.mouse.move(x - box["width"] / 3, y + box["height"] / 3, steps=7)
        painter.mouse.up()

    def press(key: str) -> Callable[[], None]:
        return lambda: view.press(key)

    assert looking.inner_text() == "looking north, pitch 0°, field of view 90°"
    start = painter.evaluate(shown)
    assert turned(drag) == "looking north, pitch 30°, field of view 90°"
    assert yaw() == 30, "what was grasped stays under the finger"
    for _ in range(4):
        turned(press("ArrowRight"))
    assert yaw() == 50 and turned(press("ArrowDown")) == "looking east, pitch 25°, field of view 90°"
    assert turned(press("+")) == "looking east, pitch 25°, field of view 85°"
    assert turned(press("-")) == "looking east, pitch 25°, field of view 90°"
    assert turned(lambda: form.locator("[name=yaw]").fill("180")) == "looking south, pitch 25°, field of view 90°"
    assert turned(press("ArrowRight")) == "looking south, pitch 25°, field of view 90°"
    assert yaw() == -175, "once around"
    for name in ("yaw", "pitch"):
        turned(lambda name=name: form.locator(f"[name={name}]").fill("0"))
    assert painter.evaluate(shown) == start
    for _ in range(20):
        view.press("ArrowUp")
    assert looking.inner_text() == "looking north, pitch 90°, field of view 90°", "no further than straight up"


def test_the_page_fits_a_phone_and_can_be_read_aloud(painter):
    assert painter.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    for canvas in painter.locator("canvas").all():
        box = canvas.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390
    if not AXE.exists():
        say = pytest.fail if os.environ.get("GAN_COURSE_REQUIRE") else pytest.skip
        say("axe is missing: make browser fetches it with npm")
    painter.evaluate(AXE.read_text(encoding="utf-8"))
    grave = """axe.run(document, {resultTypes: ['violations']}).then(result => result.violations
      .filter(found => ['serious', 'critical'].includes(found.impact)).map(found => found.id))"""
    assert painter.evaluate(grave) == []


def test_a_page_that_is_a_file_says_what_to_do(chromium):
    page = chromium.new_page()
    page.goto((SITE / "docs/generator.html").as_uri())
    for name in SECTIONS:
        page.locator(f"[data-section={name}]").click()
        page.wait_for_function(f"() => document.getElementById('{name}-says').textContent.includes('http.server')")
    page.close()


@pytest.mark.parametrize("lost", ["ort-wasm-simd-threaded.wasm.gz", "digits.onnx"])
def test_what_could_not_be_loaded_can_be_tried_again(chromium, address, lost):
    page = chromium.new_page()
    page.route(f"**/{lost}", lambda route: route.abort(), times=1)
    page.goto(f"{address}/docs/generator.html")
    for said in ("could not be loaded", "Painted in"):
        page.locator("[data-section=digits]").click()
        page.wait_for_function(
            "(said) => document.getElementById('digits-says').textContent.includes(said)", arg=said, timeout=20_000
        )
    page.close()
