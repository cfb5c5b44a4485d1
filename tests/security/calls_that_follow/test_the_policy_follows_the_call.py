"""What was demanded of a call is demanded of the one that takes its place, however that comes.

Bob's account leaves media in clear possible, and he demands SRTP of one call.  His far end then
has him call somebody else, puts another call in the place of this one, or sends him elsewhere.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from softphone.config import AccountConfig
from softphone.errors import CallError, Redirected
from softphone.events import CallState, EndedBy
from softphone.media.audio import ToneSource
from softphone.phone import Phone
from softphone.security import SecurityLevel, SecurityShortfall, ShortfallCode, SrtpPolicy
from tests.support.calling import answer_one, connect, eventually, next_call
from tests.support.direct import address_of, secure
from tests.support.waiting import PATIENCE

REQUIRED, OFF = SrtpPolicy.REQUIRED, SrtpPolicy.OFF


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


@pytest.fixture
def ear():
    """A place over UDP that keeps what it hears."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        yield made


def heard_at(ear):
    found = []
    while True:
        try:
            found.append(ear.recv(65535))
        except BlockingIOError:
            return found


def place(ear):
    return f"sip:carol@127.0.0.1:{ear.getsockname()[1]};transport=udp"


def codes(error):
    return {shortfall.code for shortfall in error.value.shortfalls}


async def three(phone, folder):
    """Alice, Bob with a call to her that demands SRTP, and Carol, who has none."""
    alice = await phone.register(secure(folder, "alice"))
    bob = await phone.register(secure(folder, "bob"))
    carol = await phone.register(secure(folder, "carol", OFF))
    ours, theirs = await connect(bob, alice, address_of(alice), srtp=REQUIRED)
    assert ours.security.level is SecurityLevel.ENCRYPTED
    return alice, bob, carol, ours, theirs


async def referred(call, theirs, target):
    """The far end asks for a transfer; gives what it waits for."""
    moving = asyncio.ensure_future(theirs.transfer(target))
    await eventually(lambda: call.transfer_requested)
    return moving


async def outcome(outgoing):
    """The status that a call fails with; else how much of it went out in clear."""
    try:
        call = await outgoing.answered(timeout=PATIENCE)
    except CallError as error:
        return error.status
    call.audio.play(ToneSource(440.0))
    await asyncio.sleep(0.7)
    return f"{call.audio.statistics.packets_sent} packets as {call.security.media[0].profile}"


async def refusal(moving):
    """The status that a transfer fails with."""
    with pytest.raises(CallError) as caught:
        await asyncio.wait_for(moving, PATIENCE)
    return caught.value.status


async def test_a_transfer_to_a_phone_in_clear_is_refused_and_the_call_goes_on(phone, tmp_path):
    _, bob, carol, ours, theirs = await three(phone, tmp_path)
    moving = await referred(ours, theirs, address_of(carol))
    answering = asyncio.ensure_future(answer_one(carol))
    assert await outcome(bob.accept_transfer(ours)) == 488
    answering.cancel()
    assert await refusal(moving) == 488
    assert ours.state is CallState.CONFIRMED
    assert ours.security.level is SecurityLevel.ENCRYPTED


async def test_no_key_leaves_over_udp_for_a_call_that_was_secure(phone, tmp_path, ear):
    _, bob, _, ours, theirs = await three(phone, tmp_path)
    moving = await referred(ours, theirs, place(ear))
    with pytest.raises(SecurityShortfall) as caught:
        await bob.accept_transfer(ours).answered(timeout=PATIENCE)
    assert ShortfallCode.SIGNALING_CLEAR in codes(caught)
    assert await refusal(moving) == 488
    assert heard_at(ear) == []
    assert ours.state is CallState.CONFIRMED


async def test_signaling_leaves_tls_only_by_a_word_of_the_application(phone, tmp_path, ear):
    alice = await phone.register(secure(tmp_path, "alice"))
    bob = await phone.register(secure(tmp_path, "bob", OFF))
    ours, theirs = await connect(bob, alice, address_of(alice))
    moving = await referred(ours, theirs, place(ear))
    with pytest.raises(SecurityShortfall):
        await bob.accept_transfer(ours).start()
    assert await refusal(moving) == 488
    assert heard_at(ear) == []
    moving = await referred(ours, theirs, place(ear))
    async with bob.accept_transfer(ours, allow_clear=True):
        await eventually(lambda: any(data.startswith(b"INVITE") for data in heard_at(ear)))
    moving.cancel()


async def test_a_word_for_clear_signaling_is_none_for_clear_media(phone, tmp_path, ear):
    _, bob, _, ours, theirs = await three(phone, tmp_path)
    moving = await referred(ours, theirs, place(ear))
    with pytest.raises(SecurityShortfall) as caught:
        await bob.accept_transfer(ours, allow_clear=True).start()
    assert ShortfallCode.SIGNALING_CLEAR in codes(caught)
    moving.cancel()
    assert heard_at(ear) == []


