"""Routes the audio of one call: one source with DTMF tones over it, one sink, more listeners.

The application sets one source and one sink.  Detectors, recorders and conferences are added as
listeners (received audio) and monitors (sent audio).  Without any of them, nothing is decoded.
Echo and noise may be removed from received audio (`softphone.media.processing`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol
from weakref import ref

from softphone.errors import LocalProtocolError
from softphone.media.audio.dtmf_overlay import OverlaySource, digit_tones
from softphone.media.audio.fan_out import TeeSink
from softphone.media.audio.resample import Resampler
from softphone.media.interface import (
    AllocatedStream,
    MediaBackend,
    PcmBlock,
    Sink,
    Source,
    StreamHandle,
)
from softphone.media.processing import VoiceProcessing, VoiceProcessor


class AudioRouterOwner(Protocol):
    """The parts of a call that its `AudioRouter` uses."""

    @property
    def media_backend(self) -> MediaBackend:
        """The media engine of the call."""

    @property
    def stream(self) -> AllocatedStream | None:
        """The allocated audio stream; None while the call has none."""


class Detachable(ABC):
    """A source or a sink that holds a resource (a file, a track) while a call uses it.

    Classes inherit from it explicitly: an application's class may have an unrelated `detach`.
    """

    @abstractmethod
    def detach(self) -> None:
        """Release the resource: the call does not use this source or sink any more."""


def detach_replaced(before: Source | Sink | None, now: Source | Sink | None = None) -> None:
    """Detach `before`, which `now` replaces, unless `now` plays it below DTMF tones."""
    held, still = (
        each.source if isinstance(each, OverlaySource) else each for each in (before, now)
    )
    if isinstance(held, Detachable) and held is not still:
        held.detach()


class _SentSound:
    """Gives what a call sends to the processor of what it receives, as a monitor."""

    clock_rate_hz = 0
    """Any rate: it converts."""
    dropped_samples = 0
    """Always 0: what the processor does not need is no loss."""

    def __init__(self) -> None:
        self.processor: VoiceProcessor | None = None
        self._converter: Resampler | None = None

    def write(self, block: PcmBlock) -> None:
        """Note a block as played; before anything was received there is nothing to note."""
        if self.processor is None:
            return
        rates = (block.clock_rate_hz, self.processor.clock_rate_hz)
        converter = self._converter
        if converter is None or (converter.source_rate_hz, converter.target_rate_hz) != rates:
            converter = self._converter = Resampler(*rates)
        self.processor.note_played(converter.feed(block.pcm))


class _ProcessedSound:
    """Processes received sound and writes it to sinks; `sent` is to be a monitor of the call."""

    clock_rate_hz = 0
    """Any rate: the sinks convert."""

    def __init__(self, wanted: VoiceProcessing) -> None:
        self.sent = _SentSound() if wanted.echo_cancellation else None
        self.target = TeeSink()
        self._wanted = wanted
        self._processor: VoiceProcessor | None = None
        self._generation = 0

    @property
    def dropped_samples(self) -> int:
        """The sum of the sinks' dropped samples."""
        return self.target.dropped_samples

    def write(self, block: PcmBlock) -> None:
        """Write the processed whole frames of 10 ms; the rest waits for the next block."""
        processor, rate = self._processor, block.clock_rate_hz
        changed = processor is None or processor.clock_rate_hz != rate
        if processor is None or changed or block.security_generation != self._generation:
            # Of sound under other keys nothing is held, or remembered.
            processor = self._processor = VoiceProcessor(self._wanted, rate)
            self._generation = block.security_generation
            if self.sent is not None:
                self.sent.processor = processor
        held = processor.held_samples
        pcm = processor.process(block.pcm)
        if pcm.size:
            captured = block.captured and block.captured - held / rate
            timestamp = block.timestamp - held
            self.target.write(replace(block, pcm=pcm, timestamp=timestamp, captured=captured))


