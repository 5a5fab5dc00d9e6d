"""A page that is safe to open, whoever wrote its notebook.

Everything between ``<main>`` and ``</main>`` goes once, as a whole, through bleach, the sanitizer behind nbconvert's
``sanitize_html``: so it does not matter which cell, output or piece of metadata some HTML came from. Kept are text,
tables, folds, links to web pages, and pictures that are in the page itself.

The course's own pages use a few scripts and styles: chapter 15's tables are searched and sorted. Whose they are is told
by their text alone. A block that reads, to the letter, like one that this package makes is put back after the
sanitizer, in whatever notebook it stands; no other script ever is. A chapter that brings a script of its own adds it to
:func:`own_blocks`. As a second wall, the page's Content-Security-Policy lets a browser run only those scripts, by their
SHA-256, and fetch nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import mimetypes
import re
import secrets
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bleach.css_sanitizer import ALLOWED_CSS_PROPERTIES, CSSSanitizer
from bleach.html5lib_shim import Filter
from bleach.sanitizer import Cleaner

TAGS = set(
    "a abbr article aside audio b bdi bdo blockquote br caption cite code col colgroup dd del details dfn div dl dt em "
    "figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp section small source "
    "span strong sub summary sup table tbody td tfoot th thead time tr tt u ul var video wbr".split()
)
EVERYWHERE = set("aria-hidden aria-label class data-mime-type data-type dir id lang role style tabindex title".split())
ATTRIBUTES = {
    "a": {"href"},
    "audio": {"controls", "loop", "muted", "src"},
    "col": {"span"},
    "colgroup": {"span"},
    "details": {"open"},
    "img": {"alt", "height", "src", "width"},
    "li": {"value"},
    "ol": {"reversed", "start", "type"},
    "source": {"src", "type"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "time": {"datetime"},
    "video": {"autoplay", "controls", "height", "loop", "muted", "playsinline", "src", "width"},
}
STYLES = (set(ALLOWED_CSS_PROPERTIES) - {"cursor"}) | set(  # a cursor can be a picture from elsewhere
    "border border-bottom border-left border-right border-style border-top border-width margin margin-bottom "
    "margin-left margin-right margin-top max-width opacity padding padding-bottom padding-left padding-right "
    "padding-top".split()
)
# Data that is in the page itself, in a kind that can't act: an SVG in an <img> runs no script and fetches nothing.
DATA = re.compile(
    r"data:(?:image/(?:png|jpeg|gif|webp|svg\+xml)|video/(?:mp4|webm)|audio/(?:mpeg|ogg|wav|x-wav));base64,"
    r"[A-Za-z0-9+/]+={0,2}"
)
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml", "image/bmp")
LARGEST = 20_000_000  # bytes of a picture that becomes part of a page
POLICY = (
    "default-src 'none'; img-src data:; media-src data:; font-src data:; style-src 'unsafe-inline'; "
    "script-src {scripts}; base-uri 'none'; form-action 'none'"
)


class Pieces:
    """Finished HTML that is set aside while the rest is sanitized. Nobody can guess the words that stand for it."""

    def __init__(self) -> None:
        self.secret = secrets.token_hex(12)
        self.pattern = re.compile(f"keep{self.secret}n([0-9]+)e")
        self.kept: list[tuple[str, str]] = []

    def keep(self, finished: str, plain: str = "") -> str:
        """The word that stands for ``finished`` from now on. plain: what to write where no HTML can stand."""
        self.kept.append((finished, plain))
        return f"keep{self.secret}n{len(self.kept) - 1}e"

    def whole(self, text: str) -> str | None:
        """The piece that ``text`` stands for, or None where it is anything else than one word."""
        match = self.pattern.fullmatch(text)
        return self.kept[int(match[1])][0] if match else None

    def plain(self, text: str) -> str:
        return self.pattern.sub(lambda match: self.kept[int(match[1])][1], text)

    def restore(self, text: str) -> str:
        return self.pattern.sub(lambda match: self.kept[int(match[1])][0], text)


def sanitize(body: str, pieces: Pieces, folder: Path) -> tuple[str, str]:
    """(``body`` without anything that could act or ask for something, the policy of its page).

    pieces: what is put back in the end. folder: pictures that the text names are looked for there, and nowhere else.
    """
    scripts = []

    def own(match: re.Match) -> str:
        if match["script"]:
            digest = base64.b64encode(hashlib.sha256(match["script"].encode()).digest()).decode()
            scripts.append(f"'sha256-{digest}'")
        return pieces.keep(match[0])

    body = own_blocks().sub(own, body)
    # The text of a script is of no use to a reader. That this finds all of it does not matter: bleach comes after.
    body = re.sub(r"<(script|style)\b.*?</\1\s*>", "", body, flags=re.DOTALL | re.IGNORECASE)
    body = DATA.sub(lambda match: pieces.keep(match[0]), body)

    class Finish(Finishing):
        def __init__(self, source) -> None:
            super().__init__(source)
            self.pieces, self.folder = pieces, folder

    cleaner = Cleaner(
        tags=TAGS,
        attributes=allowed,
        protocols={"http", "https", "mailto"},
        strip=True,
        css_sanitizer=CSSSanitizer(allowed_css_properties=STYLES),
        filters=[Finish],
    )
    safe = pieces.restore(cleaner.clean(body))
    return safe, POLICY.format(scripts=" ".join(sorted(set(scripts))) or "'none'")


@cache
def own_blocks() -> re.Pattern:
    """Finds the <style> and <script> blocks that the installed package itself makes; ``script`` is a script's text."""
    from gan_course.ledger import pages as ledger

    start = re.escape(inside(ledger.START)).replace("TABLE", r"[\w-]+").replace("CHOOSE", r"-?\d+")
    scripts = "|".join([re.escape(inside(ledger.library())), start])
    return re.compile(rf"{re.escape(ledger.STYLE)}|<script>(?P<script>{scripts})</script>")


