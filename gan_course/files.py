"""Files that are read whole, written whole or not at all, and written by one process at a time."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        """Lock the open file for this process; ``False`` where another has it. The lock dies with its process."""
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # far behind the content, which others may then still read
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        """Lock the open file for this process; ``False`` where another has it. The lock dies with its process."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe is not waited for, either


# ------------------------------------------------------------------------------------------ reading


def read_whole(path: str | Path) -> bytes:
    """The content of the file ``path``.

    Raises ``FileNotFoundError`` where there is none, and ``OSError`` with a sentence where it may not be read, or is a
    folder, a pipe or a device. Neither says anything about what is in it: whoever calls finds out what is damaged.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"there is no file {path}: correct the path") from error
    except PermissionError as error:
        raise PermissionError(
            f"{path} may not be read ({error.strerror}): give yourself the right to read it; it may well be whole"
        ) from error
    except OSError as error:
        raise OSError(
            f"{path} can't be read just now ({error.strerror or error}): try again; it may well be whole"
        ) from error
    kind = "folder" if stat.S_ISDIR(mode) else "pipe, a socket or a device"
    raise OSError(f"{path} is no file but a {kind}: correct the path")


# ------------------------------------------------------------------------------------------ writing


def write_whole(path: str | Path, content: bytes) -> None:
    """Write ``content`` to the file ``path``, replacing it in one move; folders that are missing are made.

    Whatever happens on the way, ``path`` holds the old content or the new, and nothing is left beside it; what a
    killed writer had to leave, the next one removes. A file that is replaced keeps its permissions. A link to a file
    is replaced, too: the file that it points at stays as it was. Raises ``OSError`` with a sentence where the disk is
    full, the folder can't be written, and ``path`` is no ordinary file or protected from writing.
    """
    path = Path(path)
    made: list[Path] = []
    try:
        mode = _mode_of_what_may_be_replaced(path)
        made = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        with _new_file_beside(path) as file:
            try:
                if mode is not None:
                    with suppress(OSError):  # some disks know no permissions
                        os.chmod(file.name, mode)  # first: what was secret never lies open
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # the bytes are on the disk before the name points at them
                if sys.platform == "win32":
                    file.close()  # it moves no open file
                os.replace(file.name, path)  # elsewhere still locked: nobody takes it for a leftover
            finally:
                if sys.platform == "win32":
                    file.close()
                with suppress(OSError):  # gone where all went well
                    os.unlink(file.name)
    except OSError as error:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise OSError(_why_not(path, error)) from error


def _new_file_beside(path: Path) -> BinaryIO:
    """A new file in the folder of ``path``: so it takes a move within one disk to get there."""
    while True:
        # x: never through a link that somebody has laid there
        file = open(path.with_name(f"{path.name}.{secrets.token_hex(8)}.part"), "xb")
        if sys.platform == "win32":  # nobody can remove what is open
            return file
        alone = True
        with suppress(OSError):  # a disk that knows no locks: then nobody removes leftovers, either
            alone = _lock(file.fileno())
        if alone and os.path.exists(file.name):
            return file
        file.close()  # in between, another writer took it for a leftover


def _mode_of_what_may_be_replaced(path: Path) -> int | None:
    """The permissions of the ordinary file at ``path``; ``None`` where there is nothing, or a link to a file.

    Raises ``OSError`` for everything else, and for a file that is protected from writing.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISLNK(found.st_mode):
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "a pipe, a socket or a device")
    if not _may_write(path) and _may_write(path.parent):  # else the folder will say so
        raise PermissionError(errno.EPERM, "the file is protected from writing")
    return stat.S_IMODE(found.st_mode) & 0o777


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _remove_leftovers(path: Path) -> None:
    """Remove what killed writers of ``path`` have left beside it, and nothing that a living one still needs."""
    ours = re.compile(re.escape(path.name) + r"\.[0-9a-f]{16}\.part")
    for entry in list(os.scandir(path.parent)):
        if not ours.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
            continue
        with suppress(OSError):
            if sys.platform == "win32":  # which removes no file that somebody has open
                os.unlink(entry.path)
                continue
            descriptor = os.open(entry.path, os.O_RDONLY | NO_FOLLOW)
            try:
                if _lock(descriptor):
                    os.unlink(entry.path)
            finally:
                os.close(descriptor)


def _why_not(path: Path, error: OSError) -> str:
    """A sentence: why ``path`` was not written, and what to do."""
    if error.errno in DISK_FULL:
        return f"can't write {path}: the disk is full; free some space and try again"
    if error.errno == errno.EFBIG:
        return f"can't write {path}: a file may not be as large as this there; choose another disk, or raise the limit"
    if error.errno == errno.ENAMETOOLONG:
        remedy = "choose a shorter name"
    elif path.is_dir():
        remedy = "choose another place: this one is a folder"
    elif error.errno in (errno.EINVAL, errno.EPERM) and os.path.lexists(path):
        remedy = "choose another name"
    elif sys.platform == "win32" and path.exists():
        remedy = "close the program that has it open, or choose another name"
    else:
        remedy = "choose another folder, one that you may write to"
    return f"can't write {path} ({error.strerror or error}): {remedy}"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what other libraries write and we move on from there; it is gone after the block.

    Raises ``OSError`` with a sentence where its disk is full, in whatever words the library says so.
    """
    with tempfile.TemporaryDirectory() as place:
        try:
            yield Path(place)
        except Exception as error:
            full = isinstance(error, OSError) and error.errno in DISK_FULL
            # Rust says it in its text alone: on Linux and macOS, on Windows
            if not full and not any(f"(os error {number})" in str(error) for number in (errno.ENOSPC, 112)):
                raise
            raise OSError(
                f"can't write to {place}: the disk is full; free some space there, or name another folder in the "
                "environment variable TMPDIR, and try again"
            ) from error


# ------------------------------------------------------------------------------------------ one at a time


@contextmanager
def only_writer(path: str | Path) -> Iterator[None]:
    """Be the only one to write the file ``path`` within this block; folders that are missing are made.

    All who write it for long have to ask here. Beside it lies meanwhile ``path.lock``, locked by the operating system,
    which lets go when its process ends, however it ends. Raises ``OSError`` with a sentence where somebody else is at
    it, and where the folder can't be written.
    """
    path = Path(path)
    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open_locked(lock)
    except OSError as error:
        raise OSError(_why_not(path, error)) from error
    if descriptor is None:
        raise OSError(
            f"another process{_number_in(lock)} is writing {path}: wait until it has ended, stop it, or choose another "
            "name"
        )
    with suppress(OSError):  # for those who are turned away; a full disk is the writers' matter
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
    try:
        yield
    finally:
        if sys.platform == "win32":  # it removes no open file
            os.close(descriptor)
        with suppress(OSError):
            lock.unlink()
        if sys.platform != "win32":
            os.close(descriptor)  # last: nobody locks a file of this name before it is gone


def _open_locked(lock: Path) -> int | None:
    """The descriptor of the file ``lock``, which is made and locked; ``None`` where somebody else has locked it."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | NO_FOLLOW, 0o666)
        alone = True
        with suppress(OSError):  # a disk that knows no locks: nobody can tell
            alone = _lock(descriptor)
        if not alone:
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if sys.platform == "win32" or os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        os.close(descriptor)  # it was removed by the one who had it before


def _number_in(lock: Path) -> str:
    with suppress(OSError, ValueError):
        return f" (number {int(read_whole(lock))})"
    return ""
