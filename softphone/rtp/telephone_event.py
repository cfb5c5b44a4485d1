"""Telephone events: DTMF digits in RTP, both ways (RFC 4733 section 2).

The sender says, tick by tick, which packet to send; the receiver tells each digit once, however
many of its packets are lost.  Knows no RTP headers beyond timestamp and marker.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DIGITS", "EventPacket", "EventPayload", "EventReceiver", "EventSender", "ReceivedDigit"]

DIGITS = "0123456789*#ABCD"
"""The digits in the order of their event codes 0 to 15; flash is 16 and is written "!"."""


@dataclass(frozen=True, slots=True)
class EventPayload:
    """One telephone-event payload (RFC 4733 section 2.3).

    `volume` is dBm0 without its sign (0 to 63), `duration` is in timestamp units (0 to 65535).
    """

    event: int
    end: bool
    volume: int
    duration: int

    @classmethod
    def parse(cls, data: bytes) -> EventPayload:
        """Read a payload; of several events in one packet the first.  Raises MalformedPacket."""
        raise NotImplementedError

    def __bytes__(self) -> bytes:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class EventPacket:
    """What to send in this tick: the payload, and the two header fields that differ."""

    payload: bytes
    timestamp: int
    marker: bool


@dataclass(frozen=True, slots=True)
class ReceivedDigit:
    """A digit that has ended (or whose end was lost); told once."""

    digit: str
    duration_ms: float


class EventSender:
    """Sends digits one after another; `poll` once a packet time, in the place of audio."""

    def __init__(
        self, *, clock_rate_hz: int = 8000, ptime_ms: int = 20, volume: int = 10, gap_ms: int = 50
    ) -> None:
        raise NotImplementedError

    def send(self, digits: str, *, duration_ms: int = 100) -> None:
        """Queue digits: 0-9 * # A-D, "!" for flash, "," for a pause of 500 ms.

        Raises ValueError for another character, a duration below 40 ms or above 60 s, or when
        more than 256 digits would wait.
        """
        raise NotImplementedError

    @property
    def idle(self) -> bool:
        """Whether nothing is being sent and nothing waits."""
        raise NotImplementedError

    @property
    def muting(self) -> bool:
        """Whether audio gives way now (an event is under way; not in the gap between two)."""
        raise NotImplementedError

    def poll(self, timestamp: int) -> EventPacket | None:
        """The packet for the tick whose audio would have `timestamp`; None: send audio."""
        raise NotImplementedError


class EventReceiver:
    """Tells digits from the telephone-event packets of one source."""

    def __init__(self, *, clock_rate_hz: int = 8000, timeout: float = 0.2) -> None:
        raise NotImplementedError

    def receive(self, data: bytes, *, timestamp: int, now: float) -> list[ReceivedDigit]:
        """Take one payload; gives the digits that it ends.  Malformed ones are counted, dropped."""
        raise NotImplementedError

    def next_timer(self) -> float | None:
        """When a digit whose end is missing shall be taken as ended, or None."""
        raise NotImplementedError

    def handle_timer(self, *, now: float) -> list[ReceivedDigit]:
        """Gives the digit whose end was lost, when its time has come."""
        raise NotImplementedError
