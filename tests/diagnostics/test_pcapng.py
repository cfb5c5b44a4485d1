"""Blocks and frames of a capture file, octet by octet and as tshark reads them."""

from __future__ import annotations

import struct

import pytest

from softphone.diagnostics.pcapng import (
    LinkType,
    enhanced_packet,
    exported_message,
    interface,
    section,
    udp_frame,
)
from softphone.machine import Transport
from tests.support import tshark

ONE, OTHER = ("127.0.0.1", 4000), ("192.0.2.9", 5000)
SIX, SIX_OTHER = ("2001:db8::1", 4000), ("fe80::2%lo", 5000)
RTP = bytes.fromhex("8000000100000000000000aa") + b"\xff" * 160


def test_blocks_are_padded_and_say_their_length_twice():
    for block in (
        section("x"),
        interface(LinkType.RAW_IP, "media"),
        enhanced_packet(0, b"abcde", at=1.5, comment="why"),
    ):
        length = struct.unpack("<I", block[4:8])[0]
        assert length == len(block) == struct.unpack("<I", block[-4:])[0]
        assert length % 4 == 0


def test_a_time_is_in_microseconds():
    block = enhanced_packet(1, b"", at=1_700_000_000.25)
    number, high, low, captured, length = struct.unpack("<IIIII", block[8:28])
    assert (number, captured, length) == (1, 0, 0)
    assert (high << 32 | low) == 1_700_000_000_250_000


@pytest.mark.parametrize(("source", "destination"), [(ONE, OTHER), (SIX, SIX_OTHER), (ONE, SIX)])
@pytest.mark.parametrize("data", [RTP, RTP[:-1], b""])
def test_frames_have_the_checksums_that_tshark_computes(source, destination, data, tmp_path):
    file = tmp_path / "x.pcapng"
    frame = udp_frame(data, source=source, destination=destination)
    file.write_bytes(
        section("t") + interface(LinkType.RAW_IP, "m") + enhanced_packet(0, frame, at=0.0)
    )
    fields = [
        "udp.srcport",
        "udp.dstport",
        "udp.checksum.status",
        "ip.checksum.status",
        "udp.length",
    ]
    options = [part for field in fields for part in ("-e", field)]
    checks = ["-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    shown = tshark.read(file, *checks, "-T", "fields", "-E", "separator=,", *options).strip()
    ports, checked, four, length = shown.split(",")[:2], *shown.split(",")[2:]
    assert ports == [str(source[1]), str(destination[1])]
    assert checked == "1"
    assert four in ("1", "")  # IPv6 has none
    assert length == str(8 + len(data))


@pytest.mark.parametrize("transport", list(Transport))
def test_a_message_goes_to_its_dissector(transport, tmp_path):
    file = tmp_path / "x.pcapng"
    data = b"OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bKx\r\n\r\n"
    message = exported_message("sip", data, transport=transport, source=ONE, destination=OTHER)
    file.write_bytes(
        section("t")
        + interface(LinkType.EXPORTED_MESSAGE, "s")
        + enhanced_packet(0, message, at=0.0, comment="over it")
    )
    options = [
        "-T",
        "fields",
        "-e",
        "sip.Method",
        "-e",
        "frame.comment",
        "-e",
        "exported_pdu.ipv4_src",
    ]
    assert tshark.read(file, *options).split("\t")[:2] == ["OPTIONS", "over it"]


def test_what_is_no_address_is_refused():
    with pytest.raises(ValueError, match="does not appear"):
        udp_frame(b"", source=("host.example", 1), destination=ONE)
