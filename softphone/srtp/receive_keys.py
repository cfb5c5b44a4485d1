"""The receive contexts of one stream, one for each key, kept as long as the stream.

A replay window (RFC 3711 section 3.3.2) belongs to a key, not to a negotiation.  Forks, holds and a
server that inserts music bring a key back, and packets recorded under it must not play again.
"""

from __future__ import annotations

import hashlib
import hmac

from softphone.errors import ConfigurationError
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp.context import FailureCounts, ReceiveContext

MAXIMUM_KEYS = 32
"""Keys that a stream may receive with in its life.

None is dropped for a new one: a far end that could push a key out could replay its packets.
"""


def key_fingerprint(suite: CryptoSuite, key: KeyMaterial, mki: bytes = b"") -> bytes:
    """A digest that tells keys, and their identifiers where given, apart without keeping them."""
    return hashlib.sha256(suite.encode() + b"\0" + key.reveal() + mki).digest()


class ReceiveKeys:
    """Every key that a stream has received with; `context` belongs to the key in force, or None."""

    __slots__ = ("_contexts", "_current", "context")

    def __init__(self) -> None:
        self.context: ReceiveContext | None = None
        self._current = b""
        self._contexts: dict[bytes, ReceiveContext] = {}

    def select(self, suite: CryptoSuite, key: KeyMaterial, mki: bytes = b"") -> ReceiveContext:
        """Receive with this key from now on, in its own context if it was in force before.

        Packets have to carry the master key identifier `mki`; b"" is none.
        A new or returning context takes over the rollover counters of the previous one.
        Raises ConfigurationError, and changes nothing, for a key of the wrong length or beyond
        `MAXIMUM_KEYS`.
        """
        name = key_fingerprint(suite, key)
        if self.context is not None and hmac.compare_digest(name, self._current):
            self.context.expect_mki(mki)
            return self.context
        # The last key in force, even if the stream has been in clear since.
        before = self._contexts.get(self._current)
        counters = None if before is None else before.rollover_counters()
        context = self._contexts.get(name)
        if context is None:
            if len(self._contexts) >= MAXIMUM_KEYS:
                raise ConfigurationError(
                    f"the stream has been received with {MAXIMUM_KEYS} keys already, and another "
                    "one would need the replay window of one of them: start a new call"
                )
            context = self._contexts[name] = ReceiveContext(suite, key, rollover=counters)
        elif context is not before:
            context.resume(counters or {})
        context.expect_mki(mki)
        self._current, self.context = name, context
        return context

    def deselect(self) -> None:
        """Receive in clear from now on."""
        self.context = None

    @property
    def failures(self) -> FailureCounts:
        """Dropped packets by cause, summed over all keys."""
        total = FailureCounts()
        for context in self._contexts.values():
            total.add(context.failures)
        return total

    def close(self) -> None:
        """Drop every key."""
        self.context = None
        for context in self._contexts.values():
            context.close()
