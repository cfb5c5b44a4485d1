"""The identities of devices on disk: key and certificate in one file, replaced by one rename.

`DEVICE.pem` is the identity in use, `DEVICE.previous.pem` the one before it, which is kept until
the new one has registered (`confirm`).  If the process or the machine stops at any point, one of
the two is intact.  Files are 0600, the folder 0700; keys are encrypted if there is a passphrase.
A lock serializes the changes of several processes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.operating_system import read_file
from softphone.security import KeyMaterial
from softphone.trust.disk import (
    check_file,
    locked,
    make_folder,
    remove_leftovers,
    synchronize,
    write_private,
)
from softphone.trust.keystore.identity import Identity, is_encrypted
from softphone.trust.tls_settings import TlsCredential

_LOCK = ".identities.lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class IdentityStore:
    """A folder of identities, one for each device name.

    With a `passphrase`, keys are written encrypted; existing keys in clear are still read.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, passphrase: KeyMaterial | None = None
    ) -> None:
        """Raises ConfigurationError when the folder cannot be made."""
        self.folder = Path(folder)
        self.passphrase = passphrase
        make_folder(self.folder)

    def path(self, device: str) -> Path:
        """The file of a device's identity.  Raises ConfigurationError for an invalid name."""
        return self._file(device, ".pem")

    def credential(self, device: str) -> TlsCredential:
        """The device's identity as a TLS credential.  Raises ConfigurationError without one."""
        path = self.path(device)
        try:
            encrypted = is_encrypted(_bytes_of(path))
        except FileNotFoundError as exc:
            raise ConfigurationError(f"{self.folder} holds no certificate of {device}") from exc
        return TlsCredential(path, path, self.passphrase if encrypted else None)

    def load(self, device: str) -> Identity | None:
        """The identity in use, or None.  Raises ConfigurationError when it cannot be read."""
        return self._read(self.path(device))

    def previous(self, device: str) -> Identity | None:
        """The last identity that has registered, while the one in use has not; else None."""
        return self._read(self._previous(device))

    def replace(self, device: str, identity: Identity) -> None:
        """Replace the identity in use; keeps the last one that has registered.

        Raises ConfigurationError when it cannot be written; then the old one stays in use.
        """
        path, previous = self.path(device), self._previous(device)
        pem = identity.pem(self.passphrase)
        with self._changing(device):
            # An identity that was never confirmed must not overwrite one that was.
            if path.exists() and not previous.exists():
                write_private(previous, _bytes_of(path))
            write_private(path, pem)
            synchronize(self.folder)

    def confirm(self, device: str) -> None:
        """Delete the previous identity, because the one in use has registered."""
        with self._changing(device):
            if self.path(device).exists():
                self._previous(device).unlink(missing_ok=True)

    def revert(self, device: str) -> bool:
        """Restore the previous identity; returns whether there was one."""
        previous = self._previous(device)
        with self._changing(device):
            if not previous.exists():
                return False
            os.replace(previous, self.path(device))
            synchronize(self.folder)
        return True

    def delete(self, device: str) -> bool:
        """Delete the identity in use and the previous one; returns whether there was one in use."""
        with self._changing(device):
            found = self.path(device).exists()
            # The previous one first: an interruption never leaves it alone.
            self._previous(device).unlink(missing_ok=True)
            self.path(device).unlink(missing_ok=True)
            synchronize(self.folder)
        return found

    @contextmanager
    def _changing(self, device: str) -> Iterator[None]:
        """Hold the lock, and remove temporary files that a killed process has left."""
        own, previous = self.path(device).name, self._previous(device).name
        with locked(self.folder / _LOCK):
            remove_leftovers(self.folder, own)
            remove_leftovers(self.folder, previous)
            yield

    def _read(self, path: Path) -> Identity | None:
        try:
            data = _bytes_of(path)
        except FileNotFoundError:
            return None
        return Identity.from_pem(data, source=str(path), passphrase=self.passphrase)

    def _previous(self, device: str) -> Path:
        return self._file(device, ".previous.pem")

    def _file(self, device: str, ending: str) -> Path:
        if not _NAME.fullmatch(device):
            raise ConfigurationError(f"{device!r} is no device name, such as CSFALICE")
        return self.folder / f"{device}{ending}"


def _bytes_of(path: Path) -> bytes:
    """Read a file.  Raises FileNotFoundError; ConfigurationError if unreadable or not private."""
    check_file(path)
    try:
        return read_file(path)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
