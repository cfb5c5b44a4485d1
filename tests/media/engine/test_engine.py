"""The engine over real loopback sockets, in a real loop; and its clock, in a false one."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import sys

import numpy as np
import pytest

from softphone.errors import ConfigurationError, LocalProtocolError, NoPortFree
from softphone.events import Direction
from softphone.media import (
    DigitDetected,
    FirstPacketReceived,
    MediaConfig,
    MediaFailed,
    Placement,
    PlaybackEnded,
    PortRange,
    RtcpByeReceived,
    SocketSharing,
    StaleHandle,
    StreamSpec,
    make_engine,
)
from softphone.media.audio import PcmRing, ToneSource, tone_level
from softphone.media.engine import MediaEngine
from softphone.security import CryptoSuite
from tests.support.ports import free_ports
from tests.support.waiting import patiently, until
from tests.support.wire import Tone, srtp_key

CM = CryptoSuite.AES_CM_128_HMAC_SHA1_80
AUDIBLE_DBM0 = -30.0
"""A tone with the gaps that a busy machine may make; silence is far below."""


@pytest.fixture(
    params=[
        Placement.INLINE,
        pytest.param(
            Placement.WORKER,
            marks=pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux"),
        ),
    ]
)
def placement(request):
    """Both places where the media loop can run: what the port promises holds in either."""
    return request.param


def small(placement=Placement.INLINE, **fields):
    return MediaConfig(ports=PortRange(42000, 42999), capacity=64, placement=placement, **fields)


def connect(engine, one, two, *, suite=CM, **fields):
    """Open two streams toward each other."""
    keys = (None, None) if suite is None else (srtp_key(suite, 1), srtp_key(suite, 2))
    for here, there, (send, receive) in ((one, two, keys), (two, one, keys[::-1])):
        spec = StreamSpec(
            (there.host, there.rtp_port),
            remote_rtcp=(there.host, there.rtcp_port),
            send_key=send,
            receive_key=receive,
            **fields,
        )
        engine.open_stream(here.handle, spec)


@pytest.mark.parametrize("suite", [None, CryptoSuite.AEAD_AES_256_GCM, CM])
@pytest.mark.parametrize("mux", [False, True])
async def test_a_call_through_sockets(suite, mux, placement):
    events = []
    async with make_engine(small(placement)) as engine:
        one, two = engine.allocate_stream(), engine.allocate_stream(on_event=events.append)
        assert one.rtp_port % 2 == 0
        assert one.rtcp_port == one.rtp_port + 1
        spec = {"rtcp_mux": mux, "telephone_event": 101}
        if mux:
            one_ports = [local.rtp_port for local in (one, two)]
            keys = (None, None) if suite is None else (srtp_key(suite, 1), srtp_key(suite, 2))
            for here, to, (send, receive) in (
                (one, one_ports[1], keys),
                (two, one_ports[0], keys[::-1]),
            ):
                far = StreamSpec(("127.0.0.1", to), send_key=send, receive_key=receive, **spec)
                engine.open_stream(here.handle, far)
        else:
            connect(engine, one, two, suite=suite, **spec)
        ring = PcmRing()
        engine.play(one.handle, ToneSource(1000.0))
        engine.record(two.handle, ring)
        engine.send_digits(one.handle, "7", duration_ms=60)
        await until(lambda: any(isinstance(event, DigitDetected) for event in events))
        await patiently(ring.read_exactly(4400))
        assert tone_level(await patiently(ring.read_exactly(2000)), 1000.0, 8000) > AUDIBLE_DBM0
        engine.close_stream(one.handle)
        await until(lambda: any(isinstance(event, RtcpByeReceived) for event in events))
        assert isinstance(events[0], FirstPacketReceived)
        assert events[0].authenticated is (suite is not None)
        assert engine.statistics(two.handle).packets_received > 10
        assert engine.lateness.total > 20
        assert sum(engine.statistics(two.handle).lateness) > 10


@pytest.mark.parametrize("opened", [True, False])
async def test_a_stream_moves_to_ports_at_another_address_and_goes_on(opened, placement):
    async with make_engine(small(placement)) as engine:
        one, two = engine.allocate_stream(), engine.allocate_stream()
        if opened:
            connect(engine, one, two, dscp=46)
        moved = engine.rebind_stream(one.handle, "127.0.0.2")
        assert (moved.handle, moved.host, moved.ssrc) == (one.handle, "127.0.0.2", one.ssrc)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", one.rtp_port))  # the old port is free
        connect(engine, moved, two, dscp=46)
        rings = PcmRing(), PcmRing()
        for stream, ring, tone in zip((moved, two), rings, (500.0, 1000.0), strict=True):
            engine.play(stream.handle, ToneSource(tone))
            engine.record(stream.handle, ring)
        for ring, tone in zip(rings, (1000.0, 500.0), strict=True):
            await patiently(ring.read_exactly(4000))
            assert tone_level(await patiently(ring.read_exactly(2000)), tone, 8000) > AUDIBLE_DBM0
        assert engine.statistics(two.handle).packets_received > 10


async def test_a_stream_that_cannot_move_stays(placement):
    config = MediaConfig(ports=free_ports(1), capacity=64, placement=placement)
    async with make_engine(config) as engine:
        one = engine.allocate_stream()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.2", one.rtp_port))
            with pytest.raises(NoPortFree):
                engine.rebind_stream(one.handle, "127.0.0.2")
        with pytest.raises(NoPortFree):
            engine.rebind_stream(one.handle, "192.0.2.1")
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
            pytest.raises(OSError, match="in use"),
        ):
            probe.bind(("127.0.0.1", one.rtp_port))


async def test_shared_sockets_carry_many_streams_of_different_far_ends(placement):
    config = small(placement, sharing=SocketSharing.SHARED)
    async with make_engine(config) as left, make_engine(small(placement)) as right:
        events = []
        pairs = [
            (left.allocate_stream(on_event=events.append), right.allocate_stream())
            for _ in range(6)
        ]
        assert len({near.rtp_port for near, _ in pairs}) == 1
        for near, far in pairs:
            left.open_stream(near.handle, StreamSpec((far.host, far.rtp_port)))
            right.open_stream(far.handle, StreamSpec((near.host, near.rtp_port)))
        await until(
            lambda: all(left.statistics(near.handle).packets_received > 5 for near, _ in pairs)
        )
        assert left.unclaimed == 0
        same = StreamSpec((pairs[1][1].host, pairs[1][1].rtp_port))
        if placement is Placement.INLINE:
            with pytest.raises(ConfigurationError, match="same far end"):
                left.open_stream(pairs[0][0].handle, same)
            return
        # What only the worker can find is told by an event: nobody waits for a command's outcome.
        left.open_stream(pairs[0][0].handle, same)
        await until(lambda: any(isinstance(event, MediaFailed) for event in events))
        failed = next(event for event in events if isinstance(event, MediaFailed))
        assert failed.handle == pairs[0][0].handle
        assert "same far end" in failed.reason


async def test_streams_that_share_a_source_read_it_once_a_frame(placement):
    async with make_engine(small(placement)) as engine:
        locals_ = [engine.allocate_stream() for _ in range(4)]
        tone = Tone()
        for local in locals_:
            engine.open_stream(local.handle, StreamSpec(("127.0.0.1", 9)))
            engine.play(local.handle, tone)
        await until(lambda: engine.statistics(locals_[0].handle).packets_sent >= 10)
        sent = max(engine.statistics(local.handle).packets_sent for local in locals_)
        assert tone.reads <= sent


async def test_commands_check_the_handle_and_the_state(placement):
    async with make_engine(small(placement)) as engine:
        local = engine.allocate_stream()
        with pytest.raises(LocalProtocolError, match="opened"):
            engine.set_direction(local.handle, Direction.INACTIVE)
        with pytest.raises(ConfigurationError, match="numeric"):
            engine.open_stream(local.handle, StreamSpec(("example.test", 4000)))
        with pytest.raises(ConfigurationError, match="codec"):
            engine.open_stream(local.handle, StreamSpec(("127.0.0.1", 4000), codec="G729"))
        engine.open_stream(local.handle, StreamSpec(("127.0.0.1", 4000)))
        with pytest.raises(LocalProtocolError, match="telephone-event"):
            engine.send_digits(local.handle, "1")
        engine.close_stream(local.handle)
        for command in (engine.close_stream, engine.statistics):
            with pytest.raises(StaleHandle):
                command(local.handle)
        again = engine.allocate_stream()
        assert again.handle != local.handle
        if placement is Placement.INLINE:
            assert again.handle.row == local.handle.row
        with pytest.raises(StaleHandle):
            engine.mute(local.handle, True)


async def test_allocation_needs_the_engine_entered_and_ends_with_the_ports(placement):
    with pytest.raises(LocalProtocolError, match="entered"):
        make_engine(small(placement)).allocate_stream()
    ports = free_ports(2)
    config = MediaConfig(ports=ports, capacity=64, placement=placement)
    async with make_engine(config) as engine:
        engine.allocate_stream()
        last = engine.allocate_stream()
        with pytest.raises(NoPortFree, match=f"{ports.first}-{ports.last}"):
            engine.allocate_stream()
        with pytest.raises(NoPortFree, match="bound"):
            engine.allocate_stream(host="192.0.2.1")
        assert len(engine) == 2
        engine.close_stream(last.handle)
        engine.allocate_stream()


async def test_what_came_before_the_stream_was_opened_is_not_heard(placement):
    async with make_engine(small(placement)) as engine:
        local = engine.allocate_stream()
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
            sender.sendto(b"\x80\x00" + bytes(170), (local.host, local.rtp_port))
        engine.open_stream(local.handle, StreamSpec(("127.0.0.1", 9)))
        await until(lambda: engine.statistics(local.handle).packets_sent >= 3)
        seen = engine.statistics(local.handle)
        assert seen.packets_received == seen.wrong_source == 0


async def test_ipv6_streams_carry_media_and_rtcp(placement):
    async with make_engine(small(placement)) as engine:
        try:
            one, two = (engine.allocate_stream(host="::1") for _ in range(2))
        except NoPortFree:
            pytest.skip("no IPv6 loopback here")
        connect(engine, one, two)
        await until(lambda: engine.statistics(two.handle).packets_received > 5)
        assert engine.statistics(two.handle).wrong_source == 0


def test_it_runs_under_uvloop_too(placement):
    uvloop = pytest.importorskip("uvloop")

    async def call():
        async with make_engine(small(placement)) as engine:
            one, two = engine.allocate_stream(), engine.allocate_stream()
            connect(engine, one, two)
            await until(lambda: engine.statistics(two.handle).packets_received > 10)
            seen = engine.statistics(two.handle)
            return seen.authentication_failures, seen.cumulative_lost

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(call()) == (0, 0)


async def test_more_streams_than_share_a_phase_run_in_several_and_all_hear(placement):
    config = MediaConfig(ports=PortRange(44000, 44999), capacity=1024, placement=placement)
    async with make_engine(config) as engine:
        pairs = [(engine.allocate_stream(), engine.allocate_stream()) for _ in range(40)]
        for one, two in pairs:
            connect(engine, one, two)
        await until(
            lambda: all(
                engine.statistics(local.handle).packets_received > 5
                for pair in pairs
                for local in pair
            )
        )
        assert engine.packets_received > 80 * 5
        for pair in pairs:
            for local in pair:
                engine.close_stream(local.handle)
        assert engine.packets_received == 0


async def test_an_application_may_close_a_stream_from_inside_its_own_sink(placement):
    async with make_engine(small(placement)) as engine:
        one, two = engine.allocate_stream(), engine.allocate_stream()
        connect(engine, one, two)

        class Impatient(PcmRing):
            def write(self, block):
                engine.close_stream(two.handle)

        engine.record(two.handle, Impatient())
        await until(lambda: len(engine) == 1)
        before = engine.statistics(one.handle).packets_sent
        await until(lambda: engine.statistics(one.handle).packets_sent > before + 3)


async def test_nothing_is_left_behind(placement):
    async with make_engine(small(placement)) as engine:
        one, two = engine.allocate_stream(), engine.allocate_stream()
        connect(engine, one, two)
        await until(lambda: engine.statistics(two.handle).packets_received > 2)
    assert len(engine) == 0
    free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    free.bind((one.host, one.rtp_port))
    free.close()
    assert len(asyncio.all_tasks()) == 1


async def test_a_listener_that_fails_stops_nobody(caplog, placement):
    def fail(event):
        raise RuntimeError("the application's own")

    async with make_engine(small(placement)) as engine:
        one, two = engine.allocate_stream(on_event=fail), engine.allocate_stream()
        connect(engine, one, two)
        engine.play(one.handle, Tone(samples=320))
        await until(lambda: engine.statistics(two.handle).packets_received > 8)
    assert "listener" in caplog.text


async def test_a_source_that_fails_is_silence(caplog, placement):
    class Broken(Tone):
        def read(self, samples):
            raise RuntimeError("the application's own")

    async with make_engine(small(placement)) as engine:
        one, two = engine.allocate_stream(), engine.allocate_stream()
        connect(engine, one, two)
        engine.play(one.handle, Broken())
        await until(lambda: engine.statistics(two.handle).packets_received > 5)
    assert "source failed" in caplog.text


async def test_the_tap_sees_both_directions_as_on_the_wire():
    seen = []

    class Tap:
        def datagram(self, data, *, local, remote, outgoing, now):
            seen.append((data, local[1], remote[1], outgoing))

    async with MediaEngine(small(), tap=Tap()) as engine:
        one, two = engine.allocate_stream(), engine.allocate_stream()
        connect(engine, one, two)
        await until(lambda: engine.statistics(two.handle).packets_received > 3)
    out = {data for data, local, remote, outgoing in seen if outgoing and local == one.rtp_port}
    into = {data for data, local, _, outgoing in seen if not outgoing and local == two.rtp_port}
    assert into
    assert into <= out
    assert all(len(data) == 12 + 160 + 10 for data in into)


# The clock ----------------------------------------------------------------------------------------


class FalseLoop:
    """A loop of which only `call_later` is used; time moves when `advance` says so."""

    def __init__(self):
        self.now, self.calls = 50.0, []
        self.processor = (0.0, 0.0)

    def call_later(self, delay, callback, *arguments):
        entry = [self.now + delay, callback, arguments]
        self.calls.append(entry)
        return type("Timer", (), {"cancel": lambda self: self.entry.clear(), "entry": entry})()

    def advance(self, to):
        """Run what is due, each at its time."""
        while True:
            due = sorted((c for c in self.calls if c and c[0] <= to), key=lambda c: c[0])
            if not due:
                break
            self.calls.remove(due[0])
            self.now = max(self.now, due[0][0])
            due[0][1](*due[0][2])
        self.now = max(self.now, to)


@pytest.fixture
async def clocked(monkeypatch):
    loop = FalseLoop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    engine = MediaEngine(
        small(),
        clock=lambda: loop.now,
        wall=lambda: 1e9 + loop.now,
        entropy=random.Random(5).randbytes,
        processor=lambda: loop.processor,
    )
    async with engine:
        local = engine.allocate_stream()
        engine.open_stream(local.handle, StreamSpec(("127.0.0.1", 9)))
        yield loop, engine, local.handle


async def test_a_frame_runs_at_each_absolute_deadline(clocked):
    loop, engine, handle = clocked
    loop.advance(51.0)
    assert engine.statistics(handle).packets_sent == 51
    assert engine.lateness.maximum_ms < 0.001


class SlowTone(Tone):
    """A source whose reading takes two milliseconds of the loop's time."""

    def __init__(self, loop):
        super().__init__(440.0)
        self.loop = loop

    def read(self, samples):
        self.loop.now += 0.002
        return super().read(samples)


