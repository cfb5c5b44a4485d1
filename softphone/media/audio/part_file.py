"""A file that is written beside its name, as `path` + ".part", and gets that name once it is whole.

Nothing is overwritten: neither what has the name when the file is begun, nor what has taken it
meanwhile.  Until it is whole it stays where it is, and whoever wants it is told where.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from softphone.errors import ConfigurationError
from softphone.media.interface import MediaError


class PartFile:
    """`file` is open for its writer until `finish` or `discard`; `mode` are its permissions.

    Raises ConfigurationError when `path` exists, or cannot be written.
    """

    def __init__(self, path: Path, *, mode: int = 0o600) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        if os.path.lexists(path):
            raise ConfigurationError(f"{path} exists already: it is not overwritten")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self.file: IO[bytes] = os.fdopen(os.open(self.part, flags, mode), "w+b")
        except FileExistsError as error:
            raise ConfigurationError(
                f"{self.part} exists already: a recording is under way or was cut off"
            ) from error
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error

    def finish(self, end: Callable[[], None]) -> None:
        """Have `end` write the rest, close the file, and give it its name.

        Raises MediaError when the disk is full, or another file has taken the name; what there is
        then stays, and the message says where.
        """
        try:
            end()
            self.file.close()
        except OSError as error:
            with suppress(OSError):  # the first error is the one that is told
                self.file.close()
            raise self.cut_short(error.strerror or str(error)) from error
        self.move_into_place()

    def cut_short(self, why: str) -> MediaError:
        """What is told of a file that could not be written to its end."""
        return MediaError(f"the recording in {self.part} is cut short: {why}")

    def move_into_place(self) -> None:
        """Move the file, which is closed, to its name without overwriting another.

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
            # A file system without hard links: the name was free when we began.
            os.rename(part, path)
            return
        os.unlink(part)

    def discard(self) -> None:
        """Give the file up: close it, and leave nothing of it."""
        with suppress(OSError):  # a full disk may complain once more
            self.file.close()
        self.part.unlink(missing_ok=True)
