"""Neural voice activity detection of many rows at once: when speech begins and ends.

Each row collects windows of 32 ms, and the model runs once for all rows with a full window.  A
beginning is reported after two windows of speech (64 ms), an end after a pause of 288 ms;
`softphone.media.detection.voice_activity` uses 60 and 300 ms.  Both carry the time at which they
happened.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import count_nonzero
from softphone.media.detection.spectrum import FRAME_SAMPLES
from softphone.media.detection.speech_model import CONTEXT, STATE, WINDOW, SpeechModel
from softphone.media.detection.voice_activity import VoiceActivityChange

SPEECH, STILL_SPEECH = 0.5, 0.35
"""The least probability at which speech begins, and at which it goes on."""
ONSET = 2
"""Windows of speech that begin it."""
HANGOVER = 9 * WINDOW
"""Samples without speech that end it: 288 ms."""
FULL_SCALE = np.float32(1.0 / 32768.0)
"""Factor from 16-bit samples to -1 to 1."""


class NeuralVoiceActivityBank:
    """The voice activity of `capacity` rows, as `model` estimates it.

    `speaking`, bool[capacity], is whether each row speaks.
    """

    def __init__(self, capacity: int, model: SpeechModel) -> None:
        self._model = model
        # The context of the next window, and the samples that wait behind it.
        width = CONTEXT + WINDOW + FRAME_SAMPLES
        self._sound = np.zeros((capacity, width), dtype=np.float32)
        self._waiting = np.zeros(capacity, dtype=np.int64)
        self._state = np.zeros((2, capacity, STATE), dtype=np.float32)
        self._frames = np.zeros(capacity, dtype=np.int64)
        self._judged = np.zeros(capacity, dtype=np.int64)
        self._likely = np.zeros(capacity, dtype=np.int64)
        self._began = np.zeros(capacity, dtype=np.int64)
        self._last = np.zeros(capacity, dtype=np.int64)
        self.speaking = np.zeros(capacity, dtype=np.bool_)

    def reset(self, row: int) -> None:
        """Reset the state of a row."""
        self._sound[row] = 0.0
        self._state[:, row] = 0.0
        for each in (self._waiting, self._frames, self._judged, self._likely, self._last):
            each[row] = 0
        self.speaking[row] = False

    def feed(
        self, rows: NDArray[np.int32], fresh: NDArray[np.float32]
    ) -> list[VoiceActivityChange]:
        """Process a frame of each row, float32[k, FRAME_SAMPLES] of 16-bit samples; return the
        beginnings and ends of speech."""
        places = CONTEXT + self._waiting[rows, None] + np.arange(FRAME_SAMPLES)
        self._sound[rows[:, None], places] = fresh * FULL_SCALE
        self._waiting[rows] += FRAME_SAMPLES
        self._frames[rows] += 1
        whole = rows[self._waiting[rows] >= WINDOW]
        if not whole.size:
            return []
        probability, self._state[:, whole] = self._model.estimate(
            self._sound[whole, : CONTEXT + WINDOW], self._state[:, whole]
        )
        self._sound[whole, :-WINDOW] = self._sound[whole, WINDOW:]
        self._waiting[whole] -= WINDOW
        return self._judge(whole, probability)

    def _judge(
        self, rows: NDArray[np.int32], probability: NDArray[np.float32]
    ) -> list[VoiceActivityChange]:
        judged = self._judged[rows] = self._judged[rows] + WINDOW
        likely, speaking = probability >= SPEECH, self.speaking[rows]
        self._likely[rows] = np.where(likely, self._likely[rows] + 1, 0)
        voiced = likely | (speaking & (probability >= STILL_SPEECH))
        last = self._last[rows] = np.where(voiced, judged, self._last[rows])
        starts = ~speaking & (self._likely[rows] >= ONSET)
        stops = speaking & (judged - last >= HANGOVER)
        if not (count_nonzero(starts) or count_nonzero(stops)):
            return []
        self.speaking[rows] = (speaking | starts) & ~stops
        self._began[rows[starts]] = judged[starts] - ONSET * WINDOW
        changes = [
            VoiceActivityChange(row, True, self._frames_since(row, int(self._began[row])))
            for row in rows[starts].tolist()
        ]
        for row in rows[stops].tolist():
            end = int(self._last[row])
            spoke = round((end - int(self._began[row])) / FRAME_SAMPLES)
            changes.append(VoiceActivityChange(row, False, self._frames_since(row, end), spoke))
        return changes

    def _frames_since(self, row: int, sample: int) -> int:
        """Frames from a sample of a row to the beginning of its newest frame."""
        return int(self._frames[row]) - 1 - round(sample / FRAME_SAMPLES)
