"""The INVITE usage of a dialog: the signaling of one call, for caller and callee.

Handles forks, CANCEL, PRACK, re-INVITE, UPDATE, session timers, retransmitted 2xx responses and
BYE.  Carries session descriptions without parsing them: `softphone.sdp` does that, and
`softphone.call` handles media and policy.  Passes REFER, SUBSCRIBE and NOTIFY in the dialog to
`softphone.sip.subscription`.

RFC 3261 sections 9 and 13 to 15, RFC 3262 (reliable provisional responses), RFC 3264 and RFC 6337
(offer/answer state), RFC 3311 (UPDATE), RFC 4028 (session timers); RFC 3428 and RFC 6086 (MESSAGE
and INFO in the dialog).
"""

from __future__ import annotations

from softphone.sip.invite.bye import ByeSender
from softphone.sip.invite.client import InviteClient
from softphone.sip.invite.invite_dialog import InviteState
from softphone.sip.invite.server import InviteServer
from softphone.sip.invite.usage import InviteUsage

__all__ = ["ByeSender", "InviteClient", "InviteServer", "InviteState", "InviteUsage"]
