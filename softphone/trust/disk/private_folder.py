"""Folders for secrets: permissions, lock files and fsync.

A folder in which anybody else can write, its group included, is refused, even for reading.

The lock is one on a file that is never removed; the system releases it when a process dies.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.operating_system import (
    SAFE_OPEN,
    is_foreign,
    lock_file,
    synchronize_folder,
)
from softphone.trust.disk.private_file import writers_of

_PATIENCE = 10.0
_PAUSE = 0.02


def make_folder(folder: Path) -> None:
    """Make the folder (0700) and its parents if missing, and check it.

    Raises ConfigurationError when it cannot be made, or as `check_folder` does.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"{folder} cannot be used: {exc.strerror}") from exc
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Raise ConfigurationError for a folder in which others can write, or that another user owns.

    Write access would allow replacing trust anchors and keys.  A missing folder passes.
    """
    try:
        status = folder.stat()
    except FileNotFoundError:
        return
    except OSError as exc:
        raise ConfigurationError(f"{folder} cannot be used: {exc.strerror}") from exc
    who = writers_of(status)
    if who is not None:
        raise ConfigurationError(
            f"{who} can write in {folder}: it is no place for keys and trust;"
            f" chmod 700 {folder}, or take another folder"
        )
    if is_foreign(status):
        raise ConfigurationError(
            f"{folder} belongs to another user, who could change whom we trust: take a folder of"
            " your own"
        )


def synchronize(folder: Path) -> None:
    """Fsync the folder, so that renames and removals in it are on disk.  Raises OSError."""
    synchronize_folder(folder)


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove temporary files of `name` that a killed `write_private` left; only under the lock."""
    for left in folder.glob(f".{name}.*"):
        left.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, patience: float = _PATIENCE) -> Iterator[None]:
    """Hold the lock file `path`, made (0600) when missing, for the time of the context.

    Blocks this thread for at most `patience` seconds; holders need milliseconds.  Raises
    ConfigurationError when another process does not release it, or as `check_folder` does.
    """
    check_folder(path.parent)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | SAFE_OPEN, 0o600)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be opened: {exc.strerror}") from exc
    try:
        _lock(handle, path, patience)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path, patience: float) -> None:
    until = time.monotonic() + patience
    while not lock_file(handle):
        if time.monotonic() >= until:
            raise ConfigurationError(
                f"another process has held {path} for {patience:g} s: end it, and try again"
            )
        time.sleep(_PAUSE)
