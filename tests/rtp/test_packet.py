"""RTP packets and header extensions: read, written, refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp import HeaderExtension, MalformedPacket, RtpPacket, is_rtcp

PLAIN = bytes.fromhex("8000 1234 0000 00a0 cafe babe") + b"payload"
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
extensions = st.none() | st.builds(
    HeaderExtension, u16, st.binary(max_size=40).map(lambda data: data + bytes(-len(data) % 4))
)
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence_number=u16,
    timestamp=u32,
    ssrc=u32,
    payload=st.binary(max_size=64),
    marker=st.booleans(),
    csrc=st.lists(u32, max_size=15).map(tuple),
    extension=extensions,
    padding=st.integers(0, 255),
)


def test_the_fixed_header_is_read() -> None:
    packet = RtpPacket.parse(PLAIN)
    assert packet == RtpPacket(0, 0x1234, 160, 0xCAFEBABE, b"payload")


@given(packets)
def test_what_is_written_is_read_back(packet: RtpPacket) -> None:
    assert RtpPacket.parse(bytes(packet)) == packet


@given(packets, st.data())
def test_a_cut_packet_is_refused_or_is_another_packet(
    packet: RtpPacket, data: st.DataObject
) -> None:
    octets = bytes(packet)
    cut = octets[: data.draw(st.integers(0, len(octets) - 1))]
    try:
        shorter = RtpPacket.parse(cut)
    except MalformedPacket:
        return
    assert bytes(shorter)[: len(cut) - shorter.padding] == cut[: len(cut) - shorter.padding]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "too few"),
        (PLAIN[:11], "too few"),
        (b"\x40" + PLAIN[1:], "version 1"),
        (b"\x8f" + PLAIN[1:], "CSRC list"),
        (b"\x90" + PLAIN[1:12] + b"\xbe\xde\x00", "cut off"),
        (b"\x90" + PLAIN[1:12] + b"\xbe\xde\x00\x02" + bytes(7), "beyond the packet"),
        (b"\x90" + PLAIN[1:12] + b"\xbe\xde\xff\xff" + bytes(1400), "beyond the packet"),
        (b"\xa0" + PLAIN[1:12] + b"\x00", "0 octets of padding"),
        (b"\xa0" + PLAIN[1:12] + b"\x02", "2 octets of padding"),
        (b"\xa0" + PLAIN[1:12], "octets of padding"),
    ],
)
def test_lengths_are_checked_before_they_are_trusted(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedPacket, match=reason):
        RtpPacket.parse(data)


def test_mutated_packets_are_read_or_refused_and_nothing_else() -> None:
    generator = random.Random(3550)
    seed = bytes(
        RtpPacket(
            8,
            1,
            2,
            3,
            b"x" * 20,
            True,
            (4, 5),
            HeaderExtension(0xBEDE, b"\x12abc\x00\x00\x00\x00"),
            4,
        )
    )
    refused = 0
    for _ in range(3000):
        data = bytearray(seed[: generator.randrange(1, len(seed) + 1)])
        for _ in range(3):
            data[generator.randrange(len(data))] = generator.randrange(256)
        try:
            RtpPacket.parse(bytes(data))
        except MalformedPacket:
            refused += 1
    assert 1000 < refused < 3000


@pytest.mark.parametrize(
    "packet",
    [
        RtpPacket(128, 0, 0, 0),
        RtpPacket(0, 65536, 0, 0),
        RtpPacket(0, 0, -1, 0),
        RtpPacket(0, 0, 0, 1 << 32),
        RtpPacket(0, 0, 0, 0, csrc=(0,) * 16),
        RtpPacket(0, 0, 0, 0, padding=256),
        RtpPacket(0, 0, 0, 0, extension=HeaderExtension(0, b"abc")),
    ],
)
def test_a_field_that_does_not_fit_is_not_written(packet: RtpPacket) -> None:
    with pytest.raises(ValueError, match=r"."):
        bytes(packet)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [("80c8 0001 00000001", True), ("81c9 0001 00000001", True), ("8000 0001 00000001", False),
     ("80e0 0001 00000001", False), ("00c8 0001 00000001", False), ("80c8", False)],
)  # fmt: skip
def test_rtcp_is_told_from_rtp_on_one_port(octets: str, expected: bool) -> None:
    assert is_rtcp(bytes.fromhex(octets)) is expected