class AudioRouter:
    """The audio of one call, both ways; it refers to the call by a weak reference.

    Once the call is over, `handle`, `play`, `record`, `add_listener`, `add_monitor` and
    `send_tones` raise LocalProtocolError.
    """

    def __init__(self, owner: AudioRouterOwner) -> None:
        self._call = ref(owner)
        self._sink: Sink | None = None
        self._listeners: list[Sink] = []
        self._raw_listeners: list[Sink] = []
        self._processing: _ProcessedSound | None = None
        self._heard_sent: _SentSound | None = None
        self._monitors: list[Sink] = []
        self.source: Source | None = None
        """The source that is played, or the `OverlaySource` that replaced it for digits."""
        self._at_end: list[Callable[[], None]] = []
        self._tracks_began: float | None = None

    @property
    def handle(self) -> StreamHandle:
        """The handle of the stream.  Raises LocalProtocolError once the call is over."""
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
        """Send the audio of `source` (None: silence), and detach the source before it."""
        self._owner.media_backend.play(self.handle, source)
        before, self.source = self.source, source
        detach_replaced(before, source)

    def record(self, sink: Sink | None) -> None:
        """Deliver received audio to `sink`, the application's only one; None: to none."""
        handle, before, self._sink = self.handle, self._sink, sink
        self._update_sink(handle)
        detach_replaced(before, sink)

    @property
    def records(self) -> bool:
        """Whether the application's sink is set."""
        return self._sink is not None

    def stop_recording(self, sink: Sink) -> None:
        """Deliver to `sink` no longer, if it is the application's."""
        if self._sink is sink and self._row is not None:
            self.record(None)

    def add_listener(self, sink: Sink, *, raw: bool = False) -> None:
        """Deliver received audio to one more sink; with `raw`, as it was received."""
        handle = self.handle
        (self._raw_listeners if raw else self._listeners).append(sink)
        self._update_sink(handle)

    def remove_listener(self, sink: Sink) -> None:
        """Stop delivering received audio to `sink`; an unknown one is ignored."""
        for listeners in (self._listeners, self._raw_listeners):
            if sink in listeners:
                listeners.remove(sink)
                row = self._row
                if row is not None:
                    self._update_sink(row.handle)

    @property
    def processes(self) -> bool:
        """Whether received audio is processed."""
        return self._processing is not None

    def process(self, wanted: VoiceProcessing | None) -> None:
        """Remove echo and noise from received audio from now on; None: nothing any more."""
        active = wanted is not None and wanted.active
        self._processing = _ProcessedSound(wanted) if wanted is not None and active else None
        row = self._row
        if row is not None and (self._listeners or self._sink is not None):
            self._update_sink(row.handle)

    def add_monitor(self, sink: Sink) -> None:
        """Deliver sent audio to one more sink."""
        handle = self.handle
        self._monitors.append(sink)
        self._owner.media_backend.monitor(handle, _joined(self._monitors))

    def remove_monitor(self, sink: Sink) -> None:
        """Stop delivering sent audio to `sink`; an unknown one is ignored."""
        if sink in self._monitors:
            self._monitors.remove(sink)
            row = self._row
            if row is not None:
                self._owner.media_backend.monitor(row.handle, _joined(self._monitors))

    def _update_sink(self, handle: StreamHandle) -> None:
        sinks = self._listeners if self._sink is None else [self._sink, *self._listeners]
        processing = self._processing if sinks else None
        if processing is not None:
            processing.target = TeeSink(*sinks)
            sinks = [processing]
        self._hear_sent(None if processing is None else processing.sent)
        self._owner.media_backend.record(handle, _joined([*sinks, *self._raw_listeners]))

    def _hear_sent(self, sent: _SentSound | None) -> None:
        """Give sent audio to the processing of what is received, in place of the one before."""
        before, self._heard_sent = self._heard_sent, sent
        if sent is before:
            return
        if before is not None:
            self.remove_monitor(before)
        if sent is not None:
            self.add_monitor(sent)

    def send_tones(self, digits: str, *, duration_ms: int) -> None:
        """Send digits as DTMF tones, which replace the source's audio while they last.

        Raises ConfigurationError for a character that is not a digit.
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
        """Seconds since the first call of this method; the tracks of a call share this origin."""
        if self._tracks_began is None:
            self._tracks_began = now
        return now - self._tracks_began

    # The end

    def call_at_end(self, work: Callable[[], None]) -> None:
        """Have `work` called when the call ends."""
        self._at_end.append(work)

    def cancel_at_end(self, work: Callable[[], None]) -> None:
        """Take back `call_at_end` for `work`."""
        if work in self._at_end:
            self._at_end.remove(work)

    def close(self) -> None:
        """Detach source and sink and run what `call_at_end` was given.

        The engine has closed the stream before.
        """
        detach_replaced(self.source)
        detach_replaced(self._sink)
        works, self._at_end = self._at_end, []
        for work in works:
            work()
        self._listeners.clear()
        self._raw_listeners.clear()
        self._monitors.clear()


def _joined(sinks: list[Sink]) -> Sink | None:
    if len(sinks) > 1:
        return TeeSink(*sinks)
    return sinks[0] if sinks else None
