"""The front of media workers; what it shares with the inline engine is in test_engine.py."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

from softphone.errors import ConfigurationError, LocalProtocolError, MediaError
from softphone.events import Direction
from softphone.media import (
    DigitDetected,
    MediaConfig,
    MediaFailed,
    PlaybackEnded,
    PortRange,
    StreamSpec,
)
from softphone.media.audio import PcmRing, ToneSource, tone_level
from softphone.media.worker import RemoteEngine
from softphone.media.worker import remote_engine as module
from softphone.security import CryptoSuite, KeyMaterial
from tests.support.waiting import patiently, stands_still, until
from tests.support.wire import Tone, srtp_key

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")

CM = CryptoSuite.AES_CM_128_HMAC_SHA1_80
AUDIBLE_DBM0 = -30.0
"""A tone with the gaps that a busy machine may make; silence is far below."""


def config(**fields):
    return MediaConfig(ports=PortRange(47000, 47999), capacity=64, placement="worker", **fields)


def specs(one, two, *, generation=0, seed=1, **fields):
    keys = srtp_key(CM, seed), srtp_key(CM, seed + 1)
    return [
        StreamSpec(
            (there.host, there.rtp_port),
            remote_rtcp=(there.host, there.rtcp_port),
            send_key=send,
            receive_key=receive,
            security_generation=generation,
            **fields,
        )
        for there, (send, receive) in ((two, keys), (one, keys[::-1]))
    ]


async def test_hold_rekey_mute_and_digits_work_and_playback_ends():
    events = []
    async with RemoteEngine(config(rtcp_interval=0.3)) as engine:
        one, two = (
            engine.allocate_stream(on_event=events.append),
            engine.allocate_stream(on_event=events.append),
        )
        for local, spec in zip((one, two), specs(one, two, telephone_event=101), strict=True):
            engine.open_stream(local.handle, spec)
        ring = PcmRing()
        engine.record(two.handle, ring)
        engine.play(one.handle, ToneSource(1000.0))
        await patiently(ring.read_exactly(3200))
        assert tone_level(await patiently(ring.read_exactly(2000)), 1000.0, 8000) > AUDIBLE_DBM0
        engine.set_direction(one.handle, Direction.INACTIVE)
        await stands_still(
            lambda: engine.statistics(one.handle).packets_sent,
            lambda: engine.statistics(two.handle).packets_sent,
            ticks=5,
        )
        engine.set_direction(one.handle, Direction.SENDRECV)
        fresh = specs(one, two, seed=8, generation=1)
        for local, spec in zip((one, two), fresh, strict=True):
            engine.rekey(
                local.handle,
                send_key=spec.send_key,
                receive_key=spec.receive_key,
                security_generation=1,
            )
        ring.flush()
        assert (await patiently(ring.read_exactly(3200))).any()
        assert ring._generation == 1
        engine.send_digits(one.handle, "5", duration_ms=60)
        await until(lambda: any(isinstance(event, DigitDetected) for event in events))
        engine.pause(one.handle, True)
        await until(lambda: not np.abs(ring.read(160)).max(initial=1) > 8)
        engine.pause(one.handle, False)
        await until(lambda: np.abs(ring.read(160)).max(initial=0) > 1000)
        engine.mute(one.handle, True)
        await until(lambda: not np.abs(ring.read(160)).max(initial=1) > 8)
        engine.play(one.handle, Tone(samples=480))
        await until(lambda: PlaybackEnded(one.handle) in events)
        await until(lambda: engine.statistics(one.handle).round_trip_time_ms is not None)
        await until(lambda: engine.lateness.total > 20)
        assert engine.processor_seconds >= 0.0
        assert sum(engine.statistics(one.handle).lateness) > 10


async def test_packets_are_counted_as_in_the_statistics():
    async with RemoteEngine(config()) as engine:
        one, two = engine.allocate_stream(), engine.allocate_stream()
        for here, spec in zip((one, two), specs(one, two), strict=True):
            engine.open_stream(here.handle, spec)
        await until(lambda: engine.packet_counts(one.handle).received > 3)
        counts, seen = engine.packet_counts(one.handle), engine.statistics(one.handle)
        assert 0 < counts.sent <= seen.packets_sent
        assert 0 < counts.received <= seen.packets_received
        engine._stream(one.handle).link.statistics = None
        assert engine.packet_counts(one.handle) == (0, 0, 0)


async def test_mistakes_are_told_at_once_and_nothing_is_sent():
    async with RemoteEngine(config()) as engine:
        one, two = engine.allocate_stream(), engine.allocate_stream()
        spec, _ = specs(one, two)
        short = StreamSpec(
            ("127.0.0.1", 9),
            send_key=type(spec.send_key)(CM, KeyMaterial(bytes(5))),
            receive_key=spec.receive_key,
        )
        with pytest.raises(ConfigurationError, match="takes 30 bytes"):
            engine.open_stream(one.handle, short)
        with pytest.raises(LocalProtocolError, match="opened"):
            engine.rekey(one.handle, send_key=None, receive_key=None, security_generation=1)
        engine.open_stream(one.handle, StreamSpec(("127.0.0.1", 9), telephone_event=101))
        with pytest.raises(ConfigurationError, match="not a digit"):
            engine.send_digits(one.handle, "x")
        with pytest.raises(ConfigurationError, match="both directions"):
            engine.rekey(
                one.handle, send_key=spec.send_key, receive_key=None, security_generation=1
            )
        with pytest.raises(ConfigurationError, match="numeric"):
            engine.set_remote(one.handle, ("example.test", 4000))
        with pytest.raises(ConfigurationError, match="sample rate"):
            engine.play(one.handle, type("Odd", (Tone,), {"clock_rate_hz": 1})())
        await until(lambda: engine.statistics(one.handle).packets_sent > 3)


async def test_memory_that_cannot_be_shared_is_an_error_and_what_was_goes_on(monkeypatch):
    async with RemoteEngine(config()) as engine:
        local = engine.allocate_stream()
        engine.open_stream(local.handle, StreamSpec(("127.0.0.1", 9)))
        engine.play(local.handle, Tone())

        def full(octets):
            raise OSError(24, "Too many open files")

        monkeypatch.setattr("softphone.media.audio.shared_ring.shared_memory", full)
        with pytest.raises(MediaError, match="Too many open files"):
            engine.play(local.handle, Tone())
        with pytest.raises(MediaError, match="Too many open files"):
            engine.record(local.handle, PcmRing())
        await until(lambda: engine.statistics(local.handle).packets_sent > 3)
        assert engine.statistics(local.handle).source_starved_frames == 0


async def test_several_workers_share_the_streams_and_the_ports():
    async with RemoteEngine(config(workers=2)) as engine:
        assert len(set(engine.workers)) == 2
        locals_ = [engine.allocate_stream() for _ in range(4)]
        assert {local.rtp_port < 47500 for local in locals_} == {True, False}
        assert len({local.handle for local in locals_}) == 4
        first = [local for local in locals_ if local.rtp_port < 47500]
        other = next(local for local in locals_ if local.rtp_port >= 47500)
        for local, spec in zip((first[0], other), specs(first[0], other), strict=True):
            engine.open_stream(local.handle, spec)
        await until(lambda: engine.statistics(other.handle).packets_received > 5)
        await until(lambda: engine.packets_received > 10)
        engine.close_stream(other.handle)
        assert len(engine) == 3
    too_few = MediaConfig(ports=PortRange(47000, 47003), placement="worker", workers=3)
    with pytest.raises(ConfigurationError, match="too few"):
        await RemoteEngine(too_few).__aenter__()


async def test_a_death_is_told_to_each_stream_its_numbers_stay_and_another_worker_comes(caplog):
    events = []
    async with RemoteEngine(config()) as engine:
        one, two = engine.allocate_stream(on_event=events.append), engine.allocate_stream()
        for local, spec in zip((one, two), specs(one, two), strict=True):
            engine.open_stream(local.handle, spec)
        await until(lambda: engine.statistics(one.handle).packets_received > 3)
        (pid,) = engine.workers
        os.kill(pid, signal.SIGKILL)
        await until(lambda: any(isinstance(event, MediaFailed) for event in events))
        (failed,) = [event for event in events if isinstance(event, MediaFailed)]
        assert failed.handle == one.handle
        assert f"process {pid}" in failed.reason
        assert engine.statistics(one.handle).packets_received > 3
        with pytest.raises(MediaError, match="not up again"):
            engine.allocate_stream()
        await until(lambda: engine.workers)
        fresh = engine.allocate_stream()
        assert fresh.handle not in (one.handle, two.handle)
        engine.close_stream(one.handle)
        engine.close_stream(two.handle)
        engine.open_stream(fresh.handle, StreamSpec(("127.0.0.1", 9)))
        await until(lambda: engine.statistics(fresh.handle).packets_sent > 3)
    assert "its calls end" in caplog.text


async def test_a_worker_that_keeps_dying_stays_down(monkeypatch, caplog):
    monkeypatch.setattr(module, "RESTARTS", 0)
    async with RemoteEngine(config()) as engine:
        os.kill(engine.workers[0], signal.SIGKILL)
        await until(lambda: "stays down" in caplog.text)
        with pytest.raises(MediaError, match="no call can be made"):
            engine.allocate_stream()
