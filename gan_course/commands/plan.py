"""``gan-course plan``: cores, memory, disk and money that a hub needs for a class, from figures measured with one."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from gan_course import costs
from gan_course.commands.errors import CourseError
from gan_course.costs.facts import Measured

FOLDER = Path(costs.__file__).parent / "hub"
HEADROOM = 1.2  # of memory: The Littlest JupyterHub's guide advises 20 to 40 % for students who play around
PAGES_MB = 100  # what a student's own runs leave behind
SYSTEM_GB = 10  # of disk: the operating system and the hub
SERVER_CORES, SERVER_GB = 2, 8 * 1.024**3  # of the server whose price is known
HOURS_PER_MONTH = 730


class ServerPrice(Measured):
    """What an hour of a server, or a month of a GB of its disk, costs."""

    unit: Literal["USD per server-hour", "USD per GB-month"]


@dataclass(frozen=True)
class Plan:
    """A hub's size. GB are 10^9 bytes. ``lines``: how each figure came about, one sentence a line."""

    cores: int
    memory_gb: float
    disk_gb: float
    servers: int
    usd: float
    lines: tuple[str, ...]


def plan(students: int, at_once: int | None = None, wait: float = 10.0, hours: float = 8.0) -> int:
    """Print the plan with its arithmetic and return 0; ``CourseError`` for numbers that make no class."""
    if students < 1:
        raise CourseError(f"--students must be 1 or more but is {students}.")
    at_once = students if at_once is None else at_once
    if not 1 <= at_once <= students:
        raise CourseError(f"--at-once must lie between 1 and --students, which is {students}, but is {at_once}.")
    if not (0 < wait < math.inf and 0 < hours < math.inf):
        raise CourseError(f"--wait and --hours must be above 0 but are {wait:g} and {hours:g}.")
    for line in compute(students, at_once, wait, hours, figures(), *prices()).lines:
        print(line)
    return 0


@cache
def figures() -> dict[str, Any]:
    """What ``python -m bench.hub --write`` measured."""
    return json.loads((FOLDER / "measured.json").read_text(encoding="utf-8"))


@cache
def prices() -> tuple[ServerPrice, ServerPrice]:
    """(a server's hour, a month of a GB of disk)."""
    with (FOLDER / "server_prices.csv").open(encoding="utf-8", newline="") as file:
        found = {price.unit: price for price in (ServerPrice.model_validate(row) for row in csv.DictReader(file))}
    return found["USD per server-hour"], found["USD per GB-month"]


def compute(
    students: int,
    at_once: int,
    wait: float,
    hours: float,
    measured: dict[str, Any],
    server: ServerPrice,
    disk: ServerPrice,
) -> Plan:
    """The plan. wait: minutes in which the longest chapter ends where all run it at once; hours: that the hub is up."""
    each_mb = measured["server_memory_mb"] + measured["largest_chapter_mb"]
    memory_gb = (at_once * each_mb * HEADROOM + measured["hub_memory_mb"]) / 1000
    longest = measured["longest_chapter_seconds"]
    cores = max(2, math.ceil(at_once * longest / (60 * wait)))
    home_mb = measured["home_mb_per_student"] + PAGES_MB
    disk_gb = (students * home_mb + measured["environment_mb"]) / 1000 + SYSTEM_GB
    servers = max(math.ceil(cores / SERVER_CORES), math.ceil(memory_gb / SERVER_GB))
    server_usd, disk_usd = servers * server.middle * hours, disk_gb * disk.middle * hours / HOURS_PER_MONTH
    per_class, rent = f"{at_once} × {longest} s", f"{disk_gb:.1f} GB × {disk.middle:g} USD"
    login = at_once * measured["cpu_seconds_per_student"] / (servers * SERVER_CORES)
    lines = (
        f"A hub for {students} students, {at_once} of them at once. Measured on {measured['date']} with "
        f"{measured['students']} students at once on {measured['cores']} cores, of whom {measured['failed']} failed.",
        f"memory  {at_once} × ({measured['server_memory_mb']} MB server + {measured['largest_chapter_mb']} MB largest "
        f"chapter) × {HEADROOM} + {measured['hub_memory_mb']} MB hub = {memory_gb:.1f} GB",
        f"        in an exercise a student takes {measured['memory_mb_per_student']} MB, server and kernel together",
        f"cores   {per_class} longest chapter / ({wait:g} min × 60) = {at_once * longest / (60 * wait):.1f}, so "
        f"{cores}: then it ends within {wait:g} minutes where all run it at once",
        f"disk    {students} × ({measured['home_mb_per_student']} MB notebooks + {PAGES_MB} MB pages) + "
        f"{measured['environment_mb']} MB packages + {SYSTEM_GB} GB system = {disk_gb:.1f} GB",
        f"servers of {SERVER_CORES} cores and {SERVER_GB:.1f} GB: {math.ceil(cores / SERVER_CORES)} for the cores, "
        f"{math.ceil(memory_gb / SERVER_GB)} for the memory, so {servers}, or one as large as these together",
        f"log-in  {at_once} × {measured['cpu_seconds_per_student']} s / {servers * SERVER_CORES} cores = {login:.0f} s "
        "until all have run the setup and a check, where all log in at once",
        f"cost    {servers} × {server.middle:g} USD × {hours:g} h + {rent} × {hours:g} h / {HOURS_PER_MONTH} h "
        f"= {server_usd:.2f} + {disk_usd:.2f} = {server_usd + disk_usd:.2f} USD",
        f"        {server.entity} ({server.date}); {disk.entity} ({disk.date}). Traffic and taxes are not in it.",
    )
    return Plan(cores, memory_gb, disk_gb, servers, server_usd + disk_usd, lines)
