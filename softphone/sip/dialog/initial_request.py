"""Initial requests: outside any dialog, and able to create one (RFC 3261 section 8.1.1).

The application describes an INVITE, SUBSCRIBE, REFER or MESSAGE; `initial_request` builds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from softphone.fast_dataclass import fast_init
from softphone.sans_io import Flow, Target
from softphone.sip.auth import Authenticator
from softphone.sip.dialog.dialog import leading_route, without_instructions
from softphone.sip.message import Body, CSeq, Field, NameAddr, Request, Uri
from softphone.sip.transaction import TransactionLayer
from softphone.sip.transport import Failover


@dataclass(frozen=True, slots=True, kw_only=True)
class _InitialRequest:
    """The common fields of the descriptions.

    `uri` is the Request-URI, `to` the first hop.  `contact` None: made from the flow.  `failover`
    has further targets, for when `to` does not serve the request (503, no answer, no connection:
    RFC 3263 section 4.3).
    """

    uri: Uri
    local: NameAddr
    remote: NameAddr
    to: Flow | Target
    contact: NameAddr | None = None
    body: Body | None = None
    route_set: tuple[NameAddr, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    credentials: Authenticator | None = None
    failover: Failover | None = None


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class InviteRequest(_InitialRequest):
    """The description of an INVITE.

    `body` None is a delayed offer.  `reliable` puts 100rel into Supported,
    `require_reliable` into Require.  `session_timer` is the session interval to ask for in seconds
    (RFC 4028), None for none.  `replaces` is a Replaces value (RFC 3891), `call_id` None a new
    Call-ID.  `max_forwards` is lower for a call that is passed on (RFC 7332).
    """

    reliable: bool = True
    require_reliable: bool = False
    session_timer: float | None = 1800.0
    replaces: str | None = None
    call_id: str | None = None
    max_forwards: int = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest(_InitialRequest):
    """The description of a SUBSCRIBE; `expires` in seconds, `accept` media types."""

    event: str
    expires: float = 3600.0
    accept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferRequest(_InitialRequest):
    """The description of a REFER; `subscribe` False asks for no subscription (RFC 4488)."""

    refer_to: NameAddr
    referred_by: NameAddr | None = None
    subscribe: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRequest(_InitialRequest):
    """The description of a MESSAGE outside any dialog (RFC 3428), which has no Contact."""


def initial_request(
    method: str,
    description: InviteRequest | SubscribeRequest | ReferRequest | MessageRequest,
    *,
    layer: TransactionLayer,
    headers: Iterable[Field] = (),
    body: Body | None = None,
) -> Request:
    """Build the request of `description`, without Via.  Raises LocalProtocolError."""
    uri, routes = leading_route(description.uri, description.route_set)
    remote = description.remote
    to = NameAddr(remote.display_name, without_instructions(remote.uri), remote.parameters)
    if to.parameters:
        to = to.without_parameter("tag")
    local = description.local.with_tag(layer.new_tag())
    call_id, hops = None, 70
    if isinstance(description, InviteRequest):
        call_id, hops = description.call_id, description.max_forwards
    call_id = call_id or layer.new_call_id()
    number = layer.new_sequence()
    fields: list[Field] = [
        ("Max-Forwards", str(hops)),
        ("From", str(local)),
        ("To", str(to)),
        ("Call-ID", call_id),
        ("CSeq", f"{number} {method}"),
    ]
    fields += [("Route", str(route)) for route in routes]
    if description.contact is not None:
        fields.append(("Contact", str(description.contact)))
    fields += headers
    if layer.config.user_agent:
        fields.append(("User-Agent", layer.config.user_agent))
    fields += description.headers
    values = {"from_": local, "to": to, "call_id": call_id, "cseq": CSeq(number, method)}
    return Request.build(method, uri, fields, body, values=values)


def complete_request(request: Request, layer: TransactionLayer) -> Request:
    """Remove Via and add From tag, Call-ID, CSeq, Max-Forwards and User-Agent if missing."""
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
