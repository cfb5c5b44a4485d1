"""The SIP side of the lab's edge: a record-routing proxy between phones and the lab's registrar.

Without I/O.  Each connection of a phone has a connection of its own to the registrar, so that what
comes from there finds the phone.  Like Expressway it demands the Route that `get_edge_config` told,
in requests outside dialogs, and puts itself into the route twice: as Expressway-E, which phones
reach (E), and as Expressway-C, which stands inside (C).  RFC 3261 sections 16.6, 16.7 and 16.11 (a
stateless proxy).
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from softphone.errors import LocalProtocolError, SoftphoneError
from softphone.lab.edge.relay import CallRelay, NotEncrypted
from softphone.sans_io import Flow, Target, Transmit
from softphone.sip import MalformedMessage, NameAddr, Request, Response, SipUri
from softphone.sip.message import Body, CrlfKeepAlive, ParsedInput, ParseFailure, StreamFramer

logger = logging.getLogger("softphone.lab")

_RECORDED = frozenset({"INVITE", "SUBSCRIBE", "NOTIFY", "REFER"})
_SDP = "application/sdp"
_MOST_CALLS = 256
_MOST_OFFERS = 32


@dataclass(frozen=True, slots=True)
class ProxyRefusal:
    """A request that the proxy has answered itself, with this status."""

    method: str
    status: int


class EdgeProxy:
    """Implements `softphone.sans_io.Machine[ProxyRefusal]`.

    `registrar` is the target of connections inside; `route` is demanded of phones, "" demands
    none.  `make_relay` makes the relay of a new call.  `edge` is our own URI in Record-Route.
    """

    def __init__(self, registrar: Target, route: str, make_relay: Callable[[], CallRelay]) -> None:
        self._registrar = registrar
        self._route = route
        self.edge = SipUri.parse("sip:edge.invalid:5061")
        self._make_relay = make_relay
        self._framers: dict[int, StreamFramer] = {}
        self._inside_of: dict[int, Target] = {}
        self._phone_of: dict[Target, Flow] = {}
        self._flows: dict[Target, Flow] = {}
        self._outgoing: list[Transmit] = []
        self._events: deque[ProxyRefusal] = deque()
        self.relays: OrderedDict[str, CallRelay] = OrderedDict()
        """The relays of the calls, by Call-ID."""
        self.methods: list[str] = []
        """The methods of requests from phones that were passed on."""
        self._offers: OrderedDict[object, bool] = OrderedDict()

    # The machine

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Note a phone's connection, or ours to the registrar."""
        self._framers[flow.id] = StreamFramer()
        if target is None:
            inside = replace(self._registrar, credential=f"phone {flow.id}")
            self._inside_of[flow.id], self._phone_of[inside] = inside, flow
        else:
            self._flows[target] = flow

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Close the other side of a connection that has ended."""
        if isinstance(flow, Target):
            self._close(self._phone_of.pop(flow, None))
            return
        self._framers.pop(flow.id, None)
        inside = self._inside_of.pop(flow.id, None)
        if inside is not None:
            self._phone_of.pop(inside, None)
            self._close(self._flows.pop(inside, None))
            return
        lost = next((each for each, known in self._flows.items() if known == flow), None)
        if lost is not None:
            del self._flows[lost]
            self._close(self._phone_of.pop(lost, None))

    def _close(self, flow: Flow | None) -> None:
        if flow is not None:
            self._outgoing.append(Transmit(b"", flow, close=True))

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Pass on what has come, message by message."""
        framer = self._framers.get(flow.id)
        for item in () if framer is None else framer.feed(data):
            try:
                self._pass_on(item, flow)
            except (MalformedMessage, LocalProtocolError, SoftphoneError) as error:
                logger.info("the edge drops a message: %s", error)

    def handle_timer(self, *, now: float) -> None:
        """Do nothing: there are no timers."""

    def next_timer(self) -> float | None:
        """Return None: there are no timers."""
        return None

    def transmits(self) -> list[Transmit]:
        """Remove and return what is to be sent."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def next_event(self) -> ProxyRefusal | None:
        """Remove and return the next event, or None."""
        return self._events.popleft() if self._events else None

    def close(self) -> None:
        """End every relay."""
        for each in self.relays.values():
            each.close()
        self.relays.clear()

    # Messages

    def _pass_on(self, item: ParsedInput, flow: Flow) -> None:
        if item is CrlfKeepAlive.PING:
            self._outgoing.append(Transmit(b"\r\n", flow))
        elif isinstance(item, ParseFailure) and item.fatal:
            self._close(flow)
        inside = self._inside_of.get(flow.id)
        if isinstance(item, Request):
            if inside is not None:
                self._from_phone(item, flow, inside)
            else:
                self._to_phone(item, flow)
        elif isinstance(item, Response):
            to = self._other_side(flow)
            if to is not None:
                self._outgoing.append(Transmit(self._answered(item, inside is not None), to))

    def _other_side(self, flow: Flow) -> Flow | Target | None:
        inside = self._inside_of.get(flow.id)
        if inside is not None:
            return self._flows.get(inside, inside)
        return next((self._phone_of.get(t) for t, f in self._flows.items() if f == flow), None)

    def _from_phone(self, request: Request, flow: Flow, inside: Target) -> None:
        outside_dialog = request.to.tag is None and request.method not in ("ACK", "CANCEL")
        routes = request.headers.get_all("Route")
        if self._route and outside_dialog and self._route not in routes[:1]:
            self._refuse(request, flow, 403, "Route missing")
            return
        try:
            request = self._relayed(request, from_phone=True)
        except NotEncrypted:
            self._refuse(request, flow, 488, "SRTP is required")
            return
        self.methods.append(request.method)
        del self.methods[:-1000]
        self._forward(request, "TCP", self._flows.get(inside, inside))

    def _to_phone(self, request: Request, flow: Flow) -> None:
        to = self._other_side(flow)
        if to is not None:
            self._forward(self._relayed(request, from_phone=False), "TLS", to)

    def _refuse(self, request: Request, flow: Flow, status: int, reason: str) -> None:
        self._events.append(ProxyRefusal(request.method, status))
        if request.method != "ACK":
            answer = request.response(status, reason, to_tag="edge")
            self._outgoing.append(Transmit(answer.encode(), flow))

    def _forward(self, request: Request, transport: str, to: Flow | Target) -> None:
        """Pass a request on: without our Routes, with our Via and Record-Route."""
        hops = request.max_forwards
        if hops is not None and hops <= 0:
            return
        routes = [each for each in request.headers.get_all("Route") if not self._is_ours(each)]
        headers = request.headers.without("Route", "Max-Forwards")
        if request.method in _RECORDED:
            # E and C: one element here, two hops in the route set.
            for name in ("edge", "inside"):
                uri = self.edge.with_parameter("proxy-call-id", name).with_parameter("lr", None)
                headers = headers.with_prepended("Record-Route", f"<{uri}>")
        for route in routes:
            headers = headers.with_added("Route", route)
        headers = headers.with_added("Max-Forwards", str((70 if hops is None else hops) - 1))
        # The branch follows from the request's own, so that ACK and CANCEL get that of the INVITE.
        branch = hashlib.sha256((request.top_via.branch or "").encode()).hexdigest()[:24]
        place = f"{self.edge.host}:{self.edge.port}"
        changed = request.with_headers(headers).with_via(
            f"SIP/2.0/{transport} {place};branch=z9hG4bK{branch}"
        )
        self._outgoing.append(Transmit(changed.encode(), to))

    def _is_ours(self, route: str) -> bool:
        if route == self._route:
            return True
        try:
            uri = NameAddr.parse(route).uri
        except MalformedMessage:
            return False
        return isinstance(uri, SipUri) and (uri.host, uri.port) == (
            self.edge.host,
            self.edge.port,
        )

    def _answered(self, response: Response, from_phone: bool) -> bytes:
        """Return a response as it is passed on: without our Via, its description relayed."""
        vias = response.headers.get_all("Via")
        passed = response.with_headers(response.headers.with_replaced("Via", *vias[1:]))
        content = passed.content
        if content is None or content.media_type != _SDP:
            return passed.encode()
        relay = self.relays.get(response.call_id)
        if relay is None:
            return passed.encode()
        # A response belongs to the other side's request.
        exchange = (not from_phone, response.cseq.number)
        answer = self._offers.get((response.call_id, exchange), False)
        rewrite = relay.to_inside if from_phone else relay.to_phone
        data = rewrite(content.data, exchange, answer=answer)
        return passed.with_body(Body(content.content_type, data)).encode()

    def _relayed(self, request: Request, *, from_phone: bool) -> Request:
        """Return a request with its description relayed.  Raises NotEncrypted."""
        if request.method == "BYE":
            relay = self.relays.pop(request.call_id, None)
            if relay is not None:
                relay.close()
        content = request.content
        described = content is not None and content.media_type == _SDP
        exchange = (from_phone, request.cseq.number)
        if request.method in ("INVITE", "UPDATE"):
            self._offers[request.call_id, exchange] = described
            while len(self._offers) > _MOST_OFFERS * _MOST_CALLS:
                self._offers.popitem(last=False)
            self._relay_of(request.call_id)
        if content is None or not described:
            return request
        relay = self._relay_of(request.call_id)
        rewrite = relay.to_inside if from_phone else relay.to_phone
        data = rewrite(content.data, exchange, answer=request.method == "ACK")
        return request.with_body(Body(content.content_type, data))

    def _relay_of(self, call_id: str) -> CallRelay:
        relay = self.relays.get(call_id)
        if relay is None:
            relay = self.relays[call_id] = self._make_relay()
            while len(self.relays) > _MOST_CALLS:
                self.relays.popitem(last=False)[1].close()
        return relay
