"""RFC 7741: the payload descriptor, both ways, and what is rejected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.rtp import EncodedFrame, Vp8Depacketizer, Vp8Packetizer
from softphone.rtp.vp8 import Vp8Descriptor

descriptors = st.builds(
    Vp8Descriptor,
    start=st.booleans(),
    partition=st.integers(0, 7),
    non_reference=st.booleans(),
    picture_id=st.none() | st.integers(0, 0x7FFF),
    tl0_picture_index=st.none() | st.integers(0, 255),
    temporal_layer=st.integers(0, 3),
    layer_sync=st.booleans(),
    key_index=st.none() | st.integers(0, 31),
)


@pytest.mark.parametrize(
    ("octets", "descriptor"),
    [
        # The examples of RFC 7741 section 4.5.
        ("90 80 11", Vp8Descriptor(start=True, picture_id=17)),
        ("00", Vp8Descriptor(start=False)),
        ("80 80 11", Vp8Descriptor(start=False, picture_id=17)),
        ("90 80 92 ed", Vp8Descriptor(start=True, picture_id=4845)),
        (
            "90 e0 91 23 05 c0",
            Vp8Descriptor(start=True, picture_id=0x1123, tl0_picture_index=5, temporal_layer=3),
        ),
        (
            "b7 10 0b",
            Vp8Descriptor(start=True, partition=7, non_reference=True, key_index=11),
        ),
    ],
)
def test_known_descriptors_are_read(octets: str, descriptor: Vp8Descriptor) -> None:
    data = bytes.fromhex(octets)
    assert Vp8Descriptor.parse(data + b"payload") == (descriptor, len(data))


@given(descriptors, st.binary(max_size=9))
def test_what_is_written_is_read_back(descriptor: Vp8Descriptor, rest: bytes) -> None:
    data = bytes(descriptor)
    assert Vp8Descriptor.parse(data + rest) == (descriptor, len(data))


@given(descriptors)
def test_a_cut_descriptor_is_none(descriptor: Vp8Descriptor) -> None:
    data = bytes(descriptor)
    for end in range(len(data)):
        assert Vp8Descriptor.parse(data[:end]) is None


@given(st.binary(min_size=1, max_size=5000), st.integers(64, 1200))
def test_what_is_cut_is_joined(frame: bytes, size: int) -> None:
    depacketizer = Vp8Depacketizer()
    payloads = Vp8Packetizer(size=size, picture_id=0x7FFF).packetize(frame)
    assert all(len(payload) <= size for payload in payloads)
    assert [depacketizer.add_payload(payload) for payload in payloads] == [None] * len(payloads)
    assert depacketizer.finish_frame() == EncodedFrame(frame, key=not frame[0] & 1)


def test_picture_identifiers_count_and_wrap() -> None:
    packetizer = Vp8Packetizer(picture_id=0x7FFF)
    payloads = [packetizer.packetize(b"\0frame")[0] for _ in range(2)]
    read = [Vp8Descriptor.parse(payload) for payload in payloads]
    assert [found[0].picture_id for found in read if found] == [0x7FFF, 0]


def test_a_frame_of_several_partitions_is_one_frame() -> None:
    depacketizer = Vp8Depacketizer()
    assert depacketizer.add_payload(b"\x10\x01one") is None
    assert depacketizer.add_payload(b"\x11two") is None
    assert depacketizer.finish_frame() == EncodedFrame(b"\x01onetwo", key=False)


@pytest.mark.parametrize(
    ("payloads", "word"),
    [
        (["80"], "cut off"),
        (["90 80"], "cut off"),
        (["10"], "empty"),
        (["00 01"], "first packet"),
        (["11 01"], "first packet"),
        (["10 01", "10 01"], "two beginnings"),
        (["90 80 11 01", "80 80 12 01"], "two pictures"),
    ],
)
def test_what_does_not_fit_is_rejected_and_marks_the_frame(payloads: list[str], word: str) -> None:
    depacketizer = Vp8Depacketizer()
    reasons = [depacketizer.add_payload(bytes.fromhex(payload)) for payload in payloads]
    assert word in (reasons[-1] or "")
    told = depacketizer.finish_frame()
    assert told is None or not told.complete
    assert depacketizer.add_payload(b"\x10\x00whole") is None
    assert depacketizer.finish_frame() == EncodedFrame(b"\x00whole", key=True)


def test_nothing_makes_no_packet_and_a_useless_size_is_refused() -> None:
    assert Vp8Packetizer().packetize(b"") == []
    with pytest.raises(ValueError, match="63"):
        Vp8Packetizer(size=63)
