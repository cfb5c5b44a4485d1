"""Writes files atomically, for their owner only by default, and reads files up to a limit.

The limit fits certificates, keys and requests, so that reading a wrong file, such as a device or a
disk image, does not fill the memory.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.operating_system import has_permission_bits, open_to_read, restrict_mode

_EVERYBODY = "everybody on this machine"
_LARGEST = 16 << 20
"""Largest file to read, in bytes (16 MiB); a bundle of all public CAs is far smaller."""


def write_private(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a file atomically: write a temporary file, fsync it, rename it over the old one.

    Raises ConfigurationError when the folder cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                restrict_mode(handle, mode)
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
    """Who beside the owner can write the file, as text for an error; None if no one can."""
    if not has_permission_bits():
        return None
    others = {stat.S_IWOTH: _EVERYBODY, stat.S_IWGRP: "its group"}
    return next((who for bit, who in others.items() if status.st_mode & bit), None)


def check_file(path: Path, *, group: bool = False) -> None:
    """Raise ConfigurationError for a file, or a folder of files, that others can write.

    With `group`, the group may write.  Devices, pipes and missing files pass.
    """
    try:
        status = path.stat()
    except OSError:
        return  # reading the file reports the error
    who = writers_of(status)
    kept = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    if kept and who is not None and (who == _EVERYBODY or not group):
        raise ConfigurationError(
            f"{who} can write {path}, and so decide whom we trust: chmod go-w {path}"
        )


def readable_by_others(path: Path) -> str | None:
    """A warning when others can read a file with a secret, else None.  Raises OSError."""
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH) and has_permission_bits():
        return f"{path} holds a secret and can be read by others: chmod 600 {path}"
    return None


def read_whole(path: Path, *, most: int = _LARGEST) -> bytes:
    """Read a file.  Raises ConfigurationError if unreadable or larger than `most` bytes."""
    try:
        with open_to_read(path) as file:
            data = file.read(most + 1)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
    if len(data) > most:
        raise ConfigurationError(f"{path} is larger than {most} bytes: it is not what is meant")
    return data
