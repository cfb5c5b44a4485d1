"""RTCP packets: read, written, refused."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp import (
    FullIntraRequest,
    MalformedPacket,
    Nack,
    PictureLossIndication,
    ReceiverReport,
    ReportBlock,
    RtcpApp,
    RtcpBye,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    VoipMetrics,
    ntp_from_wall,
    parse_compound,
    print_compound,
    round_trip_time,
    wall_from_ntp,
)

u8 = st.integers(0, 255)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
texts = st.text(max_size=60)
blocks = st.builds(ReportBlock, u32, u8, st.integers(-(1 << 23), (1 << 23) - 1), u32, u32, u32, u32)
report_lists = st.lists(blocks, max_size=31).map(tuple)
sender_reports = st.builds(
    SenderReport, u32, st.integers(0, (1 << 64) - 1), u32, u32, u32, report_lists
)
receiver_reports = st.builds(ReceiverReport, u32, report_lists)
others = st.one_of(
    st.builds(
        SourceDescription,
        u32,
        texts,
        st.lists(st.tuples(st.integers(2, 8), texts), max_size=3).map(tuple),
    ),
    st.builds(RtcpBye, st.lists(u32, max_size=31).map(tuple), texts),
    st.builds(
        RtcpApp,
        u32,
        st.integers(0, 31),
        st.binary(min_size=4, max_size=4),
        st.binary(max_size=5).map(lambda data: data * 4),
    ),
    st.builds(PictureLossIndication, u32, u32),
    st.builds(FullIntraRequest, u32, st.lists(st.tuples(u32, u8), max_size=5).map(tuple)),
    st.builds(VoipMetrics, u32, u32, u8, u8, u8, u8, u16, u16, u16, u16),
)
compounds = st.tuples(sender_reports | receiver_reports, st.lists(others, max_size=4)).map(
    lambda parts: (parts[0], *parts[1])
)

REPORT = ReceiverReport(1, (ReportBlock(2, 128, -1, 70000, 9, 3, 4),))


@given(compounds)
def test_what_is_written_is_read_back(packets: tuple[RtcpPacket, ...]) -> None:
    data = print_compound(packets)
    assert len(data) % 4 == 0
    assert parse_compound(data) == packets


def test_a_report_is_laid_out_as_in_section_6_4_2() -> None:
    expected = "81c90007 00000001 00000002 80ffffff 00011170 00000009 00000003 00000004"
    assert print_compound((REPORT,)) == bytes.fromhex(expected)


def test_voip_metrics_are_laid_out_as_in_rfc_3611_section_4_7() -> None:
    metrics = VoipMetrics(1, 2, 3, 4, 5, 6, 0x0708, 0x090A, 0x0B0C, 0x0D0E, -15, -16, 17, 18, 19,
                          20, 21, 22, 23, 0x1819, 0x1A1B, 0x1C1D)  # fmt: skip
    data = print_compound((REPORT, metrics))[32:]
    assert data == bytes.fromhex(
        "80cf000a 00000001 07000008 00000002 03040506 0708090a 0b0c0d0e f1f01112 13141516 17001819"
        "1a1b1c1d"
    )


@pytest.mark.parametrize(
    ("lost", "pairs"),
    [((5,), "0005 0000"), ((5, 6, 21), "0005 8001"), ((5, 22), "0005 0000 0016 0000"),
     ((65535, 0, 3), "ffff 0009"), ((), "")],
)  # fmt: skip
def test_lost_packets_are_packed_into_nack_pairs(lost: tuple[int, ...], pairs: str) -> None:
    data = print_compound((REPORT, Nack(1, 2, lost)))[32:]
    assert data[12:] == bytes.fromhex(pairs)
    assert parse_compound(print_compound((REPORT, Nack(1, 2, lost))))[1] == Nack(1, 2, lost)


def test_unknown_packets_and_feedback_are_skipped() -> None:
    unknown = bytes.fromhex(
        "80d10001 00000001  8fce0002 00000001 00000002  80cf0002 00000001 ff000000"
    )
    assert parse_compound(print_compound((REPORT,)) + unknown) == (REPORT,)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("", "too few"),
        ("81c9", "too few"),
        ("80ca0001 00000001", "begins with SR or RR"),
        ("40c90001 00000001", "version 1"),
        ("80c90002 00000001", "beyond the datagram"),
        ("80c9ffff 00000001", "beyond the datagram"),
        ("81c90001 00000001", "report blocks do not fit"),
        ("9fc90001 00000001", "report blocks do not fit"),
        ("80c80001 00000001", "too short"),
        ("80c90001 00000001 80c9", "header is cut off"),
        ("80c90000 80c90001 00000001", "too short"),
        ("a0c90002 00000001 00000004 80c90001 00000001", "only the last"),
        ("a0c90002 00000001 00000000", "padding"),
        ("a0c90002 00000001 00000010", "padding"),
        ("a0c90002 00000001 00000003", "padding"),
        ("80c90001 00000001 81ca0001 00000002", "no end"),
        ("80c90001 00000001 81ca0002 00000002 01ff6161", "beyond its RTCP packet"),
        ("80c90001 00000001 82ca0002 00000002 00000000", "too short"),
        ("80c90001 00000001 82cb0001 00000002", "too short"),
        ("80c90001 00000001 81cb0002 00000002 ff616161", "beyond its RTCP packet"),
        ("80c90001 00000001 80cc0001 00000002", "too short"),
        ("80c90001 00000001 81cd0001 00000002", "too short"),
        ("80c90001 00000001 80cf0002 00000002 07000008", "beyond its packet"),
        ("80c90001 00000001 80cf0003 00000002 07000001 00000000", "another length"),
    ],
)
def test_lengths_are_checked_before_they_are_trusted(octets: str, reason: str) -> None:
    with pytest.raises(MalformedPacket, match=reason):
        parse_compound(bytes.fromhex(octets))


def test_padding_of_the_last_packet_is_taken_off() -> None:
    data = print_compound((REPORT,)) + bytes.fromhex("a0c90002 00000005 00000004")
    assert parse_compound(data) == (REPORT, ReceiverReport(5))


def test_a_reduced_size_packet_needs_no_report() -> None:
    indication = PictureLossIndication(1, 2)
    data = print_compound((indication,), reduced_size=True)
    assert parse_compound(data, reduced_size=True) == (indication,)
    with pytest.raises(MalformedPacket):
        parse_compound(data)


def test_text_that_is_not_utf_8_is_replaced() -> None:
    data = bytes.fromhex("80c90001 00000001 81ca0003 00000002 0102fffe 00000000")
    assert parse_compound(data)[1] == SourceDescription(2, "\ufffd\ufffd")


def test_mutated_compounds_are_read_or_refused_and_nothing_else() -> None:
    generator = random.Random(3550)
    packets = (REPORT, SourceDescription(1, "alice", ((2, "Alice"),)), RtcpBye((1,), "done"),
               Nack(1, 2, (3, 4)), VoipMetrics(1, 2, 3, 4))  # fmt: skip
    seed = print_compound(packets)
    refused = 0
    for _ in range(5000):
        data = bytearray(seed[: generator.randrange(8, len(seed) + 1)])
        for _ in range(2):
            data[generator.randrange(len(data))] = generator.randrange(256)
        try:
            parse_compound(bytes(data))
        except MalformedPacket:
            refused += 1
    assert 2000 < refused < 5000


@pytest.mark.parametrize(
    "packets",
    [
        (),
        (SourceDescription(1, "a"),),
        (ReceiverReport(1 << 32),),
        (ReceiverReport(1, (ReportBlock(1, 256, 0, 0, 0),)),),
        (ReceiverReport(1, (ReportBlock(1, 0, 0, 0, 0),) * 32),),
        (REPORT, SourceDescription(1, "a" * 256)),
        (REPORT, RtcpApp(1, 0, b"abc")),
        (REPORT, RtcpApp(1, 0, b"abcd", b"x")),
        (REPORT, RtcpApp(1, 32, b"abcd")),
        (REPORT, Nack(1, 2, (65536,))),
    ],
)
def test_what_does_not_fit_is_not_written(packets: tuple[RtcpPacket, ...]) -> None:
    with pytest.raises(ValueError, match=r"."):
        print_compound(packets)


def test_counts_of_packets_and_octets_wrap_at_32_bits() -> None:
    report = SenderReport(1, 0, 0, (1 << 32) + 5, (1 << 33) + 6)
    assert parse_compound(print_compound((report,))) == (SenderReport(1, 0, 0, 5, 6),)


@given(st.floats(0.0, 4.0e9))
def test_ntp_time_keeps_the_microsecond(wall: float) -> None:
    ntp = ntp_from_wall(wall)
    if wall + 2_208_988_800 < 1 << 32:
        assert wall_from_ntp(ntp) == pytest.approx(wall, abs=1e-5)
    assert 0 <= ntp < 1 << 64


@pytest.mark.parametrize(
    ("last_sr", "delay", "expected"),
    [
        (0, 0, None),
        (0x40000, 0, 1.0),
        (0x40000, 0x8000, 0.5),
        (0x50001, 0, 0.0),
        (0x90000, 0, None),
    ],
)
def test_a_round_trip_is_told_only_when_it_can_be_true(
    last_sr: int, delay: int, expected: float | None
) -> None:
    block = ReportBlock(1, 0, 0, 0, 0, last_sr, delay)
    wall = wall_from_ntp(0x0000_0005_0000_0000) + (1 << 32)
    assert round_trip_time(block, wall=wall) == (
        None if expected is None else pytest.approx(expected, abs=1e-3)
    )


def rtcp(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def test_a_compound_holds_so_many_packets_and_no_more() -> None:
    report = rtcp(201, 0, bytes(4))
    assert len(parse_compound(report * 16)) == 16
    for other in (report, rtcp(210, 0, b""), rtcp(203, 0, b"")):
        with pytest.raises(MalformedPacket, match="more than 16"):
            parse_compound(report * 16 + other)


@pytest.mark.parametrize("kind", [1, 2])
def test_a_source_description_has_so_many_items_and_no_more(kind: int) -> None:
    def chunk(items: int) -> bytes:
        body = bytes(4) + bytes((kind, 0)) * items
        return rtcp(202, 1, body + bytes(4 - len(body) % 4))

    (found,) = parse_compound(chunk(16), reduced_size=True)
    assert isinstance(found, SourceDescription)
    with pytest.raises(MalformedPacket, match="more than 16 items"):
        parse_compound(chunk(17), reduced_size=True)


def test_of_a_nack_so_many_pairs_are_read() -> None:
    (nack,) = parse_compound(rtcp(205, 1, bytes(8) + b"\0\0\xff\xff" * 300), reduced_size=True)
    assert isinstance(nack, Nack)
    assert len(nack.lost) == 32 * 17
