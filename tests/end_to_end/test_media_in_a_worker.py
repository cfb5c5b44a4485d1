"""A whole secure call with the media loop in the phone's process, and in one of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from softphone.config import load_account
from softphone.errors import SoftphoneError
from softphone.events import DigitReceived, Direction
from softphone.media import MediaConfig, Placement
from softphone.media.audio import PcmRing, ToneSource, tone_level
from softphone.media.audio.sources import WavSink, WavSource
from softphone.media.worker import RemoteEngine
from softphone.phone import Phone
from softphone.security import SecurityLevel
from tests.support.waiting import PATIENCE, patiently, until

AUDIBLE_DBM0 = -30.0
"""A tone with the gaps that a busy machine may make; silence is far below."""

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")


async def answer_one(account):
    async for incoming in account.incoming():
        return await incoming.answer()
    raise AssertionError("nobody called")


async def connect(phone, lab):
    alice, bob = [
        account
        if (account := next((a for a in phone.accounts if a.config.aor == config.aor), None))
        else await phone.register(config)
        for config in (load_account(lab.accounts[name]).config for name in ("alice", "bob"))
    ]
    answering = asyncio.create_task(answer_one(bob))
    call = await alice.dial("bob").answered(timeout=PATIENCE)
    return call, await patiently(answering)


async def heard(call, frequency, *, path=None):
    ring = PcmRing(8000, seconds=1.0)
    call.audio.record(ring)
    await patiently(ring.read_exactly(4000))
    level = tone_level(await patiently(ring.read_exactly(2400)), frequency, 8000)
    call.audio.record(None)
    return level


@pytest.mark.parametrize(
    "placement", [Placement.INLINE, pytest.param(Placement.WORKER, marks=needs_linux)]
)
async def test_a_secure_call_is_the_same_wherever_its_media_runs(lab, placement, tmp_path):
    async with Phone(media=MediaConfig(placement=placement)) as phone:
        call, other = await connect(phone, lab)
        assert call.security.level is SecurityLevel.ENCRYPTED
        call.audio.play(ToneSource(440.0))
        other.audio.play(ToneSource(1000.0))
        assert await heard(other, 440.0) > AUDIBLE_DBM0
        assert await heard(call, 1000.0) > AUDIBLE_DBM0
        call.audio.mute()
        async with asyncio.timeout(PATIENCE):  # what was on its way is heard before
            while await heard(other, 440.0) > AUDIBLE_DBM0:
                pass
        call.audio.mute(False)
        await call.hold()
        assert call.audio.direction is not Direction.SENDRECV
        await call.resume()
        assert await heard(other, 440.0) > AUDIBLE_DBM0
        await call.send_digits("7#")
        digits = []
        async with asyncio.timeout(PATIENCE):
            async for event in other.events():
                if isinstance(event, DigitReceived):
                    digits.append(event.digit)
                if len(digits) == 2:
                    break
        assert digits == ["7", "#"]
        recorded = tmp_path / "heard.wav"
        sink = WavSink(recorded)
        other.audio.record(sink)
        enough = other.audio.statistics.packets_received + 30
        await until(lambda: other.audio.statistics.packets_received >= enough)
        other.audio.record(None)
        sink.close()
        call.audio.play(WavSource(recorded))
        await patiently(call.audio.played())
        await until(lambda: call.audio.statistics.packets_received > 50)
        seen = call.audio.statistics
        assert seen.cumulative_lost == 0
        assert sum(seen.lateness) > 50
        assert seen.authentication_failures == 0
        call.hangup()
        await patiently(other.ended())
        assert call.audio is None or call.audio.statistics.packets_sent > 50


@needs_linux
async def test_a_worker_that_is_killed_ends_its_calls_with_the_cause_and_new_ones_work(lab):
    async with Phone(media=MediaConfig(placement="worker")) as phone:
        call, other = await connect(phone, lab)
        engine = next(iter(phone._engines.values()))
        assert isinstance(engine, RemoteEngine)
        (worker,) = engine.workers
        os.kill(worker, signal.SIGKILL)
        ended = await patiently(call.ended())
        await patiently(other.ended())
        assert "worker" in ended.reason
        assert str(worker) in ended.reason
        with pytest.raises(SoftphoneError, match="not up again"):
            engine.allocate_stream()
        await until(lambda: engine.workers)
        again, other = await connect(phone, lab)
        again.audio.play(ToneSource(440.0))
        assert await heard(other, 440.0) > AUDIBLE_DBM0
        (worker,) = engine.workers
    await until(lambda: not os.path.exists(f"/proc/{worker}"))
