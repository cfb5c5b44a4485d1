"""CANCEL of an INVITE, sent and received (RFC 3261 section 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softphone.errors import LocalProtocolError
from softphone.sip.events import InviteCanceled
from softphone.sip.invite.invite_dialog import HeaderFields
from softphone.sip.message import EndReason, Field, Request
from softphone.sip.transaction import NULL_USER

if TYPE_CHECKING:
    from softphone.sip.invite.client import InviteClient
    from softphone.sip.invite.server import InviteServer


def cancel_invite(client: InviteClient, *, now: float, headers: HeaderFields) -> None:
    """Cancel an INVITE of ours; CANCEL goes out after a provisional response (section 9.1).

    Raises LocalProtocolError once the INVITE is answered or canceled.
    """
    if client.over or client.canceling is not None:
        raise LocalProtocolError("the INVITE has been answered, or given up, already")
    client.canceling = headers
    if client.credential_wait.waiting:
        # The INVITE had its final response (a challenge): there is nothing to cancel.
        client.end_rejected(487, "Request Terminated", None, now=now)
    elif client.provisional:
        send_cancel(client, now=now)


def send_cancel(client: InviteClient, *, now: float) -> None:
    """Send the CANCEL once; the INVITE counts as canceled 64*T1 later at the latest."""
    transaction = client.transaction
    if client.cancel_sent or transaction is None:
        return
    client.cancel_sent = True
    request, layer = transaction.request, client.usage.layer
    headers = request.headers
    fields: list[Field] = [
        ("Max-Forwards", "70"),
        ("From", headers.get("From") or ""),
        ("To", headers.get("To") or ""),
        ("Call-ID", request.call_id),
        ("CSeq", f"{request.cseq.number} CANCEL"),
    ]
    fields += [("Route", value) for value in headers.get_all("Route")]
    fields += client.canceling or ()
    if client.usage.session_id is not None:
        fields.append(("Session-ID", str(client.usage.session_id)))
    layer.send_request(
        Request.build("CANCEL", request.uri, fields),
        to=transaction.flow or client.to,
        # Only the final response to the INVITE matters (section 9.1).
        user=NULL_USER,
        now=now,
        branch=transaction.branch,
    )
    layer.timers.set((client, "cancel"), now + layer.timing.timeout)


def invite_canceled(server: InviteServer, request: Request, *, now: float) -> None:
    """Handle a CANCEL: answer the INVITE 487, unless a final response was sent (section 9.2)."""
    if server.answered:
        return
    server.terminate(now=now)
    usage = server.usage
    usage.end_without_event(now=now)
    reason = EndReason.of(request.reasons)
    usage.emit_event(InviteCanceled(usage, reason.status, reason.text, reason.q850_cause))
