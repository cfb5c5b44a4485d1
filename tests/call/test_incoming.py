"""Calls that come in: judged before anybody is alerted, answered, refused, given up."""

from __future__ import annotations

import asyncio

import pytest

from softphone.call import Call, IncomingCall
from softphone.errors import CallFailed, Canceled, ConfigurationError, LocalProtocolError
from softphone.events import CallEnded, CallState, EndedBy
from softphone.security import (
    DEFAULT_SUITES,
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
)
from tests.support.stage import Stage, edit_body, first_line, in_clear


async def answering(stage):
    """A task that answers Bob's call, with the answer on its way."""
    task = asyncio.ensure_future(IncomingCall(stage.bob.leg).answer())
    await asyncio.sleep(0)
    stage.run(0.3)
    return task


KEY_LENGTHS = {suite.material_length for suite in DEFAULT_SUITES}


def watch_draws(party):
    """The lengths of what a side draws from its source of randomness, from now on."""
    drawn, source = [], party.entropy

    def entropy(count):
        drawn.append(count)
        return source(count)

    party.entropy = entropy
    return drawn


@pytest.mark.parametrize("delayed", [False, True])
async def test_an_answer_gives_the_call_once_it_is_acknowledged(delayed):
    stage = Stage()
    stage.dial(delayed=delayed)
    stage.run(0.1)
    call = await (await answering(stage))
    assert isinstance(call, Call)
    assert call.state is CallState.CONFIRMED
    assert call.security.level is SecurityLevel.ENCRYPTED
    assert str(call.peer.uri) == "sip:alice@192.0.2.1"


def refuse(stage, incoming):
    incoming.reject(603)


def redirect(stage, incoming):
    incoming.redirect("carol")


def give_up(stage, incoming):
    stage.alice.leg.cancel()


@pytest.mark.parametrize("end", [refuse, redirect, give_up])
async def test_a_call_that_is_not_answered_has_no_port_and_draws_no_key(end):
    stage = Stage()
    drawn = watch_draws(stage.bob)
    stage.dial()
    stage.run(0.1)
    incoming = IncomingCall(stage.bob.leg)
    assert incoming.state is CallState.EARLY
    end(stage, incoming)
    stage.run(0.3)
    assert (await incoming.ended).status >= 300
    assert stage.bob.port.opened == {}
    assert not KEY_LENGTHS & set(drawn)


async def test_the_port_and_one_key_are_taken_for_the_answer_and_once():
    stage = Stage()
    drawn = watch_draws(stage.bob)
    stage.dial()
    stage.run(0.1)
    leg = stage.bob.leg
    early = leg.make_description()
    with pytest.raises(LocalProtocolError, match="no offer"):
        leg.negotiation.make_answer()
    await (await answering(stage))
    assert stage.alice.leg.confirmed.done()
    assert [length for length in drawn if length in KEY_LENGTHS] == [44]
    (specs,) = stage.bob.port.opened.values()
    assert len(specs) == 1
    assert next(d for _, d in stage.wire if d.startswith(b"SIP/2.0 200")).endswith(early.data)


async def test_an_offer_that_is_refused_costs_no_port_either():
    stage = Stage()
    drawn = watch_draws(stage.bob)
    stage.tamper = lambda name, data: edit_body(data, in_clear)
    stage.dial()
    stage.run(0.1)
    assert stage.bob.leg.ended.result().status == 488
    assert stage.bob.port.opened == {}
    assert not KEY_LENGTHS & set(drawn)


@pytest.mark.parametrize("delayed", [False, True])
async def test_without_a_free_port_the_caller_gets_503_and_the_reason(delayed):
    stage = Stage()
    stage.bob.port._left = 0
    caller = stage.dial(delayed=delayed)
    stage.run(0.1)
    with pytest.raises(CallFailed, match="media stream") as refused:
        await (await answering(stage))
    assert refused.value.status == 503
    reason = "no media stream can be opened: every port is in use"
    assert stage.bob.events == [CallEnded(EndedBy.LOCAL, 503, reason)]
    assert caller.ended.result().status == 503
    refusal = next(data for _, data in stage.wire if data.startswith(b"SIP/2.0 503"))
    assert b'Warning: 370 192.0.2.2 "no media stream can be opened' in refusal


async def test_a_caller_that_gives_up_is_told():
    stage = Stage()
    caller = stage.dial()
    stage.run(0.1)
    incoming = IncomingCall(stage.bob.leg)
    ended = incoming.ended
    caller.cancel()
    stage.run(0.1)
    await asyncio.sleep(0)
    assert (await ended).by is EndedBy.REMOTE
    assert not incoming.unanswered
    with pytest.raises(Canceled):
        await incoming.answer()
    with pytest.raises(LocalProtocolError):
        incoming.reject()


