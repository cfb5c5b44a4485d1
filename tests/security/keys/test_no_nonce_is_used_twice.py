"""No (key, SSRC, index) goes out twice, whatever a call does with its keys (RFC 3711 9.1).

Two packets under one nonce give away the XOR of their contents, and under GCM the authentication
key (RFC 7714 section 15).  Forks, holds and transfers bring keys back: lives of that kind are made
up at random here, and every packet is looked at as an eavesdropper with the keys sees it.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.call.leg import MediaProposal, MediaSetup, Negotiation
from softphone.events import Direction
from softphone.media import MediaConfig, MediaEngine, PortRange, StreamSpec
from softphone.media.bank import StreamBank
from softphone.media.tick import make_bye
from softphone.media.tick.stream_commands import set_direction, set_keys
from softphone.media.video import VideoPacketPath, VideoSpec
from softphone.media.worker import RemoteEngine
from softphone.rtp import EncodedFrame
from softphone.sdp import SessionDescription, read_crypto
from softphone.security import CryptoSuite, SecurityPolicy
from softphone.sip import Body
from softphone.srtp import FIRST_SEQUENCE_LIMIT, SrtpBackend, make_crypto_answer
from tests.support.media_port import RecordingPort
from tests.support.nonces import NonceRecorder
from tests.support.wire import WALL, Station, srtp_key

GCM, CM = CryptoSuite.AEAD_AES_128_GCM, CryptoSuite.AES_CM_128_HMAC_SHA1_80
FAR = ("10.0.0.2", 5000)
KEYS = [srtp_key(GCM, 1), srtp_key(CM, 2), srtp_key(GCM, 3)]
THEIRS = [srtp_key(GCM, 11), srtp_key(CM, 12), srtp_key(GCM, 13)]

ENTROPIES = st.sampled_from(["random", "zeros", "ones"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("key"), st.integers(0, len(KEYS) - 1)),
        st.tuples(st.just("open"), st.integers(0, len(KEYS) - 1)),
        st.tuples(st.just("clear"), st.just(0)),
        st.tuples(st.just("send"), st.integers(1, 4)),
        st.tuples(st.just("advance"), st.integers(1, 32_000)),
        st.tuples(st.just("collide"), st.just(0)),
        st.tuples(st.just("hold"), st.booleans()),
    ),
    min_size=3,
    max_size=25,
)
FORKS = [("key", 0), ("send", 2), ("key", 1), ("send", 2), ("key", 0), ("send", 3)]
WRAPS = [("key", 0), *[("advance", 30_000), ("send", 2)] * 3, ("key", 1), ("send", 1), ("key", 0)]
CLEAR = [("key", 0), ("send", 2), ("clear", 0), ("send", 2), ("key", 0), ("send", 3)]
SEEDS = range(7, 10)
"""Of the lives that an engine with sockets lives, and a worker process."""


def entropy_of(kind: str):
    if kind == "random":
        return random.Random(7).randbytes
    octet = b"\0" if kind == "zeros" else b"\xff"
    return lambda count: octet * count


class AudioLife:
    """One audio stream whose packets are recorded; RTCP is due all the time."""

    def __init__(self, entropy: str) -> None:
        self.station = Station("10.0.0.1", seed=1)
        self.station.bank = StreamBank(1, entropy=entropy_of(entropy), rtcp_interval=0.04)
        self.station.handle = self.station.add(5000)
        self.recorder = NonceRecorder(KEYS)
        self.frame = 0
        self.station.open(StreamSpec(FAR, send_key=KEYS[0], receive_key=THEIRS[0]))
        # So that a report is due in every frame or two, from the first on.
        session = self.station.bank.find_stream(self.station.handle).rtcp
        session._bandwidth, session._next, session._previous = 1e9, 0.0, -1.0
        self.station.bank.reports.set(self.station.row, 0.0)

    def step(self, name: str, value: int) -> None:
        bank, handle, row = self.station.bank, self.station.handle, self.station.row
        match name:
            case "key":
                set_keys(bank, handle, KEYS[value], THEIRS[value], 0)
            case "open":
                self.station.open(StreamSpec(FAR, send_key=KEYS[value], receive_key=THEIRS[value]))
            case "clear":
                set_keys(bank, handle, None, None, 0)
            case "send":
                self.run(value)
            case "advance":
                bank.sender.sequence[row] = (int(bank.sender.sequence[row]) + value) & 0xFFFF
                self.run(1)
            case "collide":
                bank.change_ssrc(row)
            case "hold":
                direction = Direction.INACTIVE if value else Direction.SENDRECV
                set_direction(bank, handle, direction, now=self.frame * 0.02)

    def run(self, frames: int) -> None:
        for _ in range(frames):
            for datagram in self.station.tick(self.frame):
                self.recorder.record_packet(datagram.data, control=not datagram.is_rtp)
            self.frame += 1

    def end(self) -> None:
        bank, now = self.station.bank, self.frame * 0.02
        stream = bank.find_stream(self.station.handle)
        bye = make_bye(bank, stream, self.frame * 20, now=now, wall=WALL)
        if bye is not None:
            self.recorder.record_packet(bye, control=True)


class VideoLife:
    """The same of a video stream; a far end that misses packets asks for them again."""

    def __init__(self, entropy: str) -> None:
        self.now = 100.0
        self.path = VideoPacketPath(ssrc=1, entropy=entropy_of(entropy), now=self.now)
        self.recorder = NonceRecorder(KEYS)
        self.apply(0)

    def apply(self, number: int | None, direction: Direction = Direction.SENDRECV) -> None:
        send = None if number is None else KEYS[number]
        receive = None if number is None else THEIRS[number]
        spec = VideoSpec(
            FAR, "VP8", 96, direction=direction, send_key=send, receive_key=receive,
            feedback=("nack", "nack pli"),
        )  # fmt: skip
        self.path.apply_spec(spec, now=self.now)

    def step(self, name: str, value: int) -> None:
        match name:
            case "key" | "open":
                self.apply(value)
            case "clear":
                self.apply(None)
            case "send":
                self.run(value)
            case "advance":
                self.path._sequence = (self.path._sequence + value) & 0xFFFF
                self.run(1)
            case "hold" if self.path.spec is not None:
                direction = Direction.INACTIVE if value else Direction.SENDRECV
                changed = replace(self.path.spec, direction=direction)
                self.path.apply_spec(changed, now=self.now)

    def run(self, frames: int) -> None:
        for _ in range(frames):
            frame = EncodedFrame(b"\x10" + bytes(1500), True)
            self.path.send_frame(frame, captured=self.now, now=self.now)
            self.now += 1.5
            self.path.handle_timer(now=self.now, wall=WALL)
            for packet in self.path._cache.packets_for_nack((self.path._sequence,), now=self.now):
                self.path._pacer.queue_packet(packet)
            self.collect()

    def collect(self) -> None:
        # All but the newest packet leave; that one waits through whatever comes next.
        for packet in self.path.take_packets(now=self.now)[:-1]:
            self.recorder.record_packet(packet, control=False)
        for packet in self.path.take_rtcp():
            self.recorder.record_packet(packet, control=True)

    def end(self) -> None:
        self.path.farewell(now=self.now, wall=WALL)
        self.collect()


def live(life: AudioLife | VideoLife, steps: list[tuple[str, int]]) -> NonceRecorder:
    life.step("send", 2)
    for name, value in steps:
        life.step(name, value)
    life.step("send", 2)
    life.end()
    recorder = life.recorder
    assert recorder.packets or recorder.clear
    assert all(first < FIRST_SEQUENCE_LIMIT + 32_000 for first in recorder.first.values())
    return recorder


@pytest.mark.parametrize("backend", list(SrtpBackend))
@pytest.mark.parametrize("kind", [AudioLife, VideoLife])
@pytest.mark.parametrize("steps", [FORKS, WRAPS, CLEAR], ids=["forks", "wraps", "clear"])
def test_a_key_that_comes_back_has_another_ssrc_and_begins_low(monkeypatch, backend, kind, steps):
    monkeypatch.setattr("softphone.srtp.context.default_backend", lambda: backend)
    recorder = live(kind("random"), steps)
    ssrcs = [ssrc for key, ssrc in recorder.first if key == 0]
    assert len(ssrcs) == 2
    assert len(set(recorder.first)) == len({ssrc for _, ssrc in recorder.first})
    assert all(first < FIRST_SEQUENCE_LIMIT for first in recorder.first.values())
    reports = {name[2] for name in recorder.used if name[:2] == ("rtcp", 0)}
    assert reports == set(ssrcs)


@pytest.mark.parametrize("kind", [AudioLife, VideoLife])
@settings(max_examples=150, deadline=None)
@given(steps=STEPS, entropy=ENTROPIES)
def test_no_life_of_a_stream_uses_a_nonce_twice(kind, steps, entropy):
    live(kind(entropy), steps)


# The call: forks ---------------------------------------------------------------------------------


def answer_of(crypto, port: int) -> bytes:
    """An answer to our offer with this crypto line."""
    return (
        "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
        f"m=audio {port} RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\na=crypto:{crypto.to_wire()}\r\n"
    ).encode()


def test_forks_that_choose_tags_in_turn_share_no_nonce():
    """Fork 1 says 183 with tag 1, fork 2 with tag 2, fork 1 says 200 with tag 1."""
    entropy, port = random.Random(3).randbytes, RecordingPort()
    negotiation = Negotiation(MediaSetup(port, SecurityPolicy(), entropy, "10.0.0.1"))
    offer = negotiation.create_offer().data
    lines = read_crypto(SessionDescription.parse(offer).media[0])
    ours = [line for line in lines if line.suite_name != "AEAD_AES_256_GCM"]
    first, second = (make_crypto_answer(ours[at], entropy=entropy) for at in (0, 1))
    specs = []
    for line, final in ((first, False), (second, False), (first, True)):
        body = answer_of(line, 5000)
        outcome = negotiation.receive_answer(Body("application/sdp", body), final=final)
        assert isinstance(outcome, MediaProposal)
        negotiation.commit(0)
        specs.append(port.specs[-1])
    assert specs[0].send_key.key.reveal() == specs[2].send_key.key.reveal()
    assert specs[0].send_key.key.reveal() != specs[1].send_key.key.reveal()
    life = AudioLife("random")
    life.recorder = NonceRecorder([specs[0].send_key, specs[1].send_key])
    for spec in specs:
        life.station.open(replace(spec, remote_rtcp=None))
        life.run(6)
    life.end()
    kinds = {(name[0], name[1]) for name in life.recorder.used}
    assert kinds == {("rtp", 0), ("rtp", 1), ("rtcp", 0), ("rtcp", 1)}


# Sockets and processes ---------------------------------------------------------------------------


@pytest.fixture
def far_end():
    """Sockets for RTP and RTCP of a far end that says nothing."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control,
    ):
        for each in (media, control):
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        yield media, control


