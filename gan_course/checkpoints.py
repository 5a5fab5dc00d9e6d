"""Checkpoints: named tensors and a few notes in one safetensors file. A crash never leaves half of one."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor


def save_checkpoint(path: str | Path, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
    """Write ``tensors`` and ``notes`` (anything JSON can hold) to ``path``, replacing it in one move.

    Whatever happens on the way, ``path`` holds the old checkpoint or the new one. Raises ``OSError`` where the folder
    can't be written.
    """
    path = Path(path)
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    content = save(plain, metadata={"notes": json.dumps(notes)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"can't write a checkpoint to {path} ({reason}): choose a folder that you may write to"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the bytes are on the disk before the name points at them
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise OSError(
                f"can't write a checkpoint to {path} ({reason}): free some disk space, or choose another place"
            ) from error
        raise


def load_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the notes of the checkpoint at ``path``.

    Raises ``FileNotFoundError`` where there is none and ``ValueError`` where it can't be read.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no checkpoint at {path}: train with checkpoint={str(path)!r} first, or correct the path"
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            # a copy each: a tensor that is still mapped to the file would keep Windows from replacing it
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
            return tensors, json.loads((file.metadata() or {})["notes"])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"the checkpoint {path} can't be read ({type(error).__name__}): it is damaged or no checkpoint of this "
            "course; delete it and train again"
        ) from error
