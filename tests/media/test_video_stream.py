"""The port of video: ports, names, and what is refused; whole calls are in tests/end_to_end."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from softphone.errors import ConfigurationError, FipsForbidden, NoPortFree
from softphone.events import Direction
from softphone.media import (
    MediaConfig,
    PcmBlock,
    PortRange,
    Sink,
    SrtpKey,
    StaleHandle,
    StreamSpec,
    VideoBackend,
)
from softphone.media.audio import AudioRouter
from softphone.media.video import PatternSource, Picture, ReceivedVideoFrame, VideoSpec
from softphone.rtp import EncodedFrame
from softphone.security import CryptoSuite, KeyMaterial
from tests.support.ports import free_ports
from tests.support.waiting import PATIENCE, until


def port_of(ports: PortRange | None = None) -> VideoBackend:
    return VideoBackend(MediaConfig(ports=ports or free_ports()), entropy=os.urandom)


async def test_a_closed_stream_is_named_no_more_and_its_ports_are_free_again() -> None:
    ports = free_ports(1)
    port = port_of(ports)
    local = port.allocate_stream()
    assert (local.rtp_port, local.rtcp_port) == (ports.first, ports.last)
    with pytest.raises(NoPortFree):
        port.allocate_stream()
    with pytest.raises(ConfigurationError):
        port.open_stream(local.handle, StreamSpec(("127.0.0.1", 9)))
    port.close_stream(local.handle)
    with pytest.raises(StaleHandle):
        port.stream(local.handle)
    again = port.allocate_stream()
    assert again.handle != local.handle
    port.close_stream(again.handle)


class Coded:
    """Keeps coded frames."""

    wants_pictures = False

    def __init__(self) -> None:
        self.blocks: list[ReceivedVideoFrame] = []
        self.came = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def write(self, block: ReceivedVideoFrame) -> None:
        self.blocks.append(block)
        self._loop.call_soon_threadsafe(self.came.set)


async def test_coded_frames_are_passed_through_and_a_stopped_direction_stops_them() -> None:
    port = port_of()
    one, other = port.allocate_stream(), port.allocate_stream()
    for mine, theirs in ((one, other), (other, one)):
        port.open_stream(mine.handle, VideoSpec(("127.0.0.1", theirs.rtp_port), "VP8", 96))
    sink = Coded()
    port.stream(other.handle).record(sink)
    sender = port.stream(one.handle)
    sender.play(PatternSource(width=64, height=64, rate=50))
    async with asyncio.timeout(PATIENCE):
        await sink.came.wait()
    assert sink.blocks[0].picture is None
    assert sink.blocks[0].frame.key
    port.set_direction(one.handle, Direction.INACTIVE)
    assert sender.direction is Direction.INACTIVE
    sent, seen = sender.frames_sent, port.stream(other.handle)
    seen.play(PatternSource(width=64, height=64, rate=50))
    await until(lambda: seen.frames_sent > 5)
    assert sender.frames_sent <= sent + 1
    for local in (one, other):
        port.close_stream(local.handle)


async def test_a_stream_moves_to_ports_at_another_address_and_goes_on() -> None:
    port = port_of()
    one, other = port.allocate_stream(), port.allocate_stream()
    port.open_stream(one.handle, VideoSpec((other.host, other.rtp_port), "VP8", 96))
    moved = port.rebind_stream(one.handle, "127.0.0.2")
    assert (moved.handle, moved.host, moved.ssrc) == (one.handle, "127.0.0.2", one.ssrc)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((one.host, one.rtp_port))  # the old port is free
    port.open_stream(other.handle, VideoSpec((moved.host, moved.rtp_port), "VP8", 96))
    for sender, receiver in ((one, other), (other, one)):
        sink = Coded()
        port.stream(receiver.handle).record(sink)
        port.stream(sender.handle).play(PatternSource(width=64, height=64, rate=50))
        async with asyncio.timeout(PATIENCE):
            await sink.came.wait()
    for local in (one, other):
        port.close_stream(local.handle)


async def test_a_stream_that_cannot_move_stays() -> None:
    port = port_of()
    one = port.allocate_stream()
    with pytest.raises(NoPortFree):
        port.rebind_stream(one.handle, "192.0.2.1")
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
        pytest.raises(OSError, match="in use"),
    ):
        probe.bind((one.host, one.rtp_port))
    port.close_stream(one.handle)


class Hiccup(PatternSource):
    """After every third picture its application keeps the loop busy beyond the next."""

    def __init__(self) -> None:
        super().__init__(width=64, height=64, rate=50.0, frames=30)
        self._loop, self.read_so_far = asyncio.get_running_loop(), 0

    def read(self) -> Picture | EncodedFrame | None:
        self.read_so_far += 1
        if self.read_so_far % 3 == 0:
            self._loop.call_soon_threadsafe(time.sleep, 0.03)
        return super().read()


async def test_timestamps_are_as_regular_as_the_source_however_late_the_loop_is() -> None:
    port = port_of()
    one, other = port.allocate_stream(), port.allocate_stream()
    for mine, theirs in ((one, other), (other, one)):
        port.open_stream(mine.handle, VideoSpec(("127.0.0.1", theirs.rtp_port), "VP8", 96))
    sink = Coded()
    port.stream(other.handle).record(sink)
    sender = port.stream(one.handle)
    sender.play(Hiccup())
    async with asyncio.timeout(PATIENCE):
        await sender.played()
        while len(sink.blocks) < 20:
            sink.came.clear()
            await sink.came.wait()
    seconds = [block.seconds for block in sink.blocks]
    assert min(np.diff(seconds)) > 0.0199
    for local in (one, other):
        port.close_stream(local.handle)


class FarSound:
    """The sound of a call, as lip sync needs it: heard 0.4 s after it was captured."""

    def __init__(self) -> None:
        self.ears: list[Sink] = []
        self.heard = 0

    def add_listener(self, sink: Sink) -> None:
        self.ears.append(sink)

    def remove_listener(self, sink: Sink) -> None:
        self.ears.remove(sink)

    async def speak(self) -> None:
        pcm = np.zeros(160, dtype=np.int16)
        while True:
            for ear in self.ears:
                ear.write(PcmBlock(pcm, 8000, 0, 0, False, time.time() - 0.4, True))
            self.heard += 1
            await asyncio.sleep(0.02)


class Watch:
    """Keeps how old pictures are by their sender's clock when they are shown."""

    wants_pictures = False

    def __init__(self) -> None:
        self.ages: list[float] = []
        self.numbers: list[float] = []
        self.enough = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def write(self, block: ReceivedVideoFrame) -> None:
        self.numbers.append(block.seconds)
        if block.captured is not None:
            self.ages.append(time.time() - block.captured)
        if len(self.ages) >= 20:
            self._loop.call_soon_threadsafe(self.enough.set)


