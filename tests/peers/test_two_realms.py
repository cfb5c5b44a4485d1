"""Kamailio in front of Asterisk: each asks in its realm, on the way of one INVITE."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.config import CredentialConfig
from softphone.errors import CallError
from softphone.phone import Phone
from softphone.security import KeyMaterial
from tests.peers.kamailio.front_proxy import NONCE_EXPIRE, FrontProxy
from tests.peers.phones import Wire, account
from tests.support.waiting import PATIENCE

FRONT = CredentialConfig("erin", KeyMaterial(b"erin-at-the-front"), realms=("front.test",))


@pytest.fixture
def front(peer_root, authority, asterisk_of_its_own, tmp_path):
    proxy = FrontProxy(peer_root, tmp_path / "front", authority, asterisk_of_its_own.udp)
    yield proxy
    proxy.stop()


def erin(front, authority, *further):
    """Asterisk asks erin by SHA-256; her front password is another one."""
    config = account(
        "erin", front.tls, "tls", ca=authority.certificate, password="erinpw", algorithms=None
    )
    return replace(config, further_credentials=further)


def realms(message):
    """The realms that a message of ours answers, in order."""
    return [
        line.partition('realm="')[2].partition('"')[0]
        for line in message.split("\r\n")
        if line.lower().startswith(("authorization:", "proxy-authorization:"))
    ]


async def echoed(line):
    """A call that Asterisk answers."""
    call = await line.dial("600").answered(timeout=PATIENCE)
    call.hangup()
    await call.ended()


@pytest.mark.feature("proxy authentication")
async def test_each_realm_is_answered_once_and_in_its_turn(front, authority):
    wire = Wire()
    async with Phone(tap=wire) as phone, asyncio.timeout(PATIENCE):
        line = await phone.register(erin(front, authority, FRONT))
        assert [realms(one) for one in wire.sent("REGISTER")] == [[], ["asterisk"]]
        await echoed(line)
        first = [realms(one) for one in wire.sent("INVITE")]
        assert [sorted(one) for one in first] == [
            [],
            ["front.test"],
            ["asterisk", "front.test"],
        ]
        assert dict(line.digest_algorithms) == {"asterisk": "SHA-256", "front.test": "SHA-256"}
        await echoed(line)
        # The proxy's nonce is used up: what came in advance is withdrawn, and asked for anew.
        await asyncio.sleep(NONCE_EXPIRE + 1.5)
        before = len(wire.sent("INVITE"))
        await echoed(line)
        later = [realms(one) for one in wire.sent("INVITE")[before:]]
        assert "front.test" in later[0]
        assert "front.test" not in later[1]
        assert "front.test" in later[-1]


@pytest.mark.feature("proxy authentication")
async def test_a_realm_in_front_that_is_not_listed_is_not_answered(front, authority):
    wire = Wire()
    async with Phone(tap=wire) as phone, asyncio.timeout(PATIENCE):
        line = await phone.register(erin(front, authority))
        with pytest.raises(CallError) as caught:
            await line.dial("600").answered(timeout=PATIENCE)
        assert caught.value.status == 407
        assert "'front.test'" in str(caught.value)
        assert [realms(one) for one in wire.sent("INVITE")] == [[]]
