"""Files from the network, kept in a cache: checked by SHA-256, tried on every mirror, never waited for without end."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_course.files import read_whole, write_whole

PATIENCE = 20.0  # seconds: how long an address may keep silent, and when its speed is first judged
SLOWEST = 20_000  # bytes per second: a slower address is given up
LARGEST = 64_000_000  # bytes: no file of ours is larger, so more than this is not our file


@dataclass(frozen=True)
class FileSet:
    """A data set of four files: pictures and labels to train on, pictures and labels to test on.

    ``files``: SHA-256 by file name, in this order. ``mirrors``: addresses that end in "/", tried in this order.
    ``megabytes``: what the files weigh together, for the message.
    """

    name: str
    files: Mapping[str, str]
    mirrors: tuple[str, ...]
    megabytes: int
    class_names: tuple[str, ...]


class _Failed(Exception):
    """One file from one address; the text is the reason, as a student should read it."""


def cache_folder() -> Path:
    """Where downloads are kept: ``$GAN_COURSE_CACHE`` where that is set, else the operating system's place."""
    import pooch

    return Path(os.environ.get("GAN_COURSE_CACHE") or pooch.os_cache("gan_course"))


class _Arriving(io.BytesIO):
    """What has come from an address so far: no more than ``room`` bytes."""

    room = LARGEST

    def write(self, piece: Any) -> int:
        if self.tell() + len(piece) > self.room:
            raise _Failed("it sends far more than the file")
        return super().write(piece)


def _download(url: str, patience: float) -> bytes:
    """The bytes at ``url``. Raises ``_Failed`` with the reason; ends in any case, however slow the other side is.

    The timeout of a request starts anew with each byte, so a server that drips would hold us for ever. Therefore
    another thread reads, and this one watches how much has come.
    """
    import pooch

    arriving = _Arriving()
    failures: list[Exception] = []

    def read() -> None:
        try:
            pooch.HTTPDownloader(timeout=patience)(url, arriving, None)
        except Exception as error:  # for the thread that waits
            failures.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    start = time.monotonic()
    try:
        while reader.is_alive():
            reader.join(min(0.1, patience))
            seconds, received = time.monotonic() - start, arriving.tell()
            if reader.is_alive() and seconds > patience and received < seconds * SLOWEST:
                raise _Failed(f"too slow: {received} bytes in {seconds:.1f} s")
    finally:
        arriving.room = 0  # a thread that is still reading ends at its next bytes
    if failures:
        raise _Failed(_reason(failures[0])) from failures[0]
    return arriving.getvalue()


def _reason(error: Exception) -> str:
    """Why a download failed, in a few words."""
    import requests

    if isinstance(error, _Failed):
        return str(error)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer broke off"
    return "no connection"


def _fetch_file(source: FileSet, file: str, mirrors: list[str], folder: Path, patience: float) -> Path:
    """``file`` in ``folder``: as it lies there if whole, else from the first of ``mirrors`` that delivers it whole.

    That mirror moves to the front, so that a dead one is not waited for again at the next file.
    """
    path = folder / file
    if is_whole(path, source):
        return path
    failures = []
    for mirror in mirrors:
        try:
            content = _download(mirror + file, patience)
        except _Failed as error:
            failures.append(f"{mirror}{file} ({error})")
            continue
        if hashlib.sha256(content).hexdigest() != source.files[file]:
            failures.append(f"{mirror}{file} (what arrived is damaged or another file)")
            continue
        write_whole(path, content)
        mirrors.insert(0, mirrors.pop(mirrors.index(mirror)))
        return path
    raise ConnectionError(
        f"{source.name} could not be downloaded from {', nor from '.join(failures)}: check the internet connection and "
        f"run this again, or put the files {', '.join(source.files)} into a folder {source.name!r} inside the one that "
        "the environment variable GAN_COURSE_DATA names, or use data.load('glyphs'), which needs no network"
    )


def is_whole(path: Path, source: FileSet) -> bool:
    """Whether the file at ``path`` is there and has the checksum that ``source`` gives for its name.

    Raises ``OSError`` where it may not be read.
    """
    try:
        return hashlib.sha256(read_whole(path)).hexdigest() == source.files[path.name]
    except FileNotFoundError:
        return False


def fetch(source: FileSet, patience: float = PATIENCE) -> list[Path]:
    """The files of ``source`` in the cache, in order; those that are absent or damaged are downloaded first.

    ``patience``: seconds after which a silent or slow address is given up (see ``PATIENCE``, ``SLOWEST``).
    Raises ``ConnectionError`` when no mirror delivers, ``OSError`` when the cache can't be read or written.
    """
    folder = cache_folder() / source.name
    mirrors = list(source.mirrors)
    try:
        if not all(is_whole(folder / file, source) for file in source.files):
            print(f"Downloading {source.name} ({source.megabytes} MB), once, to {folder}")
        return [_fetch_file(source, file, mirrors, folder, patience) for file in source.files]
    except ConnectionError:
        raise
    except OSError as error:
        raise OSError(
            f"the cache can't be used: {error}, or name another folder in the environment variable GAN_COURSE_CACHE"
        ) from error
