"""The tables of facts behind chapter 14: one row a fact, each with its date, source and status, checked when read.

Nothing here is a forecast of ours. A figure that nobody has confirmed, or on which sources disagree, says so.
"""

from __future__ import annotations

import csv
import datetime
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError, field_validator, model_validator

from gan_course.arguments import guard

FOLDER = Path(__file__).parent / "tables"
GATHERED = datetime.date(2026, 11, 22)  # no fact is younger
Status = Literal["verified", "reported", "estimate", "forecast", "UNVERIFIED", "CONFLICT", "UNDISCLOSED"]
STATUS = {
    "verified": "read at the source itself: a maker's page, a model card, official logs",
    "reported": "told by somebody else: the press, a blog, an index",
    "estimate": "its own author calls it an estimate, or it was computed from other figures",
    "forecast": "expected by its author at the time, not what came",
    "UNVERIFIED": "not confirmed, or not found at all",
    "CONFLICT": "sources disagree, and nothing decides between them",
    "UNDISCLOSED": "it happened, and the amount was kept secret",
}
DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?|-Q([1-4])|-H([12]))?")


def period(date: str) -> tuple[datetime.date, datetime.date]:
    """The first and the last day that ``date`` may mean: a year, half-year, quarter, month or day.

    They are written "2024", "2024-H1", "2024-Q1", "2024-06" and "2024-06-30". Raises ``ValueError`` for anything else.
    """
    match = DATE.fullmatch(date)
    if not match:
        raise ValueError(f"{date!r} is no date: write 2024, 2024-H1, 2024-Q1, 2024-06 or 2024-06-30")
    year = int(match[1])
    month, day, quarter, half = (int(part) if part else None for part in match.groups()[1:])
    if month is not None and day is not None:
        only = datetime.date(year, month, day)  # raises for the 31st of June
        return only, only
    first, months = 1, 12
    if month is not None:
        first, months = month, 1
    elif quarter:
        first, months = 3 * quarter - 2, 3
    elif half:
        first, months = 6 * half - 5, 6
    start, after = datetime.date(year, first, 1), first + months
    end = datetime.date(year + (after > 12), after - 12 * (after > 12), 1)
    return start, end - datetime.timedelta(days=1)


