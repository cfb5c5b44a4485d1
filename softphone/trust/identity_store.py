"""The identities of devices on disk: key and certificate in one file, swapped by one rename.

`DEVICE.pem` is the identity in use, `DEVICE.previous.pem` the one before it, which is kept until
the new one has registered (`confirm`).  Whenever the process or the machine dies, one of the two
is whole.  Files are 0600, the folder 0700.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.trust.context import Credential
from softphone.trust.folder import make_folder, synchronize
from softphone.trust.identity import Identity
from softphone.trust.store import write_private

__all__ = ["IdentityStore"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class IdentityStore:
    """A folder of identities, one for each device name."""

    def __init__(self, folder: str | Path) -> None:
        """Raises ConfigurationError when the folder cannot be made."""
        self.folder = Path(folder)
        make_folder(self.folder)

    def path(self, device: str) -> Path:
        """Where the identity of a device is.  Raises ConfigurationError for no device name."""
        return self._file(device, ".pem")

    def credential(self, device: str) -> Credential:
        """The same as TLS takes it.  Raises ConfigurationError when there is none."""
        path = self.path(device)
        if not path.exists():
            raise ConfigurationError(f"{self.folder} holds no certificate of {device}")
        return Credential(path, path)

    def load(self, device: str) -> Identity | None:
        """The identity in use, or None.  Raises ConfigurationError when it cannot be read."""
        return _read(self.path(device))

    def previous(self, device: str) -> Identity | None:
        """The last identity that had registered, while the one in use has not."""
        return _read(self._previous(device))

    def replace(self, device: str, identity: Identity) -> None:
        """Use this identity from now on, and keep the last that had registered.

        Raises ConfigurationError when it cannot be written; then the old one is in use as before.
        """
        path, previous = self.path(device), self._previous(device)
        # One that was never confirmed does not push out the one that was.
        if path.exists() and not previous.exists():
            _copy(path, previous)
        write_private(path, identity.pem())
        synchronize(self.folder)

    def confirm(self, device: str) -> None:
        """The identity in use has registered: the one before it is not needed any more."""
        if self.path(device).exists():
            self._previous(device).unlink(missing_ok=True)

    def revert(self, device: str) -> bool:
        """Go back to the identity before; gives whether there was one."""
        previous = self._previous(device)
        if not previous.exists():
            return False
        os.replace(previous, self.path(device))
        return True

    def delete(self, device: str) -> bool:
        """Delete the identity and the one before it; gives whether there was one."""
        found = self.path(device).exists()
        # The older one first: whatever happens in between, it does not come back alone.
        self._previous(device).unlink(missing_ok=True)
        self.path(device).unlink(missing_ok=True)
        return found

    def _previous(self, device: str) -> Path:
        return self._file(device, ".previous.pem")

    def _file(self, device: str, ending: str) -> Path:
        if not _NAME.fullmatch(device):
            raise ConfigurationError(f"{device!r} is no device name, such as CSFALICE")
        return self.folder / f"{device}{ending}"


def _read(path: Path) -> Identity | None:
    return Identity.load(path) if path.exists() else None


def _copy(path: Path, to: Path) -> None:
    """The same bytes under another name."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
    write_private(to, data)
