"""``gan-course doctor``: is this computer ready for the course, and if not, what to do.

Each check is a pure function of plain facts, so that a test can break one thing at a time; ``gather`` collects them.
Nothing here needs the course's own dependencies: the doctor must be able to say that torch is missing.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

MIN_PYTHON = (3, 11)
MIN_MEMORY_GB = 2.0  # a chapter needs 1.2 at the most; the browser and JupyterLab need some as well
MIN_DISK_GB = 1.0  # the pages of all chapters and both MNIST sets, with room to spare
DATA_HOSTS = ("https://ossci-datasets.s3.amazonaws.com/", "https://storage.googleapis.com/")
TIMEOUT = 4.0  # seconds to wait for a host
# The JupyterLab extension that belongs to each major version of ipywidgets.
LAB_WIDGETS = {7: 1, 8: 3}


@dataclass(frozen=True)
class Finding:
    """The result of one check. remedy: one sentence, empty where all is well."""

    name: str
    ok: bool
    says: str
    remedy: str = ""


@dataclass(frozen=True)
class Facts:
    """What the checks look at: the arguments of each, gathered on this computer or read from a report's code."""

    python: Sequence[int]
    system: str  # as sys.platform has it
    torch: tuple[str | None, str, str | None]
    memory_gb: float | None
    disk_gb: Mapping[str, float]
    kernel: tuple[str | None, str]
    widgets: tuple[str | None, str | None, str | None]
    data: tuple[str | None, bool]
    cache: tuple[str, bool]
    network: bool
    colab: bool


def doctor(root: str | Path = ".", as_json: bool = False, report: bool = False, explain: str | None = None) -> int:
    """Print the findings and return 0, or 1 where something is to be fixed.

    report: print a code of eight characters, too, that says the same. explain: such a code of another computer, whose
    findings are printed instead of this one's; ``CourseError`` where it is none.
    """
    from gan_course.commands import report_code

    facts = gather(Path(root)) if explain is None else report_code.decode(explain)
    findings = judge(facts)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
        return int(not all(finding.ok for finding in findings))
    if explain is not None:
        print(
            f"A computer with {facts.system}. Memory and disk are rounded down; paths and reasons are not in the code."
        )
    for finding in findings:
        mark = "[ok] " if finding.ok else "[fix]"
        print(f"{mark} {finding.name}: {finding.says}{'. ' + finding.remedy if finding.remedy else ''}")
    if report:
        code = report_code.encode(facts)
        print(f"Code: {code}. Whoever helps you gets these findings with: gan-course doctor --explain {code}")
    return int(not all(finding.ok for finding in findings))


def gather(root: Path, env: Mapping[str, str] = os.environ) -> Facts:
    """The facts about this computer, this Python and this environment."""
    cache = cache_folder(env)
    data = env.get("GAN_COURSE_DATA")
    return Facts(
        python=sys.version_info[:3],
        system=sys.platform,
        torch=torch_facts(),
        memory_gb=free_memory_gb(),
        disk_gb={str(place): free_disk_gb(place) for place in (root.resolve(), cache)},
        kernel=kernel_facts(),
        widgets=(version("ipywidgets"), version("jupyterlab"), version("jupyterlab_widgets")),
        data=(data, bool(data) and Path(data or "").is_dir()),
        cache=(str(cache), is_writable(cache)),
        network=any(answers(host) for host in DATA_HOSTS),
        colab="COLAB_RELEASE_TAG" in env,
    )


def judge(facts: Facts) -> list[Finding]:
    """All findings, in the order in which a student should read them."""
    return [
        check_python(facts.python),
        check_torch(*facts.torch),
        check_memory(facts.memory_gb),
        check_disk(facts.disk_gb),
        check_kernel(*facts.kernel),
        check_widgets(*facts.widgets),
        check_data(*facts.data),
        check_cache(*facts.cache),
        check_network(facts.network),
        check_colab(facts.colab),
    ]


def check_python(found: Sequence[int]) -> Finding:
    says, wanted = ".".join(map(str, found)), ".".join(map(str, MIN_PYTHON))
    if tuple(found[:2]) < MIN_PYTHON:
        return Finding(
            "Python", False, says, f"Install Python {wanted} or newer and make the environment again with it."
        )
    return Finding("Python", True, says)


def check_torch(installed: str | None, device: str, error: str | None) -> Finding:
    """device: "cpu", "mps" or the name of the CUDA card."""
    if error is not None:
        again = "Install it again with python -m pip install --force-reinstall torch."
        return Finding("torch", False, f"cannot be imported ({error})", again)
    return Finding("torch", True, f"{installed} on {device}")


def check_memory(free_gb: float | None) -> Finding:
    if free_gb is None:
        return Finding("memory", True, f"unknown here; the course needs {MIN_MEMORY_GB:.0f} GB free")
    if free_gb < MIN_MEMORY_GB:
        remedy = f"Close other programs, the browser first, until {MIN_MEMORY_GB:.0f} GB are free."
        return Finding("memory", False, f"{free_gb:.1f} GB free", remedy)
    return Finding("memory", True, f"{free_gb:.1f} GB free")


def check_disk(free_gb: Mapping[str, float]) -> Finding:
    """free_gb: folder → gigabytes free on its disk."""
    place, least = min(free_gb.items(), key=lambda item: item[1])
    if least < MIN_DISK_GB:
        remedy = f"Delete something until {MIN_DISK_GB:.0f} GB is free; the folder build/ can be made again."
        return Finding("disk", False, f"{least:.1f} GB free at {place}", remedy)
    return Finding("disk", True, f"{least:.0f} GB free")