class Fact(BaseModel):
    """One row of a table: who, when, what, how much, in which unit, said by whom, and how sure that is.

    The amount is one ``value``, or lies between ``low`` and ``high``, of which one may be open. Only what is
    UNVERIFIED or UNDISCLOSED has no amount, and only that may lack a source.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    entity: str = Field(min_length=1)
    date: str  # "undated" where the source has none
    quantity: str = Field(min_length=1)
    value: float | None = Field(ge=0, allow_inf_nan=False)
    low: float | None = Field(ge=0, allow_inf_nan=False)
    high: float | None = Field(ge=0, allow_inf_nan=False)
    unit: str
    source_title: str
    source_address: HttpUrl | None
    status: Status
    note: str = ""

    @field_validator("value", "low", "high", "source_address", mode="before")
    @classmethod
    def _empty_is_none(cls, text: object) -> object:
        return None if text == "" else text

    @field_validator("date")
    @classmethod
    def _known_date(cls, date: str) -> str:
        if date != "undated":
            first, _ = period(date)
            if not datetime.date(2014, 1, 1) <= first <= GATHERED:
                raise ValueError(f"{date} lies outside of 2014 to {GATHERED}, when the tables were gathered")
        return date

    @model_validator(mode="after")
    def _sound(self) -> Fact:
        bounds = [x for x in (self.low, self.high) if x is not None]
        silent = self.status in ("UNVERIFIED", "UNDISCLOSED")
        if self.value is not None and bounds:
            raise ValueError("it has a value and a range: keep one of them")
        if self.value is None and not bounds and not silent:
            raise ValueError(f"it has no amount: give value, low or high, or a status other than {self.status!r}")
        if len(bounds) == 2 and self.low > self.high:  # type: ignore[operator]
            raise ValueError(f"low {self.low:g} is above high {self.high:g}: exchange them")
        if (not self.source_title or self.source_address is None) and not (silent and self.amountless):
            raise ValueError("it names no source: give source_title and source_address")
        return self

    @property
    def amountless(self) -> bool:
        return self.value is None and self.low is None and self.high is None

    @property
    def years(self) -> tuple[float, float]:
        """The date as decimal years, from its first to its last day; ``nan`` where it is undated."""
        if self.date == "undated":
            return float("nan"), float("nan")
        first, last = period(self.date)
        return (
            first.year + (first.timetuple().tm_yday - 1) / 365.25,
            last.year + last.timetuple().tm_yday / 365.25,
        )

    @property
    def year(self) -> float:
        """The middle of the date as a decimal year."""
        return sum(self.years) / 2

    @property
    def middle(self) -> float:
        """One number for a figure: the value, the middle of the range, or its only end. Raises ``ValueError``."""
        known = [x for x in (self.value, self.low, self.high) if x is not None]
        if not known:
            raise ValueError(f"{self.entity}, {self.quantity} ({self.date}): there is no amount, it is {self.status}")
        return sum(known) / len(known)

    @property
    def amount(self) -> str:
        """The amount in words, without its unit: "12", "8 to 12", "at least 7", "at most 5", "unknown"."""
        if self.value is not None:
            return number(self.value)
        if self.low is not None and self.high is not None:
            return f"{number(self.low)} to {number(self.high)}"
        if self.low is not None:
            return f"at least {number(self.low)}"
        return "unknown" if self.high is None else f"at most {number(self.high)}"


class Market(Fact):
    """A fact about a company or about the whole market."""

    unit: Literal["USD million", "event", "million images", "million downloads"]


class Measured(Fact):
    """A fact whose amount is above 0: a price, a time, a number of steps."""

    value: float | None = Field(gt=0, allow_inf_nan=False)
    low: float | None = Field(gt=0, allow_inf_nan=False)
    high: float | None = Field(gt=0, allow_inf_nan=False)


class ImagePrice(Measured):
    """What one picture costs a customer; ``terms``: from its maker, or from a host of somebody else's open weights."""

    unit: Literal["USD per image", "USD per million tokens"]
    seller: str = Field(min_length=1)
    terms: Literal["maker", "host"]


class GpuPrice(Measured):
    """What one hour of one GPU costs. The ``terms`` differ too much to share a line in a figure."""

    unit: Literal["USD per GPU-hour"]
    gpu: Literal["A100", "H100"]
    terms: Literal["list", "market", "contract", "spot", "implied"]


class Latency(Measured):
    """How long pictures take on one GPU."""

    unit: Literal["s", "min", "h", "steps per second"]
    gpu: str = Field(min_length=1)
    steps: int = Field(ge=1)
    side_pixels: int = Field(ge=1)

    @property
    def seconds_per_image(self) -> float:
        """Of one picture; for "steps per second", without text encoder and decoder."""
        if self.unit == "steps per second":
            return self.steps / self.middle
        pictures = 50_000 if self.quantity == "time for 50000 images" else 1
        return self.middle * {"s": 1, "min": 60, "h": 3600}[self.unit] / pictures


class Training(Measured):
    """What it took to train a model, or what is needed to estimate it."""

    unit: Literal["GPU-h", "h", "USD", "kg CO2eq", "kW", "kg CO2eq per kWh", "steps", "pictures", "TFLOP/s"]


class Benchmark(Measured):
    """A result of MLPerf Training: minutes until a model of fixed quality, which is far below a finished model's."""

    unit: Literal["min"]
    benchmark: Literal["Stable Diffusion 2", "FLUX.1"]
    round: str = Field(pattern=r"^v\d+\.\d+$")
    accelerator: str = Field(min_length=1)
    accelerators: int = Field(ge=1)
    runs: int = Field(ge=1)

    @property
    def gpu_minutes(self) -> float:
        return self.middle * self.accelerators


TABLES: dict[str, type[Fact]] = {
    "market": Market,
    "image_prices": ImagePrice,
    "gpu_prices": GpuPrice,
    "latency": Latency,
    "training": Training,
    "mlperf": Benchmark,
}


