"""Rings of payloads addressed by frame."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from softphone.media.playout.payload_ring import (
    NEAR,
    PayloadRingBank,
    RingWrites,
    index_array,
    ramp,
)


def pieces(
    rows: list[int], frame: list[int], payloads: list[bytes], *, skip: int = 0, offset: int = 2
) -> RingWrites:
    width = offset + max(map(len, payloads))
    data = np.zeros((len(rows), width), dtype=np.uint8)
    for at, payload in enumerate(payloads):
        data[at, offset : offset + len(payload)] = list(payload)
    count = len(rows)
    return RingWrites(
        rows=np.array(rows),
        frame=np.array(frame, dtype=np.int64),
        skip=np.full(count, skip, dtype=np.int64),
        sequence=np.arange(count, dtype=np.int64) + 100,
        payload_type=np.arange(count, dtype=np.uint8),
        data=data,
        source=np.arange(count),
        offset=np.full(count, offset, dtype=np.int64),
        length=np.array([len(payload) for payload in payloads], dtype=np.int64),
    )


def read(bank: PayloadRingBank, row: int, frame: int, octets: int) -> bytes:
    slot = frame % bank.slots
    return bank.gather(np.array([row]), np.array([slot]), octets)[0].tobytes()


def test_a_whole_frame_is_found_in_its_slot() -> None:
    bank = PayloadRingBank(3, 8, 4)
    bank.store_whole(pieces([2, 0], [9, 5], [b"abcd", b"efgh"]))
    assert read(bank, 2, 9, 4) == b"abcd"
    assert read(bank, 0, 5, 4) == b"efgh"
    assert bank.frame[2, 1] == 9
    assert bank.sequence[0, 5] == 101
    assert bank.payload_type[0, 5] == 1


def test_one_row_is_emptied_and_no_other() -> None:
    bank = PayloadRingBank(2, 8, 8)
    bank.store_whole(pieces([0, 1], [3, 3], [b"abcd", b"efgh"]))
    joined = pieces([0, 1], [3, 3], [b"ijkl", b"mnop"])
    bank.join(joined)
    bank.clear_row(0)
    assert bank.frame[0, 3] < 0
    assert bank.frame[1, 3] == 3
    assert bank.take_joined(0, 3) == []
    assert bank.take_joined(1, 3) == [b"efgh", b"mnop"]


def test_payloads_at_different_offsets_go_in_together() -> None:
    bank = PayloadRingBank(2, 8, 4)
    both = pieces([0, 1], [0, 0], [b"abcd", b"efgh"])
    shifted = RingWrites(
        both.rows, both.frame, both.skip, both.sequence, both.payload_type,
        both.data, both.source, both.offset - np.array([0, 1]), both.length,
    )  # fmt: skip
    bank.store_whole(shifted)
    assert read(bank, 0, 0, 4) == b"abcd"
    assert read(bank, 1, 0, 4) == b"\0efg"


def test_lengths_differ_from_row_to_row() -> None:
    bank = PayloadRingBank(2, 8, 4)
    bank.store_whole(pieces([0, 1], [0, 0], [b"ab", b"efgh"]))
    assert bank.length[:, 0].tolist() == [2, 4]


@pytest.mark.parametrize("skip", [0, 1, 3])
def test_a_payload_is_cut_at_the_frames_it_touches(skip: int) -> None:
    bank = PayloadRingBank(1, 8, 4)
    bank.open_row(0, silence=ord("-"))
    bank.store_cut(pieces([0], [6], [b"abcdefgh"], skip=skip), np.array([4]))
    text = (b"-" * skip + b"abcdefgh").ljust(-(-(skip + 8) // 4) * 4, b"-")
    found = b"".join(read(bank, 0, 6 + at, 4) for at in range(len(text) // 4))
    assert found == text


def test_two_cut_payloads_make_up_a_frame() -> None:
    bank = PayloadRingBank(1, 8, 4)
    bank.open_row(0, silence=ord("-"))
    bank.store_cut(pieces([0], [1], [b"efghij"], skip=2), np.array([4]))
    bank.store_cut(pieces([0], [0], [b"abcdEF"], skip=0), np.array([4]))
    assert [read(bank, 0, at, 4) for at in range(3)] == [b"abcd", b"EFef", b"ghij"]


def test_the_next_frame_is_the_first_at_or_after_the_head() -> None:
    bank = PayloadRingBank(2, 8, 4)
    for row in (0, 1):
        bank.open_row(row, silence=0)
    for frame in (3, 6, 12):
        bank.store_whole(pieces([0], [frame], [b"abcd"]))
    rows = np.array([0, 0, 0, 1])
    frame, sequence = bank.next_frame(rows, np.array([3, 4, 13, 0]))
    none = np.iinfo(np.int64).max
    assert frame.tolist() == [3, 6, none, none]
    assert sequence[0] == 100


def test_a_cleared_ring_is_empty() -> None:
    bank = PayloadRingBank(1, 8, 4)
    bank.store_whole(pieces([0], [3], [b"abcd"]))
    bank.clear_rows(np.array([0]))
    assert bank.next_frame(np.array([0]), np.array([0]))[0][0] == np.iinfo(np.int64).max


def test_nothing_to_store_is_nothing() -> None:
    bank = PayloadRingBank(1, 8, 4)
    bank.open_row(0, silence=0)
    none = pieces([0], [3], [b"abcd"]).select(np.array([False]))
    bank.store_whole(none)
    bank.store_cut(none, np.zeros(0, dtype=np.int64))
    assert bank.frame.max() < 0


def test_a_ramp_counts_up_in_each_stretch() -> None:
    assert ramp(np.array([2, 0, 3])).tolist() == [0, 1, 0, 1, 2]


def test_frames_that_reach_beyond_the_near_part_come_out_whole_beside_short_ones():
    ring = PayloadRingBank(2, 8, 2 * NEAR)
    ring.open_row(0, silence=7)
    ring.open_row(1, silence=9)
    rng = np.random.default_rng(5)
    data = rng.integers(0, 256, (2, 3 * NEAR), dtype=np.uint8)
    rows = np.arange(2)
    zeros = np.zeros(2, dtype=np.int64)
    lengths = np.array([NEAR, 2 * NEAR], dtype=np.int64)
    kinds = np.zeros(2, dtype=np.uint8)
    ring.store_whole(RingWrites(rows, zeros, zeros, zeros, kinds, data, rows, zeros + 12, lengths))
    assert (ring.gather(rows[:1], rows[:1] * 0, NEAR) == data[:1, 12 : 12 + NEAR]).all()
    assert (ring.gather(rows[1:], rows[1:] * 0, 2 * NEAR) == data[1:, 12 : 12 + 2 * NEAR]).all()


def test_a_cut_frame_is_filled_with_silence_in_both_parts():
    ring = PayloadRingBank(1, 8, 2 * NEAR)
    ring.open_row(0, silence=7)
    data = np.arange(20, dtype=np.uint8)[None, :]
    one = np.zeros(1, dtype=np.int64)
    # Ten octets on each side of where the near part ends.
    skip = one + NEAR - 10
    pieces = RingWrites(one, one, skip, one, one.astype(np.uint8), data, one, one, one + 20)
    ring.store_cut(pieces, one + 2 * NEAR)
    expected = np.full(2 * NEAR, 7, dtype=np.uint8)
    expected[NEAR - 10 : NEAR + 10] = np.arange(20)
    assert (ring.gather(one, one, 2 * NEAR)[0] == expected).all()


def test_a_slice_names_numbers_as_an_index_does():
    assert index_array(slice(2, 5)).tolist() == [2, 3, 4]
    assert index_array(slice(3)).tolist() == [0, 1, 2]
    assert index_array(np.array([4, 1])).tolist() == [4, 1]


STATM = Path("/proc/self/statm")


@pytest.mark.skipif(not STATM.exists(), reason="there is no /proc here")
def test_only_the_rows_in_use_take_memory():
    def resident() -> int:
        return int(STATM.read_text().split()[1]) * mmap.PAGESIZE

    before = resident()
    bank = PayloadRingBank(8192, 32, 1488)
    for row in range(0, 8192, 128):
        bank.open_row(row, silence=0)
        for frame in range(32):
            bank.store_whole(pieces([row], [frame], [b"x" * NEAR]))
    assert resident() - before < 4 << 20


def test_each_payload_is_stored_as_it_fits_in() -> None:
    bank = PayloadRingBank(4, 8, 4)
    for row in range(4):
        bank.open_row(row, silence=0)
    bank.store_whole(pieces([2], [7], [b"old"]))
    given = pieces([0, 1, 1, 2, 3], [5, 5, 6, 7, 1], [b"abcd", b"ef", b"ghij", b"new", b"late"])
    timely = np.array([True, True, True, True, False])
    exact = np.array([True, False, True, True, True])
    single = np.array([False, False, False, True, False])
    bank.store_payloads(given, timely, exact, single, np.full(5, 4))
    assert read(bank, 0, 5, 4) == b"abcd"
    assert read(bank, 1, 5, 4) == b"ef\0\0"
    assert read(bank, 1, 6, 4) == b"ghij"
    assert bank.take_joined(2, 7) == [b"old", b"new"]
    assert bank.frame[3, 1] < 0


def test_payloads_that_cannot_be_cut_join_the_one_that_came_with_them() -> None:
    bank = PayloadRingBank(2, 8, 4)
    for row in range(2):
        bank.open_row(row, silence=0)
    given = pieces([0, 0, 0, 1], [3, 3, 4, 3], [b"ab", b"cd", b"ef", b"gh"])
    every = np.ones(4, dtype=np.bool_)
    bank.store_payloads(given, every, every, every, np.ones(4, dtype=np.int64))
    assert bank.take_joined(0, 3) == [b"ab", b"cd"]
    assert bank.take_joined(0, 4) == bank.take_joined(1, 3) == []
    assert read(bank, 0, 4, 2) == b"ef"
    assert read(bank, 1, 3, 2) == b"gh"
