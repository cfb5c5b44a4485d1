"""The SDES keys that a call has had, ours and theirs, on all of its lines, and what may repeat.

A key that is used for two things is the end of what SRTP promises: with ours in both directions,
what we said can be played to us; on two m-lines, packets of one pass on the other.  This stream's
key of before may come back (hold, session timer, a fork that answers), as one suite's may stand
for another one of the same line: then its receive context is the one of before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from softphone.sdp import Crypto, CryptoLine
from softphone.security import CryptoSuite
from softphone.srtp.receive_keys import MAXIMUM_KEYS
from softphone.srtp.sdes import CryptoRefusalCode

_REMEMBERED = 1024
"""Keys of ours that are remembered, the last ones made: no far end makes this grow without end.
Once there were more, a key of theirs is to be one that they have had before."""


class KeyHistory:
    """Digests of the keys of one call; `media` is the kind of an m-line, "audio" or "video"."""

    def __init__(self) -> None:
        self._ours: dict[bytes, None] = {}
        self._complete = True
        self._theirs: dict[bytes, str] = {}
        self._received: dict[str, set[bytes]] = {}
        """For each kind of media what `ReceiveKeys` has a context for."""

    def note_ours(self, lines: Iterable[Crypto]) -> None:
        """We have made these lines."""
        for line in lines:
            name = _digest(_master_key(line))
            self._ours.pop(name, None)
            self._ours[name] = None
        while len(self._ours) > _REMEMBERED:
            del self._ours[next(iter(self._ours))]
            self._complete = False

    def note_theirs(self, media: str, line: Crypto) -> None:
        """The far end sends with this line's key from now on."""
        self._theirs.setdefault(_digest(_material(line)), media)
        self._received.setdefault(media, set()).add(_fingerprint(line))

    def find_fault(
        self, media: str, line: Crypto, others: Sequence[CryptoLine]
    ) -> tuple[CryptoRefusalCode, str] | None:
        """Why the key of their `line`, which has one of its suite's length, may not be used.

        `others` are the crypto lines of the same description's other kinds of media.
        """
        if _digest(_master_key(line)) in self._ours:
            return CryptoRefusalCode.KEY_REFLECTED, "it carries a key of ours"
        name = _digest(_material(line))
        owner = self._theirs.get(name, media)
        if owner != media or any(
            isinstance(other, Crypto) and any(_digest(k) == name for k in _materials(other))
            for other in others
        ):
            return CryptoRefusalCode.KEY_SHARED, "another m-line has the same key and salt"
        received = self._received.get(media, set())
        if _fingerprint(line) in received or (self._complete and len(received) < MAXIMUM_KEYS):
            return None
        had = (
            f"the {media} stream has had {MAXIMUM_KEYS} keys of the far end, and none may be"
            " forgotten for another"
            if self._complete
            else f"the call has had {_REMEMBERED} keys of ours and more, and this may be one"
        )
        return CryptoRefusalCode.TOO_MANY_KEYS, f"{had}: a new call can have a new one"


def _materials(line: Crypto) -> list[bytes]:
    return [parameter.key.reveal() for parameter in line.key_params]


def _material(line: Crypto) -> bytes:
    return line.key_params[0].key.reveal()


def _master_key(line: Crypto) -> bytes:
    """The master key without its salt: with another salt it is ours still."""
    suite = CryptoSuite.named(line.suite_name)
    return _material(line)[: None if suite is None else suite.key_length]


def _fingerprint(line: Crypto) -> bytes:
    return _digest(line.suite_name.encode() + b"\0" + _material(line))


def _digest(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()
