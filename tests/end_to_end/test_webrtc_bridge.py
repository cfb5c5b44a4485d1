"""A SIP call under SRTP and a WebRTC peer of aiortc, bridged both ways, sound and picture."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    VideoStreamTrack,
)
from aiortc.contrib.media import MediaBlackhole, MediaPlayer, MediaRecorder
from aiortc.mediastreams import AudioStreamTrack

from softphone.errors import ConfigurationError
from softphone.media.audio import ToneSource, tone_level
from softphone.media.audio.sources import PcmRing
from softphone.media.video import PatternSource
from softphone.media.video.picture import draw_pattern, pattern_number, psnr
from softphone.phone import Phone
from softphone.security import SrtpPolicy
from tests.end_to_end.test_video_calls import Screen, account
from tests.support.waiting import PATIENCE

WIDTH, HEIGHT = 320, 240


class Tone(AudioStreamTrack):
    """880 Hz, 20 ms at a time, in real time."""

    async def recv(self) -> av.AudioFrame:
        frame = await super().recv()
        at = (np.arange(frame.samples) + frame.pts) / frame.sample_rate
        pcm = (8000 * np.sin(2 * np.pi * 880.0 * at)).astype(np.int16)
        made = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        made.sample_rate, made.pts, made.time_base = frame.sample_rate, frame.pts, frame.time_base
        return made


class Pattern(VideoStreamTrack):
    """The test pattern, in real time."""

    number = 0

    async def recv(self) -> av.VideoFrame:
        pts, base = await self.next_timestamp()
        frame = av.VideoFrame.from_ndarray(
            draw_pattern(self.number, WIDTH, HEIGHT), format="yuv420p"
        )
        self.number += 1
        frame.pts, frame.time_base = pts, base
        return frame


class Written(VideoStreamTrack):
    """Pictures of another track; says when the first is written: then the second is asked for."""

    def __init__(self, track: MediaStreamTrack) -> None:
        super().__init__()
        self._track, self._asked, self.first = track, 0, asyncio.Event()

    async def recv(self) -> av.VideoFrame:
        self._asked += 1
        if self._asked == 2:
            self.first.set()
        return await self._track.recv()


class Behind(AudioStreamTrack):
    """Sound of another track, none of it before an event."""

    def __init__(self, track: MediaStreamTrack, event: asyncio.Event) -> None:
        super().__init__()
        self._track, self._event = track, event

    async def recv(self) -> av.AudioFrame:
        await self._event.wait()
        return await self._track.recv()


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """ICE leaves loopback out, and tests do not leave it."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])


async def joined(one: RTCPeerConnection, other: RTCPeerConnection) -> None:
    await one.setLocalDescription(await one.createOffer())
    await other.setRemoteDescription(one.localDescription)
    await other.setLocalDescription(await other.createAnswer())
    await one.setRemoteDescription(other.localDescription)


def peer() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def dominant(track: MediaStreamTrack, hz: float) -> float:
    """How loud a tone is in what a track gives, in dBm0, once it is heard."""
    pcm = np.zeros(0, dtype=np.int16)
    resampler = av.AudioResampler("s16", "mono", 8000)
    level = -100.0
    while level < -30.0:
        for each in resampler.resample(await track.recv()):
            pcm = np.concatenate((pcm, each.to_ndarray()[0]))[-4000:]
        if pcm.size == 4000:
            level = tone_level(pcm, hz, 8000)
    return level


async def seen_in(track: MediaStreamTrack) -> float:
    """The PSNR of a pattern that a track gives, once it is seen."""
    while True:
        frame = await track.recv()
        if (frame.width, frame.height) == (WIDTH, HEIGHT):
            picture = frame.to_ndarray(format="yuv420p")
            return psnr(picture, draw_pattern(pattern_number(picture), WIDTH, HEIGHT))


