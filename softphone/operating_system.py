"""What POSIX and Windows do differently: file locks, file modes, process limits, packet marks.

Everything that is POSIX only, unless a whole feature is Linux only, is here; it is detected by what
the system offers, not by the system's name.  On Windows a file's owner and mode do not tell who may
write it: its access control list does, which it inherits from its folder.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Final

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

_OPEN_TO_READ: Final[int] = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe without a writer would block
)
_STREAMS = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
"""Names of what this process has open: a shell gives them for `<(command)`, and a user for a pipe
that is meant."""
_NO_FILE = {
    stat.S_IFDIR: (errno.EISDIR, "it is a folder, not a file"),
    stat.S_IFIFO: (errno.EINVAL, "it is a pipe, not a file"),
    stat.S_IFSOCK: (errno.EINVAL, "it is a socket, not a file"),
}
_DEVICE = (errno.EINVAL, "it is a device, not a file")

_LOCKED_AT = 1 << 30
"""Where Windows locks an octet: far beyond all content, since locked octets cannot be read."""


def open_to_read(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file, never waiting for a pipe and never touching a device.

    The null device passes as an empty file, and so does what this process was given open, such as
    `/dev/stdin` or the `/dev/fd/63` of a shell's `<(command)`.  Raises OSError whose `strerror`
    says what was found in the file's place, and ValueError for a name with a NUL.
    """
    name = os.fspath(path)
    if name.startswith(_STREAMS):
        return open(name, "rb")
    _require_file(os.stat(name), name)
    file = open(name, "rb", opener=_open_at_once)  # noqa: SIM115
    try:
        # Again: something else may have been put in its place meanwhile.
        _require_file(os.fstat(file.fileno()), name)
    except BaseException:
        file.close()
        raise
    return file


def read_file(path: str | os.PathLike[str], *, most: int = -1) -> bytes:
    """Read `most` octets, or all, of a file that is opened by `open_to_read`; raises as that."""
    with open_to_read(path) as file:
        return file.read(most)


def _open_at_once(name: str, _: int) -> int:
    return os.open(name, _OPEN_TO_READ)


def _require_file(found: os.stat_result, name: str) -> None:
    null = Path(os.devnull)
    if stat.S_ISREG(found.st_mode) or (null.exists() and os.path.samestat(found, null.stat())):
        return
    number, reason = _NO_FILE.get(stat.S_IFMT(found.st_mode), _DEVICE)
    raise OSError(number, reason, name)


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
