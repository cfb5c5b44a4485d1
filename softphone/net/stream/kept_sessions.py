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
    tls: ssl.SSLObject, context: ssl.SSLContext, accepted: AcceptedHandshake
) -> KeptSession | None:
    """The newest session of a connection; None in TLS 1.2, and where the server has given none.

    Its age counts from the connection's begin, which is before any of its tickets.
    """
    session = tls.session if tls.version() == "TLSv1.3" else None
    if session is None or not session.has_ticket:
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
        """Keep a session in place of the target's last one."""
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
    are sent before the gate has judged: only those of accepted certificates are of use.  Without
    `optional` every client has to have shown one.
    """

    def __init__(self, *, optional: bool, entries: int = MOST_SESSIONS) -> None:
        self._optional = optional
        self._entries = entries
        self._chains: OrderedDict[bytes, tuple[bytes, ...]] = OrderedDict()

    def keep(self, chain: tuple[bytes, ...]) -> None:
        """Keep an accepted chain."""
        self._chains[chain[0]] = chain
        self._chains.move_to_end(chain[0])
        if len(self._chains) > self._entries:
            self._chains.popitem(last=False)

    def chain_of(self, tls: ssl.SSLObject) -> tuple[bytes, ...]:
        """The chain of a resumed client, to be judged again; empty if it showed none.

        Raises CertificateUntrusted in TLS 1.2, and where the certificate was not accepted.
        """
        if tls.version() != "TLSv1.3":
            return refuse_resumed(tls)
        leaf = tls.getpeercert(binary_form=True)
        if leaf is None and self._optional:
            return ()
        return self._chains.get(leaf or b"") or refuse_resumed(tls)
