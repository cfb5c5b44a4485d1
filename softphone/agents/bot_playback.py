"""What a bot has sent and the caller has not heard yet: sound, and marks between it.

Sound waits here as it came, and reaches the call's own queue in pieces, `LEAD` seconds ahead of
what is sent.  A mark is due when the media loop has sent the last sample before it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import numpy as np

from softphone.agents.stream_messages import CLOCK_RATE_HZ
from softphone.call import Call
from softphone.errors import SoftphoneError
from softphone.media.audio import PlaybackMark
from softphone.media.interface import Pcm
from softphone_codecs.g711 import PCMU as _PCMU

MOST_SECONDS = 60
MOST_MARKS = 1000
LEAD = 0.5
"""Seconds of sound in the call's own queue: what the event loop may be late by."""
_PIECE = 800
"""Octets that are written at once: 100 ms."""
_LAST_SILENCE = bytes([_PCMU.silence]) * 1600


class QueueFull(SoftphoneError):
    """The bot sends more than may wait for one call."""

    _hint = "have the bot send sound no faster than it is heard: 60 s and 1,000 marks may wait"


class BotPlayback:
    """Plays a bot's sound in one call, and returns its marks in order."""

    def __init__(self, call: Call, return_mark: Callable[[str], Awaitable[None]]) -> None:
        self._audio = call.audio
        self._return_mark = return_mark
        self._pending: deque[bytes | str | asyncio.Future[None]] = deque()
        self._written: deque[tuple[PlaybackMark, int]] = deque()
        self._due: deque[tuple[str | asyncio.Future[None], PlaybackMark]] = deque()
        self._waiting_octets = 0
        self._marks = 0
        self._changed = asyncio.Event()
        self._due_changed = asyncio.Event()

    @property
    def waiting_octets(self) -> int:
        """Octets that were not played yet; at 8,000 a second."""
        while self._written and self._written[0][0].done:
            self._waiting_octets -= self._written.popleft()[1]
        return self._waiting_octets

    def add_sound(self, octets: bytes) -> None:
        """Queue mu-law octets.  Raises QueueFull, and queues nothing, beyond MOST_SECONDS."""
        if self.waiting_octets + len(octets) > MOST_SECONDS * CLOCK_RATE_HZ:
            raise QueueFull(f"more than {MOST_SECONDS} s of sound wait to be played")
        self._waiting_octets += len(octets)
        if self._pending and isinstance(last := self._pending[-1], bytes) and len(last) < _PIECE:
            # Samples that come one by one cost no more than those that come together.
            self._pending.pop()
            octets = last + octets
        for begin in range(0, len(octets), _PIECE):
            self._pending.append(octets[begin : begin + _PIECE])
        self._changed.set()

    def add_mark(self, name: str) -> None:
        """Queue a mark behind the sound so far.  Raises QueueFull beyond MOST_MARKS."""
        if self._marks >= MOST_MARKS:
            raise QueueFull(f"more than {MOST_MARKS} marks wait to be returned")
        self._marks += 1
        self._pending.append(name)
        self._changed.set()

    def clear(self) -> None:
        """Drop all sound that was not sent; the marks that wait are returned now, in order."""
        self._pending = deque(each for each in self._pending if not isinstance(each, bytes))
        self._waiting_octets = 0
        self._written = deque()
        self._audio.flush()
        self._changed.set()

    async def drain(self) -> None:
        """Wait until all that is queued by now was played, or cleared, and its marks returned.

        Silence follows, so that the far end has played it before a BYE.  `play` and `return_marks`
        have to go on meanwhile.
        """
        played: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting_octets += len(_LAST_SILENCE)
        self._pending += (_LAST_SILENCE, played)
        self._changed.set()
        await played

    async def play(self) -> None:
        """Play until canceled.  Raises LocalProtocolError once the call is over."""
        while True:
            while not self._pending:
                self._changed.clear()
                await self._changed.wait()
            each = self._pending.popleft()
            if isinstance(each, bytes):
                # A `clear` meanwhile drops this piece too, and begins another queue.
                written = self._written
                await self._audio.write(decode_mulaw(each), lead=LEAD)
                written.append((self._audio.mark(), len(each)))
            else:
                self._due.append((each, self._audio.mark()))
                self._due_changed.set()

    async def return_marks(self) -> None:
        """Return each mark when it is due, until canceled.  Raises what `return_mark` does."""
        while True:
            while not self._due:
                self._due_changed.clear()
                await self._due_changed.wait()
            name, mark = self._due.popleft()
            await mark.played()
            if isinstance(name, str):
                self._marks -= 1
                await self._return_mark(name)
            elif not name.done():
                name.set_result(None)


def decode_mulaw(octets: bytes) -> Pcm:
    """Decode mu-law octets to int16[n]."""
    data = np.frombuffer(octets, np.uint8).reshape(1, -1)
    pcm: Pcm = _PCMU.decode(data, np.array([data.shape[1]], dtype=np.int32))[0]
    return pcm


def encode_mulaw(pcm: Pcm) -> bytes:
    """Encode int16[n] to mu-law octets."""
    data, _ = _PCMU.encode(np.ascontiguousarray(pcm).reshape(1, -1))
    return data.tobytes()
