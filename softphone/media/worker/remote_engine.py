"""The media engine's front where the media loop runs in workers: a `MediaPort`, like the engine.

    async with make_engine(MediaConfig(placement="worker")) as engine:
        local = engine.allocate(on_event=print)

Commands go down without waiting, events come up, statistics are read from shared memory and sound
goes through shared rings.  What is wrong with a command is found here, before it is sent; what
only the worker can find ends the stream with `MediaFailed`.  A worker that dies ends its streams
in the same way, and is started anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Literal, Self

import numpy as np

from softphone.errors import ConfigurationError, LocalProtocolError, SoftphoneError
from softphone.events import Direction, StreamStatistics
from softphone.media.audio import ResampleStream
from softphone.media.bank import find_codec
from softphone.media.engine import find_far_end
from softphone.media.interface import (
    EventCallback,
    LocalMedia,
    MediaConfig,
    MediaError,
    MediaEvent,
    MediaFailed,
    NoPortFree,
    PortRange,
    Sink,
    Source,
    SrtpKey,
    StaleHandle,
    StreamHandle,
    StreamSpec,
)
from softphone.media.quality import Column, read
from softphone.media.tick import BINS, LatenessHistogram
from softphone.media.worker.audio_pump import Ear, Mouth, Pump, give
from softphone.media.worker.process_link import Link
from softphone.media.worker.shared_statistics import Counter
from softphone.media.worker.stream_reserve import Reserve, Reserved
from softphone.media.worker.wire_format import Message, read_event, spec_fields
from softphone.rtp import TelephoneEventSender
from softphone.sans_io import Address
from softphone.srtp import suite_parameters

__all__ = ["RemoteEngine"]

logger = logging.getLogger("softphone.media")

ROWS: Final = 1 << 20
"""Row numbers of one worker."""

RESTARTS: Final = 5
"""How often each worker is started anew before that is given up."""


@dataclass(slots=True, eq=False)
class Site:
    """One worker with what is kept about it; `starts` counts how often it was started."""

    link: Link
    reserve: Reserve
    pump: Pump
    streams: int = 0
    starts: int = 1


@dataclass(slots=True, eq=False)
class Far:
    """One stream of a worker."""

    site: Site
    link: Link
    place: Reserved
    handle: StreamHandle
    on_event: EventCallback | None
    spec: StreamSpec | None = None
    generation: int = 0
    mouth: Mouth | None = None
    ear: Ear | None = None
    monitor: Ear | None = None

    @property
    def name(self) -> list[int]:
        """What the worker calls it."""
        return [self.place.row, self.place.generation]


class RemoteEngine:
    """A `MediaPort` over `config.workers` processes; for the loop in which it is entered."""

    def __init__(self, config: MediaConfig) -> None:
        self.config = config
        self._sites: list[Site] = []
        self._streams: dict[StreamHandle, Far] = {}
        self._names: dict[tuple[Link, int, int], Far] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start the workers.  Raises MediaError."""
        links = [
            Link(self, replace(self.config, ports=ports), index)
            for index, ports in enumerate(_shares(self.config))
        ]
        outcomes = await asyncio.gather(*(link.start() for link in links), return_exceptions=True)
        failed = next((each for each in outcomes if each is not None), None)
        if failed is not None:
            await asyncio.gather(*(link.close() for link in links))
            raise failed
        for link in links:
            self._sites.append(Site(link, Reserve(link, link.capacity), Pump()))
            self._sites[-1].reserve.fill(self.config.host)
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
        sites, self._sites = self._sites, []
        self._streams.clear()
        self._names.clear()
        for site in sites:
            site.pump.close()
        await asyncio.gather(*(site.link.close() for site in sites))

    def __len__(self) -> int:
        return len(self._streams)

    # Counters -----------------------------------------------------------------------------------

    def _count(self, counter: Counter) -> int:
        boards = [site.link.board for site in self._sites]
        return sum(int(board.counters[counter]) for board in boards if board is not None)

    @property
    def lateness(self) -> LatenessHistogram:
        """The histogram of all packets, as it is now: a copy."""
        copy = LatenessHistogram(np.zeros(BINS + 1, dtype=np.int64))
        for site in self._sites:
            if site.link.board is not None:
                copy.counts += site.link.board.lateness
                latest = int(site.link.board.counters[Counter.LATEST_MICROSECONDS])
                copy.maximum_ms = max(copy.maximum_ms, latest / 1e3)
        return copy

    @property
    def jumps(self) -> int:
        """Frames that media time has jumped over."""
        return self._count(Counter.JUMPS)

    @property
    def frames_late(self) -> int:
        """Frames that ran after their successor's time."""
        return self._count(Counter.FRAMES_LATE)

    @property
    def overflows(self) -> int:
        """Datagrams that the system dropped since the receive buffers were full."""
        return self._count(Counter.OVERFLOWS)

    @property
    def unclaimed(self) -> int:
        """Datagrams that belonged to no open stream."""
        return self._count(Counter.UNCLAIMED)

    @property
    def packets_received(self) -> int:
        """Valid RTP packets of the streams that are open now, some frames ago."""
        received = 0
        for site in self._sites:
            if site.link.board is not None:
                places = [far.place for far in self._streams.values() if far.link is site.link]
                column = site.link.board.rows[:, Column.PACKETS_RECEIVED]
                received += int(column[[place.row for place in places]].sum()) if places else 0
        return received

    @property
    def processor_seconds(self) -> float:
        """Processor time that the workers have used."""
        return self._count(Counter.PROCESSOR_MICROSECONDS) / 1e6

    @property
    def workers(self) -> tuple[int, ...]:
        """The process numbers of the workers that are alive."""
        links = [site.link for site in self._sites if site.link.alive]
        return tuple(link.process.pid for link in links if link.process is not None)

    # Commands -----------------------------------------------------------------------------------

    def allocate(
        self, *, host: str | None = None, on_event: EventCallback | None = None
    ) -> LocalMedia:
        """Take a stream that a worker has reserved; see `MediaPort`.

        Raises NoPortFree, MediaError while no worker is alive, LocalProtocolError.
        """
        if not self._sites:
            raise LocalProtocolError("the media engine has not been entered")
        site, place = self._take(host or self.config.host)
        site.streams += 1
        generation = place.generation + (site.starts - 1 << 32)
        handle = StreamHandle(site.link.index * ROWS + place.row, generation)
        far = Far(site, site.link, place, handle, on_event)
        self._streams[handle] = self._names[site.link, place.row, place.generation] = far
        return LocalMedia(handle, place.host, place.rtp_port, place.rtcp_port, place.ssrc)

    def _take(self, host: str) -> tuple[Site, Reserved]:
        alive = [site for site in self._sites if site.link.alive]
        error: MediaError = MediaError(
            "the media worker has ended and is not up again: no call can be made now"
        )
        for site in sorted(alive, key=lambda each: each.streams):
            try:
                return site, site.reserve.take(host)
            except NoPortFree as refusal:
                error = refusal
        raise error

    def open(self, handle: StreamHandle, spec: StreamSpec) -> None:
        """Start or renegotiate a stream; see `MediaPort`."""
        far = self._stream(handle)
        find_far_end(spec.remote, spec.remote_rtcp, mux=spec.rtcp_mux)
        find_codec(spec.codec)
        _check_keys(spec)
        far.spec, far.generation = spec, spec.security_generation
        self._send(far, "open", spec, spec=spec_fields(spec))

    def rekey(
        self,
        handle: StreamHandle,
        *,
        send_key: SrtpKey | None,
        receive_key: SrtpKey | None,
        security_generation: int,
    ) -> None:
        """Replace the keys and the security generation; see `MediaPort`."""
        far, spec = self._opened(handle)
        changed = replace(
            spec,
            send_key=send_key,
            receive_key=receive_key,
            security_generation=security_generation,
        )
        _check_keys(changed)
        far.spec, far.generation = changed, security_generation
        self._send(far, "rekey", changed, security_generation=security_generation)

    def retarget(
        self, handle: StreamHandle, remote: Address, remote_rtcp: Address | None = None
    ) -> None:
        """Send to another address; see `MediaPort`."""
        far, spec = self._opened(handle)
        find_far_end(remote, remote_rtcp, mux=spec.rtcp_mux)
        self._send(far, "retarget", remote=remote, remote_rtcp=remote_rtcp)

    def set_direction(self, handle: StreamHandle, direction: Direction) -> None:
        """Set what flows; see `MediaPort`."""
        far, spec = self._opened(handle)
        far.spec = replace(spec, direction=direction)
        self._send(far, "direction", direction=direction)

    def play(self, handle: StreamHandle, source: Source | None) -> None:
        """Set the source; see `MediaPort`.  Raises MediaError where no memory can be shared."""
        far = self._stream(handle)
        mouth, descriptor = None, None
        if source is not None:
            ResampleStream(source.clock_rate_hz, 8000)  # raises for a rate that cannot be
            with _sharing():
                mouth, descriptor = far.site.pump.add_source(source)
        before, far.mouth = far.mouth, mouth
        gone = []
        if before is not None and far.site.pump.remove_source(before):
            gone.append(before.number)
        fields = {
            "handle": far.name,
            "ring": None if far.mouth is None else far.mouth.number,
            "rate": 0 if source is None else source.clock_rate_hz,
            "gone": gone,
        }
        give(descriptor, lambda given: far.link.send(Message("play", fields), given))

    def record(self, handle: StreamHandle, sink: Sink | None) -> None:
        """Set the sink; see `MediaPort`.  Raises MediaError where no memory can be shared."""
        far = self._stream(handle)
        self._stop_listening(far, "ear")
        self._listen(far, "record", sink)

    def monitor(self, handle: StreamHandle, sink: Sink | None) -> None:
        """Set who hears what is sent; see `MediaPort`.  Raises MediaError, as `record` does."""
        far = self._stream(handle)
        self._stop_listening(far, "monitor")
        self._listen(far, "monitor", sink)

    def _listen(self, far: Far, kind: Literal["record", "monitor"], sink: Sink | None) -> None:
        descriptor = None
        if sink is not None:
            with _sharing():
                ear, descriptor = far.site.pump.add_sink(
                    sink,
                    generation=lambda: far.generation,
                    failed=lambda: self._sink_failed(far, kind),
                )
            if kind == "record":
                far.ear = ear
            else:
                far.monitor = ear
        fields = {"handle": far.name, "rate": 0 if sink is None else sink.clock_rate_hz}
        give(descriptor, lambda given: far.link.send(Message(kind, fields), given))

    def _stop_listening(self, far: Far, *which: Literal["ear", "monitor"]) -> None:
        for name in which:
            ear = far.ear if name == "ear" else far.monitor
            setattr(far, name, None)
            if ear is not None:
                far.site.pump.remove_sink(ear)

    def _sink_failed(self, far: Far, kind: Literal["record", "monitor"]) -> None:
        setattr(far, "ear" if kind == "record" else "monitor", None)
        if far.handle in self._streams:
            self._listen(far, kind, None)

    def send_digits(self, handle: StreamHandle, digits: str, *, duration_ms: int = 100) -> None:
        """Send telephone-events; see `MediaPort`."""
        far, spec = self._opened(handle)
        if spec.telephone_event is None:
            raise LocalProtocolError("telephone-event was not negotiated for this stream")
        try:
            TelephoneEventSender(clock_rate_hz=8000, ptime_ms=20).queue_digits(
                digits, duration_ms=duration_ms
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        self._send(far, "digits", digits=digits, duration_ms=duration_ms)

    def mute(self, handle: StreamHandle, muted: bool) -> None:
        """Send silence in place of the source; see `MediaPort`."""
        self._send(self._stream(handle), "mute", muted=muted)

    def close(self, handle: StreamHandle) -> None:
        """End the stream; see `MediaPort`."""
        far = self._stream(handle)
        del self._streams[handle]
        del self._names[far.link, far.place.row, far.place.generation]
        far.site.streams -= 1
        self._stop_listening(far, "ear", "monitor")
        last = far.mouth is not None and far.site.pump.remove_source(far.mouth)
        gone = [far.mouth.number] if far.mouth is not None and last else []
        self._send(far, "close", gone=gone)

    def statistics(self, handle: StreamHandle) -> StreamStatistics:
        """A snapshot, some frames old; see `MediaPort`."""
        far = self._stream(handle)
        if far.link.board is None:
            return StreamStatistics()
        seen = read(far.link.board.rows[far.place.row])
        if far.ear is None:
            return seen
        dropped = seen.sink_dropped_samples + far.ear.dropped + far.ear.sink.dropped_samples
        return replace(seen, sink_dropped_samples=dropped)

    def _stream(self, handle: StreamHandle) -> Far:
        far = self._streams.get(handle)
        if far is None:
            raise StaleHandle(f"stream {handle.row}.{handle.generation} has been closed")
        return far

    def _opened(self, handle: StreamHandle) -> tuple[Far, StreamSpec]:
        far = self._stream(handle)
        if far.spec is None:
            raise LocalProtocolError("the stream has not been opened")
        return far, far.spec

    @staticmethod
    def _send(far: Far, kind: str, keyed: StreamSpec | None = None, **fields: object) -> None:
        keys = (None, None) if keyed is None else (keyed.send_key, keyed.receive_key)
        far.link.send(Message(kind, {"handle": far.name} | fields, *keys))

    # What the workers say -----------------------------------------------------------------------

    def told(self, link: Link, message: Message) -> None:
        """Take an event of a worker, or the streams that it has reserved."""
        site = next((each for each in self._sites if each.link is link), None)
        if site is None:
            return
        if message.kind == "reserved":
            site.reserve.told(message.fields)
        elif message.kind == "event":
            row, generation = message.fields["handle"]
            far = self._names.get((link, row, generation))
            if far is not None:
                _tell(far, read_event(message.fields, far.handle))

    def ended(self, link: Link, reason: str) -> None:
        """A worker has died: end its streams, and start it anew."""
        logger.error("%s: its calls end", reason)
        for far in [each for each in self._streams.values() if each.link is link]:
            _tell(far, MediaFailed(far.handle, reason))
        site = next((each for each in self._sites if each.link is link), None)
        if site is not None:
            task = asyncio.get_running_loop().create_task(self._restart(site))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _restart(self, site: Site) -> None:
        old = site.link
        await old.close()
        if site.starts > RESTARTS:
            logger.error("the media worker has ended %d times: it stays down", site.starts)
            return
        link = Link(self, old.config, old.index)
        try:
            await link.start()
        except SoftphoneError as error:
            logger.error("%s", error)
            return
        except asyncio.CancelledError:
            await link.close()
            raise
        site.pump.close()
        fresh = Site(link, Reserve(link, link.capacity), Pump(), starts=site.starts + 1)
        self._sites[self._sites.index(site)] = fresh
        fresh.reserve.fill(self.config.host)


@contextlib.contextmanager
def _sharing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MediaError(f"sound cannot be shared with the media worker: {error}") from error


def _tell(far: Far, event: MediaEvent) -> None:
    if far.on_event is None:
        return
    try:
        far.on_event(event)
    except Exception:
        # The listener is the application's; its fault must not stop other streams.
        logger.exception("a listener to media events failed")


def _check_keys(spec: StreamSpec) -> None:
    for key in (spec.send_key, spec.receive_key):
        if key is not None and len(key.key) != suite_parameters(key.suite).material_length:
            raise ConfigurationError(
                f"{key.suite} takes {suite_parameters(key.suite).material_length} bytes of key and "
                f"salt, not {len(key.key)}"
            )


def _shares(config: MediaConfig) -> list[PortRange]:
    """The ports of each worker.  Raises ConfigurationError when they are too few."""
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