async def test_a_wait_for_the_end_that_is_given_up_harms_nothing():
    stage = Stage()
    stage.dial()
    stage.run(0.1)
    incoming = IncomingCall(stage.bob.leg)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(incoming.ended, 0.001)
    incoming.reject()
    assert (await incoming.ended).status == 486


async def test_the_caller_s_reasons_for_giving_up_are_told_apart():
    stage = Stage()
    stage.dial()
    stage.run(0.1)

    def reasoned(name, data):
        line = b'\r\nReason: SIP;cause=200;text="Call completed elsewhere", Q.850;cause=26\r\n'
        return data.replace(b"\r\n", line, 1) if first_line(data).startswith("CANCEL") else data

    stage.tamper = reasoned
    stage.alice.leg.cancel()
    stage.run(0.2)
    ended = await IncomingCall(stage.bob.leg).ended
    assert ended == CallEnded(EndedBy.REMOTE, 200, "Call completed elsewhere", 26)


async def test_an_invite_and_its_cancel_in_one_piece_are_no_trouble():
    for offer in (lambda body: body, in_clear):
        stage = Stage()
        held = []

        def hold(name, data, held=held, offer=offer):
            held.append(edit_body(data, offer))
            return b""

        stage.tamper = hold
        stage.dial()
        invite = held[0]
        lines = invite.split(b"\r\n")
        cancel = b"\r\n".join(
            [
                lines[0].replace(b"INVITE", b"CANCEL"),
                *[x for x in lines if x.startswith((b"Via", b"From", b"To", b"Call-ID"))],
                next(x for x in lines if x.startswith(b"CSeq")).replace(b"INVITE", b"CANCEL"),
                b"Max-Forwards: 70",
                b"Content-Length: 0",
                b"",
                b"",
            ]
        )
        stage.deliver("bob", invite + cancel)
        assert stage.bob.leg.state is CallState.TERMINATED
        assert sorted(stage.sent("bob"))[:2] == ["200", "487"]
        stage.run(40)


async def test_an_offer_below_the_minimum_is_refused_though_srtp_is_fine():
    stage = Stage()
    stage.bob.policy = SecurityPolicy.strict()
    for name, flow in stage.flows.items():
        stage.flows[name] = type(flow)(flow.id, flow.transport, flow.local, flow.remote, None)
    stage.alice.policy = SecurityPolicy(minimum=SecurityLevel.NOT_SECURE)
    stage.dial()
    stage.run(0.1)
    assert stage.bob.leg.ended.result().status == 488
    assert isinstance(stage.bob.leg.failure, SecurityShortfall)


async def test_a_canceled_answer_hangs_up():
    stage = Stage()
    stage.dial()
    stage.run(0.1)
    stage.tamper = lambda name, data: b"" if first_line(data).startswith("ACK") else data
    task = await answering(stage)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.bob.leg.state is CallState.TERMINATED


async def test_a_caller_that_hangs_up_at_once_was_answered():
    stage = Stage()
    stage.dial()
    stage.run(0.1)
    task = asyncio.ensure_future(IncomingCall(stage.bob.leg).answer(keep=1.0))
    await asyncio.sleep(0)
    stage.run(0.3)
    stage.alice.leg.hang_up()
    stage.run(0.3)  # ACK and BYE, and only then the task
    call = await task
    assert call.state is CallState.TERMINATED
    assert (await call.ended()).by is EndedBy.REMOTE


async def test_an_acknowledgment_that_never_comes_ends_the_call():
    stage = Stage()
    stage.dial()
    stage.run(0.1)
    stage.tamper = lambda name, data: b"" if first_line(data).startswith("ACK") else data
    task = await answering(stage)
    stage.run(40)
    with pytest.raises(CallFailed):
        await task
    assert "BYE" in stage.sent("bob")


async def test_what_is_no_refusal_or_no_uri_changes_nothing():
    stage = Stage()
    stage.dial()
    stage.run(0.1)
    incoming = IncomingCall(stage.bob.leg)
    with pytest.raises(LocalProtocolError):
        incoming.reject(200)
    with pytest.raises(ConfigurationError, match="'no uri at all' is not a SIP URI"):
        incoming.redirect("no uri at all")
    assert incoming.unanswered
    incoming.redirect("sip:carol@192.0.2.3")
    assert incoming.state is CallState.TERMINATED


async def test_a_call_that_replaces_another_takes_its_place():
    stage = Stage()
    caller, callee = stage.answered()
    value = caller.usage.replaces_value()
    stage.dial(replaces=value)
    stage.run(0.1)
    assert stage.bob.leg.replaces is callee.usage
    stage.bob.leg.accept()
    stage.run(0.3)
    assert callee.ended.result().by is EndedBy.REMOTE
    assert stage.bob.leg.confirmed.done()
