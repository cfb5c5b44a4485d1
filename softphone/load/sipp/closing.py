"""The requests that end what a failed call has begun at the far end."""

from __future__ import annotations

from softphone.errors import LocalProtocolError
from softphone.sip.message import Field, Request, Response


def closing_request(invite: Request, answer: Response | None) -> bytes | None:
    """Return CANCEL after a provisional answer, BYE after a 2xx, ACK after another final one.

    None before any answer (RFC 3261 section 9.1), and when the INVITE is such that no request can
    follow from it.
    """
    if answer is None:
        return None
    try:
        if answer.success:
            return _in_dialog(invite, answer, "BYE", invite.cseq.number + 1)
        return _same_transaction(invite, answer, "ACK" if answer.final else "CANCEL")
    except LocalProtocolError:
        return None


def _same_transaction(invite: Request, answer: Response, method: str) -> bytes:
    """CANCEL, or ACK for a response but 2xx (RFC 3261 sections 9.1 and 17.1.1.3)."""
    to = answer.headers.get("To") if method == "ACK" else invite.headers.get("To")
    fields: list[Field] = [
        ("Via", str(invite.vias[0])),
        *(("Route", value) for value in invite.headers.get_all("Route")),
        ("From", invite.headers.get("From") or ""),
        ("To", to or ""),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{invite.cseq.number} {method}"),
        ("Max-Forwards", "70"),
    ]
    return Request.build(method, invite.uri, fields).encode()


def acknowledgement(invite: Request, answer: Response) -> bytes | None:
    """Return the ACK for a 2xx (RFC 3261 section 13.2.2.4); None if their fields cannot be sent."""
    try:
        return _in_dialog(invite, answer, "ACK", invite.cseq.number)
    except LocalProtocolError:
        return None


def _in_dialog(invite: Request, answer: Response, method: str, number: int) -> bytes:
    target = answer.contacts[0].uri if answer.contacts else invite.uri
    routes = [str(route) for route in answer.record_routes][::-1]
    via = invite.vias[0]
    branch = f"{via.branch or 'z9hG4bK'}-{method.lower()}"
    fields: list[Field] = [
        ("Via", f"{str(via).partition(';')[0]};branch={branch}"),
        *(("Route", value) for value in routes),
        ("From", invite.headers.get("From") or ""),
        ("To", answer.headers.get("To") or ""),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{number} {method}"),
        ("Max-Forwards", "70"),
    ]
    return Request.build(method, target, fields).encode()
