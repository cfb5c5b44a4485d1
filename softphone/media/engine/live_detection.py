"""Detectors on live streams, run as one batch for all streams of a media plane.

A `LiveDetector` is a sink of one stream.  The detectors of all streams that received sound in one
iteration of the event loop run together, in a callback after it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

from softphone.media.audio import BatchSink, BlockBatch
from softphone.media.detection import (
    AnswerClassification,
    DetectedSound,
    DetectionResult,
    DetectorBank,
    DetectorKind,
    SpeechModel,
)
from softphone.media.interface import MediaBackend, Pcm, PcmBlock

logger = logging.getLogger("softphone.media")

DetectionCallback = Callable[[DetectedSound | AnswerClassification, float], None]
"""Called with the detection, and the media time at which it was made, in seconds."""


def _ignore_detection(found: DetectedSound | AnswerClassification, now: float) -> None:
    """Ignore a detection; the callback of a closed detector."""


_HUBS: WeakKeyDictionary[MediaBackend, _DetectionHub] = WeakKeyDictionary()


class LiveDetector(BatchSink):
    """A sink that runs detectors on the sound of one stream; `close` ends it."""

    def __init__(
        self,
        hub: _DetectionHub,
        wanted: DetectorKind,
        tell: DetectionCallback,
        model: SpeechModel | None,
    ) -> None:
        self.callback = tell
        self.row = hub.bank.add_row(wanted, model)
        self._hub = hub
        self._fed = 0.0
        self._origin = 0.0
        self._closed = False

    clock_rate_hz = 0
    """Any rate."""

    dropped_samples = 0
    """Always 0: every block goes to the detectors in the same loop iteration."""

    @property
    def now(self) -> float:
        """The media time of the last sample, in seconds."""
        return self._origin + self._fed

    def write(self, block: PcmBlock) -> None:
        """Feed a block to the detectors, which run after this loop iteration."""
        self._feed(block.pcm, block.clock_rate_hz, block.timestamp)

    def _feed(self, pcm: Pcm, clock_rate_hz: int, timestamp: int) -> None:
        if self._closed:
            return
        self._origin = timestamp / clock_rate_hz - self._fed
        self._fed += pcm.size / clock_rate_hz
        self._hub.bank.feed(self.row, pcm, clock_rate_hz)
        self._hub.schedule()

    def take_block(self, batch: BlockBatch, at: int) -> None:
        """Feed block `at` of a batch to the detectors."""
        self._feed(batch.pcm[at], batch.clock_rate_hz, batch.timestamp[at])

    def take_converted(self, batch: BlockBatch, at: int) -> None:
        """Do what `take_block` does: any rate is taken as it is."""
        self.take_block(batch, at)

    def converter_for(self, security_generation: int) -> None:
        """Return None: any rate is taken as it is."""

    def report_detection(self, found: DetectionResult) -> None:
        """Call the callback with a detection, its time converted to media time."""
        if self._closed:
            return
        if isinstance(found, DetectedSound):
            found = replace(found, at=max(found.at + self._origin, 0.0))
        try:
            self.callback(found, self.now)
        except Exception:
            # An error in one callback must not keep detections from the others.
            logger.exception("a listener to detected sound failed")

    def close(self) -> None:
        """Stop the detectors; `close` may be called more than once."""
        if not self._closed:
            self._closed = True
            self._hub.remove_detector(self)
            # The callback's owner usually holds this object; drop the reference cycle.
            self.callback = _ignore_detection


class _DetectionHub:
    """All live detectors of one media plane."""

    def __init__(self) -> None:
        self.bank = DetectorBank()
        self._listeners: dict[int, LiveDetector] = {}
        self._scheduled = False

    def add_detector(
        self, wanted: DetectorKind, tell: DetectionCallback, model: SpeechModel | None
    ) -> LiveDetector:
        listener = LiveDetector(self, wanted, tell, model)
        self._listeners[listener.row] = listener
        return listener

    def remove_detector(self, listener: LiveDetector) -> None:
        self._listeners.pop(listener.row, None)
        self.bank.remove_row(listener.row)

    def schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        for row, found in self.bank.run_detectors():
            listener = self._listeners.get(row)
            if listener is not None:
                listener.report_detection(found)


def start_detection(
    port: MediaBackend,
    wanted: DetectorKind,
    tell: DetectionCallback,
    model: SpeechModel | None = None,
) -> LiveDetector:
    """Return a sink that detects sounds of the kinds `wanted` and calls `tell` with each detection.

    `port` is the media plane of the stream; all its detectors run as one batch.  `model` finds
    speech where one is given, else the spectrum does.  Raises LocalProtocolError when too many
    detectors are in use already.
    """
    hub = _HUBS.get(port)
    if hub is None:
        hub = _HUBS[port] = _DetectionHub()
    return hub.add_detector(wanted, tell, model)
