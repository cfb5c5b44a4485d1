"""Whoever asks for a call, and in whatever way: the account's dial policy judges it first.

Bob's account knows the extension "alice" at her address; the numbers that an attacker would want
called are premium ones.  Carol is where such a call would arrive, and nothing arrives there.
"""

from __future__ import annotations

import ast
import asyncio
from collections import Counter
from pathlib import Path

import pytest

import softphone
from softphone.config import DialPolicyConfig, LimitsConfig
from softphone.errors import CallError, DialRefused, Redirected
from softphone.events import CallEnded, CallPrevented, EndedBy, WatchedDialog
from softphone.phone import Phone
from tests.support.calling import connect, eventually, next_call
from tests.support.direct import address_of, clear
from tests.support.waiting import PATIENCE, patiently

PREMIUM = "+499001234567"
PRODUCT = Path(softphone.__file__).parent


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


async def parties(phone, **rules):
    """Alice, Bob with a policy, and Carol; Bob may call Alice's name at Alice's host only."""
    policy = DialPolicyConfig(country="49", internal=("alice", "dave"), **rules)
    return [
        await phone.register(clear("alice")),
        await phone.register(clear("bob", dial_policy=policy, pickup="*8{user}")),
        await phone.register(clear("carol")),
    ]


def premium_at(account):
    """The address of a premium number that `account` would answer for."""
    _, host, port = account.listening
    return f"sip:{PREMIUM}@{host}:{port};transport=udp"


def prevented(account):
    return [event for event in account._events._events if isinstance(event, CallPrevented)]


async def rule_of(work):
    """The rule that refuses what is awaited."""
    with pytest.raises(DialRefused) as caught:
        await work
    return caught.value.rule


async def sent_nothing(bob, carol):
    """No call of Bob's is on its way, and none has come to Carol."""
    assert not [leg for leg in bob._legs if "900" in str(leg.peer.uri)]
    assert not carol.calls
    assert not carol._legs


async def test_a_forbidden_number_is_not_dialed(phone):
    _, bob, carol = await parties(phone)
    assert await rule_of(bob.dial(premium_at(carol)).answered(timeout=PATIENCE)) == "premium"
    with pytest.raises(DialRefused):
        async with bob.dial(premium_at(carol)):
            raise AssertionError("the call has begun")
    await sent_nothing(bob, carol)
    assert [event.rule for event in prevented(bob)] == ["premium", "premium"]
    assert PREMIUM not in repr(prevented(bob))


async def test_a_music_source_is_judged_as_any_target(phone):
    alice, _, carol = await parties(phone)
    policy = DialPolicyConfig(country="49", internal=("alice",))
    config = clear("dave", dial_policy=policy, music_on_hold=premium_at(carol))
    dave = await phone.register(config)
    ours, _ = await connect(dave, alice, address_of(alice))
    await ours.hold()
    assert ours.held
    assert [event.rule for event in prevented(dave)] == ["premium"]
    await sent_nothing(dave, carol)


async def test_an_account_without_a_policy_dials_it(phone):
    _, _, carol = await parties(phone)
    dave = await phone.register(clear("dave"))
    async with dave.dial(premium_at(carol)):
        assert (await patiently(next_call(carol))).called.uri.user == PREMIUM


async def test_the_far_ends_refer_to_a_forbidden_number_gets_403_and_the_call_goes_on(phone):
    alice, bob, carol = await parties(phone)
    theirs, ours = await connect(alice, bob, address_of(bob))
    asking = asyncio.create_task(theirs.transfer(premium_at(carol)))
    await eventually(lambda: ours.transfer_requested)
    with pytest.raises(DialRefused):
        bob.accept_transfer(ours)
    with pytest.raises(CallError) as caught:
        await patiently(asking)
    assert caught.value.status == 403
    assert bob.calls == (ours,)
    await sent_nothing(bob, carol)