async def test_the_bank_is_told_how_long_the_packets_of_a_tick_took(clocked, monkeypatch):
    loop, engine, handle = clocked
    told = []
    monkeypatch.setattr(engine.bank, "note_sending", lambda *ticks: told.append(ticks))
    loop.advance(51.0)
    assert set(told) == {(1, 0.0)}
    engine.play(handle, SlowTone(loop))
    loop.advance(52.0)
    assert max(told) == (1, pytest.approx(0.002))


async def test_a_stall_of_200_ms_is_made_up_and_nothing_is_skipped_or_doubled(clocked):
    loop, engine, handle = clocked
    loop.advance(50.5)
    loop.now = 50.695
    loop.advance(51.0)
    assert engine.statistics(handle).packets_sent == 51
    assert engine.jumps == 0
    assert engine.frames_late == 8
    assert 170.0 < engine.lateness.maximum_ms < 200.0


async def test_a_longer_stall_lets_media_time_jump_and_the_jump_is_counted(clocked, caplog):
    loop, engine, handle = clocked
    loop.advance(50.5)
    loop.now = 51.51
    loop.advance(52.0)
    sent = engine.statistics(handle).packets_sent
    assert engine.jumps == 49
    assert sent + engine.jumps == 101
    assert (engine.packets_skipped, engine.lateness.total) == (49, 101)
    # The first of those that were due was 990 ms late, the last that was sent some 10 ms.
    assert engine.lateness.maximum_ms == pytest.approx(990.0, abs=20.0)
    assert 49 <= round(101 * engine.lateness.share_above(20.0)) <= 51
    assert "late" in caplog.text


