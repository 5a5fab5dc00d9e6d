"""Frames into files that move, MP4, GIF or APNG, and into a notebook's page.

MP4 needs ffmpeg, which the package imageio-ffmpeg brings along: ``python -m pip install imageio-ffmpeg``. GIF and APNG
are written by Pillow, which is always there.
"""

from __future__ import annotations

import base64
import html
import importlib.util
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_course import plots
from gan_course.arguments import Clip, Clips, Count, guard, refuse
from gan_course.arguments.kinds import number, whole
from gan_course.files import read_whole, scratch_folder, write_whole

ENDINGS = {".mp4": "MP4", ".gif": "GIF", ".apng": "APNG", ".png": "APNG"}
QUALITY = 18  # of H.264, its "crf": 0 loses nothing, 18 nothing that an eye would see, 51 nearly all
REMEDY = "python -m pip install imageio-ffmpeg"
Scale = Annotated[int, whole(1, 64)]  # pixels of the file for each of the clip
Rate = Annotated[float, number(0, 100, above=True)]  # frames a second; GIF knows no shorter time than a hundredth


def has_ffmpeg() -> bool:
    """Whether MP4 can be written here."""
    return importlib.util.find_spec("imageio_ffmpeg") is not None


def side_by_side(clips: Clips, columns: Count = 8) -> Tensor:
    """Clips ``[N, T, C, H, W]`` as one that shows them all at once, in a grid with white gaps: ``[T, C, H', W']``."""
    tiled = [torch.from_numpy(plots.tile(clips[:, i], min(columns, len(clips)))) for i in range(clips.shape[1])]
    return 2 * torch.stack(tiled).permute(0, 3, 1, 2) - 1


def to_pixels(frames: Clip, scale: Scale = 1) -> np.ndarray:
    """One clip, ``[T, C, H, W]`` in ``[-1, 1]`` or a list of its pictures ``[C, H, W]``: uint8 ``[T, H, W, 3]``.

    Each pixel becomes ``scale`` x ``scale`` of the same colour: players would blur small pictures. Where a side is odd
    the last row or column is repeated, because H.264 halves the sides of its colours. Raises ``ValueError`` for
    pictures of unequal size.
    """
    if frames.shape[1] not in (1, 3):
        refuse("frames", "[T, 1 or 3, H, W], one clip,", frames, "of several clips choose clips[0]")
    bytes_ = ((frames.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte()
    whole = bytes_.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    whole = whole.repeat(scale, axis=1).repeat(scale, axis=2)
    odd = [(0, side % 2) for side in whole.shape[1:3]]
    return np.ascontiguousarray(np.pad(whole, [(0, 0), *odd, (0, 0)], mode="edge"))


def check_target(path: str | Path) -> tuple[Path, str]:
    """The path and the format of a file to write. Raises ``ValueError`` for a folder and for an unknown ending."""
    path = Path(path)
    if os.path.isdir(path):
        raise ValueError(f"can't write {path}: it is a folder; name a file in it, such as {path / 'clip.mp4'}")
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"can't write a clip as {path.name!r}: end the name in one of {', '.join(ENDINGS)}")
    return path, ENDINGS[path.suffix.lower()]


def write(path: str | Path, frames: Clip, fps: Rate = 8, scale: Scale = 1) -> Path:
    """Write one clip, ``[T, C, H, W]`` in ``[-1, 1]`` or a list of pictures, by the ending of ``path``.

    ``.mp4`` (H.264), ``.gif``, ``.apng`` or ``.png``; ``fps`` frames a second. GIF and APNG play again and again, an
    MP4 as its player likes. Returns the path. Raises ``ValueError`` for frames of unequal size, a bad ``fps`` and an
    unknown ending, ``ModuleNotFoundError`` for MP4 without ffmpeg, ``OSError`` where the file can't be written.
    """
    path, kind = check_target(path)
    write_whole(path, encode(frames, kind, fps, scale))
    return path


def encode(frames: Clip, kind: str, fps: Rate = 8, scale: Scale = 1) -> bytes:
    """One clip as the content of a file of a ``kind``: MP4, GIF or APNG. Otherwise as :func:`write`."""
    if kind not in ENDINGS.values():
        raise ValueError(f"there is no kind of clip {kind!r}: choose MP4, GIF or APNG")
    pixels = to_pixels(frames, scale)
    if kind == "MP4":
        return _mp4(pixels, fps)
    pictures = [Image.fromarray(frame) for frame in pixels]
    options: dict[str, Any] = {"duration": 1000 / fps, "loop": 0, "save_all": True, "append_images": pictures[1:]}
    if kind == "GIF":
        palette = Image.fromarray(pixels.reshape(-1, pixels.shape[2], 3)).quantize(255, dither=Image.Dither.NONE)
        pictures = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in pictures]  # one for all frames
        options |= {"duration": max(20, round(100 / fps) * 10), "append_images": pictures[1:], "optimize": False}
    buffer = io.BytesIO()
    pictures[0].save(buffer, "PNG" if kind == "APNG" else "GIF", **options)
    return buffer.getvalue()


