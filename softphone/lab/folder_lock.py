"""A lock on a lab's folder: a lock file with the process ID of the lab that runs in it.

The system releases the lock when the process dies; the file stays.  A second lab in the folder
would write keys and ports that differ from those of the running one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.operating_system import SAFE_OPEN, lock_file

_NAME = ".lab.lock"
_DIGITS = 20
"""More digits than any process ID has."""


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the lock on a lab's folder, which is made if it is missing.

    Raises LocalProtocolError while another lab holds it, ConfigurationError when it cannot be
    made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | SAFE_OPEN, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be used: {error.strerror}") from error
    try:
        _lock(handle, folder)
        try:
            yield
        finally:
            # Before the lock is released, so that a process ID in the file is always a holder's.
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        if lock_file(handle):
            os.ftruncate(handle, 0)
            os.write(handle, b"%d\n" % os.getpid())
            return
        number = os.read(handle, _DIGITS).strip().decode("ascii", "replace")
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be locked: {error.strerror}") from error
    who = f" (process {number})" if number.isdecimal() else ""
    raise LocalProtocolError(
        f"another lab{who} runs in {folder}: end it first, or take another folder"
    )
