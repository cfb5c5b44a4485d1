"""softphone.sip.transaction."""

from __future__ import annotations

from softphone.sip.transaction.client import NULL_USER, ClientTransaction, for_another_flow
from softphone.sip.transaction.exchange import (
    NO_FAILOVER,
    CredentialWait,
    Exchange,
    RequestFailover,
    ServerExchange,
    authorized,
)
from softphone.sip.transaction.layer import SuccessAck, TransactionLayer
from softphone.sip.transaction.server import ServerTransaction
from softphone.sip.transaction.tables import TimerKey

__all__ = [
    "NO_FAILOVER",
    "NULL_USER",
    "ClientTransaction",
    "CredentialWait",
    "Exchange",
    "RequestFailover",
    "ServerExchange",
    "ServerTransaction",
    "SuccessAck",
    "TimerKey",
    "TransactionLayer",
    "authorized",
    "for_another_flow",
]
