"""softphone.sip.transaction."""

from __future__ import annotations

from softphone.sip.transaction.client import NOBODY, ClientTransaction, for_another_flow
from softphone.sip.transaction.exchange import (
    STRAIGHT,
    Detour,
    Exchange,
    Renewal,
    ServerExchange,
    authorized,
)
from softphone.sip.transaction.layer import Acknowledgment, TransactionLayer
from softphone.sip.transaction.server import ServerTransaction
from softphone.sip.transaction.tables import TimerKey

__all__ = [
    "NOBODY",
    "STRAIGHT",
    "Acknowledgment",
    "ClientTransaction",
    "Detour",
    "Exchange",
    "Renewal",
    "ServerExchange",
    "ServerTransaction",
    "TimerKey",
    "TransactionLayer",
    "authorized",
    "for_another_flow",
]
