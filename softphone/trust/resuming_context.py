"""A context for outgoing TLS whose connections may offer a session, each its own and only that.

asyncio passes no session to `wrap_bio`, and connections share a context.  So the session that one
connection offers is set for its task alone, and `wrap_bio` takes it once.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class SessionOffer:
    """A session that one connection of `context` offers; it is shown by no repr."""

    def __init__(self, session: ssl.SSLSession, context: ssl.SSLContext) -> None:
        self._session: ssl.SSLSession | None = session
        self._context = context
        self._taken_by: ssl.SSLObject | None = None

    def resumed_in(self, tls: ssl.SSLObject) -> bool:
        """Whether this connection has offered the session, and the server has resumed it."""
        return self._taken_by is tls and tls.session_reused is True

    @property
    def resumed(self) -> bool:
        """Whether a server has resumed the session."""
        return self._taken_by is not None and self._taken_by.session_reused is True

    def take(self, context: ssl.SSLContext) -> ssl.SSLSession | None:
        """The session, for a connection of the context that it was made with; None once taken."""
        return self._session if self._taken_by is None and context is self._context else None

    def was_taken_by(self, tls: ssl.SSLObject) -> None:
        """Note the connection that offers the session, which is of no other use."""
        self._taken_by, self._session = tls, None


_offer: ContextVar[SessionOffer | None] = ContextVar("_offer", default=None)


@contextmanager
def offering(offer: SessionOffer | None) -> Iterator[None]:
    """Let the connection that this task opens within offer the session; None offers none."""
    token = _offer.set(offer)
    try:
        yield
    finally:
        _offer.reset(token)


class ResumingContext(ssl.SSLContext):
    """A client's context; without an offer it is one like any other."""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Make a connection that offers `session`, or else the session that is set for it."""
        offer = None if session is not None else _offer.get()
        offered = None if offer is None else offer.take(self)
        tls = super().wrap_bio(
            incoming, outgoing, server_side, server_hostname, session if offer is None else offered
        )
        if offer is not None and offered is not None:
            offer.was_taken_by(tls)
        return tls
