"""What a worker shows of itself."""

from __future__ import annotations

import mmap

import numpy as np

from softphone.media.quality import (
    read_statistics,
    stream_statistics,
)
from softphone.media.worker.shared_statistics import (
    FEW,
    INTERVAL,
    EngineCounter,
    SharedStatistics,
    write_statistics,
)
from tests.support.wire import Wire


def board_of(bank):
    return SharedStatistics(mmap.mmap(-1, SharedStatistics.octets(bank.capacity)), bank.capacity)


def test_a_row_of_the_board_says_what_the_snapshot_says():
    wire = Wire()
    wire.run(60)
    bank, handle = wire.b.bank, wire.b.handle
    board = board_of(bank)
    write_statistics(board, bank, bank.phase_of(handle.row), 61)
    assert read_statistics(board.rows[handle.row]) == stream_statistics(bank, handle)
    assert read_statistics(board.rows[handle.row]).packets_received > 50


def test_a_row_that_has_lost_packets_and_is_measured_says_the_same_in_both_ways():
    wire = Wire()
    bank, handle = wire.b.bank, wire.b.handle
    bank.playout.measure_bursts(handle.row)
    wire.run(120, to_b=lambda f, d: [] if f % 40 in (7, 8, 9, 11, 30) else [d] * (1 + (f == 2)))
    board = board_of(bank)
    write_statistics(board, bank, bank.phase_of(handle.row), 121)
    seen = stream_statistics(bank, handle)
    assert read_statistics(board.rows[handle.row]) == seen
    # A copy counts as received (RFC 3550 section 6.4.1).
    assert (seen.cumulative_lost, seen.duplicates) == (14, 1)
    assert seen.quality is not None
    assert seen.quality.burst_density > 0.0


def test_phases_with_many_streams_show_every_few_frames(monkeypatch):
    wire = Wire()
    wire.run(10)
    bank, handle = wire.b.bank, wire.b.handle
    monkeypatch.setattr(type(bank), "used", lambda self, phase: FEW + 1)
    board, phase = board_of(bank), bank.phase_of(handle.row)
    write_statistics(board, bank, phase, INTERVAL + 1)
    assert not board.rows.any()
    shown = [
        write_statistics(board, bank, phase, frame) for frame in range(INTERVAL, 200 * INTERVAL)
    ]
    assert shown
    assert read_statistics(board.rows[handle.row]) == stream_statistics(bank, handle)


def test_two_maps_of_one_memory_are_one_board():
    memory = mmap.mmap(-1, SharedStatistics.octets(4))
    one, two = SharedStatistics(memory, 4), SharedStatistics(memory, 4)
    one.counters[EngineCounter.JUMPS] = 5
    one.lateness[3] = 6
    one.rows[2, 1] = 7.0
    assert two.counters[EngineCounter.JUMPS] == 5
    assert two.lateness.sum() == 6
    assert np.argwhere(two.rows).tolist() == [[2, 1]]
