"""Which liveness probe a flow deserves, and when (RFC 5626 sections 3.5, 4.4 and 5.4; RFC 6223).

A missing answer to a CRLF ping says something only where the registrar agreed to answer: by
outbound with Flow-Timer, or by `keep`.  Elsewhere the probe is an OPTIONS request, answered by
any response at all.  The machine decides; the endpoint sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from softphone.sans_io import Entropy, Transport, random_share

DEFAULT_INTERVAL = 120.0
"""The longest time between pings where no Flow-Timer is given (RFC 5626 section 4.4.1)."""
SHORTEST_INTERVAL = 5.0
"""What a smaller Flow-Timer or keep counts as: a peer does not make us flood it."""


class Probe(Enum):
    """How a flow is probed."""

    CRLF = "crlf"
    OPTIONS = "options"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class KeepAliveTerms:
    """What the registrar agreed to in its 2xx, as far as it did.

    `outbound`: it used outbound, by option tag in Require; `flow_timer`: its Flow-Timer in
    seconds; `keep`: the value of keep in our own Via as it came back, in seconds, where 0 states
    no time (RFC 6223 section 4.3).
    """

    outbound: bool = False
    flow_timer: float | None = None
    keep: float | None = None


@dataclass(frozen=True, slots=True)
class KeepAliveConfig:
    """Times in seconds.

    `pong_timeout` is RFC 5626's; `options_interval` and `datagram_interval` are the longest times
    between OPTIONS requests on stream and UDP flows where pings were not agreed (0: no probe
    there); `options_timeout` is how long any response may take.
    """

    pong_timeout: float = 10.0
    options_interval: float = 120.0
    options_timeout: float = 32.0
    datagram_interval: float = 30.0


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """Send this probe on the flow now; its answer is awaited from now on."""

    probe: Probe


@dataclass(frozen=True, slots=True)
class FlowDead:
    """The flow did not answer its probe and is to be replaced."""

    reason: str


KeepAliveEvent: TypeAlias = ProbeDue | FlowDead


class KeepAlive:
    """The probes of one flow, at random times in the last fifth of each interval."""

    def __init__(
        self,
        *,
        transport: Transport,
        entropy: Entropy,
        now: float,
        terms: KeepAliveTerms | None = None,
        config: KeepAliveConfig | None = None,
    ) -> None:
        self._transport = transport
        self._entropy = entropy
        self._config = config or KeepAliveConfig()
        self._probe = Probe.NONE
        self._interval = 0.0
        self._due: float | None = None
        self._awaited_until: float | None = None
        self.apply_terms(terms or KeepAliveTerms(), now=now)

    @property
    def probe(self) -> Probe:
        """The probe in force."""
        return self._probe

    @property
    def interval(self) -> float:
        """The longest time between two probes, in seconds; 0 when there are none."""
        return self._interval

    def apply_terms(self, terms: KeepAliveTerms, *, now: float) -> None:
        """Take the terms of a new 2xx; what is not changed by them goes on as it was."""
        before = (self._probe, self._interval)
        self._probe, self._interval = self._choose_probe(terms)
        if (self._probe, self._interval) != before:
            self._awaited_until = None
            self._schedule(now)

    def note_activity(self, *, now: float) -> None:
        """The peer showed itself: a pong, a response, or any message on the flow.

        Pings go on in their time, since they keep the far end's timer and a NAT open as well.
        """
        if self._awaited_until is not None or self._probe is Probe.OPTIONS:
            self._awaited_until = None
            self._schedule(now)

    def next_timer(self) -> float | None:
        """The earliest deadline, or None."""
        return self._awaited_until if self._awaited_until is not None else self._due

    def handle_timer(self, *, now: float) -> KeepAliveEvent | None:
        """What is due at `now`, one thing at a time; call until None."""
        if self._awaited_until is not None:
            if self._awaited_until > now:
                return None
            self._awaited_until = self._due = None
            return FlowDead(self._reason())
        if self._due is None or self._due > now:
            return None
        crlf = self._probe is Probe.CRLF
        timeout = self._config.pong_timeout if crlf else self._config.options_timeout
        self._due = None
        self._awaited_until = now + timeout
        return ProbeDue(self._probe)

    def _choose_probe(self, terms: KeepAliveTerms) -> tuple[Probe, float]:
        stated = [time for time in (terms.flow_timer, terms.keep) if time]
        if self._transport.reliable and (terms.outbound or terms.keep is not None):
            return Probe.CRLF, max(min(stated, default=DEFAULT_INTERVAL), SHORTEST_INTERVAL)
        # Over UDP what outbound and keep agree to is STUN (RFC 5626 section 4.4.2), which is not
        # spoken here; an OPTIONS request holds the NAT's binding just as well.
        config = self._config
        usual = config.options_interval if self._transport.reliable else config.datagram_interval
        if usual <= 0:
            return Probe.NONE, 0.0
        return Probe.OPTIONS, max(min([usual, *stated]), SHORTEST_INTERVAL)

    def _schedule(self, now: float) -> None:
        """The next probe, after 80 to 100 % of the interval (RFC 5626 section 4.4)."""
        if self._probe is Probe.NONE:
            self._due = None
            return
        share = random_share(self._entropy)
        self._due = now + self._interval * (0.8 + 0.2 * share)

    def _reason(self) -> str:
        if self._probe is Probe.CRLF:
            return f"no pong within {self._config.pong_timeout:g} s of a ping"
        return f"no response within {self._config.options_timeout:g} s of an OPTIONS request"
