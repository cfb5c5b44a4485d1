"""Detects call progress tones: ringback, busy, congestion, special information tones (SIT), the fax
calling (CNG) and answer (CED) tones, and beeps.

A `ToneDetector` follows the tones of one row and classifies them by frequency (ITU-T E.180, E.182,
T.30) and rhythm.  National tones of 400 to 630 Hz are distinguished by rhythm alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

PURE, LONE = 0.8, 0.8
"""The least share of power in one or two spectral lines, and in one line (noise 6 dB below)."""
LEAST_LEVEL = -42.0
STEADY = 0.025
"""The share of its frequency by which a tone may vary."""
DROPOUT = 3
"""The most frames that a tone may miss: an answer tone has phase reversals."""
PROGRESS = (380.0, 660.0)
SIT = ((890.0, 1010.0), (1340.0, 1460.0), (1740.0, 1820.0))
CNG = (1062.0, 1138.0)
CED = (2080.0, 2120.0)
BEEP = (350.0, 2900.0)
BEEP_SECONDS = (0.14, 2.5)
FRAME = 0.02


@dataclass(frozen=True, slots=True)
class ToneMatch:
    """`name` is "ringback", "busy", "congestion", "sit", "cng", "ced" or "beep"; `seconds` is how
    long it has sounded in all."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ToneBurst:
    """A tone that has ended: `frequency` in Hz, its first and last frame, whether it was one line.

    In a tone of two lines, noise decides in each frame which line is stronger.  Such a tone is not
    `lone`, although each of its frames may look like one line.
    """

    frequency: float
    first: int
    last: int
    lone: bool

    @property
    def seconds(self) -> float:
        """The duration in seconds, without the length that the spectrum's window adds."""
        return (self.last - self.first + 1) * FRAME


def is_tone(level: float, purity: float) -> bool:
    """Whether nearly all power of a frame is in one or two spectral lines."""
    return level > LEAST_LEVEL and purity > PURE


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


class ToneDetector:
    """Detects the tones of one row, frame by frame."""

    def __init__(self) -> None:
        self._frame = -1
        self._frequency = 0.0
        self._first = 0
        self._last = -1
        self._lone = 0
        self._wandered = 0
        self._count = 0
        self._bursts: deque[ToneBurst] = deque(maxlen=4)
        self._last_reported: str = ""
        self._checked = True

    def feed(self, level: float, frequency: float, purity: float, lone: float) -> ToneMatch | None:
        """Process one frame; return a tone when it is first recognized, else None.

        `level` is in dBm0, `frequency` in Hz; `purity` and `lone` are those of `SpectrumFeatures`.
        """
        self._frame += 1
        found = None
        if is_tone(level, purity):
            steady = abs(frequency - self._frequency) <= max(STEADY * self._frequency, 25.0)
            both = _within(frequency, PROGRESS) and _within(self._frequency, PROGRESS)
            if self._count and not steady and not both:
                found = self._end()
            if not self._count:
                self._first, self._frequency = self._frame, frequency
                self._lone, self._wandered = 0, 0
            elif not steady:
                self._wandered += 1
            self._last = self._frame
            self._count += 1
            self._lone += lone > LONE
            return found or self._while_it_sounds()
        if self._count and self._frame - self._last > DROPOUT:
            return self._end()
        return None if self._count else self._in_silence()

    # While it sounds and when it ends

    def _while_it_sounds(self) -> ToneMatch | None:
        seconds = self._count * FRAME
        if _within(self._frequency, CED) and seconds >= 1.0:
            return self._report_once("ced", seconds)
        return None

    def _end(self) -> ToneMatch | None:
        lone = self._lone * 4 >= self._count * 3 and self._wandered * 8 <= self._count
        burst = ToneBurst(self._frequency, self._first, self._last, lone)
        solid = self._count * 3 >= (burst.last - burst.first + 1) * 2
        self._count = 0
        if burst.seconds < 0.1 or not solid:
            return None
        self._bursts.append(burst)
        self._checked = False
        return self._special() or self._rhythm()

    def _special(self) -> ToneMatch | None:
        """Recognize the tones with frequencies of their own: SIT and fax CNG."""
        last = tuple(self._bursts)[-3:]
        if len(last) == 3 and all(
            _within(burst.frequency, limits) and _within(burst.seconds, (0.15, 0.55))
            for burst, limits in zip(last, SIT, strict=True)
        ):
            self._bursts.clear()
            return self._report_once("sit", sum(burst.seconds for burst in last))
        burst = last[-1]
        if burst.lone and _within(burst.frequency, CNG) and _within(burst.seconds, (0.38, 0.66)):
            self._checked = True
            return self._report_once("cng", burst.seconds)
        return None

    def _rhythm(self) -> ToneMatch | None:
        """Recognize busy by two bursts in its rhythm, congestion by three."""
        bursts = [b for b in self._bursts if _within(b.frequency, PROGRESS)]
        if bursts and (len(bursts) < 2 or self._bursts[-1] is not bursts[-1]):
            return None
        gaps = [(after.first - before.last - 1) * FRAME for before, after in pairwise(bursts)]
        for name, count, limits in (("busy", 2, (0.34, 0.72)), ("congestion", 3, (0.16, 0.36))):
            last, between = bursts[-count:], gaps[-count + 1 :]
            if len(last) == count and all(_within(b.seconds, limits) for b in last):
                pause = (max(limits[0] - 0.1, 0.1), limits[1])
                if all(_within(gap, pause) for gap in between):
                    self._checked = True
                    return self._report_once(name, sum(b.seconds for b in last))
        return None

    def _in_silence(self) -> ToneMatch | None:
        """Recognize ringback and beeps by the silence after them."""
        if self._checked or not self._bursts:
            return None
        burst = self._bursts[-1]
        quiet = (self._frame - burst.last) * FRAME
        if not _within(burst.frequency, PROGRESS):
            # The first tone of a SIT is followed by the next one at once.
            if quiet < (0.5 if _within(burst.frequency, SIT[0]) else 0.12):
                return None
            self._checked = True
            return self._beep(burst)
        if quiet < 0.8:
            return None
        self._checked = True
        if _within(burst.seconds, (0.75, 2.6)) or self._double_ring():
            return self._report_once("ringback", burst.seconds)
        return self._beep(burst)

    def _double_ring(self) -> bool:
        """Whether the last bursts are a British ring: 0.4 s on, 0.2 s off, 0.4 s on."""
        last = tuple(self._bursts)[-2:]
        if len(last) < 2 or not all(
            _within(b.seconds, (0.3, 0.52)) and _within(b.frequency, PROGRESS) for b in last
        ):
            return False
        return _within((last[1].first - last[0].last - 1) * FRAME, (0.1, 0.32))

    def _beep(self, burst: ToneBurst) -> ToneMatch | None:
        if not burst.lone or not _within(burst.frequency, BEEP):
            return None
        if not _within(burst.seconds, BEEP_SECONDS):
            return None
        self._last_reported = ""
        return self._report_once("beep", burst.seconds)

    def _report_once(self, name: str, seconds: float) -> ToneMatch | None:
        """Return a continuing tone once, and again only after another tone; beeps always."""
        if name == self._last_reported and name != "beep":
            return None
        self._last_reported = name
        return ToneMatch(name, seconds)
