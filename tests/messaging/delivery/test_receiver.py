"""What comes is shown once, or answered with an error."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from softphone.messaging.compliance import Deny
from softphone.messaging.config import HistoryConfig
from softphone.messaging.delivery import MessageProcessor
from softphone.messaging.delivery.receiver import Receiver
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.message import EncryptionScope
from softphone.messaging.xmpp.group_chat import GroupChats
from tests.messaging.delivery.test_message_processor import Hook
from tests.support.certificates import authority
from tests.support.chat import ALICE, BOB, CLEAR, SERVER, STRICT, config, signed_in, stream, user
from tests.support.waiting import PATIENCE

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def receiving(tmp_path, entropy):
    """`receiving(policy, hook)`: a receiver and the connection that it hears."""
    running = []

    async def make(policy=CLEAR, hook=None):
        one = stream(config(tmp_path, user(authority(), ALICE)), entropy)
        clerk = MessageProcessor(ALICE, HistoryConfig(), hook)
        receiver = Receiver(policy, GroupChats(policy), clerk, one.set_reading_paused, lambda: NOW)
        receiver.attach(one)
        connection = await signed_in(one)
        running.append((one, connection, asyncio.create_task(receiver.run())))
        return receiver, connection

    yield make
    for one, connection, task in running:
        task.cancel()
        connection.abort()
        await one.end_stream()


def message(key="1", body="hello", kind="chat", inner=""):
    head = f"<message type='{kind}' id='{key}' from='{BOB}/desk' to='{ALICE}'>"
    return f"{head}<body>{body}</body>{inner}</message>"


async def test_a_message_is_shown_once_with_the_lock(receiving):
    receiver, connection = await receiving()
    stamp = "<delay xmlns='urn:xmpp:delay' stamp='2025-05-05T05:05:05Z'/>"
    connection.say(message() + message() + message("2", "late", inner=stamp))
    first, second = await receiver.inbox.next_message(), await receiver.inbox.next_message()
    assert (first.peer, first.body, first.at, first.resource) == (BOB, "hello", NOW, "desk")
    assert (first.security.scope, first.security.identity) == (
        EncryptionScope.CLIENT_TO_SERVER,
        SERVER,
    )
    assert (second.body, second.at.year) == ("late", 2025)
    assert receiver.counters == {"repeated": 1}


@pytest.mark.parametrize(
    ("policy", "said", "cause"),
    [
        (STRICT, message(), "clear_refused"),
        (CLEAR, message(body="x" * 70_000), "too_large"),
        (EncryptionPolicy(), message(body="x" * 70_000), "too_large"),
    ],
)
async def test_what_is_not_taken_is_answered_with_an_error(receiving, policy, said, cause):
    receiver, connection = await receiving(policy)
    connection.say(said)
    returned = await connection.until("<message.*?</message>")
    assert "not-acceptable" in returned[0]
    assert "hello" not in returned[0]
    assert receiver.counters == {cause: 1}
    assert len(receiver.inbox) == 0


async def test_an_id_that_no_archive_can_hold_is_not_taken(receiving):
    receiver, connection = await receiving()
    connection.say(message("x" * 257) + message("1"))
    assert (await receiver.inbox.next_message()).id == "1"
    assert receiver.counters == {"too_large": 1}


async def test_errors_and_empty_messages_are_no_messages(receiving):
    receiver, connection = await receiving(STRICT)
    connection.say(message(kind="error") + f"<message type='chat' from='{BOB}/desk'/>")
    connection.say(message(kind="groupchat"))
    assert receiver.counters == {}
    assert len(receiver.inbox) == 0


async def test_what_the_hook_denies_is_shown_to_nobody(receiving):
    receiver, connection = await receiving(hook=Hook(Deny("no")))
    connection.say(message())
    for _ in range(5):
        await asyncio.sleep(0)
    assert receiver.counters == {"refused_by_hook": 1}
    assert len(receiver.inbox) == 0


FAR = ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:01Z"]
LONG_AGO = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "1998-12-31T23:59:59Z"]


@pytest.mark.parametrize("stamp", [*FAR, *LONG_AGO, "", "yesterday", "9" * 10_000])
async def test_a_time_that_cannot_be_true_is_the_time_now(receiving, stamp):
    """A time to come would hide later messages, and the ends of the calendar are no local time."""
    receiver, connection = await receiving()
    connection.say(message(inner=f"<delay xmlns='urn:xmpp:delay' stamp='{stamp}'/>"))
    shown = await asyncio.wait_for(receiver.inbox.next_message(), PATIENCE)
    assert (shown.body, shown.at) == ("hello", NOW)
