"""Rows, phases and handles."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from softphone.errors import LocalProtocolError, NoPortFree
from softphone.media import (
    PlaybackEnded,
    StaleHandle,
    StreamHandle,
)
from softphone.media.bank import FRAME, StreamBank


def bank(capacity=8192, seed=1):
    return StreamBank(capacity, entropy=random.Random(seed).randbytes)


def test_a_stale_handle_raises_and_does_not_touch_its_neighbor():
    rows = bank(4)
    first = rows.reserve_row().handle
    rows.release_row(first)
    second = rows.reserve_row().handle
    assert second.row == first.row
    assert second.generation == first.generation + 1
    for call in (rows.find_stream, rows.release_row, rows.find_open_stream):
        with pytest.raises(StaleHandle):
            call(first)
    assert rows.find_stream(second).handle == second
    with pytest.raises(LocalProtocolError, match="not been opened"):
        rows.find_open_stream(second)
    for row in (-1, 4, 1 << 40):
        with pytest.raises(StaleHandle):
            rows.find_stream(StreamHandle(row, 0))


def test_rows_run_out():
    rows = bank(3)
    for _ in range(3):
        rows.reserve_row()
    with pytest.raises(NoPortFree, match="3 streams"):
        rows.reserve_row()


def test_streams_share_one_phase_until_there_are_many():
    rows = bank()
    used = []
    for count in range(1, 8193):
        rows.reserve_row()
        if count in {640, 1280, 2560, 8192}:
            used.append([rows.used(phase) for phase in range(rows.phases)])
    assert used == [
        [640] + [0] * 7,
        [640] * 2 + [0] * 6,
        [640] * 4 + [0] * 4,
        [1024] * 8,
    ]


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_however_many_phases_are_in_use_they_are_evenly_apart(count):
    rows = bank()
    begins = sorted(rows.offsets[phase] for phase in range(count))
    assert begins == pytest.approx([at * FRAME / count for at in range(count)])


def test_where_sending_takes_long_a_phase_is_full_with_fewer_streams():
    rows = bank()
    for packet_time, target in ((4e-6, 640), (16e-6, 250), (1e-3, 128), (0.0, 640)):
        for _ in range(300):
            rows.note_sending(100, 100 * packet_time)
        assert rows.phase_target == target
    rows.note_sending(63, 1.0)  # few packets say nothing of many
    rows.note_sending(0, 1.0)
    rows.note_sending(600, 0.2)  # as a tick that the processor was taken from
    assert rows.phase_target == 640
    for _ in range(300):
        rows.note_sending(100, 100 * 16e-6)
    for _ in range(600):
        rows.reserve_row()
    assert [rows.used(phase) for phase in range(rows.phases)] == [250, 250, 50, 50] + [0] * 4
    for _ in range(300):
        rows.note_sending(20, 20 * 4e-6)  # few that are quick say that more would be
    assert rows.phase_target == 640


def test_a_phase_is_a_slice():
    rows = bank(2000)
    handles = [rows.reserve_row().handle for _ in range(600)]
    for handle in handles:
        span = rows.span(rows.phase_of(handle.row))
        assert span.start <= handle.row < span.stop


def test_a_row_begins_clean_with_a_random_low_sequence_number():
    rows = bank(1)
    sequences = set()
    for _ in range(20):
        handle = rows.reserve_row().handle
        assert rows.sender.packets_sent[0] == rows.receiver.malformed[0] == 0
        assert rows.sender.lateness[0].sum() == 0
        assert not rows.addresses.latched[0]
        sequences.add(int(rows.sender.sequence[0]))
        rows.sender.packets_sent[0] = rows.receiver.malformed[0] = 9
        rows.sender.lateness[0] = 3
        rows.addresses.latched[0] = True
        rows.release_row(handle)
    assert len(sequences) > 15
    assert max(sequences) < 1 << 15


def test_events_are_bounded():
    rows = bank(1)
    event = PlaybackEnded(rows.reserve_row().handle)
    for _ in range(9000):
        rows.emit(event)
    assert len(rows.take_events()) == 8192
    assert rows.events_lost == 808
    assert rows.take_events() == []


def test_memory_is_bounded_by_the_capacity_and_not_by_use():
    tracemalloc.start()
    try:
        rows = bank(64)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(500):
            rows.release_row(rows.reserve_row().handle)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # Of this, 42 kB are room for payloads beyond NEAR octets: pages that nobody has touched.
    assert before / 64 < 56_000
    assert after - before < 64 * 100
