"""A chain of hashes tells which row is not as it was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.messaging.storage.audit_chain import COLUMNS, GENESIS, row_hash, verify_chain


def chain(count):
    rows, previous = [], GENESIS
    for index in range(1, count + 1):
        row = dict.fromkeys(COLUMNS, "x") | {"aft_index": index, "file_size": 10 * index}
        row |= {"previous_hash": previous, "row_hash": row_hash(row, previous)}
        previous = row["row_hash"]
        rows.append(row)
    return rows


def test_what_was_written_is_good():
    rows = chain(5)
    assert verify_chain(rows) == (5, rows[-1]["row_hash"], None)
    assert verify_chain([]) == (0, GENESIS, None)
    assert verify_chain(rows, rows[2]["row_hash"])[2] is None


@pytest.mark.parametrize("name", COLUMNS[1:])
def test_a_changed_value_is_found_whatever_it_is(name):
    rows = chain(4)
    rows[2][name] = 7 if name == "file_size" else "y"
    count, _, broken = verify_chain(rows)
    assert (count, broken.index) == (2, 3)
    assert "not what was written" in broken.reason


def test_a_changed_row_with_a_new_hash_breaks_the_next():
    rows = chain(4)
    rows[1]["reason"] = "forged"
    rows[1]["row_hash"] = row_hash(rows[1], rows[1]["previous_hash"])
    assert verify_chain(rows)[2].index == 3


def test_a_missing_row_is_found_and_one_at_the_end_by_the_noted_hash():
    rows = chain(4)
    assert verify_chain([*rows[:1], *rows[2:]])[2].index == 3
    assert verify_chain(rows[:3])[2] is None
    assert "noted hash" in verify_chain(rows[:3], rows[3]["row_hash"])[2].reason


def test_a_table_written_anew_is_found_by_the_noted_hash():
    rows, other = chain(4), chain(5)
    for row in other:
        row["jid"] = "forged"
    previous = GENESIS
    for row in other:
        row["previous_hash"], row["row_hash"] = previous, row_hash(row, previous)
        previous = row["row_hash"]
    assert verify_chain(other)[2] is None
    assert verify_chain(other, rows[-1]["row_hash"])[2] is not None


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_two_rows_have_one_form(a, b, c, d):
    base = dict.fromkeys(COLUMNS, "x")
    one = row_hash(base | {"jid": a, "to_jid": b}, GENESIS)
    other = row_hash(base | {"jid": c, "to_jid": d}, GENESIS)
    assert (one == other) == ((a, b) == (c, d))
