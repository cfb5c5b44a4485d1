"""The SIP endpoint: a user agent, client and server, as one sans-I/O machine (RFC 3261).

An Endpoint owns many flows, one heap of timers, the transactions, and the usages above them.
`Transmit(data=b"", to=target)` asks the driver to open a flow and to write nothing; requests wait
for `connected`, since their Via needs the local address of the flow (RFC 3261 section 18.1.1).
`EventHandlers` gives the events of a usage to its owner, such as the leg of a call.
Registration is in `softphone.sip.registration`, server location in `softphone.sip.transport`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeAlias
from weakref import ReferenceType, ref

from softphone.errors import LocalProtocolError
from softphone.sans_io import Address, Entropy, Flow, Side, Target, Transmit, Transport
from softphone.sip import events
from softphone.sip.auth import Authenticator
from softphone.sip.dialog import (
    Dialog,
    DialogTable,
    InviteRequest,
    MessageRequest,
    ReferRequest,
    SubscribeRequest,
    complete_request,
    initial_request,
)
from softphone.sip.endpoint_config import EndpointConfig
from softphone.sip.invite import ByeSender, InviteClient, InviteUsage
from softphone.sip.message import (
    Body,
    CrlfKeepAlive,
    Field,
    NameAddr,
    ParsedInput,
    ParseFailure,
    Request,
    Response,
    SessionId,
    StreamFramer,
    parse_datagram,
)
from softphone.sip.request_router import Admit, RequestRouter
from softphone.sip.subscription import NotifierUsage, SubscriberUsage, refer_fields
from softphone.sip.transaction import (
    Exchange,
    ServerExchange,
    TransactionLayer,
    mark_rejection,
)
from softphone.sip.transport import Failover, contact_for

SipEvent: TypeAlias = (
    events.FlowOpened
    | events.FlowClosed
    | events.PongReceived
    | events.MessageRejected
    | events.StrangerIgnored
    | events.ResponseReceived[Exchange]
    | events.RequestFailed[Exchange]
    | events.RequestReceived[ServerExchange]
    | events.ProvisionalReceived[InviteUsage]
    | events.InviteAnswered[InviteUsage]
    | events.InviteRejected[InviteUsage]
    | events.InviteEnded[InviteUsage]
    | events.InviteReceived[InviteUsage]
    | events.InviteCanceled[InviteUsage]
    | events.AckReceived[InviteUsage]
    | events.PrackReceived[InviteUsage]
    | events.ModificationReceived[InviteUsage]
    | events.ModificationAnswered[InviteUsage]
    | events.ModificationFailed[InviteUsage]
    | events.InDialogRequestReceived[InviteUsage, ServerExchange]
    | events.SessionRefreshed[InviteUsage]
    | events.SubscribeReceived[InviteUsage, NotifierUsage]
    | events.SubscriptionRefreshed[NotifierUsage]
    | events.SubscriptionAccepted[SubscriberUsage]
    | events.NotifyReceived[SubscriberUsage]
    | events.SubscriptionTerminated[SubscriberUsage | NotifierUsage]
    | events.ReferReceived[InviteUsage, NotifierUsage]
)

AnyUsage: TypeAlias = InviteUsage | SubscriberUsage | NotifierUsage


class Endpoint:
    """A user agent; implements `softphone.sans_io.Machine[SipEvent]`.

    Commands follow the drain contract of `softphone.sans_io`.
    """

    def __init__(
        self,
        *,
        side: Side,
        entropy: Entropy,
        config: EndpointConfig | None = None,
        own_server: Callable[[Flow], bool] = lambda _: False,
        admit: Admit | None = None,
    ) -> None:
        """`own_server` says whether a flow leads to a server of ours.

        Such a server may send messages of every dialog whose flow has no verified certificate.
        `admit` judges each request; by default all are admitted.
        """
        self.side = side
        self.config = config or EndpointConfig()
        if side is Side.SERVER:
            methods = dict.fromkeys((*self.config.allow, "REGISTER", "PUBLISH"))
            self.config = replace(self.config, allow=tuple(methods))
        self._layer = TransactionLayer(config=self.config, entropy=entropy, own_server=own_server)
        self._table = DialogTable(own_server=own_server, report_stranger=self._report_stranger)
        self._router = RequestRouter(layer=self._layer, table=self._table, admit=admit)
        self._readers: dict[int, _StreamReader] = {}
        self.next_timer = self._layer.timers.next_deadline
        # The layers below emit their own event classes; SipEvent is their union.
        self.events: deque[SipEvent] = self._layer.events  # type: ignore[assignment]
        """The events that have not been taken, oldest first."""

    # The machine ---------------------------------------------------------------------------------

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Handle one datagram, or a piece of a stream of any length."""
        reader = self._readers.get(flow.id)
        if reader is None:
            if flow not in self._layer.flows:
                self._layer.flow_opened(flow, None, now=now)
            if flow.transport is Transport.UDP:
                self._handle_parsed(parse_datagram(data, self.config.limits), flow=flow, now=now)
                return
            reader = self._reader(flow, now=now)
        for item in reader.feed(data, now=now):
            self._handle_parsed(item, flow=flow, now=now)

    def _reader(self, flow: Flow, *, now: float) -> _StreamReader:
        reader = self._readers.get(flow.id)
        if reader is None:
            reader = _StreamReader(flow, self._layer, self._table, now=now)
            self._readers[flow.id] = reader
        return reader

    def _handle_parsed(self, item: ParsedInput, *, flow: Flow, now: float) -> None:
        if isinstance(item, Response):
            if not self._layer.receive_response(
                item,
                flow=flow,
                now=now,
                allowed=self._table.takes_response,
            ):
                self._layer.emit_event(
                    events.MessageRejected(flow, 481, "A response that matches no request")
                )
        elif isinstance(item, Request):
            self._router.route_request(item, flow=flow, now=now)
        elif isinstance(item, ParseFailure):
            self._handle_parse_failure(item, flow=flow)
        elif item is CrlfKeepAlive.PING and flow.transport is not Transport.UDP:
            # RFC 5626 section 3.5.1: answer a double CRLF by a single one.
            self._layer.send_bytes(b"\r\n", flow)
        elif item is CrlfKeepAlive.PONG:
            self._layer.emit_event(events.PongReceived(flow))

    def _report_stranger(self, dialog: Dialog, flow: Flow) -> None:
        self._layer.emit_event(events.StrangerIgnored(flow, dialog.call_id, dialog.remote))

    def _handle_parse_failure(self, item: ParseFailure, *, flow: Flow) -> None:
        data: bytes = b""
        to: Flow | Target = flow
        if item.response is not None:
            data, to = mark_rejection(item.response, flow)
        if data or item.fatal:
            self._layer.flows.outgoing.append(Transmit(data, to, close=item.fatal))
        self._layer.emit_event(events.MessageRejected(flow, item.status_hint, item.reason))

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Note an open flow, accepted or opened for `target`; send what waited for it."""
        self._layer.emit_event(events.FlowOpened(flow, target))
        self._layer.flow_opened(flow, target, now=now)
        if flow.transport is not Transport.UDP:
            self._reader(flow, now=now)

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Fail the transactions on the flow and report FlowClosed; confirmed dialogs survive.

        A Target as `flow` could not be connected.
        """
        reader = self._readers.pop(flow.id, None) if isinstance(flow, Flow) else None
        if reader is not None:
            reader.stop()
        self._layer.flow_closed(flow, reason or "The connection was closed", now=now)
        self._layer.emit_event(events.FlowClosed(flow, reason))

    def handle_timer(self, *, now: float) -> None:
        """Run every timer that is due."""
        self._layer.handle_timer(now=now)

    def transmits(self) -> list[Transmit]:
        """Remove and return what is to be sent, in order."""
        flows = self._layer.flows
        outgoing, flows.outgoing = flows.outgoing, []
        return outgoing

    def next_event(self) -> SipEvent | None:
        """Remove and return the next event, or None."""
        return self.events.popleft() if self.events else None

    # Flows ---------------------------------------------------------------------------------------

    def open_flow(self, target: Target, *, now: float) -> None:
        """Ask the driver to open a flow; FlowOpened (at once if open) or FlowClosed follows."""
        flow = self._layer.flows.resolve(target)
        if flow is not None:
            self._layer.emit_event(events.FlowOpened(flow, target))
        else:
            self._layer.flows.open_flow(target)

    def close_flow(self, flow: Flow, *, now: float) -> None:
        """Ask the driver to close a flow after writing what is queued.

        A new flow to its target can be opened from now on.
        """
        self._layer.flows.close_flow(flow)

    def keep_flow_open(self, flow: Flow) -> None:
        """Exempt a flow from the idle time-out, since its far end is authenticated."""
        self._layer.flows.keep_open(flow)

    def holds_flow(self, flow: Flow) -> bool:
        """Whether a registration, a dialog or a request of ours depends on a flow.

        Requests from strangers do not count: anyone can send any number of them.
        """
        flows = self._layer.flows
        return flows.is_kept(flow) or self._table.uses_flow(flow) or flows.has_requests(flow)

    def ping_flow(self, flow: Flow, *, now: float) -> None:
        """Send a CRLF keep-alive (double CRLF, RFC 5626 section 4.4.1) on a stream flow."""
        if flow in self._layer.flows:
            self._reader(flow, now=now).expect_pong()
        self._layer.send_bytes(b"\r\n\r\n", flow)

    def rebind_flow(self, old: Flow | Target, new: Flow | Target, *, now: float) -> None:
        """Move every dialog and subscription from one flow to another (RFC 5626).

        A Target as `old` means every flow that was opened for it, open or closed.
        """
        stands_for = self._layer.flows.target_of
        for owner in self._table.rebind_dialogs(lambda to: old in (to, stands_for(to)), new):
            if isinstance(owner, ByeSender):
                owner.dialog_rebound(now=now)

    def flow_of(self, target: Target) -> Flow | None:
        """Return the open flow that was opened for `target`, None without one."""
        return self._layer.flows.resolve(target)

    def target_of(self, place: Flow | Target) -> Target | None:
        """Return the target that a flow was opened for, open or closed; a Target as it is.

        None for a flow that we did not open.
        """
        return self._layer.flows.target_of(place)

    def public_address(self, flow: Flow) -> Address | None:
        """Return our address as the far end of `flow` last saw it (received, rport: RFC 3581).

        An advertised address takes the place of the host.
        """
        return self._layer.flows.public_address(flow)

    def advertise(self, address: str | None) -> None:
        """Use this numeric address in each new Contact; None: the one that peers see."""
        self._layer.flows.advertised = address

    def write_contact(self, place: Address | None) -> None:
        """Write this host name and port into each Contact made from now on; None: an address."""
        self._layer.flows.contact_at = place

    def advertised_to(self, flow: Flow) -> str | None:
        """Return the advertised address, if there is one of the family of `flow`."""
        return self._layer.flows.advertised_to(flow)

    def contact_for_flow(self, flow: Flow, user: str | None, *, secure: bool = False) -> NameAddr:
        """Return a Contact that leads back to `flow`, with the public address if it is known."""
        return contact_for(
            flow, user=user, public=self._layer.flows.contact_address(flow), secure=secure
        )

    def usages(self) -> tuple[InviteUsage, ...]:
        """Return every INVITE usage that has not ended."""
        return self._router.usages()

    @property
    def waits_for_responses(self) -> bool:
        """Whether a request of ours is unanswered, also a background BYE or a canceled INVITE."""
        return self._layer.waits_for_responses

    # Commands ------------------------------------------------------------------------------------

    def send_request(
        self,
        request: Request,
        *,
        to: Flow | Target,
        now: float,
        credentials: Authenticator | None = None,
        failover: Failover | None = None,
    ) -> Exchange:
        """Send a request outside any dialog that is neither INVITE nor SUBSCRIBE.

        Pass the request without Via; From tag, Call-ID, CSeq, Max-Forwards and User-Agent are
        added if missing.  `failover` has further targets, for when one does not serve the request
        (503, no answer, no connection: RFC 3263 section 4.3).  ResponseReceived or RequestFailed
        follows.

        Raises LocalProtocolError for INVITE, ACK and CANCEL.
        """
        if request.method in ("INVITE", "ACK", "CANCEL"):
            raise LocalProtocolError(f"{request.method} is not sent like this")
        exchange = Exchange(
            complete_request(request, self._layer),
            to=to,
            layer=self._layer,
            user=_ExchangeReporter(self._layer),
            credentials=credentials,
        )
        exchange.send_request(now=now, failover=failover)
        return exchange

    def respond(
        self,
        exchange: ServerExchange,
        status: int,
        *,
        now: float,
        reason: str = "",
        headers: Sequence[Field] = (),
        body: Body | None = None,
    ) -> None:
        """Answer a received request.  Raises LocalProtocolError after a final response."""
        exchange.respond(status, now=now, reason=reason, headers=headers, body=body)

    def invite(
        self,
        invite_request: InviteRequest,
        *,
        now: float,
        session_uuid: str | None = None,
        renew_body: Callable[[], Body | None] | None = None,
    ) -> InviteUsage:
        """Send an INVITE and return its usage.

        `session_uuid` is our UUID for Session-ID (RFC 7989), None sends none.  `renew_body` makes
        a new body for each target of `failover`, since an offer with keys is for one target only.
        Raises LocalProtocolError if the INVITE cannot be built.
        """
        usage = InviteUsage(
            side=Side.CLIENT,
            layer=self._layer,
            table=self._table,
            session_timer=invite_request.session_timer,
            contact=invite_request.contact,
            credentials=invite_request.credentials,
        )
        headers = self._invite_fields(invite_request, usage)
        if session_uuid is not None:
            usage.identify_session(SessionId(session_uuid))
            headers.append(("Session-ID", str(usage.session_id)))
        request = initial_request(
            "INVITE", invite_request, layer=self._layer, headers=headers, body=invite_request.body
        )
        usage.client = InviteClient(
            request, to=invite_request.to, usage=usage, renew_body=renew_body
        )
        self._router.add_usage(usage)
        usage.client.send_invite(now=now, failover=invite_request.failover)
        return usage

    def _invite_fields(self, invite_request: InviteRequest, usage: InviteUsage) -> list[Field]:
        config = self.config
        unwanted = set() if invite_request.reliable else {"100rel"}
        if invite_request.session_timer is None:
            unwanted.add("timer")
        supported = [tag for tag in config.supported if tag not in unwanted]
        fields = [("Allow", ", ".join(config.allow)), ("Supported", ", ".join(supported))]
        fields += usage.session_timer.request_fields()
        required = ["100rel"] if invite_request.require_reliable else []
        if invite_request.replaces is not None:
            required.append("replaces")
            fields.append(("Replaces", invite_request.replaces))
        if required:
            fields.append(("Require", ", ".join(required)))
        return fields

    def subscribe(self, subscribe: SubscribeRequest, *, now: float) -> SubscriberUsage:
        """Send SUBSCRIBE outside any dialog (RFC 6665) and return its usage."""
        fields: list[Field] = [
            ("Event", subscribe.event),
            ("Expires", str(round(subscribe.expires))),
        ]
        if subscribe.accept:
            fields.append(("Accept", ", ".join(subscribe.accept)))
        request = initial_request(
            "SUBSCRIBE", subscribe, layer=self._layer, headers=fields, body=subscribe.body
        )
        subscription = self._make_subscriber(subscribe.event, subscribe.credentials)
        subscription.subscribe(request, subscribe, expires=subscribe.expires, now=now)
        return subscription

    def refer(self, refer: ReferRequest, *, now: float) -> SubscriberUsage:
        """Send REFER outside any dialog (RFC 3515) and return the usage of its subscription."""
        fields = refer_fields(refer.refer_to, refer.referred_by, subscribe=refer.subscribe)
        request = initial_request(
            "REFER", refer, layer=self._layer, headers=fields, body=refer.body
        )
        subscription = self._make_subscriber("refer", refer.credentials)
        subscription.subscribe(request, refer, expires=0, now=now)
        return subscription

    def message(self, message: MessageRequest, *, now: float) -> Exchange:
        """Send MESSAGE outside any dialog (RFC 3428); its result comes as for `send_request`."""
        request = initial_request("MESSAGE", message, layer=self._layer, body=message.body)
        return self.send_request(
            request,
            to=message.to,
            now=now,
            credentials=message.credentials,
            failover=message.failover,
        )

    def _make_subscriber(self, event: str, credentials: Authenticator | None) -> SubscriberUsage:
        return SubscriberUsage(
            layer=self._layer, table=self._table, credentials=credentials, event=event
        )


