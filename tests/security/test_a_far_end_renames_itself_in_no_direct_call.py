"""A far end with a valid certificate of its own does not take another's name during a call."""

from __future__ import annotations

import pytest

from softphone.events import PeerChanged
from softphone.phone import Phone
from tests.support.calling import connect
from tests.support.direct import address_of, clear, secure
from tests.support.waiting import until

NAMES = (
    ("P-Asserted-Identity", '"The bank" <sip:1000@bank.test>'),
    ("Remote-Party-ID", '"The bank" <sip:1000@bank.test>;party=calling;screen=yes'),
)


@pytest.mark.parametrize("kind", ["over TLS", "in clear", "listed in accept_from"])
@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
async def test_its_words_change_neither_name_nor_security(tmp_path, kind, method):
    async with Phone() as phone:
        if kind == "over TLS":
            configs = [secure(tmp_path, name) for name in ("alice", "bob")]
        else:
            more = {"accept_from": ("127.0.0.1",)} if kind != "in clear" else {}
            configs = [clear(name, **more) for name in ("alice", "bob")]
        alice, bob = [await phone.register(config) for config in configs]
        call, other = await connect(alice, bob, address_of(bob))
        before = call.security, str(call.peer.uri)
        usage = other._leg.active_usage
        if method == "INVITE":
            await other._leg.renegotiate(held=False, headers=NAMES)
        else:
            with bob.change() as now:
                usage.update(None, now=now, headers=NAMES)
            await until(lambda: usage.settled)
        assert (call.security, str(call.peer.uri)) == before
        assert call.asserted_identity.name != "The bank"
        other.hangup()
        events = [event async for event in call.events()]
        assert not any(isinstance(event, PeerChanged) for event in events)
