"""A pytest plugin that makes this system look like another one: `-p tests.platforms.simulation`.

SOFTPHONE_SIMULATED is "windows" or "macos".  What the other system lacks is hidden before anything
of the product is loaded: modules, functions of `os`, event loops that watch no descriptors and no
signals, and the batched system calls.  Neither its file system nor its sockets are simulated.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from types import SimpleNamespace

NAME = os.environ.get("SOFTPHONE_SIMULATED", "")
WINDOWS_LACKS = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
WINDOWS_OS_LACKS = ("fchmod", "geteuid", "pread", "pwrite", "O_DIRECTORY", "O_NOFOLLOW")
LOOP_LACKS = ("add_reader", "add_writer", "add_signal_handler", "remove_signal_handler")


def _refuse(*_: object) -> None:
    raise NotImplementedError


class _Locks:
    """msvcrt.locking, by the lock of this system."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        import fcntl

        self._flock, self._flags = fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB

    def locking(self, handle: int, mode: int, octets: int) -> None:
        """Lock, or raise PermissionError."""
        try:
            self._flock(handle, self._flags)
        except BlockingIOError as error:
            raise PermissionError(13, "Permission denied") from error


def _simulate_windows() -> None:
    sys.modules["msvcrt"] = SimpleNamespace(  # type: ignore[assignment]
        locking=_Locks().locking, LK_NBLCK=_Locks.LK_NBLCK
    )
    for name in WINDOWS_LACKS:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in WINDOWS_OS_LACKS:
        delattr(os, name)
    del signal.SIGHUP
    for name in LOOP_LACKS:
        setattr(asyncio.SelectorEventLoop, name, _refuse)


def _hide_batches() -> None:
    """Neither system has `recvmmsg`: the plain calls fill the same arrays."""
    from softphone.net.datagrams import batched_udp

    batched_udp.LIBRARY = None
    batched_udp.BATCHED = False


if NAME == "windows":
    _simulate_windows()
if NAME:
    _hide_batches()
