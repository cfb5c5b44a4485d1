"""softphone.sip.dialog."""

from __future__ import annotations

from softphone.sip.dialog.dialog import Dialog, leading_route
from softphone.sip.dialog.initial_request import (
    InviteRequest,
    ReferRequest,
    SubscribeRequest,
    complete_request,
    initial_request,
)
from softphone.sip.dialog.table import DialogOwner, DialogTable

__all__ = [
    "Dialog",
    "DialogOwner",
    "DialogTable",
    "InviteRequest",
    "ReferRequest",
    "SubscribeRequest",
    "complete_request",
    "initial_request",
    "leading_route",
]
