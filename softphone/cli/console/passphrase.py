"""The passphrase of a private key: from a file descriptor, a keyring, or the terminal.

Never from the command line or the environment, where others could read it.
"""

from __future__ import annotations

import os
from importlib import import_module

from softphone.cli.console.options import PassphraseOptions
from softphone.cli.console.terminal import ask_line
from softphone.errors import ConfigurationError
from softphone.extras import install_command
from softphone.security import KeyMaterial

_MOST = 1024
_KEYRING_SERVICE = "softphone"
_OTHERWISE = "give it with --passphrase-fd or --keyring"


async def read_passphrase(
    source: PassphraseOptions, what: str, *, twice: bool = False
) -> KeyMaterial:
    """Return the passphrase of `what`, from the terminal if no other source was named.

    A new one is asked for `twice` there.  Raises ConfigurationError when there is none.
    """
    descriptor, keyring = source.passphrase_fd, source.keyring
    if (descriptor is not None) + (keyring is not None) + source.ask_passphrase > 1:
        raise ConfigurationError(
            "name one source of the passphrase: --passphrase-fd, --keyring or --ask-passphrase"
        )
    if descriptor is not None:
        return _of_descriptor(descriptor)
    if keyring is not None:
        return _of_keyring(keyring)
    text = await ask_line(f"Passphrase of {what}: ", secret=True, otherwise=_OTHERWISE)
    if not text:
        raise ConfigurationError("no passphrase was given")
    if twice and await ask_line("Once more: ", secret=True, otherwise=_OTHERWISE) != text:
        raise ConfigurationError("the two passphrases differ: nothing was written")
    return KeyMaterial(text.encode())


async def passphrase_if_given(source: PassphraseOptions | None, what: str) -> KeyMaterial | None:
    """Return the passphrase of `what`, None without a source.  Raises ConfigurationError."""
    return await read_passphrase(source, what) if source and source.is_given else None


def _of_descriptor(descriptor: int) -> KeyMaterial:
    """Read the first line of an open file descriptor."""
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
    """Read the password of `name` under the service "softphone" from the user's keyring."""
    try:
        keyring = import_module("keyring")
    except ImportError as exc:
        raise ConfigurationError(
            f"--keyring needs the keyring package: {install_command('keyring')}"
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
