"""A device's configuration files on disk: those accepted last, and the last good configuration.

Files are kept as they came, signature and all (0600, each replaced at one stroke), so that they
are verified again when they are read.  `DEVICE.last-good` is what the phone works with while no
server can be reached; `DEVICE.installation` tells this phone from another of the same name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.provisioning.file_name import check_device
from softphone.sans_io import Entropy
from softphone.trust import write_private
from softphone.trust.disk import check_file, check_folder, make_folder, synchronize

_LARGEST = 1 << 20
_DIGITS = re.compile(r"[0-9A-F]{12}")


class ConfigStore:
    """The configuration files in a folder, which is made (0700) with the first of them."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def load_accepted(self, name: str) -> bytes | None:
        """The file of this name that was accepted last.  Raises ConfigurationError."""
        return _read(self.folder / _one_name(name))

    def store_accepted(self, name: str, data: bytes) -> None:
        """Keep a file that was accepted.  Raises ConfigurationError."""
        self._write(self.folder / _one_name(name), data)

    def load_last_good(self, device: str) -> bytes | None:
        """The last good configuration of a device, as it came.  Raises ConfigurationError."""
        return _read(self._last_good(device))

    def store_last_good(self, device: str, data: bytes) -> None:
        """This configuration is whole and good.  Raises ConfigurationError."""
        self._write(self._last_good(device), data)

    def installation(self, device: str, entropy: Entropy) -> str:
        """Twelve hex digits that tell this installation from others, made when it has none.

        A server that meets other digits under the device's name takes them for another phone.
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
    """A file's name, made of a device's and endings.  Raises ConfigurationError."""
    check_device(name.partition(".")[0])
    if "/" in name or not name.isprintable():
        raise ConfigurationError(f"{name!r} is no file name")
    return name


def _read(path: Path) -> bytes | None:
    check_folder(path.parent)
    check_file(path)
    try:
        with path.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
    if len(data) > _LARGEST:
        raise ConfigurationError(f"{path} is too large: it is not what was stored")
    return data
