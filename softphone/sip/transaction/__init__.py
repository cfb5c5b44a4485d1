"""Client and server transactions as tables, and the layer that matches messages to them.

The layer also gives out branches, tags and Call-IDs and holds the endpoint's timers and events;
exchanges add challenges, other servers and renewed credentials.  It knows no dialog
(`softphone.sip.dialog`), does not compute digests (`softphone.sip.auth`), and leaves the ACK for a
2xx to `softphone.sip.invite`, flows to `softphone.sip.transport`.

RFC 3261 sections 17 (transactions) and 8.1 and 8.2 (exchanges), RFC 6026 (INVITE and its 2xx),
RFC 3263 section 4.3 (the next server), RFC 3581 (rport), RFC 6750 section 3.1 (a refused token,
once).
"""

from __future__ import annotations

from softphone.sip.transaction.client import NULL_USER, ClientTransaction, for_another_flow
from softphone.sip.transaction.exchange import (
    NO_FAILOVER,
    CredentialWait,
    Exchange,
    ExchangeUser,
    RequestFailover,
    ServerExchange,
    authorized,
)
from softphone.sip.transaction.layer import TransactionLayer
from softphone.sip.transaction.server import ServerTransaction, mark_rejection
from softphone.sip.transaction.tables import TimerKey

__all__ = [
    "NO_FAILOVER",
    "NULL_USER",
    "ClientTransaction",
    "CredentialWait",
    "Exchange",
    "ExchangeUser",
    "RequestFailover",
    "ServerExchange",
    "ServerTransaction",
    "TimerKey",
    "TransactionLayer",
    "authorized",
    "for_another_flow",
    "mark_rejection",
]
