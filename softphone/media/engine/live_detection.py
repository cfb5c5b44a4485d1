"""Detectors on live streams: what all streams of one media plane hear is looked at in one go.

A `LiveDetector` is a sink.  Whatever streams were given sound in one turn of the loop, their
detectors run together at its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

from softphone.media.detection import (
    AnswerClassification,
    DetectedSound,
    DetectionResult,
    DetectorBank,
    DetectorKind,
)
from softphone.media.interface import MediaBackend, PcmBlock

logger = logging.getLogger("softphone.media")

DetectionCallback = Callable[[DetectedSound | AnswerClassification, float], None]
"""Takes what was found, and the media time at which that was known, in seconds."""


def _ignore_detection(found: DetectedSound | AnswerClassification, now: float) -> None:
    """The listener is closed."""


_HUBS: WeakKeyDictionary[MediaBackend, _DetectionHub] = WeakKeyDictionary()


class LiveDetector:
    """The sink of one stream whose sound is looked at; `close` ends it."""

    def __init__(self, hub: _DetectionHub, wanted: DetectorKind, tell: DetectionCallback) -> None:
        self.callback = tell
        self.row = hub.bank.add_row(wanted)
        self._hub = hub
        self._fed = 0.0
        self._origin = 0.0
        self._closed = False

    clock_rate_hz = 0
    """Any rate."""

    dropped_samples = 0
    """None: whatever comes is looked at in the same turn."""

    @property
    def now(self) -> float:
        """The media time of the last sample, in seconds."""
        return self._origin + self._fed

    def write(self, block: PcmBlock) -> None:
        """Take a block."""
        if self._closed:
            return
        self._origin = block.timestamp / block.clock_rate_hz - self._fed
        self._fed += block.pcm.size / block.clock_rate_hz
        self._hub.bank.feed(self.row, block.pcm, block.clock_rate_hz)
        self._hub.schedule()

    def report_detection(self, found: DetectionResult) -> None:
        """Tell, in media time."""
        if self._closed:
            return
        if isinstance(found, DetectedSound):
            found = replace(found, at=max(found.at + self._origin, 0.0))
        try:
            self.callback(found, self.now)
        except Exception:
            # A listener's fault must not keep the others from hearing what they wait for.
            logger.exception("a listener to detected sound failed")

    def close(self) -> None:
        """Listen no more."""
        if not self._closed:
            self._closed = True
            self._hub.remove_detector(self)
            # Who was told keeps us, as a rule: here he is let go.
            self.callback = _ignore_detection


class _DetectionHub:
    """All listeners of one media plane."""

    def __init__(self) -> None:
        self.bank = DetectorBank()
        self._listeners: dict[int, LiveDetector] = {}
        self._scheduled = False

    def add_detector(self, wanted: DetectorKind, tell: DetectionCallback) -> LiveDetector:
        listener = LiveDetector(self, wanted, tell)
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
    port: MediaBackend, wanted: DetectorKind, tell: DetectionCallback
) -> LiveDetector:
    """A sink for a stream of `port`; `tell` is called with what is found.

    Raises LocalProtocolError when too many streams are listened to already.
    """
    hub = _HUBS.get(port)
    if hub is None:
        hub = _HUBS[port] = _DetectionHub()
    return hub.add_detector(wanted, tell)
