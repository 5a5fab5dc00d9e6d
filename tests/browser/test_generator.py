"""The page that paints in the browser: the pictures are PyTorch's, in under a second, from the site's files alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from gan_course import stable_diffusion as sd
from gan_course import zoo
from gan_course.stable_diffusion import distill

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SITE = Path(__file__).parents[2] / "build/site"
PROMPTS = [
    "a large red seven on a white background in the middle",
    "a small yellow zero in bold on a purple background at the bottom left",
    "an orange nine",
    "a medium white four in italic on a black background at the top right",
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
    """The page, once its network has been loaded."""
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/docs/generator.html")
    assert not any(url.endswith((".onnx", ".gz")) for url in asked), "nothing large is loaded before it is asked for"
    page.get_by_role("button", name="Start").click()
    page.wait_for_function("() => window.painter", timeout=60_000)
    yield page
    page.close()
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []


def test_it_paints_what_pytorch_paints(painter):
    noise = torch.randn(len(PROMPTS), 8, 8, 8, generator=torch.Generator().manual_seed(0))
    pipeline, student = sd.load_pipeline(), distill.load_student()
    with torch.no_grad():
        latents = distill.one_step(student, pipeline.scheduler, noise, distill.read_words(pipeline, PROMPTS))
        expected = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample.clamp(-1, 1)
    paint = "([text, noise]) => painter.paint(text, Float32Array.from(noise)).then(found => Array.from(found))"
    for text, row, right in zip(PROMPTS, noise, expected, strict=True):
        made = torch.tensor(painter.evaluate(paint, [text, row.flatten().tolist()])).reshape(3, 32, 32)
        assert (made - right).abs().max() < 1e-3, text
    assert (expected[0] - expected[1]).abs().max() > 0.5, "they are different pictures"


def test_the_gan_makes_what_pytorch_makes(painter):
    """Also away from the noise: its six directions are those that the first layer stretches most, of either sign."""
    generator = zoo.load("digits_gan")
    _, _, directions = np.linalg.svd(generator.layers[0].weight[:, : generator.latent_dim].numpy())
    sketch = (
        "([noise, steps, digit]) => painter.sketch(Float32Array.from(noise), Float32Array.from(steps), digit)"
        ".then(found => Array.from(found))"
    )

    def made(noise, steps, digit):
        picture = painter.evaluate(sketch, [noise.tolist(), steps, digit])
        return torch.tensor(picture).reshape(1, 1, 28, 28)

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


def test_sliders_and_digits_change_the_picture(painter):
    shown = "() => document.getElementById('digit-painting').toDataURL()"
    before = painter.evaluate(shown)
    painter.locator("#digit-choices").get_by_label("digit").select_option("3")
    painter.wait_for_function(f"() => document.getElementById('digit-painting').toDataURL() !== {before!r}")
    three = painter.evaluate(shown)
    slider = painter.get_by_label("direction 1")
    slider.focus()
    for _ in range(10):
        painter.keyboard.press("ArrowRight")
    painter.wait_for_function(f"() => document.getElementById('digit-painting').toDataURL() !== {three!r}")
    painter.get_by_role("button", name="sliders back to 0").click()
    painter.wait_for_function(f"() => document.getElementById('digit-painting').toDataURL() === {three!r}")


def test_a_picture_takes_less_than_a_second(painter, capsys):
    timed = """async () => {
      const noise = new Float32Array(512).fill(0.5), times = [];
      for (let i = 0; i < 9; i++) {
        const from = performance.now();
        await painter.paint("a red seven", noise);
        times.push(performance.now() - from);
      }
      return times.sort((a, b) => a - b)[4];
    }"""
    milliseconds = painter.evaluate(timed)
    with capsys.disabled():
        print(f"\na picture in the browser: {milliseconds:.0f} ms")
    assert milliseconds < 1000


def test_choices_change_the_picture_and_what_is_said_of_it(painter):
    shown = "() => document.getElementById('painting').toDataURL()"
    before = painter.evaluate(shown)
    painter.locator("#choices").get_by_label("digit").select_option("three")
    painter.wait_for_function("() => document.getElementById('painting').getAttribute('aria-label').includes('three')")
    after = painter.evaluate(shown)
    assert after != before
    assert painter.locator("#prompt").inner_text() == painter.evaluate("() => painter.prompt()")
    slider = painter.get_by_label("from noise A to noise B")
    slider.focus()
    for _ in range(5):
        painter.keyboard.press("ArrowRight")
    painter.wait_for_function(f"() => document.getElementById('painting').toDataURL() !== {after!r}")


def test_every_prompt_that_can_be_chosen_is_one_of_the_course(painter):
    """Each in the words of its captions, all of which the tokenizer knows."""
    choices = painter.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('#choices select')]"
        ".map(select => [select.name, [...select.options].map(option => option.value)]))"
    )
    from gan_course.data.attributes import COLOURS, DIGITS, POSITIONS, SIZES
    from gan_course.data.outlines import STYLES

    wanted = {"size": SIZES, "colour": COLOURS, "digit": DIGITS, "style": STYLES, "background": COLOURS}
    assert {name: set(values) for name, values in choices.items()} == {
        name: set(values) for name, values in (wanted | {"position": POSITIONS}).items()
    }


def test_a_page_that_is_a_file_says_what_to_do(chromium):
    page = chromium.new_page()
    page.goto((SITE / "docs/generator.html").as_uri())
    page.get_by_role("button", name="Start").click()
    page.wait_for_function("() => document.getElementById('painter-says').textContent.includes('http.server')")
    page.close()
