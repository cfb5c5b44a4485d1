"""The configuration of an `Endpoint`: capabilities, timers and bounds, fixed for its lifetime."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from softphone.sip.message import MessageLimits


@dataclass(frozen=True)
class Timing:
    """The base timers of RFC 3261 section 17 (table 4), in seconds."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0

    @cached_property
    def timeout(self) -> float:
        """64*T1: timers B, F, H, J, L and M."""
        return 64 * self.t1


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """Capabilities, timers and bounds of one endpoint.

    `allow`, `supported`, `accept` and `events` are sent in Allow, Supported, Accept and
    Allow-Events; requests for anything else are refused (405, 420, 415, 489).  `events` are the
    packages that we notify of (RFC 6665 section 8.2.1); "refer" belongs to REFER.  `schemes` and
    `users` are the accepted schemes (else 416) and user parts (else 404) of a Request-URI; `users`
    () accepts all.  Times are in seconds, sizes in bytes.
    """

    user_agent: str = ""
    allow: tuple[str, ...] = (
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "PRACK",
        "UPDATE",
        "INFO",
        "REFER",
        "NOTIFY",
        "SUBSCRIBE",
        "MESSAGE",
    )
    supported: tuple[str, ...] = ("100rel", "timer", "replaces", "norefersub")
    accept: tuple[str, ...] = ("application/sdp",)
    message_types: tuple[str, ...] = (
        "text/plain",
        "text/html",
        "message/cpim",
        "message/imdn+xml",
        "application/im-iscomposing+xml",
    )
    """Media types accepted in a MESSAGE, also for each part of a multipart body; () allows all."""
    session_types: tuple[str, ...] = ("application/sdp",)
    """Media types of session descriptions: bodies of these take part in offer and answer."""
    events: tuple[str, ...] = ("refer", "message-summary", "dialog")
    schemes: tuple[str, ...] = ("sip", "sips")
    users: tuple[str, ...] = ()
    answer_options: bool = True
    """Whether OPTIONS outside a dialog is answered 200 with our capabilities and not reported."""
    timing: Timing = field(default_factory=Timing)
    limits: MessageLimits = field(default_factory=MessageLimits)
    session_expires: float = 1800.0
    """The session interval to ask for as UAS (RFC 4028 section 9); 0 asks for none."""
    min_se: float = 90.0
    """The shortest session interval accepted (Min-SE, RFC 4028 section 5)."""
    trying_delay: float = 0.2
    """How long an INVITE waits for the application before 100 Trying is sent (17.2.1)."""
    timer_c: float = 180.0
    """Timer C: the longest wait of our INVITE after a provisional response (RFC 3261 section 16.6).

    Then it is canceled and fails with 408.  The first provisional response starts the timer and
    each later one but 100 restarts it.  0: no limit."""
    answer_timeout: float = 180.0
    """How long an incoming INVITE may go unanswered before 480 (RFC 3261 section 13.3.1.1)."""
    response_timeout: float = 32.0
    """How long the application may take to answer any other request before 408 is sent."""
    max_transactions: int = 20_000
    max_transaction_bytes: int = 1 << 26
    """The most bytes in requests of all server transactions; beyond it new ones get 503."""
    max_early_dialogs: int = 16
    max_waiting: int = 256
    """The most requests that wait for flows to open, in all; further ones fail with 503."""
    admission_rate: float = 0.0
    """New requests admitted per second on average; 0 admits all.  Others get 503 (21.5.4).

    Requests within dialogs are not counted.  Flows of strangers share one such rate; flows whose
    peer has shown that it receives at its address share another."""
    admission_burst: float = 100.0
    idle_timeout: float = 0.0
    """How long an accepted connection may have no message, transaction, dialog or registration.

    Then it is closed.  CRLF keep-alives do not count as messages.  0: no limit (RFC 3261 18)."""
    reinvite: bool = True
    """Whether we may send re-INVITE; False for far ends that do not take it."""
    retry_after: int = 5
    """The Retry-After of a 503, in seconds."""
    reliable_above: int | None = None
    """The size above which a request goes over TCP instead of UDP (1300 in 18.1.1); None: never."""
