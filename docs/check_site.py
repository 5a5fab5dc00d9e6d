"""Look for what would fail a reader of the site: ``python docs/check_site.py build/site``.

Each link inside leads to a page that is there and to an anchor on it, pictures are there and have a text, nothing is
fetched from another computer, and no page is larger than 5 MB with its pictures.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGEST = 5_000_000  # bytes of a page with its pictures
LOADED = {"img": "src", "script": "src", "source": "srcset", "iframe": "src", "video": "src", "audio": "src"}


class Page(HTMLParser):
    """What one page names: its anchors, its links, and what a browser loads with it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.silent: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(given["href"])
        if tag in LOADED and given.get(LOADED[tag]):
            self.loaded.append(given[LOADED[tag]])
        if tag == "img" and "alt" not in given:
            self.silent.append(given.get("src", "")[:80])

    def file_of(self, address: str) -> Path:
        """The file that an address on this page names."""
        path = unquote(urlsplit(address).path)
        return (self.path.parent / path).resolve() if path else self.path


def problems(site: Path) -> Iterator[str]:
    """A sentence for each fault of the site in this folder."""
    pages = {path.resolve(): Page(path.resolve()) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"there is no page in {site}"
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        size = path.stat().st_size
        for address in dict.fromkeys(page.loaded):
            file = page.file_of(address)
            if re.match(r"(?:https?:)?//", address):
                yield f"{name} loads {address} from another computer"
            elif not address.startswith("data:"):
                if not file.is_file():
                    yield f"{name} loads {address}, which is not there"
                else:
                    size += file.stat().st_size
        if size > LARGEST:
            yield f"{name} weighs {size / 1e6:.1f} MB with all that it loads, more than {LARGEST / 1e6:.0f}"
        yield from (f"{name}: the picture {source} has no text" for source in page.silent)
        for link in dict.fromkeys(page.links):
            if re.match(r"[a-z][a-z0-9+.-]*:|//", link):
                continue
            target, anchor = page.file_of(link), unquote(urlsplit(link).fragment)
            if not target.is_file():
                yield f"{name} links to {link}, which is not there"
            elif anchor and target in pages and anchor not in pages[target].anchors:
                yield f"{name} links to {link}: there is no such anchor"


def main(site: Path) -> int:
    """Print the faults of the site; 1 where there are any."""
    found = list(problems(site))
    for problem in found:
        print(problem)
    if not found:
        files = list(site.rglob("*.html"))
        largest = max(files, key=lambda path: path.stat().st_size)
        print(f"{len(files)} pages, all links and anchors lead somewhere. The largest: {largest.relative_to(site)}.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