async def test_a_refer_whose_call_comes_too_late_for_the_limit_is_told_403(phone):
    alice, bob, carol = await parties(phone, calls_per_hour=1)
    theirs, ours = await connect(alice, bob, address_of(bob))
    asking = asyncio.create_task(theirs.transfer(address_of(alice)))
    await eventually(lambda: ours.transfer_requested)
    following = bob.accept_transfer(ours)
    bob._context.dial_gate.admit(
        bob.config.target_uri("dave"), now=asyncio.get_running_loop().time()
    )
    assert await rule_of(following.answered(timeout=PATIENCE)) == "calls_per_hour"
    with pytest.raises(CallError) as caught:
        await patiently(asking)
    assert caught.value.status == 403
    await sent_nothing(bob, carol)


async def test_a_refer_to_an_allowed_name_is_followed(phone):
    alice, bob, _ = await parties(phone)
    theirs, ours = await connect(alice, bob, address_of(bob))
    asking = asyncio.create_task(theirs.transfer(address_of(alice)))
    await eventually(lambda: ours.transfer_requested)
    async with bob.accept_transfer(ours) as outgoing:
        incoming = await patiently(next_call(alice))
        await incoming.answer()
        await outgoing.answered(timeout=PATIENCE)
        await patiently(asking)


async def test_the_contacts_of_a_redirect_are_judged_as_any_target(phone):
    alice, bob, carol = await parties(phone)
    outgoing = bob.dial(address_of(alice))
    await outgoing.start()
    (await patiently(next_call(alice))).redirect(premium_at(carol))
    with pytest.raises(Redirected) as caught:
        await outgoing.answered(timeout=PATIENCE)
    (contact,) = caught.value.contacts
    assert await rule_of(bob.dial(contact, follows=outgoing).answered()) == "premium"
    await sent_nothing(bob, carol)


async def test_no_far_end_is_sent_to_a_forbidden_number(phone):
    alice, bob, carol = await parties(phone)
    theirs, ours = await connect(alice, bob, address_of(bob))
    assert await rule_of(ours.transfer(premium_at(carol))) == "premium"
    assert await rule_of(ours.transfer("112")) == "emergency"
    assert not theirs.transfer_requested
    assert bob.calls == (ours,)


async def test_no_far_end_is_sent_to_the_premium_contact_of_another_call(phone):
    """Mallory's phone says in Contact that it is a premium number."""
    alice, bob, carol = await parties(phone)
    theirs, ours = await connect(alice, bob, address_of(bob))
    mallory = await phone.register(clear(PREMIUM))
    _, other = await connect(mallory, bob, address_of(bob))
    assert await rule_of(ours.transfer(other)) == "premium"
    assert not theirs.transfer_requested
    assert not carol._legs


async def test_a_caller_is_not_redirected_to_a_forbidden_number(phone):
    alice, bob, carol = await parties(phone)
    outgoing = alice.dial(address_of(bob))
    await outgoing.start()
    incoming = await patiently(next_call(bob))
    with pytest.raises(DialRefused):
        incoming.redirect(address_of(alice), premium_at(carol))
    assert incoming.unanswered
    incoming.reject(480)
    with pytest.raises(CallError):
        await outgoing.answered(timeout=PATIENCE)


async def test_a_pickup_is_judged_by_what_it_dials(phone):
    _, bob, carol = await parties(phone)
    ringing = WatchedDialog(
        id="1",
        state=softphone.events.CallState.EARLY,
        direction="recipient",
        call_id="a",
        local_tag="b",
        remote_tag="c",
        remote_target=premium_at(carol),
    )
    assert await rule_of(bob.pick_up("600", ringing).answered()) == "premium"
    assert await rule_of(bob.pick_up("600").answered()) == "internal"
    await sent_nothing(bob, carol)


async def test_a_call_that_replaces_another_is_judged(phone):
    alice, bob, carol = await parties(phone)
    ours, _ = await connect(bob, alice, address_of(alice))
    replaces = ours._leg.usage.replaces_value()
    assert await rule_of(bob.dial(premium_at(carol), replaces=replaces).answered()) == "premium"


