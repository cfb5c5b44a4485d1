"""Changes within a call: holds, glare, refreshes, transfers, and their ends."""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import CallError, CallFailed, LocalProtocolError, NotAcceptable
from softphone.events import (
    CallState,
    DigitReceived,
    Direction,
    HoldChanged,
    InfoReceived,
    TransferRequested,
)
from softphone.sip import Body, EndpointConfig, NameAddr
from tests.support.stage import Stage, edit_body, first_line

TO_CAROL = NameAddr.parse("<sip:carol@192.0.2.3>")


def answer_with(leg, command):
    """Have a leg answer the next offers by `command(now)`."""

    def answer(body):
        with leg.setup.command() as now:
            command(now)

    leg._answer_offer = answer


async def change(stage, leg, *, held, seconds=0.5):
    """Ask for a hold or a resume and let it happen."""
    asked = asyncio.ensure_future(leg.renegotiate(held=held))
    await asyncio.sleep(0)
    stage.run(seconds)
    await asyncio.sleep(0)
    return asked


async def test_a_hold_is_told_to_both_and_taken_back():
    stage = Stage()
    caller, callee = stage.answered()
    await (await change(stage, caller, held=True))
    assert caller.negotiation.direction is Direction.SENDONLY
    assert callee.negotiation.direction is Direction.RECVONLY
    await (await change(stage, caller, held=False))
    assert caller.negotiation.direction is callee.negotiation.direction is Direction.SENDRECV
    told = [e.direction for e in stage.bob.events if isinstance(e, HoldChanged)]
    assert told == [Direction.RECVONLY, Direction.SENDRECV]


async def test_a_hold_by_the_unspecified_address_sends_nothing_there():
    stage = Stage()
    caller, _ = stage.answered()
    place = stage.bob.port.specs[-1].remote

    def old_hold(name, data):
        if name == "alice" and first_line(data).startswith("INVITE"):
            return edit_body(data, lambda b: b.replace(b"c=IN IP4 192.0.2.1", b"c=IN IP4 0.0.0.0"))
        return data

    stage.tamper = old_hold
    await (await change(stage, caller, held=True))
    spec = stage.bob.port.specs[-1]
    assert not spec.direction.sends
    assert spec.remote == place
    assert spec.send_key == stage.bob.port.specs[0].send_key


async def test_glare_is_resolved_and_both_changes_are_made():
    stage = Stage()
    caller, callee = stage.answered()
    mine = asyncio.ensure_future(caller.renegotiate(held=True))
    theirs = asyncio.ensure_future(callee.renegotiate(held=True))
    await asyncio.sleep(0)
    stage.run(10)
    await asyncio.gather(mine, theirs)
    assert "491" in stage.sent("alice") + stage.sent("bob")
    assert caller.state is callee.state is CallState.CONFIRMED
    assert caller.negotiation.direction is callee.negotiation.direction is Direction.INACTIVE
    assert not caller.negotiation.offer_pending
    assert not callee.negotiation.offer_pending
    await (await change(stage, caller, held=False))


async def test_a_canceled_hold_leaves_the_session_in_order():
    stage = Stage()
    caller, callee = stage.answered()
    asked = asyncio.ensure_future(caller.renegotiate(held=True))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    stage.run(0.5)
    assert caller.negotiation.held
    assert callee.negotiation.direction is Direction.RECVONLY
    await (await change(stage, caller, held=False))
    assert callee.negotiation.direction is Direction.SENDRECV


async def test_a_hold_ends_with_the_call():
    stage = Stage()
    caller, callee = stage.answered()
    asked = asyncio.ensure_future(caller.renegotiate(held=True))
    await asyncio.sleep(0)
    callee.hang_up()
    stage.run(0.5)
    with pytest.raises(CallFailed):
        await asked


async def test_a_hold_that_its_connection_takes_along_was_not_refused():
    stage = Stage()
    caller, _ = stage.answered()
    asked = asyncio.ensure_future(caller.renegotiate(held=True))
    await asyncio.sleep(0)
    stage.cut()
    with pytest.raises(CallError, match="did not answer the change: reset") as caught:
        await asked
    assert "refused" not in str(caught.value)
    assert not caller.negotiation.held


async def test_only_one_change_at_a_time():
    stage = Stage()
    caller, _ = stage.answered()
    first = asyncio.ensure_future(caller.renegotiate(held=True))
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError):
        await caller.renegotiate(held=True)
    stage.run(0.5)
    await first


async def test_a_refused_hold_leaves_the_session_as_it_was():
    stage = Stage()
    caller, callee = stage.answered()
    answer_with(callee, lambda now: callee.usage.reject_modification(488, now=now))
    with pytest.raises(NotAcceptable):
        await (await change(stage, caller, held=True))
    assert not caller.negotiation.held
    assert len(stage.alice.port.specs) == 1


