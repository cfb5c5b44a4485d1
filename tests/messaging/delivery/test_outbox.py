"""What the server has not acknowledged: remembered, sent again once, bounded."""

from __future__ import annotations

import pytest

from softphone.errors import MessageUndelivered, TransportError
from softphone.messaging.delivery.outbox import Outbox


async def test_what_is_acknowledged_is_not_sent_again():
    outbox = Outbox()
    first, second = outbox.add_stanza("1", "one"), outbox.add_stanza("2", "two")
    outbox.acknowledged("1")
    assert first.done()
    assert not second.done()
    assert outbox.unacknowledged_stanzas() == ["two"]
    assert outbox.unacknowledged_stanzas({"2"}) == []


async def test_failures_reach_who_waits():
    outbox = Outbox()
    first, second = outbox.add_stanza("1", "one"), outbox.add_stanza("2", "two")
    assert outbox.failed("1", MessageUndelivered("no"))
    assert not outbox.failed("9", MessageUndelivered("no"))
    outbox.fail_all(TransportError("out"))
    assert isinstance(first.exception(), MessageUndelivered)
    assert isinstance(second.exception(), TransportError)
    assert len(outbox) == 0


async def test_it_is_bounded_and_forgets():
    outbox = Outbox(most=1)
    outbox.add_stanza("1", "one")
    with pytest.raises(MessageUndelivered, match="does not take"):
        outbox.add_stanza("2", "two")
    outbox.forget_stanza("1")
    outbox.add_stanza("2", "two")
