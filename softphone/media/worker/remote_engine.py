"""A `MediaBackend` whose engines run in worker processes.

    async with make_engine(MediaConfig(placement="worker")) as engine:
        local = engine.allocate_stream(on_event=print)

Commands do not wait for an answer; only `allocate_stream` blocks, when no reserved stream is left.
Statistics are read from shared memory, and audio goes through shared rings.  A wrong command raises
here, before it is sent; an error that only the worker can find ends the stream with `MediaFailed`.
The end of a worker ends its streams in the same way, and the worker is restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Final, Literal, Self

import numpy as np

from softphone.errors import (
    ConfigurationError,
    LocalProtocolError,
    MediaError,
    NoPortFree,
    SoftphoneError,
)
from softphone.events import Direction, PacketCounts, StreamStatistics
from softphone.media.audio import Resampler
from softphone.media.bank import find_codec
from softphone.media.engine import encode_remote
from softphone.media.interface import (
    AllocatedStream,
    EventCallback,
    MediaConfig,
    MediaEvent,
    MediaFailed,
    PortRange,
    PublicAddresses,
    Sink,
    Source,
    SrtpKey,
    StaleHandle,
    StreamHandle,
    StreamSpec,
)
from softphone.media.quality import Column, read_packet_counts, read_statistics
from softphone.media.tick import BINS, LatenessHistogram
from softphone.media.worker.audio_pump import AudioPump, PumpedSink, PumpedSource, send_descriptor
from softphone.media.worker.process_link import MediaWorkerProcess
from softphone.media.worker.shared_statistics import EngineCounter
from softphone.media.worker.stream_reserve import ReservedStream, StreamReserve
from softphone.media.worker.wire_format import MediaWorkerMessage, read_event, spec_fields
from softphone.rtp import TelephoneEventSender
from softphone.sans_io import Address

logger = logging.getLogger("softphone.media")

ROWS: Final = 1 << 20
"""Row numbers in handles for each worker: a handle's row is `index * ROWS` + the worker's row."""

RESTARTS: Final = 5
"""The most restarts of each worker."""


@dataclass(slots=True, eq=False)
class MediaWorkerSlot:
    """One worker; `streams` counts its allocated streams, `starts` how often it was started."""

    link: MediaWorkerProcess
    reserve: StreamReserve
    pump: AudioPump
    streams: int = 0
    starts: int = 1


@dataclass(slots=True, eq=False)
class WorkerStream:
    """One stream of a worker."""

    slot: MediaWorkerSlot
    link: MediaWorkerProcess
    place: ReservedStream
    handle: StreamHandle
    on_event: EventCallback | None
    spec: StreamSpec | None = None
    generation: int = 0
    pumped_source: PumpedSource | None = None
    pumped_sinks: dict[str, PumpedSink] = field(default_factory=dict)

    @property
    def name(self) -> list[int]:
        """The row and generation by which the worker knows the stream."""
        return [self.place.row, self.place.generation]


class RemoteEngine:
    """A `MediaBackend` over `config.workers` processes; use it in the event loop that enters it."""

    def __init__(self, config: MediaConfig) -> None:
        self.config = config
        self._slots: list[MediaWorkerSlot] = []
        self._streams: dict[StreamHandle, WorkerStream] = {}
        self._names: dict[tuple[MediaWorkerProcess, int, int], WorkerStream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start the workers.  Raises MediaError, and ConfigurationError for too few ports."""
        links = [
            MediaWorkerProcess(self, replace(self.config, ports=ports), index)
            for index, ports in enumerate(_shares(self.config))
        ]
        outcomes = await asyncio.gather(*(link.start() for link in links), return_exceptions=True)
        failed = next((each for each in outcomes if each is not None), None)
        if failed is not None:
            await asyncio.gather(*(link.close() for link in links))
            raise failed
        for link in links:
            self._slots.append(
                MediaWorkerSlot(link, StreamReserve(link, link.capacity), AudioPump())
            )
            self._slots[-1].reserve.request_streams(self.config.host)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        sites, self._slots = self._slots, []
        self._streams.clear()
        self._names.clear()
        for site in sites:
            site.pump.close()
        await asyncio.gather(*(site.link.close() for site in sites))

    def __len__(self) -> int:
        return len(self._streams)

    # Counters -----------------------------------------------------------------------------------

    def _count(self, counter: EngineCounter) -> int:
        boards = [site.link.statistics for site in self._slots]
        return sum(int(board.counters[counter]) for board in boards if board is not None)

    @property
    def lateness(self) -> LatenessHistogram:
        """A copy of the lateness histogram, summed over the workers."""
        copy = LatenessHistogram(np.zeros(BINS, dtype=np.int64))
        for site in self._slots:
            if site.link.statistics is not None:
                copy.counts += site.link.statistics.lateness
                latest = int(site.link.statistics.counters[EngineCounter.LATEST_MICROSECONDS])
                copy.maximum_ms = max(copy.maximum_ms, latest / 1e3)
        return copy

    @property
    def jumps(self) -> int:
        """Frames skipped by phases that were too far behind, summed over the workers."""
        return self._count(EngineCounter.JUMPS)

    @property
    def packets_skipped(self) -> int:
        """RTP packets that skipped frames would have sent, summed over the workers."""
        return self._count(EngineCounter.PACKETS_SKIPPED)

    @property
    def frames_late(self) -> int:
        """Frames that ran later than the start of the next frame."""
        return self._count(EngineCounter.FRAMES_LATE)

    @property
    def overflows(self) -> int:
        """Datagrams that the system dropped because receive buffers were full."""
        return self._count(EngineCounter.OVERFLOWS)

    @property
    def unclaimed(self) -> int:
        """Datagrams for no open stream."""
        return self._count(EngineCounter.UNCLAIMED)

    @property
    def packets_received(self) -> int:
        """Valid RTP packets received by the open streams, as of some frames ago."""
        received = 0
        for site in self._slots:
            if site.link.statistics is not None:
                places = [far.place for far in self._streams.values() if far.link is site.link]
                column = site.link.statistics.rows[:, Column.PACKETS_RECEIVED]
                received += int(column[[place.row for place in places]].sum()) if places else 0
        return received

    @property
    def processor_seconds(self) -> float:
        """CPU time used by the workers, in seconds."""
        return self._count(EngineCounter.PROCESSOR_MICROSECONDS) / 1e6

    @property
    def workers(self) -> tuple[int, ...]:
        """The process IDs of the live workers."""
        links = [site.link for site in self._slots if site.link.alive]
        return tuple(link.process.pid for link in links if link.process is not None)

    # Commands -----------------------------------------------------------------------------------

    def allocate_stream(
        self, *, host: str | None = None, on_event: EventCallback | None = None
    ) -> AllocatedStream:
        """Take a reserved stream of the worker with the fewest streams; see `MediaBackend`.

        Raises NoPortFree, MediaError when no worker is alive or one does not answer, and
        LocalProtocolError before `async with`.
        """
        if not self._slots:
            raise LocalProtocolError("the media engine has not been entered")
        site, place = self._take_reserved(host or self.config.host)
        site.streams += 1
        generation = place.generation + (site.starts - 1 << 32)
        handle = StreamHandle(site.link.index * ROWS + place.row, generation)
        far = WorkerStream(site, site.link, place, handle, on_event)
        self._streams[handle] = self._names[site.link, place.row, place.generation] = far
        return AllocatedStream(handle, place.host, place.rtp_port, place.rtcp_port, place.ssrc)

    def _take_reserved(self, host: str) -> tuple[MediaWorkerSlot, ReservedStream]:
        alive = [site for site in self._slots if site.link.alive]
        error: MediaError = MediaError(
            "the media worker has ended and is not up again: no call can be made now"
        )
        for site in sorted(alive, key=lambda each: each.streams):
            try:
                return site, site.reserve.take_stream(host)
            except NoPortFree as refusal:
                error = refusal
        raise error

    def rebind_stream(self, handle: StreamHandle, host: str) -> AllocatedStream:
        """Move a stream to new ports; see `MediaBackend`.

        Blocks the event loop for some milliseconds.  Raises MediaError when the worker does not
        answer.
        """
        far = self._stream(handle)
        self._send_command(far, "rebind", host=host)
        while True:
            answer = far.link.wait_for_message("rebound")
            if answer is None:
                raise MediaError("the media worker does not answer: the stream was not moved")
            if answer.fields["handle"] == far.name:  # else a late answer for another stream
                break
        if answer.fields["error"]:
            raise NoPortFree(answer.fields["error"])
        far.place = replace(far.place, **answer.fields["place"])
        place = far.place
        return AllocatedStream(handle, place.host, place.rtp_port, place.rtcp_port, place.ssrc)

    async def find_public_addresses(self, handle: StreamHandle, server: Address) -> PublicAddresses:
        """Raise MediaError: the ports are the worker's; see `MediaBackend`."""
        raise MediaError(
            'the ports of a media worker cannot ask a STUN server: use placement = "inline", or'
            " advertise an address"
        )

    def open_stream(self, handle: StreamHandle, spec: StreamSpec) -> None:
        """Start or renegotiate a stream; see `MediaBackend`."""
        far = self._stream(handle)
        encode_remote(spec.remote, spec.remote_rtcp, mux=spec.rtcp_mux)
        find_codec(spec.codec)
        _check_keys(spec)
        far.spec, far.generation = spec, spec.security_generation
        self._send_command(far, "open", spec, spec=spec_fields(spec))

    def rekey(
        self,
        handle: StreamHandle,
        *,
        send_key: SrtpKey | None,
        receive_key: SrtpKey | None,
        security_generation: int,
    ) -> None:
        """Replace the keys and the security generation; see `MediaBackend`."""
        far, spec = self._opened(handle)
        changed = replace(
            spec,
            send_key=send_key,
            receive_key=receive_key,
            security_generation=security_generation,
        )
        _check_keys(changed)
        far.spec, far.generation = changed, security_generation
        self._send_command(far, "rekey", changed, security_generation=security_generation)

    def set_remote(
        self, handle: StreamHandle, remote: Address, remote_rtcp: Address | None = None
    ) -> None:
        """Send to another address; see `MediaBackend`."""
        far, spec = self._opened(handle)
        encode_remote(remote, remote_rtcp, mux=spec.rtcp_mux)
        self._send_command(far, "set_remote", remote=remote, remote_rtcp=remote_rtcp)

    def set_direction(self, handle: StreamHandle, direction: Direction) -> None:
        """Set the direction; see `MediaBackend`."""
        far, spec = self._opened(handle)
        far.spec = replace(spec, direction=direction)
        self._send_command(far, "direction", direction=direction)

    def expect_packets(self, handle: StreamHandle, patience: float) -> None:
        """Set how long the stream may be silent; see `MediaBackend`."""
        far, _ = self._opened(handle)
        self._send_command(far, "expect", patience=patience)

    def play(self, handle: StreamHandle, source: Source | None) -> None:
        """Set the source; see `MediaBackend`.  Raises MediaError if memory cannot be shared."""
        far = self._stream(handle)
        pumped_source, descriptor = None, None
        if source is not None:
            Resampler(source.clock_rate_hz, 8000)  # raises for an invalid rate
            with _sharing():
                pumped_source, descriptor = far.slot.pump.add_source(source)
        before, far.pumped_source = far.pumped_source, pumped_source
        gone = []
        if before is not None and far.slot.pump.remove_source(before):
            gone.append(before.number)
        fields = {
            "handle": far.name,
            "ring": None if far.pumped_source is None else far.pumped_source.number,
            "rate": 0 if source is None else source.clock_rate_hz,
            "gone": gone,
        }
        send_descriptor(
            descriptor,
            lambda given: far.link.send_message(MediaWorkerMessage("play", fields), given),
        )

    def record(self, handle: StreamHandle, sink: Sink | None) -> None:
        """Set the sink; see `MediaBackend`.  Raises MediaError if memory cannot be shared."""
        self._set_sink(self._stream(handle), "record", sink)

    def monitor(self, handle: StreamHandle, sink: Sink | None) -> None:
        """Set the sink of sent audio; see `MediaBackend`.  Raises MediaError as `record` does."""
        self._set_sink(self._stream(handle), "monitor", sink)

    def _set_sink(
        self, far: WorkerStream, kind: Literal["record", "monitor"], sink: Sink | None
    ) -> None:
        self._detach_sink(far, kind)
        descriptor = None
        if sink is not None:
            with _sharing():
                far.pumped_sinks[kind], descriptor = far.slot.pump.add_sink(
                    sink,
                    generation=lambda: far.generation,
                    failed=lambda: self._sink_failed(far, kind),
                )
        fields = {"handle": far.name, "rate": 0 if sink is None else sink.clock_rate_hz}
        send_descriptor(
            descriptor, lambda given: far.link.send_message(MediaWorkerMessage(kind, fields), given)
        )

    @staticmethod
    def _detach_sink(far: WorkerStream, kind: Literal["record", "monitor"]) -> None:
        pumped_sink = far.pumped_sinks.pop(kind, None)
        if pumped_sink is not None:
            far.slot.pump.remove_sink(pumped_sink)

    def _sink_failed(self, far: WorkerStream, kind: Literal["record", "monitor"]) -> None:
        far.pumped_sinks.pop(kind, None)
        if far.handle in self._streams:
            self._set_sink(far, kind, None)

    def send_digits(self, handle: StreamHandle, digits: str, *, duration_ms: int = 100) -> None:
        """Send telephone-events; see `MediaBackend`."""
        far, spec = self._opened(handle)
        if spec.telephone_event is None:
            raise LocalProtocolError("telephone-event was not negotiated for this stream")
        try:
            TelephoneEventSender(clock_rate_hz=8000, ptime_ms=20).queue_digits(
                digits, duration_ms=duration_ms
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        self._send_command(far, "digits", digits=digits, duration_ms=duration_ms)

    def mute(self, handle: StreamHandle, muted: bool) -> None:
        """Send silence in place of the source; see `MediaBackend`."""
        self._send_command(self._stream(handle), "mute", on=muted)

    def pause(self, handle: StreamHandle, paused: bool) -> None:
        """Leave the source unread, or go on with it; see `MediaBackend`."""
        self._send_command(self._stream(handle), "pause", on=paused)

    def close_stream(self, handle: StreamHandle) -> None:
        """End the stream; see `MediaBackend`."""
        far = self._stream(handle)
        del self._streams[handle]
        del self._names[far.link, far.place.row, far.place.generation]
        far.slot.streams -= 1
        self._detach_sink(far, "record")
        self._detach_sink(far, "monitor")
        last = far.pumped_source is not None and far.slot.pump.remove_source(far.pumped_source)
        gone = [far.pumped_source.number] if far.pumped_source is not None and last else []
        self._send_command(far, "close", gone=gone)

    def statistics(self, handle: StreamHandle) -> StreamStatistics:
        """A snapshot, some frames old; see `MediaBackend`."""
        far = self._stream(handle)
        if far.link.statistics is None:
            return StreamStatistics()
        seen = read_statistics(far.link.statistics.rows[far.place.row])
        pumped = far.pumped_sinks.get("record")
        if pumped is None:
            return seen
        dropped = seen.sink_dropped_samples + pumped.dropped + pumped.sink.dropped_samples
        return replace(seen, sink_dropped_samples=dropped)

    def freeze_statistics(self, handle: StreamHandle) -> Callable[[], StreamStatistics]:
        """Return a function that gives the snapshot of now; see `MediaBackend`."""
        seen = self.statistics(handle)
        return lambda: seen

    def packet_counts(self, handle: StreamHandle) -> PacketCounts:
        """Return the counts of some frames ago; see `MediaBackend`."""
        far = self._stream(handle)
        if far.link.statistics is None:
            return PacketCounts()
        return read_packet_counts(far.link.statistics.rows[far.place.row])

    def _stream(self, handle: StreamHandle) -> WorkerStream:
        far = self._streams.get(handle)
        if far is None:
            raise StaleHandle(f"stream {handle.row}.{handle.generation} has been closed")
        return far

    def _opened(self, handle: StreamHandle) -> tuple[WorkerStream, StreamSpec]:
        far = self._stream(handle)
        if far.spec is None:
            raise LocalProtocolError("the stream has not been opened")
        return far, far.spec

    @staticmethod
    def _send_command(
        far: WorkerStream, kind: str, keyed: StreamSpec | None = None, **fields: object
    ) -> None:
        keys = (None, None) if keyed is None else (keyed.send_key, keyed.receive_key)
        far.link.send_message(MediaWorkerMessage(kind, {"handle": far.name} | fields, *keys))

    # Messages of the workers --------------------------------------------------------------------

    def message_received(self, link: MediaWorkerProcess, message: MediaWorkerMessage) -> None:
        """Handle an event of a worker, or the streams that it has reserved."""
        site = next((each for each in self._slots if each.link is link), None)
        if site is None:
            return
        if message.kind == "reserved":
            site.reserve.add_reserved(message.fields)
        elif message.kind == "event":
            row, generation = message.fields["handle"]
            far = self._names.get((link, row, generation))
            if far is not None:
                _deliver_event(far, read_event(message.fields, far.handle))

    def worker_ended(self, link: MediaWorkerProcess, reason: str) -> None:
        """Report MediaFailed to the streams of a dead worker; restart it, up to RESTARTS times."""
        logger.error("%s: its calls end", reason)
        for far in [each for each in self._streams.values() if each.link is link]:
            _deliver_event(far, MediaFailed(far.handle, reason))
        site = next((each for each in self._slots if each.link is link), None)
        if site is not None:
            task = asyncio.get_running_loop().create_task(self._restart(site))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _restart(self, site: MediaWorkerSlot) -> None:
        old = site.link
        await old.close()
        if site.starts > RESTARTS:
            logger.error("the media worker has ended %d times: it stays down", site.starts)
            return
        link = MediaWorkerProcess(self, old.config, old.index)
        try:
            await link.start()
        except SoftphoneError as error:
            logger.error("%s", error)
            return
        except asyncio.CancelledError:
            await link.close()
            raise
        site.pump.close()
        fresh = MediaWorkerSlot(
            link, StreamReserve(link, link.capacity), AudioPump(), starts=site.starts + 1
        )
        self._slots[self._slots.index(site)] = fresh
        fresh.reserve.request_streams(self.config.host)


@contextlib.contextmanager
def _sharing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MediaError(f"sound cannot be shared with the media worker: {error}") from error


def _deliver_event(far: WorkerStream, event: MediaEvent) -> None:
    if far.on_event is None:
        return
    try:
        far.on_event(event)
    except Exception:
        # The listener is the application's; its fault must not stop other streams.
        logger.exception("a listener to media events failed")


def _check_keys(spec: StreamSpec) -> None:
    for key in (spec.send_key, spec.receive_key):
        if key is not None and len(key.key) != key.suite.material_length:
            raise ConfigurationError(
                f"{key.suite} takes {key.suite.material_length} bytes of key and "
                f"salt, not {len(key.key)}"
            )


def _shares(config: MediaConfig) -> list[PortRange]:
    """Divide the ports among the workers.  Raises ConfigurationError if there are too few."""
    first = config.ports.first + (config.ports.first & 1)
    each = config.ports.pairs // config.workers
    if not each:
        raise ConfigurationError(
            f"the media ports {config.ports.first}-{config.ports.last} are too few for "
            f"{config.workers} workers"
        )
    if config.workers == 1:
        return [config.ports]
    return [
        PortRange(first + 2 * each * number, first + 2 * each * (number + 1) - 1)
        for number in range(config.workers)
    ]
