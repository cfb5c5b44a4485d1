"""Sequence numbers, loss and jitter of one source (RFC 3550 sections 6.4.1, A.1, A.3 and A.8).

For one source, in the lab, tests and single streams; `softphone.media.bank.reception` does the
same for many streams in arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

MAX_DROPOUT = 3000
MAX_MISORDER = 100
MIN_SEQUENTIAL = 2
SEQUENCE_MODULUS = 1 << 16
LEAST_LOST, MOST_LOST = -(1 << 23), (1 << 23) - 1


class SequenceStatus(Enum):
    """The verdict on a packet's sequence number (RFC 3550 A.1)."""

    PROBATION = "probation"
    VALID = "valid"
    RESTARTED = "restarted"
    REORDERED = "reordered"
    SUSPECT = "suspect"

    @property
    def counts_as_received(self) -> bool:
        """Whether the packet belongs to the valid source."""
        return self not in (SequenceStatus.PROBATION, SequenceStatus.SUSPECT)


def extend(value: int, reference: int, bits: int) -> int:
    """Return the number nearest to `reference` whose lower `bits` bits are `value`."""
    half = 1 << (bits - 1)
    return reference + ((value - reference + half) & ((1 << bits) - 1)) - half


@dataclass(frozen=True, slots=True)
class ReceptionSnapshot:
    """The fields of a report block about one source (RFC 3550 section 6.4.1).

    `fraction_lost` is in 1/256 (0 to 255), `cumulative_lost` is clamped to 24 bits signed,
    `highest_sequence` is the 32-bit extended number, `jitter` is in timestamp units.
    """

    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int


class ReceptionStatistics:
    """The reception state of one source: call `record_packet` for each packet.

    `report` gives the fields of a report block.  The source is valid after `MIN_SEQUENTIAL`
    packets in sequence; `trusted` (an authenticated source) skips the probation.
    """

    def __init__(self, *, clock_rate_hz: int, trusted: bool = False) -> None:
        self._rate = clock_rate_hz
        self._probation = 0 if trusted else MIN_SEQUENTIAL
        self._started = False
        self._bad_sequence: int | None = None
        self._transit: float | None = None
        self._timestamp = 0
        self.base_sequence = 0
        self.highest_sequence = 0
        self.received = 0
        self.jitter = 0.0
        self._expected_prior = 0
        self._received_prior = 0

    @property
    def valid(self) -> bool:
        """Whether the source has passed its probation."""
        return self._started and not self._probation

    @property
    def expected(self) -> int:
        """The packets sent by the source, computed from its sequence numbers (A.3)."""
        return self.highest_sequence - self.base_sequence + 1 if self.received else 0

    @property
    def cumulative_lost(self) -> int:
        """Packets expected minus packets received; duplicates may make it negative (A.3)."""
        return self.expected - self.received

    def record_packet(self, sequence_number: int, timestamp: int, *, now: float) -> SequenceStatus:
        """Count a packet that arrived at `now`; return the verdict on its sequence number."""
        arrival = self._update_sequence(sequence_number)
        if arrival.counts_as_received:
            self.received += 1
            self._update_jitter(timestamp, now, restarted=arrival is SequenceStatus.RESTARTED)
        return arrival

    def _update_sequence(self, sequence_number: int) -> SequenceStatus:
        if not self._started:
            self._init_sequence(sequence_number)
            if not self._probation:
                return SequenceStatus.VALID
            self._probation = MIN_SEQUENTIAL - 1
            return SequenceStatus.PROBATION
        if self._probation:
            return self._update_probation(sequence_number)
        ahead = (sequence_number - self.highest_sequence) % SEQUENCE_MODULUS
        if ahead == 0:
            return SequenceStatus.REORDERED
        if ahead < MAX_DROPOUT:
            self.highest_sequence += ahead
            return SequenceStatus.VALID
        if ahead > SEQUENCE_MODULUS - MAX_MISORDER:
            return SequenceStatus.REORDERED
        # A very large jump: the other side has restarted if the next packet confirms it.
        if sequence_number == self._bad_sequence:
            self._init_sequence(sequence_number)
            return SequenceStatus.RESTARTED
        self._bad_sequence = (sequence_number + 1) % SEQUENCE_MODULUS
        return SequenceStatus.SUSPECT

    def _update_probation(self, sequence_number: int) -> SequenceStatus:
        in_sequence = sequence_number == (self.highest_sequence + 1) % SEQUENCE_MODULUS
        self.highest_sequence = sequence_number
        if not in_sequence:
            self._probation = MIN_SEQUENTIAL - 1
            return SequenceStatus.PROBATION
        self._probation -= 1
        if self._probation:
            return SequenceStatus.PROBATION
        self._init_sequence(sequence_number)
        return SequenceStatus.VALID

    def _init_sequence(self, sequence_number: int) -> None:
        self._started = True
        self.base_sequence = self.highest_sequence = sequence_number
        self._bad_sequence = None
        self.received = 0
        self._expected_prior = self._received_prior = 0

    def _update_jitter(self, timestamp: int, now: float, *, restarted: bool) -> None:
        came = now * self._rate
        if self._transit is not None and not restarted:
            ticks = extend(timestamp, self._timestamp, 32) - self._timestamp
            variation = abs(came - self._transit - ticks)
            self.jitter += (variation - self.jitter) / 16.0
        self._transit = came
        self._timestamp = timestamp

    def report(self) -> ReceptionSnapshot:
        """Return the fields of a report block and begin the next reporting interval (A.3)."""
        expected = self.expected
        expected_interval = expected - self._expected_prior
        lost_interval = expected_interval - (self.received - self._received_prior)
        self._expected_prior = expected
        self._received_prior = self.received
        fraction = 0
        if expected_interval > 0 and lost_interval > 0:
            fraction = min((lost_interval << 8) // expected_interval, 255)
        return ReceptionSnapshot(
            fraction_lost=fraction,
            cumulative_lost=max(LEAST_LOST, min(MOST_LOST, self.cumulative_lost)),
            highest_sequence=self.highest_sequence & 0xFFFFFFFF,
            jitter=int(self.jitter),
        )
