"""One request and its responses (RFC 3261 sections 8.1 and 8.2), with failover and challenges.

`Exchange` is a non-INVITE request of ours and answers challenges; `ServerExchange` is a received
request that waits for the application's answer.

When a server answers 503, sends no final response, or its connection breaks, the request goes to
the next server in a new transaction (RFC 3263 section 4.3, RFC 3261 section 21.5.4).  A request
whose credentials were refused waits once, at most `CREDENTIAL_TIMEOUT` seconds, for new ones
(RFC 6750 section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, TypeAlias

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Target
from softphone.sip.auth import AuthenticationRefused, Authenticator, CredentialWaitList
from softphone.sip.message import Body, CSeq, Request, Response
from softphone.sip.transaction.client import ClientTransaction, for_another_flow
from softphone.sip.transaction.layer import TransactionLayer
from softphone.sip.transaction.server import ServerTransaction
from softphone.sip.transport import Failover


class RequestFailover:
    """The targets that one request has tried.

    `failover` belongs to the server and is shared by its requests; None means no failover.
    """

    __slots__ = ("_failover", "_tried")

    def __init__(self, failover: Failover | None) -> None:
        self._failover = failover
        self._tried: tuple[Target, ...] = ()

    def next_target(
        self, target: Target | None, *, now: float, response: Response | None = None
    ) -> Target | None:
        """Mark `target` as failed and return the next one to try; None when there is none.

        `response` is the final response of `target`, None after a time-out or a broken connection.
        Returns None for a response other than 503.
        """
        if self._failover is None or (response is not None and response.status != 503):
            return None
        if target is not None:
            wait = None if response is None else response.retry_after
            self._failover.mark_failed(
                target, now=now, retry_after=0.0 if wait is None else wait.delta
            )
            self._tried = (*self._tried, target)
        following = self._failover.choose_target(now=now)
        return None if following in self._tried else following

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of all targets of the server, without duplicates."""
        if self._failover is None:
            return ()
        return tuple(dict.fromkeys([target.host for target in self._failover.targets]))


NO_FAILOVER = RequestFailover(None)
"""The failover of a request that is sent to one target only, or that has been served."""


CREDENTIAL_TIMEOUT = 45.0
"""Seconds to wait for new credentials; the component that fetches them reports a failure sooner."""

Continuation: TypeAlias = Callable[[Response, float], None]


class _WaitingChallenge(NamedTuple):
    """The challenge and the two ways to continue: `again` with new credentials, else `final`."""

    response: Response
    again: Continuation
    final: Continuation


class CredentialWait:
    """The wait of one request for new credentials, at most once; equality is identity.

    Refers to its request only while it waits, so that no reference cycle remains afterwards.
    """

    __slots__ = ("_layer", "_used", "_wait_list", "_waits")

    def __init__(self, layer: TransactionLayer) -> None:
        self._layer = layer
        self._wait_list: CredentialWaitList | None = None
        self._waits: _WaitingChallenge | None = None
        self._used = False

    @property
    def waiting(self) -> bool:
        """Whether the request is waiting now."""
        return self._waits is not None

    def begin_wait(
        self,
        refusal: AuthenticationRefused,
        response: Response,
        *,
        again: Continuation,
        final: Continuation,
        now: float,
    ) -> bool:
        """Start to wait; returns False the second time, or when no new credentials are expected.

        Calls `again` when there are new credentials, `final` when the refusal stands, each with
        the challenge and the time.
        """
        if self._used or refusal.wait_list is None:
            return False
        self._used = True
        self._wait_list, self._waits = refusal.wait_list, _WaitingChallenge(response, again, final)
        self._wait_list.add_waiter(self)
        self._layer.waiting_for_credentials.add(self)
        self._layer.timers.set((self, "patience"), now + CREDENTIAL_TIMEOUT)
        return True

    def credentials_renewed(self, *, now: float) -> None:
        """End the wait and send the request again with the new credentials."""
        waits = self._end_wait()
        if waits is not None:
            waits.again(waits.response, now)

    def credentials_lost(self, *, now: float) -> None:
        """End the wait without new credentials; the refusal stands."""
        waits = self._end_wait()
        if waits is not None:
            waits.final(waits.response, now)

    def handle_timer(self, name: object, *, now: float) -> None:
        """End the wait after `CREDENTIAL_TIMEOUT`; the refusal stands."""
        self.credentials_lost(now=now)

    def stop_waiting(self) -> None:
        """End the wait and call nothing: the request is no longer wanted."""
        self._end_wait()

    def _end_wait(self) -> _WaitingChallenge | None:
        if self._wait_list is not None:
            self._wait_list.remove_waiter(self)
        self._layer.waiting_for_credentials.discard(self)
        self._layer.timers.cancel((self, "patience"))
        waits, self._waits = self._waits, None
        return waits