@pytest.mark.parametrize(
    ("used", "why"),
    [
        ((0.01, 0.01), "this process had the processor for 10 ms meanwhile: this machine was busy"),
        ((0.09, 0.08), "the event loop itself computed for 80 ms meanwhile; move that work, or "),
        ((0.09, 0.02), "other threads of this process computed for 70 ms meanwhile; move that "),
    ],
)
async def test_why_media_is_late_is_said_by_what_the_processor_did_meanwhile(
    clocked, caplog, used, why
):
    loop, _, _ = clocked
    loop.processor = (7.0, 5.0)
    loop.advance(50.5)
    loop.now = 50.62
    process, thread = used
    loop.processor = (7.0 + process, 5.0 + thread)
    loop.advance(50.7)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"media was 100 ms late: {why}")


async def test_in_a_worker_the_advice_is_for_its_process(clocked, caplog):
    loop, engine, _ = clocked
    engine.late_advice = "give it a core"
    loop.advance(50.5)
    loop.now = 50.62
    loop.advance(50.7)
    assert caplog.messages[0].endswith("or the event loop waited for something; give it a core")


async def test_engines_of_one_loop_say_together_that_media_is_late(clocked, caplog):
    loop, _, _ = clocked
    clock = {"clock": lambda: loop.now, "wall": lambda: 1e9 + loop.now}
    async with MediaEngine(small(), entropy=random.Random(6).randbytes, **clock) as other:
        other.open_stream(other.allocate_stream().handle, StreamSpec(("127.0.0.1", 9)))
        for second in range(51, 61):
            loop.advance(second)
            loop.now = second + 0.1
        assert caplog.text.count("media was") == 1
        loop.advance(112.0)
        loop.now = 112.2
        loop.advance(113.0)
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("media was 80 ms late: ")
    assert re.match(r"media was up to 1\d\d ms late, \d\d times in 61 s: ", second)


async def test_an_engine_without_streams_sets_no_timer(clocked):
    loop, engine, handle = clocked
    engine.close_stream(handle)
    loop.advance(50.1)
    assert [entry for entry in loop.calls if entry] == []


async def test_playback_that_ended_is_told_in_the_loop(clocked):
    loop, engine, handle = clocked
    engine.close_stream(handle)
    events = []
    local = engine.allocate_stream(on_event=events.append)
    engine.open_stream(local.handle, StreamSpec(("127.0.0.1", 9)))
    engine.play(local.handle, Tone(samples=480))
    assert events == []
    loop.advance(51.0)
    assert events == [PlaybackEnded(local.handle)]
    assert np.all(np.array(engine.statistics(local.handle).lateness[1:]) == 0)
