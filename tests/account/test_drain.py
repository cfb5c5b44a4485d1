"""An account that is drained: new calls are refused, those that are up end by themselves."""

from __future__ import annotations

import asyncio
import re

import pytest

from softphone.config import DrainConfig
from softphone.errors import CallError, ConfigurationError, LocalProtocolError
from softphone.events import CallRefused, CallState, EndedBy, RegistrationState
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.personas import persona_named
from softphone.phone import Phone
from softphone.sans_io import Transport
from tests.support.calling import account_of, connect, eventually, next_call
from tests.support.direct import address_of, clear
from tests.support.virtual_loop import run_virtually
from tests.support.waiting import PATIENCE, patiently


class Tape:
    """A tap that keeps what is said."""

    def __init__(self):
        self.said = []

    def signaling(self, data, *, flow, outgoing, now):
        self.said.append((outgoing, data))

    def datagram(self, data, **where):
        """Media is of no interest."""

    def sent(self, start):
        return [data.decode() for out, data in self.said if out and data.startswith(start)]


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


def loop_time():
    return asyncio.get_running_loop().time()


async def pair(phone, **more):
    """Two accounts and a call between them, on the clock of the loop."""
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", **more))
    return (alice, bob, *await connect(alice, bob, address_of(bob)))


def virtual_phone(**options):
    return Phone(clock=loop_time, **options)


def test_it_waits_for_the_call_and_not_for_its_time():
    async def scene():
        async with virtual_phone() as phone:
            _, bob, call, other = await pair(phone)
            began = loop_time()
            asyncio.get_running_loop().call_later(8, call.hangup)
            assert await bob.drain(timeout=30)
            assert 8 <= loop_time() - began < 9
            assert (await other.ended()).by is EndedBy.REMOTE
            assert bob.draining

    run_virtually(scene())


def test_a_call_that_does_not_end_is_hung_up_when_the_time_is_over():
    async def scene():
        async with virtual_phone() as phone:
            _, bob, call, _ = await pair(phone, drain=DrainConfig(timeout=5))
            began = loop_time()
            assert not await bob.drain()
            assert 5 <= loop_time() - began < 6
            assert (await call.ended()).by is EndedBy.REMOTE

    run_virtually(scene())


def test_a_new_call_gets_503_and_when_to_try_again():
    async def scene():
        tape = Tape()
        async with virtual_phone(tap=tape) as phone:
            alice, bob, call, _ = await pair(phone)
            draining = asyncio.ensure_future(bob.drain(timeout=120))
            await asyncio.sleep(2)
            with pytest.raises(CallError) as caught:
                await alice.dial(address_of(bob)).answered(timeout=10)
            assert caught.value.status == 503
            (refusal,) = set(tape.sent(b"SIP/2.0 503"))
            assert 115 <= int(re.search(r"Retry-After: (\d+)", refusal)[1]) <= 118
            call.hangup()
            assert await draining
            refused = [e async for e in _until_closed(bob) if isinstance(e, CallRefused)]
            assert [e.status for e in refused] == [503]

    run_virtually(scene())


async def _until_closed(account):
    await account.close()
    async for event in account.events():
        yield event


async def test_a_call_that_rings_may_still_be_answered(phone):
    alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
    outgoing = alice.dial(address_of(bob))
    await outgoing.start()
    incoming = await patiently(next_call(bob))
    draining = asyncio.ensure_future(bob.drain(timeout=PATIENCE))
    await asyncio.sleep(0)
    assert bob.draining
    other = await incoming.answer()
    call = await outgoing.answered(timeout=PATIENCE)
    call.hangup()
    await patiently(other.ended())
    assert await patiently(draining)


async def test_a_transfer_that_replaces_our_call_comes_through(phone):
    alice, bob, call, other = await pair(phone)
    draining = asyncio.ensure_future(bob.drain(timeout=PATIENCE))
    await asyncio.sleep(0)
    successor = alice.dial(address_of(bob), replaces=call._leg.usage.replaces_value())
    await successor.start()
    incoming = await patiently(next_call(bob))
    assert incoming.replaces is other
    await incoming.answer()
    (await successor.answered(timeout=PATIENCE)).hangup()
    assert await patiently(draining)