def _mp4(pixels: np.ndarray, fps: float) -> bytes:
    if not has_ffmpeg():
        raise ModuleNotFoundError(f"MP4 needs ffmpeg: install it with {REMEDY}, or write a .gif", name="imageio_ffmpeg")
    import imageio_ffmpeg

    height, width = pixels.shape[1:3]
    with scratch_folder() as folder:
        file = folder / "clip.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(file),
            (width, height),
            fps=fps,
            codec="libx264",
            quality=None,
            macro_block_size=2,
            output_params=["-crf", str(QUALITY), "-preset", "slow", "-threads", "1", "-movflags", "+faststart"],
        )
        writer.send(None)
        for frame in pixels:
            writer.send(frame)
        writer.close()
        return read_whole(file)


def page(frames: Clip, alt: str, fps: Rate = 8, scale: Scale = 6) -> str:
    """One clip as HTML that holds all of it: a video with controls that plays in a loop; without ffmpeg, an APNG.

    ``alt`` says in a sentence what it shows. Raises ``ValueError`` where that is too short to help a reader who can't
    see it, and as :func:`write` does.
    """
    if len(alt) < 20:
        raise ValueError(f"alt={alt!r} is too short: say in a sentence what the clip shows")
    kind = "MP4" if has_ffmpeg() else "APNG"
    data = base64.b64encode(encode(frames, kind, fps, scale)).decode()
    height, width = to_pixels(frames, scale).shape[1:3]
    label, size = html.escape(alt, quote=True), f'width="{width}" height="{height}"'
    if kind == "APNG":
        return f'<img alt="{label}" {size} src="data:image/png;base64,{data}">'
    attributes = f'controls loop muted autoplay playsinline aria-label="{label}" {size}'
    return f'<video {attributes} src="data:video/mp4;base64,{data}"></video>'


def show(frames: Clip, alt: str, fps: Rate = 8, scale: Scale = 6) -> None:
    """Play one clip in the notebook; ``alt`` says what it shows. Outside a notebook it only checks the arguments."""
    made = page(frames, alt, fps, scale)
    if not has_ffmpeg():
        print(f"There is no ffmpeg here, so this clip has no controls. For an MP4: {REMEDY}")
    if plots.in_notebook():
        from IPython.display import display

        display({"text/html": made, "text/plain": alt}, raw=True)


def frame_row(clips: Clips, names: Sequence[str], every: Count = 2, title: str = "") -> Any:
    """Clips ``[N, T, C, H, W]`` as a figure: a row for each, every second frame side by side, its name on the left."""
    if len(names) != len(clips):
        raise ValueError(f"there are {len(clips)} clips but {len(names)} names: pass one for each")
    shown = clips[:, ::every]
    count = shown.shape[1]
    figure, axes = plots.new_figure(len(clips), 1, size=(0.72 * count, 0.78), squeeze=False)
    for ax, clip, name in zip(axes[:, 0], shown, names, strict=True):
        plots.draw_images(ax, clip, columns=count)
        ax.text(-0.01, 0.5, name, transform=ax.transAxes, ha="right", va="center", fontsize=8)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


guard(__name__)
