"""History in memory: bounded, by conversation, gone when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime

from softphone.messaging.delivery.history import MessageHistory
from softphone.messaging.message import EncryptionScope, Message, MessageDirection, MessageSecurity

AT = datetime(2026, 1, 1, tzinfo=UTC)


def said(
    peer: str, body: str, reach: EncryptionScope = EncryptionScope.CLIENT_TO_SERVER
) -> Message:
    return Message(
        body[::-1], peer, peer, body, AT, MessageDirection.RECEIVED, MessageSecurity(reach)
    )


def test_it_has_the_last_messages_of_each_conversation():
    history = MessageHistory(3)
    for number in range(3):
        history.add_message(said("a@x", f"a{number}"))
    history.add_message(said("b@x", "b"))
    assert [each.body for each in history.messages_with("a@x")] == ["a1", "a2"]
    history.forget_peer("a@x")
    assert history.messages_with("a@x") == ()
    assert len(history) == 1
    history.clear()
    assert len(history) == 0
