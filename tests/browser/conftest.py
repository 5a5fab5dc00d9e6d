"""One JupyterLab and one Chromium for all tests of this folder; without Chromium or playwright they are skipped."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lab_page import Notebook
    from playwright.sync_api import Browser, Locator

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build/browser"  # pictures of pages on which a test failed
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
SIZE = {"width": 1280, "height": 1000}
NO_NEWS = '{"fetchNews": "false", "checkForUpdates": false}'  # JupyterLab would ask, over the notebook


def chromium_path() -> str:
    """Where Chromium is; the tests are skipped where it is not, and fail where they are required."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        say = pytest.fail if os.environ.get("GAN_COURSE_REQUIRE") else pytest.skip
        say("Chromium is missing: install it, on Debian and Ubuntu with apt-get install chromium")
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Photograph the page on which a test failed."""
    report = yield
    opened = getattr(item, "funcargs", {}).get("chapter")
    if report.failed and report.when != "teardown" and opened is not None:
        opened.photograph(SHOTS / (re.sub(r"\W+", "_", item.name).strip("_") + ".png"))
    return report


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where JupyterLab's notebooks lie: copies, which a test may change."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="session")
def lab(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that knows nothing of this user's settings, of one notebook alone."""
    private = tmp_path_factory.mktemp("jupyter")
    settings = private / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(NO_NEWS, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    env["OMP_NUM_THREADS"] = "1"  # the second core is for the browser: two threads that wait for it are far slower
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        env[name] = str(private / name.lower())
    options = [
        "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0", "--IdentityProvider.token=browser", f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True", f"--LabApp.user_settings_dir={private / 'settings'}",
        f"--LabApp.workspaces_dir={private / 'workspaces'}",
    ]  # fmt: skip
    SHOTS.mkdir(parents=True, exist_ok=True)
    with (SHOTS / "jupyter.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], env=env, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token=browser", server)
        yield f"http://127.0.0.1:{port}/lab/workspaces/{{workspace}}/tree/{{name}}?token=browser"
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_for(address: str, server: subprocess.Popen, limit: float = 90) -> None:
    """Return when ``address`` answers. Raises ``RuntimeError`` where it never does."""
    until = time.monotonic() + limit
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start within {limit:g} s: see {SHOTS / 'jupyter.log'}")


@pytest.fixture(scope="session")
def chromium_of() -> Iterator[Callable[[list[str]], Browser]]:
    """Opens Chromium with these flags: one Playwright for all, which can't be started twice."""
    path = chromium_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield lambda flags: playwright.chromium.launch(executable_path=path, args=flags)


@pytest.fixture(scope="session")
def chromium(chromium_of: Callable[[list[str]], Browser]) -> Iterator[Browser]:
    browser = chromium_of(FLAGS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def chapter(request: pytest.FixtureRequest, chromium: Browser, lab: str, folder: Path) -> Iterator[Notebook]:
    """The page of the chapter whose number the module names as ``CHAPTER``, before any cell has run."""
    from lab_page import Notebook

    (source,) = (ROOT / "chapters").glob(f"{request.module.CHAPTER}_*.ipynb")
    path = Path(shutil.copyfile(source, folder / source.name))
    opened = Notebook(chromium, lab, path, SIZE)
    try:
        opened.open()
    except Exception:
        opened.photograph(SHOTS / f"{path.stem}.png")
        raise
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def widget(request: pytest.FixtureRequest, chapter: Notebook) -> Locator:
    """The chapter's cell that shows the widget, the one whose code holds the module's ``WIDGET``."""
    return chapter.cell(request.module.WIDGET)