class _StreamReader:
    """Splits a stream into messages; closes a flow whose message stays incomplete for 64*T1.

    Otherwise a Content-Length that is too large would block the flow for ever (RFC 4475 section
    3.1.2.2).  Also closes an accepted flow of an unknown peer on which nothing depends and no
    message has come for `EndpointConfig.idle_timeout`.
    """

    def __init__(
        self, flow: Flow, layer: TransactionLayer, table: DialogTable, *, now: float
    ) -> None:
        self._flow = flow
        self._layer = layer
        self._table = table
        self._framer = StreamFramer(layer.config.limits)
        self._last_message_at = now
        self._incomplete = False
        """Whether a message is incomplete, so that the timer "pending" runs."""
        self._arm_idle_timer(now)

    def _arm_idle_timer(self, since: float) -> None:
        limit = self._layer.config.idle_timeout
        if limit > 0 and not self._layer.flows.is_known(self._flow):
            self._layer.timers.set((self, "idle"), since + limit)

    def feed(self, data: bytes, *, now: float) -> list[ParsedInput]:
        """Add a piece of the stream; return the complete messages and keep-alives."""
        items = self._framer.feed(data)
        for item in items:
            if not isinstance(item, CrlfKeepAlive):
                self._last_message_at = now
        if self._framer.pending:
            if items or not self._incomplete:
                self._incomplete = True
                self._layer.timers.set((self, "pending"), now + self._layer.timing.timeout)
        elif self._incomplete:
            self._incomplete = False
            self._layer.timers.cancel((self, "pending"))
        return items

    def expect_pong(self) -> None:
        """Note that a ping was sent, so that the next single CRLF is its pong."""
        self._framer.expect_pong()

    def stop(self) -> None:
        """Cancel the timers: the flow has ended."""
        self._layer.timers.cancel((self, "pending"), (self, "idle"))

    def handle_timer(self, name: object, *, now: float) -> None:
        """Close the flow: the rest of a message is overdue, or the flow is idle."""
        if name == "pending":
            self._close_flow("A message that has no end")
        elif self._layer.flows.in_use(self._flow) or self._table.uses_flow(self._flow):
            self._arm_idle_timer(now)
        elif now < self._last_message_at + self._layer.config.idle_timeout:
            self._arm_idle_timer(self._last_message_at)
        elif not self._layer.flows.is_known(self._flow):
            self._close_flow("A connection that nobody uses")

    def _close_flow(self, reason: str) -> None:
        self._layer.flows.outgoing.append(Transmit(b"", self._flow, close=True))
        self._layer.emit_event(events.MessageRejected(self._flow, 408, reason))


