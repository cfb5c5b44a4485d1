"""Parts of a batch in which no row comes twice, and runs of rows that come often."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from softphone.media.playout import BatchRounds, PacketRuns
from softphone.media.playout.batch_rounds import DEPTH, MOST_ROUNDS

ROUNDS = BatchRounds(10)


class Consumer:
    """Notes what it is given; of runs it takes the first `takes` of each row."""

    def __init__(self, rows: list[int], takes: int = 1 << 30) -> None:
        self.rows = np.array(rows, dtype=np.intp)
        self.takes = takes
        self.rounds: list[list[int]] = []
        self.runs: list[list[int]] = []
        self.parts = 0
        self.order: list[int] = []
        self.left = ROUNDS.serve(self.rows, self.one_each, self.in_runs).tolist()

    def one_each(self, part: NDArray[np.intp] | slice) -> None:
        self.parts += 1
        indices = np.arange(self.rows.size)[part].tolist()
        self.rounds.append(indices)
        self.order += indices

    def in_runs(self, part: NDArray[np.intp]) -> NDArray[np.bool_]:
        self.parts += 1
        rows = self.rows[part].tolist()
        taken = [rows[:at].count(row) < self.takes for at, row in enumerate(rows)]
        self.runs.append(part.tolist())
        self.order += part[taken].tolist()
        return np.array(taken)


@given(st.lists(st.integers(0, 9), max_size=40), st.sampled_from([0, 1, 3, 1 << 30]))
def test_every_packet_is_given_once_or_left_and_its_row_in_order(
    rows: list[int], takes: int
) -> None:
    consumer = Consumer(rows, takes)
    assert sorted(consumer.order + consumer.left) == list(range(len(rows)))
    for part in consumer.rounds:
        assert part == sorted(part)
        assert len({rows[index] for index in part}) == len(part)
    for row in set(rows):
        order = [index for index in consumer.order + consumer.left if rows[index] == row]
        assert order == sorted(order)


def test_distinct_rows_are_one_round_and_nothing_is_gathered() -> None:
    parts: list[NDArray[np.intp] | slice] = []
    ROUNDS.serve(np.array([3, 1, 2]), parts.append, lambda part: np.ones(part.size, dtype=np.bool_))
    assert parts == [slice(3)]


def test_nothing_is_no_round() -> None:
    assert Consumer([]).parts == 0


def test_a_few_packets_of_a_row_are_as_many_rounds() -> None:
    consumer = Consumer([3, 1, 3, 2])
    assert consumer.rounds == [[0, 1, 3], [2]]
    consumer = Consumer([3] * (DEPTH + 1))
    assert len(consumer.rounds) == DEPTH + 1
    assert consumer.runs == []


def test_however_many_packets_a_row_has_there_are_two_parts() -> None:
    for depth in (DEPTH + 2, 30, 1000):
        assert Consumer([1, 2, 5] * depth).parts == 2


def test_rows_with_few_packets_go_by_rounds_beside_one_with_many() -> None:
    consumer = Consumer([1] * 20 + [2, 2, 2])
    assert consumer.rounds == [[0, 20], [21], [22]]
    assert consumer.runs == [list(range(1, 20))]


def test_what_cannot_be_taken_in_runs_goes_by_rounds_and_they_are_bounded() -> None:
    consumer = Consumer([4] * 1000, takes=0)
    assert consumer.parts == 2 * MOST_ROUNDS
    assert consumer.order == list(range(MOST_ROUNDS))
    assert consumer.left == list(range(MOST_ROUNDS, 1000))


ROWS = np.array([0, 0, 0, 4, 7, 7], dtype=np.intp)


def test_runs_stand_side_by_side() -> None:
    runs = PacketRuns(ROWS)
    assert runs.starts.tolist() == [0, 3, 4]
    assert runs.ends.tolist() == [2, 3, 5]
    assert runs.lengths.tolist() == [3, 1, 2]
    assert runs.nth.tolist() == [0, 1, 2, 0, 0, 1]


def test_each_packet_knows_the_one_before_it_in_its_run() -> None:
    values = np.array([10, 11, 12, 13, 14, 15])
    assert PacketRuns(ROWS).before(values, -1).tolist() == [-1, 10, 11, -1, -1, 14]
    assert PacketRuns(ROWS).before(values, values * 2).tolist() == [20, 10, 11, 26, 28, 14]


def test_flags_are_counted_and_end_what_leads() -> None:
    flags = np.array([True, False, True, True, False, True])
    assert PacketRuns(ROWS).so_far(flags).tolist() == [1, 1, 2, 1, 0, 1]
    assert PacketRuns(ROWS).leading(flags).tolist() == [True, False, False, True, False, False]


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-9.0, 9.0)), max_size=60))
def test_the_least_so_far_is_that_of_the_run(packets: list[tuple[int, float]]) -> None:
    packets = sorted(packets, key=lambda packet: packet[0])
    rows = np.array([row for row, _ in packets], dtype=np.intp)
    values = np.array([value for _, value in packets])
    expected = [
        min(value for row, value in packets[: at + 1] if row == packets[at][0])
        for at in range(len(packets))
    ]
    assert PacketRuns(rows).lowest(values).tolist() == expected
