"""Header fields and causes of the application, on every message that may have them."""

from __future__ import annotations

import asyncio

import pytest

from softphone.call import Call, IncomingCall
from softphone.call.end_cause import REFUSALS_OF_Q850, refusal_status
from softphone.call.outgoing import OutgoingCall
from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.events import CallEnded, CallRinging, EndedBy, TransferRequested
from softphone.phone import Phone
from softphone.sip import NameAddr
from softphone.sip.message import parse_datagram
from tests.support.calling import connect, eventually, next_call
from tests.support.direct import address_of, clear
from tests.support.stage import Stage
from tests.support.waiting import PATIENCE, patiently

ORDER = {"X-Order": ["7", "8"], "Subject": "ü"}
SENT = [("X-Order", "7"), ("X-Order", "8"), ("Subject", "ü")]


def ours(message):
    """The application's fields of a message, in order."""
    return [each for each in message.headers if each[0] in ("X-Order", "Subject")]


def sent(stage, name, start):
    """The last message of one side that begins so."""
    return [
        parse_datagram(data)
        for sender, data in stage.wire
        if sender == name and data.startswith(start.encode())
    ][-1]


def reasons(message):
    return list(message.headers.get_all("Reason"))


def ringing(stage=None):
    stage = stage or Stage()
    stage.bob.rings = False
    leg = stage.dial()
    stage.run(0.1)
    call = OutgoingCall(NameAddr(None, leg.peer.uri, ()), None)
    call._started = leg
    return stage, call, IncomingCall(stage.bob.leg)


async def test_on_the_provisional_response():
    stage, outgoing, incoming = ringing()
    incoming.ring(headers=ORDER)
    stage.run(0.1)
    assert ours(sent(stage, "bob", "SIP/2.0 180")) == SENT
    (event,) = [each for each in stage.alice.events if isinstance(each, CallRinging)]
    assert [each for each in event.headers if each in SENT] == SENT
    assert event == CallRinging(180, "Ringing")
    assert "ü" not in repr(event)
    outgoing.cancel()


async def test_on_the_answer():
    stage, outgoing, incoming = ringing()
    answering = asyncio.ensure_future(incoming.answer(headers=ORDER))
    await asyncio.sleep(0)
    stage.run(0.3)
    await answering
    assert ours(sent(stage, "bob", "SIP/2.0 200")) == SENT
    assert outgoing.answer_headers.get_all("X-Order") == ("7", "8")


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ({}, 486, []),
        ({"status": 603, "reason": "Not today"}, 603, []),
        ({"q850_cause": 21}, 603, ['Q.850;cause=21;text="call rejected"']),
        ({"status": 480, "q850_cause": 19}, 480, ['Q.850;cause=19;text="no answer"']),
    ],
)
async def test_on_a_refusal_by_status_and_cause(arguments, status, reason):
    stage, outgoing, incoming = ringing()
    incoming.reject(**arguments, headers=ORDER)
    stage.run(0.1)
    response = sent(stage, "bob", f"SIP/2.0 {status}")
    assert (ours(response), reasons(response)) == (SENT, reason)
    if "reason" in arguments:
        assert response.reason == "Not today"
    ended = stage.alice.leg.ended.result()
    cause = arguments.get("q850_cause", 0)
    assert (ended.by, ended.status, ended.q850_cause) == (EndedBy.REMOTE, status, cause)
    assert [each for each in ended.headers if each in SENT] == SENT
    assert stage.bob.leg.ended.result().q850_cause == cause
    assert outgoing.answer_headers.get("X-Order") is None


async def test_on_a_redirection():
    stage, _, incoming = ringing()
    incoming.redirect("carol@h", headers=ORDER)
    stage.run(0.1)
    response = sent(stage, "bob", "SIP/2.0 302")
    assert ours(response) == SENT
    assert response.headers.get("Contact") == "<sip:carol@h>"


async def test_on_cancel_with_its_reason():
    stage, outgoing, incoming = ringing()
    incoming.ring()
    stage.run(0.1)
    outgoing.cancel(status=200, reason="Call completed elsewhere", headers=ORDER)
    stage.run(0.1)
    request = sent(stage, "alice", "CANCEL")
    assert ours(request) == SENT
    assert reasons(request) == ['SIP;cause=200;text="Call completed elsewhere"']
    ended = stage.bob.leg.ended.result()
    assert (ended.status, ended.reason) == (200, "Call completed elsewhere")


async def test_on_bye_with_both_causes():
    stage = Stage()
    caller, callee = stage.answered()
    Call(caller).hangup(status=480, q850_cause=16, headers=ORDER)
    stage.run(0.1)
    request = sent(stage, "alice", "BYE")
    assert ours(request) == SENT
    assert reasons(request) == [
        'SIP;cause=480;text=""',
        'Q.850;cause=16;text="normal clearing"',
    ]
    ended = callee.ended.result()
    assert ended == CallEnded(EndedBy.REMOTE, 480, "normal clearing", 16)
    assert [each for each in ended.headers if each in SENT] == SENT
    local = caller.ended.result()
    assert (local.by, local.status, local.q850_cause) == (EndedBy.LOCAL, 480, 16)
    Call(caller).hangup()  # Once it is over it does nothing.


async def test_a_bye_without_a_cause_has_no_reason():
    stage = Stage()
    caller, _ = stage.answered()
    Call(caller).hangup(headers={"X-Order": "9"})
    stage.run(0.1)
    assert reasons(sent(stage, "alice", "BYE")) == []


