"""Sequence numbers, loss and jitter of one source (RFC 3550 sections 6.4.1, A.1, A.3 and A.8).

Scalar, for the lab, tests and single streams; `softphone.media.quality` does the same for a bank.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["MAX_DROPOUT", "MAX_MISORDER", "MIN_SEQUENTIAL", "Arrival", "Reception", "extend"]

MAX_DROPOUT = 3000
MAX_MISORDER = 100
MIN_SEQUENTIAL = 2
SEQUENCE_MODULUS = 1 << 16


class Arrival(Enum):
    """What a packet's sequence number says of it (RFC 3550 A.1)."""

    PROBATION = "probation"
    VALID = "valid"
    RESTARTED = "restarted"
    REORDERED = "reordered"
    SUSPECT = "suspect"

    @property
    def counts(self) -> bool:
        """Whether the packet belongs to the valid source."""
        return self not in (Arrival.PROBATION, Arrival.SUSPECT)


def extend(value: int, reference: int, bits: int) -> int:
    """The extended number nearest to `reference` whose lower `bits` bits are `value`."""
    half = 1 << (bits - 1)
    return reference + ((value - reference + half) & ((1 << bits) - 1)) - half


@dataclass(frozen=True, slots=True)
class ReceptionSnapshot:
    """What a report block says of one source (RFC 3550 section 6.4.1).

    `fraction_lost` is the fixed-point eighth bits (0 to 255), `cumulative_lost` is clamped to 24
    bits signed, `jitter` is in timestamp units.
    """

    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int


class Reception:
    """The reception state of one source: `update` for each packet, `report` for each report.

    The source is valid after `MIN_SEQUENTIAL` packets in sequence; `trusted` (an authenticated
    source) skips the probation.
    """

    def __init__(self, *, clock_rate_hz: int, trusted: bool = False) -> None:
        raise NotImplementedError

    def update(self, sequence_number: int, timestamp: int, *, now: float) -> Arrival:
        """Take the next packet, which came at `now`."""
        raise NotImplementedError

    def report(self) -> ReceptionSnapshot:
        """The state for a report block; begins the next reporting interval (A.3)."""
        raise NotImplementedError
