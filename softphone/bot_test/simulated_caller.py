"""One simulated caller in one call: runs the steps of its script, and keeps what is measured.

What the bot does is followed live, by the detector of voice and the call's events; the times are
taken from the tracks afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from softphone.bot_test.analysis import CallMeasures, find_sounds, measure_call
from softphone.bot_test.call_tracks import CallerVoice, HeardTrack
from softphone.bot_test.caller_sounds import CallerSounds
from softphone.bot_test.script import LONGEST, CallerScript, CallerStep, EndedBySide
from softphone.call import Call
from softphone.errors import SoftphoneError
from softphone.events import (
    CallEnded,
    DigitReceived,
    EndedBy,
    VoiceStarted,
    VoiceStopped,
)
from softphone.media import Pcm
from softphone.media.bank import find_codec

HANGOVER = 0.3
"""Seconds of silence after which the detector of voice reports the end of speech."""


class BotActivity:
    """What the bot does, as the events of the call tell it."""

    def __init__(self) -> None:
        self.speaking = False
        self.begins = 0
        """How often it has begun to speak."""
        self.stops = 0
        """How often it has ended."""
        self.digits = ""
        self.ended: CallEnded | None = None
        self._changed = asyncio.Event()

    async def follow(self, call: Call) -> None:
        """Follow the events of a call to its end."""
        async for event in call.events():
            match event:
                case VoiceStarted():
                    self.speaking = True
                    self.begins += 1
                case VoiceStopped():
                    self.speaking = False
                    self.stops += 1
                case DigitReceived():
                    self.digits += event.digit
                case CallEnded():
                    self.ended = event
                case _:
                    continue
            self._changed.set()

    def note_change(self) -> None:
        """Wake who waits for a change."""
        self._changed.set()

    async def wait_for_change(self, seconds: float) -> bool:
        """Wait until something has changed, for `seconds` at most; return whether it has."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True


class StepFailed(Exception):
    """A step did not come about; the text says why."""


@dataclass(slots=True)
class CallReport:
    """What became of one call.

    `failed_step` is the number of the step that did not come about, from 1, and `problem` why; 0
    is the end of the call.  `digits` are those that came while some were expected.  `spoken` has
    for each `listen` with words what was expected, and its samples at `rate` Hz until they are
    transcribed.
    """

    number: int
    script: CallerScript
    call_id: str = ""
    answered: bool = False
    failed_step: int | None = None
    problem: str = ""
    measures: CallMeasures | None = None
    digits_expected: int = 0
    digits_right: int = 0
    end_right: bool = False
    end_cause: str = ""
    seconds: float = 0.0
    rate: int = 0
    spoken: list[tuple[str, Pcm]] = field(default_factory=list)
    transcripts: list[tuple[str, str]] = field(default_factory=list)

    @property
    def problem_text(self) -> str:
        """The step that did not come about, and why; "" for none."""
        if not self.problem or not self.failed_step:
            return self.problem
        return f"step {self.failed_step}, {self.problem}"

    @property
    def completed(self) -> bool:
        """Whether every step and the end came about."""
        return self.answered and not self.problem


@dataclass(slots=True)
class _Turn:
    """A turn of the caller; `voice` is its number among the utterances, None for digits."""

    voice: int | None
    barge_in: bool
    span: tuple[float, float] = (0.0, 0.0)
    awaited: bool = False


