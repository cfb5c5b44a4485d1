"""Blocks and frames of a capture file, octet by octet and as tshark reads them."""

from __future__ import annotations

import struct

import pytest

from softphone.diagnostics.pcapng import (
    LinkType,
    enhanced_packet_block,
    exported_message,
    interface_block,
    section_header_block,
    udp_frame,
)
from softphone.events import VoiceQuality
from softphone.media.quality import voip_metrics
from softphone.rtp import (
    DelaySinceLastReceiverReport,
    ReceiverReferenceTime,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    print_compound,
)
from softphone.sans_io import Transport
from tests.support import tshark

ONE, OTHER = ("127.0.0.1", 4000), ("192.0.2.9", 5000)
SIX, SIX_OTHER = ("2001:db8::1", 4000), ("fe80::2%lo", 5000)
RTP = bytes.fromhex("8000000100000000000000aa") + b"\xff" * 160


def test_blocks_are_padded_and_say_their_length_twice():
    for block in (
        section_header_block("x"),
        interface_block(LinkType.RAW_IP, "media"),
        enhanced_packet_block(0, b"abcde", at=1.5, comment="why"),
    ):
        length = struct.unpack("<I", block[4:8])[0]
        assert length == len(block) == struct.unpack("<I", block[-4:])[0]
        assert length % 4 == 0


def test_a_time_is_in_microseconds():
    block = enhanced_packet_block(1, b"", at=1_700_000_000.25)
    number, high, low, captured, length = struct.unpack("<IIIII", block[8:28])
    assert (number, captured, length) == (1, 0, 0)
    assert (high << 32 | low) == 1_700_000_000_250_000


@pytest.mark.parametrize(("source", "destination"), [(ONE, OTHER), (SIX, SIX_OTHER), (ONE, SIX)])
@pytest.mark.parametrize("data", [RTP, RTP[:-1], b""])
def test_frames_have_the_checksums_that_tshark_computes(source, destination, data, tmp_path):
    file = tmp_path / "x.pcapng"
    frame = udp_frame(data, source=source, destination=destination)
    file.write_bytes(
        section_header_block("t")
        + interface_block(LinkType.RAW_IP, "m")
        + enhanced_packet_block(0, frame, at=0.0)
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
        section_header_block("t")
        + interface_block(LinkType.EXPORTED_MESSAGE, "s")
        + enhanced_packet_block(0, message, at=0.0, comment="over it")
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


@pytest.mark.parametrize("sending", [True, False])
def test_extended_reports_are_well_formed_to_tshark(sending, tmp_path):
    block = ReportBlock(2, 3, 4, 5, 6, 7, 8)
    report = SenderReport(1, 1 << 60, 160, 10, 1600, (block,))
    quality = VoiceQuality(burst_duration_ms=100.0, r_factor=93.2, mos_listening=4.4)
    blocks = [
        DelaySinceLastReceiverReport(1, 2, 77, 88),
        voip_metrics(quality, sender_ssrc=1, ssrc=2),
    ]
    if not sending:
        blocks.insert(0, ReceiverReferenceTime(1, 1 << 61))
    first = report if sending else ReceiverReport(1, (block,))
    data = print_compound((first, SourceDescription(1, "a@example.test"), *blocks))
    file = tmp_path / "x.pcapng"
    frame = udp_frame(data, source=(ONE[0], 4001), destination=(OTHER[0], 5001))
    file.write_bytes(
        section_header_block("t")
        + interface_block(LinkType.RAW_IP, "m")
        + enhanced_packet_block(0, frame, at=0.0)
    )
    shown = tshark.read(file, "-d", "udp.port==5001,rtcp", "-V")
    assert "Extended report (RFC 3611)" in shown
    assert "R Factor: 93" in shown
    assert "MOS - Listening Quality: 4.4" in shown
    assert f"RTCP frame length check: OK - {len(data)} bytes" in shown
    assert "alformed" not in shown
