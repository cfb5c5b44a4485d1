"""RFC 6184: known payloads, both ways, and what is rejected."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp import EncodedFrame, H264Depacketizer, H264Packetizer
from softphone.rtp.h264 import join_nal_units, split_nal_units

SPS = base64.b64decode("Z0IACpZTBYmI")
PPS = base64.b64decode("aMljiA==")
"""The parameter sets of the example in RFC 6184 section 8.2.3."""
IDR = b"\x65" + bytes(range(1, 40))

bodies = st.binary(min_size=1, max_size=400).map(lambda data: data.replace(b"\0", b"\1"))
units = st.builds(
    lambda kind, ref, body: bytes((ref << 5 | kind,)) + body,
    st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8]),
    st.integers(0, 3),
    bodies,
)


def frame_of(*payloads: bytes) -> EncodedFrame | None:
    depacketizer = H264Depacketizer()
    for payload in payloads:
        assert depacketizer.add_payload(payload) is None
    return depacketizer.finish_frame()


def test_nal_units_are_found_behind_long_and_short_start_codes() -> None:
    stream = b"junk\0\0\0\1\x67a\0\0\1\x68b\0\0\0\0\1\x65c\0\0"
    assert split_nal_units(stream) == [b"\x67a", b"\x68b", b"\x65c"]
    assert split_nal_units(b"") == split_nal_units(b"nothing\0\0") == []


def test_small_units_share_a_stap_a() -> None:
    payload = bytes.fromhex("78 0009") + SPS + bytes.fromhex("0004") + PPS
    packets = H264Packetizer().packetize(join_nal_units([SPS, PPS]))
    assert packets == [payload]
    assert frame_of(payload, IDR) == EncodedFrame(join_nal_units([SPS, PPS, IDR]), key=True)


def test_a_large_unit_is_cut_into_fu_a() -> None:
    unit = b"\x41" + bytes(range(1, 151))
    packets = H264Packetizer(size=64).packetize(join_nal_units([unit]))
    assert [packet[:2].hex() for packet in packets] == ["5c81", "5c01", "5c41"]
    assert b"".join(packet[2:] for packet in packets) == unit[1:]
    assert frame_of(*packets) == EncodedFrame(join_nal_units([unit]), key=False)


def test_in_mode_0_each_unit_is_a_payload_of_its_own() -> None:
    units = [SPS, PPS, b"\x65" + b"x" * 3000]
    assert H264Packetizer(mode=0).packetize(join_nal_units(units)) == units
    assert frame_of(*units) == EncodedFrame(join_nal_units(units), key=True)


def test_delimiters_and_filler_are_not_sent() -> None:
    assert H264Packetizer().packetize(join_nal_units([b"\x09\xf0", b"\x0c\xff\x80", IDR])) == [IDR]


def test_parameter_sets_with_a_timestamp_of_their_own_join_the_next_frame() -> None:
    depacketizer = H264Depacketizer()
    depacketizer.add_payload(SPS)
    depacketizer.add_payload(PPS)
    assert depacketizer.finish_frame() is None
    depacketizer.add_payload(IDR)
    assert depacketizer.finish_frame() == EncodedFrame(join_nal_units([SPS, PPS, IDR]), key=True)


@given(st.lists(units, min_size=1, max_size=20), st.integers(64, 500), st.sampled_from([0, 1]))
def test_what_is_cut_is_joined(units: list[bytes], size: int, mode: int) -> None:
    depacketizer = H264Depacketizer()
    payloads = H264Packetizer(mode=mode, size=size).packetize(join_nal_units(units))
    assert mode == 0 or all(len(payload) <= size for payload in payloads)
    assert [depacketizer.add_payload(payload) for payload in payloads] == [None] * len(payloads)
    depacketizer.add_payload(IDR)
    told = depacketizer.finish_frame()
    assert told is not None
    assert split_nal_units(told.data) == [*units, IDR]


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        ("", "empty"),
        ("e5 01", "forbidden"),
        ("78", "no NAL unit"),
        ("78 0000 65", "does not fit"),
        ("78 0009 65 01", "does not fit"),
        ("78 0001 78", "no single"),
        ("78 0001 7c", "no single"),
        ("79 0000 0001 65", "STAP-B"),
        ("7a 0001 02", "MTAP16"),
        ("7d 8501", "FU-B"),
        ("7c 85", "holds nothing"),
        ("7c c5 01", "header"),
        ("7c 9c 01", "header"),
        ("7c 05 01", "continues no"),
        ("60 01", "type 0"),
        ("7f 01", "type 31"),
    ],
)
def test_what_is_no_payload_of_these_modes_is_rejected_and_marks_the_frame(
    payload: str, word: str
) -> None:
    depacketizer = H264Depacketizer()
    reason = depacketizer.add_payload(bytes.fromhex(payload))
    assert reason is not None
    assert word in reason
    depacketizer.add_payload(IDR)
    told = depacketizer.finish_frame()
    assert told is not None
    assert not told.complete


def test_a_fragment_without_its_end_spoils_its_frame_and_no_other() -> None:
    first, middle, last = H264Packetizer(size=64).packetize(join_nal_units([b"\x65" + b"x" * 150]))
    depacketizer = H264Depacketizer()
    depacketizer.add_payload(first)
    assert "no end" in (depacketizer.add_payload(IDR) or "")
    depacketizer.finish_frame()
    depacketizer.add_payload(first)
    assert "no end" in (depacketizer.add_payload(first) or "")
    depacketizer.finish_frame()
    depacketizer.add_payload(first)
    depacketizer.add_payload(last, gap=True)
    told = depacketizer.finish_frame()
    assert told is None or not told.complete
    assert frame_of(first, middle, last) is not None


def test_a_frame_of_endless_units_or_fragments_is_cut_short() -> None:
    depacketizer = H264Depacketizer()
    for _ in range(1024):
        assert depacketizer.add_payload(b"\x41\x01") is None
    assert "1024" in (depacketizer.add_payload(b"\x41\x01") or "")
    depacketizer.finish_frame()
    depacketizer.add_payload(b"\x7c\x85\x01")
    reasons = [depacketizer.add_payload(b"\x7c\x05\x01") for _ in range(9000)]
    assert any(reasons)


def test_another_mode_or_a_useless_size_is_refused() -> None:
    with pytest.raises(ValueError, match="mode 2"):
        H264Packetizer(mode=2)
    with pytest.raises(ValueError, match="63"):
        H264Packetizer(size=63)
