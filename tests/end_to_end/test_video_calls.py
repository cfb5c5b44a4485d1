"""Video from phone to phone: H.264 and VP8, under SRTP with keys of its own and in clear."""

from __future__ import annotations

import asyncio
import base64
import socket

import pytest

from softphone.config import AccountConfig, MediaPreferences
from softphone.events import TransferRequested
from softphone.media import MediaConfig
from softphone.media.video import PatternSource, ReceivedVideoFrame
from softphone.media.video.picture import draw_pattern, pattern_number, psnr
from softphone.phone import Phone
from softphone.security import SecurityLevel, SrtpPolicy
from tests.peers.phones import Wire
from tests.support.waiting import PATIENCE


class Screen:
    wants_pictures = True

    def __init__(self, count: int) -> None:
        self.blocks: list[ReceivedVideoFrame] = []
        self.full = asyncio.Event()
        self._count = count
        self._loop = asyncio.get_running_loop()

    def write(self, block: ReceivedVideoFrame) -> None:
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
    async with Phone() as phone, asyncio.timeout(PATIENCE):
        alice = await phone.register(account("alice", 0, srtp, codec))
        bob = await phone.register(account("bob", 0, srtp, codec))
        assert bob.listening is not None
        async with alice.dial(f"sip:bob@127.0.0.1:{bob.listening[2]}", video=True) as outgoing:
            answered = asyncio.ensure_future(outgoing.answered(timeout=PATIENCE))
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
        number = pattern_number(block.picture)
        assert psnr(block.picture, draw_pattern(number, 320, 240)) > 28


async def test_who_names_no_video_codec_refuses_video_and_takes_the_call() -> None:
    async with Phone() as phone, asyncio.timeout(PATIENCE):
        alice = await phone.register(account("alice", 0, SrtpPolicy.OFF, "VP8"))
        bob = await phone.register(account("bob", 0, SrtpPolicy.OFF))
        assert bob.listening is not None
        async with alice.dial(f"sip:bob@127.0.0.1:{bob.listening[2]}", video=True) as outgoing:
            answered = asyncio.ensure_future(outgoing.answered(timeout=PATIENCE))
            far = await (await anext(bob.incoming())).answer()
            call = await answered
            assert call.video is None
            assert far.video is None


class Keys:
    """Counts key frames."""

    wants_pictures = False

    def __init__(self) -> None:
        self.count = 0
        self.came = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def write(self, block: ReceivedVideoFrame) -> None:
        self._loop.call_soon_threadsafe(self._note, block.frame.key)

    def _note(self, key: bool) -> None:
        self.count += key
        if key:
            self.came.set()

    async def another(self) -> None:
        """Wait for one that comes from now on."""
        self.came.clear()
        await self.came.wait()


async def test_who_has_no_rtcp_feedback_is_asked_for_a_key_frame_by_info_and_asks_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("softphone.call.leg.video_setup.FEEDBACK", ())
    wire = Wire()
    async with Phone(tap=wire) as phone, asyncio.timeout(40):
        alice = await phone.register(account("alice", 0, SrtpPolicy.REQUIRED, "VP8"))
        bob = await phone.register(account("bob", 0, SrtpPolicy.REQUIRED, "VP8"))
        assert bob.listening is not None
        async with alice.dial(f"sip:bob@127.0.0.1:{bob.listening[2]}", video=True) as outgoing:
            answered = asyncio.ensure_future(outgoing.answered(timeout=PATIENCE))
            far = await (await anext(bob.incoming())).answer()
            call = await answered
            for ours, theirs in ((call, far), (far, call)):
                assert ours.video is not None
                assert theirs.video is not None
                keys = Keys()
                theirs.video.record(keys)
                # Key frames of its own come after 10 s and not before: 150 at this rate.
                ours.video.play(PatternSource(rate=15))
                await keys.another()
                before = len(wire.sent("INFO"))
                theirs.video.request_key_frame()
                async with asyncio.timeout(PATIENCE):
                    await keys.another()
                asked = wire.sent("INFO")[before:]
                assert asked
                assert all("application/media_control+xml" in text for text in asked)
                assert all("<picture_fast_update/>" in text for text in asked)


async def test_video_goes_beside_audio_that_is_in_a_worker() -> None:
    screen = Screen(10)
    async with Phone(media=MediaConfig(placement="worker")) as phone, asyncio.timeout(40):
        alice = await phone.register(account("alice", 0, SrtpPolicy.REQUIRED, "VP8"))
        bob = await phone.register(account("bob", 0, SrtpPolicy.REQUIRED, "VP8"))
        assert bob.listening is not None
        async with alice.dial(f"sip:bob@127.0.0.1:{bob.listening[2]}", video=True) as outgoing:
            answered = asyncio.ensure_future(outgoing.answered(timeout=PATIENCE))
            far = await (await anext(bob.incoming())).answer()
            call = await answered
            assert call.video is not None
            assert far.video is not None
            far.video.record(screen)
            call.video.play(PatternSource(rate=15))
            await screen.full.wait()
    assert all(block.picture is not None for block in screen.blocks)


CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.b64encode(bytes(range(30))).decode()


def offer_with_video_in_clear(address: tuple[str, int]) -> bytes:
    """An INVITE whose audio is RTP/SAVP and whose video is RTP/AVP."""
    body = "\r\n".join(
        [
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
            "m=audio 40000 RTP/SAVP 0", CRYPTO,
            "m=video 40002 RTP/AVP 96", "a=rtpmap:96 VP8/90000", "",
        ]
    )  # fmt: skip
    head = [
        f"INVITE sip:bob@{address[0]}:{address[1]} SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.1:5999;rport;branch=z9hG4bKvideo",
        "Max-Forwards: 70",
        "From: <sip:eve@127.0.0.1>;tag=1",
        f"To: <sip:bob@{address[0]}:{address[1]}>",
        "Call-ID: video-in-clear",
        "CSeq: 1 INVITE",
        "Contact: <sip:eve@127.0.0.1:5999>",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


@pytest.mark.parametrize("srtp", [SrtpPolicy.REQUIRED, SrtpPolicy.OPTIONAL])
async def test_video_in_clear_beside_encrypted_audio_is_refused_or_takes_the_lock(
    srtp: SrtpPolicy,
) -> None:
    loop = asyncio.get_running_loop()
    async with Phone() as phone, asyncio.timeout(PATIENCE):
        bob = await phone.register(account("bob", 0, srtp, "VP8"))
        assert bob.listening is not None
        where = bob.listening[1:]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.setblocking(False)
            caller.connect(where)
            invite = offer_with_video_in_clear(where)
            await loop.sock_sendall(caller, invite)
            incoming = await anext(bob.incoming())
            answering = asyncio.ensure_future(incoming.answer())
            answer = "SIP/2.0 1"
            while answer.startswith("SIP/2.0 1"):
                answer = (await loop.sock_recv(caller, 65535)).decode()
            assert answer.startswith("SIP/2.0 200")
            to = next(line for line in answer.split("\r\n") if line.startswith("To:"))
            head = invite.decode().split("\r\n\r\n")[0].replace("INVITE", "ACK")
            head = head.replace("z9hG4bKvideo", "z9hG4bKack")
            lines = [to if line.startswith("To:") else line for line in head.split("\r\n")]
            lines = [line for line in lines if not line.startswith("Content-")]
            await loop.sock_sendall(caller, ("\r\n".join(lines) + "\r\n\r\n").encode())
            call = await answering
            suites = {stream.media: stream.suite for stream in call.security.media}
            assert suites["audio"] is not None
            assert not call.security.lock
            if srtp is SrtpPolicy.REQUIRED:
                # The stream in clear is refused, and the call goes on without it.
                assert "m=video 0 " in answer
                assert call.video is None
                assert set(suites) == {"audio"}
            else:
                assert call.video is not None
                assert suites["video"] is None
                assert call.security.level is SecurityLevel.NOT_SECURE
            call.hangup()


async def test_a_call_with_video_is_transferred_with_its_video() -> None:
    async with Phone() as phone, asyncio.timeout(PATIENCE):
        alice, bob, carol = [
            await phone.register(account(name, 0, SrtpPolicy.REQUIRED, "VP8"))
            for name in ("alice", "bob", "carol")
        ]
        assert bob.listening is not None
        assert carol.listening is not None
        async with alice.dial(f"sip:bob@127.0.0.1:{bob.listening[2]}", video=True) as outgoing:
            answered = asyncio.ensure_future(outgoing.answered(timeout=PATIENCE))
            theirs = await (await anext(bob.incoming())).answer()
            call = await answered
            events = theirs.events()
            moving = asyncio.ensure_future(
                call.transfer(f"sip:carol@127.0.0.1:{carol.listening[2]}")
            )
            async for event in events:
                if isinstance(event, TransferRequested):
                    break
            async with bob.accept_transfer(theirs) as followed:
                answered = asyncio.ensure_future(followed.answered(timeout=PATIENCE))
                third = await (await anext(carol.incoming())).answer()
                moved = await answered
                await moving
                assert moved.video is not None
                assert third.video is not None
                screen = Screen(3)
                third.video.record(screen)
                moved.video.play(PatternSource(rate=15))
                await screen.full.wait()
