"""Server transactions (RFC 3261 section 17.2, RFC 6026).

The tables of `softphone.sip.transaction.tables` define their transitions.  This module also
determines where responses go (section 18.2.2) and adds received and rport to the Via of a request
(`with_received`: section 18.2.1, RFC 3581 section 4).  `softphone.sip.transport.flow_table` reads
them from the responses to our own requests.

The source address of a UDP datagram can be forged, so a response may hit a host that sent nothing.
To an address that is not proven, timers retransmit only while the total stays within three times
the octets received from there, as in RFC 9000 section 8.1.  Each copy of the request is answered
all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, repeat
from typing import TYPE_CHECKING, Protocol, TypeAlias

from softphone.sans_io import Flow, Target, Transport
from softphone.sip.message import (
    NIL_UUID,
    Body,
    MalformedMessage,
    Request,
    Response,
    SessionId,
    Via,
    find_parameter,
    set_parameter,
)
from softphone.sip.transaction.tables import (
    INVITE_SERVER,
    NON_INVITE_SERVER,
    TIMERS,
    TransactionAction,
    TransactionInput,
    TransactionState,
    timers_of,
)

if TYPE_CHECKING:
    from softphone.sip.transaction.layer import TransactionLayer

ServerKey: TypeAlias = tuple[str, ...]

MergeKey: TypeAlias = tuple[str, str, int, str]
"""From tag, Call-ID, CSeq number and method, the same on each path of a request that forked."""

MAGIC_COOKIE = "z9hG4bK"

AMPLIFICATION = 3
"""Octets that may be sent to an unproven source for each octet received from it."""

_SETTLED = (TransactionState.ACCEPTED, TransactionState.TERMINATED)
"""The states without further reports to the user, in which the reference to it is dropped."""

_INPUT_OF_CLASS = {1: TransactionInput.SEND_1XX, 2: TransactionInput.SEND_2XX}


class ServerUser(Protocol):
    """The transaction user of a server transaction."""

    def cancel_received(self, request: Request, *, now: float) -> None:
        """Handle a CANCEL for this INVITE transaction."""

    def transaction_failed(
        self, transaction: ServerTransaction, reason: str, *, now: float
    ) -> None:
        """Handle a flow that failed before a final response, or a missing ACK for a 300-699."""


def server_key(request: Request, *, method: str | None = None) -> ServerKey:
    """Return the key that a request matches its transaction by (RFC 3261 section 17.2.3).

    ACK has the key of its INVITE; `method` replaces that of the request.  Without an RFC 3261
    branch, the key consists of the RFC 2543 fields, without the To tag: the INVITE lacks the tag
    that its ACK has.
    """
    via = request.vias[0]
    branch = find_parameter(via.parameters, "branch") or ""
    method = method or request.method
    if method == "ACK":
        method = "INVITE"
    if len(branch) > len(MAGIC_COOKIE) and branch.startswith(MAGIC_COOKIE):
        return (branch, via.host.lower(), str(via.port or ""), method)
    return (
        "",
        str(request.uri),
        request.from_.tag or "",
        request.call_id,
        str(request.cseq.number),
        f"{via.host}:{via.port}:{branch}",
        method,
    )


def with_received(request: Request, flow: Flow) -> Request:
    """Return the request with received and rport in its topmost Via, where they are due.

    RFC 3261 section 18.2.1, RFC 3581 section 4.
    """
    via = request.vias[0]
    changed = _received_via(via, flow)
    return request if changed is via else request.with_top_via(changed)


def _received_via(via: Via, flow: Flow) -> Via:
    host, port = flow.remote
    parameters = via.parameters
    if find_parameter(parameters, "rport") is not None:
        parameters = set_parameter(parameters, "rport", str(port))
    elif via.host == host:
        return via
    return Via(via.transport, via.host, via.port, set_parameter(parameters, "received", host))


def mark_rejection(data: bytes, flow: Flow) -> tuple[bytes, Flow | Target]:
    """Add received and rport to the response to a malformed request; returns it and where it goes.

    `data` is the response of the parser (`softphone.sip.message.ParseFailure`), whose second line
    is the topmost Via.  A malformed Via stays unchanged, and the response goes back on the flow.
    """
    start, field, rest = data.decode("latin-1").split("\r\n", 2)
    name, _, value = field.partition(": ")
    try:
        via, end = Via.parse_at(value, 0)
    except MalformedMessage:
        return data, flow
    marked = f"{start}\r\n{name}: {_received_via(via, flow)}{value[end:]}\r\n{rest}"
    return marked.encode("latin-1"), return_path(via, flow)


def return_path(via: Via, flow: Flow) -> Flow | Target:
    """Return where responses go (RFC 3261 section 18.2.2).

    That is the flow; over UDP without rport, the source address with the port of sent-by.
    """
    if flow.transport is not Transport.UDP or via.parameter("rport") is not None:
        return flow
    port = via.port or 5060
    if port == flow.remote[1]:
        return flow
    return Target(Transport.UDP, flow.remote[0], port)


class ServerTransaction:
    """One received request and our responses to it.

    `request` has received and rport filled in.  `to_tag` is added to every response above 100
    whose To has no tag.  `proven` says that the sender has shown that it receives at its address;
    otherwise the octets retransmitted over UDP are bounded (`AMPLIFICATION`).
    """

    __slots__ = (
        "allowance",
        "data",
        "flow",
        "interval",
        "invite",
        "key",
        "last_status",
        "layer",
        "merge_key",
        "request",
        "session_id",
        "size",
        "state",
        "table",
        "to",
        "to_tag",
        "user",
    )

    def __init__(
        self,
        request: Request,
        *,
        key: ServerKey,
        flow: Flow,
        to_tag: str,
        layer: TransactionLayer,
        proven: bool,
    ) -> None:
        self.request = with_received(request, flow)
        # Roughly the size of the stored request, in octets.
        self.size = len(request.body) + sum(map(len, chain.from_iterable(request.headers)))
        # Octets that timers may still retransmit to this source.
        self.allowance = float("inf") if proven else AMPLIFICATION * self.size
        self.key = key
        self.merge_key: MergeKey | None = None
        """Set by the layer for a request without To tag (RFC 3261 section 8.2.2.2)."""
        self.flow = flow
        self.to = return_path(request.vias[0], flow)
        self.to_tag = to_tag
        self.user: ServerUser | None = None
        # Goes into every response (RFC 7989 section 6); see `identify_refusal`.
        self.session_id: SessionId | None = None
        self.layer = layer
        self.data = b""
        self.last_status = 0
        self.invite = request.method == "INVITE"
        self.table = INVITE_SERVER if self.invite else NON_INVITE_SERVER
        self.state = TransactionState.PROCEEDING if self.invite else TransactionState.TRYING
        self.interval = layer.timing.t1

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The header fields of every response."""
        return () if self.session_id is None else (("Session-ID", str(self.session_id)),)

    def identify_refusal(self) -> None:
        """Send Session-ID in the refusal of a request that has it (RFC 7989 section 6).

        A request within a call names us; one outside gets a UUID of its own.  Does nothing where
        the call has set its Session-ID.
        """
        theirs = self.request.session_id
        if self.session_id is None and theirs is not None:
            known = theirs.remote != NIL_UUID
            ours = theirs.remote if known else self.layer.new_session_uuid()
            self.session_id = SessionId(ours, theirs.local)

    @property
    def answered(self) -> bool:
        """Whether a final response was sent, or can no longer be sent."""
        return self.last_status >= 200 or self.state is TransactionState.TERMINATED

    def respond(
        self,
        status: int,
        *,
        now: float,
        reason: str = "",
        headers: Iterable[tuple[str, str]] = (),
        body: Body | None = None,
    ) -> Response:
        """Build, send and return a response (RFC 3261 section 8.2.6).

        A 405 gets Allow and a 489 Allow-Events, unless `headers` contain it.  A response that the
        state does not allow is not sent.
        """
        if status >= 300:
            self.identify_refusal()
        fields = (*headers, *self.fields)
        if status in (405, 489):
            given = {name.lower() for name, _ in fields}
            refused = self.layer.refusal_fields(status)
            fields += tuple(field for field in refused if field[0].lower() not in given)
        response = self.request.response(
            status,
            reason or None,
            to_tag=None if status == 100 else self.to_tag,
            headers=fields,
            body=body,
        )
        self.send_response(response, now=now)
        return response

    def send_response(self, response: Response, *, now: float) -> None:
        """Send a response; one that the state does not allow is dropped."""
        given = _INPUT_OF_CLASS.get(response.status // 100, TransactionInput.SEND_FAILURE)
        if self.table[self.state, given][0]:
            self.data = response.encode()
            self.last_status = response.status
        self._apply_input(given, now=now)

    def receive_request(self, request: Request, *, now: float) -> None:
        """Handle a retransmission of the request, or its ACK."""
        self.allowance += AMPLIFICATION * self.size
        self._apply_input(
            TransactionInput.ACK if request.method == "ACK" else TransactionInput.REQUEST, now=now
        )

    def handle_timer(self, name: object, *, now: float) -> None:
        """Handle the expiry of timer `name`."""
        if isinstance(name, TransactionInput):
            self._apply_input(name, now=now)

    def flow_failed(self, reason: str, *, now: float) -> None:
        """Handle a flow that has closed."""
        self._apply_input(TransactionInput.TRANSPORT_ERROR, now=now, reason=reason)

    def _apply_input(
        self, given: TransactionInput, *, now: float, reason: str = "No ACK came"
    ) -> None:
        if (self.state, given) not in self.table:
            return
        before = self.state
        actions, self.state = self.table[before, given]
        self._run_actions(actions, now=now)
        if self.state is not before:
            if self.state is TransactionState.TERMINATED:
                self.layer.transaction_terminated(self)
            elif self.state is TransactionState.ACCEPTED:
                self.layer.transaction_accepted(self)
        if (
            TransactionAction.FAIL in actions or TransactionAction.TIMEOUT in actions
        ) and self.user is not None:
            self.user.transaction_failed(self, reason, now=now)
        if self.state in _SETTLED:
            self.user = None

    def _run_actions(self, actions: tuple[TransactionAction, ...], *, now: float) -> None:
        for action in actions:
            if action is TransactionAction.SEND:
                # Before the first response there is nothing to retransmit.
                if self.data:
                    self.allowance -= len(self.data)
                    self.layer.send_bytes(self.data, self.to)
            elif action is TransactionAction.STOP:
                self.layer.timers.cancel(*zip(repeat(self), _TIMERS))
            elif action in TIMERS:
                self._start_timer(action, now=now)

    def _start_timer(self, action: TransactionAction, *, now: float) -> None:
        timing = self.layer.timing
        reliable = self.flow.transport.reliable
        if action is TransactionAction.START_G:
            if reliable or self.allowance < len(self.data):
                return
            delay = self.interval
            self.interval = min(2 * self.interval, timing.t2)
        elif action in (TransactionAction.START_H, TransactionAction.START_L):
            delay = timing.timeout
        elif reliable:
            # Timers I and J are zero on reliable transports.
            self.state = TransactionState.TERMINATED
            return
        else:
            delay = timing.t4 if action is TransactionAction.START_I else timing.timeout
        self.layer.timers.set((self, TIMERS[action]), now + delay)


_TIMERS = timers_of({**INVITE_SERVER, **NON_INVITE_SERVER})
