"""Video from phone to phone: H.264 and VP8, under SRTP with keys of its own and in clear."""

from __future__ import annotations

import asyncio

import pytest

from softphone.account import AccountConfig
from softphone.account.config import MediaPreferences
from softphone.media.picture import PatternSource, VideoBlock, number_of, pattern, psnr
from softphone.phone import Phone
from softphone.security import SrtpPolicy


class Screen:
    wants_pictures = True

    def __init__(self, count: int) -> None:
        self.blocks: list[VideoBlock] = []
        self.full = asyncio.Event()
        self._count = count
        self._loop = asyncio.get_running_loop()

    def write(self, block: VideoBlock) -> None:
        self.blocks.append(block)
        if len(self.blocks) >= self._count:
            self._loop.call_soon_threadsafe(self.full.set)


def account(user: str, port: int, srtp: SrtpPolicy, *video: str) -> AccountConfig:
    return AccountConfig(
        aor=f"sip:{user}@127.0.0.1",
        listen=f"udp:127.0.0.1:{port}",
        media=MediaPreferences(srtp=srtp, video=video),
    )


@pytest.mark.parametrize("srtp", [SrtpPolicy.REQUIRED, SrtpPolicy.OFF])
@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_pattern_is_seen_at_the_other_end(codec: str, srtp: SrtpPolicy) -> None:
    screen = Screen(28)
    async with Phone() as phone, asyncio.timeout(30):
        alice = await phone.register(account("alice", 0, srtp, codec))
        bob = await phone.register(account("bob", 0, srtp, codec))
        assert bob.listening is not None
        async with alice.dial(f"sip:bob@127.0.0.1:{bob.listening[2]}", video=True) as outgoing:
            answered = asyncio.ensure_future(outgoing.answered(timeout=10))
            incoming = await anext(bob.incoming())
            far = await incoming.answer()
            call = await answered
            assert call.video is not None
            assert far.video is not None
            far.video.record(screen)
            call.video.play(PatternSource(width=320, height=240, rate=15, frames=30))
            await call.video.played()
            await screen.full.wait()
            kinds = {(m.media, m.suite is not None) for m in call.security.media}
            secure = srtp is SrtpPolicy.REQUIRED
            assert kinds == {("audio", secure), ("video", secure)}
            assert call.video.codec == codec
    for block in screen.blocks:
        assert block.picture is not None
        number = number_of(block.picture)
        assert psnr(block.picture, pattern(number, 320, 240)) > 28


async def test_who_names_no_video_codec_refuses_video_and_takes_the_call() -> None:
    async with Phone() as phone, asyncio.timeout(30):
        alice = await phone.register(account("alice", 0, SrtpPolicy.OFF, "VP8"))
        bob = await phone.register(account("bob", 0, SrtpPolicy.OFF))
        assert bob.listening is not None
        async with alice.dial(f"sip:bob@127.0.0.1:{bob.listening[2]}", video=True) as outgoing:
            answered = asyncio.ensure_future(outgoing.answered(timeout=10))
            far = await (await anext(bob.incoming())).answer()
            call = await answered
            assert call.video is None
            assert far.video is None
