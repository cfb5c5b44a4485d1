"""One request and its responses (RFC 3261 sections 8.1 and 8.2), with failover and challenges.

`Exchange` is a request of ours that is not an INVITE, with challenges answered on the way;
`ServerExchange` is one that came in and waits for the application's answer.

A server fails a request by 503, by no response at all, or by a connection that breaks; the request
then goes to the next server as a transaction of its own (RFC 3263 section 4.3, RFC 3261 section
21.5.4).  A request whose credentials were refused waits, once and not for long, for new ones that
whoever keeps the credentials fetches (RFC 6750 section 3.1).
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
    """The places of one request; the failover, which is its server's, is shared with others."""

    __slots__ = ("_failover", "_tried")

    def __init__(self, failover: Failover | None) -> None:
        self._failover = failover
        self._tried: tuple[Target, ...] = ()

    def next_target(
        self, target: Target | None, *, now: float, response: Response | None = None
    ) -> Target | None:
        """The next place when `target` did not serve the request; None: there is none left.

        `response` is what came from it, None for silence or a broken connection.
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
        """The hosts of all places."""
        targets = () if self._failover is None else self._failover.targets
        return tuple(dict.fromkeys(target.host for target in targets))


NO_FAILOVER = RequestFailover(None)
"""That of a request which has nowhere else to go, or has arrived: it remembers nothing."""


CREDENTIAL_TIMEOUT = 45.0
"""Seconds that new credentials may take; whoever keeps them gives up sooner, and says so."""

Continuation: TypeAlias = Callable[[Response, float], None]


class _WaitingChallenge(NamedTuple):
    """The challenge, and what may follow."""

    response: Response
    again: Continuation
    final: Continuation


class CredentialWait:
    """The wait of one request, which happens once; equality is identity.

    It knows its request only while that waits: the two are no ring that stays when both are over.
    """

    __slots__ = ("_layer", "_used", "_wait_list", "_waits")

    def __init__(self, layer: TransactionLayer) -> None:
        self._layer = layer
        self._wait_list: CredentialWaitList | None = None
        self._waits: _WaitingChallenge | None = None
        self._used = False

    @property
    def waiting(self) -> bool:
        """Whether the request waits now."""
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
        """Wait, if new credentials are on the way; False the second time.

        `again` is called when there are new credentials, `final` when the refusal stands, both
        with the challenge and the time.
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
        """There are new credentials."""
        waits = self._end_wait()
        if waits is not None:
            waits.again(waits.response, now)

    def credentials_lost(self, *, now: float) -> None:
        """There will be none."""
        waits = self._end_wait()
        if waits is not None:
            waits.final(waits.response, now)

    def handle_timer(self, name: object, *, now: float) -> None:
        """It has taken too long."""
        self.credentials_lost(now=now)

    def stop_waiting(self) -> None:
        """The request is not wanted any more."""
        self._end_wait()

    def _end_wait(self) -> _WaitingChallenge | None:
        if self._wait_list is not None:
            self._wait_list.remove_waiter(self)
        self._layer.waiting_for_credentials.discard(self)
        self._layer.timers.cancel((self, "patience"))
        waits, self._waits = self._waits, None
        return waits


class ExchangeUser(Protocol):
    """Who hears of an exchange's end."""

    def exchange_answered(self, exchange: Exchange, response: Response, *, now: float) -> None:
        """A response, provisional ones included; a challenge only if it cannot be answered."""

    def exchange_failed(
        self, exchange: Exchange, status_hint: int, reason: str, *, now: float
    ) -> None:
        """No final response: 408 or 503."""


def authorized(
    request: Request,
    response: Response,
    *,
    flow: Flow | None,
    credentials: Authenticator | None,
    take_sequence: Callable[[], int],
    alerted: bool = False,
) -> Request | AuthenticationRefused | None:
    """The request again with credentials and a new CSeq (22.2), or why not; None: no challenge.

    `flow` is the one that it went over; `alerted` says that a provisional response other than 100
    came before.
    """
    if credentials is None:
        return None
    if response.status not in (401, 407):
        credentials.note_accepted(request, response, flow=flow)
        return None
    answer = credentials.authorize(request, response, flow=flow, alerted=alerted)
    if not isinstance(answer, Request):
        return answer
    cseq = CSeq(take_sequence(), request.method)
    return answer.without_header("Via").with_header("CSeq", str(cseq))


class Exchange:
    """A request of ours that is not an INVITE; equality is identity."""

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
        """As it was last sent, credentials included, but without Via."""
        self.response: Response | None = None
        """The final response, once it is there."""
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
        """The flow that the request went out on, once known."""
        return self._transaction.flow if self._transaction is not None else None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where its latest response came from, and the other places that it might have gone to."""
        source = None if self._transaction is None else self._transaction.source
        return (*(() if source is None else (source,)), *self._failover.hosts)

    @property
    def _current_target(self) -> Target | None:
        return self._layer.flows.target_of(self.flow or self.to)

    def send_request(self, *, now: float, failover: Failover | None = None) -> None:
        """Send it, with credentials where they are known already.

        A place that does not serve it is followed by the next of `failover`.
        """
        self._failover = RequestFailover(failover)
        if self._credentials is not None:
            self.request = self._credentials.preauthorize(self.request, to=self.to)
        self._transaction = self._layer.send_request(self.request, to=self.to, user=self, now=now)

    def abandon(self) -> None:
        """Do not send it again should new credentials come: its answer is not wanted any more."""
        self._credential_wait.stop_waiting()

    def response_received(
        self, transaction: ClientTransaction, response: Response, *, now: float
    ) -> None:
        """Answer a challenge, or hand the response on."""
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
        """Answer a challenge, or wait for the credentials to do it with."""
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
        """There are new credentials."""
        if not self._authorize(response, now=now):
            self._deliver_response(response, now)

    def request_failed(
        self, transaction: ClientTransaction, status_hint: int, reason: str, *, now: float
    ) -> None:
        """Try the next place, or hand the failure on."""
        if transaction is self._transaction and not self._try_next_target(None, now=now):
            self._user.exchange_failed(self, status_hint, reason, now=now)

    def _try_next_target(self, response: Response | None, *, now: float) -> bool:
        """Send the same request to another place, as RFC 3263 section 4.3 has it."""
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
    """A request that came in and is answered with `endpoint.respond`; equality is identity."""

    __slots__ = ("_layer", "_transaction", "request")

    def __init__(
        self, transaction: ServerTransaction, *, layer: TransactionLayer, now: float
    ) -> None:
        self.request = transaction.request
        """As received, with received and rport in its topmost Via."""
        self._transaction = transaction
        self._layer = layer
        layer.timers.set((self, "response"), now + layer.config.response_timeout)

    @property
    def flow(self) -> Flow:
        """The flow that it came on."""
        return self._transaction.flow

    @property
    def answered(self) -> bool:
        """Whether a final response was sent, or can no longer be sent."""
        return self._transaction.answered

    @property
    def to_tag(self) -> str:
        """The tag that our responses bear."""
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
        """Answer.  Raises LocalProtocolError after a final response was sent."""
        if self._transaction.last_status >= 200:
            raise LocalProtocolError(f"the {self.request.method} has been answered already")
        self._transaction.respond(status, now=now, reason=reason, headers=headers, body=body)
        if status >= 200:
            self._layer.timers.cancel((self, "response"))

    def handle_timer(self, name: object, *, now: float) -> None:
        """The application has not answered in time."""
        if not self.answered:
            self._transaction.respond(408, now=now)
