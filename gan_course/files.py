"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path


def write_whole(path: str | Path, content: bytes) -> None:
    """Write ``content`` to the file ``path``, replacing it in one move; folders that are missing are made.

    Whatever happens on the way, ``path`` holds the old content or the new, and nothing is left beside it. Raises
    ``OSError`` with a sentence where the disk is full or the folder can't be written.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")  # same folder: a move within one disk
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as file:  # x: never through a link that somebody has laid there
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # the bytes are on the disk before the name points at them
            os.replace(temporary, path)
        finally:
            with suppress(OSError):  # gone where all went well
                temporary.unlink()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(f"can't write {path}: the disk is full; free some space and try again") from error
        place = "place: this one is a folder" if path.is_dir() else "folder, one that you may write to"
        raise OSError(f"can't write {path} ({error.strerror or error}): choose another {place}") from error
