"""The passphrase of a private key: from a file descriptor, a keyring, or the terminal.

Never from the command line or the environment, where others could read it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module

from softphone.cli.console.terminal import ask_line
from softphone.errors import ConfigurationError
from softphone.security import KeyMaterial

__all__ = ["PassphraseSource"]

_MOST = 1024
_KEYRING_SERVICE = "softphone"
_OTHERWISE = "give it with --passphrase-fd or --keyring"


@dataclass(frozen=True, slots=True)
class PassphraseSource:
    """Where a passphrase comes from; `ask` without the others means the terminal."""

    descriptor: int | None = None
    keyring: str | None = None
    ask: bool = False

    @property
    def is_given(self) -> bool:
        """Whether the user has named a source."""
        return self.descriptor is not None or self.keyring is not None or self.ask

    async def read(self, what: str, *, twice: bool = False) -> KeyMaterial:
        """The passphrase of `what`; one that is new is asked for `twice` at the terminal.

        Raises ConfigurationError when there is none.
        """
        if (self.descriptor is not None) + (self.keyring is not None) + self.ask > 1:
            raise ConfigurationError(
                "name one source of the passphrase: --passphrase-fd, --keyring or --ask-passphrase"
            )
        if self.descriptor is not None:
            return _of_descriptor(self.descriptor)
        if self.keyring is not None:
            return _of_keyring(self.keyring)
        text = await ask_line(f"Passphrase of {what}: ", secret=True, otherwise=_OTHERWISE)
        if not text:
            raise ConfigurationError("no passphrase was given")
        if twice and await ask_line("Once more: ", secret=True, otherwise=_OTHERWISE) != text:
            raise ConfigurationError("the two passphrases differ: nothing was written")
        return KeyMaterial(text.encode())


def _of_descriptor(descriptor: int) -> KeyMaterial:
    """The first line of what an open file descriptor gives."""
    data = b""
    try:
        while b"\n" not in data and len(data) <= _MOST:
            piece = os.read(descriptor, _MOST)
            if not piece:
                break
            data += piece
    except OSError as exc:
        raise ConfigurationError(f"--passphrase-fd {descriptor}: {exc.strerror}") from exc
    line = data.partition(b"\n")[0].rstrip(b"\r")
    if not line or len(line) > _MOST:
        raise ConfigurationError(f"--passphrase-fd {descriptor}: there is no passphrase in it")
    return KeyMaterial(line)


def _of_keyring(name: str) -> KeyMaterial:
    """The password of `name` under the service "softphone" in the user's keyring."""
    try:
        keyring = import_module("keyring")
    except ImportError as exc:
        raise ConfigurationError(
            "--keyring needs the keyring package: pip install softphone[keyring]"
        ) from exc
    try:
        password = keyring.get_password(_KEYRING_SERVICE, name)
    except keyring.errors.KeyringError as exc:
        raise ConfigurationError(f"the keyring cannot be read: {type(exc).__name__}") from exc
    if not password:
        raise ConfigurationError(
            f"the keyring holds no password of {name!r}: store one with"
            f" `keyring set {_KEYRING_SERVICE} {name}`"
        )
    return KeyMaterial(password.encode())
