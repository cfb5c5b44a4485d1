"""A bot of known delays, to see what a test measures: it greets, answers, and stops when spoken to.

    bot = ScriptedBot(BotTimes(responds_after=0.6))
    await bot.serve(account)          # answers calls until it is canceled

All delays are kept to the sample, on the media time of the bot's end: what the caller measures
beyond them is what the way adds.  `BotVoice` is the machine behind it, without clock and event
loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from softphone.account import Account
from softphone.call import IncomingCall
from softphone.errors import SoftphoneError
from softphone.media import Pcm, PcmBlock
from softphone.media.bank import find_codec

LOUD = 1500
"""The least absolute value of a sample that the bot takes for the caller's speech."""
PITCH_HZ = 120.0
SYLLABLE, LOW = 0.25, 0.07
"""Seconds of a syllable, and of its quiet part, which is not its end."""
LOW_SHARE = 0.1
"""The amplitude of the quiet part."""
FORMANTS = ((600.0, 80.0), (1200.0, 100.0), (2600.0, 150.0))
"""Frequency and bandwidth in Hz."""
PEAK = 12000


def syllables(seconds: float, clock_rate_hz: int = 8000) -> Pcm:
    """Return a sound that detectors take for speech, int16[samples], with hard edges."""
    count = round(seconds * clock_rate_hz)
    time = np.arange(count) / clock_rate_hz
    pitch = PITCH_HZ + 30.0 * np.sin(2.0 * np.pi * 1.3 * time)
    pulses = np.diff(np.floor(np.cumsum(pitch) / clock_rate_hz), prepend=-1.0)
    taps = np.arange(clock_rate_hz // 24) / clock_rate_hz
    formants = [
        np.exp(-np.pi * width * taps) * np.sin(2.0 * np.pi * frequency * taps)
        for frequency, width in FORMANTS
    ]
    response = np.sum(formants, axis=0)
    sound = np.convolve(pulses, response)[:count]
    # Loud at the end, too, wherever the syllables are cut.
    low = (time % SYLLABLE >= SYLLABLE - LOW) & (time < seconds - LOW)
    sound *= np.where(low, LOW_SHARE, 1.0)
    return np.rint(sound / max(1e-9, float(np.abs(sound).max())) * PEAK).astype(np.int16)


@dataclass(frozen=True, slots=True)
class BotTimes:
    """The delays of a scripted bot in seconds.

    It greets `greets_after` the answer.  It answers `responds_after` the last loud sample of the
    caller, which has to be longer than the caller's pauses between words.  While it speaks, it
    stops `stops_after` the first loud sample of the caller; None: it speaks on.
    """

    greets_after: float = 0.4
    responds_after: float = 0.6
    stops_after: float | None = 0.2


@dataclass(slots=True)
class _Speech:
    """What the bot says: samples from a position on, cut at another."""

    pcm: Pcm
    begin: int
    end: int


class BotVoice:
    """The bot in one call, a source and a sink; positions are samples of media time.

    `greeting` and `answer` are int16[samples] at `clock_rate_hz`.  `on_answered` is called with
    the number of answers whose last sample was read.
    """

    ended = False
    dropped_samples = 0

    def __init__(
        self,
        times: BotTimes,
        greeting: Pcm,
        answer: Pcm,
        clock_rate_hz: int = 8000,
        *,
        on_answered: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.clock_rate_hz = clock_rate_hz
        """The sample rate in Hz."""
        self.monitor = _BotMonitor(self)
        self.late = 0
        """How often it could not keep its delay, since the caller was heard too late."""
        self._times = times
        self._answer = answer
        self._on_answered = on_answered
        self._position = 0
        self._begun = False
        self._answers = 0
        self._owes = False
        self._last_loud = 0
        begin = self._samples(times.greets_after)
        self._speech = _Speech(greeting, begin, begin + greeting.size)
        self._is_answer = False

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.clock_rate_hz)

    def note_sent(self, block: PcmBlock) -> None:
        """Learn the media time of what was read last: it jumps where frames were skipped.

        :meta private:
        """
        after = block.timestamp + block.pcm.size
        if not self._begun:
            self._begun = True
            self._speech.begin += after - self._position
            self._speech.end += after - self._position
        self._position = after

    def write(self, block: PcmBlock) -> None:
        """Hear a block of the caller."""
        loud = np.flatnonzero(np.abs(block.pcm.astype(np.int32)) >= LOUD)
        if not loud.size or not self._begun:
            return
        begin = block.timestamp
        first, self._last_loud = begin + int(loud[0]), begin + int(loud[-1]) + 1
        self._owes = True
        stops, speech = self._times.stops_after, self._speech
        if stops is not None and speech.begin < first < speech.end:
            speech.end = min(speech.end, first + self._samples(stops))

    def read(self, samples: int) -> Pcm:
        """Return the next int16[samples]."""
        begin, end = self._position, self._position + samples
        self._begin_answer(begin, end)
        frame = np.zeros(samples, dtype=np.int16)
        speech = self._speech
        first, last = max(begin, speech.begin), min(end, speech.end)
        if first < last:
            frame[first - begin : last - begin] = speech.pcm[
                first - speech.begin : last - speech.begin
            ]
        self._position = end
        if self._is_answer and speech.end <= end:
            self._is_answer = False
            self._answers += 1
            self._on_answered(self._answers)
        return frame

    def _begin_answer(self, begin: int, end: int) -> None:
        """Begin the answer if it is due in the frame from `begin` to `end`."""
        due = self._last_loud + self._samples(self._times.responds_after)
        if not self._owes or due >= end or self._speech.end > due:
            return
        self.late += due < begin
        due = max(due, begin)
        self._owes = False
        self._speech = _Speech(self._answer, due, due + self._answer.size)
        self._is_answer = True


class _BotMonitor:
    """The sink of what a `BotVoice` has sent."""

    clock_rate_hz = 0
    dropped_samples = 0

    def __init__(self, voice: BotVoice) -> None:
        self._voice = voice

    def write(self, block: PcmBlock) -> None:
        self._voice.note_sent(block)


@dataclass(slots=True)
class ScriptedBot:
    """Answers calls as a bot of known delays.

    `greeting` and `answer` are the seconds that it speaks.  After the greeting began it sends
    `digits`, if any.  It hangs up after so many `answers`; with 0 the caller does.
    """

    times: BotTimes = field(default_factory=BotTimes)
    greeting: float = 1.5
    answer: float = 1.0
    digits: str = ""
    answers: int = 0
    voices: list[BotVoice] = field(default_factory=list)
    """The bot in each call that was answered."""

    async def serve(self, account: Account) -> None:
        """Answer each call of an account until this is canceled."""
        async with asyncio.TaskGroup() as calls:
            async for incoming in account.incoming():
                calls.create_task(self._serve_call(incoming))

    async def _serve_call(self, incoming: IncomingCall) -> None:
        done = asyncio.Event()

        def answered(count: int) -> None:
            if count == self.answers:
                done.set()

        with suppress(SoftphoneError):  # the caller has given up
            async with await incoming.answer() as call:
                rate = find_codec(call.audio.codec).sample_rate
                voice = BotVoice(
                    self.times,
                    syllables(self.greeting, rate),
                    syllables(self.answer, rate),
                    rate,
                    on_answered=answered,
                )
                self.voices.append(voice)
                call.audio.play(voice)
                call.audio.sound.add_monitor(voice.monitor)
                call.audio.sound.add_listener(voice)
                if self.digits:
                    await call.send_digits(self.digits)
                leaving = asyncio.ensure_future(done.wait())
                ended = asyncio.ensure_future(call.ended())
                try:
                    await asyncio.wait({leaving, ended}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    leaving.cancel()
                    ended.cancel()
