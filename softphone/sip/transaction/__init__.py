"""The SIP transaction layer: client and server transactions as state tables, and exchanges.

`TransactionLayer` matches messages to transactions, generates branches, tags and Call-IDs, and
holds the timers and events of its endpoint.  `Exchange` adds authentication, failover to other
servers and renewed credentials.  Dialogs are in `softphone.sip.dialog`, digests in
`softphone.sip.auth`, the ACK for a 2xx in `softphone.sip.invite`, flows in
`softphone.sip.transport`.

RFC 3261 sections 17 (transactions) and 8.1 and 8.2 (exchanges), RFC 6026 (INVITE and its 2xx),
RFC 3263 section 4.3 (failover), RFC 3581 (rport), RFC 6750 section 3.1 (one retry after a refused
token).
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
