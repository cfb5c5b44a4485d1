"""Remembers verified PASSporTs, so that one is good for one call (RFC 8224 section 12.1).

Freshness alone lets whoever has seen a token use it again until it is stale.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from dataclasses import dataclass

from softphone.trust.stir.passport import InvalidPassport, Passport

MOST_REMEMBERED = 16_384
"""The most PASSporTs that are remembered; while all of them are fresh, no other is accepted."""

# The order of the group of P-256 (SEC 2 section 2.4.2): S and ORDER - S both verify.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class _Use:
    """The call that a PASSporT was verified for."""

    call: bytes
    answered: Callable[[], bool]


class ReplayCache:
    """The verified PASSporTs that are still fresh, each with its call.

    An INVITE that is sent again, after a challenge or by another path, brings the same PASSporT:
    the same call may use it until it has been answered.
    """

    def __init__(self) -> None:
        self._uses: dict[bytes, _Use] = {}
        self._ends: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._uses)

    def register_use(
        self,
        passport: Passport,
        call: str,
        *,
        answered: Callable[[], bool],
        now: float,
        fresh: float,
    ) -> None:
        """Remember a verified PASSporT until it is stale; raise InvalidPassport for a replay.

        `call` identifies the call: its Call-ID and From tag.  `answered` says whether it has been
        answered.  `now` is in seconds since 1970, `fresh` the seconds that a PASSporT may be older.
        Raises InvalidPassport, too, when no more can be remembered.
        """
        while self._ends and self._ends[0][0] < now:
            del self._uses[heapq.heappop(self._ends)[1]]
        identity = _identity_of(passport)
        asking = hashlib.sha256(call.encode("utf-8", "surrogateescape")).digest()
        before = self._uses.get(identity)
        if before is not None:
            if before.call != asking:
                raise InvalidPassport("it was used before, for another call: a replay")
            if before.answered():
                raise InvalidPassport("it was used before, and that call was answered: a replay")
        elif len(self._uses) >= MOST_REMEMBERED:
            raise InvalidPassport("too many tokens are fresh to tell whether it was used before")
        else:
            heapq.heappush(self._ends, (passport.issued + fresh, identity))
        self._uses[identity] = _Use(asking, answered)


def _identity_of(passport: Passport) -> bytes:
    """A digest of what is signed and of the signature, the same for both forms of S."""
    r, s = passport.signature[:32], int.from_bytes(passport.signature[32:], "big")
    least = min(s, _ORDER - s).to_bytes(32, "big")
    return hashlib.sha256(b".".join((passport.signed, r, least))).digest()
