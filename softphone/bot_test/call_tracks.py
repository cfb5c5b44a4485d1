"""Both tracks of a call in progress: what the caller sends, with its turns, and what it hears.

The media loop reads and writes them; they keep levels instead of samples, unless samples are asked
for.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from softphone.bot_test.analysis import HOP, Levels, frame_levels, place_levels
from softphone.bot_test.caller_sounds import Utterance
from softphone.media import Pcm, PcmBlock
from softphone.media.audio.tones import amplitude_of

NOISE_SECONDS = 2.0
"""Seconds of noise that are repeated."""
REDUCE_AFTER = 1.0
"""Seconds of samples that are kept before they are reduced to levels."""


class CallerVoice:
    """The source of a caller's sound: utterances over noise or silence, endless.

    Its sink `monitor` tells it the media time of what was sent.  `turns` has begin and end, in
    seconds of media time, of each utterance that was begun and ended.
    """

    ended = False

    def __init__(self, clock_rate_hz: int, *, noise: float | None = None, seed: int = 0) -> None:
        self.clock_rate_hz = clock_rate_hz
        """The sample rate in Hz."""
        self.monitor = _SentMonitor(self)
        self.turns: list[tuple[float, float]] = []
        self.first_sent: float | None = None
        """The media time of the first sample that was sent."""
        self.media_time = 0.0
        """The media time after the last sample that was sent."""
        self._noise = _white_noise(clock_rate_hz, noise, seed)
        self._waiting: deque[tuple[Utterance, asyncio.Future[None]]] = deque()
        self._taken = 0
        self._position = 0
        self._begun: float | None = None
        self._marks: deque[tuple[int, int]] = deque()

    def say(self, utterance: Utterance) -> asyncio.Future[None]:
        """Send an utterance after those before it; the future is done when it has been sent."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((utterance, done))
        return done

    def read(self, samples: int) -> Pcm:
        """Return the next int16[samples]."""
        frame = self._noise_at(self._position, samples)
        at = 0
        while at < samples and self._waiting:
            utterance, done = self._waiting[0]
            piece = utterance.pcm[self._taken : self._taken + samples - at]
            frame[at : at + piece.size] += piece
            self._note_turn(utterance, self._position + at - self._taken)
            at += piece.size
            self._taken += piece.size
            if self._taken == utterance.pcm.size:
                self._waiting.popleft()
                self._taken = 0
                if not done.done():
                    done.set_result(None)
        self._position += samples
        return np.clip(frame, -32768, 32767).astype(np.int16)

    def _note_turn(self, utterance: Utterance, start: int) -> None:
        """Note begin and end of the utterance that starts at the position `start`, once."""
        if self._taken == 0:
            self._marks.append((start + utterance.begin, start + utterance.end))

    def _noise_at(self, position: int, samples: int) -> NDArray[np.int32]:
        if not self._noise.size:
            return np.zeros(samples, dtype=np.int32)
        places = np.arange(position, position + samples)
        noise: NDArray[np.int32] = self._noise.take(places, mode="wrap")
        return noise

    def note_sent(self, block: PcmBlock) -> None:
        """Learn from a block that was read last what media time its samples have.

        :meta private:
        """
        rate = self.clock_rate_hz
        time = block.timestamp / block.clock_rate_hz
        if self.first_sent is None:
            self.first_sent = time
        self.media_time = time + block.pcm.size / block.clock_rate_hz
        while self._marks:
            begin, end = self._marks[0]
            if self._begun is None and begin <= self._position:
                self._begun = self.media_time + (begin - self._position) / rate
            if self._begun is None or end > self._position:
                return
            self.turns.append((self._begun, self.media_time + (end - self._position) / rate))
            self._begun = None
            self._marks.popleft()


class _SentMonitor:
    """The sink of what a `CallerVoice` has sent."""

    clock_rate_hz = 0
    dropped_samples = 0

    def __init__(self, voice: CallerVoice) -> None:
        self._voice = voice

    def write(self, block: PcmBlock) -> None:
        self._voice.note_sent(block)


def _white_noise(rate: int, level: float | None, seed: int) -> NDArray[np.int32]:
    if level is None:
        return np.zeros(0, dtype=np.int32)
    rms = amplitude_of(level) / math.sqrt(2.0)
    noise = np.random.default_rng(seed).standard_normal(round(NOISE_SECONDS * rate)) * rms
    return np.rint(noise).astype(np.int32)


class HeardTrack:
    """The sink of what the caller hears: levels by media time, and samples if `keeps_samples`.

    Concealed frames are left out: they are the playout's, not the bot's.
    """

    clock_rate_hz = 0
    dropped_samples = 0

    def __init__(self, *, keeps_samples: bool = False) -> None:
        self._keeps = keeps_samples
        self._blocks: list[PcmBlock] = []
        self._size = 0
        self._pieces: list[tuple[float, Levels]] = []
        self._samples: list[tuple[int, Pcm]] = []
        self.rate = 0
        """The sample rate in Hz; 0 before the first block."""

    def write(self, block: PcmBlock) -> None:
        """Add a block."""
        if block.clock_rate_hz != self.rate:
            # The far end has changed the codec.
            self._reduce()
            self._samples.clear()
            self.rate = block.clock_rate_hz
        if self._keeps:
            self._samples.append((block.timestamp, block.pcm))
        if block.concealed:
            return
        self._blocks.append(block)
        self._size += block.pcm.size
        if self._size >= REDUCE_AFTER * self.rate:
            self._reduce()

    def _reduce(self) -> None:
        """Turn the samples that wait into levels."""
        blocks, self._blocks, self._size = self._blocks, [], 0
        hop = round(HOP * self.rate) if self.rate else 1
        at = 0
        while at < len(blocks):
            # Blocks without a gap between them, of whole frames, are one piece.
            last, first = at + 1, blocks[at]
            while last < len(blocks) and _follows(blocks[last - 1], blocks[last], hop):
                last += 1
            pcm = np.concatenate([block.pcm for block in blocks[at:last]])
            self._pieces.append((first.timestamp / self.rate, frame_levels(pcm, self.rate)))
            at = last

    def levels(self) -> Levels:
        """Return the level of each frame since media time 0."""
        self._reduce()
        return place_levels(self._pieces)

    def samples(self, begin: float, end: float) -> Pcm:
        """Return what was heard from `begin` to `end` seconds, with zeros where nothing came."""
        first, last = round(begin * self.rate), round(end * self.rate)
        found = np.zeros(max(0, last - first), dtype=np.int16)
        for timestamp, pcm in self._samples:
            at = timestamp - first
            piece = pcm[max(0, -at) : max(0, found.size - at)]
            if piece.size:
                found[max(0, at) : max(0, at) + piece.size] = piece
        return found


def _follows(before: PcmBlock, block: PcmBlock, hop: int) -> bool:
    return block.timestamp == before.timestamp + before.pcm.size and before.pcm.size % hop == 0
