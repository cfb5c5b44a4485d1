"""Telephone events: DTMF digits in RTP, both ways (RFC 4733 section 2).

The sender gives the packet of each packet time.  The receiver reports each digit once, as long as
one of its packets arrives.  Of the RTP header, only the timestamp and the marker matter here.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

from softphone.rtp.packet import MalformedPacket

DIGITS = "0123456789*#ABCD!"
"""The digits in the order of their event codes 0 to 16; "!" is flash."""

PAUSE = ","
PAUSE_MS = 500
LONGEST_SEGMENT = 0xFFFF
"""Timestamp units that the duration field holds (RFC 4733 section 2.3.5)."""
END_PACKETS = 3
"""The end is sent three times (RFC 4733 section 2.5.1.4)."""
LONGEST_QUEUE = 256
SHORTEST_MS, LONGEST_MS = 40, 60_000
REMEMBERED = 8

PAYLOAD = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True)
class TelephoneEventPayload:
    """One telephone-event payload (RFC 4733 section 2.3).

    `volume` is dBm0 without its sign (0 to 63), `duration` is in timestamp units (0 to 65535).
    """

    event: int
    end: bool
    volume: int
    duration: int

    @classmethod
    def parse(cls, data: bytes) -> TelephoneEventPayload:
        """Read a payload; of several events in one packet the first.  Raises MalformedPacket."""
        if len(data) < PAYLOAD.size:
            raise MalformedPacket(f"{len(data)} octets are too few for a telephone-event")
        event, flags, duration = PAYLOAD.unpack_from(data)
        return cls(event, bool(flags & 0x80), flags & 0x3F, duration)

    def __bytes__(self) -> bytes:
        """The payload as on the wire.  Raises ValueError for a field that does not fit."""
        if not (0 <= self.event <= 255 and 0 <= self.volume <= 63 and 0 <= self.duration <= 65535):
            raise ValueError("a field of the telephone-event is out of range")
        return PAYLOAD.pack(self.event, self.end << 7 | self.volume, self.duration)


@dataclass(frozen=True, slots=True)
class TelephoneEventPacket:
    """The payload to send now, with the RTP timestamp and marker that differ from audio's."""

    payload: bytes
    timestamp: int
    marker: bool


@dataclass(frozen=True, slots=True)
class ReceivedDigit:
    """A digit that has ended, or whose end packets were lost; reported once."""

    digit: str
    duration_ms: float


