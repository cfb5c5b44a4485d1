"""Who calls, header fields, messages and User-to-User with a real Asterisk 22, both ways."""

from __future__ import annotations

import asyncio

import pytest

from softphone.events import CallMessageReceived
from softphone.phone import Phone
from softphone.security import IdentityAssurance
from softphone.sip import UserToUser
from tests.peers.phones import account
from tests.support.calling import eventually, next_call
from tests.support.waiting import PATIENCE


@pytest.fixture
async def tina(asterisk, authority):
    """A user registered over TLS that we verify."""
    async with Phone() as phone:
        config = account("tina", asterisk.tls, "tls", ca=authority.certificate, password="tinapw")
        yield await phone.register(config)


@pytest.mark.feature("who called whom")
async def test_the_caller_s_name_is_asserted_and_fields_arrive(asterisk, tina):
    command = "channel originate Local/carol-king@default application Wait 10"
    await asyncio.to_thread(asterisk.command, command)
    incoming = await next_call(tina)
    identity = incoming.asserted_identity
    assert (identity.name, identity.number) == ("Carol King", "1003")
    assert identity.assurance is IdentityAssurance.ASSERTED
    assert identity.source == "p-asserted-identity"
    assert incoming.headers.get("X-Order") == "7"
    (data,) = incoming.user_to_user
    assert (data.octets, data.content) == (b"Hello", "isdn-uui")
    call = await incoming.answer(headers={"X-Agent": "seven"})
    call.hangup(q850_cause=16)


@pytest.mark.feature("who called whom")
async def test_what_we_add_arrives_and_messages_go_both_ways(tina):
    order = UserToUser.from_octets(b"order 7", content="isdn-uui")
    headers = {"X-Order": "7", "User-to-User": str(order)}
    async with tina.dial("fields", headers=headers) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        events = call._leg.event_queue._events

        def texts():
            return [each.body for each in events if isinstance(each, CallMessageReceived)]

        # Asterisk sends back by MESSAGE what it has read of our INVITE.
        await eventually(texts)
        assert texts() == [f"7 {order}".encode()]
        await call.send_message("and from us")
        await call.hold(headers={"X-Order": "8"})
        call.hangup(q850_cause=16, headers={"X-Rating": "5"})
