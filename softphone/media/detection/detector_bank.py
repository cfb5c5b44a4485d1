"""Runs the detectors for many streams at once: digits, voice, tones, who answered.

A `DetectorBank` has one row for each stream, and runs only the detectors that the row asks for.
`feed` queues samples; `run_detectors` processes all rows that have a frame of 20 ms together, and
returns the detections.  Times are media time in seconds since the row was added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Flag, auto
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from softphone.errors import LocalProtocolError
from softphone.media.audio.resample import Resampler
from softphone.media.detection.answering_machine import (
    AnswerClassification,
    AnsweringMachineDetector,
)
from softphone.media.detection.call_progress import ToneDetector
from softphone.media.detection.dtmf import REACH, DtmfBank
from softphone.media.detection.neural_voice_activity import NeuralVoiceActivityBank
from softphone.media.detection.spectrum import (
    FRAME_SAMPLES,
    HISTORY,
    RATE,
    SpectrumFeatures,
    analyze_spectrum,
)
from softphone.media.detection.speech_model import SpeechModel
from softphone.media.detection.voice_activity import VoiceActivityBank, VoiceActivityChange
from softphone.media.interface import Pcm

FRAME = FRAME_SAMPLES / RATE
LONGEST_BACKLOG = 50
"""The most frames that wait in a row; beyond it the oldest samples are dropped and counted."""


class DetectorKind(Flag):
    """The detectors of a row."""

    DIGITS = auto()
    VOICE = auto()
    TONES = auto()
    ANSWER = auto()


@dataclass(frozen=True, slots=True)
class DetectedSound:
    """One detection: `kind` is "digit", "voice", "silence" or "tone".

    `what` is the digit or the name of the tone, `at` the time of its beginning (of a silence, too),
    `seconds` its duration as far as known.
    """

    kind: str
    at: float
    what: str = ""
    seconds: float = 0.0


DetectionResult: TypeAlias = DetectedSound | AnswerClassification


@dataclass(slots=True, eq=False)
class _DetectorRow:
    """The state of one row outside the arrays."""

    wanted: DetectorKind
    converter: Resampler | None = None
    waiting: Pcm | None = None
    frames: int = 0
    lost: int = 0
    track: ToneDetector | None = None
    answer: AnsweringMachineDetector | None = None
    neural: NeuralVoiceActivityBank | None = None


class DetectorBank:
    """Runs detectors on up to `capacity` rows."""

    def __init__(self, capacity: int = 1024) -> None:
        self._rows: dict[int, _DetectorRow] = {}
        self._free = list(range(capacity - 1, -1, -1))
        self._capacity = capacity
        self._history = np.zeros((capacity, HISTORY), dtype=np.float32)
        self._digits = DtmfBank(capacity)
        self._activity = VoiceActivityBank(capacity)
        self._neural: dict[SpeechModel, NeuralVoiceActivityBank] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add_row(self, wanted: DetectorKind, model: SpeechModel | None = None) -> int:
        """Return a new row with detectors `wanted`; `model` finds its speech, where one is given.

        Raises LocalProtocolError if none is free.
        """
        if not self._free:
            raise LocalProtocolError(f"{len(self._rows)} streams are listened to already")
        row = self._free.pop()
        self._history[row] = 0.0
        self._digits.reset(row)
        self._activity.reset(row)
        self._rows[row] = _DetectorRow(
            wanted,
            track=ToneDetector() if wanted & (DetectorKind.TONES | DetectorKind.ANSWER) else None,
            answer=AnsweringMachineDetector() if wanted & DetectorKind.ANSWER else None,
            neural=self._neural_bank(row, wanted, model),
        )
        return row

    def _neural_bank(
        self, row: int, wanted: DetectorKind, model: SpeechModel | None
    ) -> NeuralVoiceActivityBank | None:
        """Return the bank of a row's model, the row being reset; None if it needs none."""
        if model is None or not wanted & (DetectorKind.VOICE | DetectorKind.ANSWER):
            return None
        bank = self._neural.get(model)
        if bank is None:
            bank = self._neural[model] = NeuralVoiceActivityBank(self._capacity, model)
        bank.reset(row)
        return bank

    def remove_row(self, row: int) -> None:
        """Free a row; an unknown one is ignored."""
        if self._rows.pop(row, None) is not None:
            self._free.append(row)

    def feed(self, row: int, pcm: Pcm, clock_rate_hz: int) -> None:
        """Queue int16[n] of a row for `run_detectors`; an unknown row is ignored."""
        entry = self._rows.get(row)
        if entry is None:
            return
        if clock_rate_hz != RATE:
            if entry.converter is None or entry.converter.source_rate_hz != clock_rate_hz:
                entry.converter = Resampler(clock_rate_hz, RATE)
            pcm = entry.converter.feed(pcm)
        waiting = pcm if entry.waiting is None else np.concatenate((entry.waiting, pcm))
        over = waiting.size - LONGEST_BACKLOG * FRAME_SAMPLES
        if over > 0:
            waiting, entry.lost = waiting[over:], entry.lost + over
        entry.waiting = waiting

    def run_detectors(self) -> list[tuple[int, DetectionResult]]:
        """Process all whole frames that wait; return (row, detection) pairs."""
        found: list[tuple[int, DetectionResult]] = []
        while True:
            ready = [
                row
                for row, entry in self._rows.items()
                if entry.waiting is not None and entry.waiting.size >= FRAME_SAMPLES
            ]
            if not ready:
                return found
            self._frame(ready, found)

    def _frame(self, ready: list[int], found: list[tuple[int, DetectionResult]]) -> None:
        rows = np.array(ready, dtype=np.int32)
        history = self._shift_history(ready, rows)
        digits = self._only(ready, DetectorKind.DIGITS)
        if digits.size:
            self._find_digits(rows[digits], history[digits], found)
        others = self._with_spectrum(ready)
        if others.size:
            sight = analyze_spectrum(history[others])
            self._find_voice(rows[others], sight, found)
            self._find_tones(rows[others], sight, found)
        if self._neural:
            self._find_neural_voice(ready, rows, history[:, -FRAME_SAMPLES:], found)
        for row in ready:
            entry = self._rows[row]
            entry.frames += 1
            verdict = (
                None if entry.answer is None else entry.answer.classify_at(entry.frames * FRAME)
            )
            if verdict is not None:
                found.append((row, verdict))

    def _shift_history(self, ready: list[int], rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Move one waiting frame of each row into its history; return it, float32[k, HISTORY]."""
        fresh = np.empty((len(ready), FRAME_SAMPLES), dtype=np.float32)
        for at, row in enumerate(ready):
            entry = self._rows[row]
            if entry.waiting is not None:
                fresh[at] = entry.waiting[:FRAME_SAMPLES]
                entry.waiting = entry.waiting[FRAME_SAMPLES:]
        history = np.concatenate((self._history[rows, FRAME_SAMPLES:], fresh), axis=1)
        self._history[rows] = history
        return history

    def _only(self, ready: Iterable[int], wanted: DetectorKind) -> NDArray[np.intp]:
        listens = [bool(self._rows[row].wanted & wanted) for row in ready]
        return np.array(listens, dtype=np.bool_).nonzero()[0]

    def _with_spectrum(self, ready: Iterable[int]) -> NDArray[np.intp]:
        """Return the places of the rows whose detectors need the spectrum."""
        entries = (self._rows[row] for row in ready)
        needed = [
            each.track is not None
            or (each.neural is None and bool(each.wanted & DetectorKind.VOICE))
            for each in entries
        ]
        return np.array(needed, dtype=np.bool_).nonzero()[0]

    def _find_digits(
        self,
        rows: NDArray[np.int32],
        history: NDArray[np.float32],
        found: list[tuple[int, DetectionResult]],
    ) -> None:
        for each in self._digits.feed(rows, history[:, -REACH:]):
            now = (self._rows[each.row].frames + 1) * FRAME
            seconds = each.duration_ms / 1000.0
            found.append(
                (each.row, DetectedSound("digit", max(now - seconds, 0.0), each.digit, seconds))
            )

    def _find_voice(
        self,
        rows: NDArray[np.int32],
        sight: SpectrumFeatures,
        found: list[tuple[int, DetectionResult]],
    ) -> None:
        for change in self._activity.feed(rows, sight):
            if self._rows[change.row].neural is None:
                self._note_voice(change, found)

    def _find_neural_voice(
        self,
        ready: list[int],
        rows: NDArray[np.int32],
        fresh: NDArray[np.float32],
        found: list[tuple[int, DetectionResult]],
    ) -> None:
        for bank in self._neural.values():
            at = np.array([self._rows[row].neural is bank for row in ready]).nonzero()[0]
            if at.size:
                for change in bank.feed(rows[at], fresh[at]):
                    self._note_voice(change, found)

    def _note_voice(
        self, change: VoiceActivityChange, found: list[tuple[int, DetectionResult]]
    ) -> None:
        entry = self._rows[change.row]
        at = max((entry.frames - change.frames_ago) * FRAME, 0.0)
        if entry.answer is not None:
            entry.answer.voice(change.speaking, at)
        if entry.wanted & DetectorKind.VOICE:
            kind = "voice" if change.speaking else "silence"
            found.append((change.row, DetectedSound(kind, at, seconds=change.frames * FRAME)))

    def _find_tones(
        self,
        rows: NDArray[np.int32],
        sight: SpectrumFeatures,
        found: list[tuple[int, DetectionResult]],
    ) -> None:
        fields = zip(
            rows.tolist(),
            sight.past.tolist(),
            sight.first.tolist(),
            sight.purity.tolist(),
            sight.lone.tolist(),
            strict=True,
        )
        for row, level, frequency, purity, lone in fields:
            entry = self._rows[row]
            if entry.track is None:
                continue
            tone = entry.track.feed(level, frequency, purity, lone)
            if tone is None:
                continue
            at = max((entry.frames + 1) * FRAME - tone.seconds, 0.0)
            if entry.wanted & DetectorKind.TONES:
                found.append((row, DetectedSound("tone", at, tone.name, tone.seconds)))
            verdict = None if entry.answer is None else entry.answer.tone(tone.name)
            if verdict is not None:
                found.append((row, verdict))
