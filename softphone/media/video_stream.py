"""Video streams with their sockets, clock and thread, and the backend that opens them for calls.

The packet path runs in the event loop, between the audio phases.  Pictures are read, encoded,
decoded and delivered in one thread per stream, because a picture of 1280x720 takes longer than a
phase.  Video always runs in the application's process, even when audio runs in workers.  For lip
sync, pictures are held back until the sound captured with them is played.

RFC 3550, RFC 4585, RFC 5104.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from softphone.errors import ConfigurationError, LocalProtocolError, NoPortFree
from softphone.events import Direction, StreamStatistics
from softphone.extras import install_command
from softphone.media.audio import AudioRouter, Detachable
from softphone.media.interface import (
    AllocatedStream,
    EventCallback,
    MediaConfig,
    RemoteLatched,
    StaleHandle,
    StreamHandle,
    StreamSpec,
)
from softphone.media.tracks import MediaTrack, open_video_source
from softphone.media.video import (
    CLOCK_RATE_HZ,
    AssembledFrame,
    KeyFrameOnRequest,
    LipSync,
    LipSyncSink,
    ReceivedVideoFrame,
    VideoClearPacketCallback,
    VideoDecoder,
    VideoEncoder,
    VideoPacketPath,
    VideoSink,
    VideoSource,
    VideoSpec,
)
from softphone.net.datagrams import DatagramPair, DatagramPort, PortPairs
from softphone.rtp import EncodedFrame, extend
from softphone.sans_io import Address, Entropy, MediaTap, Tap
from softphone.trust.fips import FipsRestriction, check_allowed

if TYPE_CHECKING:
    from aiortc.mediastreams import MediaStreamTrack

logger = logging.getLogger("softphone.media")

MOST_PENDING = 30
"""Frames that may wait for the thread; further ones are dropped until the next key frame."""
BEHIND = 0.5
"""Seconds of delay of a source that are made up for; more is skipped."""
IDLE = 0.1


class VideoStream:
    """One video stream of a call; the application's object.

    `play` and `record` may be called at any time before the stream ends.
    """

    def __init__(self, path: VideoPacketPath, pool: ThreadPoolExecutor) -> None:
        self._path = path
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._pair: DatagramPair | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._sink: VideoSink | None = None
        self._listeners: list[VideoSink] = []
        self.lip_sync = LipSync()
        self.sound: AudioRouter | None = None
        """The call's sound, which pictures wait for; None: they do not wait.

        :meta private:
        """
        self._lip_sync_sink: LipSyncSink | None = None
        self._track: MediaStreamTrack | None = None
        self._at_end: list[Callable[[], None]] = []
        self._held: deque[tuple[float, ReceivedVideoFrame]] = deque()
        self._pending = 0
        self._skipping = False
        self._first: int | None = None
        self._newest = 0
        self._decoders: dict[str, VideoDecoder] = {}
        self.ask_by_signaling: Callable[[], None] | None = None
        """Asks for a key frame where RTCP cannot (RFC 5168).

        :meta private:
        """
        self.frames_sent = 0
        self.frames_received = 0

    # What the application sees

    @property
    def codec(self) -> str:
        """The RTP encoding name of the codec that we send ("H264"); "" before the answer."""
        return "" if self._path.spec is None else self._path.spec.codec

    @property
    def direction(self) -> Direction:
        """The direction from our side (RFC 3264); INACTIVE before the answer."""
        spec = self._path.spec
        return Direction.INACTIVE if spec is None else spec.direction

    @property
    def ssrc(self) -> int:
        """The SSRC that we send with."""
        return self._path.ssrc

    @property
    def bitrate(self) -> int:
        """The encoder's current target in bits per second."""
        return self._path.bitrate.bitrate

    @property
    def statistics(self) -> StreamStatistics:
        """A snapshot of the stream's packet statistics."""
        return self._path.statistics

    def limit(self, bitrate: int) -> None:
        """Send at most `bitrate` bits per second, even where other limits are higher."""
        self._path.bitrate.set_limits(
            wanted=bitrate, session=None if self._path.spec is None else self._path.spec.bandwidth
        )

    def play(self, source: VideoSource | MediaTrack | str | os.PathLike[str] | None) -> None:
        """Send the pictures of a source, an aiortc track or a file; None stops.

        A source or track that shares a screen has a true attribute `shares_screen`.  Raises
        ConfigurationError for a track that is not video or a file without pictures, and
        FipsForbidden for a screen in FIPS mode.
        """
        if getattr(source, "shares_screen", False):
            check_allowed(FipsRestriction.SCREEN_SHARING)
        pictures = open_video_source(source)
        if self._task is not None:
            self._task.cancel()
        self._task = None
        if pictures is not None:
            self._task = self._loop.create_task(self._send_frames(pictures))
            self._task.add_done_callback(_sent)
            if isinstance(pictures, Detachable):
                self._task.add_done_callback(lambda _: pictures.detach())

    async def played(self) -> None:
        """Wait until the source has ended or has been replaced."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def record(self, sink: VideoSink | None) -> None:
        """Deliver received video to `sink`, in place of the one before; None stops.

        A picture is delivered together with the sound captured at the same time, if RTCP gives the
        capture time of both.  Pictures are held back for at most half a second; sound is never held
        back for them.
        """
        before, self._sink = bool(self._sinks), sink
        self._follow(before)

    def add_listener(self, sink: VideoSink) -> None:
        """Deliver received video to one more sink.

        :meta private:
        """
        before = bool(self._sinks)
        self._listeners.append(sink)
        self._follow(before)

    def remove_listener(self, sink: VideoSink) -> None:
        """Stop delivery to a listener; an unknown one is ignored.

        :meta private:
        """
        if sink in self._listeners:
            self._listeners.remove(sink)
            self._follow(True)

    @property
    def track(self) -> MediaStreamTrack:
        """The received video as an aiortc `MediaStreamTrack`; the same object until it is stopped.

        Raises ConfigurationError when aiortc is not installed.
        """
        try:
            from softphone.media.tracks.receive_track import CallVideoTrack
        except ImportError as error:
            raise ConfigurationError(f"tracks need aiortc: {install_command('webrtc')}") from error
        if self._track is None or self._track.readyState != "live":
            self._track = CallVideoTrack(self)
        return self._track

    def call_at_end(self, work: Callable[[], None]) -> None:
        """Register `work` to be called when the stream ends.

        :meta private:
        """
        self._at_end.append(work)

    def cancel_at_end(self, work: Callable[[], None]) -> None:
        """Unregister `work`; an unknown one is ignored.

        :meta private:
        """
        if work in self._at_end:
            self._at_end.remove(work)

    @property
    def _sinks(self) -> list[VideoSink]:
        return self._listeners if self._sink is None else [self._sink, *self._listeners]

    def _follow(self, before: bool) -> None:
        """Adapt to changed sinks: ask for a key frame for the first one (`before` is whether there
        were any), and observe the call's sound for lip sync while there are some."""
        sound = self.sound
        if self._sinks and not before and self.frames_received:
            self._skipping = True
            self.request_key_frame()
        if sound is None:
            return
        if not self._sinks:
            if self._lip_sync_sink is not None:
                sound.remove_listener(self._lip_sync_sink)
            self._lip_sync_sink = None
        elif self._lip_sync_sink is None:
            sink = LipSyncSink(self.lip_sync, self._loop.time)
            try:
                sound.add_listener(sink)
            except LocalProtocolError:
                return  # the call is over
            self._lip_sync_sink = sink

    def request_key_frame(self) -> None:
        """Ask the far end for a key frame."""
        self._path.request_key_frame()
        self._serve()

    def key_frame_wanted(self) -> None:
        """Send a key frame, which the far end has asked for by signaling instead of RTCP.

        :meta private:
        """
        self._path.key_frame_asked = True

    # Sending

    async def _send_frames(self, source: VideoSource) -> None:
        encoder: tuple[str, str, VideoEncoder] | None = None
        asked = source if isinstance(source, KeyFrameOnRequest) else None
        due = self._loop.time()
        while not source.ended:
            spec, bitrate = self._path.spec, self._path.bitrate.bitrate
            if spec is None or not spec.sends or not bitrate:
                await asyncio.sleep(IDLE)
                due = self._loop.time()
                continue
            if encoder is None or encoder[:2] != (spec.codec, spec.fmtp):
                made = VideoEncoder(spec.codec, fmtp=spec.fmtp, rate=source.rate, bitrate=bitrate)
                encoder = (spec.codec, spec.fmtp, made)
            # The time when the frame was due, not when the loop ran: steps stay regular.
            key, captured = self._path.key_frame_asked, due
            if key and asked is not None:
                asked.request_key_frame()
            frame = await self._loop.run_in_executor(
                self._pool, _produce, source, encoder[2], key, bitrate
            )
            if frame is not None:
                # Keep a request that came meanwhile, or that this frame does not satisfy.
                self._path.key_frame_asked &= not (key and frame.key)
                self.frames_sent += 1
                self._path.send_frame(frame, captured=captured, now=self._loop.time())
                self._serve()
            due = max(due + 1.0 / source.rate, self._loop.time() - BEHIND)
            await asyncio.sleep(max(0.0, due - self._loop.time()))

    # Receiving

    def receive_datagram(self, data: bytes, source: Address, control: bool) -> None:
        """Process one datagram: RTCP if `control`, else RTP.

        :meta private:
        """
        now, wall = self._loop.time(), time.time()
        if control:
            self._path.receive_rtcp(data, source, now=now, wall=wall)
        else:
            self._path.receive_rtp(data, source, now=now, wall=wall)

    def _deliver(self) -> None:
        now = self._loop.time()
        for codec, received in self._path.take_frames():
            self.frames_received += 1
            spec = self._path.spec
            if spec is not None and self._sinks:
                block = self._block(codec, received, spec.security_generation)
                due = self.lip_sync.delivery_time(block.captured, now=now)
                self._held.append((due, block))
        # Frames stay in order: one that is due waits for those before it.
        while self._held and self._held[0][0] <= now:
            self._submit_block(self._held.popleft()[1])

    def _submit_block(self, block: ReceivedVideoFrame) -> None:
        self._skipping &= not block.frame.key
        sinks = self._sinks
        if not sinks or self._skipping:
            return
        if self._pending >= MOST_PENDING:
            self._skipping = True
            self._path.request_key_frame()
            return
        self._pending += 1
        done = self._loop.run_in_executor(self._pool, self._consume, tuple(sinks), block)
        done.add_done_callback(self._consumed)

    def _block(self, codec: str, received: AssembledFrame, generation: int) -> ReceivedVideoFrame:
        if self._first is None:
            self._first = self._newest = received.timestamp
        self._newest = extend(received.timestamp, self._newest, 32)
        seconds = (self._newest - self._first) / CLOCK_RATE_HZ
        captured = self._path.captured(received.timestamp)
        return ReceivedVideoFrame(None, received.frame, codec, seconds, captured, generation)

    def _consume(self, sinks: tuple[VideoSink, ...], block: ReceivedVideoFrame) -> list[VideoSink]:
        """Decode a frame for the sinks that want pictures and write it to all; return the sinks
        that raised.  Runs in the thread."""
        blocks = [block]
        if any(sink.wants_pictures for sink in sinks):
            decoder = self._decoders.setdefault(block.codec, VideoDecoder(block.codec))
            blocks = [replace(block, picture=picture) for picture in decoder.decode(block.frame)]
        failed = []
        for sink in sinks:
            try:
                for each in blocks if sink.wants_pictures else [block]:
                    sink.write(each)
            except Exception:
                # The sink is the application's; its fault must not stop the stream.
                logger.exception("a video sink failed")
                failed.append(sink)
        return failed

    def _consumed(self, done: asyncio.Future[list[VideoSink]]) -> None:
        self._pending -= 1
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            logger.error("a picture was not decoded", exc_info=error)
            return
        for sink in done.result():
            self.remove_listener(sink)
            if sink is self._sink:
                self.record(None)

    # The path

    def attach(self, pair: DatagramPair) -> None:
        """Set the sockets, and close those before; what is sent goes on.

        :meta private:
        """
        before, self._pair = self._pair, pair
        if before is None:
            return
        before.close()
        if self._path.spec is not None:
            pair.mark(self._path.spec.dscp)

    def apply_spec(self, spec: VideoSpec) -> None:
        """Start the stream, or change an open one.

        :meta private:
        """
        if self._path.spec is None and self._pair is not None:
            self._pair.discard_received()
        if self._pair is not None:
            self._pair.mark(spec.dscp)
        self._path.apply_spec(spec, now=self._loop.time())
        self._serve()

    @property
    def spec(self) -> VideoSpec | None:
        """The current spec; None before `open_stream`.

        :meta private:
        """
        return self._path.spec

    def _serve(self) -> None:
        """Send due packets, deliver frames, and set the timer for the next call."""
        pair, path = self._pair, self._path
        if pair is None:
            return
        now = self._loop.time()
        path.handle_timer(now=now, wall=time.time())
        if path.remote is not None and path.remote_rtcp is not None:
            for packet in path.take_packets(now=now):
                pair.send_datagram(packet, path.remote, control=False)
            for packet in path.take_rtcp():
                pair.send_datagram(packet, path.remote_rtcp, control=True)
        if path.picture_request and self.ask_by_signaling is not None:
            path.picture_request = False
            self.ask_by_signaling()
        self._deliver()
        if self._timer is not None:
            self._timer.cancel()
        due = path.next_timer()
        if self._held:
            due = self._held[0][0] if due is None else min(due, self._held[0][0])
        self._timer = None if due is None else self._loop.call_at(max(due, now), self._serve)

    def datagrams_received(self) -> None:
        """Serve the stream after a batch of datagrams.

        :meta private:
        """
        self._serve()

    def close(self) -> None:
        """Send RTCP BYE, run the `call_at_end` callbacks, drop source and sinks, close sockets.

        :meta private:
        """
        pair, self._pair = self._pair, None
        if pair is None:
            return
        self.play(None)
        works, self._at_end = self._at_end, []
        for work in works:
            work()
        for listener in list(self._listeners):
            self.remove_listener(listener)
        self.record(None)
        if self._timer is not None:
            self._timer.cancel()
        self._path.farewell(now=self._loop.time(), wall=time.time())
        if self._path.remote_rtcp is not None:
            for packet in self._path.take_rtcp():
                pair.send_datagram(packet, self._path.remote_rtcp, control=True)
        pair.close()
        self._path.close()
        self.ask_by_signaling = None


