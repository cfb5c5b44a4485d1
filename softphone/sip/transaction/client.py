"""Client transactions (RFC 3261 section 17.1, RFC 6026).

They are run by the tables of `softphone.sip.transaction.tables`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from softphone.sans_io import Flow, Target, Transport
from softphone.sip.message import Parameters, Request, Response, SipUri, Via
from softphone.sip.transaction.tables import (
    INVITE_CLIENT,
    NON_INVITE_CLIENT,
    TIMERS,
    TransactionAction,
    TransactionInput,
    TransactionState,
    timers_of,
)

if TYPE_CHECKING:
    from softphone.sip.transaction.layer import TransactionLayer

ClientKey: TypeAlias = tuple[str, str]
"""Branch and the method of CSeq (RFC 3261 section 17.1.3)."""

# The branch is looked for in Via, which only our own responses echo; sent-by is ours by the flow.
TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Methods whose requests must carry a Contact (RFC 3261 12.2.1.1, RFC 3311, 6665, 3515)."""

_INPUT_OF_CLASS = {1: TransactionInput.RESPONSE_1XX, 2: TransactionInput.RESPONSE_2XX}


class ClientUser(Protocol):
    """The transaction user of a client transaction."""

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """A response that the machine delivers."""

    def request_failed(
        self, transaction: ClientTransaction, status_hint: int, reason: str, *, now: float
    ) -> None:
        """No final response: 408 after timer B or F, 503 when the flow died or did not open."""


class _NullUser:
    """Nothing depends on what it hears."""

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """It is no matter."""

    def request_failed(
        self, transaction: ClientTransaction, status_hint: int, reason: str, *, now: float
    ) -> None:
        """It is no matter."""


NULL_USER = _NullUser()
"""The user of a transaction that nothing depends on, or that has ended: it keeps nobody."""


def ack_for_failure(request: Request, response: Response) -> Request:
    """The ACK for a failure response, of the same transaction (RFC 3261 section 17.1.1.3)."""
    headers = request.headers
    fields = [
        ("Via", headers.get_all("Via")[0]),
        ("From", headers.get("From") or ""),
        ("To", response.headers.get("To") or ""),
        ("Call-ID", request.call_id),
        ("CSeq", f"{request.cseq.number} ACK"),
        ("Max-Forwards", "70"),
    ]
    fields += [("Route", value) for value in headers.get_all("Route")]
    return Request.build("ACK", request.uri, fields)


def for_another_flow(request: Request) -> Request:
    """The request without the Contact of the flow that it was made for, to get that flow's own.

    A public GRUU leads to us whichever way we go (RFC 5627 section 4.4).
    """
    contacts = request.contacts
    if request.method not in TARGET_REFRESH or len(contacts) != 1:
        return request
    uri = contacts[0].uri
    if isinstance(uri, SipUri) and uri.parameter("gr") is not None:
        return request
    return request.without_header("Contact")


