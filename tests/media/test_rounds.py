"""Rounds in which no row comes twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from softphone.media.rounds import Rounds

ROUNDS = Rounds(10)


@given(st.lists(st.integers(0, 9), max_size=40))
def test_every_packet_is_in_one_round_and_its_row_in_order(rows: list[int]) -> None:
    array = np.array(rows, dtype=np.intp)
    rounds = [np.arange(array.size)[part].tolist() for part in ROUNDS.cut(array)]
    assert sorted(index for part in rounds for index in part) == list(range(len(rows)))
    for part in rounds:
        assert part == sorted(part)
        assert len({rows[index] for index in part}) == len(part)
    for row in set(rows):
        order = [index for part in rounds for index in part if rows[index] == row]
        assert order == sorted(order)


def test_distinct_rows_are_one_round() -> None:
    assert list(ROUNDS.cut(np.array([3, 1, 2]))) == [slice(3)]


def test_nothing_is_no_round() -> None:
    assert list(ROUNDS.cut(np.zeros(0, dtype=np.intp))) == []