async def test_a_change_accepted_without_a_description_changes_nothing():
    stage = Stage()
    caller, callee = stage.answered()
    answer_with(callee, lambda now: callee.usage.answer_modification(None, now=now))
    with pytest.raises(CallError, match="without a session description"):
        await (await change(stage, caller, held=True))
    assert len(stage.alice.port.specs) == 1
    assert not caller.negotiation.offer_pending


@pytest.mark.parametrize("answered", [True, False])
async def test_a_reinvite_without_sdp_gets_our_offer_and_its_loss_is_survived(answered):
    stage = Stage()
    caller, callee = stage.answered()
    with stage.bob.change() as now:
        callee.usage.reinvite(None, now=now)

    def acknowledge(event):
        body = callee.negotiation.receive_offer(event.body).body if answered else None
        with callee.setup.command() as now:
            callee.usage.acknowledge(body, now=now)

    callee._modification_answered = acknowledge
    stage.run(0.5)
    assert caller.state is CallState.CONFIRMED
    assert not caller.negotiation.offer_pending
    assert len(stage.alice.port.specs) == (2 if answered else 1)
    del callee._modification_answered
    await (await change(stage, caller, held=True))
    assert caller.negotiation.held


@pytest.mark.parametrize("update", [True, False])
async def test_a_session_refresh_changes_nothing(update):
    allow = EndpointConfig().allow
    config = EndpointConfig(allow=allow if update else tuple(m for m in allow if m != "UPDATE"))
    stage = Stage(config=config)
    caller, callee = stage.answered(session_timer=90.0)
    assert caller.usage.session_timer.interval == 90.0
    stage.run(300)
    assert caller.state is callee.state is CallState.CONFIRMED
    assert stage.sent("alice").count("UPDATE" if update else "INVITE") > 3
    assert {spec.send_key.key.reveal() for spec in stage.alice.port.specs} == {
        stage.alice.port.specs[0].send_key.key.reveal()
    }
    assert stage.alice.port.specs[-1].direction is Direction.SENDRECV


async def test_a_refresh_by_reinvite_of_a_held_call_keeps_it_held():
    allow = tuple(m for m in EndpointConfig().allow if m != "UPDATE")
    stage = Stage(config=EndpointConfig(allow=allow))
    caller, callee = stage.answered(session_timer=90.0)
    await (await change(stage, callee, held=True))
    stage.run(200)
    assert caller.negotiation.direction is Direction.RECVONLY
    assert callee.negotiation.direction is Direction.SENDONLY
    assert callee.state is CallState.CONFIRMED


async def test_digits_by_info_and_other_info_are_told():
    stage = Stage()
    caller, callee = stage.answered()
    for content_type, text in (
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"),
        ("application/dtmf-relay", b"Signal=\r\n"),
        ("text/plain", b"hello"),
    ):
        with stage.alice.change() as now:
            caller.usage.info(Body(content_type, text), now=now)
        stage.run(0.1)
    events = [e for e in stage.bob.events if isinstance(e, DigitReceived | InfoReceived)]
    assert events == [DigitReceived("5", 160.0, "info"), InfoReceived("text/plain", b"hello")]
    assert callee.state is CallState.CONFIRMED


async def test_a_transfer_ends_when_the_call_does():
    stage = Stage()
    caller, _ = stage.answered()
    asked = asyncio.ensure_future(caller.transfer(TO_CAROL))
    await asyncio.sleep(0)
    stage.run(0.1)
    caller.hang_up()
    with pytest.raises(CallFailed):
        await asked


async def test_a_transfer_that_its_connection_takes_along_was_not_refused():
    stage = Stage()
    caller, _ = stage.answered()
    asked = asyncio.ensure_future(caller.transfer(TO_CAROL))
    await asyncio.sleep(0)
    stage.cut()
    with pytest.raises(CallError, match="did not say what became of the transfer: reset"):
        await asked


async def transfer_that_bob_leaves(*progress):
    """Alice transfers Bob, who accepts, reports `progress` and hangs up; gives Alice's outcome."""
    stage = Stage()
    caller, callee = stage.answered()
    asked = asyncio.ensure_future(caller.transfer(TO_CAROL))
    await asyncio.sleep(0)
    stage.run(0.1)
    assert any(isinstance(event, TransferRequested) for event in stage.bob.events)
    with stage.bob.change() as now:
        callee.referral.subscription.accept(now=now)
    for status in progress:
        with stage.bob.change() as now:
            callee.referral.subscription.notify_progress(status, now=now)
        stage.run(0.1)
    callee.hang_up()
    stage.run(0.1)
    assert caller.state is CallState.TERMINATED
    return asked