class ClientTransaction:
    """One request of ours and its responses.

    It exists before its flow does: `send_on_flow` is called when the flow is there, since only then
    can Via be written.
    """

    __slots__ = (
        "branch",
        "data",
        "fallback",
        "flow",
        "interval",
        "invite",
        "key",
        "layer",
        "original_request",
        "request",
        "source",
        "state",
        "table",
        "to",
        "user",
    )

    def __init__(
        self,
        request: Request,
        *,
        branch: str,
        to: Flow | Target,
        user: ClientUser,
        layer: TransactionLayer,
    ) -> None:
        self.request = request
        self.original_request = request
        """As the user gave it: without Via, and without the Contact that a flow brings."""
        self.fallback: Flow | None = None
        """The UDP flow to go back to when the connection that it is too long for UDP for cannot
        be made, or breaks unanswered (RFC 3261 section 18.1.1)."""
        self.branch = branch
        self.key: ClientKey = (branch, request.method)
        self.to = to
        self.user = user
        self.layer = layer
        self.flow: Flow | None = None
        self.source: str | None = None
        """The host that the latest response came from; over UDP it may be another than asked."""
        self.data = b""
        self.invite = request.method == "INVITE"
        self.table = INVITE_CLIENT if self.invite else NON_INVITE_CLIENT
        self.state = TransactionState.CALLING if self.invite else TransactionState.TRYING
        self.interval = layer.timing.t1

    def arm_timeout(self, *, now: float) -> None:
        """Arm the time-out: from here on the transaction ends by itself."""
        timeout = TransactionInput.TIMER_B if self.invite else TransactionInput.TIMER_F
        self.layer.timers.set((self, timeout), now + self.layer.timing.timeout)

    def send_on_flow(self, flow: Flow, *, now: float) -> None:
        """Put Via on the request for this flow and send it (RFC 3261 section 18.1.1, RFC 3581)."""
        self.flow = flow
        host, port = flow.local
        parameters: Parameters = (("branch", self.branch), ("rport", None))
        if self.request.method == "REGISTER" and flow.transport.reliable:
            # We would answer for this hop with CRLF pings if its other end wants them (RFC 6223).
            parameters = (*parameters, ("keep", None))
        via = Via(flow.transport.value.upper(), host, port, parameters)
        headers = self.original_request.headers.with_prepended("Via", str(via))
        if self.request.method in TARGET_REFRESH and "Contact" not in headers:
            headers = headers.with_added("Contact", self.layer.contact_value(flow, self.request))
        self.request = self.original_request.with_headers(headers)
        self.data = self.request.encode()
        self.layer.send_bytes(self.data, flow)
        if flow.transport is Transport.UDP:
            retransmit = TransactionInput.TIMER_A if self.invite else TransactionInput.TIMER_E
            self.layer.timers.set((self, retransmit), now + self.interval)

    def receive_response(self, response: Response, *, now: float) -> None:
        """A response that matches."""
        given = _INPUT_OF_CLASS.get(response.status // 100, TransactionInput.RESPONSE_FAILURE)
        self._apply_input(given, now=now, response=response)

    def handle_timer(self, name: object, *, now: float) -> None:
        """A timer of this transaction has fired."""
        if isinstance(name, TransactionInput):
            self._apply_input(name, now=now)

    def flow_failed(self, reason: str, *, now: float) -> None:
        """The flow has died, or could not be opened."""
        self._apply_input(TransactionInput.TRANSPORT_ERROR, now=now, reason=reason)

    def fall_back_to_udp(self, *, now: float) -> bool:
        """Go out over UDP after all; False where that is no way, or an answer has come already."""
        flow, self.fallback = self.fallback, None
        if flow is None or self.state not in (TransactionState.CALLING, TransactionState.TRYING):
            return False
        self.send_on_flow(flow, now=now)
        return True

    def abandon(self) -> None:
        """Give up listening (RFC 3261 section 9.1: a canceled INVITE that nobody answers)."""
        self._stop_timers()
        self.state = TransactionState.TERMINATED
        self.layer.transaction_terminated(self)
        self.user = NULL_USER

    def _apply_input(
        self,
        given: TransactionInput,
        *,
        now: float,
        response: Response | None = None,
        reason: str = "",
    ) -> None:
        before = self.state
        actions, self.state = self.table[before, given]
        for action in actions:
            if action is TransactionAction.DELIVER:
                continue
            self._run_action(action, now=now, response=response)
        if self.state is not before:
            self._state_entered()
        self._notify_user(actions, now=now, response=response, reason=reason)
        if self.state is TransactionState.TERMINATED:
            self.user = NULL_USER

    def _run_action(
        self, action: TransactionAction, *, now: float, response: Response | None
    ) -> None:
        if action is TransactionAction.SEND and self.flow is not None:
            self.layer.send_bytes(self.data, self.flow)
        elif action is TransactionAction.STOP:
            self._stop_timers()
        elif action is TransactionAction.ACK and response is not None and self.flow is not None:
            self.layer.send_bytes(ack_for_failure(self.request, response).encode(), self.flow)
        elif action in TIMERS:
            self._start_timer(action, now=now)

    def _start_timer(self, action: TransactionAction, *, now: float) -> None:
        timing = self.layer.timing
        name = TIMERS[action]
        reliable = self.flow is not None and self.flow.transport.reliable
        if action is TransactionAction.START_A:
            self.interval *= 2
            delay = self.interval
        elif action is TransactionAction.START_E:
            proceeding = self.state is TransactionState.PROCEEDING
            self.interval = timing.t2 if proceeding else min(2 * self.interval, timing.t2)
            delay = self.interval
        elif action is TransactionAction.START_M:
            delay = timing.timeout
        elif reliable:
            # Timers D and K are zero on reliable transports.
            self.state = TransactionState.TERMINATED
            return
        else:
            # Timer D is at least 32 seconds whatever T1 is (17.1.1.2).
            delay = max(32.0, timing.timeout) if action is TransactionAction.START_D else timing.t4
        self.layer.timers.set((self, name), now + delay)

    def _stop_timers(self) -> None:
        for name in _INVITE_TIMERS if self.invite else _NON_INVITE_TIMERS:
            self.layer.timers.cancel((self, name))

    def _state_entered(self) -> None:
        if self.state is TransactionState.TERMINATED:
            self.layer.transaction_terminated(self)
        elif self.state is TransactionState.ACCEPTED:
            # RFC 6026: only the key, the user and a deadline are needed from here on.
            self.data = b""
            self.layer.transaction_accepted(self)

    def _notify_user(
        self,
        actions: tuple[TransactionAction, ...],
        *,
        now: float,
        response: Response | None,
        reason: str,
    ) -> None:
        """What the user hears comes last, so that it finds the machine in its new state."""
        if TransactionAction.DELIVER in actions and response is not None:
            self.user.response_received(self, response, now=now)
        elif TransactionAction.TIMEOUT in actions:
            self.user.request_failed(self, 408, "Request Timeout", now=now)
        elif TransactionAction.FAIL in actions:
            self.user.request_failed(self, 503, reason, now=now)


_INVITE_TIMERS = timers_of(INVITE_CLIENT)
_NON_INVITE_TIMERS = timers_of(NON_INVITE_CLIENT)
