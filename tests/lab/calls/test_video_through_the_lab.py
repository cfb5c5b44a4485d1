"""Video through the call server: shown, coded anew where it must be, and under the same lock."""

from __future__ import annotations

import asyncio

import pytest

from softphone.lab.calls.video_relay import MOST_WAITING, VideoRelay
from softphone.media.video import PatternSource, ReceivedVideoFrame
from softphone.media.video.picture import draw_pattern, pattern_number, psnr
from softphone.rtp import EncodedFrame
from softphone.security import SecurityLevel, SrtpPolicy
from tests.support.calling import account_of, answer_one, connect, eventually, until
from tests.support.waiting import PATIENCE

BOTH = ("H264", "VP8")


class Screen:
    """Counts good pictures of the pattern."""

    wants_pictures = True

    def __init__(self):
        self.good = 0

    def write(self, block):
        number = pattern_number(block.picture)
        self.good += psnr(block.picture, draw_pattern(number, 320, 240)) > 26


async def seen(sender, receiver, count=5):
    """Wait until one end sees the pattern that the other sends."""
    screen = Screen()
    receiver.video.record(screen)
    sender.video.play(PatternSource(width=320, height=240, rate=15))
    async with asyncio.timeout(PATIENCE):
        while screen.good < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    sender.video.play(None)
    receiver.video.record(None)


async def calling(lab, phone, callee, *, codecs=(BOTH, BOTH), srtp=None):
    demand = {} if srtp is None else {"srtp": srtp}
    alice = await account_of(lab, phone, "alice", video=codecs[0], **demand)
    other = await account_of(lab, phone, callee, video=codecs[1])
    return await connect(alice, other, callee, video=True)


def suites(call):
    return {each.media: each.suite is not None for each in call.security.media}


@pytest.mark.parametrize("codecs", [(BOTH, BOTH), (("H264",), ("VP8",)), (("VP8",), ("VP8",))])
async def test_both_see_each_other_under_the_lock(lab, phone, codecs):
    call, other = await calling(lab, phone, "bob", codecs=codecs)
    for each in (call, other):
        await until(each, lambda state: state.lock)
        assert suites(each) == {"audio": True, "video": True}
    assert (call.video.codec, other.video.codec) == (codecs[0][0], codecs[1][0])
    await seen(call, other)
    await seen(other, call)
    call.hangup()
    await eventually(lambda: not lab.calls)


async def test_with_a_phone_that_is_not_secure_the_picture_is_in_clear_without_a_lock(lab, phone):
    call, other = await calling(lab, phone, "carol", srtp=SrtpPolicy.OPTIONAL)
    for each in (call, other):
        await until(each, lambda state: state.level is SecurityLevel.NOT_SECURE)
        assert suites(each) == {"audio": False, "video": False}
    await seen(call, other)
    await seen(other, call)


async def test_who_has_no_video_is_called_with_sound(lab, phone):
    call, other = await calling(lab, phone, "bob", codecs=(BOTH, ()))
    assert call.video is other.video is None
    await until(call, lambda state: state.lock)
    assert suites(call) == {"audio": True}


@pytest.mark.parametrize("target", ["600", "*5bob"])
async def test_an_extension_or_a_conference_has_no_picture(lab, phone, target):
    dave, bob = [await account_of(lab, phone, name) for name in ("dave", "bob")]
    await connect(dave, bob, "bob")
    alice = await account_of(lab, phone, "alice", video=BOTH)
    call = await alice.dial(target, video=True).answered(timeout=PATIENCE)
    assert call.video is None
    assert call.security.lock


async def test_the_picture_goes_with_a_hold_and_comes_back_and_follows_a_transfer(lab, phone):
    call, other = await calling(lab, phone, "bob")
    await seen(call, other)
    await call.hold()
    (conversation,) = lab._calls._bridged_calls
    await eventually(lambda: not conversation._relays)
    await call.resume()
    await seen(other, call)
    dave = await account_of(lab, phone, "dave", video=("VP8",))
    answering = asyncio.create_task(answer_one(dave))
    await asyncio.wait_for(call.transfer("sip:dave@127.0.0.1"), PATIENCE)
    third = await answering
    for each in (other, third):
        await until(each, lambda state: state.lock)
    await seen(other, third)
    await seen(third, other)


class Stream:
    """One end of a relay on paper."""

    def __init__(self, codec="H264"):
        self.codec = codec
        self.asked = 0

    def record(self, sink):
        self.sink = sink

    def play(self, source):
        self.source = source

    def request_key_frame(self):
        self.asked += 1


def frame(key=False, codec="H264", picture=None):
    return ReceivedVideoFrame(picture, EncodedFrame(b"frame", key), codec, 0.0, None, 0)


async def test_a_relay_begins_and_begins_anew_with_a_key_frame():
    one, other = Stream(), Stream()
    relay = VideoRelay(one, other)
    relay.write(frame())
    assert relay.read() is None
    for _ in range(MOST_WAITING):
        relay.write(frame(key=True))
    relay.write(frame())
    assert len(relay._waiting) == MOST_WAITING
    relay.write(frame(key=True))
    assert relay.read().key
    assert relay.read() is None
    relay.request_key_frame()
    relay.request_key_frame()
    assert one.asked == 1
    relay.close()
    assert (one.sink, other.source) == (None, None)


async def test_a_relay_decodes_only_for_another_codec():
    one, other = Stream(), Stream()
    relay = VideoRelay(one, other)
    assert not relay.wants_pictures
    other.codec = "VP8"
    relay.write(frame(key=True))
    await asyncio.sleep(0)
    assert relay.wants_pictures
    assert one.asked == 1
    picture = draw_pattern(1, 64, 32)
    relay.write(frame(picture=picture))
    assert relay.read() is picture
    relay.request_key_frame()
    assert one.asked == 1
