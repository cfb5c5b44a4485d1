"""RTP headers of a batch against the scalar reader, which is their oracle."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.media.bank import PacketBatch
from softphone.media.tick.rtp_headers import (
    as_slice,
    read_headers,
    read_payload_lengths,
    write_headers,
)
from softphone.rtp import HeaderExtension, MalformedPacket, RtpPacket

NOWHERE = np.zeros(32, dtype=np.uint8)


def batch_of(*packets):
    batch = PacketBatch.allocate(max(1, len(packets)), width=1536)
    for at, data in enumerate(packets):
        assert batch.append_packet(at, 1, NOWHERE, data)
    return batch


def read(batch):
    """What the batch reader says of each packet: fields and payload, or None."""
    headers, valid = read_headers(batch, np.arange(batch.count))
    lengths = read_payload_lengths(batch, headers)
    found = dict.fromkeys(range(batch.count))
    for at, index in enumerate(headers.index.tolist()):
        if lengths[at] < 0:
            continue
        start = int(headers.offset[at])
        payload = batch.data[index, start : start + int(lengths[at])].tobytes()
        found[index] = (
            int(headers.payload_type[at]),
            int(headers.sequence[at]),
            int(headers.timestamp[at]),
            int(headers.ssrc[at]),
            payload,
        )
    assert int(valid.sum()) == len(headers)
    return list(found.values())


def oracle(data):
    try:
        packet = RtpPacket.parse(data)
    except MalformedPacket:
        return None
    return (
        packet.payload_type,
        packet.sequence_number,
        packet.timestamp,
        packet.ssrc,
        packet.payload,
    )


EXTENSION = HeaderExtension(0xBEDE, b"\x12abc")
PACKETS = [
    RtpPacket(0, 1, 160, 7, b"x" * 160),
    RtpPacket(127, 65535, 0xFFFFFFFF, 0xFFFFFFFF, b"", marker=True),
    RtpPacket(8, 2, 3, 4, b"y" * 20, csrc=(1, 2, 3)),
    RtpPacket(8, 2, 3, 4, b"y" * 20, extension=EXTENSION),
    RtpPacket(8, 2, 3, 4, b"y" * 20, csrc=(9,), extension=EXTENSION, padding=8),
    RtpPacket(8, 2, 3, 4, b"y" * 20, padding=1),
]


def test_every_shape_of_header_is_read_as_the_scalar_reader_reads_it():
    wire = [bytes(packet) for packet in PACKETS]
    assert read(batch_of(*wire)) == [oracle(data) for data in wire]


def test_every_prefix_gets_the_scalar_readers_verdict():
    for packet in PACKETS:
        data = bytes(packet)
        prefixes = [data[:size] for size in range(min(len(data), 60))]
        assert read(batch_of(*prefixes)) == [oracle(prefix) for prefix in prefixes]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=80), min_size=1, max_size=12), st.integers(0, 1 << 30))
def test_hostile_bytes_get_the_scalar_readers_verdict(noise, seed):
    source = random.Random(seed)
    changed = []
    for packet in PACKETS:
        data = bytearray(bytes(packet))
        data[source.randrange(len(data))] = source.randrange(256)
        changed.append(bytes(data))
    version = [b"\x80" + data for data in noise]
    batch = batch_of(*noise, *changed, *version)
    assert read(batch) == [oracle(data) for data in (*noise, *changed, *version)]


def test_headers_that_are_written_are_read_back():
    batch = PacketBatch.allocate(3, width=64)
    batch.count = 3
    batch.length[:] = 12
    write_headers(
        batch,
        slice(0, 3),
        payload_type=np.array([0, 0x80 | 8, 101], dtype=np.uint8),
        sequence=np.array([1, 2, 65535], dtype=np.uint16),
        timestamp=np.array([0, 160, 0xFFFFFFFF], dtype=np.uint32),
        ssrc=np.array([1, 2, 3], dtype=np.uint32),
    )
    packets = [RtpPacket.parse(batch.packet(at)) for at in range(3)]
    assert packets == [
        RtpPacket(0, 1, 0, 1),
        RtpPacket(8, 2, 160, 2, marker=True),
        RtpPacket(101, 65535, 0xFFFFFFFF, 3),
    ]


def test_taking_everything_copies_nothing():
    headers, _ = read_headers(batch_of(bytes(PACKETS[0])), np.arange(1))
    assert headers.select(np.ones(1, dtype=bool)) is headers
    assert len(headers.select(np.zeros(1, dtype=bool))) == 0


@pytest.mark.parametrize("size", [0, 11])
def test_a_batch_of_nothing_sound_has_no_headers(size):
    headers, valid = read_headers(batch_of(bytes(size)), np.arange(1))
    assert len(headers) == 0
    assert not valid.any()


def test_neighbors_are_a_slice_and_others_are_not():
    assert as_slice(np.arange(3, 7)) == slice(3, 7)
    assert as_slice(np.zeros(0, dtype=np.intp)) == slice(0)
    assert as_slice(np.array([1, 2, 4])).tolist() == [1, 2, 4]
