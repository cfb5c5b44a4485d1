"""A call that takes the place of another shows no key that was shown for that one (RFC 4568 7.1.4).

Whoever was offered the first call, or took part in it, has seen its keys: were they offered to the
next target, the first could hear that call, too.
"""

from __future__ import annotations

import asyncio
import re

import pytest

from softphone.errors import Redirected
from softphone.phone import Phone
from softphone.security import DEFAULT_SUITES, SrtpPolicy
from tests.support.calling import answer_one, connect, eventually, next_call
from tests.support.direct import address_of, secure
from tests.support.waiting import PATIENCE

REQUIRED = SrtpPolicy.REQUIRED


class ShownKeys:
    """A tap that keeps the keys of each message that a phone sends: of offers, and of answers."""

    def __init__(self) -> None:
        self.offers: list[list[bytes]] = []
        self.answers: list[list[bytes]] = []

    def signaling(self, data, *, flow, outgoing, now):
        """Keep the keys of what goes out, which is the others' incoming as well."""
        keys = re.findall(rb"inline:([A-Za-z0-9+/=]+)", data)
        if outgoing and keys:
            (self.offers if data.startswith(b"INVITE ") else self.answers).append(keys)

    def datagram(self, data, **_):
        """Media shows no key."""

    def all_of_two_calls(self) -> list[bytes]:
        """Every key of two offers and their answers."""
        first, second = self.offers
        assert len(first) == len(second) == len(DEFAULT_SUITES)
        return [key for keys in (*self.offers, *self.answers) for key in keys]


@pytest.fixture
def shown():
    return ShownKeys()


@pytest.fixture
async def phone(shown):
    async with Phone(tap=shown) as made:
        yield made


@pytest.fixture
async def three(phone, tmp_path):
    """Alice, Bob and Dave, each with a certificate of their own."""
    return [await phone.register(secure(tmp_path, name)) for name in ("alice", "bob", "dave")]


async def test_the_target_of_a_redirection_gets_fresh_keys(three, shown):
    alice, bob, dave = three
    outgoing = bob.dial(address_of(alice), srtp=REQUIRED)
    waiting = asyncio.ensure_future(outgoing.answered(timeout=PATIENCE))
    (await next_call(alice)).redirect(address_of(dave))
    with pytest.raises(Redirected) as caught:
        await waiting
    answering = asyncio.ensure_future(answer_one(dave))
    await bob.dial(caught.value.contacts[0], follows=outgoing).answered(timeout=PATIENCE)
    await answering
    keys = shown.all_of_two_calls()
    assert len(shown.answers) == 1
    assert len(set(keys)) == len(keys)


async def test_the_target_of_a_transfer_gets_fresh_keys(three, shown):
    alice, bob, dave = three
    ours, theirs = await connect(bob, alice, address_of(alice), srtp=REQUIRED)
    answering = asyncio.ensure_future(answer_one(dave))
    moving = asyncio.ensure_future(theirs.transfer(address_of(dave)))
    await eventually(lambda: ours.transfer_requested)
    await bob.accept_transfer(ours).answered(timeout=PATIENCE)
    await asyncio.wait_for(moving, PATIENCE)
    await answering
    keys = shown.all_of_two_calls()
    assert len(shown.answers) == 2
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("delayed", [False, True], ids=["offer", "no offer"])
async def test_a_call_in_the_place_of_another_has_fresh_keys(three, shown, delayed):
    """Alice replaces her call with Bob: neither side shows a key of the call before."""
    alice, bob, _ = three
    _, theirs = await connect(bob, alice, address_of(alice), srtp=REQUIRED)
    value = theirs._leg.active_usage.replaces_value()
    taking = alice.dial(address_of(bob), replaces=value, delayed_offer=delayed)
    waiting = asyncio.ensure_future(taking.answered(timeout=PATIENCE))
    await (await next_call(bob)).answer()
    await waiting
    if delayed:  # Bob's offer is in his 200, and Dave's answer in his ACK.
        shown.offers.append(shown.answers.pop(-2))
    keys = shown.all_of_two_calls()
    assert len(shown.answers) == 2
    assert len(set(keys)) == len(keys)
