"""Session-ID (RFC 7989): in every message of a call, and the same through what happens to it."""

from __future__ import annotations

import asyncio
import logging
import re
from uuid import UUID

import pytest

from softphone.call import Call
from softphone.phone import Phone
from softphone.sip import EndpointConfig, SessionId
from softphone.sip.message import NIL_UUID, parse_datagram
from tests.support.calling import answer_one, connect, eventually
from tests.support.direct import address_of, clear
from tests.support.lone import SDP, Lone
from tests.support.stage import Stage, with_header
from tests.support.waiting import PATIENCE


def identified(*names):
    """A stage whose parties send Session-ID."""
    stage = Stage()
    for name in names or ("alice", "bob"):
        stage.parties[name].identifies_sessions = True
    return stage


def session_ids(stage, name):
    """The Session-ID of each message that one side has sent."""
    return [
        (message.cseq.method, message.session_id)
        for message in (parse_datagram(data) for sender, data in stage.wire if sender == name)
    ]


async def test_both_uuids_are_in_every_message_and_fresh_for_each_call():
    stage = identified()
    caller, callee = stage.answered()
    ours, theirs = Call(caller).session_id, Call(callee).session_id
    assert (ours.remote, theirs.remote) == (theirs.local, ours.local)
    for each in (ours.local, theirs.local):
        assert re.fullmatch("[0-9a-f]{32}", each)
        assert UUID(each).version == 4
    first, *rest = session_ids(stage, "alice")
    assert (first[1].local, first[1].remote) == (ours.local, NIL_UUID)
    assert [one for _, one in rest] == [ours] * len(rest)
    assert [one for _, one in session_ids(stage, "bob")] == [theirs] * len(
        session_ids(stage, "bob")
    )
    other, _ = stage.answered()
    assert Call(other).session_id.local not in (ours.local, theirs.local)


async def test_they_stay_through_hold_resume_info_and_the_end():
    stage = identified()
    caller, _ = stage.answered()
    call = Call(caller)
    before = call.session_id
    for work in (call.hold(), call.resume(), call.send_info("text/plain", "x")):
        task = asyncio.ensure_future(work)
        await asyncio.sleep(0)
        stage.run(0.5)
        await task
    call.hangup()
    stage.run(0.5)
    assert call.session_id == before
    methods = {method for method, _ in session_ids(stage, "alice")}
    assert {"INVITE", "ACK", "INFO", "BYE"} <= methods
    for name in ("alice", "bob"):
        assert all(one is not None for _, one in session_ids(stage, name))


async def test_a_cancel_and_a_refusal_have_it():
    stage = identified()
    leg = stage.dial()
    stage.run(0.1)
    leg.cancel()
    stage.run(0.1)
    assert all(one is not None for method, one in session_ids(stage, "alice") if method == "CANCEL")
    assert "CANCEL" in dict(session_ids(stage, "alice"))
    stage.dial()
    stage.run(0.1)
    stage.bob.leg.reject(486)
    stage.run(0.1)
    last = [one for method, one in session_ids(stage, "bob") if method == "INVITE"][-1]
    assert last.local == stage.bob.leg.usage.session_id.local
    ack = session_ids(stage, "alice")[-1]
    assert ack == ("ACK", SessionId(last.remote, last.local))


THEIRS = "ab30317f1a784dc48ff824d0d3715d86"
OURS = "47755a9de7794ba387653f2099600ef2"


def refusal_of(lone, *headers):
    """The refusal of an INVITE with these header fields."""
    lone.say(lone.request("INVITE", body=SDP, headers=headers))
    return lone.last()


@pytest.mark.parametrize("refused", ["Require: unknown", "Replaces: x;to-tag=1;from-tag=2"])
def test_a_refusal_before_there_is_a_leg_has_it_where_the_request_has(refused):
    response = refusal_of(Lone(), refused, f"Session-ID: {THEIRS};remote={NIL_UUID}")
    assert response.status >= 300
    assert response.session_id.remote == THEIRS
    assert UUID(response.session_id.local).version == 4
    assert refusal_of(Lone(), refused).session_id is None
    assert refusal_of(Lone(), refused, "Session-ID: x").session_id is None


def test_a_refusal_names_us_as_the_caller_does():
    lone = Lone()
    known = (f"Session-ID: {THEIRS};remote={OURS}",)
    lone.say(lone.request("BYE", to_tag="none", headers=known))
    assert (lone.last().status, lone.last().session_id) == (481, SessionId(OURS, THEIRS))


def test_a_request_that_gets_no_transaction_is_refused_with_it():
    lone = Lone(config=EndpointConfig(max_transactions=0))
    response = refusal_of(lone, f"Session-ID: {THEIRS};remote={NIL_UUID}")
    assert (response.status, response.session_id.remote) == (503, THEIRS)


async def test_a_far_end_without_it_leaves_the_nil_uuid():
    stage = identified("alice")
    caller, callee = stage.answered()
    assert Call(caller).session_id.remote == NIL_UUID
    assert Call(callee).session_id is None
    assert all(one is None for _, one in session_ids(stage, "bob"))


async def test_another_uuid_of_the_far_end_is_followed_and_a_malformed_one_is_not():
    stage = identified("alice")
    stage.bob.identifies_sessions = False
    caller, callee = stage.answered()
    other = "ab30317f1a784dc48ff824d0d3715d86"
    said = [f"{other};remote={NIL_UUID}"]
    stage.tamper = lambda name, data: (
        with_header(data, "Session-ID", said[0])
        if name == "bob" and data.startswith(b"INVITE")
        else data
    )
    for value, expected in ((said[0], other), ("x" * 32, other), (NIL_UUID, other)):
        said[0] = value
        task = asyncio.ensure_future(callee.renegotiate(held=not callee.negotiation.held))
        await asyncio.sleep(0)
        stage.run(0.5)
        await task
        assert Call(caller).session_id.remote == expected


async def test_the_log_has_it(caplog):
    stage = identified()
    caller, _ = stage.answered()
    fields = Call(caller).log_fields
    assert fields == {
        "call_id": caller.usage.call_id,
        "session_id": str(Call(caller).session_id),
    }
    logging.LoggerAdapter(logging.getLogger("agent"), fields).warning("refund")
    assert caplog.records[-1].session_id == str(Call(caller).session_id)


async def test_ours_is_kept_through_a_transfer_and_a_replacement():
    async with Phone() as phone:
        bob, alice = await phone.register(clear("bob")), await phone.register(clear("alice"))
        carol = await phone.register(clear("carol"))
        call, other = await connect(alice, bob, address_of(bob))
        ours = other.session_id.local
        moving = asyncio.ensure_future(call.transfer(address_of(carol)))
        await eventually(lambda: other.transfer_requested)
        answering = asyncio.ensure_future(answer_one(carol))
        async with bob.accept_transfer(other) as outgoing:
            moved = await outgoing.answered(timeout=PATIENCE)
            carols = await answering
            assert moved.session_id.local == ours
            assert carols.session_id.remote == ours
            await moving
            # An INVITE with Replaces takes the place of Carol's call: she keeps her UUID.
            replaces = moved._leg.usage.replaces_value()
            answering = asyncio.ensure_future(answer_one(carol))
            async with alice.dial(address_of(carol), replaces=replaces) as second:
                await second.answered(timeout=PATIENCE)
                assert (await answering).session_id.local == carols.session_id.local
