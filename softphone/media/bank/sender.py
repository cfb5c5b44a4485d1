"""The send state of each row: SSRC, sequence number, timestamp, payload types and counters.

RFC 3550 section 5.1, RFC 3711 section 3.3.1 (the first sequence number), RFC 7160 section 4 (a
change of the clock rate).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import ArrayGroup, column, count_nonzero
from softphone.media.interface import StreamSpec
from softphone.sans_io import Entropy
from softphone.srtp import FIRST_SEQUENCE_LIMIT, first_sequence, next_ssrc

Rows: TypeAlias = npt.NDArray[np.intp]

NO_TYPE: Final = 255
"""The value for no payload type; valid ones are 0 to 127."""

MARKER: Final = np.uint8(0x80)

LATENESS_BOUNDS_MS: Final = (1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 20.0, 50.0, 100.0, 200.0)
"""Upper bounds of the lateness histogram's bins; a last bin has none."""


class SenderBank(ArrayGroup):
    """The send state of `capacity` rows.

    The order of the first three counters is that of their columns in statistics; `starved` counts
    packets for which the source had too few samples.  `talking` is true within a talkspurt.
    `noise_type` is the payload type of the comfort noise that we send.
    """

    packets_sent = column(np.int64)
    octets_sent = column(np.int64)
    starved = column(np.int64)
    sequence = column(np.uint16)
    timestamp_base = column(np.uint32)
    ssrc = column(np.uint32)
    clock_rate = column(np.int64, default=8000)
    payload_type = column(np.uint8, default=NO_TYPE)
    telephone_event = column(np.uint8, default=NO_TYPE)
    noise_type = column(np.uint8, default=NO_TYPE)
    sends = column(np.bool_)
    muted = column(np.bool_)
    talking = column(np.bool_)
    lateness = column(np.int64, len(LATENESS_BOUNDS_MS) + 1)

    def begin_row(self, row: int, entropy: Entropy) -> None:
        """Reset a row, and draw a random SSRC, sequence number and timestamp."""
        self.reset_row(row)
        # RFC 3550 5.1 and RFC 3711 3.3.1: random, and the sequence number below 2^15.
        drawn = entropy(10)
        self.sequence[row] = int.from_bytes(drawn[:2], "big") % FIRST_SEQUENCE_LIMIT
        self.timestamp_base[row] = int.from_bytes(drawn[2:6], "big")
        self.ssrc[row] = int.from_bytes(drawn[6:], "big") or 1

    def change_ssrc(self, row: int, entropy: Entropy) -> None:
        """Draw a new SSRC and sequence number; the next sound begins a talkspurt."""
        self.ssrc[row] = next_ssrc(int(self.ssrc[row]), entropy)
        self.sequence[row] = first_sequence(entropy)
        self.talking[row] = False

    def set_types(self, row: int, spec: StreamSpec) -> None:
        """Set the payload types that a row sends with."""
        self.payload_type[row] = spec.payload_type
        noise, event = spec.comfort_noise, spec.telephone_event
        self.noise_type[row] = NO_TYPE if noise is None else noise
        self.telephone_event[row] = NO_TYPE if event is None else event

    def set_clock_rate(self, row: int, rate: int, elapsed_ms: int) -> None:
        """Set the RTP clock rate in Hz after `elapsed_ms` of media time; timestamps continue from
        their value under the old rate (RFC 7160 section 4)."""
        shift = elapsed_ms * (int(self.clock_rate[row]) - rate) // 1000
        self.timestamp_base[row] = (int(self.timestamp_base[row]) + shift) & 0xFFFFFFFF
        self.clock_rate[row] = rate

    def set_flow(self, row: int, sends: bool) -> None:
        """Set whether a row sends."""
        if not sends:
            self.talking[row] = False
        self.sends[row] = sends

    def set_muted(self, row: int, muted: bool) -> None:
        """Set whether silence is sent in place of the source."""
        self.muted[row] = muted

    def end_talkspurt(self, rows: int | slice | Rows) -> None:
        """Set the marker on the next sound of `rows`: a new talkspurt (RFC 3550 section 5.1)."""
        self.talking[rows] = False

    def advance(
        self, rows: Rows, milliseconds: int, noise: npt.NDArray[np.uint8] | None
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16], npt.NDArray[np.uint32]]:
        """Advance each of `rows`, k of them, by one packet at media time `milliseconds`.

        Return payload types uint8[k], with the marker as the highest bit, sequence numbers
        uint16[k] and timestamps uint32[k].  `noise` uint8[k or more] is the payload type of comfort
        noise packets, which do not begin a talkspurt; None for sound.
        """
        ticks = milliseconds * self.clock_rate[rows] // 1000 & 0xFFFFFFFF
        timestamp: npt.NDArray[np.uint32] = ticks.astype(np.uint32)
        timestamp += self.timestamp_base[rows]
        if noise is None:
            kind, talking = self.payload_type[rows], self.talking[rows]
            if count_nonzero(talking) != talking.size:
                kind[~talking] |= MARKER
                self.talking[rows] = True
        else:
            kind = noise[: rows.size]
        sequence = self.sequence[rows]
        self.sequence[rows] = sequence + np.uint16(1)
        return kind, sequence, timestamp

    def count_packets(self, rows: Rows, octets: npt.NDArray[np.int32]) -> None:
        """Count sent packets by their payload octets int32[k]; 0 means not sent."""
        self.packets_sent[rows] += 1 if count_nonzero(octets) == octets.size else octets > 0
        self.octets_sent[rows] += octets

    def count_starved(self, rows: Rows) -> None:
        """Count one starved packet of each row."""
        self.starved[rows] += 1

    def count_lateness(self, rows: Rows, late_ms: float) -> None:
        """Count one packet of each row, sent `late_ms` after its deadline."""
        self.lateness[:, bisect_left(LATENESS_BOUNDS_MS, late_ms)][rows] += 1
