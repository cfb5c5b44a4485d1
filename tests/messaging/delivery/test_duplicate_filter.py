"""A message that comes twice is shown once."""

from __future__ import annotations

from softphone.messaging.delivery.duplicate_filter import Seen


def test_the_same_id_of_the_same_sender_counts_once():
    seen = Seen()
    assert [seen.first("a", "1"), seen.first("a", "1"), seen.first("b", "1")] == [True, False, True]
    assert seen.first("a", "")
    assert seen.first("a", "")


def test_the_oldest_is_forgotten():
    seen = Seen(most=2)
    for key in "123":
        assert seen.first("a", key)
    assert not seen.first("a", "3")
    assert seen.first("a", "1")


def test_what_was_not_taken_may_come_again():
    seen = Seen()
    seen.first("a", "1")
    seen.forget("a", "1")
    assert seen.first("a", "1")