def _sent(done: asyncio.Task[None]) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        # The source is the application's; the stream stays open and sends nothing.
        logger.error("a video source failed", exc_info=error)


def _produce(
    source: VideoSource, encoder: VideoEncoder, key: bool, bitrate: int
) -> EncodedFrame | None:
    """Read the next frame of a source and encode it.  Runs in the thread."""
    given = source.read()
    if given is None or isinstance(given, EncodedFrame):
        return given
    return encoder.encode(given, key=key, bitrate=bitrate)


def _make_tap_callback(tap: MediaTap, local: tuple[Address, Address]) -> VideoClearPacketCallback:
    """Return the callback that passes clear packets to `tap`."""
    loop = asyncio.get_running_loop()

    def overhear(data: bytes, remote: Address, control: bool, outgoing: bool) -> None:
        tap.packet(data, local=local[control], remote=remote, outgoing=outgoing, now=loop.time())

    return overhear


@dataclass(slots=True)
class _OpenVideoStream:
    stream: VideoStream
    path: VideoPacketPath
    pool: ThreadPoolExecutor


class VideoBackend:
    """The video streams of one call; the counterpart of `MediaBackend` for audio."""

    def __init__(self, config: MediaConfig, *, entropy: Entropy, tap: Tap | None = None) -> None:
        self._config = config
        self._tap = tap
        self._entropy = entropy
        ports = config.ports
        self._pairs = PortPairs(ports.first, ports.last, entropy=entropy)
        self._entries: dict[StreamHandle, _OpenVideoStream] = {}

    def allocate_stream(
        self,
        *,
        host: str | None = None,
        on_event: EventCallback | None = None,
    ) -> AllocatedStream:
        """Bind a pair of ports; no media flows before `open_stream`.  Raises NoPortFree."""
        ports = self._bind(host or self._config.host)
        ssrc = int.from_bytes(self._entropy(4), "big")
        now = asyncio.get_running_loop().time()
        pool = ThreadPoolExecutor(1, thread_name_prefix="video")
        path = VideoPacketPath(ssrc=ssrc, entropy=self._entropy, now=now)
        stream = VideoStream(path, pool)
        handle = StreamHandle(len(self._entries), ssrc)
        if on_event is not None:
            path.on_latched = lambda remote, cause: on_event(RemoteLatched(handle, remote, cause))
        self._entries[handle] = _OpenVideoStream(stream, path, pool)
        return self._attach(handle, path, ports)

    def _bind(self, host: str) -> tuple[DatagramPort, DatagramPort]:
        try:
            ports = self._pairs.bind_pair(host, receive_buffer=self._config.receive_buffer * 4)
        except OSError as error:
            raise NoPortFree(f"no video socket can be bound on {host}: {error}") from error
        if ports is None:
            raise NoPortFree("every pair of the media ports is in use: none is left for video")
        return ports

    def _attach(
        self,
        handle: StreamHandle,
        path: VideoPacketPath,
        ports: tuple[DatagramPort, DatagramPort],
    ) -> AllocatedStream:
        """Give a stream its sockets."""
        stream = self.stream(handle)
        pair = DatagramPair(ports, stream.receive_datagram, stream.datagrams_received)
        if isinstance(self._tap, MediaTap):
            path.on_clear_packet = _make_tap_callback(self._tap, pair.addresses)
        stream.attach(pair)
        (where, rtp_port), (_, rtcp_port) = pair.addresses
        return AllocatedStream(handle, where, rtp_port, rtcp_port, stream.ssrc)

    def stream(self, handle: StreamHandle) -> VideoStream:
        """Return the stream of `handle`.  Raises StaleHandle."""
        return self._entry(handle).stream

    def _entry(self, handle: StreamHandle) -> _OpenVideoStream:
        entry = self._entries.get(handle)
        if entry is None:
            raise StaleHandle(f"video stream {handle.row} has been closed")
        return entry

    def open_stream(self, handle: StreamHandle, spec: StreamSpec) -> None:
        """Start the stream, or renegotiate it.  Raises StaleHandle, ConfigurationError."""
        if not isinstance(spec, VideoSpec):
            raise ConfigurationError("a video stream is opened with a VideoSpec")
        self.stream(handle).apply_spec(spec)

    def rebind_stream(self, handle: StreamHandle, host: str) -> AllocatedStream:
        """Move a stream to new ports at another local address; what it sends goes on.

        Raises NoPortFree; then nothing changes.
        """
        path = self._entry(handle).path
        return self._attach(handle, path, self._bind(host))

    def set_direction(self, handle: StreamHandle, direction: Direction) -> None:
        """Set whether video is sent and received."""
        stream = self.stream(handle)
        if stream.spec is not None:
            stream.apply_spec(replace(stream.spec, direction=direction))

    def close_stream(self, handle: StreamHandle) -> None:
        """End the stream; its thread ends after the frame in progress."""
        entry = self._entry(handle)
        del self._entries[handle]
        entry.stream.close()
        entry.pool.shutdown(wait=False, cancel_futures=True)
