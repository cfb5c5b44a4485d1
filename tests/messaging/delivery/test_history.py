"""History in memory: bounded, by conversation, gone when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime

from softphone.messaging.delivery.history import History
from softphone.messaging.message import Direction, Message, MessageSecurity, Reach

AT = datetime(2026, 1, 1, tzinfo=UTC)


def said(peer: str, body: str, reach: Reach = Reach.CLIENT_TO_SERVER) -> Message:
    return Message(body[::-1], peer, peer, body, AT, Direction.RECEIVED, MessageSecurity(reach))


def test_it_has_the_last_messages_of_each_conversation():
    history = History(3)
    for number in range(3):
        history.add(said("a@x", f"a{number}"))
    history.add(said("b@x", "b"))
    assert [each.body for each in history.of("a@x")] == ["a1", "a2"]
    history.drop("a@x")
    assert history.of("a@x") == ()
    assert len(history) == 1
    history.clear()
    assert len(history) == 0
