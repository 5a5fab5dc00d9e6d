"""A place as a page of its own: one file that opens from disk, without a network, and in a headset."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from gan_course.arguments import Floats, Prompts, check_finite, check_in_range, check_not_from_0, guard, refuse
from gan_course.data.views import check_panorama
from gan_course.files import read_whole, write_whole

VIEWER = Path(__file__).parent / "web" / "viewer.js"
LARGEST = 2_000_000  # bytes of a page: a few seconds of a telephone's connection
QUALITIES = (92, 85, 75, 65, 50)  # of JPEG, the first with which the page is small enough
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; script-src 'unsafe-inline';
 style-src 'unsafe-inline'">
<title>{title}</title>
<style>
html, body {{ margin: 0; height: 100%; overflow: hidden; background: #000; font: 15px sans-serif; }}
canvas {{ display: block; cursor: grab; touch-action: none; outline: none; }}
nav {{ position: absolute; top: 8px; left: 8px; right: 8px; }}
nav button {{ margin: 2px; padding: 6px 12px; }}
</style>
<body>
<noscript><p style="color: #fff">This place needs a browser that runs scripts.</p></noscript>
<script id="places" type="application/json">{places}</script>
<!-- three.js 0.187, Copyright 2010-2026 three.js authors, MIT License -->
<script>{viewer}</script>
</body>
</html>
"""


def export_webxr(panorama: Floats, path: str | Path, right: Floats | None = None, names: Prompts = ("a place",)) -> int:
    """Write ``panorama [N, 3, H, 2 H]`` or ``[3, H, 2 H]``, in ``[-1, 1]``, as a page to look around in; its bytes.

    The page is one HTML file that asks for nothing else. It turns by dragging and by the arrow keys, and where the
    browser knows WebXR, a button enters a headset. ``right``: what the right eye sees there, of the same shape; the
    panorama is then the left eye's. ``names``: what each place is called on its button and to a screen reader.
    Headsets' browsers enter from pages that came by https alone, and from within an iframe only where that says
    ``allow="xr-spatial-tracking"``.

    Raises ``ValueError`` for pictures that aren't twice as wide as high, with values outside of [-1, 1] or too many
    for ``LARGEST`` bytes, another number of names, and a ``path`` that is no HTML file; ``OSError`` where it can't be
    written. Nothing is written then, and what stood there before stays.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"can't write a page to {path}: give it a name that ends in .html")
    eyes = [_checked("panorama", panorama)] + ([] if right is None else [_checked("right", right)])
    if len(eyes) == 2 and eyes[0].shape != eyes[1].shape:
        refuse("right", f"a tensor of shape {list(panorama.shape)}, as panorama has,", right, "make both alike")
    if len(names) != len(eyes[0]):
        raise ValueError(f"there are {len(eyes[0])} places but {len(names)} names: pass one for each")
    for quality in QUALITIES:
        content = _write(eyes, list(names), quality)
        if len(content) <= LARGEST:
            write_whole(path, content)
            return len(content)
    size = f"{len(content) / 1e6:.1f} MB, more than {LARGEST / 1e6:g}"
    raise ValueError(f"{len(eyes[0])} places make a page of {size}: take fewer of them, or smaller ones")


def _checked(name: str, panorama: Tensor) -> Tensor:
    try:
        check_panorama(panorama)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    pictures = panorama if panorama.ndim == 4 else panorama[None]
    if pictures.shape[1] != 3:
        refuse(name, "pictures of 3 channels", panorama, "a grey channel is repeated by expand(3, -1, -1)")
    check_finite(name, pictures)
    check_not_from_0(name, pictures)
    check_in_range(name, pictures)
    return pictures


def _write(eyes: Sequence[Tensor], names: Sequence[str], quality: int) -> bytes:
    sides = ("left", "right")[: len(eyes)]
    places = [
        {"name": name} | {side: _as_jpeg(picture, quality) for side, picture in zip(sides, pictures, strict=True)}
        for name, *pictures in zip(names, *eyes, strict=True)
    ]
    return PAGE.format(
        title=html.escape(names[0]),
        places=json.dumps(places).replace("<", "\\u003c"),  # no name may end the script
        viewer=read_whole(VIEWER).decode(),
    ).encode()


def _as_jpeg(picture: Tensor, quality: int) -> str:
    """``picture [3, H, W]`` as a data address."""
    from PIL import Image  # here: who loads the weights of an enlarger need not draw

    pixels = ((picture.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


guard(__name__)
