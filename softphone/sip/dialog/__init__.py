"""Dialogs, the requests that create them, and the table that finds their usages.

A dialog keeps identity, sequence numbers, remote target and route set, sends requests by
`softphone.sip.transaction` and judges the order of those received.  It does not know what the
dialog is used for: that is in `softphone.sip.invite` and `softphone.sip.subscription`.

RFC 3261 section 12 (dialogs), section 8.1.1 (initial requests) and section 12.2.2 (matching);
RFC 3891 (Replaces) and RFC 4028 (Session-Expires) as far as a request carries them.
"""

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
