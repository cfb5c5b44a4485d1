"""Tracks the roster, the presence of peers, and which of their clients support TLS sessions.

RFC 6121 sections 2 to 4, XEP-0030 (the capability).  Bounded: at most 10,000 clients are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from slixmpp import JID
from slixmpp.exceptions import XMPPError

from softphone.messaging.config import SubscriptionApproval
from softphone.messaging.message import Availability, Presence
from softphone.messaging.xmpp.stream import CLIENT_TLS, XmppStream

MOST_CLIENTS = 10_000
_ASK_WITHIN = 10.0
_RANK = {
    Availability.CHAT: 0,
    Availability.AVAILABLE: 1,
    Availability.AWAY: 2,
    Availability.DND: 3,
    Availability.XA: 4,
    Availability.OFFLINE: 5,
}


@dataclass(slots=True)
class PeerClient:
    """One client of a peer: its full JID and its presence.

    `aes` is whether it supports TLS between clients; None until it was asked (XEP-0030).
    """

    jid: str
    priority: int = 0
    show: Availability = Availability.AVAILABLE
    status: str = ""
    aes: bool | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


class Peers:
    """Tracks the peers of one stream.

    `on_gone(full_jid)` is called when a client leaves, `on_presence(presence)` when the presence
    of a peer changes.
    """

    def __init__(self, own: str, approve: SubscriptionApproval, *, encrypts: bool) -> None:
        self._own = own
        self._approve = approve
        self._asks = encrypts
        self._stream: XmppStream | None = None
        self._clients: dict[str, dict[str, PeerClient]] = {}
        self._count = 0
        self._changed = asyncio.Event()
        self.on_gone: Callable[[str], None] = lambda jid: None
        self.on_presence: Callable[[Presence], None] = lambda presence: None

    def attach(self, stream: XmppStream) -> None:
        """Handle the presence stanzas and subscription requests of this stream."""
        self._stream = stream
        roster: Any = stream.roster
        roster.auto_authorize = None  # slixmpp answers neither way: `_wants_to_see_us` does
        roster.auto_subscribe = False
        stream.add_event_handler("presence_subscribe", self._wants_to_see_us)
        for kind in ("available", "chat", "away", "xa", "dnd", "unavailable"):
            stream.add_event_handler(f"presence_{kind}", self._presence)

    def clear(self) -> None:
        """Forget all presences, since a new session has begun; `on_gone` is called for each."""
        gone = [client.jid for clients in self._clients.values() for client in clients.values()]
        self._clients.clear()
        self._count = 0
        for jid in gone:
            self.on_gone(jid)

    def all_presences(self) -> tuple[Presence, ...]:
        """Return the presence of every peer on the roster, and of other peers that sent one."""
        known = set(self._clients)
        if self._stream is not None:
            known |= {str(jid) for jid in self._stream.client_roster}
        return tuple(self.presence(peer) for peer in sorted(known - {self._own}))

    def presence(self, peer: str) -> Presence:
        """Return the presence of a peer (bare JID): that of its most available client."""
        clients = self._clients.get(peer, {}).values()
        best = min(clients, key=lambda client: _RANK[client.show], default=None)
        if best is None:
            return Presence(peer, Availability.OFFLINE)
        return Presence(peer, best.show, best.status)

    def is_there(self, jid: str) -> bool:
        """Whether the client with this full JID is available."""
        return jid in self._clients.get(jid.partition("/")[0], {})

    def mark_encrypting(self, jid: str) -> None:
        """Record that a client has spoken TLS with us, so that it is not asked whether it can.

        From then on the server cannot hide this capability.
        """
        client = self._clients.get(jid.partition("/")[0], {}).get(jid)
        if client is not None:
            client.aes = True

    async def subscribe_to(self, peer: str, *, within: float = 5.0) -> Presence:
        """Request a subscription if there is none; wait up to `within` seconds for the presence."""
        stream = self._stream
        if stream is not None and not self._subscribed(peer):
            stream.send_presence_subscription(pto=peer, ptype="subscribe")
        try:
            async with asyncio.timeout(within):
                while not self._clients.get(peer):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return Presence(peer, Availability.OFFLINE)
        return self.presence(peer)

    async def encrypting_client(self, peer: str) -> str | None:
        """Return the full JID of the peer's best client that supports TLS with ours, or None.

        The highest priority is best, then the highest availability; a negative priority is left
        out (RFC 6121 section 4.7.2.3).
        """
        if not self._asks:
            return None
        clients = [c for c in self._clients.get(peer, {}).values() if c.priority >= 0]
        clients.sort(key=lambda client: (-client.priority, _RANK[client.show]))
        for client in clients:
            if await self._speaks_tls(client) and self.is_there(client.jid):
                return client.jid
        return None

    async def _speaks_tls(self, client: PeerClient) -> bool:
        stream = self._stream
        if stream is None:
            return False
        async with client.asking:
            if client.aes is None:
                try:
                    found = await stream.plugin_of("xep_0030").get_info(
                        jid=JID(client.jid), timeout=_ASK_WITHIN
                    )
                except XMPPError:
                    return False  # `aes` stays None, so the client is asked again next time
                client.aes = CLIENT_TLS in found["disco_info"]["features"]
        return bool(client.aes)

    def _subscribed(self, peer: str) -> bool:
        stream = self._stream
        return (
            stream is not None
            and peer in stream.client_roster
            and bool(stream.client_roster[peer]["to"])
        )

    def _wants_to_see_us(self, stanza: Any) -> None:
        stream, peer = self._stream, stanza["from"].bare
        if stream is None or not self._approves(peer):
            return
        stream.send_presence_subscription(pto=peer, ptype="subscribed")
        if not self._subscribed(peer):
            stream.send_presence_subscription(pto=peer, ptype="subscribe")

    def _approves(self, peer: str) -> bool:
        if self._approve is SubscriptionApproval.DOMAIN:
            return peer.partition("@")[2] == self._own.partition("@")[2]
        return self._approve is SubscriptionApproval.EVERYBODY

    def _presence(self, stanza: Any) -> None:
        jid = stanza["from"]
        if not jid.resource or stanza.get_plugin("muc", check=True) is not None:
            return
        clients = self._clients.setdefault(jid.bare, {})
        if stanza["type"] == "unavailable":
            self._left(jid.bare, jid.full)
        elif jid.full in clients or self._count < MOST_CLIENTS:
            self._count += jid.full not in clients
            known = clients.get(jid.full)
            client = PeerClient(jid.full, stanza["priority"], _show(stanza), stanza["status"])
            if known is not None and known.aes:
                client.aes = True
            clients[jid.full] = client
        if not clients:
            del self._clients[jid.bare]
        self._changed.set()
        if jid.bare != self._own:
            self.on_presence(self.presence(jid.bare))

    def _left(self, bare: str, full: str) -> None:
        if self._clients[bare].pop(full, None) is not None:
            self._count -= 1
            self.on_gone(full)


def _show(stanza: Any) -> Availability:
    try:
        return Availability(stanza["type"])
    except ValueError:
        return Availability.AVAILABLE
