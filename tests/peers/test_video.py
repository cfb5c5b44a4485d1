"""Video with real peers: Asterisk's Echo and baresip, H.264 and VP8, under SDES-SRTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from softphone.media.audio import ToneSource
from softphone.media.video import PatternSource, ReceivedVideoFrame
from softphone.media.video.picture import draw_pattern, pattern_number, psnr
from softphone.phone import Phone
from softphone.security import CryptoSuite, SecurityLevel
from tests.peers.phones import AUDIBLE_DBM0, account, direct_over_tls, level_heard
from tests.support.waiting import PATIENCE

SIZE = (320, 240)
WORST_DB = 25.0
"""PSNR of a pattern after one pass of a codec at 1 Mbit/s; of two patterns it is below 15 dB."""


class Screen:
    """Keeps the pictures that are shown."""

    wants_pictures = True

    def __init__(self) -> None:
        self.blocks: list[ReceivedVideoFrame] = []
        self._came = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def write(self, block: ReceivedVideoFrame) -> None:
        self.blocks.append(block)
        self._loop.call_soon_threadsafe(self._came.set)

    async def pictures(self, count: int) -> list[np.ndarray]:
        """The first so many."""
        async with asyncio.timeout(PATIENCE):
            while len(self.blocks) < count:
                self._came.clear()
                await self._came.wait()
        return [block.picture for block in self.blocks if block.picture is not None]


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


def encrypted(call) -> None:
    """Both streams are under SRTP, each by itself."""
    found = {stream.media: stream.suite for stream in call.security.media}
    assert found["audio"] is not None
    assert found["video"] is not None
    assert call.security.level is SecurityLevel.ENCRYPTED


@pytest.mark.feature("video H.264")
@pytest.mark.feature("video VP8")
@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_the_pattern_comes_back_from_asterisks_echo(asterisk, authority, phone, codec):
    config = account("video", asterisk.tls, "tls", ca=authority.certificate, video=(codec,))
    host, port = asterisk.tls
    line = await phone.register(
        replace(config, registrar=None, outbound_proxy=f"sips:{host}:{port}")
    )
    screen = Screen()
    async with line.dial("600", video=True) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        encrypted(call)
        assert call.video.codec == codec
        call.video.record(screen)
        call.video.play(PatternSource(width=SIZE[0], height=SIZE[1], rate=15))
        call.audio.play(ToneSource(440.0))
        pictures = await screen.pictures(30)
        assert await level_heard(call, 440.0) > AUDIBLE_DBM0
        statistics = call.video.statistics
    numbers = [pattern_number(picture) for picture in pictures]
    quality = [psnr(p, draw_pattern(n, *SIZE)) for p, n in zip(pictures, numbers, strict=True)]
    print(f"{codec}: {len(pictures)} pictures, PSNR {min(quality):.1f} to {max(quality):.1f} dB")
    assert len(set(numbers)) == len(numbers)
    assert numbers == sorted(numbers)
    assert min(quality) > WORST_DB
    assert statistics.authentication_failures == statistics.replayed == 0


def photograph(path: Path) -> np.ndarray:
    """A PNG as I420."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="yuv420p")


@pytest.mark.feature("video H.264")
@pytest.mark.feature("video VP8")
@pytest.mark.parametrize("caller", ["we", "it"])
@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_baresip_sees_us_and_we_see_it(
    baresip, authority, client_certificate, phone, codec, caller
):
    robot = await asyncio.to_thread(baresip, video=codec)
    config = direct_over_tls(
        "desk", authority.certificate, client_certificate("desk"), video=(codec,)
    )
    line = await phone.register(config)
    if caller == "we":
        call = await line.dial(robot.uri(), video=True).answered(timeout=PATIENCE)
    else:
        _, host, port = line.listening
        robot.dial(f"sip:desk@{host}:{port};transport=tls")
        async with asyncio.timeout(PATIENCE):
            call = await (await anext(line.incoming())).answer()
    screen = Screen()
    async with call:
        encrypted(call)
        assert call.audio.security.suite in list(CryptoSuite)
        assert call.video.codec == codec
        call.video.record(screen)
        call.video.play(PatternSource(width=SIZE[0], height=SIZE[1], rate=15))
        theirs = await screen.pictures(20)
        ours = photograph(await asyncio.to_thread(robot.snapshot))
        assert call.video.statistics.authentication_failures == 0
    number = pattern_number(ours)
    quality = psnr(ours, draw_pattern(number, *SIZE))
    print(f"{codec}: baresip saw picture {number} at {quality:.1f} dB")
    assert quality > WORST_DB
    # Its camera's picture stands still but for what it draws: one is much like the next.
    assert {picture.shape for picture in theirs} == {(SIZE[1] * 3 // 2, SIZE[0])}
    assert psnr(theirs[-2], theirs[-1]) > WORST_DB
    assert theirs[-1].std() > 5.0
