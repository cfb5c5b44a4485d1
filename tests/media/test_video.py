"""The port of video: ports, names, and what is refused; whole calls are in tests/end_to_end."""

from __future__ import annotations

import asyncio
import os

import pytest

from softphone.errors import ConfigurationError
from softphone.events import Direction
from softphone.media.picture import PatternSource, VideoBlock
from softphone.media.port import MediaConfig, NoPortFree, PortRange, StaleHandle, StreamSpec
from softphone.media.video import VideoPort
from softphone.media.video_path import VideoSpec


def port_of(first: int, last: int) -> VideoPort:
    return VideoPort(MediaConfig(ports=PortRange(first, last)), entropy=os.urandom)


async def test_a_closed_stream_is_named_no_more_and_its_ports_are_free_again() -> None:
    port = port_of(44100, 44101)
    local = port.allocate()
    assert (local.rtp_port, local.rtcp_port) == (44100, 44101)
    with pytest.raises(NoPortFree):
        port.allocate()
    with pytest.raises(ConfigurationError):
        port.open(local.handle, StreamSpec(("127.0.0.1", 9)))
    port.close(local.handle)
    with pytest.raises(StaleHandle):
        port.stream(local.handle)
    again = port.allocate()
    assert again.handle != local.handle
    port.close(again.handle)


class Coded:
    """Keeps coded frames."""

    wants_pictures = False

    def __init__(self) -> None:
        self.blocks: list[VideoBlock] = []
        self.came = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def write(self, block: VideoBlock) -> None:
        self.blocks.append(block)
        self._loop.call_soon_threadsafe(self.came.set)


async def test_coded_frames_are_passed_through_and_a_stopped_direction_stops_them() -> None:
    port = port_of(44200, 44299)
    one, other = port.allocate(), port.allocate()
    for mine, theirs in ((one, other), (other, one)):
        port.open(mine.handle, VideoSpec(("127.0.0.1", theirs.rtp_port), "VP8", 96))
    sink = Coded()
    port.stream(other.handle).record(sink)
    sender = port.stream(one.handle)
    sender.play(PatternSource(width=64, height=64, rate=50))
    async with asyncio.timeout(10):
        await sink.came.wait()
    assert sink.blocks[0].picture is None
    assert sink.blocks[0].frame.key
    port.set_direction(one.handle, Direction.INACTIVE)
    assert sender.direction is Direction.INACTIVE
    sent = sender.frames_sent
    await asyncio.sleep(0.1)
    assert sender.frames_sent <= sent + 1
    for local in (one, other):
        port.close(local.handle)