async def test_pictures_are_held_back_until_the_sound_of_their_time_is_heard() -> None:
    port = port_of()
    one, other = port.allocate_stream(), port.allocate_stream()
    for mine, theirs in ((one, other), (other, one)):
        port.open_stream(mine.handle, VideoSpec(("127.0.0.1", theirs.rtp_port), "VP8", 96))
    sound, watch = FarSound(), Watch()
    receiver = port.stream(other.handle)
    receiver.sound = cast("AudioRouter", sound)
    receiver.record(watch)
    assert len(sound.ears) == 1
    speaking = asyncio.create_task(sound.speak())
    port.stream(one.handle).play(PatternSource(width=64, height=64, rate=30))
    async with asyncio.timeout(PATIENCE):
        await watch.enough.wait()
    speaking.cancel()
    # The first report told the clock; from then on nothing is shown before its sound.
    assert min(watch.ages) > 0.35
    assert watch.numbers == sorted(watch.numbers)
    receiver.record(None)
    assert sound.ears == []
    for local in (one, other):
        port.close_stream(local.handle)


class Screen(PatternSource):
    """Somebody's screen."""

    shares_screen = True


class Faulty:
    """A source that fails at its first picture."""

    rate = 15.0
    ended = False

    def read(self) -> None:
        raise OSError("the camera is gone")


async def test_a_source_that_fails_is_told_and_the_stream_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = port_of()
    local = port.allocate_stream()
    remote = ("127.0.0.1", 9)
    port.open_stream(local.handle, VideoSpec(remote, "VP8", 96))
    stream = port.stream(local.handle)
    stream.play(Faulty())
    async with asyncio.timeout(PATIENCE):
        await stream.played()
    assert "a video source failed" in caplog.text
    stream.play(PatternSource(width=64, height=64, rate=15))
    port.close_stream(local.handle)


async def test_a_screen_is_refused_in_fips_mode_and_sent_outside_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = port_of()
    local = port.allocate_stream()
    stream = port.stream(local.handle)
    monkeypatch.setattr("softphone.trust.fips.mode.openssl_provider.fips_in_force", lambda: True)
    with pytest.raises(FipsForbidden, match="screens are not shared"):
        stream.play(Screen())
    stream.play(PatternSource())
    monkeypatch.setattr("softphone.trust.fips.mode.openssl_provider.fips_in_force", lambda: False)
    stream.play(Screen())
    port.close_stream(local.handle)


async def test_a_tap_hears_both_ways_in_clear_what_is_encrypted_on_the_wire() -> None:
    heard: list[tuple[bool, bytes]] = []

    class Ear:
        def signaling(self, data: bytes, **_: object) -> None:
            """There is none here."""

        def datagram(self, data: bytes, **_: object) -> None:
            """As on the wire: not wanted."""

        def packet(self, data: bytes, *, outgoing: bool, **_: object) -> None:
            heard.append((outgoing, data))

    config = MediaConfig(ports=free_ports())
    port = VideoBackend(config, entropy=os.urandom, tap=Ear())
    one, other = port.allocate_stream(), port.allocate_stream()
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    keys = [SrtpKey(suite, KeyMaterial(bytes([n]) * 30)) for n in (1, 2)]
    for mine, theirs, (send, receive) in ((one, other, keys), (other, one, keys[::-1])):
        spec = VideoSpec(("127.0.0.1", theirs.rtp_port), "VP8", 96)
        port.open_stream(mine.handle, replace(spec, send_key=send, receive_key=receive))
    sink = Coded()
    port.stream(other.handle).record(sink)
    port.stream(one.handle).play(PatternSource(width=64, height=64, rate=30))
    async with asyncio.timeout(PATIENCE):
        await sink.came.wait()
    sent = [data for outgoing, data in heard if outgoing]
    received = [data for outgoing, data in heard if not outgoing]
    assert received
    assert received[0] in sent
    assert sink.blocks[0].frame.data[3:6] in received[0]  # the VP8 frame itself
    for local in (one, other):
        port.close_stream(local.handle)
