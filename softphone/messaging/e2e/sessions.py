"""All TLS sessions with other clients: opened when a message needs one, accepted on request.

A session belongs to a full JID: a peer that moves to another client gets a new session.  At most 64
sessions are open.  A request is refused when 8 sessions are in their handshake, when its sender has
2, or when the clients of one peer have 4, so that no peer takes all of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from slixmpp import JID
from slixmpp.exceptions import XMPPError

from softphone.errors import SoftphoneError, TransportError
from softphone.messaging.e2e.framing import Frame
from softphone.messaging.e2e.session import ClientSession
from softphone.messaging.xmpp.stream import XmppStream
from softphone.net.stream import CertificateGate
from softphone.net.stream.inner_tls import InnerTls
from softphone.sans_io import Entropy, Side
from softphone.trust import TlsSettings

logger = logging.getLogger("softphone.messaging")

BYTESTREAM_ID_PREFIX = "client-tls:"
"""The prefix of the id of a bytestream that carries TLS."""
MOST_SESSIONS, MOST_UNPROVEN, MOST_WITH_ONE, MOST_OF_PEER = 64, 8, 2, 4
_OPEN_WITHIN = 15.0


class ClientSessions:
    """The sessions of one stream.

    `tls` applies to both sides of a session, `patience` (seconds) to its handshake and to each
    acknowledgment.  `on_message(session, frame)` is called for each message.
    """

    def __init__(
        self,
        tls: TlsSettings,
        gate: CertificateGate,
        entropy: Entropy,
        on_message: Callable[[ClientSession, Frame], None],
        *,
        patience: float,
    ) -> None:
        self._tls = tls
        self._gate = gate
        self._entropy = entropy
        self._on_message = on_message
        self._patience = patience
        self._stream: XmppStream | None = None
        self._sessions: dict[tuple[str, str], ClientSession] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._own: set[str] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    def attach(self, stream: XmppStream) -> None:
        """Handle the in-band bytestreams (XEP-0047) of this stream."""
        self._stream = stream
        stream.plugin_of("xep_0047").api.register(self._authorized, "authorized", default=True)
        stream.add_event_handler("ibb_stream_start", self._started)
        stream.add_event_handler("ibb_stream_data", self._data)
        stream.add_event_handler("ibb_stream_end", self._closed)

    async def send_message(self, peer: str, key: str, body: str) -> ClientSession:
        """Send a message to the client `peer` (a full JID); open a session if there is none.

        Raises CertificateError or a subclass, CipherRefused, MessageUndelivered, TransportError.
        """
        session = await self._session_with(peer)
        await session.send_message(key, body)
        return session

    def drop_client(self, peer: str) -> None:
        """Close the sessions with a client that has gone offline."""
        for session in self._with(peer):
            session.close(TransportError(f"{peer} has gone"), tell=False)

    async def close(self, *, tell: bool = True) -> None:
        """Close all sessions; with `tell` the other clients are informed."""
        for session in tuple(self._sessions.values()):
            session.close(tell=tell)
        if tell:
            await asyncio.sleep(0)

    # Opening

    async def _session_with(self, peer: str) -> ClientSession:
        lock = self._opening.setdefault(peer, asyncio.Lock())
        try:
            async with lock:
                for session in self._with(peer):
                    if session.is_open:
                        return session
                session = await self._open(peer)
                await session.established()
                return session
        finally:
            if not lock.locked():
                self._opening.pop(peer, None)

    async def _open(self, peer: str) -> ClientSession:
        stream = self._stream
        if stream is None or len(self._sessions) >= MOST_SESSIONS:
            raise TransportError(f"{MOST_SESSIONS} sessions with other clients are open already")
        inner = InnerTls(self._tls, Side.CLIENT, _bare(peer))
        key = f"{BYTESTREAM_ID_PREFIX}{self._entropy(16).hex()}"
        self._own.add(key)
        try:
            carrier = await stream.plugin_of("xep_0047").open_stream(
                JID(peer), sid=key, timeout=_OPEN_WITHIN
            )
        except XMPPError as exc:
            raise TransportError(
                f"{peer} does not take a session: {exc.condition or 'no answer'}"
            ) from exc
        finally:
            self._own.discard(key)
        return self._begin(peer, carrier, inner)

    def _begin(self, peer: str, carrier: Any, inner: InnerTls) -> ClientSession:
        session = ClientSession(
            peer,
            carrier,
            inner,
            self._gate,
            self._on_message,
            self._ended,
            patience=self._patience,
        )
        self._sessions[peer, carrier.sid] = session
        session.start_handshake()
        return session

    # Accepting

    async def _authorized(self, own: Any, sid: Any, sender: Any, stanza: Any) -> bool:
        """Whether the other client may open this bytestream, within the limits above."""
        peer = stanza["from"].full
        unproven = sum(not session.is_open for session in self._sessions.values())
        return (
            stanza["ibb_open"]["sid"].startswith(BYTESTREAM_ID_PREFIX)
            and "/" in peer
            and len(self._sessions) < MOST_SESSIONS
            and unproven < MOST_UNPROVEN
            and len(self._with(peer)) < MOST_WITH_ONE
            and sum(_bare(full) == _bare(peer) for full, _ in self._sessions) < MOST_OF_PEER
        )

    def _started(self, carrier: Any) -> None:
        peer = carrier.peer_jid.full
        if carrier.sid in self._own:
            return
        try:
            inner = InnerTls(self._tls, Side.SERVER, _bare(peer))
        except SoftphoneError as exc:
            logger.warning("a session that %s asks for cannot be made: %s", peer, exc)
            carrier.close(timeout=2)
            return
        self._begin(peer, carrier, inner)

    def _data(self, carrier: Any) -> None:
        session = self._sessions.get((carrier.peer_jid.full, carrier.sid))
        try:
            data = carrier.read()
        except OSError:
            return  # closed in between
        if session is not None:
            session.receive_bytes(data)

    def _closed(self, carrier: Any) -> None:
        session = self._sessions.get((carrier.peer_jid.full, carrier.sid))
        if session is not None:
            session.close(TransportError(f"{session.peer} ended the session"), tell=False)

    def _ended(self, session: ClientSession) -> None:
        for key in [key for key, each in self._sessions.items() if each is session]:
            del self._sessions[key]

    def _with(self, peer: str) -> list[ClientSession]:
        return [each for (full, _), each in self._sessions.items() if full == peer]


def _bare(full: str) -> str:
    return full.partition("/")[0]
