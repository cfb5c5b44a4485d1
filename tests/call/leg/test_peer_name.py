"""The name of a call's other end: told once, at once or later."""

from __future__ import annotations

from softphone.call.leg import Mailbox, no_names
from softphone.call.leg.peer_name import NameTag
from softphone.contacts import Contact
from softphone.events import PeerNamed
from softphone.sip import NameAddr, SipUri

PEER = NameAddr(None, SipUri("sip", "1001", None, "x.test"))
ANNA = Contact("Anna", sources=("one",))


async def told(mailbox):
    mailbox.close()
    return [event async for event in mailbox.events()]


async def test_it_is_there_once_the_directory_has_said_it():
    mailbox, later = Mailbox(), []
    tag = NameTag(lambda peer, told: later.append((peer, told)), mailbox)
    tag.ask(PEER)
    assert tag.contact is None
    ((peer, say),) = later
    say(ANNA)
    tag.ask(PEER)
    assert (peer, tag.contact, len(later)) == (PEER, ANNA, 1)
    assert await told(mailbox) == [PeerNamed("Anna", ("one",))]


async def test_nobody_is_asked_where_there_is_no_directory():
    mailbox = Mailbox()
    tag = NameTag(no_names, mailbox)
    tag.ask(PEER)
    assert tag.contact is None
    assert await told(mailbox) == []
