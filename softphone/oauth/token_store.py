"""Stores a token: in a 0600 file, encrypted under a passphrase or not, or in the OS keyring.

A file is replaced atomically.  `locked` serializes refreshes of several processes: a refresh token
that was used twice makes many servers withdraw all of them (RFC 9700 section 4.14.2).

AES-256-GCM, under a key of PBKDF2 with HMAC-SHA-256 (NIST SP 800-132).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from softphone.errors import ConfigurationError, SingleSignOnError
from softphone.extras import install_command
from softphone.oauth.token import Token, decode_token, encode_token, read_object
from softphone.sans_io import Entropy
from softphone.security import KeyMaterial
from softphone.trust import readable_by_others, write_private
from softphone.trust.disk import check_file, locked, make_folder, read_whole
from softphone.trust.fips import random_bytes
from softphone.trust.keystore.encryption_at_rest import FileCipher

logger = logging.getLogger("softphone.oauth")

ROUNDS = 600_000
"""The iterations of PBKDF2."""
_SALT = 16
_LARGEST = 128 * 1024
_PATIENCE = 60.0
"""Seconds to wait for another process, which may be refreshing."""
_BOUND = "softphone token"
"""Associated data of the encryption."""
_KEYRING_SERVICE = "softphone"


class TokenStore(Protocol):
    """Where one token is kept.  Methods raise ConfigurationError and SingleSignOnError."""

    @property
    def description(self) -> str:
        """Where tokens are, and how they are protected, for a person."""

    async def load(self) -> Token | None:
        """Return the token; None without one."""

    async def save(self, token: Token) -> None:
        """Store a token in place of the one before."""

    async def forget(self) -> None:
        """Delete the token."""

    def locked(self) -> AbstractAsyncContextManager[None]:
        """Keep other processes from refreshing meanwhile."""


class _Locked:
    """A lock among the tasks of this process, and by a file among processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold the lock.  Raises ConfigurationError when another process does not release it."""
        async with self._turn:
            stack = ExitStack()
            entered = asyncio.ensure_future(asyncio.to_thread(self._enter, stack))
            try:
                await asyncio.shield(entered)
            except asyncio.CancelledError:
                # The thread goes on: a lock that it still acquires is released then.
                entered.add_done_callback(lambda _: stack.close())
                raise
            with stack:
                yield

    def _enter(self, stack: ExitStack) -> None:
        make_folder(self._path.parent)
        stack.enter_context(locked(self._path, patience=_PATIENCE))


class FileTokenStore(_Locked):
    """A token in a file of mode 0600; encrypted if there is a `passphrase`."""

    def __init__(
        self,
        path: Path,
        passphrase: KeyMaterial | None = None,
        *,
        entropy: Entropy = random_bytes,
    ) -> None:
        super().__init__(path.with_name(f"{path.name}.lock"))
        self._file = path
        self._passphrase = passphrase
        self._entropy = entropy
        self._cipher: tuple[bytes, FileCipher] | None = None
        self._said = False

    @property
    def description(self) -> str:
        """Where tokens are, and how they are protected, for a person."""
        how = "encrypted under a passphrase"
        if self._passphrase is None:
            how = "unencrypted, for its owner only: give passphrase_file or keyring in [oauth]"
        return f"{self._file} ({how})"

    async def load(self) -> Token | None:
        """Return the token; None without one."""
        return await asyncio.to_thread(self._load)

    async def save(self, token: Token) -> None:
        """Store a token in place of the one before."""
        await asyncio.to_thread(self._save, token)

    async def forget(self) -> None:
        """Delete the token."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{self._file} cannot be deleted: {error.strerror}") from error

    def _load(self) -> Token | None:
        if not self._file.exists():
            return None
        check_file(self._file)
        warning = readable_by_others(self._file)
        if warning is not None and self._passphrase is None:
            logger.warning("%s", warning)
        data = read_whole(self._file, most=_LARGEST)
        values = read_object(data)
        if "sealed" not in values:
            if self._passphrase is not None:
                raise SingleSignOnError(
                    f"{self._file} is not encrypted, and a passphrase is given: sign in again"
                )
            return decode_token(data)
        if self._passphrase is None:
            raise ConfigurationError(f"{self._file} is encrypted: give passphrase_file in [oauth]")
        return decode_token(self._unsealed(values))

    def _unsealed(self, values: dict[str, Any]) -> bytes:
        salt, sealed = values.get("salt"), values.get("sealed")
        try:
            cipher = self._cipher_of(base64.b64decode(str(salt), validate=True))
            return cipher.decrypt_text(str(sealed), bound=_BOUND).encode()
        except (ValueError, ConfigurationError) as error:
            raise ConfigurationError(
                f"{self._file} does not open: the passphrase is another, or it was changed"
            ) from error

    def _save(self, token: Token) -> None:
        data = encode_token(token)
        if self._passphrase is not None:
            salt = self._entropy(_SALT) if self._cipher is None else self._cipher[0]
            sealed = self._cipher_of(salt).encrypt_text(data.decode(), bound=_BOUND)
            text = base64.b64encode(salt).decode()
            data = f'{{"form": 1, "salt": "{text}", "sealed": "{sealed}"}}\n'.encode()
        elif not self._said:
            self._said = True
            logger.warning("the token is stored in %s", self.description)
        write_private(self._file, data)

    def _cipher_of(self, salt: bytes) -> FileCipher:
        """Return the cipher for a salt; the latest one is kept, since its key costs 0.2 s."""
        if self._cipher is None or self._cipher[0] != salt:
            passphrase = b"" if self._passphrase is None else self._passphrase.reveal()
            key = hashlib.pbkdf2_hmac("sha256", passphrase, salt, ROUNDS)
            self._cipher = salt, FileCipher(KeyMaterial(key), entropy=self._entropy)
        return self._cipher[1]


class KeyringTokenStore(_Locked):
    """A token in the user's keyring, as password of `name` under the service "softphone".

    `folder` holds the lock file.  Raises ConfigurationError without the keyring package.
    """

    def __init__(self, name: str, folder: Path) -> None:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        super().__init__(folder / f"keyring-{digest}.lock")
        self._name = name
        try:
            self._keyring = import_module("keyring")
        except ImportError as error:
            raise ConfigurationError(
                f"oauth.keyring: the keyring package is missing: {install_command('keyring')}"
            ) from error

    @property
    def description(self) -> str:
        """Where tokens are, and how they are protected, for a person."""
        return f"the user's keyring ({_KEYRING_SERVICE}, {self._name})"

    async def load(self) -> Token | None:
        """Return the token; None without one."""
        text = await self._call("get_password", _KEYRING_SERVICE, self._name)
        return None if not text else decode_token(str(text).encode())

    async def save(self, token: Token) -> None:
        """Store a token in place of the one before."""
        text = encode_token(token).decode()
        await self._call("set_password", _KEYRING_SERVICE, self._name, text)

    async def forget(self) -> None:
        """Delete the token."""
        if await self.load() is not None:
            await self._call("delete_password", _KEYRING_SERVICE, self._name)

    async def _call(self, name: str, *arguments: str) -> object:
        """Call the keyring in a thread: it may ask its user.  Its own text could show a secret."""
        failure = ""
        try:
            return await asyncio.to_thread(getattr(self._keyring, name), *arguments)
        except self._keyring.errors.KeyringError as error:
            failure = type(error).__name__
        raise ConfigurationError(f"the keyring cannot be used: {failure}")