async def test_digits_behind_a_judged_number_make_no_other_number(phone):
    alice, bob, _ = await parties(phone)
    async with bob.dial(address_of(alice)) as outgoing:
        with pytest.raises(DialRefused):
            outgoing.send_digits("0900")


async def test_calls_at_once_are_free_again_when_one_is_over(phone):
    alice, bob, _ = await parties(phone, calls_at_once=1)
    ours, _ = await connect(bob, alice, address_of(alice))
    assert await rule_of(bob.dial(address_of(alice)).answered()) == "calls_at_once"
    ours.hangup()
    await patiently(ours.ended())
    await eventually(lambda: not bob._context.dial_gate._held)
    await connect(bob, alice, address_of(alice))


async def test_a_call_that_could_not_be_placed_is_not_up(phone):
    _, bob, _ = await parties(phone, calls_at_once=1)
    with pytest.raises(softphone.SoftphoneError):
        await bob.dial("sips:alice@127.0.0.1:9").answered(timeout=PATIENCE)
    assert not bob._context.dial_gate._held


async def test_the_shorter_of_policy_and_limits_ends_a_call(phone):
    alice, bob, _ = await parties(phone, call_duration=0.2)
    ours, _ = await connect(bob, alice, address_of(alice))
    ended = await patiently(ours.ended())
    assert isinstance(ended, CallEnded)
    assert ended.by is EndedBy.DURATION
    short = DialPolicyConfig(internal=("alice",), call_duration=600.0)
    dave = await phone.register(
        clear("dave", dial_policy=short, limits=LimitsConfig(call_duration=90.0))
    )
    ours, _ = await connect(dave, alice, address_of(alice))
    assert ours._leg.setup.guards.maximum_duration == 90.0


def nodes_of(name):
    """Every node of the syntax trees of softphone's files that hold a name, with the file."""
    for path in sorted(PRODUCT.rglob("*.py")):
        text = path.read_text()
        if name in text:
            for node in ast.walk(ast.parse(text)):
                yield path.relative_to(PRODUCT).as_posix(), node


def calls_of(name):
    """The files of softphone that call a function or method, with how often."""
    return Counter(
        place
        for place, node in nodes_of(name)
        if isinstance(node, ast.Call)
        and name in (getattr(node.func, "attr", ""), getattr(node.func, "id", ""))
    )


def uses_of(name):
    """The files of softphone that read a name."""
    return {
        place
        for place, node in nodes_of(name)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
    }


@pytest.mark.reads_source
def test_every_initial_invite_goes_through_one_door_that_asks_for_a_permit():
    # That to a music source is for its account alone, which has it judged.
    assert calls_of("invite") == {"call/outgoing.py": 1, "call/leg/music_on_hold.py": 1}
    assert calls_of("MusicSource") == {"account/account.py": 1}
    assert calls_of("InviteClient") == {"sip/endpoint.py": 1}
    assert calls_of("OutgoingLeg") == {"account/account.py": 1, "lab/calls/b2bua.py": 1}


@pytest.mark.reads_source
def test_only_the_gate_makes_permits_and_only_the_lab_goes_without():
    assert set(calls_of("DialPermit")) == {"account/dial_gate.py", "call/dial_permit.py"}
    assert uses_of("UNJUDGED") == {"account/dial_gate.py", "lab/calls/b2bua.py"}


@pytest.mark.reads_source
def test_whatever_sends_a_far_end_elsewhere_is_judged():
    """REFER and 3xx: beside these a REFER asks a server for a conference, and names no number."""
    assert calls_of("refer") == {
        "call/cisco_conference.py": 1,
        "call/leg/call_leg.py": 1,
        "sip/invite/subscriptions.py": 1,
    }
    assert calls_of("judge_referral") == {"call/call.py": 1, "call/incoming.py": 1}
