"""TLS 1.3 sessions kept for connecting anew, each with the chain that the gate has accepted.

A resumed session shows no certificate (RFC 8446 section 2.2), so the chain is kept with it and
judged again.  They are kept in memory only, each for one use (appendix C.4), and not in TLS 1.2:
there a session may be resumed safely only with an extended master secret (RFC 7627), of which
Python says nothing.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from softphone.errors import CertificateUntrusted
from softphone.sans_io import Target
from softphone.trust import SessionOffer

MOST_SESSIONS = 16_384
"""Sessions that one client keeps, and chains that one listener keeps; the oldest is dropped."""
LONGEST_AGE = timedelta(hours=1)
"""How long after a full handshake its session may be resumed, however often it was meanwhile."""

ResumedChain: TypeAlias = Callable[[ssl.SSLObject], tuple[bytes, ...]]
"""`chain_of(tls)`: the chain (DER, leaf first) that was judged in the full handshake of a resumed
session; empty for a client that showed none.  Raises CertificateUntrusted."""


def refuse_resumed(_tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """Raise CertificateUntrusted: nothing is known of the certificate."""
    raise CertificateUntrusted("a resumed session shows no certificate: connect anew")


@dataclass(frozen=True, slots=True)
class AcceptedHandshake:
    """What the gate has accepted in a full handshake, and when; `begun` is of the connection."""

    chain: tuple[bytes, ...] = field(repr=False)
    proven: datetime
    begun: datetime


@dataclass(frozen=True, slots=True)
class KeptSession:
    """A session that may be offered once, until `until`, by a connection of the same context."""

    session: ssl.SSLSession = field(repr=False)
    context: ssl.SSLContext = field(repr=False)
    accepted: AcceptedHandshake
    until: datetime

    def offer(self) -> SessionOffer:
        """The offer of this session."""
        return SessionOffer(self.session, self.context)


def session_of(
    tls: ssl.SSLObject,
    context: ssl.SSLContext,
    accepted: AcceptedHandshake,
    resumed: bytes = b"",
) -> KeptSession | None:
    """The newest session of a connection; None in TLS 1.2, and where the server has given none
    but that of the id `resumed`.

    Its age counts from the connection's begin, which is before any of its tickets.
    """
    try:
        session = tls.session if tls.version() == "TLSv1.3" else None
    except (ValueError, ssl.SSLError):
        # Python copies a session by its encoding, of 65,280 octets at most: a ticket may be longer.
        return None
    if session is None or not session.has_ticket or session.id == resumed:
        return None
    hint = accepted.begun + timedelta(seconds=session.ticket_lifetime_hint)
    return KeptSession(session, context, accepted, min(hint, accepted.proven + LONGEST_AGE))


class KeptSessions:
    """Holds one session for each target and credential, the newest."""

    def __init__(self, *, entries: int = MOST_SESSIONS) -> None:
        self._entries = entries
        self._kept: OrderedDict[Target, KeptSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, target: Target, kept: KeptSession) -> None:
        """Keep a session in place of the target's last one, and drop old ones that are over."""
        while self._kept:
            oldest = next(iter(self._kept))
            if self._kept[oldest].until > kept.accepted.begun:
                break
            del self._kept[oldest]
        self._kept[target] = kept
        self._kept.move_to_end(target)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)

    def take(
        self, target: Target, context: ssl.SSLContext, *, wall: datetime
    ) -> KeptSession | None:
        """Remove and return the target's session, if a connection of `context` may offer it now."""
        kept = self._kept.pop(target, None)
        if kept is None or kept.context is not context:
            return None
        # After the clock was set back, the age of a session is unknown.
        return kept if kept.accepted.begun <= wall < kept.until else None

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()


class AcceptedChains:
    """The chains of clients that the gate of one listener has accepted, by their certificates.

    A ticket of the listener names the certificate that its full handshake has verified.  Tickets
    are sent before the gate has judged: only those of accepted certificates are of use.  OpenSSL
    counts a ticket's age from the last resumption, so the time of the certificate's last full
    handshake is kept here; of which handshake a ticket is, Python does not say.
    Without `optional` every client has to have shown a certificate.
    """

    def __init__(
        self, *, optional: bool, wall: Callable[[], datetime], entries: int = MOST_SESSIONS
    ) -> None:
        self._optional = optional
        self._wall = wall
        self._entries = entries
        self._chains: OrderedDict[bytes, tuple[tuple[bytes, ...], datetime]] = OrderedDict()

    def keep(self, chain: tuple[bytes, ...]) -> None:
        """Keep a chain that was accepted now, in a full handshake."""
        self._chains[chain[0]] = chain, self._wall()
        self._chains.move_to_end(chain[0])
        if len(self._chains) > self._entries:
            self._chains.popitem(last=False)

    def chain_of(self, tls: ssl.SSLObject) -> tuple[bytes, ...]:
        """The chain of a resumed client, to be judged again; empty if it showed none.

        Raises CertificateUntrusted in TLS 1.2, and where the certificate was not accepted in a full
        handshake within LONGEST_AGE.
        """
        if tls.version() != "TLSv1.3":
            return refuse_resumed(tls)
        leaf = tls.getpeercert(binary_form=True)
        if leaf is None and self._optional:
            return ()
        chain, proven = self._chains.get(leaf or b"", ((), None))
        if proven is None or not proven <= self._wall() < proven + LONGEST_AGE:
            return refuse_resumed(tls)
        # Who comes back often does full handshakes seldom, and is not the first to be dropped.
        self._chains.move_to_end(chain[0])
        return chain