class ExchangeUser(Protocol):
    """Receives the responses or the failure of an exchange."""

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """Handle a provisional or final response; a challenge only if it cannot be answered."""

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Handle the lack of a final response; `status_hint` is 408 or 503."""


def authorized(
    request: Request,
    response: Response,
    *,
    flow: Flow | None,
    credentials: Authenticator | None,
    take_sequence: Callable[[], int],
    alerted: bool = False,
) -> Request | AuthenticationRefused | None:
    """Return the request with credentials and a new CSeq (RFC 3261 section 22.2).

    Returns AuthenticationRefused when the challenge must not or cannot be answered, None without
    credentials or when `response` is none that they answer.  `flow` carried the request; `alerted`
    says that a provisional response other than 100 preceded the challenge.
    """
    if credentials is None:
        return None
    if response.status not in credentials.answers:
        credentials.note_accepted(request, response, flow=flow)
        return None
    answer = credentials.authorize(request, response, flow=flow, alerted=alerted)
    if not isinstance(answer, Request):
        return answer
    cseq = CSeq(take_sequence(), request.method)
    return answer.without_header("Via").with_header("CSeq", str(cseq))


class Exchange:
    """A request of ours that is not an INVITE, with its responses; equality is identity."""

    __slots__ = (
        "_credential_wait",
        "_credentials",
        "_failover",
        "_layer",
        "_take_sequence",
        "_transaction",
        "_user",
        "request",
        "response",
        "to",
    )

    def __init__(
        self,
        request: Request,
        *,
        to: Flow | Target,
        layer: TransactionLayer,
        user: ExchangeUser,
        credentials: Authenticator | None = None,
        take_sequence: Callable[[], int] | None = None,
    ) -> None:
        self.request = request
        """The request as last sent, with credentials but without Via."""
        self.response: Response | None = None
        """The final response; None until it arrives."""
        self.to = to
        self._layer = layer
        self._user = user
        self._credentials = credentials
        self._take_sequence = take_sequence
        self._transaction: ClientTransaction | None = None
        self._failover = NO_FAILOVER
        self._credential_wait = CredentialWait(layer)

    @property
    def flow(self) -> Flow | None:
        """The flow that carries the request; None until it is open."""
        return self._transaction.flow if self._transaction is not None else None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host of the latest response, then the hosts of the server's other targets."""
        source = None if self._transaction is None else self._transaction.source
        return (*(() if source is None else (source,)), *self._failover.hosts)

    @property
    def _current_target(self) -> Target | None:
        return self._layer.flows.target_of(self.flow or self.to)

    def send_request(self, *, now: float, failover: Failover | None = None) -> None:
        """Send the request, with credentials where the server is known to want them.

        When a target does not serve the request, the next one of `failover` is tried.
        """
        if failover is not None:
            self._failover = RequestFailover(failover)
        if self._credentials is not None:
            self.request = self._credentials.preauthorize(self.request, to=self.to)
        self._transaction = self._layer.send_request(self.request, to=self.to, user=self, now=now)

    def abandon(self) -> None:
        """Stop waiting for new credentials, so that the request is not sent again."""
        self._credential_wait.stop_waiting()

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """Answer a challenge, try the next server after a 503, or report the response."""
        if transaction is not self._transaction:
            return
        if not response.final:
            self._user.exchange_answered(self, response, now=now)
        elif not self._authorize(response, now=now) and not self._try_next_target(
            response, now=now
        ):
            self._deliver_response(response, now)

    def _deliver_response(self, response: Response, now: float) -> None:
        self.response = response
        self._user.exchange_answered(self, response, now=now)

    def _authorize(self, response: Response, *, now: float) -> bool:
        """Answer a challenge or wait for new credentials; False when neither is possible."""
        if self._credentials is None:
            return False
        again = authorized(
            self.request if self._transaction is None else self._transaction.request,
            response,
            flow=self.flow,
            credentials=self._credentials,
            take_sequence=self._take_sequence or self._next_sequence,
        )
        if isinstance(again, AuthenticationRefused):
            return self._credential_wait.begin_wait(
                again, response, again=self._send_again, final=self._deliver_response, now=now
            )
        if again is None:
            return False
        self.request = again
        self._transaction = self._layer.send_request(again, to=self.to, user=self, now=now)
        return True

    def _send_again(self, response: Response, now: float) -> None:
        """Answer the challenge with the new credentials, or report it."""
        if not self._authorize(response, now=now):
            self._deliver_response(response, now)

    def request_failed(
        self, transaction: ClientTransaction, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Try the next target, or report the failure."""
        if transaction is self._transaction and not self._try_next_target(None, now=now):
            self._user.exchange_failed(self, status_hint, reason, now=now)

    def _try_next_target(self, response: Response | None, *, now: float) -> bool:
        """Send the same request to the next target (RFC 3263 section 4.3); False without one."""
        if self._failover is NO_FAILOVER:
            return False
        following = self._failover.next_target(self._current_target, now=now, response=response)
        if following is None:
            return False
        self.to = following
        self.request = for_another_flow(self.request)
        self._transaction = self._layer.send_request(self.request, to=following, user=self, now=now)
        return True

    def _next_sequence(self) -> int:
        return self.request.cseq.number + 1


class ServerExchange:
    """A received request that the application answers by `endpoint.respond`.

    Answered with 408 after the configured `response_timeout`.  Equality is identity.
    """

    __slots__ = ("_layer", "_transaction", "request")

    def __init__(
        self, transaction: ServerTransaction, *, layer: TransactionLayer, now: float
    ) -> None:
        self.request = transaction.request
        """The request with received and rport filled in in its topmost Via."""
        self._transaction = transaction
        self._layer = layer
        layer.timers.set((self, "response"), now + layer.config.response_timeout)

    @property
    def flow(self) -> Flow:
        """The flow that the request arrived on."""
        return self._transaction.flow

    @property
    def answered(self) -> bool:
        """Whether a final response was sent, or can no longer be sent."""
        return self._transaction.answered

    @property
    def to_tag(self) -> str:
        """The To tag of our responses."""
        return self._transaction.to_tag

    def respond(
        self,
        status: int,
        *,
        now: float,
        reason: str = "",
        headers: Iterable[tuple[str, str]] = (),
        body: Body | None = None,
    ) -> None:
        """Send a response.  Raises LocalProtocolError after a final response was sent."""
        if self._transaction.last_status >= 200:
            raise LocalProtocolError(f"the {self.request.method} has been answered already")
        self._transaction.respond(status, now=now, reason=reason, headers=headers, body=body)
        if status >= 200:
            self._layer.timers.cancel((self, "response"))

    def handle_timer(self, name: object, *, now: float) -> None:
        """Answer 408 if the application has not answered in time."""
        if not self.answered:
            self._transaction.respond(408, now=now)
