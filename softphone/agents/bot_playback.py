"""What a bot has sent and the caller has not heard yet: sound, and marks between it.

Sound waits here as it came, and reaches the call's own queue in pieces, `LEAD` seconds ahead of
what is sent.  A mark is due when the media loop has sent the last sample before it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from softphone.agents.dialects import StreamSound
from softphone.agents.sound_coding import decode_sound, encode_sound, octets_a_sample
from softphone.call import Call
from softphone.errors import SoftphoneError
from softphone.media.audio import PlaybackMark

MOST_SECONDS = 60
MOST_MARKS = 1000
LEAD = 0.5
"""Seconds of sound in the call's own queue: what the event loop may be late by."""
_PIECE = 0.1
"""Seconds of sound that are written at once."""
_LAST_SILENCE = 0.2
"""Seconds of silence behind the last word."""


class QueueFull(SoftphoneError):
    """The bot sends more than may wait for one call."""

    _hint = "have the bot send sound no faster than it is heard: 60 s and 1,000 marks may wait"


@dataclass(eq=False)
class _Mark:
    """A mark that waits: whether its sound was cleared, and whether the bot still wants it."""

    name: str
    when_idle: bool
    cleared: bool = False
    wanted: bool = True


class BotPlayback:
    """Plays a bot's sound in one call, and returns its marks in order.

    `return_mark` is called with the name of each, and whether its sound was cleared; `played` with
    each piece that was handed on.
    """

    def __init__(
        self,
        call: Call,
        sound: StreamSound,
        return_mark: Callable[[str, bool], Awaitable[None]],
        played: Callable[[float], Awaitable[None]],
    ) -> None:
        self._audio = call.audio
        self._sound = sound
        self._piece = round(_PIECE * sound.octets_a_second)
        self._return_mark = return_mark
        self._played = played
        self._rest = b""
        self._pending: deque[bytes | _Mark | asyncio.Future[None]] = deque()
        self._written: deque[tuple[PlaybackMark, int]] = deque()
        self._due: deque[tuple[_Mark | asyncio.Future[None], PlaybackMark]] = deque()
        self._waiting_octets = 0
        self._marks = 0
        self._changed = asyncio.Event()
        self._due_changed = asyncio.Event()

    @property
    def waiting_octets(self) -> int:
        """Octets that were not played yet."""
        while self._written and self._written[0][0].done:
            self._waiting_octets -= self._written.popleft()[1]
        return self._waiting_octets

    @property
    def waiting_seconds(self) -> float:
        """Seconds of sound that were not played yet."""
        return self.waiting_octets / self._sound.octets_a_second

    def add_sound(self, octets: bytes) -> None:
        """Queue sound.  Raises QueueFull, and queues nothing, beyond MOST_SECONDS."""
        if self.waiting_octets + len(octets) > MOST_SECONDS * self._sound.octets_a_second:
            raise QueueFull(f"more than {MOST_SECONDS} s of sound wait to be played")
        # A sample may be split between two messages.
        octets = self._rest + octets
        whole = len(octets) - len(octets) % octets_a_sample(self._sound.coding)
        octets, self._rest = octets[:whole], octets[whole:]
        self._waiting_octets += whole
        piece, pending = self._piece, self._pending
        if pending and isinstance(last := pending[-1], bytes) and len(last) < piece:
            # Samples that come one by one cost no more than those that come together.
            pending.pop()
            octets = last + octets
        for begin in range(0, len(octets), piece):
            pending.append(octets[begin : begin + piece])
        self._changed.set()

    def add_mark(self, name: str, *, when_idle: bool = False) -> None:
        """Queue a mark behind the sound so far, or with `when_idle` behind what comes, too.

        Raises QueueFull beyond MOST_MARKS.
        """
        if self._marks >= MOST_MARKS:
            raise QueueFull(f"more than {MOST_MARKS} marks wait to be returned")
        self._marks += 1
        self._pending.append(_Mark(name, when_idle))
        self._changed.set()

    def clear(self) -> None:
        """Drop all sound that was not sent; the marks that wait are returned now, in order."""
        self._pending = deque(each for each in self._pending if not isinstance(each, bytes))
        self._waiting_octets, self._rest = 0, b""
        self._written = deque()
        for mark in self._waiting_marks():
            mark.cleared = True
        self._audio.flush()
        self._changed.set()

    def forget_marks(self) -> None:
        """Return none of the marks that wait."""
        for mark in self._waiting_marks():
            mark.wanted = False

    def _waiting_marks(self) -> list[_Mark]:
        due = (each for each, played in self._due if not played.done)
        return [each for each in (*due, *self._pending) if isinstance(each, _Mark)]

    async def drain(self) -> None:
        """Wait until all that is queued by now was played, or cleared, and its marks returned.

        Silence follows, so that the far end has played it before a BYE.  `play` and `return_marks`
        have to go on meanwhile.
        """
        played: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        samples = np.zeros(round(_LAST_SILENCE * self._sound.rate_hz), dtype=np.int16)
        silence = encode_sound(samples, self._sound.coding)
        self._waiting_octets += len(silence)
        self._pending += (silence, played)
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
                await self._audio.write(decode_sound(each, self._sound.coding), lead=LEAD)
                written.append((self._audio.mark(), len(each)))
                await self._played(self.waiting_seconds)
            else:
                self._due.append((each, self._audio.mark()))
                self._due_changed.set()

    async def return_marks(self) -> None:
        """Return each mark when it is due, until canceled.  Raises what `return_mark` does."""
        while True:
            while not self._due:
                self._due_changed.clear()
                await self._due_changed.wait()
            mark, played = self._due[0]
            await played.played()
            self._due.popleft()
            if isinstance(mark, asyncio.Future):
                if not mark.done():
                    mark.set_result(None)
            elif mark.when_idle and self.waiting_octets:
                self._pending.append(mark)
                self._changed.set()
            else:
                self._marks -= 1
                if mark.wanted:
                    await self._return_mark(mark.name, mark.cleared)
