"""softphone.sip.invite."""

from __future__ import annotations

from softphone.sip.invite.bye import ByeSender
from softphone.sip.invite.client import InviteClient
from softphone.sip.invite.dispatch import InviteDispatch
from softphone.sip.invite.server import InviteServer
from softphone.sip.invite.usage import InviteUsage

__all__ = ["ByeSender", "InviteClient", "InviteDispatch", "InviteServer", "InviteUsage"]