class _ExchangeReporter:
    """The user of an exchange outside dialogs: reports its responses and failure as events."""

    __slots__ = ("_layer",)

    def __init__(self, layer: TransactionLayer) -> None:
        self._layer = layer

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        self._layer.emit_event(events.ResponseReceived(exchange, response, response.final))

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        self._layer.emit_event(events.RequestFailed(exchange, status_hint, reason))


class EventHandler(Protocol):
    """Handles the events of one usage or of several."""

    def handle_event(self, event: SipEvent) -> None:
        """Handle one event of a usage that this handler was set for."""


class EventHandlers:
    """The handlers of the usages and exchanges of one endpoint.

    Holds handlers weakly: the transaction layer keeps usages for half a minute after their end, but
    a call and its keys must be freed when the call ends.
    """

    def __init__(self) -> None:
        self._handlers: dict[AnyUsage | Exchange, ReferenceType[EventHandler]] = {}

    def set_handler(self, usage: AnyUsage | Exchange, handler: EventHandler) -> None:
        """Pass the events of a usage, or of an exchange until its final response, to `handler`.

        The caller must keep a reference to it.
        """
        self._handlers[usage] = ref(handler, partial(self._forget, usage))

    def _forget(self, usage: AnyUsage | Exchange, dead: ReferenceType[EventHandler]) -> None:
        if self._handlers.get(usage) is dead:
            del self._handlers[usage]

    def handler_of(self, usage: AnyUsage | None) -> EventHandler | None:
        """Return the handler of a usage, None without one."""
        held = None if usage is None else self._handlers.get(usage)
        return None if held is None else held()

    def handle_event(self, event: SipEvent) -> bool:
        """Pass an event to the handler of its usage; return False if there is none."""
        usage = _usage_of(event)
        held = None if usage is None else self._handlers.get(usage)
        handler = None if held is None else held()
        if handler is not None:
            handler.handle_event(event)
        match event:
            # A call outlives its subscriptions and requests, and may have any number of them.
            case events.SubscriptionTerminated():
                self._handlers.pop(event.subscription, None)
            case events.RequestFailed() | events.ResponseReceived(final=True):
                self._handlers.pop(event.exchange, None)
        return handler is not None


def _usage_of(event: SipEvent) -> AnyUsage | Exchange | None:
    """Return the usage or exchange of an event; for a REFER or SUBSCRIBE within a call its call."""
    match event:
        case (
            events.InviteReceived()
            | events.ProvisionalReceived()
            | events.InviteAnswered()
            | events.InviteRejected()
            | events.InviteEnded()
            | events.InviteCanceled()
            | events.AckReceived()
            | events.PrackReceived()
            | events.ModificationReceived()
            | events.ModificationAnswered()
            | events.ModificationFailed()
            | events.InDialogRequestReceived()
            | events.SessionRefreshed()
        ):
            return event.usage
        case events.ReferReceived() | events.SubscribeReceived():
            return event.usage or event.subscription
        case (
            events.SubscriptionAccepted()
            | events.SubscriptionRefreshed()
            | events.SubscriptionTerminated()
            | events.NotifyReceived()
        ):
            return event.subscription
        case events.ResponseReceived() | events.RequestFailed():
            return event.exchange
        case _:
            return None