class SimulatedCaller:
    """Runs a script in a call that was just answered, and fills in `report`."""

    def __init__(
        self, call: Call, report: CallReport, sounds: CallerSounds, *, transcribes: bool, seed: int
    ) -> None:
        """Raises SecurityShortfall where what is to be transcribed may not be recorded."""
        script = report.script
        rate = find_codec(call.audio.codec).sample_rate
        self._call = call
        self._report = report
        self._script = script
        self._sounds = sounds
        self._voice = CallerVoice(rate, noise=script.noise, seed=seed)
        keeps = transcribes and script.transcribed
        if keeps:
            call.audio.check_recording()
        self._heard = HeardTrack(keeps_samples=keeps)
        self._keeps = keeps
        self._bot = BotActivity()
        self._turns: list[_Turn] = []
        self._unanswered: _Turn | None = None
        """The latest turn, until the script listens or expects digits."""
        self._begins_before = 0
        """How often the bot had begun to speak when the caller last began."""
        self._stops_before = 0
        """How often it had ended when the caller last ended."""
        self._digits_taken = 0
        self._spoken: list[tuple[str, float, float]] = []

    async def run(self) -> None:
        """Run all steps.  Raises LocalProtocolError when the call is over already."""
        audio = self._call.audio
        audio.play(self._voice)
        audio.sound.add_monitor(self._voice.monitor)
        audio.sound.add_listener(self._heard)
        detection = audio.detect(voice=True)
        following = asyncio.ensure_future(self._bot.follow(self._call))
        try:
            await self._run_steps()
        finally:
            ended = self._voice.media_time
            detection.stop()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            audio.sound.remove_listener(self._heard)
            audio.sound.remove_monitor(self._voice.monitor)
            self._measure(ended)

    async def await_end(self) -> None:
        """Wait for the bot to hang up, if the script says so."""
        report, script = self._report, self._script
        if script.end is EndedBySide.BOT and not report.problem:
            try:
                async with asyncio.timeout(script.end_within):
                    await self._call.ended()
            except TimeoutError:
                report.failed_step = 0
                report.problem = f"the bot did not hang up within {script.end_within:g} s"

    async def _run_steps(self) -> None:
        report = self._report
        for number, step in enumerate(self._script.steps, 1):
            try:
                self._check_up()
                await self._run_step(step)
            except (StepFailed, SoftphoneError) as error:
                report.failed_step, report.problem = number, f"{step.action}: {error}"
                return
        if self._script.end is EndedBySide.CALLER and self._bot.ended is not None:
            report.failed_step, report.problem = 0, "the bot hung up before the caller did"

    async def _run_step(self, step: CallerStep) -> None:
        match step.action:
            case "say" | "text":
                await self._speak(step)
            case "digits":
                await self._send_digits(step)
            case "listen":
                await self._listen(step, step.listen or 0.0)
            case "expect_digits":
                await self._expect_digits(step, step.expect_digits or "")
            case _:
                await self._pause(step.wait or 0.0)

    # What the caller does -----------------------------------------------------------------------

    async def _speak(self, step: CallerStep) -> None:
        await self._await_barge_in(step)
        utterance = self._sounds.utterance(step, self._voice.clock_rate_hz)
        voices = sum(turn.voice is not None for turn in self._turns)
        self._begin_turn(_Turn(voices, step.barge_in is not None))
        said = self._voice.say(utterance)
        said.add_done_callback(lambda _: self._bot.note_change())
        # Longer than any utterance: media time may jump.
        await self._until(said.done, 2 * LONGEST)
        self._stops_before = self._bot.stops

    async def _send_digits(self, step: CallerStep) -> None:
        await self._await_barge_in(step)
        turn = _Turn(None, step.barge_in is not None)
        self._begin_turn(turn)
        begin = self._voice.media_time
        await self._call.send_digits(step.digits or "")
        turn.span = (begin, self._voice.media_time)
        self._stops_before = self._bot.stops

    def _begin_turn(self, turn: _Turn) -> None:
        self._turns.append(turn)
        self._unanswered = turn
        self._begins_before = self._bot.begins

    async def _await_barge_in(self, step: CallerStep) -> None:
        if step.barge_in is None:
            return
        if not await self._until(lambda: self._bot.speaking, step.patience):
            raise StepFailed(f"the bot did not speak within {step.patience:g} s")
        await self._pause(step.barge_in)
        if not self._bot.speaking:
            raise StepFailed("the bot had ended before it was to be interrupted")

    # What it waits for --------------------------------------------------------------------------

    async def _listen(self, step: CallerStep, seconds: float) -> None:
        if self._unanswered is not None:
            self._unanswered.awaited = True
            self._unanswered = None
        begin, loop = self._voice.media_time, asyncio.get_running_loop()
        deadline = loop.time() + seconds
        bot = self._bot

        def spoke() -> bool:
            begun = bot.begins > self._begins_before
            return begun and (bot.speaking or bot.stops > self._stops_before)

        if not await self._until(spoke, seconds):
            raise StepFailed(f"the bot said nothing within {seconds:g} s")
        while bot.ended is None:
            left = deadline - loop.time()
            if not await self._until(lambda: not bot.speaking or bot.ended is not None, left):
                raise StepFailed(f"the bot had not ended after {seconds:g} s")
            # The detector has waited for a part of the pause.
            pause = self._script.pause - HANGOVER
            if not await self._until(lambda: bot.speaking or bot.ended is not None, pause):
                break
        if step.words is not None:
            self._spoken.append((step.words, begin, self._voice.media_time))
        self._begins_before, self._stops_before = bot.begins, bot.stops

    async def _expect_digits(self, step: CallerStep, expected: str) -> None:
        bot, report = self._bot, self._report
        self._unanswered = None
        wanted = expected.upper()
        report.digits_expected += 1
        have = self._digits_taken + len(wanted)
        await self._until(lambda: len(bot.digits) >= have, step.patience)
        came = bot.digits[self._digits_taken : have]
        self._digits_taken += len(came)
        if came != wanted:
            raise StepFailed(
                f"{came or 'nothing'} came within {step.patience:g} s, {wanted} was expected"
            )
        report.digits_right += 1

    async def _pause(self, seconds: float) -> None:
        await self._until(lambda: False, seconds)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until the condition holds, for `seconds` at most; return whether it does.

        Raises StepFailed when the call ends.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not condition():
            self._check_up()
            left = deadline - loop.time()
            if left <= 0 or not await self._bot.wait_for_change(left):
                return condition()
        return True

    def _check_up(self) -> None:
        ended = self._bot.ended
        if ended is not None:
            who = "the bot hung up" if ended.by is EndedBy.REMOTE else f"the call ended: {ended.by}"
            raise StepFailed(who)

    # What was measured --------------------------------------------------------------------------

    def _measure(self, ended: float) -> None:
        """Measure the call from its tracks, once it is over."""
        voice, report = self._voice, self._report
        began = voice.first_sent
        if began is None:
            return
        kept: list[_Turn] = []
        for turn in self._turns:
            if turn.voice is not None:
                if turn.voice >= len(voice.turns):
                    continue  # cut off by the end of the call
                turn.span = voice.turns[turn.voice]
            kept.append(turn)
        spans = np.array([turn.span for turn in kept], dtype=np.float64).reshape(-1, 2)
        report.measures = measure_call(
            spans,
            find_sounds(self._heard.levels()),
            answered=np.array([turn.awaited for turn in kept], dtype=np.bool_),
            barge_in=np.array([turn.barge_in for turn in kept], dtype=np.bool_),
            began=began,
            ended=max(began, ended),
        )
        report.seconds = ended - began
        report.rate = self._heard.rate
        if self._keeps:
            report.spoken = [
                (words, self._heard.samples(begin, end)) for words, begin, end in self._spoken
            ]
