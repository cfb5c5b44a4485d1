"""What a call's packets are marked with (RFC 2474), as a capture on loopback sees it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from softphone import AccountConfig, Phone, ToneSource
from softphone.config import DscpConfig, MediaPreferences
from softphone.media.video import PatternSource
from tests.end_to_end.test_video_calls import Screen
from tests.support.loopback_capture import Capture, loopback_capture
from tests.support.waiting import PATIENCE

CS3, CS5, EF, AF31, AF41, AF42 = 24, 40, 46, 26, 34, 36
MEDIA = re.compile(rb"m=audio ([0-9]+)")
VIDEO = re.compile(rb"m=video ([0-9]+)")


@pytest.fixture
def capture() -> Iterator[Capture]:
    with loopback_capture() as opened:
        yield opened


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_voice_and_signaling_leave_with_the_marks_of_their_account(capture, transport):
    marks = {"alice": DscpConfig(), "bob": DscpConfig(audio="AF31", signaling="CS5")}
    async with Phone() as phone:
        alice, bob = [
            await phone.register(
                AccountConfig(f"sip:{name}@127.0.0.1", listen=f"{transport}:127.0.0.1:0", dscp=dscp)
            )
            for name, dscp in marks.items()
        ]

        async def answer():
            return await (await anext(bob.incoming())).answer()

        answering = asyncio.create_task(answer())
        _, host, port = bob.listening
        outgoing = alice.dial(f"sip:bob@{host}:{port};transport={transport}")
        call, other = await outgoing.answered(timeout=PATIENCE), await answering
        for each in (call, other):
            each.audio.play(ToneSource(440.0))
            each.audio.use_rates(read_hz=8000)
            await each.audio.read(1600)
        call.hangup()
        await other.ended()
    seen = list(capture.packets())
    ours = [each for each in seen if b"SIP/2.0" in each.payload[:2000] and each.payload]
    from_bob = [each for each in ours if each.source == port]
    invite = next(each for each in ours if each.payload.startswith(b"INVITE sip:bob@"))
    from_alice = [each for each in ours if each.source == invite.source]
    assert {each.code_point for each in from_alice} == {CS3}
    assert {each.code_point for each in from_bob} == {CS5}
    accepted = next(each for each in from_bob if MEDIA.search(each.payload))
    for described, mark in ((invite, EF), (accepted, AF31)):
        rtp = int(MEDIA.search(described.payload)[1])
        voice = [each for each in seen if each.source in (rtp, rtp + 1)]
        assert len(voice) > 5
        assert {each.code_point for each in voice} == {mark}


async def test_pictures_have_a_mark_of_their_own(capture):
    marks = {"alice": DscpConfig(), "bob": DscpConfig(video="AF42")}
    media = MediaPreferences(video=("VP8",))
    async with Phone() as phone, asyncio.timeout(PATIENCE):
        alice, bob = [
            await phone.register(
                AccountConfig(
                    f"sip:{name}@127.0.0.1", listen="udp:127.0.0.1:0", dscp=dscp, media=media
                )
            )
            for name, dscp in marks.items()
        ]

        async def answer():
            return await (await anext(bob.incoming())).answer()

        answering = asyncio.create_task(answer())
        _, host, port = bob.listening
        outgoing = alice.dial(f"sip:bob@{host}:{port}", video=True)
        call, other = await outgoing.answered(timeout=PATIENCE), await answering
        screens = [Screen(3), Screen(3)]
        for each, screen in zip((call, other), screens, strict=True):
            each.video.record(screen)
            each.video.play(PatternSource(width=320, height=240, rate=15))
        for screen in screens:
            await screen.full.wait()
        call.hangup()
        await other.ended()
    seen = list(capture.packets())
    described = [each for each in seen if VIDEO.search(each.payload)]
    for is_bobs, mark in ((True, AF42), (False, AF41)):
        told = next(each for each in described if (each.source == port) is is_bobs)
        rtp = int(VIDEO.search(told.payload)[1])
        pictures = [each for each in seen if each.source in (rtp, rtp + 1)]
        assert len(pictures) > 5
        assert {each.code_point for each in pictures} == {mark}
