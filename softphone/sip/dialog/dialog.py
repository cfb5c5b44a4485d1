"""Dialogs: identity, sequence numbers, remote target and route set (RFC 3261 section 12).

A Dialog builds and sends requests, checks the CSeq order of received ones, and decides which flows
may carry its messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Target
from softphone.sip.auth import Authenticator
from softphone.sip.message import (
    Body,
    CSeq,
    Field,
    NameAddr,
    Request,
    Response,
    SessionId,
    SipUri,
    Uri,
    find_parameter,
)
from softphone.sip.transaction import Exchange, ExchangeUser, TransactionLayer
from softphone.sip.transport import (
    comes_from_host,
    flow_is_allowed,
    hosts_of_uris,
    leads_to_same_peer,
    same_host,
)

DialogId = tuple[str, str, str]
"""Call-ID, local tag, remote tag (RFC 3261 section 12)."""

MAXIMUM_HOSTS = 32
"""The most hosts that one dialog remembers as sources of its messages; the first ones count."""


def leading_route(target: Uri, route_set: Iterable[NameAddr]) -> tuple[Uri, tuple[NameAddr, ...]]:
    """Return Request-URI and Route values for a target (RFC 3261 section 12.2.1.1).

    A first hop without `lr` is a strict router: its URI becomes the Request-URI and the target the
    last Route, both without URI components that are not allowed there.
    """
    target, routes = without_instructions(target), tuple(route_set)
    if not routes:
        return target, ()
    first = routes[0].uri
    if not isinstance(first, SipUri) or first.parameter("lr") is not None:
        return target, routes
    return without_instructions(first), (*routes[1:], NameAddr(None, target))


def without_instructions(uri: Uri) -> Uri:
    """Return `uri` without its headers and method parameter.

    They are not allowed in Request-URI, To or Route (RFC 3261 section 19.1.1, table 1).
    """
    if not isinstance(uri, SipUri):
        return uri
    if uri.parameters and find_parameter(uri.parameters, "method") is not None:
        uri = uri.without_parameter("method")
    return replace(uri, headers=()) if uri.headers else uri


class Dialog:
    """One dialog, early or confirmed.

    `to` is where its requests go: the flow that the dialog is bound to, or a target to connect to.
    `local` and `remote` are the From and To values of our requests, with tags.  `hosts` are the
    first `MAXIMUM_HOSTS` hosts that its messages came from, those of the initial exchange included.
    """

    __slots__ = (
        "_addresses",
        "_leading",
        "call_id",
        "hosts",
        "id",
        "local",
        "local_sequence",
        "remote",
        "remote_allow",
        "remote_sequence",
        "remote_supported",
        "remote_target",
        "route_set",
        "secure",
        "session_id",
        "stranger_reported",
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
        hosts: Iterable[str] = (),
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self._addresses: tuple[Field, ...] = ()
        """From and To of our requests, formatted for the first one and kept."""
        self._leading: tuple[Uri, tuple[Field, ...]] | None = None
        """Request-URI and Route fields of our requests, kept while the target stays."""
        self.id: DialogId = (call_id, local.tag or "", remote.tag or "")
        """Call-ID, local tag and remote tag: the key in the `DialogTable`."""
        self.remote_target = remote_target
        self.route_set = route_set
        self.to = to
        self.hosts = tuple(dict.fromkeys(hosts))[:MAXIMUM_HOSTS]
        self.stranger_reported = False
        """Whether a message of a stranger was reported; each dialog reports one only."""
        self.local_sequence: int | None = None
        self.remote_sequence: int | None = None
        self.secure = False
        self.session_id: SessionId | None = None
        """The Session-ID of our requests (RFC 7989); None sends none."""
        self.remote_allow: tuple[str, ...] = ()
        self.remote_supported: tuple[str, ...] = ()

    @classmethod
    def from_response(
        cls,
        request: Request,
        response: Response,
        *,
        to: Flow | Target,
        hosts: Iterable[str] = (),
    ) -> Dialog:
        """Create the UAC's dialog from a 1xx or 2xx response (RFC 3261 section 12.1.2).

        `hosts` are the host that the response came from and those that the request may have gone
        to.  The remote target is the Contact, or the Request-URI for an RFC 2543 peer without one.
        """
        dialog = cls(
            call_id=request.call_id,
            local=request.from_,
            remote=response.to,
            remote_target=_contact_uri(response) or request.uri,
            route_set=tuple(reversed(response.record_routes)),
            to=to,
            hosts=hosts,
        )
        dialog.local_sequence = request.cseq.number
        dialog.secure = _secure(request.uri)
        dialog.note_capabilities(response)
        return dialog

    @classmethod
    def from_request(cls, request: Request, *, to_tag: str, to: Flow | Target) -> Dialog:
        """Create the UAS's dialog from the request that establishes it (RFC 3261 12.1.1)."""
        dialog = cls(
            call_id=request.call_id,
            local=request.to.with_tag(to_tag),
            remote=request.from_,
            remote_target=_contact_uri(request) or request.from_.uri,
            route_set=request.record_routes,
            to=to,
            hosts=[via.source for via in request.vias],
        )
        dialog.remote_sequence = request.cseq.number
        dialog.secure = _secure(request.uri)
        dialog.note_capabilities(request)
        return dialog

    def take_sequence(self) -> int:
        """Take the next CSeq number for a request of ours."""
        if self.local_sequence is None:
            # A UAS has no local number until it sends; any below 2^31 is a valid start (12.1.1).
            self.local_sequence = 0
        self.local_sequence += 1
        return self.local_sequence

    def accept_sequence(self, request: Request) -> bool:
        """Note a request's CSeq; False if it is out of order (answer 500, RFC 3261 12.2.2)."""
        number = request.cseq.number
        if self.remote_sequence is not None and number <= self.remote_sequence:
            return False
        self.remote_sequence = number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """Set the remote target from a target refresh request or its 2xx (RFC 3261 12.2)."""
        self.remote_target = _contact_uri(message) or self.remote_target
        self._leading = None
        self.note_capabilities(message)

    def follow_remote(self, uri: Uri) -> None:
        """Take another URI of the far end, for To in our requests (RFC 4916); the tag stays."""
        if not uri.equivalent(self.remote.uri):
            self.remote = NameAddr(None, uri).with_tag(self.remote.tag or "")
            self._addresses = ()

    def note_capabilities(self, message: Request | Response) -> None:
        """Note the far end's Allow and Supported, where the message has them."""
        fields = message.headers.by_key()
        if "allow" in fields:
            self.remote_allow = message.allow
        if "supported" in fields:
            self.remote_supported = message.supported

    def confirm_by_response(self, response: Response) -> None:
        """Set route set and remote target from the 2xx that confirms it (RFC 3261 13.2.2.4)."""
        self.route_set = tuple(reversed(response.record_routes))
        self.refresh_target(response)

    @property
    def verified(self) -> bool:
        """Whether a certificate authenticated the far end of the dialog's flow."""
        return isinstance(self.to, Flow) and self.to.identity is not None

    def may_speak(self, flow: Flow) -> bool:
        """Whether a message on `flow` may belong to this dialog.

        If the dialog's flow has a verified certificate, the identity of `flow` decides.  Otherwise
        its host must be that of the dialog's flow, one that earlier messages came from, or an IP
        address in the remote target or route set.  Host names there do not count: they were not
        resolved.  A dialog over TLS accepts no message on another transport.
        """
        if flow is self.to:
            return True
        if not flow_is_allowed(self.to, flow, hosts=self._known_hosts()):
            return False
        return self.verified or comes_from_host(self.to, flow, hosts=self._known_hosts())

    def _known_hosts(self) -> Iterable[str]:
        yield from self.hosts
        yield from hosts_of_uris((self.remote_target, *(route.uri for route in self.route_set)))

    def note_source(self, flow: Flow) -> None:
        """Remember the host of `flow`, on which a message of the dialog came."""
        host = flow.remote[0]
        if host not in self.hosts and len(self.hosts) < MAXIMUM_HOSTS:
            self.hosts = (*self.hosts, host)

    def is_peer(self, flow: Flow) -> bool:
        """Whether `flow` leads to the far end of this dialog, or to the proxy next to us.

        Without a verified certificate the address decides: that of the dialog's flow or, with an
        empty route set, that of the Contact.
        """
        if leads_to_same_peer(self.to, flow):
            return True
        target = self.remote_target
        if self.verified or self.route_set or not isinstance(target, SipUri):
            return False
        return same_host(target.host, flow.remote[0])

    def build_request(
        self,
        method: str,
        *,
        headers: Iterable[Field] = (),
        body: Body | None = None,
        sequence: int | None = None,
    ) -> Request:
        """Build a request within the dialog, without Via (RFC 3261 section 12.2.1.1).

        `sequence` is the CSeq number of the INVITE, for its ACK and CANCEL: without it they raise
        LocalProtocolError.  Other requests take the next number.
        """
        if method in ("ACK", "CANCEL") and sequence is None:
            raise LocalProtocolError(f"{method} has the CSeq number of its INVITE")
        if self._leading is None:
            uri, routes = leading_route(self.remote_target, self.route_set)
            self._leading = uri, tuple([("Route", str(route)) for route in routes])
        uri, route_fields = self._leading
        number = sequence if sequence is not None else self.take_sequence()
        if not self._addresses:
            self._addresses = (("From", str(self.local)), ("To", str(self.remote)))
        fields: list[Field] = [
            ("Max-Forwards", "70"),
            *self._addresses,
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
            *route_fields,
            *headers,
        ]
        if self.session_id is not None:
            fields.append(("Session-ID", str(self.session_id)))
        values = {
            "from_": self.local,
            "to": self.remote,
            "call_id": self.call_id,
            "cseq": CSeq(number, method),
        }
        return Request.build(method, uri, fields, body, values=values)

    def send_request(
        self,
        method: str,
        *,
        layer: TransactionLayer,
        user: ExchangeUser,
        credentials: Authenticator | None = None,
        headers: Iterable[Field] = (),
        body: Body | None = None,
        now: float,
    ) -> Exchange:
        """Send a request other than INVITE within the dialog; `user` gets the result."""
        exchange = Exchange(
            self.build_request(method, headers=headers, body=body),
            to=self.to,
            layer=layer,
            user=user,
            credentials=credentials,
            take_sequence=self.take_sequence,
        )
        exchange.send_request(now=now)
        return exchange


def _contact_uri(message: Request | Response) -> SipUri | None:
    """Return the SIP URI of the first Contact; other URIs are no targets (RFC 3261 8.1.1.8)."""
    uri = message.contacts[0].uri if message.contacts else None
    return uri if isinstance(uri, SipUri) else None


def _secure(uri: Uri) -> bool:
    return isinstance(uri, SipUri) and uri.secure
