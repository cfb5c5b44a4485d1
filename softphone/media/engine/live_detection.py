"""Detectors on live streams: what all streams of one media plane hear is looked at in one go.

A `Listener` is a sink.  Whatever streams were given sound in one turn of the loop, their detectors
run together at its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakKeyDictionary

from softphone.media.detection import AnswerVerdict, Detected, DetectorBank, Found, Wanted
from softphone.media.interface import MediaPort, PcmBlock

__all__ = ["Listener", "Tell", "listen"]

logger = logging.getLogger("softphone.media")

Tell = Callable[[Found | AnswerVerdict, float], None]
"""Takes what was found, and the media time at which that was known, in seconds."""


def _tell_nobody(found: Found | AnswerVerdict, now: float) -> None:
    """The listener is closed."""


_HUBS: WeakKeyDictionary[MediaPort, _Hub] = WeakKeyDictionary()


class Listener:
    """The sink of one stream whose sound is looked at; `close` ends it."""

    def __init__(self, hub: _Hub, wanted: Wanted, tell: Tell) -> None:
        self.tell = tell
        self.row = hub.bank.add(wanted)
        self._hub = hub
        self._fed = 0.0
        self._origin = 0.0
        self._closed = False

    @property
    def clock_rate_hz(self) -> int:
        """Any rate."""
        return 0

    @property
    def dropped_samples(self) -> int:
        """None: whatever comes is looked at in the same turn."""
        return 0

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

    def take(self, found: Detected) -> None:
        """Tell, in media time."""
        if self._closed:
            return
        if isinstance(found, Found):
            found = replace(found, at=max(found.at + self._origin, 0.0))
        try:
            self.tell(found, self.now)
        except Exception:
            # A listener's fault must not keep the others from hearing what they wait for.
            logger.exception("a listener to detected sound failed")

    def close(self) -> None:
        """Listen no more."""
        if not self._closed:
            self._closed = True
            self._hub.leave(self)
            # Who was told keeps us, as a rule: here he is let go.
            self.tell = _tell_nobody


class _Hub:
    """All listeners of one media plane."""

    def __init__(self) -> None:
        self.bank = DetectorBank()
        self._listeners: dict[int, Listener] = {}
        self._scheduled = False

    def join(self, wanted: Wanted, tell: Tell) -> Listener:
        listener = Listener(self, wanted, tell)
        self._listeners[listener.row] = listener
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.pop(listener.row, None)
        self.bank.remove(listener.row)

    def schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        for row, found in self.bank.run():
            listener = self._listeners.get(row)
            if listener is not None:
                listener.take(found)


def listen(port: MediaPort, wanted: Wanted, tell: Tell) -> Listener:
    """A sink for a stream of `port`; `tell` is called with what is found.

    Raises LocalProtocolError when too many streams are listened to already.
    """
    hub = _HUBS.get(port)
    if hub is None:
        hub = _HUBS[port] = _Hub()
    return hub.join(wanted, tell)
