"""The file of TLS secrets that a user asks for, to decrypt a capture of their own traffic.

In the format of NSS (draft-ietf-tls-keylogfile), as Wireshark reads it.  It is named by an option,
never by the environment: `SSLKEYLOGFILE` has no effect on the contexts of this package.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from softphone.errors import ConfigurationError, FipsForbidden
from softphone.openssl_provider import fips_in_force
from softphone.operating_system import SAFE_OPEN, has_permission_bits, is_foreign

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | SAFE_OPEN | getattr(os, "O_NONBLOCK", 0)
"""Without O_NONBLOCK a pipe would be waited for."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def prepare_key_log(path: Path) -> None:
    """Make the file, for its owner only, or check that it is ours alone; secrets are appended.

    Raises ConfigurationError for a link, for what is no regular file, for a file that others can
    open or that another user owns, and for a folder in which others could replace it;
    FipsForbidden in FIPS mode, in which no key leaves the module in clear.
    """
    if fips_in_force():
        raise FipsForbidden("TLS keys cannot be logged in FIPS mode")
    try:
        _check_folder(path, path.absolute().parent.stat())
        handle = os.open(path, _FLAGS, 0o600)
        try:
            status = os.fstat(handle)
        finally:
            os.close(handle)
    except OSError as error:
        why = "it is a link" if path.is_symlink() else error.strerror
        raise ConfigurationError(f"{path}: TLS keys cannot be logged there: {why}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"{path}: TLS keys cannot be logged there: not a regular file")
    if has_permission_bits() and (status.st_mode & _OTHERS or is_foreign(status)):
        raise ConfigurationError(
            f"{path}: others could read the TLS keys: chmod 600 {path}, or name a new file"
        )


def _check_folder(path: Path, folder: os.stat_result) -> None:
    """Raise ConfigurationError where others could put another file in the place of ours."""
    if not has_permission_bits() or folder.st_mode & stat.S_ISVTX:
        return  # sticky, as /tmp: only the owner of a file can remove it
    if folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or is_foreign(folder):
        raise ConfigurationError(
            f"{path}: others can write in its folder, and replace the file: take another folder"
        )
