"""The packets of TFTP: what is written is read again, and what is none is refused."""

from __future__ import annotations

import pytest

from softphone.provisioning.tftp.packet import (
    AckPacket,
    DataPacket,
    ErrorPacket,
    MalformedTftpPacket,
    OackPacket,
    RequestPacket,
    parse_tftp_packet,
)


@pytest.mark.parametrize(
    ("packet", "data"),
    [
        (RequestPacket("a.tlv"), b"\0\1a.tlv\0octet\0"),
        (RequestPacket("a", write=True), b"\0\2a\0octet\0"),
        # The example of RFC 2348.
        (
            RequestPacket("foobar", "octet", {"blksize": "1428"}),
            b"\0\1foobar\0octet\0blksize\x001428\0",
        ),
        (DataPacket(1, b"abc"), b"\0\3\0\1abc"),
        (DataPacket(65535, b""), b"\0\3\xff\xff"),
        (AckPacket(258), b"\0\4\1\2"),
        (ErrorPacket(1, "gone"), b"\0\5\0\1gone\0"),
        (OackPacket({"blksize": "1428"}), b"\0\6blksize\x001428\0"),
    ],
)
def test_a_packet_is_these_bytes_in_both_directions(packet, data):
    assert packet.encode() == data
    assert parse_tftp_packet(data) == packet


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\3\0",
        b"\0\0ab",
        b"\0\7ab",
        b"\0\1a\0octet",
        b"\0\1\0octet\0",
        b"\0\1octet\0",
        b"\0\1a\0octet\0blksize\0",
        b"\0\1a\0octet\0blksize\x008\0BLKSIZE\x009\0",
        b"\0\1\xff\0octet\0",
        b"\0\1a\x1b[2J\0octet\0",
        b"\0\1" + b"a" * 600 + b"\0octet\0",
        b"\0\6" + b"a\0b\0" * 200,
    ],
)
def test_what_is_no_packet_is_refused(data):
    with pytest.raises(MalformedTftpPacket):
        parse_tftp_packet(data)


def test_options_and_mode_are_read_without_case():
    packet = parse_tftp_packet(b"\0\1a\0OCTET\0BlkSize\x008\0")
    assert packet == RequestPacket("a", "octet", {"blksize": "8"})


def test_an_errors_message_is_harmless_and_need_not_be_ended():
    packet = parse_tftp_packet(b"\0\5\0\2no\x1b[2J\r\nway")
    assert packet.words == "access violation (2): no?[2J??way"
    assert ErrorPacket(77).words == "error (77)"
