"""What a service has said and the caller has not heard yet, and how much of it was heard.

An answer comes faster than it is played.  It waits here as octets, and reaches the call's own queue
in pieces, `LEAD` seconds ahead of what is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from softphone.agents.bot_playback import LEAD
from softphone.agents.sound_coding import SoundCoding, decode_sound, octets_a_sample
from softphone.call import AudioStream
from softphone.errors import TransportError

MOST_SECONDS = 300
"""The most sound that waits: an answer of OpenAI's longest has 205 s."""
MOST_ITEMS = 1000
"""The most items that are kept: an answer has one or two."""
LONGEST_NAME = 512
"""Characters of an item's name: OpenAI's have some 25."""
_PIECE = 0.1
"""Seconds of sound that are written at once."""


@dataclass
class _Item:
    """The sound of an item, in samples of all that was queued and not dropped."""

    name: str
    begin: int
    end: int


class ReplyPlayback:
    """Plays a service's sound in one call, and tells how much of each item was sent."""

    def __init__(self, audio: AudioStream, coding: SoundCoding, spoken_hz: int) -> None:
        self._audio = audio
        self._coding = coding
        self._hz = spoken_hz
        self._octets = octets_a_sample(coding)
        self._piece = round(_PIECE * spoken_hz) * self._octets
        self._pending: deque[bytes] = deque()
        self._pending_octets = 0
        self._rest, self._latest = b"", ""
        self._items: deque[_Item] = deque()
        self._end = 0
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting_seconds(self) -> float:
        """Seconds of sound that were not handed to the call yet."""
        return self._pending_octets / self._octets / self._hz

    def add_sound(self, item: str, octets: bytes) -> None:
        """Queue sound.

        Raises TransportError, and queues nothing, beyond MOST_SECONDS, MOST_ITEMS and LONGEST_NAME.
        """
        if self.waiting_seconds + len(octets) / self._octets / self._hz > MOST_SECONDS:
            raise TransportError(
                f"the service has sent more sound than may wait to be played: {MOST_SECONDS} s"
            )
        if len(item) > LONGEST_NAME:
            raise TransportError(f"the service names an answer by {len(item):,} characters")
        if item != self._latest:
            self._latest, self._rest = item, b""
        # A sample may be split between two messages.
        octets = self._rest + octets
        whole = len(octets) - len(octets) % self._octets
        octets, self._rest = octets[:whole], octets[whole:]
        if not octets:
            return
        if not self._items or self._items[-1].name != item:
            self._forget_played()
            if len(self._items) >= MOST_ITEMS:
                raise TransportError(f"the service has begun more than {MOST_ITEMS} answers")
            self._items.append(_Item(item, self._end, self._end))
        self._end += whole // self._octets
        self._items[-1].end = self._end
        self._pending_octets += whole
        if self._pending and len(self._pending[-1]) < self._piece:
            # Samples that come one by one cost no more than those that come together.
            octets = self._pending.pop() + octets
        for begin in range(0, len(octets), self._piece):
            self._pending.append(octets[begin : begin + self._piece])
        self._idle.clear()
        self._changed.set()

    def interrupt(self) -> list[tuple[str, int]]:
        """Drop what was not sent: silence from the next frame on.

        Returns the items of which something was dropped, and how many milliseconds of each were
        sent, rounded down.
        """
        left = self._audio.flush() + self._pending_octets // self._octets
        self._pending.clear()
        self._pending_octets, self._rest = 0, b""
        self._end -= left
        cut = [
            (each.name, max(0, self._end - each.begin) * 1000 // self._hz)
            for each in self._items
            if each.end > self._end
        ]
        self._items.clear()
        self._changed.set()
        return cut

    async def drain(self) -> None:
        """Wait until all that is queued by now was sent, or dropped; `play` goes on meanwhile."""
        await self._idle.wait()
        await self._audio.played()

    async def play(self) -> None:
        """Play until canceled.  Raises LocalProtocolError once the call is over."""
        while True:
            while not self._pending:
                self._idle.set()
                self._changed.clear()
                await self._changed.wait()
            octets = self._pending.popleft()
            self._pending_octets -= len(octets)
            pcm = decode_sound(octets, self._coding)
            # A flush meanwhile counts and drops the part of this piece that still waits.
            await self._audio.write(pcm, lead=LEAD)

    def _forget_played(self) -> None:
        """Forget items that were sent whole: what waits is behind them."""
        waiting = self._pending_octets // self._octets
        lead = round((LEAD + _PIECE) * self._hz)
        while self._items and self._items[0].end < self._end - waiting - lead:
            self._items.popleft()
