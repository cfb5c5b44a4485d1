"""RTP packets and header extensions: read, written, refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp import ExtensionElement, HeaderExtension, MalformedPacket, RtpPacket, is_rtcp

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
            packet = RtpPacket.parse(bytes(data))
            if packet.extension is not None:
                packet.extension.elements()
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


def test_one_byte_elements_are_packed_and_padded() -> None:
    # RFC 8285 section 4.2: ID 1 with one octet, ID 2 with three.
    elements = (ExtensionElement(1, b"\xaa"), ExtensionElement(2, b"\x01\x02\x03"))
    extension = HeaderExtension.from_elements(elements)
    assert extension == HeaderExtension(0xBEDE, bytes.fromhex("10aa 22010203 0000"))
    assert extension.elements() == elements


def test_an_element_that_needs_it_makes_the_headers_two_bytes() -> None:
    elements = (
        ExtensionElement(15, b"a"),
        ExtensionElement(200, b""),
        ExtensionElement(3, b"b" * 200),
    )
    extension = HeaderExtension.from_elements(elements)
    assert extension.profile == 0x1000
    assert extension.elements() == elements


def test_identifier_15_ends_one_byte_elements() -> None:
    extension = HeaderExtension(0xBEDE, bytes.fromhex("10aa f0ff 20bb 0000"))
    assert extension.elements() == (ExtensionElement(1, b"\xaa"),)


def test_padding_between_elements_is_skipped() -> None:
    extension = HeaderExtension(0xBEDE, bytes.fromhex("10aa 0000 20bb 0000"))
    assert [element.identifier for element in extension.elements()] == [1, 2]


@pytest.mark.parametrize(
    "extension",
    [
        HeaderExtension(0xBEDE, bytes.fromhex("000000 1f")),
        HeaderExtension(0x1000, bytes.fromhex("01 03 aabb")),
        HeaderExtension(0x1000, bytes.fromhex("000000 01")),
    ],
)
def test_an_element_beyond_its_extension_is_refused(extension: HeaderExtension) -> None:
    with pytest.raises(MalformedPacket):
        extension.elements()


def test_an_extension_of_another_profile_has_no_elements() -> None:
    assert HeaderExtension(0xABAC, b"\xff" * 8).elements() == ()


@pytest.mark.parametrize("element", [ExtensionElement(0, b"a"), ExtensionElement(1, b"a" * 256)])
def test_an_element_that_no_form_carries_is_not_packed(element: ExtensionElement) -> None:
    with pytest.raises(ValueError, match="identifier 1 to 255"):
        HeaderExtension.from_elements((element,))


@pytest.mark.parametrize(
    ("octets", "expected"),
    [("80c8 0001 00000001", True), ("81c9 0001 00000001", True), ("8000 0001 00000001", False),
     ("80e0 0001 00000001", False), ("00c8 0001 00000001", False), ("80c8", False)],
)  # fmt: skip
def test_rtcp_is_told_from_rtp_on_one_port(octets: str, expected: bool) -> None:
    assert is_rtcp(bytes.fromhex(octets)) is expected
