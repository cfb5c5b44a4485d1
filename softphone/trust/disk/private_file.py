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

_EVERYBODY = "everybody on this machine"
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


def writers_of(status: os.stat_result) -> str | None:
    """Who beside its owner can write what has this status, for a sentence; None: nobody."""
    others = {stat.S_IWOTH: _EVERYBODY, stat.S_IWGRP: "its group"}
    return next((who for bit, who in others.items() if status.st_mode & bit), None)


def check_file(path: Path, *, group: bool = False) -> None:
    """Raise ConfigurationError for a file, or folder of them, that others can write.

    With `group` its group may.  Nothing is said of devices and pipes, nor of one that is missing.
    """
    try:
        status = path.stat()
    except OSError:
        return  # why it cannot be read, whoever reads it says
    who = writers_of(status)
    kept = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    if kept and who is not None and (who == _EVERYBODY or not group):
        raise ConfigurationError(
            f"{who} can write {path}, and so decide whom we believe: chmod go-w {path}"
        )


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
