"""Who may send a call of ours elsewhere, or put another in its place (RFC 3515, RFC 3891).

Whoever knows the tags of a dialog can write a REFER or an INVITE with Replaces.  It counts only
when it comes from the account's own server or from the far end of that dialog, and only as an event
that the application answers.
"""

from __future__ import annotations

from collections.abc import Callable

from softphone.sans_io import Flow
from softphone.security import SecurityShortfall, Shortfall, ShortfallCode
from softphone.sip import InviteReceived, InviteUsage, SipUri

__all__ = ["check_replacement", "may_direct"]


def may_direct(usage: InviteUsage, flow: Flow, *, own_server: Callable[[Flow], bool]) -> bool:
    """Whether what comes on `flow` may decide where the call of `usage` goes."""
    dialog = usage.dialog
    return own_server(flow) or (dialog is not None and dialog.is_peer(flow))


def check_replacement(
    invite: InviteReceived[InviteUsage], *, own_server: Callable[[Flow], bool]
) -> None:
    """Raise SecurityShortfall unless an INVITE may replace the call that its Replaces names.

    A call of sips URIs is replaced by such a call only (RFC 3891 section 8); how secure the
    connections are is for the policy that the new call inherits to say.
    """
    replaced = invite.replaces
    if replaced is None:
        return
    if not may_direct(replaced, invite.flow, own_server=own_server):
        why = "a call of ours is replaced by its far end and by our server only"
        raise SecurityShortfall((Shortfall(ShortfallCode.NOT_AUTHORIZED, why),))
    target = invite.request.uri
    secure = isinstance(target, SipUri) and target.secure
    if replaced.dialog is not None and replaced.dialog.secure and not secure:
        why = "a call to a sips URI is replaced by one to a sips URI only"
        raise SecurityShortfall((Shortfall(ShortfallCode.SIGNALING_CLEAR, why),))
