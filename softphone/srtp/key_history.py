"""The SDES keys that a call has used, ours and theirs, on all m-lines, and which may be reused.

A key used for two purposes breaks SRTP: if the far end uses ours, packets we sent can be replayed
to us; if two m-lines share one, packets of one authenticate on the other.  A key may come back to
its own stream (hold, session timer, a fork that answers), under the same suite: the stream then
uses its earlier receive context.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from softphone.sdp import Crypto, CryptoLine
from softphone.security import CryptoSuite
from softphone.srtp.receive_keys import MAXIMUM_KEYS
from softphone.srtp.sdes import CryptoRefusalCode

_REMEMBERED = 1024
"""Keys of ours that are remembered, the newest, so that a far end cannot grow the set for ever.

Once older ones were dropped, only keys that the far end has used before are accepted from it.
"""


class KeyHistory:
    """Digests of one call's keys; `media` is the kind of an m-line, "audio" or "video"."""

    def __init__(self) -> None:
        self._ours: dict[bytes, None] = {}
        self._complete = True
        self._theirs: dict[bytes, str] = {}
        self._received: dict[str, set[bytes]] = {}
        """Digests, for each kind of media, of the keys that `ReceiveKeys` has a context for."""

    def note_ours(self, lines: Iterable[Crypto]) -> None:
        """Record crypto lines that we have made."""
        for line in lines:
            name = _name_of_key(line, line.key_params[0].key.reveal())
            self._ours.pop(name, None)
            self._ours[name] = None
        while len(self._ours) > _REMEMBERED:
            del self._ours[next(iter(self._ours))]
            self._complete = False

    def note_theirs(self, media: str, line: Crypto) -> None:
        """Record that the far end sends with this line's key from now on."""
        material = line.key_params[0].key.reveal()
        self._theirs.setdefault(sha256(material).digest(), media)
        self._received.setdefault(media, set()).add(_fingerprint(line, material))

    def find_fault(
        self, media: str, line: Crypto, others: Sequence[CryptoLine]
    ) -> tuple[CryptoRefusalCode, str] | None:
        """Why the key of the far end's `line` may not be used; None if it may.

        The key must have the length that its suite demands.  `others` are the crypto lines of the
        other kinds of media in the same description.
        """
        material = line.key_params[0].key.reveal()
        if self._ours and _name_of_key(line, material) in self._ours:
            return CryptoRefusalCode.KEY_REFLECTED, "it carries a key of ours"
        name = sha256(material).digest()
        owner = self._theirs.get(name, media)
        if owner != media or (others and _has_key(others, name)):
            return CryptoRefusalCode.KEY_SHARED, "another m-line has the same key and salt"
        received = self._received.get(media, set())
        if self._complete and len(received) < MAXIMUM_KEYS:
            return None
        if _fingerprint(line, material) in received:
            return None
        had = (
            f"the {media} stream has had {MAXIMUM_KEYS} keys of the far end, and none may be"
            " forgotten for another"
            if self._complete
            else f"the call has had {_REMEMBERED} keys of ours and more, and this may be one"
        )
        return CryptoRefusalCode.TOO_MANY_KEYS, f"{had}: a new call can have a new one"


def _has_key(lines: Sequence[CryptoLine], name: bytes) -> bool:
    """Whether a line has the key and salt of that digest."""
    return any(
        sha256(parameter.key.reveal()).digest() == name
        for line in lines
        if isinstance(line, Crypto)
        for parameter in line.key_params
    )


def _name_of_key(line: Crypto, material: bytes) -> bytes:
    """The digest of a master key without its salt: our key stays ours under another salt."""
    suite = CryptoSuite.named(line.suite_name)
    return sha256(material[: None if suite is None else suite.key_length]).digest()


def _fingerprint(line: Crypto, material: bytes) -> bytes:
    name = CryptoSuite.named(line.suite_name) or line.suite_name
    return sha256(name.encode() + b"\0" + material).digest()
