"""Which liveness probe a flow deserves, and when (RFC 5626 sections 3.5, 4.4 and 5.4; RFC 6223).

A missing answer to a CRLF ping says something only where the registrar agreed to answer: by
outbound with Flow-Timer, or by `keep`.  Elsewhere the probe is an OPTIONS request, answered by
any response at all.  The machine decides; the endpoint sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from softphone.machine import Entropy, Transport

__all__ = ["FlowDead", "KeepAlive", "KeepAliveConfig", "Probe", "ProbeDue", "Terms"]


class Probe(Enum):
    """How a flow is probed."""

    CRLF = "crlf"
    OPTIONS = "options"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the registrar agreed to in its 2xx.

    `outbound`: it listed outbound in Require or Supported; `flow_timer`: its Flow-Timer in
    seconds; `keep`: the value of the keep parameter in our Via as it came back, in seconds.
    """

    outbound: bool = False
    flow_timer: float | None = None
    keep: float | None = None


@dataclass(frozen=True, slots=True)
class KeepAliveConfig:
    """Times in seconds.

    `pong_timeout` is RFC 5626's 10 s; `options_interval` is used where nothing was agreed (0: no
    probe there); `options_timeout` how long any response may take.
    """

    pong_timeout: float = 10.0
    options_interval: float = 90.0
    options_timeout: float = 32.0
    datagram_interval: float = 25.0


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """Send this probe on the flow now."""

    probe: Probe


@dataclass(frozen=True, slots=True)
class FlowDead:
    """The flow did not answer its probe and is to be replaced."""

    reason: str


KeepAliveEvent: TypeAlias = ProbeDue | FlowDead


class KeepAlive:
    """The probes of one flow."""

    def __init__(
        self,
        *,
        transport: Transport,
        entropy: Entropy,
        terms: Terms | None = None,
        config: KeepAliveConfig | None = None,
        now: float,
    ) -> None: ...

    @property
    def probe(self) -> Probe:
        """The probe in force."""

    def agree(self, terms: Terms, *, now: float) -> None:
        """Take new terms, after each 2xx to REGISTER."""

    def sent(self, *, now: float) -> None:
        """A probe of the kind asked for went out; its answer is awaited from now on."""

    def alive(self, *, now: float) -> None:
        """The peer showed itself: a pong, a response to the probe, or any message."""

    def next_timer(self) -> float | None:
        """The earliest deadline, or None."""

    def handle_timer(self, *, now: float) -> KeepAliveEvent | None:
        """What is due at `now`, one thing at a time; call until None."""