def load(name: str, folder: Path = FOLDER) -> list[Fact]:
    """The facts of table ``name``, in the file's order.

    Raises ``ValueError`` for an unknown name, and for a damaged table one line for each fault: file, row, field, fault.
    """
    if name not in TABLES:
        raise ValueError(f"there is no table {name!r}: choose one of {', '.join(TABLES)}")
    kind, path = TABLES[name], folder / f"{name}.csv"
    if not path.is_file():
        raise FileNotFoundError(f"the table {path} is missing: correct the folder, or install the course again")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restkey="too many fields")
        wanted, found = list(kind.model_fields), list(reader.fieldnames or [])
        if sorted(wanted) != sorted(found):
            missing, unknown = set(wanted) - set(found), set(found) - set(wanted)
            raise ValueError(
                f"{path.name}: its first row must name the fields {', '.join(wanted)}; missing: "
                f"{', '.join(sorted(missing)) or 'none'}, unknown: {', '.join(sorted(unknown)) or 'none'}"
            )
        rows = list(enumerate(reader, start=2))  # the row as a spreadsheet numbers it
    facts: list[tuple[int, Fact]] = []
    faults: list[str] = []
    for row, fields in rows:
        try:
            facts.append((row, kind.model_validate(fields)))
        except ValidationError as error:
            faults += [f"{path.name}, row {row}, {_said(fault)}" for fault in error.errors()]
    faults += [f"{path.name}, {fault}" for fault in _repeated(facts)]
    if faults:
        raise ValueError("\n".join(faults))
    return [fact for _, fact in facts]


def _said(fault) -> str:
    """A fault of one row as "field: what is wrong"."""
    field = ".".join(str(part) for part in fault["loc"]) or "amount or source"
    text = fault["msg"].removeprefix("Value error, ")
    given = "" if isinstance(fault["input"], dict) or not fault["loc"] else f" but is {fault['input']!r}"
    return f"{field}: {text}{given}"


def _repeated(facts: Sequence[tuple[int, Fact]]) -> Iterable[str]:
    """Two rows for one fact are a duplicate, unless two sources contradict each other and both rows say so."""
    seen: dict[tuple, tuple[int, Fact]] = {}
    for row, fact in facts:
        own = {name: getattr(fact, name) for name in type(fact).model_fields if name not in Fact.model_fields}
        key = (fact.entity, fact.date, fact.quantity, *own.values())
        if key in seen:
            first, other = seen[key]
            conflict = fact.status == other.status == "CONFLICT" and fact.source_title != other.source_title
            if not conflict:
                yield (
                    f"row {row}, quantity: row {first} has the same entity, date and quantity: delete one of them, or "
                    "mark both as CONFLICT if two sources disagree"
                )
        seen.setdefault(key, (row, fact))


def pick(facts: Iterable[Fact], entity: str, quantity: str, date: str | None = None) -> Fact:
    """The one fact about ``entity`` and ``quantity`` (and ``date``). Raises ``ValueError`` unless there is just one."""
    found = [f for f in facts if (f.entity, f.quantity) == (entity, quantity) and date in (None, f.date)]
    if len(found) != 1:
        when = f" of {date}" if date else ""
        raise ValueError(f"there are {len(found)} facts about {entity!r}, {quantity!r}{when}: exactly one is needed")
    return found[0]


def number(value: float) -> str:
    """A number as people write it: no exponent, no trailing zeros."""
    return f"{value:,.0f}" if value >= 1000 and value == round(value) else f"{value:.10g}"


def listing(facts: Iterable[Fact]) -> str:
    """Facts as a text table: date, entity, quantity, amount, unit, status."""
    rows = [(f.date, f.entity, f.quantity, f.amount, f.unit, f.status) for f in facts]
    if not rows:
        return "no facts"
    lengths = [max(len(row[i]) for row in rows) for i in range(6)]
    lines = ["  ".join(text.ljust(n) for text, n in zip(row, lengths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def sources(facts: Iterable[Fact]) -> dict[str, str]:
    """Each source once: its title and its address, in alphabetical order."""
    found = {f.source_title: str(f.source_address) for f in facts if f.source_address}
    return dict(sorted(found.items(), key=lambda item: item[0].casefold()))


guard(__name__)
