"""Log records about a call carry its Call-ID, and a call gives the same fields to others."""

from __future__ import annotations

import logging

from softphone.account import event_log
from softphone.call import Call
from softphone.config import LimitsConfig
from softphone.errors import NotAcceptable
from softphone.events import EndedBy
from softphone.phone import Phone
from tests.support.calling import connect, eventually
from tests.support.direct import address_of, clear
from tests.support.stage import Stage
from tests.support.waiting import patiently


async def test_a_record_about_a_call_has_its_call_id(caplog, monkeypatch):
    stage = Stage()
    caller, callee = stage.answered()

    def fail(event):
        raise NotAcceptable("something of this call only", status=488)

    monkeypatch.setattr(callee, "_handle", fail)
    caller.hang_up()
    stage.run(1)
    (record,) = [r for r in caplog.records if "something of this call only" in r.getMessage()]
    assert record.call_id == callee.usage.call_id == caller.usage.call_id


async def test_a_call_gives_its_fields_to_an_adapter(caplog):
    stage = Stage()
    caller, _ = stage.answered()
    log = logging.LoggerAdapter(logging.getLogger("agent"), Call.for_leg(caller).log_fields)
    log.warning("refund")
    assert caplog.records[-1].call_id == caller.usage.call_id


async def test_what_is_logged_of_its_life_has_it_too(caplog):
    caplog.set_level(logging.INFO, "softphone.account")
    async with Phone() as phone:
        bob = await phone.register(clear("bob", limits=LimitsConfig(call_duration=0.2)))
        alice = await phone.register(clear("alice"))
        call, other = await connect(alice, bob, address_of(bob))
        await patiently(other.ended())
        await patiently(call.ended())
        await eventually(lambda: any("its time was up" in each for each in caplog.messages))
    about = [r for r in caplog.records if getattr(r, "call_id", "") == call.id]
    said = "\n".join(record.getMessage() for record in about)
    for words in ("called by", "calling", "in a call with", "its time was up", "far end hung up"):
        assert words in said


def test_each_way_to_end_has_its_words():
    assert set(event_log._BY) == set(EndedBy)


async def test_before_the_start_there_are_none():
    async with Phone() as phone:
        alice = await phone.register(clear("alice"))
        assert alice.dial(address_of(alice)).log_fields == {}
