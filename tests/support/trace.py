"""Traces of RTP packets played through a jitter buffer, in virtual time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from softphone.media.playout import FrameStatus, JitterBufferBank
from softphone.media.playout.jitter_buffer import JitterBufferConfig, PlayoutFrames, ReceivedPackets

FRAME = 0.02
HEADER = 12


@dataclass(frozen=True, order=True)
class Sent:
    """One packet: when it arrives, and what it says; `mark` is repeated in its payload."""

    arrival: float
    sequence: int
    timestamp: int
    mark: int = 0
    ssrc: int = 7
    size: int = 160
    payload_type: int = 0


def talk(
    count: int, *, start: float = 0.0, sequence: int = 0, timestamp: int = 0, ssrc: int = 7
) -> list[Sent]:
    """Packets of 20 ms at 8,000 Hz without any loss or jitter."""
    return [
        Sent(start + FRAME * k, sequence + k, timestamp + 160 * k, (sequence + k) & 0xFF, ssrc)
        for k in range(count)
    ]


def delayed(packets: Iterable[Sent], delays: Sequence[float]) -> list[Sent]:
    """The packets, each later by its delay."""
    return [
        replace(packet, arrival=packet.arrival + delay)
        for packet, delay in zip(packets, delays, strict=True)
    ]


def arrivals(row: int | Sequence[int], packets: Sequence[Sent]) -> ReceivedPackets:
    """The packets as arrays."""
    count = len(packets)
    width = HEADER + max((packet.size for packet in packets), default=0)
    data = np.zeros((count, width), dtype=np.uint8)
    for at, packet in enumerate(packets):
        data[at, HEADER:] = packet.mark
    return ReceivedPackets(
        row=np.broadcast_to(np.asarray(row, dtype=np.int32), (count,)),
        sequence=np.array([packet.sequence % (1 << 16) for packet in packets], dtype=np.uint16),
        timestamp=np.array([packet.timestamp % (1 << 32) for packet in packets], dtype=np.uint32),
        ssrc=np.array([packet.ssrc for packet in packets], dtype=np.uint32),
        payload_type=np.array([packet.payload_type for packet in packets], dtype=np.uint8),
        data=data,
        offset=np.full(count, HEADER, dtype=np.int32),
        length=np.array([packet.size for packet in packets], dtype=np.int32),
        arrival=np.array([packet.arrival for packet in packets]),
    )


@dataclass
class Played:
    """What came out: a status, a mark (None unless played) and a delay for each frame."""

    bank: JitterBufferBank
    status: list[FrameStatus] = field(default_factory=list)
    marks: list[int | None] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    targets: list[float] = field(default_factory=list)

    def count(self, name: str) -> int:
        """One of the bank's counters."""
        return int(getattr(self.bank, name)[0])

    @property
    def heard(self) -> list[int]:
        """The marks that were played."""
        return [mark for mark in self.marks if mark is not None]

    def longest_gap(self) -> int:
        """Frames of the longest stretch without sound, between sounds."""
        text = "".join("x" if status == FrameStatus.PLAYED else "." for status in self.status)
        return max((len(gap) for gap in text.strip(".").split("x")), default=0)


def opened(config: JitterBufferConfig | None = None, rows: int = 1) -> JitterBufferBank:
    """A bank whose rows play G.711 in frames of 20 ms."""
    bank = JitterBufferBank(rows, config)
    for row in range(rows):
        bank.open_row(row, clock_rate_hz=8000, frame_ticks=160, octets_per_tick=1, silence=0xFF)
    return bank


def frames_of(
    bank: JitterBufferBank, packets: Iterable[Sent], seconds: float, *, phase: float = 0.0075
) -> Iterator[tuple[int, PlayoutFrames]]:
    """Put packets in as they arrive and take a frame every 20 ms, `phase` after the beginning."""
    waiting = sorted(packets)
    done = 0
    for tick in range(round(seconds / FRAME)):
        now = tick * FRAME + phase
        until = done
        while until < len(waiting) and waiting[until].arrival <= now:
            until += 1
        if until > done:
            bank.insert_packets(arrivals(0, waiting[done:until]))
            done = until
        yield tick, bank.next_frames(slice(0, 1), now=now)


def sound_of(bank: JitterBufferBank, frames: PlayoutFrames, octets: int = 160) -> NDArray[np.uint8]:
    """The payload of row 0, uint8[0] unless it plays."""
    if frames.status[0] != FrameStatus.PLAYED:
        return np.zeros(0, dtype=np.uint8)
    return bank.payload(np.array([0], dtype=np.int32), frames.slot[:1], octets)[0]


def play(
    packets: Iterable[Sent],
    seconds: float,
    *,
    phase: float = 0.0075,
    bank: JitterBufferBank | None = None,
) -> Played:
    """Play packets for `seconds` and note what came out."""
    played = Played(bank or opened())
    for _, frames in frames_of(played.bank, packets, seconds, phase=phase):
        sound = sound_of(played.bank, frames)
        played.status.append(FrameStatus(int(frames.status[0])))
        played.marks.append(int(sound[0]) if sound.size else None)
        played.delays.append(float(played.bank.playout_delay(slice(0, 1))[0]))
        played.targets.append(float(played.bank.target_delay(slice(0, 1))[0]))
    return played