def lives_of_an_engine(seeds: range) -> list[list[tuple[int | None, bool]]]:
    """The keys (None: in clear) of one stream after another, each step with or without a hold.

    No key follows itself, so that a packet under a step's key is one of that step.
    """
    lives: list[list[tuple[int | None, bool]]] = [
        [(number, False) for number in (0, 1, 0, None, 0)],  # forks in turn, and in clear between
    ]
    for seed in seeds:
        draw, last, life = random.Random(seed), lives[-1][-1][0], []
        for _ in range(draw.randint(3, 6)):
            last = draw.choice([each for each in (0, 1, 2, None) if each != last])
            life.append((last, draw.random() < 0.3))
        lives.append(life)
    return lives


def test_the_lives_bring_every_key_back_with_another_or_none_between():
    lives = lives_of_an_engine(SEEDS)
    numbers = [[number for number, _ in life] for life in lives]
    returning = {
        (first, between)
        for life in numbers
        for first, between, last in zip(life, life[1:], life[2:], strict=False)
        if first == last
    }
    assert {first for first, _ in returning} == {0, 1, 2, None}
    assert None in {between for _, between in returning}
    assert any(held for life in lives for _, held in life)


@pytest.mark.parametrize("placement", ["inline", "worker"])
async def test_wherever_the_engine_runs(placement, far_end):
    """One engine, and so one worker process, lives all the lives, stream after stream."""
    if placement == "worker" and sys.platform != "linux":
        pytest.skip("workers need Linux")
    config = MediaConfig(
        ports=PortRange(47000, 47999), capacity=4, placement=placement, rtcp_interval=0.05
    )
    engines = {"inline": MediaEngine, "worker": RemoteEngine}
    media, control = far_end
    remote, remote_rtcp = media.getsockname(), control.getsockname()
    loop, recorder = asyncio.get_running_loop(), NonceRecorder(KEYS)
    arrived: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
    for channel in far_end:
        loop.add_reader(
            channel, lambda at: arrived.put_nowait((at.recv(2048), at is control)), channel
        )
    chosen = [0] * len(KEYS)
    async with engines[placement](config) as engine:
        for life in lives_of_an_engine(SEEDS):
            handle = engine.allocate_stream().handle
            for number, held in life:
                send = None if number is None else KEYS[number]
                receive = None if number is None else THEIRS[number]
                spec = StreamSpec(
                    remote, remote_rtcp=remote_rtcp, send_key=send, receive_key=receive
                )
                if held:
                    engine.open_stream(handle, replace(spec, direction=Direction.INACTIVE))
                engine.open_stream(handle, spec)
                if number is not None:
                    chosen[number] += 1
                found: set[tuple[bool, int | None]] = set()
                while not {(False, number), (True, number)} <= found:
                    packet, of_rtcp = await arrived.get()
                    found.add((of_rtcp, recorder.record_packet(packet, control=of_rtcp)))
            engine.close_stream(handle)
    for channel in far_end:
        loop.remove_reader(channel)
    # A source for each time that a key was taken, and none under two keys.
    sources = [number for number, _ in recorder.first]
    assert [sources.count(number) for number in range(len(KEYS))] == chosen
    assert len({ssrc for _, ssrc in recorder.first}) == len(recorder.first)
