"""What many media packets cost is bounded by what they are: memory, answers, and what is resent."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from softphone.media import StreamSpec
from softphone.media.video import VideoPacketPath, VideoSpec
from softphone.rtp import (
    BitrateLimit,
    EncodedFrame,
    Nack,
    ReceiverReport,
    RtpPacket,
    TemporaryBitrateRequest,
    print_compound,
)
from softphone.rtp.payload_format import LARGEST_FRAME
from softphone.security import CryptoSuite
from softphone.srtp import ReceiveContext, SendContext, SrtpBackend
from tests.support.srtp import key, rtp
from tests.support.wire import WALL, Datagram, Station, raw_address, srtp_key

FAR, ELSEWHERE = ("10.0.0.2", 5000), ("10.0.0.66", 7)
GCM = CryptoSuite.AEAD_AES_128_GCM
MAXIMUM_SOURCES = 64


def video(codec: str = "VP8") -> VideoPacketPath:
    """A path in clear to FAR."""
    path = VideoPacketPath(ssrc=1, entropy=random.Random(1).randbytes, now=100.0)
    path.apply_spec(VideoSpec(FAR, codec, 96, feedback=("nack", "nack pli")), now=100.0)
    return path


def test_requests_to_resend_never_have_more_sent_than_they_are_long():
    path, now = video(), 100.0
    for _ in range(20):
        path.send_frame(EncodedFrame(b"\x10" + bytes(3000), True), captured=now, now=now)
        now += 0.02
        sent = path.take_packets(now=now)
    last = int.from_bytes(sent[-1][2:4], "big")
    lost = tuple((last - back) & 0xFFFF for back in range(50))
    report = print_compound((ReceiverReport(9), Nack(9, path.ssrc, lost)))
    asked = resent = 0
    for _ in range(1000):
        now += 0.001
        path.receive_rtcp(report, FAR, now=now, wall=WALL)
        asked += len(report)
        resent += sum(map(len, path.take_packets(now=now)))
    assert resent < asked


def test_each_limit_of_the_bit_rate_gets_one_answer_no_longer_than_it():
    path = video()
    limit = TemporaryBitrateRequest(9, (BitrateLimit(path.ssrc, 0, 40),))
    request = print_compound((ReceiverReport(9), limit))
    path.take_rtcp()
    for _ in range(100):
        path.receive_rtcp(request, FAR, now=100.0, wall=WALL)
    answers = path.take_rtcp()
    assert len(answers) <= 100
    assert all(len(answer) <= 48 for answer in answers)


@pytest.mark.parametrize("backend", list(SrtpBackend))
def test_forged_sources_take_no_memory_and_true_ones_a_little(backend):
    context, chance = ReceiveContext(GCM, key(GCM), backend=backend), random.Random(1)
    for _ in range(500):
        assert context.unprotect(b"\x80\x00" + chance.randbytes(70)) is None
        assert context.unprotect_rtcp(b"\x80\xc9\x00\x01" + chance.randbytes(80)) is None
    assert not context.rollover_counters()
    sender = SendContext(GCM, key(GCM), backend=SrtpBackend.CRYPTOGRAPHY)
    taken = 0
    for ssrc in range(1, 300):
        packet = rtp(1)
        packet = packet[:8] + ssrc.to_bytes(4, "big") + packet[12:]
        taken += context.unprotect(sender.protect(packet)) is not None
    assert taken == len(context.rollover_counters()) == MAXIMUM_SOURCES


@pytest.mark.parametrize(
    ("codec", "first", "rest"), [("VP8", b"\x10", b"\x00"), ("H264", b"\x7c\x85", b"\x7c\x05")]
)
def test_a_picture_without_end_is_given_up(codec, first, rest):
    path, kept = video(codec), []
    tracemalloc.start()
    try:
        for number in range(LARGEST_FRAME // 6000 * 3):
            start = first if number == 0 else rest
            packet = RtpPacket(96, number & 0xFFFF, 1000, 77, start + bytes(6000))
            path.receive_rtp(bytes(packet), FAR, now=100.0 + number * 0.001, wall=WALL)
            if number % 50 == 0:
                kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(kept) < 2 * LARGEST_FRAME
    assert path.take_frames() == []


SHAPES = [
    b"\x80\x00" + bytes(170),
    b"\x80\xc8\x00\x06" + bytes(24),
    b"\x81\xc9\x00\x07" + bytes(28),
    b"\x81\xcb\x00\x01" + bytes(4),
    b"\x80\xcf\x00\x05" + bytes(20),
    b"\x90\x00" + bytes(10) + b"\xbe\xde\xff\xff" + bytes(20),
    b"\xaf\x00" + bytes(10),
    b"\xa0\x00" + bytes(10) + b"\xff" * 20,
    b"\x80\x65" + bytes(10) + b"\x05\x8a\xff\xff",
]


@pytest.mark.parametrize("secure", [False, True])
def test_mutated_datagrams_raise_nothing_and_move_no_address(secure):
    chance, station = random.Random(1), Station("10.0.0.1", seed=1)
    keys = {"send_key": srtp_key(GCM, 1), "receive_key": srtp_key(GCM, 2)} if secure else {}
    station.open(StreamSpec(FAR, **keys))
    for frame in range(40):
        for _ in range(100):
            data = bytearray(chance.choice(SHAPES))
            for _ in range(chance.randrange(6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            cut = chance.randrange(1, len(data) + 1) if chance.random() < 0.3 else len(data)
            source = FAR if chance.random() < 0.8 else ELSEWHERE
            port = chance.choice([5000, 5001])
            station.take(Datagram(bytes(data[:cut]), source, port), at=frame * 0.02)
        station.tick(frame)
    assert station.bank.addresses.remote[station.row].tobytes() == raw_address(*FAR)
    if secure:
        assert station.bank.receiver.packets_received[station.row] == 0
