"""Extended reports: their blocks, read, written and refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp import (
    DelaySinceLastReceiverReport,
    MalformedPacket,
    ReceiverReferenceTime,
    ReceiverReport,
    VoipMetrics,
    parse_compound,
    print_compound,
)
from softphone.rtp.rtcp_xr import XR, ExtendedBlock, parse_extended_report, print_extended_report

u8, u16 = st.integers(0, 255), st.integers(0, 0xFFFF)
u32, s8 = st.integers(0, 0xFFFFFFFF), st.integers(-128, 127)
metrics = st.builds(
    VoipMetrics, st.just(9), u32, u8, u8, u8, u8, u16, u16, u16, u16, s8, s8,
    u8, u8, u8, u8, u8, u8, u8, u16, u16, u16,
)  # fmt: skip
blocks = st.one_of(
    metrics,
    st.builds(ReceiverReferenceTime, st.just(9), st.integers(0, (1 << 64) - 1)),
    st.builds(DelaySinceLastReceiverReport, st.just(9), u32, u32, u32),
)


@given(st.lists(blocks, min_size=1, max_size=8))
def test_what_is_written_is_read_back(written: list[ExtendedBlock]) -> None:
    assert parse_extended_report(print_extended_report(written)) == written


def test_reference_times_are_laid_out_as_in_sections_4_4_and_4_5() -> None:
    written = (
        ReceiverReferenceTime(1, 0x0102030405060708),
        DelaySinceLastReceiverReport(1, 2, 3, 4),
    )
    data = print_compound((ReceiverReport(1), *written))[8:]
    # One packet for both, since one sender has them in a row.
    assert data == bytes.fromhex(
        "80cf0008 00000001 04000002 01020304 05060708 05000003 00000002 00000003 00000004"
    )
    assert data[1] == XR


def test_voip_metrics_are_laid_out_as_in_section_4_7() -> None:
    """With the numbers of the example in section 4.7.2."""
    block = VoipMetrics(
        1, 2, 12, 12, 84, 10, 120, 520, 300, 40, -18, -60, 45, 16, 91, 127, 43, 41, 0xF3,
        60, 80, 200,
    )  # fmt: skip
    octets = bytes.fromhex(
        "00000001 07000008 00000002 0c0c540a 00780208 012c0028 eec42d10 5b7f2b29 f300003c 005000c8"
    )
    assert print_extended_report([block]) == octets
    reserved = bytearray(octets)
    reserved[5] = reserved[33] = 0xFF
    assert parse_extended_report(bytes(reserved)) == [block]


def test_blocks_of_several_senders_are_packets_of_their_own() -> None:
    written = (ReceiverReport(1), VoipMetrics(1, 2, 0, 0), VoipMetrics(3, 2, 0, 0))
    assert parse_compound(print_compound(written)) == written


def test_blocks_that_are_not_known_are_skipped() -> None:
    unknown = bytes.fromhex("00000001 01000001 00000000 ff000000")
    assert parse_extended_report(unknown) == []


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("00000001 04000001 00000000", "another length than 2 words"),
        ("00000001 05000002 00000000 00000000", "whole sub-blocks"),
        ("00000001 07000001 00000000", "another length than 8 words"),
        ("00000001 04000009 00000000", "runs beyond"),
    ],
)
def test_blocks_that_do_not_add_up_are_malformed(octets: str, reason: str) -> None:
    with pytest.raises(MalformedPacket, match=reason):
        parse_extended_report(bytes.fromhex(octets))


def test_a_report_that_is_cut_off_is_malformed_in_its_compound() -> None:
    with pytest.raises(struct.error):
        parse_extended_report(b"\0\0\0\1\7\0")


def test_of_a_dlrr_block_only_so_many_entries_are_read() -> None:
    body = bytes.fromhex("00000001 0500012c") + bytes(300 * 4)
    assert len(parse_extended_report(body)) == 32
