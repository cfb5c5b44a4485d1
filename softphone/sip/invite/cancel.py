"""CANCEL of an INVITE, ours and the far end's (RFC 3261 section 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softphone.errors import LocalProtocolError
from softphone.sip.events import InviteCanceled
from softphone.sip.invite.invite_dialog import HeaderFields
from softphone.sip.message import Field, Request
from softphone.sip.transaction import NULL_USER

if TYPE_CHECKING:
    from softphone.sip.invite.client import InviteClient
    from softphone.sip.invite.server import InviteServer


def cancel_invite(client: InviteClient, *, now: float, headers: HeaderFields) -> None:
    """Give an INVITE of ours up: CANCEL, once a provisional response is there (section 9.1)."""
    if client.over or client.canceling is not None:
        raise LocalProtocolError("the INVITE has been answered, or given up, already")
    client.canceling = headers
    if client.credential_wait.waiting:
        # It has been answered: there is nothing to cancel, only nothing to send again.
        client.end_rejected(487, "Request Terminated", None, now=now)
    elif client.provisional:
        send_cancel(client, now=now)


def send_cancel(client: InviteClient, *, now: float) -> None:
    """Send the CANCEL of an INVITE that is given up, once; 64*T1 later it counts as canceled."""
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
    layer.send_request(
        Request.build("CANCEL", request.uri, fields),
        to=transaction.flow or client.to,
        # Its INVITE's final response tells all (section 9.1).
        user=NULL_USER,
        now=now,
        branch=transaction.branch,
    )
    layer.timers.set((client, "cancel"), now + layer.timing.timeout)


def invite_canceled(server: InviteServer, request: Request, *, now: float) -> None:
    """Take a CANCEL of the far end: 487 unless it crosses our final response (section 9.2)."""
    if server.answered:
        return
    server.terminate(now=now)
    usage = server.usage
    usage.end_without_event(now=now)
    reason = next(iter(request.reasons), None)
    status = reason.cause or 0 if reason is not None else 0
    usage.emit_event(InviteCanceled(usage, status, reason.text if reason is not None else ""))
