"""One item of the desktop's store of secrets: Secret Service, KWallet, the keychain of macOS.

Reached by the keyring package (the extra `keyring`).  What is stored here is no secret: whoever may
write in that store is trusted as whoever may write in the folder of a store on disk.
"""

from __future__ import annotations

from importlib import import_module

from softphone.errors import ConfigurationError
from softphone.extras import install_command

_SERVICE = "softphone certificates"
_INSTEAD = "start a keyring of the desktop and unlock it, or name a folder in place of keyring:"


class KeyringItem:
    """A text under `name`.  Raises ConfigurationError for no name, and without the package.

    A call may wait for its user, who is asked to unlock the store.
    """

    def __init__(self, name: str) -> None:
        if not name:
            raise ConfigurationError("keyring: give a name behind it, as in keyring:softphone")
        self._name = name
        try:
            self._keyring = import_module("keyring")
        except ImportError as error:
            raise ConfigurationError(
                f"keyring:{name}: the keyring package is missing: {install_command('keyring')}"
            ) from error

    def read(self) -> str | None:
        """The text; None without one.  Raises ConfigurationError when the store cannot be used."""
        try:
            found: str | None = self._keyring.get_password(_SERVICE, self._name)
        except self._keyring.errors.KeyringError as error:
            raise self._unusable(error) from error
        return found

    def write(self, text: str) -> None:
        """Replace the text.  Raises ConfigurationError unless it can be read afterwards."""
        try:
            self._keyring.set_password(_SERVICE, self._name, text)
        except self._keyring.errors.KeyringError as error:
            raise self._unusable(error) from error
        if self.read() != text:
            raise ConfigurationError(f"keyring:{self._name} keeps nothing: {_INSTEAD}")

    def _unusable(self, error: Exception) -> ConfigurationError:
        why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        return ConfigurationError(f"keyring:{self._name} cannot be used: {why}: {_INSTEAD}")
