"""What an `Endpoint` is told once and for all."""

from __future__ import annotations

from dataclasses import dataclass, field

from softphone.sip.message import MessageLimits


@dataclass(frozen=True, slots=True)
class Timing:
    """The base timers of RFC 3261 section 17 (table 4), in seconds."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0

    @property
    def timeout(self) -> float:
        """64*T1: timers B, F, H, J, L and M."""
        return 64 * self.t1


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """Capabilities, timers and bounds of one endpoint.

    `allow`, `supported`, `accept` and `events` go out in Allow, Supported, Accept and
    Allow-Events, and what is not in them is refused (405, 420, 415, 489).  `events` are the
    packages that we notify of (RFC 6665 section 8.2.1); "refer" comes with REFER.  `schemes` are
    those of a Request-URI that is served (416), `users` its user parts (404), () all.  Times are
    in seconds, sizes in bytes.
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
    """Media types that a MESSAGE may bring, each part of a multipart one; () allows all."""
    session_types: tuple[str, ...] = ("application/sdp",)
    """Media types of session descriptions: bodies of these take part in offer and answer."""
    events: tuple[str, ...] = ("refer", "message-summary", "dialog")
    schemes: tuple[str, ...] = ("sip", "sips")
    users: tuple[str, ...] = ()
    answer_options: bool = True
    """OPTIONS outside a dialog is answered 200 with our capabilities, and not reported."""
    timing: Timing = field(default_factory=Timing)
    limits: MessageLimits = field(default_factory=MessageLimits)
    session_expires: float = 1800.0
    """The interval that is asked for (RFC 4028 section 7.1)."""
    min_se: float = 90.0
    """The shortest interval that is accepted (RFC 4028 section 5)."""
    trying_delay: float = 0.2
    """How long an INVITE waits for the application before 100 Trying goes out (17.2.1)."""
    timer_c: float = 180.0
    """How long an INVITE of ours may go without a word after a provisional response other than
    100 (RFC 3261 section 16.6): then it is canceled, and fails with 408.  0: for ever."""
    answer_timeout: float = 180.0
    """How long an incoming INVITE may go unanswered before 480 (RFC 3261 section 13.3.1.1)."""
    response_timeout: float = 32.0
    """How long the application may take over any other request before 408 goes out."""
    max_transactions: int = 20_000
    max_transaction_bytes: int = 1 << 26
    """What the requests of server transactions may amount to; new ones then get 503."""
    max_early_dialogs: int = 16
    max_waiting: int = 256
    """Requests that wait for a flow to be opened, in all; further ones fail with 503."""
    admission_rate: float = 0.0
    """New requests a second that are served in the long run; 0 admits all (RFC 3261 21.5.4).
    Strangers' flows share one such rate, flows that we opened or keep have another."""
    admission_burst: float = 100.0
    idle_timeout: float = 0.0
    """How long an accepted connection without transaction, dialog or registration may go without
    a message before it is closed; pings are none.  0: for ever (RFC 3261 section 18)."""
    retry_after: int = 5
    """Seconds named in the Retry-After of a 503."""
    reliable_above: int | None = None
    """Requests longer than this go over TCP instead of UDP (18.1.1 names 1300); None: never."""