async def test_an_incoming_call_that_we_hang_up_before_its_answer_is_refused_by_the_cause():
    stage, _, incoming = ringing()
    incoming._leg.hang_up(480, "gone", q850_cause=17, headers=tuple(SENT))
    stage.run(0.1)
    response = sent(stage, "bob", "SIP/2.0 480")
    assert (ours(response), reasons(response)) == (SENT, ['Q.850;cause=17;text="user busy"'])
    assert "gone" in response.headers.get("Warning")


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"status": 99}, "status: 99"),
        ({"status": 700}, "status: 700"),
        ({"q850_cause": 128}, "q850_cause: 128"),
        ({"q850_cause": -1}, "q850_cause: -1"),
        ({"reason": "a\r\nVia: b"}, "reason: "),
        ({"reason": "x" * 201}, "reason: "),
        ({"headers": {"Via": "x"}}, "headers: Via is written by softphone itself"),
        ({"headers": {"X-A": "a\nb"}}, "headers: the value of X-A"),
    ],
)
async def test_what_cannot_be_sent_is_refused_and_the_call_goes_on(arguments, wrong):
    stage, outgoing, incoming = ringing()
    with pytest.raises(ConfigurationError, match=wrong):
        outgoing.cancel(**arguments)
    if arguments.get("status", 0):
        arguments = {**arguments, "status": 480, "q850_cause": 200}
        wrong = "q850_cause: 200"
    with pytest.raises(ConfigurationError, match=wrong):
        incoming.reject(**arguments)
    stage.bob.leg.accept()
    stage.run(0.3)
    with pytest.raises(ConfigurationError, match=wrong):
        Call(stage.bob.leg).hangup(**arguments)
    assert not stage.alice.leg.ended.done()
    with pytest.raises(LocalProtocolError, match="200 is no refusal"):
        incoming.reject(200)


@pytest.mark.parametrize("given", [("in a meeting",), (True,), ("603", "in a meeting"), (603, 21)])
async def test_words_in_the_place_of_a_status_are_refused_with_the_right_call(given):
    _, outgoing, incoming = ringing()
    with pytest.raises(ConfigurationError, match=r'give reject\(603, "in a meeting"\)'):
        incoming.reject(*given)
    for wrong in ({"status": "486"}, {"q850_cause": "17"}, {"reason": 5}):
        with pytest.raises(ConfigurationError, match=f"{next(iter(wrong))}: give a "):
            outgoing.cancel(**wrong)
    incoming.reject(603, "in a meeting")


async def test_each_door_is_the_same():
    stage = Stage()
    caller, _ = stage.answered()
    call, bad = Call(caller), {"Contact": "<sip:x@y>"}
    for work in (
        call.hold(headers=bad),
        call.resume(headers=bad),
        call.transfer("601", headers=bad),
        IncomingCall(stage.bob.leg).answer(headers=bad),
    ):
        with pytest.raises(ConfigurationError, match="Contact is written by softphone itself"):
            await work
    for refuse in (IncomingCall(stage.bob.leg).ring, IncomingCall(stage.bob.leg).redirect):
        with pytest.raises(ConfigurationError, match="Contact is written by softphone itself"):
            refuse(headers=bad)


def test_a_cause_of_q850_gives_the_status_of_a_refusal():
    assert [refusal_status(cause) for cause in (0, 17, 21, 27, 111)] == [486, 486, 603, 502, 500]
    assert set(REFUSALS_OF_Q850) <= set(range(1, 128))
    assert all(400 <= status <= 699 for status in REFUSALS_OF_Q850.values())


async def test_over_real_sockets_on_hold_resume_transfer_and_the_end():
    async with Phone() as phone:
        bob = await phone.register(clear("bob"))
        alice = await phone.register(clear("alice"))
        call, other = await connect(alice, bob, address_of(bob))
        heard = []
        handle = other._leg._handle

        def watch(event):
            heard.append(getattr(event, "request", None))
            handle(event)

        other._leg._handle = watch
        await call.hold(headers={"X-Order": "hold"})
        await call.resume(headers={"X-Order": "resume"})
        assert [each.headers.get("X-Order") for each in heard if each] == ["hold", "resume"]
        asking = asyncio.ensure_future(call.transfer(address_of(alice), headers={"X-Order": "go"}))
        await eventually(lambda: other.transfer_requested)
        events = other._leg.event_queue._events
        (asked,) = [each for each in events if isinstance(each, TransferRequested)]
        assert ("X-Order", "go") in asked.headers
        other.reject_transfer()
        with pytest.raises(Exception, match="603"):
            await asking
        call.hangup(q850_cause=17, headers={"X-Order": "bye"})
        ended = await patiently(other.ended())
        assert (ended.q850_cause, ("X-Order", "bye") in ended.headers) == (17, True)


async def test_over_real_sockets_on_a_refusal():
    async with Phone() as phone:
        bob = await phone.register(clear("bob"))
        alice = await phone.register(clear("alice"))
        async with alice.dial(address_of(bob)) as outgoing:
            incoming = await next_call(bob)
            incoming.reject(q850_cause=34, headers=[("Retry-After", "7")])
            with pytest.raises(Exception, match="503"):
                await outgoing.answered(timeout=PATIENCE)
            ended = outgoing._leg.ended.result()
            assert (ended.status, ended.q850_cause) == (503, 34)
            assert ("Retry-After", "7") in ended.headers
