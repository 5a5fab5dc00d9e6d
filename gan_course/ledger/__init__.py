"""The ledger: what the source document claims, whether it holds, and the cell that shows it.

Its rows stand in ``claims.toml``, its sources in ``references.bib``. Functions that settle a claim by computing are in
:mod:`.arithmetic` and :mod:`.programs`; :mod:`.pages` draws all of it in a notebook.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gan_course.arguments import guard

FOLDER = Path(__file__).parent
CHAPTERS = (
    "00_start_here", "01_concepts", "02_loss_math", "03_training", "04_convolutional_gans", "05_failure_modes",
    "06_evaluation", "07_diffusion", "08_stable_diffusion", "09_back_to_gans", "10_style_transfer",
    "11_data_augmentation", "12_video", "13_virtual_reality", "14_cost_and_market", "15_document_review",
)  # fmt: skip
PENDING: tuple[str, ...] = ()  # chapters that are not there yet: what they will show is open

Verdict = Literal[
    "true", "incomplete", "misleading", "false", "outdated", "fault", "missing", "no such work", "unverifiable"
]
#: What each verdict means, in the order of the figures.
VERDICTS: dict[Verdict, str] = {
    "true": "holds as it is said",
    "incomplete": "right as far as it goes, but something is left out without which it doesn't work",
    "misleading": "holds somewhere or in part, and leads to a wrong conclusion here",
    "false": "a computation, a measurement or a primary source says the opposite",
    "outdated": "held once",
    "fault": "code or pseudo-code that stops, or does something else than is said of it",
    "missing": "announced or needed, and not there",
    "no such work": "a title that our searches did not find, or that can't exist by its date",
    "unverifiable": "no evidence is given, and we found none",
}
assert tuple(VERDICTS) == get_args(Verdict)

Sentence = Annotated[str, Field(min_length=10, pattern=r"[.:]$")]


class Claim(BaseModel):
    """One row of the ledger."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^S\d+(\.\d)?-[a-k](\.\d+)?$")]
    section: Annotated[str, Field(pattern=r"^\d+(\.\d+){0,2}$")]  # of the document; "0" is its title and abstract
    claim: Sentence  # in our words
    verdict: Verdict
    correct: Sentence  # what holds
    evidence: list[Annotated[str, Field(pattern=r"^\d\d(#[\w-]+)?$")]]  # "chapter#cell", or a chapter to come
    sources: Annotated[list[str], Field(min_length=1)]  # keys of references.bib

    @model_validator(mode="after")
    def _fits(self) -> Claim:
        if not f"{self.section}.".startswith(f"{self.id[1:].split('-')[0]}."):
            raise ValueError(f"{self.id} stands under section {self.section}: its id must begin with the section")
        for link in self.evidence:
            chapter, _, cell = link.partition("#")
            if int(chapter) >= len(CHAPTERS):
                raise ValueError(f"{self.id} names chapter {chapter}: there are 00 to {len(CHAPTERS) - 1}")
            if bool(cell) == (chapter in PENDING):
                what = "is still to come, so it has no cell yet" if cell else "is there: name the cell"
                raise ValueError(f"{self.id} names {link}, but chapter {chapter} {what}")
        return self

    @property
    def item(self) -> bool:
        """Whether this is one numbered fault of a program that a claim above it speaks of."""
        return "." in self.id.split("-")[1]

    @property
    def shown(self) -> list[str]:
        """The executed cells that show it, as "chapter#cell"."""
        return [link for link in self.evidence if "#" in link]

    @property
    def status(self) -> str:
        """Who answers: ``"shown"`` by an executed cell, ``"open"`` until its chapter is there, ``"by its sources"``."""
        return "shown" if self.shown else "open" if self.evidence else "by its sources"


@cache
def load() -> tuple[Claim, ...]:
    """All rows in the document's order.

    Raises ``pydantic.ValidationError`` for a row that breaks a rule, ``ValueError`` for two rows of one id.
    """
    rows = tomllib.loads((FOLDER / "claims.toml").read_text(encoding="utf-8"))["claims"]
    claims = tuple(Claim.model_validate(row) for row in rows)
    doubled = [name for name, count in Counter(claim.id for claim in claims).items() if count > 1]
    if doubled:
        raise ValueError(f"claims.toml has more than one row {doubled[0]}: give one of them another id")
    return claims


def get(name: str) -> Claim:
    """The row with the id ``name``, such as "S4.3-b". Raises ``KeyError`` with the nearest ids where there is none."""
    for claim in load():
        if claim.id == name:
            return claim
    near = [claim.id for claim in load() if claim.id.startswith(name[:4])]
    raise KeyError(f"the ledger has no {name}: {', '.join(near) or 'ids look like S4.3-b'}")


def of_sections(*sections: str) -> list[Claim]:
    """The rows of these sections of the document, with all below them: "4" holds "4.1" to "4.3"."""
    return [claim for claim in load() if any(re.match(rf"{re.escape(s)}(\.|$)", claim.section) for s in sections)]


def counts(claims: list[Claim] | None = None) -> dict[Verdict, int]:
    """How many rows have each verdict, in the order of :data:`VERDICTS`."""
    found = Counter(claim.verdict for claim in (load() if claims is None else claims))
    return {verdict: found[verdict] for verdict in VERDICTS}


guard(__name__)
