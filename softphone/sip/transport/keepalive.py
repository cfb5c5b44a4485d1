"""Chooses and times the keep-alive probes of a flow (RFC 5626 3.5, 4.4 and 5.4; RFC 6223).

A CRLF ping is used only where the registrar agreed to answer it, by outbound or by `keep`:
elsewhere a missing pong proves nothing.  The other probe is an OPTIONS request, which any response
answers.  This module decides; the endpoint sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from softphone.sans_io import Entropy, Transport, random_share

DEFAULT_INTERVAL = 120.0
"""Seconds between pings at most, where no Flow-Timer is given (RFC 5626 section 4.4.1)."""
SHORTEST_INTERVAL = 5.0
"""The lower bound of an interval in seconds, so that no Flow-Timer or keep makes us flood."""


class Probe(Enum):
    """The kind of probe on a flow."""

    CRLF = "crlf"
    OPTIONS = "options"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class KeepAliveTerms:
    """The keep-alive terms in a registrar's 2xx.

    `outbound`: Require has the option tag outbound.  `flow_timer`: the Flow-Timer in seconds.
    `keep`: the value of keep in our Via as returned, in seconds; 0 states no time (RFC 6223
    section 4.3).
    """

    outbound: bool = False
    flow_timer: float | None = None
    keep: float | None = None


@dataclass(frozen=True, slots=True)
class KeepAliveConfig:
    """Keep-alive times in seconds.

    `pong_timeout` is the wait for a pong (RFC 5626 section 4.4.1).  `options_interval` and
    `datagram_interval` are the longest times between OPTIONS requests on stream and UDP flows
    where no pings are agreed; 0 turns the probe off.  `options_timeout` is the wait for a response.
    """

    pong_timeout: float = 10.0
    options_interval: float = 120.0
    options_timeout: float = 32.0
    datagram_interval: float = 30.0


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """Tells the endpoint to send this probe now; the time-out for its answer is running."""

    probe: Probe


@dataclass(frozen=True, slots=True)
class FlowDead:
    """Tells the endpoint to replace the flow: its probe was not answered."""

    reason: str


KeepAliveEvent: TypeAlias = ProbeDue | FlowDead


class KeepAlive:
    """Schedules the probes of one flow, each after 80 to 100 % of the interval, at random."""

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
        self._awaiting = False
        self.deadline: float | None = None
        """The time of the next probe, or the end of the wait for an answer; None for neither."""
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
        """Apply the terms of a new 2xx.

        Where probe and interval stay the same, the running timers do, too.
        """
        before = (self._probe, self._interval)
        self._probe, self._interval = self._choose_probe(terms)
        if (self._probe, self._interval) != before:
            self._schedule(now)

    def note_activity(self, *, now: float) -> None:
        """Record a pong, a response or any other message from the peer.

        Ends the wait for an answer and delays the next OPTIONS request.  Pings keep their times,
        since they also serve the peer's flow timer and the NAT binding.
        """
        if self._awaiting or self._probe is Probe.OPTIONS:
            self._schedule(now)

    def handle_timer(self, *, now: float) -> KeepAliveEvent | None:
        """Return one event that is due at `now`; call until it returns None."""
        if self.deadline is None or self.deadline > now:
            return None
        if self._awaiting:
            self._awaiting, self.deadline = False, None
            return FlowDead(self._reason())
        crlf = self._probe is Probe.CRLF
        timeout = self._config.pong_timeout if crlf else self._config.options_timeout
        self._awaiting, self.deadline = True, now + timeout
        return ProbeDue(self._probe)

    def _choose_probe(self, terms: KeepAliveTerms) -> tuple[Probe, float]:
        stated = [time for time in (terms.flow_timer, terms.keep) if time]
        if self._transport.reliable and (terms.outbound or terms.keep is not None):
            return Probe.CRLF, max(min(stated, default=DEFAULT_INTERVAL), SHORTEST_INTERVAL)
        # Over UDP, outbound and keep mean STUN (RFC 5626 section 4.4.2), which is not implemented;
        # an OPTIONS request keeps the NAT binding open as well.
        config = self._config
        usual = config.options_interval if self._transport.reliable else config.datagram_interval
        if usual <= 0:
            return Probe.NONE, 0.0
        return Probe.OPTIONS, max(min([usual, *stated]), SHORTEST_INTERVAL)

    def _schedule(self, now: float) -> None:
        """Set the next probe to 80 to 100 % of the interval from now (RFC 5626 section 4.4)."""
        self._awaiting = False
        if self._probe is Probe.NONE:
            self.deadline = None
            return
        share = random_share(self._entropy)
        self.deadline = now + self._interval * (0.8 + 0.2 * share)

    def _reason(self) -> str:
        if self._probe is Probe.CRLF:
            return f"no pong within {self._config.pong_timeout:g} s of a ping"
        return f"no response within {self._config.options_timeout:g} s of an OPTIONS request"
