"""Bursts and gaps, against their definition in RFC 3611 section 4.7.2."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.media.playout import GMIN
from softphone.media.playout.loss_bursts import LossBurstBank

ROW = np.array([1])


def count(history: str) -> tuple[int, ...]:
    """What a bank says of frames that were played (".") or lost ("x")."""
    bank, played = LossBurstBank(3), 0
    bank.start_measuring(1, 0)
    for frame in history:
        if frame == ".":
            played += 1
        else:
            bank.count_lost(ROW, 1, np.array([played]))
    told = tuple(int(values[0]) for values in bank.burst_counts(ROW, np.array([played])))
    assert bank.row_numbers(1, played) == told
    return told


def defined(history: str) -> tuple[int, ...]:
    """The same by the words of the RFC: bursts are cut where GMIN or more were played."""
    losses = [at for at, frame in enumerate(history) if frame == "x"]
    groups: list[list[int]] = []
    for at in losses:
        if groups and at - groups[-1][-1] - 1 < GMIN:
            groups[-1].append(at)
        else:
            groups.append([at])
    bursts = [group for group in groups if len(group) > 1]
    stretches = len([at for at in losses if at == 0 or history[at - 1] == "."])
    return (
        len(history),
        len(losses),
        stretches,
        len(bursts),
        sum(map(len, bursts)),
        sum(group[-1] - group[0] + 1 for group in bursts),
        int(bool(bursts) and bursts[-1][-1] == len(history) - 1),
    )


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("." * 50, (50, 0, 0, 0, 0, 0, 0)),
        ("." * 20 + "x" + "." * 20, (41, 1, 1, 0, 0, 0, 0)),
        ("." * 20 + "x" + "." * 15 + "x" + "." * 20, (57, 2, 2, 1, 2, 17, 0)),
        ("." * 20 + "x" + "." * 16 + "x" + "." * 20, (58, 2, 2, 0, 0, 0, 0)),
        ("." * 20 + "xxx", (23, 3, 1, 1, 3, 3, 1)),
        ("xx" + "." * 20, (22, 2, 1, 1, 2, 2, 0)),
        # The example of section 4.7.2: a burst of 12 packets, of which 4 are missing.
        (
            "....x" + "." * 18 + "x...x.x....x" + "." * 18 + "x" + "." * 9,
            (63, 6, 6, 1, 4, 12, 0),
        ),
    ],
)
def test_known_histories(history: str, expected: tuple[int, ...]) -> None:
    assert count(history) == expected


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4)), max_size=30).map(
        lambda parts: "".join("." * good + "x" * bad for good, bad in parts)
    ),
    st.integers(0, 40),
)
def test_what_is_counted_is_what_is_defined(history: str, following: int) -> None:
    history += "." * following
    assert count(history) == defined(history)


def test_several_frames_lost_at_once_are_as_many_in_a_row() -> None:
    bank = LossBurstBank(3)
    bank.start_measuring(1, 0)
    bank.count_lost(ROW, np.array([3]), np.array([20]))
    bank.count_lost(ROW, 1, np.array([20]))
    assert [int(v[0]) for v in bank.burst_counts(ROW, np.array([60]))] == [64, 4, 1, 1, 4, 4, 0]


def test_a_row_is_counted_from_where_it_began_and_goes_on_when_begun_again() -> None:
    bank = LossBurstBank(3)
    bank.start_measuring(1, 100)
    bank.count_lost(ROW, 1, np.array([130]))
    bank.start_measuring(1, 140)
    assert [int(v[0]) for v in bank.burst_counts(ROW, np.array([150]))][:2] == [51, 1]
    bank.stop_measuring(1)
    assert not bank.measured[1]
    bank.start_measuring(1, 200)
    assert [int(v[0]) for v in bank.burst_counts(ROW, np.array([200]))][:2] == [0, 0]


def test_the_level_is_that_of_speech() -> None:
    bank = LossBurstBank(3)
    bank.start_measuring(1, 0)
    bank.observe_energy(ROW, np.array([10.0], dtype=np.float32))
    assert bank.speech[1] == 0.0
    bank.observe_energy(ROW, np.array([1e6], dtype=np.float32))
    assert bank.speech[1] == 1e6
    bank.observe_energy(ROW, np.array([0.0], dtype=np.float32))
    assert bank.speech[1] == 1e6
    for _ in range(200):
        bank.observe_energy(ROW, np.array([4e6], dtype=np.float32))
    assert bank.speech[1] == pytest.approx(4e6, rel=1e-3)