async def test_a_call_under_srtp_and_a_webrtc_peer_hear_and_see_each_other(loopback: None) -> None:
    bridge, browser = peer(), peer()
    theirs: dict[str, MediaStreamTrack] = {}
    ours: dict[str, MediaStreamTrack] = {}
    browser.on("track", lambda track: theirs.__setitem__(track.kind, track))
    bridge.on("track", lambda track: ours.__setitem__(track.kind, track))
    screen, ring = Screen(5), PcmRing(8000)
    async with Phone() as phone, asyncio.timeout(50):
        alice = await phone.register(account("alice", 0, SrtpPolicy.REQUIRED, "VP8"))
        bob = await phone.register(account("bob", 0, SrtpPolicy.REQUIRED, "VP8"))
        assert bob.listening is not None
        async with alice.dial(f"sip:bob@127.0.0.1:{bob.listening[2]}", video=True) as outgoing:
            answered = asyncio.ensure_future(outgoing.answered(timeout=PATIENCE))
            far = await (await anext(bob.incoming())).answer()
            call = await answered
            assert call.video is not None
            assert far.video is not None
            assert all(stream.suite is not None for stream in call.security.media)
            bridge.addTrack(call.audio.track)
            bridge.addTrack(call.video.track)
            browser.addTrack(Tone())
            browser.addTrack(Pattern())
            await joined(bridge, browser)
            call.audio.play(ours["audio"])
            call.video.play(ours["video"])
            far.audio.play(ToneSource(440.0))
            far.audio.record(ring)
            far.video.play(PatternSource(width=WIDTH, height=HEIGHT, rate=15))
            far.video.record(screen)
            assert await dominant(theirs["audio"], 440.0) > -30.0
            assert await seen_in(theirs["video"]) > 25.0
            level = -100.0
            while level < -30.0:
                level = tone_level(await ring.read_exactly(4000), 880.0, 8000)
            await screen.full.wait()
            assert call.audio.track is call.audio.track
            tracks = call.audio.track, call.video.track
        await bridge.close()
        await browser.close()
        assert {track.readyState for track in tracks} == {"ended"}
    picture = screen.blocks[-1].picture
    assert picture is not None
    assert psnr(picture, draw_pattern(pattern_number(picture), WIDTH, HEIGHT)) > 25.0


def film(path: str) -> None:
    """Four seconds of pattern and 660 Hz."""
    with av.open(path, "w") as container:
        video = container.add_stream("libx264", rate=15)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(
                draw_pattern(number, WIDTH, HEIGHT), format="yuv420p"
            )
            frame.pts, frame.time_base = number, Fraction(1, 15)
            container.mux(video.encode(frame))
        tone = (8000 * np.sin(2 * np.pi * 660.0 * np.arange(192000) / 48000)).astype(np.int16)
        heard = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
        heard.sample_rate, heard.pts = 48000, 0
        container.mux(sound.encode(heard))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


async def test_a_media_player_is_sent_and_a_media_recorder_records(tmp_path) -> None:
    source, target = str(tmp_path / "in.mp4"), str(tmp_path / "out.mp4")
    film(source)
    async with Phone() as phone, asyncio.timeout(50):
        alice = await phone.register(account("alice", 0, SrtpPolicy.REQUIRED, "H264"))
        bob = await phone.register(account("bob", 0, SrtpPolicy.REQUIRED, "H264"))
        assert bob.listening is not None
        async with alice.dial(f"sip:bob@127.0.0.1:{bob.listening[2]}", video=True) as outgoing:
            answered = asyncio.ensure_future(outgoing.answered(timeout=PATIENCE))
            far = await (await anext(bob.incoming())).answer()
            call = await answered
            assert call.video is not None
            assert far.video is not None
            player, seen = MediaPlayer(source), far.video.track
            with pytest.raises(ConfigurationError, match="video cannot be sent as audio"):
                call.audio.play(player.video)
            call.audio.play(player.audio)
            call.video.play(player.video)
            screen = Screen(1)
            far.video.record(screen)
            await screen.full.wait()
            # MediaRecorder has to see a picture before any sound: it writes its header then.
            recorder, shown = MediaRecorder(target), Written(seen)
            recorder.addTrack(shown)
            recorder.addTrack(Behind(far.audio.track, shown.first))
            await recorder.start()
            await call.audio.played()
            await call.video.played()
            await recorder.stop()
            blackhole = MediaBlackhole()  # a second track follows a stopped one
            blackhole.addTrack(far.audio.track)
            await blackhole.start()
            await blackhole.stop()
    with av.open(target) as container:
        pictures = [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
    numbers = {pattern_number(picture) for picture in pictures}
    assert len(numbers) > 8
    assert all(psnr(p, draw_pattern(pattern_number(p), WIDTH, HEIGHT)) > 25.0 for p in pictures)
    with av.open(target) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert np.abs(sound).max() > 0.05
