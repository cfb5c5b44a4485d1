"""Dialogs: identity, sequence numbers, remote target and route set (RFC 3261 section 12).

A Dialog builds requests and judges the order of those that come in; it sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Target
from softphone.sip.message import Body, Field, NameAddr, Request, Response, SipUri, Uri
from softphone.sip.transport import flow_is_allowed, leads_to_same_peer

__all__ = ["Dialog", "DialogId", "leading_route"]

DialogId = tuple[str, str, str]
"""Call-ID, local tag, remote tag (RFC 3261 section 12)."""


def leading_route(target: Uri, route_set: Iterable[NameAddr]) -> tuple[Uri, tuple[NameAddr, ...]]:
    """Request-URI and Route values for a target (RFC 3261 section 12.2.1.1).

    A first hop without `lr` is a strict router: its URI goes into the Request-URI, without the
    parameters that may not stand there, and the target to the end of Route.
    """
    routes = tuple(route_set)
    if not routes:
        return target, ()
    first = routes[0].uri
    if not isinstance(first, SipUri) or first.parameter("lr") is not None:
        return target, routes
    stripped = replace(first.without_parameter("method"), headers=())
    return stripped, (*routes[1:], NameAddr(None, target))


class Dialog:
    """One dialog, early or confirmed.

    `to` is where its requests go: the flow that it is bound to, or the target of that flow.
    `local` and `remote` are the From and To values of our requests, tags included.
    """

    __slots__ = (
        "call_id",
        "local",
        "local_sequence",
        "remote",
        "remote_allow",
        "remote_sequence",
        "remote_supported",
        "remote_target",
        "route_set",
        "secure",
        "to",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: NameAddr,
        remote: NameAddr,
        remote_target: Uri,
        route_set: tuple[NameAddr, ...],
        to: Flow | Target,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.remote_target = remote_target
        self.route_set = route_set
        self.to = to
        self.local_sequence: int | None = None
        self.remote_sequence: int | None = None
        self.secure = False
        self.remote_allow: tuple[str, ...] = ()
        self.remote_supported: tuple[str, ...] = ()

    @classmethod
    def from_response(cls, request: Request, response: Response, *, to: Flow | Target) -> Dialog:
        """The UAC's dialog from a 1xx or 2xx (RFC 3261 section 12.1.2); response fields rule.

        The remote target is that of the Contact, else (a peer of RFC 2543) the Request-URI.
        """
        dialog = cls(
            call_id=request.call_id,
            local=request.from_,
            remote=response.to,
            remote_target=_contact_uri(response) or request.uri,
            route_set=tuple(reversed(response.record_routes)),
            to=to,
        )
        dialog.local_sequence = request.cseq.number
        dialog.secure = _secure(request.uri)
        dialog.note_capabilities(response)
        return dialog

    @classmethod
    def from_request(cls, request: Request, *, to_tag: str, to: Flow | Target) -> Dialog:
        """The UAS's dialog from the request that creates it (RFC 3261 section 12.1.1)."""
        dialog = cls(
            call_id=request.call_id,
            local=request.to.with_tag(to_tag),
            remote=request.from_,
            remote_target=_contact_uri(request) or request.from_.uri,
            route_set=request.record_routes,
            to=to,
        )
        dialog.remote_sequence = request.cseq.number
        dialog.secure = _secure(request.uri)
        dialog.note_capabilities(request)
        return dialog

    @property
    def id(self) -> DialogId:
        """What the dialog is found by."""
        return (self.call_id, self.local.tag or "", self.remote.tag or "")

    def take_sequence(self) -> int:
        """The next CSeq number of ours."""
        if self.local_sequence is None:
            # A UAS has no number until it sends; any start below 2^31 will do (12.1.1).
            self.local_sequence = 0
        self.local_sequence += 1
        return self.local_sequence

    def accept_sequence(self, request: Request) -> bool:
        """Take a request's CSeq; False when it is out of order (RFC 3261 section 12.2.2: 500)."""
        number = request.cseq.number
        if self.remote_sequence is not None and number <= self.remote_sequence:
            return False
        self.remote_sequence = number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Take the remote target from a target refresh request or its 2xx (RFC 3261 12.2)."""
        self.remote_target = _contact_uri(message) or self.remote_target
        self.note_capabilities(message)

    def note_capabilities(self, message: Request | Response) -> None:
        """Take note of what the far end can do."""
        if "Allow" in message.headers:
            self.remote_allow = message.allow
        if "Supported" in message.headers:
            self.remote_supported = message.supported

    def confirm_by_response(self, response: Response) -> None:
        """Make an early dialog of the UAC a confirmed one: the 2xx rules (RFC 3261 13.2.2.4)."""
        self.route_set = tuple(reversed(response.record_routes))
        self.refresh_target(response)

    def is_peer(self, flow: Flow) -> bool:
        """Whether `flow` leads to the far end of this dialog, or to its proxy that is next to us.

        In clear nobody proves anything: the far end is at the address of the dialog's flow or,
        where no proxy is on the way, at that of its Contact.
        """
        if leads_to_same_peer(self.to, flow):
            return True
        return not (self._verified or self.route_set) and _at(self.remote_target, flow)

    def may_speak(self, flow: Flow) -> bool:
        """Whether what comes on `flow` may change what there is in this dialog.

        Under TLS a certificate says so.  In clear it is whoever is at an address that the dialog
        names, in its Contact or its routes; one that is named by a host name may be anywhere.
        """
        if not flow_is_allowed(self.to, flow):
            return False
        if self._verified or leads_to_same_peer(self.to, flow):
            return True
        places = [self.remote_target, *(route.uri for route in self.route_set)]
        return any(_at(place, flow) or not _is_address(place) for place in places)

    @property
    def _verified(self) -> bool:
        return isinstance(self.to, Flow) and self.to.identity is not None

    def build_request(
        self,
        method: str,
        *,
        headers: Iterable[Field] = (),
        body: Body | None = None,
        sequence: int | None = None,
    ) -> Request:
        """A request within the dialog, without Via (RFC 3261 section 12.2.1.1).

        `sequence` is given for ACK and CANCEL only, which have their INVITE's.
        """
        if method in ("ACK", "CANCEL") and sequence is None:
            raise LocalProtocolError(f"{method} has the CSeq number of its INVITE")
        uri, routes = leading_route(self.remote_target, self.route_set)
        number = sequence if sequence is not None else self.take_sequence()
        fields: list[Field] = [
            ("Max-Forwards", "70"),
            ("From", str(self.local)),
            ("To", str(self.remote)),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
        ]
        fields += [("Route", str(route)) for route in routes]
        fields += headers
        return Request.build(method, uri, fields, body)


def _contact_uri(message: Request | Response) -> SipUri | None:
    """The SIP URI of a Contact; another one is no target of requests (RFC 3261 8.1.1.8)."""
    uri = message.contacts[0].uri if message.contacts else None
    return uri if isinstance(uri, SipUri) else None


def _at(uri: Uri, flow: Flow) -> bool:
    """Whether the host of `uri` is the address that `flow` comes from."""
    return isinstance(uri, SipUri) and uri.host.strip("[]") == flow.remote[0]


def _is_address(uri: Uri) -> bool:
    try:
        ip_address(uri.host.strip("[]") if isinstance(uri, SipUri) else "")
    except ValueError:
        return False
    return True


def _secure(uri: Uri) -> bool:
    return isinstance(uri, SipUri) and uri.secure
