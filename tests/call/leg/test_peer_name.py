"""The name of a call's other end: told once, at once or later."""

from __future__ import annotations

from softphone.call.leg import EventQueue, no_name_lookup
from softphone.call.leg.peer_name import PeerName
from softphone.contacts import Contact
from softphone.events import PeerNamed
from softphone.sip import NameAddr, SipUri

PEER = NameAddr(None, SipUri("sip", "1001", None, "x.test"))
ANNA = Contact("Anna", sources=("one",))


async def told(mailbox):
    mailbox.close()
    return [event async for event in mailbox.events()]


async def test_it_is_there_once_the_directory_has_said_it():
    mailbox, later = EventQueue(), []
    tag = PeerName(lambda peer, told: later.append((peer, told)), mailbox)
    tag.look_up(PEER)
    assert tag.contact is None
    ((peer, say),) = later
    say(ANNA)
    tag.look_up(PEER)
    assert (peer, tag.contact, len(later)) == (PEER, ANNA, 1)
    assert await told(mailbox) == [PeerNamed("Anna", ("one",))]


async def test_nobody_is_asked_where_there_is_no_directory():
    mailbox = EventQueue()
    tag = PeerName(no_name_lookup, mailbox)
    tag.look_up(PEER)
    assert tag.contact is None
    assert await told(mailbox) == []
