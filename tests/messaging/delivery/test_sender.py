"""What may be sent, and that the server's word is waited for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from softphone.errors import LocalProtocolError, MessageRefused, MessageUndelivered
from softphone.messaging.config import HistoryConfig, SubscriptionApproval
from softphone.messaging.delivery import MessageProcessor
from softphone.messaging.delivery.sender import Sender, SenderDependencies, check_text
from softphone.messaging.e2e import MOST_BODY
from softphone.messaging.e2e.peers import Peers
from softphone.messaging.message import EncryptionScope
from softphone.messaging.xmpp.group_chat import GroupChats
from tests.support.certificates import authority
from tests.support.chat import ALICE, BOB, CLEAR, STRICT, config, signed_in, stream, user


@pytest.mark.parametrize(
    "text", ["", "a\x00b", "a\x0bb", "\ud800", "\uffff", "x" * (MOST_BODY + 1)]
)
def test_a_text_that_cannot_be_carried_is_refused(text):
    with pytest.raises(LocalProtocolError):
        check_text(text)


def test_any_other_text_may_be_sent():
    check_text("line\nline\t\N{KEY} \U0010ffff <&>")


@pytest.fixture
async def sending(tmp_path, entropy):
    """`sending(policy)`: a sender, its link's state, and the connection that it speaks on."""
    running = []

    async def make(policy=CLEAR):
        one = stream(config(tmp_path, user(authority(), ALICE)), entropy)
        link = SimpleNamespace(is_up=True)
        clerk = MessageProcessor(ALICE, HistoryConfig())
        peers = Peers(ALICE, SubscriptionApproval.NOBODY, encrypts=False)
        parts = SenderDependencies(policy, link, peers, GroupChats(policy), clerk, None)
        sender = Sender(ALICE, parts, entropy=entropy, wall=lambda: datetime.now(UTC))
        sender.attach(one)
        connection = await signed_in(one)
        running.append((one, connection))
        return sender, link, connection

    yield make
    for one, connection in running:
        connection.abort()
        await one.end_stream()


async def test_it_is_sent_when_the_server_says_so(sending):
    sender, _, connection = await sending()
    task = asyncio.create_task(sender.send_message(BOB, "hello", within=5))
    said = await connection.until("<message.*?</message>")
    assert "<body>hello</body>" in said[0]
    assert "request" in said[0]
    await connection.until("<r ")
    assert not task.done()
    connection.say("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    sent = await task
    assert sent.message.security.scope is EncryptionScope.CLIENT_TO_SERVER
    assert not await sent.delivered(within=0)
    connection.say(
        f"<message from='{BOB}/desk' id='r'>"
        f"<received xmlns='urn:xmpp:receipts' id='{sent.message.id}'/></message>"
    )
    assert await sent.delivered(within=0.1)


async def test_one_that_comes_back_is_an_error(sending):
    sender, _, connection = await sending()
    task = asyncio.create_task(sender.send_message(BOB, "hello", within=5))
    key = (await connection.until("id=[\"']([0-9a-f]{24})[\"'].*?</message>"))[1]
    connection.say(
        f"<message type='error' id='{key}' from='{BOB}'><error type='cancel'>"
        "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )
    with pytest.raises(MessageUndelivered, match="item-not-found"):
        await task


async def test_silence_is_an_error_and_it_is_not_sent_later(sending):
    sender, link, connection = await sending()
    link.is_up = False
    with pytest.raises(MessageUndelivered, match="not acknowledged"):
        await sender.send_message(BOB, "hello", within=0.01)
    link.is_up = True
    connection.written = ""
    sender.resend_unacknowledged(resumed=False)
    await asyncio.sleep(0)
    assert connection.written == ""


async def test_what_waits_is_sent_when_the_link_is_up_and_once(sending):
    sender, link, connection = await sending()
    link.is_up = False
    task = asyncio.create_task(sender.send_message(BOB, "hello", within=5))
    await asyncio.sleep(0)
    assert "hello" not in connection.written
    link.is_up = True
    sender.resend_unacknowledged(resumed=True)
    await connection.until("hello")
    sender.resend_unacknowledged(resumed=True)
    await asyncio.sleep(0)
    assert "hello" not in connection.written
    connection.say("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    await task


async def test_nothing_is_sent_where_nothing_may_be_clear(sending):
    sender, _, connection = await sending(STRICT)
    connection.written = ""
    with pytest.raises(MessageRefused, match="nothing was sent"):
        await sender.send_message(BOB, "hello", within=5)
    assert connection.written == ""
