"""Monitors the servers of a trunk by OPTIONS, in place of REGISTER (RFC 3261 section 11).

A carrier without registrations is asked at intervals whether it serves us.  `ServerMonitor` has the
flow, the back-off and the failover of a `Registration`, and its interface: a server that answers
counts as one that has granted a binding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from softphone.events import RegistrationChanged, RegistrationState
from softphone.sans_io import Entropy, Flow, Target, random_share
from softphone.sip.endpoint import Endpoint
from softphone.sip.message import Field, NameAddr, Request, Response, SipUri
from softphone.sip.registration.config import RegistrationConfig
from softphone.sip.registration.registration import Registration

# The server, or one behind it, does not serve now: RFC 3261 sections 21.4.9, 21.5.4 and 21.5.5.
# Any other status (404, 405, even 401) shows that the server is up.
_NOT_SERVING = frozenset({408, 503, 504})


def serves(status: int) -> bool:
    """Whether the final response to an OPTIONS request shows a server that takes calls."""
    return status not in _NOT_SERVING


class ServerMonitor(Registration):
    """Probes the server of a trunk by OPTIONS, and fails over to the next one if it does not serve.

    REGISTERED means that a server answers, RECOVERING that none does.  A server is asked
    again after 80 to 100 % of `config.keepalive.options_interval`, at random.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        config: RegistrationConfig,
        *,
        targets: Sequence[Target],
        server_of: Callable[[Target], SipUri],
        entropy: Entropy,
    ) -> None:
        """`server_of` returns the URI of the server that a target was found for.

        Raises ValueError if there are no targets.
        """
        super().__init__(endpoint, config, targets=targets, entropy=entropy)
        self._server_of = server_of
        self.judged: Target = self._target
        """The target that the latest event is about."""

    def unregister(self, *, now: float) -> None:
        """Stop probing; the flow stays open for the calls that are up."""
        if self._state is RegistrationState.UNREGISTERED:
            return
        self._opening = self._exchange = None
        self._enter_unregistered(0, "")

    def _make_contact(self, flow: Flow) -> NameAddr:
        config = self._config
        return self._endpoint.contact_for_flow(flow, config.user, secure=config.secure_contact)

    def _send_register(self, flow: Flow, now: float, *, leaving: bool = False) -> None:
        del leaving
        self._exchange = self._endpoint.send_request(self._options(flow), to=flow, now=now)

    def _options(self, flow: Flow) -> Request:
        server = self._server_of(self._target)
        to = replace(server, port=None, parameters=())
        fields: list[Field] = [
            ("From", str(self._config.aor.with_tag(self._builder.tag))),
            ("To", str(NameAddr(None, to, ()))),
            ("Contact", str(self._make_contact(flow))),
            ("Accept", "application/sdp"),
        ]
        return Request.build("OPTIONS", server, fields)

    def _judge_response(self, response: Response, now: float) -> None:
        if self._flow is None:
            # The flow ended before this response was handled: ask again.
            self._failed(503, "the connection was lost", now)
        elif serves(response.status):
            interval = self._config.keepalive.options_interval
            self.judged = self._target
            self._set_refresh(now + interval * (0.8 + 0.2 * random_share(self._entropy)))
            self._enter_served(self._flow, response, now)
        else:
            wait = response.retry_after
            self._failed(
                response.status, response.reason, now, retry_after=float(wait.delta if wait else 0)
            )

    def _failed(
        self, status: int, reason: str, now: float, *, retry_after: float | None = None
    ) -> float:
        self.judged = self._target
        wait = super()._failed(status, reason, now, retry_after=retry_after)
        # Until the next server has answered, none is known to serve.
        unanswered = retry_after is None
        if self._state is RegistrationState.REGISTERED:
            state = RegistrationState.RECOVERING
            self._enter_state(
                RegistrationChanged(state, status, reason, None, retry_after or 0.0, unanswered)
            )
        return wait
