"""RTP in clear from hosts that were not signaled: not heard, or one of them once, as configured.

Audio and video, with the spray of a stranger before and after.  RFC 7362 section 4.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from softphone.events import Direction
from softphone.media import FirstPacketReceived, LatchCause, RemoteLatched, StreamSpec
from softphone.media.video import VideoPacketPath, VideoSpec
from softphone.rtp import ReceiverReport, RtpPacket, SourceDescription, print_compound
from softphone.security import CryptoSuite
from tests.support.wire import Datagram, Wire, raw_address, srtp_key

ONCE = ("0.0.0.0/0", "::/0")
SIGNALED, NEAR = ("10.0.0.1", 5000), ("10.0.0.1", 6000)
PEER, EVIL = ("10.9.0.1", 7000), ("10.6.6.6", 6666)
FRAME = 0.02


class Audio:
    """A stream in clear at virtual time `now`; `moves` are the addresses that it has followed."""

    def __init__(self, **fields) -> None:
        self.wire = Wire()
        self.bank, self.row = self.wire.b.bank, self.wire.b.row
        self.now, self.frame = 0.0, 0
        self.spec = StreamSpec(SIGNALED, clear_latching=ONCE, description=1)
        self.open(**fields)

    def open(self, **fields) -> None:
        self.spec = replace(self.spec, **fields)
        self.wire.b.open(self.spec, now=self.now)

    def hear(self, *arriving, control=False) -> None:
        for data, source in arriving:
            self.wire.b.take(Datagram(data, source, 5000 + control), at=self.now)
        self.frame = round(self.now / FRAME)
        self.wire.b.tick(self.frame)
        self.now += FRAME

    @property
    def remote(self):
        raw = self.bank.addresses.remote[self.row].tobytes()
        return next(each for each in PLACES if raw_address(*each) == raw)

    @property
    def remote_rtcp(self):
        raw = self.bank.addresses.remote_rtcp[self.row].tobytes()
        return next(each for each in PLACES if raw_address(*each) == raw)

    @property
    def heard(self) -> int:
        return int(self.bank.receiver.packets_received[self.row])

    @property
    def moves(self):
        events = [e for e in self.wire.b.events if isinstance(e, RemoteLatched)]
        return [(event.remote, event.cause) for event in events]


class Video:
    """The same of a video stream."""

    def __init__(self, **fields) -> None:
        self.path = VideoPacketPath(ssrc=9, entropy=random.Random(1).randbytes, now=0.0)
        self.moves = []
        self.path.on_latched = lambda remote, cause: self.moves.append((remote, cause))
        self.now = 0.0
        self.spec = VideoSpec(SIGNALED, "VP8", 0, clear_latching=ONCE, description=1)
        self.open(**fields)

    def open(self, **fields) -> None:
        self.spec = replace(self.spec, **fields)
        self.path.apply_spec(self.spec, now=self.now)

    def hear(self, *arriving, control=False) -> None:
        for data, source in arriving:
            take = self.path.receive_rtcp if control else self.path.receive_rtp
            take(data, source, now=self.now, wall=0.0)
        self.now += FRAME

    @property
    def remote(self):
        return self.path.remote

    @property
    def remote_rtcp(self):
        return self.path.remote_rtcp

    @property
    def heard(self) -> int:
        return self.path.statistics.packets_received


PLACES = [
    (host, port + offset)
    for host, port in (SIGNALED, NEAR, PEER, EVIL, ("10.0.0.5", 5000))
    for offset in (0, 1, 2)
]


@pytest.fixture(params=[Audio, Video], ids=["audio", "video"])
def kind(request):
    return request.param


def rtp(sequence, ssrc=7, payload_type=0):
    payload = b"\x10" + bytes(159)
    return bytes(
        RtpPacket(payload_type, sequence & 0xFFFF, 160 * (sequence & 0xFFFF), ssrc, payload)
    )


def rtcp(ssrc=7):
    return print_compound((ReceiverReport(ssrc), SourceDescription(ssrc, "far")))


def send(stream, source, count, first=100, **fields):
    for sequence in range(first, first + count):
        stream.hear((rtp(sequence, **fields), source))


def test_by_default_another_host_is_never_heard(kind):
    stream = kind(clear_latching=())
    send(stream, PEER, 300)
    assert (stream.heard, stream.remote, stream.moves) == (0, SIGNALED, [])


def test_another_port_of_the_signaled_host_is_followed_once(kind):
    stream = kind(clear_latching=())
    send(stream, (SIGNALED[0], 5002), 3)
    send(stream, (SIGNALED[0], 5001), 3, first=103)
    send(stream, SIGNALED, 3, first=106)
    assert (stream.heard, stream.remote) == (3, (SIGNALED[0], 5002))
    assert stream.moves == [((SIGNALED[0], 5002), LatchCause.PORT)]


def test_a_stream_that_is_not_symmetric_hears_the_host_and_stays(kind):
    stream = kind(clear_latching=(), symmetric=False)
    send(stream, NEAR, 5)
    stream.hear((rtcp(), NEAR), control=True)
    assert (stream.heard, stream.remote, stream.moves) == (5, SIGNALED, [])
    assert stream.remote_rtcp == (SIGNALED[0], SIGNALED[1] + 1)


def test_one_source_is_adopted_after_five_packets_and_told(kind):
    stream = kind()
    send(stream, PEER, 4)
    assert (stream.heard, stream.remote) == (0, SIGNALED)
    send(stream, PEER, 3, first=104)
    assert (stream.heard, stream.remote) == (3, PEER)
    assert stream.moves == [(PEER, LatchCause.ADOPTED)]


def test_the_sequence_number_may_wrap_meanwhile(kind):
    stream = kind()
    send(stream, PEER, 5, first=65533)
    assert stream.remote == PEER


@pytest.mark.parametrize(
    "spoil",
    [
        lambda n: rtp(100 + 2 * n),  # gaps
        lambda n: rtp(100 - n),  # backwards
        lambda n: rtp(100),  # one packet again and again
        lambda n: rtp(100 + n, ssrc=n),  # of another source each
        lambda n: rtp(100 + n, payload_type=98),  # of a type that nobody agreed to
        lambda n: rtp(100 + n, payload_type=98 if n % 5 == 4 else 0),
        lambda n: rtp(100 + n)[:11],
        lambda n: b"\x00\x01" + bytes(18),
    ],
)
def test_what_does_not_follow_itself_is_not_adopted(kind, spoil):
    stream = kind()
    for n in range(200):
        stream.hear((spoil(n), PEER))
    assert (stream.heard, stream.remote, stream.moves) == (0, SIGNALED, [])


def test_five_packets_of_five_ports_are_not_of_one_source(kind):
    stream = kind()
    for n in range(200):
        stream.hear((rtp(100 + n), (PEER[0], 7000 + n % 2)))
    assert (stream.heard, stream.remote) == (0, SIGNALED)


def test_a_spray_before_does_not_keep_the_peer_from_being_adopted(kind):
    stream, chance = kind(), random.Random(5)
    for n in range(10):
        spray = [
            (rtp(chance.randrange(65536), ssrc=chance.randrange(1 << 32)), ("10.6.6.6", port))
            for port in range(1024, 1024 + 40)
        ]
        stream.hear(*spray, (rtp(100 + n), PEER))
    assert (stream.remote, stream.heard) == (PEER, 6)
    assert stream.moves == [(PEER, LatchCause.ADOPTED)]


def test_a_spray_after_it_changes_nothing(kind):
    stream = kind()
    send(stream, PEER, 10)
    before = stream.heard
    for n in range(50):
        stream.hear(
            (rtp(200 + n, ssrc=9), EVIL), (rtp(110 + n), PEER), (rtp(110 + n), (PEER[0], 7001))
        )
    assert (stream.remote, stream.heard) == (PEER, before + 50)
    assert len(stream.moves) == 1


def test_nobody_is_adopted_later_than_five_seconds_after_the_description(kind):
    stream = kind()
    stream.now = 5.1
    send(stream, PEER, 50)
    assert (stream.heard, stream.remote) == (0, SIGNALED)
    stream = kind()
    stream.now = 4.9
    send(stream, PEER, 5)
    assert stream.remote == PEER


def test_nobody_is_adopted_once_the_signaled_host_has_spoken(kind):
    stream = kind()
    send(stream, SIGNALED, 1)
    send(stream, EVIL, 50)
    assert (stream.heard, stream.remote, stream.moves) == (1, SIGNALED, [])


def test_the_signaled_host_takes_over_from_who_was_adopted_and_for_good(kind):
    stream = kind()
    send(stream, EVIL, 10)
    assert stream.remote == EVIL
    send(stream, SIGNALED, 10, first=500)
    send(stream, EVIL, 10, first=110)
    assert stream.remote == SIGNALED
    assert stream.moves == [(EVIL, LatchCause.ADOPTED), (SIGNALED, LatchCause.RETURNED)]


def test_a_new_description_starts_over_and_a_repeated_one_does_not(kind):
    stream = kind()
    send(stream, EVIL, 10)
    stream.open(direction=Direction.SENDRECV)
    assert stream.remote == EVIL
    stream.now = 20.0
    stream.open(description=2)
    assert stream.remote == SIGNALED
    send(stream, PEER, 5)
    assert stream.remote == PEER
    stream.open(remote=("10.0.0.5", 5000), description=3, clear_latching=())
    assert stream.remote == ("10.0.0.5", 5000)
    send(stream, PEER, 10, first=105)
    assert stream.remote == ("10.0.0.5", 5000)


def test_only_hosts_of_the_networks_named_are_adopted(kind):
    stream = kind(clear_latching=("10.9.0.0/16", "2001:db8::/32"))
    for n in range(20):
        stream.hear((rtp(100 + n), EVIL))
    assert stream.remote == SIGNALED
    send(stream, PEER, 5)
    assert stream.remote == PEER


@pytest.mark.parametrize(
    "fields",
    [
        {"direction": Direction.SENDONLY},
        {"remote": ("0.0.0.0", 5000)},
        {"symmetric": False},
    ],
    ids=["sendonly", "hold", "not symmetric"],
)
def test_where_nothing_should_come_nobody_is_adopted(kind, fields):
    stream = kind(**fields)
    send(stream, EVIL, 50)
    assert (stream.heard, stream.moves) == (0, [])


def test_under_srtp_the_setting_means_nothing(kind):
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    stream = kind(send_key=srtp_key(suite, 4), receive_key=srtp_key(suite, 3), description=2)
    send(stream, EVIL, 50)
    assert (stream.heard, stream.remote, stream.moves) == (0, SIGNALED, [])


def test_rtcp_is_that_of_the_adopted_host_and_follows_it_once(kind):
    stream = kind()
    home = (SIGNALED[0], SIGNALED[1] + 1)
    stream.hear((rtcp(), (PEER[0], 7001)), control=True)
    assert stream.remote_rtcp == home
    send(stream, PEER, 5)
    stream.hear((rtcp(), (EVIL[0], 6667)), control=True)
    assert stream.remote_rtcp == home
    stream.hear((rtcp(), (PEER[0], 7001)), control=True)
    stream.hear((rtcp(), (PEER[0], 7002)), control=True)
    assert stream.remote_rtcp == (PEER[0], 7001)


def test_under_mux_rtcp_goes_where_rtp_goes(kind):
    stream = kind(rtcp_mux=True)
    send(stream, PEER, 5)
    assert stream.remote_rtcp == PEER


def test_the_first_packet_that_is_heard_is_the_fifth():
    stream = Audio()
    stream.hear(*[(rtp(100 + n), PEER) for n in range(7)])
    first = [e for e in stream.wire.b.events if isinstance(e, FirstPacketReceived)]
    assert [(event.source, event.authenticated) for event in first] == [(PEER, False)]
    assert stream.heard == 3
    assert stream.bank.receiver.wrong_source[stream.row] == 4
