"""`MediaEngine`: runs the media tick with a clock and sockets, in the event loop.

    async with MediaEngine(MediaConfig(host="192.0.2.1")) as engine:
        local = engine.allocate_stream(on_event=print)
        engine.open_stream(local.handle, StreamSpec(remote=("192.0.2.2", 4000)))

Each phase that has streams has one timer with an absolute deadline.  A late phase makes up for
every frame that it missed; one more than `CATCH_UP` seconds behind skips frames, which `jumps`
counts.  There is no thread: everything runs in the loop in which the engine is entered.

RFC 3550, RFC 3711, RFC 4961.  The stages of a tick are in `softphone.media.tick.tick`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from softphone.errors import LocalProtocolError, MediaError, TransportError
from softphone.events import Direction, PacketCounts, StreamStatistics
from softphone.media.audio import at_rate
from softphone.media.bank import (
    FEW_STREAMS,
    FRAME,
    FRAME_MS,
    PacketBatch,
    StreamBank,
)
from softphone.media.engine.late_cause import ProcessorWatch, ReadTimes, read_processor_times
from softphone.media.engine.sockets import MediaSockets, encode_remote
from softphone.media.interface import (
    AllocatedStream,
    EventCallback,
    MediaConfig,
    PublicAddresses,
    Sink,
    Source,
    SrtpKey,
    StaleHandle,
    StreamHandle,
    StreamSpec,
)
from softphone.media.kernel import BankKernel, load_kernel
from softphone.media.quality import freeze_statistics, packet_counts, stream_statistics
from softphone.media.tick import (
    LatenessHistogram,
    LatenessNotice,
    TickTime,
    count_due_packets,
    make_bye,
    run_receive_half,
    run_send_half,
    skip_frames,
    stream_commands,
)
from softphone.net.datagrams import decode_address
from softphone.net.stun import find_mapping
from softphone.sans_io import Address, Entropy, MediaTap, Tap
from softphone.trust.fips import random_bytes

logger = logging.getLogger("softphone.media")

CATCH_UP: Final = 0.2
"""Seconds that a phase may be behind and still make up for every frame."""

CHUNK: Final = 128
"""Packets sent between two readings of the clock."""

WARN_LATE: Final = 0.02
"""Seconds of delay of a timer from which on a warning is logged."""

_notices: WeakKeyDictionary[asyncio.AbstractEventLoop, LatenessNotice] = WeakKeyDictionary()
"""One notice per event loop, because what delays one engine of a loop delays all of them."""


class MediaEngine:
    """A `MediaBackend` that runs in the event loop in which it is entered.

    `lateness` is the histogram of the RTP packets sent or skipped.  `jumps` counts skipped frames,
    `packets_skipped` the RTP packets that they would have sent, `frames_late` frames that ran after
    the deadline of the next one.  `bank` is for the media loop only.
    `on_tick`, if set, is called after each run of a phase with the phase and its next frame.
    `late_advice`, if set, takes the place of the advice in the log's warning about late media.
    """

    def __init__(
        self,
        config: MediaConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        entropy: Entropy = random_bytes,
        tap: Tap | None = None,
        processor: ReadTimes = read_processor_times,
    ) -> None:
        self.config = config or MediaConfig()
        self.lateness = LatenessHistogram()
        self.jumps = 0
        self.packets_skipped = 0
        self.frames_late = 0
        self._clock = clock
        self._entropy = entropy
        self._wall = wall
        self._tap = tap
        self.on_tick: Callable[[int, int], None] | None = None
        self.late_advice = ""
        self._processor = ProcessorWatch(processor)
        self.bank = self._bank = StreamBank(
            self.config.capacity,
            entropy=entropy,
            adapt=at_rate,
            rtcp_interval=self.config.rtcp_interval,
            stream_timeout=self.config.stream_timeout,
        )
        if isinstance(tap, MediaTap):
            self._bank.on_clear_packet = self._tap_clear_packet
        compiled = load_kernel()
        self._kernel = None if compiled is None else BankKernel(self._bank, compiled)
        self._sockets = MediaSockets(self.config, self._bank, self._kernel, entropy=entropy)
        self._incoming = self._sockets.incoming
        self._outgoing = self._sockets.outgoing
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._frames = [0] * self._bank.phases
        self._epoch = 0.0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._epoch = self._clock()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stream in list(self._bank.streams):
            if stream is not None:
                self.close_stream(stream.handle)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._sockets.close()
        self._loop = None

    def __len__(self) -> int:
        return len(self._bank)

    @property
    def overflows(self) -> int:
        """The number of datagrams that the system dropped because a receive buffer was full."""
        return self._sockets.overflows

    @property
    def unclaimed(self) -> int:
        """The number of datagrams received for no open stream."""
        return self._bank.unclaimed

    @property
    def packets_received(self) -> int:
        """The number of valid RTP packets received on the streams that are open now."""
        receiver = self._bank.receiver
        return int(receiver.packets_received[receiver.active].sum())

    # Commands -----------------------------------------------------------------------------------

    def allocate_stream(
        self, *, host: str | None = None, on_event: EventCallback | None = None
    ) -> AllocatedStream:
        """Reserve a row and bind a pair of ports.  Raises NoPortFree, LocalProtocolError."""
        if self._loop is None:
            raise LocalProtocolError("the media engine has not been entered")
        stream = self._bank.reserve_row()
        row = stream.handle.row
        stream.on_event = on_event
        try:
            rtp, rtcp = self._sockets.bind(row, host or self.config.host)
        except BaseException:
            self._bank.release_row(stream.handle)
            raise
        host, port = rtp
        return AllocatedStream(stream.handle, host, port, rtcp[1], int(self._bank.sender.ssrc[row]))

    def rebind_stream(self, handle: StreamHandle, host: str) -> AllocatedStream:
        """Move a stream to new ports at another local address; see `MediaBackend`."""
        stream, row = self._bank.find_stream(handle), handle.row
        (where, rtp_port), (_, rtcp_port) = self._sockets.rebind(row, host)
        if stream.spec is not None:
            spec = stream.spec
            far_end = encode_remote(spec.remote, spec.remote_rtcp, mux=spec.rtcp_mux)
            self._sockets.set_remote(row, far_end, mux=spec.rtcp_mux)
            self._sockets.mark(row, spec.dscp)
        self._bank.invalidate_plan(row)
        return AllocatedStream(handle, where, rtp_port, rtcp_port, int(self._bank.sender.ssrc[row]))

    async def find_public_addresses(self, handle: StreamHandle, server: Address) -> PublicAddresses:
        """Ask a STUN server from the stream's ports; see `MediaBackend`."""
        self._bank.find_stream(handle)
        with self._sockets.set_aside(handle.row) as pair:
            try:
                rtp, rtcp = [
                    await find_mapping(port.socket, server, entropy=self._entropy)
                    for port in (pair.rtp, pair.rtcp)
                ]
            except TransportError as error:
                raise MediaError(f"the public media ports are not known: {error}") from error
        try:
            self._bank.find_stream(handle)
        except StaleHandle as error:
            raise MediaError("the stream was closed before its public ports were known") from error
        return PublicAddresses(rtp.address, rtcp.address, rtp.symmetric)

    def open_stream(self, handle: StreamHandle, spec: StreamSpec) -> None:
        """Start or renegotiate a stream; see `MediaBackend`."""
        first = self._bank.find_stream(handle).spec is None
        far_end = encode_remote(spec.remote, spec.remote_rtcp, mux=spec.rtcp_mux)
        if first:
            self._sockets.drain(handle.row)
        self._sockets.set_remote(handle.row, far_end, mux=spec.rtcp_mux)
        self._sockets.mark(handle.row, spec.dscp)
        now = self._clock()
        phase = self._bank.phase_of(handle.row)
        frame = self._frames[phase] if phase in self._timers else self._next_frame(phase, now)
        stream_commands.open_stream(self._bank, handle, spec, far_end, frame=frame, now=now)
        self._start(phase)

    def rekey(
        self,
        handle: StreamHandle,
        *,
        send_key: SrtpKey | None,
        receive_key: SrtpKey | None,
        security_generation: int,
    ) -> None:
        """Replace the keys and the security generation; see `MediaBackend`."""
        stream_commands.set_keys(self._bank, handle, send_key, receive_key, security_generation)

    def set_remote(
        self, handle: StreamHandle, remote: Address, remote_rtcp: Address | None = None
    ) -> None:
        """Send to another address; see `MediaBackend`."""
        _, spec = self._bank.find_open_stream(handle)
        far_end = encode_remote(remote, remote_rtcp, mux=spec.rtcp_mux)
        self._sockets.set_remote(handle.row, far_end, mux=spec.rtcp_mux)
        stream_commands.set_remote(self._bank, handle, far_end)

    def set_direction(self, handle: StreamHandle, direction: Direction) -> None:
        """Set whether RTP is sent and received; see `MediaBackend`."""
        stream_commands.set_direction(self._bank, handle, direction, now=self._clock())

    def expect_packets(self, handle: StreamHandle, patience: float) -> None:
        """Set how long the stream may be silent; see `MediaBackend`."""
        stream_commands.expect_packets(self._bank, handle, patience, now=self._clock())

    def play(self, handle: StreamHandle, source: Source | None) -> None:
        """Set the source; see `MediaBackend`."""
        stream_commands.set_source(self._bank, handle, source)

    def record(self, handle: StreamHandle, sink: Sink | None) -> None:
        """Set the sink; see `MediaBackend`."""
        stream_commands.set_sink(self._bank, handle, sink)

    def monitor(self, handle: StreamHandle, sink: Sink | None) -> None:
        """Set the sink of sent sound; see `MediaBackend`."""
        stream_commands.set_monitor(self._bank, handle, sink)

    def send_digits(self, handle: StreamHandle, digits: str, *, duration_ms: int = 100) -> None:
        """Send telephone-events; see `MediaBackend`."""
        stream_commands.send_digits(self._bank, handle, digits, duration_ms=duration_ms)

    def mute(self, handle: StreamHandle, muted: bool) -> None:
        """Send silence in place of the source; see `MediaBackend`."""
        stream_commands.set_muted(self._bank, handle, muted)

    def pause(self, handle: StreamHandle, paused: bool) -> None:
        """Leave the source unread, or go on with it; see `MediaBackend`."""
        stream_commands.set_paused(self._bank, handle, paused)

    def close_stream(self, handle: StreamHandle) -> None:
        """End the stream; see `MediaBackend`."""
        stream = self._bank.find_stream(handle)
        row = handle.row
        phase = self._bank.phase_of(row)
        milliseconds = self._frames[phase] * FRAME_MS
        goodbye = make_bye(self._bank, stream, milliseconds, now=self._clock(), wall=self._wall())
        if goodbye is not None:
            self._sockets.send_rtcp(row, goodbye)
        self._sockets.unbind(row)
        self._bank.release_row(handle)

    def statistics(self, handle: StreamHandle) -> StreamStatistics:
        """Return a snapshot of the stream's statistics; see `MediaBackend`."""
        return stream_statistics(self._bank, handle)

    def freeze_statistics(self, handle: StreamHandle) -> Callable[[], StreamStatistics]:
        """Return a function that makes the statistics of now; see `MediaBackend`."""
        return freeze_statistics(self._bank, handle)

    def packet_counts(self, handle: StreamHandle) -> PacketCounts:
        """Return how many packets were sent, received and lost; see `MediaBackend`."""
        return packet_counts(self._bank, handle)

    # The clock ----------------------------------------------------------------------------------

    def _deadline(self, phase: int, frame: int) -> float:
        return self._epoch + frame * FRAME + self._bank.offsets[phase]

    def _next_frame(self, phase: int, now: float) -> int:
        return max(0, math.ceil((now - self._deadline(phase, 0)) / FRAME))

    def _start(self, phase: int) -> None:
        if phase not in self._timers:
            self._frames[phase] = self._next_frame(phase, self._clock())
            self._arm(phase)

    def _arm(self, phase: int) -> None:
        """Set the timer for the next frame's absolute deadline, so that delays do not add up."""
        if self._loop is None:
            return
        delay = max(0.0, self._deadline(phase, self._frames[phase]) - self._clock())
        self._timers[phase] = self._loop.call_later(delay, self._run, phase)

    def _run(self, phase: int) -> None:
        del self._timers[phase]
        if not self._bank.used(phase):
            return
        now = self._clock()
        behind = now - self._deadline(phase, self._frames[phase])
        if behind > WARN_LATE:
            self._warn(behind, now)
        if behind > CATCH_UP:
            jump = int(behind / FRAME)
            self._skip(phase, jump, behind, now)
        try:
            self._run_due(phase)
        finally:
            self._arm(phase)
        if self.on_tick is not None:
            self.on_tick(phase, self._frames[phase])
        self._dispatch()
        self._processor.mark(now)

    def _skip(self, phase: int, jump: int, behind: float, now: float) -> None:
        """Skip `jump` frames, the first of them `behind` seconds late, and count what they miss."""
        due = count_due_packets(self._bank, phase, self._frames[phase], jump)
        late_ms = 1e3 * (behind - FRAME * np.arange(jump))
        self.lateness.count_skipped(late_ms, due)
        self.packets_skipped += int(due.sum())
        skip_frames(self._bank, phase, jump, now=now)
        self._frames[phase] += jump
        self.jumps += jump

    def _run_due(self, phase: int) -> None:
        """Run every frame that is due, but at most those of CATCH_UP seconds, so that a machine
        that is too slow still serves its signaling."""
        for count in range(round(CATCH_UP / FRAME)):
            if self._deadline(phase, self._frames[phase]) > self._clock():
                break
            self.frames_late += count > 0
            self._run_frame(phase, visit=count == 0)

    def _run_frame(self, phase: int, *, visit: bool) -> None:
        """Run one frame of a phase.

        With few streams the receive half runs first, so that a sink can be another stream's source
        within one frame.  With many the send half runs first, so that sending does not wait for the
        processing of received packets.  `visit` reads the sockets; when several late frames run at
        once, only the first does.
        """
        frame = self._frames[phase]
        self._frames[phase] = frame + 1
        deadline = self._deadline(phase, frame)
        moment = TickTime(frame, deadline, self._wall() - (self._clock() - deadline))
        crowded = len(self._bank) > FEW_STREAMS
        if crowded:
            self._run_send_half(phase, moment)
        self._run_receive_half(phase, moment, visit=visit)
        if not crowded:
            self._run_send_half(phase, moment)

    def _run_receive_half(self, phase: int, moment: TickTime, *, visit: bool) -> None:
        if visit:
            self._sockets.receive_packets(phase, now=self._clock(), wall=self._wall())
        else:
            self._incoming.count = 0
        if self._incoming.count and self._tap is not None:
            self._show(self._incoming, outgoing=False)
        run_receive_half(self._bank, phase, self._incoming, moment, self._kernel)

    def _run_send_half(self, phase: int, moment: TickTime) -> None:
        begun = self._clock()
        out = run_send_half(self._bank, phase, self._outgoing, moment, self._kernel)
        if not out.count:
            return
        if self._tap is not None:
            self._show(out, outgoing=True)
        for start in range(0, out.media, CHUNK):
            stop = min(start + CHUNK, out.media)
            self._sockets.send_packets(start, stop)
            late_ms = (self._clock() - moment.now) * 1e3
            self.lateness.count_packets(late_ms, stop - start)
            self._bank.sender.count_lateness(out.row[start:stop], late_ms)
        self._bank.note_sending(out.media, self._clock() - begun)
        if out.count > out.media:
            self._sockets.send_packets(out.media, out.count)

    def _dispatch(self) -> None:
        for event in self._bank.take_events():
            stream = self._bank.streams[event.handle.row]
            if stream is None or stream.handle != event.handle or stream.on_event is None:
                continue
            try:
                stream.on_event(event)
            except Exception:
                # The listener is the application's; an error in it must not stop other streams.
                logger.exception("a listener to media events failed")

    def _show(self, packets: PacketBatch, *, outgoing: bool) -> None:
        if self._tap is None:
            return
        now = self._clock()
        for index in range(packets.count):
            self._tap.datagram(
                packets.packet(index),
                local=self._sockets.local(int(packets.port[index])),
                remote=decode_address(packets.address[index].tobytes()),
                outgoing=outgoing,
                now=now,
            )

    def _tap_clear_packet(
        self, data: bytes, port: int, address: npt.NDArray[np.uint8], outgoing: bool
    ) -> None:
        """Pass a packet to the tap, before or after SRTP."""
        if isinstance(self._tap, MediaTap):
            self._tap.packet(
                data,
                local=self._sockets.local(port),
                remote=decode_address(address.tobytes()),
                outgoing=outgoing,
                now=self._clock(),
            )

    def _warn(self, behind: float, now: float) -> None:
        if self._loop is None:
            return
        words = _notices.setdefault(self._loop, LatenessNotice()).late(behind, now=now)
        if words:
            cause = self._processor.find_cause(behind)
            advice = self.late_advice or cause.advice
            logger.warning("media was %s: %s; %s", words, cause.why, advice)
