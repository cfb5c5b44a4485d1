"""What POSIX and Windows do differently: file locks, file modes, process limits, packet marks.

Everything that is POSIX only, unless a whole feature is Linux only, is here; it is detected by what
the system offers, not by the system's name.  On Windows a file's owner and mode do not tell who may
write it: its access control list does, which it inherits from its folder.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import ModuleType
from typing import Any, Final

fcntl: ModuleType | None
msvcrt: Any
resource: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
try:
    import msvcrt
except ImportError:  # POSIX
    msvcrt = None
try:
    import resource
except ImportError:  # Windows
    resource = None

SAFE_OPEN: Final[int] = (
    getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
"""Flags to open a file of ours: not inherited, and no link where the system can refuse one."""

_LOCKED_AT = 1 << 30
"""Where Windows locks an octet: far beyond all content, since locked octets cannot be read."""


def lock_file(handle: int) -> bool:
    """Lock a file against other processes, without waiting; False while one of them has it.

    The system releases the lock when the file is closed, or the process has ended.  Raises OSError
    where the file cannot be locked at all.
    """
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
    if msvcrt is None:
        raise OSError("this system locks no files: it has neither fcntl nor msvcrt")
    os.lseek(handle, _LOCKED_AT, os.SEEK_SET)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except PermissionError:
        return False
    finally:
        os.lseek(handle, 0, os.SEEK_SET)
    return True


def has_permission_bits() -> bool:
    """Return whether owner and mode of a file decide who may read and write it."""
    return hasattr(os, "geteuid")


def is_foreign(status: os.stat_result) -> bool:
    """Return whether a file belongs to another user and we are not root."""
    return has_permission_bits() and os.geteuid() not in (0, status.st_uid)


def restrict_mode(handle: int, mode: int) -> None:
    """Set the mode of an open file, where modes decide."""
    if has_permission_bits():
        os.fchmod(handle, mode)


def synchronize_folder(folder: str | os.PathLike[str]) -> None:
    """Fsync a folder, so that names in it are on disk; Windows does so itself.  Raises OSError."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def kill_process_group(leader: int) -> None:
    """Kill every process of a group at once, where the system has groups.

    Without, as on Windows, the caller kills the leader.  A group that is gone is no error; its
    number is not used again while a process of it lives.
    """
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def descriptor_limits() -> tuple[int | None, int | None] | None:
    """Return the soft and hard limit of open files, None for unlimited; None where none exist."""
    if resource is None:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    return (None if soft == unlimited else soft), (None if hard == unlimited else hard)


def raise_descriptor_limit(soft: int) -> None:
    """Raise the soft limit of open files, within the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ignores_packet_marks() -> bool:
    """Return whether the system silently ignores the DSCP that a program sets, as Windows does."""
    return msvcrt is not None


def forbid_core_dumps() -> None:
    """Let the system write no image of this process's memory, where it has core dumps at all."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