@pytest.mark.parametrize("progress", [(), (100,), (180, 200)])
async def test_a_transferee_that_leaves_has_taken_the_transfer(progress):
    await (await transfer_that_bob_leaves(*progress))


async def test_a_transferee_that_leaves_while_the_target_rings_has_reached_nobody():
    asked = await transfer_that_bob_leaves(100, 180)
    with pytest.raises(CallError, match="became of the transfer: it hung up after 180") as caught:
        await asked
    assert (caught.value.status, caught.value.reason) == (180, "Ringing")


async def test_a_transferee_that_leaves_after_a_failure_has_failed():
    asked = await transfer_that_bob_leaves(180, 487)
    with pytest.raises(CallError, match="refused: 487"):
        await asked


@pytest.mark.parametrize("status", [486, 603])
async def test_a_refused_transfer_says_so_and_the_call_goes_on(status):
    stage = Stage()
    caller, callee = stage.answered()
    asked = asyncio.ensure_future(caller.transfer(TO_CAROL))
    await asyncio.sleep(0)
    stage.run(0.1)
    with stage.bob.change() as now:
        callee.referral.subscription.reject(status, now=now)
    stage.run(0.1)
    with pytest.raises(CallError) as caught:
        await asked
    assert caught.value.status == status
    assert caller.state is CallState.CONFIRMED


async def test_who_tries_again_before_the_first_transfer_was_heard_of_is_answered_too():
    stage = Stage()
    caller, callee = stage.answered()
    first = asyncio.ensure_future(caller.transfer(TO_CAROL))
    await asyncio.sleep(0)
    stage.run(0.1)
    # Its turn comes before that of whoever waits for the first.
    again = asyncio.ensure_future(caller.transfer(TO_CAROL))
    for asked in (first, again):
        with stage.bob.change() as now:
            callee.referral.subscription.reject(486, now=now)
        stage.run(0.1)
        with pytest.raises(CallError, match="486"):
            await asyncio.wait_for(asked, 2)
        stage.run(0.1)


async def test_a_second_refer_waits_for_the_first_but_not_for_ever():
    stage = Stage()
    caller, callee = stage.answered()
    with stage.alice.change() as now:
        caller.usage.refer(TO_CAROL, now=now)
    stage.run(0.1)
    first = callee.referral
    with stage.alice.change() as now:
        caller.usage.refer(TO_CAROL, now=now)
    stage.run(0.1)
    assert callee.referral is first
    assert "491" in stage.sent("bob")
    stage.run(60)
    assert first.subscription.terminated
    with stage.alice.change() as now:
        caller.usage.refer(TO_CAROL, now=now)
    stage.run(0.1)
    assert callee.referral is not first


def refer_and_take(stage, caller, callee):
    """Alice asks for one more transfer, which Bob takes up and ends; gives the referral."""
    with stage.alice.change() as now:
        caller.usage.refer(TO_CAROL, now=now)
    stage.run(0.1)
    referral, callee.referral = callee.referral, None
    if referral is not None:
        with stage.bob.change() as now:
            referral.subscription.accept(now=now)
            referral.subscription.notify_progress(486, "Busy Here", now=now)
        stage.run(0.1)
    return referral


async def test_transfers_of_a_call_are_counted_and_bounded():
    stage = Stage()
    caller, callee = stage.answered()
    taken = [refer_and_take(stage, caller, callee) for _ in range(18)]
    assert [referral.transfers for referral in taken[:16]] == list(range(1, 17))
    assert taken[16:] == [None, None]
    assert stage.sent("bob").count("603") == 2
    assert callee.state is CallState.CONFIRMED


async def test_a_call_that_transfers_led_to_has_fewer_left():
    stage = Stage()
    caller, callee = stage.answered()
    callee.transfers = 15
    assert refer_and_take(stage, caller, callee).transfers == 16
    assert refer_and_take(stage, caller, callee) is None


async def test_messages_that_come_together_are_no_trouble():
    """A BYE behind a re-INVITE or an INFO in one piece of the stream: the usage is over before
    the first of them is looked at."""
    for method in ("INVITE", "INFO"):
        stage = Stage()
        caller, callee = stage.answered()
        held = []

        def hold(name, data, held=held):
            held.append((name, data))
            return b""

        stage.tamper = hold
        with stage.alice.change() as now:
            if method == "INVITE":
                caller.usage.reinvite(caller.negotiation.create_offer(), now=now)
            else:
                caller.usage.info(Body("text/plain", b"x"), now=now)
        caller.hang_up()
        stage.tamper = lambda name, data: data
        stage.deliver("bob", b"".join(data for name, data in held if name == "alice"))
        assert callee.state is CallState.TERMINATED
        stage.run(40)
