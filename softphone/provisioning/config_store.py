"""A device's configuration files on disk: the last accepted ones, and the last good configuration.

Files are stored as received, with their signatures, and replaced atomically (0600), so that they
can be verified again when they are read.  The phone works with `DEVICE.last-good` while no server
can be reached.  `DEVICE.installation` distinguishes this phone from another of the same name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.operating_system import open_to_read
from softphone.provisioning.file_name import check_device
from softphone.sans_io import Entropy
from softphone.trust import write_private
from softphone.trust.disk import check_file, check_folder, make_folder, synchronize

_LARGEST = 1 << 20
_DIGITS = re.compile(r"[0-9A-F]{12}")


class ConfigStore:
    """The configuration files in a folder, which the first write makes (0700).

    Reading a file of more than 1 MiB raises ConfigurationError.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def load_accepted(self, name: str) -> bytes | None:
        """The last accepted file of this name; None without one.  Raises ConfigurationError."""
        return _read(self.folder / _one_name(name))

    def store_accepted(self, name: str, data: bytes) -> None:
        """Store an accepted file under its name.  Raises ConfigurationError."""
        self._write(self.folder / _one_name(name), data)

    def load_last_good(self, device: str) -> bytes | None:
        """The last good configuration as received; None without one.  Raises ConfigurationError."""
        return _read(self._last_good(device))

    def store_last_good(self, device: str, data: bytes) -> None:
        """Store the last good configuration of a device.  Raises ConfigurationError."""
        self._write(self._last_good(device), data)

    def installation(self, device: str, entropy: Entropy) -> str:
        """Twelve hex digits that identify this installation; made and stored when missing.

        A server takes other digits under the same device name for another phone.  Raises
        ConfigurationError.
        """
        path = self.folder / f"{check_device(device)}.installation"
        kept = (_read(path) or b"").decode("ascii", "replace").strip()
        if not _DIGITS.fullmatch(kept):
            kept = entropy(6).hex().upper()
            self._write(path, f"{kept}\n".encode())
        return kept

    def _last_good(self, device: str) -> Path:
        return self.folder / f"{check_device(device)}.last-good"

    def _write(self, path: Path, data: bytes) -> None:
        if _read(path) == data:
            return
        make_folder(self.folder)
        write_private(path, data)
        synchronize(self.folder)


def _one_name(name: str) -> str:
    """Check that a name is a device name with endings.  Raises ConfigurationError."""
    check_device(name.partition(".")[0])
    if "/" in name or not name.isprintable():
        raise ConfigurationError(f"{name!r} is no file name")
    return name


def _read(path: Path) -> bytes | None:
    check_folder(path.parent)
    check_file(path)
    try:
        with open_to_read(path) as opened:
            data = opened.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
    if len(data) > _LARGEST:
        raise ConfigurationError(f"{path} is too large: it is not what was stored")
    return data