async def test_a_transfer_to_a_secure_phone_is_followed(phone, tmp_path):
    _, bob, _, ours, theirs = await three(phone, tmp_path)
    dave = await phone.register(secure(tmp_path, "dave"))
    answering = asyncio.ensure_future(answer_one(dave))
    moving = await referred(ours, theirs, address_of(dave))
    call = await bob.accept_transfer(ours).answered(timeout=PATIENCE)
    assert call.security.level is SecurityLevel.ENCRYPTED
    assert call.inherited_policy.srtp is REQUIRED
    await asyncio.wait_for(moving, PATIENCE)
    await answering


async def test_a_transfer_of_a_transfer_is_held_to_the_first_demand(phone, tmp_path):
    _, bob, carol, ours, theirs = await three(phone, tmp_path)
    dave = await phone.register(secure(tmp_path, "dave"))
    answering = asyncio.ensure_future(answer_one(dave))
    await referred(ours, theirs, address_of(dave))
    second = await bob.accept_transfer(ours).answered(timeout=PATIENCE)
    await referred(second, await answering, address_of(carol))
    answering = asyncio.ensure_future(answer_one(carol))
    assert await outcome(bob.accept_transfer(second)) == 488
    answering.cancel()


async def test_an_invite_with_replaces_in_clear_leaves_the_call_as_it_is(phone, tmp_path):
    alice, bob, _, ours, theirs = await three(phone, tmp_path)
    value = theirs._leg.active_usage.replaces_value()
    again = alice.dial(address_of(bob), srtp=OFF, replaces=value)
    answering = asyncio.ensure_future(answer_one(bob))
    assert await outcome(again) == 488
    answering.cancel()
    assert ours.state is theirs.state is CallState.CONFIRMED


async def test_one_without_an_offer_gets_srtp_or_nothing(phone, tmp_path):
    alice, bob, _, _, theirs = await three(phone, tmp_path)
    value = theirs._leg.active_usage.replaces_value()
    again = alice.dial(address_of(bob), replaces=value, delayed_offer=True)
    waiting = asyncio.ensure_future(again.answered(timeout=PATIENCE))
    incoming = await next_call(bob)
    call = await incoming.answer()
    await waiting
    assert call.inherited_policy.srtp is REQUIRED
    assert call.security.level is SecurityLevel.ENCRYPTED


async def test_a_call_that_rings_is_picked_up_as_it_was_demanded(phone, tmp_path):
    alice = await phone.register(secure(tmp_path, "alice"))
    bob = await phone.register(secure(tmp_path, "bob"))
    async with bob.dial(address_of(alice), srtp=REQUIRED) as outgoing:
        ringing = await next_call(alice)
        ringing.ring()
        await eventually(lambda: outgoing.state is CallState.EARLY)
        value = ringing._leg.active_usage.replaces_value(early_only=True)
        answering = asyncio.ensure_future(answer_one(bob))
        assert await outcome(alice.dial(address_of(bob), srtp=OFF, replaces=value)) == 488
        answering.cancel()
        assert outgoing.state is CallState.EARLY
        again = alice.dial(address_of(bob), replaces=value)
        waiting = asyncio.ensure_future(again.answered(timeout=PATIENCE))
        call = await (await next_call(bob)).answer()
        await waiting
        assert call.security.level is SecurityLevel.ENCRYPTED
        assert outgoing.state is CallState.TERMINATED


async def test_a_call_that_is_redirected_is_followed_as_it_was_demanded(phone, tmp_path, ear):
    alice = await phone.register(secure(tmp_path, "alice"))
    bob = await phone.register(secure(tmp_path, "bob"))
    carol = await phone.register(secure(tmp_path, "carol", OFF))
    outgoing = bob.dial(address_of(alice), srtp=REQUIRED)
    waiting = asyncio.ensure_future(outgoing.answered(timeout=PATIENCE))
    (await next_call(alice)).redirect(place(ear), address_of(carol))
    with pytest.raises(Redirected) as caught:
        await waiting
    first, second = caught.value.contacts
    with pytest.raises(SecurityShortfall) as refused:
        await bob.dial(first, follows=outgoing).start()
    assert ShortfallCode.SIGNALING_CLEAR in codes(refused)
    answering = asyncio.ensure_future(answer_one(carol))
    assert await outcome(bob.dial(second, follows=outgoing)) == 488
    answering.cancel()
    assert heard_at(ear) == []


async def test_a_sips_uri_is_never_called_in_clear(phone, ear):
    alice = await phone.register(
        AccountConfig(aor="sip:alice@example.test", outbound_proxy=place(ear))
    )
    with pytest.raises(SecurityShortfall) as caught:
        await alice.dial("sips:bob@example.test").start()
    assert codes(caught) == {ShortfallCode.SIGNALING_CLEAR}
    assert heard_at(ear) == []


async def test_the_replaced_call_ends_only_when_the_other_is_answered(phone, tmp_path):
    alice, bob, _, ours, theirs = await three(phone, tmp_path)
    value = theirs._leg.active_usage.replaces_value()
    again = alice.dial(address_of(bob), replaces=value)
    waiting = asyncio.ensure_future(again.answered(timeout=PATIENCE))
    incoming = await next_call(bob)
    assert incoming.replaces is ours
    assert ours.state is CallState.CONFIRMED
    await incoming.answer()
    await waiting
    assert (await asyncio.wait_for(ours.ended(), PATIENCE)).by is EndedBy.REMOTE
