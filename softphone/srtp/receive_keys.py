"""The receive contexts of one stream, one a key, kept as long as the stream (RFC 3711 3.3.2).

A replay window belongs to a key and not to a negotiation: forks, holds and a server that puts
music in between bring a key back, and what was recorded under it before must not play again.
"""

from __future__ import annotations

import hashlib
import hmac

from softphone.errors import ConfigurationError
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp.context import FailureCounts, ReceiveContext

MAXIMUM_KEYS = 32
"""Keys that a stream may receive with in its life.  None is forgotten for another: a far end that
could push a key out could have its packets played twice."""


def key_fingerprint(suite: CryptoSuite, key: KeyMaterial) -> bytes:
    """What tells one key from another without keeping it."""
    return hashlib.sha256(suite.encode() + b"\0" + key.reveal()).digest()


class ReceiveKeys:
    """Every key that a stream has received with; `context` is that of the key in force, or None."""

    __slots__ = ("_contexts", "_current", "context")

    def __init__(self) -> None:
        self.context: ReceiveContext | None = None
        self._current = b""
        self._contexts: dict[bytes, ReceiveContext] = {}

    def select(self, suite: CryptoSuite, key: KeyMaterial) -> ReceiveContext:
        """Receive with this key from now on, in its own context if it was in force before.

        A context that is new or comes back is given the rollover counters of the one before it.
        Raises ConfigurationError, and then nothing has changed, for a key of the wrong length and
        for one beyond `MAXIMUM_KEYS`.
        """
        name = key_fingerprint(suite, key)
        if self.context is not None and hmac.compare_digest(name, self._current):
            return self.context
        # The last that was in force, though the stream may have been in clear since.
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
        self._current, self.context = name, context
        return context

    def deselect(self) -> None:
        """Receive in clear from now on."""
        self.context = None

    @property
    def failures(self) -> FailureCounts:
        """Packets that were dropped, under all keys."""
        counted = [context.failures for context in self._contexts.values()]
        return FailureCounts(
            *[sum(getattr(each, name) for each in counted) for name in FailureCounts.__slots__]
        )

    def close(self) -> None:
        """Drop every key."""
        self.context = None
        for context in self._contexts.values():
            context.close()
