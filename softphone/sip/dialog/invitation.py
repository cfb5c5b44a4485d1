"""What the application says of a dialog-forming request of ours: INVITE, SUBSCRIBE or REFER."""

from __future__ import annotations

from dataclasses import dataclass

from softphone.fast_dataclass import quick
from softphone.sans_io import Flow, Target
from softphone.sip.auth import Authenticator
from softphone.sip.message import Body, NameAddr, Uri
from softphone.sip.transport import Failover

__all__ = ["Invitation", "ReferRequest", "SubscribeRequest"]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What an INVITE is made of.

    `uri` is the Request-URI, `to` the place of the first hop.  `contact` None: made from the
    flow.  `reliable` puts 100rel into Supported (True) or Require ("required"); `session_timer`
    asks for RFC 4028 by its interval in seconds, None for none.  `replaces` is a Replaces value
    (RFC 3891).  `max_forwards` is lower for a call that is passed on (RFC 7332).  `body` None is
    a delayed offer.  `failover` has the places to go to where `to` does not serve the request
    (503, no answer, no connection: RFC 3263 section 4.3).
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
    reliable: bool = True
    require_reliable: bool = False
    session_timer: float | None = 1800.0
    replaces: str | None = None
    call_id: str | None = None
    max_forwards: int = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest:
    """What a SUBSCRIBE is made of; `expires` in seconds."""

    uri: Uri
    local: NameAddr
    remote: NameAddr
    to: Flow | Target
    event: str
    expires: float = 3600.0
    accept: tuple[str, ...] = ()
    contact: NameAddr | None = None
    route_set: tuple[NameAddr, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    credentials: Authenticator | None = None
    failover: Failover | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferRequest:
    """What a REFER outside any dialog is made of."""

    uri: Uri
    local: NameAddr
    remote: NameAddr
    to: Flow | Target
    refer_to: NameAddr
    referred_by: NameAddr | None = None
    subscribe: bool = True
    contact: NameAddr | None = None
    route_set: tuple[NameAddr, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    credentials: Authenticator | None = None
    failover: Failover | None = None
