"""Server transactions (RFC 3261 section 17.2, RFC 6026).

They are run by the tables of `softphone.sip.transaction.tables`.  Here, too, is where responses go
(section 18.2.2), and the received and rport that a request's Via is given (`with_received`: section
18.2.1, RFC 3581 section 4).  Those that come back in responses to us are read in
`softphone.sip.transport.flow_table`.

Whoever writes a UDP datagram writes its source address, too, so that responses may go to somebody
who never asked.  To a source that has proven nothing, what the timers send again amounts to no more
than three times the octets that came from there, as in RFC 9000 section 8.1; each copy of the
request gets its response all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Protocol, TypeAlias

from softphone.sans_io import Flow, Target, Transport
from softphone.sip.message import (
    Body,
    MalformedMessage,
    Request,
    Response,
    Via,
    find_parameter,
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

MAGIC_COOKIE = "z9hG4bK"

AMPLIFICATION = 3
"""Octets that may go to an unproven source for each octet that came from it."""

_SETTLED = (TransactionState.ACCEPTED, TransactionState.TERMINATED)
"""Nothing that a user could do anything about can happen any more: it is let go."""

_INPUT_OF_CLASS = {1: TransactionInput.SEND_1XX, 2: TransactionInput.SEND_2XX}


class ServerUser(Protocol):
    """The transaction user of a server transaction."""

    def cancel_received(self, request: Request, *, now: float) -> None:
        """CANCEL came for this transaction, an INVITE."""

    def transaction_failed(
        self, transaction: ServerTransaction, reason: str, *, now: float
    ) -> None:
        """The flow died before a final response, or no ACK came for a failure response."""


def server_key(request: Request, *, method: str | None = None) -> ServerKey:
    """What a request is matched by (RFC 3261 section 17.2.3); ACK has the key of its INVITE.

    Without a branch of RFC 3261, by the fields of RFC 2543; the To tag is left out, since only
    the ACK of the response that gave it has it.
    """
    via = request.top_via
    branch = via.branch or ""
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
    """The request with received and rport in its topmost Via (RFC 3261 18.2.1, RFC 3581 4)."""
    via = request.top_via
    changed = _received_via(via, flow)
    return request if changed is via else request.with_top_via(changed)


def _received_via(via: Via, flow: Flow) -> Via:
    host, port = flow.remote
    if find_parameter(via.parameters, "rport") is not None:
        return via.with_parameter("rport", str(port)).with_parameter("received", host)
    return via if via.host == host else via.with_parameter("received", host)


def mark_rejection(data: bytes, flow: Flow) -> tuple[bytes, Flow | Target]:
    """The answer to a malformed request, with received and rport, and where it goes.

    `data` is what the parser has made (`softphone.sip.message.ParseFailure`): its second line is
    the topmost Via.  One that is malformed stays as it is, and the answer goes back on the flow.
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
    """Where responses go: the flow; over UDP without rport the sent-by port (18.2.2)."""
    if flow.transport is not Transport.UDP or via.parameter("rport") is not None:
        return flow
    port = via.port or 5060
    if port == flow.remote[1]:
        return flow
    return Target(Transport.UDP, flow.remote[0], port)


class ServerTransaction:
    """One request that came in and our responses to it.

    `request` has received and rport filled in; `to_tag` goes into every response above 100 that
    has a To without tag.  `proven`: whoever sent it has shown that it is where it says, by having
    received something of ours; otherwise what is sent again over UDP is bounded.
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
        "request",
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
        # Roughly what is kept of the request, in octets.
        self.size = len(request.body) + sum(map(len, chain.from_iterable(request.headers)))
        # Octets that may yet go out to this source without being asked for again.
        self.allowance = float("inf") if proven else AMPLIFICATION * self.size
        self.key = key
        self.flow = flow
        self.to = return_path(request.top_via, flow)
        self.to_tag = to_tag
        self.user: ServerUser | None = None
        self.layer = layer
        self.data = b""
        self.last_status = 0
        self.invite = request.method == "INVITE"
        self.table = INVITE_SERVER if self.invite else NON_INVITE_SERVER
        self.state = TransactionState.PROCEEDING if self.invite else TransactionState.TRYING
        self.interval = layer.timing.t1

    @property
    def answered(self) -> bool:
        """Whether a final response has gone out, or can no longer go out."""
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
        """Make and send a response (RFC 3261 section 8.2.6).

        A 405 or 489 says what we take instead, unless `headers` do.
        """
        given = tuple(headers)
        names = {name.lower() for name, _ in given}
        said = self.layer.refusal_fields(status)
        response = self.request.response(
            status,
            reason or None,
            to_tag=None if status == 100 else self.to_tag,
            headers=(*given, *(field for field in said if field[0].lower() not in names)),
            body=body,
        )
        self.send_response(response, now=now)
        return response

    def send_response(self, response: Response, *, now: float) -> None:
        """Send a response made elsewhere; one that the state does not allow is dropped."""
        given = _INPUT_OF_CLASS.get(response.status // 100, TransactionInput.SEND_FAILURE)
        if self.table[self.state, given][0]:
            self.data = response.encode()
            self.last_status = response.status
        self._apply_input(given, now=now)

    def receive_request(self, request: Request, *, now: float) -> None:
        """The request again, or its ACK."""
        self.allowance += AMPLIFICATION * self.size
        self._apply_input(
            TransactionInput.ACK if request.method == "ACK" else TransactionInput.REQUEST, now=now
        )

    def handle_timer(self, name: object, *, now: float) -> None:
        """A timer of this transaction has fired."""
        if isinstance(name, TransactionInput):
            self._apply_input(name, now=now)

    def flow_failed(self, reason: str, *, now: float) -> None:
        """The flow has died."""
        self._apply_input(TransactionInput.TRANSPORT_ERROR, now=now, reason=reason)

    def _apply_input(
        self, given: TransactionInput, *, now: float, reason: str = "No ACK came"
    ) -> None:
        if (self.state, given) not in self.table:
            return
        before = self.state
        actions, self.state = self.table[before, given]
        for action in actions:
            self._run_action(action, now=now)
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

    def _run_action(self, action: TransactionAction, *, now: float) -> None:
        if action is TransactionAction.SEND:
            # Before the first response there is nothing to send again.
            if self.data:
                self.allowance -= len(self.data)
                self.layer.send_bytes(self.data, self.to)
        elif action is TransactionAction.STOP:
            for name in _TIMERS:
                self.layer.timers.cancel((self, name))
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
