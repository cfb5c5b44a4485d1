"""Encrypting what is kept on disk: AES-256-GCM under a key of its own file.

NIST SP 800-38D with random nonces of 96 bits, good for 2^32 records under one key.  It knows
neither the records nor where they are.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from softphone.errors import ConfigurationError
from softphone.sans_io import Entropy
from softphone.security import KeyMaterial
from softphone.trust.disk import write_private
from softphone.trust.fips import random_bytes

_KEY, _NONCE, _MARK = 32, 12, "v1:"


class FileCipher:
    """Encrypts texts under one key of 32 bytes; `bound` is what an encrypted text belongs to."""

    def __init__(self, key: KeyMaterial, *, entropy: Entropy = random_bytes) -> None:
        self._cipher = AESGCM(key.reveal())
        self._entropy = entropy

    def encrypt_text(self, text: str, *, bound: str) -> str:
        """The text, encrypted, in ASCII."""
        nonce = self._entropy(_NONCE)
        data = nonce + self._cipher.encrypt(nonce, text.encode(), bound.encode())
        return _MARK + base64.b64encode(data).decode()

    def decrypt_text(self, sealed: str, *, bound: str) -> str:
        """The text.  Raises ConfigurationError for another key, or for what was changed."""
        try:
            if not sealed.startswith(_MARK):
                raise ValueError("it is not sealed")
            data = base64.b64decode(sealed.removeprefix(_MARK), validate=True)
            return self._cipher.decrypt(data[:_NONCE], data[_NONCE:], bound.encode()).decode()
        except (InvalidTag, ValueError, binascii.Error) as exc:
            raise ConfigurationError(
                "a record does not open: it was sealed with another key, or it was changed"
            ) from exc


def open_file_cipher(
    path: str | os.PathLike[str], *, entropy: Entropy = random_bytes
) -> FileCipher:
    """The cipher with the key of a file, which is made (0600) when there is none.

    Raises ConfigurationError for a file that is no key.
    """
    path = Path(path)
    if not path.exists():
        write_private(path, entropy(_KEY))
    try:
        key = path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
    if len(key) != _KEY:
        raise ConfigurationError(f"{path} has {len(key)} bytes: a key has {_KEY}")
    return FileCipher(KeyMaterial(key), entropy=entropy)