def inside(script: str) -> str:
    return script.removeprefix("<script>").removesuffix("</script>")


def allowed(tag: str, name: str, value: str) -> bool:
    """Whether bleach keeps an attribute; of addresses it then looks at the protocol, too."""
    return name in EVERYWHERE or name in ATTRIBUTES.get(tag, ())


class Finishing(Filter):
    """Pictures, links and formulas, once bleach has taken away whatever may not be there."""

    pieces: Pieces
    folder: Path

    def __iter__(self) -> Iterator[dict]:
        for token in super().__iter__():
            if token["type"] not in ("StartTag", "EmptyTag"):
                yield token
                continue
            attributes = token["data"]  # their values as they stand in the file: &amp; is still &amp;
            source = html.unescape(attributes.pop((None, "src"), ""))
            for key, value in attributes.items():  # no HTML in an attribute; bleach escapes twice what holds a "
                attributes[key] = self.pieces.plain(value).replace('"', "&quot;")
            if token["name"] == "img":
                address, said = self.picture(source, html.unescape(attributes.get((None, "alt"), "")))
                if address is None:
                    yield {"type": "Characters", "data": said}
                    continue
                attributes[None, "src"] = address
            elif source and (data := self.pieces.whole(source)):
                attributes[None, "src"] = data
            if link := attributes.pop((None, "href"), None):
                if not re.match(r"[/\\]{2}", html.unescape(link).strip()):  # on Windows, a file of another computer
                    attributes[None, "href"] = page_of(link)
            yield token

    def picture(self, source: str, alt: str) -> tuple[str | None, str]:
        """(address, "") of a picture that is in the page or in the folder, else (None, the text in its place)."""
        if data := self.pieces.whole(source):
            return data, ""
        if re.match(r"(?:https?:)?//", source) or not source:  # a badge from the network, or nothing that was allowed
            return None, alt
        try:
            return embed(source, self.folder), ""
        except ValueError as error:
            return None, f"[{alt}: {error}]" if alt else f"[{error}]"


def embed(source: str, folder: Path) -> str:
    """The picture file that ``source`` names in ``folder`` as a data address. Raises ``ValueError`` for any other."""
    name = unquote(source)
    try:
        place = folder.resolve()
        file = next((f for f in (place / name, place / unquote(urlsplit(source).path)) if f.is_file()), None)
        if file is None:
            if not (place / name).resolve().is_relative_to(place):
                raise ValueError(f"the picture {name} is not in the course's folder")
            raise ValueError(f"there is no picture {name}")
        real = file.resolve()
        kind = mimetypes.guess_type(real.name)[0]
        if not real.is_relative_to(place):
            raise ValueError(f"the picture {name} is not in the course's folder")
        if kind not in PICTURES:
            raise ValueError(f"{name} is no picture")
        if real.stat().st_size > LARGEST:
            raise ValueError(f"the picture {name} is larger than {LARGEST / 1e6:.0f} MB")
        return f"data:{kind};base64,{base64.b64encode(real.read_bytes()).decode()}"
    except (OSError, RuntimeError) as error:  # a name that is too long, a link that turns in circles
        raise ValueError(f"the picture {name[:100]} cannot be read") from error


def page_of(link: str) -> str:
    """Chapters link to each other as notebooks; here they are pages, side by side."""
    match = re.fullmatch(r"(?:\./)?([^/:?#]+)\.ipynb(#.*)?", link, flags=re.DOTALL)
    return f"{match[1]}.html{match[2] or ''}" if match else link
