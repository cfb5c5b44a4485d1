"""Files replaced at one stroke, for their owner only unless it is said otherwise."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from softphone.errors import ConfigurationError

__all__ = ["write_private"]


def write_private(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a file at one stroke: written aside, synchronized, renamed over the old one.

    Raises ConfigurationError when the folder cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                os.fchmod(handle, mode)
                file.write(data)
                file.flush()
                os.fsync(handle)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror}") from exc
