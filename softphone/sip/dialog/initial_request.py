"""A request outside any dialog that may create one (RFC 3261 section 8.1.1)."""

from __future__ import annotations

from collections.abc import Iterable

from softphone.sip.dialog.dialog import leading_route
from softphone.sip.dialog.invitation import Invitation, ReferRequest, SubscribeRequest
from softphone.sip.message import Body, Field, Request
from softphone.sip.transaction import TransactionLayer

__all__ = ["complete_request", "initial_request"]


def initial_request(
    method: str,
    said: Invitation | SubscribeRequest | ReferRequest,
    *,
    layer: TransactionLayer,
    headers: Iterable[Field] = (),
    body: Body | None = None,
) -> Request:
    """The request that `said` describes, without Via.  Raises LocalProtocolError."""
    uri, routes = leading_route(said.uri, said.route_set)
    call_id, hops = None, 70
    if isinstance(said, Invitation):
        call_id, hops = said.call_id, said.max_forwards
    fields: list[Field] = [
        ("Max-Forwards", str(hops)),
        ("From", str(said.local.with_tag(layer.new_tag()))),
        ("To", str(said.remote.without_parameter("tag"))),
        ("Call-ID", call_id or layer.new_call_id()),
        ("CSeq", f"{layer.new_sequence()} {method}"),
    ]
    fields += [("Route", str(route)) for route in routes]
    if said.contact is not None:
        fields.append(("Contact", str(said.contact)))
    fields += headers
    if layer.config.user_agent:
        fields.append(("User-Agent", layer.config.user_agent))
    fields += said.headers
    return Request.build(method, uri, fields, body)


def complete_request(request: Request, layer: TransactionLayer) -> Request:
    """The request with From tag, Call-ID, CSeq, Max-Forwards and User-Agent where it has none."""
    headers = request.headers.without("Via")
    if request.from_.tag is None:
        headers = headers.with_replaced("From", str(request.from_.with_tag(layer.new_tag())))
    if "Call-ID" not in headers:
        headers = headers.with_added("Call-ID", layer.new_call_id())
    if "CSeq" not in headers:
        headers = headers.with_added("CSeq", f"{layer.new_sequence()} {request.method}")
    if "Max-Forwards" not in headers:
        headers = headers.with_added("Max-Forwards", "70")
    if "User-Agent" not in headers and layer.config.user_agent:
        headers = headers.with_added("User-Agent", layer.config.user_agent)
    return request.with_headers(headers)
