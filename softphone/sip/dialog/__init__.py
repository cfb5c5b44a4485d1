"""Dialogs, the requests that create them, and the table that finds their usages.

A dialog holds its identity, sequence numbers, remote target and route set, sends requests through
`softphone.sip.transaction` and checks the CSeq order of received ones.  The usages of a dialog are
in `softphone.sip.invite` and `softphone.sip.subscription`.

RFC 3261 section 12 (dialogs), section 8.1.1 (initial requests) and section 12.2.2 (matching);
the header fields of RFC 3891 (Replaces) and RFC 4028 (Session-Expires) in an initial request.
"""

from __future__ import annotations

from softphone.sip.dialog.dialog import Dialog, leading_route
from softphone.sip.dialog.initial_request import (
    InviteRequest,
    MessageRequest,
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
    "MessageRequest",
    "ReferRequest",
    "SubscribeRequest",
    "complete_request",
    "initial_request",
    "leading_route",
]
