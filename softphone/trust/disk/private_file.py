"""Files replaced at one stroke, for their owner only unless it is said otherwise; and read whole.

What is read has a size that is reasonable for certificates, keys and requests: a wrong name, such
as a device or a disk image, costs no memory.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from softphone.errors import ConfigurationError

__all__ = ["read_whole", "readable_by_others", "write_private"]

_LARGEST = 16 << 20
"""Bytes; every certificate authority there is takes far less."""


def write_private(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a file at one stroke: written aside, synchronized, renamed over the old one.

    Raises ConfigurationError when the folder cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                os.fchmod(handle, mode)
                file.write(data)
                file.flush()
                os.fsync(handle)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror}") from exc


def readable_by_others(path: Path) -> str | None:
    """The warning that a file with a secret deserves when others can read it, else None."""
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return f"{path} holds a secret and can be read by others: chmod 600 {path}"
    return None


def read_whole(path: Path, *, most: int = _LARGEST) -> bytes:
    """The bytes of a file, `most` of them at most.  Raises ConfigurationError."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
    if len(data) > most:
        raise ConfigurationError(f"{path} is larger than {most} bytes: it is not what is meant")
    return data