async def test_closing_ends_the_wait_at_once(phone):
    _, bob, call, _ = await pair(phone)
    draining = asyncio.ensure_future(bob.drain(timeout=3600))
    await asyncio.sleep(0)
    await phone.close(bob)
    await patiently(draining)
    assert bob.calls == ()
    assert (await patiently(call.ended())).by is EndedBy.REMOTE


async def test_a_phone_drains_all_its_accounts_and_takes_no_new_one(phone):
    _, _, call, other = await pair(phone)
    draining = asyncio.ensure_future(phone.drain(timeout=PATIENCE))
    await asyncio.sleep(0)
    assert phone.draining
    await eventually(lambda: all(account.draining for account in phone.accounts))
    with pytest.raises(LocalProtocolError, match="is being drained"):
        await phone.register(clear("carol"))
    call.hangup()
    assert await patiently(draining)
    await patiently(other.ended())


@pytest.mark.parametrize("order", ["first", "last"])
async def test_the_binding_goes_before_the_calls_or_after_them(tmp_path, order):
    async with LabServer(tmp_path / "lab") as lab, Phone() as phone:
        alice, bob = await account_of(lab, phone, "alice"), await account_of(lab, phone, "bob")
        call, other = await connect(alice, bob, "bob")
        draining = asyncio.ensure_future(bob.drain(timeout=PATIENCE, unregister=order))
        if order == "first":
            await eventually(lambda: bob.registration is RegistrationState.UNREGISTERED)
        else:
            with pytest.raises(CallError) as caught:
                await alice.dial("bob").answered(timeout=PATIENCE)
            # The lab knows no other place for the call.
            assert caught.value.status in (500, 503)
            assert bob.registration is RegistrationState.REGISTERED
        # The connection stays for the call: both ends change it, and it ends in order.
        await call.hold()
        await call.resume()
        await other.hold()
        await other.resume()
        call.hangup()
        assert (await patiently(other.ended())).by is EndedBy.REMOTE
        assert await patiently(draining)
        assert bob.registration is RegistrationState.UNREGISTERED


@pytest.mark.parametrize("order", [None, "first"])
async def test_a_server_that_clears_the_calls_of_a_device_is_left_last(tmp_path, order):
    """The lab does as CUCM: with the default order of the persona the call goes on to its end."""
    login = Login(Transport.TLS, certificate=True)
    users = (LabUser("alice", login), LabUser("bob", login, "cisco_phone"))
    async with LabServer(tmp_path / "lab", LabConfig(users=users)) as lab, Phone() as phone:
        alice, bob = await account_of(lab, phone, "alice"), await account_of(lab, phone, "bob")
        call, other = await connect(alice, bob, "bob")
        draining = asyncio.ensure_future(bob.drain(timeout=PATIENCE, unregister=order))
        if order is None:
            await call.hold()
            await other.hold()
            await call.resume()
            assert other.state is call.state is CallState.CONFIRMED
            assert bob.registration is RegistrationState.REGISTERED
            call.hangup()
        ended = [await patiently(each.ended()) for each in (other, call)]
        by_server = EndedBy.REMOTE if order else EndedBy.LOCAL
        assert [each.by for each in ended] == [EndedBy.REMOTE, by_server]
        assert await patiently(draining)
        assert bob.registration is RegistrationState.UNREGISTERED


def test_the_personas_of_a_server_that_clears_calls_unregister_last():
    clears = {
        name: persona_named(name).calls_end_with_binding
        for name in ("standard", "cisco_phone", "as_sip", "oauth")
    }
    assert clears == {"standard": False, "cisco_phone": True, "as_sip": True, "oauth": True}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timeout": -1.0}, r"drain\.timeout: -1"),
        ({"unregister": "never"}, r"drain\.unregister: 'never' is neither"),
    ],
)
async def test_what_is_wrong_is_said(phone, changes, message):
    with pytest.raises(ConfigurationError, match=message):
        DrainConfig(**changes)
    bob = await phone.register(clear("bob"))
    with pytest.raises(ConfigurationError, match=message):
        await bob.drain(**changes)
    assert not bob.draining
