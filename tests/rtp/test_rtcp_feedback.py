"""RFC 4585 and RFC 5104: feedback as octets, both ways."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp import (
    BitrateLimit,
    FullIntraRequest,
    MalformedPacket,
    Nack,
    PictureLossIndication,
    TemporaryBitrateNotification,
    TemporaryBitrateRequest,
    parse_compound,
    print_compound,
)
from softphone.rtp.rtcp_feedback import MOST_ENTRIES, RtcpFeedback, nack_pairs, parse_feedback

u32 = st.integers(0, 0xFFFFFFFF)
limits = st.builds(
    BitrateLimit,
    u32,
    st.integers(0, (1 << 17) - 1).map(lambda rate: rate << 5),
    st.integers(0, 511),
)
many = st.lists(limits, max_size=8).map(tuple)
packets = (
    st.builds(PictureLossIndication, u32, u32)
    | st.builds(FullIntraRequest, u32, st.lists(st.tuples(u32, st.integers(0, 255))).map(tuple))
    | st.builds(TemporaryBitrateRequest, u32, many)
    | st.builds(TemporaryBitrateNotification, u32, many)
)


def octets(packet: RtcpFeedback) -> bytes:
    return print_compound((packet,), reduced_size=True)


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (PictureLossIndication(1, 2), "81ce0002 00000001 00000002"),
        (FullIntraRequest(1, ((2, 7),)), "84ce0004 00000001 00000000 00000002 07000000"),
        (Nack(1, 2, (5, 6, 21, 22)), "81cd0004 00000001 00000002 00058001 00160000"),
        # 256,000 bit/s is 128,000 << 1: exponent 1, mantissa 0x1F400, overhead 40.
        (
            TemporaryBitrateRequest(1, (BitrateLimit(2, 256_000, 40),)),
            "83cd0004 00000001 00000000 00000002 07e80028",
        ),
        (
            TemporaryBitrateNotification(2, (BitrateLimit(1, 256_000, 40),)),
            "84cd0004 00000002 00000000 00000001 07e80028",
        ),
        (TemporaryBitrateNotification(2, ()), "84cd0002 00000002 00000000"),
    ],
)
def test_known_octets_both_ways(packet: RtcpFeedback, text: str) -> None:
    data = bytes.fromhex(text)
    assert octets(packet) == data
    assert parse_compound(data, reduced_size=True) == (packet,)


@given(packets)
def test_what_is_written_is_read_back(packet: RtcpFeedback) -> None:
    assert parse_compound(octets(packet), reduced_size=True) == (packet,)


@given(st.integers(0, (1 << 80) - 1))
def test_a_bit_rate_is_rounded_down_and_by_little(bitrate: int) -> None:
    packet = TemporaryBitrateRequest(1, (BitrateLimit(2, bitrate),))
    (told,) = parse_compound(octets(packet), reduced_size=True)
    assert isinstance(told, TemporaryBitrateRequest)
    assert bitrate * (1 - 2**-16) - 1 < told.entries[0].bitrate <= bitrate


@pytest.mark.parametrize(
    "limit", [BitrateLimit(1, -1), BitrateLimit(1, 1 << 81), BitrateLimit(1, 1, 512)]
)
def test_a_limit_that_does_not_fit_is_refused(limit: BitrateLimit) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        octets(TemporaryBitrateRequest(1, (limit,)))


def test_losses_over_the_wrap_share_pairs() -> None:
    assert nack_pairs((65535, 0, 15, 16)) == [(65535, 1 | 1 << 15), (16, 0)]


def test_what_is_read_of_one_packet_is_bounded() -> None:
    body = struct.pack("!II", 1, 2) + b"\0\1\xff\xff" * 500
    told = parse_feedback(205, 1, body)
    assert isinstance(told, Nack)
    assert len(told.lost) == 32 * 17
    limited = parse_feedback(205, 3, body)
    assert isinstance(limited, TemporaryBitrateRequest)
    assert len(limited.entries) == MOST_ENTRIES


def test_unknown_forms_are_skipped_and_short_ones_malformed() -> None:
    assert parse_compound(bytes.fromhex("8fce0002 00000001 00000002"), reduced_size=True) == ()
    with pytest.raises(MalformedPacket):
        parse_compound(bytes.fromhex("81ce0001 00000001"), reduced_size=True)