def check_kernel(python: str | None, here: str) -> Finding:
    """python: what the kernel ``python3`` starts, None where there is no kernel; here: this interpreter."""
    install = "Run python -m ipykernel install --sys-prefix --name python3 in this environment."
    if python is None:
        return Finding(
            "Jupyter kernel", False, "there is none", f"Run python -m pip install ipykernel, then: {install}"
        )
    # A bare name is looked up by Jupyter beside itself. Links are not followed: the Pythons of two environments are
    # often links to one and the same program.
    bare = os.path.dirname(python) == ""
    if not bare and os.path.normcase(os.path.dirname(python)) != os.path.normcase(os.path.dirname(here)):
        return Finding("Jupyter kernel", False, f"python3 starts {python}, which is another environment", install)
    return Finding("Jupyter kernel", True, "python3 is this environment")


def check_widgets(ipywidgets: str | None, lab: str | None, extension: str | None) -> Finding:
    """Versions of ipywidgets, JupyterLab and jupyterlab_widgets, None for one that is not installed."""
    if ipywidgets is None:
        return Finding("ipywidgets", False, "not installed", "Run python -m pip install ipywidgets.")
    major = int(ipywidgets.split(".")[0])
    if lab is None:
        return Finding("ipywidgets", True, f"{ipywidgets}; JupyterLab is not in this environment")
    wanted = LAB_WIDGETS.get(major)
    if extension is None or (wanted is not None and int(extension.split(".")[0]) != wanted):
        says = f"{ipywidgets} with jupyterlab_widgets {extension or 'missing'}, so sliders stay invisible in JupyterLab"
        return Finding("ipywidgets", False, says, "Run python -m pip install --upgrade ipywidgets jupyterlab_widgets.")
    return Finding("ipywidgets", True, f"{ipywidgets} with its front end for JupyterLab")


def check_data(named: str | None, exists: bool) -> Finding:
    """named: what GAN_COURSE_DATA says, None where it is not set."""
    if named and not exists:
        remedy = "Set GAN_COURSE_DATA to a folder that exists, or unset it to download the data once."
        return Finding("local data", False, f"GAN_COURSE_DATA names {named}, which is no folder", remedy)
    return Finding(
        "local data", True, f"taken from {named}" if named else "GAN_COURSE_DATA is not set, and need not be"
    )


def check_cache(place: str, writable: bool) -> Finding:
    if not writable:
        remedy = "Set the environment variable GAN_COURSE_CACHE to a folder that you can write to."
        return Finding("cache", False, f"{place} cannot be written", remedy)
    return Finding("cache", True, place)


def check_network(reachable: bool) -> Finding:
    if reachable:
        return Finding("network", True, "the data hosts answer")
    offline = "only mnist and fashion_mnist need them, once; digits, glyphs, photos and the toy sets need none"
    return Finding("network", True, f"the data hosts do not answer: {offline}")


def check_colab(colab: bool) -> Finding:
    return Finding("Colab", True, "yes, each notebook's setup cell installs the course" if colab else "no")


def torch_facts() -> tuple[str | None, str, str | None]:
    """(version, device, error) of torch; a broken installation raises many things, hence the wide net."""
    try:
        torch = importlib.import_module("torch")
        if torch.cuda.is_available():
            device = torch.cuda.get_device_name(0)
        else:
            mps = torch.backends.mps.is_available()
            device = "cpu (mps is there, and used only when asked for)" if mps else "cpu"
        return torch.__version__, device, None
    except Exception as error:
        lines = str(error).strip().splitlines()
        return None, "cpu", lines[0] if lines else type(error).__name__


def free_memory_gb() -> float | None:
    try:
        import psutil

        return psutil.virtual_memory().available / 1e9
    except ImportError:
        try:
            return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        except (AttributeError, ValueError, OSError):  # Windows has no sysconf, macOS not this name
            return None


def nearest_existing(folder: Path) -> Path:
    return next((place for place in (folder, *folder.parents) if place.exists()), Path("."))


def free_disk_gb(folder: Path) -> float:
    return shutil.disk_usage(nearest_existing(folder)).free / 1e9


def cache_folder(env: Mapping[str, str]) -> Path:
    """Where downloads go; the same place as ``gan_course.data.fetching`` says, which cannot be asked without torch."""
    if env.get("GAN_COURSE_CACHE"):
        return Path(env["GAN_COURSE_CACHE"])
    try:
        import pooch
    except ImportError:
        return Path.home() / ".cache" / "gan_course"
    return Path(pooch.os_cache("gan_course"))


def is_writable(folder: Path) -> bool:
    """Whether a file can be made in the folder, or the folder itself where it does not exist yet."""
    try:
        with tempfile.TemporaryFile(dir=nearest_existing(folder)):
            return True
    except OSError:
        return False


def kernel_facts() -> tuple[str | None, str]:
    """(what the kernel python3 starts, this interpreter)."""
    try:
        importlib.import_module("ipykernel")
        manager = importlib.import_module("jupyter_client.kernelspec").KernelSpecManager()
        return manager.get_kernel_spec("python3").argv[0], sys.executable
    except Exception:  # no Jupyter, no such kernel, or a kernel.json that is none: it can't be started either way
        return None, sys.executable


def version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def answers(host: str) -> bool:
    """Whether a host answers at all within ``TIMEOUT``; an error status is an answer, too."""
    try:
        request = urllib.request.Request(host, method="HEAD")
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
