"""The reading list and all sources, from ``references.bib``."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path

FIELD = re.compile(r"(\w+)\s*=\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
ENTRY = re.compile(r"^@(\w+)\{(\w+),\n(.*?)^\}", flags=re.MULTILINE | re.DOTALL)


@cache
def works() -> dict[str, dict[str, str]]:
    """Key → fields of every entry, in the file's order. Raises ``ValueError`` for a key that is there twice."""
    text = (Path(__file__).parent / "references.bib").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = {}
    for kind, key, body in ENTRY.findall(text):
        if key in found:
            raise ValueError(f"references.bib has two entries {key}: give one of them another key")
        found[key] = {"kind": kind} | {name.lower(): value.strip("{}") for name, value in FIELD.findall(body)}
    return found


def month_of(eprint: str) -> str:
    """The month in an arXiv number of today's form, such as "2014-06" for "1406.2661".

    Raises ``ValueError`` for another form: four digits, a dot, four digits until 2014 and five since 2015.
    """
    match = re.fullmatch(r"(\d\d)(0[1-9]|1[0-2])\.(\d{4,5})", eprint)
    if not match or len(match[3]) != (4 if match[1] < "15" else 5):
        raise ValueError(f"{eprint!r} is no arXiv number: they look like 1406.2661, and since 2015 like 2112.10752")
    return f"20{match[1]}-{match[2]}"


def address(work: dict[str, str]) -> str | None:
    """Where a work can be read."""
    return work.get("url") or (f"https://arxiv.org/abs/{work['eprint']}" if "eprint" in work else None)


def authors(work: dict[str, str], most: int = 3) -> str:
    """ "Goodfellow, Pouget-Abadie, Mirza and others": family names, ``most`` of them at the most."""
    if "," not in work.get("author", ""):
        return work.get("author", "")
    names = [name.split(",")[0] for name in work["author"].split(" and ")]
    others = "others" in names
    names = [name for name in names if name != "others"]
    if others or len(names) > most:
        return f"{', '.join(names[:most])} and others"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def citation(key: str, linked: bool = True) -> str:
    """One work as a line of HTML: authors, title, place, year, arXiv number. Raises ``KeyError`` for an unknown key."""
    work = works()[key]
    title = f"<i>{escape(work['title'])}</i>"
    if linked and address(work):
        title = f'<a href="{escape(address(work) or "")}">{title}</a>'
    place = work.get("booktitle") or work.get("journal") or work.get("publisher") or work.get("howpublished")
    number = f"arXiv {work['eprint']} ({work['date']})" if "eprint" in work else None
    parts = [escape(authors(work)), title, escape(" ".join(filter(None, (place, work["year"])))), number]
    note = work.get("note")
    return ", ".join(filter(None, parts)) + (f" ({escape(note)})" if note else "")


def reading_list() -> list[str]:
    """The keys of the works worth reading, in the order in which to read them."""
    numbered = {key: int(work["order"]) for key, work in works().items() if "order" in work}
    return sorted(numbered, key=lambda key: numbered[key])
