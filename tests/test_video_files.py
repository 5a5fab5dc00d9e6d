"""Clips as files: every frame comes back in its order, time and size; what can't be written gets a sentence."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from gan_course.video import movies

needs_ffmpeg = pytest.mark.skipif(not movies.has_ffmpeg(), reason="imageio-ffmpeg is not installed")
ALT = "A bright bar that moves from the left to the right"


def bar(frames=10, height=20, width=30):
    """A white bar that moves two pixels a frame."""
    clip = torch.full((frames, 3, height, width), -1.0)
    for i in range(frames):
        clip[i, :, :, 2 * i : 2 * i + 3] = 1
    return clip


def pillow_frames(content):
    image = Image.open(io.BytesIO(content))
    found = []
    for i in range(image.n_frames):
        image.seek(i)
        found.append((np.asarray(image.convert("RGB")), image.info["duration"]))
    return found


# ------------------------------------------------------------------------------------------ files


@needs_ffmpeg
@pytest.mark.parametrize("fps", [8, 12.5, 1])
def test_an_mp4_holds_every_frame_at_its_time(tmp_path, fps):
    av = pytest.importorskip("av")
    clip = bar()
    path = movies.write(tmp_path / "new" / "clip.mp4", clip, fps=fps, scale=4)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == pytest.approx(fps)
        frames = [(frame.to_ndarray(format="rgb24"), float(frame.time)) for frame in container.decode(stream)]
    assert len(frames) == len(clip)
    for i, (picture, time) in enumerate(frames):
        assert time == pytest.approx(i / fps, abs=1e-3)
        np.testing.assert_allclose(picture, movies.to_pixels(clip, 4)[i], atol=40)
        assert np.abs(picture.astype(int) - movies.to_pixels(clip, 4)[i]).mean() < 3
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "a page could not play it before it is there as a whole"


@pytest.mark.parametrize("ending", ["gif", "png", "apng"])
def test_gif_and_apng_hold_every_frame_at_its_time(tmp_path, ending):
    clip = bar()
    path = movies.write(tmp_path / f"clip.{ending}", clip, fps=10, scale=2)
    frames = pillow_frames(path.read_bytes())
    assert len(frames) == len(clip)
    for (picture, milliseconds), expected in zip(frames, movies.to_pixels(clip, 2), strict=True):
        assert milliseconds == 100
        np.testing.assert_allclose(picture, expected, atol=8)


def test_frames_that_are_alike_still_take_their_time():
    held = torch.cat([torch.full((4, 3, 8, 8), -0.5), torch.full((3, 3, 8, 8), 0.5)])
    for kind in ("APNG", "GIF"):
        assert sum(duration for _, duration in pillow_frames(movies.encode(held, kind, fps=5))) == pytest.approx(1400)


def test_a_list_of_pictures_and_a_grey_clip_are_clips_too():
    grey = torch.linspace(-1, 1, 4 * 9 * 7).view(4, 1, 9, 7)
    pixels = movies.to_pixels(list(grey), 3)
    assert pixels.shape == (4, 28, 22, 3), "H.264 takes even sides"
    assert (pixels[..., 0] == pixels[..., 2]).all() and pixels[0, 0, 0, 0] == 0 and pixels[-1, -1, -1, 0] == 255
    assert (pixels[:, -1] == pixels[:, -2]).all()


# ------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("kind", ["mp4", "gif", "png"])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"frames": [torch.zeros(3, 8, 8), torch.zeros(3, 8, 9)]}, r"same size but frames\[0\] is \[3, 8, 8\] and"),
        ({"frames": []}, "frames must be"),
        ({"frames": torch.zeros(2, 4, 3, 8, 8)}, "choose one, clips"),
        ({"frames": torch.zeros(3, 8, 8)}, "a picture is no clip"),
        ({"frames": torch.zeros(4, 2, 8, 8)}, "1 or 3"),
        ({"frames": torch.full((2, 3, 8, 8), torch.nan)}, "NaN"),
        ({"frames": torch.rand(2, 3, 8, 8) * 255}, "divide by 127.5"),
        ({"frames": torch.linspace(0, 1, 384).view(2, 3, 8, 8)}, "multiply by 2"),
        ({"fps": 0}, "fps must be a finite number above 0 and at most 100 but is 0"),
        ({"fps": -3}, "fps must be"),
        ({"fps": float("nan")}, "fps must be"),
        ({"fps": 1000}, "fps must be"),
        ({"scale": 0}, "scale must be"),
    ],
)
def test_bad_input_leaves_no_file_and_says_why(tmp_path, kind, change, says):
    with pytest.raises(ValueError, match=says):
        movies.write(tmp_path / f"clip.{kind}", **({"frames": bar()} | change))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["clip", "clip.avi", "clip.mp4.txt", "clip.jpg"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"end the name in one of \.mp4, \.gif, \.apng, \.png"):
        movies.write(tmp_path / name, bar())


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match="it is a folder; name a file in it"):
        movies.write(tmp_path, bar())


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="you may write to"):
        movies.write(tmp_path / "clip.gif", bar())


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="can't write"):
        movies.write(tmp_path / "file" / "clip.gif", bar())


# ------------------------------------------------------------------------------------------ pages


@needs_ffmpeg
def test_the_page_holds_the_video_its_controls_and_its_description():
    made = movies.page(bar(), ALT + ' & "more"', fps=5, scale=4)
    assert re.match(r"<video controls loop muted autoplay playsinline aria-label=", made)
    assert "&amp; &quot;more&quot;" in made and 'width="120" height="80"' in made
    data = re.search(r'src="data:video/mp4;base64,([A-Za-z0-9+/=]+)"', made)
    assert data and b"ftyp" in base64.b64decode(data[1])[:16]


def test_the_sanitizer_lets_the_clip_through(monkeypatch):
    safe_html = pytest.importorskip("gan_course.commands.safe_html")
    for ffmpeg in {movies.has_ffmpeg(), False}:
        monkeypatch.setattr(movies, "has_ffmpeg", lambda ffmpeg=ffmpeg: ffmpeg)
        made = movies.page(bar(4), ALT)
        body, _ = safe_html.sanitize(made, safe_html.Pieces(), None)
        assert ALT in body and ("<video" if ffmpeg else "<img") in body and "base64," in body


def test_without_ffmpeg_the_page_holds_an_animation_and_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(movies, "has_ffmpeg", lambda: False)
    made = movies.page(bar(), ALT)
    assert made.startswith(f'<img alt="{ALT}"') and "data:image/png;base64," in made
    movies.show(bar(), ALT)
    assert "There is no ffmpeg here" in capsys.readouterr().out
    with pytest.raises(ModuleNotFoundError, match=r"install it with .*imageio-ffmpeg, or write a \.gif"):
        movies.encode(bar(), "MP4")


def test_a_clip_needs_a_description():
    with pytest.raises(ValueError, match="say in a sentence what the clip shows"):
        movies.page(bar(), "a clip")


@needs_ffmpeg
def test_chromium_plays_it(tmp_path):
    """The element itself says how long it is, and after seeking shows the frame of that time."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if path is None:
        (pytest.fail if os.environ.get("GAN_COURSE_REQUIRE") else pytest.skip)("Chromium is missing")
    page = tmp_path / "page.html"
    page.write_text(f"<!DOCTYPE html><title>clip</title>{movies.page(bar(12), ALT, fps=6, scale=4)}")
    script = """async () => {
        const video = document.querySelector("video");
        video.pause(); video.loop = false;
        if (video.readyState < 1) await new Promise(done => video.onloadedmetadata = done);
        const canvas = document.createElement("canvas"), seen = new Set();
        [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
        const places = [];
        for (let i = 0; i < 12; i++) {
            await new Promise(done => { video.onseeked = done; video.currentTime = (i + 0.5) / 6; });
            const context = canvas.getContext("2d");
            context.drawImage(video, 0, 0);
            const row = context.getImageData(0, 40, canvas.width, 1).data;
            let sum = 0, mass = 0;
            for (let x = 0; x < canvas.width; x++) { sum += x * row[4 * x]; mass += row[4 * x]; }
            places.push(sum / mass);
        }
        return {duration: video.duration, places, size: [video.videoWidth, video.videoHeight],
                error: video.error && video.error.message};
    }"""
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            shown = browser.new_page()
            shown.goto(page.as_uri())
            found = shown.evaluate(script)
        finally:
            browser.close()
    assert found["error"] is None and found["size"] == [120, 80]
    assert found["duration"] == pytest.approx(2.0, abs=0.01)
    expected = [4 * (2 * i + 1.5) - 0.5 for i in range(12)]
    assert found["places"] == pytest.approx(expected, abs=3), "12 frames, each where it belongs"
