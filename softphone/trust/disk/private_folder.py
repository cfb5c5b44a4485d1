"""A folder for secrets: made for its owner only, locked against other processes, synchronized.

One in which anybody else can write, a group as well, is refused, for reading, too.

The lock is a file that stays there: it belongs to whoever has locked it, and the kernel gives it
back when a process dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.trust.disk.private_file import writers_of

_PATIENCE = 10.0
_PAUSE = 0.02


def make_folder(folder: Path) -> None:
    """Make it (0700), if it is missing.

    Raises ConfigurationError, also for one in which others can put what they like.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigurationError(f"{folder} cannot be used: {exc.strerror}") from exc
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Raise ConfigurationError for a folder in which others can put what they like.

    Whoever can write in it decides whom we believe, and can take a key's place.  Nothing is said
    of one that is missing.
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
    if os.geteuid() not in (0, status.st_uid):
        raise ConfigurationError(
            f"{folder} belongs to another user, who could change whom we believe: take a folder of"
            " your own"
        )


def synchronize(folder: Path) -> None:
    """Have its renames and removals on disk before anybody is told of them."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove what a `write_private` of this file has left that was killed; under the lock only."""
    for left in folder.glob(f".{name}.*"):
        left.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, patience: float = _PATIENCE) -> Iterator[None]:
    """Hold the lock file `path`, which is made when it is missing.

    Waits, in this thread, for at most `patience` seconds: what is done under the lock takes
    milliseconds.  Raises ConfigurationError when another process does not let go.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    check_folder(path.parent)
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be opened: {exc.strerror}") from exc
    try:
        _lock(handle, path, patience)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            if time.monotonic() >= until:
                raise ConfigurationError(
                    f"another process has held {path} for {patience:g} s: end it, and try again"
                ) from exc
            time.sleep(_PAUSE)
        else:
            return
