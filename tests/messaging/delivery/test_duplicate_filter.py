"""A message that comes twice is shown once."""

from __future__ import annotations

from softphone.messaging.delivery.duplicate_filter import DuplicateFilter


def test_the_same_id_of_the_same_sender_counts_once():
    seen = DuplicateFilter()
    assert [seen.is_first("a", "1"), seen.is_first("a", "1"), seen.is_first("b", "1")] == [
        True,
        False,
        True,
    ]
    assert seen.is_first("a", "")
    assert seen.is_first("a", "")


def test_the_oldest_is_forgotten():
    seen = DuplicateFilter(most=2)
    for key in "123":
        assert seen.is_first("a", key)
    assert not seen.is_first("a", "3")
    assert seen.is_first("a", "1")


def test_what_was_not_taken_may_come_again():
    seen = DuplicateFilter()
    seen.is_first("a", "1")
    seen.forget_id("a", "1")
    assert seen.is_first("a", "1")
