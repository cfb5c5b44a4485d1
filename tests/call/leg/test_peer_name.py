"""The name of a call's other end: told once, at once or later."""

from __future__ import annotations

from dataclasses import replace

from softphone.call import OutgoingLeg
from softphone.call.dial_permit import UNJUDGED
from softphone.contacts import Contact
from softphone.events import PeerNamed
from tests.support.stage import Stage

ANNA = Contact("Anna", sources=("one",))


async def test_it_is_there_once_the_directory_has_said_it():
    stage, asked = Stage(), []
    placed = stage.dial()
    setup = replace(stage.alice.setup(), names=lambda peer, told: asked.append((peer, told)))
    leg = OutgoingLeg(setup, placed._make_invite, UNJUDGED)
    leg.send_invite()
    assert leg.contact is None
    ((peer, say),) = asked
    say(ANNA)
    leg.look_up_peer()
    assert (peer, leg.contact, len(asked)) == (leg.peer, ANNA, 1)
    assert PeerNamed("Anna", ("one",)) in leg.event_queue._events


async def test_nobody_is_asked_where_there_is_no_directory():
    stage = Stage()
    leg = stage.dial()
    assert leg.contact is None
    assert "PeerNamed" not in stage.alice.kinds()
