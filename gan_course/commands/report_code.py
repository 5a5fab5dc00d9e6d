"""The doctor's findings in eight characters, to be read out over the phone: ``gan-course doctor --report``.

Five bits a character, in Crockford's alphabet: no I, L, O and U, which sound or look like others. 30 bits hold the
facts, 10 their remainder by the prime 1021: one wrong character, or two neighbours swapped, always leaves another one.
"""

from __future__ import annotations

import re
from typing import Any

from gan_course.commands.doctor import LAB_WIDGETS, Facts, check_kernel
from gan_course.commands.errors import CourseError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ALIKE = str.maketrans("OIL", "011")
PRIME = 1021
FORMAT = 1  # of the fields below; another number where they change
SYSTEMS = ("linux", "darwin", "win32", "another system")
DISK_GB = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0)
UNKNOWN = 15  # half gigabytes of memory, where the system doesn't tell
FIELDS = {  # name → bits, first one first
    "format": 3, "python": 5, "system": 2, "torch": 2, "memory": 4, "disk": 3, "kernel": 2, "ipywidgets": 2,
    "front_end": 2, "data": 2, "cache": 1, "network": 1, "colab": 1,
}  # fmt: skip


def encode(facts: Facts) -> str:
    """The code of these facts, such as "4R5K-0JT7"."""
    _, device, error = facts.torch
    named, exists = facts.data
    values = {
        "format": FORMAT,
        "python": min(facts.python[1], 31),
        "system": SYSTEMS.index(facts.system) if facts.system in SYSTEMS else len(SYSTEMS) - 1,
        "torch": 0 if error is not None else {"cpu": 1}.get(device.split(" ")[0], 3) + ("mps" in device),
        "memory": UNKNOWN if facts.memory_gb is None else min(int(2 * facts.memory_gb), UNKNOWN - 1),
        "disk": sum(least <= min(facts.disk_gb.values()) for least in DISK_GB) - 1,
        "kernel": 1 if facts.kernel[0] is None else 0 if check_kernel(*facts.kernel).ok else 2,
        **widgets_states(*facts.widgets),
        "data": 0 if not named else 1 if exists else 2,
        "cache": facts.cache[1],
        "network": facts.network,
        "colab": facts.colab,
    }
    number = 0
    for name, bits in FIELDS.items():
        number = number << bits | int(values[name])
    number = number << 10 | number % PRIME
    code = "".join(ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))
    return f"{code[:4]}-{code[4:]}"


def widgets_states(ipywidgets: str | None, lab: str | None, extension: str | None) -> dict[str, int]:
    """The fields ``ipywidgets`` (0: none, 1: version 7, 2: version 8, 3: another) and ``front_end``.

    The latter: 0 where JupyterLab is not there, 1 in order, 2 missing, 3 of another version than it should be.
    """
    major = None if ipywidgets is None else int(ipywidgets.split(".")[0])
    front_end = 0 if lab is None else 2 if extension is None else 1
    if front_end == 1 and major in LAB_WIDGETS and int(str(extension).split(".")[0]) != LAB_WIDGETS[major]:
        front_end = 3
    return {"ipywidgets": 0 if major is None else {7: 1, 8: 2}.get(major, 3), "front_end": front_end}


def decode(code: str) -> Facts:
    """Facts that lead to the same findings; ``CourseError`` where a character is wrong."""
    text = re.sub(r"[\s-]", "", code).upper().translate(ALIKE)
    if len(text) != 8 or not set(text) <= set(ALPHABET):
        raise CourseError(f"{code!r} is no code of the doctor's: one has eight letters and digits, such as 4R5K-0JT7.")
    number = 0
    for character in text:
        number = number << 5 | ALPHABET.index(character)
    number, remainder = number >> 10, number & 1023
    if number % PRIME != remainder:
        raise CourseError(f"{code!r} has a wrong character, or two in the wrong order: have it read out again.")
    found: dict[str, Any] = {}
    rest = number
    for name, bits in reversed(FIELDS.items()):
        found[name], rest = rest & (1 << bits) - 1, rest >> bits
    if found["format"] != FORMAT or 3 in (found["kernel"], found["data"]):  # three of the four values are in use
        raise CourseError(f"{code!r} comes from another version of the course: install that one to read it.")
    widgets, wanted = (None, "7", "8", "9")[found["ipywidgets"]], LAB_WIDGETS.get(found["ipywidgets"] + 6)
    others = {None: "1", 1: "3", 3: "1"}
    return Facts(
        python=(3, found["python"]),
        system=SYSTEMS[found["system"]],
        torch=[
            (None, "cpu", "the code does not say why"),
            ("installed", "cpu", None),
            ("installed", "cpu (mps is there, and used only when asked for)", None),
            ("installed", "a CUDA card", None),
        ][found["torch"]],
        memory_gb=None if found["memory"] == UNKNOWN else found["memory"] / 2,
        disk_gb={"one of its places": DISK_GB[found["disk"]]},
        kernel=[("python", ""), (None, ""), ("elsewhere/python", "here/python")][found["kernel"]],
        widgets=(
            widgets,
            None if found["front_end"] == 0 else "4",
            (None, str(wanted or 3), None, others[wanted])[found["front_end"]],
        ),
        data=[(None, False), ("a folder", True), ("a place", False)][found["data"]],
        cache=("its place", bool(found["cache"])),
        network=bool(found["network"]),
        colab=bool(found["colab"]),
    )
