"""The agreement on media security with a registrar: mediasec (RFC 3329, 3GPP TS 24.229 7.2A.7).

Each REGISTER offers sdes-srtp (Security-Client), the server answers with its mechanisms
(Security-Server), and later requests repeat them (Security-Verify), so that an attacker on the path
cannot remove them unnoticed.  A 494 (RFC 3329 section 2.3.1) has the Security-Server that the
request must repeat: it is sent again with that, once.

The agreement is with the server itself.  A callee's responses change nothing: those that follow
ringing, and any but a challenge to another request than REGISTER.
"""

from __future__ import annotations

import re
from collections import OrderedDict

from softphone.sans_io import Flow, Target
from softphone.sip.auth.authenticator import CHALLENGES, AuthenticationRefused, Authenticator
from softphone.sip.message import Request, Response

MECHANISM = "sdes-srtp;mediasec"
LONGEST_ANSWER = 1024
"""The longest Security-Server that is repeated, in characters."""
AGREEMENT_REQUIRED = 494
MAXIMUM_TRACKED = 64
"""The maximum number of requests whose 494 is remembered, the latest ones."""
_MECHANISM = re.compile(r"[A-Za-z0-9-]+(?:\s*;\s*[A-Za-z0-9.=\"-]+)*")
_ESTABLISHING = ("REGISTER", "INVITE")


class MediaSecuritySession:
    """Adds the agreement to the requests that `inner` authenticates; implements `Authenticator`."""

    answers = CHALLENGES | {AGREEMENT_REQUIRED}

    def __init__(self, inner: Authenticator) -> None:
        self._inner = inner
        self._answers: tuple[Flow | Target | None, tuple[str, ...]] = (None, ())
        self._repeated: OrderedDict[tuple[str, str], None] = OrderedDict()

    @property
    def refusal(self) -> AuthenticationRefused | None:
        """Why the latest challenge was not answered; None when it was."""
        return self._inner.refusal

    def authorize(
        self, request: Request, response: Response, *, flow: Flow | None, alerted: bool = False
    ) -> Request | AuthenticationRefused:
        """Return the request with credentials and with the server's mechanisms, or the refusal."""
        if response.status == AGREEMENT_REQUIRED:
            if alerted:
                return AuthenticationRefused("a 494 that follows ringing is not the server's")
            return self._repeat(request, response, flow)
        answer = self._inner.authorize(request, response, flow=flow, alerted=alerted)
        if isinstance(answer, Request) or request.method == "REGISTER":
            self._learn(response, flow)
        return self._with_agreement(answer, flow) if isinstance(answer, Request) else answer

    def preauthorize(self, request: Request, *, to: Flow | Target) -> Request:
        """Return a new request with credentials and the agreement."""
        return self._with_agreement(self._inner.preauthorize(request, to=to), to)

    def note_accepted(self, request: Request, response: Response, *, flow: Flow | None) -> None:
        """Record that `request` got a response over `flow` that is no challenge."""
        if request.method == "REGISTER":
            self._learn(response, flow)
        self._repeated.pop((request.call_id, request.method), None)
        self._inner.note_accepted(request, response, flow=flow)

    def _repeat(
        self, request: Request, response: Response, flow: Flow | None
    ) -> Request | AuthenticationRefused:
        """Return the request with the mechanisms of a 494, or why it is not sent again.

        The server's mechanisms must include the one that we offer: no other is agreed to, and the
        request keeps its offer of SRTP.
        """
        key = (request.call_id, request.method)
        if key in self._repeated:
            del self._repeated[key]
            return AuthenticationRefused("the server refuses the agreement that it asked for")
        offered = self._learn(response, flow)
        if not any(_bare(one) == MECHANISM for one in offered):
            return AuthenticationRefused(
                f"the server demands a security agreement, and offers no {MECHANISM}"
            )
        self._repeated[key] = None
        while len(self._repeated) > MAXIMUM_TRACKED:
            self._repeated.popitem(last=False)
        return self._with_agreement(request, flow)

    def _learn(self, response: Response, flow: Flow | None) -> list[str]:
        """Store the Security-Server of a verified server; ignore a malformed or too long one.

        Return its mechanisms, as written.
        """
        values = tuple(response.headers.get_all("Security-Server"))
        if flow is None or flow.identity is None or not values:
            return []
        each = [one.strip() for value in values for one in value.split(",")]
        well = all(_MECHANISM.fullmatch(one) for one in each)
        if sum(map(len, values)) > LONGEST_ANSWER or not well:
            return []
        self._answers = flow, values
        return each

    def _with_agreement(self, request: Request, to: Flow | Target | None) -> Request:
        if request.method not in _ESTABLISHING:
            return request
        place, answers = self._answers
        known = answers if place is not None and place == to else ()
        if request.method == "REGISTER":
            request = request.with_header("Security-Client", MECHANISM)
        if known:
            request = request.with_header("Security-Verify", *known)
        elif request.method == "INVITE":
            return request
        for name in ("Require", "Proxy-Require"):
            tags = request.headers.get_all(name)
            if not any("mediasec" in tag for tag in tags):
                request = request.with_header(name, *tags, "mediasec")
        return request


def _bare(mechanism: str) -> str:
    """Return a mechanism in lower case, without blanks and without parameters but mediasec."""
    name, *parameters = mechanism.lower().replace(" ", "").split(";")
    return f"{name};mediasec" if "mediasec" in parameters else name
