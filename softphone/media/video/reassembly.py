"""Reorders video packets, joins them to frames, and tells which packets and key frames to request.

A small reorder buffer (RFC 3550) over a payload format of `softphone.rtp`.  Missing packets are
requested by NACK (RFC 4585).  When a packet is given up, a key frame is requested (PLI, RFC 4585;
FIR, RFC 5104), and until one arrives no other frame is delivered.  No clock here.
"""

from __future__ import annotations

from dataclasses import dataclass

from softphone.rtp import Depacketizer, EncodedFrame, RtpPacket, extend

MOST_WAITING = 512
"""The most packets that wait for an earlier one: a key frame of half a megabyte.

With more, the missing packets before the oldest waiting one are given up.
"""
MOST_JUMP = 3000
"""The largest jump of sequence numbers; beyond it, the source has restarted (RFC 3550 A.1)."""
REORDERING = 0.01
"""Seconds that a packet may be missing before it is first requested by NACK."""
PATIENCE_WITH_NACK, PATIENCE = 0.2, 0.05
"""Seconds to wait for a missing packet: with NACK, for two and a half round trips of 80 ms, and
without NACK.
"""
NACK_INTERVAL, MOST_NACKS = 0.06, 3
"""Seconds between NACKs of a missing packet, and the most NACKs for it."""
KEY_INTERVAL = 0.5
"""Seconds between key frame requests: an encoder needs time, and a key frame takes many packets."""


@dataclass(frozen=True, slots=True)
class AssembledFrame:
    """A decodable frame and its 32-bit RTP timestamp."""

    frame: EncodedFrame
    timestamp: int


@dataclass(slots=True)
class _MissingPacket:
    """A missing packet: the time since when, and the number of requests for it."""

    since: float
    asked: int = 0
    last: float = 0.0


class FrameReassembly:
    """The receiving side of one video source.

    With `nack` it waits longer for missing packets, since the source sends them again.
    """

    def __init__(self, depacketizer: Depacketizer, *, nack: bool) -> None:
        self._depacketizer = depacketizer
        self._patience = PATIENCE_WITH_NACK if nack else PATIENCE
        self._nack = nack
        self._expected: int | None = None
        self._newest = 0
        self._waiting: dict[int, RtpPacket] = {}
        self._missing: dict[int, _MissingPacket] = {}
        self._timestamp: int | None = None
        self._ssrc: int | None = None
        self._ready: list[AssembledFrame] = []
        self._needs_key = True
        self._key_asked: float | None = None
        self.frames = 0
        self.frames_dropped = 0
        self.packets_lost = 0
        self.packets_late = 0
        self.malformed = 0

    def insert_packet(self, packet: RtpPacket, *, now: float) -> None:
        """Insert a valid packet (under SRTP: an authenticated one)."""
        if self._key_asked is None:
            # A source should start with a key frame, so none is requested for KEY_INTERVAL.
            self._key_asked = now
        if packet.ssrc != self._ssrc:
            self._start_anew(packet)
        number = self._extended(packet)
        if number < (self._expected or 0) or number in self._waiting:
            self.packets_late += 1
            return
        self._waiting[number] = packet
        self._missing.pop(number, None)
        self._advance()
        self._miss(number, now)
        if len(self._waiting) > MOST_WAITING:
            self._skip()

    def _extended(self, packet: RtpPacket) -> int:
        expected = packet.sequence_number if self._expected is None else self._expected
        number = extend(packet.sequence_number, expected, 16)
        if self._expected is None or number - expected > MOST_JUMP:
            self._start_anew(packet)
            number = extend(packet.sequence_number, packet.sequence_number + 65536, 16)
            self._expected = number
        return number

    def _start_anew(self, packet: RtpPacket) -> None:
        """Drop waiting and missing packets: the source is a new one or has restarted."""
        if self._ssrc is not None:
            self._needs_key = True
            self._depacketizer.finish_frame(gap=True)
        self._ssrc, self._timestamp, self._expected = packet.ssrc, None, None
        self._newest = 0
        self._waiting.clear()
        self._missing.clear()

    def _miss(self, number: int, now: float) -> None:
        """Note the packets missing before packet `number`, once."""
        if self._expected is None:
            return
        for earlier in range(max(self._expected, self._newest), number):
            if earlier not in self._waiting:
                self._missing.setdefault(earlier, _MissingPacket(now))
        self._newest = max(self._newest, number + 1)

    # Joining

    def _advance(self, *, gap: bool = False) -> None:
        """Pass the packets that are in order to the depacketizer."""
        while self._expected is not None and self._expected in self._waiting:
            packet = self._waiting.pop(self._expected)
            self._expected += 1
            self._join(packet, gap=gap)
            gap = False

    def _join(self, packet: RtpPacket, *, gap: bool) -> None:
        if gap:
            self._needs_key = True
        if self._timestamp not in (None, packet.timestamp):
            self._finish(gap=gap)
        if not packet.payload and not gap:
            # Padding keeps a path open and belongs to no frame.
            return
        self._timestamp = packet.timestamp
        if self._depacketizer.add_payload(packet.payload, gap=gap) is not None:
            self.malformed += 1
        if packet.marker:
            self._finish(gap=False)

    def _finish(self, *, gap: bool) -> None:
        timestamp, self._timestamp = self._timestamp, None
        frame = self._depacketizer.finish_frame(gap=gap)
        if frame is None or timestamp is None:
            return
        if not frame.complete:
            self._needs_key = True
        if frame.complete and (frame.key or not self._needs_key):
            self._needs_key = False
            self.frames += 1
            self._ready.append(AssembledFrame(frame, timestamp))
        else:
            self.frames_dropped += 1

    def _skip(self) -> None:
        """Give up the packets missing before the oldest waiting one."""
        if not self._waiting or self._expected is None:
            return
        oldest = min(self._waiting)
        self.packets_lost += oldest - self._expected
        for number in range(self._expected, oldest):
            self._missing.pop(number, None)
        self._expected = oldest
        self._advance(gap=True)

    # Results

    def handle_timer(self, *, now: float) -> None:
        """Give up packets that have been missing for too long."""
        while self._missing and now - next(iter(self._missing.values())).since >= self._patience:
            self._skip()

    def take_frames(self) -> list[AssembledFrame]:
        """Remove and return the decodable frames since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def take_lost(self, *, now: float) -> tuple[int, ...]:
        """Return the 16-bit sequence numbers to request by NACK now, in order; () without `nack`.

        The call counts as the request.
        """
        if not self._nack:
            return ()
        lost = []
        for number, missing in self._missing.items():
            due = missing.last + NACK_INTERVAL if missing.asked else missing.since + REORDERING
            if now >= due and missing.asked < MOST_NACKS:
                missing.asked, missing.last = missing.asked + 1, now
                lost.append(number & 0xFFFF)
        return tuple(lost)

    def take_key_request(self, *, now: float) -> bool:
        """Return whether to request a key frame now; True counts as the request.

        False until the first frame, lost packet or dropped frame, and for KEY_INTERVAL after a
        request.
        """
        if not self._needs_key or self._key_asked is None:
            return False
        first = self.frames == 0 and not self.packets_lost and not self.frames_dropped
        if first or now - self._key_asked < KEY_INTERVAL:
            return False
        self._key_asked = now
        return True

    @property
    def incomplete(self) -> bool:
        """Whether packets or a key frame are missing, so that `handle_timer` is needed."""
        return bool(self._missing) or self._needs_key
