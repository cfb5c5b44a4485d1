"""Who holds back true packets of a call and sends them on later gets neither its RTP nor its RTCP.

RFC 3711 section 3.3.2 lets an authenticated packet through that is older than others, as long as
it was not seen; what is old says nothing of where the far end is now.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from softphone.media import RemoteLatched
from softphone.media.tick.stream_commands import set_keys
from softphone.media.video import VideoPacketPath, VideoSpec
from softphone.rtp import ReceiverReport, RtpPacket, SourceDescription, print_compound
from softphone.security import CryptoSuite
from softphone.srtp import SendContext
from tests.support.wire import Datagram, Wire, raw_address, srtp_key

CM = CryptoSuite.AES_CM_128_HMAC_SHA1_80
TRUE, EVIL, MOVED = ("10.0.0.1", 5000), ("10.6.6.6", 6666), ("10.0.0.7", 7000)
SUITES = [CM, CryptoSuite.AEAD_AES_128_GCM]


class Audio:
    """A stream that hears SRTP and SRTCP; `remote` and `remote_rtcp` are where ours goes."""

    def __init__(self, suite: CryptoSuite) -> None:
        self.wire, self.frame = Wire(suite=suite), 0
        self.bank, self.row = self.wire.b.bank, self.wire.b.row

    def hear(self, data: bytes, source: tuple[str, int], *, control: bool = False) -> None:
        self.wire.b.take(Datagram(data, source, 5000 + control), at=self.frame / 50)
        self.wire.b.tick(self.frame)
        self.frame += 1

    def rekey(self, seed: int) -> None:
        own = self.wire.keys[1]
        set_keys(self.bank, self.wire.b.handle, own, srtp_key(own.suite, seed), 0)

    def is_at(self, address: tuple[str, int]) -> bool:
        return self.bank.addresses.remote[self.row].tobytes() == raw_address(*address)

    def reports_to(self, address: tuple[str, int]) -> bool:
        return self.bank.addresses.remote_rtcp[self.row].tobytes() == raw_address(*address)


class Video:
    """The same of a video stream."""

    def __init__(self, suite: CryptoSuite) -> None:
        self.path = VideoPacketPath(ssrc=9, entropy=random.Random(1).randbytes, now=0.0)
        self.spec = VideoSpec(
            TRUE, "VP8", 0, send_key=srtp_key(suite, 4), receive_key=srtp_key(suite, 3)
        )
        self.path.apply_spec(self.spec, now=0.0)

    def hear(self, data: bytes, source: tuple[str, int], *, control: bool = False) -> None:
        take = self.path.receive_rtcp if control else self.path.receive_rtp
        take(data, source, now=0.0, wall=0.0)

    def rekey(self, seed: int) -> None:
        self.spec = replace(self.spec, receive_key=srtp_key(self.spec.receive_key.suite, seed))
        self.path.apply_spec(self.spec, now=0.0)

    def is_at(self, address: tuple[str, int]) -> bool:
        return self.path.remote == address

    def reports_to(self, address: tuple[str, int]) -> bool:
        return self.path.remote_rtcp == address


class FarEnd:
    """Makes true packets under one key."""

    def __init__(self, suite: CryptoSuite, seed: int = 3) -> None:
        key = srtp_key(suite, seed)
        self.context = SendContext(suite, key.key)

    def rtp(self, sequence: int, ssrc: int = 7) -> bytes:
        packet = RtpPacket(0, sequence, 160 * sequence, ssrc, b"\x10" + bytes(159))
        sealed = self.context.protect(bytes(packet))
        assert sealed is not None
        return sealed

    def rtcp(self, ssrc: int = 7) -> bytes:
        plain = print_compound((ReceiverReport(ssrc), SourceDescription(ssrc, "far")))
        sealed = self.context.protect_rtcp(plain)
        assert sealed is not None
        return sealed


@pytest.fixture(params=[Audio, Video], ids=["audio", "video"])
def kind(request):
    return request.param


@pytest.mark.parametrize("suite", SUITES)
def test_a_packet_that_was_held_back_does_not_move_a_stream_that_has_never_moved(kind, suite):
    stream, far = kind(suite), FarEnd(suite)
    packets = [far.rtp(sequence) for sequence in range(100, 110)]
    for packet in packets[:4] + packets[5:]:
        stream.hear(packet, TRUE)
    stream.hear(packets[4], EVIL)
    assert stream.is_at(TRUE)


@pytest.mark.parametrize("suite", SUITES)
def test_a_packet_newer_than_the_last_move_and_older_than_the_newest_moves_nothing(kind, suite):
    stream, far = kind(suite), FarEnd(suite)
    packets = [far.rtp(sequence) for sequence in range(100, 110)]
    stream.hear(packets[0], TRUE)
    for packet in packets[1:5] + packets[6:]:
        stream.hear(packet, MOVED)
    assert stream.is_at(MOVED)
    stream.hear(packets[5], EVIL)
    assert stream.is_at(MOVED)


def test_it_moves_nothing_over_the_wrap_of_the_sequence_number_either(kind):
    stream, far = kind(CM), FarEnd(CM)
    packets = [far.rtp(sequence & 0xFFFF) for sequence in range(0xFFFA, 0x10006)]
    for packet in packets[:3] + packets[4:]:
        stream.hear(packet, TRUE)
    stream.hear(packets[3], EVIL)
    assert stream.is_at(TRUE)
    stream.hear(far.rtp(6), MOVED)
    assert stream.is_at(MOVED)


def test_the_newest_index_of_a_source_is_remembered_while_another_is_heard(kind):
    stream, far = kind(CM), FarEnd(CM)
    first = [far.rtp(sequence) for sequence in range(100, 106)]
    for packet in first[:2] + first[3:]:
        stream.hear(packet, TRUE)
    for sequence in range(500, 503):
        stream.hear(far.rtp(sequence, ssrc=8), TRUE)
    stream.hear(first[2], EVIL)
    assert stream.is_at(TRUE)


def test_the_first_packet_of_a_source_moves_nothing_and_the_next_one_does(kind):
    stream, far = kind(CM), FarEnd(CM)
    held = far.rtp(400, ssrc=8)
    for sequence in range(100, 103):
        stream.hear(far.rtp(sequence), TRUE)
    stream.hear(held, EVIL)
    assert stream.is_at(TRUE)
    stream.hear(far.rtp(401, ssrc=8), MOVED)
    assert stream.is_at(MOVED)


def test_a_source_is_first_seen_once_more_under_a_new_key(kind):
    stream, far = kind(CM), FarEnd(CM)
    for sequence in range(100, 103):
        stream.hear(far.rtp(sequence), TRUE)
    stream.rekey(5)
    far = FarEnd(CM, 5)
    stream.hear(far.rtp(200), EVIL)
    assert stream.is_at(TRUE)
    stream.hear(far.rtp(201), MOVED)
    assert stream.is_at(MOVED)


def test_a_key_that_comes_back_remembers_its_newest_packets(kind):
    stream, far = kind(CM), FarEnd(CM)
    packets = [far.rtp(sequence) for sequence in range(100, 110)]
    reports = [far.rtcp() for _ in range(5)]
    for packet in packets[:5] + packets[7:9]:
        stream.hear(packet, TRUE)
    for report in (reports[0], reports[3]):
        stream.hear(report, (TRUE[0], TRUE[1] + 1), control=True)
    stream.rekey(5)
    stream.hear(FarEnd(CM, 5).rtp(200), TRUE)
    stream.rekey(3)
    for packet in packets[5:7]:
        stream.hear(packet, EVIL)
    for report in reports[1:3]:
        stream.hear(report, EVIL, control=True)
    assert stream.is_at(TRUE)
    assert stream.reports_to((TRUE[0], TRUE[1] + 1))
    stream.hear(packets[9], MOVED)
    assert stream.is_at(MOVED)


def test_rtcp_moves_by_its_own_index(kind):
    stream, far = kind(CM), FarEnd(CM)
    reports = [far.rtcp() for _ in range(6)]
    home, evil, moved = (TRUE[0], TRUE[1] + 1), (EVIL[0], EVIL[1] + 1), (MOVED[0], MOVED[1] + 1)
    for sequence in range(100, 110):
        stream.hear(far.rtp(sequence), TRUE)
    stream.hear(reports[0], evil, control=True)
    assert stream.reports_to(home)
    for report in reports[2:4]:
        stream.hear(report, home, control=True)
    stream.hear(reports[1], evil, control=True)
    assert stream.reports_to(home)
    stream.hear(reports[4], moved, control=True)
    assert stream.reports_to(moved)
    assert stream.is_at(TRUE)
    stream.hear(reports[4], evil, control=True)
    assert stream.reports_to(moved)


def test_no_address_moves_but_for_what_is_newer_than_everything_of_its_source(kind):
    """Random lives: packets of three sources, held back, given on late, by a stranger too."""
    for seed in range(20):
        chance = random.Random(seed)
        stream, far = kind(CM), FarEnd(CM)
        where = TRUE
        newest: dict[int, int] = {}
        next_one = {ssrc: chance.choice((0xFFF0, 0x7FF8, 20)) for ssrc in (7, 8, 10)}
        held: list[tuple[int, int, bytes]] = []
        for _ in range(120):
            if held and chance.random() < 0.3:
                ssrc, index, packet = held.pop(chance.randrange(len(held)))
            else:
                ssrc = chance.choice((7, 7, 7, 8, 10))
                index = next_one[ssrc]
                next_one[ssrc] += 1
                packet = far.rtp(index & 0xFFFF, ssrc=ssrc)
                if chance.random() < 0.3:
                    held.append((ssrc, index, packet))
                    continue
            source = chance.choice((TRUE, TRUE, MOVED, EVIL))
            stream.hear(packet, source)
            if ssrc in newest and index > newest[ssrc]:
                where = source
            newest[ssrc] = max(newest.get(ssrc, 0), index)
            assert stream.is_at(where), (seed, ssrc, index, source)


def test_in_one_batch_each_packet_is_judged_by_those_before_it():
    stream, far = Audio(CM), FarEnd(CM)
    stream.hear(far.rtp(100), TRUE)
    packets = [far.rtp(sequence) for sequence in range(101, 106)]
    for packet, source in zip(
        [packets[0], packets[4], packets[2], packets[1]], [TRUE, MOVED, EVIL, EVIL], strict=True
    ):
        stream.wire.b.take(Datagram(packet, source, 5000), at=0.02)
    stream.wire.b.tick(1)
    assert stream.is_at(MOVED)
    moves = [event for event in stream.wire.b.events if isinstance(event, RemoteLatched)]
    assert [event.remote for event in moves] == [MOVED]
    stream.wire.b.take(Datagram(far.rtp(106), EVIL, 5000), at=0.04)
    stream.wire.b.take(Datagram(far.rtp(107), MOVED, 5000), at=0.04)
    stream.wire.b.tick(2)
    assert stream.is_at(MOVED)


def test_what_was_held_back_is_heard_all_the_same(kind):
    """RFC 3711 section 3.3.2: only addresses are at stake."""
    stream, far = kind(CM), FarEnd(CM)
    packets = [far.rtp(sequence) for sequence in range(100, 104)]
    for packet in packets[:2] + packets[3:]:
        stream.hear(packet, TRUE)
    stream.hear(packets[2], EVIL)
    if isinstance(stream, Audio):
        assert stream.bank.receiver.packets_received[stream.row] == 4
    else:
        assert stream.path.statistics.packets_received == 4


def test_what_the_newest_packet_of_an_older_source_moves_the_next_true_packet_moves_back(kind):
    """Nothing tells a far end that goes back to its first source from somebody who held back the
    last packet of it.  Who would wait for more of it would leave media away for as long, after
    packets of a source that was held back as a whole."""
    stream, far = kind(CM), FarEnd(CM)
    old = [far.rtp(sequence) for sequence in range(100, 104)]
    for packet in old[:3]:
        stream.hear(packet, TRUE)
    for sequence in range(500, 503):
        stream.hear(far.rtp(sequence, ssrc=8), TRUE)
    stream.hear(old[3], EVIL)
    assert stream.is_at(EVIL)
    stream.hear(far.rtp(503, ssrc=8), TRUE)
    assert stream.is_at(TRUE)
    stream.hear(old[3], EVIL)
    assert stream.is_at(TRUE)
