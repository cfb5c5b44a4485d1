"""A file that is written as `path` + ".part" and renamed to `path` once it is complete.

No file is overwritten, neither one that exists at the start nor one created meanwhile.  A file
that cannot be completed keeps its ".part" name, and the error gives that name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from softphone.errors import ConfigurationError, MediaError
from softphone.operating_system import SAFE_OPEN


class PartFile:
    """A ".part" file; `file` is open until `finish` or `discard`, `mode` are its permissions.

    Raises ConfigurationError when `path` exists, or cannot be written.
    """

    def __init__(self, path: Path, *, mode: int = 0o600) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        if os.path.lexists(path):
            raise ConfigurationError(f"{path} exists already: it is not overwritten")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE_OPEN
        try:
            self.file: IO[bytes] = os.fdopen(os.open(self.part, flags, mode), "w+b")
        except FileExistsError as error:
            raise ConfigurationError(
                f"{self.part} exists already: a recording is under way or was cut off"
            ) from error
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error

    def finish(self, end: Callable[[], None]) -> None:
        """Call `end` to write the rest, close the file, and rename it to `path`.

        Raises MediaError when the disk is full or another file has the name; the ".part" file then
        stays, and the message names it.
        """
        try:
            end()
            self.file.close()
        except OSError as error:
            with suppress(OSError):  # the first error is the one to report
                self.file.close()
            raise self.cut_short(error.strerror or str(error)) from error
        self.move_into_place()

    def cut_short(self, why: str) -> MediaError:
        """Return the error for a file that could not be completed."""
        return MediaError(f"the recording in {self.part} is cut short: {why}")

    def move_into_place(self) -> None:
        """Rename the closed file to `path` without overwriting another file.

        Raises MediaError.
        """
        part, path = self.part, self.path
        try:
            os.link(part, path)
        except FileExistsError as error:
            raise MediaError(f"{path} exists by now; the recording is in {part}") from error
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK):
                raise MediaError(f"the recording stays in {part}: {error.strerror}") from error
            # A file system without hard links; the name was free at the start.
            os.rename(part, path)
            return
        os.unlink(part)

    def discard(self) -> None:
        """Close the file and delete it."""
        with suppress(OSError):  # a full disk may raise again
            self.file.close()
        self.part.unlink(missing_ok=True)
