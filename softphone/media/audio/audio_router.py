"""Who hears a stream and what it says: several listeners, and tones over a source.

The application has one source and one sink; detectors, recorders and conferences come and go
beside them.  Nothing is decoded while nobody listens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol
from weakref import ref

from softphone.errors import LocalProtocolError
from softphone.media.audio.dtmf_overlay import OverlaySource, digit_tones
from softphone.media.audio.fan_out import TeeSink
from softphone.media.interface import AllocatedStream, MediaBackend, Sink, Source, StreamHandle


class AudioRouterOwner(Protocol):
    """What the sound of a stream needs of the call that owns it."""

    @property
    def media_backend(self) -> MediaBackend:
        """The engine's port."""

    @property
    def stream(self) -> AllocatedStream | None:
        """The audio row, while there is one."""


class Detachable(ABC):
    """A source or a sink that holds on to something while it is played or recorded to: a class of
    ours that names this one, since one of the application's may have a method of this name, too."""

    @abstractmethod
    def detach(self) -> None:
        """It is not used any more."""


def detach_replaced(before: Source | Sink | None, now: Source | Sink | None = None) -> None:
    """Something else is used in the place of `before`; digits may be said over it."""
    held, still = (
        each.source if isinstance(each, OverlaySource) else each for each in (before, now)
    )
    if isinstance(held, Detachable) and held is not still:
        held.detach()


class AudioRouter:
    """The sound of one stream, both ways, of a call that it knows and does not keep.

    Once the call is over, `handle`, `play`, `record`, `add_listener`, `add_monitor` and
    `send_tones` raise LocalProtocolError.
    """

    def __init__(self, owner: AudioRouterOwner) -> None:
        self._call = ref(owner)
        self._sink: Sink | None = None
        self._listeners: list[Sink] = []
        self._monitors: list[Sink] = []
        self.source: Source | None = None
        """What is played."""
        self._at_end: list[Callable[[], None]] = []
        self._tracks_began: float | None = None

    @property
    def handle(self) -> StreamHandle:
        """The row's name."""
        row = self._row
        if row is None:
            raise LocalProtocolError("the stream is closed: the call is over")
        return row.handle

    @property
    def _owner(self) -> AudioRouterOwner:
        owner = self._call()
        if owner is None:
            raise LocalProtocolError("the stream is closed: the call is over")
        return owner

    @property
    def _row(self) -> AllocatedStream | None:
        owner = self._call()
        return None if owner is None else owner.stream

    def play(self, source: Source | None) -> None:
        """Send what `source` gives."""
        self._owner.media_backend.play(self.handle, source)
        before, self.source = self.source, source
        detach_replaced(before, source)

    def record(self, sink: Sink | None) -> None:
        """Deliver what is received to the application's one sink."""
        handle, before, self._sink = self.handle, self._sink, sink
        self._update_sink(handle)
        detach_replaced(before, sink)

    def add_listener(self, sink: Sink) -> None:
        """Deliver what is received to one more."""
        handle = self.handle
        self._listeners.append(sink)
        self._update_sink(handle)

    def remove_listener(self, sink: Sink) -> None:
        """One less."""
        if sink in self._listeners:
            self._listeners.remove(sink)
            row = self._row
            if row is not None:
                self._update_sink(row.handle)

    def add_monitor(self, sink: Sink) -> None:
        """Deliver what is sent to one more."""
        handle = self.handle
        self._monitors.append(sink)
        self._owner.media_backend.monitor(handle, _joined(self._monitors))

    def remove_monitor(self, sink: Sink) -> None:
        """One less."""
        if sink in self._monitors:
            self._monitors.remove(sink)
            row = self._row
            if row is not None:
                self._owner.media_backend.monitor(row.handle, _joined(self._monitors))

    def _update_sink(self, handle: StreamHandle) -> None:
        sinks = self._listeners if self._sink is None else [self._sink, *self._listeners]
        self._owner.media_backend.record(handle, _joined(sinks))

    def send_tones(self, digits: str, *, duration_ms: int) -> None:
        """Send digits as tones, in the place of what is played meanwhile.

        Raises ConfigurationError for a character that is no digit.
        """
        source = self.source
        overlay = source if isinstance(source, OverlaySource) else OverlaySource(source)
        rate = overlay.clock_rate_hz
        tones = digit_tones(digits, duration_ms=duration_ms, clock_rate_hz=rate)
        said_out = overlay.ended
        overlay.queue_pieces([tones])
        if overlay is not source or said_out:
            self.play(overlay)

    def track_time(self, now: float) -> float:
        """Seconds since a track of the call gave its first frame, which is now if none has."""
        if self._tracks_began is None:
            self._tracks_began = now
        return now - self._tracks_began

    # The end

    def call_at_end(self, work: Callable[[], None]) -> None:
        """Have `work` called when the call ends."""
        self._at_end.append(work)

    def cancel_at_end(self, work: Callable[[], None]) -> None:
        """It is not wanted any more."""
        if work in self._at_end:
            self._at_end.remove(work)

    def close(self) -> None:
        """The call is over: its rows are closed already."""
        detach_replaced(self.source)
        detach_replaced(self._sink)
        works, self._at_end = self._at_end, []
        for work in works:
            work()
        self._listeners.clear()
        self._monitors.clear()


def _joined(sinks: list[Sink]) -> Sink | None:
    if len(sinks) > 1:
        return TeeSink(*sinks)
    return sinks[0] if sinks else None
