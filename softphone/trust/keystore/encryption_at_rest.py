"""Encryption of stored texts: AES-256-GCM, with the key in a file of its own.

NIST SP 800-38D with random nonces of 96 bits, good for 2^32 records under one key.  The caller
stores the records.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from softphone.errors import ConfigurationError
from softphone.sans_io import Entropy
from softphone.security import KeyMaterial
from softphone.trust.disk import check_file, read_whole, readable_by_others, write_private
from softphone.trust.fips import random_bytes

logger = logging.getLogger("softphone.trust")

_KEY, _NONCE, _MARK = 32, 12, "v1:"
_LARGEST = 4096
"""The most bytes that are read of what is meant to be a key."""


class FileCipher:
    """Encrypts texts under one key of 32 bytes.

    `bound` is additional authenticated data, such as the record's name: a ciphertext decrypts only
    with the same value.
    """

    def __init__(self, key: KeyMaterial, *, entropy: Entropy = random_bytes) -> None:
        self._cipher = AESGCM(key.reveal())
        self._entropy = entropy

    def encrypt_text(self, text: str, *, bound: str) -> str:
        """Encrypt a text; returns ASCII: "v1:" and the Base64 of nonce and ciphertext."""
        nonce = self._entropy(_NONCE)
        data = nonce + self._cipher.encrypt(nonce, text.encode(), bound.encode())
        return _MARK + base64.b64encode(data).decode()

    def decrypt_text(self, sealed: str, *, bound: str) -> str:
        """Decrypt a text.  Raises ConfigurationError if the key, `bound` or the text is wrong."""
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
    """Open the cipher with the key in a file; makes the file (0600) with a new key if missing.

    Raises ConfigurationError when the file cannot be read or written, has not 32 bytes, or can be
    written by others; logs a warning when others can read it.
    """
    path = Path(path)
    if not path.exists():
        write_private(path, entropy(_KEY))
    check_file(path)
    key = read_whole(path, most=_LARGEST)
    warning = readable_by_others(path)
    if warning is not None:
        logger.warning("%s", warning, extra={"once": True})
    if len(key) != _KEY:
        raise ConfigurationError(f"{path} has {len(key)} bytes: a key has {_KEY}")
    return FileCipher(KeyMaterial(key), entropy=entropy)
