"""What ``make bench`` says: requirements with their verdicts, the race as a table and a plot, both in docs/bench.md."""

from __future__ import annotations

import io
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from bench.race import OURS, Mark
from gan_course import plots
from gan_course.commands.errors import CourseError
from gan_course.files import write_whole

RATIO, RATIO_AT = 0.1, (60, 180)  # our distance over that of the best peer, and after how many seconds
NEAR, NEAR_AT = 4, 600  # our distance over the floor
PAGE, PICTURE = "docs/bench.md", "docs/images/bench_frechet.png"
START, END = "<!-- measured: start -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Row:
    """One line of the table. ``most`` and ``least`` are the requirement; a row without either is for information."""

    what: str
    value: float
    digits: int = 3
    most: float | None = None
    least: float | None = None

    @property
    def holds(self) -> bool:
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    def cells(self) -> list[str]:
        """What was measured, its value, what is required, and whether it holds."""
        required = f"at least {self.least:,g}" if self.least else f"at most {self.most:,g}" if self.most else "-"
        verdict = ("yes" if self.holds else "NO") if required != "-" else ""
        return [self.what, f"{self.value:,.{self.digits}f}", required, verdict]

    def __str__(self) -> str:
        what, value, required, verdict = self.cells()
        return f"{what:56}{value:>10}   {required:16}{verdict}".rstrip()


HEADING = ["what", "measured", "required", "holds"]
Floor = tuple[float, float]  # see ``Judge.floor``


# ------------------------------------------------------------------------------------------------- the race


def median_of(marks: Iterable[Mark], name: str, seconds: int) -> float | None:
    """The median distance over the seeds, or ``None`` where nothing was measured."""
    found = [mark.frechet for mark in marks if (mark.contender, mark.seconds) == (name, seconds)]
    return statistics.median(found) if found else None


def names_of(marks: Iterable[Mark]) -> list[str]:
    """The contenders in the order of their first marks."""
    return list(dict.fromkeys(mark.contender for mark in marks))


def seconds_of(marks: Iterable[Mark]) -> list[int]:
    return sorted({mark.seconds for mark in marks})


def verdicts(marks: Sequence[Mark], floor: Floor) -> Iterator[Row]:
    """The requirements on the race, as far as what they compare was measured."""
    for seconds in seconds_of(marks):
        ours = median_of(marks, OURS, seconds)
        others = [median_of(marks, name, seconds) for name in names_of(marks) if name != OURS]
        best = min((other for other in others if other is not None), default=None)
        if ours is None:
            continue
        if best is not None:
            what = f"Fréchet distance at {seconds} s: ours / best peer"
            yield Row(what, ours / best, most=RATIO if seconds in RATIO_AT else None)
        what = f"Fréchet distance at {seconds} s: ours / real halves"
        yield Row(what, ours / floor[0], digits=2, most=NEAR if seconds == NEAR_AT else None)


def race_table(marks: Sequence[Mark], floor: Floor) -> list[list[str]]:
    """Rows of cells: Fréchet distance by contender and seconds, the median with all seeds behind it, and the rate."""
    table = [["Fréchet distance", *(f"{seconds} s" for seconds in seconds_of(marks)), "images / s"]]
    for name in names_of(marks):
        row = [name]
        for seconds in seconds_of(marks):
            found = [mark.frechet for mark in marks if (mark.contender, mark.seconds) == (name, seconds)]
            each = f" ({', '.join(f'{value:.3g}' for value in found)})" if len(found) > 1 else ""
            row.append(f"{statistics.median(found):.3g}{each}" if found else "")
        rate = statistics.median(mark.rate for mark in marks if mark.contender == name)
        table.append([*row, f"{rate:,.0f}"])
    blank = [""] * (len(table[0]) - 2)
    table.append(["real half against real half", f"{floor[0]:.3g}", *blank])
    table.append(["real half against all", f"{floor[1]:.3g}", *blank])
    return table


def plain(table: Sequence[Sequence[str]]) -> str:
    """Rows of cells as columns for a terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    return "\n".join(line.rstrip() for line in lines)


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the heading first, as a Markdown table."""
    lines = [f"| {' | '.join(row)} |" for row in table]
    return "\n".join([lines[0], "|---" * len(table[0]) + "|", *lines[1:]])


# ------------------------------------------------------------------------------------------------- the page


def draw(marks: Sequence[Mark], floor: Floor) -> Figure:
    """The distances against the seconds, both axes logarithmic: a line through the medians, a dot for each seed."""
    colours = [plots.FAKE, "#009E73", plots.NEUTRAL]
    figure, ax = plots.new_figure(size=(6.4, 4.0))
    for name, colour, sign in zip(names_of(marks), colours, "osD", strict=False):
        of_name = [mark for mark in marks if mark.contender == name]
        ax.scatter([m.seconds for m in of_name], [m.frechet for m in of_name], s=18, marker=sign, color=colour)
        medians = [median_of(marks, name, seconds) for seconds in seconds_of(of_name)]
        ax.plot(seconds_of(of_name), medians, color=colour, marker=sign, markersize=4, label=name)
    ax.axhline(floor[0], color=plots.REAL, linestyle="--", linewidth=1, label="real against real: the floor")
    ax.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="Fréchet distance (lower is better)")
    ax.set_xticks(seconds_of(marks), [f"{seconds}" for seconds in seconds_of(marks)], minor=False)
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=9)
    return figure


def page(root: Path) -> tuple[str, str]:
    """What stands in docs/bench.md before and behind the measured rows. ``CourseError`` without such a place."""
    try:
        text = (root / PAGE).read_text(encoding="utf-8")
        before, rest = text.split(START)
        return before, rest.split(END)[1]
    except (OSError, ValueError, IndexError) as error:
        raise CourseError(
            f"{PAGE} can't take the measured rows, which stand between {START} and {END}: restore the file from git."
        ) from error


def write_page(root: Path, marks: Sequence[Mark], floor: Floor, rows: Sequence[Row]) -> None:
    """Write the measured rows of docs/bench.md and its picture anew; the words around them are written by hand."""
    before, behind = page(root)
    picture = io.BytesIO()
    draw(marks, floor).savefig(picture, dpi=100)
    write_whole(root / PICTURE, picture.getvalue())
    tables = [markdown(race_table(marks, floor)), markdown([HEADING, *(row.cells() for row in rows)])]
    text = before + "\n\n".join([START, *tables, END]) + behind
    write_whole(root / PAGE, text.encode())
