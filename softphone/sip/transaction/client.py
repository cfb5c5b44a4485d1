"""Client transactions (RFC 3261 section 17.1, RFC 6026).

The tables of `softphone.sip.transaction.tables` define their transitions.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Protocol, TypeAlias

from softphone.sans_io import Flow, Target, Transport
from softphone.sip.message import Request, Response, SessionId, SipUri
from softphone.sip.transaction.tables import (
    INVITE_CLIENT,
    NON_INVITE_CLIENT,
    TIMERS,
    TransactionAction,
    TransactionInput,
    TransactionState,
    timers_of,
)
from softphone.sip.transport import via_value

if TYPE_CHECKING:
    from softphone.sip.transaction.layer import TransactionLayer

ClientKey: TypeAlias = tuple[str, str]
"""The branch and the CSeq method (RFC 3261 section 17.1.3).

The sent-by of Via is not compared: the branch is random, and the flow is checked."""
TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Methods whose requests must carry a Contact (RFC 3261 12.2.1.1, RFC 3311, 6665, 3515)."""

_INPUT_OF_CLASS = {1: TransactionInput.RESPONSE_1XX, 2: TransactionInput.RESPONSE_2XX}


class ClientUser(Protocol):
    """The transaction user of a client transaction."""

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """Handle a response that the transaction passes up, provisional or final."""

    def request_failed(
        self, transaction: ClientTransaction, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Handle the lack of a final response.

        `status_hint` is 408 after timer B or F, 503 when the flow failed or did not open.
        """


class _NullUser:
    """A `ClientUser` that ignores every report."""

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """Ignore the response."""

    def request_failed(
        self, transaction: ClientTransaction, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Ignore the failure."""


NULL_USER = _NullUser()
"""The user of a transaction without a real one, or that has ended.

An ended transaction does not keep its former user alive."""


def ack_for_failure(request: Request, response: Response) -> Request:
    """Build the ACK for a 300-699 response to INVITE `request` (RFC 3261 section 17.1.1.3).

    Session-ID, if the INVITE has it, names the responder as it named itself (RFC 7989 section 6).
    """
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
    ours, theirs = request.session_id, response.session_id
    if ours is not None:
        known = ours if theirs is None else SessionId(ours.local, theirs.local)
        fields.append(("Session-ID", str(known)))
    return Request.build("ACK", request.uri, fields)


def for_another_flow(request: Request) -> Request:
    """Return the request without its Contact, so that the next flow adds its own.

    Requests of methods outside `TARGET_REFRESH`, or without exactly one Contact, stay unchanged.
    A GRUU stays, too: it reaches us over any flow (RFC 5627 section 4.4).
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

    May be created before its flow is open: `send_on_flow` adds the Via, which names the flow's
    local address, and sends the request.
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
        """The request as the user passed it, before the flow added Via and Contact."""
        self.fallback: Flow | None = None
        """The UDP flow of a request that is sent over TCP for its size.

        Used when the TCP connection fails before an answer (RFC 3261 section 18.1.1)."""
        self.branch = branch
        self.key: ClientKey = (branch, request.method)
        self.to = to
        self.user = user
        self.layer = layer
        self.flow: Flow | None = None
        self.source: str | None = None
        """The host that sent the latest response; over UDP it may differ from the flow's host."""
        self.data = b""
        self.invite = request.method == "INVITE"
        self.table = INVITE_CLIENT if self.invite else NON_INVITE_CLIENT
        self.state = TransactionState.CALLING if self.invite else TransactionState.TRYING
        self.interval = layer.timing.t1

    def arm_timeout(self, *, now: float) -> None:
        """Start timer B or F, after which the transaction ends without a response."""
        timeout = TransactionInput.TIMER_B if self.invite else TransactionInput.TIMER_F
        self.layer.timers.set((self, timeout), now + self.layer.timing.timeout)

    def send_on_flow(self, flow: Flow, *, now: float) -> None:
        """Add Via, and Contact where one is missing, for this flow and send the request.

        RFC 3261 section 18.1.1, RFC 3581.
        """
        self.flow = flow
        via = via_value(flow, self.branch)
        if self.request.method == "REGISTER" and flow.transport.reliable:
            # Offers to send CRLF pings to the next hop, if it wants them (RFC 6223).
            via = f"{via};keep"
        request = self.original_request
        if request.method in TARGET_REFRESH and "Contact" not in request.headers:
            request = request.with_header("Contact", self.layer.contact_value(flow, request))
        self.request = request.with_via(via)
        self.data = self.request.encode()
        self.layer.send_bytes(self.data, flow)
        if flow.transport is Transport.UDP:
            retransmit = TransactionInput.TIMER_A if self.invite else TransactionInput.TIMER_E
            self.layer.timers.set((self, retransmit), now + self.interval)

    def receive_response(self, response: Response, *, now: float) -> None:
        """Handle a response that matches this transaction."""
        given = _INPUT_OF_CLASS.get(response.status // 100, TransactionInput.RESPONSE_FAILURE)
        self._apply_input(given, now=now, response=response)

    def handle_timer(self, name: object, *, now: float) -> None:
        """Handle the expiry of timer `name`."""
        if isinstance(name, TransactionInput):
            self._apply_input(name, now=now)

    def flow_failed(self, reason: str, *, now: float) -> None:
        """Handle a flow that has closed or could not be opened."""
        self._apply_input(TransactionInput.TRANSPORT_ERROR, now=now, reason=reason)

    def fall_back_to_udp(self, *, now: float) -> bool:
        """Send the request over the UDP flow `fallback`.

        Returns False without such a flow, or when a response has already arrived.
        """
        flow, self.fallback = self.fallback, None
        if flow is None or self.state not in (TransactionState.CALLING, TransactionState.TRYING):
            return False
        self.send_on_flow(flow, now=now)
        return True

    def abandon(self) -> None:
        """End without a report to the user.

        For a canceled INVITE that gets no final response (RFC 3261 section 9.1).
        """
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
        self._run_actions(actions, now=now, response=response)
        ended = self.state is TransactionState.TERMINATED
        if ended:
            self.layer.transaction_terminated(self)
        elif self.state is not before and self.state is TransactionState.ACCEPTED:
            # RFC 6026: from now on only the key, the user and a deadline are needed.
            self.data = b""
            self.layer.transaction_accepted(self)
        # The user comes last, so that it sees the transaction in its new state.
        if TransactionAction.DELIVER in actions and response is not None:
            self.user.response_received(self, response, now=now)
        elif TransactionAction.TIMEOUT in actions:
            self.user.request_failed(self, 408, "Request Timeout", now=now)
        elif TransactionAction.FAIL in actions:
            self.user.request_failed(self, 503, reason, now=now)
        if ended:
            self.user = NULL_USER

    def _run_actions(
        self, actions: tuple[TransactionAction, ...], *, now: float, response: Response | None
    ) -> None:
        for action in actions:
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
        names = _INVITE_TIMERS if self.invite else _NON_INVITE_TIMERS
        self.layer.timers.cancel(*zip(repeat(self), names))


_INVITE_TIMERS = timers_of(INVITE_CLIENT)
_NON_INVITE_TIMERS = timers_of(NON_INVITE_CLIENT)