class TelephoneEventSender:
    """Sends digits one after another; call `poll` once a packet time, before sending audio.

    The gap between two digits is `gap_ms` or more from the end of the tone.  The packets that
    repeat the end are sent within the gap (RFC 4733 section 2.5.1.4); audio resumes right after
    them.
    """

    def __init__(
        self, *, clock_rate_hz: int = 8000, ptime_ms: int = 20, volume: int = 10, gap_ms: int = 50
    ) -> None:
        self._ticks_per_ms = clock_rate_hz / 1000.0
        self._step = clock_rate_hz * ptime_ms // 1000
        self._volume = volume
        self._gap = round(gap_ms * self._ticks_per_ms)
        self._queue: deque[tuple[int | None, int]] = deque()
        self._event: int | None = None
        self._start = 0
        self._total = 0
        self._elapsed = 0
        self._segment_offset = 0
        self._ends_left = 0
        self._free_at: int | None = None

    def queue_digits(self, digits: str, *, duration_ms: int = 100) -> None:
        """Queue digits: 0-9 * # A-D, "!" for flash, "," for a pause of 500 ms.

        Raises ValueError for another character, a duration below 40 ms or above 60 s, or when
        more than 256 digits would wait; none of `digits` is queued then.
        """
        if not SHORTEST_MS <= duration_ms <= LONGEST_MS:
            raise ValueError(f"a digit lasts {SHORTEST_MS} to {LONGEST_MS} ms, not {duration_ms}")
        if len(self._queue) + len(digits) > LONGEST_QUEUE:
            raise ValueError(f"more than {LONGEST_QUEUE} digits would wait")
        wanted = digits.upper()
        wrong = next((digit for digit in wanted if digit not in DIGITS + PAUSE), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is not a digit: 0-9 * # A-D, ! for flash, comma to pause")
        duration = round(duration_ms * self._ticks_per_ms)
        pause = round(PAUSE_MS * self._ticks_per_ms)
        for digit in wanted:
            if digit == PAUSE:
                self._queue.append((None, pause))
            else:
                self._queue.append((DIGITS.index(digit), duration))

    @property
    def idle(self) -> bool:
        """Whether no event is being sent and no digit or pause is queued."""
        return self._event is None and not self._queue

    def poll(self, timestamp: int) -> TelephoneEventPacket | None:
        """Return the packet to send in place of the audio at `timestamp`; None: send audio."""
        marker = False
        if self._event is None:
            if not self._begin_event(timestamp):
                return None
            marker = True
        if self._ends_left:
            return self._repeat_end()
        self._elapsed += self._step
        duration = min(self._elapsed, self._total) - self._segment_offset
        if duration > LONGEST_SEGMENT:
            return self._next_segment()
        end = self._elapsed >= self._total
        if end:
            self._ends_left = END_PACKETS - 1
        return self._packet(duration, end=end, marker=marker)

    def _begin_event(self, timestamp: int) -> bool:
        """Begin the next event unless a gap or a pause lasts; return whether one has begun."""
        if not self._queue:
            return False
        if self._free_at is not None and (timestamp - self._free_at) & 0x80000000:
            return False
        event, duration = self._queue.popleft()
        if event is None:
            self._free_at = timestamp + duration
            return False
        self._event = event
        self._total = duration
        self._start = timestamp & 0xFFFFFFFF
        self._elapsed = self._segment_offset = 0
        return True

    def _next_segment(self) -> TelephoneEventPacket:
        """Begin another segment of a long event (RFC 4733 section 2.5.1.3).

        The previous segment has its full duration and no E bit.  The new segment's timestamp is
        where the previous one ends; its marker is not set.
        """
        covered = self._elapsed - self._step - self._segment_offset
        self._segment_offset += covered
        self._start = (self._start + covered) & 0xFFFFFFFF
        duration = min(self._elapsed, self._total) - self._segment_offset
        end = self._elapsed >= self._total
        if end:
            self._ends_left = END_PACKETS - 1
        return self._packet(duration, end=end, marker=False)

    def _repeat_end(self) -> TelephoneEventPacket:
        self._ends_left -= 1
        packet = self._packet(self._total - self._segment_offset, end=True, marker=False)
        if not self._ends_left:
            self._event = None
            self._free_at = self._start + self._total - self._segment_offset + self._gap
        return packet

    def _packet(self, duration: int, *, end: bool, marker: bool) -> TelephoneEventPacket:
        payload = TelephoneEventPayload(self._event or 0, end, self._volume, duration)
        return TelephoneEventPacket(bytes(payload), self._start, marker)


class TelephoneEventReceiver:
    """Recognizes digits in the telephone-event packets of one source.

    A digit is reported once, at its end.  If all its end packets are lost, it is reported when the
    next one begins or after `timeout` seconds without a packet of it.  Events that are not digits
    (codes above 16) are ignored.
    """

    def __init__(self, *, clock_rate_hz: int = 8000, timeout: float = 0.2) -> None:
        self._ticks_per_ms = clock_rate_hz / 1000.0
        self._timeout = timeout
        self._event: int | None = None
        self._timestamp = 0
        self._duration = 0
        self._earlier_segments = 0
        self._deadline: float | None = None
        self._reported_timestamps: deque[int] = deque(maxlen=REMEMBERED)
        self.malformed = 0

    def receive_payload(self, data: bytes, *, timestamp: int, now: float) -> list[ReceivedDigit]:
        """Process one payload; return the digits that have ended.

        A malformed payload is counted in `malformed` and dropped.
        """
        try:
            payload = TelephoneEventPayload.parse(data)
        except MalformedPacket:
            self.malformed += 1
            return []
        digits = self.handle_timer(now=now)
        if payload.event >= len(DIGITS) or timestamp in self._reported_timestamps:
            return digits
        if self._event is not None and timestamp != self._timestamp:
            if self._continues(payload, timestamp):
                self._earlier_segments += self._duration
                self._reported_timestamps.append(self._timestamp)
                self._timestamp, self._duration = timestamp, 0
            elif (timestamp - self._timestamp) & 0x80000000:
                # A late packet of an earlier event that was never reported: ignored.
                return digits
            else:
                digits.append(self._finish_event())
        if self._event is None:
            self._event, self._timestamp = payload.event, timestamp
            self._duration = self._earlier_segments = 0
        if payload.event != self._event:
            return digits
        self._duration = max(self._duration, payload.duration)
        self._deadline = now + self._timeout
        if payload.end:
            digits.append(self._finish_event())
        return digits

    def _continues(self, payload: TelephoneEventPayload, timestamp: int) -> bool:
        """Whether `payload` is the next segment of a long event (RFC 4733 section 2.5.1.3)."""
        passed = (timestamp - self._timestamp) & 0xFFFFFFFF
        # The last packets of a segment may be lost: a nearly full segment counts as a full one.
        nearly_full = LONGEST_SEGMENT - 10 * self._step_of(payload)
        return payload.event == self._event and nearly_full <= passed <= LONGEST_SEGMENT

    def _step_of(self, payload: TelephoneEventPayload) -> int:
        return max(payload.duration, round(20 * self._ticks_per_ms))

    def _finish_event(self) -> ReceivedDigit:
        event = self._event or 0
        self._reported_timestamps.append(self._timestamp)
        self._event = None
        self._deadline = None
        return ReceivedDigit(
            DIGITS[event], (self._earlier_segments + self._duration) / self._ticks_per_ms
        )

    def next_timer(self) -> float | None:
        """The time at which the current digit counts as ended without its end packets, or None."""
        return self._deadline

    def handle_timer(self, *, now: float) -> list[ReceivedDigit]:
        """Return the digit whose end packets were lost, once its timeout has passed."""
        if self._deadline is None or now < self._deadline:
            return []
        return [self._finish_event()]
