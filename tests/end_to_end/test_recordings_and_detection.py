"""Both sides recorded, digits by every way, and what is heard is detected, in both placements."""

from __future__ import annotations

import asyncio
import stat
import sys
import wave
from contextlib import suppress
from unittest.mock import Mock

import numpy as np
import pytest

from softphone.cli.call.call_options import prepare_call
from softphone.cli.call.options import AnswerOptions
from softphone.errors import ConfigurationError
from softphone.events import DigitReceived, ToneDetected
from softphone.media import MediaConfig, Placement
from softphone.media.audio import ToneSource, tone_level
from softphone.media.audio.tones import BUSY
from softphone.phone import Phone
from softphone.security import SecurityPolicy, SecurityShortfall
from tests.support.calling import account_of, connect
from tests.support.waiting import PATIENCE, until

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")
PLACEMENTS = [Placement.INLINE, pytest.param(Placement.WORKER, marks=needs_linux)]


async def told(call, kind):
    """The first event of a kind."""
    async with asyncio.timeout(PATIENCE):
        async for event in call.events():
            if isinstance(event, kind):
                return event
    raise AssertionError("the call ended")


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_both_sides_are_recorded_at_their_time(lab, placement, tmp_path):
    path = tmp_path / "call.wav"
    async with Phone(media=MediaConfig(placement=placement)) as phone:
        alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
        call, other = await connect(alice, bob, "bob")
        recording = call.audio.record_both(path)
        call.audio.play(ToneSource(440.0))
        other.audio.play(ToneSource(1000.0))
        async with asyncio.timeout(PATIENCE):
            while recording.seconds < 1.5:  # noqa: ASYNC110 (the file grows on its own)
                await asyncio.sleep(0.02)
        call.hangup()
        await other.ended()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with wave.open(str(path)) as read:
        frames = np.frombuffer(read.readframes(read.getnframes()), dtype="<i2").reshape(-1, 2)
        rate = read.getframerate()
    left, right = np.ascontiguousarray(frames[rate // 2 : rate * 3 // 2].T)
    assert tone_level(left, 440.0, rate) > -30.0
    assert tone_level(left, 1000.0, rate) < -40.0
    assert tone_level(right, 1000.0, rate) > -30.0
    assert tone_level(right, 440.0, rate) < -40.0


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_digits_as_tones_and_a_busy_tone_are_heard(lab, placement):
    async with Phone(media=MediaConfig(placement=placement)) as phone:
        alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
        call, other = await connect(alice, bob, "bob")
        other.audio.detect(digits=True)
        call.audio.detect(tones=True)
        other.audio.play(ToneSource(BUSY))
        heard = []

        async def listen():
            async for event in other.events():
                match event:
                    case DigitReceived():
                        heard.append((event.digit, event.via))

        listening = asyncio.ensure_future(listen())
        async with asyncio.timeout(PATIENCE):
            for pressed in (("1", "inband"), ("2", "inband"), ("#", "inband")):
                while pressed not in heard:
                    # On a busy machine a tone may have a gap: then the key is pressed once more.
                    await call.send_digits(pressed[0], method="inband")
                    with suppress(TimeoutError):
                        await until(lambda pressed=pressed: pressed in heard, within=1.0)
        listening.cancel()
        assert list(dict.fromkeys(heard)) == [("1", "inband"), ("2", "inband"), ("#", "inband")]
        busy = await told(call, ToneDetected)
        assert busy.tone == "busy"


async def test_an_encrypted_call_is_not_recorded_where_the_policy_forbids_it(lab, tmp_path):
    async with Phone(policy=SecurityPolicy(record_secure=False)) as phone:
        alice, bob = [await account_of(lab, phone, name) for name in ("alice", "bob")]
        call, _ = await connect(alice, bob, "bob")
        with pytest.raises(SecurityShortfall, match="does not let such calls be recorded"):
            call.audio.record_both(tmp_path / "call.wav")
        assert not list(tmp_path.glob("call*"))


async def test_a_device_that_cannot_be_used_is_said_and_leaves_no_file(lab, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    both = tmp_path / "both.wav"
    with pytest.raises(ConfigurationError, match="sounddevice"):
        await prepare_call(
            Mock(),
            AnswerOptions(account=lab.accounts["alice"], record_both=both, device="default"),
        )
    assert not list(tmp_path.glob("both*"))
