"""What callers say, as samples: WAV files, and text that a text-to-speech command speaks."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from softphone.bot_test.analysis import QUIETEST, find_sounds, frame_levels
from softphone.bot_test.script import LONGEST, CallerScript, CallerStep
from softphone.bot_test.speech_command import run_command
from softphone.errors import ConfigurationError
from softphone.media import Pcm, WavSource

LONGEST_TEXT = 10_000
"""The most characters of a text for text-to-speech."""


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Samples int16[n], and begin and end of what can be heard in them, in samples."""

    pcm: Pcm
    begin: int
    end: int


class CallerSounds:
    """The utterances of scripts at each sample rate that a call may have.

    `text_to_speech` gets a text on its standard input and prints a WAV file.
    """

    def __init__(self, text_to_speech: tuple[str, ...] | None = None) -> None:
        self._command = text_to_speech
        self._files: dict[str, bytes] = {}
        self._ready: dict[tuple[object, int], Utterance] = {}

    async def prepare(self, scripts: Iterable[CallerScript], rates: Iterable[int]) -> None:
        """Read all files and have all texts spoken.

        Raises ConfigurationError for a file that cannot be played or is silent, a text without a
        command, or a command that fails.
        """
        rates = tuple(rates)
        for script in scripts:
            for step in script.steps:
                if step.text is not None and step.text not in self._files:
                    self._files[step.text] = await self._speak(step.text)
                for rate in rates if step.action in ("say", "text") else ():
                    self.utterance(step, rate)

    async def _speak(self, text: str) -> bytes:
        if self._command is None:
            raise ConfigurationError(
                f"text {text[:40]!r}: there is no text-to-speech command to speak it"
            )
        if len(text) > LONGEST_TEXT:
            raise ConfigurationError(f"text {text[:40]!r}...: at most {LONGEST_TEXT:,} characters")
        return await run_command(self._command, text.encode())

    def utterance(self, step: CallerStep, rate: int) -> Utterance:
        """Return what a step says, at a sample rate; `prepare` has been awaited."""
        key = (step.say if step.text is None else step.text, rate)
        found = self._ready.get(key)
        if found is None:
            found = self._ready[key] = self._convert(step, rate)
        return found

    def _convert(self, step: CallerStep, rate: int) -> Utterance:
        if step.say is not None:
            name, source = str(step.say), WavSource(Path(step.say), rate)
        else:
            text = step.text or ""
            name, source = f"text {text[:40]!r}", WavSource(io.BytesIO(self._files[text]), rate)
        if source.seconds > LONGEST:
            source.close()
            raise ConfigurationError(f"{name} lasts {source.seconds:.0f} s: at most {LONGEST:g}")
        pcm = source.read(round((LONGEST + 1.0) * rate))
        source.close()
        spans = find_sounds(frame_levels(pcm, rate), QUIETEST)
        if not len(spans):
            raise ConfigurationError(f"{name} is silent")
        begin, end = round(spans[0, 0] * rate), round(spans[-1, 1] * rate)
        return Utterance(pcm, begin, min(end, pcm.size))
